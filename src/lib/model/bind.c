/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. bind_map sorts a mapping's values by the rows of its
 * table, complains about unknown, repeated and missing keys, then binds the
 * values in the order of the rows with the function of each row's type. A value
 * that cannot be bound leaves the default in place, and the row's place is
 * marked bad, so that one mistake gives one message.
 */
#include "model/bind.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool (*bind_fn)(struct binder *b, const struct key *k, const struct node *v, void *base);

/* What binding a budget's keys leaves for bind_budget. */
struct amount {
	uint64_t value;
	uint32_t seconds;
	bool set;
};

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

/* Keeps the nearest of the words that are offered, if one is near enough. */
static void nearest(const char *typed, const char *word, const char **best, unsigned *least)
{
	unsigned d = distance(typed, word), allowed = strlen(word) > 4 ? 2 : 1;
	if (d <= allowed && d < *least) {
		*least = d;
		*best = word;
	}
}

static bool wrong(struct binder *b, const struct key *k, const struct node *v, const char *want)
{
	if (v->kind == NODE_SCALAR && *v->text)
		diag_add(b->d, v->at, "%s: %.60s: expected %s", k->name, v->text, want);
	else if (v->kind != NODE_BAD)
		diag_add(b->d, v->at, "%s: expected %s, not %s", k->name, want, node_kind_name(v));
	return false;
}

static bool is_text(const struct node *v)
{
	return v->kind == NODE_SCALAR && *v->text;
}

static bool is_word(const struct node *v, const char *word)
{
	return v->kind == NODE_SCALAR && !strcmp(v->text, word);
}

static void put_int(void *base, const struct key *k, uint64_t v)
{
	char *p = (char *)base + k->offset;
	switch (k->size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 4:
		memcpy(p, &(uint32_t){ (uint32_t)v }, 4);
		break;
	default:
		memcpy(p, &v, 8);
	}
}

static bool bind_submap(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (v->kind != NODE_MAP)
		return wrong(b, k, v, "a mapping");
	bind_map(b, v, k->sub, (char *)base + k->offset, k->name, v->at);
	return true;
}

/* A scalar key of a mapping, or NULL with a complaint. */
static const char *key_text(struct binder *b, const struct node *key)
{
	if (key->kind == NODE_BAD)
		return NULL;
	if (key->kind != NODE_SCALAR || !*key->text) {
		diag_add(b->d, key->at, "a key must be a word, not %s", node_kind_name(key));
		return NULL;
	}
	if (key->plain && !strcmp(key->text, "<<")) {
		diag_add(b->d, key->at, "merge keys (<<) are not supported: write the values out");
		return NULL;
	}
	return key->text;
}

static bool bind_named(struct binder *b, const struct key *k, const struct node *v, unsigned max,
		       void *(*add)(struct binder *, const char *), enum place place, const char *what)
{
	if (v->kind != NODE_MAP) {
		char want[64];
		snprintf(want, sizeof(want), "a mapping from each %s's name to its keys", what);
		return wrong(b, k, v, want);
	}
	if (!v->child) {
		diag_add(b->d, v->at, "%s: empty: at least one %s is needed", k->name, what);
		return false;
	}
	const struct node *names[MODEL_HONEYPOTS];
	unsigned n = 0;
	bool ok = true;
	for (const struct node *key = v->child; key && key->next; key = key->next->next) {
		const char *name = key_text(b, key);
		char label[NAME_CAP + 16];
		bool twice = false;
		if (!name || !text_is_name(name)) {
			if (name)
				diag_add(b->d, key->at, "%s: %.60s: not a name: a-z, 0-9 and inner hyphens, at most 31",
					 k->name, name);
			ok = false;
			continue;
		}
		for (unsigned i = 0; i < n && !twice; i++) {
			twice = !strcmp(names[i]->text, name);
			if (twice)
				diag_add(b->d, key->at, "%s %s is already in line %u", what, name, names[i]->at.line);
		}
		if (twice)
			continue;
		if (n == max) {
			diag_add(b->d, key->at, "%s: more than %u", k->name, max);
			return false;
		}
		b->index = n;
		b->at[place][n] = key->at;
		b->bad[place][n] = key->next->kind != NODE_MAP;
		names[n++] = key;
		snprintf(label, sizeof(label), "%s %s", what, name);
		bind_map(b, key->next, k->sub, add(b, name), label, key->at);
	}
	return ok;
}

