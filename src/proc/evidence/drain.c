/* SPDX-License-Identifier: ISC */
/*
 * Rings. The gateway may be owned by an intruder: every header is a checked
 * copy, every length is checked against the entry that holds it, and a ring
 * that breaks a rule is stopped and never read again.
 *
 * While there is traffic all rings are read every few milliseconds by a timer,
 * so that the gateway need not wake us for each frame; when a pass finds all of
 * them empty we go to sleep on the eventfds.
 *
 * A ring's space is given back only after store_flush: what the gateway may
 * overwrite is in the kernel's hands and survives our death.
 */
#include "proc/evidence/role.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PORT_QUOTA = 256 << 10, PASS_BUDGET = 4 << 20 };

static void drain_wake(void *arg, uint32_t events, uint64_t now)
{
	struct port *p = arg;
	uint64_t count;
	(void)events;
	if (read(p->wakefd, &count, sizeof(count)) < 0) {
		/* Somebody else's wake-up; the timer below does no harm. */
	}
	drain_awake(p->owner);
	ev_timer_set(&p->owner->ev, &p->owner->drain_timer, now, p->owner->drain_timer.fn, p->owner);
}

void drain_awake(struct evidence *e)
{
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (e->ports[i] && e->ports[i]->open && !e->ports[i]->broken)
			ring_awake(&e->ports[i]->ring);
}

int drain_add(struct evidence *e, const struct ev_ring *conf, int ringfd, int wakefd, struct err *err)
{
	struct port *p = e->ports[conf->port];
	if (p && p->open)
		return err_set(err, -EEXIST, "port %u has a ring already", conf->port);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return err_set(err, -ENOMEM, "out of memory");
		p->owner = e;
		p->wakefd = -1;
	} else if (strcmp(p->conf.name, conf->name) != 0) {
		memset(&p->counts, 0, sizeof(p->counts));
		p->lost_told = p->gaps = p->gaps_told = 0;
	}
	e->ports[conf->port] = p;
	int r = ring_reader_open(&p->ring, ringfd, err);
	if (r < 0)
		return r;
	p->conf = *conf;
	p->seq = 0;
	p->file = 0;
	p->broken = false;
	r = ev_add(&e->ev, &p->wake, wakefd, EPOLLIN, drain_wake, p);
	if (r < 0) {
		ring_reader_close(&p->ring);
		return err_sys(err, r, "cannot wait for port %s", conf->name);
	}
	p->wakefd = wakefd;
	p->open = true;
	/* An evidence process before us may have stopped it. What that one wrote
	 * without giving the space back is written once more: records may come
	 * twice (epb_packetid tells), but none is missing. */
	ring_stop(&p->ring, 0);
	output_port(e, p);
	return 0;
}

static int tampered(struct evidence *e, struct port *p, const char *what)
{
	char text[240];
	p->broken = true;
	ring_stop(&p->ring, -EBADMSG);
	snprintf(text, sizeof(text),
		 "the gateway's ring of port %s is broken (%s): nothing of this port is taken any more, "
		 "so the gateway drops its frames. Restart the honeynet",
		 p->conf.name, what);
	log_error("%s", text);
	output_note(e, "skep.evidence.tampered", p->conf.name, text, e->now);
	evidence_tell(e, 0, text);
	return e->store.failed;
}

static int take_frame(struct evidence *e, struct port *p, const struct ring_entry *h, struct slice s)
{
	struct ring_frame f;
	struct slice data;
	if (!slice_get(&s, &f, sizeof(f)) || f.verdict >= VERDICT_COUNT || f.reason >= REASON_COUNT ||
	    (f.dir != FRAME_IN && f.dir != FRAME_OUT) || (f.rule != RULE_NONE && f.rule >= POOL_RULES) ||
	    !slice_take(&s, f.caplen, &data))
		return tampered(e, p, "frame");
	if (f.dir == FRAME_IN) {
		p->counts.frames++;
		p->counts.bytes += f.wirelen;
		p->counts.by[f.verdict][f.reason]++;
	} else {
		p->counts.made++;
		p->counts.made_bytes += f.wirelen;
	}
	e->frames++;
	sink_frame(e, p, &f, data);
	return output_frame(e, p, h, &f, data.p);
}

