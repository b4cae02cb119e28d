/* SPDX-License-Identifier: ISC */
/* The watch over the hooks of a real guest: quiet while it works, and what it says when they are attacked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine.h"
#include "proc/introspect/gmem.h"
#include "proc/introspect/tamper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct machine m;
static struct ev ev;
static struct tamper t;
static int mem;
static uint64_t placed;
static unsigned told;
static char what[200];

static void on_tamper(void *arg, const char *text)
{
	(void)arg;
	told++;
	snprintf(what, sizeof(what), "%s", text);
}

static int boot(void **state)
{
	(void)state;
	char path[64];
	machine_boot(&m, true, 8u << 20);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)m.pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	assert_true(mem >= 0 && ev_init(&ev, NULL) == 0);
	assert_true(m.n > 0 && m.rec[0].h.type == HOOK_HELLO && m.rec[0].n == 24);
	memcpy(&placed, m.rec[0].data + 8, sizeof(placed));
	assert_true(placed >> HOOK_SITE_EXEC & 1 && placed >> HOOK_SITE_PTY_WRITE & 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	tamper_stop(&t);
	ev_close(&ev);
	close(mem);
	machine_end(&m);
	return 0;
}

static void begin(void)
{
	tamper_stop(&t);
	told = 0;
	what[0] = 0;
	tamper_start(&t, &ev, mem, &m.plan, placed, on_tamper, NULL);
	assert_true(tamper_look(&t));
}

static void test_quiet(void **state)
{
	(void)state;
	begin();
	machine_ask(&m, 30, "programs");
	assert_true(tamper_look(&t));
	machine_ask(&m, 30, "files");
	assert_true(tamper_look(&t));
	machine_ask(&m, 30, "sockets");
	assert_true(tamper_look(&t));
	assert_int_equal(told, 0);
	assert_false(t.gone);
}

/* What records say of a task is what stands in its structure. */
static void test_tasks(void **state)
{
	(void)state;
	struct gmem g = { mem, &m.plan };
	unsigned seen = 0;
	/* From the last one back: at first it was called "swapper". */
	for (size_t i = m.n; i-- > 0 && seen < 20;) {
		struct gmem_task x;
		if (m.rec[i].h.tgid != 1 || m.rec[i].h.tid != 1)
			continue;
		assert_true(gmem_task(&g, m.rec[i].h.task, &x));
		assert_int_equal(x.pid, 1);
		assert_int_equal(x.tgid, 1);
		assert_memory_equal(x.comm, m.rec[i].h.comm, sizeof(m.rec[i].h.comm));
		char text[200];
		assert_true(gmem_describe(&g, m.rec[i].h.task, text, sizeof(text)) > 0);
		assert_string_equal(text, "init[1] uid 0");
		seen++;
	}
	assert_true(seen > 0);
}

static void attack(uint64_t at, const void *p, size_t n, const char *site, const char *how)
{
	uint8_t was[24];
	begin();
	assert_int_equal(pread(mem, was, n, (off_t)at), (ssize_t)n);
	assert_int_equal(pwrite(mem, p, n, (off_t)at), (ssize_t)n);
	/* Its timer finds it. */
	for (unsigned i = 0; i < 100 && !told; i++)
		assert_true(ev_turn(&ev, 10) >= 0);
	assert_int_equal(pwrite(mem, was, n, (off_t)at), (ssize_t)n);
	assert_int_equal(told, 1);
	if (!strstr(what, site) || !strstr(what, how))
		fail_msg("%s", what);
}

static void test_attacks(void **state)
{
	(void)state;
	const struct hook_place *p = &m.plan.site[HOOK_SITE_EXEC];
	uint8_t jump[5];
	int32_t rel;
	attack(p->addr, p->orig, 5, "bprm_execve", "removed");
	attack(p->addr + 1, "\0", 1, "bprm_execve", "changed");
	assert_int_equal(pread(mem, jump, 5, (off_t)p->addr), 5);
	assert_int_equal(jump[0], 0xe9);
	memcpy(&rel, jump + 1, 4);
	uint64_t slot = p->addr + 5 + (uint64_t)(int64_t)rel, wrapper;
	attack(slot, "\xc3", 1, "bprm_execve", "the code of its hook");
	assert_int_equal(pread(mem, &wrapper, 8, (off_t)slot + 6), 8);
	attack(wrapper, "\xc3", 1, "bprm_execve", "the code of its hook was changed");
	/* All is as it was, and the guest still works. */
	begin();
	machine_ask(&m, 30, "programs");
	assert_true(tamper_look(&t));
}

static void test_the_end(void **state)
{
	(void)state;
	begin();
	kill(m.pid, SIGKILL);
	for (unsigned i = 0; i < 300 && !t.gone; i++) {
		assert_true(tamper_look(&t));
		usleep(10000);
	}
	assert_true(t.gone);
	assert_int_equal(told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_quiet), cmocka_unit_test(test_tasks),
					    cmocka_unit_test(test_attacks), cmocka_unit_test(test_the_end) };
	if (!machine_possible())
		return 0;
	signal(SIGPIPE, SIG_IGN);
	machine_image();
	return cmocka_run_group_tests_name("hooks under attack", tests, boot, end);
}
