/* SPDX-License-Identifier: ISC */
/*
 * Preloaded into Debian's /usr/bin/linux.uml (dynamically linked, so that its
 * calls of libc go through the PLT). Theory of operation:
 *
 * 1. Registers. UML 6.1 saves and restores a guest process's FPU state with
 *    PTRACE_GETREGSET/SETREGSET of NT_X86_XSTATE and a buffer of 2696 bytes. A
 *    host with AMX has 11008 bytes, and SETREGSET refuses anything else than the
 *    whole area. We put UML's part in front of a zeroed area of the full size and
 *    clear the two AMX bits (17 XTILECFG, 18 XTILEDATA) in xstate_bv: "not in use".
 * 2. PTRACE_O_EXITKILL. Without it a killed UML leaves its guest's processes
 *    behind, running as processes of the host.
 * 3. close(2) of an inherited fd does nothing. UML closes the frame socket when
 *    the guest sets its interface down, and the console when its last reader
 *    leaves; nobody could give them back.
 * 4. The management console (mconsole) works on an inherited, connected DGRAM
 *    socket instead of a socket with a path, so that the jail can deny socket(2)
 *    and bind(2). A request's sender has no address (length 0), so UML's reply
 *    goes to the peer by itself; only notifications name a path, which we drop.
 *
 * 5. abort. A panicking UML sends itself SIGABRT until it is dead. As the first
 *    process of a pid namespace it cannot be killed like that, and would spin for
 *    ever: it exits with 134 (128 + SIGABRT) instead.
 *
 * 6. Early ticks. Until its high-resolution timers work, UML counts 100 timer
 *    signals a second, and spends 80 of them measuring which RAID-6 code is the
 *    fastest. The only periodic timer that it ever sets is that one: it runs ten
 *    times faster, and the boot takes 0.8 s less. The guest's clock is about half a
 *    second fast for it. (lpj= on the command line, since the delay loop would be
 *    calibrated against these ticks.)
 *
 * 7. Hot-plug helper. Debian's kernel runs /sbin/hotplug for every device that
 *    comes, about a hundred times at boot and a millisecond each; no image has one.
 *    The path is a 256-byte array in its writable data (lib/kobject_uevent.c): it
 *    is emptied before the kernel starts, which is how one turns it off.
 *
 * 8. The gateway's end. When the gateway dies, the frame socket is readable for
 *    ever (end of file), and UML would spin on it: a socket whose peer we hold and
 *    never read takes its place. The guest sees a cable that carries nothing.
 *
 * 9. Hooks: where the jail gives us a ring and a plan, what the guest's kernel does
 * is recorded (hook.c, out.c, wrap*.c).
 *
 * Nothing here is a protection against the guest: whoever owns the guest's
 * kernel owns this code as well. Without the libraries' help on purpose: it
 * runs on UML's small kernel stacks.
 */
#include "shim/hook.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* lib/sandbox/uml_args.h has the same numbers. */
#define FD_FRAMES 3
#define FD_CONSOLE 4
#define FD_CONTROL 5

#define HURRY 10

#define SEEN __attribute__((visibility("default"))) /* in place of libc's */

#define XSTATE_BV 512 /* offset of the bit vector in an XSAVE area (Intel SDM vol. 1, 13.4.2) */
#define XSTATE_AMX (UINT64_C(3) << 17)
#define XSTATE_MAX 16384

/* linux/ptrace.h's name; UML uses the old number for a forked guest process. */
#define PTRACE_OLDSETOPTIONS 21

/* UML calls ptrace from one thread only and is not preemptible: one buffer is
 * enough, and its kernel stacks are too small for it. */
static _Alignas(64) uint8_t area[XSTATE_MAX];
static size_t host_xstate; /* bytes of the host's area, 0 = not asked yet */
static bool active, has_control;
static bool hurried;          /* the early periodic timer was set */
static uint64_t control_dups; /* bit n: fd n is a dup of FD_CONTROL */

static int forget_hotplug(struct dl_phdr_info *main_program, size_t size, void *arg)
{
	static const char path[256] = "/sbin/hotplug";
	(void)size;
	(void)arg;
	for (int i = 0; i < main_program->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &main_program->dlpi_phdr[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W))
			continue;
		char *at = memmem((void *)(main_program->dlpi_addr + ph->p_vaddr), ph->p_filesz, path, sizeof(path));
		if (at)
			*at = 0;
	}
	return 1; /* the first is the program itself; no library */
}

/* Only in the kernel itself: it is linked at 0x60000000, and a helper program
 * that it may start is not. */
