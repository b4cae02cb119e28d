/* SPDX-License-Identifier: ISC */
/*
 * Run with the shim preloaded, as if it were linux.uml: linked at the same
 * address (see meson.build). Does one thing, as its argument says; exit status
 * 0 = as expected. test_shim.c starts it.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #x, strerror(errno));                          \
			return 1;                                                                                      \
		}                                                                                                      \
	} while (0)

static int probe_close(void)
{
	for (int fd = 3; fd <= 5; fd++)
		CHECK(close(fd) == 0 && fcntl(fd, F_GETFD) >= 0);
	int other = dup(0);
	CHECK(other > 5 && close(other) == 0 && fcntl(other, F_GETFD) < 0);
	return 0;
}

static int probe_inactive(void)
{
	CHECK(close(3) == 0 && fcntl(3, F_GETFD) < 0);
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un a;
	socklen_t n = sizeof(a);
	CHECK(s >= 0 && getpeername(s, (struct sockaddr *)&a, &n) < 0);
	return 0;
}

/* What UML does for its console, with paths that cannot be made. */
static int probe_control(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/nonexistent/mconsole" }, from;
	socklen_t n = sizeof(from);
	char buf[64] = "";
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(s > 5 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	int notify = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK(notify > 5 && notify != s);
	CHECK(sendto(notify, "ready", 5, 0, (struct sockaddr *)&a, sizeof(a)) == 5);
	CHECK(recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&from, &n) == 7 && n == 0);
	CHECK(!strcmp(buf, "request"));
	CHECK(sendto(s, "reply", 5, 0, (struct sockaddr *)&from, n) == 5);
	/* A handler that reads nothing must not stop the guest's kernel. */
	for (int i = 0; i < 100000; i++)
		if (sendto(s, "flood", 5, 0, NULL, 0) < 0)
			return errno != EAGAIN;
	return 1;
}

static pid_t traced_child(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	int status;
	return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) ? pid : -1;
}

/* Starts a traced process, tells its pid, and waits to be killed. */
static int probe_exitkill(long request)
{
	pid_t pid = traced_child();
	CHECK(pid > 0);
	CHECK(ptrace((enum __ptrace_request)request, pid, 0, (void *)PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(write(4, &pid, sizeof(pid)) == sizeof(pid));
	for (;;)
		pause();
}

static long word = -1;

static int probe_peek(void)
{
	pid_t pid = traced_child();
	CHECK(pid > 0);
	errno = EIO;
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, 0) == -1 && errno == 0);
	CHECK(ptrace(PTRACE_POKEDATA, pid, &word, 42L) == 0);
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, 0) == 42);
	CHECK(ptrace(PTRACE_PEEKDATA, pid, (void *)8, 0) == -1 && errno != 0);
	kill(pid, SIGKILL);
	return 0;
}

/* A register area that is shorter than the host's, as UML's is on hosts with
 * more state than it knows. Status 77: this host has nothing longer. */
static int probe_xstate(void)
{
	static unsigned char all[16384], part[16384];
	pid_t pid = traced_child();
	CHECK(pid > 0);
	struct iovec v = { all, sizeof(all) };
	CHECK(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &v) == 0);
	size_t full = v.iov_len, cut = 832; /* x87, SSE, AVX */
	if (full <= cut)
		return 77;
	memcpy(part, all, cut);
	unsigned long bv = 7;
	memcpy(part + 512, &bv, sizeof(bv));
	memset(part + 160, 0x5a, 16); /* xmm0 */
	v = (struct iovec){ part, cut };
	CHECK(syscall(SYS_ptrace, PTRACE_SETREGSET, (long)pid, NT_X86_XSTATE, &v) < 0); /* why it is needed */
	v = (struct iovec){ part, cut };
	CHECK(ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &v) == 0);
	memset(all, 0, sizeof(all));
	v = (struct iovec){ all, cut };
	CHECK(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &v) == 0 && v.iov_len == cut);
	CHECK(!memcmp(all + 160, part + 160, 16));
	memcpy(&bv, all + 512, sizeof(bv));
	CHECK(!(bv & (3ul << 17)));
	kill(pid, SIGKILL);
	return 0;
}

/* The first periodic timer is quicker, and only that. */
static int probe_ticks(void)
{
	timer_t t;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec ms = { { 0, 10000000 }, { 0, 10000000 } }, is;
	struct itimerspec once = { { 0, 0 }, { 5, 0 } };
	signal(SIGALRM, SIG_IGN);
	CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
	CHECK(timer_settime(t, 0, &once, NULL) == 0 && timer_gettime(t, &is) == 0);
	CHECK(is.it_value.tv_sec == 4 && is.it_interval.tv_nsec == 0);
	CHECK(timer_settime(t, 0, &ms, NULL) == 0 && timer_gettime(t, &is) == 0);
	CHECK(is.it_interval.tv_nsec == 1000000);
	CHECK(timer_settime(t, 0, &ms, NULL) == 0 && timer_gettime(t, &is) == 0);
	CHECK(is.it_interval.tv_nsec == 10000000);
	return 0;
}

static volatile char uevent_helper[256] = "/sbin/hotplug";
static volatile char other[256] = "/sbin/hotplugged";

static int probe_hotplug(void)
{
	CHECK(uevent_helper[0] == 0);
	CHECK(other[0] == '/');
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "close"))
		return probe_close();
	if (!strcmp(what, "inactive"))
		return probe_inactive();
	if (!strcmp(what, "control"))
		return probe_control();
	if (!strcmp(what, "exitkill"))
		return probe_exitkill(PTRACE_SETOPTIONS);
	if (!strcmp(what, "exitkill-old"))
		return probe_exitkill(21); /* PTRACE_OLDSETOPTIONS */
	if (!strcmp(what, "peek"))
		return probe_peek();
	if (!strcmp(what, "ticks"))
		return probe_ticks();
	if (!strcmp(what, "hotplug"))
		return probe_hotplug();
	if (!strcmp(what, "xstate"))
		return probe_xstate();
	return 2;
}
