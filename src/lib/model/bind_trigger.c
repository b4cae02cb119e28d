/* SPDX-License-Identifier: ISC */
/* Named policies, triggers and notices. */
#include "model/bind_type.h"
#include "model/rule_draft.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool bind_policies(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	bool ok = bind_named(b, k, v, MODEL_POLICIES, parse_new_policy, PLACE_NAMED, "policy");
	b->job = NULL;
	return ok;
}

bool bind_match(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct trigger_draft *d = base;
	if (!bind_is_text(v) || !text_copy(d->match, sizeof(d->match), v->text))
		return bind_wrong(b, k, v, "a text of at most 255 bytes");
	return true;
}

static bool do_policy(struct binder *b, const struct key *k, const struct node *v, struct trigger *t)
{
	const char *name = v->text + strlen("policy "), *best = NULL;
	unsigned least = BIND_FAR;
	for (uint32_t i = 0; i < b->m->npolicies; i++) {
		if (!strcmp(b->m->policies[i].name, name)) {
			t->policy = (uint16_t)i;
			return true;
		}
		bind_nearest(name, b->m->policies[i].name, &best, &least);
	}
	diag_add(b->d, v->at, "%s: there is no policy %.40s below policies%s%s%s", k->name, name,
		 best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	return false;
}

bool bind_do(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} words[] = { { "event", TRIGGER_DO_EVENT },
		      { "notify", TRIGGER_DO_NOTIFY },
		      { "freeze", TRIGGER_DO_FREEZE },
		      { "pause", TRIGGER_DO_PAUSE } };
	static const char want[] = "event, notify, freeze, pause or policy NAME";
	struct trigger *t = &((struct trigger_draft *)base)->t;
	uint32_t actions = 0;
	bool ok = v->kind != NODE_MAP && (v->kind != NODE_SEQ || v->child);
	if (!ok)
		return bind_wrong(b, k, v, want);
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		uint32_t bit = 0;
		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
			if (bind_is_word(i, words[w].word))
				bit = words[w].bit;
		if (!bit && bind_is_text(i) && !strncmp(i->text, "policy ", 7)) {
			ok &= do_policy(b, k, i, t);
			bit = TRIGGER_DO_POLICY;
		}
		if (!bit) {
			ok = bind_wrong(b, k, i, want);
		} else if (actions & bit) {
			diag_add(b->d, i->at, "%s: %.60s: one such action is possible", k->name, i->text);
			ok = false;
		}
		actions |= bit;
	}
	t->actions = actions;
	return ok;
}

/* A keyword goes to the pool; the same bytes twice stand there once. */
static void keyword(struct binder *b, struct trigger_draft *d, struct mark at)
{
	struct policy_pool *pool = &b->m->pool;
	struct keyword w = { 0 };
	size_t n;
	if (!bind_unescape(d->match, w.bytes, sizeof(w.bytes), &n)) {
		diag_add(
		    b->d, at,
		    "match: expected 1 to %u bytes of text, in which \\xHH, \\n, \\r, \\t and \\\\ stand for bytes",
		    KEYWORD_MAX);
		return;
	}
	w.n = (uint8_t)n;
	for (uint32_t i = 0; i < pool->nkeywords; i++) {
		if (!memcmp(&pool->keywords[i], &w, sizeof(w))) {
			d->t.keyword = (uint16_t)i;
			return;
		}
	}
	if (pool->nkeywords == POOL_KEYWORDS) {
		diag_add(b->d, at, "match: more than %u keywords in the file", POOL_KEYWORDS);
		return;
	}
	d->t.keyword = (uint16_t)pool->nkeywords;
	pool->keywords[pool->nkeywords++] = w;
}

static void put_together(struct binder *b, struct trigger_draft *d, const struct mark *seen, struct mark at)
{
	struct trigger *t = &d->t;
	bool pattern = t->on == TRIGGER_PROCESS || t->on == TRIGGER_COMMAND || t->on == TRIGGER_LOGIN;
	if (seen[SEEN_ALERT].line && t->on != TRIGGER_ALERT)
		diag_add(b->d, seen[SEEN_ALERT], "trigger %s: alert is for on: alert only", t->name);
	else if (t->on == TRIGGER_ALERT && !seen[SEEN_ALERT].line)
		t->alert = RULE_ALERT_ANY;
	if (seen[SEEN_MATCH].line && !pattern && t->on != TRIGGER_KEYWORD)
		diag_add(b->d, seen[SEEN_MATCH], "trigger %s: match is for on: keyword, process, command or login only",
			 t->name);
	else if (!seen[SEEN_MATCH].line && t->on == TRIGGER_KEYWORD)
		diag_add(b->d, at, "trigger %s: on: keyword needs the key match", t->name);
	else if (t->on == TRIGGER_KEYWORD)
		keyword(b, d, seen[SEEN_MATCH]);
	else if (!text_copy(t->match, sizeof(t->match), d->match))
		diag_add(b->d, seen[SEEN_MATCH], "match: longer than %zu bytes", sizeof(t->match) - 1);
	if (seen[SEEN_FOR].line && !(t->actions & (TRIGGER_DO_FREEZE | TRIGGER_DO_POLICY | TRIGGER_DO_PAUSE)))
		diag_add(b->d, seen[SEEN_FOR],
			 "trigger %s: for is how long freeze, policy and pause last: it does none of them", t->name);
}

