/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SHIM_WRAP_H
#define SKEP_SHIM_WRAP_H

#include "shim/hook.h"

/* What stands in the place of each kernel function of HOOK_SITES. All in one
 * section, so that their frames on a stack can be told. */
#define WRAP(name)                                                                                                     \
	__attribute__((section("wrappers")))                                                                           \
	word wrap_##name(word a, word b, word c, word d, __attribute__((unused)) word e)
extern const char __start_wrappers[], __stop_wrappers[]; /* the linker's */
#define X(name, fn) WRAP(name);
HOOK_SITES(X)
#undef X

#endif
