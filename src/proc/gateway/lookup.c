/* SPDX-License-Identifier: ISC */
#include "proc/gateway/lookup.h"

#include "proc/gateway/policy.h"
#include "proc/gateway/rules.h"

#include <string.h>

wide_addr lookup_address(uint8_t family, const uint8_t addr[16])
{
	wide_addr a = 0;
	for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++)
		a = a << 8 | addr[i];
	return a;
}

uint32_t lookup_interval(const struct intervals *v, wide_addr a)
{
	const wide_addr *at = v->start;
	/* No branch that depends on the address: it is as random as the traffic. */
	for (uint32_t n = v->n; n > 1;) {
		uint32_t half = n / 2;
		at += at[half] <= a ? half : 0;
		n -= half;
	}
	return (uint32_t)(at - v->start);
}

static void set_bit(uint64_t *words, unsigned i)
{
	words[i / 64] |= 1ull << i % 64;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* ---- addresses ------------------------------------------------------------- */

static unsigned version(uint8_t family)
{
	return family == 6;
}

/* First address of the prefix, and the first behind it (0: there is none). */
static void bounds(const struct addr *p, wide_addr *first, wide_addr *behind)
{
	unsigned rest = (p->family == 4 ? 32u : 128u) - p->plen;
	wide_addr mask = rest == 128 ? ~(wide_addr)0 : ((wide_addr)1 << rest) - 1;
	*first = lookup_address(p->family, p->b) & ~mask;
	*behind = *first + mask + 1; /* of /0 in IPv6: wraps to 0 */
}

/* Heapsort: the C library's qsort allocates. */
static void sort(wide_addr *v, uint32_t n)
{
	for (uint32_t top = n / 2, end = n; end > 1;) {
		if (top) {
			top--;
		} else {
			wide_addr x = v[--end];
			v[end] = v[0];
			v[0] = x;
		}
		for (uint32_t at = top, next; (next = 2 * at + 1) < end; at = next) {
			if (next + 1 < end && v[next + 1] > v[next])
				next++;
			if (v[at] >= v[next])
				break;
			wide_addr x = v[at];
			v[at] = v[next];
			v[next] = x;
		}
	}
}

static void intervals_begin(struct intervals *v)
{
	v->n = 1;
	v->start[0] = 0;
}

/* The prefixes of one family in the span become boundaries. Each prefix of the
 * pool is used at most once: `used` says which were. */
static void intervals_add(struct intervals *v, const struct policy_pool *pool, struct span s, uint8_t family,
			  uint8_t used[POOL_PREFIXES])
{
	for (unsigned i = s.first; i < (unsigned)s.first + s.n; i++) {
		const struct addr *p = &pool->prefixes[i];
		wide_addr first, behind;
		if (p->family != family || used[i])
			continue;
		used[i] = 1;
		bounds(p, &first, &behind);
		v->start[v->n++] = first;
		if (behind)
			v->start[v->n++] = behind;
	}
}

static void intervals_end(struct intervals *v)
{
	uint32_t n = 0;
	sort(v->start, v->n);
	for (uint32_t i = 0; i < v->n; i++)
		if (!n || v->start[n - 1] != v->start[i])
			v->start[n++] = v->start[i];
	v->n = n;
}

/* How many prefixes of the span hold each interval, as differences. */
static void cover(struct lookup *l, const struct intervals *v, const struct policy_pool *pool, struct span s,
		  uint8_t family)
{
	memset(l->count, 0, (v->n + 1) * sizeof(l->count[0]));
	for (unsigned i = s.first; i < (unsigned)s.first + s.n; i++) {
		const struct addr *p = &pool->prefixes[i];
		wide_addr first, behind;
		if (p->family != family)
			continue;
		bounds(p, &first, &behind);
		l->count[lookup_interval(v, first)]++;
		l->count[behind ? lookup_interval(v, behind) : v->n]--;
	}
}

static void addresses(struct lookup *l, struct address_dimension *d, const struct policy_pool *pool, bool to,
		      uint8_t family)
{
	uint8_t used[POOL_PREFIXES] = { 0 };
	intervals_begin(&d->of);
	for (unsigned i = 0; i < pool->nrules; i++)
		intervals_add(&d->of, pool, to ? pool->rules[i].to : pool->rules[i].from, family, used);
	intervals_end(&d->of);
	memset(d->rules, 0, d->of.n * sizeof(d->rules[0]));
	for (unsigned i = 0; i < pool->nrules; i++) {
		struct span s = to ? pool->rules[i].to : pool->rules[i].from;
		int32_t n = s.n == 0;
		cover(l, &d->of, pool, s, family);
		for (uint32_t k = 0; k < d->of.n; k++)
			if ((n += l->count[k]) > 0)
				set_bit(d->rules[k], i);
	}
}

/* ---- ports ----------------------------------------------------------------- */

static void ports(struct port_dimension *d, const struct policy_pool *pool, bool to)
{
	/* Where a range begins, and behind its end. */
	uint8_t begins[65537] = { 1 };
	for (unsigned i = 0; i < pool->nrules; i++) {
		struct span s = to ? pool->rules[i].ports : pool->rules[i].sports;
		for (unsigned k = s.first; k < (unsigned)s.first + s.n; k++)
			begins[pool->ranges[k].from] = begins[pool->ranges[k].to + 1u] = 1;
	}
	d->n = 0;
	for (uint32_t port = 0; port < 65536; port++) {
		d->n += begins[port];
		d->interval[port] = (uint16_t)(d->n - 1);
	}
	memset(d->rules, 0, d->n * sizeof(d->rules[0]));
	memset(d->without, 0, sizeof(d->without));
	for (unsigned i = 0; i < pool->nrules; i++) {
		struct span s = to ? pool->rules[i].ports : pool->rules[i].sports;
		if (s.n == 0)
			set_bit(d->without, i);
		for (uint32_t k = 0; s.n == 0 && k < d->n; k++)
			set_bit(d->rules[k], i);
		for (unsigned j = s.first; j < (unsigned)s.first + s.n; j++) {
			const struct port_range *r = &pool->ranges[j];
			for (uint32_t k = d->interval[r->from]; k <= d->interval[r->to]; k++)
				set_bit(d->rules[k], i);
		}
	}
}

/* ---- the rest -------------------------------------------------------------- */

static void protocols(struct lookup *l, const struct policy_pool *pool)
{
	memset(l->proto, 0, sizeof(l->proto));
	for (unsigned i = 0; i < pool->nrules; i++) {
		const struct rule *r = &pool->rules[i];
		for (unsigned v = 0; v < 2; v++) {
			if (r->family && version(r->family) != v)
				continue;
			for (unsigned p = 0; p < 256; p++)
				/* ICMP stands for that of both families. */
				if (!r->has_proto || r->proto == p || (v && r->proto == PROTO_ICMP && p == PROTO_ICMP6))
					set_bit(l->proto[v][p], i);
		}
	}
}

static void base(struct lookup *l, const struct policy_set *set, unsigned slot)
{
	static const uint8_t directions[3] = { RULE_OUT, RULE_LATERAL, RULE_IN };
	struct span s = set->of[slot].rules;
	unsigned honeypot = set->honeypot[slot], network = set->network[slot];
	memset(l->base[slot], 0, sizeof(l->base[slot]));
	for (unsigned i = s.first; i < (unsigned)s.first + s.n; i++) {
		const struct rule *r = &set->pool.rules[i];
		bool named =
		    all_zero(r->honeypots, sizeof(r->honeypots)) || (r->honeypots[honeypot / 8] >> honeypot % 8 & 1);
		if (!named || (r->networks && !(r->networks >> network & 1)))
			continue;
		for (unsigned d = 0; d < 3; d++)
			if (r->directions & directions[d])
				set_bit(l->base[slot][d], i);
	}
}

static uint8_t list_bit(struct lookup *l, struct span s)
{
	if (!s.n)
		return LIST_NONE;
	for (uint32_t i = 0; i < l->nlists; i++)
		if (l->list[i].first == s.first && l->list[i].n == s.n)
			return (uint8_t)i;
	if (l->nlists == LOOKUP_LISTS)
		return LIST_SLOW;
	l->list[l->nlists] = s;
	return (uint8_t)l->nlists++;
}

static void lists(struct lookup *l, const struct policy_set *set)
{
	l->nlists = 0;
	for (unsigned slot = 0; slot < MODEL_HONEYPOTS; slot++) {
		if (!set->has[slot])
			continue;
		l->of[slot].fence = list_bit(l, set->of[slot].fence);
		l->of[slot].black = list_bit(l, set->of[slot].black);
		l->of[slot].allow = list_bit(l, set->of[slot].allow);
	}
	for (unsigned v = 0; v < 2; v++) {
		struct list_dimension *d = &l->lists[v];
		uint8_t used[POOL_PREFIXES] = { 0 }, family = v ? 6 : 4;
		intervals_begin(&d->of);
		for (uint32_t i = 0; i < l->nlists; i++)
			intervals_add(&d->of, &set->pool, l->list[i], family, used);
		intervals_end(&d->of);
		memset(d->lists, 0, d->of.n * sizeof(d->lists[0]));
		for (uint32_t i = 0; i < l->nlists; i++) {
			int32_t n = 0;
			cover(l, &d->of, &set->pool, l->list[i], family);
			for (uint32_t k = 0; k < d->of.n; k++)
				if ((n += l->count[k]) > 0)
					d->lists[k] |= 1ull << i;
		}
	}
}

void lookup_build(struct lookup *l, const struct policy_set *set)
{
	const struct policy_pool *pool = &set->pool;
	l->timed = false;
	for (unsigned i = 0; i < pool->nrules; i++) {
		l->timed |= pool->rules[i].when.days != 0;
		l->window[i] = rules_window(&pool->rules[i]);
	}
	lists(l, set);
	if (!pool->nrules)
		return;
	for (unsigned v = 0; v < 2; v++) {
		addresses(l, &l->from[v], pool, false, v ? 6 : 4);
		addresses(l, &l->to[v], pool, true, v ? 6 : 4);
	}
	ports(&l->sports, pool, false);
	ports(&l->ports, pool, true);
	protocols(l, pool);
	for (unsigned slot = 0; slot < MODEL_HONEYPOTS; slot++)
		if (set->has[slot])
			base(l, set, slot);
}
