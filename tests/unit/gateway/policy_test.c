/* SPDX-License-Identifier: ISC */
#include "tests.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct policies *p;
static struct gw_policy_entry two[2];
static struct err e;

static int set_up(void **state)
{
	(void)state;
	p = malloc(sizeof(*p));
	policies_init(p);
	memset(two, 0, sizeof(two));
	two[1].port = 5;
	two[1].policy.outbound[LIMIT_CLASS_TCP] = (struct limit){ 10, 3600 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(p);
	return 0;
}

static int sealed(const void *data, size_t n, int seals)
{
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	static const struct policy_pool empty;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &empty, sizeof(empty)), sizeof(empty));
	assert_int_equal(write(fd, data, n), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int load(const void *data, size_t size, int seals, uint32_t n)
{
	int fd = sealed(data, size, seals);
	int r = policies_load(p, fd, n, 1, &e);
	close(fd);
	return r;
}

static void load_it(void **state)
{
	(void)state;
	assert_null(policy_of(p, 0));
	assert_int_equal(load(two, sizeof(two), SEALS, 2), 0);
	assert_non_null(policy_of(p, 0));
	assert_int_equal(policy_of(p, 5)->outbound[LIMIT_CLASS_TCP].count, 10);
	assert_null(policy_of(p, 1));
	assert_null(policy_of(p, 60000));
	/* the next set is the whole set */
	assert_int_equal(load(two, sizeof(two[0]), SEALS, 1), 0);
	assert_null(policy_of(p, 5));
	assert_int_equal(load(two, 0, SEALS, 0), 0);
	assert_null(policy_of(p, 0));
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), 0);
	assert_int_equal(load(two, sizeof(two), F_SEAL_SHRINK | F_SEAL_GROW, 2), -EPERM);
	assert_int_equal(load(two, sizeof(two), F_SEAL_WRITE, 2), -EPERM);
	assert_int_equal(load(two, sizeof(two), SEALS, 1), -EINVAL);
	assert_int_equal(load(two, sizeof(two), SEALS, 3), -EINVAL);
	assert_int_equal(load(two, sizeof(two) - 1, SEALS, 2), -EINVAL);
	assert_int_equal(load(two, sizeof(two), SEALS, 0xffffffff), -E2BIG);
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(policies_load(p, pair[0], 0, 1, &e), -EPERM);
	close(pair[0]);
	close(pair[1]);
	two[0].port = MODEL_HONEYPOTS;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), -EINVAL);
	assert_int_equal(policy_of(p, 5)->outbound[LIMIT_CLASS_TCP].count, 10); /* the old one stays */
}

static void bounds(void **state)
{
	(void)state;
	static const struct policy_pool pool;
	static const struct limit bad[] = {
		{ 10, 0 }, { LIMIT_COUNT_MAX + 1, 60 }, { 1, 400 * 86400u }, { 0xfffffffe, 60 }
	};
	static const struct limit good[] = {
		{ 0, 0 }, { LIMIT_UNLIMITED, 0 }, { LIMIT_COUNT_MAX, 1 }, { 1, 366 * 86400u }
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct policy a = { 0 }, b = { 0 };
		a.outbound[LIMIT_CLASS_OTHER] = bad[i];
		b.lateral[LIMIT_CLASS_TCP] = bad[i];
		assert_int_equal(policy_check(&a, &pool, &e), -EINVAL);
		assert_int_equal(policy_check(&b, &pool, &e), -EINVAL);
		a.outbound[LIMIT_CLASS_OTHER] = good[i];
		assert_int_equal(policy_check(&a, &pool, &e), 0);
	}
	assert_int_equal(policy_check(&(struct policy){ .inbound_deny = 2 }, &pool, &e), -EINVAL);
	assert_int_equal(policy_check(&(struct policy){ .multicast_allow = 255 }, &pool, &e), -EINVAL);
	assert_int_equal(policy_check(&(struct policy){ .flow.seconds = 400 * 86400u }, &pool, &e), -EINVAL);
	assert_int_equal(policy_check(&(struct policy){ .honeypot.seconds = 400 * 86400u }, &pool, &e), -EINVAL);
}

