/* SPDX-License-Identifier: ISC */
/*
 * skep verify: a directory that the evidence process's store made, with a
 * removal by the limits, a crash and an orderly end, is taken into memory and
 * changed there in 20,000 random ways.
 */
#include "cli/verify_core.h"
#include "proto/journal.h"
#include "proc/evidence/pcapng.h"
#include "proc/evidence/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES = 64, EDITS = 20000, EDIT_MAX = 40 };

struct mem {
	char name[64];
	uint8_t *p;
	size_t n;
	bool gone;
};
static struct mem disk[FILES], clean[FILES];
static unsigned nfiles;
static char dir[64];
static struct verify_anchor end_anchor;

/* ---- making one ------------------------------------------------------------ */

static struct store s;
static struct stream *events, *packets, *console;

static void start(int dirfd, uint64_t now, uint64_t max_bytes)
{
	struct store_conf c = { .max_bytes = max_bytes };
	struct err e = { 0 };
	if (store_open(&s, dirfd, "demo skep test", &c, &store_real_io, now, &e) < 0)
		fail_msg("%s", e.text);
	events = store_stream(&s, "events", ".json", false, 4096, json_whole);
	packets = store_stream(&s, "packets", ".pcapng", false, 65536, pcapng_whole);
	console = store_stream(&s, "console/web1", ".log", true, 0, NULL);
}

static void packet_file(uint64_t now, unsigned frames, bool close)
{
	struct pcapng_if i = { .name = "web1", .description = "honeypot" };
	uint8_t *room, data[300];
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(store_begin(&s, packets, now), 0);
	room = store_reserve(&s, packets, PCAPNG_SHB_MAX);
	store_used(&s, packets, pcapng_shb(room, PCAPNG_SHB_MAX, "cpu", "Linux", "skep"));
	room = store_reserve(&s, packets, PCAPNG_IDB_MAX);
	store_used(&s, packets, pcapng_idb(room, PCAPNG_IDB_MAX, &i));
	for (unsigned k = 0; k < frames; k++) {
		struct pcapng_packet q = { .time = now + k,
					   .caplen = 60 + k % 200,
					   .wirelen = 60 + k % 200,
					   .data = data,
					   .dir = PCAPNG_INBOUND,
					   .id = k + 1,
					   .comment = "verdict=forward reason=inbound seq=1" };
		size_t need = q.caplen + PCAPNG_EPB_EXTRA;
		room = store_reserve(&s, packets, need);
		store_used(&s, packets, pcapng_epb(room, need, &q));
		if (k % 10 == 9)
			assert_int_equal(store_commit(&s, now + k), 0);
	}
	if (!close)
		return;
	room = store_reserve(&s, packets, PCAPNG_ISB_MAX);
	store_used(&s, packets, pcapng_isb(room, PCAPNG_ISB_MAX, 0, now, frames, 0));
	assert_int_equal(store_rotate(&s, packets, now), 0);
}

static void lines(uint64_t now, unsigned n)
{
	char text[80];
	for (unsigned i = 0; i < n; i++) {
		int len = snprintf(text, sizeof(text), "{\"event_type\":\"test\",\"n\":%u,\"at\":%llu}\n", i,
				   (unsigned long long)now);
		assert_int_equal(store_begin(&s, events, now), 0);
		assert_int_equal(store_append(&s, events, text, (size_t)len), 0);
		assert_int_equal(store_begin(&s, console, now), 0);
		assert_int_equal(store_append(&s, console, text, (size_t)len / 2), 0);
		if (i % 6 == 0)
			assert_int_equal(store_commit(&s, now), 0);
	}
}

static void make(int dirfd)
{
	const uint64_t t = 1795428441077559759;
	/* A run whose oldest files go because of the limit. */
	start(dirfd, t, 12000);
	assert_int_equal(store_file(&s, "honeynet.yaml", "honeynet: demo\n", 15, t), 0);
	for (unsigned i = 0; i < 4; i++)
		packet_file(t + i, 20, true);
	lines(t + 10, 10);
	assert_int_equal(store_commit(&s, t + 20), 0);
	assert_int_equal(store_commit(&s, t + 21), 0);
	store_free(&s);
	/* One that crashed, and one that ended in order. */
	start(dirfd, t + 100, 0);
	packet_file(t + 100, 13, false);
	lines(t + 101, 7);
	assert_int_equal(store_flush(&s), 0);
	store_free(&s);
	start(dirfd, t + 200, 0);
	packet_file(t + 200, 12, true);
	lines(t + 201, 11);
	assert_int_equal(store_rotate(&s, events, t + 300), 0);
	assert_int_equal(store_rotate(&s, console, t + 300), 0);
	assert_int_equal(store_commit(&s, t + 300), 0);
	assert_int_equal(store_record(&s, J_STOP, t + 300, "\0\0\0\0asked", 9), 0);
	assert_int_equal(store_commit(&s, t + 300), 0);
	store_free(&s);
}

