/* SPDX-License-Identifier: ISC */
/* skep flows: one line a conversation, or with --summary what was let out, what
 * was stopped and why. */
#include "cli/read_eve.h"
#include "proto/verdict.h"

#include <stdlib.h>
#include <string.h>

/* Conversations that have these in common are one line of the summary. */
struct group {
	char honeypot[NAME_CAP], direction[12], proto[12], port[8], verdict[12], reason[24];
	char player[NAME_CAP], rule[RULE_NAME_CAP];
	uint64_t flows, packets, bytes, stopped;
};

/* The frame counts of one port in the run of evidence that is being read. */
struct port_frames {
	char name[NAME_CAP];
	uint64_t frames;
	uint64_t now[VERDICT_COUNT][REASON_COUNT];
};

struct summary {
	const struct evidence_filter *filter;
	struct group *groups;
	unsigned n, cap;
	struct port_frames *ports;
	unsigned nports;
	uint64_t frames[VERDICT_COUNT][REASON_COUNT];
	bool oom;
};

static struct group *group_for(struct summary *s, const struct group *key)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!memcmp(&s->groups[i], key, offsetof(struct group, flows)))
			return &s->groups[i];
	if (s->n == s->cap) {
		unsigned cap = s->cap ? 2 * s->cap : 64;
		struct group *g = realloc(s->groups, cap * sizeof(*g));
		if (!g) {
			s->oom = true;
			return NULL;
		}
		s->groups = g;
		s->cap = cap;
	}
	s->groups[s->n] = *key;
	return &s->groups[s->n++];
}

static void add_flow(struct summary *s, json_t *v)
{
	struct group key;
	memset(&key, 0, sizeof(key));
	snprintf(key.honeypot, sizeof(key.honeypot), "%s", eve_str(v, "skep", "honeypot"));
	snprintf(key.direction, sizeof(key.direction), "%s", eve_str(v, "skep", "direction"));
	snprintf(key.proto, sizeof(key.proto), "%s", eve_str(v, "proto", NULL));
	snprintf(key.verdict, sizeof(key.verdict), "%s", eve_str(v, "skep", "verdict"));
	snprintf(key.reason, sizeof(key.reason), "%s", eve_str(v, "skep", "reason"));
	snprintf(key.player, sizeof(key.player), "%s", eve_str(v, "skep", "player"));
	snprintf(key.rule, sizeof(key.rule), "%s", eve_str(v, "skep", "rule"));
	if (json_object_get(v, "dest_port"))
		snprintf(key.port, sizeof(key.port), "%u", (unsigned)eve_num(v, "dest_port", NULL) & 0xffff);
	/* A scan would give a line for each of its ports. */
	unsigned many = 0;
	for (unsigned i = 0; i < s->n; i++)
		many += !strcmp(s->groups[i].honeypot, key.honeypot) &&
			!strcmp(s->groups[i].direction, key.direction) && !strcmp(s->groups[i].proto, key.proto) &&
			!strcmp(s->groups[i].verdict, key.verdict) && !strcmp(s->groups[i].reason, key.reason) &&
			!strcmp(s->groups[i].rule, key.rule);
	enum { PORTS_SHOWN = 12 };
	if (many >= PORTS_SHOWN && key.port[0]) {
		bool known = false;
		for (unsigned i = 0; i < s->n && !known; i++)
			known = !memcmp(&s->groups[i], &key, offsetof(struct group, flows));
		if (!known) {
			memset(key.port, 0, sizeof(key.port));
			snprintf(key.port, sizeof(key.port), "others");
		}
	}
	struct group *g = group_for(s, &key);
	if (!g)
		return;
	g->flows++;
	g->packets += eve_num(v, "flow", "pkts_toserver") + eve_num(v, "flow", "pkts_toclient");
	g->bytes += eve_num(v, "flow", "bytes_toserver") + eve_num(v, "flow", "bytes_toclient");
	g->stopped += eve_num(v, "skep", "dropped_toserver") + eve_num(v, "skep", "dropped_toclient");
}

