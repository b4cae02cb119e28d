/* SPDX-License-Identifier: ISC */
/*
 * Invariant 9 on a real VMM: Debian's linux.uml boots in its jail from a disk
 * that holds nothing but a small init; all the while every thread and every process of
 * its guest shows Seccomp 2, NoNewPrivs 1 and no capability, and no fd but what
 * it was given and what it made itself. real_uml SHIM INIT
 */
#include "sandbox/inspect.h"
#include "sandbox/jail.h"
#include "sandbox/uml_args.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWN_UID = 0x70000008 };

struct seen {
	int threads, most, wrong;
	char text[400];
};

/* "3:socket": given or made from it; the memory file and the epoll are its own. */
static bool fd_ok(const char *item)
{
	static const char *const fixed[] = { "0:/dev/null", "1:/dev/null", "2:/dev/null",
					     "3:socket",    "4:socket",    "5:socket" };
	static const char *const own[] = { "socket",    "eventpoll", "eventfd",   "pipe",
					   UML_OVERLAY, UML_BASE,    "/dev/shm/", "/tmp/" };
	int fd = atoi(item);
	const char *name = strchr(item, ':');
	if (!name)
		return !strcmp(item, "(deleted)");
	if (fd < 6)
		return !strcmp(item, fixed[fd]);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strncmp(name + 1, own[i], strlen(own[i])))
			return true;
	return false;
}

static void look(void *arg, const struct rep_thread *t)
{
	struct seen *s = arg;
	char fds[sizeof(t->fds)], *save = NULL;
	bool ok = t->seccomp == 2 && t->no_new_privs == 1 && t->capbnd == 0 && t->capeff == 0;
	/* Just before it becomes linux.uml nobody but root may look at its fds. Not
	 * counted: five threads must have been seen whole. */
	if (ok && !strcmp(t->fds, "?"))
		return;
	strcpy(fds, t->fds);
	for (char *item = strtok_r(fds, " ", &save); item; item = strtok_r(NULL, " ", &save))
		ok &= fd_ok(item);
	s->threads++;
	/* One that is just ending shows no fds, and -1 when it is gone. */
	if (!ok) {
		s->wrong++;
		snprintf(s->text, sizeof(s->text), "pid %d tid %d seccomp %d nnp %d bnd %llx eff %llx fds %.250s",
			 t->pid, t->tid, t->seccomp, t->no_new_privs, (unsigned long long)t->capbnd,
			 (unsigned long long)t->capeff, t->fds);
	}
}

static int sockets(int far[3], int near[3])
{
	static const int types[3] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	for (int i = 0; i < 3; i++) {
		int sv[2];
		if (socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, sv) < 0)
			return -errno;
		near[i] = sv[0];
		far[i] = sv[1];
	}
	return 0;
}

/* Boots and looks on for a while; true if the guest's init ran. */
static bool watch(struct jail *j, int near[3], struct seen *s)
{
	static char text[65536];
	size_t n = 0;
	bool up = false;
	for (int turn = 0, after = 0; turn < 400 && after < 20; turn++, after += up) {
		struct pollfd pf[] = { { .fd = near[1], .events = POLLIN }, { .fd = j->pidfd, .events = POLLIN } };
		poll(pf, 2, 50);
		s->threads = 0;
		inspect_threads(j->pid, 1, look, s);
		s->most = s->threads > s->most ? s->threads : s->most;
		if (pf[0].revents & POLLIN) {
			ssize_t got = read(near[1], text + n, sizeof(text) - 1 - n);
			n += got > 0 ? (size_t)got : 0;
			text[n] = 0;
		}
		up = up || strstr(text, "GUEST-UP");
		if (pf[1].revents & POLLIN)
			break;
	}
	if (!up)
		printf("# the console's end: %s\n", n > 300 ? text + n - 300 : text);
	return up;
}

