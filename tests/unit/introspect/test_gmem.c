/* SPDX-License-Identifier: ISC */
/* A file plays the memory of a guest's kernel, and the guest is hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "proc/introspect/gmem.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BASE 0x60000000u
#define TASK(i) (BASE + 0x10000 + 0x1000 * (uint64_t)(i))
#define CRED (BASE + 0x8000)
#define END (BASE + 0x200000)
#define THREAD 0x4000u

static struct hook_plan plan;
static struct gmem g;

static void poke(uint64_t at, const void *p, size_t n)
{
	assert_int_equal(pwrite(g.fd, p, n, (off_t)at), (ssize_t)n);
}

static void poke_task(unsigned i, uint32_t pid, uint64_t parent, const char *comm)
{
	uint64_t cred = CRED;
	poke(TASK(i) + 8, &pid, 4);
	poke(TASK(i) + 12, &pid, 4);
	poke(TASK(i) + 16, &parent, 8);
	poke(TASK(i) + 24, &cred, 8);
	poke(TASK(i) + 32, comm, 16);
}

static int setup(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	memset(plan.off, 0xff, sizeof(plan.off));
	plan.base = BASE;
	plan.thread_size = THREAD;
	plan.off[HOOK_OFF_TASK_PID] = 8;
	plan.off[HOOK_OFF_TASK_TGID] = 12;
	plan.off[HOOK_OFF_TASK_REAL_PARENT] = 16;
	plan.off[HOOK_OFF_TASK_CRED] = 24;
	plan.off[HOOK_OFF_TASK_COMM] = 32;
	plan.off[HOOK_OFF_CRED_UID] = 8;
	plan.off[HOOK_OFF_CRED_EUID] = 24;
	g = (struct gmem){ memfd_create("memory", MFD_CLOEXEC), &plan };
	assert_int_equal(ftruncate(g.fd, END), 0);
	poke(CRED + 8, "\xe8\x03\0\0", 4);
	for (unsigned i = 1; i <= 100; i++)
		poke_task(i, i, TASK(i - 1), "a-process\0\0\0\0\0\0");
	poke_task(0, 0, TASK(0), "swapper\0\0\0\0\0\0\0\0");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(g.fd);
	return 0;
}

static void test_read(void **state)
{
	(void)state;
	char b[16] = "unchanged";
	assert_true(gmem_read(&g, TASK(1) + 32, b, 10));
	assert_string_equal(b, "a-process");
	assert_true(gmem_read(&g, BASE, b, 0));
	/* Below the guest's memory lies our own library's. */
	poke(BASE - 16, "secret", 7);
	assert_false(gmem_read(&g, BASE - 16, b, 7));
	assert_false(gmem_read(&g, 0, b, 1));
	assert_false(gmem_read(&g, END, b, 1));
	assert_false(gmem_read(&g, END - 4, b, 8));
	assert_false(gmem_read(&g, UINT64_MAX - 4, b, 8));
	assert_false(gmem_read(&g, UINT64_C(1) << 63, b, 8));
	assert_false(gmem_read(&g, BASE + (UINT64_C(64) << 30) - 4, b, 8));
}

static void test_text(void **state)
{
	(void)state;
	char b[64];
	poke(BASE + 4090, "over a page's end", 18);
	assert_true(gmem_text(&g, BASE + 4090, b, sizeof(b)));
	assert_string_equal(b, "over a page's end");
	assert_true(gmem_text(&g, BASE + 4090, b, 7));
	assert_string_equal(b, "over a");
	poke(END - 3, "xyz", 3);
	assert_false(gmem_text(&g, END - 3, b, sizeof(b)));
	poke(END - 3, "xy", 3);
	assert_true(gmem_text(&g, END - 3, b, sizeof(b)));
	assert_string_equal(b, "xy");
	assert_false(gmem_text(&g, BASE, b, 0));
}

