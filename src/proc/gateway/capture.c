/* SPDX-License-Identifier: ISC */
#include "proc/gateway/capture.h"

#include "proc/gateway/gateway.h"

void capture_note(struct gateway *g, struct port *p, uint64_t now)
{
	if (!p->lost_frames || ring_stopped(&p->ring))
		return;
	struct ring_note *n = ring_reserve(&p->ring, RING_NOTE, p->conf.port, now + g->wall, sizeof(*n));
	if (!n)
		return;
	*n = (struct ring_note){ p->lost_frames, p->lost_bytes };
	ring_publish(&p->ring);
	p->lost_frames = p->lost_bytes = 0;
}

static uint16_t out_port(const struct frame *f)
{
	if (dropped(f))
		return RING_NO_PORT;
	if (f->flood)
		return RING_MANY;
	return f->out ? f->out->conf.port : RING_NO_PORT;
}

bool capture_rule(struct gateway *g, struct port *p, uint16_t rule, uint64_t now)
{
	const struct policy_set *set = g->policies.now;
	if (rule >= set->pool.nrules || rule >= POOL_RULES)
		return true;
	if (p->told_under != set->serial) {
		memset(p->told, 0, sizeof(p->told));
		p->told_under = set->serial;
	}
	uint64_t bit = 1ull << rule % 64;
	if (p->told[rule / 64] & bit)
		return true;
	struct ring_rule *r = ring_reserve(&p->ring, RING_RULE, p->conf.port, now + g->wall, sizeof(*r));
	if (!r)
		return false;
	*r = (struct ring_rule){ .generation = set->generation, .rule = rule };
	memcpy(r->name, set->pool.rules[rule].name, sizeof(r->name) - 1);
	ring_publish(&p->ring);
	p->told[rule / 64] |= bit;
	return true;
}

static void lose(struct port *p, uint32_t bytes)
{
	p->lost_frames++;
	p->lost_bytes += bytes;
	p->stats.lost++;
}

/* One entry in the ring of p. */
static uint8_t record(struct gateway *g, struct port *p, uint64_t now, const struct ring_frame *head,
		      struct slice bytes)
{
	if (ring_stopped(&p->ring)) {
		lose(p, head->wirelen);
		return REASON_EVIDENCE_DOWN;
	}
	capture_note(g, p, now);
	struct ring_frame *r = NULL;
	if (capture_rule(g, p, head->rule, now))
		r = ring_reserve(&p->ring, RING_FRAME, p->conf.port, now + g->wall, sizeof(*r) + bytes.n);
	if (!r) {
		lose(p, head->wirelen);
		return REASON_EVIDENCE_FULL;
	}
	*r = *head;
	if (bytes.n)
		memcpy(r + 1, bytes.p, bytes.n);
	ring_publish(&p->ring);
	/* Evidence may have stopped in between, and read the ring for the last
	 * time before this entry was there. Either it sees the entry or we see the
	 * stop: both publish first and look afterwards, with a fence between. */
	if (ring_stopped(&p->ring)) {
		p->stats.lost++;
		return REASON_EVIDENCE_DOWN;
	}
	return REASON_NONE;
}

uint8_t capture(struct gateway *g, const struct frame *f)
{
#ifdef MUTANT_SKIP_MALFORMED_CAPTURE
	if (f->reason == REASON_MALFORMED)
		return REASON_NONE;
#endif
#ifdef MUTANT_ENGINE_UNCAPTURED
	if (port_is_engine(f->in))
		return REASON_NONE;
#endif
	struct ring_frame head = { .caplen = (uint32_t)f->bytes.n,
				   .wirelen = f->wirelen,
				   .dir = FRAME_IN,
				   .verdict = f->verdict,
				   .reason = f->reason,
				   .out_port = out_port(f),
				   .rule = f->rule,
				   .flow = f->flow ? f->flow->id : 0 };
	return record(g, f->in, f->came ? f->came : f->now, &head, f->bytes);
}

uint8_t capture_made(struct gateway *g, struct port *to, const struct frame *f, struct slice bytes)
{
	struct ring_frame head = { .caplen = (uint32_t)bytes.n,
				   .wirelen = (uint32_t)bytes.n,
				   .dir = FRAME_OUT,
				   .verdict = f->verdict,
				   .reason = f->reason,
				   .out_port = to->conf.port,
				   .rule = f->rule,
				   .flow = f->flow ? f->flow->id : f->flow_id };
	return record(g, to, f->now, &head, bytes);
}

uint8_t capture_room(const struct port *to, size_t n)
{
	size_t entry = sizeof(struct ring_entry) + 8;
	if (ring_stopped(&to->ring))
		return REASON_EVIDENCE_DOWN;
	/* Twice: the end of the ring may be left empty. Notes and a rule's name
	 * may have to go before it. */
	size_t need = 2 * (entry + sizeof(struct ring_frame) + n) + 2 * (entry + sizeof(struct ring_rule));
	return ring_free(&to->ring) < need ? REASON_EVIDENCE_FULL : REASON_NONE;
}
