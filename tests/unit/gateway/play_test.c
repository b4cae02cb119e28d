/* SPDX-License-Identifier: ISC */
/* Destinations that others play. The world checks at each frame that it was
 * recorded first, and that what came in is as it was. */
#include "play_fixture.h"

static const uint8_t hello[] = "EHLO mail.example\r\n";
#define HELLO .payload = sizeof(hello) - 1, .data = hello

/* A TCP conversation whose destination pot1 plays, on the same link. */
static void talk_on_link(bool v6)
{
	const char *asked = v6 ? "2001:db8:9::7" : ASKED, *me = v6 ? "2001:db8::10" : "192.0.2.10";
	const char *it = v6 ? "2001:db8::11" : "192.0.2.11";
	char m0[18], m1[18];
	snprintf(m0, sizeof(m0), "%s", world_mac(0));
	snprintf(m1, sizeof(m1), "%s", world_mac(1));
#define ME .smac = m0, .dmac = ROUTER_MAC, .src = me, .dst = asked, .proto = 6, .sport = 4000, .dport = 80
#define IT .smac = m1, .dmac = m0, .src = it, .dst = me, .proto = 6, .sport = 80, .dport = 4000
	reflect_to(1);
	FROM(0, ME, .flags = TCP_SYN, .seq = 100);
	assert_verdict(VERDICT_REFLECT, REASON_RULE);
	struct wire x = made(1);
	assert_ends(x, m0, m1, me, 4000, it, 80);
	assert_int_equal(x.seq, 100);
	assert_int_equal(x.flags, TCP_SYN);
	FROM(1, IT, .flags = TCP_SYN | TCP_ACK, .seq = 900, .ack = 101);
	assert_verdict(VERDICT_REFLECT, REASON_PLAYED);
	x = made(0);
	assert_ends(x, ROUTER_MAC, m0, asked, 80, me, 4000);
	assert_int_equal(x.seq, 900);
	assert_int_equal(x.ack, 101);
	FROM(0, ME, .flags = TCP_ACK, .seq = 101, .ack = 901, HELLO);
	assert_verdict(VERDICT_REFLECT, REASON_RULE);
	x = made(1);
	assert_memory_equal(w->made_bytes + x.payload, hello, sizeof(hello) - 1);
	FROM(1, IT, .flags = TCP_ACK | TCP_FIN, .seq = 901, .ack = 101 + sizeof(hello) - 1);
	made(0);
	FROM(0, ME, .flags = TCP_ACK | TCP_FIN, .seq = 101 + sizeof(hello) - 1, .ack = 902);
	made(1);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
	assert_int_equal(w->g->ports[0].flows, 1);
	/* one record, which says who played */
	world_pass(w, 20 * SEC);
	const struct ring_flow *f = world_flow(w, FLOW_END_CLOSED);
	assert_non_null(f);
	assert_int_equal(w->nflows, 1);
	assert_int_equal(f->player, 1);
	assert_int_equal(f->player_sport, 4000);
	assert_int_equal(f->player_dport, 80);
	assert_int_equal(f->rule, 0);
	assert_int_equal(f->verdict, VERDICT_REFLECT);
	assert_int_equal(f->dst_port, 80);
	assert_int_equal(f->pkts_toserver, 3);
	assert_int_equal(f->pkts_toclient, 2);
	assert_string_equal(w->rules[0][0], "mirror");
	assert_string_equal(w->rules[1][0], "mirror");
	assert_int_equal(w->g->flows.count, 0);
}

static void tcp_on_link(void **state)
{
	(void)state;
	talk_on_link(false);
}

static void tcp_on_link6(void **state)
{
	(void)state;
	talk_on_link(true);
}

