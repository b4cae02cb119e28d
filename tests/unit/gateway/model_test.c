/* SPDX-License-Identifier: ISC */
/*
 * Random traffic and random policies - rules, lists, limits of every kind,
 * jitter, reloads - against a model that remembers every conversation that
 * passed and counts. It shares nothing with the gateway but the meaning of
 * model/policy.h.
 *
 * Always: whenever a conversation is let through, no window of any limit that
 * holds for it, ending now, contains more than the limit. As long as there was
 * neither jitter nor a reload the model also knows what must pass: the gateway
 * is as strict as the policy and no stricter.
 */
#include "tests.h"

#include "policies.h"

#define STEPS 4000
#define PEERS 8
#define RULES 6
#define TALKS 4096

enum direction { DIR_OUT, DIR_LATERAL, DIR_IN };

/* One conversation that passed once. Addresses are numbers: honeypots 0 and 1,
 * peers from 10; each in both families. */
struct talk_model {
	bool six, icmp;
	unsigned from, to;
	uint16_t sport, dport;
	enum direction dir;
	uint64_t packets;
	int window; /* what it was charged to last */
	bool narrowed, counted;
	unsigned asked; /* by which policy */
};
static struct talk_model talks[TALKS];
static size_t ntalks;

enum { WINDOW_FREE = -1, WINDOW_LIST = -2, WINDOW_INWARD = -3, WINDOW_CLASS = 100 /* + class + 2 * lateral */ };

/* One event in one window. */
struct event {
	uint64_t at;
	enum { RULE_EVENT, CLASS_EVENT, DEST_EVENT, SOURCE_EVENT, FAN_EVENT } kind;
	unsigned what, slot, addr; /* addr: number * 2 + family */
};
static struct event events[8 * STEPS];
static size_t nevents;

static struct {
	uint8_t action, per, directions;
	uint16_t from, to; /* ports */
	bool tcp_or_udp_only;
	struct limit limit;
	unsigned first;
} rules[RULES];
static unsigned order[RULES], nrules;
static unsigned fenced, black, allowed; /* bits of peers */
static struct policy pol;
static struct world *w;
static unsigned own[2], loads;

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n;
}

/* ---- the model ------------------------------------------------------------- */

static size_t count(const struct event *e, uint64_t now, uint32_t seconds)
{
	size_t n = 0;
	for (size_t i = nevents; i-- > 0 && now - events[i].at <= seconds * SEC;)
		n += events[i].kind == e->kind && events[i].what == e->what && events[i].slot == e->slot &&
		     events[i].addr == e->addr;
	return n;
}

static size_t count_addresses(unsigned slot, uint64_t now, uint32_t seconds, unsigned and_this)
{
	bool seen[64] = { 0 };
	size_t n = 0;
	seen[and_this] = true;
	for (size_t i = nevents; i-- > 0 && now - events[i].at <= seconds * SEC;)
		if (events[i].kind == FAN_EVENT && events[i].slot == slot)
			seen[events[i].addr] = true;
	for (unsigned i = 0; i < 64; i++)
		n += seen[i];
	return n;
}

static bool listed(unsigned list, unsigned number)
{
	return number >= 10 && (list >> (number - 10) & 1);
}

struct opinion {
	bool denied;
	int window;
	int rule;
};

static struct opinion opinion_of(const struct talk_model *t)
{
	struct opinion o = { .rule = -1 };
	unsigned peer = t->dir == DIR_IN ? t->from : t->to;
	o.denied = listed(black, peer) || (t->dir != DIR_IN && listed(fenced, peer));
	if (o.denied)
		return o;
	for (unsigned i = 0; i < nrules; i++) {
		unsigned r = order[i];
		if (!(rules[r].directions & (t->dir == DIR_OUT ? RULE_OUT : t->dir == DIR_IN ? RULE_IN : RULE_LATERAL)))
			continue;
		if (rules[r].tcp_or_udp_only && (t->icmp || t->dport < rules[r].from || t->dport > rules[r].to))
			continue;
		o.rule = (int)r;
		o.denied = rules[r].action == ACTION_DROP;
		o.window = rules[r].action == ACTION_LIMIT ? (int)r : WINDOW_FREE;
		return o;
	}
	if (t->dir != DIR_IN && listed(allowed, peer)) {
		o.window = WINDOW_LIST;
		return o;
	}
	if (t->dir == DIR_IN) {
		o.denied = pol.inbound_deny;
		o.window = WINDOW_INWARD;
		return o;
	}
	enum limit_class class = t->icmp ? LIMIT_CLASS_ICMP : LIMIT_CLASS_UDP;
	o.window = WINDOW_CLASS + t->icmp + 2 * (t->dir == DIR_LATERAL);
	o.denied = (t->dir == DIR_LATERAL ? pol.lateral : pol.outbound)[class].count == 0;
	return o;
}

