/* SPDX-License-Identifier: ISC */
#include "cli/pcap_merge.h"

#include <stdlib.h>
#include <string.h>

static bool learn_if(struct pcap_merge *m, struct slice block)
{
	unsigned i;
	if (m->nmap == PCAP_IFS)
		return false;
	for (i = 0; i < m->nifs; i++)
		if (m->ifs[i].len == block.n && !memcmp(m->ifs[i].block, block.p, block.n))
			break;
	if (i == m->nifs) {
		if (i == PCAP_IFS || !(m->ifs[i].block = malloc(block.n)))
			return false;
		memcpy(m->ifs[i].block, block.p, block.n);
		m->ifs[i].len = block.n;
		pcap_if_name(block, m->ifs[i].name);
		m->nifs++;
	}
	m->map[m->nmap++] = i;
	return true;
}

bool pcap_merge_learn(struct pcap_merge *m, struct slice block, bool first)
{
	uint32_t type = pcap_type(block);
	if (first)
		m->nmap = 0;
	if (type == PCAP_SHB && !m->shb && (m->shb = malloc(block.n))) {
		memcpy(m->shb, block.p, block.n);
		m->nshb = block.n;
	}
	return type != PCAP_IDB || learn_if(m, block);
}

uint32_t pcap_merge_if(const struct pcap_merge *m, uint32_t interface)
{
	return interface < m->nmap ? m->map[interface] : PCAP_IFS;
}

void pcap_merge_end(struct pcap_merge *m, FILE *out)
{
	if (!m->section && m->shb)
		fwrite(m->shb, 1, m->nshb, out);
	m->section = true;
}

void pcap_merge_write(struct pcap_merge *m, FILE *out, struct slice block, uint32_t interface)
{
	uint8_t number[4];
	pcap_merge_end(m, out);
	/* All of them up to this one, so that their order is their number. */
	for (unsigned i = 0; i <= interface; i++) {
		if (m->ifs[i].written)
			continue;
		fwrite(m->ifs[i].block, 1, m->ifs[i].len, out);
		m->ifs[i].written = true;
	}
	for (int i = 0; i < 4; i++)
		number[i] = (uint8_t)(interface >> (8 * i));
#ifdef MUTANT_PCAP_MERGE_NUMBERS
	memcpy(number, block.p + 8, sizeof(number));
#endif
	fwrite(block.p, 1, 8, out);
	fwrite(number, 1, 4, out);
	fwrite(block.p + 12, 1, block.n - 12, out);
}

void pcap_merge_free(struct pcap_merge *m)
{
	for (unsigned i = 0; i < m->nifs; i++)
		free(m->ifs[i].block);
	free(m->shb);
	memset(m, 0, sizeof(*m));
}
