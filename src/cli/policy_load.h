/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_POLICY_LOAD_H
#define SKEP_CLI_POLICY_LOAD_H

#include "cli/cmd.h"

#include "model/model.h"

/*
 * POLICY, as the `policy` commands take it: the name of a preset, a file that
 * holds only a policy, or a honeynet's file.
 */
enum policy_source {
	POLICY_SOURCE_PRESET,
	POLICY_SOURCE_FILE,    /* a policy by itself */
	POLICY_SOURCE_HONEYNET /* out->honeypots are that file's, each with its policy */
};

/*
 * Binds and checks POLICY into *out (images are not looked for). net: the
 * honeynet that a preset or policy shall hold for, NULL for none; then *out is
 * *net with all honeypots under that policy, and rules of the file may name
 * them. It is not used for a honeynet's file.
 *
 * An enum policy_source; -EINVAL with d->n > 0: see load_print_diag; else a
 * negative errno with e set. *out is untouched then.
 */
int policy_load(const char *what, const struct model *net, struct model *out, struct diag *d, struct err *e);

/* As policy_load; what is wrong is printed to c->err ("FILE:LINE:COL: what", or
 * "skep: ..."). An enum policy_source, or -1. */
int policy_load_or_say(struct cmd *c, const char *what, const struct model *net, struct model *out);

#endif
