/* SPDX-License-Identifier: ISC */
/*
 * The inline engine of a honeynet: one for all policies that ask for it.
 *
 * Theory of operation. It starts before the machines and ends after them. The
 * inspect process writes its configuration, priv starts it in its jail between
 * two interfaces, the inspect process reads what it prints until it says that it
 * has started, and only then the gateway gets its two ports. Whatever of this
 * fails or dies ends all of it - the gateway loses the ports, and drops what
 * should be inspected - and it is started again, later each time. An `up` whose
 * policies have `inspect: inline` fails if the first start does; with `passive`
 * it goes on and says so.
 */
#include "proc/super/engine.h"

#include "base/log.h"
#include "base/text.h"
#include "proc/super/engine_steps.h"
#include "proc/super/trigger.h"
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN_MIN EV_SEC
#define AGAIN_MAX (60 * EV_SEC)
#define CALM (60 * EV_SEC) /* ran so long: the next failure is a first one */

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct inline_engine *of(struct super *s)
{
	return &s->engine;
}

void engine_slot_init(struct super *s)
{
	*of(s) = (struct inline_engine){
		.chan = { .fd = -1, .self = ROLE_SUPER, .peer = ROLE_INSPECT, .state = STATE_ANY },
		.port_fd = { -1, -1 },
		.ring_fd = { -1, -1 },
		.wake_fd = { -1, -1 },
		.yaml_fd = -1,
		.rules_fd = -1,
		.reports_fd = -1,
		.log_fd = -1,
		.out_fd = -1,
	};
}

unsigned engine_asked(const struct model *m)
{
	unsigned found = ENGINE_OFF;
	for (uint32_t i = 0; i < m->nhoneypots + m->npolicies; i++) {
		unsigned e =
		    i < m->nhoneypots ? m->honeypots[i].policy.engine : m->policies[i - m->nhoneypots].policy.engine;
		if (e == ENGINE_INLINE)
			return e;
		if (e != ENGINE_OFF)
			found = e;
	}
	return found;
}

