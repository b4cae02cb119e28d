/* SPDX-License-Identifier: ISC */
/* A honeynet in words, so that an operator sees what a file would do before it does. */
#include "cli/load.h"

#include <string.h>

static const char *const classes[LIMIT_CLASS_COUNT] = { "TCP", "UDP", "ICMP", "other" };

static const char *window(char buf[CMD_SIZE_TEXT + 8], uint32_t seconds)
{
	char age[CMD_SIZE_TEXT];
	const char *unit = seconds == 60 ? "minute" : seconds == 3600 ? "hour" : seconds == 86400 ? "day" : NULL;
	if (unit)
		snprintf(buf, CMD_SIZE_TEXT + 8, "%s", unit);
	else if (seconds && seconds % 86400 == 0)
		snprintf(buf, CMD_SIZE_TEXT + 8, "%u days", seconds / 86400);
	else
		snprintf(buf, CMD_SIZE_TEXT + 8, "%s", cmd_age_text(age, seconds));
	return buf;
}

static void limits(FILE *out, const char *indent, const char *what, const struct limit *l)
{
	bool any = false;
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		any |= l[i].count != 0;
	fprintf(out, "%s%s: ", indent, what);
	if (!any) {
		fputs("no new conversation at all, replies only\n", out);
		return;
	}
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++) {
		char w[CMD_SIZE_TEXT + 8];
		fputs(i ? ", " : "", out);
		if (!l[i].count)
			fprintf(out, "%s none", classes[i]);
		else if (l[i].count == LIMIT_UNLIMITED)
			fprintf(out, "%s WITHOUT LIMIT", classes[i]);
		else
			fprintf(out, "%s %u per %s", classes[i], l[i].count, window(w, l[i].seconds));
	}
	fputc('\n', out);
}

static void budget(FILE *out, const char *indent, const char *what, const struct budget *b)
{
	char size[CMD_SIZE_TEXT], w[CMD_SIZE_TEXT + 8];
	if (!b->bytes && !b->packets)
		return;
	fprintf(out, "%s%s: at most", indent, what);
	if (b->bytes)
		fprintf(out, " %s bytes", cmd_size_text(size, b->bytes));
	if (b->packets)
		fprintf(out, "%s %llu packets", b->bytes ? " and" : "", (unsigned long long)b->packets);
	if (b->seconds)
		fprintf(out, " per %s", window(w, b->seconds));
	fputc('\n', out);
}

void policy_words(FILE *out, const struct policy *p, const char *indent)
{
	fprintf(out, "%sin: %s\n", indent,
		p->inbound_deny ? "nobody outside may begin a conversation"
				: "anybody outside may begin a conversation");
	limits(out, indent, "out", p->outbound);
	limits(out, indent, "between honeypots", p->lateral);
	budget(out, indent, "each conversation", &p->flow);
	budget(out, indent, "each honeypot", &p->honeypot);
	if (p->multicast_allow)
		fprintf(out, "%sbroadcast and multicast may leave, within these limits\n", indent);
}

static void prefixes(FILE *out, const struct network *n)
{
	char a[ADDR_TEXT], r[ADDR_TEXT];
	const struct addr *net[] = { &n->v4, &n->v6 }, *router[] = { &n->router4, &n->router6 };
	for (int i = 0; i < 2; i++) {
		if (!net[i]->family)
			continue;
		fprintf(out, " %s", addr_text(net[i], a));
		struct addr host = *router[i];
		host.plen = host.family == 4 ? 32 : 128;
		if (host.family)
			fprintf(out, " (router %s)", addr_text(&host, r));
	}
	fputc('\n', out);
}

static void honeypot(struct table *t, const struct model *m, const struct honeypot *h)
{
	char text[ADDR_TEXT], all[MODEL_ADDRS * ADDR_TEXT] = "", size[CMD_SIZE_TEXT];
	for (uint32_t i = 0; i < h->naddrs && i < MODEL_ADDRS; i++) {
		struct addr a = h->addrs[i];
		a.plen = a.family == 4 ? 32 : 128;
		size_t at = strlen(all);
		snprintf(all + at, sizeof(all) - at, "%s%s", at ? " " : "", addr_text(&a, text));
	}
	table_add(t, "%s", h->name);
	table_add(t, "%s", h->hostname);
	table_add(t, "%s", backend_name(h->backend));
	table_add(t, "%s", h->image);
	table_add(t, "%s", h->net < m->nnets ? m->nets[h->net].name : "-");
	table_add(t, "%s", cmd_size_text(size, h->memory));
	table_add(t, "%s", all);
}

void load_summary(FILE *out, const struct model *m)
{
	static const char *const heads[] = { "HONEYPOT", "HOSTNAME", "BACKEND",   "IMAGE",
					     "NETWORK",  ">MEMORY",  "ADDRESSES", NULL };
	char text[ADDR_TEXT], size[CMD_SIZE_TEXT];
	struct cmd c = { .out = out, .err = stderr };
	struct table t;
	fprintf(out, "honeynet %s: %u network%s, %u honeypot%s, uplink %s", m->name, m->nnets, m->nnets == 1 ? "" : "s",
		m->nhoneypots, m->nhoneypots == 1 ? "" : "s", m->uplink == UPLINK_LAB ? "lab" : "none");
	for (uint32_t i = 0; i < m->nlab; i++)
		fprintf(out, "%s%s", i ? ", " : ", which plays ", addr_text(&m->lab[i], text));
	fputc('\n', out);
	for (uint32_t i = 0; i < m->nnets; i++) {
		fprintf(out, "network %s:", m->nets[i].name);
		prefixes(out, &m->nets[i]);
	}
	fputc('\n', out);
	table_init(&t, heads);
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		honeypot(&t, m, &m->honeypots[i]);
	table_print(&t, &c);
	fputs("\npolicy:\n", out);
	policy_words(out, &m->policy, "  ");
	for (uint32_t i = 0; i < m->nhoneypots; i++) {
		const struct honeypot *h = &m->honeypots[i];
		if (!memcmp(&h->policy, &m->policy, sizeof(m->policy)))
			continue;
		fprintf(out, "policy of %s:\n", h->name);
		policy_words(out, &h->policy, "  ");
	}
	const struct evidence_conf *v = &m->evidence;
	fprintf(out, "evidence: %s%s", v->max_bytes ? "at most " : "as much as the disk holds",
		v->max_bytes ? cmd_size_text(size, v->max_bytes) : "");
	char age[CMD_SIZE_TEXT + 8];
	if (v->max_age)
		fprintf(out, ", for the last %s", window(age, (uint32_t)v->max_age));
	fprintf(out, ", in files of %s; stops everything", cmd_size_text(size, v->rotate_bytes));
	fprintf(out, " when less than %s is free\n", cmd_size_text(size, v->min_free));
}
