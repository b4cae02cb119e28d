/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_PLAY_H
#define SKEP_PROC_GATEWAY_PLAY_H

#include "proc/gateway/frame.h"

struct gateway;
struct flow;

/*
 * Conversations whose destination somebody else plays: another honeypot
 * (reflect) or a sinkhole. The flow is in the table under two tuples, that of
 * the honeypot that began it and that of the one that plays (the twin).
 */

/* Begins such a conversation with frame f by rule r: sets the verdict (REFLECT
 * or SINKHOLE), f->out, f->edit and f->flow; or drops, if it cannot be. */
void play_begin(struct gateway *g, struct frame *f, const struct rule *r);
/* A frame of a known flow with a player, from either side. */
void play_continue(struct gateway *g, struct frame *f);

#endif
