/* SPDX-License-Identifier: ISC */
#include "proc/gateway/shape.h"

#include "proc/gateway/forward.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <stdalign.h>
#include <sys/mman.h>

/* In front of each frame in the room; n SKIP: nothing more up to the end. */
struct waiting {
	alignas(8) uint32_t n;
	uint16_t out; /* port id; RING_MANY; RING_NO_PORT: its port is gone */
	uint16_t rule;
	uint8_t verdict, reason;
	uint8_t copy; /* not what came in: to be recorded before it is sent */
	uint8_t pad;
	uint64_t flow;
};
#define SKIP 0xffffffffu

int shape_init(struct shaper *s, struct err *e)
{
	void *q = mmap(NULL, MODEL_HONEYPOTS * sizeof(struct shape_queue), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *room = mmap(NULL, (size_t)MODEL_HONEYPOTS * SHAPE_ROOM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*s = (struct shaper){ .queues = q == MAP_FAILED ? NULL : q, .room = room == MAP_FAILED ? NULL : room };
	if (s->queues && s->room)
		return 0;
	int r = err_sys(e, -errno, "cannot map the queues of frames that wait");
	shape_free(s);
	return r;
}

void shape_free(struct shaper *s)
{
	if (s->queues)
		munmap(s->queues, MODEL_HONEYPOTS * sizeof(struct shape_queue));
	if (s->room)
		munmap(s->room, (size_t)MODEL_HONEYPOTS * SHAPE_ROOM);
	*s = (struct shaper){ 0 };
}

static size_t entry_size(size_t n)
{
	return (sizeof(struct waiting) + n + 7) & ~(size_t)7;
}

static struct waiting *entry_at(const struct gateway *g, uint16_t port, uint64_t count)
{
	return (struct waiting *)(g->shaper.room + (size_t)port * SHAPE_ROOM + (count & (SHAPE_ROOM - 1)));
}

/* Where an entry of this size would begin; the rest of the room is skipped if it
 * is too short. */
static uint64_t place(const struct shape_queue *q, size_t size)
{
	size_t rest = SHAPE_ROOM - (size_t)(q->head & (SHAPE_ROOM - 1));
	return rest < size ? q->head + rest : q->head;
}

/* The first entry that waits; NULL: none. */
static struct waiting *front(const struct gateway *g, uint16_t port)
{
	struct shape_queue *q = &g->shaper.queues[port];
	while (q->tail != q->head) {
		struct waiting *w = entry_at(g, port, q->tail);
		if (w->n != SKIP)
			return w;
		q->tail += SHAPE_ROOM - (q->tail & (SHAPE_ROOM - 1));
	}
	return NULL;
}

static void take(struct shape_queue *q, const struct waiting *w)
{
	q->tail += entry_size(w->n);
	q->waiting -= w->n;
	if (q->tail == q->head)
		q->tail = q->head = 0;
}

static void turn(struct shape_queue *q, uint64_t now)
{
	uint64_t slot = now / SHAPE_SLOT;
	if (slot <= q->slot)
		return;
	if (slot - q->slot >= SHAPE_SLOTS) {
		memset(q->slots, 0, sizeof(q->slots));
		q->sum = 0;
	} else {
		for (uint64_t i = q->slot + 1; i <= slot; i++) {
			q->sum -= q->slots[i % SHAPE_SLOTS];
			q->slots[i % SHAPE_SLOTS] = 0;
		}
	}
	q->slot = slot;
}

static bool fits(struct shape_queue *q, const struct policy *pol, uint64_t now, size_t n)
{
	turn(q, now);
#ifdef MUTANT_SHAPE_BURST
	return !pol->bandwidth || q->slots[q->slot % SHAPE_SLOTS] + n <= pol->bandwidth;
#else
	return !pol->bandwidth || q->sum + n <= pol->bandwidth;
#endif
}

/* When n bytes fit, if nothing else is sent until then. */
static uint64_t when(const struct shape_queue *q, const struct policy *pol, size_t n)
{
	uint64_t sum = q->sum, slot = q->slot;
	while (sum && sum + n > pol->bandwidth) {
		slot++;
		sum -= q->slots[slot % SHAPE_SLOTS]; /* the oldest one goes */
	}
	return slot * SHAPE_SLOT;
}

static const struct policy *policy_for(const struct gateway *g, const struct port *p)
{
	return port_is_honeypot(p) ? policy_of(&g->policies, p->conf.port) : NULL;
}

void shape_charge(struct gateway *g, const struct port *p, uint64_t now, size_t n)
{
	const struct policy *pol = policy_for(g, p);
	if (!pol || !pol->bandwidth)
		return;
	struct shape_queue *q = &g->shaper.queues[p->conf.port];
	turn(q, now);
	q->slots[q->slot % SHAPE_SLOTS] += (uint32_t)n;
	q->sum += n;
}

/* May it still go, and where? 0, or why not. */
static uint8_t still(struct gateway *g, const struct policy *pol, struct frame *f, const struct waiting *w)
{
	f->flood = w->out == RING_MANY;
	f->out = f->flood ? NULL : gateway_port(g, w->out);
	if (!pol)
		return REASON_NO_POLICY;
	if (gateway_is_frozen(g, f->in) || gateway_is_frozen(g, f->out))
		return REASON_FROZEN;
	if (!f->flood && (!f->out || f->out->down))
		return REASON_NO_PORT;
	return pol->bandwidth && w->n > pol->bandwidth ? REASON_LIMIT_BANDWIDTH : REASON_NONE;
}

static void release(struct gateway *g, struct port *p, uint64_t now)
{
	struct shape_queue *q = &g->shaper.queues[p->conf.port];
	const struct policy *pol = policy_for(g, p);
	struct waiting *w;
	if (now < q->next && pol && pol->bandwidth && !g->any_frozen)
		return;
	q->next = 0;
	while ((w = front(g, p->conf.port))) {
		struct slice bytes = slice_of(w + 1, w->n);
		struct frame f = { .in = p,
				   .now = now,
				   .bytes = bytes,
				   .wirelen = w->n,
				   .changed = w->copy ? bytes : slice_of(NULL, 0),
				   .verdict = w->verdict,
				   .reason = w->reason,
				   .rule = w->rule,
				   .flow_id = w->flow };
		uint8_t lost = still(g, pol, &f, w);
		if (lost) {
			p->stats.by_reason[lost]++;
		} else if (!fits(q, pol, now, w->n)) {
			q->next = when(q, pol, w->n);
			return;
		} else {
			shape_charge(g, p, now, w->n);
			forward_late(g, &f);
		}
		take(q, w);
	}
}

void shape(struct gateway *g, struct frame *f)
{
	const struct policy *pol = policy_for(g, f->in);
	if (dropped(f) || !pol)
		return;
	struct shape_queue *q = &g->shaper.queues[f->in->conf.port];
	if (!pol->bandwidth && !q->waiting)
		return;
	if (q->waiting)
		release(g, f->in, f->now);
	size_t n = f->bytes.n, size = entry_size(n);
	if (pol->bandwidth && n > pol->bandwidth)
		verdict_drop(f, REASON_LIMIT_BANDWIDTH);
	else if (q->waiting || !fits(q, pol, f->now, n)) {
		if (q->waiting + n > pol->bandwidth || place(q, size) + size - q->tail > SHAPE_ROOM)
			verdict_drop(f, REASON_LIMIT_BANDWIDTH);
		else
			f->wait = true;
	}
}

void shape_push(struct gateway *g, const struct frame *f)
{
	uint16_t port = f->in->conf.port;
	struct shape_queue *q = &g->shaper.queues[port];
	struct slice bytes = f->changed.n ? f->changed : f->bytes;
	uint64_t to = place(q, entry_size(bytes.n));
	if (to != q->head)
		entry_at(g, port, q->head)->n = SKIP;
	struct waiting *w = entry_at(g, port, to);
	*w = (struct waiting){ .n = (uint32_t)bytes.n,
			       .out = f->flood ? RING_MANY : f->out->conf.port,
			       .rule = f->rule,
			       .verdict = f->verdict,
			       .reason = f->reason,
			       .copy = f->changed.n > 0,
			       .flow = f->flow ? f->flow->id : 0 };
	if (bytes.n)
		memcpy(w + 1, bytes.p, bytes.n);
	if (!q->waiting)
		q->next = when(q, policy_for(g, f->in), bytes.n);
	q->head = to + entry_size(bytes.n);
	q->waiting += bytes.n;
	if (!g->shaper.next || q->next < g->shaper.next)
		g->shaper.next = q->next;
}

void shape_release(struct gateway *g, uint64_t now)
{
	if (!g->shaper.next)
		return;
	g->shaper.next = 0;
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++) {
		struct shape_queue *q = &g->shaper.queues[i];
		if (!g->ports[i].used || !q->waiting)
			continue;
		release(g, &g->ports[i], now);
		if (q->waiting && (!g->shaper.next || q->next < g->shaper.next))
			g->shaper.next = q->next;
	}
}

void shape_forget(struct gateway *g, const struct port *p)
{
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++) {
		struct shape_queue *q = &g->shaper.queues[i];
		if (i == p->conf.port)
			q->head = q->tail = q->waiting = q->next = 0;
		for (uint64_t at = q->tail; at != q->head;) {
			struct waiting *w = entry_at(g, i, at);
			if (w->n == SKIP) {
				at += SHAPE_ROOM - (at & (SHAPE_ROOM - 1));
				continue;
			}
			if (w->out == p->conf.port)
				w->out = RING_NO_PORT;
			at += entry_size(w->n);
		}
	}
}
