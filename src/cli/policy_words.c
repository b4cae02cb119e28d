/* SPDX-License-Identifier: ISC */
/* Policies in words. See policy_words.h. */
#include "cli/policy_words.h"

#include "base/text.h"

#include <inttypes.h>
#include <string.h>

const char *const policy_classes[LIMIT_CLASS_COUNT] = { "TCP", "UDP", "ICMP", "other" };
static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

const char *policy_period(char buf[32], uint32_t seconds)
{
	static const struct {
		uint32_t seconds;
		const char *one, *many;
	} units[] = { { 86400, "day", "days" }, { 3600, "hour", "hours" }, { 60, "minute", "minutes" } };
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds == units[i].seconds)
			return units[i].one;
		if (seconds && seconds % units[i].seconds == 0) {
			snprintf(buf, 32, "%u %s", seconds / units[i].seconds, units[i].many);
			return buf;
		}
	}
	if (seconds == 1)
		return "second";
	snprintf(buf, 32, "%u seconds", seconds);
	return buf;
}

const char *policy_size(char buf[32], uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned u = 0;
	for (; u < 4 && bytes && bytes % 1024 == 0; u++)
		bytes /= 1024;
	snprintf(buf, 32, "%" PRIu64 " %s", bytes, units[u]);
	return buf;
}

void policy_prefixes(FILE *out, const struct policy_pool *pool, struct span s)
{
	char text[ADDR_TEXT];
	for (uint32_t i = 0; i < s.n; i++)
		fprintf(out, "%s%s", i ? ", " : "", addr_text(&pool->prefixes[s.first + i], text));
}

static void ports(FILE *out, const struct policy_pool *pool, struct span s, const char *what)
{
	if (!s.n)
		return;
	const struct port_range *r = &pool->ranges[s.first];
	fprintf(out, " %s port%s ", what, s.n > 1 || r->from != r->to ? "s" : "");
	for (uint32_t i = 0; i < s.n; i++) {
		fprintf(out, "%s%u", i ? ", " : "", r[i].from);
		if (r[i].to != r[i].from)
			fprintf(out, "-%u", r[i].to);
	}
}

static void when(FILE *out, const struct when *w)
{
	if (!w->days)
		return;
	if (w->days != 0x7f)
		fputs(" on", out);
	for (unsigned d = 0; w->days != 0x7f && d < 7;) {
		unsigned last = d;
		if (!(w->days & 1u << d)) {
			d++;
			continue;
		}
		while (last + 1 < 7 && w->days & 1u << (last + 1))
			last++;
		fprintf(out, " %s", day_names[d]);
		if (last > d)
			fprintf(out, "-%s", day_names[last]);
		d = last + 1;
	}
	if (w->from != w->to)
		fprintf(out, " from %02u:%02u to %02u:%02u UTC", w->from / 60, w->from % 60, w->to / 60, w->to % 60);
	else if (w->days != 0x7f)
		fputs(" (UTC)", out);
}

static void of_names(FILE *out, const struct model *m, const struct rule *r)
{
	bool first = true;
	for (uint32_t i = 0; i < m->nnets && r->networks; i++)
		if (r->networks & 1u << i) {
			fprintf(out, "%s%s", first ? " of network " : ", ", m->nets[i].name);
			first = false;
		}
}

static const char *directions(unsigned d)
{
	switch (d) {
	case RULE_OUT:
		return "outwards";
	case RULE_LATERAL:
		return "between honeypots";
	case RULE_IN:
		return "inwards";
	case RULE_OUT | RULE_LATERAL:
		return "outwards and between honeypots";
	case RULE_OUT | RULE_IN:
		return "outwards and inwards";
	case RULE_LATERAL | RULE_IN:
		return "inwards and between honeypots";
	default:
		return "in all directions";
	}
}

void policy_rule_match(FILE *out, const struct model *m, const struct rule *r)
{
	char name[16], upper[16];
	const char *proto = r->has_proto ? model_protocol_name(r->proto, name) : "everything";
	if (r->has_proto && proto != name) {
		size_t n = strlen(proto);
		for (size_t i = 0; i <= n && i < sizeof(upper); i++)
			upper[i] = proto[i] >= 'a' && proto[i] <= 'z' && !(r->proto == 58 && proto[i] == 'v')
				       ? (char)(proto[i] - 32)
				       : proto[i];
		proto = upper;
	}
	fputs(proto, out);
	ports(out, &m->pool, r->ports, "to");
	ports(out, &m->pool, r->sports, "from");
	if (r->to.n) {
		fputs(" to ", out);
		policy_prefixes(out, &m->pool, r->to);
	}
	if (r->from.n) {
		fputs(" from ", out);
		policy_prefixes(out, &m->pool, r->from);
	}
	fprintf(out, " %s", directions(r->directions));
	of_names(out, m, r);
	if (r->state)
		fprintf(out, ", %s", r->state == RULE_STATE_NEW ? "until it is answered" : "once it is answered");
	if (r->alert == RULE_ALERT_ANY)
		fputs(", if the inline engine raised any alert", out);
	else if (r->alert)
		fprintf(out, ", if the inline engine raised alert %u", r->alert);
	when(out, &r->when);
}

