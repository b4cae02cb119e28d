/* SPDX-License-Identifier: ISC */
/*
 * The order of decisions, and each of them, for IPv4 and IPv6, outwards,
 * sideways and inwards, for conversations that begin and for those that are
 * there when the policy changes.
 */
#include "tests.h"

#include "policies.h"

static struct world *w;
static struct policy_builder *b;

static int set_up(void **state)
{
	(void)state;
	w = world_new(3, NULL);
	b = malloc(sizeof(*b));
	builder_init(b);
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++)
		b->policy.outbound[i] = b->policy.lateral[i] = (struct limit){ LIMIT_UNLIMITED, 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	free(b);
	return 0;
}

static void apply(void)
{
	assert_int_equal(builder_apply(b, w, 3), 0);
}

/* Addresses of the one outside by number: 198.51.100.N, 2001:db8:9::N. */
static const char *outside(bool six, unsigned n)
{
	static char text[4][48];
	static unsigned turn;
	char *t = text[turn++ % 4];
	snprintf(t, 48, six ? "2001:db8:9::%x" : "198.51.100.%u", n);
	return t;
}

static const char *inside(bool six, unsigned pot)
{
	static char text[4][48];
	static unsigned turn;
	char *t = text[turn++ % 4];
	snprintf(t, 48, six ? "2001:db8::%u" : "192.0.2.%u", 10 + pot);
	return t;
}

static struct craft from_pot(bool six, unsigned to, uint16_t sport, uint8_t proto)
{
	return (struct craft){ .smac = world_mac(0),
			       .dmac = ROUTER_MAC,
			       .src = inside(six, 0),
			       .dst = outside(six, to),
			       .proto = proto,
			       .sport = sport,
			       .dport = 80,
			       .flags = proto == 6 ? TCP_SYN : 0 };
}

static uint8_t out(bool six, unsigned to, uint16_t sport, uint8_t proto)
{
	struct craft c = from_pot(six, to, sport, proto);
	return world_send(w, 0, &c);
}

/* The answer to it. */
static uint8_t back(bool six, unsigned to, uint16_t sport, uint8_t proto)
{
	struct craft c = { .smac = ROUTER_MAC,
			   .dmac = world_mac(0),
			   .src = outside(six, to),
			   .dst = inside(six, 0),
			   .proto = proto,
			   .sport = 80,
			   .dport = sport,
			   .flags = proto == 6 ? TCP_SYN | TCP_ACK : 0 };
	return world_send(w, WORLD_UPLINK, &c);
}

static uint8_t in(bool six, unsigned from, uint16_t sport, uint8_t proto)
{
	struct craft c = { .smac = ROUTER_MAC,
			   .dmac = world_mac(0),
			   .src = outside(six, from),
			   .dst = inside(six, 0),
			   .proto = proto,
			   .sport = sport,
			   .dport = 22,
			   .flags = proto == 6 ? TCP_SYN : 0 };
	return world_send(w, WORLD_UPLINK, &c);
}

static uint8_t sideways(bool six, unsigned pot, unsigned to, uint16_t sport)
{
	struct craft c = { .smac = world_mac(pot),
			   .dmac = world_mac(to),
			   .src = inside(six, pot),
			   .dst = inside(six, to),
			   .proto = 17,
			   .sport = sport,
			   .dport = 80 };
	return world_send(w, (uint16_t)pot, &c);
}

#define is(call, want) assert_string_equal(reason_name(call), reason_name(want))

static uint16_t rule_of_last(void)
{
	/* The newest flow of the table. */
	return w->g->flows.at[w->g->flows.high].rule;
}

/* ---- lists ----------------------------------------------------------------- */

