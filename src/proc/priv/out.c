/* SPDX-License-Identifier: ISC */
/* Answers to super. While it does not read they wait here, in order, and no
 * further verb is carried out, so that what waits is bounded by what one verb
 * and the deaths of children can produce. */
#include "base/log.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OUT_MAX 65536u

struct out_msg {
	struct out_msg *next;
	uint32_t type;
	uint64_t req;
	size_t len;
	int nfds;
	int fds[4];
	uint8_t body[];
};

static void free_msg(struct out_msg *o)
{
	for (int i = 0; i < o->nfds; i++)
		close(o->fds[i]);
	free(o);
}

static void pop(struct priv *p)
{
	struct out_msg *o = p->out_head;
	p->out_head = o->next;
	if (!p->out_head)
		p->out_tail = &p->out_head;
	p->out_n--;
	free_msg(o);
}

void out_drop(struct priv *p)
{
	while (p->out_head)
		pop(p);
}

static void gone(struct priv *p, int r)
{
	struct err e;
	out_drop(p);
	err_sys(&e, r, "cannot answer super");
	end_begin(p, 1, &e);
}

static int queue(struct priv *p, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds)
{
	struct out_msg *o = p->out_n < OUT_MAX ? malloc(sizeof(*o) + len) : NULL;
	if (!o)
		return -ENOBUFS;
	*o = (struct out_msg){ .type = type, .req = req, .len = len };
	memcpy(o->body, body, len);
	for (; o->nfds < nfds; o->nfds++) {
		/* Our caller closes its own. */
		int fd = fcntl(fds[o->nfds], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			int r = -errno;
			free_msg(o);
			return r;
		}
		o->fds[o->nfds] = fd;
	}
	*p->out_tail = o;
	p->out_tail = &o->next;
	p->out_n++;
	ev_mod(&p->ev, &p->commands, EPOLLOUT);
	return 0;
}

void out_send(struct priv *p, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds)
{
	if (p->super.fd < 0)
		return;
	int r = p->out_head ? -EAGAIN : msg_send(&p->super, type, req, body, len, fds, nfds);
	if (r == -EAGAIN)
		r = queue(p, type, req, body, len, fds, nfds);
	if (r < 0)
		gone(p, r);
}

void out_done(struct priv *p, uint64_t req, const struct priv_done *d, const int *fds, int nfds)
{
	out_send(p, MSG_PRIV_DONE, req, d, sizeof(*d), fds, nfds);
}

bool out_flush(struct priv *p)
{
	while (p->out_head) {
		struct out_msg *o = p->out_head;
		int r = msg_send(&p->super, o->type, o->req, o->body, o->len, o->fds, o->nfds);
		if (r == -EAGAIN)
			return false;
		if (r < 0) {
			gone(p, r);
			return false;
		}
		pop(p);
	}
	ev_mod(&p->ev, &p->commands, EPOLLIN);
	return true;
}
