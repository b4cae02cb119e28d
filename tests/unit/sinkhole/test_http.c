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
	p = peer_new(SINK_SVC_HTTP);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(peer_bounded(p));
	peer_free(p);
	return 0;
}

static void a_page(void **state)
{
	(void)state;
	assert_int_equal(p->nout, 0); /* the client begins */
	peer_say(p, "GET / HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/7.88\r\nReferer: http://x/\r\n\r\n");
	assert_int_equal(strncmp(p->out, "HTTP/1.1 200 OK\r\nServer: ", 25), 0);
	assert_non_null(strstr(p->out, "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"));
	assert_non_null(strstr(p->out, "Connection: keep-alive\r\n"));
	const char *body = strstr(p->out, "\r\n\r\n"), *len = strstr(p->out, "Content-Length: ");
	assert_int_equal(strtoul(len + 16, NULL, 10), strlen(body + 4));
	assert_int_equal(p->ntold, 1);
	const struct told *t = &p->told[0];
	assert_int_equal(t->head.record, SINK_REC_REQUEST);
	assert_int_equal(t->head.status, 200);
	assert_string_equal(told_text(t, SINK_F_METHOD, 0), "GET");
	assert_string_equal(told_text(t, SINK_F_URL, 0), "/");
	assert_string_equal(told_text(t, SINK_F_HOST, 0), "www.example.org");
	assert_string_equal(told_text(t, SINK_F_USER_AGENT, 0), "curl/7.88");
	assert_string_equal(told_text(t, SINK_F_PROTOCOL, 0), "HTTP/1.1");
	assert_string_equal(told_text(t, SINK_F_REFERER, 0), "http://x/");
	assert_false(p->s->closing);
	peer_say(p, "GET /bot.sh?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(strncmp(p->out, "HTTP/1.1 404 Not Found\r\n", 24), 0);
	assert_string_equal(told_text(&p->told[1], SINK_F_URL, 0), "/bot.sh?x=1");
	peer_say(p, "HEAD / HTTP/1.0\r\n\r\n");
	assert_string_equal(strstr(p->out, "\r\n\r\n"), "\r\n\r\n");
	assert_true(p->s->closing); /* 1.0 */
}

static const char uploads[] = "POST /gate.php HTTP/1.1\r\nHost: c2.example\r\nContent-Type: text/plain\r\n"
			      "Content-Length: 11\r\n\r\nhello world"
			      "PUT /f HTTP/1.1\r\nHost: c2.example\r\nTransfer-Encoding: chunked\r\n\r\n"
			      "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
			      "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";

static void check_uploads(void)
{
	assert_int_equal(p->ntold, 3);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t sha[32];
		assert_string_equal((const char *)p->told[i].body, "hello world");
		assert_int_equal(p->told[i].head.body, 11);
		crypto_hash_sha256(sha, (const uint8_t *)"hello world", 11);
		assert_memory_equal(p->told[i].head.sha256, sha, 32);
		assert_int_equal(p->told[i].head.status, i ? 201 : 200);
	}
	assert_string_equal(told_text(&p->told[0], SINK_F_CONTENT_TYPE, 0), "text/plain");
	assert_int_equal(p->told[2].head.body, 0);
	assert_true(p->s->closing);
}

static void bodies(void **state)
{
	(void)state;
	peer_say(p, uploads); /* pipelined */
	check_uploads();
	for (size_t step = 1; step < 30; step++) {
		tear_down(NULL);
		set_up(NULL);
		peer_send(p, uploads, sizeof(uploads) - 1, step);
		check_uploads();
	}
}

static void expect_continue(void **state)
{
	(void)state;
	peer_say(p, "PUT /f HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_string_equal(p->out, "HTTP/1.1 100 Continue\r\n\r\n");
	peer_say(p, "ab");
	assert_int_equal(strncmp(p->out, "HTTP/1.1 201 Created\r\n", 22), 0);
}

static void refused(const char *request, const char *status)
{
	tear_down(NULL);
	set_up(NULL);
	peer_say(p, request);
	if (strncmp(p->out + 9, status, strlen(status)) != 0)
		fail_msg("to %s it says %s", request, p->out);
	assert_true(p->s->closing);
	assert_int_equal(p->ntold, 1);
}

static void no_http(void **state)
{
	(void)state;
	refused("\x16\x03\x01\x02\r\n", "400");
	assert_non_null(told_text(&p->told[0], SINK_F_SAMPLE, 0));
	refused("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400");
	refused("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "400");
	refused("POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", "413");
	refused("POST / HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n", "400");
	refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "413");
	refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "400");
}

static void bounds(void **state)
{
	(void)state;
	static char big[1 << 20];
	memset(big, 'a', sizeof(big));
	memcpy(big, "GET /", 5);
	big[9000] = '\n';
	peer_send(p, big, 9001, 0);
	assert_int_equal(strncmp(p->out, "HTTP/1.1 414", 12), 0);
	tear_down(NULL);
	set_up(NULL);
	peer_say(p, "GET / HTTP/1.1\r\n");
	for (unsigned i = 0; i < 2000 && !p->s->closing; i++)
		peer_say(p, "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
	assert_int_equal(strncmp(p->out, "HTTP/1.1 400", 12), 0);
	tear_down(NULL);
	set_up(NULL);
	peer_say(p, "POST / HTTP/1.1\r\nContent-Length: 3145728\r\n\r\n");
	memset(big, 'b', sizeof(big));
	for (unsigned i = 0; i < 3; i++)
		peer_send(p, big, sizeof(big), 0);
	assert_true(peer_bounded(p));
	assert_int_equal(p->ntold, 1);
	assert_int_equal(p->told[0].head.body, 3145728);
	assert_int_equal(p->told[0].head.kept, SINK_BODY_MAX);
	assert_true(p->told[0].head.flags & SINK_CUT);
	/* Not for ever. */
	for (unsigned i = 0; i < SINK_REQUESTS + 5 && !p->s->closing; i++)
		peer_say(p, "GET / HTTP/1.1\r\n\r\n");
	assert_true(p->s->closing);
	assert_true(p->ntold <= SINK_REQUESTS);
}

static void broken_off(void **state)
{
	(void)state;
	peer_say(p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
	peer_pass(p, 70 * EV_SEC);
	assert_true(p->s->closing);
	peer_end(p);
	assert_int_equal(p->ntold, 2);
	assert_int_equal(p->told[0].head.flags, SINK_UNFINISHED);
	assert_string_equal((const char *)p->told[0].body, "half");
	assert_int_equal(p->told[1].head.record, SINK_REC_END);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_page), T(bodies), T(expect_continue), T(no_http), T(bounds), T(broken_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
