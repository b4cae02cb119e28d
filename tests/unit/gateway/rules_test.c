/* SPDX-License-Identifier: ISC */
/*
 * Which rule is the first that matches: every condition by itself, and the
 * compiled lookup against a matcher that knows only model/policy.h and looks at
 * one rule after the other.
 */
#include "tests.h"

#include "policies.h"
#include "proc/gateway/rules.h"

#include <time.h>

static struct policies *p;
static struct policy_builder *b;
static struct err e;

static int set_up(void **state)
{
	(void)state;
	p = malloc(sizeof(*p));
	b = malloc(sizeof(*b));
	policies_init(p);
	builder_init(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(p);
	free(b);
	return 0;
}

static void load(void)
{
	struct gw_policy_entry entry[2] = { { .port = 3, .honeypot = 5, .network = 2, .policy = b->policy },
					    { .port = 4, .honeypot = 6, .network = 1, .policy = b->policy } };
	assert_int_equal(policies_swap(p, &b->pool, entry, 2, 1, &e), 0);
}

/* ---- an independent matcher ------------------------------------------------ */

static bool bit_of(const uint8_t *a, unsigned i)
{
	return a[i / 8] >> (7 - i % 8) & 1;
}

static bool naive_in(struct span s, uint8_t family, const uint8_t *a)
{
	for (unsigned i = s.first; i < s.first + s.n; i++) {
		const struct addr *net = &b->pool.prefixes[i];
		unsigned k = 0;
		while (k < net->plen && bit_of(net->b, k) == bit_of(a, k))
			k++;
		if (net->family == family && k == net->plen)
			return true;
	}
	return false;
}

static bool naive_ports(struct span s, const struct talk *t, uint16_t port)
{
	for (unsigned i = s.first; i < s.first + s.n; i++)
		if (b->pool.ranges[i].from <= port && port <= b->pool.ranges[i].to)
			return t->proto == 6 || t->proto == 17;
	return !s.n;
}

static bool naive_when(const struct when *w, uint64_t wall)
{
	if (!w->days)
		return true;
	time_t s = (time_t)(wall / SEC);
	struct tm tm, before;
	gmtime_r(&s, &tm);
	s -= 86400;
	gmtime_r(&s, &before);
	int now = tm.tm_hour * 60 + tm.tm_min, today = (tm.tm_wday + 6) % 7, yesterday = (before.tm_wday + 6) % 7;
	bool on_today = w->days & 1 << today, on_yesterday = w->days & 1 << yesterday;
	if (w->from == w->to)
		return on_today;
	if (w->from < w->to)
		return on_today && w->from <= now && now < w->to;
	return (on_today && now >= w->from) || (on_yesterday && now < w->to);
}

static bool naive_matches(const struct rule *r, const struct talk *t, uint64_t wall)
{
	static const uint8_t anybody[32];
	unsigned pot = t->slot == 3 ? 5 : 6, net = t->slot == 3 ? 2 : 1;
	if (!(r->directions & t->direction))
		return false;
	if (r->family && r->family != t->family)
		return false;
	if (r->has_proto && r->proto != t->proto && !(r->proto == 1 && t->proto == 58 && t->family == 6))
		return false;
	if (r->state == RULE_STATE_NEW && t->established)
		return false;
	if (r->state == RULE_STATE_ESTABLISHED && !t->established)
		return false;
	if (r->networks && !(r->networks & 1u << net))
		return false;
	if (memcmp(r->honeypots, anybody, 32) && !(r->honeypots[pot / 8] & 1u << pot % 8))
		return false;
	if (r->alert == RULE_ALERT_ANY && !t->alert)
		return false;
	if (r->alert && r->alert != RULE_ALERT_ANY && r->alert != t->alert)
		return false;
	if (r->from.n && !naive_in(r->from, t->family, t->from))
		return false;
	if (r->to.n && !naive_in(r->to, t->family, t->to))
		return false;
	return naive_ports(r->sports, t, t->from_port) && naive_ports(r->ports, t, t->to_port) &&
	       naive_when(&r->when, wall);
}

static uint16_t naive(const struct talk *t, uint64_t wall)
{
	for (unsigned i = b->policy.rules.first; i < b->policy.rules.first + b->policy.rules.n; i++)
		if (naive_matches(&b->pool.rules[i], t, wall))
			return (uint16_t)i;
	return RULE_NONE;
}

/* ---- each condition -------------------------------------------------------- */

#define WEDNESDAY 1735689600ull /* 2025-01-01 was a Wednesday: 00:00 UTC */
static const uint64_t noon = (WEDNESDAY + 12 * 3600) * SEC;

static struct talk web(void)
{
	struct talk t = { .family = 4, .proto = 6, .direction = RULE_OUT, .has_ports = true, .slot = 3 };
	t.from_port = 40000;
	t.to_port = 80;
	craft_addr("192.0.2.10", t.from);
	craft_addr("198.51.100.7", t.to);
	return t;
}

static bool hits(const struct talk *t, uint64_t wall)
{
	load();
	uint16_t i = rules_match(p->now, t, wall);
	assert_int_equal(i, naive(t, wall));
	return i != RULE_NONE;
}

#define HIT(t) assert_true(hits(&(t), noon))
#define MISS(t) assert_false(hits(&(t), noon))

static void no_rules(void **state)
{
	(void)state;
	struct talk t = web();
	MISS(t);
}

static void protocol_and_ports(void **state)
{
	(void)state;
	struct talk t = web();
	struct rule *r = builder_rule(b, "r", ACTION_DROP, RULE_OUT);
	HIT(t);
	r->has_proto = 1;
	r->proto = 17;
	MISS(t);
	r->proto = 6;
	HIT(t);
	r->ports = builder_ports(b, "22 79-81 65535");
	HIT(t);
	t.to_port = 65535;
	HIT(t);
	t.to_port = 82;
	MISS(t);
	t.to_port = 78;
	MISS(t);
	t.to_port = 22;
	HIT(t);
	r->sports = builder_ports(b, "0-39999");
	MISS(t);
	t.from_port = 0;
	HIT(t);
	/* what has no ports is not on port 0 */
	r->has_proto = 0;
	r->ports = (struct span){ 0 };
	t.proto = 47;
	t.has_ports = false;
	MISS(t);
	r->sports = (struct span){ 0 };
	HIT(t);
	t.proto = 0;
	HIT(t);
	t.proto = 255;
	HIT(t);
	r->has_proto = 1;
	/* ICMP is that of both families; ICMPv6 its own only. */
	r->proto = 1;
	t.family = 6;
	t.proto = 58;
	HIT(t);
	t.family = 4;
	MISS(t);
	r->proto = 58;
	t.family = 6;
	t.proto = 1;
	MISS(t);
	t.family = 4;
	r->proto = 0;
	MISS(t);
}

static void addresses(void **state)
{
	(void)state;
	struct talk t = web(), six = web();
	six.family = 6;
	craft_addr("2001:db8::10", six.from);
	craft_addr("2001:db8:9::7", six.to);
	struct rule *r = builder_rule(b, "r", ACTION_DROP, RULE_ALL_DIRECTIONS);
	HIT(six);
	r->family = 4;
	MISS(six);
	HIT(t);
	r->family = 6;
	HIT(six);
	MISS(t);
	r->family = 0;
	r->to = builder_prefixes(b, "198.51.100.0/29 203.0.113.0/24");
	HIT(t);
	MISS(six);
	t.to[3] = 8;
	MISS(t);
	r->to = builder_prefixes(b, "0.0.0.0/0");
	HIT(t);
	MISS(six);
	r->to = builder_prefixes(b, "::/0");
	HIT(six);
	MISS(t);
	r->to = builder_prefixes(b, "2001:db8:9::/48 255.255.255.255");
	HIT(six);
	memset(t.to, 255, 4);
	HIT(t);
	six.to[5]++;
	MISS(six);
	memset(six.to, 255, 16);
	MISS(six);
	r->to = builder_prefixes(b, "ffff::/16");
	HIT(six);
	r->from = builder_prefixes(b, "2001:db8::/127 192.0.2.10");
	MISS(six);
	r->to = (struct span){ 0 };
	HIT(t);
	t.from[3]++;
	MISS(t);
}

static void who_and_where(void **state)
{
	(void)state;
	struct talk t = web();
	struct rule *r = builder_rule(b, "r", ACTION_DROP, RULE_LATERAL);
	MISS(t);
	t.direction = RULE_LATERAL;
	HIT(t);
	r->directions = RULE_IN | RULE_OUT;
	MISS(t);
	t.direction = RULE_IN;
	HIT(t);
	r->networks = 1u << 1;
	MISS(t);
	t.slot = 4;
	HIT(t);
	r->networks = 0;
	r->honeypots[0] = 1u << 5;
	MISS(t);
	t.slot = 3;
	HIT(t);
	r->honeypots[0] = 0;
	r->honeypots[31] = 0x80;
	MISS(t);
}

static void state_and_alert(void **state)
{
	(void)state;
	struct talk t = web();
	struct rule *r = builder_rule(b, "r", ACTION_DROP, RULE_OUT);
	r->state = RULE_STATE_ESTABLISHED;
	MISS(t);
	t.established = true;
	HIT(t);
	r->state = RULE_STATE_NEW;
	MISS(t);
	r->state = RULE_STATE_ANY;
	r->alert = RULE_ALERT_ANY;
	MISS(t);
	t.alert = 2001219;
	HIT(t);
	r->alert = 2001220;
	MISS(t);
	r->alert = 2001219;
	HIT(t);
}

static void when(void **state)
{
	(void)state;
	struct talk t = web();
	struct rule *r = builder_rule(b, "r", ACTION_DROP, RULE_OUT);
	static const struct {
		struct when when;
		unsigned hour, minute;
		int day; /* after Wednesday */
		bool hit;
	} cases[] = {
		{ { .days = 4, .from = 480, .to = 1080 }, 7, 59, 0, false },
		{ { .days = 4, .from = 480, .to = 1080 }, 8, 0, 0, true },
		{ { .days = 4, .from = 480, .to = 1080 }, 17, 59, 0, true },
		{ { .days = 4, .from = 480, .to = 1080 }, 18, 0, 0, false },
		{ { .days = 4, .from = 480, .to = 1080 }, 12, 0, 1, false },
		{ { .days = 8, .from = 480, .to = 1080 }, 12, 0, 1, true },
		{ { .days = 4 }, 0, 0, 0, true },
		{ { .days = 4 }, 23, 59, 0, true },
		{ { .days = 4 }, 0, 0, 1, false },
		{ { .days = 4, .from = 0, .to = 1440 }, 23, 59, 0, true },
		{ { .days = 4, .from = 1320, .to = 360 }, 22, 0, 0, true }, /* over midnight */
		{ { .days = 4, .from = 1320, .to = 360 }, 5, 59, 1, true },
		{ { .days = 4, .from = 1320, .to = 360 }, 6, 0, 1, false },
		{ { .days = 4, .from = 1320, .to = 360 }, 5, 0, 0, false },
		{ { .days = 64, .from = 1320, .to = 360 }, 5, 0, 5, true }, /* Sunday's, on Monday */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r->when = cases[i].when;
		uint64_t s = WEDNESDAY + (uint64_t)cases[i].day * 86400 + cases[i].hour * 3600 + cases[i].minute * 60;
		assert_int_equal(hits(&t, s * SEC), cases[i].hit);
	}
}

/* Order, and rules that stand in other words than the first of the bit vectors. */
static void first_match(void **state)
{
	(void)state;
	struct talk t = web();
	char name[32];
	for (unsigned i = 0; i < POOL_RULES; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		struct rule *r = builder_rule(b, name, ACTION_DROP, RULE_OUT);
		r->has_proto = 1;
		r->proto = 17;
	}
	b->policy.rules = (struct span){ 70, POOL_RULES - 70 };
	MISS(t);
	for (unsigned i = POOL_RULES; i-- > 0;) {
		b->pool.rules[i].proto = 6;
		if (i % 37 && i != 70 && i != 69 && i != 64 && i != 63)
			continue;
		load();
		assert_int_equal(rules_match(p->now, &t, noon), i < 70 ? 70 : i);
	}
	b->policy.rules = (struct span){ 3, 1 };
	load();
	assert_int_equal(rules_match(p->now, &t, noon), 3);
}

/* ---- random rules ---------------------------------------------------------- */

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n;
}

