/* SPDX-License-Identifier: ISC */
#include "proc/introspect/sessions.h"

#include <string.h>

void sessions_init(struct sessions *t, struct emit *e, uint64_t seed, void (*ending)(void *arg, struct ref session),
		   void *arg)
{
	memset(t, 0, sizeof(*t));
	t->emit = e;
	t->ending = ending;
	t->arg = arg;
	t->seed = seed;
}

struct session *sessions_get(struct sessions *t, struct ref r)
{
	struct session *s = &t->at[r.at % SESSIONS_MAX];
	return r.gen && s->used && s->gen == r.gen ? s : NULL;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t new_id(struct sessions *t)
{
	uint64_t z;
	do {
		z = t->seed += 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		z = (z ^ z >> 31) & 0xffffffffffffu;
	} while (!z);
	return z;
}

static void tell(struct sessions *t, const struct session *s, const struct fact *f)
{
	emit_begin(t->emit, INTRO_SESSION, f, s->id);
	emit_put(t->emit, &s->info, sizeof(s->info));
	emit_text(t->emit, s->user, strlen(s->user));
	emit_end(t->emit, 0);
}

static void tell_end(struct sessions *t, struct session *s, const struct fact *f)
{
	t->ending(t->arg, (struct ref){ (uint32_t)(s - t->at), s->gen });
	attempt_end(t, s, &s->ssh, f, INTRO_UNKNOWN);
	attempt_end(t, s, &s->tty, f, INTRO_UNKNOWN);
	struct intro_end x = { .start = s->info.start,
			       .end = f->time,
			       .in_bytes = s->in_bytes,
			       .out_bytes = s->out_bytes,
			       .commands = s->commands,
			       .execs = s->execs };
	emit_begin(t->emit, INTRO_END, f, s->id);
	emit_put(t->emit, &x, sizeof(x));
	emit_end(t->emit, 0);
}

static void discard(struct sessions *t, struct session *s)
{
	uint32_t gen = s->gen;
	*s = (struct session){ .gen = gen };
	t->live--;
}

/* Over, and if nobody is left, gone. */
static void settle(struct sessions *t, struct session *s, const struct fact *f)
{
	bool empty = !s->procs && !s->blind;
	bool unserved = s->had_servers && !s->servers;
	if (!s->over && (empty || unserved)) {
		s->over = true;
		tell_end(t, s, f);
	} else if (s->over && empty) {
		tell_end(t, s, f);
	}
	if (s->over && empty)
		discard(t, s);
}

static struct session *place(struct sessions *t, const struct fact *f)
{
	struct session *best = NULL;
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = &t->at[i];
		if (!s->used)
			return s;
		if (!best || s->over > best->over || (s->over == best->over && s->last < best->last))
			best = s;
	}
	t->evicted++;
	tell_end(t, best, f);
	discard(t, best);
	return best;
}

struct ref sessions_begin(struct sessions *t, const struct fact *f, const struct conn *c, enum intro_service service,
			  uint64_t parent)
{
	struct session *s = place(t, f);
	uint32_t gen = s->gen + 1 ? s->gen + 1 : 1;
	*s = (struct session){ .gen = gen, .used = true, .id = new_id(t), .last = f->time };
	s->info.start = f->time;
	s->info.service = (uint8_t)service;
	s->info.parent = parent;
	if (c) {
		s->info.start = c->time;
		s->info.proto = c->sock.proto;
		s->info.family = c->sock.family;
		s->info.local_port = c->sock.local_port;
		s->info.peer_port = c->sock.peer_port;
		memcpy(s->info.local, c->sock.local, sizeof(s->info.local));
		memcpy(s->info.peer, c->sock.peer, sizeof(s->info.peer));
	}
	t->live++;
	t->made++;
	tell(t, s, f);
	return (struct ref){ (uint32_t)(s - t->at), gen };
}

void sessions_user(struct sessions *t, struct session *s, const struct fact *f, const char *user, size_t n, bool sure)
{
	n = n ? strnlen(user, n < sizeof(s->user) ? n : sizeof(s->user) - 1) : 0;
	if (!n || (s->user_sure && !sure))
		return;
	bool same = strlen(s->user) == n && !memcmp(s->user, user, n);
	s->user_sure = sure;
	if (same)
		return;
	memcpy(s->user, user, n);
	s->user[n] = 0;
	tell(t, s, f);
}

void sessions_join(struct sessions *t, struct ref r, bool serving)
{
	struct session *s = sessions_get(t, r);
	if (!s)
		return;
	s->procs++;
	if (serving) {
		s->servers++;
		s->had_servers = true;
	}
}

void sessions_leave(struct sessions *t, struct ref r, bool serving, bool evicted, const struct fact *f)
{
	struct session *s = sessions_get(t, r);
	if (!s)
		return;
	s->procs--;
	s->blind |= evicted;
	if (serving)
		s->servers--;
	settle(t, s, f);
}

void sessions_unserve(struct sessions *t, struct ref r, const struct fact *f)
{
	struct session *s = sessions_get(t, r);
	if (!s)
		return;
	s->servers--;
	settle(t, s, f);
}

void attempt_set(struct sessions *t, struct session *s, struct attempt *a, const struct fact *f, enum intro_auth how,
		 struct fact_text user, struct fact_text secret)
{
	attempt_end(t, s, a, f, INTRO_UNKNOWN);
	*a = (struct attempt){ .active = true, .how = (uint32_t)how, .tty = f->tty };
	a->cut = user.n > sizeof(a->user) || secret.n > sizeof(a->secret);
	a->user_n = (uint16_t)(user.n < sizeof(a->user) ? user.n : sizeof(a->user));
	a->secret_n = (uint16_t)(secret.n < sizeof(a->secret) ? secret.n : sizeof(a->secret));
	memcpy(a->user, user.s, a->user_n);
	memcpy(a->secret, secret.s, a->secret_n);
}

void attempt_end(struct sessions *t, struct session *s, struct attempt *a, const struct fact *f,
		 enum intro_outcome outcome)
{
	if (!a->active)
		return;
	a->active = false;
	emit_begin(t->emit, INTRO_LOGIN, f, s->id);
	if (a->how == INTRO_AUTH_TTY)
		emit_head(t->emit)->tty = a->tty;
	emit_u32(t->emit, outcome);
	emit_u32(t->emit, a->how);
	emit_text(t->emit, a->user, a->user_n);
	emit_text(t->emit, a->secret, a->secret_n);
	emit_end(t->emit, a->cut ? INTRO_F_CUT : 0);
	if (outcome == INTRO_SUCCEEDED && (a->how != INTRO_AUTH_TTY || !s->user_sure))
		sessions_user(t, s, f, a->user, a->user_n, true);
}

void sessions_end_all(struct sessions *t, const struct fact *f)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = &t->at[i];
		if (!s->used)
			continue;
		if (!s->over || s->procs)
			tell_end(t, s, f);
		discard(t, s);
	}
}

void sessions_expire(struct sessions *t, const struct fact *f, uint64_t before)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = &t->at[i];
		if (!s->used || s->last >= before || !(s->blind || !s->procs))
			continue;
		if (!s->over)
			tell_end(t, s, f);
		discard(t, s);
	}
}
