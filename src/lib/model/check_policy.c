/* SPDX-License-Identifier: ISC */
/* What rules.h asks of policies, of the pool that they refer to, of triggers and
 * of notices. */
#include "base/text.h"
#include "model/rules.h"
#include "model/suricata.h"

#include <errno.h>
#include <string.h>

#define TCP 6
#define UDP 17
#define ICMPV6 58

/* ---- shape ------------------------------------------------------------------ */

static bool limit_shape(const struct limit *l)
{
	if (l->count == 0 || l->count == LIMIT_UNLIMITED)
		return l->seconds <= PERIOD_MAX;
	return l->count <= LIMIT_COUNT_MAX && l->seconds >= 1 && l->seconds <= PERIOD_MAX;
}

static bool budget_shape(const struct budget *b)
{
	return b->bytes <= BUDGET_BYTES_MAX && b->packets <= BUDGET_PACKETS_MAX && b->seconds <= PERIOD_MAX;
}

static bool span_shape(const struct span *s, uint32_t have)
{
#ifdef MUTANT_MODEL_SPAN_UNCHECKED
	(void)s;
	(void)have;
	return true;
#else
	return (uint32_t)s->first + s->n <= have;
#endif
}

/* No bit beyond the first n. */
static bool bits_shape(const uint8_t *bits, unsigned cap, uint32_t n)
{
	for (unsigned i = n; i < cap; i++)
		if (bits[i / 8] & 1u << (i % 8))
			return false;
	return true;
}

static bool dns_shape(const struct dns_policy *d)
{
	return d->on <= 1 && d->ntypes <= DNS_TYPES && d->name_max <= DNS_NAME_MAX && d->label_max <= DNS_LABEL_MAX &&
	       d->entropy <= DNS_ENTROPY_MAX && limit_shape(&d->queries) && limit_shape(&d->names) &&
	       rules_addr_shape(&d->resolver4) && rules_addr_shape(&d->resolver6) && d->resolver4.family % 4 == 0 &&
	       d->resolver6.family % 6 == 0;
}

bool rules_policy_shape(const struct model *m, const struct policy *p)
{
	const struct policy_pool *pool = &m->pool;
	if (p->inbound_deny > 1 || p->multicast_allow > 1 || p->roach_motel > 1 || p->engine >= ENGINE_MODE_COUNT ||
	    p->jitter > JITTER_MAX || p->concurrent > CONCURRENT_MAX || p->bandwidth > BANDWIDTH_MAX)
		return false;
	for (int i = 0; i < LIMIT_CLASS_COUNT; i++)
		if (!limit_shape(&p->outbound[i]) || !limit_shape(&p->lateral[i]) ||
		    !limit_shape(&p->per_destination[i]) || !limit_shape(&p->per_source[i]))
			return false;
	if (!limit_shape(&p->fan_out) || !budget_shape(&p->flow) || !budget_shape(&p->honeypot) || !dns_shape(&p->dns))
		return false;
	/* A budget of the honeypot is over a window, one of a flow over its life. */
	if (p->flow.seconds || (!p->honeypot.seconds && (p->honeypot.bytes || p->honeypot.packets)))
		return false;
	return span_shape(&p->fence, pool->nprefixes) && span_shape(&p->black, pool->nprefixes) &&
	       span_shape(&p->allow, pool->nprefixes) && span_shape(&p->rules, pool->nrules);
}

