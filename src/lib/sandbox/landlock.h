/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_LANDLOCK_H
#define SKEP_SANDBOX_LANDLOCK_H

#include "base/err.h"

/*
 * Landlock (Linux Documentation/userspace-api/landlock.rst), called directly:
 * Debian 12's headers know ABI 2 only. Whatever the running kernel's ABI can
 * deny is denied: every file access that no rule allows, TCP bind and connect,
 * device ioctls, abstract unix sockets and signals to processes outside.
 */
#define LANDLOCK_READ 1u  /* open and read files, list directories */
#define LANDLOCK_WRITE 2u /* open for writing, truncate */
#define LANDLOCK_EXEC 4u
#define LANDLOCK_MAKE 8u /* make, rename and remove regular files and directories */

struct landlock_allow {
	int fd; /* file, or directory: then all below it. O_PATH will do */
	unsigned access;
};

/* 0 = none. */
int landlock_abi(void);

/* For good, for this thread and its children; no_new_privs must be set.
 * -ENOTSUP if the kernel has no Landlock. */
int landlock_apply(const struct landlock_allow *allow, int n, struct err *e);

#endif
