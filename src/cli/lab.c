/* SPDX-License-Identifier: ISC */
/*
 * `skep lab`: becomes the intruder. super hands out the lab's namespaces; this
 * process enters them and executes the command in its own place, so that
 * terminal, signals and exit status need no go-between.
 */
#include "cli/cmd.h"
#include "cli/ctl.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What kind of namespace the fd is tells its order and its number, whichever
 * way the honeynet was started. */
static int ns_type(int fd)
{
	return ioctl(fd, NS_GET_NSTYPE);
}

/* To enter one's own user namespace again is an error (setns(2)). */
static bool own_userns(int fd)
{
	struct stat a, b;
	return !fstat(fd, &a) && !stat("/proc/self/ns/user", &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int enter(const int *fds, int n, int type, struct err *e)
{
	int entered = 0;
	for (int i = 0; i < n; i++) {
		if (ns_type(fds[i]) != type || (type == CLONE_NEWUSER && own_userns(fds[i])))
			continue;
		if (setns(fds[i], type) < 0)
			return err_sys(e, -errno, "cannot enter the lab's %s namespace",
				       type == CLONE_NEWUSER  ? "user"
				       : type == CLONE_NEWNET ? "network"
							      : "mount");
		entered++;
	}
	return entered;
}

/* In the lab's user namespace this process has every capability, but its uid is
 * not 0 there: exec would take them all, and ping or nmap need them. */
static void keep_caps(void)
{
	if (geteuid() == 0)
		return;
	capng_get_caps_process();
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)cap))
			capng_update(CAPNG_ADD, CAPNG_INHERITABLE, (unsigned)cap);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

static int enter_all(const struct msg *m, struct err *e)
{
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The user namespace first: it gives the right to enter the others. */
	int user = enter(m->fds, m->nfds, CLONE_NEWUSER, e);
	int net = user < 0 ? user : enter(m->fds, m->nfds, CLONE_NEWNET, e);
	int mnt = net < 0 ? net : enter(m->fds, m->nfds, CLONE_NEWNS, e);
	if (mnt > 0 && (cwd < 0 || fchdir(cwd) < 0) && chdir("/") < 0)
		mnt = err_sys(e, -errno, "cannot go to a directory in the lab");
	if (cwd >= 0)
		close(cwd);
	if (mnt < 0)
		return mnt;
#ifndef MUTANT_CLI_LAB_NOT_ENTERED
	/* Without it the "intruder" would be on the real network. */
	if (net != 1)
		return err_set(e, -EPROTO, "super sent no network namespace for the lab: nothing was run");
#endif
	if (user > 0)
		keep_caps();
	return 0;
}

static int lab_enter(const char *name, bool engine, struct err *e)
{
	struct cli_ctl ctl;
	struct cmd_lab req = { .place = engine ? LAB_PLACE_ENGINE : LAB_PLACE_LAB };
	struct msg m;
	bool entered = false;
	int r = cli_ctl_open(&ctl, name, e);
	if (r < 0)
		return r;
	r = cli_ctl_send(&ctl, MSG_CMD_LAB, &req, sizeof(req), NULL, 0, e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_QUICK, e)) == 1) {
		int bad = 0;
		if (m.type == MSG_REP_FDS && MSG_BODY_AS(&m, rep_fds)->kind == 1 && !entered) {
			bad = enter_all(&m, e);
			entered = !bad;
		}
		msg_close_fds(&m);
		if (bad < 0)
			r = bad;
	}
	cli_ctl_close(&ctl);
	if (r == 0 && !entered)
		return err_set(e, -EPROTO, "honeynet %s gave no lab: is its uplink the lab?", name);
	return r;
}

int cmd_lab(struct cmd *c)
{
	struct err e = { 0 };
	if (lab_enter(c->args[0], cmd_flag(c, "engine"), &e) < 0)
		return cmd_fail_err(c, &e, NULL);
	fflush(c->out);
	fflush(c->err);
	signal(SIGPIPE, SIG_DFL);
	execvp(c->args[1], c->args + 1);
	int code = errno;
	cmd_fail(c, "cannot run %s in the lab: %s", c->args[1], strerror(code));
	return code == ENOENT ? 127 : 126;
}
