/* SPDX-License-Identifier: ISC */
#include "cli/stix.h"

#include "cli/cmd.h"
#include "cli/export_out.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Section 2.9 of the standard. */
static const uint8_t stix_space[16] = { 0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c,
					0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7 };
/* A random one, for skep. */
static const uint8_t own_space[16] = { 0xff, 0x6d, 0x5b, 0xee, 0x9f, 0x13, 0x4e, 0x1c,
				       0xb7, 0x56, 0xbf, 0xf4, 0x4b, 0xb9, 0xce, 0x0b };

/* ---- canonical JSON ----------------------------------------------------------- */

static void put_string(FILE *f, const char *s, size_t n)
{
	static const char letters[] = "btn\0fr"; /* of \b, 8, on */
	fputc('"', f);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];
		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c >= 8 && c <= 13 && letters[c - 8])
			fprintf(f, "\\%c", letters[c - 8]);
		else if (c < 0x20)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool canonical(FILE *f, json_t *v);

/* Names are ASCII: their bytes sort as their UTF-16 units do. */
static bool put_object(FILE *f, json_t *v)
{
	const char **names = calloc(json_object_size(v) + 1, sizeof(*names)), *key;
	size_t n = 0;
	json_t *one;
	bool ok = names != NULL;
	json_object_foreach(v, key, one)
	{
		if (ok)
			names[n++] = key;
	}
#ifndef MUTANT_STIX_ID_UNSORTED
	if (ok)
		qsort(names, n, sizeof(*names), by_name);
#else
	(void)by_name;
#endif
	fputc('{', f);
	for (size_t i = 0; i < n && ok; i++) {
		if (i)
			fputc(',', f);
		put_string(f, names[i], strlen(names[i]));
		fputc(':', f);
		ok = canonical(f, json_object_get(v, names[i]));
	}
	fputc('}', f);
	free(names);
	return ok;
}

static bool canonical(FILE *f, json_t *v)
{
	size_t i;
	json_t *one;
	bool ok = true;
	if (json_is_string(v)) {
		put_string(f, json_string_value(v), json_string_length(v));
	} else if (json_is_integer(v)) {
		fprintf(f, "%lld", (long long)json_integer_value(v));
	} else if (json_is_boolean(v)) {
		fputs(json_is_true(v) ? "true" : "false", f);
	} else if (json_is_array(v)) {
		fputc('[', f);
		json_array_foreach(v, i, one)
		{
			if (i)
				fputc(',', f);
			ok = ok && canonical(f, one);
		}
		fputc(']', f);
	} else {
		return json_is_object(v) && put_object(f, v);
	}
	return ok;
}

char *stix_canonical(json_t *v)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	if (!f)
		return NULL;
	bool ok = canonical(f, v);
	if (fclose(f) || !ok) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- identifiers --------------------------------------------------------------- */

/* RFC 4122, 4.3. */
static void uuid5(uint8_t out[16], const uint8_t space[16], const void *name, size_t n)
{
	uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };
	unsigned len = 0;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	if (!c || EVP_DigestInit_ex(c, EVP_sha1(), NULL) != 1 || EVP_DigestUpdate(c, space, 16) != 1 ||
	    EVP_DigestUpdate(c, name, n) != 1 || EVP_DigestFinal_ex(c, digest, &len) != 1)
		abort();
	EVP_MD_CTX_free(c);
	memcpy(out, digest, 16);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x50);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static void id_text(char out[STIX_ID], const char *type, const uint8_t u[16])
{
	int n = snprintf(out, STIX_ID, "%.40s--", type);
	for (int i = 0; i < 16; i++)
		n += snprintf(out + n, STIX_ID - (size_t)n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      u[i]);
}

void stix_own_id_of(char out[STIX_ID], const char *type, struct slice bytes)
{
	/* Not two objects of different types with the same UUID. */
	char *name = NULL;
	size_t n = 0;
	uint8_t u[16] = { 0 };
	FILE *f = open_memstream(&name, &n);
	if (f) {
		fprintf(f, "%s|", type);
		fwrite(bytes.p, 1, bytes.n, f);
		if (fclose(f) == 0)
			uuid5(u, own_space, name, n);
	}
	free(name);
	id_text(out, type, u);
}

void stix_own_id(char out[STIX_ID], const char *type, const char *fmt, ...)
{
	char *name = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&name, fmt, ap);
	va_end(ap);
	stix_own_id_of(out, type, n < 0 ? slice_of("", 0) : slice_of(name, (size_t)n));
	if (n >= 0)
		free(name);
}

/* ---- which were written ---------------------------------------------------------- */

