/* SPDX-License-Identifier: ISC */
#include "proc/gateway/policy.h"

#include "proc/gateway/window.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define YEAR (366u * 86400u)
#define FLOWS_MAX 1000000u

void policies_init(struct policies *p)
{
	memset(p->sets, 0, sizeof(p->sets));
	p->now = &p->sets[0];
	p->sets[0].serial = p->serial = 1;
	p->sets[0].lookup = &p->lookups[0];
	lookup_build(&p->lookups[0], &p->sets[0]);
}

/* ---- what came from another process ---------------------------------------- */

static int limit_check(const struct limit *l, struct err *e)
{
	if (l->count == 0 || l->count == LIMIT_UNLIMITED)
		return 0;
	if (l->count > LIMIT_COUNT_MAX || l->seconds == 0 || l->seconds > YEAR)
		return err_set(e, -EINVAL, "limit of %u in %u seconds: at most %u, in 1 to %u seconds", l->count,
			       l->seconds, LIMIT_COUNT_MAX, YEAR);
	return 0;
}

static int limits_check(const struct limit *l, unsigned n, struct err *e)
{
	int r = 0;
	for (unsigned i = 0; i < n && !r; i++)
		r = limit_check(&l[i], e);
	return r;
}

/* n entries, of which `have` are in use. */
static int span_check(struct span s, uint32_t have, const char *what, struct err *e)
{
#ifdef MUTANT_POOL_UNCHECKED
	return 0;
#endif
	if (s.n && (uint32_t)s.first + s.n > have)
		return err_set(e, -EINVAL, "%s %u to %u, but the pool has %u", what, s.first,
			       (unsigned)s.first + s.n - 1, have);
	return 0;
}

static int prefix_check(const struct addr *a, struct err *e)
{
	if ((a->family != 4 && a->family != 6) || a->plen > (a->family == 4 ? 32 : 128))
		return err_set(e, -EINVAL, "a prefix of family %u, /%u", a->family, a->plen);
	return 0;
}

static int enums_check(const struct rule *r, struct err *e)
{
	if (!r->directions || r->directions > RULE_ALL_DIRECTIONS)
		return err_set(e, -EINVAL, "directions %u", r->directions);
	if ((r->family && r->family != 4 && r->family != 6) || r->has_proto > 1)
		return err_set(e, -EINVAL, "family %u, protocol given %u", r->family, r->has_proto);
	if (r->state >= RULE_STATE_COUNT || r->action >= ACTION_COUNT || r->sink >= SINK_COUNT || r->per >= PER_COUNT)
		return err_set(e, -EINVAL, "state %u, action %u, sink %u, per %u", r->state, r->action, r->sink,
			       r->per);
	if (r->when.days > 0x7f || r->when.from >= 1440 || r->when.to > 1440)
		return err_set(e, -EINVAL, "days %u, minutes %u to %u", r->when.days, r->when.from, r->when.to);
	return 0;
}

/* What the action needs. */
static int action_check(const struct rule *r, struct err *e)
{
	if (r->action == ACTION_FIRST && (!budget_limited(&r->first) || r->first.seconds))
		return err_set(e, -EINVAL, "neither first bytes nor packets, or in a window");
	if (r->action == ACTION_REWRITE && !r->rewrites.n)
		return err_set(e, -EINVAL, "nothing to replace");
	if (r->action == ACTION_REFLECT && r->target >= MODEL_HONEYPOTS)
		return err_set(e, -EINVAL, "reflects to honeypot %u", r->target);
	return limit_check(&r->limit, e);
}

