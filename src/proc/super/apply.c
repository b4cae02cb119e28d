/* SPDX-License-Identifier: ISC */
/*
 * Carries out a plan (model/plan): the way from the running honeynet to the
 * wanted one.
 *
 * Theory of operation. The steps of one phase run at the same time (machines
 * at most MACHINES_AT_ONCE, since booting is what costs); when all of a phase
 * are done the next begins. If one fails, no new step begins; when those under
 * way have ended, the done ones are undone one by one in reverse order, and the
 * operator gets the first error. `s->model` is what runs: it changes only when
 * the whole plan has succeeded.
 */
#include "base/log.h"
#include "proc/super/engine.h"
#include "proc/super/hub.h"
#include "proc/super/layer2.h"
#include "proc/super/sink.h"
#include "proc/super/trigger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MACHINES_AT_ONCE 4

enum { TODO, RUNNING, DONE, FAILED };

static struct apply *ap(struct super *s)
{
	return &s->apply;
}

static void advance(struct super *s);

static void step_done(struct super *s, unsigned i, int status, const struct err *e)
{
	struct apply *a = ap(s);
	const struct step *st = &a->plan.steps[i];
	a->running--;
	if (status < 0 && !a->teardown) {
		a->status[i] = FAILED;
		if (!a->error.code) {
			a->error = *e;
			a->error.code = status;
			if (st->name[0])
				err_prefix(&a->error, "%s", st->name);
		} else if (a->state == APPLY_UNDOING) {
			log_warn("undoing %s %s: %s", step_name(st->op), st->name, e->text);
		}
	} else {
		a->status[i] = a->state == APPLY_UNDOING ? TODO : DONE;
		char text[128];
		snprintf(text, sizeof(text), "%s %s", step_name(st->op), st->name);
		if (a->state == APPLY_DOING)
			ctl_progress(s, &a->to, ++a->ndone, a->plan.n, text);
	}
	advance(s);
}

static void fail_now(struct super *s, unsigned i, int code, const char *text)
{
	struct err e;
	err_set(&e, code, "%s", text);
	step_done(s, i, code, &e);
}

/* The running step of this subject. */
static int running_step(const struct super *s, const char *name, bool network)
{
	const struct apply *a = &s->apply;
	for (unsigned i = 0; i < a->plan.n; i++) {
		unsigned op = a->plan.steps[i].op;
		bool is_net = op == STEP_NETWORK_ADD || op == STEP_NETWORK_DEL;
		if (a->status[i] == RUNNING && is_net == network && !strcmp(a->plan.steps[i].name, name))
			return (int)i;
	}
	return -1;
}

void apply_network_done(struct super *s, struct netslot *n, int status, const struct err *e)
{
	int i = running_step(s, n->net.name, true);
	if (i >= 0)
		step_done(s, (unsigned)i, status, e);
}

static void machine_step_done(struct super *s, struct machine *m, int status, const struct err *e)
{
	int i = running_step(s, m->hp.name, false);
	if (i >= 0)
		step_done(s, (unsigned)i, status, e);
}

/* ---- steps that ask by themselves --------------------------------------- */

static void simple_done(struct super *s, struct seq *q, int status, const struct err *e)
{
	step_done(s, (unsigned)(uintptr_t)q->subject, status, e);
}

static void policy_done(struct super *s, struct seq *q, int status, const struct err *e)
{
	/* The gateway has the old ones, or, if it did not answer, gets them again. */
	if (status < 0 && s->apply.state == APPLY_DOING) {
		policy_from(s, &s->model);
		policy_refresh(s);
	} else if (status == 0) {
		tighten_confirmed(s);
		sinks_tidy(s);
	}
	super_event(s, &s->apply.to, "policy", status < 0 ? "skep.policy.failed" : "skep.policy.set", NULL,
		    status < 0 ? "generation %u refused, the old one stays: %s" : "generation %u in force%s",
		    s->policy_generation, status < 0 ? e->text : "");
	simple_done(s, q, status, e);
}

static int policy_begin(struct super *s, struct seq *q, struct err *e)
{
	return policy_send(s, q, e);
}

static int evidence_begin(struct super *s, struct seq *q, struct err *e)
{
	const struct apply *a = &s->apply;
	struct ev_conf c = { .conf = (a->state == APPLY_DOING ? &a->wanted : &s->model)->evidence };
	memcpy(c.honeynet, s->name, sizeof(c.honeynet));
	snprintf(c.version, sizeof(c.version), "%s", SKEP_VERSION);
	return seq_ask(s, q, &s->evidence, MSG_EV_CONF, &c, sizeof(c), NULL, 0, 0, e);
}

