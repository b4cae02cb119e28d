/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_CLI_H
#define SKEP_CLI_CLI_H

#include <stdio.h>

/* The operator's command line. Returns 0 ok, 1 failed, 2 usage. */
int cli_main(int argc, char **argv);

/* The same with other streams. */
int cli_run(int argc, char **argv, FILE *out, FILE *err);

#endif
