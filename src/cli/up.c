/* SPDX-License-Identifier: ISC */
/*
 * `skep up`. In this order, so that two of them, a `down` in between, Ctrl-C or
 * a crash at any point leave a honeynet that either runs or is gone:
 *
 *   1. the file is parsed and checked; nothing happens if it is bad;
 *   2. run/.up-NAME is locked: one `up` at a time, the next one waits;
 *   3. if super answers, that is the running honeynet; else run/NAME/lock is
 *      taken and goes to priv, which holds it as long as anything runs;
 *   4. CMD_APPLY; super makes the change or undoes it;
 *   5. if this was a first start and it failed, the honeynet is ended again.
 */
#include "cli/down.h"
#include "cli/engine_rules.h"
#include "cli/load.h"
#include "cli/nets.h"
#include "cli/notify.h"

#include "base/ev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRIV_READY_MS 30000
#define BUSY_MS 60000
#define UP_WAIT_MS 600000

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* ---- one `up` at a time --------------------------------------------------- */

struct up_lock {
	int fd;
	char path[DIRS_PATH + NAME_CAP + 16];
};

static int up_lock_take(const struct cmd *c, struct up_lock *l, const char *name, struct err *e)
{
	char run[DIRS_PATH];
	int r = dirs_run(run, e);
	if (!r)
		r = dirs_make(run, e);
	if (r < 0)
		return r;
	snprintf(l->path, sizeof(l->path), "%s/.up-%s", run, name);
	bool told = false;
	for (uint64_t until = ev_monotonic() + UP_WAIT_MS * EV_MS;;) {
		struct stat mine, now;
		l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd < 0)
			return err_sys(e, -errno, "cannot open %s", l->path);
#ifdef MUTANT_CLI_UP_NOT_ALONE
		return 0;
#endif
		if (flock(l->fd, LOCK_EX | LOCK_NB) == 0) {
			if (!fstat(l->fd, &mine) && !stat(l->path, &now) && mine.st_ino == now.st_ino)
				return 0;
			close(l->fd); /* removed by the one before us */
			continue;
		}
		close(l->fd);
		if (interrupted)
			return err_set(e, -EINTR, "interrupted while another `skep up` of %s goes on", name);
		if (ev_monotonic() > until)
			return err_set(e, -ETIMEDOUT, "another `skep up` of %s goes on and on: end it, then try again",
				       name);
		if (!told)
			cmd_progress(c, "another `skep up` of %s goes on: waiting for it", name);
		told = true;
		usleep(100000);
	}
}

static void up_lock_drop(struct up_lock *l)
{
	unlink(l->path);
	close(l->fd);
}

/* ---- priv ----------------------------------------------------------------- */

