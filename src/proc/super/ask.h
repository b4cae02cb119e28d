/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_ASK_H
#define SKEP_PROC_SUPER_ASK_H

#include "base/ev.h"
#include "proto/msg.h"

#include <stdbool.h>
#include <sys/types.h>

struct super;

/* Whom an operator's answer goes to: a client may be gone by then. */
struct reply_to {
	uint32_t client; /* 0 = nobody */
	uint64_t req;
	uid_t uid;
};

/*
 * Requests to other processes. Each gets a 64-bit id; its answer, whenever it
 * comes, is handed to the function given here. Exactly one final answer comes:
 * from the peer, or made up here when the peer died or took too long.
 */
struct answer {
	int status;       /* of a final answer: 0 or negative errno */
	const char *text; /* of a final answer */
	struct msg *m;    /* NULL if made up here */
	bool more;        /* not final: PRIV_THREAD, GW_PORT_STATS */
};
typedef void (*ask_fn)(struct super *s, void *arg, struct answer *a);

#define ASKS 1024
struct ask {
	uint64_t req; /* 0 = free */
	struct chan *chan;
	uint32_t type;
	ask_fn fn;
	void *arg;
	uint64_t deadline;
};
struct asks {
	struct ask table[ASKS];
	uint64_t last;
	struct ev_timer tick;
};

/* Sends a request; fn may be NULL (answer not wanted). timeout_ms 0 = 30 s. On
 * failure (negative errno) fn is not called. fds stay the caller's. */
int ask(struct super *s, struct chan *c, uint32_t type, const void *body, size_t len, const int *fds, int nfds,
	unsigned timeout_ms, ask_fn fn, void *arg);
/* A message that carries an answer came in on c. */
void ask_answer(struct super *s, struct chan *c, struct msg *m);
/* The peer is gone: all its requests fail. */
void ask_fail(struct super *s, struct chan *c, const char *why);
/* Forgets requests of this arg: their answers are thrown away. */
void ask_cancel(struct super *s, const void *arg);
void ask_tick(struct super *s, uint64_t now);

#endif
