/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_POLICY_H
#define SKEP_PROC_GATEWAY_POLICY_H

#include "base/err.h"
#include "proc/gateway/lookup.h"
#include "proto/proto.h"

/*
 * The policies in force, and the place where the next ones are built. A change
 * is checked and built aside, then swapped in by one pointer between batches;
 * if anything is wrong with it, the old one stays (invariant 6). What control
 * remembers (windows, flows) belongs to the ports and outlives the swap.
 */
struct policy_set {
	uint32_t generation; /* the sender's number */
	uint32_t serial;     /* ours: no two sets that were in force have the same; never 0 */
	bool has[MODEL_HONEYPOTS];
	uint16_t honeypot[MODEL_HONEYPOTS]; /* index in the model of each slot: rules name these */
	uint16_t network[MODEL_HONEYPOTS];
	struct policy of[MODEL_HONEYPOTS];
	struct policy_pool pool;
	const struct lookup *lookup; /* what of it is compiled */
};

struct policies {
	struct policy_set sets[2];
	struct lookup lookups[2];
	const struct policy_set *now; /* one of sets; the other is free */
	uint32_t serial;              /* last one given */
	/* As read from the memfd. */
	struct policy_pool pool;
	struct gw_policy_entry entries[MODEL_HONEYPOTS];
};

void policies_init(struct policies *p);

/* Every bound of what came from another process: nothing looks at it before. 0 or
 * -EINVAL. pool: checked already. */
int pool_check(const struct policy_pool *pool, struct err *e);
int policy_check(const struct policy *p, const struct policy_pool *pool, struct err *e);

/* Swaps in the complete set: a port without entry has no policy afterwards.
 * pool NULL: an empty one. */
int policies_swap(struct policies *p, const struct policy_pool *pool, const struct gw_policy_entry *entries, uint32_t n,
		  uint32_t generation, struct err *e);
/* As policies_swap, from a memfd that must be sealed against any change and
 * hold exactly a pool and n entries. The fd stays the caller's. */
int policies_load(struct policies *p, int fd, uint32_t n, uint32_t generation, struct err *e);
/* Takes one port's policy away. */
void policies_forget(struct policies *p, uint16_t port);

/* NULL: no policy, everything drops. */
static inline const struct policy *policy_of(const struct policies *p, uint16_t port)
{
	return port < MODEL_HONEYPOTS && p->now->has[port] ? &p->now->of[port] : NULL;
}

#endif
