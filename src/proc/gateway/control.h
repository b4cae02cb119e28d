/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_CONTROL_H
#define SKEP_PROC_GATEWAY_CONTROL_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * Data control: what the policy lets pass. Everything that is not allowed here
 * in so many words is denied. A frame is charged only if it passes: a denied
 * attempt uses up nothing.
 */
void control(struct gateway *g, struct frame *f);

#endif
