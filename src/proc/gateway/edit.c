/* SPDX-License-Identifier: ISC */
#include "proc/gateway/edit.h"

#include "proc/gateway/answer.h"
#include "proc/gateway/capture.h"
#include "proc/gateway/checksum.h"
#include "proc/gateway/gateway.h"

enum { IP4_SUM = 10, IP4_SRC = 12, IP4_DST = 16, IP6_SRC = 8, IP6_DST = 24 };

/* The copy that is being made. Every place in it is asked for with its length:
 * what the headers say is the sender's word. */
struct copy {
	uint8_t *b;
	size_t n;
	size_t from, sum; /* the checksum at `sum` covers all from `from` on; 0 = none */
	bool changed;
};

void edit_keep(struct frame *f)
{
	struct edit *e = &f->edit;
	memcpy(e->smac, f->src, 6);
	memcpy(e->dmac, f->dst, 6);
	memcpy(e->saddr, f->t.saddr, 16);
	memcpy(e->daddr, f->t.daddr, 16);
	e->sport = f->icmp_kind ? f->icmp_id : f->t.sport;
	e->dport = f->icmp_kind ? f->icmp_id : f->t.dport;
}

void edit_sum(uint8_t sum[2], const uint8_t *was, const uint8_t *is, size_t n, bool odd)
{
	uint32_t acc = (uint16_t) ~(sum[0] << 8 | sum[1]);
	for (size_t i = 0; i < n; i++) {
		unsigned shift = (i + odd) % 2 ? 0 : 8;
		acc += 0xffffu - ((uint32_t)was[i] << shift) + ((uint32_t)is[i] << shift);
	}
	uint16_t out = (uint16_t)~checksum_fold(acc);
	sum[0] = (uint8_t)(out >> 8);
	sum[1] = (uint8_t)out;
}

static uint8_t *at(const struct copy *c, size_t off, size_t n)
{
	struct slice s;
	return slice_sub(slice_of(c->b, c->n), off, n, &s) ? c->b + off : NULL;
}

/* Writes n bytes (at most REWRITE_MAX), and turns the checksum that covers them. */
static bool put(struct copy *c, size_t off, const uint8_t *is, size_t n)
{
	uint8_t *p = at(c, off, n);
	if (!p)
		return false;
	if (!memcmp(p, is, n))
		return true;
	if (c->sum && off >= c->from)
		edit_sum(c->b + c->sum, p, is, n, (off - c->from) % 2);
	memcpy(p, is, n);
	c->changed = true;
	return true;
}