static unsigned slot_of(const struct talk_model *t)
{
	return t->dir == DIR_IN ? t->to : t->from;
}

static unsigned number(unsigned addr, bool six)
{
	return addr * 2 + six;
}

/* What the conversation is counted by if it passes now: at most four events. */
static unsigned charges_of(const struct talk_model *t, const struct opinion *o, struct event e[4], struct limit l[4])
{
	enum limit_class class = t->icmp ? LIMIT_CLASS_ICMP : LIMIT_CLASS_UDP;
	unsigned n = 0, slot = slot_of(t);
	if (o->window >= WINDOW_CLASS) {
		e[n] = (struct event){ .kind = CLASS_EVENT, .what = (unsigned)o->window, .slot = slot };
		l[n++] = t->dir == DIR_LATERAL ? pol.lateral[class] : pol.outbound[class];
	} else if (o->window >= 0) {
		unsigned per = rules[o->window].per;
		e[n] = (struct event){ .kind = RULE_EVENT, .what = (unsigned)o->window };
		e[n].slot = per == PER_HONEYNET ? 99 : slot;
		e[n].addr = per == PER_DESTINATION ? number(t->to, t->six)
			    : per == PER_SOURCE    ? number(t->from, t->six)
						   : 0;
		l[n++] = rules[o->window].limit;
	}
	if (o->window == WINDOW_LIST || t->narrowed)
		return n;
	if (t->dir == DIR_IN) {
		if (pol.per_source[class].count) {
			e[n] = (struct event){
				.kind = SOURCE_EVENT, .what = class, .slot = slot, .addr = number(t->from, t->six)
			};
			l[n++] = pol.per_source[class];
		}
		return n;
	}
	if (pol.per_destination[class].count) {
		e[n] = (struct event){ .kind = DEST_EVENT, .what = class, .slot = slot, .addr = number(t->to, t->six) };
		l[n++] = pol.per_destination[class];
	}
	if (pol.fan_out.count) {
		e[n] = (struct event){ .kind = FAN_EVENT, .slot = slot, .addr = number(t->to, t->six) };
		l[n++] = pol.fan_out;
	}
	return n;
}

/* Would every limit hold if it passed now? */
static bool within(const struct talk_model *t, const struct opinion *o)
{
	struct event e[4];
	struct limit l[4];
	unsigned n = charges_of(t, o, e, l);
	for (unsigned i = 0; i < n; i++) {
		if (l[i].count == LIMIT_UNLIMITED)
			continue;
		if (e[i].kind == FAN_EVENT ? count_addresses(e[i].slot, w->now, l[i].seconds, e[i].addr) > l[i].count
					   : count(&e[i], w->now, l[i].seconds) + 1 > l[i].count)
			return false;
	}
	/* The allow list is outside of this one, too, but what it let out counts. */
	bool counts = t->dir != DIR_IN && !t->counted && o->window != WINDOW_LIST && !t->narrowed;
	return !counts || !pol.concurrent || own[t->from] < pol.concurrent;
}

static void passed(struct talk_model *t, const struct opinion *o)
{
	struct event e[4];
	struct limit l[4];
	unsigned n = charges_of(t, o, e, l);
	for (unsigned i = 0; i < n; i++) {
		e[i].at = w->now;
		events[nevents++] = e[i];
	}
	t->window = o->window;
	t->narrowed |= o->window != WINDOW_LIST;
	if (t->dir != DIR_IN && !t->counted)
		own[t->from]++;
	t->counted |= t->dir != DIR_IN;
}

static struct talk_model *lookup(const struct talk_model *t)
{
	for (size_t i = 0; i < ntalks; i++)
		if (talks[i].six == t->six && talks[i].icmp == t->icmp && talks[i].from == t->from &&
		    talks[i].to == t->to && talks[i].sport == t->sport && talks[i].dport == t->dport)
			return &talks[i];
	return NULL;
}

/* ---- policies -------------------------------------------------------------- */

static struct limit some(unsigned most)
{
	return (struct limit){ 1 + chance(most), 1 + chance(4) };
}

