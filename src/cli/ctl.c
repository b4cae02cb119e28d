/* SPDX-License-Identifier: ISC */
#include "cli/ctl.h"

#include "base/ev.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cli_ctl_open(struct cli_ctl *c, const char *net, struct err *e)
{
	char run[DIRS_PATH], dir[DIRS_PATH + NAME_CAP + 8];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	if (!text_is_name(net))
		return err_set(e, -EINVAL, "\"%s\" is not a honeynet's name", net);
	int r = dirs_run(run, e);
	if (r < 0)
		return r;
	snprintf(dir, sizeof(dir), "%s/%s", run, net);
	/* By way of the directory's fd: sun_path holds 107 bytes only. */
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_set(e, -errno, "honeynet %s does not run: start it with `skep up FILE`%s", net,
			       errno == EACCES ? " (its directory belongs to another user)" : "");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/ctl", dirfd);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : 0;
	uint64_t until = ev_monotonic() + CLI_CTL_CONNECT * EV_MS;
	/* EAGAIN: super's backlog is full for the moment. */
	while (!r && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || ev_monotonic() > until)
			r = -errno;
		else
			usleep(20000);
	}
	close(dirfd);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		if (r == -ENOENT || r == -ECONNREFUSED)
			return err_set(e, r, "honeynet %s does not run: start it with `skep up FILE`", net);
		if (r == -EAGAIN)
			return err_set(e, r,
				       "honeynet %s does not take connections: its super hangs; end it with `skep down "
				       "--force %s`",
				       net, net);
		return err_sys(e, r, "cannot reach honeynet %s", net);
	}
	*c = (struct cli_ctl){ .chan = { fd, ROLE_CLI, ROLE_SUPER, STATE_RUN } };
	text_copy(c->net, sizeof(c->net), net);
	/* Ids must differ between operators at the same honeynet: events carry them. */
	if (getrandom(&c->req, sizeof(c->req), 0) != sizeof(c->req))
		c->req = ev_realtime() ^ (uint64_t)getpid() << 40;
	return 0;
}

void cli_ctl_close(struct cli_ctl *c)
{
	chan_close(&c->chan);
}

static int gone(const struct cli_ctl *c, int r, struct err *e)
{
	if (r == -EPIPE)
		return err_set(e, r, "the super of honeynet %s ended: see what is left with `skep ps`", c->net);
	return r;
}

int cli_ctl_send(struct cli_ctl *c, uint32_t type, const void *body, size_t len, const int *fds, int nfds,
		 struct err *e)
{
	if (!++c->req) /* 0 means none */
		c->req = 1;
	int r = msg_send_wait(&c->chan, type, c->req, body, len, fds, nfds, CLI_CTL_QUICK);
	if (r == -EPIPE)
		return gone(c, r, e);
	if (r < 0)
		return err_sys(e, r, "cannot send to the super of honeynet %s", c->net);
	return 0;
}

/* One message, whatever it is; in slices, so that a signal is seen. */
static int receive(struct cli_ctl *c, struct msg *m, int timeout_ms, struct err *e)
{
	uint64_t until = ev_monotonic() + (uint64_t)timeout_ms * EV_MS;
	for (;;) {
		if (c->stop && *c->stop)
			return err_set(e, -EINTR, "interrupted");
		uint64_t now = ev_monotonic();
		if (now >= until)
			return err_set(e, -ETIMEDOUT,
				       "the super of honeynet %s does not answer: try again, or end it with `skep down "
				       "--force %s`",
				       c->net, c->net);
		uint64_t left = (until - now) / EV_MS + 1;
		int r = msg_recv_wait(&c->chan, m, left < 100 ? (int)left : 100, e);
		if (r < 0)
			return gone(c, r, e);
		if (r)
			return 1;
	}
}

int cli_ctl_next(struct cli_ctl *c, struct msg *m, int timeout_ms, struct err *e)
{
	for (;;) {
		int r = receive(c, m, timeout_ms, e);
		if (r < 0)
			return r;
		if (m->req == c->req)
			break;
		/* The tail of an earlier request. */
		msg_close_fds(m);
	}
	if (m->type != MSG_REP_END)
		return 1;
	const struct rep_end *end = MSG_BODY_AS(m, rep_end);
	int status = end->status > 0 ? -EPROTO : end->status;
	int len = (int)strnlen(end->text, sizeof(end->text));
	if (status < 0 && !len)
		return err_sys(e, status, "honeynet %s refused", c->net);
	err_set(e, status, "%.*s", len, end->text);
	return status;
}

int cli_ctl_call(struct cli_ctl *c, uint32_t type, const void *body, size_t len, int timeout_ms, struct err *e)
{
	struct msg m;
	int r = cli_ctl_send(c, type, body, len, NULL, 0, e);
	if (r < 0)
		return r;
	while ((r = cli_ctl_next(c, &m, timeout_ms, e)) == 1)
		msg_close_fds(&m);
	return r;
}
