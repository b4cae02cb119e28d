/* SPDX-License-Identifier: ISC */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #x);                      \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

const char *world_mac(unsigned i)
{
	static char text[8][18];
	static unsigned turn;
	char *t = text[turn++ % 8];
	snprintf(t, 18, "52:54:00:00:%02x:%02x", (unsigned)(uint8_t)(i / 240), (unsigned)(uint8_t)(0x10 + i % 240));
	return t;
}

/* Takes one entry out of a ring. */
static bool next(struct world *w, uint16_t port, struct ring_entry *h, const uint8_t **payload)
{
	int r = ring_next(&w->ports[port].ring, h, payload);
	CHECK(r >= 0);
	if (!r)
		return false;
	CHECK(h->seq == ++w->ports[port].seq);
	CHECK(h->port == port);
	return true;
}

static void take(struct world *w, uint16_t port, const struct ring_entry *h, const uint8_t *payload)
{
	size_t n = h->len - sizeof(*h);
	if (h->kind == RING_FLOW) {
		CHECK(n == sizeof(struct ring_flow));
		struct world_flow *f = &w->flows[w->nflows++ % 4096];
		memcpy(&f->f, payload, sizeof(f->f));
		f->port = port;
	} else if (h->kind == RING_NOTE) {
		struct ring_note note;
		CHECK(n == sizeof(note));
		memcpy(&note, payload, sizeof(note));
		w->noted += note.lost_frames;
	} else {
		CHECK(h->kind == RING_FRAME);
		w->captured++;
	}
}

void world_read(struct world *w)
{
	struct ring_entry h;
	const uint8_t *payload;
	for (uint16_t i = 0; i < PORTS_MAX; i++) {
		if (!w->ports[i].open)
			continue;
		while (next(w, i, &h, &payload))
			take(w, i, &h, payload);
		ring_release(&w->ports[i].ring);
	}
}

/* The frame's own entry: nothing but records of other things may lie before it. */
static bool find_frame(struct world *w, struct ring_frame *out)
{
	struct ring_entry h;
	const uint8_t *payload;
	bool found = false;
	while (next(w, w->in, &h, &payload)) {
		take(w, w->in, &h, payload);
		if (h.kind != RING_FRAME)
			continue;
		CHECK(!found);
		found = true;
		memcpy(out, payload, sizeof(*out));
		CHECK(h.len == sizeof(h) + sizeof(*out) + w->n);
		CHECK(out->caplen == w->n && out->dir == FRAME_IN);
		CHECK(w->n == 0 || !memcmp(payload + sizeof(*out), w->bytes, w->n));
	}
	ring_release(&w->ports[w->in].ring);
	return found;
}

static struct ring_frame recorded;
static bool have_record;

static void sink(void *arg, struct port *p, struct slice bytes)
{
	struct world *w = arg;
	w->sent++;
	w->sent_to = p->conf.port;
	w->to[p->conf.port]++;
	CHECK(p->conf.port != w->in);
	CHECK(bytes.n == w->n && !memcmp(bytes.p, w->bytes, w->n));
	if (w->lax)
		return;
	if (!have_record)
		have_record = find_frame(w, &recorded);
	CHECK(have_record); /* captured before it is sent */
	CHECK(recorded.verdict == VERDICT_FORWARD);
	CHECK(recorded.out_port == p->conf.port || recorded.out_port == RING_MANY);
}

uint8_t world_frame(struct world *w, uint16_t port, const void *p, size_t n)
{
	/* A copy of exactly this size, so that sanitizers see each byte too far,
	 * and one to compare with, so that a change in place is seen. */
	uint8_t *copy = malloc(n ? n : 1), *orig = malloc(n ? n : 1);
	CHECK(copy && orig);
	memcpy(copy, p, n);
	memcpy(orig, p, n);
	w->sent = 0;
	w->sent_to = RING_NO_PORT;
	w->bytes = orig;
	w->n = n;
	w->in = port;
	have_record = false;
	w->reason = gateway_frame(w->g, &w->g->ports[port], slice_of(copy, n), (uint32_t)n, w->now, &w->verdict);
	CHECK(n == 0 || !memcmp(copy, orig, n));
	if (!w->lax) {
		if (!have_record)
			have_record = find_frame(w, &recorded);
		CHECK(have_record); /* whatever the verdict */
		CHECK(recorded.verdict == w->verdict && recorded.reason == w->reason);
		CHECK(recorded.wirelen == n);
	}
	CHECK(w->verdict == VERDICT_FORWARD || w->sent == 0);
	w->by_reason[w->reason]++;
	w->forwarded += w->verdict == VERDICT_FORWARD;
	free(copy);
	free(orig);
	return w->reason;
}

