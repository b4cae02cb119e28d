/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_ANSWER_H
#define SKEP_PROC_GATEWAY_ANSWER_H

#include "proc/gateway/frame.h"

/*
 * Frames that the gateway says itself to the sender of a frame, in the name of
 * the one that was asked: made here in memory of the gateway's (f->answer), sent
 * by forward after both were captured. MACs and addresses are the other way
 * round, so nobody else can get one.
 */
struct gateway;

/* ICMP errors that one host sends to another: Linux's limits (net/ipv4/icmp.c,
 * net/ipv4/inetpeer.c, inet_peer_xrlim_allow): a burst of six, then one a second
 * (IPv6, default route: sixteen). RSTs have none. */
#define ANSWER_PEERS 1024u /* power of two */
#define ANSWER_BURST 6u
struct answer_peer {
	uint64_t last;   /* ns; 0 = never */
	uint64_t credit; /* ns */
};

struct answer_tcp {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	bool stamped; /* RFC 7323: with these */
	uint32_t stamp, echo;
};

/* f->answer: a TCP segment without data. false: f is no TCP
 * segment over unicast that could be answered. */
bool answer_tcp(struct gateway *g, struct frame *f, const struct answer_tcp *a);
/* f->answer of a frame that is refused: RST as of a closed port (RFC 9293
 * section 3.10.7.1), ICMP port unreachable for UDP; nothing where a host would
 * say nothing, to an RST, to an ICMP error, above the limit, and to the uplink
 * unless the rule that decided is one for its conversations. */
void answer_refusal(struct gateway *g, struct frame *f);
/* TTL with which frames of the one that was asked arrive at the sender of f:
 * what the conversation had until now; 64 on the same link; else 64 less a
 * distance that stays the same for an address. */
uint8_t answer_ttl(const struct gateway *g, const struct frame *f);

#endif
