/* SPDX-License-Identifier: ISC */
#include "cli/down.h"
#include "cli/nets.h"

#include "base/ev.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FORCE_MS 8000  /* of silence, with --force */
#define GRACE_MS 20000 /* from super's last word to the lock's release */

/* priv holds the lock and is the last to end: its release is the proof that no
 * process of the honeynet is left. */
static int wait_unlocked(const char *name, unsigned timeout_ms, struct err *e)
{
	uint64_t until = ev_monotonic() + timeout_ms * EV_MS;
	for (;;) {
		int fd = net_lock(name, false, e);
		if (fd >= 0)
			close(fd);
		if (fd >= 0 || fd == -ENOENT)
			return 0;
		if (fd != -EWOULDBLOCK)
			return fd;
		if (ev_monotonic() > until)
			return err_set(e, -ETIMEDOUT, "honeynet %s does not end: try `skep down --force %s`", name,
				       name);
		usleep(20000);
	}
}

/*
 * For a super that hangs: ends priv, whose death takes all others along. priv
 * made the listening socket, so that the kernel says which process it is
 * (SO_PEERCRED, unix(7)); its command line is checked, since the number may be
 * another's by now.
 */
static int end_priv(const struct cli_ctl *ctl, const char *name, struct err *e)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char path[32], line[128] = "", want[64];
	if (getsockopt(ctl->chan.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0)
		return err_set(e, -ESRCH, "honeynet %s does not answer, and its priv cannot be found", name);
	int pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", cred.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
	if (fd >= 0)
		close(fd);
	int want_len = snprintf(want, sizeof(want), "skep%c--role=priv%c%s", 0, 0, name) + 1;
	int r = 0;
	if (pidfd < 0 || n != want_len || memcmp(line, want, (size_t)want_len) != 0)
		r = err_set(e, -ESRCH, "honeynet %s does not answer, and its priv cannot be found", name);
	else if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		r = err_sys(e, -errno, "cannot end priv of honeynet %s, process %d", name, cred.pid);
	if (pidfd >= 0)
		close(pidfd);
	return r;
}

int down_honeynet(const struct cmd *c, const char *name, bool force, bool keep_log, struct err *e)
{
	struct cli_ctl ctl;
	struct cmd_down req = { .force = force };
	struct msg m;
	enum net_life life = net_life(name);
	/* A start that is not through yet has no socket: wait for either. */
	for (int i = 0; life == NET_BUSY && i < 200; i++) {
		if (i == 10)
			cmd_progress(c, "%s starts or ends just now: waiting for it", name);
		usleep(50000);
		life = net_life(name);
	}
	if (life == NET_STALE || life == NET_ENDED) {
		net_sweep(name, true);
		return 1;
	}
	if (life == NET_BUSY)
		return err_set(e, -EBUSY,
			       "honeynet %s neither answers nor ends: look for its processes with `ps ax | grep -- "
			       "'--role=priv %s'` and end that one",
			       name, name);
	int r = cli_ctl_open(&ctl, name, e);
	if (r < 0)
		return r;
	r = cli_ctl_send(&ctl, MSG_CMD_DOWN, &req, sizeof(req), NULL, 0, e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, force ? FORCE_MS : CLI_CTL_LONG, e)) == 1) {
		const struct rep_progress *p = MSG_BODY_AS(&m, rep_progress);
		if (m.type == MSG_REP_PROGRESS)
			cmd_progress(c, "%.*s", (int)strnlen(p->text, sizeof(p->text)), p->text);
		msg_close_fds(&m);
	}
	if (r == -ETIMEDOUT && force) {
		cmd_note(c, "honeynet %s does not answer: its processes are killed", name);
		r = end_priv(&ctl, name, e);
	}
	cli_ctl_close(&ctl);
	/* Gone in the middle of it is what was asked for. */
	if (r < 0 && r != -EPIPE)
		return r;
	r = wait_unlocked(name, GRACE_MS, e);
	if (!r)
		net_sweep(name, keep_log);
	return r;
}

int cmd_down(struct cmd *c)
{
	const char *name = c->args[0];
	struct err e = { 0 };
	if (!text_is_name(name))
		return cmd_fail(c, "\"%s\" is not a honeynet's name", name);
	bool known = net_known(name);
	int r = down_honeynet(c, name, cmd_flag(c, "force"), false, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	if (r == 1 && !known)
		return cmd_fail(c, "no honeynet %s: `skep ps` lists those that run", name);
	cmd_progress_end(c);
	cmd_note(c, r ? "honeynet %s does not run" : "honeynet %s is down", name);
	return CMD_OK;
}
