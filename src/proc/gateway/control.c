/* SPDX-License-Identifier: ISC */
#include "proc/gateway/control.h"

#include "proc/gateway/forward.h"
#include "proc/gateway/gateway.h"

/* Resolution of addresses is free, but it could carry data in the choice of
 * the addresses asked for: a bound that an ordinary host never meets. */
static const struct limit resolution_limit = { .count = 1000, .seconds = 60 };

#define SYN_MAX 8u /* Linux sends 7 (tcp_syn_retries) */

static const uint8_t limit_reason[LIMIT_CLASS_COUNT] = {
	[LIMIT_CLASS_TCP] = REASON_LIMIT_TCP,
	[LIMIT_CLASS_UDP] = REASON_LIMIT_UDP,
	[LIMIT_CLASS_ICMP] = REASON_LIMIT_ICMP,
	[LIMIT_CLASS_OTHER] = REASON_LIMIT_OTHER,
};

static enum limit_class class_of(const struct frame *f)
{
	if (f->t.proto == PROTO_TCP)
		return LIMIT_CLASS_TCP;
	if (f->t.proto == PROTO_UDP)
		return LIMIT_CLASS_UDP;
	return f->icmp_kind ? LIMIT_CLASS_ICMP : LIMIT_CLASS_OTHER;
}