/* Each value of a pool that is wrong by itself, and the last that is right. */
static void pool_bounds(void **state)
{
	(void)state;
	static struct policy_pool pool;
	struct rule *r = &pool.rules[2];
	memset(&pool, 0, sizeof(pool));
	pool.nrules = 3;
	pool.nprefixes = 4;
	pool.nranges = 5;
	pool.nrewrites = 6;
	for (unsigned i = 0; i < 3; i++)
		pool.rules[i].directions = RULE_OUT;
	for (unsigned i = 0; i < 4; i++)
		pool.prefixes[i] = (struct addr){ .family = 4, .plen = 32 };
	for (unsigned i = 0; i < 6; i++)
		pool.rewrites[i].n = 1;
	assert_int_equal(pool_check(&pool, &e), 0);
#define BAD(at, value)                                                                                                 \
	do {                                                                                                           \
		__typeof__(at) was = at;                                                                               \
		at = (__typeof__(at))value;                                                                            \
		assert_int_equal(pool_check(&pool, &e), -EINVAL);                                                      \
		at = was;                                                                                              \
		assert_int_equal(pool_check(&pool, &e), 0);                                                            \
	} while (0)
#define GOOD(at, value)                                                                                                \
	do {                                                                                                           \
		__typeof__(at) was = at;                                                                               \
		at = (__typeof__(at))value;                                                                            \
		assert_int_equal(pool_check(&pool, &e), 0);                                                            \
		at = was;                                                                                              \
	} while (0)
	BAD(pool.nrules, POOL_RULES + 1);
	BAD(pool.nprefixes, POOL_PREFIXES + 1);
	BAD(pool.nranges, POOL_RANGES + 1);
	BAD(pool.nrewrites, POOL_REWRITES + 1);
	BAD(pool.nkeywords, POOL_KEYWORDS + 1);
	BAD(pool.nprefixes, 0xffffffff);
	BAD(pool.nprefixes, 5); /* the fifth is none */
	BAD(pool.prefixes[3].family, 5);
	BAD(pool.prefixes[3].plen, 33);
	BAD(pool.ranges[4].from, 1);
	BAD(pool.rewrites[5].n, 0);
	BAD(pool.rewrites[5].n, REWRITE_MAX + 1);
	BAD(r->directions, 0);
	BAD(r->directions, 8);
	BAD(r->family, 5);
	BAD(r->has_proto, 2);
	BAD(r->state, RULE_STATE_COUNT);
	BAD(r->action, ACTION_COUNT);
	BAD(r->sink, SINK_COUNT);
	BAD(r->per, PER_COUNT);
	BAD(r->when.days, 128);
	BAD(r->when.from, 1440);
	BAD(r->when.to, 1441);
	BAD(r->limit.count, 1); /* in 0 seconds */
	GOOD(r->from, ((struct span){ 0, 4 }));
	GOOD(r->from, ((struct span){ 9, 0 }));
	struct span *spans[] = { &r->from, &r->to, &r->sports, &r->ports, &r->rewrites };
	static const uint16_t have[] = { 4, 4, 5, 5, 6 };
	for (unsigned i = 0; i < 5; i++) {
		*spans[i] = (struct span){ 1, have[i] };
		assert_int_equal(pool_check(&pool, &e), -EINVAL);
		*spans[i] = (struct span){ 0xffff, 1 };
		assert_int_equal(pool_check(&pool, &e), -EINVAL);
		*spans[i] = (struct span){ 0xffff, 0xffff };
		assert_int_equal(pool_check(&pool, &e), -EINVAL);
		*spans[i] = (struct span){ (uint16_t)(have[i] - 1), 1 };
		assert_int_equal(pool_check(&pool, &e), 0);
		*spans[i] = (struct span){ 0 };
	}
	memset(r->name, 'x', sizeof(r->name));
	assert_int_equal(pool_check(&pool, &e), -EINVAL);
	memset(r->name, 0, sizeof(r->name));
	r->action = ACTION_FIRST;
	assert_int_equal(pool_check(&pool, &e), -EINVAL);
	r->first.packets = 1;
	assert_int_equal(pool_check(&pool, &e), 0);
	r->first.seconds = 1;
	assert_int_equal(pool_check(&pool, &e), -EINVAL);
	r->action = ACTION_REWRITE;
	assert_int_equal(pool_check(&pool, &e), -EINVAL);
	r->rewrites.n = 1;
	assert_int_equal(pool_check(&pool, &e), 0);
	r->action = ACTION_REFLECT;
	r->target = MODEL_HONEYPOTS;
	assert_int_equal(pool_check(&pool, &e), -EINVAL);
	r->target = MODEL_HONEYPOTS - 1;
	assert_int_equal(pool_check(&pool, &e), 0);
}

