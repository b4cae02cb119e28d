/* SPDX-License-Identifier: ISC */
/* Records of session files and what is made of them, without files. */
#include "support.h"

#include "cli/cast.h"
#include "cli/proc_table.h"
#include "cli/session_table.h"
#include "cli/term.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(8) uint8_t bytes[INTRO_REC_MAX + 8];

/* One record in `bytes`; its length with padding. */
static size_t put(const struct intro_rec *h, const void *body, size_t n)
{
	struct intro_rec r = *h;
	r.len = (uint32_t)(sizeof(r) + n);
	r.seq = r.seq ? r.seq : 2;
	r.time = r.time ? r.time : 1000;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &r, sizeof(r));
	if (n)
		memcpy(bytes + sizeof(r), body, n);
	return (r.len + 7u) & ~7u;
}

static struct skt_rec record(const struct intro_rec *h, const void *body, size_t n)
{
	struct skt_rec r;
	size_t len = put(h, body, n);
	assert_int_equal(skt_frame(slice_of(bytes, len)), len);
	assert_true(skt_decode(slice_of(bytes, len), &r));
	return r;
}

#define REC(k, ...) (&(struct intro_rec){ .kind = INTRO_##k, __VA_ARGS__ })

static void framing(void **arg)
{
	(void)arg;
	size_t len = put(REC(COMMAND), "ls", 3);
	assert_int_equal(len, 80);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(skt_frame(slice_of(bytes, n)), 0);
	static const uint32_t bad[] = { 0, 1, 71, INTRO_REC_MAX + 1, 0xffffffff };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bytes, &bad[i], 4);
		assert_int_equal(skt_frame(slice_of(bytes, len)), -1);
	}
	struct skt_rec r;
	len = put(REC(COMMAND), "ls", 3);
	assert_false(skt_decode(slice_of(bytes, 71), &r));
	assert_false(skt_decode(slice_of(bytes, 74), &r));
	len = put(&(struct intro_rec){ .kind = INTRO_KIND_COUNT }, "ls", 3);
	assert_false(skt_decode(slice_of(bytes, len), &r));
	/* The biggest one. */
	static uint8_t big[INTRO_REC_MAX - sizeof(struct intro_rec)];
	r = record(REC(COMMAND), big, sizeof(big));
	assert_int_equal(r.body.n, sizeof(big));
}

/* Too short for its kind, or of another kind: false, whatever the bytes are. */
static void short_bodies(void **arg)
{
	(void)arg;
	static const size_t least[INTRO_KIND_COUNT] = {
		[INTRO_NONE] = sizeof(struct intro_file),
		[INTRO_SOURCE] = sizeof(struct intro_source),
		[INTRO_LOSS] = sizeof(struct intro_loss),
		[INTRO_SESSION] = sizeof(struct intro_session),
		[INTRO_END] = sizeof(struct intro_end),
		[INTRO_TTY] = 4,
		[INTRO_WINSIZE] = 4,
		[INTRO_LOGIN] = 8,
		[INTRO_EXEC] = 8,
		[INTRO_FORK] = 4,
		[INTRO_EXIT] = 4,
		[INTRO_FILE] = 8,
		[INTRO_SOCKET] = sizeof(struct hook_socket),
		[INTRO_CRED] = 16,
	};
	uint8_t body[256] = INTRO_FILE_MAGIC;
	for (uint16_t kind = 0; kind < INTRO_KIND_COUNT; kind++) {
		for (size_t n = 0; n < 200; n++) {
			struct skt_rec r = record(&(struct intro_rec){ .kind = kind }, body, n);
			struct intro_file f;
			struct intro_source src;
			struct intro_loss loss;
			struct intro_session s = { .proto = 0 };
			struct intro_end end;
			struct hook_socket sock;
			struct skt_exec x;
			struct slice a, b;
			uint32_t v[4];
			uint16_t w[2];
			bool ok = n >= least[kind];
			assert_int_equal(skt_file_head(&r, &f), ok && kind == INTRO_NONE);
			assert_int_equal(skt_source(&r, &src, &a), ok && kind == INTRO_SOURCE);
			assert_int_equal(skt_loss(&r, &loss), ok && kind == INTRO_LOSS);
			assert_int_equal(skt_end(&r, &end), ok && kind == INTRO_END);
			assert_int_equal(skt_winsize(&r, &w[0], &w[1]), ok && kind == INTRO_WINSIZE);
			assert_int_equal(skt_login(&r, &v[0], &v[1], &a, &b), ok && kind == INTRO_LOGIN);
			assert_int_equal(skt_exec(&r, &x), ok && kind == INTRO_EXEC);
			assert_int_equal(skt_u32(&r, v), ok && (kind == INTRO_FORK || kind == INTRO_EXIT));
			assert_int_equal(skt_cred(&r, v), ok && kind == INTRO_CRED);
			/* The magic's bytes are no direction, family or operation. */
			if (n < least[kind] || kind != INTRO_SESSION)
				assert_false(skt_session(&r, &s, &a));
			if (n < least[kind] || kind != INTRO_TTY)
				assert_false(skt_tty(&r, &v[0], &a));
			if (n < least[kind] || kind != INTRO_SOCKET)
				assert_false(skt_socket(&r, &sock));
			if (n < least[kind] || kind != INTRO_FILE)
				assert_false(skt_file(&r, &v[0], &v[1], &a, &b));
		}
	}
}

