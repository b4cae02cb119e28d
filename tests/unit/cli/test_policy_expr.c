/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/policy_expr.h"

#include <errno.h>

static struct expr x;
static struct err e;

static int honeypot(void *arg, const char *name)
{
	(void)arg;
	return !strcmp(name, "web") ? 3 : !strcmp(name, "192.0.2.10") ? 4 : -1;
}

static int parse(const char *text)
{
	memset(&e, 0, sizeof(e));
	return expr_parse(text, honeypot, NULL, &x, &e);
}

/* 300 bytes to 198.51.100.25:25 by TCP, which honeypot 3 began. */
static struct judge_conversation mail(void)
{
	struct judge_conversation c = { .honeypot = 3,
					.kind = JUDGE_BEGAN,
					.family = 4,
					.proto = 6,
					.sport = 4000,
					.dport = 25,
					.src = { 192, 0, 2, 10 },
					.dst = { 198, 51, 100, 25 } };
	c.fate[0].left_packets = 5;
	c.fate[0].left_bytes = 300;
	return c;
}

static bool names(const char *text, const struct judge_conversation *c)
{
	if (parse(text))
		fail_msg("%s: %s", text, e.text);
	return expr_names(&x, c);
}

static void words(void **state)
{
	(void)state;
	struct judge_conversation c = mail();
	static const char *const yes[] = {
		"any",
		"tcp",
		"port 25",
		"port 20-30",
		"port 0-65535",
		"net 198.51.100.0/24",
		"host 198.51.100.25",
		"honeypot web",
		"bytes > 299",
		"bytes >= 300",
		"bytes < 1k",
		"bytes <= 300",
		"packets > 4",
		"proto 6",
		"began",
		"not udp",
		"!udp",
		"not not tcp",
		"( ( tcp ) )",
		"not (udp or icmp)",
		"bytes>299",
	};
	static const char *const no[] = {
		"udp",
		"icmp",
		"port 26",
		"port 26-30",
		"net 192.0.2.0/24",
		"host 198.51.100.24",
		"honeypot 192.0.2.10",
		"bytes > 300",
		"bytes >= 301",
		"bytes < 300",
		"packets > 5",
		"proto 17",
		"reply",
		"resolution",
		"not any",
		"net 2001:db8::/32",
		"bytes > 1M",
	};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!names(yes[i], &c))
			fail_msg("%s does not name it", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (names(no[i], &c))
			fail_msg("%s names it", no[i]);
	assert_false(names("port 4000", &c)); /* its own */
}

static void order(void **state)
{
	(void)state;
	struct judge_conversation c = mail();
	assert_true(names("tcp or udp and udp", &c)); /* and before or */
	assert_false(names("(tcp or udp) and udp", &c));
	assert_true(names("udp and udp or tcp", &c));
	assert_false(names("not tcp or udp", &c)); /* not before or */
	assert_true(names("not udp and tcp", &c));
	assert_false(names("not (tcp and port 25)", &c));
	assert_true(names("tcp && !udp || icmp", &c));
	assert_true(names("udp or icmp or port 25 and bytes > 1 and not net 10.0.0.0/8", &c));
}

static void what_is_asked(void **state)
{
	(void)state;
	struct judge_conversation c = mail();
	c.fate[0].left_packets = 0;
	assert_false(names("any", &c)); /* nothing left */
	c = mail();
	c.kind = JUDGE_REPLY;
	assert_false(names("any", &c));
	assert_false(names("tcp and bytes > 1", &c));
	assert_true(names("reply", &c));
	assert_true(names("reply and bytes > 1", &c));
	assert_true(names("udp or reply", &c));
	assert_true(names("host 192.0.2.10 and reply", &c)); /* the side outside began it */
	assert_false(names("host 198.51.100.25 and reply", &c));
	c.kind = JUDGE_RESOLUTION;
	c.family = 0;
	assert_false(names("any", &c));
	assert_false(names("reply or any", &c));
	assert_true(names("resolution", &c));
	assert_false(names("resolution and tcp", &c));
}

