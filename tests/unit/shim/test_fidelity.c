/* SPDX-License-Identifier: ISC */
/*
 * Can guest root tell that its kernel has hooks? Two machines, one with and one
 * without; what the guest shows of itself must be equal but for what differs
 * between any two boots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/plan.h"
#include "machine.h"
#include "stream.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct machine off, on;

static int boot(void **state)
{
	(void)state;
	machine_boot(&off, false, 0);
	machine_boot(&on, true, 8u << 20);
	return 0;
}

static int end(void **state)
{
	(void)state;
	machine_end(&on);
	machine_end(&off);
	return 0;
}

/* A difference counts if it stays: the kernel may speak in between on the same line. */
static void same(const char *cmd)
{
	const char *a = "", *b = "";
	for (int i = 0; i < 4; i++) {
		machine_ask(&off, 30, "sh %s", cmd);
		machine_ask(&on, 30, "sh %s", cmd);
		a = machine_output(&off);
		b = machine_output(&on);
		machine_forget(&on);
		if (!strcmp(a, b) && strlen(a) > 8) /* more than the answer's line */
			return;
	}
	fail_msg("%s\n--- without hooks:\n%s\n--- with hooks:\n%s", cmd, a, b);
}

static void test_proc(void **state)
{
	(void)state;
	same("cat /proc/version /proc/cmdline /proc/cpuinfo");
	same("cat /proc/iomem /proc/ioports /proc/devices /proc/misc /proc/filesystems /proc/mounts /proc/swaps");
	same("md5sum </proc/kallsyms; wc -l </proc/kallsyms; cat /proc/modules");
	same("grep -E 'MemTotal|Vmalloc.*Total|HugePages|SwapTotal' /proc/meminfo");
	same("cut -d: -f1 /proc/interrupts; sed 's/[0-9]*$//' /proc/softirqs | cut -d: -f1");
	same("cat /proc/1/limits /proc/1/cgroup /proc/1/mountinfo; ls /proc/1/fd; grep -E 'Seccomp|Cap|Threads' "
	     "/proc/1/status");
	same("ls /proc | grep -v '[0-9]'; ls /proc/sys/kernel /proc/sys/debug /proc/sys/vm");
}

static void test_sys(void **state)
{
	(void)state;
	same("find /sys | md5sum");
	same("cat /sys/kernel/notes | md5sum; ls /sys/kernel /sys/module; cat /sys/kernel/uevent_helper");
	same("mount -t debugfs d /sys/kernel/debug && ls -R /sys/kernel/debug | md5sum; umount /sys/kernel/debug");
	same("ls /sys/kernel/tracing /sys/kernel/debug/kprobes 2>&1 | cat");
}

/* What the boot said; times and the results of measurements are noise. */
static void test_dmesg(void **state)
{
	(void)state;
	same("dmesg | sed 's/^\\[[^]]*\\] //' | grep -vE "
	     "'MB/s|xor:|raid6|clock|random|Memory:|BogoMIPS|mac80211|UTC|audit'");
}

static void test_stacks(void **state)
{
	(void)state;
	int a = atoi(machine_ask(&off, 10, "sleeper")), b = atoi(machine_ask(&on, 10, "sleeper"));
	assert_int_equal(a, b); /* the same number of processes so far */
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "cat /proc/%d/stack /proc/%d/wchan; echo; cat /proc/1/stack /proc/self/stack", a, a);
	same(cmd);
	assert_non_null(strstr(machine_output(&on), "inet_csk_accept"));
}

/* All of the kernel's code, hooks' places included, through both doors. */
static void test_memory(void **state)
{
	(void)state;
	static const char *const doors[] = { "/dev/mem", "/proc/kcore" };
	const struct hook_plan *p = &on.plan;
	int fd = open("/usr/bin/linux.uml", O_RDONLY | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	const uint8_t *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(file != MAP_FAILED);
	close(fd);
	uint64_t n = p->text_end - p->text;
	for (int i = 0; i < 2; i++) {
		unsigned long long got = 0, with = 0, without = 0, want;
		want = stream_hash(STREAM_HASH, file + (p->text - p->base), n);
		const char *a = machine_ask(&on, 30, "mem %s %llx %llx %llx", doors[i], (unsigned long long)p->text,
					    (unsigned long long)n, (unsigned long long)p->base);
		assert_int_equal(sscanf(a, "%llu %llx", &got, &with), 2);
		a = machine_ask(&off, 30, "mem %s %llx %llx %llx", doors[i], (unsigned long long)p->text,
				(unsigned long long)n, (unsigned long long)p->base);
		assert_int_equal(sscanf(a, "%*u %llx", &without), 1);
		/* Debian's kernel has no RAM in /proc/kcore, with hooks or without. */
		unsigned long long there = 0;
		a = machine_ask(&off, 30, "mem %s %llx %llx %llx", doors[i], (unsigned long long)p->text,
				(unsigned long long)n, (unsigned long long)p->base);
		assert_int_equal(sscanf(a, "%llu %llx", &there, &without), 2);
		assert_int_equal(got, there);
		assert_true(there == n || i == 1);
		if (there != n)
			continue;
		assert_int_equal(without, want);
		assert_int_equal(with, want);
		/* And in pieces that cut jumps in two. */
		for (unsigned s = 0; s < HOOK_SITE_COUNT; s++)
			for (unsigned k = 1; k <= 4; k += 3) {
				uint64_t at = p->site[s].addr + k;
				want = stream_hash(STREAM_HASH, file + (at - p->base), 3);
				a = machine_ask(&on, 30, "mem %s %llx 3 %llx", doors[i], (unsigned long long)at,
						(unsigned long long)p->base);
				assert_int_equal(sscanf(a, "%llu %llx", &got, &with), 2);
				assert_int_equal(with, want);
			}
	}
	munmap((void *)(uintptr_t)file, (size_t)st.st_size);
}

/* The least of many: what an intruder without a second machine would have to
 * tell from the noise of a virtual machine. */
static void test_times(void **state)
{
	(void)state;
	static const char *const ops[] = { "tty", "open", "fork" };
	for (unsigned i = 0; i < 3; i++) {
		unsigned long long a = UINT64_MAX, b = UINT64_MAX;
		for (int k = 0; k < 5; k++) {
			unsigned long long x = strtoull(machine_ask(&off, 30, "least %s", ops[i]), NULL, 10);
			unsigned long long y = strtoull(machine_ask(&on, 30, "least %s", ops[i]), NULL, 10);
			a = x < a ? x : a;
			b = y < b ? y : b;
			machine_forget(&on);
		}
		printf("# least time of %s: %llu ns without hooks, %llu ns with\n", ops[i], a, b);
		assert_true(b < a + a / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proc),   cmocka_unit_test(test_sys),    cmocka_unit_test(test_dmesg),
		cmocka_unit_test(test_stacks), cmocka_unit_test(test_memory), cmocka_unit_test(test_times),
	};
	if (!machine_possible())
		return 0;
	machine_image();
	return cmocka_run_group_tests_name("fidelity", tests, boot, end);
}
