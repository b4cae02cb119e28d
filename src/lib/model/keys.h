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
	/* Of a policy */
	KEY_POLICY,    /* mapping with the keys of `sub`; struct policy */
	KEY_PRESET,    /* a preset's name; struct policy */
	KEY_INBOUND,   /* "allow", "deny" or a mapping with the keys of `sub`; struct policy */
	KEY_NARROW,    /* "10/hour" or "unlimited", never none; struct limit */
	KEY_NARROWS,   /* "unlimited" or a mapping with the keys of `sub`; struct limit[LIMIT_CLASS_COUNT] */
	KEY_LIMITED,   /* a number, or "unlimited", which is 0 */
	KEY_PERCENT,   /* "20%"; uint8_t */
	KEY_BANDWIDTH, /* "512k/second" or "unlimited"; uint64_t */
	KEY_PREFIXES,  /* prefixes, added to the inherited ones, or "none"; struct span */
	KEY_DNS,       /* "off" or a mapping with the keys of `sub`; struct dns_policy */
	KEY_RESOLVER,  /* addresses, at most one of each family; struct dns_policy */
	KEY_ENTROPY,   /* "3.8"; uint16_t, thousandths */
	KEY_QTYPES,    /* DNS query types; struct dns_policy */
	KEY_RULES,     /* list of mappings with the keys of `sub`; struct policy */
	/* Of a rule */
	KEY_DIRECTION, /* out, in, lateral; struct rule */
	KEY_PROTOCOL,  /* a name or number; struct rule */
	KEY_PORTS,     /* "80", "1000-2000"; struct span */
	KEY_MATCHED,   /* prefixes and addresses; struct span */
	KEY_NETREFS,   /* networks' names; struct rule */
	KEY_HPREFS,    /* honeypots' names; a bit set at offset */
	KEY_WHEN,      /* "mon-fri 08:00-18:00"; struct when */
	KEY_ALERT,     /* "any" or a signature's id; uint32_t */
	KEY_FIRST,     /* mapping with the keys of `sub`; struct budget */
	KEY_REPLACE,   /* list of mappings with the keys of `sub`; struct span */
	KEY_ESCAPED,   /* text with \xHH; struct escaped */
	KEY_TARGET,    /* a honeypot's name; struct rule */
	/* Of triggers and notices */
	KEY_POLICIES, /* mapping of names to policies; struct model */
	KEY_TRIGGERS, /* list of mappings with the keys of `sub`; struct model */
	KEY_MATCH,    /* text; struct trigger_draft */
	KEY_DO,       /* event, notify, freeze, policy NAME, pause; struct trigger */
	KEY_MAIL,     /* an address */
	KEY_WEBHOOK,  /* a URL */
	KEY_ARGV,     /* list of words; NOTIFY_ARGV_CAP */
	/* Of the inline engine */
	KEY_ENGINE,     /* mapping with the keys of `sub`; struct model */
	KEY_PATHS,      /* files; struct engine_conf */
	KEY_VARIABLES,  /* mapping of names to texts; struct engine_conf */
	KEY_INTERFACES, /* two names; struct engine_conf */
	KEY_TYPES
};

struct key {
	const char *name; /* NULL ends a table */
	uint8_t type;     /* enum key_type */
	uint8_t place;    /* enum place; 0 = nobody asks where it stands */
	bool required;
	bool unlimited; /* the word "unlimited" stands for 0 */
	uint8_t id;     /* place in binder.seen, for rules between the keys of one mapping; 0 = none */
	uint8_t size;   /* of the integer; KEY_AMOUNT, KEY_COUNT: 1 = over a period */
	uint64_t min, max;
	size_t offset; /* from the start of the mapping's struct */
	const struct key *sub;
	const char *const *words; /* ends with NULL */
};

extern const struct key model_keys[];       /* of the file's root */
extern const struct key policy_file_keys[]; /* of the root of a file that holds a policy only */
#define KEYS_MAX 32                         /* rows in a table */

/* keys_policy.c */
extern const struct key policy_keys[], rule_keys[], trigger_keys[], notify_keys[];

/* key.id of the keys of a rule and of a trigger. */
enum seen {
	SEEN_NONE,
	SEEN_LIMIT,
	SEEN_PER,
	SEEN_FIRST,
	SEEN_REPLACE,
	SEEN_TARGET,
	SEEN_SINK,
	SEEN_HONEYPOT,
	SEEN_MATCH,
	SEEN_ALERT,
	SEEN_FOR,
	SEEN_NAME,
	SEEN_COUNT
};

#endif
