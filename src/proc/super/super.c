/* SPDX-License-Identifier: ISC */
/*
 * super: the unprivileged hub of one honeynet.
 *
 * Theory of operation. One event loop. Sources are: priv (the answers to its
 * verbs, and the deaths of processes), gateway, evidence, one handler for each
 * honeypot, and the operators' control socket. Every request has an id; what
 * waits for its answer is a step of some sequence (seq.c), so that no code here
 * ever blocks. The lives are: starting -> running -> down, with a detour
 * (reviving) when gateway or evidence died and the operator runs `up` again.
 *
 * When evidence dies, super marks all rings as stopped: the gateway drops
 * everything from then on (capture over connectivity). When the gateway dies,
 * nothing has to be done: only it held the ports.
 *
 * System calls after isolation: sendmsg recvmsg accept4 getsockopt socketpair
 * memfd_create fcntl(F_ADD_SEALS, F_GET_SEALS) pwrite pread ftruncate fstat
 * lseek mmap munmap eventfd2 epoll_* clock_gettime close write brk.
 */
#include "proc/super/super.h"

#include "base/log.h"
#include "base/text.h"
#include "proc/super/hub.h"
#include "proc/super/engine.h"
#include "proc/super/introspect.h"
#include "proc/super/sink.h"
#include "proc/super/trigger.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The kernel hands these over, priv's order: proto/role.h. */
#define FD_LISTEN ROLE_FD_FIRST

struct machine *machine_find(struct super *s, const char *name)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (s->machines[i].used && !strcmp(s->machines[i].hp.name, name))
			return &s->machines[i];
	return NULL;
}

struct netslot *net_find(struct super *s, const char *name)
{
	for (unsigned i = 0; i < MODEL_NETS; i++)
		if (s->nets[i].used && !strcmp(s->nets[i].net.name, name))
			return &s->nets[i];
	return NULL;
}

bool super_alive(const struct super *s)
{
	return s->gateway_pid > 0 && s->evidence_pid > 0 && s->evidence_state == 0;
}

void super_event(struct super *s, const struct reply_to *to, const char *type, const char *eventid,
		 const char *honeypot, const char *fmt, ...)
{
	struct ev_event x = { .time = ev_realtime() };
	va_list ap;
	if (to && to->client) {
		x.request = to->req;
		x.uid = to->uid;
	}
	snprintf(x.type, sizeof(x.type), "%s", type);
	snprintf(x.eventid, sizeof(x.eventid), "%s", eventid);
	snprintf(x.honeypot, sizeof(x.honeypot), "%s", honeypot ? honeypot : "");
	va_start(ap, fmt);
	vsnprintf(x.message, sizeof(x.message), fmt, ap);
	va_end(ap);
	log_info("%s %s%s%s", eventid, x.honeypot, x.honeypot[0] ? ": " : "", x.message);
	int r = msg_send(&s->evidence, MSG_EV_EVENT, 0, &x, sizeof(x), NULL, 0);
	if (r < 0)
		log_warn("evidence did not take event %s: %s", eventid, strerror(-r));
}

/* ---- what the other processes say --------------------------------------- */

static struct machine *by_slot(struct super *s, uint32_t slot)
{
	return slot < MODEL_HONEYPOTS && s->machines[slot].used ? &s->machines[slot] : NULL;
}

static void evidence_down(struct super *s, int code, const char *text)
{
	if (s->evidence_state)
		return;
	s->evidence_state = code;
	snprintf(s->evidence_text, sizeof(s->evidence_text), "%s", text);
	rings_stop(s, code);
	log_error("evidence stopped: %s; nothing passes the gateway until `skep up`", text);
}

