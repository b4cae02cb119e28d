/* SPDX-License-Identifier: ISC */
/*
 * Kernel Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst. A v1
 * controller has a hierarchy of its own; all of v2 share one, where a group
 * has a controller only if its parent lists it in cgroup.subtree_control, and
 * a parent that lists any may (but for the root) hold no process itself.
 */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const names[CG_COUNT] = { "memory", "pids", "cpu", "freezer" };

/* ---- small files ------------------------------------------------------ */

static int put(const char *dir, const char *file, const char *text)
{
	char path[CGROUP_PATH + 64];
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = strlen(text);
	int r = write(fd, text, n) == (ssize_t)n ? 0 : -errno;
	close(fd);
	return r;
}

static int get(const char *dir, const char *file, char *buf, size_t cap)
{
	char path[CGROUP_PATH + 64];
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, buf, cap - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return r;
}

static uint64_t get_number(const char *dir, const char *file)
{
	char b[64];
	if (get(dir, file, b, sizeof(b)) < 0 || b[0] < '0' || b[0] > '9')
		return 0;
	return strtoull(b, NULL, 10);
}

/* The number behind "KEY " at the beginning of a line. */
static uint64_t get_key(const char *dir, const char *file, const char *key)
{
	char b[1024];
	size_t n = strlen(key);
	if (get(dir, file, b, sizeof(b)) < 0)
		return 0;
	for (char *line = b; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, key, n) && line[n] == ' ')
			return strtoull(line + n, NULL, 10);
	return 0;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t n = strlen(word);
	for (const char *p = list; *p;) {
		size_t len = strcspn(p, separators);
		if (len == n && !memcmp(p, word, n))
			return true;
		p += len;
		p += strspn(p, separators);
	}
	return false;
}

/* ---- where this process is -------------------------------------------- */

/* /proc/self/cgroup: "4:memory:/a/b" or, v2, "0::/a/b". */
static bool own_group(const char *controller, char *out, size_t cap)
{
	char line[1024];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *a = strchr(line, ':'), *b = a ? strchr(a + 1, ':') : NULL;
		if (!b)
			continue;
		*b = 0;
		b[1 + strcspn(b + 1, "\n")] = 0;
		bool is = controller ? has_word(a + 1, controller, ",") : !strncmp(line, "0:", 2) && !a[1];
		if (is && (size_t)snprintf(out, cap, "%s", b + 1) < cap)
			found = true;
	}
	if (f)
		fclose(f);
	return found;
}

/* The mount of a controller (NULL: v2) in /proc/self/mountinfo (proc(5)): its
 * place, and which group of the hierarchy is its root. */
