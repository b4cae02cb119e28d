/* SPDX-License-Identifier: ISC */
/*
 * The core: ports, the index of who is who, and the walk of a frame. The
 * process around it is process.c.
 */
#include "proc/gateway/arena.h"
#include "proc/gateway/gateway.h"

#include "proc/gateway/capture.h"
#include "proc/gateway/control.h"
#include "proc/gateway/decode.h"
#include "proc/gateway/edit.h"
#include "proc/gateway/engine.h"
#include "proc/gateway/forward.h"
#include "proc/gateway/guard.h"
#include "proc/gateway/hold.h"
#include "proc/gateway/tcp.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLOWS (1u << 20)
#define FLOWS_PER_HONEYPOT 65536u
#define STAMPS ((size_t)MODEL_HONEYPOTS * HISTORY_WINDOWS * LIMIT_COUNT_MAX)

/* ---- the walk ------------------------------------------------------------ */

/* What becomes of a frame that goes where it wants. */
static void judge(struct gateway *g, struct frame *f)
{
	flow_find(g, f);
	dns_find(g, f);
	tcp_judge(g, f);
	control(g, f);
}

static void finish(struct gateway *g, struct frame *f)
{
	shape(g, f);
#ifdef MUTANT_FORWARD_BEFORE_CAPTURE
	forward(g, f);
	capture(g, f);
#else
	uint8_t lost = capture(g, f);
	if (!f->fragment) /* keywords are looked for in the whole */
		hit_note(g, f);
#ifndef MUTANT_FORWARD_WHEN_FULL
	if (lost) {
		verdict_drop(f, lost);
		f->answer = slice_of(NULL, 0);
	}
#else
	(void)lost;
#endif
	engine_owe(g, f);
	forward(g, f);
#endif
}

/* ---- fragments: see frag.h -------------------------------------------------- */

/* A fragment of a datagram that was judged: the same decision, its own bytes. */
static void piece_of(const struct frame *whole, struct frame *f)
{
	struct frame own = *f;
	*f = *whole;
	f->frames = 0;
	f->bytes = own.bytes;
	f->wirelen = own.wirelen;
	f->came = own.came;
	f->exts = own.exts;
	f->hops = own.hops;
	f->has_l4 = own.has_l4;
	f->l4 = own.l4;
	f->eth = own.eth;
	f->l3_len = own.l3_len;
	f->fragment = own.fragment;
	f->more = own.more;
	f->frag_off = own.frag_off;
	f->frag_len = own.frag_len;
	f->frag_id = own.frag_id;
}

/* All fragments of a datagram leave the memory: as the whole was decided, or
 * (NULL) dropped for that reason. *last is what became of the last one. */
static void let_go(struct gateway *g, struct frag *d, const struct frame *whole, uint8_t reason, uint64_t now,
		   struct frame *last)
{
	struct port *p = &g->ports[d->port];
	struct frame f = { .in = p, .now = now, .rule = RULE_NONE };
	for (bool first = true; frag_next(g, d, &f); first = false) {
		if (whole) {
			piece_of(whole, &f);
			inspect(g, &f);
			if (!dropped(whole))
				edit(g, &f);
		} else {
			verdict_drop(&f, reason);
		}
		if (!first) /* one answer is enough */
			f.answer.n = 0;
		finish(g, &f);
		*last = f;
		f = (struct frame){ .in = p, .now = now, .rule = RULE_NONE };
	}
}

/* The datagram of fragment *f is all there, or spoilt. */
static void datagram(struct gateway *g, struct frag *d, struct frame *f)
{
	struct port *p = f->in;
	if (d->poisoned) {
		let_go(g, d, NULL, REASON_FRAGMENT, f->now, f);
		return;
	}
	struct frame whole = { .in = p, .now = f->now, .check_sums = f->check_sums, .rule = RULE_NONE };
	size_t records = d->wire + (d->pieces + 1) * (sizeof(struct ring_entry) + sizeof(struct ring_frame) + 8);
	frag_whole(g, d, &whole);
	guard(g, &whole);
	/* All or none: half a datagram could meet half of another one with its id. */
	if (!ring_stopped(&p->ring) && ring_free(&p->ring) < records + d->longest)
		verdict_drop(&whole, REASON_EVIDENCE_FULL);
	judge(g, &whole);
	if (!dropped(&whole))
		tcp_account(g, &whole);
	hit_note(g, &whole);
	if (dropped(&whole))
		edit(g, &whole); /* a reset: one for all of them */
	let_go(g, d, &whole, 0, f->now, f);
}

