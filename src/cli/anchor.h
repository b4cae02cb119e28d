/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_ANCHOR_H
#define SKEP_CLI_ANCHOR_H

#include "cli/cmd.h"
#include "cli/verify_core.h"

/* A time-stamp request (RFC 3161, DER) over SHA-256 of the anchor's text, without
 * its newline, into a new file. An exit status. */
int anchor_tsq(struct cmd *c, const char *anchor, const char *file);
/* Whether a time-stamp response is about one of the anchors; with ca, a file of
 * PEM certificates, also who signed it. Prints the time. An exit status. */
int anchor_tsr(struct cmd *c, const char *file, const char *ca, const struct verify_anchor *a, unsigned n);
/* The text as a QR code in half blocks, dark on light. Nothing without libqrencode. */
void anchor_qr(FILE *out, const char *text);
/* Runs argv (no shell) with the text and a newline on its standard input. Its exit status, or CMD_FAILED. */
int anchor_exec(struct cmd *c, char *const argv[], const char *text);

#endif
