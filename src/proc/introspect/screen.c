/* SPDX-License-Identifier: ISC */
#include "proc/introspect/screen.h"

#include <string.h>

enum { GROUND, ESC, CSI, TEXT, TEXT_ESC, CHARSET, ENDED };

/* East Asian wide and emoji, roughly (Unicode's EastAsianWidth.txt). */
static unsigned width(uint32_t c)
{
	if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff)
		return 0;
	if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
	    (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
	    (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1f64f) || (c >= 0x1f900 && c <= 0x1f9ff) ||
	    (c >= 0x20000 && c <= 0x3fffd))
		return 2;
	return 1;
}

static unsigned row(const struct screen *s, unsigned pos)
{
	return s->cols ? pos / s->cols : 0;
}

static unsigned here(const struct screen *s)
{
	return row(s, s->edge ? s->pos - 1u : s->pos);
}

static void go(struct screen *s, unsigned pos)
{
	if (pos > SCREEN_CELLS) {
		pos = SCREEN_CELLS;
		s->over = true;
	}
	s->pos = (uint16_t)pos;
	s->edge = false;
}

static void forget(struct screen *s)
{
	s->len = s->pos = 0;
	s->edge = s->over = false;
}

static void show(struct screen *s, uint32_t c)
{
	unsigned w = width(c);
	if (!w)
		return;
	if (s->pos + w > SCREEN_CELLS) {
		s->over = true;
		return;
	}
	while (s->len < s->pos)
		s->cell[s->len++] = ' ';
	s->cell[s->pos++] = c;
	if (w == 2)
		s->cell[s->pos++] = 0;
	if (s->len < s->pos)
		s->len = s->pos;
	s->edge = s->cols && s->pos % s->cols == 0;
}

static void take_out(struct screen *s, unsigned n)
{
	if (s->pos >= s->len)
		return;
	if (n > (unsigned)(s->len - s->pos))
		n = s->len - s->pos;
	memmove(s->cell + s->pos, s->cell + s->pos + n, (s->len - s->pos - n) * sizeof(s->cell[0]));
	s->len = (uint16_t)(s->len - n);
}

static void insert(struct screen *s, unsigned n)
{
	if (s->pos >= s->len)
		return;
	if (n > SCREEN_CELLS - s->len)
		n = SCREEN_CELLS - s->len;
	memmove(s->cell + s->pos + n, s->cell + s->pos, (s->len - s->pos) * sizeof(s->cell[0]));
	for (unsigned i = 0; i < n; i++)
		s->cell[s->pos + i] = ' ';
	s->len = (uint16_t)(s->len + n);
}

static void blank(struct screen *s, unsigned from, unsigned to)
{
	if (to >= s->len) {
		if (from < s->len)
			s->len = (uint16_t)from;
		return;
	}
	for (unsigned i = from; i < to; i++)
		s->cell[i] = ' ';
}

static unsigned end_of_row(const struct screen *s)
{
	return s->cols ? (here(s) + 1) * s->cols : SCREEN_CELLS;
}

static void erase_in_line(struct screen *s)
{
	unsigned start = here(s) * s->cols;
	if (s->param[0] == 0)
		blank(s, s->pos, end_of_row(s));
	else
		blank(s, start, s->param[0] == 1 ? s->pos + 1u : end_of_row(s));
}

static void mode(struct screen *s, bool on)
{
	if (!s->priv)
		return;
	for (unsigned i = 0; i < s->nparams; i++)
		if (s->param[i] == 1049 || s->param[i] == 1047 || s->param[i] == 47) {
			s->alt = on;
			forget(s);
		}
}

static void csi(struct screen *s, uint8_t final)
{
	unsigned n = s->param[0] ? s->param[0] : 1, cols = s->cols;
	switch (final) {
	case 'C':
		go(s, s->pos + n);
		break;
	case 'D':
		go(s, s->pos > n ? s->pos - n : 0);
		break;
	case 'A':
		go(s, s->pos >= n * cols ? s->pos - n * cols : s->pos);
		break;
	case 'B':
		go(s, s->pos + n * cols);
		break;
	case 'G':
		go(s, here(s) * cols + n - 1);
		break;
	case 'K':
		erase_in_line(s);
		break;
	case 'J':
		if (s->param[0] == 0)
			blank(s, s->pos, SCREEN_CELLS);
		else
			forget(s);
		break;
	case 'P':
		take_out(s, n);
		break;
	case '@':
		insert(s, n);
		break;
	case 'X':
		blank(s, s->pos, s->pos + n);
		break;
	case 'H':
	case 'f':
	case 'd':
		forget(s);
		break;
	case 'h':
	case 'l':
		mode(s, final == 'h');
		break;
	}
}

