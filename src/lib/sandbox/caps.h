/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_CAPS_H
#define SKEP_SANDBOX_CAPS_H

#include "base/err.h"

#include <stdint.h>

/* capabilities(7). */

/* For good: empties the bounding set, locks the securebits so that uid 0 and
 * exec give nothing, empties every set, sets no_new_privs. Without CAP_SETPCAP
 * the bounding set and the securebits stay as they are (-EPERM is not returned
 * for that: no_new_privs makes them harmless); *bounded says which it was. */
int caps_drop_all(int *bounded, struct err *e);

/* For priv's child on the way to a role: keeps CAP_SYS_ADMIN and CAP_SETPCAP
 * across setresuid and exec, so that isolate_role can make namespaces without
 * a user namespace (super). Call caps_keep before setresuid, caps_ambient
 * after it and before exec. */
int caps_keep(struct err *e);
int caps_ambient(struct err *e);

/* Does this process hold CAP_SYS_ADMIN in its user namespace? */
int caps_admin(void);

#endif
