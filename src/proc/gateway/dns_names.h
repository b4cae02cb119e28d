/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DNS_NAMES_H
#define SKEP_PROC_GATEWAY_DNS_NAMES_H

#include "model/policy.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The different names that one honeypot has asked for, counted for each
 * registered domain, in a sliding window: exact, since every name keeps the time
 * when it was asked for last, and leaves when that is out of the window. All in
 * one list, oldest first; all zero is an empty one.
 */
#define DNS_NAMES 16384u
#define DNS_NAME_BUCKETS 16384u /* a power of two */

struct dns_seen {
	uint64_t name, last;
	uint32_t chain, older, newer;
	uint32_t domain;
};
struct dns_domain {
	uint64_t hash;
	uint32_t chain, count;
};
struct dns_names {
	uint32_t nseen, seen_high, seen_free, domain_high, domain_free;
	uint32_t oldest, newest;
	uint32_t seen_buckets[DNS_NAME_BUCKETS], domain_buckets[DNS_NAME_BUCKETS];
	struct dns_seen seen[DNS_NAMES + 1]; /* index 0 is none */
	struct dns_domain domains[DNS_NAMES + 1];
};

/* May this name (by its keyed hash) below this domain be asked for now? count 0 or
 * LIMIT_UNLIMITED: always. Forgets what the window no longer needs; charges
 * nothing. */
bool dns_names_fit(struct dns_names *t, const struct limit *l, uint64_t domain, uint64_t name, uint64_t now);
/* It was. */
void dns_names_add(struct dns_names *t, uint64_t domain, uint64_t name, uint64_t now);

#endif
