/* SPDX-License-Identifier: ISC */
#include "proc/introspect/track.h"

#include <string.h>
#include <strings.h>

static bool is_pty(uint32_t id)
{
	return HOOK_TTY_KIND(id) == HOOK_TTY_PTY;
}

/* ---- lines ------------------------------------------------------------------ */

static void command(struct track *t, struct session *s, const char *text, size_t n, unsigned flags)
{
	s->commands++;
	emit_begin(&t->emit, INTRO_COMMAND, t->f, s->id);
	emit_head(&t->emit)->tty = t->tty_id;
	emit_text(&t->emit, text, n);
	emit_end(&t->emit,
		 (uint16_t)((flags & LINE_F_EDITED ? INTRO_F_EDITED : 0) |
			    (flags & LINE_F_NOECHO ? INTRO_F_NOECHO : 0) | (flags & LINE_F_CUT ? INTRO_F_CUT : 0)));
}

/* "[sudo] password for bob: ", "bob@host's password: " */
static struct fact_text user_of_prompt(const char *prompt)
{
	const char *p = strstr(prompt, " for "), *q;
	if (p && (q = strrchr(prompt, ':')) && q > p + 5)
		return (struct fact_text){ p + 5, (uint32_t)(q - p - 5) };
	q = strstr(prompt, "'s password");
	if (q) {
		for (p = q; p > prompt && p[-1] != ' ' && p[-1] != '('; p--)
			;
		return (struct fact_text){ p, (uint32_t)(q - p) };
	}
	return (struct fact_text){ "", 0 };
}

static void secret(struct track *t, struct session *s, const char *text, size_t n, const char *prompt)
{
	struct fact_text user = user_of_prompt(prompt);
	struct tty *x = t->tty;
	if (!user.n && x->target[0])
		user = (struct fact_text){ x->target, (uint32_t)strlen(x->target) };
	if (!user.n && x->name[0])
		user = (struct fact_text){ x->name, (uint32_t)strlen(x->name) };
	if (!user.n && s->user_sure)
		user = (struct fact_text){ s->user, (uint32_t)strlen(s->user) };
	attempt_set(&t->sessions, s, &s->tty, t->f, INTRO_AUTH_TTY, user, (struct fact_text){ text, (uint32_t)n });
	s->tty.tty = t->tty_id;
}

static bool says_no(const char *line)
{
	static const char *const words[] = { "incorrect", "failure", "denied", "sorry, try again", "wrong password" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(line, words[i]))
			return true;
	return false;
}

static void on_line(void *arg, enum line_what what, const char *text, size_t n, const char *prompt, unsigned flags)
{
	struct track *t = arg;
	struct session *s = sessions_get(&t->sessions, t->tty->session);
	if (!s)
		return;
	bool mine = s->tty.active && s->tty.tty == t->tty_id;
	switch (what) {
	case LINE_SHOWN:
		if (mine && says_no(text))
			attempt_end(&t->sessions, s, &s->tty, t->f, INTRO_FAILED);
		break;
	case LINE_NAME:
		if (n >= sizeof(t->tty->name))
			n = sizeof(t->tty->name) - 1;
		memcpy(t->tty->name, text, n);
		t->tty->name[n] = 0;
		break;
	case LINE_SECRET:
		secret(t, s, text, n, prompt);
		break;
	case LINE_COMMAND:
		if (mine)
			attempt_end(&t->sessions, s, &s->tty, t->f, INTRO_UNKNOWN);
		command(t, s, text, n, flags);
		break;
	}
}

static void flush(struct track *t, uint32_t id, struct tty *x)
{
	struct tty *tty = t->tty;
	uint32_t tty_id = t->tty_id;
	t->tty = x;
	t->tty_id = id;
	line_flush(&x->line, on_line, t);
	t->tty = tty;
	t->tty_id = tty_id;
}

void track_tty_flush(void *track, struct ref session)
{
	struct track *t = track;
	for (unsigned i = 0; i < TTYS_MAX; i++)
		if (t->ttys.id[i] && ref_same(t->ttys.at[i].session, session))
			flush(t, t->ttys.id[i], &t->ttys.at[i]);
}

static void on_tty_evicted(void *arg, uint32_t id, struct tty *x)
{
	flush(arg, id, x);
}

