/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SHIM_WRAP_H
#define SKEP_SHIM_WRAP_H

#include "shim/hook.h"

/* What stands in the place of each kernel function of HOOK_SITES. */
#define WRAP(name) word wrap_##name(word a, word b, word c, word d)
#define X(name, fn) WRAP(name);
HOOK_SITES(X)
#undef X

#endif
