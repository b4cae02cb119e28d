/* SPDX-License-Identifier: ISC */
/*
 * skep watch: over the intruder's shoulder.
 *
 * What was recorded so far is read once, to know which sessions there are; then the
 * files are followed. One terminal is shown as it is drawn if it is the only one
 * that is in use (or was asked for) and the output is a terminal; else the lines of
 * all are printed, each with whose it is. Nothing of the guest reaches the
 * operator's terminal unfiltered, unless --raw says so.
 */
#include "base/ev.h"
#include "base/text.h"
#include "cli/cast.h"
#include "cli/flat.h"
#include "cli/session_where.h"
#include "cli/term.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100, RESCAN = 10, STREAMS = 256, TAIL = 16 << 10 };

static volatile sig_atomic_t told_to_end;

static void on_signal(int sig)
{
	(void)sig;
	told_to_end = 1;
}

struct watch;
struct source {
	struct watch *w;
	struct place where;
	struct skt_reader in;
	struct session_table table;
};

/* The lines of one terminal. */
struct stream {
	struct watch *w;
	uint64_t session, time, used;
	uint32_t tty;
	char honeypot[NAME_CAP];
	struct flat flat;
};

struct watch {
	struct cmd *c;
	struct places *places;
	struct source *sources[PLACES_MAX];
	unsigned n;
	bool live, auto_focus;
	uint64_t only;  /* --session; 0 = all */
	uint64_t focus; /* the one that is drawn; 0 = lines */
	uint32_t focus_tty;
	enum term_mode mode;
	struct term term;
	struct stream *streams[STREAMS];
	uint64_t uses, skip, until;
	bool ended;
};

/* ---- lines ------------------------------------------------------------------ */

static void print_line(struct watch *w, uint64_t time, const char *honeypot, uint64_t session, uint32_t tty,
		       const char *mark, const char *text, size_t n)
{
	char t[CMD_TIME_TEXT], id[SESSION_ID_TEXT], name[24];
	fprintf(w->c->out, "%s %s %s %s %s ", cmd_time_text(t, time, 3) + 11, honeypot, session_id_text(id, session),
		tty ? session_tty_name(name, tty) : "-", mark);
	fwrite(text, 1, n, w->c->out);
	fputc('\n', w->c->out);
}

static void on_line(void *arg, const char *text, size_t n)
{
	struct stream *s = arg;
	print_line(s->w, s->time, s->honeypot, s->session, s->tty, "|", text, n);
}

static void drop_stream(struct watch *w, unsigned i)
{
	flat_flush(&w->streams[i]->flat);
	flat_free(&w->streams[i]->flat);
	free(w->streams[i]);
	w->streams[i] = NULL;
}

static struct stream *stream(struct watch *w, const struct session *s, uint32_t tty)
{
	unsigned oldest = 0;
	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *x = w->streams[i];
		if (x && x->session == s->id && x->tty == tty)
			return x;
		if (!x || (w->streams[oldest] && x->used < w->streams[oldest]->used))
			oldest = i;
	}
	if (w->streams[oldest])
		drop_stream(w, oldest);
	struct stream *x = calloc(1, sizeof(*x));
	const struct session_tty *y = session_tty((struct session *)s, tty);
	if (!x || !flat_init(&x->flat, on_line, x, false, y ? y->last_cols : 80)) {
		free(x);
		return NULL;
	}
	x->w = w;
	x->session = s->id;
	x->tty = tty;
	memcpy(x->honeypot, s->honeypot, NAME_CAP);
	w->streams[oldest] = x;
	return x;
}

/* ---- one terminal ----------------------------------------------------------- */

static void draw(struct watch *w, struct slice s)
{
	struct slice part = { 0 };
	while (s.n) {
		uint8_t out[TERM_OUT(1024)];
		slice_take(&s, s.n < 1024 ? s.n : 1024, &part);
		size_t n = term_filter(&w->term, part.p, part.n, out);
		fwrite(out, 1, n, w->c->out);
	}
}

static bool on_tail(void *arg, const struct play_event *ev)
{
	struct watch *w = arg;
	struct slice s = ev->bytes;
	if (ev->what != PLAY_OUTPUT || ev->time > w->until)
		return true;
	uint64_t skip = w->skip < s.n ? w->skip : s.n;
	w->skip -= skip;
	slice_skip(&s, skip);
	draw(w, s);
	return true;
}

static void end_focus(struct watch *w)
{
	uint8_t rest[TERM_OUT(0)];
	if (!w->focus)
		return;
	fwrite(rest, 1, term_end(&w->term, rest), w->c->out);
	if (isatty(fileno(w->c->out)) && w->mode != TERM_PLAIN)
		fputs(term_reset, w->c->out);
	fputc('\n', w->c->out);
	fflush(w->c->out);
	w->focus = 0;
}

