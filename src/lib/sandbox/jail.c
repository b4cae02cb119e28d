/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. The parent (priv) makes ready whatever needs its rights:
 * it clones each file that the VMM may see as a detached mount with its final
 * attributes (open_tree, mount_setattr), so that the child, which has given up
 * its uid by then, needs no way to the file on the host. Then two forks:
 *
 *   parent ── helper: joins cgroups, takes the VMM's uid, makes the namespaces,
 *             │        maps its uid, and clones with CLONE_PARENT
 *             └ VMM: child of the parent, pid 1 of the new pid namespace: builds
 *               the root, drops everything, executes.
 *
 * Both report through one close-on-exec pipe. The parent reads until it is
 * closed: by exec, or by the end of both. "Go" was said just before exec.
 */
#include "sandbox/jail.h"

#include "sandbox/caps.h"
#include "sandbox/jail_inside.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ull << 20)

static const struct jail_limits defaults[JAIL_PROFILE_COUNT] = {
	[JAIL_PROFILE_UML] = { 16 * MIB, 0, 64ull << 30, 64, 256 * MIB, 1024 },
	[JAIL_PROFILE_SURICATA] = { 16 * MIB, 0, 1ull << 30, 256, 4096 * MIB, 256 },
	[JAIL_PROFILE_PLAIN] = { 16 * MIB, 0, 64ull << 30, 64, 256 * MIB, 16 },
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* ---- the files that it sees ------------------------------------------- */

/* An fd that was opened before this process got its mount namespace belongs to
 * another one's mount: found again by its path, and compared. */
static int clone_by_path(int srcfd, unsigned how)
{
	char link[32], path[4096];
	struct stat want, have;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", srcfd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || fstat(srcfd, &want) < 0)
		return -errno;
	path[n] = 0;
	int fd = open_tree(AT_FDCWD, path, how);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &have) < 0 || have.st_dev != want.st_dev || have.st_ino != want.st_ino) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int tree_fd(const char *src, int srcfd, unsigned flags, bool ns, struct err *e)
{
	if (!ns) {
		/* Above what the VMM's own fds are moved to. */
		int at = src ? open(src, O_PATH | O_CLOEXEC) : srcfd;
		int fd = at < 0 ? -1 : fcntl(at, F_DUPFD_CLOEXEC, 3 + JAIL_FDS + 1);
		int r = fd < 0 ? err_sys(e, -errno, "cannot open %s for the jail", src ? src : "a disk") : fd;
		if (src && at >= 0)
			close(at);
		return r;
	}
	unsigned how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	if (flags & JAIL_BIND_DIR)
		how |= AT_RECURSIVE;
	int fd = src ? open_tree(AT_FDCWD, src, how) : open_tree(srcfd, "", how | AT_EMPTY_PATH);
	if (fd < 0)
		fd = !src && errno == EINVAL ? clone_by_path(srcfd, how) : -errno;
	if (fd < 0)
		return err_sys(e, fd, "cannot take %s into the jail", src ? src : "a disk");
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
#ifndef MUTANT_JAIL_WRITABLE
	if (!(flags & JAIL_BIND_RW))
		attr.attr_set |= MOUNT_ATTR_RDONLY;
#endif
	if (!(flags & JAIL_BIND_EXEC))
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	unsigned all = flags & JAIL_BIND_DIR ? AT_RECURSIVE : 0;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | all, &attr, sizeof(attr)) < 0) {
		int r = err_sys(e, -errno, "cannot restrict the mount of %s", src ? src : "a disk");
		close(fd);
		return r;
	}
	return fd;
}

