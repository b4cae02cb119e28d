ls
cd machines
cat cnc.txt
scp cnc-backup.tar tom@cnc:
telnet cnc
ftp localhost
df
exit
