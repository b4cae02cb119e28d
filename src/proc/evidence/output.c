/* SPDX-License-Identifier: ISC */
/* What is written to which file of the evidence directory, and when a file has
 * had enough. */
#include "proc/evidence/role.h"

#include "base/log.h"
#include "base/text.h"
#include "proc/evidence/pcapng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS_BUFFER = 1 << 20, EVENTS_BUFFER = 512 << 10 };

int output_open(struct evidence *e, uint64_t now)
{
	e->packets = store_stream(&e->store, "packets", ".pcapng", false, PACKETS_BUFFER, pcapng_whole);
	e->events = store_stream(&e->store, "events", ".json", false, EVENTS_BUFFER, json_whole);
	if (!e->packets || !e->events)
		return e->store.failed;
	return store_begin(&e->store, e->events, now);
}

/* ---- packets -------------------------------------------------------------- */

int output_port(struct evidence *e, struct port *p)
{
	if (!e->packets->seg || p->file == e->packets_file)
		return e->store.failed;
	char text[160];
	uint16_t id = p->conf.port;
	const char *kind = id < MODEL_HONEYPOTS  ? "honeypot"
			   : id < PORT_SINK(0)   ? "uplink"
			   : id < PORT_ENGINE(0) ? "sinkhole"
						 : "inline engine";
	snprintf(text, sizeof(text), "%s of network %s in honeynet %s", kind, p->conf.network, e->conf.honeynet);
	struct pcapng_if i = { .name = p->conf.name,
			       .description = text,
			       .naddrs = p->conf.naddrs <= MODEL_ADDRS ? p->conf.naddrs : MODEL_ADDRS,
			       .addrs = p->conf.addrs };
	memcpy(i.mac, p->conf.mac, sizeof(i.mac));
	uint8_t *room = store_reserve(&e->store, e->packets, PCAPNG_IDB_MAX);
	if (!room)
		return e->store.failed;
	store_used(&e->store, e->packets, pcapng_idb(room, PCAPNG_IDB_MAX, &i));
	p->file = e->packets_file;
	p->ifindex = e->packets_ifs++;
	p->file_frames = p->file_lost = 0;
	return 0;
}

/* Every file stands alone: section header, then all ports. */
static int packets_begin(struct evidence *e, uint64_t now)
{
	int r = store_begin(&e->store, e->packets, now);
	uint8_t *room = r < 0 ? NULL : store_reserve(&e->store, e->packets, PCAPNG_SHB_MAX);
	if (!room)
		return e->store.failed;
	store_used(&e->store, e->packets, pcapng_shb(room, PCAPNG_SHB_MAX, e->hardware, e->os, e->app));
	e->packets_file++;
	e->packets_ifs = 0;
	e->packets_frames = 0;
	for (unsigned i = 0; i < PORTS_MAX && !e->store.failed; i++)
		if (e->ports[i] && e->ports[i]->open)
			output_port(e, e->ports[i]);
	return e->store.failed;
}

static int packets_end(struct evidence *e, uint64_t now)
{
	if (!e->packets->seg)
		return e->store.failed;
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		struct port *p = e->ports[i];
		if (!p || p->file != e->packets_file)
			continue;
		uint8_t *room = store_reserve(&e->store, e->packets, PCAPNG_ISB_MAX);
		if (!room)
			return e->store.failed;
		store_used(&e->store, e->packets,
			   pcapng_isb(room, PCAPNG_ISB_MAX, p->ifindex, now, p->file_frames, p->file_lost));
	}
	return store_rotate(&e->store, e->packets, now);
}

