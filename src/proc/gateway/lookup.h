/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_LOOKUP_H
#define SKEP_PROC_GATEWAY_LOOKUP_H

#include "proto/proto.h"

/*
 * The rules and lists of a policy set, compiled when it is loaded.
 *
 * Theory of operation. Each thing that a rule may ask for is one dimension, which
 * maps a value to a vector with one bit for each rule of the pool: set if the rule
 * does not mind this value. Protocols and ports index tables; addresses are looked
 * up among the sorted boundaries of all prefixes, between which every address is
 * treated the same. The AND of a conversation's vectors has a bit for each rule
 * that matches; the first is the rule. What is not a dimension - state, alert,
 * time - is asked of the candidates in order (rules.c).
 *
 * Lists (fence, black, allow) are found in the same way, with a bit for each
 * different list.
 *
 * Everything has a fixed place here; nothing is allocated.
 */
#define LOOKUP_WORDS (POOL_RULES / 64)
#define LOOKUP_LISTS 64u
#define LOOKUP_INTERVALS (2 * POOL_PREFIXES + 1)
#define LOOKUP_PORTS (2 * POOL_RANGES + 1)
#define LIST_NONE 0xffu /* an empty list */
#define LIST_SLOW 0xfeu /* more different lists than bits: looked through one by one */

typedef unsigned __int128 wide_addr; /* in host order; IPv4 in the lowest 32 bits */

/* Interval i begins at start[i] and ends before start[i + 1]; start[0] is 0. */
struct intervals {
	uint32_t n;
	wide_addr start[LOOKUP_INTERVALS];
};

struct address_dimension {
	struct intervals of;
	uint64_t rules[LOOKUP_INTERVALS][LOOKUP_WORDS];
};

struct port_dimension {
	uint32_t n;
	uint16_t interval[65536];
	uint64_t rules[LOOKUP_PORTS][LOOKUP_WORDS];
	uint64_t without[LOOKUP_WORDS]; /* of protocols that have no ports */
};

struct list_dimension {
	struct intervals of;
	uint64_t lists[LOOKUP_INTERVALS];
};

struct lookup {
	/* Of each port slot: the rules of its policy that are for its honeypot and
	 * network, by direction (out, lateral, in). */
	uint64_t base[MODEL_HONEYPOTS][3][LOOKUP_WORDS];
	uint64_t proto[2][256][LOOKUP_WORDS]; /* IPv4, IPv6 */
	struct address_dimension from[2], to[2];
	struct port_dimension sports, ports;
	uint64_t window[POOL_RULES]; /* rules_window() */
	struct list_dimension lists[2];
	uint32_t nlists;
	struct span list[LOOKUP_LISTS];
	struct {
		uint8_t fence, black, allow; /* bit in lists; LIST_NONE, LIST_SLOW */
	} of[MODEL_HONEYPOTS];
	bool timed; /* a rule names times */
	/* while it is built */
	int32_t count[LOOKUP_INTERVALS + 1];
};

struct policy_set;

/* Compiles what set->pool, has, of, honeypot and network hold, all checked. */
void lookup_build(struct lookup *l, const struct policy_set *set);

wide_addr lookup_address(uint8_t family, const uint8_t addr[16]);
/* The interval that holds a. */
uint32_t lookup_interval(const struct intervals *v, wide_addr a);

#endif
