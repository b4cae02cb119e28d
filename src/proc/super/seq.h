/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_SEQ_H
#define SKEP_PROC_SUPER_SEQ_H

#include "base/err.h"
#include "proc/super/ask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A sequence of steps that wait for other processes, written as a table, so
 * that the order can be read from top to bottom. Each step begins something;
 * its answer is looked at; then the next one begins. The first failure ends it.
 */
struct super;
struct seq;

enum { SEQ_WAIT = 0, SEQ_NEXT = 1 }; /* what begin returns, or a negative errno with *e */

struct seq_step {
	const char *what; /* for messages: "open its disk" */
	int (*begin)(struct super *s, struct seq *q, struct err *e);
	/* May be NULL. The final answer, with status 0; takes fds out of a->m. */
	int (*answer)(struct super *s, struct seq *q, struct answer *a, struct err *e);
	bool optional; /* its failure does not end the sequence (stopping, cleaning up) */
	/* May be NULL. Of an optional step: it failed, and the next one follows. */
	void (*failed)(struct super *s, struct seq *q, const struct err *e);
};

struct seq {
	const struct seq_step *steps; /* ends with what NULL; NULL = idle */
	unsigned i;
	void *subject;
	void (*done)(struct super *s, struct seq *q, int status, const struct err *e);
};

static inline bool seq_busy(const struct seq *q)
{
	return q->steps != NULL;
}

void seq_start(struct super *s, struct seq *q, const struct seq_step *steps, void *subject,
	       void (*done)(struct super *s, struct seq *q, int status, const struct err *e));
/* From begin: a request whose answer moves the sequence on. Returns SEQ_WAIT or
 * a negative errno with *e. */
int seq_ask(struct super *s, struct seq *q, struct chan *c, uint32_t type, const void *body, size_t len, const int *fds,
	    int nfds, unsigned timeout_ms, struct err *e);
/* For a step that waits for something else than an answer. */
void seq_resume(struct super *s, struct seq *q, int status, const struct err *e);
/* Drops it; done is not called. */
void seq_cancel(struct super *s, struct seq *q);

#endif
