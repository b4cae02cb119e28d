/* SPDX-License-Identifier: ISC */
/*
 * Files, commits, the journal's chain, recovery, the limits, and what happens
 * when the disk fails. A failing disk is played by the functions of store_io.
 */
#include "proto/journal.h"
#include "proc/evidence/pcapng.h"
#include "proc/evidence/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static int dirfd_;
static struct store s;

static struct {
	int write_fails_at; /* the n-th write from now on, 0 = never */
	int sync_fails_at;
	int code;
	size_t take; /* bytes that the failing write takes after all */
	uint64_t writes, syncs, after;
	bool failed;
} disk;

static ssize_t play_write(int fd, const void *p, size_t n)
{
	disk.writes++;
	if (disk.failed)
		disk.after++;
	if (disk.write_fails_at && !--disk.write_fails_at) {
		disk.failed = true;
		if (disk.take && disk.take < n)
			return write(fd, p, disk.take);
		errno = disk.code;
		return -1;
	}
	return write(fd, p, n);
}

static int play_sync(int fd)
{
	disk.syncs++;
	if (disk.failed)
		disk.after++;
	if (disk.sync_fails_at && !--disk.sync_fails_at) {
		disk.failed = true;
		errno = disk.code;
		return -1;
	}
	return fdatasync(fd);
}

static uint64_t free_bytes = 1ull << 40;
static int play_statvfs(int fd, struct statvfs *v)
{
	(void)fd;
	*v = (struct statvfs){ .f_bavail = free_bytes, .f_frsize = 1 };
	return 0;
}

static const struct store_io play = { play_write, play_sync, play_statvfs };

