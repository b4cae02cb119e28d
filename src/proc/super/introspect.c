/* SPDX-License-Identifier: ISC */
/*
 * How a honeypot is seen from outside: its introspect process.
 *
 * Theory of operation. Before the VMM starts, the introspect process makes the
 * ring that the guest's hooks will write, and the plan of where they go; the
 * VMM gets both. Once the VMM runs, the process gets the guest's memory to read
 * and begins. Nothing of this may stop a machine: whatever fails is told (event,
 * `skep ps`), and the honeypot runs unseen. A process that dies is started again
 * on the same ring, in which the records wait; packets do not depend on it.
 * After the VMM's end the process reads what the ring still holds, then quits.
 */
#include "proc/super/introspect.h"
#include "proc/super/trigger.h"

#include "base/log.h"
#include "base/text.h"
#include "proto/intro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RING_DEFAULT (4u << 20)
#define STARTS_MAX 4u            /* of one run of the machine */
#define HELLO_NS (10 * EV_SEC)   /* the hooks' first word is due before the kernel's */
#define LOST_EVERY (10 * EV_SEC) /* between two events about losses */

static struct machine *of(struct seq *q)
{
	return q->subject;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void introspect_init(struct watch *w)
{
	*w = (struct watch){ .chan = { .fd = -1, .self = ROLE_SUPER, .peer = ROLE_INTROSPECT, .state = STATE_ANY },
			     .ring_fd = -1,
			     .plan_fd = -1,
			     .probe_ring_fd = -1,
			     .probe_state_fd = -1,
			     .memory_fd = -1,
			     .pid_fd = -1,
			     .far_fd = -1,
			     .record_fd = -1 };
}

static void drop_transit(struct watch *w)
{
	drop(&w->memory_fd);
	drop(&w->pid_fd);
	drop(&w->far_fd);
	drop(&w->record_fd);
}

static void drop_probes(struct watch *w)
{
	drop(&w->probe_ring_fd);
	drop(&w->probe_state_fd);
}

static void drop_chan(struct super *s, struct watch *w)
{
	if (w->chan.fd < 0)
		return;
	ev_del(&s->ev, &w->src);
	chan_close(&w->chan);
	/* Last: a sequence that waits for it goes on, and must find it gone. */
	ask_fail(s, &w->chan, "the introspect process is gone");
}

void introspect_abandon(struct super *s, struct machine *m)
{
	seq_cancel(s, &m->watch.seq);
	ev_timer_cancel(&s->ev, &m->watch.again);
	drop_transit(&m->watch);
}

void introspect_tidy(struct super *s, struct machine *m)
{
	struct watch *w = &m->watch;
	introspect_abandon(s, m);
	w->wanted = w->asked = w->quitting = w->stale = false;
	w->deadline = 0;
	drop_chan(s, w);
	drop(&w->ring_fd);
	drop(&w->plan_fd);
	drop_probes(w);
	w->seeing = SEEING_NOT;
	w->blind[0] = 0;
}

struct machine *introspect_of(struct super *s, const struct chan *c)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (&s->machines[i].watch.chan == c)
			return &s->machines[i];
	return NULL;
}

static void absent(struct super *s, struct machine *m, const char *why)
{
	struct watch *w = &m->watch;
	w->wanted = false;
	w->deadline = 0;
	if (w->seeing != SEEING_TAMPERED)
		w->seeing = SEEING_ABSENT;
	snprintf(w->blind, sizeof(w->blind), "%.159s", why);
	super_event(s, &m->to, "introspection", "skep.introspection.absent", m->hp.name,
		    "it is not seen from inside: %.200s", why);
}

/* A step of it failed: without it, then. */
void introspect_failed(struct super *s, struct seq *q, const struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	struct priv_kill k = { .what = ROLE_INTROSPECT, .slot = (uint32_t)machine_slot(s, m) };
	absent(s, m, e->text);
	drop_transit(w);
	if (!m->vmm_pid && !m->vmm_asked) {
		drop(&w->ring_fd);
		drop(&w->plan_fd);
		drop_probes(w);
	}
	if (w->pid || w->asked)
		ask(s, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, NULL, NULL);
	w->asked = false;
	drop_chan(s, w);
}

/* ---- the steps ---------------------------------------------------------- */

