/* SPDX-License-Identifier: ISC */
#include "proc/gateway/window.h"

#include <string.h>

#define NS 1000000000ull

bool window_full(const struct window *w, const struct limit *l, uint64_t now)
{
	if (l->count == LIMIT_UNLIMITED)
		return false;
	if (l->count == 0 || l->count > LIMIT_COUNT_MAX)
		return true;
	if (w->n < l->count)
		return false;
	uint64_t at = w->at[(w->n - l->count) % LIMIT_COUNT_MAX], span = l->seconds * NS;
#ifdef MUTANT_WINDOW_BUCKET
	return at / span == now / span;
#else
	return now - at <= span;
#endif
}

void window_add(struct window *w, uint64_t now)
{
	w->at[w->n++ % LIMIT_COUNT_MAX] = now;
}

bool budget_limited(const struct budget *b)
{
	return b->bytes || b->packets;
}

/* Moves the buckets up to now, for a window of b->seconds. */
static void sum_turn(struct window_sum *s, const struct budget *b, uint64_t now)
{
	uint64_t width = (b->seconds * NS + SUM_BUCKETS - 2) / (SUM_BUCKETS - 1);
	uint64_t slot = width ? now / width : 0;
	if (width != s->width) {
		/* Another window from now on: what the old one still held counts
		 * as sent just now, which errs to the strict side. */
		uint64_t bytes = 0, packets = 0;
		for (unsigned i = 0; i < SUM_BUCKETS; i++) {
			bytes += s->bytes[i];
			packets += s->packets[i];
		}
		*s = (struct window_sum){ .width = width, .slot = slot };
		s->bytes[slot % SUM_BUCKETS] = bytes;
		s->packets[slot % SUM_BUCKETS] = packets;
		return;
	}
	if (slot <= s->slot)
		return;
	if (slot - s->slot >= SUM_BUCKETS) {
		memset(s->bytes, 0, sizeof(s->bytes));
		memset(s->packets, 0, sizeof(s->packets));
	} else {
		for (uint64_t i = s->slot + 1; i <= slot; i++)
			s->bytes[i % SUM_BUCKETS] = s->packets[i % SUM_BUCKETS] = 0;
	}
	s->slot = slot;
}

bool sum_fits(struct window_sum *s, const struct budget *b, uint64_t now, uint64_t bytes, uint64_t packets)
{
	if (!budget_limited(b))
		return true;
	sum_turn(s, b, now);
	uint64_t total = bytes;
	for (unsigned i = 0; i < SUM_BUCKETS; i++) {
		total += s->bytes[i];
		packets += s->packets[i];
	}
	return (!b->bytes || total <= b->bytes) && (!b->packets || packets <= b->packets);
}

void sum_charge(struct window_sum *s, const struct budget *b, uint64_t now, uint64_t bytes, uint64_t packets)
{
	if (!budget_limited(b))
		return;
	sum_turn(s, b, now);
	s->bytes[s->slot % SUM_BUCKETS] += bytes;
	s->packets[s->slot % SUM_BUCKETS] += packets;
}