static void role_exited(struct super *s, const struct priv_exited *x)
{
	bool ending = s->life == LIFE_DOWN || s->life == LIFE_REVIVING;
	if (x->role == ROLE_GATEWAY) {
		s->gateway_pid = 0;
		ev_del(&s->ev, &s->gateway_src);
		chan_close(&s->gateway);
		ask_fail(s, &s->gateway, "the gateway is gone");
		if (!ending)
			super_event(s, NULL, "machine", "skep.gateway.exited", NULL,
				    "the gateway ended (wait status %#x): honeypots have no network until `skep up`",
				    (unsigned)x->wait_status);
	} else if (x->role == ROLE_EVIDENCE) {
		s->evidence_pid = 0;
		ev_del(&s->ev, &s->evidence_src);
		chan_close(&s->evidence);
		ask_fail(s, &s->evidence, "evidence is gone");
		if (!ending)
			evidence_down(s, -EPIPE, "its process ended");
	}
	if (s->seq.steps && ending)
		seq_resume(s, &s->seq, 0, NULL);
}

static void on_priv_exited(struct super *s, const struct priv_exited *x)
{
	struct machine *m = by_slot(s, x->slot);
	if (x->role == ROLE_INSPECT) {
		engine_exited(s, x);
		return;
	}
	if (x->role == ROLE_INTROSPECT) {
		if (m && x->pid == m->watch.pid)
			machine_introspect_exited(s, m, x->wait_status);
		return;
	}
	if (x->role == ROLE_SINKHOLE) {
		sink_exited(s, x);
		return;
	}
	if (x->role != ROLE_VMM) {
		role_exited(s, x);
		return;
	}
	/* Not the death of an earlier process of this slot. */
	if (m && x->pid == (x->vmm ? m->vmm_pid : m->handler_pid))
		machine_exited(s, m, x->vmm != 0, x->wait_status);
}

static void on_vmm_state(struct super *s, struct chan *c, const struct vmm_state *v)
{
	struct machine *m = NULL;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (&s->machines[i].handler == c)
			m = &s->machines[i];
	if (!m || !MSG_TEXT(v->text))
		return;
	char text[320];
	text_safe(text, sizeof(text), v->text, strlen(v->text), false);
	switch (v->event) {
	case VMM_CONTROL_UP:
		machine_control_up(s, m);
		break;
	case VMM_PANIC:
		super_event(s, NULL, "machine", "skep.machine.panic", m->hp.name, "kernel panic: %.200s", text);
		snprintf(m->detail, sizeof(m->detail), "kernel panic: %.140s", text);
		break;
	case VMM_HALTED:
		super_event(s, NULL, "machine", "skep.machine.halted", m->hp.name, "%.200s", text);
		break;
	default:
		break;
	}
}

static void on_message(struct super *s, struct chan *c, struct msg *m)
{
	switch (m->type) {
	case MSG_PRIV_EXITED:
		on_priv_exited(s, MSG_BODY_AS(m, priv_exited));
		break;
	case MSG_GW_SEEN: {
		struct machine *x = by_slot(s, MSG_BODY_AS(m, gw_seen)->port);
		if (x)
			machine_seen(s, x);
		break;
	}
	case MSG_GW_HIT:
		trigger_gateway(s, MSG_BODY_AS(m, gw_hit));
		break;
	case MSG_GW_PORT_DOWN:
		break; /* priv tells of the VMM's death; this is only its shadow */
	case MSG_EV_STATE: {
		const struct ev_state *x = MSG_BODY_AS(m, ev_state);
		if (x->status < 0 && MSG_TEXT(x->text))
			evidence_down(s, x->status, x->text);
		else if (MSG_TEXT(x->text)) /* one port's ring only */
			log_error("evidence: %s", x->text);
		break;
	}
	case MSG_VMM_STATE:
		on_vmm_state(s, c, MSG_BODY_AS(m, vmm_state));
		break;
	case MSG_INTRO_HIT: {
		struct machine *x = introspect_of(s, c);
		if (x && x->used)
			trigger_introspect(s, x, MSG_BODY_AS(m, intro_hit));
		break;
	}
	case MSG_INSPECT_STATE:
		engine_reports(s, MSG_BODY_AS(m, inspect_state));
		break;
	case MSG_INSPECT_ALERT:
		engine_alerted(s, MSG_BODY_AS(m, gw_alert));
		break;
	case MSG_INTRO_STATE: {
		struct machine *x = introspect_of(s, c);
		if (x)
			introspect_state(s, x, MSG_BODY_AS(m, intro_state));
		break;
	}
	default:
		ask_answer(s, c, m);
	}
}

