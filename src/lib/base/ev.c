/* SPDX-License-Identifier: ISC */
#include "base/ev.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * EV_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t ev_monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t ev_realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int ev_init(struct ev *ev, ev_clock_fn clock)
{
	*ev = (struct ev){ .epfd = -1, .clock = clock ? clock : ev_monotonic };
	ev->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (ev->epfd < 0)
		return -errno;
	ev->now = ev->clock();
	return 0;
}

void ev_close(struct ev *ev)
{
	if (ev->epfd >= 0)
		close(ev->epfd);
	ev->epfd = -1;
}

int ev_add(struct ev *ev, struct ev_source *s, int fd, uint32_t events, ev_fd_fn fn, void *arg)
{
	struct epoll_event e = { .events = events, .data.ptr = s };
	if (epoll_ctl(ev->epfd, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	*s = (struct ev_source){ .fd = fd, .events = events, .fn = fn, .arg = arg, .live = true };
	return 0;
}

int ev_mod(struct ev *ev, struct ev_source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };
	if (!s->live)
		return -ENOENT;
	if (s->events == events)
		return 0;
	if (epoll_ctl(ev->epfd, EPOLL_CTL_MOD, s->fd, &e) < 0)
		return -errno;
	s->events = events;
	return 0;
}

void ev_del(struct ev *ev, struct ev_source *s)
{
	if (!s->live)
		return;
	s->live = false;
	epoll_ctl(ev->epfd, EPOLL_CTL_DEL, s->fd, NULL);
	/* It may be among those of this turn that were not called yet, and its
	 * memory may be gone by then. */
	for (int i = 0; i < ev->nready; i++)
		if (ev->ready[i] == s)
			ev->ready[i] = NULL;
}

void ev_timer_cancel(struct ev *ev, struct ev_timer *t)
{
	if (!t->at)
		return;
	for (struct ev_timer **p = &ev->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->at = 0;
	t->next = NULL;
}

void ev_timer_set(struct ev *ev, struct ev_timer *t, uint64_t at, ev_timer_fn fn, void *arg)
{
	ev_timer_cancel(ev, t);
	if (!at)
		return;
#ifndef MUTANT_EV_TIMER_AGAIN
	/* What a timer sets for now waits for the next turn: else one that always
	 * has more to do would keep the owner from what it does after each turn. */
	if (ev->firing && at <= ev->now)
		at = ev->now + 1;
#endif
	t->at = at;
	t->fn = fn;
	t->arg = arg;
	struct ev_timer **p = &ev->timers;
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
}

static int wait_ms(const struct ev *ev, int max_wait_ms)
{
	if (!ev->timers)
		return max_wait_ms;
	uint64_t now = ev->clock();
	if (ev->timers->at <= now)
		return 0;
	uint64_t ms = (ev->timers->at - now + EV_MS - 1) / EV_MS;
	if (ms > 60000)
		ms = 60000;
	return max_wait_ms >= 0 && (uint64_t)max_wait_ms < ms ? max_wait_ms : (int)ms;
}

int ev_turn(struct ev *ev, int max_wait_ms)
{
	enum { BATCH = sizeof(ev->ready) / sizeof(ev->ready[0]) };
	struct epoll_event es[BATCH];
	int n = epoll_wait(ev->epfd, es, BATCH, wait_ms(ev, max_wait_ms));
	if (n < 0) {
		if (errno != EINTR)
			return -errno;
		n = 0;
	}
	ev->now = ev->clock();
	ev->nready = n;
	for (int i = 0; i < n; i++)
		ev->ready[i] = es[i].data.ptr;
	for (int i = 0; i < n; i++) {
		struct ev_source *s = ev->ready[i];
		if (s)
			s->fn(s->arg, es[i].events, ev->now);
	}
	ev->nready = 0;
	ev->firing = true;
	while (ev->timers && ev->timers->at <= ev->now) {
		struct ev_timer *t = ev->timers;
		ev->timers = t->next;
		t->next = NULL;
		t->at = 0;
		t->fn(t->arg, ev->now);
	}
	ev->firing = false;
	return n;
}

int ev_run(struct ev *ev)
{
	while (!ev->quit) {
		int r = ev_turn(ev, -1);
		if (r < 0)
			return r;
	}
	return 0;
}
