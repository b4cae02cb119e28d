/* SPDX-License-Identifier: ISC */
#include "cli/policy_test.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MIN 1024u

/* ---- what left, by destination ------------------------------------------------- */

static uint32_t hash_of(const struct left *k)
{
	/* The counts come after the key. */
	uint64_t h = 1469598103934665603ull;
	const uint8_t *p = (const uint8_t *)k;
	for (size_t i = 0; i < offsetof(struct left, conversations); i++)
		h = (h ^ p[i]) * 1099511628211ull;
	return (uint32_t)(h ^ h >> 32);
}

static bool same(const struct left *a, const struct left *b)
{
	return !memcmp(a, b, offsetof(struct left, conversations));
}

static bool grow(struct lefts *l)
{
	uint32_t room = l->room ? l->room * 2 : ROWS_MIN, buckets = room * 2;
	struct left *at = realloc(l->at, room * sizeof(*at));
	uint32_t *b = calloc(buckets, sizeof(*b));
	if (at)
		l->at = at;
	if (!at || !b) {
		free(b);
		return false;
	}
	free(l->buckets);
	l->buckets = b;
	l->room = room;
	l->mask = buckets - 1;
	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t h = hash_of(&l->at[i]) & l->mask;
		while (b[h])
			h = (h + 1) & l->mask;
		b[h] = i + 1;
	}
	return true;
}

/* The row of that key; NULL: out of memory. */
static struct left *row_of(struct lefts *l, const struct left *key)
{
	if (l->n == l->room && !grow(l))
		return NULL;
	uint32_t h = hash_of(key) & l->mask;
	for (; l->buckets[h]; h = (h + 1) & l->mask)
		if (same(&l->at[l->buckets[h] - 1], key))
			return &l->at[l->buckets[h] - 1];
	l->at[l->n] = *key;
	l->buckets[h] = ++l->n;
	return &l->at[l->n - 1];
}

static void add_left(struct policy_test *t, struct lefts *l, const struct judge_conversation *c, uint64_t packets,
		     uint64_t bytes)
{
	const struct judge_fate *f = &c->fate[0];
	struct left key;
	memset(&key, 0, sizeof(key)); /* it is hashed with its padding */
	key.honeypot = c->honeypot;
	key.kind = c->kind;
	key.family = c->family;
	key.proto = c->proto;
	key.verdict = f->verdict;
	key.port = c->family ? c->dport : c->ethertype;
	memcpy(key.addr, c->kind == JUDGE_REPLY ? c->src : c->dst, 16);
	if (f->to_family && l == &t->left) {
		key.family = f->to_family;
		key.port = f->to_port;
		memcpy(key.addr, f->to_addr, 16);
	}
	struct left *row = row_of(l, &key);
	if (!row) {
		t->no_memory = true;
		return;
	}
	row->conversations++;
	row->packets += packets;
	row->bytes += bytes;
}

static int by_bytes(const void *a, const void *b)
{
	const struct left *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return memcmp(x, y, offsetof(struct left, conversations));
}

void policy_sort(struct lefts *l)
{
	if (l->n)
		qsort(l->at, l->n, sizeof(l->at[0]), by_bytes);
}

void policy_free(struct policy_test *t)
{
	free(t->left.at);
	free(t->left.buckets);
	free(t->stays.at);
	free(t->stays.buckets);
	free(t->model[0]);
	free(t->model[1]);
}

/* ---- conversations --------------------------------------------------------------- */

static void show(struct shown *s, const struct judge_conversation *c)
{
	if (s->n < SHOWN)
		s->at[s->n] = *c;
	s->n++;
}

static void add_change(struct policy_test *t, const struct judge_conversation *c)
{
	const struct judge_fate *a = &c->fate[0], *b = &c->fate[1];
	struct change k = { .verdict = { a->verdict, b->verdict }, .reason = { a->reason, b->reason } };
	unsigned i = 0;
	while (i < t->nchanges && (memcmp(t->changes[i].verdict, k.verdict, sizeof(k.verdict)) != 0 ||
				   memcmp(t->changes[i].reason, k.reason, sizeof(k.reason)) != 0))
		i++;
	if (i == CHANGES)
		i--; /* the rest of very many kinds */
	else if (i == t->nchanges)
		t->changes[t->nchanges++] = k;
	t->changes[i].conversations++;
}

void policy_conversation(struct policy_test *t, const struct judge_conversation *c)
{
	const struct judge_fate *f = &c->fate[0];
	for (unsigned s = 0; s < t->sides; s++)
		t->conversations[s][c->fate[s].verdict][c->fate[s].reason]++;
	if (f->left_packets)
		add_left(t, &t->left, c, f->left_packets, f->left_bytes);
	if (f->stays_packets && c->kind == JUDGE_BEGAN)
		add_left(t, &t->stays, c, f->stays_packets, f->stays_bytes);
	if (t->must_not && expr_names(&t->expr, c))
		show(&t->violations, c);
	if (t->sides > 1 && (f->verdict != c->fate[1].verdict || f->left_packets != c->fate[1].left_packets)) {
		show(&t->differing, c);
		add_change(t, c);
	}
}

/* ---- words ------------------------------------------------------------------------ */

const char *policy_port_name(const struct policy_test *t, uint16_t port)
{
	return port < PORTS_MAX && t->ports[port].name[0] ? t->ports[port].name : "-";
}

const char *policy_rule_name(const struct policy_test *t, unsigned side, uint16_t rule)
{
	return rule < t->model[side]->pool.nrules ? t->model[side]->pool.rules[rule].name : "-";
}

