/* SPDX-License-Identifier: ISC */
#include "proc/gateway/limits.h"

#include "proc/gateway/arena.h"
#include "proto/proto.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define NS 1000000000ull
#define LIMIT_WINDOWS (1u << 20)
#define LIMIT_CHUNKS (2u << 20)
#define LIMIT_BUCKETS (1u << 20) /* power of two */
#define WINDOWS_SHARE (1u << 16)
#define CHUNKS_SHARE (1u << 17)
#define SLOTS (MODEL_HONEYPOTS + 1u)
/* Looked at for one that is empty: when a new one is made, and when there is no room. */
#define SWEEP_FEW 2u
#define SWEEP_MANY 64u

#define CHUNK_TIMES 7u
struct limit_chunk {
	uint64_t at[CHUNK_TIMES];
	uint32_t next;
	uint32_t pad;
};

struct limit_window {
	struct limit_key key;
	uint32_t chain; /* next of the bucket; of a free entry: next free */
	uint32_t hash;
	uint32_t older, newer; /* in the list of its share */
	uint32_t first, last;  /* chunks; 0 = none */
	uint32_t begin, end;   /* first time in `first`, and the one behind the last in `last` */
	uint32_t n;            /* times that are kept */
	uint32_t pad;
	uint64_t newest; /* last event */
	uint64_t span;   /* ns, of the longest limit that it was asked for */
	uint64_t lost;   /* newest event that was forgotten; 0 = none */
};

/* Of a key that stands for the forgotten windows of the same limit. */
#define FAMILY_GRAVE 0xff

enum list { LIST_WINDOWS, LIST_ADDRESSES, LIST_GRAVES, LIST_COUNT };

struct limit_share {
	uint32_t windows, chunks;
	uint32_t oldest[LIST_COUNT], newest[LIST_COUNT];
	uint32_t addresses; /* length of LIST_ADDRESSES */
	uint64_t lost;      /* newest address that was forgotten */
};

int limits_init(struct limits *t, const uint8_t hash_key[16], struct err *e)
{
	_Static_assert(sizeof(struct limit_key) == 32, "hashed as bytes");
	_Static_assert(sizeof(struct limit_chunk) == 64, "a cache line");
	*t = (struct limits){ .windows_share = WINDOWS_SHARE, .chunks_share = CHUNKS_SHARE };
	t->at = arena_map((LIMIT_WINDOWS + 1) * sizeof(t->at[0]));
	t->chunk = arena_map((LIMIT_CHUNKS + 1) * sizeof(t->chunk[0]));
	t->buckets = arena_map(LIMIT_BUCKETS * sizeof(t->buckets[0]));
	t->shares = arena_map(SLOTS * sizeof(t->shares[0]));
	if (!t->at || !t->chunk || !t->buckets || !t->shares) {
		int r = err_sys(e, -errno, "cannot map the tables of limits");
		limits_free(t);
		return r;
	}
	if (hash_key)
		memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
	else if (getrandom(t->hash_key, sizeof(t->hash_key), 0) != (ssize_t)sizeof(t->hash_key))
		return err_sys(e, -errno, "cannot get a random key");
	memcpy(t->jitter_key, t->hash_key, sizeof(t->jitter_key));
	t->jitter_key[0] ^= 0x6a; /* another function of the same secret */
	return 0;
}

void limits_free(struct limits *t)
{
	if (t->at)
		munmap(t->at, (LIMIT_WINDOWS + 1) * sizeof(t->at[0]));
	if (t->chunk)
		munmap(t->chunk, (LIMIT_CHUNKS + 1) * sizeof(t->chunk[0]));
	if (t->buckets)
		munmap(t->buckets, LIMIT_BUCKETS * sizeof(t->buckets[0]));
	if (t->shares)
		munmap(t->shares, SLOTS * sizeof(t->shares[0]));
	*t = (struct limits){ 0 };
}

static struct limit_share *share_of(const struct limits *t, uint16_t slot)
{
	return &t->shares[slot < MODEL_HONEYPOTS ? slot : MODEL_HONEYPOTS];
}

