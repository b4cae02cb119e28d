/* SPDX-License-Identifier: ISC */
/* How super deals with introspect processes: it never costs a machine. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct model m;

static void up(struct world *w, unsigned honeypots)
{
	world_start(w);
	world_model(&m, honeypots);
	assert_true(world_up(w, &m));
	if (w->status)
		fail_msg("%s", w->text);
}

/* Position of the nth message with this argument. */
static int at_arg(const struct world *w, uint32_t type, uint32_t arg, unsigned nth)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->trace[i].type == type && w->trace[i].arg == arg && --nth == 0)
			return (int)i;
	return -1;
}

static unsigned told(const struct world *w, const char *event)
{
	unsigned n = 0;
	for (unsigned i = 0; i < w->nseeing; i++)
		n += !strcmp(w->seeing[i], event);
	return n;
}

static const struct rep_honeypot *shown(struct world *w, unsigned i)
{
	assert_true(world_ps(w, false));
	assert_true(i < w->honeypots);
	return &w->hp[i];
}

static bool spawned(const struct world *w, unsigned nth)
{
	return at_arg(w, MSG_PRIV_SPAWN, ROLE_INTROSPECT, nth) >= 0;
}

static void ascending(const int *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (at[i] < 0 || (i && at[i] <= at[i - 1]))
			fail_msg("step %u of %u: %d after %d", i, n, at[i], i ? at[i - 1] : -1);
}

static void test_order(void **state)
{
	static struct world w;
	(void)state;
	up(&w, 1);
	int at[] = { at_arg(&w, MSG_EV_SOURCE, ROLE_INTROSPECT, 1),
		     at_arg(&w, MSG_PRIV_SPAWN, ROLE_INTROSPECT, 1),
		     world_at(&w, MSG_INTRO_PREPARE, 0, 1),
		     at_arg(&w, MSG_PRIV_VMM, 7, 1),
		     world_at(&w, MSG_PRIV_MEMORY, 0, 1),
		     at_arg(&w, MSG_INTRO_START, 2, 1),
		     world_at(&w, MSG_VMM_START, 0, 1) };
	ascending(at, 7);
	assert_int_equal(w.trace[at[2]].arg, 0); /* no plan yet */
	const struct rep_honeypot *h = shown(&w, 0);
	assert_int_equal(h->seeing, SEEING_HOOKS);
	assert_int_equal(h->introspect_pid, w.intro_pid[0]);
	assert_int_equal(h->sessions, 2);
	assert_string_equal(h->blind, "21 of 21 hooks");
	assert_int_equal(told(&w, "on"), 1);
	/* The end: the guest first, then what it left in the ring. */
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_int_equal(w.status, 0);
	int killed = at_arg(&w, MSG_PRIV_KILL, ROLE_VMM * 2 + 1, 1), quit = world_at(&w, MSG_INTRO_QUIT, 0, 1),
	    again = at_arg(&w, MSG_INTRO_PREPARE, 1, 1);
	ascending((int[]){ killed, quit, again }, 3); /* the next one gets the plan */
	assert_int_equal(at_arg(&w, MSG_PRIV_KILL, ROLE_INTROSPECT * 2, 1), -1);
	assert_int_equal(told(&w, "exited"), 0);
	assert_true(world_machine(&w, MACHINE_STOP, "web0"));
	assert_int_equal(shown(&w, 0)->seeing, SEEING_NOT);
	assert_true(world_down(&w));
	world_end(&w);
}

/* Whatever fails, the machine runs, and says that nobody sees it. */
static void test_failures_cost_nothing(void **state)
{
	static const struct {
		uint32_t type;
		unsigned nth, vmm_fds;
	} cases[] = { { MSG_EV_SOURCE, 2, 5 },
		      { MSG_PRIV_SPAWN, 2, 5 },
		      { MSG_INTRO_PREPARE, 1, 5 },
		      { MSG_PRIV_MEMORY, 1, 7 },
		      { MSG_INTRO_START, 1, 7 } };
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct world w;
		world_start(&w);
		w.fail_type = cases[i].type;
		w.fail_nth = cases[i].nth;
		world_model(&m, 1);
		assert_true(world_up(&w, &m));
		assert_int_equal(w.status, 0);
		const struct rep_honeypot *h = shown(&w, 0);
		assert_int_equal(h->state, MACHINE_RUNNING);
		assert_int_equal(h->seeing, SEEING_ABSENT);
		assert_non_null(strstr(h->blind, "was told to fail"));
		assert_int_equal(h->introspect_pid, 0);
		assert_int_equal(told(&w, "absent"), 1);
		assert_true(at_arg(&w, MSG_PRIV_VMM, cases[i].vmm_fds, 1) >= 0);
		assert_true(world_down(&w));
		world_end(&w);
	}
}

