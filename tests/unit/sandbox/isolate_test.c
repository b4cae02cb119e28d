/* SPDX-License-Identifier: ISC */
/*
 * Each case runs in a child of its own: started by root (a changed uid, the
 * initial user namespace) and rootless (uid 1000 inside priv's namespace).
 */
#include "proto/msg.h"
#include "proto/ring.h"
#include "sandbox/caps.h"
#include "sandbox/isolate.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* With caps: as priv may pass them on to super (caps_ambient). */
enum how { BY_ROOT, BY_ROOT_WITH_CAPS, ROOTLESS, ROOTLESS_WITH_CAPS };
static const uid_t uid_of[] = { 0x70000001, 0x70000001, 1000, 1000 };

#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			static const char why[] = "# line " STR(__LINE__) ": " #x "\n";                                \
			if (write(2, why, sizeof(why) - 1) < 0) {                                                      \
			}                                                                                              \
			_exit(99);                                                                                     \
		}                                                                                                      \
	} while (0)
#define STR(x) STR2(x)
#define STR2(x) #x

static int dirfd = -1, listen_fd = -1, pair[2];
static char dir[64];

static void become(enum how how)
{
	struct err e;
	if (geteuid() == 0) {
		uid_t u = uid_of[how];
		if (how == BY_ROOT_WITH_CAPS)
			CHECK(caps_keep(&e) == 0);
		CHECK(setgroups(0, NULL) == 0 && setresgid(u, u, u) == 0 && setresuid(u, u, u) == 0);
		if (how == BY_ROOT_WITH_CAPS)
			CHECK(caps_ambient(&e) == 0);
	}
	if (how >= ROOTLESS)
		CHECK(userns_enter(&e) == 0);
	if (how == ROOTLESS) {
		/* as exec does */
		struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct none[2] = { 0 };
		CHECK(syscall(SYS_capset, &h, none) == 0);
	}
}

typedef void (*case_fn)(void);

/* Returns the wait status of a child that runs fn as role. */
static int run(enum how how, enum role role, case_fn fn)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };
		struct isolate_opts o = { .dirfd = role == ROLE_EVIDENCE ? dirfd : -1 };
		alarm(20);
		become(how);
		if (isolate_role(role, &o, &e) < 0) {
			dprintf(2, "# isolate_role: %s\n", e.text);
			_exit(98);
		}
		fn();
		_exit(0);
	}
	int st;
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

static void survives(enum role role, case_fn fn)
{
	for (enum how how = geteuid() == 0 ? BY_ROOT : ROOTLESS; how <= ROOTLESS_WITH_CAPS; how++) {
		int st = run(how, role, fn);
		if (st)
			fprintf(stderr, "# %s, way %d: status 0x%x\n", role_name(role), how, (unsigned)st);
		assert_int_equal(st, 0);
	}
}

static void killed(enum role role, case_fn fn)
{
	for (enum how how = geteuid() == 0 ? BY_ROOT : ROOTLESS; how <= ROOTLESS_WITH_CAPS; how++) {
		int st = run(how, role, fn);
		if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGSYS)
			fprintf(stderr, "# %s, way %d: status 0x%x\n", role_name(role), how, (unsigned)st);
		assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
	}
}

static const enum role roles[] = { ROLE_SUPER, ROLE_GATEWAY, ROLE_VMM, ROLE_EVIDENCE, ROLE_INTROSPECT, ROLE_JUDGE };
#define NROLES (sizeof(roles) / sizeof(roles[0]))

/* ---- what must still work ------------------------------------------------ */

