/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_TCP_H
#define SKEP_PROC_GATEWAY_TCP_H

#include "proc/gateway/frame.h"

struct gateway;

/* The stage that follows TCP connections: what does not fit its window, or says
 * other than what was said before, or resets without knowing the sequence, is
 * dropped (RFC 5961), so that gateway, engine and receiver see the same. Drops
 * also frames of a flow whose TTL differs from the one it began with. */
void tcp_judge(struct gateway *g, struct frame *f);
/* After the judgement: what was let through is remembered. */
void tcp_account(struct gateway *g, const struct frame *f);

#endif
