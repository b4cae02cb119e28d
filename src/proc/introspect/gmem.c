/* SPDX-License-Identifier: ISC */
#include "proc/introspect/gmem.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel's image and its memory begin at the plan's base (arch/um,
 * uml_physmem); its modules and vmalloc area follow. 64 GiB is more than a guest
 * may have. */
#define SPAN (UINT64_C(64) << 30)
#define PAGE 4096u

static bool inside(const struct gmem *g, uint64_t addr, size_t n)
{
	uint64_t from = addr - g->plan->base;
	return addr >= g->plan->base && from < SPAN && n <= SPAN - from;
}

bool gmem_read(const struct gmem *g, uint64_t addr, void *out, size_t n)
{
	size_t have = 0;
#ifndef MUTANT_GMEM_ANYWHERE
	if (!inside(g, addr, n))
		return false;
#endif
	while (have < n) {
		ssize_t r = pread(g->fd, (uint8_t *)out + have, n - have, (off_t)(addr + have));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		have += (size_t)r;
	}
	return true;
}

bool gmem_text(const struct gmem *g, uint64_t addr, char *out, size_t cap)
{
	size_t have = 0;
	if (cap == 0)
		return false;
	while (have < cap - 1) {
		/* Not over a page's end: the next one may not be there. */
		size_t n = PAGE - (size_t)((addr + have) % PAGE);
		if (n > cap - 1 - have)
			n = cap - 1 - have;
		if (!gmem_read(g, addr + have, out + have, n))
			return false;
		if (memchr(out + have, 0, n))
			return true;
		have += n;
	}
	out[have] = 0;
	return true;
}

static bool member(const struct gmem *g, uint64_t addr, enum hook_offset o, void *out, size_t n)
{
	uint16_t off = g->plan->off[o];
	return off != HOOK_OFF_NONE && addr % 8 == 0 && gmem_read(g, addr + off, out, n);
}

bool gmem_task(const struct gmem *g, uint64_t task, struct gmem_task *out)
{
	struct gmem_task t = { .addr = task };
	uint64_t cred;
	if (!member(g, task, HOOK_OFF_TASK_PID, &t.pid, 4) || !member(g, task, HOOK_OFF_TASK_TGID, &t.tgid, 4) ||
	    !member(g, task, HOOK_OFF_TASK_REAL_PARENT, &t.parent, 8) ||
	    !member(g, task, HOOK_OFF_TASK_COMM, t.comm, 16) || !member(g, task, HOOK_OFF_TASK_CRED, &cred, 8) ||
	    !member(g, cred, HOOK_OFF_CRED_UID, &t.uid, 4) || !member(g, cred, HOOK_OFF_CRED_EUID, &t.euid, 4))
		return false;
	/* Linux has no larger pids (PID_MAX_LIMIT), and names always end. */
	if (t.pid > 1u << 22 || t.tgid > 1u << 22 || !memchr(t.comm, 0, 16))
		return false;
	*out = t;
	return true;
}

bool gmem_current(const struct gmem *g, uint64_t stack, struct gmem_task *out)
{
	uint64_t task, size = g->plan->thread_size;
	return size && gmem_read(g, stack & -size, &task, 8) && gmem_task(g, task, out);
}

unsigned gmem_ancestors(const struct gmem *g, uint64_t task, struct gmem_task *out, unsigned max)
{
	unsigned n = 0;
	if (max > GMEM_CHAIN)
		max = GMEM_CHAIN;
	while (n < max && gmem_task(g, task, &out[n])) {
		n++;
		if (out[n - 1].tgid <= 1 || out[n - 1].parent == task)
			break;
		task = out[n - 1].parent;
	}
	return n;
}

size_t gmem_describe(const struct gmem *g, uint64_t task, char *out, size_t cap)
{
	struct gmem_task t[GMEM_TOLD];
	unsigned n = gmem_ancestors(g, task, t, GMEM_TOLD);
	size_t len = 0;
	if (cap)
		out[0] = 0;
	for (unsigned i = 0; i < n; i++) {
		char name[80], one[160];
		text_safe(name, sizeof(name), t[i].comm, strlen(t[i].comm), false);
		int k =
		    snprintf(one, sizeof(one), "%s%s[%u] uid %u", i ? ", child of " : "", name, t[i].tgid, t[i].uid);
		if (k < 0 || len + (size_t)k >= cap)
			break;
		memcpy(out + len, one, (size_t)k + 1);
		len += (size_t)k;
	}
	return len;
}
