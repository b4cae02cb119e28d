/* SPDX-License-Identifier: ISC */
#include "util.h"

#include "model/rules.h"
#include "model/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char text[] = "honeynet: shop\n"
			   "networks:\n"
			   "  dmz:\n"
			   "    v4: 198.51.100.0/24\n"
			   "    v6: 2001:db8:1::/64\n"
			   "uplink:\n"
			   "  lab: [203.0.113.0/24]\n"
			   "honeypots:\n"
			   "  web1:\n"
			   "    image: debian-12-server\n"
			   "    address: [198.51.100.10, 2001:db8:1::10]\n"
			   "  db1:\n"
			   "    image: busybox\n"
			   "    address: 198.51.100.20\n"
			   "    memory: 64M\n"
			   "    boot-timeout: 2m\n"
			   "    hostname: db1.example.com\n"
			   "    mac: 3c:d9:2b:00:00:07\n"
			   "    policy: {inbound: deny, outbound: {udp: 3/day}, budget: {flow: {bytes: 1k}}}\n"
			   "    introspection: off\n"
			   "on-tamper: report\n"
			   "policy:\n"
			   "  outbound: {tcp: 15/hour, udp: unlimited, icmp: none}\n"
			   "  lateral: {other: 2/second}\n"
			   "  budget: {honeypot: {bytes: 1G/day, packets: unlimited}}\n"
			   "evidence: {max-size: 1G, max-age: unlimited, ring: 64k}\n";

static struct model m, copy;

static void binds_values(void **state)
{
	(void)state;
	char buf[ADDR_TEXT];
	good(text, &m);
	assert_string_equal(m.name, "shop");
	assert_int_equal(m.uplink, UPLINK_LAB);
	assert_int_equal(m.nlab, 1);
	assert_int_equal(m.nnets, 1);
	assert_string_equal(addr_text(&m.nets[0].router4, buf), "198.51.100.1/24");
	assert_string_equal(addr_text(&m.nets[0].router6, buf), "2001:db8:1::1/64");
	assert_int_equal(m.nhoneypots, 2);
	const struct honeypot *web = model_honeypot(&m, "web1"), *db = model_honeypot(&m, "db1");
	assert_non_null(web);
	assert_non_null(db);
	assert_null(model_honeypot(&m, "web"));
	assert_string_equal(web->hostname, "web1");
	assert_int_equal(web->memory, 128 << 20);
	assert_int_equal(web->cpus, 1);
	assert_int_equal(web->boot_seconds, 60);
	assert_int_equal(web->naddrs, 2);
	assert_string_equal(addr_text(&web->addrs[1], buf), "2001:db8:1::10/64");
	uint8_t mac[6];
	mac_auto("shop", "web1", mac);
	assert_memory_equal(web->mac, mac, 6);
	assert_int_equal(web->mark.line, 9);
	assert_int_equal(web->image_mark.line, 10);
	assert_int_equal(web->image_mark.col, 12);
	assert_string_equal(db->hostname, "db1.example.com");
	assert_int_equal(db->memory, 64 << 20);
	assert_int_equal(db->boot_seconds, 120);
	assert_int_equal(db->mac[5], 7);
	assert_int_equal(m.evidence.max_bytes, 1ull << 30);
	assert_int_equal(m.evidence.max_age, 0);
	assert_int_equal(m.evidence.rotate_bytes, 64 << 20);
	assert_int_equal(m.evidence.ring_bytes, 64 << 10);
}

static void limit_is(const struct limit *l, uint32_t count, uint32_t seconds)
{
	assert_int_equal(l->count, count);
	assert_int_equal(l->seconds, seconds);
}

