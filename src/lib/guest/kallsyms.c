/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. scripts/kallsyms.c writes, one after the other, each
 * aligned to 8 bytes:
 *
 *	offsets        u32 x count (CONFIG_KALLSYMS_BASE_RELATIVE), or addresses u64 x count
 *	relative_base  u64 (only with offsets)
 *	num_syms       u32
 *	names          per symbol: length (from 0x80 on: two bytes, 7 bits each), then tokens
 *	markers        u32 for each 256th symbol: where it is in names
 *	seqs_of_names  3 bytes per symbol (from 6.2 on, and in the late 6.1.y)
 *	token_table    256 texts
 *	token_index    u16 x 256
 *
 * From 6.4 on offsets, relative_base and seqs_of_names come last.
 *
 * Tokens of the digits are almost always the digits themselves, which gives the
 * token table away; token_index proves it. From there we go back: markers is an
 * increasing run that begins with 0; num_syms is a number that fits the markers'
 * count and whose names end where the markers begin.
 *
 * A file made for it could have us try many places. Every read counts, and after
 * BUDGET reads all of them fail.
 */
#include "guest/kallsyms.h"

#include <errno.h>

#define ALIGN8(n) (((n) + 7) & ~(size_t)7)
/* Names of one marker's 256 symbols: two bytes of length and at most 511 tokens. */
#define MARKER_SPAN (256u * 600u)

#define SEQ_BYTES 3u
#define BUDGET (UINT64_C(1) << 27)

struct scan {
	struct slice d;
	uint64_t budget;
};

static bool spend(struct scan *s, uint64_t reads)
{
	if (reads > s->budget)
		return false;
	s->budget -= reads;
	return true;
}

static bool u16_at(struct scan *c, size_t off, uint16_t *out)
{
	struct slice s;
	return spend(c, 1) && slice_sub(c->d, off, 2, &s) && slice_le16(&s, out);
}

static bool u32_at(struct scan *c, size_t off, uint32_t *out)
{
	struct slice s;
	return spend(c, 1) && slice_sub(c->d, off, 4, &s) && slice_le32(&s, out);
}

static bool u64_at(struct scan *c, size_t off, uint64_t *out)
{
	struct slice s;
	return spend(c, 1) && slice_sub(c->d, off, 8, &s) && slice_le64(&s, out);
}

/* Is there a token table at `at`? Its tokens' places and its end. */
static bool tokens_at(struct scan *c, size_t at, struct kallsyms *k)
{
	uint16_t place[256];
	size_t p = at;
	for (unsigned i = 0; i < 256; i++) {
		struct slice rest;
		if (p - at > UINT16_MAX || p > c->d.n || !spend(c, 1) || !slice_sub(c->d, p, c->d.n - p, &rest))
			return false;
		const uint8_t *end = memchr(rest.p, 0, rest.n < 256 ? rest.n : 256);
		if (!end)
			return false;
		place[i] = (uint16_t)(p - at);
		p += (size_t)(end - rest.p) + 1;
	}
	size_t index = ALIGN8(p);
	for (unsigned i = 0; i < 256; i++) {
		uint16_t v;
		if (!u16_at(c, index + 2 * i, &v) || v != place[i])
			return false;
	}
	if (!slice_sub(c->d, at, p - at, &k->tokens))
		return false;
	memcpy(k->token, place, sizeof(place));
	return true;
}

/* The digits are 48 tokens behind the table's beginning; the table is aligned. */
static bool find_tokens(struct scan *c, size_t from, size_t *at, struct kallsyms *k)
{
	static const char digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	while (from < c->d.n) {
		const uint8_t *hit = memmem(c->d.p + from, c->d.n - from, digits, sizeof(digits));
		if (!hit || !spend(c, 64))
			return false;
		size_t pos = (size_t)(hit - c->d.p), start = pos;
		unsigned zeros = 0;
		/* The 49th zero byte before the digits ends what stands before the table. */
		while (start > 0 && pos - start < 48 * 64 && zeros < 64) {
			if (start % 8 == 0 && zeros >= 48 && tokens_at(c, start, k)) {
				*at = start;
				return true;
			}
			start--;
			zeros += c->d.p[start] == 0;
		}
		from = pos + 1;
	}
	return false;
}

static bool name_length(struct slice *names, size_t *n)
{
	uint8_t a, b;
	if (!slice_u8(names, &a))
		return false;
	*n = a;
	if (a & 0x80) {
		if (!slice_u8(names, &b))
			return false;
		*n = (a & 0x7fu) | (size_t)b << 7;
	}
	return true;
}

/* Do `count` names from `at` on pass all markers and end at `end`? */
static bool names_fit(struct scan *c, size_t at, size_t end, uint32_t count, size_t markers)
{
	struct slice names;
	if (end < at || !slice_sub(c->d, at, end - at, &names))
		return false;
	size_t all = names.n, n;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t mark;
		if (i % 256 == 0 && (!u32_at(c, markers + i / 256 * 4, &mark) || mark != all - names.n))
			return false;
		if (!spend(c, 1) || !name_length(&names, &n) || n == 0 || !slice_skip(&names, n))
			return false;
	}
	return names.n < 8;
}

/* Rising offsets at `at`, their base at base_at. */
static bool offsets_at(struct scan *c, size_t at, size_t base_at, struct kallsyms *k)
{
	uint64_t base;
	uint32_t i, o, prev = 0;
	if (!u64_at(c, base_at, &base) || base < 4096 || base >> 47)
		return false;
	for (i = 0; i < k->count; i++) {
		if (!u32_at(c, at + 4 * (size_t)i, &o) || o < prev)
			return false;
		prev = o;
	}
	k->base = base;
	return prev > 0 && slice_sub(c->d, at, (size_t)k->count * 4, &k->addrs);
}