static bool is_syn(const struct frame *f)
{
	return (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* What a honeypot may still send, on a flow (NULL: none yet) and at all. */
static bool within_budget(struct gateway *g, struct frame *f, const struct policy *pol)
{
	const struct budget *b = &pol->flow;
	struct flow *fl = f->flow;
	bool fits = true;
#ifdef MUTANT_BUDGET_ESTABLISHED_FREE
	if (fl && fl->state == FLOW_ESTABLISHED)
		return true;
#endif
	if (budget_limited(b)) {
		if (b->seconds && fl)
			fits = sum_fits(flow_sum(&g->flows, fl), b, f->now, f->wirelen);
		else
			fits = (!b->bytes || (fl ? fl->bytes[f->dir] : 0) + f->wirelen <= b->bytes) &&
			       (!b->packets || (fl ? fl->pkts[f->dir] : 0) < b->packets);
	}
	if (!fits)
		verdict_drop(f, REASON_BUDGET_FLOW);
	else if (!sum_fits(&f->in->history->sent, &pol->honeypot, f->now, f->wirelen))
		verdict_drop(f, REASON_BUDGET_HONEYPOT);
	return !dropped(f);
}

static void charge(struct gateway *g, struct frame *f, const struct policy *pol)
{
	if (f->flow && pol->flow.seconds)
		sum_charge(flow_sum(&g->flows, f->flow), &pol->flow, f->now, f->wirelen);
	sum_charge(&f->in->history->sent, &pol->honeypot, f->now, f->wirelen);
}

static bool is_resolution(const struct frame *f)
{
	return f->l3 == L3_ARP || f->icmp_kind == ICMP_KIND_ND;
}

/* ---- from a honeypot ----------------------------------------------------- */

static void resolve(struct frame *f)
{
	struct history *h = f->in->history;
	bool answer = f->l3 == L3_ARP ? f->arp.op == 2 : f->icmp_type == ND_NA;
	struct window *w = answer ? &h->answered : &h->asked;
	if (window_full(w, &resolution_limit, f->now)) {
		verdict_drop(f, REASON_LIMIT_OTHER);
		return;
	}
	window_add(w, f->now);
	verdict_allow(f, REASON_RESOLUTION);
}

/* Between honeypots: straight, or by way of a router outside. */
static bool is_lateral(struct gateway *g, const struct frame *f)
{
	return (f->out && port_is_honeypot(f->out)) || gateway_by_addr(g, -1, f->t.family, f->t.daddr);
}

static void begin_outbound(struct gateway *g, struct frame *f, const struct policy *pol)
{
	struct history *h = f->in->history;
	bool lateral = is_lateral(g, f);
	enum limit_class class = class_of(f);
	const struct limit *limit = lateral ? &pol->lateral[class] : &pol->outbound[class];
	struct window *w = lateral ? &h->lateral[class] : &h->outbound[class];

	if (f->flood && !pol->multicast_allow) {
		verdict_drop(f, REASON_MULTICAST);
		return;
	}
	if (limit->count == 0)
		verdict_drop(f, lateral ? REASON_DENIED_LATERAL : REASON_DENIED);
#ifndef MUTANT_MIDSTREAM
	/* A conversation begins with a request, or it is none. */
	else if ((class == LIMIT_CLASS_TCP && !is_syn(f)) || f->icmp_kind == ICMP_KIND_ANSWER)
		verdict_drop(f, REASON_NO_FLOW);
#endif
	else if (f->icmp_kind == ICMP_KIND_OTHER)
		verdict_drop(f, REASON_DENIED);
	else if (window_full(w, limit, f->now))
		verdict_drop(f, limit_reason[class]);
	else if (!flow_room(g, f->in))
		verdict_drop(f, REASON_FLOW_TABLE_FULL);
	if (dropped(f) || !within_budget(g, f, pol))
		return;
	window_add(w, f->now);
	flow_begin(g, f, f->in, f->in, f->out)->lateral = lateral;
	charge(g, f, pol);
	verdict_allow(f, lateral ? REASON_LATERAL : REASON_OUTBOUND);
}

static void outbound_on_flow(struct gateway *g, struct frame *f, const struct policy *pol)
{
	const struct flow *fl = f->flow;
	bool error = f->icmp_kind == ICMP_KIND_ERROR, own = f->dir == 0;
	/* The policy may have changed since the flow began. */
	if (own && (fl->lateral ? &pol->lateral : &pol->outbound)[0][class_of(f)].count == 0 && !error) {
		verdict_drop(f, fl->lateral ? REASON_DENIED_LATERAL : REASON_DENIED);
		return;
	}
	if (!own && !fl->lateral && pol->inbound_deny) {
		verdict_drop(f, REASON_DENIED_INBOUND);
		return;
	}
	/* Until the other side has spoken there is nothing to send but the SYN
	 * again, or one allowed attempt would carry a flood. */
	if (own && f->t.proto == PROTO_TCP && f->has_l4 && !error && !fl->pkts[1]) {
		if (!is_syn(f))
			verdict_drop(f, REASON_NO_FLOW);
		else if (fl->pkts[0] >= SYN_MAX)
			verdict_drop(f, REASON_LIMIT_TCP);
		if (dropped(f))
			return;
	}
	/* An answer never begins anything. */
	if (!own && f->t.proto == PROTO_TCP && f->has_l4 && is_syn(f)) {
		verdict_drop(f, REASON_NO_FLOW);
		return;
	}
	if (!within_budget(g, f, pol))
		return;
	charge(g, f, pol);
	if (error)
		verdict_allow(f, REASON_RELATED_ERROR);
	else if (!own)
		verdict_allow(f, REASON_REPLY);
	else
		verdict_allow(f, fl->lateral ? REASON_LATERAL : REASON_OUTBOUND);
}

static void from_honeypot(struct gateway *g, struct frame *f)
{
	const struct policy *pol = policy_of(&g->policies, f->in->conf.port);
	if (!pol) {
		verdict_drop(f, REASON_NO_POLICY);
		return;
	}
	if (is_resolution(f))
		resolve(f);
	else if (f->flow)
		outbound_on_flow(g, f, pol);
	else if (f->icmp_kind == ICMP_KIND_ERROR)
		verdict_drop(f, REASON_NO_FLOW);
	else if (f->frag_off) {
		/* Of a multicast datagram, the only kind without a flow. */
		if (within_budget(g, f, pol))
			charge(g, f, pol);
	} else
		begin_outbound(g, f, pol);
	if (dropped(f) && !f->flow)
		denied_count(g, f);
}

/* ---- from the uplink ----------------------------------------------------- */

static void begin_inbound(struct gateway *g, struct frame *f)
{
	if (f->flood) {
		verdict_allow(f, REASON_INBOUND);
		return;
	}
	if (!flow_room(g, f->out)) {
		verdict_drop(f, REASON_FLOW_TABLE_FULL);
		return;
	}
	flow_begin(g, f, f->out, f->in, f->out);
	verdict_allow(f, REASON_INBOUND);
}

static void from_uplink(struct gateway *g, struct frame *f)
{
	const struct policy *pol = f->out ? policy_of(&g->policies, f->out->conf.port) : NULL;
	if (!f->flood && !pol) {
		verdict_drop(f, REASON_NO_POLICY);
		return;
	}
	if (is_resolution(f)) {
		verdict_allow(f, REASON_RESOLUTION);
		return;
	}
	if (pol && pol->inbound_deny && !(f->flow && f->dir == 1)) {
		/* Errors about the honeypot's own conversations still help it. */
		bool helps = f->flow && f->icmp_kind == ICMP_KIND_ERROR;
		if (!helps) {
			verdict_drop(f, REASON_DENIED_INBOUND);
			denied_count(g, f);
			return;
		}
	}
	if (f->icmp_kind == ICMP_KIND_ERROR)
		f->flow ? verdict_allow(f, REASON_RELATED_ERROR) : verdict_drop(f, REASON_NO_FLOW);
	else if (f->flow)
		verdict_allow(f, f->dir ? REASON_REPLY : REASON_INBOUND);
	else if (!f->frag_off)
		begin_inbound(g, f);
}

/* ---- freeze --------------------------------------------------------------- */

/* The honeypot that the frame is about, wherever it is sent to: behind a router
 * outside, or asked for by all. */
static struct port *subject(struct gateway *g, const struct frame *f)
{
	uint8_t addr[16] = { 0 };
	if (f->l3 == L3_ARP) {
		memcpy(addr, f->arp.tpa, 4);
		return gateway_by_addr(g, f->in->conf.net, 4, addr);
	}
	struct slice s = f->l4;
	if (f->icmp_kind == ICMP_KIND_ND && f->icmp_type == ND_NS && slice_skip(&s, 8) && slice_get(&s, addr, 16))
		return gateway_by_addr(g, f->in->conf.net, 6, addr);
	return gateway_by_addr(g, -1, f->t.family, f->t.daddr);
}

/* The operator's emergency switch goes before every allowance: known flows,
 * replies and the resolution of addresses included. */
static bool is_frozen(struct gateway *g, const struct frame *f)
{
	if (!g->any_frozen)
		return false;
#ifdef MUTANT_FREEZE_ESTABLISHED
	if (f->flow && f->flow->state == FLOW_ESTABLISHED)
		return false;
#endif
	return gateway_is_frozen(g, f->in) || gateway_is_frozen(g, f->out) || gateway_is_frozen(g, subject(g, f));
}

void control(struct gateway *g, struct frame *f)
{
	if (dropped(f))
		return;
	forward_route(g, f);
	if (is_frozen(g, f)) {
		verdict_drop(f, REASON_FROZEN);
		if (!f->flow)
			denied_count(g, f);
	} else if (!f->out && !f->flood)
		verdict_drop(f, REASON_NO_PORT);
	else if (f->wirelen > f->bytes.n || (f->out && f->wirelen > f->out->max_frame))
		verdict_drop(f, REASON_TOO_LONG);
	else if (port_is_uplink(f->in))
		from_uplink(g, f);
	else if (f->out && port_is_honeypot(f->out) && !policy_of(&g->policies, f->out->conf.port))
		verdict_drop(f, REASON_NO_POLICY);
	else
		from_honeypot(g, f);
#ifdef MUTANT_CONTROL_SENDS
	/* As a reset that a rule would send by itself. */
	struct port *up = gateway_uplink(g, f->in->conf.net);
	if (dropped(f) && f->t.proto == PROTO_TCP && up)
		up->ops->send(up, f->bytes);
#endif
	/* Whatever nobody allowed is denied. */
	if (f->reason == REASON_NONE)
		verdict_drop(f, REASON_DENIED);
	if (f->fragment && !f->frag_off)
		frag_judged(g, f);
}
