/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_TAMPER_H
#define SKEP_INTROSPECT_TAMPER_H

#include "base/ev.h"
#include "proto/hook.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Are the hooks still there? Reads the guest kernel's code through its
 * /proc/PID/mem every quarter of a second. The first round notes what stands at
 * each site that HOOK_HELLO named as placed: a jump of 5 bytes that leads out of
 * the kernel's text. From then on neither those bytes nor the code that they lead
 * to may change. A guest kernel in the intruder's hands can put the bytes back
 * between two rounds; what it did meanwhile is lost. Only the packets are independent.
 */
#define TAMPER_EVERY_NS (250 * EV_MS)
#define TAMPER_NEAR 64u     /* bytes compared at the jump's target, */
#define TAMPER_WRAPPER 128u /* and at the place that these lead to */

struct tamper_code {
	uint8_t near_by[TAMPER_NEAR], wrapper[TAMPER_WRAPPER];
};
struct tamper_site {
	uint8_t entry[24];
	uint64_t target;
	struct tamper_code code;
};

/* Called at most once. */
typedef void (*tamper_fn)(void *arg, const char *what);

struct tamper {
	struct ev *ev;
	struct ev_timer timer;
	const struct hook_plan *plan;
	int memfd;
	uint64_t placed; /* bitmap of sites to look at */
	bool noted, told, gone;
	struct tamper_site site[HOOK_SITE_COUNT];
	tamper_fn fn;
	void *arg;
};

/* memfd (/proc/PID/mem, read only) and plan stay the caller's and must outlive
 * it. placed: of HOOK_HELLO. */
void tamper_start(struct tamper *t, struct ev *ev, int memfd, const struct hook_plan *plan, uint64_t placed,
		  tamper_fn fn, void *arg);
/* One round now. False if something is wrong (and was told). A process that is
 * gone is not tampering: true. */
bool tamper_look(struct tamper *t);
void tamper_stop(struct tamper *t);

#endif
