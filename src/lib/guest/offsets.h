/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_OFFSETS_H
#define SKEP_GUEST_OFFSETS_H

#include "guest/elf.h"
#include "proto/hook.h"

#include <stdint.h>

/*
 * Where structures have their members: they differ from configuration to
 * configuration, and a stripped kernel says nothing about them, except by what
 * its own functions do. Each rule names a function, and which of its accesses to
 * memory is the one.
 */
struct guest_function {
	const char *name;
	uint64_t addr; /* 0 = there is none of that name, or several */
	uint64_t size; /* up to the next symbol */
};

/* The functions that the rules want; returns how many. */
#define GUEST_OFFSET_FUNCTIONS 80u
unsigned guest_offset_functions(const char **names);

/* Fills off (HOOK_OFF_NONE where rules find nothing, contradict each other, or
 * break what is known of the structures) and thread_size (0 = unknown). */
void guest_offsets(const struct guest_elf *g, const struct guest_function *f, unsigned n, uint16_t off[HOOK_OFF_COUNT],
		   uint32_t *thread_size);

#endif
