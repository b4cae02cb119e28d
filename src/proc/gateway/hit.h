/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_HIT_H
#define SKEP_PROC_GATEWAY_HIT_H

#include "proc/gateway/frame.h"

#include "proto/proto.h"

struct gateway;

/*
 * What triggers wait for: limits that were reached, and keywords in payloads.
 *
 * Theory of operation. A table of fixed size holds what was met: honeypot, kind,
 * and which reason or keyword. Each is told at most once a second; what comes in
 * between is counted in it. A place is looked for among HIT_WAYS; if all hold
 * something that was not told yet, the new one is only counted (lost). A flood can
 * therefore neither grow anything nor send super more than a bounded number of
 * messages.
 *
 * Keywords are searched only if the policy's pool has some: one pass over the
 * payload with a bitmap of the first two bytes of all keywords, and a comparison
 * where it says so. Each frame is searched by itself: a keyword that is cut by the
 * border of two segments is not found.
 */
#define HITS 1024u
#define HIT_WAYS 4u
#define HIT_EVERY 1000000000ull /* ns */

struct hits {
	struct gw_hit at[HITS];
	uint64_t told[HITS]; /* monotonic, when it was told last; 0 = never */
	uint8_t used[HITS];
	unsigned pending; /* entries with count > 0 */
	unsigned sweep;
	uint64_t due; /* before that there is nothing to tell, whatever is pending */
	uint64_t lost;
	/* the keywords of one generation */
	bool compiled;
	uint32_t generation;
	uint8_t shortest;         /* bytes of the shortest keyword; 0 = there are none */
	uint8_t pairs[65536 / 8]; /* first two bytes; with one byte: any second one */
	uint64_t by_first[256];   /* bit = keyword that begins so */
};

/* After the judgement of a frame: notes a limit that it met, and keywords. */
void hit_note(struct gateway *g, const struct frame *f);
/* One that is due; false: none. It stays until hit_told says that super has it. */
bool hit_next(struct gateway *g, uint64_t now, struct gw_hit *out);
void hit_told(struct gateway *g, uint64_t now, const struct gw_hit *x);
/* Bits of the pool's keywords that stand in s; h was compiled for that pool. */
uint64_t hit_search(const struct hits *h, const struct policy_pool *pool, struct slice s);

#endif