/* No "..", no ".", no empty part: the path is made inside the new root. */
static bool path_ok(const char *p)
{
	if (p[0] != '/' || !p[1] || strlen(p) >= JAIL_DST)
		return false;
	while (*p) {
		const char *part = p + 1;
		size_t n = strcspn(part, "/");
		if (!n || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		p = part + n;
	}
	return true;
}

static int add_tree(struct jail_plan *p, const char *src, int srcfd, const char *dst, unsigned flags, struct err *e)
{
	if (p->ntrees == JAIL_TREES)
		return err_set(e, -E2BIG, "more than %d files in a jail", JAIL_TREES);
	if (!path_ok(dst))
		return err_set(e, -EINVAL, "%s: not a plain absolute path for the inside of a jail", dst);
	int fd = tree_fd(src, srcfd, flags, p->ns, e);
	if (fd < 0)
		return fd;
	struct jail_tree *t = &p->trees[p->ntrees++];
	t->fd = fd;
	t->flags = flags;
	strcpy(t->dst, dst);
	return 0;
}

/* The loader is asked once for each program and preload: it takes about a
 * millisecond, and the answer changes only with the files. */
static struct {
	char *exe, *preload;
	struct timespec changed[2];
	char **paths;
	int n;
} known;

static bool same_file(const char *path, const char *was, struct timespec at, struct timespec *now)
{
	struct stat st = { 0 };
	if (path && stat(path, &st) < 0)
		return false;
	*now = st.st_ctim;
	return (path == NULL) == (was == NULL) && (!path || !strcmp(path, was)) && at.tv_sec == now->tv_sec &&
	       at.tv_nsec == now->tv_nsec;
}

static int libraries(const char *exe, const char *preload, struct err *e)
{
	struct timespec now[2] = { 0 };
	bool a = same_file(exe, known.exe, known.changed[0], &now[0]);
	bool b = same_file(preload, known.preload, known.changed[1], &now[1]);
	if (known.exe && a && b)
		return 0;
	char **paths;
	int n = jail_libraries(exe, preload, &paths, e);
	if (n < 0)
		return n;
	for (int i = 0; i < known.n; i++)
		free(known.paths[i]);
	free(known.paths);
	free(known.exe);
	free(known.preload);
	known.paths = paths;
	known.n = n;
	known.exe = strdup(exe);
	known.preload = preload ? strdup(preload) : NULL;
	memcpy(known.changed, now, sizeof(now));
	return 0;
}

static int files(struct jail_plan *p, struct err *e)
{
	const struct jail_spec *s = p->spec;
	char dst[JAIL_DST];
	int r = libraries(s->exe, s->preload, e);
	if (r < 0)
		return r;
	if ((size_t)snprintf(dst, sizeof(dst), "/bin/%s", base_name(s->exe)) >= sizeof(dst))
		return err_set(e, -ENAMETOOLONG, "%s: name too long", s->exe);
	r = add_tree(p, s->exe, -1, dst, JAIL_BIND_EXEC, e);
	if (!r && s->preload) {
		if ((size_t)snprintf(dst, sizeof(dst), "/lib/%s", base_name(s->preload)) >= sizeof(dst))
			return err_set(e, -ENAMETOOLONG, "%s: name too long", s->preload);
		r = add_tree(p, s->preload, -1, dst, JAIL_BIND_EXEC, e);
	}
	for (int i = 0; !r && i < known.n; i++)
		if (!s->preload || strcmp(known.paths[i], s->preload) != 0)
			r = add_tree(p, known.paths[i], -1, known.paths[i], JAIL_BIND_EXEC, e);
	for (int i = 0; !r && i < s->nbinds; i++)
		r = add_tree(p, s->binds[i].src, s->binds[i].srcfd, s->binds[i].dst, s->binds[i].flags, e);
	return r;
}

/* ---- the plan --------------------------------------------------------- */

static void fill_limits(struct jail_plan *p)
{
	const struct jail_limits *d = &defaults[p->spec->profile];
	struct jail_limits *l = &p->limits;
	*l = p->spec->limits;
	l->tmp_bytes = l->tmp_bytes ? l->tmp_bytes : d->tmp_bytes;
	l->fsize = l->fsize ? l->fsize : d->fsize;
	l->nofile = l->nofile ? l->nofile : d->nofile;
	l->data = l->data ? l->data : d->data;
	l->nproc = l->nproc ? l->nproc : d->nproc;
}

static int environment(struct jail_plan *p, struct err *e)
{
	const struct jail_spec *s = p->spec;
	char dst[JAIL_DST * 2];
	int n = 0, k = 0;
	while (s->envp && s->envp[n])
		n++;
	p->envp = calloc((size_t)n + 2, sizeof(*p->envp));
	if (!p->envp)
		return err_set(e, -ENOMEM, "out of memory");
	if (s->preload) {
		if (p->ns)
			snprintf(dst, sizeof(dst), "LD_PRELOAD=/lib/%s", base_name(s->preload));
		else
			snprintf(dst, sizeof(dst), "LD_PRELOAD=%s", s->preload);
		p->envp[k++] = strdup(dst);
	}
	for (int i = 0; i < n; i++)
		p->envp[k++] = strdup(s->envp[i]);
	if (p->ns)
		snprintf(dst, sizeof(dst), "/bin/%s", base_name(s->exe));
	else
		snprintf(dst, sizeof(dst), "%s", s->exe);
	p->argv0 = strdup(dst);
	for (int i = 0; i < k; i++)
		if (!p->envp[i])
			return err_set(e, -ENOMEM, "out of memory");
	return p->argv0 ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int namespaces_possible(struct jail_plan *p, struct err *e)
{
	static int probed = 1; /* 1 = not yet */
	enum { NS = JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS };
	if (p->spec->off & NS)
		return 0;
	p->ns = true;
	if (p->spec->uid == JAIL_UID_SAME) {
		if (!caps_admin())
			return err_set(e, -EPERM, "a jail needs CAP_SYS_ADMIN in a user namespace: %s",
				       userns_remedy());
		p->userns = true;
		return 0;
	}
	if (probed > 0)
		probed = userns_probe();
	p->userns = probed == 0;
	return 0;
}

static int check(const struct jail_spec *s, struct err *e)
{
	if (s->profile >= JAIL_PROFILE_COUNT || !s->exe || !s->argv || !s->argv[0] || s->exe[0] != '/')
		return err_set(e, -EINVAL, "a jail needs a profile, an absolute path of a program and its arguments");
	if (s->nfds < 0 || s->nfds > JAIL_FDS || s->nbinds < 0 || s->nbinds > JAIL_BINDS || s->ncgroups < 0)
		return err_set(e, -EINVAL, "more than %d fds or %d files for a jail", JAIL_FDS, JAIL_BINDS);
	if ((s->caps || s->prepare) && s->off)
		return err_set(e, -EINVAL, "a jail with capabilities or interfaces needs all its namespaces");
	if (s->uid == 0)
		return err_set(e, -EINVAL, "a jail never runs as root: give it a uid");
	return 0;
}

/* ---- start ------------------------------------------------------------ */

static int reap(pid_t pid)
{
	int st = 0;
	while (waitpid(pid, &st, 0) < 0)
		if (errno != EINTR)
			return -1;
	return st;
}

/* Reads what helper and VMM say until both ends are closed. */
static int listen_to(int fd, struct jail *j, bool *go, struct err *e)
{
	struct jail_report r;
	int failed = 0;
	for (;;) {
		ssize_t n = read(fd, &r, sizeof(r));
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			return failed;
		if (r.word == JAIL_PID) {
			j->pid = r.value;
		} else if (r.word == JAIL_GO) {
			j->in_force = (unsigned)r.value;
			*go = true;
		} else if (!failed) {
			r.text[sizeof(r.text) - 1] = 0;
			failed = err_set(e, r.value < 0 ? r.value : -EIO, "jail: %s", r.text);
		}
	}
}

/* The child has made its namespaces and waits. */
static int prepare(const struct jail_spec *s, int sock, struct err *e)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	ssize_t n;
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *h = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!h || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(int)))
		return 0; /* it has failed, and says why itself */
	int fd;
	memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	int r = s->prepare(s->arg, fd, e);
	close(fd);
	if (!r && send(sock, &byte, 1, MSG_NOSIGNAL) != 1)
		return 0;
	return r;
}

