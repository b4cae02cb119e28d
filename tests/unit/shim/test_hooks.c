/* SPDX-License-Identifier: ISC */
/* What a real guest does, and what its hooks say that it did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine.h"
#include "probe/probe.h"
#include "proto/probe.h"
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING (8u << 20)

static struct machine m;

static int boot(void **state)
{
	(void)state;
	machine_boot(&m, true, RING);
	return 0;
}

static int end(void **state)
{
	(void)state;
	machine_end(&m);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	machine_forget(&m);
	return 0;
}

/* The n-th record of a type after `from`; fails if there is none. */
static struct record *find(enum hook_type t, size_t *from)
{
	for (; *from < m.n; (*from)++)
		if (m.rec[*from].h.type == t)
			return &m.rec[(*from)++];
	fail_msg("no record of type %d", t);
	return NULL;
}

static uint32_t u32_at(const struct record *r, unsigned i)
{
	uint32_t v;
	assert_true((i + 1) * 4 <= r->n);
	memcpy(&v, r->data + i * 4, 4);
	return v;
}

/* ---- */

static void test_hello(void **state)
{
	(void)state;
	uint64_t placed, absent, all = (UINT64_C(1) << HOOK_SITE_COUNT) - 1;
	assert_true(m.n > 0);
	if (m.probe) {
		/* What stands at a probe is the host's affair: nothing to hide; nor are there batches. */
		const uint64_t ours = UINT64_C(1) << HOOK_SITE_KERNEL_READ | UINT64_C(1) << HOOK_SITE_TTY_BATCH |
				      UINT64_C(1) << HOOK_SITE_SLEEP | UINT64_C(1) << HOOK_SITE_STACK |
				      UINT64_C(1) << HOOK_SITE_UNMAP;
		placed = probe_placed(m.probe);
		absent = probe_absent(m.probe) & ~ours;
		all &= ~ours;
	} else {
		assert_int_equal(m.rec[0].h.type, HOOK_HELLO);
		assert_int_equal(m.rec[0].n, 24);
		memcpy(&placed, m.rec[0].data + 8, 8);
		memcpy(&absent, m.rec[0].data + 16, 8);
	}
	assert_int_equal(placed, all);
	assert_int_equal(absent, 0);
	/* The first program, by the kernel itself. */
	size_t at = 0;
	struct record *x = find(HOOK_EXEC_TRY, &at);
	while (strcmp((char *)x->data + 8, "/sbin/init"))
		x = find(HOOK_EXEC_TRY, &at);
	assert_int_equal(x->h.tgid, 1);
	x = find(HOOK_EXEC_DONE, &at);
	assert_int_equal(x->h.ret, 0);
	assert_string_equal(x->h.comm, "init");
	assert_string_equal((char *)x->data, "/sbin/init");
}

static void check_stream(const char *name, unsigned dir, size_t n, unsigned growth)
{
	unsigned long long total = 0, hash = 0;
	int st = -1;
	const char *a = machine_ask(&m, 120, "%s %zu", name, n);
	assert_int_equal(sscanf(a, "%llu %llx %d", &total, &hash, &st), 3);
	assert_int_equal(st, 0);
	if (!growth)
		assert_int_equal(total, n);
	uint64_t h = STREAM_HASH, sum = 0, other = 0;
	uint32_t tty = 0;
	for (size_t i = 0; i < m.n; i++) {
		struct record *r = &m.rec[i];
		struct hook_tty t;
		if (r->h.type != HOOK_TTY)
			continue;
		memcpy(&t, r->data, sizeof(t));
		if (HOOK_TTY_KIND(t.tty) != HOOK_TTY_PTY)
			continue;
		if (t.dir != dir) {
			other++;
			continue;
		}
		assert_true(!tty || tty == t.tty);
		tty = t.tty;
		assert_true(r->n > sizeof(t) && r->n <= HOOK_DATA_MAX);
		h = stream_hash(h, r->data + sizeof(t), r->n - sizeof(t));
		sum += r->n - sizeof(t);
	}
	assert_int_equal(sum, total);
	assert_int_equal(h, hash);
	assert_int_equal(other, 0); /* no echo */
	assert_int_equal(m.lost, 0);
	size_t at = 0;
	struct record *w = find(HOOK_WINSIZE, &at);
	struct hook_winsize size;
	memcpy(&size, w->data, sizeof(size));
	assert_int_equal(size.tty, tty);
	assert_int_equal(size.rows, 50);
	assert_int_equal(size.cols, 132);
}

