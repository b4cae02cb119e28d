/* SPDX-License-Identifier: ISC */
/*
 * The real process: this test is super, evidence, and the guest that writes the
 * ring. argv[1] is the skep binary.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/plan.h"
#include "proto/hook.h"
#include "proto/intro.h"
#include "proto/msg.h"
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RING (1u << 18)
#define KERNEL "/usr/bin/linux.uml"

static const char *skep;
static struct {
	pid_t pid;
	struct chan super, evidence;
	uint64_t req;
	int ring, plan, wake;
	struct ring_writer w;
	struct msg msg;
	struct intro_state state; /* the last one */
	unsigned ups, tampered;
	uint64_t seq; /* of the records */
	uint64_t records, lost, ends, sources;
	uint8_t *seen; /* how often each number came, of number()s */
	uint32_t numbers;
	char text[256]; /* of terminals, the last */
} t;

/* ---- the process ---------------------------------------------------------- */

static int sealed_plan(void)
{
	struct hook_plan p = { .magic = HOOK_PLAN_MAGIC, .size = sizeof(p), .base = 0x60000000 };
	p.text = 0x60001000;
	p.text_end = 0x60002000;
	p.thread_size = 0x4000;
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++)
		p.off[i] = HOOK_OFF_NONE;
	int fd = guest_plan_seal(&p, NULL);
	assert_true(fd >= 0);
	return fd;
}

static void spawn(void)
{
	int super[2], rec[2];
	assert_int_equal(msg_pair(super, NULL), 0);
	assert_int_equal(msg_pair(rec, NULL), 0);
	int kernel = open(KERNEL, O_RDONLY | O_CLOEXEC);
	if (kernel < 0)
		kernel = open("/dev/null", O_RDONLY | O_CLOEXEC);
	t.pid = fork();
	assert_true(t.pid >= 0);
	if (!t.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int a = fcntl(super[1], F_DUPFD, 20), b = fcntl(rec[1], F_DUPFD, 20), c = fcntl(kernel, F_DUPFD, 20);
		dup2(a, 3);
		dup2(b, 4);
		dup2(c, 5);
		close_range(6, 100, 0);
		execl(skep, "skep", "--role=introspect", (char *)NULL);
		_exit(127);
	}
	close(super[1]);
	close(rec[1]);
	close(kernel);
	t.super = (struct chan){ .fd = super[0], .self = ROLE_SUPER, .peer = ROLE_INTROSPECT, .state = STATE_ANY };
	t.evidence = (struct chan){ .fd = rec[0], .self = ROLE_EVIDENCE, .peer = ROLE_INTROSPECT, .state = STATE_ANY };
	t.seq = 0;
}

static bool state(void)
{
	if (t.msg.type != MSG_INTRO_STATE)
		return false;
	t.state = *MSG_BODY_AS(&t.msg, intro_state);
	t.ups += t.state.event == INTRO_EV_UP && t.state.text[0];
	t.tampered += t.state.event == INTRO_EV_TAMPERED;
	return true;
}

static void read_records(int ms);

/* Evidence goes on reading meanwhile. */
static int command(uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	assert_int_equal(msg_send(&t.super, type, ++t.req, body, n, fds, nfds), 0);
	for (int i = 0; i < 1000; i++) {
		int r = msg_recv_wait(&t.super, &t.msg, 10, NULL);
		if (r == 1 && state())
			continue;
		if (r == 1) {
			assert_int_equal(t.msg.type, MSG_INTRO_DONE);
			assert_int_equal(t.msg.req, t.req);
			return MSG_BODY_AS(&t.msg, done)->status;
		}
		assert_int_equal(r, 0);
		if (type == MSG_INTRO_QUIT)
			read_records(0);
	}
	fail_msg("no answer");
	return -1;
}

static int prepare(int plan, int ring)
{
	struct intro_prepare p = { .slot = 1, .ring_bytes = RING, .honeypot = "pot" };
	int fds[2] = { plan, ring };
	return command(MSG_INTRO_PREPARE, &p, sizeof(p), fds, plan < 0 ? 0 : ring < 0 ? 1 : 2);
}

