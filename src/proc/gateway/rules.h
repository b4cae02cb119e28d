/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_RULES_H
#define SKEP_PROC_GATEWAY_RULES_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * The rules of a policy. A conversation is matched when it begins, and again at
 * its next frame after the policy, the state (new, established) or the alerts on
 * it have changed; between that its decision stands in the flow.
 */

/* The first rule of pol that matches the conversation of frame f, in direction
 * `direction` (RULE_OUT, ...) at wall-clock time; NULL: none. */
const struct rule *rules_match(struct gateway *g, const struct policy *pol, const struct frame *f, unsigned direction);

#endif
