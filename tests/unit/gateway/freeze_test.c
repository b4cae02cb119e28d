/* SPDX-License-Identifier: ISC */
/* Frozen: nothing passes, whatever the policy and the flows say, and all of it
 * is recorded (world.c looks at every frame). Thawed: all goes on. */
#include "tests.h"

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	struct policy p = { .multicast_allow = 1 };
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++)
		p.outbound[i].count = p.lateral[i].count = LIMIT_UNLIMITED;
	w = world_new(3, NULL);
	world_policy(w, 3, &p);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void freeze(unsigned port, bool frozen)
{
	assert_int_equal(gateway_freeze(w->g, (uint16_t)port, frozen, NULL), 0);
}

/* From honeypot 1 to honeypot 0, and from 1 to the outside. */
#define FROM_ONE(...) world_send(w, 1, &(struct craft){ .smac = world_mac(1), __VA_ARGS__ })
#define ONE_TO_POT .dmac = world_mac(0), .src = "192.0.2.11", .dst = "192.0.2.10"

static void establish(void)
{
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_UP(IN, .proto = 17, .sport = 53, .dport = 5000);
	assert_forwarded(w, REASON_REPLY);
	FROM_ONE(ONE_TO_POT, .proto = 17, .sport = 6000, .dport = 7000);
	assert_forwarded(w, REASON_LATERAL);
}

