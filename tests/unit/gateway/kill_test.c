/* SPDX-License-Identifier: ISC */
/*
 * SIGKILL of the real gateway process at random moments under flood. Every frame
 * carries a number. Afterwards, from the far ends of the ports and the rings,
 * which outlive the gateway: no forbidden frame was delivered, no frame was
 * delivered that is not recorded as forwarded, and nothing passes while it is
 * down. argv[1] is the skep binary; SKEP_KILLS says how often (200).
 */
#include "gwproc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS 100000u
#define DATA_AT 42u /* Ethernet, IPv4, UDP */
#define MAGIC 0x9e3779b9u

enum kind { GOOD, FORBIDDEN, DOWN };
static uint8_t kinds[NUMBERS], delivered[NUMBERS], recorded[NUMBERS];
static uint32_t numbers;

/* Ready-made frames; only the number in the payload changes (no UDP checksum). */
struct shot {
	uint8_t b[200];
	size_t n;
	enum kind kind;
};

static struct shot make(enum kind kind, struct craft c)
{
	static uint8_t buf[CRAFT_MAX];
	struct shot s = { .kind = kind };
	c.proto = 17;
	c.no_sum = true;
	c.payload = 60;
	s.n = craft(&c, buf);
	memcpy(s.b, buf, s.n);
	return s;
}

