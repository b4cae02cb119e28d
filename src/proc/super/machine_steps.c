/* SPDX-License-Identifier: ISC */
/*
 * The steps of a honeypot's jobs; read the tables at the end first. Order
 * matters for containment: ring before port (nothing passes unrecorded), port
 *, freeze and policy before the VMM (nothing passes unjudged), VMM gone before its port.
 */
#include "proc/super/machine_steps.h"

#include "base/log.h"
#include "proc/super/introspect.h"
#include "proto/intro.h"
#include "proto/ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* ---- port and ring ------------------------------------------------------ */

static int port_del(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	drop(&m->frame_fd);
	if (!m->port)
		return SEQ_NEXT;
	m->port = false;
	struct gw_port_del d = { .port = (uint16_t)machine_slot(s, m) };
	return seq_ask(s, q, &s->gateway, MSG_GW_PORT_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

static int ring_del(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	drop(&m->ring_fd);
	drop(&m->wake_fd);
	if (!m->ring)
		return SEQ_NEXT;
	m->ring = false;
	struct ev_ring_del d = { .port = (uint16_t)machine_slot(s, m) };
	return seq_ask(s, q, &s->evidence, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

/* A port whose socket went to a VMM that ended cannot be used again. */
static int stale_port_del(struct super *s, struct seq *q, struct err *e)
{
	return of(q)->frame_fd >= 0 ? SEQ_NEXT : port_del(s, q, e);
}

static int stale_ring_del(struct super *s, struct seq *q, struct err *e)
{
	return of(q)->port ? SEQ_NEXT : ring_del(s, q, e);
}

static int ring_add(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	if (m->ring)
		return SEQ_NEXT;
	int r = port_make_ring(s, &m->ring_fd, &m->wake_fd, e);
	if (r < 0)
		return r;
	struct ev_ring x = { .port = (uint16_t)machine_slot(s, m),
			     .net = (uint16_t)m->net,
			     .kind = PORT_SEQPACKET,
			     .naddrs = m->hp.naddrs };
	memcpy(x.mac, m->hp.mac, sizeof(x.mac));
	memcpy(x.addrs, m->hp.addrs, sizeof(x.addrs));
	memcpy(x.name, m->hp.name, sizeof(x.name));
	memcpy(x.network, s->nets[m->net].net.name, sizeof(x.network));
	return seq_ask(s, q, &s->evidence, MSG_EV_RING, &x, sizeof(x), (int[]){ m->ring_fd, m->wake_fd }, 2, 0, e);
}

static int ring_added(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)a, (void)e;
	of(q)->ring = true;
	return 0;
}

static int port_add(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	int pair[2];
	if (m->port)
		return SEQ_NEXT;
	/* SEQPACKET, so that either end notices the other's death. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "cannot make a socket pair for frames");
	const struct network *net = &s->nets[m->net].net;
	struct gw_port x = { .port = (uint16_t)machine_slot(s, m),
			     .net = (uint16_t)m->net,
			     .kind = PORT_SEQPACKET,
			     .naddrs = m->hp.naddrs,
			     .routers = { net->router4, net->router6 } };
	memcpy(x.mac, m->hp.mac, sizeof(x.mac));
	memcpy(x.addrs, m->hp.addrs, sizeof(x.addrs));
	memcpy(x.name, m->hp.name, sizeof(x.name));
	int r =
	    seq_ask(s, q, &s->gateway, MSG_GW_PORT, &x, sizeof(x), (int[]){ pair[0], m->ring_fd, m->wake_fd }, 3, 0, e);
	/* From here on only the gateway holds its end. */
#ifndef MUTANT_SUPER_KEEPS_PORT
	close(pair[0]);
#endif
	if (r < 0)
		close(pair[1]);
	else
		m->frame_fd = pair[1];
	return r;
}

static int port_added(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)a, (void)e;
	of(q)->port = true;
	of(q)->seen = false;
	return 0;
}

/* A reset, a restart or a new gateway does not thaw. */
static int freeze(struct super *s, struct seq *q, struct err *e)
{
#ifdef MUTANT_FREEZE_FORGOTTEN
	return SEQ_NEXT;
#endif
	return freeze_machine_step(s, q, of(q), e);
}

static int policy(struct super *s, struct seq *q, struct err *e)
{
#ifdef MUTANT_SUPER_NO_POLICY
	return SEQ_NEXT;
#endif
	return policy_send(s, q, e);
}

/* ---- disk, handler ------------------------------------------------------ */

static int disk(struct super *s, struct seq *q, enum disk_op op, struct err *e)
{
	struct machine *m = of(q);
	struct priv_disk d = { .op = op, .slot = (uint32_t)machine_slot(s, m) };
	memcpy(d.honeypot, m->hp.name, sizeof(d.honeypot));
	memcpy(d.image, m->hp.image, sizeof(d.image));
	return seq_ask(s, q, &s->priv, MSG_PRIV_DISK, &d, sizeof(d), NULL, 0, 0, e);
}

static int disk_open(struct super *s, struct seq *q, struct err *e)
{
	return disk(s, q, DISK_CREATE, e);
}

static int disk_reset(struct super *s, struct seq *q, struct err *e)
{
	return disk(s, q, DISK_RESET, e);
}

static int disk_opened(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct machine *m = of(q);
	(void)s;
	m->overlay_fd = msg_take_fd(a->m, 0);
	m->base_fd = msg_take_fd(a->m, 1);
	if (m->overlay_fd < 0 || m->base_fd < 0)
		return err_set(e, -EPROTO, "priv sent no disk");
	return 0;
}

static int handler_spawn(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct ev_source_add x = { .slot = (uint32_t)machine_slot(s, m) };
	memcpy(x.honeypot, m->hp.name, sizeof(x.honeypot));
	return super_record_source(s, q, &m->handler, &m->handler_src, &x, &m->far_fd, &m->record_fd, e);
}

static int handler_exec(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct priv_spawn x = { .role = ROLE_VMM, .slot = (uint32_t)machine_slot(s, m) };
	int fds[2] = { m->far_fd, m->record_fd };
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_SPAWN, &x, sizeof(x), fds, 2, 0, e);
	m->handler_asked = r == SEQ_WAIT;
	drop(&m->far_fd);
	drop(&m->record_fd);
	return r;
}

static int handler_started(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)s, (void)e;
	of(q)->handler_pid = MSG_BODY_AS(a->m, priv_done)->pid;
	of(q)->handler_asked = false;
	return 0;
}

