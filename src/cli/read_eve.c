/* SPDX-License-Identifier: ISC */
#include "cli/read_eve.h"

#include "base/ev.h"
#include "base/text.h"
#include "cli/export.h"
#include "proto/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *eve_str(json_t *v, const char *key, const char *sub)
{
	json_t *x = json_object_get(v, key);
	if (sub)
		x = json_object_get(x, sub);
	const char *s = json_string_value(x);
	return s ? s : "";
}

uint64_t eve_num(json_t *v, const char *key, const char *sub)
{
	json_t *x = json_object_get(v, key);
	if (sub)
		x = json_object_get(x, sub);
	return (uint64_t)json_integer_value(x);
}

uint64_t eve_time(const char *s)
{
	struct tm tm = { 0 };
	unsigned us = 0;
	int end = 0;
	if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d.%6u%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec, &us, &end) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	time_t t = timegm(&tm);
	return t < 0 ? 0 : (uint64_t)t * EV_SEC + us * 1000ull;
}

long eve_line(struct slice s)
{
	const uint8_t *nl = memchr(s.p, '\n', s.n);
	return nl ? nl - s.p + 1 : 0;
}

bool eve_about(const struct evidence_filter *f, json_t *v)
{
	if (!f->honeypots)
		return true;
	return evidence_filter_honeypot(f, eve_str(v, "skep", "honeypot")) ||
	       evidence_filter_honeypot(f, eve_str(v, "skep", "dest_honeypot")) ||
	       evidence_filter_honeypot(f, eve_str(v, eve_str(v, "event_type", NULL), "honeypot"));
}

static bool wanted(const struct read_eve *r, json_t *v)
{
	const struct evidence_filter *f = &r->filter;
	const char *type = eve_str(v, "event_type", NULL);
	if (r->flows_only && !r->fn && strcmp(type, "flow") != 0)
		return false;
	if (f->type && strcmp(type, f->type) != 0)
		return false;
	if (!evidence_filter_time(f, eve_time(eve_str(v, "timestamp", NULL))))
		return false;
	if (f->verdict >= 0 && strcmp(eve_str(v, "skep", "verdict"), verdict_name((unsigned)f->verdict)) != 0)
		return false;
	if (f->reason && strcmp(eve_str(v, "skep", "reason"), f->reason) != 0)
		return false;
	return eve_about(f, v);
}

static void end_text(char *out, size_t cap, json_t *v, const char *ip, const char *port)
{
	json_t *p = json_object_get(v, port);
	bool six = strchr(eve_str(v, ip, NULL), ':') != NULL;
	if (p && json_integer_value(p))
		snprintf(out, cap, "%s%s%s:%lld", six ? "[" : "", eve_str(v, ip, NULL), six ? "]" : "",
			 (long long)json_integer_value(p));
	else
		snprintf(out, cap, "%s", eve_str(v, ip, NULL));
}

/* "forward", or with who played the destination "reflect:db"; "outbound", or with
 * the rule's name "rule:worms". */
static void with_name(char *out, size_t cap, json_t *v, const char *key, const char *name)
{
	const char *what = eve_str(v, "skep", key), *more = eve_str(v, "skep", name);
	snprintf(out, cap, "%s%s%s", what, more[0] ? ":" : "", more);
}

static void flow_cells(struct evidence_row *row, json_t *v)
{
	char src[80], dst[80], verdict[64], reason[96], a[CMD_SIZE_TEXT], b[CMD_SIZE_TEXT];
	end_text(src, sizeof(src), v, "src_ip", "src_port");
	end_text(dst, sizeof(dst), v, "dest_ip", "dest_port");
	evidence_cell(row, "%s", eve_str(v, "skep", "honeypot"));
	evidence_cell(row, "%s", eve_str(v, "proto", NULL));
	evidence_cell(row, "%s", src);
	evidence_cell(row, "%s", dst);
	with_name(verdict, sizeof(verdict), v, "verdict", "player");
	with_name(reason, sizeof(reason), v, "reason", "rule");
	evidence_cell(row, "%s", verdict);
	evidence_cell(row, "%s", reason);
	evidence_cell(row, "%s", eve_str(v, "flow", "state"));
	evidence_cell(row, "%llu/%llu", (unsigned long long)eve_num(v, "flow", "pkts_toserver"),
		      (unsigned long long)eve_num(v, "flow", "pkts_toclient"));
	evidence_cell(row, "%s/%s", cmd_size_text(a, eve_num(v, "flow", "bytes_toserver")),
		      cmd_size_text(b, eve_num(v, "flow", "bytes_toclient")));
	evidence_cell(
	    row, "%llu",
	    (unsigned long long)(eve_num(v, "skep", "dropped_toserver") + eve_num(v, "skep", "dropped_toclient")));
}

static void stats_text(char *out, size_t cap, json_t *v)
{
	size_t i;
	json_t *p, *n;
	uint64_t frames = 0, dropped = 0;
	const char *key;
	json_array_foreach(json_object_get(json_object_get(v, "stats"), "ports"), i, p)
	{
		frames += (uint64_t)json_integer_value(json_object_get(p, "frames"));
		json_object_foreach(json_object_get(p, "drop"), key, n)
		{
			dropped += (uint64_t)json_integer_value(n);
		}
	}
	snprintf(out, cap, "%llu frames recorded, %llu of them stopped", (unsigned long long)frames,
		 (unsigned long long)dropped);
}