/* pot2 is on another network, behind its own router. */
static void tcp_other_network(void **state)
{
	(void)state;
	char m2[18];
	snprintf(m2, sizeof(m2), "%s", world_mac(2));
	pol.outbound[LIMIT_CLASS_UDP] = (struct limit){ LIMIT_UNLIMITED, 0 };
	reflect_to(2);
	/* it has talked to its router before */
	FROM(2, .smac = m2, .dmac = "02:00:00:00:00:02", .src = "203.0.113.10", .dst = "198.51.100.99", .proto = 17,
	     .sport = 5, .dport = 6);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 445, .flags = TCP_SYN, .seq = 5);
	struct wire x = made(2);
	assert_ends(x, "02:00:00:00:00:02", m2, "192.0.2.10", 4000, "203.0.113.10", 445);
	FROM(2, .smac = m2, .dmac = "02:00:00:00:00:02", .src = "203.0.113.10", .dst = "192.0.2.10", .proto = 6,
	     .sport = 445, .dport = 4000, .flags = TCP_RST | TCP_ACK, .ack = 6);
	assert_verdict(VERDICT_REFLECT, REASON_PLAYED);
	x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), ASKED, 445, "192.0.2.10", 4000);
	assert_int_equal(x.flags, TCP_RST | TCP_ACK);
	assert_int_equal(w->to[WORLD_UPLINK] + w->to[PORT_UPLINK(1)], 1); /* the one above */
}

/* What an intruder outside asks of pot0, pot1 answers; it sees pot0. */
static void inbound(void **state)
{
	(void)state;
	for_pot0(add_rule(ACTION_REFLECT, RULE_IN, "decoy"))->target = 1;
	in_force();
	FROM_UP(IN, .proto = 6, .sport = 50000, .dport = 22, .flags = TCP_SYN, .seq = 1);
	assert_verdict(VERDICT_REFLECT, REASON_RULE);
	struct wire x = made(1);
	assert_ends(x, ROUTER_MAC, world_mac(1), ASKED, 50000, "192.0.2.11", 22);
	FROM(1, .smac = world_mac(1), .dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = ASKED, .proto = 6, .sport = 22,
	     .dport = 50000, .flags = TCP_SYN | TCP_ACK, .seq = 7, .ack = 2);
	assert_verdict(VERDICT_REFLECT, REASON_PLAYED);
	x = made(WORLD_UPLINK);
	assert_ends(x, world_mac(0), ROUTER_MAC, "192.0.2.10", 22, ASKED, 50000);
	assert_int_equal(w->g->ports[0].flows, 1); /* its record belongs to the one that was asked */
	assert_int_equal(w->g->ports[1].flows, 0);
}

static void udp_and_icmp(void **state)
{
	(void)state;
	reflect_to(1);
	FROM_POT(OUT, .proto = 17, .sport = 1000, .dport = 161, HELLO);
	struct wire x = made(1), q;
	assert_ends(x, world_mac(0), world_mac(1), "192.0.2.10", 1000, "192.0.2.11", 161);
	/* without a checksum it stays without */
	FROM_POT(OUT, .proto = 17, .sport = 1000, .dport = 161, .no_sum = true, HELLO);
	assert_int_equal(made(1).sum, 0);
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 17,
	     .sport = 161, .dport = 1000, HELLO);
	x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), ASKED, 161, "192.0.2.10", 1000);
	/* ping */
	FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 77, .payload = 56);
	x = made(1);
	assert_int_equal(x.icmp_id, 77);
	assert_string_equal(x.dst, "192.0.2.11");
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 1,
	     .icmp_type = 0, .icmp_id = 77, .payload = 56);
	x = made(0);
	assert_string_equal(x.src, ASKED);
	/* a closed port says so, about the packet that was sent */
	uint8_t quoted[CRAFT_MAX];
	size_t n = craft(&(struct craft){ .smac = world_mac(0),
					  .dmac = world_mac(1),
					  .src = "192.0.2.10",
					  .dst = "192.0.2.11",
					  .proto = 17,
					  .sport = 1000,
					  .dport = 161,
					  HELLO },
			 quoted);
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 1,
	     .icmp_type = 3, .icmp_code = 3, .payload = (uint32_t)n - 14, .data = quoted + 14);
	assert_verdict(VERDICT_REFLECT, REASON_PLAYED);
	x = made(0);
	assert_string_equal(x.src, ASKED);
	assert_null(wire_quoted(w->made_bytes, &x, &q, false));
	assert_string_equal(q.src, "192.0.2.10");
	assert_string_equal(q.dst, ASKED);
	assert_int_equal(q.sport, 1000);
	assert_int_equal(q.dport, 161);
	/* only the first eight bytes of it */
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 1,
	     .icmp_type = 3, .icmp_code = 3, .payload = 28, .data = quoted + 14);
	x = made(0);
	assert_null(wire_quoted(w->made_bytes, &x, &q, true));
	assert_string_equal(q.dst, ASKED);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