static int prepare(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	const struct network *net = &s->nets[m->net].net;
	struct vmm_prepare x = { .slot = (uint32_t)machine_slot(s, m),
				 .backend = m->hp.backend,
				 .memory = m->hp.memory,
				 .cpus = m->hp.cpus,
				 .boot_seconds = m->hp.boot_seconds,
				 .naddrs = m->hp.naddrs,
				 .routers = { net->router4, net->router6 } };
	memcpy(x.addrs, m->hp.addrs, sizeof(x.addrs));
	memcpy(x.mac, m->hp.mac, sizeof(x.mac));
	memcpy(x.honeynet, s->name, sizeof(x.honeynet));
	memcpy(x.honeypot, m->hp.name, sizeof(x.honeypot));
	memcpy(x.hostname, m->hp.hostname, sizeof(x.hostname));
	return seq_ask(s, q, &m->handler, MSG_VMM_PREPARE, &x, sizeof(x), (int[]){ m->overlay_fd, m->base_fd }, 2,
		       60000, e);
}

/* ---- the VMM ------------------------------------------------------------ */

static int vmm_spawn(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	int con[2], ctl[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, con) < 0)
		return err_sys(e, -errno, "cannot make a socket pair for the console");
	m->console_fd = con[0];
	m->vmm_console_fd = con[1];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ctl) < 0)
		return err_sys(e, -errno, "cannot make a socket pair for control");
	m->control_fd = ctl[0];
	m->vmm_control_fd = ctl[1];
	struct priv_vmm x = { .slot = (uint32_t)machine_slot(s, m),
			      .backend = m->hp.backend,
			      .memory = m->hp.memory,
			      .cpus = m->hp.cpus };
	memcpy(x.mac, m->hp.mac, sizeof(x.mac));
	memcpy(x.honeypot, m->hp.name, sizeof(x.honeypot));
	m->control_up = m->halting = false;
	const struct watch *w = &m->watch;
	int fds[] = { m->frame_fd, m->vmm_console_fd, m->vmm_control_fd, m->overlay_fd,
		      m->base_fd,  w->ring_fd,        w->plan_fd };
	bool hooks = w->wanted && w->way == INTRO_WAY_HOOKS && w->ring_fd >= 0 && w->plan_fd >= 0;
	int n = hooks ? 7 : 5;
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_VMM, &x, sizeof(x), fds, n, 0, e);
	m->vmm_asked = r == SEQ_WAIT;
	/* The VMM holds the far ends now, and nobody else. */
	drop(&m->frame_fd);
	drop(&m->vmm_console_fd);
	drop(&m->vmm_control_fd);
	drop(&m->overlay_fd);
	drop(&m->base_fd);
	return r;
}

