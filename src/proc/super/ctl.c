/* SPDX-License-Identifier: ISC */
/*
 * The control socket: operators' commands come in, answers go out.
 *
 * The socket file belongs to the operator and is 0600, which is what keeps
 * others out; the peer's uid is checked again where it can be seen (inside a
 * user namespace another uid than ours is shown as the overflow uid).
 */
#include "base/log.h"
#include "proc/super/engine.h"
#include "proc/super/hub.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OVERFLOW_UID 65534u

static struct client *client_of(struct super *s, const struct reply_to *to)
{
	for (unsigned i = 0; to->client && i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].id == to->client)
			return &s->clients[i];
	return NULL;
}

static void client_drop(struct super *s, struct client *c)
{
	ev_del(&s->ev, &c->src);
	chan_close(&c->chan);
	c->used = false;
}

struct chan ctl_detach(struct super *s, struct client *c)
{
	struct chan taken = c->chan;
	ev_del(&s->ev, &c->src);
	c->chan.fd = -1;
	c->used = false;
	return taken;
}

int ctl_send(struct super *s, const struct reply_to *to, uint32_t type, const void *body, size_t len, const int *fds,
	     int nfds)
{
	struct client *c = client_of(s, to);
	if (!c)
		return -ENOTCONN;
	int r = msg_send(&c->chan, type, to->req, body, len, fds, nfds);
	/* A client that does not read its answers is not waited for. */
	if (r < 0 && r != -EPROTO)
		client_drop(s, c);
	return r;
}

void ctl_progress(struct super *s, const struct reply_to *to, unsigned step, unsigned steps, const char *text)
{
	struct rep_progress p = { .step = step, .steps = steps };
	snprintf(p.text, sizeof(p.text), "%s", text);
	ctl_send(s, to, MSG_REP_PROGRESS, &p, sizeof(p), NULL, 0);
}

void ctl_end(struct super *s, const struct reply_to *to, int status, const char *fmt, ...)
{
	struct rep_end e = { .status = status };
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	if (status < 0)
		log_warn("%s", e.text);
	ctl_send(s, to, MSG_REP_END, &e, sizeof(e), NULL, 0);
}

/* ---- commands ----------------------------------------------------------- */

static void cmd_apply(struct super *s, const struct reply_to *to, struct msg *m)
{
	static struct model wanted; /* too large for the stack */
	struct err e;
	int fd = msg_take_fd(m, 0), source = msg_take_fd(m, 1), rules = msg_take_fd(m, 2);
	int r = fd < 0 ? err_set(&e, -EPROTO, "up without a model") : model_open(fd, &wanted, &e);
	if (r == 0 && source >= 0) {
		struct ev_file f = { .name = "honeynet.yaml" };
		off_t size = lseek(source, 0, SEEK_END);
		f.size = size > 0 ? (uint64_t)size : 0;
		ask(s, &s->evidence, MSG_EV_FILE, &f, sizeof(f), &source, 1, 0, NULL, NULL);
	}
	if (fd >= 0)
		close(fd);
	if (source >= 0)
		close(source);
	if (r < 0) {
		if (rules >= 0)
			close(rules);
		ctl_end(s, to, r, "%s", e.text);
	} else {
		apply_request(s, to, &wanted, rules);
	}
}

static const char *const verb_names[MACHINE_VERB_COUNT] = { "start", "stop", "pause", "resume", "reset" };

void machine_cmd_done(struct super *s, struct machine *m, int status, const struct err *e)
{
	/* m->to is cleared by now: the request waits in m->cmd_to. */
	struct reply_to to = m->cmd_to;
	m->cmd_to = (struct reply_to){ 0 };
	if (status < 0)
		ctl_end(s, &to, status, "%s: %s", m->hp.name, e->text);
	else
		ctl_end(s, &to, 0, "%s is %s", m->hp.name, machine_state_name(m->state));
}

/* Which verb is legal in which state: bits of enum machine_state. */
static const unsigned legal[MACHINE_VERB_COUNT] = {
	[MACHINE_START] = 1u << MACHINE_STOPPED | 1u << MACHINE_FAILED,
	[MACHINE_STOP] = 1u << MACHINE_RUNNING | 1u << MACHINE_PAUSED | 1u << MACHINE_STARTING | 1u << MACHINE_FAILED,
	[MACHINE_PAUSE] = 1u << MACHINE_RUNNING,
	[MACHINE_RESUME] = 1u << MACHINE_PAUSED,
	[MACHINE_RESET] = 1u << MACHINE_RUNNING | 1u << MACHINE_PAUSED | 1u << MACHINE_STOPPED | 1u << MACHINE_FAILED,
};
/* The state in which a verb has nothing to do: success, as for anything idempotent. */
static const enum machine_state already[MACHINE_VERB_COUNT] = {
	[MACHINE_START] = MACHINE_RUNNING,  [MACHINE_STOP] = MACHINE_STOPPED,      [MACHINE_PAUSE] = MACHINE_PAUSED,
	[MACHINE_RESUME] = MACHINE_RUNNING, [MACHINE_RESET] = MACHINE_STATE_COUNT,
};