/* A datagram in fragments: each is translated, and together they are right. */
static void fragments(void **state)
{
	(void)state;
	static uint8_t frame[CRAFT_MAX], pieces[CRAFT_MAX], got[CRAFT_MAX];
	struct craft_piece piece[8];
	struct craft c = { OUT, .proto = 17, .sport = 1000, .dport = 161, .payload = 3000 };
	sink_all(SINK_AUTO);
	size_t n = craft(&c, frame);
	unsigned k = craft_fragments(frame, n, 7, 1480, pieces, sizeof(pieces), piece, 8);
	assert_int_equal(k, 3);
	for (unsigned i = 0; i + 1 < k; i++)
		world_frame(w, 0, piece[i].p, piece[i].n);
	assert_int_equal(w->to[SINK], 0);
	w->lax = true; /* to read them here */
	world_frame(w, 0, piece[2].p, piece[2].n);
	assert_int_equal(w->to[SINK], 3);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
	struct ring_entry h;
	const uint8_t *p;
	size_t at = 34;
	while (ring_next(&w->ports[SINK].ring, &h, &p) > 0) {
		struct ring_frame f;
		if (h.kind != RING_FRAME)
			continue;
		memcpy(&f, p, sizeof(f));
		assert_int_equal(f.dir, FRAME_OUT);
		assert_int_equal(f.verdict, VERDICT_SINKHOLE);
		p += sizeof(f);
		assert_int_equal(craft_sum(p + 14, 20, 0), 0);
		memcpy(got + at, p + 34, f.caplen - 34);
		at += f.caplen - 34;
	}
	c.dport = 9;
	assert_int_equal(craft(&c, frame), at);
	assert_memory_equal(got + 34, frame + 34, at - 34);
}

/* One source port to many destinations: the player sees different ones. */
static void same_source_port(void **state)
{
	(void)state;
	reflect_to(1);
	bool seen[65536] = { false };
	for (unsigned i = 1; i <= 40; i++) {
		char dst[20];
		snprintf(dst, sizeof(dst), "198.51.100.%u", i);
		FROM_POT(OUT, .dst = dst, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = i);
		struct wire x = made(1);
		assert_false(seen[x.sport]);
		seen[x.sport] = true;
		FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10",
		     .proto = 6, .sport = 80, .dport = x.sport, .flags = TCP_SYN | TCP_ACK, .seq = 1, .ack = i + 1);
		x = made(0);
		assert_string_equal(x.src, dst);
		assert_int_equal(x.dport, 4000);
	}
	for (unsigned i = 1; i <= 3; i++) { /* pings with one id */
		char dst[20];
		snprintf(dst, sizeof(dst), "198.51.100.%u", i);
		FROM_POT(OUT, .dst = dst, .proto = 1, .icmp_type = 8, .icmp_id = 9, .payload = 8);
		struct wire x = made(1);
		FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10",
		     .proto = 1, .icmp_type = 0, .icmp_id = x.icmp_id, .payload = 8);
		x = made(0);
		assert_string_equal(x.src, dst);
		assert_int_equal(x.icmp_id, 9);
	}
}

