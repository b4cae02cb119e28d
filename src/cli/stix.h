/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_STIX_H
#define SKEP_CLI_STIX_H

#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Objects of STIX 2.1 (OASIS Standard, 10 June 2021), one after the other, each
 * id once.
 *
 * Identifiers (section 2.9) are the same in every export of the same evidence.
 * Cyber-observable objects: UUIDv5 in the namespace that the standard gives, of
 * the canonical JSON (RFC 8785) of their ID contributing properties. Others, and
 * processes, which have no such properties: UUIDv5 in a namespace of ours.
 */
#define STIX_ID 80

struct stix {
	FILE *out;
	const char *by; /* created_by_ref; NULL = none yet */
	uint64_t count;
	bool oom, full; /* full: more than STIX_OBJECTS */
	uint8_t (*ids)[16];
	size_t nids, cap;    /* open addressing; cap is a power of two */
	char chain[STIX_ID]; /* of all ids so far: the bundle's own */
};
#define STIX_OBJECTS (4u << 20)

/* What stands behind the last object. */
void stix_end(struct stix *s);
void stix_free(struct stix *s);

/* UUIDv5 in our namespace, as "TYPE--UUID". */
void stix_own_id(char out[STIX_ID], const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void stix_own_id_of(char out[STIX_ID], const char *type, struct slice bytes);

/* An observable of that type; takes v, which has the other properties. keys: the
 * names of its ID contributing properties, NULL terminated. Writes it unless it was
 * written before; its id is in out ("" without memory). */
void stix_observable(struct stix *s, char out[STIX_ID], const char *type, const char *const *keys, json_t *v);
/* The same with an id of ours. */
void stix_observable_own(struct stix *s, const char *id, const char *type, json_t *v);
/* Any other object; created = modified. Takes v. */
void stix_object(struct stix *s, const char *id, const char *type, uint64_t created, json_t *v);
bool stix_written(const struct stix *s, const char *id);

/* "2026-05-01T12:00:00.1234Z", at most six digits; created and modified have three. */
json_t *stix_time(uint64_t ns);

/* RFC 8785; to be freed. NULL: out of memory, or numbers that are no integers. */
char *stix_canonical(json_t *v);

#endif
