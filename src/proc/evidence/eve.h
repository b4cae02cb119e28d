/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_EVE_H
#define SKEP_PROC_EVIDENCE_EVE_H

#include "base/err.h"
#include "base/json.h"
#include "proto/proto.h"
#include "proto/ring.h"

#include <stdint.h>

/*
 * Events in Suricata's EVE JSON envelope, one object a line. `flow` has
 * Suricata's fields and meanings; what only skep knows is in the nested object
 * `skep`. docs/formats.md lists the fields.
 */
struct eve {
	const char *honeynet, *sensor;
	/* Name of a port ("web", "uplink-dmz") and of its network, NULL if unknown. */
	const char *(*port_name)(void *arg, uint16_t port);
	const char *(*port_network)(void *arg, uint16_t port);
	void *arg;
};

/* Loads SHA-1 (for community ids) before the process is confined. */
int eve_init(struct err *e);

/* One line each, appended to j. now is realtime ns. */
/* rule: name of the rule that decided, or "". */
void eve_flow(const struct eve *v, struct json *j, const struct ring_flow *f, const char *rule, uint64_t now);
/* A question or an answer of the honeypot at this port; every value was checked. */
/* What the inline engine said, in Suricata's fields: port is the honeypot's. */
void eve_alert(const struct eve *v, struct json *j, uint16_t port, const struct ring_alert *a, uint64_t now);
void eve_dns(const struct eve *v, struct json *j, uint16_t port, const struct ring_dns *d, const char *name, size_t n,
	     uint64_t now);
/* source: "super" or "vmm". */
void eve_event(const struct eve *v, struct json *j, const struct ev_event *ev, const char *source, uint64_t now);

/* An `evidence` event of our own: opens the line and the object `evidence`;
 * the caller adds fields and calls eve_end. */
void eve_evidence(const struct eve *v, struct json *j, const char *eventid, const char *message, uint64_t now);
/* The same for any type. */
void eve_begin(const struct eve *v, struct json *j, const char *type, uint64_t now);
void eve_end(struct json *j);

void eve_address(struct json *j, const char *key, unsigned family, const uint8_t *b);
void eve_proto(struct json *j, unsigned proto); /* as Suricata names it */

#define COMMUNITY_ID 32
/* Community ID flow hash, version 1, seed 0: https://github.com/corelight/community-id-spec
 * For ICMP the ports are type and code. Writes "1:BASE64"; false for an unknown family. */
bool community_id(char out[COMMUNITY_ID], unsigned family, const uint8_t *src, const uint8_t *dst, uint16_t sport,
		  uint16_t dport, uint8_t proto);

#endif
