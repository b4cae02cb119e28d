/* SPDX-License-Identifier: ISC */
#include "cli/image_store.h"

#include "base/ev.h"
#include "base/text.h"
#include "cli/cmd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_PREFIX ".new-"

int image_store_open(struct image_store *s, struct err *e)
{
	char state[DIRS_PATH];
	s->lock = -1;
	int r = dirs_state(state, e);
	if (r < 0)
		return r;
	if (snprintf(s->dir, sizeof(s->dir), "%s/images", state) >= (int)sizeof(s->dir))
		return err_set(e, -ENAMETOOLONG, "path too long: %s", state);
	return dirs_make(s->dir, e);
}

int image_store_lock(struct image_store *s, void (*on_wait)(void *arg), void *arg, struct err *e)
{
	int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", s->dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		on_wait(arg);
		if (flock(fd, LOCK_EX) < 0) {
			int r = -errno;
			close(fd);
			return err_sys(e, r, "cannot lock %s", s->dir);
		}
	}
	s->lock = fd;
	return 0;
}

void image_store_close(struct image_store *s)
{
	if (s->lock >= 0)
		close(s->lock);
	s->lock = -1;
}

/* ---- removing ------------------------------------------------------------ */

/* Not through a link, and never into something that is mounted there: what a
 * killed mmdebstrap mounted is this computer's own /sys and /dev. */
static int open_below(int at, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
#ifndef MUTANT_IMAGE_CROSS_MOUNT
	how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
#endif
	return (int)syscall(SYS_openat2, at, name, &how, sizeof(how));
}

static void remove_at(int at, const char *name, unsigned depth)
{
	if (depth > 200 || unlinkat(at, name, 0) == 0)
		return;
	int fd = open_below(at, name);
	if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
		fd = open_below(at, name);
	if (fd >= 0) {
		fchmod(fd, 0700);
		DIR *d = fdopendir(fd);
		if (!d)
			close(fd);
		for (struct dirent *de; d && (de = readdir(d));)
			if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
				remove_at(dirfd(d), de->d_name, depth + 1);
		if (d)
			closedir(d);
	}
	unlinkat(at, name, AT_REMOVEDIR);
}

void image_store_remove(const char *path)
{
	char parent[DIRS_PATH + 32];
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path || slash - path >= (ptrdiff_t)sizeof(parent))
		return;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	int at = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return;
	remove_at(at, slash + 1, 0);
	close(at);
}

/* ---- reading ------------------------------------------------------------- */

static bool get(const json_t *o, const char *key, char *dst, size_t cap)
{
	const json_t *v = json_object_get(o, key);
	if (!v) {
		dst[0] = '\0';
		return true;
	}
	return json_is_string(v) && text_copy(dst, cap, json_string_value(v));
}

static bool bind_json(const json_t *o, struct image *im)
{
	json_int_t bytes = json_integer_value(json_object_get(o, "bytes"));
	im->bytes = bytes > 0 ? (uint64_t)bytes : 0;
	return bytes > 0 && json_integer_value(json_object_get(o, "format")) == 1 &&
	       get(o, "recipe", im->recipe, sizeof(im->recipe)) &&
	       get(o, "recipe_hash", im->recipe_hash, sizeof(im->recipe_hash)) &&
	       get(o, "about", im->about, sizeof(im->about)) && get(o, "source", im->source, sizeof(im->source)) &&
	       get(o, "sha256", im->sha256, sizeof(im->sha256)) &&
	       get(o, "created", im->created, sizeof(im->created)) &&
	       get(o, "kernel", im->kernel, sizeof(im->kernel)) && strlen(im->sha256) == 64;
}

int image_store_read(const struct image_store *s, const char *name, struct image *out, struct err *e)
{
	struct image im = { 0 };
	char path[DIRS_PATH + NAME_CAP + 16];
	if (!text_is_name(name) || !text_copy(im.name, sizeof(im.name), name))
		return err_set(e, -EINVAL, "\"%s\" is no name of an image", name);
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	if (stat(path, &st) < 0)
		return err_set(e, -errno, "there is no image %s", name);
	snprintf(path, sizeof(path), "%s/%s/image.json", s->dir, name);
	if (stat(path, &st) < 0 || st.st_size > IMAGE_JSON_MAX)
		return err_set(e, -EBADMSG, "image %s is damaged: no readable image.json; build or import it again",
			       name);
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	bool ok = o && bind_json(o, &im);
	json_decref(o);
	if (!ok)
		return err_set(e, -EBADMSG,
			       "image %s is damaged: its image.json does not say what it should; build or "
			       "import it again",
			       name);
	snprintf(path, sizeof(path), "%s/%s/disk.img", s->dir, name);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != im.bytes)
		return err_set(e, -EBADMSG,
			       "image %s is damaged: disk.img is missing or has another size than it had; "
			       "build or import it again",
			       name);
	im.allocated = (uint64_t)st.st_blocks * 512;
	*out = im;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

