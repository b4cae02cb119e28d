/* SPDX-License-Identifier: ISC */
/* The shim, preloaded into small programs: what each of its changes does. */
#include "scratch.h"

#include <poll.h>
#include <sys/socket.h>

static int near[3]; /* our ends of fds 3, 4, 5 */

static pid_t start(const char *program, const char *what)
{
	int far[3];
	static const int types[3] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	for (int i = 0; i < 3; i++) {
		int p[2];
		assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, p), 0);
		near[i] = p[0];
		far[i] = p[1];
	}
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			far[i] = fcntl(far[i], F_DUPFD, 50);
		for (int i = 0; i < 3; i++)
			dup2(far[i], 3 + i);
		for (int fd = 6; fd < 100; fd++)
			close(fd);
		setenv("LD_PRELOAD", getenv("SKEP_SHIM"), 1);
		execl(program, program, what, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 3; i++)
		close(far[i]);
	return pid;
}

static int finish(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 3; i++)
		close(near[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void simple(const char *env, const char *what)
{
	int r = finish(start(getenv(env), what));
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

static void test_close(void **state)
{
	(void)state;
	simple("SHIM_PROBE", "close");
}

static void test_inactive(void **state)
{
	(void)state;
	simple("SHIM_PROBE_PIE", "inactive");
}

static void test_peek(void **state)
{
	(void)state;
	simple("SHIM_PROBE", "peek");
}

static void test_xstate(void **state)
{
	(void)state;
	simple("SHIM_PROBE", "xstate");
}

static void test_ticks(void **state)
{
	(void)state;
	simple("SHIM_PROBE", "ticks");
}

static void test_hotplug(void **state)
{
	(void)state;
	simple("SHIM_PROBE", "hotplug");
}

static void test_control(void **state)
{
	(void)state;
	char buf[64] = "";
	pid_t pid = start(getenv("SHIM_PROBE"), "control");
	assert_int_equal(recv(near[2], buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "ready", 5);
	assert_int_equal(send(near[2], "request", 7, 0), 7);
	assert_int_equal(recv(near[2], buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "reply", 5);
	assert_int_equal(finish(pid), 0);
}

static void dies_with_its_tracer(const char *what)
{
	pid_t child, pid = start(getenv("SHIM_PROBE"), what);
	assert_int_equal(read(near[1], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	finish(pid);
	/* Whoever adopts it may take a moment to reap it. */
	char path[64], line[256] = "";
	bool dead = false;
	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	for (int i = 0; i < 100 && !dead; i++) {
		FILE *f = fopen(path, "r");
		dead = !f || !fgets(line, sizeof(line), f) || strstr(line, ") Z") || strstr(line, ") X");
		if (f)
			fclose(f);
		usleep(10000);
	}
	if (!dead)
		kill(child, SIGKILL);
	assert_true(dead);
}

static void test_exitkill(void **state)
{
	(void)state;
	dies_with_its_tracer("exitkill");
	dies_with_its_tracer("exitkill-old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),    cmocka_unit_test(test_ticks),    cmocka_unit_test(test_hotplug),
		cmocka_unit_test(test_inactive), cmocka_unit_test(test_peek),     cmocka_unit_test(test_xstate),
		cmocka_unit_test(test_control),  cmocka_unit_test(test_exitkill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
