/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_ENGINE_H
#define SKEP_PROC_GATEWAY_ENGINE_H

#include "base/err.h"
#include "base/slice.h"
#include "proc/gateway/frame.h"
#include "proto/proto.h"

/*
 * The inline engine: what passes goes to it first, and only what it gives back
 * is sent. If it is not there, nothing passes (fails closed), unless the policy
 * says passive: then it gets copies and is never in the way.
 *
 * Theory of operation. The engine stands between two ports, PORT_ENGINE(0)
 * towards the honeypots and PORT_ENGINE(1) towards the uplinks, like a switch
 * between two cables. A frame that control lets pass goes to the side that its
 * sender is on; a debt is noted: the frame's length, a keyed hash of its headers
 * and one of all of it, and where it really goes. What comes out at the other
 * side is sent there if it pays a debt - the same headers and the same length -
 * and each debt is paid once. The payload may have changed (the verdict is then
 * a rewrite); anything else that comes out of the engine goes nowhere. So an
 * engine that an intruder owns can withhold frames and change payload bytes of
 * those that it was given, and nothing else.
 *
 * A debt that is not paid in time is a frame that the engine dropped. An engine
 * that gives nothing back for long, although it is given frames, is taken for
 * dead: frames are dropped at once, but one a second, by which it is noticed
 * when it lives again. Resolution of addresses does not go through the engine.
 */
struct gateway;

#define ENGINE_OWED 65536u         /* frames that it may have at a time */
#define ENGINE_OWED_HONEYPOT 4096u /* from and to one honeypot */
#define ENGINE_WAIT (2 * EV_SEC)   /* for a frame */
#define ENGINE_SILENT (3 * EV_SEC) /* without any frame: it is dead */
#define ENGINE_TRIAL (1 * EV_SEC)  /* between the frames that a dead one gets */
#define ENGINE_FRAME_MAX 1514u     /* bytes: its interfaces have the usual MTU */

/* A frame that the engine has. */
struct owed {
	uint64_t time;
	uint64_t head, whole; /* hashes */
	uint64_t id;          /* of the flow; 0 = none */
	uint32_t flow;        /* index in the flow table */
	uint32_t len;
	uint32_t chain, older, newer;
	uint16_t in, out;  /* ports */
	uint16_t honeypot; /* that it counts for */
	uint16_t rule;
	uint8_t side; /* at which it comes back */
	uint8_t dir;
	uint8_t verdict;
	bool copy;        /* it went its way: what comes back goes nowhere */
	struct edit edit; /* of what is sent in the end */
};

struct engine {
	struct owed *at;   /* [ENGINE_OWED + 1] */
	uint32_t *buckets; /* [ENGINE_OWED] */
	uint32_t free, high, count, oldest, newest;
	uint16_t of[MODEL_HONEYPOTS];
	uint64_t asked; /* when it got the first frame since it last gave one back; 0 = none */
	uint64_t trial; /* when it got a frame although it is taken for dead */
	uint8_t hash_key[16];
	/* since the start */
	uint64_t given, back, changed, kept, unknown;
};

int engine_init(struct engine *x, const uint8_t hash_key[16], struct err *e);
void engine_free(struct engine *x);

/* The stage `inspect`: turns f->out to the engine's port, with f->beyond the
 * port where it goes in the end; or drops; or sets f->copy. */
void inspect(struct gateway *g, struct frame *f);
/* Notes the debt, once the frame is recorded and before it is sent. */
void engine_owe(struct gateway *g, struct frame *f);
/* Judges a frame that came out of the engine, in place of guard to inspect. */
void engine_return(struct gateway *g, struct frame *f);

/* What was not given back in time. */
void engine_expire(struct gateway *g, uint64_t now);
/* One of its ports went: whatever it has is lost. */
void engine_forget(struct gateway *g);
/* No frame comes back, although it is given some. */
bool engine_silent(const struct gateway *g, uint64_t now);

/* May a frame that goes to all (no resolution) reach this honeypot? */
bool engine_lets_flood(const struct policy *pol);

/* An alert of the engine: marks the flow, so that rules that ask for it match,
 * and writes it into the ring of its honeypot. Returns the flow's id, 0 if it is
 * over or was never known. */
uint64_t engine_alert(struct gateway *g, const struct gw_alert *a, uint64_t now);

#endif
