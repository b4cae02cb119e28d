/* SPDX-License-Identifier: ISC */
/*
 * What a VMM may ask of the kernel. The list for UML was derived by watching
 * it (SECCOMP_RET_USER_NOTIF, which sees its ptraced children too) boot, work
 * on disk, network and console, answer mconsole, panic, reboot and halt.
 */
#include "sandbox/jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

/* What libc and the loader need before main, and any program to end. */
static const struct seccomp_rule plain[] = {
	ALLOW(execve), /* our own, after the filter is in force; Landlock and the mounts say of what */
	ALLOW(brk),
	ALLOW(munmap),
	ALLOW(mprotect),
	ALLOW(mremap),
	ALLOW(madvise),
	/* Private or of a file; shared anonymous memory would escape the limits. */
	ALLOW_IF(mmap, ARG_HAS_NOT(3, MAP_ANONYMOUS)),
	ALLOW_IF(mmap, { 3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_SHARED, MAP_ANONYMOUS }),
	ALLOW(read),
	ALLOW(readv),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(pread64),
	ALLOW(pwrite64),
	ALLOW(lseek),
	ALLOW(close),
	ALLOW(fstat),
	ALLOW(newfstatat),
	ALLOW(openat),
	ALLOW(access),
	SOFT(readlink, ENOSYS),
	SOFT(readlinkat, ENOSYS),
	SOFT(statx, ENOSYS),
	ALLOW(poll),
	ALLOW(futex),
	ALLOW(getrandom),
	ALLOW(clock_gettime),
	ALLOW(gettimeofday),
	ALLOW(time),
	ALLOW(clock_nanosleep),
	ALLOW(nanosleep),
	ALLOW(restart_syscall),
	ALLOW(sched_yield),
	ALLOW(rt_sigaction),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigreturn),
	ALLOW(sigaltstack),
	ALLOW_IF(arch_prctl, ARG_IS(0, 0x1001)),        /* ARCH_SET_GS */
	ALLOW_IF(arch_prctl, ARG_IS(0, 0x1002)),        /* ARCH_SET_FS */
	ALLOW_IF(arch_prctl, ARG_IS(0, 0x1003)),        /* ARCH_GET_FS */
	ALLOW_IF(arch_prctl, ARG_IS(0, 0x1004)),        /* ARCH_GET_GS */
	SOFT_IF(arch_prctl, EINVAL, ARG_IS(0, 0x3001)), /* ARCH_CET_STATUS, by newer loaders */
	ALLOW(set_tid_address),
	ALLOW(set_robust_list),
	ALLOW(rseq),
	ALLOW_IF(prlimit64, { 2, SCMP_CMP_EQ, 0 }), /* reading */
	SOFT_IF(prlimit64, EPERM, { 2, SCMP_CMP_NE, 0 }),
	ALLOW(getrlimit),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getppid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(uname),
	ALLOW(sysinfo),
	ALLOW(getcwd),
	ALLOW(tgkill), /* abort() */
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW_IF(ioctl, ARG_IS(1, TCGETS)),
};

#define PT(request) ALLOW_IF(ptrace, ARG_IS(0, request))

