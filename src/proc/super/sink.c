/* SPDX-License-Identifier: ISC */
/*
 * The sinkhole of a network: a process that plays destinations, and its port at
 * the gateway.
 *
 * Theory of operation. A network needs one if a policy that may come into force
 * for one of its honeypots has a rule that sends there. It is made before such
 * policies are sent: place (priv), ring, record source, process, and last the
 * port, from which moment the gateway uses it. What fails is told, and everything
 * that was made of it is taken away again; the gateway then finds no port and
 * drops what the rule matches. A process that dies is started again, at most three
 * times; meanwhile nobody listens in its place. It ends when no policy needs it
 * any more, and before its network does.
 */
#include "proc/super/sink.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STARTS_MAX 4u

static struct sinkhole *of(struct seq *q)
{
	return q->subject;
}

static unsigned net_of(const struct super *s, const struct sinkhole *k)
{
	return (unsigned)(k - s->sinks);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static const char *name_of(const struct super *s, const struct sinkhole *k)
{
	return s->nets[net_of(s, k)].net.name;
}

void sinks_init(struct super *s)
{
	for (unsigned i = 0; i < MODEL_NETS; i++)
		s->sinks[i] = (struct sinkhole){
			.hub = s,
			.chan = { .fd = -1, .self = ROLE_SUPER, .peer = ROLE_SINKHOLE, .state = STATE_ANY },
			.port_fd = -1,
			.ring_fd = -1,
			.wake_fd = -1,
			.far_fd = -1,
			.record_fd = -1,
		};
}

/* ---- who needs one ----------------------------------------------------------- */

static bool sends(const struct model *m, const struct policy *p, unsigned net)
{
	for (unsigned i = p->rules.first; i < p->rules.first + p->rules.n && i < m->pool.nrules; i++) {
		const struct rule *r = &m->pool.rules[i];
		if (r->action == ACTION_SINKHOLE && (!r->networks || r->networks & 1u << net))
			return true;
	}
	return false;
}

static bool needs(const struct model *m, unsigned net)
{
	bool any = false;
	for (uint32_t i = 0; i < m->nhoneypots; i++) {
		if (m->honeypots[i].net != net)
			continue;
		any = true;
		if (sends(m, &m->honeypots[i].policy, net))
			return true;
	}
	/* What triggers may tighten to. */
	for (uint32_t i = 0; any && i < m->npolicies; i++)
		if (sends(m, &m->policies[i].policy, net))
			return true;
	return false;
}

static bool wanted(const struct super *s, const struct sinkhole *k)
{
	const struct netslot *n = &s->nets[net_of(s, k)];
	const struct model *m = s->policies;
	if (!n->used || !m->magic)
		return false;
	for (unsigned i = 0; i < m->nnets; i++)
		if (!strcmp(m->nets[i].name, n->net.name))
			return needs(m, i);
	return false;
}

/* ---- the steps ---------------------------------------------------------------- */

static int place(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct priv_sink x = { .net = net_of(s, k) };
	char name[48];
	snprintf(name, sizeof(name), "sinkhole/%.31s", name_of(s, k));
	mac_auto(s->name, name, k->mac);
	memcpy(x.mac, k->mac, sizeof(x.mac));
	k->place = true;
	return seq_ask(s, q, &s->priv, MSG_PRIV_SINK, &x, sizeof(x), NULL, 0, 0, e);
}

static int placed(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct sinkhole *k = of(q);
	(void)s;
	k->port_kind = MSG_BODY_AS(a->m, priv_done)->kind;
	k->port_fd = msg_take_fd(a->m, 0);
	return k->port_fd < 0 ? err_set(e, -EPROTO, "priv sent no port") : 0;
}

static void ring_conf(const struct super *s, const struct sinkhole *k, struct ev_ring *x)
{
	unsigned net = net_of(s, k);
	*x = (struct ev_ring){
		.port = (uint16_t)PORT_SINK(net), .net = (uint16_t)net, .uplink = 2, .kind = (uint8_t)k->port_kind
	};
	memcpy(x->mac, k->mac, sizeof(x->mac));
	snprintf(x->name, sizeof(x->name), "sink-%.24s", name_of(s, k));
	memcpy(x->network, name_of(s, k), sizeof(x->network));
}

static int ring(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct ev_ring x;
	int r = port_make_ring(s, &k->ring_fd, &k->wake_fd, e);
	if (r < 0)
		return r;
	ring_conf(s, k, &x);
	k->ring = true;
	return seq_ask(s, q, &s->evidence, MSG_EV_RING, &x, sizeof(x), (int[]){ k->ring_fd, k->wake_fd }, 2, 0, e);
}

static int source(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct ev_source_add x = { .slot = net_of(s, k), .role = ROLE_SINKHOLE };
	snprintf(x.honeypot, sizeof(x.honeypot), "sink-%.24s", name_of(s, k));
	k->starts++;
	return super_record_source(s, q, &k->chan, &k->src, &x, &k->far_fd, &k->record_fd, e);
}

static int spawn(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct priv_spawn x = { .role = ROLE_SINKHOLE, .slot = net_of(s, k) };
	int fds[2] = { k->far_fd, k->record_fd };
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_SPAWN, &x, sizeof(x), fds, 2, 0, e);
	drop(&k->far_fd);
	drop(&k->record_fd);
	return r;
}

