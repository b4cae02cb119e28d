/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_ISOLATE_H
#define SKEP_SANDBOX_ISOLATE_H

#include "base/err.h"
#include "proto/role.h"

/*
 * Puts one of skep's own processes into the smallest place in which it can do
 * its work. Called by the role itself once it holds its fds and has allocated
 * what it needs, before it reads the first untrusted byte. Cannot be undone.
 *
 * In force afterwards, per role (table in isolate.c): own user, mount, net,
 * ipc, uts namespaces with an empty read-only root; empty capability sets and
 * bounding set; no_new_privs; Landlock with nothing allowed but what is below
 * `dirfd` (evidence); rlimits; a seccomp filter that kills the process on any
 * other call; not dumpable.
 */
struct isolate_opts {
	int dirfd; /* -1, or the one directory that the role may write below */
};

/*
 * 0 also if the machine offers less (no user namespaces, no Landlock): that is
 * logged as a warning, and isolate_in_force() says what there is. Every other
 * failure is an error: then do not go on.
 *
 * super stays in its user namespace, or SO_PEERCRED would not tell root from
 * others; it enters the remaining namespaces only if priv passed it
 * CAP_SYS_ADMIN (caps_keep, caps_ambient).
 *
 * A broken filter kills with SIGSYS, which the parent sees. To see which call
 * it was: meson configure -Dc_args=-DSKEP_SECCOMP_DEBUG.
 */
int isolate_role(enum role role, const struct isolate_opts *o, struct err *e);

/* JAIL_USERNS, JAIL_MOUNTS, JAIL_NETNS, JAIL_LANDLOCK, JAIL_SECCOMP, JAIL_CAPS
 * (bounding set empty) that isolate_role put in force. */
unsigned isolate_in_force(void);

/* What of it the running kernel offers, for `skep doctor`; and the Landlock ABI
 * (0 = none). */
struct isolate_probe {
	int userns;  /* 0 or negative errno */
	int seccomp; /* 0 or negative errno */
	int landlock_abi;
};
void isolate_probe(struct isolate_probe *out);

#endif
