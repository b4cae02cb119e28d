/* SPDX-License-Identifier: ISC */
/* What triggers do, and other policies for what runs. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct model model;
static struct world w;

static struct trigger *trigger(const char *name, enum trigger_on on, unsigned actions)
{
	struct trigger *t = &model.triggers[model.ntriggers++];
	*t = (struct trigger){ .on = on, .actions = actions, .alert = RULE_ALERT_ANY };
	snprintf(t->name, sizeof(t->name), "%s", name);
	return t;
}

static uint16_t keyword(const char *s)
{
	struct keyword *k = &model.pool.keywords[model.pool.nkeywords];
	*k = (struct keyword){ .n = (uint8_t)strlen(s) };
	memcpy(k->bytes, s, k->n);
	return (uint16_t)model.pool.nkeywords++;
}

/* One rule of its own for each honeypot, which says by its name whose it is. */
static struct rule *rule(struct policy *p, const char *name)
{
	struct rule *r = &model.pool.rules[model.pool.nrules];
	*r = (struct rule){ .directions = RULE_OUT, .action = ACTION_DROP, .target = RULE_NONE };
	snprintf(r->name, sizeof(r->name), "%s", name);
	p->rules = (struct span){ (uint16_t)model.pool.nrules++, 1 };
	return r;
}

static const char *rule_of(unsigned slot)
{
	const struct policy *p = world_policy_of(&w, slot);
	return !p ? "no policy" : p->rules.n ? w.pool->rules[p->rules.first].name : "no rule";
}

static void make(unsigned honeypots)
{
	world_model(&model, honeypots);
	model.npolicies = 1;
	snprintf(model.policies[0].name, NAME_CAP, "strict");
	rule(&model.policies[0].policy, "strict");
	for (unsigned i = 0; i < honeypots; i++) {
		char name[16];
		snprintf(name, sizeof(name), "own%u", i);
		rule(&model.honeypots[i].policy, name);
	}
}

static void up(void)
{
	world_start(&w);
	assert_true(world_up(&w, &model));
	if (w.status)
		print_error("%s\n", w.text);
	assert_int_equal(w.status, 0);
}

/* ---- policy and pool --------------------------------------------------------- */

/* What the gateway gets fits together at every moment of every change. */
static void test_pool_and_policy(void **state)
{
	(void)state;
	make(2);
	up();
	assert_string_equal(rule_of(0), "own0");
	assert_string_equal(rule_of(1), "own1");
	assert_int_equal(w.policy[1].honeypot, 1);
	/* Everything moves in the pool: another honeypot, other rules before those that were there. */
	world_model(&model, 3);
	for (unsigned i = 0; i < 7; i++)
		rule(&model.policy, "filler");
	model.policy.rules = (struct span){ 0, 0 };
	for (unsigned i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof(name), "new%u", i);
		rule(&model.honeypots[i].policy, name);
	}
	/* A machine that starts sends policies, too. */
	model.honeypots[1].memory *= 2;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_string_equal(rule_of(0), "new0");
	assert_string_equal(rule_of(1), "new1");
	assert_string_equal(rule_of(2), "new2");
	world_end(&w);
}

/* A machine that starts during a change gets no policy that refers to another pool. */
static void test_new_port_has_its_own_pool(void **state)
{
	(void)state;
	make(1);
	up();
	world_model(&model, 2);
	for (unsigned i = 0; i < 5; i++)
		rule(&model.policy, "filler");
	model.policy.rules = (struct span){ 0, 0 };
	rule(&model.honeypots[0].policy, "new0");
	rule(&model.honeypots[1].policy, "new1");
	/* The step that sets the policies fails: what it meets before is what counts. */
	w.fail_type = MSG_GW_POLICY;
	w.failed = 0;
	w.fail_nth = 2;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, -EIO);
	world_idle(&w, 500);
	assert_string_equal(rule_of(0), "own0");
	assert_null(world_policy_of(&w, 1));
	world_end(&w);
}