static void policies_inherit(void **state)
{
	(void)state;
	good(text, &m);
	const struct policy *web = &model_honeypot(&m, "web1")->policy, *db = &model_honeypot(&m, "db1")->policy;
	assert_memory_equal(web, &m.policy, sizeof(*web));
	const struct introspection_conf *wi = &model_honeypot(&m, "web1")->introspection,
					*di = &model_honeypot(&m, "db1")->introspection;
	assert_int_equal(wi->mode, INTROSPECTION_AUTO);
	assert_int_equal(wi->on_tamper, ON_TAMPER_REPORT);
	assert_int_equal(di->mode, INTROSPECTION_OFF);
	assert_int_equal(di->on_tamper, ON_TAMPER_REPORT);
	limit_is(&web->outbound[LIMIT_CLASS_TCP], 15, 3600);
	limit_is(&web->outbound[LIMIT_CLASS_UDP], LIMIT_UNLIMITED, 0);
	limit_is(&web->outbound[LIMIT_CLASS_ICMP], 0, 0);
	limit_is(&web->outbound[LIMIT_CLASS_OTHER], 0, 0);
	limit_is(&web->lateral[LIMIT_CLASS_OTHER], 2, 1);
	limit_is(&web->lateral[LIMIT_CLASS_TCP], 0, 0);
	assert_int_equal(web->inbound_deny, 0);
	assert_int_equal(web->honeypot.bytes, 1ull << 30);
	assert_int_equal(web->honeypot.packets, 0);
	assert_int_equal(web->honeypot.seconds, 86400);
	assert_int_equal(web->flow.bytes, 64 << 20);
	assert_int_equal(db->inbound_deny, 1);
	limit_is(&db->outbound[LIMIT_CLASS_TCP], 15, 3600);
	limit_is(&db->outbound[LIMIT_CLASS_UDP], 3, 86400);
	assert_int_equal(db->flow.bytes, 1024);
	assert_int_equal(db->flow.packets, 100000);
	assert_int_equal(db->honeypot.seconds, 86400);
}

/* The safe default: nothing written, nothing out. */
static void no_policy_lets_nothing_out(void **state)
{
	(void)state;
	good("honeynet: n\nnetworks: {l: {v4: 192.0.2.0/24}}\nhoneypots: {h: {image: busybox, address: 192.0.2.9}}\n",
	     &m);
	const struct policy *p = &m.honeypots[0].policy;
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++) {
		assert_int_equal(p->outbound[i].count, 0);
		assert_int_equal(p->lateral[i].count, 0);
	}
	assert_int_equal(p->multicast_allow, 0);
	assert_true(p->flow.bytes && p->flow.packets && p->honeypot.bytes && p->honeypot.packets);
	assert_int_equal(m.uplink, UPLINK_NONE);
}

static void failure_leaves_the_output_alone(void **state)
{
	(void)state;
	static struct diag d;
	memset(&m, 0x5a, sizeof(m));
	memcpy(&copy, &m, sizeof(m));
	assert_int_equal(model_parse("honeynet: 7_\n", 13, &m, &d), -EINVAL);
	assert_true(d.n > 0);
	assert_memory_equal(&m, &copy, sizeof(m));
}

static void diag_is_sorted_and_bounded(void **state)
{
	(void)state;
	static struct diag d;
	uint64_t seed = 7;
	d.n = d.more = 0;
	for (unsigned i = 0; i < 300; i++)
		diag_add(&d, (struct mark){ 1 + rnd(&seed, 40), 1 + rnd(&seed, 9) }, "complaint %u", i);
	assert_int_equal(d.n, DIAG_MAX);
	assert_int_equal(d.more, 300 - DIAG_MAX);
	for (unsigned i = 1; i < d.n; i++) {
		struct mark a = d.items[i - 1].at, b = d.items[i].at;
		assert_true(a.line < b.line || (a.line == b.line && a.col <= b.col));
	}
	/* What it left out stands behind what it kept. */
	assert_true(d.items[DIAG_MAX - 1].at.line < 40);
	d.n = d.more = 0;
	diag_add(&d, (struct mark){ 1, 1 }, "%s", "\x1b[2J\x80");
	assert_string_equal(d.items[0].text, "\\x1b[2J\\x80");
}

