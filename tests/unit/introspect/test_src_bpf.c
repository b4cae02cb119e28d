/* SPDX-License-Identifier: ISC */
/* The reader of a BPF ring buffer, on memory that this test writes as it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/src_bpf.h"
#include "proto/probe.h"
#include "proto/ring.h"
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static uint64_t now = EV_SEC;
static uint64_t test_clock(void)
{
	return now;
}

/* A memfd looks like the ring but for the second mapping of the data: what is
 * written near the end is written behind it, too. */
static struct {
	struct ev ev;
	int fd, state_fd;
	uint8_t *mem;
	uint64_t *state;
	struct src_bpf s;
	uint64_t seq, head;
	unsigned n, forks, hellos, broken;
	uint64_t lost, malformed, placed, time;
	bool keep;
} t;

static void on_fact(void *arg, const struct fact *f)
{
	assert_ptr_equal(arg, &t);
	t.n++;
	t.time = f->time;
	t.forks += f->type == HOOK_FORK;
	if (f->type == HOOK_HELLO) {
		t.hellos++;
		t.placed = f->hello.placed;
	}
	if (f->type == FACT_LOSS)
		t.lost += f->loss.records;
	if (f->type == FACT_MALFORMED)
		t.malformed += f->loss.records;
}

static void on_broken(void *arg, const char *why)
{
	(void)arg;
	assert_non_null(strstr(why, "BPF"));
	t.broken++;
}

static bool on_kept(void *arg)
{
	(void)arg;
	return t.keep;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.keep = true;
	assert_int_equal(ev_init(&t.ev, test_clock), 0);
	t.fd = memfd_create("ring", MFD_CLOEXEC);
	t.state_fd = memfd_create("state", MFD_CLOEXEC);
	size_t n = 2 * PAGE + 2 * (size_t)PROBE_RING;
	assert_int_equal(ftruncate(t.fd, (off_t)n), 0);
	assert_int_equal(ftruncate(t.state_fd, PAGE), 0);
	t.mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
	t.state = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, t.state_fd, 0);
	assert_true(t.mem != MAP_FAILED && (void *)t.state != MAP_FAILED);
	t.state[PROBE_PLACED] = 5;
	assert_int_equal(src_bpf_start(&t.s, &t.ev, t.fd, t.state_fd, on_fact, on_broken, &t, NULL), 0);
	t.s.kept = on_kept;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	src_bpf_stop(&t.s);
	src_bpf_stop(&t.s);
	munmap(t.mem, 2 * PAGE + 2 * (size_t)PROBE_RING);
	munmap(t.state, PAGE);
	ev_close(&t.ev);
	close(t.fd);
	close(t.state_fd);
	return 0;
}

static volatile uint64_t *producer(void)
{
	return (volatile uint64_t *)(t.mem + PAGE);
}
static uint64_t consumer(void)
{
	return *(volatile uint64_t *)t.mem;
}

static void put_at(uint64_t pos, const void *p, size_t n)
{
	memcpy(t.mem + 2 * PAGE + (pos & (PROBE_RING - 1)), p, n);
}

static void put_sample(const void *p, uint32_t n, uint32_t flags)
{
	uint32_t head[2] = { n | flags, 0 };
	put_at(t.head, head, sizeof(head));
	put_at(t.head + 8, p, n);
	t.head += (8 + (uint64_t)n + 7) & ~UINT64_C(7);
	*producer() = t.head;
}

static uint32_t make_fork(uint8_t *out)
{
	struct record r;
	record_begin(&r, HOOK_FORK);
	record_u32(&r, 7);
	record_u32(&r, 8);
	struct ring_entry e = { .len = (uint32_t)(sizeof(e) + r.n), .kind = RING_HOOK, .seq = ++t.seq, .time = EV_SEC };
	memcpy(out, &e, sizeof(e));
	memcpy(out + sizeof(e), r.b, r.n);
	return e.len;
}

static void put_fork(void)
{
	uint8_t b[512];
	put_sample(b, make_fork(b), 0);
}

/* ---- */

static void test_records(void **state)
{
	(void)state;
	put_fork();
	put_fork();
	assert_int_equal(src_bpf_drain(&t.s, 0), 2);
	assert_int_equal(t.hellos, 1);
	assert_int_equal(t.placed, 5);
	assert_int_equal(t.forks, 2);
	assert_int_equal(consumer(), t.head);
	/* monotonic in the ring, realtime in the fact */
	assert_true(t.time > EV_SEC * 1000000);
	assert_int_equal(src_bpf_drain(&t.s, 0), 0);
	assert_int_equal(t.n, 3);
}

static void test_around_the_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * (PROBE_RING / 104); i++) {
		put_fork();
		if (i % 1000 == 999)
			src_bpf_drain(&t.s, 0);
	}
	src_bpf_drain(&t.s, 0);
	assert_int_equal(t.forks, 3 * (PROBE_RING / 104));
	assert_int_equal(t.malformed, 0);
}

