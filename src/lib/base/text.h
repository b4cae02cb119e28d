/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_TEXT_H
#define SKEP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text that an intruder may have chosen, made safe for an operator's terminal:
 * C0 (but tab only if keep_tab), DEL, C1, invalid UTF-8 and the bidirectional
 * controls (U+061C U+200E U+200F U+202A-202E U+2066-2069) become \xNN of their
 * bytes. Writes at most cap bytes including the final NUL; returns the length
 * written without it. Never fails; what does not fit is left out whole.
 */
size_t text_safe(char *dst, size_t cap, const void *src, size_t n, bool keep_tab);

/* Length of the well-formed UTF-8 sequence at p[0..n), n > 0 (RFC 3629), 0 if
 * there is none; *cp is its code point. */
size_t text_utf8(const uint8_t *p, size_t n, uint32_t *cp);
/* False for the code points that text_safe does not let through. */
bool text_harmless(uint32_t cp, bool keep_tab);

/* Copies src into dst[cap]; false (and dst untouched) if it does not fit. */
bool text_copy(char *dst, size_t cap, const char *src);

/* Text that is put together piece by piece; what does not fit is cut off, and it
 * always ends with NUL. For what is written for each frame: printf would take
 * most of the time. */
struct text_out {
	char *p;
	size_t cap, n; /* cap > 0 */
};
void text_add(struct text_out *o, const char *s);
void text_add_number(struct text_out *o, uint64_t v);

/* A honeynet's, network's or honeypot's name: [a-z0-9][a-z0-9-]{0,30}. Names
 * become file names and interface names: nothing else is let through. */
bool text_is_name(const char *s);

/* "64M", "10k", "1G" (powers of 1024) -> bytes. false if not of that form. */
bool text_bytes(const char *s, uint64_t *out);

/* "30s", "5m", "2h", "7d" -> seconds. */
bool text_seconds(const char *s, uint64_t *out);

#endif
