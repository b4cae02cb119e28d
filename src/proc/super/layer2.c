/* SPDX-License-Identifier: ISC */
/*
 * The second layer of data control: which MACs and addresses the kernel lets out
 * of a network's uplink, and how many new connections at most, whatever the
 * gateway does. priv loads it (proc/priv/layer2.c); here is what it is told.
 *
 * While an `up` is under way both the honeypots that run and those that shall run
 * are in it. Where the kernel or nft does not offer it, that is told, and the
 * honeynet runs with the gateway alone.
 */
#include "proc/super/layer2.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SYN_TRIES 8u /* as the gateway lets pass of one attempt */
#define SLACK 100u

/* New TCP connections to the outside in an hour; LIMIT_UNLIMITED: no number. */
static uint64_t allowance(const struct policy *p)
{
	const struct limit *l = &p->outbound[LIMIT_CLASS_TCP];
	if (p->rules.n || p->allow.n || l->count == LIMIT_UNLIMITED)
		return LIMIT_UNLIMITED;
	if (!l->count || p->roach_motel)
		return 0;
	uint64_t windows = l->seconds >= 3600 || !l->seconds ? 1 : (3600 + l->seconds - 1) / l->seconds;
	return (uint64_t)l->count * windows;
}

/* The loosest that a honeypot may get. */
static uint64_t loosest(const struct model *m, const struct honeypot *h)
{
	uint64_t most = allowance(&h->policy);
	for (uint32_t i = 0; i < m->npolicies; i++) {
		uint64_t x = allowance(&m->policies[i].policy);
		most = x > most ? x : most;
	}
	return most;
}

struct list {
	struct layer2_pot pots[MODEL_HONEYPOTS];
	uint32_t n;
	uint64_t tcp;
	bool open;
};

static void add_model(struct list *l, const struct model *m, const char *net)
{
	for (uint32_t i = 0; m && m->magic && i < m->nhoneypots; i++) {
		const struct honeypot *h = &m->honeypots[i];
		struct layer2_pot x = { .naddrs = (uint16_t)h->naddrs };
		if (strcmp(m->nets[h->net].name, net) != 0)
			continue;
		memcpy(x.mac, h->mac, sizeof(x.mac));
		memcpy(x.addrs, h->addrs, sizeof(x.addrs));
		uint64_t most = loosest(m, h);
		l->open |= most >= LIMIT_UNLIMITED;
		l->tcp += most;
		bool known = false;
		for (uint32_t k = 0; k < l->n && !known; k++)
			known = !memcmp(&l->pots[k], &x, sizeof(x));
		if (!known && l->n < MODEL_HONEYPOTS)
			l->pots[l->n++] = x;
	}
}

static int list_fd(const struct list *l, struct err *e)
{
	int fd = memfd_create("layer2", MFD_CLOEXEC);
	size_t n = l->n * sizeof(l->pots[0]);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make memory for the kernel's layer");
	if (pwrite(fd, l->pots, n, 0) != (ssize_t)n) {
		close(fd);
		return err_set(e, -EIO, "cannot write the kernel's layer");
	}
	return fd;
}

static int make(struct super *s, const struct netslot *n, const struct model *also, struct priv_layer2 *x,
		struct err *e)
{
	static struct list l; /* too large for the stack */
	l = (struct list){ 0 };
	add_model(&l, &s->model, n->net.name);
	add_model(&l, also, n->net.name);
	uint64_t most = l.tcp * SYN_TRIES + SLACK;
	*x = (struct priv_layer2){ .net = (uint32_t)(n - s->nets),
				   .n = l.n,
				   .tcp_hour = l.open || most > 1000000 ? 0 : (uint32_t)most };
	return list_fd(&l, e);
}

static void in_force(struct super *s, struct netslot *n, int status, const char *why)
{
	bool was = n->layer2;
	n->layer2 = status == 0;
	if (status < 0)
		super_event(s, NULL, "policy", "skep.layer2.absent", NULL,
			    "network %s has the gateway alone, without the kernel's layer: %.150s", n->net.name, why);
	else if (!was)
		super_event(s, NULL, "policy", "skep.layer2.on", NULL, "network %s: the kernel's layer is in force",
			    n->net.name);
}

int layer2_step(struct super *s, struct seq *q, struct err *e)
{
	struct netslot *n = q->subject;
	struct priv_layer2 x;
	if (!n->lab)
		return SEQ_NEXT;
	int fd = make(s, n, &s->apply.wanted, &x, e);
	if (fd < 0)
		return fd;
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_LAYER2, &x, sizeof(x), &fd, 1, 0, e);
	close(fd);
	return r;
}

int layer2_done(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)a, (void)e;
	in_force(s, q->subject, 0, "");
	return 0;
}

void layer2_failed(struct super *s, struct seq *q, const struct err *e)
{
	in_force(s, q->subject, -1, e->text);
}

static void on_answer(struct super *s, void *arg, struct answer *a)
{
	struct netslot *n = arg;
	if (!a->more && n->used && n->lab)
		in_force(s, n, a->status, a->text);
}

void layer2_sync(struct super *s, const struct model *also)
{
	for (unsigned i = 0; i < MODEL_NETS; i++) {
		struct netslot *n = &s->nets[i];
		struct priv_layer2 x;
		struct err e;
		if (!n->used || !n->lab)
			continue;
		int fd = make(s, n, also, &x, &e);
		int r = fd < 0 ? fd : ask(s, &s->priv, MSG_PRIV_LAYER2, &x, sizeof(x), &fd, 1, 0, on_answer, n);
		if (r < 0)
			log_warn("kernel's layer of %s: %s", n->net.name, fd < 0 ? e.text : strerror(-r));
		if (fd >= 0)
			close(fd);
	}
}
