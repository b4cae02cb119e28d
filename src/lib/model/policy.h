/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_POLICY_H
#define SKEP_MODEL_POLICY_H

#include "model/addr.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Data control, as data: plain old data without pointers, which travels in a
 * sealed memfd from cli to super and to the gateway, and is checked by each.
 *
 * A honeypot has one `struct policy`. What has no fixed size - rules, prefixes,
 * port ranges, replacements, keywords - stands in one `struct policy_pool` for
 * the whole honeynet, and policies and rules refer to spans of it. All zero is
 * the safe default: nothing goes out but replies.
 *
 * What decides about a conversation, in this order; the first that says
 * something wins:
 *   1. fence: never reached, whatever else is written
 *   2. black: neither reached nor let in
 *   3. roach motel: nothing begins outwards or sideways
 *   4. rules, in the order of the file
 *   5. allow: destinations that the limits of conversations do not count
 *   6. limits of the protocol's class
 * The limits that narrow (per destination, per source, fan-out, concurrent) hold
 * for what rules and classes let out, not for the allow list. Byte and packet
 * budgets, bandwidth, DNS limits and freezing hold besides, for each frame.
 *
 * Fence: what a honeypot sends, answers too; the resolution of addresses alone is
 * outside. Black: both ways. A decision holds for the whole conversation, so what
 * a rule drops is dropped in both directions. If it is decided anew (reload, an
 * alert) and another window would count it, it is charged to that one too.
 */
enum limit_class { LIMIT_CLASS_TCP, LIMIT_CLASS_UDP, LIMIT_CLASS_ICMP, LIMIT_CLASS_OTHER, LIMIT_CLASS_COUNT };

#define LIMIT_COUNT_MAX 10000u
#define LIMIT_UNLIMITED 0xffffffffu

/* At most `count` new conversations in every window of `seconds`, sliding: no
 * window of that length, wherever it begins, holds more. count 0 = none at
 * all; LIMIT_UNLIMITED = any number. */
struct limit {
	uint32_t count;
	uint32_t seconds;
};

/* 0 = no budget (unlimited). Bytes are Ethernet frame bytes. */
struct budget {
	uint64_t bytes;
	uint64_t packets;
	uint32_t seconds; /* 0: for the life of the flow */
	uint32_t pad;
};

/* Entries first .. first+n-1 of an array of the pool. n 0 = none. */
struct span {
	uint16_t first, n;
};

struct port_range {
	uint16_t from, to; /* both belong to it */
};

/* Bytes that are replaced wherever they stand in a payload; both are n long. */
#define REWRITE_MAX 64
struct rewrite {
	uint8_t n;
	uint8_t from[REWRITE_MAX], to[REWRITE_MAX];
};

/* Bytes that triggers look for in payloads. */
#define KEYWORD_MAX 63
struct keyword {
	uint8_t n;
	uint8_t bytes[KEYWORD_MAX];
};

/* When, in UTC. What goes over midnight belongs to the day on which it begins:
 * mon 22:00-06:00 ends on Tuesday. */
struct when {
	uint8_t days; /* bit 0 = Monday; 0 = always */
	uint8_t pad;
	uint16_t from, to; /* minutes of the day, to excluded; from > to: over midnight; equal: the whole day */
};

enum rule_action {
	ACTION_ALLOW,
	ACTION_LIMIT,    /* at most rule.limit conversations, counted as rule.per says; then drop */
	ACTION_FIRST,    /* each flow's first bytes or packets (rule.first; both sides together), then drop */
	ACTION_REWRITE,  /* allow, with payload bytes replaced */
	ACTION_REFLECT,  /* to honeypot rule.target, which plays the destination */
	ACTION_SINKHOLE, /* to a built-in service, which plays the destination */
	ACTION_RESET,    /* drop, and answer the sender as a closed port would */
	ACTION_DROP,
	ACTION_COUNT
};
enum sink_kind { SINK_AUTO /* by port */, SINK_SMTP, SINK_HTTP, SINK_TCP, SINK_COUNT };
enum limit_per {
	PER_HONEYPOT,
	PER_DESTINATION /* and honeypot */,
	PER_SOURCE /* and honeypot */,
	PER_HONEYNET,
	PER_COUNT
};
enum rule_state { RULE_STATE_ANY, RULE_STATE_NEW, RULE_STATE_ESTABLISHED, RULE_STATE_COUNT };

