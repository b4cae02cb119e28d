/* SPDX-License-Identifier: ISC */
#include "proc/gateway/judge.h"

#include "proc/gateway/decode.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#define BUCKETS (1u << 21)

/* Conversations end in a capture as they do in the flow table (flow.c). */
#define SILENT_TCP_NEW (60 * EV_SEC)
#define SILENT_TCP (7500 * EV_SEC)
#define SILENT_UDP (180 * EV_SEC)
#define SILENT_OTHER (60 * EV_SEC)

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int judge_account_init(struct judge *j, struct err *e)
{
	j->convs = map(((size_t)JUDGE_CONVERSATIONS_MAX + 1) * sizeof(j->convs[0]));
	j->buckets = map(BUCKETS * sizeof(j->buckets[0]));
	if (!j->convs || !j->buckets)
		return err_sys(e, -errno, "cannot map a table of conversations");
	return 0;
}

/* ---- conversations ----------------------------------------------------------- */

/* What has no tuple is one conversation for each port and EtherType. */
static void key_of_link(const struct frame *f, uint16_t port, struct flow_key *key)
{
	*key = (struct flow_key){ .aport = f->l3 == L3_LLC ? 0 : f->ethertype, .bport = port, .net = 0xffff };
}

static bool is_resolution(const struct frame *f)
{
	return f->l3 == L3_ARP || f->icmp_kind == ICMP_KIND_ND;
}

static void key_of(const struct frame *f, const struct port *in, struct flow_key *key, bool *from_a)
{
	*from_a = true;
	if (!f->t.family || is_resolution(f)) {
		key_of_link(f, in->conf.port, key);
		return;
	}
	if (f->icmp_kind == ICMP_KIND_ERROR && f->quoted_ok) {
		uint8_t kind = ICMP_KIND_NONE;
		if (f->quoted.proto == (f->quoted.family == 4 ? PROTO_ICMP : PROTO_ICMP6))
			kind = icmp_kind(f->quoted.family, f->quoted_type);
		flow_key_of(&f->quoted, in->conf.net, kind, f->quoted_type, 0, f->quoted_id, key, from_a);
		*from_a = !*from_a;
		return;
	}
	flow_key_of(&f->t, in->conf.net, f->icmp_kind, f->icmp_type, f->icmp_code, f->icmp_id, key, from_a);
}

static uint32_t hash_of(const struct flow_key *key)
{
	static const uint8_t secret[crypto_shorthash_KEYBYTES] = "judge";
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;
	crypto_shorthash(out, (const uint8_t *)key, sizeof(*key), secret);
	memcpy(&h, out, sizeof(h));
	return h;
}

static struct judge_conv *lookup(struct judge *j, const struct flow_key *key, uint32_t h)
{
	for (uint32_t i = j->buckets[h & (BUCKETS - 1)]; i; i = j->convs[i].chain)
		if (j->convs[i].hash == h && !memcmp(&j->convs[i].key, key, sizeof(*key)))
			return &j->convs[i];
	return NULL;
}

/* Has the conversation ended, so that this frame begins another one? */
static bool ended(const struct judge_conv *v, const struct frame *f, uint64_t now)
{
	uint64_t silent = now - v->c.last;
	if (v->key.net == 0xffff || now < v->c.last)
		return false;
	if (v->key.proto != PROTO_TCP)
		return silent >= (v->key.proto == PROTO_UDP ? SILENT_UDP : SILENT_OTHER);
	bool syn = (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	return (v->over && syn) || silent >= (v->both ? SILENT_TCP : SILENT_TCP_NEW);
}

static uint16_t honeypot_of(struct judge *j, const struct frame *f, const struct port *in)
{
	if (port_is_honeypot(in))
		return in->conf.port;
	const struct port *p = gateway_by_mac(j->side[0].g, in->conf.net, f->dst);
	if (!p)
		p = gateway_by_addr(j->side[0].g, -1, f->t.family, f->t.daddr);
	return p ? p->conf.port : RING_NO_PORT;
}

static struct judge_conv *begin(struct judge *j, const struct frame *f, const struct port *in,
				const struct flow_key *key, bool from_a, uint32_t h, uint64_t now)
{
	if (j->nconvs == JUDGE_CONVERSATIONS_MAX) {
		j->end.overflow++;
		return NULL;
	}
	struct judge_conv *v = &j->convs[++j->nconvs];
	*v = (struct judge_conv){ .key = *key,
				  .hash = h,
				  .chain = j->buckets[h & (BUCKETS - 1)],
				  .a_began = from_a,
				  .last_rule = { RULE_NONE, RULE_NONE } };
	j->buckets[h & (BUCKETS - 1)] = j->nconvs;
	bool icmp = f->icmp_kind != ICMP_KIND_NONE;
	struct judge_conversation *c = &v->c;
	*c = (struct judge_conversation){ .first = j->end.packets,
					  .start = now,
					  .last = now,
					  .honeypot = honeypot_of(j, f, in),
					  .kind = is_resolution(f)       ? JUDGE_RESOLUTION
						  : port_is_honeypot(in) ? JUDGE_BEGAN
									 : JUDGE_REPLY,
					  .ethertype = f->ethertype };
	if (key->net != 0xffff) {
		c->family = f->t.family;
		c->proto = f->t.proto;
		c->sport = icmp ? f->icmp_type : f->t.sport;
		c->dport = icmp ? f->icmp_code : f->t.dport;
		memcpy(c->src, f->t.saddr, 16);
		memcpy(c->dst, f->t.daddr, 16);
	}
	for (unsigned s = 0; s < JUDGE_SIDES; s++)
		c->fate[s] = (struct judge_fate){ .verdict = VERDICT_COUNT, .rule = RULE_NONE };
	return v;
}

/* Later fragments have no ports: they belong where their first one did. */
static uint32_t *frag_of(struct judge *j, const struct frame *f)
{
	uint32_t h = f->frag_id * 2654435761u;
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ f->t.saddr[i] ^ (uint32_t)f->t.daddr[i] << 8) * 16777619u;
	uint32_t at = (h >> 12) & (sizeof(j->frags) / sizeof(j->frags[0]) - 1);
	bool same = j->frags[at].id == f->frag_id && !memcmp(j->frags[at].saddr, f->t.saddr, 16) &&
		    !memcmp(j->frags[at].daddr, f->t.daddr, 16);
	if (!same && f->frag_off)
		return NULL;
	if (!same) {
		j->frags[at].id = f->frag_id;
		memcpy(j->frags[at].saddr, f->t.saddr, 16);
		memcpy(j->frags[at].daddr, f->t.daddr, 16);
	}
	return &j->frags[at].conv;
}

