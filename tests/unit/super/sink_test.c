/* SPDX-License-Identifier: ISC */
/* A network's sinkhole: there before a policy that sends to it, gone when none
 * does, and never in the way. */
#include "world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct model model;
static struct world w;

#define SINK ((int)PORT_SINK(0))

static void a_model(bool sinkhole)
{
	world_model(&model, 2);
	if (!sinkhole)
		return;
	model.pool.nrules = 1;
	model.pool.rules[0] = (struct rule){
		.name = "mail", .directions = RULE_OUT, .has_proto = 1, .proto = 6, .action = ACTION_SINKHOLE
	};
	model.honeypots[0].policy.rules = (struct span){ 0, 1 };
}

static void up(bool sinkhole)
{
	memset(&w, 0, sizeof(w));
	world_start(&w);
	a_model(sinkhole);
	assert_true(world_up(&w, &model));
}

static int last(uint32_t type, int slot)
{
	int at = -1;
	for (unsigned i = 0; i < w.n; i++)
		if (w.trace[i].type == type && (slot < 0 || w.trace[i].slot == slot))
			at = (int)i;
	return at;
}

static void test_order(void **state)
{
	(void)state;
	up(true);
	assert_int_equal(w.status, 0);
	int place = last(MSG_PRIV_SINK, -1), ring = last(MSG_EV_RING, SINK), port = last(MSG_GW_PORT, SINK);
	int policy = last(MSG_GW_POLICY, -1);
	assert_true(place >= 0 && ring > place && port > ring && policy > port);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 1);
	assert_int_equal(w.sink_pid[0] != 0, 1);
	assert_int_equal(world_events(&w, "skep.sinkhole.on", NULL), 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.sinks_wanted, 1);
	assert_int_equal(w.net.sinks, 1);
	assert_true(world_down(&w));
	/* Before its network, and its records first. */
	assert_true(last(MSG_SINK_QUIT, 0) > last(MSG_GW_PORT_DEL, SINK));
	assert_true(last(MSG_PRIV_SINK_DEL, -1) > last(MSG_SINK_QUIT, 0));
	assert_true(last(MSG_EV_RING_DEL, SINK) > last(MSG_PRIV_SINK_DEL, -1));
	assert_true(last(MSG_PRIV_LAB_DEL, -1) > last(MSG_EV_RING_DEL, SINK));
	world_end(&w);
}

static void test_none_needed(void **state)
{
	(void)state;
	up(false);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 0);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.sinks_wanted, 0);
	/* One that needs it, by a reload; then none again. */
	a_model(true);
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 1);
	assert_true(last(MSG_GW_POLICY, -1) > last(MSG_GW_PORT, SINK));
	a_model(false);
	assert_true(world_policy(&w, &model, 0));
	world_idle(&w, 200);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK_DEL), 1);
	assert_true(last(MSG_GW_PORT_DEL, SINK) > last(MSG_GW_POLICY, -1));
	/* And once more. */
	a_model(true);
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 2);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.sinks, 1);
	world_end(&w);
}

/* A policy that triggers can tighten to needs it before it is in force. */
static void test_named_policy(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	world_start(&w);
	a_model(true);
	model.policies[0].policy = model.honeypots[0].policy;
	strcpy(model.policies[0].name, "tight");
	model.npolicies = 1;
	model.honeypots[0].policy = (struct policy){ 0 };
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 1);
	world_end(&w);
}

/* Whatever fails: the honeynet runs, the gateway has no port, and that is told. */
static void test_failures(void **state)
{
	static const uint32_t types[] = { MSG_PRIV_SINK, MSG_EV_RING, MSG_EV_SOURCE, MSG_PRIV_SPAWN, MSG_GW_PORT };
	static const unsigned nth[] = { 1, 4, 1, 1, 4 };
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		memset(&w, 0, sizeof(w));
		world_start(&w);
		a_model(true);
		w.fail_type = types[i];
		w.fail_nth = nth[i];
		assert_true(world_up(&w, &model));
		world_idle(&w, 100);
		assert_true(w.failed >= nth[i]);
		if (w.status)
			fail_msg("%s: %s", proto_rule(types[i])->name, w.text);
		assert_int_equal(world_events(&w, "skep.sinkhole.failed", NULL), 1);
		assert_int_equal(world_events(&w, "skep.sinkhole.on", NULL), 0);
		assert_int_equal(world_count(&w, MSG_PRIV_SINK_DEL), 1);
		if (types[i] == MSG_GW_PORT)
			assert_true(last(MSG_GW_PORT_DEL, SINK) > last(MSG_GW_PORT, SINK));
		assert_true(world_ps(&w, false));
		assert_int_equal(w.net.sinks_wanted, 1);
		assert_int_equal(w.net.sinks, 0);
		assert_true(w.net.sink_why[0] != 0);
		world_end(&w);
	}
}

static void test_its_death(void **state)
{
	(void)state;
	up(true);
	for (unsigned i = 1; i <= 3; i++) {
		world_exited(&w, ROLE_SINKHOLE, 0, false, SIGSEGV);
		world_idle(&w, (int)i * 1000 + 300);
		assert_int_equal(world_events(&w, "skep.sinkhole.exited", NULL), i);
		assert_true(w.sink_pid[0] != 0);
	}
	world_exited(&w, ROLE_SINKHOLE, 0, false, SIGSEGV);
	world_idle(&w, 300);
	assert_int_equal(world_events(&w, "skep.sinkhole.failed", NULL), 1);
	assert_true(last(MSG_GW_PORT_DEL, SINK) >= 0);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 1);
	assert_true(world_down(&w));
	world_end(&w);
}

/* A new gateway gets it again, with everything else. */
static void test_revive(void **state)
{
	(void)state;
	up(true);
	world_exited(&w, ROLE_GATEWAY, 0, false, SIGSEGV);
	world_idle(&w, 200);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK), 2);
	assert_int_equal(world_count(&w, MSG_PRIV_SINK_DEL), 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.net.sinks, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),        cmocka_unit_test(test_none_needed),
		cmocka_unit_test(test_named_policy), cmocka_unit_test(test_failures),
		cmocka_unit_test(test_its_death),    cmocka_unit_test(test_revive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
