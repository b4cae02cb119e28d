/* SPDX-License-Identifier: ISC */
/*
 * Recovery. An earlier process may have been killed between any two
 * instructions, or the power cut. All journal files are read and their chain is
 * checked; they tell which files there must be and how far each was committed.
 *
 *  - What stands behind the last whole record of a journal, with no intact
 *    COMMIT behind it, is the tail of an interrupted write: it is cut off.
 *  - A file that was open is compared with its last commit, what is not a whole
 *    record at its end is cut off, and it is closed.
 *  - Anything that differs from what a commit said is damage: nothing is
 *    repaired, an ALARM record says what was found.
 *  - A file that no record names may have been made just before a crash: then
 *    it has a number above the last one that was recorded. It is closed, with a
 *    flag that says so. Any other was put there by somebody else: ALARM.
 * RECOVER records say how many bytes were cut off from which file. The chain
 * goes on in a new journal file. All that is claimed there is synced before.
 */
#include "proc/evidence/intro.h"
#include "proc/evidence/pcapng.h"
#include "proc/evidence/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The regular files of a folder, sorted, as "FOLDER/NAME" in one block each. */
static char **list(struct store *s, const char *folder, unsigned *n)
{
	int fd = openat(s->dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	unsigned cap = 0;
	*n = 0;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	for (struct dirent *e; (e = readdir(d));) {
		char *name = malloc(STORE_NAME);
		if (e->d_name[0] == '.' || !name ||
		    snprintf(name, STORE_NAME, "%s/%s", folder, e->d_name) >= STORE_NAME) {
			free(name);
			continue;
		}
		if (*n == cap) {
			cap = cap ? 2 * cap : 64;
			char **more = realloc(names, cap * sizeof(*names));
			if (!more) {
				free(name);
				break;
			}
			names = more;
		}
		names[(*n)++] = name;
	}
	closedir(d);
	if (*n)
		qsort(names, *n, sizeof(*names), by_text);
	return names;
}

static void free_list(char **names, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static bool ends(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);
	return n >= t && !strcmp(s + n - t, tail);
}

static void hash_of(struct slice f, uint8_t out[JOURNAL_HASH])
{
	crypto_generichash(out, JOURNAL_HASH, f.p, f.n, NULL, 0);
}

static bool is_current(const char *name)
{
	return !strncmp(name, "console/", 8) || !strncmp(name, "sessions/", 9);
}

/* Whether a file that no record names may be one of ours. */
static bool plausible(const struct store *s, const struct recovery *r, const char *name)
{
	char series[STORE_NAME];
	uint32_t number = name_split(name, series);
#ifdef MUTANT_RECOVER_TAKE_FOREIGN
	return true;
#endif
	if (s->keys.ended || !r->begun)
		return false;
	return number ? number > name_last(s, series) : is_current(name);
}

/* An open file of a process that is no more gets the name of a closed one: a
 * number above all that the series ever had, as far as the journal tells. */
static void final_name(struct store *s, struct known *k)
{
	char series[STORE_NAME], name[STORE_NAME];
	struct stat st;
	if (!is_current(k->name) || name_split(k->name, series))
		return;
	const char *ext = strchr(k->name, '.');
	uint32_t number = name_last(s, series);
	do {
		if (!ext || snprintf(name, sizeof(name), "%.*s.%06u%s", (int)(ext - k->name), k->name, ++number, ext) >=
				(int)sizeof(name))
			return;
	} while (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
	if (renameat(s->dirfd, k->name, s->dirfd, name) == 0) {
		memcpy(k->name, name, sizeof(name));
		store_sync_folder(s, name);
	}
}

/* A file that had been closed, and got its number, when the process died before
 * it could say so: the record still tells of its old name. */
static void renamed(struct store *s, struct recovery *r, const char *name)
{
	char open_name[STORE_NAME];
	struct slice f, head;
	uint8_t hash[JOURNAL_HASH];
	uint32_t number = name_split(name, open_name);
	if (!number || !is_current(name) || recover_by_name(r, name))
		return;
	struct known *k = recover_by_name(r, open_name);
	if (!k || k->closed || !recover_map(s, name, &f))
		return;
	bool same = slice_sub(f, 0, (size_t)k->committed, &head);
	if (same && k->committed) {
		hash_of(head, hash);
		same = !memcmp(hash, k->committed_hash, JOURNAL_HASH);
	} else if (same) {
		same = number > name_last(s, open_name);
	}
	recover_unmap(f);
	if (same)
		snprintf(k->name, sizeof(k->name), "%s", name);
}

/* Where text was never written: a hole that a power cut left. */
static size_t before_hole(struct slice f, size_t from, size_t whole)
{
	struct slice rest;
	if (whole <= from || !slice_sub(f, from, whole - from, &rest))
		return whole;
	const uint8_t *zero = memchr(rest.p, 0, rest.n);
	if (!zero)
		return whole;
	return from + json_whole(rest.p, (size_t)(zero - rest.p));
}

/* Checks a file that was open, or closed without a commit, cuts its tail and
 * closes it. */
static void close_leftover(struct store *s, struct recovery *r, struct known *k)
{
	struct slice f, head;
	uint8_t hash[JOURNAL_HASH];
	if (!recover_map(s, k->name, &f)) {
		recover_find(r, J_ALARM, k->name, k->committed, "file is gone or cannot be read");
		return;
	}
	bool intact = slice_sub(f, 0, (size_t)k->committed, &head);
	if (intact && k->committed) {
		hash_of(head, hash);
		intact = !memcmp(hash, k->committed_hash, JOURNAL_HASH);
	}
	if (!intact)
		recover_find(r, J_ALARM, k->name, f.n, "file differs from what was committed");
	size_t whole = f.n;
	if (ends(k->name, ".pcapng"))
		whole = pcapng_whole(f.p, f.n);
	else if (ends(k->name, ".json"))
		whole = before_hole(f, (size_t)k->committed, json_whole(f.p, f.n));
	else if (ends(k->name, ".skt"))
		whole = intro_whole(f.p, f.n); /* a hole is no record: its length is 0 */
	/* Nothing is cut from a file that somebody changed. */
	if (intact && whole >= k->committed && whole < f.n) {
		if (recover_cut(s, k->name, whole)) {
			recover_find(r, J_RECOVER, k->name, f.n - whole, "");
			recover_unmap(f);
			if (!recover_map(s, k->name, &f))
				return;
		}
	}
	hash_of(f, hash);
	final_name(s, k);
	recover_sync(s, k->name);
	struct finding *c = recover_find(r, J_CLOSE, k->name, f.n, "");
	if (c) {
		c->id = k->id;
		c->flags = J_CLOSE_RECOVERED | (k->unnamed ? J_CLOSE_FOUND : 0);
		memcpy(c->hash, hash, sizeof(hash));
	}
	s->total += f.n;
	recover_unmap(f);
}

/* The process died between the record and the unlink. False if it is not that file. */
static bool unlink_removed(struct store *s, const struct known *k)
{
	struct slice f;
	uint8_t hash[JOURNAL_HASH];
	if (!recover_map(s, k->name, &f))
		return false;
	hash_of(f, hash);
	bool same = f.n == k->size && !memcmp(hash, k->hash, JOURNAL_HASH);
	recover_unmap(f);
	if (!same || unlinkat(s->dirfd, k->name, 0) < 0)
		return false;
	/* It must not come back when the record of its removal is gone. */
	store_sync_folder(s, k->name);
	return true;
}

static void check_file(struct store *s, struct recovery *r, const char *name)
{
	struct known *k = recover_by_name(r, name);
	struct stat st;
	if (!k) {
		if (!plausible(s, r, name))
			recover_find(r, J_ALARM, name, 0, "no record names this file: somebody else made it");
		k = recover_add(r, ++s->last_id, slice_of(name, strlen(name)));
		if (k)
			k->unnamed = true;
	}
	if (!k || fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	k->found = true;
	if (k->removed && unlink_removed(s, k))
		return;
	if (k->removed) {
		recover_find(r, J_ALARM, name, 0, "was removed on record, and another file of that name is here");
		k = recover_add(r, ++s->last_id, slice_of(name, strlen(name)));
		if (!k)
			return;
		k->found = k->unnamed = true;
	}
	if (!k->closed || k->committed != k->size) {
		close_leftover(s, r, k);
		return;
	}
	if ((uint64_t)st.st_size != k->size)
		recover_find(r, J_ALARM, name, (uint64_t)st.st_size, "closed file changed its size");
	s->total += (uint64_t)st.st_size;
	struct kept *kept = store_keep(s, name, k->id, (uint64_t)st.st_size, k->when, k->hash);
	if (kept) {
		kept->committed = true;
		kept->seq = k->seq;
	}
}

static int compare_closed(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	/* A file whose CLOSE is the last record of a journal file is older than that. */
	bool jx = !strncmp(x->name, "journal/", 8), jy = !strncmp(y->name, "journal/", 8);
	return jx != jy ? jx - jy : strcmp(x->name, y->name);
}

static void check_closed(struct store *s, struct recovery *r)
{
	uint64_t left = RECOVER_HASH_BYTES;
	for (unsigned i = s->nkept; i-- > 0;) {
		const struct kept *k = &s->kept[i];
		struct slice f;
		uint8_t hash[JOURNAL_HASH];
		if (!strncmp(k->name, "journal/", 8))
			continue;
		if (k->size > left)
			return;
		left -= k->size;
		if (!recover_map(s, k->name, &f)) {
			recover_find(r, J_ALARM, k->name, k->size, "closed file cannot be read");
			continue;
		}
		hash_of(f, hash);
		if (f.n == k->size && memcmp(hash, k->hash, JOURNAL_HASH) != 0)
			recover_find(r, J_ALARM, k->name, k->size, "closed file was changed");
		recover_unmap(f);
	}
}

int recover_scan(struct store *s, struct recovery **out, uint64_t now, struct err *e)
{
	struct recovery *r = calloc(1, sizeof(*r));
	unsigned n;
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	char **names = list(s, "journal", &n);
	for (unsigned i = 0; i < n; i++) {
		bool there = recover_journal(s, r, names[i]);
		if (i + 1 == n && there)
			recover_sync(s, names[i]);
		if (i + 1 == n)
			store_sync_dir(s, "journal");
		struct slice f;
		uint8_t hash[JOURNAL_HASH];
		if (!recover_map(s, names[i], &f))
			continue;
		hash_of(f, hash);
		struct kept *k = store_keep(s, names[i], 0, f.n, r->last ? r->last : now, hash);
		if (k)
			k->committed = true;
		s->total += f.n;
		recover_unmap(f);
	}
	free_list(names, n);
	for (unsigned i = 0; i < r->n; i++)
		r->oom |= name_note(s, r->known[i].name) < 0;
	for (const char *const *d = store_folders; *d; d++) {
		names = list(s, *d, &n);
		for (unsigned i = 0; i < n; i++)
			renamed(s, r, names[i]);
		/* In the order of their numbers, so that those that are found are told
		 * in it: a crash in between leaves the highest for the next start. */
		for (unsigned i = 0; i < n; i++)
			check_file(s, r, names[i]);
		free_list(names, n);
	}
	for (unsigned i = 0; i < r->n; i++) {
		struct known *k = &r->known[i];
		bool journal = !strncmp(k->name, "journal/", 8);
		if (!k->found && !k->removed && !journal && (k->committed || k->closed))
			recover_find(r, J_ALARM, k->name, k->committed, "file is gone");
	}
	for (unsigned i = 0; i < r->n; i++)
		r->oom |= name_note(s, r->known[i].name) < 0;
	if (s->nkept)
		qsort(s->kept, s->nkept, sizeof(*s->kept), compare_closed);
	check_closed(s, r);
	if (s->failed && !r->oom) {
		recover_free(r);
		return err_set(e, s->failed, "%s", s->why.text);
	}
	if (r->oom) {
		recover_free(r);
		return err_set(e, -ENOMEM, "out of memory while reading the journal");
	}
	*out = r;
	return 0;
}

static int record_text(struct store *s, unsigned type, const struct finding *f, uint64_t now)
{
	uint8_t b[8 + 2 + STORE_NAME + 160];
	struct journal_body body = { .p = b, .cap = sizeof(b) };
	if (type == J_RECOVER)
		body_u64(&body, f->size);
	body_bytes(&body, f->name, strlen(f->name));
	if (type == J_ALARM) {
		body_bytes(&body, ": ", 2);
		body_bytes(&body, f->text, strlen(f->text));
	}
	return store_record(s, type, now, b, body.n);
}

int recover_finish(struct store *s, struct recovery *r, uint64_t now)
{
	for (unsigned i = 0; i < r->nfindings && !s->failed; i++) {
		const struct finding *f = &r->findings[i];
		if (f->type == J_CLOSE) {
			struct kept *k = store_keep(s, f->name, f->id, f->size, now, f->hash);
			if (k)
				k->committed = true;
			store_close_record(s, f->id, f->flags, f->size, f->hash, f->name, now);
			continue;
		}
		record_text(s, f->type, f, now);
		store_note(s, f->type == J_ALARM ? NOTE_ALARM : NOTE_RECOVERED, f->name, f->size, NULL, f->text);
	}
	return s->failed;
}

int recover_alarm(struct store *s, const char *name, const char *text, uint64_t now)
{
	struct finding f = { .type = J_ALARM };
	snprintf(f.name, sizeof(f.name), "%s", name);
	snprintf(f.text, sizeof(f.text), "%s", text);
	store_note(s, NOTE_ALARM, name, 0, NULL, text);
	return record_text(s, J_ALARM, &f, now);
}

void recover_free(struct recovery *r)
{
	if (!r)
		return;
	free(r->known);
	free(r->findings);
	free(r);
}
