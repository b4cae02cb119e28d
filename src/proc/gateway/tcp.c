/* SPDX-License-Identifier: ISC */
#include "proc/gateway/tcp.h"

#include "proc/gateway/forward.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sys/mman.h>

#define TCP_PSH 0x08
#define TCP_URG 0x20
#define ACK_WINDOW_MIN 66000u /* of Linux' MAXACKWINDOW */

enum { OPT_END = 0, OPT_NOP = 1, OPT_SCALE = 3, OPT_STAMPS = 8, OPT_FAST_OPEN = 34, OPT_EXPERIMENT = 254 };
#define FAST_OPEN_MAGIC 0xf989 /* RFC 6994, in the experimental option */

int tcp_table_init(struct tcp_table *t, uint32_t flows, const uint8_t key[16], struct err *e)
{
	void *p = mmap(NULL, ((size_t)flows + 1) * sizeof(t->at[0]), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*t = (struct tcp_table){ .max = flows };
	if (p == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the states of %u TCP connections", flows);
	t->at = p;
	return tcp_data_init(&t->data, PORTS_MAX, key, e);
}

void tcp_table_free(struct tcp_table *t)
{
	tcp_data_free(&t->data);
	if (t->at)
		munmap(t->at, ((size_t)t->max + 1) * sizeof(t->at[0]));
	*t = (struct tcp_table){ 0 };
}

/* ---- sequence numbers go round ---------------------------------------------- */

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool after(uint32_t a, uint32_t b)
{
	return before(b, a);
}

/* ---- the segment -------------------------------------------------------------- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* decode has checked the lengths. */
void tcp_segment_of(const struct frame *f, struct tcp_segment *s)
{
	const uint8_t *p = f->l4.p;
	size_t head = (size_t)(p[12] >> 4) * 4;
	*s = (struct tcp_segment){ .seq = be32(p + 4),
				   .ack = be32(p + 8),
				   .window = (uint32_t)(p[14] << 8 | p[15]),
				   .urgent = (uint16_t)(p[18] << 8 | p[19]),
				   .flags = f->tcp_flags,
				   .data = p + head,
				   .n = (uint32_t)(f->l4.n - head),
				   .options = { p + 20, head - 20 } };
	s->end = s->seq + s->n + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
}

static bool option(const struct tcp_segment *s, uint8_t want, struct slice *out)
{
	struct slice o = s->options;
	uint8_t kind, len;
	while (slice_u8(&o, &kind) && kind != OPT_END) {
		if (kind == OPT_NOP)
			continue;
		if (!slice_u8(&o, &len) || len < 2 || !slice_take(&o, len - 2u, out))
			return false;
		if (kind == want)
			return true;
	}
	return false;
}

static bool is_fast_open(const struct tcp_segment *s)
{
	struct slice o;
	uint16_t magic;
	return option(s, OPT_FAST_OPEN, &o) ||
	       (option(s, OPT_EXPERIMENT, &o) && slice_be16(&o, &magic) && magic == FAST_OPEN_MAGIC);
}

bool tcp_stamp_of(const struct tcp_segment *s, uint32_t *value)
{
	struct slice o;
	/* Where stacks put it: alone, behind two NOPs. */
	if (s->options.n >= 12 && be32(s->options.p) == 0x0101080a) {
		*value = be32(s->options.p + 4);
		return true;
	}
	if (!s->options.n || !option(s, OPT_STAMPS, &o))
		return false;
	return slice_be32(&o, value);
}

static bool flags_are_sane(const struct tcp_segment *s)
{
	switch (s->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN | TCP_URG)) {
	case TCP_SYN:
	case TCP_SYN | TCP_ACK:
	case TCP_RST:
	case TCP_RST | TCP_ACK:
	case TCP_ACK:
	case TCP_FIN | TCP_ACK:
		return true;
	case TCP_ACK | TCP_URG:
	case TCP_FIN | TCP_ACK | TCP_URG:
		return s->urgent != 0;
	default:
		return false;
	}
}

/* ---- the connection ------------------------------------------------------------- */

static struct tcp_track *track_of(const struct gateway *g, const struct flow *fl)
{
	return &g->tcp.at[fl - g->flows.at];
}

static uint32_t stream_id(const struct gateway *g, const struct tcp_track *t, unsigned dir)
{
	return (uint32_t)(t - g->tcp.at) * 2 + dir;
}

/* A SYN without ACK. */
static bool syn_fits(const struct tcp_track *t, const struct tcp_segment *s, unsigned dir)
{
	const struct tcp_side *me = &t->side[dir];
	if (dir)
		return false;
	if (t->phase == TCP_NONE || t->phase == TCP_ASKED)
		return true; /* nobody has answered yet: the last one counts */
	return t->phase == TCP_OPEN && !t->confirmed && s->seq == me->isn;
}

static bool answer_fits(const struct tcp_track *t, const struct tcp_segment *s, unsigned dir)
{
	const struct tcp_side *asker = &t->side[0], *me = &t->side[1];
	if (!dir || (t->phase != TCP_ASKED && t->phase != TCP_OPEN) || (s->n && !t->fast_open))
		return false;
	if (!after(s->ack, asker->isn) || after(s->ack, asker->end))
		return false;
	return t->phase == TCP_ASKED || s->seq == me->isn;
}

static bool reset_fits(const struct tcp_track *t, const struct tcp_segment *s, unsigned dir)
{
	const struct tcp_side *me = &t->side[dir], *peer = &t->side[!dir];
#ifdef MUTANT_TCP_RST_ANY
	return true;
#endif
	if (t->phase == TCP_ASKED && dir)
		return s->flags & TCP_ACK && after(s->ack, peer->isn) && !after(s->ack, peer->end);
	if (t->phase == TCP_ASKED)
		return s->seq == me->end;
	return s->seq == me->end || s->seq == me->acked;
}

static bool in_window(const struct tcp_track *t, const struct tcp_segment *s, unsigned dir)
{
	const struct tcp_side *me = &t->side[dir], *peer = &t->side[!dir];
	uint32_t acks = me->window > ACK_WINDOW_MIN ? me->window : ACK_WINDOW_MIN;
	/* What was acknowledged is taken by nobody: old copies may pass. */
	return !after(s->seq, me->limit) && !before(s->end, me->acked - peer->window - 1) &&
	       !after(s->ack, peer->end) && !before(s->ack, peer->end - acks);
}

static bool fin_fits(const struct tcp_side *me, const struct tcp_segment *s)
{
	if (!me->has_fin)
		return !(s->flags & TCP_FIN) || !before(s->end, me->end);
	return !after(s->end, me->fin) && (!(s->flags & TCP_FIN) || s->end == me->fin);
}

static bool urgent_fits(const struct tcp_side *me, const struct tcp_segment *s)
{
	uint32_t at = s->seq + s->urgent;
	if (!(s->flags & TCP_URG) || !before(s->seq, me->end) || after(at, me->end))
		return true;
	return me->has_urgent && at == me->urgent;
}

/* The part of the data that the receiver may still take: where it begins. */
static uint32_t fresh(const struct tcp_side *me, const struct tcp_segment *s)
{
	uint32_t first = s->seq + !!(s->flags & TCP_SYN);
	return before(first, me->acked) ? me->acked - first : 0;
}

static uint8_t data_fits(struct gateway *g, const struct tcp_track *t, const struct tcp_segment *s,
			 const struct flow *fl, unsigned dir)
{
	const struct tcp_side *me = &t->side[dir];
	uint32_t skip = fresh(me, s), first = s->seq + !!(s->flags & TCP_SYN) + skip;
	if (skip >= s->n)
		return REASON_NONE;
	if (first + (s->n - skip) - me->acked > TCP_REACH || !tcp_data_room(&g->tcp.data, fl->owner, s->n - skip))
		return REASON_FLOW_TABLE_FULL;
#ifndef MUTANT_TCP_OVERLAP_OK
	if (before(first, me->end) &&
	    !tcp_data_same(&g->tcp.data, stream_id(g, t, dir), first - me->isn, s->data + skip, s->n - skip))
		return REASON_TCP_STATE;
#endif
	return REASON_NONE;
}

static uint8_t fits(struct gateway *g, const struct tcp_track *t, const struct tcp_segment *s, const struct flow *fl,
		    unsigned dir)
{
	const struct tcp_side *me = &t->side[dir];
	bool ok;
	if (s->flags & TCP_SYN) {
		bool asks = !(s->flags & TCP_ACK);
		if (asks ? !syn_fits(t, s, dir) : !answer_fits(t, s, dir))
			return REASON_TCP_STATE;
		if (s->n && asks && !is_fast_open(s))
			return REASON_TCP_STATE;
		return t->phase == TCP_NONE || s->seq != me->isn ? REASON_NONE : data_fits(g, t, s, fl, dir);
	}
	if (t->phase == TCP_NONE)
		return REASON_TCP_STATE;
	if (s->flags & TCP_RST)
		return reset_fits(t, s, dir) ? REASON_NONE : REASON_TCP_STATE;
	ok = t->phase == TCP_OPEN || (t->phase == TCP_RESET && t->reset != dir);
	bool inside = in_window(t, s, dir);
#ifdef MUTANT_TCP_WINDOW_ANY
	inside = true;
#endif
	if (!ok || !inside || !fin_fits(me, s) || !urgent_fits(me, s))
		return REASON_TCP_STATE;
	return data_fits(g, t, s, fl, dir);
}

/* ---- TTL --------------------------------------------------------------------------- */

static bool ttl_counts(const struct frame *f)
{
	return (f->t.proto == PROTO_TCP || f->t.proto == PROTO_UDP) && !f->icmp_kind && f->has_l4;
}

static bool ttl_fits(const struct frame *f, const struct flow *fl)
{
	uint8_t was = fl->ttl[f->dir];
#ifdef MUTANT_TTL_ANY
	return true;
#endif
	if (!was)
		return true;
	if (port_is_honeypot(f->in))
		return f->hops == was || (f->t.proto == PROTO_TCP && f->tcp_flags & TCP_RST && f->hops > was);
	if (!port_is_uplink(f->in) || fl->state != FLOW_ESTABLISHED)
		return true;
	return f->hops + TTL_TOLERANCE >= was && f->hops <= was + TTL_TOLERANCE;
}

static void ttl_account(const struct frame *f, struct flow *fl)
{
	/* From outside the way may change by and by. */
	if (!fl->ttl[f->dir] || !port_is_honeypot(f->in))
		fl->ttl[f->dir] = f->hops;
}

/* ---- the stage ------------------------------------------------------------------- */

void tcp_judge(struct gateway *g, struct frame *f)
{
	if (dropped(f) || !ttl_counts(f))
		return;
	struct flow *fl = f->flow ? flow_main(&g->flows, f->flow) : NULL;
	if (fl && !ttl_fits(f, fl)) {
		verdict_drop(f, REASON_TTL);
		return;
	}
	if (f->t.proto != PROTO_TCP)
		return;
	static const struct tcp_track none;
	struct tcp_segment s;
	tcp_segment_of(f, &s);
	const struct tcp_track *t = fl ? track_of(g, fl) : &none;
	if (fl && t->flow != fl->id)
		t = &none;
	if (!flags_are_sane(&s)) {
		verdict_drop(f, REASON_TCP_STATE);
		return;
	}
#ifdef MUTANT_MIDSTREAM_IN
	if (t->phase == TCP_NONE && port_is_uplink(f->in))
		return;
#endif
#ifdef MUTANT_MIDSTREAM
	if (t->phase == TCP_NONE && port_is_honeypot(f->in))
		return;
#endif
	/* It begins nothing, and there is nothing that it belongs to. */
	bool begins = (s.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if ((!fl && !begins) || (fl && f->dir && begins)) {
		verdict_drop(f, REASON_NO_FLOW);
		forward_route(g, f);
		if (!fl)
			denied_count(g, f);
		return;
	}
	uint8_t reason = fl ? fits(g, t, &s, fl, f->dir) : fits(g, t, &s, NULL, 0);
	if (reason)
		verdict_drop(f, reason);
}

static void scale_of(struct tcp_side *me, const struct tcp_segment *s)
{
	struct slice o;
	me->scales = option(s, OPT_SCALE, &o) && slice_u8(&o, &me->scale);
	if (me->scales && me->scale > 14)
		me->scale = 14; /* RFC 7323 section 2.3 */
}

static void begin(struct gateway *g, struct tcp_track *t, const struct tcp_segment *s, const struct flow *fl)
{
	tcp_forget(g, fl);
	*t = (struct tcp_track){ .flow = fl->id, .phase = TCP_ASKED, .fast_open = is_fast_open(s) };
	struct tcp_side *me = &t->side[0];
	me->isn = s->seq;
	me->end = s->end;
	me->acked = s->seq + 1;
	me->limit = s->end; /* until the answer says more */
	me->window = s->window ? s->window : 1;
	scale_of(me, s);
}

static void answered(struct tcp_track *t, const struct tcp_segment *s)
{
	struct tcp_side *me = &t->side[1], *asker = &t->side[0];
	t->phase = TCP_OPEN;
	me->isn = s->seq;
	me->end = s->end;
	me->acked = s->seq + 1;
	me->limit = s->seq + 1 + asker->window;
	me->window = s->window ? s->window : 1;
	scale_of(me, s);
	if (!me->scales || !asker->scales)
		me->scale = asker->scale = 0;
	asker->acked = s->ack;
	asker->limit = s->ack + s->window + !s->window;
}

static void went_on(struct gateway *g, struct tcp_track *t, const struct tcp_segment *s, unsigned dir)
{
	struct tcp_side *me = &t->side[dir], *peer = &t->side[!dir];
	uint32_t window = s->window << me->scale;
	if (after(s->end, me->end))
		me->end = s->end;
	if (window > me->window)
		me->window = window;
	if (after(s->ack, peer->acked)) {
		peer->acked = s->ack;
		tcp_data_acked(&g->tcp.data, &peer->data, stream_id(g, t, !dir), s->ack - peer->isn);
	}
	/* One byte more may be tried to see whether the window is open again. */
	uint32_t limit = s->ack + (window ? window : 1);
	if (after(limit, peer->limit))
		peer->limit = limit;
	if (s->flags & TCP_FIN) {
		me->has_fin = true;
		me->fin = s->end;
	}
	if (s->flags & TCP_URG) {
		me->has_urgent = true;
		me->urgent = s->seq + s->urgent;
	}
	t->confirmed |= !dir;
}

void tcp_account(struct gateway *g, const struct frame *f)
{
	if (!f->flow || f->fragment || !ttl_counts(f))
		return;
	struct flow *fl = flow_main(&g->flows, f->flow);
	ttl_account(f, fl);
	if (f->t.proto != PROTO_TCP)
		return;
	struct tcp_track *t = track_of(g, fl);
	struct tcp_segment s;
	tcp_segment_of(f, &s);
	unsigned dir = f->dir;
	bool asks = (s.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (t->flow != fl->id || (asks && t->phase == TCP_ASKED && s.seq != t->side[0].isn)) {
		if (!asks)
			return;
		begin(g, t, &s, fl);
	} else if (s.flags & TCP_RST) {
		t->phase = TCP_RESET;
		t->reset = (uint8_t)dir;
		for (unsigned d = 0; d < 2; d++)
			tcp_data_drop(&g->tcp.data, &t->side[d].data, stream_id(g, t, d));
		return;
	} else if (s.flags & TCP_SYN && dir && t->phase == TCP_ASKED) {
		answered(t, &s);
	} else if (!(s.flags & TCP_SYN)) {
		went_on(g, t, &s, dir);
	}
	struct tcp_side *me = &t->side[dir];
	uint32_t skip = fresh(me, &s), first = s.seq + !!(s.flags & TCP_SYN);
	me->has_stamp |= tcp_stamp_of(&s, &me->stamp);
	if (skip < s.n)
		tcp_data_put(&g->tcp.data, &me->data, stream_id(g, t, dir), fl->owner, first + skip - me->isn,
			     s.data + skip, s.n - skip);
}

void tcp_forget(struct gateway *g, const struct flow *fl)
{
	struct tcp_track *t = track_of(g, fl);
	if (!t->flow)
		return;
	for (unsigned d = 0; d < 2; d++)
		tcp_data_drop(&g->tcp.data, &t->side[d].data, stream_id(g, t, d));
	t->flow = 0;
	t->phase = TCP_NONE;
}

const struct tcp_track *tcp_open(const struct gateway *g, const struct flow *fl)
{
	if (!fl || fl->key.proto != PROTO_TCP)
		return NULL;
	const struct tcp_track *t = track_of(g, fl->as_twin ? &g->flows.at[fl->twin] : fl);
	return t->flow && t->phase == TCP_OPEN ? t : NULL;
}
