/* SPDX-License-Identifier: ISC */
#include "tests.h"

static struct world *w;

static struct policy policy_with(unsigned class, uint32_t count, uint32_t seconds)
{
	struct policy p = { 0 };
	p.outbound[class] = (struct limit){ count, seconds };
	return p;
}

static int set_up(void **state)
{
	(void)state;
	w = world_new(2, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void without_policy_nothing(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17);
	assert_dropped(w, REASON_NO_POLICY);
	FROM_UP(IN, .proto = 17);
	assert_dropped(w, REASON_NO_POLICY);
	FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .arp_op = 2, .src = "192.0.2.10", .dst = "192.0.2.1");
	assert_dropped(w, REASON_NO_POLICY);
	world_policy(w, 1, NULL); /* only the first one */
	FROM_UP(IN, .proto = 17, .dmac = world_mac(1), .dst = "192.0.2.11");
	assert_dropped(w, REASON_NO_POLICY);
}

/* All zero: inbound and its replies, nothing else. */
static void safe_default(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4001, .flags = TCP_SYN | TCP_ACK);
	assert_dropped(w, REASON_NO_FLOW);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN);
	assert_dropped(w, REASON_NO_FLOW); /* no reply begins with a SYN */
	FROM_POT(OUT, .proto = 6, .sport = 999, .dport = 80, .flags = TCP_SYN);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 17, .sport = 999, .dport = 53);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 1, .icmp_type = 8);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 47, .payload = 9);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 17, .dmac = world_mac(1), .dst = "192.0.2.11");
	assert_dropped(w, REASON_DENIED_LATERAL);
	FROM_POT(OUT, .proto = 17, .dst = "192.0.2.11"); /* by way of the router */
	assert_dropped(w, REASON_DENIED_LATERAL);
	FROM_POT(OUT, .proto = 17, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255");
	assert_dropped(w, REASON_MULTICAST);
	FROM_POT(OUT, .proto = 2, .dmac = "01:00:5e:00:00:16", .dst = "224.0.0.22", .payload = 8);
	assert_dropped(w, REASON_MULTICAST);
}

static void tcp_limit(void **state)
{
	(void)state;
	struct policy p = policy_with(LIMIT_CLASS_TCP, 3, 60);
	world_policy(w, 2, &p);
	for (uint16_t i = 0; i < 3; i++) {
		FROM_POT(OUT, .proto = 6, .sport = 1000 + i, .dport = 80, .flags = TCP_SYN);
		assert_forwarded(w, REASON_OUTBOUND);
		FROM_POT(OUT, .proto = 6, .sport = 1000 + i, .dport = 80, .flags = TCP_SYN); /* again: no new count */
		assert_forwarded(w, REASON_OUTBOUND);
	}
	for (uint16_t i = 3; i < 50; i++) {
		FROM_POT(OUT, .proto = 6, .sport = 1000 + i, .dport = 80, .flags = TCP_SYN);
		assert_dropped(w, REASON_LIMIT_TCP); /* and uses up nothing */
	}
	FROM_POT(OUT, .proto = 17, .dport = 53);
	assert_dropped(w, REASON_DENIED); /* its own class */
	/* the allowed ones go on */
	FROM_UP(IN, .proto = 6, .sport = 80, .dport = 1001, .flags = TCP_SYN | TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
	FROM_POT(OUT, .proto = 6, .sport = 1001, .dport = 80, .flags = TCP_ACK, .payload = 100);
	assert_forwarded(w, REASON_OUTBOUND);
	world_pass(w, 60 * SEC);
	FROM_POT(OUT, .proto = 6, .sport = 2000, .dport = 80, .flags = TCP_SYN);
	assert_dropped(w, REASON_LIMIT_TCP);
	world_pass(w, 1);
	FROM_POT(OUT, .proto = 6, .sport = 2000, .dport = 80, .flags = TCP_SYN);
	assert_forwarded(w, REASON_OUTBOUND);
}

static void tcp_begins_with_syn(void **state)
{
	(void)state;
	struct policy p = policy_with(LIMIT_CLASS_TCP, LIMIT_UNLIMITED, 0);
	world_policy(w, 2, &p);
	static const uint8_t flags[] = { TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST, TCP_FIN | TCP_ACK, TCP_RST | TCP_ACK };
	for (size_t i = 0; i < sizeof(flags); i++) {
		FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = flags[i], .payload = 10);
		assert_dropped(w, REASON_NO_FLOW);
	}
	FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_SYN);
	assert_forwarded(w, REASON_OUTBOUND);
	/* no flood on one allowed attempt */
	FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_ACK, .payload = 10);
	assert_dropped(w, REASON_TCP_STATE);
	for (int i = 0; i < 7; i++) {
		FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_SYN);
		assert_forwarded(w, REASON_OUTBOUND);
	}
	FROM_POT(OUT, .proto = 6, .sport = 1000, .dport = 80, .flags = TCP_SYN);
	assert_dropped(w, REASON_LIMIT_TCP);
}

