/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_ENGINE_H
#define SKEP_PROC_SUPER_ENGINE_H

#include "proc/super/hub.h"

/* The inline engine: whether it is wanted, its start, its end, its alerts. */

void engine_slot_init(struct super *s);

/* Does any policy of the model ask for it? enum engine_mode, the strictest. */
unsigned engine_asked(const struct model *m);

/*
 * Makes the engine what the model wants: starts it, starts it anew if its rules
 * or its configuration are others, or ends it. then is called once, perhaps at
 * once: 0; or the negative errno of a start that failed. then NULL: it goes on by
 * itself, and tries again.
 */
typedef void (*engine_done)(struct super *s, int status, const struct err *e);
void engine_sync(struct super *s, const struct model *m, engine_done then);
/* Drops what is being done; what exists stays for engine_stop. */
void engine_abandon(struct super *s);
/* A step of a sequence: ends it, and waits for that. */
int engine_stop_step(struct super *s, struct seq *q, struct err *e);

/* Takes the rules (a memfd, or -1 for none) for the next engine_sync. */
void engine_rules(struct super *s, int fd);

/* What other processes report. */
void engine_exited(struct super *s, const struct priv_exited *x);
void engine_reports(struct super *s, const struct inspect_state *x);
void engine_alerted(struct super *s, const struct gw_alert *a);

/* CMD_ENGINE */
void engine_request(struct super *s, const struct reply_to *to);

/* evidence is a new process: its rings once more. */
void engine_rings_again(struct super *s);
void engine_rings_stop(struct super *s, void (*stop)(int fd, int code), int code);

#endif