static void prefixes(struct policy_builder *b, struct span *s, unsigned list)
{
	char text[512] = "";
	for (unsigned i = 0; i < PEERS; i++)
		if (list >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "198.51.100.%u 2001:db8:9::%x ",
				 10 + i, 10 + i);
	*s = builder_prefixes(b, text);
}

static void change_limits(void)
{
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++) {
		pol.outbound[i] = chance(5) ? some(20) : (struct limit){ chance(2) ? LIMIT_UNLIMITED : 0, 0 };
		pol.lateral[i] = chance(5) ? some(12) : (struct limit){ chance(2) ? LIMIT_UNLIMITED : 0, 0 };
		pol.per_destination[i] = chance(2) ? some(5) : (struct limit){ 0 };
		pol.per_source[i] = chance(2) ? some(5) : (struct limit){ 0 };
	}
	pol.fan_out = chance(2) ? some(8) : (struct limit){ 0 };
	pol.concurrent = chance(3) ? 0 : 20 + chance(200);
	pol.inbound_deny = chance(5) == 0;
	fenced = chance(256) & chance(256) & chance(256);
	black = chance(256) & chance(256) & chance(256) & chance(256);
	allowed = chance(256) & chance(256) & chance(256);
	nrules = chance(RULES);
	for (unsigned i = 0; i < RULES; i++)
		order[i] = i;
	for (unsigned i = 0; i < RULES; i++) {
		unsigned k = chance(RULES), x = order[i];
		order[i] = order[k];
		order[k] = x;
		rules[i].action =
		    (uint8_t[]){ ACTION_LIMIT, ACTION_LIMIT, ACTION_FIRST, ACTION_ALLOW, ACTION_DROP }[chance(5)];
		rules[i].directions = (uint8_t)(1 + chance(7));
		rules[i].tcp_or_udp_only = chance(5);
		rules[i].from = (uint16_t)(50 + chance(8));
		rules[i].to = (uint16_t)(rules[i].from + chance(3));
		rules[i].limit = some(8);
		rules[i].first = 1 + chance(6);
		rules[i].per = (uint8_t)(i % PER_COUNT); /* of a name, it stays: so does its window */
	}
}

static void load(void)
{
	static struct policy_builder b;
	builder_init(&b);
	b.policy = pol;
	prefixes(&b, &b.policy.fence, fenced);
	prefixes(&b, &b.policy.black, black);
	prefixes(&b, &b.policy.allow, allowed);
	for (unsigned i = 0; i < nrules; i++) {
		unsigned k = order[i];
		char name[8], ports[24];
		snprintf(name, sizeof(name), "rule %u", k);
		snprintf(ports, sizeof(ports), "%u-%u", rules[k].from, rules[k].to);
		struct rule *r = builder_rule(&b, name, rules[k].action, rules[k].directions);
		r->limit = rules[k].limit;
		r->per = rules[k].per;
		r->first.packets = rules[k].first;
		if (rules[k].tcp_or_udp_only)
			r->ports = builder_ports(&b, ports);
	}
	b.policy.rules.n = (uint16_t)nrules;
	assert_int_equal(builder_apply(&b, w, 2), 0);
	loads++;
}

/* ---- traffic --------------------------------------------------------------- */

static const char *text_of(unsigned addr, bool six)
{
	static char text[4][48];
	static unsigned turn;
	char *t = text[turn++ % 4];
	if (addr < 10)
		snprintf(t, 48, six ? "2001:db8::%u" : "192.0.2.%u", 10 + addr);
	else
		snprintf(t, 48, six ? "2001:db8:9::%x" : "198.51.100.%u", addr);
	return t;
}

static struct talk_model random_talk(void)
{
	struct talk_model t = { .six = chance(2), .icmp = chance(5) == 0, .window = -99 };
	unsigned what = chance(4);
	t.dir = what < 2 ? DIR_OUT : what == 2 ? DIR_LATERAL : DIR_IN;
	t.from = t.dir == DIR_IN ? 10 + chance(PEERS) : chance(2);
	t.to = t.dir == DIR_OUT ? 10 + chance(PEERS) : t.dir == DIR_IN ? chance(2) : !t.from;
	/* Apart for each direction, so that nobody's frame is another's answer. */
	t.sport = (uint16_t)(1000 * (1 + t.dir) + 100 * t.from % 200 + chance(40));
	t.dport = t.icmp ? 0 : (uint16_t)(50 + chance(10));
	return t;
}

