/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_HELP_H
#define SKEP_CLI_HELP_H

#include "proto/command.h"

#include <stdio.h>

/* `skep --help`, and `skep COMMAND --help`. Always 0. */
int help_all(FILE *out);
int help_command(FILE *out, const struct command *c);

#endif