static void ordinary_work(void)
{
	char b[8];
	void *p = malloc(3 << 20);
	CHECK(p);
	memset(p, 1, 3 << 20);
	p = realloc(p, 6 << 20);
	CHECK(p);
	free(p);
	CHECK(write(pair[0], "hello", 6) == 6 && read(pair[1], b, sizeof(b)) == 6);
	int ep = epoll_create1(EPOLL_CLOEXEC), ef = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int tf = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	CHECK(ep >= 0 && ef >= 0 && tf >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, ef, &ev) == 0);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 0);
	struct stat st;
	CHECK(fstat(ef, &st) == 0);
	CHECK(fcntl(ef, F_GETFL) >= 0);
	close(ef);
	/* as the log does; and printf, whose buffer asks isatty() */
	CHECK(dprintf(2, "%s", "") == 0);
	errno = 0;
	CHECK(open("/etc/localtime", O_RDONLY) < 0 && errno == (dirfd >= 0 && errno == EACCES ? EACCES : ENOENT));
}

static void ring_work(void)
{
	/* A ring that super passed: mapped and written after the fact. */
	struct err e = { 0 };
	struct msg m;
	struct chan c = { .fd = pair[1], .self = ROLE_GATEWAY, .peer = ROLE_SUPER, .state = STATE_INIT };
	CHECK(msg_recv(&c, &m, &e) == 1 && m.nfds == 3);
	struct ring_writer w;
	CHECK(ring_writer_open(&w, m.fds[1], m.fds[2], &e) == 0);
	void *p = ring_reserve(&w, RING_FRAME, 0, 1, 100);
	CHECK(p);
	memset(p, 0, 100);
	ring_publish(&w);
	CHECK(send(m.fds[0], "frame", 5, MSG_DONTWAIT) == 5);
}

static void super_work(void)
{
	struct err e = { 0 };
	struct sockaddr_un a;
	socklen_t n = sizeof(a);
	struct ucred cred;
	socklen_t credlen = sizeof(cred);
	CHECK(getsockname(listen_fd, (struct sockaddr *)&a, &n) == 0);
	int c = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	CHECK(c >= 0);
	CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &credlen) == 0);
	int sv[2];
	CHECK(msg_pair(sv, &e) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	int fd = ring_create(1 << 16, &e);
	CHECK(fd >= 0);
	struct ring_reader r;
	CHECK(ring_reader_open(&r, fd, &e) == 0);
}

static void vmm_work(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char b[16] = { 0 };
	CHECK(fd >= 0 && ftruncate(fd, 65536) == 0);
	CHECK(pwrite(fd, "x", 1, 4096) == 1 && pread(fd, b, 16, 4096) == 16 && b[0] == 'x');
	CHECK(fsync(fd) == 0);
}

static void evidence_work(void)
{
	struct stat st;
	CHECK(mkdirat(dirfd, "d", 0700) == 0);
	int fd = openat(dirfd, "d/a", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	struct iovec v[2] = { { (void *)"one", 3 }, { (void *)"two", 3 } };
	CHECK(writev(fd, v, 2) == 6 && fdatasync(fd) == 0 && ftruncate(fd, 3) == 0);
	CHECK(renameat(dirfd, "d/a", dirfd, "d/b") == 0 && renameat(dirfd, "d/b", dirfd, "b") == 0);
	CHECK(fstatat(dirfd, "b", &st, 0) == 0 && st.st_size == 3);
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char b[1024];
	CHECK(fd >= 0 && syscall(SYS_getdents64, fd, b, sizeof(b)) > 0);
	CHECK(unlinkat(dirfd, "b", 0) == 0 && unlinkat(dirfd, "d", AT_REMOVEDIR) == 0);
}

/* ---- what must not ------------------------------------------------------- */

static void evidence_escape(void)
{
	CHECK(openat(AT_FDCWD, "/etc/passwd", O_RDONLY) < 0);
	CHECK(openat(dirfd, "/etc/passwd", O_RDONLY) < 0);
	CHECK(openat(dirfd, "../../../../../../etc/passwd", O_RDONLY) < 0);
	CHECK(openat(dirfd, "../x", O_WRONLY | O_CREAT, 0600) < 0);
	CHECK(openat(dirfd, "..", O_RDONLY | O_DIRECTORY) < 0);
	CHECK(renameat(dirfd, "../outside", dirfd, "in") < 0);
}

static void empty_world(void)
{
	/* faccessat reaches the kernel for evidence only; the others get ENOENT from the filter. */
	CHECK(faccessat(AT_FDCWD, "/usr", F_OK, 0) < 0);
}

static void do_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}
static void do_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
}
static void do_fork(void)
{
	fork();
}
static void do_ptrace(void)
{
	syscall(SYS_ptrace, 16, getppid(), 0, 0);
}
static void do_kill(void)
{
	kill(getppid(), SIGTERM);
}
static void do_mount(void)
{
	syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL);
}
static void do_unshare(void)
{
	unshare(CLONE_NEWUSER);
}
static void do_exec_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void do_int80(void)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory"); /* getpid of i386 */
}
static void do_setuid(void)
{
	syscall(SYS_setresuid, 0, 0, 0);
}
static void do_bpf(void)
{
	syscall(SYS_bpf, 0, NULL, 0);
}
static void do_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/x" };
	connect(pair[0], (struct sockaddr *)&a, sizeof(a));
}

