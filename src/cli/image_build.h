/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_IMAGE_BUILD_H
#define SKEP_CLI_IMAGE_BUILD_H

#include "cli/cmd.h"
#include "cli/image_recipe.h"
#include "cli/image_store.h"

/* Builds image `name` from *r into the store, whose lock the caller holds. On
 * failure the older image, if any, stays, and e names the log. */
int image_build(struct cmd *c, struct image_store *s, const struct recipe *r, const char *name, struct err *e);

/* Lines "deb URI SUITE COMPONENT" for a suite from `apt-get indextargets` output
 * ("URI RELEASE COMPONENT" a line): what this computer is set up to use. out
 * gets at most max lines of MIRROR_TEXT bytes; returns how many. */
#define MIRROR_TEXT 256
unsigned image_mirrors(const char *targets, const char *suite, char (*out)[MIRROR_TEXT], unsigned max);

#endif
