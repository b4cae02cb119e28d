/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_ELF_H
#define SKEP_GUEST_ELF_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The guest kernel's file: an ELF64 program for x86-64 (System V ABI, AMD64
 * supplement). Only the program headers are read; a stripped file has all that we need.
 */
#define GUEST_ELF_SEGMENTS 16u
#define GUEST_ELF_MAX (256u << 20) /* bytes of a kernel's file */

struct guest_segment {
	uint64_t addr, off, size; /* size: in the file */
	bool exec;
};

struct guest_elf {
	struct slice file;
	struct guest_segment seg[GUEST_ELF_SEGMENTS];
	unsigned nseg;
	uint64_t base;           /* address at which file offset 0 is loaded */
	uint64_t text, text_end; /* of what may be executed */
};

/* -ENOEXEC if it is not such a file. Borrows `file`. */
int guest_elf_read(struct slice file, struct guest_elf *out, struct err *e);

/* The n bytes of the file that are loaded at addr; false if they are not all there. */
bool guest_elf_at(const struct guest_elf *g, uint64_t addr, size_t n, struct slice *out);
/* From addr as far as its segment goes, at most n bytes; false if there is none. */
bool guest_elf_upto(const struct guest_elf *g, uint64_t addr, size_t n, struct slice *out);
bool guest_elf_is_code(const struct guest_elf *g, uint64_t addr);

#endif
