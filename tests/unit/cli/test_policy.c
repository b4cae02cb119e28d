/* SPDX-License-Identifier: ISC */
/* skep policy explain, list and import: what they say, word by word. */
#include "support.h"

#include "cli/policy_load.h"
#include "cli/policy_words.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 65536);
	if (!f || !text)
		fail_msg("%s: %s", path, strerror(errno));
	text[fread(text, 1, 65535, f)] = '\0';
	fclose(f);
	return text;
}

static const char *data(const char *name)
{
	static char path[4][512];
	static unsigned next;
	char *p = path[next++ % 4];
	snprintf(p, 512, "%s/tests/unit/cli/policy/%s", getenv("SKEP_SOURCE"), name);
	return p;
}

static void is_file(const char *got, const char *name)
{
	char *want = slurp(data(name));
	assert_string_equal(got, want);
	free(want);
}

static void presets_in_words(void **arg)
{
	(void)arg;
	const char *name;
	for (unsigned i = 0; (name = model_preset_name(i)); i++) {
		char file[64];
		const struct ran *r = run(NULL, "policy", "explain", name, NULL);
		assert_int_equal(r->status, 0);
		snprintf(file, sizeof(file), "%s.txt", name);
		is_file(r->out, file);
	}
}

static void a_honeynet_in_words(void **arg)
{
	(void)arg;
	const struct ran *r = run(NULL, "policy", "explain", data("all.yaml"), NULL);
	assert_int_equal(r->status, 0);
	is_file(r->out, "all.txt");
	r = run(NULL, "policy", "explain", "--honeypot", "decoy", data("all.yaml"), NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "\ndecoy:\n"));
	assert_null(strstr(r->out, "web1:"));
	assert_null(strstr(r->out, "by itself:"));
	assert_int_equal(run(NULL, "policy", "explain", "--honeypot", "web9", data("all.yaml"), NULL)->status, 1);
	assert_int_equal(run(NULL, "policy", "explain", "--honeypot", "web1", "strict", NULL)->status, 1);
	r = run(NULL, "policy", "explain", "strickt", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "neither a file nor a preset: presets are careful, honeywall"));
}

static json_int_t worst(const json_t *policy, const char *window, const char *side, const char *class)
{
	const json_t *v = json_object_get(json_object_get(json_object_get(policy, window), side), class);
	assert_non_null(v);
	return json_is_null(v) ? -1 : json_integer_value(v);
}

static void numbers_in_json(void **arg)
{
	(void)arg;
	const struct ran *r = run(NULL, "policy", "explain", "--json", "careful", NULL);
	json_t *v = json_loads(r->out, 0, NULL), *p = json_object_get(v, "policy");
	assert_non_null(p);
	assert_int_equal(worst(p, "worst_hour", "outbound", "tcp"), 10);
	assert_int_equal(worst(p, "worst_day", "outbound", "tcp"), 240);
	assert_int_equal(worst(p, "worst_hour", "outbound", "udp"), 5 + 120 + 4);
	assert_int_equal(worst(p, "worst_hour", "outbound", "other"), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(p, "worst_hour"), "bytes")), 128 << 20);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(p, "worst_hour"), "addresses")), 10);
	assert_int_equal(json_array_size(json_object_get(p, "rules")), 4);
	json_decref(v);
	r = run(NULL, "policy", "explain", "--json", data("all.yaml"), NULL);
	v = json_loads(r->out, 0, NULL);
	p = json_array_get(json_object_get(v, "honeypots"), 0);
	assert_int_equal(json_array_size(json_object_get(v, "honeypots")), 2);
	assert_int_equal(json_array_size(json_object_get(v, "policies")), 2);
	/* An allow rule has no limit but the ones that narrow: 10 addresses, 5 with each. */
	assert_int_equal(worst(p, "worst_hour", "outbound", "tcp"), 50);
	assert_int_equal(worst(p, "worst_hour", "outbound", "udp"), -1);
	assert_true(json_is_true(json_object_get(json_object_get(p, "worst_hour"), "allow_list")));
	json_decref(v);
}

static const struct policy_worst *bound_of(const char *policy, uint32_t seconds)
{
	static struct model m;
	static struct diag d;
	static struct policy_worst w;
	char text[1024];
	snprintf(text, sizeof(text), "policy:\n%s", policy);
	if (model_parse_policy(text, strlen(text), &m, &d) < 0)
		fail_msg("%u:%u: %s", d.items[0].at.line, d.items[0].at.col, d.items[0].text);
	policy_worst(&m, &m.policy, POLICY_NONE, seconds, &w);
	return &w;
}