static void random_addr(uint8_t family, uint8_t a[16])
{
	memset(a, 0, 16);
	for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
		a[i] = chance(3) ? (chance(2) ? 0 : 255) : (uint8_t)chance(256);
}

static struct span random_prefixes(void)
{
	struct span s = { (uint16_t)b->pool.nprefixes, (uint16_t)chance(5) };
	if (b->pool.nprefixes && chance(3) == 0) /* shared with others */
		return (struct span){ (uint16_t)chance(b->pool.nprefixes), 1 };
	for (unsigned i = 0; i < s.n; i++) {
		struct addr *a = &b->pool.prefixes[b->pool.nprefixes++];
		a->family = chance(2) ? 4 : 6;
		random_addr(a->family, a->b);
		a->plen = (uint8_t)chance(a->family == 4 ? 33 : 129);
		*a = addr_net(a);
	}
	return s;
}

static struct span random_ports(void)
{
	struct span s = { (uint16_t)b->pool.nranges, (uint16_t)chance(4) };
	for (unsigned i = 0; i < s.n; i++) {
		uint16_t from = (uint16_t)chance(chance(2) ? 100 : 65536);
		uint16_t to = (uint16_t)(from + chance(chance(2) ? 3 : 65536u - from));
		b->pool.ranges[b->pool.nranges++] = (struct port_range){ from, to < from ? from : to };
	}
	return s;
}