static void every_role_does_its_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < NROLES; i++)
		survives(roles[i], ordinary_work);
	survives(ROLE_VMM, vmm_work);
	survives(ROLE_EVIDENCE, evidence_work);
	survives(ROLE_EVIDENCE, evidence_escape);
	for (size_t i = 0; i < NROLES; i++)
		survives(roles[i], empty_world);
}

static void super_accepts_and_creates(void **state)
{
	(void)state;
	for (enum how how = geteuid() == 0 ? BY_ROOT : ROOTLESS; how <= ROOTLESS_WITH_CAPS; how++) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/ctl", dir);
		int c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(c >= 0 && connect(c, (struct sockaddr *)&a, sizeof(a)) == 0);
		assert_int_equal(run(how, ROLE_SUPER, super_work), 0);
		close(c);
	}
}

static void gateway_takes_rings(void **state)
{
	(void)state;
	struct err e = { 0 };
	for (enum how how = geteuid() == 0 ? BY_ROOT : ROOTLESS; how <= ROOTLESS_WITH_CAPS; how++) {
		int saved[2] = { pair[0], pair[1] }, ports[2];
		assert_int_equal(msg_pair(pair, &e), 0);
		assert_int_equal(msg_pair(ports, &e), 0);
		int ring = ring_create(1 << 16, &e), wake = eventfd(0, EFD_CLOEXEC);
		struct gw_port p = { 0 };
		struct chan c = { .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_GATEWAY, .state = STATE_INIT };
		assert_int_equal(msg_send(&c, MSG_GW_PORT, 1, &p, sizeof(p), (int[]){ ports[0], ring, wake }, 3), 0);
		assert_int_equal(run(how, ROLE_GATEWAY, ring_work), 0);
		struct ring_reader r;
		struct ring_entry h;
		const uint8_t *payload;
		assert_int_equal(ring_reader_open(&r, ring, &e), 0);
		assert_int_equal(ring_next(&r, &h, &payload), 1);
		ring_reader_close(&r);
		int all[] = { pair[0], pair[1], ports[0], ports[1], ring, wake };
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			close(all[i]);
		memcpy(pair, saved, sizeof(pair));
	}
}

static void forbidden_calls_kill(void **state)
{
	(void)state;
	static const case_fn all[] = { do_socket,  do_exec,        do_fork,  do_ptrace, do_kill, do_mount,
				       do_unshare, do_exec_memory, do_int80, do_setuid, do_bpf,  do_connect };
	for (size_t i = 0; i < NROLES; i++)
		for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			killed(roles[i], all[k]);
}

static int gate[2], ready[2];
static void stay(void)
{
	char c;
	CHECK(write(ready[1], "r", 1) == 1);
	(void)!read(gate[0], &c, 1);
}

