/* SPDX-License-Identifier: ISC */
#include "proc/introspect/emit.h"

#include <string.h>

void emit_init(struct emit *e, emit_fn fn, void *arg)
{
	e->fn = fn;
	e->arg = arg;
	e->seq = 0;
	e->n = 0;
	e->flags = 0;
}

struct intro_rec *emit_head(struct emit *e)
{
	return (struct intro_rec *)(void *)e->buf;
}

void emit_begin(struct emit *e, enum intro_kind kind, const struct fact *f, uint64_t session)
{
	struct intro_rec h = { .kind = (uint16_t)kind,
			       .time = f->time,
			       .gtime = f->gtime,
			       .session = session,
			       .pid = f->tgid,
			       .ppid = f->ppid,
			       .uid = f->uid,
			       .tty = f->tty };
	memcpy(h.comm, f->comm, sizeof(h.comm) - 1);
	memcpy(e->buf, &h, sizeof(h));
	e->n = sizeof(h);
	e->flags = 0;
}

size_t emit_room(const struct emit *e)
{
	return INTRO_REC_MAX - e->n;
}

void emit_put(struct emit *e, const void *p, size_t n)
{
	if (n > emit_room(e)) {
		n = emit_room(e);
		e->flags |= INTRO_F_CUT;
	}
	if (n)
		memcpy(e->buf + e->n, p, n);
	e->n += n;
}

void emit_u32(struct emit *e, uint32_t v)
{
	emit_put(e, &v, sizeof(v));
}

void emit_text(struct emit *e, const char *s, size_t n)
{
	size_t room = emit_room(e), whole = n ? strnlen(s, n) : 0;
	if (whole < n) {
		/* What stands behind a zero byte would be another text. */
		n = whole;
		e->flags |= INTRO_F_CUT;
	}
	if (!room) {
		/* A text always ends: the record's last byte is given up for it. */
		e->buf[e->n - 1] = 0;
		e->flags |= INTRO_F_CUT;
		return;
	}
	if (n > room - 1)
		e->flags |= INTRO_F_CUT;
	emit_put(e, s, n < room ? n : room - 1);
	emit_put(e, "", 1);
}

void emit_end(struct emit *e, uint16_t flags)
{
	struct intro_rec *h = emit_head(e);
	size_t padded = (e->n + 7) & ~(size_t)7;
	memset(e->buf + e->n, 0, padded - e->n);
	h->len = (uint32_t)e->n;
	h->flags = (uint16_t)(flags | e->flags);
	h->seq = ++e->seq;
	e->fn(e->arg, h, padded);
	e->n = 0;
}