static const struct seq_step policy_steps[] = {
	{ "make the sinkholes", sinks_step, NULL, true },
	{ "set the policy", policy_begin, NULL, false },
	{ 0 },
};
static const struct seq_step evidence_steps[] = { { "set evidence's limits", evidence_begin, NULL, false }, { 0 } };

static void take_policies(struct super *s, const struct model *m)
{
	policy_from(s, m);
	for (unsigned i = 0; i < m->nhoneypots; i++) {
		struct machine *x = machine_find(s, m->honeypots[i].name);
		if (!x)
			continue;
		x->hp.policy = m->honeypots[i].policy;
		x->hp.introspection.on_tamper = m->honeypots[i].introspection.on_tamper;
	}
}

static void disk_done(struct super *s, void *arg, struct answer *a)
{
	struct machine *m = arg;
	if (a->more)
		return;
	int i = running_step(s, m->hp.name, false);
	if (i < 0)
		return;
	struct err e = { 0 };
	if (a->status < 0)
		err_set(&e, a->status, "%s", a->text);
	if (a->status == 0 && a->m && ap(s)->state == APPLY_DOING && ap(s)->plan.steps[i].op == STEP_DISK_ADD)
		m->disk_created = MSG_BODY_AS(a->m, priv_done)->kind == 1;
	step_done(s, (unsigned)i, a->status, &e);
}

static void disk_step(struct super *s, unsigned i, struct machine *m, enum disk_op op)
{
	struct priv_disk d = { .op = op, .slot = (uint32_t)machine_slot(s, m) };
	memcpy(d.honeypot, m->hp.name, sizeof(d.honeypot));
	memcpy(d.image, m->hp.image, sizeof(d.image));
	int r = ask(s, &s->priv, MSG_PRIV_DISK, &d, sizeof(d), NULL, 0, 0, disk_done, m);
	if (r < 0)
		fail_now(s, i, r, strerror(-r));
}

/* ---- one step ----------------------------------------------------------- */

static const struct network *net_in(const struct model *m, const char *name)
{
	for (unsigned i = 0; i < m->nnets; i++)
		if (!strcmp(m->nets[i].name, name))
			return &m->nets[i];
	return NULL;
}

/* A honeypot's slot: its own, or a free one that takes it in. */
static struct machine *machine_take(struct super *s, const struct model *m, const char *name)
{
	const struct honeypot *hp = model_honeypot(m, name);
	struct machine *x = machine_find(s, name);
	if (!hp)
		return x;
	for (unsigned i = 0; !x && i < MODEL_HONEYPOTS; i++) {
		if (s->machines[i].used)
			continue;
		x = &s->machines[i];
		machine_init(s, x);
		x->used = true;
		x->state = MACHINE_STOPPED;
	}
	if (!x)
		return NULL;
	struct netslot *net = net_find(s, m->nets[hp->net].name);
	x->hp = *hp;
	if (net)
		x->net = (unsigned)(net - s->nets);
	return x;
}

static void begin_step(struct super *s, unsigned i, unsigned op, bool from_running)
{
	struct apply *a = ap(s);
	const struct model *m = from_running ? &s->model : &a->wanted;
	const char *name = a->plan.steps[i].name;
	struct err e = { 0 };
	int r = 0;
	a->status[i] = RUNNING;
	a->running++;
	struct machine *x = op == STEP_PORT_ADD || op == STEP_DISK_ADD || op == STEP_MACHINE_START
				? machine_take(s, m, name)
				: machine_find(s, name);
	switch (op) {
	case STEP_NETWORK_ADD: {
		struct netslot *n;
		const struct network *net = net_in(m, name);
		r = net ? network_add(s, net, m, &n, &e) : err_set(&e, -ENOENT, "no network %s", name);
		break;
	}
	case STEP_NETWORK_DEL: {
		struct netslot *n = net_find(s, name);
		if (!n)
			return step_done(s, i, 0, &e);
		network_del(s, n);
		break;
	}
	case STEP_PORT_ADD:
		r = x ? machine_port_open(s, x, machine_step_done) : -ENOSPC;
		break;
	case STEP_PORT_DEL:
		if (!x)
			return step_done(s, i, 0, &e);
		r = machine_port_close(s, x, machine_step_done);
		break;
	case STEP_POLICY:
		take_policies(s, m);
		seq_start(s, &s->seq, policy_steps, (void *)(uintptr_t)i, policy_done);
		break;
	case STEP_EVIDENCE:
		seq_start(s, &s->seq, evidence_steps, (void *)(uintptr_t)i, simple_done);
		break;
	case STEP_DISK_ADD:
		if (x)
			disk_step(s, i, x, DISK_CREATE);
		r = x ? 0 : -ENOSPC;
		break;
	case STEP_DISK_DEL:
		/* An undo removes only what this plan has made. */
		if (!x || (a->state == APPLY_UNDOING && !x->disk_created))
			return step_done(s, i, 0, &e);
		disk_step(s, i, x, DISK_REMOVE);
		break;
	case STEP_MACHINE_START:
		if (x)
			x->to = a->to;
		r = x ? machine_start(s, x, machine_step_done) : -ENOSPC;
		break;
	case STEP_MACHINE_STOP:
		if (!x)
			return step_done(s, i, 0, &e);
		x->to = a->to;
		r = machine_stop(s, x, a->state == APPLY_UNDOING || s->down_force, machine_step_done);
		break;
	default:
		return step_done(s, i, 0, &e);
	}
	if (r < 0)
		fail_now(s, i, r, e.text[0] ? e.text : strerror(-r));
}

