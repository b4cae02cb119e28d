/* SPDX-License-Identifier: ISC */
#include "tests.h"

#include "proc/gateway/hold.h"
#include "wire.h"

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	w = world_new(3, NULL);
	world_policy(w, 3, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

#define CLIENT IN, .proto = 6, .sport = 4000, .dport = 6667
#define SERVER OUT, .proto = 6, .sport = 6667, .dport = 4000
#define FIRST (CRAFT_ISN + 1)

static void connect_to_it(const char *syn_options, const char *options)
{
	FROM_UP(CLIENT, .flags = TCP_SYN, .tcp_options = syn_options);
	FROM_POT(SERVER, .flags = TCP_SYN | TCP_ACK, .tcp_options = syn_options);
	FROM_UP(CLIENT, .flags = TCP_ACK, .tcp_options = options);
	assert_forwarded(w, REASON_INBOUND);
}

static void hold(bool held)
{
	hold_set(w->g, &w->g->ports[0], held);
}

static void assert_held(void)
{
	assert_dropped(w, REASON_HELD);
}

/* An acknowledgement with these numbers and no window, to the sender of the last frame. */
static void assert_kept(uint32_t seq, uint32_t ack)
{
	struct wire x;
	assert_held();
	assert_int_equal(w->made, 1);
	assert_int_equal(w->made_to, WORLD_UPLINK);
	const char *wrong = wire_read(w->made_bytes, w->made_n, &x);
	if (wrong)
		fail_msg("%s", wrong);
	assert_string_equal(x.smac, world_mac(0));
	assert_string_equal(x.dmac, ROUTER_MAC);
	assert_string_equal(x.src, "192.0.2.10");
	assert_string_equal(x.dst, "198.51.100.7");
	assert_int_equal(x.sport, 6667);
	assert_int_equal(x.dport, 4000);
	assert_int_equal(x.flags, TCP_ACK);
	assert_int_equal(x.window, 0);
	assert_int_equal(x.seq, seq);
	assert_int_equal(x.ack, ack);
	assert_int_equal(x.ttl, 64);
}

static void connections(void **state)
{
	(void)state;
	connect_to_it(NULL, NULL);
	FROM_UP(CLIENT, .flags = TCP_ACK, .payload = 100);
	FROM_POT(SERVER, .flags = TCP_ACK, .payload = 300);
	FROM_UP(CLIENT, .flags = TCP_ACK, .payload = 50); /* not yet acknowledged */
	assert_forwarded(w, REASON_INBOUND);
	hold(true);
	/* New data, the old again, keep-alive, probes, FIN. */
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 150, .ack = FIRST + 300, .payload = 10);
	assert_kept(FIRST + 300, FIRST + 100);
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 100, .ack = FIRST + 300, .payload = 50);
	assert_kept(FIRST + 300, FIRST + 100);
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 99, .ack = FIRST + 300);
	assert_kept(FIRST + 300, FIRST + 100);
	FROM_UP(CLIENT, .flags = TCP_ACK | TCP_FIN, .seq = FIRST + 150, .ack = FIRST + 300);
	assert_kept(FIRST + 300, FIRST + 100);
	/* What asks for nothing gets nothing. */
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 100, .ack = FIRST + 300);
	assert_held();
	assert_int_equal(w->made, 0);
	FROM_UP(CLIENT, .flags = TCP_RST, .seq = FIRST + 150);
	assert_held();
	assert_int_equal(w->made, 0);
	/* For hours, while nothing comes. */
	world_pass(w, 9000 * SEC);
	assert_int_equal(w->g->flows.count, 1);
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 99, .ack = FIRST + 300);
	assert_kept(FIRST + 300, FIRST + 100);
	/* It runs again: as if nothing had been. */
	hold(false);
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = FIRST + 100, .ack = FIRST + 300, .payload = 60);
	assert_forwarded(w, REASON_INBOUND);
	assert_int_equal(w->made, 0);
	FROM_POT(SERVER, .flags = TCP_ACK, .seq = FIRST + 300, .ack = FIRST + 160, .payload = 9);
	assert_forwarded(w, REASON_REPLY);
	/* It is idle from now on. */
	world_pass(w, 7400 * SEC);
	assert_int_equal(w->g->flows.count, 1);
	world_pass(w, 300 * SEC);
	assert_int_equal(w->g->flows.count, 0);
}

static void stamps(void **state)
{
	(void)state;
	struct wire x;
	connect_to_it("0204ffff0101080a0000006400000000", "0101080a0000006500000064");
	FROM_POT(SERVER, .flags = TCP_ACK, .payload = 20, .tcp_options = "0101080a0000077700000065");
	hold(true);
	FROM_UP(CLIENT, .flags = TCP_ACK, .payload = 20, .tcp_options = "0101080a0000222200000777");
	assert_kept(FIRST + 20, FIRST);
	assert_null(wire_read(w->made_bytes, w->made_n, &x));
	/* The machine's last value, whatever the time; the other's latest. */
	static const uint8_t want[12] = { 1, 1, 8, 10, 0, 0, 7, 0x77, 0, 0, 0x22, 0x22 };
	assert_int_equal(w->made_n, 14 + 20 + 32);
	assert_memory_equal(w->made_bytes + 14 + 20 + 20, want, 12);
}