bool policy_rule_in_force(const struct policy_test *t, unsigned side, uint16_t rule)
{
	for (unsigned i = 0; i < t->nhoneypots; i++) {
		struct span s = t->entries[side][i].policy.rules;
		if (rule >= s.first && rule - s.first < s.n)
			return true;
	}
	return false;
}

const char *policy_proto_text(uint8_t family, uint8_t proto, uint16_t ethertype, char out[16])
{
	if (!family)
		snprintf(out, 16, ethertype == 0x0806 ? "arp" : ethertype == 0x86dd ? "nd" : "0x%04x", ethertype);
	else if (proto == 6 || proto == 17)
		snprintf(out, 16, "%s", proto == 6 ? "tcp" : "udp");
	else if ((family == 4 && proto == 1) || (family == 6 && proto == 58))
		snprintf(out, 16, "%s", family == 4 ? "icmp" : "icmpv6");
	else
		snprintf(out, 16, "proto-%u", proto);
	return out;
}

static void endpoint(uint8_t family, const uint8_t *addr, bool ports, uint16_t port, char *out, size_t cap)
{
	char a[INET6_ADDRSTRLEN] = "?";
	inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, a, sizeof(a));
	if (!ports)
		snprintf(out, cap, "%s", a);
	else
		snprintf(out, cap, family == 4 ? "%s:%u" : "[%s]:%u", a, port);
}

static bool has_ports(uint8_t family, uint8_t proto)
{
	return family && (proto == 6 || proto == 17);
}

void policy_conversation_text(const struct judge_conversation *c, char *out, size_t cap)
{
	char p[16], a[64] = "", b[64] = "";
	policy_proto_text(c->family, c->proto, c->ethertype, p);
	if (!c->family) {
		snprintf(out, cap, "%s", p);
		return;
	}
	bool ports = has_ports(c->family, c->proto);
	endpoint(c->family, c->src, ports, c->sport, a, sizeof(a));
	endpoint(c->family, c->dst, ports, c->dport, b, sizeof(b));
	snprintf(out, cap, "%s %s > %s", p, a, b);
}

void policy_left_text(const struct left *l, char *out, size_t cap)
{
	bool ports = has_ports(l->family, l->proto) && l->kind != JUDGE_REPLY;
	if (!l->family)
		snprintf(out, cap, "-");
	else
		endpoint(l->family, l->addr, ports, l->port, out, cap);
}

/* ---- packets ----------------------------------------------------------------------- */

static void packet_words(const struct judge_packet *p, char *out, size_t cap)
{
	struct judge_conversation c = {
		.family = p->family, .proto = p->proto, .ethertype = p->ethertype, .sport = p->sport, .dport = p->dport
	};
	memcpy(c.src, p->saddr, 16);
	memcpy(c.dst, p->daddr, 16);
	char text[160], a[64] = "", b[64] = "", flags[12] = "";
	policy_conversation_text(&c, text, sizeof(text));
	if (!p->family && p->ethertype == 0x0806) {
		endpoint(4, p->saddr, false, 0, a, sizeof(a));
		endpoint(4, p->daddr, false, 0, b, sizeof(b));
		snprintf(text, sizeof(text), "arp %s > %s", a, b);
	}
	if (p->family && p->proto == 6) {
		static const char letters[] = "FSRPAUEC";
		size_t n = 0;
		flags[n++] = ' ';
		for (unsigned i = 0; i < 8; i++)
			if (p->tcp_flags & 1u << i)
				flags[n++] = letters[i];
		flags[n] = 0;
	}
	snprintf(out, cap, "%s%s", text, flags);
}

static void packet_json(const struct policy_test *t, const struct judge_packet *p, const char *what, const char *time)
{
	json_t *o =
	    json_pack("{ss sI ss ss sI so ss ss}", "type", "packet", "packet", (json_int_t)p->number, "timestamp", time,
		      "port", policy_port_name(t, p->port), "length", (json_int_t)p->wirelen, "frame", cmd_string(what),
		      "verdict", verdict_name(p->verdict[0]), "reason", reason_name(p->reason[0]));
	if (p->rule[0] != RULE_NONE)
		json_object_set_new(o, "rule", cmd_string(policy_rule_name(t, 0, p->rule[0])));
	if (p->out_port != RING_NO_PORT)
		json_object_set_new(o, "out",
				    json_string(p->out_port == RING_MANY ? "many" : policy_port_name(t, p->out_port)));
	if (t->sides > 1)
		json_object_set_new(
		    o, "against",
		    json_pack("{ss ss}", "verdict", verdict_name(p->verdict[1]), "reason", reason_name(p->reason[1])));
	cmd_json_line(t->c, o);
}

void policy_packet(struct policy_test *t, const struct judge_packet *p)
{
	char what[200], time[CMD_TIME_TEXT], safe[400], rule[RULE_NAME_CAP * 4];
	packet_words(p, what, sizeof(what));
	cmd_time_text(time, p->time, 6);
	if (t->json) {
		packet_json(t, p, what, time);
		return;
	}
	fprintf(t->c->out, "%-8llu %s %-16s %-9s %-16s", (unsigned long long)p->number, time,
		policy_port_name(t, p->port), verdict_name(p->verdict[0]), reason_name(p->reason[0]));
	if (t->sides > 1)
		fprintf(t->c->out, " %c %-9s %-16s", p->verdict[0] == p->verdict[1] ? '=' : '|',
			verdict_name(p->verdict[1]), reason_name(p->reason[1]));
	fprintf(t->c->out, " %s %u", cmd_safe(safe, sizeof(safe), what), p->wirelen);
	if (p->rule[0] != RULE_NONE)
		fprintf(t->c->out, " rule %s", cmd_safe(rule, sizeof(rule), policy_rule_name(t, 0, p->rule[0])));
	fputc('\n', t->c->out);
}
