/* SPDX-License-Identifier: ISC */
/* Policies: how lists are laid out, what presets let out, and models from others. */
#include "util.h"

#include "model/same.h"

#include <errno.h>
#include <stdlib.h>

static struct model m, copy, preset;

#define HEAD                                                                                                           \
	"honeynet: n\nnetworks: {lan: {v4: 198.51.100.0/24}}\nuplink: {lab: 203.0.113.0/24}\n"                         \
	"honeypots:\n"
#define WEB(policy) "  web: {image: busybox, address: 198.51.100.10, policy: {" policy "}}\n"
#define DB(policy) "  db: {image: busybox, address: 198.51.100.11, policy: {" policy "}}\n"
#define MAIL "  mail: {image: busybox, address: 198.51.100.12}\n"

/* The names of the rules that honeypot i has, in their order. */
static const char *rules_of(const struct policy *p, unsigned honeypot)
{
	static char text[256];
	static const uint8_t any[32];
	*text = '\0';
	for (unsigned i = p->rules.first; i < (unsigned)p->rules.first + p->rules.n; i++) {
		const struct rule *r = &m.pool.rules[i];
		if (memcmp(r->honeypots, any, 32) != 0 && !(r->honeypots[honeypot / 8] & 1u << (honeypot % 8)))
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? " " : "", r->name);
	}
	return text;
}

#define HAS(i, want) assert_string_equal(rules_of(&m.honeypots[i].policy, i), want)

static void own_rules_before_inherited(void **state)
{
	(void)state;
	good(HEAD WEB("rules: [{name: w1, do: drop}, {name: w2, do: drop}]") DB("rules: [{name: d1, do: drop}]") MAIL
	     "policy: {rules: [{name: n1, do: drop}, {name: n2, do: allow}]}\n",
	     &m);
	HAS(0, "w1 w2 n1 n2");
	HAS(1, "d1 n1 n2");
	HAS(2, "n1 n2");
	assert_string_equal(rules_of(&m.policy, 9), "n1 n2");
	/* No copy: there is room for many honeypots. */
	assert_int_equal(m.pool.nrules, 5);
}

static void none_stands_for_not_inheriting(void **state)
{
	(void)state;
	good(HEAD WEB("rules: [{name: w1, do: drop}, none]") DB("rules: none") MAIL
	     "policy: {rules: [{name: n1, do: drop}]}\n",
	     &m);
	HAS(0, "w1");
	HAS(1, "");
	HAS(2, "n1");
	good(HEAD WEB("fence: [203.0.113.1, none]") DB("fence: none") MAIL "policy: {fence: [203.0.113.2]}\n", &m);
	assert_int_equal(m.honeypots[0].policy.fence.n, 1);
	assert_int_equal(m.pool.prefixes[m.honeypots[0].policy.fence.first].b[3], 1);
	assert_int_equal(m.honeypots[1].policy.fence.n, 0);
	assert_int_equal(m.honeypots[2].policy.fence.n, 1);
}

static void lists_are_added_to(void **state)
{
	(void)state;
	good(HEAD WEB("fence: [203.0.113.1, 203.0.113.2]") DB("black: 203.0.113.3") MAIL
	     "policy: {fence: [203.0.113.2, 203.0.113.9]}\n",
	     &m);
	assert_int_equal(m.honeypots[0].policy.fence.n, 3);
	assert_int_equal(m.honeypots[1].policy.fence.n, 2);
	assert_int_equal(m.honeypots[1].policy.fence.first, m.policy.fence.first);
	assert_int_equal(m.honeypots[1].policy.black.n, 1);
	assert_int_equal(m.honeypots[2].policy.fence.first, m.policy.fence.first);
}

