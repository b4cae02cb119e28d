/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_DECODE_H
#define SKEP_INTROSPECT_DECODE_H

#include "proc/introspect/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The private copy into which a fact's pointers point: one more byte, so that
 * every text can end. */
struct fact_buf {
	_Alignas(8) uint8_t b[sizeof(struct hook_rec) + HOOK_DATA_MAX + 8];
};

/*
 * Copies a record of n bytes (struct hook_rec and data, at any alignment, which
 * its writer may change meanwhile) into buf and reads it. False if it makes no
 * sense: too long, too short, unknown type, a number out of range; *f is untouched
 * then. seq and time are put into the fact as they are.
 */
bool decode_record(const void *rec, size_t n, uint64_t seq, uint64_t time, struct fact_buf *buf, struct fact *f);

#endif