static void scans_reach_honeypots(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	/* nmap -sS: the RST that it waits for must come back */
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_RST | TCP_ACK);
	assert_forwarded(w, REASON_REPLY);
	/* nmap -sA: belongs to nothing, as before any stateful filter */
	FROM_UP(IN, .proto = 6, .sport = 4001, .dport = 22, .flags = TCP_ACK);
	assert_dropped(w, REASON_NO_FLOW);
}

static void other_limits(void **state)
{
	(void)state;
	struct policy p = { 0 };
	p.outbound[LIMIT_CLASS_UDP] = (struct limit){ 2, 60 };
	p.outbound[LIMIT_CLASS_ICMP] = (struct limit){ 2, 60 };
	p.outbound[LIMIT_CLASS_OTHER] = (struct limit){ 1, 60 };
	world_policy(w, 2, &p);
	for (uint16_t i = 0; i < 4; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 100 + i, .dport = 53);
		assert_reason(w, i < 2 ? REASON_OUTBOUND : REASON_LIMIT_UDP);
		FROM_POT(OUT, .proto = 17, .sport = 100, .dport = 53); /* same conversation */
		assert_forwarded(w, REASON_OUTBOUND);
		FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = i);
		assert_reason(w, i < 2 ? REASON_OUTBOUND : REASON_LIMIT_ICMP);
		FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 0); /* next of the same ping */
		assert_forwarded(w, REASON_OUTBOUND);
	}
	FROM_UP(IN, .proto = 1, .icmp_type = 0, .icmp_id = 0);
	assert_forwarded(w, REASON_REPLY);
	FROM_POT(OUT, .proto = 47, .payload = 9);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT, .proto = 50, .payload = 9);
	assert_dropped(w, REASON_LIMIT_OTHER);
	FROM_POT(OUT, .proto = 1, .icmp_type = 40);
	assert_dropped(w, REASON_DENIED);
}

static void ping_and_answer(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	FROM_UP(IN, .proto = 1, .icmp_type = 8, .icmp_id = 7);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT, .proto = 1, .icmp_type = 0, .icmp_id = 7);
	assert_forwarded(w, REASON_REPLY);
	FROM_POT(OUT, .proto = 1, .icmp_type = 0, .icmp_id = 8);
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 7); /* a ping of its own */
	assert_dropped(w, REASON_DENIED);
	FROM_POT(OUT, .proto = 1, .icmp_type = 14, .icmp_id = 7); /* another kind of answer */
	assert_dropped(w, REASON_DENIED);
	FROM_UP(IN6, .proto = 58, .icmp_type = 128, .icmp_id = 7);
	assert_forwarded(w, REASON_INBOUND);
	FROM_POT(OUT6, .proto = 58, .icmp_type = 129, .icmp_id = 7);
	assert_forwarded(w, REASON_REPLY);
}

static void flow_budget(void **state)
{
	(void)state;
	struct policy p = { .flow = { .bytes = 1000 } };
	world_policy(w, 2, &p);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	uint64_t sent = w->n;
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK, .payload = 1200);
	assert_forwarded(w, REASON_INBOUND); /* what comes in is not charged */
	while (sent + 54 + 100 <= 1000) {
		FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 100);
		assert_forwarded(w, REASON_REPLY);
		sent += w->n;
	}
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_ACK, .payload = 100);
	assert_dropped(w, REASON_BUDGET_FLOW);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_ACK);
	assert_forwarded(w, REASON_INBOUND);
	FROM_UP(IN, .proto = 6, .sport = 4001, .dport = 22, .flags = TCP_SYN);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4001, .flags = TCP_SYN | TCP_ACK);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4001, .flags = TCP_ACK, .payload = 800);
	assert_forwarded(w, REASON_REPLY); /* each its own */
}

static void flow_budget_in_a_window(void **state)
{
	(void)state;
	struct policy p = { .flow = { .packets = 10, .seconds = 16 } };
	world_policy(w, 2, &p);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	for (int i = 0; i < 10; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
		assert_forwarded(w, REASON_REPLY);
	}
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
	assert_dropped(w, REASON_BUDGET_FLOW);
	world_pass(w, 15 * SEC);
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
	assert_dropped(w, REASON_BUDGET_FLOW);
	world_pass(w, 3 * SEC);
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
	assert_forwarded(w, REASON_REPLY);
}

