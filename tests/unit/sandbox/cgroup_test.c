/* SPDX-License-Identifier: ISC */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct cgroup net, one;

static pid_t child; /* not yet waited for */

/* A child in group `one` that runs fn; its pid. */
static pid_t inside(int (*fn)(void))
{
	int fds[CG_COUNT];
	struct err e;
	int n = cgroup_join_fds(&one, fds, &e);
	assert_true(n > 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(20);
		for (int i = 0; i < n; i++)
			if (write(fds[i], "0", 1) != 1)
				_exit(90);
		_exit(fn());
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	child = pid;
	return pid;
}

static int end_of(pid_t pid)
{
	int st;
	assert_int_equal(waitpid(pid, &st, 0), pid);
	child = 0;
	return st;
}

static int eat_memory(void)
{
	size_t n = 96 << 20;
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < n; i += 4096)
		p[i] = 1;
	return 0;
}

/* 0 if a hundred processes can exist at once. */
static int breed(void)
{
	pid_t kids[100];
	int n = 0;
	for (; n < 100; n++) {
		kids[n] = fork();
		if (kids[n] < 0)
			break;
		if (kids[n] == 0) {
			pause();
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++) {
		kill(kids[i], SIGKILL);
		waitpid(kids[i], NULL, 0);
	}
	return n == 100 ? 0 : 7;
}

static int count_for_ever(void)
{
	for (volatile unsigned long i = 0; i < ~0ul; i++) {
	}
	return 0;
}

static void memory_is_limited(void **state)
{
	(void)state;
	struct err e;
	struct cgroup_usage u;
	if (!(one.have & CG_BIT(CG_MEMORY)))
		return; /* nothing to test here; cmocka 1.1 reports skip() as a failure */
	assert_int_equal(cgroup_limit(&one, &(struct cgroup_limits){ .memory = 32 << 20 }, &e), 0);
	int st = end_of(inside(eat_memory));
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	assert_int_equal(cgroup_usage(&one, &u), 0);
	assert_true(u.oom_kills >= 1);
	assert_true(u.memory_peak == 0 || (u.memory_peak > 16 << 20 && u.memory_peak <= 32 << 20));
}

static void processes_are_limited(void **state)
{
	(void)state;
	struct err e;
	if (!(one.have & CG_BIT(CG_PIDS)))
		return; /* nothing to test here; cmocka 1.1 reports skip() as a failure */
	assert_int_equal(end_of(inside(breed)), 0);
	assert_int_equal(cgroup_limit(&one, &(struct cgroup_limits){ .pids = 20 }, &e), 0);
	int st = end_of(inside(breed));
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

/* ns of CPU time that pid has used. */
static double cpu_of(pid_t pid)
{
	clockid_t id;
	struct timespec t = { 0 };
	assert_int_equal(clock_getcpuclockid(pid, &id), 0);
	assert_int_equal(clock_gettime(id, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&t, NULL);
}

static void cpu_is_limited_and_freezes(void **state)
{
	(void)state;
	struct err e;
	if (!(one.have & CG_BIT(CG_CPU)))
		return; /* nothing to test here; cmocka 1.1 reports skip() as a failure */
	assert_int_equal(cgroup_limit(&one, &(struct cgroup_limits){ .cpu_percent = 10 }, &e), 0);
	pid_t pid = inside(count_for_ever);
	wait_ms(1000);
	double used = cpu_of(pid);
	assert_true(used < 0.4);
	if (one.have & CG_BIT(CG_FREEZER)) {
		assert_int_equal(cgroup_freeze(&one, 1, &e), 0);
		wait_ms(200); /* a group that has used up its quota freezes when it next runs */
		used = cpu_of(pid);
		wait_ms(300);
		assert_true(cpu_of(pid) - used < 0.001);
		assert_int_equal(cgroup_freeze(&one, 0, &e), 0);
		wait_ms(500);
		assert_true(cpu_of(pid) - used > 0.001);
	}
	kill(pid, SIGKILL);
	end_of(pid);
}

static void a_group_with_a_process_stays(void **state)
{
	(void)state;
	struct err e;
	struct stat st;
	pid_t pid = inside(pause);
	wait_ms(50);
	assert_int_equal(cgroup_remove(&one, &e), -EBUSY);
	assert_non_null(strstr(e.text, "still has processes"));
	kill(pid, SIGKILL);
	end_of(pid);
	assert_int_equal(cgroup_remove(&one, &e), 0);
	for (int c = 0; c < CG_COUNT; c++)
		if (one.have & CG_BIT(c))
			assert_int_equal(stat(one.path[c], &st), -1);
}

static void without_rights_it_says_so(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return; /* nothing to test here; cmocka 1.1 reports skip() as a failure */
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = { 0 };
		struct cgroup g = { .have = 77 };
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		int r = cgroup_root(&g, "skep-test-none", &e);
		_exit(r == -ENOTSUP && g.have == 77 && strstr(e.text, "Delegate=yes") ? 0 : 2);
	}
	assert_int_equal(end_of(pid), 0);
}

static char name[32];

static int setup(void **state)
{
	(void)state;
	struct err e;
	snprintf(name, sizeof(name), "skep-test-%d", getpid());
	int r = cgroup_root(&net, name, &e);
	if (r == -ENOTSUP) {
		printf("1..0 # SKIP %s\n", e.text);
		exit(0);
	}
	return r;
}

static int make_one(void **state)
{
	(void)state;
	struct err e;
	return cgroup_make(&one, &net, "one", &e);
}

static int remove_one(void **state)
{
	(void)state;
	/* A test that failed leaves it. */
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		child = 0;
	}
	return cgroup_remove(&one, NULL);
}

static int teardown(void **state)
{
	(void)state;
	return cgroup_remove(&net, NULL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, make_one, remove_one)

int main(void)
{
	setup(NULL);
	const struct CMUnitTest tests[] = {
		TEST(memory_is_limited),
		TEST(processes_are_limited),
		TEST(cpu_is_limited_and_freezes),
		TEST(a_group_with_a_process_stays),
		cmocka_unit_test(without_rights_it_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
