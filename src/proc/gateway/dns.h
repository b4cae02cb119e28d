/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DNS_H
#define SKEP_PROC_GATEWAY_DNS_H

#include "base/err.h"
#include "proc/gateway/frame.h"

struct gateway;
struct policy;
struct port;
struct dns_pot;

/*
 * DNS at the gateway.
 *
 * Theory of operation. A question is let out if it is one plain, well-formed
 * question whose name carries no data (length, bytes, entropy), and if the
 * honeypot's sliding limits have room: of questions, and of different names below
 * one registered domain. The second is what a tunnel cannot live with: it must
 * ask for another name each time, or caches would answer it. What was let out is
 * remembered; an answer passes if it answers such a question (id, name, type,
 * ports, server), once for each time that it was asked.
 *
 * With a resolver in the policy questions go there, whatever server was asked, as
 * a changed copy; the answers come from there and get the asked server's address
 * again. dns_find says which conversation such an answer belongs to.
 *
 * All memory is mapped at start, one piece for each honeypot: questions that wait
 * (the oldest is given up when they are too many, so its answer is dropped) and
 * names of the window (full: no further name). A limit that a reload makes longer
 * knows only what the shorter one still remembered.
 */
struct dns {
	struct dns_pot *pots; /* [MODEL_HONEYPOTS] */
};
int dns_init(struct dns *d, struct err *e);
void dns_free(struct dns *d);
/* Another honeypot is in the slot from now on. */
void dns_forget(struct dns *d, uint16_t slot);

/* Behind flow_find: an answer of the operator's resolver belongs to the flow of
 * its question. Drops what comes from port 53 outside and answers nothing, if the
 * honeypot's policy has dns.on. */
void dns_find(struct gateway *g, struct frame *f);

/* A frame to or from UDP port 53, or to TCP port 53, of a honeypot whose policy
 * has dns.on: drops what the policy does not let through, sets f->edit (verdict
 * REWRITE) where the question goes to the operator's resolver, and records what
 * was asked and answered. `question`: the honeypot asks. Called after flow and
 * class have allowed it; charges its own limits. */
void dns_judge(struct gateway *g, struct frame *f, const struct policy *pol, bool question);

#endif