static bool rule_shape(const struct model *m, const struct rule *r)
{
	const struct policy_pool *pool = &m->pool;
	const uint8_t networks[2] = { (uint8_t)r->networks, (uint8_t)(r->networks >> 8) };
	if (!rules_ended(r->name, sizeof(r->name)) || !r->directions || r->directions > RULE_ALL_DIRECTIONS)
		return false;
	if ((r->family && r->family != 4 && r->family != 6) || r->has_proto > 1 || r->state >= RULE_STATE_COUNT ||
	    r->action >= ACTION_COUNT || r->sink >= SINK_COUNT || r->per >= PER_COUNT)
		return false;
	if (!bits_shape(networks, 16, m->nnets) || !bits_shape(r->honeypots, MODEL_HONEYPOTS, m->nhoneypots))
		return false;
	if (r->action == ACTION_REFLECT && r->target >= m->nhoneypots)
		return false;
	if (!span_shape(&r->from, pool->nprefixes) || !span_shape(&r->to, pool->nprefixes) ||
	    !span_shape(&r->sports, pool->nranges) || !span_shape(&r->ports, pool->nranges) ||
	    !span_shape(&r->rewrites, pool->nrewrites))
		return false;
	if (r->when.days > 0x7f || r->when.from >= 1440 || r->when.to >= 1440)
		return false;
	if (r->action == ACTION_LIMIT && (!r->limit.count || r->limit.count == LIMIT_UNLIMITED))
		return false;
	return limit_shape(&r->limit) && budget_shape(&r->first) && !r->first.seconds;
}

static bool argv_shape(const char *s, size_t cap)
{
	size_t at = 0;
	while (at < cap && s[at]) {
		const char *end = memchr(s + at, 0, cap - at);
		if (!end)
			return false;
		at = (size_t)(end - s) + 1;
	}
	return at < cap;
}

bool rules_engine_shape(const struct engine_conf *c)
{
	if (c->kind >= ENGINE_KIND_COUNT || c->nrules > ENGINE_RULES || c->nvars > ENGINE_VARS)
		return false;
	for (uint32_t i = 0; i < c->nrules; i++)
		if (!rules_ended(c->rules[i], ENGINE_PATH) || !*c->rules[i])
			return false;
	for (uint32_t i = 0; i < c->nvars; i++)
		if (suricata_var_check(&c->vars[i], NULL) < 0)
			return false;
	for (int i = 0; i < 2; i++)
		if (!rules_ended(c->interfaces[i], ENGINE_IF_CAP) ||
		    (c->kind == ENGINE_KIND_INTERFACES && !rules_interface(c->interfaces[i])))
			return false;
	return c->kind != ENGINE_KIND_INTERFACES || strcmp(c->interfaces[0], c->interfaces[1]) != 0;
}

static bool trigger_shape(const struct model *m, const struct trigger *t)
{
	return rules_ended(t->name, sizeof(t->name)) && rules_ended(t->match, sizeof(t->match)) &&
	       t->on < TRIGGER_ON_COUNT && t->actions && !(t->actions & ~TRIGGER_DO_ALL) &&
	       (t->on != TRIGGER_KEYWORD || t->keyword < m->pool.nkeywords) &&
	       (!(t->actions & TRIGGER_DO_POLICY) || t->policy < m->npolicies) &&
	       bits_shape(t->honeypots, MODEL_HONEYPOTS, m->nhoneypots) && limit_shape(&t->throttle) &&
	       t->seconds <= TRIGGER_SECONDS_MAX;
}

static int pool_shape(const struct model *m, struct err *e)
{
	const struct policy_pool *pool = &m->pool;
	for (uint32_t i = 0; i < pool->nprefixes; i++)
		if (!rules_addr_shape(&pool->prefixes[i]) || !pool->prefixes[i].family)
			return err_set(e, -EINVAL, "broken model: prefix %u of the policy", i);
	for (uint32_t i = 0; i < pool->nranges; i++)
		if (pool->ranges[i].from > pool->ranges[i].to)
			return err_set(e, -EINVAL, "broken model: port range %u of the policy", i);
	for (uint32_t i = 0; i < pool->nrewrites; i++)
		if (!pool->rewrites[i].n || pool->rewrites[i].n > REWRITE_MAX)
			return err_set(e, -EINVAL, "broken model: replacement %u of the policy", i);
	for (uint32_t i = 0; i < pool->nkeywords; i++)
		if (!pool->keywords[i].n || pool->keywords[i].n > KEYWORD_MAX)
			return err_set(e, -EINVAL, "broken model: keyword %u of the policy", i);
	for (uint32_t i = 0; i < pool->nrules; i++)
		if (!rule_shape(m, &pool->rules[i]))
			return err_set(e, -EINVAL, "broken model: rule %u of the policy", i);
	return 0;
}

