/* SPDX-License-Identifier: ISC */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct model model;

static void up(struct world *w, unsigned honeypots)
{
	world_start(w);
	world_model(&model, honeypots);
	assert_true(world_up(w, &model));
}

/* Containment depends on this order: recorded before it can pass, judged before it can send. */
static void assert_order(const struct world *w, int slot, unsigned nth)
{
	int ring = world_at(w, MSG_EV_RING, slot, nth), port = world_at(w, MSG_GW_PORT, slot, nth);
	int vmm = world_at(w, MSG_PRIV_VMM, slot, nth);
	assert_true(ring >= 0);
	assert_true(port > ring);
	assert_true(vmm > port);
	bool policy = false;
	for (int i = port; i < vmm; i++)
		policy |= w->trace[i].type == MSG_GW_POLICY;
	assert_true(policy);
}

static void test_up_order(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 3);
	assert_int_equal(w.status, 0);
	assert_true(w.progress > 6);
	for (int i = 0; i < 3; i++)
		assert_order(&w, i, 1);
	assert_true(world_ps(&w, true));
	assert_int_equal(w.honeypots, 3);
	assert_int_equal(w.threads, 1);
	assert_int_equal(w.hp[1].state, MACHINE_RUNNING);
	assert_int_equal(w.hp[1].pss, 7 << 20);
	assert_int_equal(w.net.frames_in, 10);
	assert_int_equal(w.net.frames_recorded, 9);
	world_end(&w);
}

/* The operator's first command may come before the start is over. */
static void test_early_command(void **state)
{
	(void)state;
	static struct world w;
	world_model(&model, 1);
	world_start_early(&w, &model);
	assert_true(world_run(&w, 10000));
	assert_int_equal(w.status, 0);
	assert_true(world_machine(&w, MACHINE_PAUSE, "web0"));
	assert_int_equal(w.status, 0);
	world_end(&w);
}

static void test_up_again_is_idempotent(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	unsigned before = world_count(&w, MSG_PRIV_VMM), ports = world_count(&w, MSG_GW_PORT);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), before);
	assert_int_equal(world_count(&w, MSG_GW_PORT), ports);
	world_end(&w);
}

static void test_difference(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	/* One more, one changed in its policy only: nobody is restarted. */
	world_model(&model, 3);
	model.honeypots[0].policy.outbound[LIMIT_CLASS_TCP] = (struct limit){ 5, 60 };
	unsigned before = world_count(&w, MSG_PRIV_VMM);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), before + 1);
	/* One less. */
	world_model(&model, 1);
	model.honeypots[0].policy.outbound[LIMIT_CLASS_TCP] = (struct limit){ 5, 60 };
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.honeypots, 1);
	int halted = world_at(&w, MSG_VMM_OP, 2, 1), gone = world_at(&w, MSG_GW_PORT_DEL, 2, 1);
	assert_true(halted >= 0 && gone > halted);
	world_end(&w);
}

/* Whatever fails during the first `up`, everything is taken back and super ends. */
static void test_failures_leave_nothing(void **state)
{
	static const uint32_t types[] = { MSG_PRIV_LAB,  MSG_EV_RING,   MSG_GW_PORT,     MSG_GW_POLICY,
					  MSG_PRIV_DISK, MSG_EV_SOURCE, MSG_VMM_PREPARE, MSG_PRIV_VMM };
	(void)state;
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		for (unsigned nth = 1; nth <= 2; nth++) {
			static struct world w;
			world_start(&w);
			world_model(&model, 2);
			w.fail_type = types[t];
			w.fail_nth = nth;
			assert_true(world_up(&w, &model));
			if (w.failed < nth) {
				world_end(&w);
				continue;
			}
			assert_int_equal(w.status, -EIO);
			assert_non_null(strstr(w.text, "was told to fail"));
			world_idle(&w, 300);
			assert_int_equal(world_count(&w, MSG_GW_PORT) - (types[t] == MSG_GW_PORT),
					 world_count(&w, MSG_GW_PORT_DEL));
			assert_int_equal(world_count(&w, MSG_EV_RING) - (types[t] == MSG_EV_RING),
					 world_count(&w, MSG_EV_RING_DEL));
			for (int i = 0; i < SLOTS; i++)
				assert_false(w.vmm_alive[i]);
			assert_true(world_count(&w, MSG_PRIV_QUIT) == 1);
			assert_true(w.gone);
			world_end(&w);
		}
	}
}

