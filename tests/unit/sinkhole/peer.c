/* SPDX-License-Identifier: ISC */
#include "peer.h"

#include <stdlib.h>

#define GUARD (8u << 20)

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void record(void *arg, const struct ev_sink *head, const struct texts *texts, const struct body *body)
{
	struct peer *p = arg;
	must(texts->n <= sizeof(texts->b) && head->ntexts == texts->count && texts->count <= SINK_TEXTS);
	struct told *t = &p->told[p->ntold++ % TOLD];
	free(t->body);
	*t = (struct told){ .head = *head, .texts = *texts };
	t->body = malloc(body->n + 1u);
	must(t->body != NULL);
	memcpy(t->body, body->kept, body->n);
	t->body[body->n] = 0;
}

struct peer *peer_new(unsigned service)
{
	struct peer *p = calloc(1, sizeof(*p));
	must(p && sodium_init() >= 0);
	p->s = calloc(1, sizeof(*p->s));
	must(p->s != NULL);
	/* With room behind, so that what is written there is seen, not felt. Made
	 * once: it is large, and a fuzzer comes by often. */
	static uint8_t *room;
	if (!room)
		room = calloc(1, SINK_BODY_MAX + GUARD);
	must(room != NULL);
	p->s->body.kept = room;
	p->guard = p->s->body.kept + SINK_BODY_MAX;
	*p->s = (struct session){ .service = (uint8_t)service,
				  .family = 4,
				  .proto = service == SINK_SVC_UDP ? 17 : 6,
				  .src_port = 40000,
				  .dst_port = 25,
				  .src = { 192, 0, 2, 10 },
				  .dst = { 203, 0, 113, 5 },
				  .id = 0x123456789abc,
				  .start = 1700000000000000000ull,
				  .now = 1700000000000000000ull,
				  .mono = EV_SEC,
				  .born = EV_SEC,
				  .last = EV_SEC,
				  .body = { .kept = p->guard - SINK_BODY_MAX },
				  .record = record,
				  .arg = p };
	session_begin(p->s);
	peer_send(p, "", 0, 0);
	return p;
}

void peer_free(struct peer *p)
{
	for (unsigned i = 0; i < TOLD; i++)
		free(p->told[i].body);
	free(p->s);
	free(p);
}

static void collect(struct peer *p)
{
	size_t n = p->s->nout < sizeof(p->out) - 1 - p->nout ? p->s->nout : sizeof(p->out) - 1 - p->nout;
	must(p->s->nout <= SINK_OUT_MAX);
	memcpy(p->out + p->nout, p->s->out, n);
	p->nout += n;
	p->out[p->nout] = 0;
	p->s->nout = 0;
}

void peer_send(struct peer *p, const void *bytes, size_t n, size_t step)
{
	const uint8_t *b = bytes;
	collect(p);
	for (size_t at = 0; at < n && !p->s->closing;) {
		size_t len = step && step < n - at ? step : n - at;
		uint8_t *copy = malloc(len);
		must(copy != NULL);
		memcpy(copy, b + at, len);
		struct slice s = slice_of(copy, len);
		session_input(p->s, &s);
		must(s.n < len || p->s->closing); /* there was room: it moves */
		at += len - s.n;
		free(copy);
		collect(p);
	}
	collect(p);
}

void peer_say(struct peer *p, const char *text)
{
	p->nout = 0;
	p->out[0] = 0;
	peer_send(p, text, strlen(text), 0);
}

void peer_pass(struct peer *p, uint64_t ns)
{
	for (uint64_t done = 0; done < ns; done += EV_SEC) {
		p->s->mono += EV_SEC;
		p->s->now += EV_SEC;
		session_tick(p->s);
	}
	collect(p);
}

void peer_end(struct peer *p)
{
	session_end(p->s);
}

const char *told_text(const struct told *t, enum sink_field f, unsigned i)
{
	static char text[4][SINK_TEXT_MAX + 1];
	static unsigned turn;
	struct slice s = slice_of(t->texts.b, t->texts.n), value;
	uint8_t field, zero;
	uint16_t n;
	while (slice_u8(&s, &field) && slice_u8(&s, &zero) && slice_get(&s, &n, 2) && slice_take(&s, n, &value)) {
		if (field != f || i-- > 0)
			continue;
		char *out = text[turn++ % 4];
		memcpy(out, value.p, value.n);
		out[value.n] = 0;
		return out;
	}
	return NULL;
}

bool peer_bounded(const struct peer *p)
{
	for (size_t i = 0; i < GUARD; i++)
		if (p->guard[i])
			return false;
	return true;
}
