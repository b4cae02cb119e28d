/* SPDX-License-Identifier: ISC */
/*
 * The life of one honeypot.
 *
 * Theory of operation. A machine has at most one job (start, stop, reset, ...),
 * which is a sequence of steps (machine_steps.c). What exists at any time - ring,
 * gateway port, handler, VMM - is remembered in flags, never derived from the
 * state, so that cleaning up after any failure is the same sequence: kill what
 * is there. A start that fails while booting is tried once more, because one
 * UML start in some hundred hangs or panics early for no fault of its own.
 *
 * absent -> stopped -> starting -> running <-> paused
 *              ^          |           |
 *              +-stopping-+--failed <-+
 */
#include "base/log.h"
#include "proc/super/hub.h"
#include "proc/super/introspect.h"
#include "proc/super/machine_steps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void machine_init(struct super *s, struct machine *m)
{
	*m = (struct machine){ .hub = s,
			       .handler = { .fd = -1, .self = ROLE_SUPER, .peer = ROLE_VMM, .state = STATE_ANY },
			       .ring_fd = -1,
			       .wake_fd = -1,
			       .frame_fd = -1,
			       .overlay_fd = -1,
			       .base_fd = -1,
			       .pid_fd = -1,
			       .far_fd = -1,
			       .record_fd = -1,
			       .console_fd = -1,
			       .control_fd = -1,
			       .vmm_console_fd = -1,
			       .vmm_control_fd = -1 };
	introspect_init(&m->watch);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void machine_drop_transit(struct machine *m)
{
	drop(&m->overlay_fd);
	drop(&m->base_fd);
	drop(&m->pid_fd);
	drop(&m->far_fd);
	drop(&m->record_fd);
	drop(&m->console_fd);
	drop(&m->control_fd);
	drop(&m->vmm_console_fd);
	drop(&m->vmm_control_fd);
}

void machine_drop_handler(struct super *s, struct machine *m)
{
	if (m->handler.fd < 0)
		return;
	ask_fail(s, &m->handler, "the honeypot's handler is gone");
	ev_del(&s->ev, &m->handler_src);
	chan_close(&m->handler);
}

void machine_abandon(struct super *s, struct machine *m)
{
	seq_cancel(s, &m->seq);
	ev_timer_cancel(&s->ev, &m->watchdog);
	m->awaiting_exit = false;
	m->job = JOB_NONE;
	m->done = NULL;
	machine_drop_transit(m);
	introspect_abandon(s, m);
}

void machine_forget(struct super *s, struct machine *m)
{
	machine_abandon(s, m);
	machine_drop_handler(s, m);
	machine_drop_transit(m);
	introspect_tidy(s, m);
	m->watch.pid = 0;
	drop(&m->frame_fd);
	drop(&m->ring_fd);
	drop(&m->wake_fd);
	m->port = m->ring = m->held = false;
	m->handler_pid = m->vmm_pid = 0;
	m->up_since = 0;
	if (m->state != MACHINE_ABSENT)
		m->state = MACHINE_STOPPED;
}

/* Says the new state to the operator's log and to evidence. */
static void enter(struct super *s, struct machine *m, enum machine_state state, const char *why)
{
	if (m->state == state)
		return;
	m->state = state;
	snprintf(m->detail, sizeof(m->detail), "%s", why ? why : "");
	char id[48];
	snprintf(id, sizeof(id), "skep.machine.%s", machine_state_name(state));
	super_event(s, &m->to, "machine", id, m->hp.name, "%s%s%s", machine_state_name(state), why && *why ? ": " : "",
		    why ? why : "");
}

static void finish(struct super *s, struct machine *m, int status, const struct err *e)
{
	machine_done done = m->done;
	m->job = JOB_NONE;
	m->done = NULL;
	ev_timer_cancel(&s->ev, &m->watchdog);
	machine_drop_transit(m);
	m->to = (struct reply_to){ 0 };
	/* Last, since it may begin the next job. */
	if (done)
		done(s, m, status, e);
}

static void on_done(struct super *s, struct seq *q, int status, const struct err *e);

static void clean(struct super *s, struct machine *m, const struct err *why)
{
	m->error = *why;
	m->job = JOB_CLEAN;
	m->force = true;
	seq_start(s, &m->seq, machine_stop_steps, m, on_done);
}

/* A start or reset failed: everything of it goes; then once more, or failed. */
static void start_failed(struct super *s, struct machine *m, const struct err *e)
{
	bool booting = m->seq.i >= machine_boot_step(m->job == JOB_RESET);
	m->retry = booting && m->restarts == 0 && s->life == LIFE_RUNNING && super_alive(s) && !s->apply.cancelled;
	if (m->retry)
		super_event(s, &m->to, "machine", "skep.machine.retry", m->hp.name, "boot failed, trying once more: %s",
			    e->text);
	clean(s, m, e);
}

static void cleaned(struct super *s, struct machine *m)
{
	if (m->retry) {
		m->retry = false;
		m->restarts++;
		m->job = JOB_START;
		m->force = false;
		seq_start(s, &m->seq, machine_start_steps, m, on_done);
		return;
	}
	struct err e = m->error;
	m->up_since = 0;
	/* A guest that halted by itself has not failed. */
	enter(s, m, e.code == 0 ? MACHINE_STOPPED : MACHINE_FAILED, e.text);
	finish(s, m, e.code, &e);
}

static void on_done(struct super *s, struct seq *q, int status, const struct err *e)
{
	struct machine *m = q->subject;
	ev_timer_cancel(&s->ev, &m->watchdog);
	m->awaiting_exit = false;
	switch (m->job) {
	case JOB_START:
	case JOB_RESET:
		if (status < 0) {
			start_failed(s, m, e);
			return;
		}
		m->up_since = ev_realtime();
		enter(s, m, MACHINE_RUNNING, m->seen ? NULL : "it has not sent a frame yet");
		break;
	case JOB_STOP:
		m->up_since = 0;
		enter(s, m, MACHINE_STOPPED, NULL);
		break;
	case JOB_PAUSE:
		if (status == 0)
			enter(s, m, MACHINE_PAUSED, NULL);
		break;
	case JOB_RESUME:
		if (status == 0) {
			enter(s, m, MACHINE_RUNNING, NULL);
		} else if (m->state == MACHINE_PAUSED && !m->held) {
			hold_tell(s, m, true); /* still paused, then */
		}
		break;
	case JOB_CLEAN:
		cleaned(s, m);
		return;
	case JOB_PORT:
		if (status < 0) {
			/* What was opened of it goes again. */
			m->error = *e;
			m->job = JOB_PORT_CLEAN;
			seq_start(s, q, machine_port_close_steps, m, on_done);
			return;
		}
		break;
	case JOB_PORT_CLEAN: {
		struct err was = m->error;
		finish(s, m, was.code, &was);
		return;
	}
	case JOB_NONE:
		break;
	}
	finish(s, m, status, e);
}

static int begin(struct super *s, struct machine *m, int job, const struct seq_step *steps, machine_done done)
{
	if (m->job != JOB_NONE)
		return -EBUSY;
	m->job = job;
	m->done = done;
	m->error = (struct err){ 0 };
	seq_start(s, &m->seq, steps, m, on_done);
	return 0;
}

int machine_start(struct super *s, struct machine *m, machine_done done)
{
	if (m->job != JOB_NONE)
		return -EBUSY;
	m->restarts = 0;
	m->force = false;
	enter(s, m, MACHINE_STARTING, NULL);
	return begin(s, m, JOB_START, machine_start_steps, done);
}

int machine_stop(struct super *s, struct machine *m, bool force, machine_done done)
{
	/* Stopping overtakes whatever else is going on with the machine. */
	if (m->job != JOB_NONE && m->job != JOB_STOP) {
		struct err e;
		machine_done waits = m->done;
		err_set(&e, -ECANCELED, "stopped while it was %s", machine_state_name(m->state));
		machine_abandon(s, m);
		if (waits)
			waits(s, m, -ECANCELED, &e);
		force = true;
	}
	if (m->job != JOB_NONE)
		return -EBUSY;
	m->force = force || m->state != MACHINE_RUNNING;
	if (m->state != MACHINE_STOPPED && m->state != MACHINE_FAILED)
		enter(s, m, MACHINE_STOPPING, NULL);
	return begin(s, m, JOB_STOP, machine_stop_steps, done);
}

int machine_reset(struct super *s, struct machine *m, machine_done done)
{
	if (m->job != JOB_NONE)
		return -EBUSY;
	m->restarts = 0;
	m->force = true;
	enter(s, m, MACHINE_STARTING, "reset to the clean image");
	return begin(s, m, JOB_RESET, machine_reset_steps, done);
}

int machine_pause(struct super *s, struct machine *m, bool pause, machine_done done)
{
	return begin(s, m, pause ? JOB_PAUSE : JOB_RESUME, pause ? machine_pause_steps : machine_resume_steps, done);
}

int machine_port_open(struct super *s, struct machine *m, machine_done done)
{
	return begin(s, m, JOB_PORT, machine_port_steps, done);
}

int machine_port_close(struct super *s, struct machine *m, machine_done done)
{
	return begin(s, m, JOB_PORT, machine_port_close_steps, done);
}

/* What a wait status means, for people. */
static void exit_text(int st, char *buf, size_t cap)
{
	if (WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS)
		snprintf(buf, cap, "killed by its seccomp filter: somebody tries to break out of the VMM");
	else if (WIFSIGNALED(st))
		snprintf(buf, cap, "killed by signal %d (%s)", WTERMSIG(st), strsignal(WTERMSIG(st)));
	else
		snprintf(buf, cap, "exit status %d", WEXITSTATUS(st));
}

/* The running job cannot go on. */
static void job_abort(struct super *s, struct machine *m, int status, const struct err *e)
{
	unsigned at = m->seq.i;
	seq_cancel(s, &m->seq);
	m->seq.i = at; /* start_failed wants to know how far it came */
	m->seq.subject = m;
	on_done(s, &m->seq, status, e);
}

void machine_exited(struct super *s, struct machine *m, bool vmm, int st)
{
	char how[128];
	exit_text(st, how, sizeof(how));
	bool expected =
	    m->awaiting_exit || machine_in_stop(m) || m->state == MACHINE_STOPPED || m->state == MACHINE_FAILED;
	if (vmm) {
		m->vmm_pid = 0;
		m->jail = 0;
	} else {
		m->handler_pid = 0;
		machine_drop_handler(s, m); /* may move the sequence on */
	}
	if (expected) {
		if (m->awaiting_exit && (vmm ? machine_awaits_vmm(m) : machine_awaits_handler(m))) {
			m->awaiting_exit = false;
			seq_resume(s, &m->seq, 0, NULL);
		}
		return;
	}
	struct err e;
	bool halted = vmm && WIFEXITED(st) && WEXITSTATUS(st) == 0;
	err_set(&e, -EIO, "%s: %s", vmm ? "the VMM ended" : "the VMM's handler ended", how);
	super_event(s, NULL, "machine",
		    vmm && WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS ? "skep.machine.breakout" : "skep.machine.exited",
		    m->hp.name, "%s", e.text);
	if (m->job != JOB_NONE) {
		job_abort(s, m, -EIO, &e);
		return;
	}
	if (halted)
		err_set(&e, 0, "the guest halted");
	clean(s, m, &e);
}

void machine_introspect_exited(struct super *s, struct machine *m, int st)
{
	bool awaited = m->awaiting_exit && machine_awaits_introspect(m);
	introspect_exited(s, m, st); /* may move the sequence on */
	if (!awaited)
		return;
	m->awaiting_exit = false;
	seq_resume(s, &m->seq, 0, NULL);
}

void machine_boot_check(struct super *s, struct machine *m)
{
	if (m->state == MACHINE_STARTING && m->seq.steps && machine_in_boot(m) && m->control_up && m->seen)
		seq_resume(s, &m->seq, 0, NULL);
}

void machine_seen(struct super *s, struct machine *m)
{
	m->seen = true;
	machine_boot_check(s, m);
}

void machine_control_up(struct super *s, struct machine *m)
{
	m->control_up = true;
	machine_boot_check(s, m);
}
