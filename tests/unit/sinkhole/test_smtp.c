/* SPDX-License-Identifier: ISC */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct peer *p;

static int set_up(void **state)
{
	(void)state;
	p = peer_new(SINK_SVC_SMTP);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(peer_bounded(p));
	peer_free(p);
	return 0;
}

static void assert_says(const char *text, const char *want)
{
	peer_say(p, text);
	if (strncmp(p->out, want, strlen(want)) != 0)
		fail_msg("to %s it says %s instead of %s", text, p->out, want);
}

static const char dialogue[] = "EHLO zombie.example\r\n"
			       "MAIL FROM:<spam@example.net> SIZE=100\r\n"
			       "RCPT TO:<a@example.org>\r\n"
			       "RCPT TO:<b@example.org>\r\n"
			       "DATA\r\n"
			       "From: The Bank <bank@example.net>\r\n"
			       "Subject: Your account\r\n"
			       "\tis locked\r\n"
			       "To: all\r\n"
			       "\r\n"
			       "Subject: not this one\r\n"
			       "..a dot\r\n"
			       ".b\r\n"
			       ".\r\n"
			       "QUIT\r\n";

static void check_mail(void)
{
	assert_int_equal(p->ntold, 1);
	const struct told *t = &p->told[0];
	assert_int_equal(t->head.record, SINK_REC_MAIL);
	assert_int_equal(t->head.status, 250);
	assert_int_equal(t->head.flags, 0);
	assert_int_equal(t->head.recipients, 2);
	assert_int_equal(t->head.requests, 1);
	assert_string_equal(told_text(t, SINK_F_HELO, 0), "zombie.example");
	assert_string_equal(told_text(t, SINK_F_MAIL_FROM, 0), "spam@example.net");
	assert_string_equal(told_text(t, SINK_F_RCPT_TO, 0), "a@example.org");
	assert_string_equal(told_text(t, SINK_F_RCPT_TO, 1), "b@example.org");
	assert_null(told_text(t, SINK_F_RCPT_TO, 2));
	assert_string_equal(told_text(t, SINK_F_SUBJECT, 0), "Your account\tis locked");
	assert_string_equal(told_text(t, SINK_F_FROM, 0), "The Bank <bank@example.net>");
	assert_string_equal(told_text(t, SINK_F_TO, 0), "all");
	static const char body[] = "From: The Bank <bank@example.net>\r\nSubject: Your account\r\n\tis locked\r\nTo: "
				   "all\r\n\r\nSubject: not this one\r\n.a dot\r\nb\r\n";
	uint8_t sha[32];
	assert_string_equal((const char *)t->body, body);
	assert_int_equal(t->head.body, sizeof(body) - 1);
	crypto_hash_sha256(sha, (const uint8_t *)body, sizeof(body) - 1);
	assert_memory_equal(t->head.sha256, sha, 32);
	crypto_generichash(sha, 32, (const uint8_t *)body, sizeof(body) - 1, NULL, 0);
	assert_memory_equal(t->head.blake2b, sha, 32);
	assert_non_null(strstr(p->out, "250 2.0.0 Ok: queued as "));
	assert_non_null(strstr(p->out, "221 2.0.0 Bye\r\n"));
	assert_true(p->s->closing);
}

static void a_mail(void **state)
{
	(void)state;
	assert_int_equal(strncmp(p->out, "220 ", 4), 0);
	assert_non_null(strstr(p->out, "203-0-113-5"));
	peer_say(p, dialogue); /* all at once: PIPELINING */
	check_mail();
}

/* However it is cut into segments. */
static void in_pieces(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		tear_down(NULL);
		set_up(NULL);
		peer_send(p, dialogue, sizeof(dialogue) - 1, step);
		check_mail();
	}
}

static void order_of_commands(void **state)
{
	(void)state;
	assert_says("MAIL FROM:<a@b>\r\n", "503 5.5.1 Error: send HELO");
	assert_says("NONSENSE\r\n", "502 5.5.2");
	assert_says("HELO x\r\n", "250 ");
	assert_says("RCPT TO:<a@b>\r\n", "503 5.5.1 Error: need MAIL");
	assert_says("DATA\r\n", "503 5.5.1 Error: need MAIL");
	assert_says("MAIL a@b\r\n", "501 5.5.4");
	assert_says("MAIL FROM:<>\r\n", "250 2.1.0");
	assert_says("MAIL FROM:<a@b>\r\n", "503 5.5.1 Error: nested");
	assert_says("DATA\r\n", "554 5.5.1");
	assert_says("RCPT TO:<>\r\n", "501 5.5.4");
	assert_says("rcpt to: c@d \r\n", "250 2.1.5");
	assert_says("NOOP\r\n", "250 2.0.0 Ok\r\n");
	assert_says("RSET\r\n", "250 2.0.0 Ok\r\n");
	assert_int_equal(p->ntold, 1); /* an attempt is worth knowing too */
	assert_int_equal(p->told[0].head.flags, SINK_UNFINISHED);
	assert_string_equal(told_text(&p->told[0], SINK_F_RCPT_TO, 0), "c@d");
	assert_says("GET / HTTP/1.1\r\n", "221 2.7.0");
	assert_true(p->s->closing);
}

