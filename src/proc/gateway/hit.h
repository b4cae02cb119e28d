/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_HIT_H
#define SKEP_PROC_GATEWAY_HIT_H

#include "proc/gateway/frame.h"

#include "proto/proto.h"

struct gateway;

/* What triggers wait for: limits that were reached, and keywords. At most one
 * message a second for the same port, kind and what; the rest is counted. */
#define HITS 256u

struct hits {
	struct gw_hit at[HITS]; /* to be told; count 0 = free */
	uint64_t told[HITS];    /* monotonic, when the same was told last */
};

/* After the judgement of a frame: notes a limit that it met, and keywords. */
void hit_note(struct gateway *g, const struct frame *f);
/* The next one that is due; false: none. */
bool hit_next(struct gateway *g, uint64_t now, struct gw_hit *out);

#endif
