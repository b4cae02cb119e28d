/* SPDX-License-Identifier: ISC */
#include "proc/gateway/answer.h"

#include "proc/gateway/checksum.h"
#include "proc/gateway/edit.h"
#include "proc/gateway/gateway.h"

#include <sodium.h>

enum { IP4_HEAD = 20, IP6_HEAD = 40, TCP_HEAD = 20, TCP_STAMPS = 12, ICMP_HEAD = 8 };
enum { ERROR4_MAX = 576 /* RFC 1812 4.3.2.3, and Linux */, ERROR6_MAX = 1280 /* RFC 4443 2.4 c */ };
enum { TTL_FIRST = 64, HOPS_MIN = 6, HOPS_SPREAD = 12 };

static void be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v);
}

static uint64_t keyed(const struct gateway *g, const void *p, size_t n)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t h;
	crypto_shorthash(out, p, n, g->flows.hash_key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static uint8_t distance(const struct gateway *g, const struct frame *f)
{
	uint8_t place[17] = { f->t.family };
	/* To the uplink one of our own answers. */
	if (!port_is_honeypot(f->in) || port_on_link(f->in, f->t.family, f->t.daddr))
		return 0;
	memcpy(place + 1, f->t.daddr, 16);
	return (uint8_t)(HOPS_MIN + keyed(g, place, sizeof(place)) % HOPS_SPREAD);
}

uint8_t answer_ttl(const struct gateway *g, const struct frame *f)
{
	if (f->flow && f->flow->ttl[!f->dir])
		return f->flow->ttl[!f->dir];
	return (uint8_t)(TTL_FIRST - distance(g, f));
}

static bool unicast(const struct frame *f)
{
	const struct tuple *t = &f->t;
	static const uint8_t none[16];
	size_t n = t->family == 4 ? 4 : 16;
	if (f->multicast || (f->src[0] & 1) || !memcmp(t->saddr, none, n) || !memcmp(t->daddr, none, n))
		return false;
	return t->family == 4 ? t->saddr[0] < 224 && t->daddr[0] < 224 : t->saddr[0] != 0xff && t->daddr[0] != 0xff;
}

/* Ethernet and IP headers in front of `len` bytes that are there already, and
 * the checksum at sum[2] of them. */
static void finish(struct gateway *g, struct frame *f, uint8_t proto, size_t len, size_t sum, bool df)
{
	uint8_t *eth = g->answer, *ip = eth + ETH_HEAD;
	size_t head = f->t.family == 4 ? IP4_HEAD : IP6_HEAD;
	uint8_t *l4 = ip + head;
	struct tuple t = { .family = f->t.family, .proto = proto };
	memcpy(t.saddr, f->t.daddr, 16);
	memcpy(t.daddr, f->t.saddr, 16);
	memcpy(eth, f->src, 6);
	memcpy(eth + 6, f->dst, 6);
	be16(eth + 12, f->ethertype);
	memset(ip, 0, head);
	if (f->t.family == 4) {
		ip[0] = 0x45;
		ip[1] = proto == PROTO_ICMP ? 0xc0 : 0; /* Linux: errors are internetwork control */
		be16(ip + 2, (uint32_t)(head + len));
		/* Linux: id 0 where DF forbids fragments, else a counter that jumps. */
		if (!df)
			be16(ip + 4, g->answer_id += 1 + (uint16_t)(f->now >> 20 & 7));
		be16(ip + 6, df ? 0x4000 : 0);
		ip[8] = answer_ttl(g, f);
		ip[9] = proto;
		memcpy(ip + 12, t.saddr, 4);
		memcpy(ip + 16, t.daddr, 4);
		be16(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, head)));
	} else {
		ip[0] = 0x60;
		be16(ip + 4, (uint32_t)len);
		ip[6] = proto;
		ip[7] = answer_ttl(g, f);
		memcpy(ip + 8, t.saddr, 16);
		memcpy(ip + 24, t.daddr, 16);
	}
	be16(l4 + sum, 0);
	uint32_t start = proto == PROTO_ICMP ? 0 : checksum_pseudo(&t, (uint32_t)len);
	be16(l4 + sum, (uint16_t)~checksum_fold(checksum_add(start, l4, len)));
	f->answer = slice_of(eth, ETH_HEAD + head + len);
}