static void random_rules(unsigned n)
{
	builder_init(b);
	for (unsigned i = 0; i < n; i++) {
		struct rule *r = builder_rule(b, "", ACTION_ALLOW, 1 + chance(7));
		r->family = chance(4) ? 0 : chance(2) ? 4 : 6;
		r->has_proto = (uint8_t)chance(2);
		r->proto = chance(4) ? (chance(2) ? 6 : 17) : (uint8_t)chance(256);
		r->state = (uint8_t)chance(3);
		r->networks = chance(4) ? 0 : (uint16_t)(1 + chance(0xffff));
		if (chance(4) == 0)
			r->honeypots[0] = (uint8_t)(1u << chance(8));
		if (chance(2))
			r->from = random_prefixes();
		if (chance(2))
			r->to = random_prefixes();
		if (chance(3) == 0)
			r->sports = random_ports();
		if (chance(2))
			r->ports = random_ports();
		if (chance(5) == 0)
			r->when = (struct when){ .days = (uint8_t)chance(128),
						 .from = (uint16_t)chance(1440),
						 .to = (uint16_t)chance(1440) };
		r->alert = chance(6) ? 0 : chance(2) ? RULE_ALERT_ANY : 1 + chance(3);
	}
	b->policy.rules.first = (uint16_t)chance(n / 2 + 1);
	b->policy.rules.n = (uint16_t)(1 + chance(n - b->policy.rules.first));
	b->policy.fence = random_prefixes();
	b->policy.black = random_prefixes();
	b->policy.allow = random_prefixes();
}

