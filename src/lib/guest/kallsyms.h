/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_KALLSYMS_H
#define SKEP_GUEST_KALLSYMS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The symbol table that a kernel with CONFIG_KALLSYMS carries in its own
 * read-only data (kernel/kallsyms.c, scripts/kallsyms.c, Linux 4.6 to 6.1). A
 * stripped kernel still has it.
 */
#define KALLSYMS_MAX (1u << 20) /* symbols */
#define KALLSYMS_NAME 512u      /* bytes of a name, with its final zero (KSYM_NAME_LEN of 6.1) */

struct kallsyms {
	uint32_t count;
	uint64_t base;       /* offsets are relative to it; or 0: absolute addresses */
	struct slice addrs;  /* count of u32 (relative) or u64 */
	struct slice names;  /* count of: length, tokens */
	struct slice tokens; /* 256 zero-terminated texts */
	uint16_t token[256]; /* where each begins */
};

/* Finds and checks the tables in `data` (the kernel's file). Borrows it. -ENOENT
 * if there are none. */
int kallsyms_find(struct slice data, struct kallsyms *out, struct err *e);

struct kallsyms_cursor {
	const struct kallsyms *k;
	struct slice rest;
	uint32_t next;
};
struct kallsyms_symbol {
	uint64_t addr;
	char type; /* as nm(1) says it: t, T, ... */
	char name[KALLSYMS_NAME];
};

struct kallsyms_cursor kallsyms_first(const struct kallsyms *k);
/* False at the end. A name that does not fit is cut. */
bool kallsyms_next(struct kallsyms_cursor *c, struct kallsyms_symbol *out);

#endif