static int begin(void)
{
	struct intro_start s = { .way = INTRO_WAY_HOOKS };
	return command(MSG_INTRO_START, &s, sizeof(s), NULL, 0);
}

static int wait_end(void)
{
	int st = 0;
	pid_t got = 0;
	for (int i = 0; i < 2000 && !got; i++) {
		got = waitpid(t.pid, &st, WNOHANG);
		if (!got)
			usleep(10000);
	}
	if (got != t.pid)
		kill(t.pid, SIGKILL); /* it should have ended by itself */
	if (!got)
		waitpid(t.pid, NULL, 0);
	assert_int_equal(got, t.pid);
	t.pid = 0;
	chan_close(&t.super);
	chan_close(&t.evidence);
	return st;
}

static void up(void)
{
	int plan = sealed_plan();
	spawn();
	assert_int_equal(prepare(plan, -1), 0);
	close(plan);
	t.ring = msg_take_fd(&t.msg, 0);
	t.plan = msg_take_fd(&t.msg, 1);
	assert_true(t.ring >= 0 && t.plan >= 0);
	t.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ring_writer_open(&t.w, t.ring, t.wake, NULL), 0);
	assert_int_equal(begin(), 0);
}

static void up_again(void)
{
	spawn();
	assert_int_equal(prepare(t.plan, t.ring), 0);
	msg_close_fds(&t.msg);
	assert_int_equal(begin(), 0);
}

static int fresh(void **state_)
{
	(void)state_;
	memset(&t, 0, offsetof(__typeof__(t), msg));
	memset(&t.state, 0, sizeof(t) - offsetof(__typeof__(t), state));
	t.ring = t.plan = t.wake = -1;
	t.super.fd = t.evidence.fd = -1;
	return 0;
}

static int done(void **state_)
{
	(void)state_;
	if (t.pid) {
		kill(t.pid, SIGKILL);
		wait_end();
	}
	if (t.w.shm)
		ring_writer_close(&t.w);
	int fds[] = { t.ring, t.plan, t.wake };
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(t.seen);
	return 0;
}

/* ---- the guest -------------------------------------------------------------- */

static bool fact(uint16_t type, uint32_t pid, const void *p, size_t n, const void *q, size_t m)
{
	struct hook_rec r = { .type = type, .tgid = pid, .tid = pid, .ppid = 1, .task = pid * 64, .comm = "sshd" };
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint8_t *at = ring_reserve(&t.w, RING_HOOK, 0, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
				   sizeof(r) + n + m);
	if (!at)
		return false;
	memcpy(at, &r, sizeof(r));
	memcpy(at + sizeof(r), p, n);
	if (m)
		memcpy(at + sizeof(r) + n, q, m);
	ring_publish(&t.w);
	return true;
}

static bool hello(void)
{
	uint64_t x[3] = { 1, 3, 4 };
	return fact(HOOK_HELLO, 0, x, sizeof(x), NULL, 0);
}

static bool keys(const void *p, size_t n)
{
	struct hook_tty h = { .tty = HOOK_TTY_ID(HOOK_TTY_PTY, 0) };
	return fact(HOOK_TTY, 50, &h, sizeof(h), p, n);
}

/* A record that can be told from all others. */
static bool number(uint32_t i)
{
	char b[16];
	return keys(b, (size_t)snprintf(b, sizeof(b), "%010u", i));
}

static void note(uint64_t records)
{
	struct ring_note x = { .lost_frames = records };
	uint64_t seq = t.w.seq;
	void *at = ring_reserve(&t.w, RING_NOTE, 0, 1, sizeof(x));
	assert_non_null(at);
	memcpy(at, &x, sizeof(x));
	ring_publish(&t.w);
	t.w.seq = seq; /* notes take no number */
}

/* ---- evidence ---------------------------------------------------------------- */

