/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_PLAY_H
#define SKEP_PROC_GATEWAY_PLAY_H

#include "proc/gateway/frame.h"

struct gateway;
struct flow;

/*
 * Conversations whose destination somebody else plays: another honeypot
 * (reflect) or a sinkhole.
 *
 * Theory of operation. The side that began it goes on to see the destination
 * that it asked for; the player sees a conversation with itself (a honeypot: its
 * own address) or with any address at all (a sinkhole, in whose namespace every
 * address is local), on a port where it listens. Each frame is sent as a changed
 * copy, in both directions. The flow is in the table twice: under the tuple of
 * the side that began it, and, as a twin, under what the player sees. If what
 * the player would see is another conversation already, it sees another source
 * port (ICMP: another id).
 *
 * Nothing of such a conversation passes to the real destination, and nothing
 * that somebody else sends gets into it: a frame of the flow must come in at
 * the port of its side (`no-flow` otherwise). A frame is translated once and
 * never judged again, so that there can be no loop, whoever plays for whom.
 *
 * A honeypot answers a neighbour on its own link straight, all others by its
 * router; the source MAC that it sees is that of the one that it will answer
 * to. ICMP errors about the conversation, from either end, are translated with
 * the packet that they quote. Fragments are translated each by itself, once the
 * datagram is whole.
 */

/* Begins such a conversation with frame f by rule r: sets the verdict (REFLECT
 * or SINKHOLE), f->out, f->edit and f->flow; or drops, if it cannot be. */
void play_begin(struct gateway *g, struct frame *f, const struct rule *r);
/* A frame of a known flow with a player, from either side. */
void play_continue(struct gateway *g, struct frame *f);
/* Notes the router to which a honeypot sends its frames: what it takes the MAC
 * of others for. */
void play_learn(const struct frame *f);

#endif
