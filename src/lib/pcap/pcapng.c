/* SPDX-License-Identifier: ISC */
#include "pcap/pcap.h"

#include "pcap/reader.h"

#include <errno.h>

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define BLOCK_HEAD 8u /* type and length */
#define BLOCK_MIN 12u /* and the length again at the end */

enum { BLOCK_SHB = 0x0a0d0d0a, BLOCK_IDB = 1, BLOCK_OPB = 2, BLOCK_SPB = 3, BLOCK_EPB = 6 };
enum { OPT_COMMENT = 1, OPT_IF_NAME = 2, OPT_FLAGS = 2, OPT_IF_TSRESOL = 9, OPT_IF_FCSLEN = 13, OPT_IF_TSOFFSET = 14 };

static int broken(const struct pcap_reader *r, const char *what, struct err *e)
{
	return err_set(e, -EBADMSG, "%s at byte %llu: the file is damaged there", what, (unsigned long long)r->at);
}

/* The next option: 0 at their end. */
static uint16_t option(const struct pcap_reader *r, struct slice *s, struct slice *value)
{
	uint16_t code, len;
	if (!pcap_u16(r, s, &code) || !pcap_u16(r, s, &len) || !slice_take(s, len, value))
		return 0;
	if (!slice_skip(s, -(size_t)len & 3))
		s->n = 0;
	return code;
}

int pcapng_section(struct pcap_reader *r, struct err *e)
{
	struct slice s;
	uint32_t magic;
	uint16_t major;
	int got = pcap_need(r, BLOCK_MIN + 16, &s, e);
	if (got < 0)
		return got;
	if (!got)
		return err_set(e, -EINVAL, "ends within the header of a section, at byte %llu",
			       (unsigned long long)r->at);
	slice_skip(&s, BLOCK_HEAD);
	struct slice t = s;
	if (slice_le32(&t, &magic) && magic == BYTE_ORDER_MAGIC)
		r->swapped = false;
	else if (slice_be32(&s, &magic) && magic == BYTE_ORDER_MAGIC)
		r->swapped = true;
	else
		return err_set(e, -EINVAL, "a section without a byte order, at byte %llu", (unsigned long long)r->at);
	if (!pcap_u16(r, &t, &major) || major != 1)
		return err_set(e, -EINVAL, "pcapng of version %u: only 1 is read", major);
	r->nifaces = 0;
	return 0;
}

static int interface(struct pcap_reader *r, struct slice s, struct err *e)
{
	struct pcap_iface f = { .tsresol = 6 };
	struct slice v;
	uint16_t code;
	if (!pcap_u16(r, &s, &f.link) || !slice_skip(&s, 2) || !pcap_u32(r, &s, &f.snaplen))
		return broken(r, "a short interface block", e);
	if (r->nifaces == PCAP_IFACES)
		return err_set(e, -EBADMSG, "more than %u interfaces in one section", PCAP_IFACES);
	while ((code = option(r, &s, &v))) {
		uint32_t a, b;
		if (code == OPT_IF_NAME) {
			size_t n = v.n < sizeof(f.name) ? v.n : sizeof(f.name) - 1;
			memset(f.name, 0, sizeof(f.name));
			slice_get(&v, f.name, n);
		} else if (code == OPT_IF_TSRESOL) {
			slice_u8(&v, &f.tsresol);
		} else if (code == OPT_IF_FCSLEN) {
			/* In bits, by the drafts; Wireshark writes bytes. */
			slice_u8(&v, &f.fcs);
			f.fcs = f.fcs >= 16 ? f.fcs / 8 : f.fcs;
		} else if (code == OPT_IF_TSOFFSET && pcap_u32(r, &v, &a) && pcap_u32(r, &v, &b)) {
			f.tsoffset = (int64_t)(r->swapped ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a);
		}
	}
	r->ifaces[r->nifaces++] = f;
	return 0;
}

