/* SPDX-License-Identifier: ISC */
#include "cli/cast.h"

#include "base/ev.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

/* ---- playing -------------------------------------------------------------- */

struct player {
	uint64_t id;
	uint32_t tty;
	play_fn fn;
	void *arg;
};

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct player *p = arg;
	struct play_event ev = { .time = r->h.time };
	uint32_t dir;
	(void)in;
	if (r->h.session != p->id)
		return true;
	if (r->h.tty != p->tty)
		return true;
	if (skt_tty(r, &dir, &ev.bytes))
		ev.what = dir ? PLAY_OUTPUT : PLAY_INPUT;
	else if (skt_winsize(r, &ev.rows, &ev.cols) && ev.rows && ev.cols)
		ev.what = PLAY_SIZE;
	else
		return true;
	return p->fn(p->arg, &ev);
}

int play_session(const struct cmd *c, const struct evidence_dir *dir, const struct session *s, uint32_t tty, play_fn fn,
		 void *arg, struct err *e)
{
	struct player p = { s->id, tty, fn, arg };
	struct skt_reader r;
	skt_reader_init(&r, dir, s->honeypot, on_record, &p);
	r.since = s->first;
	int got = skt_read(&r, e);
	if (c && got >= 0)
		skt_reader_remarks(&r, c);
	skt_reader_free(&r);
	return got;
}

/* ---- asciicast ------------------------------------------------------------ */

/* A JSON string. Everything but printable characters is escaped, so that a cast
 * that is shown with cat does nothing. */
static void put_text(FILE *out, const uint8_t *p, size_t n)
{
	fputc('"', out);
	while (n) {
		uint32_t cp;
		size_t len = text_utf8(p, n, &cp);
		if (!len)
			fputs("\\ufffd", out);
		else if (cp == '"' || cp == '\\')
			fprintf(out, "\\%c", (char)cp);
		else if (cp == '\n' || cp == '\r' || cp == '\t')
			fprintf(out, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
		else if (cp < 0x20 || cp == 0x7f || !text_harmless(cp, false))
			fprintf(out, "\\u%04x", cp);
		else
			fwrite(p, 1, len, out);
		p += len ? len : 1;
		n -= len ? len : 1;
	}
	fputc('"', out);
}

void cast_begin(struct cast *w, FILE *out, const struct session *s, uint32_t tty, uint64_t idle)
{
	char id[SESSION_ID_TEXT], name[24], peer[SESSION_ENDPOINT], title[300];
	const struct session_tty *t = session_tty((struct session *)s, tty);
	*w = (struct cast){ .out = out, .start = s->start, .rows = 24, .cols = 80 };
	if (t && t->rows) {
		w->rows = t->rows;
		w->cols = t->cols;
	}
	int n = snprintf(title, sizeof(title), "%s %s %s from %s as %s", s->honeypot, session_id_text(id, s->id),
			 session_tty_name(name, tty), session_peer(peer, s), *s->user ? s->user : "?");
	fprintf(out, "{\"version\": 2, \"width\": %u, \"height\": %u, \"timestamp\": %llu", w->cols, w->rows,
		(unsigned long long)(s->start / EV_SEC));
	if (idle)
		fprintf(out, ", \"idle_time_limit\": %llu", (unsigned long long)idle);
	fputs(", \"title\": ", out);
	put_text(out, (const uint8_t *)title, n < 0 ? 0 : strlen(title));
	fputs("}\n", out);
}

static void head(struct cast *w, uint64_t time, char kind)
{
	uint64_t us = time > w->start ? (time - w->start) / 1000 : 0;
	fprintf(w->out, "[%llu.%06llu, \"%c\", ", (unsigned long long)(us / 1000000),
		(unsigned long long)(us % 1000000), kind);
}

/* Bytes at the end of p[0..n) that may be the beginning of a character. */
static size_t unfinished(const uint8_t *p, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		uint8_t b = p[n - back];
		if ((b & 0xc0) == 0x80)
			continue;
		size_t want = b >= 0xf0 && b <= 0xf4 ? 4 : b >= 0xe0 ? 3 : b >= 0xc2 ? 2 : 1;
		return b < 0xf5 && want > back ? back : 0;
	}
	return 0;
}

static void text(struct cast *w, uint64_t time, unsigned dir, struct slice s)
{
	uint8_t small[16384 + 8], *buf = small;
	size_t n = w->held[dir].n + s.n;
	if (!s.n)
		return;
	if (n > sizeof(small) && !(buf = malloc(n)))
		return;
	memcpy(buf, w->held[dir].b, w->held[dir].n);
	memcpy(buf + w->held[dir].n, s.p, s.n);
	size_t rest = unfinished(buf, n);
	w->held[dir].n = (unsigned)rest;
	memcpy(w->held[dir].b, buf + n - rest, rest);
	if (n > rest) {
		head(w, time, dir ? 'o' : 'i');
		put_text(w->out, buf, n - rest);
		fputs("]\n", w->out);
	}
	if (buf != small)
		free(buf);
}

void cast_event(struct cast *w, const struct play_event *ev)
{
	w->last = ev->time;
	if (ev->what == PLAY_SIZE) {
		if (ev->rows == w->rows && ev->cols == w->cols)
			return;
		w->rows = ev->rows;
		w->cols = ev->cols;
		head(w, ev->time, 'r');
		fprintf(w->out, "\"%ux%u\"]\n", ev->cols, ev->rows);
		return;
	}
	text(w, ev->time, ev->what == PLAY_OUTPUT, ev->bytes);
}

int cast_end(struct cast *w)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		if (!w->held[dir].n)
			continue;
		head(w, w->last, dir ? 'o' : 'i');
		put_text(w->out, w->held[dir].b, w->held[dir].n);
		fputs("]\n", w->out);
		w->held[dir].n = 0;
	}
	return fflush(w->out) || ferror(w->out) ? -EIO : 0;
}

static bool on_event(void *arg, const struct play_event *ev)
{
	struct cast *w = arg;
	cast_event(w, ev);
	return !ferror(w->out);
}

int cast_write(const struct evidence_dir *dir, const struct session *s, uint32_t tty, uint64_t idle, FILE *out,
	       struct err *e)
{
	struct cast w;
	char id[SESSION_ID_TEXT];
	const struct session_tty *t = session_main_tty(s);
	if (!tty && !t)
		return err_set(e, -ENOENT, "session %s has no terminal: nothing to play", session_id_text(id, s->id));
	tty = tty ? tty : t->tty;
	cast_begin(&w, out, s, tty, idle);
	int got = play_session(NULL, dir, s, tty, on_event, &w, e);
	if (got < 0)
		return got;
	if (cast_end(&w) < 0)
		return err_set(e, -EIO, "cannot write the cast: is the disk full?");
	return 0;
}