static void test_output(void **state)
{
	(void)state;
	check_stream("out", 1, 1 << 20, 0);
}

static void test_cooked_output(void **state)
{
	(void)state;
	check_stream("cooked", 1, 1 << 18, 1);
}

static void test_paste(void **state)
{
	(void)state;
	check_stream("paste", 0, 1 << 20, 0);
}

static uint64_t shown_x(void)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < m.n; i++)
		for (uint32_t k = sizeof(struct hook_tty); m.rec[i].h.type == HOOK_TTY && k < m.rec[i].n; k++)
			sum += m.rec[i].data[k] == 'x';
	return sum;
}

/* What a program has written is told when it waits, not when it goes on. */
static void test_waiting_writer(void **state)
{
	(void)state;
	m.len = 0;
	m.text[0] = 0;
	assert_int_equal(send(m.console, "hold\n", 5, 0), 5);
	for (int i = 0; i < 70; i++) {
		usleep(10000);
		machine_collect(&m);
	}
	uint64_t told = shown_x();
	assert_true(told > 0 && told < STREAM_HOLD * STREAM_HOLDS);
	assert_int_not_equal(told % STREAM_HOLD, 0);
	machine_wait(&m, "hold", 10);
	assert_int_equal(shown_x(), STREAM_HOLD * STREAM_HOLDS);
}

static bool is_told(const char *text)
{
	for (size_t i = 0; i < m.n; i++)
		if (m.rec[i].h.type == HOOK_TTY && strstr((char *)m.rec[i].data + sizeof(struct hook_tty), text))
			return true;
	return false;
}

/* What we typed on the console, and what it showed. */
static void test_serial(void **state)
{
	(void)state;
	static const char typed[] = "sh echo a-\xc3\xbc-$((40+2)); printf '\\001\\377z'\n";
	char in[256] = "", out[1024] = "";
	size_t ni = 0, no = 0;
	machine_ask(&m, 5, "%.*s", (int)sizeof(typed) - 2, typed);
	/* A record follows what it tells: wait for the last one. */
	for (int i = 0; i < 100 && !is_told("= sh 0\n"); i++) {
		usleep(10000);
		machine_collect(&m);
	}
	for (size_t i = 0; i < m.n; i++) {
		struct record *r = &m.rec[i];
		struct hook_tty t;
		if (r->h.type != HOOK_TTY)
			continue;
		memcpy(&t, r->data, sizeof(t));
		if (t.tty != HOOK_TTY_ID(HOOK_TTY_SERIAL, 0))
			continue;
		char *to = t.dir ? out : in;
		size_t *n = t.dir ? &no : &ni, cap = t.dir ? sizeof(out) : sizeof(in);
		assert_true(*n + r->n - sizeof(t) < cap);
		memcpy(to + *n, r->data + sizeof(t), r->n - sizeof(t));
		*n += r->n - sizeof(t);
	}
	assert_int_equal(ni, sizeof(typed) - 1);
	assert_memory_equal(in, typed, ni);
	assert_non_null(strstr(out, "a-\xc3\xbc-42\n\001\377z"));
	assert_non_null(strstr(out, "= sh 0\n"));
}

/* ---- programs ---- */

struct block {
	const char *path, *cwd;
	uint32_t argc, total, have;
	char *args;
};

