/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. Records are numbered by their writer; what it had no room
 * for it tells by a note, which has no number. So a jump of the numbers is a loss
 * that nobody told, and both become FACT_LOSS, before the record that follows.
 * The writer begins again with 1 only with its hello (the guest was restarted). When
 * this process was restarted, the first number may be any: what was read before is
 * on its disk already.
 */
#include "proc/introspect/src_uml.h"

#include <errno.h>

#define TURN 4096u  /* records of one turn of the loop: others want to run as well */
#define RELEASE 64u /* records after which their room is given back */

static void tell(struct src_uml *s, uint16_t type, uint64_t records, uint64_t bytes)
{
	struct fact f = { .type = type, .time = s->time ? s->time : s->clock() };
	f.loss.records = records;
	f.loss.bytes = bytes;
	s->fact(s->arg, &f);
}

static void lost(struct src_uml *s, uint64_t records, uint64_t bytes)
{
	s->lost += records;
	tell(s, FACT_LOSS, records, bytes);
}

static void note(struct src_uml *s, const uint8_t *p, size_t n)
{
	struct ring_note x;
	struct slice in = slice_of(p, n);
	if (slice_get(&in, &x, sizeof(x)) && in.n == 0)
		lost(s, x.lost_frames, x.lost_bytes);
	else
		s->malformed++;
}

static uint64_t possible(struct src_uml *s, uint64_t time)
{
	uint64_t now = s->clock();
	if (s->time > now) /* the host's clock was set back */
		s->time = now;
	if (time > now)
		time = now;
	s->time = time > s->time ? time : s->time;
	return s->time;
}

static void record(struct src_uml *s, const struct ring_entry *h, const uint8_t *p, size_t n)
{
	struct fact f;
	uint64_t expected = s->seq + 1;
	bool good = decode_record(p, n, h->seq, possible(s, h->time), &s->buf, &f);
	bool restarted = good && h->seq == 1 && f.type == HOOK_HELLO;
	if (s->seq && !restarted) {
#ifndef MUTANT_SRC_GAP_SILENT
		if (h->seq > expected)
			lost(s, h->seq - expected, 0);
#endif
		if (h->seq < expected)
			s->malformed++;
	}
	s->seq = h->seq ? h->seq : expected;
	s->records++;
	s->bytes += n;
	if (good)
		s->fact(s->arg, &f);
	else
		s->malformed++;
}

static void broken(struct src_uml *s)
{
	s->is_broken = true;
	ev_timer_cancel(s->ev, &s->timer);
	if (s->broken)
		s->broken(s->arg, "the ring in which the guest's kernel tells what happens was destroyed");
}

static void give_back(struct src_uml *s)
{
#ifndef MUTANT_SRC_RELEASE_EARLY
	if (s->kept && !s->kept(s->arg))
		return;
#endif
	ring_release(&s->ring);
}

unsigned src_uml_drain(struct src_uml *s, unsigned max)
{
	unsigned n = 0;
	int r = 0;
	/* Even without a limit it ends: a ring holds no more entries than this, and
	 * what comes meanwhile is for the next time. */
	unsigned most = max ? max : s->ring.size / (unsigned)sizeof(struct ring_entry);
	if (!s->open || s->is_broken)
		return 0;
	while (n < most && !s->paused) {
		struct ring_entry h;
		const uint8_t *p;
		r = ring_next(&s->ring, &h, &p);
		if (r <= 0)
			break;
		size_t len = h.len - sizeof(h);
		if (h.kind == RING_HOOK)
			record(s, &h, p, len);
		else if (h.kind == RING_NOTE)
			note(s, p, len);
		else
			s->malformed++;
		if (++n % RELEASE == 0)
			give_back(s);
	}
	if (n)
		give_back(s);
	if (s->malformed > s->malformed_told) {
		uint64_t news = s->malformed - s->malformed_told;
		s->malformed_told = s->malformed;
		tell(s, FACT_MALFORMED, news, 0);
	}
	if (r < 0)
		broken(s);
	return n;
}

static void on_timer(void *arg, uint64_t now)
{
	struct src_uml *s = arg;
	unsigned n = src_uml_drain(s, TURN);
	if (s->is_broken || !s->open)
		return;
	if (n == TURN)
		s->interval = 0;
	else if (n)
		s->interval = SRC_UML_BUSY_NS;
	else
		s->interval = s->interval * 2 > SRC_UML_IDLE_NS ? SRC_UML_IDLE_NS : s->interval * 2;
	if (s->interval < SRC_UML_BUSY_NS && n != TURN)
		s->interval = SRC_UML_BUSY_NS;
	ev_timer_set(s->ev, &s->timer, now + s->interval, on_timer, s);
}

int src_uml_start(struct src_uml *s, struct ev *ev, int ring_fd, fact_fn fact, src_broken_fn broken_fn, void *arg,
		  struct err *e)
{
	struct ring_reader r;
	int code = ring_reader_open(&r, ring_fd, e);
	if (code < 0)
		return code;
	*s = (struct src_uml){ .ev = ev, .ring = r, .fact = fact, .broken = broken_fn, .arg = arg, .open = true };
	s->clock = ev_realtime;
	s->interval = SRC_UML_BUSY_NS;
	ev_timer_set(ev, &s->timer, ev->now + s->interval, on_timer, s);
	return 0;
}

void src_uml_pause(struct src_uml *s, bool paused)
{
	s->paused = paused;
}

void src_uml_release(struct src_uml *s)
{
	if (s->open && !s->is_broken)
		ring_release(&s->ring);
}

void src_uml_end(struct src_uml *s)
{
	struct ring_entry h;
	const uint8_t *p;
	if (!s->open || s->is_broken)
		return;
	uint64_t records = atomic_load_explicit(&s->ring.shm->lost_entries, memory_order_relaxed);
	uint64_t bytes = atomic_load_explicit(&s->ring.shm->lost_bytes, memory_order_relaxed);
#ifdef MUTANT_SRC_LAST_LOSS_SILENT
	records = 0;
#endif
	/* The guest can write there what it likes: it is a number, no more. */
	records = records > UINT32_MAX ? UINT32_MAX : records;
	for (size_t most = s->ring.size / sizeof(h); most && ring_next(&s->ring, &h, &p) > 0; most--) {
		records += h.kind == RING_HOOK;
		bytes += h.len;
	}
	if (records)
		lost(s, records, bytes);
}

void src_uml_stop(struct src_uml *s)
{
	if (!s->open)
		return;
	s->open = false;
	ev_timer_cancel(s->ev, &s->timer);
	ring_reader_close(&s->ring);
}
