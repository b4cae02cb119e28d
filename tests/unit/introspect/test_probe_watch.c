/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/probe_watch.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t now = EV_SEC;
static uint64_t test_clock(void)
{
	return now;
}

/* A memfd plays the process's memory: addresses are offsets. */
static struct ev ev;
static struct hook_plan plan;
static struct probe_watch w;
static int fd;
static unsigned told;
static char text[200];

static void on_tamper(void *arg, const char *what)
{
	assert_null(arg);
	told++;
	strncpy(text, what, sizeof(text) - 1);
}

static void put(uint64_t addr, uint8_t b)
{
	assert_int_equal(pwrite(fd, &b, 1, (off_t)addr), 1);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(ev_init(&ev, test_clock), 0);
	fd = memfd_create("mem", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 65536), 0);
	memset(&plan, 0, sizeof(plan));
	told = 0;
	plan.site[HOOK_SITE_EXEC].addr = 0x1000;
	plan.site[HOOK_SITE_EXEC].probe = 3;
	plan.ret[HOOK_SITE_EXEC][0] = 0x1100;
	plan.site[HOOK_SITE_FORK].addr = 0x2000; /* could not be probed */
	plan.tty_write = 0x3000;
	put(0x1003, 0xcc);
	put(0x1100, 0xcc);
	put(0x2000, 0x55);
	put(0x3000, 0xcc);
	probe_watch_start(&w, &ev, fd, &plan, on_tamper, NULL);
	assert_int_equal(w.n, 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	probe_watch_stop(&w);
	probe_watch_stop(&w);
	ev_close(&ev);
	close(fd);
	return 0;
}

static void test_untouched(void **state)
{
	(void)state;
	put(0x1004, 0x90); /* what stands beside them is not ours */
	put(0x2000, 0xcc);
	assert_true(probe_watch_look(&w));
	put(0x2000, 0x55);
	assert_true(probe_watch_look(&w));
	assert_int_equal(told, 0);
}

static void test_each_is_seen(void **state)
{
	static const uint64_t at[] = { 0x1003, 0x1100, 0x3000 };
	for (unsigned i = 0; i < 3; i++) {
		put(at[i], 0x55);
		assert_false(probe_watch_look(&w));
		assert_int_equal(told, 1);
		assert_non_null(strstr(text, i < 2 ? "bprm_execve" : "pty_write"));
		assert_false(probe_watch_look(&w)); /* once */
		assert_int_equal(told, 1);
		teardown(state);
		setup(state);
	}
}

static void test_gone(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(fd, 0), 0); /* as a process that ended */
	assert_true(probe_watch_look(&w));
	assert_int_equal(told, 0);
	assert_true(w.gone);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_untouched), T(test_each_is_seen), T(test_gone) };
	return cmocka_run_group_tests_name("watching probes", tests, NULL, NULL);
}