static void policy_bounds(void **state)
{
	(void)state;
	static struct policy_pool pool;
	memset(&pool, 0, sizeof(pool));
	pool.nrules = 3;
	pool.nprefixes = 4;
	struct policy a = { 0 };
	struct span *spans[] = { &a.fence, &a.black, &a.allow, &a.rules };
	for (unsigned i = 0; i < 4; i++) {
		*spans[i] = (struct span){ 1, i == 3 ? 3 : 4 };
		assert_int_equal(policy_check(&a, &pool, &e), -EINVAL);
		*spans[i] = (struct span){ 0, i == 3 ? 3 : 4 };
		assert_int_equal(policy_check(&a, &pool, &e), 0);
		*spans[i] = (struct span){ 0 };
	}
	struct limit *limits[] = { &a.per_destination[3], &a.per_source[3], &a.fan_out, &a.dns.queries, &a.dns.names };
	for (unsigned i = 0; i < 5; i++) {
		*limits[i] = (struct limit){ 5, 0 };
		assert_int_equal(policy_check(&a, &pool, &e), -EINVAL);
		*limits[i] = (struct limit){ 0 };
	}
#define BAD_POLICY(field, value) assert_int_equal(policy_check(&(struct policy){ .field = value }, &pool, &e), -EINVAL)
	BAD_POLICY(roach_motel, 2);
	BAD_POLICY(engine, ENGINE_MODE_COUNT);
	BAD_POLICY(jitter, 91);
	BAD_POLICY(concurrent, 0xffffffff);
	BAD_POLICY(dns.on, 2);
	BAD_POLICY(dns.ntypes, DNS_TYPES + 1);
	BAD_POLICY(dns.label_max, 64);
	BAD_POLICY(dns.resolver4.family, 6);
	BAD_POLICY(dns.resolver6.family, 6); /* /0 */
	/* the whole: nothing of it takes effect */
	assert_int_equal(load(two, sizeof(two), SEALS, 2), 0);
	const struct policy_set *before = p->now;
	two[1].policy.rules.n = 1;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), -EINVAL);
	two[1].policy.rules.n = 0;
	two[1].honeypot = MODEL_HONEYPOTS;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), -EINVAL);
	two[1].honeypot = 0;
	two[1].network = MODEL_NETS;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), -EINVAL);
	assert_ptr_equal(p->now, before);
}

static void forget_one(void **state)
{
	(void)state;
	assert_int_equal(load(two, sizeof(two), SEALS, 2), 0);
	policies_forget(p, 5);
	policies_forget(p, 7);
	assert_null(policy_of(p, 5));
	assert_non_null(policy_of(p, 0));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(load_it),    T(what_is_refused), T(bounds),
					    T(forget_one), T(pool_bounds),     T(policy_bounds) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
