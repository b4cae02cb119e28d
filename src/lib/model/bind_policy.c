/* SPDX-License-Identifier: ISC */
/* Types of a policy: presets, narrowing limits, lists of prefixes, DNS. */
#include "model/bind_type.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* The rules are bound later (bind_list.c); here is written down whose they are. */
struct list_job *bind_job(struct binder *b, struct policy *p, struct mark at)
{
	struct bind_lists *l = &b->lists;
	struct model *m = b->m;
	if (l->njobs == LIST_JOBS)
		return NULL;
	struct list_job *j = &l->jobs[l->njobs++];
	*j = (struct list_job){ .policy = p, .at = at, .index = b->index };
	if (p == &m->policy) {
		j->owner = OWNER_HONEYNET;
		j->base = LIST_NONE;
	} else if (m->nhoneypots && p == &m->honeypots[m->nhoneypots - 1].policy) {
		j->owner = OWNER_HONEYPOT;
		j->index = m->nhoneypots - 1;
	} else {
		j->owner = OWNER_NAMED;
	}
	return j;
}

bool bind_policy(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct policy *p = (void *)((char *)base + k->offset);
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "a mapping");
	struct list_job *outer = b->job;
	b->job = bind_job(b, p, v->at);
	bind_map(b, v, k->sub, p, k->name, v->at);
	b->job = outer;
	return true;
}

static bool preset_bind(struct binder *b, unsigned i)
{
	struct bind_lists *l = &b->lists;
	struct tree *t = &l->trees[i];
	struct list_job *job = &l->jobs[l->njobs], *outer = b->job;
	size_t n;
	const char *text = model_preset_text(i, &n);
	if (l->njobs == LIST_JOBS || tree_parse(t, text, n, b->d) < 0)
		return false;
	/* A preset's file has one key, `policy`: a test says so. */
	const struct node *map = t->root->child ? t->root->child->next : NULL;
	if (!map || map->kind != NODE_MAP)
		return false;
	l->njobs++;
	*job = (struct list_job){ .policy = &l->presets[i], .owner = OWNER_PRESET, .index = i, .base = LIST_NONE };
	job->at = map->at;
	l->presets[i] = policy_default;
	b->job = job;
	b->preset = true;
	bind_map(b, map, policy_keys, &l->presets[i], "preset", map->at);
	b->preset = false;
	b->job = outer;
	l->used[i] = true;
	return true;
}

/* Replaces everything that was inherited. */
bool bind_preset(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	const char *best = NULL, *name;
	unsigned least = BIND_FAR;
	if (!bind_is_text(v))
		return bind_wrong(b, k, v, "the name of a preset");
	for (unsigned i = 0; (name = model_preset_name(i)); i++) {
		bind_nearest(v->text, name, &best, &least);
		if (strcmp(name, v->text) != 0)
			continue;
		/* A preset is not made of presets. */
		if (b->preset || (!b->lists.used[i] && !preset_bind(b, i)))
			return bind_wrong(b, k, v, "a preset that is right");
#ifdef MUTANT_MODEL_PRESET_OPEN
		(void)base;
#else
		*(struct policy *)base = b->lists.presets[i];
#endif
		if (b->job)
			b->job->base = LIST_PRESET + i;
		return true;
	}
	diag_add(b->d, v->at, "%s: there is no preset %.60s%s%s; see skep policy list", k->name, v->text,
		 best ? ": did you mean " : "", best ? best : "");
	return false;
}

/* A limit that narrows: 0 stands for "no such limit", so it cannot be written. */
bool bind_narrow(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct limit l = { 0 };
	char number[24];
	uint64_t count;
	if (!bind_is_word(v, "unlimited")) {
		if (!bind_is_text(v) || !bind_split_rate(v->text, number, sizeof(number), &l.seconds) ||
		    !bind_digits(number, &count) || !count || count > LIMIT_COUNT_MAX)
			return bind_wrong(b, k, v,
					  "N/second, N/minute, N/hour or N/day with N from 1 to 10000, or unlimited");
		l.count = (uint32_t)count;
	}
	memcpy((char *)base + k->offset, &l, sizeof(l));
	return true;
}

