/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_JOURNAL_H
#define SKEP_PROTO_JOURNAL_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The journal: a hash chain of small records that binds everything else in the
 * evidence directory. It holds no frames; it says which files there are, how
 * long they were at each commit, and what their bytes hashed to. docs/formats.md
 * describes it. All numbers are little endian.
 *
 *   record = { u32 len, u16 type, u16 zero, u64 seq, u64 ns } payload hash[32]
 *   len    = of the whole record
 *   hash   = BLAKE2b-256(hash of the record before | header | payload)
 *
 * The chain goes on from file to file: the first record of each file is a HEAD
 * that carries the hash it continues from.
 */
#define JOURNAL_HASH 32
#define JOURNAL_HEADER 24
#define JOURNAL_RECORD_MAX 65536
#define JOURNAL_FORMAT 2u
#define JOURNAL_KEY 32 /* Ed25519 public key */
#define JOURNAL_SIG 64

enum journal_type {
	J_HEAD = 1,    /* "skepjrnl", u32 format, u32 file number, hash[32] before it,
			* u32 epoch, u32 zero, seal key[32], commit key[32]: in force here */
	J_START = 2,   /* text: honeynet, version of skep */
	J_OPEN = 3,    /* u32 id, text file name */
	J_CLOSE = 4,   /* u32 id, u32 flags, u64 size, hash[32] of the file, text file name */
	J_REMOVE = 5,  /* u64 size, hash[32], text file name: removed because of the limits */
	J_COMMIT = 6,  /* u32 n, n times: u32 id, u32 zero, u64 size, hash[32] of that many bytes;
			* next commit key[32], signature[64] with the commit key */
	J_RECOVER = 7, /* u64 bytes cut off, text file name */
	J_ALARM = 8,   /* text: what was changed below a commit */
	J_STOP = 9,    /* i32 code (0 = asked to), text */
	J_SEAL = 10,   /* u32 epoch, u32 flags, u64 first record of the epoch, u64 commits in it, u64 its begin (ns),
			* next seal key[32], next commit key[32] (0 = none), signature[64] with the seal key */
	J_CLOCK = 11,  /* i64 by how much realtime went further than the monotonic clock (ns), u64 realtime before */
	J_TYPE_COUNT
};
#define J_CLOSE_RECOVERED 1u /* closed after a crash, not by the process that wrote it */
#define J_CLOSE_FOUND 2u     /* and no record named it before */
#define J_CLOSE_AGAIN 4u     /* said once more: the file that said it first may be removed */
#define J_SEAL_END 1u        /* the process ended in order: nothing follows but another process's HEAD */
#define J_SEAL_START 2u      /* by a process that begins, for whatever its predecessor left unsealed */

struct journal_chain {
	uint8_t hash[JOURNAL_HASH]; /* of the last record */
	uint64_t seq;               /* of the last record; the first is 1 */
};

/* A payload under construction: bytes appended to memory of the caller's. */
struct journal_body {
	uint8_t *p;
	size_t cap, n;
	bool full;
};
void body_u32(struct journal_body *b, uint32_t v);
void body_u64(struct journal_body *b, uint64_t v);
void body_bytes(struct journal_body *b, const void *p, size_t n);

/* Writes one record to out[JOURNAL_HEADER + n + JOURNAL_HASH] and moves the
 * chain on. Returns the record's length. n: at most JOURNAL_RECORD_MAX less
 * header and hash. */
size_t journal_put(struct journal_chain *c, uint8_t *out, unsigned type, uint64_t ns, const void *payload, size_t n);

/* As journal_put, with a signature of the 32 bytes BLAKE2b-256(hash before |
 * header | payload) as the last JOURNAL_SIG bytes of the payload. out has room
 * for them too. sk: Ed25519, 64 bytes. */
size_t journal_put_signed(struct journal_chain *c, uint8_t *out, unsigned type, uint64_t ns, const void *payload,
			  size_t n, const uint8_t sk[64]);

struct journal_record {
	uint16_t type;
	uint64_t seq, ns;
	struct slice payload;
	struct slice raw;             /* the whole record */
	uint8_t before[JOURNAL_HASH]; /* hash of the record before it */
	uint8_t hash[JOURNAL_HASH];   /* its own */
};

/* Takes one record off the front. True only if it is whole, continues the
 * chain, and its hash is right; *c moves on then. */
bool journal_take(struct journal_chain *c, struct slice *s, struct journal_record *r);

/* What the HEAD in front of a file says: its number, and what it continues from.
 * Whether that is true, journal_take tells. */
bool journal_head(struct slice file, struct journal_chain *from, uint32_t *number);

/* As journal_take for the HEAD of a file: *c is set to what the HEAD says it
 * continues from, then checked. *number is the file's. */
bool journal_take_head(struct journal_chain *c, struct slice *s, struct journal_record *r, uint32_t *number);

/* Whether a record that was taken is signed with this key. */
bool journal_signed(const struct journal_record *r, const uint8_t pk[JOURNAL_KEY]);

/* True if an intact SEAL, or two intact COMMITs, stand anywhere behind offset
 * `from` of a file: what is broken before it is damage, not the tail of a crash.
 * (One COMMIT proves nothing: of a write that was not synced, a power cut may
 * take the first sectors and leave the last. The second was only written when
 * the first was synced, and so is a SEAL.) */
bool journal_commit_after(struct slice file, size_t from);

/* How many of the n bytes are whole records. */
size_t journal_whole(const uint8_t *p, size_t n);

#endif
