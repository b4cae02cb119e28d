/* SPDX-License-Identifier: ISC */
#include "util.h"

static void addr(const char *s, struct addr *a)
{
	if (!addr_parse(s, -1, a))
		fail_msg("%s", s);
}

static void parses_what_it_prints(void **state)
{
	(void)state;
	static const char *const same[] = { "192.0.2.1",      "192.0.2.0/24",  "0.0.0.0/0", "255.255.255.255",
					    "2001:db8::",     "2001:db8::/32", "::/0",      "::1",
					    "2001:db8::1/127" };
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		char buf[ADDR_TEXT];
		struct addr a;
		addr(same[i], &a);
		assert_string_equal(addr_text(&a, buf), same[i]);
	}
	char buf[ADDR_TEXT];
	struct addr a;
	addr("2001:DB8:0:0::0001/128", &a);
	assert_string_equal(addr_text(&a, buf), "2001:db8::1");
	assert_string_equal(addr_text(&(struct addr){ 0 }, buf), "none");
	/* From another process: no crash, nothing read beyond it. */
	assert_string_equal(addr_text(&(struct addr){ .family = 9, .plen = 255 }, buf), "none");
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"/",
		"1",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1.1",
		"192.0.2.01",
		" 192.0.2.1",
		"192.0.2.1 ",
		"192.0.2.0/",
		"192.0.2.0/33",
		"192.0.2.0/024",
		"192.0.2.0/+8",
		"192.0.2.0/8/8",
		"192.0.2.0/-1",
		"192.0.2.0/99999999999",
		"2001:db8",
		"2001:db8:::",
		"2001:db8::/129",
		"fe80::1%eth0",
		"0x7f.1",
		"2001:0db8:0000:0000:0000:0000:0000:0000:0000",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct addr a = { .family = 77 };
		if (addr_parse(bad[i], -1, &a))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(a.family, 77);
	}
	struct addr a;
	assert_false(addr_parse("192.0.2.0/24", 0, &a));
	assert_false(addr_parse("192.0.2.0", 1, &a));
	assert_true(addr_parse("192.0.2.0", 0, &a));
	assert_true(addr_parse("192.0.2.0/24", 1, &a));
}

static void sets_of_addresses(void **state)
{
	(void)state;
	struct addr net, in, out, half, six;
	addr("198.51.100.0/24", &net);
	addr("198.51.100.255", &in);
	addr("198.51.101.0", &out);
	addr("198.51.100.128/25", &half);
	addr("2001:db8::/32", &six);
	assert_true(addr_in(&net, &in));
	assert_false(addr_in(&net, &out));
	assert_false(addr_in(&six, &in));
	assert_false(addr_in(&(struct addr){ 0 }, &in));
	assert_true(addr_overlap(&net, &half) && addr_overlap(&half, &net));
	assert_false(addr_overlap(&half, &(struct addr){ 4, 25, { 198, 51, 100 } }));
	assert_false(addr_overlap(&net, &six));
	assert_false(addr_overlap(&(struct addr){ 0 }, &(struct addr){ 0 }));
	assert_true(addr_equal(&net, &(struct addr){ 4, 32, { 198, 51, 100 } }));
}

/* Against the definition, bit by bit, for every prefix length. */
static void masks(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned plen = 0; plen <= 128; plen++) {
			struct addr a = { .family = 6, .plen = (uint8_t)plen };
			for (int i = 0; i < 16; i++)
				a.b[i] = (uint8_t)rnd(&seed, 256);
			struct addr net = addr_net(&a), last = addr_last(&a);
			bool host_bits = false;
			for (unsigned bit = 0; bit < 128; bit++) {
				unsigned is = a.b[bit / 8] >> (7 - bit % 8) & 1;
				unsigned n = net.b[bit / 8] >> (7 - bit % 8) & 1;
				unsigned l = last.b[bit / 8] >> (7 - bit % 8) & 1;
				assert_int_equal(n, bit < plen ? is : 0);
				assert_int_equal(l, bit < plen ? is : 1);
				host_bits |= bit >= plen && is;
			}
			assert_int_equal(addr_host_bits(&a), host_bits);
			assert_true(addr_in(&net, &a) && addr_in(&net, &last));
			if (plen) { /* one bit off is outside */
				struct addr off = a;
				off.b[(plen - 1) / 8] ^= (uint8_t)(0x80 >> (plen - 1) % 8);
				assert_false(addr_in(&net, &off));
			}
		}
	}
	struct addr four, last;
	addr("198.51.100.0/30", &four);
	last = addr_last(&four);
	assert_true(last.b[3] == 3 && last.b[4] == 0);
}

static void special(void **state)
{
	(void)state;
	static const char *const no[] = { "127.0.0.1", "0.0.0.0/0", "224.0.0.1", "255.255.255.255", "169.254.1.1",
					  "::1",       "ff02::1",   "fe80::1",   "::ffff:192.0.2.1" };
	static const char *const yes[] = { "192.0.2.1", "10.0.0.0/8", "223.255.255.255", "2001:db8::1", "fd00::1" };
	struct addr a;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		addr(no[i], &a);
		assert_non_null(addr_special(&a));
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		addr(yes[i], &a);
		assert_null(addr_special(&a));
	}
}

static void macs(void **state)
{
	(void)state;
	uint8_t mac[6];
	char buf[MAC_TEXT];
	assert_true(!mac_parse("00:1B:21:a0-ff:00", mac));
	assert_true(mac_parse("00:1B:21:a0:ff:00", mac));
	assert_string_equal(mac_text(mac, buf), "00:1b:21:a0:ff:00");
	assert_true(mac_parse("00-1b-21-a0-ff-00", mac));
	static const char *const bad[] = { "",
					   "00:1b:21:a0:ff",
					   "00:1b:21:a0:ff:0",
					   "00:1b:21:a0:ff:0g",
					   "00:1b:21:a0:ff:00:",
					   "001b21a0ff00",
					   "00 1b 21 a0 ff 00" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(mac_parse(bad[i], mac));
}

static void mac_auto_is_stable_and_plausible(void **state)
{
	(void)state;
	uint8_t a[6], b[6];
	char buf[MAC_TEXT];
	mac_auto("shop", "web1", a);
	mac_auto("shop", "web1", b);
	assert_memory_equal(a, b, 6);
	/* A fixed value: it must be the same in the next version too. */
	assert_string_equal(mac_text(a, buf), "0c:c4:7a:18:6a:a2");
	mac_auto("shop", "db1", b);
	assert_memory_equal(a, b, 3);
	assert_memory_not_equal(a, b, 6);
	/* "ab"+"c" is not "a"+"bc". */
	mac_auto("ab", "c", a);
	mac_auto("a", "bc", b);
	assert_memory_not_equal(a + 3, b + 3, 3);
	for (int i = 0; i < 1000; i++) {
		char net[16];
		snprintf(net, sizeof(net), "net%d", i);
		mac_auto(net, "web1", a);
		/* Global and unicast, so not one of the prefixes that virtual machines have. */
		assert_int_equal(a[0] & 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_it_prints),
		cmocka_unit_test(refuses),
		cmocka_unit_test(sets_of_addresses),
		cmocka_unit_test(masks),
		cmocka_unit_test(special),
		cmocka_unit_test(macs),
		cmocka_unit_test(mac_auto_is_stable_and_plausible),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
