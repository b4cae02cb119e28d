/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_SESSION_WHERE_H
#define SKEP_CLI_SESSION_WHERE_H

#include "cli/session_table.h"

/*
 * Which honeypots' sessions a command is about, and what is recorded of them. A
 * place is a honeypot of a honeynet (or of the directory that --dir names).
 */
#define PLACES_NETS 64
#define PLACES_MAX 512
struct place {
	char net[NAME_CAP], honeypot[NAME_CAP]; /* net "" with --dir */
	struct evidence_dir *dir;
};
struct places {
	struct evidence_dir dirs[PLACES_NETS];
	char nets[PLACES_NETS][NAME_CAP];
	unsigned ndirs, n;
	struct place p[PLACES_MAX];
};
/* spec: NULL for all, NET, HONEYPOT or NET/HONEYPOT. The command has --dir. *out is
 * allocated. CMD_OK, or an exit status when it said what is wrong. */
int places_open(const struct cmd *c, const char *spec, struct places **out);
/* Looks again: places that came since are added to p->p, nothing is said. */
void places_rescan(const struct cmd *c, struct places *p, const char *spec);
void places_close(struct places *p);

/* As places_open, and everything is read and summed up: table i belongs to place i. */
struct loaded {
	struct places *places;
	struct session_table *tables;
};
int loaded_read(const struct cmd *c, const char *spec, struct loaded *l);
void loaded_free(struct loaded *l);

/* The one session that the text means, in all that is recorded. CMD_OK, or an exit
 * status when it said that there is none, or more than one. */
int loaded_find(const struct cmd *c, struct loaded *l, const char *id, struct session **s, struct place **where);
/* loaded_read, then loaded_find: on success *l is to be freed. */
int loaded_one(const struct cmd *c, const char *spec, const char *id, struct loaded *l, struct session **s,
	       struct place **where);

#endif
