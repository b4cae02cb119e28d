/* SPDX-License-Identifier: ISC */
#ifndef TEST_RECORD_H
#define TEST_RECORD_H

/* Builds records as a hook writes them. */

#include "proto/hook.h"

#include <stddef.h>
#include <string.h>

struct record {
	uint8_t b[sizeof(struct hook_rec) + HOOK_DATA_MAX + 64];
	size_t n;
};

static inline void record_bytes(struct record *r, const void *p, size_t n)
{
	memcpy(r->b + r->n, p, n);
	r->n += n;
}

static inline void record_u32(struct record *r, uint32_t v)
{
	record_bytes(r, &v, sizeof(v));
}

static inline void record_u64(struct record *r, uint64_t v)
{
	record_bytes(r, &v, sizeof(v));
}

static inline void record_text(struct record *r, const char *s)
{
	record_bytes(r, s, strlen(s) + 1);
}

static inline void record_begin(struct record *r, enum hook_type type)
{
	struct hook_rec h = { .type = (uint16_t)type,
			      .tgid = 100,
			      .tid = 101,
			      .ppid = 1,
			      .uid = 1000,
			      .euid = 1001,
			      .tty = HOOK_TTY_ID(HOOK_TTY_PTY, 3),
			      .ret = -13,
			      .gtime = 77,
			      .task = 0x60123456789a,
			      .comm = "0123456789abcdef" };
	memset(r->b, 0xee, sizeof(r->b));
	r->n = 0;
	record_bytes(r, &h, sizeof(h));
}

#endif
