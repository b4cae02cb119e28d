/* SPDX-License-Identifier: ISC */
#include "proc/gateway/rules.h"

#include "proc/gateway/gateway.h"

#include <sodium.h>

#define DAY_MINUTES 1440u

bool rules_listed(const struct policy_set *set, struct span list, uint8_t family, const uint8_t addr[16])
{
	struct addr a = { .family = family, .plen = family == 4 ? 32 : 128 };
	memcpy(a.b, addr, 16);
	for (unsigned i = 0; i < list.n; i++)
		if (addr_in(&set->pool.prefixes[list.first + i], &a))
			return true;
	return false;
}

static bool port_listed(const struct policy_set *set, struct span list, const struct talk *t, uint16_t port)
{
	for (unsigned i = 0; i < list.n; i++) {
		const struct port_range *r = &set->pool.ranges[list.first + i];
		if (t->has_ports && port >= r->from && port <= r->to)
			return true;
	}
	return list.n == 0;
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

static bool has_bits(const uint8_t *bits, size_t n, unsigned bit)
{
	bool any = false;
	for (size_t i = 0; i < n; i++)
		any |= bits[i] != 0;
	return !any || (bits[bit / 8] >> bit % 8 & 1);
}

static bool matches(const struct policy_set *set, const struct rule *r, const struct talk *t, uint64_t wall)
{
	return (r->directions & t->direction) && (!r->family || r->family == t->family) &&
	       (!r->has_proto || r->proto == t->proto) &&
	       (r->state == RULE_STATE_ANY || (r->state == RULE_STATE_ESTABLISHED) == t->established) &&
	       (!r->alert || (r->alert == RULE_ALERT_ANY ? t->alert != 0 : t->alert == r->alert)) &&
	       (!r->networks || (r->networks >> set->network[t->slot] & 1)) &&
	       has_bits(r->honeypots, sizeof(r->honeypots), set->honeypot[t->slot]) &&
	       port_listed(set, r->sports, t, t->from_port) && port_listed(set, r->ports, t, t->to_port) &&
	       (!r->from.n || rules_listed(set, r->from, t->family, t->from)) &&
	       (!r->to.n || rules_listed(set, r->to, t->family, t->to)) && is_time(&r->when, wall);
}

uint16_t rules_match(const struct policy_set *set, const struct talk *t, uint64_t wall)
{
	struct span rules = set->of[t->slot].rules;
	for (unsigned i = 0; i < rules.n; i++)
		if (matches(set, &set->pool.rules[rules.first + i], t, wall))
			return (uint16_t)(rules.first + i);
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
