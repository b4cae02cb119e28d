/* SPDX-License-Identifier: ISC */
#include "tests.h"

static struct world *w;

/* What came out, in order. */
static uint8_t out[64][CRAFT_MAX];
static size_t out_n[64];
static unsigned outs;
static void (*world_sink)(void *arg, struct port *p, struct slice bytes);

static void watch(void *arg, struct port *p, struct slice bytes)
{
	world_sink(arg, p, bytes);
	if (outs < 64) {
		memcpy(out[outs], bytes.p, bytes.n);
		out_n[outs] = bytes.n;
	}
	outs++;
}

static int set_up(void **state)
{
	(void)state;
	struct policy p = { 0 };
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++)
		p.outbound[i].count = LIMIT_UNLIMITED;
	w = world_new(2, NULL);
	world_policy(w, 2, &p);
	world_sink = w->g->ports[WORLD_UPLINK].sink;
	w->g->ports[WORLD_UPLINK].sink = watch;
	outs = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* The fragments of one datagram. */
static uint8_t whole[CRAFT_MAX], buf[2 * CRAFT_MAX];
static struct craft_piece piece[256];
static size_t whole_n;

static unsigned cut(const struct craft *c, uint32_t id, size_t size)
{
	whole_n = craft(c, whole);
	return craft_fragments(whole, whole_n, id, size, buf, sizeof(buf), piece, 256);
}

#define CUT(id, size, ...) cut(&(struct craft){ __VA_ARGS__ }, id, size)
#define UDP(n) OUT, .proto = 17, .sport = 7, .dport = 9, .payload = n

static uint8_t give(uint16_t port, unsigned i)
{
	return world_frame(w, port, piece[i].p, piece[i].n);
}

static void assert_waits(void)
{
	assert_reason(w, REASON_QUEUED);
	assert_int_equal(w->sent, 0);
}

/* All came out, in this order, and all were recorded (the world checks how). */
static void assert_out(const unsigned *order, unsigned n)
{
	assert_int_equal(outs, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(out_n[i], piece[order[i]].n);
		assert_memory_equal(out[i], piece[order[i]].p, out_n[i]);
	}
	assert_int_equal(world_waiting(w), 0);
	outs = 0;
}

static void any_order(void **state)
{
	(void)state;
	static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 3, 0, 2 }, { 2, 0, 3, 1 } };
	for (uint32_t id = 1; id <= 600; id++) { /* complete ones take no room */
		const unsigned *order = orders[id % 4];
		assert_int_equal(CUT(id, 1000, UDP(3500)), 4);
		for (unsigned i = 0; i < 3; i++) {
			give(0, order[i]);
			assert_waits();
			w->now += SEC / 1000;
		}
		give(0, order[3]);
		assert_forwarded(w, REASON_OUTBOUND);
		assert_out(order, 4);
	}
	assert_int_equal(w->g->flows.count, 1); /* one conversation */
	assert_int_equal(w->g->flows.at[1].pkts[0], 2400);
	assert_int_equal(w->g->frags.used, 0);
}

static void both_families_both_ways(void **state)
{
	(void)state;
	assert_int_equal(CUT(5, 1232, OUT6, .proto = 17, .dport = 9, .payload = 2000), 2);
	give(0, 1);
	assert_waits();
	give(0, 0);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_out((unsigned[]){ 1, 0 }, 2);
	CUT(5, 1480, IN, .proto = 17, .sport = 5, .dport = 9, .payload = 2000);
	give(WORLD_UPLINK, 0);
	assert_waits();
	give(WORLD_UPLINK, 1);
	assert_forwarded(w, REASON_INBOUND);
	CUT(5, 1232, IN6, .proto = 17, .sport = 5, .dport = 9, .payload = 2000);
	give(WORLD_UPLINK, 0);
	give(WORLD_UPLINK, 1);
	assert_forwarded(w, REASON_INBOUND);
	/* A ping that is too large, and its answer. */
	CUT(6, 1480, OUT, .proto = 1, .icmp_type = 8, .icmp_id = 4, .payload = 4000);
	give(0, 0);
	give(0, 1);
	give(0, 2);
	assert_forwarded(w, REASON_OUTBOUND);
	CUT(6, 1480, IN, .proto = 1, .icmp_type = 0, .icmp_id = 4, .payload = 4000);
	give(WORLD_UPLINK, 2);
	give(WORLD_UPLINK, 1);
	give(WORLD_UPLINK, 0);
	assert_forwarded(w, REASON_REPLY);
}