static void follow(struct judge_conv *v, const struct frame *f, unsigned dir)
{
	v->both |= v->c.packets[!dir] != 0;
	if (v->key.proto != PROTO_TCP || f->icmp_kind)
		return;
	if (f->tcp_flags & TCP_FIN)
		v->fins |= (uint8_t)(1u << dir);
	v->over |= (f->tcp_flags & TCP_RST) || v->fins == 3;
}

/* The conversation of a frame; the first side counts what the capture holds. */
static struct judge_conv *conversation(struct judge *j, const struct frame *f, const struct port *in, uint64_t now,
				       bool count, unsigned *which)
{
	struct flow_key key;
	bool from_a;
	uint32_t *frag = f->fragment ? frag_of(j, f) : NULL;
	struct judge_conv *v = NULL;
	unsigned dir = 0;
	key_of(f, in, &key, &from_a);
	if (frag && f->frag_off) {
		v = *frag ? &j->convs[*frag] : NULL;
		if (v)
			dir = memcmp(v->c.src, f->t.saddr, 16) != 0;
	}
	if (!v) {
		uint32_t h = hash_of(&key);
		v = lookup(j, &key, h);
		if (!v || (count && ended(v, f, now)))
			v = begin(j, f, in, &key, from_a, h, now);
		if (!v)
			return NULL;
		dir = from_a != (bool)v->a_began;
	}
	if (frag && !f->frag_off)
		*frag = (uint32_t)(v - j->convs);
	if (count) {
		v->c.packets[dir]++;
		v->c.bytes[dir] += f->wirelen;
		if (now > v->c.last)
			v->c.last = now;
		follow(v, f, dir);
	}
	*which = dir;
	return v;
}

void judge_find(struct judge *j, const struct port *in)
{
	j->conv = conversation(j, &j->decoded, in, j->now, true, &j->dir);
}

