/* SPDX-License-Identifier: ISC */
#include "proc/gateway/control.h"

#include "proc/gateway/decide.h"
#include "proc/gateway/dns.h"
#include "proc/gateway/forward.h"
#include "proc/gateway/gateway.h"
#include "proc/gateway/hold.h"
#include "proc/gateway/play.h"
#include "proc/gateway/rules.h"

/* Resolution of addresses is free, but it could carry data in the choice of
 * the addresses asked for: a bound that an ordinary host never meets. */
static const struct limit resolution_limit = { .count = 1000, .seconds = 60 };

#define SYN_MAX 8u /* Linux sends 7 (tcp_syn_retries) */
#define PORT_DNS 53u

static bool is_syn(const struct frame *f)
{
	return (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

static uint64_t packets_of(const struct frame *f)
{
	return f->frames ? f->frames : 1;
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
			fits = sum_fits(flow_sum(&g->flows, fl), b, f->now, f->wirelen, packets_of(f));
		else
			fits = (!b->bytes || (fl ? fl->bytes[f->dir] : 0) + f->wirelen <= b->bytes) &&
			       (!b->packets || (fl ? fl->pkts[f->dir] : 0) + packets_of(f) <= b->packets);
	}
	if (!fits)
		verdict_drop(f, REASON_BUDGET_FLOW);
	else if (!sum_fits(&f->in->history->sent, &pol->honeypot, f->now, f->wirelen, packets_of(f)))
		verdict_drop(f, REASON_BUDGET_HONEYPOT);
	return !dropped(f);
}

static void charge(struct gateway *g, struct frame *f, const struct policy *pol)
{
	if (f->flow && pol->flow.seconds)
		sum_charge(flow_sum(&g->flows, f->flow), &pol->flow, f->now, f->wirelen, packets_of(f));
	sum_charge(&f->in->history->sent, &pol->honeypot, f->now, f->wirelen, packets_of(f));
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

/* ---- a conversation -------------------------------------------------------- */

/* Between honeypots: straight, or by way of a router outside. */
static bool is_lateral(struct gateway *g, const struct frame *f)
{
	return (f->out && port_is_honeypot(f->out)) || gateway_by_addr(g, -1, f->t.family, f->t.daddr);
}

/* Names the rule where it decided. */
static void drop_by(struct frame *f, uint8_t reason, uint16_t rule, bool reset)
{
	if (reason == REASON_RULE || reason == REASON_LIMIT_RULE || reason == REASON_LIMIT_FIRST)
		f->rule = rule;
	verdict_tighten(f, reset && reason == REASON_RULE ? VERDICT_RESET : VERDICT_DROP, reason);
}

/* The first bytes or packets of a conversation, of both sides together. */
static void judge_first(const struct gateway *g, struct frame *f, const struct flow *fl, const struct rule *r)
{
	const struct budget *b = &r->first;
	uint64_t bytes = fl ? fl->bytes[0] + fl->bytes[1] : 0, packets = fl ? fl->pkts[0] + fl->pkts[1] : 0;
	(void)g;
#ifdef MUTANT_FIRST_N_OFF
	packets = packets ? packets - 1 : 0;
	bytes = bytes > f->wirelen ? bytes - f->wirelen : 0;
#endif
	if ((b->bytes && bytes + f->wirelen > b->bytes) || (b->packets && packets + packets_of(f) > b->packets))
		drop_by(f, REASON_LIMIT_FIRST, f->rule, false);
}

/* What the rule of a conversation does to a frame that it lets pass. */
static void act(struct gateway *g, struct frame *f, const struct flow *fl, uint16_t rule)
{
	if (rule == RULE_NONE)
		return;
	const struct rule *r = &g->policies.now->pool.rules[rule];
	f->rule = rule;
	if (r->action == ACTION_FIRST)
		judge_first(g, f, fl, r);
	else if (r->action == ACTION_REWRITE && f->has_l4) {
		verdict_tighten(f, VERDICT_REWRITE, REASON_RULE);
		f->edit.what |= EDIT_PAYLOAD;
	}
}

/* DNS has limits of its own. The honeypot's name server may be anywhere. */
static void judge_dns(struct gateway *g, struct frame *f, const struct policy *pol, uint16_t port, bool question)
{
	if (!pol || !pol->dns.on || port != PORT_DNS || dropped(f) || f->icmp_kind)
		return;
	if (f->t.proto == PROTO_TCP)
		verdict_drop(f, REASON_DNS);
	else if (f->t.proto == PROTO_UDP)
		dns_judge(g, f, pol, question);
}

/* f begins a conversation of the honeypot `pot`, outwards, sideways or inwards. */
static void begin(struct gateway *g, struct frame *f, const struct policy *pol, struct port *pot, uint8_t direction)
{
	struct attempt a;
	bool own = direction != RULE_IN;
	uint8_t reason;
	decide_new(g, f, pot->conf.port, direction, &a);
	const struct decision *d = &a.decision;
#ifdef MUTANT_HELPER_OPENS
	/* As a helper that believes a PORT line next to a connection that it knows. */
	if (own && pot->own)
		a.decision.bar[0] = REASON_NONE;
#endif
	if (own && f->flood && !pol->multicast_allow && d->bar[0] != REASON_FENCED)
		verdict_drop(f, REASON_MULTICAST);
	else if (d->bar[0])
		drop_by(f, d->bar[0], d->rule, d->action == ACTION_RESET);
#ifndef MUTANT_MIDSTREAM
	/* A conversation begins with a request, or it is none. */
	else if (own && ((f->t.proto == PROTO_TCP && !is_syn(f)) || f->icmp_kind == ICMP_KIND_ANSWER))
		verdict_drop(f, REASON_NO_FLOW);
#endif
	else if (own && f->icmp_kind == ICMP_KIND_OTHER)
		verdict_drop(f, REASON_DENIED);
	else if (decision_plays(d->action) && f->flood)
		verdict_drop(f, REASON_MULTICAST);
	else if (!decision_plays(d->action) && (reason = decide_admit(g, f, &a)))
		drop_by(f, reason, d->rule, false);
	else if (!flow_room(g, pot))
		verdict_drop(f, REASON_FLOW_TABLE_FULL);
	if (dropped(f) || (own && !within_budget(g, f, pol)))
		return;
	if (decision_plays(d->action)) {
		f->rule = d->rule;
		play_begin(g, f, &g->policies.now->pool.rules[d->rule]);
		if (dropped(f) || !f->flow)
			return;
	} else {
		act(g, f, NULL, d->rule);
		if (dropped(f))
			return;
		flow_begin(g, f, pot, f->in, f->out)->lateral = direction == RULE_LATERAL;
		if (direction == RULE_OUT)
			judge_dns(g, f, pol, f->t.dport, true);
		if (dropped(f)) {
			flow_cancel(g, f);
			return;
		}
	}
	decide_begin(g, f, &a);
	if (own)
		charge(g, f, pol);
	verdict_allow(f, d->reason);
}

/* Until the other side has spoken there is nothing to send but the SYN again,
 * or one allowed attempt would carry a flood. An answer never begins anything. */
static void follow_handshake(struct frame *f, const struct flow *fl)
{
	if (f->t.proto != PROTO_TCP || !f->has_l4 || f->icmp_kind == ICMP_KIND_ERROR)
		return;
	if (f->dir == 1 && is_syn(f))
		verdict_drop(f, REASON_NO_FLOW);
	else if (f->dir == 0 && !fl->pkts[1] && !is_syn(f))
		verdict_drop(f, REASON_NO_FLOW);
	else if (f->dir == 0 && !fl->pkts[1] && fl->pkts[0] >= SYN_MAX)
		verdict_drop(f, REASON_LIMIT_TCP);
}

/* A frame of a known conversation, from a honeypot (pol: its policy) or from the
 * uplink (NULL). */
static void on_flow(struct gateway *g, struct frame *f, const struct policy *pol)
{
	const struct flow *fl = flow_main(&g->flows, f->flow);
	decide_again(g, f);
	if (fl->bar[f->dir]) {
		drop_by(f, fl->bar[f->dir], fl->rule, fl->action == ACTION_RESET && f->dir == 0);
		return;
	}
	if (pol && !decision_plays(fl->action))
		follow_handshake(f, fl);
	if (dropped(f) || (pol && !within_budget(g, f, pol)))
		return;
	if (decision_plays(fl->action)) {
		f->rule = fl->rule;
		if (pol)
			charge(g, f, pol);
		play_continue(g, f);
		return;
	}
	act(g, f, fl, fl->rule);
	if (dropped(f))
		return;
	if (fl->owner == fl->src_slot && !fl->lateral) {
		const struct policy *own = policy_of(&g->policies, fl->owner);
		judge_dns(g, f, own, fl->a_began ? fl->key.bport : fl->key.aport, f->dir == 0);
		if (dropped(f))
			return;
	}
	if (pol)
		charge(g, f, pol);
	if (f->icmp_kind == ICMP_KIND_ERROR)
		verdict_allow(f, REASON_RELATED_ERROR);
	else
		verdict_allow(f, f->dir ? REASON_REPLY : fl->pass_reason);
}

/* ---- from a honeypot ------------------------------------------------------- */

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
		on_flow(g, f, pol);
	else if (f->icmp_kind == ICMP_KIND_ERROR)
		verdict_drop(f, REASON_NO_FLOW);
	else {
#ifdef MUTANT_LATERAL_FREE
		if (is_lateral(g, f)) {
			verdict_allow(f, REASON_LATERAL);
			return;
		}
#endif
		begin(g, f, pol, f->in, is_lateral(g, f) ? RULE_LATERAL : RULE_OUT);
	}
	if (dropped(f) && !f->flow)
		denied_count(g, f);
}

/* ---- from the uplink ------------------------------------------------------- */

static void from_uplink(struct gateway *g, struct frame *f)
{
	const struct policy *pol = f->out ? policy_of(&g->policies, f->out->conf.port) : NULL;
	if (!f->flood && !pol) {
		verdict_drop(f, REASON_NO_POLICY);
		return;
	}
	if (is_resolution(f))
		verdict_allow(f, REASON_RESOLUTION);
	else if (f->flow && f->icmp_kind != ICMP_KIND_ERROR)
		on_flow(g, f, NULL);
	else if (pol && rules_black(g->policies.now, f->out->conf.port, f->t.family, f->t.saddr))
		verdict_drop(f, REASON_BLACKLISTED); /* errors come from routers on the way, too */
	else if (f->flow)
		on_flow(g, f, NULL);
	else if (f->icmp_kind == ICMP_KIND_ERROR)
		verdict_drop(f, REASON_NO_FLOW);
	else if (f->flood)
		verdict_allow(f, REASON_INBOUND); /* reaches those that let it in: forward */
	else
		begin(g, f, pol, f->out, RULE_IN);
	if (dropped(f) && !f->flow)
		denied_count(g, f);
}

/* What plays a destination only answers. */
static void from_sinkhole(struct gateway *g, struct frame *f)
{
	const struct flow *fl = f->flow ? flow_main(&g->flows, f->flow) : NULL;
	if (fl && decision_plays(fl->action))
		on_flow(g, f, NULL);
	else
		verdict_drop(f, REASON_NO_FLOW);
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

/* Is its machine paused? Then the gateway speaks for it where it can. */
static bool is_held(struct gateway *g, const struct frame *f)
{
	if (!g->any_held || dropped(f))
		return false;
	const struct port *p = f->out && port_is_honeypot(f->out) ? f->out : subject(g, f);
	return p && p->history->held;
}

void control(struct gateway *g, struct frame *f)
{
	if (dropped(f))
		return;
	if (f->in->conf.role == PORT_ROLE_ENGINE) {
		verdict_drop(f, REASON_ENGINE_UNKNOWN);
		return;
	}
	forward_route(g, f);
	if (is_frozen(g, f)) {
		verdict_drop(f, REASON_FROZEN);
		if (!f->flow)
			denied_count(g, f);
	} else if (f->in->conf.role == PORT_ROLE_SINK)
		from_sinkhole(g, f); /* whatever MAC it sends to */
	else if (!f->out && !f->flood)
		verdict_drop(f, REASON_NO_PORT);
	else if (!f->frames && (f->wirelen > f->bytes.n || (f->out && f->wirelen > f->out->max_frame)))
		verdict_drop(f, REASON_TOO_LONG);
	else if (port_is_uplink(f->in))
		from_uplink(g, f);
	else if (f->out && port_is_honeypot(f->out) && !policy_of(&g->policies, f->out->conf.port))
		verdict_drop(f, REASON_NO_POLICY);
	else
		from_honeypot(g, f);
	if (is_held(g, f))
		hold_judge(g, f);
#ifdef MUTANT_CONTROL_SENDS
	/* As a reset that a rule would send by itself. */
	struct port *up = gateway_uplink(g, f->in->conf.net);
	if (dropped(f) && f->t.proto == PROTO_TCP && up)
		up->ops->send(up, f->bytes);
#endif
	/* Whatever nobody allowed is denied. */
	if (f->reason == REASON_NONE)
		verdict_drop(f, REASON_DENIED);
}