static void one(const struct intro_rec *r)
{
	const uint8_t *p = (const uint8_t *)(r + 1);
	size_t n = r->len - sizeof(*r);
	assert_int_equal(r->seq, ++t.seq);
	t.records++;
	if (r->kind == INTRO_LOSS) {
		struct intro_loss l;
		memcpy(&l, p, sizeof(l));
		t.lost += l.records;
	}
	t.ends += r->kind == INTRO_END;
	t.sources += r->kind == INTRO_SOURCE;
	if (r->kind != INTRO_TTY)
		return;
	snprintf(t.text, sizeof(t.text), "%.*s", (int)(n - 4), (const char *)p + 4);
	unsigned i;
	if (t.numbers && n == 14 && sscanf(t.text, "%u", &i) == 1 && i < t.numbers)
		t.seen[i]++;
}

static bool read_batch(int ms)
{
	int r = msg_recv_wait(&t.evidence, &t.msg, ms, NULL);
	if (r <= 0)
		return false;
	assert_int_equal(t.msg.type, MSG_EV_INTRO);
	uint32_t n = MSG_BODY_AS(&t.msg, ev_intro)->n;
	size_t at = sizeof(struct ev_intro);
	for (uint32_t i = 0; i < n; i++) {
		const struct intro_rec *rec = (const void *)(t.msg.body + at);
		assert_true(at + sizeof(*rec) <= t.msg.len);
		at += (rec->len + 7u) & ~7u;
		assert_true(at <= t.msg.len);
		one(rec);
	}
	assert_int_equal(at, t.msg.len);
	return true;
}

static void read_records(int ms)
{
	while (read_batch(ms))
		;
}

static void states(int ms)
{
	while (msg_recv_wait(&t.super, &t.msg, ms, NULL) == 1)
		assert_true(state());
}

/* ---- tests ------------------------------------------------------------------- */

static void records_arrive(void **state_)
{
	(void)state_;
	struct msg_empty none = { 0 };
	up();
	assert_true(hello());
	assert_true(keys("id\r", 3));
	read_records(300);
	assert_string_equal(t.text, "id\r");
	assert_int_equal(t.sources, 1);
	states(100);
	assert_int_equal(t.ups, 1);
	assert_string_equal(t.state.text, "2 hooks, no n_tty_receive_buf2");
	note(12);
	assert_true(keys("x", 1));
	read_records(300);
	assert_int_equal(t.lost, 12);
	states(2500); /* the next tick */
	assert_int_equal(t.state.lost, 12);
	assert_int_equal(t.state.records, t.records);
	assert_int_equal(t.state.sessions, 1);
	assert_int_equal(t.ends, 0);
	assert_true(keys("last", 4));
	assert_int_equal(command(MSG_INTRO_QUIT, &none, sizeof(none), NULL, 0), 0);
	read_records(0);
	assert_string_equal(t.text, "last");
	assert_int_equal(t.ends, 1);
	assert_int_equal(wait_end(), 0);
}

static void the_plan(void **state_)
{
	(void)state_;
	if (access(KERNEL, R_OK) < 0)
		skip();
	spawn();
	assert_int_equal(prepare(-1, -1), 0);
	struct hook_plan p;
	t.ring = msg_take_fd(&t.msg, 0);
	t.plan = msg_take_fd(&t.msg, 1);
	assert_int_equal(guest_plan_load(t.plan, &p, NULL), 0);
	assert_true(p.site[HOOK_SITE_PTY_WRITE].addr > p.text);
	assert_int_equal(prepare(-1, -1), -EALREADY);
}

static void bad_commands(void **state_)
{
	(void)state_;
	struct intro_start s = { .way = INTRO_WAY_HOOKS };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), plan = sealed_plan();
	spawn();
	assert_int_equal(command(MSG_INTRO_START, &s, sizeof(s), NULL, 0), -EPROTO);
	assert_int_equal(prepare(null, -1), -EBADMSG);
	assert_int_equal(prepare(plan, null), 0); /* looked at when it is needed */
	msg_close_fds(&t.msg);
	assert_int_equal(begin(), -EBADMSG);
	close(null);
	close(plan);
}

