/* SPDX-License-Identifier: ISC */
#include "proc/gateway/dns.h"

#include "proc/gateway/dns_msg.h"
#include "proc/gateway/dns_names.h"
#include "proc/gateway/arena.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#define WAITING 256u
#define WAIT_NS (30 * EV_SEC)

/* A question that was let out. */
struct question {
	uint64_t time; /* 0 = none */
	uint64_t what; /* keyed hash of name and type */
	uint64_t flow; /* id */
	uint16_t id, sport;
	uint8_t family, moved;
	uint8_t asked[16], server[16]; /* the same, but for moved ones */
};

struct dns_pot {
	struct window queries;
	uint64_t at[LIMIT_COUNT_MAX];
	uint32_t next;
	struct question waiting[WAITING];
	struct dns_names names;
};

int dns_init(struct dns *d, struct err *e)
{
	d->pots = arena_map(MODEL_HONEYPOTS * sizeof(d->pots[0]));
	return d->pots ? 0 : err_sys(e, -errno, "cannot map the memory of DNS questions");
}

void dns_free(struct dns *d)
{
	if (d->pots)
		munmap(d->pots, MODEL_HONEYPOTS * sizeof(d->pots[0]));
	d->pots = NULL;
}

void dns_forget(struct dns *d, uint16_t slot)
{
	struct dns_pot *p = &d->pots[slot];
	if (!p->queries.at)
		return; /* never used */
	memset(p, 0, sizeof(*p));
}

static uint64_t hash(const struct gateway *g, const void *p, size_t n)
{
	uint64_t h;
	_Static_assert(crypto_shorthash_BYTES == sizeof(h), "SipHash-2-4");
	crypto_shorthash((uint8_t *)&h, p, n, g->flows.hash_key);
	return h;
}

/* With the labels' lengths: "ab.c" is not "a.bc". */
static uint64_t hash_name(const struct gateway *g, const struct dns_name *n, unsigned labels, uint16_t type)
{
	uint8_t b[2 + DNS_NAME_MAX + DNS_LABELS_MAX];
	unsigned from = dns_tail(n, labels), have = 2;
	b[0] = (uint8_t)(type >> 8);
	b[1] = (uint8_t)type;
	memcpy(b + have, n->b + from, n->n - from);
	have += n->n - from;
	memcpy(b + have, n->len + n->nlabels - labels, labels);
	return hash(g, b, have + labels);
}

/* The datagram's payload. False: not a whole UDP datagram. */
static bool payload(const struct frame *f, struct slice *out)
{
	struct slice s = f->l4;
	uint16_t len;
	if (f->t.proto != PROTO_UDP || !f->has_l4 || f->fragment || !slice_skip(&s, 4) || !slice_be16(&s, &len) ||
	    !slice_skip(&s, 2) || len < 8 || s.n < len - 8u)
		return false;
	*out = slice_head(s, len - 8u);
	return true;
}

/* Who asks: the sender of a question, the receiver of an answer. */
static struct port *asker_of(struct gateway *g, const struct frame *f, bool question)
{
	struct port *p = question ? f->in : gateway_by_addr(g, f->in->conf.net, f->t.family, f->t.daddr);
	return p && port_is_honeypot(p) ? p : NULL;
}

static struct dns_pot *pot_of(struct gateway *g, const struct port *p)
{
	struct dns_pot *d = &g->dns.pots[p->conf.port];
	d->queries.at = d->at;
	return d;
}

/* ---- recording ----------------------------------------------------------- */

/* False: the ring of the honeypot has no room. */
static bool record(struct gateway *g, struct port *p, const struct frame *f, const struct dns_msg *m, bool question,
		   const struct question *q)
{
	char name[DNS_TEXT_MAX];
	size_t n = dns_text(&m->name, name, sizeof(name));
	if (ring_stopped(&p->ring))
		return false;
	struct ring_dns *r = ring_reserve(&p->ring, RING_DNS, p->conf.port, f->now + g->wall, sizeof(*r) + n);
	if (!r)
		return false;
	*r = (struct ring_dns){ .flow = f->flow ? f->flow->id : 0,
				.id = m->id,
				.qtype = m->qtype,
				.answer = !question,
				.rcode = (uint8_t)DNS_RCODE(m->flags),
				.name = (uint8_t)n,
				.nanswers = (uint8_t)m->nanswers,
				.family = f->t.family,
				.verdict = f->verdict,
				.reason = f->reason,
				.moved = q && q->moved,
				.src_port = f->t.sport,
				.dst_port = f->t.dport,
				.flags = m->flags,
				.size = m->size };
	memcpy(r->src, !question && q ? q->asked : f->t.saddr, 16);
	memcpy(r->dst, f->t.daddr, 16);
	for (unsigned i = 0; i < m->nanswers; i++) {
		r->answers[i].ttl = m->answers[i].ttl;
		r->answers[i].family = m->answers[i].family;
		memcpy(r->answers[i].addr, m->answers[i].addr, 16);
	}
	memcpy(r + 1, name, n);
	ring_publish(&p->ring);
	return true;
}

