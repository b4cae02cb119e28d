/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_RULES_H
#define SKEP_MODEL_RULES_H

#include "model/model.h"

/*
 * The rules that hold between a model's values, once, for both of their users:
 * the parser reports every breach at its place in the file, and model_check
 * refuses at the first.
 */

/* What a value describes; with an index (of the network or honeypot, or of the
 * lab's prefix). The parser remembers for each where it stands in the file. */
enum place {
	PLACE_MODEL,
	PLACE_NAME,
	PLACE_UPLINK,
	PLACE_LAB,
	PLACE_NET,
	PLACE_NET_V4,
	PLACE_NET_V6,
	PLACE_NET_ROUTER4,
	PLACE_NET_ROUTER6,
	PLACE_HONEYPOT,
	PLACE_BACKEND,
	PLACE_IMAGE,
	PLACE_HP_NET,
	PLACE_MAC,
	PLACE_MEMORY,
	PLACE_CPUS,
	PLACE_HOSTNAME,
	PLACE_BOOT,
	PLACE_HP_POLICY,
	PLACE_POLICY,
	PLACE_NAMED,   /* index of the named policy */
	PLACE_TRIGGER, /* index of the trigger */
	PLACE_NOTIFY,
	PLACE_ENGINE,
	PLACE_EVIDENCE,
	PLACE_MAX_SIZE,
	PLACE_MAX_AGE,
	PLACE_ROTATE,
	PLACE_MIN_FREE,
	PLACE_RING,
	PLACE_ADDR, /* + 0..MODEL_ADDRS-1 */
	PLACE_COUNT = PLACE_ADDR + MODEL_ADDRS,
	PLACE_RULE = PLACE_COUNT /* index into the pool */
};

/* Bounds; the table of keys (keys.c) uses the same. */
#define MEMORY_MIN (32ull << 20)
#define MEMORY_MAX (64ull << 30)
#define CPUS_MAX 64u
#define BOOT_MIN 5u
#define BOOT_MAX 3600u
#define V4_PLEN_MIN 8u
#define V4_PLEN_MAX 30u
#define V6_PLEN_MIN 16u
#define V6_PLEN_MAX 126u
#define BUDGET_BYTES_MAX (1ull << 50)
#define BUDGET_PACKETS_MAX 1000000000000ull
#define PERIOD_MAX 86400u
#define CONCURRENT_MAX 1000000u
#define JITTER_MAX 90u
#define BANDWIDTH_MIN 1024ull
#define BANDWIDTH_MAX (1ull << 40)
#define DNS_NAME_MAX 253u
#define DNS_LABEL_MAX 63u
#define DNS_ENTROPY_MAX 8000u
#define DNS_ANSWER_MIN 64u
#define TRIGGER_SECONDS_MAX (30u * 86400u)
#define EV_SIZE_MIN (1ull << 20)
#define EV_SIZE_MAX (1ull << 50)
#define EV_AGE_MIN 60ull
#define EV_AGE_MAX (3660ull * 86400)
#define EV_ROTATE_MIN (64ull << 10)
#define EV_ROTATE_MAX (16ull << 30)
#define EV_RING_MIN (64u << 10) /* as proto/ring */
#define EV_RING_MAX (1u << 30)

struct rule_sink {
	/* false: enough, stop looking. */
	bool (*report)(void *arg, enum place place, unsigned index, const char *text);
	void *arg;
};

/* Every bound that the code of a reader relies on: counts, enums, indexes,
 * termination. Nothing else may look at a foreign model before this. 0 or -EINVAL. */
int rules_shape(const struct model *m, struct err *e);

/* Every rule between values; the shape must be right. */
void rules_sense(const struct model *m, const struct rule_sink *sink);
/* check_policy.c: the part of each that is about policies, the pool, triggers
 * and notices; a model that holds a policy only has nothing else. */
bool rules_policy_shape(const struct model *m, const struct policy *p);
bool rules_engine_shape(const struct engine_conf *c);
int rules_pool_shape(const struct model *m, struct err *e);
void rules_policy_sense(const struct model *m, const struct rule_sink *sink);

/* ---- parts of both ---- */

/* The sink with its answer: after "enough" nothing more is reported. */
struct rule_run {
	const struct model *m;
	const struct rule_sink *sink;
	bool stop;
};
void rules_breach(struct rule_run *r, enum place place, unsigned index, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool rules_mail(const char *s);      /* what sendmail(8) may be given as an address */
bool rules_url(const char *s);       /* http or https, without blanks or quotes */
bool rules_interface(const char *s); /* a name that the kernel takes for one */
bool rules_ended(const char *s, size_t cap);
bool rules_addr_shape(const struct addr *a);

/* RFC 1123: labels of letters, digits and inner hyphens, with dots between them. */
bool rules_hostname(const char *s);
/* An address that a host of the network may own: not its network or broadcast
 * address (IPv6: the subnet-router anycast address, RFC 4291 2.6.1). */
bool rules_usable(const struct addr *net, const struct addr *a);

#endif
