/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_ENGINE_H
#define SKEP_PROC_GATEWAY_ENGINE_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * The inline engine: what passes goes to it first, and only what it gives back
 * is sent. If it is not there, nothing passes (fails closed), unless the policy
 * says passive: then it gets copies.
 */

/* The stage `inspect`: turns f->out to the engine's port, or drops. */
void inspect(struct gateway *g, struct frame *f);

#endif
