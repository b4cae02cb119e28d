/* SPDX-License-Identifier: ISC */
/*
 * What a policy of 500 rules costs. The core of the gateway in this process: its
 * whole walk, with rings that are read between the batches, in CPU time of the
 * thread. Arms take turns and start afresh; the difference is formed inside each
 * round.
 *
 *   rules_bench [RULES [FRAMES [ROUNDS]]]
 */
#include "craft.h"
#include "policies.h"
#include "proc/gateway/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 500u
#define PEERS 4096u

static struct policy_builder b;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "rules_bench: %s\n", what);
	exit(1);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n;
}

/* Rules as an operator writes them: a protocol, some ports, some prefixes of both
 * families, some with a state. None matches what the benchmark sends but the last. */
static void make_rules(unsigned n)
{
	char text[160];
	builder_init(&b);
	srand(1);
	for (unsigned i = 0; i + 1 < n; i++) {
		snprintf(text, sizeof(text), "rule %u", i);
		struct rule *r = builder_rule(&b, text, ACTION_DROP, RULE_OUT | (chance(2) ? RULE_LATERAL : RULE_IN));
		r->has_proto = chance(4) != 0;
		r->proto = chance(3) ? 6 : 17;
		r->state = chance(4) ? RULE_STATE_ANY : RULE_STATE_NEW;
		snprintf(text, sizeof(text), "%u %u-%u", 1 + chance(1000), 1000 + chance(1000), 2000 + chance(60000));
		r->ports = builder_ports(&b, text);
		snprintf(text, sizeof(text), "203.%u.%u.0/24 10.%u.0.0/16 2001:db8:%x::/48", chance(256), chance(256),
			 chance(256), chance(65536));
		r->to = builder_prefixes(&b, text);
	}
	if (n)
		builder_rule(&b, "the rest", ACTION_ALLOW, RULE_OUT);
	b.policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ LIMIT_UNLIMITED, 0 };
}

struct gate {
	struct gateway *g;
	struct ring_reader rings[2];
};

static void port(struct gate *x, unsigned i, const struct gw_port *c)
{
	struct err e;
	int fd = ring_create(8u << 20, &e), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(fd >= 0 && wake >= 0 && !ring_reader_open(&x->rings[i], fd, &e), "cannot make a ring");
	must(!gateway_port_add(x->g, c, &port_memory, -1, fd, wake, &e), e.text);
	close(fd);
}

static void open_gate(struct gate *x, unsigned rules, unsigned flows)
{
	static const uint8_t key[16] = { 1 };
	struct gateway_opts o = { .flows = flows + 1, .flows_per_honeypot = flows + 1, .hash_key = key };
	struct gw_port up = { .port = WORLD_UPLINK, .role = PORT_ROLE_UPLINK, .name = "uplink" };
	struct gw_port pot = { .role = PORT_ROLE_HONEYPOT, .name = "pot", .naddrs = 2 };
	struct gw_policy_entry entry = { 0 };
	struct err e;
	x->g = gateway_new(&o, &e);
	must(x->g, "no memory");
	craft_mac(world_mac(0), pot.mac);
	must(addr_parse("192.0.2.10/24", 1, &pot.addrs[0]) && addr_parse("2001:db8::10/64", 1, &pot.addrs[1]),
	     "addresses");
	port(x, 0, &up);
	port(x, 1, &pot);
	make_rules(rules);
	entry.policy = b.policy;
	must(!policies_swap(&x->g->policies, &b.pool, &entry, 1, 1, &e), e.text);
}

static void drain(struct ring_reader *r)
{
	struct ring_entry h;
	const uint8_t *payload;
	while (ring_next(r, &h, &payload) == 1)
		;
	ring_release(r);
}

static void close_gate(struct gate *x)
{
	for (unsigned i = 0; i < 2; i++)
		ring_reader_close(&x->rings[i]);
	gateway_free(x->g);
}

/* Frames that begin conversations with 4096 hosts in turn, or all the same ones again. */
static double run(unsigned rules, unsigned frames, bool again, unsigned six)
{
	static uint8_t room[BATCH][128];
	size_t n[BATCH];
	struct gate x;
	uint64_t used = 0, now = 1000 * SEC, passed = 0;
	open_gate(&x, rules, frames);
	for (unsigned done = 0; done < frames; done += BATCH) {
		for (unsigned i = 0; i < BATCH; i++) {
			unsigned k = again ? i : done + i, peer = k * 2654435761u % PEERS;
			char dst[48];
			snprintf(dst, sizeof(dst), six ? "2001:db8:ffff:%x::7" : "198.51.%u.%u",
				 six ? peer : peer / 256 + 100, peer % 256);
			struct craft c = { .smac = world_mac(0),
					   .dmac = ROUTER_MAC,
					   .src = six ? "2001:db8::10" : "192.0.2.10",
					   .dst = dst,
					   .proto = 17,
					   .sport = (uint16_t)(1024 + k / PEERS),
					   .dport = (uint16_t)(62001 + k % 7),
					   .payload = 22 };
			n[i] = craft(&c, room[i]);
		}
		uint64_t began = cpu_ns();
		for (unsigned i = 0; i < BATCH; i++) {
			uint8_t verdict;
			gateway_frame(x.g, &x.g->ports[0], slice_of(room[i], n[i]), (uint32_t)n[i], now += 1000,
				      &verdict);
			passed += verdict == VERDICT_FORWARD;
		}
		if (!again || done)
			used += cpu_ns() - began;
		drain(&x.rings[0]);
		drain(&x.rings[1]);
	}
	must(passed == frames, "not everything passed");
	close_gate(&x);
	return (double)used / (frames - (again ? BATCH : 0));
}