int introspect_decide(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	introspect_tidy(s, m);
	w->starts = 0;
	w->records = w->lost = w->lost_told = w->lost_at = w->sessions = 0;
	w->way = INTRO_WAY_HOOKS;
	if (m->hp.introspection.mode == INTROSPECTION_OFF) {
		w->seeing = SEEING_OFF;
		super_event(s, &m->to, "introspection", "skep.introspection.off", m->hp.name,
			    "introspection is off by configuration");
		return SEQ_NEXT;
	}
	if (m->hp.backend != BACKEND_UML)
		return err_set(e, -ENOTSUP, "backend %s has no introspection", backend_name(m->hp.backend));
	w->wanted = true;
	return SEQ_NEXT;
}

int introspect_source(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	if (!w->wanted)
		return SEQ_NEXT;
	struct ev_source_add x = { .slot = (uint32_t)machine_slot(s, m), .role = ROLE_INTROSPECT };
	memcpy(x.honeypot, m->hp.name, sizeof(x.honeypot));
	return super_record_source(s, q, &w->chan, &w->src, &x, &w->far_fd, &w->record_fd, e);
}

int introspect_spawn(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	struct priv_spawn x = { .role = ROLE_INTROSPECT, .slot = (uint32_t)machine_slot(s, m) };
	int fds[2] = { w->far_fd, w->record_fd };
	if (!w->wanted)
		return SEQ_NEXT;
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_SPAWN, &x, sizeof(x), fds, 2, 0, e);
	w->asked = r == SEQ_WAIT;
	w->starts++;
	drop(&w->far_fd);
	drop(&w->record_fd);
	return r;
}

int introspect_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)e;
	of(q)->watch.pid = MSG_BODY_AS(a->m, priv_done)->pid;
	of(q)->watch.asked = false;
	return 0;
}

int introspect_prepare(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	if (!w->wanted)
		return SEQ_NEXT;
	uint32_t size = (s->model.magic ? s->model.evidence : s->apply.wanted.evidence).ring_bytes;
	struct intro_prepare x = { .slot = (uint32_t)machine_slot(s, m),
				   .backend = m->hp.backend,
				   .ring_bytes = size ? size : RING_DEFAULT };
	memcpy(x.honeypot, m->hp.name, sizeof(x.honeypot));
	/* Its own plan and ring after a death; else the plan that the first one made. */
	int fds[2] = { w->plan_fd >= 0 ? w->plan_fd : s->plan_fd, w->ring_fd };
	int n = fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2;
	return seq_ask(s, q, &w->chan, MSG_INTRO_PREPARE, &x, sizeof(x), fds, n, 10000, e);
}

int introspect_prepared(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct watch *w = &of(q)->watch;
	int ring = msg_take_fd(a->m, 0), plan = msg_take_fd(a->m, 1);
	if (w->ring_fd >= 0) { /* it goes on with that one */
		drop(&ring);
		drop(&plan);
		return 0;
	}
	if (ring < 0 || plan < 0) {
		drop(&ring);
		drop(&plan);
		return err_set(e, -EPROTO, "the introspect process sent no ring");
	}
	w->ring_fd = ring;
	w->plan_fd = plan;
	if (s->plan_fd < 0)
		s->plan_fd = fcntl(plan, F_DUPFD_CLOEXEC, 0);
	return 0;
}

/* Probes only where they are asked for. The guest cannot take them away by
 * changing its own tables; but hooks cost less, start and stop faster, know the
 * guest's time, and hide what they replace (docs/measurements.md, SECURITY.md). */
int introspect_probe(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	struct priv_probe x = { .slot = (uint32_t)machine_slot(s, m) };
	/* Another introspect process goes on with what is there. */
	if (!w->wanted || w->starts > 1 || m->hp.introspection.mode != INTROSPECTION_PROBES)
		return SEQ_NEXT;
	return seq_ask(s, q, &s->priv, MSG_PRIV_PROBE, &x, sizeof(x), &w->plan_fd, 1, 0, e);
}

int introspect_probed(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct watch *w = &of(q)->watch;
	(void)s;
	w->probe_ring_fd = msg_take_fd(a->m, 0);
	w->probe_state_fd = msg_take_fd(a->m, 1);
	if (w->probe_ring_fd < 0 || w->probe_state_fd < 0)
		return err_set(e, -EPROTO, "priv sent no maps of probes");
	w->way = INTRO_WAY_PROBES;
	return 0;
}

void introspect_no_probes(struct super *s, struct seq *q, const struct err *e)
{
	struct machine *m = of(q);
	drop_probes(&m->watch);
	m->watch.way = INTRO_WAY_HOOKS;
#ifdef MUTANT_PROBE_FAILS_SILENT
	return;
#endif
	introspect_failed(s, q, e);
}

