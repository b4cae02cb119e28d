/* SPDX-License-Identifier: ISC */
#include "proc/introspect/tamper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JUMP 0xe9u /* jmp rel32 */
#define JUMP_LEN 5u

enum got { GOT, GONE, FAULT };

/* A process that ended has no memory any more: end of file. */
static enum got fetch(const struct tamper *t, uint64_t addr, void *out, size_t n)
{
	size_t have = 0;
	while (have < n) {
		ssize_t r = pread(t->memfd, (uint8_t *)out + have, n - have, (off_t)(addr + have));
		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0 || (r < 0 && errno == ESRCH))
			return GONE;
		if (r < 0)
			return FAULT;
		have += (size_t)r;
	}
	return GOT;
}

static bool told(struct tamper *t, const char *fn, const char *what)
{
	char text[192];
	snprintf(text, sizeof(text), "%s: %s", fn, what);
	t->told = true;
	ev_timer_cancel(t->ev, &t->timer);
	if (t->fn)
		t->fn(t->arg, text);
	return false;
}

static bool is_jump(const uint8_t *b, uint64_t addr, uint64_t *to)
{
	int32_t rel;
	memcpy(&rel, b + 1, sizeof(rel));
	*to = addr + JUMP_LEN + (uint64_t)(int64_t)rel;
	return b[0] == JUMP;
}

#define X(name, fn) fn,
static const char *const names[HOOK_SITE_COUNT] = { HOOK_SITES(X) };
#undef X

/* The code that the hook leads to: first a few instructions near the kernel, most
 * likely `jmp *0(%rip)`, then the wrapper itself. */
static enum got fetch_code(const struct tamper *t, uint64_t to, struct tamper_code *c)
{
	static const uint8_t far_jump[6] = { 0xff, 0x25, 0, 0, 0, 0 };
	enum got got = fetch(t, to, c->near_by, sizeof(c->near_by));
	if (got != GOT || memcmp(c->near_by, far_jump, sizeof(far_jump)) != 0)
		return got;
	memcpy(&to, c->near_by + sizeof(far_jump), sizeof(to));
	return to >> 47 ? FAULT : fetch(t, to, c->wrapper, sizeof(c->wrapper));
}

/* False: it was told. */
static bool look_at(struct tamper *t, unsigned i)
{
	const struct hook_place *p = &t->plan->site[i];
	struct tamper_site *s = &t->site[i], now = { .target = 0 };
	enum got got = fetch(t, p->addr, now.entry, sizeof(now.entry));
	t->gone = got == GONE;
	if (got != GOT)
		return got == GONE || told(t, names[i], "the function is no longer in memory");
	if (memcmp(now.entry, p->orig, JUMP_LEN) == 0)
		return told(t, names[i], "its hook was removed");
	if (!is_jump(now.entry, p->addr, &now.target) ||
	    (now.target >= t->plan->text && now.target < t->plan->text_end) ||
	    memcmp(now.entry + p->keep, p->orig + p->keep, sizeof(now.entry) - p->keep) != 0 ||
	    (t->noted && memcmp(now.entry, s->entry, sizeof(now.entry)) != 0))
		return told(t, names[i], "its hook was changed");
	got = now.target >> 47 ? FAULT : fetch_code(t, now.target, &now.code);
	t->gone = got == GONE;
	if (got != GOT)
		return got == GONE || told(t, names[i], "the code of its hook is no longer in memory");
	if (t->noted && memcmp(&now.code, &s->code, sizeof(now.code)) != 0)
		return told(t, names[i], "the code of its hook was changed");
	*s = now;
	return true;
}

bool tamper_look(struct tamper *t)
{
	if (t->told)
		return false;
	for (unsigned i = 0; i < HOOK_SITE_COUNT && !t->gone; i++) {
#ifndef MUTANT_TAMPER_BLIND
		if (t->placed >> i & 1 && !look_at(t, i))
			return false;
#endif
	}
	t->noted = !t->gone;
	return true;
}

static void on_timer(void *arg, uint64_t now)
{
	struct tamper *t = arg;
	if (tamper_look(t) && !t->gone)
		ev_timer_set(t->ev, &t->timer, now + TAMPER_EVERY_NS, on_timer, t);
}

void tamper_start(struct tamper *t, struct ev *ev, int memfd, const struct hook_plan *plan, uint64_t placed,
		  tamper_fn fn, void *arg)
{
	*t = (struct tamper){ .ev = ev, .plan = plan, .memfd = memfd, .fn = fn, .arg = arg };
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		if (placed >> i & 1 && plan->site[i].addr && plan->site[i].keep)
			t->placed |= UINT64_C(1) << i;
	ev_timer_set(ev, &t->timer, ev->now + 1, on_timer, t);
}

void tamper_stop(struct tamper *t)
{
	if (t->ev)
		ev_timer_cancel(t->ev, &t->timer);
	t->ev = NULL;
}
