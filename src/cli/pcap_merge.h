/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_PCAP_MERGE_H
#define SKEP_CLI_PCAP_MERGE_H

#include "cli/read_pcap.h"

#include <stdio.h>

/*
 * Many recorded pcapng files as one section. Blocks are copied as they are:
 * equal interface descriptions become one, and the packets' interface numbers
 * are changed accordingly.
 */
struct pcap_merge {
	struct pcap_merge_if {
		uint8_t *block;
		size_t len;
		char name[PCAP_NAME];
		bool written;
	} ifs[PCAP_IFS];
	unsigned nifs;
	uint32_t map[PCAP_IFS]; /* interface of the file being read -> of the output */
	unsigned nmap;
	uint8_t *shb;
	size_t nshb;
	bool section; /* the header was written */
};

/* Learns from a block of a file; first: it is the file's first one. false: too
 * many interfaces, or out of memory: packets would get a wrong one. */
bool pcap_merge_learn(struct pcap_merge *m, struct slice block, bool first);
/* The output's interface for that of the file being read; PCAP_IFS if there is none. */
uint32_t pcap_merge_if(const struct pcap_merge *m, uint32_t interface);
/* A packet block, with what must stand in front of it. */
void pcap_merge_write(struct pcap_merge *m, FILE *out, struct slice block, uint32_t interface);
/* A file without frames is still a pcapng file. */
void pcap_merge_end(struct pcap_merge *m, FILE *out);
void pcap_merge_free(struct pcap_merge *m);

#endif
