/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_NOTIFY_QUEUE_H
#define SKEP_PROC_NOTIFY_QUEUE_H

#include "proto/proto.h"

#include <stdbool.h>

/*
 * Notices that wait for their delivery, after the throttle. What the throttle or a
 * full queue leaves out is counted, and told in the next one that goes. Times are
 * monotonic ns.
 */
#define QUEUE_MAX 32u

struct queue {
	struct limit limit; /* count 0: none */
	uint64_t *at;       /* [limit.count]: when the last ones went in, a ring */
	uint64_t n;         /* ever */
	uint32_t left_out;
	struct notify_notice wait[QUEUE_MAX];
	unsigned first, waiting;
};

/* Another limit; what went in before counts in it as far as is known. -ENOMEM: the old one stays. */
int queue_limit(struct queue *q, const struct limit *l);
void queue_free(struct queue *q);
/* False: left out, and counted. */
bool queue_put(struct queue *q, const struct notify_notice *x, uint64_t now);
bool queue_take(struct queue *q, struct notify_notice *out);

#endif
