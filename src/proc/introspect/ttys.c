/* SPDX-License-Identifier: ISC */
#include "proc/introspect/ttys.h"

#include <string.h>

void ttys_init(struct ttys *t)
{
	memset(t, 0, sizeof(*t));
}

struct tty *ttys_find(struct ttys *t, uint32_t id)
{
	for (unsigned i = 0; i < TTYS_MAX; i++)
		if (t->id[i] == id && id)
			return &t->at[i];
	return NULL;
}

struct tty *ttys_get(struct ttys *t, uint32_t id, void (*evicted)(void *arg, uint32_t id, struct tty *x), void *arg)
{
	struct tty *x = ttys_find(t, id);
	if (!x) {
		unsigned at = 0;
		for (unsigned i = 0; i < TTYS_MAX; i++)
			if (t->at[i].last < t->at[at].last)
				at = i;
		x = &t->at[at];
		if (t->id[at]) {
			t->evicted++;
			if (evicted)
				evicted(arg, t->id[at], x);
		}
		memset(x, 0, sizeof(*x));
		t->id[at] = id;
	}
	x->last = ++t->clock;
	return x;
}

void tty_bind(struct tty *x, struct ref session)
{
	if (ref_same(x->session, session))
		return;
	struct screen shown = x->line.screen;
	bool first = !ref_set(x->session);
	x->session = session;
	x->name[0] = x->target[0] = 0;
	memset(&x->line, 0, sizeof(x->line));
	if (first) /* "login:" stands there before anybody comes */
		x->line.screen = shown;
	line_cols(&x->line, x->cols);
}
