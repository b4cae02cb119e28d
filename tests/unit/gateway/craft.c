/* SPDX-License-Identifier: ISC */
#include "craft.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void nonsense(const char *what)
{
	fprintf(stderr, "craft: %s\n", what);
	abort();
}

static void be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v & 0xffff);
}

/* Plain and slow on purpose: independent of the code under test. */
uint16_t craft_sum(const uint8_t *p, size_t n, uint32_t start)
{
	uint64_t sum = start;
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

int craft_addr(const char *s, uint8_t out[16])
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET, s, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, s, out) == 1)
		return 6;
	nonsense(s);
	return 0;
}

void craft_mac(const char *s, uint8_t out[6])
{
	unsigned b[6];
	if (sscanf(s, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		nonsense(s);
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)b[i];
}

size_t craft_hex(const char *s, uint8_t *out, size_t cap)
{
	size_t n = 0;
	for (; *s; s++) {
		unsigned v = 0;
		if (isspace((unsigned char)*s) || *s == ':')
			continue;
		if (n == cap || sscanf(s, "%2x", &v) != 1 || !isxdigit((unsigned char)s[1]))
			nonsense(s);
		out[n++] = (uint8_t)v;
		s++;
	}
	return n;
}

static size_t transport(const struct craft *c, int family, uint8_t *p)
{
	size_t n = 0;
	int icmp = family == 4 ? 1 : 58;
	if (c->fragment && c->frag_off)
		goto data;
	if (c->proto == 6) {
		memset(p, 0, 20);
		be16(p, c->sport);
		be16(p + 2, c->dport);
		be32(p + 4, c->seq || c->ack ? c->seq : CRAFT_ISN);
		be32(p + 8, c->ack);
		p[13] = c->flags;
		be16(p + 14, c->no_window ? 0 : c->window ? c->window : 64240);
		be16(p + 18, c->urgent);
		n = 20;
		if (c->tcp_options)
			n += craft_hex(c->tcp_options, p + 20, 40);
		p[12] = (uint8_t)(n / 4 << 4);
	} else if (c->proto == 17) {
		memset(p, 0, 8);
		be16(p, c->sport);
		be16(p + 2, c->dport);
		be16(p + 4, c->udp_len ? c->udp_len : 8 + c->payload + (c->fragment && c->more ? 1000 : 0));
		n = 8;
	} else if (c->proto == icmp) {
		memset(p, 0, 8);
		p[0] = c->icmp_type;
		p[1] = c->icmp_code;
		be16(p + 4, c->icmp_id);
		n = 8;
	}
	if (c->nd_target) {
		craft_addr(c->nd_target, p + n);
		be16(p + 4, 0);
		n += 16;
	}
	if (c->nd_lladdr) {
		p[n] = c->icmp_type == 136 ? 2 : 1;
		p[n + 1] = 1;
		craft_mac(c->nd_lladdr, p + n + 2);
		n += 8;
	}
data:
	for (uint32_t i = 0; i < c->payload; i++)
		p[n + i] = c->data ? c->data[i] : (uint8_t)i;
	return n + c->payload;
}

static void transport_sum(const struct craft *c, int family, const uint8_t *ip, uint8_t *p, size_t n)
{
	int icmp = family == 4 ? 1 : 58;
	size_t at = c->proto == 6 ? 16 : c->proto == 17 ? 6 : c->proto == icmp ? 2 : 0;
	if (!at || (c->fragment && c->frag_off) || c->no_sum)
		return;
	uint32_t pseudo = 0;
	if (c->proto != 1) {
		size_t a = family == 4 ? 8 : 32;
		pseudo = (uint16_t)~craft_sum(ip + (family == 4 ? 12 : 8), a, 0);
		pseudo += (uint32_t)n + c->proto;
	}
	uint16_t sum = craft_sum(p, n, pseudo);
	if (!sum && c->proto == 17)
		sum = 0xffff;
	be16(p + at, c->bad_sum ? sum ^ 0x5555u : sum);
}

static size_t ip4(const struct craft *c, uint8_t *ip)
{
	uint8_t opt[40];
	size_t no = c->options ? craft_hex(c->options, opt, sizeof(opt)) : 0, h = 20 + no;
	uint8_t a[16];
	memset(ip, 0, 20);
	if (no)
		memcpy(ip + 20, opt, no);
	ip[0] = (uint8_t)(4 << 4 | h / 4);
	be16(ip + 4, c->frag_id);
	be16(ip + 6, (c->more ? 0x2000u : 0) | c->frag_off / 8u | (c->fragment ? 0 : 0x4000u));
	ip[8] = c->ttl ? c->ttl : 64;
	ip[9] = c->proto;
	craft_addr(c->src, a);
	memcpy(ip + 12, a, 4);
	craft_addr(c->dst, a);
	memcpy(ip + 16, a, 4);
	size_t n = transport(c, 4, ip + h);
	be16(ip + 2, (uint32_t)(h + n - c->total_less));
	be16(ip + 10, craft_sum(ip, h, 0) ^ (c->bad_ip_sum ? 0x1111u : 0));
	transport_sum(c, 4, ip, ip + h, n);
	return h + n;
}

static size_t ip6(const struct craft *c, uint8_t *ip)
{
	static const struct {
		char letter;
		uint8_t proto;
	} kinds[] = { { 'h', 0 }, { 'd', 60 }, { 'r', 43 }, { 'R', 43 }, { 'm', 135 }, { 'a', 51 } };
	memset(ip, 0, 40);
	ip[0] = 6 << 4;
	uint8_t *next = ip + 6;
	ip[7] = c->ttl ? c->ttl : c->icmp_type >= 133 && c->icmp_type <= 137 && c->proto == 58 ? 255 : 64;
	craft_addr(c->src, ip + 8);
	craft_addr(c->dst, ip + 24);
	size_t h = 40;
	for (const char *x = c->exts ? c->exts : ""; *x; x++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			if (kinds[i].letter != *x)
				continue;
			size_t size = *x == 'a' ? 24 : *x == 'r' || *x == 'R' ? 24 : 8;
			*next = kinds[i].proto;
			next = ip + h;
			memset(ip + h, 0, size);
			ip[h + 1] = (uint8_t)(*x == 'a' ? size / 4 - 2 : size / 8 - 1);
			if (*x == 'R')
				ip[h + 2] = 4;
			if (*x == 'r' || *x == 'R')
				ip[h + 3] = 1; /* segments left */
			if (*x == 'h' || *x == 'd')
				ip[h + 2] = 1, ip[h + 3] = 4; /* PadN */
			h += size;
		}
	}
	if (c->fragment) {
		*next = 44;
		next = ip + h;
		memset(ip + h, 0, 8);
		be16(ip + h + 2, c->frag_off | (c->more ? 1u : 0));
		be32(ip + h + 4, c->frag_id);
		h += 8;
	}
	*next = c->proto ? c->proto : 59;
	size_t n = transport(c, 6, ip + h);
	be16(ip + 4, (uint32_t)(h - 40 + n - c->total_less));
	transport_sum(c, 6, ip, ip + h, n);
	return h + n;
}

