/* SPDX-License-Identifier: ISC */
/*
 * Any packet from a peer. Byte 0: who we are; 1: who the peer is; 2: our state;
 * 3: how many fds come with it; the rest is the packet. What passes is what the
 * table allows; what does not leaves no fd behind.
 */
#include "proto/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLOOD = 12 }; /* more than a message may carry */

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void send_raw(int fd, const void *p, size_t n, unsigned nfds)
{
	struct iovec iov = { (void *)p, n };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int) * FLOOD)];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (nfds) {
		int fds[FLOOD];
		for (unsigned i = 0; i < FLOOD; i++)
			fds[i] = STDIN_FILENO;
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&ctl.h), fds, sizeof(int) * nfds);
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		must(errno == EMSGSIZE || errno == ENOBUFS);
}

static int lowest_free(void)
{
	int fd = fcntl(0, F_DUPFD, 0);
	if (fd >= 0)
		close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct msg m;
	int pair[2];
	if (size < 4)
		return 0;
	if (fcntl(0, F_GETFD) < 0) /* there must be something to send */
		must(open("/dev/null", O_RDONLY) == 0);
	must(msg_pair(pair, NULL) == 0);
	int before = lowest_free(); /* whatever is left over stands here */
	struct chan c = {
		.fd = pair[0], .self = data[0] % ROLE_COUNT, .peer = data[1] % ROLE_COUNT, .state = data[2] & STATE_ANY
	};
	send_raw(pair[1], data + 4, size - 4, data[3] % (FLOOD + 1));
	struct err e = { 0 };
	int r = msg_recv(&c, &m, &e);
	must(r == 1 || r == 0 || (r < 0 && *e.text));
	if (r == 1) {
		const struct proto_rule *rule = proto_rule(m.type);
		must(rule && m.len >= rule->min && m.len <= rule->max && m.nfds <= rule->fds);
		must(rule->from == c.peer && rule->to == c.self && (rule->states & c.state));
		must(m.len == size - 4 - 16 && !memcmp(m.body, data + 20, m.len));
		msg_close_fds(&m);
	}
	must(m.nfds == 0 && lowest_free() == before);
	close(pair[1]);
	chan_close(&c);
	return 0;
}