int rules_pool_shape(const struct model *m, struct err *e)
{
	const struct policy_pool *pool = &m->pool;
	if (pool->nrules > POOL_RULES || pool->nprefixes > POOL_PREFIXES || pool->nranges > POOL_RANGES ||
	    pool->nrewrites > POOL_REWRITES || pool->nkeywords > POOL_KEYWORDS || m->npolicies > MODEL_POLICIES ||
	    m->ntriggers > MODEL_TRIGGERS)
		return err_set(e, -EINVAL, "broken model: counts of the policy");
	int r = pool_shape(m, e);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->npolicies; i++)
		if (!rules_ended(m->policies[i].name, NAME_CAP) || !rules_policy_shape(m, &m->policies[i].policy))
			return err_set(e, -EINVAL, "broken model: named policy %u", i);
	for (uint32_t i = 0; i < m->ntriggers; i++)
		if (!trigger_shape(m, &m->triggers[i]))
			return err_set(e, -EINVAL, "broken model: trigger %u", i);
	const struct notify_conf *n = &m->notify;
	if (!rules_ended(n->mail, sizeof(n->mail)) || !rules_ended(n->webhook, sizeof(n->webhook)) ||
	    !argv_shape(n->exec, sizeof(n->exec)) || !limit_shape(&n->throttle))
		return err_set(e, -EINVAL, "broken model: notices");
	return 0;
}

/* ---- sense ------------------------------------------------------------------ */

#define V4 1u
#define V6 2u

/* Families of the prefixes of a span: V4, V6 or both; 0 if it is empty. */
static unsigned families(const struct policy_pool *pool, struct span s)
{
	unsigned found = 0;
	for (uint32_t i = s.first; i < (uint32_t)s.first + s.n; i++)
		found |= pool->prefixes[i].family == 4 ? V4 : V6;
	return found;
}

static bool in_span(const struct policy_pool *pool, struct span s, const struct addr *a)
{
	for (uint32_t i = s.first; i < (uint32_t)s.first + s.n; i++)
		if (pool->prefixes[i].plen <= a->plen && addr_in(&pool->prefixes[i], a))
			return true;
	return false;
}

static void sense_lists(struct rule_run *r, enum place place, unsigned index, const struct policy *p)
{
	const struct policy_pool *pool = &r->m->pool;
	const struct addr *resolver[] = { &p->dns.resolver4, &p->dns.resolver6 };
	char text[ADDR_TEXT];
	for (uint32_t i = p->allow.first; i < (uint32_t)p->allow.first + p->allow.n; i++) {
		const struct addr *a = &pool->prefixes[i];
		if (in_span(pool, p->fence, a))
			rules_breach(r, place, index, "allow: %s is inside of the fence, which is never reached",
				     addr_text(a, text));
		else if (in_span(pool, p->black, a))
			rules_breach(r, place, index, "allow: %s is on the black list", addr_text(a, text));
	}
	for (int i = 0; p->dns.on && i < 2; i++)
		if (resolver[i]->family &&
		    (in_span(pool, p->fence, resolver[i]) || in_span(pool, p->black, resolver[i])))
			rules_breach(r, place, index, "dns: resolver %s is on the fence or black list",
				     addr_text(resolver[i], text));
}

static bool has_honeypot(const struct rule *r, unsigned i)
{
	return r->honeypots[i / 8] & 1u << (i % 8);
}

static bool any_honeypot(const struct rule *r)
{
	static const uint8_t zero[32];
	return !memcmp(r->honeypots, zero, sizeof(zero));
}

static bool has_family(const struct honeypot *h, unsigned family)
{
	for (uint32_t i = 0; i < h->naddrs; i++)
		if (h->addrs[i].family == family)
			return true;
	return false;
}

