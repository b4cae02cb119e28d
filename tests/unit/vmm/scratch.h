/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_VMM_SCRATCH_H
#define SKEP_TEST_VMM_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A temporary directory for one test program, and programs run in it. */
static char scratch_dir[128];

__attribute__((unused)) static int scratch_make(void **state)
{
	(void)state;
	snprintf(scratch_dir, sizeof(scratch_dir), "%s/skep-vmm-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(scratch_dir) && chdir(scratch_dir) == 0 ? 0 : -1;
}

/* Runs argv with its output in the file `out` (NULL: thrown away); its exit status. */
__attribute__((unused)) static int scratch_run(char *const argv[], const char *out)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(out ? out : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define RUN(...) scratch_run((char *const[]){ __VA_ARGS__, NULL }, NULL)
#define RUN_TO(out, ...) scratch_run((char *const[]){ __VA_ARGS__, NULL }, out)

__attribute__((unused)) static int scratch_remove(void **state)
{
	(void)state;
	if (chdir("/") == 0 && strstr(scratch_dir, "skep-vmm-"))
		RUN("rm", "-rf", scratch_dir);
	return 0;
}

__attribute__((unused)) static void scratch_write(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

/* The whole file, with a NUL behind it; the caller frees it. */
__attribute__((unused)) static char *scratch_read(const char *path, size_t *n)
{
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	char *p = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(p);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	if (n)
		*n = (size_t)st.st_size;
	return p;
}

#endif