static uint32_t hash_of(const struct limits *t, const struct limit_key *k)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;
	crypto_shorthash(out, (const uint8_t *)k, sizeof(*k), t->hash_key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static struct limit_window *find(const struct limits *t, const struct limit_key *k)
{
	uint32_t h = hash_of(t, k);
	for (uint32_t i = t->buckets[h & (LIMIT_BUCKETS - 1)]; i; i = t->at[i].chain)
		if (t->at[i].hash == h && !memcmp(&t->at[i].key, k, sizeof(*k)))
			return &t->at[i];
	return NULL;
}

static enum list list_of(const struct limit_window *w)
{
	if (w->key.family == FAMILY_GRAVE)
		return LIST_GRAVES;
	return w->key.what == LIMIT_OF_ADDRESS ? LIST_ADDRESSES : LIST_WINDOWS;
}

static void list_take(struct limits *t, struct limit_window *w)
{
	struct limit_share *s = share_of(t, w->key.slot);
	enum list l = list_of(w);
	*(w->older ? &t->at[w->older].newer : &s->oldest[l]) = w->newer;
	*(w->newer ? &t->at[w->newer].older : &s->newest[l]) = w->older;
}

static void list_put(struct limits *t, struct limit_window *w)
{
	struct limit_share *s = share_of(t, w->key.slot);
	enum list l = list_of(w);
	uint32_t i = (uint32_t)(w - t->at);
	w->newer = 0;
	w->older = s->newest[l];
	*(w->older ? &t->at[w->older].newer : &s->oldest[l]) = i;
	s->newest[l] = i;
}

static uint32_t chunk_get(struct limits *t, struct limit_share *s)
{
	uint32_t c = t->free_chunk;
	if (c)
		t->free_chunk = t->chunk[c].next;
	else
		c = ++t->high_chunk;
	t->chunk[c].next = 0;
	t->chunks++;
	s->chunks++;
	return c;
}

/* Takes the first chunk out. */
static void chunk_put(struct limits *t, struct limit_window *w)
{
	uint32_t c = w->first;
	w->first = t->chunk[c].next;
	w->begin = 0;
	if (!w->first)
		w->last = w->end = 0;
	t->chunk[c].next = t->free_chunk;
	t->free_chunk = c;
	t->chunks--;
	share_of(t, w->key.slot)->chunks--;
}

/* Forgets the oldest event. */
static void shift(struct limits *t, struct limit_window *w)
{
	w->lost = t->chunk[w->first].at[w->begin++];
	w->n--;
	if (w->begin == CHUNK_TIMES || (w->first == w->last && w->begin == w->end))
		chunk_put(t, w);
}

static void drop_window(struct limits *t, struct limit_window *w)
{
	uint32_t i = (uint32_t)(w - t->at), *at = &t->buckets[w->hash & (LIMIT_BUCKETS - 1)];
	struct limit_share *s = share_of(t, w->key.slot);
	while (*at != i)
		at = &t->at[*at].chain;
	*at = w->chain;
	list_take(t, w);
	while (w->first)
		chunk_put(t, w);
	t->windows--;
	s->windows--;
	if (list_of(w) == LIST_ADDRESSES)
		s->addresses--;
	w->chain = t->free;
	t->free = i;
}

static bool is_empty(const struct limit_window *w, uint64_t now)
{
	return now - w->newest > w->span;
}

static struct limit_window *make(struct limits *t, const struct limit_key *k)
{
	struct limit_share *s = share_of(t, k->slot);
	uint32_t i = t->free;
	if (i)
		t->free = t->at[i].chain;
	else
		i = ++t->high;
	struct limit_window *w = &t->at[i];
	*w = (struct limit_window){ .key = *k, .hash = hash_of(t, k) };
	w->chain = t->buckets[w->hash & (LIMIT_BUCKETS - 1)];
	t->buckets[w->hash & (LIMIT_BUCKETS - 1)] = i;
	list_put(t, w);
	t->windows++;
	s->windows++;
	if (list_of(w) == LIST_ADDRESSES)
		s->addresses++;
	return w;
}

static struct limit_key grave_of(const struct limit_key *k)
{
	return (struct limit_key){ .what = k->what, .slot = k->slot, .family = FAMILY_GRAVE };
}

/* Forgets a window, but not when its newest event was. */
static void bury(struct limits *t, struct limit_window *w)
{
	struct limit_key k = grave_of(&w->key);
	uint64_t newest = w->newest;
	drop_window(t, w);
	struct limit_window *grave = find(t, &k);
	if (!grave)
		grave = make(t, &k);
	if (newest > grave->lost)
		grave->lost = newest;
}

/* Takes away what is empty by now, of the next `n` in each list. */
static void sweep(struct limits *t, struct limit_share *s, unsigned n, uint64_t now)
{
	struct limit_window *w;
	for (unsigned i = n; i && s->oldest[LIST_WINDOWS]; i--) {
		w = &t->at[s->oldest[LIST_WINDOWS]];
		if (is_empty(w, now)) {
			bury(t, w);
		} else {
			list_take(t, w);
			list_put(t, w);
		}
	}
	for (; n && s->oldest[LIST_ADDRESSES] && is_empty(w = &t->at[s->oldest[LIST_ADDRESSES]], now); n--) {
		s->lost = w->newest;
		drop_window(t, w);
	}
}

static struct limit_window *create(struct limits *t, const struct limit_key *k, uint64_t now)
{
	struct limit_key g = grave_of(k);
	sweep(t, share_of(t, k->slot), SWEEP_FEW, now);
	const struct limit_window *grave = find(t, &g);
	struct limit_window *w = make(t, k);
	w->lost = grave ? grave->lost : 0;
	return w;
}

bool limits_room(struct limits *t, uint16_t slot, unsigned n, uint64_t now)
{
	struct limit_share *s = share_of(t, slot);
	for (int again = 0; again < 2; again++) {
		if (s->windows + n <= t->windows_share && s->chunks + n <= t->chunks_share &&
		    t->windows + n <= LIMIT_WINDOWS && t->chunks + n <= LIMIT_CHUNKS)
			return true;
		sweep(t, s, SWEEP_MANY, now);
	}
	return false;
}

static uint64_t span_of(const struct limit *l)
{
	return l->seconds * NS;
}

/* ---- events -------------------------------------------------------------- */

bool limits_full(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now)
{
	if (l->count == LIMIT_UNLIMITED)
		return false;
	if (l->count == 0 || l->count > LIMIT_COUNT_MAX)
		return true;
	struct limit_window *w = find(t, k);
	if (!w) {
		/* All that were forgotten were outside of the window, unless it was
		 * shorter then. */
		struct limit_key g = grave_of(k);
		const struct limit_window *grave = find(t, &g);
		return grave && now - grave->lost <= span_of(l);
	}
	w->span = span_of(l);
#ifdef MUTANT_BURST_DOUBLING
	while (w->first && t->chunk[w->first].at[w->begin] / w->span != now / w->span)
		shift(t, w);
	return w->n >= l->count;
#endif
	while (w->first && now - t->chunk[w->first].at[w->begin] > w->span)
		shift(t, w);
	return w->n >= l->count || (w->lost && now - w->lost <= w->span);
}

void limits_add(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now)
{
	if (l->count == LIMIT_UNLIMITED)
		return;
	struct limit_window *w = find(t, k);
	if (!w)
		w = create(t, k, now);
	if (!w->last) {
		w->first = w->last = chunk_get(t, share_of(t, k->slot));
		w->begin = w->end = 0;
	} else if (w->end == CHUNK_TIMES) {
		uint32_t c = chunk_get(t, share_of(t, k->slot));
		t->chunk[w->last].next = c;
		w->last = c;
		w->end = 0;
	}
	t->chunk[w->last].at[w->end++] = now;
	w->n++;
	w->newest = now;
	w->span = span_of(l);
}

/* ---- different addresses --------------------------------------------------- */

bool limits_fan_full(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now)
{
	struct limit_share *s = share_of(t, k->slot);
	uint64_t span = span_of(l);
	struct limit_window *w;
	while (s->oldest[LIST_ADDRESSES] && now - (w = &t->at[s->oldest[LIST_ADDRESSES]])->newest > span) {
		s->lost = w->newest;
		drop_window(t, w);
	}
	if (s->lost && now - s->lost <= span)
		return true;
	return s->addresses + !find(t, k) > l->count; /* more than that: the limit was higher */
}

void limits_fan_add(struct limits *t, const struct limit_key *k, const struct limit *l, uint64_t now)
{
	struct limit_window *w = find(t, k);
	if (!w) {
		w = create(t, k, now);
	} else {
		list_take(t, w);
		list_put(t, w);
	}
	w->newest = now;
	w->span = span_of(l);
}

void limits_forget(struct limits *t, uint16_t slot)
{
	struct limit_share *s = share_of(t, slot);
	for (unsigned l = 0; l < LIST_COUNT; l++)
		while (s->oldest[l])
			drop_window(t, &t->at[s->oldest[l]]);
	s->lost = 0;
}

/* ---- jitter -------------------------------------------------------------- */

struct limit limits_jitter(const struct limits *t, const struct limit *l, unsigned percent, const struct limit_key *k,
			   uint64_t now)
{
	uint64_t span = span_of(l), most = (uint64_t)l->count * percent / 100, by[2];
	struct {
		struct limit_key key;
		uint64_t turn;
	} in = { .key = *k };
	if (l->count == LIMIT_UNLIMITED || !most || !span)
		return *l;
	_Static_assert(sizeof(in) == 40 && sizeof(by[0]) == crypto_shorthash_BYTES, "hashed as bytes");
	/* Each window has turns of its own, so that not all change at once. */
	crypto_shorthash((uint8_t *)&by[0], (const uint8_t *)&in, sizeof(in), t->jitter_key);
	in.turn = 1 + (now + by[0] % span) / span;
	crypto_shorthash((uint8_t *)&by[1], (const uint8_t *)&in, sizeof(in), t->jitter_key);
#ifdef MUTANT_JITTER_RAISES
	return (struct limit){ l->count + (uint32_t)(by[1] % (most + 1)), l->seconds };
#endif
	return (struct limit){ l->count - (uint32_t)(by[1] % (most + 1)), l->seconds };
}
