/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_EV_H
#define SKEP_BASE_EV_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An epoll loop. Times are nanoseconds of the loop's clock, read once per
 * turn and passed down as `now`, so that tests own the clock. Sources and
 * timers are embedded in their owner's structs: the loop allocates nothing
 * and owns no fd.
 */
struct ev_source;
struct ev_timer;
typedef void (*ev_fd_fn)(void *arg, uint32_t events, uint64_t now);
typedef void (*ev_timer_fn)(void *arg, uint64_t now);
typedef uint64_t (*ev_clock_fn)(void);

struct ev_source {
	int fd;
	uint32_t events; /* EPOLLIN, ... */
	ev_fd_fn fn;
	void *arg;
	bool live;
};

struct ev_timer {
	uint64_t at; /* 0 = not set */
	ev_timer_fn fn;
	void *arg;
	struct ev_timer *next;
};

struct ev {
	int epfd;
	bool quit;
	bool firing; /* timers of this turn are being called */
	ev_clock_fn clock;
	uint64_t now;
	struct ev_timer *timers;     /* sorted by at */
	struct ev_source *ready[64]; /* of the running turn; entries die with ev_del */
	int nready;
};

uint64_t ev_monotonic(void);
uint64_t ev_realtime(void); /* for time stamps: ns since 1970, UTC */

int ev_init(struct ev *ev, ev_clock_fn clock); /* clock NULL = ev_monotonic */
void ev_close(struct ev *ev);

/* s must stay where it is until ev_del. fd is not owned. -errno of epoll_ctl. */
int ev_add(struct ev *ev, struct ev_source *s, int fd, uint32_t events, ev_fd_fn fn, void *arg);
int ev_mod(struct ev *ev, struct ev_source *s, uint32_t events);
void ev_del(struct ev *ev, struct ev_source *s); /* harmless if not added; call before close(fd) */

/* (Re)sets t to fire at `at`; at 0 cancels. A timer fires once, and at most once
 * a turn: what it sets for now is called in the next one. */
void ev_timer_set(struct ev *ev, struct ev_timer *t, uint64_t at, ev_timer_fn fn, void *arg);
void ev_timer_cancel(struct ev *ev, struct ev_timer *t);

/* One turn: waits at most max_wait_ms (-1 = until something happens). */
int ev_turn(struct ev *ev, int max_wait_ms);
/* Until ev->quit. */
int ev_run(struct ev *ev);

#define EV_MS 1000000ull
#define EV_SEC 1000000000ull

#endif
