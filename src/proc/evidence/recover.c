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
 * RECOVER records say how many bytes were cut off from which file. The chain
 * goes on in a new journal file.
 */
#include "proc/evidence/pcapng.h"
#include "proc/evidence/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct known {
	uint32_t id;
	char name[STORE_NAME];
	bool closed, removed, found;
	uint64_t size, committed, when;
	uint8_t hash[JOURNAL_HASH], committed_hash[JOURNAL_HASH];
};

/* What has to be recorded in the new journal file. */
struct finding {
	unsigned type; /* J_RECOVER, J_ALARM, or J_CLOSE */
	char name[STORE_NAME];
	char text[160];
	uint32_t id;
	uint64_t size;
	uint8_t hash[JOURNAL_HASH];
};

struct recovery {
	struct known *known;
	unsigned n, cap;
	struct finding *findings;
	unsigned nfindings, capfindings;
	bool begun; /* a journal file was read */
	bool oom;
};

static struct known *by_id(struct recovery *r, uint32_t id)
{
	for (unsigned i = r->n; i-- > 0;)
		if (r->known[i].id == id)
			return &r->known[i];
	return NULL;
}

static struct known *by_name(struct recovery *r, const char *name)
{
	for (unsigned i = r->n; i-- > 0;)
		if (!strcmp(r->known[i].name, name))
			return &r->known[i];
	return NULL;
}

static struct known *add_known(struct recovery *r, uint32_t id, struct slice name)
{
	if (r->n == r->cap) {
		unsigned cap = r->cap ? 2 * r->cap : 64;
		struct known *k = realloc(r->known, cap * sizeof(*k));
		if (!k) {
			r->oom = true;
			return NULL;
		}
		r->known = k;
		r->cap = cap;
	}
	struct known *k = &r->known[r->n++];
	*k = (struct known){ .id = id };
	name = slice_head(name, sizeof(k->name) - 1);
	memcpy(k->name, name.p, name.n);
	return k;
}

static struct finding *find(struct recovery *r, unsigned type, const char *name, uint64_t size, const char *text)
{
	if (r->nfindings == r->capfindings) {
		unsigned cap = r->capfindings ? 2 * r->capfindings : 16;
		struct finding *f = realloc(r->findings, cap * sizeof(*f));
		if (!f) {
			r->oom = true;
			return NULL;
		}
		r->findings = f;
		r->capfindings = cap;
	}
	struct finding *f = &r->findings[r->nfindings++];
	*f = (struct finding){ .type = type, .size = size };
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->text, sizeof(f->text), "%s", text);
	return f;
}

static void apply_commit(struct recovery *r, struct slice p)
{
	uint32_t n, id, zero;
	uint64_t size;
	struct slice hash;
	if (!slice_le32(&p, &n))
		return;
	while (n-- && slice_le32(&p, &id) && slice_le32(&p, &zero) && slice_le64(&p, &size) &&
	       slice_take(&p, JOURNAL_HASH, &hash)) {
		struct known *k = by_id(r, id);
		if (!k)
			continue;
		k->committed = size;
		memcpy(k->committed_hash, hash.p, JOURNAL_HASH);
	}
}

static void apply(struct store *s, struct recovery *r, const struct journal_record *rec)
{
	struct slice p = rec->payload, hash;
	uint32_t id = 0, flags;
	uint64_t size;
	char name[STORE_NAME] = "";
	struct known *k;
	switch (rec->type) {
	case J_OPEN:
		if (!slice_le32(&p, &id))
			return;
		k = by_id(r, id);
		if (!k)
			k = add_known(r, id, p);
		break;
	case J_CLOSE:
		if (!slice_le32(&p, &id) || !slice_le32(&p, &flags) || !slice_le64(&p, &size) ||
		    !slice_take(&p, JOURNAL_HASH, &hash))
			return;
		k = by_id(r, id);
		if (!k)
			k = add_known(r, id, p);
		if (!k)
			return;
		memset(k->name, 0, sizeof(k->name));
		p = slice_head(p, sizeof(k->name) - 1);
		memcpy(k->name, p.p, p.n);
		k->closed = true;
		k->size = size;
		k->when = rec->ns;
		memcpy(k->hash, hash.p, JOURNAL_HASH);
		/* Closed by recovery or as a journal: synced before it was said. */
		if (flags & J_CLOSE_RECOVERED || !strncmp(k->name, "journal/", 8)) {
			k->committed = size;
			memcpy(k->committed_hash, hash.p, JOURNAL_HASH);
		}
		break;
	case J_REMOVE:
		if (!slice_le64(&p, &size) || !slice_take(&p, JOURNAL_HASH, &hash))
			return;
		p = slice_head(p, sizeof(name) - 1);
		memcpy(name, p.p, p.n);
		k = by_name(r, name);
		if (k)
			k->removed = true;
		break;
	case J_COMMIT:
		apply_commit(r, p);
		break;
	default:
		break;
	}
	if (id > s->last_id)
		s->last_id = id;
}