/* One that says it is a fragment, but is all (RFC 6946): not held, and no part
 * of another datagram. */
static void atomic(void **state)
{
	(void)state;
	CUT(9, 1000, OUT6, .proto = 17, .dport = 9, .payload = 1500);
	give(0, 0);
	assert_waits();
	FROM_POT(OUT6, .proto = 17, .dport = 9, .fragment = true, .frag_id = 9, .payload = 100, .udp_len = 108);
	assert_forwarded(w, REASON_OUTBOUND);
	outs = 0;
	give(0, 1);
	assert_forwarded(w, REASON_OUTBOUND);
}

/* In IPv6 headers stand before the fragment header, in each fragment. */
static void behind_headers(void **state)
{
	(void)state;
	static uint8_t a[CRAFT_MAX], b[CRAFT_MAX];
	struct craft c = { OUT6, .proto = 17, .dport = 9, .exts = "d", .fragment = true, .frag_id = 3 };
	CUT(3, 1000, OUT6, .proto = 17, .dport = 9, .payload = 1500);
	c.more = true;
	c.payload = 992;
	size_t n = craft(&c, a);
	memcpy(a + 14 + 40 + 8 + 8, piece[0].p + 14 + 40 + 8, 1000);
	c.more = false;
	c.frag_off = 1000;
	c.payload = 508;
	size_t m = craft(&c, b);
	memcpy(b + 14 + 40 + 8 + 8, piece[1].p + 14 + 40 + 8, 508);
	world_frame(w, 0, b, m);
	assert_waits();
	world_frame(w, 0, a, n);
	assert_forwarded(w, REASON_OUTBOUND);
}

static void checksum_of_the_whole(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		CUT(1, 1000, UDP(2500));
		((uint8_t *)(uintptr_t)piece[2].p)[100] ^= 1;
		give(0, 0);
		give(0, 1);
		give(0, 2);
		assert_dropped(w, REASON_CHECKSUM);
		assert_int_equal(world_waiting(w), 0);
		CUT(1, 1000, IN, .proto = 17, .dport = 9, .payload = 2500);
		((uint8_t *)(uintptr_t)piece[1].p)[100] ^= 1;
		give(WORLD_UPLINK, 2);
		give(WORLD_UPLINK, 1);
		give(WORLD_UPLINK, 0);
		assert_dropped(w, REASON_CHECKSUM);
	}
	assert_int_equal(w->by_reason[REASON_FRAGMENT], 0);
	assert_int_equal(outs, 0);
}

static void judged_once(void **state)
{
	(void)state;
	struct policy p = { 0 };
	world_policy(w, 2, &p);
	CUT(1, 1000, UDP(2500));
	give(0, 2);
	give(0, 1);
	give(0, 0);
	assert_dropped(w, REASON_DENIED);
	/* One attempt, and the bytes of all frames. */
	p.outbound[LIMIT_CLASS_UDP] = (struct limit){ 1, 60 };
	p.flow.bytes = 14 * 3 + 20 * 3 + 2508;
	world_policy(w, 2, &p);
	CUT(1, 1000, UDP(2500));
	give(0, 2);
	give(0, 1);
	give(0, 0);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(UDP(1));
	assert_dropped(w, REASON_BUDGET_FLOW);
	CUT(1, 1000, UDP(2500), .dport = 10);
	give(0, 2);
	give(0, 1);
	give(0, 0);
	assert_dropped(w, REASON_LIMIT_UDP);
}

static void poisoned(uint32_t id, unsigned good, const uint8_t *bad, size_t n)
{
	for (unsigned i = 0; i < good; i++) {
		give(0, i);
		assert_waits();
	}
	world_frame(w, 0, bad, n);
	assert_dropped(w, REASON_FRAGMENT);
	assert_int_equal(world_waiting(w), 0); /* they went with it */
	for (unsigned i = 0; i < 4; i++) {
		give(0, i);
		assert_dropped(w, REASON_FRAGMENT);
	}
	assert_int_equal(outs, 0);
	(void)id;
}