/* Nanoseconds since 1970; what does not fit stays at the end that it passes. */
static uint64_t time_of(const struct pcap_iface *f, uint64_t ts)
{
	unsigned n = f->tsresol & 0x7f;
	unsigned __int128 t = ts;
	if (f->tsresol & 0x80) {
		t = n < 96 ? t * 1000000000u >> n : 0;
	} else {
		for (unsigned i = n; i < 9; i++)
			t *= 10;
		for (unsigned i = 9; i < n && t; i++)
			t /= 10;
	}
	__int128 sum = (__int128)t + (__int128)f->tsoffset * 1000000000;
	if (sum < 0)
		return 0;
	return sum > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

static void options_of_packet(const struct pcap_reader *r, struct slice s, struct pcap_record *rec)
{
	struct slice v;
	uint16_t code;
	uint32_t flags;
	while ((code = option(r, &s, &v))) {
		if (code == OPT_COMMENT)
			rec->comment = v;
		else if (code == OPT_FLAGS && pcap_u32(r, &v, &flags))
			rec->dir = (flags & 3) == 1 ? PCAP_DIR_IN : (flags & 3) == 2 ? PCAP_DIR_OUT : PCAP_DIR_UNKNOWN;
	}
}

/* EPB, and OPB, whose interface is two bytes and stands before a drop count. */
static int packet(struct pcap_reader *r, uint32_t type, struct slice s, struct pcap_record *out, struct err *e)
{
	struct pcap_record rec = { .timed = true };
	uint32_t iface = 0, hi, lo, have;
	uint16_t narrow = 0, drops;
	bool ok = type == BLOCK_EPB ? pcap_u32(r, &s, &iface) : pcap_u16(r, &s, &narrow) && pcap_u16(r, &s, &drops);
	if (!ok || !pcap_u32(r, &s, &hi) || !pcap_u32(r, &s, &lo) || !pcap_u32(r, &s, &have) ||
	    !pcap_u32(r, &s, &rec.wirelen))
		return broken(r, "a short packet block", e);
#ifdef MUTANT_PCAP_TRUST_LENGTH
	if (have > s.n)
		s.n = have;
#endif
	if (!slice_take(&s, have, &rec.bytes))
		return broken(r, "a packet that is longer than its block", e);
	if (type == BLOCK_OPB)
		iface = narrow;
	if (iface >= r->nifaces)
		return broken(r, "a packet of an interface that is not described", e);
	const struct pcap_iface *f = &r->ifaces[iface];
	rec.iface = (uint16_t)iface;
	rec.link = f->link;
	rec.time = time_of(f, (uint64_t)hi << 32 | lo);
	if (rec.wirelen < have)
		rec.wirelen = have;
	if (slice_skip(&s, -(size_t)have & 3))
		options_of_packet(r, s, &rec);
	pcap_fcs(&rec, f->fcs);
	*out = rec;
	return 1;
}

static int simple_packet(struct pcap_reader *r, struct slice s, struct pcap_record *out, struct err *e)
{
	struct pcap_record rec = { 0 };
	if (!pcap_u32(r, &s, &rec.wirelen))
		return broken(r, "a short packet block", e);
	if (!r->nifaces)
		return broken(r, "a packet of an interface that is not described", e);
	const struct pcap_iface *f = &r->ifaces[0];
	rec.link = f->link;
	rec.bytes = slice_head(s, rec.wirelen);
	if (f->snaplen)
		rec.bytes = slice_head(rec.bytes, f->snaplen);
	pcap_fcs(&rec, f->fcs);
	*out = rec;
	return 1;
}

static bool wanted(uint32_t type)
{
	return type == BLOCK_SHB || type == BLOCK_IDB || type == BLOCK_OPB || type == BLOCK_SPB || type == BLOCK_EPB;
}

/* 1: a packet; 0: the end; 2: something else, which has been read. */
static int block(struct pcap_reader *r, struct pcap_record *out, struct err *e)
{
	struct slice s, body, tail;
	uint32_t type, len, again;
	int got = pcap_need(r, BLOCK_HEAD, &s, e);
	if (got <= 0) {
		r->cut = !got && r->n > 0;
		return got;
	}
	if (!slice_le32(&s, &type))
		return broken(r, "no block", e);
	if (type == BLOCK_SHB) {
		/* Its length has the byte order that it says itself. */
		if ((got = pcapng_section(r, e)) < 0)
			return r->n < BLOCK_MIN + 16 && r->end ? (r->cut = true, 0) : got;
		/* The window may have moved. */
		pcap_need(r, BLOCK_HEAD, &s, e);
		slice_skip(&s, 4);
	} else if (r->swapped) {
		type = __builtin_bswap32(type);
	}
	if (!pcap_u32(r, &s, &len) || len < BLOCK_MIN || (len & 3))
		return broken(r, "a block of an impossible length", e);
	if (!wanted(type)) {
		got = pcap_skip(r, len, e);
		r->cut = got == 0;
		return got <= 0 ? got : 2;
	}
	if (len > PCAP_RECORD_MAX)
		return broken(r, "a block that is too long", e);
	if ((got = pcap_need(r, len, &s, e)) <= 0) {
		r->cut = !got;
		return got;
	}
	if (!slice_sub(s, len - 4, 4, &tail) || !pcap_u32(r, &tail, &again) || again != len ||
	    !slice_sub(s, BLOCK_HEAD, len - BLOCK_MIN, &body))
		return broken(r, "a block whose two lengths differ", e);
	got = 2;
	if (type == BLOCK_IDB)
		got = interface(r, body, e) < 0 ? -EBADMSG : 2;
	else if (type == BLOCK_SPB)
		got = simple_packet(r, body, out, e);
	else if (type != BLOCK_SHB)
		got = packet(r, type, body, out, e);
	if (got > 0)
		pcap_pass(r, len);
	return got;
}

int pcapng_next(struct pcap_reader *r, struct pcap_record *out, struct err *e)
{
	int got;
	while ((got = block(r, out, e)) == 2)
		;
	return got;
}
