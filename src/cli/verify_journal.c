/* SPDX-License-Identifier: ISC */
/* The journal: its chain, and what it says about files. See verify_core.h. */
#include "cli/verify_core.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOURNAL_MAX = 256 << 20 };

/* ---- what records say ------------------------------------------------------ */

static struct verify_file *by_id(struct verify *v, uint32_t id)
{
	for (size_t i = v->n; i-- > 0;)
		if (v->files[i].id == id)
			return &v->files[i];
	return NULL;
}

struct verify_file *verify_by_name(struct verify *v, const char *name)
{
	for (size_t i = v->n; i-- > 0;)
		if (!strcmp(v->files[i].name, name))
			return &v->files[i];
	return NULL;
}

static void set_name(struct verify_file *f, struct slice name)
{
	memset(f->name, 0, sizeof(f->name));
	name = slice_head(name, sizeof(f->name) - 1);
	slice_get(&name, f->name, name.n);
}

static struct verify_file *add(struct verify *v, uint32_t id, struct slice name, uint64_t seq)
{
	if (v->n == v->cap) {
		size_t cap = v->cap ? 2 * v->cap : 64;
		struct verify_file *f = realloc(v->files, cap * sizeof(*f));
		if (!f) {
			v->oom = true;
			return NULL;
		}
		v->files = f;
		v->cap = cap;
	}
	struct verify_file *f = &v->files[v->n++];
	*f = (struct verify_file){ .id = id, .named = seq };
	set_name(f, name);
	return f;
}

static void apply_close(struct verify *v, const struct journal_record *r, struct slice p)
{
	uint32_t id, flags;
	uint64_t size;
	struct slice hash;
	if (!slice_le32(&p, &id) || !slice_le32(&p, &flags) || !slice_le64(&p, &size) ||
	    !slice_take(&p, JOURNAL_HASH, &hash))
		return;
	struct verify_file *f = by_id(v, id);
	if (!f)
		f = add(v, id, p, r->seq);
	if (!f)
		return;
	set_name(f, p);
	f->closed = true;
	f->crashed = flags & 1;
	f->found |= (flags & 2) != 0;
	f->size = size;
	f->close_record = r->seq;
	memcpy(f->hash, hash.p, JOURNAL_HASH);
}

static void apply_commit(struct verify *v, const struct journal_record *r, struct slice p, const char *journal)
{
	uint32_t n, id, zero;
	uint64_t size;
	struct slice hash;
	if (!slice_le32(&p, &n))
		return;
	while (n-- && slice_le32(&p, &id) && slice_le32(&p, &zero) && slice_le64(&p, &size) &&
	       slice_take(&p, JOURNAL_HASH, &hash)) {
		struct verify_file *f = by_id(v, id);
		if (!f) {
			/* It may have been named in a journal file that retention removed. */
			if (v->r->began)
				verify_problem(v, VERIFY_DAMAGED, journal, -1, r->seq,
					       "commits file %u, which no record names", id);
			continue;
		}
		if (f->commit_record && size < f->committed)
			verify_problem(v, VERIFY_DAMAGED, journal, -1, r->seq,
				       "says that %s, to which is only added, became shorter", f->name);
		f->committed = size;
		f->commit_record = r->seq;
		memcpy(f->committed_hash, hash.p, JOURNAL_HASH);
	}
	v->r->commits++;
}

static void apply_remove(struct verify *v, const struct journal_record *r, struct slice p)
{
	uint64_t size;
	struct slice hash;
	char name[VERIFY_NAME] = "";
	if (!slice_le64(&p, &size) || !slice_take(&p, JOURNAL_HASH, &hash))
		return;
	struct slice text = slice_head(p, sizeof(name) - 1);
	slice_get(&text, name, text.n);
	struct verify_file *f = verify_by_name(v, name);
	if (!f)
		f = add(v, 0, p, r->seq);
	if (!f)
		return;
	f->removed = true;
	f->remove_record = r->seq;
	f->removed_size = size;
	memcpy(f->removed_hash, hash.p, JOURNAL_HASH);
}

static void check_anchors(struct verify *v, const struct journal_record *r)
{
	char time[40];
	for (unsigned i = 0; i < v->nanchors; i++) {
		const struct verify_anchor *a = &v->anchors[i];
		if (a->seq != r->seq)
			continue;
		verify_time(time, r->ns);
		bool same = (r->type == J_COMMIT || r->type == J_SEAL) && !memcmp(a->hash, r->hash, JOURNAL_HASH) &&
			    !strcmp(a->time, time);
		v->found[i] = same ? 1 : 2;
	}
}

