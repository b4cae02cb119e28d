/* SPDX-License-Identifier: ISC */
#include "model/same.h"

#include <errno.h>
#include <string.h>

static bool same_limit(const struct limit *x, const struct limit *y)
{
	return x->count == y->count && x->seconds == y->seconds;
}

static bool same_limits(const struct limit *x, const struct limit *y)
{
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		if (!same_limit(&x[i], &y[i]))
			return false;
	return true;
}

static bool same_budget(const struct budget *x, const struct budget *y)
{
	return x->bytes == y->bytes && x->packets == y->packets && x->seconds == y->seconds;
}

static bool same_addr(const struct addr *x, const struct addr *y)
{
	return addr_equal(x, y) && x->plen == y->plen;
}

static bool same_prefixes(const struct policy_pool *xp, struct span x, const struct policy_pool *yp, struct span y)
{
	if (x.n != y.n)
		return false;
	for (unsigned i = 0; i < x.n; i++)
		if (!same_addr(&xp->prefixes[x.first + i], &yp->prefixes[y.first + i]))
			return false;
	return true;
}

static bool same_ranges(const struct policy_pool *xp, struct span x, const struct policy_pool *yp, struct span y)
{
	return x.n == y.n && !memcmp(&xp->ranges[x.first], &yp->ranges[y.first], x.n * sizeof(xp->ranges[0]));
}

static bool same_rewrites(const struct policy_pool *xp, struct span x, const struct policy_pool *yp, struct span y)
{
	return x.n == y.n && !memcmp(&xp->rewrites[x.first], &yp->rewrites[y.first], x.n * sizeof(xp->rewrites[0]));
}

static bool same_rule(const struct policy_pool *xp, const struct rule *x, const struct policy_pool *yp,
		      const struct rule *y)
{
	struct rule a = *x, b = *y;
	if (!same_prefixes(xp, x->from, yp, y->from) || !same_prefixes(xp, x->to, yp, y->to) ||
	    !same_ranges(xp, x->sports, yp, y->sports) || !same_ranges(xp, x->ports, yp, y->ports) ||
	    !same_rewrites(xp, x->rewrites, yp, y->rewrites))
		return false;
	/* Where it stands in the file and in the pool does not matter. */
	a.from = a.to = a.sports = a.ports = a.rewrites = (struct span){ 0, 0 };
	b.from = b.to = b.sports = b.ports = b.rewrites = (struct span){ 0, 0 };
	a.line = b.line = 0;
	return !memcmp(&a, &b, sizeof(a));
}

static bool same_rules(const struct policy_pool *xp, struct span x, const struct policy_pool *yp, struct span y)
{
#ifdef MUTANT_PLAN_RULES_UNSEEN
	return x.n == y.n;
#endif
	if (x.n != y.n)
		return false;
	for (unsigned i = 0; i < x.n; i++)
		if (!same_rule(xp, &xp->rules[x.first + i], yp, &yp->rules[y.first + i]))
			return false;
	return true;
}

static bool same_dns(const struct dns_policy *x, const struct dns_policy *y)
{
	return x->on == y->on && x->ntypes == y->ntypes && x->name_max == y->name_max && x->label_max == y->label_max &&
	       x->entropy == y->entropy && x->answer_max == y->answer_max &&
	       !memcmp(x->types, y->types, sizeof(x->types)) && same_limit(&x->queries, &y->queries) &&
	       same_limit(&x->names, &y->names) && same_addr(&x->resolver4, &y->resolver4) &&
	       same_addr(&x->resolver6, &y->resolver6);
}

bool same_policy(const struct model *xm, const struct policy *x, const struct model *ym, const struct policy *y)
{
	const struct policy_pool *xp = &xm->pool, *yp = &ym->pool;
	return x->inbound_deny == y->inbound_deny && x->multicast_allow == y->multicast_allow &&
	       x->roach_motel == y->roach_motel && x->engine == y->engine && x->jitter == y->jitter &&
	       same_limits(x->outbound, y->outbound) && same_limits(x->lateral, y->lateral) &&
	       same_limits(x->per_destination, y->per_destination) && same_limits(x->per_source, y->per_source) &&
	       same_limit(&x->fan_out, &y->fan_out) && x->concurrent == y->concurrent && x->bandwidth == y->bandwidth &&
	       same_budget(&x->flow, &y->flow) && same_budget(&x->honeypot, &y->honeypot) &&
	       same_dns(&x->dns, &y->dns) && same_prefixes(xp, x->fence, yp, y->fence) &&
	       same_prefixes(xp, x->black, yp, y->black) && same_prefixes(xp, x->allow, yp, y->allow) &&
	       same_rules(xp, x->rules, yp, y->rules);
}

bool same_pool(const struct policy_pool *x, const struct policy_pool *y)
{
	return x->nrules == y->nrules && x->nprefixes == y->nprefixes && x->nranges == y->nranges &&
	       x->nrewrites == y->nrewrites && x->nkeywords == y->nkeywords &&
	       !memcmp(x->rules, y->rules, x->nrules * sizeof(x->rules[0])) &&
	       !memcmp(x->prefixes, y->prefixes, x->nprefixes * sizeof(x->prefixes[0])) &&
	       !memcmp(x->ranges, y->ranges, x->nranges * sizeof(x->ranges[0])) &&
	       !memcmp(x->rewrites, y->rewrites, x->nrewrites * sizeof(x->rewrites[0])) &&
	       !memcmp(x->keywords, y->keywords, x->nkeywords * sizeof(x->keywords[0]));
}