static void comment(const struct evidence *e, const struct port *p, char *out, size_t cap, const struct ring_entry *h,
		    const struct ring_frame *f)
{
	struct text_out t = { out, cap, 0 };
	text_add(&t, "verdict=");
	text_add(&t, verdict_name(f->verdict));
	text_add(&t, " reason=");
	text_add(&t, reason_name(f->reason));
	if (f->flow) {
		text_add(&t, " flow=");
		text_add_number(&t, f->flow);
	}
	if (f->rule != RULE_NONE) {
		const char *name = port_rule(p, f->rule);
		text_add(&t, name[0] ? " rule=" : " rule=#");
		if (name[0])
			text_add(&t, name);
		else
			text_add_number(&t, f->rule);
	}
	const char *to = NULL;
	if (f->out_port == RING_MANY)
		to = "many";
	else if (f->out_port < PORTS_MAX && e->ports[f->out_port])
		to = e->ports[f->out_port]->conf.name;
	if (to) {
		text_add(&t, " out=");
		text_add(&t, to);
	}
	text_add(&t, " seq=");
	text_add_number(&t, h->seq);
}

int output_frame(struct evidence *e, struct port *p, const struct ring_entry *h, const struct ring_frame *f,
		 const uint8_t *data)
{
	char text[200];
	size_t need = f->caplen + PCAPNG_EPB_EXTRA;
#ifdef MUTANT_PCAPNG_SKIP_MALFORMED
	if (f->reason == REASON_MALFORMED)
		return 0;
#endif
	if (e->packets->seg && e->packets_frames && stream_size(e->packets) + need > e->rotate_bytes &&
	    packets_end(e, e->now) < 0)
		return e->store.failed;
	if (!e->packets->seg && packets_begin(e, e->now) < 0)
		return e->store.failed;
	if (output_port(e, p) < 0)
		return e->store.failed;
	comment(e, p, text, sizeof(text), h, f);
	struct pcapng_packet k = { .interface = p->ifindex,
				   .time = h->time,
				   .caplen = f->caplen,
				   .wirelen = f->wirelen < f->caplen ? f->caplen : f->wirelen,
				   .data = data,
				   .dir = f->dir == FRAME_IN ? PCAPNG_INBOUND : PCAPNG_OUTBOUND,
				   .id = h->seq,
				   .comment = text };
	uint8_t *room = store_reserve(&e->store, e->packets, need);
	if (!room)
		return e->store.failed ? e->store.failed : -EMSGSIZE;
	store_used(&e->store, e->packets, pcapng_epb(room, need, &k));
	p->file_frames++;
	e->packets_frames++;
	return 0;
}

/* ---- events --------------------------------------------------------------- */

struct json output_json(struct evidence *e)
{
	struct json j;
	json_init(&j, e->scratch, SCRATCH);
	return j;
}

int output_event(struct evidence *e, const struct json *j, uint64_t now)
{
	if (j->full) {
		log_error("an event was too long to be written");
		return e->store.failed;
	}
	if (e->events->seg && stream_size(e->events) && stream_size(e->events) + j->n > e->rotate_bytes &&
	    store_rotate(&e->store, e->events, now) < 0)
		return e->store.failed;
	if (store_begin(&e->store, e->events, now) < 0)
		return e->store.failed;
	e->events_written++;
	return store_append(&e->store, e->events, j->buf, j->n);
}

int output_flow(struct evidence *e, const struct port *p, const struct ring_entry *h, const struct ring_flow *f)
{
	struct json j = output_json(e);
	eve_flow(&e->eve, &j, f, port_rule(p, f->rule), h->time);
	e->flows++;
	return output_event(e, &j, e->now);
}

int output_note(struct evidence *e, const char *eventid, const char *honeypot, const char *message, uint64_t now)
{
	struct json j = output_json(e);
	eve_evidence(&e->eve, &j, eventid, message, now);
	if (honeypot)
		json_str(&j, "honeypot", honeypot);
	eve_end(&j);
	return output_event(e, &j, now);
}

