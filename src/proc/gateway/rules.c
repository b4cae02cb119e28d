/* SPDX-License-Identifier: ISC */
#include "proc/gateway/rules.h"

#include "proc/gateway/gateway.h"

#include <sodium.h>

#define DAY_MINUTES 1440u

static bool is_listed(const struct policy_set *set, uint8_t bit, struct span list, uint8_t family,
		      const uint8_t addr[16])
{
	const struct list_dimension *d = &set->lookup->lists[family == 6];
	if (bit == LIST_NONE)
		return false;
	if (bit != LIST_SLOW)
		return d->lists[lookup_interval(&d->of, lookup_address(family, addr))] >> bit & 1;
	struct addr a = { .family = family, .plen = family == 4 ? 32 : 128 };
	memcpy(a.b, addr, 16);
	for (unsigned i = 0; i < list.n; i++)
		if (addr_in(&set->pool.prefixes[list.first + i], &a))
			return true;
	return false;
}

bool rules_fenced(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16])
{
	return is_listed(set, set->lookup->of[slot].fence, set->of[slot].fence, family, addr);
}

bool rules_black(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16])
{
	return is_listed(set, set->lookup->of[slot].black, set->of[slot].black, family, addr);
}

bool rules_allowed(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16])
{
	return is_listed(set, set->lookup->of[slot].allow, set->of[slot].allow, family, addr);
}

static bool is_time(const struct when *w, uint64_t wall)
{
	uint64_t minutes = wall / (60 * EV_SEC), day = minutes / DAY_MINUTES;
	unsigned minute = (unsigned)(minutes % DAY_MINUTES), weekday = (unsigned)((day + 3) % 7); /* 1970: a Thursday */
	if (!w->days)
		return true;
	if (w->from == w->to)
		return w->days >> weekday & 1;
	if (w->from < w->to)
		return (w->days >> weekday & 1) && minute >= w->from && minute < w->to;
	/* Over midnight: it belongs to the day on which it began. */
	return minute >= w->from ? w->days >> weekday & 1 : minute < w->to && (w->days >> (weekday + 6) % 7 & 1);
}

/* What is no dimension of the lookup. */
static bool rest_matches(const struct rule *r, const struct talk *t, uint64_t wall)
{
	return (r->state == RULE_STATE_ANY || (r->state == RULE_STATE_ESTABLISHED) == t->established) &&
	       (!r->alert || (r->alert == RULE_ALERT_ANY ? t->alert != 0 : t->alert == r->alert)) &&
	       is_time(&r->when, wall);
}

uint16_t rules_match(const struct policy_set *set, const struct talk *t, uint64_t wall)
{
	const struct lookup *l = set->lookup;
	struct span s = set->of[t->slot].rules;
	if (!s.n)
		return RULE_NONE;
	unsigned v = t->family == 6;
	const uint64_t *base = l->base[t->slot][t->direction == RULE_OUT ? 0 : t->direction == RULE_LATERAL ? 1 : 2];
	const uint64_t *proto = l->proto[v][t->proto];
	const uint64_t *from = l->from[v].rules[lookup_interval(&l->from[v].of, lookup_address(t->family, t->from))];
	const uint64_t *to = l->to[v].rules[lookup_interval(&l->to[v].of, lookup_address(t->family, t->to))];
	const uint64_t *sports = t->has_ports ? l->sports.rules[l->sports.interval[t->from_port]] : l->sports.without;
	const uint64_t *ports = t->has_ports ? l->ports.rules[l->ports.interval[t->to_port]] : l->ports.without;
#ifdef MUTANT_RULES_LAST_WINS
	uint16_t last = RULE_NONE;
	for (unsigned i = s.first; i < (unsigned)s.first + s.n; i++)
		if ((base[i / 64] & proto[i / 64] & from[i / 64] & to[i / 64] & sports[i / 64] & ports[i / 64]) >>
			    i % 64 &
			1 &&
		    rest_matches(&set->pool.rules[i], t, wall))
			last = (uint16_t)i;
	return last;
#endif
	for (unsigned w = s.first / 64; w <= (unsigned)(s.first + s.n - 1) / 64; w++) {
		uint64_t some = base[w] & proto[w] & from[w] & to[w] & sports[w] & ports[w];
		for (; some; some &= some - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(some);
			if (rest_matches(&set->pool.rules[i], t, wall))
				return (uint16_t)i;
		}
	}
	return RULE_NONE;
}

void talk_of(struct gateway *g, const struct frame *f, struct talk *t)
{
	const struct flow *fl = f->flow ? flow_main(&g->flows, f->flow) : NULL;
	*t = (struct talk){ .family = f->t.family, .proto = f->t.proto };
	if (fl) {
		bool a = fl->a_began;
		t->family = fl->key.family;
		t->proto = fl->key.proto;
		t->from_port = a ? fl->key.aport : fl->key.bport;
		t->to_port = a ? fl->key.bport : fl->key.aport;
		memcpy(t->from, a ? fl->key.a : fl->key.b, 16);
		memcpy(t->to, a ? fl->key.b : fl->key.a, 16);
		t->slot = fl->owner;
		t->established = fl->state != FLOW_NEW;
		t->alert = fl->alert;
		t->direction = fl->lateral ? RULE_LATERAL : fl->src_slot == fl->owner ? RULE_OUT : RULE_IN;
	} else {
		t->from_port = f->t.sport;
		t->to_port = f->t.dport;
		memcpy(t->from, f->t.saddr, 16);
		memcpy(t->to, f->t.daddr, 16);
	}
	t->has_ports = t->proto == PROTO_TCP || t->proto == PROTO_UDP;
}

uint64_t rules_window(const struct rule *r)
{
	static const uint8_t key[16] = "skep rule window"; /* names are the operator's: nobody gains by collisions */
	uint8_t in[RULE_NAME_CAP + 1] = { 0 };
	uint64_t h;
	memcpy(in, r->name, strnlen(r->name, RULE_NAME_CAP));
	in[RULE_NAME_CAP] = r->per;
	crypto_shorthash((uint8_t *)&h, in, sizeof(in), key);
	return h | 1ull << 63; /* none of LIMIT_OF_... */
}
