/* SPDX-License-Identifier: ISC */
#include "tests.h"

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	struct policy p = { 0 };
	p.outbound[LIMIT_CLASS_UDP].count = LIMIT_UNLIMITED;
	p.outbound[LIMIT_CLASS_TCP].count = LIMIT_UNLIMITED;
	w = world_new(2, NULL);
	world_policy(w, 2, &p);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* 1,000 bytes of UDP payload and 8 of header first, then 1,008 a piece. */
static uint8_t piece(uint32_t id, uint16_t off, bool more, uint32_t payload)
{
	return FROM_POT(OUT, .proto = 17, .sport = 7, .dport = 9, .fragment = true, .frag_id = id, .frag_off = off,
			.more = more, .payload = payload);
}

static void in_order(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 600; id++) { /* complete ones take no room: there is a share of 256 */
		piece(id, 0, true, 1000);
		assert_forwarded(w, REASON_OUTBOUND);
		piece(id, 1008, true, 1008);
		assert_forwarded(w, REASON_OUTBOUND);
		piece(id, 2016, false, 13);
		assert_forwarded(w, REASON_OUTBOUND);
	}
	assert_int_equal(w->g->flows.count, 1); /* one conversation */
	world_read(w);
	struct flow *f = &w->g->flows.at[1];
	assert_int_equal(f->pkts[0], 1800);
}

static void other_families(void **state)
{
	(void)state;
	FROM_POT(OUT6, .proto = 17, .dport = 9, .fragment = true, .frag_id = 5, .more = true, .payload = 1000);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT6, .proto = 17, .fragment = true, .frag_id = 5, .frag_off = 1008, .payload = 99);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_UP(IN, .proto = 17, .sport = 5, .dport = 9, .fragment = true, .frag_id = 5, .more = true, .payload = 1000);
	assert_forwarded(w, REASON_INBOUND);
	FROM_UP(IN, .proto = 17, .fragment = true, .frag_id = 5, .frag_off = 1008, .payload = 99);
	assert_forwarded(w, REASON_INBOUND);
}

static void never_before_the_first(void **state)
{
	(void)state;
	piece(1, 1008, false, 100);
	assert_dropped(w, REASON_FRAGMENT);
	piece(1, 0, true, 1000);
	assert_forwarded(w, REASON_OUTBOUND);
	piece(2, 1008, false, 100); /* of another datagram */
	assert_dropped(w, REASON_FRAGMENT);
	FROM_POT(OUT, .proto = 17, .dst = "198.51.100.8", .fragment = true, .frag_id = 1, .frag_off = 1008,
		 .payload = 9);
	assert_dropped(w, REASON_FRAGMENT);
	FROM_POT(OUT, .proto = 6, .fragment = true, .frag_id = 1, .frag_off = 1008, .payload = 9);
	assert_dropped(w, REASON_FRAGMENT); /* another protocol */
	piece(1, 1008, false, 100);
	assert_forwarded(w, REASON_OUTBOUND);
}

static void the_first_ones_judgement(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	piece(1, 0, true, 1000);
	assert_dropped(w, REASON_DENIED);
	piece(1, 1008, false, 100);
	assert_dropped(w, REASON_DENIED);
}

static void overlaps(void **state)
{
	(void)state;
	static const struct {
		uint16_t off;
		uint32_t n;
		bool more;
	} bad[] = {
		{ 0, 1000, true },    /* the first one again */
		{ 1000, 80, true },   /* over the end of the first */
		{ 8, 8, true },       /* over the TCP flags (RFC 3128) */
		{ 1008, 1008, true }, /* one that is there */
		{ 2008, 16, true },   /* over the end of the second */
	};
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		piece(10 + i, 0, true, 1000);
		piece(10 + i, 1008, true, 1008);
		assert_forwarded(w, REASON_OUTBOUND);
		piece(10 + i, bad[i].off, bad[i].more, bad[i].n);
		assert_dropped(w, REASON_FRAGMENT);
		piece(10 + i, 2016, false, 100); /* poisoned: never complete */
		assert_dropped(w, REASON_FRAGMENT);
		piece(10 + i, 0, true, 1000);
		assert_dropped(w, REASON_FRAGMENT);
	}
}

static void ends(void **state)
{
	(void)state;
	piece(1, 0, true, 1000);
	piece(1, 3024, false, 100);
	assert_forwarded(w, REASON_OUTBOUND);
	piece(1, 4032, true, 1008); /* beyond the end */
	assert_dropped(w, REASON_FRAGMENT);
	piece(2, 0, true, 1000);
	piece(2, 3024, false, 100);
	piece(2, 2016, false, 100); /* another end */
	assert_dropped(w, REASON_FRAGMENT);
	piece(3, 0, true, 1000);
	piece(3, 3024, true, 1008);
	piece(3, 1008, false, 100); /* an end before what was there */
	assert_dropped(w, REASON_FRAGMENT);
	piece(4, 0, true, 1000); /* out of order, but complete */
	piece(4, 2016, false, 100);
	assert_forwarded(w, REASON_OUTBOUND);
	piece(4, 1008, true, 1008);
	assert_forwarded(w, REASON_OUTBOUND);
}

static void tiny(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 6, .fragment = true, .more = true, .frag_id = 1, .total_less = 12, .flags = TCP_SYN);
	assert_dropped(w, REASON_FRAGMENT);
	FROM_POT(OUT, .proto = 6, .fragment = true, .frag_off = 8, .frag_id = 1, .payload = 12);
	assert_dropped(w, REASON_FRAGMENT);
}

static void bounded(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 1000; id++) {
		piece(id, 0, true, 1000);
		if (id < 200) /* some may meet a crowded place in the table */
			assert_forwarded(w, REASON_OUTBOUND);
		if (id > FRAG_PER_PORT)
			assert_dropped(w, REASON_FRAGMENT);
	}
	assert_true(w->g->frags.per_port[0] <= FRAG_PER_PORT);
	world_send(w, 1,
		   &(struct craft){ OUT, .smac = world_mac(1), .src = "192.0.2.11", .proto = 17, .fragment = true,
				    .more = true, .payload = 1000 });
	assert_forwarded(w, REASON_OUTBOUND); /* each port its share */
	world_pass(w, 40 * SEC);
	assert_int_equal(w->g->frags.per_port[0], 0);
	piece(5, 1008, false, 10); /* forgotten */
	assert_dropped(w, REASON_FRAGMENT);
}

/* The conversation ended: nobody answers for its fragments any more. */
static void without_its_flow(void **state)
{
	(void)state;
	piece(1, 0, true, 1000);
	assert_forwarded(w, REASON_OUTBOUND);
	flow_end_all(w->g, NULL, true);
	world_read(w);
	piece(1, 1008, false, 100);
	assert_dropped(w, REASON_NO_FLOW);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(in_order),
		T(other_families),
		T(never_before_the_first),
		T(the_first_ones_judgement),
		T(overlaps),
		T(ends),
		T(tiny),
		T(bounded),
		T(without_its_flow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