static bool find_mount(const char *controller, char *place, char *root, size_t cap)
{
	char line[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *dash = strstr(line, " - ");
		char type[32], options[512];
		if (!dash || sscanf(dash + 3, "%31s %*s %511s", type, options) != 2)
			continue;
		if (strcmp(type, controller ? "cgroup" : "cgroup2") != 0 ||
		    (controller && !has_word(options, controller, ",")))
			continue;
		char r[CGROUP_PATH], p[CGROUP_PATH];
		if (sscanf(line, "%*s %*s %*s %511s %511s", r, p) != 2 || strlen(r) >= cap || strlen(p) >= cap)
			continue;
		strcpy(root, r);
		strcpy(place, p);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static bool own_dir(const char *controller, char out[CGROUP_PATH])
{
	char place[CGROUP_PATH], root[CGROUP_PATH], group[CGROUP_PATH];
	if (!find_mount(controller, place, root, sizeof(place)) || !own_group(controller, group, sizeof(group)))
		return false;
	size_t n = strcmp(root, "/") ? strlen(root) : 0;
	/* A group that is not below the mount cannot be reached through it. */
	if (strncmp(group, root, n) != 0 || !strncmp(group, "/..", 3))
		return false;
	const char *rest = group + n;
	if (!strcmp(rest, "/"))
		rest = "";
	return (size_t)snprintf(out, CGROUP_PATH, "%s%s", place, rest) < CGROUP_PATH;
}

/* ---- making ----------------------------------------------------------- */

static int make_dir(const char *parent, const char *name, char out[CGROUP_PATH])
{
	char path[CGROUP_PATH];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", parent, name) >= sizeof(path))
		return -ENAMETOOLONG;
	/* One that is left over from a crash has no process and goes first, so
	 * that its limits and counters do. */
	rmdir(path);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	strcpy(out, path);
	return 0;
}

/* v2: makes the controllers available to groups below dir. Returns which. */
static unsigned enable_below(const char *dir)
{
	unsigned have = 0;
	for (int c = 0; c < CG_FREEZER; c++) {
		char text[32], list[256];
		snprintf(text, sizeof(text), "+%s", names[c]);
		put(dir, "cgroup.subtree_control", text);
		if (get(dir, "cgroup.subtree_control", list, sizeof(list)) == 0 && has_word(list, names[c], " \n"))
			have |= CG_BIT(c);
	}
	return have;
}

static int make_v2(struct cgroup *g, const char *parent, const char *name, unsigned missing)
{
	char path[CGROUP_PATH];
	unsigned have = enable_below(parent);
	int r = make_dir(parent, name, path);
	if (r < 0)
		return r;
	have = (have | CG_BIT(CG_FREEZER)) & missing; /* every v2 group can be frozen */
	for (int c = 0; c < CG_COUNT; c++)
		if (have & CG_BIT(c))
			strcpy(g->path[c], path);
	g->have |= have;
	g->v2 |= have;
	if (!have)
		rmdir(path);
	return 0;
}

static void add_v1(struct cgroup *g, const char *const parents[CG_COUNT], const char *name, int *why)
{
	for (int c = 0; c < CG_COUNT; c++) {
		if (!parents[c] || (g->have & CG_BIT(c)))
			continue;
		int r = make_dir(parents[c], name, g->path[c]);
		if (r < 0)
			*why = r;
		else
			g->have |= CG_BIT(c);
	}
}

int cgroup_root(struct cgroup *out, const char *name, struct err *e)
{
	struct cgroup g = { 0 };
	char dirs[CG_COUNT][CGROUP_PATH], place[CGROUP_PATH], root[CGROUP_PATH], own[CGROUP_PATH];
	const char *parents[CG_COUNT] = { 0 };
	int why = -ENOENT;
	for (int c = 0; c < CG_COUNT; c++)
		if (own_dir(names[c], dirs[c]))
			parents[c] = dirs[c];
	add_v1(&g, parents, name, &why);
	unsigned missing = (CG_BIT(CG_COUNT) - 1) & ~g.have;
	if (missing && own_dir(NULL, own)) {
		int r = make_v2(&g, own, name, missing);
		why = r < 0 ? r : why;
		missing = (CG_BIT(CG_COUNT) - 1) & ~g.have;
		/* Our own group holds processes, so it may pass nothing on; the
		 * root of the hierarchy may. */
		if ((missing & ~CG_BIT(CG_FREEZER)) && find_mount(NULL, place, root, sizeof(place)) &&
		    strcmp(place, own) != 0)
			make_v2(&g, place, name, missing);
	}
	if (!(g.have & ~CG_BIT(CG_FREEZER))) {
		cgroup_remove(&g, NULL);
		return err_set(
		    e, -ENOTSUP,
		    "no control groups (%s): no limit on the memory, processes and CPU time of all machines "
		    "together; start as root, or in a delegated group (systemd-run --user --scope -p Delegate=yes)",
		    strerror(-why));
	}
	*out = g;
	return 0;
}

int cgroup_make(struct cgroup *out, const struct cgroup *parent, const char *name, struct err *e)
{
	struct cgroup g = { 0 };
	int why = 0;
	const char *v1[CG_COUNT] = { 0 };
	for (int c = 0; c < CG_COUNT; c++)
		if ((parent->have & ~parent->v2) & CG_BIT(c))
			v1[c] = parent->path[c];
	add_v1(&g, v1, name, &why);
	for (int c = 0; c < CG_COUNT && !why; c++)
		if ((parent->v2 & CG_BIT(c)) && !(g.have & CG_BIT(c)))
			why = make_v2(&g, parent->path[c], name, parent->v2 & ~g.have);
	if (why) {
		cgroup_remove(&g, NULL);
		return err_sys(e, why, "cannot make control group %s", name);
	}
	*out = g;
	return 0;
}

/* ---- using ------------------------------------------------------------ */

static int limit_one(const struct cgroup *g, int c, const char *v1, const char *v2, const char *value, struct err *e)
{
	bool here = (g->have & CG_BIT(c)) != 0;
#ifdef MUTANT_CGROUP_NO_LIMIT
	here = false;
#endif
	if (!here)
		return 0;
	const char *file = g->v2 & CG_BIT(c) ? v2 : v1;
	int r = put(g->path[c], file, value);
	return r < 0 ? err_sys(e, r, "cannot write %s to %s/%s", value, g->path[c], file) : 0;
}

int cgroup_limit(const struct cgroup *g, const struct cgroup_limits *l, struct err *e)
{
	enum { PERIOD = 100000 }; /* us */
	char text[64];
	int r = 0;
	if (l->memory) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)l->memory);
		r = limit_one(g, CG_MEMORY, "memory.limit_in_bytes", "memory.max", text, e);
		/* No way around it through swap; older or smaller kernels have no such file. */
		if (!r && (g->have & CG_BIT(CG_MEMORY))) {
			bool two = g->v2 & CG_BIT(CG_MEMORY);
			put(g->path[CG_MEMORY], two ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
			    two ? "0" : text);
		}
	}
	if (!r && l->pids) {
		snprintf(text, sizeof(text), "%u", l->pids);
		r = limit_one(g, CG_PIDS, "pids.max", "pids.max", text, e);
	}
	if (!r && l->cpu_percent) {
		unsigned long long quota = (unsigned long long)l->cpu_percent * PERIOD / 100;
		if (g->v2 & CG_BIT(CG_CPU))
			snprintf(text, sizeof(text), "%llu %d", quota, PERIOD);
		else
			snprintf(text, sizeof(text), "%llu", quota);
		if (!(g->v2 & CG_BIT(CG_CPU)) && (g->have & CG_BIT(CG_CPU)))
			put(g->path[CG_CPU], "cpu.cfs_period_us", "100000");
		r = limit_one(g, CG_CPU, "cpu.cfs_quota_us", "cpu.max", text, e);
	}
	return r;
}

