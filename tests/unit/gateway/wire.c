/* SPDX-License-Identifier: ISC */
#include "wire.h"

#include "craft.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static const char *transport(const uint8_t *p, const uint8_t *ip, struct wire *w, bool cut)
{
	const uint8_t *h = p + w->l4;
	size_t n = w->end - w->l4, addrs = w->family == 4 ? 8 : 32, sum;
	if (w->proto == 6 && n >= 20) {
		w->sport = be16(h);
		w->dport = be16(h + 2);
		w->seq = be32(h + 4);
		w->ack = be32(h + 8);
		w->flags = h[13];
		w->window = be16(h + 14);
		w->payload = w->l4 + (size_t)(h[12] >> 4) * 4;
		sum = 16;
	} else if (w->proto == 17 && n >= 8) {
		w->sport = be16(h);
		w->dport = be16(h + 2);
		w->payload = w->l4 + 8;
		if (be16(h + 4) != n && !cut)
			return "UDP length";
		sum = 6;
	} else if (w->proto == (w->family == 4 ? 1 : 58) && n >= 8) {
		w->icmp_type = h[0];
		w->icmp_code = h[1];
		w->icmp_id = be16(h + 4);
		w->payload = w->l4 + 8;
		sum = 2;
	} else if (cut && n >= 8) { /* of TCP, the first eight bytes */
		w->sport = be16(h);
		w->dport = be16(h + 2);
		return NULL;
	} else {
		return "transport";
	}
	w->sum = be16(h + sum);
	if (w->payload > w->end)
		return "transport header";
	uint32_t start = w->proto == 1 ? 0
				       : (uint32_t)(uint16_t)~craft_sum(ip + (w->family == 4 ? 12 : 8), addrs, 0) +
					     (uint32_t)n + w->proto;
	if (w->proto == 17 && w->family == 4 && w->sum == 0)
		return NULL;
	return !cut && craft_sum(h, n, start) != 0 ? "transport checksum" : NULL;
}

static const char *packet(const uint8_t *p, size_t at, size_t n, struct wire *w, bool cut)
{
	const uint8_t *ip = p + at;
	if (n < at + 20)
		return "too short";
	w->family = ip[0] >> 4;
	if (w->family == 4) {
		size_t ihl = (size_t)(ip[0] & 15) * 4, total = be16(ip + 2);
		if (ihl < 20 || total < ihl || (!cut && at + total > n))
			return "IPv4 lengths";
		if (craft_sum(ip, ihl, 0) != 0)
			return "IPv4 header checksum";
		w->proto = ip[9];
		w->ttl = ip[8];
		w->tos = ip[1];
		w->ip_id = be16(ip + 4);
		w->df = ip[6] & 0x40;
		w->l4 = at + ihl;
		w->end = at + total;
		inet_ntop(AF_INET, ip + 12, w->src, sizeof(w->src));
		inet_ntop(AF_INET, ip + 16, w->dst, sizeof(w->dst));
	} else if (w->family == 6 && n >= at + 40) {
		w->proto = ip[6];
		w->ttl = ip[7];
		w->l4 = at + 40;
		w->end = at + 40 + be16(ip + 4);
		while ((w->proto == 0 || w->proto == 60) && w->l4 + 8 <= n) {
			w->proto = p[w->l4];
			w->l4 += (size_t)(p[w->l4 + 1] + 1) * 8;
		}
		if (!cut && w->end > n)
			return "IPv6 length";
		inet_ntop(AF_INET6, ip + 8, w->src, sizeof(w->src));
		inet_ntop(AF_INET6, ip + 24, w->dst, sizeof(w->dst));
	} else {
		return "no IP";
	}
	if (w->end > n)
		w->end = n;
	return w->l4 <= w->end ? transport(p, ip, w, cut) : "IP header";
}

const char *wire_read(const uint8_t *p, size_t n, struct wire *w)
{
	memset(w, 0, sizeof(*w));
	if (n < 34)
		return "too short";
	snprintf(w->dmac, sizeof(w->dmac), "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
	snprintf(w->smac, sizeof(w->smac), "%02x:%02x:%02x:%02x:%02x:%02x", p[6], p[7], p[8], p[9], p[10], p[11]);
	if (be16(p + 12) != (p[14] >> 4 == 4 ? 0x800 : 0x86dd))
		return "EtherType";
	return packet(p, 14, n, w, false);
}

const char *wire_quoted(const uint8_t *p, const struct wire *error, struct wire *out, bool cut)
{
	memset(out, 0, sizeof(*out));
	return packet(p, error->payload, error->end, out, cut);
}