/* A file system with init as /sbin/init in the file disk. */
static int make_disk(const char *disk, const char *init)
{
	char dir[] = "/tmp/skep-uml-root-XXXXXX", sbin[64], dev[64], program[80], block[65536];
	ssize_t n;
	if (!mkdtemp(dir))
		return -errno;
	snprintf(sbin, sizeof(sbin), "%s/sbin", dir);
	snprintf(dev, sizeof(dev), "%s/dev", dir);
	snprintf(program, sizeof(program), "%s/sbin/init", dir);
	mkdir(sbin, 0755);
	mkdir(dev, 0755);
	int in = open(init, O_RDONLY | O_CLOEXEC), out = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	while ((n = read(in, block, sizeof(block))) > 0 && write(out, block, (size_t)n) == n) {
	}
	close(in);
	close(out);
	pid_t pid = fork();
	if (pid == 0) {
		/* Debian keeps it out of an ordinary user's PATH. */
		static const char *const places[] = { "/sbin/mke2fs", "/usr/sbin/mke2fs" };
		for (int i = 0; i < 2; i++)
			execl(places[i], "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", dir, disk,
			      "8M", (char *)NULL);
		_exit(127);
	}
	int st = -1;
	waitpid(pid, &st, 0);
	unlink(program);
	rmdir(sbin);
	rmdir(dev);
	rmdir(dir);
	return n < 0 || st ? -EIO : 0;
}

static int boot(const char *how, const char *shim, const char *init, uid_t uid, int number)
{
	struct err e = { 0 };
	struct priv_vmm conf = { .memory = 64 << 20, .mac = { 2, 0, 0, 0, 0, 9 } };
	struct uml_args a;
	struct jail j;
	struct seen s = { 0 };
	int far[3], near[3];
	char disk[] = "/tmp/skep-uml-XXXXXX";
	int fd = mkostemp(disk, O_CLOEXEC);
	if (uml_args(&conf, &a, &e) < 0 || sockets(far, near) < 0 || fd < 0 || make_disk(disk, init) < 0 ||
	    (uid != JAIL_UID_SAME && fchown(fd, uid, uid) < 0))
		return printf("not ok %d - %s # %s\n", number, how, e.text);
	/* A disk of its own, without a base below it. */
	for (char **p = a.argv; *p; p++)
		if (!strncmp(*p, "ubd0=", 5))
			*p = (char *)"ubd0=" UML_OVERLAY;
	struct jail_bind bind = { .srcfd = fd, .dst = UML_OVERLAY, .flags = JAIL_BIND_RW };
	struct jail_spec spec = { .profile = JAIL_PROFILE_UML,
				  .exe = UML_PROGRAM,
				  .preload = shim,
				  .argv = a.argv,
				  .envp = a.envp,
				  .binds = &bind,
				  .nbinds = 1,
				  .uid = uid,
				  .stdio = -1,
				  .fds = far,
				  .nfds = 3,
				  .limits = { .shm_bytes = 96 << 20 } };
	int r = jail_start(&spec, &j, &e), st = 0;
	unlink(disk);
	close(fd);
	if (r < 0)
		return printf("not ok %d - %s # %s\n", number, how, e.text);
	for (int i = 0; i < 3; i++)
		close(far[i]);
	bool booted = watch(&j, near, &s);
	kill(j.pid, SIGKILL);
	waitpid(j.pid, &st, 0);
	close(j.pidfd);
	bool killed = WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS;
	bool ok = booted && !killed && !s.wrong && s.most >= 5;
	printf("%sok %d - %s: boots in the jail, every thread confined # at most %d threads%s%s %s\n", ok ? "" : "not ",
	       number, how, s.most, booted ? "" : ", its init did not run", killed ? ", killed by seccomp" : "",
	       s.text);
	fflush(stdout);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	int bad = 0, n = 0;
	struct err e = { 0 };
	if (argc < 3)
		return 2;
	if (access(UML_PROGRAM, X_OK) < 0) {
		printf("1..0 # SKIP %s is not installed (package user-mode-linux)\n", UML_PROGRAM);
		return 0;
	}
	int r = userns_probe();
	if (r < 0) {
		printf("1..0 # SKIP no user namespaces: %s\n", userns_remedy());
		return 0;
	}
	if (geteuid() == 0)
		bad += boot("root", argv[1], argv[2], OWN_UID, ++n) != 0;
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0))
		return 2;
	if (userns_enter(&e) < 0)
		printf("not ok %d - rootless # %s\n", ++n, e.text);
	else
		bad += boot("rootless", argv[1], argv[2], JAIL_UID_SAME, ++n) != 0;
	printf("1..%d\n", n);
	return bad;
}
