/* SPDX-License-Identifier: ISC */
#include "proc/evidence/role.h"

#include <stdio.h>

static void one_port(struct json *j, const struct port *p)
{
	json_obj(j, NULL);
	json_str(j, "port", p->conf.name);
	json_str(j, "network", p->conf.network);
	json_bool(j, "uplink", p->conf.uplink);
	json_u64(j, "frames", p->counts.frames);
	json_u64(j, "bytes", p->counts.bytes);
	json_u64(j, "lost_frames", p->counts.lost_frames);
	json_u64(j, "lost_bytes", p->counts.lost_bytes);
	json_u64(j, "made_frames", p->counts.made);
	json_u64(j, "made_bytes", p->counts.made_bytes);
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		json_obj(j, verdict_name(v));
		for (unsigned r = 0; r < REASON_COUNT; r++)
			if (p->counts.by[v][r])
				json_u64(j, reason_name(r), p->counts.by[v][r]);
		json_end(j);
	}
	json_end(j);
}

static int tell_losses(struct evidence *e, struct port *p, uint64_t now)
{
	char text[160];
	if (p->counts.lost_frames != p->lost_told) {
		snprintf(text, sizeof(text), "%llu frames were stopped because the ring was full",
			 (unsigned long long)(p->counts.lost_frames - p->lost_told));
		p->lost_told = p->counts.lost_frames;
		output_note(e, "skep.evidence.lost", p->conf.name, text, now);
	}
	if (p->gaps != p->gaps_told) {
		snprintf(text, sizeof(text), "%llu records are missing in the ring's numbering",
			 (unsigned long long)(p->gaps - p->gaps_told));
		p->gaps_told = p->gaps;
		output_note(e, "skep.evidence.gap", p->conf.name, text, now);
	}
	return e->store.failed;
}

int stats_write(struct evidence *e, uint64_t now)
{
	bool changed = false;
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		struct port *p = e->ports[i];
		if (!p || !p->changed)
			continue;
		changed = true;
		if (tell_losses(e, p, now) < 0)
			return e->store.failed;
	}
	if (!changed)
		return 0;
	struct json j = output_json(e);
	eve_begin(&e->eve, &j, "stats", now);
	json_obj(&j, "stats");
	json_u64(&j, "uptime", (now - e->started) / EV_SEC);
	json_obj(&j, "evidence");
	json_u64(&j, "frames", e->frames);
	json_u64(&j, "flows", e->flows);
	json_u64(&j, "events", e->events_written);
	json_u64(&j, "commits", e->store.done);
	json_u64(&j, "bytes", e->store.total);
	json_end(&j);
	json_arr(&j, "ports");
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (!e->ports[i])
			continue;
		one_port(&j, e->ports[i]);
		e->ports[i]->changed = false;
	}
	eve_end(&j);
	return output_event(e, &j, now);
}
