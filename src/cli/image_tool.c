/* SPDX-License-Identifier: ISC */
#include "cli/image_tool.h"

#include "base/ev.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SBIN "/usr/local/sbin:/usr/sbin:/sbin"
#define GRACE (15 * EV_SEC) /* mmdebstrap removes its chroot before it goes */

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

void image_tool_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int image_tool_stopped(void)
{
	return stopped;
}

void image_tool_die(void)
{
	int sig = stopped;
	if (!sig)
		return;
	signal(sig, SIG_DFL);
	raise(sig);
}

static const char *search_path(char *buf, size_t cap)
{
	const char *path = getenv("PATH");
	snprintf(buf, cap, "%s:" SBIN, path && *path ? path : "/usr/local/bin:/usr/bin:/bin");
	return buf;
}

bool image_tool_find(const char *program, char *path, size_t cap)
{
	char all[4096], *save = NULL;
	search_path(all, sizeof(all));
	for (char *dir = strtok_r(all, ":", &save); dir; dir = strtok_r(NULL, ":", &save))
		if (snprintf(path, cap, "%s/%s", dir, program) < (int)cap && !access(path, X_OK))
			return true;
	return false;
}

static void become(const char *path, const char *const *argv, const char *const *env, int out)
{
	char all[4096];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	setenv("PATH", search_path(all, sizeof(all)), 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("DEBIAN_FRONTEND", "noninteractive", 1);
	for (size_t i = 0; env && env[i]; i++)
		putenv((char *)(uintptr_t)env[i]);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	execv(path, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void on_orphaned(int sig)
{
	(void)sig;
	kill(0, SIGKILL);
}

/* Stands between us and the program: leads its process group, and takes all of
 * it along when we are killed, since the group would go on for minutes. */
static void guardian(const char *path, const char *const *argv, const char *const *env, int out, pid_t parent)
{
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, on_orphaned);
#ifndef MUTANT_IMAGE_TOOL_LINGERS
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
#endif
	if (getppid() != parent)
		_exit(127);
	/* What it mounts must be gone with it, however it ends. */
	if (geteuid() == 0 && !unshare(CLONE_NEWNS))
		mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	pid_t pid = fork();
	if (pid == 0)
		become(path, argv, env, out);
	close(out);
	int status = 127 << 8;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

static bool looks_bad(const char *s)
{
	return !strncmp(s, "E:", 2) || strcasestr(s, "error") || strcasestr(s, "cannot") || strcasestr(s, "failed") ||
	       strcasestr(s, "no space") || strcasestr(s, "denied");
}

struct reader {
	char buf[2048];
	size_t n;
	bool bad; /* t->last is an error, which an ordinary line does not replace */
};

static void one_line(struct image_tool *t, struct reader *r)
{
	r->buf[r->n] = '\0';
	t->full |= strcasestr(r->buf, "no space left") != NULL;
	if (r->n && (!r->bad || looks_bad(r->buf))) {
		r->bad = looks_bad(r->buf);
		text_safe(t->last, sizeof(t->last), r->buf, r->n, false);
	}
	if (r->n && t->line)
		t->line(r->buf, t->arg);
	r->n = 0;
}

/* false at the end of the output */
static bool take(struct image_tool *t, struct reader *r, int fd)
{
	char in[4096];
	ssize_t n = read(fd, in, sizeof(in));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return false;
	if (t->log >= 0 && write(t->log, in, (size_t)n) < 0)
		t->log = -1; /* a full disk shows in what the program does */
	for (ssize_t i = 0; i < n; i++) {
		if (in[i] == '\n' || in[i] == '\r' || r->n + 1 == sizeof(r->buf))
			one_line(t, r);
		if (in[i] != '\n' && in[i] != '\r')
			r->buf[r->n++] = in[i];
	}
	return true;
}

static int watch(struct image_tool *t, pid_t pid, int fd, bool *ended, int *status)
{
	struct reader r = { .n = 0 };
	uint64_t killed = 0, quiet = 0;
	bool open = true;
	int signal_no = 0;
	while (open || !*ended) {
		struct pollfd p = { .fd = open ? fd : -1, .events = POLLIN };
		int got = poll(&p, 1, 250);
		uint64_t now = ev_monotonic();
		if (open && got > 0)
			open = take(t, &r, fd);
		/* Somebody below it may hold the pipe for longer than it lives. */
		if (*ended && got == 0)
			break;
		if (!*ended && waitpid(pid, status, WNOHANG) == pid)
			*ended = true;
		if (t->tick && now - quiet > EV_SEC) {
			quiet = now;
			t->tick(t->arg);
		}
		if (stopped && !signal_no) {
			signal_no = stopped;
			killed = now;
			kill(-pid, SIGTERM);
		} else if (signal_no && now - killed > GRACE) {
			kill(-pid, SIGKILL);
		}
	}
	if (r.n)
		one_line(t, &r);
	return signal_no;
}

int image_tool_run(struct image_tool *t, const char *const *argv, const char *const *env, struct err *e)
{
	char path[512];
	int out[2], status = 0;
	t->last[0] = '\0';
	if (image_tool_stopped())
		return err_set(e, -EINTR, "interrupted");
	if (strchr(argv[0], '/') ? !text_copy(path, sizeof(path), argv[0])
				 : !image_tool_find(argv[0], path, sizeof(path)))
		return err_set(e, -ENOENT, "%s is not installed", argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		guardian(path, argv, env, out[1], parent);
	close(out[1]);
	if (pid < 0) {
		int r = -errno;
		close(out[0]);
		return err_sys(e, r, "cannot start %s", argv[0]);
	}
	bool ended = false;
	int sig = watch(t, pid, out[0], &ended, &status);
	close(out[0]);
	if (!ended)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	/* Nothing of it may go on in the directory that is removed next. */
	kill(-pid, SIGKILL);
	if (sig)
		return err_set(e, -EINTR, "interrupted");
	if (WIFSIGNALED(status))
		return err_set(e, -EIO, "%s was killed by signal %d", argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(e, -EIO, "%s failed (exit status %d)%s%s", argv[0], WEXITSTATUS(status),
			       *t->last ? ": " : "", t->last);
	return 0;
}
