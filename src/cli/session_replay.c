/* SPDX-License-Identifier: ISC */
/*
 * skep replay: a session's terminal once more, at the speed at which it happened.
 *
 * The screen's bytes are the intruder's. They go through the filter of skep
 * console, which lets through what draws on the screen, and shows everything else;
 * into a file or a pipe not even that, unless --raw says so.
 */
#include "base/ev.h"
#include "base/text.h"
#include "cli/session_export.h"
#include "cli/session_where.h"
#include "cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t told_to_end;

static void on_signal(int sig)
{
	(void)sig;
	told_to_end = 1;
}

struct replay {
	FILE *out;
	struct term term;
	uint64_t speed; /* thousandths; 0 = as fast as possible */
	uint64_t idle;  /* ns; longest pause, 0 = as long as it was */
	uint64_t last;
};

static void pause_for(uint64_t ns)
{
	while (ns && !told_to_end) {
		uint64_t part = ns < EV_SEC / 10 ? ns : EV_SEC / 10;
		struct timespec t = { .tv_nsec = (long)part };
		nanosleep(&t, NULL);
		ns -= part;
	}
}

static bool on_event(void *arg, const struct play_event *ev)
{
	struct replay *p = arg;
	struct slice s = ev->bytes, part = { 0 };
	if (p->last && ev->time > p->last && p->speed) {
		uint64_t gap = ev->time - p->last;
		if (p->idle && gap > p->idle)
			gap = p->idle;
		pause_for(gap / p->speed * 1000 + gap % p->speed * 1000 / p->speed);
	}
	p->last = ev->time;
	if (ev->what != PLAY_OUTPUT)
		return !told_to_end;
	while (s.n && !told_to_end) {
		uint8_t out[TERM_OUT(1024)];
		slice_take(&s, s.n < 1024 ? s.n : 1024, &part);
#ifdef MUTANT_REPLAY_DROPS
		if (s.n)
			continue;
#endif
		size_t n = term_filter(&p->term, part.p, part.n, out);
		fwrite(out, 1, n, p->out);
	}
	fflush(p->out);
	return !told_to_end && !ferror(p->out);
}

/* "0.5", "2", "10" -> thousandths. */
static bool parse_speed(const char *s, uint64_t *out)
{
	char *end;
	errno = 0;
	double v = strtod(s, &end);
	if (errno || end == s || *end || !(v >= 0.01) || v > 100000)
		return false;
	*out = (uint64_t)(v * 1000 + 0.5);
	return true;
}

static int play(struct cmd *c, const struct session *s, const struct place *where, uint32_t tty)
{
	struct err e = { 0 };
	struct sigaction sa = { .sa_handler = on_signal }, old[2];
	struct replay p = { .out = c->out, .speed = 1000 };
	const char *speed = cmd_str(c, "speed");
	bool screen = isatty(fileno(c->out));
	uint8_t rest[TERM_OUT(0)];
	if (speed && !strcmp(speed, "max"))
		p.speed = 0;
	else if (speed && !parse_speed(speed, &p.speed))
		return cmd_usage(c, "--speed: \"%s\" is no factor: write 2, 0.5 or max", speed);
	p.idle = cmd_num(c, "idle", 0) * EV_SEC;
	p.term.mode = cmd_flag(c, "raw") ? TERM_RAW : cmd_flag(c, "safe") || !screen ? TERM_PLAIN : TERM_LINES;
#ifdef MUTANT_REPLAY_RAW_BY_DEFAULT
	p.term.mode = TERM_RAW;
#endif
	told_to_end = 0;
	sigaction(SIGINT, &sa, &old[0]);
	sigaction(SIGTERM, &sa, &old[1]);
	int got = play_session(c, where->dir, s, tty, on_event, &p, &e);
	size_t n = term_end(&p.term, rest);
	fwrite(rest, 1, n, c->out);
	if (screen && p.term.mode != TERM_PLAIN)
		fputs(term_reset, c->out);
	fflush(c->out);
	sigaction(SIGINT, &old[0], NULL);
	sigaction(SIGTERM, &old[1], NULL);
	if (got < 0)
		return cmd_fail_err(c, &e, NULL);
	if (screen) {
		fputc('\n', c->out);
		fflush(c->out);
		cmd_note(c, told_to_end ? "-- stopped" : "-- the session ends here");
	}
	return CMD_OK;
}

static int export(struct cmd *c, const struct session *s, const struct place *where, uint32_t tty, const char *format)
{
	struct err e = { 0 };
	const char *to = cmd_str(c, "output");
	FILE *out = c->out;
	int got;
	if (strcmp(format, "cast") != 0 && strcmp(format, "ttyrec") != 0 && strcmp(format, "txt") != 0 &&
	    strcmp(format, "html") != 0)
		return cmd_usage(c, "--export: \"%s\" is none of cast, ttyrec, txt and html", format);
	if (!strcmp(format, "ttyrec") && (!to || !strcmp(to, "-")) && isatty(fileno(c->out)) && !cmd_flag(c, "raw"))
		return cmd_usage(c, "a ttyrec holds the intruder's bytes as they are: give --output FILE, or --raw");
	if (to && strcmp(to, "-") != 0) {
		int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || !(out = fdopen(fd, "wb")))
			return cmd_fail(c, "cannot write %s: %s", to, strerror(errno));
	}
	if (*format == 'c')
		got = cast_write(where->dir, s, tty, cmd_num(c, "idle", 0), out, &e);
	else if (!strcmp(format, "ttyrec"))
		got = export_ttyrec(where->dir, s, tty, out, &e);
	else if (!strcmp(format, "txt"))
		got = export_txt(where->dir, s, tty, out, &e);
	else
		got = export_html(where->dir, s, tty, out, &e);
	if (out != c->out && fclose(out) && got >= 0)
		got = err_sys(&e, -errno, "cannot write %s", to);
	return got < 0 ? cmd_fail_err(c, &e, NULL) : CMD_OK;
}

/* --tty pts/1, or the session's main one. 0 = said that there is none. */
static uint32_t choose_tty(struct cmd *c, const struct session *s)
{
	const char *want = cmd_str(c, "tty");
	char name[24], all[SESSION_TTYS * 24] = "";
	size_t n = 0;
	const struct session_tty *t = session_main_tty(s);
	for (unsigned i = 0; i < s->nttys; i++) {
		session_tty_name(name, s->ttys[i].tty);
		if (want && !strcmp(want, name))
			return s->ttys[i].tty;
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", n ? ", " : "", name);
	}
	if (want)
		cmd_fail(c, "the session has no terminal %s; it has %s", want, n ? all : "none");
	else if (!t)
		cmd_fail(c, "the session has no terminal: there is nothing to play (see skep session)");
	else
		return t->tty;
	return 0;
}

int cmd_replay(struct cmd *c)
{
	struct loaded l;
	struct session *s = NULL;
	struct place *where = NULL;
	int status = loaded_one(c, NULL, c->args[0], &l, &s, &where);
	if (status != CMD_OK)
		return status;
	const char *format = cmd_str(c, "export");
	if (!format && cmd_str(c, "output"))
		status = cmd_usage(c, "--output needs --export");
	if (status == CMD_OK) {
		uint32_t tty = choose_tty(c, s);
		if (!tty)
			status = CMD_FAILED;
		else
			status = format ? export(c, s, where, tty, format) : play(c, s, where, tty);
	}
	loaded_free(&l);
	return status;
}