static const struct seccomp_rule uml[] = {
	/* Guest processes are children that it traces. Not ATTACH, not SEIZE:
	 * nobody becomes its tracee who is not its child. */
	PT(PTRACE_TRACEME),
	PT(PTRACE_PEEKTEXT),
	PT(PTRACE_PEEKDATA),
	PT(PTRACE_PEEKUSER),
	PT(PTRACE_POKETEXT),
	PT(PTRACE_POKEDATA),
	PT(PTRACE_POKEUSER),
	PT(PTRACE_CONT),
	PT(PTRACE_KILL),
	PT(PTRACE_SINGLESTEP),
	PT(PTRACE_SYSCALL),
	PT(PTRACE_GETREGS),
	PT(PTRACE_SETREGS),
	PT(PTRACE_GETFPREGS),
	PT(PTRACE_SETFPREGS),
	PT(PTRACE_GETFPXREGS),
	PT(PTRACE_SETFPXREGS),
	PT(21), /* PTRACE_OLDSETOPTIONS */
	PT(30), /* PTRACE_ARCH_PRCTL */
	PT(PTRACE_SYSEMU),
	PT(PTRACE_SYSEMU_SINGLESTEP),
	PT(PTRACE_SETOPTIONS),
	PT(PTRACE_GETEVENTMSG),
	PT(PTRACE_GETSIGINFO),
	PT(PTRACE_GETREGSET),
	PT(PTRACE_SETREGSET),
	ALLOW_IF(clone, { 0, SCMP_CMP_EQ, CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD }), /* fork() */
	ALLOW_IF(clone, { 0, SCMP_CMP_EQ, CLONE_VM | CLONE_FILES }),
	ALLOW_IF(clone, { 0, SCMP_CMP_EQ, CLONE_FILES | SIGCHLD }),
	ALLOW_IF(clone, { 0, SCMP_CMP_EQ, CLONE_PARENT | CLONE_FILES | SIGCHLD }),
	SOFT(clone3, ENOSYS),
	ALLOW(wait4),
	ALLOW(kill),
	ALLOW(tkill),
	ALLOW(setsid),
	ALLOW(timer_create),
	ALLOW(timer_settime),
	ALLOW(timer_gettime),
	ALLOW(timer_delete),
	ALLOW(setitimer),
	ALLOW(rt_sigsuspend),
	ALLOW(rt_sigtimedwait),
	/* its files: memory in /dev/shm, pid file in /tmp, disks */
	ALLOW(open),
	ALLOW(mkdir),
	ALLOW(rmdir),
	ALLOW(unlink),
	ALLOW(chdir),
	ALLOW(fchmod),
	ALLOW(fsync),
	ALLOW(fdatasync),
	ALLOW(ftruncate),
	ALLOW(fallocate),
	ALLOW(getdents64),
	ALLOW(statfs),
	ALLOW(stat),
	ALLOW(lstat),
	ALLOW(pipe),
	ALLOW(pipe2),
	ALLOW(dup),
	ALLOW(dup2),
	ALLOW_IF(fcntl, ARG_IS(1, F_DUPFD)),
	ALLOW_IF(fcntl, ARG_IS(1, F_DUPFD_CLOEXEC)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETFD)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETFD)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETFL)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETFL)),
	ALLOW_IF(fcntl, ARG_IS(1, F_GETLK)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETLK)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETOWN)),
	ALLOW_IF(fcntl, ARG_IS(1, F_SETSIG)),
	ALLOW_IF(ioctl, ARG_IS(1, TCSETS)),
	ALLOW_IF(ioctl, ARG_IS(1, TCSETSW)),
	ALLOW_IF(ioctl, ARG_IS(1, TCSETSF)),
	ALLOW_IF(ioctl, ARG_IS(1, TIOCGWINSZ)),
	ALLOW_IF(ioctl, ARG_IS(1, FIONREAD)),
	ALLOW_IF(ioctl, ARG_IS(1, FIOASYNC)),
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, TIOCSCTTY)),
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, TIOCGPTN)),
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, TIOCSPTLCK)),
	SOFT_IF(ioctl, ENOTTY, ARG_IS(1, TIOCGPTPEER)),
	/* frames, console, control */
	ALLOW_IF(socketpair, ARG_IS(0, AF_UNIX)),
	ALLOW(recvfrom),
	ALLOW(recvmsg),
	ALLOW(recvmmsg),
	ALLOW(sendto),
	ALLOW(sendmsg),
	ALLOW(sendmmsg),
	ALLOW(shutdown),
	ALLOW_IF(getsockopt, ARG_IS(1, SOL_SOCKET)),
	ALLOW(epoll_create),
	ALLOW(epoll_create1),
	ALLOW(epoll_ctl),
	ALLOW(epoll_wait),
	ALLOW(epoll_pwait),
	ALLOW(eventfd2),
	/* It asks, and does without */
	SOFT(socket, ENOSYS),
	SOFT(bind, ENOSYS),
	SOFT(connect, ENOSYS),
	/* Its log then says that it could not read the host's LDT; were
	 * reading to work, it would insist on writing. */
	SOFT(modify_ldt, ENOSYS),
};

