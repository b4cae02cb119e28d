/* SPDX-License-Identifier: ISC */
/*
 * Ethernet, ARP (RFC 826), IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), UDP
 * (RFC 768), ICMP (RFC 792), ICMPv6 (RFC 4443). Reads only through slices; a
 * layer that contradicts another one is malformed, so that no later stage has
 * to ask which of two lengths holds.
 */
#include "proc/gateway/decode.h"

#include "proc/gateway/checksum.h"

enum {
	ETHERTYPE_MIN = 0x600,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
};

enum { IPOPT_END = 0, IPOPT_NOP = 1, IPOPT_RECORD_ROUTE = 7, IPOPT_TIMESTAMP = 68, IPOPT_LSRR = 131, IPOPT_SSRR = 137 };

enum { IP6OPT_PAD1 = 0, IP6OPT_PADN = 1, IP6OPT_JUMBO = 0xc2 };

/* IANA, Assigned Internet Protocol Numbers. */
enum {
	IP6_HOP_BY_HOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_AUTHENTICATION = 51,
	IP6_DESTINATION = 60,
	IP6_MOBILITY = 135,
	IP6_HOST_IDENTITY = 139,
	IP6_SHIM6 = 140,
	IP6_UNASSIGNED = 146
};

static void malformed(struct frame *f)
{
	verdict_drop(f, REASON_MALFORMED);
}

uint8_t icmp_kind(uint8_t family, uint8_t type)
{
	if (family == 4) {
		switch (type) {
		case 8:
		case 13:
		case 15:
		case 17:
			return ICMP_KIND_REQUEST;
		case 0:
		case 14:
		case 16:
		case 18:
			return ICMP_KIND_ANSWER;
		case 3:
		case 4:
		case 5:
		case 11:
		case 12:
			return ICMP_KIND_ERROR;
		default:
			return ICMP_KIND_OTHER;
		}
	}
	if (type >= 1 && type <= 4)
		return ICMP_KIND_ERROR;
	if (type == 128)
		return ICMP_KIND_REQUEST;
	if (type == 129)
		return ICMP_KIND_ANSWER;
	if (type >= ND_RS && type <= ND_REDIRECT)
		return ICMP_KIND_ND;
	if ((type >= 130 && type <= 132) || type == 143)
		return ICMP_KIND_MLD;
	return ICMP_KIND_OTHER;
}

static void decode_arp(struct frame *f)
{
	struct slice s = f->eth;
	uint16_t htype, ptype;
	uint8_t hlen, plen;
	struct arp a;
	if (!slice_be16(&s, &htype) || !slice_be16(&s, &ptype) || !slice_u8(&s, &hlen) || !slice_u8(&s, &plen) ||
	    htype != 1 || ptype != ETHERTYPE_IP4 || hlen != 6 || plen != 4 || !slice_be16(&s, &a.op) ||
	    !slice_get(&s, a.sha, 6) || !slice_get(&s, a.spa, 4) || !slice_get(&s, a.tha, 6) ||
	    !slice_get(&s, a.tpa, 4) || (a.op != 1 && a.op != 2)) {
		malformed(f);
		return;
	}
	f->arp = a;
}

/* Padding must be empty, as Linux wants it (net/ipv6/exthdrs.c): it could carry
 * something. No jumbograms (RFC 2675). */
static void ip6_options(struct frame *f, struct slice s)
{
	uint8_t kind, len, pad;
	struct slice body;
	if (!slice_skip(&s, 2))
		return;
	while (slice_u8(&s, &kind)) {
		if (kind == IP6OPT_PAD1)
			continue;
		if (!slice_u8(&s, &len) || !slice_take(&s, len, &body)) {
			malformed(f);
			return;
		}
		if (kind == IP6OPT_JUMBO)
			verdict_drop(f, REASON_EXTENSION);
		while (kind == IP6OPT_PADN && slice_u8(&body, &pad))
			if (pad)
				verdict_drop(f, REASON_EXTENSION);
	}
}

/* The place of a header in the order of RFC 8200 section 4.1, each at most once;
 * destination options twice. 0: no extension header. Mobility, host identity
 * and shim6 have none: nobody here speaks them. */
