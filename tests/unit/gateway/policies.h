/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_POLICIES_H
#define SKEP_TESTS_POLICIES_H

#include "model/policy.h"
#include "world.h"

/*
 * Policies with rules and lists, for tests: one pool, filled step by step, and
 * random ones. Nothing here is shared with the gateway's own code.
 */
struct policy_builder {
	struct policy_pool pool;
	struct policy policy; /* of all honeypots */
};

void builder_init(struct policy_builder *b);
/* "192.0.2.0/24 2001:db8::/32": a span of prefixes. */
struct span builder_prefixes(struct policy_builder *b, const char *text);
/* "22 80-90" */
struct span builder_ports(struct policy_builder *b, const char *text);
/* Adds a rule at the end of the policy's. */
struct rule *builder_rule(struct policy_builder *b, const char *name, unsigned action, unsigned directions);
/* The policy for the honeypots 0..n-1 of network 0. 0 or -errno. */
int builder_apply(struct policy_builder *b, struct world *w, unsigned n);

#endif