static bool bind_networks(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	return bind_named(b, k, v, MODEL_NETS, parse_new_network, PLACE_NET, "network");
}

static bool bind_honeypots(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	return bind_named(b, k, v, MODEL_HONEYPOTS, parse_new_honeypot, PLACE_HONEYPOT, "honeypot");
}

static bool bind_name(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (!is_text(v) || !text_is_name(v->text))
		return wrong(b, k, v, "a name: a-z, 0-9 and inner hyphens, at most 31");
	return text_copy((char *)base + k->offset, NAME_CAP, v->text);
}

static bool bind_hostname(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (!is_text(v) || !rules_hostname(v->text) || !text_copy((char *)base + k->offset, HOSTNAME_CAP, v->text))
		return wrong(b, k, v, "a host name: letters, digits, inner hyphens and dots, at most 63");
	return true;
}

static bool bind_word(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char want[128];
	size_t n = 0;
	const char *best = NULL;
	unsigned least = 4;
	for (unsigned i = 0; k->words[i]; i++) {
		if (is_word(v, k->words[i])) {
			put_int(base, k, i);
			return true;
		}
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%s%s", i ? ", " : "one of ", k->words[i]);
		if (is_text(v))
			nearest(v->text, k->words[i], &best, &least);
	}
	if (best)
		snprintf(want + n, sizeof(want) - n, "; did you mean %s?", best);
	return wrong(b, k, v, want);
}

/* Digits only: no sign, no blanks. */
static bool digits(const char *s, uint64_t *out)
{
	uint64_t v;
	/* text_bytes takes digits with at most one unit behind them. */
	size_t n = strspn(s, "0123456789");
	if (!n || s[n] || !text_bytes(s, &v))
		return false;
	*out = v;
	return true;
}

static bool bind_uint(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char want[80];
	uint64_t value;
	if (is_text(v) && digits(v->text, &value) && value >= k->min && value <= k->max) {
		put_int(base, k, value);
		return true;
	}
	snprintf(want, sizeof(want), "a number, %" PRIu64 " to %" PRIu64, k->min, k->max);
	return wrong(b, k, v, want);
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
	if (k->unlimited && is_word(v, "unlimited")) {
		put_int(base, k, 0);
		return true;
	}
	if (is_text(v) && parse(v->text, &value) && value >= k->min && value <= k->max) {
		put_int(base, k, value);
		return true;
	}
	snprintf(want, sizeof(want), "%s, %s to %s%s", form, with_unit(k->min, sizes, units, min),
		 with_unit(k->max, sizes, units, max), k->unlimited ? ", or unlimited" : "");
	return wrong(b, k, v, want);
}

static const uint64_t byte_sizes[] = { 1ull << 40, 1ull << 30, 1ull << 20, 1ull << 10 };
static const uint64_t time_sizes[] = { 86400, 3600, 60, 1 };

static bool bind_bytes(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	return bind_scaled(b, k, v, base, text_bytes, "a size as 64M", byte_sizes, "TGMk");
}

static bool bind_seconds(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	return bind_scaled(b, k, v, base, text_seconds, "a time as 60s", time_sizes, "dhms");
}

static bool bind_prefix(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct addr a;
	if (!is_text(v) || !addr_parse(v->text, 1, &a) || a.family != k->min)
		return wrong(b, k, v,
			     k->min == 4 ? "an IPv4 prefix as 192.0.2.0/24" : "an IPv6 prefix as 2001:db8::/64");
	memcpy((char *)base + k->offset, &a, sizeof(a));
	return true;
}