static void settle(struct summary *s, struct port_frames *p)
{
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		for (unsigned r = 0; r < REASON_COUNT; r++)
			s->frames[v][r] += p->now[v][r];
	memset(p->now, 0, sizeof(p->now));
	p->frames = 0;
}

static struct port_frames *port_for(struct summary *s, const char *name)
{
	for (unsigned i = 0; i < s->nports; i++)
		if (!strcmp(s->ports[i].name, name))
			return &s->ports[i];
	struct port_frames *p = realloc(s->ports, (s->nports + 1) * sizeof(*p));
	if (!p) {
		s->oom = true;
		return NULL;
	}
	s->ports = p;
	p += s->nports++;
	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	return p;
}

/* Counters begin again at 0 with every start of evidence: what was counted
 * before is added up when they go backwards. */
static void add_stats(struct summary *s, json_t *v)
{
	size_t i;
	json_t *one, *n;
	const char *key;
	json_array_foreach(json_object_get(json_object_get(v, "stats"), "ports"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "port"));
		if (!name || (s->filter->honeypots && !evidence_filter_honeypot(s->filter, name)))
			continue;
		struct port_frames *p = port_for(s, name);
		if (!p)
			return;
		uint64_t frames = (uint64_t)json_integer_value(json_object_get(one, "frames"));
		if (frames < p->frames)
			settle(s, p);
		p->frames = frames;
		for (unsigned verdict = 0; verdict < VERDICT_COUNT; verdict++) {
			json_object_foreach(json_object_get(one, verdict_name(verdict)), key, n)
			{
				int reason = reason_by_name(key);
				if (reason >= 0)
					p->now[verdict][reason] = (uint64_t)json_integer_value(n);
			}
		}
	}
}

static void on_event(void *arg, json_t *v)
{
	struct summary *s = arg;
	const char *type = eve_str(v, "event_type", NULL);
	if (!strcmp(type, "flow"))
		add_flow(s, v);
}

/* Frame counts stand in stats events, which belong to no honeypot and have no
 * verdict of their own: they are read without the filter. */
static void on_stats(void *arg, json_t *v)
{
	struct summary *s = arg;
	const char *type = eve_str(v, "event_type", NULL);
	if (!strcmp(type, "stats"))
		add_stats(s, v);
	else if (!strcmp(type, "evidence") && !strcmp(eve_str(v, "evidence", "eventid"), "skep.evidence.started"))
		for (unsigned i = 0; i < s->nports; i++)
			settle(s, &s->ports[i]);
}

static int by_verdict(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int c = verdict_by_name(x->verdict) - verdict_by_name(y->verdict); /* forward first, drop last */
	if (!c)
		c = strcmp(x->honeypot, y->honeypot);
	if (!c)
		c = strcmp(x->direction, y->direction);
	return c ? c : x->flows < y->flows ? 1 : x->flows > y->flows ? -1 : strcmp(x->port, y->port);
}

static int print_frames(const struct cmd *c, const struct summary *s)
{
	static const char *const heads[] = { "VERDICT", "REASON", ">FRAMES", "MEANING", NULL };
	struct table t;
	table_init(&t, heads);
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		for (unsigned r = 0; r < REASON_COUNT; r++) {
			if (!s->frames[v][r] || (s->filter->verdict >= 0 && (unsigned)s->filter->verdict != v) ||
			    (s->filter->reason && strcmp(s->filter->reason, reason_name(r)) != 0))
				continue;
			table_add(&t, "%s", verdict_name(v));
			table_add(&t, "%s", reason_name(r));
			table_add(&t, "%llu", (unsigned long long)s->frames[v][r]);
			table_add(&t, "%s", reason_text(r));
		}
	}
	if (!t.rows) {
		table_free(&t);
		return CMD_OK;
	}
	int status = table_print(&t, c);
	fputc('\n', c->out);
	return status;
}

