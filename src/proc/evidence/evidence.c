/* SPDX-License-Identifier: ISC */
/*
 * The evidence process: the only writer of evidence.
 *
 * Theory of operation. Frames and flows come through rings (drain.c), events
 * and console bytes as messages; output.c decides which file they go to;
 * store.c buffers, writes, syncs and journals. One thread does all of it: the
 * rings are the buffer for the time that the disk takes. Every turn of the loop
 * ends in housekeep(), which commits when it is time and sends the answers that
 * waited for it: an EV_DONE for something that had to be kept means that it is
 * on the disk.
 *
 * When writing fails, or free space falls below the limit, all rings are
 * stopped for good: the gateway then drops every frame, since none can be
 * recorded. super is told; what was written stays readable. Nothing is tried
 * again in this process.
 *
 * After isolate_role it needs, besides messages, waiting and memory: openat,
 * mkdirat, unlinkat, renameat, newfstatat, ftruncate, fdatasync, flock, fstatfs,
 * getdents64, pread64 - all below the directory fd - and no threads.
 */
#include "proc/evidence/evidence.h"

#include "base/log.h"
#include "proc/evidence/role.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_MS = 5, STATS_SEC = 10, FILE_MAX_BYTES = 16 << 20, SOURCE_BATCH = 64, DRAIN_TURNS = 50 };

void evidence_tell(struct evidence *e, int status, const char *text)
{
	struct ev_state s = { .status = status };
	snprintf(s.text, sizeof(s.text), "%s", text);
	msg_send_wait(&e->super, MSG_EV_STATE, 0, &s, sizeof(s), NULL, 0, 200);
}

static void answer(struct evidence *e, uint64_t req, int status, const char *text)
{
	struct done d = { .status = status };
	snprintf(d.text, sizeof(d.text), "%s", text ? text : "");
	msg_send_wait(&e->super, MSG_EV_DONE, req, &d, sizeof(d), NULL, 0, 1000);
}

/* ---- stopping ------------------------------------------------------------- */

static void stopped(struct evidence *e, int code, const char *why)
{
	char text[ERR_TEXT];
	snprintf(text, sizeof(text),
		 "evidence stopped: %s. Every frame is dropped from now on. %s, then stop the honeynet "
		 "(skep down) and start it again (skep up)",
		 why,
		 code == -ENOSPC || code == -EDQUOT ? "Free space on the disk, or lower evidence.max_bytes"
						    : "Look after the disk");
	e->stopped = code;
	drain_stop(e, code);
	ev_timer_cancel(&e->ev, &e->drain_timer);
	ev_timer_cancel(&e->ev, &e->stats_timer);
	ev_timer_cancel(&e->ev, &e->commit_timer);
	log_error("%s", text);
	evidence_tell(e, code, text);
	for (unsigned i = 0; i < e->nreplies; i++)
		answer(e, e->replies[i].req, code, text);
	e->nreplies = 0;
}

static int stop_record(struct evidence *e, int code, const char *text)
{
	uint8_t b[4 + 200];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_u32(&body, (uint32_t)code);
	body_bytes(&body, text, strnlen(text, 200));
	return store_record(&e->store, J_STOP, e->now, b, body.n);
}

/* Drains, ends every file and commits. */
static int close_all(struct evidence *e, int code, const char *text)
{
	drain_all(e);
	if (!e->store.failed)
		stats_write(e, e->now);
	output_notes(e, e->now);
	output_close(e, e->now);
	stop_record(e, code, text);
	return store_commit(&e->store, e->now);
}

/* There is still room, so that what was published until now can be kept. */
static void stop_low(struct evidence *e)
{
	static const char text[] = "free space is below evidence.min_free";
	drain_stop(e, -ENOSPC);
	output_note(e, "skep.evidence.stopped", NULL, text, e->now);
	int r = close_all(e, -ENOSPC, text);
	if (r < 0)
		stopped(e, r, e->store.why.text);
	else
		stopped(e, -ENOSPC, text);
}

/* ---- the loop ------------------------------------------------------------- */

static void housekeep(struct evidence *e)
{
	struct store *s = &e->store;
	/* quit() has sealed the journal: nothing follows. */
	if (!e->configured || e->stopped || e->ev.quit)
		return;
	output_notes(e, e->now);
	store_tick(s, e->now, e->ev.now);
	if (s->failed) {
		stopped(e, s->failed, s->why.text);
		return;
	}
	if (s->low) {
		stop_low(e);
		return;
	}
	unsigned left = 0;
	for (unsigned i = 0; i < e->nreplies; i++) {
		if (store_durable(s, e->replies[i].ticket))
			answer(e, e->replies[i].req, 0, NULL);
		else
			e->replies[left++] = e->replies[i];
	}
	e->nreplies = left;
	ev_timer_set(&e->ev, &e->commit_timer, store_deadline(s), e->commit_timer.fn, e);
}

