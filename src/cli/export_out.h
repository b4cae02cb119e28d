/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_EXPORT_OUT_H
#define SKEP_CLI_EXPORT_OUT_H

#include "base/dirs.h"
#include "base/err.h"
#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A file that is there whole or not at all. Until outfile_commit it has no name
 * (O_TMPFILE), or a temporary one where the file system knows no such files.
 */
struct outfile {
	FILE *f;
	int dir;                  /* the folder it will be in */
	char path[DIRS_PATH];     /* for messages */
	char base[256], tmp[300]; /* in dir; tmp empty: it has no name yet */
	bool force;
};

/* -EEXIST if there is a file of that name and it may not be replaced. The mode
 * is 0600: evidence holds passwords. */
int outfile_open(struct outfile *o, const char *path, bool force, struct err *e);
/* The same below the folder dir (stays the caller's); shown is its path. */
int outfile_openat(struct outfile *o, int dir, const char *shown, const char *name, bool force, struct err *e);
/* Writes everything to the disk and gives it its name. The file is closed afterwards, whatever happened. */
int outfile_commit(struct outfile *o, struct err *e);
/* Nothing stays. Fine after outfile_commit, and of a zeroed one. */
void outfile_drop(struct outfile *o);

/* JSON text that a parser has accepted, with everything in it that is not
 * harmless on a terminal escaped: the text means the same. */
void export_json_text(FILE *f, struct slice text);
/* v on one line, so written, and a newline; takes the reference. -ENOMEM if v
 * is NULL. Errors of f are found by ferror. */
int export_json_line(FILE *f, json_t *v);

#endif