static void amounts(FILE *out, const struct budget *b)
{
	char size[32];
	if (b->bytes)
		fputs(policy_size(size, b->bytes), out);
	if (b->packets)
		fprintf(out, "%s%" PRIu64 " packets", b->bytes ? " and " : "", b->packets);
}

static void escaped(FILE *out, const uint8_t *p, size_t n)
{
	char text[4 * REWRITE_MAX + 1];
	text_safe(text, sizeof(text), p, n, false);
	fprintf(out, "'%s'", text);
}

void policy_rule_does(FILE *out, const struct model *m, const struct rule *r)
{
	static const char *const per[] = { "", " with each destination", " from each source",
					   " of all honeypots together" };
	static const char *const sinks[] = { "the sinkhole, as its port wants", "the sinkhole's mail server",
					     "the sinkhole's web server", "the sinkhole" };
	char p[32];
	switch (r->action) {
	case ACTION_ALLOW:
		fputs("passes", out);
		break;
	case ACTION_LIMIT:
		fprintf(out, "at most %u in any %s%s, the rest is dropped", r->limit.count,
			policy_period(p, r->limit.seconds), per[r->per]);
		break;
	case ACTION_FIRST:
		fputs("the first ", out);
		amounts(out, &r->first);
		fputs(" of each conversation pass", out);
		break;
	case ACTION_REWRITE:
		fputs("passes with ", out);
		for (uint32_t i = 0; i < r->rewrites.n; i++) {
			const struct rewrite *w = &m->pool.rewrites[r->rewrites.first + i];
			fputs(i ? ", " : "", out);
			escaped(out, w->from, w->n);
			fputs(" made ", out);
			escaped(out, w->to, w->n);
		}
		break;
	case ACTION_REFLECT:
		fprintf(out, "played by honeypot %s, nothing leaves",
			r->target < m->nhoneypots ? m->honeypots[r->target].name : "?");
		break;
	case ACTION_SINKHOLE:
		fprintf(out, "played by %s, nothing leaves", sinks[r->sink]);
		break;
	case ACTION_RESET:
		fputs("refused, as by a closed port", out);
		break;
	default:
		fputs("dropped", out);
	}
}

void policy_trigger_words(FILE *out, const struct model *m, const struct trigger *t)
{
	static const char *const on[] = { "the inline engine raises ", "a limit or budget stops something",
					  "a payload holds ",          "a program is executed",
					  "a line is typed",           "somebody logs in" };
	static const uint8_t any[32];
	char p[32];
	const char *sep = "";
	fprintf(out, "when %s", on[t->on]);
	if (t->on == TRIGGER_ALERT && t->alert == RULE_ALERT_ANY)
		fputs("any alert", out);
	else if (t->on == TRIGGER_ALERT)
		fprintf(out, "alert %u", t->alert);
	else if (t->on == TRIGGER_KEYWORD)
		escaped(out, m->pool.keywords[t->keyword].bytes, m->pool.keywords[t->keyword].n);
	else if (*t->match) {
		char text[4 * sizeof(t->match)];
		text_safe(text, sizeof(text), t->match, strlen(t->match), false);
		fprintf(out, " that matches '%s'", text);
	}
	for (uint32_t i = 0; i < m->nhoneypots && memcmp(t->honeypots, any, sizeof(any)) != 0; i++)
		if (t->honeypots[i / 8] & 1u << (i % 8)) {
			fprintf(out, "%s%s", *sep ? sep : " (", m->honeypots[i].name);
			sep = ", ";
		}
	fputs(*sep ? "): " : ": ", out);
	sep = "";
	if (t->actions & TRIGGER_DO_FREEZE)
		fputs("freeze", out), sep = ", ";
	if (t->actions & TRIGGER_DO_POLICY)
		fprintf(out, "%spolicy %s", sep, m->policies[t->policy].name), sep = ", ";
	if (t->actions & TRIGGER_DO_PAUSE)
		fprintf(out, "%spause", sep), sep = ", ";
	if (t->actions & TRIGGER_DO_NOTIFY)
		fprintf(out, "%stell the operator", sep), sep = ", ";
	if (!*sep)
		fputs("an event", out);
	if (t->seconds)
		fprintf(out, ", for %s%s",
			t->seconds == 1 || t->seconds == 60 || t->seconds == 3600 || t->seconds == 86400 ? "a " : "",
			policy_period(p, t->seconds));
	if (t->throttle.count)
		fprintf(out, "; at most %u in any %s", t->throttle.count, policy_period(p, t->throttle.seconds));
}