static void take_in(int dirfd)
{
	static const char *const folders[] = { "packets", "events", "console", "config", "journal" };
	for (size_t i = 0; i < 5; i++) {
		int fd = openat(dirfd, folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fdopendir(fd);
		assert_non_null(d);
		for (struct dirent *e; (e = readdir(d));) {
			struct stat st;
			if (e->d_name[0] == '.')
				continue;
			assert_true(nfiles < FILES);
			struct mem *m = &clean[nfiles++];
			int f = openat(fd, e->d_name, O_RDONLY | O_CLOEXEC);
			assert_true(f >= 0 && fstat(f, &st) == 0);
			snprintf(m->name, sizeof(m->name), "%s/%.40s", folders[i], e->d_name);
			m->n = (size_t)st.st_size;
			m->p = malloc(m->n + 1);
			assert_int_equal(read(f, m->p, m->n), m->n);
			close(f);
		}
		closedir(d);
	}
}

/* ---- the directory in memory ------------------------------------------------ */

static void reset(unsigned i)
{
	free(disk[i].p);
	disk[i] = clean[i];
	disk[i].p = malloc(clean[i].n + 1);
	memcpy(disk[i].p, clean[i].p, clean[i].n);
}

static int m_list(void *arg, const char *folder, void (*fn)(void *, const char *, bool), void *fn_arg)
{
	(void)arg;
	size_t n = strlen(folder);
	static const char *const top[] = { "packets", "events", "console", "config", "journal" };
	for (size_t i = 0; !n && i < 5; i++)
		fn(fn_arg, top[i], false);
	for (unsigned i = 0; n && i < nfiles; i++)
		if (!disk[i].gone && !strncmp(disk[i].name, folder, n) && disk[i].name[n] == '/')
			fn(fn_arg, disk[i].name + n + 1, true);
	return 0;
}

static int m_open(void *arg, const char *name, uint64_t *size)
{
	(void)arg;
	for (unsigned i = 0; i < nfiles; i++)
		if (!disk[i].gone && !strcmp(disk[i].name, name)) {
			*size = disk[i].n;
			return (int)i;
		}
	return -ENOENT;
}

static ssize_t m_read(void *arg, int h, uint64_t off, void *buf, size_t n)
{
	(void)arg;
	struct slice part, all = slice_of(disk[h].p, disk[h].n);
	if (off >= all.n || !slice_sub(all, (size_t)off, all.n - (size_t)off, &part))
		return 0;
	part = slice_head(part, n);
	memcpy(buf, part.p, part.n);
	return (ssize_t)part.n;
}

static void m_close(void *arg, int h)
{
	(void)arg;
	(void)h;
}

static const struct verify_source memory = { NULL, m_list, m_open, m_read, m_close, NULL };

/* An end that was sealed and is not any more counts as noticed. */
static uint64_t problems(bool anchor)
{
	struct verify_report r;
	assert_int_equal(verify_run(&memory, &end_anchor, anchor, true, &r), 0);
	uint64_t n = r.nproblems + !r.sealed;
	verify_free(&r);
	return n;
}

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	snprintf(dir, sizeof(dir), "/tmp/skep-verify-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make(fd);
	close(fd);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	take_in(fd);
	close(fd);
	for (unsigned i = 0; i < nfiles; i++)
		reset(i);
	struct verify_report r;
	char text[VERIFY_ANCHOR_TEXT], hex[65], time[40];
	if (verify_run(&memory, NULL, 0, false, &r) < 0)
		return -1;
	verify_time(time, r.committed_ns);
	snprintf(text, sizeof(text), "skep-anchor-1:demo:%llu:%s:%s", (unsigned long long)r.committed,
		 sodium_bin2hex(hex, sizeof(hex), r.committed_hash, 32), time);
	verify_free(&r);
	return !verify_anchor_parse(text, &end_anchor);
}

static int teardown(void **state)
{
	(void)state;
	char cmd[100];
	for (unsigned i = 0; i < nfiles; i++) {
		free(disk[i].p);
		free(clean[i].p);
	}
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* ---- tests ------------------------------------------------------------------ */

static unsigned find(const char *name)
{
	for (unsigned i = 0; i < nfiles; i++)
		if (!strcmp(clean[i].name, name))
			return i;
	fail_msg("no %s", name);
	return 0;
}

static void test_clean(void **state)
{
	(void)state;
	struct verify_report r;
	assert_int_equal(verify_run(&memory, &end_anchor, 1, true, &r), 0);
	for (uint64_t i = 0; i < r.nproblems; i++)
		print_message("%s: %s\n", r.problems[i].file, r.problems[i].text);
	assert_int_equal(r.nproblems, 0);
	assert_int_equal(r.journals, 3);
	assert_int_equal(r.starts, 3);
	assert_int_equal(r.anchors, 1);
	assert_true(r.began && r.stopped && r.removed >= 1 && r.closed >= 6);
	assert_int_equal(r.open, 0);
	assert_int_equal(r.loose + r.tail + r.beyond, 0);
	assert_true(r.frames >= 25);
	assert_string_equal(r.honeynet, "demo");
	assert_int_equal(r.committed, r.last);
	verify_free(&r);
}

static uint32_t seed = 20260501;
static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return below ? seed % below : 0;
}

/* One random change of a file; where it begins. */
static size_t edit(struct mem *m)
{
	size_t at = rnd((uint32_t)m->n), n = 1 + rnd(EDIT_MAX);
	if (n > m->n - at)
		n = m->n - at;
	switch (rnd(5)) {
	case 0:
	case 1:
		m->p[at] ^= (uint8_t)(1 + rnd(255));
		break;
	case 2:
		m->n = at;
		break;
	case 3:
		memmove(m->p + at, m->p + at + n, m->n - at - n);
		m->n -= n;
		break;
	default:
		m->p = realloc(m->p, m->n + n + 1);
		memmove(m->p + at + n, m->p + at, m->n - at);
		for (size_t i = 0; i < n; i++)
			m->p[at + i] = (uint8_t)rnd(256);
		m->n += n;
	}
	return at;
}

static void test_edits(void **state)
{
	(void)state;
	unsigned same = 0, edits = getenv("SKEP_EDITS") ? (unsigned)atoi(getenv("SKEP_EDITS")) : EDITS;
	for (unsigned k = 0; k < edits; k++) {
		unsigned i = rnd(nfiles);
		struct mem *m = &disk[i];
		size_t at = edit(m);
		if (m->n == clean[i].n && !memcmp(m->p, clean[i].p, m->n)) {
			same++;
		} else {
			/* Not even an anchor is needed: an end that was cut off is not sealed. */
			if (!problems(false))
				fail_msg("edit %u of %s at byte %zu was not noticed without an anchor", k, m->name, at);
		}
		reset(i);
	}
	print_message("# %u edits: %u changed nothing\n", edits, same);
	assert_true(same <= edits / 100);
	assert_int_equal(problems(true), 0);
}

static void test_cut_at_commits(void **state)
{
	(void)state;
	unsigned silent = 0, cuts = 0;
	for (unsigned j = 3; j >= 1; j--) {
		char name[32];
		snprintf(name, sizeof(name), "journal/%06u.skj", j);
		struct mem *m = &disk[find(name)];
		struct journal_chain c;
		struct journal_record r;
		struct slice rest = slice_of(clean[m - disk].p, clean[m - disk].n);
		uint32_t number;
		assert_true(journal_take_head(&c, &rest, &r, &number));
		while (journal_take(&c, &rest, &r)) {
			m->n = clean[m - disk].n - rest.n;
			if (r.type != J_COMMIT || (j == 3 && !rest.n))
				continue;
			cuts++;
			silent += !problems(false);
			assert_true(problems(true) > 0);
		}
		m->gone = true; /* and all that came after it */
	}
	for (unsigned i = 0; i < nfiles; i++)
		reset(i);
	print_message("# %u cuts, %u of them silent without an anchor\n", cuts, silent);
	assert_true(cuts > 12 && !silent);
}

static void test_removed_swapped(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nfiles; i++) {
		disk[i].gone = true;
		assert_true(problems(true) > 0);
		if (strcmp(disk[i].name, "journal/000003.skj") != 0)
			assert_true(problems(false) > 0);
		disk[i].gone = false;
		for (unsigned k = 0; k < i; k++) {
			struct mem a = disk[i], b = disk[k];
			disk[i].p = b.p;
			disk[i].n = b.n;
			disk[k].p = a.p;
			disk[k].n = a.n;
			if (a.n != b.n || memcmp(a.p, b.p, a.n) != 0)
				assert_true(problems(true) > 0 && problems(false) > 0);
			disk[i] = a;
			disk[k] = b;
		}
	}
	/* One that nobody wrote, and one that the limits had removed. */
	struct mem *m = &disk[nfiles++];
	*m = (struct mem){ .name = "packets/000099.pcapng" };
	assert_int_equal(problems(true), 1);
	snprintf(m->name, sizeof(m->name), "packets/000001.pcapng");
	assert_int_equal(problems(true), 1);
	nfiles--;
	assert_int_equal(problems(true), 0);
}

