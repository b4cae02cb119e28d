/* SPDX-License-Identifier: ISC */
/* skep search and skep reindex. */
#include "cli/search_index.h"

#include "base/text.h"
#include "cli/session_json.h"
#include "cli/session_where.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct hit {
	uint64_t time, session;
	uint32_t tty;
	char *kind, *honeypot, *body, *part;
	char net[NAME_CAP];
};
struct hits {
	struct hit *h;
	size_t n, cap;
	bool oom;
};

static bool has_word(const char *s)
{
	for (; *s; s++)
		if ((*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z') || (*s & 0x80))
			return true;
	return false;
}

/* Words as FTS5 strings: nothing in them is an operator. NULL: said what is wrong. */
static char *query_of(const struct cmd *c)
{
	size_t need = 1;
	for (int i = 0; i < c->nargs; i++)
		need += 2 * strlen(c->args[i]) + 4;
	char *q = calloc(1, need);
	size_t n = 0;
	for (int i = 0; q && i < c->nargs; i++) {
		const char *w = c->args[i];
		size_t len = strlen(w);
		bool prefix = len > 1 && w[len - 1] == '*';
		if (!has_word(w)) {
			cmd_usage(c, "\"%s\" has no letter and no digit to search for", w);
			free(q);
			return NULL;
		}
		n += (size_t)sprintf(q + n, "%s\"", n ? " " : "");
		for (size_t k = 0; k < len - prefix; k++) {
			if (w[k] == '"')
				q[n++] = '"';
			q[n++] = w[k];
		}
		n += (size_t)sprintf(q + n, "\"%s", prefix ? "*" : "");
	}
	return q;
}

static char *column(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return strdup(s ? s : "");
}

static void add_hit(struct hits *all, sqlite3_stmt *st, const char *net)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 64;
		struct hit *h = realloc(all->h, cap * sizeof(*h));
		if (!h) {
			all->oom = true;
			return;
		}
		all->h = h;
		all->cap = cap;
	}
	struct hit *h = &all->h[all->n++];
	*h = (struct hit){ .time = (uint64_t)sqlite3_column_int64(st, 0),
			   .session = (uint64_t)sqlite3_column_int64(st, 1),
			   .tty = (uint32_t)sqlite3_column_int64(st, 2),
			   .kind = column(st, 3),
			   .honeypot = column(st, 4),
			   .body = column(st, 5),
			   .part = column(st, 6) };
	snprintf(h->net, sizeof(h->net), "%s", net);
	all->oom |= !h->kind || !h->honeypot || !h->body || !h->part;
}

static int search_one(const struct cmd *c, struct search_index *x, const char *query, const char *net, struct hits *all)
{
	static const char sql[] =
	    "SELECT time, session, tty, kind, honeypot, body, snippet(item, 0, '', '', '...', 40) FROM item WHERE item "
	    "MATCH ?1 AND (?2 IS NULL OR honeypot = ?2) AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR (session & "
	    "?5) = "
	    "?4) ORDER BY time DESC, rowid DESC LIMIT ?6";
	const char *honeypot = cmd_str(c, "honeypot"), *kind = cmd_str(c, "kind"), *id = cmd_str(c, "session");
	uint64_t session = 0, mask = 0;
	sqlite3_stmt *st;
	if (id && !session_id_parse(id, &session, &mask))
		return cmd_usage(c, "--session: \"%s\" is no session: 4 to 12 hex digits", id);
	if (sqlite3_prepare_v2(x->db, sql, -1, &st, NULL) != SQLITE_OK)
		return cmd_fail(c, "cannot search: %s", sqlite3_errmsg(x->db));
	sqlite3_bind_text(st, 1, query, -1, SQLITE_STATIC);
	if (honeypot)
		sqlite3_bind_text(st, 2, honeypot, -1, SQLITE_STATIC);
	if (kind)
		sqlite3_bind_text(st, 3, kind, -1, SQLITE_STATIC);
	if (id) {
		sqlite3_bind_int64(st, 4, (sqlite3_int64)session);
		sqlite3_bind_int64(st, 5, (sqlite3_int64)mask);
	}
	sqlite3_bind_int64(st, 6, (sqlite3_int64)cmd_num(c, "lines", 1000));
	int r;
	while ((r = sqlite3_step(st)) == SQLITE_ROW && !all->oom)
		add_hit(all, st, net);
	sqlite3_finalize(st);
	if (r != SQLITE_DONE && !all->oom)
		return cmd_fail(c, "cannot search: %s", sqlite3_errmsg(x->db));
	return CMD_OK;
}

static int by_time(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;
	return x->time < y->time ? -1 : x->time > y->time;
}

static int print_json(const struct cmd *c, const struct hits *all, size_t from)
{
	char id[SESSION_ID_TEXT], tty[24];
	json_t *list = json_array();
	for (size_t i = from; i < all->n; i++) {
		const struct hit *h = &all->h[i];
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(h->time));
		json_object_set_new(o, "honeynet", cmd_string(h->net));
		json_object_set_new(o, "honeypot", cmd_string(h->honeypot));
		json_object_set_new(o, "session",
				    h->session ? cmd_string(session_id_text(id, h->session)) : json_null());
		json_object_set_new(o, "kind", cmd_string(h->kind));
		json_object_set_new(o, "tty", h->tty ? cmd_string(session_tty_name(tty, h->tty)) : json_null());
		json_object_set_new(o, "text", cmd_string(h->body));
		json_array_append_new(list, o);
	}
	return cmd_json(c, list);
}