static void bind(struct track *t, struct tty *x, uint32_t id, struct ref session)
{
	if (ref_same(x->session, session))
		return;
#ifdef MUTANT_TTY_KEEPS_SESSION
	if (sessions_get(&t->sessions, x->session))
		return;
#endif
	flush(t, id, x);
	tty_bind(x, session);
}

/* ---- whose is it? ----------------------------------------------------------- */

static void pty_in(struct track *t, struct tty *x, uint32_t id)
{
	struct proc *p = t->p;
	struct ref mine = track_session_ref(t);
	if (p && ref_set(p->conn)) {
		struct ref c = track_connection(t, p);
		if (ref_set(c))
			mine = c;
	}
	if (!ref_set(mine) && sessions_get(&t->sessions, x->session))
		return;
	if (!ref_set(mine) && p)
		mine = track_connection(t, p);
	if (!ref_set(mine))
		mine = track_orphan(t, p, p && !strncmp(p->comm, "sshd", 4) ? INTRO_SVC_SSH : INTRO_SVC_OTHER);
	bind(t, x, id, mine);
}

static void pty_out(struct track *t, struct tty *x, uint32_t id)
{
	struct ref mine = track_session_ref(t);
	bool bound = sessions_get(&t->sessions, x->session) != NULL;
	if (!t->p || t->p->tty != id)
		return; /* a worker that echoes, or somebody who writes to another's terminal */
	if (ref_set(mine))
		bind(t, x, id, mine);
	else if (!bound)
		bind(t, x, id, track_orphan(t, t->p, INTRO_SVC_OTHER));
}

/* Whoever runs when a key of a serial line arrives has nothing to do with it. */
static void console_in(struct track *t, struct tty *x, uint32_t id)
{
	if (!sessions_get(&t->sessions, x->session))
		bind(t, x, id, track_orphan(t, NULL, INTRO_SVC_CONSOLE));
}

void track_tty(struct track *t)
{
	const struct fact *f = t->f;
	uint32_t id = f->term.tty;
	bool in = f->term.dir == 0;
	struct tty *x = ttys_get(&t->ttys, id, on_tty_evicted, t);
	if (is_pty(id) && in)
		pty_in(t, x, id);
	else if (is_pty(id))
		pty_out(t, x, id);
	else if (in)
		console_in(t, x, id);
	struct session *s = sessions_get(&t->sessions, x->session);
	if (!s && is_pty(id))
		s = track_session(t); /* of whoever writes there */
	emit_begin(&t->emit, INTRO_TTY, f, s ? s->id : 0);
	emit_head(&t->emit)->tty = id;
	emit_u32(&t->emit, f->term.dir);
	emit_put(&t->emit, f->term.data.p, f->term.data.n);
	emit_end(&t->emit, f->flags & HOOK_F_CUT ? INTRO_F_CUT : 0);
	if (s) {
		s->last = f->time;
		*(in ? &s->in_bytes : &s->out_bytes) += f->term.data.n;
	}
	t->tty = x;
	t->tty_id = id;
	if (in)
		line_input(&x->line, f->term.data.p, f->term.data.n, on_line, t);
	else
		line_output(&x->line, f->term.data.p, f->term.data.n, on_line, t);
}

void track_winsize(struct track *t)
{
	const struct hook_winsize *w = &t->f->winsize;
	struct tty *x = ttys_get(&t->ttys, w->tty, on_tty_evicted, t);
	struct ref mine = track_session_ref(t);
	if (t->p && ref_set(t->p->conn)) {
		struct ref c = track_connection(t, t->p);
		if (ref_set(c))
			mine = c;
	}
	/* Who holds the master side resizes: so the binding is known before the first byte. But
	 * a program may resize its own terminal (stty) through the slave. */
	if (ref_set(mine) && (!sessions_get(&t->sessions, x->session) || (t->p && t->p->tty != w->tty)))
		bind(t, x, w->tty, mine);
	x->rows = w->rows;
	x->cols = w->cols;
	line_cols(&x->line, w->cols);
	emit_begin(&t->emit, INTRO_WINSIZE, t->f, track_id(t, x->session));
	emit_head(&t->emit)->tty = w->tty;
	emit_put(&t->emit, &w->rows, sizeof(w->rows));
	emit_put(&t->emit, &w->cols, sizeof(w->cols));
	emit_end(&t->emit, 0);
}
