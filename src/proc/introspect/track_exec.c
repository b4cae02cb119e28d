/* SPDX-License-Identifier: ISC */
#include "proc/introspect/track.h"

#include <stdio.h>
#include <string.h>

/* ---- programs ----------------------------------------------------------------- */

/* The n-th argument of a block; false if it is not there whole. */
static bool argument(struct slice args, unsigned n, struct fact_text *out)
{
	for (;; n--) {
		const uint8_t *end = args.n ? memchr(args.p, 0, args.n) : NULL;
		if (!end)
			return false;
		size_t k = (size_t)(end - args.p);
		if (!n) {
			*out = (struct fact_text){ (const char *)args.p, (uint32_t)k };
			return true;
		}
		slice_skip(&args, k + 1);
	}
}

/* "/memfd:x (deleted)", "/tmp/x (deleted)" */
static bool nameless(const struct fact_text *path)
{
	static const char end[] = " (deleted)";
	size_t n = sizeof(end) - 1;
	return path->n > n && !memcmp(path->s + path->n - n, end, n);
}

static void tell_exec(struct track *t, const struct exec_job *j, uint64_t session)
{
	uint16_t flags = 0;
	struct slice args = { NULL, 0 };
	emit_begin(&t->emit, INTRO_EXEC, t->f, session);
	emit_u32(&t->emit, (uint32_t)t->f->ret);
	emit_u32(&t->emit, j ? j->argc : 0);
	if (j) {
		/* What has no name any more, only the kernel can name. */
		const struct fact_text *real = &t->f->exec.path;
		const char *path = (const char *)j->buf;
		if (nameless(real))
			emit_text(&t->emit, real->s, real->n);
		else
			emit_put(&t->emit, path, j->cwd);
		emit_put(&t->emit, j->buf + j->cwd, j->args - j->cwd);
		args = slice_of(j->buf + j->args, j->n - j->args);
		flags = (j->flags & HOOK_F_CUT ? INTRO_F_CUT : 0) | (j->flags & HOOK_F_FAULT ? INTRO_F_FAULT : 0);
	} else {
		emit_put(&t->emit, "\0", 2);
		flags = INTRO_F_CUT;
	}
	for (uint16_t cont = 0;; cont = INTRO_F_CONT) {
		struct slice part;
		if (cont)
			emit_begin(&t->emit, INTRO_EXEC, t->f, session);
		size_t k = args.n < emit_room(&t->emit) ? args.n : emit_room(&t->emit);
		if (!slice_take(&args, k, &part))
			return;
		emit_put(&t->emit, part.p, part.n);
		emit_end(&t->emit, (uint16_t)(flags | cont | (args.n ? INTRO_F_MORE : 0)));
		if (!args.n)
			return;
	}
}

/* The command of an ssh exec request: sshd runs SHELL -c COMMAND. */
static void tell_request(struct track *t, struct session *s, struct slice args)
{
	static const char motd[] = "/usr/bin/env -i PATH="; /* pam_motd, not the client */
	struct fact_text flag, text;
	if (!argument(args, 1, &flag) || strcmp(flag.s, "-c") || !argument(args, 2, &text) ||
	    !strncmp(text.s, motd, sizeof(motd) - 1))
		return;
	s->commands++;
	emit_begin(&t->emit, INTRO_COMMAND, t->f, s->id);
	emit_head(&t->emit)->tty = 0;
	emit_text(&t->emit, text.s, text.n);
	emit_end(&t->emit, 0);
}

static bool asks_who(const char *program)
{
	static const char *const names[] = { "login", "getty", "agetty", "telnetd", "in.telnetd" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(program, names[i]))
			return true;
	return false;
}

/* A login that asked on this terminal was let in: it runs something now. */
static void let_in(struct track *t, struct session *s)
{
	if (s->ssh.active)
		attempt_end(&t->sessions, s, &s->ssh, t->f, INTRO_SUCCEEDED);
	if (s->tty.active && s->tty.tty == t->f->tty)
		attempt_end(&t->sessions, s, &s->tty, t->f, INTRO_SUCCEEDED);
}