static struct record *read_exec(size_t *at, struct block *b)
{
	struct record *r = find(HOOK_EXEC_TRY, at), *try = r;
	b->argc = u32_at(r, 0);
	b->total = u32_at(r, 1);
	b->path = (char *)r->data + 8;
	b->cwd = b->path + strlen(b->path) + 1;
	const char *first = b->cwd + strlen(b->cwd) + 1;
	b->args = calloc(1, b->total + 1);
	b->have = 0;
	uint32_t n = r->n - (uint32_t)(first - (char *)r->data);
	assert_true(n <= b->total);
	memcpy(b->args, first, n);
	b->have = n;
	while (r->h.flags & HOOK_F_MORE) {
		do
			r = find(HOOK_EXEC_MORE, at);
		while (r->h.task != try->h.task);
		assert_int_equal(u32_at(r, 0), b->have);
		assert_true(r->n - 8 <= b->total - b->have);
		memcpy(b->args + b->have, r->data + 8, r->n - 8);
		b->have += r->n - 8;
	}
	assert_false(try->h.flags & HOOK_F_FAULT);
	assert_int_equal(b->have, b->total);
	return try;
}

static struct record *done_of(size_t at, const struct record *try)
{
	struct record *d = find(HOOK_EXEC_DONE, &at);
	while (d->h.task != try->h.task)
		d = find(HOOK_EXEC_DONE, &at);
	return d;
}

static void exit_code_of(size_t at, const struct record *try, uint32_t code)
{
	struct record *x = find(HOOK_EXIT, &at);
	while (x->h.task != try->h.task)
		x = find(HOOK_EXIT, &at);
	assert_int_equal(u32_at(x, 0), code << 8);
	assert_int_equal(u32_at(x, 1), 1);
}

static void test_programs(void **state)
{
	(void)state;
	int code[6];
	const char *a = machine_ask(&m, 20, "programs");
	assert_int_equal(sscanf(a, "%d %d %d %d %d %d", &code[0], &code[1], &code[2], &code[3], &code[4], &code[5]), 6);
	size_t at = 0;
	struct block b;
	/* arguments of any shape */
	static const char args[] = "prog\0exit\0007\0\0with space\nand line";
	struct record *t = read_exec(&at, &b);
	assert_string_equal(b.path, "/sbin/init");
	assert_string_equal(b.cwd, "/");
	assert_int_equal(b.argc, 5);
	assert_int_equal(b.total, sizeof(args));
	assert_memory_equal(b.args, args, sizeof(args));
	assert_int_equal(done_of(at, t)->h.ret, 0);
	assert_int_equal(t->h.ppid, 1);
	exit_code_of(at, t, 7);
	free(b.args);
	/* a script */
	t = read_exec(&at, &b);
	assert_string_equal(b.path, "./script");
	assert_string_equal(b.cwd, "/tmp");
	assert_string_equal(b.args, "script");
	struct record *d = done_of(at, t);
	assert_int_equal(d->h.ret, 0);
	assert_string_equal((char *)d->data, "/sbin/init"); /* its interpreter */
	assert_string_equal(d->h.comm, "script");
	free(b.args);
	/* 100 kB of arguments */
	t = read_exec(&at, &b);
	assert_int_equal(b.argc, STREAM_ARGS + 2);
	assert_int_equal(b.total, 9 + STREAM_ARGS * (STREAM_ARG_SIZE + 1));
	const char *p = b.args + 9;
	for (int i = 0; i < STREAM_ARGS; i++, p += STREAM_ARG_SIZE + 1) {
		char want[STREAM_ARG_SIZE + 1];
		uint32_t seed = (uint32_t)i + 1;
		stream_text(&seed, want, STREAM_ARG_SIZE);
		assert_memory_equal(p, want, sizeof(want));
	}
	assert_int_equal(done_of(at, t)->h.ret, 0);
	free(b.args);
	/* without a file, and a deleted one */
	t = read_exec(&at, &b);
	assert_int_equal(strncmp(b.path, "/dev/fd/", 8), 0);
	assert_string_equal((char *)done_of(at, t)->data, "/memfd:hidden (deleted)");
	exit_code_of(at, t, 9);
	free(b.args);
	t = read_exec(&at, &b);
	assert_string_equal((char *)done_of(at, t)->data, "/tmp/gone (deleted)");
	exit_code_of(at, t, 3);
	free(b.args);
	/* none */
	t = read_exec(&at, &b);
	assert_string_equal(b.path, "/nowhere");
	assert_int_equal(done_of(at, t)->h.ret, -ENOENT);
	free(b.args);
	assert_int_equal(code[3], 9);
}

