/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_SHIM_MACHINE_H
#define SKEP_TEST_SHIM_MACHINE_H

#include "proc/introspect/bpf_ring.h"
#include "proto/hook.h"
#include "proto/ring.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A guest of guest.c in the real jail with the real shim, and what its hooks
 * wrote. Failures end the program with a message.
 */
struct record {
	uint64_t seq, time;
	struct hook_rec h;
	uint8_t *data;
	uint32_t n;
};

struct machine {
	pid_t pid;
	int console;
	bool hooks;
	char text[1 << 20]; /* the console's output */
	size_t len, seen;
	struct ring_reader ring;
	bool reading; /* the ring */
	struct record *rec;
	size_t n, cap;
	uint64_t last_seq, notes, lost;
	struct hook_plan plan;
	struct probe *probe; /* MACHINE_WAY=probes in the environment: instead of the shim's hooks */
	struct bpf_ring probe_ring;
};

/* False: cannot be done here, and why was printed as TAP. */
bool machine_possible(void);
/* Makes a directory with the guest's disk; removed at exit. */
void machine_image(void);
/* Records that the probes say they lost. */
uint64_t machine_probes_lost(const struct machine *m);
/* hooks: with ring (of ring_size bytes) and plan, else without both. */
void machine_boot(struct machine *m, bool hooks, uint32_t ring_size);
/* Types a line and waits for the answer "= WORD ...": what follows the word. Valid until
 * the next call. */
const char *machine_ask(struct machine *m, int seconds, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Output of the console since the last answer, up to this one. */
const char *machine_output(const struct machine *m);
/* Waits for "= WORD", reading the ring. */
const char *machine_wait(struct machine *m, const char *word, int seconds);
void machine_collect(struct machine *m);
void machine_forget(struct machine *m);
void machine_end(struct machine *m);

#endif