/* Maps a whole file. An empty one gives an empty slice and true. */
static bool map_file(struct store *s, const char *name, struct slice *out)
{
	struct stat st;
	int fd = openat(s->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	*out = slice_of(NULL, 0);
	bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (ok && st.st_size > 0) {
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		ok = p != MAP_FAILED;
		if (ok)
			*out = slice_of(p, (size_t)st.st_size);
	}
	close(fd);
	return ok;
}

static void unmap(struct slice s)
{
	if (s.n)
		munmap((void *)s.p, s.n);
}

static bool cut(struct store *s, const char *name, uint64_t size)
{
	int fd = openat(s->dirfd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = ftruncate(fd, (off_t)size) == 0 && s->io.fdatasync(fd) == 0;
	close(fd);
	return ok;
}

static void read_journal(struct store *s, struct recovery *r, const char *name)
{
	struct slice file, rest;
	struct journal_record rec;
	struct journal_chain chain;
	uint32_t number;
	if (!map_file(s, name, &file)) {
		find(r, J_ALARM, name, 0, "journal cannot be read");
		return;
	}
	rest = file;
	if (journal_take_head(&chain, &rest, &rec, &number)) {
		/* The first file that is left may continue one that was removed. */
		bool joins = !r->begun || (chain.seq == s->chain.seq + 1 && rec.payload.n >= 48 &&
					   !memcmp(rec.payload.p + 16, s->chain.hash, JOURNAL_HASH));
		if (!joins)
			find(r, J_ALARM, name, 0, "journal does not continue the one before it");
		s->chain = chain;
		r->begun = true;
		apply(s, r, &rec);
		while (journal_take(&s->chain, &rest, &rec))
			apply(s, r, &rec);
	}
	size_t good = file.n - rest.n;
#ifdef MUTANT_RECOVER_CUT_DAMAGE
	if (0) {
#else
	if (rest.n && journal_commit_after(file, good)) {
#endif
		char text[160];
		snprintf(text, sizeof(text), "journal is damaged at byte %zu, below a commit", good);
		find(r, J_ALARM, name, good, text);
	} else if (rest.n) {
		if (cut(s, name, good))
			find(r, J_RECOVER, name, rest.n, "");
		else
			find(r, J_ALARM, name, rest.n, "broken tail of the journal could not be cut off");
	}
	unmap(file);
}

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

/* An open file of a process that is no more gets the name of a closed one. */
static void final_name(struct store *s, struct known *k)
{
	const char *ext = strchr(k->name, '.');
	if (strncmp(k->name, "console/", 8) != 0 || !ext || (ext[1] >= '0' && ext[1] <= '9'))
		return;
	char base[STORE_NAME], name[STORE_NAME];
	snprintf(base, sizeof(base), "%.*s", (int)(ext - k->name), k->name);
	for (uint32_t number = 1; number < 1000000; number++) {
		struct stat st;
		if (snprintf(name, sizeof(name), "%s.%06u%s", base, number, ext) >= (int)sizeof(name))
			return;
		if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	}
	if (renameat(s->dirfd, k->name, s->dirfd, name) == 0)
		memcpy(k->name, name, sizeof(name));
}

/* Checks a file that was open, or closed without a commit, cuts its tail and
 * closes it. */
static void close_leftover(struct store *s, struct recovery *r, struct known *k)
{
	struct slice f, head;
	uint8_t hash[JOURNAL_HASH];
	if (!map_file(s, k->name, &f)) {
		find(r, J_ALARM, k->name, k->committed, "file is gone or cannot be read");
		return;
	}
	bool intact = slice_sub(f, 0, (size_t)k->committed, &head);
	if (intact && k->committed) {
		hash_of(head, hash);
		intact = !memcmp(hash, k->committed_hash, JOURNAL_HASH);
	}
	if (!intact)
		find(r, J_ALARM, k->name, f.n, "file differs from what was committed");
	size_t whole = f.n;
	if (ends(k->name, ".pcapng"))
		whole = pcapng_whole(f.p, f.n);
	else if (ends(k->name, ".json"))
		whole = json_whole(f.p, f.n);
	/* Nothing is cut from a file that somebody changed. */
	if (intact && whole >= k->committed && whole < f.n) {
		if (cut(s, k->name, whole)) {
			find(r, J_RECOVER, k->name, f.n - whole, "");
			unmap(f);
			if (!map_file(s, k->name, &f))
				return;
		}
	}
	hash_of(f, hash);
	final_name(s, k);
	struct finding *c = find(r, J_CLOSE, k->name, f.n, "");
	if (c) {
		c->id = k->id;
		memcpy(c->hash, hash, sizeof(hash));
	}
	s->total += f.n;
	unmap(f);
}

static void check_file(struct store *s, struct recovery *r, const char *name)
{
	struct known *k = by_name(r, name);
	struct stat st;
	if (!k)
		k = add_known(r, ++s->last_id, slice_of(name, strlen(name)));
	if (!k || fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	k->found = true;
	if (k->removed) {
		/* The process died between the record and the unlink. */
		unlinkat(s->dirfd, name, 0);
		return;
	}
	if (!k->closed || k->committed != k->size) {
		close_leftover(s, r, k);
		return;
	}
	if ((uint64_t)st.st_size != k->size)
		find(r, J_ALARM, name, (uint64_t)st.st_size, "closed file changed its size");
	s->total += (uint64_t)st.st_size;
	struct kept *kept = store_keep(s, name, k->id, (uint64_t)st.st_size, k->when, k->hash);
	if (kept)
		kept->committed = true;
}

static int compare_closed(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	return x->closed < y->closed ? -1 : x->closed > y->closed;
}

int recover_scan(struct store *s, struct recovery **out, uint64_t now, struct err *e)
{
	static const char *const data[] = { "packets", "events", "console", "config" };
	struct recovery *r = calloc(1, sizeof(*r));
	unsigned n;
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	char **names = list(s, "journal", &n);
	for (unsigned i = 0; i < n; i++) {
		read_journal(s, r, names[i]);
		struct stat st;
		struct slice f;
		uint8_t hash[JOURNAL_HASH];
		if (fstatat(s->dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !map_file(s, names[i], &f))
			continue;
		hash_of(f, hash);
		struct kept *k = store_keep(s, names[i], 0, f.n, now, hash);
		if (k) {
			k->committed = true;
			k->closed = (uint64_t)st.st_mtim.tv_sec * EV_SEC;
		}
		s->total += f.n;
		unmap(f);
	}
	free_list(names, n);
	for (size_t d = 0; d < sizeof(data) / sizeof(data[0]); d++) {
		names = list(s, data[d], &n);
		for (unsigned i = 0; i < n; i++)
			check_file(s, r, names[i]);
		free_list(names, n);
	}
	for (unsigned i = 0; i < r->n; i++) {
		struct known *k = &r->known[i];
		bool journal = !strncmp(k->name, "journal/", 8);
		if (!k->found && !k->removed && !journal && (k->committed || k->closed))
			find(r, J_ALARM, k->name, k->committed, "file is gone");
	}
	if (s->nkept)
		qsort(s->kept, s->nkept, sizeof(*s->kept), compare_closed);
	if (r->oom || s->failed) {
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
			store_close_record(s, f->id, J_CLOSE_RECOVERED, f->size, f->hash, f->name, now);
			continue;
		}
		record_text(s, f->type, f, now);
		store_note(s, f->type == J_ALARM ? NOTE_ALARM : NOTE_RECOVERED, f->name, f->size, NULL, f->text);
	}
	return s->failed;
}

void recover_free(struct recovery *r)
{
	if (!r)
		return;
	free(r->known);
	free(r->findings);
	free(r);
}

/* "BASE/000012EXT" or "BASE.000012EXT" -> 12; 0 if it is not of that series. */
static uint32_t number_of(const char *name, const char *base, const char *ext, bool current)
{
	size_t n = strlen(base);
	if (strncmp(name, base, n) != 0 || name[n] != (current ? '.' : '/'))
		return 0;
	uint32_t v = 0;
	const char *p = name + n + 1;
	for (; *p >= '0' && *p <= '9' && v < 100000000; p++)
		v = v * 10 + (uint32_t)(*p - '0');
	return *ext && strcmp(p, ext) != 0 ? 0 : v;
}

uint32_t store_last_number(const struct store *s, const char *base, const char *ext, bool current)
{
	uint32_t last = 0;
	for (unsigned i = 0; i < s->nkept; i++) {
		uint32_t v = number_of(s->kept[i].name, base, ext, current);
		if (v > last)
			last = v;
	}
	return last;
}
