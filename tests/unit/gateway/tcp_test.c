/* SPDX-License-Identifier: ISC */
#include "tests.h"

#define PSH 0x08
#define URG 0x20

static struct world *w;
static uint8_t stream[(1 << 20) + CRAFT_MAX]; /* any place of it, and a segment */

/* A connection of which the test plays both ends. isn and numbers in it are relative. */
static struct {
	uint16_t sport, dport;
	bool out; /* the honeypot began it */
	uint32_t isn[2];
} c;

static int set_up(void **state)
{
	(void)state;
	struct policy p = { 0 };
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++)
		p.outbound[i].count = p.lateral[i].count = LIMIT_UNLIMITED;
	w = world_new(2, NULL);
	world_policy(w, 2, &p);
	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)(i * 2654435761u >> 13);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

struct seg {
	uint8_t flags;
	uint32_t seq, ack; /* behind the SYN: 0 is the first byte */
	uint32_t n;
	uint16_t window;
	bool no_window;
	const uint8_t *data; /* NULL: of the stream */
	uint16_t urgent;
	uint8_t ttl;
	const char *options;
	bool zero_ack;
};

/* dir 0: from the side that began it. */
static uint8_t give(unsigned dir, struct seg s)
{
	bool from_pot = c.out != (bool)dir;
	struct craft f = { .smac = from_pot ? world_mac(0) : ROUTER_MAC,
			   .dmac = from_pot ? ROUTER_MAC : world_mac(0),
			   .src = from_pot ? "192.0.2.10" : "198.51.100.7",
			   .dst = from_pot ? "198.51.100.7" : "192.0.2.10",
			   .proto = 6,
			   .sport = dir ? c.dport : c.sport,
			   .dport = dir ? c.sport : c.dport,
			   .flags = s.flags,
			   .seq = c.isn[dir] + 1 + s.seq,
			   .ack = s.flags & TCP_ACK && !s.zero_ack ? c.isn[!dir] + 1 + s.ack : 0,
			   .window = s.window,
			   .no_window = s.no_window,
			   .urgent = s.urgent,
			   .ttl = s.ttl,
			   .tcp_options = s.options,
			   .payload = s.n,
			   .data = s.data ? s.data : stream + (s.seq & 0xfffff) };
	return world_send(w, from_pot ? 0 : WORLD_UPLINK, &f);
}

#define GIVE(dir, ...) give(dir, (struct seg){ __VA_ARGS__ })
#define PASSES(dir, ...)                                                                                               \
	do {                                                                                                           \
		GIVE(dir, __VA_ARGS__);                                                                                \
		if (w->verdict != VERDICT_FORWARD)                                                                     \
			fail_msg("dropped: %s", reason_name(w->reason));                                               \
	} while (0)
#define STOPS(dir, ...)                                                                                                \
	do {                                                                                                           \
		GIVE(dir, __VA_ARGS__);                                                                                \
		assert_dropped(w, REASON_TCP_STATE);                                                                   \
	} while (0)

static void ask(bool out)
{
	c.out = out;
	c.sport++;
	c.dport = 80;
	c.isn[0] = 0xfffff000u + c.sport; /* they go round soon */
	c.isn[1] = 0x7ffffff0u - c.sport;
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1);
}

static void open_one(bool out)
{
	ask(out);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_ACK);
}

static void begins_with_a_syn(void **state)
{
	(void)state;
	for (int out = 0; out < 2; out++) {
		static const uint8_t flags[] = { TCP_ACK,           TCP_SYN | TCP_ACK, TCP_RST,
						 TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK | PSH };
		c.out = out;
		c.sport = 900;
		c.dport = 80;
		for (size_t i = 0; i < sizeof(flags); i++) {
			GIVE(0, .flags = flags[i], .n = 10);
			assert_dropped(w, REASON_NO_FLOW);
		}
		assert_int_equal(w->g->flows.count, 0);
	}
	open_one(false);
	open_one(true);
	/* Nothing between SYN and its answer. */
	ask(false);
	STOPS(0, .flags = TCP_ACK, .n = 10);
	STOPS(1, .flags = TCP_ACK);
	STOPS(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .ack = 1);
	STOPS(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .ack = (uint32_t)-1);
	STOPS(0, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1); /* again */
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1); /* the answer was lost */
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	STOPS(1, .flags = TCP_SYN | TCP_ACK, .seq = 7); /* another number */
	PASSES(0, .flags = TCP_ACK, .n = 10);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	/* Inside of the connection. */
	STOPS(0, .flags = TCP_SYN, .seq = (uint32_t)-1);
	STOPS(0, .flags = TCP_SYN, .seq = 500);
	GIVE(1, .flags = TCP_SYN, .seq = 0);
	assert_dropped(w, REASON_NO_FLOW);
	/* A new attempt with the same ports, nobody having answered the first. */
	ask(false);
	c.isn[0] += 1000;
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_ACK, .n = 10);
}