/* Numbers that no enum has. */
static void senseless(void **arg)
{
	(void)arg;
	struct slice a, b;
	uint32_t v[2] = { 2, 0 }, dir, op, mode;
	struct skt_rec r = record(REC(TTY), v, 8);
	assert_false(skt_tty(&r, &dir, &a));
	v[0] = INTRO_FILE_OPS;
	r = record(REC(FILE), v, 8);
	assert_false(skt_file(&r, &op, &mode, &a, &b));
	struct hook_socket s = { .op = HOOK_SOCKET_OP_COUNT, .family = 4 }, out;
	r = record(REC(SOCKET), &s, sizeof(s));
	assert_false(skt_socket(&r, &out));
	s = (struct hook_socket){ .family = 5 };
	r = record(REC(SOCKET), &s, sizeof(s));
	assert_false(skt_socket(&r, &out));
	struct intro_session who = { .proto = 6, .family = 7 }, got;
	r = record(REC(SESSION), &who, sizeof(who));
	assert_false(skt_session(&r, &got, &a));
	assert_string_equal(session_outcome(99), "?");
	assert_string_equal(session_auth(99), "?");
	assert_string_equal(session_service(99), "?");
	assert_string_equal(session_file_op(99), "?");
	assert_string_equal(session_socket_op(99), "?");
	char name[24];
	assert_string_equal(session_tty_name(name, HOOK_TTY_ID(HOOK_TTY_SERIAL, 1)), "ttyS1");
	assert_string_equal(session_tty_name(name, HOOK_TTY_ID(9, 1)), "tty?1");
}

static void texts(void **arg)
{
	(void)arg;
	struct slice s = slice_of("a\0\0bc", 5), t;
	assert_true(skt_take_text(&s, &t));
	assert_int_equal(t.n, 1);
	assert_true(skt_take_text(&s, &t));
	assert_int_equal(t.n, 0);
	assert_true(skt_take_text(&s, &t));
	assert_memory_equal(t.p, "bc", 2);
	assert_int_equal(t.n, 2);
	assert_false(skt_take_text(&s, &t));
}

