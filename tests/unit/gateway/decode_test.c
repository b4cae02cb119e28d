/* SPDX-License-Identifier: ISC */
#include "tests.h"

#include "proc/gateway/checksum.h"
#include "proc/gateway/decode.h"

static uint8_t buf[CRAFT_MAX];

static struct frame decoded(const struct craft *c)
{
	struct frame f = { .check_sums = 1 };
	size_t n = craft(c, buf);
	f.bytes = slice_of(buf, n);
	f.wirelen = (uint32_t)n;
	decode(&f);
	return f;
}

#define DECODE(...) decoded(&(struct craft){ __VA_ARGS__ })
#define assert_why(f, want) assert_string_equal(reason_name((f).reason), reason_name(want))

static void transports(void **state)
{
	(void)state;
	struct frame f = DECODE(OUT, .proto = 6, .sport = 1000, .dport = 22, .flags = TCP_SYN);
	assert_why(f, REASON_NONE);
	assert_int_equal(f.l3, L3_IP4);
	assert_int_equal(f.t.family, 4);
	assert_int_equal(f.t.sport, 1000);
	assert_int_equal(f.t.dport, 22);
	assert_int_equal(f.tcp_flags, TCP_SYN);
	assert_memory_equal(f.t.saddr, ((uint8_t[16]){ 192, 0, 2, 10 }), 16);
	f = DECODE(OUT6, .proto = 17, .sport = 5, .dport = 53, .payload = 31);
	assert_why(f, REASON_NONE);
	assert_int_equal(f.t.family, 6);
	assert_int_equal(f.t.proto, 17);
	assert_int_equal(f.t.dport, 53);
	f = DECODE(OUT, .proto = 1, .icmp_type = 8, .icmp_id = 77, .payload = 56);
	assert_int_equal(f.icmp_kind, ICMP_KIND_REQUEST);
	assert_int_equal(f.icmp_id, 77);
	f = DECODE(OUT6, .proto = 58, .icmp_type = 129, .icmp_id = 78);
	assert_int_equal(f.icmp_kind, ICMP_KIND_ANSWER);
	f = DECODE(OUT, .proto = 47, .payload = 20);
	assert_why(f, REASON_NONE);
	assert_true(f.has_l4);
	f = DECODE(OUT, .proto = 6, .options = "01010100", .flags = TCP_SYN, .payload = 3, .pad = 100);
	assert_why(f, REASON_NONE);
	assert_int_equal(f.l4.n, 23);
}

static void other_layers(void **state)
{
	(void)state;
	struct frame f =
	    DECODE(.smac = world_mac(0), .dmac = ROUTER_MAC, .arp_op = 1, .src = "192.0.2.10", .dst = "192.0.2.1");
	assert_why(f, REASON_NONE);
	assert_int_equal(f.l3, L3_ARP);
	assert_memory_equal(f.arp.tpa, ((uint8_t[]){ 192, 0, 2, 1 }), 4);
	assert_int_equal(DECODE(OUT, .proto = 17, .vlan = 5).l3, L3_VLAN);
	assert_int_equal(DECODE(.smac = world_mac(0), .dmac = ROUTER_MAC, .ethertype = 0x27, .payload = 40).l3, L3_LLC);
	assert_int_equal(DECODE(.smac = world_mac(0), .dmac = ROUTER_MAC, .ethertype = 0x9000, .payload = 40).l3,
			 L3_OTHER);
}

static void checksums(void **state)
{
	(void)state;
	assert_why(DECODE(OUT, .proto = 17, .payload = 9, .bad_sum = true), REASON_CHECKSUM);
	assert_why(DECODE(OUT, .proto = 6, .payload = 9, .bad_sum = true), REASON_CHECKSUM);
	assert_why(DECODE(OUT, .proto = 1, .icmp_type = 8, .bad_sum = true), REASON_CHECKSUM);
	assert_why(DECODE(OUT6, .proto = 58, .icmp_type = 128, .bad_sum = true), REASON_CHECKSUM);
	assert_why(DECODE(OUT, .proto = 17, .bad_ip_sum = true), REASON_CHECKSUM);
	/* IPv4 UDP may go without one, IPv6 may not. */
	assert_why(DECODE(OUT, .proto = 17, .no_sum = true), REASON_NONE);
	assert_why(DECODE(OUT6, .proto = 17, .no_sum = true), REASON_CHECKSUM);
	struct frame f = { 0 };
	size_t n = craft(&(struct craft){ OUT, .proto = 17, .bad_sum = true, .bad_ip_sum = true }, buf);
	f.bytes = slice_of(buf, n);
	decode(&f); /* not asked to verify */
	assert_why(f, REASON_NONE);
}