static int launch(struct jail_plan *p, struct jail *out, struct err *e)
{
	int pipe_fds[2], pair[2] = { -1, -1 }, refused = 0;
	p->netns = -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "jail: pipe");
	p->report = pipe_fds[1];
	pid_t helper = -1;
	if (!p->spec->prepare || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		p->netns = pair[1];
		helper = fork();
	}
	if (helper < 0) {
		int r = err_sys(e, -errno, "jail: fork");
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		if (pair[0] >= 0) {
			close(pair[0]);
			close(pair[1]);
		}
		return r;
	}
	if (helper == 0)
		jail_child(p);
	close(pipe_fds[1]);
	if (pair[0] >= 0) {
		close(pair[1]);
		refused = prepare(p->spec, pair[0], e);
		close(pair[0]);
	}
	struct jail j = { .pid = -1, .pidfd = -1 };
	bool go = false;
	struct err unheard;
	int r = listen_to(pipe_fds[0], &j, &go, refused ? &unheard : e);
	r = refused ? refused : r;
	close(pipe_fds[0]);
	int st = reap(helper);
	if (!r && (!go || j.pid < 0))
		r = err_set(e, -EIO, "jail: died while it was set up (status 0x%x)", (unsigned)(j.pid < 0 ? st : 0));
	if (!r) {
		j.pidfd = (int)syscall(SYS_pidfd_open, j.pid, 0);
		if (j.pidfd < 0)
			r = err_sys(e, -errno, "jail: pidfd_open");
	}
	if (r && j.pid > 0) {
		kill(j.pid, SIGKILL);
		reap(j.pid);
	}
	if (!r)
		*out = j;
	return r;
}

int jail_start(const struct jail_spec *s, struct jail *out, struct err *e)
{
	struct jail_plan *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->spec = s;
	p->stdio = s->stdio;
	int null = -1;
	int r = check(s, e);
	if (!r)
		r = namespaces_possible(p, e);
	if (!r && (s->caps || s->prepare) && !p->userns)
		r = err_set(e, -ENOTSUP, "a jail with capabilities needs user namespaces: %s", userns_remedy());
	if (!r) {
		fill_limits(p);
		p->filter = jail_filter(s->profile, e);
		r = p->filter ? files(p, e) : -EIO;
	}
	if (!r)
		r = environment(p, e);
	if (!r && s->stdio < 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		p->stdio = null;
		if (null < 0)
			r = err_sys(e, -errno, "cannot open /dev/null");
	}
	if (!r)
		r = launch(p, out, e);
	if (null >= 0)
		close(null);
	for (int i = 0; i < p->ntrees; i++)
		close(p->trees[i].fd);
	for (int i = 0; p->envp && p->envp[i]; i++)
		free(p->envp[i]);
	free(p->envp);
	free(p->argv0);
	free(p);
	return r;
}
