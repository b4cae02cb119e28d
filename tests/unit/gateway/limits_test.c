/* SPDX-License-Identifier: ISC */
/*
 * Windows by key, against lists that remember everything; what happens when
 * there is no room, when limits change, and the jitter.
 */
#include "tests.h"

static struct limits t;

static int set_up(void **state)
{
	static const uint8_t key[16] = { 7 };
	struct err e;
	(void)state;
	return limits_init(&t, key, &e);
}

static int tear_down(void **state)
{
	(void)state;
	limits_free(&t);
	return 0;
}

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n;
}

static struct limit_key key(uint64_t what, uint16_t slot, uint32_t addr)
{
	struct limit_key k = { .what = what, .slot = slot, .family = 4 };
	memcpy(k.addr, &addr, sizeof(addr));
	return k;
}

/* Tries one event. */
static bool try(const struct limit_key *k, const struct limit *l, uint64_t now)
{
	if (limits_full(&t, k, l, now) || !limits_room(&t, k->slot, 1, now))
		return false;
	limits_add(&t, k, l, now);
	return true;
}

static void count_is_exact(void **state)
{
	(void)state;
	struct limit_key k = key(1, 0, 1), other = key(1, 0, 2);
	struct limit l = { 20, 10 };
	for (unsigned i = 0; i < 20; i++)
		assert_true(try(&k, &l, 100 * SEC + i));
	assert_false(try(&k, &l, 100 * SEC + 20));
	assert_true(try(&other, &l, 100 * SEC + 20)); /* its own */
	assert_false(try(&k, &l, 110 * SEC));         /* exactly the window's length later */
	assert_true(try(&k, &l, 110 * SEC + 1));
	assert_false(try(&k, &l, 110 * SEC + 1));
	assert_true(try(&k, &l, 110 * SEC + 2));
	assert_false(try(&k, &l, 110 * SEC + 1));
	for (unsigned i = 0; i < 18; i++)
		assert_true(try(&k, &l, 111 * SEC));
	assert_false(try(&k, &l, 111 * SEC));
}

static void zero_and_unlimited(void **state)
{
	(void)state;
	struct limit_key k = key(1, 0, 1);
	struct limit none = { 0, 60 }, any = { LIMIT_UNLIMITED, 0 }, most = { LIMIT_COUNT_MAX, 60 };
	assert_true(limits_full(&t, &k, &none, SEC));
	for (unsigned i = 0; i < 20000; i++)
		assert_true(try(&k, &any, SEC));
	for (unsigned i = 0; i < LIMIT_COUNT_MAX; i++)
		assert_true(try(&k, &most, SEC));
	assert_false(try(&k, &most, SEC));
	assert_true(try(&k, &most, 62 * SEC));
	assert_int_equal(t.chunks, 1); /* what is outside goes back */
}

#define KEYS 40
#define EVENTS 3001

static void counts_against_a_model(void **state)
{
	static uint64_t let[KEYS][EVENTS];
	size_t n[KEYS];
	unsigned passed = 0, refused = 0;
	(void)state;
	srand(3);
	for (int round = 0; round < 30; round++) {
		struct limit l = { 1 + chance(20), 1 + chance(30) };
		uint64_t now = (uint64_t)(1 + chance(100)) * SEC;
		memset(n, 0, sizeof(n));
		for (int i = 0; i < 3000; i++) {
			unsigned k = chance(chance(2) ? KEYS : 4);
			struct limit_key id = key(1000u + (unsigned)round, (uint16_t)(k % 3), k);
			now += chance(SEC / 4);
			size_t inside = 0;
			for (size_t e = 0; e < n[k]; e++)
				inside += now - let[k][e] <= l.seconds * SEC;
			bool may = inside < l.count;
			assert_int_equal(try(&id, &l, now), may);
			if (may && n[k] < EVENTS)
				let[k][n[k]++] = now;
			assert_true(n[k] < EVENTS);
			passed += may;
			refused += !may;
		}
	}
	assert_true(passed > 10000 && refused > 10000);
}