static uint8_t ip6_rank(uint8_t header, uint8_t before)
{
	switch (header) {
	case IP6_HOP_BY_HOP:
		return 1;
	case IP6_DESTINATION:
		return before < 2 ? 2 : 6;
	case IP6_ROUTING:
		return 3;
	case IP6_FRAGMENT:
		return 4;
	case IP6_AUTHENTICATION:
		return 5;
	default:
		return 0;
	}
}

static bool ip6_refused(uint8_t header)
{
	return header == IP6_MOBILITY || header == IP6_HOST_IDENTITY || header == IP6_SHIM6 ||
	       header >= IP6_UNASSIGNED; /* a header or a payload? Nobody could say */
}

/* Walks the IPv6 chain: from protocol `next` at the front of *s to the upper
 * layer. false: dropped. In a quoted packet nothing is judged but the shape. */
static bool ip6_chain(struct frame *f, struct slice *s, uint8_t *next, bool quoted)
{
	uint16_t named = 6; /* where the number of the header at *s stands */
	uint8_t rank = 0;
	bool strict = !quoted;
#ifdef MUTANT_V6_EXT_FREE
	strict = false;
#endif
	for (unsigned n = 0;; n++) {
		uint8_t nh, len, was = rank;
		struct slice h = *s, whole;
		if (strict && ip6_refused(*next)) {
			verdict_drop(f, REASON_EXTENSION);
			return true;
		}
		rank = ip6_rank(*next, was);
		if (!rank)
			return true;
		if (strict && rank <= was) {
			verdict_drop(f, REASON_EXTENSION);
			return false;
		}
		if (n == IP6_EXTENSIONS_MAX || !slice_u8(&h, &nh) || !slice_u8(&h, &len))
			return false;
		if (!quoted)
			f->exts++;
		if (*next == IP6_FRAGMENT) {
			uint16_t off, at = (uint16_t)(s->p - f->eth.p);
			uint32_t id;
			if (!slice_be16(&h, &off) || !slice_be32(&h, &id))
				return false;
			*s = h;
			if (!quoted) {
				f->fh_at = at;
				f->nh_at = named;
				f->more = off & 1;
				f->frag_off = off & 0xfff8;
				f->frag_id = id;
				/* Alone it is whole: RFC 6946. */
				f->fragment = f->more || f->frag_off;
			}
			named = at;
			*next = nh;
			if (off & 0xfff8)
				return true;
			continue;
		}
		size_t size = *next == IP6_AUTHENTICATION ? ((size_t)len + 2) * 4 : ((size_t)len + 1) * 8;
		named = (uint16_t)(s->p - f->eth.p);
		if (!slice_take(s, size, &whole))
			return false;
		if (strict && *next == IP6_ROUTING)
			verdict_drop(f, REASON_EXTENSION);
		if (!quoted && (*next == IP6_HOP_BY_HOP || *next == IP6_DESTINATION))
			ip6_options(f, whole);
		*next = nh;
	}
}

/* The packet inside an ICMP error: as many headers as lead to the ports. */
static void decode_quoted(struct frame *f, struct slice s)
{
	struct tuple q = { .family = f->t.family };
	uint8_t first, head[20];
	struct slice at = s;
	if (q.family == 4) {
		if (!slice_get(&at, head, 20))
			return;
		size_t ihl = (size_t)(head[0] & 15) * 4;
		uint16_t off = (uint16_t)((head[6] << 8 | head[7]) & 0x1fff);
		if (head[0] >> 4 != 4 || ihl < 20 || off || !slice_skip(&s, ihl))
			return;
		q.proto = head[9];
		memcpy(q.saddr, head + 12, 4);
		memcpy(q.daddr, head + 16, 4);
	} else {
		if (!slice_u8(&at, &first) || first >> 4 != 6 || !slice_skip(&at, 5) || !slice_u8(&at, &q.proto) ||
		    !slice_skip(&at, 1) || !slice_get(&at, q.saddr, 16) || !slice_get(&at, q.daddr, 16))
			return;
		s = at;
		if (!ip6_chain(f, &s, &q.proto, true))
			return;
	}
	uint16_t a, b;
	if (q.proto == PROTO_TCP || q.proto == PROTO_UDP) {
		if (!slice_be16(&s, &q.sport) || !slice_be16(&s, &q.dport) || !slice_skip(&s, 4))
			return;
	} else if (q.proto == (q.family == 4 ? PROTO_ICMP : PROTO_ICMP6)) {
		if (!slice_be16(&s, &a) || !slice_skip(&s, 2) || !slice_be16(&s, &b) || !slice_skip(&s, 2))
			return;
		f->quoted_type = (uint8_t)(a >> 8);
		f->quoted_id = b;
	}
	f->quoted = q;
	f->quoted_ok = true;
}

