/* SPDX-License-Identifier: ISC */
#include "cm.h"

#include "base/slice.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0xf8 };

static void reads_in_order(void **state)
{
	(void)state;
	struct slice s = slice_of(bytes, sizeof(bytes));
	uint8_t b;
	uint16_t h;
	uint32_t w;
	uint64_t d;
	assert_true(slice_u8(&s, &b) && b == 1);
	assert_true(slice_be16(&s, &h) && h == 0x0203);
	assert_true(slice_le16(&s, &h) && h == 0x0504);
	assert_int_equal(s.n, 3);
	assert_ptr_equal(s.p, bytes + 5);
	s = slice_of(bytes, sizeof(bytes));
	assert_true(slice_be32(&s, &w) && w == 0x01020304);
	assert_true(slice_le32(&s, &w) && w == 0xf8070605);
	assert_int_equal(s.n, 0);
	s = slice_of(bytes, sizeof(bytes));
	assert_true(slice_le64(&s, &d) && d == 0xf807060504030201ull);
}

/* A read past the end changes neither the slice nor the output. */
static void short_reads_change_nothing(void **state)
{
	(void)state;
	for (size_t n = 0; n < 8; n++) {
		struct slice s = slice_of(bytes, n), was = s, out = { (void *)1, 77 };
		uint8_t b = 0xaa, many[8];
		uint16_t h = 0xaaaa;
		uint32_t w = 0xaaaaaaaa;
		uint64_t d = 0xaaaaaaaaaaaaaaaaull;
		memset(many, 0x55, sizeof(many));
		assert_false(slice_le64(&s, &d));
		assert_false(slice_get(&s, many, n + 1));
		assert_false(slice_take(&s, n + 1, &out));
		assert_false(slice_skip(&s, n + 1));
		if (n < 4) {
			assert_false(slice_be32(&s, &w));
			assert_false(slice_le32(&s, &w));
		}
		if (n < 2) {
			assert_false(slice_be16(&s, &h));
			assert_false(slice_le16(&s, &h));
		}
		if (n < 1)
			assert_false(slice_u8(&s, &b));
		assert_memory_equal(&s, &was, sizeof(s));
		assert_true(b == 0xaa && h == 0xaaaa && w == 0xaaaaaaaa && d == 0xaaaaaaaaaaaaaaaaull);
		assert_true(out.p == (void *)1 && out.n == 77 && many[0] == 0x55);
	}
}

static void sub_does_not_overflow(void **state)
{
	(void)state;
	struct slice s = slice_of(bytes, sizeof(bytes)), out = { 0 };
	assert_true(slice_sub(s, 2, 3, &out));
	assert_true(out.p == bytes + 2 && out.n == 3);
	assert_true(slice_sub(s, 8, 0, &out));
	assert_int_equal(out.n, 0);
	assert_false(slice_sub(s, 9, 0, &out));
	assert_false(slice_sub(s, 1, SIZE_MAX, &out));
	assert_false(slice_sub(s, SIZE_MAX, 1, &out));
	assert_false(slice_sub(s, SIZE_MAX, SIZE_MAX, &out));
	assert_false(slice_take(&s, SIZE_MAX, &out));
	assert_int_equal(slice_head(s, 3).n, 3);
	assert_int_equal(slice_head(s, 300).n, 8);
	struct slice none = { NULL, 0 };
	assert_true(slice_get(&none, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_in_order),
		cmocka_unit_test(short_reads_change_nothing),
		cmocka_unit_test(sub_does_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
