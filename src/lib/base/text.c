/* SPDX-License-Identifier: ISC */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

size_t text_utf8(const uint8_t *p, size_t n, uint32_t *cp)
{
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	uint32_t c = p[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

bool text_harmless(uint32_t c, bool keep_tab)
{
	if (c == '\t')
		return keep_tab;
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	return !(c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
		 (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029);
}

size_t text_safe(char *dst, size_t cap, const void *src, size_t n, bool keep_tab)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = src;
	size_t out = 0;
	if (!cap)
		return 0;
	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = text_utf8(p + i, n - i, &c);
		bool ok = len && text_harmless(c, keep_tab);
		if (!len)
			len = 1;
		size_t need = ok ? len : 4 * len;
		if (out + need + 1 > cap)
			break;
		for (size_t k = 0; k < len; k++) {
			uint8_t b = p[i + k];
			if (ok) {
				dst[out++] = (char)b;
				continue;
			}
			dst[out++] = '\\';
			dst[out++] = 'x';
			dst[out++] = hex[b >> 4];
			dst[out++] = hex[b & 15];
		}
		i += len;
	}
	dst[out] = '\0';
	return out;
}

bool text_copy(char *dst, size_t cap, const char *src)
{
	size_t n = strlen(src);
	if (n >= cap)
		return false;
	memcpy(dst, src, n + 1);
	return true;
}

static void add(struct text_out *o, const char *s, size_t n)
{
	size_t room = o->cap - 1 - o->n;
	if (n > room)
		n = room;
	memcpy(o->p + o->n, s, n);
	o->n += n;
	o->p[o->n] = 0;
}

void text_add(struct text_out *o, const char *s)
{
	add(o, s, strlen(s));
}

void text_add_number(struct text_out *o, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);
	do
		digits[--n] = (char)('0' + v % 10);
	while (v /= 10);
	add(o, digits + n, sizeof(digits) - n);
}

bool text_is_name(const char *s)
{
	size_t n = strlen(s);
	if (!n || n > 31 || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	return true;
}

/* Digits, then nothing or one unit letter out of `units`; *unit is its index
 * or -1. */
static bool number(const char *s, const char *units, uint64_t *out, int *unit)
{
	uint64_t v = 0;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*unit = -1;
	if (*s) {
		const char *u = strchr(units, *s);
		if (!u || s[1])
			return false;
		*unit = (int)(u - units);
	}
	*out = v;
	return true;
}

bool text_bytes(const char *s, uint64_t *out)
{
	static const uint64_t mul[] = { 1ull << 10, 1ull << 10, 1ull << 20, 1ull << 30, 1ull << 40 };
	uint64_t v;
	int u;
	if (!number(s, "kKMGT", &v, &u) || __builtin_mul_overflow(v, u < 0 ? 1 : mul[u], &v))
		return false;
	*out = v;
	return true;
}

bool text_seconds(const char *s, uint64_t *out)
{
	static const uint64_t mul[] = { 1, 60, 3600, 86400 };
	uint64_t v;
	int u;
	if (!number(s, "smhd", &v, &u) || u < 0 || __builtin_mul_overflow(v, mul[u], &v))
		return false;
	*out = v;
	return true;
}