void gateway_drop_fragments(struct gateway *g, const struct port *p, uint64_t now)
{
	struct frag *d;
	struct frame f;
	while ((d = frag_any(g, p)))
		let_go(g, d, NULL, REASON_INCOMPLETE, now, &f);
}

static void fragment(struct gateway *g, struct frame *f)
{
	struct frag *d;
	struct frame gone;
	while ((d = frag_crowded(g, f)))
		let_go(g, d, NULL, REASON_INCOMPLETE, f->now, &gone);
	d = frag_take(g, f);
	if (d)
		datagram(g, d, f);
	else if (f->reason != REASON_QUEUED)
		finish(g, f);
}

/* ------------------------------------------------------------------------- */

uint8_t gateway_frame(struct gateway *g, struct port *p, struct slice bytes, uint32_t wirelen, uint64_t now,
		      uint8_t *verdict)
{
	struct frame f = { .bytes = bytes,
			   .wirelen = wirelen,
			   .in = p,
			   .now = now,
			   .check_sums = !p->unsummed && !port_is_engine(p),
			   .rule = RULE_NONE,
			   .lasting = g->batch };
	g->latest = now;
	p->stats.frames_in++;
	p->stats.bytes_in += wirelen;

	decode(&f);
	bool engine = port_is_engine(p);
	if (engine)
		engine_return(g, &f);
	else
		guard(g, &f);
#ifdef MUTANT_FRAG_PASS_EARLY
	if (f.fragment && f.frag_off && !engine && !dropped(&f)) {
#else
	if (f.fragment && !engine && !dropped(&f)) {
#endif
		fragment(g, &f);
	} else {
		if (!engine) {
			judge(g, &f);
			inspect(g, &f);
		}
		edit(g, &f);
		finish(g, &f);
	}

	if (!p->seen && port_is_honeypot(p) && bytes.n >= ETH_HEAD && !memcmp(f.src, p->conf.mac, 6))
		p->seen = p->tell_seen = true;
	if (verdict)
		*verdict = f.verdict;
	return f.reason;
}

bool gateway_receive(struct gateway *g, struct port *p, uint32_t events)
{
	struct rx *rx = &g->rx;
	if (!p->used || p->down)
		return false;
	rx->n = 0;
	rx->hangup = false;
	p->ops->recv(p, rx, events);
	g->batch = true;
	for (unsigned i = 0; i < rx->n; i++) {
		p->unsummed = rx->frame[i].unsummed;
		gateway_frame(g, p, rx->frame[i].bytes, rx->frame[i].wirelen, ev_monotonic(), NULL);
	}
	g->batch = false;
#ifndef MUTANT_BATCH_NOT_SENT
	forward_flush(g);
#endif
	if (p->ops->release)
		p->ops->release(p);
	if (rx->hangup)
		p->down = p->tell_down = true;
	return rx->n > 0;
}

void gateway_tick(struct gateway *g, uint64_t now)
{
#ifndef MUTANT_TICK_GOES_BACK
	/* The event loop's time is that of its turn's begin; frames of the same turn
	 * are later. Time since something must never be negative. */
	if (now < g->latest)
		now = g->latest;
#endif
	hold_tick(g, now);
	flow_expire(g, now, 4096);
	struct frag *late;
	struct frame f;
	while ((late = frag_expired(g, now)))
		let_go(g, late, NULL, REASON_INCOMPLETE, now, &f);
	engine_expire(g, now);
	denied_flush(g, now, false);
	shape_release(g, now);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (g->ports[i].used)
			capture_note(g, &g->ports[i], now);
}

/* ---- who is who ---------------------------------------------------------- */

static uint32_t mix(uint32_t seed, const uint8_t *p, size_t n)
{
	/* The entries are the operator's; what frames ask for cannot lengthen
	 * the chains. */
	uint32_t h = 2166136261u ^ seed;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h ^ h >> 13;
}

static uint32_t mac_slot(uint16_t net, const uint8_t mac[6])
{
	return mix(net, mac, 6) & (INDEX_MACS - 1);
}

static uint32_t addr_slot(uint8_t family, const uint8_t *addr)
{
	return mix(family, addr, family == 4 ? 4 : 16) & (INDEX_ADDRS - 1);
}

static void index_put(uint16_t *index, uint32_t mask, uint32_t at, uint16_t port)
{
	while (index[at] != PORT_FREE)
		at = (at + 1) & mask;
	index[at] = port;
}

static void index_rebuild(struct gateway *g)
{
	memset(g->macs, 0xff, sizeof(g->macs));
	memset(g->addrs, 0xff, sizeof(g->addrs));
	memset(g->net_count, 0, sizeof(g->net_count));
	g->any_frozen = g->frozen;
	for (uint16_t i = 0; i < PORTS_MAX; i++) {
		const struct port *p = &g->ports[i];
		/* Nobody else gets what goes to all. */
		if (!p->used || !(port_is_honeypot(p) || port_is_uplink(p)))
			continue;
		g->net_ports[p->conf.net][g->net_count[p->conf.net]++] = i;
		if (!port_is_honeypot(p))
			continue;
		g->any_frozen |= p->history->frozen;
		index_put(g->macs, INDEX_MACS - 1, mac_slot(p->conf.net, p->conf.mac), i);
		for (uint32_t a = 0; a < p->conf.naddrs; a++)
			index_put(g->addrs, INDEX_ADDRS - 1, addr_slot(p->conf.addrs[a].family, p->conf.addrs[a].b), i);
		index_put(g->addrs, INDEX_ADDRS - 1, addr_slot(6, p->lladdr.b), i);
	}
}

struct port *gateway_port(struct gateway *g, unsigned id)
{
	return id < PORTS_MAX && g->ports[id].used ? &g->ports[id] : NULL;
}

struct port *gateway_by_mac(struct gateway *g, uint16_t net, const uint8_t mac[6])
{
	for (uint32_t at = mac_slot(net, mac); g->macs[at] != PORT_FREE; at = (at + 1) & (INDEX_MACS - 1)) {
		struct port *p = &g->ports[g->macs[at]];
		if (p->conf.net == net && !memcmp(p->conf.mac, mac, 6))
			return p;
	}
	return NULL;
}

struct port *gateway_by_addr(struct gateway *g, int net, uint8_t family, const uint8_t addr[16])
{
	if (!family)
		return NULL;
	for (uint32_t at = addr_slot(family, addr); g->addrs[at] != PORT_FREE; at = (at + 1) & (INDEX_ADDRS - 1)) {
		struct port *p = &g->ports[g->addrs[at]];
		if ((net < 0 || p->conf.net == net) && port_owns_addr(p, family, addr))
			return p;
	}
	return NULL;
}

struct port *gateway_uplink(struct gateway *g, uint16_t net)
{
	return gateway_port(g, PORT_UPLINK(net));
}

/* ---- ports --------------------------------------------------------------- */

static bool slot_fits(const struct gw_port *c)
{
	switch (c->role) {
	case PORT_ROLE_HONEYPOT:
		return c->port < MODEL_HONEYPOTS;
	case PORT_ROLE_UPLINK:
		return c->port == PORT_UPLINK(c->net);
	case PORT_ROLE_SINK:
		return c->port == PORT_SINK(c->net);
	default:
		return c->port == PORT_ENGINE(0) || c->port == PORT_ENGINE(1);
	}
}

static int conf_check(const struct gw_port *c, struct err *e)
{
	if (c->net >= MODEL_NETS || c->role >= PORT_ROLE_COUNT || !slot_fits(c) || c->kind >= PORT_KIND_COUNT)
		return err_set(e, -EINVAL, "port %u of network %u: no such port", c->port, c->net);
	if (memchr(c->name, 0, sizeof(c->name)) == NULL || c->naddrs > MODEL_ADDRS)
		return err_set(e, -EINVAL, "port %u: bad name or number of addresses", c->port);
	if (c->role == PORT_ROLE_HONEYPOT && (c->mac[0] & 1))
		return err_set(e, -EINVAL, "port %s: its MAC is not a unicast one", c->name);
	for (uint32_t i = 0; i < c->naddrs; i++) {
		const struct addr *a = &c->addrs[i];
		if ((a->family != 4 && a->family != 6) || a->plen > (a->family == 4 ? 32 : 128))
			return err_set(e, -EINVAL, "port %s: bad address", c->name);
	}
	return 0;
}

static int conflict(struct gateway *g, const struct gw_port *c, struct err *e)
{
	if (g->ports[c->port].used)
		return err_set(e, -EEXIST, "port %u is there already", c->port);
	if (c->role != PORT_ROLE_HONEYPOT)
		return 0;
	if (gateway_by_mac(g, c->net, c->mac))
		return err_set(e, -EEXIST, "port %s: its MAC is another port's", c->name);
	for (uint32_t i = 0; i < c->naddrs; i++)
		if (gateway_by_addr(g, c->net, c->addrs[i].family, c->addrs[i].b))
			return err_set(e, -EEXIST, "port %s: its address is another port's", c->name);
	return 0;
}

/* fe80::/64 with the modified EUI-64 of the MAC. */
static struct addr link_local(const uint8_t m[6])
{
	return (
	    struct addr){ .family = 6,
			  .plen = 64,
			  .b = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] } };
}

