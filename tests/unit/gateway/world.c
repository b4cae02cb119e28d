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

/* ---- frames that are recorded, or wait for it ------------------------------- */

struct world_list {
	struct world_list *next;
	struct ring_frame f;
	uint16_t port;
	size_t n;
	uint8_t bytes[];
};

static void list_put(struct world_list **l, uint16_t port, const struct ring_frame *f, const uint8_t *p, size_t n)
{
	struct world_list *x = malloc(sizeof(*x) + n);
	CHECK(x);
	*x = (struct world_list){ .port = port, .f = *f, .n = n };
	if (n)
		memcpy(x->bytes, p, n);
	while (*l)
		l = &(*l)->next;
	*l = x;
}

static void list_take(struct world_list **l)
{
	struct world_list *x = *l;
	*l = x->next;
	free(x);
}

static void list_free(struct world_list **l)
{
	while (*l)
		list_take(l);
}

static struct world_list **list_find(struct world_list **l, uint16_t port, const void *p, size_t n)
{
	for (; *l; l = &(*l)->next)
		if ((*l)->port == port && (*l)->n == n && (!n || !memcmp((*l)->bytes, p, n)))
			return l;
	return NULL;
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
	} else if (h->kind == RING_FRAME) {
		struct ring_frame f;
		memcpy(&f, payload, sizeof(f));
		CHECK(n == sizeof(f) + f.caplen);
		CHECK(f.dir == FRAME_IN || f.dir == FRAME_OUT);
		CHECK(f.dir == FRAME_IN || f.out_port == port);
		/* A rule has a name before it has a number. */
		CHECK(f.rule >= w->g->policies.now->pool.nrules || w->rules[port][f.rule % 64][0]);
		w->captured += f.dir == FRAME_IN;
		list_put(&w->records, port, &f, payload + sizeof(f), f.caplen);
	} else if (h->kind == RING_DNS) {
		CHECK(n >= sizeof(w->dns));
		memcpy(&w->dns, payload, sizeof(w->dns));
		memcpy(w->dns_name, payload + sizeof(w->dns), w->dns.name);
		w->dns_name[w->dns.name] = 0;
		CHECK(n == sizeof(w->dns) + w->dns.name);
		w->ndns++;
	} else if (h->kind == RING_ALERT) {
		CHECK(n == sizeof(w->alert));
		memcpy(&w->alert, payload, sizeof(w->alert));
		w->alerts++;
	} else if (h->kind == RING_RULE) {
		struct ring_rule r;
		CHECK(n == sizeof(r));
		memcpy(&r, payload, sizeof(r));
		CHECK(r.rule < POOL_RULES && memchr(r.name, 0, sizeof(r.name)) && r.name[0]);
		memcpy(w->rules[port][r.rule % 64], r.name, sizeof(r.name));
	} else {
		CHECK(false); /* no such kind */
	}
}

static void read_ring(struct world *w, uint16_t port)
{
	struct ring_entry h;
	const uint8_t *payload;
	if (!w->ports[port].open)
		return;
	while (next(w, port, &h, &payload))
		take(w, port, &h, payload);
	ring_release(&w->ports[port].ring);
}

/* What was recorded of frames that came in must have come in, once. The one
 * that comes in just now may be among them: true. */
static bool settle(struct world *w, bool now)
{
	bool found = false;
	while (w->records) {
		struct world_list *x = w->records, **old = list_find(&w->waiting, x->port, x->bytes, x->n);
		if (x->f.dir == FRAME_OUT) {
			list_take(&w->records);
			continue;
		}
		w->recorded[x->f.verdict][x->f.reason]++;
		/* Of two equal ones either will do; the one of now has its verdict. */
		if (now && !found && w->reason != REASON_QUEUED && x->port == w->in && x->n == w->n &&
		    x->f.verdict == w->verdict && x->f.reason == w->reason &&
		    (!w->n || !memcmp(x->bytes, w->bytes, w->n))) {
			CHECK(x->f.wirelen == w->n);
			found = true;
			/* Bandwidth: it is sent later. */
			if (x->f.verdict <= VERDICT_REWRITE && x->f.out_port != RING_NO_PORT && !w->sent && !w->made)
				list_put(&w->later, x->port, &x->f, x->bytes, x->n);
		} else if (old) {
			list_take(old);
		} else {
			CHECK(!now && w->unchecked);
			w->unchecked--;
		}
		list_take(&w->records);
	}
	return found;
}

