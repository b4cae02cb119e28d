/* SPDX-License-Identifier: ISC */
#include "sandbox/inspect.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TREE_MAX = 4096 };

static ssize_t slurp(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = 0;
	ssize_t got = 0;
	while (n < cap - 1 && (got = read(fd, buf + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	int r = got < 0 ? -errno : 0;
	close(fd);
	buf[n] = 0;
	return r < 0 && !n ? r : (ssize_t)n;
}

/* The value behind "NAME:" at the beginning of a line of a /proc file. */
static bool field(const char *text, const char *name, int base, uint64_t *out)
{
	size_t n = strlen(name);
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, name, n) && line[n] == ':') {
			*out = strtoull(line + n + 1, NULL, base);
			return true;
		}
	return false;
}

typedef int (*visit_fn)(void *arg, pid_t tid);

/* Each numeric name in a directory. */
static int each_number(const char *dir, visit_fn fn, void *arg)
{
	DIR *d = opendir(dir);
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			fn(arg, (pid_t)strtol(e->d_name, NULL, 10));
	closedir(d);
	return 0;
}

/* ---- the tree ---------------------------------------------------------- */

struct tree {
	pid_t *pids;
	int n;
	pid_t at; /* whose threads are being looked at */
};

static int add_children(void *arg, pid_t tid)
{
	struct tree *t = arg;
	char path[64], *text = malloc(65536), *p = text;
	if (!text)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", t->at, tid);
	if (slurp(path, text, 65536) > 0)
		for (char *end; t->n < TREE_MAX; p = end) {
			long child = strtol(p, &end, 10);
			if (end == p)
				break;
			t->pids[t->n++] = (pid_t)child;
		}
	free(text);
	return 0;
}

/* pid and, if wanted, all below it; NULL: out of memory. */
static pid_t *collect(pid_t pid, int tree, int *n)
{
	struct tree t = { .pids = malloc(TREE_MAX * sizeof(pid_t)) };
	if (!t.pids)
		return NULL;
	t.pids[t.n++] = pid;
	for (int i = 0; tree && i < t.n; i++) {
		char path[64];
		t.at = t.pids[i];
		snprintf(path, sizeof(path), "/proc/%d/task", t.at);
		each_number(path, add_children, &t);
	}
	*n = t.n;
	return t.pids;
}

/* ---- fds --------------------------------------------------------------- */

struct fds {
	struct rep_thread *t;
	pid_t pid;
	size_t len;
	bool cut;
};

/* "socket:[123]" -> "socket", "anon_inode:[eventpoll]" -> "eventpoll". */
static void shorten(char *name)
{
	char *in = strstr(name, ":[");
	if (name[0] == '/' || !in)
		return;
	if (!strncmp(name, "anon_inode", 10)) {
		size_t n = strcspn(in + 2, "]");
		memmove(name, in + 2, n);
		name[n] = 0;
	} else {
		*in = 0;
	}
}

static int add_fd(void *arg, pid_t fd)
{
	struct fds *f = arg;
	char path[64], name[256], safe[512], item[560];
	f->t->nfds++;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->pid, fd);
	ssize_t n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return 0;
	name[n] = 0;
	shorten(name);
	text_safe(safe, sizeof(safe), name, strlen(name), false);
	size_t len = (size_t)snprintf(item, sizeof(item), "%s%d:%s", f->len ? " " : "", fd, safe);
	size_t room = sizeof(f->t->fds) - f->len;
	if (f->cut)
		return 0;
	if (len + 4 >= room) {
		if (room > 4)
			strcpy(f->t->fds + f->len, " ...");
		f->cut = true;
		return 0;
	}
	memcpy(f->t->fds + f->len, item, len + 1);
	f->len += len;
	return 0;
}

/* ---- threads ----------------------------------------------------------- */

struct visit {
	struct rep_thread common; /* pid and fds of the process */
	inspect_thread_fn fn;
	void *arg;
	int n;
};

static int one_thread(void *arg, pid_t tid)
{
	struct visit *v = arg;
	struct rep_thread t = v->common;
	char path[64], text[8192];
	uint64_t x;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", t.pid, tid);
	if (slurp(path, text, sizeof(text)) <= 0)
		return 0; /* gone meanwhile */
	t.tid = tid;
	t.seccomp = field(text, "Seccomp", 10, &x) ? (int32_t)x : -1;
	t.no_new_privs = field(text, "NoNewPrivs", 10, &x) ? (int32_t)x : -1;
	t.capbnd = field(text, "CapBnd", 16, &x) ? x : ~0ull;
	t.capeff = field(text, "CapEff", 16, &x) ? x : ~0ull;
	t.uid = field(text, "Uid", 10, &x) ? (uint32_t)x : ~0u;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", t.pid, tid);
	ssize_t n = slurp(path, text, 64);
	if (n > 0)
		text_safe(t.comm, sizeof(t.comm), text, strcspn(text, "\n"), false);
	v->fn(v->arg, &t);
	v->n++;
	return 0;
}

int inspect_threads(pid_t pid, int tree, inspect_thread_fn fn, void *arg)
{
	int n;
	pid_t *pids = collect(pid, tree, &n);
	if (!pids)
		return -ENOMEM;
	struct visit v = { .fn = fn, .arg = arg };
	for (int i = 0; i < n; i++) {
		char path[64];
		v.common = (struct rep_thread){ .pid = pids[i] };
		struct fds f = { .t = &v.common, .pid = pids[i] };
		snprintf(path, sizeof(path), "/proc/%d/fd", pids[i]);
		if (each_number(path, add_fd, &f) < 0)
			snprintf(v.common.fds, sizeof(v.common.fds), "?");
		snprintf(path, sizeof(path), "/proc/%d/task", pids[i]);
		each_number(path, one_thread, &v);
	}
	free(pids);
	return v.n ? v.n : -ESRCH;
}

/* ---- memory ------------------------------------------------------------ */

/* A helper of UML shares the memory of the main process (CLONE_VM without
 * CLONE_THREAD): counted once. */
static bool same_memory(pid_t a, pid_t b)
{
	long r = syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
	if (r >= 0)
		return r == 0;
	char path[64], x[128] = "", y[128] = "";
	snprintf(path, sizeof(path), "/proc/%d/statm", a);
	slurp(path, x, sizeof(x));
	snprintf(path, sizeof(path), "/proc/%d/statm", b);
	slurp(path, y, sizeof(y));
	return !strcmp(x, y);
}

int inspect_memory(pid_t pid, int tree, struct inspect_memory *out)
{
	int n;
	struct inspect_memory sum = { 0 };
	bool any = false;
	pid_t *pids = collect(pid, tree, &n);
	if (!pids)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		char path[64], text[4096];
		uint64_t rss, pss;
		if (i && same_memory(pid, pids[i]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pids[i]);
		if (slurp(path, text, sizeof(text)) <= 0)
			continue;
		if (field(text, "Rss", 10, &rss) && field(text, "Pss", 10, &pss)) {
			sum.rss += rss << 10;
			sum.pss += pss << 10;
			any = true;
		}
	}
	free(pids);
	if (!any)
		return -ESRCH;
	*out = sum;
	return 0;
}
