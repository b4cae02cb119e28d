/* SPDX-License-Identifier: ISC */
/*
 * /sbin/init of a guest whose kernel is looked at from outside: makes one process
 * of which everything is known, says what it is, and waits.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char marker[64] __attribute__((aligned(64)));

static void *thread(void *arg)
{
	pause();
	return arg;
}

static int lo_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	r.ifr_flags = IFF_UP;
	return ioctl(s, SIOCSIFFLAGS, &r);
}

static int sockets(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7777) }, b = a;
	a.sin_addr.s_addr = b.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b.sin_port = htons(5555);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	return lo_up() || bind(l, (void *)&a, sizeof(a)) || listen(l, 4) || bind(c, (void *)&b, sizeof(b)) ||
	       connect(c, (void *)&a, sizeof(a)) || accept(l, NULL, NULL) < 0;
}

static int be_known(int console)
{
	struct stat st, exe;
	pthread_t t;
	if (sockets() || chdir("/mnt/deep/here") || stat("/proc/self/exe", &exe) || fstat(0, &st))
		return 1;
	if (pthread_create(&t, NULL, thread, NULL) || prctl(PR_SET_NAME, "skepprobe"))
		return 2;
	/* Of this thread only, and of both its groups. */
	if (syscall(SYS_setresuid, 1234, 5678, 0))
		return 3;
	strcpy(marker, "this is the marker of the process");
	dprintf(console, "\nPROBE pid=%d ppid=%d uid=%d euid=%d tty=%u:%u mode=%o marker=%p END\n", (int)getpid(),
		(int)getppid(), (int)getuid(), (int)geteuid(), major(st.st_rdev), minor(st.st_rdev),
		(unsigned)exe.st_mode, (void *)marker);
	pause();
	return 0;
}

int main(void)
{
	int console = open("/dev/console", O_RDWR | O_NOCTTY), master;
	mkdir("/dev/pts", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) || mount("tmpfs", "/mnt", "tmpfs", 0, NULL) ||
	    mount("devpts", "/dev/pts", "devpts", 0, NULL) || mkdir("/mnt/deep", 0777) ||
	    mkdir("/mnt/deep/here", 0777)) {
		dprintf(console, "\nPROBE could not begin END\n");
		pause();
	}
	pid_t pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		dprintf(console, "\nPROBE failed at %d END\n", be_known(console));
		_exit(1);
	}
	for (;;)
		pause();
}