static void flags(void **state)
{
	(void)state;
	static const uint8_t bad[] = { 0,
				       TCP_FIN,
				       PSH,
				       TCP_FIN | URG | PSH,
				       URG,
				       TCP_SYN | TCP_FIN,
				       TCP_SYN | TCP_RST,
				       TCP_SYN | TCP_FIN | TCP_ACK,
				       TCP_SYN | URG,
				       TCP_RST | TCP_FIN,
				       TCP_RST | URG,
				       TCP_SYN | TCP_ACK | TCP_RST,
				       TCP_SYN | TCP_FIN | URG | PSH,
				       0x3f };
	for (int out = 0; out < 2; out++) {
		open_one(out);
		for (unsigned dir = 0; dir < 2; dir++)
			for (size_t i = 0; i < sizeof(bad); i++)
				STOPS(dir, .flags = bad[i], .urgent = 1);
		c.sport = 77; /* and with nothing there */
		for (size_t i = 0; i < sizeof(bad); i++)
			STOPS(0, .flags = bad[i], .urgent = 1);
		c.sport = (uint16_t)(1000 + out);
	}
	open_one(false);
	PASSES(0, .flags = TCP_ACK | PSH, .n = 10);
	PASSES(1, .flags = TCP_ACK | 0xc0, .ack = 10); /* ECN */
	STOPS(0, .flags = TCP_ACK | URG, .seq = 10, .ack = 0, .n = 10);
	PASSES(0, .flags = TCP_ACK | URG, .seq = 10, .n = 10, .urgent = 5);
	PASSES(0, .flags = TCP_ACK | URG, .seq = 10, .n = 10, .urgent = 5); /* again */
	STOPS(0, .flags = TCP_ACK | URG, .seq = 10, .n = 10, .urgent = 6);  /* at another place */
}

static void data_in_a_syn(void **state)
{
	(void)state;
	c.out = false;
	c.sport = 100;
	c.dport = 80;
	STOPS(0, .flags = TCP_SYN, .seq = (uint32_t)-1, .n = 10);
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1, .n = 10, .data = stream,
	       .options = "220a010203040506 07080101");
	/* The server takes it, or not; then it comes again. */
	STOPS(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .ack = 12);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .ack = 0);
	PASSES(0, .flags = TCP_ACK, .seq = 0, .n = 5);
	STOPS(0, .flags = TCP_ACK, .seq = 0, .n = 5, .data = (const uint8_t *)"other");
	c.sport++;
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1, .options = "02040500");
	STOPS(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .n = 5);
}

