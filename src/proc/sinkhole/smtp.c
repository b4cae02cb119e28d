/* SPDX-License-Identifier: ISC */
/*
 * A mail server that takes everything: RFC 5321 with PIPELINING, SIZE, AUTH PLAIN
 * and LOGIN (RFC 4954), in the words of Postfix. Each message becomes a record,
 * also one that was broken off; each login another.
 *
 * STARTTLS is not offered: what would be said behind it could not be read.
 */
#include "proc/sinkhole/session.h"

#include <stdio.h>

#define MAIL_MAX 10240000u /* Postfix's message_size_limit */
#define RCPT_MAX 1000u     /* smtpd_recipient_limit */
#define RCPT_KEPT 32u
#define ERRORS_MAX 20u /* smtpd_hard_error_limit */

static void begin(struct session *s)
{
	char host[80];
	session_hostname(s, host);
	s->smtp = (struct smtp){ 0 };
	session_say(s, "220 %s ESMTP Postfix%s\r\n", host, session_pick(s, 7) < 4 ? " (Debian/GNU)" : "");
}

static void forget(struct session *s)
{
	s->smtp.mail = s->smtp.data = false;
	s->smtp.recipients = 0;
	s->texts.n = s->texts.count = 0;
	body_reset(&s->body);
}

static void error(struct session *s, const char *text)
{
	char host[80];
	session_say(s, "%s\r\n", text);
	if (++s->smtp.errors < ERRORS_MAX)
		return;
	session_hostname(s, host);
	session_say(s, "421 4.7.0 %s Error: too many errors\r\n", host);
	s->closing = true;
}

/* ---- one message ------------------------------------------------------------ */

/* Lines of the header that operators look for, unfolded. */
static void header(struct session *s, const char *name, enum sink_field field)
{
	struct slice text = slice_head(slice_of(s->body.kept, s->body.n), 16384);
	uint8_t value[SINK_TEXT_MAX];
	size_t n = 0;
	bool mine = false;
	while (text.n) {
		const uint8_t *nl = memchr(text.p, '\n', text.n);
		struct slice line, rest;
		slice_take(&text, nl ? (size_t)(nl - text.p) : text.n, &line);
		slice_skip(&text, 1);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (!line.n)
			break;
		bool more = line.p[0] == ' ' || line.p[0] == '\t';
		if (mine && !more)
			break;
		if (!mine && !slice_word(line, name, &rest))
			continue;
		rest = mine ? line : rest;
		mine = true;
		rest = slice_head(rest, sizeof(value) - n);
		memcpy(value + n, rest.p, rest.n);
		n += rest.n;
	}
	if (mine)
		texts_add(&s->texts, field, slice_of(value, n));
}

static void queue_id(struct session *s)
{
	uint8_t h[8];
	const uint64_t in[3] = { s->id, s->requests, s->now };
	crypto_generichash(h, sizeof(h), (const uint8_t *)in, sizeof(in), NULL, 0);
	snprintf(s->smtp.queue_id, sizeof(s->smtp.queue_id), "%02X%02X%02X%02X%02X", h[0], h[1], h[2], h[3], h[4]);
}

static void record_mail(struct session *s, uint16_t status, uint8_t flags)
{
	texts_str(&s->texts, SINK_F_HELO, s->smtp.helo);
	if (s->smtp.authed)
		texts_str(&s->texts, SINK_F_USER, s->smtp.user);
	header(s, "Subject:", SINK_F_SUBJECT);
	header(s, "From:", SINK_F_FROM);
	header(s, "To:", SINK_F_TO);
	if (status == 250)
		texts_str(&s->texts, SINK_F_QUEUE_ID, s->smtp.queue_id);
	session_record(s, SINK_REC_MAIL, status, flags, s->smtp.recipients);
	forget(s);
}

static void mail_over(struct session *s)
{
	bool large = s->body.total > MAIL_MAX;
	s->requests++;
	queue_id(s);
	if (large)
		session_say(s, "552 5.3.4 Error: message file too big\r\n");
	else
		session_say(s, "250 2.0.0 Ok: queued as %s\r\n", s->smtp.queue_id);
	record_mail(s, large ? 552 : 250, 0);
	if (s->requests >= SINK_REQUESTS)
		s->closing = true;
}

/* RFC 5321 section 4.5.2: a dot at the begin of a line is taken off, one alone
 * ends the message. */
