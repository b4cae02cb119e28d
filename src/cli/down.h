/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_DOWN_H
#define SKEP_CLI_DOWN_H

#include "cli/cmd.h"

/* Ends the honeynet and waits until nothing of it holds its lock. 0, 1 if it
 * did not run, or -errno with e set. keep_log: of its processes, for a look
 * after a failure. Also for `up` that must undo a start. */
int down_honeynet(const struct cmd *c, const char *name, bool force, bool keep_log, struct err *e);

#endif