static void resets(void **state)
{
	(void)state;
	for (int out = 0; out < 2; out++) {
		/* The answer to a SYN: by its acknowledgement. */
		ask(out);
		STOPS(1, .flags = TCP_RST, .seq = 0);
		STOPS(1, .flags = TCP_RST | TCP_ACK, .seq = 0, .ack = 1);
		STOPS(1, .flags = TCP_RST | TCP_ACK, .seq = 0, .zero_ack = true);
		PASSES(1, .flags = TCP_RST | TCP_ACK, .seq = 0x1234);
		/* nmap -sS: from a kernel that knows of nothing. */
		ask(out);
		PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
		STOPS(0, .flags = TCP_RST, .seq = 1);
		PASSES(0, .flags = TCP_RST, .seq = 0);
		/* Inside: exactly the next one, or what was acknowledged last. */
		for (unsigned dir = 0; dir < 2; dir++) {
			open_one(out);
			PASSES(dir, .flags = TCP_ACK, .seq = 0, .n = 1000);
			PASSES(!dir, .flags = TCP_ACK, .seq = 0, .ack = 400);
			STOPS(dir, .flags = TCP_RST, .seq = 0);
			STOPS(dir, .flags = TCP_RST, .seq = 399);
			STOPS(dir, .flags = TCP_RST, .seq = 999);
			STOPS(dir, .flags = TCP_RST, .seq = 1001);
			STOPS(dir, .flags = TCP_RST, .seq = 5000);
			STOPS(dir, .flags = TCP_RST | TCP_ACK, .seq = 5000);
			STOPS(dir, .flags = TCP_RST | TCP_ACK, .seq = (uint32_t)-5000);
			PASSES(!dir, .flags = TCP_ACK, .seq = 0, .ack = 400, .n = 10); /* it is still open */
			PASSES(dir, .flags = TCP_RST, .seq = dir ? 400 : 1000);
			/* Over: but what was on its way to the one that told so arrives. */
			PASSES(!dir, .flags = TCP_ACK, .seq = 10, .ack = 400, .n = 10);
			STOPS(dir, .flags = TCP_ACK, .seq = 1000, .n = 10);
		}
	}
}

static void window(void **state)
{
	(void)state;
	open_one(false);
	/* 64,240 bytes from the SYN/ACK, not scaled. */
	PASSES(0, .flags = TCP_ACK, .seq = 0, .n = 1000);
	STOPS(0, .flags = TCP_ACK, .seq = 64241, .n = 100);
	STOPS(0, .flags = TCP_ACK, .seq = 200000, .n = 100);
	PASSES(0, .flags = TCP_ACK, .seq = 64000, .n = 240); /* a hole between */
	STOPS(0, .flags = TCP_ACK, .seq = (uint32_t)-70000, .n = 100);
	/* Acknowledges what was never said. */
	STOPS(1, .flags = TCP_ACK, .ack = 64241);
	STOPS(1, .flags = TCP_ACK, .ack = (uint32_t)-70000);
	PASSES(1, .flags = TCP_ACK, .ack = 1000);
	/* Keep-alives, with and without a byte. */
	PASSES(0, .flags = TCP_ACK, .seq = 63000, .n = 500);
	open_one(true);
	PASSES(0, .flags = TCP_ACK, .seq = 0, .n = 100);
	PASSES(1, .flags = TCP_ACK, .ack = 100);
	PASSES(0, .flags = TCP_ACK, .seq = 99);
	PASSES(0, .flags = TCP_ACK, .seq = 99, .n = 1, .data = (const uint8_t *)"?");
	PASSES(1, .flags = TCP_ACK, .ack = 100);
	/* The window closes: probes of one byte, of none, and it opens again. */
	PASSES(1, .flags = TCP_ACK, .ack = 100, .no_window = true);
	PASSES(0, .flags = TCP_ACK, .seq = 100, .n = 1);
	PASSES(0, .flags = TCP_ACK, .seq = 99);
	PASSES(1, .flags = TCP_ACK, .ack = 100, .no_window = true);
	PASSES(0, .flags = TCP_ACK, .seq = 100, .n = 1);
	PASSES(1, .flags = TCP_ACK, .ack = 101, .window = 5000);
	PASSES(0, .flags = TCP_ACK, .seq = 101, .n = 1000);
}

static void scaled(void **state)
{
	(void)state;
	for (int both = 0; both < 2; both++) {
		c.out = false;
		c.sport++;
		PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1, .options = "01030307");
		PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .window = 1000,
		       .options = both ? "01030302" : NULL);
		PASSES(0, .flags = TCP_ACK, .window = 100);
		PASSES(0, .flags = TCP_ACK, .seq = 0, .n = 900);
		STOPS(0, .flags = TCP_ACK, .seq = 3000, .n = 10); /* a SYN's window is not scaled */
		PASSES(1, .flags = TCP_ACK, .ack = 900, .window = 1000);
		GIVE(0, .flags = TCP_ACK, .seq = 4900 - 100, .n = 10);
		assert_int_equal(w->verdict, both ? VERDICT_FORWARD : VERDICT_DROP);
		STOPS(0, .flags = TCP_ACK, .seq = 4901, .n = 10);
	}
}

