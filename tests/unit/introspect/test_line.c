/* SPDX-License-Identifier: ISC */
/* Lines as typed, from what went through a terminal in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proc/introspect/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char got[65536];
static struct line *l;

/* "C:text;" command, "S:text<prompt;" secret, "N:text;" name; flags e n c before the colon. */
static void on_line(void *arg, enum line_what what, const char *text, size_t n, const char *prompt, unsigned flags)
{
	static const char names[] = "CSN";
	size_t at = strlen(got);
	(void)arg;
	if (what == LINE_SHOWN)
		return;
	assert_int_equal(text[n], 0);
	snprintf(got + at, sizeof(got) - at, "%c%s%s%s:%.*s%s%s;", names[what], flags & LINE_F_EDITED ? "e" : "",
		 flags & LINE_F_NOECHO ? "n" : "", flags & LINE_F_CUT ? "c" : "", (int)n, text,
		 what == LINE_SECRET ? "<" : "", what == LINE_SECRET ? prompt : "");
}

static void keys(const char *s)
{
	line_input(l, (const uint8_t *)s, strlen(s), on_line, NULL);
}

static void shows(const char *s)
{
	line_output(l, (const uint8_t *)s, strlen(s), on_line, NULL);
}

static int fresh(void **state)
{
	(void)state;
	l = calloc(1, sizeof(*l));
	assert_non_null(l);
	line_cols(l, 80);
	got[0] = 0;
	return 0;
}

static int done(void **state)
{
	(void)state;
	free(l);
	return 0;
}

/* Every key answered at once, as a shell does with somebody who types. */
static void typed(const char *s)
{
	for (; *s; s++) {
		char k[2] = { *s, 0 };
		keys(k);
		if (*s == '\r')
			shows("\r\n");
		else if (*s == 0x7f)
			shows("\b\033[K");
		else
			shows(k);
	}
}

static void plain(void **state)
{
	(void)state;
	shows("root@pot:~# ");
	typed("ls -la /tmp\r");
	assert_string_equal(got, "C:ls -la /tmp;");
	got[0] = 0;
	shows("total 0\r\nroot@pot:~# ");
	typed("iz\x7f\x7fid\r");
	shows("uid=0(root)\r\nroot@pot:~# ");
	typed("\r");
	assert_string_equal(got, "C:id;");
}

static void cooked_and_line_ends(void **state)
{
	(void)state;
	shows("$ ");
	typed("one\r");
	shows("$ ");
	keys("two\r\n");
	shows("two\r\n$ ");
	keys("three\n");
	shows("three\r\n");
	assert_string_equal(got, "C:one;C:two;C:three;");
}

static void editing_keys(void **state)
{
	(void)state;
	shows("$ ");
	keys("rm wrong\025echo a b c\027\027xx"); /* ^U, two ^W */
	keys("\001E\005!\002\002\033[3~");        /* ^A E ^E ! left left, delete */
	keys("\033[H\033[C\033OF.\r");
	shows("Eecho a x!.\r\n");
	assert_string_equal(got, "C:Eecho a x!.;");
	got[0] = 0;
	shows("$ ");
	keys("abandoned\003");
	shows("^C\r\n$ ");
	keys("kept\013\r"); /* ^K at the end */
	shows("kept\r\n");
	assert_string_equal(got, "C:kept;");
}

static void utf8(void **state)
{
	(void)state;
	shows("$ ");
	keys("echo \303\244\342\202\254\x7f\303\266\033[D\033[D\303\237\r");
	shows("echo \303\237\303\244\303\266\r\n");
	assert_string_equal(got, "C:echo \303\237\303\244\303\266;");
}

static void history(void **state)
{
	(void)state;
	shows("\033[?2004hroot@pot:~# ");
	keys("\033[A");
	shows("cat /etc/shadow");
	keys("\r");
	shows("\r\n\033[?2004l\rroot:*:\r\n\033[?2004h\033]0;title\007root@pot:~# ");
	assert_string_equal(got, "Ce:cat /etc/shadow;");
	got[0] = 0;
	keys("\033[A");
	shows("cat /etc/shadow");
	keys("\x7f");
	shows("\b\033[K");
	keys("X");
	shows("X");
	keys("\033[A"); /* a longer one is replaced by a shorter one */
	shows("\r\033[C\033[C\033[C\033[C\033[C\033[C\033[C\033[C\033[C\033[C\033[C\033[Cid\033[K");
	keys("\r");
	shows("\r\n");
	assert_string_equal(got, "Ce:id;");
}

