sudo -i
cd /var/www/html
ls -la
sudo nano index.html
curl -I http://localhost/
sudo tail /var/log/lighttpd/access.log
exit
