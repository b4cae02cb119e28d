/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_ISOLATE_FILTER_H
#define SKEP_SANDBOX_ISOLATE_FILTER_H

#include "proto/role.h"
#include "sandbox/seccomp.h"

/* The system calls of each role: at most ISOLATE_TABLES tables. Returns how
 * many, 0 if the role has no place. */
#define ISOLATE_TABLES 4
int isolate_filter(enum role role, struct seccomp_table out[ISOLATE_TABLES]);

#endif
