/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_RING_H
#define SKEP_PROTO_RING_H

#include "base/err.h"
#include "model/policy.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The ring: shared memory with one producer (gateway) and one consumer
 * (evidence), one ring for each port, so that one honeypot cannot starve
 * another (invariant 1).
 *
 * Theory of operation. `head` and `tail` count bytes since the beginning and
 * never wrap in practice; the place in the data area is the count modulo the
 * size. An entry never wraps around the end: a PAD entry fills the rest.
 * The producer writes the whole entry, then publishes it with a release store
 * of head: an entry is in the ring or it is not, also when the producer is
 * killed between any two instructions. The memory outlives the producer, so
 * what was published is written by evidence even after the gateway's death.
 *
 * Neither side believes the other: each keeps its own counter privately, and
 * the consumer copies and checks every header before it uses it. The worst
 * that a compromised gateway can do is to write nonsense about its own ports.
 */
#define RING_MAGIC 0x31726b73u /* "skr1" */
#define RING_DATA 4096u        /* offset of the data area in the memfd */
#define RING_MIN (1u << 16)
#define RING_MAX (1u << 30)
#define RING_ENTRY_MAX (1u << 17)

struct ring_shm {
	uint32_t magic;
	uint32_t size;                     /* of the data area; power of two */
	alignas(64) _Atomic uint64_t head; /* producer */
	alignas(64) _Atomic uint64_t tail; /* consumer */
	_Atomic uint32_t asleep;           /* consumer waits on the eventfd */
	_Atomic int32_t stop;              /* consumer takes nothing any more: negative errno */
	/* The producer's own notes, for one that is executed anew (a guest that
	 * restarts): seq of its last entry, and what it lost and has not told. */
	alignas(64) _Atomic uint64_t seq;
	_Atomic uint64_t lost_entries, lost_bytes;
};

enum ring_kind {
	RING_PAD = 0,
	RING_FRAME = 1,
	RING_FLOW = 2,
	RING_NOTE = 3,
	RING_DNS = 4,
	RING_ALERT = 5,
	RING_RULE = 6
};

/* Host byte order: both sides run on the same machine. */
struct ring_entry {
	uint32_t len; /* of header and payload, without the padding to 8 bytes */
	uint16_t kind;
	uint16_t port;
	uint64_t seq;  /* of this port, from 1, no gaps */
	uint64_t time; /* CLOCK_REALTIME, ns */
};

enum frame_dir { FRAME_IN = 1, FRAME_OUT = 2 };

/* Payload of RING_FRAME, followed by caplen bytes as they came in. */
struct ring_frame {
	uint32_t caplen;
	uint32_t wirelen;
	uint8_t dir; /* of the port: FRAME_IN = came in here; FRAME_OUT = what the gateway made itself (a
		      * rewritten copy, a reset, an answer for a paused machine) and sends here */
	uint8_t verdict;
	uint8_t reason;
	uint8_t pad;
	uint16_t out_port; /* where it was sent; RING_NO_PORT none, RING_MANY several */
	uint16_t rule;     /* index into the policy's rules, of the rule that decided; RULE_NONE */
	uint64_t flow;     /* 0 = none */
};
#define RING_NO_PORT 0xffffu
#define RING_MANY 0xfffeu

/* Payload of RING_FLOW: one conversation, written when it ends. "src" is the
 * side that began it. */
struct ring_flow {
	uint64_t id;
	uint64_t start, last;                    /* ns, realtime */
	uint64_t bytes_toserver, bytes_toclient; /* of frames that were forwarded */
	uint64_t pkts_toserver, pkts_toclient;
	uint64_t dropped_toserver, dropped_toclient; /* frames */
	uint16_t src_slot, dst_slot;                 /* port ids; RING_NO_PORT unknown */
	uint16_t src_port, dst_port;                 /* for ICMP: type, code */
	uint8_t family;                              /* 4 or 6 */
	uint8_t proto;                               /* IP protocol number */
	uint8_t state;                               /* enum flow_state */
	uint8_t end;                                 /* enum flow_end */
	uint8_t verdict, reason;                     /* of the strictest judgement that a frame of it met */
	uint8_t tcp_flags_ts, tcp_flags_tc;
	uint16_t rule;                       /* that decided: told by a RING_RULE before; RULE_NONE */
	uint16_t player;                     /* port that played the destination; RING_NO_PORT */
	uint16_t player_sport, player_dport; /* the conversation's ports as the player saw them; ICMP: 0 */
	uint8_t src[16], dst[16];            /* IPv4 in the first four bytes */
};

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_STATE_COUNT };
enum flow_end {
	FLOW_END_TIMEOUT,
	FLOW_END_CLOSED,
	FLOW_END_SHUTDOWN,
	FLOW_END_EVICTED,
	FLOW_END_DENIED,
	FLOW_END_COUNT
};
/* FLOW_END_DENIED: the conversation was refused at its first frame and never
 * entered the flow table; the record aggregates equal attempts where it can. */