static void rules_of_a_preset(void **state)
{
	(void)state;
	good(HEAD WEB("preset: careful, rules: [{name: w1, do: drop}]") DB("preset: strict") MAIL
	     "policy: {preset: sandbox, rules: [{name: n1, do: drop}]}\n"
	     "policies: {p: {rules: [{name: p1, do: drop}]}, q: {roach-motel: yes}, r: {preset: careful}}\n",
	     &m);
	HAS(0, "w1 mail worms names time");
	HAS(1, "");
	HAS(2, "n1 mail web all names");
	assert_string_equal(rules_of(&m.policies[0].policy, 0), "p1 n1 mail web all names");
	assert_string_equal(rules_of(&m.policies[1].policy, 0), "n1 mail web all names");
	assert_string_equal(rules_of(&m.policies[2].policy, 0), "mail worms names time");
	assert_int_equal(m.honeypots[0].policy.jitter, 20);
	assert_int_equal(m.honeypots[1].policy.jitter, 0);
	assert_int_equal(m.policies[1].policy.roach_motel, 1);
}

static void who_plays_is_not_played_for(void **state)
{
	(void)state;
	good(HEAD WEB("inbound: allow") DB("inbound: allow") MAIL
	     "policy: {rules: [{name: r, do: reflect, target: db}]}\n",
	     &m);
	HAS(0, "r");
	HAS(1, "");
	HAS(2, "r");
	assert_int_equal(m.pool.rules[0].target, 1);
}

static const struct rule *bound(const char *rule)
{
	static char text[1024];
	snprintf(text, sizeof(text), HEAD "%s%spolicy:\n  inspect: inline\n  rules:\n    - %s\n", WEB("inbound: allow"),
		 DB("inbound: allow"), rule);
	good(text, &m);
	return &m.pool.rules[0];
}

static void values_of_rules(void **state)
{
	(void)state;
	const struct rule *r = bound("{do: drop}");
	assert_string_equal(r->name, "line-10");
	assert_int_equal(r->line, 10);
	assert_int_equal(r->directions, RULE_OUT);
	r = bound("{do: drop, direction: [in, lateral], protocol: 47, state: established, alert: any}");
	assert_int_equal(r->directions, RULE_IN | RULE_LATERAL);
	assert_true(r->has_proto && r->proto == 47);
	assert_int_equal(r->state, RULE_STATE_ESTABLISHED);
	assert_true(r->alert == RULE_ALERT_ANY);
	r = bound("{do: drop, protocol: tcp, ports: [22, 80-90], source-ports: 0-65535, network: lan}");
	assert_int_equal(r->ports.n, 2);
	assert_int_equal(m.pool.ranges[r->ports.first + 1].from, 80);
	assert_int_equal(m.pool.ranges[r->ports.first + 1].to, 90);
	assert_int_equal(m.pool.ranges[r->sports.first].to, 65535);
	assert_int_equal(r->networks, 1);
	r = bound("{do: limit, limit: 7/day, per: honeynet}");
	assert_true(r->limit.count == 7 && r->limit.seconds == 86400 && r->per == PER_HONEYNET);
	r = bound("{do: first, first: {bytes: 1k}}");
	assert_true(r->first.bytes == 1024 && !r->first.packets && !r->first.seconds);
	r = bound("{do: rewrite, replace: [{from: '\\x00\\xff\\\\', to: 'a\\r\\n'}]}");
	assert_int_equal(m.pool.rewrites[0].n, 3);
	assert_memory_equal(m.pool.rewrites[0].from, "\x00\xff\\", 3);
	assert_memory_equal(m.pool.rewrites[0].to, "a\r\n", 3);
	assert_int_equal(r->rewrites.n, 1);
	r = bound("{do: sinkhole, protocol: tcp, sink: http}");
	assert_int_equal(r->sink, SINK_HTTP);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		struct when want;
	} cases[] = {
		{ "mon-fri 08:00-18:00", { .days = 0x1f, .from = 480, .to = 1080 } },
		{ "08:00-24:00", { .days = 0x7f, .from = 480, .to = 0 } },
		{ "sat", { .days = 0x20 } },
		{ "fri-mon 22:30-06:15", { .days = 0x71, .from = 1350, .to = 375 } },
		{ "tue,thu,sun 00:00-00:01", { .days = 0x4a, .from = 0, .to = 1 } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		snprintf(text, sizeof(text), "{do: drop, when: '%s'}", cases[i].text);
		const struct rule *r = bound(text);
		assert_memory_equal(&r->when, &cases[i].want, sizeof(r->when));
	}
}

