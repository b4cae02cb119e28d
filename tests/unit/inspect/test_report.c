/* SPDX-License-Identifier: ISC */
/* What Suricata reports, and what somebody would who owned it. */
#include "proc/inspect/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* As Suricata 7.0.10 writes it. */
#define ALERT                                                                                                          \
	"{\"timestamp\":\"2026-11-23T15:54:22.237753+0000\",\"flow_id\":1,\"in_iface\":\"out0\",\"event_type\":"       \
	"\"alert\","                                                                                                   \
	"\"src_ip\":\"198.51.100.1\",\"src_port\":1000,\"dest_ip\":\"192.0.2.10\",\"dest_port\":2000,\"proto\":"       \
	"\"UDP\","                                                                                                     \
	"\"alert\":{\"action\":\"blocked\",\"gid\":1,\"signature_id\":7,\"rev\":2,\"signature\":\"found it\","         \
	"\"category\":\"Misc activity\",\"severity\":3}}"

static struct gw_alert a;
static uint64_t packets;

static enum report eve(const char *s)
{
	return report_eve(s, strlen(s), &a, &packets);
}

static void test_alert(void **state)
{
	(void)state;
	assert_int_equal(eve(ALERT), REPORT_ALERT);
	assert_int_equal(a.signature, 7);
	assert_int_equal(a.gid, 1);
	assert_int_equal(a.rev, 2);
	assert_int_equal(a.severity, 3);
	assert_int_equal(a.family, 4);
	assert_int_equal(a.proto, 17);
	assert_int_equal(a.sport, 1000);
	assert_int_equal(a.dport, 2000);
	assert_int_equal(a.blocked, 1);
	assert_int_equal(a.time, 1795449262237753000ull);
	assert_memory_equal(a.saddr, ((uint8_t[]){ 198, 51, 100, 1, 0 }), 5);
	assert_string_equal(a.text, "found it");
	assert_string_equal(a.category, "Misc activity");
}

static void test_others(void **state)
{
	(void)state;
	assert_int_equal(eve("{\"event_type\":\"flow\"}"), REPORT_OTHER);
	assert_int_equal(eve("{\"event_type\":\"stats\",\"stats\":{\"decoder\":{\"pkts\":77}}}"), REPORT_STATS);
	assert_int_equal(packets, 77);
	assert_int_equal(eve("{\"event_type\":\"stats\",\"stats\":{\"decoder\":{\"pkts\":-1}}}"), REPORT_BAD);
	assert_int_equal(packets, 77);
}

/* One thing of it is wrong. */
static enum report with(const char *what, const char *instead)
{
	char s[2048];
	const char *at = strstr(ALERT, what);
	assert_non_null(at);
	snprintf(s, sizeof(s), "%.*s%s%s", (int)(at - ALERT), ALERT, instead, at + strlen(what));
	return eve(s);
}

static void test_hostile(void **state)
{
	(void)state;
	static const char *const bad[][2] = {
		{ "198.51.100.1", "198.51.100.256" },
		{ "198.51.100.1", "2001:db8::1" }, /* of another family than the other */
		{ "\"src_port\":1000", "\"src_port\":65536" },
		{ "\"src_port\":1000", "\"src_port\":\"1000\"" },
		{ "\"src_port\":1000", "\"src_port\":-1" },
		{ "\"UDP\"", "\"NONSENSE\"" },
		{ "\"UDP\"", "\"256\"" },
		{ "\"UDP\"", "17" },
		{ "\"signature_id\":7", "\"signature_id\":4294967296" },
		{ "\"signature_id\":7", "\"signature_id\":0" },
		{ "\"signature_id\":7", "\"signature_id\":7,\"signature_id\":8" },
		{ "\"alert\":{", "\"other\":{" },
		{ "}}", "}" },
	};
	struct gw_alert was = { .signature = 99 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = was;
		assert_int_equal(with(bad[i][0], bad[i][1]), REPORT_BAD);
		assert_memory_equal(&a, &was, sizeof(a));
	}
	assert_int_equal(eve(""), REPORT_BAD);
	assert_int_equal(eve("[]"), REPORT_BAD);
	assert_int_equal(eve("{}"), REPORT_BAD);
	assert_int_equal(eve("{\"event_type\":7}"), REPORT_BAD);
	assert_int_equal(report_eve("\0\0\0", 3, &a, &packets), REPORT_BAD);
	/* Nested deep, and long. */
	static char deep[60000];
	memset(deep, '[', sizeof(deep));
	assert_int_equal(report_eve(deep, sizeof(deep), &a, &packets), REPORT_BAD);
	static char big[REPORT_MAX + 1];
	assert_int_equal(report_eve(big, sizeof(big), &a, &packets), REPORT_BAD);
	/* Texts are cut, and obey nobody. */
	char text[1200] = "\\u001b[31m";
	memset(text + strlen(text), 'x', 1000);
	text[1010] = 0;
	assert_int_equal(with("found it", text), REPORT_ALERT);
	assert_null(strchr(a.text, 27));
	assert_non_null(memchr(a.text, 0, sizeof(a.text)));
	/* No time is no reason to lose it. */
	assert_int_equal(with("2026-11-23T", "yesterday "), REPORT_ALERT);
	assert_int_equal(a.time, 0);
}

static void test_log(void **state)
{
	(void)state;
	struct inspect_state s = { 0 };
#define LOG(text) report_log(text, strlen(text), &s)
	assert_int_equal(LOG("Notice: suricata: This is Suricata version 7.0.10 RELEASE running in SYSTEM mode"),
			 LOG_KIND_VERSION);
	assert_string_equal(s.version, "7.0.10");
	assert_int_equal(LOG("Info: detect: 1 rule files processed. 5 rules successfully loaded, 1 rules failed, 0"),
			 LOG_KIND_RULES);
	assert_int_equal(s.loaded, 5);
	assert_int_equal(s.failed, 1);
	assert_int_equal(LOG("Notice: threads: Threads created -> W: 2 FM: 1 FR: 1   Engine started."),
			 LOG_KIND_STARTED);
	assert_int_equal(LOG("Error: detect: error parsing signature"), LOG_KIND_PROBLEM);
	assert_string_equal(s.text, "detect: error parsing signature");
	assert_int_equal(LOG("Info: cpu: CPUs/cores online: 2"), LOG_KIND_OTHER);
	assert_int_equal(LOG("E: \033[31mred"), LOG_KIND_PROBLEM);
	assert_null(strchr(s.text, 27));
	static char longest[4096];
	memset(longest, 'E', sizeof(longest));
	assert_int_equal(report_log(longest, sizeof(longest), &s), LOG_KIND_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
