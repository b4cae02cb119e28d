/* SPDX-License-Identifier: ISC */
/* The loop under a clock that the test moves by hand. */
#include "cm.h"

#include "base/ev.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t fake;

static uint64_t fake_clock(void)
{
	return fake;
}

static int setup(void **state)
{
	static struct ev ev;
	fake = 1000;
	*state = &ev;
	return ev_init(&ev, fake_clock);
}

static int teardown(void **state)
{
	ev_close(*state);
	return 0;
}

static char order[64];
static int norder;

static void note(void *arg, uint64_t now)
{
	assert_int_equal(now, fake);
	order[norder++] = *(const char *)arg;
	order[norder] = '\0';
}

static void timers_fire_in_order_once(void **state)
{
	struct ev *ev = *state;
	struct ev_timer a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	norder = 0;
	ev_timer_set(ev, &c, 3000, note, "c");
	ev_timer_set(ev, &a, 2000, note, "a");
	ev_timer_set(ev, &b, 2000, note, "b"); /* the same moment: in the order of setting */
	ev_timer_set(ev, &d, 2500, note, "d");
	ev_timer_cancel(ev, &d);
	ev_timer_cancel(ev, &d);
	assert_int_equal(ev_turn(ev, 0), 0);
	assert_int_equal(norder, 0);
	fake = 2000;
	ev_turn(ev, -1); /* due: does not wait */
	assert_string_equal(order, "ab");
	fake = 9000;
	ev_turn(ev, -1);
	assert_string_equal(order, "abc");
	ev_turn(ev, 0);
	assert_string_equal(order, "abc");
	assert_null(ev->timers);
}

static void timer_set_anew_moves(void **state)
{
	struct ev *ev = *state;
	struct ev_timer a = { 0 };
	norder = 0;
	ev_timer_set(ev, &a, 2000, note, "a");
	ev_timer_set(ev, &a, 5000, note, "A");
	fake = 3000;
	ev_turn(ev, 0);
	assert_int_equal(norder, 0);
	fake = 5000;
	ev_turn(ev, 0);
	assert_string_equal(order, "A");
	ev_timer_set(ev, &a, 6000, note, "x");
	ev_timer_set(ev, &a, 0, note, "x"); /* cancels */
	fake = 7000;
	ev_turn(ev, 0);
	assert_string_equal(order, "A");
}

struct again {
	struct ev *ev;
	struct ev_timer t;
	unsigned fired;
};

static void fire_again(void *arg, uint64_t now)
{
	struct again *a = arg;
	if (++a->fired % 1000 == 0)
		return; /* so that a loop that calls it again and again fails, and ends */
	ev_timer_set(a->ev, &a->t, now, fire_again, a);
}

static unsigned woken;

static void drain(void *arg, uint32_t events, uint64_t now)
{
	struct ev_source *s = arg;
	uint64_t v;
	(void)now;
	assert_true(events & EPOLLIN);
	assert_int_equal(read(s->fd, &v, sizeof(v)), sizeof(v));
	woken++;
}

static void greedy_timer_does_not_starve_fds(void **state)
{
	struct ev *ev = *state;
	struct again a = { .ev = ev };
	struct ev_source s = { 0 };
	int fd = eventfd(1, EFD_NONBLOCK);
	woken = 0;
	assert_int_equal(ev_add(ev, &s, fd, EPOLLIN, drain, &s), 0);
	ev_timer_set(ev, &a.t, 1000, fire_again, &a);
	ev_turn(ev, -1);
	assert_int_equal(woken, 1);
	assert_int_equal(a.fired, 1); /* what follows a turn is done in between */
	eventfd_write(fd, 1);
	ev_turn(ev, -1);
	assert_int_equal(woken, 2);
	assert_int_equal(a.fired, 1);
	fake++;
	ev_turn(ev, -1);
	assert_int_equal(a.fired, 2);
	ev_timer_cancel(ev, &a.t);
	ev_del(ev, &s);
	close(fd);
}