static void test_busy_and_discarded(void **state)
{
	(void)state;
	uint8_t b[512];
	uint64_t at = t.head;
	put_sample(b, make_fork(b), UINT32_C(1) << 31);
	put_fork();
	assert_int_equal(src_bpf_drain(&t.s, 0), 0); /* the first is still being written */
	uint32_t len = sizeof(struct ring_entry) + sizeof(struct hook_rec) + 8;
	put_at(at, &len, sizeof(len));
	assert_int_equal(src_bpf_drain(&t.s, 0), 2);
	put_sample(b, 64, UINT32_C(1) << 30); /* given up by its writer */
	put_fork();
	assert_int_equal(src_bpf_drain(&t.s, 0), 1);
	assert_int_equal(t.malformed, 0);
}

/* Counters that a broken kernel could show: nothing outside of the ring is read. */
static void test_hostile_producer(void **state)
{
	(void)state;
	static const uint64_t positions[] = { PROBE_RING + 8, UINT64_MAX, UINT64_MAX - 7, 4, UINT64_C(1) << 63 };
	for (unsigned i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		*producer() = positions[i];
		assert_int_equal(src_bpf_drain(&t.s, 0), 0);
		assert_int_equal(t.broken, i + 1);
		assert_int_equal(t.forks, 0);
		src_bpf_stop(&t.s);
		assert_int_equal(src_bpf_start(&t.s, &t.ev, t.fd, t.state_fd, on_fact, on_broken, &t, NULL), 0);
	}
}

static void test_hostile_length(void **state)
{
	(void)state;
	/* longer than what was produced, up to the largest that the header can say */
	for (uint32_t n = 16; n <= UINT32_C(1) << 29; n *= 2) {
		uint32_t head[2] = { n, 0 };
		put_at(0, head, sizeof(head));
		*producer() = 16;
		unsigned before = t.broken;
		src_bpf_drain(&t.s, 0);
		assert_int_equal(t.broken, before + 1);
		src_bpf_stop(&t.s);
		assert_int_equal(src_bpf_start(&t.s, &t.ev, t.fd, t.state_fd, on_fact, on_broken, &t, NULL), 0);
	}
}

static void test_malformed_records(void **state)
{
	(void)state;
	uint8_t b[PROBE_SAMPLE_MAX + 64];
	struct ring_entry e;
	put_fork();
	put_sample(b, 3, 0); /* no header */
	uint32_t n = make_fork(b);
	t.seq--;
	memcpy(&e, b, sizeof(e));
	e.len++;
	memcpy(b, &e, sizeof(e));
	put_sample(b, n, 0); /* its length is another */
	n = make_fork(b);
	t.seq--;
	memcpy(&e, b, sizeof(e));
	e.kind = RING_FRAME;
	memcpy(b, &e, sizeof(e));
	put_sample(b, n, 0);
	memset(b, 0xff, sizeof(b));
	put_sample(b, PROBE_SAMPLE_MAX + 8, 0); /* too long */
	put_fork();
	assert_int_equal(src_bpf_drain(&t.s, 0), 6);
	assert_int_equal(t.forks, 2);
	assert_int_equal(t.malformed, 4);
	assert_int_equal(t.broken, 0);
}

static void test_losses(void **state)
{
	(void)state;
	t.state[HOOK_SITE_FORK] = 3;
	t.state[HOOK_SITE_COUNT - 1] = 4;
	put_fork();
	src_bpf_drain(&t.s, 0);
	assert_int_equal(t.lost, 7);
	src_bpf_drain(&t.s, 0);
	assert_int_equal(t.lost, 7);
	t.state[HOOK_SITE_FORK]++;
	src_bpf_drain(&t.s, 0);
	assert_int_equal(t.lost, 8);
}

/* Room is given back when the facts are in safety; the next reader begins there. */
static void test_kept(void **state)
{
	(void)state;
	put_fork();
	src_bpf_drain(&t.s, 0);
	uint64_t first = consumer();
	assert_int_equal(first, t.head);
	t.keep = false;
	put_fork();
	src_bpf_drain(&t.s, 0);
	assert_int_equal(consumer(), first);
	assert_int_equal(t.forks, 2);
	src_bpf_stop(&t.s);
	assert_int_equal(src_bpf_start(&t.s, &t.ev, t.fd, t.state_fd, on_fact, on_broken, &t, NULL), 0);
	assert_int_equal(src_bpf_drain(&t.s, 0), 1);
	assert_int_equal(t.forks, 3);
	assert_int_equal(consumer(), t.head);
	t.s.kept = on_kept;
	put_fork();
	src_bpf_drain(&t.s, 0);
	src_bpf_release(&t.s);
	assert_int_equal(consumer(), t.head);
	src_bpf_pause(&t.s, true);
	put_fork();
	assert_int_equal(src_bpf_drain(&t.s, 0), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_records),          T(test_around_the_end), T(test_busy_and_discarded),
		T(test_hostile_producer), T(test_hostile_length), T(test_malformed_records),
		T(test_losses),           T(test_kept),
	};
	return cmocka_run_group_tests_name("BPF source", tests, NULL, NULL);
}
