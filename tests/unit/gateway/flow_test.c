/* SPDX-License-Identifier: ISC */
#include "tests.h"

static struct world *w;
static const struct gateway_opts tiny = { .flows = 64, .flows_per_honeypot = 40 };

static int set_up(void **state)
{
	(void)state;
	struct policy p = { 0 };
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		p.outbound[i].count = LIMIT_UNLIMITED;
	w = world_new(3, NULL);
	world_policy(w, 3, &p);
	return 0;
}

static int set_up_tiny(void **state)
{
	(void)state;
	w = world_new(3, &tiny);
	world_policy(w, 3, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void tcp_life(void **state)
{
	(void)state;
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	uint64_t n = w->n;
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 500);
	world_pass(w, 7000 * SEC); /* RFC 5382: an idle one is kept for 2 h 4 min at least */
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 500);
	assert_forwarded(w, REASON_REPLY);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK | TCP_FIN);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK | TCP_FIN);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK | TCP_FIN); /* retransmitted */
	assert_forwarded(w, REASON_REPLY);
	assert_null(world_flow(w, FLOW_END_CLOSED));
	assert_int_equal(w->g->flows.count, 1);
	world_pass(w, 20 * SEC);
	const struct ring_flow *f = world_flow(w, FLOW_END_CLOSED);
	assert_non_null(f);
	assert_int_equal(w->g->flows.count, 0);
	assert_int_equal(w->g->ports[0].flows, 0);
	assert_int_equal(f->state, FLOW_CLOSED);
	assert_int_equal(f->src_slot, WORLD_UPLINK);
	assert_int_equal(f->dst_slot, 0);
	assert_int_equal(f->src_port, 4000);
	assert_int_equal(f->dst_port, 22);
	assert_memory_equal(f->src, ((uint8_t[16]){ 198, 51, 100, 7 }), 16);
	assert_int_equal(f->pkts_toserver, 4);
	assert_int_equal(f->pkts_toclient, 5);
	assert_int_equal(f->bytes_toserver, 4 * n);
	assert_int_equal(f->tcp_flags_ts, TCP_SYN | TCP_ACK | TCP_FIN);
	assert_true(f->last > f->start);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK);
	assert_dropped(w, REASON_NO_FLOW);
}

static void reset_and_reuse(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_SYN);
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 1000, .flags = TCP_RST | TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
	/* the same ports again at once: a new conversation, counted anew */
	uint64_t before = w->g->history[0].outbound[LIMIT_CLASS_TCP].n;
	FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_SYN);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(w->g->history[0].outbound[LIMIT_CLASS_TCP].n, before + 1);
	assert_int_equal(w->g->flows.count, 1);
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 1000, .flags = TCP_RST | TCP_ACK);
	world_pass(w, 3 * SEC);
	assert_int_equal(w->g->flows.count, 0);
}

static void timeouts(void **state)
{
	(void)state;
	static const struct {
		struct craft c;
		unsigned seconds;
	} cases[] = {
		{ { .proto = 17, .sport = 1, .dport = 53 }, 30 },
		{ { .proto = 1, .icmp_type = 8 }, 30 },
		{ { .proto = 6, .flags = TCP_SYN }, 60 },
		{ { .proto = 47 }, 60 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct craft c = cases[i].c, out = { OUT };
		c.smac = out.smac, c.dmac = out.dmac, c.src = out.src, c.dst = out.dst;
		world_send(w, 0, &c);
		assert_forwarded(w, REASON_OUTBOUND);
		world_pass(w, (cases[i].seconds - 1) * SEC);
		assert_int_equal(w->g->flows.count, 1);
		world_pass(w, 3 * SEC);
		assert_int_equal(w->g->flows.count, 0);
		assert_int_equal(world_flow(w, FLOW_END_TIMEOUT)->proto, c.proto);
	}
	/* an answered UDP conversation lives longer, and activity prolongs it */
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 53);
	FROM_UP(IN, .proto = 17, .sport = 53, .dport = 1);
	for (int i = 0; i < 5; i++) {
		world_pass(w, 170 * SEC);
		FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 53);
		assert_int_equal(w->g->flows.count, 1);
	}
	world_pass(w, 183 * SEC);
	assert_int_equal(w->g->flows.count, 0);
}

