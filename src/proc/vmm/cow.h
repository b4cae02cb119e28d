/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_COW_H
#define SKEP_PROC_VMM_COW_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * User Mode Linux's copy-on-write file, version 3 (Linux arch/um/drivers/
 * cow_user.c, struct cow_header_v3; all fields big-endian):
 *
 *   0    u32 magic "OOOM"   4 u32 version 3   8 u32 mtime of the base
 *   12   u64 size of the base   20 u32 sector size (512)
 *   24   u32 alignment (4096)   28 u32 format (0 = bitmap)
 *   32   char[4096] absolute path of the base
 *   8192 bitmap: one bit a sector, lowest bit first; 1 = the sector is here
 *   then, aligned, the sectors, each at data + its own offset (sparse)
 *
 * UML refuses a file whose base has another size or mtime. The bitmap is written
 * after the data it announces, and a new file gets its header last of all: a
 * crash in between leaves an overlay that is not yet one (cow_state UNFINISHED).
 */
#define COW_HEADER 8192u
#define COW_PATH 4096u
#define COW_SECTOR 512u
#define COW_ALIGN 4096u
#define COW_SIZE_MAX (1ull << 44) /* 16 TiB */

struct cow_header {
	uint32_t mtime;
	uint64_t size;
	char path[COW_PATH];
};

struct cow {
	int overlay, base; /* borrowed */
	uint64_t size;     /* of the disk, bytes; a multiple of the sector */
	uint64_t data;     /* offset of sector 0 in the overlay */
	size_t bitmap_len;
	uint8_t *bitmap;
	size_t dirty_from, dirty_to; /* bytes of the bitmap to be written */
	struct cow_header head;
};

enum cow_state { COW_EMPTY, COW_UNFINISHED, COW_READY };

/* A header as bytes, and back. cow_parse believes nothing: -EINVAL with the
 * reason. Offsets that follow from the size: */
void cow_format(const struct cow_header *h, uint8_t out[COW_HEADER]);
int cow_parse(const void *p, size_t n, struct cow_header *out, struct err *e);
size_t cow_bitmap_len(uint64_t size);
uint64_t cow_data_offset(uint64_t size);

/* What is in the overlay: 0 with *state, or -errno (-EINVAL: something else). */
int cow_look(int overlay, enum cow_state *state, struct err *e);

/* Begins a new overlay on base, which UML will find at `path`. Whatever the
 * overlay held is dropped. It is UNFINISHED until cow_commit. */
int cow_create(struct cow *c, int overlay, int base, const char *path, struct err *e);

/* Opens one that is READY. -ESTALE: the base is not the one it was made for. */
int cow_open(struct cow *c, int overlay, int base, struct err *e);

/* Bytes [off, off+n) of the disk; any alignment. -EINVAL beyond its end. */
int cow_read(struct cow *c, uint64_t off, void *dst, size_t n);
int cow_write(struct cow *c, uint64_t off, const void *src, size_t n);

/* Writes what is still in memory: the bitmap; and then, for a new overlay, the header. */
int cow_commit(struct cow *c, struct err *e);

/* Frees memory; writes nothing, closes no fd. */
void cow_close(struct cow *c);

#endif
