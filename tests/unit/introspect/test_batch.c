/* SPDX-License-Identifier: ISC */
/* Records that evidence does not take at once: none is lost, none out of order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proc/introspect/batch.h"

#include <string.h>

#define RECORDS 400u

static struct msg m;

static uint64_t read_all(struct chan *c, uint64_t seq)
{
	while (msg_recv(c, &m, NULL) == 1) {
		size_t at = sizeof(struct ev_intro);
		for (uint32_t i = 0; i < MSG_BODY_AS(&m, ev_intro)->n; i++) {
			const struct intro_rec *r = (const void *)(m.body + at);
			assert_int_equal(r->seq, ++seq);
			at += r->len;
		}
		assert_int_equal(at, m.len);
	}
	return seq;
}

static void a_full_socket(void **state)
{
	static _Alignas(8) uint8_t rec[INTRO_REC_MAX];
	struct intro_rec *r = (void *)rec;
	struct batches b;
	int fd[2];
	(void)state;
	assert_int_equal(msg_pair(fd, NULL), 0);
	struct chan out = { .fd = fd[0], .self = ROLE_INTROSPECT, .peer = ROLE_EVIDENCE, .state = STATE_ANY };
	struct chan in = { .fd = fd[1], .self = ROLE_EVIDENCE, .peer = ROLE_INTROSPECT, .state = STATE_ANY };
	assert_int_equal(batch_init(&b, &out), 0);
	for (uint32_t i = 0; i < RECORDS; i++) {
		r->len = i % 3 ? 8000 : INTRO_REC_MAX;
		r->seq = i + 1;
		batch_record(&b, r, r->len);
	}
	assert_true(b.blocked);
	assert_false(batch_flush(&b));
	uint64_t seq = 0;
	while (!batch_flush(&b))
		seq = read_all(&in, seq);
	assert_int_equal(read_all(&in, seq), RECORDS);
	assert_int_equal(b.sent, RECORDS);
	assert_int_equal(b.error, 0);
	chan_close(&in);
	batch_record(&b, r, r->len);
	assert_false(batch_flush_wait(&b, 1000));
	assert_true(b.error < 0);
	batch_free(&b);
	chan_close(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_full_socket) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