static struct machine *named(struct super *s, const struct reply_to *to, const char *name, size_t cap)
{
	struct machine *m = memchr(name, 0, cap) ? machine_find(s, name) : NULL;
	if (!m)
		ctl_end(s, to, -ENOENT, "%s has no honeypot %.31s", s->name, name);
	return m;
}

static void cmd_machine(struct super *s, const struct reply_to *to, const struct msg *msg)
{
	const struct cmd_machine *c = MSG_BODY_AS(msg, cmd_machine);
	struct machine *m = named(s, to, c->honeypot, sizeof(c->honeypot));
	if (!m)
		return;
	if (c->verb >= MACHINE_VERB_COUNT) {
		ctl_end(s, to, -EPROTO, "unknown verb");
		return;
	}
	if (s->life != LIFE_RUNNING || s->apply.state != APPLY_IDLE || policy_busy(s)) {
		ctl_end(s, to, -EBUSY, "%s is changing: try again when `up` or `down` is over", s->name);
		return;
	}
	if (m->state == already[c->verb] && m->job == JOB_NONE) {
		ctl_end(s, to, 0, "%s is %s already", m->hp.name, machine_state_name(m->state));
		return;
	}
	if (!(legal[c->verb] & 1u << m->state) || (m->job != JOB_NONE && c->verb != MACHINE_STOP) || m->cmd_to.client) {
		ctl_end(s, to, -EBUSY, "cannot %s %s: it is %s", verb_names[c->verb], m->hp.name,
			machine_state_name(m->state));
		return;
	}
	bool starts = c->verb == MACHINE_START || c->verb == MACHINE_RESET || c->verb == MACHINE_RESUME;
	if (starts && !super_alive(s)) {
		ctl_end(s, to, -EHOSTDOWN,
			"the gateway or evidence is down: run `skep up` with the honeynet's file first");
		return;
	}
	super_event(s, to, "operator", "skep.machine.command", m->hp.name, "%s", verb_names[c->verb]);
	m->to = m->cmd_to = *to;
	int r = 0;
	switch ((enum machine_verb)c->verb) {
	case MACHINE_START:
		r = machine_start(s, m, machine_cmd_done);
		break;
	case MACHINE_STOP:
		r = machine_stop(s, m, c->force, machine_cmd_done);
		break;
	case MACHINE_PAUSE:
	case MACHINE_RESUME:
		r = machine_pause(s, m, c->verb == MACHINE_PAUSE, machine_cmd_done);
		break;
	case MACHINE_RESET:
		r = machine_reset(s, m, machine_cmd_done);
		break;
	case MACHINE_VERB_COUNT:
		break;
	}
	if (r < 0) {
		m->cmd_to = (struct reply_to){ 0 };
		ctl_end(s, to, r, "cannot %s %s: %s", verb_names[c->verb], m->hp.name, strerror(-r));
	}
}

static void cmd_freeze(struct super *s, const struct reply_to *to, const struct cmd_freeze *c)
{
	/* At any time, whatever else goes on: it is for emergencies. */
	if (c->frozen > 1 || !memchr(c->honeypot, 0, sizeof(c->honeypot)))
		ctl_end(s, to, -EPROTO, "bad freeze");
	else
		freeze_request(s, to, c->honeypot, c->frozen != 0);
}

static void cmd_console(struct super *s, const struct reply_to *to, const struct msg *msg)
{
	const struct cmd_console *c = MSG_BODY_AS(msg, cmd_console);
	struct machine *m = named(s, to, c->honeypot, sizeof(c->honeypot));
	int pair[2];
	if (!m)
		return;
	if (m->handler.fd < 0 || !m->vmm_pid) {
		ctl_end(s, to, -ENOTCONN, "%s is %s: it has no console now", m->hp.name, machine_state_name(m->state));
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		ctl_end(s, to, -errno, "cannot make a socket pair for the console: %s", strerror(errno));
		return;
	}
	super_event(s, to, "operator", "skep.console", m->hp.name, "attached%s",
		    c->flags & CONSOLE_READONLY ? ", read only" : "");
	int r = ask(s, &m->handler, MSG_VMM_CONSOLE, c, sizeof(*c), &pair[0], 1, 0, NULL, NULL);
	struct rep_fds f = { .kind = 0 };
	if (r == 0)
		r = ctl_send(s, to, MSG_REP_FDS, &f, sizeof(f), &pair[1], 1);
	close(pair[0]);
	close(pair[1]);
	ctl_end(s, to, r, r < 0 ? "cannot attach to %s" : "attached to %s", m->hp.name);
}

