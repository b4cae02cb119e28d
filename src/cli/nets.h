/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_NETS_H
#define SKEP_CLI_NETS_H

#include "cli/cmd.h"
#include "cli/ctl.h"

/*
 * Which honeynets there are: a directory below run/ for each that runs (or did,
 * and left its directory), one below state/nets/ for each that ever ran.
 */
enum net_life {
	NET_RUNNING, /* its super takes connections */
	NET_BUSY,    /* the lock is held, but no super answers: it starts or ends */
	NET_STALE,   /* a control socket that nobody holds: left by a crash */
	NET_ENDED,   /* not running; there may be a directory with the log of its last run */
	NET_FOREIGN, /* another user's */
};
struct net_entry {
	char name[NAME_CAP];
	enum net_life life;
};
#define NETS_MAX 256
struct nets {
	unsigned n;
	struct net_entry e[NETS_MAX]; /* by name */
};
int nets_scan(struct nets *out, struct err *e);
enum net_life net_life(const char *name);
/* Whether state or run knows the name. */
bool net_known(const char *name);

/* Opens run/NAME/lock (made if `make`, directory too) and takes it without
 * waiting. The fd, which holds the lock; -EWOULDBLOCK: held; -ENOENT; -errno. */
int net_lock(const char *name, bool make, struct err *e);

/* Removes what a honeynet that no longer runs left of run/NAME; nothing if
 * anything still holds its lock. The log stays if keep_log: it says why. */
void net_sweep(const char *name, bool keep_log);

/*
 * Finds the running honeynet that has the honeypot: "HONEYPOT", searched in
 * all, or "NET/HONEYPOT". Connects c to it and sets honeypot[]. An unknown or an
 * ambiguous name is an error that lists what there is.
 */
int net_find_honeypot(const char *spec, struct cli_ctl *c, char honeypot[NAME_CAP], struct err *e);

/* Names of the honeypots of all running honeynets, for completion. */
typedef void (*net_honeypot_fn)(void *arg, const char *net, const struct rep_honeypot *h);
int net_honeypots(struct cli_ctl *c, net_honeypot_fn fn, void *arg, struct err *e);

#endif
