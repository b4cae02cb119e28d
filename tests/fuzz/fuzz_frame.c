/* SPDX-License-Identifier: ISC */
/*
 * Frames through the gateway's whole walk. Byte 0 chooses the policy and whether
 * checksums are mended first (no fuzzer finds them by itself), byte 1 the rules
 * (0: none) of every action; then any number of {port (0, 1 honeypots, 2 uplink,
 * 3 sinkhole), quarter seconds that pass, length (16 bit), bytes}. The world
 * checks the capture invariants at every frame - nothing is sent that was not
 * recorded, nothing that came in is changed; here is a second, naive look at what
 * a honeypot got out, and at what the gateway made.
 */
#include "wire.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world *w;

static void set_up(void)
{
	static const char *const a0[] = { "192.0.2.10/24", "2001:db8::10/64", NULL };
	static const char *const a1[] = { "192.0.2.11/24", "2001:db8::11/64", NULL };
	static const uint8_t key[16] = { 7 };
	static const struct gateway_opts o = { .flows = 256, .flows_per_honeypot = 64, .hash_key = key };
	w = world_empty(&o);
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, 1u << 18);
	world_port(w, 0, 0, "pot0", world_mac(0), a0, 1u << 18);
	world_port(w, 1, 0, "pot1", world_mac(1), a1, 1u << 18);
	world_port(w, PORT_SINK(0), 0, "sink", "02:00:00:00:00:51", NULL, 1u << 18);
}

enum { RULES_OUT = 1, RULES_IN = 2, RULES_BANDWIDTH = 4 };

/* One rule of each action, by the destination's port modulo 8192; the rest of
 * the protocols are played. */
static const struct policy_pool *rules(uint8_t bits)
{
	static struct policy_pool pool;
	memset(&pool, 0, sizeof(pool));
	for (unsigned i = 0; i < ACTION_COUNT; i++) {
		struct rule *r = &pool.rules[pool.nrules++];
		*r = (struct rule){ .action = (uint8_t)i, .target = 1, .limit = { 3, 10 }, .first = { .packets = 2 } };
		snprintf(r->name, sizeof(r->name), "action-%u", i);
		pool.ranges[pool.nranges] = (struct port_range){ (uint16_t)(i * 8192), (uint16_t)(i * 8192 + 8191) };
		r->ports = (struct span){ (uint16_t)pool.nranges++, 1 };
	}
	pool.nrewrites = 2;
	pool.rewrites[0] = (struct rewrite){ .n = 1, .from = { 0 }, .to = { 1 } };
	pool.rewrites[1] = (struct rewrite){ .n = 2, .from = { 'a', 'b' }, .to = { 'b', 'a' } };
	pool.rules[ACTION_REWRITE].rewrites = (struct span){ 0, 2 };
	struct rule *r = &pool.rules[pool.nrules++];
	*r = (struct rule){ .name = "rest4", .action = ACTION_REFLECT, .family = 4, .target = 0 };
	r = &pool.rules[pool.nrules++];
	*r = (struct rule){ .name = "rest6", .action = ACTION_SINKHOLE, .family = 6 };
	for (unsigned i = 0; i < pool.nrules; i++)
		pool.rules[i].directions =
		    (uint8_t)((bits & RULES_OUT ? RULE_OUT | RULE_LATERAL : 0) | (bits & RULES_IN ? RULE_IN : 0));
	return &pool;
}

static void choose(uint8_t bits, uint8_t which)
{
	struct policy p = { 0 };
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++) {
		p.outbound[i] = (struct limit){ bits & 1 ? LIMIT_UNLIMITED : bits & 2 ? 3 : 0, 10 };
		p.lateral[i] = (struct limit){ bits & 4 ? LIMIT_UNLIMITED : 0, 10 };
	}
	p.multicast_allow = bits >> 3 & 1;
	p.inbound_deny = bits >> 4 & 1;
	if (bits & 32)
		p.honeypot = (struct budget){ .packets = 5, .bytes = 1000, .seconds = 10 };
	if (bits & 64)
		p.flow = (struct budget){ .packets = 3, .seconds = 10 };
	if (which & RULES_BANDWIDTH)
		p.bandwidth = 3000;
	if (which & (RULES_OUT | RULES_IN))
		world_rules(w, 2, &p, rules(which), 1);
	else
		world_policy(w, 2, &p);
}

