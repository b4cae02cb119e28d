/* SPDX-License-Identifier: ISC */
#include "proc/gateway/guard.h"

#include "proc/gateway/gateway.h"

/* A honeypot's ARP frame with its padding, its neighbour discovery, and its
 * ICMP errors (RFC 1812 section 4.3.2.3, RFC 4443 section 3) are no longer than
 * this: nothing else travels in them. */
#define ARP_MAX 60u
#define ND_MAX (40u + 24u + 4 * 8u)
#define ERROR4_MAX 576u
#define ERROR6_MAX 1280u

enum { IGMP_QUERY = 0x11, MLD_QUERY = 130 };
enum { ND_OPT_SOURCE = 1, ND_OPT_TARGET = 2, ND_OPT_NONCE = 14 };

static const uint8_t none[16];

static bool is_zero(const uint8_t *p, size_t n)
{
	return !memcmp(p, none, n);
}

static bool is_own_or_none(const struct port *p, uint8_t family, const uint8_t *addr)
{
	return is_zero(addr, family == 4 ? 4 : 16) || port_owns_addr(p, family, addr);
}

static void link_layer(struct frame *f)
{
	/* 01:80:c2:00:00:00-0f: what a bridge keeps to itself (IEEE 802.1Q
	 * 8.6.3): STP, pause, LLDP, LACP, EAPOL. 01:00:0c:cc:cc:cx: Cisco's. */
	static const uint8_t reserved[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };
	static const uint8_t cisco[5] = { 0x01, 0x00, 0x0c, 0xcc, 0xcc };
	if ((!memcmp(f->dst, reserved, 5) && f->dst[5] < 16) || !memcmp(f->dst, cisco, 5)) {
		verdict_drop(f, REASON_LINK_LOCAL_PROTOCOL);
		return;
	}
	switch (f->l3) {
	case L3_VLAN:
		verdict_drop(f, REASON_VLAN);
		break;
	case L3_LLC:
		verdict_drop(f, REASON_LINK_LOCAL_PROTOCOL);
		break;
	case L3_OTHER:
		switch (f->ethertype) {
		case 0x8808: /* pause */
		case 0x8809: /* LACP */
		case 0x888e: /* EAPOL */
		case 0x88cc: /* LLDP */
		case 0x88e5: /* MACsec */
		case 0x8902: /* CFM */
			verdict_drop(f, REASON_LINK_LOCAL_PROTOCOL);
			break;
		default:
			verdict_drop(f, REASON_ETHERTYPE);
		}
		break;
	}
}

static void arp_of_honeypot(struct frame *f)
{
	struct port *p = f->in;
	uint8_t spa[16] = { 0 }, tpa[16] = { 0 };
	memcpy(spa, f->arp.spa, 4);
	memcpy(tpa, f->arp.tpa, 4);
	if (memcmp(f->arp.sha, p->conf.mac, 6) || !is_own_or_none(p, 4, spa) || (f->arp.op == 2 && is_zero(spa, 4)))
		verdict_drop(f, REASON_SPOOFED_ARP);
	else if (f->wirelen > ARP_MAX)
		verdict_drop(f, REASON_MALFORMED);
	else if (!port_on_link(p, 4, tpa))
		/* Answers too: a free target address would be a channel outside the
		 * budgets. A scanner that asks with an address of elsewhere gets none. */
		verdict_drop(f, REASON_DENIED);
}

/* Neighbour discovery (RFC 4861): what it claims must be the port's own. */
static void nd_of_honeypot(struct frame *f)
{
	struct port *p = f->in;
	struct slice s = f->l4, opt;
	uint8_t target[16], type = f->icmp_type, kind, len;
	if (type == ND_RA) {
		verdict_drop(f, REASON_ROUTER_ADVERT);
		return;
	}
	if (type == ND_REDIRECT) {
		verdict_drop(f, REASON_REDIRECT);
		return;
	}
	/* Never behind extension headers (RFC 6980), never forwarded by a router. */
	if (f->exts || f->hops != 255 || f->icmp_code || f->l3_len > ND_MAX || !slice_skip(&s, 8) ||
	    (type != ND_RS && !slice_get(&s, target, 16))) {
		verdict_drop(f, REASON_MALFORMED);
		return;
	}
	if (type == ND_NA && !port_owns_addr(p, 6, target))
		verdict_drop(f, REASON_SPOOFED_ARP);
	if (type == ND_NS && !port_on_link(p, 6, target))
		verdict_drop(f, REASON_DENIED);
	while (s.n) {
		if (!slice_u8(&s, &kind) || !slice_u8(&s, &len) || len != 1 || !slice_take(&s, 6, &opt)) {
			verdict_drop(f, REASON_MALFORMED);
			return;
		}
		if (kind == ND_OPT_SOURCE || kind == ND_OPT_TARGET) {
			if (memcmp(opt.p, p->conf.mac, 6))
				verdict_drop(f, REASON_SPOOFED_ARP);
		} else if (kind != ND_OPT_NONCE) {
			verdict_drop(f, REASON_DENIED);
		}
	}
}

static bool is_group(const struct port *p, const struct tuple *t)
{
	if (t->family == 6)
		return t->daddr[0] == 0xff;
	if (t->daddr[0] >= 224) /* and 255.255.255.255 */
		return true;
	for (uint32_t i = 0; i < p->conf.naddrs; i++) {
		const struct addr *a = &p->conf.addrs[i];
		if (a->family != 4 || a->plen >= 31)
			continue;
		uint32_t net = 0, to = 0, mask = a->plen ? ~0u << (32 - a->plen) : 0;
		for (unsigned k = 0; k < 4; k++) {
			net = net << 8 | a->b[k];
			to = to << 8 | t->daddr[k];
		}
		if (to == (net | ~mask))
			return true;
	}
	return false;
}