/* Before num_syms, or (6.4) behind token_index. */
static bool find_addresses(struct scan *c, size_t num_syms, size_t tokens, struct kallsyms *k)
{
	size_t size = ALIGN8((size_t)k->count * 4), behind = ALIGN8(tokens + k->tokens.n) + 512;
	uint64_t v, last = 0;
	if (num_syms >= 8 + size && offsets_at(c, num_syms - 8 - size, num_syms - 8, k))
		return true;
	if (offsets_at(c, behind, behind + size, k))
		return true;
	size = (size_t)k->count * 8;
	if (num_syms < size)
		return false;
	for (uint32_t i = 0; i < k->count; i++) {
		if (!u64_at(c, num_syms - size + 8 * (size_t)i, &v) || v < last)
			return false;
		last = v;
	}
	k->base = 0;
	return last > 0 && slice_sub(c->d, num_syms - size, size, &k->addrs);
}

/* The markers begin at `at` and there are n of them: look for num_syms. `gap`:
 * bytes between markers and tokens, which seqs_of_names fills or nothing. */
static bool find_names(struct scan *c, size_t at, size_t n, size_t gap, size_t tokens, struct kallsyms *k)
{
	uint32_t last, count;
	if (!u32_at(c, at + 4 * (n - 1), &last) || at < (size_t)last + 16)
		return false;
	size_t high = (at - last - 8) & ~(size_t)7, low = high > MARKER_SPAN ? high - MARKER_SPAN : 0;
	for (size_t p = high; p >= low + 8; p -= 8) {
		if (!u32_at(c, p - 8, &count) || count > KALLSYMS_MAX || count <= (n - 1) * 256 || count > n * 256)
			continue;
		if ((gap && gap != ALIGN8((size_t)count * SEQ_BYTES)) || !names_fit(c, p, at, count, at))
			continue;
		k->count = count;
		if (slice_sub(c->d, p, at - p, &k->names) && find_addresses(c, p - 8, tokens, k))
			return true;
	}
	return false;
}

/* A run of markers that ends at `end`. */
static bool markers_end(struct scan *c, size_t end, size_t gap, size_t tokens, struct kallsyms *k)
{
	uint32_t above = UINT32_MAX, v;
	for (size_t n = 1; n <= KALLSYMS_MAX / 256 && end >= 4 * n && u32_at(c, end - 4 * n, &v) && v < above; n++) {
		above = v;
		if (v || (end - 4 * n) % 8)
			continue;
		if (gap && (gap <= (n - 1) * 256 * SEQ_BYTES || gap > n * 256 * SEQ_BYTES + 8))
			continue;
		if (find_names(c, end - 4 * n, n, gap, tokens, k))
			return true;
	}
	return false;
}

static bool find_markers(struct scan *c, size_t tokens, struct kallsyms *k)
{
	for (size_t gap = 0; gap <= KALLSYMS_MAX * SEQ_BYTES + 8 && gap + 8 <= tokens && c->budget; gap += 8) {
		size_t end = tokens - gap;
		uint32_t pad;
		if (markers_end(c, end, gap, tokens, k))
			return true;
		if (u32_at(c, end - 4, &pad) && pad == 0 && markers_end(c, end - 4, gap, tokens, k))
			return true;
	}
	return false;
}

int kallsyms_find(struct slice data, struct kallsyms *out, struct err *e)
{
	struct kallsyms k = { 0 };
	struct scan c = { data, BUDGET };
	size_t at = 0, from = 0;
	while (find_tokens(&c, from, &at, &k)) {
		if (find_markers(&c, at, &k)) {
			*out = k;
			return 0;
		}
		from = at + k.tokens.n;
	}
	return err_set(e, -ENOENT, "the kernel carries no symbol table (kallsyms) that we can read");
}

struct kallsyms_cursor kallsyms_first(const struct kallsyms *k)
{
	return (struct kallsyms_cursor){ .k = k, .rest = k->names };
}

static bool address(const struct kallsyms *k, uint32_t i, uint64_t *out)
{
	uint32_t o;
	struct slice s = k->addrs;
	if (k->base == 0)
		return slice_skip(&s, 8 * (size_t)i) && slice_le64(&s, out);
	if (!slice_skip(&s, 4 * (size_t)i) || !slice_le32(&s, &o))
		return false;
	*out = k->base + o;
	return true;
}

bool kallsyms_next(struct kallsyms_cursor *c, struct kallsyms_symbol *out)
{
	size_t n, len = 0;
	struct slice tokens, word;
	uint8_t t;
	if (c->next >= c->k->count || !name_length(&c->rest, &n) || !slice_take(&c->rest, n, &tokens) ||
	    !address(c->k, c->next, &out->addr))
		return false;
	c->next++;
	out->type = 0;
	while (slice_u8(&tokens, &t)) {
		size_t from = c->k->token[t];
		if (from >= c->k->tokens.n || !slice_sub(c->k->tokens, from, c->k->tokens.n - from, &word))
			break;
		for (size_t i = 0; i < word.n && word.p[i]; i++) {
			if (!out->type)
				out->type = (char)word.p[i];
			else if (len < sizeof(out->name) - 1)
				out->name[len++] = (char)word.p[i];
		}
	}
	out->name[len] = 0;
	return true;
}