static void addresses_against_a_model(void **state)
{
	static struct {
		uint64_t at;
		unsigned k;
	} let[3000];
	unsigned passed = 0, refused = 0;
	(void)state;
	srand(4);
	for (int round = 0; round < 60; round++) {
		struct limit l = { 1 + chance(12), 1 + chance(20) };
		uint64_t now = (uint64_t)(1 + chance(100)) * SEC;
		size_t n = 0;
		for (int i = 0; i < 1500; i++) {
			unsigned k = chance(KEYS), different = 0;
			bool known = false;
			now += chance(SEC / 3);
			for (unsigned a = 0; a < KEYS; a++) {
				bool seen = false;
				for (size_t e = 0; e < n; e++)
					seen |= let[e].k == a && now - let[e].at <= l.seconds * SEC;
				different += seen;
				known |= seen && a == k;
			}
			struct limit_key id = key(LIMIT_OF_ADDRESS, (uint16_t)round, k);
			bool may = known || different < l.count;
			assert_int_equal(!limits_fan_full(&t, &id, &l, now), may);
			passed += may;
			refused += !may;
			if (!may)
				continue;
			limits_fan_add(&t, &id, &l, now);
			let[n].k = k;
			let[n++].at = now;
		}
	}
	assert_true(passed > 5000 && refused > 5000);
}

/* A limit that is made longer cannot know what was forgotten: it is strict. */
static void limit_may_change(void **state)
{
	(void)state;
	struct limit_key k = key(1, 0, 1), fresh = key(1, 0, 2);
	struct limit minute = { 5, 60 }, hour = { 5, 3600 }, ten = { 10, 60 };
	for (unsigned i = 0; i < 5; i++)
		assert_true(try(&k, &minute, 1000 * SEC));
	assert_false(try(&k, &minute, 1001 * SEC));
	assert_true(try(&k, &ten, 1001 * SEC));    /* larger: what is known is enough */
	assert_true(try(&k, &minute, 1061 * SEC)); /* 1000 is outside, and 1001 as well */
	assert_false(try(&k, &hour, 1100 * SEC));
	assert_false(try(&k, &hour, 4600 * SEC));
	assert_true(try(&k, &hour, 4602 * SEC));
	assert_true(try(&fresh, &hour, 1100 * SEC));
	assert_true(try(&k, &minute, 4700 * SEC)); /* shorter again */
	/* the same for what was forgotten as a whole, of this limit and no other */
	struct limit_key next = key(1, 0, 3), third = key(1, 0, 4), other = key(2, 0, 4);
	assert_true(try(&next, &minute, 5000 * SEC)); /* sweeps k and fresh */
	assert_int_equal(t.windows, 2);               /* next, and what is remembered of the others */
	assert_true(try(&third, &minute, 5000 * SEC));
	assert_true(try(&other, &hour, 5000 * SEC));
	assert_false(try(&fresh, &hour, 5001 * SEC));
	assert_true(try(&fresh, &hour, 8400 * SEC));
}

static void addresses_may_change(void **state)
{
	(void)state;
	struct limit_key a = key(LIMIT_OF_ADDRESS, 0, 1), b = key(LIMIT_OF_ADDRESS, 0, 2);
	struct limit minute = { 1, 60 }, hour = { 1, 3600 };
	assert_false(limits_fan_full(&t, &a, &minute, 1000 * SEC));
	limits_fan_add(&t, &a, &minute, 1000 * SEC);
	assert_true(limits_fan_full(&t, &b, &minute, 1001 * SEC));
	assert_false(limits_fan_full(&t, &a, &minute, 1001 * SEC));
	assert_false(limits_fan_full(&t, &b, &minute, 1100 * SEC)); /* a is forgotten */
	assert_true(limits_fan_full(&t, &b, &hour, 1100 * SEC));
	assert_false(limits_fan_full(&t, &b, &hour, 4601 * SEC));
}

/* No room: refused, and nothing that counts is forgotten for it. Windows that
 * are empty by now make room. The others have their own share. */
static void full_share(void **state)
{
	(void)state;
	struct limit l = { 1, 60 };
	t.windows_share = 1000;
	unsigned passed = 0;
	for (uint32_t i = 0; i < 5000; i++) {
		struct limit_key k = key(1, 0, i);
		passed += try(&k, &l, 1000 * SEC);
	}
	assert_int_equal(passed, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		struct limit_key k = key(1, 0, i);
		assert_true(limits_full(&t, &k, &l, 1060 * SEC));
	}
	struct limit_key other = key(1, 1, 5), shared = key(1, LIMITS_HONEYNET, 5), late = key(1, 0, 100000);
	assert_true(try(&other, &l, 1001 * SEC));
	assert_true(try(&shared, &l, 1001 * SEC));
	assert_false(try(&late, &l, 1060 * SEC));
	assert_true(try(&late, &l, 1061 * SEC));
	assert_true(t.windows <= 1002);
	/* long ones among them do not keep the short ones */
	struct limit day = { 1, 86400 };
	passed = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		struct limit_key k = key(i % 50 ? 2 : 3, 0, i);
		passed += try(&k, i % 50 ? &l : &day, (2000 + i) * SEC);
	}
	assert_true(passed > 19900);
	for (uint32_t i = 0; i < 20000; i += 50) {
		struct limit_key k = key(3, 0, i);
		assert_true(limits_full(&t, &k, &day, 22000 * SEC));
	}
}