/* su USER: whose password comes next. */
static void note_target(struct track *t, const char *program, struct slice args)
{
	struct tty *x = ttys_find(&t->ttys, t->f->tty);
	struct fact_text a;
	if (!x)
		return;
	x->target[0] = 0;
	if (strcmp(program, "su") != 0)
		return;
	snprintf(x->target, sizeof(x->target), "root");
	for (unsigned i = 1; i < 16 && argument(args, i, &a); i++)
		if (a.s[0] != '-') {
			snprintf(x->target, sizeof(x->target), "%s", a.s);
			return;
		}
}

/* Decides what session the new program belongs to, before it is told. */
static void place(struct track *t, struct proc *p, const char *path, struct slice args)
{
	struct conn *c = p->serving ? NULL : conns_get(&t->conns, p->accepted);
	if (c && !c->handed && !ref_set(c->session)) {
		/* It gives what it accepted to the new program: that is whom it serves. */
		conns_drop(&t->conns, &p->conn);
		p->conn = p->accepted;
		p->accepted = (struct ref){ 0, 0 };
		c->listener = p->tgid;
	}
	c = conns_get(&t->conns, p->conn);
	struct proc as = { .tgid = 0 };
	snprintf(as.exe, sizeof(as.exe), "%s", path);
	/* The service's own program, run anew, begins nothing. */
	if (c && !ref_set(c->session) && !track_own_program(&as, c))
		track_connection(t, p);
	uint32_t kind = HOOK_TTY_KIND(t->f->tty);
	struct fact_text name;
	/* What else runs on a console at boot is nobody's session. */
	bool login = !strcmp(path_base(path), "login") || (argument(args, 0, &name) && name.s[0] == '-');
	if (login && (kind == HOOK_TTY_SERIAL || kind == HOOK_TTY_CONSOLE) && !sessions_get(&t->sessions, p->session)) {
		struct tty *x = ttys_get(&t->ttys, t->f->tty, NULL, NULL);
		tty_bind(x, track_orphan(t, p, INTRO_SVC_CONSOLE));
	}
}

static void ran(struct track *t, struct proc *p, const char *path, struct slice args)
{
	struct conn *c;
	bool was_server = p->serving;
	snprintf(p->exe, sizeof(p->exe), "%s", path);
	c = conns_get(&t->conns, p->conn);
	bool own = c && track_own_program(p, c);
	struct session *s = track_session(t);
	if (!s)
		return;
	const char *base = path_base(path);
	s->execs++;
	if (!own || (c && p->tgid == c->taker && strcmp(c->exe, p->exe) != 0)) {
		if (!asks_who(base)) {
			char who[24];
			snprintf(who, sizeof(who), t->f->uid ? "uid %u" : "root", t->f->uid);
			if (!s->user[0])
				sessions_user(&t->sessions, s, t->f, who, strlen(who), false);
			let_in(t, s);
		}
		note_target(t, base, args);
	}
	if (was_server && !own && s->info.service == INTRO_SVC_SSH)
		tell_request(t, s, args);
	if (p->serving && !own) {
		p->serving = false;
		procs_touch(&t->procs, p);
		sessions_unserve(&t->sessions, p->session, t->f);
	}
}

void track_exec_done(struct track *t)
{
	struct proc *p = t->p;
	struct exec_job *j = execs_find(&t->execs, t->f->task);
	/* Both texts are there with their ends, unless there was no memory. */
	bool whole = j && j->cwd && j->cwd < j->args && j->args <= j->n && !j->buf[j->cwd - 1] && !j->buf[j->args - 1];
	bool worked = t->f->ret == 0;
	struct slice args = whole ? slice_of(j->buf + j->args, j->n - j->args) : (struct slice){ NULL, 0 };
	if (p && worked && whole)
		place(t, p, (const char *)j->buf, args);
	tell_exec(t, whole ? j : NULL, track_id(t, track_session_ref(t)));
	if (p && worked)
		ran(t, p, whole ? (const char *)j->buf : "?", args);
	if (p)
		p->exec = 0;
	if ((j = execs_find(&t->execs, t->f->task)))
		execs_free(&t->execs, j);
}