int output_notes(struct evidence *e, uint64_t now)
{
	static const char *const ids[] = { "skep.evidence.recovered", "skep.evidence.alarm", "skep.evidence.removed" };
	struct store *s = &e->store;
	for (unsigned i = 0; i < s->nnotes && !s->failed; i++) {
		const struct store_note *n = &s->notes[i];
		char text[320];
		if (n->kind == NOTE_RECOVERED)
			snprintf(text, sizeof(text), "cut %llu bytes of an interrupted write from the end of %s",
				 (unsigned long long)n->bytes, n->name);
		else if (n->kind == NOTE_REMOVED)
			snprintf(text, sizeof(text), "removed %s because of the limits on size and age", n->name);
		else
			snprintf(text, sizeof(text), "%s: %s", n->name, n->text);
		if (n->kind == NOTE_ALARM)
			log_warn("evidence: %s", text);
		struct json j = output_json(e);
		eve_evidence(&e->eve, &j, ids[n->kind], text, now);
		json_str(&j, "file", n->name);
		json_u64(&j, "size", n->bytes);
		if (n->kind == NOTE_REMOVED)
			json_hex(&j, "blake2b", n->hash, sizeof(n->hash));
		eve_end(&j);
		output_event(e, &j, now);
	}
	s->nnotes = 0;
	return s->failed;
}

/* ---- consoles ------------------------------------------------------------- */

static struct console *console_for(struct evidence *e, const char *honeypot)
{
	for (struct console *c = e->consoles; c; c = c->next)
		if (!strcmp(c->honeypot, honeypot))
			return c;
	struct console *c = calloc(1, sizeof(*c));
	char base[64];
	if (!c) {
		store_fail(&e->store, -ENOMEM, "make room for the console of", honeypot);
		return NULL;
	}
	snprintf(c->honeypot, sizeof(c->honeypot), "%s", honeypot);
	snprintf(base, sizeof(base), "console/%s", honeypot);
	c->out = store_stream(&e->store, base, ".log", true, 0, NULL);
	c->times = store_stream(&e->store, base, ".times.json", true, 0, json_whole);
	c->input = store_stream(&e->store, base, ".input.json", true, 0, json_whole);
	c->next = e->consoles;
	e->consoles = c;
	return c;
}

static int console_line(struct evidence *e, struct stream *st, const struct json *j, uint64_t now)
{
	if (j->full || store_begin(&e->store, st, now) < 0)
		return e->store.failed;
	return store_append(&e->store, st, j->buf, j->n);
}

int output_console(struct evidence *e, const char *honeypot, const struct ev_console *c, const uint8_t *p, size_t n,
		   uint64_t now)
{
	struct console *con = console_for(e, honeypot);
	if (!con || !con->out || !con->times || !con->input)
		return e->store.failed;
	struct json j = output_json(e);
	json_obj(&j, NULL);
	json_time(&j, "timestamp", c->time ? c->time : now);
	if (c->dir == 1) {
		json_bytes(&j, "input", p, n);
		json_hex(&j, "hex", p, n);
		eve_end(&j);
		if (stream_size(con->input) > e->rotate_bytes)
			store_rotate(&e->store, con->input, now);
		return console_line(e, con->input, &j, now);
	}
	if (stream_size(con->out) && stream_size(con->out) + n > e->rotate_bytes) {
		/* Together, so that equal numbers belong to each other. */
		store_rotate(&e->store, con->out, now);
		store_rotate(&e->store, con->times, now);
	}
	json_u64(&j, "offset", stream_size(con->out));
	json_u64(&j, "length", n);
	eve_end(&j);
	if (store_begin(&e->store, con->out, now) < 0 || store_append(&e->store, con->out, p, n) < 0)
		return e->store.failed;
	return console_line(e, con->times, &j, now);
}

/* ---- all ------------------------------------------------------------------ */

int output_age(struct evidence *e, uint64_t now)
{
	if (!e->rotate_age)
		return 0;
	for (struct stream *st = e->store.streams; st; st = st->next) {
		if (!st->seg || now < st->seg->opened || now - st->seg->opened < e->rotate_age || !stream_size(st))
			continue;
		if (st == e->packets)
			packets_end(e, now);
		else
			store_rotate(&e->store, st, now);
	}
	return e->store.failed;
}

int output_close(struct evidence *e, uint64_t now)
{
	packets_end(e, now);
	for (struct stream *st = e->store.streams; st && !e->store.failed; st = st->next)
		store_rotate(&e->store, st, now);
	return e->store.failed;
}
