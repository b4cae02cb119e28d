/* SPDX-License-Identifier: ISC */
/* skep session ID: everything about one. skep tree: the processes of many. */
#include "base/ev.h"
#include "base/text.h"
#include "cli/proc_table.h"
#include "cli/session_json.h"
#include "cli/session_where.h"

#include <stdlib.h>
#include <string.h>

/* What the records of one session say, read in a second pass. */
struct show {
	const struct cmd *c;
	const struct session *s;
	struct proc_table procs;
	struct exec_join join;
	json_t *commands, *execs, *files, *sockets; /* with --json */
	uint64_t shown[INTRO_KIND_COUNT];
	uint64_t most; /* lines of each kind */
	unsigned section;
};

static void heading(struct show *w, unsigned kind, const char *text)
{
	if (w->section != kind)
		fprintf(w->c->out, "\n%s\n", text);
	w->section = kind;
}

static bool more(struct show *w, unsigned kind)
{
	if (w->shown[kind]++ == w->most && !w->commands)
		fprintf(w->c->out, "  ... (--all shows the rest)\n");
	return w->shown[kind] <= w->most || w->commands;
}

static void line(struct show *w, uint64_t time, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void line(struct show *w, uint64_t time, const char *fmt, ...)
{
	char t[CMD_TIME_TEXT];
	va_list ap;
	fprintf(w->c->out, "  %s  ", cmd_time_text(t, time, 3));
	va_start(ap, fmt);
	vfprintf(w->c->out, fmt, ap);
	va_end(ap);
	fputc('\n', w->c->out);
}

static void show_command(struct show *w, const struct skt_rec *r)
{
	struct slice s;
	char text[16384], tty[24];
	if (!skt_text_of(r, &s) || !more(w, r->h.kind))
		return;
	if (w->commands) {
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(r->h.time));
		json_object_set_new(o, "text", session_json_slice(s));
		json_object_set_new(o, "tty", r->h.tty ? cmd_string(session_tty_name(tty, r->h.tty)) : json_null());
		json_object_set_new(o, "echoed", json_boolean(!(r->h.flags & INTRO_F_NOECHO)));
		json_object_set_new(o, "edited", json_boolean(r->h.flags & INTRO_F_EDITED));
		json_array_append_new(w->commands, o);
		return;
	}
	text_safe(text, sizeof(text), s.p, s.n, false);
	heading(w, r->h.kind, "TYPED");
	line(w, r->h.time, "%s  %s%s", r->h.tty ? session_tty_name(tty, r->h.tty) : "-", text,
	     r->h.flags & INTRO_F_NOECHO ? "   (not echoed)" : "");
}

static json_t *argv_json(const struct skt_exec *x)
{
	json_t *list = json_array();
	struct slice args = x->args, one;
	while (skt_take_text(&args, &one))
		json_array_append_new(list, session_json_slice(one));
	return list;
}

static void show_exec(struct show *w, const struct skt_rec *r)
{
	struct intro_rec h;
	struct skt_exec x;
	bool cut;
	char text[2000], path[2000];
	if (!exec_join_add(&w->join, r, &h, &x, &cut) || !more(w, h.kind))
		return;
	if (w->commands) {
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(h.time));
		json_object_set_new(o, "pid", json_integer(h.pid));
		json_object_set_new(o, "ppid", json_integer(h.ppid));
		json_object_set_new(o, "uid", json_integer(h.uid));
		json_object_set_new(o, "path", session_json_slice(x.path));
		json_object_set_new(o, "cwd", session_json_slice(x.cwd));
		json_object_set_new(o, "argc", json_integer(x.argc));
		json_object_set_new(o, "argv", argv_json(&x));
		json_object_set_new(o, "error", json_integer(x.ret));
		json_object_set_new(o, "cut", json_boolean(cut));
		json_array_append_new(w->execs, o);
		return;
	}
	exec_text(text, sizeof(text), &x);
	text_safe(path, sizeof(path), x.path.p, x.path.n, false);
	heading(w, h.kind, "EXECUTED");
	line(w, h.time, "%u  uid %u  %s: %s%s%s", h.pid, h.uid, path, text, cut ? " (cut)" : "",
	     x.ret ? "  [failed]" : "");
}

static void show_file(struct show *w, const struct skt_rec *r)
{
	uint32_t op, mode;
	struct slice path, to;
	char text[10000];
	if (!skt_file(r, &op, &mode, &path, &to) || !more(w, r->h.kind))
		return;
	if (w->commands) {
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(r->h.time));
		json_object_set_new(o, "pid", json_integer(r->h.pid));
		json_object_set_new(o, "op", cmd_string(session_file_op(op)));
		json_object_set_new(o, op == INTRO_CHMOD ? "mode" : "flags", json_integer(mode));
		json_object_set_new(o, "path", session_json_slice(path));
		if (op == INTRO_RENAME)
			json_object_set_new(o, "to", session_json_slice(to));
		json_array_append_new(w->files, o);
		return;
	}
	proc_note_text(text, sizeof(text), r);
	heading(w, r->h.kind, "FILES");
	line(w, r->h.time, "%u  %s", r->h.pid, text);
}

