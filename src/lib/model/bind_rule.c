/* SPDX-License-Identifier: ISC */
/* One rule: its actions, and what belongs to which of them. */
#include "model/bind_rule.h"

#include "model/bind_type.h"
#include "model/rule_draft.h"

#include <stdio.h>
#include <string.h>

/* Only the list is remembered: its rules may name what is not bound yet. */
bool bind_rules(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	const struct node *last = NULL;
	(void)base;
	bool none = bind_is_word(v, "none");
	if (!none && (v->kind != NODE_SEQ || !v->child))
		return bind_wrong(b, k, v, "a list of rules, or none");
	for (const struct node *i = none ? NULL : v->child; i; i = i->next)
		last = i;
	if (!b->job)
		return false;
	if (none || bind_is_word(last, "none"))
		b->job->base = LIST_NONE;
	b->job->rules = none ? NULL : v;
	return true;
}

/* A budget for the life of a flow, of which at least one side is bounded. */
bool bind_first(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct budget now;
	unsigned had = b->d->n + b->d->more;
	memset((char *)base + k->offset, 0, sizeof(now));
	bind_budget(b, k, v, base);
	if (b->d->n + b->d->more != had)
		return false;
	memcpy(&now, (char *)base + k->offset, sizeof(now));
	if (now.bytes || now.packets)
		return true;
	diag_add(b->d, v->at, "%s: how much? Write bytes or packets, as {bytes: 64k}", k->name);
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool bind_unescape(const char *s, uint8_t *out, size_t cap, size_t *n)
{
	*n = 0;
	for (; *s; s++) {
		uint8_t byte = (uint8_t)*s;
		if (*n == cap)
			return false;
		if (*s == '\\') {
			s++;
			if (*s == 'x' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
				byte = (uint8_t)(hex(s[1]) << 4 | hex(s[2]));
				s += 2;
			} else if (*s == 'n' || *s == 'r' || *s == 't' || *s == '\\') {
				byte = *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s == 't' ? '\t' : '\\';
			} else {
				return false;
			}
		}
		out[(*n)++] = byte;
	}
	return *n > 0;
}

bool bind_escaped(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct escaped e = { 0 };
	if (!bind_is_text(v) || !bind_unescape(v->text, e.bytes, sizeof(e.bytes), &e.n))
		return bind_wrong(b, k, v,
				  "1 to 64 bytes of text, in which \\xHH, \\n, \\r, \\t and \\\\ stand for bytes");
	memcpy((char *)base + k->offset, &e, sizeof(e));
	return true;
}

bool bind_replace(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct policy_pool *pool = &b->m->pool;
	uint32_t first = pool->nrewrites;
	if (v->kind != NODE_SEQ || !v->child)
		return bind_wrong(b, k, v, "a list as [{from: 'abc', to: 'xyz'}]");
	for (const struct node *i = v->child; i; i = i->next) {
		struct replace_draft r = { 0 };
		unsigned had = b->d->n + b->d->more;
		bind_map(b, i, k->sub, &r, k->name, i->at);
		if (b->d->n + b->d->more != had)
			return false;
		if (r.from.n != r.to.n) {
			diag_add(b->d, i->at, "%s: from has %zu bytes, to has %zu: both need the same length", k->name,
				 r.from.n, r.to.n);
			return false;
		}
		if (pool->nrewrites == POOL_REWRITES) {
			diag_add(b->d, i->at, "%s: more than %u replacements in the file", k->name, POOL_REWRITES);
			return false;
		}
		struct rewrite *w = &pool->rewrites[pool->nrewrites++];
		w->n = (uint8_t)r.from.n;
		memcpy(w->from, r.from.bytes, sizeof(w->from));
		memcpy(w->to, r.to.bytes, sizeof(w->to));
	}
	struct span s = { (uint16_t)first, (uint16_t)(pool->nrewrites - first) };
	memcpy((char *)base + k->offset, &s, sizeof(s));
	return true;
}

/* Which key belongs to which action, and whether the action cannot do without. */
static const struct {
	uint8_t seen, action;
	bool needed;
	const char *key, *word;
} belongs[] = {
	{ SEEN_LIMIT, ACTION_LIMIT, true, "limit", "limit" },
	{ SEEN_PER, ACTION_LIMIT, false, "per", "limit" },
	{ SEEN_FIRST, ACTION_FIRST, true, "first", "first" },
	{ SEEN_REPLACE, ACTION_REWRITE, true, "replace", "rewrite" },
	{ SEEN_TARGET, ACTION_REFLECT, true, "target", "reflect" },
	{ SEEN_SINK, ACTION_SINKHOLE, false, "sink", "sinkhole" },
};

static void action_keys(struct binder *b, const struct rule *r, const struct mark *seen, struct mark at)
{
	for (size_t i = 0; i < sizeof(belongs) / sizeof(belongs[0]); i++) {
		struct mark where = seen[belongs[i].seen];
		if (where.line && r->action != belongs[i].action)
			diag_add(b->d, where, "rule %s: %s is for do: %s only", r->name, belongs[i].key,
				 belongs[i].word);
		else if (!where.line && belongs[i].needed && r->action == belongs[i].action)
			diag_add(b->d, at, "rule %s: do: %s needs the key %s", r->name, belongs[i].word,
				 belongs[i].key);
	}
	if (r->action == ACTION_LIMIT && seen[SEEN_LIMIT].line && !r->limit.count)
		diag_add(b->d, seen[SEEN_LIMIT], "rule %s: a limit without limit: write do: allow", r->name);
}

static bool is_one(const uint8_t bits[32], unsigned index)
{
	return bits[index / 8] & 1u << (index % 8);
}

static bool none_of(const uint8_t bits[32])
{
	static const uint8_t zero[32];
	return !memcmp(bits, zero, sizeof(zero));
}

/* Whom the rule is about: the honeypot whose list it stands in, and never the
 * one that plays the destination. */
static void subjects(struct binder *b, const struct list_job *job, struct rule *r, const struct mark *seen)
{
	if (job->owner == OWNER_HONEYPOT && seen[SEEN_HONEYPOT].line)
		diag_add(b->d, seen[SEEN_HONEYPOT],
			 "rule %s: the rules of a honeypot are about that one only: leave it out", r->name);
	if (job->owner == OWNER_HONEYPOT) {
		memset(r->honeypots, 0, sizeof(r->honeypots));
		r->honeypots[job->index / 8] = (uint8_t)(1u << (job->index % 8));
	}
	if (r->action != ACTION_REFLECT || !seen[SEEN_TARGET].line || b->m->nhoneypots < 2 || !none_of(r->honeypots))
		return;
	for (unsigned i = 0; i < b->m->nhoneypots; i++)
		if (i != r->target)
			r->honeypots[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Names, given or made, are what evidence calls rules: one rule for each. */
static void unique(struct binder *b, const struct list_job *job, const struct rule *r, const struct mark *seen,
		   struct mark at)
{
	const struct bind_lists *l = &b->lists;
	for (uint32_t i = job->first; i < job->first + job->n; i++)
		if (!strcmp(l->own[i].name, r->name))
			diag_add(b->d, seen[SEEN_NAME].line ? seen[SEEN_NAME] : at,
				 "there is already a rule %s in line %u", r->name, l->own_at[i].line);
}

void bind_rule(struct binder *b, struct list_job *job, const struct node *n)
{
	struct bind_lists *l = &b->lists;
	struct mark seen[SEEN_COUNT] = { 0 };
	unsigned had = b->d->n + b->d->more;
	static const struct rule fresh = { .directions = RULE_OUT };
	if (l->nown == POOL_RULES) {
		if (!l->full)
			diag_add(b->d, n->at, "rules: more than %u in the file", POOL_RULES);
		l->full = true;
		return;
	}
	struct rule *r = &l->own[l->nown];
	*r = fresh;
	r->line = b->preset ? 0 : n->at.line;
	snprintf(r->name, sizeof(r->name), "%s-%u", b->preset ? "preset" : "line", n->at.line);
	for (uint32_t i = job->first; i < job->first + job->n; i++)
		if (!strcmp(l->own[i].name, r->name))
			snprintf(r->name, sizeof(r->name), "line-%u-%u", n->at.line, n->at.col);
	b->seen = seen;
	bind_map(b, n, rule_keys, r, "rule", n->at);
	b->seen = NULL;
	if (b->d->n + b->d->more == had)
		action_keys(b, r, seen, n->at);
	subjects(b, job, r, seen);
	unique(b, job, r, seen, n->at);
	if (job->owner == OWNER_HONEYPOT && r->action == ACTION_REFLECT && seen[SEEN_TARGET].line &&
	    is_one(r->honeypots, r->target))
		diag_add(b->d, seen[SEEN_TARGET], "rule %s: %s cannot play destinations for itself", r->name,
			 b->m->honeypots[r->target].name);
	l->own_at[l->nown] = n->at;
	l->own_bad[l->nown] = b->d->n + b->d->more != had;
	l->nown++;
	job->n++;
}
