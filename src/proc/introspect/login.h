/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_LOGIN_H
#define SKEP_INTROSPECT_LOGIN_H

#include "base/slice.h"
#include "proc/introspect/facts.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What OpenSSH's privileged monitor and its unprivileged child tell each other
 * (monitor.h, monitor.c, monitor_wrap.c of portable OpenSSH 9.2): messages
 * {u32 length, big endian, counting what follows; u8 type; payload} over a
 * stream socket.
 *
 * Theory of operation. HOOK_AUTH has what one process read from any unix stream
 * socket, piece by piece and in order. Each process has one stream here, in
 * which the pieces are put together. Other sockets (a system bus, an agent) get
 * in between only at a message's end, since the monitor reads a message
 * whole; a piece that does not begin like a message is dropped there. The payload
 * of a message that is longer than HOOK_AUTH_MAX does not come: the next piece
 * is its type, which is dropped, then the next message. After a loss all
 * streams begin anew.
 *
 * Bounded: STREAMS_MAX processes, the one that was silent longest makes room;
 * LOGIN_BYTES of a message, the rest is skipped.
 */
#define STREAMS_MAX 128u
#define LOGIN_BYTES 2048u

enum login_type {
	LOGIN_PWNAM = 8,        /* cstring user */
	LOGIN_PASSWORD = 12,    /* cstring password */
	LOGIN_PASSWORD_OK = 13, /* u32 1 = yes */
	LOGIN_KEY = 22,         /* u32, string key {string algorithm ...} */
	LOGIN_KEY_OK = 23,      /* u32 1 = may be used */
	LOGIN_VERIFY_OK = 25,   /* u32 0 = yes */
	LOGIN_PAM_INIT = 104,
	LOGIN_PAM_RESPOND = 108, /* u32 number, cstring... */
	LOGIN_PAM_OK = 109,      /* u32 0 = yes, 1 = more is asked, ~0 = no */
};

struct stream {
	uint32_t tgid; /* 0 = free */
	uint64_t last;
	uint32_t len; /* of the message; 0 = at its beginning */
	uint32_t got;
	uint8_t buf[4 + LOGIN_BYTES];
};

struct login {
	struct stream at[STREAMS_MAX];
	uint64_t clock, evicted;
};

typedef void (*login_fn)(void *arg, uint8_t type, struct slice payload);

void login_init(struct login *l);
void login_feed(struct login *l, uint32_t tgid, struct slice bytes, login_fn fn, void *arg);
/* The process is gone, or another one. */
void login_forget(struct login *l, uint32_t tgid);
/* A string as OpenSSH writes it: u32 length, bytes. */
bool login_string(struct slice *s, struct slice *out);

#endif
