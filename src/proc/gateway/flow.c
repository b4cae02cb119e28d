/* SPDX-License-Identifier: ISC */
#include "proc/gateway/flow.h"

#include "proc/gateway/capture.h"
#include "proc/gateway/decode.h"
#include "proc/gateway/arena.h"
#include "proc/gateway/gateway.h"
#include "proc/gateway/hold.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/random.h>

/* RFC 5382 wants at least 2 h 4 min for an established TCP connection, RFC 4787
 * at least 2 min for UDP. */
static const uint64_t timeouts[FLOW_LIST_COUNT] = {
	[FLOW_LIST_TCP_NEW] = 60 * EV_SEC,  [FLOW_LIST_TCP] = 7500 * EV_SEC,   [FLOW_LIST_TCP_CLOSED] = 15 * EV_SEC,
	[FLOW_LIST_TCP_RESET] = 1 * EV_SEC, [FLOW_LIST_UDP_NEW] = 30 * EV_SEC, [FLOW_LIST_UDP] = 180 * EV_SEC,
	[FLOW_LIST_ICMP] = 30 * EV_SEC,     [FLOW_LIST_OTHER] = 60 * EV_SEC,
};

int flow_table_init(struct flow_table *t, uint32_t max, uint32_t per_honeypot, const uint8_t hash_key[16],
		    struct err *e)
{
	_Static_assert(sizeof(struct flow_key) == 40, "hashed as bytes");
	_Static_assert(offsetof(struct flow, listed) == 64, "a lookup touches one cache line");
	_Static_assert(sizeof(struct flow) % 64 == 0, "entries keep the alignment");
	*t = (struct flow_table){ .max = max, .per_honeypot = per_honeypot };
	uint32_t buckets = 1024;
	while (buckets < max && buckets < 1u << 30)
		buckets *= 2;
	t->mask = buckets - 1;
	t->at = arena_map_huge(((size_t)max + 1) * sizeof(t->at[0]));
	t->sums = arena_map(((size_t)max + 1) * sizeof(t->sums[0]));
	t->macs = arena_map(((size_t)max + 1) * sizeof(t->macs[0]));
	t->buckets = arena_map_huge((size_t)buckets * sizeof(t->buckets[0]));
	if (!t->at || !t->sums || !t->macs || !t->buckets) {
		int r = err_sys(e, -errno, "cannot map a table of %u flows", max);
		flow_table_free(t);
		return r;
	}
	/* Unique over restarts, below 2^53 (JSON): milliseconds since 1970, and
	 * 4096 flows in each. */
	t->next_id = ev_realtime() / EV_MS << 12;
	if (hash_key)
		memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
	else if (getrandom(t->hash_key, sizeof(t->hash_key), 0) != (ssize_t)sizeof(t->hash_key))
		return err_sys(e, -errno, "cannot get a random key");
	return 0;
}

void flow_table_free(struct flow_table *t)
{
	if (t->at)
		munmap(t->at, ((size_t)t->max + 1) * sizeof(t->at[0]));
	if (t->sums)
		munmap(t->sums, ((size_t)t->max + 1) * sizeof(t->sums[0]));
	if (t->macs)
		munmap(t->macs, ((size_t)t->max + 1) * sizeof(t->macs[0]));
	if (t->buckets)
		munmap(t->buckets, ((size_t)t->mask + 1) * sizeof(t->buckets[0]));
	*t = (struct flow_table){ 0 };
}

struct window_sum *flow_sum(struct flow_table *t, const struct flow *fl)
{
	return &t->sums[fl - t->at];
}

struct flow_macs *flow_macs(struct flow_table *t, const struct flow *fl)
{
	return &t->macs[fl - t->at];
}

uint16_t flow_net(const struct port *p)
{
	return (uint16_t)(p->conf.net + (p->conf.role == PORT_ROLE_SINK ? MODEL_NETS : 0));
}