static unsigned long long field(pid_t pid, const char *name, int base)
{
	char path[64], line[256];
	unsigned long long v = ~0ull;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			v = strtoull(line + strlen(name) + 1, NULL, base);
	fclose(f);
	return v;
}

static void every_role_shows_it(void **state)
{
	(void)state;
	struct err e = { 0 };
	for (size_t i = 0; i < NROLES; i++)
		for (enum how how = geteuid() == 0 ? BY_ROOT : ROOTLESS; how <= ROOTLESS_WITH_CAPS; how++) {
			char c;
			assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
			assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
			pid_t pid = fork();
			if (pid == 0) {
				close(gate[1]);
				struct isolate_opts o = { .dirfd = roles[i] == ROLE_EVIDENCE ? dirfd : -1 };
				alarm(20);
				become(how);
				CHECK(isolate_role(roles[i], &o, &e) == 0);
				stay();
				_exit(0);
			}
			assert_int_equal(read(ready[0], &c, 1), 1);
			assert_int_equal(field(pid, "Seccomp", 10), 2);
			assert_int_equal(field(pid, "NoNewPrivs", 10), 1);
			assert_int_equal(field(pid, "CapEff", 16), 0);
			assert_int_equal(field(pid, "CapPrm", 16), 0);
			assert_int_equal(field(pid, "CapInh", 16), 0);
			assert_int_equal(field(pid, "CapAmb", 16), 0);
			/* Without a capability to begin with, super cannot
			 * empty the bounding set; no_new_privs stands for it. */
			if (roles[i] != ROLE_SUPER || how == BY_ROOT_WITH_CAPS || how == ROOTLESS_WITH_CAPS)
				assert_int_equal(field(pid, "CapBnd", 16), 0);
			close(gate[1]);
			close(gate[0]);
			close(ready[0]);
			close(ready[1]);
			int st;
			waitpid(pid, &st, 0);
			assert_int_equal(st, 0);
		}
}

static void other_roles_have_no_place(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct isolate_opts o = { .dirfd = -1 };
	assert_int_equal(isolate_role(ROLE_PRIV, &o, &e), -EINVAL);
	assert_int_equal(isolate_role(ROLE_COUNT, &o, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no place"));
}

static void the_machine_is_probed(void **state)
{
	(void)state;
	struct isolate_probe p;
	isolate_probe(&p);
	assert_int_equal(p.seccomp, 0);
	assert_int_equal(p.userns, 0);
	assert_true(p.landlock_abi >= 0);
	/* The probe leaves this process as it was. */
	assert_int_equal(field(getpid(), "Seccomp", 10), field(getppid(), "Seccomp", 10));
	assert_true(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

static int setup(void **state)
{
	(void)state;
	struct err e;
	snprintf(dir, sizeof(dir), "/tmp/skep-isolate-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0777) < 0 || msg_pair(pair, &e) < 0)
		return -1;
	char sub[96];
	snprintf(sub, sizeof(sub), "%s/evidence", dir);
	if (mkdir(sub, 0777) < 0 || chmod(sub, 0777) < 0)
		return -1;
	dirfd = open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(sub, sizeof(sub), "%s/outside", dir);
	close(open(sub, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/ctl", dir);
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listen_fd, 4) < 0 || dirfd < 0;
}

static int teardown(void **state)
{
	(void)state;
	unlinkat(dirfd, "../ctl", 0);
	unlinkat(dirfd, "../outside", 0);
	unlinkat(dirfd, "../evidence", AT_REMOVEDIR);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_role_does_its_work), cmocka_unit_test(super_accepts_and_creates),
		cmocka_unit_test(gateway_takes_rings),      cmocka_unit_test(forbidden_calls_kill),
		cmocka_unit_test(every_role_shows_it),      cmocka_unit_test(other_roles_have_no_place),
		cmocka_unit_test(the_machine_is_probed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