static void on_commit_timer(void *arg, uint64_t now)
{
	(void)arg;
	(void)now; /* housekeep does it at the end of the turn */
}

static void on_drain(void *arg, uint64_t now)
{
	struct evidence *e = arg;
	bool more, any;
	e->now = ev_realtime();
	if (e->stopped)
		return;
	int r = drain_pass(e, &more, &any);
	if (r < 0)
		return; /* housekeep sees that the store failed */
	if (!more && !any && drain_sleep(e))
		return;
	ev_timer_set(&e->ev, &e->drain_timer, more ? now : now + DRAIN_MS * EV_MS, on_drain, e);
}

static void on_stats(void *arg, uint64_t now)
{
	struct evidence *e = arg;
	e->now = ev_realtime();
	stats_write(e, e->now);
	output_age(e, e->now);
	retain_apply(&e->store, e->now);
	ev_timer_set(&e->ev, &e->stats_timer, now + STATS_SEC * EV_SEC, on_stats, e);
}

/* ---- messages ------------------------------------------------------------- */

static void set_limits(struct evidence *e, const struct evidence_conf *c)
{
	struct store_conf *s = &e->store.conf;
	s->max_bytes = c->max_bytes;
	s->max_age = c->max_age;
	s->min_free = c->min_free;
	e->rotate_bytes = c->rotate_bytes ? c->rotate_bytes : 64u << 20;
	/* A limit can only be kept by removing whole files: keep them small. */
	if (c->max_bytes && e->rotate_bytes > c->max_bytes / 4)
		e->rotate_bytes = c->max_bytes / 4;
	if (e->rotate_bytes < 4096)
		e->rotate_bytes = 4096;
	e->rotate_age = 0;
	if (c->max_age) {
		e->rotate_age = c->max_age / 10;
		if (e->rotate_age < 60)
			e->rotate_age = 60;
		if (e->rotate_age > 86400)
			e->rotate_age = 86400;
		e->rotate_age *= EV_SEC;
	}
}

static int on_conf(struct evidence *e, const struct msg *m, struct err *err)
{
	const struct ev_conf *c = MSG_BODY_AS(m, ev_conf);
	if (!MSG_TEXT(c->honeynet) || !MSG_TEXT(c->version))
		return err_set(err, -EPROTO, "unterminated text");
	if (e->configured) {
		set_limits(e, &c->conf);
		return 0;
	}
	struct store_conf sc = { .max_bytes = c->conf.max_bytes,
				 .max_age = c->conf.max_age,
				 .min_free = c->conf.min_free };
	char text[120];
	snprintf(text, sizeof(text), "%.31s skep %.31s", c->honeynet, c->version);
	int r = store_open(&e->store, e->dirfd, text, &sc, &store_real_io, e->now, err);
	if (r < 0) {
		store_free(&e->store);
		return r;
	}
	e->conf = *c;
	e->configured = true;
	e->started = e->now;
	e->eve.honeynet = e->conf.honeynet;
	set_limits(e, &c->conf);
	snprintf(e->app, sizeof(e->app), "skep %s", c->version);
	ev_timer_set(&e->ev, &e->stats_timer, e->ev.now + STATS_SEC * EV_SEC, on_stats, e);
	r = output_open(e, e->now);
	if (!r)
		r = output_note(e, "skep.evidence.started", NULL, text, e->now);
	return r < 0 ? err_set(err, r, "%s", e->store.why.text) : 0;
}

static int on_ring(struct evidence *e, struct msg *m, struct err *err)
{
	const struct ev_ring *c = MSG_BODY_AS(m, ev_ring);
	if (c->port >= PORTS_MAX || !MSG_TEXT(c->name) || !MSG_TEXT(c->network) || m->nfds != 2)
		return err_set(err, -EPROTO, "broken ring message");
	int wakefd = msg_take_fd(m, 1);
	int r = drain_add(e, c, m->fds[0], wakefd, err);
	if (r < 0) {
		close(wakefd);
		return r;
	}
	ev_timer_set(&e->ev, &e->drain_timer, e->ev.now, on_drain, e);
	return 0;
}

static bool file_name_ok(const char *s)
{
	if (!*s || *s == '.')
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '.' ||
		      *s == '-' || *s == '_'))
			return false;
	return true;
}

