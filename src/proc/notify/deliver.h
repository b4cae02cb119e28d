/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_NOTIFY_DELIVER_H
#define SKEP_PROC_NOTIFY_DELIVER_H

#include "base/err.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * One delivery is one child process, which has a deadline: a program of the
 * operator's (argv, no shell; the notice as a line of JSON on its standard input;
 * nothing else open, and an environment of PATH, HOME and LANG), sendmail, or a
 * POST by libcurl. Whatever it does, or is made to do, it ends then.
 */
struct delivery {
	pid_t pid; /* 0 = none; leads a process group of its own */
	enum notify_way way;
	uint64_t deadline; /* monotonic ns */
	bool killed;
	int words_fd; /* what went wrong, from the child; -1 */
	char honeypot[NAME_CAP], trigger[RULE_NAME_CAP];
};

/* Seconds. */
#define DELIVER_EXEC 30u
#define DELIVER_MAIL 60u
#define DELIVER_WEBHOOK 20u

/* Starts one. sendmail: its path. -errno with e: it could not be started. */
int deliver_start(struct delivery *d, enum notify_way way, const struct notify_conf *conf, const char *sendmail,
		  const struct notify_notice *x, uint64_t now, struct err *e);
/* Past its deadline: kills the group. */
void deliver_check(struct delivery *d, uint64_t now);
/* It ended with this wait status: 0, or -EIO and e says why. Frees its place. */
int deliver_end(struct delivery *d, int wait_status, struct err *e);

/* A notify_conf that came from another process: all texts end, exec is a list. */
bool deliver_conf_ok(const struct notify_conf *c);
bool deliver_has(const struct notify_conf *c, enum notify_way way);

/* webhook.c; called in the child. Posts n bytes of JSON; 0, or 1 with the reason in why[160]. */
int webhook_post(const char *url, const char *json, size_t n, char why[160]);

#endif