static void says_it_again(void **state)
{
	(void)state;
	static uint8_t other[4096];
	memcpy(other, stream, sizeof(other));
	for (int out = 0; out < 2; out++) {
		open_one(out);
		for (unsigned dir = 0; dir < 2; dir++) {
			PASSES(dir, .flags = TCP_ACK, .seq = 0, .n = 1000);
			PASSES(dir, .flags = TCP_ACK, .seq = 1000, .n = 1000);
			/* With any boundaries. */
			PASSES(dir, .flags = TCP_ACK, .seq = 0, .n = 1000);
			PASSES(dir, .flags = TCP_ACK, .seq = 1, .n = 1);
			PASSES(dir, .flags = TCP_ACK, .seq = 500, .n = 1000);
			PASSES(dir, .flags = TCP_ACK, .seq = 1500, .n = 1500); /* and more */
			/* One byte else, wherever it is. */
			for (uint32_t at = 0; at < 3000; at += 37) {
				other[at] ^= 1;
				STOPS(dir, .flags = TCP_ACK, .seq = 0, .n = 3000, .data = other);
				STOPS(dir, .flags = TCP_ACK, .seq = at, .n = 1, .data = other + at);
				STOPS(dir, .flags = TCP_ACK | PSH, .seq = at, .n = 3500 - at, .data = other + at);
				other[at] ^= 1;
			}
			/* Beyond a hole, and into it. */
			PASSES(dir, .flags = TCP_ACK, .seq = 4000, .n = 1000);
			other[3500] ^= 1;
			PASSES(dir, .flags = TCP_ACK, .seq = 3500, .n = 100, .data = other + 3500);
			STOPS(dir, .flags = TCP_ACK, .seq = 3000, .n = 1000);
			other[3500] ^= 1;
			PASSES(dir, .flags = TCP_ACK, .seq = 3000, .n = 500);
			/* What is acknowledged may be anything: nobody takes it again. */
			PASSES(!dir, .flags = TCP_ACK, .seq = dir ? 5000 : 0, .ack = 3500);
			other[100] ^= 1;
			PASSES(dir, .flags = TCP_ACK, .seq = 100, .n = 100, .data = other + 100);
			other[100] ^= 1;
		}
	}
	flow_end_all(w->g, NULL, true);
	assert_int_equal(w->g->tcp.data.used, 0);
}

static void fins(void **state)
{
	(void)state;
	open_one(false);
	PASSES(0, .flags = TCP_ACK, .n = 100);
	STOPS(0, .flags = TCP_ACK | TCP_FIN, .seq = 50);
	PASSES(0, .flags = TCP_ACK | TCP_FIN, .seq = 100);
	PASSES(0, .flags = TCP_ACK | TCP_FIN, .seq = 100);
	PASSES(0, .flags = TCP_ACK | TCP_FIN, .seq = 50, .n = 50);
	STOPS(0, .flags = TCP_ACK | TCP_FIN, .seq = 100, .n = 1);
	STOPS(0, .flags = TCP_ACK, .seq = 100, .n = 10);
	STOPS(0, .flags = TCP_ACK, .seq = 101, .n = 10);
	PASSES(0, .flags = TCP_ACK, .seq = 101);
	PASSES(1, .flags = TCP_ACK, .ack = 101, .n = 500); /* half closed */
	PASSES(0, .flags = TCP_ACK, .seq = 101, .ack = 500);
	PASSES(1, .flags = TCP_ACK | TCP_FIN, .seq = 500, .ack = 101);
	PASSES(0, .flags = TCP_ACK, .seq = 101, .ack = 501);
	PASSES(1, .flags = TCP_ACK | TCP_FIN, .seq = 500, .ack = 101);
	/* The ports are used anew. */
	c.isn[0] += 70000;
	c.isn[1] += 1 << 30;
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_ACK, .n = 10);
}

