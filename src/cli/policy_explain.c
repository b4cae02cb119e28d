/* SPDX-License-Identifier: ISC */
/* `skep policy explain` and `skep policy list`. */
#include "cli/load.h"
#include "cli/policy_load.h"
#include "cli/policy_words.h"

#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static char *words_of(const struct model *m, const struct policy *p, unsigned honeypot)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	policy_explain(f, m, p, honeypot, "  ");
	fclose(f);
	return text;
}

/* Honeypots for which the same is said are named together. */
static int honeypots(FILE *out, const struct model *m, const struct honeypot *only)
{
	char **text = calloc(m->nhoneypots + 1, sizeof(*text));
	bool ok = text != NULL;
	for (uint32_t i = 0; ok && i < m->nhoneypots; i++)
		if (!only || only == &m->honeypots[i])
			ok = (text[i] = words_of(m, &m->honeypots[i].policy, i)) != NULL;
	for (uint32_t i = 0; ok && i < m->nhoneypots; i++) {
		if (!text[i])
			continue;
		fprintf(out, "%s", m->honeypots[i].name);
		for (uint32_t k = i + 1; k < m->nhoneypots; k++) {
			if (!text[k] || strcmp(text[i], text[k]) != 0)
				continue;
			fprintf(out, ", %s", m->honeypots[k].name);
			free(text[k]);
			text[k] = NULL;
		}
		fprintf(out, ":\n%s", text[i]);
	}
	for (uint32_t i = 0; text && i < m->nhoneypots; i++)
		free(text[i]);
	free(text);
	return ok ? 0 : -1;
}

static void reactions(FILE *out, const struct model *m)
{
	for (uint32_t i = 0; i < m->npolicies; i++) {
		fprintf(out, "under the policy %s, which a trigger or an operator puts in force:\n",
			m->policies[i].name);
		policy_explain(out, m, &m->policies[i].policy, POLICY_NONE, "  ");
	}
	if (m->ntriggers)
		fputs("by itself:\n", out);
	for (uint32_t i = 0; i < m->ntriggers; i++) {
		fprintf(out, "  %s: ", m->triggers[i].name);
		policy_trigger_words(out, m, &m->triggers[i]);
		fputc('\n', out);
	}
}

static int say(FILE *out, const struct model *m, const struct honeypot *only)
{
	fputs("A limit holds in every window of its length, wherever that begins. In all cases the resolution of\n"
	      "addresses passes (ARP, neighbour discovery: 1000 questions and answers a minute at most), and skep\n"
	      "freeze comes first.\n\n",
	      out);
	if (!m->nhoneypots) {
		fputs("every honeypot:\n", out);
		policy_explain(out, m, &m->policy, POLICY_NONE, "  ");
	} else if (honeypots(out, m, only) < 0) {
		return -1;
	}
	if (!only)
		reactions(out, m);
	return 0;
}

/* ---- JSON ---- */

/* null: any number. */
static json_t *number(uint64_t n)
{
	return n == POLICY_ANY ? json_null() : json_integer((json_int_t)n);
}

static json_t *limit(const struct limit *l, bool narrow)
{
	if (l->count == LIMIT_UNLIMITED || (narrow && !l->count))
		return json_null();
	return json_pack("{si si}", "count", (int)l->count, "seconds", (int)l->seconds);
}

static json_t *limits(const struct limit *l, bool narrow)
{
	return json_pack("{so so so so}", "tcp", limit(&l[LIMIT_CLASS_TCP], narrow), "udp",
			 limit(&l[LIMIT_CLASS_UDP], narrow), "icmp", limit(&l[LIMIT_CLASS_ICMP], narrow), "other",
			 limit(&l[LIMIT_CLASS_OTHER], narrow));
}

static json_t *numbers(const uint64_t n[LIMIT_CLASS_COUNT])
{
	return json_pack("{so so so so}", "tcp", number(n[LIMIT_CLASS_TCP]), "udp", number(n[LIMIT_CLASS_UDP]), "icmp",
			 number(n[LIMIT_CLASS_ICMP]), "other", number(n[LIMIT_CLASS_OTHER]));
}

static json_t *prefixes(const struct model *m, struct span s)
{
	json_t *all = json_array();
	char text[ADDR_TEXT];
	for (uint32_t i = 0; i < s.n; i++)
		json_array_append_new(all, json_string(addr_text(&m->pool.prefixes[s.first + i], text)));
	return all;
}

static json_t *budget(const struct budget *b)
{
	return json_pack("{so so si}", "bytes", number(b->bytes ? b->bytes : POLICY_ANY), "packets",
			 number(b->packets ? b->packets : POLICY_ANY), "seconds", (int)b->seconds);
}

static json_t *text_of(const struct model *m, const struct rule *r,
		       void (*say_it)(FILE *, const struct model *, const struct rule *))
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	say_it(f, m, r);
	fclose(f);
	json_t *v = cmd_string_n(text, n);
	free(text);
	return v;
}

static json_t *rules(const struct model *m, const struct policy *p, unsigned honeypot)
{
	static const char *const actions[] = { "allow",   "limit",    "first", "rewrite",
					       "reflect", "sinkhole", "reset", "drop" };
	json_t *all = json_array();
	for (uint32_t i = p->rules.first; i < (uint32_t)p->rules.first + p->rules.n; i++) {
		const struct rule *r = &m->pool.rules[i];
		if (policy_rule_about(m, r, honeypot))
			json_array_append_new(all,
					      json_pack("{ss ss so so si}", "name", r->name, "action",
							actions[r->action], "matches", text_of(m, r, policy_rule_match),
							"does", text_of(m, r, policy_rule_does), "line", (int)r->line));
	}
	return all;
}

