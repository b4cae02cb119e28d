/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_PARSE_H
#define SKEP_CLI_PARSE_H

#include "cli/cmd.h"

/*
 * argv after the command's words -> c->given and c->args, by the table. Options
 * and arguments may be mixed; "--" ends options; --name VALUE, --name=VALUE,
 * -n VALUE, -nVALUE and clusters of letters are understood. c->command, out and
 * err are set by the caller. CMD_OK, or CMD_USAGE when it said what is wrong.
 * args[argc + 1] is the caller's memory for c->args.
 */
int parse_args(struct cmd *c, int argc, char **argv, char **args);

#endif
