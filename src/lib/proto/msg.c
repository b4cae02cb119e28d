/* SPDX-License-Identifier: ISC */
#include "proto/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct wire {
	uint32_t type, len;
	uint64_t req;
};

int msg_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	return 0;
}

int msg_send(struct chan *c, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds)
{
	if (c->fd < 0)
		return -EPIPE;
	const struct proto_rule *r = proto_rule(type);
	if (!r || nfds > MSG_FDS || len > MSG_BODY ||
	    proto_check(type, (uint32_t)len, nfds, c->self, c->peer, r->states, NULL) < 0)
		return -EPROTO;
	struct wire w = { .type = type, .len = (uint32_t)len, .req = req };
	struct iovec iov[2] = { { &w, sizeof(w) }, { (void *)body, len } };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS)];
	} ctl;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	if (nfds) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
		struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)nfds);
	}
	ssize_t n;
	do
		n = sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int msg_send_wait(struct chan *c, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds,
		  int timeout_ms)
{
	for (;;) {
		int r = msg_send(c, type, req, body, len, fds, nfds);
		if (r != -EAGAIN)
			return r;
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };
		int n = poll(&p, 1, timeout_ms);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* Collects every fd that came, also those beyond MSG_FDS, which are closed: a
 * sender must not be able to fill our table. */
static bool collect_fds(struct msghdr *mh, struct msg *m)
{
	bool over = mh->msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h; h = CMSG_NXTHDR(mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (m->nfds < MSG_FDS) {
				m->fds[m->nfds++] = fd;
			} else {
				close(fd);
				over = true;
			}
		}
	}
	return !over;
}

int msg_recv(struct chan *c, struct msg *m, struct err *e)
{
	if (c->fd < 0)
		return -EPIPE;
	struct wire w;
	struct iovec iov[2] = { { &w, sizeof(w) }, { m->body, sizeof(m->body) } };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS)];
	} ctl;
	struct msghdr mh = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)
	};
	ssize_t n;
	bool again = true;
	for (;;) {
		mh.msg_controllen = sizeof(ctl.buf);
		n = recvmsg(c->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 0 || !again || mh.msg_controllen)
			break;
			/*
			 * Not yet the end: the kernel (net/unix/af_unix.c, __unix_dgram_recvmsg) finds
			 * the queue empty first and looks for the peer's shutdown afterwards. What the
			 * peer sent and then closed between the two is still in the queue. After the
			 * shutdown nothing can be added, so that the second answer is the truth.
			 */
#ifdef MUTANT_MSG_EOF_EARLY
		break;
#endif
		again = false;
	}
	m->nfds = 0;
	if (n < 0) {
		if (errno == EAGAIN && again)
			return 0;
		/* EAGAIN after an empty packet: a peer that sends what is no message. */
		return err_set(e, errno == ECONNRESET || errno == EAGAIN ? -EPIPE : -errno, "%s is gone",
			       role_name(c->peer));
	}
	/* Before anything else, since fds come with an empty packet too. */
	bool fds_ok = collect_fds(&mh, m);
	if (n == 0) {
		msg_close_fds(m);
		return err_set(e, -EPIPE, "%s is gone", role_name(c->peer));
	}
	m->req = (size_t)n >= sizeof(w) ? w.req : 0;
	int r = 0;
	if ((size_t)n < sizeof(w) || (mh.msg_flags & MSG_TRUNC) || !fds_ok || w.len != (size_t)n - sizeof(w))
		r = err_set(e, -EPROTO, "broken message from %s", role_name(c->peer));
	else
		r = proto_check(w.type, w.len, m->nfds, c->peer, c->self, c->state, e);
	if (r < 0) {
#ifndef MUTANT_MSG_KEEP_FDS
		msg_close_fds(m);
#endif
		return r;
	}
	m->type = w.type;
	m->len = w.len;
	return 1;
}

int msg_recv_wait(struct chan *c, struct msg *m, int timeout_ms, struct err *e)
{
	for (;;) {
		int r = msg_recv(c, m, e);
		if (r)
			return r;
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int n = poll(&p, 1, timeout_ms);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, -errno, "cannot wait for %s", role_name(c->peer));
	}
}

int msg_take_fd(struct msg *m, int i)
{
	if (i < 0 || i >= m->nfds)
		return -1;
	int fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

void msg_close_fds(struct msg *m)
{
	for (int i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->nfds = 0;
}

void chan_close(struct chan *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}