/* Rules alone are a difference. */
static void test_rules_only(void **state)
{
	(void)state;
	make(1);
	up();
	uint32_t was = w.policy_generation;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.policy_generation, was);
	rule(&model.honeypots[0].policy, "changed");
	model.pool.rules[1] = model.pool.rules[2];
	model.honeypots[0].policy.rules.first = 1;
	model.pool.nrules = 2;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.policy_generation, was + 1);
	assert_string_equal(rule_of(0), "changed");
	world_end(&w);
}

static void test_policy_apply(void **state)
{
	(void)state;
	make(2);
	up();
	unsigned vmms = world_count(&w, MSG_PRIV_VMM), files = world_count(&w, MSG_EV_FILE);
	make(2);
	rule(&model.honeypots[1].policy, "applied");
	assert_true(world_policy(&w, &model, POLICY_DRY_RUN));
	assert_int_equal(w.status, 0);
	assert_non_null(strstr(w.text, "the policies of 1 of 2"));
	assert_string_equal(rule_of(1), "own1");
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, 0);
	assert_string_equal(rule_of(0), "own0");
	assert_string_equal(rule_of(1), "applied");
	assert_int_equal(world_count(&w, MSG_PRIV_VMM), vmms);
	assert_int_equal(world_count(&w, MSG_EV_FILE), files); /* no source came with it */
	/* An `up` of the same finds nothing to do. */
	uint32_t was = w.policy_generation;
	assert_true(world_up(&w, &model));
	assert_int_equal(w.policy_generation, was);
	world_end(&w);
}

static void test_policy_apply_refuses(void **state)
{
	static const char *const words[] = { "memory of web0", "honeypot web2 is new", "web1 is not there",
					     "limits of evidence", "uplink" };
	(void)state;
	make(2);
	up();
	uint32_t was = w.policy_generation;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		make(i == 1 ? 3 : i == 2 ? 1 : 2);
		rule(&model.honeypots[0].policy, "other");
		if (i == 0)
			model.honeypots[0].memory *= 2;
		if (i == 3)
			model.evidence.rotate_bytes *= 2;
		if (i == 4)
			addr_parse("192.0.2.0/24", 1, &model.lab[0]);
		assert_true(world_policy(&w, &model, 0));
		assert_int_equal(w.status, -EBUSY);
		if (!strstr(w.text, words[i]) || !strstr(w.text, "skep up"))
			fail_msg("%s: %s", words[i], w.text);
		assert_int_equal(w.policy_generation, was);
	}
	world_end(&w);
}

/* The gateway refuses: the old one stays, for whatever is sent later, too. */
static void test_policy_apply_fails(void **state)
{
	(void)state;
	make(1);
	up();
	make(1);
	rule(&model.honeypots[0].policy, "refused");
	trigger("t", TRIGGER_LIMIT, TRIGGER_DO_FREEZE);
	w.fail_type = MSG_GW_POLICY;
	w.failed = 0;
	w.fail_nth = 1;
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, -EIO);
	assert_non_null(strstr(w.text, "stays"));
	world_idle(&w, 300);
	assert_string_equal(rule_of(0), "own0");
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_string_equal(rule_of(0), "own0");
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_TCP, 1);
	world_idle(&w, 300);
	assert_int_equal(world_events(&w, "skep.trigger.limit", NULL), 0);
	assert_int_equal(world_events(&w, "skep.policy.failed", NULL), 1);
	/* And a second try is not confused by the first. */
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, 0);
	assert_string_equal(rule_of(0), "refused");
	world_end(&w);
}

/* ---- triggers -------------------------------------------------------------- */

