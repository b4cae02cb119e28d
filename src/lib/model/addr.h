/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_ADDR_H
#define SKEP_MODEL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IP address with a prefix length. family 0 = none. IPv4 stands in the
 * first four bytes of b; the rest is zero. Network byte order. */
struct addr {
	uint8_t family; /* 0, 4 or 6 */
	uint8_t plen;   /* 32 or 128 for a single address */
	uint8_t b[16];
};

#define ADDR_TEXT 64
#define MAC_TEXT 18

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". want_prefix: 0 a prefix is
 * refused, 1 required, -1 either. false: not of that form. */
bool addr_parse(const char *s, int want_prefix, struct addr *out);
/* With "/len" unless it is a single address. Returns buf. */
const char *addr_text(const struct addr *a, char buf[ADDR_TEXT]);
bool addr_in(const struct addr *net, const struct addr *a); /* a's address inside net */
bool addr_overlap(const struct addr *x, const struct addr *y);
bool addr_equal(const struct addr *x, const struct addr *y); /* address bytes only */
bool addr_host_bits(const struct addr *net);                 /* true if bits beyond plen are set */

struct addr addr_net(const struct addr *a);    /* host bits cleared; plen stays */
struct addr addr_last(const struct addr *net); /* all host bits set: IPv4's broadcast address */
/* Why no host may own an address of a ("multicast", ...), or NULL. */
const char *addr_special(const struct addr *a);

/* Six pairs of hex digits, with ':' or '-' between them. */
bool mac_parse(const char *s, uint8_t out[6]);
const char *mac_text(const uint8_t mac[6], char buf[MAC_TEXT]);
/* A unicast MAC under a real server vendor's prefix, derived from the two names
 * alone, so that it stays the same over restarts. */
void mac_auto(const char *honeynet, const char *honeypot, uint8_t out[6]);

#endif
