/* SPDX-License-Identifier: ISC */
/*
 * Frames through the gateway's whole walk. Byte 0 chooses the policy and whether
 * checksums are mended first (no fuzzer finds them by itself); then any number
 * of {port (0, 1 honeypots, 2 uplink), quarter seconds that pass, length (16
 * bit), bytes}. The world checks the capture invariants at every frame; here is
 * a second, naive look at what a honeypot got out.
 */
#include "world.h"

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
}

static void choose(uint8_t bits)
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
	world_read(w);
	w->now += SEC;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size), bytes;
	uint8_t bits, port, pass;
	uint16_t len;
	if (!w)
		set_up();
	if (!slice_u8(&s, &bits))
		return 0;
	choose(bits & 127);
	while (slice_u8(&s, &port) && slice_u8(&s, &pass) && slice_be16(&s, &len) &&
	       slice_take(&s, len < s.n ? len : s.n, &bytes)) {
		uint8_t *copy = malloc(bytes.n + 1);
		memcpy(copy, bytes.p, bytes.n);
		if (bits & 128)
			mend(copy, bytes.n);
		w->now += pass * (SEC / 4);
		world_frame(w, port % 3 == 2 ? WORLD_UPLINK : port % 3, copy, bytes.n);
		if (w->sent && port % 3 < 2)
			look(port % 3, copy, bytes.n);
		if (pass > 200)
			gateway_tick(w->g, w->now);
		free(copy);
	}
	forget();
	return 0;
}
