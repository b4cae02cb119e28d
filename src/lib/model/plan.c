/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. Every honeypot and network is looked up by name in both
 * models, and falls into one of: removed, added, changed, same. The steps are
 * then written phase by phase; the order of enum phase is the whole secret.
 * Undo runs the same list backwards, so each phase must also stand where its
 * undo is right: that is why a phase without a forward step (PHASE_UNPOLICY)
 * stands in front of the ports that go. When they come back, they get the old
 * policies before their machines start again.
 */
#include "model/plan.h"

#include "model/same.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum phase {
	PHASE_STOP,
	PHASE_UNPOLICY,
	PHASE_PORT_DEL,
	PHASE_NETWORK_DEL,
	PHASE_EVIDENCE,
	PHASE_NETWORK_ADD,
	PHASE_PORT_ADD,
#ifndef MUTANT_PLAN_START_BEFORE_POLICY
	PHASE_POLICY,
	PHASE_DISK_RENEW,
	PHASE_DISK_ADD,
	PHASE_START,
#else
	PHASE_DISK_RENEW,
	PHASE_DISK_ADD,
	PHASE_START,
	PHASE_POLICY,
#endif
	PHASE_DISK_DEL,
	PHASE_COUNT
};

/* What becomes of one honeypot. */
enum fate {
	FATE_STOP = 1,       /* runs now, must not run as it is */
	FATE_PORT_DEL = 2,   /* its port goes, or goes and comes anew */
	FATE_PORT_ADD = 4,   /* it gets a port */
	FATE_DISK_RENEW = 8, /* its disk is of no use for the wanted machine */
	FATE_DISK_ADD = 16,  /* it gets a disk */
	FATE_START = 32,     /* it is started */
	FATE_DISK_DEL = 64,  /* it leaves for good */
	FATE_POLICY = 128,   /* its policy differs, or its port is new */
};

static const char *const names[STEP_OP_COUNT] = {
	[STEP_NETWORK_ADD] = "add network",
	[STEP_NETWORK_DEL] = "remove network",
	[STEP_PORT_ADD] = "add port",
	[STEP_PORT_DEL] = "remove port",
	[STEP_POLICY] = "set policies",
	[STEP_DISK_ADD] = "prepare disk",
	[STEP_DISK_DEL] = "remove disk",
	[STEP_MACHINE_START] = "start machine",
	[STEP_MACHINE_STOP] = "stop machine",
	[STEP_EVIDENCE] = "set evidence limits",
	[STEP_NONE] = "nothing",
};

const char *step_name(unsigned op)
{
	return op < STEP_OP_COUNT ? names[op] : "?";
}

static const struct network *find_network(const struct model *m, const char *name)
{
	for (uint32_t i = 0; m && i < m->nnets; i++)
		if (!strcmp(m->nets[i].name, name))
			return &m->nets[i];
	return NULL;
}

static bool same_addr(const struct addr *x, const struct addr *y)
{
	return addr_equal(x, y) && x->plen == y->plen;
}

/* Also in the order of the addresses: the first is the one that the guest uses. */
static bool same_port(const struct model *rm, const struct honeypot *r, const struct model *wm,
		      const struct honeypot *w)
{
	if (strcmp(rm->nets[r->net].name, wm->nets[w->net].name) != 0 || memcmp(r->mac, w->mac, 6) != 0 ||
	    r->naddrs != w->naddrs)
		return false;
	for (uint32_t i = 0; i < r->naddrs; i++)
		if (!same_addr(&r->addrs[i], &w->addrs[i]))
			return false;
	return true;
}

/* Rules name honeypots and networks by their index. */
static bool same_index(const struct model *rm, const struct honeypot *r, const struct model *wm,
		       const struct honeypot *w)
{
	return !w->policy.rules.n || (r - rm->honeypots == w - wm->honeypots && r->net == w->net);
}

