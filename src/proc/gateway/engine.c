/* SPDX-License-Identifier: ISC */
#include "proc/gateway/engine.h"

#include "proc/gateway/decode.h"
#include "proc/gateway/arena.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/random.h>

#define HEAD_MAX 192u /* more headers than that: the frame may not change at all */

int engine_init(struct engine *x, const uint8_t hash_key[16], struct err *e)
{
	*x = (struct engine){ .at = arena_map((ENGINE_OWED + 1) * sizeof(x->at[0])),
			      .buckets = arena_map(ENGINE_OWED * sizeof(x->buckets[0])) };
	if (!x->at || !x->buckets) {
		int r = err_sys(e, -errno, "cannot map the table of frames that the engine has");
		engine_free(x);
		return r;
	}
	if (hash_key)
		memcpy(x->hash_key, hash_key, sizeof(x->hash_key));
	else if (getrandom(x->hash_key, sizeof(x->hash_key), 0) != (ssize_t)sizeof(x->hash_key))
		return err_sys(e, -errno, "cannot get a random key");
	return 0;
}

void engine_free(struct engine *x)
{
	if (x->at)
		munmap(x->at, (ENGINE_OWED + 1) * sizeof(x->at[0]));
	if (x->buckets)
		munmap(x->buckets, ENGINE_OWED * sizeof(x->buckets[0]));
	*x = (struct engine){ 0 };
}

/* ---- what a frame is known by ---------------------------------------------- */

struct print {
	uint64_t head, whole;
	uint32_t len;
};

/* Bytes up to the payload, and where the checksum of the transport is; false if
 * nothing of the frame may change. */
static bool head_of(const struct frame *f, size_t *n, size_t *sum)
{
	if (!f->has_l4 || f->fragment || !f->l4.p)
		return false;
	size_t at = (size_t)(f->l4.p - f->bytes.p), len;
	switch (f->t.proto) {
	case PROTO_TCP:
		if (f->l4.n < 20)
			return false;
		len = (size_t)(f->l4.p[12] >> 4) * 4;
		*sum = at + 16;
		break;
	case PROTO_UDP:
		len = 8;
		*sum = at + 6;
		break;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		len = 8;
		*sum = at + 2;
		break;
	default:
		return false;
	}
	*n = at + len;
	return f->l4.n >= len && *n <= HEAD_MAX && *n <= f->bytes.n;
}

