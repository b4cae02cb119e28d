/* SPDX-License-Identifier: ISC */
/*
 * skep-verify: checks an evidence directory of skep by its description alone
 * (docs/formats.md, "journal"). It uses nothing of skep, only libsodium for
 * BLAKE2b and Ed25519, so that anybody can read all of it, or write it again.
 *
 *   cc -D_GNU_SOURCE -O2 -o skep-verify skep-verify.c -lsodium
 *   skep-verify [--from ANCHOR]... DIRECTORY
 *
 * Prints what is wrong. Exit status: 0 all as recorded and sealed; 3 as recorded,
 * but the end is not sealed; 1 something is wrong; 2 it could not be checked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 1, START, OPEN, CLOSE, REMOVE, COMMIT, RECOVER, ALARM, STOP, SEAL, CLOCK };
enum { HEADER = 24, HASH = 32, SIG = 64, RECORD_MAX = 65536, NAME = 320, ANCHORS = 64 };
enum { FLAG_END = 1, FLAG_START = 2, SECOND = 1000000000 };

struct record {
	const uint8_t *at, *payload; /* the whole record; what it carries */
	uint32_t len, n;             /* of them */
	uint16_t type;
	uint64_t seq, ns;
	uint8_t before[HASH], hash[HASH]; /* of the record before, and of this one */
};

/* What a record says of a file: its first `size` bytes have this hash. */
struct claim {
	uint64_t size, rec; /* rec: number of the record, 0 = none */
	uint8_t hash[HASH];
};

struct file {
	uint32_t id;
	char name[NAME];
	uint64_t named; /* number of the first record that names it */
	struct claim committed, closed, removed;
};

struct anchor {
	char net[32], time[40];
	uint64_t seq;
	uint8_t hash[HASH];
	bool found;
};

static struct {
	struct dirent **names; /* journal files, sorted */
	int nnames;
	struct file *files;
	size_t nfiles;
	struct anchor anchors[ANCHORS];
	unsigned nanchors;
	bool began; /* the first journal file is there */
	uint64_t first, committed, problems, records, commits;
	char net[32];
	/* the chain */
	uint8_t hash[HASH];
	uint64_t seq, last_ns;
	/* the keys in force, and the epoch as far as it was seen */
	bool known, whole, footer, ended, gap, tail;
	uint32_t epoch;
	uint8_t seal_key[HASH], commit_key[HASH];
	uint64_t ep_first, ep_commits, ep_from;
	uint16_t before; /* type of the record before */
} v;
static int dir;

__attribute__((format(printf, 4, 5))) static bool bad_if(bool is, const char *file, uint64_t seq, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	if (!is)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Names and texts may be hostile: nothing but plain characters reaches the terminal. */
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	printf("%.*s: record %" PRIu64 ": %s\n", (int)strspn(file, "abcdefghijklmnopqrstuvwxyz0123456789./-_"), file,
	       seq, text);
	v.problems++;
	return true;
}

static uint64_t le(const uint8_t *p, int n)
{
	uint64_t x = 0;
	while (n--)
		x = x << 8 | p[n];
	return x;
}

