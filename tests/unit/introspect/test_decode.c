/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/decode.h"
#include "record.h"

#include <netinet/in.h>

static struct fact_buf buf;
static struct fact f;
static struct record r;

/* From memory of the exact size, at an odd address: a sanitizer sees a read past the end. */
static bool decode(size_t n)
{
	uint8_t *p = malloc(n + 1);
	assert_non_null(p);
	memcpy(p + 1, r.b, n);
	bool ok = decode_record(p + 1, n, 5, 99, &buf, &f);
	memset(p, 0, n + 1); /* the writer goes on: the fact must have its own copy */
	free(p);
	return ok;
}

static void good(void)
{
	memset(&f, 0x55, sizeof(f));
	assert_true(decode(r.n));
	assert_int_equal(f.seq, 5);
	assert_int_equal(f.time, 99);
}

/* Cut anywhere, it must not pass, unless what is left is a whole record again. */
static void cuts_fail(size_t least)
{
	for (size_t n = 0; n < r.n; n++) {
		if (n >= least)
			continue;
		memset(&f, 0x55, sizeof(f));
		struct fact before = f;
		assert_false(decode(n));
		assert_memory_equal(&f, &before, sizeof(f));
	}
}

static void one_more_fails(void)
{
	r.n++;
	assert_false(decode(r.n));
	r.n--;
}

static void test_header(void **state)
{
	(void)state;
	record_begin(&r, HOOK_EXEC_DONE);
	good();
	assert_int_equal(f.type, HOOK_EXEC_DONE);
	assert_int_equal(f.tgid, 100);
	assert_int_equal(f.tid, 101);
	assert_int_equal(f.ppid, 1);
	assert_int_equal(f.uid, 1000);
	assert_int_equal(f.euid, 1001);
	assert_int_equal(f.tty, HOOK_TTY_ID(HOOK_TTY_PTY, 3));
	assert_int_equal(f.ret, -13);
	assert_int_equal(f.gtime, 77);
	assert_int_equal(f.task, 0x60123456789a);
	assert_string_equal(f.comm, "0123456789abcdef");
	assert_string_equal(f.exec.path.s, "");
	cuts_fail(r.n);
	struct hook_rec *h = (struct hook_rec *)r.b;
	h->flags = 8;
	assert_false(decode(r.n));
	h->flags = HOOK_F_CUT | HOOK_F_MORE | HOOK_F_FAULT;
	good();
	h->tty = HOOK_TTY_ID(4, 0);
	assert_false(decode(r.n));
	h->tty = 7; /* no kind, but an index */
	assert_false(decode(r.n));
	h->tty = 0;
	good();
	for (unsigned t = 0; t < 0x10000; t += t < 64 ? 1 : 4099) {
		h->type = (uint16_t)t;
		if (t == HOOK_NONE || t >= HOOK_TYPE_COUNT)
			assert_false(decode(r.n));
	}
}

static void test_hello(void **state)
{
	(void)state;
	record_begin(&r, HOOK_HELLO);
	record_u32(&r, 3);
	record_u32(&r, 0);
	record_u64(&r, 5);
	record_u64(&r, 2);
	good();
	assert_int_equal(f.hello.version, 3);
	assert_int_equal(f.hello.placed, 5);
	assert_int_equal(f.hello.absent, 2);
	cuts_fail(r.n);
	one_more_fails();
	r.b[r.n - 1] = 0x80; /* a site that there is not */
	assert_false(decode(r.n));
}

static void test_tty(void **state)
{
	(void)state;
	record_begin(&r, HOOK_TTY);
	record_u32(&r, HOOK_TTY_ID(HOOK_TTY_SERIAL, 0));
	record_u32(&r, 1);
	record_bytes(&r, "a\0b\xff", 4);
	good();
	assert_int_equal(f.term.tty, HOOK_TTY_ID(HOOK_TTY_SERIAL, 0));
	assert_int_equal(f.term.dir, 1);
	assert_int_equal(f.term.data.n, 4);
	assert_memory_equal(f.term.data.p, "a\0b\xff", 4);
	cuts_fail(r.n - 4);
	r.b[sizeof(struct hook_rec) + 4] = 2;
	assert_false(decode(r.n));
	r.b[sizeof(struct hook_rec) + 4] = 0;
	good();
	r.b[sizeof(struct hook_rec) + 3] = 0; /* no terminal */
	assert_false(decode(r.n));
	/* The largest, and one that is too large. */
	record_begin(&r, HOOK_TTY);
	record_u32(&r, HOOK_TTY_ID(HOOK_TTY_PTY, 0));
	record_u32(&r, 0);
	r.n = sizeof(struct hook_rec) + HOOK_DATA_MAX;
	good();
	assert_int_equal(f.term.data.n, HOOK_DATA_MAX - 8);
	one_more_fails();
}

