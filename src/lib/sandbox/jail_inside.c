/* SPDX-License-Identifier: ISC */
/* The two children of jail_start; see jail.c. Order matters everywhere here. */
#include "sandbox/jail_inside.h"

#include "sandbox/caps.h"
#include "sandbox/landlock.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the VMM sees itself as: the same everywhere. */
enum { INSIDE_ID = 1000 };

static void say(int fd, int word, int value, const char *text)
{
	struct jail_report r = { .word = word, .value = value };
	if (text)
		snprintf(r.text, sizeof(r.text), "%s", text);
	if (write(fd, &r, sizeof(r)) != sizeof(r))
		_exit(1); /* nobody listens any more: the parent is dead */
}

__attribute__((noreturn)) static void fail(int fd, const struct err *e)
{
	say(fd, JAIL_FAILED, e->code, e->text);
	_exit(1);
}

static bool off(const struct jail_plan *p, unsigned layer)
{
	return (p->spec->off & layer) != 0;
}

/* ---- the helper -------------------------------------------------------- */

static int join_cgroups(const struct jail_plan *p, struct err *e)
{
#ifdef MUTANT_JAIL_NO_CGROUP
	return 0;
#endif
	for (int i = 0; i < p->spec->ncgroups && !off(p, JAIL_CGROUP); i++)
		if (write(p->spec->cgroups[i], "0", 1) != 1)
			return err_sys(e, -errno, "cannot join control group %d", i);
	return 0;
}

static int become(uid_t uid, struct err *e)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(e, -errno, "cannot become uid %u", uid);
	return 0;
}

static int make_namespaces(const struct jail_plan *p, struct err *e)
{
	enum { NS = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };
	uid_t uid = geteuid();
	gid_t gid = getegid();
	/* A changed uid makes /proc/self/uid_map root's. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (unshare(p->userns ? CLONE_NEWUSER | NS : NS) < 0)
		return err_sys(e, -errno, "cannot make namespaces (%s)", userns_remedy());
	return p->userns ? userns_map(INSIDE_ID, uid, INSIDE_ID, gid, e) : 0;
}

/* Hands the network namespace to the caller, who furnishes it; then it goes on. */
static int show_netns(const struct jail_plan *p, struct err *e)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c = { .room = { 0 } };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open /proc/self/ns/net");
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	if (sendmsg(p->netns, &m, MSG_NOSIGNAL) != 1 || recv(p->netns, &byte, 1, 0) != 1)
		return err_set(e, -ECANCELED, "its network was not made");
	close(fd);
	close(p->netns);
	return 0;
}

/* ---- the VMM's root ---------------------------------------------------- */

static int make_parents(int root, const char *path, struct err *e)
{
	char part[JAIL_DST];
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - path) - 1;
		memcpy(part, path + 1, n);
		part[n] = 0;
		if (mkdirat(root, part, 0755) < 0 && errno != EEXIST)
			return err_sys(e, -errno, "cannot make /%s in the jail", part);
	}
	return 0;
}

