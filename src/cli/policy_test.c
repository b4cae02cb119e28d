/* SPDX-License-Identifier: ISC */
#include "cli/policy_test.h"

#include "base/text.h"
#include "cli/policy_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- honeypots and networks ------------------------------------------------------- */

static void lay_net(struct policy_test *t, uint16_t net, const char *name)
{
	struct gw_port up = { .port = PORT_UPLINK(net), .net = net, .role = PORT_ROLE_UPLINK };
	struct gw_port sink = { .port = PORT_SINK(net), .net = net, .role = PORT_ROLE_SINK };
	snprintf(up.name, sizeof(up.name), "uplink-%.24s", name);
	snprintf(sink.name, sizeof(sink.name), "sinkhole-%.22s", name);
	mac_auto("policy-test", sink.name, sink.mac);
	t->ports[up.port] = up;
	t->ports[sink.port] = sink;
}

static struct gw_port *add_honeypot(struct policy_test *t, const char *name, uint16_t net)
{
	struct gw_port *p = &t->ports[t->nhoneypots];
	*p = (struct gw_port){ .port = (uint16_t)t->nhoneypots, .net = net, .role = PORT_ROLE_HONEYPOT };
	snprintf(p->name, sizeof(p->name), "%s", name);
	mac_auto("policy-test", name, p->mac);
	t->nhoneypots++;
	return p;
}

/* As the file has them. */
static void from_model(struct policy_test *t)
{
	const struct model *m = t->model[0];
	for (uint32_t i = 0; i < m->nnets; i++)
		lay_net(t, (uint16_t)i, m->nets[i].name);
	for (uint32_t i = 0; i < m->nhoneypots; i++) {
		const struct honeypot *h = &m->honeypots[i];
		struct gw_port *p = add_honeypot(t, h->name, (uint16_t)h->net);
		memcpy(p->mac, h->mac, sizeof(p->mac));
		memcpy(p->addrs, h->addrs, sizeof(p->addrs));
		p->naddrs = h->naddrs;
		p->routers[0] = m->nets[h->net].router4;
		p->routers[1] = m->nets[h->net].router6;
	}
}

static uint8_t common(const struct addr *a, const struct addr *b, uint8_t most)
{
	uint8_t n = 0;
	while (n < most && !((a->b[n / 8] ^ b->b[n / 8]) & 0x80 >> n % 8))
		n++;
	return n;
}

/* All in one network: the prefixes that were not written are the longest that
 * all addresses have in common, at most /24 and /64. */
static void common_prefixes(struct policy_test *t)
{
	for (int family = 4; family <= 6; family += 2) {
		uint8_t n = family == 4 ? 24 : 64;
		const struct addr *first = NULL;
		for (unsigned pass = 0; pass < 2; pass++)
			for (unsigned i = 0; i < t->nhoneypots; i++)
				for (uint32_t k = 0; k < t->ports[i].naddrs; k++) {
					struct addr *a = &t->ports[i].addrs[k];
					if (a->family != family)
						continue;
					if (!first)
						first = a;
					if (!pass)
						n = common(first, a, n);
					else if (a->plen == (family == 4 ? 32 : 128))
						a->plen = n;
				}
	}
}

static struct gw_port *honeypot_named(struct policy_test *t, const char *name)
{
	for (unsigned i = 0; i < t->nhoneypots; i++)
		if (!strcmp(t->ports[i].name, name))
			return &t->ports[i];
	return NULL;
}

