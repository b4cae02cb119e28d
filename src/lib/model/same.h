/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_SAME_H
#define SKEP_MODEL_SAME_H

#include "model/model.h"

#include <stdbool.h>

/*
 * Whether two models mean the same; each is given with what its indexes refer to.
 */

/* Of two policies, each with the model in whose pool its rules and lists stand:
 * the same contents, wherever they stand there. Rules that name honeypots,
 * networks or a target are the same only if they name them by the same index. */
bool same_policy(const struct model *xm, const struct policy *x, const struct model *ym, const struct policy *y);

/* The pools hold the same in the same places: indexes of one mean the same in
 * the other. */
bool same_pool(const struct policy_pool *x, const struct policy_pool *y);

/* Triggers, named policies and how operators are told. */
bool same_reactions(const struct model *x, const struct model *y);

/* 0 if y differs from x in nothing but policies, triggers, notices and what is
 * done about tampering; else -EBUSY, and e says what else differs first. */
int same_but_policies(const struct model *x, const struct model *y, struct err *e);

#endif
