/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_IMAGE_RECIPE_H
#define SKEP_CLI_IMAGE_RECIPE_H

#include "base/err.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A recipe is a directory:
 *
 *   recipe   what to build with, as lines `key = value`; see recipe_parse
 *   setup    optional: an executable, called as `setup ROOT` under fakeroot
 *   files/   what setup copies; any other file is setup's business too
 *
 * Its name is the directory's. Keys: about (one line), tool (mmdebstrap: a
 * Debian system; tree: what setup makes of an empty directory), suite, variant,
 * components, packages (may repeat), free (space for the honeypot's own files),
 * kernel (uml: takes modules of the installed User Mode Linux), needs (PROGRAM
 * PACKAGE; may repeat: what setup runs).
 */
enum recipe_tool { RECIPE_MMDEBSTRAP, RECIPE_TREE };

#define RECIPE_NEEDS 16
#define RECIPE_HASH 65 /* SHA-256 in hex */
struct recipe {
	char name[NAME_CAP];
	char dir[512]; /* absolute */
	char about[128];
	enum recipe_tool tool;
	char suite[32], variant[32], components[64];
	char packages[4096]; /* with commas */
	uint64_t free;
	bool uml_modules;
	unsigned nneeds;
	struct {
		char program[64], package[64];
	} needs[RECIPE_NEEDS];
	char hash[RECIPE_HASH]; /* over every file of it; equal hash, equal image */
};

/* Binds text to *out (name, dir and hash stay untouched). Errors are
 * "PATH:LINE: what"; path is only for them. */
int recipe_parse(const char *path, const char *text, struct recipe *out, struct err *e);

/* Reads the recipe in dir. */
int recipe_load(const char *dir, struct recipe *out, struct err *e);

/* A name is looked up in the recipe directories (recipe_places); a word with a
 * slash in it is a directory. -ENOENT if there is none. */
int recipe_find(const char *word, struct recipe *out, struct err *e);

/* Where recipes are looked for, in this order: $SKEP_IMAGES; the source that
 * this program was built from; the installed ones. NULL after the last. */
const char *recipe_place(unsigned i);

/* Calls fn for the directory of every recipe there is, in the order of names;
 * of two with one name the first place's. */
void recipe_each(void (*fn)(const char *name, const char *dir, void *arg), void *arg);

#endif
