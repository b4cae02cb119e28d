/* SPDX-License-Identifier: ISC */
#include "proc/gateway/tcp_data.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define NUMBERS (1u << 22) /* chunks in 4 GiB of sequence numbers: they go round */

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int tcp_data_init(struct tcp_data *t, uint32_t owners, const uint8_t key[16], struct err *e)
{
	*t = (struct tcp_data){ .at = map((TCP_CHUNKS + 1) * sizeof(t->at[0])),
				.buckets = map(TCP_BUCKETS * sizeof(t->buckets[0])),
				.of = map(owners * sizeof(t->of[0])),
				.owners = owners };
	if (!t->at || !t->buckets || !t->of) {
		int r = err_sys(e, -errno, "cannot map the memory for TCP data");
		tcp_data_free(t);
		return r;
	}
	if (key)
		memcpy(&t->factor, key, sizeof(t->factor));
	else if (getrandom(&t->factor, sizeof(t->factor), 0) != (ssize_t)sizeof(t->factor))
		return err_sys(e, -errno, "cannot get a random number");
	t->factor |= 1;
	return 0;
}

void tcp_data_free(struct tcp_data *t)
{
	if (t->at)
		munmap(t->at, (TCP_CHUNKS + 1) * sizeof(t->at[0]));
	if (t->buckets)
		munmap(t->buckets, TCP_BUCKETS * sizeof(t->buckets[0]));
	if (t->of)
		munmap(t->of, t->owners * sizeof(t->of[0]));
	*t = (struct tcp_data){ 0 };
}

static uint64_t key_of(uint32_t id, uint32_t number)
{
	return (uint64_t)id << 22 | number;
}

static uint32_t *bucket(const struct tcp_data *t, uint64_t key)
{
	return &t->buckets[(key * t->factor) >> (64 - 18)];
}

static struct tcp_chunk *find(const struct tcp_data *t, uint32_t id, uint32_t number)
{
	uint64_t key = key_of(id, number);
	for (uint32_t i = *bucket(t, key); i; i = t->at[i].next)
		if (t->at[i].key == key)
			return &t->at[i];
	return NULL;
}

static struct tcp_chunk *make(struct tcp_data *t, uint32_t id, uint32_t number, uint16_t owner)
{
	uint32_t i = t->free;
	if (t->of[owner] >= TCP_CHUNKS_SHARE || (!i && t->high == TCP_CHUNKS))
		return NULL;
	if (i)
		t->free = t->at[i].next;
	else
		i = ++t->high;
	struct tcp_chunk *c = &t->at[i];
	c->key = key_of(id, number);
	c->owner = owner;
	memset(c->have, 0, sizeof(c->have));
	uint32_t *b = bucket(t, c->key);
	c->next = *b;
	*b = i;
	t->of[owner]++;
	t->used++;
	return c;
}

static bool give_back(struct tcp_data *t, uint32_t id, uint32_t number)
{
	uint64_t key = key_of(id, number);
	for (uint32_t *b = bucket(t, key); *b; b = &t->at[*b].next) {
		struct tcp_chunk *c = &t->at[*b];
		if (c->key != key)
			continue;
		uint32_t i = *b;
		*b = c->next;
		c->next = t->free;
		t->free = i;
		t->of[c->owner]--;
		t->used--;
		return true;
	}
	return false;
}

/* Bits from..to of word w that lie in [first, end). */
static uint64_t bits(uint32_t w, uint32_t first, uint32_t end)
{
	uint32_t a = w * 64 > first ? 0 : first - w * 64, b = end - w * 64 > 64 ? 64 : end - w * 64;
	return (b == 64 ? ~0ull : (1ull << b) - 1) & ~((1ull << a) - 1);
}

static bool same_in(const struct tcp_chunk *c, uint32_t first, uint32_t n, const uint8_t *p)
{
	if (!memcmp(c->bytes + first, p, n))
		return true;
	/* They differ: in what was said? */
	for (uint32_t i = 0; i < n; i++)
		if (c->bytes[first + i] != p[i] && c->have[(first + i) / 64] & 1ull << (first + i) % 64)
			return false;
	return true;
}

bool tcp_data_same(const struct tcp_data *t, uint32_t id, uint32_t at, const uint8_t *p, size_t n)
{
	while (n) {
		uint32_t first = at % TCP_CHUNK, part = TCP_CHUNK - first < n ? TCP_CHUNK - first : (uint32_t)n;
		const struct tcp_chunk *c = find(t, id, at / TCP_CHUNK);
		if (c && !same_in(c, first, part, p))
			return false;
		at += part;
		p += part;
		n -= part;
	}
	return true;
}

bool tcp_data_room(const struct tcp_data *t, uint16_t owner, size_t n)
{
	uint32_t need = (uint32_t)(n / TCP_CHUNK + 2);
	return t->of[owner] + need <= TCP_CHUNKS_SHARE && t->used + need <= TCP_CHUNKS;
}

void tcp_data_put(struct tcp_data *t, struct tcp_stream *s, uint32_t id, uint16_t owner, uint32_t at, const uint8_t *p,
		  size_t n)
{
	while (n) {
		uint32_t first = at % TCP_CHUNK, part = TCP_CHUNK - first < n ? TCP_CHUNK - first : (uint32_t)n;
		struct tcp_chunk *c = find(t, id, at / TCP_CHUNK);
		if (!c && (c = make(t, id, at / TCP_CHUNK, owner))) {
			if (!s->held)
				s->low = at / TCP_CHUNK;
			else if (((s->low - at / TCP_CHUNK) & (NUMBERS - 1)) < NUMBERS / 2)
				s->low = at / TCP_CHUNK; /* out of order */
			s->held++;
		}
		if (!c)
			return;
		memcpy(c->bytes + first, p, part);
		for (uint32_t w = first / 64; w <= (first + part - 1) / 64; w++)
			c->have[w] |= bits(w, first, first + part);
		at += part;
		p += part;
		n -= part;
	}
}

void tcp_data_acked(struct tcp_data *t, struct tcp_stream *s, uint32_t id, uint32_t at)
{
	uint32_t end = at / TCP_CHUNK;
	if (s->held && ((end - s->low) & (NUMBERS - 1)) >= NUMBERS / 2)
		return;
	for (; s->held && s->low != end; s->low = (s->low + 1) & (NUMBERS - 1))
		s->held -= give_back(t, id, s->low);
	/* A chunk of which all was acknowledged, and no more was said. */
	if (s->held == 1 && at % TCP_CHUNK) {
		const struct tcp_chunk *c = find(t, id, end);
		uint32_t w = at % TCP_CHUNK / 64;
		uint64_t more = c ? c->have[w] >> at % 64 : 1;
		for (uint32_t i = w + 1; i < TCP_CHUNK / 64 && c; i++)
			more |= c->have[i];
		if (!more)
			s->held -= give_back(t, id, end);
	}
}

void tcp_data_drop(struct tcp_data *t, struct tcp_stream *s, uint32_t id)
{
	for (; s->held; s->low = (s->low + 1) & (NUMBERS - 1))
		s->held -= give_back(t, id, s->low);
}
