/* SPDX-License-Identifier: ISC */
#include "proc/gateway/frag.h"

#include "proc/gateway/checksum.h"
#include "proc/gateway/decode.h"
#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sys/mman.h>

#define NONE FRAG_CHUNKS
#define WHOLE_MAX (ETH_HEAD + 40u + 65536u)

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int frag_table_init(struct frag_table *t, struct err *e)
{
	*t = (struct frag_table){ .ports = map(PORTS_MAX * sizeof(struct frag_port)),
				  .whole = map(WHOLE_MAX),
				  .piece = map(RX_ROOM) };
	if (t->ports && t->whole && t->piece)
		return 0;
	int r = err_sys(e, -errno, "cannot map the memory for fragments");
	frag_table_free(t);
	return r;
}

void frag_table_free(struct frag_table *t)
{
	if (t->ports)
		munmap(t->ports, PORTS_MAX * sizeof(struct frag_port));
	if (t->whole)
		munmap(t->whole, WHOLE_MAX);
	if (t->piece)
		munmap(t->piece, RX_ROOM);
	*t = (struct frag_table){ 0 };
}

/* ---- chunks ---------------------------------------------------------------- */

static uint32_t chunks_for(size_t n)
{
	return (uint32_t)((sizeof(struct frag_piece) + n + FRAG_CHUNK - 1) / FRAG_CHUNK);
}

static bool has_room(const struct frag_port *t, uint32_t chunks)
{
	return t->room + (FRAG_CHUNKS - t->touched) >= chunks;
}

static uint16_t chunk_take(struct frag_port *t)
{
	uint16_t c = t->free;
	if (!t->room)
		return t->touched++;
	t->free = t->chain[c];
	t->room--;
	return c;
}

static void chunks_give(struct frag_port *t, uint16_t c)
{
	while (c != NONE) {
		uint16_t next = t->chain[c];
		t->chain[c] = t->free;
		t->free = c;
		t->room++;
		c = next;
	}
}

static struct frag_piece *piece_at(struct frag_port *t, uint16_t c)
{
	return (struct frag_piece *)(void *)t->chunk[c];
}

static uint16_t store(struct frag_port *t, const struct frag_piece *p, const uint8_t *bytes)
{
	uint16_t first = chunk_take(t), c = first;
	size_t at = sizeof(*p), done = 0;
	memcpy(t->chunk[c], p, sizeof(*p));
	t->chain[c] = NONE;
	while (done < p->n) {
		if (at == FRAG_CHUNK) {
			uint16_t next = chunk_take(t);
			t->chain[c] = next;
			t->chain[next] = NONE;
			c = next;
			at = 0;
		}
		size_t n = p->n - done < FRAG_CHUNK - at ? p->n - done : FRAG_CHUNK - at;
		memcpy(t->chunk[c] + at, bytes + done, n);
		done += n;
		at += n;
	}
	return first;
}

/* Copies bytes from..from+n of a stored frame. */
static void load(const struct frag_port *t, uint16_t c, size_t from, size_t n, uint8_t *out)
{
	from += sizeof(struct frag_piece);
	for (; from >= FRAG_CHUNK; from -= FRAG_CHUNK)
		c = t->chain[c];
	while (n) {
		size_t part = n < FRAG_CHUNK - from ? n : FRAG_CHUNK - from;
		memcpy(out, t->chunk[c] + from, part);
		out += part;
		n -= part;
		from = 0;
		c = t->chain[c];
	}
}

/* ---- datagrams ------------------------------------------------------------- */

static uint64_t tag_of(const struct frame *f)
{
	return 1ull << 40 | (uint64_t)f->t.family << 32 | f->frag_id;
}

static bool same(const struct frag *d, const struct frame *f)
{
	/* IPv6 identifies by addresses and id alone (RFC 8200 section 4.5). Who
	 * sends to another MAC sends another datagram: that one decides where it goes. */
	return d->id == f->frag_id && d->family == f->t.family && (d->family == 6 || d->proto == f->t.proto) &&
	       !memcmp(d->saddr, f->t.saddr, 16) && !memcmp(d->daddr, f->t.daddr, 16) && !memcmp(d->smac, f->src, 6) &&
	       !memcmp(d->dmac, f->dst, 6);
}

static struct frag *find(struct frag_port *t, const struct frame *f)
{
	uint64_t tag = tag_of(f);
	if (t->used)
		for (unsigned i = 0; i < FRAG_DATAGRAMS; i++)
			if (t->tags[i] == tag && same(&t->at[i], f))
				return &t->at[i];
	return NULL;
}

