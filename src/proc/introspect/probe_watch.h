/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_PROBE_WATCH_H
#define SKEP_INTROSPECT_PROBE_WATCH_H

#include "proc/introspect/tamper.h"

/*
 * Are the probes still there? A uprobe is a breakpoint (int3) in the VMM's
 * private copy of the kernel's text, which the guest's kernel can write. The first
 * round notes where the plan's places hold one; from then on each must stay.
 */
#define PROBE_WATCH_MAX (HOOK_SITE_COUNT * (1 + HOOK_RETS) + 1)

struct probe_watch {
	struct ev *ev;
	struct ev_timer timer;
	const struct hook_plan *plan;
	int memfd;
	struct {
		uint64_t addr;
		unsigned site;
	} at[PROBE_WATCH_MAX];
	unsigned n;
	bool told, gone;
	tamper_fn fn;
	void *arg;
};

/* As tamper_start (tamper.h). The probes are in place when it is called. */
void probe_watch_start(struct probe_watch *w, struct ev *ev, int memfd, const struct hook_plan *plan, tamper_fn fn,
		       void *arg);
/* One round now. False if something is wrong, and was told. A process that is gone is none: true. */
bool probe_watch_look(struct probe_watch *w);
void probe_watch_stop(struct probe_watch *w);

#endif
