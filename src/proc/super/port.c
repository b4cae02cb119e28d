/* SPDX-License-Identifier: ISC */
/*
 * What machines and networks share: rings, and the policy of all ports.
 *
 * super keeps the fd of every ring. When evidence dies, super itself sets the
 * rings' stop mark, so that the gateway drops everything from that moment on;
 * what is in them is drained by the next evidence process.
 */
#include "proc/super/engine.h"
#include "proc/super/hub.h"
#include "proc/super/sink.h"
#include "proc/super/trigger.h"
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

/*
 * Rules, prefixes and keywords stand in the pool of one model, and a policy's
 * spans are of use with that pool only. So nothing is ever sent but what
 * s->policies, one model, says: a honeypot that it does not have gets no policy,
 * and drops everything until the step that takes the wanted model's policies.
 */
static bool entry_of(const struct super *s, const struct machine *m, struct gw_policy_entry *x)
{
	const struct model *from = s->policies;
	const struct honeypot *hp = from->magic ? model_honeypot(from, m->hp.name) : NULL;
	if (!hp)
		return false;
	*x = (struct gw_policy_entry){ .port = (uint16_t)machine_slot(s, m),
				       .honeypot = (uint16_t)(hp - from->honeypots),
				       .network = (uint16_t)hp->net,
				       .policy = *tighten_policy(s, m, hp) };
	return true;
}

static int put(int fd, const void *p, size_t n, off_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = pwrite(fd, (const char *)p + done, n - done, at + (off_t)done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		done += (size_t)w;
	}
	return 0;
}

/* The policies of all honeypot ports in one sealed memfd, behind their pool. */
static int policy_memfd(struct super *s, uint32_t *count, struct err *e)
{
	const struct policy_pool *pool = &s->policies->pool;
#ifdef MUTANT_POLICY_WRONG_POOL
	pool = &s->model.pool;
#endif
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the policy's memory");
	int r = put(fd, pool, sizeof(*pool), 0);
	uint32_t n = 0;
	for (unsigned i = 0; !r && i < MODEL_HONEYPOTS; i++) {
		const struct machine *m = &s->machines[i];
		struct gw_policy_entry x;
		if (!m->used || !m->port || !entry_of(s, m, &x))
			continue;
		r = put(fd, &x, sizeof(x), (off_t)(sizeof(*pool) + n++ * sizeof(x)));
	}
	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	if (r) {
		close(fd);
		return err_sys(e, r, "cannot write and seal the policy's memory");
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
	if (s->pool_new) {
		/* From here on rules and keywords have other indexes. */
		s->pool_new = false;
		s->pool_generation = p.generation;
	}
	int r = seq_ask(s, q, &s->gateway, MSG_GW_POLICY, &p, sizeof(p), &fd, 1, 0, e);
	close(fd);
	return r;
}

void policy_from(struct super *s, const struct model *m)
{
	s->pool_new |= s->policies != m;
	s->policies = m;
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
	engine_rings_stop(s, stop_ring, code);
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		stop_ring(s->machines[i].used ? s->machines[i].ring_fd : -1, code);
	for (unsigned i = 0; i < MODEL_NETS; i++)
		stop_ring(s->nets[i].used ? s->nets[i].ring_fd : -1, code);
	sinks_rings_stop(s, stop_ring, code);
}