static bool put16(struct copy *c, size_t off, uint16_t v)
{
	return put(c, off, (const uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

/* Where the checksum of a transport header stands; 0: this protocol is not one
 * of ours. */
static size_t sum_place(uint8_t family, uint8_t proto)
{
	if (proto == PROTO_TCP)
		return 16;
	if (proto == PROTO_UDP)
		return 6;
	return proto == (family == 4 ? PROTO_ICMP : PROTO_ICMP6) ? 2 : 0;
}

static bool with_pseudo(uint8_t family, uint8_t proto)
{
	return family == 6 || proto != PROTO_ICMP;
}

/* An address of an IP header, with the checksums of the header and, if there is
 * one, of the transport (`pseudo`: which counts the addresses). */
static bool put_addr(struct copy *c, size_t off, size_t header_sum, size_t pseudo, const uint8_t *is, size_t n)
{
	uint8_t *p = at(c, off, n), sum[2];
	if (!p)
		return false;
	if (pseudo) {
		if (pseudo == c->sum) {
			edit_sum(c->b + pseudo, p, is, n, false);
		} else {
			memcpy(sum, c->b + pseudo, 2);
			edit_sum(sum, p, is, n, false);
			put(c, pseudo, sum, 2);
		}
	}
	if (header_sum) {
		memcpy(sum, c->b + header_sum, 2);
		edit_sum(sum, p, is, n, false);
		put(c, header_sum, sum, 2);
	}
	return put(c, off, is, n);
}

/* The packet inside an ICMP error, which starts at `q`: what is there of it.
 * The error's own checksum covers all of this. */
static bool put_quoted(struct copy *c, const struct frame *f, size_t q)
{
	const struct edit *e = &f->edit;
	bool v4 = f->quoted.family == 4;
	uint8_t *head = at(c, q, v4 ? 20 : 40);
	size_t l4 = q + (v4 && head ? (size_t)(head[0] & 15) * 4 : 40), alen = v4 ? 4 : 16;
	uint8_t proto = f->quoted.proto;
	/* Behind extension headers we do not look. */
	if (!f->quoted_ok || !head || head[v4 ? 9 : 6] != proto || !at(c, l4, 8))
		return false;
	size_t place = sum_place(f->quoted.family, proto), sum = place && at(c, l4 + place, 2) ? l4 + place : 0;
	bool none = proto == PROTO_UDP && sum && !(c->b[sum] | c->b[sum + 1]);
	bool icmp = proto == PROTO_ICMP || proto == PROTO_ICMP6;
	if (!place)
		return false;
	if (none)
		sum = 0;
	size_t pseudo = with_pseudo(f->quoted.family, proto) ? sum : 0, header = v4 ? q + IP4_SUM : 0;
	if (!put_addr(c, q + (v4 ? IP4_SRC : IP6_SRC), header, pseudo, e->daddr, alen) ||
	    !put_addr(c, q + (v4 ? IP4_DST : IP6_DST), header, pseudo, e->saddr, alen))
		return false;
	uint16_t ports[2] = { e->dport, e->sport };
	for (unsigned i = 0; i < (icmp ? 1 : 2); i++) {
		size_t off = l4 + (icmp ? 4 : 2 * i);
		uint8_t is[2] = { (uint8_t)(ports[i] >> 8), (uint8_t)ports[i] }, turned[2];
		if (sum) {
			memcpy(turned, c->b + sum, 2);
			edit_sum(turned, c->b + off, is, 2, false);
			put(c, sum, turned, 2);
		}
		if (!put(c, off, is, 2))
			return false;
	}
	if (proto == PROTO_UDP && sum && !c->b[sum] && !c->b[sum + 1])
		put16(c, sum, 0xffff);
	return true;
}

static bool put_payload(struct copy *c, const struct frame *f, const struct policy_pool *pool, size_t l4)
{
	const uint8_t *head = at(c, l4, f->t.proto == PROTO_TCP ? 20 : 8);
	if (!head || f->rule >= pool->nrules || f->rule >= POOL_RULES)
		return false;
	size_t begin = l4 + (f->t.proto == PROTO_TCP ? (size_t)(head[12] >> 4) * 4 : 8), end = l4 + f->l4.n;
	struct span span = pool->rules[f->rule].rewrites;
	if (begin > end || (size_t)span.first + span.n > POOL_REWRITES)
		return false;
	for (unsigned i = 0; i < span.n; i++) {
		const struct rewrite *w = &pool->rewrites[span.first + i];
		size_t from = begin;
		if (!w->n || w->n > REWRITE_MAX)
			return false;
		while (end - from >= w->n) {
			uint8_t *rest = at(c, from, end - from);
			uint8_t *hit = rest ? memmem(rest, end - from, w->from, w->n) : NULL;
			if (!hit)
				break;
			if (!put(c, (size_t)(hit - c->b), w->to, w->n))
				return false;
			from = (size_t)(hit - c->b) + w->n;
		}
	}
	return true;
}

/* Everything but the payload. `l4`: offset of the transport header. */
static bool put_headers(struct copy *c, const struct frame *f, size_t l4)
{
	const struct edit *e = &f->edit;
	bool v4 = f->t.family == 4, icmp = f->t.proto == (v4 ? PROTO_ICMP : PROTO_ICMP6);
	size_t alen = v4 ? 4 : 16, header = v4 ? ETH_HEAD + IP4_SUM : 0;
	size_t pseudo = with_pseudo(f->t.family, f->t.proto) ? c->sum : 0;
	if (e->what & EDIT_ADDRS) {
		if (!put_addr(c, ETH_HEAD + (v4 ? IP4_SRC : IP6_SRC), header, pseudo, e->saddr, alen) ||
		    !put_addr(c, ETH_HEAD + (v4 ? IP4_DST : IP6_DST), header, pseudo, e->daddr, alen))
			return false;
	}
	if ((e->what & EDIT_PORTS) && !f->frag_off && f->icmp_kind != ICMP_KIND_ERROR) {
		if (icmp ? !put16(c, l4 + 4, e->sport) : !put16(c, l4, e->sport) || !put16(c, l4 + 2, e->dport))
			return false;
	}
	return !(e->what & EDIT_QUOTED) || (!f->fragment && put_quoted(c, f, l4 + 8));
}

static bool fill(struct gateway *g, struct copy *c, const struct frame *f)
{
	const struct edit *e = &f->edit;
	if (e->what & EDIT_MACS) {
		put(c, 0, e->dmac, 6);
		put(c, 6, e->smac, 6);
	}
	if (!(e->what & ~EDIT_MACS))
		return true;
	if (!f->t.family || !f->l4.n || (!f->frag_off && !f->has_l4))
		return false;
	size_t l4 = (size_t)(f->l4.p - f->bytes.p), place = sum_place(f->t.family, f->t.proto);
	if (!place)
		return false;
	bool udp = f->t.proto == PROTO_UDP;
	if (!f->frag_off) {
		const uint8_t *sum = at(c, l4 + place, 2);
		if (!sum)
			return false;
		if (!udp || sum[0] || sum[1]) {
			c->from = l4;
			c->sum = l4 + place;
		}
	}
	if (!put_headers(c, f, l4))
		return false;
	if ((e->what & EDIT_PAYLOAD) && (f->t.proto == PROTO_TCP || udp)) {
		if (f->fragment || !put_payload(c, f, &g->policies.now->pool, l4))
			return false;
	}
	/* Zero would mean that there is none (RFC 768). */
	if (udp && c->sum && !c->b[c->sum] && !c->b[c->sum + 1])
		c->b[c->sum] = c->b[c->sum + 1] = 0xff;
	return true;
}

void edit(struct gateway *g, struct frame *f)
{
	if (f->verdict == VERDICT_RESET)
		answer_refusal(g, f);
	if (dropped(f))
		return;
	if (!f->edit.what) {
		/* Who plays a destination gets nothing that still names that one. */
		if (!passes(f))
			verdict_drop(f, REASON_DENIED);
		return;
	}
	if (f->frames) { /* fragments are sent as they came, or not at all */
		verdict_drop(f, REASON_FRAGMENT);
		return;
	}
	if (f->bytes.n > EDIT_ROOM || f->wirelen > f->bytes.n) {
		verdict_drop(f, REASON_TOO_LONG);
		return;
	}
	struct copy c = { .b = g->copy, .n = f->bytes.n };
	if (f->bytes.n)
		memcpy(c.b, f->bytes.p, f->bytes.n);
#ifdef MUTANT_EDIT_IN_PLACE
	c.b = (uint8_t *)(uintptr_t)f->bytes.p;
#endif
	if (!fill(g, &c, f)) {
		verdict_drop(f, f->fragment ? REASON_FRAGMENT : REASON_MALFORMED);
		return;
	}
	verdict_tighten(f, VERDICT_REWRITE, f->reason);
	if (passes(f) && !c.changed)
		return;
	if (!f->flood && !f->out) {
		verdict_drop(f, REASON_NO_PORT);
		return;
	}
	f->changed = slice_of(c.b, c.n);
	/* So that no record says "sent" of what cannot be. */
	uint8_t lost = f->flood ? REASON_NONE : capture_room(f->out, f->changed.n);
	if (lost) {
		verdict_drop(f, lost);
		f->changed = slice_of(NULL, 0);
	}
}
