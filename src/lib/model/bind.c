/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. bind_map sorts a mapping's values by the rows of its
 * table, complains about unknown, repeated and missing keys, then binds the
 * values in the order of the rows with the function of each row's type. A value
 * that cannot be bound leaves the default in place, and the row's place is
 * marked bad, so that one mistake gives one message.
 */
#include "model/bind_type.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool bind_submap(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "a mapping");
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

bool bind_named(struct binder *b, const struct key *k, const struct node *v, unsigned max,
		void *(*add)(struct binder *, const char *), enum place place, const char *what)
{
	if (v->kind != NODE_MAP) {
		char want[64];
		snprintf(want, sizeof(want), "a mapping from each %s's name to its keys", what);
		return bind_wrong(b, k, v, want);
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

static bool bind_uplink(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (bind_is_word(v, "none")) {
		b->m->uplink = UPLINK_NONE;
		return true;
	}
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "none, or the prefixes that the lab plays as {lab: [203.0.113.0/24]}");
	unsigned had = b->d->n + b->d->more;
	bind_map(b, v, k->sub, base, k->name, v->at);
	b->m->uplink = UPLINK_LAB;
	return b->d->n + b->d->more == had;
}

static const bind_fn binders[] = {
	[KEY_MAP] = bind_submap,          [KEY_NETWORKS] = bind_networks,
	[KEY_HONEYPOTS] = bind_honeypots, [KEY_NAME] = bind_name,
	[KEY_HOSTNAME] = bind_hostname,   [KEY_WORD] = bind_word,
	[KEY_UINT] = bind_uint,           [KEY_BYTES] = bind_bytes,
	[KEY_SECONDS] = bind_seconds,     [KEY_PREFIX] = bind_prefix,
	[KEY_ROUTERS] = bind_routers,     [KEY_ADDRS] = bind_addrs,
	[KEY_NETREF] = bind_netref,       [KEY_MAC] = bind_mac,
	[KEY_UPLINK] = bind_uplink,       [KEY_LAB] = bind_lab,
	[KEY_RATE] = bind_rate,           [KEY_RATES] = bind_rates,
	[KEY_BUDGET] = bind_budget,       [KEY_AMOUNT] = bind_amount,
	[KEY_COUNT] = bind_amount,        [KEY_LATER] = bind_later,
	[KEY_POLICY] = bind_policy,       [KEY_PRESET] = bind_preset,
	[KEY_INBOUND] = bind_inbound,     [KEY_NARROW] = bind_narrow,
	[KEY_NARROWS] = bind_narrows,     [KEY_LIMITED] = bind_limited,
	[KEY_PERCENT] = bind_percent,     [KEY_BANDWIDTH] = bind_bandwidth,
	[KEY_PREFIXES] = bind_prefixes,   [KEY_DNS] = bind_dns,
	[KEY_RESOLVER] = bind_resolver,   [KEY_ENTROPY] = bind_entropy,
	[KEY_QTYPES] = bind_qtypes,       [KEY_RULES] = bind_rules,
	[KEY_DIRECTION] = bind_direction, [KEY_PROTOCOL] = bind_protocol,
	[KEY_PORTS] = bind_ports,         [KEY_MATCHED] = bind_matched,
	[KEY_NETREFS] = bind_netrefs,     [KEY_HPREFS] = bind_hprefs,
	[KEY_WHEN] = bind_when,           [KEY_ALERT] = bind_alert,
	[KEY_FIRST] = bind_first,         [KEY_REPLACE] = bind_replace,
	[KEY_ESCAPED] = bind_escaped,     [KEY_TARGET] = bind_target,
	[KEY_POLICIES] = bind_policies,   [KEY_TRIGGERS] = bind_triggers,
	[KEY_MATCH] = bind_match,         [KEY_DO] = bind_do,
	[KEY_MAIL] = bind_mail,           [KEY_WEBHOOK] = bind_webhook,
	[KEY_ENGINE] = bind_engine,       [KEY_PATHS] = bind_paths,
	[KEY_VARIABLES] = bind_variables, [KEY_INTERFACES] = bind_interfaces,
	[KEY_ARGV] = bind_argv,
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
	unsigned least = BIND_FAR;
	for (const struct key *k = keys; k->name; k++)
		bind_nearest(key->text, k->name, &best, &least);
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
	struct mark *seen = b->seen;
	b->seen = NULL;
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
		if (seen && k->id)
			seen[k->id] = v->at;
		if (k->place && k->place != PLACE_HONEYPOT)
			b->at[k->place][place_index(b, k)] = v->at;
		if (v->kind == NODE_BAD || !binders[k->type](b, k, v, base))
			mark_bad(b, k);
	}
}