static void one_trigger(struct binder *b, const struct key *k, const struct node *n)
{
	struct model *m = b->m;
	struct trigger_draft d = { 0 };
	struct mark seen[SEEN_COUNT] = { 0 };
	unsigned had = b->d->n + b->d->more, i = m->ntriggers;
	d.t.line = n->at.line;
	snprintf(d.t.name, sizeof(d.t.name), "line-%u", n->at.line);
	for (unsigned o = 0; o < i; o++)
		if (!strcmp(m->triggers[o].name, d.t.name))
			snprintf(d.t.name, sizeof(d.t.name), "line-%u-%u", n->at.line, n->at.col);
	b->seen = seen;
	bind_map(b, n, k->sub, &d, "trigger", n->at);
	b->seen = NULL;
	if (b->d->n + b->d->more == had)
		put_together(b, &d, seen, n->at);
	for (unsigned o = 0; o < i; o++)
		if (!strcmp(m->triggers[o].name, d.t.name))
			diag_add(b->d, seen[SEEN_NAME].line ? seen[SEEN_NAME] : n->at,
				 "there is already a trigger %s in line %u", d.t.name, m->triggers[o].line);
	b->at[PLACE_TRIGGER][i] = n->at;
	b->bad[PLACE_TRIGGER][i] = b->d->n + b->d->more != had;
	m->triggers[m->ntriggers++] = d.t;
}

bool bind_triggers(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	(void)base;
	if (v->kind != NODE_SEQ)
		return bind_wrong(b, k, v, "a list of triggers");
	for (const struct node *i = v->child; i; i = i->next) {
		if (b->m->ntriggers == MODEL_TRIGGERS) {
			diag_add(b->d, i->at, "%s: more than %d", k->name, MODEL_TRIGGERS);
			return false;
		}
		one_trigger(b, k, i);
	}
	return true;
}

/* ---- notices: all of them become arguments or headers of other programs ---- */

static bool printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

bool bind_mail(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	/* RFC 5321's mailbox without quoting, or a local user. */
	if (!bind_is_text(v) || !rules_mail(v->text) || !text_copy((char *)base + k->offset, k->max, v->text))
		return bind_wrong(b, k, v, "a mail address as admin@example.org");
	return true;
}

bool bind_webhook(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	if (!bind_is_text(v) || !rules_url(v->text) || !text_copy((char *)base + k->offset, k->max, v->text))
		return bind_wrong(b, k, v, "a URL as https://example.org/hook, of at most 255 bytes");
	return true;
}

bool rules_mail(const char *s)
{
	const char *at = strchr(s, '@');
	if (!*s || *s == '-' || !printable(s) || strpbrk(s, "\"'\\<>(),;:|`$&") || s[strlen(s) - 1] == '@')
		return false;
	return !at || (at != s && !strchr(at + 1, '@'));
}

bool rules_url(const char *s)
{
	size_t n = !strncmp(s, "http://", 7) ? 7 : !strncmp(s, "https://", 8) ? 8 : 0;
	return n && s[n] && s[n] != '/' && printable(s) && !strpbrk(s, "\"'\\<>`");
}

bool bind_argv(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	char all[NOTIFY_ARGV_CAP] = { 0 };
	size_t at = 0;
	if (v->kind == NODE_MAP || (v->kind == NODE_SEQ && !v->child))
		return bind_wrong(b, k, v, "a program and its arguments, as [/usr/bin/logger, -t, skep]");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		if (!bind_is_text(i) || (!at && i->text[0] != '/'))
			return bind_wrong(b, k, i, at ? "a word" : "a program with its whole path");
		/* With another NUL behind the last one. */
		if (at + strlen(i->text) + 2 > sizeof(all)) {
			diag_add(b->d, i->at, "%s: longer than %zu bytes", k->name, sizeof(all));
			return false;
		}
		memcpy(all + at, i->text, strlen(i->text) + 1);
		at += strlen(i->text) + 1;
	}
	memcpy((char *)base + k->offset, all, sizeof(all));
	return true;
}
