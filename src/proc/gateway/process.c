/* SPDX-License-Identifier: ISC */
/*
 * The gateway's process: the commands of super on fd 3, and the loop. One
 * thread runs each frame from receipt to sending.
 *
 * System calls after isolate_role(): epoll_ctl epoll_wait read write readv
 * writev recvmsg recvmmsg recvfrom sendmsg sendto poll close fcntl(F_GET_SEALS)
 * fstat newfstatat pread64 mmap munmap (rings, MAP_SHARED, no PROT_EXEC)
 * setsockopt getsockopt clock_gettime (where it is no vDSO call) exit_group
 * exit rt_sigreturn restart_syscall.
 * Address space: about 1 GiB, touched as it fills; RLIMIT_AS must leave room.
 */
#include "proc/gateway/gateway.h"

#include "base/log.h"
#include "proc/gateway/capture.h"
#include "proc/gateway/engine.h"
#include "proc/gateway/hold.h"
#include "proto/msg.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TICK (100 * EV_MS)
#define DRAIN_TRIES 50
#define DRAIN_PAUSE_US 20000

struct process {
	struct gateway *g;
	struct ev ev;
	struct chan super;
	struct ev_source super_src;
	struct ev_timer tick, release;
	struct msg msg;
	int status;
};

static void answer(struct process *x, uint64_t req, int status, const struct err *e)
{
	struct done d = { .status = status };
	if (status)
		snprintf(d.text, sizeof(d.text), "%s", e->text);
	int r = msg_send_wait(&x->super, MSG_GW_DONE, req, &d, sizeof(d), NULL, 0, 1000);
	if (r < 0)
		log_error("cannot answer super: %s", strerror(-r));
}

/* What super has to know about a port; tried again at each tick if it does not
 * read just now. */
static void tell(struct process *x, struct port *p)
{
	struct gw_seen body = { .port = p->conf.port };
	if (p->tell_seen && msg_send(&x->super, MSG_GW_SEEN, 0, &body, sizeof(body), NULL, 0) == 0)
		p->tell_seen = false;
	if (p->tell_down && msg_send(&x->super, MSG_GW_PORT_DOWN, 0, &body, sizeof(body), NULL, 0) == 0)
		p->tell_down = false;
}

/* What triggers wait for. What super does not read just now waits for a tick. */
static void tell_hits(struct process *x, uint64_t now)
{
	struct gw_hit hit;
	while (hit_next(x->g, now, &hit) && msg_send(&x->super, MSG_GW_HIT, 0, &hit, sizeof(hit), NULL, 0) == 0)
		hit_told(x->g, now, &hit);
}

static struct process *self; /* a port's event knows its port only */

static void on_release(void *arg, uint64_t now);

/* When the first of the frames that wait may go. */
static void arm(struct process *x)
{
	uint64_t next = x->g->shaper.next;
	if (next && next != x->release.at)
		ev_timer_set(&x->ev, &x->release, next, on_release, x);
}

static void on_release(void *arg, uint64_t now)
{
	struct process *x = arg;
	(void)now;
	shape_release(x->g, ev_monotonic());
	arm(x);
}

static void on_port(void *arg, uint32_t events, uint64_t now)
{
	struct port *p = arg;
	gateway_receive(p->g, p, events);
	arm(self);
	if (p->down)
		ev_del(&self->ev, &p->src);
	if (p->tell_seen || p->tell_down)
		tell(self, p);
	if (p->g->hits.pending)
		tell_hits(self, now);
}

static void on_tick(void *arg, uint64_t now)
{
	struct process *x = arg;
	x->g->wall = ev_realtime() - ev_monotonic();
	gateway_tick(x->g, now);
	arm(x);
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		struct port *p = &x->g->ports[i];
		if (p->used && (p->tell_seen || p->tell_down))
			tell(x, p);
	}
	tell_hits(x, now);
	ev_timer_set(&x->ev, &x->tick, now + TICK, on_tick, x);
}

/* ---- commands ------------------------------------------------------------ */

static int port_add(struct process *x, struct msg *m, struct err *e)
{
	const struct gw_port *conf = MSG_BODY_AS(m, gw_port);
	if (m->nfds != 3)
		return err_set(e, -EPROTO, "a port needs its socket, ring and eventfd");
	int r = gateway_port_add(x->g, conf, NULL, m->fds[0], m->fds[1], m->fds[2], e);
	if (r)
		return r;
	msg_take_fd(m, 0);
	msg_take_fd(m, 2);
	struct port *p = gateway_port(x->g, conf->port);
	r = ev_add(&x->ev, &p->src, p->fd, EPOLLIN | EPOLLRDHUP, on_port, p);
	if (r < 0) {
		err_sys(e, r, "cannot watch port %s", p->conf.name);
		gateway_port_del(x->g, conf->port, NULL);
	}
	return r;
}

static int port_del(struct process *x, struct msg *m, struct err *e)
{
	uint16_t id = MSG_BODY_AS(m, gw_port_del)->port;
	struct port *p = gateway_port(x->g, id);
	if (p)
		ev_del(&x->ev, &p->src);
	return gateway_port_del(x->g, id, e);
}

