/* SPDX-License-Identifier: ISC */
/* The bytes of the formats: JSON, community ids, flow events, pcapng blocks. */
#include "base/json.h"
#include "proc/evidence/eve.h"
#include "proc/evidence/pcapng.h"
#include "proto/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_json_shape(void **state)
{
	(void)state;
	char buf[512];
	struct json j;
	json_init(&j, buf, sizeof(buf));
	json_obj(&j, NULL);
	json_str(&j, "a", "x\"\\\n\t");
	json_arr(&j, "b");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, -5);
	json_obj(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_bool(&j, "c", false);
	json_hex(&j, "h", "\x00\xff", 2);
	json_end(&j);
	json_newline(&j);
	assert_false(j.full);
	static const char want[] =
	    "{\"a\":\"x\\\"\\\\\\n\\t\",\"b\":[18446744073709551615,-5,{}],\"c\":false,\"h\":\"00ff\"}\n";
	assert_int_equal(j.n, sizeof(want) - 1);
	assert_memory_equal(buf, want, j.n);
}

static void test_json_full(void **state)
{
	(void)state;
	char buf[64];
	/* Whatever the size: never beyond it, and full is said. */
	for (size_t cap = 0; cap < 40; cap++) {
		struct json j;
		memset(buf, '#', sizeof(buf));
		json_init(&j, buf, cap);
		json_obj(&j, NULL);
		json_str(&j, "key", "0123456789\x01\x02\x03");
		json_end(&j);
		assert_true(j.n <= cap);
		assert_int_equal(j.full, cap < 38);
		assert_int_equal(buf[cap], '#');
	}
	struct json j;
	char deep[256];
	json_init(&j, deep, sizeof(deep));
	for (int i = 0; i < 40; i++)
		json_arr(&j, NULL);
	assert_true(j.full);
}

/* Any bytes at all give a text that a strict parser takes, and that holds no
 * control characters. */
static void test_json_hostile(void **state)
{
	(void)state;
	uint8_t in[64];
	char buf[1024];
	uint32_t x = 1;
	for (int round = 0; round < 5000; round++) {
		size_t n = (size_t)round % sizeof(in);
		for (size_t i = 0; i < n; i++) {
			x = x * 1664525u + 1013904223u;
			in[i] = (uint8_t)(x >> 24);
			if (x & 0x800)
				in[i] |= 0xc0;
		}
		struct json j;
		json_init(&j, buf, sizeof(buf));
		json_obj(&j, NULL);
		json_bytes(&j, "x", in, n);
		json_end(&j);
		assert_false(j.full);
		for (size_t i = 0; i < j.n; i++)
			assert_true((uint8_t)buf[i] >= 0x20 && buf[i] != 0x7f);
		json_error_t err;
		json_t *t = json_loadb(buf, j.n, JSON_ALLOW_NUL, &err);
		assert_non_null(t);
		json_decref(t);
	}
	struct json j;
	json_init(&j, buf, sizeof(buf));
	json_obj(&j, NULL);
	json_bytes(&j, "x", "a\xff\x1b[2J\xe2\x80\xae\xc3\xa9", 11);
	json_end(&j);
	static const char want[] = "{\"x\":\"a\\ufffd\\u001b[2J\\u202e\xc3\xa9\"}";
	assert_int_equal(j.n, sizeof(want) - 1);
	assert_memory_equal(buf, want, j.n);
}

static void test_json_time(void **state)
{
	(void)state;
	static const struct {
		uint64_t sec;
		const char *text;
	} t[] = {
		{ 0, "1970-01-01T00:00:00.000001+0000" },          { 951782399, "2000-02-28T23:59:59.000001+0000" },
		{ 951782400, "2000-02-29T00:00:00.000001+0000" },  { 1709251199, "2024-02-29T23:59:59.000001+0000" },
		{ 1767225599, "2025-12-31T23:59:59.000001+0000" }, { 4107542400, "2100-03-01T00:00:00.000001+0000" }
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char buf[JSON_TIME];
		assert_int_equal(json_time_text(buf, t[i].sec * 1000000000u + 1999), 31);
		assert_string_equal(buf, t[i].text);
	}
}

static void cid(const char *src, unsigned sp, const char *dst, unsigned dp, unsigned proto, const char *want)
{
	uint8_t a[16] = { 0 }, b[16] = { 0 };
	char out[COMMUNITY_ID];
	unsigned family = strchr(src, ':') ? 6 : 4;
	assert_int_equal(inet_pton(family == 4 ? AF_INET : AF_INET6, src, a), 1);
	assert_int_equal(inet_pton(family == 4 ? AF_INET : AF_INET6, dst, b), 1);
	assert_true(community_id(out, family, a, b, (uint16_t)sp, (uint16_t)dp, (uint8_t)proto));
	assert_string_equal(out, want);
}