static void show_socket(struct show *w, const struct skt_rec *r)
{
	struct hook_socket k;
	char text[400];
	if (!skt_socket(r, &k) || !more(w, r->h.kind))
		return;
	if (w->commands) {
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(r->h.time));
		json_object_set_new(o, "pid", json_integer(r->h.pid));
		json_object_set_new(o, "op", cmd_string(session_socket_op(k.op)));
		json_object_set_new(o, "proto", json_integer(k.proto));
		json_object_set_new(o, "local", session_json_endpoint(k.family, k.local, k.local_port));
		json_object_set_new(o, "peer", session_json_endpoint(k.family, k.peer, k.peer_port));
		json_array_append_new(w->sockets, o);
		return;
	}
	proc_note_text(text, sizeof(text), r);
	heading(w, r->h.kind, "CONNECTIONS");
	line(w, r->h.time, "%u  %s", r->h.pid, text);
}

/* One section after the other, so each kind is a pass of its own. */
struct pass {
	struct show *w;
	unsigned kind;
};

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct pass *p = arg;
	(void)in;
	if (p->kind == INTRO_FORK) {
		proc_table_add(&p->w->procs, r);
		return !p->w->procs.oom;
	}
	if (r->h.session != p->w->s->id || r->h.kind != p->kind)
		return true;
	if (p->kind == INTRO_COMMAND)
		show_command(p->w, r);
	else if (p->kind == INTRO_EXEC)
		show_exec(p->w, r);
	else if (p->kind == INTRO_FILE)
		show_file(p->w, r);
	else
		show_socket(p->w, r);
	return !ferror(p->w->c->out);
}

static int pass(struct show *w, const struct place *where, unsigned kind, uint64_t since, struct err *e)
{
	struct pass p = { w, kind };
	struct skt_reader r;
	skt_reader_init(&r, where->dir, where->honeypot, on_record, &p);
	r.since = since;
	int got = skt_read(&r, e);
	skt_reader_free(&r);
	return got < 0 ? got : 0;
}

static void head_line(FILE *out, const char *key, const char *value)
{
	char safe[1200];
	fprintf(out, "%-12s %s\n", key, cmd_safe(safe, sizeof(safe), value));
}

static void print_head(const struct cmd *c, const struct session *s, const struct place *where)
{
	char id[SESSION_ID_TEXT], t[CMD_TIME_TEXT], age[CMD_SIZE_TEXT], peer[SESSION_ENDPOINT], local[SESSION_ENDPOINT],
	    size[CMD_SIZE_TEXT], name[24], text[600];
	FILE *out = c->out;
	head_line(out, "Session", session_id_text(id, s->id));
	snprintf(text, sizeof(text), "%s%s%s", where->net, *where->net ? "/" : "", s->honeypot);
	head_line(out, "Honeypot", text);
	head_line(out, "From", session_peer(peer, s));
	head_line(out, "To", session_local(local, s));
	head_line(out, "Service", s->known ? session_service(s->who.service) : "?");
	head_line(out, "User", *s->user ? s->user : "?");
	head_line(out, "Start", cmd_time_text(t, s->start, 6));
	head_line(out, "End", s->end ? cmd_time_text(t, s->end, 6) : "not seen yet");
	head_line(out, "Duration", cmd_age_text(age, (session_until(s) - s->start) / EV_SEC));
	if (s->known && s->who.parent)
		head_line(out, "Within", session_id_text(id, s->who.parent));
	if (s->flow_id)
		snprintf(text, sizeof(text), "%llu, community id %s", (unsigned long long)s->flow_id, s->community_id);
	else
		snprintf(text, sizeof(text), "none recorded (it is written when the conversation ends)");
	head_line(out, "Flow", text);
	for (unsigned i = 0; i < s->nttys; i++) {
		const struct session_tty *y = &s->ttys[i];
		char in[CMD_SIZE_TEXT];
		snprintf(text, sizeof(text), "%s, %ux%u, %s typed, %s shown", session_tty_name(name, y->tty),
			 y->last_cols, y->last_rows, cmd_size_text(in, y->in), cmd_size_text(size, y->out));
		head_line(out, "Terminal", text);
	}
	if (s->lost)
		snprintf(text, sizeof(text), "%llu records of this honeypot, while it lived",
			 (unsigned long long)s->lost);
	head_line(out, "Lost", s->lost ? text : "nothing");
	if (s->tampered)
		head_line(out, "Tampered", "the guest attacked the hooks in this session");
	if (s->ntried)
		fprintf(out, "\nLOGINS\n");
	for (unsigned i = 0; i < s->nlogins; i++) {
		const struct session_login *l = &s->logins[i];
		char user[300], password[600];
		fprintf(out, "  %s  %s  %s  %s  %s\n", cmd_time_text(t, l->time, 3), session_outcome(l->outcome),
			session_auth(l->how), cmd_safe(user, sizeof(user), l->user),
			cmd_safe(password, sizeof(password), l->password));
	}
	if (s->ntried > s->nlogins)
		fprintf(out, "  ... and %llu more\n", (unsigned long long)(s->ntried - s->nlogins));
}