/* Derived with strace: its start, AF_PACKET between two interfaces, alerts, -T. */
static const struct seccomp_rule suricata[] = {
	ALLOW_IF(clone, { 0, SCMP_CMP_EQ,
			  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			      CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID }),
	SOFT(clone3, ENOSYS),
	/* One page that threads share. */
	ALLOW_IF(mmap, { 3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_SHARED, MAP_ANONYMOUS | MAP_SHARED },
		 { 1, SCMP_CMP_LE, 65536 }),
	ALLOW_IF(socket, ARG_IS(0, AF_PACKET)),
	ALLOW_IF(socket, ARG_IS(0, AF_UNIX)),
	ALLOW_IF(socket, ARG_IS(0, AF_INET), { 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM }),
	SOFT_IF(socket, EPERM, ARG_IS(0, AF_INET), { 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW }), /* resets of its own */
	SOFT_IF(socket, EPERM, ARG_IS(0, AF_INET), { 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM }),
	SOFT_IF(socket, EAFNOSUPPORT, ARG_IS(0, AF_NETLINK)),
	SOFT_IF(socket, EAFNOSUPPORT, ARG_IS(0, AF_INET6)),
	ALLOW(bind),
	ALLOW(connect),
	ALLOW(setsockopt),
	ALLOW(getsockopt),
	ALLOW(getsockname),
	ALLOW(getpeername),
	ALLOW(sendto),
	ALLOW(sendmsg),
	ALLOW(recvfrom),
	ALLOW(recvmsg),
	ALLOW(shutdown),
	ALLOW(ioctl), /* its namespace has nothing but its two interfaces, and it may not set them */
	ALLOW(prctl),
	ALLOW(capget),
	ALLOW(capset),
	ALLOW(ppoll),
	ALLOW(select),
	ALLOW(pselect6),
	ALLOW(epoll_create1),
	ALLOW(epoll_ctl),
	ALLOW(epoll_wait),
	ALLOW(eventfd2),
	ALLOW(pipe),
	ALLOW(pipe2),
	ALLOW(dup),
	ALLOW(dup2),
	ALLOW(fcntl),
	ALLOW(open),
	ALLOW(stat),
	ALLOW(lstat),
	ALLOW(faccessat),
	ALLOW(faccessat2),
	ALLOW(getdents64),
	ALLOW(statfs),
	ALLOW(fstatfs),
	ALLOW(umask),
	ALLOW(mkdir),
	ALLOW(mkdirat),
	ALLOW(unlink),
	ALLOW(unlinkat),
	ALLOW(rename),
	ALLOW(ftruncate),
	ALLOW(fallocate),
	ALLOW(fadvise64),
	ALLOW(fsync),
	ALLOW(fchmod),
	ALLOW(chmod),
	ALLOW(chdir),
	ALLOW(flock),
	ALLOW(kill),
	ALLOW(tkill),
	ALLOW(rt_sigtimedwait),
	ALLOW(rt_sigsuspend),
	ALLOW(rt_sigpending),
	ALLOW(clock_getres),
	ALLOW(times),
	ALLOW(getrusage),
	ALLOW(getcpu),
	ALLOW(getresuid),
	ALLOW(getresgid),
	ALLOW(getgroups),
	ALLOW(getpgrp),
	ALLOW(sched_getaffinity),
	SOFT(sched_setaffinity, EPERM),
	ALLOW(sched_getparam),
	ALLOW(sched_getscheduler),
	ALLOW(sched_get_priority_max),
	ALLOW(sched_get_priority_min),
	SOFT(sched_setscheduler, EPERM),
	SOFT(setpriority, EPERM),
	ALLOW(getpriority),
	ALLOW(membarrier),
	ALLOW(mlock),
	ALLOW(munlock),
	ALLOW(msync),
	ALLOW(mincore),
	SOFT(set_mempolicy, ENOSYS),
	SOFT(get_mempolicy, ENOSYS),
	SOFT(mbind, ENOSYS),
	SOFT(setrlimit, EPERM),
};

const struct seccomp_program *jail_filter(enum jail_profile profile, struct err *e)
{
	static const struct seccomp_table tables[][2] = {
		[JAIL_PROFILE_UML] = { SECCOMP_TABLE(plain), SECCOMP_TABLE(uml) },
		[JAIL_PROFILE_SURICATA] = { SECCOMP_TABLE(plain), SECCOMP_TABLE(suricata) },
		[JAIL_PROFILE_PLAIN] = { SECCOMP_TABLE(plain) },
	};
	static struct seccomp_program made[JAIL_PROFILE_COUNT];
	if (profile >= JAIL_PROFILE_COUNT) {
		err_set(e, -EINVAL, "no such jail profile: %d", (int)profile);
		return NULL;
	}
	struct seccomp_program *p = &made[profile];
	if (!p->prog.filter && seccomp_build(p, tables[profile], tables[profile][1].count ? 2 : 1, e) < 0)
		return NULL;
	return p;
}
