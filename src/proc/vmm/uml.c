/* SPDX-License-Identifier: ISC */
/*
 * User Mode Linux, spoken to through its management console (mconsole).
 *
 * Theory of operation. Requests are answered in order and without a number, so
 * what was asked is kept in a queue; an answer without `more` belongs to its
 * head. A request that was not answered in time fails, but its place stays
 * taken: its answer may still come. Nothing that the kernel says is believed
 * for more than it is worth: it can end this machine's own operations, and its
 * text is shown as the guest's.
 *
 * Boot: the kernel notifies (MCONSOLE_READY) once it can be asked, and then
 * answers `version`. If it asks to be asked again later, the guest restarted:
 * UML executes itself anew with the same fds.
 */
#include "proc/vmm/backend.h"
#include "proc/vmm/identity.h"
#include "proc/vmm/mconsole.h"

#include "base/text.h"
#include "sandbox/uml_args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE 8
#define ANSWER_TIME (4 * EV_SEC)
#define PING_TIME (1 * EV_SEC)
/* Between "remount everything read-only" and "halt": both work in the background. */
#define SYNC_TIME (300 * EV_MS)
#define DATAGRAMS_PER_TURN 16

enum asked { ASKED_VERSION, ASKED_STOP, ASKED_GO, ASKED_SYSRQ, ASKED_HALT };

struct request {
	enum asked what;
	uint64_t req; /* 0: nobody waits for it */
	uint64_t until;
};

static struct uml {
	struct backend_host host;
	int control, pidfd;
	struct ev_source control_src, pid_src;
	struct ev_timer ping, late, halt;
	struct request queue[QUEUE];
	unsigned n;
	bool live, up, paused, halting, panicked;
	uint64_t halt_req;
} u = { .control = -1, .pidfd = -1 };

static void on_late(void *arg, uint64_t now);

static void answer(uint64_t req, int status, const char *text)
{
	if (req)
		u.host.answer(u.host.arg, req, status, text);
}

