/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FLOW_H
#define SKEP_PROC_GATEWAY_FLOW_H

#include "base/err.h"
#include "proc/gateway/frame.h"
#include "proc/gateway/window.h"

#include <stdalign.h>

/*
 * The flow table.
 *
 * Theory of operation. A flow is found by a keyed hash (SipHash: intruders
 * choose the tuples) of a key that is the same for both directions. Entries
 * come from one array that is mapped at start and touched as it fills; nothing
 * is allocated later. A full table, or a honeypot that uses up its share,
 * refuses new flows: it fails closed and never forgets a living one.
 *
 * Every flow hangs in one list for its kind of timeout, oldest first; since all
 * in a list wait equally long, expiry looks only at the front. To spare the
 * cache a flow moves to the end at most once a second, so it may live up to a
 * second longer than its timeout says.
 *
 * A conversation whose destination somebody else plays (play.c) has two entries:
 * its own, and a twin under the addresses and ports that the player sees. The
 * twin is only a second way to find the first: it is in no list, counts nothing
 * and writes no record, and both go at once.
 *
 * A flow ends with a record in the ring of its honeypot's port. If the ring has
 * no room the flow waits for it: no record is lost while evidence catches up.
 */
struct gateway;

#define FLOW_NONE 0u /* index 0 is never used */

enum flow_list {
	FLOW_LIST_TCP_NEW,
	FLOW_LIST_TCP,
	FLOW_LIST_TCP_CLOSED,
	FLOW_LIST_TCP_RESET,
	FLOW_LIST_UDP_NEW,
	FLOW_LIST_UDP,
	FLOW_LIST_ICMP,
	FLOW_LIST_OTHER,
	FLOW_LIST_COUNT
};

/* a/b: the sides in an order that does not depend on who sends. No padding: it
 * is hashed and compared as bytes. */
struct flow_key {
	uint8_t a[16], b[16];
	uint16_t aport, bport;
	uint16_t net;
	uint8_t family, proto;
};

struct flow {
	alignas(64) struct flow_key key;
	uint32_t chain; /* next of the bucket; of a free entry: next free */
	uint32_t hash;
	uint32_t older, newer;
	uint64_t last; /* ns, monotonic */
	/* --- 64 bytes: what a lookup touches --- */
	uint64_t listed, start;
	uint64_t id;
	uint64_t bytes[2], pkts[2]; /* forwarded; [0] from the side that began it */
	uint32_t dropped[2];
	uint16_t src_slot, dst_slot;
	uint16_t owner; /* honeypot port that counts it and whose ring gets the record */
	uint8_t list;
	uint8_t used;
	uint8_t a_began; /* key.a is the side that began it */
	uint8_t lateral;
	uint8_t state; /* enum flow_state */
	uint8_t fins;  /* directions that have sent FIN */
	uint8_t flags[2];
	uint8_t verdict, reason; /* strictest so far */
	uint8_t icmp_type, icmp_code;
	/* What control decided, and what it had asked: see decide.h. Another policy,
	 * state, alert or minute: ask again. */
	uint32_t generation; /* policies.serial; 0 = not yet */
	uint16_t rule;       /* RULE_NONE: lists and classes decided */
	uint8_t action;      /* enum rule_action */
	uint8_t ttl[2];      /* of the first frame of each direction */
	uint8_t engine;      /* enum engine_mode, since it began */
	uint16_t player;     /* ACTION_REFLECT, SINKHOLE: port that plays the destination */
	uint32_t twin;       /* of a conversation that is played: the entry under the player's tuple, and back */
	uint32_t alert;      /* signature id that the engine raised last; 0 = none */
	uint32_t asked_alert, asked_minute;
	uint8_t asked_established;
	uint8_t as_twin;     /* this entry is the twin: what was decided stands in the other. Both have the same
			      * beginner, so that dir means the same */
	uint8_t bar[2];      /* reason for which frames of each direction are dropped; REASON_NONE = they are not */
	uint8_t pass_reason; /* why its frames pass otherwise */
	uint8_t counted;     /* in port.own of its owner */
	uint8_t narrowed;    /* charged to the limits that narrow others */
	uint64_t window;     /* what it was charged to: struct limit_key, what; 0 = nothing yet */
};

/* Of a conversation that is played: the MACs that the two sides of the gateway
 * see. [0]: as the beginner addressed its first frame; [1]: on the player's side. */
struct flow_macs {
	uint8_t from[2][6], to[2][6];
};

struct flow_table {
	struct flow *at;          /* [max + 1] */
	struct window_sum *sums;  /* [max + 1]: windows of flow budgets, touched only if used */
	struct flow_macs *macs;   /* [max + 1]: the same */
	uint32_t *buckets;        /* [mask + 1] */
	uint32_t mask, max, high; /* high: entries ever touched */
	uint32_t free;
	uint32_t count;
	uint32_t per_honeypot;
	uint32_t oldest[FLOW_LIST_COUNT], newest[FLOW_LIST_COUNT];
	uint64_t next_id;
	uint8_t hash_key[16];
};

/* Maps the table. hash_key NULL = random. */
int flow_table_init(struct flow_table *t, uint32_t max, uint32_t per_honeypot, const uint8_t hash_key[16],
		    struct err *e);
void flow_table_free(struct flow_table *t);

/* Key of the conversation that a packet with this tuple belongs to. kind, type,
 * code and id are of ICMP. *from_a: the sender is side a. */
void flow_key_of(const struct tuple *t, uint16_t net, uint8_t kind, uint8_t type, uint8_t code, uint16_t id,
		 struct flow_key *key, bool *from_a);
struct flow *flow_lookup(const struct flow_table *t, const struct flow_key *key);

/* The network of a port in keys: a sinkhole has its own, since it sees the
 * addresses that the honeypots see. */
uint16_t flow_net(const struct port *p);
/* The stage: sets f->flow and f->dir if the frame belongs to a known flow, and
 * f->twin if it was found by what the player sees. f->flow is never a twin. */
void flow_find(struct gateway *g, struct frame *f);
/* Room for one more flow of this honeypot? */
bool flow_room(const struct gateway *g, const struct port *owner);
/* Begins a flow with frame f, from port src to dst (NULL unknown). There must be room. */
struct flow *flow_begin(struct gateway *g, struct frame *f, struct port *owner, struct port *src, struct port *dst);
/* Gives fl a twin under this key, which nobody has; from_a as of flow_key_of for
 * what the beginner sends. There must be room. Returns it. */
struct flow *flow_twin(struct gateway *g, struct flow *fl, const struct flow_key *key, bool from_a);
/* Counts a judged frame and follows the TCP state. */
void flow_account(struct gateway *g, struct frame *f);
/* Ends with a record; false (and the flow lives on) if the ring has no room,
 * unless force. */
bool flow_end(struct gateway *g, struct flow *fl, uint8_t end, bool force);
/* Ends what has timed out; at most `most` flows. */
void flow_expire(struct gateway *g, uint64_t now, unsigned most);
/* Ends all flows of a port (NULL: all). Returns how many records found no room. */
uint32_t flow_end_all(struct gateway *g, const struct port *p, bool force);

/* The entry that holds what was decided. */
static inline struct flow *flow_main(const struct flow_table *t, struct flow *fl)
{
	return fl->as_twin ? &t->at[fl->twin] : fl;
}
/* Takes back what flow_begin did with this frame: it never was. */
void flow_cancel(struct gateway *g, struct frame *f);

struct window_sum *flow_sum(struct flow_table *t, const struct flow *fl);
struct flow_macs *flow_macs(struct flow_table *t, const struct flow *fl);

#endif