/* Shows what its screen got last, then what comes. */
static void begin_focus(struct watch *w, const struct source *src, const struct session *s)
{
	char id[SESSION_ID_TEXT], peer[SESSION_ENDPOINT];
	const struct session_tty *t = session_main_tty(s);
	end_focus(w);
	cmd_note(w->c, "-- %s: session %s from %s; Ctrl-C ends", s->honeypot, session_id_text(id, s->id),
		 session_peer(peer, s));
	w->focus = s->id;
	w->focus_tty = t ? t->tty : 0;
	w->term = (struct term){ .mode = w->mode };
	if (!t)
		return;
	w->skip = t->out > TAIL ? t->out - TAIL : 0;
	w->until = s->last;
	play_session(NULL, src->where.dir, s, t->tty, on_tail, w, NULL);
	fflush(w->c->out);
}

/* ---- records ---------------------------------------------------------------- */

static void say(struct watch *w, const struct session *s, uint64_t time, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct watch *w, const struct session *s, uint64_t time, const char *fmt, ...)
{
	char raw[1200], safe[4900];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	size_t n = text_safe(safe, sizeof(safe), raw, strlen(raw), false);
	if (!w->focus)
		print_line(w, time, s->honeypot, s->id, 0, "*", safe, n);
}

static void on_event(struct watch *w, struct session *s, const struct skt_rec *r, bool fresh)
{
	struct slice a, b;
	uint32_t outcome, how;
	char peer[SESSION_ENDPOINT], text[4000];
	if (fresh)
		say(w, s, r->h.time, "begins, %s from %s", s->known ? session_service(s->who.service) : "?",
		    session_peer(peer, s));
	if (skt_login(r, &outcome, &how, &a, &b))
		say(w, s, r->h.time, "login %s by %s: %.*s / %.*s", session_outcome(outcome), session_auth(how),
		    (int)a.n, a.n ? (const char *)a.p : "", (int)b.n, b.n ? (const char *)b.p : "");
	if (r->h.kind == INTRO_COMMAND && (!r->h.tty || (r->h.flags & INTRO_F_NOECHO)) && skt_text_of(r, &a)) {
		size_t n = text_safe(text, sizeof(text), a.p, a.n, false);
		if (!w->focus)
			print_line(w, r->h.time, s->honeypot, s->id, r->h.tty, r->h.tty ? "(not echoed) $" : "$", text,
				   n);
	}
	if (r->h.kind == INTRO_TAMPER)
		say(w, s, r->h.time, "attacks the hooks");
	if (r->h.kind == INTRO_END) {
		for (unsigned i = 0; i < STREAMS; i++)
			if (w->streams[i] && w->streams[i]->session == s->id)
				drop_stream(w, i);
		say(w, s, r->h.time, "ends");
		if (w->only == s->id)
			w->ended = true;
	}
}

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct source *src = arg;
	struct watch *w = src->w;
	unsigned before = src->table.n;
	struct session *s = session_add(&src->table, in->honeypot, r);
	struct slice bytes;
	uint32_t dir;
	uint16_t rows, cols;
	if (!w->live || !s || (w->only && s->id != w->only))
		return true;
	on_event(w, s, r, src->table.n != before);
	if (skt_winsize(r, &rows, &cols) && !w->focus) {
		struct stream *x = stream(w, s, r->h.tty);
		if (x)
			x->flat.cols = cols >= 2 && cols <= 1000 ? cols : 0;
	}
	if (!skt_tty(r, &dir, &bytes) || !dir)
		return !ferror(w->c->out);
	if (w->focus == s->id) {
		if (!w->focus_tty)
			w->focus_tty = r->h.tty;
		if (w->focus_tty == r->h.tty)
			draw(w, bytes);
		return !ferror(w->c->out);
	}
	struct stream *x = w->focus ? NULL : stream(w, s, r->h.tty);
	if (x) {
		x->time = r->h.time;
		x->used = ++w->uses;
		flat_feed(&x->flat, bytes.p, bytes.n);
	}
	return !ferror(w->c->out);
}

/* ---- the loop --------------------------------------------------------------- */

static void add_sources(struct watch *w)
{
	for (unsigned i = 0; i < w->places->n && w->n < PLACES_MAX; i++) {
		const struct place *p = &w->places->p[i];
		unsigned k = 0;
		while (k < w->n &&
		       (w->sources[k]->where.dir != p->dir || strcmp(w->sources[k]->where.honeypot, p->honeypot) != 0))
			k++;
		if (k < w->n)
			continue;
		struct source *s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->w = w;
		s->where = *p;
		skt_reader_init(&s->in, p->dir, p->honeypot, on_record, s);
		w->sources[w->n++] = s;
	}
}