static int print(const struct cmd *c, struct hits *all)
{
	static const char *const heads[] = { "TIME", "HONEYPOT", "SESSION", "KIND", "TEXT", NULL };
	char t[CMD_TIME_TEXT], id[SESSION_ID_TEXT];
	struct table table;
	if (all->n)
		qsort(all->h, all->n, sizeof(*all->h), by_time);
	uint64_t most = cmd_num(c, "lines", 1000);
	size_t from = all->n > most ? all->n - (size_t)most : 0;
	if (cmd_flag(c, "json"))
		return print_json(c, all, from);
	if (from == all->n) {
		cmd_note(c, "nothing recorded has these words");
		return CMD_OK;
	}
	table_init(&table, heads);
	for (size_t i = from; i < all->n; i++) {
		const struct hit *h = &all->h[i];
		table_add(&table, "%s", cmd_time_text(t, h->time, 3));
		table_add(&table, "%s%s%s", h->net, *h->net && *h->honeypot ? "/" : "", h->honeypot);
		table_add(&table, "%s", h->session ? session_id_text(id, h->session) : "-");
		table_add(&table, "%s", h->kind);
		table_add(&table, "%s", strlen(h->body) <= 200 ? h->body : h->part);
	}
	return table_print(&table, c);
}

/* Where the index of one honeynet is. */
static int index_path(const struct cmd *c, const char *net, char *out, size_t cap)
{
	struct err e = { 0 };
	char state[DIRS_PATH];
	const char *file = cmd_str(c, "index");
	if (file) {
		snprintf(out, cap, "%s", file);
		return CMD_OK;
	}
	if (cmd_str(c, "dir")) {
		snprintf(out, cap, ":memory:");
		return CMD_OK;
	}
	if (dirs_state(state, &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	snprintf(out, cap, "%s/nets/%s/index.sqlite", state, net);
	return CMD_OK;
}

static int with_index(const struct cmd *c, struct places *p, unsigned i, const char *query, struct hits *all)
{
	char path[DIRS_PATH + 64];
	struct search_index x;
	struct err e = { 0 };
	int status = index_path(c, p->nets[i], path, sizeof(path));
	if (status != CMD_OK)
		return status;
	if (search_index_open(&x, path, &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	if ((!query && search_index_clear(&x, &e) < 0) || search_index_update(&x, &p->dirs[i], &e) < 0)
		status = cmd_fail_err(c, &e, NULL);
	else if (query)
		status = search_one(c, &x, query, p->nets[i], all);
	else
		cmd_note(c, "%s%s%llu lines indexed in %s", p->nets[i], *p->nets[i] ? ": " : "",
			 (unsigned long long)x.added, path);
	search_index_close(&x);
	return status;
}

/* Every honeynet that has evidence, or the one of that name. */
static int each(struct cmd *c, const char *net, const char *query, struct hits *all)
{
	struct places *p;
	bool known = !net;
	int status = places_open(c, NULL, &p);
	if (status != CMD_OK)
		return status;
	for (unsigned i = 0; i < p->ndirs; i++)
		known |= net && !strcmp(net, p->nets[i]);
	if (!known)
		status = cmd_fail(c, "no honeynet \"%s\" has evidence here", net);
	if (known && cmd_str(c, "index") && !net && p->ndirs > 1)
		status = cmd_usage(c, "--index is one file: say which honeynet");
	for (unsigned i = 0; i < p->ndirs && status == CMD_OK; i++)
		if (!net || !strcmp(net, p->nets[i]))
			status = with_index(c, p, i, query, all);
	places_close(p);
	return status;
}

int cmd_search(struct cmd *c)
{
	static const char *const kinds[] = { "output", "input", "command", "exec", "file", "socket", "login", "event" };
	struct hits all = { 0 };
	const char *kind = cmd_str(c, "kind");
	unsigned k = 0;
	while (kind && k < 8 && strcmp(kind, kinds[k]) != 0)
		k++;
	if (k == 8)
		return cmd_usage(
		    c, "--kind: \"%s\" is none of output, input, command, exec, file, socket, login, event", kind);
	char *query = query_of(c);
	if (!query)
		return CMD_USAGE;
	int status = each(c, cmd_str(c, "net"), query, &all);
	if (status == CMD_OK && all.oom)
		status = cmd_fail(c, "out of memory");
	if (status == CMD_OK)
		status = print(c, &all);
	for (size_t i = 0; i < all.n; i++) {
		free(all.h[i].kind);
		free(all.h[i].honeypot);
		free(all.h[i].body);
		free(all.h[i].part);
	}
	free(all.h);
	free(query);
	return status;
}

int cmd_reindex(struct cmd *c)
{
	return each(c, c->nargs ? c->args[0] : NULL, NULL, NULL);
}
