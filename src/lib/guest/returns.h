/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_RETURNS_H
#define SKEP_GUEST_RETURNS_H

#include "guest/elf.h"
#include "guest/kallsyms.h"
#include "proto/hook.h"

/*
 * Where a probe sees what a function returned. A uprobe costs about 1 us on an
 * instruction that the host's kernel emulates (push, nop, relative branches) and
 * more than 20 on any other, `ret` among them: so what happens often is seen at a
 * branch behind the call that yields the value, all else at the `ret`s.
 *
 * Fills in p->ret for the sites that p has. A function that cannot be decoded to
 * its end, or that has more than HOOK_RETS returns, gets none.
 */
void guest_returns(const struct guest_elf *g, const struct kallsyms *k, struct hook_plan *p);

#endif
