/* SPDX-License-Identifier: ISC */
#include "cli/session_export.h"

#include "base/ev.h"
#include "base/text.h"
#include "cli/flat.h"

#include <errno.h>
#include <string.h>

static int finish(FILE *out, int got, struct err *e)
{
	if (got < 0)
		return got;
	return fflush(out) || ferror(out) ? err_set(e, -EIO, "cannot write the export: is the disk full?") : 0;
}

/* ---- ttyrec ----------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static bool on_ttyrec(void *arg, const struct play_event *ev)
{
	FILE *out = arg;
	uint8_t head[12];
	if (ev->what != PLAY_OUTPUT || !ev->bytes.n)
		return true;
	put32(head, (uint32_t)(ev->time / EV_SEC));
	put32(head + 4, (uint32_t)(ev->time % EV_SEC / 1000));
	put32(head + 8, (uint32_t)ev->bytes.n);
	fwrite(head, 1, sizeof(head), out);
	fwrite(ev->bytes.p, 1, ev->bytes.n, out);
	return !ferror(out);
}

int export_ttyrec(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e)
{
	return finish(out, play_session(NULL, dir, s, tty, on_ttyrec, out, e), e);
}

/* ---- text ------------------------------------------------------------------- */

struct lines {
	FILE *out;
	struct flat flat;
	uint64_t time; /* of the event that is being fed */
};

static void txt_line(void *arg, const char *text, size_t n)
{
	struct lines *l = arg;
	fwrite(text, 1, n, l->out);
	fputc('\n', l->out);
}

static bool on_lines(void *arg, const struct play_event *ev)
{
	struct lines *l = arg;
	if (ev->what == PLAY_SIZE)
		l->flat.cols = ev->cols >= 2 && ev->cols <= 1000 ? ev->cols : 0;
	if (ev->what != PLAY_OUTPUT)
		return true;
	l->time = ev->time;
	flat_feed(&l->flat, ev->bytes.p, ev->bytes.n);
	return !ferror(l->out);
}

static int play_lines(const struct evidence_dir *dir, const struct session *s, uint32_t tty, struct lines *l,
		      flat_fn fn, struct err *e)
{
	const struct session_tty *t = session_tty((struct session *)s, tty);
	if (!flat_init(&l->flat, fn, l, false, t ? t->cols : 80))
		return err_set(e, -ENOMEM, "out of memory");
	int got = play_session(NULL, dir, s, tty, on_lines, l, e);
	flat_flush(&l->flat);
	flat_free(&l->flat);
	return finish(l->out, got, e);
}

int export_txt(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e)
{
	struct lines l = { .out = out };
	return play_lines(dir, s, tty, &l, txt_line, e);
}

/* ---- html ------------------------------------------------------------------- */

/* Everything that HTML might read as more than text. */
static void put_html(FILE *out, const char *p, size_t n)
{
	char safe[4096 * 4 + 1];
	while (n) {
		size_t part = n < 4000 ? n : 4000;
		/* Not through the middle of a character. */
		while (part < n && part > 3990 && ((uint8_t)p[part] & 0xc0) == 0x80)
			part--;
		size_t len = text_safe(safe, sizeof(safe), p, part, true);
		for (size_t i = 0; i < len; i++) {
#ifdef MUTANT_HTML_NOT_ESCAPED
			fputc(safe[i], out);
#else
			switch (safe[i]) {
			case '<':
				fputs("&lt;", out);
				break;
			case '>':
				fputs("&gt;", out);
				break;
			case '&':
				fputs("&amp;", out);
				break;
			case '"':
				fputs("&quot;", out);
				break;
			case '\'':
				fputs("&#39;", out);
				break;
			default:
				fputc(safe[i], out);
				break;
			}
#endif
		}
		p += part;
		n -= part;
	}
}

static void row(FILE *out, const char *key, const char *value)
{
	fprintf(out, "<tr><th>%s</th><td>", key);
	put_html(out, value, strlen(value));
	fputs("</td></tr>\n", out);
}

static void html_head(FILE *out, const struct session *s, uint32_t tty)
{
	char id[SESSION_ID_TEXT], t[CMD_TIME_TEXT], peer[SESSION_ENDPOINT], local[SESSION_ENDPOINT], name[24], num[32];
	fputs(
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	    "<title>Session ",
	    out);
	put_html(out, session_id_text(id, s->id), strlen(id));
	fputs("</title>\n<style>\nbody { font-family: sans-serif; margin: 2em; }\n"
	      "th { text-align: left; padding-right: 1em; vertical-align: top; font-weight: normal; color: #555; }\n"
	      "pre { background: #f4f4f4; padding: 1em; overflow: auto; }\n"
	      "i { color: #999; font-style: normal; user-select: none; }\n</style>\n</head>\n<body>\n<h1>Session ",
	      out);
	put_html(out, id, strlen(id));
	fputs("</h1>\n<table>\n", out);
	row(out, "Honeypot", s->honeypot);
	row(out, "From", session_peer(peer, s));
	row(out, "To", session_local(local, s));
	row(out, "Service", s->known ? session_service(s->who.service) : "?");
	row(out, "User", *s->user ? s->user : "?");
	row(out, "Start", cmd_time_text(t, s->start, 6));
	row(out, "End", s->end ? cmd_time_text(t, s->end, 6) : "not seen");
	row(out, "Terminal", session_tty_name(name, tty));
	snprintf(num, sizeof(num), "%llu", (unsigned long long)s->lost);
	row(out, "Lost records", num);
	for (unsigned i = 0; i < s->nlogins; i++) {
		const struct session_login *l = &s->logins[i];
		char text[400];
		snprintf(text, sizeof(text), "%s %s %s / %s: %s", cmd_time_text(t, l->time, 3), session_auth(l->how),
			 l->user, l->password, session_outcome(l->outcome));
		row(out, "Login", text);
	}
	fputs("</table>\n", out);
}

static void html_line(void *arg, const char *text, size_t n)
{
	struct lines *l = arg;
	char t[CMD_TIME_TEXT];
	fprintf(l->out, "<i>%s </i>", cmd_time_text(t, l->time, 3));
	put_html(l->out, text, n);
	fputc('\n', l->out);
}

struct typed {
	FILE *out;
	uint64_t id;
	uint64_t n;
};

static bool on_typed(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct typed *y = arg;
	struct slice s;
	char t[CMD_TIME_TEXT];
	(void)in;
	if (r->h.session != y->id || r->h.kind != INTRO_COMMAND || !skt_text_of(r, &s))
		return true;
	if (!y->n++)
		fputs("<h2>Typed</h2>\n<pre>\n", y->out);
	fprintf(y->out, "<i>%s </i>", cmd_time_text(t, r->h.time, 3));
	put_html(y->out, (const char *)s.p, s.n);
	fputc('\n', y->out);
	return !ferror(y->out);
}

int export_html(const struct evidence_dir *dir, const struct session *s, uint32_t tty, FILE *out, struct err *e)
{
	struct lines l = { .out = out };
	struct typed y = { out, s->id, 0 };
	struct skt_reader r;
	html_head(out, s, tty);
	skt_reader_init(&r, dir, s->honeypot, on_typed, &y);
	r.since = s->first;
	int got = skt_read(&r, e);
	skt_reader_free(&r);
	if (got < 0)
		return got;
	fputs(y.n ? "</pre>\n<h2>Screen</h2>\n<pre>\n" : "<h2>Screen</h2>\n<pre>\n", out);
	got = play_lines(dir, s, tty, &l, html_line, e);
	fputs("</pre>\n</body>\n</html>\n", out);
	return finish(out, got, e);
}
