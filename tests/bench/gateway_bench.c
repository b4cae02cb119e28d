/* SPDX-License-Identifier: ISC */
/*
 * Parts of the gateway's benchmark; gateway.py puts them together.
 *
 *   gateway_bench cpu SKEP SIZE COUNT    CPU-ns of the real process per forwarded frame
 *   gateway_bench host SKEP TAP-A TAP-B  the real process between two TAPs, until stdin ends
 *   gateway_bench echo ADDRESS           answers UDP datagrams
 *   gateway_bench ping ADDRESS COUNT     round trips of UDP datagrams: median and p99 in us
 */
#include "gwproc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING (4u << 20)
#define BATCH 16

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	if (clock_gettime(id, &t) < 0)
		die("clock_gettime");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Plays evidence: takes everything out of the ring; how many frames it was. */
static unsigned drain(struct ring_reader *r)
{
	struct ring_entry h;
	const uint8_t *payload;
	unsigned frames = 0;
	while (ring_next(r, &h, &payload) == 1)
		frames += h.kind == RING_FRAME;
	ring_release(r);
	return frames;
}

/* Two ports, the outer one the uplink, and a policy that lets the inner one answer. */
static void start(struct gwproc *x, const char *skep, uint8_t kind, const int fds[2], struct ring_reader rings[2])
{
	struct gw_port outer = gwproc_conf(MODEL_HONEYPOTS, kind), inner = gwproc_conf(0, kind);
	struct gw_policy_entry policy = { .port = 0 };
	gwproc_start(x, skep);
	if (gwproc_port(x, &outer, fds[0], RING, &rings[0]) < 0 ||
	    gwproc_port(x, &inner, fds[1], RING, &rings[1]) < 0 || gwproc_policy(x, &policy, 1) < 0) {
		fprintf(stderr, "the gateway refuses its ports: %s\n", MSG_BODY_AS(&x->msg, done)->text);
		exit(1);
	}
}

static int cpu(const char *skep, unsigned size, unsigned count)
{
	static uint8_t buf[CRAFT_MAX], in[CRAFT_MAX];
	struct gwproc x;
	struct ring_reader rings[2];
	int a[2], b[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, a) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, b) < 0)
		die("socketpair");
	start(&x, skep, PORT_SEQPACKET, (int[]){ a[1], b[1] }, rings);
	struct craft c = { .smac = "02:00:00:00:aa:01",
			   .dmac = world_mac(0),
			   .src = "203.0.113.5",
			   .dst = "192.0.2.10",
			   .proto = 17,
			   .sport = 4000,
			   .dport = 53,
			   .payload = size - 42 };
	size_t n = craft(&c, buf);
	clockid_t clock;
	if (n != size || clock_getcpuclockid(x.pid, &clock) != 0)
		die("cannot measure");
	unsigned got = 0, recorded = 0;
	uint64_t began = 0;
	for (unsigned i = 0; i < count + BATCH; i += BATCH) {
		if (i == BATCH)
			began = clock_ns(clock); /* the first batch warms up */
		for (int k = 0; k < BATCH; k++)
			if (send(a[0], buf, n, 0) < 0)
				die("send");
		for (int k = 0; k < BATCH; k++) {
			struct pollfd p = { .fd = b[0], .events = POLLIN };
			if (poll(&p, 1, 2000) != 1 || recv(b[0], in, sizeof(in), 0) != (ssize_t)n ||
			    memcmp(in, buf, n) != 0) {
				fprintf(stderr, "frame %u did not arrive as it was\n", got);
				return 1;
			}
			got++;
		}
		recorded += drain(&rings[0]);
	}
	uint64_t used = clock_ns(clock) - began;
	printf("%u %u %u %.0f\n", size, got, recorded, (double)used / (double)(got - BATCH));
	kill(x.pid, SIGKILL);
	gwproc_wait(&x);
	return 0;
}

static int tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		die(name);
	return fd;
}

static int host(const char *skep, const char *outer, const char *inner)
{
	struct gwproc x;
	struct ring_reader rings[2];
	start(&x, skep, PORT_TAP, (int[]){ tap(outer), tap(inner) }, rings);
	printf("ready\n");
	fflush(stdout);
	uint64_t frames = 0;
	struct pollfd p = { .fd = 0, .events = POLLIN };
	while (poll(&p, 1, 5) == 0)
		frames += drain(&rings[0]) + drain(&rings[1]);
	kill(x.pid, SIGKILL);
	gwproc_wait(&x);
	printf("%llu\n", (unsigned long long)frames);
	return 0;
}

static int udp(const char *address, bool server)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7777) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		die(address);
	if ((server ? bind(fd, (struct sockaddr *)&to, sizeof(to)) : connect(fd, (struct sockaddr *)&to, sizeof(to))) <
	    0)
		die(address);
	return fd;
}

static _Noreturn void echo(const char *address)
{
	char buf[2048];
	int fd = udp(address, true);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (n > 0 && sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len) < 0)
			die("sendto");
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static int ping(const char *address, unsigned count)
{
	char buf[64] = "round trip";
	int fd = udp(address, false);
	double *us = calloc(count, sizeof(*us));
	unsigned lost = 0, n = 0;
	for (unsigned i = 0; us && i < count + 100; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t began = clock_ns(CLOCK_MONOTONIC);
		if (send(fd, buf, sizeof(buf), 0) < 0)
			die("send");
		if (poll(&p, 1, 200) != 1 || recv(fd, buf, sizeof(buf), 0) < 0) {
			lost++;
			continue;
		}
		if (i >= 100)
			us[n++] = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1000;
	}
	if (!n)
		return 1;
	qsort(us, n, sizeof(*us), by_value);
	printf("%.2f %.2f %u\n", us[n / 2], us[n * 99 / 100], lost);
	free(us);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "cpu") && argc == 5)
		return cpu(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
	if (!strcmp(what, "host") && argc == 5)
		return host(argv[2], argv[3], argv[4]);
	if (!strcmp(what, "echo") && argc == 3)
		echo(argv[2]);
	if (!strcmp(what, "ping") && argc == 4)
		return ping(argv[2], (unsigned)atoi(argv[3]));
	fprintf(stderr, "usage: see the head of gateway_bench.c\n");
	return 2;
}
