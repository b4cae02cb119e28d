/* SPDX-License-Identifier: ISC */
#include "sandbox/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SHARED = 8 << 20 };

struct seen {
	struct rep_thread t[16];
	int n;
};

static void note(void *arg, const struct rep_thread *t)
{
	struct seen *s = arg;
	if (s->n < 16)
		s->t[s->n++] = *t;
}

static int share_memory(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

/* A process with one child of its own and one that shares its memory; says
 * when it is there. */
static pid_t family(void)
{
	int p[2];
	char c;
	assert_int_equal(pipe(p), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		static char stack[65536] __attribute__((aligned(16)));
		char *mem = mmap(NULL, SHARED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(mem, 1, SHARED);
		prctl(PR_SET_NAME, "\x1b[31mred");
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(open("/dev/null", O_RDONLY), 30);
		if (clone(share_memory, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, NULL) < 0)
			_exit(1);
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
		}
		(void)!write(p[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	return pid;
}

static void end(pid_t pid)
{
	struct seen s = { 0 };
	inspect_threads(pid, 1, note, &s);
	for (int i = 0; i < s.n; i++)
		kill(s.t[i].pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_tree_is_seen_whole(void **state)
{
	(void)state;
	struct seen all = { 0 }, top = { 0 };
	pid_t pid = family();
	assert_int_equal(inspect_threads(pid, 1, note, &all), 3);
	assert_int_equal(inspect_threads(pid, 0, note, &top), 1);
	end(pid);
	assert_int_equal(top.t[0].pid, pid);
	assert_int_equal(top.t[0].tid, pid);
	assert_int_equal(top.t[0].no_new_privs, 1);
	assert_int_equal(top.t[0].seccomp, 0);
	assert_int_equal(top.t[0].uid, getuid());
	assert_true(top.t[0].nfds >= 4);
	assert_non_null(strstr(top.t[0].fds, "30:/dev/null"));
	assert_non_null(strstr(top.t[0].fds, ":pipe"));
	/* An intruder's escape sequence does not reach the terminal. */
	assert_null(strchr(top.t[0].comm, '\x1b'));
	assert_non_null(strstr(top.t[0].comm, "red"));
}

static void shared_memory_counts_once(void **state)
{
	(void)state;
	struct inspect_memory one, all;
	pid_t pid = family();
	assert_int_equal(inspect_memory(pid, 0, &one), 0);
	assert_int_equal(inspect_memory(pid, 1, &all), 0);
	end(pid);
	assert_true(one.pss <= one.rss && all.pss <= all.rss);
	assert_true(one.rss >= SHARED);
	/* The fork shares its pages: PSS of both together is about one copy. */
	assert_true(all.pss >= SHARED && all.pss < SHARED + SHARED / 2);
}

static void many_fds_are_cut(void **state)
{
	(void)state;
	struct seen s = { 0 };
	int fds[100];
	for (int i = 0; i < 100; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(inspect_threads(getpid(), 0, note, &s) >= 1);
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	assert_true(s.t[0].nfds >= 100);
	size_t n = strlen(s.t[0].fds);
	assert_true(n < sizeof(s.t[0].fds) && !strcmp(s.t[0].fds + n - 3, "..."));
}

static void nobody_there(void **state)
{
	(void)state;
	struct seen s = { 0 };
	struct inspect_memory m = { 1, 2 };
	assert_int_equal(inspect_threads(0x3fffff, 1, note, &s), -ESRCH);
	assert_int_equal(inspect_memory(0x3fffff, 1, &m), -ESRCH);
	assert_int_equal(m.rss, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_is_seen_whole),
		cmocka_unit_test(shared_memory_counts_once),
		cmocka_unit_test(many_fds_are_cut),
		cmocka_unit_test(nobody_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
