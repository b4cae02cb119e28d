/* SPDX-License-Identifier: ISC */
#include "proc/evidence/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void real_clocks(uint64_t *real, uint64_t *mono)
{
	struct timespec a, b;
	clock_gettime(CLOCK_REALTIME, &a);
	clock_gettime(CLOCK_MONOTONIC, &b);
	*real = (uint64_t)a.tv_sec * EV_SEC + (uint64_t)a.tv_nsec;
	*mono = (uint64_t)b.tv_sec * EV_SEC + (uint64_t)b.tv_nsec;
}

const struct store_io store_real_io = {
	.write = write, .fdatasync = fdatasync, .fstatvfs = fstatvfs, .clocks = real_clocks
};

const char *const store_folders[] = { "packets", "events", "console", "config", "sessions", "sinkhole", NULL };

int store_fail(struct store *s, int code, const char *what, const char *name)
{
	if (!s->failed) {
		s->failed = code;
		err_sys(&s->why, code, "cannot %s %s", what, name);
	}
	return s->failed;
}

void store_note(struct store *s, enum note_kind k, const char *name, uint64_t bytes, const uint8_t *hash,
		const char *text)
{
	enum { NOTES = 256 };
	if (!s->notes)
		s->notes = calloc(NOTES, sizeof(*s->notes));
	if (!s->notes || s->nnotes == NOTES)
		return;
	struct store_note *n = &s->notes[s->nnotes++];
	*n = (struct store_note){ .kind = k, .bytes = bytes };
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->text, sizeof(n->text), "%s", text ? text : "");
	if (hash)
		memcpy(n->hash, hash, sizeof(n->hash));
}

