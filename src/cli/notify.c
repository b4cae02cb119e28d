/* SPDX-License-Identifier: ISC */
/* Starts the notify process: it belongs to the operator, so it comes from the
 * operator's side, not from priv. Started by root it becomes whoever called sudo,
 * or nobody. */
#include "cli/notify.h"

#include "cli/nets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534u

static uid_t number(const char *name)
{
	const char *s = getenv(name);
	char *end;
	unsigned long v = s ? strtoul(s, &end, 10) : 0;
	return s && *s && !*end && v < UINT32_MAX ? (uid_t)v : 0;
}

/* Never root. */
static int become_ordinary(void)
{
	uid_t uid = number("SUDO_UID");
	const struct passwd *pw = getpwuid(uid ? uid : NOBODY);
	gid_t gid = pw ? pw->pw_gid : NOBODY;
	if (geteuid() != 0)
		return 0;
	if (!uid)
		uid = NOBODY;
	if ((pw && uid != NOBODY ? initgroups(pw->pw_name, gid) : setgroups(0, NULL)) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	setenv("HOME", pw && pw->pw_dir[0] == '/' ? pw->pw_dir : "/", 1);
	return 0;
}

static _Noreturn void child(int ctl, const char *log)
{
	char *argv[] = { (char *)"skep", (char *)"--role=notify", NULL };
	static const int signals[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	umask(077);
	setsid();
	int out = open(log, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), c = fcntl(ctl, F_DUPFD, 10);
	out = out < 0 ? null : out;
	if (null < 0 || c < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(out, 2) < 0 || dup2(c, 3) < 0 ||
	    close_range(4, ~0u, 0) < 0 || become_ordinary() < 0)
		_exit(1);
	execv("/proc/self/exe", argv);
	_exit(1);
}

void notify_start(const struct cmd *c, const struct model *m)
{
	const struct notify_conf *n = &m->notify;
	char run[DIRS_PATH], log[DIRS_PATH + NAME_CAP + 8];
	struct cli_ctl ctl;
	struct err e = { 0 };
	if (!n->mail[0] && !n->webhook[0] && !n->exec[0])
		return;
	int r = dirs_run(run, &e);
	if (!r)
		r = cli_ctl_open(&ctl, m->name, &e);
	if (r < 0) {
		cmd_note(c, "nobody is told by mail, webhook or program: %s", e.text);
		return;
	}
	snprintf(log, sizeof(log), "%s/%s/log", run, m->name);
	pid_t pid = fork();
	if (pid == 0)
		child(ctl.chan.fd, log);
	if (pid < 0)
		cmd_note(c, "nobody is told by mail, webhook or program: cannot fork: %s", strerror(errno));
	/* It says what it is itself: super then knows that it is there. */
	cli_ctl_close(&ctl);
}
