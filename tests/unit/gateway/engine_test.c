/* SPDX-License-Identifier: ISC */
/* The inline engine, played by a fake appliance between two ports in memory. */
#include "tests.h"

#include "proc/gateway/engine.h"

#define QUEUE 64

/* What the appliance holds: frames in the order in which it got them. */
static struct held {
	unsigned side;
	size_t n;
	uint8_t b[2048];
} queue[QUEUE];
static unsigned nqueue;
static struct world *w;

static void appliance(void *arg, struct port *p, struct slice bytes)
{
	(void)arg;
	struct held *h = &queue[nqueue++ % QUEUE];
	h->side = p->conf.port == PORT_ENGINE(1);
	h->n = bytes.n;
	assert_true(bytes.n <= sizeof(h->b));
	memcpy(h->b, bytes.p, bytes.n);
	w->sent++;
	w->sent_to = p->conf.port;
}

static void engine_ports(void)
{
	for (unsigned i = 0; i < 2; i++) {
		world_port(w, (uint16_t)PORT_ENGINE(i), 0, i ? "engine-out" : "engine-in", NULL, NULL, WORLD_RING);
		w->g->ports[PORT_ENGINE(i)].sink = appliance;
	}
}

static void use(unsigned engine)
{
	struct policy p = { .multicast_allow = 1, .engine = (uint8_t)engine };
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++)
		p.outbound[i].count = p.lateral[i].count = LIMIT_UNLIMITED;
	world_policy(w, 2, &p);
}

static int set_up(void **state)
{
	(void)state;
	w = world_new(2, NULL);
	nqueue = 0;
	use(ENGINE_INLINE);
	engine_ports();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* The appliance lets frame i out at its other side. */
static uint8_t let_out(unsigned i)
{
	const struct held *h = &queue[i % QUEUE];
	return world_frame(w, (uint16_t)PORT_ENGINE(!h->side), h->b, h->n);
}

#define ASK FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53, .payload = 20)
#define assert_given(where)                                                                                            \
	do {                                                                                                           \
		assert_int_equal(w->verdict, VERDICT_FORWARD);                                                         \
		assert_int_equal(w->sent, 1);                                                                          \
		assert_int_equal(w->sent_to, PORT_ENGINE(where));                                                      \
	} while (0)

static void test_forwards(void **state)
{
	(void)state;
	ASK;
	assert_given(0);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
	/* and back */
	FROM_UP(IN, .proto = 17, .sport = 53, .dport = 5000);
	assert_given(1);
	let_out(1);
	assert_forwarded(w, REASON_ENGINE);
	assert_int_equal(w->sent_to, 0);
	assert_int_equal(w->g->engine.given, 2);
	assert_int_equal(w->g->engine.back, 2);
	assert_int_equal(w->g->engine.count, 0);
	/* counted once */
	assert_int_equal(w->g->ports[0].stats.forwarded, 1);
	assert_int_equal(w->g->flows.at[1].pkts[0], 1);
	assert_int_equal(w->g->flows.at[1].pkts[1], 1);
}

static void test_tcp_and_ip6(void **state)
{
	(void)state;
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	assert_given(1);
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
	FROM_POT(OUT, .proto = 6, .sport = 22, .dport = 4000, .flags = TCP_SYN | TCP_ACK);
	assert_given(0);
	let_out(1);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
	FROM_POT(OUT6, .proto = 17, .sport = 1, .dport = 2, .payload = 5);
	assert_given(0);
	let_out(2);
	assert_forwarded(w, REASON_ENGINE);
	FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 3, .payload = 30);
	assert_given(0);
	let_out(3);
	assert_forwarded(w, REASON_ENGINE);
}

/* Between honeypots: in at one side, out at the other, both ways. */
static void test_lateral(void **state)
{
	(void)state;
	FROM_POT(.smac = world_mac(0), .dmac = world_mac(1), .src = "192.0.2.10", .dst = "192.0.2.11", .proto = 17,
		 .sport = 1, .dport = 2);
	assert_given(0);
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
	assert_int_equal(w->sent_to, 1);
	world_send(w, 1,
		   &(struct craft){ .smac = world_mac(1),
				    .dmac = world_mac(0),
				    .src = "192.0.2.11",
				    .dst = "192.0.2.10",
				    .proto = 17,
				    .sport = 2,
				    .dport = 1 });
	assert_given(1);
	let_out(1);
	assert_forwarded(w, REASON_ENGINE);
	assert_int_equal(w->sent_to, 0);
}

static void test_once(void **state)
{
	(void)state;
	ASK;
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
	let_out(0);
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	/* Two equal frames are two debts. */
	ASK;
	ASK;
	for (int i = 0; i < 2; i++) {
		let_out(1);
		assert_forwarded(w, REASON_ENGINE);
	}
	let_out(1);
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
}

