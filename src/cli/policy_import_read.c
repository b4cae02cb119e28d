/* SPDX-License-Identifier: ISC */
/* Reads honeywall.conf and the lists that it names. */
#include "cli/policy_import.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void trim(const char **s, size_t *n)
{
	while (*n && is_space(**s))
		++*s, --*n;
	while (*n && is_space((*s)[*n - 1]))
		--*n;
}

/* A comment behind the value, unless the value is in quotes. */
static size_t without_comment(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '#' && (!i || is_space(s[i - 1])))
			return i;
	return n;
}

static void refuse(struct hw_var *v, const char *why)
{
	text_copy(v->refused, sizeof(v->refused), why);
}

static void value(struct hw_var *v, const char *s, size_t n)
{
	trim(&s, &n);
	if (n && (*s == '"' || *s == '\'')) {
		const char *end = memchr(s + 1, *s, n - 1);
		const char *rest = end ? end + 1 : s + n;
		size_t left = (size_t)(s + n - rest);
		trim(&rest, &left);
		if (!end || (left && *rest != '#')) {
			refuse(v, end ? "there is text behind the quotes" : "a quote has no other end");
			return;
		}
		n = (size_t)(end - s) - 1;
		s++;
	} else {
		n = without_comment(s, n);
		trim(&s, &n);
	}
	/* What a shell would make something else of: no shell is here to do so. */
	for (size_t i = 0; i < n; i++) {
		if (strchr("$`\\;|&<>(){}*?", s[i]) || (unsigned char)s[i] < ' ' || s[i] == 0x7f) {
			refuse(v, "a shell would expand its value: write it out");
			return;
		}
	}
	if (n >= sizeof(v->value)) {
		refuse(v, "its value is longer than 511 bytes");
		return;
	}
	memcpy(v->value, s, n);
	v->value[n] = '\0';
}

static int assignment(struct hw_conf *c, const char *s, size_t n, unsigned line, struct err *e)
{
	struct hw_var v = { .line = line };
	size_t len = 0;
	trim(&s, &n);
	if (n > 7 && !memcmp(s, "export ", 7)) {
		s += 7;
		n -= 7;
		trim(&s, &n);
	}
	if (!n || *s == '#')
		return 0;
	while (len < n && is_name_char(s[len]))
		len++;
	if (!len || len == n || s[len] != '=' || len >= sizeof(v.name))
		return err_set(e, -EINVAL, "line %u: not VARIABLE=VALUE", line);
	memcpy(v.name, s, len);
	value(&v, s + len + 1, n - len - 1);
	/* As for the Honeywall, the last one counts. */
	for (unsigned i = 0; i < c->n; i++) {
		if (!strcmp(c->vars[i].name, v.name)) {
			c->vars[i] = v;
			return 0;
		}
	}
	if (c->n == HW_VARS)
		return err_set(e, -EINVAL, "line %u: more than %d variables", line, HW_VARS);
	c->vars[c->n++] = v;
	return 0;
}

int hw_parse(const char *text, size_t n, struct hw_conf *out, struct err *e)
{
	unsigned line = 1;
	out->n = 0;
	for (size_t at = 0; at < n; line++) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end - text) - at : n - at;
		if (memchr(text + at, 0, len))
			return err_set(e, -EINVAL, "line %u: not a text file", line);
		int r = assignment(out, text + at, len, line, e);
		if (r < 0)
			return r;
		at += len + 1;
	}
	return 0;
}
