/* SPDX-License-Identifier: ISC */
#include "proto/journal.h"

#include <sodium.h>
#include <string.h>

static const char magic[8] = { 's', 'k', 'e', 'p', 'j', 'r', 'n', 'l' };

void body_bytes(struct journal_body *b, const void *p, size_t n)
{
	if (b->full || n > b->cap - b->n) {
		b->full = true;
		return;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

void body_u32(struct journal_body *b, uint32_t v)
{
	uint8_t d[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };
	body_bytes(b, d, sizeof(d));
}

void body_u64(struct journal_body *b, uint64_t v)
{
	body_u32(b, (uint32_t)v);
	body_u32(b, (uint32_t)(v >> 32));
}

static void chain_hash(const uint8_t prev[JOURNAL_HASH], const void *record, size_t n, uint8_t out[JOURNAL_HASH])
{
	crypto_generichash_state st;
	crypto_generichash_init(&st, NULL, 0, JOURNAL_HASH);
#ifndef MUTANT_JOURNAL_NO_CHAIN
	crypto_generichash_update(&st, prev, JOURNAL_HASH);
#else
	(void)prev;
#endif
	crypto_generichash_update(&st, record, n);
	crypto_generichash_final(&st, out, JOURNAL_HASH);
}

size_t journal_put(struct journal_chain *c, uint8_t *out, unsigned type, uint64_t ns, const void *payload, size_t n)
{
	struct journal_body b = { .p = out, .cap = JOURNAL_HEADER + n };
	body_u32(&b, (uint32_t)(JOURNAL_HEADER + n + JOURNAL_HASH));
	body_u32(&b, type);
	body_u64(&b, ++c->seq);
	body_u64(&b, ns);
	body_bytes(&b, payload, n);
	chain_hash(c->hash, out, b.n, c->hash);
	memcpy(out + b.n, c->hash, JOURNAL_HASH);
	return b.n + JOURNAL_HASH;
}

static void digest_of(uint8_t out[JOURNAL_HASH], const uint8_t before[JOURNAL_HASH], const void *record, size_t n)
{
	crypto_generichash_state st;
	crypto_generichash_init(&st, NULL, 0, JOURNAL_HASH);
	crypto_generichash_update(&st, before, JOURNAL_HASH);
	crypto_generichash_update(&st, record, n);
	crypto_generichash_final(&st, out, JOURNAL_HASH);
}

size_t journal_put_signed(struct journal_chain *c, uint8_t *out, unsigned type, uint64_t ns, const void *payload,
			  size_t n, const uint8_t sk[64])
{
	uint8_t m[JOURNAL_HASH];
	struct journal_body b = { .p = out, .cap = JOURNAL_HEADER + n + JOURNAL_SIG };
	body_u32(&b, (uint32_t)(JOURNAL_HEADER + n + JOURNAL_SIG + JOURNAL_HASH));
	body_u32(&b, type);
	body_u64(&b, ++c->seq);
	body_u64(&b, ns);
	body_bytes(&b, payload, n);
	digest_of(m, c->hash, out, b.n);
	crypto_sign_detached(out + b.n, NULL, m, sizeof(m), sk);
	b.n += JOURNAL_SIG;
	chain_hash(c->hash, out, b.n, c->hash);
	memcpy(out + b.n, c->hash, JOURNAL_HASH);
	return b.n + JOURNAL_HASH;
}

bool journal_signed(const struct journal_record *r, const uint8_t pk[JOURNAL_KEY])
{
	uint8_t m[JOURNAL_HASH];
	if (r->raw.n < JOURNAL_HEADER + JOURNAL_SIG + JOURNAL_HASH)
		return false;
	size_t n = r->raw.n - JOURNAL_SIG - JOURNAL_HASH;
	digest_of(m, r->before, r->raw.p, n);
	return crypto_sign_verify_detached(r->raw.p + n, m, sizeof(m), pk) == 0;
}

/* Splits a record off the front by its length alone. */
static bool frame(struct slice *s, struct journal_record *r, struct slice *signed_part, struct slice *hash)
{
	struct slice t = *s, body;
	uint32_t len;
	uint16_t zero;
	if (!slice_le32(&t, &len) || len < JOURNAL_HEADER + JOURNAL_HASH || len > JOURNAL_RECORD_MAX)
		return false;
	t = *s;
	if (!slice_take(&t, len, &r->raw) || !slice_sub(r->raw, 0, len - JOURNAL_HASH, signed_part) ||
	    !slice_sub(r->raw, len - JOURNAL_HASH, JOURNAL_HASH, hash))
		return false;
	body = *signed_part;
	if (!slice_le32(&body, &len) || !slice_le16(&body, &r->type) || !slice_le16(&body, &zero) ||
	    !slice_le64(&body, &r->seq) || !slice_le64(&body, &r->ns) || zero)
		return false;
	r->payload = body;
	*s = t;
	return true;
}

bool journal_take(struct journal_chain *c, struct slice *s, struct journal_record *r)
{
	struct slice t = *s, part, hash;
	struct journal_record got;
	if (!frame(&t, &got, &part, &hash) || got.seq != c->seq + 1)
		return false;
	chain_hash(c->hash, part.p, part.n, got.hash);
#ifdef MUTANT_VERIFY_NO_CHAIN
	memcpy(got.hash, hash.p, JOURNAL_HASH);
#else
	if (memcmp(got.hash, hash.p, JOURNAL_HASH) != 0)
		return false;
#endif
	memcpy(got.before, c->hash, JOURNAL_HASH);
	memcpy(c->hash, got.hash, JOURNAL_HASH);
	c->seq = got.seq;
	*r = got;
	*s = t;
	return true;
}

bool journal_head(struct slice file, struct journal_chain *from, uint32_t *number)
{
	struct slice part, hash, m;
	struct journal_record got;
	uint8_t before[JOURNAL_HASH];
	uint32_t format, num;
	if (!frame(&file, &got, &part, &hash) || got.type != J_HEAD || !got.seq)
		return false;
	struct slice p = got.payload;
	if (!slice_take(&p, sizeof(magic), &m) || memcmp(m.p, magic, sizeof(magic)) != 0 || !slice_le32(&p, &format) ||
	    !format || format > JOURNAL_FORMAT || !slice_le32(&p, &num) || !slice_get(&p, before, JOURNAL_HASH))
		return false;
	memcpy(from->hash, before, JOURNAL_HASH);
	from->seq = got.seq - 1;
	*number = num;
	return true;
}

bool journal_take_head(struct journal_chain *c, struct slice *s, struct journal_record *r, uint32_t *number)
{
	struct journal_chain from;
	uint32_t num;
	if (!journal_head(*s, &from, &num) || !journal_take(&from, s, r))
		return false;
	*c = from;
	*number = num;
	return true;
}

bool journal_commit_after(struct slice file, size_t from)
{
	struct slice prev, rest;
	unsigned commits = 0;
	/* A record's hash covers the 32 bytes in front of it, which are the hash
	 * of its predecessor: that is enough to check one without the others. */
	if (from < JOURNAL_HASH)
		from = JOURNAL_HASH;
	for (size_t at = from; slice_sub(file, at - JOURNAL_HASH, JOURNAL_HASH, &prev); at++) {
		if (!slice_sub(file, at, file.n - at, &rest) || rest.n < JOURNAL_HEADER + JOURNAL_HASH)
			return false;
		if ((rest.p[4] != J_COMMIT && rest.p[4] != J_SEAL) || rest.p[5] || rest.p[6] || rest.p[7])
			continue;
		struct journal_record r;
		struct journal_chain c = { .seq = 0 };
		struct slice seq = { rest.p + 8, 8 };
		slice_le64(&seq, &c.seq);
		c.seq--;
		memcpy(c.hash, prev.p, JOURNAL_HASH);
		if (journal_take(&c, &rest, &r) && (r.type == J_SEAL || ++commits == 2))
			return true;
	}
	return false;
}

size_t journal_whole(const uint8_t *p, size_t n)
{
	struct slice s = slice_of(p, n), part, hash;
	struct journal_record r;
	while (s.n && frame(&s, &r, &part, &hash))
		;
	return n - s.n;
}
