/* SPDX-License-Identifier: ISC */
/*
 * `skep policy apply`, and sending what is in force once more.
 *
 * Theory of operation. The wanted model is complete, and may differ from the one
 * that runs in policies, triggers and notices only. It waits in apply.wanted, to
 * which no `up` can come meanwhile; the gateway gets its policies, builds them
 * aside and swaps; and only when it has said so, the model becomes the one that
 * runs. If it refuses, or does not answer, the old policies are sent once more:
 * whatever it has now, it is what super says.
 *
 * Every GW_POLICY holds all policies, made from what is in force when it is sent,
 * and the gateway takes them in that order: the last word is always whole and
 * right, whoever asked for it.
 */
#include "proc/super/engine.h"
#include "proc/super/layer2.h"
#include "proc/super/hub.h"
#include "proc/super/sink.h"
#include "proc/super/trigger.h"
#include "model/same.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- once more ---------------------------------------------------------- */

static int send_step(struct super *s, struct seq *q, struct err *e)
{
	return policy_send(s, q, e);
}

static const struct seq_step refresh_steps[] = { { "set the policies", send_step, NULL, false }, { 0 } };

static void refreshed(struct super *s, struct seq *q, int status, const struct err *e)
{
	(void)q;
	if (status == 0) {
		if (!s->policy_refresh.again)
			tighten_confirmed(s);
	} else {
		super_event(s, NULL, "policy", "skep.policy.failed", NULL, "generation %u refused: %.200s",
			    s->policy_generation, e->text);
		if (s->gateway_pid > 0)
			tighten_refused(s, e->text);
	}
	s->policy_refresh.busy = false;
	if (s->policy_refresh.again)
		policy_refresh(s);
}

void policy_refresh(struct super *s)
{
	struct policy_change *p = &s->policy_refresh;
	p->again = p->busy;
	/* Without a gateway nothing passes, and the next one gets all with its ports. */
	if (p->busy || s->gateway_pid <= 0)
		return;
	p->busy = true;
	seq_start(s, &p->seq, refresh_steps, s, refreshed);
}

/* ---- applying ----------------------------------------------------------- */

bool policy_busy(const struct super *s)
{
	return s->policy_change.busy;
}

void policy_cancel(struct super *s)
{
	struct policy_change *p = &s->policy_change;
	seq_cancel(s, &s->policy_refresh.seq);
	s->policy_refresh.busy = s->policy_refresh.again = false;
	if (!p->busy)
		return;
	seq_cancel(s, &p->seq);
	p->busy = false;
	policy_from(s, &s->model);
	ctl_end(s, &p->to, -ECANCELED, "the honeynet is being stopped");
}

static void changed_text(const struct model *was, const struct model *is, char *buf, size_t cap)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < is->nhoneypots; i++) {
		const struct honeypot *h = model_honeypot(was, is->honeypots[i].name);
		n += h && !same_policy(was, &h->policy, is, &is->honeypots[i].policy);
	}
	snprintf(buf, cap, "the policies of %u of %u honeypots change%s; %u rules, %u triggers", n, is->nhoneypots,
		 same_reactions(was, is) ? "" : ", and triggers, named policies or notices", is->pool.nrules,
		 is->ntriggers);
}

static void take_tamper(struct super *s, const struct model *m)
{
	for (uint32_t i = 0; i < m->nhoneypots; i++) {
		struct machine *x = machine_find(s, m->honeypots[i].name);
		if (x) {
			x->hp.policy = m->honeypots[i].policy;
			x->hp.introspection.on_tamper = m->honeypots[i].introspection.on_tamper;
		}
	}
}

static uint32_t before; /* generation */

static void applied(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct policy_change *p = &s->policy_change;
	struct reply_to to = p->to;
	(void)q;
	p->busy = false;
	if (status < 0) {
		super_event(s, &to, "policy", "skep.policy.failed", NULL,
			    "generation %u refused, %u stays in force: %.150s", s->policy_generation, before, e->text);
		ctl_end(s, &to, status, "%s; the policy that was in force stays", e->text);
		policy_from(s, &s->model);
		policy_refresh(s);
		sinks_tidy(s);
		return;
	}
	char what[128];
	uint32_t generation = s->policy_generation;
	changed_text(&s->model, &s->apply.wanted, what, sizeof(what));
	s->model = s->apply.wanted;
	s->policies = &s->model;
	engine_sync(s, &s->model, NULL);
	layer2_sync(s, NULL);
	take_tamper(s, &s->model);
	unsigned own = tighten_end_all(s, &to);
	if (own)
		policy_refresh(s);
	trigger_model_changed(s);
	sinks_tidy(s);
	super_event(s, &to, "policy", "skep.policy.set", NULL, "generation %u in force, %u before: %s", generation,
		    before, what);
	ctl_end(s, &to, 0, "generation %u is in force: %s%s", generation, what,
		own ? "; what triggers had tightened has its own policy again" : "");
}

static const struct seq_step apply_steps[] = {
	{ "make the sinkholes", sinks_step, NULL, true },
	{ "set the policies", send_step, NULL, false },
	{ 0 },
};

static int may_apply(struct super *s, const struct model *wanted, struct err *e)
{
	struct err why;
	if (s->life != LIFE_RUNNING || s->apply.state != APPLY_IDLE || policy_busy(s))
		return err_set(e, -EBUSY, "%s is changing: try again when that is over", s->name);
	if (!s->model.magic)
		return err_set(e, -EBUSY, "%s has no model yet: `skep up` starts it", s->name);
	if (!super_alive(s))
		return err_set(e, -EHOSTDOWN,
			       "the gateway or evidence is down: run `skep up` with the honeynet's file");
	if (same_but_policies(&s->model, wanted, &why) < 0)
		return err_set(e, -EBUSY, "%s: that is for `skep up`, which changes more than policies", why.text);
	return 0;
}

static void keep_source(struct super *s, int fd)
{
	struct ev_file f = { .name = "honeynet.yaml" };
	off_t size = lseek(fd, 0, SEEK_END);
	f.size = size > 0 ? (uint64_t)size : 0;
	ask(s, &s->evidence, MSG_EV_FILE, &f, sizeof(f), &fd, 1, 0, NULL, NULL);
}

void policy_request(struct super *s, const struct reply_to *to, struct msg *m)
{
	static struct model wanted; /* too large for the stack */
	struct policy_change *p = &s->policy_change;
	bool dry = (MSG_BODY_AS(m, cmd_policy)->flags & POLICY_DRY_RUN) != 0;
	struct err e;
	int fd = msg_take_fd(m, 0), source = msg_take_fd(m, 1);
	int r = fd < 0 ? err_set(&e, -EPROTO, "no model came") : model_open(fd, &wanted, &e);
	if (fd >= 0)
		close(fd);
	if (!r)
		r = may_apply(s, &wanted, &e);
	if (!r && source >= 0 && !dry)
		keep_source(s, source);
	if (source >= 0)
		close(source);
	if (r < 0) {
		ctl_end(s, to, r, "%s", e.text);
		return;
	}
	if (dry) {
		char what[128];
		changed_text(&s->model, &wanted, what, sizeof(what));
		ctl_end(s, to, 0, "nothing was changed; it would be: %s", what);
		return;
	}
	super_event(s, to, "operator", "skep.policy.apply", NULL, "a policy is applied");
	s->apply.wanted = wanted;
	before = s->policy_generation;
	p->to = *to;
	p->busy = true;
#ifdef MUTANT_APPLY_IN_PLACE
	s->model = wanted;
#endif
	policy_from(s, &s->apply.wanted);
	seq_start(s, &p->seq, apply_steps, s, applied);
}
