/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_EVE_INTRO_H
#define SKEP_PROC_EVIDENCE_EVE_INTRO_H

#include "proc/evidence/eve.h"
#include "proc/evidence/intro.h"

/* Conversations of sessions that are known, so that what happens in one can be
 * told with its addresses. The oldest makes room. */
#define EVE_TALKS 128
struct eve_talk {
	uint64_t id; /* 0 = none */
	struct intro_session s;
};
struct eve_talks {
	struct eve_talk table[EVE_TALKS];
	unsigned next;
};

/* Appends the line of one record to j. False: this kind has none (keystrokes,
 * forks, ...: those are in sessions/ only), and j is as it was. */
bool eve_intro(const struct eve *v, struct json *j, struct eve_talks *t, const char *honeypot,
	       const struct intro_rec *r, const struct intro_body *b, uint64_t now);

#endif
