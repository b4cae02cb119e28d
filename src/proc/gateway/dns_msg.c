/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. A name in a question must be written out. In records it
 * may point back (RFC 1035 section 4.1.4): every jump must lead further back than
 * the one before, and the whole must stay below 255 bytes, so that reading ends
 * whatever was sent. Bytes behind the message's last record are no part of DNS,
 * and a message that has them is not let through.
 */
#include "proc/gateway/dns_msg.h"

#include <stdio.h>
#include <string.h>

#define HEAD 12u
#define LABEL_LONG 16u
#define JOINED_LONG 48u
#define JOINED_MORE 300u

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Reads a name at the front of *s; all: the whole message, for pointers, empty if
 * there may be none. out may be NULL: the name is only walked over. */
static bool read_name(struct slice *s, struct slice all, struct dns_name *out)
{
	struct slice at = *s, label;
	size_t before = (size_t)(s->p - all.p), total = 1; /* the root's byte */
	bool jumped = false;
	if (out)
		*out = (struct dns_name){ .plain = true };
	for (;;) {
		uint8_t len, low;
		if (!slice_u8(&at, &len))
			return false;
		if ((len & 0xc0) == 0xc0) {
			if (!all.n || !slice_u8(&at, &low))
				return false;
			size_t to = (size_t)(len & 0x3f) << 8 | low;
			if (!jumped)
				*s = at;
			jumped = true;
			if (to >= before)
				return false;
			before = to;
			if (!slice_sub(all, to, all.n > to ? all.n - to : 0, &at))
				return false;
			continue;
		}
		if (len & 0xc0)
			return false;
		if (!len)
			break;
		total += len + 1u;
		if (!slice_take(&at, len, &label) || total > DNS_NAME_MAX)
			return false;
		if (!out)
			continue;
		out->at[out->nlabels] = (uint8_t)out->n;
		out->len[out->nlabels++] = len;
		for (unsigned i = 0; i < len; i++) {
			uint8_t c = lower(label.p[i]);
			out->plain &= is_plain(c);
			out->b[out->n++] = c;
		}
	}
	if (!jumped)
		*s = at;
	return true;
}

struct record {
	uint16_t type, class;
	uint32_t ttl;
	struct slice data;
	bool root; /* its name is the root */
};

static bool read_record(struct slice *s, struct slice all, struct record *r)
{
	uint16_t len;
	r->root = s->n && s->p[0] == 0;
	return read_name(s, all, NULL) && slice_be16(s, &r->type) && slice_be16(s, &r->class) &&
	       slice_be32(s, &r->ttl) && slice_be16(s, &len) && slice_take(s, len, &r->data);
}

/* RFC 6891: one, at the root, version 0. */
static bool read_opt(const struct record *r, struct dns_msg *m)
{
	struct slice s = r->data, value;
	if (m->edns || !r->root || (r->ttl >> 16 & 0xff) != 0)
		return false;
	m->edns = true;
	while (s.n) {
		uint16_t code, len;
		if (!slice_be16(&s, &code) || !slice_be16(&s, &len) || !slice_take(&s, len, &value))
			return false;
		m->edns_data |= len != 0;
	}
	return true;
}

static bool read_head(struct slice *s, struct dns_msg *m, uint16_t count[4])
{
	m->size = (uint16_t)s->n;
	return s->n <= UINT16_MAX && slice_be16(s, &m->id) && slice_be16(s, &m->flags) && slice_be16(s, &count[0]) &&
	       slice_be16(s, &count[1]) && slice_be16(s, &count[2]) && slice_be16(s, &count[3]);
}

static bool read_question(struct slice *s, struct dns_msg *m)
{
	return read_name(s, (struct slice){ 0 }, &m->name) && slice_be16(s, &m->qtype) && slice_be16(s, &m->qclass);
}

bool dns_question(struct slice bytes, struct dns_msg *m)
{
	struct slice s = bytes;
	uint16_t count[4];
	struct record r;
	*m = (struct dns_msg){ 0 };
	/* A query; recursion desired, AD and CD as one likes, nothing else. */
	if (!read_head(&s, m, count) || (m->flags & ~0x0130u) != 0)
		return false;
	if (count[0] != 1 || count[1] || count[2] || count[3] > 1 || !read_question(&s, m))
		return false;
	if (count[3] &&
	    (!read_record(&s, bytes, &r) || r.type != DNS_T_OPT || !read_opt(&r, m) || r.ttl >> 24 || (r.ttl & 0x7fff)))
		return false;
	return s.n == 0;
}

static void note_type(struct dns_msg *m, uint16_t type)
{
	for (unsigned i = 0; i < m->ntypes; i++)
		if (m->types[i] == type)
			return;
	if (m->ntypes < DNS_ANSWERS_MAX)
		m->types[m->ntypes++] = type;
	else
		m->more_types = true;
}

static bool note_answer(struct dns_msg *m, const struct record *r)
{
	unsigned len = r->type == DNS_T_A ? 4 : r->type == DNS_T_AAAA ? 16 : 0;
	note_type(m, r->type);
	if (!len)
		return true;
	if (r->class != 1 || r->data.n != len)
		return false;
	if (m->nanswers == DNS_ANSWERS_MAX)
		return true;
	m->answers[m->nanswers].ttl = r->ttl;
	m->answers[m->nanswers].family = len == 4 ? 4 : 6;
	memcpy(m->answers[m->nanswers++].addr, r->data.p, len);
	return true;
}