static unsigned fate(const struct model *rm, const struct honeypot *r, const struct model *wm, const struct honeypot *w)
{
	if (!w)
		return FATE_STOP | FATE_PORT_DEL | FATE_DISK_DEL;
	if (!r)
		return FATE_PORT_ADD | FATE_POLICY | FATE_DISK_ADD | FATE_START;
	/* What to do about tampering is a policy, and super's own: no machine has to stop for it. */
	bool policy = same_policy(rm, &r->policy, wm, &w->policy) && same_index(rm, r, wm, w) &&
		      r->introspection.on_tamper == w->introspection.on_tamper;
	unsigned f = policy ? 0 : FATE_POLICY;
	bool port = same_port(rm, r, wm, w);
	if (!port)
		f |= FATE_PORT_DEL | FATE_PORT_ADD | FATE_POLICY;
	if (!port || strcmp(r->image, w->image) != 0 || r->backend != w->backend ||
	    strcmp(r->hostname, w->hostname) != 0)
		f |= FATE_DISK_RENEW | FATE_DISK_ADD | FATE_STOP | FATE_START;
	if (r->memory != w->memory || r->cpus != w->cpus || r->boot_seconds != w->boot_seconds ||
	    r->introspection.mode != w->introspection.mode)
		f |= FATE_STOP | FATE_START;
	return f;
}

static bool same_network(const struct network *x, const struct network *y)
{
	return same_addr(&x->v4, &y->v4) && same_addr(&x->v6, &y->v6) && same_addr(&x->router4, &y->router4) &&
	       same_addr(&x->router6, &y->router6);
}

/* What cannot change under running machines. */
static int possible(const struct model *r, const struct model *w, struct err *e)
{
	static const char *const advice = "stop the honeynet (skep down), then start it anew";
	if (strcmp(r->name, w->name) != 0)
		return err_set(e, -EBUSY, "honeynet %s runs, and cannot become %s: %s", r->name, w->name, advice);
	bool uplink = r->uplink == w->uplink && r->nlab == w->nlab;
	for (uint32_t i = 0; uplink && i < r->nlab; i++)
		uplink = same_addr(&r->lab[i], &w->lab[i]);
	if (!uplink)
		return err_set(e, -EBUSY, "the uplink of %s cannot change while it runs: %s", r->name, advice);
	for (uint32_t i = 0; i < w->nnets; i++) {
		const struct network *old = find_network(r, w->nets[i].name);
		if (old && !same_network(old, &w->nets[i]))
			return err_set(e, -EBUSY, "prefixes and routers of network %s cannot change while it runs: %s",
				       old->name, advice);
	}
	return 0;
}

struct planner {
	struct plan *out;
	enum phase phase;
};

static void add(struct planner *p, enum step_op op, enum step_op undo, bool from_running, const char *name)
{
	struct step *s = &p->out->steps[p->out->n++];
	*s = (struct step){ .op = (uint8_t)op, .undo = (uint8_t)undo, .from_running = from_running };
	s->phase = (uint8_t)p->phase;
	snprintf(s->name, sizeof(s->name), "%s", name);
}

static void add_networks(struct planner *p, const struct model *of, const struct model *other, enum step_op op,
			 enum step_op undo, bool from_running)
{
	for (uint32_t i = 0; of && i < of->nnets; i++)
		if (!find_network(other, of->nets[i].name))
			add(p, op, undo, from_running, of->nets[i].name);
}

/* One step for each honeypot of `of` whose fate has the bit. */
static unsigned add_honeypots(struct planner *p, const struct model *rm, const struct model *wm, bool from_running,
			      unsigned bit, enum step_op op, enum step_op undo)
{
	const struct model *of = from_running ? rm : wm, *other = from_running ? wm : rm;
	unsigned n = 0;
	for (uint32_t i = 0; of && i < of->nhoneypots; i++) {
		const struct honeypot *h = &of->honeypots[i];
		const struct honeypot *o = other ? model_honeypot(other, h->name) : NULL;
		if (!(fate(rm, from_running ? h : o, wm, from_running ? o : h) & bit))
			continue;
		n++;
		if (op != STEP_OP_COUNT)
			add(p, op, undo, from_running, h->name);
	}
	return n;
}

