/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. The programs number the records that are in the ring;
 * what had no room they count in the state array, by site, so that a loss is told
 * behind what was in the ring when it was noticed. The numbers go on when this process is
 * restarted; the programs outlive it.
 */
#include "proc/introspect/src_bpf.h"

#include "proto/probe.h"
#include "proto/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define TURN 4096u  /* records of one turn of the loop: others want to run as well */
#define RELEASE 64u /* records after which their room is given back */
#define STATE_BYTES (PROBE_STATE_COUNT * sizeof(uint64_t))

_Static_assert(PROBE_SAMPLE_MAX == sizeof(struct ring_entry) + sizeof(struct hook_rec) + HOOK_DATA_MAX, "sizes");

/* What the programs' clock, the monotonic one, lacks to be realtime: now. */
static uint64_t clock_offset(void)
{
	return ev_realtime() - ev_monotonic();
}

static void tell(struct src_bpf *s, uint16_t type, uint64_t records)
{
	struct fact f = { .type = type, .time = ev_realtime() };
	f.loss.records = records;
	s->fact(s->arg, &f);
}

static void tell_losses(struct src_bpf *s)
{
	uint64_t lost = 0;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		lost += s->state[i];
	if (lost > s->lost) {
		uint64_t news = lost - s->lost;
		s->lost = lost;
#ifndef MUTANT_BPF_LOSS_SILENT
		tell(s, FACT_LOSS, news);
#else
		(void)news;
#endif
	}
	if (s->malformed > s->malformed_told) {
		uint64_t news = s->malformed - s->malformed_told;
		s->malformed_told = s->malformed;
		tell(s, FACT_MALFORMED, news);
	}
}

static void record(struct src_bpf *s, const uint8_t *p, uint32_t n, uint64_t offset)
{
	struct ring_entry h;
	struct fact f;
	if (n < sizeof(h) || n > PROBE_SAMPLE_MAX) {
		s->malformed++;
		return;
	}
	memcpy(&h, p, sizeof(h));
	if (h.len != n || h.kind != RING_HOOK || (s->seq && h.seq != s->seq + 1) ||
	    !decode_record(p + sizeof(h), n - sizeof(h), h.seq, h.time + offset, &s->buf, &f)) {
		s->malformed++;
		return;
	}
	s->seq = h.seq;
	s->records++;
	s->bytes += n;
	s->fact(s->arg, &f);
}

/* What the loader wrote; the programs themselves have nothing to say before the guest does. */
static void greet(struct src_bpf *s)
{
	struct fact f = { .type = HOOK_HELLO, .time = ev_realtime() };
	f.hello.version = 1;
	f.hello.placed = s->state[PROBE_PLACED];
	f.hello.absent = s->state[PROBE_ABSENT];
	s->greeted = true;
	s->fact(s->arg, &f);
}

static void give_back(struct src_bpf *s)
{
	if (s->kept && !s->kept(s->arg))
		return;
	bpf_ring_release(&s->ring);
}

unsigned src_bpf_drain(struct src_bpf *s, unsigned max)
{
	unsigned n = 0;
	int r = 0;
	/* Even without a limit it ends: see src_uml_drain. */
	unsigned most = max ? max : s->ring.size / (unsigned)sizeof(struct ring_entry);
	if (!s->open || s->is_broken)
		return 0;
	if (!s->greeted && !s->paused)
		greet(s);
	uint64_t offset = clock_offset();
	while (n < most && !s->paused) {
		const uint8_t *p;
		uint32_t len;
		r = bpf_ring_next(&s->ring, &p, &len);
		if (r <= 0)
			break;
		record(s, p, len, offset);
		if (++n % RELEASE == 0)
			give_back(s);
	}
	if (n)
		give_back(s);
	tell_losses(s);
	if (r < 0) {
		s->is_broken = true;
		ev_timer_cancel(s->ev, &s->timer);
		if (s->broken)
			s->broken(s->arg, "the BPF ring buffer makes no sense");
	}
	return n;
}

static void on_timer(void *arg, uint64_t now)
{
	struct src_bpf *s = arg;
	unsigned n = src_bpf_drain(s, TURN);
	if (!s->open || s->is_broken)
		return;
	s->interval = n ? SRC_BPF_BUSY_NS : 2 * s->interval;
	if (s->interval > SRC_BPF_IDLE_NS)
		s->interval = SRC_BPF_IDLE_NS;
	ev_timer_set(s->ev, &s->timer, n == TURN ? now : now + s->interval, on_timer, s);
}

int src_bpf_start(struct src_bpf *s, struct ev *ev, int ring_fd, int state_fd, fact_fn fact, src_broken_fn broken,
		  void *arg, struct err *e)
{
	*s = (struct src_bpf){ .ev = ev, .fact = fact, .broken = broken, .arg = arg, .interval = SRC_BPF_BUSY_NS };
	void *state = mmap(NULL, STATE_BYTES, PROT_READ, MAP_SHARED, state_fd, 0);
	if (state == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the probes' counters");
	int r = bpf_ring_open(&s->ring, ring_fd, PROBE_RING, e);
	if (r < 0) {
		munmap(state, STATE_BYTES);
		return r;
	}
	s->state = state;
	s->open = true;
	ev_timer_set(ev, &s->timer, ev->now + s->interval, on_timer, s);
	return 0;
}

void src_bpf_pause(struct src_bpf *s, bool paused)
{
	s->paused = paused;
}

void src_bpf_release(struct src_bpf *s)
{
	if (s->open && !s->is_broken)
		bpf_ring_release(&s->ring);
}

void src_bpf_stop(struct src_bpf *s)
{
	if (!s->open)
		return;
	s->open = false;
	ev_timer_cancel(s->ev, &s->timer);
	bpf_ring_close(&s->ring);
	munmap((void *)(uintptr_t)s->state, STATE_BYTES);
}
