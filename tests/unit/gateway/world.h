/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_WORLD_H
#define SKEP_TESTS_WORLD_H

#include "craft.h"
#include "proc/gateway/gateway.h"

/*
 * A gateway with ports in memory and real rings, and a clock that stands still.
 * Every frame that goes through is checked against the invariants, whatever the
 * test is about: it is in the ring once, byte by byte as it came in and with its
 * verdict, before anything is sent - at once, or (fragments) when the others
 * are there; what is sent is what came in, or was recorded as the gateway's own;
 * what was dropped is not sent.
 */
#define WORLD_RING (1u << 20)
#define WORLD_UPLINK PORT_UPLINK(0)
#define ROUTER_MAC "02:00:00:00:00:01"

struct world_flow {
	struct ring_flow f;
	uint16_t port;
};

struct world {
	struct gateway *g;
	struct {
		struct ring_reader ring;
		uint64_t seq;
		bool open;
	} ports[PORTS_MAX];
	bool lax;     /* do not read the rings and check nothing */
	uint64_t now; /* ns */
	/* of the last frame */
	uint8_t verdict, reason;
	unsigned sent;    /* copies of what came in */
	uint16_t sent_to; /* the last of them */
	unsigned made;    /* frames of the gateway's own */
	uint16_t made_to; /* the last of them */
	size_t made_n;
	uint8_t made_bytes[CRAFT_MAX];
	uint8_t last[CRAFT_MAX]; /* whatever was sent last */
	size_t last_n;
	const uint8_t *bytes;
	size_t n;
	uint16_t in;
	struct world_list *records;               /* of frames, since this one came in */
	unsigned unchecked;                       /* came in while it was lax */
	struct world_list *waiting;               /* came in and are not recorded yet */
	struct world_list *later;                 /* are recorded as sent and are not sent yet: bandwidth */
	struct world_talk *talks;                 /* TCP numbers */
	char rules[PORTS_MAX][64][RULE_NAME_CAP]; /* names, as the rings told them; number modulo 64 */
	/* since the beginning */
	uint64_t forwarded, captured, noted;
	uint64_t late, late_bytes; /* sent by a later call than the one that they came in with */
	uint64_t by_reason[REASON_COUNT], to[PORTS_MAX];
	unsigned nflows, ndns, alerts;
	struct ring_alert alert;                        /* the last one */
	uint64_t recorded[VERDICT_COUNT][REASON_COUNT]; /* frames that came in */
	struct ring_dns dns;                            /* the last one */
	char dns_name[256];
	struct world_flow flows[4096];
};

/* A network 192.0.2.0/24, 2001:db8::/64 with an uplink and n honeypots at .10,
 * .11, ... and ::10, ::11 ..., MACs 52:54:00:00:00:10, ...; no policies. */
struct world *world_new(unsigned n, const struct gateway_opts *o);
/* An empty one. */
struct world *world_empty(const struct gateway_opts *o);
void world_free(struct world *w);
/* Adds a port; addrs: prefixes as text, NULL-terminated. */
void world_port(struct world *w, uint16_t id, uint16_t net, const char *name, const char *mac, const char *const *addrs,
		uint32_t ring);
void world_port_del(struct world *w, uint16_t id);
/* Same policy for the honeypots 0..n-1 (NULL: all zero). */
void world_policy(struct world *w, unsigned n, const struct policy *p);

/* The same with rules, all of them in each policy; honeypot i of the model is
 * port i. */
void world_rules(struct world *w, unsigned n, const struct policy *p, const struct policy_pool *pool,
		 uint32_t generation);

/* Puts a frame in at a port; the reason. */
uint8_t world_frame(struct world *w, uint16_t port, const void *p, size_t n);
/* TCP without numbers gets those that fit what was forwarded between the two
 * before: the next sequence, and everything of the other side acknowledged. */
uint8_t world_send(struct world *w, uint16_t port, const struct craft *c);
/* Lets time pass, with ticks. */
void world_pass(struct world *w, uint64_t ns);
/* How many frames came in and are not recorded yet. */
unsigned world_waiting(const struct world *w);
/* Reads all rings: counts, flow records, notes. */
void world_read(struct world *w);
/* The flow record with this end, the newest; NULL. */
const struct ring_flow *world_flow(const struct world *w, unsigned end);

/* MAC of honeypot i. */
const char *world_mac(unsigned i);

#define SEC 1000000000ull

#endif