/* The tick of a turn of the event loop has an earlier time than its frames. */
static void tick_before_frame(void **state)
{
	(void)state;
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	assert_int_equal(w->g->flows.count, 2);
	gateway_tick(w->g, w->now - 1);
	assert_int_equal(w->g->flows.count, 2);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
}

static void full_for_one(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 50; i++) {
		FROM_UP(IN, .proto = 17, .sport = 1000 + i, .dport = 53);
		assert_reason(w, i < 40 ? REASON_INBOUND : REASON_FLOW_TABLE_FULL);
	}
	FROM_UP(IN, .proto = 17, .sport = 1000, .dport = 53); /* the living ones live */
	assert_forwarded(w, REASON_INBOUND);
	struct craft c = { IN, .proto = 17, .dmac = world_mac(1), .dst = "192.0.2.11" };
	for (uint16_t i = 0; i < 30; i++) {
		c.sport = 1000 + i;
		world_send(w, WORLD_UPLINK, &c);
		assert_reason(w, i < 24 ? REASON_INBOUND : REASON_FLOW_TABLE_FULL); /* 64 in all */
	}
	world_pass(w, 40 * SEC);
	FROM_UP(IN, .proto = 17, .sport = 3000, .dport = 53);
	assert_forwarded(w, REASON_INBOUND);
}

static void denied_attempts_are_told(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		FROM_POT(OUT, .proto = 6, .sport = (uint16_t)(1000 + i), .dport = 25, .flags = TCP_SYN);
		assert_dropped(w, REASON_DENIED);
	}
	FROM_POT(OUT, .proto = 1, .icmp_type = 8);
	world_pass(w, 20 * SEC);
	assert_int_equal(w->nflows, 2);
	const struct ring_flow *f = NULL;
	for (unsigned i = 0; i < 2; i++)
		if (w->flows[i].f.proto == 6)
			f = &w->flows[i].f;
	assert_non_null(f);
	assert_int_equal(f->end, FLOW_END_DENIED);
	assert_int_equal(f->dropped_toserver, 10);
	assert_int_equal(f->dst_port, 25);
	assert_int_equal(f->reason, REASON_DENIED);
	assert_int_equal(f->verdict, VERDICT_DROP);
	assert_int_equal(f->src_slot, 0);
	/* a scan of many addresses: bounded memory, each told */
	char dst[20];
	for (int i = 0; i < 3000; i++) {
		snprintf(dst, sizeof(dst), "198.51.%d.%d", i / 250, i % 250);
		FROM_POT(OUT, .proto = 6, .dport = 445, .flags = TCP_SYN, .dst = dst);
		assert_dropped(w, REASON_DENIED);
	}
	world_pass(w, 20 * SEC);
	assert_int_equal(w->nflows, 3002);
}

/* A record waits until its ring has room. */
static void no_record_is_lost(void **state)
{
	(void)state;
	static const char *const addrs[] = { "192.0.2.13/24", NULL };
	world_port(w, 3, 0, "small", world_mac(3), addrs, RING_MIN);
	world_policy(w, 4, NULL);
	struct craft in = { IN, .proto = 17, .dport = 53, .dmac = world_mac(3), .dst = "192.0.2.13" };
	w->lax = true;
	for (uint16_t i = 0; i < 40; i++) {
		in.sport = 1000 + i;
		world_send(w, WORLD_UPLINK, &in);
	}
	struct craft out = { OUT, .smac = world_mac(3), .src = "192.0.2.13", .proto = 17, .payload = 1000 };
	while (world_send(w, 3, &out) != REASON_EVIDENCE_FULL && w->reason != REASON_DENIED)
		;
	for (int i = 0; i < 200; i++)
		world_send(w, 3, &out);
	world_pass(w, 40 * SEC);
	assert_in_range(w->g->ports[3].flows, 30, 40); /* a few fitted in */
	w->lax = false;
	world_pass(w, 40 * SEC);
	assert_int_equal(w->g->ports[3].flows, 0);
	unsigned n = 0;
	for (unsigned i = 0; i < w->nflows; i++)
		n += w->flows[i].port == 3 && w->flows[i].f.end == FLOW_END_TIMEOUT;
	assert_int_equal(n, 40);
	assert_true(w->noted > 0); /* and the loss of frames was told */
}