static void sinkhole_ports(void **state)
{
	(void)state;
	static const struct {
		uint8_t kind, proto;
		uint16_t asked, gets;
	} cases[] = {
		{ SINK_AUTO, 6, 25, 25 },    { SINK_AUTO, 6, 587, 25 },  { SINK_AUTO, 6, 465, 9 },
		{ SINK_AUTO, 6, 80, 80 },    { SINK_AUTO, 6, 8080, 80 }, { SINK_AUTO, 6, 8000, 80 },
		{ SINK_AUTO, 6, 3128, 80 },  { SINK_AUTO, 6, 6667, 9 },  { SINK_AUTO, 6, 443, 9 },
		{ SINK_AUTO, 17, 53, 53 },   { SINK_AUTO, 17, 161, 9 },  { SINK_SMTP, 6, 2525, 25 },
		{ SINK_HTTP, 6, 12345, 80 }, { SINK_TCP, 6, 80, 9 },     { SINK_TCP, 17, 80, 9 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pool->nrules = 0;
		sink_all(cases[i].kind);
		uint16_t sport = (uint16_t)(2000 + i);
		FROM_POT(OUT, .proto = cases[i].proto, .sport = sport, .dport = cases[i].asked,
			 .flags = cases[i].proto == 6 ? TCP_SYN : 0, .seq = 3);
		assert_verdict(VERDICT_SINKHOLE, REASON_RULE);
		struct wire x = made(SINK);
		assert_ends(x, world_mac(0), SINK_MAC, "192.0.2.10", sport, ASKED, cases[i].gets);
		FROM(SINK, .smac = SINK_MAC, .dmac = world_mac(0), .src = ASKED, .dst = "192.0.2.10",
		     .proto = cases[i].proto, .sport = cases[i].gets, .dport = sport,
		     .flags = cases[i].proto == 6 ? TCP_SYN | TCP_ACK : 0, .seq = 50, .ack = 4);
		assert_verdict(VERDICT_SINKHOLE, REASON_PLAYED);
		x = made(0);
		assert_ends(x, ROUTER_MAC, world_mac(0), ASKED, cases[i].asked, "192.0.2.10", sport);
	}
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

static void sinkhole6(void **state)
{
	(void)state;
	sink_all(SINK_AUTO);
	FROM_POT(OUT6, .proto = 6, .sport = 4000, .dport = 6667, .flags = TCP_SYN, .seq = 3);
	struct wire x = made(SINK);
	assert_ends(x, world_mac(0), SINK_MAC, "2001:db8::10", 4000, "2001:db8:9::7", 9);
	FROM(SINK, .smac = SINK_MAC, .dmac = "02:00:00:00:00:77", .src = "2001:db8:9::7", .dst = "2001:db8::10",
	     .proto = 6, .sport = 9, .dport = 4000, .flags = TCP_SYN | TCP_ACK, .seq = 50, .ack = 4);
	x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), "2001:db8:9::7", 6667, "2001:db8::10", 4000);
	FROM_POT(OUT6, .proto = 58, .icmp_type = 128, .icmp_id = 5, .payload = 16);
	x = made(SINK);
	assert_string_equal(x.dst, "2001:db8:9::7");
	/* the sinkhole's kernel complains */
	uint8_t quoted[CRAFT_MAX];
	size_t n =
	    craft(&(struct craft){ OUT6, .proto = 6, .sport = 4000, .dport = 9, .flags = TCP_SYN, .seq = 3 }, quoted);
	FROM(SINK, .smac = SINK_MAC, .dmac = world_mac(0), .src = "2001:db8:9::7", .dst = "2001:db8::10", .proto = 58,
	     .icmp_type = 1, .icmp_code = 4, .payload = (uint32_t)n - 14, .data = quoted + 14);
	x = made(0);
	struct wire q;
	assert_null(wire_quoted(w->made_bytes, &x, &q, false));
	assert_int_equal(q.dport, 6667);
}

/* The sinkhole begins nothing, resolves nothing and hears nothing else. */
static void sinkhole_only_answers(void **state)
{
	(void)state;
	sink_all(SINK_AUTO);
	FROM(SINK, .smac = SINK_MAC, .dmac = world_mac(0), .src = ASKED, .dst = "192.0.2.10", .proto = 6, .sport = 9,
	     .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	assert_int_equal(w->verdict, VERDICT_DROP);
	FROM(SINK, .smac = SINK_MAC, .dmac = ROUTER_MAC, .src = "192.0.2.200", .dst = ASKED, .proto = 17, .dport = 53);
	assert_int_equal(w->verdict, VERDICT_DROP);
	FROM(SINK, .smac = SINK_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.200",
	     .dst = "192.0.2.10");
	assert_int_equal(w->verdict, VERDICT_DROP);
	FROM(SINK, .smac = SINK_MAC, .dmac = "33:33:ff:00:00:10", .src = "fe80::1", .dst = "ff02::1:ff00:10",
	     .proto = 58, .icmp_type = 135, .nd_target = "2001:db8::10", .nd_lladdr = SINK_MAC);
	assert_int_equal(w->verdict, VERDICT_DROP);
	FROM_POT(.smac = world_mac(0), .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.10",
		 .dst = "192.0.2.1");
	assert_forwarded(w, REASON_RESOLUTION);
	assert_int_equal(w->to[SINK], 0);
	/* no flow of another: a SYN back on a known one */
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 3);
	made(SINK);
	FROM(SINK, .smac = SINK_MAC, .dmac = world_mac(0), .src = ASKED, .dst = "192.0.2.10", .proto = 6, .sport = 80,
	     .dport = 4000, .flags = TCP_SYN, .seq = 9);
	assert_dropped(w, REASON_NO_FLOW);
}