static void sources_come_and_go(void **state)
{
	struct ev *ev = *state;
	struct ev_source s = { 0 };
	int fd = eventfd(0, EFD_NONBLOCK);
	woken = 0;
	assert_int_equal(ev_mod(ev, &s, EPOLLIN), -ENOENT);
	ev_del(ev, &s); /* harmless */
	assert_int_equal(ev_add(ev, &s, fd, EPOLLIN, drain, &s), 0);
	struct ev_source twice;
	assert_int_equal(ev_add(ev, &twice, fd, EPOLLIN, drain, &s), -EEXIST);
	assert_int_equal(ev_turn(ev, 0), 0);
	eventfd_write(fd, 1);
	assert_int_equal(ev_turn(ev, 0), 1);
	assert_int_equal(ev_mod(ev, &s, 0), 0);
	eventfd_write(fd, 1);
	assert_int_equal(ev_turn(ev, 0), 0);
	assert_int_equal(ev_mod(ev, &s, EPOLLIN), 0);
	assert_int_equal(ev_turn(ev, 0), 1);
	assert_int_equal(woken, 2);
	ev_del(ev, &s);
	eventfd_write(fd, 1);
	assert_int_equal(ev_turn(ev, 0), 0);
	assert_int_equal(ev_add(ev, &s, -1, EPOLLIN, drain, &s), -EBADF);
	close(fd);
}

struct pair {
	struct ev *ev;
	struct ev_source mine, *other;
	int called;
};

static void kill_other(void *arg, uint32_t events, uint64_t now)
{
	struct pair *p = arg;
	(void)events;
	(void)now;
	p->called++;
	ev_del(p->ev, p->other);
}

/* Both are ready in one turn; whichever comes first removes the other, whose
 * memory may be gone by then. */
static void removed_source_is_not_called(void **state)
{
	struct ev *ev = *state;
	struct pair a = { .ev = ev }, b = { .ev = ev };
	int fa = eventfd(1, 0), fb = eventfd(1, 0);
	a.other = &b.mine;
	b.other = &a.mine;
	assert_int_equal(ev_add(ev, &a.mine, fa, EPOLLIN, kill_other, &a), 0);
	assert_int_equal(ev_add(ev, &b.mine, fb, EPOLLIN, kill_other, &b), 0);
	assert_int_equal(ev_turn(ev, 0), 2);
	assert_int_equal(a.called + b.called, 1);
	ev_del(ev, &a.mine);
	ev_del(ev, &b.mine);
	close(fa);
	close(fb);
}

static void quit_now(void *arg, uint64_t now)
{
	(void)now;
	((struct ev *)arg)->quit = true;
}

static void runs_until_quit(void **state)
{
	struct ev *ev = *state;
	struct ev_timer t = { 0 };
	ev_timer_set(ev, &t, 1000, quit_now, ev);
	assert_int_equal(ev_run(ev), 0);
}

/* With a real clock, a timer is not early. */
static void waits_for_real_time(void **state)
{
	(void)state;
	struct ev ev;
	struct ev_timer t = { 0 };
	assert_int_equal(ev_init(&ev, NULL), 0);
	uint64_t start = ev_monotonic();
	ev_timer_set(&ev, &t, start + 20 * EV_MS, quit_now, &ev);
	assert_int_equal(ev_run(&ev), 0);
	assert_true(ev_monotonic() - start >= 20 * EV_MS);
	assert_true(ev_realtime() > 1600000000ull * EV_SEC);
	ev_close(&ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(timers_fire_in_order_once, setup, teardown),
		cmocka_unit_test_setup_teardown(timer_set_anew_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(greedy_timer_does_not_starve_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(sources_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_source_is_not_called, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_until_quit, setup, teardown),
		cmocka_unit_test(waits_for_real_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
