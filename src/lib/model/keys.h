/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_KEYS_H
#define SKEP_MODEL_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Every key of a honeynet file, once, as rows of tables: the binder (bind.c)
 * knows the types and nothing of the keys. share/skep.schema.json and
 * skep.yaml(5) are held against these tables by tests.
 */
enum key_type {
	KEY_MAP,       /* mapping with the keys of `sub` */
	KEY_NETWORKS,  /* mapping of names to mappings with the keys of `sub` */
	KEY_HONEYPOTS, /* the same */
	KEY_NAME,      /* text_is_name; char[NAME_CAP] */
	KEY_HOSTNAME,  /* RFC 1123; char[HOSTNAME_CAP] */
	KEY_WORD,      /* one of `words`; the index goes into an integer of `size` */
	KEY_UINT,      /* min..max */
	KEY_BYTES,     /* "64M"; min..max */
	KEY_SECONDS,   /* "60s"; min..max */
	KEY_PREFIX,    /* struct addr of family `min` */
	KEY_ROUTERS,   /* addresses, at most one of each family; struct network */
	KEY_ADDRS,     /* addresses; struct honeypot */
	KEY_NETREF,    /* a network's name; its index */
	KEY_MAC,       /* "auto" or a MAC */
	KEY_UPLINK,    /* "none" or a mapping with the keys of `sub`; struct model */
	KEY_LAB,       /* prefixes; struct model */
	KEY_RATE,      /* "10/hour"; struct limit */
	KEY_RATES,     /* "none" or a mapping with the keys of `sub`; struct limit[LIMIT_CLASS_COUNT] */
	KEY_BUDGET,    /* mapping with the keys of `sub`; struct budget */
	KEY_AMOUNT,    /* "64M", with `size` "64M/hour"; only below KEY_BUDGET */
	KEY_COUNT,     /* the same without units */
	KEY_LATER,     /* known, but not in this version */
};

struct key {
	const char *name; /* NULL ends a table */
	uint8_t type;     /* enum key_type */
	uint8_t place;    /* enum place; 0 = nobody asks where it stands */
	bool required;
	bool unlimited; /* the word "unlimited" stands for 0 */
	uint8_t size;   /* of the integer; KEY_AMOUNT, KEY_COUNT: 1 = over a period */
	uint64_t min, max;
	size_t offset; /* from the start of the mapping's struct */
	const struct key *sub;
	const char *const *words; /* ends with NULL */
};

extern const struct key model_keys[]; /* of the file's root */
#define KEYS_MAX 16                   /* rows in a table */

#endif