static _Noreturn void exec_priv(int status, int lock, const char *name)
{
	char *argv[] = { (char *)"skep", (char *)"--role=priv", (char *)name, NULL };
	static const int signals[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	umask(077);
	setsid();
	/* Out of the way of 3 and 4 first, whatever numbers these two have. */
	int s = fcntl(status, F_DUPFD, 10), l = fcntl(lock, F_DUPFD, 10);
	int null = open("/dev/null", O_RDWR);
	if (s >= 0 && l >= 0 && null >= 0 && chdir("/") == 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 &&
	    dup2(s, 3) == 3 && dup2(l, 4) == 4 && close_range(5, ~0u, 0) == 0)
		execv("/proc/self/exe", argv);
	dprintf(3, "error: cannot execute skep again: %s\n", strerror(errno));
	_exit(1);
}

/* Its one line: "ready" or "error: TEXT". */
static int priv_verdict(int fd, const char *name, struct err *e)
{
	char line[600];
	size_t n = 0;
	uint64_t until = ev_monotonic() + PRIV_READY_MS * EV_MS;
	while (n < sizeof(line) - 1 && !memchr(line, '\n', n)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (interrupted)
			return err_set(e, -EINTR, "interrupted");
		if (ev_monotonic() > until)
			return err_set(e, -ETIMEDOUT, "priv did not become ready within %d s", PRIV_READY_MS / 1000);
		if (poll(&p, 1, 100) <= 0)
			continue;
		ssize_t r = read(fd, line + n, sizeof(line) - 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	line[n] = 0;
	char *nl = strchr(line, '\n');
	if (nl)
		*nl = 0;
	if (nl && !strcmp(line, "ready"))
		return 0;
	if (!strncmp(line, "error: ", 7))
		return err_set(e, -ECANCELED, "%s", line + 7);
	char run[DIRS_PATH] = "";
	dirs_run(run, NULL);
	return err_set(e, -ECANCELED, "priv ended before it was ready: see %.200s/%s/log, and `skep doctor`", run,
		       name);
}

/* Until the child is gone; killed if it does not go by itself. */
static void reap(pid_t pid)
{
	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return;
		usleep(20000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int priv_start(const char *name, int lock, struct err *e)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		exec_priv(p[1], lock, name);
	close(p[1]);
	int r = pid < 0 ? err_sys(e, -errno, "cannot fork") : priv_verdict(p[0], name, e);
	close(p[0]);
	if (r < 0 && pid > 0) {
		/* As its parent we may end it: all that it started goes with it. */
		kill(pid, SIGTERM);
		reap(pid);
	}
	return r;
}

/* ---- apply ---------------------------------------------------------------- */

/* super says nothing while machines boot: each has its own limit, twice. */
static int patience(const struct model *m)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		if (m->honeypots[i].boot_seconds > most)
			most = m->honeypots[i].boot_seconds;
	return most > 100000 ? INT32_MAX : CLI_CTL_LONG + (int)most * 2000;
}

static int apply(const struct cmd *c, struct cli_ctl *ctl, const struct loaded *l, int rules, struct err *e)
{
	struct cmd_apply req = { 0 };
	struct msg m;
	int fds[3] = { model_seal(l->model, e), -1, rules };
	if (fds[0] < 0)
		return fds[0];
	fds[1] = load_seal_source(l, e);
	int r = fds[1];
	if (r >= 0) {
		r = cli_ctl_send(ctl, MSG_CMD_APPLY, &req, sizeof(req), fds, rules < 0 ? 2 : 3, e);
		close(fds[1]);
	}
	close(fds[0]);
	while (r >= 0 && (r = cli_ctl_next(ctl, &m, patience(l->model), e)) == 1) {
		const struct rep_progress *p = MSG_BODY_AS(&m, rep_progress);
		if (m.type == MSG_REP_PROGRESS)
			cmd_progress(c, "[%u/%u] %.*s", p->step, p->steps, (int)strnlen(p->text, sizeof(p->text)),
				     p->text);
		msg_close_fds(&m);
	}
	return r;
}

/* Connects to the running honeynet, or starts one. *fresh says which. */
static int reach(const struct cmd *c, const char *name, struct cli_ctl *ctl, bool *fresh, struct err *e)
{
	bool told = false;
	uint64_t until = ev_monotonic() + BUSY_MS * EV_MS;
	int r;
	while ((r = cli_ctl_open(ctl, name, e)) < 0) {
		if (r != -ENOENT && r != -ECONNREFUSED)
			return r;
		if (*fresh) /* priv said ready, and yet nobody listens */
			return err_set(e, -ECONNREFUSED,
				       "the honeynet's super ended at once: see the log in its run directory");
		int lock = net_lock(name, true, e);
		if (lock >= 0) {
			*fresh = true;
			cmd_progress(c, "starting honeynet %s", name);
			r = priv_start(name, lock, e);
			close(lock);
			if (r < 0)
				return r;
			continue;
		}
		if (lock != -EWOULDBLOCK)
			return lock;
		if (interrupted)
			return err_set(e, -EINTR, "interrupted");
		if (ev_monotonic() > until)
			return err_set(e, -EBUSY,
				       "honeynet %s holds its lock but does not answer: `skep down --force %s`", name,
				       name);
		if (!told)
			cmd_progress(c, "%s just ends: waiting for it", name);
		told = true;
		usleep(100000);
	}
	return 0;
}

/* After a start that failed: everything goes. */
static int undo(const struct cmd *c, const char *name)
{
	struct err e = { 0 };
#ifdef MUTANT_CLI_UP_NO_UNDO
	return CMD_FAILED;
#endif
	cmd_note(c, "ending honeynet %s again", name);
	int r = down_honeynet(c, name, true, true, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	cmd_note(c, "honeynet %s is gone; its evidence stays", name);
	return CMD_FAILED;
}

static int up(const struct cmd *c, const struct loaded *l, int rules)
{
	const char *name = l->model->name;
	struct cli_ctl ctl;
	struct err e = { 0 };
	bool fresh = false;
	uint64_t began = ev_monotonic();
	int r = reach(c, name, &ctl, &fresh, &e);
	if (r < 0) {
		cmd_fail_err(c, &e, "up %s", name);
		if (fresh)
			net_sweep(name, true);
		return CMD_FAILED;
	}
	ctl.stop = &interrupted;
	r = apply(c, &ctl, l, rules, &e);
	cli_ctl_close(&ctl);
	if (r == 0) {
		double took = (double)(ev_monotonic() - began) / EV_SEC;
		if (e.text[0])
			cmd_note(c, "%s", e.text);
		cmd_note(c,
			 "honeynet %s is up (%.1f s): `skep ps %s` shows it, `skep lab %s -- CMD` plays the intruder",
			 name, took, name, name);
		notify_start(c, l->model);
		return CMD_OK;
	}
	cmd_fail_err(c, &e, "up %s", name);
	if (fresh)
		return undo(c, name);
	if (r == -EINTR)
		cmd_note(c, "honeynet %s goes on running; its super finishes the change or undoes it: see `skep ps %s`",
			 name, name);
	return CMD_FAILED;
}

int cmd_up(struct cmd *c)
{
	static struct loaded l;
	struct err e = { 0 };
	struct up_lock lock;
	struct sigaction sa = { .sa_handler = on_signal }, was_int, was_term;
	const char *path = c->args[0];
	int r = load_file(path, &l, &e);
	if (r < 0) {
		if (l.diag.n)
			load_print_diag(c->err, path, &l.diag);
		else
			cmd_fail_err(c, &e, NULL);
		load_free(&l);
		return CMD_FAILED;
	}
	/* Before anything starts: a file that is not there is a mistake of the operator's. */
	int rules = engine_rules_seal(l.model, path, &e);
	if (rules < -1) {
		load_free(&l);
		return cmd_fail_err(c, &e, NULL);
	}
	interrupted = 0;
	sigaction(SIGINT, &sa, &was_int);
	sigaction(SIGTERM, &sa, &was_term);
	r = up_lock_take(c, &lock, l.model->name, &e);
	if (r < 0) {
		r = cmd_fail_err(c, &e, NULL);
	} else {
		r = up(c, &l, rules);
		up_lock_drop(&lock);
	}
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
	if (rules >= 0)
		close(rules);
	load_free(&l);
	return r;
}