static void event_cells(struct evidence_row *row, json_t *v, const char *type)
{
	char src[80], dst[80], verdict[64], reason[96], text[400] = "";
	const char *id = eve_str(v, type, "eventid");
	bool flow = !strcmp(type, "flow");
	evidence_cell(row, "%s", type);
	evidence_cell(row, "%s", flow ? eve_str(v, "skep", "honeypot") : eve_str(v, type, "honeypot"));
	if (flow) {
		end_text(src, sizeof(src), v, "src_ip", "src_port");
		end_text(dst, sizeof(dst), v, "dest_ip", "dest_port");
		snprintf(text, sizeof(text), "%s %s > %s, %llu/%llu packets", eve_str(v, "proto", NULL), src, dst,
			 (unsigned long long)eve_num(v, "flow", "pkts_toserver"),
			 (unsigned long long)eve_num(v, "flow", "pkts_toclient"));
		with_name(verdict, sizeof(verdict), v, "verdict", "player");
		with_name(reason, sizeof(reason), v, "reason", "rule");
		evidence_cell(row, "%s %s", verdict, reason);
	} else {
		if (!strcmp(type, "stats"))
			stats_text(text, sizeof(text), v);
		else
			export_text(text, sizeof(text), v);
		evidence_cell(row, "%s", !strncmp(id, "skep.", 5) ? id + 5 : id);
	}
	evidence_cell(row, "%s", text);
}

static void heads(struct read_eve *r)
{
	static const char *const flow[] = { "TIME",   "HONEYPOT", "PROTO",   "SOURCE", "DESTINATION", "VERDICT",
					    "REASON", "STATE",    "PACKETS", "BYTES",  "STOPPED",     NULL };
	static const char *const event[] = { "TIME", "TYPE", "HONEYPOT", "EVENT", "WHAT", NULL };
	static const int flow_w[] = { 23, 8, 5, 21, 21, 7, 14, 11, 7, 11 }, event_w[] = { 23, 8, 10, 20 };
	for (const char *const *h = r->flows_only ? flow : event; *h; h++)
		evidence_cell(&r->row, "%s", *h);
	memcpy(r->row.widths, r->flows_only ? flow_w : event_w, r->flows_only ? sizeof(flow_w) : sizeof(event_w));
	evidence_row_print(&r->row, r->out);
}

static void show(void *arg, struct slice line, uint32_t tag)
{
	struct read_eve *r = arg;
	char t[CMD_TIME_TEXT];
	(void)tag;
	if (r->json) {
		fwrite(line.p, 1, line.n, r->out);
		r->shown++;
		return;
	}
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	if (!v)
		return;
	if (!r->shown++)
		heads(r);
	evidence_cell(&r->row, "%s", cmd_time_text(t, eve_time(eve_str(v, "timestamp", NULL)), 3));
	if (r->flows_only)
		flow_cells(&r->row, v);
	else
		event_cells(&r->row, v, eve_str(v, "event_type", NULL));
	evidence_row_print(&r->row, r->out);
	json_decref(v);
}

/* Evidence is written by us and escaped, but the file may have been replaced:
 * a line that is no JSON is not shown. */
static bool on_line(void *arg, struct slice line, bool first)
{
	struct read_eve *r = arg;
	(void)first;
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	if (!v) {
		r->broken++;
		return true;
	}
	bool want = wanted(r, v);
	if (want && r->fn)
		r->fn(r->arg, v);
	json_decref(v);
	if (!want || r->fn)
		return true;
	if (r->tail.n)
		evidence_tail_add(&r->tail, line.p, line.n, 0);
	else
		show(r, line, 0);
	if (r->follow && !r->tail.n)
		fflush(r->out);
	return !ferror(r->out);
}

int read_eve_all(const struct evidence_dir *d, struct read_eve *r, struct err *e)
{
	struct evidence_reader in = {
		.dir = d, .folder = "events", .ext = ".json", .frame = eve_line, .fn = on_line, .arg = r, .fd = -1
	};
	int got = evidence_read(&in, e);
	evidence_reader_free(&in);
	return got < 0 ? got : 0;
}

int read_eve(const struct cmd *c, struct read_eve *r)
{
	struct evidence_dir d;
	struct err e = { 0 };
	int status = evidence_filter_init(&r->filter, c, !r->flows_only);
	if (status != CMD_OK || (status = evidence_dir_open(c, &d)) != CMD_OK)
		return status;
	r->json = cmd_flag(c, "json");
	r->follow = cmd_flag(c, "follow") && !r->fn;
	r->out = c->out;
	struct evidence_reader in = { .dir = &d,
				      .folder = "events",
				      .ext = ".json",
				      .frame = eve_line,
				      .fn = on_line,
				      .arg = r,
				      .since = r->filter.since,
				      .fd = -1 };
	if (!evidence_tail_init(&r->tail, r->fn ? 0 : cmd_num(c, "lines", 0)))
		status = cmd_fail(c, "out of memory");
	int got = status == CMD_OK ? evidence_read(&in, &e) : 0;
	evidence_tail_flush(&r->tail, show, r);
	fflush(r->out);
	if (got == 0 && r->follow && status == CMD_OK)
		got = evidence_follow(&in, &e);
	if (got < 0)
		status = cmd_fail_err(c, &e, NULL);
	if (in.cut || r->broken)
		cmd_note(c, "%llu broken lines were left out", (unsigned long long)(in.cut + r->broken));
	if (status == CMD_OK && !r->shown && !r->fn && !r->json)
		cmd_note(c, "nothing recorded that matches, in %s", d.path);
	evidence_reader_free(&in);
	evidence_dir_close(&d);
	return status == CMD_OK && ferror(r->out) ? CMD_FAILED : status;
}
