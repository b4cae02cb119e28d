/* SPDX-License-Identifier: ISC */
/* Times, sizes, tables, and that nothing hostile gets through to a terminal. */
#include "support.h"

#include "cli/cmd.h"

#include <string.h>

#define HOSTILE "a\033]0;owned\a\xc2\x9b\x7f\xff\xe2\x80\xae"
#define NOW (1779000000ull * 1000000000u)

static void times(void **arg)
{
	(void)arg;
	static const struct {
		const char *s;
		uint64_t ns; /* 0 = refused */
	} cases[] = {
		{ "1970-01-01T00:00:01Z", 1000000000u },
		{ "2026-05-01T12:00:00Z", 1777636800ull * 1000000000u },
		{ "2026-05-01T12:00:00.25Z", 1777636800ull * 1000000000u + 250000000u },
		{ "2026-05-01T12:00:00.123456789012Z", 1777636800ull * 1000000000u + 123456789u },
		{ "2026-05-01T14:00:00+02:00", 1777636800ull * 1000000000u },
		{ "2026-05-01 07:30:00-04:30", 1777636800ull * 1000000000u },
		{ "10m", NOW - 600ull * 1000000000u },
		{ "2h", NOW - 7200ull * 1000000000u },
		{ "2026-05-01T12:00:00", 0 },
		{ "2026-05-01", 0 },
		{ "2026-13-01T12:00:00Z", 0 },
		{ "2026-02-31T12:00:00Z", 0 },
		{ "2026-05-01T24:00:00Z", 0 },
		{ "2026-05-01T12:00:00Zx", 0 },
		{ "2026-05-01T12:00:00.Z", 0 },
		{ "1960-05-01T12:00:00Z", 0 },
		{ "99999999999d", 0 },
		{ "yesterday", 0 },
		{ "", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 1;
		struct err e = { 0 };
		int r = cmd_time(cases[i].s, NOW, &ns, &e);
		if ((r == 0) != (cases[i].ns != 0) || (r == 0 && ns != cases[i].ns))
			fail_msg("%s: %d, %llu", cases[i].s, r, (unsigned long long)ns);
		if (r < 0) {
			assert_int_equal(ns, 1);
			assert_true(e.text[0]);
		}
	}
}

static void words(void **arg)
{
	(void)arg;
	char t[CMD_TIME_TEXT], s[CMD_SIZE_TEXT];
	assert_string_equal(cmd_time_text(t, 1777636800ull * 1000000000u + 123456789u, 6),
			    "2026-05-01T12:00:00.123456Z");
	assert_string_equal(cmd_time_text(t, 1777636800ull * 1000000000u + 23456789u, 3), "2026-05-01T12:00:00.023Z");
	assert_string_equal(cmd_time_text(t, 0, 0), "1970-01-01T00:00:00Z");
	assert_string_equal(cmd_size_text(s, 0), "0");
	assert_string_equal(cmd_size_text(s, 1023), "1023");
	assert_string_equal(cmd_size_text(s, 1536), "1.5K");
	assert_string_equal(cmd_size_text(s, 64 << 20), "64M");
	assert_string_equal(cmd_size_text(s, ~0ull), "15E");
	assert_string_equal(cmd_age_text(s, 59), "59s");
	assert_string_equal(cmd_age_text(s, 185), "3m05s");
	assert_string_equal(cmd_age_text(s, 7800), "2h10m");
	assert_string_equal(cmd_age_text(s, 4 * 86400 + 3 * 3600), "4d03h");
}

static void is_safe(const char *s)
{
	for (; *s; s++)
		assert_true((uint8_t)*s >= 0x20 || *s == '\n');
	assert_null(strstr(s, "\xc2\x9b"));
	assert_null(strstr(s, "\xe2\x80\xae"));
}

static void table_is_safe(void **arg)
{
	(void)arg;
	static const char *const heads[] = { "NAME", ">N", "TEXT", NULL };
	char buf[4096] = "";
	FILE *out = fmemopen(buf, sizeof(buf) - 1, "w");
	struct cmd c = { .out = out, .err = stderr };
	struct table t;
	table_init(&t, heads);
	table_add(&t, "%s", HOSTILE);
	table_add(&t, "%d", 7);
	table_add(&t, "x\ny");
	table_add(&t, "\xc3\xa9");
	table_add(&t, "%d", 12345);
	table_add(&t, "last");
	assert_int_equal(table_print(&t, &c), 0);
	fclose(out);
	is_safe(buf);
	assert_non_null(strstr(buf, "a\\x1b]0;owned\\x07\\xc2\\x9b\\x7f\\xff\\xe2\\x80\\xae      7  x\\x0ay\n"));
	/* Columns go by characters, not bytes. */
	const char *line = strstr(buf, "\xc3\xa9");
	assert_non_null(line);
	assert_non_null(strstr(line, "12345  last\n"));
	int lines = 0;
	for (const char *p = buf; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 3);
}

static void messages_are_safe(void **arg)
{
	(void)arg;
	char buf[4096] = "";
	FILE *err = fmemopen(buf, sizeof(buf) - 1, "w");
	struct cmd c = { .out = stdout, .err = err };
	struct err e = { -1, HOSTILE };
	assert_int_equal(cmd_fail(&c, "%s", HOSTILE), CMD_FAILED);
	assert_int_equal(cmd_fail_err(&c, &e, NULL), CMD_FAILED);
	assert_int_equal(cmd_fail_err(&c, &e, "on %s", HOSTILE), CMD_FAILED);
	assert_int_equal(cmd_usage(&c, "%s", HOSTILE), CMD_USAGE);
	cmd_note(&c, "%s", HOSTILE);
	cmd_progress(&c, "%s", HOSTILE);
	fclose(err);
	is_safe(buf);
	assert_int_equal(strncmp(buf, "skep: a\\x1b", 10), 0);
}

static void json_is_safe(void **arg)
{
	(void)arg;
	char buf[4096] = "";
	FILE *out = fmemopen(buf, sizeof(buf) - 1, "w");
	struct cmd c = { .out = out, .err = stderr };
	assert_int_equal(cmd_json_line(&c, json_pack("{so so}", "a", cmd_string(HOSTILE), "b", cmd_string_n("\0x", 2))),
			 0);
	fclose(out);
	is_safe(buf);
	json_t *v = json_loads(buf, 0, NULL);
	assert_non_null(v);
	assert_string_equal(json_string_value(json_object_get(v, "b")), "\\x00x");
	json_decref(v);
	char big[3000];
	memset(big, 27, sizeof(big));
	v = cmd_string_n(big, sizeof(big));
	assert_int_equal(json_string_length(v), 4 * sizeof(big));
	json_decref(v);
}

static void full_output(void **arg)
{
	(void)arg;
	FILE *full = fopen("/dev/full", "we"), *err = fopen("/dev/null", "we");
	struct cmd c = { .out = full, .err = err };
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(cmd_json(&c, json_pack("{ss}", "a", "b")), CMD_FAILED);
	fclose(full);
	fclose(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),         cmocka_unit_test(words),
		cmocka_unit_test(table_is_safe), cmocka_unit_test(messages_are_safe),
		cmocka_unit_test(json_is_safe),  cmocka_unit_test(full_output),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
