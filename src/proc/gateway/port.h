/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_PORT_H
#define SKEP_PROC_GATEWAY_PORT_H

#include "base/err.h"
#include "base/ev.h"
#include "base/slice.h"
#include "proc/gateway/frame.h"
#include "proc/gateway/window.h"
#include "proto/proto.h"
#include "proto/ring.h"

#include <stddef.h>

/*
 * One attachment to the gateway, and the narrow struct of operations that a
 * kind of port brings. To add a kind, write its operations and a line in
 * port_ops_of().
 */
struct gateway;

#define RX_BATCH 64u
#define RX_ROOM 65664u /* of one buffer: FRAME_MAX and the headroom, rounded up */
#define RX_HEADROOM 16u

/* What one receive call brought in. The memory is the gateway's, shared by all ports. */
struct rx {
	uint8_t *room; /* RX_BATCH * RX_ROOM */
	unsigned n;
	bool hangup; /* the other side is gone: the port is dead */
	struct {
		struct slice bytes;
		uint32_t wirelen;
		bool unsummed; /* the sender left the checksum to a network card */
	} frame[RX_BATCH];
};

struct port_ops {
	const char *name;
	/* Sets max_frame and socket options. 0 or -errno. */
	int (*open)(struct port *p, struct err *e);
	/* As many frames as are there, at most RX_BATCH; never blocks. */
	void (*recv)(struct port *p, struct rx *rx, uint32_t events);
	/* One whole frame. 0 or -errno; never blocks. Called by forward.c only. */
	int (*send)(struct port *p, struct slice bytes);
	/* The next four may be NULL. queue: as send, but the frame may leave as late
	 * as flush, in the order of the calls; its bytes stay where they are until
	 * then. send after queue flushes first. flush: what was queued leaves;
	 * returns how many of it did not. Called by forward.c only. */
	int (*queue)(struct port *p, struct slice bytes);
	unsigned (*flush)(struct port *p);
	/* The frames of the last recv have been judged, their memory is free. */
	void (*release)(struct port *p);
	void (*close)(struct port *p);
};

#define TX_BATCH 64u

/* A port of kind PACKET: see port_packet.c. */
struct packet_ring {
	uint8_t *map;
	size_t size;
	uint32_t frames, next; /* next: the one that the kernel fills or has filled */
	uint32_t taken;        /* of the last recv, not given back */
};

/* Control's memory of a honeypot. It stays when the port goes and comes back
 * under the same name, so that a crash of the VMM buys no new limits. */
struct history {
	char name[NAME_CAP]; /* empty = fresh */
	bool frozen;         /* nothing passes from and to it: no new port thaws it */
	uint64_t held_last;  /* when it was paused last, ns */
	bool held;           /* its machine is paused: frames for it go to hold_judge (hold_set sets this) */
	struct window outbound[LIMIT_CLASS_COUNT], lateral[LIMIT_CLASS_COUNT];
	struct window asked, answered; /* ARP and ND */
	struct window_sum sent;
};
#define HISTORY_WINDOWS (2 * LIMIT_CLASS_COUNT + 2)

struct port {
	bool used;
	bool down; /* hung up: nothing comes or goes */
	bool seen;
	bool unsummed;             /* the frame that is judged now: see struct rx */
	bool tell_seen, tell_down; /* events that super has not got yet */
	struct gw_port conf;
	struct addr lladdr; /* fe80:: address made from the MAC (RFC 4291 appendix A) */
	const struct port_ops *ops;
	int fd;
	int wakefd;
	uint32_t max_frame;
	struct ev_source src;
	struct gateway *g;
	struct ring_writer ring;
	uint64_t lost_frames, lost_bytes; /* not yet told in a note */
	uint8_t router[6];                /* MAC to which this honeypot sends what is not on its link */
	bool knows_router;
	uint32_t told_under; /* policies.serial: rules whose names stand in the ring, under this policy */
	uint64_t told[POOL_RULES / 64];
	uint32_t flows;
	uint32_t own; /* of them: conversations that it began itself, and that leave it */
	struct history *history;
	struct gw_port_stats stats;
	struct packet_ring ring_rx;
	struct slice queued[TX_BATCH];
	unsigned nqueued;
	bool listed; /* in gateway.queued */
	/* memory kind, for replays and tests */
	void (*sink)(void *arg, struct port *p, struct slice bytes);
	void *sink_arg;
};

static inline bool port_is_honeypot(const struct port *p)
{
	return p->conf.role == PORT_ROLE_HONEYPOT;
}

static inline bool port_is_uplink(const struct port *p)
{
	return p->conf.role == PORT_ROLE_UPLINK;
}

static inline bool port_is_engine(const struct port *p)
{
	return p->conf.role == PORT_ROLE_ENGINE;
}

/* NULL for an unknown kind. */
const struct port_ops *port_ops_of(unsigned kind);
/* Sends into p->sink. */
extern const struct port_ops port_memory;
/* AF_PACKET on an interface that we own. */
extern const struct port_ops port_packet;

/* Room for frame i of a batch; a frame of it that was received. */
static inline uint8_t *rx_buffer(struct rx *rx, unsigned i)
{
	return rx->room + (size_t)i * RX_ROOM + RX_HEADROOM;
}

static inline void rx_put(struct rx *rx, const uint8_t *p, size_t have, size_t wire)
{
	rx->frame[rx->n].bytes = slice_of(p, have);
	rx->frame[rx->n].wirelen = (uint32_t)wire;
	rx->frame[rx->n].unsummed = false;
	rx->n++;
}

/* Is the address one of those that the port may use as its own? */
bool port_owns_addr(const struct port *p, uint8_t family, const uint8_t addr[16]);
/* Inside one of the prefixes of the port's network (or IPv6 link local)? */
bool port_on_link(const struct port *p, uint8_t family, const uint8_t addr[16]);

#endif
