/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_CAST_H
#define SKEP_CLI_CAST_H

#include "cli/session_table.h"

/*
 * One terminal of one session, played from the records, and written as an
 * asciicast (version 2, docs.asciinema.org/manual/asciicast/v2: JSON lines; a
 * header, then [seconds, "o"|"i"|"r", text]).
 *
 * JSON holds text: a byte that is not well-formed UTF-8 becomes U+FFFD in a
 * cast, so a cast is not evidence. ttyrec is exact.
 */
enum play_what { PLAY_INPUT, PLAY_OUTPUT, PLAY_SIZE };
struct play_event {
	uint64_t time; /* ns since 1970 */
	enum play_what what;
	struct slice bytes;  /* INPUT, OUTPUT */
	uint16_t rows, cols; /* SIZE */
};
typedef bool (*play_fn)(void *arg, const struct play_event *ev); /* false: enough */
/* Every event of the terminal, in order. 0, 1 if fn had enough, -errno. c NULL: no remarks. */
int play_session(const struct cmd *c, const struct evidence_dir *dir, const struct session *s, uint32_t tty, play_fn fn,
		 void *arg, struct err *e);

struct cast {
	FILE *out;
	uint64_t start, last;
	uint16_t rows, cols; /* as the header says */
	struct {
		uint8_t b[4]; /* a character that is not whole yet; [0] input, [1] output */
		unsigned n;
	} held[2];
};
/* Writes the header. out is borrowed. idle: seconds, 0 = no limit. */
void cast_begin(struct cast *w, FILE *out, const struct session *s, uint32_t tty, uint64_t idle);
void cast_event(struct cast *w, const struct play_event *ev);
/* Writes what is left; -EIO if anything could not be written. */
int cast_end(struct cast *w);

/* All of it. tty 0: the session's main one; -ENOENT if it has none. */
int cast_write(const struct evidence_dir *dir, const struct session *s, uint32_t tty, uint64_t idle, FILE *out,
	       struct err *e);

#endif
