/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_RULES_H
#define SKEP_PROC_GATEWAY_RULES_H

#include "proc/gateway/frame.h"

struct gateway;
struct policy_set;

/*
 * The rules of a policy. A conversation is matched when it begins, and again at
 * its next frame after the policy, the state (new, established), the alerts on
 * it or, where rules name times, the minute have changed; between that its
 * decision stands in the flow.
 */

/* A conversation, seen from the side that begins it, whoever sends the frame. */
struct talk {
	uint8_t family, proto;
	uint8_t direction; /* RULE_OUT, RULE_LATERAL or RULE_IN */
	bool established;  /* or closed after that */
	bool has_ports;    /* TCP or UDP */
	uint16_t slot;     /* honeypot whose policy it is */
	uint16_t from_port, to_port;
	uint8_t from[16], to[16];
	uint32_t alert; /* that the inline engine raised; 0 = none */
};

/* Of the conversation that frame f begins or belongs to. */
void talk_of(struct gateway *g, const struct frame *f, struct talk *t);

/* Index in the pool of the first rule of the slot's policy that matches, at
 * wall-clock time `wall` (ns since 1970); RULE_NONE. */
uint16_t rules_match(const struct policy_set *set, const struct talk *t, uint64_t wall);

/* Names the window of a rule: the same over reloads for the same name and per. */
uint64_t rules_window(const struct rule *r);

/* Is the address on a list of the policy of that port, which must have one? */
bool rules_fenced(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16]);
bool rules_black(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16]);
bool rules_allowed(const struct policy_set *set, uint16_t slot, uint8_t family, const uint8_t addr[16]);

#endif
