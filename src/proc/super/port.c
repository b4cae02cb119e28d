/* SPDX-License-Identifier: ISC */
/*
 * What machines and networks share: rings, and the policy of all ports.
 *
 * super keeps the fd of every ring. When evidence dies, super itself sets the
 * rings' stop mark, so that the gateway drops everything from that moment on;
 * what is in them is drained by the next evidence process.
 */
#include "proc/super/hub.h"
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_DEFAULT (4u << 20)

int port_make_ring(struct super *s, int *ring_fd, int *wake_fd, struct err *e)
{
	uint32_t size = s->apply.wanted.evidence.ring_bytes;
	int ring = ring_create(size ? size : RING_DEFAULT, e);
	if (ring < 0)
		return ring;
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0) {
		int r = err_sys(e, -errno, "cannot make an eventfd");
		close(ring);
		return r;
	}
	*ring_fd = ring;
	*wake_fd = wake;
	return 0;
}

/* The policies of all honeypot ports in one sealed memfd. */
static int policy_memfd(struct super *s, uint32_t *count, struct err *e)
{
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the policy's memory");
	if (pwrite(fd, &s->model.pool, sizeof(s->model.pool), 0) != (ssize_t)sizeof(s->model.pool)) {
		close(fd);
		return err_set(e, -EIO, "cannot write the policy's memory");
	}
	uint32_t n = 0;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		const struct machine *m = &s->machines[i];
		if (!m->used || !m->port)
			continue;
		struct gw_policy_entry x = { .port = (uint16_t)i, .policy = m->hp.policy };
		if (pwrite(fd, &x, sizeof(x), (off_t)(sizeof(s->model.pool) + n * sizeof(x))) != (ssize_t)sizeof(x)) {
			close(fd);
			return err_set(e, -EIO, "cannot write the policy's memory");
		}
		n++;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		int r = err_sys(e, -errno, "cannot seal the policy");
		close(fd);
		return r;
	}
	*count = n;
	return fd;
}

int policy_send(struct super *s, struct seq *q, struct err *e)
{
	struct gw_policy p = { .generation = ++s->policy_generation };
	int fd = policy_memfd(s, &p.n, e);
	if (fd < 0)
		return fd;
	int r = seq_ask(s, q, &s->gateway, MSG_GW_POLICY, &p, sizeof(p), &fd, 1, 0, e);
	close(fd);
	return r;
}

static void stop_ring(int fd, int code)
{
	struct ring_reader r;
	if (fd < 0 || ring_reader_open(&r, fd, NULL) < 0)
		return;
	ring_stop(&r, code);
	ring_reader_close(&r);
}

void rings_stop(struct super *s, int code)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		stop_ring(s->machines[i].used ? s->machines[i].ring_fd : -1, code);
	for (unsigned i = 0; i < MODEL_NETS; i++)
		stop_ring(s->nets[i].used ? s->nets[i].ring_fd : -1, code);
}