/* ---- questions ----------------------------------------------------------- */

static bool is_listed(const struct dns_policy *d, uint16_t type)
{
	for (unsigned i = 0; i < d->ntypes && i < DNS_TYPES; i++)
		if (d->types[i] == type)
			return true;
	return d->ntypes == 0;
}

/* Types whose data is free text: made for tunnels, used by little else. */
static bool carries(uint16_t type)
{
	return type == DNS_T_NULL || type == DNS_T_TXT || type == DNS_T_KEY || type >= DNS_T_PRIVATE;
}

static bool too_long(const struct dns_policy *d, const struct dns_name *n)
{
	unsigned name = d->name_max ? d->name_max : 253, label = d->label_max ? d->label_max : 63;
	for (unsigned i = 0; i < n->nlabels; i++)
		if (n->len[i] > label)
			return true;
	return n->n + (n->nlabels ? n->nlabels - 1u : 0) > name;
}

static uint8_t refuse_question(const struct dns_policy *d, struct dns_pot *pot, const struct dns_msg *m,
			       uint64_t domain, uint64_t name, uint64_t now)
{
	if (m->qclass != 1 || m->edns_data)
		return REASON_DNS;
	if (!is_listed(d, m->qtype))
		return carries(m->qtype) ? REASON_DNS_TUNNEL : REASON_DNS;
	if (!m->name.plain || too_long(d, &m->name) || dns_dense(&m->name, d->entropy))
		return REASON_DNS_TUNNEL;
	if (d->queries.count && window_full(&pot->queries, &d->queries, now))
		return REASON_DNS_LIMIT;
	if (!dns_names_fit(&pot->names, &d->names, domain, name, now))
		return REASON_DNS_LIMIT;
	return REASON_NONE;
}

static const struct addr *resolver(const struct dns_policy *d, uint8_t family)
{
	const struct addr *a = family == 4 ? &d->resolver4 : &d->resolver6;
	return a->family == family ? a : NULL;
}

/* Where it goes instead; only what leaves by the uplink. */
static void redirect(struct frame *f, const struct dns_policy *d, struct question *q)
{
	const struct addr *to = resolver(d, f->t.family);
	if (!to || !f->out || !port_is_uplink(f->out) || !memcmp(to->b, f->t.daddr, 16))
		return;
	memset(q->server, 0, sizeof(q->server));
	memcpy(q->server, to->b, f->t.family == 4 ? 4 : 16);
	q->moved = 1;
	f->edit.what |= EDIT_ADDRS;
	memcpy(f->edit.saddr, f->t.saddr, 16);
	memcpy(f->edit.daddr, q->server, 16);
	verdict_tighten(f, VERDICT_REWRITE, f->reason ? f->reason : REASON_OUTBOUND);
}

static void judge_question(struct gateway *g, struct frame *f, const struct dns_policy *d, struct port *p)
{
	struct dns_pot *pot = pot_of(g, p);
	struct dns_msg m;
	struct slice s;
	if (!payload(f, &s) || !dns_question(s, &m)) {
		verdict_drop(f, REASON_DNS);
		return;
	}
	uint64_t domain = hash_name(g, &m.name, dns_registered(&m.name), 0);
	uint64_t name = hash_name(g, &m.name, m.name.nlabels, 0);
	uint8_t why = refuse_question(d, pot, &m, domain, name, f->now);
	struct question q = { .time = f->now,
			      .what = hash_name(g, &m.name, m.name.nlabels, m.qtype),
			      .flow = f->flow ? f->flow->id : 0,
			      .id = m.id,
			      .sport = f->t.sport,
			      .family = f->t.family };
	memcpy(q.asked, f->t.daddr, 16);
	memcpy(q.server, f->t.daddr, 16);
	if (why)
		verdict_drop(f, why);
	else
		redirect(f, d, &q);
	if (!record(g, p, f, &m, true, &q)) {
		verdict_drop(f, ring_stopped(&p->ring) ? REASON_EVIDENCE_DOWN : REASON_EVIDENCE_FULL);
		return;
	}
	if (why)
		return;
	window_add(&pot->queries, f->now);
	dns_names_add(&pot->names, domain, name, f->now);
	pot->waiting[pot->next++ % WAITING] = q;
}

