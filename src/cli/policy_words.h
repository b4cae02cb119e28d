/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_POLICY_WORDS_H
#define SKEP_CLI_POLICY_WORDS_H

#include "model/model.h"

#include <stdio.h>

/*
 * What a policy lets out, in words and in numbers. Both follow the order in which
 * the gateway decides (model/policy.h); numbers are bounds that hold in every
 * window, and are never too low.
 */

/* Most that can happen in any window of `seconds`. POLICY_ANY: any number. */
#define POLICY_ANY UINT64_MAX
struct policy_worst {
	uint64_t out[LIMIT_CLASS_COUNT];     /* conversations that the honeypot begins with the uplink */
	uint64_t lateral[LIMIT_CLASS_COUNT]; /* with other honeypots */
	bool allow_list;                     /* besides, any number with the destinations of the allow list */
	uint64_t addresses;                  /* different ones that it begins them with; without the allow list */
	uint64_t bytes, packets;             /* that it sends, in replies too */
};

/* honeypot: its index in m, whose rules hold; POLICY_NONE: any. */
void policy_worst(const struct model *m, const struct policy *p, unsigned honeypot, uint32_t seconds,
		  struct policy_worst *out);

/* Is rule r about the honeypot (POLICY_NONE: any)? */
bool policy_rule_about(const struct model *m, const struct rule *r, unsigned honeypot);

/* "TCP to port 25", and what is done: "dropped". A line each, without newline. */
void policy_rule_match(FILE *out, const struct model *m, const struct rule *r);
void policy_rule_does(FILE *out, const struct model *m, const struct rule *r);

/* The whole policy, each line indented. */
void policy_explain(FILE *out, const struct model *m, const struct policy *p, unsigned honeypot, const char *indent);
/* A trigger on one line, without newline. */
void policy_trigger_words(FILE *out, const struct model *m, const struct trigger *t);

/* ---- parts ---- */
extern const char *const policy_classes[LIMIT_CLASS_COUNT]; /* "TCP", ... */
/* 3600 -> "hour", 90 -> "90 seconds". Returns buf or a literal. */
const char *policy_period(char buf[32], uint32_t seconds);
/* 67108864 -> "64 MiB". */
const char *policy_size(char buf[32], uint64_t bytes);
/* Prefixes with commas between. */
void policy_prefixes(FILE *out, const struct policy_pool *pool, struct span s);

#endif
