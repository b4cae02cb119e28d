/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_INTRO_H
#define SKEP_PROC_EVIDENCE_INTRO_H

#include "base/slice.h"
#include "proto/hook.h"
#include "proto/intro.h"

#include <stdbool.h>

/*
 * Records of introspect processes, as lib/proto/intro.h describes them. Their
 * senders read what a guest's kernel wrote and may be its intruder's: every
 * length, number and text is checked here before anything is kept.
 */

/* The fields of a checked record's payload; which of them depends on the kind. */
struct intro_body {
	union {
		struct intro_source source;
		struct intro_loss loss;
		struct intro_session session;
		struct intro_end end;
		struct hook_socket socket;
		uint32_t n[4]; /* the numbers that it begins with */
	};
	struct slice text[2]; /* without their zero bytes */
	struct slice rest;    /* TTY: bytes; EXEC: arguments, each with its zero byte */
};

/* Takes one record off the front: 1; 0 at the end of s; -EBADMSG if what comes
 * is none, and then s stands before it. */
int intro_take(struct slice *s, struct intro_rec *r, struct intro_body *b);

/* How many of the n bytes are whole records (by their lengths). */
size_t intro_whole(const uint8_t *p, size_t n);

#endif
