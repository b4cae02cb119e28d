/* SPDX-License-Identifier: ISC */
/* What triggers wait for: limits and keywords, at a bounded rate. */
#include "tests.h"

static struct world *w;
static struct policy_pool pool;
static uint32_t generation;

static void keyword(const char *s)
{
	struct keyword *k = &pool.keywords[pool.nkeywords++];
	*k = (struct keyword){ .n = (uint8_t)strlen(s) };
	memcpy(k->bytes, s, k->n);
}

static void swap(void)
{
	static struct gw_policy_entry entries[3];
	struct policy p = { .outbound = { { 3, 3600 }, { LIMIT_UNLIMITED, 0 }, { 0, 0 }, { 0, 0 } } };
	for (uint16_t i = 0; i < 3; i++)
		entries[i] = (struct gw_policy_entry){ .port = i, .honeypot = i, .policy = p };
	assert_int_equal(policies_swap(&w->g->policies, &pool, entries, 3, ++generation, NULL), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&pool, 0, sizeof(pool));
	w = world_new(3, NULL);
	swap();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* Takes all that is due; the number, and the last one in *out. */
static unsigned told(struct gw_hit *out)
{
	struct gw_hit x;
	unsigned n = 0;
	while (hit_next(w->g, w->now, &x)) {
		hit_told(w->g, w->now, &x);
		if (out)
			*out = x;
		assert_true(++n < 10000);
	}
	return n;
}

static void syn(uint16_t sport)
{
	FROM_POT(OUT, .proto = 6, .sport = sport, .dport = 80, .flags = TCP_SYN);
}

static void limit_is_told(void **state)
{
	(void)state;
	struct gw_hit x;
	for (uint16_t i = 0; i < 3; i++)
		syn((uint16_t)(4000 + i));
	assert_int_equal(told(NULL), 0);
	syn(4003);
	assert_dropped(w, REASON_LIMIT_TCP);
	assert_int_equal(told(&x), 1);
	assert_int_equal(x.port, 0);
	assert_int_equal(x.kind, HIT_LIMIT);
	assert_int_equal(x.reason, REASON_LIMIT_TCP);
	assert_int_equal(x.count, 1);
	assert_int_equal(x.generation, generation);
	/* What the policy denies is no limit. */
	FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 7);
	assert_int_equal(told(NULL), 0);
}

/* A flood: one message a second, and every single one counted. */
static void flood_is_throttled(void **state)
{
	(void)state;
	struct gw_hit x;
	unsigned messages = 0, counted = 0;
	for (uint16_t i = 0; i < 3; i++)
		syn((uint16_t)(4000 + i));
	for (unsigned ms = 0; ms < 5000; ms++) {
		syn((uint16_t)(5000 + ms));
		if (told(&x)) {
			messages++;
			counted += x.count;
		}
		w->now += SEC / 1000;
	}
	w->now += SEC;
	if (told(&x)) {
		messages++;
		counted += x.count;
	}
	assert_true(messages >= 5 && messages <= 6);
	assert_int_equal(counted, 5000);
	assert_int_equal(w->g->hits.lost, 0);
}

static uint64_t search(const char *s, size_t n)
{
	/* Exactly so many bytes: a sanitizer sees the one behind them. */
	uint8_t *p = malloc(n ? n : 1);
	memcpy(p, s, n);
	uint64_t found = hit_search(&w->g->hits, &pool, slice_of(p, n));
	free(p);
	return found;
}

static void compile(void)
{
	swap();
	FROM_UP(IN, .proto = 17, .sport = 9, .dport = 9, .payload = 4); /* the first frame compiles them */
}