/* Frames that pass if nothing is frozen: of known flows, new ones, ARP and ND. */
static void expect(enum verdict want)
{
#define SEE(send)                                                                                                      \
	do {                                                                                                           \
		send;                                                                                                  \
		if (want == VERDICT_DROP)                                                                              \
			assert_dropped(w, REASON_FROZEN);                                                              \
		else                                                                                                   \
			assert_int_equal(w->verdict, VERDICT_FORWARD);                                                 \
	} while (0)
	SEE(FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK, .payload = 9));
	SEE(FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 9));
	SEE(FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53));
	SEE(FROM_UP(IN, .proto = 17, .sport = 53, .dport = 5000));
	SEE(FROM_UP(IN, .proto = 6, .sport = 4444, .dport = 22, .flags = TCP_SYN));
	SEE(FROM_POT(OUT, .proto = 6, .sport = 4445, .dport = 80, .flags = TCP_SYN));
	SEE(FROM_UP(IN6, .proto = 6, .sport = 4444, .dport = 22, .flags = TCP_SYN));
	SEE(FROM_POT(OUT6, .proto = 17, .sport = 4444, .dport = 53));
	SEE(FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 3));
	SEE(FROM_POT(OUT, .proto = 47, .payload = 9));
	SEE(FROM_POT(OUT, .proto = 17, .sport = 5353, .dport = 5353, .dmac = "01:00:5e:00:00:fb",
		     .dst = "224.0.0.251"));
	/* resolution: its question, its answer, the question for it, the answer to it */
	SEE(FROM_POT(.smac = world_mac(0), .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.10",
		     .dst = "192.0.2.1"));
	SEE(FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .arp_op = 2, .src = "192.0.2.10", .dst = "192.0.2.1"));
	SEE(FROM_UP(.smac = ROUTER_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.1",
		    .dst = "192.0.2.10"));
	SEE(FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .arp_op = 2, .src = "192.0.2.1", .dst = "192.0.2.10"));
	SEE(FROM_POT(.smac = world_mac(0), .dmac = "33:33:ff:00:00:01", .src = "2001:db8::10", .dst = "ff02::1:ff00:1",
		     .proto = 58, .icmp_type = ND_NS, .nd_target = "2001:db8::1"));
	SEE(FROM_UP(.smac = ROUTER_MAC, .dmac = "33:33:ff:00:00:10", .src = "2001:db8::1", .dst = "ff02::1:ff00:10",
		    .proto = 58, .icmp_type = ND_NS, .nd_target = "2001:db8::10"));
	SEE(FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .src = "2001:db8::1", .dst = "2001:db8::10", .proto = 58,
		    .icmp_type = ND_NA, .nd_target = "2001:db8::1"));
	/* lateral: straight, by way of the router, and resolution */
	SEE(FROM_ONE(ONE_TO_POT, .proto = 17, .sport = 6000, .dport = 7000));
	SEE(FROM_ONE(ONE_TO_POT, .proto = 6, .sport = 6001, .dport = 22, .flags = TCP_SYN));
	SEE(FROM_ONE(.dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = "192.0.2.10", .proto = 17, .dport = 9));
	SEE(FROM_ONE(.dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.11", .dst = "192.0.2.10"));
	SEE(FROM_POT(OUT, .proto = 17, .sport = 7000, .dport = 6000, .dmac = world_mac(1), .dst = "192.0.2.11"));
}

static void others_pass(void)
{
	FROM_ONE(.dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = "198.51.100.7", .proto = 17, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_ONE(.dmac = world_mac(2), .src = "192.0.2.11", .dst = "192.0.2.12", .proto = 17, .dport = 53);
	assert_forwarded(w, REASON_LATERAL);
	FROM_UP(IN, .dmac = world_mac(1), .dst = "192.0.2.11", .proto = 17, .dport = 99);
	assert_forwarded(w, REASON_INBOUND);
}

static void frozen_honeypot(void **state)
{
	(void)state;
	establish();
	freeze(0, true);
	freeze(0, true); /* twice is once */
	expect(VERDICT_DROP);
	others_pass();
	/* What goes to all reaches the others only. */
	uint64_t before = w->to[0];
	FROM_UP(IN, .proto = 17, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255", .dport = 137);
	assert_int_equal(w->sent, 2);
	assert_int_equal(w->to[0], before);
	uint32_t flows = w->g->flows.count;
	freeze(0, false);
	assert_int_equal(w->g->flows.count, flows); /* known all the time */
	expect(VERDICT_FORWARD);
}

static void frozen_honeynet(void **state)
{
	(void)state;
	establish();
	freeze(GW_FREEZE_ALL, true);
	expect(VERDICT_DROP);
	FROM_ONE(.dmac = ROUTER_MAC, .src = "192.0.2.11", .dst = "198.51.100.7", .proto = 17, .dport = 53);
	assert_dropped(w, REASON_FROZEN);
	FROM_UP(IN, .proto = 17, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255", .dport = 137);
	assert_dropped(w, REASON_FROZEN);
	/* The honeypot's own switch and that of all do not undo each other. */
	freeze(0, false);
	expect(VERDICT_DROP);
	freeze(0, true);
	freeze(GW_FREEZE_ALL, false);
	expect(VERDICT_DROP);
	others_pass();
	freeze(0, false);
	expect(VERDICT_FORWARD);
}

/* A conversation that waited out the freeze goes on as the one that it was. */
static void same_flow(void **state)
{
	(void)state;
	establish();
	freeze(0, true);
	world_pass(w, 60 * SEC);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK, .payload = 9);
	assert_dropped(w, REASON_FROZEN);
	freeze(0, false);
	/* Without its flow this would be no reply. */
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 9);
	assert_forwarded(w, REASON_REPLY);
	gateway_port_del(w->g, 0, NULL);
	world_read(w);
	bool found = false;
	for (unsigned i = 0; i < w->nflows; i++) {
		const struct ring_flow *f = &w->flows[i].f;
		found |= f->src_port == 4000 && f->dst_port == 22 && f->pkts_toserver == 2 && f->pkts_toclient == 2;
	}
	assert_true(found);
}

static void first_reason_wins(void **state)
{
	(void)state;
	freeze(0, true);
	FROM_POT(OUT, .proto = 17, .bad_ip_sum = true);
	assert_dropped(w, REASON_CHECKSUM);
	FROM_POT(OUT, .proto = 17, .src = "192.0.2.99");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
	FROM_POT(OUT, .proto = 17, .cut = 20);
	assert_dropped(w, REASON_MALFORMED);
	/* and frozen is before what control would say */
	world_policy(w, 3, NULL);
	FROM_POT(OUT, .proto = 17, .dport = 53);
	assert_dropped(w, REASON_FROZEN);
}

/* Nothing of what is dropped uses up a limit. */
static void charges_nothing(void **state)
{
	(void)state;
	struct policy p = { 0 };
	p.outbound[LIMIT_CLASS_UDP] = (struct limit){ 1, 60 };
	world_policy(w, 3, &p);
	freeze(0, true);
	for (uint16_t i = 0; i < 5; i++) {
		FROM_POT(OUT, .proto = 17, .sport = i, .dport = 53);
		assert_dropped(w, REASON_FROZEN);
	}
	freeze(0, false);
	FROM_POT(OUT, .proto = 17, .sport = 9, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
}

/* The port of a machine that starts again comes back frozen, before anybody says
 * so; another honeypot in its place is not. */
static void outlives_the_port(void **state)
{
	(void)state;
	static const char *const addrs[] = { "192.0.2.10/24", NULL };
	freeze(0, true);
	world_port_del(w, 0);
	world_port(w, 0, 0, "pot0", world_mac(0), addrs, WORLD_RING);
	FROM_POT(OUT, .proto = 17, .dport = 53);
	assert_dropped(w, REASON_FROZEN);
	world_port_del(w, 0);
	world_port(w, 0, 0, "other", world_mac(0), addrs, WORLD_RING);
	FROM_POT(OUT, .proto = 17, .dport = 53);
	assert_dropped(w, REASON_NO_POLICY);
}

/* A datagram is judged when it is whole: what froze meanwhile does not pass. */
static void fragments(void **state)
{
	(void)state;
	static uint8_t whole[CRAFT_MAX], buf[CRAFT_MAX];
	struct craft_piece piece[2];
	size_t n = craft(&(struct craft){ OUT, .proto = 17, .sport = 1, .dport = 2, .payload = 1500 }, whole);
	for (uint32_t id = 7; id < 9; id++) {
		craft_fragments(whole, n, id, 1000, buf, sizeof(buf), piece, 2);
		world_frame(w, 0, piece[0].p, piece[0].n);
		assert_reason(w, REASON_QUEUED);
		if (id == 8)
			assert_int_equal(gateway_freeze(w->g, 0, true, NULL), 0);
		world_frame(w, 0, piece[1].p, piece[1].n);
		assert_int_equal(w->sent, id == 7 ? 2 : 0);
	}
	assert_dropped(w, REASON_FROZEN);
}

static void bad_ports(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(gateway_freeze(w->g, 3, true, &e), -ENOENT);
	assert_int_equal(gateway_freeze(w->g, WORLD_UPLINK, true, &e), -ENOENT);
	assert_int_equal(gateway_freeze(w->g, 60000, true, &e), -ENOENT);
	others_pass();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(frozen_honeypot), T(frozen_honeynet),   T(same_flow), T(first_reason_wins),
		T(charges_nothing), T(outlives_the_port), T(fragments), T(bad_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
