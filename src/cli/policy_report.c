/* SPDX-License-Identifier: ISC */
/* The report of skep policy test, as text. */
#include "cli/policy_test.h"

#include <string.h>

#define LINES 20u /* of conversations that are named one by one; JSON has more */

static unsigned long long ull(uint64_t v)
{
	return v;
}

static void heading(const struct policy_test *t, const char *text)
{
	fprintf(t->c->out, "\n%s\n", text);
}

static void captures(const struct policy_test *t)
{
	char a[CMD_TIME_TEXT], b[CMD_TIME_TEXT], size[CMD_SIZE_TEXT], mac[MAC_TEXT], age[CMD_SIZE_TEXT];
	const struct judge_end *n = &t->end;
	fprintf(t->c->out, "%llu packets, %s bytes, %s to %s (%s)\n", ull(n->packets), cmd_size_text(size, n->bytes),
		cmd_time_text(a, n->first, 3), cmd_time_text(b, n->last, 3),
		cmd_age_text(age, (n->last - n->first) / 1000000000u));
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		const struct gw_port *p = &t->ports[i];
		char addr[ADDR_TEXT], line[MODEL_ADDRS * (ADDR_TEXT + 1)] = "";
		if (!p->name[0])
			continue;
		for (uint32_t k = 0; k < p->naddrs; k++) {
			struct addr one = p->addrs[k];
			one.plen = one.family == 4 ? 32 : 128;
			size_t at = strlen(line);
			snprintf(line + at, sizeof(line) - at, " %s", addr_text(&one, addr));
		}
		fprintf(t->c->out, "honeypot %s:%s, MAC %s%s, %llu packets from it\n", p->name, line,
			mac_text(t->seen[i].mac, mac), t->seen[i].learned ? " (as in the capture)" : "",
			ull(t->seen[i].frames));
	}
}

static void note(const struct policy_test *t, uint64_t n, const char *text)
{
	if (n)
		fprintf(t->c->out, "note: %llu packets %s\n", ull(n), text);
}

static void notes(const struct policy_test *t)
{
	const struct judge_end *n = &t->end;
	note(t, n->cut,
	     "are not in the capture as a whole (its snapshot length): those are dropped, and prove nothing");
	note(t, n->mended, "got the checksum that their sender left to its network card");
	note(t, n->count[0][VERDICT_DROP][REASON_CHECKSUM].packets,
	     "have a wrong checksum; on the computer that sent them, a network card may have mended it");
	note(t, n->made, "had no Ethernet header, and got one made from their addresses");
	note(t, n->reordered, "are older than the one before them: judged at its time");
	note(t, n->untimed, "have no time: judged at that of the one before them");
	note(t, n->foreign, "are of a link layer that is not read: not judged");
	note(t, n->made_out, "were made by the gateway when this was recorded: not judged again");
	note(t, n->unasked[0], "answer what would not have got through, and so would never have been: drop no-flow");
	note(t, n->overflow, "belong to conversations for which there was no room: not among the conversations");
	note(t, n->tick_packets, "would have left later, and belong to no conversation that is still known");
	if (n->cut_files)
		fprintf(t->c->out, "note: %llu captures end within a packet\n", ull(n->cut_files));
	if (n->relinked)
		fputs(
		    "note: honeypots have one MAC together (a router's?): frames are told apart by address, and forged "
		    "MACs cannot be seen\n",
		    t->c->out);
	if (t->engine)
		fputs("note: the policy has an inline engine, which is not asked here: taken as if it let everything "
		      "pass\n",
		      t->c->out);
	if (t->jitter)
		fputs("note: the policy has jitter, which only lowers limits: they are taken at their full height\n",
		      t->c->out);
}

static int verdicts(const struct policy_test *t)
{
	static const char *const heads[] = { "VERDICT", "REASON", ">PACKETS", ">BYTES", ">CONVERSATIONS", NULL };
	struct table x;
	heading(t, "Judged:");
	table_init(&x, heads);
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		for (unsigned r = 0; r < REASON_COUNT; r++) {
			const struct judge_count *n = &t->end.count[0][v][r];
			if (!n->packets && !t->conversations[0][v][r])
				continue;
			table_add(&x, "%s", verdict_name(v));
			table_add(&x, "%s", reason_name(r));
			table_add(&x, "%llu", ull(n->packets));
			table_add(&x, "%llu", ull(n->bytes));
			table_add(&x, "%llu", ull(t->conversations[0][v][r]));
		}
	return table_print(&x, t->c);
}

static int lefts(const struct policy_test *t, const struct lefts *l, bool left, const char *title, const char *nothing)
{
	static const char *const kinds[JUDGE_KIND_COUNT] = { "began", "reply", "resolution" };
	static const char *const heads[] = { "HONEYPOT",       "WHAT",     "PROTOCOL", "TO", "VERDICT",
					     ">CONVERSATIONS", ">PACKETS", ">BYTES",   NULL };
	struct table x;
	char text[80], proto[16];
	if (!l->n && !nothing)
		return CMD_OK;
	heading(t, title);
	if (!l->n) {
		fprintf(t->c->out, "%s\n", nothing);
		return CMD_OK;
	}
	table_init(&x, heads);
	uint64_t sum[3] = { 0 };
	for (uint32_t i = 0; i < l->n; i++) {
		const struct left *k = &l->at[i];
		policy_left_text(k, text, sizeof(text));
		policy_proto_text(k->family, k->proto, k->port, proto);
		table_add(&x, "%s", policy_port_name(t, k->honeypot));
		table_add(&x, "%s", kinds[k->kind]);
		if (k->kind == JUDGE_REPLY && k->family && (k->proto == 6 || k->proto == 17))
			table_add(&x, "%s %u", proto, k->port);
		else
			table_add(&x, "%s", proto);
		table_add(&x, "%s", text);
		table_add(&x, "%s", verdict_name(k->verdict));
		table_add(&x, "%llu", ull(k->conversations));
		table_add(&x, "%llu", ull(k->packets));
		table_add(&x, "%llu", ull(k->bytes));
		sum[0] += k->conversations;
		sum[1] += k->packets;
		sum[2] += k->bytes;
	}
	int r = table_print(&x, t->c);
	if (left)
		fprintf(t->c->out, "together: %llu conversations, %llu packets, %llu bytes\n", ull(sum[0]), ull(sum[1]),
			ull(sum[2]));
	return r;
}

