/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_COMMAND_H
#define SKEP_PROTO_COMMAND_H

#include <stddef.h>

/*
 * Every operator command, once. The command line, the man page, the shell
 * completion (and the HTTP API later) all come from this table: the cli maps
 * a name to a function in cli/, and adds nothing of its own to the grammar.
 */
enum command_perm { PERM_NONE, PERM_READ, PERM_OPERATE };

enum opt_arg { OPT_FLAG, OPT_STRING, OPT_NUMBER, OPT_SECONDS };

struct command_opt {
	char letter;      /* 0 = none */
	const char *name; /* long name, without -- */
	enum opt_arg arg;
	const char *metavar; /* "FILE", NULL for a flag */
	const char *text;    /* one sentence without the full stop */
};

/* What an argument names, for completion. A target is a honeypot or a honeynet. */
enum arg_kind { ARG_NONE, ARG_FILE, ARG_HONEYNET, ARG_HONEYPOT, ARG_TARGET, ARG_IMAGE, ARG_COMMAND, ARG_WORD };

struct command {
	const char *name;               /* may be two words: "image build" */
	const char *args;               /* synopsis: "FILE", "NAME -- CMD..." */
	const char *brief;              /* one line */
	const char *text;               /* paragraphs for --help and the man page */
	const struct command_opt *opts; /* ends with name NULL; may be NULL */
	int min_args, max_args;         /* positional; max -1 = any */
	enum arg_kind kind;             /* of the positional arguments */
	enum command_perm perm;
};

extern const struct command command_table[]; /* ends with name NULL */

/* Options that every command has. Ends with name NULL. */
extern const struct command_opt command_common[];

/*
 * text: paragraphs are separated by an empty line; a line that begins with two
 * spaces is an example and stays as it is. Names of options stand as --name,
 * so that a test can tell whether they exist.
 */

/* Finds the longest match of argv[0..] ("image build", "up"); *words is how many words it took. */
const struct command *command_find(int argc, char **argv, int *words);

/* The option of c (or a common one) of that long name, or that letter if name
 * is NULL; NULL if there is none. len: of name, which need not be terminated. */
const struct command_opt *command_opt(const struct command *c, const char *name, size_t len, char letter);

/* Which of two words somebody meant: the command, or the option of c, that is
 * nearest to what was typed (at most two changes away, fewer for short words).
 * NULL if nothing is near. */
const char *command_near(const char *typed);
const char *command_opt_near(const struct command *c, const char *typed);

/* Edits (insert, delete, replace, swap of neighbours) from a to b; words over
 * 31 bytes count as far apart. */
unsigned command_distance(const char *a, const char *b);

#endif