static bool same_evidence(const struct evidence_conf *x, const struct evidence_conf *y)
{
	return x->max_bytes == y->max_bytes && x->max_age == y->max_age && x->rotate_bytes == y->rotate_bytes &&
	       x->min_free == y->min_free && x->ring_bytes == y->ring_bytes;
}

static void add_phase(struct planner *p, const struct model *r, const struct model *w)
{
	switch (p->phase) {
	case PHASE_STOP:
		add_honeypots(p, r, w, true, FATE_STOP, STEP_MACHINE_STOP, STEP_MACHINE_START);
		break;
	case PHASE_UNPOLICY:
		if (add_honeypots(p, r, w, true, FATE_PORT_DEL, STEP_OP_COUNT, STEP_NONE))
#ifndef MUTANT_PLAN_NO_UNPOLICY
			add(p, STEP_NONE, STEP_POLICY, true, "");
#else
			(void)p;
#endif
		break;
	case PHASE_PORT_DEL:
		add_honeypots(p, r, w, true, FATE_PORT_DEL, STEP_PORT_DEL, STEP_PORT_ADD);
		break;
	case PHASE_NETWORK_DEL:
		add_networks(p, r, w, STEP_NETWORK_DEL, STEP_NETWORK_ADD, true);
		break;
	case PHASE_EVIDENCE:
		if (!r || !same_evidence(&r->evidence, &w->evidence))
			add(p, STEP_EVIDENCE, r ? STEP_EVIDENCE : STEP_NONE, false, "");
		break;
	case PHASE_NETWORK_ADD:
		add_networks(p, w, r, STEP_NETWORK_ADD, STEP_NETWORK_DEL, false);
		break;
	case PHASE_PORT_ADD:
		add_honeypots(p, r, w, false, FATE_PORT_ADD, STEP_PORT_ADD, STEP_PORT_DEL);
		break;
	case PHASE_POLICY:
		/* What the gateway says it says with indexes into the pool that it has. */
		if (add_honeypots(p, r, w, false, FATE_POLICY, STEP_OP_COUNT, STEP_NONE) ||
		    (r && (!same_pool(&r->pool, &w->pool) || !same_reactions(r, w))))
			add(p, STEP_POLICY, r ? STEP_POLICY : STEP_NONE, false, "");
		break;
	case PHASE_DISK_RENEW:
		add_honeypots(p, r, w, true, FATE_DISK_RENEW, STEP_DISK_DEL, STEP_DISK_ADD);
		break;
	case PHASE_DISK_ADD:
		add_honeypots(p, r, w, false, FATE_DISK_ADD, STEP_DISK_ADD, STEP_DISK_DEL);
		break;
	case PHASE_START:
		add_honeypots(p, r, w, false, FATE_START, STEP_MACHINE_START, STEP_MACHINE_STOP);
		break;
	case PHASE_DISK_DEL:
		add_honeypots(p, r, w, true, FATE_DISK_DEL, STEP_DISK_DEL, STEP_DISK_ADD);
		break;
	default:
		break;
	}
}

int plan_make(const struct model *running, const struct model *wanted, struct plan *out, struct err *e)
{
	int r = running ? possible(running, wanted, e) : 0;
	if (r < 0)
		return r;
	out->n = 0;
	struct planner p = { .out = out };
	for (p.phase = 0; p.phase < PHASE_COUNT; p.phase++)
		add_phase(&p, running, wanted);
	/* A phase in which nothing happens has no number. */
	int last = -1, next = -1;
	for (unsigned i = 0; i < out->n; i++) {
		if (out->steps[i].phase != last) {
			last = out->steps[i].phase;
			next++;
		}
		out->steps[i].phase = (uint8_t)next;
	}
	return 0;
}
