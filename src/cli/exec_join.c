/* SPDX-License-Identifier: ISC */
#include "cli/proc_table.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* More than ARG_MAX of Linux's default stack: a guest that says more lies. */
enum { ARGS_MAX = 8 << 20 };

void exec_join_free(struct exec_join *j)
{
	free(j->buf);
	*j = (struct exec_join){ 0 };
}

static void append(struct exec_join *j, struct slice s, bool end)
{
	size_t need = j->n + s.n + end;
	if (need > ARGS_MAX) {
		j->cut = true;
		return;
	}
	if (need > j->cap) {
		size_t cap = need < 4096 ? 4096 : need * 2;
		uint8_t *p = realloc(j->buf, cap);
		if (!p) {
			j->cut = true;
			return;
		}
		j->buf = p;
		j->cap = cap;
	}
	if (s.n)
		memcpy(j->buf + j->n, s.p, s.n);
	j->n += s.n;
	if (end)
		j->buf[j->n++] = 0;
}

bool exec_join_add(struct exec_join *j, const struct skt_rec *r, struct intro_rec *h, struct skt_exec *x, bool *cut)
{
	struct skt_exec one;
	if (!skt_exec(r, &one))
		return false;
	if (r->h.flags & INTRO_F_CONT) {
		if (!j->open || j->r.h.pid != r->h.pid)
			return false;
	} else {
		j->r = *r;
		j->r.body = (struct slice){ 0 };
		j->open = true;
		j->cut = false;
		j->n = 0;
		j->ret = one.ret;
		j->argc = one.argc;
		append(j, one.path, true);
		j->path = j->n;
		append(j, one.cwd, true);
		j->cwd = j->n;
	}
	append(j, one.args, false);
	j->cut |= (r->h.flags & INTRO_F_CUT) != 0;
	if (r->h.flags & INTRO_F_MORE)
		return false;
	j->open = false;
	if (j->n < j->cwd || !j->path || j->cwd <= j->path)
		return false; /* no memory */
	*h = j->r.h;
	*x = (struct skt_exec){ j->ret, j->argc, slice_of(j->buf, j->path - 1),
				slice_of(j->buf + j->path, j->cwd - j->path - 1),
				slice_of(j->buf + j->cwd, j->n - j->cwd) };
	*cut = j->cut;
	return true;
}

static bool plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '\'' || s.p[i] == '"' || s.p[i] == 0x7f)
			return false;
	return s.n != 0;
}

void exec_text(char *buf, size_t cap, const struct skt_exec *x)
{
	struct slice args = x->args, one;
	size_t n = 0;
	buf[0] = '\0';
	while (n + 8 < cap && skt_take_text(&args, &one)) {
		bool quote = !plain(one);
		if (n)
			buf[n++] = ' ';
		if (quote)
			buf[n++] = '"';
		size_t room = cap - n - 5;
		n += text_safe(buf + n, room, one.p, one.n, false);
		if (quote)
			buf[n++] = '"';
		buf[n] = '\0';
	}
	if (args.n && n + 4 < cap)
		memcpy(buf + n, "...", 4);
	if (!n)
		text_safe(buf, cap, x->path.p, x->path.n, false);
}
