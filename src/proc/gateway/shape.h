/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_SHAPE_H
#define SKEP_PROC_GATEWAY_SHAPE_H

#include "base/err.h"
#include "proc/gateway/frame.h"

/*
 * Bandwidth of a honeypot: in no second, wherever it begins, leave more than
 * policy.bandwidth bytes (of Ethernet frames).
 *
 * Theory of operation. What was sent is counted in slots of a millisecond. The
 * 1001 newest slots cover every second that ends now, so their sum errs towards
 * too much, by a millisecond. A frame that does not fit waits in a queue of the
 * honeypot, and so do all after it: the order stays. The queue holds one second
 * at the bandwidth, and not more than its fixed memory; what does not fit is
 * dropped at once (limit-bandwidth), as is a frame that is longer than what may
 * leave in a second. Frames that wait were judged, counted and recorded when
 * they came; they are sent when their time has come, unless the honeypot or
 * the receiver was frozen, lost its policy or its port meanwhile.
 */
struct gateway;
struct port;

#define SHAPE_ROOM (1u << 18) /* bytes of a queue; power of two */
#define SHAPE_SLOT 1000000u   /* ns */
#define SHAPE_SLOTS 1001u

struct shape_queue {
	uint64_t head, tail; /* bytes since the beginning; the place is the count modulo SHAPE_ROOM */
	uint64_t waiting;    /* bytes of frames */
	uint64_t next;       /* when the first of them may go, monotonic */
	uint64_t slot;       /* number of the newest slot since time 0 */
	uint64_t sum;        /* of all slots */
	uint32_t slots[SHAPE_SLOTS];
};

struct shaper {
	struct shape_queue *queues; /* [MODEL_HONEYPOTS] */
	uint8_t *room;              /* [MODEL_HONEYPOTS][SHAPE_ROOM] */
	uint64_t next;              /* when something may go, of all queues; 0: nothing waits */
};

int shape_init(struct shaper *s, struct err *e);
void shape_free(struct shaper *s);

/* The stage, after edit: sets f->wait, or drops. */
void shape(struct gateway *g, struct frame *f);
/* For forward: puts a frame with f->wait into the queue. There is room. */
void shape_push(struct gateway *g, const struct frame *f);
/* For forward: n bytes from this port are sent now. */
void shape_charge(struct gateway *g, const struct port *p, uint64_t now, size_t n);
/* Sends what may go by now. */
void shape_release(struct gateway *g, uint64_t now);
/* A port goes: what waits of it and for it is forgotten. */
void shape_forget(struct gateway *g, const struct port *p);

#endif
