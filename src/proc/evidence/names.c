/* SPDX-License-Identifier: ISC */
/* Names of files and their numbers: which were used, which come next. */
#include "proc/evidence/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "console/web.000007.log" -> 7 and "console/web.log"; 0 and the same name if
 * there is no number in it. "packets/000007.pcapng" -> 7 and "packets/". */
uint32_t name_split(const char *name, char open_name[STORE_NAME])
{
	const char *file = strchr(name, '/'), *p, *end;
	size_t len = strnlen(name, STORE_NAME - 1);
	memcpy(open_name, name, len);
	open_name[len] = '\0';
	if (!file)
		return 0;
	p = ++file;
	if (!strncmp(name, "console/", 8) || !strncmp(name, "sessions/", 9)) {
		p = strchr(file, '.');
		if (!p || p[1] < '0' || p[1] > '9')
			return 0;
		p++;
	}
	char *after;
	if (*p < '0' || *p > '9')
		return 0;
	unsigned long v = strtoul(p, &after, 10);
	end = after;
	if (p == file) /* a series of its own folder: packets, events, config */
		snprintf(open_name, STORE_NAME, "%.*s", (int)(file - name), name);
	else if (*end == '.')
		snprintf(open_name, STORE_NAME, "%.*s%s", (int)(p - 1 - name), name, end);
	else
		return 0;
	return v > 99999999 ? 0 : (uint32_t)v;
}

/* Keeps the highest number of each series. */
int name_note(struct store *s, const char *name)
{
	char series[STORE_NAME];
	uint32_t number = name_split(name, series);
	for (unsigned i = 0; number && i < s->nseries; i++) {
		if (strcmp(s->series[i].name, series) != 0)
			continue;
		if (number > s->series[i].last)
			s->series[i].last = number;
		return 0;
	}
	if (!number)
		return 0;
	if (s->nseries == s->capseries) {
		unsigned cap = s->capseries ? 2 * s->capseries : 16;
		struct series *more = realloc(s->series, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->series = more;
		s->capseries = cap;
	}
	struct series *x = &s->series[s->nseries++];
	memcpy(x->name, series, sizeof(x->name));
	x->last = number;
	return 0;
}

uint32_t name_last(const struct store *s, const char *series)
{
	for (unsigned i = 0; i < s->nseries; i++)
		if (!strcmp(s->series[i].name, series))
			return s->series[i].last;
	return 0;
}

/* "BASE/000012EXT" or "BASE.000012EXT" -> 12; 0 if it is not of that series. */
static uint32_t number_of(const char *name, const char *base, const char *ext, bool current)
{
	size_t n = strlen(base);
	if (strncmp(name, base, n) != 0 || name[n] != (current ? '.' : '/'))
		return 0;
	uint32_t v = 0;
	const char *p = name + n + 1;
	for (; *p >= '0' && *p <= '9' && v < 100000000; p++)
		v = v * 10 + (uint32_t)(*p - '0');
	return *ext && strcmp(p, ext) != 0 ? 0 : v;
}

uint32_t store_last_number(const struct store *s, const char *base, const char *ext, bool current)
{
	char series[STORE_NAME];
	uint32_t last = 0;
	snprintf(series, sizeof(series), "%s%s", base, current ? ext : "/");
	for (unsigned i = 0; i < s->nseries; i++)
		if (!strcmp(s->series[i].name, series))
			last = s->series[i].last;
	for (unsigned i = 0; i < s->nkept; i++) {
		uint32_t v = number_of(s->kept[i].name, base, ext, current);
		if (v > last)
			last = v;
	}
	return last;
}
