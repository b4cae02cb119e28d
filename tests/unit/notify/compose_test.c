/* SPDX-License-Identifier: ISC */
/* Notices as text: whatever the intruder wrote, it stays text. And the throttle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proc/notify/compose.h"
#include "proc/notify/queue.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEC 1000000000ull

static char buf[COMPOSE_MAX];

static struct notify_notice notice(const char *text)
{
	struct notify_notice x = { .time = 1777636800000000000ull,
				   .flow = 5,
				   .session = 0xabcdef,
				   .count = 3,
				   .left_out = 2,
				   .on = TRIGGER_COMMAND,
				   .actions = TRIGGER_DO_FREEZE | TRIGGER_DO_NOTIFY,
				   .honeynet = "bees",
				   .honeypot = "web1",
				   .trigger = "dropper" };
	snprintf(x.text, sizeof(x.text), "%s", text);
	return x;
}

/* The header's lines: as many as there should be, of printable ASCII only. */
static void assert_header(const char *mail)
{
	static const char *const names[] = {
		"To: root@example.org\n",      "Subject: [skep ", "MIME-Version: ", "Content-Type: ",
		"Content-Transfer-Encoding: ", "Auto-Submitted: "
	};
	const char *p = mail;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(p, names[i], strlen(names[i])) != 0)
			fail_msg("line %zu of the header: %.60s", i, p);
		const char *end = strchr(p, '\n');
		assert_non_null(end);
		assert_true(end - p < 998);
		for (; p < end; p++)
			if (*p < 0x20 || *p > 0x7e)
				fail_msg("byte %02x in the header", (unsigned char)*p);
		p++;
	}
	assert_int_equal(*p, '\n');
	/* And no line of the body is a command to anybody. */
	for (; *p; p++)
		assert_true(((unsigned char)*p >= 0x20 && *p != 0x7f) || *p == '\n');
}

static void header_injection(void **state)
{
	(void)state;
	static const char *const evil[] = {
		"x\r\nBcc: thief@example.net",
		"x\nBcc: thief@example.net\n\nbody",
		"x\r\n\r\n.\r\nMAIL FROM:<a@example.net>",
		"\r\n.\r\n",
		"x\x0b\x0c\x85 Bcc: y",
		"\xe2\x80\xa8 Bcc: z",
		"x\rBcc: y",
		"\x1b]0;title\x07\x1b[2J",
	};
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		struct notify_notice x = notice(evil[i]);
		assert_true(compose_mail(buf, sizeof(buf), "root@example.org", &x) > 0);
		assert_header(buf);
		assert_null(strstr(buf, "\nBcc"));
		assert_null(strstr(buf, "\n.\n"));
	}
	/* Names, too, in case that anybody else than super should write them. */
	struct notify_notice x = notice("x");
	snprintf(x.trigger, sizeof(x.trigger), "a\nBcc: t@example.net");
	assert_true(compose_mail(buf, sizeof(buf), "root@example.org", &x) > 0);
	assert_header(buf);
}

static void random_texts(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		struct notify_notice x = notice("");
		size_t n = (size_t)rand() % (sizeof(x.text) - 1);
		for (size_t i = 0; i < n; i++)
			x.text[i] = (char)(1 + rand() % 255);
		assert_true(compose_mail(buf, sizeof(buf), "root@example.org", &x) > 0);
		assert_header(buf);
		size_t len = compose_json(buf, sizeof(buf), &x);
		assert_true(len > 1 && buf[len - 1] == '\n');
		assert_null(memchr(buf, '\n', len - 1));
		json_t *v = json_loadb(buf, len, 0, NULL);
		assert_non_null(v);
		json_decref(v);
	}
}

static void json_says_all(void **state)
{
	(void)state;
	struct notify_notice x = notice("wget \"http://192.0.2.1/\\x\"\n}{");
	size_t n = compose_json(buf, sizeof(buf), &x);
	json_t *v = json_loadb(buf, n, 0, NULL);
	assert_non_null(v);
	json_t *t = json_object_get(v, "trigger");
	assert_string_equal(json_string_value(json_object_get(t, "text")), x.text);
	assert_string_equal(json_string_value(json_object_get(t, "eventid")), "skep.trigger.command");
	assert_string_equal(json_string_value(json_object_get(t, "honeypot")), "web1");
	assert_string_equal(json_string_value(json_object_get(t, "session")), "000000abcdef");
	assert_int_equal(json_integer_value(json_object_get(t, "count")), 3);
	assert_int_equal(json_integer_value(json_object_get(t, "left_out")), 2);
	assert_int_equal(json_array_size(json_object_get(t, "actions")), 2);
	assert_int_equal(json_integer_value(json_object_get(v, "flow_id")), 5);
	json_decref(v);
}

static void addresses(void **state)
{
	(void)state;
	static const char *const good[] = { "root", "a.b+c@example.org", "x_y%z@host-1.example" };
	static const char *const bad[] = { "",
					   "-oQ/tmp",
					   "a b@example.org",
					   "a@example.org\nBcc: x",
					   "a@b@c",
					   "@x",
					   "a@",
					   "a,b@example.org",
					   "<a@example.org>",
					   "a@example.org;x",
					   "a\xc3\xa4@example.org" };
	struct notify_notice x = notice("x");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(compose_address_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(compose_address_ok(bad[i]));
		assert_int_equal(compose_mail(buf, sizeof(buf), bad[i], &x), 0);
	}
}

static void unterminated(void **state)
{
	(void)state;
	struct notify_notice x = notice("x");
	assert_true(compose_check(&x));
	memset(x.text, 'a', sizeof(x.text));
	assert_false(compose_check(&x));
	x = notice("x");
	memset(x.trigger, 'a', sizeof(x.trigger));
	assert_false(compose_check(&x));
	x = notice("x");
	x.on = TRIGGER_ON_COUNT;
	assert_false(compose_check(&x));
}

/* No window of its length holds more than the throttle says; nothing is lost
 * without being counted. */
static void throttle(void **state)
{
	(void)state;
	struct queue q = { 0 };
	struct notify_notice x = notice("x"), out;
	uint64_t went[64];
	unsigned n = 0, counted = 0;
	x.left_out = 0;
	assert_int_equal(queue_limit(&q, &(struct limit){ 3, 10 }), 0);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t now = 100 * SEC + i * SEC / 10;
		if (queue_put(&q, &x, now)) {
			went[n++] = now;
			assert_true(queue_take(&q, &out));
			counted += 1 + out.left_out;
		}
	}
	counted += q.left_out;
	assert_int_equal(counted, 400);
	assert_int_equal(n, 12);
	for (unsigned i = 3; i < n; i++)
		assert_true(went[i] - went[i - 3] >= 10 * SEC);
	/* A changed limit remembers; the queue itself has an end. */
	assert_int_equal(queue_limit(&q, &(struct limit){ 4, 10 }), 0);
	assert_true(queue_put(&q, &x, 139 * SEC + SEC / 2));
	assert_false(queue_put(&q, &x, 139 * SEC + SEC / 2));
	assert_int_equal(queue_limit(&q, &(struct limit){ 0, 0 }), 0);
	unsigned fit = 0;
	while (queue_put(&q, &x, 140 * SEC))
		fit++;
	assert_int_equal(fit, QUEUE_MAX - 1);
	queue_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_injection), cmocka_unit_test(random_texts), cmocka_unit_test(json_says_all),
		cmocka_unit_test(addresses),        cmocka_unit_test(unterminated), cmocka_unit_test(throttle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
