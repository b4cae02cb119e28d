/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_POLICY_IMPORT_H
#define SKEP_CLI_POLICY_IMPORT_H

#include "base/err.h"
#include "model/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * honeywall.conf of the Honeynet Project's Honeywall (Roo 1.x) as a policy of
 * skep. The variables and their meaning: honeywall.conf and rc.firewall of the
 * package roo-base, revision 4552 (2006-10-17).
 *
 * Nothing is lost in silence: of every variable it is said what became of it.
 */
#define HW_VARS 256
struct hw_var {
	char name[64];
	char value[512];
	unsigned line;
	char refused[64]; /* why its value is not taken; empty = it is */
	bool told;        /* it is said already what became of it */
};

struct hw_conf {
	struct hw_var vars[HW_VARS];
	unsigned n;
};

/* What became of a variable. */
struct hw_note {
	char name[64];
	char text[320];
	bool mapped;
};
#define HW_NOTES 1024
#define HW_LIST 2048
struct hw_list {
	struct addr at[HW_LIST];
	unsigned n;
};

struct hw_policy {
	unsigned long rate[4]; /* of the classes, in enum limit_class; 0 = none */
	char period[8];        /* second, minute, hour, day */
	bool roach_motel, inline_engine, mail, sebek, dns, has_rates;
	char address[128]; /* of mail */
	struct hw_list fence, black, white, dns_servers, dns_hosts, sebek_to;
	unsigned sebek_port;
	struct hw_note notes[HW_NOTES];
	unsigned nnotes;
};

/* VARIABLE=VALUE lines with comments, as the Honeywall's own reader took them: the
 * value goes to the end of the line. Nothing is executed or expanded; a value that would
 * have to be is refused. 0 or -EINVAL: not such a file, and e names the line. */
int hw_parse(const char *text, size_t n, struct hw_conf *out, struct err *e);

/* dir: where honeywall.conf stands; files that are not at their path are looked
 * for there. -errno if something that held honeypots back cannot be read or be
 * said in a policy: the result would let out more than the Honeywall did. */
int hw_map(struct hw_conf *c, const char *dir, struct hw_policy *out, struct err *e);

/* The policy, with what could not be mapped as comments. */
void hw_write(FILE *out, const struct hw_policy *p, const char *source);

#endif