static int spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)e;
	of(q)->pid = MSG_BODY_AS(a->m, priv_done)->pid;
	return 0;
}

static int port(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	unsigned net = net_of(s, k);
	struct gw_port x = { .port = (uint16_t)PORT_SINK(net),
			     .net = (uint16_t)net,
			     .role = PORT_ROLE_SINK,
			     .kind = (uint8_t)k->port_kind };
	memcpy(x.mac, k->mac, sizeof(x.mac));
	snprintf(x.name, sizeof(x.name), "sink-%.24s", name_of(s, k));
	k->port = true;
	int r = seq_ask(s, q, &s->gateway, MSG_GW_PORT, &x, sizeof(x), (int[]){ k->port_fd, k->ring_fd, k->wake_fd }, 3,
			0, e);
	drop(&k->port_fd);
	return r;
}

static const struct seq_step make_steps[] = {
	{ "make its place", place, placed, false },
	{ "give evidence its ring", ring, NULL, false },
	{ "give evidence its record source", source, NULL, false },
	{ "start its process", spawn, spawned, false },
	{ "give the gateway its port", port, NULL, false },
	{ 0 },
};
static const struct seq_step again_steps[] = {
	{ "give evidence its record source", source, NULL, false },
	{ "start its process", spawn, spawned, false },
	{ 0 },
};

/* ---- the end ------------------------------------------------------------------- */

static int end_port(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct gw_port_del x = { .port = (uint16_t)PORT_SINK(net_of(s, k)) };
	if (!k->port)
		return SEQ_NEXT;
	k->port = false;
	return seq_ask(s, q, &s->gateway, MSG_GW_PORT_DEL, &x, sizeof(x), NULL, 0, 0, e);
}

/* What was under way is recorded before it goes. */
static int end_process(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct msg_empty x = { 0 };
	if (k->chan.fd < 0 || !k->pid)
		return SEQ_NEXT;
	return seq_ask(s, q, &k->chan, MSG_SINK_QUIT, &x, sizeof(x), NULL, 0, 5000, e);
}

static void drop_chan(struct super *s, struct sinkhole *k)
{
	if (k->chan.fd < 0)
		return;
	ev_del(&s->ev, &k->src);
	chan_close(&k->chan);
	ask_fail(s, &k->chan, "the sinkhole is gone");
}

static int end_place(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct priv_sink x = { .net = net_of(s, k) };
	if (!k->place)
		return SEQ_NEXT;
	k->place = false;
	return seq_ask(s, q, &s->priv, MSG_PRIV_SINK_DEL, &x, sizeof(x), NULL, 0, 0, e);
}

