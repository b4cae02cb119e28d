/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_SOURCE_H
#define SKEP_INTROSPECT_SOURCE_H

#include "proc/introspect/src_bpf.h"
#include "proc/introspect/src_uml.h"
#include "proto/intro.h"

/* Where facts come from, by the way in which the guest is watched. Each function is
 * that of src_uml.h. */
struct source {
	enum intro_way way;
	union {
		struct src_uml uml;
		struct src_bpf bpf;
	};
};

/* fds: the ring; and for probes the state array. */
int source_start(struct source *s, enum intro_way way, struct ev *ev, const int fds[2], fact_fn fact,
		 src_broken_fn broken, bool (*kept)(void *arg), struct err *e);
unsigned source_drain(struct source *s, unsigned max);
void source_pause(struct source *s, bool paused);
void source_release(struct source *s);
/* Probes tell their losses with every drain: nothing to do there. */
void source_end(struct source *s);
void source_stop(struct source *s);

#endif
