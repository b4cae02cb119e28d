/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FORWARD_H
#define SKEP_PROC_GATEWAY_FORWARD_H

#include "proc/gateway/frame.h"

struct gateway;

/* Nothing but this file sends frames (invariant 5; tools/layers.py knows who may
 * call which of these). */

/*
 * Where a frame goes: sets f->out or f->flood. A honeypot's frames for a MAC
 * that is no honeypot's go to the uplink; there is one uplink port a network,
 * so nothing is ever learned from frames and no table can be flooded.
 */
void forward_route(struct gateway *g, struct frame *f);

/*
 * Counts the judged frame and, if it may pass, sends it or its copy, or gives it
 * to shape.c to wait. A copy is recorded in the ring of the port that it goes to
 * first; if it cannot be, it is not sent. The same for f->answer of a frame that
 * goes nowhere.
 */
void forward(struct gateway *g, struct frame *f);

/* The end of a batch: what its ports have collected is sent. */
void forward_flush(struct gateway *g);

/* For shape.c: a frame that has waited, to f->out or all (f->flood). It was
 * counted, and recorded where it came in. */
void forward_late(struct gateway *g, struct frame *f);

#endif
