/* SPDX-License-Identifier: ISC */
/* Changed copies: what is different in them, and that every checksum is right,
 * by wire.c and craft.c, which reckon it from the beginning. */
#include "tests.h"
#include "wire.h"

#include "proc/gateway/decode.h"
#include "proc/gateway/edit.h"

static struct world *w;
static struct policy_pool *pool;
static struct policy pol;

static int set_up(void **state)
{
	(void)state;
	w = world_new(2, NULL);
	pool = calloc(1, sizeof(*pool));
	pol = (struct policy){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	free(pool);
	return 0;
}

static void replace(const char *from, const char *to)
{
	struct rewrite *r = &pool->rewrites[pool->nrewrites++];
	assert_int_equal(strlen(from), strlen(to));
	r->n = (uint8_t)strlen(from);
	memcpy(r->from, from, r->n);
	memcpy(r->to, to, r->n);
}

/* A rule that replaces what is in the pool, in force for all. */
static void in_force(void)
{
	static uint32_t generation;
	struct rule *r = &pool->rules[0];
	*r = (struct rule){ .name = "blunt",
			    .action = ACTION_REWRITE,
			    .directions = RULE_ALL_DIRECTIONS,
			    .rewrites = { 0, (uint16_t)pool->nrewrites } };
	pool->nrules = 1;
	world_rules(w, 2, &pol, pool, ++generation);
}

static struct wire made(void)
{
	struct wire x;
	assert_int_equal(w->verdict, VERDICT_REWRITE);
	assert_reason(w, REASON_RULE);
	assert_int_equal(w->sent, 0);
	assert_int_equal(w->made, 1);
	const char *wrong = wire_read(w->made_bytes, w->made_n, &x);
	if (wrong)
		fail_msg("%s", wrong);
	return x;
}

static void assert_payload(const struct wire *x, const char *want)
{
	assert_int_equal(x->end - x->payload, strlen(want));
	assert_memory_equal(w->made_bytes + x->payload, want, strlen(want));
}

#define DATA(text) .payload = sizeof(text) - 1, .data = (const uint8_t *)text

static void rewrite_udp(void **state)
{
	(void)state;
	replace("GET /evil", "GET /nice");
	in_force();
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, DATA("xGET /evil GET /evi GET /evilGET /evil"));
	struct wire x = made();
	assert_int_equal(w->made_to, WORLD_UPLINK);
	assert_payload(&x, "xGET /nice GET /evi GET /niceGET /nice");
	assert_string_equal(x.smac, world_mac(0));
	assert_string_equal(x.dst, "198.51.100.7");
	assert_int_not_equal(x.sum, 0);
	FROM_POT(OUT6, .proto = 17, .sport = 1, .dport = 2, DATA("GET /evil"));
	x = made();
	assert_payload(&x, "GET /nice");
	FROM_POT(OUT6, .proto = 17, .sport = 1, .dport = 2, .exts = "hd", DATA("12GET /evil"));
	x = made();
	assert_payload(&x, "12GET /nice");
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, .options = "01010101", DATA("1GET /evil"));
	x = made();
	assert_payload(&x, "1GET /nice");
	/* a checksum of 0 over IPv4 is none, and stays none */
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, .no_sum = true, DATA("GET /evil"));
	x = made();
	assert_int_equal(x.sum, 0);
	/* nothing in it: as it came */
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, DATA("GET /fine"));
	assert_int_equal(w->made, 0);
	assert_int_equal(w->sent, 1);
	/* never in headers */
	FROM_POT(OUT, .proto = 17, .sport = 'G' << 8 | 'E', .dport = 'T' << 8 | ' ', DATA("/evil"));
	assert_int_equal(w->made, 0);
}

