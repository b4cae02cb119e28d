/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_IMAGE_DISK_H
#define SKEP_CLI_IMAGE_DISK_H

#include "base/err.h"
#include "base/slice.h"

/* The first bytes of a file that decide what it is. */
#define DISK_HEAD 2048

/*
 * Is this the beginning of one ext2, ext3 or ext4 file system of at most `size`
 * bytes that was unmounted cleanly? 0 with its size in *fs_bytes; -EINVAL with
 * what it is instead, and what to do. Formats: Linux Documentation/filesystems/
 * ext4/super.rst, UEFI 2.10 chapter 5 (GPT), QEMU docs/interop/qcow2.txt.
 */
int image_disk_check(struct slice head, uint64_t size, uint64_t *fs_bytes, struct err *e);

/* Copies n bytes of in to out, holes and blocks of zeros as holes. stop() is
 * asked now and then whether to give up (-EINTR). */
int image_disk_copy(int in, int out, uint64_t n, int (*stop)(void), void (*progress)(uint64_t done, void *arg),
		    void *arg);

#endif
