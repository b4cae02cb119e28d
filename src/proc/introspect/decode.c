/* SPDX-License-Identifier: ISC */
#include "proc/introspect/decode.h"

#include <netinet/in.h>

#define FLAGS (HOOK_F_CUT | HOOK_F_MORE | HOOK_F_FAULT)

static bool u32(struct slice *s, uint32_t *out)
{
	return slice_get(s, out, sizeof(*out));
}

static bool u64(struct slice *s, uint64_t *out)
{
	return slice_get(s, out, sizeof(*out));
}

/* A text with its final zero. */
static bool text(struct slice *s, struct fact_text *out)
{
	const uint8_t *end = s->n ? memchr(s->p, 0, s->n) : NULL;
	struct slice t;
	if (!end || !slice_take(s, (size_t)(end - s->p) + 1, &t))
		return false;
	*out = (struct fact_text){ (const char *)t.p, (uint32_t)t.n - 1 };
	return true;
}

static bool tty_id(uint32_t id, bool none)
{
	if (HOOK_TTY_KIND(id) == HOOK_TTY_NONE)
		return none && id == 0;
	return HOOK_TTY_KIND(id) <= HOOK_TTY_CONSOLE;
}

static bool hello(struct slice *s, struct fact *f)
{
	const uint64_t sites = ~UINT64_C(0) >> (64 - HOOK_SITE_COUNT);
	uint32_t zero;
	return u32(s, &f->hello.version) && u32(s, &zero) && u64(s, &f->hello.placed) && u64(s, &f->hello.absent) &&
	       !((f->hello.placed | f->hello.absent) & ~sites);
}

static bool terminal(struct slice *s, struct fact *f)
{
	struct hook_tty t;
	if (!slice_get(s, &t, sizeof(t)) || !tty_id(t.tty, false) || t.dir > 1)
		return false;
	f->term = (struct fact_tty){ t.tty, t.dir, *s };
	*s = slice_of(NULL, 0);
	return true;
}

static bool exec_try(struct slice *s, struct fact *f)
{
	if (!u32(s, &f->exec.argc) || !u32(s, &f->exec.total) || !text(s, &f->exec.path) || !text(s, &f->exec.cwd))
		return false;
	f->exec.args = *s;
#ifdef MUTANT_DECODE_TRUST_LEN
	f->exec.args.n = f->exec.total;
#endif
	*s = slice_of(NULL, 0);
	return f->exec.args.n <= f->exec.total;
}

static bool exec_more(struct slice *s, struct fact *f)
{
	uint32_t zero;
	if (!u32(s, &f->exec.offset) || !u32(s, &zero) || s->n > UINT32_MAX - f->exec.offset)
		return false;
	f->exec.args = *s;
	*s = slice_of(NULL, 0);
	return true;
}

static bool exec_done(struct slice *s, struct fact *f)
{
	f->exec.path = (struct fact_text){ "", 0 };
	return s->n == 0 || text(s, &f->exec.path);
}

static bool socket_fact(struct slice *s, struct fact *f)
{
	struct hook_socket *k = &f->sock;
	if (!slice_get(s, k, sizeof(*k)) || k->op >= HOOK_SOCKET_OP_COUNT ||
	    (k->proto != IPPROTO_TCP && k->proto != IPPROTO_UDP) || (k->family != 4 && k->family != 6))
		return false;
	k->zero = 0;
	if (k->family == 4) {
		memset(k->local + 4, 0, sizeof(k->local) - 4);
		memset(k->peer + 4, 0, sizeof(k->peer) - 4);
	}
	return true;
}

static bool body(struct slice *s, struct fact *f)
{
	switch (f->type) {
	case HOOK_HELLO:
		return hello(s, f);
	case HOOK_TTY:
		return terminal(s, f);
	case HOOK_WINSIZE:
		return slice_get(s, &f->winsize, sizeof(f->winsize)) && tty_id(f->winsize.tty, false);
	case HOOK_EXEC_TRY:
		return exec_try(s, f);
	case HOOK_EXEC_MORE:
		return exec_more(s, f);
	case HOOK_EXEC_DONE:
		return exec_done(s, f);
	case HOOK_FORK:
		return u32(s, &f->fork.tgid) && u32(s, &f->fork.tid);
	case HOOK_EXIT:
		return u32(s, &f->exit.code) && u32(s, &f->exit.whole) && f->exit.whole <= 1;
	case HOOK_OPEN:
	case HOOK_UNLINK:
	case HOOK_CHMOD:
		return u32(s, &f->file.num) && u32(s, &f->file.mode) && text(s, &f->file.path);
	case HOOK_RENAME:
		return text(s, &f->file.path) && text(s, &f->file.to);
	case HOOK_SOCKET:
		return socket_fact(s, f);
	case HOOK_MODULE:
		return text(s, &f->module);
	case HOOK_CRED:
		return u32(s, &f->cred.old_uid) && u32(s, &f->cred.new_uid) && u32(s, &f->cred.old_euid) &&
		       u32(s, &f->cred.new_euid);
	case HOOK_AUTH:
		f->auth = *s;
		*s = slice_of(NULL, 0);
		return true;
	default:
		return false;
	}
}

bool decode_record(const void *rec, size_t n, uint64_t seq, uint64_t time, struct fact_buf *buf, struct fact *out)
{
	struct hook_rec r;
	struct fact f = { .seq = seq, .time = time };
	if (n < sizeof(r) || n > sizeof(r) + HOOK_DATA_MAX)
		return false;
	memcpy(buf->b, rec, n);
	struct slice s = slice_of(buf->b, n);
	if (!slice_get(&s, &r, sizeof(r)) || r.type >= HOOK_TYPE_COUNT || r.flags & ~FLAGS || !tty_id(r.tty, true))
		return false;
	f.type = r.type;
	f.flags = r.flags;
	f.tgid = r.tgid;
	f.tid = r.tid;
	f.ppid = r.ppid;
	f.uid = r.uid;
	f.euid = r.euid;
	f.tty = r.tty;
	f.ret = r.ret;
	f.gtime = r.gtime;
	f.task = r.task;
	memcpy(f.comm, r.comm, sizeof(r.comm));
	/* What is left over is a sign that we misread the rest. */
	if (!body(&s, &f) || s.n)
		return false;
	*out = f;
	return true;
}
