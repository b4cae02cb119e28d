/* SPDX-License-Identifier: ISC */
#include "cli/term.h"

#include "base/text.h"

#include <stdbool.h>
#include <string.h>

/* Attributes, charset, keypad, cursor keys, wrap, cursor, alternate screen,
 * bracketed paste, scroll region (which moves the cursor: saved around it). */
const char term_reset[] = "\033[0m\033(B\033>\033[?1l\033[?7h\033[?25h\033[?1049l\033[?2004l\0337\033[r\0338";

static size_t hex(uint8_t *out, uint8_t b)
{
	static const char digit[] = "0123456789abcdef";
	out[0] = '\\';
	out[1] = 'x';
	out[2] = (uint8_t)digit[b >> 4];
	out[3] = (uint8_t)digit[b & 15];
	return 4;
}

enum match { NO, MORE, YES };

/* DEC private modes (xterm's ctlseqs) that only change how we draw or what our
 * own keys send. */
static bool private_modes(const char *p)
{
	static const char *const ok[] = { "1", "7", "12", "25", "47", "1047", "1048", "1049", "2004" };
	while (*p) {
		size_t n = strcspn(p, ";"), i = 0, count = sizeof(ok) / sizeof(ok[0]);
		while (i < count && (strlen(ok[i]) != n || memcmp(ok[i], p, n) != 0))
			i++;
		if (i == count)
			return false;
		p += n + (p[n] == ';');
	}
	return true;
}

/* s[0..n) begins with ESC [ . */
static enum match csi(const uint8_t *s, size_t n)
{
	char params[TERM_SEQ + 1];
	size_t i = 2, np = 0;
	bool private = n > 2 && s[2] == '?';
	if (private)
		i++;
	while (i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == ';'))
		params[np++] = (char)s[i++];
	params[np] = 0;
	if (i == n)
		return n < TERM_SEQ ? MORE : NO;
	if (private)
		return (s[i] == 'h' || s[i] == 'l') && np && private_modes(params) ? YES : NO;
	/* Not among them: b (repeats up to 2^31 times), c and n (answer), h and l
	 * without '?', t (window; answers with its title), p, q, y. */
	return strchr("@ABCDEFGHIJKLMPSTXZ`adefmrsu", s[i]) && s[i] ? YES : NO;
}

/* s[0] is ESC: is s[0..n) a sequence that may pass? */
static enum match sequence(const uint8_t *s, size_t n)
{
	if (n == 1)
		return MORE;
	switch (s[1]) {
	case '[':
		return csi(s, n);
	case '(':
	case ')':
		if (n == 2)
			return MORE;
		return s[2] == 'B' || s[2] == '0' || s[2] == 'A' ? YES : NO;
	case '7':
	case '8':
	case 'D':
	case 'E':
	case 'M':
	case '=':
	case '>':
		return YES;
#ifdef MUTANT_CLI_TERM_OSC
	case ']':
		return n < 3 ? MORE : YES;
#endif
	default:
		return NO;
	}
}

/* A character of more than one byte: is s[0..n) one, whole and harmless? */
static enum match character(const uint8_t *s, size_t n)
{
	size_t want = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return NO;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return NO;
	if (n < want)
		return MORE;
	char safe[20];
	return text_safe(safe, sizeof(safe), s, n, false) == n ? YES : NO;
}

static enum match judge(const struct term *t, const uint8_t *s, size_t n)
{
	uint8_t b = s[0];
	if (b >= 0x80)
		return character(s, n);
	if (b == 0x1b)
		return t->mode == TERM_LINES ? sequence(s, n) : NO;
	if (b == '\n' || b == '\t' || (b >= 0x20 && b < 0x7f))
		return YES;
	return b == '\r' || (t->mode == TERM_LINES && (b == '\b' || b == '\a')) ? YES : NO;
}

static size_t push(struct term *t, uint8_t b, uint8_t *out)
{
	t->held[t->nheld++] = b;
	enum match m = judge(t, t->held, t->nheld);
	if (m == MORE)
		return 0;
	uint8_t was[TERM_SEQ];
	size_t n = t->nheld, o = 0;
	memcpy(was, t->held, n);
	t->nheld = 0;
	if (m == YES) {
		memcpy(out, was, n);
		return n;
	}
	/* The first byte begins nothing that may pass; what came after it is
	 * judged anew. Ends, since it is one byte less each time. */
	o = hex(out, was[0]);
	for (size_t i = 1; i < n; i++)
		o += push(t, was[i], out + o);
	return o;
}

size_t term_filter(struct term *t, const uint8_t *in, size_t n, uint8_t *out)
{
	if (t->mode == TERM_RAW) {
		memcpy(out, in, n);
		return n;
	}
	size_t o = 0;
	for (size_t i = 0; i < n; i++)
		o += push(t, in[i], out + o);
	return o;
}

size_t term_end(struct term *t, uint8_t *out)
{
	size_t o = 0;
	for (size_t i = 0; i < t->nheld; i++)
		o += hex(out + o, t->held[i]);
	t->nheld = 0;
	return o;
}
