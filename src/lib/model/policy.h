/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_POLICY_H
#define SKEP_MODEL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Data control for one honeypot, as data. Plain old data without pointers: it
 * travels in a sealed memfd from super to the gateway, which checks it again.
 * All zero is the safe default: nothing goes out but replies.
 */
enum limit_class { LIMIT_CLASS_TCP, LIMIT_CLASS_UDP, LIMIT_CLASS_ICMP, LIMIT_CLASS_OTHER, LIMIT_CLASS_COUNT };

#define LIMIT_COUNT_MAX 10000u
#define LIMIT_UNLIMITED 0xffffffffu

/* At most `count` new conversations in every window of `seconds`, sliding: no
 * window of that length, wherever it begins, holds more. count 0 = none at
 * all; LIMIT_UNLIMITED = any number. */
struct limit {
	uint32_t count;
	uint32_t seconds;
};

/* 0 = no budget (unlimited). Bytes are Ethernet frame bytes. */
struct budget {
	uint64_t bytes;
	uint64_t packets;
	uint32_t seconds; /* 0: for the life of the flow */
	uint32_t pad;
};

struct policy {
	uint8_t inbound_deny;    /* 1: the uplink may not begin conversations */
	uint8_t multicast_allow; /* 1: broadcast/multicast other than ARP/ND may leave, under the limits */
	uint8_t pad[6];
	struct limit outbound[LIMIT_CLASS_COUNT]; /* honeypot -> uplink */
	struct limit lateral[LIMIT_CLASS_COUNT];  /* honeypot -> honeypot */
	struct budget flow;                       /* what one flow may send away from the honeypot, replies too */
	struct budget honeypot;                   /* what the honeypot may send in a sliding window, replies too */
};

#endif