static int show(struct cmd *c, const struct session *s, const struct place *where)
{
	static const unsigned kinds[] = { INTRO_COMMAND, INTRO_EXEC, INTRO_FILE, INTRO_SOCKET, INTRO_FORK };
	struct show w = { .c = c, .s = s, .most = cmd_flag(c, "all") ? UINT64_MAX - 1 : 200 };
	struct err e = { 0 };
	bool json = cmd_flag(c, "json");
	int status = CMD_OK;
	if (json) {
		w.commands = json_array();
		w.execs = json_array();
		w.files = json_array();
		w.sockets = json_array();
	} else {
		print_head(c, s, where);
	}
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == CMD_OK; i++)
		/* A process of the session may be older than it: sshd's. */
		if (pass(&w, where, kinds[i], kinds[i] == INTRO_FORK ? 0 : s->first, &e) < 0)
			status = cmd_fail_err(c, &e, NULL);
	if (status == CMD_OK && w.procs.oom)
		status = cmd_fail(c, "out of memory");
	if (status == CMD_OK && json) {
		json_t *o = session_json(s, where);
		json_object_set(o, "typed", w.commands);
		json_object_set(o, "executed", w.execs);
		json_object_set(o, "touched", w.files);
		json_object_set(o, "connections", w.sockets);
		json_object_set_new(o, "processes", proc_table_json(&w.procs, s->id, false));
		status = cmd_json(c, o);
	} else if (status == CMD_OK) {
		fprintf(c->out, "\nPROCESSES\n");
		proc_table_print(&w.procs, c->out, s->id, false);
	}
	/* A reader of a pipe that has seen enough is no trouble worth a message. */
	if (status == CMD_OK && ferror(c->out))
		status = CMD_FAILED;
	json_decref(w.commands);
	json_decref(w.execs);
	json_decref(w.files);
	json_decref(w.sockets);
	proc_table_free(&w.procs);
	exec_join_free(&w.join);
	return status;
}

int cmd_session(struct cmd *c)
{
	struct loaded l;
	struct session *s = NULL;
	struct place *where = NULL;
	int status = loaded_one(c, NULL, c->args[0], &l, &s, &where);
	if (status != CMD_OK)
		return status;
	status = show(c, s, where);
	loaded_free(&l);
	return status;
}

/* ---- skep tree -------------------------------------------------------------- */

static bool on_tree(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct proc_table *t = arg;
	(void)in;
	proc_table_add(t, r);
	return !t->oom;
}

static int tree(struct cmd *c, const struct place *p, uint64_t session, json_t *all)
{
	struct proc_table t = { 0 };
	struct skt_reader r;
	struct err e = { 0 };
	int status = CMD_OK;
	skt_reader_init(&r, p->dir, p->honeypot, on_tree, &t);
	if (skt_read(&r, &e) < 0)
		status = cmd_fail_err(c, &e, NULL);
	else if (t.oom)
		status = cmd_fail(c, "out of memory");
	skt_reader_remarks(&r, c);
	if (status == CMD_OK && all) {
		json_t *o = json_object();
		json_object_set_new(o, "honeynet", cmd_string(p->net));
		json_object_set_new(o, "honeypot", cmd_string(p->honeypot));
		json_object_set_new(o, "processes", proc_table_json(&t, session, cmd_flag(c, "all")));
		json_array_append_new(all, o);
	} else if (status == CMD_OK) {
		fprintf(c->out, "%s%s%s\n", p->net, *p->net ? "/" : "", p->honeypot);
		proc_table_print(&t, c->out, session, cmd_flag(c, "all"));
	}
	proc_table_free(&t);
	skt_reader_free(&r);
	return status;
}

int cmd_tree(struct cmd *c)
{
	const char *spec = c->nargs ? c->args[0] : NULL, *id = cmd_str(c, "session");
	json_t *all = cmd_flag(c, "json") ? json_array() : NULL;
	int status;
	if (id) {
		struct loaded l;
		struct session *s = NULL;
		struct place *where = NULL;
		status = loaded_one(c, spec, id, &l, &s, &where);
		if (status == CMD_OK) {
			status = tree(c, where, s->id, all);
			loaded_free(&l);
		}
	} else {
		struct places *p;
		status = places_open(c, spec, &p);
		if (status != CMD_OK) {
			json_decref(all);
			return status;
		}
		for (unsigned i = 0; i < p->n && status == CMD_OK; i++)
			status = tree(c, &p->p[i], 0, all);
		if (!p->n)
			cmd_note(c, "no sessions are recorded");
		places_close(p);
	}
	if (all && status == CMD_OK)
		return cmd_json(c, all);
	json_decref(all);
	return status == CMD_OK && ferror(c->out) ? CMD_FAILED : status;
}
