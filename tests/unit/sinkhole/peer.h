/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_PEER_H
#define SKEP_TESTS_PEER_H

#include "proc/sinkhole/session.h"

/* A honeypot's side of one session, without sockets. */
struct told {
	struct ev_sink head;
	struct texts texts;
	uint8_t *body; /* kept bytes */
};

#define TOLD 64

struct peer {
	struct session *s;
	char out[1 << 16]; /* all that was said since the last peer_say, ended */
	size_t nout;
	unsigned ntold;
	struct told told[TOLD];
	uint8_t *guard; /* behind the room for bodies */
};

struct peer *peer_new(unsigned service);
void peer_free(struct peer *p);
/* Sends bytes, in pieces of `step` (0 = at once), and collects what is answered. */
void peer_send(struct peer *p, const void *bytes, size_t n, size_t step);
void peer_say(struct peer *p, const char *text);
void peer_pass(struct peer *p, uint64_t ns);
void peer_end(struct peer *p);
/* The i-th text of this kind of a record, as a string; NULL. */
const char *told_text(const struct told *t, enum sink_field f, unsigned i);
/* No byte was written behind the room for a body. */
bool peer_bounded(const struct peer *p);

#endif
