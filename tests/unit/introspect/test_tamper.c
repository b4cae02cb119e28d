/* SPDX-License-Identifier: ISC */
/* A file plays the memory of a guest's kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/tamper.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT 0x60002000u
#define TEXT_END 0x60012000u
#define SLOTS 0x5ff00000u
#define WRAPPER 0x70000000u

static uint64_t now = EV_SEC;
static struct {
	struct ev ev;
	int mem;
	struct hook_plan plan;
	struct tamper t;
	unsigned told;
	char what[200];
} k;

static uint64_t test_clock(void)
{
	return now;
}

static void on_tamper(void *arg, const char *what)
{
	assert_ptr_equal(arg, &k);
	k.told++;
	strncpy(k.what, what, sizeof(k.what) - 1);
}

static void poke(uint64_t at, const void *p, size_t n)
{
	assert_int_equal(pwrite(k.mem, p, n, (off_t)at), (ssize_t)n);
}

static uint64_t slot_of(unsigned s)
{
	return SLOTS + 64 * s;
}

static void place_hook(unsigned s)
{
	uint64_t at = k.plan.site[s].addr, to = slot_of(s), wrapper = WRAPPER + 512 * s;
	int32_t rel = (int32_t)(to - at - 5);
	uint8_t code[128];
	poke(at, "\xe9", 1);
	poke(at + 1, &rel, 4);
	poke(to, "\xff\x25\0\0\0\0", 6);
	poke(to + 6, &wrapper, 8);
	poke(to + 14, k.plan.site[s].orig, k.plan.site[s].keep);
	memset(code, (int)s, sizeof(code));
	poke(wrapper, code, sizeof(code));
}

static int setup(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	assert_int_equal(ev_init(&k.ev, test_clock), 0);
	k.mem = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(k.mem, WRAPPER + (1 << 20)), 0);
	k.plan.text = TEXT;
	k.plan.text_end = TEXT_END;
	for (unsigned s = 0; s < HOOK_SITE_COUNT; s++) {
		struct hook_place *p = &k.plan.site[s];
		p->addr = TEXT + 256 * s;
		p->keep = 7;
		for (unsigned i = 0; i < sizeof(p->orig); i++)
			p->orig[i] = (uint8_t)(0x50 + s + i);
		poke(p->addr, p->orig, sizeof(p->orig));
		place_hook(s);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tamper_stop(&k.t);
	tamper_stop(&k.t);
	ev_close(&k.ev);
	close(k.mem);
	return 0;
}

static void begin(uint64_t placed)
{
	tamper_start(&k.t, &k.ev, k.mem, &k.plan, placed, on_tamper, &k);
}

static void pass(unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 10) {
		now += 10 * EV_MS;
		assert_true(ev_turn(&k.ev, 0) >= 0);
	}
}

#define ALL ((UINT64_C(1) << HOOK_SITE_COUNT) - 1)

static void test_quiet(void **state)
{
	(void)state;
	begin(~UINT64_C(0)); /* the guest says what it likes */
	pass(2000);
	assert_int_equal(k.told, 0);
	assert_true(tamper_look(&k.t));
}

static void expect_told(const char *site, const char *what)
{
	pass(260); /* one round, at most 250 ms later */
	assert_int_equal(k.told, 1);
	assert_non_null(strstr(k.what, site));
	assert_non_null(strstr(k.what, what));
	pass(1000);
	assert_int_equal(k.told, 1);
	assert_false(tamper_look(&k.t));
}

static void test_removed(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	poke(k.plan.site[HOOK_SITE_EXEC].addr, k.plan.site[HOOK_SITE_EXEC].orig, 5);
	expect_told("bprm_execve", "removed");
}

static void test_redirected(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	poke(k.plan.site[HOOK_SITE_COUNT - 1].addr + 1, "\x01", 1);
	expect_told("copy_from_kernel_nofault", "changed");
}

static void test_behind_the_jump(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	/* A return right behind the bytes that the hook keeps. */
	poke(k.plan.site[HOOK_SITE_OPEN].addr + 9, "\xc3", 1);
	expect_told("do_filp_open", "changed");
}

static void test_slot(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	poke(slot_of(HOOK_SITE_PTY_WRITE) + 14, "\xc3", 1);
	expect_told("pty_write", "the code of its hook was changed");
}

static void test_wrapper(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	poke(WRAPPER + 512 * HOOK_SITE_FORK + 3, "\xc3", 1);
	expect_told("wake_up_new_task", "the code of its hook was changed");
}

static void test_before_the_first_look(void **state)
{
	(void)state;
	poke(k.plan.site[HOOK_SITE_EXIT].addr, k.plan.site[HOOK_SITE_EXIT].orig, 5);
	begin(ALL);
	expect_told("do_exit", "removed");
}

static void test_jump_into_the_kernel(void **state)
{
	(void)state;
	int32_t rel = 0x1000;
	poke(k.plan.site[HOOK_SITE_EXIT].addr + 1, &rel, 4);
	begin(ALL);
	expect_told("do_exit", "changed");
}

static void test_wild_pointers(void **state)
{
	(void)state;
	uint64_t nowhere = UINT64_MAX - 3;
	poke(slot_of(2) + 6, &nowhere, 8);
	begin(ALL);
	expect_told("n_tty_receive_buf2", "no longer in memory");
}

static void test_not_placed(void **state)
{
	(void)state;
	poke(k.plan.site[HOOK_SITE_EXIT].addr, k.plan.site[HOOK_SITE_EXIT].orig, 5);
	begin(ALL & ~(UINT64_C(1) << HOOK_SITE_EXIT));
	pass(1000);
	assert_int_equal(k.told, 0);
}

static void test_gone(void **state)
{
	(void)state;
	begin(ALL);
	pass(500);
	/* The process ends: its memory reads as an empty file. */
	assert_int_equal(ftruncate(k.mem, 0), 0);
	pass(1000);
	assert_int_equal(k.told, 0);
	assert_true(k.t.gone);
	assert_true(tamper_look(&k.t));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_quiet),
		T(test_removed),
		T(test_redirected),
		T(test_behind_the_jump),
		T(test_slot),
		T(test_wrapper),
		T(test_before_the_first_look),
		T(test_jump_into_the_kernel),
		T(test_wild_pointers),
		T(test_not_placed),
		T(test_gone),
	};
	return cmocka_run_group_tests_name("are the hooks there", tests, NULL, NULL);
}
