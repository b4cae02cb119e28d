/* SPDX-License-Identifier: ISC */
#include "evproc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

void evproc_start(struct evproc *x, const char *skep, int dirfd)
{
	int pair[2];
	if (msg_pair(pair, NULL) < 0)
		die("socketpair");
	x->pid = fork();
	if (!x->pid) {
		int c = fcntl(pair[1], F_DUPFD, 10), d = fcntl(dirfd, F_DUPFD, 10);
		dup2(c, 3);
		dup2(d, 4);
		close_range(5, ~0u, 0);
		execl(skep, skep, "--role=evidence", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	x->chan = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
}

void evproc_ask(struct evproc *x, uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	struct err e = { 0 };
	if (msg_send_wait(&x->chan, type, 1, body, n, fds, nfds, 1000) < 0)
		die("send");
	do {
		if (msg_recv_wait(&x->chan, &x->msg, 60000, &e) <= 0)
			die("no answer");
		if (x->msg.type == MSG_EV_STATE)
			fprintf(stderr, "%s\n", MSG_BODY_AS(&x->msg, ev_state)->text);
	} while (x->msg.type != MSG_EV_DONE);
	if (MSG_BODY_AS(&x->msg, done)->status)
		fprintf(stderr, "%s\n", MSG_BODY_AS(&x->msg, done)->text);
}
