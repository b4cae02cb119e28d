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

/*
 * The same for what the gateway made itself: `bytes`, a changed copy of f or an
 * answer to it, goes into the ring of the port that it will be sent to, with
 * the judgement and the flow of f. Unless 0 is returned it must not be sent.
 */
uint8_t capture_made(struct gateway *g, struct port *to, const struct frame *f, struct slice bytes);
/* Will a made frame of n bytes find room there? 0, or why not. */
uint8_t capture_room(const struct port *to, size_t n);

/* Tells in the ring what rule this number stands for, if it was not told yet
 * under the policy in force. false: no room. */
bool capture_rule(struct gateway *g, struct port *p, uint16_t rule, uint64_t now);

/* Says in the ring how many frames were lost since the last note, once there
 * is room. */
void capture_note(struct gateway *g, struct port *p, uint64_t now);

#endif