/* ---- presets ---- */

static bool anything_out(const struct policy *p)
{
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		if (p->outbound[i].count || p->lateral[i].count)
			return true;
	return p->allow.n || p->multicast_allow;
}

static void presets_are_right(void **state)
{
	(void)state;
	static struct diag d;
	const char *name;
	unsigned n = 0;
	for (; (name = model_preset_name(n)); n++) {
		char text[512];
		size_t len;
		assert_int_equal(model_preset(name, &preset, &d), 0);
		assert_int_equal(model_check_policy(&preset, NULL), 0);
		assert_int_equal(model_check(&preset, NULL), -EINVAL);
		assert_false(preset.npolicies || preset.ntriggers || *preset.notify.mail);
		assert_true(preset.policy.flow.bytes && preset.policy.honeypot.bytes && preset.policy.honeypot.packets);
		/* Its first line says what it is; its only key is the policy. */
		snprintf(text, sizeof(text), "# %s: ", name);
		assert_memory_equal(model_preset_text(n, &len), text, strlen(text));
		assert_true(model_is_policy(model_preset_text(n, &len), len));
		for (uint32_t i = 0; i < preset.pool.nrules; i++)
			assert_memory_not_equal(preset.pool.rules[i].name, "line-", 5);
		/* The same wherever it is written, whatever stood there before. */
		snprintf(text, sizeof(text), HEAD "%s%spolicy: {outbound: {other: unlimited}}\n", WEB("inbound: deny"),
			 "  db: {image: busybox, address: 198.51.100.11, policy: {preset: PRESET}}\n");
		char *at = strstr(text, "PRESET");
		char tail[256];
		snprintf(tail, sizeof(tail), "%s", at + 6);
		snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", name, tail);
		good(text, &m);
		assert_true(same_policy(&preset, &preset.policy, &m, &m.honeypots[1].policy) || preset.pool.nrules);
		assert_int_equal(m.honeypots[1].policy.rules.n, preset.policy.rules.n);
		assert_int_equal(m.honeypots[1].policy.outbound[LIMIT_CLASS_OTHER].count,
				 preset.policy.outbound[LIMIT_CLASS_OTHER].count);
	}
	assert_int_equal(n, 5);
	assert_int_equal(model_preset("Strict", &preset, &d), -ENOENT);
	assert_int_equal(d.n, 1);
}

static void closed_presets_are_closed(void **state)
{
	(void)state;
	static struct diag d;
	static const char *const closed[] = { "strict", "roach-motel" };
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		assert_int_equal(model_preset(closed[i], &preset, &d), 0);
		assert_false(anything_out(&preset.policy));
		assert_int_equal(preset.pool.nrules, 0);
	}
	assert_int_equal(preset.policy.roach_motel, 1);
	assert_int_equal(model_preset("sandbox", &preset, &d), 0);
	assert_false(anything_out(&preset.policy));
	for (uint32_t i = 0; i < preset.pool.nrules; i++)
		assert_true(preset.pool.rules[i].action == ACTION_SINKHOLE ||
			    (preset.pool.rules[i].action == ACTION_LIMIT && preset.policy.dns.on));
	/* Roo's numbers. */
	assert_int_equal(model_preset("honeywall", &preset, &d), 0);
	static const unsigned roo[] = { 20, 20, 50, 10 };
	for (int c = 0; c < LIMIT_CLASS_COUNT; c++) {
		assert_int_equal(preset.policy.outbound[c].count, roo[c]);
		assert_int_equal(preset.policy.outbound[c].seconds, 3600);
	}
}

/* ---- policies by themselves ---- */

