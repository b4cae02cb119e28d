/* SPDX-License-Identifier: ISC */
#include "cli/export_sort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUN_BUFFER = 64 << 10 };

struct item {
	uint64_t time, seq;
	size_t off;
	uint32_t len, tag;
};

/* As in the temporary file, before its bytes. */
struct head {
	uint64_t time, seq;
	uint32_t len, tag;
};

/* A sorted part of the temporary file, and how far it has been read. */
struct run {
	uint64_t at, end;
	uint8_t *buf;
	size_t from, n, cap; /* buffered: n bytes from `from` on */
	struct head h;       /* of the record in front */
};

struct sorter {
	size_t memory;
	uint8_t *buf;
	size_t used, cap;
	struct item *items;
	size_t n, room;
	uint64_t seq, size;
	int fd;
	char folder[512];
	struct run *runs;
	unsigned nruns;
};

struct sorter *sorter_new(size_t memory, const char *folder)
{
	struct sorter *s = calloc(1, sizeof(*s));
	const char *tmp = getenv("TMPDIR");
	if (!s)
		return NULL;
	s->memory = memory;
	s->fd = -1;
	snprintf(s->folder, sizeof(s->folder), "%s", folder && *folder ? folder : tmp && *tmp ? tmp : "/tmp");
	return s;
}

void sorter_free(struct sorter *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->nruns; i++)
		free(s->runs[i].buf);
	if (s->fd >= 0)
		close(s->fd);
	free(s->runs);
	free(s->items);
	free(s->buf);
	free(s);
}

uint64_t sorter_count(const struct sorter *s)
{
	return s->seq;
}

unsigned sorter_runs(const struct sorter *s)
{
	return s->nruns;
}

static int by_time(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

static int temporary(struct sorter *s, struct err *e)
{
	char path[600];
	s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/.skep-sort-XXXXXX", s->folder);
	s->fd = mkostemp(path, O_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, -errno, "cannot make a temporary file in %s", s->folder);
	unlink(path);
	return 0;
}

static int put(struct sorter *s, FILE *f, const struct item *it)
{
	struct head h = { .time = it->time, .seq = it->seq, .len = it->len, .tag = it->tag };
	s->size += sizeof(h) + it->len;
	if (fwrite(&h, sizeof(h), 1, f) != 1)
		return -1;
	return !it->len || fwrite(s->buf + it->off, 1, it->len, f) == it->len ? 0 : -1;
}

/* What is in memory becomes a run. */
static int spill(struct sorter *s, struct err *e)
{
	struct run *runs = realloc(s->runs, (s->nruns + 1) * sizeof(*runs));
	if (!runs)
		return err_set(e, -ENOMEM, "out of memory");
	s->runs = runs;
	if (s->fd < 0 && temporary(s, e) < 0)
		return e ? e->code : -EIO;
	int fd = dup(s->fd);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, -errno, "cannot sort");
	}
	uint64_t from = s->size;
	bool ok = true;
	qsort(s->items, s->n, sizeof(*s->items), by_time);
	for (size_t i = 0; i < s->n && ok; i++)
		ok = put(s, f, &s->items[i]) == 0;
	if (fclose(f) || !ok)
		return err_set(e, -ENOSPC, "cannot write the temporary file in %s: is the disk full?", s->folder);
	s->runs[s->nruns++] = (struct run){ .at = from, .end = s->size };
	s->n = s->used = 0;
	return 0;
}

int sorter_add(struct sorter *s, uint64_t time, uint32_t tag, struct slice record, struct err *e)
{
	if (s->n && s->used + record.n + (s->n + 1) * sizeof(*s->items) > s->memory && spill(s, e) < 0)
		return e ? e->code : -EIO;
	if (record.n > UINT32_MAX)
		return err_set(e, -E2BIG, "a record is too long");
	if (record.n > s->cap - s->used) {
		size_t cap = s->cap ? 2 * s->cap : 1 << 16;
		while (cap - s->used < record.n)
			cap *= 2;
		uint8_t *p = realloc(s->buf, cap);
		if (!p)
			return err_set(e, -ENOMEM, "out of memory");
		s->buf = p;
		s->cap = cap;
	}
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 1024;
		struct item *p = realloc(s->items, room * sizeof(*p));
		if (!p)
			return err_set(e, -ENOMEM, "out of memory");
		s->items = p;
		s->room = room;
	}
	if (record.n)
		memcpy(s->buf + s->used, record.p, record.n);
	s->items[s->n++] =
	    (struct item){ .time = time, .seq = s->seq++, .off = s->used, .len = (uint32_t)record.n, .tag = tag };
	s->used += record.n;
	return 0;
}

