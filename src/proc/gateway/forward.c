/* SPDX-License-Identifier: ISC */
#include "proc/gateway/forward.h"

#include "proc/gateway/capture.h"
#include "proc/gateway/decide.h"
#include "proc/gateway/gateway.h"
#include "proc/gateway/play.h"
#include "proc/gateway/shape.h"

void forward_route(struct gateway *g, struct frame *f)
{
	uint16_t net = f->in->conf.net;
	if (f->multicast) {
		f->flood = true;
		return;
	}
	struct port *p = gateway_by_mac(g, net, f->dst);
	if (!p && !port_is_uplink(f->in))
		p = gateway_uplink(g, net);
	if (p && p != f->in && !p->down)
		f->out = p;
}

static void flush(struct port *p)
{
	if (p->nqueued)
		p->stats.by_reason[REASON_SEND_FAILED] += p->ops->flush(p);
}

/* Not before what the port has collected, and collected only if the bytes last. */
static int emit(struct port *p, const struct frame *f, struct slice bytes)
{
	struct gateway *g = p->g;
	if (!p->ops->queue)
		return p->ops->send(p, bytes);
	if (!f->lasting || bytes.p != f->bytes.p) {
		flush(p);
		return p->ops->send(p, bytes);
	}
	if (p->nqueued == TX_BATCH)
		flush(p);
	if (!p->listed)
		g->queued[g->nqueued++] = p->conf.port;
	p->listed = true;
	return p->ops->queue(p, bytes);
}

void forward_flush(struct gateway *g)
{
	for (unsigned i = 0; i < g->nqueued; i++) {
		flush(&g->ports[g->queued[i]]);
		g->ports[g->queued[i]].listed = false;
	}
	g->nqueued = 0;
}

/* What the gateway made: never before it is recorded. */
static bool recorded(struct gateway *g, struct port *p, const struct frame *f, struct slice bytes)
{
#ifdef MUTANT_COPY_UNCAPTURED
	return true;
#endif
	uint8_t lost = capture_made(g, p, f, bytes);
	if (lost)
		f->in->stats.by_reason[lost]++;
	return !lost;
}

static void put_out(struct port *p, const struct frame *f, struct slice bytes)
{
	struct gw_port_stats *s = &p->stats;
#ifdef MUTANT_INPLACE_MODIFY
	if (f->l3 == L3_IP4 && bytes.n > 22)
		((uint8_t *)(uintptr_t)bytes.p)[22]--; /* TTL */
#endif
	int r = emit(p, f, bytes);
	if (r < 0) {
		f->in->stats.by_reason[REASON_SEND_FAILED]++;
		return;
	}
	s->frames_out++;
	s->bytes_out += bytes.n;
}

static void send_to(struct gateway *g, struct port *p, const struct frame *f)
{
	if (!f->changed.n)
		put_out(p, f, f->bytes);
	else if (recorded(g, p, f, f->changed))
		put_out(p, f, f->changed);
}

/* Whom a broadcast or multicast reaches. Between honeypots that is only the
 * resolution of addresses: anything else would pass by the lateral limits. */
static bool reaches(struct gateway *g, const struct frame *f, const struct port *p)
{
	if (p == f->in || p->down || f->bytes.n > p->max_frame)
		return false;
	if (port_is_uplink(p))
		return true;
	if (!port_is_honeypot(p))
		return false;
	const struct policy *pol = policy_of(&g->policies, p->conf.port);
	if (!pol || gateway_is_frozen(g, p) || p->history->held)
		return false;
	if (f->reason == REASON_RESOLUTION)
		return true;
	return port_is_uplink(f->in) && decide_hears(g, f, p) && engine_lets_flood(pol);
}

void forward_late(struct gateway *g, struct frame *f)
{
	if (!f->flood) {
		send_to(g, f->out, f);
		return;
	}
	uint16_t net = f->in->conf.net;
	for (unsigned i = 0; i < g->net_count[net]; i++) {
		struct port *p = &g->ports[g->net_ports[net][i]];
		if (reaches(g, f, p))
			send_to(g, p, f);
	}
}

static void answer(struct gateway *g, const struct frame *f)
{
	if (f->answer.n && recorded(g, f->in, f, f->answer))
		put_out(f->in, f, f->answer);
}

void forward(struct gateway *g, struct frame *f)
{
	struct gw_port_stats *s = &f->in->stats;
	bool stops = dropped(f);
#ifdef MUTANT_RESET_FORWARDS
	if (f->verdict == VERDICT_RESET)
		forward_late(g, f);
#endif
	flow_account(g, f);
	s->by_reason[f->reason]++;
	/* One that is played goes only where, and as, the copy says. */
	if (stops || f->reason == REASON_NONE || (!passes(f) && !f->changed.n)) {
		s->dropped++;
		answer(g, f);
		return;
	}
	answer(g, f);
	s->forwarded++;
	if (port_is_honeypot(f->in))
		play_learn(f);
	if (f->copy)
		put_out(f->copy, f, f->bytes);
	if (f->wait) {
		shape_push(g, f);
		return;
	}
	shape_charge(g, f->in, f->now, f->bytes.n);
	forward_late(g, f);
}
