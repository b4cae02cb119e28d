/* SPDX-License-Identifier: ISC */
#include "proc/introspect/batch.h"

#include "base/ev.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static int add(struct batches *o)
{
	struct batch *b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->next = NULL;
	b->n = 0;
	b->msg.head = (struct ev_intro){ 0 };
	if (o->last)
		o->last->next = b;
	else
		o->first = b;
	o->last = b;
	return 0;
}

int batch_init(struct batches *o, struct chan *evidence)
{
	*o = (struct batches){ .evidence = evidence };
	return add(o);
}

void batch_free(struct batches *o)
{
	while (o->first) {
		struct batch *b = o->first;
		o->first = b->next;
		free(b);
	}
	o->last = NULL;
}

/* 0: sent. -EAGAIN, or what ended it. */
static int send_batch(struct batches *o, const struct batch *b)
{
	int r = msg_send(o->evidence, MSG_EV_INTRO, 0, &b->msg, sizeof(b->msg.head) + b->n, NULL, 0);
	o->blocked = r == -EAGAIN;
	if (r == 0)
		o->sent += b->msg.head.n;
	else if (r != -EAGAIN)
		o->error = r;
	return r;
}

bool batch_flush(struct batches *o)
{
	if (o->error)
		return false;
	while (o->first->n) {
		struct batch *b = o->first;
		if (send_batch(o, b) < 0)
			return false;
		b->n = 0;
		b->msg.head.n = 0;
		if (!b->next)
			break;
		o->first = b->next;
		free(b);
	}
	return true;
}

void batch_record(void *out, const struct intro_rec *rec, size_t n)
{
	struct batches *o = out;
	if (o->last->n + n > BATCH_BYTES && !batch_flush(o)) {
#ifdef MUTANT_INTRO_DROP_WHEN_FULL
		o->last->n = o->last->msg.head.n = 0;
#else
		if (add(o) < 0)
			o->error = -ENOMEM;
#endif
	}
	if (o->error)
		return;
	memcpy(o->last->msg.records + o->last->n, rec, n);
	o->last->n += n;
	o->last->msg.head.n++;
}

bool batch_flush_wait(struct batches *o, int ms)
{
	uint64_t end = ev_monotonic() + (uint64_t)ms * EV_MS;
	while (!batch_flush(o)) {
		uint64_t now = ev_monotonic();
		struct pollfd p = { .fd = o->evidence->fd, .events = POLLOUT };
		if (o->error || now >= end)
			return false;
		if (poll(&p, 1, (int)((end - now) / EV_MS) + 1) < 0 && errno != EINTR)
			return false;
	}
	return true;
}