/* Bounds are never too low, and follow the order of decisions. */
static void bounds(void **arg)
{
	(void)arg;
	enum { T = LIMIT_CLASS_TCP, U = LIMIT_CLASS_UDP, I = LIMIT_CLASS_ICMP, O = LIMIT_CLASS_OTHER };
	const struct policy_worst *w = bound_of("  outbound: {tcp: 7/minute, udp: 3/day}\n", 3600);
	assert_int_equal(w->out[T], 420);
	assert_int_equal(w->out[U], 3);
	assert_int_equal(w->lateral[T], 0);
	assert_int_equal(w->bytes, 512ull << 20);
	/* A window that is no whole number of the limit's touches one more. */
	assert_int_equal(bound_of("  outbound: {tcp: 7/minute}\n", 90)->out[T], 14);
	assert_int_equal(bound_of("  outbound: {tcp: unlimited}\n", 60)->out[T], POLICY_ANY);
	/* What is played or dropped first never gets to the class. */
	w = bound_of("  outbound: {tcp: 7/hour, udp: 7/hour, other: 7/hour}\n  rules:\n"
		     "    - {do: sinkhole, protocol: tcp}\n    - {do: allow, protocol: tcp}\n",
		     3600);
	assert_int_equal(w->out[T], 0);
	assert_int_equal(w->out[U], 7);
	/* But only if it takes all of it. */
	assert_int_equal(
	    bound_of("  outbound: {tcp: 7/hour}\n  rules: [{do: drop, protocol: tcp, ports: 25}]\n", 3600)->out[T], 7);
	assert_int_equal(bound_of("  outbound: {tcp: 7/hour}\n  rules: [{do: drop, when: mon}]\n", 3600)->out[T], 7);
	assert_int_equal(
	    bound_of("  outbound: {tcp: 7/hour}\n  rules: [{do: drop, direction: lateral}]\n", 3600)->out[T], 7);
	assert_int_equal(
	    bound_of("  outbound: {icmp: 7/hour, other: 7/hour}\n  rules: [{do: drop, protocol: icmp}]\n", 3600)
		->out[I],
	    0);
	assert_int_equal(
	    bound_of("  outbound: {icmp: 7/hour, other: 7/hour}\n  rules: [{do: drop, protocol: icmp}]\n", 3600)
		->out[O],
	    7);
	/* A rule's limit comes on top of the class's. */
	w = bound_of("  outbound: {tcp: 7/hour}\n  rules: [{do: limit, limit: 5/hour, protocol: tcp, ports: 22}]\n",
		     3600);
	assert_int_equal(w->out[T], 12);
	w = bound_of("  rules: [{do: limit, limit: 5/hour}]\n", 3600);
	assert_int_equal(w->out[T] + w->out[U] + w->out[I] + w->out[O], 20);
	assert_int_equal(bound_of("  rules: [{do: limit, limit: 5/hour, per: destination}]\n", 3600)->out[T],
			 POLICY_ANY);
	assert_int_equal(
	    bound_of("  fan-out: 3/hour\n  rules: [{do: limit, limit: 5/hour, per: destination}]\n", 3600)->out[T], 15);
	assert_int_equal(bound_of("  rules: [{do: first, first: {packets: 1}}]\n", 3600)->out[T], POLICY_ANY);
	assert_int_equal(
	    bound_of("  fan-out: 3/hour\n  per-destination: {tcp: 2/hour}\n  rules: [{do: allow}]\n", 3600)->out[T], 6);
	/* Nothing that is written opens a roach motel; the allow list has no number. */
	w = bound_of("  roach-motel: yes\n  allow: 203.0.113.1\n  outbound: {tcp: 7/hour}\n  rules: [{do: allow}]\n",
		     3600);
	assert_int_equal(w->out[T], 0);
	assert_false(w->allow_list);
	w = bound_of("  allow: 203.0.113.1\n", 3600);
	assert_true(w->allow_list);
	assert_int_equal(w->out[T], 0);
	w = bound_of("  bandwidth: 1k/second\n", 3600);
	assert_int_equal(w->bytes, 3600 * 1024);
}

static void presets_in_a_list(void **arg)
{
	(void)arg;
	const struct ran *r = run(NULL, "policy", "list", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "strict       nothing goes out but replies, and of those little\n"));
	r = run(NULL, "policy", "list", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(v), 5);
	json_decref(v);
}

/* ---- import ---- */

static void a_honeywall(void **arg)
{
	(void)arg;
	char out[256], *conf = slurp(data("roo/honeywall.conf")), *end;
	snprintf(out, sizeof(out), "%s/roo.yaml", state);
	const struct ran *r = run(NULL, "policy", "import", data("roo/honeywall.conf"), "--output", out, NULL);
	assert_int_equal(r->status, 0);
	char *got = slurp(out), *policy = strstr(got, "\npolicy:\n"), *want = slurp(data("roo.yaml"));
	assert_non_null(policy);
	assert_string_equal(policy, strstr(want, "\npolicy:\n"));
	/* What became of each variable is said, and what is lost also to the operator. */
	for (char *line = strtok_r(conf, "\n", &end); line; line = strtok_r(NULL, "\n", &end)) {
		char *eq = strchr(line, '='), name[80];
		char *hw = strstr(line, "Hw");
		if (*line == '#' || !eq || !hw)
			continue;
		snprintf(name, sizeof(name), "  %.*s: ", (int)(eq - hw), hw);
		if (!strstr(got, name))
			fail_msg("nothing is said of %s", name);
		if (strstr(strstr(got, "# Not mapped"), name) && !strstr(r->err, name))
			fail_msg("%s is not told to the operator", name);
	}
	assert_non_null(strstr(r->err, "HwMANAGE_IP: "));
	assert_non_null(strstr(r->err, "HwFWWHITE: 203.0.113.200 is on the fence"));
	/* It is a policy, and is not replaced by accident. */
	assert_int_equal(run(NULL, "policy", "explain", out, NULL)->status, 0);
	assert_int_equal(run(NULL, "policy", "import", data("roo/honeywall.conf"), "--output", out, NULL)->status, 1);
	assert_int_equal(run(NULL, "policy", "import", "-f", data("roo/honeywall.conf"), "-o", out, NULL)->status, 0);
	free(conf);
	free(got);
	free(want);
}

