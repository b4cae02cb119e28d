/* SPDX-License-Identifier: ISC */
#include "pcap/pcap.h"

#define ETH_HEAD 14u
#define SLL_HEAD 16u
#define SLL2_HEAD 20u

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd };

/* Takes the link layer off: the EtherType of what is behind it, and the sender's
 * address where it says one. */
static bool take_link(uint16_t link, struct slice *s, uint16_t *type, uint8_t from[6])
{
	struct slice h = { 0 }, addr;
	uint16_t skip, len = 0;
	uint8_t version, alen = 0;
	switch (link) {
	case PCAP_LINK_RAW:
	case PCAP_LINK_RAW_BSD:
	case PCAP_LINK_IPV4:
	case PCAP_LINK_IPV6:
		h = *s;
		if (!slice_u8(&h, &version) || (version >> 4 != 4 && version >> 4 != 6))
			return false;
		*type = version >> 4 == 4 ? TYPE_IP4 : TYPE_IP6;
		return true;
	case PCAP_LINK_SLL:
		/* packet type, ARPHRD, length of the address, address[8], EtherType */
		if (!slice_take(s, SLL_HEAD, &h) || !slice_be16(&h, &skip) || !slice_be16(&h, &skip) ||
		    !slice_be16(&h, &len) || !slice_take(&h, 8, &addr) || !slice_be16(&h, type))
			return false;
		if (len == 6)
			slice_get(&addr, from, 6);
		return true;
	case PCAP_LINK_SLL2:
		/* EtherType, reserved, interface[4], ARPHRD, packet type[1], length[1], address[8] */
		if (!slice_take(s, SLL2_HEAD, &h) || !slice_be16(&h, type) || !slice_skip(&h, 2 + 4 + 2 + 1) ||
		    !slice_u8(&h, &alen) || !slice_take(&h, 8, &addr))
			return false;
		if (alen == 6)
			slice_get(&addr, from, 6);
		return true;
	default:
		return false;
	}
}

bool pcap_ethernet(const struct pcap_record *rec, uint8_t *room, size_t cap, struct slice *frame, uint32_t *wirelen,
		   bool *made)
{
	struct slice s = rec->bytes;
	uint8_t head[ETH_HEAD] = { 0 };
	uint16_t type;
	if (rec->link == PCAP_LINK_ETHERNET) {
		*frame = s;
		*wirelen = rec->wirelen;
		*made = false;
		return true;
	}
	if (!take_link(rec->link, &s, &type, head + 6) || s.n + ETH_HEAD > cap)
		return false;
	head[12] = (uint8_t)(type >> 8);
	head[13] = (uint8_t)type;
	memcpy(room, head, sizeof(head));
	if (s.n)
		memcpy(room + ETH_HEAD, s.p, s.n);
	*frame = slice_of(room, s.n + ETH_HEAD);
	uint64_t wire = (uint64_t)rec->wirelen - (rec->bytes.n - s.n) + ETH_HEAD;
	*wirelen = wire < UINT32_MAX ? (uint32_t)wire : UINT32_MAX;
	*made = true;
	return true;
}
