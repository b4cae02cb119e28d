/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_TRACK_H
#define SKEP_INTROSPECT_TRACK_H

#include "proc/introspect/conns.h"
#include "proc/introspect/emit.h"
#include "proc/introspect/execs.h"
#include "proc/introspect/facts.h"
#include "proc/introspect/login.h"
#include "proc/introspect/procs.h"
#include "proc/introspect/sessions.h"
#include "proc/introspect/ttys.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Facts in, records out: who did what in which session. No clock but the facts'
 * times, no system call, memory only as its tables say (8 MiB, and
 * EXECS_TOTAL). The same facts and the same seed give the same records.
 *
 * Theory of operation. A connection that a process accepts is taken over by the child
 * that it forks next (or served by itself). Nothing is a session yet: a scan of
 * the port would be one. A session begins when something interactive happens on the
 * connection: an authentication is tried, a pty's master side is written, another
 * program than the service's own is executed. All processes that hold the
 * connection join, and whatever they fork is born into the session. A session
 * inside which another one is begun (a shell listening on a port, ssh to the
 * machine itself) is named as its parent.
 *
 * Consoles have no connection: a session begins with the first key, or when a
 * program is executed there, and is over when no process is left.
 *
 * Where facts were lost, or came before this process was there, the rest is
 * guessed from what is known: a process from its parent, a session from its terminal.
 */
#define CONNECTS_MAX 64u
#define IDLE_NS (1800 * 1000000000ull) /* sessions without any process are over after this */

struct track {
	struct emit emit;
	struct sessions sessions;
	struct procs procs;
	struct conns conns;
	struct execs execs;
	struct login login;
	struct ttys ttys;
	const struct fact *f; /* the one at hand */
	struct proc *p;       /* who did it; NULL = unknown, or dead already */
	struct ref dead;      /* its session if it is dead */
	struct tty *tty;      /* whose line is at hand */
	uint32_t tty_id;
	enum intro_way way;
	bool told;            /* INTRO_SOURCE is out */
	uint64_t facts, lost; /* lost: facts, malformed ones included */
	uint64_t placed, absent;
	bool hello;
	uint64_t swept; /* when sessions were looked through last */
	struct {
		struct hook_socket sock;
		uint64_t session;
	} connect[CONNECTS_MAX]; /* the last ones: ssh to oneself */
	unsigned connect_at;
};

/* NULL: no memory. */
struct track *track_new(enum intro_way way, uint64_t seed, emit_fn fn, void *arg);
void track_free(struct track *t);
void track_fact(struct track *t, const struct fact *f);
/* The guest is gone: every session ends. */
void track_end(struct track *t, uint64_t time);
/* The hooks were attacked. */
void track_tamper(struct track *t, uint64_t time, const char *what);
/* Places that were taken from somebody because a table was full. */
uint64_t track_evictions(const struct track *t);

/* ---- between track*.c ------------------------------------------------------ */

/* The session of the process at hand, NULL = none. */
struct session *track_session(struct track *t);
struct ref track_session_ref(struct track *t);
void track_join(struct track *t, struct proc *p, struct ref session);
/* Begins the session of p's connection, unless there is one, in which p has a
 * place. None if p has no connection. */
struct ref track_connection(struct track *t, struct proc *p);
/* A session without a known connection. */
struct ref track_orphan(struct track *t, struct proc *p, enum intro_service service);
uint64_t track_id(struct track *t, struct ref session); /* 0 = none */
bool track_own_program(const struct proc *p, const struct conn *c);

void track_tty(struct track *t);     /* HOOK_TTY */
void track_winsize(struct track *t); /* HOOK_WINSIZE */
void track_auth(struct track *t);    /* HOOK_AUTH */
void track_exec_done(struct track *t);
/* Lines that wait for their echo are decided, on the terminals of this session. */
void track_tty_flush(void *track, struct ref session);

#endif
