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
bool bind_policy(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_preset(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_inbound(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_narrow(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_narrows(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_limited(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_percent(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_bandwidth(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_prefixes(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_dns(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_resolver(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_entropy(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_qtypes(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_rules(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_direction(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_protocol(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_ports(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_matched(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_netrefs(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_hprefs(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_when(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_alert(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_first(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_replace(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_escaped(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_target(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_policies(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_triggers(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_match(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_do(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_mail(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_webhook(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_argv(struct binder *b, const struct key *k, const struct node *v, void *base);

bool bind_engine(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_paths(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_variables(struct binder *b, const struct key *k, const struct node *v, void *base);
bool bind_interfaces(struct binder *b, const struct key *k, const struct node *v, void *base);

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
/* A single value, or each item of a list, in turn: returns the one behind `last`. */
const struct node *bind_item(const struct node *v, const struct node *last);
void bind_put_int(void *base, const struct key *k, uint64_t v);
/* "N/PERIOD": N's text goes to buf. */
bool bind_split_rate(const char *s, char *buf, size_t cap, uint32_t *seconds);
/* Index of the honeypot of that name; -1, with a complaint at v, if there is none. */
int bind_honeypot_index(struct binder *b, const struct key *k, const struct node *v);
/* "\xHH", "\n", "\r", "\t", "\\" and plain characters -> bytes. false: not
 * of that form, or more than cap. */
bool bind_unescape(const char *s, uint8_t *out, size_t cap, size_t *n);
/* v with the largest unit that divides it. */
const char *bind_bytes_text(uint64_t v, char buf[32]);

#endif
