/* SPDX-License-Identifier: ISC */
/* A whole policy in words, in the order in which the gateway decides. */
#include "cli/policy_words.h"

#include <inttypes.h>
#include <string.h>

static void count(FILE *out, const struct limit *l)
{
	char p[32];
	if (!l->count)
		fputs("none", out);
	else if (l->count == LIMIT_UNLIMITED)
		fputs("ANY NUMBER", out);
	else
		fprintf(out, "at most %u in any %s", l->count, policy_period(p, l->seconds));
}

/* Limits of the classes; `narrow`: 0 is no limit, and those are left out. */
static void classes(FILE *out, const struct limit *l, bool narrow)
{
	bool some = false;
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++) {
		if (narrow && !l[i].count)
			continue;
		fprintf(out, "%s%s ", some ? "; " : "", policy_classes[i]);
		count(out, &l[i]);
		some = true;
	}
}

static bool all_zero(const struct limit *l)
{
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		if (l[i].count)
			return false;
	return true;
}

static void inwards(FILE *out, const struct policy *p, const char *in)
{
	fprintf(out, "%sin: ", in);
	if (p->inbound_deny) {
		fputs("nobody outside may begin a conversation\n", out);
	} else if (all_zero(p->per_source)) {
		fputs("anybody outside may begin any number of conversations\n", out);
	} else {
		fputs("each address outside may begin: ", out);
		classes(out, p->per_source, true);
		fputc('\n', out);
	}
}

static void lists(FILE *out, const struct model *m, const struct policy *p, const char *in)
{
	if (p->fence.n) {
		fprintf(out, "%snever reached (fence): ", in);
		policy_prefixes(out, &m->pool, p->fence);
		fputc('\n', out);
	}
	if (p->black.n) {
		fprintf(out, "%sneither reached nor let in (black list): ", in);
		policy_prefixes(out, &m->pool, p->black);
		fputc('\n', out);
	}
	if (p->roach_motel)
		fprintf(out, "%sout: nothing begins outwards or sideways (roach motel); replies only\n", in);
}

static void rules(FILE *out, const struct model *m, const struct policy *p, unsigned honeypot, const char *in)
{
	bool head = false;
	for (uint32_t i = p->rules.first; i < (uint32_t)p->rules.first + p->rules.n; i++) {
		const struct rule *r = &m->pool.rules[i];
		if (!policy_rule_about(m, r, honeypot) || (p->roach_motel && !(r->directions & RULE_IN)))
			continue;
		if (!head)
			fprintf(out, "%srules, of which the first that matches decides:\n", in);
		head = true;
		fprintf(out, "%s  %s: ", in, r->name);
		policy_rule_match(out, m, r);
		fputs(": ", out);
		policy_rule_does(out, m, r);
		fputc('\n', out);
	}
}

static void one_side(FILE *out, const char *what, const struct limit *l, bool more, const char *in)
{
	fprintf(out, "%s%s: ", in, what);
	if (all_zero(l))
		fprintf(out, "nothing %sbegins; replies only", more ? "else " : "");
	else
		classes(out, l, false);
	fputc('\n', out);
}

static void begins(FILE *out, const struct model *m, const struct policy *p, const char *in)
{
	char period[32];
	if (p->roach_motel)
		return;
	if (p->allow.n) {
		fprintf(out, "%sWITHOUT LIMIT of conversations (allow list): ", in);
		policy_prefixes(out, &m->pool, p->allow);
		fputc('\n', out);
	}
	one_side(out, "out", p->outbound, p->rules.n || p->allow.n, in);
	one_side(out, "between honeypots", p->lateral, p->rules.n || p->allow.n, in);
	if (!all_zero(p->per_destination)) {
		fprintf(out, "%sof all these, with one address: ", in);
		classes(out, p->per_destination, true);
		fputc('\n', out);
	}
	if (p->fan_out.count) {
		fprintf(out, "%swith different addresses: at most %u in any %s\n", in, p->fan_out.count,
			policy_period(period, p->fan_out.seconds));
	}
	if (p->concurrent)
		fprintf(out, "%sat one time: at most %u conversations of its own\n", in, p->concurrent);
	if (p->jitter)
		fprintf(out, "%sall these limits are lower by up to %u%%, at random\n", in, p->jitter);
	if (p->multicast_allow)
		fprintf(out, "%sbroadcast and multicast may leave, within these limits\n", in);
}

