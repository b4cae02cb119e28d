/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FORWARD_H
#define SKEP_PROC_GATEWAY_FORWARD_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * Where a frame goes: sets f->out or f->flood. A honeypot's frames for a MAC
 * that is no honeypot's go to the uplink; there is one uplink port a network,
 * so nothing is ever learned from frames and no table can be flooded.
 */
void forward_route(struct gateway *g, struct frame *f);

/* Counts the judged frame and, if it may pass, sends it. The only function of
 * the gateway that sends frames (invariant 5). */
void forward(struct gateway *g, struct frame *f);

/* The end of a batch: what its ports have collected is sent. */
void forward_flush(struct gateway *g);

#endif
