/* SPDX-License-Identifier: ISC */
#include "tests.h"

#include <stdlib.h>

static struct window fresh(void)
{
	return (struct window){ .at = calloc(LIMIT_COUNT_MAX, sizeof(uint64_t)) };
}

static void count_is_exact(void **state)
{
	(void)state;
	struct window w = fresh();
	struct limit l = { 3, 10 };
	for (int i = 0; i < 3; i++) {
		assert_false(window_full(&w, &l, 100 * SEC + (uint64_t)i));
		window_add(&w, 100 * SEC + (uint64_t)i);
	}
	assert_true(window_full(&w, &l, 100 * SEC + 3));
	assert_true(window_full(&w, &l, 110 * SEC)); /* exactly the window's length later */
	assert_false(window_full(&w, &l, 110 * SEC + 1));
	window_add(&w, 110 * SEC + 1);
	assert_true(window_full(&w, &l, 110 * SEC + 1));
	free(w.at);
}

/* A bucket that starts anew at each full minute lets twice the limit pass. */
static void no_burst_over_a_boundary(void **state)
{
	(void)state;
	struct window w = fresh();
	struct limit l = { 5, 60 };
	for (int i = 0; i < 5; i++)
		window_add(&w, 119 * SEC);
	assert_true(window_full(&w, &l, 121 * SEC));
	free(w.at);
}

static void zero_and_unlimited(void **state)
{
	(void)state;
	struct window w = fresh();
	struct limit none = { 0, 60 }, any = { LIMIT_UNLIMITED, 0 }, too_many = { LIMIT_COUNT_MAX + 1, 60 };
	assert_true(window_full(&w, &none, SEC));
	assert_true(window_full(&w, &too_many, SEC));
	for (uint64_t i = 0; i < 3 * LIMIT_COUNT_MAX; i++)
		window_add(&w, SEC + i);
	assert_false(window_full(&w, &any, SEC));
	free(w.at);
}

/* A changed limit finds the history it asks for. */
static void limit_may_change(void **state)
{
	(void)state;
	struct window w = fresh();
	struct limit small = { 2, 10 }, large = { 1000, 3600 };
	for (int i = 0; i < 1000; i++)
		window_add(&w, (100 + (uint64_t)i) * SEC);
	assert_true(window_full(&w, &large, 1100 * SEC));
	assert_false(window_full(&w, &small, 1200 * SEC));
	assert_true(window_full(&w, &large, 1200 * SEC));
	struct limit most = { LIMIT_COUNT_MAX, 3600 };
	for (uint64_t i = 0; i < LIMIT_COUNT_MAX; i++)
		window_add(&w, 2000 * SEC + i);
	assert_true(window_full(&w, &most, 2001 * SEC));
	assert_false(window_full(&w, &most, 5601 * SEC));
	free(w.at);
}

/* Random events and limits against a list that remembers everything. */
static void counts_against_a_model(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 200; round++) {
		struct window w = fresh();
		struct limit l = { 1 + (uint32_t)rand() % 20, 1 + (uint32_t)rand() % 30 };
		uint64_t let[2000], now = (uint64_t)(rand() % 100) * SEC;
		size_t n = 0;
		for (int i = 0; i < 2000; i++) {
			now += (uint64_t)rand() % (SEC / 2);
			size_t inside = 0;
			for (size_t k = 0; k < n; k++)
				inside += now - let[k] <= l.seconds * SEC;
			assert_int_equal(window_full(&w, &l, now), inside >= l.count);
			if (inside < l.count) {
				window_add(&w, now);
				let[n++] = now;
			}
		}
		free(w.at);
	}
}

/* What was let through, all of it. */
struct past {
	struct {
		uint64_t at, bytes;
	} let[3000];
	size_t n;
};

static bool may(const struct past *p, const struct budget *b, uint64_t now, uint64_t size)
{
	uint64_t bytes = size, packets = 1;
	for (size_t k = p->n; k > 0 && now - p->let[k - 1].at <= b->seconds * SEC; k--) {
		bytes += p->let[k - 1].bytes;
		packets++;
	}
	return bytes <= b->bytes && packets <= b->packets;
}

static void let(struct past *p, uint64_t now, uint64_t size)
{
	p->let[p->n].at = now;
	p->let[p->n++].bytes = size;
}

static void bytes_against_a_model(void **state)
{
	(void)state;
	srand(8);
	uint64_t passed = 0, possible = 0;
	for (int round = 0; round < 100; round++) {
		struct window_sum s = { 0 };
		struct past ours = { 0 }, exact = { 0 };
		struct budget b = { .bytes = 5000 + (uint64_t)rand() % 20000,
				    .packets = 5 + (uint64_t)rand() % 50,
				    .seconds = 1 + (uint32_t)rand() % 20 };
		uint64_t now = (uint64_t)rand() * 1000;
		for (int i = 0; i < 3000; i++) {
			now += (uint64_t)rand() % (SEC / 4);
			uint64_t size = 60 + (uint64_t)rand() % 1440;
			if (may(&exact, &b, now, size))
				let(&exact, now, size);
			if (!sum_fits(&s, &b, now, size, 1))
				continue;
			assert_true(may(&ours, &b, now, size)); /* never more than the budget */
			sum_charge(&s, &b, now, size, 1);
			let(&ours, now, size);
		}
		passed += ours.n;
		possible += exact.n;
	}
	/* Strict, but not by much. */
	assert_true(passed * 100 > possible * 90);
}

static void bytes_for_life(void **state)
{
	(void)state;
	struct window_sum s = { 0 };
	struct budget b = { .bytes = 1000 }, none = { 0 };
	assert_true(sum_fits(&s, &b, SEC, 1000, 1));
	sum_charge(&s, &b, SEC, 1000, 1);
	assert_false(sum_fits(&s, &b, 1000000 * SEC, 1, 1));
	assert_true(sum_fits(&s, &none, SEC, 1u << 30, 1));
}

static void budget_may_change(void **state)
{
	(void)state;
	struct window_sum s = { 0 };
	struct budget minute = { .bytes = 1000, .seconds = 60 }, hour = { .bytes = 1000, .seconds = 3600 };
	sum_charge(&s, &minute, 1000 * SEC, 900, 1);
	assert_false(sum_fits(&s, &hour, 1010 * SEC, 200, 1)); /* what was sent is not forgotten */
	assert_true(sum_fits(&s, &hour, 1010 * SEC, 100, 1));
	assert_true(sum_fits(&s, &hour, 5000 * SEC, 1000, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(count_is_exact),         cmocka_unit_test(no_burst_over_a_boundary),
		cmocka_unit_test(zero_and_unlimited),     cmocka_unit_test(limit_may_change),
		cmocka_unit_test(counts_against_a_model), cmocka_unit_test(bytes_against_a_model),
		cmocka_unit_test(bytes_for_life),         cmocka_unit_test(budget_may_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
