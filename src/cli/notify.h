/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_NOTIFY_H
#define SKEP_CLI_NOTIFY_H

#include "cli/cmd.h"

#include "model/model.h"

/* Starts the notify process of m's honeynet, which runs, if m wants one; another
 * that is there gives way to it. What goes wrong is a note, not a failure. */
void notify_start(const struct cmd *c, const struct model *m);

#endif
