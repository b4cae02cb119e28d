/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_EXPORT_H
#define SKEP_CLI_EXPORT_H

#include "cli/evidence_dir.h"
#include "cli/export_out.h"
#include "cli/export_scope.h"
#include "cli/export_sort.h"

/* One run of skep export. */
struct export_run {
	const struct cmd *c;
	struct evidence_dir dir;
	struct evidence_filter filter;
	struct scope scope; /* of --session */
	const char *to;     /* -o; NULL = standard output */
	bool force;
	FILE *out;
	struct err e;
	uint64_t count;   /* what was exported */
	const char *what; /* "events", for the message */
	uint64_t broken;  /* lines, blocks or files that cannot be read */
	uint64_t cut;     /* a crash left these unfinished */
};

/* Each writes x->out, or for casts the folder x->to: 0, or -errno with x->e. */
int export_eve(struct export_run *x);
int export_timesketch(struct export_run *x);
int export_stix(struct export_run *x);
int export_pcapng(struct export_run *x);
int export_casts(struct export_run *x);

/* The selected events in the order of their times. Each line is an object, without a newline. */
typedef int (*export_event_fn)(struct export_run *x, void *arg, uint64_t time, struct slice line, json_t *v);
int export_events(struct export_run *x, export_event_fn fn, void *arg);

/* What an event says, in words. Texts of the intruder are as they are: make them safe. */
void export_text(char *text, size_t cap, json_t *v);
/* The same with the honeypot's name in front. */
void export_message(char *out, size_t cap, json_t *v);
/* An event as Timesketch wants it: without nesting. */
json_t *export_flat(json_t *v, uint64_t time);
/* Cuts off the half of a character that a full buffer left at the end. */
void export_trim(char *s);
/* The words of an array of strings with spaces between. */
void export_words(char *out, size_t cap, json_t *argv);

/* The folder in which out will be, for temporary files; "" = wherever the system has them. */
const char *export_folder(const struct export_run *x, char buf[DIRS_PATH]);

#endif
