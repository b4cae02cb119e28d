/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_TCP_H
#define SKEP_PROC_GATEWAY_TCP_H

#include "base/err.h"
#include "proc/gateway/frame.h"
#include "proc/gateway/tcp_data.h"

/*
 * The stage that follows TCP connections, so that the gateway, an engine behind
 * it and the receiver see the same.
 *
 * Theory of operation. Only a SYN begins a connection, from the uplink too. For
 * each direction there is the next sequence number, what the other side has
 * acknowledged, and how far it lets this side send: Guido van Rooij's bounds
 * ("Real Stateful TCP Packet Filtering in IP Filter", as in Linux'
 * nf_conntrack_proto_tcp.c), which keep-alives, window probes and retransmissions
 * fit. A segment is dropped (REASON_TCP_STATE) that
 * - has flags that no stack sends (NULL, XMAS, SYN with FIN or RST, FIN alone,
 *   URG without ACK), an urgent pointer of 0, or one for old data that differs
 *   from what was said;
 * - is outside of those bounds, or acknowledges what was never sent;
 * - resets without exactly the expected sequence: the next one, or what the
 *   other side acknowledged last (RFC 5961; before the answer to a SYN, the
 *   acknowledgement must be right);
 * - is a SYN inside a connection, an answer from the wrong side or to another
 *   SYN, or carries data in a SYN without asking for TCP Fast Open (RFC 7413);
 * - lies behind a FIN, moves it, or is of a connection that was reset;
 * - says again, with other bytes, what was not yet acknowledged (tcp_data.h).
 * Of urgent data the bytes stay where they are: which of them a receiver takes
 * out of the stream is for whoever reads the stream to decide.
 *
 * A simultaneous open is not followed, nor a challenge ACK to a SYN: that SYN has
 * to come again once the old connection is over.
 *
 * TTL. What a honeypot sends must have the TTL of the conversation's first
 * frame in that direction, or it could die between here and the receiver. A
 * reset may have more: kernels answer for raw sockets. From the uplink
 * everything that comes here reaches the honeypot, so only jumps are dropped,
 * once the conversation is established. TCP and UDP only: who pings with other
 * TTLs traces a route.
 *
 * After a reset the side that was told may still send what fits the window: it
 * was on its way.
 */
struct gateway;
struct flow;

#define TTL_TOLERANCE 5u

struct tcp_side {
	uint32_t isn;
	uint32_t end;    /* behind the last byte that it sent */
	uint32_t acked;  /* of what it sent, by the other side */
	uint32_t limit;  /* how far the other side lets it send */
	uint32_t window; /* the largest that it ever offered, bytes */
	uint32_t fin;    /* behind its FIN */
	uint32_t urgent; /* where its last urgent pointer pointed */
	uint32_t stamp;  /* its last TSval (RFC 7323) */
	struct tcp_stream data;
	uint8_t scale;
	bool scales, has_fin, has_urgent, has_stamp;
};

enum tcp_phase { TCP_NONE, TCP_ASKED, TCP_OPEN, TCP_RESET };

struct tcp_track {
	uint64_t flow; /* id; another one's: not begun */
	struct tcp_side side[2];
	uint8_t phase;  /* enum tcp_phase */
	uint8_t reset;  /* side that sent the RST */
	bool confirmed; /* the answer to the SYN was acknowledged */
	bool fast_open;
};

/* A segment, as it lies in the frame. */
struct tcp_segment {
	uint32_t seq, ack, end; /* end: with SYN and FIN */
	uint32_t window;        /* as it says, unscaled */
	uint16_t urgent;
	uint8_t flags;
	const uint8_t *data;
	uint32_t n;
	struct slice options;
};

struct tcp_table {
	struct tcp_track *at; /* beside the flows */
	uint32_t max;
	struct tcp_data data;
};

int tcp_table_init(struct tcp_table *t, uint32_t flows, const uint8_t key[16], struct err *e);
void tcp_table_free(struct tcp_table *t);

/* The stage. */
void tcp_judge(struct gateway *g, struct frame *f);
/* After the judgement: what was let through is remembered. */
void tcp_account(struct gateway *g, const struct frame *f);
/* The flow is over. */
void tcp_forget(struct gateway *g, const struct flow *fl);
/* f->has_l4, and proto is TCP. */
void tcp_segment_of(const struct frame *f, struct tcp_segment *s);
/* Its TSval; false: none. */
bool tcp_stamp_of(const struct tcp_segment *s, uint32_t *value);
/* Of a connection of which both sides have spoken; NULL. */
const struct tcp_track *tcp_open(const struct gateway *g, const struct flow *fl);

#endif