static void in_csi(struct screen *s, uint8_t b)
{
	if (b >= '0' && b <= '9') {
		if (!s->nparams)
			s->nparams = 1;
		uint16_t *p = &s->param[s->nparams - 1];
		*p = (uint16_t)(*p < 1000 ? *p * 10 + (b - '0') : 9999);
	} else if (b == ';' || b == ':') {
		if (!s->nparams)
			s->nparams = 1;
		if (s->nparams < 4)
			s->nparams++;
	} else if (b >= 0x3c && b <= 0x3f) {
		s->priv = true;
	} else if (b >= 0x40 && b <= 0x7e) {
		s->state = GROUND;
		csi(s, b);
	} else if (b == 0x1b) {
		s->state = ESC;
	}
}

static void in_esc(struct screen *s, uint8_t b)
{
	s->state = GROUND;
	if (b == '[') {
		s->state = CSI;
		s->priv = false;
		s->nparams = 0;
		memset(s->param, 0, sizeof(s->param));
	} else if (b == ']' || b == 'P' || b == '^' || b == '_' || b == 'X') {
		s->state = TEXT;
	} else if (b >= 0x20 && b <= 0x2f) {
		s->state = CHARSET;
	} else if (b == 'c') {
		s->alt = false;
		forget(s);
	}
}

static bool control(struct screen *s, uint8_t b)
{
	switch (b) {
	case 0x1b:
		s->state = ESC;
		break;
	case '\b':
		if (s->pos && (s->edge || !s->cols || s->pos % s->cols))
			go(s, s->pos - 1u);
		break;
	case '\r':
		go(s, here(s) * s->cols);
		break;
	case '\t':
		go(s, (s->pos | 7u) + 1);
		break;
	case '\n':
	case 0x0b:
	case 0x0c:
		if (s->cols && s->len && here(s) < row(s, s->len - 1u)) {
			go(s, s->pos + s->cols);
			break;
		}
		s->state = ENDED;
		return true;
	}
	return false;
}

static void utf8(struct screen *s, uint8_t b)
{
	if (s->more && (b & 0xc0) == 0x80) {
		s->cp = s->cp << 6 | (b & 0x3f);
		if (!--s->more)
			show(s, s->cp <= 0x10ffff ? s->cp : 0xfffd);
		return;
	}
	s->more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : b >= 0xc0 ? 1 : 0;
	s->cp = b & (0x3fu >> s->more);
	if (!s->more)
		show(s, 0xfffd);
}

bool screen_put(struct screen *s, uint8_t b)
{
	if (s->state == ENDED) {
		s->state = GROUND;
		forget(s);
	}
	switch (s->state) {
	case ESC:
		in_esc(s, b);
		return false;
	case CSI:
		in_csi(s, b);
		return false;
	case TEXT:
		if (b == 7 || b == 0x18 || b == 0x1a)
			s->state = GROUND;
		else if (b == 0x1b)
			s->state = TEXT_ESC;
		return false;
	case TEXT_ESC:
		s->state = GROUND;
		if (b != '\\')
			in_esc(s, b);
		return false;
	case CHARSET:
		if (b < 0x20 || b > 0x2f)
			s->state = GROUND;
		return false;
	}
	if (b < 0x20 || b == 0x7f) {
		s->more = 0;
		return control(s, b);
	}
	if (b < 0x80) {
		s->more = 0;
		show(s, b);
	} else {
		utf8(s, b);
	}
	return false;
}

static size_t encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static size_t text(const struct screen *s, unsigned len, char *out, size_t cap)
{
	size_t n = 0;
	for (unsigned i = 0; i < len; i++) {
		char u[4];
		if (!s->cell[i])
			continue;
		size_t k = encode(s->cell[i], u);
		if (n + k >= cap)
			break;
		memcpy(out + n, u, k);
		n += k;
	}
	out[n] = 0;
	return n;
}

size_t screen_text(const struct screen *s, char *out, size_t cap)
{
	unsigned len = s->len;
	while (len && s->cell[len - 1] == ' ')
		len--;
	return text(s, len, out, cap);
}

size_t screen_prompt(const struct screen *s, char *out, size_t cap)
{
	return text(s, s->pos < s->len ? s->pos : s->len, out, cap);
}
