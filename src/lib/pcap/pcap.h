/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PCAP_PCAP_H
#define SKEP_PCAP_PCAP_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Captures, as tcpdump, Wireshark and our own evidence write them:
 *
 *   pcap    draft-ietf-opsawg-pcap: both byte orders, micro- and nanoseconds
 *   pcapng  draft-ietf-opsawg-pcapng: sections of both byte orders; interfaces
 *           with if_tsresol, if_tsoffset and if_fcslen; enhanced, simple and
 *           (obsolete) packet blocks; whatever else is skipped
 *
 * Theory of operation. A window of the file lies in memory that the caller
 * lends: it is filled by large reads and moved on when the next record is not
 * in it as a whole. Nothing is allocated, and what a record says about its own
 * length is believed only as far as the window and the file go. A file that
 * ends within a record has been cut (the writer was stopped): that is said in
 * `cut`, and is no error. A record that contradicts itself is an error, since
 * nothing behind it can be found.
 */
#define PCAP_IFACES 1024u
#define PCAP_IFACE_NAME 64
#define PCAP_RECORD_MAX (1u << 19) /* longer records are an error; libpcap's own bound is 256 KiB of bytes */
#define PCAP_WINDOW_MIN (PCAP_RECORD_MAX * 2)

/* Link types (https://www.tcpdump.org/linktypes.html) */
enum {
	PCAP_LINK_ETHERNET = 1,
	PCAP_LINK_RAW_BSD = 12,
	PCAP_LINK_RAW = 101,
	PCAP_LINK_SLL = 113,
	PCAP_LINK_IPV4 = 228,
	PCAP_LINK_IPV6 = 229,
	PCAP_LINK_SLL2 = 276,
};

/* One that has captured: of pcap there is one, without a name. */
struct pcap_iface {
	uint16_t link;
	uint8_t fcs;     /* bytes of checksum at the end of each frame */
	uint8_t tsresol; /* as in the file: 10^-n, or 2^-n with bit 7 */
	uint32_t snaplen;
	int64_t tsoffset; /* seconds */
	char name[PCAP_IFACE_NAME];
};

enum pcap_dir { PCAP_DIR_UNKNOWN, PCAP_DIR_IN, PCAP_DIR_OUT };

struct pcap_record {
	struct slice bytes; /* from the link layer on, without FCS; valid until the next call */
	uint32_t wirelen;   /* more than bytes.n: the capture cut it */
	uint64_t time;      /* ns since 1970 */
	bool timed;         /* false: the file does not say when */
	uint8_t dir;        /* enum pcap_dir */
	uint16_t iface;     /* index of the section's interfaces */
	uint16_t link;
	struct slice comment; /* the last one; empty without */
};

struct pcap_reader {
	int fd; /* -1: only what lies in the window */
	uint8_t *buf;
	size_t cap, from, n; /* bytes [from, from+n) of buf are not yet read */
	uint64_t at;         /* of the file: where buf[from] stands */
	bool end, cut;
	bool ng, swapped /* big endian */, nano;
	uint32_t nifaces;
	struct pcap_iface ifaces[PCAP_IFACES];
};

/* buf[cap], at least PCAP_WINDOW_MIN, is lent and fd stays the caller's; it is read from where it stands on. -EINVAL:
 * not a capture, or of a kind that is not read; -errno of read(2). */
int pcap_reader_open(struct pcap_reader *r, int fd, uint8_t *buf, size_t cap, struct err *e);
/* As pcap_reader_open, of bytes in memory, which are only read. */
int pcap_reader_memory(struct pcap_reader *r, struct slice whole, struct err *e);

/* 1: *out is the next record. 0: the end (r->cut: within a record). -EBADMSG: what
 * stands there is no record; -errno of read(2). */
int pcap_reader_next(struct pcap_reader *r, struct pcap_record *out, struct err *e);

/*
 * The record as an Ethernet frame. Ethernet is what it is; IP packets without a
 * link layer, and Linux's cooked ones, get a header of their EtherType with
 * addresses of zeros (cooked: the sender's where it is known), put into
 * room[cap] with the rest. *made: so. False: neither, or it does not fit.
 */
bool pcap_ethernet(const struct pcap_record *rec, uint8_t *room, size_t cap, struct slice *frame, uint32_t *wirelen,
		   bool *made);

#endif
