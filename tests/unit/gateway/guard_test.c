/* SPDX-License-Identifier: ISC */
/* Invariant 8: a honeypot sends only from what belongs to its port. The policy
 * here allows everything, so that only the guard is in the way. */
#include "tests.h"

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	struct policy all = { .multicast_allow = 1 };
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		all.outbound[i].count = all.lateral[i].count = LIMIT_UNLIMITED;
	w = world_new(2, NULL);
	world_policy(w, 2, &all);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void own_is_let_through(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .dport = 9);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT6, .proto = 17, .dport = 9);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
}

static void mac(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .smac = "52:54:00:00:00:99");
	assert_dropped(w, REASON_SPOOFED_MAC);
	FROM_POT(OUT, .proto = 17, .smac = world_mac(1));
	assert_dropped(w, REASON_SPOOFED_MAC);
	FROM_POT(OUT, .proto = 17, .smac = "ff:ff:ff:ff:ff:ff");
	assert_dropped(w, REASON_SPOOFED_MAC);
	FROM_UP(IN, .proto = 17, .smac = world_mac(1));
	assert_dropped(w, REASON_SPOOFED_MAC);
	FROM_UP(IN, .proto = 17, .smac = "01:00:5e:00:00:01");
	assert_dropped(w, REASON_SPOOFED_MAC);
}

static void addresses(void **state)
{
	(void)state;
	static const char *const bad4[] = { "192.0.2.11", "198.51.100.1", "127.0.0.1", "0.0.0.0", "255.255.255.255" };
	static const char *const bad6[] = { "2001:db8::11", "::", "::1", "fe80::1", "::ffff:192.0.2.10" };
	for (size_t i = 0; i < sizeof(bad4) / sizeof(bad4[0]); i++) {
		FROM_POT(OUT, .proto = 17, .src = bad4[i]);
		assert_dropped(w, REASON_SPOOFED_ADDRESS);
	}
	for (size_t i = 0; i < sizeof(bad6) / sizeof(bad6[0]); i++) {
		FROM_POT(OUT6, .proto = 17, .src = bad6[i]);
		assert_dropped(w, REASON_SPOOFED_ADDRESS);
	}
	/* its own link-local address */
	FROM_POT(OUT6, .proto = 17, .src = "fe80::5054:ff:fe00:10", .dst = "fe80::1");
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_UP(IN, .proto = 17, .src = "192.0.2.11");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
	FROM_UP(IN, .proto = 17, .src = "192.0.2.10");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
	FROM_UP(IN, .proto = 17, .src = "127.0.0.1");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
	FROM_UP(IN, .proto = 17, .src = "224.0.0.1");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
	FROM_UP(IN6, .proto = 17, .src = "2001:db8::11");
	assert_dropped(w, REASON_SPOOFED_ADDRESS);
}

#define ARP .smac = world_mac(0), .dmac = "ff:ff:ff:ff:ff:ff", .src = "192.0.2.10", .dst = "192.0.2.1"

static void arp(void **state)
{
	(void)state;
	FROM_POT(ARP, .arp_op = 1);
	assert_forwarded(w, REASON_RESOLUTION);
	assert_int_equal(w->sent, 2);                 /* uplink and the other honeypot */
	FROM_POT(ARP, .arp_op = 1, .src = "0.0.0.0"); /* is it free? */
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ARP, .arp_op = 2, .dmac = ROUTER_MAC, .arp_tmac = ROUTER_MAC);
	assert_forwarded(w, REASON_RESOLUTION);
	assert_int_equal(w->sent, 1);
	FROM_POT(ARP, .arp_op = 2, .src = "192.0.2.1");
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ARP, .arp_op = 1, .src = "192.0.2.11");
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ARP, .arp_op = 1, .arp_smac = world_mac(1));
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ARP, .arp_op = 2, .src = "0.0.0.0");
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ARP, .arp_op = 1, .dst = "198.51.100.7"); /* off link */
	assert_dropped(w, REASON_DENIED);
	FROM_POT(ARP, .arp_op = 1, .pad = 60);
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ARP, .arp_op = 1, .pad = 61); /* data behind it */
	assert_dropped(w, REASON_MALFORMED);
	FROM_POT(ARP, .arp_op = 3);
	assert_dropped(w, REASON_MALFORMED);
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .arp_op = 2, .src = "192.0.2.11", .dst = "192.0.2.10");
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .arp_op = 1, .src = "192.0.2.1", .dst = "192.0.2.10");
	assert_forwarded(w, REASON_RESOLUTION);
}

#define ND                                                                                                             \
	.smac = world_mac(0), .dmac = "33:33:ff:00:00:01", .src = "2001:db8::10", .dst = "ff02::1:ff00:1", .proto = 58