static bool same_trigger(const struct trigger *x, const struct trigger *y)
{
	struct trigger a = *x, b = *y;
	a.line = b.line = 0;
	return !memcmp(&a, &b, sizeof(a));
}

bool same_reactions(const struct model *x, const struct model *y)
{
	if (x->npolicies != y->npolicies || x->ntriggers != y->ntriggers ||
	    memcmp(&x->notify, &y->notify, sizeof(x->notify)) != 0)
		return false;
	for (uint32_t i = 0; i < x->ntriggers; i++)
		if (!same_trigger(&x->triggers[i], &y->triggers[i]))
			return false;
	for (uint32_t i = 0; i < x->npolicies; i++)
		if (strcmp(x->policies[i].name, y->policies[i].name) != 0 ||
		    !same_policy(x, &x->policies[i].policy, y, &y->policies[i].policy))
			return false;
	return true;
}

/* ---- what else differs ----------------------------------------------------- */

static const struct network *network_of(const struct model *m, const char *name)
{
	for (uint32_t i = 0; i < m->nnets; i++)
		if (!strcmp(m->nets[i].name, name))
			return &m->nets[i];
	return NULL;
}

static const char *network_differs(const struct network *x, const struct network *y)
{
	if (!same_addr(&x->v4, &y->v4) || !same_addr(&x->v6, &y->v6))
		return "prefix";
	if (!same_addr(&x->router4, &y->router4) || !same_addr(&x->router6, &y->router6))
		return "router";
	return NULL;
}

static const char *honeypot_differs(const struct model *xm, const struct honeypot *x, const struct model *ym,
				    const struct honeypot *y)
{
	if (strcmp(xm->nets[x->net].name, ym->nets[y->net].name) != 0)
		return "network";
	if (strcmp(x->image, y->image) != 0)
		return "image";
	if (strcmp(x->hostname, y->hostname) != 0)
		return "hostname";
	if (x->backend != y->backend)
		return "backend";
	if (memcmp(x->mac, y->mac, sizeof(x->mac)) != 0)
		return "mac";
	if (x->memory != y->memory)
		return "memory";
	if (x->cpus != y->cpus)
		return "cpus";
	if (x->boot_seconds != y->boot_seconds)
		return "boot timeout";
	if (x->introspection.mode != y->introspection.mode)
		return "introspection";
	if (x->naddrs != y->naddrs)
		return "address";
	for (uint32_t i = 0; i < x->naddrs; i++)
		if (!same_addr(&x->addrs[i], &y->addrs[i]))
			return "address";
	return NULL;
}

/* The engine is started by `up`, if any policy wants one. */
static bool wants_engine(const struct model *m)
{
	bool wants = false;
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		wants |= m->honeypots[i].policy.engine != ENGINE_OFF;
	for (uint32_t i = 0; i < m->npolicies; i++)
		wants |= m->policies[i].policy.engine != ENGINE_OFF;
	return wants;
}

static const char *evidence_differs(const struct evidence_conf *x, const struct evidence_conf *y)
{
	return x->max_bytes == y->max_bytes && x->max_age == y->max_age && x->rotate_bytes == y->rotate_bytes &&
		       x->min_free == y->min_free && x->ring_bytes == y->ring_bytes
		   ? NULL
		   : "evidence";
}

static int names_differ(const struct model *x, const struct model *y, struct err *e)
{
	for (uint32_t i = 0; i < x->nnets; i++)
		if (!network_of(y, x->nets[i].name))
			return err_set(e, -EBUSY, "network %s is not there any more", x->nets[i].name);
	for (uint32_t i = 0; i < x->nhoneypots; i++)
		if (!model_honeypot(y, x->honeypots[i].name))
			return err_set(e, -EBUSY, "honeypot %s is not there any more", x->honeypots[i].name);
	return 0;
}

int same_but_policies(const struct model *x, const struct model *y, struct err *e)
{
	if (strcmp(x->name, y->name) != 0)
		return err_set(e, -EBUSY, "it describes %s, not %s", y->name, x->name);
	bool uplink = x->uplink == y->uplink && x->nlab == y->nlab;
	for (uint32_t i = 0; uplink && i < x->nlab; i++)
		uplink = same_addr(&x->lab[i], &y->lab[i]);
	if (!uplink)
		return err_set(e, -EBUSY, "the uplink differs");
	for (uint32_t i = 0; i < y->nnets; i++) {
		const struct network *was = network_of(x, y->nets[i].name);
		const char *what = was ? network_differs(was, &y->nets[i]) : NULL;
		if (!was)
			return err_set(e, -EBUSY, "network %s is new", y->nets[i].name);
		if (what)
			return err_set(e, -EBUSY, "the %s of network %s differs", what, was->name);
	}
	for (uint32_t i = 0; i < y->nhoneypots; i++) {
		const struct honeypot *was = model_honeypot(x, y->honeypots[i].name);
		const char *what = was ? honeypot_differs(x, was, y, &y->honeypots[i]) : NULL;
		if (!was)
			return err_set(e, -EBUSY, "honeypot %s is new", y->honeypots[i].name);
		if (what)
			return err_set(e, -EBUSY, "the %s of %s differs", what, was->name);
	}
	int r = names_differ(x, y, e);
	if (!r && (wants_engine(x) != wants_engine(y) || memcmp(&x->engine, &y->engine, sizeof(x->engine)) != 0))
		r = err_set(e, -EBUSY, "the inline engine differs, or begins or ends to be wanted");
	if (!r && evidence_differs(&x->evidence, &y->evidence))
		r = err_set(e, -EBUSY, "the limits of evidence differ");
	return r;
}
