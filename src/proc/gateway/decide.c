/* SPDX-License-Identifier: ISC */
#include "proc/gateway/decide.h"

#include "proc/gateway/gateway.h"

static const uint8_t limit_reason[LIMIT_CLASS_COUNT] = {
	[LIMIT_CLASS_TCP] = REASON_LIMIT_TCP,
	[LIMIT_CLASS_UDP] = REASON_LIMIT_UDP,
	[LIMIT_CLASS_ICMP] = REASON_LIMIT_ICMP,
	[LIMIT_CLASS_OTHER] = REASON_LIMIT_OTHER,
};

/* Concurrent conversations have no window; their jitter turns so often. */
#define CONCURRENT_TURN 3600u

enum limit_class limit_class_of(uint8_t family, uint8_t proto)
{
	if (proto == PROTO_TCP)
		return LIMIT_CLASS_TCP;
	if (proto == PROTO_UDP)
		return LIMIT_CLASS_UDP;
	return proto == (family == 4 ? PROTO_ICMP : PROTO_ICMP6) ? LIMIT_CLASS_ICMP : LIMIT_CLASS_OTHER;
}

/* ---- what the policy says -------------------------------------------------- */

static void bar(struct decision *d, unsigned dir, uint8_t reason)
{
	if (!d->bar[dir])
		d->bar[dir] = reason;
}

static void bar_both(struct decision *d, uint8_t reason)
{
	bar(d, 0, reason);
	bar(d, 1, reason);
}

/* The other honeypot's port, whose policy has a say besides; NULL: there is none. */
static const struct port *other_side(struct gateway *g, const struct talk *t)
{
	const struct port *p = t->direction == RULE_LATERAL ? gateway_by_addr(g, -1, t->family, t->to) : NULL;
	return p && policy_of(&g->policies, p->conf.port) ? p : NULL;
}

static void fence(const struct policy_set *set, const struct port *other, const struct talk *t, struct decision *d)
{
	bool out = t->direction != RULE_IN;
	if (rules_fenced(set, t->slot, t->family, out ? t->to : t->from))
		bar(d, out ? 0 : 1, REASON_FENCED);
	if (other && rules_fenced(set, other->conf.port, t->family, t->from))
		bar(d, 1, REASON_FENCED);
}

static void black(const struct policy_set *set, const struct port *other, const struct talk *t, struct decision *d)
{
	if (rules_black(set, t->slot, t->family, t->direction == RULE_IN ? t->from : t->to) ||
	    (other && rules_black(set, other->conf.port, t->family, t->from)))
		bar_both(d, REASON_BLACKLISTED);
}

static void by_rule(const struct policy_set *set, uint16_t i, struct decision *d)
{
	const struct rule *r = &set->pool.rules[i];
	d->rule = i;
	d->action = r->action;
	d->reason = REASON_RULE;
	d->narrow = true;
	d->window = WINDOW_RULE;
	if (r->action == ACTION_DROP || r->action == ACTION_RESET)
		bar_both(d, REASON_RULE);
	if (r->action == ACTION_LIMIT && r->limit.count == 0)
		bar_both(d, REASON_LIMIT_RULE);
	if (r->action == ACTION_LIMIT) {
		d->limit = r->limit;
		d->window = set->lookup->window[i];
	}
	if (decision_plays(r->action))
		d->window = WINDOW_PLAYED;
}

static void by_class(const struct policy *pol, const struct talk *t, struct decision *d)
{
	enum limit_class class = limit_class_of(t->family, t->proto);
	bool lateral = t->direction == RULE_LATERAL;
	d->narrow = true;
	if (t->direction == RULE_IN) {
		d->window = WINDOW_IN;
		d->reason = REASON_INBOUND;
		if (pol->inbound_deny)
			bar_both(d, REASON_DENIED_INBOUND);
		return;
	}
	d->limit = lateral ? pol->lateral[class] : pol->outbound[class];
	d->window = LIMIT_OF_CLASS(lateral, class);
	d->reason = lateral ? REASON_LATERAL : REASON_OUTBOUND;
	if (d->limit.count == 0)
		bar(d, 0, lateral ? REASON_DENIED_LATERAL : REASON_DENIED);
}

static void decide(struct gateway *g, const struct talk *t, struct decision *d)
{
	const struct policy_set *set = g->policies.now;
	const struct policy *pol = policy_of(&g->policies, t->slot);
	const struct port *other;
	*d = (struct decision){ .action = ACTION_ALLOW, .rule = RULE_NONE };
	if (!pol) {
		bar_both(d, REASON_NO_POLICY);
		return;
	}
	other = other_side(g, t);
#ifndef MUTANT_FENCE_AFTER_ALLOW
	fence(set, other, t, d);
#endif
	black(set, other, t, d);
	if (t->direction != RULE_IN && pol->roach_motel)
		bar(d, 0, REASON_ROACH_MOTEL);
	if (d->bar[0])
		return;
	uint16_t rule = rules_match(set, t, g->latest + g->wall);
	if (rule != RULE_NONE) {
		by_rule(set, rule, d);
	} else if (t->direction != RULE_IN && rules_allowed(set, t->slot, t->family, t->to)) {
		d->reason = REASON_ALLOW_LIST;
		d->window = WINDOW_ALLOW;
	} else {
#ifdef MUTANT_FENCE_AFTER_ALLOW
		fence(set, other, t, d);
#endif
		by_class(pol, t, d);
	}
}

