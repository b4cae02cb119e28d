/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_CRAFT_H
#define SKEP_TESTS_CRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Frames for tests, from a description. What is 0 gets a sensible value;
 * checksums are right unless asked otherwise. Everything in host byte order.
 */
struct craft {
	const char *smac, *dmac; /* "52:54:00:00:00:10" */
	const char *src, *dst;   /* addresses of one family; for ARP sender and target */
	uint16_t ethertype;      /* 0: from the addresses */
	uint8_t proto;           /* 0: none behind the IP header */
	uint8_t ttl;             /* 0 = 64 (255 for ND) */
	uint16_t sport, dport;
	uint8_t flags; /* TCP */
	/* TCP: sequence and acknowledgement. Both 0: those that fit the conversation
	 * (world_send), or a fixed one (craft). */
	uint32_t seq, ack;
	uint16_t window, urgent; /* window 0 = 64240 */
	bool no_window;          /* a window of 0 */
	const char *tcp_options; /* hex, a multiple of 4 */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id;
	uint32_t payload;    /* bytes behind the transport header */
	const uint8_t *data; /* the payload, instead of a pattern */
	const char *options; /* hex of IPv4 options, a multiple of 4 */
	const char
	    *exts; /* IPv6: h hop-by-hop, d destination, r routing 0, R routing 4, m mobility, a authentication */
	bool fragment, more;
	uint16_t frag_off; /* bytes; > 0: no transport header */
	uint32_t frag_id;
	uint16_t arp_op; /* 1, 2: an ARP frame */
	const char *arp_smac, *arp_tmac;
	const char *nd_target, *nd_lladdr; /* ND: the target, and a link-layer address option */
	uint16_t vlan;                     /* a tag */
	uint16_t udp_len;                  /* what the UDP header says; 0 = so long as it is */
	bool bad_ip_sum, bad_sum, no_sum;
	uint8_t total_less; /* the IP header says so much less than there is */
	uint16_t cut;       /* keep so many bytes; 0 = all */
	uint16_t pad;       /* zeros up to this length */
};

#define CRAFT_MAX 70000
#define CRAFT_ISN 0x01020304u /* of both sides */

/* Returns the length. buf[CRAFT_MAX]. Aborts on nonsense: it is for tests. */
size_t craft(const struct craft *c, uint8_t *buf);

/* The fragments of a frame that is an IP packet, each with at most `size` bytes
 * of payload (a multiple of 8); out[i] are written one behind the other into
 * buf. How many. IPv6: the fragment header follows the fixed one. */
struct craft_piece {
	const uint8_t *p;
	size_t n;
};
unsigned craft_fragments(const uint8_t *frame, size_t n, uint32_t id, size_t size, uint8_t *buf, size_t cap,
			 struct craft_piece *out, unsigned most);

/* Parses "192.0.2.1" or "2001:db8::1" into 16 bytes; returns 4 or 6. */
int craft_addr(const char *s, uint8_t out[16]);
void craft_mac(const char *s, uint8_t out[6]);
size_t craft_hex(const char *s, uint8_t *out, size_t cap);
/* Sets the transport checksum of an IP packet anew after a change (offset of
 * the IP header). */
uint16_t craft_sum(const uint8_t *p, size_t n, uint32_t start);

#endif
