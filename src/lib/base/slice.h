/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_SLICE_H
#define SKEP_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The only way to read untrusted bytes. A slice borrows memory; it never owns
 * it. Every read is bounded; a read past the end returns false and changes
 * neither the slice nor the output.
 */
struct slice {
	const uint8_t *p;
	size_t n;
};

static inline struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ (const uint8_t *)p, n };
}

/* Takes the first n bytes off the front. */
static inline bool slice_take(struct slice *s, size_t n, struct slice *out)
{
	if (n > s->n)
		return false;
	struct slice head = { s->p, n };
	if (n) /* an empty slice may have no address */
		s->p += n;
	s->n -= n;
	*out = head;
	return true;
}

static inline bool slice_skip(struct slice *s, size_t n)
{
	struct slice gone;
	return slice_take(s, n, &gone);
}

/* The n bytes at offset off, without moving. */
static inline bool slice_sub(struct slice s, size_t off, size_t n, struct slice *out)
{
	if (off > s.n || n > s.n - off)
		return false;
	*out = (struct slice){ s.p + off, n };
	return true;
}

/* Cuts the slice to at most n bytes. */
static inline struct slice slice_head(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.n ? n : s.n };
}

/* Copies n bytes from the front into dst. */
static inline bool slice_get(struct slice *s, void *dst, size_t n)
{
	struct slice head;
	if (!slice_take(s, n, &head))
		return false;
	if (n)
		memcpy(dst, head.p, n);
	return true;
}

static inline bool slice_u8(struct slice *s, uint8_t *out)
{
	return slice_get(s, out, 1);
}

static inline bool slice_be16(struct slice *s, uint16_t *out)
{
	struct slice h;
	if (!slice_take(s, 2, &h))
		return false;
	*out = (uint16_t)(h.p[0] << 8 | h.p[1]);
	return true;
}

static inline bool slice_be32(struct slice *s, uint32_t *out)
{
	struct slice h;
	if (!slice_take(s, 4, &h))
		return false;
	*out = (uint32_t)h.p[0] << 24 | (uint32_t)h.p[1] << 16 | (uint32_t)h.p[2] << 8 | h.p[3];
	return true;
}

static inline bool slice_le16(struct slice *s, uint16_t *out)
{
	struct slice h;
	if (!slice_take(s, 2, &h))
		return false;
	*out = (uint16_t)(h.p[1] << 8 | h.p[0]);
	return true;
}

static inline bool slice_le32(struct slice *s, uint32_t *out)
{
	struct slice h;
	if (!slice_take(s, 4, &h))
		return false;
	*out = (uint32_t)h.p[3] << 24 | (uint32_t)h.p[2] << 16 | (uint32_t)h.p[1] << 8 | h.p[0];
	return true;
}

static inline bool slice_le64(struct slice *s, uint64_t *out)
{
	uint32_t lo, hi;
	struct slice t = *s;
	if (!slice_le32(&t, &lo) || !slice_le32(&t, &hi))
		return false;
	*s = t;
	*out = (uint64_t)hi << 32 | lo;
	return true;
}

#endif