static void nothing_new(void **state)
{
	(void)state;
	FROM_UP(CLIENT, .sport = 4001, .flags = TCP_SYN); /* half open */
	hold(true);
	FROM_UP(CLIENT, .sport = 4001, .flags = TCP_SYN);
	assert_held();
	assert_int_equal(w->made, 0);
	FROM_UP(CLIENT, .flags = TCP_SYN);
	assert_held();
	assert_int_equal(w->made, 0);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53, .payload = 30);
	assert_held();
	assert_int_equal(w->made, 0);
	FROM_UP(IN, .proto = 1, .icmp_type = 8, .icmp_id = 1);
	assert_held();
	assert_int_equal(w->made, 0);
	FROM_UP(CLIENT, .flags = TCP_ACK, .seq = 7, .ack = 8, .payload = 9);
	assert_dropped(w, REASON_TCP_STATE);
	assert_int_equal(w->made, 0);
	/* Others are not held. */
	FROM_UP(IN, .dmac = world_mac(1), .dst = "192.0.2.11", .proto = 1, .icmp_type = 8, .icmp_id = 1);
	assert_forwarded(w, REASON_INBOUND);
	/* A new machine in its place is not. */
	world_port_del(w, 0);
	assert_false(w->g->any_held);
}

static void resolution(void **state)
{
	(void)state;
	static const uint8_t want[28] = { 0,   1, 8, 0,  6, 4, 0, 2, 0x52, 0x54, 0,   0, 0, 0x10,
					  192, 0, 2, 10, 2, 0, 0, 0, 0,    1,    192, 0, 2, 1 };
	hold(true);
	FROM_UP(.smac = ROUTER_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.1", .dst = "192.0.2.10");
	assert_int_equal(w->verdict, VERDICT_FORWARD);
	assert_int_equal(w->sent, 2); /* the others hear it, it does not */
	assert_int_equal(w->made, 1);
	assert_int_equal(w->made_to, WORLD_UPLINK);
	assert_int_equal(w->made_n, 42);
	assert_memory_equal(w->made_bytes + 14, want, 28);
	assert_int_equal(w->to[0], 0);
	FROM_UP(.smac = ROUTER_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.1", .dst = "192.0.2.11");
	assert_int_equal(w->made, 0); /* another one's */
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .arp_op = 1, .src = "192.0.2.1", .dst = "192.0.2.10");
	assert_held(); /* a router that makes sure */
	assert_int_equal(w->made, 1);
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .arp_op = 2, .src = "192.0.2.1", .dst = "192.0.2.10");
	assert_held();
	assert_int_equal(w->made, 0);
	/* A honeypot that asks for its neighbour. */
	world_send(w, 1,
		   &(struct craft){ .smac = world_mac(1),
				    .dmac = "ff:ff:ff:ff:ff:ff",
				    .arp_op = 1,
				    .src = "192.0.2.11",
				    .dst = "192.0.2.10" });
	assert_int_equal(w->made, 1);
	assert_int_equal(w->made_to, 1);
	/* IPv6. */
	FROM_UP(.smac = ROUTER_MAC, .dmac = "33:33:ff:00:00:10", .src = "2001:db8::1", .dst = "ff02::1:ff00:10",
		.proto = 58, .icmp_type = 135, .nd_target = "2001:db8::10", .nd_lladdr = ROUTER_MAC);
	assert_int_equal(w->made, 1);
	assert_int_equal(w->made_to, WORLD_UPLINK);
	static uint8_t na[CRAFT_MAX];
	size_t n = craft(&(struct craft){ .smac = world_mac(0),
					  .dmac = ROUTER_MAC,
					  .src = "2001:db8::10",
					  .dst = "2001:db8::1",
					  .proto = 58,
					  .icmp_type = 136,
					  .nd_target = "2001:db8::10",
					  .nd_lladdr = world_mac(0) },
			 na);
	assert_int_equal(w->made_n, n);
	assert_int_equal(w->made_bytes[14 + 40 + 4], 0x60);
	struct wire x;
	assert_null(wire_read(w->made_bytes, w->made_n, &x));
	/* Like the crafted one but for its flags, which the checksum has in it. */
	w->made_bytes[14 + 40 + 4] = 0;
	memcpy(na + 14 + 40 + 2, w->made_bytes + 14 + 40 + 2, 2);
	assert_memory_equal(w->made_bytes, na, n);
	assert_int_equal(w->to[0], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(connections),
		T(stamps),
		T(nothing_new),
		T(resolution),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
