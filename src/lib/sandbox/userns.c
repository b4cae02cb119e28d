/* SPDX-License-Identifier: ISC */
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, strlen(text));
	int r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

int userns_map(unsigned inside_uid, unsigned outside_uid, unsigned inside_gid, unsigned outside_gid, struct err *e)
{
	char uid[64], gid[64];
	snprintf(uid, sizeof(uid), "%u %u 1\n", inside_uid, outside_uid);
	snprintf(gid, sizeof(gid), "%u %u 1\n", inside_gid, outside_gid);
	/* A process may map its own gid only once it can no longer drop groups. */
	int r = put("/proc/self/setgroups", "deny");
	if (r < 0 && r != -ENOENT)
		return err_sys(e, r, "cannot write /proc/self/setgroups");
	if ((r = put("/proc/self/uid_map", uid)) < 0)
		return err_sys(e, r, "cannot map uid %u in /proc/self/uid_map", outside_uid);
	if ((r = put("/proc/self/gid_map", gid)) < 0)
		return err_sys(e, r, "cannot map gid %u in /proc/self/gid_map", outside_gid);
	return 0;
}

static int read_number(const char *path, long *out)
{
	char b[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, b, sizeof(b) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	b[n] = 0;
	return sscanf(b, "%ld", out) == 1 ? 0 : -EINVAL;
}

const char *userns_remedy(void)
{
	long v;
	if (!read_number("/proc/sys/kernel/unprivileged_userns_clone", &v) && v == 0)
		return "run: sysctl kernel.unprivileged_userns_clone=1, or start as root";
	if (!read_number("/proc/sys/user/max_user_namespaces", &v) && v == 0)
		return "run: sysctl user.max_user_namespaces=10000, or start as root";
	if (!read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", &v) && v == 1)
		return "run: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or start as root";
	return "the kernel or a container forbids them here: start as root";
}

int userns_enter(struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	/* A changed uid makes /proc/self/uid_map root's. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		int r = -errno;
		return err_set(e, r, "cannot make a user namespace: %s; %s", strerror(-r), userns_remedy());
	}
	int r = userns_map(uid, uid, gid, gid, e);
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, -errno, "cannot make the mount namespace private");
	return 0;
}

int userns_probe(void)
{
	/* In a child: this process must stay where it is. */
	int p[2], r = 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		r = -errno;
	} else if (pid == 0) {
		struct err e;
		if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
			r = -errno;
		if (!r)
			r = userns_enter(&e);
		if (!r && unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID) < 0)
			r = -errno;
		ssize_t n = write(p[1], &r, sizeof(r));
		_exit(n != sizeof(r));
	} else {
		close(p[1]);
		p[1] = -1;
		if (read(p[0], &r, sizeof(r)) != sizeof(r))
			r = -EIO;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
		}
	}
	close(p[0]);
	if (p[1] >= 0)
		close(p[1]);
	return r;
}
