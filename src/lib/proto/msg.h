/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_MSG_H
#define SKEP_PROTO_MSG_H

#include "base/err.h"
#include "proto/proto.h"
#include "proto/role.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Typed messages over AF_UNIX SOCK_SEQPACKET, with fds. One packet is one
 * message: a header and the payload that proto/proto's table describes.
 */
#define MSG_FDS 8
#define MSG_BODY 32768

struct msg {
	uint32_t type; /* enum msg_type */
	uint32_t len;  /* of body */
	uint64_t req;
	int nfds;
	int fds[MSG_FDS]; /* owned by the receiver; -1 once taken */
	alignas(16) uint8_t body[MSG_BODY];
};

/* One end of a channel: who we are, who the peer is, and which messages are
 * legal for us now. */
struct chan {
	int fd; /* non-blocking SEQPACKET; -1 = closed */
	enum role self, peer;
	unsigned state; /* STATE_* of ourselves */
};

/* A connected pair, both close-on-exec and non-blocking. -errno. */
int msg_pair(int fds[2], struct err *e);

/*
 * Sends one message. Its size and direction are checked against the table
 * before anything is sent: -EPROTO is a bug of ours. The fds stay the
 * caller's. -EAGAIN: the peer does not read (SNDBUF full); -EPIPE: gone.
 */
int msg_send(struct chan *c, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds);
/* As msg_send, but waits up to timeout_ms for room. For start-up and cli only. */
int msg_send_wait(struct chan *c, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds,
		  int timeout_ms);

/* 1: *m holds a message that passed the table. 0: nothing there now. -EPIPE:
 * the peer is gone. -EPROTO: the peer broke the protocol (its fds are closed;
 * e says how; m->req is the id that came, for an answer, or 0). Fixed-size text fields of the payload are not yet known
 * to be terminated: see MSG_TEXT. */
int msg_recv(struct chan *c, struct msg *m, struct err *e);
/* Waits up to timeout_ms (-1 for ever) for msg_recv to return something else than 0. 0 = timed out. */
int msg_recv_wait(struct chan *c, struct msg *m, int timeout_ms, struct err *e);

/* Takes fd i out of the message (the caller owns it then), -1 if not there. */
int msg_take_fd(struct msg *m, int i);
/* Closes all fds that nobody took. */
void msg_close_fds(struct msg *m);

/* The payload as its struct; only after msg_recv checked the type. */
#define MSG_BODY_AS(m, type) ((const struct type *)(const void *)(m)->body)
/* True if a char array of a received payload is terminated. */
#define MSG_TEXT(field) (memchr((field), 0, sizeof(field)) != NULL)

void chan_close(struct chan *c);

#endif
