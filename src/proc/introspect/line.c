/* SPDX-License-Identifier: ISC */
#include "proc/introspect/line.h"

#include <string.h>
#include <strings.h>

enum { GROUND, ESC, CSI, SS3, TEXT, TEXT_ESC };
static const char paste_end[] = "\033[201~";

/* ---- prompts ------------------------------------------------------------- */

static size_t trimmed(const char *s, const char *set)
{
	size_t n = strlen(s);
	while (n && strchr(set, s[n - 1]))
		n--;
	return n;
}

bool line_asks_secret(const char *prompt)
{
	static const char *const words[] = { "password", "passphrase", "passcode", "secret", "PIN" };
	size_t n = trimmed(prompt, " *");
	if (!n || (prompt[n - 1] != ':' && prompt[n - 1] != '?'))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t k = strlen(words[i]);
		for (size_t at = 0; at + k <= n; at++) {
			bool exact = words[i][0] == 'P';
			if (exact ? !strncmp(prompt + at, words[i], k) : !strncasecmp(prompt + at, words[i], k))
				return true;
		}
	}
	return false;
}

static bool asks_name(const char *prompt)
{
	size_t n = trimmed(prompt, " ");
	return (n >= 6 && !strncasecmp(prompt + n - 6, "login:", 6)) ||
	       (n >= 9 && !strncasecmp(prompt + n - 9, "username:", 9));
}

/* ---- what becomes of an entered line --------------------------------------- */

static void settle(struct line *l, line_fn fn, void *arg, const char *text, size_t n, const char *prompt,
		   unsigned flags)
{
	enum line_what what = LINE_COMMAND;
	l->waiting = false;
	if (l->wait.cut)
		flags |= LINE_F_CUT;
	if (asks_name(prompt))
		what = LINE_NAME;
	if (n)
		fn(arg, what, text, n, prompt, flags);
}

static void settle_secret(struct line *l, line_fn fn, void *arg, const char *prompt)
{
	l->waiting = false;
	enum line_what what = LINE_SECRET;
#ifdef MUTANT_LINE_PASSWORD_SHOWN
	what = LINE_COMMAND;
#endif
	fn(arg, what, l->wait.text, l->wait.n, prompt, l->wait.cut ? LINE_F_CUT : 0);
}

/* Did the program answer, but without showing what was typed? */
static bool hidden(const struct line *l)
{
	char shown[SCREEN_CELLS * 4 + 1];
	const char *last = memrchr(l->wait.text, '\n', l->wait.n);
	last = last ? last + 1 : l->wait.text;
	screen_text(&l->screen, shown, sizeof(shown));
	return l->wait_bytes && !l->screen.over && !strstr(shown, last);
}

void line_flush(struct line *l, line_fn fn, void *arg)
{
	if (!l->waiting)
		return;
	if (line_asks_secret(l->wait.prompt))
		settle_secret(l, fn, arg, l->wait.prompt);
	else
		settle(l, fn, arg, l->wait.text, l->wait.n, l->wait.prompt,
		       l->wait.edited ? LINE_F_EDITED | LINE_F_CUT
		       : hidden(l)    ? LINE_F_NOECHO
				      : 0);
}

/* How many bytes at the ends of both are equal. */
static size_t common_tail(const char *a, size_t an, const char *b, size_t bn)
{
	size_t k = 0;
	while (k < an && k < bn && a[an - 1 - k] == b[bn - 1 - k])
		k++;
	return k;
}

static void give_up(struct line *l, line_fn fn, void *arg)
{
	unsigned flags = l->wait.edited ? LINE_F_EDITED | LINE_F_CUT : LINE_F_NOECHO;
	settle(l, fn, arg, l->wait.text, l->wait.n, l->wait.prompt, flags);
}

/* A line of output ended while a typed one waits; shown[n] is that line. */
static void compare(struct line *l, const char *shown, size_t n, line_fn fn, void *arg)
{
	struct typed *w = &l->wait;
	char before[LINE_PROMPT];
	/* Of a pasted block only the last line stands there; blanks at the end are not seen. */
	const char *last = memrchr(w->text, '\n', w->n);
	last = last ? last + 1 : w->text;
	size_t ln = (size_t)(w->text + w->n - last), stripped = ln;
	while (stripped && last[stripped - 1] == ' ')
		stripped--;
	size_t same = common_tail(last, stripped, shown, n);
	bool echoed = stripped && same == stripped;
	size_t pn = n - (echoed ? stripped : 0) < sizeof(before) - 1 ? n - (echoed ? stripped : 0) : sizeof(before) - 1;
	memcpy(before, shown, pn);
	before[pn] = 0;
	if (!echoed && line_asks_secret(before)) {
		settle_secret(l, fn, arg, before);
		return;
	}
	size_t prompt = strlen(w->prompt), bare = trimmed(w->prompt, " ");
	bool same_prompt = n >= bare && !memcmp(shown, w->prompt, bare);
	if (w->edited) {
		if (same_prompt && (bare || l->wait_lines == 0)) {
			size_t skip = prompt < n ? prompt : n;
			settle(l, fn, arg, shown + skip, n - skip, w->prompt, LINE_F_EDITED);
			return;
		}
	} else if (echoed || l->screen.over) {
		settle(l, fn, arg, w->text, w->n, before, 0);
		return;
	} else if (same && same < n && shown[n - same - 1] == ' ' && last == w->text) {
		/* A program took the first keys, and the rest is a line. */
		settle(l, fn, arg, last + stripped - same, same, before, LINE_F_EDITED);
		return;
	} else if (n == bare && same_prompt && bare) {
		give_up(l, fn, arg);
		return;
	}
	if (++l->wait_lines >= LINE_WAIT)
		give_up(l, fn, arg);
}

