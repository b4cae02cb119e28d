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
	PLACE_POLICY,
	PLACE_EVIDENCE,
	PLACE_MAX_SIZE,
	PLACE_MAX_AGE,
	PLACE_ROTATE,
	PLACE_MIN_FREE,
	PLACE_RING,
	PLACE_ADDR, /* + 0..MODEL_ADDRS-1 */
	PLACE_COUNT = PLACE_ADDR + MODEL_ADDRS
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

/* RFC 1123: labels of letters, digits and inner hyphens, with dots between them. */
bool rules_hostname(const char *s);
/* An address that a host of the network may own: not its network or broadcast
 * address (IPv6: the subnet-router anycast address, RFC 4291 2.6.1). */
bool rules_usable(const struct addr *net, const struct addr *a);

#endif
