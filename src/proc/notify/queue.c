/* SPDX-License-Identifier: ISC */
#include "proc/notify/queue.h"

#include <errno.h>
#include <stdlib.h>

#define SEC 1000000000ull

int queue_limit(struct queue *q, const struct limit *l)
{
	uint32_t cap = q->limit.count;
	uint64_t *at = NULL;
	if (l->count == LIMIT_UNLIMITED || l->count > LIMIT_COUNT_MAX || l->count == 0) {
		free(q->at);
		q->at = NULL;
		q->limit = (struct limit){ 0, 0 };
		return 0;
	}
	if (l->count != cap) {
		at = calloc(l->count, sizeof(*at));
		if (!at)
			return -ENOMEM;
		uint64_t keep = q->n < cap ? q->n : cap;
		keep = keep < l->count ? keep : l->count;
		for (uint64_t i = 0; i < keep; i++)
			at[keep - 1 - i] = q->at[(q->n - 1 - i) % cap];
		free(q->at);
		q->at = at;
		q->n = keep;
	}
	q->limit = *l;
	return 0;
}

void queue_free(struct queue *q)
{
	free(q->at);
	*q = (struct queue){ 0 };
}

static bool may(const struct queue *q, uint64_t now)
{
	uint32_t cap = q->limit.count;
#ifdef MUTANT_NOTIFY_THROTTLE_OFF
	return true;
#endif
	return !cap || q->n < cap || now - q->at[q->n % cap] >= q->limit.seconds * SEC;
}

bool queue_put(struct queue *q, const struct notify_notice *x, uint64_t now)
{
	/* What super left out is behind us too. */
	q->left_out += x->left_out;
	if (q->waiting == QUEUE_MAX || !may(q, now)) {
		q->left_out++;
		return false;
	}
	if (q->limit.count)
		q->at[q->n++ % q->limit.count] = now;
	struct notify_notice *to = &q->wait[(q->first + q->waiting++) % QUEUE_MAX];
	*to = *x;
	to->left_out = q->left_out;
	q->left_out = 0;
	return true;
}

bool queue_take(struct queue *q, struct notify_notice *out)
{
	if (!q->waiting)
		return false;
	*out = q->wait[q->first];
	q->first = (q->first + 1) % QUEUE_MAX;
	q->waiting--;
	return true;
}
