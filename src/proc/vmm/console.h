/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_CONSOLE_H
#define SKEP_PROC_VMM_CONSOLE_H

#include "base/ev.h"
#include "proto/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The console hub: one guest, evidence, and any number of operators.
 *
 * Output: a chunk is read from the guest, offered to evidence, and only when
 * evidence has it, put into the ring and shown. While evidence does not take it,
 * the guest is not read (one chunk is all that is ever pending): capture comes
 * before convenience, and the kernel's socket buffer stops the guest.
 *
 * The ring is the scroll-back. Each operator has a position in it and nothing
 * else, so a slow one costs no memory and holds up nobody: one that was overtaken
 * gets a marker and goes on with what is still there.
 *
 * Input: one operator types at a time. What it types is recorded before the
 * guest gets it. Others are told once that their keys go nowhere.
 */
#define CONSOLE_RING (256u * 1024)
#define CONSOLE_CHUNK 16384u
#define CONSOLE_OPERATORS 16
#define CONSOLE_INPUT 4096u
#define CONSOLE_NOTICE 128

struct console;

struct operator_end {
	struct console *hub;
	int fd; /* -1 = free */
	struct ev_source src;
	uint64_t pos; /* what it gets next, counted from the first byte ever */
	bool readonly, told;
	char notice[CONSOLE_NOTICE]; /* our own words to it, before anything else */
	size_t notice_len, notice_at;
};

/* fn is called once, when the guest closed its end (e empty) or evidence did
 * (e says so). */
typedef void (*console_gone_fn)(void *arg, const struct err *e);

struct console {
	struct ev *ev;
	struct chan *record; /* to evidence */
	uint32_t slot;
	int guest; /* -1 = none */
	struct ev_source guest_src, record_src;
	console_gone_fn gone;
	void *arg;
	bool blocked; /* a record waits for evidence */
	bool stopped; /* evidence is gone: nothing is read any more */

	uint8_t ring[CONSOLE_RING];
	uint64_t total; /* bytes ever put into the ring */

	uint8_t out[CONSOLE_CHUNK]; /* read from the guest, not yet with evidence */
	size_t out_len;
	uint64_t out_time;

	uint8_t in[CONSOLE_INPUT]; /* typed */
	size_t in_len, in_at;      /* in_at: what the guest has of it */
	bool in_recorded;
	uint64_t in_time;

	struct operator_end ops[CONSOLE_OPERATORS];
	int typer; /* index, -1 = nobody */
};

/* c is large: static or on the heap, and must not move. record stays the caller's. */
void console_init(struct console *c, struct ev *ev, struct chan *record, uint32_t slot, console_gone_fn gone,
		  void *arg);

/* Takes the guest's fd over (a stream socket). */
int console_start(struct console *c, int guest, struct err *e);

/* Takes an operator's fd over, also on failure. flags: CONSOLE_READONLY,
 * CONSOLE_TAKE. -ENOTCONN: there is no guest. -EUSERS: too many. */
int console_attach(struct console *c, int fd, uint32_t flags, struct err *e);

/* Reads what the guest still has to say (at most a ring full), waits at most
 * timeout_ms for evidence each time, and lets everybody go. */
void console_finish(struct console *c, int timeout_ms);

#endif