static void clean(void)
{
	char cmd[100];
	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", dir);
	assert_int_equal(system(cmd), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	free_bytes = 1ull << 40;
	snprintf(dir, sizeof(dir), "/tmp/skep-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0;
}

static int teardown(void **state)
{
	(void)state;
	clean();
	close(dirfd_);
	return rmdir(dir);
}

static struct stream *events;

static void reopen_dir(void)
{
	close(dirfd_);
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirfd_ >= 0);
}

static int try_open(const struct store_conf *c, struct err *e)
{
	int r = store_open(&s, dirfd_, "demo skep test", c, &play, 1000, e);
	if (!r)
		events = store_stream(&s, "events", ".json", false, 4096, json_whole);
	return r;
}

static void open_store(const struct store_conf *c)
{
	static const struct store_conf none;
	struct err e = { 0 };
	if (try_open(c ? c : &none, &e) < 0)
		fail_msg("%s", e.text);
}

static int line(const char *text)
{
	int r = store_begin(&s, events, 2000);
	return r < 0 ? r : store_append(&s, events, text, strlen(text));
}

static size_t read_all(const char *name, char *buf, size_t cap)
{
	int fd = openat(dirfd_, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (size_t)-1;
	ssize_t n = read(fd, buf, cap);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void write_all(const char *name, const void *p, size_t n)
{
	int fd = openat(dirfd_, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

/* Checks the chain of all journal files, and counts the records of a type. */
static unsigned count_type(unsigned type)
{
	static uint8_t buf[1 << 20];
	struct journal_chain c = { .seq = 0 }, before = { .seq = 0 };
	unsigned n = 0;
	for (unsigned i = 1; i < 100; i++) {
		char name[64];
		snprintf(name, sizeof(name), "journal/%06u.skj", i);
		size_t len = read_all(name, (char *)buf, sizeof(buf));
		if (len == (size_t)-1 || !len)
			continue;
		struct slice f = slice_of(buf, len);
		struct journal_record r;
		uint32_t number;
		assert_true(journal_take_head(&c, &f, &r, &number));
		assert_int_equal(number, i);
		assert_int_equal(c.seq, before.seq + 1);
		n += type == J_HEAD;
		while (f.n) {
			assert_true(journal_take(&c, &f, &r));
			n += r.type == type;
		}
		before = c;
	}
	return n;
}

/* ---- the chain ------------------------------------------------------------ */

static void test_chain(void **state)
{
	(void)state;
	uint8_t buf[4096];
	struct journal_chain c = { .seq = 0 };
	size_t n = 0;
	static const uint8_t payload[10] = "ABCDEFGHI";
	for (uint8_t i = 0; i < 10; i++)
		n += journal_put(&c, buf + n, J_START, i, payload, i);
	struct journal_chain v = { .seq = 0 };
	struct slice f = slice_of(buf, n);
	struct journal_record r;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(journal_take(&v, &f, &r));
		assert_int_equal(r.seq, i + 1);
		assert_int_equal(r.ns, i);
		assert_int_equal(r.payload.n, i);
	}
	assert_int_equal(f.n, 0);
	assert_memory_equal(v.hash, c.hash, JOURNAL_HASH);
	/* Every changed bit is found, at its record or at the next. */
	for (size_t bit = 0; bit < n * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		v = (struct journal_chain){ .seq = 0 };
		f = slice_of(buf, n);
		while (f.n && journal_take(&v, &f, &r))
			;
		if (!f.n)
			fail_msg("changed bit %zu was not found", bit);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* A record taken out, with the rest closed up and numbered anew, cannot pass:
 * each hash covers the one before. */
static void test_chain_removed_record(void **state)
{
	(void)state;
	uint8_t buf[512], one[256];
	struct journal_chain c = { .seq = 0 };
	size_t a = journal_put(&c, buf, J_START, 1, "a", 1);
	struct journal_chain after_a = c;
	size_t b = journal_put(&c, buf + a, J_ALARM, 2, "b", 1);
	/* The same third record as if b had not been: number 2 instead of 3. */
	struct journal_chain forged = { .seq = 1 };
	memcpy(forged.hash, c.hash, JOURNAL_HASH);
	size_t d = journal_put(&forged, one, J_STOP, 3, "d", 1);
	struct slice f = slice_of(one, d);
	struct journal_record r;
	assert_false(journal_take(&after_a, &f, &r));
	assert_true(b > 0);
}

/* ---- commits -------------------------------------------------------------- */

static void test_commit(void **state)
{
	(void)state;
	open_store(NULL);
	uint64_t syncs = disk.syncs;
	assert_int_equal(line("{\"a\":1}\n"), 0);
	uint64_t ticket = store_ticket(&s);
	assert_false(store_durable(&s, ticket));
	assert_int_equal(store_tick(&s, 3000, 1), 0);
	assert_int_equal(store_tick(&s, 3000, STORE_COMMIT_NS), 0);
	assert_false(store_durable(&s, ticket));
	assert_int_equal(store_deadline(&s), 1 + STORE_COMMIT_NS);
	assert_int_equal(store_tick(&s, 3000, 1 + STORE_COMMIT_NS), 0);
	assert_true(store_durable(&s, ticket));
	/* The data, then the journal. */
	assert_true(disk.syncs >= syncs + 2);
	assert_int_equal(store_ticket(&s), s.done);
	uint64_t done = s.done;
	assert_int_equal(store_tick(&s, 3000, EV_SEC), 0);
	assert_int_equal(s.done, done);
	/* Much data does not wait for the time. */
	char big[4000];
	memset(big, 'x', sizeof(big));
	for (unsigned i = 0; i < STORE_COMMIT_BYTES / sizeof(big) + 2; i++)
		store_append(&s, events, big, sizeof(big));
	assert_int_equal(store_tick(&s, 3000, EV_SEC), 0);
	assert_int_equal(s.done, done + 1);
	store_free(&s);
}

/* What a commit says of a file is what is in the file. */
static void test_commit_binds(void **state)
{
	(void)state;
	static uint8_t buf[65536];
	char text[4096];
	open_store(NULL);
	line("{\"a\":1}\n");
	store_commit(&s, 1);
	line("{\"b\":2}\n");
	store_commit(&s, 1);
	store_free(&s);
	size_t n = read_all("journal/000001.skj", (char *)buf, sizeof(buf));
	size_t len = read_all("events/000001.json", text, sizeof(text));
	struct slice f = slice_of(buf, n);
	struct journal_chain c;
	struct journal_record r;
	uint32_t number, id;
	uint64_t size, last = 0;
	uint8_t hash[JOURNAL_HASH], want[JOURNAL_HASH];
	assert_true(journal_take_head(&c, &f, &r, &number));
	while (journal_take(&c, &f, &r)) {
		struct slice p = r.payload;
		uint32_t count, zero;
		if (r.type != J_COMMIT || !slice_le32(&p, &count))
			continue;
		while (count-- && slice_le32(&p, &id) && slice_le32(&p, &zero) && slice_le64(&p, &size) &&
		       slice_get(&p, hash, sizeof(hash))) {
			assert_true(size <= len);
			crypto_generichash(want, sizeof(want), (const uint8_t *)text, size, NULL, 0);
			assert_memory_equal(hash, want, sizeof(hash));
			last = size;
		}
	}
	assert_int_equal(last, 16);
}

/* ---- failures ------------------------------------------------------------- */

/* After the first failure nothing is tried again and nothing acknowledged. */
static void failure(int write_at, int sync_at, int code, size_t take, int want)
{
	memset(&disk, 0, sizeof(disk));
	open_store(NULL);
	assert_int_equal(line("{\"first\":1}\n"), 0);
	assert_int_equal(store_commit(&s, 1), 0);
	assert_int_equal(line("{\"second\":2}\n"), 0);
	assert_int_equal(line("{\"third\":3}\n"), 0);
	uint64_t ticket = store_ticket(&s);
	disk.write_fails_at = write_at;
	disk.sync_fails_at = sync_at;
	disk.code = code;
	disk.take = take;
	assert_int_equal(store_commit(&s, 1), want);
	assert_int_equal(s.failed, want);
	assert_true(s.why.text[0] != 0);
	assert_false(store_durable(&s, ticket));
	assert_int_equal(line("{\"fourth\":4}\n"), want);
	assert_int_equal(store_flush(&s), want);
	assert_int_equal(store_tick(&s, 1, 1000 * EV_SEC), want);
	assert_int_equal(store_rotate(&s, events, 1), want);
	assert_false(store_durable(&s, ticket));
	assert_int_equal(disk.after, 0);
	store_free(&s);
}

static void test_write_fails(void **state)
{
	(void)state;
	char text[256];
	failure(1, 0, ENOSPC, 0, -ENOSPC);
	assert_int_equal(read_all("events/000001.json", text, sizeof(text)), 12);
	clean();
	reopen_dir();
	failure(1, 0, EIO, 0, -EIO);
	clean();
	reopen_dir();
	/* Cut in the middle of the third line: the second one stays, whole. */
	failure(1, 0, 0, 20, -ENOSPC);
	size_t n = read_all("events/000001.json", text, sizeof(text));
	assert_int_equal(n, 25);
	assert_memory_equal(text + 12, "{\"second\":2}\n", 13);
	clean();
	reopen_dir();
	/* The journal's own write. */
	failure(2, 0, EIO, 0, -EIO);
}

static void test_sync_fails(void **state)
{
	(void)state;
	failure(0, 1, EIO, 0, -EIO);
	clean();
	reopen_dir();
	failure(0, 2, EIO, 0, -EIO);
}

static void test_low_space(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct store_conf c = { .min_free = 1000 };
	free_bytes = 999;
	assert_int_equal(try_open(&c, &e), -ENOSPC);
	store_free(&s);
	free_bytes = 1000;
	open_store(&c);
	assert_false(s.low);
	free_bytes = 999;
	line("{}\n");
	assert_int_equal(store_commit(&s, 1), 0);
	assert_true(s.low);
	store_free(&s);
}

/* A real full disk: a tmpfs of 256 KiB in a mount namespace of our own. */
static int full_tmpfs(void)
{
	char text[64];
	if (!small_disk(dir, "256k"))
		return 77;
	reopen_dir();
	static const struct store_conf c;
	struct err e = { 0 };
	if (store_open(&s, dirfd_, "full", &c, &store_real_io, 1, &e) < 0)
		return 1;
	events = store_stream(&s, "events", ".json", false, 4096, json_whole);
	unsigned i, durable = 0;
	for (i = 0; i < 100000 && !s.failed; i++) {
		int n = snprintf(text, sizeof(text), "{\"n\":%u,\"filler\":\"...........................\"}\n", i);
		if (store_begin(&s, events, 1) < 0 || store_append(&s, events, text, (size_t)n) < 0)
			break;
		if (i % 100 == 99 && store_commit(&s, 1) == 0)
			durable = i + 1;
	}
	if (s.failed != -ENOSPC || !durable)
		return 2;
	store_free(&s);
	/* Every acknowledged line is there, and only whole lines. */
	FILE *f = fdopen(openat(dirfd_, "events/000001.json", O_RDONLY), "r");
	unsigned lines = 0, n;
	char *l = NULL;
	size_t cap = 0;
	while (getline(&l, &cap, f) > 0) {
		if (sscanf(l, "{\"n\":%u,", &n) != 1 || n != lines || l[strlen(l) - 1] != '\n')
			return 3;
		lines++;
	}
	return lines >= durable ? 0 : 4;
}

static void test_disk_full(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(full_tmpfs());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# no mount namespaces here: skipped\n");
		return;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- recovery ------------------------------------------------------------- */

static size_t make_journal(char *journal, size_t cap, size_t *last_commit)
{
	open_store(NULL);
	for (int i = 0; i < 3; i++) {
		line("{\"x\":1}\n");
		store_commit(&s, 5);
	}
	*last_commit = s.journal.seg->size;
	/* Written, but not committed. */
	store_rotate(&s, events, 6);
	line("{\"y\":2}\n");
	store_rotate(&s, events, 6);
	store_flush(&s);
	store_free(&s);
	return read_all("journal/000001.skj", journal, cap);
}

/* The journal cut at every byte of its last records, and at every byte of the
 * last commit: what was committed stays, the chain goes on, and the cut is
 * recorded with its bytes. */
static void test_recover_every_cut(void **state)
{
	(void)state;
	static char journal[65536];
	size_t last_commit, n = make_journal(journal, sizeof(journal), &last_commit);
	char key[8192];
	size_t nkey = read_all("key/seal", key, sizeof(key));
	assert_true(n > last_commit + 200);
	for (size_t cut = last_commit - 100; cut < n; cut++) {
		clean();
		reopen_dir();
		assert_int_equal(mkdirat(dirfd_, "journal", 0700) | mkdirat(dirfd_, "events", 0700) |
				     mkdirat(dirfd_, "key", 0700),
				 0);
		write_all("key/seal", key, nkey);
		write_all("journal/000001.skj", journal, cut);
		write_all("events/000001.json", "{\"x\":1}\n{\"x\":1}\n{\"x\":1}\n", 24);
		open_store(NULL);
		struct slice whole = slice_of(journal, cut);
		size_t good = journal_whole(whole.p, cut);
		unsigned recovered = 0;
		for (unsigned i = 0; i < s.nnotes; i++) {
			if (s.notes[i].kind == NOTE_ALARM && !strstr(s.notes[i].name, "events/"))
				fail_msg("alarm after a cut at %zu: %s", cut, s.notes[i].text);
			if (s.notes[i].kind == NOTE_RECOVERED) {
				assert_int_equal(s.notes[i].bytes, cut - good);
				recovered++;
			}
		}
		assert_int_equal(recovered, cut > good);
		store_free(&s);
		assert_int_equal(count_type(J_RECOVER), cut > good);
		char text[128];
		assert_int_equal(read_all("events/000001.json", text, sizeof(text)), 24);
	}
}

/* The same with bytes that are not zero-length but wrong: garbage at the end. */
static void test_recover_garbage(void **state)
{
	(void)state;
	static char journal[65536];
	size_t last_commit, n = make_journal(journal, sizeof(journal), &last_commit);
	memset(journal + n, 0xa5, 777);
	write_all("journal/000001.skj", journal, n + 777);
	reopen_dir();
	open_store(NULL);
	assert_int_equal(s.nnotes, 1);
	assert_int_equal(s.notes[0].kind, NOTE_RECOVERED);
	assert_int_equal(s.notes[0].bytes, 777);
	store_free(&s);
	assert_int_equal(count_type(J_RECOVER), 1);
}

/* Damage below a commit is an alarm, and nothing is cut off. */
static void test_damage_is_alarm(void **state)
{
	(void)state;
	static char journal[65536], again[65536];
	size_t last_commit, n = make_journal(journal, sizeof(journal), &last_commit);
	journal[150] ^= 1;
	write_all("journal/000001.skj", journal, n);
	reopen_dir();
	open_store(NULL);
	unsigned alarms = 0;
	for (unsigned i = 0; i < s.nnotes; i++)
		alarms += s.notes[i].kind == NOTE_ALARM && strstr(s.notes[i].text, "below a commit");
	assert_int_equal(alarms, 1);
	store_free(&s);
	assert_int_equal(read_all("journal/000001.skj", again, sizeof(again)), n);
	assert_memory_equal(journal, again, n);
}

static void test_changed_file_is_alarm(void **state)
{
	(void)state;
	open_store(NULL);
	line("{\"x\":1}\n");
	store_commit(&s, 1);
	store_free(&s);
	write_all("events/000001.json", "{\"x\":2}\n{\"y", 11);
	reopen_dir();
	open_store(NULL);
	assert_int_equal(s.nnotes, 1);
	assert_int_equal(s.notes[0].kind, NOTE_ALARM);
	assert_string_equal(s.notes[0].name, "events/000001.json");
	store_free(&s);
	/* Gone altogether. */
	reopen_dir();
	unlinkat(dirfd_, "events/000001.json", 0);
	open_store(NULL);
	assert_int_equal(s.nnotes, 1);
	assert_int_equal(s.notes[0].kind, NOTE_ALARM);
	store_free(&s);
}

/* A file that was open is cut to whole records and closed; numbers go on. */
static void test_recover_open_file(void **state)
{
	(void)state;
	char text[64];
	open_store(NULL);
	line("{\"x\":1}\n");
	store_commit(&s, 1);
	line("{\"x\":2}\n");
	store_flush(&s);
	store_free(&s);
	int fd = openat(dirfd_, "events/000001.json", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"cut", 5), 5);
	close(fd);
	reopen_dir();
	open_store(NULL);
	assert_int_equal(s.nnotes, 1);
	assert_int_equal(s.notes[0].kind, NOTE_RECOVERED);
	assert_int_equal(s.notes[0].bytes, 5);
	assert_int_equal(line("{\"x\":3}\n"), 0);
	assert_string_equal(events->seg->name, "events/000002.json");
	store_commit(&s, 1);
	store_free(&s);
	assert_int_equal(read_all("events/000001.json", text, sizeof(text)), 16);
	assert_int_equal(count_type(J_RECOVER), 1);
	assert_int_equal(count_type(J_HEAD), 2);
	/* The third start finds all in order but the file that it left open. */
	reopen_dir();
	open_store(NULL);
	assert_int_equal(s.nnotes, 0);
	store_free(&s);
	assert_int_equal(count_type(J_ALARM), 0);
}

/* ---- limits --------------------------------------------------------------- */

static bool exists(const char *name)
{
	return faccessat(dirfd_, name, F_OK, 0) == 0;
}

static void fill(unsigned files, uint64_t now)
{
	char kib[1025];
	memset(kib, 'x', 1023);
	kib[1023] = '\n';
	kib[1024] = 0;
	for (unsigned i = 0; i < files; i++) {
		assert_int_equal(line(kib), 0);
		assert_int_equal(store_rotate(&s, events, now + i), 0);
		assert_int_equal(store_commit(&s, now + i), 0);
	}
}

static void test_max_bytes(void **state)
{
	(void)state;
	/* The journal counts too, and is not closed. */
	struct store_conf c = { .max_bytes = 16 << 10 };
	open_store(&c);
	assert_int_equal(store_file(&s, "keep", "y", 1, 5), 0);
	fill(12, 10);
	store_commit(&s, 100);
	store_commit(&s, 100);
	assert_false(exists("events/000001.json"));
	assert_true(exists("events/000012.json"));
	assert_true(exists("config/0001-keep"));
	assert_true(s.total <= c.max_bytes);
	/* The oldest, in order, without a gap. */
	bool seen = false;
	for (unsigned i = 1; i <= 12; i++) {
		char name[64];
		snprintf(name, sizeof(name), "events/%06u.json", i);
		assert_true(exists(name) || !seen);
		seen |= exists(name);
	}
	unsigned removed = 0;
	for (unsigned i = 0; i < s.nnotes; i++)
		removed += s.notes[i].kind == NOTE_REMOVED && s.notes[i].bytes == 1024;
	assert_true(removed >= 1);
	store_free(&s);
	assert_int_equal(count_type(J_REMOVE), removed);
	/* What was removed in order is no alarm at the next start. */
	reopen_dir();
	open_store(&c);
	for (unsigned i = 0; i < s.nnotes; i++)
		assert_int_not_equal(s.notes[i].kind, NOTE_ALARM);
	line("{}\n");
	assert_string_equal(events->seg->name, "events/000013.json");
	store_free(&s);
}

static void test_max_age(void **state)
{
	(void)state;
	struct store_conf c = { .max_age = 100 };
	open_store(&c);
	fill(3, 1 * EV_SEC);
	line("open\n");
	store_commit(&s, 50 * EV_SEC);
	assert_true(exists("events/000001.json"));
	retain_apply(&s, 102 * EV_SEC);
	store_commit(&s, 102 * EV_SEC);
	assert_false(exists("events/000001.json"));
	assert_false(exists("events/000003.json"));
	assert_true(exists("events/000004.json")); /* the open one */
	store_free(&s);
}

static void test_one_writer(void **state)
{
	(void)state;
	struct err e = { 0 };
	open_store(NULL);
	struct store first = s;
	int was = dirfd_;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(try_open(&(struct store_conf){ 0 }, &e), -EBUSY);
	store_free(&s);
	close(dirfd_);
	dirfd_ = was;
	s = first;
	store_free(&s);
}

/* More unbuffered files than descriptors may be open at once. */
static void test_many_consoles(void **state)
{
	(void)state;
	static struct stream *st[400];
	open_store(NULL);
	for (unsigned i = 0; i < 400; i++) {
		char name[32];
		snprintf(name, sizeof(name), "console/h%u", i);
		st[i] = store_stream(&s, name, ".log", true, 0, NULL);
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 400; i++) {
			assert_int_equal(store_begin(&s, st[i], 1), 0);
			assert_int_equal(store_append(&s, st[i], "login: ", 7), 0);
			assert_true(s.nopen <= 129);
		}
	}
	assert_int_equal(store_commit(&s, 1), 0);
	assert_int_equal(s.nopen, 0);
	store_free(&s);
	char text[32];
	assert_int_equal(read_all("console/h399.log", text, sizeof(text)), 14);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_removed_record),
		cmocka_unit_test_setup_teardown(test_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_binds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recover_every_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recover_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_file_is_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recover_open_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_max_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_max_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_consoles, setup, teardown),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