/* Queries make others report: routers send them (RFC 3376, RFC 3810). */
static bool is_query(const struct frame *f)
{
	if (f->t.family == 4)
		return f->t.proto == PROTO_IGMP && f->l4.n && f->l4.p[0] == IGMP_QUERY;
	return f->icmp_kind == ICMP_KIND_MLD && f->icmp_type == MLD_QUERY;
}

static void ip_of_honeypot(struct frame *f)
{
	struct port *p = f->in;
	const struct tuple *t = &f->t;
	bool nd = f->icmp_kind == ICMP_KIND_ND;
	/* Without an address a host may ask for one (DHCP), look whether its own
	 * is free (DAD) and join groups. */
	bool nameless = t->family == 4 ? t->proto == PROTO_UDP && f->has_l4 && t->sport == 68 && t->dport == 67
				       : nd || f->icmp_kind == ICMP_KIND_MLD;
#ifndef MUTANT_SPOOF_OK
	if (!port_owns_addr(p, t->family, t->saddr) && !(nameless && is_zero(t->saddr, t->family == 4 ? 4 : 16)))
		verdict_drop(f, REASON_SPOOFED_ADDRESS);
#endif
	/* It would not get beyond the next router; one that is heard there is told from others. */
	if (!f->hops || (f->hops == 1 && !f->multicast && !port_on_link(p, t->family, t->daddr)))
		verdict_drop(f, REASON_TTL);
	/* To all, though meant for one: no host sends that (RFC 1122 section 3.3.6). */
	if (f->multicast && !is_group(p, t))
		verdict_drop(f, REASON_MULTICAST);
	if (is_query(f))
		verdict_drop(f, REASON_DENIED);
	if (nd)
		nd_of_honeypot(f);
	if (t->family == 4 && f->icmp_kind == ICMP_KIND_ERROR && f->icmp_type == 5)
		verdict_drop(f, REASON_REDIRECT);
	if (t->family == 4 && f->icmp_kind == ICMP_KIND_OTHER && (f->icmp_type == 9 || f->icmp_type == 10))
		verdict_drop(f, f->icmp_type == 9 ? REASON_ROUTER_ADVERT : REASON_DENIED); /* RFC 1256 */
	if (f->icmp_kind == ICMP_KIND_ERROR && f->l3_len > (t->family == 4 ? ERROR4_MAX : ERROR6_MAX))
		verdict_drop(f, REASON_MALFORMED);
	if (t->proto == PROTO_UDP && f->has_l4) {
		uint16_t server = t->family == 4 ? 67 : 547, client = t->family == 4 ? 68 : 546;
		if (t->sport == server || t->dport == client)
			verdict_drop(f, REASON_DHCP_SERVER);
	}
}

static void honeypot(struct frame *f)
{
	if (memcmp(f->src, f->in->conf.mac, 6))
		verdict_drop(f, REASON_SPOOFED_MAC);
	link_layer(f);
	if (dropped(f))
		return;
	if (f->l3 == L3_ARP)
		arp_of_honeypot(f);
	else
		ip_of_honeypot(f);
}

static void uplink(struct gateway *g, struct frame *f)
{
	uint16_t net = f->in->conf.net;
	const struct tuple *t = &f->t;
	if ((f->src[0] & 1) || gateway_by_mac(g, net, f->src))
		verdict_drop(f, REASON_SPOOFED_MAC);
	link_layer(f);
	if (dropped(f))
		return;
	if (f->l3 == L3_ARP) {
		uint8_t spa[16] = { 0 };
		memcpy(spa, f->arp.spa, 4);
		if (gateway_by_mac(g, net, f->arp.sha) || (!is_zero(spa, 4) && gateway_by_addr(g, net, 4, spa)))
			verdict_drop(f, REASON_SPOOFED_ARP);
		return;
	}
	bool multicast = t->family == 4 ? t->saddr[0] >= 224 : t->saddr[0] == 0xff;
	bool loopback = t->family == 4 ? t->saddr[0] == 127 : is_zero(t->saddr, 15) && t->saddr[15] == 1;
	if (multicast || loopback || gateway_by_addr(g, net, t->family, t->saddr)) {
		verdict_drop(f, REASON_SPOOFED_ADDRESS);
		return;
	}
	if (!f->hops)
		verdict_drop(f, REASON_TTL);
	if (f->multicast && gateway_by_addr(g, net, t->family, t->daddr))
		verdict_drop(f, REASON_MULTICAST);
	/* Not from beyond the link (RFC 4861), and never in fragments (RFC 6980). */
	if (f->icmp_kind == ICMP_KIND_ND && (f->hops != 255 || f->exts || f->fragment))
		verdict_drop(f, REASON_MALFORMED);
	if (f->icmp_kind == ICMP_KIND_ND && f->icmp_type == ND_NA) {
		struct slice s = f->l4;
		uint8_t target[16];
		if (slice_skip(&s, 8) && slice_get(&s, target, 16) && gateway_by_addr(g, net, 6, target))
			verdict_drop(f, REASON_SPOOFED_ARP);
	}
}

void guard(struct gateway *g, struct frame *f)
{
	switch (f->in->conf.role) {
	case PORT_ROLE_UPLINK:
		uplink(g, f);
		break;
	case PORT_ROLE_HONEYPOT:
		honeypot(f);
		break;
	default:
		/* What plays a destination, and the engine, have their own checks where
		 * their frames are expected. */
		break;
	}
}
