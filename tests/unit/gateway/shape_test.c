/* SPDX-License-Identifier: ISC */
/* Bandwidth. The naive model: when each frame left, and for every one of them
 * the sum of all that left in the second that ends with it. */
#include "tests.h"

static struct world *w;
static struct policy pol;

enum { MOST = 20000 };
static struct {
	uint64_t time;
	size_t n;
	uint32_t number; /* in the payload; ~0: none */
	uint16_t flow;
} left[MOST];
static unsigned nleft;
static uint64_t worst;

static void leaves(void *arg, struct port *p, struct slice bytes)
{
	(void)arg;
	(void)p;
	assert_true(nleft < MOST);
	left[nleft].time = w->now;
	left[nleft].n = bytes.n;
	left[nleft].number = ~0u;
	if (bytes.n >= 46 && bytes.p[23] == 17) {
		memcpy(&left[nleft].number, bytes.p + 42, 4);
		left[nleft].flow = (uint16_t)(bytes.p[34] << 8 | bytes.p[35]);
	}
	nleft++;
	uint64_t sum = 0;
	for (unsigned i = nleft; i > 0 && w->now - left[i - 1].time <= SEC; i--)
		sum += left[i - 1].n;
	if (sum > worst)
		worst = sum;
}

static int set_up(void **state)
{
	(void)state;
	w = world_new(2, NULL);
	w->lax = true;
	pol = (struct policy){ .bandwidth = 10000 };
	pol.outbound[LIMIT_CLASS_UDP] = (struct limit){ LIMIT_UNLIMITED, 0 };
	world_policy(w, 2, &pol);
	w->g->ports[WORLD_UPLINK].sink = leaves;
	nleft = 0;
	worst = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static uint8_t put(uint16_t flow, uint32_t number, uint32_t payload)
{
	static uint8_t data[2000];
	memcpy(data, &number, 4);
	world_read(w);
	return FROM_POT(OUT, .proto = 17, .sport = flow, .dport = 9, .payload = payload, .data = data);
}

/* As the process does it: its timer fires when the shaper says. */
static void pass(uint64_t ns)
{
	uint64_t end = w->now + ns;
	while (w->g->shaper.next && w->g->shaper.next <= end) {
		if (w->g->shaper.next > w->now)
			w->now = w->g->shaper.next;
		shape_release(w->g, w->now);
		world_read(w);
	}
	w->now = end;
}

static void waits_and_goes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 10; i++) { /* 1042 bytes each: nine fit into a second */
		put(1, i, 1000);
		assert_int_equal(w->verdict, VERDICT_FORWARD);
		assert_reason(w, REASON_OUTBOUND);
	}
	assert_int_equal(nleft, 9);
	pass(SEC);
	assert_int_equal(nleft, 9); /* still in one second with the first */
	pass(SEC / 500);
	assert_int_equal(nleft, 10);
	assert_true(worst <= 10000);
	assert_int_equal(w->g->shaper.next, 0);
}

static void drops_above_a_second(void **state)
{
	(void)state;
	unsigned dropped = 0;
	for (uint32_t i = 0; i < 100; i++) {
		put(1, i, 1000);
		dropped += w->verdict == VERDICT_DROP;
		if (w->verdict == VERDICT_DROP)
			assert_reason(w, REASON_LIMIT_BANDWIDTH);
	}
	assert_int_equal(nleft, 9);
	assert_int_equal(dropped, 100 - 9 - 9);
	for (int i = 0; i < 40; i++)
		pass(SEC / 10);
	assert_int_equal(nleft, 18);
	for (unsigned i = 1; i < nleft; i++)
		assert_true(left[i].number > left[i - 1].number);
	/* what could never go */
	pol.bandwidth = 1000;
	world_policy(w, 2, &pol);
	put(1, 0, 1000);
	assert_dropped(w, REASON_LIMIT_BANDWIDTH);
}

/* Any load, any bandwidth: no second holds more; nothing is lost that was taken,
 * nothing overtakes; and the line is used. */
