/* SPDX-License-Identifier: ISC */
#include "proc/notify/deliver.h"

#include "base/ev.h"
#include "proc/notify/compose.h"
#include "proto/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS 64
#define CANNOT_EXEC 127

static const char safe_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool deliver_conf_ok(const struct notify_conf *c)
{
	/* The list ends with an empty argument, and the last byte is its end at the latest. */
	return MSG_TEXT(c->mail) && MSG_TEXT(c->webhook) && !c->exec[sizeof(c->exec) - 1] &&
	       !c->exec[sizeof(c->exec) - 2];
}

bool deliver_has(const struct notify_conf *c, enum notify_way way)
{
	return (way == NOTIFY_EXEC ? c->exec : way == NOTIFY_MAIL ? c->mail : c->webhook)[0] != 0;
}

/* execvp(3), but without its fallback to a shell. */
static void exec_path(char *const *argv, char *const *env)
{
	char path[512];
	if (!argv[0])
		return;
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, env);
		return;
	}
	size_t name = strlen(argv[0]) + 1;
	for (const char *p = safe_path; *p;) {
		size_t n = strcspn(p, ":");
		if (n + 1 + name <= sizeof(path)) {
			memcpy(path, p, n);
			path[n] = '/';
			memcpy(path + n + 1, argv[0], name);
			execve(path, argv, env);
		}
		p += n + (p[n] == ':');
	}
}

static _Noreturn void child_exec(char *const *argv)
{
	char home[300];
	const char *h = getenv("HOME");
	snprintf(home, sizeof(home), "HOME=%.250s", h && h[0] == '/' ? h : "/");
	char path[sizeof(safe_path) + 8];
	snprintf(path, sizeof(path), "PATH=%s", safe_path);
	char *const env[] = { path, home, (char *)"LANG=C.UTF-8", NULL };
#ifdef MUTANT_NOTIFY_ENVIRONMENT
	exec_path(argv, environ);
#endif
	exec_path(argv, env);
	_exit(CANNOT_EXEC);
}

/* In the child: 0 the message, 1 and 2 nowhere, and for a webhook 2 the way to say why. */
static void child_fds(int in, int words)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);
	setsid();
	if (null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(words >= 0 ? words : null, 2) < 0)
		_exit(CANNOT_EXEC);
	close_range(3, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir("/") < 0)
		_exit(CANNOT_EXEC);
}

static _Noreturn void child_webhook(const char *url, const char *json, size_t n)
{
	char why[160] = "";
	clearenv(); /* no proxy that nobody has written into the file */
	int r = webhook_post(url, json, n, why);
	if (r && write(2, why, strlen(why)) < 0)
		r = 2;
	_exit(r);
}

/* A file in memory, to be read from its beginning: nobody waits for a reader. */
static int message_fd(const char *text, size_t n, struct err *e)
{
	int fd = memfd_create("notice", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0) {
		int r = err_sys(e, -errno, "cannot keep the message");
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

int deliver_start(struct delivery *d, enum notify_way way, const struct notify_conf *conf, const char *sendmail,
		  const struct notify_notice *x, uint64_t now, struct err *e)
{
	static const unsigned seconds[NOTIFY_WAY_COUNT] = { DELIVER_EXEC, DELIVER_MAIL, DELIVER_WEBHOOK };
	static char text[COMPOSE_MAX];
	char args[NOTIFY_ARGV_CAP];
	char *argv[ARGS] = { (char *)sendmail, (char *)"-i", (char *)"-t", NULL };
	int words[2] = { -1, -1 };
	size_t n =
	    way == NOTIFY_MAIL ? compose_mail(text, sizeof(text), conf->mail, x) : compose_json(text, sizeof(text), x);
	if (!n)
		return err_set(e, -EINVAL,
			       way == NOTIFY_MAIL ? "no mail can go to that address" : "the notice is too long");
	if (way == NOTIFY_EXEC) {
		unsigned k = 0;
		memcpy(args, conf->exec, sizeof(args));
		for (char *p = args; *p && k < ARGS - 1; p += strlen(p) + 1)
			argv[k++] = p;
		argv[k] = NULL;
	}
	int in = message_fd(text, n, e);
	if (in < 0)
		return in;
	if (way == NOTIFY_WEBHOOK && pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0) {
		int r = err_sys(e, -errno, "cannot make a pipe");
		close(in);
		return r;
	}
	pid_t pid = fork();
	if (pid == 0) {
		child_fds(in, words[1]);
		if (way == NOTIFY_WEBHOOK)
			child_webhook(conf->webhook, text, n);
		child_exec(argv);
	}
	int r = pid < 0 ? err_sys(e, -errno, "cannot fork") : 0;
	close(in);
	if (words[1] >= 0)
		close(words[1]);
	if (r < 0) {
		if (words[0] >= 0)
			close(words[0]);
		return r;
	}
	*d = (struct delivery){ .pid = pid, .way = way, .deadline = now + seconds[way] * EV_SEC, .words_fd = words[0] };
	memcpy(d->honeypot, x->honeypot, sizeof(d->honeypot));
	memcpy(d->trigger, x->trigger, sizeof(d->trigger));
	return 0;
}

void deliver_check(struct delivery *d, uint64_t now)
{
	if (!d->pid || now < d->deadline)
		return;
	d->killed = true;
	/* Before its setsid() there is no such group. */
	if (kill(-d->pid, SIGKILL) < 0)
		kill(d->pid, SIGKILL);
}

int deliver_end(struct delivery *d, int st, struct err *e)
{
	char why[160];
	ssize_t n = d->words_fd >= 0 ? read(d->words_fd, why, sizeof(why) - 1) : 0;
	if (d->words_fd >= 0)
		close(d->words_fd);
	why[n > 0 ? n : 0] = 0;
	struct delivery was = *d;
	*d = (struct delivery){ .words_fd = -1 };
	if (was.killed)
		return err_set(e, -ETIMEDOUT, "it did not end in time and was killed");
	if (WIFSIGNALED(st))
		return err_set(e, -EIO, "it was killed by signal %d", WTERMSIG(st));
	if (WEXITSTATUS(st) == CANNOT_EXEC && was.way != NOTIFY_WEBHOOK)
		return err_set(e, -ENOEXEC, "the program cannot be executed");
	if (WEXITSTATUS(st) != 0)
		return why[0] ? err_set(e, -EIO, "%s", why) : err_set(e, -EIO, "exit status %d", WEXITSTATUS(st));
	return 0;
}
