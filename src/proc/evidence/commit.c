/* SPDX-License-Identifier: ISC */
/* Commits: see the theory of operation in store.h. */
#include "proc/evidence/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMIT_FILES = 1000, COMMIT_ENTRY = 16 + JOURNAL_HASH };

uint64_t store_ticket(const struct store *s)
{
	return s->appended == s->covered ? s->begun : s->begun + 1;
}

uint64_t store_deadline(const struct store *s)
{
	return s->since && s->phase == COMMIT_IDLE ? s->since + STORE_COMMIT_NS : 0;
}

static int include(struct store *s, struct journal_body *b, struct segment *g)
{
	uint8_t hash[JOURNAL_HASH];
	crypto_generichash_state h = g->hash;
	crypto_generichash_final(&h, hash, sizeof(hash));
	body_u32(b, g->id);
	body_u32(b, 0);
	body_u64(b, g->size);
	body_bytes(b, hash, sizeof(hash));
	g->dirty = false;
	g->final = g->closed;
	s->syncing[s->nsyncing++] = g;
	/* Without an fd it was synced before it was closed. */
	return g->fd >= 0 ? syncer_add(&s->sync, g->fd) : 0;
}

static int begin(struct store *s)
{
	if (store_flush(s) < 0)
		return s->failed;
	if (!s->snapshot)
		s->snapshot = malloc(4 + COMMIT_FILES * COMMIT_ENTRY);
	if (!s->syncing)
		s->syncing = malloc(COMMIT_FILES * sizeof(*s->syncing));
	if (!s->snapshot || !s->syncing)
		return store_fail(s, -ENOMEM, "make room for", "a commit");
	struct journal_body b = { .p = s->snapshot, .cap = 4 + COMMIT_FILES * COMMIT_ENTRY };
	body_u32(&b, 0);
	s->nsyncing = 0;
	s->covered = s->appended;
	s->pending = 0;
	s->since = 0;
	int r = 0;
	for (struct segment *g = s->closing; g && !r && s->nsyncing < COMMIT_FILES; g = g->next)
		r = include(s, &b, g);
	for (struct stream *st = s->streams; st && !r; st = st->next) {
		if (!st->seg || !st->seg->dirty)
			continue;
		if (s->nsyncing == COMMIT_FILES) {
			s->appended++; /* the rest is for the next one */
			break;
		}
		r = include(s, &b, st->seg);
	}
	if (r < 0)
		return store_fail(s, r, "make room for", "a commit");
	struct journal_body count = { .p = s->snapshot, .cap = 4 };
	body_u32(&count, s->nsyncing);
	s->nsnapshot = b.n;
	s->begun++;
	s->phase = COMMIT_DATA;
#ifndef MUTANT_NO_FSYNC
	syncer_start(&s->sync);
#else
	s->sync.nfds = 0;
	syncer_start(&s->sync);
#endif
	return 0;
}

static int write_record(struct store *s, uint64_t now)
{
	if (store_record(s, J_COMMIT, now, s->snapshot, s->nsnapshot) < 0 || store_flush(s) < 0)
		return s->failed;
	if (syncer_add(&s->sync, s->journal.seg->fd) < 0)
		return store_fail(s, -ENOMEM, "make room for", "a commit");
	s->phase = COMMIT_JOURNAL;
	syncer_start(&s->sync);
	return 0;
}

static void drop_closed(struct store *s, struct segment *g)
{
	for (struct segment **p = &s->closing; *p; p = &(*p)->next) {
		if (*p == g) {
			*p = g->next;
			break;
		}
	}
	for (unsigned i = s->nkept; i-- > 0;) {
		if (s->kept[i].id == g->id) {
			s->kept[i].committed = true;
			break;
		}
	}
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

static int rotate_journal(struct store *s, uint64_t now)
{
	struct segment *g = s->journal.seg;
	uint8_t hash[JOURNAL_HASH];
	/* Records may have followed the commit. */
	if (s->io.fdatasync(g->fd) < 0)
		return store_fail(s, -errno, "sync", g->name);
	crypto_generichash_final(&g->hash, hash, sizeof(hash));
	s->journal.seg = NULL;
	struct kept *k = store_keep(s, g->name, g->id, g->size, now, hash);
	if (k && !store_journal_begin(s, now)) {
		k = &s->kept[s->nkept - 1];
		k->committed = true;
		store_close_record(s, g->id, 0, g->size, hash, g->name, now);
	}
	close(g->fd);
	free(g);
	return s->failed;
}

static int finish(struct store *s, uint64_t now)
{
	s->done++;
	s->phase = COMMIT_IDLE;
	for (unsigned i = 0; i < s->nsyncing; i++)
		if (s->syncing[i]->final)
			drop_closed(s, s->syncing[i]);
	for (struct stream *st = s->streams; st; st = st->next) {
		if (!st->cap && st->seg && !st->seg->dirty && st->seg->fd >= 0) {
			close(st->seg->fd);
			st->seg->fd = -1;
		}
	}
	struct statvfs v;
	if (s->io.fstatvfs(s->dirfd, &v) == 0)
		s->low = (uint64_t)v.f_bavail * v.f_frsize < s->conf.min_free;
	retain_unlink(s);
	/* Only when nothing waits to be written: then all of the old file is synced. */
	if (s->journal.seg->size > STORE_JOURNAL_BYTES && !s->journal.n && rotate_journal(s, now) < 0)
		return s->failed;
	return retain_apply(s, now);
}

int store_tick(struct store *s, uint64_t now, uint64_t mono, bool force)
{
	int result;
	unsigned failed;
	if (s->failed)
		return s->failed;
	if (s->phase == COMMIT_IDLE) {
		if (s->appended == s->covered)
			return 0;
		if (!s->since)
			s->since = mono ? mono : 1;
		if (!force && s->pending < STORE_COMMIT_BYTES && mono < s->since + STORE_COMMIT_NS)
			return 0;
		if (begin(s) < 0)
			return s->failed;
	}
	if (s->phase == COMMIT_DATA) {
		if (!syncer_done(&s->sync, &result, &failed))
			return 0;
		if (result < 0)
			return store_fail(s, result, "sync", "a file of the evidence directory");
		if (write_record(s, now) < 0)
			return s->failed;
	}
	if (!syncer_done(&s->sync, &result, &failed))
		return 0;
	if (result < 0)
		return store_fail(s, result, "sync", s->journal.seg->name);
	return finish(s, now);
}

int store_commit(struct store *s, uint64_t now)
{
	uint64_t ticket = store_ticket(s);
	while (!s->failed && !store_durable(s, ticket)) {
		if (s->phase != COMMIT_IDLE)
			syncer_wait(&s->sync);
		store_tick(s, now, 1, true);
	}
	return s->failed;
}