static int end_ring(struct super *s, struct seq *q, struct err *e)
{
	struct sinkhole *k = of(q);
	struct ev_ring_del x = { .port = (uint16_t)PORT_SINK(net_of(s, k)) };
	drop(&k->port_fd);
	drop(&k->ring_fd);
	drop(&k->wake_fd);
	if (!k->ring)
		return SEQ_NEXT;
	k->ring = false;
	return seq_ask(s, q, &s->evidence, MSG_EV_RING_DEL, &x, sizeof(x), NULL, 0, 0, e);
}

static const struct seq_step end_steps[] = {
	{ "drop its port", end_port, NULL, true },
	{ "end its process", end_process, NULL, true },
	{ "remove its place", end_place, NULL, true },
	{ "drop its ring", end_ring, NULL, true },
	{ 0 },
};

static void settled(struct super *s);

static void ended(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct sinkhole *k = of(q);
	struct seq *waits = k->end_waits;
	(void)status, (void)e;
	drop_chan(s, k);
	drop(&k->far_fd);
	drop(&k->record_fd);
	k->end_waits = NULL;
	k->ending = k->up = false;
	k->pid = 0;
	settled(s);
	if (waits)
		seq_resume(s, waits, 0, NULL);
}

static void begin_end(struct super *s, struct sinkhole *k)
{
	seq_cancel(s, &k->seq);
	ev_timer_cancel(&s->ev, &k->again);
	k->ending = true;
	seq_start(s, &k->seq, end_steps, k, ended);
}

static bool exists(const struct sinkhole *k)
{
	return k->place || k->ring || k->port || k->chan.fd >= 0;
}

static void again(void *arg, uint64_t now);

/* ---- making --------------------------------------------------------------------- */

static void failed(struct super *s, struct sinkhole *k, const char *why)
{
	snprintf(k->why, sizeof(k->why), "%.159s", why);
	super_event(s, NULL, "policy", "skep.sinkhole.failed", NULL,
		    "network %s has no sinkhole, so what rules send there is dropped: %.150s", name_of(s, k), why);
	begin_end(s, k);
}

static void made(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct sinkhole *k = of(q);
	if (status < 0) {
		failed(s, k, e->text);
		return;
	}
	if (!k->up || k->starts > 1)
		super_event(s, NULL, "policy", "skep.sinkhole.on", NULL, "network %s has a sinkhole%s", name_of(s, k),
			    k->starts > 1 ? " again" : "");
	k->up = true;
	k->why[0] = 0;
	if (!k->pid) /* it has died already */
		ev_timer_set(&s->ev, &k->again, s->ev.now + k->starts * EV_SEC, again, k);
	settled(s);
}

/* The step that waits goes on when nothing is under way. */
static void settled(struct super *s)
{
	struct seq *q = s->sinks_wait;
	for (unsigned i = 0; i < MODEL_NETS; i++)
		if (seq_busy(&s->sinks[i].seq))
			return;
	s->sinks_wait = NULL;
	if (q)
		seq_resume(s, q, 0, NULL);
}

int sinks_step(struct super *s, struct seq *q, struct err *e)
{
	bool busy = false;
	(void)e;
	/* Set before: what fails at once is over before this returns. */
	s->sinks_wait = NULL;
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct sinkhole *k = &s->sinks[i];
		if (!exists(k) && !seq_busy(&k->seq) && wanted(s, k)) {
			k->starts = 0;
			seq_start(s, &k->seq, make_steps, k, made);
		}
		busy |= seq_busy(&k->seq);
	}
	if (!busy)
		return SEQ_NEXT;
	s->sinks_wait = q;
	return SEQ_WAIT;
}

void sinks_tidy(struct super *s)
{
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct sinkhole *k = &s->sinks[i];
		if (exists(k) && !k->ending && !wanted(s, k))
			begin_end(s, k);
	}
}