static int on_file(struct evidence *e, struct msg *m, struct err *err)
{
	const struct ev_file *f = MSG_BODY_AS(m, ev_file);
	struct stat st;
	if (!MSG_TEXT(f->name) || !file_name_ok(f->name) || m->nfds != 1)
		return err_set(err, -EPROTO, "broken file message");
	if (f->size > FILE_MAX_BYTES)
		return err_set(err, -EFBIG, "%s is too large to be kept", f->name);
	if (fstat(m->fds[0], &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < f->size)
		return err_set(err, -EINVAL, "%s is not a file of %llu bytes", f->name, (unsigned long long)f->size);
	char *p = malloc(f->size ? f->size : 1);
	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	uint64_t got = 0;
	while (got < f->size) {
		ssize_t n = pread(m->fds[0], p + got, f->size - got, (off_t)got);
		if (n <= 0)
			break;
		got += (uint64_t)n;
	}
	int r = got == f->size ? store_file(&e->store, f->name, p, got, e->now)
			       : err_set(err, -EIO, "cannot read %s", f->name);
	free(p);
	return r < 0 && e->store.failed ? err_set(err, r, "%s", e->store.why.text) : r;
}

static bool event_ok(const struct ev_event *v)
{
	static const char *const types[] = { "machine",       "policy",  "evidence", "operator",
					     "introspection", "trigger", "engine" };
	if (!MSG_TEXT(v->type) || !MSG_TEXT(v->eventid) || !MSG_TEXT(v->honeypot) || !MSG_TEXT(v->message))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(v->type, types[i]))
			return true;
	return false;
}

static int on_event(struct evidence *e, const struct ev_event *v, const char *source)
{
	if (!event_ok(v))
		return -EPROTO;
	if (!e->configured || e->stopped)
		return 0;
	struct json j = output_json(e);
	eve_event(&e->eve, &j, v, source, e->now);
	return output_event(e, &j, e->now);
}

/* ---- sockets of handlers and introspect processes ------------------------------------------------------- */