static void test_injects(void **state)
{
	(void)state;
	uint8_t b[2048];
	ASK;
	struct held *h = &queue[0];
	/* At the side that it got it from. */
	world_frame(w, (uint16_t)PORT_ENGINE(0), h->b, h->n);
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	/* To another port, from another MAC, one byte longer, a frame of its own. */
	const size_t places[] = { 0, 6, 23, 26, 30, 34, 36 };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memcpy(b, h->b, h->n);
		b[places[i]] ^= 2;
		world_frame(w, (uint16_t)PORT_ENGINE(1), b, h->n);
		assert_int_equal(w->verdict, VERDICT_DROP);
		assert_int_equal(w->sent, 0);
	}
	memcpy(b, h->b, h->n);
	b[h->n] = 0;
	world_frame(w, (uint16_t)PORT_ENGINE(1), b, h->n + 1);
	assert_int_equal(w->verdict, VERDICT_DROP);
	world_send(w, (uint16_t)PORT_ENGINE(1), &(struct craft){ OUT, .proto = 6, .sport = 1, .dport = 2, .flags = 4 });
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	world_send(w, (uint16_t)PORT_ENGINE(0), &(struct craft){ IN, .proto = 6, .sport = 1, .dport = 2, .flags = 4 });
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	world_send(w, (uint16_t)PORT_ENGINE(1),
		   &(struct craft){ .smac = world_mac(0),
				    .dmac = "ff:ff:ff:ff:ff:ff",
				    .arp_op = 1,
				    .src = "192.0.2.10",
				    .dst = "192.0.2.1" });
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	assert_int_equal(w->to[WORLD_UPLINK] + w->to[0] + w->to[1], 0);
	/* and the right one still goes */
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
}

static void mend_udp(uint8_t *b, size_t n)
{
	b[40] = b[41] = 0;
	uint32_t start = 17 + (uint32_t)(n - 34);
	for (int i = 26; i < 34; i += 2)
		start += (uint32_t)b[i] << 8 | b[i + 1];
	uint16_t sum = craft_sum(b + 34, n - 34, start);
	b[40] = (uint8_t)(sum >> 8);
	b[41] = (uint8_t)sum;
}

static void test_changes(void **state)
{
	(void)state;
	uint8_t was[2048];
	ASK;
	struct held *h = &queue[0];
	memcpy(was, h->b, h->n);
	/* With the old checksum: nobody would take it. */
	h->b[50] ^= 0xff;
	let_out(0);
	assert_dropped(w, REASON_CHECKSUM);
	ASK;
	memcpy(queue[1].b, was, h->n);
	queue[1].b[50] ^= 0xff;
	mend_udp(queue[1].b, h->n);
	let_out(1);
	assert_reason(w, REASON_ENGINE);
	assert_int_equal(w->verdict, VERDICT_REWRITE);
	assert_int_equal(w->sent, 1);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
	assert_int_equal(w->g->engine.changed, 2);
}

static void test_drops(void **state)
{
	(void)state;
	ASK;
	let_out(0);
	ASK;
	assert_int_equal(w->g->flows.at[1].pkts[0], 2);
	world_pass(w, ENGINE_WAIT + SEC);
	assert_int_equal(w->g->engine.count, 0);
	assert_int_equal(w->g->engine.kept, 1);
	assert_int_equal(w->g->ports[0].stats.by_reason[REASON_ENGINE_DROP], 1);
	assert_int_equal(w->g->ports[0].stats.forwarded, 1);
	assert_int_equal(w->g->flows.at[1].pkts[0], 1);
	assert_int_equal(w->g->flows.at[1].dropped[0], 1);
	let_out(1); /* too late */
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	world_pass(w, 300 * SEC);
	const struct ring_flow *f = world_flow(w, FLOW_END_TIMEOUT);
	assert_non_null(f);
	assert_int_equal(f->verdict, VERDICT_DROP);
	assert_int_equal(f->reason, REASON_ENGINE_DROP);
	assert_int_equal(f->pkts_toserver, 1);
}

static void test_hangs(void **state)
{
	(void)state;
	ASK;
	world_pass(w, ENGINE_SILENT);
	assert_true(engine_silent(w->g, w->now));
	ASK; /* the trial */
	assert_given(0);
	for (int i = 0; i < 5; i++) {
		ASK;
		assert_dropped(w, REASON_ENGINE_DOWN);
		world_pass(w, SEC / 10);
	}
	world_pass(w, ENGINE_TRIAL);
	ASK;
	assert_given(0);
	let_out(nqueue - 1); /* it lives again */
	assert_forwarded(w, REASON_ENGINE);
	for (int i = 0; i < 5; i++) {
		ASK;
		assert_given(0);
		let_out(nqueue - 1);
	}
	/* Long without traffic is not silence. */
	world_pass(w, 20 * SEC);
	ASK;
	assert_given(0);
}

