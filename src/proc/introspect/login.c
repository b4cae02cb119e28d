/* SPDX-License-Identifier: ISC */
#include "proc/introspect/login.h"

#include <string.h>

#define MESSAGE_MAX (256u * 1024) /* monitor_wrap.c refuses more */
#define TYPE_MAX 150u

void login_init(struct login *l)
{
	memset(l, 0, sizeof(*l));
}

static struct stream *stream_of(struct login *l, uint32_t tgid)
{
	struct stream *best = &l->at[0];
	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct stream *s = &l->at[i];
		if (s->tgid == tgid)
			return s;
		if (s->last < best->last)
			best = s;
	}
	l->evicted += best->tgid != 0;
	best->tgid = tgid;
	best->len = best->got = 0;
	return best;
}

void login_forget(struct login *l, uint32_t tgid)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (l->at[i].tgid == tgid)
			l->at[i] = (struct stream){ 0 };
}

bool login_string(struct slice *s, struct slice *out)
{
	struct slice t = *s;
	uint32_t n;
	if (!slice_be32(&t, &n) || !slice_take(&t, n, out))
		return false;
	*s = t;
	return true;
}

/* Does a message begin so? */
static bool begins(struct slice s)
{
	uint32_t len;
	uint8_t type;
	if (!slice_be32(&s, &len) || !len || len > MESSAGE_MAX)
		return false;
	return !slice_u8(&s, &type) || type <= TYPE_MAX;
}

static void message(struct stream *s, login_fn fn, void *arg)
{
	uint32_t kept = s->len < LOGIN_BYTES ? s->len : LOGIN_BYTES;
	struct slice m = slice_of(s->buf + 4, kept);
	uint8_t type;
	if (slice_u8(&m, &type))
		fn(arg, type, m);
	s->len = s->got = 0;
}

void login_feed(struct login *l, uint32_t tgid, struct slice bytes, login_fn fn, void *arg)
{
	if (!tgid)
		return;
	struct stream *s = stream_of(l, tgid);
	s->last = ++l->clock;
	while (bytes.n) {
		if (!s->got && !begins(bytes))
			return;
		uint32_t whole = s->got < 4 ? 4 : 4 + s->len;
		size_t k = whole - s->got < bytes.n ? whole - s->got : bytes.n;
		struct slice part;
		if (!slice_take(&bytes, k, &part))
			return;
		if (s->got < sizeof(s->buf)) {
			size_t room = sizeof(s->buf) - s->got;
			memcpy(s->buf + s->got, part.p, k < room ? k : room);
		}
		s->got += (uint32_t)k;
		if (s->got == 4 && !s->len) {
			struct slice head = slice_of(s->buf, 4);
			slice_be32(&head, &s->len);
#ifndef MUTANT_LOGIN_WAITS
			/* Its payload is read at once, which is too long to be told. */
			if (s->len > 1 + HOOK_AUTH_MAX)
				s->len = s->got = 0;
#endif
		} else if (s->len && s->got == 4 + s->len) {
			message(s, fn, arg);
		}
	}
}
