/* SPDX-License-Identifier: ISC */
/*
 * `skep ps`: collects from gateway and priv, then answers. One at a time for
 * each client request; a process that does not answer leaves its fields zero.
 */
#include "proc/super/hub.h"
#include "proc/super/introspect.h"
#include "proc/super/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ps {
	struct super *hub;
	struct reply_to to;
	bool verbose;
	unsigned waiting;
	struct rep_net net;
	uint64_t rss[MODEL_HONEYPOTS], pss[MODEL_HONEYPOTS];
};

struct ps_ask {
	struct ps *ps;
	unsigned slot;
};

/* Seconds, rounded up: 0 only if it does not end by itself. */
static uint32_t left(const struct super *s, uint64_t until)
{
	return !until ? 0 : until <= s->ev.now ? 1 : (uint32_t)((until - s->ev.now + EV_SEC - 1) / EV_SEC);
}

static void fill(const struct super *s, const struct ps *ps, unsigned i, struct rep_honeypot *r)
{
	const struct machine *m = &s->machines[i];
	*r = (struct rep_honeypot){ .backend = m->hp.backend,
				    .state = m->state,
				    .naddrs = m->hp.naddrs,
				    .frozen = (m->frozen ? FROZEN_ITSELF : 0) | (s->frozen ? FROZEN_HONEYNET : 0),
				    .vmm_pid = m->vmm_pid,
				    .handler_pid = m->handler_pid,
				    .memory = m->hp.memory,
				    .rss = ps->rss[i],
				    .pss = ps->pss[i],
				    .up_since = m->up_since,
				    .restarts = m->restarts,
				    .jail = m->jail };
	memcpy(r->name, m->hp.name, sizeof(r->name));
	memcpy(r->image, m->hp.image, sizeof(r->image));
	memcpy(r->network, s->nets[m->net].net.name, sizeof(r->network));
	memcpy(r->addrs, m->hp.addrs, sizeof(r->addrs));
	memcpy(r->mac, m->hp.mac, sizeof(r->mac));
	memcpy(r->detail, m->detail, sizeof(r->detail));
	memcpy(r->tightened, m->react.tightened, sizeof(r->tightened));
	r->held = m->held;
	r->freeze_left = left(s, m->react.freeze_until);
	r->tightened_left = left(s, m->react.tighten_until);
	r->pause_left = left(s, m->react.pause_until);
	introspect_ps(m, r);
}

static void answer(struct ps *ps)
{
	struct super *s = ps->hub;
	struct rep_honeypot r;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		if (!s->machines[i].used)
			continue;
		fill(s, ps, i, &r);
		ctl_send(s, &ps->to, MSG_REP_HONEYPOT, &r, sizeof(r), NULL, 0);
	}
	ctl_send(s, &ps->to, MSG_REP_NET, &ps->net, sizeof(ps->net), NULL, 0);
	ctl_end(s, &ps->to, 0, "%s", "");
	free(ps);
}

static void arrived(struct ps *ps)
{
	if (--ps->waiting == 0)
		answer(ps);
}

static void on_stats(struct super *s, void *arg, struct answer *a)
{
	struct ps *ps = arg;
	(void)s;
	if (!a->more) {
		arrived(ps);
		return;
	}
	if (a->m->type != MSG_GW_PORT_STATS)
		return;
	const struct gw_port_stats *g = MSG_BODY_AS(a->m, gw_port_stats);
	ps->net.frames_in += g->frames_in;
	ps->net.frames_forwarded += g->forwarded;
	ps->net.frames_dropped += g->dropped;
	ps->net.frames_recorded += g->frames_in - g->lost;
}

static void on_memory(struct super *s, void *arg, struct answer *a)
{
	struct ps_ask *k = arg;
	struct ps *ps = k->ps;
	(void)s;
	if (a->more)
		return;
	if (a->status == 0 && a->m) {
		ps->rss[k->slot] = MSG_BODY_AS(a->m, priv_done)->rss;
		ps->pss[k->slot] = MSG_BODY_AS(a->m, priv_done)->pss;
	}
	free(k);
	arrived(ps);
}

static void on_threads(struct super *s, void *arg, struct answer *a)
{
	struct ps *ps = arg;
	if (!a->more)
		arrived(ps);
	else if (a->m->type == MSG_PRIV_THREAD)
		ctl_send(s, &ps->to, MSG_REP_THREAD, a->m->body, sizeof(struct rep_thread), NULL, 0);
}

void ps_request(struct super *s, const struct reply_to *to, bool verbose)
{
	struct ps *ps = calloc(1, sizeof(*ps));
	struct msg_empty none = { 0 };
	if (!ps) {
		ctl_end(s, to, -12, "out of memory");
		return;
	}
	ps->hub = s;
	ps->to = *to;
	ps->verbose = verbose;
	ps->waiting = 1; /* ourselves, so that it cannot end before all is asked */
	ps->net = (struct rep_net){ .gateway_pid = s->gateway_pid,
				    .evidence_pid = s->evidence_pid,
				    .super_pid = s->own_pid,
				    .priv_pid = s->priv_pid,
				    .evidence_state = s->evidence_state,
				    .frozen = s->frozen,
				    .started = s->started };
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		ps->net.uplinks += s->nets[i].used && s->nets[i].lab;
		ps->net.layer2 += s->nets[i].used && s->nets[i].lab && s->nets[i].layer2;
	}
	ps->net.engine = s->engine.state;
	ps->net.engine_mode = s->engine.mode;
	memcpy(ps->net.name, s->name, sizeof(ps->net.name));
	sinks_ps(s, &ps->net);
	memcpy(ps->net.evidence, s->evidence_dir, sizeof(ps->net.evidence));
	memcpy(ps->net.mode, s->mode, sizeof(ps->net.mode));
	if (ask(s, &s->gateway, MSG_GW_STATS, &none, sizeof(none), NULL, 0, 5000, on_stats, ps) == 0)
		ps->waiting++;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		if (!s->machines[i].used || !s->machines[i].vmm_pid)
			continue;
		struct ps_ask *k = malloc(sizeof(*k));
		struct priv_inspect x = { .slot = i };
		if (!k)
			break;
		*k = (struct ps_ask){ ps, i };
		if (ask(s, &s->priv, MSG_PRIV_INSPECT, &x, sizeof(x), NULL, 0, 5000, on_memory, k) == 0)
			ps->waiting++;
		else
			free(k);
	}
	struct priv_inspect all = { .slot = PRIV_ALL, .everything = 1 };
	if (verbose && ask(s, &s->priv, MSG_PRIV_INSPECT, &all, sizeof(all), NULL, 0, 10000, on_threads, ps) == 0)
		ps->waiting++;
	arrived(ps);
}
