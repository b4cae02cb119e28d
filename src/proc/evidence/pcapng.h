/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_PCAPNG_H
#define SKEP_PROC_EVIDENCE_PCAPNG_H

#include "model/addr.h"

#include <stddef.h>
#include <stdint.h>

/*
 * pcapng blocks (draft-ietf-opsawg-pcapng), little endian, written to memory of
 * the caller's. Each function returns the length of the block, a multiple of
 * 4, or 0 if it does not fit in cap.
 */
#define PCAPNG_SHB_MAX 512
#define PCAPNG_IDB_MAX 1024
#define PCAPNG_EPB_EXTRA 320 /* an enhanced packet block is at most this much longer than its frame */
#define PCAPNG_ISB_MAX 128

size_t pcapng_shb(uint8_t *buf, size_t cap, const char *hardware, const char *os, const char *app);

struct pcapng_if {
	const char *name;        /* the port's: honeypot or uplink-NET */
	const char *description; /* or NULL */
	uint8_t mac[6];          /* all zero: not written */
	unsigned naddrs;
	const struct addr *addrs;
};
/* Ethernet, time stamps in nanoseconds, frames never cut. */
size_t pcapng_idb(uint8_t *buf, size_t cap, const struct pcapng_if *i);

enum pcapng_dir { PCAPNG_UNKNOWN = 0, PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };
struct pcapng_packet {
	uint32_t interface;
	uint64_t time; /* ns since 1970 */
	uint32_t caplen, wirelen;
	const uint8_t *data;
	enum pcapng_dir dir;
	uint64_t id;         /* epb_packetid */
	const char *comment; /* at most 255 bytes are written */
};
size_t pcapng_epb(uint8_t *buf, size_t cap, const struct pcapng_packet *p);

/* Frames of this interface in this file, and those that were lost because the
 * ring was full. */
size_t pcapng_isb(uint8_t *buf, size_t cap, uint32_t interface, uint64_t time, uint64_t received, uint64_t lost);

/* How many of the n bytes are whole blocks. */
size_t pcapng_whole(const uint8_t *p, size_t n);

#endif
