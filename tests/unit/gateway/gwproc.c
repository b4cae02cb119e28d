/* SPDX-License-Identifier: ISC */
#include "gwproc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(x)                                                                                                        \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno));                   \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

void gwproc_start(struct gwproc *x, const char *path)
{
	int pair[2];
	memset(x, 0, offsetof(struct gwproc, msg));
	x->req = 100;
	MUST(msg_pair(pair, NULL) == 0);
	x->pid = fork();
	MUST(x->pid >= 0);
	if (x->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pair[1] == ROLE_FD_CONTROL)
			fcntl(pair[1], F_SETFD, 0);
		else if (dup2(pair[1], ROLE_FD_CONTROL) < 0)
			_exit(126);
		execl(path, "skep", "--role=gateway", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	x->chan = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_GATEWAY, .state = STATE_RUN };
	x->seen = x->down = 0;
}

static bool event(struct gwproc *x)
{
	if (x->msg.type == MSG_GW_SEEN) {
		x->seen++;
		x->seen_port = MSG_BODY_AS(&x->msg, gw_seen)->port;
	} else if (x->msg.type == MSG_GW_PORT_DOWN) {
		x->down++;
		x->down_port = MSG_BODY_AS(&x->msg, gw_seen)->port;
	} else {
		return false;
	}
	return true;
}

int gwproc_command(struct gwproc *x, uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	struct err e;
	MUST(msg_send(&x->chan, type, ++x->req, body, n, fds, nfds) == 0);
	for (;;) {
		int r = msg_recv_wait(&x->chan, &x->msg, 20000, &e);
		if (r != 1)
			fprintf(stderr, "gateway: %d %s\n", r, r ? e.text : "no answer");
		MUST(r == 1);
		if (event(x))
			continue;
		if (x->msg.type == MSG_GW_PORT_STATS)
			continue;
		MUST(x->msg.type == MSG_GW_DONE && x->msg.req == x->req);
		return MSG_BODY_AS(&x->msg, done)->status;
	}
}

int gwproc_port(struct gwproc *x, const struct gw_port *conf, int fd, uint32_t ring, struct ring_reader *r)
{
	int fds[3] = { fd, ring_create(ring, NULL), eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	MUST(fds[1] >= 0 && fds[2] >= 0);
	MUST(ring_reader_open(r, fds[1], NULL) == 0);
	int status = gwproc_command(x, MSG_GW_PORT, conf, sizeof(*conf), fds, 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	return status;
}

int gwproc_policy(struct gwproc *x, const struct gw_policy_entry *entries, uint32_t n)
{
	struct gw_policy body = { .n = n, .generation = 1 };
	static const struct policy_pool empty;
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(fd >= 0 && write(fd, &empty, sizeof(empty)) == sizeof(empty) &&
	     write(fd, entries, n * sizeof(*entries)) == (ssize_t)(n * sizeof(*entries)));
	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	int status = gwproc_command(x, MSG_GW_POLICY, &body, sizeof(body), &fd, 1);
	close(fd);
	return status;
}

void gwproc_events(struct gwproc *x, int ms)
{
	struct err e;
	while (msg_recv_wait(&x->chan, &x->msg, ms, &e) == 1)
		MUST(event(x));
}

int gwproc_wait(struct gwproc *x)
{
	int status = 0;
	while (waitpid(x->pid, &status, 0) < 0)
		MUST(errno == EINTR);
	chan_close(&x->chan);
	return status;
}

struct gw_port gwproc_conf(uint16_t id, uint8_t kind)
{
	struct gw_port c = { .port = id,
			     .kind = kind,
			     .role = id >= MODEL_HONEYPOTS ? PORT_ROLE_UPLINK : PORT_ROLE_HONEYPOT };
	if (c.role == PORT_ROLE_UPLINK) {
		snprintf(c.name, sizeof(c.name), "uplink");
		return c;
	}
	snprintf(c.name, sizeof(c.name), "pot%u", id);
	craft_mac(world_mac(id), c.mac);
	c.naddrs = 1;
	c.addrs[0] = (struct addr){ .family = 4, .plen = 24, .b = { 192, 0, 2, (uint8_t)(10 + id) } };
	return c;
}
