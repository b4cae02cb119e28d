/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "guest/plan.h"
#include "synth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct synth s;
static struct hook_plan p;
static struct err e;

static int file_of(const void *b, size_t n)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);
	assert_int_equal(write(fd, b, n), (ssize_t)n);
	return fd;
}

static int make(void)
{
	int fd = file_of(s.b, s.n);
	memset(&e, 0, sizeof(e));
	int r = guest_plan_make(fd, &p, &e);
	close(fd);
	return r;
}

static uint64_t address_of(const char *name)
{
	for (unsigned i = 0; i < s.syms; i++)
		if (strcmp(s.sym[i].name, name) == 0)
			return s.sym[i].addr;
	return 0;
}

/* Members are where the functions look, wherever that is. */
static void test_offsets(void **state)
{
	(void)state;
	for (int32_t m = 0; m <= 0x1000; m += m ? m : 16) {
		synth_kernel(&s, m % 32 ? SYNTH_OFFSETS : SYNTH_SEQS, m);
		assert_int_equal(make(), 0);
		assert_int_equal(p.off[HOOK_OFF_TASK_COMM], 0x4b8 + m);
		assert_int_equal(p.off[HOOK_OFF_TASK_MM], 0x290 + m);
		assert_int_equal(p.off[HOOK_OFF_TASK_PID], 0x308 + m);
		assert_int_equal(p.off[HOOK_OFF_TASK_TGID], 0x30c + m);
		assert_int_equal(p.off[HOOK_OFF_TASK_REAL_PARENT], 0x310 + m);
		assert_int_equal(p.off[HOOK_OFF_TASK_CRED], 0x4a8 + m);
		assert_int_equal(p.off[HOOK_OFF_CRED_UID], 8 + m);
		assert_int_equal(p.off[HOOK_OFF_CRED_EUID], 0x18 + m);
		assert_int_equal(p.off[HOOK_OFF_TTY_NAME], 0x138 + m);
		assert_int_equal(p.off[HOOK_OFF_TTY_DRIVER], 0x10 + m);
		assert_int_equal(p.off[HOOK_OFF_TTY_INDEX], 0x20 + m);
		assert_int_equal(p.off[HOOK_OFF_TTY_LINK], 0x1c0 + m);
		assert_int_equal(p.off[HOOK_OFF_DRIVER_MAJOR], 0x2c + m);
		assert_int_equal(p.off[HOOK_OFF_DRIVER_MINOR_START], 0x30 + m);
		assert_int_equal(p.thread_size, 0x4000);
		/* No function, no offset. */
		assert_int_equal(p.off[HOOK_OFF_SK_FAMILY], HOOK_OFF_NONE);
		assert_int_equal(p.off[HOOK_OFF_MODULE_NAME], HOOK_OFF_NONE);
		assert_int_equal(p.off[HOOK_OFF_MOUNT_PARENT], HOOK_OFF_NONE);
	}
}

static void test_sites(void **state)
{
	(void)state;
	synth_kernel(&s, SYNTH_OFFSETS, 0);
	assert_int_equal(make(), 0);
	assert_int_equal(p.magic, HOOK_PLAN_MAGIC);
	assert_int_equal(p.size, sizeof(p));
	assert_int_equal(p.base, SYNTH_BASE);
	assert_int_equal(p.text, SYNTH_TEXT);
	assert_int_equal(p.text_end, address_of("_etext"));
	const struct hook_place *w = &p.site[HOOK_SITE_PTY_WRITE];
	assert_int_equal(w->addr, address_of("pty_write"));
	assert_int_equal(w->keep, 7);
	assert_int_equal(w->probe, 13);
	assert_memory_equal(w->orig, s.b + (w->addr - SYNTH_BASE), sizeof(w->orig));
	/* There, but no jump fits. */
	assert_int_equal(p.site[HOOK_SITE_EXIT].addr, address_of("do_exit"));
	assert_int_equal(p.site[HOOK_SITE_EXIT].keep, 0);
	assert_int_equal(p.site[HOOK_SITE_EXEC].keep, 0);
	assert_int_equal(p.site[HOOK_SITE_CRED].keep, 6);
	assert_int_equal(p.site[HOOK_SITE_OPEN].addr, 0);
	assert_int_equal(p.call[HOOK_CALL_D_PATH], address_of("d_path"));
	assert_int_equal(p.call[HOOK_CALL_KTIME_REAL], 0);
}

static void one_task_function(const char *name, int32_t disp)
{
	struct code c = { .n = 0 };
	code_load(&c, 8, C_RAX, C_RDI, disp);
	code_ret(&c);
	synth_function(&s, name, c.b, c.n);
}

