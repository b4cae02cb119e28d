/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_CMD_H
#define SKEP_CLI_CMD_H

#include "base/err.h"
#include "proto/command.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What a command function gets, and how it speaks. The grammar is the table of
 * proto/command.c alone: cli.c parses argv by it and calls the function.
 *
 * A command prints its result to c->out and messages to c->err as
 * "skep: what failed: what to do", and returns its exit status. Everything that
 * a honeypot can influence goes through cmd_safe, struct table or cmd_string
 * before it is printed: none of them lets control bytes through.
 */
enum { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 };

#define CMD_GIVEN 64
struct cmd {
	const struct command *command;
	int nargs;   /* positional arguments, within the table's bounds */
	char **args; /* NULL terminated */
	bool quiet;
	FILE *out, *err;
	/* Private to cli/cmd.c: use the functions. */
	unsigned ngiven;
	struct cmd_given {
		const struct command_opt *opt;
		const char *value;
	} given[CMD_GIVEN];
};

/* ---- options. Naming one that the table does not list for c aborts: a bug. */

bool cmd_flag(const struct cmd *c, const char *name);
/* The last value given, NULL if none. */
const char *cmd_str(const struct cmd *c, const char *name);
/* The i-th value given, from 0, NULL after the last: for options that repeat. */
const char *cmd_str_at(const struct cmd *c, const char *name, unsigned i);
/* Of OPT_NUMBER or OPT_SECONDS (then in seconds); already checked. */
uint64_t cmd_num(const struct cmd *c, const char *name, uint64_t otherwise);
/* A point in time, ns since 1970: RFC 3339 ("2026-05-01T12:00:00Z", offset or Z
 * needed, fraction allowed) or an age ("10m" before now). -EINVAL with e set. */
int cmd_time(const char *s, uint64_t now, uint64_t *out, struct err *e);

/* ---- messages ----------------------------------------------------------- */

/* "skep: TEXT", made safe. Returns CMD_FAILED. */
int cmd_fail(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As cmd_fail, with e's text: "skep: TEXT: e->text" or "skep: e->text" if fmt is NULL. */
int cmd_fail_err(const struct cmd *c, const struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "skep COMMAND: TEXT" and where help is. Returns CMD_USAGE. */
int cmd_usage(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A remark on c->err, made safe; nothing with --quiet. */
void cmd_note(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Progress: on a terminal one line that is written over and over, else a line
 * for each call. Nothing with --quiet. Text is made safe. */
void cmd_progress(const struct cmd *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes the line away; before the last word. */
void cmd_progress_end(const struct cmd *c);

/* ---- text that others may have chosen ------------------------------------ */

/* base/text's text_safe on a C string, for one printf argument. Returns buf. */
const char *cmd_safe(char *buf, size_t cap, const char *s);
/* A jansson string of the safe form of s[0..n); never NULL but without memory. */
json_t *cmd_string_n(const char *s, size_t n);
json_t *cmd_string(const char *s);

/* Prints v and a newline, and takes the reference. CMD_OK, or CMD_FAILED if out
 * cannot be written. cmd_json_line prints it on one line. */
int cmd_json(const struct cmd *c, json_t *v);
int cmd_json_line(const struct cmd *c, json_t *v);

/* ns since 1970 as "2026-05-01T12:00:00.123456Z" (digits of fraction: 0, 3 or 6). */
#define CMD_TIME_TEXT 40
const char *cmd_time_text(char buf[CMD_TIME_TEXT], uint64_t ns, int digits);
/* 1536 -> "1.5K"; seconds -> "3m05s", "2h10m", "4d03h". */
#define CMD_SIZE_TEXT 24
const char *cmd_size_text(char buf[CMD_SIZE_TEXT], uint64_t bytes);
const char *cmd_age_text(char buf[CMD_SIZE_TEXT], uint64_t seconds);

/*
 * A table of text: columns as wide as their widest cell, two spaces between,
 * the last one ragged. Heads in capitals. Cells are made safe when they are
 * added. A right-aligned column has '>' in front of its head.
 */
#define TABLE_COLS 16
struct table {
	unsigned cols, rows, room;
	char **cells; /* rows * cols */
	char *heads[TABLE_COLS];
	bool right[TABLE_COLS];
	unsigned fill;
	bool broken; /* out of memory */
};
void table_init(struct table *t, const char *const *heads); /* NULL terminated */
/* Adds the next cell, row by row. */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints and frees. CMD_FAILED if out of memory or out cannot be written. */
int table_print(struct table *t, const struct cmd *c);
void table_free(struct table *t);

/* ---- the commands ------------------------------------------------------- */

int cmd_check(struct cmd *c);
int cmd_up(struct cmd *c);
int cmd_down(struct cmd *c);
int cmd_ps(struct cmd *c);
int cmd_console(struct cmd *c);
int cmd_machine(struct cmd *c); /* start, stop, pause, resume, reset */
int cmd_freeze(struct cmd *c);  /* freeze, thaw */
int cmd_policy_apply(struct cmd *c);
int cmd_policy_test(struct cmd *c);
int cmd_policy_explain(struct cmd *c);
int cmd_policy_import(struct cmd *c);
int cmd_policy_list(struct cmd *c);
int cmd_lab(struct cmd *c);
int cmd_rules(struct cmd *c);
int cmd_events(struct cmd *c);
int cmd_flows(struct cmd *c);
int cmd_pcap(struct cmd *c);
int cmd_verify(struct cmd *c);
int cmd_anchor(struct cmd *c);
int cmd_export(struct cmd *c);
int cmd_watch(struct cmd *c);
int cmd_sessions(struct cmd *c);
int cmd_session(struct cmd *c);
int cmd_replay(struct cmd *c);
int cmd_tree(struct cmd *c);
int cmd_search(struct cmd *c);
int cmd_reindex(struct cmd *c);
int cmd_image_build(struct cmd *c);
int cmd_image_list(struct cmd *c);
int cmd_image_import(struct cmd *c);
int cmd_doctor(struct cmd *c);
int cmd_backends(struct cmd *c);
int cmd_help(struct cmd *c);

/* NULL if no function belongs to the command. */
typedef int (*cmd_fn)(struct cmd *c);
cmd_fn cmd_function(const struct command *command);

#endif
