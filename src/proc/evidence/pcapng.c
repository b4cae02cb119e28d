/* SPDX-License-Identifier: ISC */
#include "proc/evidence/pcapng.h"

#include "base/slice.h"

#include <stdbool.h>
#include <string.h>

enum { SHB = 0x0a0d0d0a, IDB = 1, ISB = 5, EPB = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1 };
enum { SHB_HARDWARE = 2, SHB_OS = 3, SHB_USERAPPL = 4 };
enum { IF_NAME = 2, IF_DESCRIPTION = 3, IF_IPV4 = 4, IF_IPV6 = 5, IF_MAC = 6, IF_TSRESOL = 9 };
enum { EPB_FLAGS = 2, EPB_PACKETID = 5 };
enum { ISB_IFRECV = 4, ISB_IFDROP = 5 };

struct out {
	uint8_t *p;
	size_t cap, n;
	bool full;
};

static void put(struct out *o, const void *p, size_t n)
{
	if (o->full || n > o->cap - o->n) {
		o->full = true;
		return;
	}
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put16(struct out *o, unsigned v)
{
	uint8_t d[2] = { (uint8_t)v, (uint8_t)(v >> 8) };
	put(o, d, sizeof(d));
}

static void put32(struct out *o, uint32_t v)
{
	uint8_t d[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };
	put(o, d, sizeof(d));
}

static void put64(struct out *o, uint64_t v)
{
	put32(o, (uint32_t)v);
	put32(o, (uint32_t)(v >> 32));
}

static void align4(struct out *o)
{
	static const uint8_t zero[4];
	put(o, zero, -o->n & 3);
}

static void option(struct out *o, unsigned code, const void *p, size_t n)
{
	put16(o, code);
	put16(o, (unsigned)n);
	put(o, p, n);
	align4(o);
}

static void option_text(struct out *o, unsigned code, const char *s)
{
	size_t n = s ? strnlen(s, 255) : 0;
	if (n)
		option(o, code, s, n);
}

static struct out begin(uint8_t *buf, size_t cap, uint32_t type)
{
	struct out o = { .p = buf, .cap = cap };
	put32(&o, type);
	put32(&o, 0);
	return o;
}

/* The length stands at both ends, so that readers can go backwards. */
static size_t finish(struct out *o)
{
	uint32_t len = (uint32_t)o->n + 4;
	put32(o, len);
	if (o->full)
		return 0;
	uint8_t d[4] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), (uint8_t)(len >> 24) };
	memcpy(o->p + 4, d, sizeof(d));
	return o->n;
}

size_t pcapng_shb(uint8_t *buf, size_t cap, const char *hardware, const char *os, const char *app)
{
	struct out o = begin(buf, cap, SHB);
	put32(&o, 0x1a2b3c4d);
	put16(&o, 1);
	put16(&o, 0);
	put64(&o, UINT64_MAX); /* the section ends with the file */
	option_text(&o, SHB_HARDWARE, hardware);
	option_text(&o, SHB_OS, os);
	option_text(&o, SHB_USERAPPL, app);
	put32(&o, OPT_END);
	return finish(&o);
}

static void netmask(uint8_t out[4], unsigned plen)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned bits = plen > 8 * i ? plen - 8 * i : 0;
		out[i] = (uint8_t)(bits >= 8 ? 0xff : 0xff << (8 - bits));
	}
}

size_t pcapng_idb(uint8_t *buf, size_t cap, const struct pcapng_if *i)
{
	static const uint8_t none[6], nanoseconds = 9;
	struct out o = begin(buf, cap, IDB);
	put16(&o, 1); /* LINKTYPE_ETHERNET */
	put16(&o, 0);
	put32(&o, 0); /* no limit */
	option_text(&o, IF_NAME, i->name);
	option_text(&o, IF_DESCRIPTION, i->description);
	for (unsigned k = 0; k < i->naddrs; k++) {
		const struct addr *a = &i->addrs[k];
		uint8_t v[17];
		if (a->family == 4) {
			memcpy(v, a->b, 4);
			netmask(v + 4, a->plen);
			option(&o, IF_IPV4, v, 8);
		} else if (a->family == 6) {
			memcpy(v, a->b, 16);
			v[16] = a->plen;
			option(&o, IF_IPV6, v, 17);
		}
	}
	if (memcmp(i->mac, none, 6) != 0)
		option(&o, IF_MAC, i->mac, 6);
	option(&o, IF_TSRESOL, &nanoseconds, 1);
	put32(&o, OPT_END);
	return finish(&o);
}

size_t pcapng_epb(uint8_t *buf, size_t cap, const struct pcapng_packet *p)
{
	struct out o = begin(buf, cap, EPB);
	put32(&o, p->interface);
	put32(&o, (uint32_t)(p->time >> 32));
	put32(&o, (uint32_t)p->time);
	put32(&o, p->caplen);
	put32(&o, p->wirelen);
	put(&o, p->data, p->caplen);
	align4(&o);
	option_text(&o, OPT_COMMENT, p->comment);
	put16(&o, EPB_FLAGS);
	put16(&o, 4);
	put32(&o, p->dir);
	put16(&o, EPB_PACKETID);
	put16(&o, 8);
	put64(&o, p->id);
	put32(&o, OPT_END);
	return finish(&o);
}

size_t pcapng_isb(uint8_t *buf, size_t cap, uint32_t interface, uint64_t time, uint64_t received, uint64_t lost)
{
	struct out o = begin(buf, cap, ISB);
	put32(&o, interface);
	put32(&o, (uint32_t)(time >> 32));
	put32(&o, (uint32_t)time);
	put16(&o, ISB_IFRECV);
	put16(&o, 8);
	put64(&o, received);
	put16(&o, ISB_IFDROP);
	put16(&o, 8);
	put64(&o, lost);
	put32(&o, OPT_END);
	return finish(&o);
}

size_t pcapng_whole(const uint8_t *p, size_t n)
{
	struct slice s = slice_of(p, n), block;
	for (;;) {
		struct slice t = s, tail;
		uint32_t type, len, again;
		if (!slice_le32(&t, &type) || !slice_le32(&t, &len) || len < 12 || (len & 3))
			break;
		t = s;
		if (!slice_take(&t, len, &block) || !slice_sub(block, len - 4, 4, &tail) ||
		    !slice_le32(&tail, &again) || again != len)
			break;
		s = t;
	}
	return n - s.n;
}