static int vmm_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct machine *m = of(q);
	const struct priv_done *d = MSG_BODY_AS(a->m, priv_done);
	m->vmm_pid = d->pid;
	m->vmm_asked = false;
	m->jail = d->jail;
	if (m->watch.wanted && m->watch.way == INTRO_WAY_PROBES && !d->kind) {
		struct err why;
		err_set(&why, -ENOTSUP, "the probes could not be attached to its kernel: see the log");
		introspect_failed(s, q, &why);
	}
	m->pid_fd = msg_take_fd(a->m, 0);
	if (m->pid_fd < 0)
		return err_set(e, -EPROTO, "priv sent no pidfd");
	return 0;
}

static int vmm_begin(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct vmm_start x = { 0 };
	int fds[] = { m->console_fd, m->control_fd, m->pid_fd };
	int r = seq_ask(s, q, &m->handler, MSG_VMM_START, &x, sizeof(x), fds, 3, 0, e);
	drop(&m->console_fd);
	drop(&m->control_fd);
	drop(&m->pid_fd);
	return r;
}

static void boot_timeout(void *arg, uint64_t now)
{
	struct machine *m = arg;
	struct err e;
	(void)now;
	if (m->control_up) {
		/* The kernel runs, but no frame came: an image with its network
		 * off is no failure. */
		seq_resume(m->hub, &m->seq, 0, NULL);
		return;
	}
	err_set(&e, -ETIMEDOUT, "its kernel did not answer within %u s", m->hp.boot_seconds);
	seq_resume(m->hub, &m->seq, -ETIMEDOUT, &e);
}

static int boot_wait(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	(void)e;
	if (m->control_up && m->seen)
		return SEQ_NEXT;
	ev_timer_set(&s->ev, &m->watchdog, s->ev.now + m->hp.boot_seconds * EV_SEC, boot_timeout, m);
	return SEQ_WAIT;
}

/* ---- stopping ----------------------------------------------------------- */

static int op(struct super *s, struct seq *q, enum vmm_op_kind kind, unsigned ms, struct err *e)
{
	struct vmm_op x = { .op = kind };
	return seq_ask(s, q, &of(q)->handler, MSG_VMM_OP, &x, sizeof(x), NULL, 0, ms, e);
}

static int halt(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	if (m->force || !m->vmm_pid || m->handler.fd < 0)
		return SEQ_NEXT;
	m->halting = true;
	return op(s, q, VMM_OP_HALT, 15000, e);
}

static void exit_timeout(void *arg, uint64_t now)
{
	struct machine *m = arg;
	(void)now;
	m->awaiting_exit = false;
	seq_resume(m->hub, &m->seq, 0, NULL);
}

