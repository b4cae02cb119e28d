/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_TREE_H
#define SKEP_MODEL_TREE_H

#include "model/model.h"

/*
 * A YAML text as a bounded tree of nodes with their places. Only what a
 * configuration needs: one document of mappings, sequences and scalars in
 * UTF-8. Anchors, aliases, tags, merge keys and further documents are errors
 * here, so that nothing in a file means more than it shows.
 */
#define TREE_TEXT_MAX (1u << 20) /* bytes of a file */
#define TREE_DEPTH 16
#define TREE_NODES 65536
#define TREE_SCALAR_MAX 1024 /* bytes of one scalar */

enum node_kind { NODE_SCALAR, NODE_SEQ, NODE_MAP, NODE_BAD /* already complained about */ };

struct node {
	enum node_kind kind;
	bool plain; /* scalar without quotes */
	struct mark at;
	const char *text;   /* scalar; no NUL inside */
	struct node *child; /* of a mapping: key, value, key, value, ... */
	struct node *next;
};

struct tree {
	struct node *root; /* NULL if the text could not be parsed, or is empty */
	unsigned nodes;
	struct chunk *chunks;
};

/* Everything wrong goes to d. -EINVAL if there is no usable tree; 0 otherwise,
 * perhaps with complaints in d. tree_free in both cases. */
int tree_parse(struct tree *t, const char *text, size_t n, struct diag *d);
void tree_free(struct tree *t);

const char *node_kind_name(const struct node *n); /* "a mapping", ... */

#endif