/* ---- what the limits admit -------------------------------------------------- */

static struct limit_key key_of(uint64_t what, uint16_t slot, uint8_t family, const uint8_t *addr)
{
	struct limit_key k = { .what = what, .slot = slot, .family = family };
	if (addr)
		memcpy(k.addr, addr, 16);
	return k;
}

static struct limit_key rule_key(const struct rule *r, uint64_t what, const struct talk *t)
{
	switch (r->per) {
	case PER_DESTINATION:
		return key_of(what, t->slot, t->family, t->to);
	case PER_SOURCE:
		return key_of(what, t->slot, t->family, t->from);
	case PER_HONEYNET:
		return key_of(what, LIMITS_HONEYNET, 0, NULL);
	default:
		return key_of(what, t->slot, 0, NULL);
	}
}

/* One more event within the limit, lowered by the jitter? If so it is noted to be charged. */
static bool fits(struct gateway *g, struct charges *c, const struct policy *pol, struct limit_key key,
		 const struct limit *limit, uint64_t now)
{
	struct limit low = limits_jitter(&g->limits, limit, pol->jitter, &key, now);
	bool fan = key.what == LIMIT_OF_ADDRESS;
	if (fan ? limits_fan_full(&g->limits, &key, &low, now) : limits_full(&g->limits, &key, &low, now))
		return false;
	c->at[c->n++] = (struct charge){ key, *limit, fan };
	return true;
}

static uint8_t narrow(struct gateway *g, struct charges *c, const struct policy *pol, const struct talk *t,
		      const struct flow *fl, uint64_t now)
{
	enum limit_class class = limit_class_of(t->family, t->proto);
	const struct limit *l;
	if (t->direction == RULE_IN) {
		l = &pol->per_source[class];
#ifdef MUTANT_SOURCE_LIMIT_FREE
		return REASON_NONE;
#endif
		if (l->count && !fits(g, c, pol, key_of(LIMIT_OF_SOURCE(class), t->slot, t->family, t->from), l, now))
			return REASON_LIMIT_SOURCE;
		return REASON_NONE;
	}
	l = &pol->per_destination[class];
#ifdef MUTANT_PER_DEST_SHARED
	if (l->count && !fits(g, c, pol, key_of(LIMIT_OF_DESTINATION(class), t->slot, t->family, NULL), l, now))
		return REASON_LIMIT_DESTINATION;
#else
	if (l->count && !fits(g, c, pol, key_of(LIMIT_OF_DESTINATION(class), t->slot, t->family, t->to), l, now))
		return REASON_LIMIT_DESTINATION;
#endif
#ifndef MUTANT_FAN_OUT_FREE
	if (pol->fan_out.count &&
	    !fits(g, c, pol, key_of(LIMIT_OF_ADDRESS, t->slot, t->family, t->to), &pol->fan_out, now))
		return REASON_LIMIT_FAN_OUT;
#endif
#ifdef MUTANT_CONCURRENT_FREE
	(void)fl;
#else
	if (pol->concurrent && !(fl && fl->counted)) {
		struct limit many = { pol->concurrent, CONCURRENT_TURN };
		struct limit_key key = key_of(LIMIT_OF_CONCURRENT, t->slot, 0, NULL);
		many = limits_jitter(&g->limits, &many, pol->jitter, &key, now);
		if (g->ports[t->slot].own >= many.count)
			return REASON_LIMIT_CONCURRENT;
	}
#endif
	return REASON_NONE;
}

static bool has_room(struct gateway *g, const struct charges *c, uint16_t slot, uint64_t now)
{
	unsigned own = 0, shared = 0;
	for (unsigned i = 0; i < c->n; i++)
		*(c->at[i].key.slot == LIMITS_HONEYNET ? &shared : &own) += 1;
	return (!own || limits_room(&g->limits, slot, own, now)) &&
	       (!shared || limits_room(&g->limits, LIMITS_HONEYNET, shared, now));
}