/* Payload of RING_NOTE: how many frames of this port were lost because the
 * ring was full, since the last note. */
struct ring_note {
	uint64_t lost_frames, lost_bytes;
};

/* Payload of RING_RULE: what a rule's number stands for from now on in this
 * port's entries. Written before the first entry that has the number. */
struct ring_rule {
	uint32_t generation; /* of the policy */
	uint16_t rule;       /* index, below POOL_RULES */
	uint16_t pad;
	char name[RULE_NAME_CAP]; /* ended by NUL */
};

/* Payload of RING_DNS: one question or answer as the gateway understood it,
 * followed by `name` bytes of the name (dotted, lower case, what is not
 * printable as \\DDD) and nanswers records. */
#define DNS_ANSWERS_MAX 16
struct ring_dns {
	uint64_t flow;
	uint16_t id, qtype;
	uint8_t answer; /* 0: question, 1: answer */
	uint8_t rcode;
	uint8_t name;     /* bytes */
	uint8_t nanswers; /* A and AAAA only */
	uint8_t family;   /* of the packet: 4 or 6 */
	uint8_t verdict, reason;
	uint8_t moved; /* 1: the question goes to the operator's resolver, or the answer comes from there */
	uint16_t src_port, dst_port;
	uint16_t flags, size; /* of the DNS header; bytes of the message */
	uint32_t pad;
	uint8_t src[16], dst[16]; /* as the honeypot sees it */
	struct {
		uint32_t ttl;
		uint8_t family, pad[3];
		uint8_t addr[16];
	} answers[DNS_ANSWERS_MAX];
};

/* Payload of RING_ALERT: what the inline engine said about a conversation. src
 * sent the packet that it is about. */
#define RING_ALERT_TEXT 160
struct ring_alert {
	uint64_t flow; /* 0: over, or never known */
	uint64_t time; /* ns, realtime, by the engine */
	uint32_t gid, signature, rev, severity;
	uint8_t family, proto;
	uint8_t blocked; /* 1: it kept the packet */
	uint8_t pad;
	uint16_t src_port, dst_port;
	uint8_t src[16], dst[16];
	char text[RING_ALERT_TEXT], category[64]; /* as text; ends with NUL */
};

/* Creates a sealed (fixed-size) memfd with an empty ring. size: power of two,
 * RING_MIN..RING_MAX. Returns the fd or -errno. */
int ring_create(uint32_t size, struct err *e);

struct ring_writer {
	struct ring_shm *shm;
	uint8_t *data;
	uint64_t head; /* ours; shm->head is only ever written */
	uint64_t seq;
	uint32_t size;
	int wakefd;
	uint32_t reserved; /* padded bytes of the entry that ring_reserve handed out */
};

/* Maps the ring. The fd may be closed afterwards; wakefd (an eventfd) stays the
 * caller's. -EBADMSG if it is not a ring. */
int ring_writer_open(struct ring_writer *w, int fd, int wakefd, struct err *e);
void ring_writer_close(struct ring_writer *w);

/* Room for an entry with `payload` bytes behind the header. NULL if it does not
 * fit now. Nothing is visible to the consumer until ring_publish. */
void *ring_reserve(struct ring_writer *w, uint16_t kind, uint16_t port, uint64_t time, size_t payload);
/* Publishes the entry that ring_reserve handed out, and wakes the consumer if
 * it sleeps. */
void ring_publish(struct ring_writer *w);
/* 0, or the negative errno with which the consumer gave up. */
int ring_stopped(const struct ring_writer *w);
size_t ring_free(const struct ring_writer *w);

struct ring_reader {
	struct ring_shm *shm;
	const uint8_t *data;
	uint64_t tail;     /* ours */
	uint64_t released; /* what shm->tail should be: it is writable by the producer */
	uint64_t seen;     /* last head that passed the check */
	uint32_t size;
};

int ring_reader_open(struct ring_reader *r, int fd, struct err *e);
void ring_reader_close(struct ring_reader *r);

/* The next entry. 1: *h is a checked copy of its header and *payload points to
 * h->len - sizeof(*h) bytes inside the ring (still writable by the producer:
 * copy before you check them). 0: empty. -EBADMSG: the producer broke the
 * ring; nothing of it can be read any more. The entry stays until
 * ring_release. */
int ring_next(struct ring_reader *r, struct ring_entry *h, const uint8_t **payload);
/* Frees everything that ring_next returned up to now. */
void ring_release(struct ring_reader *r);
/* Says that the consumer will wait on the eventfd; false if there is more to
 * read after all (then it must not wait). */
bool ring_sleep(struct ring_reader *r);
void ring_awake(struct ring_reader *r);
/* Makes every later ring_stopped() of the producer return code. What a producer
 * published without seeing that afterwards, ring_next still returns. */
void ring_stop(struct ring_reader *r, int code);

#endif
