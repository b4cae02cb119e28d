/* SPDX-License-Identifier: ISC */
/*
 * Writes a capture to standard output: capture_bench BYTES. Sixteen honeypots
 * (192.0.2.1-16) are fetched from, guessed at over ssh, and scan, ask for names and
 * resolve addresses themselves; whole TCP connections with right sequence numbers
 * and checksums, many of them at a time. The same bytes each time.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN 512u /* conversations at a time */
#define SYN 2
#define ACK 16
#define PSH 24
#define FIN 17

struct conv {
	uint8_t kind, pot, step, steps;
	uint16_t sport, dport;
	uint32_t peer, seq[2]; /* [0] of the beginner */
};
enum { FETCH, SSH, SCAN, NAME, RESOLVE, KINDS };
/* Frames of one, and how often it begins, of 100. */
static const struct {
	uint8_t steps, often;
} kinds[KINDS] = { { 64, 30 }, { 24, 25 }, { 1, 30 }, { 2, 12 }, { 1, 3 } };

static uint64_t written, now = 1767607200ull * 1000000;
static uint32_t seed = 1;
static uint8_t payload[1500];
static struct conv open_ones[OPEN];

static uint32_t chance(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	return n & 1 ? s + (uint32_t)(p[n - 1] << 8) : s;
}

static void be(uint8_t *p, unsigned n, uint32_t v)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void fold(uint8_t *at, uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	be(at, 2, ~s & 0xffff);
}

static void out(const uint8_t *f, size_t n)
{
	uint32_t head[4] = { (uint32_t)(now / 1000000), (uint32_t)(now % 1000000), (uint32_t)n, (uint32_t)n };
	fwrite(head, sizeof(head), 1, stdout);
	fwrite(f, n, 1, stdout);
	written += sizeof(head) + n;
	now += chance(200);
}

static void macs(uint8_t *f, uint8_t pot, int from_pot)
{
	const uint8_t router[6] = { 2, 0, 0, 0, 0, 1 }, own[6] = { 0x52, 0x54, 0, 0, 0, pot };
	memcpy(f, from_pot ? router : own, 6);
	memcpy(f + 6, from_pot ? own : router, 6);
}

/* An IPv4 packet; its transport header of `l4` bytes is at f + 34 already, but the checksum. */
static void packet(const struct conv *c, int from_pot, uint8_t proto, uint8_t *f, unsigned l4, unsigned data,
		   unsigned at)
{
	static uint16_t id;
	uint32_t pot = 0xc0000200u | c->pot, len = l4 + data;
	macs(f, c->pot, from_pot);
	be(f + 12, 2, 0x0800);
	memset(f + 14, 0, 20);
	f[14] = 0x45;
	be(f + 16, 2, 20 + len);
	be(f + 18, 2, id++);
	f[20] = 0x40;
	f[22] = 64;
	f[23] = proto;
	be(f + 26, 4, from_pot ? pot : c->peer);
	be(f + 30, 4, from_pot ? c->peer : pot);
	fold(f + 24, sum(f + 14, 20, 0));
	memcpy(f + 34 + l4, payload, data);
	be(f + 34 + at, 2, 0);
	fold(f + 34 + at, sum(f + 34, len, sum(f + 26, 8, proto + len)));
	out(f, 34 + len);
}

static void tcp(struct conv *c, int from_pot, int beginner, uint8_t flags, unsigned data)
{
	uint8_t f[1600] = { 0 };
	int server = !beginner;
	be(f + 34, 2, beginner ? c->sport : c->dport);
	be(f + 36, 2, beginner ? c->dport : c->sport);
	be(f + 38, 4, c->seq[server]);
	be(f + 42, 4, flags & ACK ? c->seq[!server] : 0);
	f[46] = 0x50;
	f[47] = flags;
	be(f + 48, 2, 64240);
	packet(c, from_pot, 6, f, 20, data, 16);
	c->seq[server] += data + ((flags & 3) != 0);
}

/* A connection from outside: the honeypot sends `data` in most of its frames. */
static void served(struct conv *c, unsigned data)
{
	unsigned last = c->steps - 1u;
	if (c->step == 0)
		tcp(c, 0, 1, SYN, 0);
	else if (c->step == 1)
		tcp(c, 1, 0, SYN | ACK, 0);
	else if (c->step == 2)
		tcp(c, 0, 1, ACK, 0);
	else if (c->step == 3)
		tcp(c, 0, 1, PSH, 120);
	else if (c->step == last - 2)
		tcp(c, 0, 1, FIN, 0);
	else if (c->step == last - 1)
		tcp(c, 1, 0, FIN, 0);
	else if (c->step == last || c->step % 3 == 0)
		tcp(c, 0, 1, ACK, 0);
	else
		tcp(c, 1, 0, PSH, data);
}

static void name(struct conv *c)
{
	uint8_t f[400] = { 0 };
	int answer = c->step;
	unsigned data = answer ? 120 : 30;
	be(f + 34, 2, answer ? 53 : c->sport);
	be(f + 36, 2, answer ? c->sport : 53);
	be(f + 38, 2, 8 + data);
	packet(c, !answer, 17, f, 8, data, 6);
}

static void resolve(const struct conv *c)
{
	uint8_t f[42] = { 0 };
	macs(f, c->pot, 1);
	memset(f, 0xff, 6);
	be(f + 12, 4, 0x08060001);
	be(f + 16, 4, 0x08000604);
	be(f + 20, 2, 1);
	memcpy(f + 22, f + 6, 6);
	be(f + 28, 4, 0xc0000200u | c->pot);
	be(f + 38, 4, 0xc00002feu);
	out(f, sizeof(f));
}

static void begin(struct conv *c)
{
	uint32_t n = chance(100);
	uint8_t kind = 0;
	while (n >= kinds[kind].often)
		n -= kinds[kind++].often;
	*c = (struct conv){ .kind = kind,
			    .steps = kinds[kind].steps,
			    .pot = (uint8_t)(1 + chance(16)),
			    .sport = (uint16_t)(1024 + chance(60000)),
			    .dport = kind == FETCH ? 80
				     : kind == SSH ? 22
						   : (uint16_t)(1 + chance(1024)),
			    .peer = 0xc6336400u | chance(256) | chance(2) << 16,
			    .seq = { chance(1 << 24), chance(1 << 24) } };
}

int main(int argc, char **argv)
{
	uint64_t want = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	const uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1 };
	if (!want)
		return 2;
	static char buf[1 << 20];
	setvbuf(stdout, buf, _IOFBF, sizeof(buf));
	fwrite(head, sizeof(head), 1, stdout);
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(chance(256));
	while (written < want) {
		struct conv *c = &open_ones[chance(OPEN)];
		if (c->step == c->steps)
			begin(c);
		if (c->kind == FETCH || c->kind == SSH)
			served(c, c->kind == FETCH ? 1448 : 90);
		else if (c->kind == SCAN)
			tcp(c, 1, 1, SYN, 0);
		else if (c->kind == NAME)
			name(c);
		else
			resolve(c);
		c->step++;
	}
	return fflush(stdout) != 0;
}
