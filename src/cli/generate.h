/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_GENERATE_H
#define SKEP_CLI_GENERATE_H

#include "cli/cmd.h"

/* `skep --generate=man:TEMPLATE|bash`: the man page (mdoc; TEMPLATE is
 * man/skep.1.in) and the completion script, from the command table. At build time. */
int generate_main(struct cmd *c, const char *what);
int generate_bash(FILE *out);

/* `skep --complete=honeynet|honeypot|image`: names, one a line, for the
 * completion script. Silent on failure. */
int generate_complete(struct cmd *c, const char *what);

#endif
