/* SPDX-License-Identifier: ISC */
#include "proc/sinkhole/session.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- text ------------------------------------------------------------------ */

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
	while (s.n && is_space(s.p[0]))
		slice_skip(&s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_word(struct slice text, const char *word, struct slice *rest)
{
	for (; *word; word++) {
		uint8_t c;
		if (!slice_u8(&text, &c) || lower(c) != lower((uint8_t)*word))
			return false;
	}
	if (rest)
		*rest = slice_trim(text);
	return true;
}

bool slice_same(struct slice text, const char *word)
{
	return slice_word(text, word, NULL) && text.n == strlen(word);
}

void slice_text(char *out, size_t cap, struct slice s)
{
	size_t n = s.n < cap - 1 ? s.n : cap - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i] > 32 && s.p[i] < 127 ? (char)s.p[i] : '?';
	out[n] = 0;
}

/* ---- what was received ----------------------------------------------------- */

void texts_add(struct texts *t, enum sink_field f, struct slice text)
{
	uint16_t n = (uint16_t)(text.n < SINK_TEXT_MAX ? text.n : SINK_TEXT_MAX);
	if (t->count >= SINK_TEXTS || sizeof(t->b) - t->n < n + 4u)
		return;
	t->b[t->n++] = (uint8_t)f;
	t->b[t->n++] = 0;
	memcpy(t->b + t->n, &n, 2);
	t->n += 2;
	if (n)
		memcpy(t->b + t->n, text.p, n);
	t->n = (uint16_t)(t->n + n);
	t->count++;
}

void texts_str(struct texts *t, enum sink_field f, const char *text)
{
	texts_add(t, f, slice_of(text, strlen(text)));
}

void body_reset(struct body *b)
{
	b->n = 0;
	b->total = 0;
	b->open = false;
}

void body_add(struct body *b, struct slice bytes)
{
	if (!bytes.n)
		return;
	if (!b->open) {
		crypto_hash_sha256_init(&b->sha256);
		crypto_generichash_init(&b->blake2b, NULL, 0, 32);
		b->open = true;
	}
	crypto_hash_sha256_update(&b->sha256, bytes.p, bytes.n);
	crypto_generichash_update(&b->blake2b, bytes.p, bytes.n);
	b->total += bytes.n;
#ifdef MUTANT_SINK_UNBOUNDED
	size_t n = bytes.n;
#else
	size_t n = bytes.n < SINK_BODY_MAX - b->n ? bytes.n : SINK_BODY_MAX - b->n;
#endif
	memcpy(b->kept + b->n, bytes.p, n);
	b->n += (uint32_t)n;
}

void session_record(struct session *s, enum sink_record what, uint16_t status, uint8_t flags, uint32_t recipients)
{
	struct ev_sink h = { .time = s->now,
			     .start = s->start,
			     .session = s->id,
			     .bytes_in = s->bytes_in,
			     .bytes_out = s->bytes_out,
			     .body = s->body.total,
			     .kept = s->body.n,
			     .recipients = recipients,
			     .record = (uint16_t)what,
			     .status = status,
			     .service = s->service,
			     .family = s->family,
			     .proto = s->proto,
			     .flags = flags,
			     .src_port = s->src_port,
			     .dst_port = s->dst_port,
			     .ntexts = s->texts.count,
			     .requests = s->requests };
	memcpy(h.src, s->src, 16);
	memcpy(h.dst, s->dst, 16);
	if (s->body.open) {
		crypto_hash_sha256_final(&s->body.sha256, h.sha256);
		crypto_generichash_final(&s->body.blake2b, h.blake2b, 32);
	}
	if (s->body.total > s->body.n)
		h.flags |= SINK_CUT;
	s->record(s->arg, &h, &s->texts, &s->body);
	s->texts.n = s->texts.count = 0;
	body_reset(&s->body);
}

/* ---- what is sent ---------------------------------------------------------- */

void session_put(struct session *s, const void *p, size_t n)
{
	if (n > SINK_OUT_MAX - s->nout)
		n = SINK_OUT_MAX - s->nout;
	memcpy(s->out + s->nout, p, n);
	s->nout += (uint32_t)n;
	s->bytes_out += n;
}

void session_say(struct session *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	session_put(s, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* ---- input ----------------------------------------------------------------- */

enum line session_line(struct session *s, struct slice *in, struct slice *line)
{
	const uint8_t *nl = memchr(in->p, '\n', in->n);
	size_t n = nl ? (size_t)(nl - in->p) : in->n;
	struct slice part = slice_head(*in, n);
	slice_skip(in, n);
	size_t fits = part.n < SINK_LINE_MAX - s->nline ? part.n : SINK_LINE_MAX - s->nline;
	memcpy(s->line + s->nline, part.p, fits);
	s->nline = (uint16_t)(s->nline + fits);
	s->line_over |= fits < part.n;
	if (!nl)
		return LINE_NONE;
	slice_skip(in, 1);
	bool over = s->line_over;
	*line = slice_of(s->line, s->nline);
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	s->nline = 0;
	s->line_over = false;
	return over ? LINE_LONG : LINE_WHOLE;
}

void session_begin(struct session *s)
{
	static const struct sink_service_ops *const ops[SINK_SVC_COUNT] = { &sink_smtp, &sink_http, &sink_raw,
									    &sink_raw };
	uint8_t h[4];
	crypto_generichash(h, sizeof(h), s->dst, sizeof(s->dst), NULL, 0);
	memcpy(&s->seed, h, sizeof(h));
	s->ops = ops[s->service < SINK_SVC_COUNT ? s->service : SINK_SVC_TCP];
	s->ops->begin(s);
}

void session_input(struct session *s, struct slice *in)
{
	size_t before = in->n;
	if (in->n)
		s->last = s->mono;
	while (in->n && !s->closing && session_has_room(s))
		s->ops->input(s, in);
	s->bytes_in += before - in->n;
}

void session_tick(struct session *s)
{
	if (s->closing)
		return;
	if (s->ops->tick)
		s->ops->tick(s);
	if (s->mono - s->last > s->ops->idle || s->mono - s->born > SINK_LIFE)
		s->closing = true;
}

void session_end(struct session *s)
{
	s->ops->end(s);
	s->texts.n = s->texts.count = 0;
	body_reset(&s->body);
	session_record(s, SINK_REC_END, 0, 0, 0);
}

/* ---- who the destination seems to be ---------------------------------------- */

uint32_t session_pick(const struct session *s, uint32_t of)
{
	return s->seed % of;
}

void session_hostname(const struct session *s, char out[80])
{
	static const char *const words[] = { "mail", "mx1", "smtp", "vps", "srv", "host" };
	const char *word = words[session_pick(s, sizeof(words) / sizeof(words[0]))];
	if (s->family == 4)
		snprintf(out, 80, "%s-%u-%u-%u-%u.localdomain", word, s->dst[0], s->dst[1], s->dst[2], s->dst[3]);
	else
		snprintf(out, 80, "%s-%x-%x.localdomain", word, s->dst[12] << 8 | s->dst[13],
			 s->dst[14] << 8 | s->dst[15]);
}
