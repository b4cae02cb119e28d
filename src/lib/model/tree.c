/* SPDX-License-Identifier: ISC */
#include "model/tree.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define BOM "\xef\xbb\xbf" /* what some editors put first */

/* Nodes and their text live in chunks that are freed together. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct builder {
	struct tree *t;
	struct diag *d;
	yaml_parser_t *parser;
	bool full;   /* a bound was hit: stop */
	bool broken; /* syntax error: stop */
};

static void *take(struct tree *t, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	struct chunk *c = t->chunks;
	if (!c || c->size - c->used < n) {
		size_t size = n > 16384 ? n : 16384;
		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		*c = (struct chunk){ .next = t->chunks, .size = size };
		t->chunks = c;
	}
	void *p = c->data + c->used;
	c->used += n;
	return p;
}

void tree_free(struct tree *t)
{
	while (t->chunks) {
		struct chunk *c = t->chunks;
		t->chunks = c->next;
		free(c);
	}
	t->root = NULL;
}

const char *node_kind_name(const struct node *n)
{
	switch (n->kind) {
	case NODE_SCALAR:
		return *n->text ? "a plain value" : "an empty value";
	case NODE_SEQ:
		return n->child ? "a list" : "an empty list";
	case NODE_MAP:
		return "a mapping";
	default:
		return "something else";
	}
}

static struct mark mark_of(yaml_mark_t m)
{
	return (struct mark){ (uint32_t)m.line + 1, (uint32_t)m.column + 1 };
}

/* libyaml would take UTF-16 and would stop at a control character with an
 * offset instead of a place. */
static bool check_text(const char *text, size_t n, struct diag *d)
{
	const uint8_t *p = (const uint8_t *)text;
	struct mark at = { 1, 1 };
	if (n > TREE_TEXT_MAX) {
		diag_add(d, at, "the file is larger than %u KiB", TREE_TEXT_MAX >> 10);
		return false;
	}
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t len = text_utf8(p + i, n - i, &cp);
		if (!len) {
			diag_add(d, at, "byte 0x%02x: the file is not UTF-8", p[i]);
			return false;
		}
		if ((p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r') || p[i] == 0x7f) {
			diag_add(d, at, "control character 0x%02x", p[i]);
			return false;
		}
		if (p[i] == '\n')
			at = (struct mark){ at.line + 1, 1 };
		else if (i || len != 3 || memcmp(p, BOM, 3) != 0) /* which has no column */
			at.col++;
		i += len;
	}
	return true;
}

static struct node *new_node(struct builder *b, enum node_kind kind, yaml_mark_t at)
{
	struct node *n = b->t->nodes < TREE_NODES ? take(b->t, sizeof(*n)) : NULL;
	if (!n) {
		if (!b->full)
			diag_add(b->d, mark_of(at), "the file has more than %u values", TREE_NODES);
		b->full = true;
		return NULL;
	}
	b->t->nodes++;
	*n = (struct node){ .kind = kind, .at = mark_of(at) };
	return n;
}

/* What libyaml's usual complaints mostly come from. */
static const char *hint(const char *problem)
{
	if (!strcmp(problem, "mapping values are not allowed in this context"))
		return " (is the line before it complete, and the indentation right?)";
	if (!strcmp(problem, "did not find expected key") || !strcmp(problem, "did not find expected '-' indicator"))
		return " (is the indentation right?)";
	if (!strcmp(problem, "could not find expected ':'"))
		return " (is there a colon with a blank behind it?)";
	return "";
}

static bool get_event(struct builder *b, yaml_event_t *ev)
{
	yaml_parser_t *p = b->parser;
	if (yaml_parser_parse(p, ev))
		return true;
	b->broken = true;
	if (p->error == YAML_MEMORY_ERROR) {
		diag_add(b->d, (struct mark){ 1, 1 }, "no memory left to read the file");
		return false;
	}
	struct mark at = mark_of(p->problem_mark);
	if (p->error == YAML_READER_ERROR)
		at = mark_of(p->mark);
	const char *what = p->problem ? p->problem : "unknown problem";
	/* The usual reason for these two, in words. */
	bool tab = p->error == YAML_SCANNER_ERROR && p->buffer.pointer && p->buffer.pointer < p->buffer.last &&
		   *p->buffer.pointer == '\t';
	if (tab)
		diag_add(b->d, at, "tab: YAML is indented with spaces only");
	else if (p->context && p->context_mark.line != p->problem_mark.line)
		diag_add(b->d, at, "YAML: %s, %s that begins in line %zu%s", what, p->context, p->context_mark.line + 1,
			 hint(what));
	else
		diag_add(b->d, at, "YAML: %s%s", what, hint(what));
	return false;
}

