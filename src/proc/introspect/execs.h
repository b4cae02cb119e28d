/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_EXECS_H
#define SKEP_INTROSPECT_EXECS_H

#include "proc/introspect/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Programs about to be executed: EXEC_TRY and EXEC_MORE are put together here
 * until EXEC_DONE says what became of it. Found by task, since several threads of
 * one process can try at once.
 *
 * Bounded: EXECS_MAX at a time, EXEC_BYTES each (what is longer is cut, and says
 * so), EXECS_TOTAL together. For a new one the oldest makes room; its EXEC_DONE
 * is then reported without arguments, as cut.
 */
#define EXECS_MAX 128u
#define EXEC_BYTES (512u << 10)
#define EXECS_TOTAL (4u << 20)

struct exec_job {
	uint64_t task; /* 0 = free */
	uint64_t born;
	uint32_t tgid;
	uint32_t argc;
	uint16_t flags; /* HOOK_F_CUT, HOOK_F_FAULT of any part */
	uint8_t *buf;   /* path\0 cwd\0 arguments */
	uint32_t cwd, args, n, cap;
};

struct execs {
	struct exec_job at[EXECS_MAX];
	size_t total;
	uint64_t clock, evicted;
};

void execs_init(struct execs *x);
void execs_try(struct execs *x, const struct fact *f);
void execs_more(struct execs *x, const struct fact *f);
struct exec_job *execs_find(struct execs *x, uint64_t task);
void execs_free(struct execs *x, struct exec_job *j);
void execs_clear(struct execs *x);

#endif
