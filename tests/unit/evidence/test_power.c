/* SPDX-License-Identifier: ISC */
/*
 * What was acknowledged is there after power cuts and kills, the journal checks
 * without a false alarm, and secrets are gone. SKEP_CUTS and SKEP_STORE_KILLS
 * say how many.
 */
#include "cli/verify_core.h"
#include "lossy_disk.h"
#include "proto/journal.h"
#include "proc/evidence/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { LINES = 8192, GENERATIONS = 6, CUTS = 4000, KILLS = 300 };

static struct store s;
static struct stream *events, *console, *sessions;
static int dirfd_ = -1;
static bool acked[LINES], present[LINES];
static unsigned next_line, first_open, last_line;
static uint64_t last_ticket, now_ns;
static struct verify_anchor anchor;

static size_t text_of(unsigned n, char text[800])
{
	size_t len = (size_t)snprintf(text, 800, "{\"n\":%u,\"fill\":\"", n), fill = n * 2654435761u % 700;
	memset(text + len, 'a' + (int)(n % 26), fill);
	len += fill;
	memcpy(text + len, "\"}\n", 4);
	return len + 3;
}

static int begin(const struct store_io *io, uint64_t max_bytes)
{
	struct store_conf c = { .max_bytes = max_bytes };
	struct err e = { 0 };
	if (dirfd_ >= 0)
		close(dirfd_);
	dirfd_ = open(lossy.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	now_ns += EV_MS;
	int r = store_open(&s, dirfd_, "demo skep test", &c, io, now_ns, &e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < s.nnotes; i++)
		if (s.notes[i].kind == NOTE_ALARM)
			fail_msg("false alarm after cut %llu: %s: %s", (unsigned long long)lossy.cuts, s.notes[i].name,
				 s.notes[i].text);
	events = store_stream(&s, "events", ".json", false, 4096, json_whole);
	console = store_stream(&s, "console/web", ".log", true, 0, NULL);
	sessions = store_stream(&s, "sessions/web", ".skt", true, 2048, NULL);
	first_open = next_line;
	last_ticket = 0;
	return s.failed;
}

static void note_acked(void)
{
	if (!last_ticket || s.failed || !store_durable(&s, last_ticket))
		return;
	for (unsigned i = first_open; i <= last_line; i++)
		acked[i] = true;
	first_open = last_line + 1;
	last_ticket = 0;
}

/* One random thing that the evidence process does. */
static void step(uint64_t *mono)
{
	char text[800];
	size_t n;
	struct stream *all[] = { events, console, sessions };
	now_ns += EV_MS;
	*mono += 7 * EV_MS;
	switch (lossy_rnd(12)) {
	case 0:
		store_rotate(&s, all[lossy_rnd(3)], now_ns);
		break;
	case 1:
		store_commit(&s, now_ns);
		break;
	case 2:
		store_flush(&s);
		break;
	case 3:
		if (!lossy_rnd(8))
			*mono += STORE_EPOCH_NS;
		if (!lossy_rnd(6))
			store_file(&s, "honeynet.yaml", "name: x\n", 8, now_ns);
		break;
	case 4:
	case 5:
		n = text_of(lossy_rnd(1000), text);
		if (!store_begin(&s, all[1 + n % 2], now_ns))
			store_append(&s, all[1 + n % 2], text, n);
		break;
	default:
		n = text_of(next_line, text);
		if (!store_begin(&s, events, now_ns) && !store_append(&s, events, text, n)) {
			last_line = next_line++;
			last_ticket = store_ticket(&s);
		}
	}
	store_tick(&s, now_ns, *mono);
	note_acked();
}

static void keep_anchor(void)
{
	anchor.seq = s.anchor.seq;
	memcpy(anchor.hash, s.anchor.hash, 32);
	verify_time(anchor.time, s.anchor_ns);
	snprintf(anchor.honeynet, sizeof(anchor.honeynet), "demo");
}

/* ---- what is there -------------------------------------------------------- */

static void scan_events(const char *name, ino_t ino)
{
	char path[256], want[800], *at;
	size_t n;
	(void)ino;
	snprintf(path, sizeof(path), "%s/%s", lossy.dir, name);
	char *p = (char *)lossy_read(path, &n, 0);
	p[n] = 0;
	for (at = p; *at;) {
		unsigned k = LINES;
		char *end = strchr(at, '\n');
		if (!end || sscanf(at, "{\"n\":%u,", &k) != 1 || k >= LINES)
			break; /* a hole in what nobody acknowledged */
		size_t len = text_of(k, want);
		if ((size_t)(end + 1 - at) == len && !memcmp(at, want, len)) {
			if (present[k])
				fail_msg("line %u is there twice", k);
			present[k] = true;
		}
		at = end + 1;
	}
	free(p);
}

static void check_lines(void)
{
	memset(present, 0, sizeof(present));
	lossy_each("events", scan_events);
	for (unsigned i = 0; i < next_line; i++)
		if (acked[i] && !present[i])
			fail_msg("line %u was acknowledged, and is lost (cut %llu)", i, (unsigned long long)lossy.cuts);
}

static int d_list(void *arg, const char *folder, void (*fn)(void *, const char *, bool), void *fn_arg)
{
	char path[256];
	(void)arg;
	snprintf(path, sizeof(path), "%s/%s", lossy.dir, folder);
	DIR *d = opendir(path);
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			fn(fn_arg, e->d_name, e->d_type != DT_DIR);
	closedir(d);
	return 0;
}

static int d_open(void *arg, const char *name, uint64_t *size)
{
	struct stat st;
	(void)arg;
	int fd = openat(dirfd_, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fstat(fd, &st);
	*size = (uint64_t)st.st_size;
	return fd;
}

static ssize_t d_read(void *arg, int fd, uint64_t at, void *buf, size_t n)
{
	(void)arg;
	return pread(fd, buf, n, (off_t)at);
}

static void d_close(void *arg, int fd)
{
	(void)arg;
	close(fd);
}

static void check_journal(bool with_anchor)
{
	static const struct verify_source src = { NULL, d_list, d_open, d_read, d_close, NULL };
	struct verify_report r;
	assert_int_equal(verify_run(&src, &anchor, with_anchor && anchor.seq, true, &r), 0);
	for (uint64_t i = 0; i < r.nproblems && i < VERIFY_PROBLEMS; i++)
		print_message("# %s %s: %s\n", verify_kind_name(r.problems[i].kind), r.problems[i].file,
			      r.problems[i].text);
	if (r.nproblems)
		fail_msg("%llu problems after cut %llu", (unsigned long long)r.nproblems,
			 (unsigned long long)lossy.cuts);
	verify_free(&r);
}

/* ---- tests ---------------------------------------------------------------- */

static unsigned how_many(const char *name, unsigned otherwise)
{
	const char *v = getenv(name);
	return v && atoi(v) > 0 ? (unsigned)atoi(v) : otherwise;
}

static void fresh(void)
{
	lossy_clear();
	if (dirfd_ >= 0)
		close(dirfd_); /* and its lock */
	dirfd_ = -1;
	memset(acked, 0, sizeof(acked));
	next_line = 0;
	last_ticket = 0;
	anchor.seq = 0;
	now_ns = 1795428441000000000ull;
}

static void test_power_cuts(void **state)
{
	(void)state;
	unsigned cuts = how_many("SKEP_CUTS", CUTS), checked = 0, lines = 0;
	uint64_t mono = EV_SEC;
	for (unsigned k = 0; k < cuts; k++) {
		static uint64_t max_bytes;
		if (k % GENERATIONS == 0) {
			fresh();
			max_bytes = lossy_rnd(4) ? 0 : 6000;
		}
		lossy.power_at = (int)(1 + lossy_rnd(lossy_rnd(4) ? 90 : 25));
		int r = begin(&lossy_io, max_bytes);
		if (!r) {
			keep_anchor();
			if (!max_bytes)
				check_lines();
			if (k % 4 == 3) {
				check_journal(!max_bytes);
				checked++;
			}
		}
		while (!s.failed && !lossy.off && !r) {
			step(&mono);
			keep_anchor();
		}
		/* Synced, and the power goes before another word is said. */
		for (unsigned i = 0; i < next_line; i++)
			lines += acked[i] && k % GENERATIONS == GENERATIONS - 1;
		store_free(&s);
		lossy_cut();
		lossy.power_at = 0;
		if (k % 16 != 15)
			continue;
		/* Power that stays: now all must be right. */
		assert_int_equal(begin(&lossy_io, 0), 0);
		if (!max_bytes)
			check_lines();
		check_journal(!max_bytes);
		keep_anchor();
		checked++;
		store_free(&s);
	}
	print_message(
	    "# %u power cuts, %llu sectors and %llu names lost, %u lines acknowledged, journal checked %u times\n",
	    cuts, (unsigned long long)lossy.lost_sectors, (unsigned long long)lossy.lost_names, lines, checked);
	assert_true(lossy.lost_sectors > cuts / 2 && lossy.lost_names > cuts / 50 && lines > cuts);
}

static ssize_t plain_write(int fd, const void *p, size_t n)
{
	return write(fd, p, n);
}
static int plain_sync(int fd)
{
	(void)fd; /* a kill does not lose what the kernel has */
	return 0;
}
static const struct store_io plain_io = { plain_write, plain_sync, lossy_statvfs, NULL };

struct shared {
	unsigned next_line, upto;
	uint64_t ns;
	bool acked[LINES];
};

static void child(struct shared *sh)
{
	uint64_t mono = EV_SEC;
	next_line = sh->next_line;
	now_ns = sh->ns;
	if (begin(&plain_io, 0) < 0)
		_exit(1);
	while (next_line < LINES) {
		step(&mono);
		sh->ns = now_ns;
		__atomic_store_n(&sh->next_line, next_line, __ATOMIC_RELEASE);
		for (; sh->upto < first_open; sh->upto++)
			sh->acked[sh->upto] = acked[sh->upto];
	}
	_exit(2);
}

static void test_kills(void **state)
{
	(void)state;
	unsigned kills = how_many("SKEP_STORE_KILLS", KILLS), lines = 0;
	struct shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned k = 0; k < kills; k++) {
		if (k % 20 == 0) {
			fresh();
			memset(sh, 0, sizeof(*sh));
			sh->ns = now_ns;
		}
		pid_t pid = fork();
		if (!pid) {
			lossy_seed += k;
			child(sh);
		}
		struct timespec t = { .tv_nsec = (long)lossy_rnd(9000000) };
		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		int status;
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status) && WEXITSTATUS(status) != 2)
			fail_msg("the child ended with %x", status);
		/* It may have died between writing a line and counting it. */
		next_line = sh->next_line += 2;
		now_ns = sh->ns += EV_SEC;
		memcpy(acked, sh->acked, sizeof(acked));
		if (k % 20 == 19)
			for (unsigned i = 0; i < LINES; i++)
				lines += acked[i];
		assert_int_equal(begin(&plain_io, 0), 0);
		check_lines();
		if (k % 5 == 4)
			check_journal(false);
		sh->ns = now_ns;
		store_free(&s);
		close(dirfd_); /* and its lock */
		dirfd_ = -1;
		if (next_line > LINES - 1000)
			k += 19 - k % 20;
	}
	munmap(sh, sizeof(*sh));
	print_message("# %u kills, %u lines acknowledged\n", kills, lines);
	assert_true(lines > kills);
}