static void fence_before_everything(void **state)
{
	(void)state;
	b->policy.fence = builder_prefixes(b, "198.51.100.64/26 2001:db8:9::40/122 192.0.2.11 2001:db8::11");
	b->policy.allow = builder_prefixes(b, "0.0.0.0/0 ::/0");
	builder_rule(b, "all", ACTION_ALLOW, RULE_ALL_DIRECTIONS);
	apply();
	for (int six = 0; six < 2; six++) {
		is(out(six, 64, 1000, 6), REASON_FENCED);
		is(out(six, 127, 1000, 17), REASON_FENCED);
		is(out(six, 63, 1000, 6), REASON_RULE);
		is(sideways(six, 0, 1, 5), REASON_FENCED);
		is(sideways(six, 0, 2, 5), REASON_RULE);
		/* what comes from there comes in, and gets no answer */
		is(in(six, 65, 4000, 17), REASON_RULE);
		struct craft c = from_pot(six, 65, 22, 17);
		c.dport = 4000;
		is(world_send(w, 0, &c), REASON_FENCED);
		/* nor does the neighbour on the list */
		is(sideways(six, 1, 0, 9), REASON_RULE);
		struct craft r = { .smac = world_mac(0),
				   .dmac = world_mac(1),
				   .src = inside(six, 0),
				   .dst = inside(six, 1),
				   .proto = 17,
				   .sport = 80,
				   .dport = 9 };
		is(world_send(w, 0, &r), REASON_FENCED);
	}
	/* before the allow list, without any rule */
	b->policy.rules.n = 0;
	apply();
	is(out(false, 70, 2000, 6), REASON_FENCED);
	is(out(false, 1, 2000, 6), REASON_ALLOW_LIST);
}

/* A reload puts a destination on the list: what was open goes no further. */
static void fence_holds_for_open_flows(void **state)
{
	(void)state;
	for (int six = 0; six < 2; six++) {
		b->policy.fence = (struct span){ 0 };
		apply();
		is(out(six, 7, 1000, 17), REASON_OUTBOUND);
		is(back(six, 7, 1000, 17), REASON_REPLY);
		b->policy.fence = builder_prefixes(b, "198.51.100.7 2001:db8:9::7");
		apply();
		is(out(six, 7, 1000, 17), REASON_FENCED);
	}
}

static void black_both_ways(void **state)
{
	(void)state;
	builder_rule(b, "all", ACTION_ALLOW, RULE_ALL_DIRECTIONS);
	apply();
	is(out(false, 9, 77, 17), REASON_RULE);
	b->policy.black = builder_prefixes(b, "198.51.100.9 2001:db8:9::9 192.0.2.12 2001:db8::12");
	apply();
	is(out(false, 9, 77, 17), REASON_BLACKLISTED); /* known */
	is(back(false, 9, 77, 17), REASON_BLACKLISTED);
	for (int six = 0; six < 2; six++) {
		is(out(six, 9, 1000, 6), REASON_BLACKLISTED);
		is(in(six, 9, 4000, 6), REASON_BLACKLISTED);
		is(in(six, 8, 4000, 6), REASON_RULE);
		is(sideways(six, 0, 2, 5), REASON_BLACKLISTED);
	}
	/* A honeypot's own list keeps its neighbours out. */
	static struct gw_policy_entry e[3];
	for (uint16_t i = 0; i < 3; i++) {
		e[i] = (struct gw_policy_entry){ .port = i, .honeypot = i, .policy = b->policy };
		e[i].policy.black.n = 0;
	}
	e[1].policy.black = builder_prefixes(b, "192.0.2.10");
	assert_int_equal(policies_swap(&w->g->policies, &b->pool, e, 3, 2, NULL), 0);
	is(sideways(false, 0, 1, 6), REASON_BLACKLISTED);
	is(sideways(false, 0, 2, 6), REASON_RULE);
	is(sideways(false, 1, 0, 6), REASON_BLACKLISTED);
}

/* Errors about known conversations come from anybody on the way, but not from there. */
static void black_routers(void **state)
{
	(void)state;
	static uint8_t inner[CRAFT_MAX];
	b->policy.black = builder_prefixes(b, "203.0.113.1");
	apply();
	is(out(false, 7, 5000, 17), REASON_OUTBOUND);
	struct craft c = from_pot(false, 7, 5000, 17);
	craft(&c, inner);
	struct craft error = { IN, .src = "203.0.113.1", .proto = 1, .icmp_type = 3, .icmp_code = 1, .payload = 28 };
	error.data = inner + 14;
	is(world_send(w, WORLD_UPLINK, &error), REASON_BLACKLISTED);
	error.src = "203.0.113.2";
	is(world_send(w, WORLD_UPLINK, &error), REASON_RELATED_ERROR);
}

