/* SPDX-License-Identifier: ISC */
#include "proc/gateway/dns_names.h"

#define NS 1000000000ull

static uint32_t *bucket(uint32_t *buckets, uint64_t hash)
{
	return &buckets[hash & (DNS_NAME_BUCKETS - 1)];
}

static uint32_t find_domain(struct dns_names *t, uint64_t hash)
{
	uint32_t i = *bucket(t->domain_buckets, hash);
	while (i && t->domains[i].hash != hash)
		i = t->domains[i].chain;
	return i;
}

static uint32_t find_name(struct dns_names *t, uint32_t domain, uint64_t hash)
{
	uint32_t i = *bucket(t->seen_buckets, hash);
	while (i && (t->seen[i].name != hash || t->seen[i].domain != domain))
		i = t->seen[i].chain;
	return i;
}

static void list_take(struct dns_names *t, uint32_t i)
{
	struct dns_seen *s = &t->seen[i];
	*(s->older ? &t->seen[s->older].newer : &t->oldest) = s->newer;
	*(s->newer ? &t->seen[s->newer].older : &t->newest) = s->older;
}

static void list_put(struct dns_names *t, uint32_t i)
{
	struct dns_seen *s = &t->seen[i];
	s->newer = 0;
	s->older = t->newest;
	*(t->newest ? &t->seen[t->newest].newer : &t->oldest) = i;
	t->newest = i;
}

static void leave_domain(struct dns_names *t, uint32_t i)
{
	struct dns_domain *d = &t->domains[i];
	if (--d->count)
		return;
	uint32_t *p = bucket(t->domain_buckets, d->hash);
	while (*p != i)
		p = &t->domains[*p].chain;
	*p = d->chain;
	d->chain = t->domain_free;
	t->domain_free = i;
}

static void forget(struct dns_names *t, uint32_t i)
{
	struct dns_seen *s = &t->seen[i];
	uint32_t *p = bucket(t->seen_buckets, s->name);
	while (*p != i)
		p = &t->seen[*p].chain;
	*p = s->chain;
	list_take(t, i);
	leave_domain(t, s->domain);
	s->chain = t->seen_free;
	t->seen_free = i;
	t->nseen--;
}

bool dns_names_fit(struct dns_names *t, const struct limit *l, uint64_t domain, uint64_t name, uint64_t now)
{
	if (l->count == 0 || l->count == LIMIT_UNLIMITED) {
		if (t->nseen == DNS_NAMES)
			forget(t, t->oldest);
		return true;
	}
	/* As window.c: an event exactly one window ago still counts. */
	while (t->oldest && now - t->seen[t->oldest].last > l->seconds * NS)
		forget(t, t->oldest);
	uint32_t d = find_domain(t, domain);
	if (d && find_name(t, d, name))
		return true;
#ifndef MUTANT_DNS_NAMES_FREE
	if (d && t->domains[d].count >= l->count)
		return false;
#endif
	return t->nseen < DNS_NAMES;
}

static uint32_t take_domain(struct dns_names *t, uint64_t hash)
{
	uint32_t i = t->domain_free;
	if (i)
		t->domain_free = t->domains[i].chain;
	else
		i = ++t->domain_high;
	uint32_t *p = bucket(t->domain_buckets, hash);
	t->domains[i] = (struct dns_domain){ .hash = hash, .chain = *p };
	*p = i;
	return i;
}

void dns_names_add(struct dns_names *t, uint64_t domain, uint64_t name, uint64_t now)
{
	uint32_t d = find_domain(t, domain), i = d ? find_name(t, d, name) : 0;
	if (i) {
		list_take(t, i);
		t->seen[i].last = now;
		list_put(t, i);
		return;
	}
	if (t->nseen == DNS_NAMES)
		return; /* dns_names_fit has said no */
	if (!d)
		d = take_domain(t, domain);
	t->domains[d].count++;
	i = t->seen_free;
	if (i)
		t->seen_free = t->seen[i].chain;
	else
		i = ++t->seen_high;
	uint32_t *p = bucket(t->seen_buckets, name);
	t->seen[i] = (struct dns_seen){ .name = name, .last = now, .chain = *p, .domain = d };
	*p = i;
	t->nseen++;
	list_put(t, i);
}
