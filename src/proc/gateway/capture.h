/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_CAPTURE_H
#define SKEP_PROC_GATEWAY_CAPTURE_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * Puts the frame with its verdict into the ring of the port that it came in at,
 * before anything is sent. 0; or the reason why it could not be recorded, and
 * then it must not be forwarded (invariant 1).
 */
uint8_t capture(struct gateway *g, const struct frame *f);

/* Says in the ring how many frames were lost since the last note, once there
 * is room. */
void capture_note(struct gateway *g, struct port *p, uint64_t now);

#endif