static void test_says_where(void **state)
{
	(void)state;
	struct verify_report r;
	unsigned i = find("events/000003.json");
	disk[i].p[200] ^= 1;
	assert_int_equal(verify_run(&memory, NULL, 0, true, &r), 0);
	assert_int_equal(r.nproblems, 1);
	assert_int_equal(r.problems[0].kind, VERIFY_CHANGED);
	assert_string_equal(r.problems[0].file, "events/000003.json");
	/* Between two commits. */
	assert_true(r.problems[0].offset > 0 && r.problems[0].offset <= 200 && r.problems[0].record);
	verify_free(&r);
	reset(i);
	i = find("journal/000002.skj");
	disk[i].p[300] ^= 1;
	assert_int_equal(verify_run(&memory, NULL, 0, true, &r), 0);
	assert_true(r.nproblems > 0);
	assert_int_equal(r.problems[0].kind, VERIFY_DAMAGED);
	assert_true(r.problems[0].offset <= 300 && r.problems[0].offset > 100 && r.problems[0].record);
	verify_free(&r);
	reset(i);
}

/* A journal file made anew from record `from` on, by somebody who has none of
 * the keys: hashes are right, COMMITs and SEALs are signed with keys of his. */
static void reseal(struct mem *m, const struct mem *good, unsigned from, bool heads)
{
	struct journal_chain in, out;
	struct journal_record r;
	struct slice rest = slice_of(good->p, good->n);
	static uint8_t payload[JOURNAL_RECORD_MAX];
	uint8_t pk[32], sk[64];
	uint32_t number;
	size_t n = 0;
	unsigned k = 0;
	crypto_sign_keypair(pk, sk);
	assert_true(journal_take_head(&in, &rest, &r, &number));
	rest = slice_of(good->p, good->n);
	in = (struct journal_chain){ .seq = r.seq - 1 };
	memcpy(in.hash, r.payload.p + 16, JOURNAL_HASH);
	out = in;
	free(m->p);
	m->p = malloc(good->n + 1);
	for (; journal_take(&in, &rest, &r); k++) {
		memcpy(payload, r.payload.p, r.payload.n);
		size_t len = r.payload.n, keys = 0;
		if (k < from) {
			memcpy(m->p + n, r.raw.p, r.raw.n);
			n += r.raw.n;
			out = in;
			continue;
		}
		if (k == from && len)
			payload[len > 200 ? rnd(4) : rnd((uint32_t)len)] ^= 1;
		if (r.type == J_COMMIT)
			memcpy(payload + len - 96, pk, 32);
		keys = r.type == J_SEAL ? 32 : r.type == J_HEAD && heads ? 56 : 0;
		if (keys)
			memcpy(payload + keys, pk, 32);
		if (r.type == J_SEAL && !(payload[4] & J_SEAL_END))
			memcpy(payload + 64, pk, 32);
		if (r.type == J_COMMIT || r.type == J_SEAL)
			n += journal_put_signed(&out, m->p + n, r.type, r.ns, payload, len - JOURNAL_SIG, sk);
		else
			n += journal_put(&out, m->p + n, r.type, r.ns, payload, len);
	}
	m->n = n;
}