static void ids(void **arg)
{
	(void)arg;
	uint64_t id, mask;
	char text[SESSION_ID_TEXT];
	assert_string_equal(session_id_text(text, 0xffff00000000000aull), "00000000000a");
	assert_true(session_id_parse("00000000000a", &id, &mask));
	assert_int_equal(id, 10);
	assert_int_equal(mask, 0xffffffffffffull);
	assert_true(session_id_parse("A1b2", &id, &mask));
	assert_int_equal(id, 0xa1b200000000ull);
	assert_int_equal(mask, 0xffff00000000ull);
	assert_false(session_id_parse("", &id, &mask));
	assert_false(session_id_parse("a1b", &id, &mask));
	assert_false(session_id_parse("a1b2c3d4e5f67", &id, &mask));
	assert_false(session_id_parse("a1 b2", &id, &mask));
	char end[SESSION_ENDPOINT];
	uint8_t addr[16];
	inet_pton(AF_INET6, "2001:db8::1", addr);
	assert_string_equal(session_endpoint(end, 6, addr, 22), "[2001:db8::1]:22");
}

static void table(void **arg)
{
	(void)arg;
	struct session_table t = { 0 };
	struct intro_loss loss = { 5, 0 };
	struct intro_end end = { 0, 9000, 0, 0, 0, 0 };
	struct intro_source src = { 0 };
	struct skt_rec r;
	for (uint64_t id = 1; id <= 1000; id++) {
		r = record(REC(COMMAND, .session = id, .time = 5000 - id), "x", 2);
		assert_non_null(session_add(&t, "web1", &r));
	}
	r = record(REC(END, .session = 7, .time = 9100), &end, sizeof(end));
	assert_int_equal(session_add(&t, "web1", &r)->end, 9000);
	/* The final sums, later: the end stays. */
	end.end = 9900;
	r = record(REC(END, .session = 7, .time = 9901), &end, sizeof(end));
	assert_int_equal(session_add(&t, "web1", &r)->end, 9000);
	r = record(REC(LOSS), &loss, sizeof(loss));
	assert_null(session_add(&t, "web1", &r));
	assert_int_equal(session_find(&t, 7)->lost, 0);
	assert_int_equal(session_find(&t, 8)->lost, 5);
	assert_int_equal(t.lost, 5);
	assert_false(session_find(&t, 8)->over);
	/* The guest's kernel says so later: not a new machine. */
	r = record(REC(SOURCE, .seq = 9), &src, sizeof(src));
	session_add(&t, "web1", &r);
	assert_false(session_find(&t, 8)->over);
	r = record(REC(SOURCE, .seq = 1), &src, sizeof(src));
	session_add(&t, "web1", &r);
	assert_true(session_find(&t, 8)->over);
	assert_int_equal(session_find(&t, 8)->end, 0);
	r = record(REC(TAMPER, .session = 8), "bytes", 6);
	assert_int_equal(session_add(&t, "web1", &r)->tampered, 1);
	assert_null(session_find(&t, 5555));
	session_sort(&t);
	assert_int_equal(t.n, 1000);
	for (unsigned i = 1; i < t.n; i++)
		assert_true(t.s[i - 1].start <= t.s[i].start);
	session_table_free(&t);
}

/* More logins and terminals than are kept. */
static void many(void **arg)
{
	(void)arg;
	struct session_table t = { 0 };
	struct session *s = NULL;
	uint8_t login[600] = { 0 };
	memset(login + 8, 'u', 500);
	for (uint32_t i = 0; i < 1000; i++) {
		struct skt_rec r = record(REC(LOGIN, .session = 1), login, sizeof(login));
		s = session_add(&t, "web1", &r);
		uint32_t out[2] = { 1, 0 };
		r = record(REC(TTY, .session = 1, .tty = HOOK_TTY_ID(HOOK_TTY_PTY, i)), out, sizeof(out));
		s = session_add(&t, "web1", &r);
	}
	assert_int_equal(s->nlogins, SESSION_LOGINS);
	assert_int_equal(s->ntried, 1000);
	assert_int_equal(strlen(s->logins[0].user), SESSION_USER - 1);
	assert_int_equal(s->nttys, SESSION_TTYS);
	assert_int_equal(s->out, 4000);
	assert_int_equal(session_main_tty(s)->tty, HOOK_TTY_ID(HOOK_TTY_PTY, 0));
	session_table_free(&t);
}