static void test_failed_change_keeps_the_old(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	world_model(&model, 3);
	w.fail_type = MSG_PRIV_VMM;
	w.fail_nth = 2;
	w.failed = 0;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, -EIO);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.honeypots, 1);
	assert_int_equal(w.hp[0].state, MACHINE_RUNNING);
	assert_true(w.vmm_alive[0]);
	world_end(&w);
}

static void test_boot_is_tried_twice(void **state)
{
	(void)state;
	static struct world w;
	world_start(&w);
	world_model(&model, 1);
	w.crash_boot = true;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), 2);
	assert_order(&w, 0, 2);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].restarts, 1);
	world_end(&w);
}

static void test_watchdog(void **state)
{
	(void)state;
	static struct world w;
	world_start(&w);
	world_model(&model, 1);
	model.honeypots[0].boot_seconds = 5;
	w.mute_boot = true;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, -ETIMEDOUT);
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), 2);
	world_end(&w);
}

static void test_verbs(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	static const struct {
		unsigned verb;
		int status;
		unsigned state;
	} steps[] = {
		{ MACHINE_PAUSE, 0, MACHINE_PAUSED },      { MACHINE_PAUSE, 0, MACHINE_PAUSED },
		{ MACHINE_START, -EBUSY, MACHINE_PAUSED }, { MACHINE_RESUME, 0, MACHINE_RUNNING },
		{ MACHINE_RESET, 0, MACHINE_RUNNING },     { MACHINE_STOP, 0, MACHINE_STOPPED },
		{ MACHINE_STOP, 0, MACHINE_STOPPED },      { MACHINE_PAUSE, -EBUSY, MACHINE_STOPPED },
		{ MACHINE_START, 0, MACHINE_RUNNING },
	};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_true(world_machine(&w, steps[i].verb, "web0"));
		assert_int_equal(w.status, steps[i].status);
		assert_true(world_ps(&w, false));
		assert_int_equal(w.hp[0].state, steps[i].state);
	}
	/* reset empties the disk while no VMM runs */
	int wiped = -1;
	for (unsigned i = 0; i < w.n; i++)
		if (w.trace[i].type == MSG_PRIV_DISK && w.trace[i].arg == DISK_RESET)
			wiped = (int)i;
	assert_true(wiped > world_at(&w, MSG_PRIV_KILL, 0, 1));
	assert_true(wiped < world_at(&w, MSG_PRIV_VMM, 0, 2));
	assert_true(world_machine(&w, MACHINE_START, "nobody"));
	assert_int_equal(w.status, -ENOENT);
	world_end(&w);
}

static void test_crash_and_halt(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	world_exited(&w, ROLE_VMM, 0, true, SIGSYS);
	world_idle(&w, 200);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].state, MACHINE_FAILED);
	assert_non_null(strstr(w.hp[0].detail, "seccomp"));
	world_exited(&w, ROLE_VMM, 1, true, 0);
	world_idle(&w, 200);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[1].state, MACHINE_STOPPED);
	/* It comes back with a new port: the old socket died with the VMM. */
	assert_true(world_machine(&w, MACHINE_START, "web0"));
	assert_int_equal(w.status, 0);
	assert_order(&w, 0, 2);
	world_end(&w);
}