static void completion(void **state)
{
	(void)state;
	shows("$ ");
	typed("cd /ho");
	keys("\t");
	shows("me/");
	keys("\t\t");
	shows("\r\nann/ bob/\r\n$ cd /home/");
	typed("bo");
	keys("\t");
	shows("b/");
	keys("\r");
	shows("\r\n");
	assert_string_equal(got, "Ce:cd /home/bob/;");
}

static void wrapped(void **state)
{
	(void)state;
	char line[200], out[400];
	line_cols(l, 20);
	shows("$ ");
	keys("\033[A");
	memset(line, 'x', 50);
	line[50] = 0;
	shows(line); /* two more rows */
	keys("\033[D\033[D");
	shows("\b\b");
	keys("Y");
	shows("Yxx\b\b");
	/* readline goes to the last row by line feeds, and then down */
	keys("\r");
	shows("\r\n");
	snprintf(out, sizeof(out), "Ce:%.48sYxx;", line);
	assert_string_equal(got, out);
	got[0] = 0;
	shows("$ ");
	keys("\033[A");
	shows(line);
	keys("\001");
	shows("\033[A\033[A\r\033[C\033[C"); /* beginning, two rows up */
	keys("\r");
	shows("\n\n\r\n");
	snprintf(out, sizeof(out), "Ce:%.50s;", line);
	assert_string_equal(got, out);
}

static void pasted(void **state)
{
	(void)state;
	shows("\033[?2004h$ ");
	keys("\033[200~for i in 1 2\ndo\techo $i\ndone\033[201~");
	shows("\033[7mfor i in 1 2\r\ndo\techo $i\r\ndone\033[27m");
	assert_string_equal(got, "");
	keys("\r");
	shows("\r\n");
	assert_string_equal(got, "C:for i in 1 2\ndo\techo $i\ndone;");
	got[0] = 0;
	/* without the brackets: the lines one after the other, before any echo */
	shows("$ ");
	keys("echo a\recho b\recho c\r");
	shows("echo a\r\na\r\n$ echo b\r\nb\r\n$ echo c\r\n");
	assert_string_equal(got, "C:echo a;C:echo b;C:echo c;");
}

static void paste_with_escapes_inside(void **state)
{
	(void)state;
	shows("$ ");
	keys("\033[200~a\033[20b\033\033[201~c\r");
	shows("a^[[20b^[c\r\n");
	line_flush(l, on_line, NULL);
	assert_non_null(strstr(got, "a\033[20b\033c"));
}

static void secrets(void **state)
{
	(void)state;
	shows("pot login: ");
	typed("bob\r");
	shows("Password: ");
	keys("hunter2\r");
	shows("\r\n");
	assert_string_equal(got, "N:bob;S:hunter2<Password:;");
	got[0] = 0;
	shows("$ ");
	typed("sudo id\r");
	shows("[sudo] password for bob: ");
	for (const char *s = "s3cret"; *s; s++) {
		char k[2] = { *s, 0 };
		keys(k);
		shows("*");
	}
	keys("\r");
	shows("\r\n");
	assert_string_equal(got, "C:sudo id;S:s3cret<[sudo] password for bob: ******;");
	got[0] = 0;
	shows("Enter passphrase for key '/root/.ssh/id': ");
	keys("x y\r");
	shows("\r\n");
	shows("Password: ");
	keys("\r"); /* empty */
	shows("\r\n");
	assert_string_equal(got, "S:x y<Enter passphrase for key '/root/.ssh/id':;S:<Password:;");
}

static void no_secret_where_it_is_shown(void **state)
{
	(void)state;
	shows("new password: ");
	typed("visible\r");
	assert_string_equal(got, "C:visible;");
}

/* A secret whose prompt nobody answers in time is still none of the commands. */
static void secret_without_answer(void **state)
{
	(void)state;
	shows("Password: ");
	keys("hunter2\r");
	line_flush(l, on_line, NULL);
	assert_string_equal(got, "S:hunter2<Password: ;");
}

static void not_shown(void **state)
{
	(void)state;
	shows("continue? ");
	keys("yes\r");
	shows("\r\n");
	assert_string_equal(got, "Cn:yes;");
	got[0] = 0;
	/* not even a line feed: read -s */
	shows("word? ");
	keys("sesame\r");
	shows("$ ");
	keys("id\r");
	shows("id\r\n");
	assert_string_equal(got, "Cn:sesame;C:id;");
}