static void quoting(void **arg)
{
	(void)arg;
	char text[200];
	struct skt_exec x = { .path = slice_of("/bin/sh", 7) };
	exec_text(text, sizeof(text), &x);
	assert_string_equal(text, "/bin/sh");
	x.args = slice_of("sh\0-c\0a b\0\0it's\0\033[2J\0", 21);
	exec_text(text, sizeof(text), &x);
	assert_string_equal(text, "sh -c \"a b\" \"\" \"it's\" \"\\x1b[2J\"");
	for (size_t cap = 20; cap < 60; cap++) {
		exec_text(text, cap, &x);
		assert_true(strlen(text) < cap);
	}
}

static void pids(void **arg)
{
	(void)arg;
	struct proc_table t = { 0 };
	struct skt_rec r;
	uint32_t child = 20, code = 0;
	char *text = NULL;
	size_t n;
	for (int i = 0; i < 3; i++) {
		r = record(REC(FORK, .pid = 10, .ppid = 1, .session = 5, .comm = "sshd"), &child, 4);
		proc_table_add(&t, &r);
		r = record(REC(COMMAND, .pid = 20, .ppid = 10, .session = 5), "who\0", 4);
		proc_table_add(&t, &r);
		r = record(REC(EXIT, .pid = 20, .ppid = 10, .session = 5), &code, 4);
		proc_table_add(&t, &r);
	}
	/* One parent, three children of the same number, of which each typed once. */
	assert_int_equal(t.n, 4);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(t.p[i].parent, 0);
		assert_non_null(t.p[i].notes);
		assert_null(t.p[i].notes->next);
	}
	FILE *f = open_memstream(&text, &n);
	proc_table_print(&t, f, 5, false);
	fclose(f);
	assert_non_null(strstr(text, "10 (sshd)"));
	free(text);
	f = open_memstream(&text, &n);
	proc_table_print(&t, f, 6, false);
	fclose(f);
	assert_int_equal(n, 0);
	free(text);
	proc_table_free(&t);
}

/* An exec that never goes on, one that goes on from nothing, one of another process. */
static void broken_exec(void **arg)
{
	(void)arg;
	struct exec_join j = { 0 };
	struct intro_rec h;
	struct skt_exec x;
	bool cut;
	static const uint8_t body[] = "\0\0\0\0\1\0\0\0/bin/ls\0/\0ls";
	struct skt_rec r = record(REC(EXEC, .pid = 1, .flags = INTRO_F_CONT), "more", 5);
	assert_false(exec_join_add(&j, &r, &h, &x, &cut));
	r = record(REC(EXEC, .pid = 1, .flags = INTRO_F_MORE), body, sizeof(body) - 1);
	assert_false(exec_join_add(&j, &r, &h, &x, &cut));
	r = record(REC(EXEC, .pid = 2, .flags = INTRO_F_CONT), "more", 5);
	assert_false(exec_join_add(&j, &r, &h, &x, &cut));
	r = record(REC(EXEC, .pid = 3, .flags = INTRO_F_CUT), body, sizeof(body) - 1);
	assert_true(exec_join_add(&j, &r, &h, &x, &cut));
	assert_true(cut);
	assert_int_equal(h.pid, 3);
	assert_int_equal(x.path.n, 7);
	assert_int_equal(x.cwd.n, 1);
	assert_int_equal(x.args.n, 2);
	/* As much as somebody likes: bounded. */
	static uint8_t big[15000];
	memset(big, 'a', sizeof(big));
	r = record(REC(EXEC, .pid = 4, .flags = INTRO_F_MORE), body, sizeof(body) - 1);
	assert_false(exec_join_add(&j, &r, &h, &x, &cut));
	for (int i = 0; i < 1000; i++) {
		r = record(REC(EXEC, .pid = 4, .flags = INTRO_F_CONT | INTRO_F_MORE), big, sizeof(big));
		assert_false(exec_join_add(&j, &r, &h, &x, &cut));
	}
	r = record(REC(EXEC, .pid = 4, .flags = INTRO_F_CONT), big, 1);
	assert_true(exec_join_add(&j, &r, &h, &x, &cut));
	assert_true(cut && x.args.n > 8000000 && x.args.n <= 8u << 20);
	exec_join_free(&j);
}

