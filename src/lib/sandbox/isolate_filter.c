/* SPDX-License-Identifier: ISC */
/*
 * What each of skep's own processes may ask of the kernel. Everything that
 * takes a path fails softly (ENOENT: there is nothing in the empty root
 * anyway), since libraries look for optional files; what only an intruder
 * would call kills.
 */
#include "sandbox/isolate_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static const struct seccomp_rule common[] = {
	/* memory, but never executable */
	ALLOW_IF(mmap, ARG_HAS_NOT(2, PROT_EXEC)),
	ALLOW_IF(mprotect, ARG_HAS_NOT(2, PROT_EXEC)),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(brk),
	/* fds that it holds */
	ALLOW(read),
	ALLOW(readv),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(close),
	ALLOW(close_range),
	ALLOW(lseek),
	ALLOW(fstat),
	ALLOW_IF(newfstatat, ARG_HAS(3, AT_EMPTY_PATH)),
	SOFT_IF(newfstatat, ENOENT, ARG_HAS_NOT(3, AT_EMPTY_PATH)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETFL)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETFL)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETFD)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETFD)),
	ALLOW_IF(fcntl, ARG_IS(1, F_DUPFD_CLOEXEC)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GET_SEALS)),
	ALLOW_IF(ioctl, ARG_IS(1, TCGETS)),
	/* messages and waiting */
	ALLOW(recvmsg),
	ALLOW(sendmsg),
	ALLOW(recvfrom),
	ALLOW(sendto),
	ALLOW(shutdown),
	ALLOW_IF(getsockopt, ARG_IS(1, SOL_SOCKET)),
	ALLOW(poll),
	ALLOW(ppoll),
	ALLOW(epoll_wait),
	ALLOW(epoll_pwait),
	ALLOW(epoll_ctl),
	ALLOW(epoll_create1),
	ALLOW(eventfd2),
	ALLOW(timerfd_create),
	ALLOW(timerfd_settime),
	ALLOW(timerfd_gettime),
	ALLOW(futex),
	/* time, chance, signals, the end */
	ALLOW(clock_gettime),
	ALLOW(clock_getres),
	ALLOW(gettimeofday),
	ALLOW(time),
	ALLOW(clock_nanosleep),
	ALLOW(nanosleep),
	ALLOW(restart_syscall),
	ALLOW(sched_yield),
	ALLOW(getrandom),
	ALLOW(rt_sigaction),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigreturn),
	ALLOW(sigaltstack),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getppid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(sysinfo),
	ALLOW(uname),
	ALLOW_IF(tgkill, ARG_IS(2, 6)), /* abort() */
	ALLOW(exit),
	ALLOW(exit_group),
};

/* For roles that never open a path. */
static const struct seccomp_rule no_paths[] = {
	SOFT(open, ENOENT),       SOFT(openat, ENOENT),   SOFT(access, ENOENT),     SOFT(faccessat, ENOENT),
	SOFT(faccessat2, ENOENT), SOFT(readlink, ENOENT), SOFT(readlinkat, ENOENT), SOFT(stat, ENOENT),
	SOFT(lstat, ENOENT),      SOFT(statx, ENOSYS),    SOFT(getcwd, ENOENT),     SOFT(statfs, ENOENT),
};

static const struct seccomp_rule super_rules[] = {
	ALLOW(accept4),
	ALLOW_IF(socketpair, ARG_IS(0, AF_UNIX)),
	ALLOW_IF(setsockopt, ARG_IS(1, SOL_SOCKET)),
	ALLOW(memfd_create),
	ALLOW(ftruncate),
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW_IF(fcntl, ARG_IS(1, F_ADD_SEALS)),
	ALLOW(getsockname),
	ALLOW(getpeername),
	ALLOW(pidfd_send_signal), /* to pidfds that priv gave it */
};

static const struct seccomp_rule gateway_rules[] = {
	ALLOW(recvmmsg),
	ALLOW(sendmmsg),
	ALLOW_IF(setsockopt, ARG_IS(1, SOL_SOCKET)),
	ALLOW_IF(setsockopt, ARG_IS(1, SOL_PACKET)),
	ALLOW(getsockname), /* whether a port's interface is still there */
	ALLOW(pread64),
};

/* Captures and messages: nothing that the common ones do not allow. */
static const struct seccomp_rule judge_rules[] = {
	ALLOW(pread64),
};