static void swallowed_keys(void **state)
{
	(void)state;
	shows("top - 12:00\r\n");
	keys("q"); /* top ends, nothing is shown */
	shows("\r\n$ ");
	typed("ls\r");
	assert_string_equal(got, "Ce:ls;");
}

static void full_screen(void **state)
{
	(void)state;
	shows("$ ");
	typed("vi x\r");
	shows("\033[?1049h\033[1;24r\033[H\033[J");
	keys("ihello\rworld\033:wq\r");
	shows("\033[Hhello\r\nworld\033[24;1H:wq\r\033[?1049l\r\n$ ");
	typed("id\r");
	assert_string_equal(got, "C:vi x;C:id;");
}

static void answers_of_the_terminal(void **state)
{
	(void)state;
	shows("$ ");
	keys("\033[?62;22c\033[24;80R\033]11;rgb:0/0/0\033\\\033[I\033[O\033[M !!\033[<0;1;1Mid\r");
	shows("id\r\n");
	assert_string_equal(got, "C:id;");
}

static void typed_ahead(void **state)
{
	(void)state;
	shows("$ ");
	typed("make\r");
	keys("echo next\r");
	shows("cc a.c\r\ncc b.c\r\n$ echo next\r\nnext\r\n");
	assert_string_equal(got, "C:make;C:echo next;");
}

static void never_answered(void **state)
{
	(void)state;
	shows("$ ");
	keys("quiet\r");
	for (int i = 0; i < 40; i++)
		shows("other\r\n");
	assert_string_equal(got, "Cn:quiet;");
	got[0] = 0;
	shows("$ ");
	keys("quiet2\r");
	for (int i = 0; i < 20000; i++)
		shows(".");
	assert_string_equal(got, "Cn:quiet2;");
}

static void too_long(void **state)
{
	(void)state;
	for (int i = 0; i < 6000; i++)
		keys("k");
	keys("\r");
	line_flush(l, on_line, NULL);
	assert_int_equal(strlen(got), strlen("Cc:;") + LINE_CAP);
}

/* Any bytes: nothing is read or written outside (run under the sanitizers). */
static void any_bytes(void **state)
{
	static const char interesting[] =
	    "\033[?200~1;9ABCDHJKPX@mGhl\r\n\b\t\177\025\027\001\005\026login: password: \303\244";
	uint32_t r = 1;
	(void)state;
	for (int i = 0; i < 3000000; i++) {
		r = r * 1664525u + 1013904223u;
		uint8_t b = r >> 31 ? (uint8_t)interesting[(r >> 8) % (sizeof(interesting) - 1)] : (uint8_t)(r >> 16);
		if (r >> 30 & 1)
			line_input(l, &b, 1, on_line, NULL);
		else
			line_output(l, &b, 1, on_line, NULL);
		if (!(r >> 8 & 0xffff))
			line_cols(l, (uint16_t)(r >> 4 & 0x7ff));
		got[0] = 0;
		assert_true(l->now.n <= LINE_CAP && l->cursor <= l->now.n);
		assert_true(l->screen.len <= SCREEN_CELLS && l->screen.pos <= SCREEN_CELLS);
	}
}

static void prompts(void **state)
{
	(void)state;
	assert_true(line_asks_secret("Password: "));
	assert_true(line_asks_secret("bob@host's password: "));
	assert_true(line_asks_secret("Enter PIN: "));
	assert_true(line_asks_secret("Secret: "));
	assert_true(line_asks_secret("(current) UNIX password:"));
	assert_false(line_asks_secret("spinning: "));
	assert_false(line_asks_secret("root@pot:~# cat password"));
	assert_false(line_asks_secret(""));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(plain),
		T(cooked_and_line_ends),
		T(editing_keys),
		T(utf8),
		T(history),
		T(completion),
		T(wrapped),
		T(pasted),
		T(paste_with_escapes_inside),
		T(secrets),
		T(no_secret_where_it_is_shown),
		T(secret_without_answer),
		T(not_shown),
		T(swallowed_keys),
		T(full_screen),
		T(answers_of_the_terminal),
		T(typed_ahead),
		T(never_answered),
		T(too_long),
		T(any_bytes),
		T(prompts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