static void roach_motel(void **state)
{
	(void)state;
	builder_rule(b, "all", ACTION_ALLOW, RULE_ALL_DIRECTIONS);
	b->policy.allow = builder_prefixes(b, "0.0.0.0/0 ::/0");
	apply();
	is(out(false, 7, 77, 17), REASON_RULE);
	b->policy.roach_motel = 1;
	apply();
	is(out(false, 7, 77, 17), REASON_ROACH_MOTEL); /* open before */
	for (int six = 0; six < 2; six++) {
		is(out(six, 7, 1000, 6), REASON_ROACH_MOTEL);
		is(sideways(six, 0, 1, 5), REASON_ROACH_MOTEL);
		is(in(six, 7, 4000, 17), REASON_RULE);
		struct craft c = from_pot(six, 7, 22, 17);
		c.dport = 4000;
		is(world_send(w, 0, &c), REASON_REPLY);
	}
}

static void allow_list(void **state)
{
	(void)state;
	b->policy.outbound[LIMIT_CLASS_TCP] = (struct limit){ 1, 60 };
	b->policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ 0, 0 };
	b->policy.per_destination[LIMIT_CLASS_TCP] = (struct limit){ 1, 60 };
	b->policy.fan_out = (struct limit){ 1, 60 };
	b->policy.allow = builder_prefixes(b, "198.51.100.7 2001:db8:9::7");
	struct rule *r = builder_rule(b, "no smtp", ACTION_DROP, RULE_OUT);
	r->ports = builder_ports(b, "25");
	apply();
	for (int six = 0; six < 2; six++)
		for (uint16_t i = 0; i < 5; i++) {
			is(out(six, 7, 1000 + i, 6), REASON_ALLOW_LIST);
			is(out(six, 7, 1000 + i, 17), REASON_ALLOW_LIST);
		}
	struct craft c = from_pot(false, 7, 1, 6);
	c.dport = 25;
	is(world_send(w, 0, &c), REASON_RULE); /* rules come first */
	is(out(false, 8, 1000, 17), REASON_DENIED);
	is(out(false, 8, 1000, 6), REASON_OUTBOUND); /* nothing was counted */
	is(out(false, 8, 1001, 6), REASON_LIMIT_TCP);
}

/* ---- rules ----------------------------------------------------------------- */

static void drop_and_reset(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "no web", ACTION_DROP, RULE_OUT);
	r->has_proto = 1;
	r->proto = 6;
	r = builder_rule(b, "refuse", ACTION_RESET, RULE_OUT | RULE_LATERAL);
	b->policy.rules.n = 0;
	apply();
	is(out(false, 7, 1000, 6), REASON_OUTBOUND);
	is(out(false, 7, 1000, 17), REASON_OUTBOUND);
	b->policy.rules.n = 2;
	apply();
	for (int six = 0; six < 2; six++) {
		is(out(six, 7, 1000, 6), REASON_RULE);
		assert_int_equal(w->verdict, VERDICT_DROP);
		is(out(six, 7, 1000, 17), REASON_RULE);
		assert_int_equal(w->verdict, VERDICT_RESET);
		assert_int_equal(w->sent, 0);
		is(sideways(six, 0, 1, 6), REASON_RULE);
		assert_int_equal(w->verdict, VERDICT_RESET);
	}
	/* What comes back on such a conversation is dropped, without a word. */
	is(back(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
	assert_int_equal(w->made, 0);
	is(back(false, 7, 1000, 6), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
}

static void limit_per_honeypot(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "some", ACTION_LIMIT, RULE_OUT);
	r->limit = (struct limit){ 3, 60 };
	apply();
	for (uint16_t i = 0; i < 6; i++)
		is(out(i % 2, 1 + i, 1000 + i, 17), i < 3 ? REASON_RULE : REASON_LIMIT_RULE);
	is(out(false, 1, 1000, 17), REASON_RULE); /* goes on */
	is(back(false, 1, 1000, 17), REASON_REPLY);
	/* the other one has its own */
	struct craft c = from_pot(false, 7, 1, 17);
	c.smac = world_mac(1);
	c.src = inside(false, 1);
	is(world_send(w, 1, &c), REASON_RULE);
	world_pass(w, 60 * SEC);
	is(out(false, 9, 2000, 17), REASON_LIMIT_RULE);
	world_pass(w, 1);
	for (uint16_t i = 0; i < 6; i++)
		is(out(false, 9, 2000 + i, 17), i < 3 ? REASON_RULE : REASON_LIMIT_RULE);
}

static void limit_per_destination(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "some", ACTION_LIMIT, RULE_OUT);
	r->limit = (struct limit){ 2, 60 };
	r->per = PER_DESTINATION;
	apply();
	for (int six = 0; six < 2; six++)
		for (unsigned to = 1; to < 20; to++)
			for (uint16_t i = 0; i < 4; i++)
				is(out(six, to, 1000 + i, 17), i < 2 ? REASON_RULE : REASON_LIMIT_RULE);
}

