/* SPDX-License-Identifier: ISC */
/* A honeynet in words, so that an operator sees what a file would do before it does. */
#include "cli/load.h"
#include "cli/policy_words.h"

#include <string.h>

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
	policy_explain(out, m, &m->policy, POLICY_NONE, "  ");
	for (uint32_t i = 0; i < m->nhoneypots; i++) {
		const struct honeypot *h = &m->honeypots[i];
		if (!memcmp(&h->policy, &m->policy, sizeof(m->policy)))
			continue;
		fprintf(out, "policy of %s:\n", h->name);
		policy_explain(out, m, &h->policy, i, "  ");
	}
	const struct evidence_conf *v = &m->evidence;
	fprintf(out, "evidence: %s%s", v->max_bytes ? "at most " : "as much as the disk holds",
		v->max_bytes ? cmd_size_text(size, v->max_bytes) : "");
	char age[32];
	if (v->max_age)
		fprintf(out, ", for the last %s", policy_period(age, (uint32_t)v->max_age));
	fprintf(out, ", in files of %s; stops everything", cmd_size_text(size, v->rotate_bytes));
	fprintf(out, " when less than %s is free\n", cmd_size_text(size, v->min_free));
}