static void more_mistakes_than_room(void **state)
{
	(void)state;
	static char big[200 * 16];
	static struct diag d;
	size_t n = 0;
	for (int i = 0; i < 200; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "key%d: 1\n", i);
	assert_int_equal(model_parse(big, n, &m, &d), -EINVAL);
	assert_int_equal(d.n, DIAG_MAX);
	assert_int_equal(d.n + d.more, 203);
}

static void too_large(void **state)
{
	(void)state;
	static struct diag d;
	size_t n = TREE_TEXT_MAX + 1;
	char *big = malloc(n);
	memset(big, '#', n);
	assert_int_equal(model_parse(big, n, &m, &d), -EINVAL);
	assert_int_equal(d.n, 1);
	assert_non_null(strstr(d.items[0].text, "larger than 1024 KiB"));
	/* As many values as the bound lets through, and one more. */
	n = 0;
	big[n++] = '[';
	while (n < 2 * (TREE_NODES + 8)) {
		big[n++] = '1';
		big[n++] = ',';
	}
	big[n++] = ']';
	assert_int_equal(model_parse(big, n, &m, &d), -EINVAL);
	assert_int_equal(d.n, 1);
	assert_non_null(strstr(d.items[0].text, "more than 65536 values"));
	free(big);
}

/* ---- a model from another process ---- */

struct twist {
	const char *what;
	size_t offset, size;
	uint64_t value;
};
#define TWIST(path, v)                                                                                                 \
	{                                                                                                              \
#path " = " #v, offsetof(struct model, path), sizeof(((struct model *)0)->path), (v)                   \
	}