#define RULE_OUT 1u     /* honeypot -> uplink */
#define RULE_LATERAL 2u /* honeypot -> honeypot */
#define RULE_IN 4u      /* uplink -> honeypot */
#define RULE_ALL_DIRECTIONS 7u

#define RULE_ALERT_ANY 0xffffffffu
#define RULE_NAME_CAP 32
#define RULE_NONE 0xffffu

/* A conversation matches if everything does that is set; zero = any. Addresses
 * and ports are those of the side that begins it (from, sports) and of the other
 * (to, ports), whoever sends the frame. `honeypots` asks for the one whose policy
 * is being asked. proto 1 (ICMP) stands for ICMP of both families, 58 for ICMPv6
 * alone. A rule may stand in the lists of several policies, in one place or as a
 * copy: limits are counted by name, so that it is one limit. */
struct rule {
	char name[RULE_NAME_CAP];
	uint8_t directions; /* RULE_OUT, ...; never 0 */
	uint8_t family;     /* 4, 6 or 0 */
	uint8_t has_proto, proto;
	uint8_t state;             /* enum rule_state */
	uint8_t action;            /* enum rule_action */
	uint8_t sink;              /* enum sink_kind */
	uint8_t per;               /* enum limit_per */
	uint16_t networks;         /* bit = index of the network; 0 = any */
	uint16_t target;           /* ACTION_REFLECT: index of the honeypot */
	uint8_t honeypots[32];     /* bit = index of the honeypot; all zero = any */
	struct span from, to;      /* prefixes */
	struct span sports, ports; /* port ranges */
	struct span rewrites;
	struct when when;
	uint16_t pad;
	uint32_t alert;      /* signature id that the inline engine raised on the flow; RULE_ALERT_ANY; 0 = not asked */
	struct limit limit;  /* ACTION_LIMIT */
	struct budget first; /* ACTION_FIRST: for the life of the flow */
	uint32_t line;       /* of the file, for messages; 0 = a preset's */
	uint32_t pad2;
};

#define POOL_RULES 1024u
#define POOL_PREFIXES 4096u
#define POOL_RANGES 2048u
#define POOL_REWRITES 64u
#define POOL_KEYWORDS 64u

struct policy_pool {
	uint32_t nrules, nprefixes, nranges, nrewrites, nkeywords, pad;
	struct rule rules[POOL_RULES];
	struct addr prefixes[POOL_PREFIXES];
	struct port_range ranges[POOL_RANGES];
	struct rewrite rewrites[POOL_REWRITES];
	struct keyword keywords[POOL_KEYWORDS]; /* trigger i looks for its own: struct trigger, keyword */
};

/* DNS queries that honeypots send (UDP port 53). All zero: no limits besides
 * those of any UDP conversation. */
#define DNS_TYPES 16
struct dns_policy {
	uint8_t on;          /* 1: port 53 is judged as DNS, and TCP to it denied */
	uint8_t ntypes;      /* query types that pass; 0 = any */
	uint8_t name_max;    /* bytes of a name; 0 = 253 */
	uint8_t label_max;   /* bytes of a label; 0 = 63 */
	uint16_t entropy;    /* millibits a character at which a long label is refused; 0 = not looked at */
	uint16_t answer_max; /* bytes of an answer; 0 = any */
	uint16_t types[DNS_TYPES];
	struct limit queries;             /* of a honeypot; count 0 = as LIMIT_UNLIMITED where `on` is set */
	struct limit names;               /* different names below one registered domain, of a honeypot; the same */
	struct addr resolver4, resolver6; /* queries go there, whatever server they ask; family 0 = as asked */
};

