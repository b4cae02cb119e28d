/* SPDX-License-Identifier: ISC */
/* Records of session files: framing and bodies. Pure functions of bytes. */
#include "cli/read_skt.h"

_Static_assert(sizeof(struct intro_rec) == 72, "docs/formats.md says so");

long skt_frame(struct slice s)
{
	uint32_t len;
	if (!slice_le32(&s, &len))
		return 0;
	if (len < sizeof(struct intro_rec) || len > INTRO_REC_MAX)
		return -1;
	size_t padded = ((size_t)len + 7) & ~(size_t)7;
	return padded - 4 <= s.n ? (long)padded : 0;
}

bool skt_decode(struct slice s, struct skt_rec *r)
{
	struct skt_rec t;
	if (!slice_get(&s, &t.h, sizeof(t.h)) || t.h.len < sizeof(t.h) ||
	    !slice_take(&s, t.h.len - sizeof(t.h), &t.body) || t.h.kind >= INTRO_KIND_COUNT)
		return false;
	t.h.session &= 0xffffffffffffull;
	*r = t;
	return true;
}

bool skt_take_text(struct slice *s, struct slice *text)
{
	if (!s->n)
		return false;
	const uint8_t *end = memchr(s->p, 0, s->n);
	size_t n = end ? (size_t)(end - s->p) : s->n;
	*text = slice_of(s->p, n);
	slice_skip(s, end ? n + 1 : n);
	return true;
}

/* As skt_take_text, but nothing left is an empty text. */
static struct slice text(struct slice *s)
{
	struct slice t = { 0 };
	skt_take_text(s, &t);
	return t;
}

bool skt_file_head(const struct skt_rec *r, struct intro_file *f)
{
	struct intro_file t;
	struct slice s = r->body;
	if (r->h.kind != INTRO_NONE || !slice_get(&s, &t, sizeof(t)) ||
	    memcmp(t.magic, INTRO_FILE_MAGIC, sizeof(t.magic)) != 0)
		return false;
	t.honeynet[sizeof(t.honeynet) - 1] = t.honeypot[sizeof(t.honeypot) - 1] = '\0';
	*f = t;
	return true;
}

bool skt_source(const struct skt_rec *r, struct intro_source *src, struct slice *what)
{
	struct slice s = r->body;
	if (r->h.kind != INTRO_SOURCE || !slice_get(&s, src, sizeof(*src)))
		return false;
	*what = text(&s);
	return true;
}

bool skt_loss(const struct skt_rec *r, struct intro_loss *l)
{
	struct slice s = r->body;
	return r->h.kind == INTRO_LOSS && slice_get(&s, l, sizeof(*l));
}

bool skt_text_of(const struct skt_rec *r, struct slice *what)
{
	struct slice s = r->body;
	if (r->h.kind != INTRO_TAMPER && r->h.kind != INTRO_COMMAND && r->h.kind != INTRO_MODULE)
		return false;
	*what = text(&s);
	return true;
}

bool skt_session(const struct skt_rec *r, struct intro_session *out, struct slice *user)
{
	struct slice s = r->body;
	struct intro_session t;
	if (r->h.kind != INTRO_SESSION || !slice_get(&s, &t, sizeof(t)) || (t.family != 4 && t.family != 6 && t.proto))
		return false;
	t.parent &= 0xffffffffffffull;
	*out = t;
	*user = text(&s);
	return true;
}

bool skt_end(const struct skt_rec *r, struct intro_end *end)
{
	struct slice s = r->body;
	return r->h.kind == INTRO_END && slice_get(&s, end, sizeof(*end));
}

bool skt_tty(const struct skt_rec *r, uint32_t *dir, struct slice *bytes)
{
	struct slice s = r->body;
	uint32_t d;
	if (r->h.kind != INTRO_TTY || !slice_le32(&s, &d) || d > 1)
		return false;
	*dir = d;
	*bytes = s;
	return true;
}

bool skt_winsize(const struct skt_rec *r, uint16_t *rows, uint16_t *cols)
{
	struct slice s = r->body;
	uint16_t a, b;
	if (r->h.kind != INTRO_WINSIZE || !slice_le16(&s, &a) || !slice_le16(&s, &b))
		return false;
	*rows = a;
	*cols = b;
	return true;
}

bool skt_login(const struct skt_rec *r, uint32_t *outcome, uint32_t *how, struct slice *user, struct slice *password)
{
	struct slice s = r->body;
	uint32_t o, h;
	if (r->h.kind != INTRO_LOGIN || !slice_le32(&s, &o) || !slice_le32(&s, &h))
		return false;
	*outcome = o;
	*how = h;
	*user = text(&s);
	*password = text(&s);
	return true;
}

bool skt_exec(const struct skt_rec *r, struct skt_exec *x)
{
	struct slice s = r->body;
	uint32_t ret, argc;
	if (r->h.kind == INTRO_EXEC && (r->h.flags & INTRO_F_CONT)) {
		*x = (struct skt_exec){ .args = s };
		return true;
	}
	if (r->h.kind != INTRO_EXEC || !slice_le32(&s, &ret) || !slice_le32(&s, &argc))
		return false;
	x->ret = (int32_t)ret;
	x->argc = argc;
	x->path = text(&s);
	x->cwd = text(&s);
	x->args = s;
	return true;
}

bool skt_u32(const struct skt_rec *r, uint32_t *v)
{
	struct slice s = r->body;
	return (r->h.kind == INTRO_FORK || r->h.kind == INTRO_EXIT) && slice_le32(&s, v);
}

bool skt_file(const struct skt_rec *r, uint32_t *op, uint32_t *mode, struct slice *path, struct slice *to)
{
	struct slice s = r->body;
	uint32_t o, m;
	if (r->h.kind != INTRO_FILE || !slice_le32(&s, &o) || !slice_le32(&s, &m) || o >= INTRO_FILE_OPS)
		return false;
	*op = o;
	*mode = m;
	*path = text(&s);
	*to = text(&s);
	return true;
}

bool skt_socket(const struct skt_rec *r, struct hook_socket *out)
{
	struct slice s = r->body;
	struct hook_socket t;
	if (r->h.kind != INTRO_SOCKET || !slice_get(&s, &t, sizeof(t)) || t.op >= HOOK_SOCKET_OP_COUNT ||
	    (t.family != 4 && t.family != 6))
		return false;
	*out = t;
	return true;
}

bool skt_cred(const struct skt_rec *r, uint32_t v[4])
{
	struct slice s = r->body;
	uint32_t t[4];
	if (r->h.kind != INTRO_CRED)
		return false;
	for (int i = 0; i < 4; i++)
		if (!slice_le32(&s, &t[i]))
			return false;
	memcpy(v, t, sizeof(t));
	return true;
}