/* Only the secret of the epoch that is not sealed is on the disk. */
static void test_secrets(void **state)
{
	(void)state;
	uint8_t before[32];
	char path[128];
	size_t n;
	uint64_t mono = EV_SEC;
	fresh();
	assert_int_equal(begin(&plain_io, 0), 0);
	snprintf(path, sizeof(path), "%s/key/seal", lossy.dir);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t epoch = s.keys.epoch;
		memcpy(before, s.keys.seal_sk, sizeof(before));
		store_tick(&s, now_ns, mono);
		mono += STORE_EPOCH_NS;
		assert_int_equal(store_tick(&s, now_ns, mono), 0);
		assert_int_equal(s.keys.epoch, epoch + 1);
		uint8_t *p = lossy_read(path, &n, 0);
		assert_null(memmem(p, n, before, sizeof(before)));
		assert_non_null(memmem(p, n, s.keys.seal_sk, 32));
		/* And no commit key, ever. */
		assert_null(memmem(p, n, s.keys.commit_sk, 32));
		unsigned used = 0;
		for (size_t at = 0; at < n; at += 4096)
			used += p[at] != 0;
		assert_int_equal(used, 1);
		free(p);
	}
	store_free(&s);
	check_journal(false);
	/* Without it, the start says so, and so does verify. */
	assert_int_equal(unlink(path), 0);
	struct err e = { 0 };
	struct store_conf c = { 0 };
	close(dirfd_);
	dirfd_ = open(lossy.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(store_open(&s, dirfd_, "demo skep test", &c, &plain_io, now_ns, &e), 0);
	assert_int_equal(s.nnotes, 1);
	assert_int_equal(s.notes[0].kind, NOTE_ALARM);
	store_free(&s);
}

