/* SPDX-License-Identifier: ISC */
#include "../base/cm.h"

#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct ring_writer w;
static struct ring_reader r;
static int fd, wake;

static int setup(void **state)
{
	(void)state;
	fd = ring_create(RING_MIN, NULL);
	wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0 || wake < 0 || ring_writer_open(&w, fd, wake, NULL) < 0)
		return -1;
	return ring_reader_open(&r, fd, NULL);
}

static int teardown(void **state)
{
	(void)state;
	ring_writer_close(&w);
	ring_reader_close(&r);
	close(fd);
	close(wake);
	return 0;
}

static uint32_t rnd(uint32_t n)
{
	static uint64_t s = 88172645463325252ull;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (uint32_t)(s >> 33) % n;
}

/* Payloads whose size and bytes follow from the sequence number. */
static size_t size_of(uint64_t seq)
{
	return (size_t)(seq * 2654435761u % 1531);
}

static void fill(uint8_t *p, uint64_t seq)
{
	volatile uint8_t *slow = p; /* byte by byte, so that a kill finds it half done */
	for (size_t i = 0; i < size_of(seq); i++)
		slow[i] = (uint8_t)(seq * 31 + i);
}

static bool filled(const uint8_t *p, uint64_t seq)
{
	for (size_t i = 0; i < size_of(seq); i++)
		if (p[i] != (uint8_t)(seq * 31 + i))
			return false;
	return true;
}

static bool put(uint64_t seq)
{
	uint8_t *p = ring_reserve(&w, RING_FRAME, 3, 1000 + seq, size_of(seq));
	if (!p)
		return false;
	fill(p, seq);
	ring_publish(&w);
	return true;
}

/* Reads one entry that must be number seq; false: empty. */
static bool get(uint64_t seq)
{
	struct ring_entry h;
	const uint8_t *p;
	int n = ring_next(&r, &h, &p);
	if (!n)
		return false;
	assert_int_equal(n, 1);
	assert_int_equal(h.seq, seq);
	assert_int_equal(h.len, sizeof(h) + size_of(seq));
	assert_int_equal(h.kind, RING_FRAME);
	assert_int_equal(h.port, 3);
	assert_int_equal(h.time, 1000 + seq);
	assert_true(filled(p, seq));
	return true;
}

/* Many times around, in bursts that leave it full, empty and in between. */
static void wraps_around(void **state)
{
	(void)state;
	uint64_t in = 0, out = 0;
	for (int burst = 0; burst < 4000; burst++) {
		for (uint32_t n = rnd(80); n && put(in + 1); n--)
			in++;
		for (uint32_t n = rnd(80); n && get(out + 1); n--)
			out++;
		ring_release(&r);
	}
	while (get(out + 1))
		out++;
	assert_int_equal(in, out);
	assert_true(w.head > 100ull * RING_MIN);
}

static void full_then_free_again(void **state)
{
	(void)state;
	uint64_t in = 0, out = 0;
	struct ring_entry h;
	const uint8_t *p;
	while (put(in + 1))
		in++;
	assert_true(in > 40);
	while (get(out + 1))
		out++;
	assert_int_equal(in, out);
	assert_null(ring_reserve(&w, RING_FRAME, 3, 0, 1530)); /* read, but not released */
	ring_release(&r);
	assert_true(put(in + 1));
	assert_true(get(out + 1));
	/* The largest that fits, and what never does. */
	ring_release(&r);
	assert_null(ring_reserve(&w, RING_FRAME, 3, 0, RING_ENTRY_MAX));
	assert_null(ring_reserve(&w, RING_FRAME, 3, 0, SIZE_MAX - 64));
	assert_int_equal(ring_next(&r, &h, &p), 0);
	assert_int_equal(ring_free(&w), RING_MIN);
}

static void reserved_is_not_visible(void **state)
{
	(void)state;
	struct ring_entry h;
	const uint8_t *p;
	assert_non_null(ring_reserve(&w, RING_NOTE, 3, 0, 100));
	assert_int_equal(ring_next(&r, &h, &p), 0);
	assert_non_null(ring_reserve(&w, RING_NOTE, 3, 0, 10)); /* another one instead */
	ring_publish(&w);
	assert_int_equal(ring_next(&r, &h, &p), 1);
	assert_int_equal(h.len, sizeof(h) + 10);
	assert_int_equal(h.seq, 1);
	assert_int_equal(ring_next(&r, &h, &p), 0);
}

