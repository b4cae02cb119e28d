/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_SHIM_STREAM_H
#define SKEP_TEST_SHIM_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* What the guest writes, so that both sides can say what it should be. */
#define STREAM_SEED 4711u
#define STREAM_WRITE_MAX 20000u
#define STREAM_HASH 0xcbf29ce484222325ull /* FNV-1a */
#define STREAM_ARGS 100
#define STREAM_ARG_SIZE 1023u /* 100 kB with the zeros */

#define STREAM_HOLD 999 /* bytes a write */
#define STREAM_HOLDS 500

static inline uint32_t stream_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* One write: up to STREAM_WRITE_MAX bytes of any value; returns how many. */
static inline size_t stream_fill(uint32_t *seed, char *buf, size_t most)
{
	size_t n = 1 + stream_next(seed) % STREAM_WRITE_MAX;
	n = n < most ? n : most;
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)stream_next(seed);
	return n;
}

static inline void stream_text(uint32_t *seed, char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)('a' + stream_next(seed) % 26);
	buf[n] = 0;
}

static inline uint64_t stream_hash(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3ull;
	return h;
}

#endif
