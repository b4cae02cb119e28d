/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_PCAP_H
#define SKEP_TESTS_PCAP_H

#include "base/slice.h"

/* The classic pcap file format (draft-ietf-opsawg-pcap), Ethernet only, both
 * byte orders, microseconds and nanoseconds. */
struct pcap {
	struct slice rest;
	bool swapped, nano;
};

/* s: the whole file. false: not such a file. */
bool pcap_open(struct pcap *p, struct slice s);
/* false: the end, or a broken record. */
bool pcap_next(struct pcap *p, struct slice *frame, uint64_t *ns);

#endif