/* Where root is: hooks, and probes for who asks for them. */
static void test_probes(void **state)
{
	static const struct {
		uint32_t mode;
		bool fails;
		unsigned asked, vmm_fds, start_fds;
		enum seeing seeing;
	} cases[] = { { INTROSPECTION_AUTO, false, 0, 7, 2, SEEING_HOOKS },
		      { INTROSPECTION_PROBES, false, 1, 5, 4, SEEING_PROBES },
		      { INTROSPECTION_PROBES, true, 1, 5, 0, SEEING_ABSENT },
		      { INTROSPECTION_HOOKS, false, 0, 7, 2, SEEING_HOOKS } };
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct world w;
		world_mode = "root";
		world_start(&w);
		world_mode = "rootless";
		w.fail_type = cases[i].fails ? MSG_PRIV_PROBE : 0;
		w.fail_nth = 1;
		world_model(&m, 1);
		m.honeypots[0].introspection.mode = cases[i].mode;
		assert_true(world_up(&w, &m));
		assert_int_equal(shown(&w, 0)->state, MACHINE_RUNNING);
		assert_int_equal(shown(&w, 0)->seeing, cases[i].seeing);
		assert_int_equal(world_count(&w, MSG_PRIV_PROBE), cases[i].asked);
		assert_true(at_arg(&w, MSG_PRIV_VMM, cases[i].vmm_fds, 1) >= 0);
		if (cases[i].start_fds)
			assert_true(at_arg(&w, MSG_INTRO_START, cases[i].start_fds, 1) >= 0);
		if (cases[i].asked)
			assert_true(world_at(&w, MSG_PRIV_PROBE, 0, 1) < world_at(&w, MSG_PRIV_VMM, 0, 1));
		if (cases[i].seeing == SEEING_PROBES) {
			/* Another process goes on with the same probes. */
			world_exited(&w, ROLE_INTROSPECT, 0, false, SIGSEGV);
			world_idle(&w, 1700);
			assert_true(at_arg(&w, MSG_INTRO_START, 4, 2) >= 0);
			assert_int_equal(world_count(&w, MSG_PRIV_PROBE), 1);
			assert_int_equal(shown(&w, 0)->seeing, SEEING_PROBES);
		}
		assert_true(world_down(&w));
		world_end(&w);
	}
}

static void test_off(void **state)
{
	static struct world w;
	(void)state;
	world_start(&w);
	world_model(&m, 2);
	m.honeypots[0].introspection.mode = INTROSPECTION_OFF;
	assert_true(world_up(&w, &m));
	assert_int_equal(shown(&w, 0)->seeing, SEEING_OFF);
	assert_int_equal(shown(&w, 1)->seeing, SEEING_HOOKS);
	assert_true(spawned(&w, 1));
	assert_false(spawned(&w, 2));
	assert_int_equal(told(&w, "off"), 1);
	/* On again: that machine starts anew, the other one goes on. */
	m.honeypots[0].introspection.mode = INTROSPECTION_AUTO;
	assert_true(world_up(&w, &m));
	assert_int_equal(shown(&w, 0)->seeing, SEEING_HOOKS);
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), 3);
	world_end(&w);
}

static void test_death(void **state)
{
	static struct world w;
	(void)state;
	up(&w, 1);
	for (unsigned n = 1; n <= 3; n++) {
		world_exited(&w, ROLE_INTROSPECT, 0, false, SIGSEGV);
		world_idle(&w, (int)n * 1000 + 700);
		assert_true(spawned(&w, n + 1));
		assert_true(at_arg(&w, MSG_INTRO_PREPARE, 2, n) >= 0); /* its plan, its ring */
		assert_int_equal(told(&w, "exited"), n);
		assert_int_equal(told(&w, "again"), n);
		const struct rep_honeypot *h = shown(&w, 0);
		assert_int_equal(h->state, MACHINE_RUNNING);
		assert_int_equal(h->seeing, SEEING_HOOKS);
		assert_int_equal(h->introspect_starts, n + 1);
	}
	world_exited(&w, ROLE_INTROSPECT, 0, false, SIGSEGV);
	world_idle(&w, 300);
	assert_int_equal(shown(&w, 0)->seeing, SEEING_ABSENT);
	assert_int_equal(told(&w, "absent"), 1);
	assert_int_equal(shown(&w, 0)->state, MACHINE_RUNNING);
	/* The next run of the machine begins with a clean slate. */
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_int_equal(shown(&w, 0)->seeing, SEEING_HOOKS);
	/* A death while its next start waits does not keep a machine from stopping. */
	world_exited(&w, ROLE_INTROSPECT, 0, false, SIGSEGV);
	world_idle(&w, 100);
	assert_true(world_machine(&w, MACHINE_STOP, "web0"));
	assert_int_equal(w.status, 0);
	unsigned spawns = world_count(&w, MSG_PRIV_SPAWN);
	world_idle(&w, 1500);
	assert_int_equal(world_count(&w, MSG_PRIV_SPAWN), spawns);
	world_end(&w);
}

