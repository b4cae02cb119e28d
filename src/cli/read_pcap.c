/* SPDX-License-Identifier: ISC */
#include "cli/read_pcap.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

long pcap_frame(struct slice s)
{
	uint32_t type, len, again;
	struct slice t = s, tail;
	if (!slice_le32(&t, &type) || !slice_le32(&t, &len))
		return 0;
	if (len < 12 || (len & 3) || len > 1u << 24)
		return -1;
	if (!slice_sub(s, len - 4, 4, &tail))
		return 0;
	return slice_le32(&tail, &again) && again == len ? (long)len : -1;
}

uint32_t pcap_type(struct slice block)
{
	uint32_t type = 0;
	slice_le32(&block, &type);
	return type;
}

/* The next option: 0 at the end. */
static unsigned option(struct slice *s, struct slice *value)
{
	uint16_t code, len;
	struct slice pad;
	if (!slice_le16(s, &code) || !slice_le16(s, &len) || !slice_take(s, len, value) ||
	    !slice_take(s, -(size_t)len & 3, &pad))
		return 0;
	return code;
}

bool pcap_packet(struct slice block, struct pcap_packet *p)
{
	uint32_t type, len, hi, lo, caplen;
	struct slice body, value, pad;
	unsigned code;
	*p = (struct pcap_packet){ 0 };
	if (!slice_sub(block, 0, block.n < 4 ? 0 : block.n - 4, &body) || !slice_le32(&body, &type) ||
	    !slice_le32(&body, &len) || type != PCAP_EPB || !slice_le32(&body, &p->interface) ||
	    !slice_le32(&body, &hi) || !slice_le32(&body, &lo) || !slice_le32(&body, &caplen) ||
	    !slice_le32(&body, &p->wirelen) || !slice_take(&body, caplen, &p->frame) ||
	    !slice_take(&body, -(size_t)caplen & 3, &pad))
		return false;
	p->time = (uint64_t)hi << 32 | lo;
	while ((code = option(&body, &value))) {
		if (code == 1)
			p->comment = value;
		else if (code == 2)
			slice_le32(&value, &p->dir);
	}
	p->dir &= 3;
	return true;
}

void pcap_if_name(struct slice block, char out[PCAP_NAME])
{
	struct slice body, value;
	unsigned code;
	out[0] = '\0';
	if (block.n < 20 || !slice_sub(block, 16, block.n - 20, &body))
		return;
	while ((code = option(&body, &value))) {
		if (code == 2) {
			snprintf(out, PCAP_NAME, "%.*s", (int)(value.n < PCAP_NAME ? value.n : PCAP_NAME - 1),
				 (const char *)value.p);
			return;
		}
	}
}

bool pcap_field(struct slice comment, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);
	for (size_t i = 0; i + n < comment.n; i++) {
		if ((i && comment.p[i - 1] != ' ') || memcmp(comment.p + i, key, n) != 0 || comment.p[i + n] != '=')
			continue;
		size_t from = i + n + 1, end = from;
		while (end < comment.n && comment.p[end] != ' ')
			end++;
		if (end - from >= cap)
			return false;
		memcpy(out, comment.p + from, end - from);
		out[end - from] = '\0';
		return true;
	}
	out[0] = '\0';
	return false;
}

static void ports(struct slice s, unsigned proto, bool first, uint16_t *sp, uint16_t *dp, char flags[12])
{
	struct slice t = s;
	uint16_t off = 0;
	flags[0] = '\0';
	*sp = *dp = 0;
	if (!first || (proto != 6 && proto != 17 && proto != 132) || !slice_be16(&t, sp) || !slice_be16(&t, dp))
		return;
	if (proto != 6 || !slice_sub(s, 12, 2, &t) || !slice_be16(&t, &off))
		return;
	static const char letters[] = "FSRPAUEC";
	size_t n = 0;
	flags[n++] = '[';
	for (unsigned i = 0; i < 8; i++)
		if (off & 1u << i)
			flags[n++] = letters[i];
	flags[n++] = ']';
	flags[n] = '\0';
}

