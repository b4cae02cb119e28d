/* SPDX-License-Identifier: ISC */
#include "proc/gateway/denied.h"

#include "proc/gateway/capture.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sys/mman.h>

#define REST (3 * EV_SEC) /* without a new attempt */
#define LONGEST (30 * EV_SEC)
#define ENTRIES (DENIED_SETS * DENIED_WAYS)

int denied_init(struct denied_table *t, struct err *e)
{
	void *p =
	    mmap(NULL, ENTRIES * sizeof(struct denied), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the table of denied attempts");
	*t = (struct denied_table){ .at = p };
	return 0;
}

void denied_free(struct denied_table *t)
{
	if (t->at)
		munmap(t->at, ENTRIES * sizeof(struct denied));
	t->at = NULL;
}

static void write_out(struct gateway *g, struct denied *d)
{
	struct port *p = gateway_port(g, d->owner);
	d->used = 0;
	if (!p || ring_stopped(&p->ring) || ring_free(&p->ring) < p->ring.size / 2)
		return;
	uint16_t rule =
	    d->serial == g->policies.now->serial && capture_rule(g, p, d->rule, d->last) ? d->rule : RULE_NONE;
	struct ring_flow *r = ring_reserve(&p->ring, RING_FLOW, d->owner, d->last + g->wall, sizeof(*r));
	if (!r)
		return;
	*r = (struct ring_flow){ .id = g->flows.next_id++,
				 .start = d->start + g->wall,
				 .last = d->last + g->wall,
				 .dropped_toserver = d->attempts,
				 .src_slot = d->src_slot,
				 .dst_slot = d->dst_slot,
				 .src_port = d->icmp ? d->icmp_type : d->t.sport,
				 .dst_port = d->icmp ? d->icmp_code : d->t.dport,
				 .family = d->t.family,
				 .proto = d->t.proto,
				 .state = FLOW_NEW,
				 .end = FLOW_END_DENIED,
				 .verdict = d->verdict,
				 .reason = d->reason,
				 .tcp_flags_ts = d->flags,
				 .rule = rule,
				 .player = RING_NO_PORT };
	memcpy(r->src, d->t.saddr, 16);
	memcpy(r->dst, d->t.daddr, 16);
	ring_publish(&p->ring);
}

static bool same(const struct denied *d, const struct frame *f, uint16_t owner)
{
	return d->used && d->reason == f->reason && d->rule == f->rule && d->owner == owner &&
	       d->t.family == f->t.family && d->t.proto == f->t.proto && d->icmp_type == f->icmp_type &&
	       d->t.dport == f->t.dport && !memcmp(d->t.saddr, f->t.saddr, 16) && !memcmp(d->t.daddr, f->t.daddr, 16);
}

static uint32_t set_of(const struct frame *f)
{
	/* No attacker gains by collisions here: they only write a record early. */
	uint32_t h = 2166136261u ^ f->reason ^ (uint32_t)f->t.dport << 8 ^ (uint32_t)f->t.proto << 24;
	for (unsigned i = 0; i < 16; i++)
		h = (h ^ f->t.saddr[i] ^ (uint32_t)f->t.daddr[i] << 8) * 16777619u;
	return (h ^ h >> 15) & (DENIED_SETS - 1);
}

void denied_count(struct gateway *g, const struct frame *f)
{
	struct port *owner = port_is_honeypot(f->in) ? f->in : f->out;
	if (!owner || !port_is_honeypot(owner) || !f->t.family)
		return;
	uint16_t id = owner->conf.port;
	struct denied *set = &g->denied.at[set_of(f) * DENIED_WAYS], *d = NULL;
	for (unsigned i = 0; i < DENIED_WAYS && !d; i++)
		if (same(&set[i], f, id))
			d = &set[i];
	if (!d) {
		d = &set[0];
		for (unsigned i = 0; i < DENIED_WAYS; i++) {
			if (!set[i].used) {
				d = &set[i];
				break;
			}
			if (set[i].last < d->last)
				d = &set[i];
		}
		if (d->used)
			write_out(g, d);
		*d = (struct denied){ .t = f->t,
				      .owner = id,
				      .src_slot = f->in->conf.port,
				      .dst_slot = f->out ? f->out->conf.port : RING_NO_PORT,
				      .used = 1,
				      .verdict = f->verdict,
				      .reason = f->reason,
				      .rule = f->rule,
				      .serial = g->policies.now->serial,
				      .icmp = f->icmp_kind != ICMP_KIND_NONE,
				      .icmp_type = f->icmp_type,
				      .icmp_code = f->icmp_code,
				      .start = f->now };
	}
	d->attempts++;
	d->last = f->now;
	d->flags |= f->tcp_flags;
}

void denied_flush(struct gateway *g, uint64_t now, bool all)
{
	/* A part of the table at each tick. */
	unsigned n = all ? ENTRIES : ENTRIES / 16;
	for (unsigned i = 0; i < n; i++) {
		struct denied *d = &g->denied.at[g->denied.sweep++ & (ENTRIES - 1)];
		if (d->used && (all || now - d->last >= REST || now - d->start >= LONGEST))
			write_out(g, d);
	}
}

void denied_flush_port(struct gateway *g, const struct port *p)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct denied *d = &g->denied.at[i];
		if (d->used && d->owner == p->conf.port)
			write_out(g, d);
	}
}
