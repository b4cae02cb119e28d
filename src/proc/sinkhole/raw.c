/* SPDX-License-Identifier: ISC */
/*
 * Whatever else: everything is kept. Who waits for the server to speak first gets
 * a greeting; who speaks in lines is answered as a file server would, or, if it
 * begins as an IRC client does, as an IRC server; other bytes get no answer.
 */
#include "proc/sinkhole/session.h"

#include <stdio.h>

#define SILENT (3 * EV_SEC)
#define ANSWERS_MAX 200u

static void begin(struct session *s)
{
	s->raw = (struct raw){ .text = true };
}

static void tick(struct session *s)
{
	if (s->raw.spoke || s->bytes_in || s->proto != 6 || s->mono - s->born < SILENT)
		return;
	s->raw.spoke = true;
	session_say(s, "220 Service ready\r\n");
}

static void irc(struct session *s, struct slice line)
{
	struct slice rest;
	char host[80], arg[128];
	session_hostname(s, host);
	if (slice_word(line, "NICK ", &rest)) {
		bool first = !s->raw.nick[0];
		slice_text(s->raw.nick, sizeof(s->raw.nick), rest);
		if (first)
			session_say(s, "PING :%08X\r\n", s->seed);
	} else if (slice_word(line, "USER ", &rest)) {
		session_say(s,
			    ":%s 001 %s :Welcome to the Internet Relay Network %s\r\n:%s 004 %s %s 2.11.2 aoOirw "
			    "abeIiklmnoOpqrRstv\r\n:%s 422 %s :MOTD File is missing\r\n",
			    host, s->raw.nick, s->raw.nick, host, s->raw.nick, host, host, s->raw.nick);
	} else if (slice_word(line, "PING", &rest)) {
		slice_text(arg, sizeof(arg), rest);
		session_say(s, ":%s PONG %s %s\r\n", host, host, arg);
	} else if (slice_word(line, "JOIN ", &rest)) {
		slice_text(arg, sizeof(arg), rest);
		arg[strcspn(arg, "?,")] = 0;
		session_say(s, ":%s!~u@localhost JOIN %s\r\n:%s 366 %s %s :End of NAMES list.\r\n", s->raw.nick, arg,
			    host, s->raw.nick, arg);
	} else if (slice_word(line, "QUIT", &rest)) {
		session_say(s, "ERROR :Closing Link\r\n");
		s->closing = true;
	}
}

static void plain(struct session *s, struct slice line)
{
	struct slice rest;
	if (slice_word(line, "USER ", &rest))
		session_say(s, "331 Password required\r\n");
	else if (slice_word(line, "PASS ", &rest))
		session_say(s, "230 User logged in\r\n");
	else if (slice_same(slice_trim(line), "QUIT")) {
		session_say(s, "221 Goodbye\r\n");
		s->closing = true;
	} else
		session_say(s, "500 Unknown command\r\n");
}

static void input(struct session *s, struct slice *in)
{
	struct raw *r = &s->raw;
	struct slice was = *in, line;
	enum line got = session_line(s, in, &line);
	struct slice taken = slice_head(was, was.n - in->n);
	size_t room = sizeof(r->sample) - r->nsample, n = taken.n < room ? taken.n : room;
	memcpy(r->sample + r->nsample, taken.p, n);
	r->nsample += (uint32_t)n;
	body_add(&s->body, taken);
	for (size_t i = 0; i < taken.n && r->text; i++)
		r->text = (taken.p[i] >= 32 && taken.p[i] < 127) || taken.p[i] == '\n' || taken.p[i] == '\r' ||
			  taken.p[i] == '\t';
	if (got == LINE_NONE || !r->text || s->proto != 6)
		return;
	if (!r->lines++)
		r->irc = slice_word(line, "NICK ", NULL) || (slice_word(line, "PASS ", NULL) && !r->spoke);
	if (got == LINE_LONG || !line.n || r->answers >= ANSWERS_MAX)
		return;
	r->answers++;
	r->spoke = true;
	if (r->irc)
		irc(s, line);
	else
		plain(s, line);
}

static void end(struct session *s)
{
	if (!s->bytes_in)
		return;
	s->requests = s->raw.lines;
	texts_add(&s->texts, SINK_F_SAMPLE, slice_of(s->raw.sample, s->raw.nsample));
	session_record(s, SINK_REC_STREAM, 0, 0, 0);
}

const struct sink_service_ops sink_raw = {
	.name = "raw", .idle = 120 * EV_SEC, .begin = begin, .input = input, .tick = tick, .end = end
};