void line_output(struct line *l, const uint8_t *p, size_t n, line_fn fn, void *arg)
{
	char shown[SCREEN_CELLS * 4 + 1];
	for (size_t i = 0; i < n; i++) {
		if (screen_put(&l->screen, p[i])) {
			size_t k = screen_text(&l->screen, shown, sizeof(shown));
			fn(arg, LINE_SHOWN, shown, k, "", 0);
			if (l->waiting)
				compare(l, shown, k, fn, arg);
		}
		if (l->waiting && ++l->wait_bytes > LINE_WAIT_BYTES)
			give_up(l, fn, arg);
	}
}

void line_cols(struct line *l, uint16_t cols)
{
	l->screen.cols = cols > SCREEN_CELLS ? 0 : cols;
}

/* ---- keys ------------------------------------------------------------------ */

static void begin(struct line *l)
{
	if (l->begun)
		return;
	l->begun = true;
	screen_prompt(&l->screen, l->now.prompt, sizeof(l->now.prompt));
}

static void clear(struct line *l)
{
	l->now.n = l->cursor = 0;
	l->now.cut = l->now.edited = l->begun = false;
	l->now.prompt[0] = 0;
}

static void enter(struct line *l, line_fn fn, void *arg)
{
	line_flush(l, fn, arg);
	begin(l); /* an empty password has a prompt too */
	bool something = l->now.n || l->now.edited || line_asks_secret(l->now.prompt);
	if (something && !l->screen.alt) {
		l->now.text[l->now.n] = 0;
		l->wait = l->now;
		l->waiting = true;
		l->wait_lines = l->wait_bytes = 0;
	}
	clear(l);
}

static void insert(struct line *l, uint8_t b)
{
	if (!b)
		return; /* it would end the text */
	begin(l);
	if (l->now.n >= LINE_CAP) {
		l->now.cut = true;
		return;
	}
	memmove(l->now.text + l->cursor + 1, l->now.text + l->cursor, l->now.n - l->cursor);
	l->now.text[l->cursor++] = (char)b;
	l->now.n++;
}

static void remove_between(struct line *l, unsigned from, unsigned to)
{
	begin(l);
	memmove(l->now.text + from, l->now.text + to, l->now.n - to);
	l->now.n = (uint16_t)(l->now.n - (to - from));
	l->cursor = (uint16_t)from;
}

static bool inside(const struct line *l, unsigned at)
{
	return ((uint8_t)l->now.text[at] & 0xc0) == 0x80;
}

static unsigned left(const struct line *l)
{
	unsigned at = l->cursor;
	if (at)
		at--;
	while (at && inside(l, at))
		at--;
	return at;
}

static unsigned right(const struct line *l)
{
	unsigned at = l->cursor;
	if (at < l->now.n)
		at++;
	while (at < l->now.n && inside(l, at))
		at++;
	return at;
}

static unsigned word_left(const struct line *l)
{
	unsigned at = l->cursor;
	while (at && l->now.text[at - 1] == ' ')
		at--;
	while (at && l->now.text[at - 1] != ' ')
		at--;
	return at;
}

static void unknown_effect(struct line *l)
{
	begin(l);
	l->now.edited = true;
}

static void move(struct line *l, uint8_t final)
{
	switch (final) {
	case 'C':
		l->cursor = (uint16_t)right(l);
		break;
	case 'D':
		l->cursor = (uint16_t)left(l);
		break;
	case 'H':
		l->cursor = 0;
		break;
	case 'F':
		l->cursor = l->now.n;
		break;
	case 'A':
	case 'B':
	case 'Z':
		unknown_effect(l);
		break;
	}
}

static void tilde(struct line *l)
{
	switch (l->param) {
	case 1:
	case 7:
		l->cursor = 0;
		break;
	case 4:
	case 8:
		l->cursor = l->now.n;
		break;
	case 3:
		remove_between(l, l->cursor, right(l));
		break;
	case 5:
	case 6:
		unknown_effect(l);
		break;
	case 200:
		l->paste = true;
		l->matched = 0;
		break;
	}
}

