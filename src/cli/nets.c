/* SPDX-License-Identifier: ISC */
#include "cli/nets.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM (DIRS_PATH + NAME_CAP + 16)

int net_lock(const char *name, bool make, struct err *e)
{
	char run[DIRS_PATH], path[PATH_ROOM];
	int r = dirs_run(run, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", run, name);
	for (;;) {
		struct stat mine, now;
		snprintf(path, sizeof(path), "%s/%s", run, name);
		if (make && (r = dirs_make(path, e)) < 0)
			return r;
		snprintf(path, sizeof(path), "%s/%s/lock", run, name);
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
		if (fd < 0 && errno == ENOENT && make)
			continue; /* somebody's end just took the directory away */
		if (fd < 0)
			return err_sys(e, -errno, "cannot open %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			r = -errno;
			close(fd);
			return err_sys(e, r, "%s", path);
		}
		/* The one who held it may have removed it before we got it. */
		if (!fstat(fd, &mine) && !stat(path, &now) && mine.st_ino == now.st_ino && mine.st_dev == now.st_dev)
			return fd;
		close(fd);
		if (!make)
			return err_set(e, -ENOENT, "%s is gone", path);
	}
}

void net_sweep(const char *name, bool keep_log)
{
	static const char *const files[] = { "log", "log.1", "ctl", "lock" };
	char run[DIRS_PATH], path[PATH_ROOM];
	if (dirs_run(run, NULL) < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", run, name);
	int fd = access(path, F_OK) == 0 ? net_lock(name, true, NULL) : -1;
	if (fd < 0)
		return;
	/* The lock last: whoever waits for it finds that its file is gone. */
	for (size_t i = keep_log ? 2 : 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", run, name, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%s", run, name);
	rmdir(path);
	close(fd);
}

enum net_life net_life(const char *name)
{
	struct cli_ctl c;
	int r = cli_ctl_open(&c, name, NULL);
	if (!r) {
		cli_ctl_close(&c);
		return NET_RUNNING;
	}
	if (r == -EAGAIN)
		return NET_BUSY;
	if (r == -EACCES || r == -EPERM)
		return NET_FOREIGN;
	int fd = net_lock(name, false, NULL);
	if (fd >= 0)
		close(fd);
	if (fd == -EWOULDBLOCK)
		return NET_BUSY;
	if (fd == -EACCES)
		return NET_FOREIGN;
	return r == -ECONNREFUSED ? NET_STALE : NET_ENDED;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct net_entry *)a)->name, ((const struct net_entry *)b)->name);
}

int nets_scan(struct nets *out, struct err *e)
{
	char run[DIRS_PATH];
	int r = dirs_run(run, e);
	if (r < 0)
		return r;
	out->n = 0;
	DIR *d = opendir(run);
	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return err_sys(e, -errno, "cannot read %s", run);
	for (struct dirent *de; (de = readdir(d)) && out->n < NETS_MAX;) {
		struct stat st;
		if (!text_is_name(de->d_name) || fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		text_copy(out->e[out->n].name, NAME_CAP, de->d_name);
		out->e[out->n].life = net_life(de->d_name);
		out->n += out->e[out->n].life != NET_ENDED;
	}
	closedir(d);
	qsort(out->e, out->n, sizeof(out->e[0]), by_name);
	return 0;
}

bool net_known(const char *name)
{
	char dir[DIRS_PATH], path[PATH_ROOM];
	if (!text_is_name(name))
		return false;
	if (!dirs_run(dir, NULL)) {
		snprintf(path, sizeof(path), "%s/%s/ctl", dir, name);
		if (!access(path, F_OK))
			return true;
	}
	if (dirs_state(dir, NULL) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/nets/%s", dir, name);
	return !access(path, F_OK);
}

int net_honeypots(struct cli_ctl *c, net_honeypot_fn fn, void *arg, struct err *e)
{
	struct cmd_ps req = { 0 };
	struct msg m;
	int r = cli_ctl_send(c, MSG_CMD_PS, &req, sizeof(req), NULL, 0, e);
	if (r < 0)
		return r;
	while ((r = cli_ctl_next(c, &m, CLI_CTL_QUICK, e)) == 1) {
		const struct rep_honeypot *h = MSG_BODY_AS(&m, rep_honeypot);
		if (m.type == MSG_REP_HONEYPOT && MSG_TEXT(h->name))
			fn(arg, c->net, h);
		msg_close_fds(&m);
	}
	return r;
}

struct search {
	const char *name;
	unsigned hits;           /* in this honeynet */
	char all[256], near[64]; /* what there is, for messages */
	unsigned distance;
};

static void look(void *arg, const char *net, const struct rep_honeypot *h)
{
	struct search *s = arg;
	if (!strcmp(h->name, s->name)) {
		s->hits++;
		return;
	}
	unsigned d = command_distance(s->name, h->name);
	if (d <= 2 && d < s->distance && d < strlen(h->name)) {
		s->distance = d;
		snprintf(s->near, sizeof(s->near), "%s", h->name);
	}
	size_t at = strlen(s->all);
	snprintf(s->all + at, sizeof(s->all) - at, "%s%s/%s", at ? ", " : "", net, h->name);
}

static int not_found(const struct search *s, const char *spec, struct err *e)
{
	if (s->near[0])
		return err_set(e, -ENOENT, "no honeypot %s: did you mean %s?", spec, s->near);
	if (s->all[0])
		return err_set(e, -ENOENT, "no honeypot %s runs; there are %s", spec, s->all);
	return err_set(e, -ENOENT, "no honeypot %s: no honeynet runs; start one with `skep up FILE`", spec);
}

int net_find_honeypot(const char *spec, struct cli_ctl *c, char honeypot[NAME_CAP], struct err *e)
{
	char net[NAME_CAP] = "";
	const char *name = spec, *slash = strchr(spec, '/');
	struct search s = { .distance = ~0u };
	if (slash) {
		if ((size_t)(slash - spec) >= sizeof(net))
			return err_set(e, -EINVAL, "\"%s\" is not NET/HONEYPOT", spec);
		memcpy(net, spec, (size_t)(slash - spec));
		name = slash + 1;
	}
	if (!text_is_name(name) || (slash && !text_is_name(net)))
		return err_set(e, -EINVAL, "\"%s\" is not a honeypot's name", spec);
	s.name = name;
	struct nets all = { .n = 1 };
	if (slash)
		text_copy(all.e[0].name, NAME_CAP, net);
	int r = slash ? 0 : nets_scan(&all, e);
	char where[256] = "";
	unsigned found = 0;
	for (unsigned i = 0; !r && i < all.n; i++) {
		struct cli_ctl t;
		if (!slash && all.e[i].life != NET_RUNNING)
			continue;
		r = cli_ctl_open(&t, all.e[i].name, e);
		if (r < 0 && !slash) {
			r = 0; /* ended since the scan */
			continue;
		}
		if (r < 0)
			return r;
		s.hits = 0;
		r = net_honeypots(&t, look, &s, e);
		if (r == 0 && s.hits) {
			size_t at = strlen(where);
			snprintf(where + at, sizeof(where) - at, "%s%s/%s", at ? " or " : "", t.net, name);
			if (found++ == 0) {
				*c = t;
				continue;
			}
		}
		cli_ctl_close(&t);
	}
	if (!r && found == 1) {
		text_copy(honeypot, NAME_CAP, name);
		return 0;
	}
	if (found)
		cli_ctl_close(c);
	if (r < 0)
		return r;
	return found ? err_set(e, -ENOTUNIQ, "more than one honeynet has a honeypot %s: say %s", name, where)
		     : not_found(&s, spec, e);
}