static bool uuid_of(const char *id, uint8_t u[16])
{
	const char *p = strstr(id, "--");
	unsigned n = 0, b;
	for (p = p ? p + 2 : ""; *p && n < 16; p += 2) {
		p += *p == '-';
		if (sscanf(p, "%2x", &b) != 1)
			return false;
		u[n++] = (uint8_t)b;
	}
	return n == 16;
}

static uint8_t *slot(const struct stix *s, const uint8_t u[16])
{
	static const uint8_t none[16];
	uint64_t h;
	memcpy(&h, u, sizeof(h));
	for (size_t i = h & (s->cap - 1);; i = (i + 1) & (s->cap - 1))
		if (!memcmp(s->ids[i], u, 16) || !memcmp(s->ids[i], none, 16))
			return s->ids[i];
}

bool stix_written(const struct stix *s, const char *id)
{
	uint8_t u[16];
	return s->cap && uuid_of(id, u) && !memcmp(slot(s, u), u, 16);
}

/* true: it was not there before. */
static bool remember(struct stix *s, const char *id)
{
	uint8_t u[16];
	if (!uuid_of(id, u))
		return false;
	if (2 * s->nids >= s->cap) {
		struct stix more = *s;
		more.cap = s->cap ? 2 * s->cap : 1024;
		more.full = more.cap > 2 * STIX_OBJECTS;
		more.ids = more.full ? NULL : calloc(more.cap, sizeof(*more.ids));
		if (!more.ids) {
			s->full = more.full;
			s->oom = !more.full;
			return false;
		}
		for (size_t i = 0; i < s->cap; i++)
			memcpy(slot(&more, s->ids[i]), s->ids[i], 16);
		free(s->ids);
		*s = more;
	}
	uint8_t *p = slot(s, u);
	if (!memcmp(p, u, 16))
		return false;
	memcpy(p, u, 16);
	s->nids++;
	return true;
}

void stix_end(struct stix *s)
{
	if (s->count)
		fprintf(s->out, "],\"id\":\"%s\"}\n", s->chain);
}

void stix_free(struct stix *s)
{
	free(s->ids);
	*s = (struct stix){ 0 };
}

/* ---- objects ---------------------------------------------------------------------- */

json_t *stix_time(uint64_t ns)
{
	char t[CMD_TIME_TEXT];
	size_t n = strlen(cmd_time_text(t, ns, 6)) - 1;
	/* The shortest form: it is part of what identifiers are made of, and other
	 * producers write it so. */
	while (t[n - 1] == '0')
		n--;
	n -= t[n - 1] == '.';
	snprintf(t + n, 2, "Z");
	return json_string(t);
}

/* type, spec_version and id first, for those who read it. */
static void write_object(struct stix *s, const char *id, const char *type, uint64_t created, json_t *v)
{
	char t[CMD_TIME_TEXT];
	if (!v || !remember(s, id)) {
		s->oom |= !v;
		json_decref(v);
		return;
	}
	json_t *o = json_pack("{s:s,s:s,s:s}", "type", type, "spec_version", "2.1", "id", id);
	if (created) {
		cmd_time_text(t, created, 3);
		json_object_set_new(o, "created", json_string(t));
		json_object_set_new(o, "modified", json_string(t));
		if (s->by && strcmp(s->by, id) != 0)
			json_object_set_new(o, "created_by_ref", json_string(s->by));
	}
	if (!o || json_object_update(o, v) < 0)
		s->oom = true;
	json_decref(v);
	fputs(s->count++ ? "," : "{\"type\":\"bundle\",\"objects\":[\n", s->out);
	stix_own_id(s->chain, "bundle", "%s|%s", s->chain, id);
	if (export_json_line(s->out, o) < 0)
		s->oom = true;
}

void stix_object(struct stix *s, const char *id, const char *type, uint64_t created, json_t *v)
{
	write_object(s, id, type, created ? created : 1, v);
}

void stix_observable_own(struct stix *s, const char *id, const char *type, json_t *v)
{
	write_object(s, id, type, 0, v);
}

void stix_observable(struct stix *s, char out[STIX_ID], const char *type, const char *const *keys, json_t *v)
{
	uint8_t u[16];
	json_t *some = json_object();
	for (; v && *keys; keys++)
		if (json_object_get(v, *keys))
			json_object_set(some, *keys, json_object_get(v, *keys));
	char *name = v ? stix_canonical(some) : NULL;
	json_decref(some);
	out[0] = '\0';
	if (!name) {
		s->oom = true;
		json_decref(v);
		return;
	}
	uuid5(u, stix_space, name, strlen(name));
	free(name);
	id_text(out, type, u);
	write_object(s, out, type, 0, v);
}