static int put_tree(int root, const struct jail_tree *t, struct err *e)
{
	int r = make_parents(root, t->dst, e);
	if (r < 0)
		return r;
	if (t->flags & JAIL_BIND_DIR) {
		if (mkdirat(root, t->dst + 1, 0755) < 0 && errno != EEXIST)
			return err_sys(e, -errno, "cannot make %s in the jail", t->dst);
	} else {
		int fd = openat(root, t->dst + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(e, -errno, "cannot make %s in the jail", t->dst);
		close(fd);
	}
	if (move_mount(t->fd, "", root, t->dst + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(e, -errno, "cannot mount %s in the jail", t->dst);
	return 0;
}

static int put_tmpfs(int root, const char *dst, uint64_t bytes, unsigned long flags, const struct jail_plan *p,
		     struct err *e)
{
	char opts[128];
	int r = make_parents(root, dst, e);
	if (r < 0)
		return r;
	if (mkdirat(root, dst + 1, 0755) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "cannot make %s in the jail", dst);
	unsigned id = p->userns ? INSIDE_ID : p->spec->uid;
	snprintf(opts, sizeof(opts), "size=%llu,nr_inodes=256,mode=700,uid=%u,gid=%u", (unsigned long long)bytes, id,
		 id);
	/* The process stands in the new root. */
	if (mount("tmpfs", dst + 1, "tmpfs", MS_NOSUID | MS_NODEV | flags, opts) < 0)
		return err_sys(e, -errno, "cannot mount %s in the jail", dst);
	return 0;
}

static int new_root(const struct jail_plan *p, struct err *e)
{
	static const char *const spots[] = { "/tmp", "/run", "/usr", "/etc" };
	size_t i;
	int r = 0;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, -errno, "cannot make the mount namespace private");
	for (i = 0; i < sizeof(spots) / sizeof(spots[0]); i++)
		if (mount("tmpfs", spots[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=512,mode=755") == 0)
			break;
	if (i == sizeof(spots) / sizeof(spots[0]) || chdir(spots[i]) < 0)
		return err_sys(e, -errno, "cannot mount a root");
	int root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, -errno, "cannot open the new root");
	for (int t = 0; t < p->ntrees && !r; t++)
		r = put_tree(root, &p->trees[t], e);
	if (!r)
		r = put_tmpfs(root, "/tmp", p->limits.tmp_bytes, MS_NOEXEC, p, e);
	if (!r && p->limits.shm_bytes)
		r = put_tmpfs(root, "/dev/shm", p->limits.shm_bytes,
			      p->spec->profile == JAIL_PROFILE_UML ? 0 : MS_NOEXEC, p, e);
	close(root);
	if (r)
		return r;
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sys(e, -errno, "cannot enter the new root");
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return err_sys(e, -errno, "cannot make the root read-only");
	/* The host's name is nobody's business. */
	if (sethostname("localhost", 9) < 0 || setdomainname("(none)", 6) < 0)
		return err_sys(e, -errno, "cannot set the host name");
	return 0;
}

/* ---- what it holds ----------------------------------------------------- */

/* stdio -> 0, 1, 2; fds[i] -> 3 + i; the report right behind them; no other. */
static int arrange_fds(struct jail_plan *p, struct err *e)
{
	enum { HIGH = 512 };
	int tmp[JAIL_FDS + 2], n = 0, last = 3 + p->spec->nfds;
	const struct jail_spec *s = p->spec;
	tmp[n++] = p->stdio;
	for (int i = 0; i < s->nfds; i++)
		tmp[n++] = s->fds[i];
	tmp[n++] = p->report;
	/* Out of each other's way first. */
	for (int i = 0; i < n; i++) {
		tmp[i] = fcntl(tmp[i], F_DUPFD_CLOEXEC, HIGH);
		if (tmp[i] < 0)
			return err_sys(e, -errno, "fd %d for the jail", i);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(tmp[0], i) < 0)
			return err_sys(e, -errno, "standard fds of the jail");
	for (int i = 0; i < s->nfds; i++)
		if (dup2(tmp[i + 1], 3 + i) < 0)
			return err_sys(e, -errno, "fd %d of the jail", 3 + i);
	if (dup3(tmp[n - 1], last, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "report of the jail");
	p->report = last;
#ifndef MUTANT_JAIL_KEEP_FDS
	if (!p->ns) { /* Landlock still needs the files' fds; exec closes them */
		if (syscall(SYS_close_range, last + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
			return err_sys(e, -errno, "close_range");
	} else if (syscall(SYS_close_range, last + 1, ~0u, 0) < 0) {
		return err_sys(e, -errno, "close_range");
	}
#endif
	return 0;
}

static int set_limits(const struct jail_plan *p, struct err *e)
{
	const struct jail_limits *l = &p->limits;
	struct {
		int what;
		rlim_t max;
	} const r[] = {
		{ RLIMIT_CORE, 0 },           { RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },       { RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },         { RLIMIT_NPROC, l->nproc },
		{ RLIMIT_NOFILE, l->nofile }, { RLIMIT_FSIZE, l->fsize },
		{ RLIMIT_DATA, l->data }, /* the guest's memory is a file in /dev/shm */
		{ RLIMIT_SIGPENDING, 512 },
	};
	for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
		struct rlimit now;
#ifdef MUTANT_JAIL_NO_LIMITS
		break;
#endif
		if (getrlimit((__rlimit_resource_t)r[i].what, &now) < 0)
			return err_sys(e, -errno, "getrlimit");
		rlim_t max = r[i].max < now.rlim_max ? r[i].max : now.rlim_max;
		if (setrlimit((__rlimit_resource_t)r[i].what, &(struct rlimit){ max, max }) < 0)
			return err_sys(e, -errno, "resource limit %d", r[i].what);
	}
	return 0;
}

static int enter_landlock(const struct jail_plan *p, struct err *e)
{
	struct landlock_allow allow[JAIL_TREES + 2];
	int n = 0, r = 0;
	for (int i = 0; i < p->ntrees && !r; i++) {
		const struct jail_tree *t = &p->trees[i];
		unsigned a = LANDLOCK_READ;
		if (t->flags & JAIL_BIND_RW)
			a |= LANDLOCK_WRITE;
		if (t->flags & JAIL_BIND_EXEC)
			a |= LANDLOCK_EXEC;
		int fd = p->ns ? open(t->dst, O_PATH | O_CLOEXEC) : t->fd;
		if (fd < 0)
			r = err_sys(e, -errno, "cannot open %s in the jail", t->dst);
		else
			allow[n++] = (struct landlock_allow){ fd, a };
	}
	const char *const own[] = { "/tmp", p->limits.shm_bytes ? "/dev/shm" : NULL };
	for (int i = 0; i < 2 && p->ns && !r; i++) {
		if (!own[i])
			continue;
		int fd = open(own[i], O_PATH | O_CLOEXEC);
		if (fd < 0)
			r = err_sys(e, -errno, "cannot open %s in the jail", own[i]);
		else
			allow[n++] = (struct landlock_allow){ fd, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE };
	}
	if (!r)
		r = landlock_apply(allow, n, e);
	if (p->ns)
		for (int i = 0; i < n; i++)
			close(allow[i].fd);
	return r;
}

/* ---- the VMM ----------------------------------------------------------- */

static void default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	for (int s = 1; s < _NSIG; s++)
		sigaction(s, &sa, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int drop_rights(struct jail_plan *p, unsigned *in_force, struct err *e)
{
	int bounded = 0, r;
#ifndef MUTANT_JAIL_KEEP_CAPS
	if (p->spec->caps) {
		if ((r = caps_only(p->spec->caps, e)) < 0)
			return r;
		bounded = 1;
	} else if ((r = caps_bound(&bounded, e)) < 0) {
		return r;
	}
#endif
	if (!p->userns && p->spec->uid != JAIL_UID_SAME && p->ns && (r = become(p->spec->uid, e)) < 0)
		return r;
#ifndef MUTANT_JAIL_KEEP_CAPS
	if (!p->spec->caps && (r = caps_clear(e)) < 0)
		return r;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "no_new_privs");
	if (bounded)
		*in_force |= JAIL_CAPS;
	bool skip = off(p, JAIL_LANDLOCK);
#ifdef MUTANT_JAIL_NO_LANDLOCK
	skip = true;
#endif
	if (!skip) {
		r = enter_landlock(p, e);
		if (r < 0 && r != -ENOTSUP)
			return r;
		if (!r)
			*in_force |= JAIL_LANDLOCK;
	}
	return 0;
}

__attribute__((noreturn)) static void vmm(struct jail_plan *p)
{
	struct err e = { 0 };
	unsigned in_force = 0;
	const struct jail_spec *s = p->spec;
	setsid();
	default_signals();
	/* Without a user namespace root makes what another uid will use. */
	umask(022);
	if (p->ns && new_root(p, &e) < 0)
		fail(p->report, &e);
	umask(077);
	if (p->ns)
		in_force |= JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS | (p->userns ? JAIL_USERNS : 0);
	if (s->uid != JAIL_UID_SAME)
		in_force |= JAIL_OWN_UID;
	if (s->ncgroups && !off(p, JAIL_CGROUP))
		in_force |= JAIL_CGROUP;
	/* With ASLR, UML takes the random gap below its stack for guest memory. */
	if (s->profile == JAIL_PROFILE_UML && personality(ADDR_NO_RANDOMIZE) < 0) {
		err_sys(&e, -errno, "personality");
		fail(p->report, &e);
	}
	if (arrange_fds(p, &e) < 0 || set_limits(p, &e) < 0 || drop_rights(p, &in_force, &e) < 0)
		fail(p->report, &e);
	/* After the last change of uid, which would clear it; the pipe tells
	 * whether the parent died before. */
	int with_parent = SIGKILL;
#ifdef MUTANT_JAIL_OUTLIVES
	with_parent = 0;
#endif
	struct pollfd pf = { .fd = p->report };
	if (prctl(PR_SET_PDEATHSIG, with_parent, 0, 0, 0) < 0 || (poll(&pf, 1, 0) == 1 && pf.revents & POLLERR))
		_exit(1);
#ifndef MUTANT_JAIL_NO_SECCOMP
	if (!off(p, JAIL_SECCOMP)) {
		if (seccomp_load_program(p->filter, &e) < 0)
			fail(p->report, &e);
		in_force |= JAIL_SECCOMP;
	}
#endif
	say(p->report, JAIL_GO, (int)in_force, NULL);
	execve(p->argv0, s->argv, p->envp);
	err_sys(&e, -errno, "cannot execute %s", p->argv0);
	fail(p->report, &e);
}

void jail_child(struct jail_plan *p)
{
	struct err e = { 0 };
	bool change = p->spec->uid != JAIL_UID_SAME;
	if (join_cgroups(p, &e) < 0)
		fail(p->report, &e);
	/* Without a user namespace it takes root's rights to build the root. */
	bool first = change && p->userns;
	if (change && !p->ns) {
		/* No root to build, but a bounding set to empty first. */
		int bounded;
		if (caps_bound(&bounded, &e) < 0)
			fail(p->report, &e);
		first = true;
	}
	if (first && become(p->spec->uid, &e) < 0)
		fail(p->report, &e);
	if (p->ns && make_namespaces(p, &e) < 0)
		fail(p->report, &e);
	if (p->spec->prepare && show_netns(p, &e) < 0)
		fail(p->report, &e);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0) {
		err_sys(&e, -errno, "clone");
		fail(p->report, &e);
	}
	if (pid == 0)
		vmm(p);
	say(p->report, JAIL_PID, pid, NULL);
	_exit(0);
}