/* A file that nobody recorded is no file of ours. */
static void test_foreign(void **state)
{
	(void)state;
	static const char *const names[] = { "events/000001.json", "packets/x.pcapng", "config/evil" };
	char path[128];
	struct err e = { 0 };
	struct store_conf c = { 0 };
	for (unsigned i = 0; i < 3; i++) {
		fresh();
		assert_int_equal(begin(&plain_io, 0), 0);
		assert_int_equal(store_begin(&s, events, now_ns), 0);
		assert_int_equal(store_append(&s, events, "{}\n", 3), 0);
		assert_int_equal(store_rotate(&s, events, now_ns), 0);
		/* The first one: the honeynet ended in order, so that nothing can be left over. */
		if (!i) {
			assert_int_equal(store_record(&s, J_STOP, now_ns, "\0\0\0\0end", 7), 0);
			snprintf(path, sizeof(path), "%s/events/000002.json", lossy.dir);
		} else {
			snprintf(path, sizeof(path), "%s/%s", lossy.dir, names[i]);
		}
		assert_int_equal(store_commit(&s, now_ns), 0);
		store_free(&s);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		close(fd);
		close(dirfd_);
		dirfd_ = open(lossy.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(store_open(&s, dirfd_, "demo skep test", &c, &plain_io, now_ns, &e), 0);
		unsigned alarms = 0;
		for (unsigned k = 0; k < s.nnotes; k++)
			alarms += s.notes[k].kind == NOTE_ALARM;
		if (alarms != 1)
			fail_msg("%s: %u alarms", path, alarms);
		store_free(&s);
	}
}

static void fake_clocks(uint64_t *real, uint64_t *mono)
{
	*real = now_ns;
	*mono = EV_SEC;
}

/* A clock that was set is told of, forwards and backwards, and no other. */
static void test_clock(void **state)
{
	(void)state;
	static const struct store_io io = { plain_write, plain_sync, lossy_statvfs, fake_clocks };
	struct verify_report r;
	static const struct verify_source src = { NULL, d_list, d_open, d_read, d_close, NULL };
	static const int64_t jumps[] = { 900 * EV_MS, 5 * EV_SEC, -(int64_t)900 * EV_MS, -(int64_t)100 * EV_SEC };
	fresh();
	assert_int_equal(begin(&io, 0), 0);
	store_tick(&s, now_ns, EV_SEC);
	for (unsigned i = 0; i < 4; i++) {
		now_ns += (uint64_t)jumps[i];
		store_tick(&s, now_ns, EV_SEC);
		assert_int_equal(store_commit(&s, now_ns), 0);
	}
	store_free(&s);
	assert_int_equal(verify_run(&src, NULL, 0, true, &r), 0);
	assert_int_equal(r.nproblems, 0);
	assert_int_equal(r.clocks, 2);
	verify_free(&r);
}

static int setup(void **state)
{
	(void)state;
	snprintf(lossy.dir, sizeof(lossy.dir), "%s/skep-power-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	return mkdtemp(lossy.dir) ? sodium_init() < 0 : -1;
}

static int teardown(void **state)
{
	char path[128];
	(void)state;
	lossy_clear();
	for (size_t i = 0; i < LOSSY_FOLDERS; i++) {
		snprintf(path, sizeof(path), "%s/%s", lossy.dir, lossy_folders[i]);
		rmdir(path);
	}
	close(dirfd_);
	return rmdir(lossy.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cuts), cmocka_unit_test(test_kills), cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_foreign),    cmocka_unit_test(test_clock),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
