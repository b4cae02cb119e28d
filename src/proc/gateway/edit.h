/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_EDIT_H
#define SKEP_PROC_GATEWAY_EDIT_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * Changed copies of frames. The copy is as long as the frame, and lies in memory
 * of the gateway's (invariant 4: what came in is never written).
 *
 * Checksums are turned by the difference (RFC 1624), not made anew: one that was
 * right stays right, in fragments too, and one that was wrong stays wrong, so
 * that the receiver judges it as it would have. UDP without a checksum over
 * IPv4 stays without.
 *
 * EDIT_PAYLOAD replaces bytes in the payload of one TCP segment or UDP datagram,
 * wherever they stand in it, from the left, replacement after replacement in
 * the order of the rule. Not matched is what a sender spreads over two segments
 * (each is looked at by itself), retransmits cut otherwise, or encodes (TLS,
 * compression). Fragments of a datagram are dropped instead: the checksum of
 * what was sent already could not be mended. If nothing matched, the frame is
 * sent as it came, under the verdict "rewrite" and without a copy.
 */

/* Fills f->edit with what the frame has now, so that the caller need only set
 * what differs and the bits in f->edit.what. */
void edit_keep(struct frame *f);

/* The stage: makes f->changed of what f->edit wants, or drops if that cannot be;
 * raises the verdict to REWRITE at least. Makes f->answer of a verdict RESET. */
void edit(struct gateway *g, struct frame *f);

/* Turns the checksum at sum[2] by the change of n bytes, of which the first
 * stands at an odd place of what is summed or not. */
void edit_sum(uint8_t sum[2], const uint8_t *was, const uint8_t *is, size_t n, bool odd);

#endif