/* A honeynet without an outside; the sinkhole knows no MAC but its own. */
static void sinkhole_without_uplink(void **state)
{
	(void)state;
	world_port_del(w, WORLD_UPLINK);
	sink_all(SINK_AUTO);
	FROM_POT(OUT, .dmac = "02:00:00:00:00:99", .proto = 17, .sport = 4000, .dport = 53);
	assert_dropped(w, REASON_NO_PORT); /* there is no router either */
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	FROM_POT(OUT, .proto = 17, .sport = 4000, .dport = 53);
	made(SINK);
	w->g->ports[WORLD_UPLINK].down = true;
	FROM(SINK, .smac = SINK_MAC, .dmac = SINK_MAC, .src = ASKED, .dst = "192.0.2.10", .proto = 17, .sport = 53,
	     .dport = 4000);
	struct wire x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), ASKED, 53, "192.0.2.10", 4000);
}

/* Nobody else gets into a conversation that is played. */
static void no_third_party(void **state)
{
	(void)state;
	pol.lateral[LIMIT_CLASS_TCP] = (struct limit){ LIMIT_UNLIMITED, 0 };
	reflect_to(1);
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 3);
	made(1);
	/* the real destination, were it to answer */
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 4000, .flags = TCP_SYN | TCP_ACK, .seq = 8, .ack = 4);
	assert_int_equal(w->verdict, VERDICT_DROP);
	/* pot0 itself, by the player's addresses */
	FROM_POT(.smac = world_mac(0), .dmac = world_mac(1), .src = "192.0.2.10", .dst = "192.0.2.11", .proto = 6,
		 .sport = 4000, .dport = 80, .flags = TCP_ACK, .seq = 4, .ack = 9);
	assert_int_equal(w->verdict, VERDICT_DROP);
	/* pot1, as the destination */
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = ASKED, .dst = "192.0.2.10", .proto = 6, .sport = 80,
	     .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_int_equal(w->made, 0);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

/* The twin goes with its conversation, and gives its place back. */
static void twin_expires(void **state)
{
	(void)state;
	reflect_to(1);
	for (uint16_t i = 0; i < 100; i++) {
		FROM_POT(OUT, .proto = 6, .sport = 4000 + i, .dport = 80, .flags = TCP_SYN, .seq = 3);
		made(1);
	}
	assert_int_equal(w->g->flows.count, 200);
	assert_int_equal(w->g->ports[0].flows, 100);
	world_pass(w, 70 * SEC);
	assert_int_equal(w->g->flows.count, 0);
	assert_int_equal(w->g->ports[0].flows, 0);
	assert_int_equal(w->nflows, 100);
	FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 6,
	     .sport = 80, .dport = 4000, .flags = TCP_SYN | TCP_ACK, .seq = 1, .ack = 4);
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_int_equal(w->made + w->sent, 0);
	/* the same ports anew */
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 3);
	assert_int_equal(made(1).sport, 4000);
	/* the player goes: the conversation is over */
	world_port_del(w, 1);
	assert_int_equal(w->g->flows.count, 0);
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 3);
	assert_dropped(w, REASON_NO_PORT);
}

