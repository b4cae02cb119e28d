/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_INTROSPECT_H
#define SKEP_PROC_SUPER_INTROSPECT_H

#include "proc/super/hub.h"

/* A honeypot's introspect process; see introspect.c. */
void introspect_init(struct watch *w);
/* Drops what is under way; what exists stays. */
void introspect_abandon(struct super *s, struct machine *m);
/* Drops all, without a word. */
void introspect_tidy(struct super *s, struct machine *m);
/* Whose channel it is, or NULL. */
struct machine *introspect_of(struct super *s, const struct chan *c);

/* The steps of a machine's start, before and after its VMM's. All are optional:
 * what fails is told (introspect_failed), and the machine runs unseen. The
 * sequence's subject is the machine. */
#ifndef MUTANT_INTROSPECT_COSTS
#define INTROSPECT_OPTIONAL true
#else
#define INTROSPECT_OPTIONAL false
#endif
/* clang-format off */
#define INTROSPECT_DECIDE                                                                                               \
	{ "decide how to see it", introspect_decide, NULL, INTROSPECT_OPTIONAL, introspect_failed }
#define INTROSPECT_BEFORE                                                                                               \
	{ "make the record source of its introspection", introspect_source, NULL, INTROSPECT_OPTIONAL, introspect_failed }, \
	{ "start its introspection", introspect_spawn, introspect_spawned, INTROSPECT_OPTIONAL, introspect_failed },    \
	{ "prepare its introspection", introspect_prepare, introspect_prepared, INTROSPECT_OPTIONAL, introspect_failed }, \
	{ "load its probes", introspect_probe, introspect_probed, true, introspect_no_probes }
#define INTROSPECT_AFTER                                                                                                \
	{ "open its memory", introspect_memory, introspect_memory_opened, INTROSPECT_OPTIONAL, introspect_failed },     \
	{ "begin its introspection", introspect_begin, introspect_begun, INTROSPECT_OPTIONAL, introspect_failed }
/* clang-format on */
int introspect_decide(struct super *s, struct seq *q, struct err *e);
int introspect_source(struct super *s, struct seq *q, struct err *e);
int introspect_spawn(struct super *s, struct seq *q, struct err *e);
int introspect_spawned(struct super *s, struct seq *q, struct answer *a, struct err *e);
int introspect_prepare(struct super *s, struct seq *q, struct err *e);
int introspect_prepared(struct super *s, struct seq *q, struct answer *a, struct err *e);
int introspect_probe(struct super *s, struct seq *q, struct err *e);
int introspect_probed(struct super *s, struct seq *q, struct answer *a, struct err *e);
void introspect_no_probes(struct super *s, struct seq *q, const struct err *e);
int introspect_memory(struct super *s, struct seq *q, struct err *e);
int introspect_memory_opened(struct super *s, struct seq *q, struct answer *a, struct err *e);
int introspect_begin(struct super *s, struct seq *q, struct err *e);
int introspect_begun(struct super *s, struct seq *q, struct answer *a, struct err *e);
void introspect_failed(struct super *s, struct seq *q, const struct err *e);
/* Those of its stop; waiting for its exit is the machine's. */
int introspect_quit(struct super *s, struct seq *q, struct err *e);
int introspect_kill(struct super *s, struct seq *q, struct err *e);

void introspect_state(struct super *s, struct machine *m, const struct intro_state *x);
void introspect_exited(struct super *s, struct machine *m, int wait_status);
void introspect_tick(struct super *s, uint64_t now);
void introspect_ps(const struct machine *m, struct rep_honeypot *r);

#endif
