/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_FLAT_H
#define SKEP_CLI_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a terminal would show, as lines of text: for transcripts and the search
 * index. One line at a time is modelled (cursor within it, overwriting, erasing,
 * inserting, wrapping); moving to another line ends it. Programs that draw on the
 * whole screen are flattened: each row as it is drawn. No control byte comes
 * out, and no character that could change how a reader shows the rest: they become
 * U+FFFD. Control strings (titles, clipboards) vanish with what they carry.
 *
 * Memory is bounded: a line longer than FLAT_COLS goes on in the next.
 */
#define FLAT_COLS 4096
/* text[0..n) is well-formed UTF-8 without control characters; n may be 0. */
typedef void (*flat_fn)(void *arg, const char *text, size_t n);

struct flat {
	flat_fn fn;
	void *arg;
	bool input;    /* keystrokes: CR ends a line, DEL and BS take a character back */
	unsigned cols; /* width; 0 = never wraps */

	/* private */
	uint8_t state, nparams, nheld;
	bool private;
	uint8_t held[4];
	uint16_t params[8];
	unsigned n, col, base;
	uint32_t *cell;
};
/* false: no memory. */
bool flat_init(struct flat *f, flat_fn fn, void *arg, bool input, unsigned cols);
void flat_feed(struct flat *f, const uint8_t *p, size_t n);
/* Ends the line if there is anything in it. */
void flat_flush(struct flat *f);
/* The line that is not ended yet, as flat_fn would get it, into text[4 * FLAT_COLS]. */
size_t flat_peek(const struct flat *f, char *text);
void flat_free(struct flat *f);

#endif