static uint32_t hash_of(const struct flow_table *t, const struct flow_key *key)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;
	crypto_shorthash(out, (const uint8_t *)key, sizeof(*key), t->hash_key);
	memcpy(&h, out, sizeof(h));
	return h;
}

void flow_key_of(const struct tuple *t, uint16_t net, uint8_t kind, uint8_t type, uint8_t code, uint16_t id,
		 struct flow_key *key, bool *from_a)
{
	uint16_t sport = t->sport, dport = t->dport;
	uint16_t pair = t->family == 4 && type >= 13 ? (uint16_t)((type + 1) & ~1) : 0;
	bool a;
	switch (kind) {
	case ICMP_KIND_NONE: {
		int c = memcmp(t->saddr, t->daddr, 16);
		a = c < 0 || (c == 0 && sport <= dport);
		break;
	}
	case ICMP_KIND_REQUEST:
	case ICMP_KIND_ANSWER:
		/* Side a is who asks, so that a ping in the other direction with
		 * the same id is a conversation of its own. The id stands in for
		 * a's port; timestamp, ... are told from echo by the pair of types. */
		a = kind == ICMP_KIND_REQUEST;
		sport = a ? id : pair;
		dport = a ? pair : id;
		break;
	default:
		a = true;
		sport = type;
		dport = code;
	}
	*key = (struct flow_key){ .aport = a ? sport : dport,
				  .bport = a ? dport : sport,
				  .net = net,
				  .family = t->family,
				  .proto = t->proto };
	memcpy(key->a, a ? t->saddr : t->daddr, 16);
	memcpy(key->b, a ? t->daddr : t->saddr, 16);
	*from_a = a;
}

struct flow *flow_lookup(const struct flow_table *t, const struct flow_key *key)
{
	uint32_t h = hash_of(t, key);
	for (uint32_t i = t->buckets[h & t->mask]; i; i = t->at[i].chain)
		if (t->at[i].hash == h && !memcmp(&t->at[i].key, key, sizeof(*key)))
			return &t->at[i];
	return NULL;
}

static void list_take(struct flow_table *t, struct flow *fl)
{
	uint32_t *o = fl->older ? &t->at[fl->older].newer : &t->oldest[fl->list];
	uint32_t *n = fl->newer ? &t->at[fl->newer].older : &t->newest[fl->list];
	*o = fl->newer;
	*n = fl->older;
}

static void list_put(struct flow_table *t, struct flow *fl, uint8_t list, uint64_t now)
{
	uint32_t i = (uint32_t)(fl - t->at);
	fl->list = list;
	fl->listed = now;
	fl->newer = 0;
	fl->older = t->newest[list];
	*(fl->older ? &t->at[fl->older].newer : &t->oldest[list]) = i;
	t->newest[list] = i;
}

static void touch(struct flow_table *t, struct flow *fl, uint8_t list, uint64_t now)
{
	fl->last = now;
	if (list == fl->list && now - fl->listed < EV_SEC)
		return;
	list_take(t, fl);
	list_put(t, fl, list, now);
}

static bool quoted_kind(const struct frame *f, uint8_t *kind)
{
	*kind = ICMP_KIND_NONE;
	if (f->quoted.proto == (f->quoted.family == 4 ? PROTO_ICMP : PROTO_ICMP6)) {
		*kind = icmp_kind(f->quoted.family, f->quoted_type);
		return *kind == ICMP_KIND_REQUEST || *kind == ICMP_KIND_ANSWER;
	}
	return true;
}

static void found(struct gateway *g, struct frame *f, struct flow *fl)
{
	f->twin = fl->as_twin;
	f->flow = f->twin ? &g->flows.at[fl->twin] : fl;
}

/* An error goes to the sender of the packet that it quotes, and that packet
 * must belong to a known flow. */