__attribute__((constructor)) static void init(void)
{
	unsigned long entry = getauxval(AT_ENTRY);
	active = entry >= 0x60000000UL && entry < 0x70000000UL;
	if (active)
		dl_iterate_phdr(forget_hotplug, NULL);
	int type = 0;
	socklen_t len = sizeof(type);
	has_control =
	    active && !syscall(SYS_getsockopt, FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM;
	if (active)
		hook_init();
}

static bool is_dup(int fd)
{
	return fd >= 0 && fd < 64 && (control_dups >> fd & 1);
}

static void forget_amx(uint8_t *buf, size_t n)
{
	uint64_t bv;
	if (n < XSTATE_BV + sizeof(bv))
		return;
	memcpy(&bv, buf + XSTATE_BV, sizeof(bv));
	bv &= ~XSTATE_AMX;
	memcpy(buf + XSTATE_BV, &bv, sizeof(bv));
}

static long set_xstate(long pid, const struct iovec *part)
{
	if (!host_xstate) {
		struct iovec all = { area, sizeof(area) };
		if (syscall(SYS_ptrace, (long)PTRACE_GETREGSET, pid, (long)NT_X86_XSTATE, &all) < 0)
			return -1;
		host_xstate = all.iov_len;
	}
	if (part->iov_len >= host_xstate || host_xstate > sizeof(area))
		return syscall(SYS_ptrace, (long)PTRACE_SETREGSET, pid, (long)NT_X86_XSTATE, part);
	memset(area, 0, host_xstate);
	memcpy(area, part->iov_base, part->iov_len);
	forget_amx(area, host_xstate);
	struct iovec all = { area, host_xstate };
	return syscall(SYS_ptrace, (long)PTRACE_SETREGSET, pid, (long)NT_X86_XSTATE, &all);
}

static long get_xstate(long pid, struct iovec *part)
{
	long r = syscall(SYS_ptrace, (long)PTRACE_GETREGSET, pid, (long)NT_X86_XSTATE, part);
	if (r >= 0)
		forget_amx(part->iov_base, part->iov_len);
	return r;
}

SEEN long ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	va_start(ap, request);
	long pid = va_arg(ap, int);
	void *addr = va_arg(ap, void *);
	void *data = va_arg(ap, void *);
	va_end(ap);

	/* The system call stores the word; libc's function returns it. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long w;
		if (syscall(SYS_ptrace, (long)request, pid, addr, &w) < 0)
			return -1;
		errno = 0;
		return w;
	}
	if (active && request == PTRACE_SETREGSET && (long)addr == NT_X86_XSTATE)
		return set_xstate(pid, data);
	if (active && request == PTRACE_GETREGSET && (long)addr == NT_X86_XSTATE)
		return get_xstate(pid, data);
#ifndef MUTANT_SHIM_NO_EXITKILL
	if (active && (request == PTRACE_SETOPTIONS || (int)request == PTRACE_OLDSETOPTIONS))
		data = (void *)((uintptr_t)data | PTRACE_O_EXITKILL);
#endif
	return syscall(SYS_ptrace, (long)request, pid, addr, data);
}

SEEN int close(int fd)
{
#ifndef MUTANT_SHIM_CLOSES
	if (active && ((fd >= FD_FRAMES && fd <= FD_CONTROL) || hook_holds(fd)))
		return 0;
#endif
	if (is_dup(fd))
		control_dups &= ~(UINT64_C(1) << fd);
	return (int)syscall(SYS_close, fd);
}

SEEN int kill(pid_t pid, int sig)
{
	int r = (int)syscall(SYS_kill, pid, sig);
#ifndef MUTANT_SHIM_NO_ABORT
	if (active && sig == SIGABRT && pid == (pid_t)syscall(SYS_getpid))
		syscall(SYS_exit_group, 128 + SIGABRT); /* we are still here: it was ignored */
#endif
	return r;
}

SEEN int timer_settime(timer_t id, int flags, const struct itimerspec *set, struct itimerspec *was)
{
	struct itimerspec quick = *set;
	if (active && !hurried && (set->it_interval.tv_sec || set->it_interval.tv_nsec)) {
		hurried = true;
		if (!quick.it_interval.tv_sec && !quick.it_value.tv_sec) {
			quick.it_interval.tv_nsec /= HURRY;
			quick.it_value.tv_nsec = quick.it_interval.tv_nsec;
		}
	}
	/* glibc's timer_t of a signal timer is the kernel's number. */
	return (int)syscall(SYS_timer_settime, (int)(intptr_t)id, flags, &quick, was);
}

SEEN int socket(int domain, int type, int protocol)
{
	if (!has_control || domain != AF_UNIX || (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != SOCK_DGRAM)
		return (int)syscall(SYS_socket, domain, type, protocol);
	int fd = (int)syscall(SYS_fcntl, FD_CONTROL, F_DUPFD_CLOEXEC, FD_CONTROL + 1);
	if (fd >= 64) {
		syscall(SYS_close, fd);
		errno = EMFILE;
		return -1;
	}
	if (fd >= 0)
		control_dups |= UINT64_C(1) << fd;
	return fd;
}

SEEN int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (is_dup(fd))
		return 0;
	return (int)syscall(SYS_bind, fd, addr, len);
}

SEEN ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len)
{
	if (is_dup(fd)) {
		/* Never wait for a handler that does not read. */
		to = NULL;
		len = 0;
		flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
	}
	return syscall(SYS_sendto, fd, buf, n, flags, to, len);
}

/* Once only: what takes its place has no end. */
static ssize_t frames_ended(void)
{
	int pair[2];
	if (syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0) {
		syscall(SYS_dup2, pair[0], FD_FRAMES);
		syscall(SYS_close, pair[0]);
	}
	errno = EAGAIN;
	return -1;
}

static bool is_end(ssize_t r)
{
#ifdef MUTANT_SHIM_SPINS
	return false;
#endif
	return r == 0 || (r < 0 && errno == ECONNRESET);
}

SEEN ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t r = syscall(SYS_recvmsg, fd, msg, flags);
	return active && fd == FD_FRAMES && is_end(r) ? frames_ended() : r;
}

SEEN int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *wait)
{
	int r = (int)syscall(SYS_recvmmsg, fd, msgs, n, flags, wait);
	/* At the end of the file the kernel counts datagrams without a byte. */
	if (active && fd == FD_FRAMES && is_end(r > 0 ? (ssize_t)msgs[0].msg_len : r))
		return (int)frames_ended();
	return r;
}