static void never_more(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		srand(round);
		tear_down(NULL);
		set_up(NULL);
		pol.bandwidth = (uint64_t[]){ 2000, 10000, 64000, 300000 }[round % 4];
		world_policy(w, 2, &pol);
		unsigned taken = 0;
		uint64_t begin = w->now;
		for (uint32_t i = 0; i < 2000; i++) {
			put((uint16_t)(1 + rand() % 3), i, 4 + (uint32_t)rand() % 1400);
			taken += w->verdict == VERDICT_FORWARD;
			pass((uint64_t)rand() % (round & 1 ? SEC / 100 : SEC / 5));
		}
		uint64_t sent = 0, took = w->now - begin;
		for (unsigned i = 0; i < nleft; i++)
			sent += left[i].n;
		pass(5 * SEC);
		assert_int_equal(nleft, taken);
		assert_true(worst <= pol.bandwidth);
		uint32_t last[4] = { 0 };
		for (unsigned i = 0; i < nleft; i++) {
			assert_true(left[i].number >= last[left[i].flow]);
			last[left[i].flow] = left[i].number;
		}
		if (taken < 1500) /* it was the bandwidth that held it back */
			assert_true(sent * 10 > pol.bandwidth * (took / SEC) * 5);
	}
}

/* The process may be late, and frames come meanwhile: the order stays. */
static void late_timer(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		put(1, i, 1000);
	assert_int_equal(nleft, 9);
	w->now += 2 * SEC; /* no timer */
	put(1, 15, 1000);
	assert_int_equal(nleft, 16);
	for (unsigned i = 0; i < nleft; i++)
		assert_int_equal(left[i].number, i);
	gateway_tick(w->g, w->now);
	assert_true(worst <= 10000);
}

static void each_honeypot_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 12; i++)
		put(1, i, 1000);
	assert_int_equal(nleft, 9);
	world_send(w, 1,
		   &(struct craft){ OUT, .smac = world_mac(1), .src = "192.0.2.11", .proto = 17, .payload = 1000 });
	assert_int_equal(nleft, 10);
	/* inwards nothing waits */
	uint64_t to = w->to[0];
	for (uint32_t i = 0; i < 50; i++)
		FROM_UP(IN, .proto = 17, .sport = 9, .dport = 1, .payload = 1000);
	assert_int_equal(w->to[0], to + 50);
}

static void frozen_meanwhile(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		put(1, i, 1000);
	assert_int_equal(nleft, 9);
	gateway_freeze(w->g, 0, true, NULL);
	pass(3 * SEC);
	assert_int_equal(nleft, 9);
	gateway_freeze(w->g, 0, false, NULL);
	pass(3 * SEC);
	assert_int_equal(nleft, 9); /* they are gone */
	/* a port goes, and what waits for it */
	for (uint32_t i = 0; i < 15; i++)
		put(1, i, 1000);
	assert_int_equal(nleft, 18);
	world_port_del(w, WORLD_UPLINK);
	pass(3 * SEC);
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	w->g->ports[WORLD_UPLINK].sink = leaves;
	pass(3 * SEC);
	assert_int_equal(nleft, 18);
}

static void policy_changes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		put(1, i, 1000);
	pol.bandwidth = 0;
	world_policy(w, 2, &pol);
	put(1, 15, 1000); /* after those that wait */
	pass(2 * SEC);
	assert_int_equal(nleft, 16);
	for (unsigned i = 0; i < nleft; i++)
		assert_int_equal(left[i].number, i);
	world_policy(w, 0, &pol); /* none at all */
	put(1, 16, 1000);
	assert_dropped(w, REASON_NO_POLICY);
}

/* The world's own check: recorded before it is sent, whenever that is; a copy
 * is recorded when it leaves. */
static void recorded(void **state)
{
	(void)state;
	struct policy_pool *pool = calloc(1, sizeof(*pool));
	pool->nrules = pool->nrewrites = 1;
	pool->rules[0] = (struct rule){ .name = "blunt",
					.action = ACTION_REWRITE,
					.directions = RULE_OUT,
					.ports = { 0, 1 },
					.rewrites = { 0, 1 } };
	pool->nranges = 1;
	pool->ranges[0] = (struct port_range){ 77, 77 };
	pool->rewrites[0] = (struct rewrite){ .n = 1, .from = { 'a' }, .to = { 'b' } };
	tear_down(NULL);
	w = world_new(2, NULL);
	world_rules(w, 2, &pol, pool, 9);
	for (unsigned i = 0; i < 14; i++)
		FROM_POT(OUT, .proto = 17, .sport = 1, .dport = i % 2 ? 77 : 9, .payload = 1000);
	uint64_t now = w->to[WORLD_UPLINK];
	assert_int_equal(now, 9);
	for (int i = 0; i < 20; i++) {
		w->now += SEC / 10;
		shape_release(w->g, w->now);
		world_read(w);
	}
	assert_int_equal(w->to[WORLD_UPLINK], 14);
	free(pool);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(waits_and_goes),        T(drops_above_a_second), T(never_more),     T(late_timer),
		T(each_honeypot_its_own), T(frozen_meanwhile),     T(policy_changes), T(recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