static void test_resealed(void **state)
{
	(void)state;
	/* The last file: whoever comes late, and has no key, cannot sign. */
	unsigned i = find("journal/000003.skj"), tried = 0;
	for (unsigned k = 0; k < 400; k++) {
		unsigned from = rnd(20);
		reseal(&disk[i], &clean[i], from, false);
		if (disk[i].n == clean[i].n && !memcmp(disk[i].p, clean[i].p, clean[i].n))
			continue;
		tried++;
		if (!problems(false) || !problems(true))
			fail_msg("made anew from record %u on, and not noticed", from);
		reset(i);
	}
	assert_true(tried > 200);
	/* All keys are his, from the first HEAD on: then only the anchor tells. */
	struct verify_report r;
	for (unsigned j = 1; j <= 3; j++) {
		char name[32];
		snprintf(name, sizeof(name), "journal/%06u.skj", j);
		i = find(name);
		reseal(&disk[i], &clean[i], 0, true);
		assert_int_equal(verify_run(&memory, &end_anchor, 1, true, &r), 0);
		assert_true(r.nproblems > 0);
		verify_free(&r);
	}
	for (unsigned j = 0; j < nfiles; j++)
		reset(j);
	assert_int_equal(problems(true), 0);
}

/* ---- the stand-alone verifier ---------------------------------------------- */

