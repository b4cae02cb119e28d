/* SPDX-License-Identifier: ISC */
/* One asciicast for each terminal of each selected session: SESSION-TERMINAL.cast. */
#include "cli/cast.h"
#include "cli/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct session_table *table;
	const char *honeypot;
};

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct reading *g = arg;
	(void)in;
	session_add(g->table, g->honeypot, r);
	return !g->table->oom;
}

static int read_sessions(struct export_run *x, struct session_table *t)
{
	char(*names)[NAME_CAP] = calloc(MODEL_HONEYPOTS, NAME_CAP);
	if (!names)
		return err_set(&x->e, -ENOMEM, "out of memory");
	unsigned n = skt_honeypots(&x->dir, names, MODEL_HONEYPOTS);
	int r = 0;
	for (unsigned i = 0; i < n && r >= 0; i++) {
		struct reading g = { .table = t, .honeypot = names[i] };
		struct skt_reader in;
		if (!evidence_filter_honeypot(&x->filter, names[i]))
			continue;
		skt_reader_init(&in, &x->dir, names[i], on_record, &g);
		in.since = x->filter.since;
		r = skt_read(&in, &x->e);
		x->cut += in.cut;
		x->broken += in.damaged + in.nonsense;
		skt_reader_free(&in);
	}
	free(names);
	if (r >= 0 && t->oom)
		r = err_set(&x->e, -ENOMEM, "out of memory: choose less with --since and --until");
	return r < 0 ? r : 0;
}

static bool wanted(const struct export_run *x, const struct session *s)
{
	char id[SESSION_ID_TEXT];
	const struct evidence_filter *f = &x->filter;
	if (x->scope.session && strcmp(session_id_text(id, s->id), x->scope.session) != 0)
		return false;
	return session_until(s) >= f->since && (!f->until || s->start < f->until);
}

static int one(struct export_run *x, int dir, const struct session *s, const struct session_tty *t)
{
	char id[SESSION_ID_TEXT], tty[24], name[64];
	struct outfile file;
	session_tty_name(tty, t->tty);
	for (char *p = tty; *p; p++)
		if (*p == '/')
			*p = '-';
	snprintf(name, sizeof(name), "%s-%s.cast", session_id_text(id, s->id), tty);
	int r = outfile_openat(&file, dir, x->to, name, x->force, &x->e);
	if (r < 0)
		return r;
	r = cast_write(&x->dir, s, t->tty, 0, file.f, &x->e);
	if (r >= 0)
		r = outfile_commit(&file, &x->e);
	outfile_drop(&file);
	x->count += r >= 0;
	return r < 0 ? r : 0;
}

int export_casts(struct export_run *x)
{
	struct session_table t = { 0 };
	x->what = "casts";
	int r = read_sessions(x, &t), dir = -1;
	if (r == 0 && mkdir(x->to, 0700) < 0 && errno != EEXIST)
		r = err_sys(&x->e, -errno, "cannot make the folder %s", x->to);
	if (r == 0 && (dir = open(x->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = err_sys(&x->e, -errno, "cannot write into the folder %s", x->to);
	for (unsigned i = 0; i < t.n && r == 0; i++)
		for (unsigned k = 0; k < t.s[i].nttys && r == 0; k++)
			if (wanted(x, &t.s[i]) && (t.s[i].ttys[k].in || t.s[i].ttys[k].out))
				r = one(x, dir, &t.s[i], &t.s[i].ttys[k]);
	if (dir >= 0)
		close(dir);
	session_table_free(&t);
	return r;
}
