/* SPDX-License-Identifier: ISC */
/* The report of skep policy test, as JSON. */
#include "cli/policy_test.h"

#include <arpa/inet.h>
#include <string.h>

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *captures(const struct policy_test *t)
{
	char a[CMD_TIME_TEXT], b[CMD_TIME_TEXT];
	const struct judge_end *n = &t->end;
	const struct {
		const char *key;
		uint64_t v;
	} counts[] = {
		{ "packets", n->packets },
		{ "bytes", n->bytes },
		{ "cut", n->cut },
		{ "cut_of_honeypots", n->cut_of_honeypots },
		{ "mended", n->mended },
		{ "made_ethernet", n->made },
		{ "reordered", n->reordered },
		{ "untimed", n->untimed },
		{ "foreign", n->foreign },
		{ "made_by_gateway", n->made_out },
		{ "never_asked", n->unasked[0] },
		{ "overflow", n->overflow },
		{ "left_without_conversation", n->tick_packets },
		{ "cut_files", n->cut_files },
	};
	json_t *o = json_pack("{ss ss sb}", "first", cmd_time_text(a, n->first, 6), "last",
			      cmd_time_text(b, n->last, 6), "by_address", n->relinked != 0);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_set_new(o, counts[i].key, number(counts[i].v));
	return o;
}

static json_t *honeypots(const struct policy_test *t)
{
	json_t *all = json_array();
	char mac[MAC_TEXT], addr[ADDR_TEXT];
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		const struct gw_port *p = &t->ports[i];
		if (!p->name[0])
			continue;
		json_t *addrs = json_array();
		for (uint32_t k = 0; k < p->naddrs; k++)
			json_array_append_new(addrs, json_string(addr_text(&p->addrs[k], addr)));
		json_array_append_new(all, json_pack("{ss so ss sb so}", "name", p->name, "addresses", addrs, "mac",
						     mac_text(t->seen[i].mac, mac), "mac_of_capture",
						     (int)t->seen[i].learned, "packets", number(t->seen[i].frames)));
	}
	return all;
}

static json_t *verdicts(const struct policy_test *t, unsigned side)
{
	json_t *all = json_array();
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		for (unsigned r = 0; r < REASON_COUNT; r++) {
			const struct judge_count *n = &t->end.count[side][v][r];
			uint64_t c = t->conversations[side][v][r];
			if (n->packets || c)
				json_array_append_new(all,
						      json_pack("{ss ss so so so}", "verdict", verdict_name(v),
								"reason", reason_name(r), "packets", number(n->packets),
								"bytes", number(n->bytes), "conversations", number(c)));
		}
	return all;
}

static json_t *address(uint8_t family, const uint8_t *b)
{
	char a[INET6_ADDRSTRLEN];
	if (!family)
		return json_null();
	inet_ntop(family == 4 ? AF_INET : AF_INET6, b, a, sizeof(a));
	return json_string(a);
}

static const char *const kinds[JUDGE_KIND_COUNT] = { "began", "reply", "resolution" };

static json_t *lefts(const struct policy_test *t, const struct lefts *l)
{
	json_t *all = json_array();
	char proto[16];
	for (uint32_t i = 0; i < l->n; i++) {
		const struct left *k = &l->at[i];
		json_t *o = json_pack(
		    "{ss ss ss so ss so so so}", "honeypot", policy_port_name(t, k->honeypot), "what", kinds[k->kind],
		    "protocol", policy_proto_text(k->family, k->proto, k->port, proto), "address",
		    address(k->family, k->addr), "verdict", verdict_name(k->verdict), "conversations",
		    number(k->conversations), "packets", number(k->packets), "bytes", number(k->bytes));
		if (k->family && (k->proto == 6 || k->proto == 17))
			json_object_set_new(o, "port", number(k->port));
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *rules(const struct policy_test *t)
{
	json_t *all = json_array();
	const struct policy_pool *pool = &t->model[0]->pool;
	for (uint16_t i = 0; i < pool->nrules; i++)
		if (policy_rule_in_force(t, 0, i))
			json_array_append_new(all, json_pack("{so sI so so}", "name", cmd_string(pool->rules[i].name),
							     "line", (json_int_t)pool->rules[i].line, "packets",
							     number(t->rules[0][i].packets), "conversations",
							     number(t->rules[0][i].bytes)));
	return all;
}

static json_t *fate(const struct judge_fate *f)
{
	return json_pack("{ss ss so so}", "verdict", verdict_name(f->verdict), "reason", reason_name(f->reason),
			 "left_packets", number(f->left_packets), "left_bytes", number(f->left_bytes));
}

static json_t *conversations(const struct policy_test *t, const struct shown *s)
{
	json_t *all = json_array();
	char text[160];
	for (uint64_t i = 0; i < s->n && i < SHOWN; i++) {
		const struct judge_conversation *c = &s->at[i];
		policy_conversation_text(c, text, sizeof(text));
		json_t *o = json_pack("{so ss so ss so}", "packet", number(c->first), "honeypot",
				      policy_port_name(t, c->honeypot), "conversation", cmd_string(text), "what",
				      kinds[c->kind], "policy", fate(&c->fate[0]));
		if (t->sides > 1)
			json_object_set_new(o, "against", fate(&c->fate[1]));
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *against(const struct policy_test *t)
{
	json_t *changes = json_array();
	for (unsigned i = 0; i < t->nchanges; i++) {
		const struct change *k = &t->changes[i];
		json_array_append_new(changes,
				      json_pack("{s{ss ss} s{ss ss} so}", "policy", "verdict",
						verdict_name(k->verdict[0]), "reason", reason_name(k->reason[0]),
						"against", "verdict", verdict_name(k->verdict[1]), "reason",
						reason_name(k->reason[1]), "conversations", number(k->conversations)));
	}
	return json_pack("{so so so so so so}", "policy", cmd_string(t->names[1]), "packets", number(t->end.differ),
			 "conversations", number(t->differing.n), "changes", changes, "first",
			 conversations(t, &t->differing), "verdicts", verdicts(t, 1));
}

int policy_report_json(const struct policy_test *t)
{
	json_t *o = json_pack("{ss so so so so so so so sb sb}", "type", "report", "policy", cmd_string(t->names[0]),
			      "captures", captures(t), "honeypots", honeypots(t), "verdicts", verdicts(t, 0), "left",
			      lefts(t, &t->left), "played", lefts(t, &t->stays), "rules", rules(t), "engine_passes",
			      (int)t->engine, "jitter_ignored", (int)t->jitter);
	if (t->sides > 1)
		json_object_set_new(o, "against", against(t));
	if (t->must_not)
		json_object_set_new(o, "must_not_leave",
				    json_pack("{so so so}", "expression", cmd_string(t->must_not), "conversations",
					      number(t->violations.n), "first", conversations(t, &t->violations)));
	return t->packets ? cmd_json_line(t->c, o) : cmd_json(t->c, o);
}
