/* SPDX-License-Identifier: ISC */
/* Types of what a rule matches: directions, protocols, ports, names, times. */
#include "model/bind_type.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool bind_direction(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} words[] = { { "out", RULE_OUT }, { "lateral", RULE_LATERAL }, { "in", RULE_IN } };
	struct rule *r = base;
	uint8_t bits = 0;
	bool ok = v->kind != NODE_MAP && (v->kind != NODE_SEQ || v->child);
	if (!ok)
		return bind_wrong(b, k, v, "out, in, lateral, or a list of them");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		uint8_t bit = 0;
		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
			if (bind_is_word(i, words[w].word))
				bit = words[w].bit;
		if (!bit) {
			ok = bind_wrong(b, k, i, "out, in or lateral");
		} else if (bits & bit) {
			diag_add(b->d, i->at, "%s: %s is written twice", k->name, i->text);
			ok = false;
		}
		bits |= bit;
	}
	if (ok)
		r->directions = bits;
	return ok;
}

/* IANA's "Protocol Numbers". */
static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "tcp", 6 },   { "udp", 17 }, { "icmp", 1 }, { "icmpv6", 58 }, { "igmp", 2 },  { "ipip", 4 },
	{ "ipv6", 41 }, { "gre", 47 }, { "esp", 50 }, { "ah", 51 },     { "ospf", 89 }, { "sctp", 132 },
};

const char *model_protocol_name(unsigned number, char buf[16])
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].number == number)
			return protocols[i].name;
	snprintf(buf, 16, "protocol %u", number & 0xff);
	return buf;
}

bool bind_protocol(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct rule *r = base;
	uint64_t n = 256;
	if (bind_is_word(v, "any")) {
		r->has_proto = r->proto = 0;
		return true;
	}
	for (size_t i = 0; bind_is_text(v) && i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (!strcmp(protocols[i].name, v->text))
			n = protocols[i].number;
	if (n == 256 && (!bind_is_text(v) || !bind_digits(v->text, &n) || n > 255))
		return bind_wrong(b, k, v,
				  "tcp, udp, icmp, icmpv6, gre, sctp or another, a number from 0 to 255, or any");
	r->has_proto = 1;
	r->proto = (uint8_t)n;
	return true;
}

/* "80" or "1000-2000". */
static bool port_range(const char *s, struct port_range *out)
{
	char from[8];
	uint64_t x, y;
	const char *dash = strchr(s, '-');
	size_t n = dash ? (size_t)(dash - s) : strlen(s);
	if (n >= sizeof(from))
		return false;
	memcpy(from, s, n);
	from[n] = '\0';
	if (!bind_digits(from, &x) || x > 65535)
		return false;
	y = x;
	if (dash && (!bind_digits(dash + 1, &y) || y > 65535 || y < x))
		return false;
	*out = (struct port_range){ (uint16_t)x, (uint16_t)y };
	return true;
}

bool bind_ports(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct policy_pool *pool = &b->m->pool;
	uint32_t first = pool->nranges;
	bool ok = v->kind != NODE_MAP && (v->kind != NODE_SEQ || v->child);
	if (!ok)
		return bind_wrong(b, k, v, "ports as 80, 1000-2000, or a list of them");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		struct port_range r;
		if (!bind_is_text(i) || !port_range(i->text, &r)) {
			ok = bind_wrong(b, k, i, "a port, 0 to 65535, or a range of them as 1000-2000");
			continue;
		}
		for (uint32_t o = first; o < pool->nranges; o++) {
			if (pool->ranges[o].from <= r.to && r.from <= pool->ranges[o].to) {
				diag_add(b->d, i->at, "%s: %.60s overlaps with %u-%u in the same list", k->name,
					 i->text, pool->ranges[o].from, pool->ranges[o].to);
				ok = false;
				break;
			}
		}
		if (pool->nranges == POOL_RANGES) {
			diag_add(b->d, i->at, "%s: more than %u ports and ranges in the file", k->name, POOL_RANGES);
			return false;
		}
		pool->ranges[pool->nranges++] = r;
	}
	struct span s = { (uint16_t)first, (uint16_t)(pool->nranges - first) };
	memcpy((char *)base + k->offset, &s, sizeof(s));
	return ok;
}

static bool is_list(const struct node *v)
{
	return v->kind == NODE_SCALAR ? *v->text : v->kind == NODE_SEQ && v->child;
}

bool bind_netrefs(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct rule *r = base;
	bool ok = true;
	if (!is_list(v))
		return bind_wrong(b, k, v, "the name of a network, or a list of them");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		uint32_t n = 0;
		static const struct key one = { .name = "network" };
		if (!bind_netref(b, &one, i, &n)) {
			ok = false;
		} else if (r->networks & 1u << n) {
			diag_add(b->d, i->at, "%s: %.60s is written twice", k->name, i->text);
			ok = false;
		} else {
			r->networks |= (uint16_t)(1u << n);
		}
	}
	return ok;
}

