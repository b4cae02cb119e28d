/* SPDX-License-Identifier: ISC */
/* `skep lab`: the command runs in the lab's network, or not at all. Works as root
 * and as an ordinary user: the fake super makes its namespaces accordingly. */
#include "support.h"

#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum lab { LAB_OK, LAB_NO_NET, LAB_NONE, LAB_REFUSED };

static bool answer(struct fake *f, struct msg *m)
{
	static bool entered;
	const enum lab *how = f->arg;
	struct rep_fds rep = { .kind = 1 };
	int fds[2], n = 0;
	if (m->type != MSG_CMD_LAB) {
		reply_end(f, m, -ENOSYS, "not in this test");
		return true;
	}
	if (*how == LAB_REFUSED) {
		reply_end(f, m, -EBUSY, "no lab yet");
		return true;
	}
	bool rootless = geteuid() != 0;
	if (!entered && ((rootless && userns_enter(NULL) < 0) || unshare(CLONE_NEWNET) < 0)) {
		reply_end(f, m, -errno, "cannot make the test's own namespace");
		return true;
	}
	entered = true;
	if (rootless)
		fds[n++] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	fds[n++] = open(*how == LAB_NO_NET ? "/proc/self/ns/uts" : "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*how != LAB_NONE)
		msg_send(&f->chan, MSG_REP_FDS, m->req, &rep, sizeof(rep), fds, n);
	reply_end(f, m, 0, "");
	return true;
}

static void runs_inside(void **arg)
{
	(void)arg;
	enum lab how = LAB_OK;
	char own[64] = "", fake[64] = "", path[64];
	pid_t pid = fake_start("demo", answer, &how);
	const struct ran *r = run(NULL, "lab", "demo", "--", "readlink", "/proc/self/ns/net", NULL);
	assert_string_equal(r->err, "");
	assert_int_equal(r->status, 0);
	ssize_t n = readlink("/proc/self/ns/net", own, sizeof(own) - 1);
	assert_true(n > 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (readlink(path, fake, sizeof(fake) - 1) > 0)
		assert_int_equal(strncmp(r->out, fake, strlen(fake)), 0);
	assert_int_not_equal(strncmp(r->out, own, (size_t)n), 0);
	/* Exit status, arguments, standard input and environment are the command's. */
	assert_int_equal(run(NULL, "lab", "demo", "--", "sh", "-c", "exit 7", NULL)->status, 7);
	r = run("text\n", "lab", "demo", "--", "sh", "-c", "cat; echo \"$1-$SKEP_STATE\" >&2", "x", "a  b", NULL);
	assert_string_equal(r->out, "text\n");
	char want[200];
	snprintf(want, sizeof(want), "a  b-%s\n", state);
	assert_string_equal(r->err, want);
	/* ping and nmap need capabilities; rootless too. */
	r = run(NULL, "lab", "demo", "--", "ip", "link", "set", "lo", "up", NULL);
	assert_string_equal(r->err, "");
	assert_int_equal(r->status, 0);
	r = run(NULL, "lab", "demo", "--", "no-such-program", NULL);
	assert_int_equal(r->status, 127);
	assert_non_null(strstr(r->err, "cannot run no-such-program in the lab"));
	assert_int_equal(run(NULL, "lab", "demo", "--", "/", NULL)->status, 126);
	fake_stop(pid);
}

/* Without a network namespace the "intruder" would be on the real network. */
static void never_outside(void **arg)
{
	(void)arg;
	enum lab how = LAB_NO_NET;
	pid_t pid = fake_start("demo", answer, &how);
	const struct ran *r = run(NULL, "lab", "demo", "--", "echo", "ran", NULL);
	assert_string_equal(r->out, "");
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "nothing was run"));
	fake_stop(pid);
	how = LAB_NONE;
	pid = fake_start("demo", answer, &how);
	r = run(NULL, "lab", "demo", "--", "echo", "ran", NULL);
	assert_string_equal(r->out, "");
	assert_int_equal(r->status, 1);
	fake_stop(pid);
	how = LAB_REFUSED;
	pid = fake_start("demo", answer, &how);
	r = run(NULL, "lab", "demo", "--", "echo", "ran", NULL);
	assert_string_equal(r->out, "");
	assert_int_equal(r->status, 1);
	assert_string_equal(r->err, "skep: no lab yet\n");
	fake_stop(pid);
	r = run(NULL, "lab", "demo", "--", "echo", "ran", NULL);
	assert_string_equal(r->out, "");
	assert_int_equal(r->status, 1);
}

static int setup(void **arg)
{
	(void)arg;
	state_make();
	/* execvp says EACCES for a name that is nowhere if PATH has a directory that
	 * is closed to us. */
	setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	state_drop();
	return 0;
}

int main(void)
{
	if (geteuid() != 0 && userns_probe() < 0) {
		puts("1..0 # SKIP no user namespaces here");
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(never_outside, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