/* A single value, or each item of a list, in turn: returns the next one. */
static const struct node *item(const struct node *v, const struct node *last)
{
	if (v->kind == NODE_SEQ)
		return last ? last->next : v->child;
	return last ? NULL : v;
}

static bool bind_routers(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct network *net = base;
	bool ok = true;
	for (const struct node *i = item(v, NULL); i; i = item(v, i)) {
		struct addr a;
		if (!is_text(i) || !addr_parse(i->text, 0, &a)) {
			ok = wrong(b, k, i, "an address without a prefix length");
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
		return wrong(b, k, v, "an address, or a list of them");
	return ok;
}

static bool bind_addrs(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct honeypot *h = base;
	bool ok = true;
	if (v->kind == NODE_SEQ && !v->child)
		diag_add(b->d, v->at, "%s: empty list: at least one address is needed", k->name);
	for (const struct node *i = item(v, NULL); i; i = item(v, i)) {
		struct addr a;
		if (!is_text(i) || !addr_parse(i->text, 0, &a)) {
			ok = wrong(b, k, i, "an address as 192.0.2.10, without a prefix length");
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

static bool bind_netref(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	const char *best = NULL;
	unsigned least = 4;
	if (!is_text(v))
		return wrong(b, k, v, "the name of a network");
	for (uint32_t i = 0; i < b->m->nnets; i++) {
		if (!strcmp(b->m->nets[i].name, v->text)) {
			memcpy((char *)base + k->offset, &i, sizeof(i));
			return true;
		}
		nearest(v->text, b->m->nets[i].name, &best, &least);
	}
	/* Networks that could not be bound are not known: no second complaint. */
	if (!b->bad[PLACE_MODEL][0])
		diag_add(b->d, v->at, "%s: there is no network %.60s%s%s%s", k->name, v->text,
			 best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	return false;
}

static bool bind_mac(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	if (is_word(v, "auto"))
		return true;
	if (!is_text(v) || !mac_parse(v->text, mac))
		return wrong(b, k, v, "auto, or a MAC as 00:25:90:12:34:56");
	/* All zero is "auto" until the file is bound. */
	if (mac[0] & 1 || !memcmp(mac, zero, 6))
		return wrong(b, k, v, "the address of one machine (unicast)");
	memcpy((char *)base + k->offset, mac, 6);
	return true;
}

static bool bind_uplink(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (is_word(v, "none")) {
		b->m->uplink = UPLINK_NONE;
		return true;
	}
	if (v->kind != NODE_MAP)
		return wrong(b, k, v, "none, or the prefixes that the lab plays as {lab: [203.0.113.0/24]}");
	unsigned had = b->d->n + b->d->more;
	bind_map(b, v, k->sub, base, k->name, v->at);
	b->m->uplink = UPLINK_LAB;
	return b->d->n + b->d->more == had;
}

static bool bind_lab(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct model *m = base;
	bool ok = true;
	for (const struct node *i = item(v, NULL); i; i = item(v, i)) {
		struct addr a;
		if (!is_text(i) || !addr_parse(i->text, 1, &a)) {
			ok = wrong(b, k, i, "a prefix as 203.0.113.0/24");
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

/* "/second" to "/day" -> seconds. */
static bool period(const char *s, uint32_t *out)
{
	static const struct {
		const char *name;
		uint32_t seconds;
	} table[] = { { "/second", 1 }, { "/minute", 60 }, { "/hour", 3600 }, { "/day", 86400 } };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(s, table[i].name)) {
			*out = table[i].seconds;
			return true;
		}
	}
	return false;
}

/* "VALUE/PERIOD": the value's text goes to buf. */
static bool split_rate(const char *s, char *buf, size_t cap, uint32_t *seconds)
{
	const char *slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= cap || !period(slash, seconds))
		return false;
	memcpy(buf, s, (size_t)(slash - s));
	buf[slash - s] = '\0';
	return true;
}

static bool bind_rate(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct limit l = { 0 };
	char number[24];
	uint64_t count;
	if (is_word(v, "unlimited")) {
		l.count = LIMIT_UNLIMITED;
	} else if (!is_word(v, "none") && !is_word(v, "0")) {
		if (!is_text(v) || !split_rate(v->text, number, sizeof(number), &l.seconds) ||
		    !digits(number, &count) || count > LIMIT_COUNT_MAX)
			return wrong(b, k, v,
				     "N/second, N/minute, N/hour or N/day with N up to 10000, none or unlimited");
		l.count = (uint32_t)count;
	}
	memcpy((char *)base + k->offset, &l, sizeof(l));
	return true;
}

static bool bind_rates(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (is_word(v, "none")) {
		memset((char *)base + k->offset, 0, LIMIT_CLASS_COUNT * sizeof(struct limit));
		return true;
	}
	if (v->kind != NODE_MAP)
		return wrong(b, k, v, "none, or a mapping as {tcp: 10/hour}");
	return bind_submap(b, k, v, base);
}

static bool bind_amount(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct amount a = { .set = true };
	char number[24], want[160], max[32];
	bool bytes = k->type == KEY_AMOUNT;
	const char *text = is_text(v) ? v->text : "";
	bool ok = is_word(v, "unlimited");
	if (!ok && (!k->size || split_rate(text, number, sizeof(number), &a.seconds))) {
		text = k->size ? number : text;
		ok = (bytes ? text_bytes(text, &a.value) : digits(text, &a.value)) && a.value >= k->min &&
		     a.value <= k->max;
	}
	if (!ok) {
		snprintf(want, sizeof(want), "%s%s (up to %s), or unlimited",
			 bytes ? "a size as 64M" : "a number as 100000",
			 k->size ? " with /second, /minute, /hour or /day" : "",
			 with_unit(k->max, byte_sizes, bytes ? "TGMk" : "", max));
		return wrong(b, k, v, want);
	}
	((struct amount *)base)[bytes ? 0 : 1] = a;
	return true;
}

/* Bytes and packets of one budget have one window. What is not written stays as
 * it was inherited. */
static bool bind_budget(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct budget now;
	struct amount draft[2] = { 0 };
	char *to = (char *)base + k->offset;
	memcpy(&now, to, sizeof(now));
	if (v->kind != NODE_MAP)
		return wrong(b, k, v, "a mapping with bytes and packets");
	bind_map(b, v, k->sub, draft, k->name, v->at);
	if (!draft[0].set && !draft[1].set)
		return false;
	struct amount bytes = draft[0].set ? draft[0] : (struct amount){ now.bytes, now.seconds, false };
	struct amount packets = draft[1].set ? draft[1] : (struct amount){ now.packets, now.seconds, false };
	if (bytes.value && packets.value && bytes.seconds != packets.seconds) {
		diag_add(b->d, v->at, "%s budget: bytes and packets need the same period%s", k->name,
			 draft[0].set && draft[1].set ? "" : ": write both, since one is inherited");
		return false;
	}
	now.bytes = bytes.value;
	now.packets = packets.value;
	if (bytes.value || packets.value)
		now.seconds = bytes.value ? bytes.seconds : packets.seconds;
	memcpy(to, &now, sizeof(now));
	return true;
}

static bool bind_later(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	diag_add(b->d, v->at, "%s is not in this version of skep", k->name);
	return false;
}

static const bind_fn binders[] = {
	[KEY_MAP] = bind_submap,    [KEY_NETWORKS] = bind_networks, [KEY_HONEYPOTS] = bind_honeypots,
	[KEY_NAME] = bind_name,     [KEY_HOSTNAME] = bind_hostname, [KEY_WORD] = bind_word,
	[KEY_UINT] = bind_uint,     [KEY_BYTES] = bind_bytes,       [KEY_SECONDS] = bind_seconds,
	[KEY_PREFIX] = bind_prefix, [KEY_ROUTERS] = bind_routers,   [KEY_ADDRS] = bind_addrs,
	[KEY_NETREF] = bind_netref, [KEY_MAC] = bind_mac,           [KEY_UPLINK] = bind_uplink,
	[KEY_LAB] = bind_lab,       [KEY_RATE] = bind_rate,         [KEY_RATES] = bind_rates,
	[KEY_BUDGET] = bind_budget, [KEY_AMOUNT] = bind_amount,     [KEY_COUNT] = bind_amount,
	[KEY_LATER] = bind_later,
};

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (const struct key *k = keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

/* Returns the key that was probably meant, or NULL. */
static const struct key *unknown_key(struct binder *b, const struct node *key, const struct key *keys, const char *what)
{
	const char *best = NULL;
	unsigned least = 4;
	for (const struct key *k = keys; k->name; k++)
		nearest(key->text, k->name, &best, &least);
	if (best) {
		diag_add(b->d, key->at, "%s: unknown key %.60s; did you mean %s?", what, key->text, best);
		return find_key(keys, best);
	}
	char list[128] = "";
	size_t n = 0;
	for (const struct key *k = keys; k->name && n < sizeof(list); k++)
		if (k->type != KEY_LATER)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", k->name);
	diag_add(b->d, key->at, "%s: unknown key %.60s; known are %s", what, key->text, list);
	return NULL;
}

static unsigned place_index(const struct binder *b, const struct key *k)
{
	return k->place >= PLACE_NET && k->place < PLACE_POLICY ? b->index : 0;
}

static void mark_bad(struct binder *b, const struct key *k)
{
	if (k->place || k->type == KEY_NETWORKS)
		b->bad[k->place][place_index(b, k)] = true;
}

/* What a mapping says for each row of its table. */
struct found {
	const struct node *values[KEYS_MAX];
	uint32_t lines[KEYS_MAX];
	bool excused[KEYS_MAX]; /* missing, but another complaint says so already */
};

static void sort_keys(struct binder *b, const struct node *n, const struct key *keys, const char *what, struct found *f)
{
	for (const struct node *key = n->child; key && key->next; key = key->next->next) {
		const char *name = key_text(b, key);
		if (!name)
			continue;
		const struct key *k = find_key(keys, name);
		if (!k) {
			k = unknown_key(b, key, keys, what);
			if (k)
				f->excused[k - keys] = true;
			continue;
		}
		size_t i = (size_t)(k - keys);
		if (f->values[i]) {
			diag_add(b->d, key->at, "%s: key %s is already in line %u", what, name, f->lines[i]);
			continue;
		}
		if (k->type == KEY_LATER)
			memset(f->excused, true, sizeof(f->excused));
		f->values[i] = key->next;
		f->lines[i] = key->at.line;
	}
}

void bind_map(struct binder *b, const struct node *n, const struct key *keys, void *base, const char *what,
	      struct mark at)
{
	struct found f = { 0 };
	if (n->kind == NODE_MAP) {
		sort_keys(b, n, keys, what, &f);
	} else {
		if (n->kind != NODE_BAD)
			diag_add(b->d, n->at, "%s: expected a mapping, not %s", what, node_kind_name(n));
		memset(f.excused, true, sizeof(f.excused));
	}
	for (const struct key *k = keys; k->name; k++) {
		size_t i = (size_t)(k - keys);
		const struct node *v = f.values[i];
		if (!v) {
			if (k->required && !f.excused[i])
				diag_add(b->d, at, "%s: missing key %s", what, k->name);
			if (k->required)
				mark_bad(b, k);
			continue;
		}
		if (k->place && k->place != PLACE_HONEYPOT)
			b->at[k->place][place_index(b, k)] = v->at;
		if (v->kind == NODE_BAD || !binders[k->type](b, k, v, base))
			mark_bad(b, k);
	}
}
