/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_CAPS_H
#define SKEP_SANDBOX_CAPS_H

#include "base/err.h"

#include <stdint.h>

/* capabilities(7). */

/* In this order, with a change of uid in between if there is one. For good.
 *
 * caps_bound empties the bounding set and locks the securebits so that uid 0
 * and exec give nothing. It takes CAP_SETPCAP: without it *bounded is 0 and
 * nothing changes (no_new_privs has the same effect on exec). *bounded says
 * whether the bounding set is empty now. caps_clear empties all other sets. */
int caps_bound(int *bounded, struct err *e);
int caps_clear(struct err *e);

/* Keeps the capabilities with these bits, in all sets, also across exec by a uid
 * that is not 0; and no other one, for good. Needs CAP_SETPCAP, and no change of
 * uid afterwards. */
int caps_only(uint64_t keep, struct err *e);

/* For priv's child on the way to a role: keeps CAP_SYS_ADMIN and CAP_SETPCAP
 * across setresuid and exec, so that isolate_role can make namespaces without
 * a user namespace (super). Call caps_keep before setresuid, caps_ambient
 * after it and before exec. */
int caps_keep(struct err *e);
int caps_ambient(struct err *e);

/* Does this process hold CAP_SYS_ADMIN in its user namespace? */
int caps_admin(void);

#endif