static bool sum_wrong(const struct frame *f, bool pseudo)
{
	if (!f->check_sums || f->fragment)
		return false;
	uint32_t sum = pseudo ? checksum_pseudo(&f->t, (uint32_t)f->l4.n) : 0;
	return checksum_fold(checksum_add(sum, f->l4.p, f->l4.n)) != 0xffff;
}

static bool decode_tcp(struct frame *f)
{
	struct slice s = f->l4;
	uint8_t off, flags;
	if (!slice_be16(&s, &f->t.sport) || !slice_be16(&s, &f->t.dport) || !slice_skip(&s, 8) || !slice_u8(&s, &off) ||
	    !slice_u8(&s, &flags))
		return false;
	if (off >> 4 < 5 || (size_t)(off >> 4) * 4 > f->l4.n)
		return false;
	f->tcp_flags = flags;
	f->has_l4 = true;
	if (sum_wrong(f, true))
		verdict_drop(f, REASON_CHECKSUM);
	return true;
}

static bool decode_udp(struct frame *f)
{
	struct slice s = f->l4;
	uint16_t len, sum;
	if (!slice_be16(&s, &f->t.sport) || !slice_be16(&s, &f->t.dport) || !slice_be16(&s, &len) ||
	    !slice_be16(&s, &sum))
		return false;
	if (len < 8 || (f->fragment ? len <= f->l4.n : len != f->l4.n))
		return false;
	f->has_l4 = true;
	/* IPv4 allows none (RFC 768), IPv6 demands it (RFC 8200). */
	if ((sum || f->t.family == 6) && (sum ? sum_wrong(f, true) : f->check_sums && !f->fragment))
		verdict_drop(f, REASON_CHECKSUM);
	return true;
}

static bool decode_icmp(struct frame *f)
{
	struct slice s = f->l4;
	uint16_t sum;
	if (!slice_u8(&s, &f->icmp_type) || !slice_u8(&s, &f->icmp_code) || !slice_be16(&s, &sum))
		return false;
	f->icmp_kind = icmp_kind(f->t.family, f->icmp_type);
	f->has_l4 = true;
	switch (f->icmp_kind) {
	case ICMP_KIND_REQUEST:
	case ICMP_KIND_ANSWER:
		if (!slice_be16(&s, &f->icmp_id) || !slice_skip(&s, 2))
			return false;
		break;
	case ICMP_KIND_ERROR:
		if (!slice_skip(&s, 4))
			return false;
		decode_quoted(f, s);
		break;
	}
	if (sum_wrong(f, f->t.family == 6))
		verdict_drop(f, REASON_CHECKSUM);
	return true;
}

static void decode_l4(struct frame *f, struct slice payload)
{
	bool ok = true;
	f->l4 = payload;
	if (f->fragment) {
		f->frag_len = (uint16_t)payload.n;
		/* All but the last carry multiples of 8, and all end inside a
		 * packet of 65,535 bytes. */
		if (payload.n == 0 || (f->more && payload.n % 8) || f->frag_off + payload.n > 65535) {
			verdict_drop(f, REASON_FRAGMENT);
			return;
		}
		if (f->frag_off)
			return;
	}
	if (f->t.proto == PROTO_TCP)
		ok = decode_tcp(f);
	else if (f->t.proto == PROTO_UDP)
		ok = decode_udp(f);
	else if (f->t.proto == (f->t.family == 4 ? PROTO_ICMP : PROTO_ICMP6))
		ok = decode_icmp(f);
	else
		f->has_l4 = true;
	if (!ok) {
		f->has_l4 = false;
		/* The header is in the next fragment: a way past filters. */
		verdict_drop(f, f->fragment ? REASON_FRAGMENT : REASON_MALFORMED);
	}
}

