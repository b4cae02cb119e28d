/* SPDX-License-Identifier: ISC */
/* Recovery: reading the journal of an earlier process. See recover.c. */
#include "proc/evidence/intro.h"
#include "proc/evidence/pcapng.h"
#include "proc/evidence/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct known *recover_by_id(struct recovery *r, uint32_t id)
{
	for (unsigned i = r->n; i-- > 0;)
		if (r->known[i].id == id)
			return &r->known[i];
	return NULL;
}

struct known *recover_by_name(struct recovery *r, const char *name)
{
	for (unsigned i = r->n; i-- > 0;)
		if (!strcmp(r->known[i].name, name))
			return &r->known[i];
	return NULL;
}

struct known *recover_add(struct recovery *r, uint32_t id, struct slice name)
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

struct finding *recover_find(struct recovery *r, unsigned type, const char *name, uint64_t size, const char *text)
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
		struct known *k = recover_by_id(r, id);
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
		k = recover_by_id(r, id);
		if (!k)
			k = recover_add(r, id, p);
		break;
	case J_CLOSE:
		if (!slice_le32(&p, &id) || !slice_le32(&p, &flags) || !slice_le64(&p, &size) ||
		    !slice_take(&p, JOURNAL_HASH, &hash))
			return;
		k = recover_by_id(r, id);
		if (!k)
			k = recover_add(r, id, p);
		if (!k)
			return;
		memset(k->name, 0, sizeof(k->name));
		p = slice_head(p, sizeof(k->name) - 1);
		memcpy(k->name, p.p, p.n);
		k->closed = true;
		k->size = size;
		/* Said again, it is not closed later. */
		if (!k->when || !(flags & J_CLOSE_AGAIN)) {
			k->when = rec->ns;
			k->seq = rec->seq;
		}
		memcpy(k->hash, hash.p, JOURNAL_HASH);
		/* Closed by recovery or as a journal: synced before it was said. */
		if (flags & (J_CLOSE_RECOVERED | J_CLOSE_AGAIN) || !strncmp(k->name, "journal/", 8)) {
			k->committed = size;
			memcpy(k->committed_hash, hash.p, JOURNAL_HASH);
		}
		break;
	case J_REMOVE:
		if (!slice_le64(&p, &size) || !slice_take(&p, JOURNAL_HASH, &hash))
			return;
		p = slice_head(p, sizeof(name) - 1);
		memcpy(name, p.p, p.n);
		k = recover_by_name(r, name);
		if (!k) /* named only in journal files that were removed, too */
			k = recover_add(r, 0, slice_of(name, strlen(name)));
		if (k) {
			k->removed = true;
			k->size = size;
			memcpy(k->hash, hash.p, JOURNAL_HASH);
		}
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
bool recover_map(struct store *s, const char *name, struct slice *out)
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

void recover_unmap(struct slice s)
{
	if (s.n)
		munmap((void *)s.p, s.n);
}

/* Not all that a process sees must have reached the disk. */
int recover_sync(struct store *s, const char *name)
{
	int fd = openat(s->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return store_fail(s, -errno, "open", name);
	int r = s->io.fdatasync(fd) < 0 ? store_fail(s, -errno, "sync", name) : 0;
	close(fd);
	return r;
}

bool recover_cut(struct store *s, const char *name, uint64_t size)
{
	int fd = openat(s->dirfd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = ftruncate(fd, (off_t)size) == 0;
	if (ok && s->io.fdatasync(fd) < 0)
		store_fail(s, -errno, "sync", name);
	close(fd);
	return ok;
}

/* False if nothing is left of it. */
bool recover_journal(struct store *s, struct recovery *r, const char *name)
{
	struct slice file, rest;
	struct journal_record rec;
	struct journal_chain chain;
	uint32_t number;
	bool damaged = false;
	if (!recover_map(s, name, &file)) {
		recover_find(r, J_ALARM, name, 0, "journal cannot be read");
		return true;
	}
	rest = file;
	if (journal_take_head(&chain, &rest, &rec, &number)) {
		/* The first file that is left may continue one that was removed. */
		bool joins = !r->begun || (chain.seq == s->chain.seq + 1 && rec.payload.n >= 48 &&
					   !memcmp(rec.payload.p + 16, s->chain.hash, JOURNAL_HASH));
		if (!joins)
			recover_find(r, J_ALARM, name, 0, "journal does not continue the one before it");
		s->chain = chain;
		r->begun = true;
		apply(s, r, &rec);
		seal_replay(s, &rec);
		while (journal_take(&s->chain, &rest, &rec)) {
			if (rec.type == J_SEAL && !journal_signed(&rec, s->keys.seal_pk))
				recover_find(r, J_ALARM, name, 0, "a SEAL is signed with a wrong key");
			apply(s, r, &rec);
			seal_replay(s, &rec);
		}
		if (rec.ns > r->last)
			r->last = rec.ns;
	}
	size_t good = file.n - rest.n;
#ifdef MUTANT_RECOVER_CUT_DAMAGE
	if (0) {
#else
	if (rest.n && journal_commit_after(file, good)) {
#endif
		char text[160];
		snprintf(text, sizeof(text), "journal is damaged at byte %zu, below a commit", good);
		recover_find(r, J_ALARM, name, good, text);
		damaged = true;
	} else if (rest.n) {
		damaged = !recover_cut(s, name, good);
		if (!damaged)
			recover_find(r, J_RECOVER, name, rest.n, "");
		else
			recover_find(r, J_ALARM, name, rest.n, "broken tail of the journal could not be cut off");
	}
	recover_unmap(file);
	/* Not even its HEAD was written: it never was one, and its number is free. */
	return good || damaged || unlinkat(s->dirfd, name, 0) < 0;
}