static void role_broke(struct super *s, struct chan *c, const struct err *e)
{
	/* That it ended is told by priv, with its wait status. */
	if (e->code != -EPIPE)
		log_error("%s: %s", role_name(c->peer), e->text);
	if (c == &s->priv) {
		/* Without priv there is nothing to be super of. */
		s->status = 1;
		s->ev.quit = true;
		return;
	}
	/* priv reports its death, or it is killed for breaking the protocol. */
	struct priv_kill k = { .what = c->peer };
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (c == &s->machines[i].handler || c == &s->machines[i].watch.chan)
			k.slot = i;
	struct ev_source *sink = sink_source_of(s, c, &k.slot);
	struct ev_source *src = sink                         ? sink
				: c == &s->gateway           ? &s->gateway_src
				: c == &s->evidence          ? &s->evidence_src
				: c->peer == ROLE_INTROSPECT ? &s->machines[k.slot].watch.src
							     : &s->machines[k.slot].handler_src;
	ev_del(&s->ev, src);
	if (e->code != -EPIPE)
		ask(s, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, NULL, NULL);
}

static struct super *the_hub; /* ev's callbacks get the channel */

static void on_role(void *arg, uint32_t events, uint64_t now)
{
	static struct msg m;
	struct super *s = the_hub;
	struct chan *c = arg;
	struct err e;
	(void)events, (void)now;
	/* A bounded number for each turn, so that none starves the others. */
	for (int i = 0; i < 32 && c->fd >= 0; i++) {
		int r = msg_recv(c, &m, &e);
		if (r == 0)
			return;
		if (r < 0) {
			role_broke(s, c, &e);
			return;
		}
		on_message(s, c, &m);
		msg_close_fds(&m);
	}
}

void super_watch_role(struct super *s, struct chan *c, struct ev_source *src)
{
	ev_add(&s->ev, src, c->fd, EPOLLIN, on_role, c);
}

int super_record_source(struct super *s, struct seq *q, struct chan *c, struct ev_source *src,
			const struct ev_source_add *x, int *far_fd, int *record_fd, struct err *e)
{
	int chan[2], rec[2];
	int r = msg_pair(chan, e);
	if (r < 0)
		return r;
	r = msg_pair(rec, e);
	if (r < 0) {
		close(chan[0]);
		close(chan[1]);
		return r;
	}
	c->fd = chan[0];
	*far_fd = chan[1];
	*record_fd = rec[1];
	super_watch_role(s, c, src);
	r = seq_ask(s, q, &s->evidence, MSG_EV_SOURCE, x, sizeof(*x), rec, 1, 0, e);
	close(rec[0]);
	return r;
}

/* ---- spawning evidence and gateway -------------------------------------- */

static int spawn(struct super *s, struct seq *q, enum role role, struct chan *c, struct ev_source *src, struct err *e)
{
	int pair[2];
	int r = msg_pair(pair, e);
	if (r < 0)
		return r;
	*c = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = role, .state = STATE_ANY };
	super_watch_role(s, c, src);
	struct priv_spawn x = { .role = role };
	r = seq_ask(s, q, &s->priv, MSG_PRIV_SPAWN, &x, sizeof(x), &pair[1], 1, 0, e);
	close(pair[1]);
	return r;
}

static int evidence_spawn(struct super *s, struct seq *q, struct err *e)
{
	if (s->evidence_pid)
		return SEQ_NEXT;
	s->evidence_state = 0;
	return spawn(s, q, ROLE_EVIDENCE, &s->evidence, &s->evidence_src, e);
}

static int evidence_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)q, (void)e;
	s->evidence_pid = MSG_BODY_AS(a->m, priv_done)->pid;
	s->saving = true;
	return 0;
}

