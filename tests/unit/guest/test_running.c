/* SPDX-License-Identifier: ISC */
/*
 * Are the plan's offsets true? Boots a guest, reads its kernel's memory from
 * outside, and compares with what a process in it says of itself.
 */
#include "../vmm/scratch.h"

#include "base/ev.h"
#include "guest/plan.h"
#include "proc/introspect/gmem.h"

#include <poll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#define KERNEL "/usr/bin/linux.uml"
#define MEMORY (64u << 20)
#define PAGE_AT(v) ((v) & ~UINT64_C(0xfff))

static struct hook_plan plan;
static struct gmem g;
static pid_t guest;
static uint8_t *ram; /* a copy of all its memory */
static struct {
	unsigned pid, ppid, uid, euid, major, minor, mode;
	unsigned long marker;
} said;
static struct gmem_task task;

static int start_guest(void)
{
	int p[2];
	char preload[300];
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", getenv("SKEP_SHIM"));
	assert_int_equal(pipe(p), 0);
	guest = fork();
	if (guest == 0) {
		char *env[] = { (char *)"TMPDIR=/dev/shm", (char *)"HOME=/", preload, NULL };
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0); /* its helpers must go with it */
		personality(ADDR_NO_RANDOMIZE);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(p[1], 1);
		dup2(p[1], 2);
		for (int fd = 3; fd < 20; fd++)
			close(fd);
		execle(KERNEL, "linux", "mem=64M", "uml_dir=uml", "umid=probe", "ubd0=base", "root=/dev/ubda", "rw",
		       "con=null", "con0=null,fd:1", "ssl=null", "hostfs=/nonexistent", (char *)NULL, env);
		_exit(127);
	}
	close(p[1]);
	return p[0];
}

static bool hear(int fd)
{
	static char text[1 << 17];
	size_t n = 0;
	uint64_t end = ev_monotonic() + 40 * EV_SEC;
	while (ev_monotonic() < end && n < sizeof(text) - 1) {
		struct pollfd p = { fd, POLLIN, 0 };
		poll(&p, 1, 100);
		ssize_t r = p.revents ? read(fd, text + n, sizeof(text) - 1 - n) : 0;
		if (p.revents && r <= 0)
			break;
		n += (size_t)r;
		text[n] = 0;
		char *at = strstr(text, "PROBE ");
		if (at && strstr(at, " END")) {
			if (sscanf(at, "PROBE pid=%u ppid=%u uid=%u euid=%u tty=%u:%u mode=%o marker=%lx", &said.pid,
				   &said.ppid, &said.uid, &said.euid, &said.major, &said.minor, &said.mode,
				   &said.marker) == 8)
				return true;
			break;
		}
	}
	printf("# %s\n", text);
	return false;
}

static int setup(void **state)
{
	(void)state;
	char path[64];
	struct err e = { 0 };
	int fd = open(KERNEL, O_RDONLY | O_CLOEXEC);
	if (guest_plan_make(fd, &plan, &e))
		fail_msg("%s", e.text);
	close(fd);
	assert_int_equal(scratch_make(NULL), 0);
	assert_int_equal(RUN("mkdir", "-p", "root/sbin", "root/dev", "root/proc", "root/mnt", "uml"), 0);
	assert_int_equal(RUN("cp", getenv("PROBE_INIT"), "root/sbin/init"), 0);
	assert_int_equal(RUN("chmod", "0711", "root/sbin/init"), 0);
	assert_int_equal(RUN("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", "root", "base", "16M"), 0);
	int out = start_guest();
	assert_true(hear(out));
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)guest);
	g = (struct gmem){ open(path, O_RDONLY | O_CLOEXEC), &plan };
	assert_true(g.fd >= 0);
	/* Holes of its memory stay zero. */
	ram = calloc(1, MEMORY);
	assert_non_null(ram);
	for (size_t at = 0; at < MEMORY; at += 4096)
		if (!gmem_read(&g, plan.base + at, ram + at, 4096))
			memset(ram + at, 0, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kill(-guest, SIGKILL);
	waitpid(guest, NULL, 0);
	free(ram);
	return scratch_remove(NULL);
}

static uint64_t off(enum hook_offset o)
{
	if (plan.off[o] == HOOK_OFF_NONE)
		fail_msg("%s is not known", guest_offset_name(o));
	return plan.off[o];
}

static uint64_t u64_at(uint64_t addr)
{
	uint64_t v;
	if (!gmem_read(&g, addr, &v, sizeof(v)))
		fail_msg("nothing at %#lx", (unsigned long)addr);
	return v;
}