static void rewrite_tcp(void **state)
{
	(void)state;
	replace("abc", "xyz");
	replace("zz", "qq"); /* sees what the first one made */
	in_force();
	FROM_POT(OUT, .proto = 6, .sport = 1, .dport = 80, .flags = TCP_SYN);
	assert_int_equal(w->sent, 1);
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 1, .flags = TCP_SYN | TCP_ACK);
	assert_int_equal(w->sent, 1);
	FROM_POT(OUT, .proto = 6, .sport = 1, .dport = 80, .flags = TCP_ACK, .tcp_options = "01010101",
		 DATA("abcz abc"));
	struct wire x = made();
	assert_payload(&x, "xyqq xyz");
	/* inwards too: both directions of a conversation */
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 1, .flags = TCP_ACK, DATA("0abc"));
	x = made();
	assert_int_equal(w->made_to, 0);
	assert_payload(&x, "0xyz");
	/* what is spread over two segments is not matched: documented */
	FROM_POT(OUT, .proto = 6, .sport = 1, .dport = 80, .flags = TCP_ACK, DATA("ab"));
	assert_int_equal(w->made, 0);
	FROM_POT(OUT, .proto = 6, .sport = 1, .dport = 80, .flags = TCP_ACK, DATA("c"));
	assert_int_equal(w->made, 0);
}

static void rewrite_fragments(void **state)
{
	(void)state;
	replace("abc", "xyz");
	in_force();
	uint8_t big[400];
	memset(big, 'a', sizeof(big));
	for (unsigned i = 0; i < 2; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, .fragment = true, .more = i == 0, .frag_id = 4,
			 .frag_off = (uint16_t)(i * 408), .payload = 400, .data = big);
		assert_int_equal(w->made + w->sent, 0);
	}
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

/* Both versions are in evidence, and what cannot be recorded is not sent. */
static void both_recorded(void **state)
{
	(void)state;
	replace("abc", "xyz");
	in_force();
	w->lax = true;
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, DATA("abc"));
	struct ring_entry h;
	const uint8_t *p;
	struct ring_frame f;
	assert_int_equal(ring_next(&w->ports[0].ring, &h, &p), 1);
	assert_int_equal(h.kind, RING_RULE);
	assert_int_equal(ring_next(&w->ports[0].ring, &h, &p), 1);
	memcpy(&f, p, sizeof(f));
	assert_int_equal(f.dir, FRAME_IN);
	assert_int_equal(f.verdict, VERDICT_REWRITE);
	assert_int_equal(f.out_port, WORLD_UPLINK);
	assert_memory_equal(p + sizeof(f) + 42, "abc", 3);
	uint64_t flow = f.flow;
	assert_int_equal(ring_next(&w->ports[WORLD_UPLINK].ring, &h, &p), 1);
	assert_int_equal(h.kind, RING_RULE);
	assert_int_equal(ring_next(&w->ports[WORLD_UPLINK].ring, &h, &p), 1);
	memcpy(&f, p, sizeof(f));
	assert_int_equal(f.dir, FRAME_OUT);
	assert_int_equal(f.verdict, VERDICT_REWRITE);
	assert_int_equal(f.reason, REASON_RULE);
	assert_int_equal(f.rule, 0);
	assert_true(f.flow == flow && flow);
	assert_memory_equal(p + sizeof(f) + 42, "xyz", 3);
	assert_int_equal(w->to[WORLD_UPLINK], 1);
	ring_stop(&w->ports[WORLD_UPLINK].ring, -5);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, DATA("abc"));
	assert_int_equal(w->to[WORLD_UPLINK], 1);
	assert_int_equal(w->verdict, VERDICT_DROP);
}

/* ---- edit by itself ---------------------------------------------------------------- */

static uint8_t given[CRAFT_MAX];

static struct frame frame_of(const struct craft *c)
{
	size_t n = craft(c, given);
	struct frame f = { .bytes = slice_of(given, n),
			   .wirelen = (uint32_t)n,
			   .in = &w->g->ports[0],
			   .out = &w->g->ports[WORLD_UPLINK],
			   .reason = REASON_OUTBOUND,
			   .rule = RULE_NONE,
			   .now = w->now };
	decode(&f);
	assert_int_equal(f.verdict, VERDICT_FORWARD);
	edit_keep(&f);
	return f;
}

static void change(struct frame *f, const char *saddr, const char *daddr, uint16_t sport, uint16_t dport)
{
	craft_addr(saddr, f->edit.saddr);
	craft_addr(daddr, f->edit.daddr);
	craft_mac("02:00:00:00:00:aa", f->edit.smac);
	craft_mac("02:00:00:00:00:bb", f->edit.dmac);
	f->edit.sport = sport;
	f->edit.dport = dport;
	f->edit.what = EDIT_MACS | EDIT_ADDRS | EDIT_PORTS;
}

