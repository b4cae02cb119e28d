/* SPDX-License-Identifier: ISC */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(c)                                                                                                        \
	do {                                                                                                           \
		if (!(c)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* Bytes before the texts, and how many texts there are, of each kind. */
static const struct {
	size_t fixed;
	unsigned texts;
	bool bytes; /* any bytes behind the fixed part */
} form[INTRO_KIND_COUNT] = {
	[INTRO_SOURCE] = { sizeof(struct intro_source), 1, false },
	[INTRO_LOSS] = { sizeof(struct intro_loss), 0, false },
	[INTRO_TAMPER] = { 0, 1, false },
	[INTRO_SESSION] = { sizeof(struct intro_session), 1, false },
	[INTRO_END] = { sizeof(struct intro_end), 0, false },
	[INTRO_TTY] = { 4, 0, true },
	[INTRO_WINSIZE] = { 4, 0, false },
	[INTRO_LOGIN] = { 8, 2, false },
	[INTRO_COMMAND] = { 0, 1, false },
	[INTRO_EXEC] = { 8, 0, true },
	[INTRO_FORK] = { 4, 0, false },
	[INTRO_EXIT] = { 4, 0, false },
	[INTRO_FILE] = { 8, 2, false },
	[INTRO_SOCKET] = { sizeof(struct hook_socket), 0, false },
	[INTRO_MODULE] = { 0, 1, false },
	[INTRO_CRED] = { 16, 0, false },
};

static void check(struct guest *g, const struct intro_rec *r, size_t n)
{
	MUST(r->len >= sizeof(*r) && r->len <= INTRO_REC_MAX);
	MUST(n == ((r->len + 7u) & ~7u));
	for (size_t i = r->len; i < n; i++)
		MUST(((const uint8_t *)r)[i] == 0);
	MUST(r->kind > INTRO_NONE && r->kind < INTRO_KIND_COUNT);
	MUST(r->seq == ++g->seen);
	MUST(g->seen > 1 || r->kind == INTRO_SOURCE);
	MUST(r->session >> 48 == 0);
	MUST(r->comm[15] == 0);
	const uint8_t *p = (const uint8_t *)(r + 1);
	size_t left = r->len - sizeof(*r);
	if (r->kind == INTRO_EXEC && r->flags & INTRO_F_CONT)
		return;
	MUST(left >= form[r->kind].fixed);
	p += form[r->kind].fixed;
	left -= form[r->kind].fixed;
	for (unsigned i = 0; i < form[r->kind].texts; i++) {
		if (!left && r->flags & INTRO_F_CUT)
			return; /* only what is cut may miss its last texts */
		const uint8_t *end = left ? memchr(p, 0, left) : NULL;
		MUST(end);
		left -= (size_t)(end - p) + 1;
		p = end + 1;
	}
	MUST(form[r->kind].bytes || left == 0);
}

static void record(void *arg, const struct intro_rec *r, size_t n)
{
	struct guest *g = arg;
	check(g, r, n);
	if (r->kind == INTRO_LOSS) {
		struct intro_loss l;
		memcpy(&l, r + 1, sizeof(l));
		g->lost += l.records;
	}
	if (!g->keep)
		return;
	if (g->nrec == g->room) {
		g->room = g->room ? g->room * 2 : 256;
		g->rec = realloc(g->rec, g->room * sizeof(*g->rec));
		MUST(g->rec);
	}
	struct kept *k = &g->rec[g->nrec++];
	k->head = *r;
	k->n = r->len - sizeof(*r);
	k->p = malloc(k->n + 1);
	MUST(k->p);
	memcpy(k->p, r + 1, k->n);
	k->p[k->n] = 0;
}

void guest_new(struct guest *g)
{
	*g = (struct guest){ .keep = true, .time = 1000000000000ull };
	g->track = track_new(INTRO_WAY_HOOKS, 7, record, g);
	MUST(g->track);
}

void guest_forget(struct guest *g)
{
	for (size_t i = 0; i < g->nrec; i++)
		free(g->rec[i].p);
	g->nrec = 0;
}

void guest_free(struct guest *g)
{
	guest_forget(g);
	free(g->rec);
	track_free(g->track);
}

struct fact guest_fact(struct guest *g, unsigned type, const struct actor *a)
{
	struct fact f = { .type = (uint16_t)type, .time = g->time += 1000, .gtime = g->time + 5 };
	if (!a)
		return f;
	f.tgid = a->pid;
	f.tid = a->tid ? a->tid : a->pid;
	f.ppid = a->ppid;
	f.uid = f.euid = a->uid;
	f.tty = a->tty;
	f.task = a->task ? a->task : 0xffff000000000000u + a->pid * 64u;
	snprintf(f.comm, sizeof(f.comm), "%.15s", a->comm ? a->comm : "");
	return f;
}

void guest_say(struct guest *g, const struct fact *f)
{
	track_fact(g->track, f);
}

void guest_hello(struct guest *g)
{
	struct fact f = guest_fact(g, HOOK_HELLO, NULL);
	f.hello.placed = 0xff;
	f.hello.absent = 0x100;
	guest_say(g, &f);
}

void guest_fork(struct guest *g, const struct actor *a, uint32_t child)
{
	struct fact f = guest_fact(g, HOOK_FORK, a);
	f.fork.tgid = f.fork.tid = child;
	guest_say(g, &f);
}

void guest_exit(struct guest *g, const struct actor *a)
{
	struct fact f = guest_fact(g, HOOK_EXIT, a);
	f.exit.whole = 1;
	guest_say(g, &f);
}

void guest_accept(struct guest *g, const struct actor *a, uint16_t port, uint16_t from)
{
	struct fact f = guest_fact(g, HOOK_SOCKET, a);
	f.sock = (struct hook_socket){ .op = HOOK_ACCEPT,
				       .proto = 6,
				       .family = 4,
				       .local_port = port,
				       .peer_port = from,
				       .local = { 192, 0, 2, 10 },
				       .peer = { 198, 51, 100, 7 } };
	guest_say(g, &f);
}

static struct fact_text text_of(const char *s)
{
	return (struct fact_text){ s, (uint32_t)strlen(s) };
}

void guest_exec(struct guest *g, const struct actor *a, const char *path, const char *const *args)
{
	static uint8_t block[1 << 20];
	size_t n = 0, at = 0;
	uint32_t argc = 0;
	for (; args && args[argc]; argc++) {
		size_t k = strlen(args[argc]) + 1;
		MUST(n + k <= sizeof(block));
		memcpy(block + n, args[argc], k);
		n += k;
	}
	struct fact f = guest_fact(g, HOOK_EXEC_TRY, a);
	f.exec.argc = argc;
	f.exec.total = (uint32_t)n;
	f.exec.path = text_of(path);
	f.exec.cwd = text_of("/root");
	do {
		size_t k = n - at < 4000 ? n - at : 4000;
		f.exec.offset = (uint32_t)at;
		f.exec.args = slice_of(block + at, k);
		at += k;
		f.flags = at < n ? HOOK_F_MORE : 0;
		guest_say(g, &f);
		f.type = HOOK_EXEC_MORE;
	} while (at < n);
	struct actor now = *a;
	const char *base = strrchr(path, '/');
	now.comm = base ? base + 1 : path;
	f = guest_fact(g, HOOK_EXEC_DONE, &now);
	f.exec.path = text_of(path);
	guest_say(g, &f);
}

void guest_tty(struct guest *g, const struct actor *a, uint32_t tty, uint32_t dir, const void *p, size_t n)
{
	struct fact f = guest_fact(g, HOOK_TTY, a);
	f.term = (struct fact_tty){ tty, dir, slice_of(p, n) };
	guest_say(g, &f);
}

void guest_keys(struct guest *g, const struct actor *a, uint32_t tty, const char *s)
{
	guest_tty(g, a, tty, 0, s, strlen(s));
}

void guest_shows(struct guest *g, const struct actor *a, uint32_t tty, const char *s)
{
	guest_tty(g, a, tty, 1, s, strlen(s));
}

void guest_auth(struct guest *g, const struct actor *a, const void *p, size_t n)
{
	struct fact f = guest_fact(g, HOOK_AUTH, a);
	f.auth = slice_of(p, n);
	guest_say(g, &f);
}

void guest_monitor(struct guest *g, const struct actor *a, uint8_t type, const void *payload, size_t n)
{
	uint32_t len = (uint32_t)n + 1;
	uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	guest_auth(g, a, head, 4);
	guest_auth(g, a, &type, 1);
	if (n)
		guest_auth(g, a, payload, n);
}

void guest_monitor_text(struct guest *g, const struct actor *a, uint8_t type, const char *s)
{
	uint8_t b[4096] = { 0 };
	size_t n = strlen(s);
	b[2] = (uint8_t)(n >> 8);
	b[3] = (uint8_t)n;
	memcpy(b + 4, s, n);
	guest_monitor(g, a, type, b, n + 4);
}

void guest_monitor_u32(struct guest *g, const struct actor *a, uint8_t type, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	guest_monitor(g, a, type, b, 4);
}

/* ---- what came out ------------------------------------------------------------- */

const struct kept *guest_record(const struct guest *g, enum intro_kind kind, unsigned i)
{
	for (size_t k = 0; k < g->nrec; k++)
		if (g->rec[k].head.kind == kind && i-- == 0)
			return &g->rec[k];
	return NULL;
}

unsigned guest_count(const struct guest *g, enum intro_kind kind)
{
	unsigned n = 0;
	for (size_t k = 0; k < g->nrec; k++)
		n += g->rec[k].head.kind == kind;
	return n;
}

const char *kept_text(const struct kept *k, size_t skip, unsigned n)
{
	if (!k || skip > k->n)
		return "(no record)";
	const char *s = (const char *)k->p + skip, *end = (const char *)k->p + k->n;
	while (n-- && s < end)
		s += strlen(s) + 1;
	return s < end ? s : "(no text)";
}

uint32_t kept_u32(const struct kept *k, size_t at)
{
	uint32_t v = 0xdeadbeef;
	if (k && at + 4 <= k->n)
		memcpy(&v, k->p + at, 4);
	return v;
}

char *guest_bytes(const struct guest *g, uint32_t tty, uint32_t dir, uint64_t session, size_t *n)
{
	size_t room = 1;
	for (size_t i = 0; i < g->nrec; i++)
		room += g->rec[i].n;
	char *out = malloc(room);
	MUST(out);
	*n = 0;
	for (size_t i = 0; i < g->nrec; i++) {
		const struct kept *k = &g->rec[i];
		if (k->head.kind != INTRO_TTY || k->head.tty != tty || kept_u32(k, 0) != dir ||
		    (session && k->head.session != session))
			continue;
		memcpy(out + *n, k->p + 4, k->n - 4);
		*n += k->n - 4;
	}
	out[*n] = 0;
	return out;
}