static void logins(void **state)
{
	(void)state;
	peer_say(p, "EHLO x\r\n");
	assert_non_null(strstr(p->out, "250-AUTH PLAIN LOGIN\r\n"));
	assert_null(strstr(p->out, "STARTTLS"));
	assert_says("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6");
	assert_says("cm9vdA==\r\n", "334 UGFzc3dvcmQ6");
	assert_says("*\r\n", "501 5.7.0");
	assert_says("AUTH PLAIN AGFsaWNlAA==\r\n", "535 5.7.8"); /* no password */
	assert_int_equal(p->ntold, 1);
	assert_int_equal(p->told[0].head.status, 535);
	assert_says("AUTH PLAIN\r\n", "334 \r\n");
	assert_says("AGFsaWNlAHNlY3JldA==\r\n", "235 2.7.0");
	assert_int_equal(p->ntold, 2);
	assert_int_equal(p->told[1].head.record, SINK_REC_LOGIN);
	assert_string_equal(told_text(&p->told[1], SINK_F_USER, 0), "alice");
	assert_string_equal(told_text(&p->told[1], SINK_F_PASSWORD, 0), "secret");
	assert_says("AUTH LOGIN\r\n", "503 5.5.1");
	tear_down(NULL);
	set_up(NULL);
	peer_say(p, "EHLO x\r\nAUTH LOGIN\r\ncm9vdA==\r\ndG9vcg==\r\n");
	assert_string_equal(told_text(&p->told[0], SINK_F_USER, 0), "root");
	assert_string_equal(told_text(&p->told[0], SINK_F_PASSWORD, 0), "toor");
	assert_says("AUTH CRAM-MD5\r\n", "503");
}

/* Nothing that is sent makes it grow: what is too much is counted and hashed. */
static void bounds(void **state)
{
	(void)state;
	enum { CHUNK = 65536, CHUNKS = 170 };
	static uint8_t junk[CHUNK];
	memset(junk, 'x', sizeof(junk));
	for (size_t i = 999; i < sizeof(junk); i += 1000)
		junk[i] = '\n';
	peer_say(p, "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
	for (unsigned i = 0; i < 20; i++)
		peer_send(p, junk, sizeof(junk), 0);
	assert_true(peer_bounded(p));
	assert_int_equal(p->s->body.n, SINK_BODY_MAX);
	peer_say(p, "\r\n.\r\n");
	assert_int_equal(p->told[0].head.status, 250);
	assert_int_equal(p->told[0].head.kept, SINK_BODY_MAX);
	assert_int_equal(p->told[0].head.body, 20 * CHUNK + 2);
	assert_true(p->told[0].head.flags & SINK_CUT);
	/* Larger than it says it takes. */
	peer_say(p, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
	for (unsigned i = 0; i < CHUNKS; i++)
		peer_send(p, junk, sizeof(junk), 0);
	assert_says("\r\n.\r\n", "552 5.3.4");
	/* A line without an end. */
	p->nout = 0;
	for (unsigned i = 0; i < 2; i++)
		peer_send(p, memset(junk, 'y', sizeof(junk)), sizeof(junk), 0);
	assert_int_equal(p->nout, 0);
	assert_says("\r\n", "500 5.5.2 Error: line too long");
	/* Recipients: many are counted, the first are told. */
	peer_say(p, "MAIL FROM:<a@b>\r\n");
	for (unsigned i = 0; i < 1000; i++)
		peer_say(p, "RCPT TO:<cccccccccccccccccccccccccccccc@ddddddddddddddddddddddddddddddd>\r\n");
	assert_says("RCPT TO:<e@f>\r\n", "452 4.5.3");
	peer_say(p, "DATA\r\n.\r\n");
	assert_int_equal(p->told[2].head.recipients, 1000);
	assert_true(p->told[2].head.ntexts <= SINK_TEXTS);
	/* And patience ends. */
	for (unsigned i = 0; i < 30 && !p->s->closing; i++)
		peer_say(p, "NONSENSE\r\n");
	assert_true(p->s->closing);
	assert_non_null(strstr(p->out, "421 4.7.0"));
}

static void idle_and_broken_off(void **state)
{
	(void)state;
	peer_say(p, "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf a ma");
	peer_pass(p, 299 * EV_SEC);
	assert_false(p->s->closing);
	peer_pass(p, 3 * EV_SEC);
	assert_true(p->s->closing);
	peer_end(p);
	assert_int_equal(p->ntold, 2);
	assert_int_equal(p->told[0].head.flags, SINK_UNFINISHED);
	assert_string_equal((const char *)p->told[0].body, "half a ma");
	assert_int_equal(p->told[1].head.record, SINK_REC_END);
	assert_true(p->told[1].head.bytes_in > 50 && p->told[1].head.bytes_out > 100);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_mail), T(in_pieces), T(order_of_commands), T(logins), T(bounds), T(idle_and_broken_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
