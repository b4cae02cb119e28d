/* SPDX-License-Identifier: ISC */
#include "proc/gateway/hit.h"

#include "proc/gateway/gateway.h"

_Static_assert(POOL_KEYWORDS <= 64, "a keyword is a bit");

/* ---- the table ----------------------------------------------------------- */

static uint32_t set_of(uint16_t port, uint8_t kind, uint16_t what)
{
	uint32_t h = ((uint32_t)port * 2 + kind) * 0x9e3779b1u ^ (uint32_t)what * 0x85ebca6bu;
	return (h >> 8) % (HITS / HIT_WAYS) * HIT_WAYS;
}

static bool same(const struct gw_hit *x, const struct gw_hit *y)
{
	return x->port == y->port && x->kind == y->kind && x->reason == y->reason && x->keyword == y->keyword &&
	       x->generation == y->generation;
}

/* When an entry may be told. */
static uint64_t due(const struct hits *h, unsigned i)
{
#ifdef MUTANT_HIT_FLOOD
	return 0;
#endif
	return h->told[i] ? h->told[i] + HIT_EVERY : 0;
}

static void become_pending(struct hits *h, unsigned i)
{
	h->pending++;
	if (due(h, i) < h->due)
		h->due = due(h, i);
}

static void note(struct gateway *g, struct gw_hit *x, uint64_t now)
{
	struct hits *h = &g->hits;
	uint32_t first = set_of(x->port, x->kind, x->kind == HIT_LIMIT ? x->reason : x->keyword), i, place = HITS;
	x->time = now + g->wall;
	for (i = first; i < first + HIT_WAYS; i++) {
		if (h->used[i] && same(&h->at[i], x)) {
			x->count = h->at[i].count + 1;
			if (x->count == 1)
				become_pending(h, i);
			else if (!x->count)
				x->count = UINT32_MAX;
			h->at[i] = *x;
			return;
		}
		/* One that has nothing to tell, and whose second is over. */
		if (!h->used[i] || (!h->at[i].count && due(h, i) <= now))
			if (place == HITS || !h->used[i] || (h->used[place] && h->told[i] < h->told[place]))
				place = i;
	}
	if (place == HITS) {
		h->lost++;
		return;
	}
	x->count = 1;
	h->at[place] = *x;
	h->used[place] = 1;
	h->told[place] = 0;
	become_pending(h, place);
}

bool hit_next(struct gateway *g, uint64_t now, struct gw_hit *out)
{
	struct hits *h = &g->hits;
	uint64_t next = UINT64_MAX;
	if (!h->pending || now < h->due)
		return false;
	for (unsigned k = 0; k < HITS; k++) {
		unsigned i = (h->sweep + k) % HITS;
		if (!h->used[i] || !h->at[i].count)
			continue;
		if (due(h, i) <= now) {
			*out = h->at[i];
			h->sweep = i + 1;
			return true;
		}
		next = due(h, i) < next ? due(h, i) : next;
	}
	h->due = next;
	return false;
}

void hit_told(struct gateway *g, uint64_t now, const struct gw_hit *x)
{
	struct hits *h = &g->hits;
	for (unsigned i = 0; i < HITS; i++) {
		if (!h->used[i] || !h->at[i].count || !same(&h->at[i], x))
			continue;
		h->at[i].count = 0;
		h->told[i] = now ? now : 1;
		h->pending--;
		return;
	}
}

/* ---- keywords ------------------------------------------------------------ */

static void compile(struct hits *h, const struct policy_set *set)
{
	const struct policy_pool *pool = &set->pool;
	uint32_t n = pool->nkeywords < POOL_KEYWORDS ? pool->nkeywords : POOL_KEYWORDS;
	h->compiled = true;
	h->generation = set->generation;
	h->shortest = 0;
	memset(h->pairs, 0, sizeof(h->pairs));
	memset(h->by_first, 0, sizeof(h->by_first));
	for (uint32_t i = 0; i < n; i++) {
		const struct keyword *k = &pool->keywords[i];
		if (!k->n || k->n > KEYWORD_MAX)
			continue;
		if (!h->shortest || k->n < h->shortest)
			h->shortest = k->n;
		h->by_first[k->bytes[0]] |= UINT64_C(1) << i;
		for (unsigned second = 0; second < 256; second++) {
			unsigned pair = k->bytes[0] | second << 8;
			if (k->n == 1 || k->bytes[1] == second)
				h->pairs[pair / 8] |= (uint8_t)(1u << pair % 8);
		}
	}
}