/* Is path[c] the same directory as an earlier one's? */
static bool repeated(const struct cgroup *g, int c)
{
	for (int i = 0; i < c; i++)
		if ((g->have & CG_BIT(i)) && !strcmp(g->path[i], g->path[c]))
			return true;
	return false;
}

int cgroup_join_fds(const struct cgroup *g, int fds[CG_COUNT], struct err *e)
{
	int n = 0;
	for (int c = 0; c < CG_COUNT; c++) {
		char path[CGROUP_PATH + 16];
		if (!(g->have & CG_BIT(c)) || repeated(g, c))
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.procs", g->path[c]);
		fds[n] = open(path, O_WRONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			int r = err_sys(e, -errno, "cannot open %s", path);
			while (n)
				close(fds[--n]);
			return r;
		}
		n++;
	}
	return n;
}

int cgroup_usage(const struct cgroup *g, struct cgroup_usage *out)
{
	struct cgroup_usage u = { 0 };
	const char *m = g->path[CG_MEMORY];
	if (g->v2 & CG_BIT(CG_MEMORY)) {
		u.memory = get_number(m, "memory.current");
		u.memory_peak = get_number(m, "memory.peak");
		u.oom_kills = get_key(m, "memory.events", "oom_kill");
	} else if (g->have & CG_BIT(CG_MEMORY)) {
		u.memory = get_number(m, "memory.usage_in_bytes");
		u.memory_peak = get_number(m, "memory.max_usage_in_bytes");
		u.oom_kills = get_key(m, "memory.oom_control", "oom_kill");
	}
	if (g->have & CG_BIT(CG_PIDS))
		u.pids = (uint32_t)get_number(g->path[CG_PIDS], "pids.current");
	*out = u;
	return 0;
}

int cgroup_freeze(const struct cgroup *g, int frozen, struct err *e)
{
	if (!(g->have & CG_BIT(CG_FREEZER)))
		return err_set(e, -ENOTSUP, "no freezer control group here");
	bool two = g->v2 & CG_BIT(CG_FREEZER);
	const char *word = two ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
	int r = put(g->path[CG_FREEZER], two ? "cgroup.freeze" : "freezer.state", word);
	return r < 0 ? err_sys(e, r, "cannot %s control group %s", frozen ? "freeze" : "thaw", g->path[CG_FREEZER]) : 0;
}

int cgroup_remove(const struct cgroup *g, struct err *e)
{
	static const struct timespec pause = { 0, 5000000 };
	int r = 0;
	for (int c = 0; c < CG_COUNT; c++) {
		if (!(g->have & CG_BIT(c)) || repeated(g, c))
			continue;
		int tries = 40;
		while (rmdir(g->path[c]) < 0 && errno == EBUSY && --tries)
			nanosleep(&pause, NULL);
		struct stat st;
		if (stat(g->path[c], &st) == 0)
			r = err_set(e, -EBUSY, "control group %s still has processes", g->path[c]);
	}
	return r;
}
