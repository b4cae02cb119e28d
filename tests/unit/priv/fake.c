/* SPDX-License-Identifier: ISC */
#include "driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static char packet[MSG_BODY + 64];

/* Passes one packet with its fds on; false at the end. */
static bool relay(int from, int to)
{
	char ctl[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	ssize_t n = recvmsg(from, &mh, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	iov.iov_len = (size_t)n;
	if (to >= 0)
		sendmsg(to, &mh, MSG_NOSIGNAL);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
		size_t k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < k; i++)
			close(((int *)CMSG_DATA(h))[i]);
	}
	return true;
}

static int super_main(int argc, char **argv)
{
	struct hello h = { .pid = getpid(), .uid = getuid() };
	int conn = -1;
	struct __user_cap_header_struct ch = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct cd[2];
	syscall(SYS_capget, &ch, cd);
	h.capeff = cd[0].effective | (uint64_t)cd[1].effective << 32;
	for (int i = 1; i < argc; i++) {
		strncat(h.args, argv[i], sizeof(h.args) - strlen(h.args) - 2);
		strcat(h.args, "\n");
	}
	if (!strcmp(argv[2], "dies"))
		return 7;
	/* A blocking relay keeps packets; priv's own end stays non-blocking. */
	fcntl(3, F_SETFL, 0);
	for (;;) {
		struct pollfd p[3] = { { .fd = 3, .events = POLLIN },
				       { .fd = 4, .events = POLLIN },
				       { .fd = conn, .events = POLLIN } };
		if (poll(p, 3, -1) < 0)
			return 1;
		if (p[1].revents) {
			if (conn >= 0)
				close(conn);
			conn = accept(4, NULL, NULL);
			if (send(conn, &h, sizeof(h), MSG_NOSIGNAL) < 0)
				return 1;
			continue;
		}
		if (p[0].revents && !relay(3, conn))
			return 0;
		if (p[2].revents && !relay(conn, 3)) {
			close(conn);
			conn = -1;
		}
	}
}

static void add_fds(char *out, size_t cap)
{
	DIR *d = opendir("/proc/self/fd");
	for (int fd = 0; fd < 1024; fd++) {
		if (d && fd == dirfd(d))
			continue;
		if (fcntl(fd, F_GETFD) >= 0) {
			size_t n = strlen(out);
			snprintf(out + n, cap - n, "%d,", fd);
		}
	}
	if (d)
		closedir(d);
}

static int role_main(const char *role)
{
	char text[4096], line[256], fds[256] = "", cwd[256] = "?", c;
	extern char **environ;
	int env = 0, deny = open("/proc/self/status", O_RDONLY);
	FILE *f = fdopen(deny, "r");
	while (environ && environ[env])
		env++;
	int n = snprintf(text, sizeof(text), "role %s\nuid %u\ngid %u\nenv %d\ncwd %s\n", role, getuid(), getgid(), env,
			 getcwd(cwd, sizeof(cwd)));
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Groups", 6) ||
		    !strncmp(line, "SigBlk", 6))
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", line);
	fclose(f);
	add_fds(fds, sizeof(fds));
	n += snprintf(text + n, sizeof(text) - (size_t)n, "fds %s\n", fds);
	bool evidence = !strcmp(role, "evidence");
	if (evidence)
		close(openat(4, "begun", O_WRONLY | O_CREAT, 0600));
	if (send(3, text, (size_t)n, MSG_NOSIGNAL) < 0)
		return 1;
	struct pollfd p = { .fd = 3, .events = POLLIN };
	while (poll(&p, 1, -1) >= 0 && recv(3, &c, 1, 0) > 0) {
	}
	if (evidence) { /* what was captured must still reach the disk */
		usleep(300000);
		close(openat(4, "drained", O_WRONLY | O_CREAT, 0600));
	}
	return 0;
}

int fake_main(int argc, char **argv)
{
	const char *role = argv[1] + strlen("--role=");
	if (!strcmp(role, "super"))
		return super_main(argc, argv);
	return role_main(role);
}
