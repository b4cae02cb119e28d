/* SPDX-License-Identifier: ISC */
/* skep sessions: one line a session. */
#include "base/ev.h"
#include "cli/session_json.h"
#include "cli/session_where.h"
#include "model/addr.h"

#include <stdlib.h>
#include <string.h>

struct filter {
	const struct cmd *cmd;
	uint64_t since, until;
	const char *user;
	struct addr from; /* family 0: any */
};

static int filter_init(struct filter *f, const struct cmd *c)
{
	struct err e = { 0 };
	uint64_t now = ev_realtime();
	const char *since = cmd_str(c, "since"), *until = cmd_str(c, "until"), *from = cmd_str(c, "from");
	*f = (struct filter){ .cmd = c, .user = cmd_str(c, "user") };
	if (since && cmd_time(since, now, &f->since, &e) < 0)
		return cmd_usage(c, "--since: %s", e.text);
	if (until && cmd_time(until, now, &f->until, &e) < 0)
		return cmd_usage(c, "--until: %s", e.text);
	if (from && !addr_parse(from, -1, &f->from))
		return cmd_usage(c, "--from: \"%s\" is no address and no prefix", from);
	return CMD_OK;
}

static bool tried_as(const struct session *s, const char *user)
{
	if (!strcmp(s->user, user))
		return true;
	for (unsigned i = 0; i < s->nlogins; i++)
		if (!strcmp(s->logins[i].user, user))
			return true;
	return false;
}

static bool wanted(const struct filter *f, const struct session *s)
{
	const char *name;
	bool any = true;
	for (unsigned i = 0; (name = cmd_str_at(f->cmd, "honeypot", i)); i++) {
		any = !strcmp(name, s->honeypot);
		if (any)
			break;
	}
	/* It lives from start to its end: any part of it counts. */
	if (!any || (s->end && s->end < f->since) || (!s->end && s->over && s->last < f->since) ||
	    (f->until && s->start >= f->until))
		return false;
	if (f->user && !tried_as(s, f->user))
		return false;
	if (!f->from.family)
		return true;
	struct addr peer = { .family = s->who.family, .plen = s->who.family == 4 ? 32 : 128 };
	memcpy(peer.b, s->who.peer, sizeof(peer.b));
	return s->known && s->who.proto && addr_in(&f->from, &peer);
}

struct found {
	const struct session *s;
	const struct place *where;
};

static int by_start(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->s->start != y->s->start)
		return x->s->start < y->s->start ? -1 : 1;
	return x->s->id < y->s->id ? -1 : x->s->id > y->s->id;
}

/* The password that let them in, else the last one, and how many others there were. */
static void password_text(char *buf, size_t cap, const struct session *s)
{
	const struct session_login *best = NULL;
	for (unsigned i = 0; i < s->nlogins; i++)
		if (s->logins[i].how != INTRO_AUTH_KEY && (!best || best->outcome != INTRO_SUCCEEDED))
			best = &s->logins[i];
	snprintf(buf, cap, "-");
	if (!best && s->nlogins)
		snprintf(buf, cap, "(key)");
	else if (best && s->ntried > 1)
		snprintf(buf, cap, "%s (+%llu)", best->password, (unsigned long long)s->ntried - 1);
	else if (best)
		snprintf(buf, cap, "%s", best->password);
}

static int print_table(const struct cmd *c, const struct found *f, unsigned n)
{
	static const char *const heads[] = { "ID",       "HONEYPOT",  "START", "DURATION", "FROM", "USER",
					     "PASSWORD", ">COMMANDS", ">IN",   ">OUT",     "FLOW", NULL };
	char id[SESSION_ID_TEXT], time[CMD_TIME_TEXT], age[CMD_SIZE_TEXT], in[CMD_SIZE_TEXT], peer[SESSION_ENDPOINT],
	    password[200];
	struct table t;
	table_init(&t, heads);
	for (unsigned i = 0; i < n; i++) {
		const struct session *s = f[i].s;
		password_text(password, sizeof(password), s);
		table_add(&t, "%s", session_id_text(id, s->id));
		table_add(&t, "%s", s->honeypot);
		table_add(&t, "%s", cmd_time_text(time, s->start, 0));
		table_add(&t, "%s%s", cmd_age_text(age, (session_until(s) - s->start) / EV_SEC), s->over ? "" : "+");
		table_add(&t, "%s", session_peer(peer, s));
		table_add(&t, "%s", *s->user ? s->user : "-");
		table_add(&t, "%s", password);
		table_add(&t, "%llu", (unsigned long long)s->commands);
		table_add(&t, "%s", cmd_size_text(in, s->in));
		table_add(&t, "%s", cmd_size_text(in, s->out));
		if (s->flow_id)
			table_add(&t, "%llu", (unsigned long long)s->flow_id);
		else
			table_add(&t, "-");
	}
	return table_print(&t, c);
}

int cmd_sessions(struct cmd *c)
{
	struct filter f;
	struct loaded l;
	int status = filter_init(&f, c);
	if (status != CMD_OK || (status = loaded_read(c, c->nargs ? c->args[0] : NULL, &l)) != CMD_OK)
		return status;
	unsigned all = 0, n = 0;
	for (unsigned i = 0; i < l.places->n; i++)
		all += l.tables[i].n;
	struct found *found = calloc(all + 1, sizeof(*found));
	for (unsigned i = 0; found && i < l.places->n; i++)
		for (unsigned k = 0; k < l.tables[i].n; k++)
			if (wanted(&f, &l.tables[i].s[k]))
				found[n++] = (struct found){ &l.tables[i].s[k], &l.places->p[i] };
	if (!found) {
		status = cmd_fail(c, "out of memory");
	} else {
		qsort(found, n, sizeof(*found), by_start);
		uint64_t last = cmd_num(c, "lines", n);
		unsigned from = last < n ? n - (unsigned)last : 0;
		if (cmd_flag(c, "json")) {
			json_t *list = json_array();
			for (unsigned i = from; i < n; i++)
				json_array_append_new(list, session_json(found[i].s, found[i].where));
			status = cmd_json(c, list);
		} else if (n == from) {
			cmd_note(c, "no sessions are recorded that match");
		} else {
			status = print_table(c, found + from, n - from);
		}
	}
	free(found);
	loaded_free(&l);
	return status;
}