static int policy(struct process *x, struct msg *m, struct err *e)
{
	const struct gw_policy *b = MSG_BODY_AS(m, gw_policy);
	if (m->nfds != 1)
		return err_set(e, -EPROTO, "a policy needs its memfd");
#ifdef MUTANT_RELOAD_GAP
	/* As with `iptables -F`: the old rules go before the new ones come. */
	static struct policy_set none;
	none = *x->g->policies.now;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		none.of[i] = (struct policy){ .outbound = { { LIMIT_UNLIMITED, 0 } } };
	none.generation += 0x80000000u;
	x->g->policies.now = &none;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		if (x->g->ports[i].used)
			gateway_receive(x->g, &x->g->ports[i], EPOLLIN);
#endif
	return policies_load(&x->g->policies, m->fds[0], b->n, b->generation, e);
}

static int freeze(struct process *x, const struct msg *m, struct err *e)
{
	const struct gw_freeze *b = MSG_BODY_AS(m, gw_freeze);
	return gateway_freeze(x->g, b->port, b->frozen != 0, e);
}

static int hold(struct process *x, const struct msg *m, struct err *e)
{
	const struct gw_hold *b = MSG_BODY_AS(m, gw_hold);
	struct port *p = gateway_port(x->g, b->port);
	if (!p || !port_is_honeypot(p))
		return err_set(e, -ENOENT, "there is no honeypot at port %u", b->port);
	hold_set(x->g, p, b->held != 0);
	return 0;
}

static int stats(struct process *x, uint64_t req, struct err *e)
{
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		struct port *p = gateway_port(x->g, i);
		if (!p)
			continue;
		p->stats.flows = p->flows;
		int r = msg_send(&x->super, MSG_GW_PORT_STATS, req, &p->stats, sizeof(p->stats), NULL, 0);
		if (r < 0)
			return err_sys(e, r, "cannot send the figures of port %s", p->conf.name);
	}
	return 0;
}

/* Ends every flow into the rings; evidence gets a moment to make room. */
static void drain(struct process *x)
{
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (x->g->ports[i].used)
			ev_del(&x->ev, &x->g->ports[i].src);
	gateway_drop_fragments(x->g, NULL, ev_monotonic());
	denied_flush(x->g, ev_monotonic(), true);
	uint32_t left = flow_end_all(x->g, NULL, false);
	for (unsigned i = 0; left && i < DRAIN_TRIES; i++) {
		poll(NULL, 0, DRAIN_PAUSE_US / 1000);
		left = flow_end_all(x->g, NULL, false);
	}
	if (left)
		log_warn("%u flow records found no room in their rings", left);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (x->g->ports[i].used)
			capture_note(x->g, &x->g->ports[i], ev_monotonic());
}

static void command(struct process *x, struct msg *m)
{
	struct err e = { 0 };
	int r = 0;
	switch (m->type) {
	case MSG_GW_PORT:
		r = port_add(x, m, &e);
		break;
	case MSG_GW_PORT_DEL:
		r = port_del(x, m, &e);
		break;
	case MSG_GW_POLICY:
		r = policy(x, m, &e);
		break;
	case MSG_GW_FREEZE:
		r = freeze(x, m, &e);
		break;
	case MSG_GW_HOLD:
		r = hold(x, m, &e);
		break;
	case MSG_GW_ALERT:
		engine_alert(x->g, MSG_BODY_AS(m, gw_alert), ev_monotonic());
		break;
	case MSG_GW_STATS:
		r = stats(x, m->req, &e);
		break;
	case MSG_GW_QUIT:
		x->super.state = STATE_DRAIN;
		drain(x);
		x->ev.quit = true;
		break;
	}
	msg_close_fds(m);
	answer(x, m->req, r, &e);
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct process *x = arg;
	struct err e;
	(void)events;
	(void)now;
	while (!x->ev.quit) {
		int r = msg_recv(&x->super, &x->msg, &e);
		if (r == 0)
			return;
		if (r < 0) {
			/* Without its commander the gateway stops: no port stays open. */
			if (r != -EPIPE)
				log_error("%s", e.text);
			x->status = r == -EPIPE ? 0 : 1;
			drain(x);
			x->ev.quit = true;
			return;
		}
		command(x, &x->msg);
	}
}

int gateway_main(int argc, char **argv)
{
	static struct process x;
	struct err e;
	(void)argc;
	(void)argv;
	log_init("gateway", LOG_L_INFO);
	signal(SIGPIPE, SIG_IGN);
	self = &x;
	x.super = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_GATEWAY, .peer = ROLE_SUPER, .state = STATE_RUN };
	x.g = gateway_new(NULL, &e);
	if (!x.g) {
		log_error("%s", e.text);
		return 1;
	}
	int r = ev_init(&x.ev, NULL);
	if (!r)
		r = ev_add(&x.ev, &x.super_src, x.super.fd, EPOLLIN | EPOLLRDHUP, on_super, &x);
	if (r < 0) {
		log_error("cannot watch fd %d: %s", x.super.fd, strerror(-r));
		return 1;
	}
	struct isolate_opts o = { .dirfd = -1 };
	if (isolate_role(ROLE_GATEWAY, &o, &e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	ev_timer_set(&x.ev, &x.tick, ev_monotonic() + TICK, on_tick, &x);
	r = ev_run(&x.ev);
	if (r < 0) {
		log_error("event loop: %s", strerror(-r));
		return 1;
	}
	return x.status;
}