static void time_text(char out[40], uint64_t ns)
{
	time_t t = (time_t)(ns / SECOND);
	struct tm tm;
	char day[24] = "?";
	if (gmtime_r(&t, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 40, "%s.%09uZ", day, (unsigned)(ns % SECOND));
}

static void digest(uint8_t out[HASH], const uint8_t before[HASH], const uint8_t *p, size_t n)
{
	crypto_generichash_state st;
	crypto_generichash_init(&st, NULL, 0, HASH);
	crypto_generichash_update(&st, before, HASH);
	crypto_generichash_update(&st, p, n);
	crypto_generichash_final(&st, out, HASH);
}

/* The record at p, of n bytes that are left; its hash must continue `before`. */
static bool parse(struct record *r, const uint8_t *p, size_t n, const uint8_t before[HASH])
{
	if (n < HEADER + HASH)
		return false;
	r->at = p;
	r->len = (uint32_t)le(p, 4);
	r->type = (uint16_t)le(p + 4, 2);
	r->seq = le(p + 8, 8);
	r->ns = le(p + 16, 8);
	r->payload = p + HEADER;
	r->n = r->len - HEADER - HASH;
	if (r->len < HEADER + HASH || r->len > RECORD_MAX || r->len > n || le(p + 6, 2))
		return false;
	memcpy(r->before, before, HASH);
	digest(r->hash, before, p, r->len - HASH);
	return !memcmp(r->hash, p + r->len - HASH, HASH);
}

/* The last 64 bytes of the payload sign all of the record before them. */
static bool is_signed(const struct record *r, const uint8_t key[HASH])
{
	uint8_t m[HASH];
	if (r->n < SIG)
		return false;
	digest(m, r->before, r->at, r->len - HASH - SIG);
	return crypto_sign_verify_detached(r->at + r->len - HASH - SIG, m, HASH, key) == 0;
}

/* Whether an intact SEAL or two intact COMMITs stand behind: no power cut leaves that. */
static bool commits_behind(const uint8_t *p, size_t n, size_t from)
{
	struct record r;
	int commits = 0;
	for (size_t at = from < HASH ? HASH : from; at + HEADER + HASH <= n; at++) {
		uint16_t type = (uint16_t)le(p + at + 4, 2);
		if ((type == COMMIT || type == SEAL) && parse(&r, p + at, n - at, p + at - HASH) &&
		    (type == SEAL || ++commits == 2))
			return true;
	}
	return false;
}

static struct file *find(uint32_t id, const char *name)
{
	for (size_t i = v.nfiles; i--;)
		if (name ? !strcmp(v.files[i].name, name) : v.files[i].id == id)
			return &v.files[i];
	return NULL;
}

static struct file *add(uint32_t id, const uint8_t *name, size_t n, uint64_t seq)
{
	/* Room for twice as many at 0, 1, 2, 4, 8, ... */
	if (!(v.nfiles & (v.nfiles - 1)) &&
	    !(v.files = realloc(v.files, (v.nfiles ? 2 * v.nfiles : 1) * sizeof(*v.files))))
		exit(2);
	struct file *f = &v.files[v.nfiles++];
	*f = (struct file){ .id = id, .named = seq };
	snprintf(f->name, NAME, "%.*s", (int)n, (const char *)name);
	return f;
}

static struct claim claim(uint64_t size, const uint8_t *hash, uint64_t seq)
{
	struct claim c = { .size = size, .rec = seq };
	memcpy(c.hash, hash, HASH);
	return c;
}

static void on_commit(const char *journal, const struct record *r)
{
	const uint8_t *p = r->payload;
	bool right = r->n >= 4 + HASH + SIG && r->n == 4 + HASH + SIG + 48 * le(p, 4);
	if (bad_if(!right, journal, r->seq, "a COMMIT of a wrong length"))
		return;
	bad_if(sodium_is_zero(v.commit_key, HASH) || !is_signed(r, v.commit_key), journal, r->seq,
	       "is not signed with the key that the commit before it names");
	memcpy(v.commit_key, p + r->n - SIG - HASH, HASH);
	v.ep_commits++;
	v.commits++;
	for (p += 4; p < r->payload + r->n - SIG - HASH; p += 48) {
		struct file *f = find((uint32_t)le(p, 4), NULL);
		bad_if(!f && v.began, journal, r->seq, "commits a file that no record names");
		bad_if(f && le(p + 8, 8) < f->committed.size, journal, r->seq, "says that a file became shorter");
		if (f)
			f->committed = claim(le(p + 8, 8), p + 16, r->seq);
	}
}

static void on_head(const char *journal, const struct record *r)
{
	uint32_t epoch = (uint32_t)le(r->payload + 48, 4);
	const uint8_t *seal = r->payload + 56, *commit = seal + HASH;
	bool same = epoch == v.epoch && !memcmp(seal, v.seal_key, HASH) && !memcmp(commit, v.commit_key, HASH);
	v.footer = v.gap || (v.known ? v.before == SEAL : !v.began);
	v.ended = false;
	if (v.known && !v.gap && same)
		return;
	bad_if(v.known && !v.gap, journal, r->seq, "has other keys than the journal file before it");
	v.whole = !v.known && v.began && r->seq == 1;
	bad_if(v.whole && (epoch != 1 || !sodium_is_zero(commit, HASH)), journal, r->seq,
	       "is the first one, and does not begin with epoch 1");
	v.known = true;
	v.epoch = epoch;
	v.ep_first = r->seq;
	v.ep_from = r->ns;
	v.ep_commits = 0;
	memcpy(v.seal_key, seal, HASH);
	memcpy(v.commit_key, commit, HASH);
}

static void on_seal(const char *journal, const struct record *r)
{
	const uint8_t *p = r->payload;
	if (bad_if(r->n != 32 + 2 * HASH + SIG, journal, r->seq, "a SEAL of a wrong length"))
		return;
	bad_if(le(p, 4) != v.epoch || !is_signed(r, v.seal_key), journal, r->seq,
	       "is not signed with the seal key of its epoch");
	bad_if(v.whole && (le(p + 8, 8) != v.ep_first || le(p + 16, 8) != v.ep_commits || le(p + 24, 8) != v.ep_from),
	       journal, r->seq, "seals an epoch of other records than there are");
	bad_if((p[4] & FLAG_START) && v.before != HEAD, journal, r->seq, "is the seal of a start, not at the start");
	v.epoch = (uint32_t)le(p, 4) + 1;
	v.ep_first = r->seq + 1;
	v.ep_commits = 0;
	v.ep_from = r->ns;
	v.whole = true;
	v.ended = p[4] & FLAG_END;
	memcpy(v.seal_key, p + 32, HASH);
	memcpy(v.commit_key, p + 32 + HASH, HASH);
}

static void apply(const char *journal, const struct record *r)
{
	const uint8_t *p = r->payload;
	char now[40];
	bool start = r->type == SEAL && r->n > 4 && (p[4] & FLAG_START);
	bad_if(v.ended && r->type != HEAD, journal, r->seq, "stands behind the end of its journal file");
	bad_if(v.before == HEAD && r->type != HEAD && !start && !v.footer, journal, r->seq,
	       "the journal file before this one has no seal at its end");
	if (r->type != HEAD && r->type != SEAL) {
		bad_if(r->type != CLOCK && r->ns + SECOND < v.last_ns, journal, r->seq,
		       "times go back, and no CLOCK record says why");
		v.last_ns = r->ns;
	}
	time_text(now, r->ns);
	for (struct anchor *a = v.anchors; a < v.anchors + v.nanchors; a++)
		if (a->seq == r->seq)
			a->found = (r->type == COMMIT || r->type == SEAL) && !memcmp(a->hash, r->hash, HASH) &&
				   !strcmp(a->time, now);
	v.records++;
	v.first = v.first ? v.first : r->seq;
	if (r->type == START) {
		snprintf(v.net, sizeof(v.net), "%.*s", (int)(r->n < 31 ? r->n : 31), (const char *)p);
		v.net[strcspn(v.net, " ")] = 0;
	} else if (r->type == OPEN && r->n >= 4) {
		if (!find((uint32_t)le(p, 4), NULL))
			add((uint32_t)le(p, 4), p + 4, r->n - 4, r->seq);
	} else if (r->type == CLOSE && r->n >= 48) {
		struct file *f = find((uint32_t)le(p, 4), NULL);
		f = f ? f : add((uint32_t)le(p, 4), p + 48, r->n - 48, r->seq);
		snprintf(f->name, NAME, "%.*s", (int)(r->n - 48), (const char *)p + 48);
		f->closed = claim(le(p + 8, 8), p + 16, r->seq);
	} else if (r->type == REMOVE && r->n >= 40) {
		char name[NAME];
		snprintf(name, NAME, "%.*s", (int)(r->n - 40), (const char *)p + 40);
		struct file *f = find(0, name);
		f = f ? f : add(0, p + 40, r->n - 40, r->seq);
		f->removed = claim(le(p, 8), p + 8, r->seq);
	}
	if (r->type == HEAD || r->type == COMMIT || r->type == SEAL)
		(r->type == HEAD ? on_head : r->type == COMMIT ? on_commit : on_seal)(journal, r);
	bad_if(r->type == ALARM, journal, r->seq, "recorded: %.*s", (int)(r->n < 300 ? r->n : 300), (const char *)p);
	if (r->type == COMMIT || r->type == SEAL)
		v.committed = r->seq;
	v.before = r->type;
}

/* A whole file; NULL if it cannot be read. */
static const uint8_t *load(const char *name, size_t *n)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	*n = (size_t)st.st_size;
	void *p = *n ? mmap(NULL, *n, PROT_READ, MAP_PRIVATE, fd, 0) : "";
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void journal(int i, uint32_t before)
{
	char name[32];
	struct record r;
	size_t n = 0, at = 0;
	uint32_t own = (uint32_t)atoi(v.names[i]->d_name);
	snprintf(name, sizeof(name), "journal/%.15s", v.names[i]->d_name);
	const uint8_t *p = load(name, &n);
	bad_if(!p, name, 0, "cannot be read");
	bool head = p && n >= 176 && le(p, 4) == 176 && le(p + 4, 2) == HEAD && !memcmp(p + HEADER, "skepjrnl", 8) &&
		    le(p + 32, 4) == 2 && le(p + 8, 8);
	if (head) {
		uint64_t from = le(p + 8, 8) - 1;
		bool joins = !before || (from == v.seq && !memcmp(p + 40, v.hash, HASH));
		v.gap = v.gap || (before && own != before + 1);
		bad_if(le(p + 36, 4) != own, name, from + 1, "has the number of another journal file");
		bad_if(own == 1 && (from || !sodium_is_zero(p + 40, HASH)), name, from + 1,
		       "is the first one, and continues another");
		bad_if(!joins && !(v.gap && from > v.seq), name, from + 1,
		       "does not continue the journal file before it");
		v.gap = v.gap || !joins;
		for (struct anchor *a = v.anchors; a < v.anchors + v.nanchors; a++)
			if (!v.first && from && a->seq == from)
				a->found = !memcmp(a->hash, p + 40, HASH);
		memcpy(v.hash, p + 40, HASH);
		v.seq = from;
	}
	while (head && parse(&r, p + at, n - at, v.hash) && r.seq == v.seq + 1) {
		bad_if(r.type == HEAD && at, name, r.seq, "a HEAD stands in the middle");
		apply(name, &r);
		v.gap = false;
		at += r.len;
		memcpy(v.hash, r.hash, HASH);
		v.seq = r.seq;
	}
	v.tail = at < n;
	bad_if(v.tail && (i + 1 < v.nnames || commits_behind(p, n, at)), name, v.seq + 1,
	       "is damaged at byte %zu, and records stand behind it", at);
}

/* Journal files that are missing between two, and the last before the first, must be removed on record. */
static void gaps(void)
{
	uint32_t before = 0;
	for (int i = 0; i < v.nnames; i++) {
		uint32_t own = (uint32_t)atoi(v.names[i]->d_name);
		for (uint32_t k = before ? before + 1 : own - (own > 1); k < own; k++) {
			char name[32];
			snprintf(name, sizeof(name), "journal/%06u.skj", k);
			struct file *f = find(0, name);
			bad_if(!f || !f->removed.rec || f->removed.rec > v.committed, name, 0,
			       "is not there, and no record says that it was removed");
		}
		before = own;
	}
}

/* Whether the first bytes of the file are as the record says. */
static bool agrees(int fd, const struct claim *c)
{
	static uint8_t buf[1 << 16];
	uint8_t hash[HASH];
	crypto_generichash_state st;
	crypto_generichash_init(&st, NULL, 0, HASH);
	for (uint64_t at = 0; at < c->size;) {
		size_t want = c->size - at < sizeof(buf) ? (size_t)(c->size - at) : sizeof(buf);
		ssize_t k = pread(fd, buf, want, (off_t)at);
		if (k <= 0)
			return false;
		crypto_generichash_update(&st, buf, (size_t)k);
		at += (uint64_t)k;
	}
	crypto_generichash_final(&st, hash, HASH);
	return !memcmp(hash, c->hash, HASH);
}

static void check_file(struct file *f)
{
	struct stat st = { .st_size = 0 };
	bool closed = f->closed.rec && f->closed.rec <= v.committed;
	bool removed = f->removed.rec && f->removed.rec <= v.committed;
	if (removed && find(0, f->name) != f)
		return; /* the name came back */
	bool out = *f->name == '/' || strstr(f->name, "..");
	int fd = out ? -1 : openat(dir, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool gone = fd < 0 && (out || errno == ENOENT);
	bool there = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	const struct claim *end = removed ? &f->removed : closed ? &f->closed : &f->committed;
	uint64_t size = (uint64_t)st.st_size, rec = end->rec;
	if (!there)
		bad_if(gone ? !removed && (closed || f->committed.rec || f->named <= v.committed) : true, f->name,
		       f->named, "is missing or cannot be read");
	else if (removed)
		bad_if(size != end->size || !agrees(fd, end), f->name, rec,
		       "was removed on record, and another file of that name is there");
	else if (size < end->size || (closed && (size > end->size || f->committed.size > end->size)))
		bad_if(true, f->name, rec, "has %" PRIu64 " bytes, not the %" PRIu64 " recorded", size, end->size);
	else
		bad_if((f->committed.rec && !agrees(fd, &f->committed)) || (closed && !agrees(fd, end)), f->name, rec,
		       "was changed");
	if (fd >= 0)
		close(fd);
}

static int is_journal(const struct dirent *e)
{
	return strlen(e->d_name) == 10 && strspn(e->d_name, "0123456789") == 6 && !strcmp(e->d_name + 6, ".skj");
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* What is there that no record names. */
static void others(void)
{
	static const char folders[] = " packets events console config sessions sinkhole journal ";
	struct dirent **d, **e;
	int n = scandirat(dir, ".", &d, no_dots, alphasort);
	for (int i = 0; i < n; i++) {
		char name[NAME], word[NAME];
		snprintf(word, sizeof(word), " %s ", d[i]->d_name);
		bool known = d[i]->d_type == DT_DIR && strstr(folders, word);
		/* key holds the secret of the epoch, which is no evidence. */
		bad_if(!known && strcmp(word, " key ") != 0, d[i]->d_name, 0, "does not belong here");
		int m = known ? scandirat(dir, d[i]->d_name, &e, no_dots, alphasort) : 0;
		for (int k = 0; k < m; k++) {
			snprintf(name, sizeof(name), "%.20s/%s", d[i]->d_name, e[k]->d_name);
			bad_if(!find(0, name) && (strcmp(word, " journal ") != 0 || !is_journal(e[k])), name, 0,
			       "is named by no record: made just before a crash, or by somebody else");
		}
	}
}

static bool add_anchor(const char *text)
{
	struct anchor *a = &v.anchors[v.nanchors];
	char hex[65], number[21], end;
	size_t n;
	if (v.nanchors == ANCHORS ||
	    sscanf(text, "skep-anchor-1:%31[a-z0-9-]:%20[0-9]:%64[0-9a-f]:%39[0-9TZ:.-]%c", a->net, number, hex,
		   a->time, &end) != 4 ||
	    sodium_hex2bin(a->hash, HASH, hex, strlen(hex), NULL, &n, NULL) || n != HASH)
		return false;
	a->seq = strtoull(number, NULL, 10);
	v.nanchors++;
	return a->seq != 0;
}

int main(int argc, char **argv)
{
	int i = 1;
	char when[40];
	if (sodium_init() < 0)
		return 2;
	for (; i + 1 < argc && !strcmp(argv[i], "--from"); i += 2)
		if (!add_anchor(argv[i + 1]))
			return fprintf(stderr, "no anchor: %s\n", argv[i + 1]), 2;
	dir = i + 1 == argc ? open(argv[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0)
		return fprintf(stderr, "usage: skep-verify [--from ANCHOR]... DIRECTORY\n"), 2;
	v.nnames = scandirat(dir, "journal", &v.names, is_journal, alphasort);
	bad_if(v.nnames <= 0, "journal", 0, "there is no journal");
	v.began = v.nnames > 0 && !strcmp(v.names[0]->d_name, "000001.skj");
	for (int k = 0; k < v.nnames; k++)
		journal(k, k ? (uint32_t)atoi(v.names[k - 1]->d_name) : 0);
	gaps();
	bad_if(v.nnames > 0 && !v.commits, "journal", 0, "no intact commit is in the journal");
	for (unsigned a = 0; a < v.nanchors; a++)
		bad_if(!v.anchors[a].found || strcmp(v.anchors[a].net, v.net) != 0, "journal", v.anchors[a].seq,
		       "the record of the anchor of %s is missing or another", v.anchors[a].time);
	for (size_t k = 0; k < v.nfiles; k++)
		check_file(&v.files[k]);
	others();
	bool sealed = v.known && v.ended && v.before == SEAL && !v.tail;
	time_text(when, v.ep_from);
	printf("%s: %" PRIu64 " records, %zu files, %" PRIu64 " problems; %s %s (epoch %u)\n", v.net, v.records,
	       v.nfiles, v.problems, sealed ? "sealed at" : "UNSEALED since", when, v.epoch);
	return v.problems ? 1 : sealed ? 0 : 3;
}