bool bind_narrows(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (bind_is_word(v, "unlimited")) {
		memset((char *)base + k->offset, 0, LIMIT_CLASS_COUNT * sizeof(struct limit));
		return true;
	}
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "unlimited, or a mapping as {tcp: 10/hour}");
	return bind_submap(b, k, v, base);
}

bool bind_inbound(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct policy *p = base;
	if (bind_is_word(v, "allow")) {
		p->inbound_deny = 0;
		memset(p->per_source, 0, sizeof(p->per_source));
		return true;
	}
	if (bind_is_word(v, "deny")) {
		p->inbound_deny = 1;
		return true;
	}
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "allow, deny, or what each source may begin as {tcp: 100/minute}");
	p->inbound_deny = 0;
	bind_map(b, v, k->sub, p->per_source, k->name, v->at);
	return true;
}

bool bind_limited(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	uint64_t value = 0;
	char want[80];
	if (bind_is_word(v, "unlimited") ||
	    (bind_is_text(v) && bind_digits(v->text, &value) && value >= k->min && value <= k->max)) {
		bind_put_int(base, k, value);
		return true;
	}
	snprintf(want, sizeof(want), "a number, %llu to %llu, or unlimited", (unsigned long long)k->min,
		 (unsigned long long)k->max);
	return bind_wrong(b, k, v, want);
}

bool bind_percent(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char number[8] = "";
	uint64_t value;
	size_t n = v->kind == NODE_SCALAR ? strlen(v->text) : 0;
	if (n >= 2 && n < sizeof(number) && v->text[n - 1] == '%') {
		memcpy(number, v->text, n - 1);
		if (bind_digits(number, &value) && value <= k->max) {
			bind_put_int(base, k, value);
			return true;
		}
	}
	return bind_wrong(b, k, v, "a percentage as 20%, 0% to 90%");
}

bool bind_bandwidth(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char number[24];
	uint32_t seconds = 0;
	uint64_t value = 0;
	if (bind_is_word(v, "unlimited") ||
	    (bind_is_text(v) && bind_split_rate(v->text, number, sizeof(number), &seconds) && seconds == 1 &&
	     text_bytes(number, &value) && value >= k->min && value <= k->max)) {
		bind_put_int(base, k, value);
		return true;
	}
	return bind_wrong(b, k, v, "bytes a second as 512k/second, 1k/second to 1T/second, or unlimited");
}

/* ---- lists of prefixes ---- */

/* The prefixes that stand behind all others in the pool, from `first`, as a
 * span; the same ones are kept once. */
static struct span pool_close(struct policy_pool *pool, uint32_t first)
{
	uint32_t n = pool->nprefixes - first;
	for (uint32_t i = 0; n && i + n <= first; i++) {
		if (!memcmp(&pool->prefixes[i], &pool->prefixes[first], n * sizeof(pool->prefixes[0]))) {
			memset(&pool->prefixes[first], 0, n * sizeof(pool->prefixes[0]));
			pool->nprefixes = first;
			return (struct span){ (uint16_t)i, (uint16_t)n };
		}
	}
	return n ? (struct span){ (uint16_t)first, (uint16_t)n } : (struct span){ 0, 0 };
}

static bool pool_has(const struct policy_pool *pool, uint32_t first, const struct addr *a)
{
	for (uint32_t i = first; i < pool->nprefixes; i++)
		if (addr_equal(&pool->prefixes[i], a) && pool->prefixes[i].plen == a->plen)
			return true;
	return false;
}

static bool pool_add(struct binder *b, const struct key *k, struct mark at, const struct addr *a)
{
	struct policy_pool *pool = &b->m->pool;
	if (pool->nprefixes == POOL_PREFIXES) {
		diag_add(b->d, at, "%s: more than %u prefixes in the file", k->name, POOL_PREFIXES);
		return false;
	}
	pool->prefixes[pool->nprefixes++] = *a;
	return true;
}

