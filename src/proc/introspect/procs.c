/* SPDX-License-Identifier: ISC */
#include "proc/introspect/procs.h"

#include <string.h>

#define IDLE_HEAD PROCS_MAX
#define SERVING_HEAD (PROCS_MAX + 1)

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static uint32_t slot(uint32_t tgid)
{
	return (tgid * 2654435761u) >> 18; /* PROCS_HASH = 2^14 */
}

static void list_out(struct procs *t, struct proc *p)
{
	t->at[p->newer].older = p->older;
	t->at[p->older].newer = p->newer;
}

/* At the young end of its list; the head's `older` is the youngest, its `newer` the oldest. */
static void list_in(struct procs *t, struct proc *p)
{
	uint32_t me = (uint32_t)(p - t->at), head = p->serving ? SERVING_HEAD : IDLE_HEAD;
	p->newer = head;
	p->older = t->at[head].older;
	t->at[p->older].newer = me;
	t->at[head].older = me;
}

void procs_init(struct procs *t, void (*gone)(void *arg, struct proc *p, bool evicted), void *arg)
{
	memset(t, 0, sizeof(*t));
	t->gone = gone;
	t->arg = arg;
	for (uint32_t i = 1; i < PROCS_MAX; i++)
		t->at[i].hash_next = i + 1 < PROCS_MAX ? i + 1 : 0;
	t->free_list = 1;
	for (uint32_t h = IDLE_HEAD; h <= SERVING_HEAD; h++)
		t->at[h].newer = t->at[h].older = h;
}

struct proc *procs_find(struct procs *t, uint32_t tgid)
{
	if (!tgid)
		return NULL;
	for (uint32_t i = t->hash[slot(tgid)]; i; i = t->at[i].hash_next)
		if (t->at[i].tgid == tgid)
			return &t->at[i];
	return NULL;
}

void procs_remove(struct procs *t, struct proc *p, bool evicted)
{
	uint32_t me = (uint32_t)(p - t->at);
	t->gone(t->arg, p, evicted);
	uint32_t *link = &t->hash[slot(p->tgid)];
	while (*link != me)
		link = &t->at[*link].hash_next;
	*link = p->hash_next;
	list_out(t, p);
	*p = (struct proc){ .hash_next = t->free_list };
	t->free_list = me;
	t->live--;
}

static void make_room(struct procs *t)
{
	uint32_t oldest = t->at[IDLE_HEAD].newer;
	if (oldest == IDLE_HEAD)
		oldest = t->at[SERVING_HEAD].newer;
	t->evicted++;
	procs_remove(t, &t->at[oldest], true);
}

struct proc *procs_add(struct procs *t, uint32_t tgid, uint32_t ppid)
{
	struct proc *old = procs_find(t, tgid);
	if (old) {
		t->reused++;
		procs_remove(t, old, false);
	}
	procs_undead(t, tgid);
	if (!t->free_list)
		make_room(t);
	uint32_t me = t->free_list;
	struct proc *p = &t->at[me];
	t->free_list = p->hash_next;
	*p = (struct proc){ .tgid = tgid, .ppid = ppid, .hash_next = t->hash[slot(tgid)] };
	t->hash[slot(tgid)] = me;
	list_in(t, p);
	t->live++;
	return p;
}

void procs_touch(struct procs *t, struct proc *p)
{
	list_out(t, p);
	list_in(t, p);
}

void procs_exit(struct procs *t, struct proc *p)
{
	t->dead[t->dead_at].tgid = p->tgid;
	t->dead[t->dead_at].task = p->task;
	t->dead[t->dead_at].session = p->session;
	t->dead_at = (t->dead_at + 1) % DEAD_MAX;
	procs_remove(t, p, false);
}

bool procs_dead(const struct procs *t, const struct fact *f, struct ref *session)
{
	for (unsigned i = 0; i < DEAD_MAX; i++) {
		if (t->dead[i].tgid != f->tgid || !f->tgid)
			continue;
		if (f->tid == f->tgid && t->dead[i].task && t->dead[i].task != f->task)
			continue; /* another one has the pid by now */
		*session = t->dead[i].session;
		return true;
	}
	return false;
}

void procs_undead(struct procs *t, uint32_t tgid)
{
	for (unsigned i = 0; i < DEAD_MAX; i++)
		if (t->dead[i].tgid == tgid)
			t->dead[i].tgid = 0;
}
