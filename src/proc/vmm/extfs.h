/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_EXTFS_H
#define SKEP_PROC_VMM_EXTFS_H

#include "proc/vmm/cow.h"

#include <sys/types.h>

/*
 * Files in the ext2/3/4 file system of an overlay, through libext2fs and an
 * io_manager of our own that reads and writes a struct cow. Nothing is mounted.
 * The base's contents may come from anywhere: every error of libext2fs is an
 * error here, and nothing is believed to be there.
 */
struct extfs;

/* c must outlive it. -EINVAL: there is no such file system on the disk. */
int extfs_open(struct cow *c, struct extfs **out, struct err *e);

/* Writes what is pending to c (not yet cow_commit) and frees it, also on error. */
int extfs_close(struct extfs *x, struct err *e);
/* Frees it; what was pending is lost, the overlay half-written. */
void extfs_abandon(struct extfs *x);

bool extfs_is_dir(struct extfs *x, const char *path);
/* Modification time of what is at path, 0 if nothing is. */
time_t extfs_mtime(struct extfs *x, const char *path);

/* Makes a directory (owner root, 0755) unless it is there. Its parent must be. */
int extfs_mkdir(struct extfs *x, const char *path, time_t mtime, struct err *e);

/*
 * Puts a regular file there. One that is there keeps its owner, mode and time,
 * and only its contents change; a symbolic link is replaced. A new one belongs
 * to root and gets mode (permission bits) and mtime.
 */
int extfs_write(struct extfs *x, const char *path, mode_t mode, time_t mtime, const void *p, size_t n, struct err *e);

#endif
