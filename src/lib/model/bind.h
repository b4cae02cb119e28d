/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_BIND_H
#define SKEP_MODEL_BIND_H

#include "model/keys.h"
#include "model/rules.h"
#include "model/tree.h"

/*
 * Lists of rules are bound last, since they name honeypots, and then laid out in
 * the pool. A policy's list is its own rules, then those that it inherits.
 */
enum list_base {
	LIST_INHERIT, /* the honeynet's */
	LIST_NONE,
	LIST_PRESET /* + index of the preset */
};
struct list_job {
	struct policy *policy;
	enum list_owner { OWNER_HONEYNET, OWNER_HONEYPOT, OWNER_NAMED, OWNER_PRESET } owner;
	unsigned index;           /* of the honeypot, ... */
	unsigned base;            /* enum list_base */
	const struct node *rules; /* NULL = no rules of its own */
	struct mark at;
	uint32_t first, n; /* its own, in bind_lists.own */
};
#define PRESETS_MAX 8
#define LIST_JOBS (1 + MODEL_HONEYPOTS + MODEL_POLICIES + PRESETS_MAX)
struct bind_lists {
	struct list_job jobs[LIST_JOBS];
	unsigned njobs;
	struct rule own[POOL_RULES]; /* as they are bound */
	struct mark own_at[POOL_RULES];
	bool own_bad[POOL_RULES];
	uint32_t nown;
	struct mark at[POOL_RULES]; /* of the pool's */
	bool bad[POOL_RULES];
	bool full; /* complained that there are too many */
	/* Presets that the file uses, bound once. */
	struct tree trees[PRESETS_MAX];
	struct policy presets[PRESETS_MAX];
	bool used[PRESETS_MAX];
};

/* One file on its way into a model. */
struct binder {
	struct diag *d;
	struct model *m;
	unsigned index; /* of the network or honeypot that is being bound */
	/* Where each value stands, and which could not be bound: rules about
	 * those would only repeat the complaint. Index as in enum place. */
	struct mark at[PLACE_COUNT][MODEL_HONEYPOTS];
	bool bad[PLACE_COUNT][MODEL_HONEYPOTS];
	struct mark *seen;       /* by key.id: where the values of the next mapping stand; NULL = nobody asks */
	struct list_job *job;    /* of the policy that is being bound */
	bool preset;             /* a preset is being bound, not the file */
	struct bind_lists lists; /* of rules */
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
void *parse_new_policy(struct binder *b, const char *name);

/* A mapping from names to mappings with k->sub: add() makes the struct of each. */
bool bind_named(struct binder *b, const struct key *k, const struct node *v, unsigned max,
		void *(*add)(struct binder *, const char *), enum place place, const char *what);

/* Writes down whose lists those of policy p are; b->job while it is bound. */
struct list_job *bind_job(struct binder *b, struct policy *p, struct mark at);
/* Binds all lists of rules and lays them out in the pool; after all else. */
void bind_lists(struct binder *b);
/* What holds where a policy is silent. */
extern const struct policy policy_default;

#endif
