/* SPDX-License-Identifier: ISC */
#ifndef GUEST_H
#define GUEST_H

#include "proc/introspect/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A guest of make-believe: says facts as a source would, and keeps what
 * introspection makes of them. Every record is checked as it comes: numbers
 * without gaps, lengths in their bounds, texts that end.
 */
struct kept {
	struct intro_rec head;
	uint8_t *p; /* payload */
	size_t n;
};

struct guest {
	struct track *track;
	struct kept *rec;
	size_t nrec, room;
	bool keep; /* false: checked and thrown away */
	uint64_t time;
	uint64_t seen; /* records */
	uint64_t lost; /* told by INTRO_LOSS */
};

/* Who says it. */
struct actor {
	uint32_t pid, ppid, uid, tty;
	const char *comm;
	uint64_t task; /* 0: a number made of the pid */
	uint32_t tid;  /* 0: the main thread */
};

void guest_new(struct guest *g);
void guest_free(struct guest *g);
void guest_forget(struct guest *g); /* the records until now */

struct fact guest_fact(struct guest *g, unsigned type, const struct actor *a);
void guest_say(struct guest *g, const struct fact *f);

void guest_hello(struct guest *g);
void guest_fork(struct guest *g, const struct actor *a, uint32_t child);
void guest_exit(struct guest *g, const struct actor *a);
void guest_accept(struct guest *g, const struct actor *a, uint16_t port, uint16_t from);
/* args: a NULL ends it. */
void guest_exec(struct guest *g, const struct actor *a, const char *path, const char *const *args);
void guest_tty(struct guest *g, const struct actor *a, uint32_t tty, uint32_t dir, const void *p, size_t n);
void guest_keys(struct guest *g, const struct actor *a, uint32_t tty, const char *s);
void guest_shows(struct guest *g, const struct actor *a, uint32_t tty, const char *s);
void guest_auth(struct guest *g, const struct actor *a, const void *p, size_t n);
/* One message of OpenSSH's monitor, in the pieces in which it is read. */
void guest_monitor(struct guest *g, const struct actor *a, uint8_t type, const void *payload, size_t n);
void guest_monitor_text(struct guest *g, const struct actor *a, uint8_t type, const char *s);
void guest_monitor_u32(struct guest *g, const struct actor *a, uint8_t type, uint32_t v);

/* The i-th record of this kind; NULL if there are fewer. */
const struct kept *guest_record(const struct guest *g, enum intro_kind kind, unsigned i);
unsigned guest_count(const struct guest *g, enum intro_kind kind);
/* The n-th text of a payload, behind `skip` bytes. */
const char *kept_text(const struct kept *k, size_t skip, unsigned n);
uint32_t kept_u32(const struct kept *k, size_t at);
/* All bytes of a terminal in one direction, in order; of one session, or of any (0). To be freed. */
char *guest_bytes(const struct guest *g, uint32_t tty, uint32_t dir, uint64_t session, size_t *n);

#define PTY(i) HOOK_TTY_ID(HOOK_TTY_PTY, i)
#define SERIAL(i) HOOK_TTY_ID(HOOK_TTY_SERIAL, i)

#endif