/* Evidence does not read: nothing is dropped here, and the process answers still. */
static void evidence_is_slow(void **state_)
{
	(void)state_;
	uint32_t wrote = 0, refused = 0;
	uint64_t told = 0;
	up();
	t.numbers = 60000;
	t.seen = calloc(t.numbers, 1);
	assert_true(hello());
	for (uint32_t i = 0; i < t.numbers; i++) {
		if (refused == told || ring_free(&t.w) > 4096) {
			if (refused > told) {
				note(refused - told);
				told = refused;
			}
			if (number(i)) {
				t.seen[i] = 100;
				wrote++;
				continue;
			}
		}
		refused++;
		if (refused % 64 == 0)
			usleep(200);
	}
	assert_true(refused > 1000); /* it was full, more than once */
	states(100);
	read_records(500);
	for (int i = 0; i < 5000 && refused > told && ring_free(&t.w) < 4096; i++)
		usleep(1000);
	if (refused > told)
		note(refused - told);
	read_records(500);
	assert_int_equal(t.lost, refused);
	for (uint32_t i = 0; i < t.numbers; i++)
		assert_true(t.seen[i] == 0 || t.seen[i] == 101);
	assert_true(wrote > 1000);
}

/* Killed again and again: each fact that got into the ring is recorded. */
static void killed(void **state_)
{
	(void)state_;
	uint32_t i = 0;
	up();
	t.numbers = 40000;
	t.seen = calloc(t.numbers, 1);
	assert_true(hello());
	for (int death = 0; death < 25; death++) {
		uint32_t until = i + 1000 + (uint32_t)death * 37;
		while (i < until) {
			if (number(i))
				i++;
			else
				read_batch(1);
			if (i % 500 == 0)
				read_batch(0);
		}
		usleep((useconds_t)(death * 700 % 9000));
		kill(t.pid, SIGKILL);
		/* what was sent before is in the socket still, as it would be in evidence's hands */
		read_records(0);
		int st = wait_end();
		assert_true(WIFSIGNALED(st));
		up_again();
	}
	read_records(500);
	uint32_t twice = 0;
	for (uint32_t k = 0; k < i; k++) {
		if (!t.seen[k])
			fail_msg("fact %u of %u is lost", k, i);
		twice += t.seen[k] > 1;
	}
	assert_int_equal(t.lost, 0);
	print_message("# %u facts, %u of them twice after 25 deaths\n", i, twice);
}

static void others_go(void **state_)
{
	(void)state_;
	up();
	assert_true(hello());
	assert_true(keys("x", 1));
	read_records(200);
	chan_close(&t.evidence);
	assert_true(keys("y", 1));
	int st = wait_end(); /* super starts another one, with a new evidence socket */
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 1);
	up_again();
	read_records(300);
	assert_string_equal(t.text, "y");
	chan_close(&t.super);
	read_records(500);
	assert_int_equal(wait_end(), 0);
	assert_true(t.ends >= 1);
}

/* A ring that the guest destroys. */
static void ring_destroyed(void **state_)
{
	(void)state_;
	up();
	assert_true(hello());
	read_records(200);
	atomic_store(&t.w.shm->head, UINT64_MAX / 2);
	for (int i = 0; i < 20 && !t.tampered; i++)
		states(100);
	assert_int_equal(t.tampered, 1);
	struct msg_empty none = { 0 };
	assert_int_equal(command(MSG_INTRO_QUIT, &none, sizeof(none), NULL, 0), 0);
	assert_int_equal(wait_end(), 0);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(records_arrive), T(the_plan),  T(bad_commands),   T(evidence_is_slow),
		T(killed),         T(others_go), T(ring_destroyed),
	};
	if (argc != 2)
		return 2;
	skep = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
