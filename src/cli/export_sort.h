/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_EXPORT_SORT_H
#define SKEP_CLI_EXPORT_SORT_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sorts records by time in bounded memory: what does not fit goes, sorted, to
 * an unnamed temporary file in runs, and the runs are merged at the end. Equal
 * times stay in the order in which they were added.
 */
#define SORT_MEMORY (32u << 20)

struct sorter;
/* folder: where the temporary file may be made (the output's own folder: it is
 * as secret); NULL = $TMPDIR or /tmp. memory: bytes held at most, but for a
 * single longer record. NULL: out of memory. */
struct sorter *sorter_new(size_t memory, const char *folder);
void sorter_free(struct sorter *s);
int sorter_add(struct sorter *s, uint64_t time, uint32_t tag, struct slice record, struct err *e);
/* Hands out all of them, once; false from fn ends it. */
typedef bool (*sorted_fn)(void *arg, uint64_t time, uint32_t tag, struct slice record);
int sorter_run(struct sorter *s, sorted_fn fn, void *arg, struct err *e);
uint64_t sorter_count(const struct sorter *s);
unsigned sorter_runs(const struct sorter *s); /* in the temporary file */

#endif
