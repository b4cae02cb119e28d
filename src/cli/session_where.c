/* SPDX-License-Identifier: ISC */
#include "cli/session_where.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static bool open_dir(struct places *p, const char *net, const char *path)
{
	struct evidence_dir *d = &p->dirs[p->ndirs];
	if (p->ndirs == PLACES_NETS)
		return false;
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return false;
	text_copy(p->nets[p->ndirs], NAME_CAP, net);
	p->ndirs++;
	return true;
}

static void open_nets(struct places *p, const char *state, const char *only)
{
	char path[DIRS_PATH + 32], sub[DIRS_PATH + 100];
	snprintf(path, sizeof(path), "%s/nets", state);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (!text_is_name(e->d_name) || (only && strcmp(only, e->d_name) != 0))
			continue;
		snprintf(sub, sizeof(sub), "%s/%.31s/evidence", path, e->d_name);
		open_dir(p, e->d_name, sub);
	}
	closedir(d);
}

static void add_places(struct places *p, unsigned dir, const char *honeypot)
{
	char names[256][NAME_CAP];
	unsigned n = skt_honeypots(&p->dirs[dir], names, 256);
	for (unsigned i = 0; i < n && p->n < PLACES_MAX; i++) {
		if (honeypot && strcmp(honeypot, names[i]) != 0)
			continue;
		struct place *q = &p->p[p->n++];
		memcpy(q->net, p->nets[dir], NAME_CAP);
		memcpy(q->honeypot, names[i], NAME_CAP);
		q->dir = &p->dirs[dir];
	}
}

static int no_place(const struct cmd *c, const struct places *p, const char *spec)
{
	char all[400] = "";
	size_t n = 0;
	for (unsigned i = 0; i < p->ndirs && n < sizeof(all); i++) {
		char names[256][NAME_CAP];
		unsigned count = skt_honeypots(&p->dirs[i], names, 256);
		for (unsigned k = 0; k < count && n < sizeof(all); k++)
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s%s%s", n ? ", " : "", p->nets[i],
					      *p->nets[i] ? "/" : "", names[k]);
	}
	if (n)
		return cmd_fail(c, "no sessions are recorded of \"%s\"; there are some of %s", spec, all);
	return cmd_fail(c, "no sessions are recorded of \"%s\", nor of any other", spec);
}

/* The names that spec has: NET, HONEYPOT (one word may be either), NET/HONEYPOT. */
static bool choose(struct places *p, const char *spec, bool dir)
{
	const char *slash = spec ? strchr(spec, '/') : NULL;
	char net[NAME_CAP] = "";
	if (slash)
		snprintf(net, sizeof(net), "%.*s", (int)(slash - spec), spec);
	bool is_net = false;
	for (unsigned i = 0; spec && !slash && !dir && i < p->ndirs; i++)
		is_net |= !strcmp(p->nets[i], spec);
	for (unsigned i = 0; i < p->ndirs; i++) {
		if (slash ? strcmp(net, p->nets[i]) != 0 : is_net && strcmp(spec, p->nets[i]) != 0)
			continue;
		add_places(p, i, slash ? slash + 1 : is_net ? NULL : spec);
	}
	return !spec || is_net || p->n;
}

int places_open(const struct cmd *c, const char *spec, struct places **out)
{
	struct err e = { 0 };
	char state[DIRS_PATH];
	const char *dir = cmd_str(c, "dir");
	struct places *p = calloc(1, sizeof(*p));
	int status;
	if (!p)
		return cmd_fail(c, "out of memory");
	if (dir && !open_dir(p, "", dir))
		status = cmd_fail(c, "cannot open the evidence directory %s: %s", dir, strerror(errno));
	else if (!dir && dirs_state(state, &e) < 0)
		status = cmd_fail_err(c, &e, NULL);
	else {
		if (!dir)
			open_nets(p, state, NULL);
		if (!p->ndirs)
			status = cmd_fail(c,
					  "there is no evidence yet below %s/nets: start a honeynet with skep up "
					  "FILE",
					  state);
		else
			status = choose(p, spec, dir != NULL) ? CMD_OK : no_place(c, p, spec);
	}
	if (status != CMD_OK) {
		places_close(p);
		return status;
	}
	*out = p;
	return CMD_OK;
}

void places_rescan(const struct cmd *c, struct places *p, const char *spec)
{
	p->n = 0;
	choose(p, spec, cmd_str(c, "dir") != NULL);
}

void places_close(struct places *p)
{
	for (unsigned i = 0; p && i < p->ndirs; i++)
		evidence_dir_close(&p->dirs[i]);
	free(p);
}

/* ---- all that is recorded ------------------------------------------------- */

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct session_table *t = arg;
	session_add(t, in->honeypot, r);
	return !t->oom;
}

int loaded_read(const struct cmd *c, const char *spec, struct loaded *l)
{
	struct err e = { 0 };
	*l = (struct loaded){ 0 };
	int status = places_open(c, spec, &l->places);
	if (status != CMD_OK)
		return status;
	l->tables = calloc(l->places->n + 1, sizeof(*l->tables));
	for (unsigned i = 0; l->tables && status == CMD_OK && i < l->places->n; i++) {
		struct place *p = &l->places->p[i];
		struct skt_reader r;
		skt_reader_init(&r, p->dir, p->honeypot, on_record, &l->tables[i]);
		if (skt_read(&r, &e) < 0 || session_join(&l->tables[i], p->dir, &e) < 0)
			status = cmd_fail_err(c, &e, NULL);
		else if (l->tables[i].oom)
			status = cmd_fail(c, "out of memory");
		skt_reader_remarks(&r, c);
		skt_reader_free(&r);
	}
	if (!l->tables)
		status = cmd_fail(c, "out of memory");
	if (status != CMD_OK)
		loaded_free(l);
	return status;
}

void loaded_free(struct loaded *l)
{
	for (unsigned i = 0; l->tables && i < l->places->n; i++)
		session_table_free(&l->tables[i]);
	free(l->tables);
	places_close(l->places);
	*l = (struct loaded){ 0 };
}

int loaded_find(const struct cmd *c, struct loaded *l, const char *id, struct session **s, struct place **where)
{
	uint64_t want, mask;
	unsigned found = 0;
	if (!session_id_parse(id, &want, &mask))
		return cmd_usage(c, "\"%s\" is no session: 4 to 12 hex digits, as skep sessions prints them", id);
	for (unsigned i = 0; i < l->places->n; i++)
		for (unsigned k = 0; k < l->tables[i].n; k++)
			if ((l->tables[i].s[k].id & mask) == want) {
				*s = &l->tables[i].s[k];
				*where = &l->places->p[i];
				found++;
			}
	if (found > 1)
		return cmd_fail(c, "%u sessions begin with %s: give more digits", found, id);
	return found ? CMD_OK : cmd_fail(c, "no session %s is recorded; skep sessions lists them", id);
}

int loaded_one(const struct cmd *c, const char *spec, const char *id, struct loaded *l, struct session **s,
	       struct place **where)
{
	int status = loaded_read(c, spec, l);
	if (status != CMD_OK)
		return status;
	status = loaded_find(c, l, id, s, where);
	if (status != CMD_OK)
		loaded_free(l);
	return status;
}
