/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_CLI_H
#define SKEP_CLI_CLI_H

/* The operator's command line. Returns 0 ok, 1 failed, 2 usage. */
int cli_main(int argc, char **argv);

#endif