static int rules(const struct policy_test *t)
{
	static const char *const heads[] = { "RULE", ">LINE", ">PACKETS", ">CONVERSATIONS", NULL };
	const struct policy_pool *pool = &t->model[0]->pool;
	struct table x;
	bool any = false, never = false, fired = false;
	for (uint16_t i = 0; i < pool->nrules; i++) {
		any |= policy_rule_in_force(t, 0, i);
		fired |= t->rules[0][i].packets != 0;
	}
	if (!any)
		return CMD_OK;
	heading(t, fired ? "Rules that decided:" : "Rules: none decided anything");
	table_init(&x, heads);
	for (uint16_t i = 0; i < pool->nrules; i++) {
		const struct judge_count *n = &t->rules[0][i];
		if (!policy_rule_in_force(t, 0, i) || !n->packets) {
			never |= policy_rule_in_force(t, 0, i);
			continue;
		}
		table_add(&x, "%s", pool->rules[i].name);
		table_add(&x, "%u", pool->rules[i].line);
		table_add(&x, "%llu", ull(n->packets));
		table_add(&x, "%llu", ull(n->bytes));
	}
	int r = CMD_OK;
	if (fired)
		r = table_print(&x, t->c);
	else
		table_free(&x);
	for (uint16_t i = 0; never && i < pool->nrules; i++) {
		char safe[RULE_NAME_CAP * 4];
		if (policy_rule_in_force(t, 0, i) && !t->rules[0][i].packets)
			fprintf(t->c->out, "never fired: %s (line %u)\n",
				cmd_safe(safe, sizeof(safe), pool->rules[i].name), pool->rules[i].line);
	}
	return r;
}

static void conversations(const struct policy_test *t, const struct shown *s, bool both)
{
	char text[160], safe[400], size[CMD_SIZE_TEXT];
	for (uint64_t i = 0; i < s->n && i < LINES; i++) {
		const struct judge_conversation *c = &s->at[i];
		const struct judge_fate *a = &c->fate[0], *b = &c->fate[1];
		policy_conversation_text(c, text, sizeof(text));
		fprintf(t->c->out, "  packet %llu: %s %s, %llu packets (%s) leave", ull(c->first),
			policy_port_name(t, c->honeypot), cmd_safe(safe, sizeof(safe), text), ull(a->left_packets),
			cmd_size_text(size, a->left_bytes));
		if (both)
			fprintf(t->c->out, ": %s %s; against: %s %s, %llu packets leave", verdict_name(a->verdict),
				reason_name(a->reason), verdict_name(b->verdict), reason_name(b->reason),
				ull(b->left_packets));
		fputc('\n', t->c->out);
	}
	if (s->n > LINES)
		fprintf(t->c->out, "  and %llu more\n", ull(s->n - LINES));
}

static int against(const struct policy_test *t)
{
	static const char *const heads[] = { "WITH THIS", "REASON", "AGAINST", "REASON", ">CONVERSATIONS", NULL };
	struct table x;
	char safe[1024];
	if (t->sides < 2)
		return CMD_OK;
	fprintf(t->c->out, "\nAgainst %s:\n", cmd_safe(safe, sizeof(safe), t->names[1]));
	fprintf(t->c->out, "%llu packets and %llu conversations differ\n", ull(t->end.differ), ull(t->differing.n));
	if (!t->differing.n)
		return CMD_OK;
	table_init(&x, heads);
	for (unsigned i = 0; i < t->nchanges; i++) {
		const struct change *k = &t->changes[i];
		for (unsigned s = 0; s < JUDGE_SIDES; s++) {
			table_add(&x, "%s", verdict_name(k->verdict[s]));
			table_add(&x, "%s", reason_name(k->reason[s]));
		}
		table_add(&x, "%llu", ull(k->conversations));
	}
	int r = table_print(&x, t->c);
	conversations(t, &t->differing, true);
	return r;
}

int policy_report_text(const struct policy_test *t)
{
	char safe[1024];
	if (t->packets)
		fputc('\n', t->c->out);
	captures(t);
	notes(t);
	int r = verdicts(t);
	if (!r)
		r = lefts(t, &t->left, true, "What would have left:", "nothing");
	if (!r)
		r = lefts(t, &t->stays, false,
			  "What would have gone to another honeypot or to what plays a destination:", NULL);
	if (!r)
		r = rules(t);
	if (!r)
		r = against(t);
	if (t->must_not && t->violations.n) {
		fprintf(t->c->out, "\nMust not leave (%s), but %llu conversations would have:\n",
			cmd_safe(safe, sizeof(safe), t->must_not), ull(t->violations.n));
		conversations(t, &t->violations, false);
	}
	return r;
}
