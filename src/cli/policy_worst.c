/* SPDX-License-Identifier: ISC */
/* Bounds of what a policy lets out. See policy_words.h. */
#include "cli/policy_words.h"

#include <string.h>

#define ICMP 1
#define TCP 6
#define UDP 17
#define ICMPV6 58

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return a == POLICY_ANY || b == POLICY_ANY || __builtin_add_overflow(a, b, &sum) ? POLICY_ANY : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;
	if (!a || !b)
		return 0;
	return a == POLICY_ANY || b == POLICY_ANY || __builtin_mul_overflow(a, b, &product) ? POLICY_ANY : product;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* `seconds` are covered by so many windows of the limit, each with at most count. */
static uint64_t in_window(uint64_t count, uint32_t period, uint32_t seconds)
{
	if (!count || count == LIMIT_UNLIMITED || !period)
		return count ? POLICY_ANY : 0;
	return times(count, (seconds + period - 1) / period);
}

static uint64_t of_limit(const struct limit *l, uint32_t seconds)
{
	return in_window(l->count, l->seconds, seconds);
}

/* A limit that narrows: count 0 is none. */
static uint64_t narrowed(const struct limit *l, uint32_t seconds)
{
	return l->count ? of_limit(l, seconds) : POLICY_ANY;
}

static bool has_bit(const uint8_t bits[32], unsigned i)
{
	return bits[i / 8] & 1u << (i % 8);
}

bool policy_rule_about(const struct model *m, const struct rule *r, unsigned honeypot)
{
	static const uint8_t any[32];
	if (honeypot == POLICY_NONE)
		return true;
	if (memcmp(r->honeypots, any, sizeof(any)) != 0 && !has_bit(r->honeypots, honeypot))
		return false;
	return !r->networks || r->networks & 1u << m->honeypots[honeypot].net;
}

static bool may_be_of(const struct rule *r, unsigned class)
{
	if (!r->has_proto)
		return true;
	switch (class) {
	case LIMIT_CLASS_TCP:
		return r->proto == TCP;
	case LIMIT_CLASS_UDP:
		return r->proto == UDP;
	case LIMIT_CLASS_ICMP:
		return r->proto == ICMP || r->proto == ICMPV6;
	default:
		/* ICMP in IPv6 packets, and the other way round, are other protocols. */
		return r->proto != TCP && r->proto != UDP;
	}
}

/* Does it match every conversation of the class that a honeypot begins, so that
 * nothing behind it is asked? */
static bool is_all_of(const struct rule *r, unsigned class, unsigned honeypot)
{
	static const uint8_t anybody[32];
	if (r->family || r->from.n || r->to.n || r->sports.n || r->ports.n || r->when.days || r->alert || r->networks ||
	    r->state == RULE_STATE_ESTABLISHED ||
	    (honeypot == POLICY_NONE && memcmp(r->honeypots, anybody, sizeof(anybody)) != 0))
		return false;
	if (!r->has_proto)
		return true;
	return (class == LIMIT_CLASS_TCP && r->proto == TCP) || (class == LIMIT_CLASS_UDP && r->proto == UDP) ||
	       (class == LIMIT_CLASS_ICMP && r->proto == ICMP);
}

static uint64_t of_rule(const struct model *m, const struct rule *r, unsigned honeypot, uint32_t seconds,
			uint64_t destinations)
{
	uint64_t n = of_limit(&r->limit, seconds);
	switch (r->action) {
	case ACTION_ALLOW:
	case ACTION_FIRST:
	case ACTION_REWRITE:
		return POLICY_ANY;
	case ACTION_LIMIT:
		if (r->per == PER_DESTINATION)
			return times(n, destinations);
		if (r->per == PER_SOURCE)
			return times(n, honeypot == POLICY_NONE ? MODEL_ADDRS : m->honeypots[honeypot].naddrs);
		return n;
	default:
		return 0;
	}
}

static uint64_t of_class(const struct model *m, const struct policy *p, unsigned honeypot, uint32_t seconds,
			 unsigned class, bool lateral, bool *allow_list)
{
	const struct policy_pool *pool = &m->pool;
	const struct limit *limit = lateral ? &p->lateral[class] : &p->outbound[class];
	uint64_t destinations = narrowed(&p->fan_out, seconds), n = 0;
	/* Destinations that the fan-out does not bound are bounded by nothing. */
	uint64_t narrow = times(destinations, narrowed(&p->per_destination[class], seconds));
	if (p->roach_motel)
		return 0;
	for (uint32_t i = p->rules.first; i < (uint32_t)p->rules.first + p->rules.n; i++) {
		const struct rule *r = &pool->rules[i];
		if (!(r->directions & (lateral ? RULE_LATERAL : RULE_OUT)) || !policy_rule_about(m, r, honeypot) ||
		    !may_be_of(r, class) || r->state == RULE_STATE_ESTABLISHED)
			continue;
#ifdef MUTANT_EXPLAIN_TOO_LOW
		n = 0;
#endif
		n = plus(n, of_rule(m, r, honeypot, seconds, destinations));
		if (is_all_of(r, class, honeypot))
			return least(n, narrow);
	}
	*allow_list |= p->allow.n != 0;
	return least(plus(n, of_limit(limit, seconds)), narrow);
}

void policy_worst(const struct model *m, const struct policy *p, unsigned honeypot, uint32_t seconds,
		  struct policy_worst *w)
{
	uint64_t all = 0, bandwidth = p->bandwidth ? times(p->bandwidth, seconds) : POLICY_ANY;
	w->allow_list = false;
	for (unsigned c = 0; c < LIMIT_CLASS_COUNT; c++) {
		w->out[c] = of_class(m, p, honeypot, seconds, c, false, &w->allow_list);
		w->lateral[c] = of_class(m, p, honeypot, seconds, c, true, &w->allow_list);
		all = plus(all, plus(w->out[c], w->lateral[c]));
	}
	w->addresses = least(narrowed(&p->fan_out, seconds), all);
	w->bytes = p->honeypot.bytes ? in_window(p->honeypot.bytes, p->honeypot.seconds, seconds) : POLICY_ANY;
	w->bytes = least(w->bytes, bandwidth);
	w->packets = p->honeypot.packets ? in_window(p->honeypot.packets, p->honeypot.seconds, seconds) : POLICY_ANY;
}