static int rule_check(const struct policy_pool *p, const struct rule *r, struct err *e)
{
	int e1 = 0;
	if (!memchr(r->name, 0, sizeof(r->name)))
		return err_set(e, -EINVAL, "a name without end");
	if ((e1 = enums_check(r, e)) || (e1 = span_check(r->from, p->nprefixes, "prefixes", e)) ||
	    (e1 = span_check(r->to, p->nprefixes, "prefixes", e)) ||
	    (e1 = span_check(r->sports, p->nranges, "port ranges", e)) ||
	    (e1 = span_check(r->ports, p->nranges, "port ranges", e)) ||
	    (e1 = span_check(r->rewrites, p->nrewrites, "replacements", e)) || (e1 = action_check(r, e)))
		return e1;
	return 0;
}

int pool_check(const struct policy_pool *p, struct err *e)
{
	if (p->nrules > POOL_RULES || p->nprefixes > POOL_PREFIXES || p->nranges > POOL_RANGES ||
	    p->nrewrites > POOL_REWRITES || p->nkeywords > POOL_KEYWORDS)
		return err_set(e, -EINVAL,
			       "a pool of %u rules, %u prefixes, %u port ranges, %u replacements, %u keywords",
			       p->nrules, p->nprefixes, p->nranges, p->nrewrites, p->nkeywords);
	int r = 0;
	for (unsigned i = 0; i < p->nprefixes && !r; i++)
		if ((r = prefix_check(&p->prefixes[i], e)))
			err_prefix(e, "prefix %u: ", i);
	for (unsigned i = 0; i < p->nranges && !r; i++)
		if (p->ranges[i].from > p->ranges[i].to)
			r = err_set(e, -EINVAL, "port range %u: %u to %u", i, p->ranges[i].from, p->ranges[i].to);
	for (unsigned i = 0; i < p->nrewrites && !r; i++)
		if (p->rewrites[i].n < 1 || p->rewrites[i].n > REWRITE_MAX)
			r = err_set(e, -EINVAL, "replacement %u: %u bytes", i, p->rewrites[i].n);
	for (unsigned i = 0; i < p->nkeywords && !r; i++)
		if (p->keywords[i].n > KEYWORD_MAX) /* 0: of a trigger that looks for none */
			r = err_set(e, -EINVAL, "keyword %u: %u bytes", i, p->keywords[i].n);
	for (unsigned i = 0; i < p->nrules && !r; i++)
		if ((r = rule_check(p, &p->rules[i], e)))
			err_prefix(e, "rule %u: ", i);
	return r;
}

static int dns_check(const struct dns_policy *d, struct err *e)
{
	if (d->on > 1 || d->ntypes > DNS_TYPES || d->label_max > 63)
		return err_set(e, -EINVAL, "DNS: on %u, %u types, labels of %u", d->on, d->ntypes, d->label_max);
	if ((d->resolver4.family && (d->resolver4.family != 4 || d->resolver4.plen != 32)) ||
	    (d->resolver6.family && (d->resolver6.family != 6 || d->resolver6.plen != 128)))
		return err_set(e, -EINVAL, "DNS: a resolver that is no address");
	int r = limit_check(&d->queries, e);
	return r ? r : limit_check(&d->names, e);
}

int policy_check(const struct policy *p, const struct policy_pool *pool, struct err *e)
{
	int r;
	if (p->inbound_deny > 1 || p->multicast_allow > 1 || p->roach_motel > 1)
		return err_set(e, -EINVAL, "policy with a flag that is neither 0 nor 1");
	if (p->engine >= ENGINE_MODE_COUNT || p->jitter > 90)
		return err_set(e, -EINVAL, "policy with engine %u, jitter %u", p->engine, p->jitter);
	if (p->flow.seconds > YEAR || p->honeypot.seconds > YEAR)
		return err_set(e, -EINVAL, "budget for more than a year");
	if (p->concurrent > FLOWS_MAX)
		return err_set(e, -EINVAL, "%u conversations at a time: at most %u", p->concurrent, FLOWS_MAX);
	if ((r = limits_check(p->outbound, LIMIT_CLASS_COUNT, e)) ||
	    (r = limits_check(p->lateral, LIMIT_CLASS_COUNT, e)) ||
	    (r = limits_check(p->per_destination, LIMIT_CLASS_COUNT, e)) ||
	    (r = limits_check(p->per_source, LIMIT_CLASS_COUNT, e)) || (r = limit_check(&p->fan_out, e)) ||
	    (r = dns_check(&p->dns, e)) || (r = span_check(p->fence, pool->nprefixes, "fence: prefixes", e)) ||
	    (r = span_check(p->black, pool->nprefixes, "black: prefixes", e)) ||
	    (r = span_check(p->allow, pool->nprefixes, "allow: prefixes", e)) ||
	    (r = span_check(p->rules, pool->nrules, "rules", e)))
		return r;
	return 0;
}