int introspect_memory(struct super *s, struct seq *q, struct err *e)
{
	struct priv_memory x = { .slot = (uint32_t)machine_slot(s, of(q)) };
	if (!of(q)->watch.wanted)
		return SEQ_NEXT;
	return seq_ask(s, q, &s->priv, MSG_PRIV_MEMORY, &x, sizeof(x), NULL, 0, 0, e);
}

int introspect_memory_opened(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct watch *w = &of(q)->watch;
	(void)s;
	w->memory_fd = msg_take_fd(a->m, 0);
	w->pid_fd = msg_take_fd(a->m, 1);
	if (w->memory_fd < 0 || w->pid_fd < 0)
		return err_set(e, -EPROTO, "priv sent no memory");
	return 0;
}

int introspect_begin(struct super *s, struct seq *q, struct err *e)
{
	struct watch *w = &of(q)->watch;
	struct intro_start x = { .way = w->way };
	const int fds[] = { w->memory_fd, w->pid_fd, w->probe_ring_fd, w->probe_state_fd };
	/* One that died meanwhile is started again, by its own sequence. */
	int r = !w->wanted || w->chan.fd < 0 ? SEQ_NEXT
					     : seq_ask(s, q, &w->chan, MSG_INTRO_START, &x, sizeof(x), fds,
						       w->way == INTRO_WAY_PROBES ? 4 : 2, 10000, e);
	drop(&w->memory_fd);
	drop(&w->pid_fd);
	return r;
}

/* A process that died; and a guest that restarted, whose memory is new. */
static const struct seq_step again_steps[] = { INTROSPECT_BEFORE, INTROSPECT_AFTER, { 0 } };
static const struct seq_step memory_steps[] = { INTROSPECT_AFTER, { 0 } };

int introspect_begun(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct machine *m = of(q);
	struct watch *w = &m->watch;
	(void)a, (void)e;
	w->told = false;
	trigger_watch(s, m);
	if (q->steps == memory_steps) {
		super_event(s, NULL, "introspection", "skep.introspection.restarted", m->hp.name,
			    "the guest's kernel has started anew: its hooks are watched again");
		return 0;
	}
	if (w->starts == 1) {
		w->deadline = s->ev.now + HELLO_NS;
		return 0;
	}
	/* The hooks have said hello to the one before. */
	if (w->seeing == SEEING_NOT || w->seeing == SEEING_ABSENT)
		w->seeing = w->way == INTRO_WAY_PROBES ? SEEING_PROBES : SEEING_HOOKS;
	super_event(s, NULL, "introspection", "skep.introspection.again", m->hp.name,
		    "start %u of the introspect process goes on with the same ring", w->starts);
	return 0;
}

/* ---- the end ------------------------------------------------------------ */

int introspect_quit(struct super *s, struct seq *q, struct err *e)
{
	struct watch *w = &of(q)->watch;
	struct msg_empty x = { 0 };
	introspect_abandon(s, of(q));
	w->quitting = true;
#ifdef MUTANT_INTROSPECT_NOT_DRAINED
	return SEQ_NEXT;
#endif
	if (w->chan.fd < 0 || !w->pid)
		return SEQ_NEXT;
	return seq_ask(s, q, &w->chan, MSG_INTRO_QUIT, &x, sizeof(x), NULL, 0, 10000, e);
}

int introspect_kill(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct priv_kill k = { .what = ROLE_INTROSPECT, .slot = (uint32_t)machine_slot(s, m) };
	m->awaiting_exit = false;
	ev_timer_cancel(&s->ev, &m->watchdog);
	if (!m->watch.pid && !m->watch.asked)
		return SEQ_NEXT;
	return seq_ask(s, q, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, e);
}

/* ---- what it says, and its death ---------------------------------------- */

static void again_done(struct super *s, struct seq *q, int status, const struct err *e)
{
	(void)s, (void)q, (void)status, (void)e; /* each failed step has told */
}

static void again(void *arg, uint64_t now)
{
	struct machine *m = arg;
	struct watch *w = &m->watch;
	(void)now;
	if (!w->wanted || w->quitting || w->pid || seq_busy(&w->seq))
		return;
	if (m->vmm_pid)
		seq_start(m->hub, &w->seq, again_steps, m, again_done);
	else if (m->vmm_asked)
		ev_timer_set(&m->hub->ev, &w->again, now + EV_SEC, again, m);
}

static void look_again(struct super *s, struct machine *m)
{
	struct watch *w = &m->watch;
	if (!w->stale || seq_busy(&w->seq) || seq_busy(&m->seq) || !w->pid || !m->vmm_pid)
		return; /* the next tick tries again */
	w->stale = false;
	seq_start(s, &w->seq, memory_steps, m, again_done);
}