bool judge_possible(const struct judge *j, unsigned side)
{
	const struct judge_conv *v = j->conv;
	const struct frame *f = &j->decoded;
	if (!v || !j->dir || v->key.net == 0xffff || v->through & 1u << side)
		return true;
#ifdef MUTANT_JUDGE_ANSWERS_ALL
	return true;
#endif
	/* A SYN answers nothing. */
	return f->t.proto == PROTO_TCP && f->has_l4 &&
	       (f->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

void judge_impossible(struct judge *j, unsigned side)
{
	struct judge_count *n = &j->end.count[side][VERDICT_DROP][REASON_NO_FLOW];
	n->packets++;
	n->bytes += j->decoded.wirelen;
	j->end.unasked[side]++;
	j->side[side].current = j->conv;
	j->side[side].rule = RULE_NONE;
	j->side[side].out_port = RING_NO_PORT;
}

/* ---- what the rings say ------------------------------------------------------- */

static void judged(struct judge *j, unsigned side, const struct ring_entry *h, const struct ring_frame *r,
		   struct slice bytes)
{
	struct judge_side *s = &j->side[side];
	struct judge_conv *v = j->conv;
	unsigned dir = j->dir;
	/* Mostly it is the frame of now; fragments may have waited. */
	if (bytes.n != j->frame.n || memcmp(bytes.p, j->frame.p, bytes.n) != 0) {
		struct frame f = { .bytes = bytes, .wirelen = r->wirelen };
		decode(&f);
		v = conversation(j, &f, gateway_port(s->g, h->port), h->time, false, &dir);
	}
	struct judge_count *n = &j->end.count[side][r->verdict][r->reason];
	n->packets++;
	n->bytes += r->wirelen;
	s->current = v;
	s->rule = r->rule;
	s->out_port = r->out_port;
#ifndef MUTANT_JUDGE_NEVER_FIRED
	if (r->rule < POOL_RULES) {
		s->rule_packets[r->rule]++;
		s->rule_convs[r->rule] += v && v->last_rule[side] != r->rule;
	}
#endif
	if (!v)
		return;
	if (r->rule != RULE_NONE)
		v->last_rule[side] = r->rule;
	struct judge_fate *fate = &v->c.fate[side];
	if (dir)
		return;
	if (r->verdict <= VERDICT_REWRITE || r->reason == REASON_QUEUED)
		v->through |= (uint8_t)(1u << side);
	if (r->verdict < fate->verdict) {
		fate->verdict = r->verdict;
		fate->reason = r->reason;
		fate->rule = r->rule;
	}
}

static int read_ring(struct judge *j, unsigned side, uint16_t port, struct err *e)
{
	struct ring_reader *ring = &j->side[side].ring[port];
	struct ring_entry h;
	const uint8_t *p;
	int got;
	if (!ring->shm)
		return 0;
	while ((got = ring_next(ring, &h, &p)) == 1) {
		struct slice s = slice_of(p, h.len - sizeof(h));
		struct ring_frame r;
		if (h.kind == RING_FRAME && slice_get(&s, &r, sizeof(r)) && r.dir == FRAME_IN &&
		    r.verdict < VERDICT_COUNT && r.reason < REASON_COUNT)
			judged(j, side, &h, &r, slice_head(s, r.caplen));
	}
	if (got < 0)
		return err_sys(e, got, "the ring of port %u", port);
	ring_release(ring);
	return 0;
}

/* ---- what was sent ------------------------------------------------------------ */

static void sent(struct judge *j, unsigned side)
{
	struct judge_side *s = &j->side[side];
	for (unsigned i = 0; i < s->nsent; i++) {
		const struct judge_sent *x = &s->sent[i];
		const struct port *to = gateway_port(s->g, x->port);
		struct judge_conv *v = x->same ? s->current : lookup(j, &x->key, hash_of(&x->key));
		bool elsewhere = !v && s->current;
		if (!v)
			v = s->current;
		if (!v) {
			bool up = to && port_is_uplink(to);
			j->end.tick_packets += up && side == 0;
			j->end.tick_bytes += up && side == 0 ? x->n : 0;
			continue;
		}
		struct judge_fate *fate = &v->c.fate[side];
		if (port_is_uplink(to)) {
			fate->left_packets++;
			fate->left_bytes += x->n;
		} else if (v->c.kind == JUDGE_BEGAN && x->port != v->c.honeypot) {
			fate->stays_packets++;
			fate->stays_bytes += x->n;
		}
		if (elsewhere && x->t.family && !fate->to_family && port_is_uplink(to)) {
			fate->to_family = x->t.family;
			fate->to_port = x->t.dport;
			memcpy(fate->to_addr, x->t.daddr, 16);
		}
	}
	s->nsent = 0;
}

void judge_sink(void *arg, struct port *p, struct slice bytes)
{
	struct judge *j = ((void **)arg)[0];
	struct judge_side *s = ((void **)arg)[1];
	struct frame f = { .bytes = bytes, .wirelen = (uint32_t)bytes.n };
	bool from_a;
	if (s->nsent == JUDGE_SENT) /* what had waited: of conversations that are known */
		sent(j, (unsigned)(s - j->side));
	struct judge_sent *x = &s->sent[s->nsent++];
	*x = (struct judge_sent){ .port = p->conf.port, .n = (uint32_t)bytes.n, .same = bytes.p == j->frame.p };
	if (x->same)
		return;
	decode(&f);
	key_of(&f, p, &x->key, &from_a);
	x->t = f.t;
}

int judge_drain(struct judge *j, unsigned side, struct port *in, struct err *e)
{
	struct judge_side *s = &j->side[side];
	int r = 0;
	s->current = NULL;
	s->rule = RULE_NONE;
	s->out_port = RING_NO_PORT;
	if (in)
		r = read_ring(j, side, in->conf.port, e);
	for (unsigned i = 0; !r && i < PORTS_MAX && !in; i++)
		r = read_ring(j, side, (uint16_t)i, e);
	/* A copy that was sent stands in the ring of the port that it went to. */
	for (unsigned i = 0; !r && i < s->nsent && in; i++)
		if (s->sent[i].port != in->conf.port && !s->sent[i].same)
			r = read_ring(j, side, s->sent[i].port, e);
	if (!in)
		s->current = NULL;
	sent(j, side);
	return r;
}