static uint32_t u32_at(uint64_t addr)
{
	uint32_t v;
	assert_true(gmem_read(&g, addr, &v, sizeof(v)));
	return v;
}

static uint16_t u16_at(uint64_t addr)
{
	uint16_t v;
	assert_true(gmem_read(&g, addr, &v, sizeof(v)));
	return v;
}

static uint64_t follow(uint64_t addr, enum hook_offset o)
{
	return u64_at(addr + off(o));
}

static void test_task(void **state)
{
	(void)state;
	unsigned found = 0;
	for (size_t at = 0; at + 16 < MEMORY; at++) {
		struct gmem_task t;
		if (memcmp(ram + at, "skepprobe", 10) != 0 || at < off(HOOK_OFF_TASK_COMM) ||
		    !gmem_task(&g, plan.base + at - off(HOOK_OFF_TASK_COMM), &t) || t.tgid != said.pid ||
		    t.pid != t.tgid)
			continue;
		task = t;
		found++;
	}
	assert_int_equal(found, 1);
	assert_int_equal(task.uid, 1234);
	assert_int_equal(task.uid, said.uid);
	assert_int_equal(task.euid, 5678);
	assert_string_equal(task.comm, "skepprobe");
	struct gmem_task chain[8];
	assert_int_equal(gmem_ancestors(&g, task.addr, chain, 8), 2);
	assert_int_equal(chain[1].pid, said.ppid);
	assert_int_equal(chain[1].pid, 1);
	assert_string_equal(chain[1].comm, "init");
	assert_int_equal(chain[1].uid, 0);
}

static void test_stack(void **state)
{
	(void)state;
	unsigned found = 0;
	assert_true(task.addr);
	for (size_t at = 0; at < MEMORY; at += plan.thread_size) {
		struct gmem_task t;
		uint64_t v;
		memcpy(&v, ram + at, 8);
		if (v == task.addr && gmem_current(&g, plan.base + at + plan.thread_size - 8, &t) && t.pid == said.pid)
			found++;
	}
	assert_true(found > 0);
}

static void test_terminal(void **state)
{
	(void)state;
	char name[32];
	uint64_t signal = follow(task.addr, HOOK_OFF_TASK_SIGNAL), tty = follow(signal, HOOK_OFF_SIGNAL_TTY);
	assert_int_equal(u32_at(signal + off(HOOK_OFF_SIGNAL_LIVE)), 2); /* threads */
	uint64_t driver = follow(tty, HOOK_OFF_TTY_DRIVER), link = follow(tty, HOOK_OFF_TTY_LINK);
	assert_int_equal(said.major, 136);
	assert_int_equal(u32_at(driver + off(HOOK_OFF_DRIVER_MAJOR)), said.major);
	assert_int_equal(u32_at(driver + off(HOOK_OFF_DRIVER_MINOR_START)) + u32_at(tty + off(HOOK_OFF_TTY_INDEX)),
			 said.minor);
	assert_true(gmem_text(&g, tty + off(HOOK_OFF_TTY_NAME), name, sizeof(name)));
	assert_string_equal(name, "pts0");
	assert_int_equal(u16_at(driver + off(HOOK_OFF_DRIVER_TYPE)), 4);    /* TTY_DRIVER_TYPE_PTY */
	assert_int_equal(u16_at(driver + off(HOOK_OFF_DRIVER_SUBTYPE)), 2); /* PTY_TYPE_SLAVE */
	driver = follow(link, HOOK_OFF_TTY_DRIVER);
	assert_int_equal(u16_at(driver + off(HOOK_OFF_DRIVER_SUBTYPE)), 1); /* PTY_TYPE_MASTER */
	assert_int_equal(follow(link, HOOK_OFF_TTY_LINK), tty);
}

static void expect_name(uint64_t dentry, const char *want)
{
	char name[64];
	uint64_t qstr = dentry + off(HOOK_OFF_DENTRY_NAME);
	assert_true(gmem_text(&g, u64_at(qstr + 8), name, sizeof(name)));
	assert_string_equal(name, want);
	assert_int_equal(u32_at(qstr + 4), strlen(want));
}

