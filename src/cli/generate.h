/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_GENERATE_H
#define SKEP_CLI_GENERATE_H

#include "cli/cmd.h"

/* `skep --generate=man|bash`: the man page (mdoc) and the completion script
 * from the command table, at build time. */
int generate_main(struct cmd *c, const char *what);
/* `skep --complete=honeynet|honeypot|image`: names, one a line, for the
 * completion script. Silent on failure. */
int generate_complete(struct cmd *c, const char *what);

#endif
