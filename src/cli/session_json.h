/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_SESSION_JSON_H
#define SKEP_CLI_SESSION_JSON_H

#include "cli/session_where.h"

/* What skep sessions and skep session print with --json. Texts are safe. */
json_t *session_json(const struct session *s, const struct place *where);
/* ns as an RFC 3339 string with microseconds; null for 0. */
json_t *session_json_time(uint64_t ns);
json_t *session_json_slice(struct slice s);
/* {"ip":..., "port":...} */
json_t *session_json_endpoint(unsigned family, const uint8_t *addr, uint16_t port);

#endif
