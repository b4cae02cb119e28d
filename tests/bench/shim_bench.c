/* SPDX-License-Identifier: ISC */
/*
 * What the shim's hooks cost a guest. Two machines run side by side, one without
 * hooks and one with; each round measures one after the other, by the guests' own
 * clocks: a program that writes numbered lines to a pty that another reads, in
 * blocks and line by line, and one that forks and executes. Trust the ratios of
 * medians more than the times.
 *
 *   shim_bench [ROUNDS]     environment: SKEP_SHIM, SHIM_GUEST
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 64

static struct machine off, on;

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct cost {
	double wall, cpu; /* ms */
};

static double cpu_ms(pid_t pid)
{
	clockid_t id;
	struct timespec t = { 0, 0 };
	if (!clock_getcpuclockid(pid, &id))
		clock_gettime(id, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct cost once(struct machine *m, const char *what)
{
	unsigned long long us = 0;
	double begin = cpu_ms(m->pid);
	sscanf(machine_ask(m, 120, "%s", what), "%llu", &us);
	struct cost c = { (double)us / 1000, cpu_ms(m->pid) - begin };
	machine_forget(m);
	return c;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return v[n / 2];
}

static void compare(const char *what, const char *name, int rounds)
{
	double wall[2][ROUNDS_MAX], cpu[2][ROUNDS_MAX];
	struct machine *m[2] = { &off, &on };
	once(&off, what), once(&on, what); /* warm */
	uint64_t before = on.last_seq, lost = on.lost;
	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < 2; k++) {
			int which = k ^ (i & 1); /* whoever comes second has it no better */
			struct cost c = once(m[which], what);
			wall[which][i] = c.wall;
			cpu[which][i] = c.cpu;
		}
	uint64_t records = (on.last_seq - before) / (unsigned)rounds;
	double w[2], c[2];
	for (int k = 0; k < 2; k++)
		w[k] = median(wall[k], rounds), c[k] = median(cpu[k], rounds);
	printf("%-34s wall %7.1f -> %7.1f ms, ratio %.3f; kernel's processor time %7.1f -> %7.1f ms, median ratio "
	       "%.3f, least %.3f; %llu records, %llu lost\n",
	       name, w[0], w[1], w[1] / w[0], c[0], c[1], c[1] / c[0], cpu[1][0] / cpu[0][0],
	       (unsigned long long)records, (unsigned long long)(on.lost - lost));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 9;
	rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
	if (!machine_possible())
		return 0;
	machine_image();
	machine_boot(&off, false, 0);
	machine_boot(&on, true, 16u << 20);
	compare("time-tty 200000", "200,000 lines to a pty, in blocks", rounds);
	compare("time-lines 40000", "40,000 lines to a pty, one by one", rounds);
	compare("time-fork 150", "150 fork, exec, exit", rounds);
	machine_end(&on);
	machine_end(&off);
	return 0;
}
