/* SPDX-License-Identifier: ISC */
/* What runs, as the kernel says: for `ps`, and to show that every jail holds. */
#include "proc/priv/state.h"
#include "sandbox/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct walk {
	struct priv *p;
	uint64_t req;
	uint32_t slot; /* PRIV_ALL: all */
	bool threads;
	uint64_t rss, pss;
	const char *honeypot, *role;
};

/* So many threads are told of one machine; more would be an attack. */
#define THREADS_MAX 256u

struct one {
	struct walk *w;
	unsigned n;
};

static void tell(void *arg, const struct rep_thread *t)
{
	struct one *o = arg;
	struct rep_thread x = *t;
	if (o->n++ >= THREADS_MAX)
		return;
	snprintf(x.honeypot, sizeof(x.honeypot), "%s", o->w->honeypot);
	snprintf(x.role, sizeof(x.role), "%s", o->w->role);
	out_send(o->w->p, MSG_PRIV_THREAD, o->w->req, &x, sizeof(x), NULL, 0);
}

static void look(struct walk *w, pid_t pid, bool tree, const char *honeypot, const char *role)
{
	struct inspect_memory mem = { 0 };
	struct one o = { .w = w };
	w->honeypot = honeypot;
	w->role = role;
	if (tree && inspect_memory(pid, 1, &mem) >= 0) {
		w->rss += mem.rss;
		w->pss += mem.pss;
	}
	if (w->threads)
		inspect_threads(pid, tree, tell, &o);
}

static void each(struct walk *w, const struct child *c)
{
	const char *pot = w->p->disks[c->slot].honeypot;
	if (!c->pid)
		return;
	if (c->vmm)
		look(w, c->pid, true, pot, "machine");
	else if (c->role == ROLE_VMM || c->role == ROLE_INTROSPECT)
		look(w, c->pid, false, pot, role_name(c->role));
	else
		look(w, c->pid, false, role_name(c->role), role_name(c->role));
}

int verb_inspect(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_inspect *q = MSG_BODY_AS(m, priv_inspect);
	struct walk w = { .p = p, .req = m->req, .slot = q->slot, .threads = q->everything != 0 };
	if (q->slot != PRIV_ALL && q->slot >= MODEL_HONEYPOTS)
		return err_set(e, -ERANGE, "no slot %u", q->slot);
	if (q->slot == PRIV_ALL && w.threads)
		look(&w, getpid(), false, role_name(ROLE_PRIV), role_name(ROLE_PRIV));
	for (uint32_t i = 0; i < MODEL_HONEYPOTS; i++) {
		if (q->slot != PRIV_ALL && q->slot != i)
			continue;
		each(&w, &p->vmms[i]);
		if (!w.threads)
			continue;
		each(&w, &p->handlers[i]);
		each(&w, &p->introspects[i]);
	}
	if (q->slot == PRIV_ALL && w.threads) {
		each(&w, &p->super_child);
		each(&w, &p->evidence);
		each(&w, &p->gateway);
		for (uint32_t i = 0; i < MODEL_NETS; i++)
			each(&w, &p->sinkholes[i]);
	}
	r->done.rss = w.rss;
	r->done.pss = w.pss;
	return 0;
}
