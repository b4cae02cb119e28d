/* SPDX-License-Identifier: ISC */
/*
 * The process that watches the inside of one honeypot: reads what the guest's
 * hooks write, makes sessions of it, and gives records to evidence. It holds
 * the fds 3 super, 4 evidence, 5 the guest kernel's file (closed once the plan is
 * there), the ring, the plan, and the guest's memory, read only.
 *
 * One process serves one run of one machine: PREPARE, START, QUIT. A guest that
 * restarts has new memory, which comes with another START. Facts are
 * removed from the ring only when evidence has their records, so that a death
 * between loses nothing; the next process on the same ring may write the last
 * few of them twice. When evidence does not read, nothing is read here.
 *
 * System calls after isolate_role(ROLE_INTROSPECT): read write close fstat pread64
 * pwrite64 memfd_create ftruncate fcntl(seals) mmap munmap recvmsg sendmsg poll
 * epoll_wait epoll_ctl clock_gettime brk madvise exit_group. No path, no socket.
 */
#include "proc/introspect/introspect.h"

#include "base/log.h"
#include "base/text.h"
#include "guest/plan.h"
#include "proc/introspect/batch.h"
#include "proc/introspect/gmem.h"
#include "proc/introspect/probe_watch.h"
#include "proc/introspect/source.h"
#include "proc/introspect/tamper.h"
#include "proc/introspect/track.h"
#include "proc/introspect/watch.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#define FD_KERNEL 5
#define TICK (2 * EV_SEC)
#define FINISH_MS 6000
#define TURN 4096u

static struct introspect {
	struct ev ev;
	struct chan super, evidence;
	struct ev_source super_src, evidence_src;
	struct ev_timer tick;
	struct batches out;
	struct source src;
	struct tamper tamper;
	uint64_t last_task; /* of the last fact */
	struct probe_watch probe_watch;
	struct watches watches;
	struct track *track;
	struct hook_plan plan;
	int plan_fd, ring_fd, mem_fd, pid_fd;
	bool prepared, again, started, watching;
	bool tell_up, tell_tampered;
	char why[160]; /* tampered */
	struct intro_state told;
	int status;
} x = { .plan_fd = -1, .ring_fd = -1, .mem_fd = -1, .pid_fd = -1 };
static struct msg in;

/* ---- super ------------------------------------------------------------------ */

static void done(uint64_t req, int status, const char *text, const int *fds, int nfds)
{
	struct done d = { .status = status };
	text_safe(d.text, sizeof(d.text), text, strlen(text), false);
	if (msg_send_wait(&x.super, MSG_INTRO_DONE, req, &d, sizeof(d), fds, nfds, 5000) < 0)
		x.ev.quit = true;
}

static struct intro_state figures(enum intro_event event)
{
	return (struct intro_state){ .event = (uint32_t)event,
				     .records = x.track ? x.track->emit.seq : 0,
				     .lost = x.track ? x.track->lost : 0,
				     .sessions = x.track ? x.track->sessions.made : 0 };
}

static bool state(enum intro_event event, const char *text)
{
	struct intro_state s = figures(event);
	text_safe(s.text, sizeof(s.text), text, strlen(text), false);
	if (msg_send(&x.super, MSG_INTRO_STATE, 0, &s, sizeof(s), NULL, 0) < 0)
		return false; /* again at the next tick */
	x.told = s;
	return true;
}

static void tell(void)
{
	char text[160];
	if (x.tell_up) {
		unsigned absent = (unsigned)__builtin_popcountll(x.track->absent);
		int n = snprintf(text, sizeof(text), "%d %s", __builtin_popcountll(x.track->placed),
				 x.src.way == INTRO_WAY_PROBES ? "probes" : "hooks");
		for (unsigned i = 0; i < HOOK_SITE_COUNT && absent; i++)
			if (x.track->absent >> i & 1 && (size_t)n < sizeof(text))
				n += snprintf(text + n, sizeof(text) - (size_t)n, ", no %s",
					      guest_site_name((enum hook_site)i));
		x.tell_up = !state(INTRO_EV_UP, text);
	}
	if (x.tell_tampered)
		x.tell_tampered = !state(INTRO_EV_TAMPERED, x.why);
}