static int await_exit(struct super *s, struct seq *q, unsigned seconds)
{
	struct machine *m = of(q);
	m->awaiting_exit = true;
	ev_timer_set(&s->ev, &m->watchdog, s->ev.now + seconds * EV_SEC, exit_timeout, m);
	return SEQ_WAIT;
}

static int halt_wait(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	(void)e;
	return m->vmm_pid && m->halting && !m->force ? await_exit(s, q, 5) : SEQ_NEXT;
}

static int kill_role(struct super *s, struct seq *q, bool vmm, struct err *e)
{
	struct priv_kill k = { .what = ROLE_VMM, .slot = (uint32_t)machine_slot(s, of(q)), .vmm = vmm };
	return seq_ask(s, q, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, e);
}

static int vmm_kill(struct super *s, struct seq *q, struct err *e)
{
	of(q)->awaiting_exit = false;
	ev_timer_cancel(&s->ev, &of(q)->watchdog);
	return of(q)->vmm_pid || of(q)->vmm_asked ? kill_role(s, q, true, e) : SEQ_NEXT;
}

static int vmm_wait(struct super *s, struct seq *q, struct err *e)
{
	(void)e;
	return of(q)->vmm_pid ? await_exit(s, q, 5) : SEQ_NEXT;
}

static int handler_quit(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	struct msg_empty x = { 0 };
	m->awaiting_exit = false;
	ev_timer_cancel(&s->ev, &m->watchdog);
	if (m->handler.fd < 0 || !m->handler_pid)
		return SEQ_NEXT;
	return seq_ask(s, q, &m->handler, MSG_VMM_QUIT, &x, sizeof(x), NULL, 0, 5000, e);
}

static int handler_wait(struct super *s, struct seq *q, struct err *e)
{
	(void)e;
	return of(q)->handler_pid ? await_exit(s, q, 3) : SEQ_NEXT;
}

static int handler_kill(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	m->awaiting_exit = false;
	ev_timer_cancel(&s->ev, &m->watchdog);
	return m->handler_pid || m->handler_asked ? kill_role(s, q, false, e) : SEQ_NEXT;
}

static int introspect_wait(struct super *s, struct seq *q, struct err *e)
{
	(void)e;
	return of(q)->watch.pid ? await_exit(s, q, 3) : SEQ_NEXT;
}

static int tidy(struct super *s, struct seq *q, struct err *e)
{
	struct machine *m = of(q);
	(void)e;
	m->awaiting_exit = m->vmm_asked = m->handler_asked = false;
	ev_timer_cancel(&s->ev, &m->watchdog);
	if (m->held)
		hold_tell(s, m, false);
	machine_drop_handler(s, m);
	machine_drop_transit(m);
	introspect_tidy(s, m);
	return SEQ_NEXT;
}

/* ---- pause -------------------------------------------------------------- */

static int hold(struct super *s, struct seq *q, struct err *e)
{
	return hold_step(s, q, of(q), true, e);
}

static int unhold(struct super *s, struct seq *q, struct err *e)
{
	return of(q)->held ? hold_step(s, q, of(q), false, e) : SEQ_NEXT;
}

static void no_hold(struct super *s, struct seq *q, const struct err *e)
{
	hold_failed(s, of(q), e);
}

static int pause_op(struct super *s, struct seq *q, struct err *e)
{
	return op(s, q, VMM_OP_PAUSE, 10000, e);
}

static int resume_op(struct super *s, struct seq *q, struct err *e)
{
	return op(s, q, VMM_OP_RESUME, 10000, e);
}

/* ---- the tables --------------------------------------------------------- */

/* clang-format off */
#define PORT_STEPS                                                        \
	{ "drop its old port", stale_port_del, NULL, true },              \
	{ "drop its old ring", stale_ring_del, NULL, true },              \
	{ "give evidence its ring", ring_add, ring_added, false },        \
	{ "give the gateway its port", port_add, port_added, false },     \
	{ "keep it frozen or thawed", freeze, NULL, false },              \
	{ "set its policy", policy, NULL, false }
