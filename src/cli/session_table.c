/* SPDX-License-Identifier: ISC */
#include "cli/session_table.h"

#include "cli/read_eve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* ---- the table -------------------------------------------------------------- */

static unsigned slot_of(const struct session_table *t, uint64_t id)
{
	unsigned i = (unsigned)((id * 0x9e3779b97f4a7c15ull) >> 40) & (t->nslots - 1);
	while (t->slots[i] && t->s[t->slots[i] - 1].id != id)
		i = (i + 1) & (t->nslots - 1);
	return i;
}

static bool grow(struct session_table *t)
{
	unsigned cap = t->cap ? 2 * t->cap : 64;
	struct session *s = realloc(t->s, cap * sizeof(*s));
	if (!s)
		return false;
	t->s = s;
	uint32_t *slots = calloc(4ul * cap, sizeof(*slots));
	if (!slots)
		return false;
	free(t->slots);
	t->slots = slots;
	t->nslots = 4 * cap;
	t->cap = cap;
	for (unsigned i = 0; i < t->n; i++)
		t->slots[slot_of(t, t->s[i].id)] = i + 1;
	return true;
}

struct session *session_find(struct session_table *t, uint64_t id)
{
	if (!t->nslots)
		return NULL;
	uint32_t at = t->slots[slot_of(t, id)];
	return at ? &t->s[at - 1] : NULL;
}

static struct session *get(struct session_table *t, const char *honeypot, uint64_t id)
{
	struct session *s = session_find(t, id);
	if (s)
		return s;
	if (t->n == t->cap && !grow(t)) {
		t->oom = true;
		return NULL;
	}
	s = &t->s[t->n++];
	*s = (struct session){ .id = id };
	snprintf(s->honeypot, sizeof(s->honeypot), "%s", honeypot);
	t->slots[slot_of(t, id)] = t->n;
	return s;
}

void session_table_free(struct session_table *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->s[i].logins);
	free(t->s);
	free(t->slots);
	*t = (struct session_table){ 0 };
}

