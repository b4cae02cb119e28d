/* SPDX-License-Identifier: ISC */
#include "support.h"

#include "cli/flat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char got[1 << 20];
static size_t ngot;

static void on_line(void *arg, const char *text, size_t n)
{
	(void)arg;
	if (ngot + n + 2 > sizeof(got))
		ngot = 0;
	memcpy(got + ngot, text, n);
	ngot += n;
	got[ngot++] = '|';
	got[ngot] = 0;
}

static const char *flat(const char *in, bool input, unsigned cols)
{
	struct flat f;
	size_t n = strlen(in);
	assert_true(flat_init(&f, on_line, NULL, input, cols));
	/* Whatever the pieces are, the lines are the same. */
	static char whole[1 << 16];
	ngot = 0;
	got[0] = 0;
	flat_feed(&f, (const uint8_t *)in, n);
	flat_flush(&f);
	flat_free(&f);
	assert_true(strlen(got) < sizeof(whole));
	memcpy(whole, got, strlen(got) + 1);
	assert_true(flat_init(&f, on_line, NULL, input, cols));
	ngot = 0;
	got[0] = 0;
	for (size_t i = 0; i < n; i++)
		flat_feed(&f, (const uint8_t *)in + i, 1);
	flat_flush(&f);
	flat_free(&f);
	assert_string_equal(got, whole);
	return whole;
}

static void lines(void **arg)
{
	(void)arg;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "one\r\ntwo\n\nthree", "one|two||three|" },
		{ "abc\b\bX", "aXc|" },
		{ "progress 10%\rprogress 99%\r\n", "progress 99%|" },
		{ "abcdef\r\033[Kxy", "xy|" },
		{ "abcdef\033[3D\033[K", "abc|" },
		{ "abcdef\033[4D\033[2Pz", "abzf|" },
		{ "abcd\033[3D\033[2@xy", "axybcd|" },
		{ "a\033[5Cb", "a     b|" },
		{ "a\tb", "a       b|" },
		{ "\033[31;1mred\033[0m and \033(Bplain", "red and plain|" },
		{ "\033]0;title\007text\033]2;t\033\\more", "textmore|" },
		{ "\033P1;2|dcs\033\\x\033_apc\033\\y", "xy|" },
		{ "\033[5;10Hrow five\033[6;10Hrow six", "         row five|         row six|" },
		{ "top\033[2Jclean", "top|clean|" },
		{ "\033[?1049hvi\033[?1049lshell", "vi|shell|" },
		{ "\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80|" },
		{ "a\xff\xc3(b", "a\xef\xbf\xbd\xef\xbf\xbd(b|" },
		{ "a\xe2\x80\xae"
		  "b",
		  "a\xef\xbf\xbd"
		  "b|" },
		{ "bell\007 nul", "bell nul|" },
		{ "\033[999999999999Gx\r\n\033[;;;;;;;;;;;;;;;;;;5mx", NULL },
		/* A string that is never ended hides no more than its line. */
		{ "a\033]0;gone\r\nhere", "ahere|" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *out = flat(cases[i].in, false, 0);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
}

/* A shell's line editor on a narrow terminal: what wraps is one line. */
static void wrapped(void **arg)
{
	(void)arg;
	assert_string_equal(flat("0123456789abc\r\nx", false, 10), "0123456789abc|x|");
	assert_string_equal(flat("0123456789 \rabc\r\n", false, 10), "0123456789abc|");
	assert_string_equal(flat("0123456789abc\033[A\rX\r\n", false, 10), "X123456789abc|");
	assert_string_equal(flat("0123456789abc\rX\r\n", false, 10), "0123456789Xbc|");
}

static void keys(void **arg)
{
	(void)arg;
	assert_string_equal(flat("ls -lx\x7f"
				 "a\rexit\r",
				 true, 0),
			    "ls -la|exit|");
	assert_string_equal(flat("wrong\x15right\r", true, 0), "right|");
	assert_string_equal(flat("\033[A\033[D\033OAok\r", true, 0), "ok|");
	assert_string_equal(flat("\033[200~pasted\rlines\r\033[201~", true, 0), "pasted|lines|");
}

/* Anything at all: bounded, no control byte, well-formed. */
static void anything(void **arg)
{
	(void)arg;
	static const char interesting[] =
	    "\033\033\033[[]P;?0123456789ABCDGHKPXJ@mhld\r\n\b\t\007\x7f\x9b\xe2\x82\xac ab";
	unsigned seed = 1;
	for (int round = 0; round < 200; round++) {
		struct flat f;
		uint8_t buf[4096];
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)interesting[(unsigned)rand_r(&seed) % (sizeof(interesting) - 1)];
		assert_true(flat_init(&f, on_line, NULL, round & 1, (unsigned)round % 120));
		ngot = 0;
		for (int k = 0; k < 4; k++)
			flat_feed(&f, buf, sizeof(buf));
		flat_flush(&f);
		flat_free(&f);
		for (size_t i = 0; i < ngot; i++)
			assert_true((uint8_t)got[i] >= 0x20 && got[i] != 0x7f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(wrapped),
		cmocka_unit_test(keys),
		cmocka_unit_test(anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