static void journal_apply(struct verify *v, const char *journal, const struct journal_record *r)
{
	struct slice p = r->payload;
	uint32_t id;
	size_t n;
	check_anchors(v, r);
	v->r->records++;
	if (!v->r->first)
		v->r->first = r->seq;
	v->r->last = r->seq;
	if (r->type != J_COMMIT && r->type != J_SEAL)
		v->r->stopped = r->type == J_STOP;
	if (r->type == J_COMMIT || r->type == J_SEAL) {
		v->r->committed = r->seq;
		v->r->committed_ns = r->ns;
		memcpy(v->r->committed_hash, r->hash, JOURNAL_HASH);
	}
	switch (r->type) {
	case J_START:
		v->r->starts++;
		for (n = 0; n < p.n && n < sizeof(v->r->honeynet) - 1 && p.p[n] != ' ';)
			n++;
		memset(v->r->honeynet, 0, sizeof(v->r->honeynet));
		slice_get(&p, v->r->honeynet, n);
		break;
	case J_OPEN:
		if (slice_le32(&p, &id) && !by_id(v, id))
			add(v, id, p, r->seq);
		break;
	case J_CLOSE:
		apply_close(v, r, p);
		break;
	case J_REMOVE:
		apply_remove(v, r, p);
		break;
	case J_COMMIT:
		apply_commit(v, r, p, journal);
		break;
	case J_ALARM:
		verify_problem(v, VERIFY_ALARM, journal, -1, r->seq, "recorded when it was found: %.*s", (int)p.n,
			       (const char *)p.p);
		break;
	default:
		break;
	}
}

/* ---- the files of the journal ---------------------------------------------- */

