/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_HOLD_H
#define SKEP_PROC_GATEWAY_HOLD_H

#include "proc/gateway/frame.h"

struct gateway;
struct port;
struct flow;

/*
 * A paused machine: the gateway answers for it where it can, so that its
 * connections live until it runs again.
 *
 * Theory of operation. Nothing is delivered; what comes is recorded as dropped
 * (REASON_HELD). Where both sides of a TCP connection have spoken, whatever asks
 * for an acknowledgement gets the one that the machine sent last, with a window
 * of 0: the other side then probes the window for as long as it is answered
 * (RFC 9293 section 3.8.6.1), and keeps what it has to say. Nothing is
 * acknowledged that the machine has not acknowledged. A timestamp is the last
 * one of the machine, whose clock stands still: a later one would make its own
 * look old. ARP and neighbour solicitations for its addresses are answered, so
 * that the router keeps it. No new connection, ping or datagram is answered.
 *
 * When it runs again there is nothing to hand over: the other sides retransmit.
 * Its conversations do not time out while it is paused.
 *
 * An answer is as long as the frame that asked for it, or shorter, but for the
 * options of TCP; one for each, never more.
 */
void hold_set(struct gateway *g, struct port *p, bool held);
/* The port is gone or new: nobody is paused there. */
void hold_forget(struct gateway *g, struct port *p);
/* A frame for a held port that would pass: answered, captured, not delivered.
 * What goes to all still does. */
void hold_judge(struct gateway *g, struct frame *f);
/* Since when a conversation may be called idle: its last frame, or later if a
 * machine of it was paused. ns */
uint64_t hold_idle(const struct gateway *g, const struct flow *fl);
/* Time passes. */
void hold_tick(struct gateway *g, uint64_t now);

#endif