static void sense_player(struct rule_run *r, unsigned i, const struct rule *u)
{
	const struct model *m = r->m;
	unsigned to = families(&m->pool, u->to);
	if (u->action != ACTION_REFLECT && u->action != ACTION_SINKHOLE)
		return;
	if (u->directions & RULE_IN)
		rules_breach(r, PLACE_RULE, i,
			     "rule %s: only what honeypots begin can be played: direction in is not possible", u->name);
	if (u->state == RULE_STATE_ESTABLISHED)
		rules_breach(r, PLACE_RULE, i,
			     "rule %s: a conversation is played from its beginning: not state: established", u->name);
	if (u->action == ACTION_SINKHOLE && !(u->has_proto && u->proto == TCP))
		rules_breach(r, PLACE_RULE, i, "rule %s: the sinkhole plays TCP only: write protocol: tcp", u->name);
	if (u->action != ACTION_REFLECT)
		return;
	const struct honeypot *h = &m->honeypots[u->target];
	if (any_honeypot(u) || has_honeypot(u, u->target))
		rules_breach(r, PLACE_RULE, i, "rule %s: %s cannot play destinations for itself", u->name, h->name);
	if ((to == V4 || to == V6) && !has_family(h, to == V4 ? 4 : 6))
		rules_breach(r, PLACE_RULE, i, "rule %s: target %s has no IPv%u address", u->name, h->name,
			     to == V4 ? 4 : 6);
}

static void sense_rule(struct rule_run *r, unsigned i)
{
	const struct model *m = r->m;
	const struct rule *u = &m->pool.rules[i];
	unsigned from = families(&m->pool, u->from), to = families(&m->pool, u->to);
	bool ports = u->ports.n || u->sports.n;
	if (!text_is_name(u->name))
		rules_breach(r, PLACE_RULE, i, "rule %s: not a name", u->name);
	if (ports && !(u->has_proto && (u->proto == TCP || u->proto == UDP)))
		rules_breach(r, PLACE_RULE, i, "rule %s: ports need protocol: tcp or udp", u->name);
	if (from && to && !(from & to))
		rules_breach(r, PLACE_RULE, i, "rule %s: from is IPv%u and to is IPv%u: it never matches", u->name,
			     from == V4 ? 4 : 6, to == V4 ? 4 : 6);
	if (u->has_proto && u->proto == ICMPV6 && (from == V4 || to == V4))
		rules_breach(r, PLACE_RULE, i, "rule %s: protocol icmpv6 with IPv4 prefixes: it never matches",
			     u->name);
	if (u->action == ACTION_FIRST && !u->first.bytes && !u->first.packets)
		rules_breach(r, PLACE_RULE, i, "rule %s: do: first needs bytes or packets", u->name);
	if (u->action == ACTION_REWRITE && !u->rewrites.n)
		rules_breach(r, PLACE_RULE, i, "rule %s: do: rewrite needs replace", u->name);
	for (uint32_t k = u->rewrites.first; k < (uint32_t)u->rewrites.first + u->rewrites.n; k++)
		if (!memcmp(m->pool.rewrites[k].from, m->pool.rewrites[k].to, m->pool.rewrites[k].n))
			rules_breach(r, PLACE_RULE, i, "rule %s: replaces bytes by the same bytes", u->name);
	if (u->action == ACTION_LIMIT && u->state == RULE_STATE_ESTABLISHED)
		rules_breach(r, PLACE_RULE, i, "rule %s: a limit counts new conversations: not state: established",
			     u->name);
	if (u->networks)
		for (uint32_t k = 0; k < m->nhoneypots; k++)
			if (has_honeypot(u, k) && u->action != ACTION_REFLECT &&
			    !(u->networks & 1u << m->honeypots[k].net))
				rules_breach(r, PLACE_RULE, i, "rule %s: honeypot %s is in none of its networks",
					     u->name, m->honeypots[k].name);
	sense_player(r, i, u);
}

