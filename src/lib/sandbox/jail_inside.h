/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_JAIL_INSIDE_H
#define SKEP_SANDBOX_JAIL_INSIDE_H

#include "sandbox/jail.h"
#include "sandbox/seccomp.h"

#include <stdbool.h>

/* What jail_start has made ready and the child only puts in place. */
#define JAIL_TREES 96
#define JAIL_DST 256

struct jail_tree {
	int fd; /* a detached mount (open_tree), or O_PATH without a mount namespace */
	char dst[JAIL_DST];
	unsigned flags; /* JAIL_BIND_* */
};

struct jail_plan {
	const struct jail_spec *spec;
	struct jail_limits limits; /* defaults filled in */
	struct jail_tree trees[JAIL_TREES];
	int ntrees;
	const struct seccomp_program *filter;
	char *argv0; /* path to execute */
	char **envp;
	bool userns; /* make one */
	bool ns;     /* make the others */
	int stdio;
	int report; /* write end; close-on-exec */
	int netns;  /* where the child sends its network namespace, and waits until it may go on; -1 */
};

/* What the child says, one atomic write each. */
enum jail_word { JAIL_PID, JAIL_GO, JAIL_FAILED };
struct jail_report {
	int word;
	int value; /* pid; JAIL_* in force; negative errno */
	char text[ERR_TEXT];
};

/* In a forked child: makes the jail and executes; never returns. */
void jail_child(struct jail_plan *p) __attribute__((noreturn));

/* The system calls of a profile, compiled once and kept. */
const struct seccomp_program *jail_filter(enum jail_profile profile, struct err *e);

#endif