static int take_flow(struct evidence *e, struct port *p, const struct ring_entry *h, struct slice s)
{
	struct ring_flow f;
	if (!slice_get(&s, &f, sizeof(f)) || (f.family != 4 && f.family != 6) || f.verdict >= VERDICT_COUNT ||
	    f.reason >= REASON_COUNT || f.state >= FLOW_STATE_COUNT || f.end >= FLOW_END_COUNT ||
	    (f.rule != RULE_NONE && f.rule >= POOL_RULES) || (f.player != RING_NO_PORT && f.player >= PORTS_MAX))
		return tampered(e, p, "flow");
	return output_flow(e, p, h, &f);
}

const char *port_rule(const struct port *p, uint16_t rule)
{
	return p->rules && rule < POOL_RULES ? p->rules[rule] : "";
}

/* A name stands between blanks in a packet's comment: whatever else it may hold
 * becomes a '_'. */
static int take_rule(struct evidence *e, struct port *p, struct slice s)
{
	struct ring_rule r;
#ifdef MUTANT_EVIDENCE_RULE_UNCHECKED
	if (!slice_get(&s, &r, sizeof(r)))
		return tampered(e, p, "rule");
#else
	if (!slice_get(&s, &r, sizeof(r)) || r.rule >= POOL_RULES || !r.name[0] || !memchr(r.name, 0, sizeof(r.name)))
		return tampered(e, p, "rule");
#endif
	if (!p->rules && !(p->rules = calloc(POOL_RULES, sizeof(p->rules[0]))))
		return store_fail(&e->store, -ENOMEM, "make room for the rules of", p->conf.name);
	for (char *c = r.name; *c; c++)
		if (*c <= ' ' || *c > '~')
			*c = '_';
	memcpy(p->rules[r.rule], r.name, sizeof(r.name));
	return 0;
}

static bool dns_ok(const struct ring_dns *d, struct slice name)
{
#ifdef MUTANT_DNS_UNCHECKED
	return d->nanswers <= DNS_ANSWERS_MAX;
#endif
	if (d->answer > 1 || d->moved > 1 || d->rcode > 15 || d->nanswers > DNS_ANSWERS_MAX ||
	    (d->family != 4 && d->family != 6) || d->verdict >= VERDICT_COUNT || d->reason >= REASON_COUNT)
		return false;
	for (unsigned i = 0; i < d->nanswers; i++)
		if (d->answers[i].family != 4 && d->answers[i].family != 6)
			return false;
	/* What is not printable has been written as \\DDD. */
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 32 || name.p[i] > 126)
			return false;
	return true;
}

static int take_dns(struct evidence *e, struct port *p, const struct ring_entry *h, struct slice s)
{
	struct ring_dns d;
	char name[256];
	struct slice text;
	if (!slice_get(&s, &d, sizeof(d)) || !slice_take(&s, d.name, &text))
		return tampered(e, p, "dns");
	/* The producer may still write there: a copy, then the check. */
	memcpy(name, text.p, d.name);
	if (s.n || !dns_ok(&d, slice_of(name, d.name)))
		return tampered(e, p, "dns");
	struct json j = output_json(e);
	eve_dns(&e->eve, &j, p->conf.port, &d, name, d.name, h->time);
	return output_event(e, &j, e->now);
}

static int take_alert(struct evidence *e, struct port *p, const struct ring_entry *h, struct slice s)
{
	struct ring_alert a;
	if (!slice_get(&s, &a, sizeof(a)) || s.n || (a.family != 4 && a.family != 6) || a.blocked > 1 ||
	    !memchr(a.text, 0, sizeof(a.text)) || !memchr(a.category, 0, sizeof(a.category)))
		return tampered(e, p, "alert");
	struct json j = output_json(e);
	eve_alert(&e->eve, &j, p->conf.port, &a, h->time);
	return output_event(e, &j, e->now);
}

