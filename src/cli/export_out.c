/* SPDX-License-Identifier: ISC */
#include "cli/export_out.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the file --------------------------------------------------------------- */

static int temporary(struct outfile *o)
{
	uint64_t r = 0;
#ifdef MUTANT_EXPORT_HALF
	snprintf(o->tmp, sizeof(o->tmp), "%s", o->base);
	return openat(o->dir, o->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
#endif
	int fd = openat(o->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
		return fd;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -1;
	snprintf(o->tmp, sizeof(o->tmp), ".%s.%016llx", o->base, (unsigned long long)r);
	return openat(o->dir, o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int outfile_openat(struct outfile *o, int dir, const char *shown, const char *name, bool force, struct err *e)
{
	struct stat st;
	*o = (struct outfile){ .dir = -1, .force = force };
	snprintf(o->path, sizeof(o->path), "%s%s%s", shown, *shown ? "/" : "", name);
	size_t len = strlen(name);
	if (len >= sizeof(o->base) - 20)
		return err_set(e, -ENAMETOOLONG, "the name of %s is too long", o->path);
	memcpy(o->base, name, len + 1);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode))
			return err_set(e, -EISDIR, "%s is a directory: name a file", o->path);
		if (!force)
			return err_set(e, -EEXIST, "%s is there already: choose another name, or --force replaces it",
				       o->path);
	}
	o->dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	int fd = o->dir < 0 ? -1 : temporary(o);
	if (fd < 0 || !(o->f = fdopen(fd, "w"))) {
		int r = err_sys(e, -errno, "cannot write %s", o->path);
		if (fd >= 0)
			close(fd);
		outfile_drop(o);
		return r;
	}
	return 0;
}

int outfile_open(struct outfile *o, const char *path, bool force, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[DIRS_PATH];
	*o = (struct outfile){ .dir = -1 };
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (strlen(path) >= sizeof(folder))
		return err_set(e, -ENAMETOOLONG, "%s is too long", path);
	if (!*name)
		return err_set(e, -EISDIR, "%s is a directory: name a file", path);
	snprintf(folder, sizeof(folder), "%.*s", (int)n, path);
	int dir = open(slash ? (n ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, -errno, "cannot write into the folder of %s", path);
	int r = outfile_openat(o, dir, folder, name, force, e);
	close(dir);
	return r;
}

/* Gives a file without a name the name `name`. */
static int name_it(struct outfile *o, const char *name)
{
	char self[64];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fileno(o->f));
	return linkat(AT_FDCWD, self, o->dir, name, AT_SYMLINK_FOLLOW);
}

static int settle(struct outfile *o)
{
	bool replace = o->force;
#ifdef MUTANT_EXPORT_CLOBBERS
	replace = true;
#endif
	if (!o->tmp[0] && !replace)
		return name_it(o, o->base);
	if (!o->tmp[0]) {
		uint64_t r = 0;
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return -1;
		snprintf(o->tmp, sizeof(o->tmp), ".%s.%016llx", o->base, (unsigned long long)r);
		if (name_it(o, o->tmp) < 0) {
			o->tmp[0] = '\0';
			return -1;
		}
	}
	/* A file that came since is not replaced either. */
	int r = replace ? renameat(o->dir, o->tmp, o->dir, o->base)
			: renameat2(o->dir, o->tmp, o->dir, o->base, RENAME_NOREPLACE);
	if (r == 0)
		o->tmp[0] = '\0';
	return r;
}

int outfile_commit(struct outfile *o, struct err *e)
{
	int r = 0;
	if (fflush(o->f) || ferror(o->f))
		r = err_set(e, -EIO, "cannot write %s: is the disk full?", o->path);
	else if (fsync(fileno(o->f)) < 0)
		r = err_sys(e, -errno, "cannot write %s", o->path);
	else if (settle(o) < 0)
		r = errno == EEXIST ? err_set(e, -EEXIST, "%s has appeared meanwhile: it was left alone", o->path)
				    : err_sys(e, -errno, "cannot make %s", o->path);
	if (!r)
		fsync(o->dir);
	outfile_drop(o);
	return r;
}

void outfile_drop(struct outfile *o)
{
	if (o->f) {
		fclose(o->f);
		if (o->tmp[0])
			unlinkat(o->dir, o->tmp, 0);
		close(o->dir);
	} else if (o->dir > 0) {
		close(o->dir);
	}
	o->f = NULL;
	o->dir = -1;
	o->tmp[0] = '\0';
}

/* ---- text -------------------------------------------------------------------- */

void export_json_text(FILE *f, struct slice text)
{
	size_t from = 0;
	for (size_t i = 0; i < text.n;) {
		uint32_t c = 0;
		size_t len = text_utf8(text.p + i, text.n - i, &c);
		if (len && text_harmless(c, false)) {
			i += len;
			continue;
		}
#ifdef MUTANT_EXPORT_RAW_BIDI
		if (c > 0x9f) {
			i += len;
			continue;
		}
#endif
		fwrite(text.p + from, 1, i - from, f);
		/* A parser lets bytes below 0x20 through only between values, and
		 * what else is not harmless only inside strings. */
		if (c < 0x20)
			fputc(' ', f);
		else
			fprintf(f, "\\u%04x", c);
		i += len ? len : 1;
		from = i;
	}
	fwrite(text.p + from, 1, text.n - from, f);
}

int export_json_line(FILE *f, json_t *v)
{
	char *s = v ? json_dumps(v, JSON_COMPACT) : NULL;
	json_decref(v);
	if (!s)
		return -ENOMEM;
	export_json_text(f, slice_of(s, strlen(s)));
	fputc('\n', f);
	free(s);
	return 0;
}
