/* SPDX-License-Identifier: ISC */
/* The files that the journal tells of, and those it does not. See verify_core.h. */
#include "cli/verify_core.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHUNK = 1 << 16, PROGRESS = 1 << 24 };

const char *verify_kind_name(enum verify_kind k)
{
	static const char *const names[] = { "damaged", "missing", "changed", "unrecorded", "unreadable",
					     "totals",  "alarm",   "anchor",  "signature",  "time" };
	return k < sizeof(names) / sizeof(names[0]) ? names[k] : "?";
}

void verify_problem(struct verify *v, enum verify_kind k, const char *file, int64_t offset, uint64_t record,
		    const char *fmt, ...)
{
	struct verify_report *r = v->r;
	va_list ap;
	if (!r->problems)
		r->problems = calloc(VERIFY_PROBLEMS, sizeof(*r->problems));
	if (!r->problems)
		v->oom = true;
	if (r->nproblems++ >= VERIFY_PROBLEMS || !r->problems)
		return;
	struct verify_problem *p = &r->problems[r->nproblems - 1];
	*p = (struct verify_problem){ .kind = k, .offset = offset, .record = record };
	snprintf(p->file, sizeof(p->file), "%s", file);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

void verify_time(char out[40], uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000u);
	struct tm tm;
	char day[24] = "?";
	if (gmtime_r(&t, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 40, "%s.%09uZ", day, (unsigned)(ns % 1000000000u));
}

bool verify_anchor_parse(const char *text, struct verify_anchor *out)
{
	struct verify_anchor a = { .seq = 0 };
	char hex[65] = "", number[21] = "", end;
	size_t n = strcspn(text, "\r\n");
	if (n >= sizeof(a.text))
		return false;
	memcpy(a.text, text, n);
	if (sscanf(a.text, "skep-anchor-1:%31[a-z0-9-]:%20[0-9]:%64[0-9a-f]:%39[0-9TZ:.-]%c", a.honeynet, number, hex,
		   a.time, &end) != 4)
		return false;
	errno = 0;
	a.seq = strtoull(number, NULL, 10);
	size_t len;
	if (errno || !a.seq || sodium_hex2bin(a.hash, sizeof(a.hash), hex, strlen(hex), NULL, &len, NULL) != 0 ||
	    len != sizeof(a.hash))
		return false;
	*out = a;
	return true;
}

/* ---- a closer look at a changed file --------------------------------------- */

struct narrow {
	const struct verify_file *f;
	struct verify *v;
	int handle;
	crypto_generichash_state h;
	uint64_t at, good, bad, record;
	bool done;
};

static bool hash_to(struct narrow *n, uint64_t to)
{
	uint8_t buf[4096];
	while (n->at < to) {
		size_t want = to - n->at < sizeof(buf) ? (size_t)(to - n->at) : sizeof(buf);
		ssize_t k = n->v->s->read(n->v->s->arg, n->handle, n->at, buf, want);
		if (k <= 0)
			return false;
		crypto_generichash_update(&n->h, buf, (size_t)k);
		n->at += (uint64_t)k;
	}
	return true;
}

/* Every COMMIT of the file vouches for a longer part of it: the first that does
 * not agree says where the change is. */
static void on_commit(void *arg, const struct journal_record *r)
{
	struct narrow *n = arg;
	struct slice p = r->payload, hash;
	uint32_t count, id, zero;
	uint64_t size;
	if (n->done || r->type != J_COMMIT || !slice_le32(&p, &count))
		return;
	while (count-- && slice_le32(&p, &id) && slice_le32(&p, &zero) && slice_le64(&p, &size) &&
	       slice_take(&p, JOURNAL_HASH, &hash)) {
		if (id != n->f->id || size < n->at)
			continue;
		uint8_t got[JOURNAL_HASH];
		bool there = hash_to(n, size);
		crypto_generichash_state h = n->h;
		crypto_generichash_final(&h, got, sizeof(got));
		if (there && !memcmp(got, hash.p, JOURNAL_HASH)) {
			n->good = size;
			continue;
		}
		n->bad = size;
		n->record = r->seq;
		n->done = true;
		return;
	}
}

static void changed(struct verify *v, const struct verify_file *f, uint64_t record)
{
	uint64_t size;
	struct narrow n = { .f = f, .v = v, .bad = f->closed ? f->size : f->committed, .record = record };
	n.handle = v->s->open(v->s->arg, f->name, &size);
	if (n.handle >= 0) {
		crypto_generichash_init(&n.h, NULL, 0, JOURNAL_HASH);
		verify_each_record(v, on_commit, &n);
		v->s->close(v->s->arg, n.handle);
	}
	verify_problem(v, VERIFY_CHANGED, f->name, (int64_t)n.good, n.record,
		       "was changed: the first byte that differs is between %" PRIu64 " and %" PRIu64, n.good, n.bad);
}

/* ---- one file -------------------------------------------------------------- */

static bool is_packets(const char *name)
{
	return !strncmp(name, "packets/", 8);
}

/* The hash of the first `to` bytes, and of the first `from` <= to. */
static int hash_file(struct verify *v, int handle, const char *name, uint64_t from, uint64_t to,
		     struct verify_pcap *pcap, uint8_t mid[JOURNAL_HASH], uint8_t end[JOURNAL_HASH])
{
	uint8_t buf[CHUNK];
	crypto_generichash_state h, copy;
	crypto_generichash_init(&h, NULL, 0, JOURNAL_HASH);
	for (uint64_t at = 0;;) {
		if (at == from) {
			copy = h;
			crypto_generichash_final(&copy, mid, JOURNAL_HASH);
		}
		if (at == to)
			break;
		uint64_t stop = at < from ? from : to;
		size_t want = stop - at < sizeof(buf) ? (size_t)(stop - at) : sizeof(buf);
		ssize_t k = v->s->read(v->s->arg, handle, at, buf, want);
		if (k < 0)
			return (int)k;
		if (!k)
			return -ENODATA;
		crypto_generichash_update(&h, buf, (size_t)k);
		if (pcap)
			verify_pcap_feed(pcap, slice_of(buf, (size_t)k));
		if (v->s->progress && (v->r->bytes + (uint64_t)k) / PROGRESS != v->r->bytes / PROGRESS)
			v->s->progress(v->s->arg, name, v->r->bytes, v->total);
		at += (uint64_t)k;
		v->r->bytes += (uint64_t)k;
	}
	crypto_generichash_final(&h, end, JOURNAL_HASH);
	v->r->files++;
	return 0;
}

static void check_bytes(struct verify *v, struct verify_file *f, int handle, uint64_t size, bool closed)
{
	uint8_t mid[JOURNAL_HASH], end[JOURNAL_HASH];
	uint64_t to = closed ? f->size : f->committed;
	struct verify_pcap *pcap = is_packets(f->name) ? verify_pcap_new() : NULL;
	int r = hash_file(v, handle, f->name, f->commit_record ? f->committed : to, to, pcap, mid, end);
	char text[200];
	const char *totals = pcap ? verify_pcap_end(pcap, closed && !f->crashed, &v->r->frames, text) : NULL;
	verify_pcap_free(pcap);
	if (r < 0) {
		verify_problem(v, VERIFY_UNREADABLE, f->name, -1, f->named, "cannot be read to its end: %s",
			       strerror(-r));
		return;
	}
	bool same = !f->commit_record || !memcmp(mid, f->committed_hash, JOURNAL_HASH);
	bool same_end = !closed || !memcmp(end, f->hash, JOURNAL_HASH);
#ifdef MUTANT_VERIFY_NO_HASH
	same = same_end = true;
#endif
	if (!same || !same_end)
		changed(v, f, !same ? f->commit_record : f->close_record);
	else if (totals)
		verify_problem(v, VERIFY_TOTALS, f->name, -1, f->close_record, "%s", totals);
	if (!closed)
		v->r->beyond += size - to;
}

static void check_removed(struct verify *v, struct verify_file *f)
{
	uint64_t size;
	uint8_t mid[JOURNAL_HASH], end[JOURNAL_HASH];
	v->r->removed++;
	v->r->removed_bytes += f->removed_size;
	int h = v->s->open(v->s->arg, f->name, &size);
	if (h == -ENOENT)
		return;
	f->seen = true;
	/* A crash between the record and the removal, or somebody who put it back. */
	bool same = h >= 0 && size == f->removed_size && hash_file(v, h, f->name, 0, size, NULL, mid, end) == 0 &&
		    !memcmp(end, f->removed_hash, JOURNAL_HASH);
	if (h >= 0)
		v->s->close(v->s->arg, h);
	if (!same)
		verify_problem(v, VERIFY_UNRECORDED, f->name, -1, f->remove_record,
			       "was removed on record, and another file of that name is there");
}

static void check_file(struct verify *v, struct verify_file *f)
{
	uint64_t size, record = f->commit_record > f->close_record ? f->commit_record : f->close_record;
	bool closed = f->closed && f->close_record <= v->r->committed;
	bool claimed = closed || f->commit_record || f->named <= v->r->committed;
	/* A name that came back: the entry behind this one is about the file that is there. */
	if (f->removed && f->remove_record <= v->r->committed) {
		if (verify_by_name(v, f->name) == f)
			check_removed(v, f);
		else {
			v->r->removed++;
			v->r->removed_bytes += f->removed_size;
		}
		return;
	}
	v->r->closed += f->closed;
	v->r->open += !f->closed;
	v->r->found += f->found;
	int h = v->s->open(v->s->arg, f->name, &size);
	if (h < 0) {
		if (h != -ENOENT)
			verify_problem(v, VERIFY_UNREADABLE, f->name, -1, f->named, "cannot be read: %s", strerror(-h));
		else if (claimed)
			verify_problem(v, VERIFY_MISSING, f->name, -1, record ? record : f->named, "is missing");
		return;
	}
	f->seen = true;
	uint64_t least = closed ? f->size : f->committed;
	if (closed && f->commit_record && f->committed > f->size)
		verify_problem(v, VERIFY_CHANGED, f->name, (int64_t)f->size, f->close_record,
			       "was closed with %" PRIu64 " bytes, and %" PRIu64 " had been committed", f->size,
			       f->committed);
	else if (size < least)
		verify_problem(v, VERIFY_CHANGED, f->name, (int64_t)size, record,
			       "has %" PRIu64 " bytes: %" PRIu64 " of the %" PRIu64 " recorded are missing", size,
			       least - size, least);
	else if (closed && size > least)
		verify_problem(v, VERIFY_CHANGED, f->name, (int64_t)least, record,
			       "has %" PRIu64 " bytes more than the %" PRIu64 " recorded", size - least, least);
	else
		check_bytes(v, f, h, size, closed);
	v->s->close(v->s->arg, h);
}

/* ---- what no record names -------------------------------------------------- */

struct listing {
	struct verify *v;
	const char *folder;
	struct verify_file **sorted;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct verify_file *const *)a)->name, (*(struct verify_file *const *)b)->name);
}