/* What triggers wait for. What super does not read just now waits for a tick. */
static void tell_hits(uint64_t now)
{
	struct intro_hit hit;
	while (watches_next(&x.watches, now, &hit) &&
	       msg_send(&x.super, MSG_INTRO_HIT, 0, &hit, sizeof(hit), NULL, 0) == 0)
		watches_told(&x.watches, now, &hit);
}

static void on_tick(void *arg, uint64_t now)
{
	(void)arg;
	tell_hits(now);
	struct intro_state s = figures(INTRO_EV_LOSS);
	tell();
	if (s.records != x.told.records || s.lost != x.told.lost || s.sessions != x.told.sessions)
		state(s.lost != x.told.lost ? INTRO_EV_LOSS : INTRO_EV_UP, "");
	ev_timer_set(&x.ev, &x.tick, now + TICK, on_tick, NULL);
}

/* ---- records ---------------------------------------------------------------- */

static void on_evidence(void *arg, uint32_t events, uint64_t now);

static void on_record(void *out, const struct intro_rec *rec, size_t n)
{
	batch_record(out, rec, n);
	watches_record(&x.watches, rec, n);
}

static void evidence_failed(void)
{
	log_error("evidence takes no records any more: %s", strerror(-x.out.error));
	x.status = 1;
	x.ev.quit = true;
}

/* Sends what there is; true if evidence has everything. */
static bool flush(void)
{
	bool all = batch_flush(&x.out);
	if (x.out.error)
		evidence_failed();
	else if (!all && !x.evidence_src.live)
		ev_add(&x.ev, &x.evidence_src, x.evidence.fd, EPOLLOUT, on_evidence, NULL);
	source_pause(&x.src, !all);
	return all;
}

static void on_evidence(void *arg, uint32_t events, uint64_t now)
{
	(void)arg;
	(void)events;
	(void)now;
	if (!flush()) {
		if (x.out.error)
			ev_del(&x.ev, &x.evidence_src);
		return;
	}
	ev_del(&x.ev, &x.evidence_src);
	source_release(&x.src);
	source_drain(&x.src, TURN);
}

static bool on_kept(void *arg)
{
	(void)arg;
	return flush();
}

static void tampered(const char *what)
{
	/* Who did something last, as far as the guest's memory says. */
	const struct gmem g = { x.mem_fd, &x.plan };
	char who[240], text[400];
	bool known = x.mem_fd >= 0 && gmem_describe(&g, x.last_task, who, sizeof(who));
	snprintf(text, sizeof(text), "%s%s%s", what, known ? "; last seen: " : "", known ? who : "");
	snprintf(x.why, sizeof(x.why), "%.159s", text);
	x.tell_tampered = true;
	track_tamper(x.track, ev_realtime(), text);
	flush();
	tell();
}

static void on_tamper(void *arg, const char *what)
{
	(void)arg;
	tampered(what);
}

static void on_broken(void *arg, const char *why)
{
	(void)arg;
	tampered(why);
}

static void watch_stop(void)
{
	probe_watch_stop(&x.probe_watch);
	if (x.watching)
		tamper_stop(&x.tamper);
}

static void watch_hooks(uint64_t placed)
{
	if (x.mem_fd < 0)
		return;
	watch_stop();
	if (x.src.way == INTRO_WAY_PROBES) {
		probe_watch_start(&x.probe_watch, &x.ev, x.mem_fd, &x.plan, on_tamper, NULL);
		return;
	}
	x.watching = true;
	tamper_start(&x.tamper, &x.ev, x.mem_fd, &x.plan, placed, on_tamper, NULL);
}

static void on_fact(void *arg, const struct fact *f)
{
	(void)arg;
	bool known = x.track->hello;
	track_fact(x.track, f);
	if (f->type < HOOK_TYPE_COUNT)
		x.last_task = f->task;
	if (f->type == HOOK_HELLO) {
		watch_hooks(x.track->placed);
		x.tell_up = true;
		if (!known)
			tell();
	}
	if (x.watches.pending)
		tell_hits(x.ev.now);
	if (x.out.blocked)
		flush(); /* pauses the source after this fact */
}

