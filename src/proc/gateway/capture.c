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

uint8_t capture(struct gateway *g, const struct frame *f)
{
	struct port *p = f->in;
#ifdef MUTANT_SKIP_MALFORMED_CAPTURE
	if (f->reason == REASON_MALFORMED)
		return REASON_NONE;
#endif
#ifdef MUTANT_ENGINE_UNCAPTURED
	if (port_is_engine(p))
		return REASON_NONE;
#endif
	uint8_t lost = ring_stopped(&p->ring) ? REASON_EVIDENCE_DOWN : REASON_NONE;
	struct ring_frame *r = NULL;
	if (!lost) {
		capture_note(g, p, f->now);
		r = ring_reserve(&p->ring, RING_FRAME, p->conf.port, f->now + g->wall, sizeof(*r) + f->bytes.n);
	}
	if (!r) {
		p->lost_frames++;
		p->lost_bytes += f->wirelen;
		p->stats.lost++;
		return lost ? lost : REASON_EVIDENCE_FULL;
	}
	*r = (struct ring_frame){ .caplen = (uint32_t)f->bytes.n,
				  .wirelen = f->wirelen,
				  .dir = FRAME_IN,
				  .verdict = f->verdict,
				  .reason = f->reason,
				  .out_port = out_port(f),
				  .rule = f->rule,
				  .flow = f->flow ? f->flow->id : 0 };
	if (f->bytes.n)
		memcpy(r + 1, f->bytes.p, f->bytes.n);
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