static void overlaps(void **state)
{
	(void)state;
	static const struct {
		uint16_t off;
		uint32_t n;
		bool more;
	} bad[] = {
		{ 0, 992, true },     /* the first one again, with other bytes */
		{ 600, 480, true },   /* over the end of the first */
		{ 8, 400, true },     /* over the TCP flags (RFC 3128) */
		{ 1000, 1000, true }, /* one that is there */
		{ 1904, 496, true },  /* over the end of the second */
		{ 1600, 2, false },   /* the end before what is there */
	};
	static uint8_t b[CRAFT_MAX];
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CUT(10 + i, 1000, UDP(3500));
		size_t n = craft(&(struct craft){ OUT, .proto = 17, .sport = 8, .dport = 9, .fragment = true,
						  .frag_id = 10 + i, .more = bad[i].more, .frag_off = bad[i].off,
						  .payload = bad[i].n },
				 b);
		b[n - 1] ^= 0x55;
		poisoned(10 + i, 2, b, n);
	}
}

/* What the network doubles costs only the double. */
static void copies(void **state)
{
	(void)state;
	CUT(1, 1000, UDP(2500));
	give(0, 0);
	give(0, 2);
	give(0, 0);
	assert_dropped(w, REASON_FRAGMENT);
	give(0, 2);
	assert_dropped(w, REASON_FRAGMENT);
	assert_int_equal(world_waiting(w), 2);
	give(0, 1);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_out((unsigned[]){ 0, 2, 1 }, 3);
	/* Afterwards it is the begin of nothing. */
	give(0, 1);
	assert_waits();
	world_pass(w, 40 * SEC);
	assert_int_equal(world_waiting(w), 0);
	assert_int_equal(outs, 0);
}

static void ends(void **state)
{
	(void)state;
	static uint8_t b[CRAFT_MAX];
	size_t n;
	CUT(1, 1000, UDP(3500));
	give(0, 3);
	n = craft(&(struct craft){ OUT, .proto = 17, .fragment = true, .frag_id = 1, .more = true, .frag_off = 4000,
				   .payload = 800 },
		  b);
	poisoned(1, 0, b, n); /* beyond the end */
	CUT(2, 1000, UDP(3500));
	give(0, 3);
	n = craft(&(struct craft){ OUT, .proto = 17, .fragment = true, .frag_id = 2, .frag_off = 2000, .payload = 80 },
		  b);
	poisoned(2, 0, b, n); /* another end */
	/* 65,536 bytes and more. */
	CUT(3, 1000, UDP(3500));
	give(0, 0);
	n = craft(&(struct craft){ OUT, .proto = 17, .fragment = true, .frag_id = 3, .frag_off = 65520, .payload = 15 },
		  b);
	world_frame(w, 0, b, n);
	assert_waits(); /* its 20 bytes of header make it too long, but nobody knows yet */
	n = craft(&(struct craft){ OUT, .proto = 17, .fragment = true, .frag_id = 3, .frag_off = 65528, .payload = 15 },
		  b);
	world_frame(w, 0, b, n);
	assert_dropped(w, REASON_FRAGMENT);
}

static void largest(void **state)
{
	(void)state;
	unsigned n = CUT(1, 1480, UDP(65507));
	for (unsigned i = 0; i + 1 < n; i++)
		give(0, i);
	assert_waits();
	give(0, n - 1);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(outs, n);
	outs = 0;
	/* The same in the smallest pieces that are taken. */
	n = CUT(2, 400, UDP(65507));
	for (unsigned i = 0; i + 1 < n; i++)
		give(0, i);
	assert_waits();
	give(0, n - 1);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(outs, n);
	outs = 0;
	/* One byte more than IPv4 can say. */
	n = CUT(3, 1480, UDP(65507));
	uint8_t *last = (uint8_t *)(uintptr_t)piece[n - 1].p;
	static uint8_t b[CRAFT_MAX];
	memcpy(b, last, piece[n - 1].n);
	b[piece[n - 1].n] = 0;
	b[17]++;
	b[24] = b[25] = 0;
	uint16_t sum = craft_sum(b + 14, 20, 0);
	b[24] = (uint8_t)(sum >> 8);
	b[25] = (uint8_t)sum;
	for (unsigned i = 0; i + 1 < n; i++)
		give(0, i);
	world_frame(w, 0, b, piece[n - 1].n + 1);
	assert_dropped(w, REASON_FRAGMENT);
	assert_int_equal(world_waiting(w), 0);
	assert_int_equal(outs, 0);
}

