/* SPDX-License-Identifier: ISC */
/* The inline engine: Suricata with the operator's rules, or an appliance between
 * two interfaces. */
#include "model/bind_type.h"
#include "model/suricata.h"

#include "base/text.h"

#include <string.h>

bool bind_engine(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct engine_conf *c = &b->m->engine;
	unsigned had = b->d->n + b->d->more;
	(void)base;
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "a mapping with rules, or with interfaces");
	bind_map(b, v, k->sub, c, k->name, v->at);
	if (*c->interfaces[0] && (c->nrules || c->nvars))
		diag_add(b->d, v->at, "%s: rules and variables are Suricata's: leave them out with interfaces",
			 k->name);
	c->kind = *c->interfaces[0] ? ENGINE_KIND_INTERFACES : ENGINE_KIND_SURICATA;
	return b->d->n + b->d->more == had;
}

bool bind_paths(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct engine_conf *c = base;
	if (v->kind == NODE_MAP || (v->kind == NODE_SEQ && !v->child))
		return bind_wrong(b, k, v, "the path of a file, or a list of them");
	for (const struct node *i = bind_item(v, NULL); i; i = bind_item(v, i)) {
		if (c->nrules == ENGINE_RULES) {
			diag_add(b->d, i->at, "%s: more than %d files", k->name, ENGINE_RULES);
			return false;
		}
		if (!bind_is_text(i) || !text_copy(c->rules[c->nrules], ENGINE_PATH, i->text))
			return bind_wrong(b, k, i, "the path of a file, of at most 191 bytes");
		c->nrules++;
	}
	return true;
}

bool bind_variables(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct engine_conf *c = base;
	if (v->kind != NODE_MAP)
		return bind_wrong(b, k, v, "a mapping as {HTTP_PORTS: '[80,8080]'}");
	for (const struct node *i = v->child; i && i->next; i = i->next->next) {
		struct engine_var var = { 0 };
		struct err e = { 0 };
		if (c->nvars == ENGINE_VARS) {
			diag_add(b->d, i->at, "%s: more than %d", k->name, ENGINE_VARS);
			return false;
		}
		if (!bind_is_text(i) || !text_copy(var.name, sizeof(var.name), i->text))
			return bind_wrong(b, k, i, "the name of a variable, of at most 31 bytes");
		if (!bind_is_text(i->next) || !text_copy(var.value, sizeof(var.value), i->next->text))
			return bind_wrong(b, k, i->next, "text of at most 127 bytes");
		if (suricata_var_check(&var, &e) < 0) {
			diag_add(b->d, i->at, "%s: %s", k->name, e.text);
			return false;
		}
		for (uint32_t o = 0; o < c->nvars; o++) {
			if (!strcmp(c->vars[o].name, var.name)) {
				diag_add(b->d, i->at, "%s: %s is written twice", k->name, var.name);
				return false;
			}
		}
		c->vars[c->nvars++] = var;
	}
	return true;
}

/* Linux, dev_valid_name(): no blanks, slashes and colons; "." and ".." are none. */
bool rules_interface(const char *s)
{
	size_t n = strlen(s);
	if (!n || n >= ENGINE_IF_CAP || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '/' || *s == ':')
			return false;
	return true;
}

bool bind_interfaces(struct binder *b, const struct key *k, const struct node *v, void *base)
{
	struct engine_conf *c = base;
	static const char want[] = "two interfaces as [in0, out0]: towards the honeypots, and towards the uplink";
	char names[2][ENGINE_IF_CAP] = { 0 };
	unsigned n = 0;
	if (v->kind != NODE_SEQ)
		return bind_wrong(b, k, v, want);
	for (const struct node *i = v->child; i; i = i->next, n++)
		if (n == 2 || !bind_is_text(i) || !rules_interface(i->text) ||
		    !text_copy(names[n], sizeof(names[n]), i->text))
			return bind_wrong(b, k, i, n == 2 ? want : "the name of an interface");
	if (n != 2 || !strcmp(names[0], names[1]))
		return bind_wrong(b, k, v, want);
	memcpy(c->interfaces, names, sizeof(names));
	return true;
}
