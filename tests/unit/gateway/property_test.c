/* SPDX-License-Identifier: ISC */
/*
 * Random traffic and random limits against a model that knows nothing of flow
 * tables and windows: it looks only at what left towards the uplink, remembers
 * all of it, and counts. No window of the policy's length, wherever it begins,
 * may hold more new conversations than the limit, nor more bytes or packets
 * than the budget. Conversations are told apart by their five-tuple and by the
 * clock alone: what rests for longer than any timeout is new.
 */
#include "tests.h"

#define STEPS 6000
#define PEERS 6

struct event {
	uint64_t at;
	uint32_t class;
	uint64_t bytes;
};

static struct event begun[STEPS], sent[STEPS];
static size_t nbegun, nsent;

/* What the honeypot has sent, and who began. */
static struct {
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t peer;
	bool theirs;
	bool gone; /* a TCP conversation that was reset: the same ports may begin anew */
} known[STEPS];
static size_t nknown;

static int lookup(uint8_t proto, uint16_t sport, uint16_t dport, uint8_t peer)
{
	for (size_t i = nknown; i-- > 0;)
		if (known[i].proto == proto && known[i].sport == sport && known[i].dport == dport &&
		    known[i].peer == peer)
			return (int)i;
	return -1;
}

static void learn(uint8_t proto, uint16_t sport, uint16_t dport, uint8_t peer, bool theirs)
{
	known[nknown].proto = proto;
	known[nknown].sport = sport;
	known[nknown].dport = dport;
	known[nknown].peer = peer;
	known[nknown++].theirs = theirs;
}

static size_t count_begun(uint32_t class, uint64_t now, uint32_t seconds)
{
	size_t n = 0;
	for (size_t i = nbegun; i-- > 0 && now - begun[i].at < seconds * SEC;)
		n += begun[i].class == class;
	return n;
}

static void check(const struct policy *p, uint64_t now)
{
	for (uint32_t c = 0; c < LIMIT_CLASS_COUNT; c++) {
		const struct limit *l = &p->outbound[c];
		assert_true(count_begun(c, now, l->count ? l->seconds : 1000000) <= l->count);
	}
	uint64_t bytes = 0, packets = 0;
	for (size_t i = nsent; i-- > 0 && now - sent[i].at < p->honeypot.seconds * SEC;) {
		bytes += sent[i].bytes;
		packets++;
	}
	assert_true(!p->honeypot.bytes || bytes <= p->honeypot.bytes);
	assert_true(!p->honeypot.packets || packets <= p->honeypot.packets);
}

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n;
}

static struct policy random_policy(void)
{
	struct policy p = { 0 };
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		if (chance(4))
			p.outbound[i] = (struct limit){ 1 + chance(12), 1 + chance(20) };
	if (chance(2))
		p.honeypot = (struct budget){ .bytes = 2000 + chance(20000),
					      .packets = 20 + chance(200),
					      .seconds = 1 + chance(20) };
	return p;
}

static uint64_t one_round(unsigned seed)
{
	static const uint8_t protos[] = { 6, 17, 1, 47 };
	srand(seed);
	nbegun = nsent = nknown = 0;
	struct world *w = world_new(1, NULL);
	struct policy p = random_policy();
	world_policy(w, 1, &p);
	for (int step = 0; step < STEPS; step++) {
		/* Short enough that no conversation times out: its end would be news
		 * to the model. */
		w->now += chance(SEC / 400);
		char peer[20];
		uint8_t k = (uint8_t)chance(PEERS), proto = protos[chance(4)];
		snprintf(peer, sizeof(peer), "198.51.100.%u", 10 + k);
		uint16_t sport = proto == 6 || proto == 17 ? (uint16_t)(1000 + chance(40)) : 0;
		uint16_t dport = sport ? (uint16_t)(50 + chance(4)) : 0;
		bool in = chance(4) == 0;
		struct craft c = {
			OUT, .dst = peer, .proto = proto, .sport = sport, .dport = dport, .payload = chance(300)
		};
		if (in)
			c = (struct craft){
				IN, .src = peer, .proto = proto, .sport = dport, .dport = sport, .payload = chance(300)
			};
		if (proto == 6)
			c.flags = chance(3) ? TCP_SYN : in ? TCP_SYN | TCP_ACK : TCP_ACK;
		if (proto == 1) {
			c.icmp_type = 8;
			c.icmp_id = sport = (uint16_t)chance(30);
		}
		world_send(w, in ? WORLD_UPLINK : 0, &c);
		bool ping_in = proto == 1 && in; /* a conversation of its own, that ours never meets */
		if (w->verdict != VERDICT_FORWARD || ping_in)
			continue;
		int i = lookup(proto, sport, dport, k);
		if (in) {
			if (i < 0)
				learn(proto, sport, dport, k, true);
			continue;
		}
		assert_int_equal(w->sent_to, WORLD_UPLINK);
		if (i < 0) {
			uint32_t class = proto == 6    ? LIMIT_CLASS_TCP
					 : proto == 17 ? LIMIT_CLASS_UDP
					 : proto == 1  ? LIMIT_CLASS_ICMP
						       : LIMIT_CLASS_OTHER;
			learn(proto, sport, dport, k, false);
			begun[nbegun++] = (struct event){ w->now, class, 0 };
		}
		sent[nsent++] = (struct event){ w->now, 0, w->n };
		check(&p, w->now);
	}
	uint64_t n = nsent;
	world_free(w);
	return n;
}

static void no_window_is_ever_exceeded(void **state)
{
	(void)state;
	uint64_t passed = 0;
	for (unsigned seed = 1; seed <= 60; seed++)
		passed += one_round(seed);
	assert_true(passed > 10000); /* it was not all denied */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_window_is_ever_exceeded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