void world_read(struct world *w)
{
	for (uint16_t i = 0; i < PORTS_MAX; i++)
		read_ring(w, i);
	settle(w, false);
}

unsigned world_waiting(const struct world *w)
{
	unsigned n = 0;
	for (const struct world_list *x = w->waiting; x; x = x->next)
		n++;
	return n;
}

/* Was it recorded before, as sent there? */
static bool recorded(struct world *w, struct port *p, struct slice bytes, bool *own)
{
	uint16_t to = p->conf.port;
	read_ring(w, w->in);
	if (to != w->in)
		read_ring(w, to);
	*own = false;
	for (struct world_list *x = w->records; x; x = x->next) {
		if (x->n != bytes.n || memcmp(x->bytes, bytes.p, bytes.n) || x->f.verdict > VERDICT_SINKHOLE)
			continue;
		if (x->f.dir == FRAME_IN && x->port == w->in && (x->f.out_port == to || x->f.out_port == RING_MANY))
			return true;
	}
	*own = true;
	for (struct world_list *x = w->records; x; x = x->next)
		if (x->n == bytes.n && !memcmp(x->bytes, bytes.p, bytes.n) && x->f.dir == FRAME_OUT && x->port == to)
			return true;
	return false;
}

/* Was it recorded by an earlier call, and not sent yet? */
static bool recorded_before(struct world *w, const struct port *p, struct slice bytes)
{
	for (struct world_list **l = &w->later; *l; l = &(*l)->next) {
		struct world_list *x = *l;
		if (x->n != bytes.n || memcmp(x->bytes, bytes.p, bytes.n) || x->port == p->conf.port ||
		    (x->f.out_port != p->conf.port && x->f.out_port != RING_MANY))
			continue;
		if (x->f.out_port != RING_MANY)
			list_take(l);
		return true;
	}
	return false;
}

static void sink(void *arg, struct port *p, struct slice bytes)
{
	struct world *w = arg;
	bool own = false;
	w->last_n = bytes.n;
	memcpy(w->last, bytes.p, bytes.n);
	if (!w->lax && recorded_before(w, p, bytes)) {
		w->late++;
		w->late_bytes += bytes.n;
		w->to[p->conf.port]++;
		return;
	}
	CHECK(w->lax || recorded(w, p, bytes, &own)); /* captured before it is sent */
	w->to[p->conf.port]++;
	if (own) {
		w->made++;
		w->made_to = p->conf.port;
		w->made_n = bytes.n;
		memcpy(w->made_bytes, bytes.p, bytes.n);
		return;
	}
	CHECK(p->conf.port != w->in);
	w->sent++;
	w->sent_to = p->conf.port;
}

uint8_t world_frame(struct world *w, uint16_t port, const void *p, size_t n)
{
	/* A copy of exactly this size, so that sanitizers see each byte too far,
	 * and one to compare with, so that a change in place is seen. */
	uint8_t *copy = malloc(n ? n : 1), *orig = malloc(n ? n : 1);
	struct ring_frame none = { 0 };
	CHECK(copy && orig);
	memcpy(copy, p, n);
	memcpy(orig, p, n);
	w->sent = w->made = 0;
	w->sent_to = w->made_to = RING_NO_PORT;
	w->bytes = orig;
	w->n = n;
	w->in = port;
	if (!w->lax)
		world_read(w);
	w->reason = gateway_frame(w->g, &w->g->ports[port], slice_of(copy, n), (uint32_t)n, w->now, &w->verdict);
	CHECK(n == 0 || !memcmp(copy, orig, n));
	w->unchecked += w->lax;
	if (!w->lax) {
		for (uint16_t i = 0; i < PORTS_MAX; i++)
			read_ring(w, i);
		if (settle(w, true)) { /* recorded, whatever the verdict */
			CHECK(w->reason != REASON_QUEUED || w->verdict <= VERDICT_SINKHOLE);
		} else {
			CHECK(w->reason == REASON_QUEUED && !w->sent);
			list_put(&w->waiting, port, &none, orig, n);
		}
	}
	CHECK(w->verdict <= VERDICT_SINKHOLE || w->sent == 0);
	w->by_reason[w->reason]++;
	w->forwarded += w->verdict == VERDICT_FORWARD;
	free(copy);
	free(orig);
	return w->reason;
}

/* ---- TCP numbers ----------------------------------------------------------- */

#define TALKS 65536u