/* The lookup by itself, with addresses and ports that no cache has. */
static double match(unsigned rules, unsigned six)
{
	static struct talk talks[65536];
	struct gate x;
	unsigned found = 0;
	open_gate(&x, rules, 1000);
	srand(2);
	for (unsigned i = 0; i < 65536; i++) {
		struct talk *t = &talks[i];
		*t = (struct talk){
			.family = six ? 6 : 4, .proto = chance(2) ? 6 : 17, .direction = RULE_OUT, .has_ports = true
		};
		t->from_port = (uint16_t)chance(65536);
		t->to_port = (uint16_t)chance(65536);
		for (unsigned k = 0; k < (six ? 16u : 4u); k++)
			t->to[k] = (uint8_t)chance(256);
		craft_addr(six ? "2001:db8::10" : "192.0.2.10", t->from);
	}
	uint64_t began = cpu_ns();
	for (unsigned turn = 0; turn < 10; turn++)
		for (unsigned i = 0; i < 65536; i++)
			found += rules_match(x.g->policies.now, &talks[i], 0) != RULE_NONE;
	uint64_t used = cpu_ns() - began;
	must(found == (rules ? 655360 : 0), "the last rule matches everything");
	close_gate(&x);
	return (double)used / 655360;
}

/* How long the gateway stands still while it compiles and swaps. */
static double reload(unsigned rules)
{
	static struct gw_policy_entry entries[MODEL_HONEYPOTS];
	struct gate x;
	struct err e;
	open_gate(&x, rules, 1000);
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		entries[i] =
		    (struct gw_policy_entry){ .port = (uint16_t)i, .honeypot = (uint16_t)i, .policy = b.policy };
	must(!policies_swap(&x.g->policies, &b.pool, entries, MODEL_HONEYPOTS, 1, &e), e.text);
	uint64_t began = cpu_ns();
	must(!policies_swap(&x.g->policies, &b.pool, entries, MODEL_HONEYPOTS, 1, &e), e.text);
	uint64_t used = cpu_ns() - began;
	close_gate(&x);
	return (double)used / 1e6;
}

static int by_value(const void *p, const void *q)
{
	double x = *(const double *)p, y = *(const double *)q;
	return x < y ? -1 : x > y;
}

static void line(const char *what, double *with, double *without, unsigned rounds)
{
	double diff[64];
	for (unsigned i = 0; i < rounds; i++)
		diff[i] = with[i] - without[i];
	qsort(diff, rounds, sizeof(diff[0]), by_value);
	qsort(with, rounds, sizeof(with[0]), by_value);
	qsort(without, rounds, sizeof(without[0]), by_value);
	printf("%-32s %8.0f %8.0f %8.0f  (%.0f to %.0f)\n", what, without[rounds / 2], with[rounds / 2],
	       diff[rounds / 2], diff[0], diff[rounds - 1]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned rules = argc > 1 ? (unsigned)atoi(argv[1]) : 500, frames = argc > 2 ? (unsigned)atoi(argv[2]) : 100000;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 7;
	double with[64], without[64];
	must(rules >= 1 && rules <= POOL_RULES && frames >= BATCH && frames % BATCH == 0 && rounds >= 1 && rounds <= 64,
	     "usage: rules_bench [RULES [FRAMES [ROUNDS]]]");
	printf("%u rules, %u frames, %u rounds; CPU-ns a frame\n", rules, frames, rounds);
	printf("%-32s %8s %8s %8s\n", "", "none", "rules", "costs");
	for (unsigned six = 0; six < 2; six++) {
		for (unsigned i = 0; i < rounds; i++) {
			without[i] = run(0, frames, false, six);
			with[i] = run(rules, frames, false, six);
		}
		line(six ? "new conversations, IPv6" : "new conversations, IPv4", with, without, rounds);
		for (unsigned i = 0; i < rounds; i++) {
			without[i] = run(0, frames, true, six);
			with[i] = run(rules, frames, true, six);
		}
		line(six ? "known conversations, IPv6" : "known conversations, IPv4", with, without, rounds);
		for (unsigned i = 0; i < rounds; i++) {
			without[i] = match(0, six);
			with[i] = match(rules, six);
		}
		line(six ? "the lookup alone, IPv6" : "the lookup alone, IPv4", with, without, rounds);
	}
	printf("a reload for 256 honeypots: %.1f ms\n", reload(rules));
	return 0;
}
