/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_LIMITS_H
#define SKEP_PROC_GATEWAY_LIMITS_H

#include "base/err.h"
#include "proc/gateway/window.h"

/*
 * Sliding windows for which there is no fixed place: of a rule, of an address
 * that a honeypot talks to or is reached from, and the set of addresses that it
 * has begun conversations with.
 *
 * Theory of operation. A window is found by a keyed hash (SipHash: intruders
 * choose the addresses). It keeps the time of each event that is still inside,
 * in a list of chunks, so that it is exact as window.h wants it. Windows, chunks
 * and buckets come from arenas that are mapped at start. Each honeypot has its
 * share of them. If that is used up, windows that are empty by now are taken; if
 * there is none, the conversation is not let through: never is a window
 * forgotten that still counts something.
 *
 * A limit may change at a reload. What is forgotten was outside of the window
 * as long as it was then; the time of the newest such event is kept (for whole
 * windows: one time for each limit of a honeypot), and a longer window that
 * reaches back to it is taken for full.
 *
 * The set of addresses is a list in order of the last conversation that began:
 * its length, after what is too old has left, is the number of different ones.
 */
#define LIMITS_HONEYNET 0xffffu /* slot of what all honeypots share */

/* No padding: it is hashed and compared as bytes. */
struct limit_key {
	uint64_t what; /* LIMIT_OF_..., or limits_rule_id() */
	uint8_t addr[16];
	uint16_t slot; /* of the honeypot, or LIMITS_HONEYNET */
	uint8_t family;
	uint8_t pad[5];
};
#define LIMIT_OF_DESTINATION(class) (0x100u + (class))
#define LIMIT_OF_SOURCE(class) (0x200u + (class))
#define LIMIT_OF_ADDRESS 0x300u /* member of the set of addresses */
#define LIMIT_OF_CONCURRENT 0x301u
#define LIMIT_OF_CLASS(lateral, class) (0x400u + 4 * (lateral) + (class))

struct limit_window;
struct limit_chunk;
struct limit_share;

struct limits {
	struct limit_window *at;   /* [LIMIT_WINDOWS + 1] */
	struct limit_chunk *chunk; /* [LIMIT_CHUNKS + 1] */
	uint32_t *buckets;
	struct limit_share *shares; /* of each slot */
	uint32_t free, high;        /* windows: first free one; entries ever touched */
	uint32_t free_chunk, high_chunk;
	uint32_t windows, chunks; /* in use */
	uint32_t windows_share, chunks_share;
	uint8_t hash_key[16], jitter_key[16];
};

/* Maps the arenas. hash_key NULL = random; the secret of the jitter always follows from it. */
int limits_init(struct limits *t, const uint8_t hash_key[16], struct err *e);
void limits_free(struct limits *t);

/* True if one more event now would break limit l. Nothing is charged. */
bool limits_full(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now);
/* Room for one event in each of n more windows of this honeypot (LIMITS_HONEYNET: of all)? */
bool limits_room(struct limits *t, uint16_t slot, unsigned n, uint64_t now);
/* Counts an event. There must be room. */
void limits_add(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now);

/* The same for different addresses: k->what is LIMIT_OF_ADDRESS. */
bool limits_fan_full(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now);
void limits_fan_add(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now);

/* Another honeypot is in the slot: nothing of the former one counts. */
void limits_forget(struct limits *t, uint16_t slot);

/*
 * The limit, lower by at most `percent` of its count. By how much follows from a
 * secret, from k and from the time: it stands for as long as the window is
 * long, so that trying again does not show it, and then it is another.
 */
struct limit limits_jitter(const struct limits *t, const struct limit *l, unsigned percent, const struct limit_key *k,
			   uint64_t now);

#endif