static struct frag *begin(struct gateway *g, struct frag_port *t, const struct frame *f)
{
	unsigned i = 0;
	while (t->tags[i])
		i++;
	struct frag *d = &t->at[i];
	*d = (struct frag){ .id = f->frag_id,
			    .port = f->in->conf.port,
			    .family = f->t.family,
			    .proto = f->t.proto,
			    .used = true,
			    .hops_least = f->hops,
			    .hops_most = f->hops,
			    .first = NONE,
			    .last = NONE,
			    .head = NONE,
			    .born = f->now };
	memcpy(d->saddr, f->t.saddr, 16);
	memcpy(d->daddr, f->t.daddr, 16);
	memcpy(d->smac, f->src, 6);
	memcpy(d->dmac, f->dst, 6);
	t->tags[i] = tag_of(f);
	t->used++;
	g->frags.used++;
	return d;
}

static void forget(struct gateway *g, struct frag *d)
{
	struct frag_port *t = &g->frags.ports[d->port];
	t->tags[d - t->at] = 0;
	d->used = false;
	t->used--;
	g->frags.used--;
}

struct frag *frag_crowded(struct gateway *g, const struct frame *f)
{
	struct frag_port *t = &g->frags.ports[f->in->conf.port];
	struct frag *oldest = NULL;
	if (has_room(t, chunks_for(f->bytes.n)) && (t->used < FRAG_DATAGRAMS || find(t, f)))
		return NULL;
	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++)
		if (t->tags[i] && (!oldest || t->at[i].born < oldest->born))
			oldest = &t->at[i];
	if (oldest)
		oldest->poisoned = false; /* with nothing left in it, it is forgotten */
	return oldest;
}

static bool marked(const struct frag *d, uint32_t off, uint32_t len)
{
	for (uint32_t u = off / 8; u <= (off + len - 1) / 8; u++)
		if (d->map[u / 64] & 1ull << (u % 64))
			return true;
	return false;
}

static void mark(struct frag *d, uint32_t off, uint32_t len)
{
	uint32_t first = off / 8, last = (off + len - 1) / 8;
	for (uint32_t u = first; u <= last; u++)
		d->map[u / 64] |= 1ull << (u % 64);
	d->got += last - first + 1;
}

/* Does it fit what is there of the datagram? */
static bool fits(const struct frag *d, const struct frame *f)
{
	uint32_t end = (uint32_t)f->frag_off + f->frag_len;
	if (f->more && f->frag_len < FRAG_SMALLEST)
		return false;
	if (d->end && (end > d->end || !f->more))
		return false;
	if (!f->more && end < d->high)
		return false;
	if (d->pieces == FRAG_PIECES)
		return false;
#ifdef MUTANT_FRAGMENT_OVERLAP
	return true;
#endif
	return !marked(d, f->frag_off, f->frag_len);
}

/* The network sent one twice: the same part with the same bytes. */
static bool is_copy(struct gateway *g, const struct frag *d, const struct frame *f)
{
	struct frag_port *t = &g->frags.ports[d->port];
	for (uint16_t c = d->first; c != NONE; c = piece_at(t, c)->next) {
		const struct frag_piece *p = piece_at(t, c);
		if (p->off != f->frag_off || p->len != f->frag_len)
			continue;
		load(t, c, p->at, p->len, g->frags.piece);
		return !memcmp(g->frags.piece, f->l4.p, p->len) && (f->more || d->end == p->off + (uint32_t)p->len);
	}
	return false;
}

static void add(struct frag_port *t, struct frag *d, const struct frame *f)
{
	struct frag_piece p = { .came = f->now,
				.n = (uint32_t)f->bytes.n,
				.wirelen = f->wirelen,
				.off = f->frag_off,
				.len = f->frag_len,
				.at = (uint16_t)(f->l4.p - f->bytes.p),
				.next = NONE,
				.unsummed = !f->check_sums };
	uint16_t c = store(t, &p, f->bytes.p);
	if (d->first == NONE)
		d->first = c;
	else
		piece_at(t, d->last)->next = c;
	d->last = c;
	if (!f->frag_off) {
		d->head = c;
		d->fh_at = f->fh_at;
		d->nh_at = f->nh_at;
	}
	d->pieces++;
	d->wire += f->wirelen;
	if (f->wirelen > d->longest)
		d->longest = f->wirelen;
	if (f->hops < d->hops_least)
		d->hops_least = f->hops;
	if (f->hops > d->hops_most)
		d->hops_most = f->hops;
}

