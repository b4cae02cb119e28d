/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_POLICY_TEST_H
#define SKEP_CLI_POLICY_TEST_H

#include "cli/cmd.h"
#include "cli/policy_expr.h"
#include "proto/ring.h"

/*
 * skep policy test: what a policy would have done with captures. The frames are
 * read and judged by a process of its own (src/proc/gateway/judge.h); here is what
 * it is told, and what its rows are put together to.
 */

/* What left towards one destination; or what went to one that plays it. */
struct left {
	uint16_t honeypot;
	uint8_t kind, family, proto; /* family 0: not IP, then port is the EtherType */
	uint8_t verdict;
	uint16_t port;
	uint8_t addr[16];
	uint64_t conversations, packets, bytes;
};
struct lefts {
	struct left *at;
	uint32_t *buckets; /* index + 1 */
	uint32_t n, room, mask;
};

/* From one judgement to another, between two policies. */
struct change {
	uint8_t verdict[JUDGE_SIDES], reason[JUDGE_SIDES];
	uint64_t conversations;
};
#define CHANGES 512

/* Conversations that are named one by one: the first so many. */
#define SHOWN 100
struct shown {
	struct judge_conversation at[SHOWN];
	uint64_t n; /* all */
};

struct policy_test {
	struct cmd *c;
	const char *names[JUDGE_SIDES]; /* of the policies, as typed */
	struct model *model[JUDGE_SIDES];
	bool honeynet[JUDGE_SIDES]; /* a file with honeypots */
	unsigned sides;
	struct gw_port ports[PORTS_MAX]; /* those with a name exist */
	struct gw_policy_entry entries[JUDGE_SIDES][MODEL_HONEYPOTS];
	unsigned nhoneypots;
	bool engine, jitter; /* one of the policies has them: not judged */
	bool packets, json;
	const char *must_not;
	struct expr expr;
	/* what the judge said */
	struct judge_end end;
	struct judge_port seen[PORTS_MAX];
	struct judge_count rules[JUDGE_SIDES][POOL_RULES]; /* packets, and conversations as bytes */
	uint64_t conversations[JUDGE_SIDES][VERDICT_COUNT][REASON_COUNT];
	struct lefts left, stays;
	struct shown violations, differing;
	struct change changes[CHANGES];
	unsigned nchanges;
	bool ended, no_memory;
};

/* policy_judge.c: starts the judge, tells it all, and takes its rows. */
int policy_judge(struct policy_test *t, struct err *e);

/* policy_rows.c: what a row adds; every field was checked. */
void policy_conversation(struct policy_test *t, const struct judge_conversation *c);
void policy_packet(struct policy_test *t, const struct judge_packet *p);
void policy_sort(struct lefts *l);
void policy_free(struct policy_test *t);
const char *policy_port_name(const struct policy_test *t, uint16_t port);
/* "-" without one. */
const char *policy_rule_name(const struct policy_test *t, unsigned side, uint16_t rule);
/* "tcp 192.0.2.1:1025 > 192.0.2.2:80" */
void policy_conversation_text(const struct judge_conversation *c, char *out, size_t cap);
/* "192.0.2.2:80", "arp" */
void policy_left_text(const struct left *l, char *out, size_t cap);
const char *policy_proto_text(uint8_t family, uint8_t proto, uint16_t ethertype, char out[16]);
bool policy_rule_in_force(const struct policy_test *t, unsigned side, uint16_t rule);

int policy_report_text(const struct policy_test *t);
int policy_report_json(const struct policy_test *t);

#endif
