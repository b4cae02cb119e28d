/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_LOAD_H
#define SKEP_CLI_LOAD_H

#include "cli/cmd.h"

#include "model/model.h"

/* A honeynet file, read, parsed and checked against the images that are there. */
struct loaded {
	char *text;
	size_t n;
	struct model *model;
	struct diag diag; /* sorted by place */
};
#define LOAD_MAX (1u << 20)

/* 0; -EINVAL with l->diag.n > 0; or -errno with e set: the file cannot be read.
 * load_free in every case. */
int load_file(const char *path, struct loaded *l, struct err *e);
void load_free(struct loaded *l);
/* The file's text in a sealed memfd, to be closed by the caller; -errno. */
int load_seal_source(const struct loaded *l, struct err *e);

/* A whole file of at most LOAD_MAX bytes, to be freed. 0 or -errno with e set. */
int load_text(const char *path, char **text, size_t *n, struct err *e);

/* "PATH:LINE:COL: what", one a line, safe for a terminal. */
void load_print_diag(FILE *out, const char *path, const struct diag *d);

/* The honeynet on one screen. */
void load_summary(FILE *out, const struct model *m);

#endif