struct frag *frag_take(struct gateway *g, struct frame *f)
{
	struct frag_port *t = &g->frags.ports[f->in->conf.port];
	struct frag *d = find(t, f);
	uint32_t end = (uint32_t)f->frag_off + f->frag_len;
	if (f->wirelen > f->bytes.n || f->bytes.n > RX_ROOM) {
		verdict_drop(f, REASON_TOO_LONG);
		return NULL;
	}
	if (!d)
		d = begin(g, t, f);
	if (d->poisoned || (d->pieces && is_copy(g, d, f))) {
		verdict_drop(f, REASON_FRAGMENT);
		return NULL;
	}
	if (!fits(d, f))
		d->poisoned = true;
	add(t, d, f);
	if (d->poisoned)
		return d;
	mark(d, f->frag_off, f->frag_len);
	if (end > d->high)
		d->high = end;
	if (!f->more)
		d->end = end;
	if (d->end && d->got >= (d->end + 7) / 8 && d->head != NONE)
		return d;
	f->verdict = VERDICT_DROP; /* not now */
	f->reason = REASON_QUEUED;
	return NULL;
}

/* ---- out again ------------------------------------------------------------- */

void frag_whole(struct gateway *g, struct frag *d, struct frame *f)
{
	struct frag_port *t = &g->frags.ports[d->port];
	uint8_t *w = g->frags.whole, *ip = w + ETH_HEAD;
	const struct frag_piece *head = piece_at(t, d->head);
	size_t n = d->family == 4 ? head->at : (size_t)ETH_HEAD + d->fh_at;
	load(t, d->head, 0, n, w);
	f->wirelen = d->wire;
	f->frames = d->pieces;
	f->bytes = slice_of(w, n + d->end);
	if (n - ETH_HEAD + d->end > 65535u + (d->family == 4 ? 0 : 40)) {
		f->bytes.n = n;
		verdict_drop(f, REASON_FRAGMENT);
		return;
	}
	for (uint16_t c = d->first; c != NONE; c = piece_at(t, c)->next) {
		const struct frag_piece *p = piece_at(t, c);
		load(t, c, p->at, p->len, w + n + p->off);
		f->check_sums &= !p->unsummed;
	}
	if (d->family == 4) {
		size_t total = n - ETH_HEAD + d->end;
		ip[2] = (uint8_t)(total >> 8);
		ip[3] = (uint8_t)total;
		ip[6] &= 0x40;
		ip[7] = 0;
		ip[10] = ip[11] = 0;
		uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, ip, n - ETH_HEAD));
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	} else {
		size_t len = n - ETH_HEAD - 40 + d->end;
		load(t, d->head, n, 1, ip + d->nh_at); /* the fragment header's next header */
		ip[4] = (uint8_t)(len >> 8);
		ip[5] = (uint8_t)len;
	}
	decode(f);
	f->exts = (uint8_t)(f->exts + (d->family == 6));
	if ((uint32_t)d->hops_most - d->hops_least > (port_is_uplink(f->in) ? FRAG_TTL_SPREAD : 0))
		verdict_drop(f, REASON_TTL);
}

bool frag_next(struct gateway *g, struct frag *d, struct frame *f)
{
	struct frag_port *t = &g->frags.ports[d->port];
	uint16_t c = d->first;
	if (c == NONE) {
		if (!d->poisoned)
			forget(g, d);
		return false;
	}
	struct frag_piece p = *piece_at(t, c);
	load(t, c, 0, p.n, g->frags.piece);
	chunks_give(t, c);
	d->first = p.next;
	d->pieces--;
	f->bytes = slice_of(g->frags.piece, p.n);
	f->wirelen = p.wirelen;
	f->came = p.came;
	f->check_sums = 0;
	decode(f);
	return true;
}

struct frag *frag_expired(struct gateway *g, uint64_t now)
{
	if (!g->frags.used)
		return NULL;
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		struct frag_port *t = &g->frags.ports[i];
		if (!g->ports[i].used || !t->used)
			continue;
		for (unsigned k = 0; k < FRAG_DATAGRAMS; k++) {
			struct frag *d = &t->at[k];
			if (!t->tags[k] || now - d->born < FRAG_SECONDS * EV_SEC)
				continue;
			d->poisoned = false;
			return d;
		}
	}
	return NULL;
}

struct frag *frag_any(struct gateway *g, const struct port *p)
{
	for (unsigned i = 0; g->frags.used && i < PORTS_MAX; i++) {
		struct frag_port *t = &g->frags.ports[i];
		if (!g->ports[i].used || !t->used || (p && p->conf.port != i))
			continue;
		for (unsigned k = 0; k < FRAG_DATAGRAMS; k++) {
			if (!t->tags[k])
				continue;
			t->at[k].poisoned = false;
			return &t->at[k];
		}
	}
	return NULL;
}
