/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FRAG_H
#define SKEP_PROC_GATEWAY_FRAG_H

#include "base/err.h"
#include "proc/gateway/frame.h"

#include <stdalign.h>

/*
 * Fragments wait here until their datagram is whole. Then it is judged once,
 * as the receiver will see it, and the fragments go out as they came: the same
 * bytes in the same order. Or all of them are dropped, for the same reason.
 *
 * Theory of operation. Each port has an arena of its own, so that one honeypot
 * cannot use up another's: FRAG_DATAGRAMS datagrams and FRAG_CHUNKS chunks for
 * their fragments. A fragment is a chain of chunks; its first one begins with a
 * struct frag_piece. A bitmap of units of 8 bytes says which part of the
 * payload is there. Nothing of a datagram leaves before all of it is there, so
 * whatever is wrong with one fragment takes the others with it ("poisoned"):
 * overlap (RFC 5722; a byte-wise equal copy is dropped alone, RFC 8200 section
 * 4.5), an end that moves, more than 65,535 bytes, a first one without its
 * whole transport header (RFC 1858, RFC 7112; decode says so), TTLs that
 * differ, and tiny ones: but for the last, none carries less than FRAG_SMALLEST
 * bytes. Real stacks fill the path's MTU: Linux refuses to believe in one below
 * 552 (ip_rt_min_pmtu), others below 576, and IPv6 has at least 1,280.
 *
 * What is not whole after FRAG_SECONDS is dropped as incomplete, and so is the
 * oldest datagram of a port whose arena is full.
 *
 * Each fragment is recorded once, raw, with the time of its receipt, when it is
 * known what became of it. So a gateway that is killed takes those with it that
 * wait, at most FRAG_SECONDS of them: nobody has a record of them, but they did
 * not leave either, as with frames that still lay in the sockets. One that ends
 * in order records them as incomplete.
 */
struct gateway;
struct port;

#define FRAG_DATAGRAMS 128u
#define FRAG_CHUNKS 512u
#define FRAG_CHUNK 2048u
#define FRAG_PIECES 192u /* of one datagram */
#define FRAG_SECONDS 30u
#define FRAG_SMALLEST 400u
#define FRAG_TTL_SPREAD 5u /* between the fragments of a datagram from outside */
#define FRAG_UNITS 8192u

struct frag_piece {
	uint64_t came;
	uint32_t n, wirelen;
	uint16_t off, len; /* in the datagram's payload */
	uint16_t at;       /* of the payload, in the frame */
	uint16_t next;     /* first chunk of the piece that came next; FRAG_CHUNKS = none */
	bool unsummed;
};

struct frag {
	uint8_t saddr[16], daddr[16], smac[6], dmac[6];
	uint32_t id;
	uint16_t port;
	uint8_t family, proto;
	bool used, poisoned;
	uint8_t hops_least, hops_most;
	uint16_t first, last;           /* chunks: the pieces in the order in which they came */
	uint16_t head;                  /* chunk of the piece with offset 0 */
	uint16_t nh_at, fh_at;          /* IPv6: see struct frame */
	uint32_t pieces, wire, longest; /* wire: bytes of all frames; longest: of one */
	uint64_t born;
	uint32_t end;  /* bytes of the whole payload; 0 = last fragment not seen */
	uint32_t high; /* end of what was seen */
	uint32_t got;  /* units seen */
	uint64_t map[FRAG_UNITS / 64];
};

struct frag_port {
	uint64_t tags[FRAG_DATAGRAMS]; /* 0 = free */
	struct frag at[FRAG_DATAGRAMS];
	uint16_t chain[FRAG_CHUNKS];
	uint16_t free, touched; /* chunks: list of those given back, and how many were ever used */
	uint32_t room;          /* chunks that are not in use, of those touched */
	uint32_t used;          /* datagrams */
	alignas(64) uint8_t chunk[FRAG_CHUNKS][FRAG_CHUNK];
};

struct frag_table {
	struct frag_port *ports; /* [PORTS_MAX] */
	uint8_t *whole;          /* the datagram that is judged now */
	uint8_t *piece;          /* the fragment that goes out now */
	uint32_t used;           /* datagrams of all ports */
};

int frag_table_init(struct frag_table *t, struct err *e);
void frag_table_free(struct frag_table *t);

/* A datagram of the port that must make room before fragment f can wait; NULL:
 * there is room. */
struct frag *frag_crowded(struct gateway *g, const struct frame *f);
/* Takes a fragment, of which there must be room. The datagram, if it became
 * whole or is poisoned: the caller lets it go. *f is then one of its pieces,
 * unless it is dropped by itself. NULL: it waits (f has REASON_QUEUED) or is
 * dropped by itself. */
struct frag *frag_take(struct gateway *g, struct frame *f);
/* Puts the datagram together as if it had not been fragmented: f->bytes and
 * what is known before decode, and decodes it. */
void frag_whole(struct gateway *g, struct frag *d, struct frame *f);
/* Takes out the next fragment in the order in which they came, decoded. false:
 * that was the last; the datagram is forgotten, or (poisoned) remembered
 * without its fragments. */
bool frag_next(struct gateway *g, struct frag *d, struct frame *f);
/* A datagram that waits for too long; NULL. */
struct frag *frag_expired(struct gateway *g, uint64_t now);
/* Any datagram that waits, of port p (NULL: of any); NULL: none. */
struct frag *frag_any(struct gateway *g, const struct port *p);

#endif