/* Source routing would carry a frame elsewhere than its header says; the others
 * have routers write into it (RFC 7126). */
static bool ip4_options(struct frame *f, struct slice s)
{
	while (s.n) {
		uint8_t kind, len;
		slice_u8(&s, &kind);
		if (kind == IPOPT_END)
			return true;
		if (kind == IPOPT_NOP)
			continue;
		if (!slice_u8(&s, &len) || len < 2 || !slice_skip(&s, (size_t)len - 2))
			return false;
		if (kind == IPOPT_LSRR || kind == IPOPT_SSRR || kind == IPOPT_RECORD_ROUTE || kind == IPOPT_TIMESTAMP)
			verdict_drop(f, REASON_EXTENSION);
	}
	return true;
}

static void decode_ip4(struct frame *f)
{
	struct slice s = f->eth, head, options, payload;
	uint8_t h[20];
	if (!slice_get(&s, h, sizeof(h))) {
		malformed(f);
		return;
	}
	size_t ihl = (size_t)(h[0] & 15) * 4, total = (size_t)(h[2] << 8 | h[3]);
	f->hops = h[8];
	f->t.family = 4;
	f->t.proto = h[9];
	memcpy(f->t.saddr, h + 12, 4);
	memcpy(f->t.daddr, h + 16, 4);
	f->l3_len = (uint32_t)total;
	if (h[0] >> 4 != 4 || ihl < 20 || total < ihl || !slice_sub(f->eth, 0, ihl, &head) ||
	    !slice_sub(f->eth, ihl, total - ihl, &payload) || !slice_sub(head, 20, ihl - 20, &options) ||
	    !ip4_options(f, options)) {
		malformed(f);
		return;
	}
	if (f->check_sums && checksum_fold(checksum_add(0, head.p, head.n)) != 0xffff)
		verdict_drop(f, REASON_CHECKSUM);
	uint16_t off = (uint16_t)(h[6] << 8 | h[7]);
	if (off & 0x8000) { /* reserved bit */
		malformed(f);
		return;
	}
	f->more = off & 0x2000;
	f->frag_off = (uint16_t)((off & 0x1fff) * 8);
	f->frag_id = (uint32_t)(h[4] << 8 | h[5]);
	f->fragment = f->more || f->frag_off;
	if ((off & 0x1fff) * 8u > 65535 - 8) {
		verdict_drop(f, REASON_FRAGMENT);
		return;
	}
	decode_l4(f, payload);
}

static void decode_ip6(struct frame *f)
{
	struct slice s = f->eth, payload;
	uint32_t first;
	uint16_t len;
	if (!slice_be32(&s, &first) || !slice_be16(&s, &len) || !slice_u8(&s, &f->t.proto) || !slice_u8(&s, &f->hops) ||
	    !slice_get(&s, f->t.saddr, 16) || !slice_get(&s, f->t.daddr, 16)) {
		malformed(f);
		return;
	}
	f->t.family = 6;
	f->l3_len = 40u + len;
	/* len 0 with a payload would be a jumbogram (RFC 2675): none here. */
	if (first >> 28 != 6 || !slice_take(&s, len, &payload) || !ip6_chain(f, &payload, &f->t.proto, false)) {
		malformed(f);
		return;
	}
	decode_l4(f, payload);
}

void decode(struct frame *f)
{
	struct slice s = f->bytes;
	if (!slice_get(&s, f->dst, 6) || !slice_get(&s, f->src, 6) || !slice_be16(&s, &f->ethertype)) {
		malformed(f);
		return;
	}
	f->eth = s;
	f->multicast = f->dst[0] & 1;
	switch (f->ethertype) {
	case ETHERTYPE_IP4:
		f->l3 = L3_IP4;
		decode_ip4(f);
		break;
	case ETHERTYPE_IP6:
		f->l3 = L3_IP6;
		decode_ip6(f);
		break;
	case ETHERTYPE_ARP:
		f->l3 = L3_ARP;
		decode_arp(f);
		break;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_QINQ_OLD:
		f->l3 = L3_VLAN;
		break;
	default:
		f->l3 = f->ethertype < ETHERTYPE_MIN ? L3_LLC : L3_OTHER;
	}
}
