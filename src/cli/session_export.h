/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_SESSION_EXPORT_H
#define SKEP_CLI_SESSION_EXPORT_H

#include "cli/cast.h"

/*
 * One terminal of one session as a file.
 *
 *   ttyrec  the screen's bytes exactly, with times (ttyrec(1): little endian
 *           u32 seconds, u32 microseconds, u32 length, bytes)
 *   txt     lines of text (cli/flat.h)
 *   html    the same with times, what was typed and who it was, in one file
 *           without scripts, styles from elsewhere, or links
 */
int export_ttyrec(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e);
int export_txt(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e);
int export_html(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e);

#endif
