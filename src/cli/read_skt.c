/* SPDX-License-Identifier: ISC */
/*
 * The files of one honeypot's sessions, in order, while they are written.
 *
 * The open file has no number; closing renames it. A reader that holds it notices
 * that by its inode, reads what was added before the renaming, and goes on behind
 * the number that its file got.
 */
#include "cli/read_skt.h"

#include "base/ev.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };
#define FOLDER "sessions"
#define EXT ".skt"

void skt_reader_init(struct skt_reader *r, const struct evidence_dir *dir, const char *honeypot, skt_fn fn, void *arg)
{
	*r = (struct skt_reader){ .dir = dir, .fn = fn, .arg = arg, .fd = -1 };
	text_copy(r->honeypot, sizeof(r->honeypot), honeypot);
}

void skt_reader_free(struct skt_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->buf);
	r->fd = -1;
	r->buf = NULL;
}

/* "web1.000003.skt" -> name and 3; "web1.skt" -> name and 0. */
static bool file_name(const char *file, char name[NAME_CAP], uint32_t *number)
{
	char copy[NAME_CAP + 16];
	size_t n = strlen(file), ext = sizeof(EXT) - 1;
	if (n <= ext || strcmp(file + n - ext, EXT) != 0 || !text_copy(copy, sizeof(copy), file))
		return false;
	copy[n - ext] = '\0';
	char *dot = strchr(copy, '.'), *end = NULL;
	*number = 0;
	if (dot) {
		unsigned long v = strtoul(dot + 1, &end, 10);
		if (dot[1] < '0' || dot[1] > '9' || *end || !v || v > 999999999)
			return false;
		*number = (uint32_t)v;
		*dot = '\0';
	}
	return text_is_name(copy) && text_copy(name, NAME_CAP, copy);
}

static DIR *folder(const struct evidence_dir *dir)
{
	int fd = openat(dir->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !d)
		close(fd);
	return d;
}

unsigned skt_honeypots(const struct evidence_dir *dir, char (*names)[NAME_CAP], unsigned cap)
{
	unsigned n = 0;
	DIR *d = folder(dir);
	if (!d)
		return 0;
	for (struct dirent *de; (de = readdir(d)) && n < cap;) {
		char name[NAME_CAP];
		uint32_t number;
		unsigned i = 0;
		if (!file_name(de->d_name, name, &number))
			continue;
		while (i < n && strcmp(names[i], name) < 0)
			i++;
		if (i < n && !strcmp(names[i], name))
			continue;
		memmove(names + i + 1, names + i, (n - i) * sizeof(*names));
		memcpy(names[i], name, NAME_CAP);
		n++;
	}
	closedir(d);
	return n;
}

/* The smallest number above `after` of this honeypot's files, or with ino != 0 the
 * number of the file that has it; 0 if there is none. */
static uint32_t find(const struct skt_reader *r, uint32_t after, uint64_t ino)
{
	uint32_t best = 0, number;
	DIR *d = folder(r->dir);
	if (!d)
		return 0;
	for (struct dirent *de; (de = readdir(d));) {
		char name[NAME_CAP];
		struct stat st;
		if (!file_name(de->d_name, name, &number) || strcmp(name, r->honeypot) != 0 || number <= after)
			continue;
		if (ino && de->d_ino != ino)
			continue;
		if (r->since && fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !ino &&
		    (uint64_t)st.st_mtim.tv_sec * EV_SEC + EV_SEC < r->since)
			continue;
		if (!best || number < best)
			best = number;
	}
	closedir(d);
	return best;
}

static int open_at(struct skt_reader *r, uint32_t number)
{
	char path[NAME_CAP + 40];
	struct stat st;
	if (number)
		snprintf(path, sizeof(path), FOLDER "/%s.%06u" EXT, r->honeypot, number);
	else
		snprintf(path, sizeof(path), FOLDER "/%s" EXT, r->honeypot);
	r->fd = openat(r->dir->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return -errno;
	if (fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(r->fd);
		r->fd = -1;
		return -ENOENT;
	}
	r->ino = st.st_ino;
	r->number = number;
	r->n = 0;
	r->offset = r->begun = r->seq = 0;
	r->head = true;
	return 0;
}

/* 1: a file is open; 0: there is none (yet). */
static int open_next(struct skt_reader *r, struct err *e)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t next = find(r, r->last, 0);
		int got = open_at(r, next);
		if (got == -ENOENT && next) {
			/* Removed since, because of the limits. */
			r->last = next;
			continue;
		}
		if (got == -ENOENT)
			return 0;
		if (got < 0)
			return err_sys(e, got, "cannot open %s/" FOLDER "/%s.%06u" EXT, r->dir->path, r->honeypot,
				       next);
		/* It may be newer than one that was closed between the two steps. */
		if (!next && (next = find(r, r->last, 0)) && find(r, r->last, r->ino) != next) {
			close(r->fd);
			r->fd = -1;
			continue;
		}
		return 1;
	}
	return 0;
}

