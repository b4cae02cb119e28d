/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_BIND_H
#define SKEP_MODEL_BIND_H

#include "model/keys.h"
#include "model/rules.h"
#include "model/tree.h"

/* One file on its way into a model. */
struct binder {
	struct diag *d;
	struct model *m;
	unsigned index; /* of the network or honeypot that is being bound */
	/* Where each value stands, and which could not be bound: rules about
	 * those would only repeat the complaint. Index as in enum place. */
	struct mark at[PLACE_COUNT][MODEL_HONEYPOTS];
	bool bad[PLACE_COUNT][MODEL_HONEYPOTS];
};

#define NET_UNSET UINT32_MAX /* honeypot.net while its key has not been bound */

/* Binds mapping n to the struct at base. what: how to call the mapping in
 * "what: missing key ...". All problems go to b->d. */
void bind_map(struct binder *b, const struct node *n, const struct key *keys, void *base, const char *what,
	      struct mark at);

/* Of KEY_NETWORKS and KEY_HONEYPOTS: parse.c prepares the struct of a new
 * entry, with its name, and counts it. NULL: no room. */
void *parse_new_network(struct binder *b, const char *name);
void *parse_new_honeypot(struct binder *b, const char *name);

#endif
