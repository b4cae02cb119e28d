/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_FRAME_H
#define SKEP_PROC_GATEWAY_FRAME_H

#include "base/slice.h"
#include "model/policy.h"
#include "proto/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One frame on its walk. `bytes` is what came in and is never written
 * (invariant 4); everything else is what the stages found out about it.
 */
struct flow;
struct port;

#define ETH_HEAD 14u
/* Largest IP packet and its Ethernet header, with a tag. */
#define FRAME_MAX (65535u + ETH_HEAD + 4)

enum layer3 { L3_OTHER, L3_LLC, L3_VLAN, L3_ARP, L3_IP4, L3_IP6 };

/* As on the wire: who sends to whom. IPv4 in the first four bytes, the rest 0. */
struct tuple {
	uint8_t family; /* 0 = not IP */
	uint8_t proto;  /* IANA protocol number; for IPv6 the upper layer's */
	uint16_t sport, dport;
	uint8_t saddr[16], daddr[16];
};

enum icmp_kind {
	ICMP_KIND_NONE,    /* not ICMP */
	ICMP_KIND_REQUEST, /* echo, timestamp, ...: has an id and expects an answer */
	ICMP_KIND_ANSWER,
	ICMP_KIND_ERROR, /* quotes a packet */
	ICMP_KIND_ND,    /* neighbour and router discovery */
	ICMP_KIND_MLD,
	ICMP_KIND_OTHER
};

struct arp {
	uint16_t op;
	uint8_t sha[6], tha[6];
	uint8_t spa[4], tpa[4];
};

/* What is different in a copy of a frame; it keeps its length. The copy's
 * checksums are made right again. */
#define EDIT_MACS 1u
#define EDIT_ADDRS 2u
#define EDIT_PORTS 4u
#define EDIT_PAYLOAD 8u /* replaces what rule f->rule lists */
/* Of an ICMP error: the packet that it quotes went the other way, so that it gets
 * saddr and sport as its destination, daddr and dport as its source. */
#define EDIT_QUOTED 16u
struct edit {
	uint8_t what;
	uint8_t smac[6], dmac[6];
	uint8_t saddr[16], daddr[16];
	uint16_t sport, dport; /* for ICMP that asks or answers: both the id */
};

struct frame {
	struct slice bytes;
	uint32_t wirelen; /* > bytes.n: the rest was cut off on receipt */
	struct port *in;
	uint64_t now;    /* ns, monotonic */
	uint64_t came;   /* the same, on receipt; 0 = now. Earlier for fragments that waited for the others */
	uint32_t frames; /* > 0: a whole datagram put together from so many fragments; wirelen is the sum of theirs */
	uint8_t check_sums; /* verify checksums */
	bool lasting;       /* bytes stay where they are until forward_flush */

	/* decode */
	uint8_t l3; /* enum layer3 */
	uint8_t hops;
	uint8_t exts;      /* IPv6 extension headers seen */
	bool has_l4;       /* ports, tcp_flags, icmp_* are valid */
	bool truncated_l4; /* a first fragment without its whole transport header */
	uint8_t dst[6], src[6];
	uint16_t ethertype;
	struct tuple t;
	struct arp arp;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code, icmp_kind;
	uint16_t icmp_id;
	struct slice l4;  /* transport header and payload */
	struct slice eth; /* behind the Ethernet header */
	uint32_t l3_len;  /* of the IP packet, bytes */
	bool quoted_ok;
	struct tuple quoted; /* of an ICMP error */
	uint8_t quoted_type, quoted_id_set;
	uint16_t quoted_id;
	bool fragment; /* one of several */
	bool more;
	uint16_t frag_off; /* bytes */
	uint16_t frag_len;
	uint32_t frag_id;
	uint16_t fh_at, nh_at; /* IPv6, behind the Ethernet header: the fragment header, and the byte that names it */

	/* flow_find */
	struct flow *flow;
	uint8_t dir; /* 0 = sent by the side that began the flow */
	bool twin;   /* it has the addresses that the player of the flow sees */

	/* control */
	struct port *out; /* NULL with flood or if there is nobody */
	bool flood;
	bool multicast;

	/* inspect */
	struct port *beyond; /* out is the engine's port: where it goes when it comes back */
	struct port *copy;   /* the engine's port, which gets it besides */

	/* the judgement */
	uint8_t verdict, reason;
	uint16_t rule;     /* that decided: index into the policy's pool; RULE_NONE */
	struct edit edit;  /* what the copy that is sent has otherwise; sent as it came if nothing */
	struct edit later; /* the same, once the engine has given it back */

	/* edit, shape: both slices are of the gateway's own memory */
	struct slice changed; /* the copy that is sent instead of bytes; n 0 = bytes are sent */
	struct slice answer;  /* what the gateway says itself to the sender, at f->in; n 0 = nothing */
	bool wait;            /* for its turn: bandwidth */
	uint64_t flow_id;     /* of a frame that waited: the flow may be over */
};

/* The only function that may change a verdict: it gets stricter or stays, and
 * the first reason wins (invariant 3). */
static inline void verdict_tighten(struct frame *f, uint8_t verdict, uint8_t reason)
{
#ifdef MUTANT_VERDICT_LOOSEN
	f->verdict = verdict;
	f->reason = reason;
#else
	if (verdict > f->verdict) {
		f->verdict = verdict;
		f->reason = reason;
	}
#endif
}

static inline void verdict_drop(struct frame *f, uint8_t reason)
{
	verdict_tighten(f, VERDICT_DROP, reason);
}

/* Why a frame may pass; says nothing if it may not. */
static inline void verdict_allow(struct frame *f, uint8_t reason)
{
	if (f->verdict == VERDICT_FORWARD && f->reason == REASON_NONE)
		f->reason = reason;
}

/* Nothing of it goes on. */
static inline bool dropped(const struct frame *f)
{
	return f->verdict >= VERDICT_RESET;
}

/* It goes where the sender wanted it, as it is or rewritten. */
static inline bool passes(const struct frame *f)
{
	return f->verdict <= VERDICT_REWRITE;
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define PROTO_ICMP 1
#define PROTO_IGMP 2
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMP6 58

#define ND_RS 133
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_REDIRECT 137

#endif
