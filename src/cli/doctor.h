/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_DOCTOR_H
#define SKEP_CLI_DOCTOR_H

#include "cli/cmd.h"

/*
 * What this computer can do. Each finding was tried, not looked up, where that
 * is possible without a trace.
 */
enum finding_state {
	FINDING_OK,
	FINDING_WARN,    /* skep works with less; the text says what is less */
	FINDING_MISSING, /* needed */
};
struct finding {
	const char *name; /* "kvm" */
	enum finding_state state;
	char text[200];
	char mend[200]; /* the command or step that mends it, or empty */
};
#define FINDINGS_MAX 40
struct findings {
	unsigned n;
	struct finding f[FINDINGS_MAX];
};

/* Adds one. mend NULL = none. */
void finding(struct findings *f, const char *name, enum finding_state state, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

void doctor_kernel(struct findings *f);   /* namespaces, seccomp, Landlock, cgroups, BPF, perf, ptrace */
void doctor_machine(struct findings *f);  /* KVM, registers, /dev/net/tun, memory, disk */
void doctor_programs(struct findings *f); /* linux.uml, shim, image tools, images */

void doctor_guest(struct findings *f); /* can the installed UML kernel be introspected? */
struct hook_plan;
void doctor_guest_plan(struct findings *f, const struct hook_plan *p);

/* CMD_FAILED if anything that is needed is missing. */
int doctor_print(struct cmd *c, const struct findings *f);

/* Runs a few instructions in a virtual machine. 0: KVM works. -ENOENT: there is
 * none. Else what failed, with e set. Takes at most 3 s. */
int kvm_probe(struct err *e);

#endif
