/* SPDX-License-Identifier: ISC */
/*
 * A network: its interface in the lab, and the uplink port at the gateway.
 * With `uplink: none` it has neither; its honeypots see only each other.
 */
#include "proc/super/hub.h"
#include "proc/super/layer2.h"
#include "proc/super/sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct netslot *of(struct seq *q)
{
	return q->subject;
}

static unsigned slot_of(const struct super *s, const struct netslot *n)
{
	return (unsigned)(n - s->nets);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void lab_body(struct super *s, const struct netslot *n, const struct model *m, struct priv_lab *x)
{
	*x = (struct priv_lab){ .net = slot_of(s, n) };
	if (n->net.router4.family)
		x->routers[x->nrouters++] = n->net.router4;
	if (n->net.router6.family)
		x->routers[x->nrouters++] = n->net.router6;
	x->nlab = m->nlab;
	memcpy(x->lab, m->lab, sizeof(x->lab));
}

static int lab_add(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	struct priv_lab x;
	if (s->apply.wanted.uplink != UPLINK_LAB)
		return SEQ_NEXT;
	lab_body(s, n, &s->apply.wanted, &x);
	return seq_ask(s, q, &s->priv, MSG_PRIV_LAB, &x, sizeof(x), NULL, 0, 0, e);
}

static int lab_added(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct netslot *n = of(q);
	(void)s;
	n->lab = true;
	n->port_kind = (int)MSG_BODY_AS(a->m, priv_done)->kind;
	n->port_fd = msg_take_fd(a->m, 0);
	return n->port_fd < 0 ? err_set(e, -EPROTO, "priv sent no port") : 0;
}

static int ring_add(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	if (n->port_fd < 0)
		return SEQ_NEXT;
	int r = port_make_ring(s, &n->ring_fd, &n->wake_fd, e);
	if (r < 0)
		return r;
	struct ev_ring x = { .port = (uint16_t)PORT_UPLINK(slot_of(s, n)),
			     .net = (uint16_t)slot_of(s, n),
			     .uplink = 1,
			     .kind = (uint8_t)n->port_kind };
	snprintf(x.name, sizeof(x.name), "uplink-%.24s", n->net.name);
	memcpy(x.network, n->net.name, sizeof(x.network));
	return seq_ask(s, q, &s->evidence, MSG_EV_RING, &x, sizeof(x), (int[]){ n->ring_fd, n->wake_fd }, 2, 0, e);
}

static int ring_added(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)a, (void)e;
	of(q)->ring = true;
	return 0;
}

static int port_add(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	if (n->port_fd < 0)
		return SEQ_NEXT;
	struct gw_port x = { .port = (uint16_t)PORT_UPLINK(slot_of(s, n)),
			     .net = (uint16_t)slot_of(s, n),
			     .role = PORT_ROLE_UPLINK,
			     .kind = (uint8_t)n->port_kind,
			     .routers = { n->net.router4, n->net.router6 } };
	/* The network's prefixes, so that the gateway knows what is on this side. */
	if (n->net.v4.family)
		x.addrs[x.naddrs++] = n->net.v4;
	if (n->net.v6.family)
		x.addrs[x.naddrs++] = n->net.v6;
	snprintf(x.name, sizeof(x.name), "uplink-%.24s", n->net.name);
	int r = seq_ask(s, q, &s->gateway, MSG_GW_PORT, &x, sizeof(x), (int[]){ n->port_fd, n->ring_fd, n->wake_fd }, 3,
			0, e);
	drop(&n->port_fd);
	return r;
}

static int port_added(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)a, (void)e;
	of(q)->port = true;
	return 0;
}

static int sink_del(struct super *s, struct seq *q, struct err *e)
{
	return sink_end_step(s, q, slot_of(s, of(q)), e);
}

static int port_del(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	if (!n->port)
		return SEQ_NEXT;
	n->port = false;
	struct gw_port_del d = { .port = (uint16_t)PORT_UPLINK(slot_of(s, n)) };
	return seq_ask(s, q, &s->gateway, MSG_GW_PORT_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

static int ring_del(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	drop(&n->ring_fd);
	drop(&n->wake_fd);
	if (!n->ring)
		return SEQ_NEXT;
	n->ring = false;
	struct ev_ring_del d = { .port = (uint16_t)PORT_UPLINK(slot_of(s, n)) };
	return seq_ask(s, q, &s->evidence, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

static int lab_del(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = of(q);
	struct priv_lab x;
	if (!n->lab)
		return SEQ_NEXT;
	n->lab = false;
	lab_body(s, n, &s->model, &x);
	return seq_ask(s, q, &s->priv, MSG_PRIV_LAB_DEL, &x, sizeof(x), NULL, 0, 0, e);
}

/* clang-format off */
#define DEL_STEPS                                        \
	{ "end its sinkhole", sink_del, NULL, true },      \
	{ "drop its uplink port", port_del, NULL, true },  \
	{ "drop its ring", ring_del, NULL, true },         \
	{ "remove its lab interface", lab_del, NULL, true }
static const struct seq_step add_steps[] = {
	{ "make its lab interface", lab_add, lab_added, false },
	{ "load the kernel's layer", layer2_step, layer2_done, true, layer2_failed },
	{ "give evidence its ring", ring_add, ring_added, false },
	{ "give the gateway its port", port_add, port_added, false },
	{ 0 }
};
static const struct seq_step del_steps[] = { DEL_STEPS, { 0 } };
/* clang-format on */

static void deleted(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct netslot *n = of(q);
	network_forget(s, n);
	apply_network_done(s, n, status, e);
}

static void add_cleaned(struct super *s, struct seq *q, int status, const struct err *e)
{
	/* The first error is the one to tell. */
	struct netslot *n = of(q);
	struct err was = n->error;
	(void)status, (void)e;
	network_forget(s, n);
	apply_network_done(s, n, was.code ? was.code : -EIO, &was);
}

static void added(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct netslot *n = of(q);
	if (status == 0) {
		apply_network_done(s, n, 0, e);
		return;
	}
	n->error = *e;
	seq_start(s, &n->seq, del_steps, n, add_cleaned);
}

int network_add(struct super *s, const struct network *net, const struct model *m, struct netslot **out, struct err *e)
{
	(void)m;
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct netslot *n = &s->nets[i];
		if (n->used)
			continue;
		*n = (struct netslot){ .used = true, .net = *net, .ring_fd = -1, .port_fd = -1, .wake_fd = -1 };
		*out = n;
		seq_start(s, &n->seq, add_steps, n, added);
		return 0;
	}
	return err_set(e, -ENOSPC, "no room for network %s", net->name);
}

int network_del(struct super *s, struct netslot *n)
{
	seq_start(s, &n->seq, del_steps, n, deleted);
	return 0;
}

void network_forget(struct super *s, struct netslot *n)
{
	seq_cancel(s, &n->seq);
	sink_forget(s, slot_of(s, n));
	drop(&n->ring_fd);
	drop(&n->wake_fd);
	drop(&n->port_fd);
	n->used = n->layer2 = n->lab = n->port = n->ring = false;
}