enum engine_mode { ENGINE_OFF, ENGINE_INLINE /* fails closed */, ENGINE_PASSIVE /* gets copies */, ENGINE_MODE_COUNT };

struct policy {
	uint8_t inbound_deny;    /* 1: the uplink may not begin conversations */
	uint8_t multicast_allow; /* 1: broadcast/multicast other than ARP/ND may leave, under the limits */
	uint8_t roach_motel;     /* 1: nothing begins outwards or sideways, whatever rules say */
	uint8_t engine;          /* enum engine_mode */
	uint8_t jitter;          /* percent, 0..90: by so much may a limit of conversations be lower at random */
	uint8_t pad[3];
	struct limit outbound[LIMIT_CLASS_COUNT]; /* honeypot -> uplink */
	struct limit lateral[LIMIT_CLASS_COUNT];  /* honeypot -> honeypot */
	/* These narrow the former; count 0 = no such limit. */
	struct limit per_destination[LIMIT_CLASS_COUNT]; /* honeypot -> one address */
	struct limit per_source[LIMIT_CLASS_COUNT];      /* one address of the uplink -> honeypot */
	struct limit fan_out; /* different addresses to which a honeypot begins conversations */
	uint32_t concurrent;  /* conversations of its own at a time; 0 = no such limit */
	uint32_t pad2;
	uint64_t bandwidth;     /* bytes a second that leave the honeypot, the rest waits; 0 = no limit */
	struct budget flow;     /* what one flow may send away from the honeypot, replies too */
	struct budget honeypot; /* what the honeypot may send in a sliding window, replies too */
	struct dns_policy dns;
	struct span fence, black, allow; /* prefixes */
	struct span rules;
};

/* ---- what happens when something happens: super acts on these ------------- */

enum trigger_on {
	TRIGGER_ALERT,   /* the inline engine raised trigger.alert (RULE_ALERT_ANY: any) */
	TRIGGER_LIMIT,   /* a limit or budget stopped something */
	TRIGGER_KEYWORD, /* a payload holds the bytes */
	TRIGGER_PROCESS, /* a program was executed whose file's name matches */
	TRIGGER_COMMAND, /* a line that was typed holds the text */
	TRIGGER_LOGIN,   /* somebody logged in, as the user if one is named */
	TRIGGER_ON_COUNT
};
#define TRIGGER_DO_EVENT 1u /* an event is written for every trigger; this is for those that do nothing else */
#define TRIGGER_DO_NOTIFY 2u
#define TRIGGER_DO_FREEZE 4u
#define TRIGGER_DO_POLICY 8u
#define TRIGGER_DO_PAUSE 16u
#define TRIGGER_DO_ALL 31u

struct trigger {
	char name[RULE_NAME_CAP];
	uint32_t on;           /* enum trigger_on */
	uint32_t actions;      /* TRIGGER_DO_* */
	uint32_t alert;        /* TRIGGER_ALERT */
	uint16_t keyword;      /* TRIGGER_KEYWORD: index into the pool */
	uint16_t policy;       /* TRIGGER_DO_POLICY: index into the model's named policies */
	char match[64];        /* TRIGGER_PROCESS, COMMAND, LOGIN: shell pattern (fnmatch); empty = any */
	uint8_t honeypots[32]; /* as struct rule */
	struct limit throttle; /* how often it acts for one honeypot; count 0 = each time */
	uint32_t seconds;      /* freeze, policy and pause end by themselves after so long; 0 = an operator ends them */
	uint32_t line;
};

/* How an operator is told, besides the event. */
#define NOTIFY_ARGV_CAP 512
struct notify_conf {
	char mail[128];             /* address for sendmail(8); empty = none */
	char webhook[256];          /* http(s) URL that gets a POST of the event; empty = none */
	char exec[NOTIFY_ARGV_CAP]; /* argv, each ended by NUL, then another NUL; gets the event on stdin; empty = none
				     */
	struct limit throttle;      /* of all notices; what is left out is counted in the next */
};

#endif
