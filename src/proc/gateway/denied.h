/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DENIED_H
#define SKEP_PROC_GATEWAY_DENIED_H

#include "base/err.h"
#include "proc/gateway/frame.h"

/*
 * What was stopped at its first frame never becomes a flow, but an operator
 * wants to see it next to those that did: equal attempts (same port, addresses,
 * protocol, destination port, reason and rule) are counted here and written as one
 * flow record when they have rested, or when another attempt needs the place.
 * The table is fixed; frames come first: while a ring is more than half full
 * these records are left out (the frames themselves are all there).
 */
struct gateway;

#define DENIED_SETS 1024u /* power of two */
#define DENIED_WAYS 4u

struct denied {
	struct tuple t;
	uint16_t owner, src_slot, dst_slot;
	uint8_t used, verdict, reason, flags;
	uint8_t icmp, icmp_type, icmp_code;
	uint16_t rule; /* under the policy of that serial number */
	uint32_t serial;
	uint32_t attempts;
	uint64_t start, last;
};

struct denied_table {
	struct denied *at; /* [DENIED_SETS * DENIED_WAYS] */
	uint32_t sweep;
};

int denied_init(struct denied_table *t, struct err *e);
void denied_free(struct denied_table *t);
void denied_count(struct gateway *g, const struct frame *f);
/* Writes what has rested for some seconds; all: everything. */
void denied_flush(struct gateway *g, uint64_t now, bool all);
/* Writes and forgets what belongs to a port. */
void denied_flush_port(struct gateway *g, const struct port *p);

#endif