/* Characters that are cut by the ends of records, in both directions at once. */
static void casts(void **arg)
{
	(void)arg;
	char *text = NULL;
	size_t n;
	struct cast w;
	struct session s = { .id = 1, .honeypot = "web1", .start = 5000000000ull, .user = "\"<\033>" };
	FILE *f = open_memstream(&text, &n);
	cast_begin(&w, f, &s, HOOK_TTY_ID(HOOK_TTY_PTY, 3), 0);
	static const struct {
		enum play_what what;
		const char *bytes;
	} in[] = {
		{ PLAY_OUTPUT, "\xf0\x9f" },
		{ PLAY_INPUT, "\xc3" },
		{ PLAY_OUTPUT, "\x98" },
		{ PLAY_INPUT, "\xa4\"\\" },
		{ PLAY_OUTPUT, "\x80ok" },
		{ PLAY_OUTPUT, "\xe2\x82" },
		{ PLAY_OUTPUT, "\xe2\x82" },
		{ PLAY_OUTPUT, "\xc2\x9b"
			       "\x7f" },
		{ PLAY_OUTPUT, "end\xe2" },
	};
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct play_event ev = { .time = s.start + (i + 1) * 1000000000,
					 .what = in[i].what,
					 .bytes = slice_of(in[i].bytes, strlen(in[i].bytes)) };
		cast_event(&w, &ev);
	}
	cast_event(&w,
		   &(struct play_event){ .time = s.start + 20500000000, .what = PLAY_SIZE, .rows = 40, .cols = 132 });
	cast_event(&w,
		   &(struct play_event){ .time = s.start + 21500000000, .what = PLAY_SIZE, .rows = 40, .cols = 132 });
	assert_int_equal(cast_end(&w), 0);
	fclose(f);
	assert_string_equal(text, "{\"version\": 2, \"width\": 80, \"height\": 24, \"timestamp\": 5, \"title\": \"web1 "
				  "000000000001 pts/3 from - as \\\"<\\u001b>\"}\n"
				  "[4.000000, \"i\", \"\xc3\xa4\\\"\\\\\"]\n"
				  "[5.000000, \"o\", \"\xf0\x9f\x98\x80ok\"]\n"
				  "[7.000000, \"o\", \"\\ufffd\\ufffd\"]\n"
				  "[8.000000, \"o\", \"\\ufffd\\ufffd\\u009b\\u007f\"]\n"
				  "[9.000000, \"o\", \"end\"]\n"
				  "[20.500000, \"r\", \"132x40\"]\n"
				  "[21.500000, \"o\", \"\\ufffd\"]\n");
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		json_t *v = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_non_null(v);
		json_decref(v);
	}
	free(text);
}

static void held_back(void **arg)
{
	(void)arg;
	struct term t = { .mode = TERM_LINES };
	uint8_t out[TERM_OUT(10)];
	assert_int_equal(term_filter(&t, (const uint8_t *)"a\033[1", 4, out), 1);
	size_t n = term_end(&t, out);
	assert_int_equal(n, 12);
	assert_memory_equal(out, "\\x1b\\x5b\\x31", n);
	assert_int_equal(term_end(&t, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing),     cmocka_unit_test(short_bodies), cmocka_unit_test(senseless),
		cmocka_unit_test(texts),       cmocka_unit_test(ids),          cmocka_unit_test(table),
		cmocka_unit_test(many),        cmocka_unit_test(quoting),      cmocka_unit_test(pids),
		cmocka_unit_test(broken_exec), cmocka_unit_test(casts),        cmocka_unit_test(held_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
