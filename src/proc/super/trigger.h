/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_TRIGGER_H
#define SKEP_PROC_SUPER_TRIGGER_H

#include "proc/super/hub.h"

/* What happened, for the triggers that wait for it. Only what belongs to its
 * kind is looked at. */
struct trigger_cause {
	uint32_t alert;         /* TRIGGER_ALERT: signature id */
	uint16_t keyword;       /* TRIGGER_KEYWORD: index into the pool in force */
	uint16_t trigger;       /* TRIGGER_PROCESS, COMMAND, LOGIN: index of the trigger itself */
	uint32_t count;         /* how often; 0 means 1 */
	uint64_t flow, session; /* 0 = none */
	const char *text;       /* what to tell; may be the intruder's bytes. NULL = nothing */
};

/* Something happened to m (used): each trigger that waits for it and is not
 * throttled acts. Never blocks; what it does goes on by itself. */
void trigger_hit(struct super *s, struct machine *m, enum trigger_on on, const struct trigger_cause *c);

/* What the gateway and introspect processes report. */
void trigger_gateway(struct super *s, const struct gw_hit *x);
void trigger_introspect(struct super *s, struct machine *m, const struct intro_hit *x);
/* Tells an introspect process what to wait for. */
void trigger_watch(struct super *s, struct machine *m);

/* The triggers, or the policies that they name, are other ones now. */
void trigger_model_changed(struct super *s);
/* Freezes, policies and pauses that end by themselves. */
void trigger_tick(struct super *s, uint64_t now);

/* The policy in force for m, whose entry in s->policies is hp. */
const struct policy *tighten_policy(const struct super *s, const struct machine *m, const struct honeypot *hp);
/* Each honeypot's own policy again; how many that changes. The caller sends it. */
unsigned tighten_end_all(struct super *s, const struct reply_to *to);
/* The gateway has taken a policy, or refused it. */
void tighten_confirmed(struct super *s);
void tighten_refused(struct super *s, const char *why);

/* Frees what m remembers of triggers. */
void trigger_forget(struct machine *m);

#endif
