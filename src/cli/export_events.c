/* SPDX-License-Identifier: ISC */
/* The selected events in the order of their times, and the formats that are a
 * line for each: EVE JSON, and JSON lines for Timesketch. */
#include "cli/export.h"
#include "cli/read_eve.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

/* ---- reading and sorting ---------------------------------------------------- */

struct pass {
	struct export_run *x;
	struct sorter *sort;
	export_event_fn fn;
	void *arg;
	int r;
};

static bool wanted(const struct export_run *x, json_t *v, uint64_t time)
{
	return evidence_filter_time(&x->filter, time) && eve_about(&x->filter, v) && scope_event(&x->scope, v);
}

static bool on_line(void *arg, struct slice line, bool first)
{
	struct pass *p = arg;
	(void)first;
	line.n--; /* the newline */
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(v)) {
		p->x->broken++;
		json_decref(v);
		return true;
	}
	uint64_t time = eve_time(eve_str(v, "timestamp", NULL));
	if (wanted(p->x, v, time))
		p->r = sorter_add(p->sort, time, 0, line, &p->x->e);
	json_decref(v);
	return p->r == 0;
}

static bool on_sorted(void *arg, uint64_t time, uint32_t tag, struct slice line)
{
	struct pass *p = arg;
	(void)tag;
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	if (!v)
		p->r = err_set(&p->x->e, -ENOMEM, "out of memory");
	else
		p->r = p->fn(p->x, p->arg, time, line, v);
	json_decref(v);
	return p->r == 0 && !ferror(p->x->out);
}

int export_events(struct export_run *x, export_event_fn fn, void *arg)
{
	char folder[DIRS_PATH];
	struct pass p = { .x = x, .fn = fn, .arg = arg, .sort = sorter_new(SORT_MEMORY, export_folder(x, folder)) };
	struct evidence_reader in = { .dir = &x->dir,
				      .folder = "events",
				      .ext = ".json",
				      .frame = eve_line,
				      .fn = on_line,
				      .arg = &p,
				      .since = x->filter.since,
				      .fd = -1 };
	if (!p.sort)
		return err_set(&x->e, -ENOMEM, "out of memory");
	int r = evidence_read(&in, &x->e);
	r = r < 0 ? r : p.r;
	x->cut += in.cut;
	x->broken += in.damaged;
	evidence_reader_free(&in);
	if (r == 0)
		r = sorter_run(p.sort, on_sorted, &p, &x->e);
	sorter_free(p.sort);
	return r < 0 ? r : p.r;
}

/* ---- EVE ---------------------------------------------------------------------- */

static int eve(struct export_run *x, void *arg, uint64_t time, struct slice line, json_t *v)
{
	(void)arg;
	(void)time;
	(void)v;
	export_json_text(x->out, line);
	fputc('\n', x->out);
	x->count++;
	return 0;
}

int export_eve(struct export_run *x)
{
	x->what = "events";
	return export_events(x, eve, NULL);
}

/* ---- Timesketch --------------------------------------------------------------- */

/* https://timesketch.org/guides/user/import-from-json-csv/: message, datetime
 * (ISO 8601), timestamp_desc; timestamp is microseconds; any other field. Nested
 * objects become fields NAME_NAME; arrays of objects stay JSON in a string,
 * since each element would make fields of its own. */
static void flatten(json_t *out, const char *prefix, json_t *v, unsigned depth)
{
	const char *key;
	json_t *one;
	char name[256];
	json_object_foreach(v, key, one)
	{
		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "_" : "", key);
		/* These three are Timesketch's own. */
		if (!*prefix && (!strcmp(key, "timestamp") || !strcmp(key, "message") || !strcmp(key, "datetime") ||
				 !strcmp(key, "timestamp_desc") || !strcmp(key, "tag")))
			continue;
		if (*prefix && !strcmp(key, "session") && json_is_string(one))
			snprintf(name, sizeof(name), "session_id");
		if (json_is_object(one) && depth < 8) {
			flatten(out, name, one, depth + 1);
		} else if (json_is_object(one) || (json_is_array(one) && json_is_object(json_array_get(one, 0)))) {
			char *text = json_dumps(one, JSON_COMPACT);
			json_object_set_new(out, name, text ? json_string(text) : NULL);
			free(text);
		} else {
			json_object_set(out, name, one);
		}
	}
}

static const char *described(const char *type, const char *id)
{
	static const struct {
		const char *id, *text;
	} by_id[] = {
		{ "skep.session.connect", "Session Start" },  { "skep.session.update", "Session Update" },
		{ "skep.session.closed", "Session End" },     { "skep.login.", "Login Attempt" },
		{ "skep.command.", "Command Typed" },         { "skep.process.exit", "Process End" },
		{ "skep.process.setuid", "User Change" },     { "skep.module.", "Kernel Module Load" },
		{ "skep.process.", "Process Start" },         { "skep.file.", "File Change" },
		{ "skep.connection.", "Network Connection" },
	};
	if (!strcmp(type, "flow"))
		return "Network Flow End";
	for (size_t i = 0; i < sizeof(by_id) / sizeof(by_id[0]); i++)
		if (!strncmp(id, by_id[i].id, strlen(by_id[i].id)))
			return by_id[i].text;
	return "Event Recorded";
}

json_t *export_flat(json_t *v, uint64_t time)
{
	char t[CMD_TIME_TEXT], text[1200], safe[4 * 1200];
	const char *type = eve_str(v, "event_type", NULL), *id = eve_str(v, type, "eventid");
	json_t *o = json_object();
	export_message(text, sizeof(text), v);
	text_safe(safe, sizeof(safe), text, strlen(text), false);
	json_object_set_new(o, "message", json_string(safe));
	json_object_set_new(o, "datetime", json_string(cmd_time_text(t, time, 6)));
	json_object_set_new(o, "timestamp", json_integer((json_int_t)(time / 1000)));
	json_object_set_new(o, "timestamp_desc", json_string(described(type, id)));
	flatten(o, "", v, 0);
	return o;
}

static int timesketch(struct export_run *x, void *arg, uint64_t time, struct slice line, json_t *v)
{
	(void)arg;
	(void)line;
	if (export_json_line(x->out, export_flat(v, time)) < 0)
		return err_set(&x->e, -ENOMEM, "out of memory");
	x->count++;
	return 0;
}

int export_timesketch(struct export_run *x)
{
	x->what = "events";
	return export_events(x, timesketch, NULL);
}
