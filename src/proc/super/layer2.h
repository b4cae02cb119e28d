/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_LAYER2_H
#define SKEP_PROC_SUPER_LAYER2_H

#include "proc/super/hub.h"

/* Steps of a new network, whose failure is told and costs nothing else. */
int layer2_step(struct super *s, struct seq *q, struct err *e);
int layer2_done(struct super *s, struct seq *q, struct answer *a, struct err *e);
void layer2_failed(struct super *s, struct seq *q, const struct err *e);

/* All networks: the honeypots of s->model and of `also` (may be NULL). */
void layer2_sync(struct super *s, const struct model *also);

#endif
