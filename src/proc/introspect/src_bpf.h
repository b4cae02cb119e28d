/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_SRC_BPF_H
#define SKEP_INTROSPECT_SRC_BPF_H

#include "base/err.h"
#include "base/ev.h"
#include "proc/introspect/bpf_ring.h"
#include "proc/introspect/decode.h"
#include "proc/introspect/facts.h"
#include "proc/introspect/src_uml.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The source of probed guests: reads what the BPF programs (src/bpf) say.
 * The same facts as src_uml's, and read in the same way: by polling.
 * Differences: gtime is 0, since a BPF program cannot call the guest's clock; the first fact is
 * HOOK_HELLO, made here from what the loader wrote.
 */
#define SRC_BPF_BUSY_NS (5 * EV_MS)
#define SRC_BPF_IDLE_NS (80 * EV_MS)

struct src_bpf {
	struct ev *ev;
	struct bpf_ring ring;
	const volatile uint64_t *state; /* enum probe_state (proto/probe.h) */
	struct ev_timer timer;
	fact_fn fact;
	src_broken_fn broken;
	bool (*kept)(void *arg); /* as in src_uml.h */
	void *arg;
	uint64_t seq;             /* of the last record; 0 = none yet */
	uint64_t interval;        /* ns */
	uint64_t records, bytes;  /* read, in all */
	uint64_t lost, malformed; /* records, in all */
	uint64_t malformed_told;  /* of these, told by a fact */
	bool open, is_broken, paused, greeted;
	struct fact_buf buf;
};

/* Maps ring and state array (the fds stay the caller's and may be closed), and
 * polls from now on; the first poll tells HOOK_HELLO. s must stay where it is until src_bpf_stop. */
int src_bpf_start(struct src_bpf *s, struct ev *ev, int ring_fd, int state_fd, fact_fn fact, src_broken_fn broken,
		  void *arg, struct err *e);
/* These are as those of src_uml.h. */
unsigned src_bpf_drain(struct src_bpf *s, unsigned max);
void src_bpf_pause(struct src_bpf *s, bool paused);
void src_bpf_release(struct src_bpf *s);
void src_bpf_stop(struct src_bpf *s);

#endif