static void test_contradictions(void **state)
{
	(void)state;
	/* Two functions that say different things. */
	synth_begin(&s, SYNTH_OFFSETS);
	one_task_function("get_task_mm", 0x290);
	one_task_function("get_task_exe_file", 0x298);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_TASK_MM], HOOK_OFF_NONE);
	/* Each for itself is believed. */
	synth_begin(&s, SYNTH_OFFSETS);
	one_task_function("get_task_exe_file", 0x298);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_TASK_MM], 0x298);
	/* What Linux's headers rule out: the mode stands behind the flags. */
	struct code c = { .n = 0 };
	synth_begin(&s, SYNTH_OFFSETS);
	CODE(&c, "\xf6\x46\x39\x80\xc3"); /* testb [rsi+0x39], 0x80 */
	synth_function(&s, "generic_file_open", c.b, c.n);
	c.n = 0;
	CODE(&c, "\x83\x66\x44\xe3\xc3"); /* andl [rsi+0x44], ~0x1c */
	synth_function(&s, "nonseekable_open", c.b, c.n);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_FILE_MODE], HOOK_OFF_NONE);
	assert_int_equal(p.off[HOOK_OFF_FILE_FLAGS], HOOK_OFF_NONE);
}

static void test_doubtful(void **state)
{
	(void)state;
	/* Two functions of one name: neither is meant. */
	synth_begin(&s, SYNTH_OFFSETS);
	one_task_function("get_task_mm", 0x290);
	one_task_function("pty_write", 0x1c0);
	one_task_function("get_task_mm", 0x290);
	one_task_function("pty_write", 0x1c0);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_TASK_MM], HOOK_OFF_NONE);
	assert_int_equal(p.site[HOOK_SITE_PTY_WRITE].addr, 0);
	/* Too large, negative, not aligned: no member is there. */
	static const int32_t bad[] = { 0x4000, 0x7fffffff, -8, 0x291 };
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		synth_begin(&s, SYNTH_OFFSETS);
		one_task_function("get_task_mm", bad[i]);
		synth_end(&s);
		assert_int_equal(make(), 0);
		assert_int_equal(p.off[HOOK_OFF_TASK_MM], HOOK_OFF_NONE);
	}
	/* Of a size that the member has not. */
	struct code c = { .n = 0 };
	synth_begin(&s, SYNTH_OFFSETS);
	code_load(&c, 4, C_RAX, C_RDI, 0x290);
	code_ret(&c);
	synth_function(&s, "get_task_mm", c.b, c.n);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_TASK_MM], HOOK_OFF_NONE);
}

/* What a value came from is followed over moves, spills, calls and branches. */
static void test_follows(void **state)
{
	(void)state;
	struct code c = { .n = 0 };
	synth_begin(&s, SYNTH_OFFSETS);
	CODE(&c, "\x55\x48\x89\xe5\x53");     /* push rbp; mov rbp, rsp; push rbx */
	CODE(&c, "\x48\x89\xfb");             /* mov rbx, rdi */
	CODE(&c, "\x48\x89\x7d\xd8");         /* mov [rbp-0x28], rdi */
	CODE(&c, "\x31\xff\xe8\0\0\0\0");     /* xor edi, edi; call */
	CODE(&c, "\x48\x8b\x87\x11\x01\0\0"); /* mov rax, [rdi+0x111]: not it */
	CODE(&c, "\x74\x03\x5b\x5d\xc3");     /* je over the return */
	CODE(&c, "\x4c\x8b\x4d\xd8");         /* mov r9, [rbp-0x28] */
	CODE(&c, "\x4d\x89\xca");             /* mov r10, r9 */
	CODE(&c, "\x49\x8b\x82\x90\x02\0\0"); /* mov rax, [r10+0x290] */
	code_ret(&c);
	synth_function(&s, "get_task_mm", c.b, c.n);
	synth_end(&s);
	assert_int_equal(make(), 0);
	assert_int_equal(p.off[HOOK_OFF_TASK_MM], 0x290);
}

static void test_no_kernel(void **state)
{
	(void)state;
	struct hook_plan before;
	memset(&p, 0x5a, sizeof(p));
	before = p;
	synth_kernel(&s, SYNTH_OFFSETS, 0);
	size_t n = s.n;
	for (s.n = 0; s.n < n; s.n += s.n < 400 ? 13 : 4001) {
		int r = make();
		if (s.n < 0x1000)
			assert_int_equal(r, -ENOEXEC);
		if (r)
			assert_memory_equal(&p, &before, sizeof(p));
		assert_true(r == 0 || e.text[0]);
		p = before;
	}
	s.n = n;
	s.b[16] = 3; /* ET_DYN */
	assert_int_equal(make(), -ENOEXEC);
	assert_non_null(strstr(e.text, "position-independent"));
	s.b[16] = 2;
	assert_int_equal(make(), 0);
	int fd = open("/dev/null", O_RDONLY);
	assert_int_equal(guest_plan_make(fd, &p, &e), -ENOEXEC);
	close(fd);
	assert_int_equal(guest_plan_make(-1, &p, &e), -EBADF);
}