static void sum_of_every_length(void **state)
{
	(void)state;
	uint8_t b[100];
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 37 + 200);
	for (size_t n = 0; n <= sizeof(b); n++)
		assert_int_equal(checksum_fold(checksum_add(0x1234, b, n)), (uint16_t)~craft_sum(b, n, 0x1234));
	memset(b, 0xff, sizeof(b));
	assert_int_equal(checksum_fold(checksum_add(0xffffffff, b, sizeof(b))), 0xffff);
}

/* Cut at every length: never forwarded as something else, never read too far
 * (under the sanitizer). */
static void every_cut(void **state)
{
	(void)state;
	const struct craft all[] = {
		{ OUT, .proto = 6, .flags = TCP_SYN, .options = "94040000" },
		{ OUT, .proto = 17, .payload = 5 },
		{ OUT6, .proto = 17, .payload = 5, .exts = "hdma" },
		{ OUT, .proto = 1, .icmp_type = 3, .payload = 40 },
		{ .smac = world_mac(0), .dmac = ROUTER_MAC, .arp_op = 1, .src = "192.0.2.10", .dst = "192.0.2.1" },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t whole = craft(&all[i], buf);
		for (size_t n = 0; n < whole; n++) {
			uint8_t *copy = malloc(n ? n : 1);
			memcpy(copy, buf, n);
			struct frame f = { .check_sums = 1, .bytes = slice_of(copy, n) };
			decode(&f);
			assert_int_equal(f.verdict, VERDICT_DROP);
			free(copy);
		}
	}
}

static void lengths(void **state)
{
	(void)state;
	assert_why(DECODE(OUT, .proto = 17, .payload = 9, .total_less = 1), REASON_MALFORMED);
	assert_why(DECODE(OUT6, .proto = 17, .payload = 9, .total_less = 1), REASON_MALFORMED);
	size_t n = craft(&(struct craft){ OUT, .proto = 6 }, buf);
	buf[14 + 20 + 12] = 4 << 4; /* data offset below the header */
	struct frame f = { .bytes = slice_of(buf, n) };
	decode(&f);
	assert_why(f, REASON_MALFORMED);
	buf[14 + 20 + 12] = 15 << 4; /* beyond the end */
	f = (struct frame){ .bytes = slice_of(buf, n) };
	decode(&f);
	assert_why(f, REASON_MALFORMED);
	buf[14] = 0x44; /* header of 16 bytes */
	f = (struct frame){ .bytes = slice_of(buf, n) };
	decode(&f);
	assert_why(f, REASON_MALFORMED);
	buf[14] = 0x65; /* IPv6 in the EtherType of IPv4 */
	f = (struct frame){ .bytes = slice_of(buf, n) };
	decode(&f);
	assert_why(f, REASON_MALFORMED);
}

static void extensions(void **state)
{
	(void)state;
	struct frame f = DECODE(OUT6, .proto = 17, .exts = "hdad", .dport = 9);
	assert_why(f, REASON_NONE);
	assert_int_equal(f.exts, 4);
	assert_int_equal(f.t.dport, 9);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "dd"), REASON_NONE); /* the second one is the last of all */
	assert_why(DECODE(OUT6, .proto = 17, .exts = "ddd"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "hh"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "aa"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "dda"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "hdddddddd"), REASON_EXTENSION);
	/* nobody could say what follows */
	assert_why(DECODE(OUT6, .proto = 253), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 200, .exts = "h"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 132), REASON_NONE);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "r"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "R"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 17, .exts = "dh"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 6, .exts = "m"), REASON_EXTENSION);
	assert_why(DECODE(OUT6, .proto = 6, .exts = "a"), REASON_NONE);
	/* options: padding that carries something, a jumbogram, one that is cut */
	static const struct {
		uint8_t kind, len, byte, why;
	} options[] = { { 1, 4, 0, REASON_NONE },
			{ 1, 4, 7, REASON_EXTENSION },
			{ 0xc2, 4, 0, REASON_EXTENSION },
			{ 1, 5, 0, REASON_MALFORMED },
			{ 5, 4, 1, REASON_NONE } };
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		size_t n = craft(&(struct craft){ OUT6, .proto = 17, .exts = "h" }, buf);
		buf[56] = options[i].kind;
		buf[57] = options[i].len;
		buf[59] = options[i].byte;
		f = (struct frame){ .bytes = slice_of(buf, n), .wirelen = (uint32_t)n };
		decode(&f);
		assert_why(f, options[i].why);
	}
	/* routes and times of IPv4 */
	assert_why(DECODE(OUT, .proto = 17, .options = "070704c0000201 00"), REASON_EXTENSION);
	assert_why(DECODE(OUT, .proto = 17, .options = "44080500 00000000"), REASON_EXTENSION);
	/* source routing of IPv4 */
	assert_why(DECODE(OUT, .proto = 17, .options = "830704c0000201 00"), REASON_EXTENSION);
	assert_why(DECODE(OUT, .proto = 17, .options = "890704c0000201 00"), REASON_EXTENSION);
	assert_why(DECODE(OUT, .proto = 17, .options = "0701 0000"), REASON_MALFORMED);
	assert_why(DECODE(OUT, .proto = 17, .options = "072c 0000"), REASON_MALFORMED);
}

