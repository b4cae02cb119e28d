/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_PROCS_H
#define SKEP_INTROSPECT_PROCS_H

#include "proc/introspect/conns.h"
#include "proc/introspect/facts.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The guest's processes, as far as facts told of them.
 *
 * Theory of operation. A process is known from the fork that made it, or from its
 * first fact. It is found by its pid (tgid); the address of its task structure
 * tells whether the pid still means the same process, since an exit may have been
 * among lost facts. The address is not known at fork: the first fact of the main
 * thread brings it. One thing changes it: when another thread than the first
 * one executes a program, that thread becomes the main one; the exec under way
 * remembers its address.
 *
 * Nothing that a guest says is believed further than: this fact names that pid.
 *
 * Bounded: PROCS_MAX places. When they are used up, the process that was silent
 * longest goes; those that serve a connection last of all. What comes from one
 * that was evicted makes it known again, with its parent's session.
 *
 * An exiting process is remembered by pid and session for a while (DEAD_MAX), for
 * what its remaining threads say.
 */
#define PROCS_MAX 8192u
#define PROCS_HASH 16384u
#define DEAD_MAX 64u
#define EXE_CAP 128

struct proc {
	uint32_t tgid, ppid; /* tgid 0 = free place */
	uint64_t task;       /* of its main thread; 0 = not known yet */
	uint32_t tty, uid;
	struct ref conn;     /* that it serves or was started for */
	struct ref accepted; /* that it accepted last */
	struct ref session;
	uint64_t exec; /* task that executes a program just now; 0 = none */
	bool listener; /* called listen() */
	bool monitor;  /* has an ssh monitor stream */
	bool serving;  /* part of what carries its session's connection */
	char comm[16];
	char exe[EXE_CAP]; /* as given to exec, cut; empty: not known */
	uint32_t hash_next;
	uint32_t newer, older; /* LRU list */
};

struct procs {
	struct proc at[PROCS_MAX + 2]; /* 0 is no process; the last two head the LRU lists */
	uint32_t hash[PROCS_HASH];
	uint32_t free_list, live;
	uint64_t evicted, reused;
	struct {
		uint32_t tgid;
		uint64_t task;
		struct ref session;
	} dead[DEAD_MAX];
	unsigned dead_at;
	/* Called before a place is given up, for whatever reason. */
	void (*gone)(void *arg, struct proc *p, bool evicted);
	void *arg;
};

void procs_init(struct procs *t, void (*gone)(void *arg, struct proc *p, bool evicted), void *arg);
struct proc *procs_find(struct procs *t, uint32_t tgid);
/* Adds one, in place of any other with that pid. */
struct proc *procs_add(struct procs *t, uint32_t tgid, uint32_t ppid);
void procs_remove(struct procs *t, struct proc *p, bool evicted);
/* It did something: it is the last to be evicted. */
void procs_touch(struct procs *t, struct proc *p);
/* Remembers that it exits, and removes it. */
void procs_exit(struct procs *t, struct proc *p);
/* Is this from a thread of a process that exited just now? Its session then. */
bool procs_dead(const struct procs *t, const struct fact *f, struct ref *session);
/* A new process has this pid. */
void procs_undead(struct procs *t, uint32_t tgid);

/* The last part of a path. */
const char *path_base(const char *path);

#endif