/* ---- merging ----------------------------------------------------------------- */

/* Makes sure that at least want bytes are buffered; false at the end or on an error. */
static bool fill(const struct sorter *s, struct run *r, size_t want)
{
	if (r->n >= want)
		return true;
	if (r->n)
		memmove(r->buf, r->buf + r->from, r->n);
	r->from = 0;
	size_t cap = want > RUN_BUFFER ? want : RUN_BUFFER;
	if (cap > r->cap) {
		uint8_t *p = realloc(r->buf, cap);
		if (!p)
			return false;
		r->buf = p;
		r->cap = cap;
	}
	while (r->n < want && r->at < r->end) {
		uint64_t left = r->end - r->at;
		size_t n = r->cap - r->n < left ? r->cap - r->n : (size_t)left;
		ssize_t got = pread(s->fd, r->buf + r->n, n, (off_t)r->at);
		if (got <= 0)
			return false;
		r->n += (size_t)got;
		r->at += (uint64_t)got;
	}
	return r->n >= want;
}

/* The next record to the front of the buffer. 1, 0 at the end, -1 on an error. */
static int front(const struct sorter *s, struct run *r)
{
	if (!r->n && r->at == r->end)
		return 0;
	if (!fill(s, r, sizeof(r->h)))
		return -1;
	memcpy(&r->h, r->buf + r->from, sizeof(r->h));
	return fill(s, r, sizeof(r->h) + r->h.len) ? 1 : -1;
}

static void pop(struct run *r)
{
	r->from += sizeof(r->h) + r->h.len;
	r->n -= sizeof(r->h) + r->h.len;
}

static bool before(const struct run *a, const struct run *b)
{
#ifdef MUTANT_EXPORT_RUNS_UNMERGED
	return a->h.seq < b->h.seq;
#endif
	return a->h.time != b->h.time ? a->h.time < b->h.time : a->h.seq < b->h.seq;
}

/* heap[0] comes first. */
static void sift(struct run **heap, unsigned n, unsigned i)
{
	for (;;) {
		unsigned c = 2 * i + 1;
		if (c >= n)
			return;
		if (c + 1 < n && before(heap[c + 1], heap[c]))
			c++;
		if (!before(heap[c], heap[i]))
			return;
		struct run *t = heap[i];
		heap[i] = heap[c];
		heap[c] = t;
		i = c;
	}
}

static int merge(struct sorter *s, sorted_fn fn, void *arg, struct err *e)
{
	struct run **heap = calloc(s->nruns, sizeof(struct run *));
	unsigned n = 0;
	int got = heap ? 1 : -1;
	for (unsigned i = 0; i < s->nruns && got >= 0; i++) {
		got = front(s, &s->runs[i]);
		if (got > 0)
			heap[n++] = &s->runs[i];
	}
	for (unsigned i = n; i-- > 0;)
		sift(heap, n, i);
	while (n && got >= 0) {
		struct run *r = heap[0];
		if (!fn(arg, r->h.time, r->h.tag, slice_of(r->buf + r->from + sizeof(r->h), r->h.len)))
			break;
		pop(r);
		got = front(s, r);
		if (got == 0)
			heap[0] = heap[--n];
		sift(heap, n, 0);
	}
	free(heap);
	return got < 0 ? err_set(e, -EIO, "cannot read the temporary file in %s", s->folder) : 0;
}

int sorter_run(struct sorter *s, sorted_fn fn, void *arg, struct err *e)
{
	if (s->nruns) {
		if (s->n && spill(s, e) < 0)
			return e ? e->code : -EIO;
		return merge(s, fn, arg, e);
	}
	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), by_time);
	for (size_t i = 0; i < s->n; i++) {
		const struct item *it = &s->items[i];
		if (!fn(arg, it->time, it->tag, slice_of(s->buf + it->off, it->len)))
			break;
	}
	return 0;
}