static void policy_for_a_honeynet(void **state)
{
	(void)state;
	static struct diag d;
	static const char text[] = "policy: {rules: [{name: r, do: reflect, target: db, honeypot: web}]}\n"
				   "policies: {p: {preset: strict}}\ntriggers: [{on: limit, do: policy p}]\n";
	assert_false(model_is_policy(HEAD MAIL, sizeof(HEAD MAIL) - 1));
	assert_true(model_is_policy(text, sizeof(text) - 1));
	assert_int_equal(model_parse_policy(text, sizeof(text) - 1, &preset, &d), -EINVAL);
	assert_non_null(strstr(d.items[0].text, "a policy by itself knows none"));
	good(HEAD WEB("inbound: deny") DB("preset: careful") MAIL, &copy);
	assert_int_equal(model_parse_policy_for(text, sizeof(text) - 1, &copy, &m, &d), 0);
	assert_int_equal(model_check(&m, NULL), 0);
	HAS(0, "r");
	HAS(1, "");
	assert_int_equal(m.honeypots[0].policy.inbound_deny, 0);
	assert_int_equal(m.ntriggers, 1);
	assert_string_equal(m.honeypots[2].image, "busybox");
	assert_int_equal(same_but_policies(&copy, &m, NULL), 0);
	assert_int_equal(model_preset("sandbox", &preset, &d), 0);
	model_put_policy(&m, &preset);
	assert_int_equal(model_check(&m, NULL), 0);
	HAS(1, "mail web all names");
	assert_int_equal(m.ntriggers, 0);
}

/* ---- a model from another process ---- */

static const char full[] = HEAD WEB("black: 203.0.113.5")
    DB("inbound: allow") "policy:\n  inspect: inline\n  fence: 203.0.113.9\n  rules:\n"
			 "    - {name: a, do: limit, limit: 1/day, protocol: tcp, ports: 80, to: 203.0.113.0/25}\n"
			 "    - {name: b, do: reflect, target: db}\n"
			 "    - {name: c, do: rewrite, replace: [{from: abc, to: xyz}]}\n"
			 "    - {name: d, do: first, first: {packets: 9}}\n"
			 "policies: {p: {preset: strict}}\n"
			 "triggers:\n  - {name: t, on: keyword, match: abc, do: policy p}\n"
			 "notify: {mail: root, exec: [/bin/true]}\nengine: {interfaces: [in0, out0]}\n";

struct twist {
	const char *what;
	size_t offset, size;
	uint64_t value;
};
#define TWIST(path, v)                                                                                                 \
	{                                                                                                              \
#path " = " #v, offsetof(struct model, path), sizeof(((struct model *)0)->path), (v)                   \
	}