static const struct seccomp_rule vmm_rules[] = {
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW(preadv),
	ALLOW(pwritev),
	ALLOW(fsync),
	ALLOW(fdatasync),
	ALLOW(ftruncate),
	ALLOW(fallocate),
	ALLOW(fadvise64),
	ALLOW(memfd_create),
	ALLOW_IF(socketpair, ARG_IS(0, AF_UNIX)),
	ALLOW_IF(setsockopt, ARG_IS(1, SOL_SOCKET)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETLK)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETLK)),
	ALLOW_IF(fcntl, ARG_IS(1, F_OFD_SETLK)),
	ALLOW_IF(ioctl, ARG_IS(1, TIOCGWINSZ)),
	ALLOW_IF(ioctl, ARG_IS(1, TIOCSWINSZ)),
	/* libext2fs asks a disk for its geometry: it is a file */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 94))),           /* BLKROGET */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 96))),           /* BLKGETSIZE */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 104))),          /* BLKSSZGET */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 119))),          /* BLKDISCARD */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 123))),          /* BLKPBSZGET */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IOR(0x12, 114, size_t))), /* BLKGETSIZE64 */
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, _IO(0x12, 97))),           /* BLKFLSBUF */
	ALLOW(getrlimit),
	ALLOW_IF(prlimit64, ARG_IS(0, 0), { 2, SCMP_CMP_EQ, 0 }), /* reading its own */
	SOFT_IF(prlimit64, EPERM, { 2, SCMP_CMP_NE, 0 }),
	ALLOW(getdents64),
	ALLOW(pidfd_send_signal),
};

static const struct seccomp_rule introspect_rules[] = {
	ALLOW(pread64),                        /* the guest's memory */
	ALLOW(pwrite64),  ALLOW(memfd_create), /* ring and plan */
	ALLOW(ftruncate), ALLOW_IF(fcntl, ARG_IS(1, F_ADD_SEALS)),
};

/* Connections to sockets that priv has made: it makes none itself. */
static const struct seccomp_rule sinkhole_rules[] = {
	ALLOW(accept4),
	ALLOW(getsockname),
	ALLOW(memfd_create), /* what it keeps, for evidence */
	ALLOW_IF(fcntl, ARG_IS(1, F_ADD_SEALS)),
};

static const struct seccomp_rule inspect_rules[] = {
	ALLOW(memfd_create),
	ALLOW_IF(fcntl, ARG_IS(1, F_ADD_SEALS)),
};

/* Everything below the directory fd; Landlock says where that ends. */
static const struct seccomp_rule evidence_rules[] = {
	ALLOW(openat),
	ALLOW(mkdirat),
	ALLOW(renameat),
	ALLOW(renameat2),
	ALLOW(unlinkat),
	ALLOW(faccessat),
	ALLOW(faccessat2),
	ALLOW(newfstatat),
	ALLOW(statx),
	ALLOW(fstatfs),
	ALLOW(getdents64),
	ALLOW(ftruncate),
	ALLOW(fallocate),
	ALLOW(fadvise64),
	ALLOW(sync_file_range),
	ALLOW(fsync),
	ALLOW(fdatasync),
	ALLOW(syncfs),
	ALLOW(fchmod),
	ALLOW(flock),
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW(preadv),
	ALLOW(pwritev),
	ALLOW(pwritev2),
	ALLOW(copy_file_range),
	ALLOW(dup),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETLK)),
	ALLOW_IF(fcntl, ARG_IS(1, F_OFD_SETLK)),
	ALLOW_IF(setsockopt, ARG_IS(1, SOL_SOCKET)),
	SOFT(open, ENOENT),
	SOFT(access, ENOENT),
	SOFT(readlink, ENOENT),
	SOFT(stat, ENOENT),
	SOFT(lstat, ENOENT),
	SOFT(statfs, ENOENT),
	SOFT(getcwd, ENOENT),
};

#ifdef SKEP_SANITIZE
/* The run time's reports. LeakSanitizer at exit is turned off: isolate.c. */
static const struct seccomp_rule sanitizer[] = {
	ALLOW(sched_getaffinity),
	ALLOW(prctl),
	ALLOW(personality),
	ALLOW(getrlimit),
	ALLOW(prlimit64),
	ALLOW(tgkill),
	ALLOW(dup),
	ALLOW(dup2),
	ALLOW(pipe2),
	ALLOW(getrusage),
	ALLOW(mincore),
};
#endif

int isolate_filter(enum role role, struct seccomp_table out[ISOLATE_TABLES])
{
	static const struct seccomp_table of_role[ROLE_COUNT] = {
		[ROLE_SUPER] = SECCOMP_TABLE(super_rules),       [ROLE_GATEWAY] = SECCOMP_TABLE(gateway_rules),
		[ROLE_JUDGE] = SECCOMP_TABLE(judge_rules),       [ROLE_VMM] = SECCOMP_TABLE(vmm_rules),
		[ROLE_EVIDENCE] = SECCOMP_TABLE(evidence_rules), [ROLE_INTROSPECT] = SECCOMP_TABLE(introspect_rules),
		[ROLE_SINKHOLE] = SECCOMP_TABLE(sinkhole_rules), [ROLE_INSPECT] = SECCOMP_TABLE(inspect_rules),
	};
	static const struct seccomp_table c = SECCOMP_TABLE(common), p = SECCOMP_TABLE(no_paths);
	int n = 0;
	if (role >= ROLE_COUNT || !of_role[role].rules)
		return 0;
	out[n++] = of_role[role];
	out[n++] = c;
	if (role != ROLE_EVIDENCE)
		out[n++] = p;
#ifdef SKEP_SANITIZE
	static const struct seccomp_table s = SECCOMP_TABLE(sanitizer);
	out[n++] = s;
#endif
	return n;
}