static void dns(FILE *out, const struct dns_policy *d, const char *in)
{
	char text[ADDR_TEXT], period[32], type[16];
	if (!d->on)
		return;
	fprintf(out, "%sDNS: UDP only", in);
	if (d->resolver4.family)
		fprintf(out, ", answered by %s", addr_text(&d->resolver4, text));
	if (d->resolver6.family)
		fprintf(out, "%s%s", d->resolver4.family ? " and " : ", answered by ", addr_text(&d->resolver6, text));
	if (d->queries.count)
		fprintf(out, "; at most %u queries in any %s", d->queries.count,
			policy_period(period, d->queries.seconds));
	if (d->names.count)
		fprintf(out, "; at most %u names below one domain in any %s", d->names.count,
			policy_period(period, d->names.seconds));
	if (d->name_max)
		fprintf(out, "; names of at most %u bytes", d->name_max);
	if (d->label_max)
		fprintf(out, "; labels of at most %u", d->label_max);
	if (d->entropy)
		fprintf(out, "; long labels of less than %g bits a character", d->entropy / 1000.0);
	for (unsigned i = 0; i < d->ntypes; i++)
		fprintf(out, "%s%s", i ? ", " : "; only types ", model_qtype_name(d->types[i], type));
	if (d->answer_max)
		fprintf(out, "; answers of at most %u bytes", d->answer_max);
	fputc('\n', out);
}

static void amounts(FILE *out, const struct budget *b)
{
	char size[32];
	if (b->bytes)
		fprintf(out, "%s", policy_size(size, b->bytes));
	if (b->packets)
		fprintf(out, "%s%" PRIu64 " packets", b->bytes ? " and " : "", b->packets);
	if (!b->bytes && !b->packets)
		fputs("ANY NUMBER of bytes", out);
}

static void bytes(FILE *out, const struct policy *p, const char *in)
{
	char size[32], period[32];
	fprintf(out, "%sbytes, replies included: each conversation carries away at most ", in);
	amounts(out, &p->flow);
	fputs("; the honeypot sends at most ", out);
	amounts(out, &p->honeypot);
	if (p->honeypot.bytes || p->honeypot.packets)
		fprintf(out, " in any %s", policy_period(period, p->honeypot.seconds));
	if (p->bandwidth)
		fprintf(out, ", and %s in any second", policy_size(size, p->bandwidth));
	fputc('\n', out);
	if (p->engine == ENGINE_INLINE)
		fprintf(out, "%sall of it passes through the inline engine, and nothing without it\n", in);
	else if (p->engine == ENGINE_PASSIVE)
		fprintf(out, "%sthe inline engine gets copies\n", in);
}

static void number(FILE *out, uint64_t n)
{
	if (n == POLICY_ANY)
		fputs("ANY NUMBER", out);
	else
		fprintf(out, "%" PRIu64, n);
}

static void numbers(FILE *out, const char *what, const uint64_t n[LIMIT_CLASS_COUNT])
{
	bool any = false;
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		any |= n[i] != 0;
	fprintf(out, "%s ", what);
	for (int i = 0, some = 0; i < LIMIT_CLASS_COUNT; i++) {
		if (!n[i])
			continue;
		fprintf(out, "%s%s ", some++ ? ", " : "", policy_classes[i]);
		number(out, n[i]);
	}
	fprintf(out, "%s; ", any ? " conversations" : "no conversation");
}

static void worst(FILE *out, const struct model *m, const struct policy *p, unsigned honeypot, const char *in)
{
	static const uint32_t windows[] = { 3600, 86400 };
	char text[32];
	for (size_t w = 0; w < 2; w++) {
		struct policy_worst x;
		policy_worst(m, p, honeypot, windows[w], &x);
		fprintf(out, "%sat worst in any %s: ", in, policy_period(text, windows[w]));
		numbers(out, "outwards", x.out);
		numbers(out, "between honeypots", x.lateral);
		if (x.allow_list)
			fputs("with the allow list ANY NUMBER; ", out);
		if (x.bytes == POLICY_ANY)
			fputs("ANY NUMBER of bytes sent\n", out);
		else
			fprintf(out, "%s sent\n", policy_size(text, x.bytes));
	}
}

void policy_explain(FILE *out, const struct model *m, const struct policy *p, unsigned honeypot, const char *in)
{
	inwards(out, p, in);
	lists(out, m, p, in);
	rules(out, m, p, honeypot, in);
	begins(out, m, p, in);
	dns(out, &p->dns, in);
	bytes(out, p, in);
	worst(out, m, p, honeypot, in);
}
