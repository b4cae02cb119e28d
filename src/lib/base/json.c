/* SPDX-License-Identifier: ISC */
#include "base/json.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

void json_init(struct json *j, char *buf, size_t cap)
{
	*j = (struct json){ .buf = buf, .cap = cap };
}

static void raw(struct json *j, const char *p, size_t n)
{
	if (j->full || n > j->cap - j->n) {
		j->full = true;
		return;
	}
	memcpy(j->buf + j->n, p, n);
	j->n += n;
}

/* The comma and the key in front of a value. */
static void lead(struct json *j, const char *key)
{
	if (j->some & 1u << j->depth)
		raw(j, ",", 1);
	j->some |= 1u << j->depth;
	if (!key)
		return;
	raw(j, "\"", 1);
	raw(j, key, strlen(key));
	raw(j, "\":", 2);
}

static void enter(struct json *j, const char *key, bool array)
{
	lead(j, key);
	if (j->depth + 1 >= JSON_DEPTH) {
		j->full = true;
		return;
	}
	raw(j, array ? "[" : "{", 1);
	j->depth++;
	uint32_t bit = 1u << j->depth;
	j->some &= ~bit;
	j->array = array ? j->array | bit : j->array & ~bit;
}

void json_obj(struct json *j, const char *key)
{
	enter(j, key, false);
}

void json_arr(struct json *j, const char *key)
{
	enter(j, key, true);
}

void json_end(struct json *j)
{
	if (!j->depth) {
		j->full = true;
		return;
	}
	raw(j, j->array & 1u << j->depth ? "]" : "}", 1);
	j->depth--;
}

static void escape(struct json *j, uint32_t c)
{
	char u[6] = { '\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15] };
	switch (c) {
	case '"':
		raw(j, "\\\"", 2);
		break;
	case '\\':
		raw(j, "\\\\", 2);
		break;
	case '\n':
		raw(j, "\\n", 2);
		break;
	case '\r':
		raw(j, "\\r", 2);
		break;
	case '\t':
		raw(j, "\\t", 2);
		break;
	default:
		/* All that text_harmless refuses is below 0x10000. */
		raw(j, u, sizeof(u));
	}
}

void json_bytes(struct json *j, const char *key, const void *p, size_t n)
{
	const uint8_t *b = p;
	lead(j, key);
	raw(j, "\"", 1);
	size_t from = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = text_utf8(b + i, n - i, &c);
		if (len && c != '"' && c != '\\' && text_harmless(c, false)) {
			i += len;
			continue;
		}
		raw(j, (const char *)b + from, i - from);
		escape(j, len ? c : 0xfffd);
		i += len ? len : 1;
		from = i;
	}
	if (n)
		raw(j, (const char *)b + from, n - from);
	raw(j, "\"", 1);
}

void json_str(struct json *j, const char *key, const char *s)
{
	json_bytes(j, key, s, strlen(s));
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	char d[24], *p = d + sizeof(d);
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	lead(j, key);
	raw(j, p, (size_t)(d + sizeof(d) - p));
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	char d[24];
	int n = snprintf(d, sizeof(d), "%lld", (long long)v);
	lead(j, key);
	raw(j, d, (size_t)n);
}

void json_bool(struct json *j, const char *key, bool v)
{
	lead(j, key);
	raw(j, v ? "true" : "false", v ? 4 : 5);
}

/* Year, month, day of the days since 1970-01-01 (proleptic Gregorian), in
 * eras of 400 years that begin on a 1st of March. No libc time zone code: that
 * would read files. */
static void civil(uint64_t days, unsigned *y, unsigned *m, unsigned *d)
{
	uint64_t z = days + 719468, era = z / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + (unsigned)era * 400 + (*m <= 2);
}

static char *digits(char *p, unsigned v, int n)
{
	for (int i = n - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

size_t json_time_text(char buf[JSON_TIME], uint64_t ns)
{
	uint64_t sec = ns / 1000000000u;
	unsigned y, m, d, s = (unsigned)(sec % 86400);
	civil(sec / 86400, &y, &m, &d);
	char *p = digits(buf, y, 4);
	*p++ = '-';
	p = digits(p, m, 2);
	*p++ = '-';
	p = digits(p, d, 2);
	*p++ = 'T';
	p = digits(p, s / 3600, 2);
	*p++ = ':';
	p = digits(p, s / 60 % 60, 2);
	*p++ = ':';
	p = digits(p, s % 60, 2);
	*p++ = '.';
	p = digits(p, (unsigned)(ns % 1000000000u / 1000), 6);
	memcpy(p, "+0000", 6);
	return (size_t)(p + 5 - buf);
}

void json_time(struct json *j, const char *key, uint64_t ns)
{
	char t[JSON_TIME];
	size_t n = json_time_text(t, ns);
	lead(j, key);
	raw(j, "\"", 1);
	raw(j, t, n);
	raw(j, "\"", 1);
}

void json_hex(struct json *j, const char *key, const void *p, size_t n)
{
	const uint8_t *b = p;
	lead(j, key);
	raw(j, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		char two[2] = { hex[b[i] >> 4], hex[b[i] & 15] };
		raw(j, two, 2);
	}
	raw(j, "\"", 1);
}

void json_newline(struct json *j)
{
	raw(j, "\n", 1);
}