static uint64_t hash(const struct engine *x, const uint8_t *p, size_t n)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t h;
	crypto_shorthash(out, p, n, x->hash_key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static struct print print_of(const struct engine *x, const struct frame *f)
{
	struct print p = { .whole = hash(x, f->bytes.p, f->bytes.n), .len = (uint32_t)f->bytes.n };
	uint8_t head[HEAD_MAX];
	size_t n, sum;
	if (!head_of(f, &n, &sum)) {
		p.head = p.whole;
		return p;
	}
	memcpy(head, f->bytes.p, n);
	head[sum] = head[sum + 1] = 0;
	p.head = hash(x, head, n);
	return p;
}

/* ---- debts ------------------------------------------------------------------ */

static uint32_t *bucket(struct engine *x, uint64_t head)
{
	return &x->buckets[head & (ENGINE_OWED - 1)];
}

static void owed_take(struct engine *x, struct owed *o)
{
	uint32_t i = (uint32_t)(o - x->at), *at = bucket(x, o->head);
	while (*at != i)
		at = &x->at[*at].chain;
	*at = o->chain;
	*(o->older ? &x->at[o->older].newer : &x->oldest) = o->newer;
	*(o->newer ? &x->at[o->newer].older : &x->newest) = o->older;
	x->of[o->honeypot]--;
	x->count--;
	o->chain = x->free;
	x->free = i;
}

static struct owed *owed_put(struct engine *x, uint64_t head)
{
	uint32_t i = x->free;
	if (i)
		x->free = x->at[i].chain;
	else
		i = ++x->high;
	struct owed *o = &x->at[i];
	*o = (struct owed){ .older = x->newest };
	*(o->older ? &x->at[o->older].newer : &x->oldest) = i;
	x->newest = i;
	x->count++;
	/* To the end of its chain: of equal frames the oldest is paid first. */
	uint32_t *at = bucket(x, head);
	while (*at)
		at = &x->at[*at].chain;
	*at = i;
	return o;
}

static struct owed *owed_find(struct engine *x, const struct print *p, unsigned side)
{
	struct owed *like = NULL;
	for (uint32_t i = *bucket(x, p->head); i; i = x->at[i].chain) {
		struct owed *o = &x->at[i];
		if (o->head != p->head || o->len != p->len || o->side != side)
			continue;
		if (o->whole == p->whole)
			return o;
		if (!like)
			like = o;
	}
	return like;
}

static struct flow *flow_of(struct gateway *g, const struct owed *o)
{
	struct flow *fl = o->flow ? &g->flows.at[o->flow] : NULL;
	return fl && fl->used && fl->id == o->id ? fl : NULL;
}

/* It was counted as forwarded when the engine got it. */
static void kept(struct gateway *g, struct owed *o)
{
	struct flow *fl = o->copy ? NULL : flow_of(g, o);
	struct port *in = o->copy ? NULL : gateway_port(g, o->in);
	if (in) {
		in->stats.by_reason[REASON_ENGINE_DROP]++;
		in->stats.forwarded--;
		in->stats.dropped++;
	}
	if (fl) {
		fl->dropped[o->dir]++;
		fl->pkts[o->dir] -= fl->pkts[o->dir] > 0;
		fl->bytes[o->dir] -= fl->bytes[o->dir] < o->len ? fl->bytes[o->dir] : o->len;
		if (fl->verdict < VERDICT_DROP) {
			fl->verdict = VERDICT_DROP;
			fl->reason = REASON_ENGINE_DROP;
		}
	}
	g->engine.kept += !o->copy;
	owed_take(&g->engine, o);
}

void engine_expire(struct gateway *g, uint64_t now)
{
	struct engine *x = &g->engine;
	while (x->oldest && now - x->at[x->oldest].time >= ENGINE_WAIT)
		kept(g, &x->at[x->oldest]);
}

void engine_forget(struct gateway *g)
{
	while (g->engine.oldest)
		kept(g, &g->engine.at[g->engine.oldest]);
	g->engine.asked = 0;
}

bool engine_silent(const struct gateway *g, uint64_t now)
{
	return g->engine.asked && now - g->engine.asked >= ENGINE_SILENT;
}

/* ---- on the way in ------------------------------------------------------------ */

bool engine_lets_flood(const struct policy *pol)
{
	return pol->engine != ENGINE_INLINE;
}

static unsigned mode_of(const struct gateway *g, const struct port *p)
{
	const struct policy *pol = p && port_is_honeypot(p) ? policy_of(&g->policies, p->conf.port) : NULL;
	return pol ? pol->engine : ENGINE_OFF;
}

static bool is_wire(const struct port *p)
{
	return !p || port_is_honeypot(p) || port_is_uplink(p);
}

static unsigned mode(const struct gateway *g, const struct frame *f)
{
	bool resolution = f->l3 == L3_ARP || f->icmp_kind == ICMP_KIND_ND;
	/* What is played here never leaves, and the engine would see one half. */
	if (resolution || !is_wire(f->in) || !is_wire(f->out) || (f->flow && f->flow->twin))
		return ENGINE_OFF;
	unsigned a = mode_of(g, f->in), b = mode_of(g, f->out);
	if (a == ENGINE_INLINE || b == ENGINE_INLINE)
		return ENGINE_INLINE;
	return a == ENGINE_PASSIVE || b == ENGINE_PASSIVE ? ENGINE_PASSIVE : ENGINE_OFF;
}

/* Where the sender stands. Between honeypots: who began it is the inside. */
static unsigned side_of(const struct frame *f)
{
	if (f->out && port_is_honeypot(f->out) && port_is_honeypot(f->in))
		return f->flow ? f->dir : 0;
	return port_is_honeypot(f->in) ? 0 : 1;
}

static struct port *working(struct gateway *g, unsigned side)
{
	struct port *p = gateway_port(g, PORT_ENGINE(side));
	return p && !p->down ? p : NULL;
}

/* Dead, but for a frame now and then that shows whether it still is. */
static bool is_dead(struct gateway *g, uint64_t now)
{
	struct engine *x = &g->engine;
	if (!working(g, 0) || !working(g, 1))
		return true;
	if (!engine_silent(g, now))
		return false;
	if (now - x->trial < ENGINE_TRIAL)
		return true;
	x->trial = now;
	return false;
}

static uint16_t honeypot_of(const struct frame *f, const struct port *out)
{
	return port_is_honeypot(f->in) ? f->in->conf.port : out->conf.port;
}

static bool has_room(const struct engine *x, uint16_t honeypot)
{
	return x->count < ENGINE_OWED && x->of[honeypot] < ENGINE_OWED_HONEYPOT;
}

static void give(struct gateway *g, struct frame *f)
{
	struct port *out = f->out ? f->out : gateway_uplink(g, f->in->conf.net);
	if (is_dead(g, f->now))
		verdict_drop(f, REASON_ENGINE_DOWN);
	else if (!out)
		verdict_drop(f, REASON_NO_PORT);
	else if (f->bytes.n > ENGINE_FRAME_MAX)
		verdict_drop(f, REASON_TOO_LONG);
	else if (!has_room(&g->engine, honeypot_of(f, out)))
		verdict_drop(f, REASON_ENGINE_BUSY);
	if (dropped(f))
		return;
	/* What is to be changed is changed when it comes back. */
	f->later = f->edit;
	f->edit = (struct edit){ 0 };
	f->beyond = out;
	f->out = working(g, side_of(f));
	f->flood = false;
}

void inspect(struct gateway *g, struct frame *f)
{
	if (!passes(f) || f->reason == REASON_NONE)
		return;
	switch (mode(g, f)) {
	case ENGINE_INLINE:
		/* From outside to all: forward leaves out those that it may not reach. */
		if (f->flood && !port_is_honeypot(f->in))
			return;
#ifdef MUTANT_ENGINE_FAIL_OPEN
		if (!working(g, 0) || !working(g, 1))
			return;
#endif
		give(g, f);
		break;
	case ENGINE_PASSIVE:
		if (f->out && f->bytes.n <= ENGINE_FRAME_MAX && has_room(&g->engine, honeypot_of(f, f->out)) &&
		    !is_dead(g, f->now))
			f->copy = working(g, side_of(f));
		break;
	default:
		break;
	}
}

void engine_owe(struct gateway *g, struct frame *f)
{
	struct engine *x = &g->engine;
	const struct port *to = f->beyond ? f->out : f->copy, *end = f->beyond ? f->beyond : f->out;
	if (!to || !passes(f))
		return;
	struct print p = print_of(x, f);
	struct owed *o = owed_put(x, p.head);
	o->time = f->now;
	o->head = p.head;
	o->whole = p.whole;
	o->len = p.len;
	o->id = f->flow ? f->flow->id : 0;
	o->flow = f->flow ? (uint32_t)(f->flow - g->flows.at) : 0;
	o->in = f->in->conf.port;
	o->out = end->conf.port;
	o->honeypot = honeypot_of(f, end);
	o->rule = f->rule;
	o->side = to->conf.port == PORT_ENGINE(0) ? 1 : 0;
	o->copy = !f->beyond;
	o->dir = f->dir;
	o->verdict = f->verdict;
	o->edit = f->later;
	x->of[o->honeypot]++;
	x->given += !o->copy;
	if (!x->asked)
		x->asked = f->now;
}

/* ---- on the way out --------------------------------------------------------- */

/* A changed payload needs the right checksum. */
static bool sums_right(const struct frame *f)
{
	struct frame again = { .bytes = f->bytes, .wirelen = f->wirelen, .in = f->in, .check_sums = 1 };
	decode(&again);
	return !dropped(&again);
}

void engine_return(struct gateway *g, struct frame *f)
{
	struct engine *x = &g->engine;
	if (dropped(f))
		return;
	unsigned side = f->in->conf.port == PORT_ENGINE(1);
	struct print p = print_of(x, f);
	struct owed *o = owed_find(x, &p, side);
	if (!o) {
		x->unknown++;
#ifdef MUTANT_ENGINE_INJECT_OK
		f->out = side ? gateway_uplink(g, 0) : gateway_by_mac(g, 0, f->dst);
		if (f->out) {
			verdict_allow(f, REASON_ENGINE);
			return;
		}
#endif
		verdict_drop(f, REASON_ENGINE_UNKNOWN);
		return;
	}
	struct port *in = gateway_port(g, o->in);
	f->flow = flow_of(g, o);
	f->dir = o->dir;
	f->rule = o->rule;
	f->edit = o->edit;
	f->out = gateway_port(g, o->out);
	x->asked = 0;
	x->back += !o->copy;
#ifndef MUTANT_ENGINE_PASSIVE_SENDS
	if (o->copy)
		verdict_drop(f, REASON_ENGINE_COPY);
	else
#endif
	    if (gateway_is_frozen(g, in) || gateway_is_frozen(g, f->out))
		verdict_drop(f, REASON_FROZEN);
	else if (!in || !f->out || f->out->down || f->bytes.n > f->out->max_frame)
		verdict_drop(f, REASON_NO_PORT);
	else if (o->whole != p.whole && !sums_right(f))
		verdict_drop(f, REASON_CHECKSUM);
	else if (o->whole != p.whole || o->verdict == VERDICT_REWRITE)
		verdict_tighten(f, VERDICT_REWRITE, REASON_ENGINE);
	else
		verdict_allow(f, REASON_ENGINE);
	x->changed += o->whole != p.whole;
	owed_take(x, o);
}

/* ---- alerts ------------------------------------------------------------------- */

static struct flow *flow_by_tuple(struct gateway *g, const struct tuple *t)
{
	for (uint16_t net = 0; net < MODEL_NETS; net++) {
		struct flow_key key;
		bool from_a;
		if (!g->net_count[net])
			continue;
		flow_key_of(t, net, ICMP_KIND_NONE, 0, 0, 0, &key, &from_a);
		struct flow *fl = flow_lookup(&g->flows, &key);
		if (fl)
			return fl;
	}
	return NULL;
}

static struct port *alert_port(struct gateway *g, const struct flow *fl, const struct tuple *t)
{
	struct port *p = fl ? gateway_port(g, fl->owner) : NULL;
	if (!p)
		p = gateway_by_addr(g, -1, t->family, t->saddr);
	if (!p)
		p = gateway_by_addr(g, -1, t->family, t->daddr);
	return p ? p : gateway_port(g, PORT_ENGINE(0));
}

uint64_t engine_alert(struct gateway *g, const struct gw_alert *a, uint64_t now)
{
	struct tuple t = { .family = a->family, .proto = a->proto, .sport = a->sport, .dport = a->dport };
	memcpy(t.saddr, a->saddr, 16);
	memcpy(t.daddr, a->daddr, 16);
	struct flow *fl = flow_by_tuple(g, &t);
	if (fl)
		fl->alert = a->signature;
	struct port *p = alert_port(g, fl, &t);
	if (!p || ring_stopped(&p->ring))
		return fl ? fl->id : 0;
	struct ring_alert *r = ring_reserve(&p->ring, RING_ALERT, p->conf.port, now + g->wall, sizeof(*r));
	if (r) {
		*r = (struct ring_alert){ .flow = fl ? fl->id : 0,
					  .time = a->time,
					  .gid = a->gid,
					  .signature = a->signature,
					  .rev = a->rev,
					  .severity = a->severity,
					  .blocked = a->blocked,
					  .family = a->family,
					  .proto = a->proto,
					  .src_port = a->sport,
					  .dst_port = a->dport };
		memcpy(r->src, a->saddr, 16);
		memcpy(r->dst, a->daddr, 16);
		memcpy(r->text, a->text, sizeof(r->text));
		memcpy(r->category, a->category, sizeof(r->category));
		ring_publish(&p->ring);
	}
	return fl ? fl->id : 0;
}
