/* SPDX-License-Identifier: ISC */
/*
 * The jail's promises to its caller. That nobody gets out is the escape suite's
 * business. `jail_test INMATE` by root; `jail_test INMATE rootless` becomes uid
 * 1000 in a user namespace first.
 */
#include "sandbox/inspect.h"
#include "sandbox/isolate.h"
#include "sandbox/jail.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL (JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS | JAIL_SECCOMP | JAIL_CAPS)
enum { OWN_UID = 0x70000006 };

static char inmate[4096], dir[64];
static bool rootless;
static char said[16384];

static uid_t uid(void)
{
	return rootless ? JAIL_UID_SAME : OWN_UID;
}

/* Starts s with its stdout in a pipe, waits for its end, keeps what it said.
 * The wait status, or -errno of jail_start. */
static int run(struct jail_spec *s, struct jail *out, struct err *e)
{
	int p[2];
	struct jail j;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s->stdio = p[1];
	int r = jail_start(s, &j, e);
	close(p[1]);
	if (r < 0) {
		close(p[0]);
		return r;
	}
	size_t n = 0;
	ssize_t got;
	while ((got = read(p[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = 0;
	close(p[0]);
	int st;
	assert_int_equal(waitpid(j.pid, &st, 0), j.pid);
	struct pollfd pf = { .fd = j.pidfd, .events = POLLIN };
	assert_int_equal(poll(&pf, 1, 1000), 1);
	close(j.pidfd);
	if (out)
		*out = j;
	return st;
}

static bool has(const char *text)
{
	if (strstr(said, text))
		return true;
	fprintf(stderr, "# no \"%s\" in:\n# %s\n", text, said);
	return false;
}

#define SPEC(...)                                                                                                      \
	{                                                                                                              \
		.profile = JAIL_PROFILE_PLAIN, .exe = inmate,                                                          \
		.argv = (char *[]){ (char *)"inmate", __VA_ARGS__, NULL }, .uid = uid(), .stdio = -1                   \
	}

static void it_runs_and_ends(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct jail j;
	struct jail_spec s = SPEC((char *)"exit", (char *)"42");
	int st = run(&s, &j, &e);
	if (st < 0)
		fprintf(stderr, "# %s\n", e.text);
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 42);
	assert_int_equal(j.in_force & ALL, ALL);
	assert_int_equal((j.in_force & JAIL_OWN_UID) != 0, !rootless);
}

static void it_sees_itself_as_the_only_one(void **state)
{
	(void)state;
	struct err e = { 0 };
	setenv("SKEP_SECRET", "x", 1);
	struct jail_spec s = SPEC((char *)"describe");
	s.envp = (char *[]){ (char *)"HOME=/tmp", NULL };
	s.limits = (struct jail_limits){ .nofile = 77, .nproc = 5, .fsize = 12345 };
	assert_int_equal(run(&s, NULL, &e), 0);
	assert_true(has("pid=1 ppid=0 uid=1000 gid=1000 host=localhost\n"));
	assert_true(has("\nenv:HOME=/tmp\nfd:"));
	assert_true(has("nofile=77\nnproc=5\nfsize=12345\ncore=0\n"));
	assert_null(strstr(said, "SECRET"));
}

static void it_holds_the_listed_fds_in_order(void **state)
{
	(void)state;
	struct err e = { 0 };
	/* Numbers that get into each other's way, and others that nobody closed. */
	int fds[3], leak = open("/etc/passwd", O_RDONLY);
	struct stat st;
	char want[256];
	size_t n = 0;
	dup2(leak, 60);
	dup2(leak, 61);
	for (int i = 0; i < 3; i++) {
		int sv[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		fds[i] = dup2(sv[0], 5 - i + 40);
	}
	struct jail_spec s = SPEC((char *)"describe");
	s.fds = fds;
	s.nfds = 3;
	for (int i = 0; i < 3; i++) {
		fstat(fds[i], &st);
		n += (size_t)snprintf(want + n, sizeof(want) - n, "fd:%d:%llu\n", 3 + i, (unsigned long long)st.st_ino);
	}
	snprintf(want + n, sizeof(want) - n, "nofile");
	assert_int_equal(run(&s, NULL, &e), 0);
	assert_true(has(want));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(60);
	close(61);
	close(leak);
}

static int make_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fchmod(fd, mode);
	if (!rootless)
		assert_int_equal(fchown(fd, OWN_UID, OWN_UID), 0);
	return fd;
}

static void files_are_where_and_what_they_should_be(void **state)
{
	(void)state;
	struct err e = { 0 };
	char path[128];
	/* The directory is 0700 and another's: only the files matter. */
	int rw = make_file("rw", "x", 0600), ro = make_file("ro", "x", 0600);
	snprintf(path, sizeof(path), "%s/ro", dir);
	struct jail_spec s =
	    SPEC((char *)"read", (char *)"/srv/rw", (char *)"write", (char *)"/srv/rw", (char *)"read",
		 (char *)"/srv/deep/ro", (char *)"write", (char *)"/srv/deep/ro", (char *)"create", (char *)"/srv/new",
		 (char *)"create", (char *)"/tmp/new", (char *)"read", (char *)"/srv/dir/ro", (char *)"create",
		 (char *)"/srv/dir/new", (char *)"read", (char *)"/etc/passwd");
	s.binds = (struct jail_bind[]){ { .srcfd = rw, .dst = "/srv/rw", .flags = JAIL_BIND_RW },
					{ .src = path, .dst = "/srv/deep/ro" },
					{ .src = dir, .dst = "/srv/dir", .flags = JAIL_BIND_DIR } };
	s.nbinds = rootless ? 3 : 2;
	assert_int_equal(run(&s, NULL, &e), 0);
	assert_true(has("read:/srv/rw:ok\nwrite:/srv/rw:ok\nread:/srv/deep/ro:ok\nwrite:/srv/deep/ro:EROFS\n") ||
		    has("read:/srv/rw:ok\nwrite:/srv/rw:ok\nread:/srv/deep/ro:ok\nwrite:/srv/deep/ro:EACCES\n"));
	assert_true(has("create:/tmp/new:ok"));
	assert_null(strstr(said, "create:/srv/new:ok"));
	assert_null(strstr(said, "create:/srv/dir/new:ok"));
	assert_null(strstr(said, "passwd:ok"));
	if (rootless)
		assert_true(has("read:/srv/dir/ro:ok"));
	close(rw);
	close(ro);
}

static void a_dynamic_program_finds_its_libraries(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct jail_spec s = { .profile = JAIL_PROFILE_UML,
			       .exe = "/usr/bin/env",
			       .argv = (char *[]){ (char *)"env", NULL },
			       .envp = (char *[]){ (char *)"A=b", NULL },
			       .uid = uid() };
	int st = run(&s, NULL, &e);
	if (st < 0)
		fprintf(stderr, "# %s\n", e.text);
	assert_int_equal(st, 0);
	assert_string_equal(said, "A=b\n");
	/* Again: from the cache. */
	assert_int_equal(run(&s, NULL, &e), 0);
}

static void libraries_are_listed(void **state)
{
	(void)state;
	struct err e = { 0 };
	char **paths = NULL;
	assert_int_equal(jail_libraries(inmate, NULL, &paths, &e), 0);
	int n = jail_libraries("/usr/bin/env", NULL, &paths, &e);
	assert_in_range(n, 2, 20);
	bool libc = false, loader = false;
	for (int i = 0; i < n; i++) {
		libc |= strstr(paths[i], "/libc.so.6") != NULL;
		loader |= strstr(paths[i], "/ld-linux") != NULL;
		free(paths[i]);
	}
	free(paths);
	assert_true(libc && loader);
	assert_int_equal(jail_libraries("/nonexistent", NULL, &paths, &e), -ENOENT);
	assert_int_equal(jail_libraries("/etc/passwd", NULL, &paths, &e), -ENOEXEC);
	assert_non_null(strstr(e.text, "no 64-bit ELF program"));
}

static void failures_come_back_as_text(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct jail j = { .pid = 77 };
	struct jail_spec good = SPEC((char *)"exit", (char *)"0"), s;

	s = good;
	s.exe = "/nonexistent/vmm";
	assert_int_equal(jail_start(&s, &j, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/vmm"));

	s = good;
	s.uid = 0;
	assert_int_equal(jail_start(&s, &j, &e), -EINVAL);
	assert_non_null(strstr(e.text, "never runs as root"));

	s = good;
	s.nfds = JAIL_FDS + 1;
	assert_int_equal(jail_start(&s, &j, &e), -EINVAL);

	static const char *const bad[] = { "srv", "/", "/srv/../etc", "/srv//a", "/./a", "/srv/" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s = good;
		s.binds = &(struct jail_bind){ .src = "/etc/passwd", .dst = bad[i] };
		s.nbinds = 1;
		assert_int_equal(jail_start(&s, &j, &e), -EINVAL);
		assert_non_null(strstr(e.text, "not a plain absolute path"));
	}

	/* Inside the child: a closed fd, and a program that may not be executed. */
	s = good;
	s.fds = (int[]){ 555 };
	s.nfds = 1;
	assert_int_equal(jail_start(&s, &j, &e), -EBADF);
	assert_non_null(strstr(e.text, "jail: fd"));

	char path[128];
	close(make_file("noexec",
			"\x7f"
			"ELF",
			0600));
	snprintf(path, sizeof(path), "%s/noexec", dir);
	s = good;
	s.exe = path;
	assert_true(jail_start(&s, &j, &e) < 0);

	s = good;
	s.cgroups = (int[]){ 555 };
	s.ncgroups = 1;
	assert_int_equal(jail_start(&s, &j, &e), -EBADF);
	assert_non_null(strstr(e.text, "control group"));

	/* Outputs untouched, and no child left behind. */
	assert_int_equal(j.pid, 77);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void a_forbidden_call_ends_as_sigsys(void **state)
{
	(void)state;
	struct err e = { 0 };
	/* nice(1) asks for its priority, which no VMM needs. */
	struct jail_spec s = { .profile = JAIL_PROFILE_PLAIN,
			       .exe = "/usr/bin/nice",
			       .argv = (char *[]){ (char *)"nice", NULL },
			       .uid = uid() };
	int st = run(&s, NULL, &e);
	if (st < 0)
		fprintf(stderr, "# %s\n", e.text);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGSYS);
}

static void note_state(void *arg, const struct rep_thread *t)
{
	*(struct rep_thread *)arg = *t;
}

static void proc_shows_it(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct jail j;
	struct rep_thread t = { 0 };
	struct jail_spec s = SPEC((char *)"sleep");
	assert_int_equal(jail_start(&s, &j, &e), 0);
	assert_int_equal(inspect_threads(j.pid, 1, note_state, &t), 1);
	kill(j.pid, SIGKILL);
	waitpid(j.pid, NULL, 0);
	close(j.pidfd);
	assert_int_equal(t.seccomp, 2);
	assert_int_equal(t.no_new_privs, 1);
	assert_int_equal(t.capbnd, 0);
	assert_int_equal(t.capeff, 0);
	assert_int_equal(t.nfds, 3);
	assert_string_equal(t.fds, "0:/dev/null 1:/dev/null 2:/dev/null");
	assert_int_equal(t.uid, rootless ? geteuid() : OWN_UID);
}

static void it_dies_with_its_parent(void **state)
{
	(void)state;
	int p[2];
	pid_t prisoner = 0;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t priv = fork();
	if (priv == 0) {
		struct err e;
		struct jail j;
		struct jail_spec s = SPEC((char *)"sleep");
		if (jail_start(&s, &j, &e) == 0)
			(void)!write(p[1], &j.pid, sizeof(j.pid));
		for (;;)
			pause();
	}
	/* Its orphan comes to us, so that its end can be seen. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(read(p[0], &prisoner, sizeof(prisoner)), sizeof(prisoner));
	assert_int_equal(kill(prisoner, 0), 0);
	kill(priv, SIGKILL);
	waitpid(priv, NULL, 0);
	int st = 0, r = 0;
	for (int i = 0; i < 100 && r == 0; i++) {
		r = waitpid(prisoner, &st, WNOHANG);
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	if (r == 0)
		kill(prisoner, SIGKILL);
	assert_int_equal(r, prisoner);
	assert_true(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	close(p[0]);
	close(p[1]);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* A machine without user namespaces, as root sees it: a namespace with every
 * uid in which no further one may be made. Must come before any probe. */
static void root_without_user_namespaces(void **state)
{
	(void)state;
	if (rootless)
		return; /* nothing to test here; cmocka 1.1 reports skip() as a failure */
	int up[2], down[2];
	char c = 0;
	assert_int_equal(pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = { 0 };
		struct jail j;
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write(up[1], "m", 1) != 1 || read(down[0], &c, 1) != 1)
			_exit(1);
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    !put("/proc/sys/user/max_user_namespaces", "0"))
			_exit(2);
		struct jail_spec s = SPEC((char *)"describe", (char *)"read", (char *)"/etc/passwd");
		int st = run(&s, &j, &e);
		if (st != 0)
			fprintf(stderr, "# %s\n", e.text);
		unsigned want = ALL & ~JAIL_USERNS;
		char line[96];
		snprintf(line, sizeof(line), "pid=1 ppid=0 uid=%u gid=%u host=localhost\n", OWN_UID, OWN_UID);
		if (st != 0 || (j.in_force & (ALL | JAIL_OWN_UID)) != (want | JAIL_OWN_UID) || !has(line) ||
		    strstr(said, "passwd:ok"))
			_exit(3);
		/* And one of our own processes there. */
		struct isolate_opts o = { .dirfd = -1 };
		if (setresgid(OWN_UID, OWN_UID, OWN_UID) < 0 || setresuid(OWN_UID, OWN_UID, OWN_UID) < 0 ||
		    isolate_role(ROLE_GATEWAY, &o, &e) < 0)
			_exit(4);
		_exit((isolate_in_force() & (JAIL_USERNS | JAIL_MOUNTS | JAIL_SECCOMP)) == JAIL_SECCOMP ? 0 : 5);
	}
	char path[64];
	assert_int_equal(read(up[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	assert_true(put(path, "0 0 4294967294\n"));
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	assert_true(put(path, "0 0 4294967294\n"));
	assert_int_equal(write(down[1], "g", 1), 1);
	int st;
	waitpid(pid, &st, 0);
	assert_int_equal(st, 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skep-jail-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = { "rw", "ro", "noexec" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	if (argc < 2 || !realpath(argv[1], inmate))
		return 2;
	rootless = argc > 2 || geteuid() != 0;
	if (rootless) {
		struct err e;
		if (geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0))
			return 2;
		if (userns_enter(&e) < 0) {
			printf("1..0 # SKIP %s\n", e.text);
			return 0;
		}
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_without_user_namespaces),
		cmocka_unit_test(it_runs_and_ends),
		cmocka_unit_test(it_sees_itself_as_the_only_one),
		cmocka_unit_test(it_holds_the_listed_fds_in_order),
		cmocka_unit_test(files_are_where_and_what_they_should_be),
		cmocka_unit_test(a_dynamic_program_finds_its_libraries),
		cmocka_unit_test(libraries_are_listed),
		cmocka_unit_test(failures_come_back_as_text),
		cmocka_unit_test(a_forbidden_call_ends_as_sigsys),
		cmocka_unit_test(proc_shows_it),
		cmocka_unit_test(it_dies_with_its_parent),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
