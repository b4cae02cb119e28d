/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_GMEM_H
#define SKEP_INTROSPECT_GMEM_H

#include "proto/hook.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the memory of a guest's kernel from outside, through /proc/PID/mem of
 * User Mode Linux. The guest writes what it likes into the structures that are read here,
 * while they are read: every pointer is followed only within the guest's memory,
 * every list only so far, and what comes back is no more than what was there.
 */
#define GMEM_CHAIN 64u /* ancestors that are followed at most */

struct gmem {
	int fd; /* not owned */
	const struct hook_plan *plan;
};

struct gmem_task {
	uint64_t addr;
	uint64_t parent; /* address of its real parent */
	uint32_t pid, tgid, uid, euid;
	char comm[17];
};

/* All n bytes at addr (a pointer of the guest's kernel), or false and *out is
 * undefined. Refuses what lies outside of the guest's memory. */
bool gmem_read(const struct gmem *g, uint64_t addr, void *out, size_t n);
/* A text of at most cap - 1 bytes. */
bool gmem_text(const struct gmem *g, uint64_t addr, char *out, size_t cap);

/* What stands in a task structure. False if the plan lacks an offset, or if it
 * cannot be one. */
bool gmem_task(const struct gmem *g, uint64_t task, struct gmem_task *out);
/* The task that runs: of any address on its kernel stack. */
bool gmem_current(const struct gmem *g, uint64_t stack, struct gmem_task *out);
/* task, its parent, ... to the first process; at most max and GMEM_CHAIN. Returns
 * how many are in out. */
unsigned gmem_ancestors(const struct gmem *g, uint64_t task, struct gmem_task *out, unsigned max);

/* "sh[812] uid 0, child of sshd[790] uid 0, ..." of task, safe for a terminal; empty
 * if it is no task. Returns the length. */
#define GMEM_TOLD 5u /* ancestors that are named */
size_t gmem_describe(const struct gmem *g, uint64_t task, char *out, size_t cap);

#endif