static int print_groups(const struct cmd *c, struct summary *s)
{
	static const char *const heads[] = { "VERDICT", "HONEYPOT", "DIRECTION", "PROTO",    ">PORT", "REASON",
					     ">FLOWS",  ">PACKETS", ">BYTES",    ">STOPPED", NULL };
	struct table t;
	char size[CMD_SIZE_TEXT];
	if (!s->n) {
		cmd_note(c, "no conversations recorded that match");
		return CMD_OK;
	}
	qsort(s->groups, s->n, sizeof(*s->groups), by_verdict);
	table_init(&t, heads);
	for (unsigned i = 0; i < s->n; i++) {
		const struct group *g = &s->groups[i];
		table_add(&t, "%s%s%s", g->verdict, g->player[0] ? ":" : "", g->player);
		table_add(&t, "%s", g->honeypot[0] ? g->honeypot : "-");
		table_add(&t, "%s", g->direction);
		table_add(&t, "%s", g->proto);
		table_add(&t, "%s", g->port[0] ? g->port : "-");
		table_add(&t, "%s%s%s", g->reason, g->rule[0] ? ":" : "", g->rule);
		table_add(&t, "%llu", (unsigned long long)g->flows);
		table_add(&t, "%llu", (unsigned long long)g->packets);
		table_add(&t, "%s", cmd_size_text(size, g->bytes));
		table_add(&t, "%llu", (unsigned long long)g->stopped);
	}
	return table_print(&t, c);
}

static int print_json(const struct cmd *c, struct summary *s)
{
	json_t *all = json_object(), *frames = json_object(), *flows = json_array();
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		json_t *one = json_object();
		for (unsigned r = 0; r < REASON_COUNT; r++)
			if (s->frames[v][r])
				json_object_set_new(one, reason_name(r), json_integer((json_int_t)s->frames[v][r]));
		json_object_set_new(frames, verdict_name(v), one);
	}
	for (unsigned i = 0; i < s->n; i++) {
		const struct group *g = &s->groups[i];
		json_t *o = json_object();
		json_object_set_new(o, "honeypot", cmd_string(g->honeypot));
		json_object_set_new(o, "direction", cmd_string(g->direction));
		json_object_set_new(o, "proto", cmd_string(g->proto));
		json_object_set_new(o, "dest_port", cmd_string(g->port));
		json_object_set_new(o, "verdict", cmd_string(g->verdict));
		json_object_set_new(o, "reason", cmd_string(g->reason));
		if (g->player[0])
			json_object_set_new(o, "player", cmd_string(g->player));
		if (g->rule[0])
			json_object_set_new(o, "rule", cmd_string(g->rule));
		json_object_set_new(o, "flows", json_integer((json_int_t)g->flows));
		json_object_set_new(o, "packets", json_integer((json_int_t)g->packets));
		json_object_set_new(o, "bytes", json_integer((json_int_t)g->bytes));
		json_object_set_new(o, "stopped", json_integer((json_int_t)g->stopped));
		json_array_append_new(flows, o);
	}
	json_object_set_new(all, "frames", frames);
	json_object_set_new(all, "flows", flows);
	return cmd_json(c, all);
}

static int summary(struct cmd *c)
{
	struct summary s = { 0 };
	struct evidence_dir d;
	struct err e = { 0 };
	struct read_eve r = { .flows_only = true, .fn = on_event, .arg = &s };
	s.filter = &r.filter;
	int status = read_eve(c, &r);
	if (status == CMD_OK && !r.filter.since && !r.filter.until) {
		struct read_eve all = { .fn = on_stats, .arg = &s, .filter = { .verdict = -1 } };
		status = evidence_dir_open(c, &d);
		if (status != CMD_OK)
			return status;
		if (read_eve_all(&d, &all, &e) < 0)
			status = cmd_fail_err(c, &e, NULL);
		evidence_dir_close(&d);
		for (unsigned i = 0; i < s.nports; i++)
			settle(&s, &s.ports[i]);
	}
	if (s.oom)
		status = cmd_fail(c, "out of memory");
	if (status == CMD_OK && cmd_flag(c, "json"))
		status = print_json(c, &s);
	else if (status == CMD_OK && (status = print_frames(c, &s)) == CMD_OK)
		status = print_groups(c, &s);
	free(s.groups);
	free(s.ports);
	return status;
}

int cmd_flows(struct cmd *c)
{
	struct read_eve r = { .flows_only = true };
	return cmd_flag(c, "summary") ? summary(c) : read_eve(c, &r);
}
