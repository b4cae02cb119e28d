/* SPDX-License-Identifier: ISC */
#include "scratch.h"

#include "model/backend.h"
#include "sandbox/uml_args.h"

static struct priv_vmm good(void)
{
	return (struct priv_vmm){
		.memory = 128u << 20, .cpus = 1, .mac = { 0, 0x1b, 0x21, 1, 2, 3 }, .honeypot = "honeypot1"
	};
}

static bool has(const struct uml_args *a, const char *arg)
{
	for (int i = 0; a->argv[i]; i++)
		if (!strcmp(a->argv[i], arg))
			return true;
	return false;
}

static void test_arguments(void **state)
{
	(void)state;
	struct priv_vmm v = good();
	struct uml_args a;
	assert_int_equal(uml_args(&v, &a, NULL), 0);
	assert_string_equal(a.argv[0], "/bin/linux.uml");
	assert_true(has(&a, "mem=131072K"));
	assert_true(has(&a, "ubd0=/srv/a,/srv/b"));
	assert_true(has(&a, "vec0:transport=fd,fd=3,mac=00:1b:21:01:02:03"));
	assert_true(has(&a, "ssl0=fd:4"));
	assert_true(has(&a, "hostfs=/nonexistent"));
	assert_string_equal(a.envp[0], "HOME=/tmp");
	/* What the guest can read names nobody. */
	for (int i = 0; a.argv[i]; i++) {
		assert_null(strstr(a.argv[i], "honey"));
		assert_null(strstr(a.argv[i], "skep"));
	}
}

static void test_refused(void **state)
{
	(void)state;
	struct uml_args a;
	struct err e;
	static const uint64_t sizes[] = { 0, 1, (32ull << 20) - 1, (64ull << 30) + 1, UINT64_MAX };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct priv_vmm v = good();
		v.memory = sizes[i];
		assert_int_equal(uml_args(&v, &a, &e), -EINVAL);
	}
	struct priv_vmm v = good();
	v.mac[0] = 1;
	assert_int_equal(uml_args(&v, &a, &e), -EINVAL);
	memset(v.mac, 0, 6);
	assert_int_equal(uml_args(&v, &a, &e), -EINVAL);
	v = good();
	memset(v.mac, 0xfe, 6);
	v.memory = UML_MEMORY_MAX;
	assert_int_equal(uml_args(&v, &a, &e), 0); /* the longest */
}

static void test_backends(void **state)
{
	(void)state;
	assert_true(backend_built(BACKEND_UML));
	assert_null(backend_lacks(BACKEND_UML, BACKEND_PAUSE));
	assert_non_null(backend_lacks(BACKEND_UML, BACKEND_SUSPEND));
	for (unsigned k = 0; k < BACKEND_COUNT + 2; k++) {
		assert_non_null(backend_text(k));
		for (unsigned op = 0; op < BACKEND_OP_COUNT + 2; op++) {
			assert_non_null(backend_op_name(op));
			if (!backend_built(k) || op >= BACKEND_OP_COUNT)
				assert_non_null(backend_lacks(k, op));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_backends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
