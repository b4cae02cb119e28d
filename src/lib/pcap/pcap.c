/* SPDX-License-Identifier: ISC */
#include "pcap/pcap.h"

#include "pcap/reader.h"

#include <errno.h>
#include <unistd.h>

#define MAGIC_MICRO 0xa1b2c3d4u
#define MAGIC_NANO 0xa1b23c4du
#define MAGIC_NG 0x0a0d0d0au
#define FILE_HEAD 24u
#define RECORD_HEAD 16u
#define FCS_KNOWN 0x04000000u /* of the link type's word: its top four bits are the FCS's length in 16-bit units */

/* ---- the window ----------------------------------------------------------- */

int pcap_need(struct pcap_reader *r, size_t n, struct slice *out, struct err *e)
{
	if (r->n < n && r->fd >= 0 && !r->end) {
		if (n > r->cap)
			return err_set(e, -EBADMSG, "a record of %zu bytes at byte %llu: too long", n,
				       (unsigned long long)r->at);
		memmove(r->buf, r->buf + r->from, r->n);
		r->from = 0;
		while (r->n < n && !r->end) {
			ssize_t got = read(r->fd, r->buf + r->n, r->cap - r->n);
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return err_sys(e, -errno, "cannot read on at byte %llu", (unsigned long long)r->at);
			r->end = got == 0;
			r->n += (size_t)got;
		}
	}
	return slice_sub(slice_of(r->buf + r->from, r->n), 0, n, out);
}

void pcap_pass(struct pcap_reader *r, size_t n)
{
	r->from += n;
	r->n -= n;
	r->at += n;
}

int pcap_skip(struct pcap_reader *r, uint64_t n, struct err *e)
{
	struct slice one;
	while (n) {
		if (!r->n) {
			int got = pcap_need(r, 1, &one, e);
			if (got <= 0)
				return got;
		}
		size_t step = n < r->n ? (size_t)n : r->n;
		pcap_pass(r, step);
		n -= step;
	}
	return 1;
}

bool pcap_u16(const struct pcap_reader *r, struct slice *s, uint16_t *out)
{
	return r->swapped ? slice_be16(s, out) : slice_le16(s, out);
}

bool pcap_u32(const struct pcap_reader *r, struct slice *s, uint32_t *out)
{
	return r->swapped ? slice_be32(s, out) : slice_le32(s, out);
}

void pcap_fcs(struct pcap_record *rec, uint8_t fcs)
{
	if (rec->wirelen < fcs)
		return;
	rec->wirelen -= fcs;
	rec->bytes = slice_head(rec->bytes, rec->wirelen);
}

/* ---- the file -------------------------------------------------------------- */

static int classic_head(struct pcap_reader *r, uint32_t magic, struct err *e)
{
	struct slice s;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, link;
	int got = pcap_need(r, FILE_HEAD, &s, e);
	if (got < 0)
		return got;
	r->nano = magic == MAGIC_NANO;
	if (!got || !slice_skip(&s, 4) || !pcap_u16(r, &s, &major) || !pcap_u16(r, &s, &minor) ||
	    !pcap_u32(r, &s, &zone) || !pcap_u32(r, &s, &sigfigs) || !pcap_u32(r, &s, &snaplen) ||
	    !pcap_u32(r, &s, &link))
		return err_set(e, -EINVAL, "ends within the header of the file");
	if (major != 2 || minor < 3)
		return err_set(e, -EINVAL, "pcap of version %u.%u: only 2.3 and 2.4 are read", major, minor);
	r->ifaces[0] = (struct pcap_iface){ .link = (uint16_t)link,
					    .snaplen = snaplen,
					    .fcs = link & FCS_KNOWN ? (uint8_t)(link >> 28) * 2 : 0 };
	r->nifaces = 1;
	pcap_pass(r, FILE_HEAD);
	return 0;
}

static int head(struct pcap_reader *r, struct err *e)
{
	struct slice s;
	uint32_t magic = 0, other = 0;
	int got = pcap_need(r, 4, &s, e);
	if (got < 0)
		return got;
	struct slice t = s;
	if (!got || !slice_le32(&s, &magic) || !slice_be32(&t, &other))
		return err_set(e, -EINVAL, "empty, or too short for a capture");
	if (magic == MAGIC_NG) {
		r->ng = true;
		return pcapng_section(r, e);
	}
	r->swapped = other == MAGIC_MICRO || other == MAGIC_NANO;
	if (r->swapped)
		magic = other;
	if (magic == MAGIC_MICRO || magic == MAGIC_NANO)
		return classic_head(r, magic, e);
	if ((magic & 0xffff) == 0x8b1f)
		return err_set(e, -EINVAL, "compressed: decompress it first, with gunzip");
	return err_set(e, -EINVAL, "neither pcap nor pcapng");
}

int pcap_reader_open(struct pcap_reader *r, int fd, uint8_t *buf, size_t cap, struct err *e)
{
	if (cap < PCAP_WINDOW_MIN)
		return err_set(e, -EINVAL, "a window of %zu bytes: at least %u", cap, PCAP_WINDOW_MIN);
	*r = (struct pcap_reader){ .fd = fd, .buf = buf, .cap = cap };
	return head(r, e);
}

int pcap_reader_memory(struct pcap_reader *r, struct slice whole, struct err *e)
{
	*r = (struct pcap_reader){
		.fd = -1, .buf = (uint8_t *)(uintptr_t)whole.p, .cap = whole.n, .n = whole.n, .end = true
	};
	return head(r, e);
}

static int classic_next(struct pcap_reader *r, struct pcap_record *out, struct err *e)
{
	struct slice s;
	uint32_t sec, frac, have, wire;
	int got = pcap_need(r, RECORD_HEAD, &s, e);
	if (got <= 0) {
		r->cut = !got && r->n > 0;
		return got;
	}
	if (!pcap_u32(r, &s, &sec) || !pcap_u32(r, &s, &frac) || !pcap_u32(r, &s, &have) || !pcap_u32(r, &s, &wire))
		return err_set(e, -EBADMSG, "no record at byte %llu", (unsigned long long)r->at);
	if (have > PCAP_RECORD_MAX - RECORD_HEAD)
		return err_set(e, -EBADMSG, "a record of %u bytes at byte %llu: the file is damaged there", have,
			       (unsigned long long)r->at);
	got = pcap_need(r, RECORD_HEAD + (size_t)have, &s, e);
#ifdef MUTANT_PCAP_TRUST_LENGTH
	/* The record's own word about how long it is. */
	if (!got)
		got = 1, s = slice_of(r->buf + r->from, RECORD_HEAD + (size_t)have);
#endif
	if (got <= 0) {
		r->cut = !got;
		return got;
	}
	struct pcap_record rec = { .wirelen = wire > have ? wire : have,
				   .time = sec * 1000000000ull + (r->nano ? frac : frac * 1000ull),
				   .timed = true,
				   .link = r->ifaces[0].link };
	slice_sub(s, RECORD_HEAD, have, &rec.bytes);
	pcap_fcs(&rec, r->ifaces[0].fcs);
	pcap_pass(r, RECORD_HEAD + (size_t)have);
	*out = rec;
	return 1;
}

int pcap_reader_next(struct pcap_reader *r, struct pcap_record *out, struct err *e)
{
	return r->ng ? pcapng_next(r, out, e) : classic_next(r, out, e);
}
