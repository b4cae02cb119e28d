/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_SRC_UML_H
#define SKEP_INTROSPECT_SRC_UML_H

#include "base/err.h"
#include "base/ev.h"
#include "proc/introspect/decode.h"
#include "proc/introspect/facts.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The source of hooked User Mode Linux guests: reads the ring that the preloaded
 * library writes. There is no wake-up: the guest must not be able to tell, by
 * the time that a write takes, that somebody listens. So the ring is polled, every
 * 5 ms while facts come, and up to every 80 ms when none do.
 */
#define SRC_UML_BUSY_NS (5 * EV_MS)
#define SRC_UML_IDLE_NS (80 * EV_MS)

/* The ring is broken: only a guest kernel in the intruder's hands does that.
 * Called once; nothing more comes from the source. */
typedef void (*src_broken_fn)(void *arg, const char *why);

struct src_uml {
	struct ev *ev;
	struct ring_reader ring;
	struct ev_timer timer;
	fact_fn fact;
	src_broken_fn broken;
	bool (*kept)(void *arg); /* may be NULL; set after src_uml_start: see src_uml_release */
	void *arg;
	uint64_t (*clock)(void);  /* host's realtime, ns */
	uint64_t seq;             /* of the last record; 0 = none yet */
	uint64_t time;            /* of the last record */
	uint64_t interval;        /* ns */
	uint64_t records, bytes;  /* read, in all */
	uint64_t lost, malformed; /* records, in all */
	uint64_t malformed_told;  /* of these, told by a fact */
	bool open, is_broken, paused;
	struct fact_buf buf;
};

/* What a record says of the host's time is only believed as far as it is possible:
 * not before the record before it, not in the future.
 *
 * Maps the ring (the fd stays the caller's and may be closed) and polls it from
 * now on. s must stay where it is until src_uml_stop. */
int src_uml_start(struct src_uml *s, struct ev *ev, int ring_fd, fact_fn fact, src_broken_fn broken, void *arg,
		  struct err *e);
/* Reads what is in the ring, at most `max` records (0 = all, bounded by the
 * ring's size). Returns the number read. */
unsigned src_uml_drain(struct src_uml *s, unsigned max);
/* While paused nothing is read: what comes waits in the ring, or is counted as
 * lost by its writer. For a sink that has no room. */
void src_uml_pause(struct src_uml *s, bool paused);
/* The room of what was read is given back to the writer as soon as kept() says that
 * all facts until now are in safety (NULL: at once); after it said no, by
 * this. What was not given back is read again by the next reader of the ring. */
void src_uml_release(struct src_uml *s);
/* Nothing comes after this: tells as a loss what the writer lost and had no
 * occasion to tell, and what is in the ring and will not be read. */
void src_uml_end(struct src_uml *s);
void src_uml_stop(struct src_uml *s);

#endif
