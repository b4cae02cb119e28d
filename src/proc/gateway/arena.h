/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_ARENA_H
#define SKEP_PROC_GATEWAY_ARENA_H

#include <stddef.h>
#include <sys/mman.h>

/* Memory of the gateway: mapped at start, zero, touched as it fills; nothing is
 * allocated later. NULL: none. */
static inline void *arena_map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* As arena_map, for a large table in which lookups go anywhere: huge pages, where
 * the kernel has some, save most misses of the translation cache. */
static inline void *arena_map_huge(size_t n)
{
	void *p = arena_map(n);
	if (p)
		madvise(p, n, MADV_HUGEPAGE);
	return p;
}

#endif
