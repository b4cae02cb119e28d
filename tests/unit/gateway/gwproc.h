/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_GWPROC_H
#define SKEP_TESTS_GWPROC_H

#include "world.h"
#include "proto/msg.h"

#include <sys/types.h>

/* The real gateway process, commanded as super would do it. Everything aborts
 * on failure: it is for tests. */
struct gwproc {
	pid_t pid;
	struct chan chan;
	struct msg msg;
	uint64_t req;
	unsigned seen, down; /* events by now */
	uint16_t seen_port, down_port;
};

/* path: the skep binary. */
void gwproc_start(struct gwproc *x, const char *path);
/* Sends a command and waits for its GW_DONE; its status. */
int gwproc_command(struct gwproc *x, uint32_t type, const void *body, size_t n, const int *fds, int nfds);
/* A port on this fd (which it closes), with a new ring that is opened for
 * reading into *r. */
int gwproc_port(struct gwproc *x, const struct gw_port *conf, int fd, uint32_t ring, struct ring_reader *r);
int gwproc_policy(struct gwproc *x, const struct gw_policy_entry *entries, uint32_t n);
/* Handles events for up to ms. */
void gwproc_events(struct gwproc *x, int ms);
/* Waits for the end and returns the wait status. */
int gwproc_wait(struct gwproc *x);

/* conf of honeypot 0 or of the uplink, as world_new has them. */
struct gw_port gwproc_conf(uint16_t id, uint8_t kind);

#endif
