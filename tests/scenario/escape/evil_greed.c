/* SPDX-License-Identifier: ISC */
/* Taking more than its share. Each stops by itself at a bound that is above
 * the limit and harmless to the machine. */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, MUCH = 320 };

static int fork_bomb(void)
{
	enum { MANY = EVIL_NPROC * 3 };
	static pid_t kids[MANY];
	int n = 0;
	for (; n < MANY && (kids[n] = fork()) >= 0; n++)
		if (kids[n] == 0) {
			poll(NULL, 0, -1); /* pause(2) is not on the list */
			_exit(0);
		}
	int made = n;
	while (n)
		kill(kids[--n], SIGKILL);
	while (wait(NULL) > 0) {
	}
	return made == MANY;
}

static int fill(const char *path, int mib)
{
	static char block[MIB];
	int fd = open(path, O_CREAT | O_WRONLY, 0600), n = 0;
	for (; fd >= 0 && n < mib && write(fd, block, MIB) == MIB; n++) {
	}
	if (fd >= 0 && ftruncate(fd, 0) == 0)
		unlink(path);
	return fd >= 0 && n == mib;
}
static int fill_tmp(void)
{
	signal(SIGXFSZ, SIG_IGN);
	/* Several files, each below the largest file's size. */
	char path[] = "/tmp/evil-a";
	static char block[MIB];
	int n = 0;
	for (int f = 0; f < 6; f++, path[10]++) {
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		for (int i = 0; fd >= 0 && i < 7 && write(fd, block, MIB) == MIB; i++)
			n++;
	}
	for (path[10] = 'a'; path[10] < 'g'; path[10]++)
		unlink(path);
	return n == 42;
}
static int many_files(void)
{
	char path[] = "/tmp/evil-0000";
	int n = 0;
	for (; n < 2000; n++) {
		for (int i = 0, v = n; i < 4; i++, v /= 10)
			path[13 - i] = (char)('0' + v % 10);
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	for (int k = n; k--;) {
		for (int i = 0, v = k; i < 4; i++, v /= 10)
			path[13 - i] = (char)('0' + v % 10);
		unlink(path);
	}
	return n == 2000;
}
static int fill_disk(void)
{
	signal(SIGXFSZ, SIG_IGN);
	int fd = open(EVIL_DISK, O_WRONLY);
	if (fd < 0 && getenv("EVIL_DISK"))
		fd = open(getenv("EVIL_DISK"), O_WRONLY);
	return fd >= 0 && pwrite(fd, "x", 1, EVIL_FSIZE + MIB) == 1;
}
static int fill_evidence_disk(void)
{
	char path[512] = "";
	strncat(path, evil_args[EVIL_FILE], 480);
	strcat(path, ".filler");
	return fill(path, 4);
}

static int touch(int flags, size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
	munmap(p, bytes);
	return 1;
}
static int memory(void)
{
	return touch(MAP_PRIVATE, (size_t)MUCH * MIB);
}
static int shared_memory(void)
{
	return touch(MAP_SHARED, (size_t)MUCH * MIB);
}
static int memory_of_children(void)
{
	/* Five times 96 MiB at once: more than the machine's limit, each child
	 * below its own. */
	enum { KIDS = 5, EACH = 96 * MIB };
	pid_t kids[KIDS];
	int p[2], n = 0, alive = 0, st;
	char c;
	if (pipe(p) < 0)
		return 0;
	for (; n < KIDS && (kids[n] = fork()) >= 0; n++)
		if (kids[n] == 0) {
			char *m = mmap(NULL, EACH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (m == MAP_FAILED)
				_exit(1);
			memset(m, 1, EACH);
			if (write(p[1], "x", 1) != 1)
				_exit(1);
			poll(NULL, 0, -1); /* pause(2) is not on the list */
		}
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	for (int k = 0; k < 200 && alive < KIDS && waitpid(-1, &st, WNOHANG) == 0; k++) {
		struct timespec wait = { 0, 20000000 };
		while (read(p[0], &c, 1) == 1)
			alive++;
		nanosleep(&wait, NULL);
	}
	while (n)
		kill(kids[--n], SIGKILL);
	return alive == KIDS;
}
static int memory_file(void)
{
	int fd = (int)syscall(SYS_memfd_create, "evil", 0);
	static char block[MIB];
	int n = 0;
	for (; fd >= 0 && n < 7 && write(fd, block, MIB) == MIB; n++) {
	}
	return n == 7;
}
static int lock_memory(void)
{
	return mlockall(MCL_CURRENT) == 0;
}
static int many_fds(void)
{
	int n = 0;
	while (n < 200 && dup(0) >= 0)
		n++;
	return n == 200;
}
static int many_timers(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	int id, n = 0;
	while (n < 2000 && syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id) == 0)
		n++;
	return n == 2000;
}
static int raise_limits(void)
{
	struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &l, NULL) == 0;
}
static int core_dump(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max > 0;
}

const struct attack attacks_greed[] = {
	{ "fork-bomb", fork_bomb },
	{ "fill-tmp", fill_tmp },
	{ "many-files", many_files },
	{ "fill-disk", fill_disk },
	{ "fill-evidence-disk", fill_evidence_disk },
	{ "memory", memory },
	{ "shared-memory", shared_memory },
	{ "memory-of-children", memory_of_children },
	{ "memory-file", memory_file },
	{ "mlockall", lock_memory },
	{ "many-fds", many_fds },
	{ "many-timers", many_timers },
	{ "raise-limits", raise_limits },
	{ "core-dump", core_dump },
	{ NULL, NULL },
};
