/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_SINK_H
#define SKEP_PROC_SUPER_SINK_H

#include "proc/super/hub.h"

/* The sinkholes of networks; sink.c. */
void sinks_init(struct super *s);
/* A step before policies are sent: makes the sinkholes that s->policies needs and
 * that are not there. It never fails: what cannot be made is told, and rules that
 * need it deny. */
int sinks_step(struct super *s, struct seq *q, struct err *e);
/* The policies of s->policies are in force: ends sinkholes that nobody needs. */
void sinks_tidy(struct super *s);
/* Ends a network's; a step. */
int sink_end_step(struct super *s, struct seq *q, unsigned net, struct err *e);
/* Its process ended. */
void sink_exited(struct super *s, const struct priv_exited *x);
/* Drops what is under way; what exists stays for the end. */
void sinks_abandon(struct super *s);
/* Nothing of it exists any more. */
void sink_forget(struct super *s, unsigned net);
void sinks_rings_again(struct super *s);
void sinks_rings_stop(struct super *s, void (*stop)(int fd, int code), int code);
struct ev_source *sink_source_of(struct super *s, const struct chan *c, uint32_t *net);
void sinks_ps(const struct super *s, struct rep_net *r);

#endif
