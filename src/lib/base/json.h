/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_JSON_H
#define SKEP_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An append-only JSON writer (RFC 8259) into memory that the caller owns: no
 * allocation, no tree. What does not fit sets `full`, and the text is of no use
 * then. Commas come by themselves. Keys are literals of ours and are not
 * escaped; key NULL inside an array.
 *
 * Text that an intruder may have chosen is always valid JSON and harmless on a
 * terminal afterwards: C0, DEL, C1, line separators and bidirectional controls
 * become \uNNNN (nothing is lost), each byte that is not well-formed UTF-8
 * becomes \ufffd (the raw bytes stay in the console log or the packets).
 */
#define JSON_DEPTH 32

struct json {
	char *buf;
	size_t cap, n;
	bool full;
	unsigned depth;
	uint32_t some;  /* bit d: the container at depth d has a member */
	uint32_t array; /* bit d: it is an array */
};

void json_init(struct json *j, char *buf, size_t cap);

void json_obj(struct json *j, const char *key);
void json_arr(struct json *j, const char *key);
void json_end(struct json *j); /* closes the innermost one */

void json_str(struct json *j, const char *key, const char *s);
void json_bytes(struct json *j, const char *key, const void *p, size_t n);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_bool(struct json *j, const char *key, bool v);
/* ns since 1970 -> "2026-05-01T12:00:00.000000+0000", as Suricata writes it. */
void json_time(struct json *j, const char *key, uint64_t ns);
/* Hex digits, lower case. */
void json_hex(struct json *j, const char *key, const void *p, size_t n);

/* A newline behind a finished text: one line of JSON lines. */
void json_newline(struct json *j);

#define JSON_TIME 40
/* The text that json_time writes, without the quotes. Returns its length. */
size_t json_time_text(char buf[JSON_TIME], uint64_t ns);

#endif