static void add_name(void *arg, const char *name, bool regular)
{
	struct verify *v = arg;
	size_t n = strlen(name);
	/* Anything else is found later as a file that no record names. */
	if (!regular || n != 10 || strspn(name, "0123456789") != 6 || strcmp(name + 6, ".skj") != 0)
		return;
	if (v->njournals % 64 == 0) {
		void *more = realloc(v->journals, (v->njournals + 64) * sizeof(*v->journals));
		if (!more) {
			v->oom = true;
			return;
		}
		v->journals = more;
	}
	snprintf(v->journals[v->njournals++], VERIFY_NAME, "journal/%s", name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* A whole file in memory; p is NULL if it is empty. */
static int load(struct verify *v, const char *name, uint8_t **p, size_t *n)
{
	uint64_t size;
	int h = v->s->open(v->s->arg, name, &size);
	if (h < 0)
		return h;
	int r = size > JOURNAL_MAX ? -EFBIG : 0;
	uint8_t *b = r || !size ? NULL : malloc((size_t)size);
	size_t got = 0;
	if (!r && size && !b)
		r = -ENOMEM;
	while (!r && got < size) {
		ssize_t k = v->s->read(v->s->arg, h, got, b + got, (size_t)size - got);
		if (k < 0)
			r = (int)k;
		if (k <= 0)
			break;
		got += (size_t)k;
	}
	v->s->close(v->s->arg, h);
	if (r) {
		free(b);
		return r;
	}
	*p = b;
	*n = got;
	return 0;
}

/* Whether every number between two journal files was removed on record. */
static void check_gap(struct verify *v, uint32_t from, uint32_t to, bool all)
{
	/* Of those before the first that is left, the record may have gone with
	 * one of them: only that of the last must be there. */
	for (uint32_t i = all ? from : to - 1; i < to && i - from < 1000000; i++) {
		char name[VERIFY_NAME];
		snprintf(name, sizeof(name), "journal/%06u.skj", i);
		struct verify_file *f = verify_by_name(v, name);
		if (!f || !f->removed || f->remove_record > v->r->committed)
			verify_problem(v, VERIFY_MISSING, name, -1, 0,
				       "is not there, and no record says that it was removed");
	}
}

static void tail(struct verify *v, const char *name, struct slice file, size_t good, bool last, uint64_t seq)
{
	if (good == file.n)
		return;
	if (journal_commit_after(file, good))
		verify_problem(v, VERIFY_DAMAGED, name, (int64_t)good, seq + 1,
			       "is damaged: record %" PRIu64 " is not intact, and committed records stand behind it",
			       seq + 1);
	else if (!last)
		verify_problem(v, VERIFY_DAMAGED, name, (int64_t)good, seq + 1,
			       "is damaged: its last %zu bytes are no record, and another journal file follows",
			       file.n - good);
	else
		v->r->tail = file.n - good;
}

static void one_journal(struct verify *v, size_t i, struct journal_chain *c, uint32_t *before, bool *gap)
{
	const char *name = v->journals[i];
	uint32_t number = 0, own = (uint32_t)strtoul(name + 8, NULL, 10);
	bool last = i + 1 == v->njournals;
	uint8_t *p = NULL;
	size_t n = 0;
	int r = load(v, name, &p, &n);
	if (r < 0) {
		verify_problem(v, VERIFY_UNREADABLE, name, -1, 0, "cannot be read: %s", strerror(-r));
		*before = own;
		return;
	}
	v->r->journals++;
	struct slice file = slice_of(p, n), rest = file;
	struct journal_record rec;
	struct journal_chain from;
	bool head = journal_head(file, &from, &number);
	*gap = *gap || (*before && own != *before + 1);
	if (head && number != own)
		verify_problem(v, VERIFY_DAMAGED, name, 0, from.seq + 1, "says that it is journal file %u", number);
	bool joins = !*before || (from.seq == c->seq && !memcmp(from.hash, c->hash, JOURNAL_HASH));
	if (head && own == 1 && (from.seq || !sodium_is_zero(from.hash, JOURNAL_HASH)))
		verify_problem(v, VERIFY_DAMAGED, name, 0, from.seq + 1, "is the first one, and continues another");
	/* Over a removed file the chain cannot be followed: check_gap asks whether it was removed on record. */
	if (head && !joins && !(*gap && from.seq > c->seq))
		verify_problem(v, VERIFY_DAMAGED, name, 0, from.seq + 1,
			       "does not continue the journal file before it: records between %" PRIu64 " and %" PRIu64
			       " are missing or changed",
			       c->seq, from.seq);
	if (head) {
		for (unsigned a = 0; a < v->nanchors; a++)
			if (!v->r->first && from.seq && v->anchors[a].seq == from.seq)
				v->found[a] = memcmp(v->anchors[a].hash, from.hash, JOURNAL_HASH) ? 2 : 1;
		*c = from;
	}
	while (head && journal_take(c, &rest, &rec)) {
		if (rec.type == J_HEAD && rec.raw.p != file.p)
			verify_problem(v, VERIFY_DAMAGED, name, rest.p - file.p, rec.seq,
				       "a HEAD stands in the middle");
		verify_seal(v, name, &rec, *gap || !joins);
		*gap = false;
		journal_apply(v, name, &rec);
	}
	tail(v, name, file, file.n - rest.n, last, c->seq);
	*before = own;
	free(p);
}

static void gaps(struct verify *v)
{
	uint32_t before = 0;
	for (size_t i = 0; i < v->njournals; i++) {
		uint32_t own = (uint32_t)strtoul(v->journals[i] + 8, NULL, 10);
		if (own > before + 1)
			check_gap(v, before + 1, own, before != 0);
		before = own;
	}
}

int verify_journal(struct verify *v)
{
	struct journal_chain c = { .seq = 0 };
	uint32_t before = 0;
	bool gap = false;
	int r = v->s->list(v->s->arg, "journal", add_name, v);
	if (v->oom)
		return -ENOMEM;
	if (r < 0 && r != -ENOENT)
		return r;
	if (!v->njournals) {
		verify_problem(v, VERIFY_MISSING, "journal", -1, 0, "there is no journal");
		return 0;
	}
	qsort(v->journals, v->njournals, sizeof(*v->journals), by_text);
	v->r->began = !strcmp(v->journals[0], "journal/000001.skj");
	for (size_t i = 0; i < v->njournals; i++)
		one_journal(v, i, &c, &before, &gap);
	gaps(v);
	verify_seal_end(v);
	v->r->loose = v->r->last > v->r->committed ? v->r->last - v->r->committed : 0;
	if (!v->r->commits)
		verify_problem(v, VERIFY_DAMAGED, v->journals[0], 0, 0, "no intact commit is in the journal");
	return v->oom ? -ENOMEM : 0;
}

void verify_each_record(struct verify *v, verify_record_fn fn, void *arg)
{
	for (size_t i = 0; i < v->njournals; i++) {
		uint8_t *p = NULL;
		size_t n = 0;
		uint32_t number;
		struct journal_chain c;
		struct journal_record r;
		if (load(v, v->journals[i], &p, &n) < 0)
			continue;
		struct slice rest = slice_of(p, n);
		if (journal_head(rest, &c, &number))
			while (journal_take(&c, &rest, &r))
				fn(arg, &r);
		free(p);
	}
}