static bool uses(const struct policy *p, unsigned rule)
{
	return rule >= p->rules.first && rule < (unsigned)p->rules.first + p->rules.n;
}

/* Does any policy that has the rule (any at all: RULE_NONE) ask the inline engine? */
static bool inspected(const struct model *m, unsigned rule)
{
	bool found = m->policy.engine && (rule == RULE_NONE || uses(&m->policy, rule));
	for (uint32_t i = 0; i < m->nhoneypots && !found; i++)
		found = m->honeypots[i].policy.engine && (rule == RULE_NONE || uses(&m->honeypots[i].policy, rule));
	for (uint32_t i = 0; i < m->npolicies && !found; i++)
		found = m->policies[i].policy.engine && (rule == RULE_NONE || uses(&m->policies[i].policy, rule));
	return found;
}

static void sense_trigger(struct rule_run *r, unsigned i)
{
	const struct model *m = r->m;
	const struct trigger *t = &m->triggers[i];
	const struct notify_conf *n = &m->notify;
	if (!text_is_name(t->name))
		rules_breach(r, PLACE_TRIGGER, i, "trigger %s: not a name", t->name);
	if (t->actions & TRIGGER_DO_NOTIFY && !*n->mail && !*n->webhook && !*n->exec)
		rules_breach(r, PLACE_TRIGGER, i, "trigger %s: notify whom? Write mail, webhook or exec below notify",
			     t->name);
	if (t->on == TRIGGER_ALERT && !inspected(m, RULE_NONE))
		rules_breach(r, PLACE_TRIGGER, i,
			     "trigger %s: alerts come from the inline engine: write inspect in a policy", t->name);
}

static bool same_lists(const struct policy *a, const struct policy *b)
{
	return !memcmp(&a->fence, &b->fence, sizeof(a->fence)) && !memcmp(&a->black, &b->black, sizeof(a->black)) &&
	       !memcmp(&a->allow, &b->allow, sizeof(a->allow)) && !memcmp(&a->dns, &b->dns, sizeof(a->dns));
}

void rules_policy_sense(const struct model *m, const struct rule_sink *sink)
{
	struct rule_run r = { .m = m, .sink = sink };
	sense_lists(&r, PLACE_POLICY, 0, &m->policy);
	for (uint32_t i = 0; i < m->nhoneypots && !r.stop; i++)
		if (!same_lists(&m->honeypots[i].policy, &m->policy))
			sense_lists(&r, PLACE_HP_POLICY, i, &m->honeypots[i].policy);
	for (uint32_t i = 0; i < m->npolicies && !r.stop; i++) {
		if (!text_is_name(m->policies[i].name))
			rules_breach(&r, PLACE_NAMED, i, "%s: not a name", m->policies[i].name);
		if (!same_lists(&m->policies[i].policy, &m->policy))
			sense_lists(&r, PLACE_NAMED, i, &m->policies[i].policy);
	}
	for (uint32_t i = 0; i < m->pool.nrules && !r.stop; i++) {
		sense_rule(&r, i);
		if (m->pool.rules[i].alert && !inspected(m, i))
			rules_breach(&r, PLACE_RULE, i,
				     "rule %s: alerts come from the inline engine: write inspect in the policy",
				     m->pool.rules[i].name);
	}
	for (uint32_t i = 0; i < m->ntriggers && !r.stop; i++)
		sense_trigger(&r, i);
	if (*m->notify.mail && !rules_mail(m->notify.mail))
		rules_breach(&r, PLACE_NOTIFY, 0, "mail: not an address");
	if (*m->notify.webhook && !rules_url(m->notify.webhook))
		rules_breach(&r, PLACE_NOTIFY, 0, "webhook: not a URL");
	if (*m->notify.exec && *m->notify.exec != '/')
		rules_breach(&r, PLACE_NOTIFY, 0, "exec: not a program with its whole path");
}
