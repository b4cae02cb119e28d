/* SPDX-License-Identifier: ISC */
/*
 * Probes on a machine's kernel: the one thing of introspection that needs
 * privilege. The programs are compiled in (src/bpf); what comes from super is a
 * sealed plan, which is checked number by number, and by lib/probe against the
 * file that the VMM executes. The programs can read that VMM's memory and nothing
 * else. What leaves this process are the two maps that the introspect process maps.
 *
 * In two parts, since the host's verifier takes half a second: PRIV_PROBE loads
 * before the VMM is there, PRIV_VMM attaches when it has been executed, so that
 * the guest's first program is seen.
 */
#include "probe/probe.h"

#include "base/log.h"
#include "guest/plan.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int verb_probe(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_probe *q = MSG_BODY_AS(m, priv_probe);
	struct hook_plan plan;
	int x;
	if (q->slot >= MODEL_HONEYPOTS)
		return err_set(e, -ERANGE, "no slot %u", q->slot);
	if (!p->root)
		return err_set(e, -EPERM, "probes need a start as root");
	if (p->vmms[q->slot].pid)
		return err_set(e, -EBUSY, "the machine of slot %u runs already", q->slot);
	if (m->nfds != 1)
		return err_set(e, -EINVAL, "probes need one plan, got %d fds", m->nfds);
	if ((x = guest_plan_load(m->fds[0], &plan, e)) < 0)
		return x;
	probe_end(p, q->slot);
	if ((x = probe_load(&plan, &p->probes[q->slot], e)) < 0)
		return x;
	const struct probe *b = p->probes[q->slot];
	const int maps[] = { probe_ring_fd(b), probe_state_fd(b) };
	for (int i = 0; i < 2; i++) {
		int fd = fcntl(maps[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			x = err_sys(e, -errno, "cannot pass the probes' maps");
			while (r->nfds)
				close(r->fds[--r->nfds]);
			probe_end(p, q->slot);
			return x;
		}
		r->fds[r->nfds++] = fd;
	}
	return 0;
}

bool probe_begin(struct priv *p, uint32_t slot)
{
	struct err e;
	if (!p->probes[slot])
		return false;
	int x = probe_attach(p->probes[slot], p->vmms[slot].pid, &e);
	if (x < 0) {
		log_warn("machine of slot %u: %s", slot, e.text);
		probe_end(p, slot);
	}
	return x == 0;
}

void probe_end(struct priv *p, uint32_t slot)
{
	probe_detach(p->probes[slot]);
	p->probes[slot] = NULL;
}
