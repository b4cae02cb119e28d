/* SPDX-License-Identifier: ISC */
#include "proc/gateway/hold.h"

#include "proc/gateway/answer.h"
#include "proc/gateway/checksum.h"
#include "proc/gateway/gateway.h"

enum { ND_TARGET = 8, ND_SIZE = 24, ND_OPTION = 8, NA_SOLICITED = 0x40, NA_OVERRIDE = 0x20, OPT_TARGET = 2 };

static void recount(struct gateway *g)
{
	g->any_held = false;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		g->any_held |= g->ports[i].used && g->ports[i].history->held;
}

void hold_set(struct gateway *g, struct port *p, bool held)
{
	p->history->held = held;
	p->history->held_last = g->latest;
	recount(g);
}

void hold_forget(struct gateway *g, struct port *p)
{
	if (p->history)
		p->history->held = false;
	recount(g);
}

void hold_tick(struct gateway *g, uint64_t now)
{
	for (unsigned i = 0; g->any_held && i < MODEL_HONEYPOTS; i++)
		if (g->ports[i].used && g->ports[i].history->held)
			g->ports[i].history->held_last = now;
}

static uint64_t held_last(const struct gateway *g, uint16_t slot)
{
	return slot < MODEL_HONEYPOTS && g->ports[slot].used ? g->ports[slot].history->held_last : 0;
}

uint64_t hold_idle(const struct gateway *g, const struct flow *fl)
{
	uint64_t t = fl->last, a = held_last(g, fl->src_slot), b = held_last(g, fl->dst_slot);
	if (a > t)
		t = a;
	return b > t ? b : t;
}

/* ---- who has this address? --------------------------------------------------- */

static void be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool ethernet(struct gateway *g, const struct frame *f, const struct port *p)
{
	if (f->src[0] & 1)
		return false;
	memcpy(g->answer, f->src, 6);
	memcpy(g->answer + 6, p->conf.mac, 6);
	be16(g->answer + 12, f->ethertype);
	return true;
}

static void answer_arp(struct gateway *g, struct frame *f, const struct port *p)
{
	uint8_t *a = g->answer + ETH_HEAD;
	if (f->arp.op != 1 || !ethernet(g, f, p))
		return;
	memcpy(a, (const uint8_t[]){ 0, 1, 8, 0, 6, 4, 0, 2 }, 8);
	memcpy(a + 8, p->conf.mac, 6);
	memcpy(a + 14, f->arp.tpa, 4);
	memcpy(a + 18, f->arp.sha, 6);
	memcpy(a + 24, f->arp.spa, 4);
	f->answer = slice_of(g->answer, ETH_HEAD + 28);
}

static void answer_nd(struct gateway *g, struct frame *f, const struct port *p)
{
	static const uint8_t none[16], all_nodes[16] = { 0xff, 2, [15] = 1 }, all_macs[6] = { 0x33, 0x33, [5] = 1 };
	uint8_t *ip = g->answer + ETH_HEAD, *na = ip + 40, target[16];
	struct slice s = f->l4;
	size_t len = ND_SIZE + ND_OPTION;
	if (f->icmp_type != ND_NS || f->hops != 255 || !slice_skip(&s, ND_TARGET) || !slice_get(&s, target, 16) ||
	    !port_owns_addr(p, 6, target) || !ethernet(g, f, p))
		return;
	/* Who asks without an address looks whether it is free: all are told. */
	bool nameless = !memcmp(f->t.saddr, none, 16);
	struct tuple t = { .family = 6, .proto = PROTO_ICMP6 };
	memcpy(t.saddr, target, 16);
	memcpy(t.daddr, nameless ? all_nodes : f->t.saddr, 16);
	if (nameless)
		memcpy(g->answer, all_macs, 6);
	memset(ip, 0, 40 + len);
	ip[0] = 0x60;
	be16(ip + 4, (uint32_t)len);
	ip[6] = PROTO_ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, t.saddr, 16);
	memcpy(ip + 24, t.daddr, 16);
	na[0] = ND_NA;
	na[4] = NA_OVERRIDE | (nameless ? 0 : NA_SOLICITED);
	memcpy(na + ND_TARGET, target, 16);
	na[ND_SIZE] = OPT_TARGET;
	na[ND_SIZE + 1] = 1;
	memcpy(na + ND_SIZE + 2, p->conf.mac, 6);
	be16(na + 2, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(&t, (uint32_t)len), na, len)));
	f->answer = slice_of(g->answer, ETH_HEAD + 40 + len);
}

/* ---- connections ---------------------------------------------------------------- */

static void answer_connection(struct gateway *g, struct frame *f)
{
	const struct tcp_track *t = tcp_open(g, f->flow);
	struct tcp_segment s;
	if (!t || f->icmp_kind || (f->tcp_flags & (TCP_RST | TCP_SYN)))
		return;
	const struct tcp_side *machine = &t->side[!f->dir], *other = &t->side[f->dir];
	tcp_segment_of(f, &s);
	/* It asks for nothing: says nothing, and nothing that was said before. */
	if (s.end == s.seq && s.seq == other->acked)
		return;
	struct answer_tcp a = { .seq = machine->end, .ack = other->acked, .flags = TCP_ACK };
	a.stamped = machine->has_stamp && tcp_stamp_of(&s, &a.echo);
	a.stamp = machine->stamp;
	answer_tcp(g, f, &a);
}

static struct port *held_port(struct gateway *g, const struct frame *f)
{
	uint8_t addr[16] = { 0 };
	struct slice s = f->l4;
	if (f->out)
		return f->out;
	if (f->l3 == L3_ARP)
		memcpy(addr, f->arp.tpa, 4);
	else if (f->icmp_kind != ICMP_KIND_ND || f->icmp_type != ND_NS || !slice_skip(&s, ND_TARGET) ||
		 !slice_get(&s, addr, 16))
		return NULL;
	return gateway_by_addr(g, f->in->conf.net, f->l3 == L3_ARP ? 4 : 6, addr);
}

void hold_judge(struct gateway *g, struct frame *f)
{
	struct port *p = held_port(g, f);
	if (!p || !port_is_honeypot(p) || !p->history->held)
		return;
	if (f->l3 == L3_ARP)
		answer_arp(g, f, p);
	else if (f->icmp_kind == ICMP_KIND_ND)
		answer_nd(g, f, p);
	else if (f->t.proto == PROTO_TCP && f->has_l4)
		answer_connection(g, f);
#ifdef MUTANT_HOLD_SILENT
	f->answer.n = 0;
#endif
#ifndef MUTANT_HOLD_DELIVERS
	if (!f->flood)
		verdict_drop(f, REASON_HELD);
#endif
}
