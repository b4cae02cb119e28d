/* SPDX-License-Identifier: ISC */
/* Types of single values, and of lists of addresses. */
#include "model/bind_type.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Edit distance with transpositions (optimal string alignment), at most 4. */
static unsigned distance(const char *x, const char *y)
{
	enum { CAP = 24 };
	unsigned d[CAP + 1][CAP + 1];
	size_t nx = strlen(x), ny = strlen(y);
	if (nx > CAP || ny > CAP)
		return 4;
	for (size_t i = 0; i <= nx; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= ny; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= nx; i++) {
		for (size_t j = 1; j <= ny; j++) {
			unsigned best = d[i - 1][j - 1] + (x[i - 1] != y[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[nx][ny] < 4 ? d[nx][ny] : 4;
}

void bind_nearest(const char *typed, const char *word, const char **best, unsigned *least)
{
	unsigned d = distance(typed, word), allowed = strlen(word) > 4 ? 2 : 1;
	if (d <= allowed && d < *least) {
		*least = d;
		*best = word;
	}
}

bool bind_wrong(struct binder *b, const struct key *k, const struct node *v, const char *want)
{
	if (v->kind == NODE_SCALAR && *v->text)
		diag_add(b->d, v->at, "%s: %.60s: expected %s", k->name, v->text, want);
	else if (v->kind != NODE_BAD)
		diag_add(b->d, v->at, "%s: expected %s, not %s", k->name, want, node_kind_name(v));
	return false;
}

bool bind_is_text(const struct node *v)
{
	return v->kind == NODE_SCALAR && *v->text;
}

bool bind_is_word(const struct node *v, const char *word)
{
	return v->kind == NODE_SCALAR && !strcmp(v->text, word);
}

void bind_put_int(void *base, const struct key *k, uint64_t v)
{
	char *p = (char *)base + k->offset;
	switch (k->size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		memcpy(p, &(uint16_t){ (uint16_t)v }, 2);
		break;
	case 4:
		memcpy(p, &(uint32_t){ (uint32_t)v }, 4);
		break;
	default:
		memcpy(p, &v, 8);
	}
}

bool bind_name(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (!bind_is_text(v) || !text_is_name(v->text))
		return bind_wrong(b, k, v, "a name: a-z, 0-9 and inner hyphens, at most 31");
	return text_copy((char *)base + k->offset, NAME_CAP, v->text);
}

bool bind_hostname(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (!bind_is_text(v) || !rules_hostname(v->text) || !text_copy((char *)base + k->offset, HOSTNAME_CAP, v->text))
		return bind_wrong(b, k, v, "a host name: letters, digits, inner hyphens and dots, at most 63");
	return true;
}

bool bind_word(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char want[128];
	size_t n = 0;
	const char *best = NULL;
	unsigned least = BIND_FAR;
	for (unsigned i = 0; k->words[i]; i++) {
		if (bind_is_word(v, k->words[i])) {
			bind_put_int(base, k, i);
			return true;
		}
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%s%s", i ? ", " : "one of ", k->words[i]);
		if (bind_is_text(v))
			bind_nearest(v->text, k->words[i], &best, &least);
	}
	if (best)
		snprintf(want + n, sizeof(want) - n, "; did you mean %s?", best);
	return bind_wrong(b, k, v, want);
}

bool bind_digits(const char *s, uint64_t *out)
{
	uint64_t v;
	/* text_bytes takes digits with at most one unit behind them. */
	size_t n = strspn(s, "0123456789");
	if (!n || s[n] || !text_bytes(s, &v))
		return false;
	*out = v;
	return true;
}

bool bind_uint(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char want[80];
	uint64_t value;
	if (bind_is_text(v) && bind_digits(v->text, &value) && value >= k->min && value <= k->max) {
		bind_put_int(base, k, value);
		return true;
	}
	snprintf(want, sizeof(want), "a number, %" PRIu64 " to %" PRIu64, k->min, k->max);
	return bind_wrong(b, k, v, want);
}

/* The largest unit that divides v. */
static const char *with_unit(uint64_t v, const uint64_t *sizes, const char *units, char buf[32])
{
	for (; *units; units++, sizes++) {
		if (v && v % *sizes == 0) {
			snprintf(buf, 32, "%" PRIu64 "%c", v / *sizes, *units);
			return buf;
		}
	}
	snprintf(buf, 32, "%" PRIu64, v);
	return buf;
}

static bool bind_scaled(struct binder *b, const struct key *k, const struct node *v, void *base,
			bool (*parse)(const char *, uint64_t *), const char *form, const uint64_t *sizes,
			const char *units)
{
	char want[128], min[32], max[32];
	uint64_t value;
	if (k->unlimited && bind_is_word(v, "unlimited")) {
		bind_put_int(base, k, 0);
		return true;
	}
	if (bind_is_text(v) && parse(v->text, &value) && value >= k->min && value <= k->max) {
		bind_put_int(base, k, value);
		return true;
	}
	snprintf(want, sizeof(want), "%s, %s to %s%s", form, with_unit(k->min, sizes, units, min),
		 with_unit(k->max, sizes, units, max), k->unlimited ? ", or unlimited" : "");
	return bind_wrong(b, k, v, want);
}

static const uint64_t byte_sizes[] = { 1ull << 40, 1ull << 30, 1ull << 20, 1ull << 10 };
static const uint64_t time_sizes[] = { 86400, 3600, 60, 1 };

const char *bind_bytes_text(uint64_t v, char buf[32])
{
	return with_unit(v, byte_sizes, "TGMk", buf);
}

bool bind_bytes(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	return bind_scaled(b, k, v, base, text_bytes, "a size as 64M", byte_sizes, "TGMk");
}

bool bind_seconds(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	return bind_scaled(b, k, v, base, text_seconds, "a time as 60s", time_sizes, "dhms");
}

bool bind_prefix(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct addr a;
	if (!bind_is_text(v) || !addr_parse(v->text, 1, &a) || a.family != k->min)
		return bind_wrong(b, k, v,
				  k->min == 4 ? "an IPv4 prefix as 192.0.2.0/24" : "an IPv6 prefix as 2001:db8::/64");
	memcpy((char *)base + k->offset, &a, sizeof(a));
	return true;
}

const struct node *bind_item(const struct node *v, const struct node *last)
{
	if (v->kind == NODE_SEQ)
		return last ? last->next : v->child;
	return last ? NULL : v;
}

bool bind_routers(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct network *net = base;
	bool ok = true;
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		struct addr a;
		if (!bind_is_text(i) || !addr_parse(i->text, 0, &a)) {
			ok = bind_wrong(b, k, i, "an address without a prefix length");
			continue;
		}
		struct addr *to = a.family == 4 ? &net->router4 : &net->router6;
		if (to->family) {
			diag_add(b->d, i->at, "%s: a second IPv%u router: one of each family is possible", k->name,
				 a.family);
			ok = false;
			continue;
		}
		const struct addr *prefix = a.family == 4 ? &net->v4 : &net->v6;
		b->at[a.family == 4 ? PLACE_NET_ROUTER4 : PLACE_NET_ROUTER6][b->index] = i->at;
		if (prefix->family)
			a.plen = prefix->plen;
		*to = a;
	}
	if (v->kind == NODE_SEQ && !v->child)
		return bind_wrong(b, k, v, "an address, or a list of them");
	return ok;
}

bool bind_addrs(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct honeypot *h = base;
	bool ok = true;
	if (v->kind == NODE_SEQ && !v->child)
		diag_add(b->d, v->at, "%s: empty list: at least one address is needed", k->name);
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		struct addr a;
		if (!bind_is_text(i) || !addr_parse(i->text, 0, &a)) {
			ok = bind_wrong(b, k, i, "an address as 192.0.2.10, without a prefix length");
		} else if (h->naddrs == MODEL_ADDRS) {
			diag_add(b->d, i->at, "%s: more than %d addresses", k->name, MODEL_ADDRS);
			return false;
		} else {
			b->at[PLACE_ADDR + h->naddrs][b->index] = i->at;
			h->addrs[h->naddrs++] = a;
		}
	}
	return ok && h->naddrs;
}

bool bind_netref(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	const char *best = NULL;
	unsigned least = BIND_FAR;
	if (!bind_is_text(v))
		return bind_wrong(b, k, v, "the name of a network");
	for (uint32_t i = 0; i < b->m->nnets; i++) {
		if (!strcmp(b->m->nets[i].name, v->text)) {
			memcpy((char *)base + k->offset, &i, sizeof(i));
			return true;
		}
		bind_nearest(v->text, b->m->nets[i].name, &best, &least);
	}
	/* Networks that could not be bound are not known: no second complaint. */
	if (!b->bad[PLACE_MODEL][0])
		diag_add(b->d, v->at, "%s: there is no network %.60s%s%s%s", k->name, v->text,
			 best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	return false;
}

bool bind_mac(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	if (bind_is_word(v, "auto"))
		return true;
	if (!bind_is_text(v) || !mac_parse(v->text, mac))
		return bind_wrong(b, k, v, "auto, or a MAC as 00:25:90:12:34:56");
	/* All zero is "auto" until the file is bound. */
	if (mac[0] & 1 || !memcmp(mac, zero, 6))
		return bind_wrong(b, k, v, "the address of one machine (unicast)");
	memcpy((char *)base + k->offset, mac, 6);
	return true;
}

bool bind_lab(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct model *m = base;
	bool ok = true;
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		struct addr a;
		if (!bind_is_text(i) || !addr_parse(i->text, 1, &a)) {
			ok = bind_wrong(b, k, i, "a prefix as 203.0.113.0/24");
		} else if (m->nlab == MODEL_LAB_ADDRS) {
			diag_add(b->d, i->at, "%s: more than %d prefixes", k->name, MODEL_LAB_ADDRS);
			return false;
		} else {
			b->at[PLACE_LAB][m->nlab] = i->at;
			m->lab[m->nlab++] = a;
		}
	}
	return ok;
}

bool bind_later(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	diag_add(b->d, v->at, "%s is not in this version of skep", k->name);
	return false;
}
