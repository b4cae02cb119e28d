/* SPDX-License-Identifier: ISC */
#include "policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void builder_init(struct policy_builder *b)
{
	memset(b, 0, sizeof(*b));
}

static char *next_word(char **rest)
{
	char *w;
	do
		w = strsep(rest, " ");
	while (w && !*w);
	return w;
}

static void broken(const char *what)
{
	fprintf(stderr, "test: %s\n", what);
	abort();
}

struct span builder_prefixes(struct policy_builder *b, const char *text)
{
	struct span s = { .first = (uint16_t)b->pool.nprefixes };
	char *copy = strdup(text), *rest = copy, *w;
	for (; (w = next_word(&rest)); s.n++)
		if (b->pool.nprefixes == POOL_PREFIXES || !addr_parse(w, -1, &b->pool.prefixes[b->pool.nprefixes++]))
			broken(w);
	free(copy);
	return s;
}

struct span builder_ports(struct policy_builder *b, const char *text)
{
	struct span s = { .first = (uint16_t)b->pool.nranges };
	char *copy = strdup(text), *rest = copy, *w;
	for (; (w = next_word(&rest)); s.n++) {
		unsigned from, to;
		int n = sscanf(w, "%u-%u", &from, &to);
		if (n < 1 || b->pool.nranges == POOL_RANGES)
			broken(w);
		b->pool.ranges[b->pool.nranges++] =
		    (struct port_range){ (uint16_t)from, (uint16_t)(n == 2 ? to : from) };
	}
	free(copy);
	return s;
}

struct rule *builder_rule(struct policy_builder *b, const char *name, unsigned action, unsigned directions)
{
	if (b->pool.nrules == POOL_RULES)
		broken("too many rules");
	struct rule *r = &b->pool.rules[b->pool.nrules++];
	*r = (struct rule){ .action = (uint8_t)action, .directions = (uint8_t)directions };
	snprintf(r->name, sizeof(r->name), "%s", name);
	b->policy.rules.n = (uint16_t)(b->pool.nrules - b->policy.rules.first);
	return r;
}

int builder_apply(struct policy_builder *b, struct world *w, unsigned n)
{
	static struct gw_policy_entry entries[MODEL_HONEYPOTS];
	struct err e = { 0 };
	for (unsigned i = 0; i < n; i++)
		entries[i] =
		    (struct gw_policy_entry){ .port = (uint16_t)i, .honeypot = (uint16_t)i, .policy = b->policy };
	int r = policies_swap(&w->g->policies, &b->pool, entries, n, 1, &e);
	if (r)
		fprintf(stderr, "refused: %s\n", e.text);
	return r;
}
