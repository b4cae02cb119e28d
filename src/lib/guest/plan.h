/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_PLAN_H
#define SKEP_GUEST_PLAN_H

#include "base/err.h"
#include "base/slice.h"
#include "proto/hook.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Where a guest kernel can be hooked and where its structures have their members,
 * from nothing but its own binary: symbols from the embedded kallsyms, offsets
 * from the instructions of tiny functions. The binary is untrusted input: any file
 * yields a plan or an error, and a plan that passes guest_plan_check.
 *
 * A plan with gaps is no error: what could not be found is 0 (addresses) or
 * HOOK_OFF_NONE, and the hooks that need it stay away.
 */

/* Reads the kernel through kernel_fd (a regular file; mapped, the fd is not
 * kept). -ENOEXEC: not a kernel that we can read. About 0.1 s. */
int guest_plan_make(int kernel_fd, struct hook_plan *out, struct err *e);
/* The same of a file that is in memory. */
int guest_plan_read(struct slice file, struct hook_plan *out, struct err *e);

/* For a plan that comes from another process: -EBADMSG if p (size bytes) is not
 * one whose numbers are all within their bounds. */
int guest_plan_check(const struct hook_plan *p, size_t size, struct err *e);

/* A sealed memfd (no write, no resize) that holds the plan; -errno. */
int guest_plan_seal(const struct hook_plan *p, struct err *e);
/* Reads a plan out of such a memfd and checks it. */
int guest_plan_load(int fd, struct hook_plan *out, struct err *e);

/* The function's name, or the member's ("TTY_DRIVER"). */
const char *guest_site_name(enum hook_site s);
const char *guest_call_name(enum hook_call c);
const char *guest_offset_name(enum hook_offset o);

#endif
