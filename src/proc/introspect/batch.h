/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_BATCH_H
#define SKEP_INTROSPECT_BATCH_H

#include "proto/intro.h"
#include "proto/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records on their way to evidence, as MSG_EV_INTRO messages.
 *
 * Theory of operation. Records gather in a batch; a full one is sent, and what
 * there is at each flush. When evidence's socket is full, batches wait here. Their
 * number is bounded by the owner: it reads no further fact until all are
 * gone, so that what waits comes from one fact (a program's arguments, the end
 * of all sessions: below 4 MiB). Facts then stay in the guest's ring,
 * and what does not fit there is counted as lost by its writer.
 */
#define BATCH_BYTES 30720u /* as the table of messages says */

struct batch {
	struct batch *next;
	size_t n;
	struct {
		struct ev_intro head;
		uint8_t records[BATCH_BYTES];
	} msg;
};

struct batches {
	struct chan *evidence;
	struct batch *first, *last; /* the last one is being filled */
	int error;                  /* 0, or why evidence takes nothing any more */
	uint64_t sent;              /* records */
	bool blocked;               /* its socket is full */
};

/* -ENOMEM. */
int batch_init(struct batches *o, struct chan *evidence);
void batch_free(struct batches *o);
/* An emit_fn. */
void batch_record(void *out, const struct intro_rec *rec, size_t n);
/* Sends what evidence takes. True: it has everything. */
bool batch_flush(struct batches *o);
/* Waits for it, at most ms. */
bool batch_flush_wait(struct batches *o, int ms);

#endif
