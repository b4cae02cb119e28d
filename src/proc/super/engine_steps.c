/* SPDX-License-Identifier: ISC */
#include "proc/super/engine_steps.h"

#include "base/text.h"
#include "proc/super/engine.h"
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

#define START_NS (180 * EV_SEC) /* large rule sets take a while */

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

/* ---- start ---------------------------------------------------------------------- */

static bool is_suricata(const struct super *s)
{
	return s->engine.conf.kind == ENGINE_KIND_SURICATA;
}

static int handler_spawn(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct priv_spawn p = { .role = ROLE_INSPECT };
	int pair[2];
	if (!is_suricata(s))
		return SEQ_NEXT;
	int r = msg_pair(pair, e);
	if (r < 0)
		return r;
	x->chan.fd = pair[0];
	super_watch_role(s, &x->chan, &x->src);
	r = seq_ask(s, q, &s->priv, MSG_PRIV_SPAWN, &p, sizeof(p), &pair[1], 1, 0, e);
	close(pair[1]);
	return r;
}

static int handler_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)q, (void)e;
	of(s)->handler_pid = MSG_BODY_AS(a->m, priv_done)->pid;
	return 0;
}

static int configure(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct inspect_prepare p = { .nvars = x->conf.nvars };
	if (!is_suricata(s))
		return SEQ_NEXT;
	for (uint32_t i = 0; i < x->nhome; i++)
		p.home[p.nhome++] = x->home[i];
	memcpy(p.vars, x->conf.vars, sizeof(p.vars));
	return seq_ask(s, q, &x->chan, MSG_INSPECT_PREPARE, &p, sizeof(p), NULL, 0, 10000, e);
}

static int configured(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	(void)q;
	drop(&of(s)->yaml_fd);
	of(s)->yaml_fd = msg_take_fd(a->m, 0);
	return of(s)->yaml_fd < 0 ? err_set(e, -EPROTO, "its handler sent no configuration") : 0;
}

