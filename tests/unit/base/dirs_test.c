/* SPDX-License-Identifier: ISC */
#include "cm.h"

#include "base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int clean_env(void **state)
{
	(void)state;
	return unsetenv("SKEP_STATE") || unsetenv("XDG_STATE_HOME") || unsetenv("XDG_RUNTIME_DIR") ||
	       setenv("HOME", "/home/keeper", 1);
}

static void are(const char *state_dir, const char *run)
{
	char buf[DIRS_PATH];
	assert_int_equal(dirs_state(buf, NULL), 0);
	assert_string_equal(buf, state_dir);
	assert_int_equal(dirs_run(buf, NULL), 0);
	assert_string_equal(buf, run);
}

static void own_place(void **state)
{
	(void)state;
	setenv("SKEP_STATE", "/tmp/x", 1);
	are("/tmp/x", "/tmp/x/run");
	setenv("SKEP_STATE", "relative", 1);
	char buf[DIRS_PATH] = "kept";
	struct err e;
	assert_int_equal(dirs_state(buf, &e), -EINVAL);
	assert_non_null(strstr(e.text, "absolute"));
	char longer[DIRS_PATH + 1];
	memset(longer, 'x', DIRS_PATH);
	longer[0] = '/';
	longer[DIRS_PATH] = '\0';
	setenv("SKEP_STATE", longer, 1);
	assert_int_equal(dirs_state(buf, &e), -ENAMETOOLONG);
	longer[DIRS_PATH - 2] = '\0'; /* fits, but not with /run behind it */
	setenv("SKEP_STATE", longer, 1);
	assert_int_equal(dirs_state(buf, &e), 0);
	assert_int_equal(dirs_run(buf, &e), -ENAMETOOLONG);
}

/* The rules for ordinary users, from a child that is one. */
static void rootless(void)
{
	char buf[DIRS_PATH];
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(2);
	are("/home/keeper/.local/state/skep", "/home/keeper/.local/state/skep/run");
	setenv("XDG_STATE_HOME", "/s", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	are("/s/skep", "/run/user/1/skep");
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	_exit(dirs_state(buf, NULL) == -ENOENT ? 0 : 1);
}

static void by_uid(void **state)
{
	(void)state;
	if (geteuid() == 0)
		are("/var/lib/skep", "/run/skep");
	pid_t pid = fork();
	if (!pid)
		rootless();
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void makes_parents(void **state)
{
	(void)state;
	char top[] = "/tmp/skep-dirs-XXXXXX", path[128];
	struct stat st;
	struct err e;
	assert_non_null(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/a/b//c/", top);
	assert_int_equal(dirs_make(path, &e), 0);
	assert_int_equal(dirs_make(path, &e), 0); /* again is no error */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/file", top);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(dirs_make(path, &e), -ENOTDIR);
	assert_non_null(strstr(e.text, path));
	unlink(path);
	snprintf(path, sizeof(path), "%s/a/b/c", top);
	while (strlen(path) >= strlen(top)) {
		assert_int_equal(rmdir(path), 0);
		*strrchr(path, '/') = '\0';
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(own_place, clean_env),
		cmocka_unit_test_setup(by_uid, clean_env),
		cmocka_unit_test(makes_parents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
