/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_BIND_TYPE_H
#define SKEP_MODEL_BIND_TYPE_H

#include "model/bind.h"

/*
 * One function for each type of key (keys.h): binds value v of key k to its
 * place in the struct at base. false: complained, and the default stands.
 */
typedef bool (*bind_fn)(struct binder *b, const struct key *k, const struct node *v, void *base);

bool bind_name(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_hostname(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_word(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_uint(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_bytes(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_seconds(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_prefix(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_routers(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_addrs(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_netref(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_mac(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_lab(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_later(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_rate(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_rates(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_amount(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_budget(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_submap(struct binder *b, const struct key *k, const struct node *v, void *base);

/* ---- what they have in common ---- */

/* Complains that v is not what is wanted; returns false. */
bool bind_wrong(struct binder *b, const struct key *k, const struct node *v, const char *want);
bool bind_is_text(const struct node *v); /* a scalar that is not empty */
bool bind_is_word(const struct node *v, const char *word);
/* Digits only: no sign, no blanks. */
bool bind_digits(const char *s, uint64_t *out);
/* Keeps in *best the word that is nearest to what was typed, if near enough.
 * *least begins with BIND_FAR. */
#define BIND_FAR 4
void bind_nearest(const char *typed, const char *word, const char **best, unsigned *least);
/* v with the largest unit that divides it. */
const char *bind_bytes_text(uint64_t v, char buf[32]);

#endif