static void ip_text(char *out, size_t cap, int family, const uint8_t *src, const uint8_t *dst, unsigned proto,
		    struct slice rest, bool first, uint32_t wirelen)
{
	char a[INET6_ADDRSTRLEN] = "?", b[INET6_ADDRSTRLEN] = "?", name[16], flags[12];
	uint16_t sp, dp;
	inet_ntop(family, src, a, sizeof(a));
	inet_ntop(family, dst, b, sizeof(b));
	ports(rest, proto, first, &sp, &dp, flags);
	snprintf(name, sizeof(name), "proto-%u", proto);
	const char *p = proto == 6 ? "TCP" : proto == 17 ? "UDP" : proto == 1 ? "ICMP" : proto == 58 ? "ICMPv6" : name;
	const char *l = family == AF_INET6 ? "[" : "", *r = family == AF_INET6 ? "]" : "";
	if (sp || dp)
		snprintf(out, cap, "%s %s%s%s:%u > %s%s%s:%u %s%s%u", p, l, a, r, sp, l, b, r, dp, flags,
			 flags[0] ? " " : "", wirelen);
	else if ((proto == 1 || proto == 58) && first && rest.n >= 2)
		snprintf(out, cap, "%s %s > %s type %u code %u %u", p, a, b, rest.p[0], rest.p[1], wirelen);
	else
		snprintf(out, cap, "%s %s > %s%s %u", p, a, b, first ? "" : " fragment", wirelen);
}

static bool arp_text(struct slice s, uint32_t wirelen, char *out, size_t cap)
{
	struct slice head, spa, tpa;
	uint16_t op;
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN];
	if (!slice_take(&s, 6, &head) || !slice_be16(&s, &op) || !slice_sub(s, 6, 4, &spa) ||
	    !slice_sub(s, 16, 4, &tpa))
		return false;
	inet_ntop(AF_INET, spa.p, a, sizeof(a));
	inet_ntop(AF_INET, tpa.p, b, sizeof(b));
	snprintf(out, cap, "ARP %s %s > %s %u", op == 1 ? "who-has" : op == 2 ? "is-at" : "op", a, b, wirelen);
	return true;
}

void pcap_describe(struct slice frame, uint32_t wirelen, char *out, size_t cap)
{
	struct slice s = frame, macs, h, opts, l4;
	uint16_t type, frag;
	if (!slice_take(&s, 12, &macs) || !slice_be16(&s, &type)) {
		snprintf(out, cap, "short frame %u", wirelen);
		return;
	}
	if (type == 0x0806 && arp_text(s, wirelen, out, cap))
		return;
	if (type == 0x0800 && slice_sub(s, 0, 20, &h) && slice_sub(s, 0, (h.p[0] & 15u) * 4u, &opts)) {
		slice_sub(s, opts.n, s.n - opts.n, &l4);
		frag = (uint16_t)((h.p[6] << 8 | h.p[7]) & 0x1fff);
		ip_text(out, cap, AF_INET, h.p + 12, h.p + 16, h.p[9], l4, !frag, wirelen);
		return;
	}
	if (type == 0x86dd && slice_sub(s, 0, 40, &h)) {
		slice_sub(s, 40, s.n - 40, &l4);
		ip_text(out, cap, AF_INET6, h.p + 8, h.p + 24, h.p[6], l4, true, wirelen);
		return;
	}
	snprintf(out, cap, "ether %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x type %04x %u",
		 macs.p[6], macs.p[7], macs.p[8], macs.p[9], macs.p[10], macs.p[11], macs.p[0], macs.p[1], macs.p[2],
		 macs.p[3], macs.p[4], macs.p[5], type, wirelen);
}

void pcap_tuple_order(struct pcap_tuple *t)
{
	int order = memcmp(t->addr[0], t->addr[1], sizeof(t->addr[0]));
	if (order < 0 || (order == 0 && t->port[0] <= t->port[1]))
		return;
	uint8_t a[16];
	uint16_t p = t->port[0];
	memcpy(a, t->addr[0], sizeof(a));
	memcpy(t->addr[0], t->addr[1], sizeof(a));
	memcpy(t->addr[1], a, sizeof(a));
	t->port[0] = t->port[1];
	t->port[1] = p;
}

bool pcap_tuple(struct slice frame, struct pcap_tuple *t)
{
	struct slice s = frame, h;
	uint16_t type;
	memset(t, 0, sizeof(*t));
	if (!slice_skip(&s, 12) || !slice_be16(&s, &type))
		return false;
	if (type == 0x0800 && slice_sub(s, 0, 20, &h) && slice_skip(&s, (h.p[0] & 15u) * 4u)) {
		if ((h.p[6] << 8 | h.p[7]) & 0x1fff)
			return false;
		t->family = 4;
		t->proto = h.p[9];
		memcpy(t->addr[0], h.p + 12, 4);
		memcpy(t->addr[1], h.p + 16, 4);
	} else if (type == 0x86dd && slice_take(&s, 40, &h)) {
		t->family = 6;
		t->proto = h.p[6];
		memcpy(t->addr[0], h.p + 8, 16);
		memcpy(t->addr[1], h.p + 24, 16);
	} else {
		return false;
	}
	bool ports = t->proto == 6 || t->proto == 17 || t->proto == 132;
	if (ports && (!slice_be16(&s, &t->port[0]) || !slice_be16(&s, &t->port[1])))
		return false;
	pcap_tuple_order(t);
	return true;
}