#define START_STEPS                                                       \
	PORT_STEPS,                                                       \
	{ "open its disk", disk_open, disk_opened, false },               \
	{ "make its record source", handler_spawn, NULL, false },         \
	{ "start its handler", handler_exec, handler_started, false },    \
	{ "prepare its disk", prepare, NULL, false },                     \
	INTROSPECT_DECIDE,                                                \
	INTROSPECT_BEFORE,                                                \
	{ "start its VMM", vmm_spawn, vmm_spawned, false },               \
	INTROSPECT_AFTER,                                                 \
	{ "hand over its console", vmm_begin, NULL, false },              \
	{ "boot it", boot_wait, NULL, false }
#define STOP_STEPS                                                        \
	{ "halt it", halt, NULL, true },                                  \
	{ "wait for its halt", halt_wait, NULL, true },                   \
	{ "kill its VMM", vmm_kill, NULL, true },                         \
	{ "wait for its VMM's end", vmm_wait, NULL, true },               \
	/* Its guest can write no more: what the ring holds is all. */    \
	{ "end its introspection", introspect_quit, NULL, true },         \
	{ "wait for its introspection's end", introspect_wait, NULL, true }, \
	{ "kill its introspection", introspect_kill, NULL, true },        \
	{ "wait for its introspection's death", introspect_wait, NULL, true }, \
	{ "end its handler", handler_quit, NULL, true },                  \
	{ "wait for its handler's end", handler_wait, NULL, true },       \
	{ "kill its handler", handler_kill, NULL, true },                 \
	{ "wait for its handler's death", handler_wait, NULL, true },     \
	{ "tidy up", tidy, NULL, true }
enum { START_N = 20, STOP_N = 13, BOOT_N = 4 };

const struct seq_step machine_port_steps[] = { PORT_STEPS, { 0 } };
const struct seq_step machine_port_close_steps[] = {
	{ "drop its port", port_del, NULL, true },
	{ "drop its ring", ring_del, NULL, true },
	{ 0 }
};
const struct seq_step machine_start_steps[] = { START_STEPS, { 0 } };
const struct seq_step machine_stop_steps[] = { STOP_STEPS, { 0 } };
const struct seq_step machine_reset_steps[] = { STOP_STEPS, { "reset its disk", disk_reset, NULL, false }, START_STEPS, { 0 } };
const struct seq_step machine_pause_steps[] = {
	{ "pause it", pause_op, NULL, false },
	{ "keep its connections alive", hold, NULL, true, no_hold },
	{ 0 }
};
const struct seq_step machine_resume_steps[] = {
	{ "give it its connections back", unhold, NULL, true, no_hold },
	{ "resume it", resume_op, NULL, false },
	{ 0 }
};
/* clang-format on */

_Static_assert(sizeof(machine_start_steps) / sizeof(machine_start_steps[0]) == START_N + 1, "count START_STEPS");
_Static_assert(sizeof(machine_stop_steps) / sizeof(machine_stop_steps[0]) == STOP_N + 1, "count STOP_STEPS");

bool machine_in_stop(const struct machine *m)
{
	return m->seq.steps == machine_stop_steps || (m->seq.steps == machine_reset_steps && m->seq.i < STOP_N);
}

unsigned machine_boot_step(bool reset)
{
	return (reset ? STOP_N + 1 : 0) + START_N - BOOT_N;
}

static bool waits_in(const struct machine *m, int (*fn)(struct super *, struct seq *, struct err *))
{
	return m->seq.steps && m->seq.steps[m->seq.i].begin == fn;
}

bool machine_in_boot(const struct machine *m)
{
	return waits_in(m, boot_wait);
}

bool machine_awaits_vmm(const struct machine *m)
{
	return waits_in(m, halt_wait) || waits_in(m, vmm_wait);
}

bool machine_awaits_introspect(const struct machine *m)
{
	return waits_in(m, introspect_wait);
}

bool machine_awaits_handler(const struct machine *m)
{
	return waits_in(m, handler_wait);
}