static int evidence_conf(struct super *s, struct seq *q, struct err *e)
{
	struct ev_conf c = { .conf = s->model.magic ? s->model.evidence : s->apply.wanted.evidence };
	memcpy(c.honeynet, s->name, sizeof(c.honeynet));
	snprintf(c.version, sizeof(c.version), "%s", SKEP_VERSION);
	return seq_ask(s, q, &s->evidence, MSG_EV_CONF, &c, sizeof(c), NULL, 0, 0, e);
}

static int gateway_spawn(struct super *s, struct seq *q, struct err *e)
{
	if (s->gateway_pid)
		return SEQ_NEXT;
	return spawn(s, q, ROLE_GATEWAY, &s->gateway, &s->gateway_src, e);
}

static int gateway_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)q, (void)e;
	s->gateway_pid = MSG_BODY_AS(a->m, priv_done)->pid;
	return 0;
}

static int priv_run(struct super *s, struct seq *q, struct err *e)
{
	struct msg_empty x = { 0 };
	return seq_ask(s, q, &s->priv, MSG_PRIV_RUN, &x, sizeof(x), NULL, 0, 0, e);
}

static const struct seq_step start_steps[] = {
	{ "start evidence", evidence_spawn, evidence_spawned, false },
	{ "configure evidence", evidence_conf, NULL, false },
	{ "start the gateway", gateway_spawn, gateway_spawned, false },
	{ "finish the start", priv_run, NULL, false },
	{ 0 },
};

static void started(struct super *s, struct seq *q, int status, const struct err *e)
{
	(void)q;
	if (status < 0) {
		log_error("%s", e->text);
		s->status = 1;
		s->ev.quit = true;
		return;
	}
	s->life = LIFE_RUNNING;
	/* Operators wait in the socket's queue until now: a command during the
	 * start would meet half a hub. */
	status = ctl_listen(s, FD_LISTEN);
	if (status < 0) {
		log_error("cannot listen for commands: %s", strerror(-status));
		s->status = 1;
		s->ev.quit = true;
		return;
	}
	super_event(s, NULL, "operator", "skep.start", NULL, "skep %s, %s", SKEP_VERSION, s->mode);
}

/* ---- reviving ----------------------------------------------------------- */

/* A new evidence process drains what the dead one left in the rings. */
static void rings_again(struct super *s)
{
	engine_rings_again(s);
	for (unsigned i = 0; i < MODEL_HONEYPOTS + MODEL_NETS; i++) {
		struct machine *m = i < MODEL_HONEYPOTS ? &s->machines[i] : NULL;
		struct netslot *n = m ? NULL : &s->nets[i - MODEL_HONEYPOTS];
		if (m ? !m->used || !m->ring : !n->used || !n->ring)
			continue;
#ifdef MUTANT_SUPER_DROPS_RINGS
		continue;
#endif
		struct ev_ring x = { .port = (uint16_t)i, .uplink = m == NULL };
		snprintf(x.name, sizeof(x.name), "%s%.24s", m ? "" : "uplink-", m ? m->hp.name : n->net.name);
		if (m) {
			memcpy(x.mac, m->hp.mac, sizeof(x.mac));
			x.naddrs = m->hp.naddrs;
			memcpy(x.addrs, m->hp.addrs, sizeof(x.addrs));
		}
		memcpy(x.network, (m ? &s->nets[m->net] : n)->net.name, sizeof(x.network));
		int fds[2] = { m ? m->ring_fd : n->ring_fd, m ? m->wake_fd : n->wake_fd };
		ask(s, &s->evidence, MSG_EV_RING, &x, sizeof(x), fds, 2, 0, NULL, NULL);
	}
	sinks_rings_again(s);
}

static int role_kill(struct super *s, struct seq *q, enum role role, int pid, struct err *e)
{
	struct priv_kill k = { .what = role };
	(void)q;
	if (!pid)
		return SEQ_NEXT;
	int r = ask(s, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, NULL, NULL);
	/* Its death moves the sequence on (role_exited). */
	return r < 0 ? err_set(e, r, "priv does not answer") : SEQ_WAIT;
}

