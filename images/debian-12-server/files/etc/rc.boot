#!/bin/sh
# Tom 11/2022: replaces rcS, the box took a minute to come up
PATH=/sbin:/usr/sbin:/bin:/usr/bin
mount -n -o remount,rw /
mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mount -t tmpfs -o nosuid,noexec,mode=755 tmpfs /run
mkdir -p /run/lock /run/shm /run/network /run/sshd /run/vsftpd/empty /run/sudo /dev/pts /dev/shm
mount -t devpts -o noexec,nosuid,gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
chmod 1777 /run/lock /dev/shm
: >/run/utmp
hostname -F /etc/hostname
modprobe -q ipv6
ifup -a
exit 0
