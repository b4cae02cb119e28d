/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FRAG_H
#define SKEP_PROC_GATEWAY_FRAG_H

#include "base/err.h"
#include "proc/gateway/frame.h"

/*
 * Fragments are forwarded as they come, never reassembled, so that nothing
 * changes on the wire; but only if the receiver cannot put anything together
 * that was not judged.
 *
 * Theory of operation. A datagram exists here from its first fragment, which
 * must hold the whole transport header and is judged like any frame. Later
 * fragments get that judgement. A bitmap of 8-byte units says what was sent:
 * a fragment that overlaps, reaches beyond the end or moves the end poisons
 * the datagram, and all further ones are dropped (RFC 5722, RFC 1858, RFC
 * 3128). A fragment that comes before its first one is dropped: nobody has
 * judged it. Complete datagrams are forgotten, others after FRAG_SECONDS.
 * The table is a fixed array with a share for each port; full means drop.
 */
struct gateway;

#define FRAG_ENTRIES 4096u /* power of two */
#define FRAG_PER_PORT 256u
#define FRAG_SECONDS 30u
#define FRAG_UNITS 8192u

struct frag {
	uint8_t saddr[16], daddr[16];
	uint32_t id;
	uint16_t port;
	uint8_t family, proto;
	uint8_t used, poisoned;
	uint8_t verdict, reason; /* of the first fragment */
	uint8_t dir;
	uint32_t flow; /* index, with the id below against reuse */
	uint64_t flow_id;
	uint64_t born;
	uint32_t end;  /* bytes of the whole payload; 0 = last fragment not seen */
	uint32_t high; /* end of what was seen */
	uint32_t got;  /* units seen */
	uint64_t map[FRAG_UNITS / 64];
};

struct frag_table {
	struct frag *at; /* [FRAG_ENTRIES] */
	uint16_t *per_port;
	uint32_t sweep;
};

int frag_table_init(struct frag_table *t, struct err *e);
void frag_table_free(struct frag_table *t);

/* Looks up the datagram of a fragment and judges the fragment's place in it.
 * Later fragments get the flow of the first one. */
void frag_find(struct gateway *g, struct frame *f);
/* Remembers what was decided about a first fragment. */
void frag_judged(struct gateway *g, const struct frame *f);
void frag_expire(struct gateway *g, uint64_t now);

#endif