static void check_refuses_every_twist(void **state)
{
	(void)state;
	static const struct twist twists[] = {
		TWIST(pool.nrules, POOL_RULES + 1),
		TWIST(pool.nrules, 3),
		TWIST(pool.nprefixes, POOL_PREFIXES + 1),
		TWIST(pool.nprefixes, 0),
		TWIST(pool.nranges, UINT32_MAX),
		TWIST(pool.nranges, 0),
		TWIST(pool.nrewrites, POOL_REWRITES + 1),
		TWIST(pool.nrewrites, 0),
		TWIST(pool.nkeywords, 0),
		TWIST(pool.nkeywords, POOL_KEYWORDS + 1),
		TWIST(npolicies, 0),
		TWIST(npolicies, MODEL_POLICIES + 1),
		TWIST(ntriggers, MODEL_TRIGGERS + 1),
		TWIST(policy.rules.first, 1),
		TWIST(policy.rules.n, 65535),
		TWIST(policy.fence.first, 65535),
		TWIST(policy.fence.n, 5),
		TWIST(policy.roach_motel, 2),
		TWIST(policy.engine, ENGINE_MODE_COUNT),
		TWIST(policy.engine, 0xff),
		TWIST(policy.jitter, 91),
		TWIST(policy.concurrent, UINT32_MAX),
		TWIST(policy.bandwidth, UINT64_MAX),
		TWIST(policy.fan_out.count, 5),
		TWIST(policy.per_destination[1].count, 20000),
		TWIST(policy.per_source[2].seconds, UINT32_MAX),
		TWIST(policy.dns.on, 2),
		TWIST(policy.dns.ntypes, DNS_TYPES + 1),
		TWIST(policy.dns.label_max, 64),
		TWIST(policy.dns.name_max, 254),
		TWIST(policy.dns.entropy, 8001),
		TWIST(policy.dns.resolver4.family, 6),
		TWIST(policy.dns.resolver6.family, 4),
		TWIST(honeypots[0].policy.black.first, 4095),
		TWIST(honeypots[0].policy.allow.n, 1000),
		TWIST(policies[0].policy.rules.n, 1024),
		TWIST(policies[0].name[0], '/'),
		TWIST(pool.rules[0].directions, 0),
		TWIST(pool.rules[0].directions, 8),
		TWIST(pool.rules[0].family, 5),
		TWIST(pool.rules[0].has_proto, 2),
		TWIST(pool.rules[0].has_proto, 0),
		TWIST(pool.rules[0].proto, 1),
		TWIST(pool.rules[0].state, RULE_STATE_COUNT),
		TWIST(pool.rules[0].state, RULE_STATE_ESTABLISHED),
		TWIST(pool.rules[0].action, ACTION_COUNT),
		TWIST(pool.rules[0].action, ACTION_FIRST),
		TWIST(pool.rules[0].action, ACTION_REWRITE),
		TWIST(pool.rules[0].sink, SINK_COUNT),
		TWIST(pool.rules[0].per, PER_COUNT),
		TWIST(pool.rules[0].networks, 2),
		TWIST(pool.rules[0].honeypots[0], 4),
		TWIST(pool.rules[0].honeypots[31], 128),
		TWIST(pool.rules[0].ports.n, 2),
		TWIST(pool.rules[0].to.first, 9),
		TWIST(pool.rules[0].when.days, 128),
		TWIST(pool.rules[0].when.from, 1440),
		TWIST(pool.rules[0].limit.count, 0),
		TWIST(pool.rules[0].limit.count, LIMIT_UNLIMITED),
		TWIST(pool.rules[0].limit.seconds, 0),
		TWIST(pool.rules[0].name[0], 0),
		TWIST(pool.rules[1].target, 2),
		TWIST(pool.rules[1].target, 0),
		TWIST(pool.rules[1].target, 65535),
		TWIST(pool.rules[1].honeypots[0], 3),
		TWIST(pool.rules[1].directions, RULE_IN),
		TWIST(pool.rules[1].action, ACTION_SINKHOLE),
		TWIST(pool.rules[3].first.seconds, 60),
		TWIST(pool.rules[3].first.packets, 0),
		TWIST(pool.rules[3].first.bytes, UINT64_MAX),
		TWIST(pool.prefixes[0].family, 0),
		TWIST(pool.prefixes[0].plen, 33),
		TWIST(pool.ranges[0].from, 81),
		TWIST(pool.rewrites[0].n, 0),
		TWIST(pool.rewrites[0].n, REWRITE_MAX + 1),
		TWIST(pool.keywords[0].n, 0),
		TWIST(pool.keywords[0].n, KEYWORD_MAX + 1),
		TWIST(triggers[0].on, TRIGGER_ON_COUNT),
		TWIST(triggers[0].actions, 0),
		TWIST(triggers[0].actions, 32),
		TWIST(triggers[0].keyword, 1),
		TWIST(triggers[0].policy, 1),
		TWIST(triggers[0].honeypots[1], 1),
		TWIST(triggers[0].throttle.count, 1),
		TWIST(triggers[0].seconds, UINT32_MAX),
		TWIST(triggers[0].name[0], '\n'),
		TWIST(notify.mail[0], '-'),
		TWIST(notify.webhook[0], 'x'),
		TWIST(notify.exec[0], 'x'),
		TWIST(notify.throttle.seconds, UINT32_MAX),
		TWIST(engine.kind, ENGINE_KIND_COUNT),
		TWIST(engine.nrules, ENGINE_RULES + 1),
		TWIST(engine.nrules, 1),
		TWIST(engine.nvars, 1),
		TWIST(engine.interfaces[0][0], '/'),
		TWIST(engine.interfaces[1][0], 0),
	};
	good(full, &m);
	assert_int_equal(model_check(&m, NULL), 0);
	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++) {
		struct err e = { 0 };
		memcpy(&copy, &m, sizeof(m));
		/* Little-endian hosts only, as all that skep runs on. */
		memcpy((char *)&copy + twists[i].offset, &twists[i].value, twists[i].size);
		if (model_check(&copy, &e) != -EINVAL || !*e.text)
			fail_msg("taken: %s", twists[i].what);
	}
}