/* IPv4, and IPv6 without extension headers. */
static void mend(uint8_t *p, size_t n)
{
	uint32_t pseudo;
	size_t l4, len;
	uint8_t proto;
	if (n >= 34 && p[12] == 8 && p[13] == 0) {
		size_t ihl = (size_t)(p[14] & 15) * 4, total = (size_t)(p[16] << 8 | p[17]);
		if (ihl < 20 || total < ihl || 14 + total > n)
			return;
		p[24] = p[25] = 0;
		uint16_t sum = craft_sum(p + 14, ihl, 0);
		p[24] = (uint8_t)(sum >> 8);
		p[25] = (uint8_t)sum;
		l4 = 14 + ihl;
		len = total - ihl;
		proto = p[23];
		pseudo = proto == 1 ? 0 : (uint16_t)~craft_sum(p + 26, 8, 0) + (uint32_t)len + proto;
	} else if (n >= 54 && p[12] == 0x86 && p[13] == 0xdd) {
		l4 = 54;
		len = (size_t)(p[18] << 8 | p[19]);
		proto = p[20];
		if (l4 + len > n)
			return;
		pseudo = (uint16_t)~craft_sum(p + 22, 32, 0) + (uint32_t)len + proto;
	} else {
		return;
	}
	size_t at = proto == 6 ? 16 : proto == 17 ? 6 : proto == 1 || proto == 58 ? 2 : 0;
	if (!at || at + 2 > len)
		return;
	p[l4 + at] = p[l4 + at + 1] = 0;
	uint16_t sum = craft_sum(p + l4, len, pseudo);
	p[l4 + at] = (uint8_t)(sum >> 8);
	p[l4 + at + 1] = (uint8_t)sum;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* What left a honeypot names itself, and nobody else. */
static void look(unsigned pot, const uint8_t *p, size_t n)
{
	static const uint8_t none[16];
	const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, (uint8_t)(0x10 + pot) };
	const uint8_t v4[4] = { 192, 0, 2, (uint8_t)(10 + pot) };
	const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(0x10 + pot) };
	const uint8_t ll[16] = { 0xfe, 0x80, [8] = 0x50, 0x54, 0, 0xff, 0xfe, 0, 0, (uint8_t)(0x10 + pot) };
	must(n >= 42 && !memcmp(p + 6, mac, 6));
	unsigned type = (unsigned)(p[12] << 8 | p[13]);
	if (type == 0x806)
		must(!memcmp(p + 22, mac, 6) && (!memcmp(p + 28, v4, 4) || !memcmp(p + 28, none, 4)));
	else if (type == 0x800)
		must(!memcmp(p + 26, v4, 4) || (!memcmp(p + 26, none, 4) && p[23] == 17));
	else if (type == 0x86dd)
		must(!memcmp(p + 22, v6, 16) || !memcmp(p + 22, ll, 16) || !memcmp(p + 22, none, 16));
	else
		must(false);
}

/* What the gateway made of a frame whose checksums were right has right ones; and
 * what is played or refused does not leave unless rules are about those outside. */
static void look_made(const uint8_t *came, size_t n, uint8_t which)
{
	struct wire x;
	bool right = wire_read(came, n, &x) == NULL;
	if (w->verdict == VERDICT_RESET || (right && w->verdict <= VERDICT_SINKHOLE))
		must(wire_read(w->made_bytes, w->made_n, &x) == NULL);
	if (w->verdict >= VERDICT_REFLECT && !(which & RULES_IN))
		must(w->made_to != WORLD_UPLINK);
	if (w->verdict == VERDICT_RESET)
		must(w->made == 1 && w->made_to == w->in);
}

/* As if nothing had been, but later. */
static void forget(void)
{
	flow_end_all(w->g, NULL, true);
	for (int i = 0; i < 2; i++) {
		struct history *h = &w->g->history[i];
		for (int c = 0; c < LIMIT_CLASS_COUNT; c++)
			h->outbound[c].n = h->lateral[c].n = 0;
		h->asked.n = h->answered.n = 0;
		h->sent = (struct window_sum){ 0 };
	}
	gateway_drop_fragments(w->g, NULL, w->now);
	denied_flush(w->g, w->now, true);
	for (uint16_t i = 0; i < 2; i++)
		limits_forget(&w->g->limits, i);
	memset(w->g->answer_peers, 0, sizeof(w->g->answer_peers));
	w->now += 2 * SEC;
	shape_release(w->g, w->now);
	world_read(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size), bytes;
	uint8_t bits, which, port, pass;
	uint16_t len;
	if (!w)
		set_up();
	if (!slice_u8(&s, &bits) || !slice_u8(&s, &which))
		return 0;
	choose(bits & 127, which);
	while (slice_u8(&s, &port) && slice_u8(&s, &pass) && slice_be16(&s, &len) &&
	       slice_take(&s, len < s.n ? len : s.n, &bytes)) {
		uint8_t *copy = malloc(bytes.n + 1);
		memcpy(copy, bytes.p, bytes.n);
		if (bits & 128)
			mend(copy, bytes.n);
		w->now += pass * (SEC / 4);
		port %= 4;
		world_frame(w, port == 3 ? PORT_SINK(0) : port == 2 ? WORLD_UPLINK : port, copy, bytes.n);
		if (w->sent && port < 2)
			look(port, copy, bytes.n);
		if (w->made == 1)
			look_made(copy, bytes.n, which);
		if (pass > 200)
			gateway_tick(w->g, w->now);
		free(copy);
	}
	forget();
	return 0;
}
