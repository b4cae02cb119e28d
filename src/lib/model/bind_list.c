/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. Policies refer to a run of rules in the pool, and what a
 * list inherits stands behind its own rules. The pool has no room for a copy for
 * each honeypot, so the rules of honeypots stand in front of what they all
 * inherit, each with the one honeypot in its mask:
 *
 *	[own of web1][own of db1][the honeynet's own][its preset's]
 *	 ^ list of web1           ^ list of all others
 *	             ^ list of db1
 *
 * One such block is made for each list that is inherited: the honeynet's, each
 * preset that honeypots name themselves, and nothing. Named policies hold for any
 * honeypot, so theirs is a copy.
 */
#include "model/bind_rule.h"

#include "base/text.h"

#include <string.h>

static void lay(struct binder *b, const struct list_job *j)
{
	struct bind_lists *l = &b->lists;
	struct policy_pool *pool = &b->m->pool;
	for (uint32_t i = j->first; i < j->first + j->n; i++) {
		if (pool->nrules == POOL_RULES) {
			if (!l->full)
				diag_add(
				    b->d, j->at,
				    "rules: more than %u with those that are inherited: write `honeypot:` in rules "
				    "of the honeynet instead of lists of their own",
				    POOL_RULES);
			l->full = true;
			return;
		}
		l->at[pool->nrules] = l->own_at[i];
		l->bad[pool->nrules] = l->own_bad[i];
		pool->rules[pool->nrules++] = l->own[i];
	}
}

static struct list_job *preset_job(struct binder *b, unsigned base)
{
	struct bind_lists *l = &b->lists;
	for (unsigned i = 0; base >= LIST_PRESET && i < l->njobs; i++)
		if (l->jobs[i].owner == OWNER_PRESET && l->jobs[i].index == base - LIST_PRESET)
			return &l->jobs[i];
	return NULL;
}

static struct list_job *honeynet_job(struct binder *b)
{
	for (unsigned i = 0; i < b->lists.njobs; i++)
		if (b->lists.jobs[i].owner == OWNER_HONEYNET)
			return &b->lists.jobs[i];
	return NULL;
}

/* The rules that a list with that base inherits. */
static void lay_base(struct binder *b, unsigned base)
{
	const struct list_job *j = base == LIST_INHERIT ? honeynet_job(b) : preset_job(b, base);
	if (!j)
		return;
	lay(b, j);
	if (base == LIST_INHERIT && (j = preset_job(b, j->base)))
		lay(b, j);
}

static struct span since(const struct policy_pool *pool, uint32_t first)
{
	uint32_t n = pool->nrules - first;
	return n ? (struct span){ (uint16_t)first, (uint16_t)n } : (struct span){ 0, 0 };
}

/* The honeypots whose lists inherit `base`, and that list. */
static struct span block(struct binder *b, unsigned base)
{
	struct bind_lists *l = &b->lists;
	struct policy_pool *pool = &b->m->pool;
	uint32_t begin = pool->nrules, inherited;
#ifdef MUTANT_MODEL_RULE_ORDER
	lay_base(b, base);
#endif
	for (unsigned i = 0; i < l->njobs; i++)
		if (l->jobs[i].owner == OWNER_HONEYPOT && l->jobs[i].base == base)
			lay(b, &l->jobs[i]);
	inherited = pool->nrules;
#ifndef MUTANT_MODEL_RULE_ORDER
	lay_base(b, base);
#endif
	uint32_t at = begin;
	for (unsigned i = 0; i < l->njobs; i++) {
		struct list_job *j = &l->jobs[i];
		if (j->owner != OWNER_HONEYPOT || j->base != base)
			continue;
		j->policy->rules = since(pool, j->n ? at : inherited);
		/* Without anything inherited, the others' rules are none of its. */
		if (base == LIST_NONE)
			j->policy->rules.n = (uint16_t)j->n;
		at += j->n;
	}
	return since(pool, inherited);
}

static void named(struct binder *b, struct list_job *j, struct span honeynet)
{
	struct policy_pool *pool = &b->m->pool;
	uint32_t first = pool->nrules;
	if (!j->n && j->base == LIST_INHERIT) {
		j->policy->rules = honeynet;
		return;
	}
	lay(b, j);
	lay_base(b, j->base);
	j->policy->rules = since(pool, first);
}

static bool has_job(const struct binder *b, const struct policy *p)
{
	for (unsigned i = 0; i < b->lists.njobs; i++)
		if (b->lists.jobs[i].policy == p)
			return true;
	return false;
}

/* A name of its own for each rule of what one honeypot has. */
static void names(struct binder *b)
{
	struct bind_lists *l = &b->lists;
	const struct list_job *net = honeynet_job(b);
	for (unsigned i = 0; i < l->njobs; i++) {
		const struct list_job *j = &l->jobs[i];
		const struct list_job *more[] = { j->base == LIST_INHERIT ? net : NULL,
						  preset_job(b, j->base == LIST_INHERIT && net ? net->base : j->base) };
		for (uint32_t r = j->first; r < j->first + j->n; r++)
			for (unsigned k = 0; k < 2; k++)
				for (uint32_t o = more[k] ? more[k]->first : 0;
				     more[k] && o < more[k]->first + more[k]->n; o++)
					if (!strcmp(l->own[r].name, l->own[o].name))
						diag_add(b->d, l->own_at[r],
							 "an inherited rule has the name %s already", l->own[r].name);
	}
}

static void bind_own(struct binder *b, struct list_job *j)
{
	j->first = b->lists.nown;
	b->preset = j->owner == OWNER_PRESET;
	for (const struct node *i = j->rules ? j->rules->child : NULL; i; i = i->next) {
		bool none = i->kind == NODE_SCALAR && !strcmp(i->text, "none");
		if (none && i->next)
			diag_add(b->d, i->at, "rules: none stands for not inheriting, and comes last");
		else if (!none)
			bind_rule(b, j, i);
	}
	b->preset = false;
}

void bind_lists(struct binder *b)
{
	struct bind_lists *l = &b->lists;
	struct model *m = b->m;
	bool used[LIST_PRESET + PRESETS_MAX] = { 0 };
	for (unsigned i = 0; i < l->njobs; i++)
		bind_own(b, &l->jobs[i]);
	names(b);
	for (unsigned i = 0; i < l->njobs; i++)
		if (l->jobs[i].owner == OWNER_HONEYPOT && l->jobs[i].base != LIST_INHERIT)
			used[l->jobs[i].base] = true;
	for (unsigned base = LIST_NONE; base < LIST_PRESET + PRESETS_MAX; base++)
		if (used[base])
			block(b, base);
	struct span honeynet = block(b, LIST_INHERIT);
	m->policy.rules = honeynet;
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		if (!has_job(b, &m->honeypots[i].policy))
			m->honeypots[i].policy.rules = honeynet;
	for (uint32_t i = 0; i < m->npolicies; i++)
		if (!has_job(b, &m->policies[i].policy))
			m->policies[i].policy.rules = honeynet;
	for (unsigned i = 0; i < l->njobs; i++)
		if (l->jobs[i].owner == OWNER_NAMED)
			named(b, &l->jobs[i], honeynet);
}