/* ---- commands --------------------------------------------------------------- */

static int make_plan(int fd, struct err *e)
{
	if (fd >= 0)
		return guest_plan_load(fd, &x.plan, e);
	return guest_plan_make(FD_KERNEL, &x.plan, e);
}

static int prepare(struct msg *m, struct err *e)
{
	const struct intro_prepare *p = MSG_BODY_AS(m, intro_prepare);
	if (x.prepared)
		return err_set(e, -EALREADY, "this process is prepared already");
	int plan = msg_take_fd(m, 0), ring = msg_take_fd(m, 1);
	x.again = ring >= 0;
	int r = make_plan(plan, e);
	if (plan >= 0)
		close(plan);
	if (!r && ring < 0 && p->ring_bytes) {
		ring = ring_create(p->ring_bytes, e);
		r = ring < 0 ? ring : 0;
	}
	if (!r) {
		plan = guest_plan_seal(&x.plan, e);
		r = plan < 0 ? plan : 0;
	}
	if (r < 0) {
		if (ring >= 0)
			close(ring);
		return r;
	}
	close(FD_KERNEL);
	x.plan_fd = plan;
	x.ring_fd = ring;
	x.prepared = true;
	return 0;
}

/* Of hooks that were placed before this process began: where something else stands
 * than the kernel's own code. */
static uint64_t placed_before(void)
{
	uint64_t placed = 0;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		const struct hook_place *s = &x.plan.site[i];
		uint8_t now[5];
		if (s->addr && s->keep && pread(x.mem_fd, now, sizeof(now), (off_t)s->addr) == sizeof(now) &&
		    memcmp(now, s->orig, sizeof(now)) != 0)
			placed |= UINT64_C(1) << i;
	}
	return placed;
}

/* The guest's kernel has executed itself anew: what we could read is gone. */
static int start_again(struct msg *m, struct err *e)
{
	int mem = msg_take_fd(m, 0), pid = msg_take_fd(m, 1);
	if (mem < 0 || pid < 0) {
		close(mem >= 0 ? mem : pid);
		return err_set(e, -EPROTO, "no memory came");
	}
	close(x.mem_fd);
	close(x.pid_fd);
	x.mem_fd = mem;
	x.pid_fd = pid;
	if (x.track->hello)
		watch_hooks(x.track->placed);
	return 0;
}

static int start(struct msg *m, struct err *e)
{
	uint32_t way = MSG_BODY_AS(m, intro_start)->way;
	uint64_t seed;
	bool probes = way == INTRO_WAY_PROBES;
	if (!x.prepared)
		return err_set(e, -EPROTO, "this process is not prepared");
	if (x.started)
		return start_again(m, e);
	if (way >= INTRO_WAY_COUNT)
		return err_set(e, -ERANGE, "no way %u to watch a guest", way);
	if (!probes && x.ring_fd < 0)
		return err_set(e, -EPROTO, "no ring was made");
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return err_sys(e, -errno, "no random numbers");
	x.track = track_new((enum intro_way)way, seed, on_record, &x.out);
	if (!x.track)
		return err_set(e, -ENOMEM, "no memory for the tables of processes and sessions");
	const int fds[2] = { probes ? msg_take_fd(m, 2) : x.ring_fd, msg_take_fd(m, 3) };
	int r = source_start(&x.src, (enum intro_way)way, &x.ev, fds, on_fact, on_broken, on_kept, e);
	for (int i = 0; i < 2; i++) /* they are mapped */
		if (fds[i] >= 0 && fds[i] != x.ring_fd)
			close(fds[i]);
	if (r < 0)
		return r;
	x.mem_fd = msg_take_fd(m, 0);
	x.pid_fd = msg_take_fd(m, 1);
	x.started = true;
	x.super.state = STATE_RUN;
	if (x.again && x.mem_fd >= 0 && !probes)
		watch_hooks(placed_before());
	return 0;
}