static void honeypot_budget(void **state)
{
	(void)state;
	struct policy p = { .honeypot = { .packets = 5, .seconds = 60 } };
	p.outbound[LIMIT_CLASS_UDP].count = LIMIT_UNLIMITED;
	world_policy(w, 2, &p);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	for (uint16_t i = 0; i < 5; i++) {
		if (i % 2)
			FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
		else
			FROM_POT(OUT, .proto = 17, .sport = i, .dport = 99);
		assert_int_equal(w->verdict, VERDICT_FORWARD);
	}
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000); /* replies too */
	assert_dropped(w, REASON_BUDGET_HONEYPOT);
	FROM_POT(OUT, .proto = 17, .sport = 77, .dport = 99);
	assert_dropped(w, REASON_BUDGET_HONEYPOT);
	world_send(w, 1, &(struct craft){ OUT, .proto = 17, .dport = 9, .smac = world_mac(1), .src = "192.0.2.11" });
	assert_forwarded(w, REASON_OUTBOUND); /* the other one has its own */
}

static void icmp_errors(void **state)
{
	(void)state;
	uint8_t inner[700];
	struct policy p = policy_with(LIMIT_CLASS_UDP, 10, 60);
	world_policy(w, 2, &p);
	size_t n = craft(&(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 161, .payload = 600 }, inner);
#define UNREACHABLE .proto = 1, .icmp_type = 3, .icmp_code = 3, .data = inner + 14
	FROM_POT(OUT, UNREACHABLE, .payload = 28);
	assert_dropped(w, REASON_NO_FLOW);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 161, .payload = 600);
	FROM_POT(OUT, UNREACHABLE, .payload = 28);
	assert_forwarded(w, REASON_RELATED_ERROR);
	FROM_POT(OUT, UNREACHABLE, .payload = 28, .dst = "198.51.100.8"); /* to somebody else */
	assert_dropped(w, REASON_NO_FLOW);
	FROM_POT(OUT, UNREACHABLE, .payload = (uint32_t)n - 14); /* longer than any host's */
	assert_dropped(w, REASON_MALFORMED);
	/* about its own conversation: the honeypot complains to itself? */
	FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	craft(&(struct craft){ OUT, .proto = 17, .sport = 5000, .dport = 53 }, inner);
	FROM_POT(OUT, UNREACHABLE, .payload = 28);
	assert_dropped(w, REASON_NO_FLOW);
	FROM_UP(IN, UNREACHABLE, .payload = 28, .src = "203.0.113.1"); /* from a router on the way */
	assert_forwarded(w, REASON_RELATED_ERROR);
	craft(&(struct craft){ OUT, .proto = 17, .sport = 5001, .dport = 53 }, inner);
	FROM_UP(IN, UNREACHABLE, .payload = 28, .src = "203.0.113.1");
	assert_dropped(w, REASON_NO_FLOW);
}

static void lateral(void **state)
{
	(void)state;
	struct policy p = { 0 };
	p.lateral[LIMIT_CLASS_TCP] = (struct limit){ 1, 60 };
	world_policy(w, 2, &p);
	struct craft c = {
		OUT, .proto = 6, .sport = 1000, .dport = 22, .flags = TCP_SYN, .dmac = world_mac(1), .dst = "192.0.2.11"
	};
	world_send(w, 0, &c);
	assert_forwarded(w, REASON_LATERAL);
	assert_int_equal(w->sent_to, 1);
	c.sport++;
	world_send(w, 0, &c);
	assert_dropped(w, REASON_LIMIT_TCP);
	world_send(w, 1,
		   &(struct craft){ OUT, .proto = 6, .sport = 22, .dport = 1000, .flags = TCP_SYN | TCP_ACK,
				    .smac = world_mac(1), .dmac = world_mac(0), .src = "192.0.2.11",
				    .dst = "192.0.2.10" });
	assert_forwarded(w, REASON_REPLY);
	assert_int_equal(w->sent_to, 0);
	FROM_POT(OUT, .proto = 6, .sport = 1, .dport = 22, .flags = TCP_SYN);
	assert_dropped(w, REASON_DENIED); /* outbound is another limit */
	FROM_POT(OUT, .proto = 17, .dmac = world_mac(0));
	assert_dropped(w, REASON_NO_PORT); /* to itself */
}

