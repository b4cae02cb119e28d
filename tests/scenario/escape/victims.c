/* SPDX-License-Identifier: ISC */
#include "victims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROOTLESS_UID = 1000, OWN_UID = 0x70000005 };

static int copy(const char *from, const char *to, mode_t mode)
{
	char b[65536];
	ssize_t n = 0;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (in >= 0 && out >= 0 && (n = read(in, b, sizeof(b))) > 0)
		if (write(out, b, (size_t)n) != n)
			n = -1;
	int r = in < 0 || out < 0 || n < 0 || fchmod(out, mode) < 0 ? -EIO : 0;
	close(in);
	close(out);
	return r;
}

static int file_of(const char *path, size_t size, uid_t uid, mode_t mode)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = fd < 0 || ftruncate(fd, (off_t)size) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
	if (!r && geteuid() == 0 && fchown(fd, uid, uid) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int files(struct victims *v, const char *evil)
{
	snprintf(v->dir, sizeof(v->dir), "/tmp/skep-escape-XXXXXX");
	if (!mkdtemp(v->dir) || chmod(v->dir, 0755) < 0)
		return -errno;
	snprintf(v->evil, sizeof(v->evil), "%s/evil", v->dir);
	snprintf(v->helper, sizeof(v->helper), "%s/helper", v->dir);
	/* In a directory of its own uid, so that it may rename it. */
	char open_dir[80];
	snprintf(open_dir, sizeof(open_dir), "%s/open", v->dir);
	if (mkdir(open_dir, 0755) < 0 || (geteuid() == 0 && chown(open_dir, v->uid, v->uid) < 0))
		return -errno;
	snprintf(v->file, sizeof(v->file), "%s/evidence", open_dir);
	snprintf(v->disk, sizeof(v->disk), "%s/disk", v->dir);
	snprintf(v->base, sizeof(v->base), "%s/base", v->dir);
	int r = copy(evil, v->evil, 0755);
	/* Root's, set-uid: only if root made it does that mean anything. */
	r = r ? r : copy(evil, v->helper, 04755);
	r = r ? r : file_of(v->file, 4096, v->uid, 0600);
	r = r ? r : file_of(v->disk, 4096, v->uid, 0700);
	return r ? r : file_of(v->base, 4096, v->uid, 0644);
}

static int sockets(struct victims *v)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX }, b = a;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(in);
	snprintf(v->unix_path, sizeof(v->unix_path), "%s/ctl", v->dir);
	snprintf(v->abstract, sizeof(v->abstract), "skep-evil-%d", getpid());
	strcpy(a.sun_path, v->unix_path);
	strcpy(b.sun_path + 1, v->abstract);
	v->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	v->abstract_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	v->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(v->unix_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(v->unix_path, 0666) < 0 ||
	    bind(v->abstract_fd, (struct sockaddr *)&b,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(v->abstract))) < 0 ||
	    bind(v->tcp_fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(v->unix_fd, 500) < 0 ||
	    listen(v->abstract_fd, 500) < 0 || listen(v->tcp_fd, 500) < 0 ||
	    getsockname(v->tcp_fd, (struct sockaddr *)&in, &n) < 0)
		return -errno;
	v->tcp_port = ntohs(in.sin_port);
	return 0;
}

static int ipc(struct victims *v)
{
	char name[32];
	v->key = 0x5e0000 + getpid() % 0xffff;
	v->shm = shmget(v->key, 4096, IPC_CREAT | 0666);
	v->queue = msgget(v->key, IPC_CREAT | 0666);
	snprintf(name, sizeof(name), "/skep-evil-%d", v->key);
	mode_t was = umask(0);
	mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0666, NULL);
	umask(was);
	if (q != (mqd_t)-1)
		mq_close(q);
	return v->shm < 0 || v->queue < 0 ? -errno : 0;
}

/* Fds that nobody marked close-on-exec, as a library might leave them. */
static void leak(void)
{
	int fd = open("/etc/passwd", O_RDONLY);
	dup2(fd, 20);
	dup2(fd, 400);
}

static int become(uid_t uid)
{
	return setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ? -errno : 0;
}

int victims_make(struct victims *v, const char *evil, bool rootless, struct err *e)
{
	*v = (struct victims){ .rootless = rootless, .uid = OWN_UID };
	if (rootless)
		v->uid = geteuid() == 0 ? ROOTLESS_UID : geteuid();
	gethostname(v->hostname, sizeof(v->hostname) - 1);
	int r = files(v, evil);
	if (!r && rootless && geteuid() == 0) {
		/* The directory too, so that it can be removed at the end. */
		r = chown(v->dir, v->uid, v->uid) < 0 ? -errno : become(v->uid);
		prctl(PR_SET_DUMPABLE, 1);
	}
	r = r ? r : sockets(v);
	r = r ? r : ipc(v);
	if (r)
		return err_sys(e, r, "cannot make the victims in %s", v->dir);
	leak();
	fflush(NULL);
	v->pid = fork();
	if (v->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!rootless)
			become(v->uid);
		prctl(PR_SET_DUMPABLE, 1);
		/* Its fd 0 is worth stealing. */
		for (;;)
			pause();
	}
	struct timespec wait = { 0, 20000000 };
	nanosleep(&wait, NULL);
	return v->pid < 0 ? err_sys(e, -errno, "fork") : 0;
}

void victims_unmake(struct victims *v)
{
	char name[128];
	kill(v->pid, SIGKILL);
	waitpid(v->pid, NULL, 0);
	shmctl(v->shm, IPC_RMID, NULL);
	msgctl(v->queue, IPC_RMID, NULL);
	snprintf(name, sizeof(name), "/skep-evil-%d", v->key);
	mq_unlink(name);
	const char *const files[] = { v->evil, v->helper, v->file, v->disk, v->base, v->unix_path };
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	snprintf(name, sizeof(name), "%s.filler", v->file);
	unlink(name);
	snprintf(name, sizeof(name), "%s/open", v->dir);
	rmdir(name);
	rmdir(v->dir);
}