static void sleeper_is_woken(void **state)
{
	(void)state;
	struct pollfd pfd = { .fd = wake, .events = POLLIN };
	uint64_t v;
	assert_true(put(1)); /* nobody sleeps: no system call */
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_false(ring_sleep(&r)); /* there is more to read */
	assert_true(get(1));
	assert_true(ring_sleep(&r));
	assert_true(put(2));
	assert_int_equal(poll(&pfd, 1, 0), 1);
	assert_int_equal(read(wake, &v, sizeof(v)), sizeof(v));
	assert_int_equal(v, 1);
	assert_true(put(3)); /* woken once is enough */
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_true(get(2) && get(3) && ring_sleep(&r));
	ring_awake(&r);
	assert_true(put(4));
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

static void stop_is_seen(void **state)
{
	(void)state;
	assert_int_equal(ring_stopped(&w), 0);
	ring_stop(&r, -ENOSPC);
	assert_int_equal(ring_stopped(&w), -ENOSPC);
	ring_stop(&r, ENOSPC); /* a consumer that has the sign wrong does not make it "fine" */
	assert_int_equal(ring_stopped(&w), -ENOSPC);
}

static void only_rings_are_opened(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(ring_create(RING_MIN - 1, &e), -EINVAL);
	assert_int_equal(ring_create(RING_MIN + 8, &e), -EINVAL);
	assert_int_equal(ring_create(RING_MAX * 2u, &e), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), -1); /* nobody takes the memory away */
	struct ring_reader other;
	struct ring_writer another;
	int plain = memfd_create("plain", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(plain, RING_DATA + RING_MIN), 0);
	assert_int_equal(ring_reader_open(&other, plain, &e), -EBADMSG); /* not sealed */
	assert_int_equal(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(ring_reader_open(&other, plain, NULL), -EBADMSG); /* no magic */
	close(plain);
	r.shm->size *= 2; /* says more than there is */
	assert_int_equal(ring_writer_open(&another, fd, -1, &e), -EBADMSG);
	r.shm->size /= 2;
	atomic_store(&r.shm->head, 4);
	assert_int_equal(ring_writer_open(&another, fd, -1, &e), -EBADMSG);
	atomic_store(&r.shm->tail, RING_MIN - 1);
	assert_int_equal(ring_reader_open(&other, fd, &e), -EBADMSG);
	assert_int_equal(ring_reader_open(&other, wake, &e), -EBADMSG);
	assert_int_equal(ring_reader_open(&other, -1, NULL), -EBADMSG);
}

/* ---- a producer that lies ---- */

static void lie(uint64_t head, uint32_t len, uint16_t kind)
{
	struct ring_entry h = { .len = len, .kind = kind }, got;
	const uint8_t *p;
	struct ring_reader fresh;
	memcpy(w.data, &h, sizeof(h));
	atomic_store(&w.shm->head, head);
	assert_int_equal(ring_reader_open(&fresh, fd, NULL), 0);
	assert_int_equal(ring_next(&fresh, &got, &p), -EBADMSG);
	assert_int_equal(fresh.tail, 0);
	ring_reader_close(&fresh);
}

static void broken_headers_are_refused(void **state)
{
	(void)state;
	lie(4, 24, RING_FRAME);              /* not a multiple of 8 */
	lie(RING_MIN + 8, 24, RING_FRAME);   /* more than the ring holds */
	lie(UINT64_MAX - 7, 24, RING_FRAME); /* far ahead */
	lie(8, 24, RING_FRAME);              /* no whole header */
	lie(64, 0, RING_FRAME);              /* shorter than a header */
	lie(64, 23, RING_FRAME);
	lie(64, 65, RING_FRAME);         /* longer than what was published */
	lie(64, UINT32_MAX, RING_FRAME); /* padding it would overflow */
	lie(RING_MIN, RING_ENTRY_MAX + 1, RING_FRAME);
	lie(64, 64, RING_PAD); /* padding that is not up to the end */
	lie(64, RING_MIN, RING_PAD);
	lie(RING_MIN, 0, RING_PAD);
}

/* Backwards: what was read cannot come again. */
static void head_does_not_go_back(void **state)
{
	(void)state;
	struct ring_entry h;
	const uint8_t *p;
	assert_true(put(1) && put(2));
	assert_true(get(1) && get(2));
	atomic_store(&w.shm->head, 0);
	assert_int_equal(ring_next(&r, &h, &p), -EBADMSG);
}

/* The tail is the consumer's own business, although the producer can write to it. */
static void forged_tail_does_not_widen(void **state)
{
	(void)state;
	struct ring_entry h;
	const uint8_t *p;
	assert_true(put(1) && get(1));
	struct ring_entry good = { .len = sizeof(good), .kind = RING_FRAME };
	memcpy(w.data + w.head, &good, sizeof(good)); /* only the counters are wrong */
	atomic_store(&w.shm->tail, 2 * RING_MIN);
	atomic_store(&w.shm->head, 2 * RING_MIN + 64);
	assert_int_equal(ring_next(&r, &h, &p), -EBADMSG);
}

/* Whatever stands there: every payload lies inside the data area. */
static void noise_stays_inside(void **state)
{
	(void)state;
	unsigned accepted = 0;
	for (int round = 0; round < 3000; round++) {
		struct ring_reader fresh;
		struct ring_entry h;
		const uint8_t *p;
		for (size_t i = 0; i < RING_MIN; i += 4)
			if (!rnd(16))
				w.data[i] = (uint8_t)rnd(256), w.data[i + 1] = (uint8_t)rnd(3), w.data[i + 2] = 0,
				w.data[i + 3] = 0;
		atomic_store(&w.shm->tail, (uint64_t)rnd(2 * RING_MIN) & ~7ull);
		atomic_store(&w.shm->head, atomic_load(&w.shm->tail) + rnd(2 * RING_MIN));
		assert_int_equal(ring_reader_open(&fresh, fd, NULL), 0);
		for (int i = 0; i < 5000 && ring_next(&fresh, &h, &p) == 1; i++, accepted++) {
			size_t n = h.len - sizeof(h);
			assert_true(h.len >= sizeof(h) && h.len <= RING_ENTRY_MAX);
			assert_true(p >= fresh.data && p + n <= fresh.data + RING_MIN);
		}
		ring_reader_close(&fresh);
	}
	assert_true(accepted > 1000); /* not all noise was refused at once */
}

/* A consumer that lies gets nonsense, but the producer stays inside. */
static void forged_tail_does_not_hurt_the_producer(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t n = rnd(2000);
		uint8_t *p = ring_reserve(&w, RING_FRAME, 3, 0, n);
		if (p) {
			assert_true(p - sizeof(struct ring_entry) >= w.data && p + n <= w.data + w.size);
			/* It changes the header between reserve and publish, too. */
			memset(p - sizeof(struct ring_entry), 0xff, 4);
			ring_publish(&w);
		}
		assert_int_equal(w.head & 7, 0);
		atomic_store(&r.shm->tail,
			     rnd(3) ? w.head - rnd(RING_MIN) : ((uint64_t)rnd(1u << 30) << 32) + rnd(1u << 30));
		assert_true(ring_free(&w) <= RING_MIN);
	}
}

