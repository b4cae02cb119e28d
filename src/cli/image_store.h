/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_IMAGE_STORE_H
#define SKEP_CLI_IMAGE_STORE_H

#include "base/dirs.h"
#include "base/err.h"
#include "model/model.h"

#include <stdint.h>

/*
 * The images that are there: state/images/NAME/ with disk.img (a raw ext4 file
 * system without partitions, read only for ever) and image.json about it. A
 * directory appears there whole or not at all: it is made as
 * state/images/.new-XXXXXX and renamed. Whoever makes one holds the lock, so
 * that a .new- directory found under the lock is what a killed one left.
 */
#define IMAGE_JSON_MAX 65536
#define IMAGE_TIME 24

struct image {
	char name[NAME_CAP];
	char recipe[NAME_CAP]; /* empty: imported */
	char recipe_hash[65];
	char about[128];
	char source[256];         /* of an imported one: its file */
	char sha256[65];          /* of disk.img, as sha256sum prints it */
	char created[IMAGE_TIME]; /* RFC 3339, UTC */
	char kernel[64];          /* release whose modules are in it, or empty */
	uint64_t bytes;           /* size of disk.img */
	uint64_t allocated;       /* what it takes on the disk; not stored */
};

struct image_store {
	char dir[DIRS_PATH]; /* state/images */
	int lock;            /* -1 or the locked directory */
};

/* The directory, made if it is not there. */
int image_store_open(struct image_store *s, struct err *e);
/* Waits for another build or import; on_wait is called once before it waits. */
int image_store_lock(struct image_store *s, void (*on_wait)(void *arg), void *arg, struct err *e);
void image_store_close(struct image_store *s);

/* Reads and checks image NAME. -ENOENT: no such image; else it is damaged. */
int image_store_read(const struct image_store *s, const char *name, struct image *out, struct err *e);
/* Names of all images, in order; ends with an empty one. Freed by the caller. */
char (*image_store_names(const struct image_store *s))[NAME_CAP];

/* A new directory to build in; needs the lock. path[DIRS_PATH]. */
int image_store_begin(struct image_store *s, char *path, struct err *e);
/* dir/disk.img becomes image im->name, with image.json written from im (bytes,
 * sha256 and created are filled in here). Replaces an older one in one step.
 * dir is gone afterwards, whatever happens. */
int image_store_commit(struct image_store *s, const char *dir, struct image *im, struct err *e);

/* rm -rf, whatever the modes in there are. Follows no link. */
void image_store_remove(const char *path);

#endif