static void test_handler_death_takes_its_machine(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	world_exited(&w, ROLE_VMM, 0, false, SIGSEGV);
	world_idle(&w, 300);
	assert_false(w.vmm_alive[0]);
	assert_true(w.vmm_alive[1]);
	world_end(&w);
}

/* Invariant 7: the gateway's death means no connectivity, because nobody else
 * holds its end of a port. The world closes what it gets as the gateway, so the
 * VMM's end must see the end of file at once. */
static void test_only_the_gateway_holds_ports(void **state)
{
	(void)state;
	static struct world w;
	char byte;
	up(&w, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(w.frame_fd[i] > 0);
		assert_int_equal(recv(w.frame_fd[i], &byte, 1, MSG_DONTWAIT), 0);
	}
	world_end(&w);
}

static void test_gateway_death(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	unsigned spawned = world_count(&w, MSG_PRIV_SPAWN);
	world_exited(&w, ROLE_GATEWAY, 0, false, SIGKILL);
	world_idle(&w, 200);
	assert_string_equal(w.last_event, "skep.gateway.exited");
	/* Nothing starts it again by itself. */
	assert_int_equal(world_count(&w, MSG_PRIV_SPAWN), spawned);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.gateway_pid, 0);
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_int_equal(w.status, -EHOSTDOWN);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_order(&w, 0, 2);
	assert_order(&w, 1, 2);
	world_end(&w);
}

/* The last word that the gateway heard about this port (-1 = any) before `end`. */
static int last_word(const struct world *w, int slot, unsigned end)
{
	for (unsigned i = end; i > 0; i--)
		if (w->trace[i - 1].type == MSG_GW_FREEZE && w->trace[i - 1].slot == slot)
			return (int)(i - 1);
	return -1;
}

/* After the nth port and before its policy and its VMM the gateway is told. */
static void assert_told(const struct world *w, int slot, unsigned nth, bool frozen)
{
	int port = world_at(w, MSG_GW_PORT, slot, nth), policy = port, vmm = world_at(w, MSG_PRIV_VMM, slot, nth);
	assert_true(port >= 0 && vmm > port);
	while (policy < vmm && w->trace[policy].type != MSG_GW_POLICY)
		policy++;
	int told = last_word(w, slot, (unsigned)policy);
	assert_true(told > port);
	assert_int_equal(w->trace[told].arg, frozen);
}

static void test_freeze(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	assert_true(world_freeze(&w, "web0", true));
	assert_int_equal(w.status, 0);
	assert_string_equal(w.last_event, "skep.policy.frozen");
	assert_int_equal(w.last_uid, getuid());
	int told = last_word(&w, 0, w.n);
	assert_true(told >= 0 && w.trace[told].arg == 1);
	/* again: said again, but no news */
	assert_true(world_freeze(&w, "web0", true));
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.text, "already"));
	assert_int_equal(w.freezes, 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].frozen, FROZEN_ITSELF);
	assert_int_equal(w.hp[1].frozen, 0);
	/* A reset does not thaw, nor does a stop and a start, nor `up`. */
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_int_equal(w.status, 0);
	assert_told(&w, 0, 2, true);
	assert_true(world_machine(&w, MACHINE_STOP, "web0"));
	assert_true(world_machine(&w, MACHINE_START, "web0"));
	assert_int_equal(w.status, 0);
	assert_told(&w, 0, 3, true);
	assert_true(world_up(&w, &model));
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].frozen, FROZEN_ITSELF);
	assert_true(world_freeze(&w, "web0", false));
	assert_int_equal(w.status, 0);
	assert_string_equal(w.last_event, "skep.policy.thawed");
	assert_int_equal(w.freezes, 2);
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_told(&w, 0, 4, false);
	assert_told(&w, 1, 1, false);
	assert_true(world_freeze(&w, "nobody", true));
	assert_int_equal(w.status, -ENOENT);
	world_end(&w);
}

