/* SPDX-License-Identifier: ISC */
/*
 * Start-up cost of the jail: PROGRAM (static, ends at once) started N times by
 * plain fork and exec, and N times in a jail, from the call until waitpid has
 * returned; microseconds, median and 90th percentile. jail_bench PROGRAM [N]
 */
#include "sandbox/jail.h"
#include "sandbox/userns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 1000 };

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(const char *what, double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), by_size);
	printf("%-22s n=%d  median %7.0f us  p90 %7.0f us  max %7.0f us\n", what, n, us[n / 2], us[n * 9 / 10],
	       us[n - 1]);
}

static int plain(char *program)
{
	pid_t pid = fork();
	if (pid == 0) {
		execv(program, (char *[]){ program, NULL });
		_exit(127);
	}
	int st = -1;
	waitpid(pid, &st, 0);
	return st;
}

static int jailed(char *program, enum jail_profile profile, unsigned off, uid_t uid, double *started)
{
	struct jail j;
	struct err e;
	struct jail_spec s = { .profile = profile,
			       .exe = program,
			       .argv = (char *[]){ program, NULL },
			       .uid = uid,
			       .stdio = -1,
			       .limits = { .shm_bytes = 1 << 20 },
			       .off = off };
	double t0 = now_us();
	if (jail_start(&s, &j, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	*started = now_us() - t0;
	int st = -1;
	waitpid(j.pid, &st, 0);
	close(j.pidfd);
	return st;
}

int main(int argc, char **argv)
{
	static double us[MAX], started[MAX];
	char program[4096];
	int n = argc > 2 ? atoi(argv[2]) : 50;
	struct err e;
	if (argc < 2 || n < 1 || n > MAX || !realpath(argv[1], program)) {
		fprintf(stderr, "usage: jail_bench PROGRAM [N]\n");
		return 2;
	}
	uid_t uid = 0x70000007;
	if (geteuid() != 0) {
		uid = JAIL_UID_SAME;
		if (userns_enter(&e) < 0) {
			fprintf(stderr, "%s\n", e.text);
			return 1;
		}
	}
	for (int i = 0; i < n; i++) {
		double t0 = now_us();
		if (plain(program) != 0)
			return 1;
		us[i] = now_us() - t0;
	}
	report("fork and exec", us, n);
	static const struct {
		const char *name;
		enum jail_profile profile;
		unsigned off;
	} ways[] = {
		{ "jail", JAIL_PROFILE_UML, 0 },
		{ "  without seccomp", JAIL_PROFILE_UML, JAIL_SECCOMP },
		{ "  without Landlock", JAIL_PROFILE_UML, JAIL_LANDLOCK },
		{ "  without namespaces", JAIL_PROFILE_UML, JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS },
	};
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		double first;
		/* The first start compiles the filter: paid once by priv. */
		double t0 = now_us();
		if (jailed(program, ways[w].profile, ways[w].off, uid, &first) != 0)
			return 1;
		if (w == 0)
			printf("%-22s %.0f us, once\n", "first jail", now_us() - t0);
		for (int i = 0; i < n; i++) {
			t0 = now_us();
			if (jailed(program, ways[w].profile, ways[w].off, uid, &started[i]) != 0)
				return 1;
			us[i] = now_us() - t0;
		}
		report(ways[w].name, us, n);
		if (w == 0)
			report("  until exec", started, n);
	}
	return 0;
}