int store_sync_dir(struct store *s, const char *dir)
{
	int fd = openat(s->dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return store_fail(s, -errno, "open directory", dir);
	int r = s->io.fdatasync(fd) < 0 ? -errno : 0;
	close(fd);
	return r < 0 ? store_fail(s, r, "sync directory", dir) : 0;
}

int store_sync_folder(struct store *s, const char *name)
{
	char dir[STORE_NAME];
	snprintf(dir, sizeof(dir), "%.*s", (int)strcspn(name, "/"), name);
	return store_sync_dir(s, dir);
}

struct stream *store_stream(struct store *s, const char *base, const char *ext, bool current, size_t buffer,
			    size_t (*whole)(const uint8_t *, size_t))
{
	struct stream *st = calloc(1, sizeof(*st));
	if (st && buffer)
		st->buf = malloc(buffer);
	if (!st || (buffer && !st->buf)) {
		free(st);
		store_fail(s, -ENOMEM, "make room for", base);
		return NULL;
	}
	snprintf(st->base, sizeof(st->base), "%s", base);
	snprintf(st->ext, sizeof(st->ext), "%s", ext);
	st->current = current;
	st->cap = buffer;
	st->whole = whole;
	st->number = store_last_number(s, base, ext, current);
	st->next = s->streams;
	s->streams = st;
	return st;
}

static void numbered(const struct stream *st, uint32_t number, char name[STORE_NAME])
{
	snprintf(name, STORE_NAME, "%s%c%06u%s", st->base, st->current ? '.' : '/', number, st->ext);
}

static int open_segment(struct store *s, struct stream *st, uint64_t now)
{
	struct segment *g = calloc(1, sizeof(*g));
	if (!g)
		return store_fail(s, -ENOMEM, "make room for", st->base);
	if (st->current)
		snprintf(g->name, sizeof(g->name), "%s%s", st->base, st->ext);
	else
		numbered(st, ++st->number, g->name);
	g->fd = openat(s->dirfd, g->name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (g->fd < 0) {
		int r = store_fail(s, -errno, "create", g->name);
		free(g);
		return r;
	}
	crypto_generichash_init(&g->hash, NULL, 0, JOURNAL_HASH);
	g->opened = now;
	g->dirty = true;
	g->id = ++s->last_id;
	g->spare = !st->cap;
	s->nopen += g->spare;
	st->seg = g;
	return store_sync_folder(s, g->name);
}

static int open_record(struct store *s, const struct segment *g, uint64_t now)
{
	uint8_t b[4 + STORE_NAME];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_u32(&body, g->id);
	body_bytes(&body, g->name, strlen(g->name));
	return store_record(s, J_OPEN, now, b, body.n);
}

/* Unbuffered streams may be many (consoles), and file descriptors are few: a
 * commit closes those that are in use. */
static int spare_fds(struct store *s, const struct stream *st, uint64_t now)
{
	enum { OPEN_MAX = 128 };
	return !st->cap && s->nopen >= OPEN_MAX ? store_commit(s, now) : s->failed;
}

void store_close_fd(struct store *s, struct segment *g)
{
	if (g->fd < 0)
		return;
	close(g->fd);
	g->fd = -1;
	s->nopen -= g->spare;
}

int store_begin(struct store *s, struct stream *st, uint64_t now)
{
	if (spare_fds(s, st, now) < 0 || st->seg)
		return s->failed;
	int r = open_segment(s, st, now);
	return r < 0 ? r : open_record(s, st->seg, now);
}

/* One write of a run of whole records. */
int store_write(struct store *s, struct stream *st, const void *p, size_t n)
{
	struct segment *g = st->seg;
	if (s->failed)
		return s->failed;
	if (g->fd < 0) {
		g->fd = openat(s->dirfd, g->name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
		if (g->fd < 0)
			return store_fail(s, -errno, "open", g->name);
		s->nopen += g->spare;
	}
	ssize_t w;
	do
		w = s->io.write(g->fd, p, n);
	while (w < 0 && errno == EINTR);
#ifdef MUTANT_IGNORE_ENOSPC
	if (w < 0 && errno == ENOSPC)
		w = (ssize_t)n;
#endif
	if (w != (ssize_t)n) {
		/* A short write to a file means that the disk is full. What was
		 * cut in the middle is taken back, so that the file ends with a
		 * whole record. */
		int code = w < 0 ? -errno : -ENOSPC;
		if (w > 0) {
			size_t good = st->whole ? st->whole(p, (size_t)w) : (size_t)w;
			if (ftruncate(g->fd, (off_t)(g->size + good)) < 0) {
				/* Readers put up with a cut tail. */
			}
		}
		return store_fail(s, code, "write", g->name);
	}
	crypto_generichash_update(&g->hash, p, n);
	g->size += n;
	g->dirty = true;
	s->total += n;
	s->pending += n;
	return 0;
}

static int flush(struct store *s, struct stream *st)
{
	if (s->failed || !st->n)
		return s->failed;
	int r = store_write(s, st, st->buf, st->n);
	st->n = 0;
	return r;
}

int store_flush(struct store *s)
{
	for (struct stream *st = s->streams; st; st = st->next)
		flush(s, st);
	return flush(s, &s->journal);
}

uint8_t *store_reserve(struct store *s, struct stream *st, size_t n)
{
	if (n > st->cap || !st->seg || (n > st->cap - st->n && flush(s, st) < 0) || s->failed)
		return NULL;
	return st->buf + st->n;
}

void store_used(struct store *s, struct stream *st, size_t n)
{
	st->n += n;
	s->appended += n;
}

int store_append(struct store *s, struct stream *st, const void *p, size_t n)
{
	if (s->failed || !n)
		return s->failed;
	if (n > st->cap) {
		int r = flush(s, st);
		s->appended += n;
		return r < 0 ? r : store_write(s, st, p, n);
	}
	uint8_t *room = store_reserve(s, st, n);
	if (!room)
		return s->failed;
	memcpy(room, p, n);
	store_used(s, st, n);
	return 0;
}

int store_clock(struct store *s, int64_t step, uint64_t before, uint64_t now)
{
	uint8_t b[16];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_u64(&body, (uint64_t)step);
	body_u64(&body, before);
	return store_record(s, J_CLOCK, now, b, body.n);
}

int store_record(struct store *s, unsigned type, uint64_t now, const void *payload, size_t n)
{
	/* Times in the journal go back only behind a record that says so. */
	if (type != J_CLOCK && type != J_HEAD && now + STORE_CLOCK_NS < s->last_ns &&
	    store_clock(s, (int64_t)(now - s->last_ns), s->last_ns, now) < 0)
		return s->failed;
	uint8_t *room = store_reserve(s, &s->journal, JOURNAL_HEADER + n + JOURNAL_HASH);
	if (!room)
		return s->failed ? s->failed : store_fail(s, -EMSGSIZE, "add a record to", "the journal");
	s->journal.n += journal_put(&s->chain, room, type, now, payload, n);
	if (type != J_HEAD)
		s->last_ns = now;
	s->appended += n + 1;
	s->ending |= type == J_STOP;
	return 0;
}

struct kept *store_keep(struct store *s, const char *name, uint32_t id, uint64_t size, uint64_t closed,
			const uint8_t hash[JOURNAL_HASH])
{
	if (s->nkept == s->capkept) {
		unsigned cap = s->capkept ? 2 * s->capkept : 64;
		struct kept *k = realloc(s->kept, cap * sizeof(*k));
		if (!k) {
			store_fail(s, -ENOMEM, "make room for", name);
			return NULL;
		}
		s->kept = k;
		s->capkept = cap;
	}
	struct kept *k = &s->kept[s->nkept++];
	*k = (struct kept){
		.id = id, .size = size, .closed = closed, .seq = s->chain.seq, .for_ever = !strncmp(name, "config/", 7)
	};
	snprintf(k->name, sizeof(k->name), "%s", name);
	memcpy(k->hash, hash, JOURNAL_HASH);
	return k;
}

int store_close_record(struct store *s, uint32_t id, uint32_t flags, uint64_t size, const uint8_t hash[JOURNAL_HASH],
		       const char *name, uint64_t now)
{
	uint8_t b[16 + JOURNAL_HASH + STORE_NAME];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	body_u32(&body, id);
	body_u32(&body, flags);
	body_u64(&body, size);
	body_bytes(&body, hash, JOURNAL_HASH);
	body_bytes(&body, name, strlen(name));
	return store_record(s, J_CLOSE, now, b, body.n);
}

int store_rotate(struct store *s, struct stream *st, uint64_t now)
{
	struct segment *g = st->seg;
	if (s->failed || !g || flush(s, st) < 0)
		return s->failed;
	if (st->current) {
		char name[STORE_NAME];
		numbered(st, ++st->number, name);
		if (renameat(s->dirfd, g->name, s->dirfd, name) < 0)
			return store_fail(s, -errno, "rename", g->name);
		memcpy(g->name, name, sizeof(name));
		/* CLOSE tells its new name: it must have it after a power cut. */
		if (store_sync_folder(s, name) < 0)
			return s->failed;
	}
	crypto_generichash_state h = g->hash;
	uint8_t hash[JOURNAL_HASH];
	crypto_generichash_final(&h, hash, sizeof(hash));
	g->closed = true;
	g->next = s->closing;
	s->closing = g;
	st->seg = NULL;
	if (!store_keep(s, g->name, g->id, g->size, now, hash))
		return s->failed;
	return store_close_record(s, g->id, 0, g->size, hash, g->name, now);
}

int store_file(struct store *s, const char *name, const void *p, size_t n, uint64_t now)
{
	struct stream *st = store_stream(s, "config", name, false, 0, NULL);
	if (!st)
		return s->failed;
	/* One number for all kept files, so that their order shows. */
	st->number = store_last_number(s, "config", "", false);
	snprintf(st->ext, sizeof(st->ext), "%s", "");
	int r = s->failed;
	struct segment *g = calloc(1, sizeof(*g));
	if (g) {
		snprintf(g->name, sizeof(g->name), "config/%04u-%s", st->number + 1, name);
		g->fd = openat(s->dirfd, g->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
		g->id = ++s->last_id;
		g->opened = now;
		g->dirty = true;
		crypto_generichash_init(&g->hash, NULL, 0, JOURNAL_HASH);
		st->seg = g;
		r = g->fd < 0 ? store_fail(s, -errno, "create", g->name) : open_record(s, g, now);
	} else {
		r = store_fail(s, -ENOMEM, "make room for", name);
	}
	if (!r)
		r = store_sync_dir(s, "config");
	if (!r && n)
		r = store_append(s, st, p, n);
	if (!r)
		r = store_rotate(s, st, now);
	s->streams = st->next;
	if (st->seg) {
		if (st->seg->fd >= 0)
			close(st->seg->fd);
		free(st->seg);
	}
	free(st);
	return r;
}

int store_journal_begin(struct store *s, uint64_t now)
{
	uint8_t b[160];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	int r = open_segment(s, &s->journal, now);
	if (r < 0)
		return r;
	body_bytes(&body, "skepjrnl", 8);
	body_u32(&body, JOURNAL_FORMAT);
	body_u32(&body, s->journal.number);
	body_bytes(&body, s->chain.hash, JOURNAL_HASH);
	seal_head(s, &body);
	r = store_record(s, J_HEAD, now, b, body.n);
	if (!r && !s->keys.committing)
		r = seal_epoch(s, J_SEAL_START, now);
	/* A reader of this file alone must know which files are kept for ever, and which are open. */
	for (unsigned i = 0; i < s->nkept && !r; i++)
		if (s->kept[i].for_ever && s->kept[i].committed)
			r = store_close_record(s, s->kept[i].id, J_CLOSE_AGAIN, s->kept[i].size, s->kept[i].hash,
					       s->kept[i].name, now);
	for (struct stream *st = s->streams; st && !r; st = st->next)
		if (st->seg)
			r = open_record(s, st->seg, now);
	return r;
}

static int check_free(struct store *s, struct err *e)
{
	struct statvfs v;
	if (s->io.fstatvfs(s->dirfd, &v) < 0)
		return err_sys(e, -errno, "cannot ask for the free space of the evidence directory");
	uint64_t left = (uint64_t)v.f_bavail * v.f_frsize;
	if (left >= s->conf.min_free)
		return 0;
	return err_set(
	    e, -ENOSPC,
	    "only %llu MiB are free where evidence is kept, and evidence.min_free wants %llu: free some space",
	    (unsigned long long)(left >> 20), (unsigned long long)(s->conf.min_free >> 20));
}

static int make_folder(struct store *s, const char *name, mode_t mode, struct err *e)
{
	if (mkdirat(s->dirfd, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "cannot make directory %s in the evidence directory", name);
	return 0;
}

int store_open(struct store *s, int dirfd, const char *text, const struct store_conf *c, const struct store_io *io,
	       uint64_t now, struct err *e)
{
	*s = (struct store){ .dirfd = dirfd, .io = *io, .conf = *c, .keys.fd = -1 };
	struct recovery *rec = NULL;
	if (sodium_init() < 0)
		return err_set(e, -ENOSYS, "cannot initialise libsodium");
	if (flock(dirfd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, -EBUSY, "another process writes to the evidence directory");
	int r = make_folder(s, "journal", 0750, e);
	if (!r)
		r = make_folder(s, "key", 0700, e);
	for (const char *const *f = store_folders; *f && !r; f++)
		r = make_folder(s, *f, 0750, e);
	if (!r && s->io.fdatasync(dirfd) < 0)
		r = err_sys(e, -errno, "cannot sync the evidence directory");
	if (!r)
		r = check_free(s, e);
	if (!r)
		r = recover_scan(s, &rec, now, e);
	if (r < 0)
		return r;
	struct stream *j = &s->journal;
	snprintf(j->base, sizeof(j->base), "journal");
	snprintf(j->ext, sizeof(j->ext), ".skj");
	j->number = store_last_number(s, j->base, j->ext, false);
	j->cap = 2 * JOURNAL_RECORD_MAX;
	j->buf = malloc(j->cap);
	j->whole = journal_whole;
	r = j->buf ? seal_open(s, s->chain.seq != 0, now) : store_fail(s, -ENOMEM, "make room for", "the journal");
	if (!r)
		r = store_journal_begin(s, now);
	if (!r)
		r = store_record(s, J_START, now, text, strlen(text));
	if (!r && s->keys.broke)
		r = recover_alarm(s, "key/seal", s->keys.broke, now);
	if (!r)
		r = recover_finish(s, rec, now);
	if (!r)
		r = store_commit(s, now);
	recover_free(rec);
	if (r < 0 && e)
		*e = s->why;
	return r;
}

static void free_segment(struct segment *g)
{
	if (g && g->fd >= 0)
		close(g->fd);
	free(g);
}

void store_free(struct store *s)
{
	while (s->streams) {
		struct stream *st = s->streams;
		s->streams = st->next;
		free_segment(st->seg);
		free(st->buf);
		free(st);
	}
	while (s->closing) {
		struct segment *g = s->closing;
		s->closing = g->next;
		free_segment(g);
	}
	free_segment(s->journal.seg);
	free(s->journal.buf);
	free(s->kept);
	free(s->series);
	free(s->snapshot);
	free(s->notes);
	seal_wipe(s);
	*s = (struct store){ .dirfd = -1, .failed = -ESHUTDOWN };
}

size_t json_whole(const uint8_t *p, size_t n)
{
	const uint8_t *last = n ? memrchr(p, '\n', n) : NULL;
	return last ? (size_t)(last - p) + 1 : 0;
}