static void limit_per_source(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "guessing", ACTION_LIMIT, RULE_IN);
	r->limit = (struct limit){ 2, 60 };
	r->per = PER_SOURCE;
	apply();
	for (int six = 0; six < 2; six++)
		for (unsigned from = 1; from < 20; from++)
			for (uint16_t i = 0; i < 4; i++)
				is(in(six, from, 1000 + i, 6), i < 2 ? REASON_RULE : REASON_LIMIT_RULE);
}

static void limit_of_the_honeynet(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "together", ACTION_LIMIT, RULE_LATERAL);
	r->limit = (struct limit){ 3, 60 };
	r->per = PER_HONEYNET;
	apply();
	is(sideways(false, 0, 1, 1), REASON_RULE);
	is(sideways(true, 1, 2, 1), REASON_RULE);
	is(sideways(false, 2, 0, 1), REASON_RULE);
	is(sideways(false, 0, 2, 1), REASON_LIMIT_RULE);
	is(sideways(true, 2, 1, 1), REASON_LIMIT_RULE);
}

/* Same name, same per: the same window after a reload, wherever the rule stands.
 * A conversation that another window admitted is charged when this one takes over. */
static void windows_survive_a_reload(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "web", ACTION_LIMIT, RULE_OUT);
	r->limit = (struct limit){ 3, 60 };
	apply();
	for (uint16_t i = 0; i < 3; i++)
		is(out(false, 7, 1000 + i, 17), REASON_RULE);
	builder_init(b);
	builder_rule(b, "no ssh", ACTION_DROP, RULE_IN);
	r = builder_rule(b, "web", ACTION_LIMIT, RULE_OUT);
	r->limit = (struct limit){ 4, 60 };
	apply();
	is(out(false, 7, 1000, 17), REASON_RULE); /* counted already */
	is(out(false, 7, 1003, 17), REASON_RULE);
	is(out(false, 7, 1004, 17), REASON_LIMIT_RULE);
	/* the class knows nothing of them; now it counts them */
	b->policy.rules.n = 0;
	b->policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ 2, 60 };
	apply();
	is(out(false, 7, 1000, 17), REASON_OUTBOUND);
	is(out(false, 7, 1001, 17), REASON_OUTBOUND);
	is(out(false, 7, 1002, 17), REASON_LIMIT_UDP);
	is(out(false, 7, 1000, 17), REASON_OUTBOUND);
	is(out(false, 7, 1009, 17), REASON_LIMIT_UDP);
}

static void first_packets(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "taste", ACTION_FIRST, RULE_OUT | RULE_IN);
	r->first.packets = 5;
	apply();
	for (int six = 0; six < 2; six++) {
		for (unsigned i = 0; i < 10; i++)
			is(i % 2 ? back(six, 7, 1000, 17) : out(six, 7, 1000, 17), i >= 5  ? REASON_LIMIT_FIRST
										   : i % 2 ? REASON_REPLY
											   : REASON_RULE);
		is(out(six, 7, 1001, 17), REASON_RULE); /* each its own */
		for (unsigned i = 0; i < 10; i++)
			is(in(six, 7, 4000, 17), i < 5 ? REASON_RULE : REASON_LIMIT_FIRST);
	}
}

static void first_bytes(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "taste", ACTION_FIRST, RULE_OUT);
	r->first.bytes = 1000;
	apply();
	struct craft c = from_pot(false, 7, 1000, 17);
	uint64_t sent = 0;
	c.payload = 158; /* 200 bytes */
	for (unsigned i = 0; i < 20; i++) {
		world_send(w, 0, &c);
		sent += w->sent ? w->n : 0;
	}
	assert_int_equal(sent, 1000);
	assert_reason(w, REASON_LIMIT_FIRST);
	c.sport++;
	c.payload = 159;
	for (unsigned i = 0; i < 20; i++) {
		world_send(w, 0, &c);
		sent += w->sent ? w->n : 0;
	}
	assert_int_equal(sent, 1804);
	c.sport++;
	c.payload = 1000;
	world_send(w, 0, &c); /* more than that at once: nothing, and no flow */
	assert_reason(w, REASON_LIMIT_FIRST);
	assert_int_equal(w->g->flows.count, 2);
}

