/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_POLICY_EXPR_H
#define SKEP_CLI_POLICY_EXPR_H

#include "proto/proto.h"

/*
 * What must not leave, as in --must-not-leave 'tcp and not port 80 or bytes > 1M':
 *
 *   any tcp udp icmp             icmp: ICMPv6 too
 *   proto N                      the protocol's number
 *   port N, port N-M             of the side that did not begin the conversation; TCP and UDP
 *   host ADDR, net PREFIX        the side outside
 *   honeypot NAME
 *   bytes > N, packets > N       of one conversation, that left; also < >= <=; N as in 1M
 *   began reply resolution       who began it; and ARP or neighbour discovery
 *   not, and, or, ( )            in this order; also ! && ||
 *
 * It is asked of each conversation of which something left. Replies and the
 * resolution of addresses are asked only where the expression has that word:
 * nothing works without them.
 */
#define EXPR_NODES 128
#define EXPR_DEPTH 32

enum expr_op {
	EXPR_ANY,
	EXPR_PROTO,
	EXPR_ICMP,
	EXPR_PORT,
	EXPR_NET,
	EXPR_HONEYPOT,
	EXPR_BYTES,
	EXPR_PACKETS,
	EXPR_KIND,
	EXPR_NOT,
	EXPR_AND,
	EXPR_OR
};

struct expr_node {
	uint8_t op;      /* enum expr_op */
	uint8_t compare; /* '<' '>', with 0x80: or equal */
	uint16_t a, b;
	uint64_t n;
	struct addr net;
};

/* In the order of evaluation on a stack. */
struct expr {
	unsigned n;
	bool says_reply, says_resolution;
	struct expr_node node[EXPR_NODES];
};

/* The port of a honeypot's name; -1: there is none. */
typedef int (*expr_honeypot_fn)(void *arg, const char *name);

/* 0; -EINVAL with "column N: what is wrong" in e. */
int expr_parse(const char *text, expr_honeypot_fn honeypot, void *arg, struct expr *out, struct err *e);
/* Has what left of c, on side 0, been named? */
bool expr_names(const struct expr *x, const struct judge_conversation *c);

#endif
