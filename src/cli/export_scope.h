/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_EXPORT_SCOPE_H
#define SKEP_CLI_EXPORT_SCOPE_H

#include "cli/read_eve.h"
#include "cli/read_pcap.h"

/*
 * What belongs to one session: the events that name it, the conversation that
 * carried it, those that its processes made, and the frames of all of these.
 *
 * A session's events carry the addresses, ports and protocol that the guest's
 * kernel saw, the gateway's flow events those on the wire; nothing is translated
 * between, so they are equal (and so is their Community ID, which is a hash of
 * just these). Ports are used again, therefore the times must meet as well.
 */
struct scope {
	const char *session; /* NULL: everything */
	uint64_t events;     /* that name the session */
	bool closed;
	struct scope_span {
		struct pcap_tuple tuple;
		uint64_t from, to;
		bool made; /* by a process of the session; else it carried the session */
		bool flow; /* a flow event gave the times */
	} * spans;
	size_t n, cap;
	uint64_t *flows; /* sorted */
	size_t nflows, capflows;
	int failed;
};

/* Reads the events twice: what the session says of its conversations, then the
 * flows that these are. */
int scope_load(struct scope *s, const struct evidence_dir *d, const char *session, struct err *e);
void scope_free(struct scope *s);

bool scope_event(const struct scope *s, json_t *v);
bool scope_packet(const struct scope *s, const struct pcap_packet *p);

/* The session that an event names; "" if none. */
const char *eve_session(json_t *v);
/* Addresses, ports and protocol of an event; false if it has none. */
bool eve_tuple(json_t *v, struct pcap_tuple *t);

#endif