struct world_talk {
	bool used;
	uint8_t a[16], b[16];
	uint16_t aport, bport;
	struct {
		uint32_t next, fin; /* fin 0: none */
	} side[2];
};

static struct world_talk *talk_of(struct world *w, const struct craft *c, int *from)
{
	uint8_t s[16], d[16];
	uint32_t h = 2166136261u;
	craft_addr(c->src, s);
	craft_addr(c->dst, d);
	int cmp = memcmp(s, d, 16);
	bool a = cmp < 0 || (cmp == 0 && c->sport <= c->dport);
	struct world_talk k = { .used = true, .aport = a ? c->sport : c->dport, .bport = a ? c->dport : c->sport };
	memcpy(k.a, a ? s : d, 16);
	memcpy(k.b, a ? d : s, 16);
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ k.a[i] ^ (uint32_t)k.b[i] << 8) * 16777619u;
	h = (h ^ k.aport ^ (uint32_t)k.bport << 16) * 16777619u;
	*from = !a;
	if (!w->talks)
		w->talks = calloc(TALKS, sizeof(*w->talks));
	CHECK(w->talks);
	for (uint32_t i = h ^ h >> 16;; i++) {
		struct world_talk *t = &w->talks[i % TALKS];
		if (!t->used) {
			*t = k;
			t->side[0].next = t->side[1].next = CRAFT_ISN + 1;
			return t;
		}
		if (t->aport == k.aport && t->bport == k.bport && !memcmp(t->a, k.a, 16) && !memcmp(t->b, k.b, 16))
			return t;
		CHECK(i - (h ^ h >> 16) < TALKS / 2);
	}
}

uint8_t world_send(struct world *w, uint16_t port, const struct craft *given)
{
	static uint8_t buf[CRAFT_MAX];
	struct craft c = *given;
	struct world_talk *t = NULL;
	bool syn = c.flags & TCP_SYN, fin = c.flags & TCP_FIN;
	int me = 0;
	if (c.proto == 6 && c.src && !c.seq && !c.ack && !(c.fragment && c.frag_off)) {
		t = talk_of(w, &c, &me);
		c.seq = syn ? CRAFT_ISN : fin && t->side[me].fin ? t->side[me].fin - c.payload : t->side[me].next;
		c.ack = c.flags & TCP_ACK ? t->side[!me].next : 0;
	}
	size_t n = craft(&c, buf);
	world_frame(w, port, buf, n);
	if (!t || w->verdict > VERDICT_SINKHOLE)
		return w->reason;
	if (syn) {
		t->side[me].next = CRAFT_ISN + 1;
		t->side[me].fin = 0;
		if (!(c.flags & TCP_ACK)) {
			t->side[!me].next = CRAFT_ISN + 1;
			t->side[!me].fin = 0;
		}
	}
	if (fin && t->side[me].fin)
		return w->reason;
	t->side[me].next += c.payload;
	if (fin)
		t->side[me].fin = t->side[me].next++;
	return w->reason;
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
			     .role = id >= PORT_ENGINE(0)    ? PORT_ROLE_ENGINE
				     : id >= PORT_SINK(0)    ? PORT_ROLE_SINK
				     : id >= MODEL_HONEYPOTS ? PORT_ROLE_UPLINK
							     : PORT_ROLE_HONEYPOT };
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

void world_rules(struct world *w, unsigned n, const struct policy *p, const struct policy_pool *pool,
		 uint32_t generation)
{
	static struct gw_policy_entry entries[MODEL_HONEYPOTS];
	static const struct policy zero;
	for (unsigned i = 0; i < n; i++) {
		entries[i] =
		    (struct gw_policy_entry){ .port = (uint16_t)i, .honeypot = (uint16_t)i, .policy = p ? *p : zero };
		if (pool)
			entries[i].policy.rules = (struct span){ 0, (uint16_t)pool->nrules };
	}
	CHECK(policies_swap(&w->g->policies, pool, entries, n, generation, NULL) == 0);
}

void world_policy(struct world *w, unsigned n, const struct policy *p)
{
	world_rules(w, n, p, NULL, 1);
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
	list_free(&w->records);
	list_free(&w->waiting);
	list_free(&w->later);
	free(w->talks);
	for (uint16_t i = 0; i < PORTS_MAX; i++)
		if (w->ports[i].open)
			ring_reader_close(&w->ports[i].ring);
	gateway_free(w->g);
	free(w);
}
