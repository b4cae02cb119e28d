/* SPDX-License-Identifier: ISC */
/*
 * Commits: see the theory of operation in store.h.
 *
 * A commit is done in one go. While a slow disk keeps us waiting in fdatasync,
 * the rings hold what arrives; the next commit then covers all of it at once,
 * so that the slower the disk is, the larger the groups are.
 */
#include "proc/evidence/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMIT_FILES = 1000, COMMIT_ENTRY = 16 + JOURNAL_HASH };

uint64_t store_ticket(const struct store *s)
{
	return s->appended == s->covered ? s->done : s->done + 1;
}

uint64_t store_deadline(const struct store *s)
{
	return s->since ? s->since + STORE_COMMIT_NS : 0;
}

static int sync_fd(struct store *s, int fd, const char *name)
{
#ifdef MUTANT_NO_FSYNC
	(void)s;
	(void)fd;
	(void)name;
	return 0;
#else
	/* Once only: after a failure the kernel may have thrown the pages away,
	 * and a second try would succeed over lost data. */
	return s->io.fdatasync(fd) < 0 ? store_fail(s, -errno, "sync", name) : 0;
#endif
}

/* Syncs one file, and says in the COMMIT record how far it is now. */
static int include(struct store *s, struct journal_body *b, struct segment *g)
{
	uint8_t hash[JOURNAL_HASH];
	crypto_generichash_state h = g->hash;
	/* Without an fd it was synced before it was closed. */
	if (g->fd >= 0 && sync_fd(s, g->fd, g->name) < 0)
		return s->failed;
	crypto_generichash_final(&h, hash, sizeof(hash));
	body_u32(b, g->id);
	body_u32(b, 0);
	body_u64(b, g->size);
	body_bytes(b, hash, sizeof(hash));
	g->dirty = false;
	return 0;
}

/* All that changed, as much as one record holds. 1: some are left. */
static int sync_all(struct store *s, struct journal_body *b, unsigned *n)
{
	for (struct segment *g = s->closing; g; g = g->next) {
		if (*n == COMMIT_FILES)
			return 1;
		if (include(s, b, g) < 0)
			return s->failed;
		++*n;
	}
	for (struct stream *st = s->streams; st; st = st->next) {
		if (!st->seg || !st->seg->dirty)
			continue;
		if (*n == COMMIT_FILES)
			return 1;
		if (include(s, b, st->seg) < 0)
			return s->failed;
		++*n;
	}
	return 0;
}

static void drop_closed(struct store *s)
{
	for (struct segment *g; (g = s->closing) && !g->dirty;) {
		s->closing = g->next;
		for (unsigned i = s->nkept; i-- > 0;) {
			if (s->kept[i].id == g->id) {
				s->kept[i].committed = true;
				break;
			}
		}
		store_close_fd(s, g);
		free(g);
	}
}

static int rotate_journal(struct store *s, uint64_t now)
{
	struct segment *g = s->journal.seg;
	uint8_t hash[JOURNAL_HASH];
	/* The footer: nothing stands behind it in this file. */
	if (seal_epoch(s, 0, now) < 0)
		return s->failed;
	crypto_generichash_final(&g->hash, hash, sizeof(hash));
	s->journal.seg = NULL;
	struct kept *k = store_keep(s, g->name, g->id, g->size, now, hash);
	if (k) {
		k->committed = true;
		if (!store_journal_begin(s, now))
			store_close_record(s, g->id, 0, g->size, hash, g->name, now);
	}
	store_close_fd(s, g);
	free(g);
	return s->failed;
}

static int commit(struct store *s, uint64_t now)
{
	unsigned n = 0;
	if (!s->snapshot)
		s->snapshot = malloc(4 + COMMIT_FILES * COMMIT_ENTRY + JOURNAL_KEY);
	if (!s->snapshot)
		return store_fail(s, -ENOMEM, "make room for", "a commit");
	struct journal_body b = { .p = s->snapshot, .cap = 4 + COMMIT_FILES * COMMIT_ENTRY };
	body_u32(&b, 0);
	if (store_flush(s) < 0)
		return s->failed;
	uint64_t covered = s->appended;
	int left = sync_all(s, &b, &n);
	if (left < 0)
		return s->failed;
	struct journal_body count = { .p = s->snapshot, .cap = 4 };
	body_u32(&count, n);
	if (seal_commit(s, s->snapshot, b.n, now) < 0 || store_flush(s) < 0 ||
	    sync_fd(s, s->journal.seg->fd, s->journal.seg->name) < 0)
		return s->failed;
	s->anchor = s->chain;
	s->anchor_ns = now;
	if (left)
		return 0;
	s->covered = covered;
	s->pending = 0;
	s->since = 0;
	s->done++;
	return 0;
}

static int after(struct store *s, uint64_t now)
{
	struct statvfs v;
	drop_closed(s);
	for (struct stream *st = s->streams; st; st = st->next)
		if (!st->cap && st->seg && !st->seg->dirty)
			store_close_fd(s, st->seg);
	if (s->io.fstatvfs(s->dirfd, &v) == 0)
		s->low = (uint64_t)v.f_bavail * v.f_frsize < s->conf.min_free;
	retain_unlink(s);
	if (s->ending)
		return seal_epoch(s, J_SEAL_END, now);
	if (s->journal.seg->size > STORE_JOURNAL_BYTES && rotate_journal(s, now) < 0)
		return s->failed;
	return retain_apply(s, now);
}

int store_commit(struct store *s, uint64_t now)
{
	uint64_t ticket = store_ticket(s);
	while (!s->failed && !store_durable(s, ticket))
		if (commit(s, now) == 0)
			after(s, now);
	return s->failed;
}

/* Somebody set the clock, or the computer slept. */
static void compare_clocks(struct store *s)
{
	uint64_t real, mono;
	if (!s->io.clocks)
		return;
	s->io.clocks(&real, &mono);
	int64_t step = (int64_t)(real - s->clock_real) - (int64_t)(mono - s->clock_mono);
	if (s->clock_mono && (step > (int64_t)STORE_CLOCK_NS || step < -(int64_t)STORE_CLOCK_NS))
		store_clock(s, step, s->clock_real, real);
	s->clock_real = real;
	s->clock_mono = mono;
}

int store_tick(struct store *s, uint64_t now, uint64_t mono)
{
	if (s->failed || s->ending)
		return s->failed;
	compare_clocks(s);
	if (!s->keys.from_mono)
		s->keys.from_mono = mono ? mono : 1;
	/* An epoch in which nothing happened is sealed too: it says so. */
	if (mono > s->keys.from_mono && mono - s->keys.from_mono >= STORE_EPOCH_NS && store_commit(s, now) == 0)
		return seal_epoch(s, 0, now);
	if (s->failed || s->appended == s->covered)
		return s->failed;
	if (!s->since)
		s->since = mono ? mono : 1;
	if (s->pending < STORE_COMMIT_BYTES && mono < s->since + STORE_COMMIT_NS)
		return 0;
	return store_commit(s, now);
}