static int revive_kill_evidence(struct super *s, struct seq *q, struct err *e)
{
	return s->evidence_state ? role_kill(s, q, ROLE_EVIDENCE, s->evidence_pid, e) : SEQ_NEXT;
}

static int revive_rings(struct super *s, struct seq *q, struct err *e)
{
	(void)q, (void)e;
	rings_again(s);
	return SEQ_NEXT;
}

static void torn_down(struct super *s, int status, const struct err *e)
{
	seq_resume(s, &s->seq, status, e);
}

static int revive_teardown(struct super *s, struct seq *q, struct err *e)
{
	(void)q, (void)e;
	/* The wanted model and whom to answer stay in s->apply. */
	apply_teardown(s, true, torn_down);
	return s->apply.state == APPLY_IDLE ? SEQ_NEXT : SEQ_WAIT;
}

static const struct seq_step revive_steps[] = {
	{ "end the old evidence process", revive_kill_evidence, NULL, false },
	{ "start evidence", evidence_spawn, evidence_spawned, false },
	{ "configure evidence", evidence_conf, NULL, false },
	{ "save what was in the rings", revive_rings, NULL, false },
	{ "stop the machines", revive_teardown, NULL, false },
	{ "end the inline engine", engine_stop_step, NULL, true },
	{ "start the gateway", gateway_spawn, gateway_spawned, false },
	{ "keep it frozen", freeze_honeynet_step, NULL, false },
	{ 0 },
};

static void revived(struct super *s, struct seq *q, int status, const struct err *e)
{
	(void)q;
	s->life = LIFE_RUNNING;
	if (status < 0) {
		ctl_end(s, &s->apply.to, status, "%s", e->text);
		return;
	}
	super_event(s, &s->apply.to, "operator", "skep.revived", NULL, "gateway and evidence work again");
	apply_begin(s);
}

void super_revive(struct super *s)
{
	s->life = LIFE_REVIVING;
	ctl_progress(s, &s->apply.to, 0, 0, "gateway or evidence was down: starting them again");
	seq_start(s, &s->seq, revive_steps, s, revived);
}

/* ---- going down --------------------------------------------------------- */

static int down_teardown(struct super *s, struct seq *q, struct err *e)
{
	(void)q, (void)e;
	apply_teardown(s, s->down_force, torn_down);
	return s->apply.state == APPLY_IDLE ? SEQ_NEXT : SEQ_WAIT;
}

static int down_gateway(struct super *s, struct seq *q, struct err *e)
{
	struct msg_empty x = { 0 };
	if (!s->gateway_pid)
		return SEQ_NEXT;
	return seq_ask(s, q, &s->gateway, MSG_GW_QUIT, &x, sizeof(x), NULL, 0, 10000, e);
}

static int down_evidence(struct super *s, struct seq *q, struct err *e)
{
	struct msg_empty x = { 0 };
	if (!s->evidence_pid)
		return SEQ_NEXT;
	super_event(s, &s->down_to, "operator", "skep.down.done", NULL, "down");
	return seq_ask(s, q, &s->evidence, MSG_EV_QUIT, &x, sizeof(x), NULL, 0, 60000, e);
}

static int down_priv(struct super *s, struct seq *q, struct err *e)
{
	struct msg_empty x = { 0 };
	ctl_end(s, &s->down_to, 0, "%s is down; its evidence stays in %s", s->name, s->evidence_dir);
	return seq_ask(s, q, &s->priv, MSG_PRIV_QUIT, &x, sizeof(x), NULL, 0, 5000, e);
}

/* A dead evidence process has left frames in the rings, and they have passed the
 * gateway: a new one takes them before the rings go. */
static int down_save(struct super *s, struct seq *q, struct err *e)
{
	return s->evidence_pid ? SEQ_NEXT : evidence_spawn(s, q, e);
}

