apt update
apt upgrade
df -h
cd /var/www/html
nano prices.html
/etc/init.d/lighttpd restart
tail -50 /var/log/auth.log
passwd
adduser karen
nano /etc/cron.d/site-backup
/usr/local/bin/backup-site.sh
ls -la /var/backups
du -sh /var/* | sort -h
ssh backup@nas
ping nas
cat /var/log/backup-site.log
crontab -l
last
reboot