/* Addresses and ports at the edges of what rules name, where mistakes live. */
static void edge(uint8_t family, uint8_t a[16])
{
	random_addr(family, a);
	if (!b->pool.nprefixes || chance(4) == 0)
		return;
	const struct addr *net = &b->pool.prefixes[chance(b->pool.nprefixes)];
	if (net->family != family)
		return;
	struct addr last = addr_last(net);
	memcpy(a, chance(2) ? net->b : last.b, 16);
	unsigned end = family == 4 ? 3 : 15;
	a[end] = (uint8_t)(a[end] + chance(3) - 1);
}

static struct talk random_talk(void)
{
	static const uint8_t protos[] = { 6, 17, 1, 58, 47 };
	struct talk t = { .family = chance(2) ? 4 : 6,
			  .proto = chance(8) ? protos[chance(5)] : (uint8_t)chance(256),
			  .direction = (uint8_t)(1u << chance(3)),
			  .established = chance(2),
			  .slot = (uint16_t)(3 + chance(2)),
			  .alert = chance(2) ? chance(4) : 0 };
	t.has_ports = t.proto == 6 || t.proto == 17;
	edge(t.family, t.from);
	edge(t.family, t.to);
	for (unsigned i = 0; t.has_ports && i < 2; i++) {
		const struct port_range *r = b->pool.nranges ? &b->pool.ranges[chance(b->pool.nranges)] : NULL;
		uint16_t port = r ? (uint16_t)((chance(2) ? r->from : r->to) + chance(3) - 1) : (uint16_t)chance(65536);
		*(i ? &t.to_port : &t.from_port) = port;
	}
	return t;
}