static void end_with_the_port(void **state)
{
	(void)state;
	FROM_UP(IN, .proto = 17, .sport = 1, .dport = 53);
	FROM_UP(IN, .proto = 17, .dmac = world_mac(1), .dst = "192.0.2.11");
	world_read(w);
	assert_int_equal(w->g->flows.count, 2);
	struct gateway *g = w->g;
	assert_int_equal(flow_end_all(g, &g->ports[0], false), 0);
	world_read(w);
	assert_int_equal(g->flows.count, 1);
	assert_int_equal(world_flow(w, FLOW_END_SHUTDOWN)->dst_slot, 0);
	assert_int_equal(flow_end_all(g, NULL, false), 0);
	assert_int_equal(g->flows.count, 0);
}

/* Both directions have one key; requests in both directions have two. */
static void keys(void **state)
{
	(void)state;
	struct tuple t = { .family = 4, .proto = 17, .sport = 5, .dport = 6, .saddr = { 1 }, .daddr = { 2 } }, back = t;
	struct flow_key a, b;
	bool from_a, from_b;
	back.sport = 6, back.dport = 5;
	memcpy(back.saddr, t.daddr, 16);
	memcpy(back.daddr, t.saddr, 16);
	flow_key_of(&t, 0, 0, 0, 0, 0, &a, &from_a);
	flow_key_of(&back, 0, 0, 0, 0, 0, &b, &from_b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(from_a != from_b);
	flow_key_of(&t, 1, 0, 0, 0, 0, &b, &from_b);
	assert_memory_not_equal(&a, &b, sizeof(a)); /* of another network */
	t.sport = t.dport = back.sport = back.dport = 0;
	flow_key_of(&t, 0, ICMP_KIND_REQUEST, 8, 0, 9, &a, &from_a);
	flow_key_of(&back, 0, ICMP_KIND_ANSWER, 0, 0, 9, &b, &from_b);
	assert_memory_equal(&a, &b, sizeof(a));
	flow_key_of(&back, 0, ICMP_KIND_REQUEST, 8, 0, 9, &b, &from_b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	flow_key_of(&t, 0, ICMP_KIND_REQUEST, 13, 0, 9, &b, &from_b);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

/* Thousands of flows, random ends: the chains and lists stay sound. */
static void many(void **state)
{
	(void)state;
	w->lax = true;
	srand(3);
	for (int i = 0; i < 60000; i++) {
		world_send(w, WORLD_UPLINK,
			   &(struct craft){ IN, .proto = 6, .sport = (uint16_t)rand() % 2000,
					    .dport = (uint16_t)rand() % 20, .flags = rand() % 3 ? TCP_SYN : TCP_RST });
		if (i % 100 == 0) {
			w->now += SEC / 4;
			gateway_tick(w->g, w->now);
			world_read(w);
		}
	}
	unsigned listed = 0, chained = 0;
	struct flow_table *t = &w->g->flows;
	for (int l = 0; l < FLOW_LIST_COUNT; l++)
		for (uint32_t i = t->oldest[l]; i; i = t->at[i].newer, listed++)
			assert_true(t->at[i].used && t->at[i].list == l);
	for (uint32_t b = 0; b <= t->mask; b++)
		for (uint32_t i = t->buckets[b]; i; i = t->at[i].chain, chained++)
			assert_true((t->at[i].hash & t->mask) == b);
	assert_int_equal(listed, t->count);
	assert_int_equal(chained, t->count);
	assert_int_equal(w->g->ports[0].flows, t->count);
	assert_true(t->count > 100);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TINY(f) cmocka_unit_test_setup_teardown(f, set_up_tiny, tear_down)
	const struct CMUnitTest tests[] = {
		T(tcp_life),
		T(reset_and_reuse),
		T(timeouts),
		T(tick_before_frame),
		TINY(full_for_one),
		TINY(denied_attempts_are_told),
		TINY(no_record_is_lost),
		T(end_with_the_port),
		T(keys),
		T(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