int bind_honeypot_index(struct binder *b, const struct key *k, const struct node *v)
{
	const char *best = NULL;
	unsigned least = BIND_FAR;
	if (!bind_is_text(v)) {
		bind_wrong(b, k, v, "the name of a honeypot");
		return -1;
	}
	for (uint32_t i = 0; i < b->m->nhoneypots; i++) {
		if (!strcmp(b->m->honeypots[i].name, v->text))
			return (int)i;
		bind_nearest(v->text, b->m->honeypots[i].name, &best, &least);
	}
	diag_add(b->d, v->at, "%s: there is no honeypot %.60s%s%s%s", k->name, v->text, best ? "; did you mean " : "",
		 best               ? best
		 : b->m->nhoneypots ? ""
				    : ": a policy by itself knows none, write it in the honeynet's file",
		 best ? "?" : "");
	return -1;
}

bool bind_hprefs(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	uint8_t *bits = (uint8_t *)base + k->offset;
	bool ok = true;
	if (!is_list(v))
		return bind_wrong(b, k, v, "the name of a honeypot, or a list of them");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		int n = bind_honeypot_index(b, k, i);
		if (n < 0) {
			ok = false;
		} else if (bits[n / 8] & 1u << (n % 8)) {
			diag_add(b->d, i->at, "%s: %.60s is written twice", k->name, i->text);
			ok = false;
		} else {
			bits[n / 8] |= (uint8_t)(1u << (n % 8));
		}
	}
	return ok;
}

bool bind_target(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	int n = bind_honeypot_index(b, k, v);
	if (n >= 0)
		((struct rule *)base)->target = (uint16_t)n;
	return n >= 0;
}

/* ---- times ---- */

static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static int day(const char *s, size_t n)
{
	for (int i = 0; n == 3 && i < 7; i++)
		if (!memcmp(s, day_names[i], 3))
			return i;
	return -1;
}

/* "mon-fri,sun": days may go over the week's end (fri-mon). Returns 0, or what
 * is wrong. */
static const char *parse_days(const char *s, size_t n, uint8_t *out)
{
	uint8_t days = 0;
	for (size_t at = 0; at <= n;) {
		const char *comma = memchr(s + at, ',', n - at);
		size_t len = comma ? (size_t)(comma - s) - at : n - at;
		const char *dash = memchr(s + at, '-', len);
		size_t one = dash ? (size_t)(dash - s) - at : len;
		int from = day(s + at, one), to = dash ? day(dash + 1, len - one - 1) : from;
		if (from < 0 || to < 0)
			return "";
		for (int d = from;; d = (d + 1) % 7) {
			if (days & 1u << d)
				return "the days overlap";
			days |= (uint8_t)(1u << d);
			if (d == to)
				break;
		}
		at += len + 1;
	}
	*out = days;
	return NULL;
}

/* "08:00", and "24:00". */
static bool minutes(const char *s, uint16_t *out)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
			return false;
	unsigned h = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
	unsigned m = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
	if (m > 59 || h > 24 || (h == 24 && m))
		return false;
	*out = (uint16_t)(h * 60 + m);
	return true;
}

static const char *parse_times(const char *s, struct when *w)
{
	if (strlen(s) != 11 || s[5] != '-' || !minutes(s, &w->from) || !minutes(s + 6, &w->to) || w->from == 1440)
		return "";
	if (w->from == w->to)
		return "it ends when it begins: leave the time out for whole days";
	w->to %= 1440;
	return NULL;
}

/* "[DAYS] [HH:MM-HH:MM]" */
static const char *parse_when(const char *s, struct when *w)
{
	const char *blank = strchr(s, ' '), *wrong;
	size_t n = blank ? (size_t)(blank - s) : strlen(s);
	if (!blank && *s >= '0' && *s <= '9') {
		w->days = 0x7f;
		return parse_times(s, w);
	}
	wrong = parse_days(s, n, &w->days);
	return wrong || !blank ? wrong : parse_times(blank + 1, w);
}

bool bind_when(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct when w = { 0 };
	const char *wrong = bind_is_text(v) ? parse_when(v->text, &w) : "";
	if (wrong && *wrong) {
		diag_add(b->d, v->at, "%s: %.60s: %s", k->name, v->text, wrong);
		return false;
	}
	if (wrong)
		return bind_wrong(b, k, v, "days, times (UTC) or both, as mon-fri 08:00-18:00");
	memcpy((char *)base + k->offset, &w, sizeof(w));
	return true;
}

bool bind_alert(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	uint64_t sid = RULE_ALERT_ANY;
	if (!bind_is_word(v, "any") &&
	    (!bind_is_text(v) || !bind_digits(v->text, &sid) || !sid || sid >= RULE_ALERT_ANY))
		return bind_wrong(b, k, v, "any, or the id of a signature (sid)");
	memcpy((char *)base + k->offset, &(uint32_t){ (uint32_t)sid }, 4);
	return true;
}