static void as_the_naive_one(void **state)
{
	(void)state;
	unsigned found = 0, late = 0, listed = 0;
	srand(11);
	for (unsigned round = 0; round < 200; round++) {
		random_rules(1 + chance(round % 4 ? 40 : 300));
		load();
		for (unsigned i = 0; i < 400; i++) {
			struct talk t = random_talk();
			uint64_t wall = noon + (uint64_t)chance(7 * 86400) * SEC;
			uint16_t want = naive(&t, wall);
			assert_int_equal(rules_match(p->now, &t, wall), want);
			found += want != RULE_NONE;
			late += want != RULE_NONE && want >= 64;
			bool fenced = naive_in(b->policy.fence, t.family, t.to);
			assert_int_equal(rules_fenced(p->now, t.slot, t.family, t.to), fenced);
			assert_int_equal(rules_black(p->now, t.slot, t.family, t.to),
					 naive_in(b->policy.black, t.family, t.to));
			assert_int_equal(rules_allowed(p->now, t.slot, t.family, t.from),
					 naive_in(b->policy.allow, t.family, t.from));
			listed += fenced;
		}
	}
	print_message("%u matched, %u of them late, %u fenced\n", found, late, listed);
	assert_true(found > 5000 && late > 1000 && listed > 1000);
}

/* More different lists than there are bits for them. */
static void many_lists(void **state)
{
	(void)state;
	static struct gw_policy_entry entries[MODEL_HONEYPOTS];
	uint8_t a[16];
	for (unsigned i = 0; i < 200; i++) {
		char text[32];
		snprintf(text, sizeof(text), "203.0.113.%u", i);
		b->policy.fence = builder_prefixes(b, text);
		entries[i] =
		    (struct gw_policy_entry){ .port = (uint16_t)i, .honeypot = (uint16_t)i, .policy = b->policy };
	}
	assert_int_equal(policies_swap(p, &b->pool, entries, 200, 1, &e), 0);
	craft_addr("203.0.113.0", a);
	for (unsigned i = 0; i < 200; i++)
		for (unsigned k = 0; k < 200; k++) {
			a[3] = (uint8_t)k;
			assert_int_equal(rules_fenced(p->now, (uint16_t)i, 4, a), i == k);
		}
}

/* A full pool: every array is used to its end (with sanitizers: and no further). */
static void full_pool(void **state)
{
	(void)state;
	struct talk t = web();
	for (unsigned i = 0; i < POOL_PREFIXES; i++) {
		b->pool.prefixes[i] = (struct addr){ .family = i % 2 ? 4 : 6, .plen = 32 };
		b->pool.prefixes[i].b[0] = 20;
		b->pool.prefixes[i].b[1] = (uint8_t)(i >> 8);
		b->pool.prefixes[i].b[2] = (uint8_t)i;
		b->pool.prefixes[i].b[3] = 2;
	}
	b->pool.nprefixes = POOL_PREFIXES;
	for (unsigned i = 0; i < POOL_RANGES; i++)
		b->pool.ranges[i] = (struct port_range){ (uint16_t)(4 * i), (uint16_t)(4 * i + 1) };
	b->pool.nranges = POOL_RANGES;
	for (unsigned i = 0; i < POOL_RULES; i++) {
		struct rule *r = builder_rule(b, "", ACTION_DROP, RULE_OUT);
		r->from = r->to = (struct span){ (uint16_t)(4 * i), 4 };
		r->ports = r->sports = (struct span){ (uint16_t)(2 * i), 2 };
	}
	load();
	for (unsigned i = 1; i < POOL_PREFIXES; i += 2) {
		memcpy(t.to, b->pool.prefixes[i].b, 16);
		memcpy(t.from, b->pool.prefixes[i].b, 16);
		t.from_port = t.to_port = (uint16_t)(4 * (i / 2) + 1);
		assert_int_equal(rules_match(p->now, &t, noon), i / 4);
		t.to_port++;
		assert_int_equal(rules_match(p->now, &t, noon), RULE_NONE);
	}
}

/* The same name and per: the same window; anything else: another. */
static void windows_have_names(void **state)
{
	(void)state;
	struct rule x = { .name = "ssh out", .per = PER_DESTINATION }, y = x;
	y.limit.count = 7;
	y.proto = 6;
	assert_true(rules_window(&x) == rules_window(&y));
	y.per = PER_HONEYPOT;
	assert_false(rules_window(&x) == rules_window(&y));
	y = x;
	y.name[7] = '2';
	assert_false(rules_window(&x) == rules_window(&y));
	assert_true(rules_window(&x) >> 63);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(no_rules),      T(protocol_and_ports), T(addresses),
					    T(who_and_where), T(state_and_alert),    T(when),
					    T(first_match),   T(as_the_naive_one),   T(many_lists),
					    T(full_pool),     T(windows_have_names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
