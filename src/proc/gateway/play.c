/* SPDX-License-Identifier: ISC */
#include "proc/gateway/play.h"

#include "proc/gateway/edit.h"
#include "proc/gateway/gateway.h"

#include <sodium.h>

/* Where a sinkhole listens. */
enum { SINK_PORT_SMTP = 25, SINK_PORT_HTTP = 80, SINK_PORT_ANY = 9, PORT_DNS = 53 };

/* Other source ports that are tried: those that clients take by themselves. */
enum { TRIES = 64, EPHEMERAL = 32768, EPHEMERALS = 28232 };

struct side {
	const uint8_t *addr;
	uint16_t port;
};

static void sides(const struct flow *fl, struct side *beginner, struct side *other)
{
	struct side a = { fl->key.a, fl->key.aport }, b = { fl->key.b, fl->key.bport };
	*beginner = fl->a_began ? a : b;
	*other = fl->a_began ? b : a;
}

/* ---- who plays ------------------------------------------------------------- */

static struct port *honeypot_of(struct gateway *g, uint16_t target)
{
	const struct policy_set *set = g->policies.now;
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++)
		if (set->has[i] && set->honeypot[i] == target)
			return gateway_port(g, i);
	return NULL;
}

static bool is_link_local(uint8_t family, const uint8_t *addr)
{
	return family == 6 && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* The address of the player that the frame shall go to; NULL: it has none. */
static const struct addr *address_of(const struct port *p, const struct frame *f)
{
	if (is_link_local(f->t.family, f->t.saddr))
		return p->conf.net == f->in->conf.net ? &p->lladdr : NULL;
	for (uint32_t i = 0; i < p->conf.naddrs; i++)
		if (p->conf.addrs[i].family == f->t.family)
			return &p->conf.addrs[i];
	return NULL;
}

static uint16_t sink_port(const struct rule *r, uint8_t proto, uint16_t port)
{
	if (port == PORT_DNS)
		return port;
	if (proto != PROTO_TCP)
		return SINK_PORT_ANY;
	switch (r->sink) {
	case SINK_SMTP:
		return SINK_PORT_SMTP;
	case SINK_HTTP:
		return SINK_PORT_HTTP;
	case SINK_TCP:
		return SINK_PORT_ANY;
	default:
		break;
	}
	switch (port) {
	case 25:
	case 587:
		return SINK_PORT_SMTP;
	case 80:
	case 3128:
	case 8000:
	case 8080:
		return SINK_PORT_HTTP;
	default:
		return SINK_PORT_ANY; /* 465 too: its clients speak first, TLS */
	}
}

/* Whom a frame to p comes from, as p will answer. */
static const uint8_t *sender_mac(const struct port *p, const struct frame *f)
{
	bool near = p->conf.net == f->in->conf.net;
	if (!port_is_honeypot(p) || (near && port_on_link(p, f->t.family, f->t.saddr)))
		return f->src;
	if (p->knows_router)
		return p->router;
	return port_is_uplink(f->in) ? f->src : f->dst;
}

void play_learn(const struct frame *f)
{
	struct port *p = f->in;
	if ((f->l3 != L3_IP4 && f->l3 != L3_IP6) || f->multicast ||
	    (p->knows_router && !memcmp(p->router, f->dst, 6)) || port_on_link(p, f->t.family, f->t.daddr))
		return;
	memcpy(p->router, f->dst, 6);
	p->knows_router = true;
}

/* ---- the twin ---------------------------------------------------------------- */

/* What the player sees of the frame that begins it. */
struct seen {
	struct tuple t;
	uint16_t id; /* of ICMP */
};

static uint16_t another_port(const struct gateway *g, const struct seen *s, unsigned try)
{
	struct {
		struct tuple t;
		uint32_t try;
	} in;
	uint8_t out[crypto_shorthash_BYTES];
	memset(&in, 0, sizeof(in));
	in.t = s->t;
	in.try = try;
	crypto_shorthash(out, (const uint8_t *)&in, sizeof(in), g->flows.hash_key);
	return (uint16_t)(EPHEMERAL + (out[0] << 8 | out[1]) % EPHEMERALS);
}

/* A key that nobody has; false: none was found. */
static bool twin_key(const struct gateway *g, const struct frame *f, const struct port *player, struct seen s,
		     struct flow_key *key, bool *from_a)
{
	for (unsigned try = 0; try < TRIES; try++) {
		struct seen now = s;
		if (try && f->icmp_kind)
			now.id = another_port(g, &s, try);
		else if (try)
			now.t.sport = another_port(g, &s, try);
		flow_key_of(&now.t, flow_net(player), f->icmp_kind, f->icmp_type, f->icmp_code, now.id, key, from_a);
		if (!flow_lookup(&g->flows, key))
			return true;
	}
	return false;
}

/* ---- the copy ------------------------------------------------------------------ */

/* The other side of the gateway: MACs, addresses and ports. */
static void translate(struct gateway *g, struct frame *f, const struct flow *fl)
{
	const struct flow_macs *m = flow_macs(&g->flows, fl);
	struct side from, to;
	edit_keep(f);
	struct edit *e = &f->edit;
	sides(f->dir ? fl : &g->flows.at[fl->twin], &from, &to);
	memcpy(e->smac, f->dir ? m->to[0] : m->from[1], 6);
	memcpy(e->dmac, f->dir ? m->from[0] : m->to[1], 6);
	memcpy(f->dir ? e->daddr : e->saddr, from.addr, 16);
	memcpy(f->dir ? e->saddr : e->daddr, to.addr, 16);
	if (fl->list == FLOW_LIST_ICMP) {
		e->sport = e->dport = from.port;
	} else {
		*(f->dir ? &e->dport : &e->sport) = from.port;
		*(f->dir ? &e->sport : &e->dport) = to.port;
	}
	e->what = EDIT_MACS | EDIT_ADDRS | EDIT_PORTS;
	if (f->icmp_kind == ICMP_KIND_ERROR)
		e->what |= EDIT_QUOTED;
}

/* May anything go there? 0, or why not. */
static uint8_t closed(const struct gateway *g, const struct port *to)
{
	if (!to || to->down)
		return REASON_NO_PORT;
	if (gateway_is_frozen(g, to))
		return REASON_FROZEN;
	return port_is_honeypot(to) && !policy_of(&g->policies, to->conf.port) ? REASON_NO_POLICY : REASON_NONE;
}

static bool can_begin(const struct frame *f)
{
	if (f->flow || f->flood || f->fragment || !f->has_l4)
		return false;
	if (f->t.proto == PROTO_TCP || f->t.proto == PROTO_UDP)
		return true;
	return f->icmp_kind == ICMP_KIND_REQUEST;
}

static struct flow *enter(struct gateway *g, struct frame *f, struct port *player, const struct flow_key *key,
			  bool from_a)
{
	struct port *owner = port_is_honeypot(f->in) ? f->in : f->out;
	struct flow *fl = flow_begin(g, f, owner, f->in, NULL);
	struct flow_macs *m = flow_macs(&g->flows, fl);
	fl->player = player->conf.port;
	fl->lateral = port_is_honeypot(f->in) && gateway_by_addr(g, -1, f->t.family, f->t.daddr);
	memcpy(m->from[0], f->src, 6);
	memcpy(m->to[0], f->dst, 6);
	memcpy(m->from[1], sender_mac(player, f), 6);
	memcpy(m->to[1], player->conf.mac, 6);
	flow_twin(g, fl, key, from_a);
	return fl;
}

void play_begin(struct gateway *g, struct frame *f, const struct rule *r)
{
	bool reflect = r->action == ACTION_REFLECT;
	struct port *player = reflect ? honeypot_of(g, r->target) : gateway_port(g, PORT_SINK(f->in->conf.net));
	struct seen s = { .t = f->t, .id = f->icmp_id };
	struct flow_key key;
	bool from_a;
	uint8_t reason = closed(g, player);
	f->rule = (uint16_t)(r - g->policies.now->pool.rules);
	if (!can_begin(f) || player == f->in || !(port_is_honeypot(f->in) || (f->out && port_is_honeypot(f->out))))
		reason = REASON_DENIED;
	else if (!reason && g->flows.count + 2 > g->flows.max)
		reason = REASON_FLOW_TABLE_FULL;
	if (reason) {
		verdict_drop(f, reason);
		return;
	}
	if (reflect) {
		const struct addr *a = address_of(player, f);
		if (!a) {
			verdict_drop(f, REASON_DENIED);
			return;
		}
		memset(s.t.daddr, 0, 16);
		memcpy(s.t.daddr, a->b, a->family == 4 ? 4 : 16);
	} else if (!f->icmp_kind) {
		s.t.dport = sink_port(r, f->t.proto, f->t.dport);
	}
	if (!twin_key(g, f, player, s, &key, &from_a)) {
		verdict_drop(f, REASON_FLOW_TABLE_FULL);
		return;
	}
	struct flow *fl = enter(g, f, player, &key, from_a);
#ifdef MUTANT_REFLECT_LEAKS
	edit_keep(f);
	f->edit.what = EDIT_MACS;
	verdict_tighten(f, reflect ? VERDICT_REFLECT : VERDICT_SINKHOLE, REASON_RULE);
	return;
#endif
	translate(g, f, fl);
	f->out = player;
	verdict_tighten(f, reflect ? VERDICT_REFLECT : VERDICT_SINKHOLE, REASON_RULE);
}

void play_continue(struct gateway *g, struct frame *f)
{
	struct flow *fl = flow_main(&g->flows, f->flow);
	const struct tuple *t = &f->t, *q = &f->quoted;
	bool syn = f->t.proto == PROTO_TCP && (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	if (!fl->twin) {
		verdict_drop(f, REASON_DENIED);
		return;
	}
	/* Each side by its own port and under its own addresses; who answers begins
	 * nothing; an error comes from the end itself. */
	if (f->in->conf.port != (f->dir ? fl->player : fl->src_slot) || f->twin != (f->dir == 1) || (f->dir && syn) ||
	    (f->icmp_kind == ICMP_KIND_ERROR && memcmp(t->saddr, q->daddr, 16))) {
		verdict_drop(f, REASON_NO_FLOW);
		return;
	}
	/* Of a datagram in fragments the whole is judged (frag.h). */
	if (f->fragment || !f->has_l4 || (f->frames && f->icmp_kind == ICMP_KIND_ERROR)) {
		verdict_drop(f, REASON_FRAGMENT);
		return;
	}
	struct port *to = gateway_port(g, f->dir ? fl->src_slot : fl->player);
	uint8_t reason = closed(g, to);
	if (reason) {
		verdict_drop(f, reason);
		return;
	}
	translate(g, f, fl);
	f->out = to;
	f->rule = fl->rule;
	bool sink = fl->player >= MODEL_HONEYPOTS;
	verdict_tighten(f, sink ? VERDICT_SINKHOLE : VERDICT_REFLECT, f->dir ? REASON_PLAYED : REASON_RULE);
}
