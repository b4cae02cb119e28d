/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/src_uml.h"
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static uint64_t now = EV_SEC, wall = 1000;

static uint64_t test_clock(void)
{
	return now;
}

static uint64_t test_wall(void)
{
	return wall;
}

static struct {
	struct ev ev;
	int fd;
	struct ring_writer w;
	struct src_uml s;
	struct {
		uint16_t type;
		uint32_t tid;
		uint64_t seq, time, lost, bytes;
	} got[20000];
	unsigned n, broken;
	char text[300];
} t;

static void on_fact(void *arg, const struct fact *f)
{
	assert_ptr_equal(arg, &t);
	assert_true(t.n < sizeof(t.got) / sizeof(t.got[0]));
	t.got[t.n].type = f->type;
	t.got[t.n].seq = f->seq;
	t.got[t.n].time = f->time;
	if (f->type == HOOK_TTY)
		snprintf(t.text, sizeof(t.text), "%.*s", (int)f->term.data.n, (const char *)f->term.data.p);
	if (f->type == HOOK_FORK)
		t.got[t.n].tid = f->fork.tid;
	if (f->type >= FACT_LOSS) {
		t.got[t.n].lost = f->loss.records;
		t.got[t.n].bytes = f->loss.bytes;
	}
	t.n++;
}

static void on_broken(void *arg, const char *why)
{
	(void)arg;
	assert_non_null(strstr(why, "ring"));
	t.broken++;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	now = EV_SEC;
	wall = 1000;
	assert_int_equal(ev_init(&t.ev, test_clock), 0);
	t.fd = ring_create(RING_MIN, NULL);
	assert_true(t.fd >= 0);
	assert_int_equal(ring_writer_open(&t.w, t.fd, -1, NULL), 0);
	assert_int_equal(src_uml_start(&t.s, &t.ev, t.fd, on_fact, on_broken, &t, NULL), 0);
	t.s.clock = test_wall;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	src_uml_stop(&t.s);
	src_uml_stop(&t.s);
	ring_writer_close(&t.w);
	ev_close(&t.ev);
	close(t.fd);
	return 0;
}

static bool put(uint16_t kind, uint64_t time, const void *p, size_t n)
{
	void *room = ring_reserve(&t.w, kind, 0, time, n);
	if (!room)
		return false;
	memcpy(room, p, n);
	ring_publish(&t.w);
	return true;
}

static bool put_fork(uint64_t time, uint32_t tid)
{
	struct record r;
	record_begin(&r, HOOK_FORK);
	record_u32(&r, 7);
	record_u32(&r, tid);
	return put(RING_HOOK, time, r.b, r.n);
}

static bool put_hello(void)
{
	struct record r;
	record_begin(&r, HOOK_HELLO);
	record_u32(&r, 1);
	record_u32(&r, 0);
	record_u64(&r, 1);
	record_u64(&r, 0);
	return put(RING_HOOK, 10, r.b, r.n);
}

static void pass(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i++) {
		now += EV_MS;
		assert_true(ev_turn(&t.ev, 0) >= 0);
	}
}

static void test_polls(void **state)
{
	(void)state;
	put_hello();
	assert_int_equal(t.n, 0);
	pass(6);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.got[0].type, HOOK_HELLO);
	assert_int_equal(t.got[0].seq, 1);
	struct record r;
	record_begin(&r, HOOK_TTY);
	record_u32(&r, HOOK_TTY_ID(HOOK_TTY_PTY, 0));
	record_u32(&r, 0);
	record_bytes(&r, "secret", 6);
	put(RING_HOOK, 20, r.b, r.n);
	pass(6); /* busy: it looks every 5 ms */
	assert_int_equal(t.n, 2);
	assert_string_equal(t.text, "secret");
	/* Idle: rarely, but never later than 80 ms. */
	pass(500);
	assert_int_equal(t.s.interval, SRC_UML_IDLE_NS);
	put_fork(30, 1);
	for (unsigned ms = 0; t.n < 3; ms++) {
		assert_true(ms < 81);
		pass(1);
	}
	assert_int_equal(t.s.interval, SRC_UML_BUSY_NS);
	assert_int_equal(t.s.records, 3);
	assert_int_equal(t.s.lost + t.s.malformed + t.broken, 0);
}

static void test_order_and_room(void **state)
{
	(void)state;
	/* Many times the ring's size, in portions. */
	uint32_t next = 0, total = 12000;
	while (t.n < total) {
		while (next < total && put_fork(100, next))
			next++;
		pass(6);
	}
	for (uint32_t i = 0; i < total; i++) {
		assert_int_equal(t.got[i].tid, i);
		assert_int_equal(t.got[i].seq, i + 1);
	}
	assert_int_equal(t.s.lost, 0);
}