bool dns_answer(struct slice bytes, struct dns_msg *m)
{
	struct slice s = bytes;
	uint16_t count[4];
	struct record r;
	*m = (struct dns_msg){ 0 };
	/* An answer to a query; the reserved bit is zero. */
	if (!read_head(&s, m, count) || (m->flags & 0xf840u) != DNS_QR || count[0] != 1 || !read_question(&s, m))
		return false;
	for (unsigned section = 1; section < 4; section++) {
		for (unsigned i = 0; i < count[section]; i++) {
			if (!read_record(&s, bytes, &r))
				return false;
			if (r.type == DNS_T_OPT ? section != 3 || !read_opt(&r, m)
						: section == 1 && !note_answer(m, &r))
				return false;
			if (section > 1 && r.type != DNS_T_OPT)
				note_type(m, r.type);
		}
	}
	return s.n == 0;
}

/* ---- names ------------------------------------------------------------------ */

unsigned dns_tail(const struct dns_name *n, unsigned labels)
{
	return labels && labels <= n->nlabels ? n->at[n->nlabels - labels] : labels ? 0 : n->n;
}

static bool ends(const struct dns_name *n, const char *suffix)
{
	/* Two labels, as "co.uk". */
	const char *dot = strchr(suffix, '.');
	size_t a = (size_t)(dot - suffix), b = strlen(dot + 1);
	if (n->nlabels < 2)
		return false;
	unsigned i = n->nlabels - 2u;
	return n->len[i] == a && n->len[i + 1] == b && !memcmp(n->b + n->at[i], suffix, a) &&
	       !memcmp(n->b + n->at[i + 1], dot + 1, b);
}

unsigned dns_registered(const struct dns_name *n)
{
	static const char *const suffixes[] = {
		"co.uk",  "org.uk", "me.uk",  "ac.uk",  "gov.uk", "net.uk", "com.au", "net.au", "org.au", "co.nz",
		"org.nz", "net.nz", "co.jp",  "ne.jp",  "or.jp",  "ac.jp",  "go.jp",  "com.br", "net.br", "org.br",
		"co.za",  "org.za", "com.cn", "net.cn", "org.cn", "gov.cn", "com.tw", "org.tw", "com.tr", "com.mx",
		"com.ar", "co.in",  "net.in", "org.in", "co.kr",  "or.kr",  "com.sg", "com.hk", "com.my", "com.ua",
		"com.pl", "com.ru", "co.il",  "co.id",  "com.vn", "co.th",  "com.co", "com.pe", "com.ph", "com.eg",
	};
	unsigned want = 2;
	if (ends(n, "in-addr.arpa"))
		want = 5; /* a /24 */
	else if (ends(n, "ip6.arpa"))
		want = 14; /* a /48 */
	for (size_t i = 0; want == 2 && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (ends(n, suffixes[i]))
			want = 3;
	return want < n->nlabels ? want : n->nlabels;
}

/* log2(x) in 1/65536, x > 0: the integer part, then one bit for each squaring. */
static uint32_t lg(uint32_t x)
{
	uint32_t whole = 31u - (uint32_t)__builtin_clz(x), bits = 0;
	uint64_t m = (uint64_t)x << (31 - whole); /* 1.0 = 2^31 */
	for (unsigned i = 0; i < 16; i++) {
		m = m * m >> 31;
		bits <<= 1;
		if (m >> 32) {
			bits |= 1;
			m >>= 1;
		}
	}
	return whole << 16 | bits;
}

/* log2(n) - sum(c log2 c) / n. */
unsigned dns_entropy(const uint8_t *p, unsigned n)
{
	uint16_t count[256] = { 0 };
	uint64_t sum = 0;
	if (!n || n > DNS_NAME_MAX)
		return 0;
	for (unsigned i = 0; i < n; i++)
		count[p[i]]++;
	for (unsigned i = 0; i < 256; i++)
		if (count[i] > 1)
			sum += (uint64_t)count[i] * lg(count[i]);
	return (unsigned)(((uint64_t)lg(n) * n - sum) * 1000 / n >> 16);
}

bool dns_dense(const struct dns_name *n, unsigned limit)
{
	unsigned joined = dns_tail(n, dns_registered(n));
#ifdef MUTANT_DNS_ENTROPY_OFF
	return false;
#endif
	if (!limit)
		return false;
	for (unsigned i = 0; i < n->nlabels; i++)
		if (n->len[i] >= LABEL_LONG && dns_entropy(n->b + n->at[i], n->len[i]) >= limit)
			return true;
	return joined >= JOINED_LONG && dns_entropy(n->b, joined) >= limit + JOINED_MORE;
}

size_t dns_text(const struct dns_name *n, char *out, size_t cap)
{
	size_t have = 0;
	for (unsigned i = 0; i < n->nlabels; i++) {
		for (unsigned k = 0; k <= n->len[i]; k++) {
			uint8_t c = k < n->len[i] ? n->b[n->at[i] + k] : '.';
			char text[5] = { (char)c, 0 };
			bool own = k < n->len[i] && (c <= 32 || c >= 127 || c == '.' || c == '\\');
			if (k == n->len[i] && i + 1u == n->nlabels)
				break; /* no dot at the end */
			if (own)
				snprintf(text, sizeof(text), "\\%03u", c);
			size_t len = own ? 4 : 1;
			if (have + len > cap)
				return have;
			memcpy(out + have, text, len);
			have += len;
		}
	}
	return have;
}