static void test_down(void **state)
{
	(void)state;
	ASK;
	world_port_del(w, PORT_ENGINE(1));
	assert_int_equal(w->g->engine.count, 0);
	ASK;
	assert_dropped(w, REASON_ENGINE_DOWN);
	FROM_UP(IN, .proto = 6, .sport = 4000, .dport = 22, .flags = TCP_SYN);
	assert_dropped(w, REASON_ENGINE_DOWN);
	/* Who is who is not its business. */
	FROM_UP(.smac = ROUTER_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .arp_op = 1, .src = "192.0.2.1", .dst = "192.0.2.10");
	assert_forwarded(w, REASON_RESOLUTION);
	/* To all, from outside: not to those that are inspected. */
	FROM_UP(.smac = ROUTER_MAC, .dmac = "ff:ff:ff:ff:ff:ff", .src = "198.51.100.7", .dst = "192.0.2.255",
		.proto = 17, .sport = 7, .dport = 8);
	assert_int_equal(w->sent, 0);
	/* A new one begins anew: it never got what the old one had. */
	world_port(w, (uint16_t)PORT_ENGINE(1), 0, "engine-out", NULL, NULL, WORLD_RING);
	let_out(0);
	assert_dropped(w, REASON_ENGINE_UNKNOWN);
	ASK;
	assert_given(0);
	w->g->ports[PORT_ENGINE(0)].down = true;
	ASK;
	assert_dropped(w, REASON_ENGINE_DOWN);
}

static void test_full(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENGINE_OWED_HONEYPOT; i++) {
		ASK;
		assert_given(0);
	}
	ASK;
	assert_dropped(w, REASON_ENGINE_BUSY);
	/* Another honeypot has its own share. */
	world_send(w, 1,
		   &(struct craft){ .smac = world_mac(1),
				    .dmac = ROUTER_MAC,
				    .src = "192.0.2.11",
				    .dst = "198.51.100.7",
				    .proto = 17,
				    .sport = 2,
				    .dport = 1 });
	assert_given(0);
	world_pass(w, ENGINE_WAIT);
	assert_int_equal(w->g->engine.count, 0);
	FROM_POT(OUT, .proto = 17, .sport = 5000, .dport = 53, .payload = 1473);
	assert_dropped(w, REASON_TOO_LONG);
}

static void test_frozen(void **state)
{
	(void)state;
	ASK;
	assert_int_equal(gateway_freeze(w->g, 0, true, NULL), 0);
	let_out(0);
	assert_dropped(w, REASON_FROZEN);
}

static void test_multicast(void **state)
{
	(void)state;
	FROM_POT(OUT, .proto = 17, .sport = 5353, .dport = 5353, .dmac = "01:00:5e:00:00:fb", .dst = "224.0.0.251");
	assert_given(0);
	let_out(0);
	assert_forwarded(w, REASON_ENGINE);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
}

/* Passive: the frame goes its way at once, a copy to the engine, and what comes
 * back goes nowhere. */
static void test_passive(void **state)
{
	(void)state;
	use(ENGINE_PASSIVE);
	ASK;
	assert_reason(w, REASON_OUTBOUND);
	assert_int_equal(w->to[WORLD_UPLINK], 1);
	assert_int_equal(nqueue, 1);
	let_out(0);
	assert_dropped(w, REASON_ENGINE_COPY);
	assert_int_equal(w->to[WORLD_UPLINK], 1);
	/* Silent, or gone: never in the way. */
	ASK;
	world_pass(w, 5 * SEC);
	assert_int_equal(w->g->engine.kept, 0);
	for (int i = 0; i < 3; i++)
		ASK;
	assert_int_equal(w->to[WORLD_UPLINK], 5);
	world_port_del(w, PORT_ENGINE(0));
	ASK;
	assert_int_equal(w->to[WORLD_UPLINK], 6);
	assert_int_equal(w->g->ports[0].stats.dropped, 0);
}

static void test_off(void **state)
{
	(void)state;
	use(ENGINE_OFF);
	ASK;
	assert_forwarded(w, REASON_OUTBOUND);
	assert_int_equal(w->sent_to, WORLD_UPLINK);
	assert_int_equal(nqueue, 0);
}

/* What comes back must be recorded, or it is not sent. */
static void test_recorded(void **state)
{
	(void)state;
	ASK;
	w->lax = true;
	ring_stop(&w->ports[PORT_ENGINE(1)].ring, -ENOSPC);
	let_out(0);
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_int_equal(w->to[WORLD_UPLINK], 0);
}

static void test_alert(void **state)
{
	(void)state;
	struct gw_alert a = { .family = 4, .proto = 17, .sport = 53, .dport = 5000, .signature = 77, .gid = 1 };
	craft_addr("198.51.100.7", a.saddr);
	craft_addr("192.0.2.10", a.daddr);
	strcpy(a.text, "found");
	assert_int_equal(engine_alert(w->g, &a, w->now), 0);
	ASK;
	uint64_t id = engine_alert(w->g, &a, w->now);
	assert_int_equal(id, w->g->flows.at[1].id);
	assert_int_equal(w->g->flows.at[1].alert, 77);
	world_read(w);
	assert_int_equal(w->alerts, 2);
	assert_int_equal(w->alert.signature, 77);
	assert_int_equal(w->alert.flow, id);
	assert_string_equal(w->alert.text, "found");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_forwards), T(test_tcp_and_ip6), T(test_lateral),  T(test_once),
		T(test_injects),  T(test_changes),     T(test_drops),    T(test_hangs),
		T(test_down),     T(test_full),        T(test_frozen),   T(test_multicast),
		T(test_passive),  T(test_off),         T(test_recorded), T(test_alert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
