/* SPDX-License-Identifier: ISC */
/*
 * The end, however it came. First everything that an intruder can still reach
 * or that can still change something is killed: VMMs, gateway, handlers, super.
 * Evidence and the introspect processes see their commander hang up and get a
 * moment to write what the rings still hold; then they are killed too.
 */
#include "base/log.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <unistd.h>

#define GRACE_SECONDS 3
#define END_SECONDS 15

static unsigned living;

static void count(struct priv *p, struct child *c)
{
	/* After PRIV_QUIT super is still needed: it tells the operator. */
	if (!p->quit_asked || c->role != ROLE_SUPER)
		living++;
}

static void kill_others(struct priv *p, struct child *c)
{
	if (c->role != ROLE_EVIDENCE && c->role != ROLE_INTROSPECT && !(p->quit_asked && c->role == ROLE_SUPER))
		spawn_kill(c);
}

static void kill_slow(struct priv *p, struct child *c)
{
	if (c->role != ROLE_EVIDENCE && c->role != ROLE_INTROSPECT)
		return;
	(void)p;
	log_warn("%s did not end within %d s", role_name(c->role), GRACE_SECONDS);
	spawn_kill(c);
}

static void grace_over(void *arg, uint64_t now)
{
	(void)now;
	spawn_each(arg, kill_slow);
}

static void end_over(void *arg, uint64_t now)
{
	struct priv *p = arg;
	(void)now;
	log_error("some processes do not die: left to their death signal");
	p->ev.quit = true;
}

static void super_slow(void *arg, uint64_t now)
{
	struct priv *p = arg;
	(void)now;
	spawn_kill(&p->super_child);
}

/* All that super asked to end has ended; what priv made goes before it is told. */
static void answer_quit(struct priv *p)
{
	struct priv_done done = { 0 };
	end_cleanup(p);
	out_done(p, p->quit_req, &done, NULL, 0);
	chan_close(&p->super);
	p->quit_asked = false;
	ev_timer_set(&p->ev, &p->grace_timer, p->ev.clock() + GRACE_SECONDS * EV_SEC, super_slow, p);
}

void end_begin(struct priv *p, int status, const struct err *why)
{
	if (p->ending)
		return;
	p->ending = true;
	p->exit_status = status;
	p->super.state = STATE_DRAIN;
	if (why) {
		p->why = *why;
		/* Before there is a log, standard error is the cli's, which
		 * tells its operator itself. */
		if (p->log_fd >= 0)
			log_at(status ? LOG_L_ERROR : LOG_L_INFO, "%s", why->text);
	}
	if (p->ev.epfd < 0) { /* before the loop there are no children */
		p->ev.quit = true;
		return;
	}
	ev_timer_cancel(&p->ev, &p->start_timer);
	ev_del(&p->ev, &p->commands);
	out_drop(p);
	if (!p->quit_asked)
		chan_close(&p->super);
	spawn_each(p, kill_others);
	ev_timer_set(&p->ev, &p->grace_timer, p->ev.clock() + GRACE_SECONDS * EV_SEC, grace_over, p);
	ev_timer_set(&p->ev, &p->end_timer, p->ev.clock() + END_SECONDS * EV_SEC, end_over, p);
	end_check(p);
}

void end_super_gone(struct priv *p)
{
	struct err e;
	err_set(&e, -ECHILD, "super ended%s: see %.300s", p->super.state == STATE_INIT ? " during the start" : "",
		p->log_path);
	end_begin(p, 1, &e);
}

void end_check(struct priv *p)
{
	if (!p->ending)
		return;
	living = 0;
	spawn_each(p, count);
	if (living)
		return;
	if (p->quit_asked)
		answer_quit(p);
	if (!p->super_child.pid)
		p->ev.quit = true;
}

/* May be called twice. */
void end_cleanup(struct priv *p)
{
#ifndef MUTANT_PRIV_CLEANUP
	if (p->ctl_made && unlinkat(p->run_fd, "ctl", 0) < 0 && errno != ENOENT)
		log_warn("cannot remove the control socket");
	p->ctl_made = false;
#endif
	for (uint32_t i = 0; i < MODEL_NETS; i++)
		sink_end(p, i);
	engine_end(p);
	lab_close(&p->lab);
	vmm_groups_end(p);
	slot_release(p);
}