static void test_task(void **state)
{
	(void)state;
	struct gmem_task t;
	assert_true(gmem_task(&g, TASK(7), &t));
	assert_int_equal(t.pid, 7);
	assert_int_equal(t.tgid, 7);
	assert_int_equal(t.uid, 1000);
	assert_int_equal(t.euid, 0);
	assert_int_equal(t.parent, TASK(6));
	assert_string_equal(t.comm, "a-process");
	/* Of any address on its stack. */
	uint64_t task = TASK(7), stack = BASE + 0x100000;
	poke(stack, &task, 8);
	assert_true(gmem_current(&g, stack + THREAD - 1, &t));
	assert_int_equal(t.pid, 7);
	assert_false(gmem_current(&g, stack + THREAD, &t));
	/* None of these is a task. */
	assert_false(gmem_task(&g, TASK(7) + 1, &t));
	assert_false(gmem_task(&g, 0, &t));
	assert_false(gmem_task(&g, END - 16, &t));
	uint32_t pid = 0x80000000;
	poke(TASK(7) + 8, &pid, 4);
	assert_false(gmem_task(&g, TASK(7), &t));
	poke_task(7, 7, 0, "0123456789abcdef");
	assert_false(gmem_task(&g, TASK(7), &t));
	/* A plan with a gap. */
	plan.off[HOOK_OFF_TASK_PID] = HOOK_OFF_NONE;
	assert_false(gmem_task(&g, TASK(8), &t));
}

static void test_ancestors(void **state)
{
	(void)state;
	struct gmem_task t[200];
	unsigned n = gmem_ancestors(&g, TASK(5), t, 200);
	assert_int_equal(n, 5);
	assert_int_equal(t[0].pid, 5);
	assert_int_equal(t[4].pid, 1);
	assert_int_equal(gmem_ancestors(&g, TASK(5), t, 2), 2);
	/* However long the guest makes it. */
	assert_int_equal(gmem_ancestors(&g, TASK(100), t, 200), GMEM_CHAIN);
	poke_task(50, 50, TASK(51), "circle\0\0\0\0\0\0\0\0\0");
	assert_int_equal(gmem_ancestors(&g, TASK(51), t, 200), GMEM_CHAIN);
	poke_task(50, 50, TASK(50), "itself\0\0\0\0\0\0\0\0\0");
	assert_int_equal(gmem_ancestors(&g, TASK(51), t, 200), 2);
	poke_task(50, 50, UINT64_MAX - 7, "nowhere\0\0\0\0\0\0\0\0");
	assert_int_equal(gmem_ancestors(&g, TASK(51), t, 200), 2);
	assert_int_equal(gmem_ancestors(&g, 3, t, 200), 0);
}

static void test_describe(void **state)
{
	(void)state;
	char b[400];
	poke_task(2, 2, TASK(1), "sshd\0\0\0\0\0\0\0\0\0\0\0");
	poke_task(3, 3, TASK(2), "\033[2Jx\0\0\0\0\0\0\0\0\0\0");
	size_t n = gmem_describe(&g, TASK(3), b, sizeof(b));
	assert_string_equal(b, "\\x1b[2Jx[3] uid 1000, child of sshd[2] uid 1000, child of a-process[1] uid 1000");
	assert_int_equal(n, strlen(b));
	assert_int_equal(gmem_describe(&g, TASK(3), b, 30), strlen("\\x1b[2Jx[3] uid 1000"));
	assert_string_equal(b, "\\x1b[2Jx[3] uid 1000");
	assert_int_equal(gmem_describe(&g, TASK(3), b, 0), 0);
	assert_int_equal(gmem_describe(&g, 12345, b, sizeof(b)), 0);
	assert_string_equal(b, "");
	/* However deep it is, only so many are named. */
	n = gmem_describe(&g, TASK(90), b, sizeof(b));
	assert_non_null(strstr(b, "[86]"));
	assert_null(strstr(b, "[85]"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = { T(test_read), T(test_text), T(test_task), T(test_ancestors),
					    T(test_describe) };
	return cmocka_run_group_tests_name("memory of a guest", tests, NULL, NULL);
}