/* The same as if it had been made so from the beginning, byte by byte. */
static void as_if_made_so(void **state)
{
	(void)state;
	static uint8_t want[CRAFT_MAX];
	srand(3);
	for (unsigned i = 0; i < 3000; i++) {
		bool v6 = i & 1;
		uint8_t data[64];
		char a[2][46], b[2][46];
		for (unsigned k = 0; k < 2; k++) {
			snprintf(a[k], sizeof(a[k]), v6 ? "2001:db8::%x" : "192.0.2.%u", 1u + (unsigned)rand() % 250);
			snprintf(b[k], sizeof(b[k]), v6 ? "2001:db8:5::%x:1" : "198.51.100.%u",
				 1u + (unsigned)rand() % 250);
		}
		for (unsigned k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)(i % 5 ? rand() : 0);
		struct craft c = { .smac = world_mac(0),
				   .dmac = ROUTER_MAC,
				   .src = a[0],
				   .dst = a[1],
				   .proto = i % 3 == 0   ? 6
					    : i % 3 == 1 ? 17
					    : v6         ? 58
							 : 1,
				   .sport = (uint16_t)rand(),
				   .dport = (uint16_t)rand(),
				   .flags = TCP_ACK,
				   .seq = (uint32_t)rand(),
				   .ack = 1,
				   .icmp_type = v6 ? 128 : 8,
				   .icmp_id = (uint16_t)rand(),
				   .payload = (uint32_t)rand() % 64,
				   .data = data,
				   .exts = v6 && i % 7 == 0 ? "hd" : NULL,
				   .options = !v6 && i % 7 == 0 ? "01010101" : NULL };
		struct frame f = frame_of(&c);
		change(&f, b[0], b[1], (uint16_t)rand(), (uint16_t)rand());
		c.smac = "02:00:00:00:00:aa";
		c.dmac = "02:00:00:00:00:bb";
		c.src = b[0];
		c.dst = b[1];
		c.icmp_id = f.edit.sport;
		c.sport = f.edit.sport;
		c.dport = f.edit.dport;
		edit(w->g, &f);
		size_t n = craft(&c, want);
		assert_int_equal(f.verdict, VERDICT_REWRITE);
		assert_int_equal(f.changed.n, n);
		struct wire x, y;
		assert_null(wire_read(f.changed.p, n, &x));
		assert_null(wire_read(want, n, &y));
		/* 0 and 0xffff are the same sum, in TCP and ICMP */
		size_t sum = x.l4 + (c.proto == 6 ? 16 : c.proto == 17 ? 6 : 2);
		if (c.proto != 17 && (x.sum == 0 || x.sum == 0xffff))
			memcpy(want + sum, f.changed.p + sum, 2);
		assert_memory_equal(f.changed.p, want, n);
	}
}

/* The fragments of a datagram, each changed by itself, are those of the changed one. */
static void addresses_of_fragments(void **state)
{
	(void)state;
	static uint8_t whole[CRAFT_MAX], pieces[CRAFT_MAX], got[CRAFT_MAX];
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct craft c = { .smac = world_mac(0),
				   .dmac = ROUTER_MAC,
				   .src = v6 ? "2001:db8::10" : "192.0.2.10",
				   .dst = v6 ? "2001:db8:9::7" : "198.51.100.7",
				   .proto = 17,
				   .sport = 1000,
				   .dport = 53,
				   .payload = 1000 };
		size_t n = craft(&c, whole), l4 = v6 ? 54 : 34, head = v6 ? 62 : 34;
		struct craft_piece piece[8];
		size_t k = craft_fragments(whole, n, 7, 400, pieces, sizeof(pieces), piece, 8);
		assert_int_equal(k, 3);
		memcpy(got, whole, l4);
		size_t at = l4;
		for (size_t i = 0; i < k; i++) {
			struct frame f = { .bytes = slice_of(piece[i].p, piece[i].n),
					   .wirelen = (uint32_t)piece[i].n,
					   .in = &w->g->ports[0],
					   .out = &w->g->ports[WORLD_UPLINK],
					   .reason = REASON_OUTBOUND,
					   .now = w->now };
			decode(&f);
			edit_keep(&f);
			change(&f, v6 ? "2001:db8::99" : "192.0.2.99", v6 ? "2001:db8:8::8" : "203.0.113.8", 4, 5);
			edit(w->g, &f);
			assert_int_equal(f.verdict, VERDICT_REWRITE);
			memcpy(got + at, f.changed.p + head, f.changed.n - head);
			at += f.changed.n - head;
			assert_memory_equal(f.changed.p + 14 + (v6 ? 24 : 16), f.edit.daddr, v6 ? 16 : 4);
			if (!v6)
				assert_int_equal(craft_sum(f.changed.p + 14, 20, 0), 0);
		}
		c.src = v6 ? "2001:db8::99" : "192.0.2.99";
		c.dst = v6 ? "2001:db8:8::8" : "203.0.113.8";
		c.sport = 4;
		c.dport = 5;
		assert_int_equal(craft(&c, whole), at);
		assert_memory_equal(got + l4, whole + l4, at - l4);
	}
}