/* Whether the open file has another name by now. */
static bool moved(const struct skt_reader *r)
{
	char path[NAME_CAP + 40];
	struct stat st;
	snprintf(path, sizeof(path), FOLDER "/%s" EXT, r->honeypot);
	return fstatat(r->dir->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != r->ino;
}

/* The first record says when the file was begun, which is its name for those who
 * go on where they were. */
static bool on_head(struct skt_reader *r, const struct skt_rec *rec)
{
	struct intro_file f;
	struct stat st;
	if (!skt_file_head(rec, &f))
		return false;
	r->begun = rec->h.time;
	uint64_t at = r->resume ? r->resume(r->arg, r->begun) : 0;
	if (at <= r->offset || fstat(r->fd, &st) < 0)
		return true;
	r->shrunk |= at > (uint64_t)st.st_size;
	if (at > (uint64_t)st.st_size || lseek(r->fd, (off_t)at, SEEK_SET) < 0)
		return true;
	r->offset = at;
	r->n = 0;
	return true;
}

static void count_missing(struct skt_reader *r, const struct skt_rec *rec)
{
	if (r->seq && rec->h.kind != INTRO_SOURCE && rec->h.seq > r->seq + 1)
		r->missing += rec->h.seq - r->seq - 1;
	r->seq = rec->h.seq;
}

/* false: fn wants no more. */
static bool hand_out(struct skt_reader *r)
{
	struct slice s = slice_of(r->buf, r->n), one;
	struct skt_rec rec;
	bool go_on = true;
	while (go_on) {
		long len = skt_frame(s);
		if (len < 0) {
			r->damaged++;
			lseek(r->fd, 0, SEEK_END);
			s.n = 0;
		}
		if (len <= 0 || !slice_take(&s, (size_t)len, &one))
			break;
		r->offset += (uint64_t)len;
		bool known = skt_decode(one, &rec), first = r->head;
		r->head = false;
		if (first && known && rec.h.kind == INTRO_NONE) {
			if (!on_head(r, &rec))
				r->nonsense++;
			if (!r->n)
				return true;
			continue;
		}
		if (!known || rec.h.kind == INTRO_NONE) {
			r->nonsense++;
			continue;
		}
		count_missing(r, &rec);
		go_on = r->fn(r->arg, r, &rec);
	}
	if (s.n)
		memmove(r->buf, s.p, s.n);
	r->n = s.n;
	return go_on;
}

/* 1: to the end of the file; 0: fn wants no more. */
static int read_file(struct skt_reader *r, struct err *e)
{
	if (!r->buf && !(r->buf = malloc(CHUNK)))
		return err_set(e, -ENOMEM, "out of memory");
	r->cap = CHUNK;
	/* A reader that had enough may have left whole records. */
	if (r->n && !hand_out(r))
		return 0;
	for (;;) {
		ssize_t n = read(r->fd, r->buf + r->n, r->cap - r->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read %s/" FOLDER "/%s" EXT, r->dir->path, r->honeypot);
		if (!n)
			return 1;
		r->n += (size_t)n;
		if (!hand_out(r))
			return 0;
	}
}

int skt_read(struct skt_reader *r, struct err *e)
{
	for (;;) {
		if (r->fd < 0) {
			int got = open_next(r, e);
			if (got <= 0)
				return got;
		}
		/* Asked before the end is found: what is written to a file comes
		 * before it is closed. */
		bool closed = r->number || moved(r);
#ifdef MUTANT_SKT_LOSES_TAIL
		if (closed && !r->number)
			lseek(r->fd, 0, SEEK_END);
#endif
		int got = read_file(r, e);
		if (got <= 0)
			return got < 0 ? got : 1;
		if (!closed)
			return 0;
		r->cut += r->n != 0;
		if (!r->number)
			r->number = find(r, r->last, r->ino);
		if (r->number)
			r->last = r->number;
		close(r->fd);
		r->fd = -1;
	}
}

void skt_reader_remarks(const struct skt_reader *r, const struct cmd *c)
{
	if (r->damaged)
		cmd_note(c, "%s: %u files are damaged: what follows the damage was left out (see skep verify)",
			 r->honeypot, r->damaged);
	if (r->cut)
		cmd_note(c, "%s: %u files end with a cut record, which was left out", r->honeypot, r->cut);
	if (r->nonsense)
		cmd_note(c, "%s: %llu records make no sense and were left out", r->honeypot,
			 (unsigned long long)r->nonsense);
	if (r->missing)
		cmd_note(c, "%s: %llu records are missing", r->honeypot, (unsigned long long)r->missing);
}