/* A port that comes back under its name finds its windows as it left them;
 * another honeypot in the slot begins afresh, and without a policy. */
static void take_history(struct gateway *g, struct port *p)
{
	struct history *h = &g->history[p->conf.port];
	p->history = h;
	if (!strcmp(h->name, p->conf.name))
		return;
	if (h->name[0])
		policies_forget(&g->policies, p->conf.port);
	uint64_t *at = g->stamps + (size_t)p->conf.port * HISTORY_WINDOWS * LIMIT_COUNT_MAX;
	limits_forget(&g->limits, p->conf.port);
	*h = (struct history){ 0 };
	dns_forget(&g->dns, p->conf.port);
	memcpy(h->name, p->conf.name, sizeof(h->name));
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++) {
		h->outbound[i].at = at + (size_t)(2 * i) * LIMIT_COUNT_MAX;
		h->lateral[i].at = at + (size_t)(2 * i + 1) * LIMIT_COUNT_MAX;
	}
	h->asked.at = at + (size_t)(2 * LIMIT_CLASS_COUNT) * LIMIT_COUNT_MAX;
	h->answered.at = at + (size_t)(2 * LIMIT_CLASS_COUNT + 1) * LIMIT_COUNT_MAX;
}

int gateway_port_add(struct gateway *g, const struct gw_port *conf, const struct port_ops *ops, int fd, int ringfd,
		     int wakefd, struct err *e)
{
	int r = conf_check(conf, e);
	if (!r)
		r = conflict(g, conf, e);
	if (r)
		return r;
	struct port *p = &g->ports[conf->port];
	struct ring_writer ring;
	if ((r = ring_writer_open(&ring, ringfd, wakefd, e)) < 0)
		return r;
	*p = (struct port){
		.conf = *conf, .ops = ops ? ops : port_ops_of(conf->kind), .fd = fd, .wakefd = wakefd, .g = g
	};
	if ((r = p->ops->open(p, e)) < 0) {
		ring_writer_close(&ring);
		return r;
	}
	p->ring = ring;
	p->stats.port = conf->port;
	if (port_is_honeypot(p)) {
		p->lladdr = link_local(conf->mac);
		take_history(g, p);
	}
	p->used = true;
	hold_forget(g, p);
	index_rebuild(g);
	return 0;
}

