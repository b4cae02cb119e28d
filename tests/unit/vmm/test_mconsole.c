/* SPDX-License-Identifier: ISC */
#include "scratch.h"

#include "proc/vmm/mconsole.h"

struct raw {
	uint32_t w[4];
	char data[600];
};

static void test_request(void **state)
{
	(void)state;
	uint8_t out[MCONSOLE_REQUEST];
	assert_true(mconsole_request("version", out));
	static const uint8_t head[] = { 0xbe, 0xba, 0xfe, 0xca, 2, 0, 0, 0, 7, 0, 0, 0, 'v', 'e', 'r' };
	assert_memory_equal(out, head, sizeof(head));
	char longer[600];
	memset(longer, 'x', sizeof(longer));
	longer[511] = 0;
	assert_true(mconsole_request(longer, out));
	longer[511] = 'x';
	longer[512] = 0;
	assert_false(mconsole_request(longer, out));
}

static void test_reply(void **state)
{
	(void)state;
	struct raw r = { { 0, 0, 8 }, "" };
	struct mconsole_msg m;
	memcpy(&r.w[3], "stopped", 8);
	assert_true(mconsole_parse(&r, 12 + 8, &m));
	assert_int_equal(m.kind, MCONSOLE_REPLY);
	assert_false(m.failed || m.more);
	assert_string_equal(m.text, "stopped");
	r.w[0] = 1;
	r.w[1] = 7;
	assert_true(mconsole_parse(&r, 12 + 8, &m));
	assert_true(m.failed && m.more);
	r.w[2] = 0;
	assert_true(mconsole_parse(&r, 12, &m));
	assert_string_equal(m.text, "");
}

static void test_notification(void **state)
{
	(void)state;
	struct raw r = { { 0xcafebabe, 2, 1, 6 }, "panic" };
	struct mconsole_msg m;
	assert_true(mconsole_parse(&r, 16 + 6, &m));
	assert_int_equal(m.kind, MCONSOLE_PANIC);
	assert_string_equal(m.text, "panic");
	r.w[2] = 0;
	assert_true(mconsole_parse(&r, 16 + 6, &m));
	assert_int_equal(m.kind, MCONSOLE_READY);
	for (uint32_t t = 2; t < 9; t++) {
		r.w[2] = t;
		assert_true(mconsole_parse(&r, 16 + 6, &m));
		assert_int_equal(m.kind, MCONSOLE_OTHER);
	}
	r.w[1] = 3; /* another version */
	assert_false(mconsole_parse(&r, 16 + 6, &m));
}

static void test_hostile(void **state)
{
	(void)state;
	struct raw r;
	struct mconsole_msg m, was;
	memset(&was, 0x5a, sizeof(was));
	m = was;
	/* Lengths that promise more than there is. */
	static const uint32_t lens[] = { 1, 9, 512, 513, 0x7fffffff, 0x80000000, 0xffffffff };
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(&r, 'A', sizeof(r));
		r.w[0] = r.w[1] = 0;
		r.w[2] = lens[i];
		assert_false(mconsole_parse(&r, 12 + (lens[i] < 600 ? lens[i] - 1 : 560), &m));
		r.w[0] = 0xcafebabe;
		r.w[1] = 2;
		r.w[3] = lens[i];
		assert_false(mconsole_parse(&r, 16 + (lens[i] < 600 ? lens[i] - 1 : 560), &m));
	}
	for (size_t n = 0; n < 12; n++)
		assert_false(mconsole_parse(&r, n, &m));
	assert_false(mconsole_parse(NULL, 0, &m));
	assert_memory_equal(&m, &was, sizeof(m));
	/* 512 bytes without an end are text of 512 bytes. */
	memset(&r, 'A', sizeof(r));
	r.w[0] = 0;
	r.w[2] = 512;
	assert_true(mconsole_parse(&r, 12 + 512, &m));
	assert_int_equal(strlen(m.text), 512);
	/* Anything at all, exactly as long as it is. */
	uint32_t rnd = 7;
	for (int i = 0; i < 20000; i++) {
		rnd = rnd * 1664525 + 1013904223;
		size_t n = (rnd >> 8) % 560;
		uint8_t *p = malloc(n ? n : 1);
		assert_non_null(p);
		for (size_t k = 0; k < n; k++) {
			rnd = rnd * 1664525 + 1013904223;
			p[k] = (uint8_t)(k < 16 && rnd & 0x30000 ? 0 : rnd >> 16);
		}
		if (i & 1 && n >= 8)
			memcpy(p, "\xbe\xba\xfe\xca\x02\0\0\0", 8);
		if (mconsole_parse(p, n, &m))
			assert_true(strlen(m.text) <= MCONSOLE_DATA);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_notification),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
