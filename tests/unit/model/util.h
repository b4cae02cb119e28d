/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_MODEL_UTIL_H
#define SKEP_TEST_MODEL_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"

#include <stdio.h>
#include <string.h>

/* Parses text that must be good. */
static inline void good(const char *text, struct model *m)
{
	static struct diag d;
	if (model_parse(text, strlen(text), m, &d) < 0)
		fail_msg("%u:%u: %s", d.items[0].at.line, d.items[0].at.col, d.items[0].text);
}

/* A small generator that is the same everywhere (xorshift64*). */
static inline uint32_t rnd(uint64_t *s, uint32_t n)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return (uint32_t)((*s * 0x2545f4914f6cdd1dull) >> 33) % n;
}

#endif
