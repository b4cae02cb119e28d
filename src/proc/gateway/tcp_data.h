/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_TCP_DATA_H
#define SKEP_PROC_GATEWAY_TCP_DATA_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the sides of TCP connections have said and the other side has not yet
 * acknowledged: a retransmission must say the same.
 *
 * Theory of operation. The bytes themselves are kept, not hashes of them:
 * stacks retransmit with any boundaries, and a hash of a part tells nothing of
 * a part of that part. Chunks of TCP_CHUNK bytes of one direction's stream,
 * aligned to its beginning, come from an arena that is mapped at start, and are
 * found by a hash with a random factor (intruders choose sequence numbers). A
 * bitmap says which bytes of a chunk were said. What is acknowledged is
 * forgotten: no receiver takes it a second time.
 *
 * Each honeypot has a share, for both directions of its connections. Who uses
 * it up has new data dropped, as on a line that is overloaded, until the other
 * side acknowledges; nothing passes that cannot be remembered.
 */
#define TCP_CHUNK 1024u
#define TCP_CHUNKS (1u << 18) /* of all: 256 MiB, touched as it is needed */
#define TCP_CHUNKS_SHARE 6144u
#define TCP_BUCKETS (1u << 18)
#define TCP_REACH (8u << 20) /* bytes in flight of one direction, at most */

struct tcp_chunk {
	uint64_t key;  /* of the stream, and the chunk's number in it */
	uint32_t next; /* of the bucket, or free */
	uint16_t owner;
	uint64_t have[TCP_CHUNK / 64];
	uint8_t bytes[TCP_CHUNK];
};

struct tcp_data {
	struct tcp_chunk *at; /* [TCP_CHUNKS + 1], index 0 is not used */
	uint32_t *buckets;    /* [TCP_BUCKETS] */
	uint32_t *of;         /* chunks of each honeypot */
	uint32_t free, high, used, owners;
	uint64_t factor; /* odd */
};

/* What one direction has in it. */
struct tcp_stream {
	uint32_t low;  /* no chunk below this one */
	uint32_t held; /* chunks */
};

int tcp_data_init(struct tcp_data *t, uint32_t owners, const uint8_t key[16], struct err *e);
void tcp_data_free(struct tcp_data *t);

/* id: number of the stream; at: offset of the bytes in it. */
bool tcp_data_same(const struct tcp_data *t, uint32_t id, uint32_t at, const uint8_t *p, size_t n);
/* Is there room for n more bytes of this honeypot? */
bool tcp_data_room(const struct tcp_data *t, uint16_t owner, size_t n);
/* Remembers. What found no room (ask before) is not remembered. */
void tcp_data_put(struct tcp_data *t, struct tcp_stream *s, uint32_t id, uint16_t owner, uint32_t at, const uint8_t *p,
		  size_t n);
/* Forgets what lies before `at`. */
void tcp_data_acked(struct tcp_data *t, struct tcp_stream *s, uint32_t id, uint32_t at);
void tcp_data_drop(struct tcp_data *t, struct tcp_stream *s, uint32_t id);

#endif
