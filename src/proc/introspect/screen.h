/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_SCREEN_H
#define SKEP_INTROSPECT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a terminal shows on the line where the cursor is: just enough of a
 * terminal to know what a shell's line editor echoed.
 *
 * Theory of operation. The line is kept flat, as if the screen had no right edge;
 * the terminal's width only says where the rows of a wrapped line begin, for
 * carriage returns and cursor movements up and down within it (readline moves so). A
 * line feed in the last row ends the line. Escape sequences are those of ECMA-48
 * and of xterm's ctlseqs document that line editors use; the rest are skipped
 * whole. A program that places the cursor absolutely owns the screen: the
 * line is forgotten then.
 *
 * Bounded: SCREEN_CELLS characters; what goes beyond is not kept (`over`).
 */
#define SCREEN_CELLS 1024u

struct screen {
	uint32_t cell[SCREEN_CELLS]; /* code points; 0 = second half of a wide one */
	uint16_t len, pos;
	uint16_t cols; /* 0 = unknown: never wraps */
	bool edge;     /* the cursor hangs behind the last column */
	bool over;
	bool alt; /* a full-screen program has the alternate screen */
	uint8_t state;
	bool priv;
	uint8_t nparams;
	uint16_t param[4];
	uint32_t cp; /* UTF-8 being read */
	uint8_t more;
};

/* One byte of output. True: it ended the line; the line is there until the next
 * byte. */
bool screen_put(struct screen *s, uint8_t byte);
/* The line as UTF-8, blanks at its end left out. Returns its length; out is always
 * terminated (cap > 0). */
size_t screen_text(const struct screen *s, char *out, size_t cap);
/* The same of what stands before the cursor, with all its blanks. */
size_t screen_prompt(const struct screen *s, char *out, size_t cap);

#endif