static void neighbour_discovery(void **state)
{
	(void)state;
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8::1", .nd_lladdr = world_mac(0));
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ND, .icmp_type = ND_NS, .src = "::", .nd_target = "2001:db8::10"); /* DAD */
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ND, .icmp_type = ND_NA, .nd_target = "2001:db8::10", .nd_lladdr = world_mac(0));
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ND, .icmp_type = ND_RS);
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_POT(ND, .icmp_type = ND_NA, .nd_target = "2001:db8::11", .nd_lladdr = world_mac(0));
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ND, .icmp_type = ND_NA, .nd_target = "2001:db8::10", .nd_lladdr = world_mac(1));
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8::1", .nd_lladdr = ROUTER_MAC);
	assert_dropped(w, REASON_SPOOFED_ARP);
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8:9::1", .nd_lladdr = world_mac(0));
	assert_dropped(w, REASON_DENIED);
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8::1", .ttl = 64);
	assert_dropped(w, REASON_MALFORMED);
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8::1", .exts = "d");
	assert_dropped(w, REASON_MALFORMED);
	FROM_POT(ND, .icmp_type = ND_NS, .nd_target = "2001:db8::1", .payload = 200);
	assert_dropped(w, REASON_MALFORMED);
	FROM_POT(ND, .icmp_type = ND_RA);
	assert_dropped(w, REASON_ROUTER_ADVERT);
	FROM_POT(ND, .icmp_type = ND_RA, .exts = "dd");
	assert_dropped(w, REASON_ROUTER_ADVERT);
	FROM_POT(ND, .icmp_type = ND_REDIRECT, .nd_target = "2001:db8::10");
	assert_dropped(w, REASON_REDIRECT);
	FROM_UP(.smac = ROUTER_MAC, .dmac = "33:33:00:00:00:01", .src = "fe80::1", .dst = "ff02::1", .proto = 58,
		.icmp_type = ND_RA);
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .src = "fe80::1", .dst = "2001:db8::10", .proto = 58,
		.icmp_type = ND_NA, .nd_target = "2001:db8::11");
	assert_dropped(w, REASON_SPOOFED_ARP);
}

static void redirects(void **state)
{
	(void)state;
	uint8_t inner[200];
	size_t n = craft(&(struct craft){ IN, .proto = 17, .sport = 53, .dport = 999 }, inner);
	FROM_UP(IN, .proto = 17, .sport = 53, .dport = 999);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 1, .icmp_type = 5, .data = inner + 14, .payload = (uint32_t)n - 14);
	assert_dropped(w, REASON_REDIRECT);
	FROM_POT(OUT, .proto = 1, .icmp_type = 9, .dst = "224.0.0.1", .dmac = "01:00:5e:00:00:01");
	assert_dropped(w, REASON_ROUTER_ADVERT);
}

static void link_protocols(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .vlan = 7);
	assert_dropped(w, REASON_VLAN);
	FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .ethertype = 0x88a8, .payload = 50);
	assert_dropped(w, REASON_VLAN);
	FROM_POT(.smac = world_mac(0), .dmac = "01:80:c2:00:00:0e", .ethertype = 0x88cc, .payload = 50);
	assert_dropped(w, REASON_LINK_LOCAL_PROTOCOL);
	FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .ethertype = 0x88cc, .payload = 50);
	assert_dropped(w, REASON_LINK_LOCAL_PROTOCOL);
	FROM_POT(.smac = world_mac(0), .dmac = "01:80:c2:00:00:00", .ethertype = 38, .payload = 38); /* STP */
	assert_dropped(w, REASON_LINK_LOCAL_PROTOCOL);
	FROM_POT(.smac = world_mac(0), .dmac = "01:80:c2:00:00:01", .ethertype = 0x8808, .payload = 46);
	assert_dropped(w, REASON_LINK_LOCAL_PROTOCOL);
	FROM_POT(OUT, .proto = 17, .dmac = "01:80:c2:00:00:00");
	assert_dropped(w, REASON_LINK_LOCAL_PROTOCOL);
	FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .ethertype = 0x86dc, .payload = 46);
	assert_dropped(w, REASON_ETHERTYPE);
	FROM_UP(IN, .proto = 17, .vlan = 7);
	assert_dropped(w, REASON_VLAN);
	FROM_UP(.smac = ROUTER_MAC, .dmac = world_mac(0), .ethertype = 0x9000, .payload = 50);
	assert_dropped(w, REASON_ETHERTYPE);
}

static void dhcp(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .sport = 67, .dport = 68);
	assert_dropped(w, REASON_DHCP_SERVER);
	FROM_POT(OUT, .proto = 17, .sport = 67, .dport = 9999);
	assert_dropped(w, REASON_DHCP_SERVER);
	FROM_POT(OUT, .proto = 17, .sport = 9999, .dport = 68, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "255.255.255.255");
	assert_dropped(w, REASON_DHCP_SERVER);
	FROM_POT(OUT6, .proto = 17, .sport = 547, .dport = 546);
	assert_dropped(w, REASON_DHCP_SERVER);
	/* a client without an address is no spoofer */
	FROM_POT(OUT, .proto = 17, .sport = 68, .dport = 67, .src = "0.0.0.0", .dst = "255.255.255.255",
		 .dmac = "ff:ff:ff:ff:ff:ff");
	assert_forwarded(w, REASON_OUTBOUND);
}