static void check_refuses_text_without_end(void **state)
{
	(void)state;
	const struct {
		char *at;
		size_t n;
	} fields[] = { { copy.pool.rules[0].name, RULE_NAME_CAP },
		       { copy.policies[0].name, NAME_CAP },
		       { copy.triggers[0].name, RULE_NAME_CAP },
		       { copy.triggers[0].match, sizeof(copy.triggers[0].match) },
		       { copy.notify.mail, sizeof(copy.notify.mail) },
		       { copy.notify.webhook, sizeof(copy.notify.webhook) },
		       { copy.notify.exec, NOTIFY_ARGV_CAP },
		       { copy.engine.interfaces[0], ENGINE_IF_CAP } };
	good(full, &m);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		memcpy(&copy, &m, sizeof(m));
		memset(fields[i].at, 'a', fields[i].n);
		assert_int_equal(model_check(&copy, NULL), -EINVAL);
	}
}

/* Whatever bytes come, what passes keeps every reader inside its arrays. */
static void check_survives_noise(void **state)
{
	(void)state;
	uint64_t seed = 5;
	unsigned passed = 0;
	good(full, &m);
	for (int round = 0; round < 20000; round++) {
		static const size_t parts[][2] = { { offsetof(struct model, policy), sizeof(struct policy) },
						   { offsetof(struct model, pool), 24 },
						   { offsetof(struct model, pool.rules), 4 * sizeof(struct rule) },
						   { offsetof(struct model, pool.prefixes), 64 },
						   { offsetof(struct model, triggers), sizeof(struct trigger) } };
		memcpy(&copy, &m, sizeof(m));
		for (unsigned i = 0; i < 1 + rnd(&seed, 3); i++) {
			const size_t *part = parts[rnd(&seed, 5)];
			((uint8_t *)&copy)[part[0] + rnd(&seed, (uint32_t)part[1])] = (uint8_t)rnd(&seed, 256);
		}
		if (model_check(&copy, NULL) < 0)
			continue;
		passed++;
		assert_true(copy.pool.nrules <= POOL_RULES &&
			    copy.policy.rules.first + copy.policy.rules.n <= POOL_RULES);
		for (uint32_t i = 0; i < copy.pool.nrules; i++) {
			const struct rule *r = &copy.pool.rules[i];
			assert_true((unsigned)r->to.first + r->to.n <= copy.pool.nprefixes);
			assert_true((unsigned)r->ports.first + r->ports.n <= copy.pool.nranges);
			assert_true(r->action != ACTION_REFLECT || r->target < copy.nhoneypots);
			assert_non_null(memchr(r->name, 0, sizeof(r->name)));
		}
	}
	assert_true(passed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_rules_before_inherited),
		cmocka_unit_test(none_stands_for_not_inheriting),
		cmocka_unit_test(lists_are_added_to),
		cmocka_unit_test(rules_of_a_preset),
		cmocka_unit_test(who_plays_is_not_played_for),
		cmocka_unit_test(values_of_rules),
		cmocka_unit_test(times),
		cmocka_unit_test(presets_are_right),
		cmocka_unit_test(closed_presets_are_closed),
		cmocka_unit_test(policy_for_a_honeynet),
		cmocka_unit_test(check_refuses_every_twist),
		cmocka_unit_test(check_refuses_text_without_end),
		cmocka_unit_test(check_survives_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
