/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_ENGINE_STEPS_H
#define SKEP_PROC_SUPER_ENGINE_STEPS_H

#include "proc/super/hub.h"

/* The inline engine's start and end, step by step; engine.c says when. */
extern const struct seq_step engine_start_steps[], engine_stop_steps[];

/* What evidence is told of the ring of one side. */
void engine_ring_body(const struct super *s, unsigned side, struct ev_ring *r);

#endif
