/* SPDX-License-Identifier: ISC */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

static struct peer *p;

static int set_up(void **state)
{
	(void)state;
	p = peer_new(SINK_SVC_TCP);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(peer_bounded(p));
	peer_free(p);
	return 0;
}

static void the_silent_get_a_greeting(void **state)
{
	(void)state;
	peer_pass(p, 2 * EV_SEC);
	assert_int_equal(p->nout, 0);
	peer_pass(p, 2 * EV_SEC);
	assert_string_equal(p->out, "220 Service ready\r\n");
	peer_say(p, "USER root\r\n");
	assert_string_equal(p->out, "331 Password required\r\n");
	peer_say(p, "PASS toor\r\nLIST\r\nQUIT\r\n");
	assert_string_equal(p->out, "230 User logged in\r\n500 Unknown command\r\n221 Goodbye\r\n");
	assert_true(p->s->closing);
	peer_end(p);
	assert_int_equal(p->ntold, 2);
	assert_int_equal(p->told[0].head.record, SINK_REC_STREAM);
	assert_string_equal((const char *)p->told[0].body, "USER root\r\nPASS toor\r\nLIST\r\nQUIT\r\n");
	assert_string_equal(told_text(&p->told[0], SINK_F_SAMPLE, 0), (const char *)p->told[0].body);
}

static void irc(void **state)
{
	(void)state;
	peer_say(p, "NICK bot|1\r\n");
	assert_int_equal(strncmp(p->out, "PING :", 6), 0);
	peer_say(p, "USER a b c :d\r\nJOIN #c2 key\r\nPING :abc\r\n");
	assert_non_null(strstr(p->out, " 001 bot|1 :Welcome"));
	assert_non_null(strstr(p->out, "JOIN #c2\r\n"));
	assert_non_null(strstr(p->out, " PONG "));
}

static void bytes_get_no_answer(void **state)
{
	(void)state;
	static uint8_t junk[1 << 20];
	junk[5] = '\n';
	junk[6] = 1;
	for (unsigned i = 0; i < 3; i++)
		peer_send(p, junk, sizeof(junk), 0);
	assert_int_equal(p->nout, 0);
	assert_int_equal(p->s->body.n, SINK_BODY_MAX);
	peer_pass(p, 5 * EV_SEC);
	assert_int_equal(p->nout, 0);
	peer_pass(p, 130 * EV_SEC);
	assert_true(p->s->closing);
	peer_end(p);
	assert_int_equal(p->told[0].head.body, 3u << 20);
	assert_true(p->told[0].head.flags & SINK_CUT);
}

static void answers_end(void **state)
{
	(void)state;
	unsigned answered = 0;
	for (unsigned i = 0; i < 500; i++) {
		peer_say(p, "hello\n");
		answered += p->nout > 0;
	}
	assert_int_equal(answered, 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_silent_get_a_greeting),
		T(irc),
		T(bytes_get_no_answer),
		T(answers_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