static bool refuse_extras(struct builder *b, yaml_mark_t at, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		diag_add(b->d, mark_of(at), "anchors (&%s) are not supported: write the value out", anchor);
	if (tag)
		diag_add(b->d, mark_of(at), "tags (%s) are not supported", tag);
	return anchor || tag;
}

static struct node *scalar(struct builder *b, const yaml_event_t *ev)
{
	size_t n = ev->data.scalar.length;
	struct node *s = new_node(b, NODE_SCALAR, ev->start_mark);
	if (!s)
		return NULL;
	const char *tag = (const char *)ev->data.scalar.tag;
	bool nonspecific = tag && !strcmp(tag, "!");
	if (refuse_extras(b, ev->start_mark, ev->data.scalar.anchor, nonspecific ? NULL : ev->data.scalar.tag))
		s->kind = NODE_BAD;
	if (n > TREE_SCALAR_MAX || memchr(ev->data.scalar.value, 0, n)) {
		diag_add(b->d, s->at,
			 n > TREE_SCALAR_MAX ? "value is longer than 1024 bytes" : "value with a NUL character");
		s->kind = NODE_BAD;
		n = 0;
	}
	char *text = take(b->t, n + 1);
	if (!text) {
		b->full = true;
		return NULL;
	}
	memcpy(text, ev->data.scalar.value, n);
	text[n] = '\0';
	s->text = text;
	s->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return s;
}

static struct node *build(struct builder *b, yaml_event_t *ev, unsigned depth);

/* Children up to the end event. */
static bool collect(struct builder *b, struct node *parent, yaml_event_type_t end, unsigned depth)
{
	struct node **tail = &parent->child;
	for (;;) {
		yaml_event_t ev;
		if (!get_event(b, &ev))
			return false;
		if (ev.type == end) {
			yaml_event_delete(&ev);
			return true;
		}
		struct node *n = build(b, &ev, depth + 1);
		yaml_event_delete(&ev);
		if (!n)
			return false;
		*tail = n;
		tail = &n->next;
	}
}

static struct node *build(struct builder *b, yaml_event_t *ev, unsigned depth)
{
	struct node *n;
	if (depth > TREE_DEPTH) {
		diag_add(b->d, mark_of(ev->start_mark), "nested deeper than %u levels", TREE_DEPTH);
		b->full = true;
		return NULL;
	}
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return scalar(b, ev);
	case YAML_ALIAS_EVENT:
		diag_add(b->d, mark_of(ev->start_mark), "aliases (*%s) are not supported: write the value out",
			 ev->data.alias.anchor);
		return new_node(b, NODE_BAD, ev->start_mark);
	case YAML_SEQUENCE_START_EVENT:
		n = new_node(b, NODE_SEQ, ev->start_mark);
		if (!n)
			return NULL;
		refuse_extras(b, ev->start_mark, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
		return collect(b, n, YAML_SEQUENCE_END_EVENT, depth) ? n : NULL;
	case YAML_MAPPING_START_EVENT:
		n = new_node(b, NODE_MAP, ev->start_mark);
		if (!n)
			return NULL;
		refuse_extras(b, ev->start_mark, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
		return collect(b, n, YAML_MAPPING_END_EVENT, depth) ? n : NULL;
	default:
		b->broken = true;
		return NULL;
	}
}

/* Stream: start, document start, root, document end, stream end. */
static void stream(struct builder *b)
{
	unsigned documents = 0;
	while (!b->full && !b->broken) {
		yaml_event_t ev;
		if (!get_event(b, &ev))
			return;
		yaml_event_type_t type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
			diag_add(b->d, mark_of(ev.start_mark), "a second document: a file describes one honeynet");
			b->full = true;
		} else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
			   type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
			b->t->root = build(b, &ev, 1);
		}
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			return;
	}
}

int tree_parse(struct tree *t, const char *text, size_t n, struct diag *d)
{
	yaml_parser_t parser;
	*t = (struct tree){ 0 };
	if (!check_text(text, n, d))
		return -EINVAL;
	if (!yaml_parser_initialize(&parser)) {
		diag_add(d, (struct mark){ 1, 1 }, "no memory left to read the file");
		return -EINVAL;
	}
	size_t bom = n >= 3 && !memcmp(text, BOM, 3) ? 3 : 0;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text + bom, n - bom);
	struct builder b = { .t = t, .d = d, .parser = &parser };
	stream(&b);
	yaml_parser_delete(&parser);
	/* A file that goes on after an error would give misleading complaints
	 * about what is missing. */
	if (b.full || b.broken)
		t->root = NULL;
	if (!t->root && !d->n)
		diag_add(d, (struct mark){ 1, 1 }, "the file is empty: see skep.yaml(5) for what a honeynet needs");
	return t->root ? 0 : -EINVAL;
}