int gateway_port_del(struct gateway *g, uint16_t port, struct err *e)
{
	struct port *p = gateway_port(g, port);
	if (!p)
		return err_set(e, -ENOENT, "there is no port %u", port);
	gateway_drop_fragments(g, p, ev_monotonic());
	flow_end_all(g, p, true);
	denied_flush_port(g, p);
	if (port_is_engine(p))
		engine_forget(g);
	shape_forget(g, p);
	capture_note(g, p, ev_monotonic());
	ring_writer_close(&p->ring);
	if (p->ops->close)
		p->ops->close(p);
	if (p->fd >= 0)
		close(p->fd);
	if (p->wakefd >= 0)
		close(p->wakefd);
	hold_forget(g, p);
	p->used = false;
	index_rebuild(g);
	return 0;
}

void gateway_port_mac(struct gateway *g, uint16_t port, const uint8_t mac[6])
{
	struct port *p = gateway_port(g, port);
	memcpy(p->conf.mac, mac, 6);
	p->lladdr = link_local(mac);
	index_rebuild(g);
}

int gateway_freeze(struct gateway *g, uint16_t port, bool frozen, struct err *e)
{
	struct port *p = gateway_port(g, port);
	if (port == GW_FREEZE_ALL)
		g->frozen = frozen;
	else if (!p || !port_is_honeypot(p))
		return err_set(e, -ENOENT, "there is no honeypot at port %u", port);
	else
		p->history->frozen = frozen;
	index_rebuild(g);
	return 0;
}