/* --honeypot [NAME=]ADDRESS[/LEN] */
static int from_option(struct policy_test *t, const char *value)
{
	char name[NAME_CAP];
	const char *eq = strchr(value, '='), *ip = eq ? eq + 1 : value;
	struct addr a;
	if (!addr_parse(ip, -1, &a) || addr_special(&a))
		return cmd_usage(t->c, "--honeypot %s: the address of a honeypot is expected, as in 192.0.2.10", value);
	if (eq)
		snprintf(name, sizeof(name), "%.*s", (int)(eq - value < NAME_CAP ? eq - value : NAME_CAP - 1), value);
	else
		snprintf(name, sizeof(name), "%s", strlen(ip) < NAME_CAP ? ip : "");
	if (eq && !text_is_name(name))
		return cmd_usage(t->c, "--honeypot %s: a name has lower case letters, digits and hyphens", value);
	if (!name[0])
		snprintf(name, sizeof(name), "honeypot-%u", t->nhoneypots + 1);
	for (unsigned i = 0; i < t->nhoneypots; i++)
		for (uint32_t k = 0; k < t->ports[i].naddrs; k++)
			if (addr_equal(&t->ports[i].addrs[k], &a))
				return cmd_usage(t->c, "--honeypot %s: given twice", value);
	struct gw_port *p = honeypot_named(t, name);
	if (!p && t->nhoneypots == MODEL_HONEYPOTS)
		return cmd_usage(t->c, "--honeypot: at most %u honeypots", MODEL_HONEYPOTS);
	if (!p)
		p = add_honeypot(t, name, 0);
	if (p->naddrs == MODEL_ADDRS)
		return cmd_usage(t->c, "--honeypot %s: at most %u addresses", value, MODEL_ADDRS);
	p->addrs[p->naddrs++] = a;
	return CMD_OK;
}

static int from_options(struct policy_test *t)
{
	const char *value;
	lay_net(t, 0, "capture");
	for (unsigned i = 0; (value = cmd_str_at(t->c, "honeypot", i)); i++) {
		int r = from_option(t, value);
		if (r)
			return r;
	}
	common_prefixes(t);
	return CMD_OK;
}

/* The honeynet that the options describe, so that a policy's rules may name its
 * honeypots. NULL: out of memory. */
static struct model *model_of_options(const struct policy_test *t)
{
	struct model *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->magic = MODEL_MAGIC;
	m->size = sizeof(*m);
	snprintf(m->nets[0].name, sizeof(m->nets[0].name), "capture");
	m->nnets = 1;
	m->nhoneypots = t->nhoneypots;
	for (unsigned i = 0; i < t->nhoneypots; i++) {
		struct honeypot *h = &m->honeypots[i];
		snprintf(h->name, sizeof(h->name), "%s", t->ports[i].name);
		memcpy(h->mac, t->ports[i].mac, sizeof(h->mac));
		memcpy(h->addrs, t->ports[i].addrs, sizeof(h->addrs));
		h->naddrs = t->ports[i].naddrs;
	}
	return m;
}

/* ---- policies ---------------------------------------------------------------------- */

/* The honeypot of the file's, by its name; else its policy for all. */
static void lay_policy(struct policy_test *t, unsigned side)
{
	const struct model *m = t->model[side];
	for (unsigned i = 0; i < t->nhoneypots; i++) {
		struct gw_policy_entry *x = &t->entries[side][i];
		const struct honeypot *h = model_honeypot(m, t->ports[i].name);
		uint32_t index = h ? (uint32_t)(h - m->honeypots) : m->nhoneypots + i;
		/* No rule can name what the file has not. */
		*x = (struct gw_policy_entry){ .port = (uint16_t)i,
					       .honeypot =
						   (uint16_t)(index < MODEL_HONEYPOTS ? index : MODEL_HONEYPOTS - 1),
					       .network = (uint16_t)(h ? h->net : 0),
					       .policy = h ? h->policy : m->policy };
		t->engine |= x->policy.engine == ENGINE_INLINE;
		t->jitter |= x->policy.jitter != 0;
		x->policy.engine = ENGINE_OFF;
		x->policy.jitter = 0;
	}
}

static int load_policy(struct policy_test *t, unsigned side, const char *name, const struct model *net)
{
	struct model *m = calloc(1, sizeof(*m));
	t->model[side] = m;
	t->names[side] = name;
	if (!m)
		return cmd_fail(t->c, "out of memory");
	int r = policy_load_or_say(t->c, name, net, m);
	t->honeynet[side] = r == POLICY_SOURCE_HONEYNET;
	return r < 0 ? CMD_FAILED : CMD_OK;
}

