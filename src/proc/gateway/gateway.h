/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_GATEWAY_H
#define SKEP_PROC_GATEWAY_GATEWAY_H

#include "base/err.h"
#include "base/slice.h"
#include "proc/gateway/answer.h"
#include "proc/gateway/denied.h"
#include "proc/gateway/dns.h"
#include "proc/gateway/engine.h"
#include "proc/gateway/flow.h"
#include "proc/gateway/frag.h"
#include "proc/gateway/hit.h"
#include "proc/gateway/limits.h"
#include "proc/gateway/policy.h"
#include "proc/gateway/port.h"
#include "proc/gateway/tcp.h"
#include "proc/gateway/shape.h"
#include "proto/proto.h"

/*
 * The core of the gateway, callable without a process: replays, fuzzers and
 * tests give it frames and a time, and run the very code that the process runs.
 * All memory is mapped by gateway_init; a frame allocates nothing.
 */
#define INDEX_MACS 1024u  /* power of two, > 2 * MODEL_HONEYPOTS */
#define INDEX_ADDRS 8192u /* power of two, > 2 * MODEL_HONEYPOTS * (MODEL_ADDRS + 1) */
#define PORT_FREE 0xffffu
#define EDIT_ROOM (FRAME_MAX + 1)

struct gateway_opts {
	uint32_t flows;              /* 0 = 1 Mi */
	uint32_t flows_per_honeypot; /* 0 = 65,536 */
	const uint8_t *hash_key;     /* 16 bytes; NULL = random */
};

struct gateway {
	struct port ports[PORTS_MAX];
	struct history history[MODEL_HONEYPOTS];
	uint64_t *stamps; /* all windows' times */
	struct flow_table flows;
	struct frag_table frags;
	struct tcp_table tcp;
	struct denied_table denied;
	struct hits hits;
	struct dns dns;
	struct engine engine;
	struct policies policies;
	struct limits limits;
	struct rx rx;
	bool batch;                          /* frames of rx are judged: their bytes stay until forward_flush */
	uint16_t queued[PORTS_MAX], nqueued; /* ports that hold frames to be sent */
	uint8_t *copy, *answer; /* [EDIT_ROOM] each: what edit.c and answer.c make of the frame on its walk */
	uint16_t answer_id;
	struct answer_peer answer_peers[ANSWER_PEERS];
	struct shaper shaper;
	/* Ports of each network, and who has which MAC and address: rebuilt by
	 * commands, never by frames. */
	uint16_t net_ports[MODEL_NETS][MODEL_HONEYPOTS + 1];
	uint16_t net_count[MODEL_NETS];
	uint16_t macs[INDEX_MACS], addrs[INDEX_ADDRS];
	bool frozen;     /* the whole honeynet */
	bool any_frozen; /* it, or one of the ports */
	bool any_held;   /* one of the honeypots: hold_set sets this */
	uint64_t wall;   /* CLOCK_REALTIME minus the monotonic clock, ns */
	uint64_t latest; /* time of the last frame, ns */
};

/* *g is large: allocate with gateway_new. NULL with e set on failure. */
struct gateway *gateway_new(const struct gateway_opts *o, struct err *e);
void gateway_free(struct gateway *g);

/*
 * Adds a port. ops NULL = those of conf->kind. fd, ring fd and wakefd: on
 * success fd and wakefd are the gateway's (closed by gateway_port_del), ringfd
 * stays the caller's. fd may be -1 with port_memory.
 */
int gateway_port_add(struct gateway *g, const struct gw_port *conf, const struct port_ops *ops, int fd, int ringfd,
		     int wakefd, struct err *e);
/* Ends its flows and forgets it, but not its history. */
int gateway_port_del(struct gateway *g, uint16_t port, struct err *e);

/* Another MAC for a honeypot's port, before its first frame. */
void gateway_port_mac(struct gateway *g, uint16_t port, const uint8_t mac[6]);

/* Freezes or thaws a honeypot's port, or with GW_FREEZE_ALL all: at once, and
 * whatever the policy says. Flows stay. */
int gateway_freeze(struct gateway *g, uint16_t port, bool frozen, struct err *e);
bool gateway_is_frozen(const struct gateway *g, const struct port *p);

/* The walk. bytes came in at port p, wirelen bytes long on the wire (more than
 * bytes.n: cut off); now is monotonic. Returns the reason, with the verdict in
 * *verdict if that is not NULL. REASON_QUEUED (and VERDICT_DROP): a fragment
 * that waits for the others; it is recorded and sent, or not, with a later frame
 * or tick. */
uint8_t gateway_frame(struct gateway *g, struct port *p, struct slice bytes, uint32_t wirelen, uint64_t now,
		      uint8_t *verdict);

/* Receives and judges one batch of a port. False: nothing was there. */
bool gateway_receive(struct gateway *g, struct port *p, uint32_t events);

/* Fragments that wait, of port p (NULL: of all), are recorded as incomplete. */
void gateway_drop_fragments(struct gateway *g, const struct port *p, uint64_t now);

/* Timeouts, pending notes, aggregated records. Call it about every 100 ms. */
void gateway_tick(struct gateway *g, uint64_t now);

struct port *gateway_port(struct gateway *g, unsigned id);
/* The honeypot of that network with that MAC; NULL. */
struct port *gateway_by_mac(struct gateway *g, uint16_t net, const uint8_t mac[6]);
/* The honeypot with that address; net < 0: of any network. NULL. */
struct port *gateway_by_addr(struct gateway *g, int net, uint8_t family, const uint8_t addr[16]);
struct port *gateway_uplink(struct gateway *g, uint16_t net);

/* Entry point of the gateway process; returns its exit status. */
int gateway_main(int argc, char **argv);
/* Of the process that runs the gateway over captures (judge.h). */
int judge_main(int argc, char **argv);

#endif