bool gateway_is_frozen(const struct gateway *g, const struct port *p)
{
	return g->any_frozen && (g->frozen || (p && port_is_honeypot(p) && p->history->frozen));
}

/* ---- memory -------------------------------------------------------------- */

struct gateway *gateway_new(const struct gateway_opts *o, struct err *e)
{
	struct gateway *g = arena_map(sizeof(*g));
	if (!g) {
		err_sys(e, -errno, "cannot map the gateway's memory");
		return NULL;
	}
	policies_init(&g->policies);
	index_rebuild(g);
	g->wall = ev_realtime() - ev_monotonic();
	g->stamps = arena_map(STAMPS * sizeof(g->stamps[0]));
	g->rx.room = arena_map((size_t)RX_BATCH * RX_ROOM);
	g->copy = arena_map(2 * (size_t)EDIT_ROOM);
	g->answer = g->copy ? g->copy + EDIT_ROOM : NULL;
	if (!g->stamps || !g->rx.room || !g->copy)
		err_sys(e, -errno, "cannot map the gateway's memory");
	else if (!flow_table_init(&g->flows, o && o->flows ? o->flows : FLOWS,
				  o && o->flows_per_honeypot ? o->flows_per_honeypot : FLOWS_PER_HONEYPOT,
				  o ? o->hash_key : NULL, e) &&
		 !limits_init(&g->limits, o ? o->hash_key : NULL, e) && !frag_table_init(&g->frags, e) &&
		 !tcp_table_init(&g->tcp, o && o->flows ? o->flows : FLOWS, o ? o->hash_key : NULL, e) &&
		 !denied_init(&g->denied, e) && !dns_init(&g->dns, e) &&
		 !engine_init(&g->engine, o ? o->hash_key : NULL, e) && !shape_init(&g->shaper, e))
		return g;
	gateway_free(g);
	return NULL;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	for (uint16_t i = 0; i < PORTS_MAX; i++)
		if (g->ports[i].used)
			gateway_port_del(g, i, NULL);
	dns_free(&g->dns);
	engine_free(&g->engine);
	shape_free(&g->shaper);
	denied_free(&g->denied);
	frag_table_free(&g->frags);
	tcp_table_free(&g->tcp);
	limits_free(&g->limits);
	flow_table_free(&g->flows);
	if (g->copy)
		munmap(g->copy, 2 * (size_t)EDIT_ROOM);
	if (g->rx.room)
		munmap(g->rx.room, (size_t)RX_BATCH * RX_ROOM);
	if (g->stamps)
		munmap(g->stamps, STAMPS * sizeof(g->stamps[0]));
	munmap(g, sizeof(*g));
}