static int down_save_conf(struct super *s, struct seq *q, struct err *e)
{
	if (s->evidence_state || !s->evidence_pid || !s->saving)
		return SEQ_NEXT;
	return evidence_conf(s, q, e);
}

static int down_save_rings(struct super *s, struct seq *q, struct err *e)
{
	(void)q, (void)e;
	if (s->saving)
		rings_again(s);
	return SEQ_NEXT;
}

static const struct seq_step down_steps[] = {
	{ "start evidence for what is in the rings", down_save, evidence_spawned, true },
	{ "configure evidence", down_save_conf, NULL, true },
	{ "save what is in the rings", down_save_rings, NULL, true },
	{ "stop the machines", down_teardown, NULL, true },
	{ "end the inline engine", engine_stop_step, NULL, true },
	{ "end the gateway", down_gateway, NULL, true },
	{ "end evidence", down_evidence, NULL, true },
	{ "end priv", down_priv, NULL, true },
	{ 0 },
};

static void ended(struct super *s, struct seq *q, int status, const struct err *e)
{
	(void)q, (void)status, (void)e;
	s->ev.quit = true;
}

void super_down(struct super *s, const struct reply_to *to, bool force)
{
	if (s->life == LIFE_DOWN) {
		/* The first who asks is the one who is told when it is over. */
		if (!s->down_to.client)
			s->down_to = *to;
		else if (to->client)
			ctl_end(s, to, -EALREADY, "%s is going down already", s->name);
		return;
	}
	s->life = LIFE_DOWN;
	s->saving = false;
	s->down_to = *to;
	s->down_force = force;
	policy_cancel(s);
	apply_cancel(s, "down was asked for");
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (s->machines[i].used && s->machines[i].state == MACHINE_STARTING)
			s->down_force = true;
	seq_cancel(s, &s->seq);
	seq_start(s, &s->seq, down_steps, s, ended);
}

/* ---- main --------------------------------------------------------------- */

static void on_tick(void *arg, uint64_t now)
{
	struct super *s = arg;
	ask_tick(s, now);
	introspect_tick(s, now);
	trigger_tick(s, now);
	notify_tick(s);
	ev_timer_set(&s->ev, &s->asks.tick, now + 500 * EV_MS, on_tick, s);
}

static int init(struct super *s, int argc, char **argv)
{
	if (argc != 5 || !text_copy(s->name, sizeof(s->name), argv[1]) ||
	    !text_copy(s->evidence_dir, sizeof(s->evidence_dir), argv[2]) ||
	    !text_copy(s->mode, sizeof(s->mode), argv[3]))
		return -EINVAL;
	s->operator_uid = (uid_t)strtoul(argv[4], NULL, 10);
	s->started = ev_realtime();
	s->priv_pid = (int)getppid();
	s->own_pid = (int)getpid();
	s->priv = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_SUPER, .peer = ROLE_PRIV, .state = STATE_ANY };
	engine_slot_init(s);
	s->gateway.fd = s->evidence.fd = s->plan_fd = s->notify.chan.fd = -1;
	s->policies = &s->model;
	sinks_init(s);
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		machine_init(s, &s->machines[i]);
	for (unsigned i = 0; i < MODEL_NETS; i++)
		s->nets[i].ring_fd = s->nets[i].wake_fd = s->nets[i].port_fd = -1;
	return ev_init(&s->ev, NULL);
}

int super_main(int argc, char **argv)
{
	static struct super hub; /* about half a megabyte */
	struct super *s = &hub;
	struct err e;
	struct isolate_opts opts = { .dirfd = -1 };
	log_init("super", LOG_L_INFO);
	the_hub = s;
	int r = init(s, argc, argv);
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return 1;
	}
	r = isolate_role(ROLE_SUPER, &opts, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	super_watch_role(s, &s->priv, &s->priv_src);
	on_tick(s, s->ev.now);
	seq_start(s, &s->seq, start_steps, s, started);
	r = ev_run(&s->ev);
	return r < 0 ? 1 : s->status;
}