static int by_start(const void *a, const void *b)
{
	const struct session *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

void session_sort(struct session_table *t)
{
	if (t->n)
		qsort(t->s, t->n, sizeof(*t->s), by_start);
	free(t->slots);
	t->slots = NULL;
	t->nslots = 0;
}

/* ---- records ---------------------------------------------------------------- */

static void copy_text(char *dst, size_t cap, struct slice s)
{
	s = slice_head(s, cap - 1);
	if (s.n)
		memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
}

struct session_tty *session_tty(struct session *s, uint32_t tty)
{
	for (unsigned i = 0; i < s->nttys; i++)
		if (s->ttys[i].tty == tty)
			return &s->ttys[i];
	return NULL;
}

static struct session_tty *get_tty(struct session *s, uint32_t tty)
{
	struct session_tty *t = session_tty(s, tty);
	if (t || s->nttys == SESSION_TTYS)
		return t;
	s->ttys[s->nttys] = (struct session_tty){ .tty = tty };
	return &s->ttys[s->nttys++];
}

static void on_login(struct session *s, const struct skt_rec *r)
{
	struct slice user, password;
	uint32_t outcome, how;
	if (!skt_login(r, &outcome, &how, &user, &password))
		return;
	s->ntried++;
	if (outcome == INTRO_SUCCEEDED && user.n)
		copy_text(s->user, sizeof(s->user), user);
	if (s->nlogins == SESSION_LOGINS)
		return;
	struct session_login *l = realloc(s->logins, (s->nlogins + 1) * sizeof(*l));
	if (!l)
		return;
	s->logins = l;
	l += s->nlogins++;
	*l = (struct session_login){ .time = r->h.time, .outcome = outcome, .how = how };
	copy_text(l->user, sizeof(l->user), user);
	copy_text(l->password, sizeof(l->password), password);
}

static void on_tty(struct session *s, const struct skt_rec *r)
{
	struct slice bytes;
	uint32_t dir;
	uint16_t rows, cols;
	struct session_tty *t = get_tty(s, r->h.tty);
	if (skt_tty(r, &dir, &bytes)) {
		/* A terminal inside the session shows up on the outer one again. */
		if (t)
			*(dir ? &t->out : &t->in) += bytes.n;
		*(dir ? &s->out : &s->in) += bytes.n;
	} else if (t && skt_winsize(r, &rows, &cols) && rows && cols) {
		if (!t->rows) {
			t->rows = rows;
			t->cols = cols;
		}
		t->last_rows = rows;
		t->last_cols = cols;
	}
}

static void on_session(struct session *s, const struct skt_rec *r)
{
	struct intro_session who;
	struct slice user;
	if (!skt_session(r, &who, &user))
		return;
	s->who = who;
	s->known = true;
	s->start = who.start;
	if (user.n)
		copy_text(s->user, sizeof(s->user), user);
}

static void sum_up(struct session *s, const struct skt_rec *r)
{
	struct intro_end end;
	switch (r->h.kind) {
	case INTRO_SESSION:
		on_session(s, r);
		break;
	case INTRO_END:
		/* The first one: what is told later is what its processes did after it. */
		if (skt_end(r, &end) && !s->end) {
			s->over = true;
			s->end = end.end ? end.end : r->h.time;
		}
		break;
	case INTRO_TTY:
	case INTRO_WINSIZE:
		on_tty(s, r);
		break;
	case INTRO_LOGIN:
		on_login(s, r);
		break;
	case INTRO_COMMAND:
		s->commands++;
		break;
	case INTRO_EXEC:
		s->execs += !(r->h.flags & INTRO_F_CONT);
		break;
	case INTRO_FILE:
		s->files++;
		break;
	case INTRO_SOCKET:
		s->sockets++;
		break;
	default:
		break;
	}
}

struct session *session_add(struct session_table *t, const char *honeypot, const struct skt_rec *r)
{
	struct intro_loss loss;
	if (r->h.kind == INTRO_TAMPER)
		t->tampered++;
	/* A new machine, or a new process that looks at it: those sessions are gone. */
	if (r->h.kind == INTRO_SOURCE && r->h.seq <= 1)
		for (unsigned i = 0; i < t->n; i++)
			t->s[i].over |= !strcmp(t->s[i].honeypot, honeypot);
	if (skt_loss(r, &loss)) {
		t->lost += loss.records;
		for (unsigned i = 0; i < t->n; i++)
			if (!t->s[i].over && !strcmp(t->s[i].honeypot, honeypot))
				t->s[i].lost += loss.records;
	}
	if (!r->h.session)
		return NULL;
	struct session *s = get(t, honeypot, r->h.session);
	if (!s)
		return NULL;
	if (!s->first)
		s->first = s->start = r->h.time;
	s->last = r->h.time > s->last ? r->h.time : s->last;
	s->tampered += r->h.kind == INTRO_TAMPER;
	sum_up(s, r);
	return s;
}

/* ---- flows ------------------------------------------------------------------ */

struct join {
	struct session_table *t;
};

static bool same_ends(const struct session *s, const char *a, uint64_t ap, const char *b, uint64_t bp)
{
	char peer[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];
	int af = s->who.family == 4 ? AF_INET : AF_INET6;
	return inet_ntop(af, s->who.peer, peer, sizeof(peer)) && inet_ntop(af, s->who.local, local, sizeof(local)) &&
	       s->who.peer_port == ap && s->who.local_port == bp && !strcmp(peer, a) && !strcmp(local, b);
}

static void on_flow(void *arg, json_t *v)
{
	struct join *j = arg;
	if (strcmp(eve_str(v, "event_type", NULL), "flow") != 0)
		return;
	const char *proto = eve_str(v, "proto", NULL);
	unsigned number = !strcmp(proto, "TCP") ? IPPROTO_TCP : !strcmp(proto, "UDP") ? IPPROTO_UDP : 0;
	uint64_t start = eve_time(eve_str(v, "flow", "start")), end = eve_time(eve_str(v, "flow", "end"));
	uint64_t sp = eve_num(v, "src_port", NULL), dp = eve_num(v, "dest_port", NULL);
	const char *src = eve_str(v, "src_ip", NULL), *dst = eve_str(v, "dest_ip", NULL);
	/* The session begins after the conversation that carries it, and the two are
	 * timed in different places: a second of grace. */
	enum { GRACE = 1000000000 };
	for (unsigned i = 0; number && i < j->t->n; i++) {
		struct session *s = &j->t->s[i];
		if (!s->known || s->who.proto != number || s->who.peer_port != sp || s->start + GRACE < start ||
		    s->start > end + GRACE || !same_ends(s, src, sp, dst, dp))
			continue;
		s->flow_id = eve_num(v, "flow_id", NULL);
		snprintf(s->community_id, sizeof(s->community_id), "%s", eve_str(v, "community_id", NULL));
	}
}

int session_join(struct session_table *t, const struct evidence_dir *dir, struct err *e)
{
	struct join j = { t };
	struct read_eve all = { .fn = on_flow, .arg = &j, .filter = { .verdict = -1 } };
	return t->n ? read_eve_all(dir, &all, e) : 0;
}

/* ---- text ------------------------------------------------------------------- */

const char *session_id_text(char buf[SESSION_ID_TEXT], uint64_t id)
{
	snprintf(buf, SESSION_ID_TEXT, "%012llx", (unsigned long long)(id & 0xffffffffffffull));
	return buf;
}

bool session_id_parse(const char *s, uint64_t *id, uint64_t *mask)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t v = 0, m = 0;
	unsigned n = 0;
	for (; s[n]; n++) {
		const char *digit = strchr(digits, s[n] >= 'A' && s[n] <= 'F' ? s[n] | 32 : s[n]);
		if (!digit || n == 12)
			return false;
		v |= (uint64_t)(digit - digits) << (44 - 4 * n);
		m |= 0xfull << (44 - 4 * n);
	}
	if (n < 4)
		return false;
	*id = v;
	*mask = m;
	return true;
}