static void table_full(void **state)
{
	(void)state;
	world_free(w);
	static const uint8_t key[16] = { 9 };
	w = world_new(2, &(struct gateway_opts){ .flows = 3, .hash_key = key });
	for_pot0(add_rule(ACTION_REFLECT, RULE_OUT, "mirror"))->target = 1;
	world_rules(w, 2, &pol, pool, 3);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	made(1);
	FROM_POT(OUT, .proto = 17, .sport = 2, .dport = 2);
	assert_dropped(w, REASON_FLOW_TABLE_FULL);
	assert_int_equal(w->g->flows.count, 2);
}

/* Two honeypots play for each other: each frame is translated once. */
static void each_for_the_other(void **state)
{
	(void)state;
	struct rule *r = for_pot0(add_rule(ACTION_REFLECT, RULE_OUT | RULE_LATERAL, "a"));
	r->target = 1;
	r = add_rule(ACTION_REFLECT, RULE_OUT | RULE_LATERAL, "b");
	r->honeypots[0] = 2;
	r->target = 0;
	in_force();
	for (uint16_t i = 0; i < 50; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 100 + i, .dport = 7);
		struct wire x = made(1);
		assert_string_equal(x.dst, "192.0.2.11");
		/* it answers, and begins one of its own with the same ports */
		FROM(1, .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10",
		     .proto = 17, .sport = 7, .dport = x.sport);
		assert_string_equal(made(0).src, ASKED);
		FROM(1, .smac = world_mac(1), .dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = ASKED, .proto = 17,
		     .sport = 7, .dport = 100 + i);
		assert_string_equal(made(0).dst, "192.0.2.10");
	}
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

static void what_cannot_be_played(void **state)
{
	(void)state;
	reflect_to(0); /* itself */
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_DENIED);
	pool->nrules = 0;
	reflect_to(77); /* nobody */
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_NO_PORT);
	pool->nrules = 0;
	reflect_to(1);
	FROM_POT(OUT, .proto = 47, .payload = 20);
	assert_dropped(w, REASON_DENIED);
	gateway_freeze(w->g, 1, true, NULL);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_FROZEN);
	gateway_freeze(w->g, 1, false, NULL);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	made(1);
	gateway_freeze(w->g, 1, true, NULL);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_FROZEN);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

/* A played frame that cannot be recorded at its player is not sent, and no
 * record says that it was. */
static void ring_full(void **state)
{
	(void)state;
	world_free(w);
	w = world_empty(NULL);
	static const char *const a0[] = { "192.0.2.10/24", NULL }, *const a1[] = { "192.0.2.11/24", NULL };
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	world_port(w, 0, 0, "pot0", world_mac(0), a0, WORLD_RING);
	world_port(w, 1, 0, "pot1", world_mac(1), a1, RING_MIN);
	for_pot0(add_rule(ACTION_REFLECT, RULE_OUT, "mirror"))->target = 1;
	world_rules(w, 2, &pol, pool, 4);
	w->lax = true;
	for (int i = 0; i < 100; i++)
		FROM(1, .smac = "52:54:00:00:00:77", .dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = ASKED, .proto = 17,
		     .payload = 1400);
	uint64_t before = w->to[1];
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, .payload = 1400);
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_reason(w, REASON_EVIDENCE_FULL);
	assert_int_equal(w->to[1], before);
	world_read(w);
	w->lax = false;
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2, .payload = 1400);
	made(1);
	/* evidence stops reading the player's ring */
	ring_stop(&w->ports[1].ring, -5);
	w->lax = true;
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_EVIDENCE_DOWN);
}

static void budgets(void **state)
{
	(void)state;
	pol.flow.packets = 3;
	sink_all(SINK_AUTO);
	for (int i = 0; i < 3; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
		made(SINK);
	}
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 2);
	assert_dropped(w, REASON_BUDGET_FLOW);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(tcp_on_link),
		T(tcp_on_link6),
		T(tcp_other_network),
		T(inbound),
		T(udp_and_icmp),
		T(fragments),
		T(same_source_port),
		T(sinkhole_ports),
		T(sinkhole6),
		T(sinkhole_only_answers),
		T(sinkhole_without_uplink),
		T(no_third_party),
		T(twin_expires),
		T(table_full),
		T(each_for_the_other),
		T(what_cannot_be_played),
		T(ring_full),
		T(budgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
