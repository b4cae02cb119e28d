/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_READ_EVE_H
#define SKEP_CLI_READ_EVE_H

#include "cli/evidence_dir.h"

/* Events, as JSON lines, filtered. skep events and skep flows share it. */
struct read_eve {
	struct evidence_filter filter;
	bool json, flows_only, follow;
	struct evidence_row row;
	struct evidence_tail tail;
	uint64_t shown, broken;
	FILE *out;
	/* NULL: print the events. Else gets every one that passed the filter. */
	void (*fn)(void *arg, json_t *event);
	void *arg;
};

/* The whole command; r is prepared with fn, arg, flows_only. Exit status. */
int read_eve(const struct cmd *c, struct read_eve *r);

/* Hands every event to r->fn, whatever the filter of a command says. */
int read_eve_all(const struct evidence_dir *d, struct read_eve *r, struct err *e);

/* The string or number at the end of a path of keys; "" or 0 if it is not there. */
const char *eve_str(json_t *v, const char *key, const char *sub);
uint64_t eve_num(json_t *v, const char *key, const char *sub);
/* "2026-05-01T12:00:00.000000+0000" -> ns; 0 if it is not of that form. */
uint64_t eve_time(const char *s);

/* Whether it is about one of the honeypots that the filter names. */
bool eve_about(const struct evidence_filter *f, json_t *v);

/* Length of the line at the front, for evidence_reader. */
long eve_line(struct slice s);

#endif
