/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_TRACE_H
#define SKEP_GUEST_TRACE_H

#include "guest/elf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Which members of which structures does a function touch? Walks its
 * instructions and follows where each register's value came from: an
 * argument, the current task, or what was loaded from a known place.
 */
#define TRACE_NODES 192u
#define TRACE_ACCESSES 512u
#define TRACE_INSNS 1500u

enum trace_root {
	TRACE_ARG0,
	TRACE_ARG1,
	TRACE_ARG2,
	TRACE_ARG3,
	TRACE_STACK,
	TRACE_THREAD,
	TRACE_CURRENT,
	TRACE_ROOTS
};

enum {
	TRACE_LOAD = 1, /* also cmp, test */
	TRACE_STORE = 2,
	TRACE_CHANGE = 4,  /* inc, or, ... in memory */
	TRACE_ADDRESS = 8, /* lea, or add to a pointer */
};

/* A value: what was loaded from (parent + off). Roots are nodes 0..TRACE_ROOTS-1. */
struct trace_node {
	int16_t parent; /* -1: a root, or what a call returned */
	int32_t off;
};
struct trace_access {
	int16_t node; /* base */
	int32_t off;  /* from it */
	uint8_t size; /* bytes; 0 unknown */
	uint8_t kind;
};
struct trace {
	struct trace_node node[TRACE_NODES];
	unsigned nodes;
	struct trace_access access[TRACE_ACCESSES];
	unsigned accesses;
	uint64_t stack; /* the mask that leads from the stack pointer to current; 0 none seen */
};

/* Walks the function at addr, at most n bytes long. False if nothing can be read. */
bool trace_function(const struct guest_elf *g, uint64_t addr, size_t n, struct trace *t);
/* The node of what is loaded from node's member at off; -1 if it was never. */
int trace_member(const struct trace *t, int node, int32_t off);

#endif