static void ttl(void **state)
{
	(void)state;
	open_one(true);
	PASSES(0, .flags = TCP_ACK, .n = 10);
	for (unsigned t = 1; t < 255; t += 1) {
		if (t == 64)
			continue;
		GIVE(0, .flags = TCP_ACK, .seq = 10, .n = 10, .ttl = (uint8_t)t);
		assert_dropped(w, REASON_TTL);
	}
	GIVE(0, .flags = TCP_RST, .seq = 10, .ttl = 3);
	assert_dropped(w, REASON_TTL);
	PASSES(0, .flags = TCP_ACK, .seq = 10, .n = 10);
	/* From outside: little by little, not at once. */
	for (unsigned t = 64; t > 40; t -= 4)
		PASSES(1, .flags = TCP_ACK, .ttl = (uint8_t)t);
	GIVE(1, .flags = TCP_ACK, .ttl = 52);
	assert_dropped(w, REASON_TTL);
	PASSES(0, .flags = TCP_RST, .seq = 20, .ttl = 200); /* a kernel for a raw socket */
	/* Of UDP, too. */
	for (unsigned i = 0; i < 2; i++) {
		FROM_POT(OUT, .proto = 17, .sport = 5, .dport = 53, .payload = 9, .ttl = i ? 5 : 64);
		assert_reason(w, i ? REASON_TTL : REASON_OUTBOUND);
		FROM_POT(OUT6, .proto = 17, .sport = 5, .dport = 53, .payload = 9, .ttl = i ? 5 : 64);
		assert_reason(w, i ? REASON_TTL : REASON_OUTBOUND);
	}
	/* Who pings traces a route. */
	for (unsigned i = 2; i < 9; i++) {
		FROM_POT(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 4, .ttl = (uint8_t)i);
		assert_forwarded(w, REASON_OUTBOUND);
	}
	/* Before it is established a scanner's own packets and its kernel's differ. */
	ask(false);
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1);
	PASSES(0, .flags = TCP_RST, .seq = 0, .ttl = 40);
}

static void bounded(void **state)
{
	(void)state;
	uint32_t at = 0;
	c.out = true;
	c.sport++;
	c.dport = 80;
	PASSES(0, .flags = TCP_SYN, .seq = (uint32_t)-1, .options = "0103030e");
	PASSES(1, .flags = TCP_SYN | TCP_ACK, .seq = (uint32_t)-1, .options = "0103030e");
	PASSES(1, .flags = TCP_ACK, .window = 60000);
	PASSES(0, .flags = TCP_ACK, .window = 60000);
	for (;; at += 1000) {
		GIVE(0, .flags = TCP_ACK, .seq = at, .n = 1000);
		if (w->verdict)
			break;
		assert_true(at < 16u << 20);
	}
	assert_dropped(w, REASON_FLOW_TABLE_FULL);
	assert_true(at > 5u << 20);
	assert_true(w->g->tcp.data.of[0] <= TCP_CHUNKS_SHARE);
	/* Other honeypots have their own share. */
	world_send(w, 1,
		   &(struct craft){ OUT, .smac = world_mac(1), .src = "192.0.2.11", .proto = 6, .dport = 80,
				    .flags = TCP_SYN });
	assert_forwarded(w, REASON_OUTBOUND);
	/* It goes on when the other side acknowledges. */
	PASSES(1, .flags = TCP_ACK, .ack = at - 1000, .window = 60000);
	assert_true(w->g->tcp.data.used <= 2);
	PASSES(0, .flags = TCP_ACK, .seq = at, .n = 1000);
}

/* ---- a simulated line ------------------------------------------------------------- */

/* A sender and a receiver that follow RFC 9293, a line with loss, doubling and
 * reordering on both sides of the gateway, any boundaries, windows that shrink to
 * nothing, keep-alives. Nothing of it may be dropped. */
struct flight {
	struct seg s;
	unsigned dir;
	bool used;
};

static unsigned chance(unsigned n)
{
	return (unsigned)rand() % n == 0;
}

