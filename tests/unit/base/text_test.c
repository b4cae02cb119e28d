/* SPDX-License-Identifier: ISC */
#include "cm.h"

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void safe_is(const char *src, size_t n, bool tab, const char *want)
{
	char buf[256];
	size_t len = text_safe(buf, sizeof(buf), src, n, tab);
	assert_string_equal(buf, want);
	assert_int_equal(len, strlen(want));
}
#define SAFE(src, want) safe_is(src, sizeof(src) - 1, false, want)

static void text_for_a_terminal(void **state)
{
	(void)state;
	SAFE("plain text", "plain text");
	SAFE("\x1b[31mred\x07", "\\x1b[31mred\\x07");
	SAFE("a\0b\x7f", "a\\x00b\\x7f");
	SAFE("tab\there", "tab\\x09here");
	safe_is("tab\there", 8, true, "tab\there");
	SAFE("Bienenk\xc3\xb6rbe \xe8\x9c\x82 \xf0\x9f\x90\x9d", "Bienenk\xc3\xb6rbe \xe8\x9c\x82 \xf0\x9f\x90\x9d");
	SAFE("\xc2\x9b"
	     "31m",
	     "\\xc2\\x9b31m"); /* C1's CSI */
	SAFE("\xe2\x80\xae"
	     "gpj.exe",
	     "\\xe2\\x80\\xaegpj.exe"); /* right-to-left override */
	SAFE("\xe2\x81\xa6", "\\xe2\\x81\\xa6");
	SAFE("\xe2\x80\xa8", "\\xe2\\x80\\xa8"); /* line separator */
	SAFE("\xff\xfe", "\\xff\\xfe");
	SAFE("\xc0\xaf", "\\xc0\\xaf");          /* overlong */
	SAFE("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
	SAFE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	SAFE("cut \xe8\x9c", "cut \\xe8\\x9c");
}

/* What does not fit is left out whole, and the end is always there. */
static void text_is_cut_between_characters(void **state)
{
	(void)state;
	static const char src[] = "ab\xe8\x9c\x82\x1b";
	for (size_t cap = 0; cap < 16; cap++) {
		char buf[17];
		memset(buf, 'Z', sizeof(buf));
		size_t n = text_safe(buf, cap, src, sizeof(src) - 1, false);
		assert_int_equal(buf[cap], 'Z');
		if (!cap)
			continue;
		assert_int_equal(buf[n], '\0');
		assert_true(n == 0 || n == 1 || n == 2 || n == 5 || n == 9);
		assert_true(n + 1 <= cap);
	}
}

static void names(void **state)
{
	(void)state;
	static const char *const yes[] = {
		"a", "7", "web1", "debian-12-server", "a-", "abcdefghijklmnopqrstuvwxyz01234"
	};
	static const char *const no[] = { "",    "-a", "A",  "web_1", "a.b",      "../x",
					  "a/b", " a", "a ", "a\n",   "\xc3\xb6", "abcdefghijklmnopqrstuvwxyz012345" };
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(text_is_name(yes[i]));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(text_is_name(no[i]));
}

static void quantities(void **state)
{
	(void)state;
	static const struct {
		const char *s;
		bool ok;
		uint64_t v;
	} bytes[] = {
		{ "0", true, 0 },	    { "64", true, 64 },      { "10k", true, 10240 },
		{ "10K", true, 10240 },	    { "1M", true, 1 << 20 }, { "3G", true, 3ull << 30 },
		{ "16777215T", true, 16777215ull << 40 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "16777216T", false, 0 },  { "", false, 0 },	     { "M", false, 0 },
		{ "1MB", false, 0 },	    { "-1", false, 0 },	     { "+1", false, 0 },
		{ " 1", false, 0 },	    { "1 ", false, 0 },	     { "0x10", false, 0 },
		{ "1.5M", false, 0 },	    { "1m", false, 0 },
	}, seconds[] = {
		{ "30s", true, 30 },	    { "5m", true, 300 },     { "2h", true, 7200 },
		{ "7d", true, 604800 },	    { "30", false, 0 },	     { "", false, 0 },
		{ "s", false, 0 },	    { "1w", false, 0 },	     { "213503982334602d", false, 0 },
	};
	uint64_t v;
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		v = 4711;
		assert_int_equal(text_bytes(bytes[i].s, &v), bytes[i].ok);
		assert_true(v == (bytes[i].ok ? bytes[i].v : 4711));
	}
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		v = 4711;
		assert_int_equal(text_seconds(seconds[i].s, &v), seconds[i].ok);
		assert_true(v == (seconds[i].ok ? seconds[i].v : 4711));
	}
}

static void copies_or_leaves_alone(void **state)
{
	(void)state;
	char buf[4] = "zzz";
	assert_false(text_copy(buf, sizeof(buf), "four"));
	assert_string_equal(buf, "zzz");
	assert_true(text_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(text_copy(buf, 0, ""));
}

static void errors(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(err_set(&e, -EINVAL, "bad %s", "thing"), -EINVAL);
	assert_string_equal(e.text, "bad thing");
	assert_int_equal(e.code, -EINVAL);
	assert_int_equal(err_sys(&e, -ENOENT, "cannot open %s", "x"), -ENOENT);
	assert_string_equal(e.text, "cannot open x: No such file or directory");
	assert_int_equal(err_prefix(&e, "honeypot %s", "web1"), -ENOENT);
	assert_string_equal(e.text, "honeypot web1: cannot open x: No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "nobody asks"), -EIO);
	assert_int_equal(err_sys(NULL, -EIO, "nobody asks"), -EIO);
	assert_int_equal(err_prefix(NULL, "x"), 0);
	char big[2 * ERR_TEXT];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_sys(&e, -EIO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT - 1);
	err_prefix(&e, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT - 1);
}

/* No caller can let an intruder's bytes reach the operator's terminal. */
static void log_is_harmless(void **state)
{
	(void)state;
	int p[2], was = dup(STDERR_FILENO);
	char buf[4096];
	assert_int_equal(pipe(p), 0);
	dup2(p[1], STDERR_FILENO);
	log_init("vmm", LOG_L_INFO);
	errno = ENOENT;
	log_warn("console said \x1b]0;%s\x07\n", "evil");
	log_debug("not shown");
	int kept = errno;
	dup2(was, STDERR_FILENO);
	ssize_t n = read(p[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "skep[vmm]: warning: console said \\x1b]0;evil\\x07\\x0a\n");
	assert_int_equal(kept, ENOENT);
	close(was);
	close(p[0]);
	close(p[1]);
}

static void pieces(void **state)
{
	char buf[24];
	struct text_out o = { buf, sizeof(buf), 0 };
	(void)state;
	text_add(&o, "a=");
	text_add_number(&o, 0);
	text_add(&o, " b=");
	text_add_number(&o, 90210);
	assert_string_equal(buf, "a=0 b=90210");
	assert_int_equal(o.n, 11);
	text_add_number(&o, UINT64_MAX); /* 20 digits, of which 12 fit */
	assert_string_equal(buf, "a=0 b=90210184467440737");
	text_add(&o, "x");
	assert_int_equal(o.n, 23);
	struct text_out small = { buf, 1, 0 };
	text_add(&small, "gone");
	assert_string_equal(buf, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(text_for_a_terminal),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(names),
		cmocka_unit_test(quantities),
		cmocka_unit_test(copies_or_leaves_alone),
		cmocka_unit_test(errors),
		cmocka_unit_test(log_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