/* Imports a text; the policy on standard output. */
static const struct ran *import(const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/hw.conf", state);
	write_file(path, text);
	return run(NULL, "policy", "import", path, NULL);
}

static void nothing_looser_than_it_was(void **arg)
{
	(void)arg;
	char list[256];
	const struct ran *r = import("HwFENCELIST_ENABLE=yes\nHwFWFENCE=/nonexistent/fence.txt\n");
	assert_int_equal(r->status, 1);
	assert_string_equal(r->out, "");
	assert_non_null(strstr(r->err, "cannot read /nonexistent/fence.txt"));
	assert_int_equal(import("HwFENCELIST_ENABLE=yes\n")->status, 1);
	assert_int_equal(import("HwFENCELIST_ENABLE=$(cat x)\n")->status, 1);
	assert_int_equal(import("HwROACHMOTEL_ENABLE=`x`\n")->status, 1);
	assert_int_equal(import("HwBWLIST_ENABLE=yes\nHwFWBLACK=/nonexistent\n")->status, 1);
	snprintf(list, sizeof(list), "%s/fence.txt", state);
	write_file(list, "203.0.113.1\nwww.example.org\n");
	r = import("HwFENCELIST_ENABLE=yes\nHwFWFENCE=/etc/hw/fence.txt\n");
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "\"www.example.org\" is no address"));
	write_file(list, "203.0.113.1\n");
	r = import("HwFENCELIST_ENABLE=yes\nHwFWFENCE=/etc/hw/fence.txt\nHwROACHMOTEL_ENABLE=yes\n");
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "  fence:\n    - 203.0.113.1\n"));
	assert_non_null(strstr(r->out, "  roach-motel: yes\n"));
	/* Without a number or a unit nothing goes out. */
	assert_non_null(strstr(r->out, "outbound: {tcp: none, udp: none, icmp: none, other: none}"));
	r = import("HwSCALE=fortnight\nHwTCPRATE=20\n");
	assert_non_null(strstr(r->out, "outbound: {tcp: none"));
	assert_non_null(strstr(r->err, "\"fortnight\" is no unit of time"));
	r = import("HwSCALE=week\nHwTCPRATE=20\nHwUDPRATE=6\nHwICMPRATE=-3\nHwOTHERRATE=99999\n");
	assert_non_null(strstr(r->out, "outbound: {tcp: 2/day, udp: none, icmp: none, other: 1428/day}"));
	r = import("HwSCALE='minute' # so\nHwTCPRATE=$RATE\nHwUDPRATE=\"4\"\r\n");
	assert_non_null(strstr(r->out, "outbound: {tcp: none, udp: 4/minute, icmp: none, other: none}"));
	assert_non_null(strstr(r->err, "HwTCPRATE: a shell would expand its value"));
	/* Nobody rather than everybody. */
	r = import("HwDNS_HOST=honeypot1\n");
	assert_non_null(strstr(r->out, "from: [\"255.255.255.255\"]"));
}

static void not_a_honeywall(void **arg)
{
	(void)arg;
	assert_int_equal(import("this is no configuration\n")->status, 1);
	assert_int_equal(import("=5\n")->status, 1);
	assert_int_equal(run(NULL, "policy", "import", "/nonexistent", NULL)->status, 1);
	const struct ran *r = import("HwALERT=yes\nHwALERT_EMAIL=x\" }, {a: b@example.org\nHwODD=\x1b[2J\n");
	assert_int_equal(r->status, 0);
	assert_null(strstr(r->out, "notify"));
	assert_null(strchr(r->out, '\x1b'));
	assert_null(strchr(r->err, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_in_words),
		cmocka_unit_test(a_honeynet_in_words),
		cmocka_unit_test(numbers_in_json),
		cmocka_unit_test(bounds),
		cmocka_unit_test(presets_in_a_list),
		cmocka_unit_test(a_honeywall),
		cmocka_unit_test(nothing_looser_than_it_was),
		cmocka_unit_test(not_a_honeywall),
	};
	return cmocka_run_group_tests(tests, state_setup, state_teardown);
}