static bool same_bytes(int a, int b)
{
	struct stat x, y;
	if (a < 0 || b < 0 || fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return a < 0 && b < 0;
	if (x.st_size != y.st_size)
		return false;
	char p[4096], q[4096];
	for (off_t at = 0; at < x.st_size;) {
		ssize_t n = pread(a, p, sizeof(p), at);
		if (n <= 0 || pread(b, q, (size_t)n, at) != n || memcmp(p, q, (size_t)n) != 0)
			return false;
		at += n;
	}
	return true;
}

void engine_rules(struct super *s, int fd)
{
	struct inline_engine *x = of(s);
	if (fd < 0) {
		fd = memfd_create("rules", MFD_CLOEXEC);
		if (fd < 0)
			return;
	}
	x->changed |= !same_bytes(fd, x->rules_fd);
	drop(&x->rules_fd);
	x->rules_fd = fd;
}

/* ---- all of it ----------------------------------------------------------------------- */

static void start(struct super *s);

static void tell(struct super *s, int status, const struct err *e)
{
	engine_done then = of(s)->then;
	of(s)->then = NULL;
	if (then)
		then(s, status, e);
}

static void again(void *arg, uint64_t now)
{
	struct super *s = arg;
	(void)now;
	if (of(s)->wanted && s->life == LIFE_RUNNING && super_alive(s) && !of(s)->seq.steps)
		start(s);
}

static void stopped(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct inline_engine *x = of(s);
	struct err why = x->error;
	(void)q, (void)status, (void)e;
	x->up = x->waiting = x->ending = false;
	x->error = (struct err){ 0 };
	for (int i = 0; i < 2; i++)
		drop(&x->port_fd[i]);
	drop(&x->reports_fd);
	drop(&x->log_fd);
	drop(&x->yaml_fd);
	if (x->restart) {
		x->restart = false;
		start(s);
		return;
	}
	x->state = why.code ? ENGINE_STATE_FAILED : ENGINE_STATE_NONE;
	if (x->stopping) {
		struct seq *waiting = x->stopping;
		x->stopping = NULL;
		seq_resume(s, waiting, 0, NULL);
		return;
	}
	bool first = x->then != NULL;
	tell(s, why.code, &why);
	if (why.code && x->wanted && (!first || x->mode == ENGINE_PASSIVE)) {
		x->delay = x->delay ? x->delay * 2 : AGAIN_MIN;
		if (x->delay > AGAIN_MAX)
			x->delay = AGAIN_MAX;
		ev_timer_set(&s->ev, &x->timer, s->ev.now + x->delay, again, s);
	}
}

static void stop(struct super *s)
{
	struct inline_engine *x = of(s);
	ev_timer_cancel(&s->ev, &x->timer);
	seq_cancel(s, &x->seq);
	seq_start(s, &x->seq, engine_stop_steps, s, stopped);
}

static void failed(struct super *s, const struct err *e)
{
	struct inline_engine *x = of(s);
	x->error = *e;
	if (!x->error.code)
		x->error.code = -EIO;
	/* What it said itself says more. */
	if (x->said[0] && !x->up)
		err_set(&x->error, x->error.code, "the inline engine does not start: %.200s", x->said);
	snprintf(x->why, sizeof(x->why), "%.159s", x->error.text);
	x->state = ENGINE_STATE_FAILED;
	super_event(s, NULL, "engine", "skep.engine.down", NULL, "the inline engine does not run; %s: %.150s",
		    x->mode == ENGINE_INLINE ? "what should be inspected is dropped" : "frames pass uninspected",
		    x->why);
	stop(s);
}

static void started(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct inline_engine *x = of(s);
	(void)q;
	if (status < 0) {
		struct err why;
		err_set(&why, status, "the inline engine: %.300s", e->text);
		failed(s, &why);
		return;
	}
	x->state = ENGINE_STATE_RUNNING;
	x->since = s->ev.now;
	x->why[0] = 0;
	super_event(s, NULL, "engine", "skep.engine.up", NULL, "the inline engine runs%s%s: %u rules loaded, %u not",
		    x->seen.version[0] ? ": Suricata " : "", x->seen.version, x->seen.loaded, x->seen.failed);
	tell(s, 0, e);
}

static void start(struct super *s)
{
	struct inline_engine *x = of(s);
	x->up = false;
	x->changed = false;
	x->said[0] = 0;
	x->seen = (struct inspect_state){ 0 };
	x->state = ENGINE_STATE_STARTING;
	x->starts++;
	seq_start(s, &x->seq, engine_start_steps, s, started);
}

static void take_conf(struct super *s, const struct model *m)
{
	struct inline_engine *x = of(s);
	struct addr home[MODEL_NETS * 2] = { 0 };
	uint32_t n = 0;
	for (uint32_t i = 0; i < m->nnets; i++) {
		if (m->nets[i].v4.family)
			home[n++] = m->nets[i].v4;
		if (m->nets[i].v6.family)
			home[n++] = m->nets[i].v6;
	}
	x->changed |= memcmp(&x->conf, &m->engine, sizeof(x->conf)) != 0 || n != x->nhome ||
		      memcmp(home, x->home, sizeof(home)) != 0;
	x->conf = m->engine;
	x->nhome = n;
	memcpy(x->home, home, sizeof(home));
}

void engine_sync(struct super *s, const struct model *m, engine_done then)
{
	struct inline_engine *x = of(s);
	struct err none = { 0 };
	x->mode = engine_asked(m);
	x->wanted = x->mode != ENGINE_OFF;
	x->then = then;
	take_conf(s, m);
	if (x->wanted && x->state == ENGINE_STATE_RUNNING && !x->changed) {
		tell(s, 0, &none);
		return;
	}
	ev_timer_cancel(&s->ev, &x->timer);
	x->delay = 0;
	if (x->state == ENGINE_STATE_NONE || (x->state == ENGINE_STATE_FAILED && !x->seq.steps)) {
		if (x->wanted)
			start(s);
		else
			tell(s, 0, &none);
		return;
	}
	x->restart = x->wanted;
	stop(s);
}

void engine_abandon(struct super *s)
{
	struct inline_engine *x = of(s);
	x->then = NULL;
	x->wanted = x->restart = false;
	ev_timer_cancel(&s->ev, &x->timer);
	seq_cancel(s, &x->seq);
}

int engine_stop_step(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	(void)e;
	engine_abandon(s);
	x->error = (struct err){ 0 };
	if (x->state == ENGINE_STATE_NONE && !x->placed && !x->handler_pid)
		return SEQ_NEXT;
	x->stopping = q;
	stop(s);
	/* It may have been over at once, and the sequence is past this step then. */
	return SEQ_WAIT;
}

/* ---- what is reported -------------------------------------------------------------------- */

void engine_exited(struct super *s, const struct priv_exited *p)
{
	struct inline_engine *x = of(s);
	struct err e;
	if (p->pid != (p->vmm ? x->pid : x->handler_pid))
		return;
	if (p->vmm) {
		x->pid = 0;
		x->placed = false;
	} else {
		x->handler_pid = 0;
	}
	if (x->ending && p->vmm) {
		x->ending = false;
		seq_resume(s, &x->seq, 0, NULL);
		return;
	}
	if (x->seq.steps == engine_stop_steps ||
	    (x->state != ENGINE_STATE_RUNNING && x->state != ENGINE_STATE_STARTING))
		return;
	if (x->since && s->ev.now - x->since > CALM)
		x->delay = 0;
	err_set(&e, -EPIPE, "%s ended (wait status %#x)", p->vmm ? "its process" : "its handler",
		(unsigned)p->wait_status);
	failed(s, &e);
}

void engine_reports(struct super *s, const struct inspect_state *v)
{
	struct inline_engine *x = of(s);
	char text[220];
	if (!MSG_TEXT(v->text) || !MSG_TEXT(v->version))
		return;
	text_safe(text, sizeof(text), v->text, strlen(v->text), false);
	uint64_t lost = x->seen.lost;
	x->seen = *v;
	text_safe(x->seen.version, sizeof(x->seen.version), v->version, strlen(v->version), false);
	if (v->lost > lost)
		log_warn("engine: %llu alerts were too many", (unsigned long long)(v->lost - lost));
	switch (v->event) {
	case INSPECT_EV_UP:
		x->up = true;
		if (x->waiting) {
			x->waiting = false;
			seq_resume(s, &x->seq, 0, NULL);
		}
		break;
	case INSPECT_EV_PROBLEM:
		log_warn("engine: %s", text);
		if (!x->said[0] || !x->up)
			snprintf(x->said, sizeof(x->said), "%.199s", text);
		super_event(s, NULL, "engine", "skep.engine.problem", NULL, "%.200s", text);
		break;
	default:
		break;
	}
}

static struct machine *owner(struct super *s, uint8_t family, const uint8_t addr[16])
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		for (uint32_t a = 0; m->used && a < m->hp.naddrs; a++)
			if (m->hp.addrs[a].family == family && !memcmp(m->hp.addrs[a].b, addr, family == 4 ? 4 : 16))
				return m;
	}
	return NULL;
}