static void fragments(void **state)
{
	(void)state;
	struct frame f =
	    DECODE(OUT, .proto = 17, .fragment = true, .more = true, .payload = 1000, .dport = 9, .frag_id = 3);
	assert_why(f, REASON_NONE);
	assert_true(f.fragment && f.more && f.frag_off == 0 && f.has_l4);
	assert_int_equal(f.frag_len, 1008);
	f = DECODE(OUT6, .proto = 17, .fragment = true, .frag_off = 1008, .payload = 77, .frag_id = 0x12345678);
	assert_why(f, REASON_NONE);
	assert_false(f.has_l4);
	assert_int_equal(f.frag_off, 1008);
	assert_int_equal(f.frag_id, 0x12345678);
	f = DECODE(OUT6, .proto = 17, .fragment = true, .dport = 9); /* alone */
	assert_why(f, REASON_NONE);
	assert_false(f.fragment);
	/* tiny first one: the flags are in the next */
	assert_why(DECODE(OUT, .proto = 6, .fragment = true, .more = true, .cut = 14 + 20 + 8, .total_less = 12),
		   REASON_FRAGMENT);
	/* not a multiple of 8, though more follow */
	assert_why(DECODE(OUT, .proto = 17, .fragment = true, .more = true, .payload = 1001), REASON_FRAGMENT);
	/* beyond 65,535 */
	assert_why(DECODE(OUT, .proto = 17, .fragment = true, .frag_off = 65528, .payload = 100), REASON_FRAGMENT);
	assert_why(DECODE(OUT, .proto = 17, .fragment = true, .frag_off = 64000, .payload = 1600), REASON_FRAGMENT);
}

static void quoted(void **state)
{
	(void)state;
	uint8_t inner[200];
	size_t n = craft(&(struct craft){ IN, .proto = 17, .sport = 53, .dport = 999, .payload = 20 }, inner);
	struct frame f =
	    DECODE(OUT, .proto = 1, .icmp_type = 3, .icmp_code = 3, .data = inner + 14, .payload = (uint32_t)n - 14);
	assert_why(f, REASON_NONE);
	assert_int_equal(f.icmp_kind, ICMP_KIND_ERROR);
	assert_true(f.quoted_ok);
	assert_int_equal(f.quoted.sport, 53);
	assert_int_equal(f.quoted.dport, 999);
	f = DECODE(OUT, .proto = 1, .icmp_type = 3, .data = inner + 14, .payload = 27);
	assert_false(f.quoted_ok); /* 7 bytes of its header are one too few */
	f = DECODE(OUT, .proto = 1, .icmp_type = 3, .data = inner + 14, .payload = 28);
	assert_true(f.quoted_ok);
	n = craft(&(struct craft){ IN6, .proto = 17, .sport = 53, .dport = 999, .exts = "hd" }, inner);
	f = DECODE(OUT6, .proto = 58, .icmp_type = 1, .data = inner + 14, .payload = (uint32_t)n - 14);
	assert_true(f.quoted_ok);
	assert_int_equal(f.quoted.dport, 999);
}

/* The function through which all stages go. */
static void verdict_only_tightens(void **state)
{
	(void)state;
	struct frame f = { 0 };
	verdict_allow(&f, REASON_INBOUND);
	verdict_allow(&f, REASON_REPLY);
	assert_why(f, REASON_INBOUND);
	verdict_drop(&f, REASON_CHECKSUM);
	verdict_drop(&f, REASON_EVIDENCE_FULL);
	assert_why(f, REASON_CHECKSUM);
	verdict_tighten(&f, VERDICT_FORWARD, REASON_REPLY);
	verdict_allow(&f, REASON_REPLY);
	assert_int_equal(f.verdict, VERDICT_DROP);
	assert_why(f, REASON_CHECKSUM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transports), cmocka_unit_test(other_layers),
		cmocka_unit_test(checksums),  cmocka_unit_test(sum_of_every_length),
		cmocka_unit_test(every_cut),  cmocka_unit_test(lengths),
		cmocka_unit_test(extensions), cmocka_unit_test(fragments),
		cmocka_unit_test(quoted),     cmocka_unit_test(verdict_only_tightens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