static void find_related(struct gateway *g, struct frame *f)
{
	struct flow_key key;
	uint8_t kind;
	bool from_a;
	if (!f->quoted_ok || !quoted_kind(f, &kind) || memcmp(f->quoted.saddr, f->t.daddr, 16))
		return;
	/* A honeypot complains about what it was sent itself. */
	if (port_is_honeypot(f->in) && !port_owns_addr(f->in, f->quoted.family, f->quoted.daddr))
		return;
	flow_key_of(&f->quoted, flow_net(f->in), kind, f->quoted_type, 0, f->quoted_id, &key, &from_a);
	struct flow *fl = flow_lookup(&g->flows, &key);
	if (!fl)
		return;
	found(g, f, fl);
	/* It travels against the packet that it quotes. */
	f->dir = from_a == (bool)fl->a_began;
}

void flow_find(struct gateway *g, struct frame *f)
{
	struct flow_key key;
	bool from_a;
	if (dropped(f) || (f->l3 != L3_IP4 && f->l3 != L3_IP6))
		return;
	if (f->frag_off)
		return; /* no ports */
	if (f->icmp_kind == ICMP_KIND_ND || f->icmp_kind == ICMP_KIND_MLD)
		return;
	if (f->icmp_kind == ICMP_KIND_ERROR) {
		find_related(g, f);
		return;
	}
	flow_key_of(&f->t, flow_net(f->in), f->icmp_kind, f->icmp_type, f->icmp_code, f->icmp_id, &key, &from_a);
	struct flow *fl = flow_lookup(&g->flows, &key);
	if (!fl)
		return;
	bool syn = f->t.proto == PROTO_TCP && (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	f->dir = from_a != (bool)fl->a_began;
	found(g, f, fl);
	if (f->flow->state == FLOW_CLOSED && syn && flow_end(g, f->flow, FLOW_END_CLOSED, false)) {
		/* the ports are used anew: another conversation */
		f->flow = NULL;
		f->dir = 0;
		f->twin = false;
	}
}

bool flow_room(const struct gateway *g, const struct port *owner)
{
	return g->flows.count < g->flows.max && (!owner || owner->flows < g->flows.per_honeypot);
}

static uint8_t first_list(const struct frame *f)
{
	if (f->icmp_kind)
		return FLOW_LIST_ICMP;
	if (f->t.proto == PROTO_TCP)
		return FLOW_LIST_TCP_NEW;
	return f->t.proto == PROTO_UDP ? FLOW_LIST_UDP_NEW : FLOW_LIST_OTHER;
}

/* A fresh entry in the hash; there must be room. */
static struct flow *enter(struct flow_table *t, const struct flow_key *key, bool a_began)
{
	uint32_t i = t->free;
	if (i)
		t->free = t->at[i].chain;
	else
		i = ++t->high;
	struct flow *fl = &t->at[i];
	*fl = (struct flow){ .key = *key, .hash = hash_of(t, key), .used = 1, .a_began = a_began };
	fl->chain = t->buckets[fl->hash & t->mask];
	t->buckets[fl->hash & t->mask] = i;
	t->count++;
	return fl;
}

static void leave(struct flow_table *t, struct flow *fl)
{
	uint32_t i = (uint32_t)(fl - t->at), *at = &t->buckets[fl->hash & t->mask];
	while (*at != i)
		at = &t->at[*at].chain;
	*at = fl->chain;
	fl->used = 0;
	fl->id = 0;
	fl->chain = t->free;
	t->free = i;
	t->count--;
}

struct flow *flow_begin(struct gateway *g, struct frame *f, struct port *owner, struct port *src, struct port *dst)
{
	struct flow_table *t = &g->flows;
	struct flow_key key;
	bool from_a;
	flow_key_of(&f->t, flow_net(f->in), f->icmp_kind, f->icmp_type, f->icmp_code, f->icmp_id, &key, &from_a);
	struct flow *fl = enter(t, &key, from_a);
	struct window_sum *sum = flow_sum(t, fl);
	fl->last = fl->start = f->now;
	fl->id = t->next_id++;
	fl->src_slot = src ? src->conf.port : RING_NO_PORT;
	fl->dst_slot = dst ? dst->conf.port : RING_NO_PORT;
	fl->owner = owner->conf.port;
	fl->icmp_type = f->icmp_type;
	fl->icmp_code = f->icmp_code;
	fl->rule = RULE_NONE;
	fl->player = RING_NO_PORT;
	list_put(t, fl, first_list(f), f->now);
	owner->flows++;
	/* Its window belongs to the entry's former user. */
	if (sum->width || sum->slot || sum->packets[0])
		*sum = (struct window_sum){ 0 };
	f->flow = fl;
	f->dir = 0;
	return fl;
}

struct flow *flow_twin(struct gateway *g, struct flow *fl, const struct flow_key *key, bool from_a)
{
	struct flow_table *t = &g->flows;
	struct flow *twin = enter(t, key, from_a);
	twin->as_twin = 1;
	twin->twin = (uint32_t)(fl - t->at);
	fl->twin = (uint32_t)(twin - t->at);
	return twin;
}

static void follow_tcp(struct flow_table *t, struct frame *f)
{
	struct flow *fl = f->flow;
	uint8_t list = fl->list, flags = f->tcp_flags;
	fl->flags[f->dir] |= flags;
	if (flags & TCP_FIN)
		fl->fins |= (uint8_t)(1u << f->dir);
	if (flags & TCP_RST) {
		fl->state = FLOW_CLOSED;
		list = FLOW_LIST_TCP_RESET;
	} else if (fl->state == FLOW_CLOSED) {
		list = fl->list;
	} else if (fl->fins == 3) {
		fl->state = FLOW_CLOSED;
		list = FLOW_LIST_TCP_CLOSED;
	} else if (fl->pkts[1] && (fl->flags[0] & TCP_ACK)) {
		/* Both have spoken, and the beginner has answered the answer. */
		fl->state = FLOW_ESTABLISHED;
		list = FLOW_LIST_TCP;
	}
	touch(t, fl, list, f->now);
}

void flow_account(struct gateway *g, struct frame *f)
{
	struct flow *fl = f->flow;
	/* What comes out of the engine was counted when it went in. */
	if (!fl || port_is_engine(f->in))
		return;
	if (f->verdict > fl->verdict || fl->reason == REASON_NONE) {
		fl->verdict = f->verdict;
		fl->reason = f->reason;
	}
	if (dropped(f)) {
		fl->dropped[f->dir]++;
		return;
	}
	fl->bytes[f->dir] += f->wirelen;
	fl->pkts[f->dir]++;
	if (f->icmp_kind == ICMP_KIND_ERROR)
		return; /* keeps nothing alive */
	if (f->t.proto == PROTO_TCP && f->has_l4) {
		follow_tcp(&g->flows, f);
		tcp_account(g, f);
		return;
	}
	tcp_account(g, f);
	uint8_t list = fl->list;
	if (f->dir == 1 && fl->state == FLOW_NEW) {
		fl->state = FLOW_ESTABLISHED;
		if (list == FLOW_LIST_UDP_NEW)
			list = FLOW_LIST_UDP;
	}
	touch(&g->flows, fl, list, f->now);
}

static bool write_record(struct gateway *g, const struct flow *fl, uint8_t end)
{
	struct port *p = gateway_port(g, fl->owner);
	if (!p || ring_stopped(&p->ring))
		return true; /* nobody takes it any more */
	const struct flow_key *k = &fl->key;
	const struct flow *twin = fl->twin ? &g->flows.at[fl->twin] : NULL;
	bool icmp = fl->list == FLOW_LIST_ICMP;
	/* A rule of a policy that is gone has no number any more. */
	uint16_t rule = fl->generation == g->policies.now->serial ? fl->rule : RULE_NONE;
	if (!capture_rule(g, p, rule, fl->last))
		return false;
	struct ring_flow *r = ring_reserve(&p->ring, RING_FLOW, fl->owner, fl->last + g->wall, sizeof(*r));
	if (!r)
		return false;
	*r = (struct ring_flow){ .id = fl->id,
				 .start = fl->start + g->wall,
				 .last = fl->last + g->wall,
				 .bytes_toserver = fl->bytes[0],
				 .bytes_toclient = fl->bytes[1],
				 .pkts_toserver = fl->pkts[0],
				 .pkts_toclient = fl->pkts[1],
				 .dropped_toserver = fl->dropped[0],
				 .dropped_toclient = fl->dropped[1],
				 .src_slot = fl->src_slot,
				 .dst_slot = fl->dst_slot,
				 .src_port = icmp          ? fl->icmp_type
					     : fl->a_began ? k->aport
							   : k->bport,
				 .dst_port = icmp          ? fl->icmp_code
					     : fl->a_began ? k->bport
							   : k->aport,
				 .family = k->family,
				 .proto = k->proto,
				 .state = fl->state,
				 .end = end,
				 .verdict = fl->verdict,
				 .reason = fl->reason,
				 .tcp_flags_ts = fl->flags[0],
				 .tcp_flags_tc = fl->flags[1],
				 .rule = rule,
				 .player = fl->player };
	if (twin && !icmp) {
		r->player_sport = twin->a_began ? twin->key.aport : twin->key.bport;
		r->player_dport = twin->a_began ? twin->key.bport : twin->key.aport;
	}
	memcpy(r->src, fl->a_began ? k->a : k->b, 16);
	memcpy(r->dst, fl->a_began ? k->b : k->a, 16);
	ring_publish(&p->ring);
	return true;
}

static void take_out(struct gateway *g, struct flow *fl)
{
	struct flow_table *t = &g->flows;
	tcp_forget(g, fl);
#ifndef MUTANT_TWIN_LEFT
	if (fl->twin)
		leave(t, &t->at[fl->twin]);
#endif
	list_take(t, fl);
	struct port *owner = gateway_port(g, fl->owner);
	if (owner) {
		owner->flows--;
		owner->own -= fl->counted;
	}
	leave(t, fl);
}

bool flow_end(struct gateway *g, struct flow *fl, uint8_t end, bool force)
{
	if (!write_record(g, fl, end) && !force)
		return false;
	take_out(g, fl);
	return true;
}

void flow_cancel(struct gateway *g, struct frame *f)
{
	if (f->flow)
		take_out(g, f->flow);
	f->flow = NULL;
}

void flow_expire(struct gateway *g, uint64_t now, unsigned most)
{
	struct flow_table *t = &g->flows;
	for (uint8_t l = 0; l < FLOW_LIST_COUNT; l++) {
		for (uint32_t i; most && (i = t->oldest[l]) && now - t->at[i].listed >= timeouts[l]; most--) {
			struct flow *fl = &t->at[i];
			uint8_t end = fl->state == FLOW_CLOSED ? FLOW_END_CLOSED : FLOW_END_TIMEOUT;
			/* No room for the record: to the end of the queue, so that one
			 * honeypot's full ring does not keep the others waiting. */
			if (now - hold_idle(g, fl) < timeouts[l] || !flow_end(g, fl, end, false)) {
				list_take(t, fl);
				list_put(t, fl, l, now);
			}
		}
	}
}

uint32_t flow_end_all(struct gateway *g, const struct port *p, bool force)
{
	struct flow_table *t = &g->flows;
	uint32_t left = 0;
	for (uint32_t i = 1; i <= t->high; i++) {
		struct flow *fl = &t->at[i];
		if (!fl->used || fl->as_twin ||
		    (p && fl->owner != p->conf.port && fl->src_slot != p->conf.port && fl->dst_slot != p->conf.port &&
		     fl->player != p->conf.port))
			continue;
		left += !flow_end(g, fl, FLOW_END_SHUTDOWN, force);
	}
	return left;
}