static void source_close(struct source *s)
{
	struct evidence *e = s->owner;
	for (struct source **p = &e->sources; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	ev_del(&e->ev, &s->ev);
	chan_close(&s->chan);
	free(s);
}

static int intro_message(struct source *s, const struct msg *m)
{
	struct evidence *e = s->owner;
	struct slice body = slice_of(m->body, m->len);
	struct ev_intro x;
	if (m->type != MSG_EV_INTRO || !slice_get(&body, &x, sizeof(x)))
		return -EPROTO;
	if (!e->configured || e->stopped)
		return 0;
	return output_intro(e, s->honeypot, &s->seq, x.n, body);
}

static int sink_message(struct source *s, struct msg *m)
{
	struct evidence *e = s->owner;
	if (m->type != MSG_EV_SINK)
		return -EPROTO;
	if (!e->configured || e->stopped)
		return 0;
	return output_sink(e, s, slice_of(m->body, m->len), m->nfds ? m->fds[0] : -1);
}

static int source_message(struct source *s, struct msg *m)
{
	struct evidence *e = s->owner;
	if (s->chan.peer == ROLE_SINKHOLE)
		return sink_message(s, m);
	if (s->chan.peer == ROLE_INTROSPECT)
		return intro_message(s, m);
	if (m->type == MSG_EV_VMM_EVENT) {
		/* It speaks for its own honeypot, about its machine, as itself. */
		struct ev_event v = *MSG_BODY_AS(m, ev_event);
		if (!MSG_TEXT(v.type) || strcmp(v.type, "machine") != 0)
			return -EPROTO;
		snprintf(v.honeypot, sizeof(v.honeypot), "%s", s->honeypot);
		v.request = 0;
		return on_event(e, &v, "vmm");
	}
	if (m->type != MSG_EV_CONSOLE)
		return -EPROTO;
	struct slice body = slice_of(m->body, m->len);
	struct ev_console c;
	if (!slice_get(&body, &c, sizeof(c)) || c.dir > 1)
		return -EPROTO;
	if (!e->configured || e->stopped || !body.n)
		return 0;
	return output_console(e, s->honeypot, &c, body.p, body.n, e->now);
}

/* One batch of messages. False: there are no more, or the source is no more. */
static bool source_read(struct source *s)
{
	struct evidence *e = s->owner;
	for (int i = 0; i < SOURCE_BATCH; i++) {
		struct err err = { 0 };
		int r = msg_recv(&s->chan, &e->msg, &err);
		if (!r)
			return false;
		if (r > 0) {
			r = source_message(s, &e->msg);
			msg_close_fds(&e->msg);
		}
		if (e->store.failed)
			return false; /* housekeep says so */
		if (r == -EPROTO) {
			const char *who = role_name(s->chan.peer);
			char text[80];
			log_warn("%s of %s broke the protocol: %s", who, s->honeypot, err.text);
			snprintf(text, sizeof(text), "its %s process sent a broken record", who);
			output_note(e, "skep.evidence.protocol", s->honeypot, text, e->now);
		}
		if (r < 0) {
			source_close(s);
			return false;
		}
	}
	return true;
}

static void on_source(void *arg, uint32_t events, uint64_t now)
{
	struct source *s = arg;
	(void)events;
	(void)now;
	s->owner->now = ev_realtime();
	source_read(s);
}

static int on_source_add(struct evidence *e, struct msg *m, struct err *err)
{
	const struct ev_source_add *a = MSG_BODY_AS(m, ev_source_add);
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	enum role role = a->role ? (enum role)a->role : ROLE_VMM;
	if (!MSG_TEXT(a->honeypot) || !file_name_ok(a->honeypot) || m->nfds != 1 ||
	    (role != ROLE_VMM && role != ROLE_INTROSPECT && role != ROLE_SINKHOLE)) {
		free(s);
		return err_set(err, -EPROTO, "broken source message");
	}
	s->owner = e;
	snprintf(s->honeypot, sizeof(s->honeypot), "%s", a->honeypot);
	s->chan = (struct chan){ .self = ROLE_EVIDENCE, .peer = role, .state = STATE_RUN };
	s->chan.fd = msg_take_fd(m, 0);
	int fl = fcntl(s->chan.fd, F_GETFL);
	fcntl(s->chan.fd, F_SETFL, fl | O_NONBLOCK);
	int r = ev_add(&e->ev, &s->ev, s->chan.fd, EPOLLIN, on_source, s);
	if (r < 0) {
		chan_close(&s->chan);
		free(s);
		return err_sys(err, r, "cannot listen to the handler of %s", a->honeypot);
	}
	s->next = e->sources;
	e->sources = s;
	return 0;
}

/* ---- super ---------------------------------------------------------------- */

/* What is in its socket; one that goes on sending does not keep us for ever. */
static void source_drain(struct source *s)
{
	for (int i = 0; i < 64 && source_read(s); i++) {
	}
}

/* What was sent before the end belongs to it. With super gone, the introspect
 * processes are ending too, and still read what their rings hold. */
static void drain_sources(struct evidence *e, bool super_gone)
{
	bool intro = super_gone;
	for (int turns = 0; intro && turns < DRAIN_TURNS; turns++) {
		intro = false;
		for (struct source *s = e->sources, *next; s && !e->store.failed; s = next) {
			next = s->next;
			if (s->chan.peer != ROLE_INTROSPECT)
				continue;
			source_drain(s);
		}
		for (struct source *s = e->sources; s; s = s->next)
			intro |= s->chan.peer == ROLE_INTROSPECT;
		if (intro)
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	for (struct source *s = e->sources, *next; s && !e->store.failed; s = next) {
		next = s->next;
		source_drain(s);
	}
}

static int quit(struct evidence *e, bool super_gone)
{
	int r = 0;
	e->super.state = STATE_DRAIN;
	e->ev.quit = true;
	if (e->configured && !e->stopped) {
		drain_sources(e, super_gone);
		r = close_all(e, 0, "asked to");
		for (unsigned i = 0; i < e->nreplies && !r; i++)
			answer(e, e->replies[i].req, 0, NULL);
		if (r < 0)
			stopped(e, r, e->store.why.text);
	}
	return e->stopped;
}

/* 1: the answer comes when the commit is done. */
static int handle(struct evidence *e, struct msg *m, struct err *err)
{
	int r;
	if (e->stopped && m->type != MSG_EV_QUIT && m->type != MSG_EV_EVENT && m->type != MSG_EV_RING_DEL)
		return err_set(err, e->stopped, "evidence has stopped: %s", e->store.why.text);
	if (!e->configured && m->type != MSG_EV_CONF && m->type != MSG_EV_QUIT && m->type != MSG_EV_EVENT)
		return err_set(err, -EPROTO, "evidence is not configured yet");
	switch (m->type) {
	case MSG_EV_CONF:
		return on_conf(e, m, err);
	case MSG_EV_RING:
		return on_ring(e, m, err);
	case MSG_EV_RING_DEL:
		r = drain_del(e, MSG_BODY_AS(m, ev_ring_del)->port);
		if (r == -ENOENT)
			return err_set(err, r, "no such ring");
		return r < 0 ? err_set(err, r, "%s", e->store.why.text) : !e->stopped;
	case MSG_EV_SOURCE:
		return on_source_add(e, m, err);
	case MSG_EV_FILE:
		r = on_file(e, m, err);
		return r < 0 ? r : 1;
	case MSG_EV_QUIT:
		r = quit(e, false);
		return r < 0 ? err_set(err, r, "%s", e->store.why.text) : 0;
	default:
		return err_set(err, -EPROTO, "unexpected message");
	}
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct evidence *e = arg;
	(void)events;
	(void)now;
	e->now = ev_realtime();
	while (!e->ev.quit) {
		struct err err = { 0 };
		struct msg *m = &e->msg;
		int r = msg_recv(&e->super, m, &err);
		if (!r)
			return;
		if (r == -EPROTO) {
			log_error("%s", err.text);
			continue;
		}
		if (r < 0) {
			/* super is gone: keep what is there, then go too. */
			chan_close(&e->super);
			quit(e, true);
			return;
		}
		if (m->type == MSG_EV_EVENT) {
			on_event(e, MSG_BODY_AS(m, ev_event), "super");
			msg_close_fds(m);
			continue;
		}
		uint64_t req = m->req;
		r = handle(e, m, &err);
		msg_close_fds(m);
		if (r == 1 && e->nreplies < REPLIES)
			e->replies[e->nreplies++] = (struct reply){ req, store_ticket(&e->store) };
		else if (r == 1)
			answer(e, req, store_commit(&e->store, e->now), NULL);
		else
			answer(e, req, r, err.text);
		if (e->super.state == STATE_INIT && e->configured)
			e->super.state = STATE_RUN;
	}
}

static const char *port_name(void *arg, uint16_t port)
{
	const struct evidence *e = arg;
	return port < PORTS_MAX && e->ports[port] ? e->ports[port]->conf.name : NULL;
}

static const char *port_network(void *arg, uint16_t port)
{
	const struct evidence *e = arg;
	return port < PORTS_MAX && e->ports[port] ? e->ports[port]->conf.network : NULL;
}

static int init(struct evidence *e, struct err *err)
{
	struct utsname u;
	signal(SIGPIPE, SIG_IGN);
	if (uname(&u) < 0)
		return err_sys(err, -errno, "cannot ask for this computer's name");
	snprintf(e->sensor, sizeof(e->sensor), "%s", u.nodename);
	snprintf(e->hardware, sizeof(e->hardware), "%s", u.machine);
	snprintf(e->os, sizeof(e->os), "%s %s", u.sysname, u.release);
	e->dirfd = ROLE_FD_FIRST;
	e->eve = (struct eve){
		.honeynet = "", .sensor = e->sensor, .port_name = port_name, .port_network = port_network, .arg = e
	};
	e->super =
	    (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_EVIDENCE, .peer = ROLE_SUPER, .state = STATE_INIT };
	e->scratch = malloc(SCRATCH);
	if (!e->scratch || sodium_init() < 0)
		return err_set(err, -ENOMEM, "cannot initialise");
	int r = eve_init(err);
	if (r < 0)
		return r;
	fcntl(e->super.fd, F_SETFL, fcntl(e->super.fd, F_GETFL) | O_NONBLOCK);
	r = ev_init(&e->ev, NULL);
	if (!r)
		r = ev_add(&e->ev, &e->super_ev, e->super.fd, EPOLLIN, on_super, e);
	if (!r) {
		const struct isolate_opts o = { .dirfd = e->dirfd };
		r = isolate_role(ROLE_EVIDENCE, &o, err);
		if (r < 0)
			return r;
	}
	e->drain_timer.fn = on_drain;
	e->commit_timer.fn = on_commit_timer;
	return r < 0 ? err_sys(err, r, "cannot make an event loop") : 0;
}

int evidence_main(int argc, char **argv)
{
	static struct evidence e;
	struct err err = { 0 };
	(void)argc;
	(void)argv;
	log_init("evidence", LOG_L_INFO);
	if (init(&e, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	while (!e.ev.quit) {
		int r = ev_turn(&e.ev, -1);
		if (r < 0) {
			log_error("event loop: %s", strerror(-r));
			return 1;
		}
		e.now = ev_realtime();
		housekeep(&e);
	}
	return e.stopped ? 1 : 0;
}
