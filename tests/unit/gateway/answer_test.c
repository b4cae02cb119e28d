/* SPDX-License-Identifier: ISC */
/* Refusals: what the sender is told, and that nothing goes on. */
#include "play_fixture.h"

static const uint8_t hello[] = "EHLO mail.example\r\n";
#define HELLO .payload = sizeof(hello) - 1, .data = hello

static void reset_all(uint8_t directions)
{
	add_rule(ACTION_RESET, directions, "no");
	in_force();
}

/* RFC 9293 3.10.7.1, CLOSED. */
static void reset_tcp(void **state)
{
	(void)state;
	pol.outbound[LIMIT_CLASS_TCP] = (struct limit){ LIMIT_UNLIMITED, 0 };
	in_force();
	FROM_POT(OUT, .proto = 6, .sport = 4002, .dport = 80, .flags = TCP_SYN, .seq = 5);
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 4002, .flags = TCP_SYN | TCP_ACK, .seq = 0x80000000u, .ack = 6);
	w->to[WORLD_UPLINK] = 0;
	reset_all(RULE_OUT);
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 1000, .payload = 10,
		 .tcp_options = "22020101");
	assert_verdict(VERDICT_RESET, REASON_RULE);
	struct wire x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), ASKED, 80, "192.0.2.10", 4000);
	assert_int_equal(x.flags, TCP_RST | TCP_ACK);
	assert_int_equal(x.seq, 0);
	assert_int_equal(x.ack, 1011);
	assert_int_equal(x.window, 0);
	assert_int_equal(w->made_n, 54);
	assert_true(x.df && x.ip_id == 0);
	assert_in_range(x.ttl, 40, 60);
	uint8_t ttl = x.ttl;
	FROM_POT(OUT, .proto = 6, .sport = 4001, .dport = 80, .flags = TCP_SYN, .seq = 0xffffffff);
	x = made(0);
	assert_int_equal(x.ack, 0); /* it wraps */
	assert_int_equal(x.ttl, ttl);
	FROM_POT(OUT6, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 1000);
	x = made(0);
	assert_ends(x, ROUTER_MAC, world_mac(0), "2001:db8:9::7", 80, "2001:db8::10", 4000);
	assert_int_equal(x.ack, 1001);
	assert_int_equal(w->made_n, 74);
	/* with an ACK: the sequence that the sender expects */
	FROM_POT(OUT, .proto = 6, .sport = 4002, .dport = 80, .flags = TCP_ACK, .seq = 6, .ack = 0x80000001u,
		 .payload = 100);
	x = made(0);
	assert_int_equal(x.flags, TCP_RST);
	assert_int_equal(x.seq, 0x80000001u);
	assert_int_equal(x.ack, 0);
	/* never to an RST */
	FROM_POT(OUT, .proto = 6, .sport = 4003, .dport = 80, .flags = TCP_RST, .seq = 5);
	assert_int_equal(w->made, 0);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
	/* and it is told, with the rule */
	world_pass(w, 40 * SEC);
	const struct ring_flow *f = world_flow(w, FLOW_END_DENIED);
	assert_non_null(f);
	assert_int_equal(f->verdict, VERDICT_RESET);
	assert_int_equal(f->rule, 0);
	assert_string_equal(w->rules[0][0], "no");
}

static void reset_udp(void **state)
{
	(void)state;
	struct wire q;
	reset_all(RULE_OUT);
	FROM_POT(OUT, .proto = 17, .sport = 4000, .dport = 161, .ttl = 64, HELLO);
	assert_verdict(VERDICT_RESET, REASON_RULE);
	struct wire x = made(0);
	assert_string_equal(x.src, ASKED);
	assert_int_equal(x.icmp_type, 3);
	assert_int_equal(x.icmp_code, 3);
	assert_int_equal(x.tos, 0xc0);
	assert_null(wire_quoted(w->made_bytes, &x, &q, false));
	assert_string_equal(q.dst, ASKED);
	assert_int_equal(q.dport, 161);
	assert_int_equal(q.ttl, x.ttl); /* both went the same way */
	FROM_POT(OUT6, .proto = 17, .sport = 4000, .dport = 161, .payload = 1400);
	x = made(0);
	assert_int_equal(x.icmp_type, 1);
	assert_int_equal(x.icmp_code, 4);
	assert_int_equal(w->made_n, 14 + 1280);
	assert_null(wire_quoted(w->made_bytes, &x, &q, true));
	FROM_POT(OUT, .proto = 17, .sport = 4000, .dport = 161, .payload = 1400);
	made(0);
	assert_int_equal(w->made_n, 14 + 576);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

/* Six at once, then one a second; another destination has its own. */
static void reset_udp_rate(void **state)
{
	(void)state;
	reset_all(RULE_OUT);
	unsigned n = 0;
	for (uint16_t i = 0; i < 50; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 4000 + i, .dport = 161);
		n += w->made;
	}
	assert_int_equal(n, 6);
	FROM_POT(OUT, .dst = "198.51.100.8", .proto = 17, .sport = 1, .dport = 161);
	assert_int_equal(w->made, 1);
	for (n = 0; n < 5; n++) {
		world_pass(w, SEC);
		FROM_POT(OUT, .proto = 17, .sport = 4000, .dport = 161);
		assert_int_equal(w->made, 1);
		FROM_POT(OUT, .proto = 17, .sport = 4000, .dport = 161);
		assert_int_equal(w->made, 0);
	}
}

static void reset_uplink(void **state)
{
	(void)state;
	reset_all(RULE_IN);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN, .seq = 9);
	struct wire x = made(WORLD_UPLINK);
	assert_ends(x, world_mac(0), ROUTER_MAC, "192.0.2.10", 22, ASKED, 4000);
	assert_int_equal(x.ttl, 64);
	assert_int_equal(x.ack, 10);
	/* what is refused to a honeypot says nothing to the outside */
	pool->nrules = 0;
	reset_all(RULE_OUT);
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 4000, .flags = TCP_SYN | TCP_ACK, .seq = 9, .ack = 8);
	assert_int_equal(w->made, 0);
}

static void reset_silent(void **state)
{
	(void)state;
	reset_all(RULE_OUT);
	FROM_POT(OUT, .proto = 1, .icmp_type = 8, .payload = 8);
	assert_int_equal(w->made, 0);
	FROM_POT(OUT, .proto = 47, .payload = 8);
	assert_int_equal(w->made, 0);
	FROM_POT(OUT, .dmac = "01:00:5e:00:00:09", .dst = "224.0.0.9", .proto = 17, .sport = 1, .dport = 520);
	assert_int_equal(w->made, 0);
	/* not recorded: not answered */
	w->lax = true;
	ring_stop(&w->ports[0].ring, -5);
	uint64_t before = w->to[0];
	FROM_POT(OUT, .proto = 6, .sport = 4000, .dport = 80, .flags = TCP_SYN, .seq = 1000);
	assert_int_equal(w->to[0], before);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(reset_tcp), T(reset_udp), T(reset_udp_rate), T(reset_uplink), T(reset_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