static void keywords_are_found(void **state)
{
	(void)state;
	keyword("PRIVMSG");
	keyword("x");
	keyword("PR");
	keyword("\xff\x00z");
	pool.keywords[3].n = 3;
	memcpy(pool.keywords[3].bytes, "\xff\0z", 3);
	compile();
	static const struct {
		const char *s;
		size_t n;
		uint64_t want;
	} cases[] = {
		{ "", 0, 0 },
		{ "x", 1, 2 },
		{ "P", 1, 0 },
		{ "PR", 2, 4 },
		{ "ax", 2, 2 },
		{ "PRIVMS", 6, 4 },
		{ "PRIVMSG", 7, 5 },
		{ "aPRIVMSG", 8, 5 },
		{ "PRIVPRIVMSGx", 12, 7 },
		{ "\xff\0z", 3, 8 },
		{ "aa\xff\0zb", 6, 8 },
		{ "\xff\0", 2, 0 },
		{ "xPRIVMSG\xff\0z", 11, 15 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (search(cases[i].s, cases[i].n) != cases[i].want)
			fail_msg("case %zu: %llx", i, (unsigned long long)search(cases[i].s, cases[i].n));
}

/* The same as the plain way to search, on random bytes. */
static void search_is_right(void **state)
{
	(void)state;
	char buf[200];
	srand(4);
	for (int i = 0; i < 64; i++) {
		char k[8];
		int n = 1 + rand() % 5;
		for (int j = 0; j < n; j++)
			k[j] = (char)('a' + rand() % 4);
		k[n] = 0;
		keyword(k);
	}
	compile();
	for (int round = 0; round < 3000; round++) {
		size_t n = (size_t)(rand() % 40);
		uint64_t want = 0;
		for (size_t j = 0; j < n; j++)
			buf[j] = (char)('a' + rand() % (round % 2 ? 4 : 20));
		for (unsigned i = 0; i < 64; i++)
			if (memmem(buf, n, pool.keywords[i].bytes, pool.keywords[i].n))
				want |= UINT64_C(1) << i;
		assert_true(search(buf, n) == want);
	}
}

static void keyword_in_a_frame(void **state)
{
	(void)state;
	struct gw_hit x;
	static const uint8_t line[] = "PRIVMSG #x :hello";
	keyword("NICK");
	keyword("PRIVMSG");
	swap();
	/* From outside to the honeypot, and from it. */
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53, .payload = sizeof(line), .data = line);
	assert_int_equal(told(&x), 1);
	assert_int_equal(x.port, 0);
	assert_int_equal(x.kind, HIT_KEYWORD);
	assert_int_equal(x.keyword, 1);
	assert_true(x.flow != 0);
	world_send(w, 1,
		   &(struct craft){ .smac = world_mac(1),
				    .dmac = ROUTER_MAC,
				    .src = "192.0.2.11",
				    .dst = "198.51.100.7",
				    .proto = 17,
				    .sport = 1,
				    .dport = 2,
				    .payload = sizeof(line),
				    .data = line });
	assert_int_equal(told(&x), 1);
	assert_int_equal(x.port, 1);
	/* In what is dropped too: it was tried. */
	world_send(w, 2,
		   &(struct craft){ .smac = world_mac(2),
				    .dmac = ROUTER_MAC,
				    .src = "192.0.2.12",
				    .dst = "198.51.100.7",
				    .proto = 132,
				    .payload = sizeof(line),
				    .data = line });
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_int_equal(told(&x), 1);
	assert_int_equal(x.port, 2);
	/* Other keywords now. */
	w->now += 2 * SEC;
	pool.nkeywords = 0;
	keyword("hello");
	swap();
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53, .payload = sizeof(line), .data = line);
	assert_int_equal(told(&x), 1);
	assert_int_equal(x.keyword, 0);
	assert_int_equal(x.generation, generation);
	w->now += 2 * SEC;
	pool.nkeywords = 0;
	swap();
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53, .payload = sizeof(line), .data = line);
	assert_int_equal(told(&x), 0);
}

/* Everything that a frame can lie about: nothing is read outside of it. */
static void cut_frames(void **state)
{
	(void)state;
	keyword("a");
	swap();
	w->lax = true;
	for (uint16_t cut = 1; cut < 80; cut++) {
		FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN, .payload = 30, .cut = cut);
		FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 22, .payload = 30, .cut = cut);
		FROM_UP(IN6, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN, .payload = 30, .cut = cut);
	}
	told(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limit_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(flood_is_throttled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keywords_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(search_is_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keyword_in_a_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cut_frames, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