static void rewrites(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "blunt", ACTION_REWRITE, RULE_OUT);
	r->rewrites.n = 1;
	b->pool.nrewrites = 1;
	b->pool.rewrites[0] = (struct rewrite){ .n = 4, .from = "/bin", .to = "/nib" };
	apply();
	struct craft c = from_pot(false, 7, 1000, 17);
	c.payload = 9;
	c.data = (const uint8_t *)"run /bin!";
	is(world_send(w, 0, &c), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_REWRITE);
	assert_memory_equal(w->last + w->last_n - 9, "run /nib!", 9);
	assert_int_equal(w->g->flows.at[1].rule, 0);
}

/* A state or an alert that comes later is seen at the next frame. */
static void state_and_alert(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "bad", ACTION_DROP, RULE_ALL_DIRECTIONS);
	r->alert = RULE_ALERT_ANY;
	r = builder_rule(b, "young", ACTION_ALLOW, RULE_OUT);
	r->state = RULE_STATE_NEW;
	r = builder_rule(b, "old", ACTION_LIMIT, RULE_OUT);
	r->state = RULE_STATE_ESTABLISHED;
	r->limit = (struct limit){ 1, 60 };
	apply();
	is(out(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(rule_of_last(), 1);
	is(back(false, 7, 1000, 17), REASON_REPLY);
	is(out(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(rule_of_last(), 2);
	is(out(false, 7, 1001, 17), REASON_RULE);
	is(back(false, 7, 1001, 17), REASON_REPLY);
	is(out(false, 7, 1001, 17), REASON_LIMIT_RULE); /* one may grow old */
	is(out(false, 7, 1000, 17), REASON_RULE);
	w->g->flows.at[1].alert = 2001219;
	is(out(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
	is(back(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
	/* inwards */
	is(in(false, 7, 4000, 17), REASON_INBOUND);
	w->g->flows.at[w->g->flows.high].alert = 5;
	is(in(false, 7, 4000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
}

static void time_windows(void **state)
{
	(void)state;
	struct rule *r = builder_rule(b, "office hours", ACTION_ALLOW, RULE_OUT);
	r->when = (struct when){ .days = 0x7f, .from = 480, .to = 1080 };
	builder_rule(b, "else", ACTION_DROP, RULE_OUT);
	uint64_t day = 86400 * SEC, now = w->now;
	w->g->wall = 20000 * day + 1079 * 60 * SEC - now; /* 17:59:00 */
	apply();
	is(out(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_FORWARD);
	w->now += 59 * SEC;
	is(out(false, 7, 1000, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_FORWARD);
	w->now += SEC;
	is(out(false, 7, 1000, 17), REASON_RULE); /* the open one ends, too */
	assert_int_equal(w->verdict, VERDICT_DROP);
	is(out(false, 7, 1001, 17), REASON_RULE);
	assert_int_equal(w->verdict, VERDICT_DROP);
}

/* Broadcasts of the uplink reach those whose policy lets them in. */
static void what_is_heard(void **state)
{
	(void)state;
	struct craft c = { IN,           .dmac = "ff:ff:ff:ff:ff:ff", .dst = "192.0.2.255", .proto = 17, .sport = 5353,
			   .dport = 5353 };
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 3);
	struct rule *r = builder_rule(b, "no mdns", ACTION_DROP, RULE_IN);
	r->ports = builder_ports(b, "5353");
	r->honeypots[0] = 1;
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 2);
	r->honeypots[0] = 0;
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 0);
	c.dport++;
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 3);
	b->policy.black = builder_prefixes(b, "198.51.100.7");
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 0);
	b->policy.black.n = 0;
	b->policy.inbound_deny = 1;
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 0);
	r->action = ACTION_ALLOW; /* by name, what is closed otherwise */
	c.dport--;
	c.sport++; /* another frame: the world remembers what nobody heard */
	apply();
	world_send(w, WORLD_UPLINK, &c);
	assert_int_equal(w->sent, 3);
}

/* ---- limits that narrow ------------------------------------------------------ */

static void per_destination(void **state)
{
	(void)state;
	b->policy.per_destination[LIMIT_CLASS_UDP] = (struct limit){ 2, 60 };
	builder_rule(b, "web", ACTION_ALLOW, RULE_OUT)->ports = builder_ports(b, "80");
	apply();
	for (int six = 0; six < 2; six++)
		for (unsigned to = 1; to < 9; to++)
			for (uint16_t i = 0; i < 4; i++) {
				struct craft c = from_pot(six, to, 1000 + i, 17);
				c.dport = i % 2 ? 80 : 81; /* by the rule, and by the class */
				is(world_send(w, 0, &c), i >= 2  ? REASON_LIMIT_DESTINATION
							 : i % 2 ? REASON_RULE
								 : REASON_OUTBOUND);
				is(out(six, to, 1000 + i, 6), REASON_RULE); /* another class */
			}
	for (uint16_t i = 0; i < 4; i++)
		is(sideways(false, 0, 1, i), i < 2 ? REASON_LATERAL : REASON_LIMIT_DESTINATION);
}

static void fan_out(void **state)
{
	(void)state;
	b->policy.fan_out = (struct limit){ 5, 60 };
	apply();
	for (uint16_t turn = 0; turn < 3; turn++)
		for (unsigned to = 0; to < 8; to++)
			is(out(to % 2, to, 1000 + turn, 6), to < 5 ? REASON_OUTBOUND : REASON_LIMIT_FAN_OUT);
	is(sideways(false, 0, 1, 1), REASON_LIMIT_FAN_OUT);
	world_pass(w, 30 * SEC);
	is(out(false, 4, 2000, 17), REASON_OUTBOUND); /* counts anew from here */
	world_pass(w, 30 * SEC + 1);
	for (unsigned to = 20; to < 26; to++)
		is(out(false, to, 1000, 17), to < 24 ? REASON_OUTBOUND : REASON_LIMIT_FAN_OUT);
}

static void concurrent(void **state)
{
	(void)state;
	b->policy.concurrent = 3;
	apply();
	for (uint16_t i = 0; i < 5; i++)
		is(out(i % 2, 1 + i, 1000, 17), i < 3 ? REASON_OUTBOUND : REASON_LIMIT_CONCURRENT);
	is(sideways(false, 0, 1, 1), REASON_LIMIT_CONCURRENT);
	for (uint16_t i = 0; i < 9; i++)
		is(in(false, 1, 4000 + i, 17), REASON_INBOUND); /* theirs do not count */
	world_pass(w, 40 * SEC);                                /* UDP without an answer ends after 30 s */
	for (uint16_t i = 0; i < 5; i++)
		is(out(false, 1 + i, 2000, 17), i < 3 ? REASON_OUTBOUND : REASON_LIMIT_CONCURRENT);
	assert_int_equal(w->g->ports[0].own, 3);
	world_port_del(w, 0);
	static const char *const addrs[] = { "192.0.2.10/24", NULL };
	world_port(w, 0, 0, "pot0", world_mac(0), addrs, WORLD_RING);
	assert_int_equal(w->g->ports[0].own, 0);
	is(out(false, 1, 3000, 17), REASON_OUTBOUND);
}

static void per_source(void **state)
{
	(void)state;
	b->policy.per_source[LIMIT_CLASS_TCP] = (struct limit){ 3, 60 };
	b->policy.per_source[LIMIT_CLASS_ICMP] = (struct limit){ 1, 60 };
	builder_rule(b, "ssh", ACTION_ALLOW, RULE_IN)->ports = builder_ports(b, "22");
	apply();
	for (int six = 0; six < 2; six++)
		for (unsigned from = 1; from < 9; from++)
			for (uint16_t i = 0; i < 5; i++) {
				is(in(six, from, 4000 + i, 6), i < 3 ? REASON_RULE : REASON_LIMIT_SOURCE);
				is(in(six, from, 4000 + i, 17), REASON_RULE);
			}
	FROM_UP(IN, .proto = 1, .icmp_type = 8, .icmp_id = 1);
	assert_forwarded(w, REASON_INBOUND);
	FROM_UP(IN, .proto = 1, .icmp_type = 8, .icmp_id = 2);
	assert_dropped(w, REASON_LIMIT_SOURCE);
}

/* A crash of the VMM buys nothing; another honeypot in its place begins afresh. */
static void keyed_windows_outlive_the_port(void **state)
{
	(void)state;
	static const char *const addrs[] = { "192.0.2.10/24", NULL };
	b->policy.per_destination[LIMIT_CLASS_UDP] = (struct limit){ 1, 600 };
	apply();
	is(out(false, 7, 1000, 17), REASON_OUTBOUND);
	world_port_del(w, 0);
	world_port(w, 0, 0, "pot0", world_mac(0), addrs, WORLD_RING);
	is(out(false, 7, 1001, 17), REASON_LIMIT_DESTINATION);
	world_port_del(w, 0);
	world_port(w, 0, 0, "other", world_mac(0), addrs, WORLD_RING);
	apply();
	is(out(false, 7, 1001, 17), REASON_OUTBOUND);
}

/* A denied attempt uses up nothing, of any limit. */
static void denied_is_free(void **state)
{
	(void)state;
	b->policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ 2, 60 };
	b->policy.per_destination[LIMIT_CLASS_UDP] = (struct limit){ 1, 60 };
	b->policy.fan_out = (struct limit){ 2, 60 };
	apply();
	is(out(false, 1, 1000, 17), REASON_OUTBOUND);
	for (uint16_t i = 0; i < 50; i++)
		is(out(false, 1, 1001 + i, 17), REASON_LIMIT_DESTINATION);
	struct craft odd = from_pot(false, 2, 1, 6);
	odd.flags = TCP_ACK;
	for (uint16_t i = 0; i < 50; i++)
		is(world_send(w, 0, &odd), REASON_NO_FLOW);
	is(out(false, 2, 1000, 17), REASON_OUTBOUND);
	for (uint16_t i = 0; i < 50; i++)
		is(out(false, 3, 1000 + i, 17), REASON_LIMIT_UDP);
	assert_int_equal(w->g->limits.windows, 4);
	/* no room to count: refused, with its own reason */
	w->g->limits.windows_share = 4;
	b->policy.outbound[LIMIT_CLASS_UDP].count = 100;
	b->policy.fan_out.count = 100;
	apply();
	is(out(false, 3, 1000, 17), REASON_LIMIT_TABLE);
	is(out(false, 1, 1000, 17), REASON_OUTBOUND);
}

/* A limit with jitter is met earlier, never later, and not always at the same count. */
static void jittered(void **state)
{
	(void)state;
	b->policy.jitter = 40;
	b->policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ 10, 60 };
	b->policy.per_source[LIMIT_CLASS_UDP] = (struct limit){ 10, 60 };
	apply();
	unsigned seen[12] = { 0 }, kinds = 0, seen_in[12] = { 0 };
	for (unsigned round = 0; round < 40; round++) {
		unsigned n = 0, m = 0;
		for (uint16_t i = 0; i < 15; i++) {
			n += out(false, 7, (uint16_t)(1000 + i), 17) == REASON_OUTBOUND;
			m += in(false, round, (uint16_t)(1000 + i), 17) == REASON_INBOUND;
		}
		assert_in_range(n, 6, 10);
		assert_in_range(m, 6, 10);
		seen[n]++;
		seen_in[m]++;
		world_pass(w, 61 * SEC);
	}
	for (unsigned i = 6; i <= 10; i++)
		kinds += (seen[i] > 0) + (seen_in[i] > 0);
	assert_true(kinds >= 6);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(fence_before_everything),
		T(fence_holds_for_open_flows),
		T(black_both_ways),
		T(black_routers),
		T(roach_motel),
		T(allow_list),
		T(drop_and_reset),
		T(limit_per_honeypot),
		T(limit_per_destination),
		T(limit_per_source),
		T(limit_of_the_honeynet),
		T(windows_survive_a_reload),
		T(first_packets),
		T(first_bytes),
		T(rewrites),
		T(state_and_alert),
		T(time_windows),
		T(what_is_heard),
		T(per_destination),
		T(fan_out),
		T(concurrent),
		T(per_source),
		T(keyed_windows_outlive_the_port),
		T(denied_is_free),
		T(jittered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
