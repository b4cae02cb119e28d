/* SPDX-License-Identifier: ISC */
#include "proc/introspect/probe_watch.h"

#include <stdio.h>
#include <unistd.h>

#define INT3 0xccu

#define X(name, fn) fn,
static const char *const names[HOOK_SITE_COUNT] = { HOOK_SITES(X) };
#undef X

static void note(struct probe_watch *w, uint64_t addr, unsigned site)
{
	uint8_t b;
	if (addr && w->n < PROBE_WATCH_MAX && pread(w->memfd, &b, 1, (off_t)addr) == 1 && b == INT3) {
		w->at[w->n].addr = addr;
		w->at[w->n++].site = site;
	}
}

bool probe_watch_look(struct probe_watch *w)
{
	char text[160];
	if (w->told)
		return false;
	for (unsigned i = 0; i < w->n && !w->gone; i++) {
		uint8_t b;
		/* A kernel that was executed anew has another memory: this one is gone. */
		if (pread(w->memfd, &b, 1, (off_t)w->at[i].addr) != 1) {
			w->gone = true;
			break;
		}
#ifndef MUTANT_PROBE_WATCH_BLIND
		if (b == INT3)
			continue;
		snprintf(text, sizeof(text), "%s: its probe was removed", names[w->at[i].site]);
		w->told = true;
		ev_timer_cancel(w->ev, &w->timer);
		if (w->fn)
			w->fn(w->arg, text);
		return false;
#else
		(void)text;
		(void)names;
#endif
	}
	return true;
}

static void on_timer(void *arg, uint64_t now)
{
	struct probe_watch *w = arg;
	if (probe_watch_look(w) && !w->gone)
		ev_timer_set(w->ev, &w->timer, now + TAMPER_EVERY_NS, on_timer, w);
}

void probe_watch_start(struct probe_watch *w, struct ev *ev, int memfd, const struct hook_plan *plan, tamper_fn fn,
		       void *arg)
{
	*w = (struct probe_watch){ .ev = ev, .plan = plan, .memfd = memfd, .fn = fn, .arg = arg };
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		if (plan->site[i].addr)
			note(w, plan->site[i].addr + plan->site[i].probe, i);
		for (unsigned k = 0; k < HOOK_RETS; k++)
			note(w, plan->ret[i][k], i);
	}
	note(w, plan->tty_write, HOOK_SITE_PTY_WRITE);
	ev_timer_set(ev, &w->timer, ev->now + TAMPER_EVERY_NS, on_timer, w);
}

void probe_watch_stop(struct probe_watch *w)
{
	if (w->ev)
		ev_timer_cancel(w->ev, &w->timer);
	w->ev = NULL;
}