static void full_chunks(void **state)
{
	(void)state;
	struct limit l = { LIMIT_COUNT_MAX, 60 };
	t.chunks_share = 100;
	struct limit_key k = key(1, 0, 1), other = key(1, 2, 1);
	unsigned passed = 0;
	for (unsigned i = 0; i < 2000; i++)
		passed += try(&k, &l, 1000 * SEC);
	assert_in_range(passed, 690, 700);
	assert_true(try(&other, &l, 1000 * SEC));
	assert_true(try(&k, &l, 1061 * SEC)); /* they are outside now */
}

static void forget(void **state)
{
	(void)state;
	struct limit l = { 1, 60 };
	struct limit_key k = key(1, 3, 1), a = key(LIMIT_OF_ADDRESS, 3, 1), b = key(LIMIT_OF_ADDRESS, 3, 2),
			 other = key(1, 4, 1);
	assert_true(try(&k, &l, SEC));
	assert_true(try(&other, &l, SEC));
	limits_fan_add(&t, &a, &l, SEC);
	assert_true(limits_fan_full(&t, &b, &l, SEC));
	limits_forget(&t, 3);
	assert_true(try(&k, &l, SEC));
	assert_false(limits_fan_full(&t, &b, &l, SEC));
	assert_false(try(&other, &l, SEC));
	assert_int_equal(t.windows, 2);
}

/* Only ever lower, by no more than was said; the same for a while; another at
 * another time, for another key and with another secret. */
static void jitter(void **state)
{
	(void)state;
	struct limit l = { 20, 3600 }, any = { LIMIT_UNLIMITED, 0 }, one = { 1, 60 };
	struct limit_key k = key(1, 0, 1), k2 = key(1, 0, 2);
	unsigned seen[21] = { 0 }, turns = 0, differ = 0;
	uint32_t before = 0;
	for (unsigned minute = 0; minute < 60 * 500; minute++) {
		uint64_t now = (uint64_t)minute * 60 * SEC;
		struct limit low = limits_jitter(&t, &l, 20, &k, now);
		assert_in_range(low.count, 16, 20);
		assert_int_equal(low.seconds, 3600);
		seen[low.count]++;
		turns += minute && low.count != before;
		before = low.count;
		differ += limits_jitter(&t, &l, 20, &k2, now).count != low.count;
		assert_int_equal(limits_jitter(&t, &any, 90, &k, now).count, LIMIT_UNLIMITED);
		assert_int_equal(limits_jitter(&t, &one, 90, &k, now).count, 1);
		assert_int_equal(limits_jitter(&t, &l, 0, &k, now).count, 20);
		assert_in_range(limits_jitter(&t, &l, 90, &k, now).count, 2, 20);
	}
	for (unsigned i = 16; i <= 20; i++)
		assert_in_range(seen[i], 3000, 9000); /* of 30000 */
	assert_in_range(turns, 300, 500);
	assert_true(differ > 15000);
	/* trying again within a window's length shows one threshold, at most two */
	struct limits other;
	static const uint8_t secret[16] = { 8 };
	struct err e;
	assert_int_equal(limits_init(&other, secret, &e), 0);
	differ = 0;
	for (unsigned hour = 0; hour < 200; hour++)
		differ += limits_jitter(&other, &l, 20, &k, hour * 3600 * SEC).count !=
			  limits_jitter(&t, &l, 20, &k, hour * 3600 * SEC).count;
	assert_true(differ > 100);
	limits_free(&other);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(count_is_exact),
					    T(zero_and_unlimited),
					    T(counts_against_a_model),
					    T(addresses_against_a_model),
					    T(limit_may_change),
					    T(addresses_may_change),
					    T(full_share),
					    T(full_chunks),
					    T(forget),
					    T(jitter) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