static int by_key(const void *key, const void *f)
{
	return strcmp(key, (*(struct verify_file *const *)f)->name);
}

static void on_entry(void *arg, const char *entry, bool regular)
{
	struct listing *l = arg;
	char name[VERIFY_NAME];
	snprintf(name, sizeof(name), "%s/%s", l->folder, entry);
	if (!strcmp(l->folder, "journal") && l->v->njournals &&
	    bsearch(name, l->v->journals, l->v->njournals, VERIFY_NAME, (int (*)(const void *, const void *))strcmp))
		return;
	if (l->n && bsearch(name, l->sorted, l->n, sizeof(struct verify_file *), by_key))
		return;
	(void)regular;
	verify_problem(l->v, VERIFY_UNRECORDED, name, -1, 0,
		       "is named by no record: made just before a crash, or by somebody else");
}

static void on_folder(void *arg, const char *entry, bool regular)
{
	static const char *const folders[] = { "packets",  "events",   "console", "config",
					       "sessions", "sinkhole", "journal" };
	struct listing *l = arg;
	/* Not evidence: the secret that a restart needs. Never looked at. */
	if (!regular && !strcmp(entry, "key"))
		return;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (!regular && !strcmp(entry, folders[i])) {
			l->folder = folders[i];
			l->v->s->list(l->v->s->arg, folders[i], on_entry, l);
			return;
		}
	verify_problem(l->v, VERIFY_UNRECORDED, entry, -1, 0, "does not belong into an evidence directory");
}

