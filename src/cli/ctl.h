/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_CTL_H
#define SKEP_CLI_CTL_H

#include "base/dirs.h"
#include "proto/msg.h"

#include <signal.h>

/*
 * The cli's end of run/NAME/ctl: one request at a time, its replies, its end.
 */
struct cli_ctl {
	struct chan chan;
	uint64_t req; /* of the running request */
	char net[NAME_CAP];
	const volatile sig_atomic_t *stop; /* if not NULL and *stop != 0, cli_ctl_next returns -EINTR */
};

/* Times, ms: how long super may be silent. */
#define CLI_CTL_QUICK 10000 /* ps, console, lab */
#define CLI_CTL_LONG 600000 /* between two words about a change of machines: a boot may take its limit, twice */
#define CLI_CTL_CONNECT 3000

/* Connects to the super of honeynet `net`. -ENOENT: no such directory or
 * socket; -ECONNREFUSED: a socket that nobody listens on; -EACCES: another
 * user's; -EINVAL: not a name. e says so in full. */
int cli_ctl_open(struct cli_ctl *c, const char *net, struct err *e);
void cli_ctl_close(struct cli_ctl *c);

/* Sends a request under a new id. The fds stay the caller's. */
int cli_ctl_send(struct cli_ctl *c, uint32_t type, const void *body, size_t len, const int *fds, int nfds,
		 struct err *e);

/*
 * The next reply to the running request. 1: *m is a REP_* but REP_END, its fds
 * the caller's. 0: REP_END that says done (e->text holds its words, may be
 * empty). < 0: REP_END that says failed, silence for timeout_ms (-ETIMEDOUT),
 * super gone (-EPIPE), or *stop (-EINTR); e says which.
 */
int cli_ctl_next(struct cli_ctl *c, struct msg *m, int timeout_ms, struct err *e);

/* For requests of which only the end matters: send, skip what comes, wait. */
int cli_ctl_call(struct cli_ctl *c, uint32_t type, const void *body, size_t len, int timeout_ms, struct err *e);

#endif
