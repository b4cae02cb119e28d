/* SPDX-License-Identifier: ISC */
/*
 * Sequences are those of ECMA-48 and of xterm's ctlseqs, as far as they move
 * within a line; all others are taken in whole and do nothing.
 *
 * A line that wraps on the screen is one line here: `base` is where its row
 * begins, so that CR and the cursor's column count from there.
 */
#include "cli/flat.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { GROUND, ESC, ESC_MORE, CSI, CSI_SKIP, STRING, STRING_ESC };

bool flat_init(struct flat *f, flat_fn fn, void *arg, bool input, unsigned cols)
{
	*f = (struct flat){ .fn = fn, .arg = arg, .input = input, .cols = cols < 2 || cols > 1000 ? 0 : cols };
	f->cell = malloc(FLAT_COLS * sizeof(*f->cell));
	return f->cell != NULL;
}

void flat_free(struct flat *f)
{
	free(f->cell);
	f->cell = NULL;
}

static size_t put_utf8(char *out, uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 63));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 63));
		out[2] = (char)(0x80 | (cp & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 63));
	out[2] = (char)(0x80 | (cp >> 6 & 63));
	out[3] = (char)(0x80 | (cp & 63));
	return 4;
}

size_t flat_peek(const struct flat *f, char *text)
{
	size_t n = 0;
	unsigned cells = f->n;
	while (cells && f->cell[cells - 1] == ' ')
		cells--;
	for (unsigned i = 0; i < cells; i++)
		n += put_utf8(text + n, f->cell[i]);
	return n;
}

static void emit(struct flat *f)
{
	char text[FLAT_COLS * 4];
	size_t n = flat_peek(f, text);
	f->n = f->col = f->base = 0;
	f->fn(f->arg, text, n);
}

void flat_flush(struct flat *f)
{
	if (f->n)
		emit(f);
	f->n = f->col = f->base = 0;
}

static void pad_to(struct flat *f, unsigned col)
{
	while (f->n < col && f->n < FLAT_COLS)
		f->cell[f->n++] = ' ';
}

static void put(struct flat *f, uint32_t cp)
{
	if (!text_harmless(cp, false))
		cp = 0xfffd;
	if (f->cols && !f->input && f->col >= f->base + f->cols)
		f->base += f->cols;
	if (f->col >= FLAT_COLS)
		emit(f);
	pad_to(f, f->col);
	f->cell[f->col] = cp;
	f->col++;
	if (f->col > f->n)
		f->n = f->col;
}

static unsigned param(const struct flat *f, unsigned i, unsigned otherwise)
{
	return i < f->nparams && f->params[i] ? f->params[i] : otherwise;
}

static void set_col(struct flat *f, unsigned col)
{
	unsigned width = f->cols ? f->cols : FLAT_COLS - 1;
	if (col >= width)
		col = width - 1;
	f->col = f->base + col;
	if (f->col >= FLAT_COLS)
		f->col = FLAT_COLS - 1;
}

static void erase(struct flat *f, unsigned how)
{
	if (how == 0 && f->n > f->col)
		f->n = f->col;
	if (how == 2)
		f->n = f->base < f->n ? f->base : f->n;
	if (how == 1)
		for (unsigned i = f->base; i <= f->col && i < f->n; i++)
			f->cell[i] = ' ';
}

static void remove_cells(struct flat *f, unsigned count)
{
	if (f->col >= f->n)
		return;
	unsigned left = f->n - f->col;
	count = count < left ? count : left;
	memmove(f->cell + f->col, f->cell + f->col + count, (left - count) * sizeof(*f->cell));
	f->n -= count;
}

static void insert_cells(struct flat *f, unsigned count)
{
	if (f->col >= f->n)
		return;
	if (count > FLAT_COLS - f->n)
		count = FLAT_COLS - f->n;
	memmove(f->cell + f->col + count, f->cell + f->col, (f->n - f->col) * sizeof(*f->cell));
	for (unsigned i = 0; i < count; i++)
		f->cell[f->col + i] = ' ';
	f->n += count;
}

static void csi(struct flat *f, uint8_t final)
{
	unsigned p = param(f, 0, 1), col = f->col - f->base;
	if (f->input)
		return; /* keys: the cursor's, the end of a paste */
	if (f->private) {
		if (final == 'h' || final == 'l')
			flat_flush(f);
		return;
	}
	switch (final) {
	case 'C':
		set_col(f, col + p);
		break;
	case 'D':
		set_col(f, col > p ? col - p : 0);
		break;
	case 'G':
	case '`':
		set_col(f, p - 1);
		break;
	case 'K':
		erase(f, param(f, 0, 0));
		break;
	case 'P':
		remove_cells(f, p);
		break;
	case '@':
		insert_cells(f, p);
		break;
	case 'X':
		for (unsigned i = 0; i < p && f->col + i < f->n; i++)
			f->cell[f->col + i] = ' ';
		break;
	case 'J':
		if (param(f, 0, 0) == 0)
			erase(f, 0);
		else
			flat_flush(f);
		break;
	case 'A':
		/* Up within a line that wrapped: an editor of lines redraws it. */
		if (f->cols && f->base >= f->cols * p) {
			f->base -= f->cols * p;
			f->col -= f->cols * p;
			break;
		}
		flat_flush(f);
		set_col(f, col);
		break;
	case 'B':
	case 'E':
	case 'F':
	case 'd':
		flat_flush(f);
		break;
	case 'H':
	case 'f':
		flat_flush(f);
		set_col(f, param(f, 1, 1) - 1);
		break;
	default:
		break;
	}
}

