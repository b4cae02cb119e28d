/* SPDX-License-Identifier: ISC */
#ifndef TEST_SYNTH_H
#define TEST_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Makes small files that look like guest kernels: an ELF program with functions,
 * and the kallsyms of them as scripts/kallsyms.c of several Linux versions lays
 * them out. For tests, and for the seeds of fuzzers.
 */
#define SYNTH_BASE 0x60000000u
#define SYNTH_TEXT 0x60001000u /* the first function; each is aligned to 16 */

enum synth_layout {
	SYNTH_OFFSETS,  /* 4.6 to 6.1: relative offsets, before the names */
	SYNTH_ABSOLUTE, /* the same with absolute addresses */
	SYNTH_SEQS,     /* 6.2, late 6.1.y: seqs_of_names between markers and tokens */
	SYNTH_LAST,     /* 6.4 on: offsets behind the tokens */
	SYNTH_LAYOUTS
};

struct synth {
	uint8_t b[1 << 20];
	size_t n;
	enum synth_layout layout;
	struct {
		char name[600];
		uint64_t addr;
	} sym[3000];
	unsigned syms;
	uint64_t at; /* where the next function goes */
};

void synth_begin(struct synth *s, enum synth_layout layout);
/* Functions, in the order of their addresses. */
void synth_function(struct synth *s, const char *name, const void *code, size_t n);
/* Another name for the last one. */
void synth_alias(struct synth *s, const char *name);
/* Ends the text, writes the tables; s->b[0..s->n) is the file. */
void synth_end(struct synth *s);

/* Little programs: what a compiler makes of an accessor function. */
struct code {
	uint8_t b[512];
	size_t n;
};
enum { C_RAX, C_RCX, C_RDX, C_RBX, C_RSP, C_RBP, C_RSI, C_RDI };
void code_bytes(struct code *c, const void *p, size_t n);
#define CODE(c, text) code_bytes(c, text, sizeof(text) - 1)
/* reg := (size bytes at base + disp), size 1, 2, 4, 8 */
void code_load(struct code *c, unsigned size, unsigned reg, unsigned base, int32_t disp);
void code_store(struct code *c, unsigned size, unsigned base, int32_t disp, unsigned reg);
void code_lea(struct code *c, unsigned reg, unsigned base, int32_t disp);
/* reg := current, as arch/um finds it: what stands at (stack & -thread_size). Uses
 * a frame of its own. */
void code_current(struct code *c, unsigned reg, uint32_t thread_size);
void code_ret(struct code *c);

/* A kernel with a function for most rules of lib/guest/offsets.c, all members moved
 * by `shift` (a multiple of 16). */
void synth_kernel(struct synth *s, enum synth_layout layout, int32_t shift);

#endif
