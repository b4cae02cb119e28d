/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "guest/kallsyms.h"
#include "synth.h"

#include <errno.h>
#include <stdio.h>

static struct synth s;
static struct kallsyms_symbol sym;

static void many(enum synth_layout layout, unsigned count)
{
	char name[500];
	synth_begin(&s, layout);
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), i % 7 ? "sys_fn_%u_%s" : "f%u%s", i, i % 5 ? "x" : "a_longer_name_");
		synth_function(&s, name, "\xc3", 1);
	}
	memset(name, 'n', 400);
	name[400] = 0;
	synth_function(&s, name, "\xc3", 1); /* its length takes two bytes */
	synth_end(&s);
}

static void expect_all(const struct kallsyms *k)
{
	struct kallsyms_cursor c = kallsyms_first(k);
	for (unsigned i = 0; i < s.syms; i++) {
		assert_true(kallsyms_next(&c, &sym));
		assert_string_equal(sym.name, s.sym[i].name);
		assert_int_equal(sym.addr, s.sym[i].addr);
		assert_int_equal(sym.type, 't');
	}
	assert_false(kallsyms_next(&c, &sym));
}

static void test_layouts(void **state)
{
	(void)state;
	static const unsigned counts[] = { 5, 250, 253, 254, 255, 256, 257, 509, 510, 511, 1000, 2500 };
	for (unsigned l = 0; l < SYNTH_LAYOUTS; l++)
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			struct kallsyms k;
			struct err e = { 0 };
			many((enum synth_layout)l, counts[i]);
			if (kallsyms_find(slice_of(s.b, s.n), &k, &e))
				fail_msg("layout %u, %u symbols: %s", l, counts[i], e.text);
			assert_int_equal(k.count, s.syms);
			expect_all(&k);
		}
}

/* A file that ends anywhere, in an exact allocation. */
static void test_cut(void **state)
{
	(void)state;
	unsigned found = 0;
	for (unsigned l = 0; l < SYNTH_LAYOUTS; l++) {
		many((enum synth_layout)l, 300);
		for (size_t n = 0; n<s.n; n += n> s.n - 3000 ? 7 : 997) {
			uint8_t *p = malloc(n ? n : 1);
			struct kallsyms k = { .count = 1234 };
			struct err e = { 0 };
			memcpy(p, s.b, n);
			if (kallsyms_find(slice_of(p, n), &k, &e) == 0) {
				found++;
				struct kallsyms_cursor c = kallsyms_first(&k);
				while (kallsyms_next(&c, &sym))
					;
			} else {
				assert_int_equal(e.code, -ENOENT);
				assert_int_equal(k.count, 1234); /* untouched */
			}
			free(p);
		}
	}
	printf("# %u of the cut files still have all tables\n", found);
}

/* One byte of the tables changed: other symbols or none, but nothing wild. */
static void test_changed(void **state)
{
	(void)state;
	many(SYNTH_SEQS, 300);
	uint8_t *p = malloc(s.n);
	memcpy(p, s.b, s.n);
	for (size_t i = s.n > 12000 ? s.n - 12000 : 0; i < s.n; i += 3) {
		struct kallsyms k;
		uint8_t was = p[i];
		p[i] ^= (uint8_t)(1u << (i % 8));
		if (kallsyms_find(slice_of(p, s.n), &k, NULL) == 0) {
			struct kallsyms_cursor c = kallsyms_first(&k);
			unsigned n = 0;
			while (kallsyms_next(&c, &sym))
				n++;
			assert_true(n <= k.count && k.count <= KALLSYMS_MAX);
		}
		p[i] = was;
	}
	free(p);
}

/* A file that is made to keep us busy: everywhere something that could be markers. */
static void test_hostile(void **state)
{
	(void)state;
	size_t n = 3 << 20;
	many(SYNTH_OFFSETS, 40);
	uint8_t *p = malloc(n);
	for (size_t i = 0; i + 4 <= n; i += 4) {
		uint32_t v = (uint32_t)(i % 16000);
		memcpy(p + i, &v, 4);
	}
	/* The token table at the end. */
	uint8_t *digits = memmem(s.b, s.n, "0\0001\0002", 5);
	assert_non_null(digits);
	size_t from = (size_t)(digits - s.b) - 95;
	from -= from % 8;
	memcpy(p + n - (s.n - from) - (n - (s.n - from)) % 8, s.b + from, s.n - from);
	struct kallsyms k;
	assert_int_equal(kallsyms_find(slice_of(p, n), &k, NULL), -ENOENT);
	free(p);
}

static void test_nothing(void **state)
{
	(void)state;
	static uint8_t zeros[65536];
	struct kallsyms k;
	assert_int_equal(kallsyms_find(slice_of(zeros, sizeof(zeros)), &k, NULL), -ENOENT);
	assert_int_equal(kallsyms_find(slice_of(NULL, 0), &k, NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts), cmocka_unit_test(test_cut),     cmocka_unit_test(test_changed),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests_name("symbols of a kernel", tests, NULL, NULL);
}