/* A wrong checksum stays wrong: the receiver will say so itself. */
static void wrong_stays_wrong(void **state)
{
	(void)state;
	struct wire x;
	struct frame f =
	    frame_of(&(struct craft){ OUT, .proto = 17, .sport = 1, .dport = 2, .payload = 8, .bad_sum = true });
	change(&f, "192.0.2.77", "198.51.100.77", 3, 4);
	edit(w->g, &f);
	assert_string_equal(wire_read(f.changed.p, f.changed.n, &x), "transport checksum");
}

/* UDP: a sum of 0 would say that there is none. */
static void udp_zero(void **state)
{
	(void)state;
	unsigned seen = 0;
	for (unsigned i = 0; i < 65536; i++) {
		uint8_t data[2] = { (uint8_t)(i >> 8), (uint8_t)i };
		struct frame f =
		    frame_of(&(struct craft){ OUT, .proto = 17, .sport = 1, .dport = 2, .payload = 2, .data = data });
		change(&f, "192.0.2.77", "198.51.100.77", 3, 4);
		edit(w->g, &f);
		uint16_t sum = (uint16_t)(f.changed.p[40] << 8 | f.changed.p[41]);
		assert_int_not_equal(sum, 0);
		seen += sum == 0xffff;
	}
	assert_true(seen > 0);
}

static void what_cannot_be(void **state)
{
	(void)state;
	/* a protocol whose checksum we do not know */
	struct frame f = frame_of(&(struct craft){ OUT, .proto = 132, .payload = 20 });
	change(&f, "192.0.2.77", "198.51.100.77", 3, 4);
	edit(w->g, &f);
	assert_int_equal(f.verdict, VERDICT_DROP);
	assert_int_equal(f.changed.n, 0);
	/* a quoted packet behind extension headers, or too short */
	uint8_t quoted[CRAFT_MAX];
	size_t n =
	    craft(&(struct craft){ IN6, .proto = 17, .sport = 1, .dport = 2, .exts = "d", .payload = 8 }, quoted);
	f = frame_of(
	    &(struct craft){ OUT6, .proto = 58, .icmp_type = 1, .payload = (uint32_t)n - 14, .data = quoted + 14 });
	change(&f, "2001:db8::9", "2001:db8::8", 3, 4);
	f.edit.what |= EDIT_QUOTED;
	edit(w->g, &f);
	assert_int_equal(f.verdict, VERDICT_DROP);
	f = frame_of(&(struct craft){ OUT6, .proto = 58, .icmp_type = 1, .payload = 44, .data = quoted + 14 });
	change(&f, "2001:db8::9", "2001:db8::8", 3, 4);
	f.edit.what |= EDIT_QUOTED;
	edit(w->g, &f);
	assert_int_equal(f.verdict, VERDICT_DROP);
	/* one that is played, but nothing was said of how */
	f = frame_of(&(struct craft){ OUT, .proto = 17, .payload = 20 });
	verdict_tighten(&f, VERDICT_REFLECT, REASON_RULE);
	edit(w->g, &f);
	assert_int_equal(f.verdict, VERDICT_DROP);
	/* a rule that is not there any more */
	f = frame_of(&(struct craft){ OUT, .proto = 17, .payload = 20 });
	f.edit.what = EDIT_PAYLOAD;
	f.rule = 7;
	edit(w->g, &f);
	assert_int_equal(f.verdict, VERDICT_DROP);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(rewrite_udp),       T(rewrite_tcp),   T(rewrite_fragments),
		T(both_recorded),     T(as_if_made_so), T(addresses_of_fragments),
		T(wrong_stays_wrong), T(udp_zero),      T(what_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