static void test_freeze_and_thaw(void **state)
{
	(void)state;
	make(2);
	struct trigger *t = trigger("irc", TRIGGER_KEYWORD, TRIGGER_DO_FREEZE);
	t->keyword = keyword("PRIVMSG");
	t->seconds = 4;
	up();
	world_hit(&w, 1, HIT_KEYWORD, 0, 3);
	world_idle(&w, 400);
	bool frozen = false;
	for (unsigned i = 0; i < w.n; i++)
		frozen |= w.trace[i].type == MSG_GW_FREEZE && w.trace[i].slot == 1 && w.trace[i].arg == 1;
	assert_true(frozen);
	assert_int_equal(world_events(&w, "skep.trigger.keyword", "web1"), 1);
	assert_int_equal(world_events(&w, "skep.policy.frozen", "web1"), 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[1].frozen, FROZEN_ITSELF);
	assert_true(w.hp[1].freeze_left >= 1 && w.hp[1].freeze_left <= 4);
	assert_int_equal(w.hp[0].frozen, 0);
	/* A reset does not thaw it, its time does. */
	assert_true(world_machine(&w, MACHINE_RESET, "web1"));
	assert_int_equal(w.status, 0);
	world_idle(&w, 5500);
	assert_int_equal(world_events(&w, "skep.policy.thawed", "web1"), 1);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[1].frozen, 0);
	world_end(&w);
}

/* What an operator says counts: no trigger's timer undoes it. */
static void test_operator_freeze_stays(void **state)
{
	(void)state;
	make(1);
	struct trigger *t = trigger("l", TRIGGER_LIMIT, TRIGGER_DO_FREEZE);
	t->seconds = 2;
	up();
	assert_true(world_freeze(&w, "web0", true));
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_UDP, 1);
	world_idle(&w, 4000);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].frozen, FROZEN_ITSELF);
	/* The other way round: frozen by the trigger, then by the operator. */
	assert_true(world_freeze(&w, "web0", false));
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_UDP, 1);
	world_idle(&w, 300);
	assert_true(world_freeze(&w, "web0", true));
	world_idle(&w, 4000);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].frozen, FROZEN_ITSELF);
	world_end(&w);
}

static void test_tighten(void **state)
{
	(void)state;
	make(2);
	struct trigger *t = trigger("nc", TRIGGER_PROCESS, TRIGGER_DO_POLICY);
	snprintf(t->match, sizeof(t->match), "nc*");
	t->seconds = 6;
	up();
	assert_int_equal(w.watch[0].n, 1);
	assert_string_equal(w.watch[0].at[0].match, "nc*");
	world_intro_hit(&w, 0, 0, "/usr/bin/nc");
	world_idle(&w, 400);
	assert_string_equal(rule_of(0), "strict");
	assert_string_equal(rule_of(1), "own1");
	assert_true(world_ps(&w, false));
	assert_string_equal(w.hp[0].tightened, "strict");
	assert_string_equal(w.hp[1].tightened, "");
	/* Neither a reset nor a new gateway gives it back. */
	assert_true(world_machine(&w, MACHINE_RESET, "web0"));
	assert_string_equal(rule_of(0), "strict");
	world_idle(&w, 7000);
	assert_string_equal(rule_of(0), "own0");
	assert_int_equal(world_events(&w, "skep.policy.own", "web0"), 1);
	world_end(&w);
}

static void test_tighten_until_applied(void **state)
{
	(void)state;
	make(2);
	trigger("any", TRIGGER_LOGIN, TRIGGER_DO_POLICY);
	up();
	world_intro_hit(&w, 1, 0, "root");
	world_idle(&w, 300);
	assert_string_equal(rule_of(1), "strict");
	world_exited(&w, ROLE_GATEWAY, 0, false, 9);
	world_idle(&w, 200);
	assert_true(world_up(&w, &model));
	assert_int_equal(w.status, 0);
	assert_string_equal(rule_of(1), "strict");
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, 0);
	world_idle(&w, 200);
	assert_string_equal(rule_of(1), "own1");
	world_end(&w);
}

/* The gateway does not take the tighter policy: then nothing passes at all. */
static void test_tighten_refused(void **state)
{
	(void)state;
	make(1);
	trigger("l", TRIGGER_LIMIT, TRIGGER_DO_POLICY);
	up();
	w.fail_type = MSG_GW_POLICY;
	w.failed = 0;
	w.fail_nth = 1;
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_TCP, 1);
	world_idle(&w, 400);
	assert_int_equal(world_events(&w, "skep.policy.frozen", "web0"), 1);
	world_end(&w);
}