static int read_all(struct watch *w)
{
	struct err e = { 0 };
	for (unsigned i = 0; i < w->n; i++)
		if (skt_read(&w->sources[i]->in, &e) < 0)
			return cmd_fail_err(w->c, &e, NULL);
	fflush(w->c->out);
	return ferror(w->c->out) ? CMD_FAILED : CMD_OK;
}

/* The only session with a terminal that goes on, if there is just one. */
static void refocus(struct watch *w)
{
	const struct source *src = NULL;
	const struct session *s = NULL;
	unsigned active = 0;
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < w->sources[i]->table.n; k++) {
			const struct session *x = &w->sources[i]->table.s[k];
			/* A login prompt on a serial console, where nobody types, is none. */
			if (x->over || !session_main_tty(x) || (x->who.service == INTRO_SVC_CONSOLE && !x->in))
				continue;
			active++;
			src = w->sources[i];
			s = x;
		}
	if (active == 1 && w->focus != s->id) {
		begin_focus(w, src, s);
	} else if (active != 1 && w->focus) {
		end_focus(w);
		if (active)
			cmd_note(w->c, "-- %u sessions at once: their lines", active);
		else
			cmd_note(w->c, "-- no session goes on; waiting");
	}
}

static int find_only(struct watch *w, const char *id)
{
	uint64_t want, mask;
	if (!session_id_parse(id, &want, &mask))
		return cmd_usage(w->c, "--session: \"%s\" is no session: 4 to 12 hex digits", id);
	for (unsigned i = 0; i < w->n; i++)
		for (unsigned k = 0; k < w->sources[i]->table.n; k++) {
			const struct session *s = &w->sources[i]->table.s[k];
			if ((s->id & mask) != want)
				continue;
			if (s->over)
				return cmd_fail(w->c, "session %s is over: see skep replay", id);
			w->only = s->id;
			if (!cmd_flag(w->c, "lines"))
				begin_focus(w, w->sources[i], s);
			return CMD_OK;
		}
	return cmd_fail(w->c, "no session %s is recorded; skep sessions lists them", id);
}

static int watch(struct watch *w, const char *spec)
{
	const char *id = cmd_str(w->c, "session");
	add_sources(w);
	int status = read_all(w);
	w->live = true;
	if (status == CMD_OK && id)
		status = find_only(w, id);
	if (status == CMD_OK && !w->n)
		cmd_note(w->c, "nothing is recorded yet; waiting");
	for (unsigned turn = 1; status == CMD_OK && !told_to_end && !w->ended; turn++) {
		struct timespec t = { .tv_nsec = POLL_MS * 1000000 };
		if (w->auto_focus)
			refocus(w);
		nanosleep(&t, NULL);
		if (turn % RESCAN == 0) {
			places_rescan(w->c, w->places, spec);
			add_sources(w);
		}
		status = read_all(w);
	}
	end_focus(w);
	return status;
}

int cmd_watch(struct cmd *c)
{
	const char *spec = c->nargs ? c->args[0] : NULL;
	struct sigaction sa = { .sa_handler = on_signal }, old[2];
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return cmd_fail(c, "out of memory");
	bool screen = isatty(fileno(c->out));
	w->c = c;
	w->mode = cmd_flag(c, "raw") ? TERM_RAW : cmd_flag(c, "safe") || !screen ? TERM_PLAIN : TERM_LINES;
#ifdef MUTANT_WATCH_RAW_BY_DEFAULT
	w->mode = TERM_RAW;
#endif
	w->auto_focus = screen && !cmd_flag(c, "lines") && !cmd_str(c, "session");
	int status = places_open(c, spec, &w->places);
	if (status == CMD_OK) {
		told_to_end = 0;
		sigaction(SIGINT, &sa, &old[0]);
		sigaction(SIGTERM, &sa, &old[1]);
		status = watch(w, spec);
		sigaction(SIGINT, &old[0], NULL);
		sigaction(SIGTERM, &old[1], NULL);
	}
	for (unsigned i = 0; i < STREAMS; i++)
		if (w->streams[i])
			drop_stream(w, i);
	fflush(c->out);
	for (unsigned i = 0; i < w->n; i++) {
		skt_reader_remarks(&w->sources[i]->in, c);
		skt_reader_free(&w->sources[i]->in);
		session_table_free(&w->sources[i]->table);
		free(w->sources[i]);
	}
	places_close(w->places);
	free(w);
	return status;
}