void verify_files(struct verify *v)
{
	struct listing l = { .v = v, .n = v->n };
	for (size_t i = 0; i < v->n; i++)
		v->total += v->files[i].removed ? 0 : v->files[i].closed ? v->files[i].size : v->files[i].committed;
	for (size_t i = 0; i < v->n; i++)
		check_file(v, &v->files[i]);
	l.sorted = calloc(v->n + 1, sizeof(struct verify_file *));
	if (!l.sorted) {
		v->oom = true;
		return;
	}
	for (size_t i = 0; i < v->n; i++)
		l.sorted[i] = &v->files[i];
	qsort(l.sorted, v->n, sizeof(struct verify_file *), by_name);
	v->s->list(v->s->arg, "", on_folder, &l);
	free(l.sorted);
}

/* ---- all ------------------------------------------------------------------- */

static void report_anchors(struct verify *v)
{
	for (unsigned i = 0; i < v->nanchors; i++) {
		const struct verify_anchor *a = &v->anchors[i];
		if (strcmp(a->honeynet, v->r->honeynet) != 0)
			verify_problem(v, VERIFY_ANCHOR, "journal", -1, a->seq,
				       "the anchor is of honeynet %s, this is %s", a->honeynet, v->r->honeynet);
		else if (v->found[i] == 1)
			v->r->anchors++;
		else if (v->found[i])
			verify_problem(v, VERIFY_ANCHOR, "journal", -1, a->seq,
				       "record %" PRIu64 " is not the one that the anchor of %s names", a->seq,
				       a->time);
		else if (a->seq < v->r->first)
			verify_problem(v, VERIFY_ANCHOR, "journal", -1, a->seq,
				       "record %" PRIu64 " of the anchor is older than all that is left (from %" PRIu64
				       " on): a newer anchor is needed",
				       a->seq, v->r->first);
		else
			verify_problem(v, VERIFY_ANCHOR, "journal", -1, a->seq,
				       "record %" PRIu64
				       " of the anchor of %s is missing: the journal's end was cut off",
				       a->seq, a->time);
	}
}

int verify_run(const struct verify_source *s, const struct verify_anchor *anchors, unsigned nanchors, bool files,
	       struct verify_report *out)
{
	*out = (struct verify_report){ .files = 0 };
	struct verify v = { .s = s, .r = out, .anchors = anchors, .nanchors = nanchors };
	v.found = calloc(nanchors + 1, 1);
	int r = v.found ? verify_journal(&v) : -ENOMEM;
	if (!r)
		report_anchors(&v);
	if (!r && files)
		verify_files(&v);
	free(v.files);
	free(v.journals);
	free(v.found);
	return v.oom ? -ENOMEM : r;
}

void verify_free(struct verify_report *r)
{
	free(r->problems);
	r->problems = NULL;
}
