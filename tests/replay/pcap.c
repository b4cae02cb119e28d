/* SPDX-License-Identifier: ISC */
#include "pcap.h"

static bool u32(struct pcap *p, struct slice *s, uint32_t *out)
{
	return p->swapped ? slice_be32(s, out) : slice_le32(s, out);
}

bool pcap_open(struct pcap *p, struct slice s)
{
	uint32_t magic, link;
	*p = (struct pcap){ 0 };
	if (!slice_le32(&s, &magic))
		return false;
	if (magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1)
		p->swapped = true;
	else if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d)
		return false;
	p->nano = magic == 0x4d3cb2a1 || magic == 0xa1b23c4d;
	if (!slice_skip(&s, 16) || !u32(p, &s, &link) || (link & 0xffff) != 1)
		return false;
	p->rest = s;
	return true;
}

bool pcap_next(struct pcap *p, struct slice *frame, uint64_t *ns)
{
	struct slice s = p->rest;
	uint32_t sec, frac, have, wire;
	if (!u32(p, &s, &sec) || !u32(p, &s, &frac) || !u32(p, &s, &have) || !u32(p, &s, &wire) ||
	    !slice_take(&s, have, frame))
		return false;
	*ns = sec * 1000000000ull + (p->nano ? frac : frac * 1000ull);
	p->rest = s;
	return true;
}
