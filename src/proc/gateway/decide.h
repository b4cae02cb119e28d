/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DECIDE_H
#define SKEP_PROC_GATEWAY_DECIDE_H

#include "proc/gateway/limits.h"
#include "proc/gateway/rules.h"

struct gateway;
struct flow;

/*
 * What a policy says about one conversation, and whether the limits admit it.
 * The order of the decision is that of model/policy.h; here stands nothing
 * about single frames (control.c).
 *
 * A conversation is charged once to the window that admits it: when it begins,
 * or at its next frame after a change of the policy, its state or its alerts has
 * put it under another window. So no window ever holds more conversations than
 * its limit, wherever they came from.
 */
struct decision {
	uint8_t action; /* enum rule_action */
	uint8_t reason; /* why its frames pass */
	uint8_t bar[2]; /* as in struct flow */
	uint16_t rule;
	bool narrow;        /* the narrowing limits hold for it */
	struct limit limit; /* that counts it */
	uint64_t window;    /* of that limit: LIMIT_OF_CLASS(), rules_window() or WINDOW_* */
};
#define WINDOW_RULE 1u  /* a rule lets it out without a limit of its own */
#define WINDOW_ALLOW 2u /* the allow list does */
#define WINDOW_IN 3u
#define WINDOW_PLAYED 4u

/* What a conversation is counted by. Checked as a whole before any is charged:
 * a denied attempt uses up nothing. */
struct charges {
	struct window *class; /* of its class; NULL: none */
	unsigned n;
	struct charge {
		struct limit_key key;
		struct limit limit;
		bool fan;
	} at[3];
	bool narrow, count;
};

/* A conversation that wants to begin. */
struct attempt {
	struct talk talk;
	struct decision decision;
	struct charges charges;
};

static inline bool decision_plays(uint8_t action)
{
	return action == ACTION_REFLECT || action == ACTION_SINKHOLE;
}

enum limit_class limit_class_of(uint8_t family, uint8_t proto);

/* Decides about the conversation that f begins in that direction (RULE_OUT, ...),
 * by the policy of honeypot `slot`. */
void decide_new(struct gateway *g, const struct frame *f, uint16_t slot, uint8_t direction, struct attempt *a);
/* The reason for which the limits do not admit it; REASON_NONE: they do. */
uint8_t decide_admit(struct gateway *g, const struct frame *f, struct attempt *a);
/* It has begun: charges it, if it was admitted, and keeps the decision in f->flow. */
void decide_begin(struct gateway *g, const struct frame *f, const struct attempt *a);
/* Does the policy of honeypot port p let a broadcast or multicast of the uplink in?
 * None of these is a conversation: what only a limit would let in stays outside. */
bool decide_hears(struct gateway *g, const struct frame *f, const struct port *p);
/* Decides again about the conversation of f->flow, if there is reason to. */
void decide_again(struct gateway *g, const struct frame *f);

#endif