static bool fire(int fd, struct shot *s)
{
	uint32_t tag[2] = { MAGIC, numbers };
	if (numbers == NUMBERS)
		return false;
	memcpy(s->b + DATA_AT, tag, sizeof(tag));
	if (send(fd, s->b, s->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	kinds[numbers++] = (uint8_t)s->kind;
	return true;
}

static uint32_t number_of(const uint8_t *p, size_t n)
{
	uint32_t tag[2];
	if (n < DATA_AT + sizeof(tag))
		return NUMBERS;
	memcpy(tag, p + DATA_AT, sizeof(tag));
	return tag[0] == MAGIC && tag[1] < numbers ? tag[1] : NUMBERS;
}

static unsigned collect(int fd)
{
	uint8_t buf[2048];
	unsigned got = 0;
	ssize_t n;
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		uint32_t i = number_of(buf, (size_t)n);
		if (i == NUMBERS) {
			fprintf(stderr, "a frame was delivered that nobody sent\n");
			exit(1);
		}
		delivered[i] = 1;
		got++;
	}
	return got;
}

static void read_ring(struct ring_reader *r)
{
	struct ring_entry h;
	const uint8_t *payload;
	struct ring_frame f;
	int got;
	while ((got = ring_next(r, &h, &payload)) == 1) {
		if (h.kind != RING_FRAME)
			continue;
		memcpy(&f, payload, sizeof(f));
		uint32_t i = number_of(payload + sizeof(f), h.len - sizeof(h) - sizeof(f));
		if (i < NUMBERS && f.verdict == VERDICT_FORWARD)
			recorded[i] = 1;
	}
	if (got < 0) {
		fprintf(stderr, "the ring is broken\n");
		exit(1);
	}
	ring_release(r);
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_port(struct gwproc *gw, uint16_t id, struct ring_reader *ring)
{
	int p[2];
	struct gw_port c = gwproc_conf(id, PORT_SEQPACKET);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0 ||
	    gwproc_port(gw, &c, p[1], 1 << 21, ring) != 0)
		abort();
	return p[0];
}

static struct {
	uint64_t delivered, forbidden, unrecorded, while_down, sent;
} total;

static void one_kill(const char *skep, uint64_t fuse_us)
{
	static struct gwproc gw;
	struct ring_reader rings[2];
	struct gw_policy_entry policy = { .port = 0 };
	struct shot in = make(GOOD, (struct craft){ .smac = ROUTER_MAC,
						    .dmac = world_mac(0),
						    .src = "198.51.100.7",
						    .dst = "192.0.2.10",
						    .sport = 4000,
						    .dport = 53 });
	struct shot reply = make(GOOD, (struct craft){ .smac = world_mac(0),
						       .dmac = ROUTER_MAC,
						       .src = "192.0.2.10",
						       .dst = "198.51.100.7",
						       .sport = 53,
						       .dport = 4000 });
	struct shot spoofed = make(FORBIDDEN, (struct craft){ .smac = world_mac(0),
							      .dmac = ROUTER_MAC,
							      .src = "192.0.2.99",
							      .dst = "198.51.100.7",
							      .sport = 53,
							      .dport = 4000 });
	struct shot outbound = make(FORBIDDEN, (struct craft){ .smac = world_mac(0),
							       .dmac = ROUTER_MAC,
							       .src = "192.0.2.10",
							       .dst = "203.0.113.9",
							       .sport = 53,
							       .dport = 25 });
	int status;

	numbers = 0;
	memset(delivered, 0, sizeof(delivered));
	memset(recorded, 0, sizeof(recorded));
	gwproc_start(&gw, skep);
	int pot = open_port(&gw, 0, &rings[0]), up = open_port(&gw, WORLD_UPLINK, &rings[1]);
	if (gwproc_policy(&gw, &policy, 1) != 0)
		abort();

	bool killed = false;
	uint64_t at = now_us() + fuse_us;
	while (waitpid(gw.pid, &status, WNOHANG) == 0) {
		for (int i = 0; i < 8; i++) {
			fire(up, &in);
			fire(pot, i & 1 ? &reply : &spoofed);
			fire(pot, &outbound);
		}
		collect(pot);
		collect(up);
		read_ring(&rings[0]);
		read_ring(&rings[1]);
		if (!killed && now_us() >= at) {
			kill(gw.pid, SIGKILL);
			killed = true;
		}
	}
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		fprintf(stderr, "the gateway ended by itself: %d\n", status);
		exit(1);
	}
	chan_close(&gw.chan);
	in.kind = reply.kind = DOWN;
	for (int i = 0; i < 50; i++) {
		fire(up, &in);
		fire(pot, &reply);
	}
	collect(pot);
	collect(up);
	read_ring(&rings[0]);
	read_ring(&rings[1]);
	for (uint32_t i = 0; i < numbers; i++) {
		if (!delivered[i])
			continue;
		total.delivered++;
		total.forbidden += kinds[i] == FORBIDDEN;
		total.while_down += kinds[i] == DOWN;
		total.unrecorded += !recorded[i];
	}
	total.sent += numbers;
	close(pot);
	close(up);
	ring_reader_close(&rings[0]);
	ring_reader_close(&rings[1]);
}

int main(int argc, char **argv)
{
	const char *env = getenv("SKEP_KILLS");
	int kills = env ? atoi(env) : 200;
	if (argc != 2 || kills <= 0)
		return 2;
	srand((unsigned)time(NULL));
	for (int i = 0; i < kills; i++)
		one_kill(argv[1], (uint64_t)rand() % 4000);
	printf("1..4\n# %d kills, %llu frames sent, %llu delivered\n", kills, (unsigned long long)total.sent,
	       (unsigned long long)total.delivered);
	bool enough = total.delivered > (uint64_t)kills * 10;
	printf("%s 1 - under load\n", enough ? "ok" : "not ok");
	printf("%s 2 - %llu forbidden frames delivered\n", total.forbidden ? "not ok" : "ok",
	       (unsigned long long)total.forbidden);
	printf("%s 3 - %llu frames delivered unrecorded\n", total.unrecorded ? "not ok" : "ok",
	       (unsigned long long)total.unrecorded);
	printf("%s 4 - %llu frames delivered while down\n", total.while_down ? "not ok" : "ok",
	       (unsigned long long)total.while_down);
	return enough && !total.forbidden && !total.unrecorded && !total.while_down ? 0 : 1;
}
