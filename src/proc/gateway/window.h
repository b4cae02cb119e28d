/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_WINDOW_H
#define SKEP_PROC_GATEWAY_WINDOW_H

#include "model/policy.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Sliding windows. All times are monotonic nanoseconds that never go back.
 *
 * Counts are exact: a window keeps the time of its last LIMIT_COUNT_MAX events,
 * so "may one more happen now" is one look at the event `count` places back,
 * and a changed limit finds all the history that it can ask for. A token bucket
 * or a counter that starts anew each minute would let twice the limit pass
 * within one window.
 *
 * Bytes and packets are summed in sub-buckets, a sixteenth of the window each.
 * The newest 17 buckets cover every window that ends now, so the sum errs
 * towards too much and the budget holds in every window wherever it begins.
 */
struct window {
	uint64_t *at; /* [LIMIT_COUNT_MAX], the owner's memory */
	uint64_t n;   /* events ever */
};

/* True if one more event now would break the limit. Changes nothing. */
bool window_full(const struct window *w, const struct limit *l, uint64_t now);
void window_add(struct window *w, uint64_t now);

#define SUM_BUCKETS 17

struct window_sum {
	uint64_t width; /* ns of one bucket; 0 = none yet, or one for ever */
	uint64_t slot;  /* number of the newest bucket since time 0 */
	uint64_t bytes[SUM_BUCKETS], packets[SUM_BUCKETS];
};

bool budget_limited(const struct budget *b);
/* True if `bytes` in so many more packets now stay within the budget. Old buckets
 * may go; nothing is charged. */
bool sum_fits(struct window_sum *s, const struct budget *b, uint64_t now, uint64_t bytes, uint64_t packets);
void sum_charge(struct window_sum *s, const struct budget *b, uint64_t now, uint64_t bytes, uint64_t packets);

#endif
