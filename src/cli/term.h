/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_TERM_H
#define SKEP_CLI_TERM_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a guest writes to its console, made fit for the operator's terminal.
 *
 * A terminal obeys its input: it can be told to answer with text of the
 * sender's choice (which then is typed somewhere), to write its clipboard, to
 * load fonts. TERM_LINES lets through what a shell, an editor or a pager needs
 * to draw, from a list (ECMA-48 cursor, erase, insert, delete, SGR, scroll region; DEC
 * charset, keypad, cursor and screen modes); everything else, and every byte
 * that is not well-formed UTF-8 text, becomes \xNN. TERM_PLAIN lets no control
 * sequence through at all. TERM_RAW copies.
 */
enum term_mode { TERM_LINES, TERM_PLAIN, TERM_RAW };

#define TERM_SEQ 24 /* longest sequence that is let through, with ESC */
struct term {
	enum term_mode mode;
	uint8_t held[TERM_SEQ]; /* the beginning of a sequence or of a character */
	size_t nheld;
};

/* Bytes of output for n of input, at most. */
#define TERM_OUT(n) (4 * ((n) + TERM_SEQ))

/* Translates in[0..n) into out[TERM_OUT(n)]; returns how much that is. What may
 * be the beginning of a sequence is held back until the next call. */
size_t term_filter(struct term *t, const uint8_t *in, size_t n, uint8_t *out);

/* Nothing more comes: what is held back, as \xNN, into out[TERM_OUT(0)]. */
size_t term_end(struct term *t, uint8_t *out);

/* Undoes, at detaching, whatever TERM_LINES let the guest switch on. */
extern const char term_reset[];

#endif