static size_t arp(const struct craft *c, uint8_t *p)
{
	uint8_t a[16];
	memset(p, 0, 28);
	be16(p, 1);
	be16(p + 2, 0x800);
	p[4] = 6;
	p[5] = 4;
	be16(p + 6, c->arp_op);
	craft_mac(c->arp_smac ? c->arp_smac : c->smac, p + 8);
	craft_addr(c->src, a);
	memcpy(p + 14, a, 4);
	if (c->arp_tmac)
		craft_mac(c->arp_tmac, p + 18);
	craft_addr(c->dst, a);
	memcpy(p + 24, a, 4);
	return 28;
}

size_t craft(const struct craft *c, uint8_t *buf)
{
	uint8_t a[16];
	size_t n = 12;
	memset(buf, 0, 14);
	craft_mac(c->dmac, buf);
	craft_mac(c->smac, buf + 6);
	if (c->vlan) {
		be16(buf + n, 0x8100);
		be16(buf + n + 2, c->vlan);
		n += 4;
	}
	int family = c->src ? craft_addr(c->src, a) : 0;
	uint16_t type = c->ethertype;
	if (!type)
		type = c->arp_op ? 0x806 : family == 6 ? 0x86dd : 0x800;
	be16(buf + n, type);
	n += 2;
	if (c->arp_op)
		n += arp(c, buf + n);
	else if (family == 4)
		n += ip4(c, buf + n);
	else if (family == 6)
		n += ip6(c, buf + n);
	else {
		memset(buf + n, 0x5a, c->payload);
		n += c->payload;
	}
	if (c->pad > n) {
		memset(buf + n, 0, c->pad - n);
		n = c->pad;
	}
	return c->cut && c->cut < n ? c->cut : n;
}

unsigned craft_fragments(const uint8_t *frame, size_t n, uint32_t id, size_t size, uint8_t *buf, size_t cap,
			 struct craft_piece *out, unsigned most)
{
	bool six = frame[12] == 0x86;
	size_t head = 14 + (six ? 40 : (size_t)(frame[14] & 15) * 4), len = n - head, at = 0, used = 0;
	unsigned count = 0;
	for (; at < len; at += size) {
		size_t part = len - at < size ? len - at : size, h = head + (six ? 8 : 0);
		unsigned more = at + part < len;
		uint8_t *p = buf + used;
		if (count == most || used + h + part > cap)
			nonsense("too many fragments");
		memcpy(p, frame, head);
		if (six) {
			memset(p + head, 0, 8);
			p[head] = p[20];
			p[20] = 44;
			be16(p + head + 2, (uint32_t)at | more);
			be32(p + head + 4, id);
			be16(p + 18, (uint32_t)part + 8);
		} else {
			be16(p + 16, (uint32_t)(head - 14 + part));
			be16(p + 18, id);
			be16(p + 20, (uint32_t)at / 8 | more << 13);
			be16(p + 24, 0);
			be16(p + 24, craft_sum(p + 14, head - 14, 0));
		}
		memcpy(p + h, frame + head + at, part);
		out[count++] = (struct craft_piece){ p, h + part };
		used += h + part;
	}
	return count;
}
