/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_GUARD_H
#define SKEP_PROC_GATEWAY_GUARD_H

#include "proc/gateway/frame.h"

struct gateway;

/*
 * Who may claim to be whom, whatever the policy says. A honeypot sends only
 * from its own MAC and addresses (invariant 8), speaks no link protocol, and is
 * neither a router nor a DHCP server. The uplink may not pretend to be one of
 * the honeypots.
 */
void guard(struct gateway *g, struct frame *f);

#endif