char (*image_store_names(const struct image_store *s))[NAME_CAP]
{
	char(*v)[NAME_CAP] = calloc(1, NAME_CAP);
	size_t n = 0;
	DIR *d = opendir(s->dir);
	for (struct dirent *de; v && d && (de = readdir(d));) {
		struct stat st;
		if (!text_is_name(de->d_name) || fstatat(dirfd(d), de->d_name, &st, 0) < 0 || !S_ISDIR(st.st_mode))
			continue;
		char(*grown)[NAME_CAP] = reallocarray(v, n + 2, NAME_CAP);
		if (!grown)
			break;
		v = grown;
		if (text_copy(v[n], NAME_CAP, de->d_name))
			n++;
		v[n][0] = '\0';
	}
	if (d)
		closedir(d);
	if (n)
		qsort(v, n, NAME_CAP, by_name);
	return v;
}

/* ---- writing ------------------------------------------------------------- */

static void sweep(const struct image_store *s)
{
	DIR *d = opendir(s->dir);
	for (struct dirent *de; d && (de = readdir(d));)
		if (!strncmp(de->d_name, NEW_PREFIX, strlen(NEW_PREFIX)))
			remove_at(dirfd(d), de->d_name, 0);
	if (d)
		closedir(d);
}

int image_store_begin(struct image_store *s, char *path, struct err *e)
{
	char dir[DIRS_PATH];
	sweep(s);
	if (snprintf(dir, sizeof(dir), "%s/" NEW_PREFIX "XXXXXX", s->dir) >= (int)sizeof(dir))
		return err_set(e, -ENAMETOOLONG, "path too long: %s", s->dir);
	if (!mkdtemp(dir))
		return err_sys(e, -errno, "cannot make a directory in %s", s->dir);
	memcpy(path, dir, sizeof(dir));
	return 0;
}

static int hash_disk(const char *path, struct image *im, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open %s", path);
	const size_t cap = 1 << 20;
	unsigned char sum[EVP_MAX_MD_SIZE], *buf = malloc(cap);
	unsigned len = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r = buf && md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
	ssize_t n = 0;
	im->bytes = 0;
	while (!r && (n = read(fd, buf, cap)) > 0) {
		EVP_DigestUpdate(md, buf, (size_t)n);
		im->bytes += (uint64_t)n;
	}
	if (!r && n < 0)
		r = -errno;
	if (!r && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	if (!r && EVP_DigestFinal_ex(md, sum, &len) != 1)
		r = -EIO;
	for (unsigned i = 0; !r && i < len; i++)
		snprintf(im->sha256 + 2 * (size_t)i, 3, "%02x", sum[i]);
	EVP_MD_CTX_free(md);
	free(buf);
	close(fd);
	return r < 0 ? err_sys(e, r, "cannot read %s", path) : 0;
}

static int write_json(const char *path, struct image *im, struct err *e)
{
	char now[CMD_TIME_TEXT];
	snprintf(im->created, sizeof(im->created), "%.*s", IMAGE_TIME - 1, cmd_time_text(now, ev_realtime(), 0));
	json_t *o = json_pack("{si ss* ss* ss* ss* ss* sI ss ss ss*}", "format", 1, "name", im->name, "recipe",
			      *im->recipe ? im->recipe : NULL, "recipe_hash", *im->recipe_hash ? im->recipe_hash : NULL,
			      "about", *im->about ? im->about : NULL, "source", *im->source ? im->source : NULL,
			      "bytes", (json_int_t)im->bytes, "sha256", im->sha256, "created", im->created, "kernel",
			      *im->kernel ? im->kernel : NULL);
	char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	if (!text)
		return err_set(e, -ENOMEM, "cannot write %s: out of memory, or text that is not UTF-8", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r = fd < 0 ? -errno : 0;
	size_t n = strlen(text);
	text[n] = '\n'; /* in place of the final NUL */
	if (!r && (write(fd, text, n + 1) != (ssize_t)n + 1 || fsync(fd) < 0))
		r = errno ? -errno : -ENOSPC;
	if (fd >= 0)
		close(fd);
	free(text);
	return r < 0 ? err_sys(e, r, "cannot write %s", path) : 0;
}

int image_store_commit(struct image_store *s, const char *dir, struct image *im, struct err *e)
{
	char from[DIRS_PATH + 16], to[DIRS_PATH + NAME_CAP + 2];
	snprintf(from, sizeof(from), "%s/disk.img", dir);
	int r = hash_disk(from, im, e);
	if (!r) {
		snprintf(from, sizeof(from), "%s/image.json", dir);
		r = write_json(from, im, e);
	}
	snprintf(to, sizeof(to), "%s/%s", s->dir, im->name);
	if (!r && chmod(dir, 0755) < 0)
		r = err_sys(e, -errno, "cannot change %s", dir);
	if (!r && renameat2(AT_FDCWD, dir, AT_FDCWD, to, RENAME_NOREPLACE) < 0) {
		if (errno != EEXIST)
			r = err_sys(e, -errno, "cannot put the image at %s", to);
		else if (renameat2(AT_FDCWD, dir, AT_FDCWD, to, RENAME_EXCHANGE) < 0)
			r = err_sys(e, -errno, "cannot replace the image at %s", to);
	}
	if (!r && s->lock >= 0)
		fsync(s->lock);
	/* After an exchange this is the older image. */
	image_store_remove(dir);
	return r;
}
