/* SPDX-License-Identifier: ISC */
/* What the tests of players and refusals have in common. Network 0: pot0, pot1,
 * uplink, sinkhole; network 1: pot2, uplink. What is sent is read by wire.c, which
 * knows nothing of the gateway. */
#ifndef SKEP_TESTS_PLAY_FIXTURE_H
#define SKEP_TESTS_PLAY_FIXTURE_H

#include "tests.h"
#include "wire.h"

static struct world *w;
static struct policy_pool *pool;
static struct policy pol;

#define SINK PORT_SINK(0)
#define SINK_MAC "02:00:00:00:00:51"
#define ASKED "198.51.100.7"

static inline int set_up(void **state)
{
	(void)state;
	static const char *const a0[] = { "192.0.2.10/24", "2001:db8::10/64", NULL };
	static const char *const a1[] = { "192.0.2.11/24", "2001:db8::11/64", NULL };
	static const char *const a2[] = { "203.0.113.10/24", "2001:db8:1::10/64", NULL };
	w = world_empty(NULL);
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	world_port(w, PORT_UPLINK(1), 1, "uplink1", NULL, NULL, WORLD_RING);
	world_port(w, SINK, 0, "sink", SINK_MAC, NULL, WORLD_RING);
	world_port(w, 0, 0, "pot0", world_mac(0), a0, WORLD_RING);
	world_port(w, 1, 0, "pot1", world_mac(1), a1, WORLD_RING);
	world_port(w, 2, 1, "pot2", world_mac(2), a2, WORLD_RING);
	pool = calloc(1, sizeof(*pool));
	pol = (struct policy){ 0 };
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	world_free(w);
	free(pool);
	return 0;
}

static inline struct rule *add_rule(uint8_t action, uint8_t directions, const char *name)
{
	struct rule *r = &pool->rules[pool->nrules++];
	*r = (struct rule){ .action = action, .directions = directions };
	snprintf(r->name, sizeof(r->name), "%s", name);
	return r;
}

static inline void in_force(void)
{
	static uint32_t generation;
	world_rules(w, 3, &pol, pool, ++generation);
}

/* Only for pot0. */
static inline struct rule *for_pot0(struct rule *r)
{
	r->honeypots[0] = 1;
	return r;
}

static inline void reflect_to(uint16_t target)
{
	for_pot0(add_rule(ACTION_REFLECT, RULE_OUT, "mirror"))->target = target;
	in_force();
}

static inline void sink_all(uint8_t kind)
{
	for_pot0(add_rule(ACTION_SINKHOLE, RULE_OUT, "drain"))->sink = kind;
	in_force();
}

/* The frame that the gateway made last; it went to `port` and nowhere else. */
static inline struct wire made(uint16_t port)
{
	struct wire x;
	assert_int_equal(w->sent, 0);
	assert_int_equal(w->made, 1);
	assert_int_equal(w->made_to, port);
	const char *wrong = wire_read(w->made_bytes, w->made_n, &x);
	if (wrong)
		fail_msg("%s", wrong);
	return x;
}

#define assert_ends(x, sm, dm, s, sp, d, dp)                                                                           \
	do {                                                                                                           \
		assert_string_equal((x).smac, sm);                                                                     \
		assert_string_equal((x).dmac, dm);                                                                     \
		assert_string_equal((x).src, s);                                                                       \
		assert_string_equal((x).dst, d);                                                                       \
		assert_int_equal((x).sport, sp);                                                                       \
		assert_int_equal((x).dport, dp);                                                                       \
	} while (0)
#define assert_verdict(v, r)                                                                                           \
	do {                                                                                                           \
		assert_reason(w, r);                                                                                   \
		assert_int_equal(w->verdict, v);                                                                       \
	} while (0)
#define FROM(port, ...) world_send(w, port, &(struct craft){ __VA_ARGS__ })

#endif
