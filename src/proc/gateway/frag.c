/* SPDX-License-Identifier: ISC */
#include "proc/gateway/frag.h"

#include "proc/gateway/gateway.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#define PROBES 16u

int frag_table_init(struct frag_table *t, struct err *e)
{
	void *a = mmap(NULL, FRAG_ENTRIES * sizeof(struct frag), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *b = mmap(NULL, PORTS_MAX * sizeof(uint16_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*t = (struct frag_table){ .at = a == MAP_FAILED ? NULL : a, .per_port = b == MAP_FAILED ? NULL : b };
	if (t->at && t->per_port)
		return 0;
	int r = err_sys(e, -errno, "cannot map the table of fragments");
	frag_table_free(t);
	return r;
}

void frag_table_free(struct frag_table *t)
{
	if (t->at)
		munmap(t->at, FRAG_ENTRIES * sizeof(struct frag));
	if (t->per_port)
		munmap(t->per_port, PORTS_MAX * sizeof(uint16_t));
	*t = (struct frag_table){ 0 };
}

static void forget(struct frag_table *t, struct frag *d)
{
	d->used = 0;
	t->per_port[d->port]--;
}

static bool same(const struct frag *d, const struct frame *f)
{
	/* IPv6 identifies by addresses and id alone (RFC 8200 section 4.5). */
	return d->used && d->id == f->frag_id && d->port == f->in->conf.port && d->family == f->t.family &&
	       (d->family == 6 || d->proto == f->t.proto) && !memcmp(d->saddr, f->t.saddr, 16) &&
	       !memcmp(d->daddr, f->t.daddr, 16);
}

/* The datagram of this fragment; or, with *vacant, a place for it. */
static struct frag *find(struct gateway *g, const struct frame *f, struct frag **vacant)
{
	struct {
		uint8_t saddr[16], daddr[16];
		uint32_t id;
		uint16_t port, family;
	} k = { .id = f->frag_id, .port = f->in->conf.port, .family = f->t.family };
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;
	memcpy(k.saddr, f->t.saddr, 16);
	memcpy(k.daddr, f->t.daddr, 16);
	crypto_shorthash(out, (const uint8_t *)&k, sizeof(k), g->flows.hash_key);
	memcpy(&h, out, sizeof(h));
	*vacant = NULL;
	for (uint32_t i = 0; i < PROBES; i++) {
		struct frag *d = &g->frags.at[(h + i) & (FRAG_ENTRIES - 1)];
		if (d->used && f->now - d->born >= FRAG_SECONDS * EV_SEC)
			forget(&g->frags, d);
		if (same(d, f))
			return d;
		if (!d->used && !*vacant)
			*vacant = d;
	}
	return NULL;
}

/* Marks the units of the fragment. false: some were there already. */
static bool mark(struct frag *d, uint32_t off, uint32_t len)
{
	uint32_t first = off / 8, last = (off + len - 1) / 8;
	for (uint32_t u = first; u <= last; u++)
		if (d->map[u / 64] & 1ull << (u % 64))
			return false;
	for (uint32_t u = first; u <= last; u++)
		d->map[u / 64] |= 1ull << (u % 64);
	d->got += last - first + 1;
	return true;
}

static bool place(struct frag *d, const struct frame *f)
{
	uint32_t end = (uint32_t)f->frag_off + f->frag_len;
	if (d->end && (end > d->end || !f->more))
		return false;
	if (!f->more) {
		if (end < d->high)
			return false;
		d->end = end;
	}
	if (end > d->high)
		d->high = end;
	return mark(d, f->frag_off, f->frag_len);
}

void frag_find(struct gateway *g, struct frame *f)
{
	struct frag_table *t = &g->frags;
	struct frag *vacant, *d = find(g, f, &vacant);
	if (!d) {
		if (f->frag_off || !vacant || t->per_port[f->in->conf.port] >= FRAG_PER_PORT) {
			verdict_drop(f, REASON_FRAGMENT);
			return;
		}
		d = vacant;
		*d = (struct frag){ .id = f->frag_id,
				    .port = f->in->conf.port,
				    .family = f->t.family,
				    .proto = f->t.proto,
				    .used = 1,
				    .verdict = VERDICT_DROP, /* until frag_judged */
				    .reason = REASON_FRAGMENT,
				    .born = f->now };
		memcpy(d->saddr, f->t.saddr, 16);
		memcpy(d->daddr, f->t.daddr, 16);
		t->per_port[d->port]++;
		place(d, f);
		return;
	}
	if (d->poisoned || d->proto != f->t.proto || !place(d, f)) {
#ifndef MUTANT_FRAGMENT_OVERLAP
		d->poisoned = 1;
		verdict_drop(f, REASON_FRAGMENT);
		return;
#endif
	}
	if (d->flow) {
		struct flow *fl = &g->flows.at[d->flow];
		/* The conversation may be over, and its entry another's. */
		if (fl->used && fl->id == d->flow_id) {
			f->flow = fl;
			f->dir = d->dir;
		}
	}
	if (d->verdict > VERDICT_REWRITE)
		verdict_drop(f, d->reason);
	else if (!f->flow && d->flow)
		verdict_drop(f, REASON_NO_FLOW);
	else
		verdict_allow(f, d->reason);
	if (d->end && d->got == (d->end + 7) / 8)
		forget(t, d);
}

void frag_judged(struct gateway *g, const struct frame *f)
{
	struct frag *vacant, *d = find(g, f, &vacant);
	if (!d || d->poisoned)
		return;
	d->verdict = f->verdict;
	d->reason = f->reason;
	d->dir = f->dir;
	d->flow = f->flow ? (uint32_t)(f->flow - g->flows.at) : 0;
	d->flow_id = f->flow ? f->flow->id : 0;
}

void frag_expire(struct gateway *g, uint64_t now)
{
	struct frag_table *t = &g->frags;
	for (unsigned i = 0; i < FRAG_ENTRIES / 32; i++) {
		struct frag *d = &t->at[t->sweep++ & (FRAG_ENTRIES - 1)];
		if (d->used && now - d->born >= FRAG_SECONDS * EV_SEC)
			forget(t, d);
	}
}