static void data(struct session *s, struct slice *in)
{
	struct smtp *m = &s->smtp;
	struct slice run = *in;
	uint8_t c;
	size_t n = 0; /* of run, not yet added */
	while (slice_u8(in, &c)) {
		if (m->dot && (c == '\n' || (c == '\r' && !m->dot_cr))) {
			if (c == '\n') {
				m->dot = m->dot_cr = false;
				mail_over(s);
				return;
			}
			m->dot_cr = true;
			run = *in;
			continue;
		}
		if (m->dot_cr) /* ".\r" and something else: all that was data */
			body_add(&s->body, slice_of("\r", 1));
		m->dot = m->dot_cr = false;
		if (m->line_begin && c == '.') {
			body_add(&s->body, slice_head(run, n));
			m->dot = true;
			m->line_begin = false;
			run = *in;
			n = 0;
			continue;
		}
		m->line_begin = c == '\n';
		n++;
	}
	body_add(&s->body, slice_head(run, n));
}

/* ---- logins ------------------------------------------------------------------ */

static struct slice base64(struct slice text, char buf[512])
{
	size_t n = 0;
	if (text.n > 680 || sodium_base642bin((uint8_t *)buf, 512, (const char *)text.p, text.n, NULL, &n, NULL,
					      sodium_base64_VARIANT_ORIGINAL) < 0)
		return (struct slice){ NULL, 0 };
	return slice_of(buf, n);
}

static void login(struct session *s, struct slice user, struct slice password)
{
	bool good = user.n && password.n;
	/* In the midst of a mail AUTH is refused: texts holds nothing yet. */
	texts_str(&s->texts, SINK_F_HELO, s->smtp.helo);
	texts_add(&s->texts, SINK_F_USER, user);
	texts_add(&s->texts, SINK_F_PASSWORD, password);
	session_record(s, SINK_REC_LOGIN, good ? 235 : 535, 0, 0);
	s->smtp.auth = 0;
	if (!good) {
		error(s, "535 5.7.8 Error: authentication failed: authentication failure");
		return;
	}
	slice_text(s->smtp.user, sizeof(s->smtp.user), user);
	s->smtp.authed = true;
	session_say(s, "235 2.7.0 Authentication successful\r\n");
}

/* authzid NUL authcid NUL password (RFC 4616) */
static void plain(struct session *s, struct slice text)
{
	char buf[512];
	struct slice all = base64(text, buf), part[3] = { { NULL, 0 } };
	for (unsigned i = 0; i < 3 && all.n; i++) {
		const uint8_t *end = memchr(all.p, 0, all.n);
		slice_take(&all, end ? (size_t)(end - all.p) : all.n, &part[i]);
		slice_skip(&all, 1);
	}
	login(s, part[1], part[2]);
}

static void auth_line(struct session *s, struct slice line)
{
	char buf[512];
	if (slice_same(line, "*")) {
		s->smtp.auth = 0;
		error(s, "501 5.7.0 Authentication aborted");
	} else if (s->smtp.auth == 3) {
		plain(s, line);
	} else if (s->smtp.auth == 1) {
		struct slice user = base64(line, buf);
		slice_text(s->smtp.user, sizeof(s->smtp.user), user);
		s->smtp.auth = 2;
		session_say(s, "334 UGFzc3dvcmQ6\r\n");
	} else {
		char user[256];
		memcpy(user, s->smtp.user, sizeof(user));
		login(s, slice_of(user, strlen(user)), base64(line, buf));
	}
}

static void auth(struct session *s, struct slice rest)
{
	struct slice arg;
	char buf[512];
	if (s->smtp.authed)
		error(s, "503 5.5.1 Error: already authenticated");
	else if (s->smtp.mail)
		error(s, "503 5.5.1 Error: MAIL transaction in progress");
	else if (slice_word(rest, "PLAIN", &arg) && arg.n)
		plain(s, arg);
	else if (slice_same(rest, "PLAIN")) {
		s->smtp.auth = 3;
		session_say(s, "334 \r\n");
	} else if (slice_word(rest, "LOGIN", &arg)) {
		s->smtp.auth = 1;
		if (arg.n) {
			slice_text(s->smtp.user, sizeof(s->smtp.user), base64(arg, buf));
			s->smtp.auth = 2;
		}
		session_say(s, s->smtp.auth == 2 ? "334 UGFzc3dvcmQ6\r\n" : "334 VXNlcm5hbWU6\r\n");
	} else
		error(s, "535 5.7.8 Error: authentication failed: no mechanism available");
}

/* ---- commands ---------------------------------------------------------------- */

static void hello(struct session *s, struct slice rest, bool extended)
{
	char host[80];
	if (!rest.n) {
		error(s, extended ? "501 Syntax: EHLO hostname" : "501 Syntax: HELO hostname");
		return;
	}
	forget(s);
	slice_text(s->smtp.helo, sizeof(s->smtp.helo), rest);
	s->smtp.hello = true;
	session_hostname(s, host);
	if (!extended) {
		session_say(s, "250 %s\r\n", host);
		return;
	}
	session_say(s,
		    "250-%s\r\n250-PIPELINING\r\n250-SIZE %u\r\n250-VRFY\r\n250-ETRN\r\n250-AUTH PLAIN LOGIN\r\n"
		    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN\r\n",
		    host, MAIL_MAX);
}