static void tiny(void **state)
{
	(void)state;
	/* Without its whole transport header. */
	FROM_POT(OUT, .proto = 6, .fragment = true, .more = true, .frag_id = 1, .total_less = 12, .flags = TCP_SYN);
	assert_dropped(w, REASON_FRAGMENT);
	FROM_POT(OUT6, .proto = 17, .exts = "d", .fragment = true, .more = true, .frag_id = 1, .cut = 14 + 40 + 8 + 8);
	assert_dropped(w, REASON_MALFORMED);
	/* Smaller than any network makes them: alone, and after good ones. */
	CUT(2, 392, UDP(1000));
	give(0, 0);
	assert_dropped(w, REASON_FRAGMENT);
	give(0, 2);
	assert_dropped(w, REASON_FRAGMENT);
	FROM_POT(OUT, .proto = 17, .fragment = true, .frag_id = 3, .more = true, .frag_off = 800, .payload = 800);
	assert_waits();
	FROM_POT(OUT, .proto = 17, .fragment = true, .frag_id = 3, .more = true, .frag_off = 8, .payload = 392);
	assert_dropped(w, REASON_FRAGMENT);
	assert_int_equal(world_waiting(w), 0);
	/* The last one may be short. */
	CUT(4, 1000, UDP(993));
	give(0, 1);
	give(0, 0);
	assert_forwarded(w, REASON_OUTBOUND);
}

/* The protocol behind the header of a later fragment counts for nothing, and
 * fragments of several protocols are several datagrams. */
static void of_another(void **state)
{
	(void)state;
	CUT(1, 1000, UDP(1500));
	give(0, 0);
	FROM_POT(OUT, .proto = 6, .fragment = true, .frag_id = 1, .frag_off = 1000, .payload = 508);
	assert_waits();
	FROM_POT(OUT, .proto = 17, .dst = "198.51.100.8", .fragment = true, .frag_id = 1, .frag_off = 1000,
		 .payload = 508);
	assert_waits();
	FROM_POT(OUT, .proto = 17, .dmac = "02:00:00:00:00:07", .fragment = true, .frag_id = 1, .frag_off = 1000,
		 .payload = 508);
	assert_waits();
	give(0, 1);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(outs, 2);
}

static void hops(void **state)
{
	(void)state;
	CUT(1, 1000, UDP(1500));
	give(0, 0);
	uint8_t *p = (uint8_t *)(uintptr_t)piece[1].p;
	p[22] = 3; /* dies on the way */
	p[24] = p[25] = 0;
	uint16_t sum = craft_sum(p + 14, 20, 0);
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
	give(0, 1);
	assert_dropped(w, REASON_TTL);
	assert_int_equal(world_waiting(w), 0);
}

static void incomplete(void **state)
{
	(void)state;
	CUT(1, 1000, UDP(2500));
	give(0, 0);
	w->now += 10 * SEC;
	give(0, 1);
	world_pass(w, 19 * SEC);
	assert_int_equal(world_waiting(w), 2);
	uint64_t before = w->g->ports[0].stats.by_reason[REASON_INCOMPLETE];
	world_pass(w, 2 * SEC);
	assert_int_equal(world_waiting(w), 0); /* recorded, as dropped (the world checks that nothing was sent) */
	assert_int_equal(w->g->ports[0].stats.by_reason[REASON_INCOMPLETE] - before, 2);
	assert_int_equal(outs, 0);
	give(0, 2); /* its datagram is forgotten */
	assert_waits();
	/* When the port goes they are recorded, too. */
	world_port_del(w, 0);
	assert_int_equal(world_waiting(w), 0);
}