uint8_t world_send(struct world *w, uint16_t port, const struct craft *c)
{
	static uint8_t buf[CRAFT_MAX];
	size_t n = craft(c, buf);
	return world_frame(w, port, buf, n);
}

void world_pass(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;
	while (w->now < end) {
		w->now += end - w->now < SEC / 2 ? end - w->now : SEC / 2;
		for (int i = 0; i < 8; i++)
			gateway_tick(w->g, w->now);
		if (!w->lax)
			world_read(w);
	}
}

struct world *world_empty(const struct gateway_opts *o)
{
	static const uint8_t key[16] = { 1, 2, 3 };
	struct gateway_opts small = { .flows = 65536, .hash_key = key };
	struct err e = { 0 };
	struct world *w = calloc(1, sizeof(*w));
	CHECK(w);
	w->g = gateway_new(o ? o : &small, &e);
	CHECK(w->g);
	w->now = 1000 * SEC;
	return w;
}

void world_port(struct world *w, uint16_t id, uint16_t net, const char *name, const char *mac, const char *const *addrs,
		uint32_t ring)
{
	struct err e = { 0 };
	struct gw_port c = { .port = id,
			     .net = net,
			     .role = id >= MODEL_HONEYPOTS ? PORT_ROLE_UPLINK : PORT_ROLE_HONEYPOT };
	int fd = ring_create(ring, &e), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(fd >= 0 && wake >= 0);
	snprintf(c.name, sizeof(c.name), "%s", name);
	if (mac)
		craft_mac(mac, c.mac);
	for (; addrs && *addrs; addrs++)
		CHECK(addr_parse(*addrs, -1, &c.addrs[c.naddrs++]));
	CHECK(ring_reader_open(&w->ports[id].ring, fd, &e) == 0);
	int r = gateway_port_add(w->g, &c, &port_memory, -1, fd, wake, &e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	CHECK(r == 0);
	close(fd);
	w->ports[id].open = true;
	w->ports[id].seq = 0;
	w->g->ports[id].sink = sink;
	w->g->ports[id].sink_arg = w;
}

void world_port_del(struct world *w, uint16_t id)
{
	CHECK(gateway_port_del(w->g, id, NULL) == 0);
	world_read(w);
	ring_reader_close(&w->ports[id].ring);
	w->ports[id].open = false;
}

struct world *world_new(unsigned n, const struct gateway_opts *o)
{
	struct world *w = world_empty(o);
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	for (unsigned i = 0; i < n; i++) {
		char name[16], v4[32], v6[48];
		snprintf(name, sizeof(name), "pot%u", i);
		snprintf(v4, sizeof(v4), "192.0.2.%u/24", 10 + i);
		snprintf(v6, sizeof(v6), "2001:db8::%u/64", 10 + i);
		const char *addrs[] = { v4, v6, NULL };
		world_port(w, (uint16_t)i, 0, name, world_mac(i), addrs, WORLD_RING);
	}
	return w;
}

void world_policy(struct world *w, unsigned n, const struct policy *p)
{
	static struct gw_policy_entry entries[MODEL_HONEYPOTS];
	static const struct policy zero;
	for (unsigned i = 0; i < n; i++)
		entries[i] = (struct gw_policy_entry){ .port = (uint16_t)i, .policy = p ? *p : zero };
	CHECK(policies_swap(&w->g->policies, NULL, entries, n, 1, NULL) == 0);
}

const struct ring_flow *world_flow(const struct world *w, unsigned end)
{
	for (unsigned i = w->nflows; i > 0; i--)
		if (w->flows[(i - 1) % 4096].f.end == end)
			return &w->flows[(i - 1) % 4096].f;
	return NULL;
}

void world_free(struct world *w)
{
	w->lax = true;
	for (uint16_t i = 0; i < PORTS_MAX; i++)
		if (w->ports[i].open)
			ring_reader_close(&w->ports[i].ring);
	gateway_free(w->g);
	free(w);
}
