/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DNS_H
#define SKEP_PROC_GATEWAY_DNS_H

#include "proc/gateway/frame.h"

struct gateway;
struct policy;

/* A frame to or from UDP port 53, or to TCP port 53, of a honeypot whose policy
 * has dns.on: drops what the policy does not let through, sets f->edit where the
 * question goes to the operator's resolver, and records what was asked and
 * answered. `question`: the honeypot asks. Called after flow and class have
 * allowed it; charges its own limits. */
void dns_judge(struct gateway *g, struct frame *f, const struct policy *pol, bool question);

#endif