static void honest(unsigned seed, bool liar)
{
	static uint8_t said[1 << 20], lie[3000];
	static bool known[1 << 20];
	struct flight line[32] = { 0 };
	uint32_t una = 0, next = 0, got = 0, limit = 64240, total = 120000, back = 0, wrong = 0, lies = 0, acked = 0;
	uint32_t ooo[8][2] = { { 0 } };
	uint32_t window = 64240;
	unsigned turns = 0;
	srand(seed);
	memset(known, 0, sizeof(known));
	open_one(seed % 2);
	while (una < total) {
		assert_true(++turns < 200000);
		struct seg s = { .flags = TCP_ACK, .ack = back };
		if (next < total && next < limit && !chance(3)) {
			uint32_t most = limit - next < 1460 ? limit - next : 1460;
			s.seq = next;
			s.n = 1 + (uint32_t)rand() % most;
			if (s.n > total - next)
				s.n = total - next;
			next += s.n;
		} else if (next > una) {
			/* Again, from anywhere, as much as one likes. */
			s.seq = una + (chance(3) ? (uint32_t)rand() % (next - una) : 0);
			s.n = 1 + (uint32_t)rand() % (next - s.seq < 1460 ? next - s.seq : 1460);
		} else if (chance(2)) {
			s.seq = una - 1; /* keep-alive */
		} else {
			s.seq = una; /* probe of a closed window */
			s.n = 1;
			if (next < una + 1)
				next = una + 1;
		}
		for (unsigned k = 0; k < 1 + chance(9); k++) { /* doubled on the way */
			unsigned slot = (unsigned)rand() % 32;
			for (unsigned i = 0; i < 32 && line[slot].used; i++)
				slot = (slot + 1) % 32;
			if (!chance(10))
				line[slot] = (struct flight){ .s = s, .used = true };
		}
		/* Some arrive, in any order. */
		for (unsigned k = 0; k < 3; k++) {
			struct flight *f = &line[(unsigned)rand() % 32];
			if (!f->used)
				continue;
			f->used = false;
			s = f->s;
			bool lying = liar && s.n > 1 && s.n < sizeof(lie) && chance(4);
			if (lying) {
				memcpy(lie, stream + s.seq, s.n);
				lie[(uint32_t)rand() % s.n] ^= 0x40;
				s.data = lie;
			}
			give(0, s);
			if (w->verdict != VERDICT_FORWARD) {
				if (!liar)
					fail_msg("seed %u: dropped %u..%u of %u..%u: %s", seed, s.seq, s.seq + s.n, una,
						 next, reason_name(w->reason));
				lies++;
				continue;
			}
			/* Whatever passed twice before it was acknowledged was the same. */
			for (uint32_t i = 0; i < s.n && s.seq < total; i++) {
				uint32_t at = s.seq + i;
				uint8_t b = s.data ? s.data[i] : stream[at];
				if (at >= acked && known[at] && said[at] != b)
					wrong++;
				if (at >= acked) {
					known[at] = true;
					said[at] = b;
				}
			}
			if (chance(8))
				continue; /* lost behind the gateway */
			if (s.seq <= got && s.seq + s.n > got && s.n)
				got = s.seq + s.n;
			else if (s.n && s.seq > got) {
				uint32_t *o = ooo[(unsigned)rand() % 8];
				o[0] = s.seq;
				o[1] = s.seq + s.n;
			}
			for (unsigned i = 0; i < 64; i++) {
				uint32_t *o = ooo[i % 8];
				if (o[0] <= got && o[1] > got)
					got = o[1];
			}
			if (chance(2))
				continue; /* delayed */
			window = chance(12) ? 0 : 1 + (uint32_t)rand() % 65535;
			/* A window never shrinks (RFC 9293 section 3.8.6). */
			if (got + window < limit)
				window = limit - got > 65535 ? 65535 : limit - got;
			s = (struct seg){ .flags = TCP_ACK,
					  .ack = got,
					  .seq = back,
					  .window = (uint16_t)window,
					  .no_window = !window };
			if (chance(5)) {
				s.n = (uint32_t)rand() % 100;
				back += s.n;
			}
			give(1, s);
			if (w->verdict != VERDICT_FORWARD)
				fail_msg("seed %u: dropped an acknowledgement of %u: %s", seed, got,
					 reason_name(w->reason));
			acked = got > acked ? got : acked;
			if (chance(10))
				continue;
			una = got > una ? got : una;
			if (next < una)
				next = una;
			if (got + window > limit)
				limit = got + window;
		}
		if (liar && turns > 3000)
			break;
	}
	assert_int_equal(wrong, 0);
	if (liar)
		assert_true(lies > 10);
}

static void lines(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++)
		honest(seed, false);
}

static void liars(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++)
		honest(seed, true);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(begins_with_a_syn), T(flags), T(data_in_a_syn), T(resets),  T(window), T(scaled),
		T(says_it_again),     T(fins),  T(ttl),           T(bounded), T(lines),  T(liars),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
