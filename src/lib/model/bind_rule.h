/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_BIND_RULE_H
#define SKEP_MODEL_BIND_RULE_H

#include "model/bind.h"

/* Binds one rule behind the last of b->lists.own, of the list of job. */
void bind_rule(struct binder *b, struct list_job *job, const struct node *n);

#endif