static void test_loss(void **state)
{
	(void)state;
	struct ring_note note = { 5, 4000 };
	put_hello();
	put(RING_NOTE, 10, &note, sizeof(note));
	/* Notes have no number of their own in this ring: undo what the writer counted. */
	t.w.seq--;
	put_fork(10, 1);
	t.w.seq += 7; /* a gap that nobody told */
	put_fork(10, 2);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.n, 5);
	assert_int_equal(t.got[1].type, FACT_LOSS);
	assert_int_equal(t.got[1].lost, 5);
	assert_int_equal(t.got[1].bytes, 4000);
	assert_int_equal(t.got[2].type, HOOK_FORK);
	assert_int_equal(t.got[3].type, FACT_LOSS);
	assert_int_equal(t.got[3].lost, 7);
	assert_int_equal(t.got[3].bytes, 0);
	assert_int_equal(t.got[4].type, HOOK_FORK);
	assert_int_equal(t.s.lost, 12);
}

/* What the writer lost last stands in the ring's header only; and what nobody read. */
static void test_last_loss(void **state)
{
	(void)state;
	put_hello();
	src_uml_drain(&t.s, 0);
	src_uml_end(&t.s);
	assert_int_equal(t.n, 1);
	t.w.shm->lost_entries = 3;
	t.w.shm->lost_bytes = 700;
	src_uml_end(&t.s);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.got[1].type, FACT_LOSS);
	assert_int_equal(t.got[1].lost, 3);
	assert_int_equal(t.got[1].bytes, 700);
	t.w.shm->lost_entries = 0;
	t.w.shm->lost_bytes = 0;
	put_fork(10, 1);
	put_fork(10, 2);
	src_uml_end(&t.s);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.got[2].type, FACT_LOSS);
	assert_int_equal(t.got[2].lost, 2);
}

static void test_restarts(void **state)
{
	(void)state;
	put_hello();
	put_fork(10, 1);
	src_uml_drain(&t.s, 0);
	/* The guest boots again. */
	t.w.seq = 0;
	put_hello();
	put_fork(10, 2);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.n, 4);
	assert_int_equal(t.s.lost + t.s.malformed, 0);
	/* Back without a hello makes no sense. */
	t.w.seq = 0;
	put_fork(10, 3);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.s.malformed, 1);
	/* We are restarted: the first number may be any. */
	src_uml_stop(&t.s);
	t.n = 0;
	t.w.seq = 40;
	put_fork(10, 4);
	assert_int_equal(src_uml_start(&t.s, &t.ev, t.fd, on_fact, on_broken, &t, NULL), 0);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.got[0].tid, 4);
	assert_int_equal(t.s.lost, 0);
}

static void test_nonsense(void **state)
{
	(void)state;
	put_hello();
	put(RING_HOOK, 10, "abc", 3);
	put(RING_FLOW, 10, "abc", 3);
	t.w.seq--;
	put(RING_NOTE, 10, "abc", 3);
	t.w.seq--;
	put_fork(10, 1);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.got[1].type, HOOK_FORK);
	assert_int_equal(t.got[2].type, FACT_MALFORMED);
	assert_int_equal(t.got[2].lost, 3);
	assert_int_equal(t.s.malformed, 3);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.n, 3); /* told once */
}

static void test_times(void **state)
{
	(void)state;
	static const uint64_t said[] = { 10, 900, 500, 5000, 1000, 0, UINT64_MAX };
	static const uint64_t meant[] = { 10, 900, 900, 1000, 1000, 1000, 1000 };
	for (unsigned i = 0; i < 7; i++)
		put_fork(said[i], i);
	src_uml_drain(&t.s, 0);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(t.got[i].time, meant[i]);
	/* The host's clock is set back. */
	wall = 400;
	put_fork(400, 8);
	src_uml_drain(&t.s, 0);
	assert_int_equal(t.got[7].time, 400);
}

static void test_broken(void **state)
{
	(void)state;
	put_hello();
	src_uml_drain(&t.s, 0);
	put_fork(10, 1);
	atomic_store(&t.w.shm->head, 3);
	pass(200);
	assert_int_equal(t.broken, 1);
	assert_int_equal(t.n, 1);
	pass(200);
	assert_int_equal(src_uml_drain(&t.s, 0), 0);
	assert_int_equal(t.broken, 1);
}

static void test_pause(void **state)
{
	(void)state;
	src_uml_pause(&t.s, true);
	put_hello();
	pass(200);
	assert_int_equal(t.n, 0);
	src_uml_pause(&t.s, false);
	pass(81);
	assert_int_equal(t.n, 1);
	for (unsigned i = 0; i < 10; i++)
		put_fork(10, i);
	assert_int_equal(src_uml_drain(&t.s, 4), 4);
	assert_int_equal(t.n, 5);
	assert_int_equal(src_uml_drain(&t.s, 0), 6);
}

static void test_no_ring(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct src_uml s;
	int p[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(src_uml_start(&s, &t.ev, p[0], on_fact, on_broken, &t, &e), -EBADMSG);
	assert_true(e.text[0]);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_polls),    T(test_order_and_room), T(test_loss),   T(test_last_loss), T(test_restarts),
		T(test_nonsense), T(test_times),          T(test_broken), T(test_pause),     T(test_no_ring),
	};
	return cmocka_run_group_tests_name("the ring of a guest", tests, NULL, NULL);
}