static void test_tampered(void **state)
{
	static struct world w;
	(void)state;
	world_start(&w);
	world_model(&m, 2);
	m.honeypots[1].introspection.on_tamper = ON_TAMPER_REPORT;
	assert_true(world_up(&w, &m));
	unsigned before = world_count(&w, MSG_GW_FREEZE);
	world_intro(&w, 1, INTRO_EV_TAMPERED, 0, "the jump at pty_write is gone");
	world_idle(&w, 200);
	assert_int_equal(told(&w, "tampered"), 1);
	assert_int_equal(world_count(&w, MSG_GW_FREEZE), before);
	assert_int_equal(shown(&w, 1)->frozen, 0);
	assert_int_equal(w.hp[1].seeing, SEEING_TAMPERED);
	for (int i = 0; i < 2; i++)
		world_intro(&w, 0, INTRO_EV_TAMPERED, 0, "the jump at pty_write is gone");
	world_idle(&w, 200);
	assert_int_equal(told(&w, "tampered"), 2);
	assert_int_equal(w.freezes, 1);
	assert_int_equal(world_count(&w, MSG_GW_FREEZE), before + 1);
	assert_int_equal(w.trace[at_arg(&w, MSG_GW_FREEZE, 1, 1)].slot, 0);
	assert_int_equal(shown(&w, 0)->frozen, FROZEN_ITSELF);
	assert_int_equal(w.hp[0].seeing, SEEING_TAMPERED);
	assert_string_equal(w.hp[0].blind, "the jump at pty_write is gone");
	/* What to do is a policy: it changes without a restart. */
	unsigned vmms = world_count(&w, MSG_PRIV_VMM);
	m.honeypots[0].introspection.on_tamper = ON_TAMPER_REPORT;
	assert_true(world_up(&w, &m));
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), vmms);
	/* Thawed by the operator, it stays so: once is enough. */
	assert_true(world_freeze(&w, "web0", false));
	world_intro(&w, 0, INTRO_EV_TAMPERED, 0, "again");
	world_idle(&w, 200);
	assert_int_equal(shown(&w, 0)->frozen, 0);
	world_end(&w);
}

static void test_losses(void **state)
{
	static struct world w;
	(void)state;
	up(&w, 1);
	for (uint64_t n = 1; n <= 50; n++)
		world_intro(&w, 0, INTRO_EV_LOSS, n, "");
	world_idle(&w, 1000);
	assert_int_equal(shown(&w, 0)->lost, 50);
	assert_int_equal(told(&w, "lost"), 1);
	world_idle(&w, 10000);
	assert_int_equal(told(&w, "lost"), 2); /* the other 49 */
	world_end(&w);
}

/* A guest that restarts says hello once more, from new memory. */
static void test_guest_restarts(void **state)
{
	static struct world w;
	(void)state;
	up(&w, 1);
	for (int i = 0; i < 5; i++)
		world_intro(&w, 0, INTRO_EV_UP, 0, ""); /* figures only */
	world_idle(&w, 700);
	assert_int_equal(world_count(&w, MSG_PRIV_MEMORY), 1);
	world_intro(&w, 0, INTRO_EV_UP, 0, "21 hooks");
	world_idle(&w, 700);
	assert_int_equal(world_count(&w, MSG_PRIV_MEMORY), 2);
	assert_int_equal(world_count(&w, MSG_INTRO_START), 2);
	assert_int_equal(world_count(&w, MSG_INTRO_PREPARE), 1);
	assert_int_equal(told(&w, "restarted"), 1);
	assert_int_equal(shown(&w, 0)->seeing, SEEING_HOOKS);
	world_end(&w);
}

static void test_no_hello(void **state)
{
	static struct world w;
	(void)state;
	world_start(&w);
	w.mute_hello = true;
	world_model(&m, 1);
	assert_true(world_up(&w, &m));
	assert_int_equal(shown(&w, 0)->seeing, SEEING_NOT);
	world_idle(&w, 11000);
	assert_int_equal(shown(&w, 0)->seeing, SEEING_ABSENT);
	assert_int_equal(told(&w, "absent"), 1);
	world_end(&w);
}

/* One that breaks the protocol is ended, and started again. */
static void test_broken(void **state)
{
	static struct world w;
	(void)state;
	up(&w, 1);
	struct vmm_state x = { 0 };
	w.intro[0].self = ROLE_VMM; /* so that our own check lets it out */
	assert_int_equal(msg_send(&w.intro[0], MSG_VMM_STATE, 0, &x, sizeof(x), NULL, 0), 0);
	world_idle(&w, 1700);
	assert_true(at_arg(&w, MSG_PRIV_KILL, ROLE_INTROSPECT * 2, 1) >= 0);
	assert_true(spawned(&w, 2));
	assert_int_equal(shown(&w, 0)->state, MACHINE_RUNNING);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),    cmocka_unit_test(test_failures_cost_nothing),
		cmocka_unit_test(test_probes),   cmocka_unit_test(test_off),
		cmocka_unit_test(test_death),    cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_losses),   cmocka_unit_test(test_guest_restarts),
		cmocka_unit_test(test_no_hello), cmocka_unit_test(test_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
