/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/doctor.h"
#include "guest/plan.h"

#include <string.h>

static struct findings f;
static struct hook_plan p;

static void whole(void)
{
	memset(&p, 0, sizeof(p));
	p.thread_size = 0x4000;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		p.site[i].addr = 0x60001000;
		p.site[i].keep = 5;
	}
}

static const char *look(enum finding_state want)
{
	memset(&f, 0, sizeof(f));
	doctor_guest_plan(&f, &p);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.f[0].name, "introspection");
	assert_int_equal(f.f[0].state, want);
	return f.f[0].text;
}

static void test_whole(void **state)
{
	(void)state;
	whole();
	assert_non_null(strstr(look(FINDING_OK), "can be seen through"));
}

static void test_gaps(void **state)
{
	(void)state;
	whole();
	p.site[HOOK_SITE_EXEC].addr = 0;
	p.site[HOOK_SITE_RENAME].keep = 0;
	p.site[HOOK_SITE_UNLINK].keep = 0;
	const char *text = look(FINDING_WARN);
	assert_non_null(strstr(text, "3 functions"));
	assert_non_null(strstr(text, "unseen: programs, files"));
	assert_null(strstr(text, "files, files"));
	whole();
	p.off[HOOK_OFF_SK_NUM] = p.off[HOOK_OFF_BPRM_P] = HOOK_OFF_NONE;
	text = look(FINDING_WARN);
	assert_non_null(strstr(text, "2 structure members"));
	assert_non_null(strstr(text, "BPRM_P, SK_NUM"));
	/* However much is missing, it is said as far as there is room. */
	memset(p.off, 0xff, sizeof(p.off));
	assert_non_null(strstr(look(FINDING_WARN), "TTY_DRIVER"));
	p.thread_size = 0;
	assert_non_null(strstr(look(FINDING_WARN), "cannot be introspected"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_whole), cmocka_unit_test(test_gaps) };
	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