/* ---- the plan ----------------------------------------------------------- */

static void free_slots(struct super *s)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		m->disk_created = false;
		if (m->used && !model_honeypot(&s->model, m->hp.name) && m->job == JOB_NONE) {
			machine_forget(s, m);
			trigger_forget(m);
			m->used = false;
		}
	}
}

static void over(struct super *s, bool ok)
{
	struct apply *a = ap(s);
	struct err e = a->error;
	a->state = APPLY_IDLE;
	if (ok && !a->teardown) {
		s->model = a->wanted;
		s->policies = &s->model;
		trigger_model_changed(s);
	}
	if (a->teardown)
		s->model.magic = 0;
	policy_from(s, &s->model);
	if (!a->teardown)
		layer2_sync(s, NULL);
	free_slots(s);
	a->then(s, ok ? 0 : e.code, &e);
}

static void undo_next(struct super *s)
{
	struct apply *a = ap(s);
	while (a->undo > 0) {
		unsigned i = --a->undo;
		const struct step *st = &a->plan.steps[i];
		if (a->status[i] != DONE || st->undo == STEP_NONE)
			continue;
		/* The undo of an addition is about the wanted model, the undo of
		 * a removal about the running one. */
		bool from_running = st->from_running || st->undo == STEP_POLICY || st->undo == STEP_EVIDENCE;
		begin_step(s, i, st->undo, from_running);
		return;
	}
	over(s, false);
}

static unsigned at_once(unsigned op)
{
	return op == STEP_MACHINE_START ? MACHINES_AT_ONCE : op == STEP_MACHINE_STOP ? MODEL_HONEYPOTS : 1;
}

static void advance(struct super *s)
{
	struct apply *a = ap(s);
	if (a->state == APPLY_IDLE)
		return;
	if (a->state == APPLY_UNDOING) {
		if (!a->running)
			undo_next(s);
		return;
	}
	if (a->error.code) {
		if (a->running)
			return;
		a->state = APPLY_UNDOING;
		a->undo = a->plan.n;
		ctl_progress(s, &a->to, a->ndone, a->plan.n, "failed; undoing what was done");
		undo_next(s);
		return;
	}
	for (unsigned i = 0; i < a->plan.n && a->state == APPLY_DOING && !a->error.code; i++) {
		const struct step *st = &a->plan.steps[i];
		if (a->status[i] != TODO)
			continue;
		if (st->phase != a->phase) {
			if (a->running)
				return;
			a->phase = st->phase;
		}
		/* Only machines of different honeypots run side by side. */
		if (a->running >= at_once(st->op))
			return;
		begin_step(s, i, st->op, st->from_running);
	}
	if (a->state == APPLY_DOING && !a->running && !a->error.code) {
		for (unsigned i = 0; i < a->plan.n; i++)
			if (a->status[i] != DONE)
				return;
		over(s, true);
	}
}

static void run_plan(struct super *s, bool teardown, void (*then)(struct super *s, int status, const struct err *e))
{
	struct apply *a = ap(s);
	memset(a->status, TODO, sizeof(a->status));
	a->phase = a->plan.n ? a->plan.steps[0].phase : 0;
	a->running = a->ndone = 0;
	a->error = (struct err){ 0 };
	a->cancelled = false;
	a->teardown = teardown;
	a->then = then;
	a->state = APPLY_DOING;
	advance(s);
}

static void up_over(struct super *s, int status, const struct err *e)
{
	struct reply_to to = s->apply.to;
	if (status == 0) {
		super_event(s, &to, "operator", "skep.up.done", NULL, "up: %u honeypots", s->model.nhoneypots);
		ctl_end(s, &to, 0, "%s is up: %u honeypot%s", s->name, s->model.nhoneypots,
			s->model.nhoneypots == 1 ? "" : "s");
	} else {
		super_event(s, &to, "operator", "skep.up.failed", NULL, "%.200s", e->text);
		ctl_end(s, &to, status, "%s", e->text);
	}
	if (s->life != LIFE_DOWN && status < 0 && s->model.magic == 0) {
		/* A first start that failed leaves nothing behind. */
		struct reply_to nobody = { 0 };
		super_down(s, &nobody, true);
	}
}