/* ---- answers ------------------------------------------------------------- */

static bool waits(const struct question *q, const struct frame *f, uint16_t id)
{
	return q->time && f->now - q->time <= WAIT_NS && q->id == id && q->sport == f->t.dport &&
	       q->family == f->t.family && f->t.sport == 53 && !memcmp(q->server, f->t.saddr, 16);
}

static struct question *find(struct dns_pot *pot, const struct frame *f, uint16_t id, const uint64_t *what)
{
	/* The newest first: the same question may have been asked of two servers. */
	for (uint32_t i = 0; i < WAITING; i++) {
		struct question *q = &pot->waiting[(pot->next - 1 - i) % WAITING];
		if (waits(q, f, id) && (!what || q->what == *what))
			return q;
	}
	return NULL;
}

void dns_find(struct gateway *g, struct frame *f)
{
	struct flow_key key;
	struct slice s;
	uint16_t id;
	bool from_a;
	if (dropped(f) || f->flow || !port_is_uplink(f->in) || f->t.proto != PROTO_UDP || f->t.sport != 53 ||
	    !payload(f, &s) || !slice_be16(&s, &id))
		return;
	struct port *p = asker_of(g, f, false);
	const struct policy *pol = p ? policy_of(&g->policies, p->conf.port) : NULL;
	if (!pol || !pol->dns.on)
		return;
	struct question *q = find(pot_of(g, p), f, id, NULL);
	if (!q || !q->moved) {
		/* Else it would begin a conversation, and what the honeypot sends
		 * to that port 53 would be replies. */
		verdict_drop(f, REASON_DNS);
		return;
	}
	struct tuple t = f->t;
	memcpy(t.saddr, q->asked, 16);
	flow_key_of(&t, f->in->conf.net, ICMP_KIND_NONE, 0, 0, 0, &key, &from_a);
	struct flow *fl = flow_lookup(&g->flows, &key);
	if (!fl || from_a == (bool)fl->a_began)
		return;
	f->flow = fl;
	f->dir = 1;
}

static bool types_pass(const struct dns_policy *d, const struct dns_msg *m)
{
	if (!d->ntypes)
		return true;
	for (unsigned i = 0; i < m->ntypes; i++)
		if (carries(m->types[i]) && !is_listed(d, m->types[i]))
			return false;
	return !m->more_types;
}

static void judge_answer(struct gateway *g, struct frame *f, const struct dns_policy *d, struct port *p)
{
	struct dns_pot *pot = pot_of(g, p);
	struct dns_msg m;
	struct slice s;
	if (!payload(f, &s) || !dns_answer(s, &m)) {
		verdict_drop(f, REASON_DNS);
		return;
	}
	uint64_t what = hash_name(g, &m.name, m.name.nlabels, m.qtype);
	struct question *q = find(pot, f, m.id, &what);
#ifndef MUTANT_DNS_ANSWER_UNASKED
	if (!q)
		verdict_drop(f, REASON_DNS);
#endif
	if ((d->answer_max && m.size > d->answer_max) || m.qclass != 1)
		verdict_drop(f, REASON_DNS);
	else if (!types_pass(d, &m))
		verdict_drop(f, REASON_DNS_TUNNEL);
	if (!dropped(f) && q && q->moved) {
		f->edit.what |= EDIT_ADDRS;
		memcpy(f->edit.saddr, q->asked, 16);
		memcpy(f->edit.daddr, f->t.daddr, 16);
		verdict_tighten(f, VERDICT_REWRITE, f->reason ? f->reason : REASON_REPLY);
	}
	if (!record(g, p, f, &m, false, q))
		verdict_drop(f, ring_stopped(&p->ring) ? REASON_EVIDENCE_DOWN : REASON_EVIDENCE_FULL);
	if (q && !dropped(f))
		q->time = 0; /* answered */
}

void dns_judge(struct gateway *g, struct frame *f, const struct policy *pol, bool question)
{
	struct port *p = asker_of(g, f, question);
	if (dropped(f))
		return;
	if (!p) {
		verdict_drop(f, REASON_DNS);
		return;
	}
	if (question)
		judge_question(g, f, &pol->dns, p);
	else
		judge_answer(g, f, &pol->dns, p);
}
