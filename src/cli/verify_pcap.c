/* SPDX-License-Identifier: ISC */
/* The blocks of a pcapng file, in pieces as they are read: how many packets each
 * interface has, compared with what the statistics at its end say. */
#include "cli/verify_core.h"

#include <stdio.h>
#include <stdlib.h>

enum { IFS = 4096, KEEP = 4096, BLOCK_MAX = 1 << 24 };
enum { IDB = 1, ISB = 5, EPB = 6, OPT_IFRECV = 4 };

struct verify_pcap {
	uint8_t buf[KEEP]; /* the first bytes of the block */
	uint32_t have, len, type;
	uint32_t nifs;
	bool bad, odd;
	uint64_t frames;
	uint64_t counted[IFS], told[IFS];
	bool tells[IFS];
};

struct verify_pcap *verify_pcap_new(void)
{
	return calloc(1, sizeof(struct verify_pcap));
}

void verify_pcap_free(struct verify_pcap *p)
{
	free(p);
}

static void statistics(struct verify_pcap *p, struct slice body, uint32_t i)
{
	uint16_t code, len;
	struct slice value;
	uint64_t n;
	/* Past the time stamp; then options, each padded to four bytes. */
	if (!slice_skip(&body, 8))
		return;
	while (slice_le16(&body, &code) && slice_le16(&body, &len) && code && slice_take(&body, len, &value) &&
	       slice_skip(&body, -len & 3u)) {
		if (code == OPT_IFRECV && slice_le64(&value, &n)) {
			p->told[i] = n;
			p->tells[i] = true;
		}
	}
}

static void block(struct verify_pcap *p)
{
	struct slice body = slice_of(p->buf, p->len < KEEP ? p->len - 4 : KEEP);
	uint32_t i;
	slice_skip(&body, 8);
	if (p->type == IDB) {
		p->nifs++;
		return;
	}
	if ((p->type != EPB && p->type != ISB) || !slice_le32(&body, &i))
		return;
	if (i >= p->nifs) {
		p->bad = true;
	} else if (p->type == EPB) {
		p->frames++;
		if (i < IFS)
			p->counted[i]++;
	} else if (i < IFS) {
		statistics(p, body, i);
	}
}

void verify_pcap_feed(struct verify_pcap *p, struct slice s)
{
	while (s.n && !p->bad) {
		/* The header first: it says how much the block has. */
		uint32_t want = p->len ? p->len - p->have : 8 - p->have;
		struct slice part = slice_head(s, want), rest = part;
		slice_skip(&s, part.n);
		if (p->have < KEEP) {
			rest = slice_head(part, KEEP - p->have);
			slice_get(&rest, p->buf + p->have, rest.n);
		}
		p->have += (uint32_t)part.n;
		if (!p->len && p->have == 8) {
			struct slice h = slice_of(p->buf, 8);
			slice_le32(&h, &p->type);
			slice_le32(&h, &p->len);
			p->bad = p->len < 12 || p->len % 4 || p->len > BLOCK_MAX;
		} else if (p->len && p->have == p->len) {
			block(p);
			p->have = p->len = 0;
		}
	}
}

const char *verify_pcap_end(struct verify_pcap *p, bool whole, uint64_t *frames, char text[200])
{
	*frames += p->frames;
	if (p->bad)
		return "holds a block that cannot be one";
	if (!whole)
		return NULL;
	if (p->have)
		return "ends inside a block";
	for (uint32_t i = 0; i < p->nifs && i < IFS; i++) {
		if (!p->tells[i] || p->told[i] == p->counted[i])
			continue;
		snprintf(text, 200, "its statistics say %llu packets of interface %u, and %llu are there",
			 (unsigned long long)p->told[i], i, (unsigned long long)p->counted[i]);
		return text;
	}
	return NULL;
}