int sink_end_step(struct super *s, struct seq *q, unsigned net, struct err *e)
{
	struct sinkhole *k = &s->sinks[net];
	(void)e;
	if (!exists(k) && !seq_busy(&k->seq))
		return SEQ_NEXT;
	if (!k->ending || !seq_busy(&k->seq))
		begin_end(s, k);
	if (!seq_busy(&k->seq))
		return SEQ_NEXT;
	k->end_waits = q;
	return SEQ_WAIT;
}

/* ---- its death -------------------------------------------------------------------- */

static void again(void *arg, uint64_t now)
{
	struct sinkhole *k = arg;
	(void)now;
	if (k->up && !k->ending && !k->pid && !seq_busy(&k->seq))
		seq_start(k->hub, &k->seq, again_steps, k, made);
}

void sink_exited(struct super *s, const struct priv_exited *x)
{
	struct sinkhole *k = x->slot < MODEL_NETS ? &s->sinks[x->slot] : NULL;
	if (!k || x->pid != k->pid)
		return;
	k->pid = 0;
	if (k->ending) {
		drop_chan(s, k);
		return;
	}
	super_event(s, NULL, "policy", "skep.sinkhole.exited", NULL,
		    "the sinkhole of network %s ended (wait status %#x)", name_of(s, k), (unsigned)x->wait_status);
	drop_chan(s, k); /* what waits for its answer fails */
	if (!k->up || k->ending)
		return;
	if (k->starts >= STARTS_MAX)
		failed(s, k, "its process ended too often");
	else
		ev_timer_set(&s->ev, &k->again, s->ev.now + k->starts * EV_SEC, again, k);
}

/* ---- the rest ---------------------------------------------------------------------- */

void sinks_abandon(struct super *s)
{
	s->sinks_wait = NULL;
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct sinkhole *k = &s->sinks[i];
		seq_cancel(s, &k->seq);
		ev_timer_cancel(&s->ev, &k->again);
		k->end_waits = NULL;
		k->ending = false;
	}
}

void sink_forget(struct super *s, unsigned net)
{
	struct sinkhole *k = &s->sinks[net];
	seq_cancel(s, &k->seq);
	ev_timer_cancel(&s->ev, &k->again);
	drop_chan(s, k);
	drop(&k->port_fd);
	drop(&k->ring_fd);
	drop(&k->wake_fd);
	drop(&k->far_fd);
	drop(&k->record_fd);
	k->place = k->ring = k->port = k->up = k->ending = false;
	k->end_waits = NULL;
	k->pid = 0;
	k->why[0] = 0;
}

void sinks_rings_again(struct super *s)
{
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct sinkhole *k = &s->sinks[i];
		struct ev_ring x;
		if (!k->ring || k->ring_fd < 0)
			continue;
		ring_conf(s, k, &x);
		ask(s, &s->evidence, MSG_EV_RING, &x, sizeof(x), (int[]){ k->ring_fd, k->wake_fd }, 2, 0, NULL, NULL);
	}
}

void sinks_rings_stop(struct super *s, void (*stop)(int fd, int code), int code)
{
	for (unsigned i = 0; i < MODEL_NETS; i++)
		stop(s->sinks[i].ring_fd, code);
}

struct ev_source *sink_source_of(struct super *s, const struct chan *c, uint32_t *net)
{
	for (uint32_t i = 0; i < MODEL_NETS; i++) {
		if (c != &s->sinks[i].chan)
			continue;
		*net = i;
		return &s->sinks[i].src;
	}
	return NULL;
}

void sinks_ps(const struct super *s, struct rep_net *r)
{
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		const struct sinkhole *k = &s->sinks[i];
		bool want = s->nets[i].used && wanted(s, k);
		r->sinks_wanted += want;
		r->sinks += k->up && k->pid;
		if (want && k->why[0])
			memcpy(r->sink_why, k->why, sizeof(r->sink_why));
	}
}