static bool add_item(struct binder *b, const struct key *k, const struct node *i, uint32_t first)
{
	struct addr a;
	char text[ADDR_TEXT];
	if (!bind_is_text(i) || !addr_parse(i->text, -1, &a))
		return bind_wrong(b, k, i, "a prefix or an address, as 203.0.113.0/24 or 2001:db8::1");
	if (addr_host_bits(&a)) {
		struct addr net = addr_net(&a);
		diag_add(b->d, i->at, "%s: %.60s has bits behind its prefix length: did you mean %s?", k->name, i->text,
			 addr_text(&net, text));
		return false;
	}
	if (pool_has(&b->m->pool, first, &a)) {
		diag_add(b->d, i->at, "%s: %.60s is written twice", k->name, i->text);
		return false;
	}
	return pool_add(b, k, i->at, &a);
}

/* fence, black, allow: what is written is added to what is inherited, unless the
 * word none stands last. */
bool bind_prefixes(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct policy_pool *pool = &b->m->pool;
	struct span old, now;
	uint32_t first = pool->nprefixes;
	bool ok = true, none = false;
	memcpy(&old, (char *)base + k->offset, sizeof(old));
	if (v->kind == NODE_MAP || (v->kind == NODE_SEQ && !v->child))
		return bind_wrong(b, k, v, "prefixes as [203.0.113.0/24], or none");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		if (none) {
			diag_add(b->d, i->at, "%s: none stands for not inheriting, and comes last", k->name);
			ok = false;
		} else if (bind_is_word(i, "none")) {
			none = true;
		} else {
			ok &= add_item(b, k, i, first);
		}
	}
	for (uint32_t i = old.first; !none && ok && i < (uint32_t)old.first + old.n; i++)
		if (!pool_has(pool, first, &pool->prefixes[i]))
			ok &= pool_add(b, k, v->at, &pool->prefixes[i]);
	if (ok) {
		now = pool_close(pool, first);
		memcpy((char *)base + k->offset, &now, sizeof(now));
	}
	return ok;
}

bool bind_matched(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	uint32_t first = b->m->pool.nprefixes;
	bool ok = true;
	if (v->kind == NODE_MAP || (v->kind == NODE_SEQ && !v->child))
		return bind_wrong(b, k, v, "prefixes as [203.0.113.0/24]");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i))
		ok &= add_item(b, k, i, first);
	if (ok) {
		struct span now = pool_close(&b->m->pool, first);
		memcpy((char *)base + k->offset, &now, sizeof(now));
	}
	return ok;
}

/* ---- DNS ---- */

bool bind_dns(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct dns_policy *dns = (void *)((char *)base + k->offset);
	if (bind_is_word(v, "off")) {
		memset(dns, 0, sizeof(*dns));
		return true;
	}
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "off, or a mapping as {queries: 60/minute}");
	dns->on = 1;
	bind_map(b, v, k->sub, dns, k->name, v->at);
	return true;
}

bool bind_resolver(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct dns_policy *dns = base;
	struct addr to[2] = { 0 };
	bool ok = true;
	if (bind_is_word(v, "none")) {
		dns->resolver4 = dns->resolver6 = (struct addr){ 0 };
		return true;
	}
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		struct addr a;
		if (!bind_is_text(i) || !addr_parse(i->text, 0, &a)) {
			ok = bind_wrong(b, k, i, "an address without a prefix length, or none");
		} else if (addr_special(&a)) {
			diag_add(b->d, i->at, "%s: %.60s is not for hosts (%s)", k->name, i->text, addr_special(&a));
			ok = false;
		} else if (to[a.family == 6].family) {
			diag_add(b->d, i->at, "%s: a second IPv%u resolver: one of each family is possible", k->name,
				 a.family);
			ok = false;
		} else {
			to[a.family == 6] = a;
		}
	}
	if (v->kind == NODE_MAP || (v->kind == NODE_SEQ && !v->child))
		return bind_wrong(b, k, v, "an address, or one of each family");
	if (ok) {
		dns->resolver4 = to[0];
		dns->resolver6 = to[1];
	}
	return ok;
}

