/* SPDX-License-Identifier: ISC */
#include "proc/introspect/src_bpf.h"

#include "proto/probe.h"
#include "proto/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BATCH 4096u /* records of one turn, so that others have theirs */

_Static_assert(PROBE_SAMPLE_MAX == sizeof(struct ring_entry) + sizeof(struct hook_rec) + HOOK_DATA_MAX, "sizes");

static uint64_t clock_ns(clockid_t c)
{
	struct timespec t;
	clock_gettime(c, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What the programs' clock lacks to be realtime, now. */
static uint64_t clock_offset(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static void break_off(struct src_bpf *s, const char *why)
{
	s->is_broken = true;
	ev_timer_cancel(s->ev, &s->timer);
	if (s->broken)
		s->broken(s->arg, why);
}

static void tell_count(struct src_bpf *s, uint16_t type, uint64_t records)
{
	struct fact f = { .type = type, .time = clock_ns(CLOCK_REALTIME), .loss = { .records = records } };
	s->fact(s->arg, &f);
}

static void tell_losses(struct src_bpf *s)
{
	uint64_t lost = 0;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		lost += __atomic_load_n(&s->state[i], __ATOMIC_RELAXED);
#ifndef MUTANT_BPF_LOSS_SILENT
	if (lost > s->lost)
		tell_count(s, FACT_LOSS, lost - s->lost);
#endif
	s->lost = lost;
	if (s->malformed > s->malformed_told)
		tell_count(s, FACT_MALFORMED, s->malformed - s->malformed_told);
	s->malformed_told = s->malformed;
}

static void one(struct src_bpf *s, const uint8_t *p, uint32_t n, uint64_t offset)
{
	struct ring_entry h;
	struct fact f;
	if (n < sizeof(h) || n > PROBE_SAMPLE_MAX) {
		s->malformed++;
		return;
	}
	memcpy(&h, p, sizeof(h));
	if (h.len != n || h.kind != RING_HOOK || h.seq <= s->seq ||
	    !decode_record(p + sizeof(h), n - sizeof(h), h.seq, h.time + offset, &s->buf, &f)) {
		s->malformed++;
		return;
	}
	/* After a restart it goes on where the last reader released; within one run
	 * there are no gaps. */
	if (s->seq && h.seq != s->seq + 1)
		s->malformed += h.seq - s->seq - 1;
	s->seq = h.seq;
	s->records++;
	s->bytes += n;
	s->fact(s->arg, &f);
}

unsigned src_bpf_drain(struct src_bpf *s, unsigned max)
{
	unsigned n = 0;
	int r = 0;
	if (!s->open || s->is_broken || s->paused)
		return 0;
	uint64_t offset = clock_offset();
	const uint8_t *p;
	uint32_t len;
	/* Bounded also if the producer is faster than we are. */
	unsigned most = max ? max : s->ring.size / 8;
	while (n < most && !s->paused && (r = bpf_ring_next(&s->ring, &p, &len)) == 1) {
		one(s, p, len, offset);
		n++;
	}
	if (r < 0) {
		break_off(s, "the BPF ring buffer makes no sense");
		return n;
	}
	bpf_ring_release(&s->ring);
	tell_losses(s);
	return n;
}

static void poll_ring(void *arg, uint64_t now)
{
	struct src_bpf *s = arg;
	unsigned n = src_bpf_drain(s, BATCH);
	if (!s->open || s->is_broken)
		return;
	s->interval = n ? SRC_BPF_BUSY_NS : 2 * s->interval;
	if (s->interval > SRC_BPF_IDLE_NS)
		s->interval = SRC_BPF_IDLE_NS;
	ev_timer_set(s->ev, &s->timer, n == BATCH ? now : now + s->interval, poll_ring, s);
}

static void tell_hello(struct src_bpf *s)
{
	struct fact f = { .type = HOOK_HELLO, .time = clock_ns(CLOCK_REALTIME) };
	f.hello.version = 1;
	f.hello.placed = s->state[PROBE_PLACED];
	f.hello.absent = s->state[PROBE_ABSENT];
	s->fact(s->arg, &f);
}

int src_bpf_start(struct src_bpf *s, struct ev *ev, int ring_fd, int state_fd, fact_fn fact, src_bpf_broken_fn broken,
		  void *arg, struct err *e)
{
	*s = (struct src_bpf){ .ev = ev, .fact = fact, .broken = broken, .arg = arg, .interval = SRC_BPF_BUSY_NS };
	void *state = mmap(NULL, PROBE_STATE_COUNT * sizeof(uint64_t), PROT_READ, MAP_SHARED, state_fd, 0);
	if (state == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the probes' counters");
	int r = bpf_ring_open(&s->ring, ring_fd, PROBE_RING, e);
	if (r < 0) {
		munmap(state, PROBE_STATE_COUNT * sizeof(uint64_t));
		return r;
	}
	s->state = state;
	s->open = true;
	tell_hello(s);
	ev_timer_set(ev, &s->timer, ev->now + s->interval, poll_ring, s);
	return 0;
}

void src_bpf_pause(struct src_bpf *s, bool paused)
{
	s->paused = paused;
	if (!s->open || s->is_broken)
		return;
	ev_timer_cancel(s->ev, &s->timer);
	if (!paused)
		ev_timer_set(s->ev, &s->timer, s->ev->now, poll_ring, s);
}

void src_bpf_stop(struct src_bpf *s)
{
	if (!s->open)
		return;
	ev_timer_cancel(s->ev, &s->timer);
	bpf_ring_close(&s->ring);
	munmap((void *)(uintptr_t)s->state, PROBE_STATE_COUNT * sizeof(uint64_t));
	s->open = false;
}
