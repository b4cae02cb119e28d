/* SPDX-License-Identifier: ISC */
/*
 * The gateway's core with many conversations: 1,000,000 of them, begun by 65,536
 * addresses outside with 16 honeypots. CPU-ns per frame when they begin, and for
 * frames of known ones, taken at random among few and among all.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POTS = 16, FLOWS = 1000000, SOME = 1000, TURNS = 1000000 };

static struct world *w;
static uint8_t frame[CRAFT_MAX];
static size_t len;
static uint64_t judged, forwarded;

static uint64_t cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void drain(void)
{
	struct ring_entry h;
	const uint8_t *payload;
	struct ring_reader *r = &w->ports[WORLD_UPLINK].ring;
	while (ring_next(r, &h, &payload) == 1)
		;
	ring_release(r);
}

/* The first frame of conversation i, or another: from one of 65,536 addresses to
 * one of the honeypots. UDP goes without a checksum, IP's is made here. */
static void one(uint32_t i)
{
	uint8_t verdict, *ip = frame + 14;
	uint16_t port = (uint16_t)(1024 + (i >> 16));
	uint32_t pot = (i * 7) % POTS;
	ip[12] = 203;
	ip[13] = 0;
	ip[14] = (uint8_t)(i >> 8);
	ip[15] = (uint8_t)i;
	ip[19] = (uint8_t)(10 + pot);
	frame[5] = (uint8_t)(0x10 + pot);
	ip[20] = (uint8_t)(port >> 8);
	ip[21] = (uint8_t)port;
	ip[26] = ip[27] = 0;
	ip[10] = ip[11] = 0;
	uint16_t sum = craft_sum(ip, 20, 0);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	w->now += 1000;
	gateway_frame(w->g, &w->g->ports[WORLD_UPLINK], slice_of(frame, len), (uint32_t)len, w->now, &verdict);
	judged++;
	forwarded += verdict == VERDICT_FORWARD;
	if (judged % 1024 == 0)
		drain();
}

static void known(const char *what, uint32_t among)
{
	uint32_t x = 12345;
	uint64_t began = cpu();
	for (unsigned n = 0; n < TURNS; n++) {
		x = x * 1664525u + 1013904223u;
		one((uint32_t)((uint64_t)x * among >> 32));
	}
	printf("%-42s %6.0f\n", what, (double)(cpu() - began) / TURNS);
}

int main(void)
{
	struct policy p = { .multicast_allow = 0 };
	struct craft c = { .smac = ROUTER_MAC,
			   .dmac = world_mac(0),
			   .src = "203.0.113.5",
			   .dst = "192.0.2.10",
			   .proto = 17,
			   .sport = 4000,
			   .dport = 5000,
			   .payload = 22 };
	struct gateway_opts o = { .flows = 1u << 20, .flows_per_honeypot = 1u << 16 };
	w = world_new(POTS, &o);
	w->lax = true;
	world_policy(w, POTS, &p);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		w->g->ports[i].sink = NULL;
	len = craft(&c, frame);
	printf("CPU-ns per frame of %zu bytes, judged and put into the ring\n", len);
	uint64_t began = cpu();
	for (uint32_t i = 0; i < SOME; i++)
		one(i);
	known("of 1,000 known conversations", SOME);
	began = cpu();
	for (uint32_t i = SOME; i < FLOWS; i++)
		one(i);
	printf("%-42s %6.0f\n", "each begins another, up to 1,000,000", (double)(cpu() - began) / (FLOWS - SOME));
	known("of 1,000,000 known conversations", FLOWS);
	printf("%llu of %llu frames forwarded, %u conversations in the table\n", (unsigned long long)forwarded,
	       (unsigned long long)judged, w->g->flows.count);
	return forwarded == judged && w->g->flows.count == FLOWS ? 0 : 1;
}