/* "3.8": bits a character, with at most three digits behind the point. */
bool bind_entropy(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	uint32_t milli = 0, scale = 1000;
	const char *s = v->kind == NODE_SCALAR ? v->text : "";
	bool point = false, ok = *s >= '0' && *s <= '9';
	for (; *s && ok; s++) {
		if (*s == '.' && !point && s[1]) {
			point = true;
		} else if (*s >= '0' && *s <= '9' && (!point ? milli < 10000 : scale > 1)) {
			if (point)
				milli += (uint32_t)(*s - '0') * (scale /= 10);
			else
				milli = milli * 10 + 1000u * (uint32_t)(*s - '0');
		} else {
			ok = false;
		}
	}
	if (bind_is_word(v, "unlimited"))
		milli = 0;
	else if (!ok || milli < 1000 || milli > DNS_ENTROPY_MAX)
		return bind_wrong(b, k, v, "bits a character as 3.8, 1 to 8, or unlimited");
	memcpy((char *)base + k->offset, &(uint16_t){ (uint16_t)milli }, 2);
	return true;
}

/* IANA's "DNS Parameters", resource record types. */
static const struct {
	const char *name;
	uint16_t type;
} qtypes[] = {
	{ "A", 1 },     { "NS", 2 },     { "CNAME", 5 },  { "SOA", 6 },    { "NULL", 10 },
	{ "PTR", 12 },  { "HINFO", 13 }, { "MX", 15 },    { "TXT", 16 },   { "AAAA", 28 },
	{ "SRV", 33 },  { "NAPTR", 35 }, { "DS", 43 },    { "RRSIG", 46 }, { "DNSKEY", 48 },
	{ "TLSA", 52 }, { "SVCB", 64 },  { "HTTPS", 65 }, { "ANY", 255 },  { "CAA", 257 },
};

static bool qtype(const char *s, uint16_t *out)
{
	uint64_t v;
	for (size_t i = 0; i < sizeof(qtypes) / sizeof(qtypes[0]); i++) {
		if (!strcmp(qtypes[i].name, s)) {
			*out = qtypes[i].type;
			return true;
		}
	}
	/* RFC 3597: TYPE and a number. */
	if (strncmp(s, "TYPE", 4) != 0 || !bind_digits(s + 4, &v) || !v || v > 65535)
		return false;
	*out = (uint16_t)v;
	return true;
}

const char *model_qtype_name(unsigned type, char buf[16])
{
	for (size_t i = 0; i < sizeof(qtypes) / sizeof(qtypes[0]); i++)
		if (qtypes[i].type == type)
			return qtypes[i].name;
	snprintf(buf, 16, "TYPE%u", type & 0xffff);
	return buf;
}

bool bind_qtypes(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct dns_policy *dns = base;
	uint16_t types[DNS_TYPES] = { 0 };
	unsigned n = 0;
	bool ok = v->kind != NODE_MAP && (v->kind != NODE_SEQ || v->child);
	if (!ok)
		return bind_wrong(b, k, v, "query types as [A, AAAA, PTR], or any");
	for (const struct node *i = bind_is_word(v, "any") ? NULL : bind_item(v, NULL); i; i = bind_item(v, i)) {
		uint16_t type;
		bool twice = false;
		if (!bind_is_text(i) || !qtype(i->text, &type)) {
			ok = bind_wrong(b, k, i, "a query type as A, AAAA or TYPE65");
			continue;
		}
		for (unsigned o = 0; o < n; o++)
			twice |= types[o] == type;
		if (twice || n == DNS_TYPES) {
			if (twice)
				diag_add(b->d, i->at, "%s: %.60s is written twice", k->name, i->text);
			else
				diag_add(b->d, i->at, "%s: more than %d types", k->name, DNS_TYPES);
			return false;
		}
		types[n++] = type;
	}
	if (ok) {
		dns->ntypes = (uint8_t)n;
		memcpy(dns->types, types, sizeof(types));
	}
	return ok;
}