/* "<a@b>" or "a@b", what stands behind it left out. False: neither. */
static bool path(struct slice text, struct slice *out)
{
	const uint8_t *end;
	text = slice_trim(text);
	if (text.n && text.p[0] == '<') {
		slice_skip(&text, 1);
		end = memchr(text.p, '>', text.n);
		return end && slice_take(&text, (size_t)(end - text.p), out);
	}
	end = memchr(text.p, ' ', text.n);
	return text.n && slice_take(&text, end ? (size_t)(end - text.p) : text.n, out);
}

static void mail_from(struct session *s, struct slice rest)
{
	struct slice addr, text;
	if (s->smtp.mail)
		error(s, "503 5.5.1 Error: nested MAIL command");
	else if (!slice_word(rest, "FROM:", &text) || !path(text, &addr))
		error(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
	else {
		forget(s);
		s->smtp.mail = true;
		texts_add(&s->texts, SINK_F_MAIL_FROM, slice_head(addr, 320));
		session_say(s, "250 2.1.0 Ok\r\n");
	}
}

static void rcpt_to(struct session *s, struct slice rest)
{
	struct slice addr, text;
	if (!s->smtp.mail)
		error(s, "503 5.5.1 Error: need MAIL command");
	else if (!slice_word(rest, "TO:", &text) || !path(text, &addr) || !addr.n)
		error(s, "501 5.5.4 Syntax: RCPT TO:<address>");
	else if (s->smtp.recipients >= RCPT_MAX)
		error(s, "452 4.5.3 Error: too many recipients");
	else {
		if (s->smtp.recipients++ < RCPT_KEPT)
			texts_add(&s->texts, SINK_F_RCPT_TO, slice_head(addr, 320));
		session_say(s, "250 2.1.5 Ok\r\n");
	}
}

static void begin_data(struct session *s)
{
	if (!s->smtp.mail) {
		error(s, "503 5.5.1 Error: need MAIL command");
	} else if (!s->smtp.recipients) {
		error(s, "554 5.5.1 Error: no valid recipients");
	} else {
		s->smtp.data = s->smtp.line_begin = true;
		s->smtp.dot = s->smtp.dot_cr = false;
		session_say(s, "354 End data with <CR><LF>.<CR><LF>\r\n");
	}
}

static void command(struct session *s, struct slice line)
{
	struct slice rest;
	if (slice_word(line, "EHLO", &rest))
		hello(s, rest, true);
	else if (slice_word(line, "HELO", &rest))
		hello(s, rest, false);
	else if (slice_same(slice_trim(line), "QUIT")) {
		session_say(s, "221 2.0.0 Bye\r\n");
		s->closing = true;
	} else if (slice_same(slice_trim(line), "RSET")) {
		if (s->smtp.mail)
			record_mail(s, 0, SINK_UNFINISHED);
		forget(s);
		session_say(s, "250 2.0.0 Ok\r\n");
	} else if (slice_word(line, "NOOP", &rest))
		session_say(s, "250 2.0.0 Ok\r\n");
	else if (!s->smtp.hello && (slice_word(line, "MAIL", &rest) || slice_word(line, "AUTH", &rest)))
		error(s, "503 5.5.1 Error: send HELO/EHLO first");
	else if (slice_word(line, "AUTH", &rest))
		auth(s, rest);
	else if (slice_word(line, "MAIL", &rest))
		mail_from(s, rest);
	else if (slice_word(line, "RCPT", &rest))
		rcpt_to(s, rest);
	else if (slice_same(slice_trim(line), "DATA"))
		begin_data(s);
	else if (slice_word(line, "VRFY", &rest))
		session_say(s, "252 2.0.0 %.*s\r\n", (int)slice_head(rest, 64).n, (const char *)rest.p);
	else if (slice_word(line, "GET ", &rest) || slice_word(line, "POST ", &rest)) {
		session_say(s, "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n"); /* as Postfix says */
		s->closing = true;
	} else
		error(s, "502 5.5.2 Error: command not recognized");
}

static void input(struct session *s, struct slice *in)
{
	struct slice line;
	if (s->smtp.data) {
		data(s, in);
		return;
	}
	switch (session_line(s, in, &line)) {
	case LINE_NONE:
		break;
	case LINE_LONG:
		error(s, "500 5.5.2 Error: line too long");
		break;
	case LINE_WHOLE:
		if (s->smtp.auth)
			auth_line(s, line);
		else
			command(s, line);
	}
}

static void end(struct session *s)
{
	if (s->smtp.mail)
		record_mail(s, 0, SINK_UNFINISHED);
}

const struct sink_service_ops sink_smtp = {
	.name = "smtp", .idle = 300 * EV_SEC, .begin = begin, .input = input, .end = end
};
