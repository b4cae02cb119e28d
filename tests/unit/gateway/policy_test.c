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
	const struct CMUnitTest tests[] = { T(load_it), T(what_is_refused), T(bounds), T(forget_one) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