static void test_exec(void **state)
{
	(void)state;
	record_begin(&r, HOOK_EXEC_TRY);
	record_u32(&r, 2);
	record_u32(&r, 1000);
	record_text(&r, "/bin/ls");
	record_text(&r, "/root");
	size_t fixed = r.n;
	record_bytes(&r, "ls\0-l", 6);
	good();
	assert_int_equal(f.exec.argc, 2);
	assert_int_equal(f.exec.total, 1000);
	assert_int_equal(f.exec.offset, 0);
	assert_string_equal(f.exec.path.s, "/bin/ls");
	assert_int_equal(f.exec.path.n, 7);
	assert_string_equal(f.exec.cwd.s, "/root");
	assert_int_equal(f.exec.args.n, 6); /* what is here, not what it says */
	assert_memory_equal(f.exec.args.p, "ls\0-l", 6);
	cuts_fail(fixed);
	uint32_t less = 5;
	memcpy(r.b + sizeof(struct hook_rec) + 4, &less, 4);
	assert_false(decode(r.n)); /* more than there is in all */

	record_begin(&r, HOOK_EXEC_MORE);
	record_u32(&r, 4000);
	record_u32(&r, 0);
	record_bytes(&r, "x", 2);
	good();
	assert_int_equal(f.exec.offset, 4000);
	assert_int_equal(f.exec.args.n, 2);
	memset(r.b + sizeof(struct hook_rec), 0xff, 4);
	assert_false(decode(r.n)); /* the end would wrap */

	record_begin(&r, HOOK_EXEC_DONE);
	record_text(&r, "/memfd:x (deleted)");
	good();
	assert_string_equal(f.exec.path.s, "/memfd:x (deleted)");
	r.n--; /* no end */
	assert_false(decode(r.n));
}

static void test_files(void **state)
{
	(void)state;
	static const enum hook_type numbered[] = { HOOK_OPEN, HOOK_UNLINK, HOOK_CHMOD };
	for (unsigned i = 0; i < 3; i++) {
		record_begin(&r, numbered[i]);
		record_u32(&r, 0101);
		record_u32(&r, 0100644);
		record_text(&r, "/etc/passwd");
		good();
		assert_int_equal(f.file.num, 0101);
		assert_int_equal(f.file.mode, 0100644);
		assert_string_equal(f.file.path.s, "/etc/passwd");
		cuts_fail(r.n);
		one_more_fails();
	}
	record_begin(&r, HOOK_RENAME);
	record_text(&r, "/a");
	record_text(&r, "");
	good();
	assert_string_equal(f.file.path.s, "/a");
	assert_string_equal(f.file.to.s, "");
	cuts_fail(r.n);
	one_more_fails();
	record_begin(&r, HOOK_MODULE);
	record_text(&r, "rootkit");
	good();
	assert_string_equal(f.module.s, "rootkit");
	cuts_fail(r.n);
}

static void test_socket(void **state)
{
	(void)state;
	struct hook_socket s = { .op = HOOK_ACCEPT,
				 .proto = IPPROTO_TCP,
				 .family = 4,
				 .zero = 9,
				 .local_port = 22,
				 .peer_port = 40000,
				 .local = { 192, 0, 2, 10, 1 },
				 .peer = { 203, 0, 113, 7, 2 } };
	record_begin(&r, HOOK_SOCKET);
	record_bytes(&r, &s, sizeof(s));
	good();
	assert_int_equal(f.sock.op, HOOK_ACCEPT);
	assert_int_equal(f.sock.local_port, 22);
	assert_int_equal(f.sock.peer_port, 40000);
	assert_memory_equal(f.sock.peer, "\xcb\0\x71\x07\0\0\0\0\0\0\0\0\0\0\0\0", 16); /* equal addresses are equal */
	assert_int_equal(f.sock.zero, 0);
	cuts_fail(r.n);
	one_more_fails();
	static const uint8_t bad[][2] = { { 0, HOOK_SOCKET_OP_COUNT }, { 1, 1 }, { 1, 255 }, { 2, 0 }, { 2, 10 } };
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *p = r.b + sizeof(struct hook_rec) + bad[i][0], was = *p;
		*p = bad[i][1];
		assert_false(decode(r.n));
		*p = was;
	}
	good();
}

static void test_numbers(void **state)
{
	(void)state;
	record_begin(&r, HOOK_FORK);
	record_u32(&r, 7);
	record_u32(&r, 8);
	good();
	assert_int_equal(f.fork.tgid, 7);
	assert_int_equal(f.fork.tid, 8);
	cuts_fail(r.n);
	one_more_fails();
	record_begin(&r, HOOK_EXIT);
	record_u32(&r, 256);
	record_u32(&r, 1);
	good();
	assert_int_equal(f.exit.code, 256);
	assert_int_equal(f.exit.whole, 1);
	cuts_fail(r.n);
	r.b[r.n - 4] = 2;
	assert_false(decode(r.n));
	record_begin(&r, HOOK_CRED);
	for (uint32_t i = 1; i < 5; i++)
		record_u32(&r, i);
	good();
	assert_int_equal(f.cred.old_uid, 1);
	assert_int_equal(f.cred.new_uid, 2);
	assert_int_equal(f.cred.old_euid, 3);
	assert_int_equal(f.cred.new_euid, 4);
	cuts_fail(r.n);
	one_more_fails();
	record_begin(&r, HOOK_WINSIZE);
	record_u32(&r, HOOK_TTY_ID(HOOK_TTY_PTY, 1));
	record_bytes(&r, "\x18\0\x50\0", 4);
	good();
	assert_int_equal(f.winsize.rows, 24);
	assert_int_equal(f.winsize.cols, 80);
	cuts_fail(r.n);
	one_more_fails();
	record_begin(&r, HOOK_AUTH);
	record_bytes(&r, "\0\0\0\x05", 4);
	good();
	assert_int_equal(f.auth.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),  cmocka_unit_test(test_hello), cmocka_unit_test(test_tty),
		cmocka_unit_test(test_exec),    cmocka_unit_test(test_files), cmocka_unit_test(test_socket),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests_name("records of hooks", tests, NULL, NULL);
}