static void lab_answer(struct super *s, void *arg, struct answer *a)
{
	struct reply_to to = { .client = (uint32_t)(uintptr_t)arg };
	if (a->more)
		return;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (s->clients[i].used && s->clients[i].id == to.client)
			to.req = s->clients[i].lab_req;
	if (a->status < 0 || !a->m) {
		ctl_end(s, &to, a->status, "%s", a->text);
		return;
	}
	struct rep_fds f = { .kind = 1 };
	ctl_send(s, &to, MSG_REP_FDS, &f, sizeof(f), a->m->fds, a->m->nfds);
	ctl_end(s, &to, 0, "lab");
}

static void cmd_lab(struct super *s, struct client *c, const struct reply_to *to, const struct cmd_lab *what)
{
	struct cmd_lab x = { .place = what->place };
	if (x.place == LAB_PLACE_LAB && s->model.magic && s->model.uplink != UPLINK_LAB) {
		ctl_end(s, to, -ENOENT, "%s has no lab: its file says `uplink: none`", s->name);
		return;
	}
	c->lab_req = to->req;
	super_event(s, to, "operator", "skep.lab", NULL,
		    x.place == LAB_PLACE_LAB ? "entered the lab" : "entered the place of the inline engine");
	int r = ask(s, &s->priv, MSG_PRIV_LAB_FDS, &x, sizeof(x), NULL, 0, 0, lab_answer, (void *)(uintptr_t)c->id);
	if (r < 0)
		ctl_end(s, to, r, "priv does not answer");
}

static void command(struct super *s, struct client *c, struct msg *m)
{
	struct reply_to to = { .client = c->id, .req = m->req, .uid = c->uid };
	switch (m->type) {
	case MSG_CMD_APPLY:
		cmd_apply(s, &to, m);
		break;
	case MSG_CMD_DOWN:
		super_event(s, &to, "operator", "skep.down", NULL, "down");
		super_down(s, &to, MSG_BODY_AS(m, cmd_down)->force != 0);
		break;
	case MSG_CMD_PS:
		ps_request(s, &to, MSG_BODY_AS(m, cmd_ps)->verbose != 0);
		break;
	case MSG_CMD_MACHINE:
		cmd_machine(s, &to, m);
		break;
	case MSG_CMD_CONSOLE:
		cmd_console(s, &to, m);
		break;
	case MSG_CMD_FREEZE:
		cmd_freeze(s, &to, MSG_BODY_AS(m, cmd_freeze));
		break;
	case MSG_CMD_ENGINE:
		engine_request(s, &to);
		break;
	case MSG_CMD_LAB:
		cmd_lab(s, c, &to, MSG_BODY_AS(m, cmd_lab));
		break;
	case MSG_CMD_POLICY:
		policy_request(s, &to, m);
		break;
	case MSG_CMD_NOTIFY:
		notify_take(s, c);
		break;
	default:
		break;
	}
}

static void on_client(void *arg, uint32_t events, uint64_t now)
{
	static struct msg m;
	struct client *c = arg;
	struct super *s = c->hub;
	struct err e;
	(void)events, (void)now;
	/* What is legal depends on our own state. */
	c->chan.state = s->life == LIFE_DOWN ? STATE_DRAIN : STATE_RUN;
	int r = msg_recv(&c->chan, &m, &e);
	if (r == 0)
		return;
	if (r < 0) {
		if (r != -EPIPE)
			log_warn("control socket: %s", e.text);
		client_drop(s, c);
		return;
	}
	command(s, c, &m);
	msg_close_fds(&m);
}

static void on_listen(void *arg, uint32_t events, uint64_t now)
{
	struct super *s = arg;
	(void)events, (void)now;
	int fd = accept4(s->listen_src.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct client *c = NULL;
	for (unsigned i = 0; i < CLIENTS && !c; i++)
		if (!s->clients[i].used)
			c = &s->clients[i];
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0;
	bool allowed =
	    known && (cred.uid == 0 || cred.uid == s->operator_uid || cred.uid == getuid() || cred.uid == OVERFLOW_UID);
	if (!c || !allowed) {
		log_warn("control socket: %s", c ? "refused another user" : "too many operators at once");
		close(fd);
		return;
	}
	*c = (struct client){ .hub = s, .used = true, .id = ++s->next_client, .uid = cred.uid };
	if (c->uid == OVERFLOW_UID)
		c->uid = s->operator_uid;
	c->chan = (struct chan){ .fd = fd, .self = ROLE_SUPER, .peer = ROLE_CLI, .state = STATE_RUN };
	if (ev_add(&s->ev, &c->src, fd, EPOLLIN, on_client, c) < 0)
		client_drop(s, c);
}

int ctl_listen(struct super *s, int fd)
{
	return ev_add(&s->ev, &s->listen_src, fd, EPOLLIN, on_listen, s);
}