static void test_processes(void **state)
{
	(void)state;
	unsigned pid[4], st[4];
	const char *a = machine_ask(&m, 20, "processes");
	assert_int_equal(
	    sscanf(a, "%u:%x %u:%x %u:%x %u:%x", &pid[0], &st[0], &pid[1], &st[1], &pid[2], &st[2], &pid[3], &st[3]),
	    8);
	unsigned forks[4] = { 0 }, threads = 0, exits[4] = { 0 }, thread_exits = 0, creds = 0;
	for (size_t i = 0; i < m.n; i++) {
		struct record *r = &m.rec[i];
		for (int k = 0; k < 4; k++) {
			if (r->h.type == HOOK_FORK && r->h.tgid == 1 && u32_at(r, 0) == pid[k]) {
				assert_int_equal(u32_at(r, 1), pid[k]);
				forks[k]++;
			}
			if (r->h.type == HOOK_EXIT && r->h.tgid == pid[k] && u32_at(r, 1)) {
				assert_int_equal(u32_at(r, 0) & 0xffff, st[k]);
				assert_int_equal(r->h.ppid, 1);
				exits[k]++;
			}
		}
		if (r->h.type == HOOK_FORK && r->h.tgid == pid[2] && u32_at(r, 0) == pid[2] && u32_at(r, 1) != pid[2])
			threads++;
		if (r->h.type == HOOK_EXIT && r->h.tgid == pid[2] && !u32_at(r, 1))
			thread_exits++;
		if (r->h.type == HOOK_CRED && r->h.tgid == pid[3]) {
			creds++;
			assert_int_equal(u32_at(r, 0), 0);
			assert_int_equal(u32_at(r, 1), 1000);
			assert_int_equal(u32_at(r, 2), 0);
			assert_int_equal(u32_at(r, 3), 1001);
			assert_int_equal(r->h.uid, 1000);
		}
	}
	for (int k = 0; k < 4; k++) {
		assert_int_equal(forks[k], 1);
		assert_int_equal(exits[k], 1);
	}
	assert_int_equal(threads, 1);
	assert_int_equal(thread_exits, 1);
	assert_int_equal(creds, 1);
}

/* ---- files ---- */

static struct record *path_record(enum hook_type t, unsigned skip, const char *path)
{
	for (size_t i = 0; i < m.n; i++)
		if (m.rec[i].h.type == t && !strcmp((char *)m.rec[i].data + skip, path))
			return &m.rec[i];
	fail_msg("no record of type %d with %s", t, path);
	return NULL;
}

static void test_files(void **state)
{
	(void)state;
	assert_string_equal(machine_ask(&m, 10, "files"), "0");
	size_t opens = 0;
	for (size_t i = 0; i < m.n; i++)
		if (m.rec[i].h.type == HOOK_OPEN && !strcmp((char *)m.rec[i].data + 8, "/data/new")) {
			uint32_t mode = u32_at(&m.rec[i], 1);
			assert_int_equal(mode & ~HOOK_OPEN_CREATED, S_IFREG | 0640);
			assert_int_equal(!!(mode & HOOK_OPEN_CREATED), opens == 0);
			assert_int_equal(u32_at(&m.rec[i], 0) & O_ACCMODE, opens ? O_RDWR : O_WRONLY);
			opens++;
		}
	assert_int_equal(opens, 2); /* not the one that only read */
	struct record *r = path_record(HOOK_RENAME, 0, "/data/new");
	assert_string_equal((char *)r->data + 10, "/data/other");
	assert_int_equal(r->h.ret, 0);
	r = path_record(HOOK_CHMOD, 8, "/data/other");
	assert_int_equal(u32_at(r, 0), 0755);
	r = path_record(HOOK_UNLINK, 8, "/data/other");
	assert_int_equal(u32_at(r, 0), 0);
	r = path_record(HOOK_UNLINK, 8, "/data/dir");
	assert_int_equal(u32_at(r, 0), 1);
	path_record(HOOK_OPEN, 8, "/etc/relative");
	r = path_record(HOOK_RENAME, 0, "/etc/relative");
	assert_string_equal((char *)r->data + 14, "/full");
	r = path_record(HOOK_UNLINK, 8, "/notempty");
	assert_int_equal(r->h.ret, -ENOTEMPTY);
}