/* Sends a frame of the conversation; did it pass? */
static bool send(const struct talk_model *t, bool back)
{
	unsigned from = back ? t->to : t->from, to = back ? t->from : t->to;
	struct craft c = { .smac = from < 2 ? world_mac(from) : ROUTER_MAC,
			   .dmac = to < 2 ? world_mac(to) : ROUTER_MAC,
			   .src = text_of(from, t->six),
			   .dst = text_of(to, t->six),
			   .proto = t->icmp ? t->six ? 58 : 1 : 17 };
	if (t->icmp) {
		c.icmp_type = t->six ? (back ? 129 : 128) : back ? 0 : 8;
		c.icmp_id = t->sport;
	} else {
		c.sport = back ? t->dport : t->sport;
		c.dport = back ? t->sport : t->dport;
	}
	world_send(w, from < 2 ? (uint16_t)from : WORLD_UPLINK, &c);
	return w->verdict == VERDICT_FORWARD;
}

static uint64_t npassed, nstopped, nforced;

static void one_step(bool exact)
{
	struct talk_model fresh = random_talk(), *known;
	bool back = false;
	if (ntalks && chance(3) == 0) {
		fresh = talks[chance((unsigned)ntalks)];
		back = chance(2);
	}
	known = lookup(&fresh);
	struct talk_model *t = known ? known : &fresh;
	struct opinion o = opinion_of(t);
	bool anew = !known || t->window != o.window;
	bool may = !o.denied && (!anew || within(t, &o));
	if (o.rule >= 0 && rules[o.rule].action == ACTION_FIRST)
		may &= t->packets < rules[o.rule].first;
	/* The fenced come in, and get no answer. */
	bool unanswered = back && t->dir == DIR_IN && listed(fenced, t->from);
	may &= !unanswered;
	bool did = send(t, back);
	/* Nothing of what the policy denies passes, but answers: of a conversation
	 * that the fence or the class does not let on, what comes back. */
	if (back && o.denied && t->dir != DIR_IN && did) {
		assert_true(!listed(black, t->to));
		assert_true(o.rule < 0);
		return;
	}
	if ((did && !may) || (exact && may && !did))
		print_message(
		    "%s passed, %s: %s, dir %d, %u -> %u, port %u to %u, icmp %d, back %d, known %d, window %d, "
		    "now %d, rule %d, denied %d\n",
		    did ? "" : "not", may ? "may" : "may not", reason_name(w->reason), t->dir, t->from, t->to, t->sport,
		    t->dport, t->icmp, back, known != NULL, t->window, o.window, o.rule, o.denied);
	assert_true(may || !did);
	if (exact)
		assert_true(did || !may);
	npassed += did;
	nstopped += !may;
	nforced += exact && may;
	if (!did) {
		/* An open conversation that a reload puts under a rule whose first packets
		 * it has had is charged all the same, once. */
		if (known && anew && t->asked != loads && w->reason == REASON_LIMIT_FIRST)
			passed(t, &o);
		t->asked = unanswered ? t->asked : loads;
		return;
	}
	if (!known && ntalks < TALKS) {
		talks[ntalks] = fresh;
		t = &talks[ntalks++];
	}
	t->packets++;
	t->asked = loads;
	if (anew)
		passed(t, &o);
}

static void one_round(unsigned seed)
{
	srand(seed);
	w = world_new(2, NULL);
	memset(&pol, 0, sizeof(pol));
	ntalks = nevents = own[0] = own[1] = 0;
	bool reloads = seed % 3 == 1, jitter = seed % 3 == 2;
	pol.jitter = jitter ? (uint8_t)(1 + chance(90)) : 0;
	change_limits();
	load();
	for (unsigned step = 0; step < STEPS && ntalks < TALKS; step++) {
		w->now += chance(SEC / 250); /* no conversation rests long enough to end */
		if (reloads && chance(200) == 0) {
			change_limits();
			load();
		}
		one_step(!reloads && !jitter);
	}
	world_free(w);
}

static void no_window_of_any_kind_is_exceeded(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 90; seed++)
		one_round(seed);
	print_message("%llu passed, %llu had to be stopped, %llu had to pass\n", (unsigned long long)npassed,
		      (unsigned long long)nstopped, (unsigned long long)nforced);
	assert_true(npassed > 20000 && nstopped > 20000 && nforced > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_window_of_any_kind_is_exceeded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
