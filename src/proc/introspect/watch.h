/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_WATCH_H
#define SKEP_INTROSPECT_WATCH_H

#include "base/err.h"
#include "proto/intro.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What triggers wait for: looks at each record on its way to evidence. Patterns
 * are the operator's, texts the guest's: of these only the first WATCH_TEXT bytes
 * are looked at, so that a match costs a bounded time.
 */
#define WATCH_TEXT 512u
#define WATCH_EVERY 1000000000ull /* ns: a watch is told at most that often */

struct watches {
	struct intro_watch conf;
	struct intro_hit hit[MODEL_TRIGGERS]; /* count 0: nothing to tell */
	uint64_t told[MODEL_TRIGGERS];        /* monotonic; 0 = never */
	unsigned pending;
};

/* Takes a checked copy; what was pending is forgotten. -EINVAL: out untouched. */
int watches_set(struct watches *w, const struct intro_watch *conf, struct err *e);
/* One whole record; n counts its padding. */
void watches_record(struct watches *w, const struct intro_rec *rec, size_t n);
/* One that may be told now; it stays until watches_told. */
bool watches_next(const struct watches *w, uint64_t now, struct intro_hit *out);
void watches_told(struct watches *w, uint64_t now, const struct intro_hit *x);

#endif