static json_t *worst(const struct model *m, const struct policy *p, unsigned honeypot, uint32_t seconds)
{
	struct policy_worst w;
	policy_worst(m, p, honeypot, seconds, &w);
	return json_pack("{sb so so so so so}", "allow_list", w.allow_list, "outbound", numbers(w.out), "lateral",
			 numbers(w.lateral), "addresses", number(w.addresses), "bytes", number(w.bytes), "packets",
			 number(w.packets));
}

static json_t *policy_json(const struct model *m, const struct policy *p, unsigned honeypot, const char *name)
{
	static const char *const engines[] = { "off", "inline", "passive" };
	json_t *v =
	    json_pack("{ss ss sb sb ss}", "name", name, "inbound", p->inbound_deny ? "deny" : "allow", "roach_motel",
		      p->roach_motel, "multicast", p->multicast_allow, "inspect", engines[p->engine]);
	json_object_set_new(v, "fence", prefixes(m, p->fence));
	json_object_set_new(v, "black", prefixes(m, p->black));
	json_object_set_new(v, "allow", prefixes(m, p->allow));
	json_object_set_new(v, "rules", rules(m, p, honeypot));
	json_object_set_new(v, "outbound", limits(p->outbound, false));
	json_object_set_new(v, "lateral", limits(p->lateral, false));
	json_object_set_new(v, "per_destination", limits(p->per_destination, true));
	json_object_set_new(v, "per_source", limits(p->per_source, true));
	json_object_set_new(v, "fan_out", limit(&p->fan_out, true));
	json_object_set_new(v, "concurrent", p->concurrent ? json_integer(p->concurrent) : json_null());
	json_object_set_new(v, "jitter", json_integer(p->jitter));
	json_object_set_new(v, "bandwidth", p->bandwidth ? json_integer((json_int_t)p->bandwidth) : json_null());
	json_object_set_new(v, "flow_budget", budget(&p->flow));
	json_object_set_new(v, "honeypot_budget", budget(&p->honeypot));
	json_object_set_new(v, "dns", json_boolean(p->dns.on));
	json_object_set_new(v, "worst_hour", worst(m, p, honeypot, 3600));
	json_object_set_new(v, "worst_day", worst(m, p, honeypot, 86400));
	return v;
}

static json_t *all_json(const struct model *m, const struct honeypot *only)
{
	json_t *v = json_object(), *pots = json_array(), *named = json_array();
	if (!m->nhoneypots)
		json_object_set_new(v, "policy", policy_json(m, &m->policy, POLICY_NONE, ""));
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		if (!only || only == &m->honeypots[i])
			json_array_append_new(pots, policy_json(m, &m->honeypots[i].policy, i, m->honeypots[i].name));
	for (uint32_t i = 0; i < m->npolicies; i++)
		json_array_append_new(named, policy_json(m, &m->policies[i].policy, POLICY_NONE, m->policies[i].name));
	json_object_set_new(v, "honeypots", pots);
	json_object_set_new(v, "policies", named);
	return v;
}

/* ---- the commands ---- */

int cmd_policy_explain(struct cmd *c)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *name = cmd_str(c, "honeypot");
	const struct honeypot *only = NULL;
	int status = CMD_FAILED;
	if (!m)
		return cmd_fail(c, "out of memory");
	int source = policy_load_or_say(c, c->args[0], NULL, m);
	if (source >= 0 && name && source != POLICY_SOURCE_HONEYNET)
		status = cmd_fail(c, "%s is a policy by itself: it has no honeypot %s", c->args[0], name);
	else if (source >= 0 && name && !(only = model_honeypot(m, name)))
		status = cmd_fail(c, "%s has no honeypot %s", c->args[0], name);
	else if (source >= 0 && cmd_flag(c, "json"))
		status = cmd_json(c, all_json(m, only));
	else if (source >= 0)
		status = say(c->out, m, only) < 0 ? cmd_fail(c, "out of memory") : CMD_OK;
	free(m);
	return status;
}

/* The first line of a preset: "# NAME: what it is". */
static void brief(unsigned i, char *buf, size_t cap)
{
	size_t n, skip = strlen(model_preset_name(i)) + 4;
	const char *text = model_preset_text(i, &n), *end = memchr(text, '\n', n);
	size_t len = end ? (size_t)(end - text) : n;
	snprintf(buf, cap, "%.*s", len > skip ? (int)(len - skip) : 0, text + skip);
	size_t at = strlen(buf);
	if (at && buf[at - 1] == '.')
		buf[at - 1] = '\0';
}

int cmd_policy_list(struct cmd *c)
{
	static const char *const heads[] = { "PRESET", "WHAT IT LETS OUT", NULL };
	json_t *all = json_array();
	struct table t;
	char text[128];
	table_init(&t, heads);
	for (unsigned i = 0; model_preset_name(i); i++) {
		brief(i, text, sizeof(text));
		table_add(&t, "%s", model_preset_name(i));
		table_add(&t, "%s", text);
		json_array_append_new(all, json_pack("{ss ss}", "name", model_preset_name(i), "brief", text));
	}
	if (cmd_flag(c, "json")) {
		table_free(&t);
		return cmd_json(c, all);
	}
	json_decref(all);
	return table_print(&t, c);
}