void engine_alerted(struct super *s, const struct gw_alert *a)
{
	if ((a->family != 4 && a->family != 6) || !MSG_TEXT(a->text) || !MSG_TEXT(a->category))
		return;
	of(s)->alerts++;
	ask(s, &s->gateway, MSG_GW_ALERT, a, sizeof(*a), NULL, 0, 0, NULL, NULL);
	struct machine *m = owner(s, a->family, a->saddr);
	if (!m)
		m = owner(s, a->family, a->daddr);
	const struct trigger_cause c = { .alert = a->signature, .text = a->text };
	if (m)
		trigger_hit(s, m, TRIGGER_ALERT, &c);
}

/* ---- figures ------------------------------------------------------------------------------- */

struct figures {
	struct reply_to to;
	struct rep_engine r;
};

static void on_stats(struct super *s, void *arg, struct answer *a)
{
	struct figures *f = arg;
	if (a->more) {
		const struct gw_port_stats *g = MSG_BODY_AS(a->m, gw_port_stats);
		if (a->m->type != MSG_GW_PORT_STATS)
			return;
		if (g->port == PORT_ENGINE(0) || g->port == PORT_ENGINE(1)) {
			f->r.frames_in += g->frames_out;
			f->r.frames_back += g->forwarded;
		} else {
			f->r.dropped += g->by_reason[REASON_ENGINE_DROP];
		}
		return;
	}
	ctl_send(s, &f->to, MSG_REP_ENGINE, &f->r, sizeof(f->r), NULL, 0);
	ctl_end(s, &f->to, 0, "%s", "");
	free(f);
}

void engine_request(struct super *s, const struct reply_to *to)
{
	const struct inline_engine *x = of(s);
	struct msg_empty none = { 0 };
	struct figures *f = calloc(1, sizeof(*f));
	if (!f) {
		ctl_end(s, to, -ENOMEM, "out of memory");
		return;
	}
	f->to = *to;
	f->r = (struct rep_engine){ .state = x->state, .pid = x->pid, .starts = x->starts, .alerts = x->alerts };
	f->r.loaded = x->seen.loaded;
	f->r.failed = x->seen.failed;
	f->r.mode = x->mode;
	f->r.kind = x->conf.kind;
	f->r.jail = x->jail;
	snprintf(f->r.version, sizeof(f->r.version), "%.63s", x->seen.version);
	snprintf(f->r.why, sizeof(f->r.why), "%.159s", x->why);
	if (ask(s, &s->gateway, MSG_GW_STATS, &none, sizeof(none), NULL, 0, 5000, on_stats, f) < 0) {
		ctl_send(s, to, MSG_REP_ENGINE, &f->r, sizeof(f->r), NULL, 0);
		ctl_end(s, to, 0, "%s", "");
		free(f);
	}
}

void engine_rings_again(struct super *s)
{
	struct inline_engine *x = of(s);
	for (unsigned i = 0; i < 2; i++) {
		struct ev_ring r;
		if (!x->ring[i])
			continue;
		engine_ring_body(s, i, &r);
		ask(s, &s->evidence, MSG_EV_RING, &r, sizeof(r), (int[]){ x->ring_fd[i], x->wake_fd[i] }, 2, 0, NULL,
		    NULL);
	}
}

void engine_rings_stop(struct super *s, void (*stop_one)(int fd, int code), int code)
{
	for (unsigned i = 0; i < 2; i++)
		stop_one(of(s)->ring_fd[i], code);
}