const char *session_endpoint(char buf[SESSION_ENDPOINT], unsigned family, const uint8_t *addr, uint16_t port)
{
	char a[INET6_ADDRSTRLEN] = "?";
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, addr, a, sizeof(a));
	snprintf(buf, SESSION_ENDPOINT, family == 6 ? "[%s]:%u" : "%s:%u", a, port);
	return buf;
}

const char *session_peer(char buf[SESSION_ENDPOINT], const struct session *s)
{
	if (s->known && s->who.proto)
		return session_endpoint(buf, s->who.family, s->who.peer, s->who.peer_port);
	snprintf(buf, SESSION_ENDPOINT, "%s", s->known ? "console" : "-");
	return buf;
}

const char *session_local(char buf[SESSION_ENDPOINT], const struct session *s)
{
	if (s->known && s->who.proto)
		return session_endpoint(buf, s->who.family, s->who.local, s->who.local_port);
	snprintf(buf, SESSION_ENDPOINT, "%s", s->known ? "console" : "-");
	return buf;
}

const char *session_tty_name(char buf[24], uint32_t tty)
{
	static const char *const prefix[] = { [HOOK_TTY_NONE] = "tty?",
					      [HOOK_TTY_PTY] = "pts/",
					      [HOOK_TTY_SERIAL] = "ttyS",
					      [HOOK_TTY_CONSOLE] = "tty" };
	unsigned kind = HOOK_TTY_KIND(tty);
	snprintf(buf, 24, "%s%u", kind < 4 ? prefix[kind] : "tty?", HOOK_TTY_INDEX(tty));
	return buf;
}

static const char *name_of(const char *const *names, size_t n, unsigned i)
{
	return i < n ? names[i] : "?";
}
#define NAME_OF(names, i) name_of(names, sizeof(names) / sizeof(names[0]), i)

const char *session_service(unsigned service)
{
	static const char *const names[] = { "other", "ssh", "telnet", "console" };
	return NAME_OF(names, service);
}

const char *session_outcome(uint32_t outcome)
{
	static const char *const names[] = { "failed", "succeeded", "unknown" };
	return NAME_OF(names, outcome);
}

const char *session_auth(uint32_t how)
{
	static const char *const names[] = { "password", "key", "terminal" };
	return NAME_OF(names, how);
}

const char *session_file_op(uint32_t op)
{
	static const char *const names[] = { "write", "create", "rename", "unlink", "rmdir", "chmod" };
	return NAME_OF(names, op);
}

const char *session_socket_op(unsigned op)
{
	static const char *const names[] = { "connect", "accept", "listen" };
	return NAME_OF(names, op);
}

uint64_t session_until(const struct session *s)
{
	uint64_t until = s->end ? s->end : s->last;
	return until > s->start ? until : s->start;
}

const struct session_tty *session_main_tty(const struct session *s)
{
	for (unsigned i = 0; i < s->nttys; i++)
		if (s->ttys[i].out || s->ttys[i].in)
			return &s->ttys[i];
	return NULL;
}
