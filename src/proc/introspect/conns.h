/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_CONNS_H
#define SKEP_INTROSPECT_CONNS_H

#include "proto/hook.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Connections that were accepted, as long as a process of the guest may serve
 * them.
 *
 * Theory of operation. accept() gives one to the accepting process; the child that
 * it forks next takes it over (procs.c). Each process that holds one counts as a
 * reference; without any it is free. When the table is full the one that was
 * accepted longest ago goes: its holders find their reference stale (the
 * generation differs), and what they do then begins a session without
 * addresses. Evictions are counted.
 */
#define CONNS_MAX 4096u

/* Index and generation; {0, 0} = none. Generations begin at 1. */
struct ref {
	uint32_t at, gen;
};
static inline bool ref_set(struct ref r)
{
	return r.gen != 0;
}
static inline bool ref_same(struct ref a, struct ref b)
{
	return a.gen == b.gen && a.at == b.at;
}

struct conn {
	uint32_t gen;
	uint32_t holders; /* 0 = free */
	struct hook_socket sock;
	uint64_t time;     /* ns, host */
	uint32_t listener; /* tgid of the process that accepted it */
	char service[16];  /* its comm */
	char exe[128];     /* its program, cut; empty: not known */
	bool handed;       /* a child took it over */
	uint32_t taker;    /* tgid of that child */
	struct ref session;
};

struct conns {
	struct conn at[CONNS_MAX];
	uint32_t hand; /* where the search for a place begins */
	uint32_t live;
	uint64_t evicted;
};

void conns_init(struct conns *c);
/* A new one, with one holder. */
struct ref conns_add(struct conns *c, const struct hook_socket *s, uint64_t time);
/* NULL if r is none or stale. */
struct conn *conns_get(struct conns *c, struct ref r);
void conns_hold(struct conns *c, struct ref r);
/* Gives up *r and sets it to none. */
void conns_drop(struct conns *c, struct ref *r);

#endif
