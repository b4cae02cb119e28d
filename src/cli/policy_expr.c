/* SPDX-License-Identifier: ISC */
#include "cli/policy_expr.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD 64

struct parser {
	const char *text, *at; /* at: behind the word that is looked at */
	const char *start;     /* of that word */
	char word[WORD];       /* empty: the end */
	struct expr *out;
	expr_honeypot_fn honeypot;
	void *arg;
	struct err *e;
	unsigned depth;
};

static int wrong(const struct parser *p, const char *what)
{
	char safe[4 * WORD];
	if (!p->word[0])
		return err_set(p->e, -EINVAL, "column %zu: %s, but it ends there", p->start - p->text + 1, what);
	text_safe(safe, sizeof(safe), p->word, strlen(p->word), false);
	return err_set(p->e, -EINVAL, "column %zu: %s, not \"%s\"", p->start - p->text + 1, what, safe);
}

static bool is_word(char ch)
{
	return isalnum((unsigned char)ch) || strchr(".:/-_", ch);
}

/* Looks at the next word; what is too long is cut, and so is no word that we know. */
static void next(struct parser *p)
{
	size_t n = 0, take = 1;
	while (isspace((unsigned char)*p->at))
		p->at++;
	p->start = p->at;
	if (!*p->at) {
		p->word[0] = 0;
		return;
	}
	if (is_word(*p->at))
		while (p->at[take] && is_word(p->at[take]))
			take++;
	else if (((*p->at == '<' || *p->at == '>') && p->at[1] == '=') || (*p->at == '&' && p->at[1] == '&') ||
		 (*p->at == '|' && p->at[1] == '|'))
		take = 2;
	for (; n < take && n < WORD - 1; n++)
		p->word[n] = p->at[n];
	p->word[n] = 0;
	p->at += take;
}

static bool is(const struct parser *p, const char *a, const char *b)
{
	return !strcmp(p->word, a) || (b && !strcmp(p->word, b));
}

static int emit(struct parser *p, const struct expr_node *n)
{
	if (p->out->n == EXPR_NODES)
		return err_set(p->e, -EINVAL, "column %zu: more than %u parts", p->start - p->text + 1, EXPR_NODES);
	p->out->node[p->out->n++] = *n;
	return 0;
}

/* ---- words with something behind them ----------------------------------------- */

static bool number(const char *s, unsigned long max, unsigned long *out, const char **end)
{
	char *e;
	errno = 0;
	*out = strtoul(s, &e, 10);
	*end = e;
	return isdigit((unsigned char)*s) && !errno && *out <= max;
}

static int port(struct parser *p)
{
	struct expr_node n = { .op = EXPR_PORT };
	unsigned long a, b;
	const char *end;
	next(p);
	if (!number(p->word, 65535, &a, &end))
		return wrong(p, "a port (0 to 65535) or a range as in 6660-6669 is expected");
	b = a;
	if (*end == '-' && (!number(end + 1, 65535, &b, &end) || b < a))
		return wrong(p, "a range of ports as in 6660-6669 is expected");
	if (*end)
		return wrong(p, "a port (0 to 65535) or a range as in 6660-6669 is expected");
	n.a = (uint16_t)a;
	n.b = (uint16_t)b;
	return emit(p, &n);
}

static int net(struct parser *p, bool host)
{
	struct expr_node n = { .op = EXPR_NET };
	next(p);
	if (!addr_parse(p->word, host ? 0 : 1, &n.net))
		return wrong(p, host ? "an address is expected" : "a prefix as in 192.0.2.0/24 is expected");
	if (addr_host_bits(&n.net))
		return wrong(p, "a prefix without bits behind it is expected");
	return emit(p, &n);
}

static int honeypot(struct parser *p)
{
	struct expr_node n = { .op = EXPR_HONEYPOT };
	next(p);
	int at = p->word[0] ? p->honeypot(p->arg, p->word) : -1;
	if (at < 0)
		return wrong(p, "the name of a honeypot is expected");
	n.a = (uint16_t)at;
	return emit(p, &n);
}

static int proto(struct parser *p)
{
	struct expr_node n = { .op = EXPR_PROTO };
	unsigned long a;
	const char *end;
	next(p);
	if (!number(p->word, 255, &a, &end) || *end)
		return wrong(p, "a protocol number (0 to 255) is expected");
	n.a = (uint16_t)a;
	return emit(p, &n);
}

static int amount(struct parser *p, enum expr_op op)
{
	struct expr_node n = { .op = (uint8_t)op };
	next(p);
	if (p->word[0] != '<' && p->word[0] != '>')
		return wrong(p, "one of > >= < <= is expected");
	n.compare = (uint8_t)(p->word[0] | (p->word[1] ? 0x80 : 0));
	next(p);
	if (!text_bytes(p->word, &n.n))
		return wrong(p, "a number, as in 500 or 1M, is expected");
	return emit(p, &n);
}

