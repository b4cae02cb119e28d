/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_HOLD_H
#define SKEP_PROC_GATEWAY_HOLD_H

#include "proc/gateway/frame.h"

struct gateway;
struct port;

/* A paused machine: the gateway answers for it where it can, so that its
 * connections live until it runs again. */
void hold_set(struct gateway *g, struct port *p, bool held);
/* A frame for a held port: answered, captured, not delivered. */
void hold_judge(struct gateway *g, struct frame *f);

#endif