void introspect_exited(struct super *s, struct machine *m, int wait_status)
{
	struct watch *w = &m->watch;
	bool wanted = w->wanted && !w->quitting;
	w->pid = 0;
	drop_chan(s, w);
	if (!wanted)
		return;
	super_event(s, NULL, "introspection", "skep.introspection.exited", m->hp.name,
		    "its introspect process ended (wait status %#x)", (unsigned)wait_status);
	if (!w->wanted) /* what waited for it has failed and told */
		return;
	if (w->starts >= STARTS_MAX) {
		absent(s, m, "its introspect process ended too often");
		return;
	}
	ev_timer_set(&s->ev, &w->again, s->ev.now + w->starts * EV_SEC, again, m);
}

static void tell_lost(struct super *s, struct machine *m)
{
	struct watch *w = &m->watch;
	super_event(s, NULL, "introspection", "skep.introspection.lost", m->hp.name,
		    "%llu records of what happened inside are lost, %llu in all",
		    (unsigned long long)(w->lost - w->lost_told), (unsigned long long)w->lost);
	w->lost_told = w->lost;
	w->lost_at = s->ev.now;
}

static void tampered(struct super *s, struct machine *m, const char *text)
{
	struct watch *w = &m->watch;
	bool freeze = m->hp.introspection.on_tamper == ON_TAMPER_FREEZE;
	const struct reply_to nobody = { 0 };
	bool first = w->seeing != SEEING_TAMPERED;
	w->seeing = SEEING_TAMPERED;
	snprintf(w->blind, sizeof(w->blind), "%.159s", text);
	if (first)
		super_event(s, NULL, "introspection", "skep.introspection.tampered", m->hp.name,
			    "the guest attacks what watches it: %.120s%s", text, freeze ? "; it is frozen" : "");
#ifndef MUTANT_SUPER_TAMPER_IGNORED
	if (freeze && first)
		freeze_request(s, &nobody, m->hp.name, true);
#else
	(void)nobody;
#endif
}

void introspect_state(struct super *s, struct machine *m, const struct intro_state *x)
{
	struct watch *w = &m->watch;
	char text[320];
	if (!MSG_TEXT(x->text))
		return;
	text_safe(text, sizeof(text), x->text, strlen(x->text), false);
	w->records = x->records;
	w->lost = x->lost;
	w->sessions = x->sessions;
	switch (x->event) {
	case INTRO_EV_UP:
		w->deadline = 0;
		if (w->seeing != SEEING_NOT && w->seeing != SEEING_ABSENT) {
#ifndef MUTANT_INTROSPECT_STALE_MEMORY
			/* Another hello; without a text it is only figures. Probes have nothing in the guest's memory
			 * that could be attacked. */
			w->stale |= text[0] != 0 && w->way == INTRO_WAY_HOOKS;
			look_again(s, m);
#endif
			break;
		}
		w->seeing = w->way == INTRO_WAY_PROBES ? SEEING_PROBES : SEEING_HOOKS;
		snprintf(w->blind, sizeof(w->blind), "%.159s", text);
		super_event(s, NULL, "introspection", "skep.introspection.on", m->hp.name, "%s: %.200s",
			    seeing_name(w->seeing), text);
		break;
	case INTRO_EV_TAMPERED:
		tampered(s, m, text);
		break;
	default:
		break;
	}
	if (w->lost > w->lost_told && (!w->lost_at || s->ev.now - w->lost_at >= LOST_EVERY))
		tell_lost(s, m);
}

void introspect_tick(struct super *s, uint64_t now)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		struct watch *w = &m->watch;
		if (!m->used)
			continue;
		look_again(s, m);
		if (w->lost > w->lost_told && now - w->lost_at >= LOST_EVERY)
			tell_lost(s, m);
		if (w->deadline && now >= w->deadline) {
			w->deadline = 0;
			w->seeing = SEEING_ABSENT;
			snprintf(w->blind, sizeof(w->blind), "its hooks did not report");
			super_event(s, NULL, "introspection", "skep.introspection.absent", m->hp.name,
				    "it is not seen from inside: its hooks did not report within %u s",
				    (unsigned)(HELLO_NS / EV_SEC));
		}
	}
}

void introspect_ps(const struct machine *m, struct rep_honeypot *r)
{
	const struct watch *w = &m->watch;
	r->seeing = w->seeing;
	r->introspect_pid = w->pid;
	r->introspect_starts = w->starts;
	r->records = w->records;
	r->lost = w->lost;
	r->sessions = w->sessions;
	memcpy(r->blind, w->blind, sizeof(r->blind));
}