static void put_out(unsigned i)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%s", dir, disk[i].name);
	unlink(path);
	if (disk[i].gone)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, disk[i].p, disk[i].n), disk[i].n);
	close(fd);
}

/* Its exit status must be what the library found. */
static void same_verdict(bool anchor, const char *what)
{
	struct verify_report r;
	int status;
	assert_int_equal(verify_run(&memory, &end_anchor, anchor, true, &r), 0);
	int want = r.nproblems ? 1 : r.sealed ? 0 : 3;
	pid_t pid = fork();
	if (!pid) {
		const char *path = getenv("SKEP_VERIFY");
		/* What it allocates lives as long as it does. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		if (anchor)
			execl(path, path, "--from", end_anchor.text, dir, (char *)NULL);
		else
			execl(path, path, dir, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		fail_msg("%s: the library says %d (%s), skep-verify %x", what, want,
			 r.nproblems ? r.problems[0].text : "no problem", status);
	verify_free(&r);
}

static void test_alone(void **state)
{
	(void)state;
	char what[100];
	enum { SAMPLE = 300 };
	same_verdict(true, "untouched");
	same_verdict(false, "untouched");
	for (unsigned k = 0; k < SAMPLE; k++) {
		/* Journals more often: they have more to say. */
		unsigned i = rnd(2) ? rnd(nfiles) : find(rnd(2) ? "journal/000003.skj" : "journal/000002.skj");
		struct mem *m = &disk[i];
		switch (rnd(6)) {
		case 0:
			m->gone = true;
			break;
		case 1:
			if (!strncmp(m->name, "journal", 7)) {
				reseal(m, &clean[i], rnd(12), rnd(2));
				break;
			}
			__attribute__((fallthrough));
		default:
			edit(m);
		}
		put_out(i);
		snprintf(what, sizeof(what), "change %u of %.60s", k, m->name);
		same_verdict(k % 2, what);
		reset(i);
		put_out(i);
	}
	/* Cut off at every commit. */
	unsigned i = find("journal/000003.skj");
	struct journal_chain c;
	struct journal_record r;
	struct slice rest = slice_of(clean[i].p, clean[i].n);
	uint32_t number;
	assert_true(journal_take_head(&c, &rest, &r, &number));
	do {
		disk[i].n = clean[i].n - rest.n;
		put_out(i);
		same_verdict(false, "cut off");
	} while (journal_take(&c, &rest, &r));
	reset(i);
	put_out(i);
	struct mem *m = &disk[nfiles++];
	*m = (struct mem){ .name = "packets/000099.pcapng", .p = calloc(1, 1) };
	put_out(nfiles - 1);
	same_verdict(true, "a file that nobody wrote");
	m->gone = true;
	put_out(nfiles - 1);
	nfiles--;
	free(m->p);
	same_verdict(true, "at the end");
}

