/* SPDX-License-Identifier: ISC */
/* The keys of policies, triggers and notices. */
#include "model/keys.h"

#include "model/rule_draft.h"
#include "model/rules.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define INT(type, field) AT(type, field), .size = sizeof(((struct type *)0)->field)

static const char *const deny_allow[] = { "deny", "allow", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
/* In the order of enum engine_mode, rule_action, limit_per, sink_kind, rule_state, trigger_on. */
static const char *const inspect_words[] = { "off", "inline", "passive", NULL };
static const char *const do_words[] = { "allow",    "limit", "first", "rewrite", "reflect",
					"sinkhole", "reset", "drop",  NULL };
static const char *const per_words[] = { "honeypot", "destination", "source", "honeynet", NULL };
static const char *const sink_words[] = { "auto", "smtp", "http", "tcp", NULL };
static const char *const state_words[] = { "any", "new", "established", NULL };
static const char *const on_words[] = { "alert", "limit", "keyword", "process", "command", "login", NULL };

static const struct key rate_keys[] = {
	{ "tcp", KEY_RATE, .offset = LIMIT_CLASS_TCP * sizeof(struct limit) },
	{ "udp", KEY_RATE, .offset = LIMIT_CLASS_UDP * sizeof(struct limit) },
	{ "icmp", KEY_RATE, .offset = LIMIT_CLASS_ICMP * sizeof(struct limit) },
	{ "other", KEY_RATE, .offset = LIMIT_CLASS_OTHER * sizeof(struct limit) },
	{ NULL },
};

static const struct key flow_budget_keys[] = {
	{ "bytes", KEY_AMOUNT, .min = 1, .max = BUDGET_BYTES_MAX, .unlimited = true },
	{ "packets", KEY_COUNT, .min = 1, .max = BUDGET_PACKETS_MAX, .unlimited = true },
	{ NULL },
};

static const struct key honeypot_budget_keys[] = {
	{ "bytes", KEY_AMOUNT, .min = 1, .max = BUDGET_BYTES_MAX, .unlimited = true, .size = 1 },
	{ "packets", KEY_COUNT, .min = 1, .max = BUDGET_PACKETS_MAX, .unlimited = true, .size = 1 },
	{ NULL },
};

static const struct key budget_keys[] = {
	{ "flow", KEY_BUDGET, AT(policy, flow), .sub = flow_budget_keys },
	{ "honeypot", KEY_BUDGET, AT(policy, honeypot), .sub = honeypot_budget_keys },
	{ NULL },
};

static const struct key narrow_keys[] = {
	{ "tcp", KEY_NARROW, .offset = LIMIT_CLASS_TCP * sizeof(struct limit) },
	{ "udp", KEY_NARROW, .offset = LIMIT_CLASS_UDP * sizeof(struct limit) },
	{ "icmp", KEY_NARROW, .offset = LIMIT_CLASS_ICMP * sizeof(struct limit) },
	{ "other", KEY_NARROW, .offset = LIMIT_CLASS_OTHER * sizeof(struct limit) },
	{ NULL },
};

static const struct key dns_keys[] = {
	{ "resolver", KEY_RESOLVER },
	{ "queries", KEY_NARROW, AT(dns_policy, queries) },
	{ "names", KEY_NARROW, AT(dns_policy, names) },
	{ "name-length", KEY_UINT, INT(dns_policy, name_max), .min = 1, .max = DNS_NAME_MAX },
	{ "label-length", KEY_UINT, INT(dns_policy, label_max), .min = 1, .max = DNS_LABEL_MAX },
	{ "entropy", KEY_ENTROPY, AT(dns_policy, entropy) },
	{ "types", KEY_QTYPES },
	{ "answer-size", KEY_UINT, INT(dns_policy, answer_max), .min = DNS_ANSWER_MIN, .max = 65535 },
	{ NULL },
};

static const struct key replace_keys[] = {
	{ "from", KEY_ESCAPED, .required = true, AT(replace_draft, from) },
	{ "to", KEY_ESCAPED, .required = true, AT(replace_draft, to) },
	{ NULL },
};

const struct key rule_keys[] = {
	{ "name", KEY_NAME, .id = SEEN_NAME, AT(rule, name) },
	{ "do", KEY_WORD, .required = true, INT(rule, action), .words = do_words },
	{ "direction", KEY_DIRECTION },
	{ "protocol", KEY_PROTOCOL },
	{ "ports", KEY_PORTS, AT(rule, ports) },
	{ "source-ports", KEY_PORTS, AT(rule, sports) },
	{ "to", KEY_MATCHED, AT(rule, to) },
	{ "from", KEY_MATCHED, AT(rule, from) },
	{ "network", KEY_NETREFS },
	{ "honeypot", KEY_HPREFS, .id = SEEN_HONEYPOT, AT(rule, honeypots) },
	{ "state", KEY_WORD, INT(rule, state), .words = state_words },
	{ "when", KEY_WHEN, AT(rule, when) },
	{ "alert", KEY_ALERT, AT(rule, alert) },
	{ "limit", KEY_NARROW, .id = SEEN_LIMIT, AT(rule, limit) },
	{ "per", KEY_WORD, .id = SEEN_PER, INT(rule, per), .words = per_words },
	{ "first", KEY_FIRST, .id = SEEN_FIRST, AT(rule, first), .sub = flow_budget_keys },
	{ "replace", KEY_REPLACE, .id = SEEN_REPLACE, AT(rule, rewrites), .sub = replace_keys },
	{ "target", KEY_TARGET, .id = SEEN_TARGET },
	{ "sink", KEY_WORD, .id = SEEN_SINK, INT(rule, sink), .words = sink_words },
	{ NULL },
};

/* In this order: what a preset says is overridden by what stands beside it, and
 * lists are added to its lists. */
const struct key policy_keys[] = {
	{ "preset", KEY_PRESET },
	{ "inbound", KEY_INBOUND, .sub = narrow_keys },
	{ "outbound", KEY_RATES, AT(policy, outbound), .sub = rate_keys },
	{ "lateral", KEY_RATES, AT(policy, lateral), .sub = rate_keys },
	{ "per-destination", KEY_NARROWS, AT(policy, per_destination), .sub = narrow_keys },
	{ "fan-out", KEY_NARROW, AT(policy, fan_out) },
	{ "concurrent", KEY_LIMITED, INT(policy, concurrent), .min = 1, .max = CONCURRENT_MAX },
	{ "jitter", KEY_PERCENT, INT(policy, jitter), .max = JITTER_MAX },
	{ "bandwidth", KEY_BANDWIDTH, INT(policy, bandwidth), .min = BANDWIDTH_MIN, .max = BANDWIDTH_MAX },
	{ "multicast", KEY_WORD, INT(policy, multicast_allow), .words = deny_allow },
	{ "roach-motel", KEY_WORD, INT(policy, roach_motel), .words = no_yes },
	{ "fence", KEY_PREFIXES, AT(policy, fence) },
	{ "black", KEY_PREFIXES, AT(policy, black) },
	{ "allow", KEY_PREFIXES, AT(policy, allow) },
	{ "budget", KEY_MAP, .sub = budget_keys },
	{ "inspect", KEY_WORD, INT(policy, engine), .words = inspect_words },
	{ "dns", KEY_DNS, AT(policy, dns), .sub = dns_keys },
	{ "rules", KEY_RULES, .sub = rule_keys },
	{ NULL },
};

const struct key trigger_keys[] = {
	{ "name", KEY_NAME, .id = SEEN_NAME, AT(trigger_draft, t.name) },
	{ "on", KEY_WORD, .required = true, INT(trigger_draft, t.on), .words = on_words },
	{ "match", KEY_MATCH, .id = SEEN_MATCH, AT(trigger_draft, match) },
	{ "alert", KEY_ALERT, .id = SEEN_ALERT, AT(trigger_draft, t.alert) },
	{ "honeypot", KEY_HPREFS, AT(trigger_draft, t.honeypots) },
	{ "do", KEY_DO, .required = true },
	{ "throttle", KEY_NARROW, AT(trigger_draft, t.throttle) },
	{ "for", KEY_SECONDS, .id = SEEN_FOR, INT(trigger_draft, t.seconds), .min = 1, .max = TRIGGER_SECONDS_MAX },
	{ NULL },
};

const struct key notify_keys[] = {
	{ "mail", KEY_MAIL, AT(notify_conf, mail), .max = sizeof(((struct notify_conf *)0)->mail) },
	{ "webhook", KEY_WEBHOOK, AT(notify_conf, webhook), .max = sizeof(((struct notify_conf *)0)->webhook) },
	{ "exec", KEY_ARGV, AT(notify_conf, exec), .max = NOTIFY_ARGV_CAP },
	{ "throttle", KEY_NARROW, AT(notify_conf, throttle) },
	{ NULL },
};