static void rewritten(void **state)
{
	(void)state;
	struct judge_conversation c = mail();
	c.fate[0].to_family = 6;
	c.fate[0].to_port = 2525;
	memcpy(c.fate[0].to_addr, (uint8_t[4]){ 0x20, 0x01, 0x0d, 0xb8 }, 4);
	assert_true(names("net 2001:db8::/32", &c));
	assert_true(names("port 2525", &c));
	assert_true(names("host 198.51.100.25", &c));
}

static void families(void **state)
{
	(void)state;
	struct judge_conversation c = mail();
	c.proto = 58;
	assert_false(names("icmp", &c));
	c.family = 6;
	assert_true(names("icmp", &c));
	assert_false(names("port 25", &c));
	c.proto = 1;
	assert_false(names("icmp", &c));
}

static void mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *column, *says;
	} wrong[] = {
		{ "", "column 1:", "ends there" },
		{ "   ", "column 4:", "ends there" },
		{ "tpc", "column 1:", "\"tpc\"" },
		{ "tcp udp", "column 5:", "\"and\" or \"or\"" },
		{ "tcp and", "column 8:", "ends there" },
		{ "(tcp", "column 5:", "\")\"" },
		{ "tcp)", "column 4:", "\")\"" },
		{ "()", "column 2:", "\")\"" },
		{ "port", "column 5:", "a port" },
		{ "port x", "column 6:", "a port" },
		{ "port 65536", "column 6:", "a port" },
		{ "port 20-10", "column 6:", "a range" },
		{ "port 20-", "column 6:", "a range" },
		{ "port -1", "column 6:", "a port" },
		{ "tcp and port 1x", "column 14:", "a port" },
		{ "net 192.0.2.1", "column 5:", "a prefix" },
		{ "net 192.0.2.1/24", "column 5:", "without bits" },
		{ "host 192.0.2.0/24", "column 6:", "an address" },
		{ "honeypot nobody", "column 10:", "the name of a honeypot" },
		{ "honeypot", "column 9:", "the name of a honeypot" },
		{ "bytes 5", "column 7:", "one of >" },
		{ "bytes > x", "column 9:", "a number" },
		{ "proto 256", "column 7:", "a protocol" },
		{ "tcp \x1b[31m", "column 5:", "\\x1b" },
		{ "not", "column 4:", "ends there" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (parse(wrong[i].text) != -EINVAL)
			fail_msg("%s is let through", wrong[i].text);
		if (!strstr(e.text, wrong[i].column) || !strstr(e.text, wrong[i].says))
			fail_msg("%s: %s", wrong[i].text, e.text);
	}
}

static void bounds(void **state)
{
	(void)state;
	char text[4096];
	memset(text, '(', 40);
	memcpy(text + 40, "tcp", 4);
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(e.text, "nested too deeply"));
	text[0] = 0;
	for (int i = 0; i < 100; i++)
		strcat(text, i ? " or tcp" : "tcp");
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(e.text, "more than"));
	memset(text, 'x', 500);
	text[500] = 0;
	assert_int_equal(parse(text), -EINVAL);
	/* Nothing is changed by a mistake. */
	struct judge_conversation c = mail();
	assert_int_equal(parse("tcp"), 0);
	assert_int_equal(parse("udp ("), -EINVAL);
	assert_true(expr_names(&x, &c));
	/* The deepest that is allowed. */
	memset(text, 0, sizeof(text));
	memset(text, '(', 32);
	strcat(text, "tcp");
	memset(text + 35, ')', 32);
	assert_true(names(text, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),     cmocka_unit_test(order),    cmocka_unit_test(what_is_asked),
		cmocka_unit_test(rewritten), cmocka_unit_test(families), cmocka_unit_test(mistakes),
		cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