static void test_freeze_honeynet(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	assert_true(world_freeze(&w, NULL, true));
	assert_int_equal(w.status, 0);
	int told = last_word(&w, GW_FREEZE_ALL, w.n);
	assert_true(told >= 0 && w.trace[told].arg == 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.frozen, 1);
	assert_int_equal(w.hp[1].frozen, FROZEN_HONEYNET);
	/* Thawing one of them lifts its own only, and says so. */
	assert_true(world_freeze(&w, "web0", true));
	assert_true(world_freeze(&w, "web0", false));
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.text, "stays frozen with the whole honeynet"));
	/* A new gateway hears of it before it has any port. */
	world_exited(&w, ROLE_GATEWAY, 0, false, SIGKILL);
	world_idle(&w, 200);
	assert_true(world_freeze(&w, "web1", true)); /* also while there is none */
	assert_int_equal(w.status, 0);
	unsigned start = w.n;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	int port = world_at(&w, MSG_GW_PORT, -1, world_count(&w, MSG_GW_PORT) - 2);
	told = last_word(&w, GW_FREEZE_ALL, w.n);
	assert_true(told >= (int)start && port > told);
	assert_int_equal(w.trace[told].arg, 1);
	assert_told(&w, 0, 2, false);
	assert_told(&w, 1, 2, true);
	assert_true(world_freeze(&w, NULL, false));
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.text, "1 of its honeypots stays frozen"));
	world_end(&w);
}

/* In doubt it is frozen: a gateway that does not confirm changes nothing of that. */
static void test_freeze_not_confirmed(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	w.fail_type = MSG_GW_FREEZE;
	for (unsigned frozen = 0; frozen < 2; frozen++) {
		w.fail_nth = w.failed + 1;
		assert_true(world_freeze(&w, "web0", frozen));
		assert_int_equal(w.status, -EIO);
		assert_non_null(strstr(w.text, "not confirmed"));
		assert_true(world_ps(&w, false));
		assert_int_equal(w.hp[0].frozen, FROZEN_ITSELF);
	}
	assert_int_equal(w.freezes, 0);
	world_end(&w);
}

static void test_evidence_stop(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	struct ev_state st = { .status = -ENOSPC, .text = "disk full" };
	assert_int_equal(msg_send(&w.evidence, MSG_EV_STATE, 0, &st, sizeof(st), NULL, 0), 0);
	world_idle(&w, 200);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.evidence_state, -ENOSPC);
	/* up again: a new evidence process gets the old rings before they go */
	unsigned rings = world_count(&w, MSG_EV_RING), start = w.n;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_true(world_count(&w, MSG_EV_RING) >= rings + 4);
	int again = -1, gone = -1;
	for (unsigned i = start; i < w.n; i++) {
		if (again < 0 && w.trace[i].type == MSG_EV_RING && w.trace[i].slot == 0)
			again = (int)i;
		if (gone < 0 && w.trace[i].type == MSG_EV_RING_DEL && w.trace[i].slot == 0)
			gone = (int)i;
	}
	assert_true(again >= 0 && gone > again);
	world_end(&w);
}

static void test_down(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 2);
	assert_true(world_down(&w));
	assert_int_equal(w.status, 0);
	world_idle(&w, 200);
	assert_true(w.gone);
	/* Machines, then ports, then the gateway's flows, then evidence, last priv. */
	assert_true(world_at(&w, MSG_GW_PORT_DEL, 0, 1) > world_at(&w, MSG_VMM_OP, 0, 1));
	assert_true(world_at(&w, MSG_GW_QUIT, -1, 1) > world_at(&w, MSG_GW_PORT_DEL, -1, 3));
	assert_true(world_at(&w, MSG_EV_QUIT, -1, 1) > world_at(&w, MSG_GW_QUIT, -1, 1));
	assert_true(world_at(&w, MSG_PRIV_QUIT, -1, 1) > world_at(&w, MSG_EV_QUIT, -1, 1));
	/* Disks stay: they are evidence. */
	for (unsigned i = 0; i < w.n; i++)
		assert_false(w.trace[i].type == MSG_PRIV_DISK && w.trace[i].arg == DISK_REMOVE);
	world_end(&w);
}