static void test_pause(void **state)
{
	(void)state;
	make(2);
	struct trigger *t = trigger("p", TRIGGER_COMMAND, TRIGGER_DO_PAUSE);
	t->seconds = 4;
	t->honeypots[0] = 1; /* web0 only */
	up();
	assert_int_equal(w.watch[0].n, 1);
	assert_int_equal(w.watch[1].n, 0);
	world_intro_hit(&w, 0, 0, "wget http://198.51.100.9/x");
	world_idle(&w, 400);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].state, MACHINE_PAUSED);
	assert_int_equal(w.hp[0].held, 1);
	int pause = world_at(&w, MSG_VMM_OP, 0, 1), hold = world_at(&w, MSG_GW_HOLD, 0, 1);
	assert_true(pause > 0 && hold > pause);
	assert_int_equal(w.trace[hold].arg, 1);
	world_idle(&w, 5000);
	int release = world_at(&w, MSG_GW_HOLD, 0, 2), resume = world_at(&w, MSG_VMM_OP, 0, 2);
	assert_true(release > hold && resume > release);
	assert_int_equal(w.trace[release].arg, 0);
	assert_int_equal(w.trace[resume].arg, VMM_OP_RESUME);
	assert_true(world_ps(&w, false));
	assert_int_equal(w.hp[0].state, MACHINE_RUNNING);
	assert_int_equal(w.hp[0].held, 0);
	world_end(&w);
}

/* An operator's pause holds too; a gateway that cannot hold costs no pause. */
static void test_operator_pause(void **state)
{
	(void)state;
	make(1);
	up();
	assert_true(world_machine(&w, MACHINE_PAUSE, "web0"));
	assert_int_equal(w.trace[world_at(&w, MSG_GW_HOLD, 0, 1)].arg, 1);
	assert_true(world_machine(&w, MACHINE_RESUME, "web0"));
	assert_int_equal(w.trace[world_at(&w, MSG_GW_HOLD, 0, 2)].arg, 0);
	w.fail_type = MSG_GW_HOLD;
	w.failed = 0;
	w.fail_nth = 1;
	assert_true(world_machine(&w, MACHINE_PAUSE, "web0"));
	assert_int_equal(w.status, 0);
	assert_int_equal(world_events(&w, "skep.machine.not-held", "web0"), 1);
	assert_true(world_machine(&w, MACHINE_RESUME, "web0"));
	assert_int_equal(w.status, 0);
	/* A paused machine that is stopped is held no longer. */
	assert_true(world_machine(&w, MACHINE_PAUSE, "web0"));
	unsigned n = world_count(&w, MSG_GW_HOLD);
	assert_true(world_machine(&w, MACHINE_STOP, "web0"));
	assert_int_equal(world_count(&w, MSG_GW_HOLD), n + 1);
	world_end(&w);
}

/* In no window more than its throttle says; another honeypot has its own. */
static void test_throttle(void **state)
{
	(void)state;
	make(2);
	struct trigger *t = trigger("l", TRIGGER_LIMIT, TRIGGER_DO_EVENT);
	t->throttle = (struct limit){ 2, 6 };
	up();
	for (int i = 0; i < 8; i++) {
		world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_TCP, 1);
		world_idle(&w, 100);
	}
	assert_int_equal(world_events(&w, "skep.trigger.limit", "web0"), 2);
	world_hit(&w, 1, HIT_LIMIT, REASON_LIMIT_TCP, 1);
	world_idle(&w, 100);
	assert_int_equal(world_events(&w, "skep.trigger.limit", "web1"), 1);
	/* The same trigger in another policy has not forgotten. */
	assert_true(world_policy(&w, &model, 0));
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_TCP, 1);
	world_idle(&w, 100);
	assert_int_equal(world_events(&w, "skep.trigger.limit", "web0"), 2);
	world_idle(&w, 7000);
	world_hit(&w, 0, HIT_LIMIT, REASON_LIMIT_TCP, 1);
	world_idle(&w, 100);
	assert_int_equal(world_events(&w, "skep.trigger.limit", "web0"), 3);
	world_end(&w);
}

