/* SPDX-License-Identifier: ISC */
#include "proc/introspect/execs.h"

#include <stdlib.h>
#include <string.h>

void execs_init(struct execs *x)
{
	memset(x, 0, sizeof(*x));
}

struct exec_job *execs_find(struct execs *x, uint64_t task)
{
	for (unsigned i = 0; i < EXECS_MAX; i++)
		if (x->at[i].task == task && task)
			return &x->at[i];
	return NULL;
}

void execs_free(struct execs *x, struct exec_job *j)
{
	x->total -= j->cap;
	free(j->buf);
	*j = (struct exec_job){ 0 };
}

void execs_clear(struct execs *x)
{
	for (unsigned i = 0; i < EXECS_MAX; i++)
		if (x->at[i].task)
			execs_free(x, &x->at[i]);
}

/* The oldest but `keep`; NULL if there is none. */
static struct exec_job *oldest(struct execs *x, const struct exec_job *keep)
{
	struct exec_job *o = NULL;
	for (unsigned i = 0; i < EXECS_MAX; i++) {
		struct exec_job *j = &x->at[i];
		if (j->task && j != keep && (!o || j->born < o->born))
			o = j;
	}
	return o;
}

static struct exec_job *place(struct execs *x)
{
	for (unsigned i = 0; i < EXECS_MAX; i++)
		if (!x->at[i].task)
			return &x->at[i];
	struct exec_job *j = oldest(x, NULL);
	x->evicted++;
	execs_free(x, j);
	return j;
}

/* Room for n more bytes; false if there can be none. */
static bool grow(struct execs *x, struct exec_job *j, uint32_t n)
{
	uint32_t want = j->n + n;
	if (want > EXEC_BYTES)
		return false;
	if (want <= j->cap)
		return true;
	uint32_t cap = j->cap ? j->cap : 1024;
	while (cap < want)
		cap *= 2;
	for (struct exec_job *o; x->total - j->cap + cap > EXECS_TOTAL && (o = oldest(x, j));) {
		x->evicted++;
		execs_free(x, o);
	}
	uint8_t *p = realloc(j->buf, cap);
	if (!p)
		return false;
	x->total += cap - j->cap;
	j->buf = p;
	j->cap = cap;
	return true;
}

static void add(struct execs *x, struct exec_job *j, const void *p, size_t n)
{
	size_t room = EXEC_BYTES - j->n;
	if (n > room) {
		n = room;
		j->flags |= HOOK_F_CUT;
	}
	if (!grow(x, j, (uint32_t)n)) {
		j->flags |= HOOK_F_CUT;
		return;
	}
	if (n)
		memcpy(j->buf + j->n, p, n);
	j->n += (uint32_t)n;
}

void execs_try(struct execs *x, const struct fact *f)
{
	if (!f->task)
		return;
	struct exec_job *j = execs_find(x, f->task);
	if (j)
		execs_free(x, j);
	else
		j = place(x);
	*j = (struct exec_job){ .task = f->task, .born = ++x->clock, .tgid = f->tgid, .argc = f->exec.argc };
	j->flags = f->flags & (HOOK_F_CUT | HOOK_F_FAULT);
	add(x, j, f->exec.path.s, f->exec.path.n + 1);
	j->cwd = j->n;
	add(x, j, f->exec.cwd.s, f->exec.cwd.n + 1);
	j->args = j->n;
	add(x, j, f->exec.args.p, f->exec.args.n);
}

void execs_more(struct execs *x, const struct fact *f)
{
	struct exec_job *j = execs_find(x, f->task);
	if (!j)
		return;
	j->flags |= f->flags & (HOOK_F_CUT | HOOK_F_FAULT);
	if (f->exec.offset != j->n - j->args) {
		j->flags |= HOOK_F_CUT; /* a part was lost */
		return;
	}
	add(x, j, f->exec.args.p, f->exec.args.n);
}