static void control(struct flat *f, uint8_t b)
{
	switch (b) {
	case '\n':
		emit(f);
		break;
	case '\r':
		if (f->input)
			emit(f);
		else
			f->col = f->base;
		break;
	case '\b':
	case 0x7f:
		if (f->input) {
			f->n -= f->n != 0;
			f->col = f->n;
		} else if (b == '\b' && f->col > f->base) {
			f->col--;
		}
		break;
	case '\t':
		if (f->input)
			put(f, ' ');
		else
			set_col(f, ((f->col - f->base) | 7) + 1);
		break;
	case 0x03: /* Ctrl-C, Ctrl-D, Ctrl-U while typing */
	case 0x04:
		if (f->input)
			flat_flush(f);
		break;
	case 0x15:
		if (f->input)
			f->n = f->col = 0;
		break;
	case 0x0b:
	case 0x0c:
		flat_flush(f);
		break;
	default:
		break;
	}
}

/* A byte of a sequence; GROUND is not its. */
static void sequence(struct flat *f, uint8_t b)
{
	if (f->state == STRING || f->state == STRING_ESC) {
		/* Ended by BEL or ESC \. And by a newline, which real terminals do not
		 * do: a string that is begun and never ended would hide all that follows. */
#ifdef MUTANT_FLAT_HIDES
		if (b == 7 || b == 0x18 || b == 0x1a || (f->state == STRING_ESC && b == '\\'))
#else
		if (b == 7 || b == '\n' || b == 0x18 || b == 0x1a || (f->state == STRING_ESC && b == '\\'))
#endif
			f->state = GROUND;
		else
			f->state = b == 0x1b ? STRING_ESC : STRING;
		return;
	}
	if (b == 0x1b || b == 0x18 || b == 0x1a) {
		f->state = b == 0x1b ? ESC : GROUND;
		return;
	}
	if (b < 0x20) {
		control(f, b);
		return;
	}
	switch (f->state) {
	case ESC:
		f->nparams = 0;
		f->private = false;
		memset(f->params, 0, sizeof(f->params));
		f->state = b == '[' ? CSI : strchr("]P_^X", b) ? STRING : b < 0x30 ? ESC_MORE : GROUND;
		if (f->input && b == 'O')
			f->state = ESC_MORE; /* cursor keys in application mode */
		if (b == 'E' || b == 'D' || b == 'M' || b == 'c')
			flat_flush(f);
		break;
	case ESC_MORE:
		f->state = b < 0x30 ? ESC_MORE : GROUND;
		break;
	case CSI:
		if (b >= '0' && b <= '9') {
			unsigned i = f->nparams ? f->nparams - 1u : 0;
			f->nparams += !f->nparams;
			unsigned v = f->params[i] * 10u + (b - '0');
			f->params[i] = (uint16_t)(v > 9999 ? 9999 : v);
		} else if (b == ';') {
			f->nparams += !f->nparams;
			f->nparams += f->nparams < 8;
		} else if (b >= 0x3c && b <= 0x3f) {
			f->private = true;
		} else if (b < 0x40) {
			f->state = CSI_SKIP;
		} else {
			f->state = GROUND;
			csi(f, b);
		}
		break;
	default: /* CSI_SKIP: intermediate bytes: nothing that moves within a line */
		if (b >= 0x40)
			f->state = GROUND;
		break;
	}
}

static void character(struct flat *f, uint8_t b)
{
	uint32_t cp;
	if (f->nheld && (b & 0xc0) != 0x80) {
		put(f, 0xfffd);
		f->nheld = 0;
	}
	if (b < 0x80) {
		if (b < 0x20 || b == 0x7f)
			control(f, b);
		else
			put(f, b);
		return;
	}
	f->held[f->nheld++] = b;
	size_t want = f->held[0] >= 0xf0 ? 4 : f->held[0] >= 0xe0 ? 3 : f->held[0] >= 0xc2 ? 2 : 1;
	if (f->nheld < want)
		return;
	put(f, text_utf8(f->held, f->nheld, &cp) == f->nheld ? cp : 0xfffd);
	f->nheld = 0;
}

void flat_feed(struct flat *f, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (f->state != GROUND) {
			sequence(f, p[i]);
		} else if (p[i] == 0x1b) {
			f->nheld = 0;
			f->state = ESC;
		} else {
			character(f, p[i]);
		}
	}
}