/* ---- the set --------------------------------------------------------------- */

static struct policy_set *spare(struct policies *p)
{
	return p->now == &p->sets[0] ? &p->sets[1] : &p->sets[0];
}

int policies_swap(struct policies *p, const struct policy_pool *pool, const struct gw_policy_entry *entries, uint32_t n,
		  uint32_t generation, struct err *e)
{
	struct policy_set *next = spare(p);
#ifdef MUTANT_POLICY_IN_PLACE
	next = (struct policy_set *)p->now;
#endif
	memset(next, 0, sizeof(*next));
	next->generation = generation;
	if (pool)
		next->pool = *pool;
	int r = pool_check(&next->pool, e);
	if (r)
		return err_prefix(e, "pool: ");
	for (uint32_t i = 0; i < n; i++) {
		uint16_t port = entries[i].port;
		if (port >= MODEL_HONEYPOTS)
			return err_set(e, -EINVAL, "policy for port %u, which is no honeypot's", port);
		if (next->has[port])
			return err_set(e, -EINVAL, "two policies for port %u", port);
		if (entries[i].honeypot >= MODEL_HONEYPOTS || entries[i].network >= MODEL_NETS)
			return err_set(e, -EINVAL, "port %u: honeypot %u, network %u", port, entries[i].honeypot,
				       entries[i].network);
		r = policy_check(&entries[i].policy, &next->pool, e);
		if (r)
			return err_prefix(e, "port %u: ", port);
		next->of[port] = entries[i].policy;
		next->honeypot[port] = entries[i].honeypot;
		next->network[port] = entries[i].network;
		next->has[port] = true;
	}
	struct lookup *lookup = &p->lookups[p->now->lookup == &p->lookups[0]];
	lookup_build(lookup, next);
	next->lookup = lookup;
	next->serial = ++p->serial;
	p->now = next;
	return 0;
}

static int read_at(int fd, void *to, size_t size, off_t at)
{
	for (size_t have = 0; have < size;) {
		ssize_t r = pread(fd, (char *)to + have, size - have, at + (off_t)have);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		have += (size_t)r;
	}
	return 0;
}

int policies_load(struct policies *p, int fd, uint32_t n, uint32_t generation, struct err *e)
{
	enum { NEED = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & NEED) != NEED)
		return err_set(e, -EPERM, "the policy is not in a sealed memfd");
	if (n > MODEL_HONEYPOTS)
		return err_set(e, -E2BIG, "%u policies, but at most %u honeypots", n, MODEL_HONEYPOTS);
	size_t size = n * sizeof(p->entries[0]);
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)(sizeof(p->pool) + size))
		return err_set(e, -EINVAL, "the policy's memfd does not hold a pool and %u entries", n);
	int r = read_at(fd, &p->pool, sizeof(p->pool), 0);
	if (!r)
		r = read_at(fd, p->entries, size, sizeof(p->pool));
	if (r)
		return err_sys(e, r, "cannot read the policy");
	return policies_swap(p, &p->pool, p->entries, n, generation, e);
}

void policies_forget(struct policies *p, uint16_t port)
{
	struct policy_set *next = spare(p);
	if (port >= MODEL_HONEYPOTS || !p->now->has[port])
		return;
	*next = *p->now;
	next->has[port] = false;
	next->serial = ++p->serial;
	p->now = next;
}