/* fl: the flow, if there is one already. */
static uint8_t plan(struct gateway *g, const struct talk *t, const struct decision *d, const struct flow *fl,
		    uint64_t now, struct charges *c)
{
	const struct policy *pol = policy_of(&g->policies, t->slot);
	enum limit_class class = limit_class_of(t->family, t->proto);
	uint8_t reason;
	*c = (struct charges){ 0 };
	bool lateral = t->direction == RULE_LATERAL;
	if (d->window == LIMIT_OF_CLASS(lateral, class)) {
		struct history *h = &g->history[t->slot];
		struct limit_key key = key_of(d->window, t->slot, 0, NULL);
		struct limit low = limits_jitter(&g->limits, &d->limit, pol->jitter, &key, now);
		c->class = lateral ? &h->lateral[class] : &h->outbound[class];
		if (window_full(c->class, &low, now))
			return limit_reason[class];
	} else if (d->action == ACTION_LIMIT && d->limit.count != LIMIT_UNLIMITED) {
		const struct rule *r = &g->policies.now->pool.rules[d->rule];
		if (!fits(g, c, pol, rule_key(r, d->window, t), &d->limit, now))
			return REASON_LIMIT_RULE;
	}
	if (d->narrow && !(fl && fl->narrowed)) {
		if ((reason = narrow(g, c, pol, t, fl, now)))
			return reason;
		c->narrow = true;
	}
	c->count = t->direction != RULE_IN && !decision_plays(d->action) && !(fl && fl->counted);
	return has_room(g, c, t->slot, now) ? REASON_NONE : REASON_LIMIT_TABLE;
}

static void charge(struct gateway *g, const struct charges *c, struct flow *fl, uint64_t now)
{
	if (c->class)
		window_add(c->class, now);
	for (unsigned i = 0; i < c->n; i++)
		(c->at[i].fan ? limits_fan_add : limits_add)(&g->limits, &c->at[i].key, &c->at[i].limit, now);
	fl->narrowed |= c->narrow;
	if (c->count) {
		fl->counted = 1;
		g->ports[fl->owner].own++;
	}
}

/* ---- of a conversation ----------------------------------------------------- */

static uint32_t minute_of(const struct gateway *g, const struct frame *f)
{
	return g->policies.now->lookup->timed ? (uint32_t)((f->now + g->wall) / (60 * EV_SEC)) : 0;
}

static void keep(struct gateway *g, const struct frame *f, struct flow *fl, const struct decision *d)
{
	fl->generation = g->policies.now->serial;
	fl->asked_established = fl->state != FLOW_NEW;
	fl->asked_alert = fl->alert;
	fl->asked_minute = minute_of(g, f);
	fl->rule = d->rule;
	fl->action = d->action;
	fl->pass_reason = d->reason;
	fl->bar[0] = d->bar[0];
	fl->bar[1] = d->bar[1];
}

void decide_new(struct gateway *g, const struct frame *f, uint16_t slot, uint8_t direction, struct attempt *a)
{
	talk_of(g, f, &a->talk);
	a->talk.slot = slot;
	a->talk.direction = direction;
	a->charges = (struct charges){ 0 };
	decide(g, &a->talk, &a->decision);
}

bool decide_hears(struct gateway *g, const struct frame *f, const struct port *p)
{
	struct attempt a;
	decide_new(g, f, p->conf.port, RULE_IN, &a);
	const struct decision *d = &a.decision;
	return !d->bar[0] && (d->action == ACTION_ALLOW || d->action == ACTION_REWRITE);
}

uint8_t decide_admit(struct gateway *g, const struct frame *f, struct attempt *a)
{
	return plan(g, &a->talk, &a->decision, NULL, f->now, &a->charges);
}

void decide_begin(struct gateway *g, const struct frame *f, const struct attempt *a)
{
	struct flow *fl = flow_main(&g->flows, f->flow);
	fl->window = a->decision.window;
	charge(g, &a->charges, fl, f->now);
	keep(g, f, fl, &a->decision);
}

static bool is_stale(const struct gateway *g, const struct frame *f, const struct flow *fl)
{
#ifndef MUTANT_RULES_STALE_AFTER_RELOAD
	if (fl->generation != g->policies.now->serial)
		return true;
#endif
	return fl->asked_established != (fl->state != FLOW_NEW) || fl->asked_alert != fl->alert ||
	       fl->asked_minute != minute_of(g, f);
}

void decide_again(struct gateway *g, const struct frame *f)
{
	struct flow *fl = flow_main(&g->flows, f->flow);
	struct attempt a;
	uint8_t reason;
	if (!is_stale(g, f, fl))
		return;
	talk_of(g, f, &a.talk);
	decide(g, &a.talk, &a.decision);
	struct decision *d = &a.decision;
	if (fl->window == WINDOW_PLAYED) {
		/* Whatever lets it out now: its other side has never been outside. */
		if (!decision_plays(d->action) && !d->bar[0]) {
			d->action = fl->action;
			d->reason = REASON_RULE;
		}
	} else if (decision_plays(d->action)) {
		/* It has begun with the real destination; nobody can take over. */
		bar_both(d, REASON_RULE);
	} else if (d->bar[f->dir] && !d->bar[0]) {
		/* This frame is none that could be charged: ask again for the next. */
		keep(g, f, fl, d);
		fl->generation = 0;
		return;
	} else if (!d->bar[0] && d->window != fl->window) {
		if ((reason = plan(g, &a.talk, d, fl, f->now, &a.charges))) {
			bar_both(d, reason);
		} else {
			charge(g, &a.charges, fl, f->now);
			fl->window = d->window;
		}
	}
	keep(g, f, fl, d);
}