static void far_enough(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .dport = 9, .ttl = 1);
	assert_dropped(w, REASON_TTL);
	FROM_POT(OUT6, .proto = 17, .dport = 9, .ttl = 1);
	assert_dropped(w, REASON_TTL);
	FROM_POT(OUT, .proto = 17, .dport = 9, .ttl = 2);
	assert_forwarded(w, REASON_OUTBOUND);
	/* on the link that is enough */
	FROM_POT(OUT, .proto = 17, .dport = 9, .ttl = 1, .dst = "192.0.2.1");
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT, .proto = 17, .dport = 1900, .ttl = 1, .dst = "239.255.255.250", .dmac = "01:00:5e:7f:ff:fa");
	assert_forwarded(w, REASON_OUTBOUND);
}

/* A broadcast frame with a packet for one in it passes by whoever looks at MACs. */
static void for_one_to_all(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .dport = 9, .dmac = "ff:ff:ff:ff:ff:ff");
	assert_dropped(w, REASON_MULTICAST);
	FROM_POT(OUT6, .proto = 17, .dport = 9, .dmac = "33:33:00:00:00:01");
	assert_dropped(w, REASON_MULTICAST);
	FROM_POT(OUT, .proto = 17, .dport = 9, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.11");
	assert_dropped(w, REASON_MULTICAST);
	FROM_POT(OUT, .proto = 17, .dport = 137, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255");
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_UP(IN, .proto = 17, .dport = 9, .dmac = "ff:ff:ff:ff:ff:ff");
	assert_dropped(w, REASON_MULTICAST);
	FROM_UP(IN6, .proto = 6, .dport = 9, .flags = TCP_SYN, .dmac = "33:33:00:00:00:01");
	assert_dropped(w, REASON_MULTICAST);
}

static void group_queries(void **state)
{
	(void)state;
	static const uint8_t query[8] = { 0x11, 10, 0xee, 0xf5 }, report[8] = { 0x16, 0, 0, 0 };
	FROM_POT(OUT, .proto = 2, .dst = "224.0.0.1", .dmac = "01:00:5e:00:00:01", .ttl = 1, .options = "94040000",
		 .payload = 8, .data = query);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 2, .dst = "224.0.0.22", .dmac = "01:00:5e:00:00:16", .ttl = 1, .options = "94040000",
		 .payload = 8, .data = report);
	assert_true(w->reason != REASON_TTL && w->reason != REASON_EXTENSION && w->reason != REASON_MALFORMED);
	FROM_POT(OUT6, .proto = 58, .icmp_type = 130, .dst = "ff02::1", .dmac = "33:33:00:00:00:01", .exts = "h",
		 .payload = 20);
	assert_dropped(w, REASON_DENIED);
}

/* From beyond the link, in fragments, behind headers: what stacks ignore, or should. */
static void resolution_from_afar(void **state)
{
	(void)state;
#define NS .proto = 58, .icmp_type = 135, .nd_target = "2001:db8::10", .nd_lladdr = ROUTER_MAC
	FROM_UP(IN6, NS);
	assert_forwarded(w, REASON_RESOLUTION);
	FROM_UP(IN6, NS, .ttl = 64);
	assert_dropped(w, REASON_MALFORMED);
	FROM_UP(IN6, NS, .exts = "d");
	assert_dropped(w, REASON_MALFORMED);
	FROM_UP(IN6, NS, .fragment = true);
	assert_dropped(w, REASON_MALFORMED);
	FROM_UP(IN6, .proto = 58, .icmp_type = 134, .ttl = 254, .src = "fe80::1", .dst = "ff02::1",
		.dmac = "33:33:00:00:00:01", .payload = 8);
	assert_dropped(w, REASON_MALFORMED);
}

/* The tables of MACs and addresses are the operator's: no frame changes them. */
static void nothing_is_learned(void **state)
{
	(void)state;
	char mac[18];
	for (int i = 0; i < 5000; i++) {
		snprintf(mac, sizeof(mac), "52:54:01:00:%02x:%02x", i >> 8 & 255, i & 255);
		FROM_POT(OUT, .proto = 17, .smac = mac);
		assert_dropped(w, REASON_SPOOFED_MAC);
	}
	FROM_UP(IN, .proto = 17, .dmac = mac);
	assert_dropped(w, REASON_NO_PORT);
	FROM_UP(IN, .proto = 17);
	assert_forwarded(w, REASON_INBOUND);
	assert_int_equal(w->sent_to, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_is_let_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(mac, set_up, tear_down),
		cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(arp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(neighbour_discovery, set_up, tear_down),
		cmocka_unit_test_setup_teardown(redirects, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_protocols, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dhcp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_learned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(far_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(for_one_to_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(group_queries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(resolution_from_afar, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