/* ---- sockets ---- */

static void test_sockets(void **state)
{
	(void)state;
	unsigned port = 0, bad = 1;
	assert_int_equal(sscanf(machine_ask(&m, 10, "sockets"), "%u %u", &port, &bad), 2);
	assert_int_equal(bad, 0);
	static const uint8_t lo[4] = { 127, 0, 0, 1 };
	unsigned seen[4] = { 0 };
	for (size_t i = 0; i < m.n; i++) {
		struct hook_socket s;
		if (m.rec[i].h.type != HOOK_SOCKET)
			continue;
		memcpy(&s, m.rec[i].data, sizeof(s));
		assert_int_equal(s.family, 4);
		assert_int_equal(m.rec[i].h.ret, 0);
		if (s.op == HOOK_LISTEN) {
			seen[0] += s.local_port == 2222 && s.proto == IPPROTO_TCP && !memcmp(s.local, lo, 4);
		} else if (s.op == HOOK_ACCEPT) {
			seen[1] += s.local_port == 2222 && s.peer_port == port && s.proto == IPPROTO_TCP &&
				   !memcmp(s.local, lo, 4) && !memcmp(s.peer, lo, 4);
		} else if (s.proto == IPPROTO_TCP) {
			seen[2] += s.local_port == port && s.peer_port == 2222 && !memcmp(s.local, lo, 4) &&
				   !memcmp(s.peer, lo, 4);
		} else {
			seen[3] += s.peer_port == 5353 && s.proto == IPPROTO_UDP && !memcmp(s.peer, lo, 4);
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen[i], 1);
}

static void test_auth(void **state)
{
	(void)state;
	static const uint8_t msg[] = "\0\0\0\x12\x0c\0\0\0\x09"
				     "s3cr3t pw"
				     "more";
	assert_string_equal(machine_ask(&m, 10, "auth"), "0");
	size_t at = 0;
	struct record *r = find(HOOK_AUTH, &at);
	assert_int_equal(r->n, 4);
	assert_memory_equal(r->data, msg, 4);
	assert_string_equal(r->h.comm, "sshd");
	r = find(HOOK_AUTH, &at);
	assert_int_equal(r->n, sizeof(msg) - 5);
	assert_memory_equal(r->data, msg + 4, sizeof(msg) - 5);
	for (; at < m.n; at++)
		assert_int_not_equal(m.rec[at].h.type, HOOK_AUTH); /* nor of others */
}

static void test_module(void **state)
{
	(void)state;
	const char *a = machine_ask(&m, 10, "module");
	if (strncmp(a, "0", 1)) {
		printf("# no module for this kernel: %s\n", a);
		skip();
	}
	size_t at = 0;
	struct record *r = find(HOOK_MODULE, &at);
	assert_string_equal((char *)r->data, "crc7");
	assert_int_equal(r->h.ret, 0);
}

static void full_probe_ring(void)
{
	uint64_t first = m.last_seq, sum = 0;
	unsigned long long total = 0;
	assert_int_equal(machine_probes_lost(&m), 0);
	m.reading = false;
	assert_int_equal(sscanf(machine_ask(&m, 120, "out %u", 2 * PROBE_RING), "%llu", &total), 1);
	m.reading = true;
	machine_collect(&m);
	/* Only now: what the answer itself was written with may be lost as well. */
	uint64_t lost = machine_probes_lost(&m);
	assert_true(lost > 0);
	assert_string_equal(machine_ask(&m, 10, "files"), "0");
	path_record(HOOK_OPEN, 8, "/etc/relative");
	assert_int_equal(machine_probes_lost(&m), lost);
	for (size_t i = 0; i < m.n; i++)
		if (m.rec[i].h.type == HOOK_TTY)
			sum += m.rec[i].n - sizeof(struct hook_tty);
	assert_true(sum < total);
	assert_true(sum + lost * 2048 >= total); /* a write to a terminal has at most so many bytes */
	assert_int_equal(m.last_seq - first, m.n);
}

/* Nobody reads for a while: the guest goes on, and what is missing is counted. */
static void test_full_ring(void **state)
{
	(void)state;
	machine_end(&m);
	machine_boot(&m, true, RING_MIN);
	machine_forget(&m);
	if (m.probe) {
		full_probe_ring();
		return;
	}
	uint64_t notes = m.notes, lost = m.lost;
	uint64_t first = m.last_seq;
	m.reading = false;
	assert_string_equal(machine_ask(&m, 60, "flood 1000"), "1000");
	/* Untold so far, but in the ring's header. */
	uint64_t untold = atomic_load(&m.ring.shm->lost_entries);
	assert_true(untold > 0);
	m.reading = true;
	machine_collect(&m);
	machine_ask(&m, 10, "files");
	assert_true(m.notes > notes);
	assert_int_equal(atomic_load(&m.ring.shm->lost_entries), 0);
	assert_true(m.lost - lost >= untold);
	/* 1000 forks and exits, some records before and after: told or counted. */
	size_t got = 0;
	for (size_t i = 0; i < m.n; i++)
		got += m.rec[i].h.type == HOOK_FORK || m.rec[i].h.type == HOOK_EXIT;
	assert_true(got < 2000);
	assert_true(got + (m.lost - lost) >= 2000);
	assert_int_equal(m.last_seq - first, m.n);
}

/* Guest processes are host processes that began as copies of the kernel: none
 * of them holds what the kernel holds of the hooks, or of the host. */
static void test_guest_processes(void **state)
{
	(void)state;
	const unsigned long STUB = 0x7fc0001000; /* User Mode Linux's last page in a guest's process */
	unsigned seen = 0;
	char path[64], line[512];
	assert_true(atoi(machine_ask(&m, 10, "sleeper")) > 0);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", m.pid, m.pid);
	FILE *c = fopen(path, "r");
	assert_non_null(c);
	for (int pid; fscanf(c, "%d", &pid) == 1;) {
		snprintf(path, sizeof(path), "/proc/%d/maps", pid);
		FILE *f = fopen(path, "r");
		/* Threads of the kernel are children as well, with all of its memory. */
		bool kernel = false, ours = false;
		while (f && fgets(line, sizeof(line), f)) {
			unsigned long from = 0;
			sscanf(line, "%lx", &from);
			kernel = kernel || strstr(line, "linux.uml");
			bool high = from > STUB && !strstr(line, "[vsyscall]"); /* the host's */
			bool low = from < m.plan.base && from >= m.plan.base - (2u << 20);
			ours = ours || low || strstr(line, "memfd:") || (high && !m.probe);
		}
		assert_false(ours && !kernel);
		seen += f && !kernel;
		if (f)
			fclose(f);
	}
	fclose(c);
	assert_true(seen > 0);
}

/* The guest restarts: its kernel is executed anew in the same process. */
static void test_restart(void **state)
{
	(void)state;
	machine_end(&m);
	machine_boot(&m, true, RING);
	machine_forget(&m);
	uint64_t first = m.last_seq;
	m.len = 0;
	m.text[0] = 0;
	assert_int_equal(send(m.console, "restart\n", 8, 0), 8);
	machine_wait(&m, "up", 60);
	machine_ask(&m, 5, "sh stty -echo");
	size_t at = 0;
	if (!m.probe)
		find(HOOK_HELLO, &at);
	assert_true(m.last_seq > first);
	machine_forget(&m);
	assert_string_equal(machine_ask(&m, 10, "files"), "0");
	path_record(HOOK_OPEN, 8, "/etc/relative");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, forget)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		T(test_output),
		T(test_cooked_output),
		T(test_paste),
		T(test_waiting_writer),
		T(test_serial),
		T(test_programs),
		T(test_processes),
		T(test_files),
		T(test_sockets),
		T(test_auth),
		T(test_module),
		T(test_guest_processes),
		T(test_full_ring),
		T(test_restart),
	};
	if (!machine_possible())
		return 0;
	machine_image();
	return cmocka_run_group_tests_name("hooks", tests, boot, end);
}
