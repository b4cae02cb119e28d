/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_EVPROC_H
#define SKEP_TESTS_EVPROC_H

#include "proto/msg.h"

#include <sys/types.h>

/* The real evidence process, commanded as super would do it. Everything ends the
 * program on failure: it is for benchmarks. */
struct evproc {
	pid_t pid;
	struct chan chan;
	struct msg msg;
};

/* skep: the binary. dirfd: the evidence directory. */
void evproc_start(struct evproc *x, const char *skep, int dirfd);
/* Sends a command and waits for its EV_DONE; failures are printed. */
void evproc_ask(struct evproc *x, uint32_t type, const void *body, size_t n, const int *fds, int nfds);

#endif