static void engine_ready(struct super *s, int status, const struct err *e)
{
	struct apply *a = ap(s);
	if (status < 0 && engine_asked(&a->wanted) == ENGINE_INLINE) {
		struct err why = *e;
		a->state = APPLY_IDLE;
		up_over(s, status, &why);
		return;
	}
	layer2_sync(s, &a->wanted);
	run_plan(s, false, up_over);
}

void apply_begin(struct super *s)
{
	struct apply *a = ap(s);
	struct err e;
	int r = plan_make(s->model.magic ? &s->model : NULL, &a->wanted, &a->plan, &e);
	if (r < 0) {
		ctl_end(s, &a->to, r, "%s", e.text);
		a->state = APPLY_IDLE;
		return;
	}
	/* The engine first: a machine never waits for it, nor runs without. */
	a->state = APPLY_DOING;
	a->running = 0;
	a->teardown = false;
	engine_sync(s, &a->wanted, engine_ready);
}

static void abandon_all(struct super *s)
{
	struct err e;
	err_set(&e, -ECANCELED, "the honeynet is being stopped");
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		if (!m->used || m->job == JOB_NONE)
			continue;
		machine_abandon(s, m);
		if (m->cmd_to.client)
			machine_cmd_done(s, m, -ECANCELED, &e);
	}
	for (unsigned i = 0; i < MODEL_NETS; i++)
		seq_cancel(s, &s->nets[i].seq);
	sinks_abandon(s);
}

static void add_step(struct plan *p, unsigned op, unsigned phase, const char *name)
{
	struct step *st = &p->steps[p->n++];
	*st = (struct step){ .op = (uint8_t)op, .undo = STEP_NONE, .from_running = 1, .phase = (uint8_t)phase };
	snprintf(st->name, sizeof(st->name), "%s", name);
}

void apply_teardown(struct super *s, bool force, void (*then)(struct super *s, int status, const struct err *e))
{
	struct plan *p = &ap(s)->plan;
	abandon_all(s);
	p->n = 0;
	s->down_force = force;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (s->machines[i].used)
			add_step(p, STEP_MACHINE_STOP, 0, s->machines[i].hp.name);
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (s->machines[i].used)
			add_step(p, STEP_PORT_DEL, 1, s->machines[i].hp.name);
	for (unsigned i = 0; i < MODEL_NETS; i++)
		if (s->nets[i].used)
			add_step(p, STEP_NETWORK_DEL, 2, s->nets[i].net.name);
	run_plan(s, true, then);
}

/* Tells why not. */
static int may_request(struct super *s, const struct reply_to *to, const struct model *wanted)
{
	const struct apply *a = ap(s);
	if (s->life == LIFE_DOWN) {
		ctl_end(s, to, -ESHUTDOWN, "%s is going down: try again when it is gone", s->name);
		return -EBUSY;
	}
	if (a->state != APPLY_IDLE || s->life == LIFE_REVIVING || policy_busy(s)) {
		ctl_end(s, to, -EBUSY, "another `up` of %s is in progress: wait for its end", s->name);
		return -EBUSY;
	}
	if (strcmp(wanted->name, s->name) != 0) {
		ctl_end(s, to, -EINVAL, "the file describes %s, not %s", wanted->name, s->name);
		return -EBUSY;
	}
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		if (s->machines[i].used && s->machines[i].job != JOB_NONE) {
			ctl_end(s, to, -EBUSY, "%s is %s: try again when that is over", s->machines[i].hp.name,
				machine_state_name(s->machines[i].state));
			return -EBUSY;
		}
	}
	return 0;
}

void apply_request(struct super *s, const struct reply_to *to, const struct model *wanted, int rules)
{
	struct apply *a = ap(s);
	if (may_request(s, to, wanted) < 0) {
		if (rules >= 0)
			close(rules);
		return;
	}
	a->to = *to;
	a->wanted = *wanted;
	engine_rules(s, rules);
	super_event(s, to, "operator", "skep.up", NULL, "up: %u honeypots wanted", wanted->nhoneypots);
	if (!super_alive(s)) {
		super_revive(s);
		return;
	}
	apply_begin(s);
}

void apply_cancel(struct super *s, const char *why)
{
	struct apply *a = ap(s);
	if (a->state == APPLY_IDLE)
		return;
	struct err e;
	err_set(&e, -ECANCELED, "%s", why);
	a->cancelled = true;
	a->state = APPLY_IDLE;
	seq_cancel(s, &s->seq);
	engine_abandon(s);
	abandon_all(s);
	if (!a->teardown)
		up_over(s, -ECANCELED, &e);
}