/* Bits of the keywords that stand at s.p. */
static uint64_t at(const struct policy_pool *pool, uint64_t maybe, struct slice s)
{
	uint64_t found = 0;
	for (; maybe; maybe &= maybe - 1) {
		unsigned i = (unsigned)__builtin_ctzll(maybe);
		const struct keyword *k = &pool->keywords[i];
		if (k->n <= s.n && !memcmp(k->bytes, s.p, k->n))
			found |= UINT64_C(1) << i;
	}
	return found;
}

uint64_t hit_search(const struct hits *h, const struct policy_pool *pool, struct slice s)
{
	uint64_t found = 0;
	if (!h->shortest || s.n < h->shortest)
		return 0;
	for (; s.n >= 2; s.p++, s.n--) {
		unsigned pair = s.p[0] | (unsigned)s.p[1] << 8;
		if (h->pairs[pair / 8] >> pair % 8 & 1)
			found |= at(pool, h->by_first[s.p[0]] & ~found, s);
	}
	return s.n ? found | at(pool, h->by_first[s.p[0]] & ~found, s) : found;
}

/* What is behind the transport header; of other protocols all behind the IP
 * header. */
static struct slice payload(const struct frame *f)
{
	struct slice s = f->l4;
	uint8_t offset = 0;
	struct slice none = { NULL, 0 }, where;
	if (f->t.proto == PROTO_UDP && !f->frag_off)
		return slice_skip(&s, 8) ? s : none;
	if (f->t.proto != PROTO_TCP || f->frag_off)
		return f->t.family ? s : none;
	if (!slice_sub(s, 12, 1, &where))
		return none;
	slice_get(&where, &offset, 1);
	return slice_skip(&s, (size_t)(offset >> 4) * 4) ? s : none;
}

/* ---- the stage ------------------------------------------------------------ */

static bool is_limit(uint8_t reason)
{
	switch (reason) {
	case REASON_LIMIT_TCP:
	case REASON_LIMIT_UDP:
	case REASON_LIMIT_ICMP:
	case REASON_LIMIT_OTHER:
	case REASON_LIMIT_RULE:
	case REASON_LIMIT_DESTINATION:
	case REASON_LIMIT_SOURCE:
	case REASON_LIMIT_FAN_OUT:
	case REASON_LIMIT_CONCURRENT:
	case REASON_LIMIT_BANDWIDTH:
	case REASON_LIMIT_FIRST:
	case REASON_BUDGET_FLOW:
	case REASON_BUDGET_HONEYPOT:
	case REASON_FLOW_TABLE_FULL:
	case REASON_DNS_LIMIT:
		return true;
	default:
		return false;
	}
}

/* The honeypot that it is about: the sender, if it is one. */
static const struct port *subject(const struct frame *f)
{
	if (port_is_honeypot(f->in))
		return f->in;
	return f->out && port_is_honeypot(f->out) ? f->out : NULL;
}

void hit_note(struct gateway *g, const struct frame *f)
{
	const struct policy_set *set = g->policies.now;
	bool limit = is_limit(f->reason);
	if (!limit && !set->pool.nkeywords)
		return;
	const struct port *p = subject(f);
	if (!p)
		return;
	struct gw_hit x = {
		.port = p->conf.port, .rule = f->rule, .flow = f->flow ? f->flow->id : 0, .generation = set->generation
	};
	if (limit) {
		x.kind = HIT_LIMIT;
		x.reason = f->reason;
		note(g, &x, f->now);
	}
	if (!set->pool.nkeywords)
		return;
	if (!g->hits.compiled || g->hits.generation != set->generation)
		compile(&g->hits, set);
	x.kind = HIT_KEYWORD;
	x.reason = 0;
	for (uint64_t found = hit_search(&g->hits, &set->pool, payload(f)); found; found &= found - 1) {
		x.keyword = (uint16_t)__builtin_ctzll(found);
		note(g, &x, f->now);
	}
}
