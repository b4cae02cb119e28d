/* SPDX-License-Identifier: ISC */
/*
 * What jail_test puts into the jail: does what its arguments say, in order, and
 * writes what it finds to fd 1. Static, and of few system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char b[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	if (write(1, b, (size_t)n) != n)
		_exit(98);
}

static void describe(void)
{
	struct utsname u;
	struct rlimit l;
	struct stat st;
	uname(&u);
	say("pid=%d ppid=%d uid=%u gid=%u host=%s\n", getpid(), getppid(), getuid(), getgid(), u.nodename);
	for (char **e = environ; *e; e++)
		say("env:%s\n", *e);
	for (int fd = 0; fd < 1024; fd++)
		if (fstat(fd, &st) == 0)
			say("fd:%d:%llu\n", fd, (unsigned long long)st.st_ino);
	getrlimit(RLIMIT_NOFILE, &l);
	say("nofile=%llu\n", (unsigned long long)l.rlim_max);
	getrlimit(RLIMIT_NPROC, &l);
	say("nproc=%llu\n", (unsigned long long)l.rlim_max);
	getrlimit(RLIMIT_FSIZE, &l);
	say("fsize=%llu\n", (unsigned long long)l.rlim_max);
	getrlimit(RLIMIT_CORE, &l);
	say("core=%llu\n", (unsigned long long)l.rlim_max);
}

static void try_open(const char *how, const char *path)
{
	errno = 0;
	int fd = open(path,
		      !strcmp(how, "read")    ? O_RDONLY
		      : !strcmp(how, "write") ? O_WRONLY
					      : O_WRONLY | O_CREAT,
		      0600);
	say("%s:%s:%s\n", how, path, fd >= 0 ? "ok" : strerrorname_np(errno));
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "describe"))
			describe();
		else if (!strcmp(argv[i], "sleep"))
			for (;;)
				sleep(1000);
		else if (!strcmp(argv[i], "exit") && i + 1 < argc)
			_exit(atoi(argv[i + 1]));
		else if (i + 1 < argc) {
			try_open(argv[i], argv[i + 1]);
			i++;
		}
	}
	return 0;
}
