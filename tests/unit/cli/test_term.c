/* SPDX-License-Identifier: ISC */
/* What a guest may do to the operator's terminal: nothing but draw. */
#include "support.h"

#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

static void check(enum term_mode mode, const char *in, size_t n, const char *want)
{
	/* At once, and byte by byte: the cut must not matter. */
	struct term whole = { .mode = mode }, split = { .mode = mode };
	uint8_t a[1024], b[1024];
	assert_true(TERM_OUT(n) <= sizeof(a));
	size_t na = term_filter(&whole, (const uint8_t *)in, n, a), nb = 0;
	for (size_t i = 0; i < n; i++)
		nb += term_filter(&split, (const uint8_t *)in + i, 1, b + nb);
	a[na] = b[nb] = 0;
	assert_string_equal((char *)a, want);
	assert_string_equal((char *)b, want);
}

#define SAME(s) check(TERM_LINES, s, sizeof(s) - 1, s)
#define BECOMES(s, want) check(TERM_LINES, s, sizeof(s) - 1, want)

static void drawing_passes(void **arg)
{
	(void)arg;
	SAME("login: \r\n\tpassword\b\a");
	SAME("\033[0;1;31mred\033[m\033[2J\033[H\033[10;20H\033[K\033[5A\033[3P\033[2@\033[1;24r");
	SAME("\033[?25l\033[?25h\033[?1049h\033[?1;7h\033[?2004l");
	SAME("\033(B\033(0\033)0\0337\0338\033M\033D\033=\033>");
	SAME("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x9d");
}

static void the_rest_is_shown(void **arg)
{
	(void)arg;
	BECOMES("\033]0;title\a.", "\\x1b]0;title\a.");
	BECOMES("\033]52;c;cm0gLXJm\033\\.", "\\x1b]52;c;cm0gLXJm\\x1b\\.");
	BECOMES("\033P$q\033\\", "\\x1bP$q\\x1b\\");
	BECOMES("\033[c\033[6n\033[21t\033[999b", "\\x1b[c\\x1b[6n\\x1b[21t\\x1b[999b");
	BECOMES("\033[>c\033[=c\033[!p\033[4h\033[20l", "\\x1b[>c\\x1b[=c\\x1b[!p\\x1b[4h\\x1b[20l");
	BECOMES("\033[?1000h\033[?1;1006h\033[?h\033[?3n", "\\x1b[?1000h\\x1b[?1;1006h\\x1b[?h\\x1b[?3n");
	BECOMES("\033c\033#8\033%G\033_x\033^x\033X", "\\x1bc\\x1b#8\\x1b%G\\x1b_x\\x1b^x\\x1bX");
	BECOMES("\x9b"
		"2J\xc2\x9b"
		"2J",
		"\\x9b2J\\xc2\\x9b2J");
	BECOMES("\xe2\x80\xae"
		"abc",
		"\\xe2\\x80\\xae"
		"abc");
	BECOMES("\x05\x0e\x0f\x11\x18\x1a\x7f.", "\\x05\\x0e\\x0f\\x11\\x18\\x1a\\x7f.");
	check(TERM_LINES, "\0.", 2, "\\x00.");
	/* A sequence broken off by another one, and one that never ends. */
	BECOMES("\033[1\033[2J", "\\x1b[1\033[2J");
	BECOMES("\033\033[2J", "\\x1b\033[2J");
	BECOMES("\033[11111111111111111111111111m", "\\x1b[11111111111111111111111111m");
	BECOMES("\xe2\x82\033[m", "\\xe2\\x82\033[m");
	BECOMES("\xe2\x82\xe2\x82\xac", "\\xe2\\x82\xe2\x82\xac");
	BECOMES("\xc0\xaf\xed\xa0\x80\xf5", "\\xc0\\xaf\\xed\\xa0\\x80\\xf5");
}

static void plain(void **arg)
{
	(void)arg;
	static const char in[] = "a\033[31mb\r\n\t\a\b\xc3\xa9\033]0;x\a";
	check(TERM_PLAIN, in, sizeof(in) - 1, "a\\x1b[31mb\r\n\t\\x07\\x08\xc3\xa9\\x1b]0;x\\x07");
}

static void raw(void **arg)
{
	(void)arg;
	SAME("");
	check(TERM_RAW, "\033]0;x\a\x9b", 7, "\033]0;x\a\x9b");
}

/* Whatever comes: each ESC that gets out begins a listed sequence, and no other
 * control byte gets out. An independent reading of the output, by a list of
 * whole sequences, not by the filter's own code. */
static bool listed(const char *p, size_t *len)
{
	if (p[1] == '[') {
		size_t n = 2 + (p[2] == '?');
		bool private = n == 3;
		n += strspn(p + n, "0123456789;");
		*len = n + 1;
		return p[n] && strchr(private ? "hl" : "@ABCDEFGHIJKLMPSTXZ`adefmrsu", p[n]);
	}
	*len = p[1] == '(' || p[1] == ')' ? 3 : 2;
	return p[1] && strchr("()78DEM=>", p[1]);
}

static void random_bytes(void **arg)
{
	(void)arg;
	static const char alphabet[] = "\033\033\033[[[]]();?0127mhlHJtnc\a\b\r\n\x9b\xc2\xe2\x80\xae\xff az";
	unsigned seed = 42;
	struct term t = { .mode = TERM_LINES };
	for (int round = 0; round < 20000; round++) {
		uint8_t in[64];
		char out[TERM_OUT(64) + 1];
		size_t n = (size_t)(rand_r(&seed) % 64);
		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)(rand_r(&seed) % 8 ? alphabet[rand_r(&seed) % (sizeof(alphabet) - 1)]
							    : rand_r(&seed) % 256);
		size_t len = term_filter(&t, in, n, (uint8_t *)out);
		assert_true(len <= TERM_OUT(64) && t.nheld < TERM_SEQ);
		out[len] = 0;
		assert_int_equal(strlen(out), len);
		for (size_t i = 0; i < len; i++) {
			uint8_t b = (uint8_t)out[i];
			size_t skip;
			if (b == 0x1b) {
				assert_true(listed(out + i, &skip));
				i += skip - 1;
			} else {
				assert_true(b >= 0x20 || strchr("\r\n\t\a\b", b));
				assert_true(b != 0x7f);
			}
		}
		assert_null(strstr(out, "\xc2\x9b"));
	}
}

/* Putting the terminal back uses only what is listed too. */
static void reset_is_listed(void **arg)
{
	(void)arg;
	check(TERM_LINES, term_reset, strlen(term_reset), term_reset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drawing_passes), cmocka_unit_test(the_rest_is_shown),
		cmocka_unit_test(plain),          cmocka_unit_test(raw),
		cmocka_unit_test(random_bytes),   cmocka_unit_test(reset_is_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