/* An index that meant another keyword when the gateway wrote it. */
static void test_stale_hits(void **state)
{
	(void)state;
	make(1);
	trigger("k", TRIGGER_KEYWORD, TRIGGER_DO_EVENT)->keyword = keyword("aaaa");
	up();
	make(1);
	keyword("other");
	trigger("k", TRIGGER_KEYWORD, TRIGGER_DO_EVENT)->keyword = keyword("aaaa");
	uint32_t was = w.policy_generation;
	assert_true(world_policy(&w, &model, 0));
	assert_int_equal(w.status, 0);
	uint32_t now = w.policy_generation;
	assert_true(now > was);
	w.policy_generation = was;
	world_hit(&w, 0, HIT_KEYWORD, 1, 1);
	world_idle(&w, 200);
	assert_int_equal(world_events(&w, "skep.trigger.keyword", NULL), 0);
	w.policy_generation = now;
	world_hit(&w, 0, HIT_KEYWORD, 1, 1);
	world_hit(&w, 0, HIT_KEYWORD, 60000, 1); /* nonsense */
	world_hit(&w, 7, HIT_KEYWORD, 1, 1);     /* no such honeypot */
	world_hit(&w, 0, 9, 1, 1);
	world_idle(&w, 200);
	assert_int_equal(world_events(&w, "skep.trigger.keyword", NULL), 1);
	world_end(&w);
}

static void test_notices(void **state)
{
	(void)state;
	make(1);
	trigger("c", TRIGGER_COMMAND, TRIGGER_DO_NOTIFY);
	memcpy(model.notify.exec, "/bin/true\0", 11);
	up();
	world_intro_hit(&w, 0, 0, "echo \"\r\nBcc: x\" \x1b[2J");
	world_idle(&w, 200);
	assert_int_equal(world_events(&w, "skep.notify.failed", NULL), 1); /* nobody is there yet: said once */
	world_notify(&w);
	world_idle(&w, 300);
	assert_string_equal(w.notify_conf.exec, "/bin/true");
	assert_int_equal(w.nnotices, 1);
	assert_string_equal(w.notices[0].trigger, "c");
	assert_string_equal(w.notices[0].honeypot, "web0");
	assert_string_equal(w.notices[0].text, "echo \"\r\nBcc: x\" \x1b[2J");
	assert_int_equal(w.notices[0].session, 0xabc);
	struct notify_failed f = { .way = NOTIFY_EXEC, .honeypot = "web0", .trigger = "c", .text = "no such program" };
	assert_int_equal(msg_send(&w.notify, MSG_NOTIFY_FAILED, 0, &f, sizeof(f), NULL, 0), 0);
	world_idle(&w, 200);
	assert_int_equal(world_events(&w, "skep.notify.failed", "web0"), 1);
	/* It may do nothing else with that connection. */
	struct cmd_down d = { 0 };
	w.notify.self = ROLE_CLI;
	msg_send(&w.notify, MSG_CMD_DOWN, 9, &d, sizeof(d), NULL, 0);
	world_idle(&w, 300);
	assert_int_equal(world_events(&w, "skep.notify.gone", NULL), 1);
	assert_false(w.gone);
	/* Notices are kept for the next, as many as there is room for. */
	for (int i = 0; i < 40; i++) {
		world_intro_hit(&w, 0, 0, "again");
		world_idle(&w, 20);
	}
	chan_close(&w.notify);
	w.nnotices = 0;
	world_notify(&w);
	world_idle(&w, 400);
	assert_int_equal(w.nnotices, 32);
	assert_int_equal(w.notices[0].left_out + w.notices[31].left_out, 8);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_and_policy),
		cmocka_unit_test(test_new_port_has_its_own_pool),
		cmocka_unit_test(test_rules_only),
		cmocka_unit_test(test_policy_apply),
		cmocka_unit_test(test_policy_apply_refuses),
		cmocka_unit_test(test_policy_apply_fails),
		cmocka_unit_test(test_freeze_and_thaw),
		cmocka_unit_test(test_operator_freeze_stays),
		cmocka_unit_test(test_tighten),
		cmocka_unit_test(test_tighten_until_applied),
		cmocka_unit_test(test_tighten_refused),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_operator_pause),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_stale_hits),
		cmocka_unit_test(test_notices),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