bool answer_tcp(struct gateway *g, struct frame *f, const struct answer_tcp *a)
{
	if (f->t.proto != PROTO_TCP || !f->has_l4 || f->frag_off || !unicast(f))
		return false;
	uint8_t *p = g->answer + ETH_HEAD + (f->t.family == 4 ? IP4_HEAD : IP6_HEAD);
	size_t head = TCP_HEAD + (a->stamped ? TCP_STAMPS : 0);
	memset(p, 0, head);
	be16(p, f->t.dport);
	be16(p + 2, f->t.sport);
	be32(p + 4, a->seq);
	be32(p + 8, a->ack);
	p[12] = (uint8_t)(head / 4 << 4);
	p[13] = a->flags;
	be16(p + 14, a->window);
	if (a->stamped) {
		be32(p + TCP_HEAD, 0x0101080a);
		be32(p + TCP_HEAD + 4, a->stamp);
		be32(p + TCP_HEAD + 8, a->echo);
	}
	finish(g, f, PROTO_TCP, head, 16, true);
	return true;
}

static void refuse_tcp(struct gateway *g, struct frame *f)
{
	struct slice s = f->l4;
	struct answer_tcp a = { .flags = TCP_RST };
	uint32_t seq, ack;
	uint8_t off;
	if ((f->tcp_flags & TCP_RST) || f->frag_off || !slice_skip(&s, 4) || !slice_be32(&s, &seq) ||
	    !slice_be32(&s, &ack) || !slice_u8(&s, &off))
		return;
	if (f->tcp_flags & TCP_ACK) {
		a.seq = ack;
	} else {
		/* SYN and FIN count as a byte each. */
		a.ack = seq + (uint32_t)(f->l4.n - (size_t)(off >> 4) * 4) + !!(f->tcp_flags & TCP_SYN) +
			!!(f->tcp_flags & TCP_FIN);
		a.flags |= TCP_ACK;
	}
	answer_tcp(g, f, &a);
}

static bool may_complain(struct gateway *g, const struct frame *f)
{
	struct {
		uint8_t from[16], to[16];
	} pair;
	memcpy(pair.from, f->t.daddr, 16);
	memcpy(pair.to, f->t.saddr, 16);
	struct answer_peer *p = &g->answer_peers[keyed(g, &pair, sizeof(pair)) & (ANSWER_PEERS - 1)];
	uint64_t each = f->t.family == 4 ? EV_SEC : EV_SEC / 16, most = ANSWER_BURST * each;
	p->credit = p->last ? p->credit + (f->now - p->last) : most;
	if (p->credit > most)
		p->credit = most;
	p->last = f->now;
	if (p->credit < each)
		return false;
	p->credit -= each;
	return true;
}

static void refuse_udp(struct gateway *g, struct frame *f)
{
	bool v4 = f->t.family == 4;
	size_t head = v4 ? IP4_HEAD : IP6_HEAD, most = (v4 ? ERROR4_MAX : ERROR6_MAX) - head - ICMP_HEAD;
	uint8_t *p = g->answer + ETH_HEAD + head, *quote = p + ICMP_HEAD;
	struct slice q = f->eth;
	size_t n = f->l3_len < most ? f->l3_len : most;
	if (f->frag_off || !f->has_l4 || n < head || !unicast(f) || !may_complain(g, f) || !slice_get(&q, quote, n))
		return;
	memset(p, 0, ICMP_HEAD);
	p[0] = v4 ? 3 : 1;
	p[1] = v4 ? 3 : 4;
	/* As it arrived there. */
	uint8_t far = distance(g, f), *ttl = &quote[v4 ? 8 : 7], was = *ttl;
	*ttl = was > far ? (uint8_t)(was - far) : 1;
	if (v4)
		edit_sum(quote + 10, &was, ttl, 1, false);
	finish(g, f, v4 ? PROTO_ICMP : PROTO_ICMP6, ICMP_HEAD + n, 2, false);
}

void answer_refusal(struct gateway *g, struct frame *f)
{
	const struct policy_pool *pool = &g->policies.now->pool;
	bool inbound = f->rule < pool->nrules && f->rule < POOL_RULES && (pool->rules[f->rule].directions & RULE_IN);
	if (!f->has_l4 || (port_is_uplink(f->in) && !inbound) || (!port_is_uplink(f->in) && !port_is_honeypot(f->in)))
		return;
	if (f->t.proto == PROTO_TCP)
		refuse_tcp(g, f);
	else if (f->t.proto == PROTO_UDP)
		refuse_udp(g, f);
}