/* ---- kill -9 ---- */

/* Produces until it is killed; says after each entry that it was published. */
static void produce(_Atomic uint64_t *published)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(20);
	for (uint64_t seq = 1;; seq++) {
		while (!put(seq))
			usleep(50);
		atomic_store(published, seq);
	}
}

static void killed_producer_loses_nothing(void **state)
{
	_Atomic uint64_t *published = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t total = 0;
	for (int round = 0; round < 200; round++) {
		assert_int_equal(setup(state), 0);
		atomic_store(published, 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			produce(published);
		uint64_t seq = 0;
		struct timespec nap = { .tv_nsec = (long)(1 + rnd(300)) * 1000 };
		for (uint32_t i = 0, turns = 1 + rnd(8); i < turns; i++) {
			while (get(seq + 1))
				seq++;
			ring_release(&r);
			nanosleep(&nap, NULL);
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		/* The memory outlives its producer: read the rest. */
		while (get(seq + 1))
			seq++;
		uint64_t said = atomic_load(published);
		assert_true(seq == said || seq == said + 1);
		total += seq;
		teardown(state);
	}
	assert_true(total > 200);
	munmap(published, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wraps_around, setup, teardown),
		cmocka_unit_test_setup_teardown(full_then_free_again, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved_is_not_visible, setup, teardown),
		cmocka_unit_test_setup_teardown(sleeper_is_woken, setup, teardown),
		cmocka_unit_test_setup_teardown(stop_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(only_rings_are_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_headers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(head_does_not_go_back, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_tail_does_not_widen, setup, teardown),
		cmocka_unit_test_setup_teardown(noise_stays_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_tail_does_not_hurt_the_producer, setup, teardown),
		cmocka_unit_test(killed_producer_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