static int take(struct evidence *e, struct port *p, const struct ring_entry *h, const uint8_t *payload)
{
	struct slice s = slice_of(payload, h->len - sizeof(*h));
	struct ring_note note;
	if (h->port != p->conf.port)
		return tampered(e, p, "port");
	if (p->seq && h->seq != p->seq + 1) {
		if (h->seq <= p->seq)
			return tampered(e, p, "sequence");
		p->gaps += h->seq - p->seq - 1;
	}
	p->seq = h->seq;
	p->changed = true;
	switch (h->kind) {
	case RING_FRAME:
		return take_frame(e, p, h, s);
	case RING_FLOW:
		return take_flow(e, p, h, s);
	case RING_DNS:
		return take_dns(e, p, h, s);
	case RING_RULE:
		return take_rule(e, p, s);
	case RING_ALERT:
		return take_alert(e, p, h, s);
	case RING_NOTE:
		if (!slice_get(&s, &note, sizeof(note)))
			return tampered(e, p, "note");
		p->counts.lost_frames += note.lost_frames;
		p->counts.lost_bytes += note.lost_bytes;
		p->file_lost += note.lost_frames;
		return 0;
	default:
		return tampered(e, p, "kind");
	}
}

/* Reads at most `quota` bytes of one ring. 1: the quota ran out; 0: empty. */
static int read_port(struct evidence *e, struct port *p, uint64_t quota, bool *any)
{
	struct ring_entry h;
	const uint8_t *payload;
	uint64_t from = p->ring.tail;
	while (!p->broken) {
		if (p->ring.tail - from >= quota)
			return 1;
		int r = ring_next(&p->ring, &h, &payload);
		if (!r)
			return 0;
		*any = true;
		r = r < 0 ? tampered(e, p, "ring") : take(e, p, &h, payload);
		if (r < 0)
			return r;
	}
	return 0;
}

static int give_back(struct evidence *e)
{
#ifndef MUTANT_EVIDENCE_RELEASE_EARLY
	if (store_flush(&e->store) < 0)
		return e->store.failed;
#endif
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (e->ports[i] && e->ports[i]->open && !e->ports[i]->broken)
			ring_release(&e->ports[i]->ring);
	return 0;
}

int drain_pass(struct evidence *e, bool *more, bool *any)
{
	uint64_t budget = PASS_BUDGET;
	*more = *any = false;
	if (e->stopped)
		return 0;
	do {
		*more = false;
		for (unsigned i = 0; i < PORTS_MAX; i++) {
			struct port *p = e->ports[i];
			if (!p || !p->open || p->broken)
				continue;
			int r = read_port(e, p, PORT_QUOTA, any);
			if (r < 0)
				return r;
			*more |= r > 0;
		}
		if (give_back(e) < 0)
			return e->store.failed;
		budget -= PORT_QUOTA;
	} while (*more && budget);
	return 0;
}

/* A ring cannot hold more than its size: a producer that goes on writing does
 * not keep us for ever. */
static int read_rest(struct evidence *e, struct port *p)
{
	bool any = false;
	if (!p->open || p->broken || e->stopped)
		return 0;
	int r = read_port(e, p, 2ull * p->ring.size, &any);
	return r < 0 ? r : give_back(e);
}

int drain_all(struct evidence *e)
{
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		int r = e->ports[i] ? read_rest(e, e->ports[i]) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int drain_del(struct evidence *e, uint16_t port)
{
	struct port *p = port < PORTS_MAX ? e->ports[port] : NULL;
	if (!p || !p->open)
		return -ENOENT;
	int r = read_rest(e, p);
	ev_del(&e->ev, &p->wake);
	close(p->wakefd);
	p->wakefd = -1;
	ring_stop(&p->ring, -ESHUTDOWN);
	ring_reader_close(&p->ring);
	p->open = false;
	return r;
}

bool drain_sleep(struct evidence *e)
{
	bool idle = true;
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (e->ports[i] && e->ports[i]->open && !e->ports[i]->broken && !ring_sleep(&e->ports[i]->ring))
			idle = false;
	return idle;
}

void drain_stop(struct evidence *e, int code)
{
#ifdef MUTANT_EVIDENCE_NO_STOP
	return;
#endif
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (e->ports[i] && e->ports[i]->open)
			ring_stop(&e->ports[i]->ring, code);
}
