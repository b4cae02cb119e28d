/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DNS_MSG_H
#define SKEP_PROC_GATEWAY_DNS_MSG_H

#include "base/slice.h"
#include "proto/ring.h"

/*
 * DNS messages as data control reads them (RFC 1035, RFC 6891 for EDNS): strict,
 * since what it does not understand does not pass. Pure functions.
 */
#define DNS_NAME_MAX 255
#define DNS_LABELS_MAX 127
#define DNS_TEXT_MAX 255 /* what ring_dns has room for */

#define DNS_T_A 1
#define DNS_T_CNAME 5
#define DNS_T_NULL 10
#define DNS_T_PTR 12
#define DNS_T_TXT 16
#define DNS_T_KEY 25
#define DNS_T_AAAA 28
#define DNS_T_OPT 41
#define DNS_T_PRIVATE 65280 /* .. 65534, RFC 6895 */

/* Lower case, one label after the other without what separates them. */
struct dns_name {
	uint16_t n; /* bytes */
	uint8_t nlabels;
	bool plain; /* letters, digits, '-' and '_' only */
	uint8_t b[DNS_NAME_MAX];
	uint8_t at[DNS_LABELS_MAX], len[DNS_LABELS_MAX]; /* of each label */
};

struct dns_msg {
	uint16_t id, flags, size;
	uint16_t qtype, qclass;
	struct dns_name name;
	bool edns, edns_data; /* an option that carries data */
	/* answers */
	unsigned nanswers;
	struct {
		uint32_t ttl;
		uint8_t family;
		uint8_t addr[16];
	} answers[DNS_ANSWERS_MAX]; /* A and AAAA of the answer section */
	unsigned ntypes;
	uint16_t
	    types[DNS_ANSWERS_MAX]; /* of the answer section's records; further ones: only whether they are among these
				     */
	bool more_types;
};

#define DNS_QR 0x8000u
#define DNS_TC 0x0200u
#define DNS_RCODE(flags) ((flags)&15u)

/* A plain question: one, of class IN or not, nothing behind it but an OPT record.
 * False: something else; *m is of no use. */
bool dns_question(struct slice bytes, struct dns_msg *m);
/* An answer, every record of it within the message. */
bool dns_answer(struct slice bytes, struct dns_msg *m);

/* How many labels at the end are the registered domain: two, or one more below a
 * suffix that registries sell under (a small table: co.uk, com.au, ...), or what
 * stands for a network below in-addr.arpa and ip6.arpa. */
unsigned dns_registered(const struct dns_name *n);
/* Offset of the last `labels` labels. */
unsigned dns_tail(const struct dns_name *n, unsigned labels);

/* Shannon's entropy of the bytes, millibits for each. */
unsigned dns_entropy(const uint8_t *p, unsigned n);
/* Does the name carry data? The limit is a policy's, 0 = not looked at: labels of
 * 16 bytes and more are measured against it, and all that stands before the
 * registered domain, from 48 bytes, against 300 more (several words have more
 * entropy than one). */
bool dns_dense(const struct dns_name *n, unsigned limit);

/* Dotted, what is not printable as \DDD; cut at cap. Returns the length, no NUL. */
size_t dns_text(const struct dns_name *n, char *out, size_t cap);

#endif