static int load_policies(struct policy_test *t, const char *p, const char *q)
{
	bool options = cmd_str_at(t->c, "honeypot", 0) != NULL;
	int r = options ? from_options(t) : CMD_OK;
	if (r)
		return r;
	struct model *net = options ? model_of_options(t) : NULL;
	if (options && !net)
		return cmd_fail(t->c, "out of memory");
	r = load_policy(t, 0, p, net);
	if (!r && !options && !t->honeynet[0])
		r = cmd_usage(t->c,
			      "which addresses are honeypots? Name each with --honeypot ADDRESS, or give --policy a "
			      "honeynet's file");
	if (!r && !options)
		from_model(t);
	if (!r && q)
		r = load_policy(t, 1, q, options ? net : t->model[0]);
	free(net);
	return r;
}

/* ---- the command -------------------------------------------------------------------- */

static int port_of(void *arg, const char *name)
{
	const struct gw_port *p = honeypot_named(arg, name);
	return p ? p->port : -1;
}

/* What the captures do not show cannot be vouched for. */
static int verdict(struct policy_test *t)
{
	const struct judge_end *n = &t->end;
	if (!t->must_not)
		return CMD_OK;
#ifdef MUTANT_JUDGE_MUST_NOT_LEAVE_OFF
	return CMD_OK;
#endif
	if (t->violations.n)
		return cmd_fail(t->c, "%llu conversations would have left that must not",
				(unsigned long long)t->violations.n);
#ifndef MUTANT_JUDGE_SILENCE_PROVES
	uint64_t said = 0;
	for (unsigned i = 0; i < t->nhoneypots; i++)
		said += t->seen[i].frames;
	if (!said)
		return cmd_fail(t->c, "no packet is a honeypot's, so that nothing is known: are these its addresses?");
#endif
#ifndef MUTANT_JUDGE_CUT_PROVES
	if (n->cut_of_honeypots)
		return cmd_fail(t->c,
				"%llu packets of honeypots are not in the capture as a whole, so that nothing is known "
				"about them: capture with tcpdump -s 0",
				(unsigned long long)n->cut_of_honeypots);
#endif
	if (n->overflow || n->tick_packets || n->foreign)
		return cmd_fail(t->c,
				"%llu packets could not be told to a conversation, so that nothing is known "
				"about them",
				(unsigned long long)(n->overflow + n->tick_packets + n->foreign));
	return CMD_OK;
}

static int run(struct policy_test *t)
{
	struct err e = { 0 };
	const char *q = cmd_str(t->c, "against"), *p = cmd_str(t->c, "policy");
	t->must_not = cmd_str(t->c, "must-not-leave");
	if (!p)
		return cmd_usage(t->c, "which policy? Give --policy a preset, a policy's file or a honeynet's");
	t->sides = q ? 2 : 1;
	int r = load_policies(t, p, q);
	if (r)
		return r;
	for (unsigned s = 0; s < t->sides; s++)
		lay_policy(t, s);
	if (t->must_not && expr_parse(t->must_not, port_of, t, &t->expr, &e) < 0)
		return cmd_usage(t->c, "--must-not-leave: %s", e.text);
	if (policy_judge(t, &e) < 0)
		return cmd_fail_err(t->c, &e, NULL);
	if (t->no_memory)
		return cmd_fail(t->c, "out of memory");
	policy_sort(&t->left);
	policy_sort(&t->stays);
	r = t->json ? policy_report_json(t) : t->c->quiet ? CMD_OK : policy_report_text(t);
	int v = verdict(t);
	return v ? v : r;
}

int cmd_policy_test(struct cmd *c)
{
	struct policy_test *t = calloc(1, sizeof(*t));
	if (!t)
		return cmd_fail(c, "out of memory");
	t->c = c;
	t->json = cmd_flag(c, "json");
	t->packets = cmd_flag(c, "packets");
	int r = run(t);
	policy_free(t);
	free(t);
	return r;
}
