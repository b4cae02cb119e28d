/* SPDX-License-Identifier: ISC */
#include "cli/proc_table.h"
#include "cli/session_json.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_SHOWN = 30 };

static bool belongs(const struct proc *p, uint64_t session, bool all)
{
	return session ? p->session == session : all || p->session;
}

/* A fork that did nothing by itself: a shell's helper. */
static bool dull(const struct proc *p)
{
	return !p->execed && !p->notes && p->child < 0;
}

/* The next process in depth-first order; *depth changes with it. No recursion: an
 * intruder decides how deep the tree is. */
static int next_of(const struct proc_table *t, int i, int root, unsigned *depth)
{
	if (t->p[i].child >= 0) {
		(*depth)++;
		return t->p[i].child;
	}
	while (i != root) {
		if (t->p[i].sibling >= 0)
			return t->p[i].sibling;
		i = t->p[i].parent;
		(*depth)--;
	}
	return -1;
}

/* Has no parent that is shown. */
static bool is_root(const struct proc_table *t, int i, uint64_t session, bool all)
{
	const struct proc *p = &t->p[i];
	return belongs(p, session, all) && (p->parent < 0 || !belongs(&t->p[p->parent], session, all));
}

static void ended(FILE *out, const struct proc *p)
{
	if (!p->end)
		return;
	if (p->code & 0x7f)
		fprintf(out, "  [killed by signal %u]", p->code & 0x7f);
	else if (p->code >> 8)
		fprintf(out, "  [exit %u]", p->code >> 8 & 255);
}

static void print_one(const struct proc *p, FILE *out, unsigned depth)
{
	char t[CMD_TIME_TEXT], id[SESSION_ID_TEXT];
	int indent = 2 * (int)(depth < DEPTH_SHOWN ? depth : DEPTH_SHOWN);
	fprintf(out, "%s  %*s%u", cmd_time_text(t, p->start, 3), indent, "", p->pid);
	if (p->uid)
		fprintf(out, " (uid %u)", p->uid);
	fprintf(out, " %s%s", p->argv ? p->argv : "?", p->execed ? "" : "  (fork)");
	if (!depth && p->session)
		fprintf(out, "  {%s}", session_id_text(id, p->session));
	ended(out, p);
	fputc('\n', out);
	for (const struct proc_note *n = p->notes; n; n = n->next)
		fprintf(out, "%s  %*s  %s %s\n", cmd_time_text(t, n->time, 3), indent, "",
			n->kind == INTRO_COMMAND ? ">" : "-", n->text);
}

void proc_table_print(const struct proc_table *t, FILE *out, uint64_t session, bool all)
{
	for (unsigned root = 0; root < t->n; root++) {
		if (!is_root(t, (int)root, session, all))
			continue;
		unsigned depth = 0;
		for (int i = (int)root; i >= 0; i = next_of(t, i, (int)root, &depth))
			if (belongs(&t->p[i], session, all) && ((i == (int)root) || !dull(&t->p[i])))
				print_one(&t->p[i], out, depth);
	}
}

static json_t *one_json(const struct proc *p)
{
	char id[SESSION_ID_TEXT], tty[24];
	json_t *o = json_object(), *notes = json_array();
	json_object_set_new(o, "pid", json_integer(p->pid));
	json_object_set_new(o, "uid", json_integer(p->uid));
	json_object_set_new(o, "start", session_json_time(p->start));
	json_object_set_new(o, "end", session_json_time(p->end));
	if (p->end)
		json_object_set_new(o, "status", json_integer(p->code));
	json_object_set_new(o, "session", p->session ? cmd_string(session_id_text(id, p->session)) : json_null());
	json_object_set_new(o, "tty", p->tty ? cmd_string(session_tty_name(tty, p->tty)) : json_null());
	json_object_set_new(o, "argv", cmd_string(p->argv ? p->argv : ""));
	json_object_set_new(o, "executed", json_boolean(p->execed));
	for (const struct proc_note *n = p->notes; n; n = n->next) {
		static const char *const kinds[INTRO_KIND_COUNT] = {
			[INTRO_COMMAND] = "command", [INTRO_SOCKET] = "socket", [INTRO_FILE] = "file",
			[INTRO_MODULE] = "module",   [INTRO_CRED] = "cred",     [INTRO_EXEC] = "exec",
			[INTRO_TAMPER] = "tamper",
		};
		json_t *x = json_object();
		json_object_set_new(x, "time", session_json_time(n->time));
		json_object_set_new(x, "kind", cmd_string(kinds[n->kind] ? kinds[n->kind] : "?"));
		json_object_set_new(x, "text", cmd_string(n->text));
		json_array_append_new(notes, x);
	}
	json_object_set_new(o, "did", notes);
	return o;
}

json_t *proc_table_json(const struct proc_table *t, uint64_t session, bool all)
{
	json_t *list = json_array();
	/* Flat, with the parent's place in the list: JSON readers limit how deep. */
	int *place = calloc(t->n + 1, sizeof(*place));
	for (unsigned i = 0; place && i < t->n; i++) {
		const struct proc *p = &t->p[i];
		place[i] = -1;
		if (!belongs(p, session, all) || dull(p))
			continue;
		json_t *o = one_json(p);
		int parent = p->parent >= 0 ? place[p->parent] : -1;
		json_object_set_new(o, "parent", parent >= 0 ? json_integer(parent) : json_null());
		place[i] = (int)json_array_size(list);
		json_array_append_new(list, o);
	}
	free(place);
	return list;
}