static void check_refuses_every_twist(void **state)
{
	(void)state;
	static const struct twist twists[] = {
		TWIST(magic, 0),
		TWIST(size, 16),
		TWIST(name[0], 0),
		TWIST(name[0], '/'),
		TWIST(uplink, UPLINK_COUNT),
		TWIST(uplink, UPLINK_NONE),
		TWIST(nlab, MODEL_LAB_ADDRS + 1),
		TWIST(nlab, 0),
		TWIST(nlab, UINT32_MAX),
		TWIST(lab[0].family, 5),
		TWIST(lab[0].family, 0),
		TWIST(lab[0].plen, 33),
		TWIST(lab[0].b[3], 1),
		TWIST(lab[0].b[7], 1),
		TWIST(nnets, 0),
		TWIST(nnets, MODEL_NETS + 1),
		TWIST(nets[0].name[0], 'A'),
		TWIST(nets[0].v4.family, 6),
		TWIST(nets[0].v4.family, 0),
		TWIST(nets[0].v4.plen, 255),
		TWIST(nets[0].v4.b[0], 127),
		TWIST(nets[0].router4.family, 0),
		TWIST(nets[0].router4.b[3], 255),
		TWIST(nets[0].router6.plen, 65),
		TWIST(nhoneypots, MODEL_HONEYPOTS + 1),
		TWIST(nhoneypots, UINT32_MAX),
		TWIST(honeypots[0].name[0], '.'),
		TWIST(honeypots[0].image[0], '/'),
		TWIST(honeypots[0].hostname[0], '-'),
		TWIST(honeypots[0].backend, BACKEND_QEMU),
		TWIST(honeypots[0].backend, BACKEND_COUNT),
		TWIST(honeypots[0].backend, UINT32_MAX),
		TWIST(honeypots[0].net, 1),
		TWIST(honeypots[0].net, UINT32_MAX),
		TWIST(honeypots[0].naddrs, 0),
		TWIST(honeypots[0].naddrs, MODEL_ADDRS + 1),
		TWIST(honeypots[0].addrs[0].family, 0),
		TWIST(honeypots[0].addrs[0].plen, 25),
		TWIST(honeypots[0].addrs[0].b[3], 20),
		TWIST(honeypots[0].addrs[0].b[3], 1),
		TWIST(honeypots[0].addrs[0].b[0], 9),
		TWIST(honeypots[0].mac[0], 1),
		TWIST(honeypots[0].memory, 0),
		TWIST(honeypots[0].memory, UINT64_MAX),
		TWIST(honeypots[0].memory, (128 << 20) + 1),
		TWIST(honeypots[0].cpus, 0),
		TWIST(honeypots[0].cpus, 2),
		TWIST(honeypots[0].cpus, UINT32_MAX),
		TWIST(honeypots[0].boot_seconds, 0),
		TWIST(honeypots[0].boot_seconds, UINT32_MAX),
		TWIST(honeypots[0].policy.inbound_deny, 2),
		TWIST(honeypots[0].policy.multicast_allow, 255),
		TWIST(honeypots[0].policy.outbound[0].count, LIMIT_COUNT_MAX + 1),
		TWIST(honeypots[0].policy.outbound[0].seconds, 0),
		TWIST(honeypots[0].policy.outbound[0].seconds, 86401),
		TWIST(honeypots[0].policy.lateral[3].seconds, UINT32_MAX),
		TWIST(honeypots[0].policy.flow.bytes, UINT64_MAX),
		TWIST(honeypots[0].policy.flow.seconds, 60),
		TWIST(honeypots[0].policy.honeypot.packets, UINT64_MAX),
		TWIST(honeypots[0].policy.honeypot.seconds, 0),
		TWIST(policy.outbound[1].seconds, UINT32_MAX),
		TWIST(honeypots[0].introspection.mode, INTROSPECTION_COUNT),
		TWIST(honeypots[1].introspection.on_tamper, ON_TAMPER_COUNT),
		TWIST(introspection.mode, UINT32_MAX),
		TWIST(introspection.on_tamper, 2),
		TWIST(evidence.max_bytes, 1),
		TWIST(evidence.max_age, 1),
		TWIST(evidence.rotate_bytes, 0),
		TWIST(evidence.rotate_bytes, 2ull << 30),
		TWIST(evidence.min_free, UINT64_MAX),
		TWIST(evidence.ring_bytes, 0),
		TWIST(evidence.ring_bytes, 65537),
		TWIST(evidence.ring_bytes, 1u << 31),
	};
	good(text, &m);
	assert_int_equal(model_check(&m, NULL), 0);
	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++) {
		struct err e = { 0 };
		memcpy(&copy, &m, sizeof(m));
		/* Little-endian hosts only, as all that skep runs on. */
		memcpy((char *)&copy + twists[i].offset, &twists[i].value, twists[i].size);
		if (model_check(&copy, &e) != -EINVAL || !*e.text)
			fail_msg("taken: %s", twists[i].what);
	}
}

static void check_refuses_text_without_end(void **state)
{
	(void)state;
	char *fields[] = { copy.name, copy.nets[0].name, copy.honeypots[1].name, copy.honeypots[1].image };
	good(text, &m);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		memcpy(&copy, &m, sizeof(m));
		memset(fields[i], 'a', NAME_CAP);
		assert_int_equal(model_check(&copy, NULL), -EINVAL);
	}
	memcpy(&copy, &m, sizeof(m));
	memset(copy.honeypots[0].hostname, 'a', HOSTNAME_CAP);
	assert_int_equal(model_check(&copy, NULL), -EINVAL);
	memcpy(&copy, &m, sizeof(m));
	memcpy(copy.honeypots[1].name, "web1", 5);
	assert_int_equal(model_check(&copy, NULL), -EINVAL);
	memcpy(&copy, &m, sizeof(m));
	memcpy(copy.honeypots[1].mac, copy.honeypots[0].mac, 6);
	assert_int_equal(model_check(&copy, NULL), -EINVAL);
}