static int ask(enum asked what, const char *command, uint64_t req, struct err *e)
{
	uint8_t buf[MCONSOLE_REQUEST];
	if (!u.live)
		return err_set(e, -ENOTCONN, "the machine does not run");
	if (u.n == QUEUE || !mconsole_request(command, buf))
		return err_set(e, -EBUSY, "the machine's kernel does not answer what it was asked before");
	if (send(u.control, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return err_sys(e, errno == EAGAIN ? -EBUSY : -errno, "the machine's kernel takes no requests");
	u.queue[u.n++] = (struct request){ what, req, u.host.ev->now + ANSWER_TIME };
	if (!u.late.at)
		ev_timer_set(u.host.ev, &u.late, u.host.ev->now + ANSWER_TIME, on_late, NULL);
	return 0;
}

static void on_late(void *arg, uint64_t now)
{
	uint64_t next = 0;
	(void)arg;
	for (unsigned i = 0; i < u.n; i++) {
		struct request *r = &u.queue[i];
		uint64_t req = r->req;
		if (!req)
			continue;
		if (r->until <= now) {
			r->req = 0;
			answer(req, -ETIMEDOUT, "the machine's kernel does not answer");
		} else if (!next) {
			next = r->until;
		}
	}
	ev_timer_set(u.host.ev, &u.late, next, on_late, NULL);
}

static void on_ping(void *arg, uint64_t now)
{
	(void)arg;
	/* Only until it is up, and never more than half the queue. */
	if (u.up)
		return;
	if (u.n < QUEUE / 2)
		ask(ASKED_VERSION, "version", 0, NULL);
	ev_timer_set(u.host.ev, &u.ping, now + PING_TIME, on_ping, NULL);
}

static void on_ready(void)
{
	if (u.up && u.halting) {
		u.host.state(u.host.arg, VMM_HALTED, "restarted instead of halting");
		return;
	}
	if (u.up)
		u.host.state(u.host.arg, VMM_BOOTING, "restarted by the guest");
	u.up = u.paused = false;
	/* What a former kernel was asked, this one will not answer. */
	for (unsigned i = 0; i < u.n; i++)
		answer(u.queue[i].req, -ECONNRESET, "the guest restarted");
	u.n = 0;
	on_ping(NULL, u.host.ev->now);
}

static void on_reply(const struct mconsole_msg *m)
{
	if (!u.n)
		return;
	struct request r = u.queue[0];
	if (m->more)
		return;
	memmove(u.queue, u.queue + 1, --u.n * sizeof(u.queue[0]));
	int status = m->failed ? -EIO : 0;
	switch (r.what) {
	case ASKED_VERSION:
		if (!u.up && !m->failed) {
			u.up = true;
			ev_timer_cancel(u.host.ev, &u.ping);
			u.host.state(u.host.arg, VMM_CONTROL_UP, m->text);
		}
		break;
	case ASKED_STOP:
		u.paused = u.paused || !m->failed;
		break;
	case ASKED_GO:
		u.paused = u.paused && m->failed;
		break;
	default:
		break;
	}
	answer(r.req, status, m->text);
}

static void on_control(void *arg, uint32_t events, uint64_t now)
{
	uint8_t buf[MCONSOLE_MAX + 1];
	(void)arg;
	(void)events;
	(void)now;
	for (int i = 0; i < DATAGRAMS_PER_TURN && u.live; i++) {
		ssize_t n = recv(u.control, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0) {
			/* A peer that is gone shows once as an error; the pidfd tells. */
			if (errno != EAGAIN && errno != EINTR && errno != ECONNRESET)
				ev_del(u.host.ev, &u.control_src);
			return;
		}
		struct mconsole_msg m;
		if ((size_t)n > sizeof(buf) || !mconsole_parse(buf, (size_t)n, &m))
			continue;
		if (m.kind == MCONSOLE_REPLY)
			on_reply(&m);
		else if (m.kind == MCONSOLE_READY)
			on_ready();
		else if (m.kind == MCONSOLE_PANIC && !u.panicked) {
			u.panicked = true;
			u.host.state(u.host.arg, VMM_PANIC, m.text);
		}
	}
}

static void on_exit_of_vmm(void *arg, uint32_t events, uint64_t now)
{
	(void)arg;
	(void)events;
	/* Its last words may still be there: a panic's, above all. */
	on_control(NULL, EPOLLIN, now);
	ev_del(u.host.ev, &u.pid_src);
	if (u.halting)
		u.host.state(u.host.arg, VMM_HALTED, "halted");
	for (unsigned i = 0; i < u.n; i++)
		answer(u.queue[i].req, u.queue[i].what == ASKED_HALT ? 0 : -ECONNRESET, "the machine ended");
	u.n = 0;
	if (u.halt_req)
		answer(u.halt_req, 0, "halted");
	u.halt_req = 0;
}

/* ---- operations --------------------------------------------------------- */

static int uml_prepare(const struct vmm_prepare *p, int overlay, int base, struct err *e)
{
	return identity_prepare(overlay, base, UML_BASE, p, e);
}

static int uml_kill(struct err *e)
{
	(void)e;
	if (!u.live)
		return 0;
	ev_del(u.host.ev, &u.control_src);
	ev_del(u.host.ev, &u.pid_src);
	ev_timer_cancel(u.host.ev, &u.ping);
	ev_timer_cancel(u.host.ev, &u.late);
	ev_timer_cancel(u.host.ev, &u.halt);
	close(u.control);
	if (u.pidfd >= 0)
		close(u.pidfd);
	u.live = false;
	for (unsigned i = 0; i < u.n; i++)
		answer(u.queue[i].req, -ECONNRESET, "the machine was killed");
	answer(u.halt_req, -ECONNRESET, "the machine was killed");
	u = (struct uml){ .control = -1, .pidfd = -1 };
	return 0;
}

static int uml_start(const struct backend_host *host, int control, int pidfd, struct err *e)
{
	int r = u.live ? -EALREADY : 0;
	if (!r) {
		u = (struct uml){ .host = *host, .control = control, .pidfd = pidfd };
		r = ev_add(host->ev, &u.control_src, control, EPOLLIN, on_control, NULL);
	}
	if (!r && pidfd >= 0)
		r = ev_add(host->ev, &u.pid_src, pidfd, EPOLLIN, on_exit_of_vmm, NULL);
	if (r < 0) {
		if (r != -EALREADY)
			ev_del(host->ev, &u.control_src);
		close(control);
		if (pidfd >= 0)
			close(pidfd);
		return err_sys(e, r, "cannot watch the machine");
	}
	u.live = true;
	ev_timer_set(host->ev, &u.ping, host->ev->now + PING_TIME, on_ping, NULL);
	host->state(host->arg, VMM_BOOTING, "");
	return 0;
}

static int uml_pause(uint64_t req, struct err *e)
{
	if (u.live && !u.up)
		return err_set(e, -EBUSY, "the machine is still booting");
	int r = ask(ASKED_STOP, "stop", req, e);
	return r < 0 ? r : BACKEND_LATER;
}

static int uml_resume(uint64_t req, struct err *e)
{
	int r = ask(ASKED_GO, "go", req, e);
	return r < 0 ? r : BACKEND_LATER;
}

static void on_synced(void *arg, uint64_t now)
{
	struct err e;
	uint64_t req = u.halt_req;
	(void)arg;
	(void)now;
	u.halt_req = 0;
	int r = ask(ASKED_HALT, "halt", req, &e);
	if (r < 0)
		answer(req, r, e.text);
}

/*
 * Sync, remount read-only, halt: quick, the same for every guest's init, and
 * the file system is clean afterwards. Services get no chance to say good-bye,
 * as with a power button that is held down.
 */
static int uml_stop(uint64_t req, struct err *e)
{
	if (u.live && !u.up)
		return err_set(e, -EBUSY, "the machine is still booting: it can only be killed");
	if (u.halt_req)
		return err_set(e, -EALREADY, "the machine is halting already");
	int r = u.paused ? ask(ASKED_GO, "go", 0, e) : 0;
	if (!r)
		r = ask(ASKED_SYSRQ, "sysrq s", 0, e);
	if (!r)
		r = ask(ASKED_SYSRQ, "sysrq u", 0, e);
	if (r < 0)
		return r;
	u.halting = true;
	u.halt_req = req;
	ev_timer_set(u.host.ev, &u.halt, u.host.ev->now + SYNC_TIME, on_synced, NULL);
	return BACKEND_LATER;
}

const struct backend backend_uml = {
	.kind = BACKEND_UML,
	.prepare = uml_prepare,
	.start = uml_start,
	.stop = uml_stop,
	.kill = uml_kill,
	.pause = uml_pause,
	.resume = uml_resume,
};