/* Whatever the headers say, what comes out passes the check. */
static void test_changed_headers(void **state)
{
	(void)state;
	synth_kernel(&s, SYNTH_OFFSETS, 0);
	unsigned good = 0;
	for (unsigned i = 0; i < 64 + 3 * 56; i++)
		for (unsigned v = 0; v < 3; v++) {
			static const uint8_t values[] = { 0, 0x7f, 0xff };
			uint8_t was = s.b[i];
			s.b[i] = values[v];
			if (make() == 0) {
				good++;
				assert_int_equal(guest_plan_check(&p, sizeof(p), NULL), 0);
			}
			s.b[i] = was;
		}
	assert_true(good > 0);
}

static void bad(struct hook_plan q)
{
	struct err f = { 0 };
	assert_int_equal(guest_plan_check(&q, sizeof(q), &f), -EBADMSG);
	assert_true(f.text[0]);
}

static void test_check(void **state)
{
	(void)state;
	synth_kernel(&s, SYNTH_OFFSETS, 0);
	assert_int_equal(make(), 0);
	assert_int_equal(guest_plan_check(&p, sizeof(p), NULL), 0);
	assert_int_equal(guest_plan_check(&p, sizeof(p) - 1, NULL), -EBADMSG);
	assert_int_equal(guest_plan_check(&p, sizeof(p) + 1, NULL), -EBADMSG);
#define BAD(what)                                                                                                      \
	do {                                                                                                           \
		struct hook_plan q = p;                                                                                \
		q.what;                                                                                                \
		bad(q);                                                                                                \
	} while (0)
	BAD(magic++);
	BAD(size++);
	BAD(text = q.text_end);
	BAD(text_end = UINT64_C(1) << 60);
	BAD(base = q.text + 1);
	BAD(thread_size = 0x4001);
	BAD(thread_size = 0x200000);
	BAD(thread_size = 16);
	BAD(zero = 1);
	BAD(site[0].addr = q.text - 1);
	BAD(site[0].addr = q.text_end);
	BAD(site[0].addr = q.text_end - 4);
	BAD(site[0].keep = 4);
	BAD(site[0].keep = 25);
	BAD(site[0].probe = 64);
	BAD(site[0].pad[3] = 1);
	BAD(site[HOOK_SITE_OPEN].keep = 5); /* has no address */
	BAD(call[0] = q.text_end);
	BAD(call[1] = 1);
	BAD(off[0] = 0x4000);
	BAD(off[HOOK_OFF_COUNT - 1] = 0xfffe);
	BAD(ret[0][1] = q.text_end);
}

static void test_seal(void **state)
{
	(void)state;
	struct hook_plan q;
	synth_kernel(&s, SYNTH_OFFSETS, 0);
	assert_int_equal(make(), 0);
	int fd = guest_plan_seal(&p, &e);
	assert_true(fd >= 0);
	assert_int_equal(guest_plan_load(fd, &q, &e), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	/* Nobody changes it any more. */
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	/* Not sealed, sealed nonsense. */
	fd = file_of(&p, sizeof(p));
	assert_int_equal(guest_plan_load(fd, &q, &e), -EBADMSG);
	close(fd);
	struct hook_plan wrong = p;
	wrong.off[0] = 0x7777;
	fd = guest_plan_seal(&wrong, &e);
	assert_int_equal(guest_plan_load(fd, &q, &e), -EBADMSG);
	close(fd);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(guest_site_name(HOOK_SITE_EXEC), "bprm_execve");
	assert_string_equal(guest_call_name(HOOK_CALL_D_PATH), "d_path");
	assert_string_equal(guest_offset_name(HOOK_OFF_TASK_COMM), "TASK_COMM");
	assert_string_equal(guest_site_name(HOOK_SITE_COUNT), "?");
	assert_string_equal(guest_offset_name(HOOK_OFF_COUNT), "?");
}

/* The kernel that is installed: everything is found. */
static void test_installed(void **state)
{
	(void)state;
	int fd = open("/usr/bin/linux.uml", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip();
	if (guest_plan_make(fd, &p, &e))
		fail_msg("%s", e.text);
	close(fd);
	unsigned missing = 0;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		if (!p.site[i].addr || !p.site[i].keep)
			missing++, printf("# no %s\n", guest_site_name((enum hook_site)i));
	for (unsigned i = 0; i < HOOK_CALL_COUNT; i++)
		if (!p.call[i])
			missing++, printf("# no %s\n", guest_call_name((enum hook_call)i));
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++)
		if (p.off[i] == HOOK_OFF_NONE)
			missing++, printf("# no %s\n", guest_offset_name((enum hook_offset)i));
	assert_int_equal(missing, 0);
	assert_int_equal(p.thread_size, 0x4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_doubtful),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_no_kernel),
		cmocka_unit_test(test_changed_headers),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_installed),
	};
	return cmocka_run_group_tests_name("the plan", tests, NULL, NULL);
}
