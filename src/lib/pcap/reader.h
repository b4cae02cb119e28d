/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PCAP_READER_H
#define SKEP_PCAP_READER_H

#include "pcap/pcap.h"

/* Between the files of this part. */

/* Makes the next n bytes stand in the window. 1; 0: the file ends before; -errno. */
int pcap_need(struct pcap_reader *r, size_t n, struct slice *out, struct err *e);
/* Goes on by n bytes that pcap_need has shown. */
void pcap_pass(struct pcap_reader *r, size_t n);
/* Goes on by any number of bytes. 1; 0: the file ends before; -errno. */
int pcap_skip(struct pcap_reader *r, uint64_t n, struct err *e);

bool pcap_u16(const struct pcap_reader *r, struct slice *s, uint16_t *out);
bool pcap_u32(const struct pcap_reader *r, struct slice *s, uint32_t *out);
/* Takes the FCS off. */
void pcap_fcs(struct pcap_record *rec, uint8_t fcs);

int pcapng_section(struct pcap_reader *r, struct err *e);
int pcapng_next(struct pcap_reader *r, struct pcap_record *out, struct err *e);

#endif