static int simple(struct parser *p)
{
	static const struct {
		const char *word;
		struct expr_node n;
	} words[] = {
		{ "any", { .op = EXPR_ANY } },
		{ "tcp", { .op = EXPR_PROTO, .a = 6 } },
		{ "udp", { .op = EXPR_PROTO, .a = 17 } },
		{ "icmp", { .op = EXPR_ICMP } },
		{ "began", { .op = EXPR_KIND, .a = JUDGE_BEGAN } },
		{ "reply", { .op = EXPR_KIND, .a = JUDGE_REPLY } },
		{ "resolution", { .op = EXPR_KIND, .a = JUDGE_RESOLUTION } },
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, p->word))
			continue;
		p->out->says_reply |= words[i].n.op == EXPR_KIND && words[i].n.a == JUDGE_REPLY;
		p->out->says_resolution |= words[i].n.op == EXPR_KIND && words[i].n.a == JUDGE_RESOLUTION;
		return emit(p, &words[i].n);
	}
	return wrong(p, "one of any, tcp, udp, icmp, proto, port, host, net, honeypot, bytes, packets, began, reply, "
			"resolution, not or ( is expected");
}

/* ---- the grammar --------------------------------------------------------------- */

static int either(struct parser *p);

static int term(struct parser *p)
{
	int r;
	if (is(p, "not", "!") || is(p, "(", NULL)) {
		bool negated = p->word[0] != '(';
		if (++p->depth > EXPR_DEPTH)
			return err_set(p->e, -EINVAL, "column %zu: nested too deeply", p->start - p->text + 1);
		next(p);
		r = negated ? term(p) : either(p);
		p->depth--;
		if (r)
			return r;
		if (negated)
			return emit(p, &(struct expr_node){ .op = EXPR_NOT });
		if (!is(p, ")", NULL))
			return wrong(p, "\")\" is expected");
	} else {
		if (is(p, "port", NULL))
			r = port(p);
		else if (is(p, "net", NULL) || is(p, "host", NULL))
			r = net(p, p->word[0] == 'h');
		else if (is(p, "honeypot", NULL))
			r = honeypot(p);
		else if (is(p, "proto", NULL))
			r = proto(p);
		else if (is(p, "bytes", NULL) || is(p, "packets", NULL))
			r = amount(p, p->word[0] == 'b' ? EXPR_BYTES : EXPR_PACKETS);
		else
			r = simple(p);
		if (r)
			return r;
	}
	next(p);
	return 0;
}

static int both(struct parser *p)
{
	int r = term(p);
	while (!r && is(p, "and", "&&")) {
		next(p);
		r = term(p);
		if (!r)
			r = emit(p, &(struct expr_node){ .op = EXPR_AND });
	}
	return r;
}

static int either(struct parser *p)
{
	int r = both(p);
	while (!r && is(p, "or", "||")) {
		next(p);
		r = both(p);
		if (!r)
			r = emit(p, &(struct expr_node){ .op = EXPR_OR });
	}
	return r;
}

int expr_parse(const char *text, expr_honeypot_fn hp, void *arg, struct expr *out, struct err *e)
{
	struct expr x = { 0 };
	struct parser p = { .text = text, .at = text, .out = &x, .honeypot = hp, .arg = arg, .e = e };
	next(&p);
	int r = either(&p);
	if (!r && p.word[0])
		r = wrong(&p, "\"and\" or \"or\" is expected");
	if (!r)
		*out = x;
	return r;
}

/* ---- evaluation ------------------------------------------------------------------ */

static bool outside_in(const struct judge_conversation *c, const struct addr *net)
{
	const struct judge_fate *f = &c->fate[0];
	struct addr a = { .family = c->family };
	memcpy(a.b, c->kind == JUDGE_REPLY ? c->src : c->dst, 16);
	struct addr to = { .family = f->to_family };
	memcpy(to.b, f->to_addr, 16);
	return (a.family && addr_in(net, &a)) || (to.family && addr_in(net, &to));
}

static bool compares(const struct expr_node *n, uint64_t v)
{
	if (n->compare & 0x80 && v == n->n)
		return true;
	return (n->compare & 0x7f) == '<' ? v < n->n : v > n->n;
}

static bool holds(const struct expr_node *n, const struct judge_conversation *c)
{
	const struct judge_fate *f = &c->fate[0];
	switch (n->op) {
	case EXPR_PROTO:
		return c->family && c->proto == n->a;
	case EXPR_ICMP:
		return (c->family == 4 && c->proto == 1) || (c->family == 6 && c->proto == 58);
	case EXPR_PORT:
		return (c->proto == 6 || c->proto == 17) && c->family &&
		       ((c->dport >= n->a && c->dport <= n->b) ||
			(f->to_family && f->to_port >= n->a && f->to_port <= n->b));
	case EXPR_NET:
		return outside_in(c, &n->net);
	case EXPR_HONEYPOT:
		return c->honeypot == n->a;
	case EXPR_BYTES:
		return compares(n, f->left_bytes);
	case EXPR_PACKETS:
		return compares(n, f->left_packets);
	case EXPR_KIND:
		return c->kind == n->a;
	default:
		return true;
	}
}

bool expr_names(const struct expr *x, const struct judge_conversation *c)
{
	bool stack[EXPR_NODES];
	unsigned n = 0;
	if (!c->fate[0].left_packets || (c->kind == JUDGE_REPLY && !x->says_reply) ||
	    (c->kind == JUDGE_RESOLUTION && !x->says_resolution))
		return false;
	for (unsigned i = 0; i < x->n; i++) {
		const struct expr_node *k = &x->node[i];
		if (k->op == EXPR_NOT) {
			stack[n - 1] = !stack[n - 1];
		} else if (k->op == EXPR_AND || k->op == EXPR_OR) {
			bool b = stack[--n];
			stack[n - 1] = k->op == EXPR_AND ? stack[n - 1] && b : stack[n - 1] || b;
		} else {
			stack[n++] = holds(k, c);
		}
	}
	return n && stack[0];
}
