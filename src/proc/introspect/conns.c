/* SPDX-License-Identifier: ISC */
#include "proc/introspect/conns.h"

#include <string.h>

void conns_init(struct conns *c)
{
	memset(c, 0, sizeof(*c));
}

struct conn *conns_get(struct conns *c, struct ref r)
{
	struct conn *x = &c->at[r.at % CONNS_MAX];
	return r.gen && x->gen == r.gen && x->holders ? x : NULL;
}

/* Places are given out in a circle, so that the next one in use is the one that
 * was accepted longest ago. */
struct ref conns_add(struct conns *c, const struct hook_socket *s, uint64_t time)
{
	uint32_t at = c->hand;
	if (c->live < CONNS_MAX)
		while (c->at[at].holders)
			at = (at + 1) % CONNS_MAX;
	struct conn *x = &c->at[at];
	if (x->holders)
		c->evicted++;
	else
		c->live++;
	uint32_t gen = x->gen + 1 ? x->gen + 1 : 1;
	*x = (struct conn){ .gen = gen, .holders = 1, .sock = *s, .time = time };
	c->hand = (at + 1) % CONNS_MAX;
	return (struct ref){ at, gen };
}

void conns_hold(struct conns *c, struct ref r)
{
	struct conn *x = conns_get(c, r);
	if (x)
		x->holders++;
}

void conns_drop(struct conns *c, struct ref *r)
{
	struct conn *x = conns_get(c, *r);
	*r = (struct ref){ 0, 0 };
	if (x && !--x->holders)
		c->live--;
}