static void inbound_deny(void **state)
{
	(void)state;
	struct policy p = policy_with(LIMIT_CLASS_UDP, 10, 60), closed = p;
	closed.inbound_deny = 1;
	world_policy(w, 2, &p);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	assert_forwarded(w, REASON_INBOUND);
	world_policy(w, 2, &closed);
	FROM_UP(IN, .proto = 17, .sport = 4001, .dport = 53);
	assert_dropped(w, REASON_DENIED_INBOUND);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53); /* also what was open */
	assert_dropped(w, REASON_DENIED_INBOUND);
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000);
	assert_dropped(w, REASON_DENIED_INBOUND);
	FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_UP(IN, .proto = 17, .sport = 53, .dport = 5000);
	assert_forwarded(w, REASON_REPLY);
	FROM_UP(IN, .proto = 17, .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255", .dport = 5353);
	assert_int_equal(w->sent, 0);
}

/* A tightened policy holds for what is open, too; its windows are kept. */
static void policy_change(void **state)
{
	(void)state;
	struct policy two = policy_with(LIMIT_CLASS_UDP, 2, 60), three = policy_with(LIMIT_CLASS_UDP, 3, 60);
	world_policy(w, 2, &two);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 53);
	FROM_POT(OUT, .proto = 17, .sport = 2, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	world_policy(w, 2, &three);
	FROM_POT(OUT, .proto = 17, .sport = 3, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	FROM_POT(OUT, .proto = 17, .sport = 4, .dport = 53);
	assert_dropped(w, REASON_LIMIT_UDP);
	world_policy(w, 2, NULL);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 53);
	assert_dropped(w, REASON_DENIED);
}

/* A crash of the VMM buys no new limits; another honeypot in its place begins afresh. */
static void windows_outlive_the_port(void **state)
{
	(void)state;
	static const char *const addrs[] = { "192.0.2.10/24", NULL };
	struct policy p = policy_with(LIMIT_CLASS_UDP, 1, 60);
	world_policy(w, 2, &p);
	FROM_POT(OUT, .proto = 17, .sport = 1, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
	world_port_del(w, 0);
	world_port(w, 0, 0, "pot0", world_mac(0), addrs, WORLD_RING);
	FROM_POT(OUT, .proto = 17, .sport = 2, .dport = 53);
	assert_dropped(w, REASON_LIMIT_UDP);
	world_port_del(w, 0);
	world_port(w, 0, 0, "other", world_mac(0), addrs, WORLD_RING);
	FROM_POT(OUT, .proto = 17, .sport = 2, .dport = 53);
	assert_dropped(w, REASON_NO_POLICY);
	world_policy(w, 2, &p);
	FROM_POT(OUT, .proto = 17, .sport = 2, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND);
}

static void resolution_is_bounded(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	char dst[20];
	for (int i = 0; i < 1200; i++) {
		snprintf(dst, sizeof(dst), "192.0.2.%d", 1 + i % 254);
		FROM_POT(.smac = world_mac(0), .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.10",
			 .dst = dst);
		assert_reason(w, i < 1000 ? REASON_RESOLUTION : REASON_LIMIT_OTHER);
	}
	FROM_POT(.smac = world_mac(0), .dmac = ROUTER_MAC, .arp_op = 2, .src = "192.0.2.10", .dst = "192.0.2.1");
	assert_forwarded(w, REASON_RESOLUTION); /* answers are counted apart */
}

static void multicast_allowed(void **state)
{
	(void)state;
	struct policy p = policy_with(LIMIT_CLASS_UDP, 1, 60);
	p.multicast_allow = 1;
	world_policy(w, 2, &p);
	struct craft c = {
		OUT, .proto = 17, .sport = 5353, .dport = 5353, .dmac = "01:00:5e:00:00:fb", .dst = "224.0.0.251"
	};
	world_send(w, 0, &c);
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(w->sent, 1); /* to the uplink, not past the lateral limits */
	assert_int_equal(w->sent_to, WORLD_UPLINK);
	c.sport = 1;
	world_send(w, 0, &c);
	assert_dropped(w, REASON_LIMIT_UDP);
}

static void too_long(void **state)
{
	(void)state;
	world_policy(w, 2, NULL);
	w->g->ports[0].max_frame = 1514;
	FROM_UP(IN, .proto = 17, .payload = 1600);
	assert_dropped(w, REASON_TOO_LONG);
	FROM_UP(IN, .proto = 17, .payload = 1514 - 42);
	assert_forwarded(w, REASON_INBOUND);
	w->g->ports[0].down = true;
	FROM_UP(IN, .proto = 17);
	assert_dropped(w, REASON_NO_PORT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(without_policy_nothing), T(safe_default),          T(tcp_limit),
		T(tcp_begins_with_syn),    T(scans_reach_honeypots), T(other_limits),
		T(ping_and_answer),        T(flow_budget),           T(flow_budget_in_a_window),
		T(honeypot_budget),        T(icmp_errors),           T(lateral),
		T(inbound_deny),           T(policy_change),         T(windows_outlive_the_port),
		T(resolution_is_bounded),  T(multicast_allowed),     T(too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