/* Everything that the ring holds, then the end of all sessions. */
static int finish(struct err *e)
{
	uint64_t end = ev_monotonic() + FINISH_MS * EV_MS;
	x.super.state = STATE_DRAIN;
	if (x.evidence_src.live)
		ev_del(&x.ev, &x.evidence_src);
	watch_stop();
	if (!x.started)
		return 0;
	while (!x.out.error && ev_monotonic() < end) {
		if (!batch_flush_wait(&x.out, 1000))
			continue;
		source_release(&x.src);
		source_pause(&x.src, false);
		if (!source_drain(&x.src, TURN) && batch_flush(&x.out))
			break;
		if (x.evidence_src.live)
			ev_del(&x.ev, &x.evidence_src);
	}
	source_end(&x.src);
	track_end(x.track, ev_realtime());
	if (!batch_flush_wait(&x.out, 1000))
		return err_set(e, x.out.error ? x.out.error : -ETIMEDOUT, "evidence did not take the last records");
	source_release(&x.src);
	source_stop(&x.src);
	return 0;
}

static void command(struct msg *m)
{
	struct err e = { 0 };
	int r;
	switch (m->type) {
	case MSG_INTRO_PREPARE:
		r = prepare(m, &e);
		done(m->req, r, r < 0 ? e.text : "", (int[]){ x.ring_fd, x.plan_fd }, r < 0 || x.ring_fd < 0 ? 0 : 2);
		break;
	case MSG_INTRO_START:
		r = start(m, &e);
		done(m->req, r, r < 0 ? e.text : "", NULL, 0);
		break;
	case MSG_INTRO_WATCH:
		r = watches_set(&x.watches, MSG_BODY_AS(m, intro_watch), &e);
		done(m->req, r, r < 0 ? e.text : "", NULL, 0);
		break;
	case MSG_INTRO_QUIT:
		r = finish(&e);
		on_tick(NULL, x.ev.now);
		done(m->req, r, r < 0 ? e.text : "", NULL, 0);
		x.ev.quit = true;
		break;
	default:
		break;
	}
	msg_close_fds(m);
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct err e = { 0 };
	(void)arg;
	(void)events;
	(void)now;
	int r = msg_recv(&x.super, &in, &e);
	if (r == 0)
		return;
	if (r > 0) {
		command(&in);
		return;
	}
	if (r != -EPIPE)
		log_error("%s", e.text);
	x.status = r != -EPIPE;
	finish(NULL);
	x.ev.quit = true;
}

static int set_up(struct err *e)
{
	int r = ev_init(&x.ev, NULL);
	if (r < 0)
		return err_sys(e, r, "cannot make an event loop");
	for (int fd = ROLE_FD_CONTROL; fd <= FD_KERNEL; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_sys(e, -errno, "fd %d is not what it should be", fd);
	x.super =
	    (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_INTROSPECT, .peer = ROLE_SUPER, .state = STATE_INIT };
	x.evidence =
	    (struct chan){ .fd = ROLE_FD_FIRST, .self = ROLE_INTROSPECT, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	r = batch_init(&x.out, &x.evidence);
	if (r < 0)
		return err_sys(e, r, "no memory for records");
	r = ev_add(&x.ev, &x.super_src, x.super.fd, EPOLLIN, on_super, NULL);
	return r < 0 ? err_sys(e, r, "cannot watch super") : 0;
}

int introspect_main(int argc, char **argv)
{
	struct err e = { 0 };
	(void)argc;
	(void)argv;
	log_init("introspect", LOG_L_INFO);
	signal(SIGPIPE, SIG_IGN);
	int r = set_up(&e);
	if (!r)
		r = isolate_role(ROLE_INTROSPECT, &(struct isolate_opts){ .dirfd = -1 }, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	ev_timer_set(&x.ev, &x.tick, ev_monotonic() + TICK, on_tick, NULL);
	r = ev_run(&x.ev);
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	return r < 0 ? 1 : x.status;
}