/* Vectors of the specification. */
static void test_community_id(void **state)
{
	(void)state;
	cid("128.232.110.120", 34855, "66.35.250.204", 80, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	cid("66.35.250.204", 80, "128.232.110.120", 34855, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	cid("192.168.1.52", 54585, "8.8.8.8", 53, 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
	cid("8.8.8.8", 53, "192.168.1.52", 54585, 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
	cid("192.168.0.89", 8, "192.168.0.1", 0, 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
	cid("192.168.0.1", 0, "192.168.0.89", 8, 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
	cid("fe80::200:86ff:fe05:80da", 135, "fe80::260:97ff:fe07:69ea", 0, 58, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
	cid("fe80::260:97ff:fe07:69ea", 136, "fe80::200:86ff:fe05:80da", 0, 58, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
	cid("192.168.170.8", 7, "192.168.170.56", 80, 132, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
}

static const char *name_of(void *arg, uint16_t port)
{
	(void)arg;
	return port == 0 ? "web" : port == PORT_UPLINK(0) ? "uplink-dmz" : NULL;
}

static const char *net_of(void *arg, uint16_t port)
{
	(void)arg;
	(void)port;
	return "dmz";
}

static const struct eve eve = { .honeynet = "demo", .sensor = "host", .port_name = name_of, .port_network = net_of };

static void test_flow_event(void **state)
{
	(void)state;
	struct ring_flow f = { .id = 77,
			       .start = 1000000000000000000ull,
			       .last = 1000000002500000000ull,
			       .bytes_toserver = 300,
			       .bytes_toclient = 400,
			       .pkts_toserver = 3,
			       .pkts_toclient = 4,
			       .dropped_toserver = 1,
			       .dropped_toclient = 2,
			       .src_slot = PORT_UPLINK(0),
			       .dst_slot = 0,
			       .src_port = 34855,
			       .dst_port = 80,
			       .family = 4,
			       .proto = 6,
			       .state = FLOW_CLOSED,
			       .end = FLOW_END_CLOSED,
			       .verdict = VERDICT_FORWARD,
			       .reason = REASON_INBOUND,
			       .tcp_flags_ts = 0x1b,
			       .tcp_flags_tc = 0x1a,
			       .rule = 3,
			       .player = 0,
			       .player_sport = 40001,
			       .player_dport = 8080,
			       .src = { 128, 232, 110, 120 },
			       .dst = { 66, 35, 250, 204 } };
	char buf[4096];
	struct json j;
	json_init(&j, buf, sizeof(buf));
	eve_flow(&eve, &j, &f, "worms", 1000000003000000000ull);
	assert_false(j.full);
	static const char want[] =
	    "{\"timestamp\":\"2001-09-09T01:46:43.000000+0000\",\"flow_id\":77,\"event_type\":\"flow\","
	    "\"src_ip\":\"128.232.110.120\",\"src_port\":34855,\"dest_ip\":\"66.35.250.204\",\"dest_port\":80,"
	    "\"proto\":\"TCP\",\"honeynet\":\"demo\",\"sensor\":\"host\","
	    "\"flow\":{\"pkts_toserver\":3,\"pkts_toclient\":4,\"bytes_toserver\":300,\"bytes_toclient\":400,"
	    "\"start\":\"2001-09-09T01:46:40.000000+0000\",\"end\":\"2001-09-09T01:46:42.500000+0000\",\"age\":2,"
	    "\"state\":\"closed\",\"reason\":\"timeout\",\"alerted\":false},"
	    "\"community_id\":\"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\","
	    "\"tcp\":{\"tcp_flags\":\"1b\",\"tcp_flags_ts\":\"1b\",\"tcp_flags_tc\":\"1a\",\"fin\":true,\"syn\":true,"
	    "\"psh\":true,\"ack\":true},"
	    "\"skep\":{\"honeypot\":\"web\",\"network\":\"dmz\",\"direction\":\"inbound\",\"verdict\":\"forward\","
	    "\"reason\":\"inbound\",\"rule\":\"worms\",\"player\":\"web\",\"player_src_port\":40001,"
	    "\"player_dest_port\":8080,\"dropped_toserver\":1,\"dropped_toclient\":2,\"end\":\"closed\"}}\n";
	buf[j.n] = 0;
	assert_string_equal(buf, want);
}

static void test_operator_event(void **state)
{
	(void)state;
	struct ev_event v = { .time = 1,
			      .request = 9,
			      .uid = 1000,
			      .type = "operator",
			      .eventid = "skep.reset",
			      .honeypot = "web",
			      .message = "a\x1b]0;b" };
	char buf[1024];
	struct json j;
	json_init(&j, buf, sizeof(buf));
	eve_event(&eve, &j, &v, "super", 5);
	buf[j.n] = 0;
	assert_string_equal(
	    buf,
	    "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"operator\","
	    "\"honeynet\":\"demo\",\"sensor\":\"host\",\"operator\":{\"eventid\":\"skep.reset\","
	    "\"honeypot\":\"web\",\"message\":\"a\\u001b]0;b\",\"source\":\"super\",\"request\":\"0000000000000009\","
	    "\"uid\":1000}}\n");
}

static void test_pcapng_bytes(void **state)
{
	(void)state;
	uint8_t b[1024];
	static const uint8_t shb[] = { 0x0a, 0x0d, 0x0d, 0x0a, 40,   0,    0,    0,    0x4d, 0x3c, 0x2b, 0x1a, 1, 0,
				       0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 4,    0,    3, 0,
				       'a',  'p',  'p',  0,    0,    0,    0,    0,    40,   0,    0,    0 };
	assert_int_equal(pcapng_shb(b, sizeof(b), NULL, "", "app"), sizeof(shb));
	assert_memory_equal(b, shb, sizeof(shb));

	struct addr a[2] = { { .family = 4, .plen = 20, .b = { 192, 0, 2, 7 } },
			     { .family = 6, .plen = 64, .b = { 0x20, 1 } } };
	struct pcapng_if i = { .name = "web", .mac = { 2, 0, 0, 0, 0, 1 }, .naddrs = 2, .addrs = a };
	static const uint8_t idb[] = { 1, 0, 0,   0,   92,   0, 0, 0, 1, 0, 0,   0, 0,  0, 0,   0,   2,   0,
				       3, 0, 'w', 'e', 'b',  0, 4, 0, 8, 0, 192, 0, 2,  7, 255, 255, 240, 0,
				       5, 0, 17,  0,   0x20, 1, 0, 0, 0, 0, 0,   0, 0,  0, 0,   0,   0,   0,
				       0, 0, 64,  0,   0,    0, 6, 0, 6, 0, 2,   0, 0,  0, 0,   1,   0,   0,
				       9, 0, 1,   0,   9,    0, 0, 0, 0, 0, 0,   0, 92, 0, 0,   0 };
	size_t n = pcapng_idb(b, sizeof(b), &i);
	assert_int_equal(n, 88);
	assert_memory_equal(b + 8, idb + 8, 76);

	struct pcapng_packet p = { .interface = 1,
				   .time = 0x1122334455667788ull,
				   .caplen = 5,
				   .wirelen = 9,
				   .data = (const uint8_t *)"hello",
				   .dir = PCAPNG_OUTBOUND,
				   .id = 3,
				   .comment = "c" };
	static const uint8_t epb[] = { 6,    0,    0,    0,    76,   0, 0, 0, 1,  0, 0,   0, 0x44, 0x33, 0x22,
				       0x11, 0x88, 0x77, 0x66, 0x55, 5, 0, 0, 0,  9, 0,   0, 0,    'h',  'e',
				       'l',  'l',  'o',  0,    0,    0, 1, 0, 1,  0, 'c', 0, 0,    0,    2,
				       0,    4,    0,    2,    0,    0, 0, 5, 0,  8, 0,   3, 0,    0,    0,
				       0,    0,    0,    0,    0,    0, 0, 0, 72, 0, 0,   0 };
	n = pcapng_epb(b, sizeof(b), &p);
	assert_int_equal(n, 72);
	assert_memory_equal(b + 8, epb + 8, 64);
	assert_int_equal(b[4], 72);
	assert_int_equal(pcapng_epb(b + 512, 71, &p), 0);
	assert_int_equal(pcapng_whole(b, 72), 72);
	for (size_t k = 0; k < 72; k++)
		assert_int_equal(pcapng_whole(b, k), 0);
}

static int setup(void **state)
{
	(void)state;
	struct err e;
	return sodium_init() < 0 ? -1 : eve_init(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_shape),     cmocka_unit_test(test_json_full),
		cmocka_unit_test(test_json_hostile),   cmocka_unit_test(test_json_time),
		cmocka_unit_test(test_community_id),   cmocka_unit_test(test_flow_event),
		cmocka_unit_test(test_operator_event), cmocka_unit_test(test_pcapng_bytes),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
