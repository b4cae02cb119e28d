/* SPDX-License-Identifier: ISC */
#include "proc/evidence/intro.h"

#include <errno.h>
#include <sys/socket.h>

#define FLAGS (INTRO_F_CUT | INTRO_F_MORE | INTRO_F_FAULT | INTRO_F_CONT | INTRO_F_EDITED | INTRO_F_NOECHO)
#define SESSION_BITS 48

static bool text(struct slice *s, struct slice *out)
{
	const uint8_t *end = s->n ? memchr(s->p, 0, s->n) : NULL;
	return end && slice_take(s, (size_t)(end - s->p), out) && slice_skip(s, 1);
}

static bool family_ok(unsigned family)
{
	return family == 4 || family == 6;
}

static bool exec_ok(const struct intro_rec *r, struct slice *s, struct intro_body *b)
{
	if (!(r->flags & INTRO_F_CONT) && (!slice_get(s, b->n, 8) || !text(s, &b->text[0]) || !text(s, &b->text[1])))
		return false;
	slice_take(s, s->n, &b->rest);
	return !b->rest.n || (r->flags & (INTRO_F_MORE | INTRO_F_CUT)) || b->rest.p[b->rest.n - 1] == 0;
}

/* All of the payload must be what its kind says, and nothing may follow. */
static bool body_ok(const struct intro_rec *r, struct slice s, struct intro_body *b)
{
	bool ok = false;
	switch (r->kind) {
	case INTRO_SOURCE:
		ok = slice_get(&s, &b->source, sizeof(b->source)) && b->source.way < INTRO_WAY_COUNT &&
		     b->source.format == INTRO_FORMAT && text(&s, &b->text[0]);
		break;
	case INTRO_LOSS:
		ok = slice_get(&s, &b->loss, sizeof(b->loss));
		break;
	case INTRO_SESSION:
		ok = slice_get(&s, &b->session, sizeof(b->session)) && text(&s, &b->text[0]) && r->session &&
		     (!b->session.proto || family_ok(b->session.family)) && b->session.service <= INTRO_SVC_CONSOLE &&
		     !(b->session.parent >> SESSION_BITS);
		break;
	case INTRO_END:
		ok = slice_get(&s, &b->end, sizeof(b->end)) && r->session;
		break;
	case INTRO_TTY:
		ok = slice_get(&s, b->n, 4) && b->n[0] <= 1 && slice_take(&s, s.n, &b->rest);
		break;
	case INTRO_LOGIN:
		ok = slice_get(&s, b->n, 8) && b->n[0] <= INTRO_UNKNOWN && b->n[1] <= INTRO_AUTH_TTY &&
		     text(&s, &b->text[0]) && text(&s, &b->text[1]);
		break;
	case INTRO_TAMPER:
	case INTRO_COMMAND:
	case INTRO_MODULE:
		ok = text(&s, &b->text[0]);
		break;
	case INTRO_EXEC:
		ok = exec_ok(r, &s, b);
		break;
	case INTRO_WINSIZE:
	case INTRO_FORK:
	case INTRO_EXIT:
		ok = slice_get(&s, b->n, 4);
		break;
	case INTRO_FILE:
		ok = slice_get(&s, b->n, 8) && b->n[0] < INTRO_FILE_OPS && text(&s, &b->text[0]) &&
		     text(&s, &b->text[1]);
		break;
	case INTRO_SOCKET:
		ok = slice_get(&s, &b->socket, sizeof(b->socket)) && b->socket.op < HOOK_SOCKET_OP_COUNT &&
		     family_ok(b->socket.family);
		break;
	case INTRO_CRED:
		ok = slice_get(&s, b->n, 16);
		break;
	default:
		break;
	}
	return ok && !s.n;
}

int intro_take(struct slice *s, struct intro_rec *r, struct intro_body *b)
{
	struct slice t = *s, payload, pad;
	if (!s->n)
		return 0;
	if (!slice_get(&t, r, sizeof(*r)) || r->len < sizeof(*r) || r->len > INTRO_REC_MAX ||
	    !slice_take(&t, r->len - sizeof(*r), &payload) || !slice_take(&t, -r->len & 7u, &pad))
		return -EBADMSG;
	for (size_t i = 0; i < pad.n; i++)
		if (pad.p[i])
			return -EBADMSG;
	memset(b, 0, sizeof(*b));
#ifndef MUTANT_INTRO_UNCHECKED
	if ((r->flags & ~FLAGS) || !r->seq || r->session >> SESSION_BITS || !body_ok(r, payload, b))
		return -EBADMSG;
#else
	body_ok(r, payload, b);
#endif
	*s = t;
	return 1;
}

size_t intro_whole(const uint8_t *p, size_t n)
{
	size_t at = 0;
	for (uint32_t len; n - at >= sizeof(struct intro_rec); at += len) {
		memcpy(&len, p + at, sizeof(len));
		if (len < sizeof(struct intro_rec) || len > INTRO_REC_MAX)
			break;
		len = (len + 7) & ~7u;
		if (len > n - at)
			break;
	}
	return at;
}