/* A seal of the epoch before, or of the one after, is no seal of this one. */
static void test_wrong_epoch(void **state)
{
	(void)state;
	static const uint8_t none[32];
	struct journal_chain c = { .seq = 0 };
	struct verify_report r;
	uint8_t pk[32], sk[64], pk2[32], sk2[64], cp[32], cs[64], b[200];
	crypto_sign_keypair(pk, sk);
	crypto_sign_keypair(pk2, sk2);
	crypto_sign_keypair(cp, cs);
	unsigned keep = nfiles;
	struct mem was[FILES];
	memcpy(was, disk, sizeof(was));
	for (unsigned variant = 0; variant < 5; variant++) {
		uint8_t *file = calloc(1, 4096);
		size_t n = 0;
		struct journal_body h = { .p = b, .cap = sizeof(b) };
		c = (struct journal_chain){ .seq = 0 };
		body_bytes(&h, "skepjrnl", 8);
		body_u32(&h, 2);
		body_u32(&h, 1);
		body_bytes(&h, none, 32);
		body_u32(&h, 1);
		body_u32(&h, 0);
		body_bytes(&h, pk, 32);
		body_bytes(&h, none, 32);
		n += journal_put(&c, file + n, J_HEAD, 5, b, h.n);
		h.n = 0;
		body_u32(&h, variant == 1 ? 2 : 1);
		body_u32(&h, J_SEAL_START);
		body_u64(&h, 1);
		body_u64(&h, 0);
		body_u64(&h, 5);
		body_bytes(&h, pk2, 32);
		body_bytes(&h, cp, 32);
		/* 2: with the key of the epoch to come, as one who came later has it. */
		n += journal_put_signed(&c, file + n, J_SEAL, 5, b, h.n, variant == 2 ? sk2 : sk);
		n += journal_put(&c, file + n, J_START, variant == 4 ? 4 * 1000000000ull : 5, "demo x", 6);
		h.n = 0;
		body_u32(&h, 0);
		body_bytes(&h, pk, 32);
		n += journal_put_signed(&c, file + n, J_COMMIT, 6, b, h.n, variant == 3 ? sk : cs);
		memset(disk, 0, sizeof(disk));
		nfiles = 1;
		disk[0] = (struct mem){ .name = "journal/000001.skj", .p = file, .n = n };
		assert_int_equal(verify_run(&memory, NULL, 0, true, &r), 0);
		assert_int_equal(r.nproblems, variant ? 1 : 0);
		assert_false(r.sealed);
		if (variant)
			assert_int_equal(r.problems[0].kind, variant == 4 ? VERIFY_TIME : VERIFY_SIGNATURE);
		verify_free(&r);
		free(file);
	}
	memcpy(disk, was, sizeof(was));
	nfiles = keep;
}

/* A file's statistics that disagree with its packets, although nothing was
 * changed after it was recorded. */
static void test_totals(void **state)
{
	(void)state;
	const struct mem *m = &clean[find("packets/000004.pcapng")];
	uint64_t frames = 0;
	char text[200];
	struct verify_pcap *p = verify_pcap_new();
	for (size_t i = 0; i < m->n; i++)
		verify_pcap_feed(p, slice_of(m->p + i, 1));
	assert_null(verify_pcap_end(p, true, &frames, text));
	assert_true(frames == 20 || frames == 12 || frames == 13);
	verify_pcap_free(p);
	uint8_t isb[PCAPNG_ISB_MAX];
	size_t n = pcapng_isb(isb, sizeof(isb), 0, 1, 99, 0);
	p = verify_pcap_new();
	verify_pcap_feed(p, slice_of(m->p, m->n));
	verify_pcap_feed(p, slice_of(isb, n));
	assert_non_null(strstr(verify_pcap_end(p, true, &frames, text), "99 packets"));
	verify_pcap_free(p);
}

static void test_anchor_text(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"skep-anchor-2:demo:1:00:2026-01-01T00:00:00.000000000Z",
		"skep-anchor-1:demo:1:00:2026-01-01T00:00:00.000000000Z",
		"skep-anchor-1:demo:0:1e8b69464b141909ed53b21d015e6af5904cbca759ae9a7a9af4054015694308:2026Z",
		"skep-anchor-1:DEMO:1:1e8b69464b141909ed53b21d015e6af5904cbca759ae9a7a9af4054015694308:2026Z",
		"skep-anchor-1:demo:1:1e8b69464b141909ed53b21d015e6af5904cbca759ae9a7a9af4054015694308:2026Z:x",
	};
	struct verify_anchor a;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(verify_anchor_parse(bad[i], &a));
	assert_true(verify_anchor_parse(
	    "skep-anchor-1:demo:7:1e8b69464b141909ed53b21d015e6af5904cbca759ae9a7a9af4054015694308:2026Z\n", &a));
	assert_int_equal(a.seq, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),          cmocka_unit_test(test_edits),
		cmocka_unit_test(test_cut_at_commits), cmocka_unit_test(test_removed_swapped),
		cmocka_unit_test(test_says_where),     cmocka_unit_test(test_totals),
		cmocka_unit_test(test_anchor_text),    cmocka_unit_test(test_resealed),
		cmocka_unit_test(test_wrong_epoch),    cmocka_unit_test(test_alone),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