static void bounded(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 1000; id++) {
		CUT(id, 1480, UDP(4000));
		give(0, 0);
		assert_waits();
	}
	/* The oldest made room for the newest. */
	assert_int_equal(w->g->frags.ports[0].used, FRAG_DATAGRAMS);
	assert_int_equal(world_waiting(w), FRAG_DATAGRAMS);
	assert_int_equal(w->g->ports[0].stats.by_reason[REASON_INCOMPLETE], 1000 - FRAG_DATAGRAMS);
	give(0, 1);
	give(0, 2);
	assert_forwarded(w, REASON_OUTBOUND);
	/* By chunks: datagrams that take most of a share each. */
	for (uint32_t id = 2000; id < 2100; id++) {
		unsigned n = CUT(id, 1480, UDP(60000));
		for (unsigned i = 0; i + 1 < n; i++)
			give(0, i);
	}
	assert_true(w->g->frags.ports[0].touched <= FRAG_CHUNKS);
	assert_true(world_waiting(w) <= FRAG_CHUNKS);
	/* Each port has its share. */
	whole_n = craft(&(struct craft){ OUT, .smac = world_mac(1), .src = "192.0.2.11", .proto = 17, .payload = 2000 },
			whole);
	craft_fragments(whole, whole_n, 1, 1480, buf, sizeof(buf), piece, 256);
	give(1, 0);
	give(1, 1);
	assert_forwarded(w, REASON_OUTBOUND);
	world_pass(w, 40 * SEC);
	assert_int_equal(w->g->frags.used, 0);
	assert_int_equal(w->g->frags.ports[0].room, w->g->frags.ports[0].touched);
}

/* Half of a datagram is not sent because the other half found no room in the
 * ring. */
static void all_or_none(void **state)
{
	(void)state;
	static const char *const a2[] = { "192.0.2.12/24", NULL };
	struct policy p = { 0 };
	p.outbound[LIMIT_CLASS_UDP].count = LIMIT_UNLIMITED;
	world_port(w, 2, 0, "pot2", world_mac(2), a2, RING_MIN);
	world_policy(w, 3, &p);
	whole_n = craft(
	    &(struct craft){ OUT, .smac = world_mac(2), .src = "192.0.2.12", .proto = 17, .payload = 65000 }, whole);
	unsigned n = craft_fragments(whole, whole_n, 1, 1480, buf, sizeof(buf), piece, 256);
	w->lax = true;
	w->sent = 0;
	for (unsigned i = 0; i < n; i++)
		give(2, i);
	assert_reason(w, REASON_EVIDENCE_FULL);
	assert_int_equal(outs, 0);
	assert_int_equal(w->g->frags.used, 0);
}

/* Random cuts, orders, doubles and overlaps of many datagrams at a time: what
 * comes out is whole, as it was, and what was spoilt does not come out. */
static void random_ones(void **state)
{
	(void)state;
	srand(4);
	for (unsigned round = 0; round < 400; round++) {
		size_t size = 400 + 8 * (size_t)(rand() % 130);
		unsigned n = CUT(round, size, UDP((uint32_t)(size + 1 + (size_t)rand() % (size * 20))));
		bool spoil = rand() % 3 == 0;
		unsigned order[256], bad = (unsigned)rand() % n;
		for (unsigned i = 0; i < n; i++)
			order[i] = i;
		for (unsigned i = n - 1; i > 0; i--) {
			unsigned k = (unsigned)rand() % (i + 1), was = order[i];
			order[i] = order[k];
			order[k] = was;
		}
		outs = 0;
		for (unsigned i = 0; i < n; i++) {
			if (spoil && order[i] == bad) {
				static uint8_t b[CRAFT_MAX];
				memcpy(b, piece[bad].p, piece[bad].n);
				b[piece[bad].n - 1] ^= 1;
				world_frame(w, 0, b, piece[bad].n);
			}
			give(0, order[i]);
			if (rand() % 4 == 0 && i + 1 < n)
				give(0, order[(unsigned)rand() % (i + 1)]);
		}
		assert_int_equal(outs, spoil ? 0 : n);
		for (unsigned i = 0; i < n && i < 64 && outs; i++)
			assert_memory_equal(out[i], piece[order[i]].p, piece[order[i]].n);
		w->now += SEC / 10;
	}
	world_pass(w, 31 * SEC);
	assert_int_equal(world_waiting(w), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(any_order),   T(both_families_both_ways),
		T(atomic),      T(behind_headers),
		T(judged_once), T(checksum_of_the_whole),
		T(overlaps),    T(copies),
		T(ends),        T(largest),
		T(tiny),        T(of_another),
		T(hops),        T(incomplete),
		T(bounded),     T(all_or_none),
		T(random_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