static int place(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct priv_engine p = { .kind = x->conf.kind };
	memcpy(p.interfaces, x->conf.interfaces, sizeof(p.interfaces));
	if (!is_suricata(s))
		return seq_ask(s, q, &s->priv, MSG_PRIV_ENGINE, &p, sizeof(p), NULL, 0, 0, e);
	int out[2], fds[3];
	if (x->rules_fd < 0)
		engine_rules(s, -1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	x->log_fd = out[0];
	fds[0] = x->yaml_fd;
	fds[1] = x->rules_fd;
	fds[2] = out[1];
	x->pid_asked = true;
	int r = seq_ask(s, q, &s->priv, MSG_PRIV_ENGINE, &p, sizeof(p), fds, 3, 0, e);
	close(out[1]);
	drop(&x->yaml_fd);
	return r;
}

static int placed(struct super *s, struct seq *q, struct answer *a, struct err *e)
{
	struct inline_engine *x = of(s);
	const struct priv_done *d = MSG_BODY_AS(a->m, priv_done);
	(void)q;
	x->pid_asked = false;
	x->placed = true;
	x->pid = d->pid;
	x->jail = d->jail;
	x->port_kind = d->kind;
	x->port_fd[0] = msg_take_fd(a->m, 0);
	x->port_fd[1] = msg_take_fd(a->m, 1);
	x->reports_fd = msg_take_fd(a->m, 2);
	if (x->port_fd[0] < 0 || x->port_fd[1] < 0 || (is_suricata(s) && x->reports_fd < 0))
		return err_set(e, -EPROTO, "priv sent no ports");
	return 0;
}

static int listen_to(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct msg_empty none = { 0 };
	int fds[2] = { x->reports_fd, x->log_fd };
	if (!is_suricata(s))
		return SEQ_NEXT;
	int r = seq_ask(s, q, &x->chan, MSG_INSPECT_START, &none, sizeof(none), fds, 2, 10000, e);
	drop(&x->reports_fd);
	drop(&x->log_fd);
	return r;
}

static void too_slow(void *arg, uint64_t now)
{
	struct super *s = arg;
	struct err e;
	(void)now;
	err_set(&e, -ETIMEDOUT, "it did not start within %llu s", (unsigned long long)(START_NS / EV_SEC));
	seq_resume(s, &of(s)->seq, -ETIMEDOUT, &e);
}

/* INSPECT_EV_UP moves it on. */
static int wait_up(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	(void)q, (void)e;
	if (!is_suricata(s) || x->up)
		return SEQ_NEXT;
	x->waiting = true;
	ev_timer_set(&s->ev, &x->timer, s->ev.now + START_NS, too_slow, s);
	return SEQ_WAIT;
}

void engine_ring_body(const struct super *s, unsigned side, struct ev_ring *r)
{
	*r = (struct ev_ring){ .port = (uint16_t)PORT_ENGINE(side), .kind = (uint8_t)s->engine.port_kind };
	snprintf(r->name, sizeof(r->name), "engine-%s", side ? "out" : "in");
	snprintf(r->network, sizeof(r->network), "engine");
}

static int ring_add(struct super *s, struct seq *q, unsigned side, struct err *e)
{
	struct inline_engine *x = of(s);
	struct ev_ring r;
	int n = port_make_ring(s, &x->ring_fd[side], &x->wake_fd[side], e);
	if (n < 0)
		return n;
	engine_ring_body(s, side, &r);
	x->ring[side] = true;
	return seq_ask(s, q, &s->evidence, MSG_EV_RING, &r, sizeof(r), (int[]){ x->ring_fd[side], x->wake_fd[side] }, 2,
		       0, e);
}

static int ring_in(struct super *s, struct seq *q, struct err *e)
{
	ev_timer_cancel(&s->ev, &of(s)->timer);
	of(s)->waiting = false;
	return ring_add(s, q, 0, e);
}

static int ring_out(struct super *s, struct seq *q, struct err *e)
{
	return ring_add(s, q, 1, e);
}

static int port_add(struct super *s, struct seq *q, unsigned side, struct err *e)
{
	struct inline_engine *x = of(s);
	struct gw_port p = { .port = (uint16_t)PORT_ENGINE(side),
			     .role = PORT_ROLE_ENGINE,
			     .kind = (uint8_t)x->port_kind };
	snprintf(p.name, sizeof(p.name), "engine-%s", side ? "out" : "in");
	x->port[side] = true;
	int r = seq_ask(s, q, &s->gateway, MSG_GW_PORT, &p, sizeof(p),
			(int[]){ x->port_fd[side], x->ring_fd[side], x->wake_fd[side] }, 3, 0, e);
	drop(&x->port_fd[side]);
	return r;
}

static int port_in(struct super *s, struct seq *q, struct err *e)
{
	return port_add(s, q, 0, e);
}

static int port_out(struct super *s, struct seq *q, struct err *e)
{
	return port_add(s, q, 1, e);
}

const struct seq_step engine_start_steps[] = {
	{ "start its handler", handler_spawn, handler_spawned, false },
	{ "write its configuration", configure, configured, false },
	{ "start it", place, placed, false },
	{ "listen to it", listen_to, NULL, false },
	{ "wait for it", wait_up, NULL, false },
	{ "give evidence its inner ring", ring_in, NULL, false },
	{ "give evidence its outer ring", ring_out, NULL, false },
	{ "give the gateway its inner port", port_in, NULL, false },
	{ "give the gateway its outer port", port_out, NULL, false },
	{ 0 },
};

/* ---- end -------------------------------------------------------------------------- */

static int port_gone(struct super *s, struct seq *q, unsigned side, struct err *e)
{
	struct inline_engine *x = of(s);
	struct gw_port_del d = { .port = (uint16_t)PORT_ENGINE(side) };
	if (!x->port[side] || !s->gateway_pid)
		return SEQ_NEXT;
	x->port[side] = false;
	return seq_ask(s, q, &s->gateway, MSG_GW_PORT_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

static int ring_gone(struct super *s, struct seq *q, unsigned side, struct err *e)
{
	struct inline_engine *x = of(s);
	struct ev_ring_del d = { .port = (uint16_t)PORT_ENGINE(side) };
	drop(&x->ring_fd[side]);
	drop(&x->wake_fd[side]);
	if (!x->ring[side] || !s->evidence_pid)
		return SEQ_NEXT;
	x->ring[side] = false;
	return seq_ask(s, q, &s->evidence, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0, 0, e);
}

static int port_in_gone(struct super *s, struct seq *q, struct err *e)
{
	return port_gone(s, q, 0, e);
}

static int port_out_gone(struct super *s, struct seq *q, struct err *e)
{
	return port_gone(s, q, 1, e);
}

static int ring_in_gone(struct super *s, struct seq *q, struct err *e)
{
	return ring_gone(s, q, 0, e);
}

static int ring_out_gone(struct super *s, struct seq *q, struct err *e)
{
	return ring_gone(s, q, 1, e);
}

static int handler_gone(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct priv_kill k = { .what = ROLE_INSPECT };
	int pid = x->handler_pid;
	ev_del(&s->ev, &x->src);
	chan_close(&x->chan);
	x->handler_pid = 0;
	return pid ? seq_ask(s, q, &s->priv, MSG_PRIV_KILL, &k, sizeof(k), NULL, 0, 0, e) : SEQ_NEXT;
}

static int place_gone(struct super *s, struct seq *q, struct err *e)
{
	struct inline_engine *x = of(s);
	struct msg_empty none = { 0 };
	bool was = x->placed || x->pid_asked;
	x->placed = x->pid_asked = false;
	return was ? seq_ask(s, q, &s->priv, MSG_PRIV_ENGINE_DEL, &none, sizeof(none), NULL, 0, 0, e) : SEQ_NEXT;
}

/* priv tells of its death (engine_exited); before, there can be no other. */
static int wait_gone(struct super *s, struct seq *q, struct err *e)
{
	(void)q, (void)e;
	of(s)->ending = of(s)->pid != 0;
	return of(s)->ending ? SEQ_WAIT : SEQ_NEXT;
}

const struct seq_step engine_stop_steps[] = {
	{ "drop its inner port", port_in_gone, NULL, true }, { "drop its outer port", port_out_gone, NULL, true },
	{ "drop its inner ring", ring_in_gone, NULL, true }, { "drop its outer ring", ring_out_gone, NULL, true },
	{ "end its handler", handler_gone, NULL, true },     { "end it", place_gone, NULL, true },
	{ "wait for its end", wait_gone, NULL, true },       { 0 },
};
