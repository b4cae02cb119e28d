/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_EMIT_H
#define SKEP_INTROSPECT_EMIT_H

#include "proc/introspect/facts.h"
#include "proto/intro.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Builds the records of proto/intro.h, one at a time: begin, put..., end. What
 * does not fit into INTRO_REC_MAX is left out and the record says INTRO_F_CUT.
 * Sequence numbers are given here and nowhere else, so that they have no gaps.
 */

/* One whole record, zero bytes up to a multiple of 8 behind it; n counts them. */
typedef void (*emit_fn)(void *arg, const struct intro_rec *rec, size_t n);

struct emit {
	emit_fn fn;
	void *arg;
	uint64_t seq; /* of the last record */
	size_t n;     /* of the record being built */
	uint16_t flags;
	_Alignas(8) uint8_t buf[INTRO_REC_MAX + 8];
};

void emit_init(struct emit *e, emit_fn fn, void *arg);
/* who, when: from the fact (all zero but the times without a process). */
void emit_begin(struct emit *e, enum intro_kind kind, const struct fact *f, uint64_t session);
/* For what the record says about somebody else than the fact's process. */
struct intro_rec *emit_head(struct emit *e);
void emit_put(struct emit *e, const void *p, size_t n);
void emit_u32(struct emit *e, uint32_t v);
/* A text and the zero byte that ends it. */
void emit_text(struct emit *e, const char *s, size_t n);
/* Bytes of payload that still fit. */
size_t emit_room(const struct emit *e);
void emit_end(struct emit *e, uint16_t flags);

#endif