/* What terminals answer or report (positions, focus, mice) is no key. */
static void in_csi(struct line *l, uint8_t b)
{
	if (b >= '0' && b <= '9') {
		if (!l->nparams)
			l->nparams = 1;
		if (l->nparams == 1)
			l->param = (uint16_t)(l->param < 1000 ? l->param * 10 + (b - '0') : 9999);
		return;
	}
	if (b == ';') {
		l->nparams = 2;
		return;
	}
	if (b < 0x40 || b > 0x7e) {
		if (b == 0x1b)
			l->state = ESC;
		return;
	}
	l->state = GROUND;
	if (b == 'M' && !l->nparams)
		l->swallow = 3;
	else if (b == '~')
		tilde(l);
	else if (l->nparams > 1 && b >= 'A' && b <= 'H')
		unknown_effect(l);
	else
		move(l, b);
}

static void in_esc(struct line *l, uint8_t b)
{
	l->state = GROUND;
	if (b == '[') {
		l->state = CSI;
		l->nparams = 0;
		l->param = 0;
	} else if (b == 'O') {
		l->state = SS3;
	} else if (b == ']' || b == 'P' || b == '_' || b == '^') {
		l->state = TEXT;
	} else if (b == 0x1b) {
		l->state = ESC;
	} else {
		unknown_effect(l); /* Meta and a key */
	}
}

static void in_paste(struct line *l, uint8_t b)
{
	if (b == (uint8_t)paste_end[l->matched]) {
		if (!paste_end[++l->matched])
			l->paste = false;
		return;
	}
	for (unsigned i = 0; i < l->matched; i++)
		insert(l, (uint8_t)paste_end[i]);
	l->matched = 0;
	if (b == (uint8_t)paste_end[0])
		l->matched = 1;
	else
		insert(l, b == '\r' ? '\n' : b);
}

static bool escaped(struct line *l, uint8_t b)
{
	if (l->swallow) {
		l->swallow--;
		return true;
	}
	if (l->paste) {
		in_paste(l, b);
		return true;
	}
	switch (l->state) {
	case GROUND:
		return false;
	case ESC:
		in_esc(l, b);
		break;
	case CSI:
		in_csi(l, b);
		break;
	case SS3:
		l->state = GROUND;
		move(l, b);
		break;
	case TEXT:
		if (b == 7)
			l->state = GROUND;
		else if (b == 0x1b)
			l->state = TEXT_ESC;
		else if (b == '\r' || b == '\n' || b == 3)
			l->state = GROUND; /* Meta-P was typed, not an answer */
		break;
	case TEXT_ESC:
		l->state = GROUND;
		if (b != '\\')
			in_esc(l, b);
		break;
	}
	return true;
}

static void control(struct line *l, uint8_t b)
{
	switch (b) {
	case 0x7f:
	case '\b':
		remove_between(l, left(l), l->cursor);
		break;
	case 0x01:
		l->cursor = 0;
		break;
	case 0x02:
		l->cursor = (uint16_t)left(l);
		break;
	case 0x03: /* ^C */
	case 0x1c:
		clear(l);
		break;
	case 0x04: /* end of file, or delete */
		if (l->now.n)
			remove_between(l, l->cursor, right(l));
		break;
	case 0x05:
		l->cursor = l->now.n;
		break;
	case 0x06:
		l->cursor = (uint16_t)right(l);
		break;
	case 0x0b:
		remove_between(l, l->cursor, l->now.n);
		break;
	case 0x15:
		remove_between(l, 0, l->cursor);
		break;
	case 0x16:
		l->quote = true;
		break;
	case 0x17:
		remove_between(l, word_left(l), l->cursor);
		break;
	case '\t':
	case 0x0e: /* next in history */
	case 0x10: /* previous */
	case 0x12: /* search */
	case 0x14: /* transpose */
	case 0x18: /* a prefix */
	case 0x19: /* yank */
	case 0x1f: /* undo */
		unknown_effect(l);
		break;
	case 0x1b:
		l->state = ESC;
		break;
	}
}

void line_input(struct line *l, const uint8_t *p, size_t n, line_fn fn, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b = p[i];
		bool after_cr = l->after_cr;
		l->after_cr = false;
		if (escaped(l, b)) {
			continue;
		} else if (l->quote) {
			l->quote = false;
			insert(l, b);
		} else if (b == '\r' || b == 0x0f || (b == '\n' && !after_cr)) {
			if (b == 0x0f)
				l->now.edited = true;
			l->after_cr = b == '\r';
			enter(l, fn, arg);
		} else if (b >= 0x20 && b != 0x7f) {
			insert(l, b);
		} else {
			control(l, b);
		}
	}
}
