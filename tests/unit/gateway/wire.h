/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_WIRE_H
#define SKEP_TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A second, plain reader of frames that the gateway made: independent of the
 * code under test. No extension headers but hop-by-hop and destination options. */
struct wire {
	char smac[18], dmac[18], src[46], dst[46]; /* as text */
	int family;
	uint8_t proto, ttl, tos;
	uint16_t ip_id;
	bool df;
	uint16_t sport, dport; /* ICMP: type and code, id */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	uint16_t sum;
	size_t l4, payload, end; /* offsets in the frame */
};

/* NULL, or what is wrong: lengths, and every checksum (0 of UDP over IPv4 is none). */
const char *wire_read(const uint8_t *p, size_t n, struct wire *out);
/* The packet that an ICMP error quotes; cut: its transport checksum is not looked at. */
const char *wire_quoted(const uint8_t *p, const struct wire *error, struct wire *out, bool cut);

#endif
