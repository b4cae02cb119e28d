/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_INSPECT_H
#define SKEP_SANDBOX_INSPECT_H

#include "base/err.h"
#include "proto/proto.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * What the kernel says about running processes, from /proc: `ps -v` and
 * invariant 9. Names in /proc can be chosen by the process that is looked at:
 * they come out through base/text.
 */
typedef void (*inspect_thread_fn)(void *arg, const struct rep_thread *t);

/* Every thread of pid, and (tree != 0) of all its descendants: for a VMM, pid
 * 1 of its namespace, that is the whole namespace. honeypot and role are left
 * empty. Returns the number of threads, or -ESRCH. */
int inspect_threads(pid_t pid, int tree, inspect_thread_fn fn, void *arg);

struct inspect_memory {
	uint64_t rss, pss; /* bytes; 0 = unknown */
};
/* The sum over pid and (tree) its descendants. */
int inspect_memory(pid_t pid, int tree, struct inspect_memory *out);

#endif
