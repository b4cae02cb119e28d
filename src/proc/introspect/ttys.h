/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_TTYS_H
#define SKEP_INTROSPECT_TTYS_H

#include "proc/introspect/conns.h"
#include "proc/introspect/line.h"

#include <stdint.h>

/*
 * The guest's terminals, by HOOK_TTY_ID.
 *
 * Theory of operation. A terminal belongs to the session of the process that holds
 * its master side: the one whose writes are the keystrokes. Until that one has written,
 * the session of a process counts whose controlling terminal it is. Output is often
 * written by a worker of the kernel (echo), so that the writer says nothing
 * about it. A pty's number is used again at once by the next login: the binding
 * changes as soon as a process of another session writes to the master side, or
 * one whose controlling terminal it is writes to the slave.
 *
 * The bytes themselves are not kept here: they go into records as they come. What
 * is kept is the line being edited.
 *
 * Bounded: TTYS_MAX; the one that was silent longest makes room.
 */
#define TTYS_MAX 256u

struct tty {
	uint64_t last;
	struct ref session;
	uint16_t rows, cols;
	char name[64];   /* typed at the last "login:" */
	char target[64]; /* whom the last su is to become */
	struct line line;
};

struct ttys {
	uint32_t id[TTYS_MAX]; /* 0 = free */
	struct tty at[TTYS_MAX];
	uint64_t clock, evicted;
};

void ttys_init(struct ttys *t);
/* Never NULL: makes it if need be. evicted (may be NULL) is called before another
 * one makes room. */
struct tty *ttys_get(struct ttys *t, uint32_t id, void (*evicted)(void *arg, uint32_t id, struct tty *x), void *arg);
struct tty *ttys_find(struct ttys *t, uint32_t id);
/* Another session has it from now on: what was typed is forgotten. */
void tty_bind(struct tty *x, struct ref session);

#endif