/* What passed the gateway before evidence died is in the rings: down saves it. */
static void test_down_after_evidence_died(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	unsigned spawned = world_count(&w, MSG_PRIV_SPAWN);
	world_exited(&w, ROLE_EVIDENCE, 0, false, SIGKILL);
	world_idle(&w, 200);
	unsigned start = w.n;
	assert_true(world_down(&w));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_SPAWN), spawned + 1);
	int again = -1, gone = -1;
	for (unsigned i = start; i < w.n; i++) {
		if (again < 0 && w.trace[i].type == MSG_EV_RING && w.trace[i].slot == 0)
			again = (int)i;
		if (gone < 0 && w.trace[i].type == MSG_EV_RING_DEL && w.trace[i].slot == 0)
			gone = (int)i;
	}
	assert_true(again >= 0 && gone > again);
	assert_true(world_at(&w, MSG_EV_QUIT, -1, 1) > gone);
	world_end(&w);
}

static void test_two_ups_and_down_during_up(void **state)
{
	(void)state;
	static struct world w;
	world_start(&w);
	world_model(&model, 2);
	w.mute_boot = true; /* the first one hangs in booting */
	model.honeypots[0].boot_seconds = model.honeypots[1].boot_seconds = 60;
	struct cmd_apply a = { 0 };
	struct err e;
	int fd = model_seal(&model, &e);
	uint64_t first = ++w.last_req;
	assert_int_equal(msg_send(&w.cli, MSG_CMD_APPLY, first, &a, sizeof(a), &fd, 1), 0);
	world_idle(&w, 300);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, -EBUSY);
	assert_true(world_down(&w));
	assert_int_equal(w.status, 0);
	world_idle(&w, 300);
	assert_true(w.gone);
	for (int i = 0; i < SLOTS; i++)
		assert_false(w.vmm_alive[i]);
	world_end(&w);
}

static void test_priv_death_ends_super(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	chan_close(&w.priv);
	world_idle(&w, 300);
	assert_true(w.gone);
	world_end(&w);
}

static void test_console_and_lab(void **state)
{
	(void)state;
	static struct world w;
	up(&w, 1);
	struct cmd_console c = { .honeypot = "web0" };
	world_ask(&w, MSG_CMD_CONSOLE, &c, sizeof(c));
	assert_true(world_run(&w, 3000));
	assert_int_equal(w.status, 0);
	assert_int_equal(w.fds, 1);
	world_ask(&w, MSG_CMD_LAB, &(struct cmd_lab){ 0 }, sizeof(struct cmd_lab));
	assert_true(world_run(&w, 3000));
	assert_int_equal(w.status, 0);
	assert_int_equal(w.fds, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_order),
		cmocka_unit_test(test_early_command),
		cmocka_unit_test(test_up_again_is_idempotent),
		cmocka_unit_test(test_difference),
		cmocka_unit_test(test_failures_leave_nothing),
		cmocka_unit_test(test_failed_change_keeps_the_old),
		cmocka_unit_test(test_boot_is_tried_twice),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_crash_and_halt),
		cmocka_unit_test(test_handler_death_takes_its_machine),
		cmocka_unit_test(test_only_the_gateway_holds_ports),
		cmocka_unit_test(test_gateway_death),
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_freeze_honeynet),
		cmocka_unit_test(test_freeze_not_confirmed),
		cmocka_unit_test(test_evidence_stop),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_down_after_evidence_died),
		cmocka_unit_test(test_two_ups_and_down_during_up),
		cmocka_unit_test(test_priv_death_ends_super),
		cmocka_unit_test(test_console_and_lab),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