static void test_paths(void **state)
{
	(void)state;
	uint64_t pwd = follow(task.addr, HOOK_OFF_TASK_FS) + off(HOOK_OFF_FS_PWD);
	uint64_t dentry = follow(pwd, HOOK_OFF_PATH_DENTRY), mnt = follow(pwd, HOOK_OFF_PATH_MNT);
	expect_name(dentry, "here");
	dentry = follow(dentry, HOOK_OFF_DENTRY_PARENT);
	expect_name(dentry, "deep");
	dentry = follow(dentry, HOOK_OFF_DENTRY_PARENT);
	assert_int_equal(follow(dentry, HOOK_OFF_DENTRY_PARENT), dentry);
	assert_int_equal(follow(mnt, HOOK_OFF_MNT_ROOT), dentry);
	uint64_t mount = mnt - off(HOOK_OFF_MOUNT_MNT), root = follow(mount, HOOK_OFF_MOUNT_PARENT);
	expect_name(follow(mount, HOOK_OFF_MOUNT_MOUNTPOINT), "mnt");
	uint64_t slash = follow(root + off(HOOK_OFF_MOUNT_MNT), HOOK_OFF_MNT_ROOT);
	expect_name(slash, "/");
	assert_int_equal(follow(follow(mount, HOOK_OFF_MOUNT_MOUNTPOINT), HOOK_OFF_DENTRY_PARENT), slash);
}

static void test_program(void **state)
{
	(void)state;
	uint64_t mm = follow(task.addr, HOOK_OFF_TASK_MM), file = follow(mm, HOOK_OFF_MM_EXE_FILE);
	expect_name(follow(file + off(HOOK_OFF_FILE_PATH), HOOK_OFF_PATH_DENTRY), "init");
	assert_int_equal(u16_at(follow(file, HOOK_OFF_FILE_INODE) + off(HOOK_OFF_INODE_MODE)), said.mode);
	assert_int_equal(said.mode, 0100711);
	assert_int_equal(u32_at(file + off(HOOK_OFF_FILE_MODE)) & 3, 1); /* FMODE_READ, not FMODE_WRITE */
	/* O_LARGEFILE and __FMODE_EXEC, as open_exec() wants it. */
	assert_int_equal(u32_at(file + off(HOOK_OFF_FILE_FLAGS)), 0100000 | 0x20);
	assert_int_equal(follow(follow(task.parent, HOOK_OFF_TASK_MM), HOOK_OFF_MM_EXE_FILE), file);
}

/* Three levels of tables, as virt_to_pte() walks them. */
static void test_page_tables(void **state)
{
	(void)state;
	char text[64];
	uint64_t mm = follow(task.addr, HOOK_OFF_TASK_MM), table = follow(mm, HOOK_OFF_MM_PGD);
	for (int shift = 30; shift >= 12; shift -= 9) {
		uint64_t v = u64_at(table + (said.marker >> shift & 511) * 8);
		assert_true(v & 1);
		table = PAGE_AT(v) + plan.base;
	}
	assert_true(gmem_text(&g, table + (said.marker & 4095), text, sizeof(text)));
	assert_string_equal(text, "this is the marker of the process");
}

static unsigned count_sockets(uint16_t num, uint16_t dport, uint32_t daddr)
{
	unsigned found = 0;
	const uint32_t lo = 0x0100007f;
	for (size_t at = 0; at + 0x1000 < MEMORY; at += 8) {
		uint16_t n, f, p, d;
		uint32_t a, r;
		memcpy(&n, ram + at + off(HOOK_OFF_SK_NUM), 2);
		if (n != num)
			continue;
		memcpy(&f, ram + at + off(HOOK_OFF_SK_FAMILY), 2);
		memcpy(&d, ram + at + off(HOOK_OFF_SK_DPORT), 2);
		memcpy(&p, ram + at + off(HOOK_OFF_SK_PROTOCOL), 2);
		memcpy(&a, ram + at + off(HOOK_OFF_SK_DADDR), 4);
		memcpy(&r, ram + at + off(HOOK_OFF_SK_RCV_SADDR), 4);
		found += f == 2 && p == 6 && d == dport && a == daddr && r == lo;
	}
	return found;
}

static void test_sockets(void **state)
{
	(void)state;
	const uint32_t lo = 0x0100007f;
	assert_int_equal(count_sockets(7777, 0, 0), 1);                        /* listens */
	assert_int_equal(count_sockets(5555, __builtin_bswap16(7777), lo), 1); /* connected */
	assert_int_equal(count_sockets(7777, __builtin_bswap16(5555), lo), 1); /* accepted */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task),    cmocka_unit_test(test_stack),   cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_paths),   cmocka_unit_test(test_program), cmocka_unit_test(test_page_tables),
		cmocka_unit_test(test_sockets),
	};
	if (access(KERNEL, X_OK) || !getenv("SKEP_SHIM") || !getenv("PROBE_INIT")) {
		printf("1..0 # SKIP needs user-mode-linux\n");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("a running guest", tests, setup, teardown);
}