/* Whatever bytes come, what passes keeps every reader inside its arrays. */
static void check_survives_noise(void **state)
{
	(void)state;
	uint64_t seed = 3;
	good(text, &m);
	for (int round = 0; round < 20000; round++) {
		memcpy(&copy, &m, sizeof(m));
		for (unsigned i = 0; i < 1 + rnd(&seed, 4); i++) {
			/* The first two honeypots and all that is before them, or the rest. */
			size_t head = offsetof(struct model, honeypots[2]);
			size_t at = rnd(&seed, 8) ? rnd(&seed, (uint32_t)head)
						  : offsetof(struct model, evidence) +
							rnd(&seed, sizeof(m) - offsetof(struct model, evidence));
			((uint8_t *)&copy)[at] = (uint8_t)rnd(&seed, 256);
		}
		if (model_check(&copy, NULL) < 0)
			continue;
		assert_true(copy.nnets <= MODEL_NETS && copy.nhoneypots <= MODEL_HONEYPOTS);
		for (uint32_t i = 0; i < copy.nhoneypots; i++) {
			assert_true(copy.honeypots[i].net < copy.nnets);
			assert_true(copy.honeypots[i].naddrs <= MODEL_ADDRS);
			assert_true(memchr(copy.honeypots[i].name, 0, NAME_CAP));
		}
	}
}

static void sealed_and_opened(void **state)
{
	(void)state;
	struct err e;
	good(text, &m);
	int fd = model_seal(&m, &e);
	assert_true(fd >= 0);
	assert_int_equal(model_open(fd, &copy, &e), 0);
	assert_memory_equal(&m, &copy, sizeof(m));
	/* Nobody can write to it any more, not even with a mapping. */
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_ptr_equal(mmap(NULL, sizeof(m), PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	m.honeypots[0].net = 9;
	assert_int_equal(model_seal(&m, &e), -EINVAL);
}

static int memfd(const void *p, size_t n, int seals)
{
	int fd = memfd_create("t", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, p, n), n);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void open_refuses(void **state)
{
	(void)state;
	const int all = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct {
		size_t n;
		int seals;
	} cases[] = {
		{ sizeof(m), 0 },
		{ sizeof(m), F_SEAL_WRITE },
		{ sizeof(m), all & ~F_SEAL_WRITE },
		{ sizeof(m), all & ~F_SEAL_SHRINK },
		{ sizeof(m) - 1, all },
		{ 0, all },
	};
	struct err e;
	good(text, &m);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = memfd(&m, cases[i].n, cases[i].seals);
		assert_int_equal(model_open(fd, &copy, &e), -EBADMSG);
		close(fd);
	}
	int fd = memfd(&m, sizeof(m), all);
	assert_int_equal(model_open(fd, &copy, &e), 0);
	close(fd);
	memcpy(&copy, &m, sizeof(m));
	copy.nnets = 1000;
	fd = memfd(&copy, sizeof(copy), all);
	memset(&copy, 0, sizeof(copy));
	assert_int_equal(model_open(fd, &copy, &e), -EINVAL);
	assert_int_equal(copy.magic, 0);
	close(fd);
	int p[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(model_open(p[0], &copy, &e), -EBADMSG);
	close(p[0]);
	close(p[1]);
	assert_int_equal(model_open(-1, &copy, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binds_values),
		cmocka_unit_test(policies_inherit),
		cmocka_unit_test(no_policy_lets_nothing_out),
		cmocka_unit_test(failure_leaves_the_output_alone),
		cmocka_unit_test(diag_is_sorted_and_bounded),
		cmocka_unit_test(more_mistakes_than_room),
		cmocka_unit_test(too_large),
		cmocka_unit_test(check_refuses_every_twist),
		cmocka_unit_test(check_refuses_text_without_end),
		cmocka_unit_test(check_survives_noise),
		cmocka_unit_test(sealed_and_opened),
		cmocka_unit_test(open_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
