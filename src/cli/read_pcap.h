/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_READ_PCAP_H
#define SKEP_CLI_READ_PCAP_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * pcapng as skep's evidence writes it: little endian, one section a file,
 * Ethernet, nanoseconds, the verdict in each packet's comment
 * ("verdict=drop reason=limit-tcp flow=7 out=uplink-dmz seq=45").
 */
#define PCAP_IFS 1024
#define PCAP_NAME 64

enum pcap_block_type { PCAP_SHB = 0x0a0d0d0a, PCAP_IDB = 1, PCAP_ISB = 5, PCAP_EPB = 6 };

struct pcap_packet {
	uint32_t interface;
	uint64_t time; /* ns since 1970 */
	uint32_t wirelen;
	uint32_t dir; /* 1 came in at the port, 2 was sent to it, 0 unknown */
	struct slice frame, comment;
};

/* Length of the block at the front, for evidence_reader. */
long pcap_frame(struct slice s);
uint32_t pcap_type(struct slice block);
bool pcap_packet(struct slice block, struct pcap_packet *p);
/* The if_name of an interface description block; "" if it has none. */
void pcap_if_name(struct slice block, char out[PCAP_NAME]);
/* The value of "key=" in a comment, up to the next space. */
bool pcap_field(struct slice comment, const char *key, char *out, size_t cap);

/* What a frame is, in words: "TCP 192.0.2.1:1025 > 192.0.2.2:80 [S] 60". Looks at
 * bytes of an intruder: every read is bounded. */
void pcap_describe(struct slice frame, uint32_t wirelen, char *out, size_t cap);

/* Who talks with whom, the same for both directions: the lower end first. Made
 * with zero bytes between, so that memcmp compares. ICMP has ports 0. */
struct pcap_tuple {
	uint8_t addr[2][16];
	uint16_t port[2];
	uint8_t family, proto, zero[2];
};
void pcap_tuple_order(struct pcap_tuple *t);
/* Of an IP frame; false of others, and of fragments but the first. */
bool pcap_tuple(struct slice frame, struct pcap_tuple *t);

#endif
