/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_USERNS_H
#define SKEP_SANDBOX_USERNS_H

#include "base/err.h"

/*
 * Rootless priv: enters a user namespace of its own, in which this process's
 * uid and gid are mapped 1:1 and it has every capability, and a private mount
 * namespace that belongs to it. Capabilities are lost by exec (the uid is not
 * 0): children begin without any. Call before any thread or namespace is made.
 * -EPERM, -ENOSPC, ...: the machine does not let this user do so; e says what to do.
 */
int userns_enter(struct err *e);

/* Maps one uid and gid of the parent namespace into the one that this process
 * just made by unshare(CLONE_NEWUSER) or clone. */
int userns_map(unsigned inside_uid, unsigned outside_uid, unsigned inside_gid, unsigned outside_gid, struct err *e);

/* The negative errno with which an unprivileged clone(CLONE_NEWUSER | more) fails here, or 0. */
int userns_probe(void);

/* What to do about it, for messages: names the sysctl that is in the way. */
const char *userns_remedy(void);

#endif
