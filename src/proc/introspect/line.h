/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_LINE_H
#define SKEP_INTROSPECT_LINE_H

#include "proc/introspect/screen.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lines as they were typed, from what goes through a terminal in both directions.
 *
 * Theory of operation. The keys run through an emulation of a line editor: the
 * kernel's (cooked mode) and the usual keys of readline. That yields the line
 * exactly as long as no key was used whose effect only the program knows
 * (completion, history, search): such a line is `edited`, and its text is taken
 * from the screen. At Enter the line waits for the line feed that the program, or the
 * kernel's echo, answers with. What then stands on the screen tells
 *  - the text of an edited line, behind the prompt that stood there before the
 *    first key;
 *  - whether it was shown at all: what was typed after "assword:" without echo is
 *    a secret, not a command;
 *  - keys that some program swallowed before (the q of a pager).
 * If no fitting line comes soon (LINE_WAIT line feeds or LINE_WAIT_BYTES, or another
 * Enter: somebody types ahead or pastes), the keys alone decide.
 *
 * While a program uses the alternate screen, keys are no lines. Bracketed paste
 * makes line breaks part of the line.
 *
 * Bounded: LINE_CAP bytes a line, what is longer is cut and says so.
 */
#define LINE_CAP 4096u
#define LINE_PROMPT 256u
#define LINE_WAIT 16u
#define LINE_WAIT_BYTES 16384u

enum line_what {
	LINE_COMMAND, /* text: a line */
	LINE_SECRET,  /* text: typed without echo after a prompt that asks for a secret */
	LINE_NAME,    /* text: typed after "login:" */
	LINE_SHOWN,   /* text: a line of output ended */
};
#define LINE_F_EDITED 1u
#define LINE_F_NOECHO 2u
#define LINE_F_CUT 4u

/* text[n] == 0; prompt is the line before what was typed, "" for LINE_SHOWN. */
typedef void (*line_fn)(void *arg, enum line_what what, const char *text, size_t n, const char *prompt, unsigned flags);

struct typed {
	char text[LINE_CAP + 1];
	uint16_t n;
	bool cut, edited;
	char prompt[LINE_PROMPT];
};

struct line {
	struct typed now; /* being typed */
	uint16_t cursor;
	bool begun, quote, paste, after_cr;
	uint8_t state, matched, swallow, nparams;
	uint16_t param;
	struct typed wait; /* entered */
	bool waiting;
	uint32_t wait_lines, wait_bytes;
	struct screen screen;
};

void line_input(struct line *l, const uint8_t *p, size_t n, line_fn fn, void *arg);
void line_output(struct line *l, const uint8_t *p, size_t n, line_fn fn, void *arg);
/* What waits is decided now. */
void line_flush(struct line *l, line_fn fn, void *arg);
void line_cols(struct line *l, uint16_t cols);

/* Does the text ask for a secret? */
bool line_asks_secret(const char *prompt);

#endif
