/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/* Processes. Part of probe.bpf.c. */

/* (p) */
SEC("uprobe") int e_FORK(struct regs *ctx)
{
	struct rec *r = begin(guest_current(ctx), HOOK_FORK);
	if (!r)
		return 0;
	put32(r, 0, MEMBER32(ctx->di, TASK_TGID));
	put32(r, 4, MEMBER32(ctx->di, TASK_PID));
	end(r, 8, HOOK_SITE_FORK);
	return 0;
}
/* (code) */
SEC("uprobe") int e_EXIT(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct rec *r = begin(task, HOOK_EXIT);
	if (!r)
		return 0;
	put32(r, 0, ctx->di);
	put32(r, 4, MEMBER32(MEMBER64(task, TASK_SIGNAL), SIGNAL_LIVE) == 1);
	end(r, 8, HOOK_SITE_EXIT);
	return 0;
}
/* (new credentials) */
SEC("uprobe") int e_CRED(struct regs *ctx)
{
	struct rec *r = begin(guest_current(ctx), HOOK_CRED);
	u32 uid = MEMBER32(ctx->di, CRED_UID), euid = MEMBER32(ctx->di, CRED_EUID);
	if (!r || (r->h.uid == uid && r->h.euid == euid))
		return 0;
	put32(r, 0, r->h.uid);
	put32(r, 4, uid);
	put32(r, 8, r->h.euid);
	put32(r, 12, euid);
	r->h.uid = uid;
	r->h.euid = euid;
	end(r, 16, HOOK_SITE_CRED);
	return 0;
}

/* The arguments of a new program: they stand, one after the other, in the top
 * pages of its new memory. Counted first, then sent. */
#define ARG_PAGES 66

struct args {
	u64 task, pgd, p;
	u32 argc, left;   /* arguments; those not yet seen */
	u32 total, sent;  /* bytes */
	u32 fault, at, n; /* at: of the page that is looked at, which has n bytes */
};

INLINE u32 zero_bytes(u64 w)
{
	u64 t = ~(((w & 0x7f7f7f7f7f7f7f7full) + 0x7f7f7f7f7f7f7f7full) | w | 0x7f7f7f7f7f7f7f7full);
	return ((t >> 7) * 0x0101010101010101ull) >> 56;
}

/* One word of the path buffer, which holds a page of arguments here. */
static long args_word(u32 i, void *arg)
{
	struct args *a = arg;
	struct path_buf *b = path_buf();
	if (!b || a->at >= a->n)
		return 1;
	u64 v = *(u64 *)(b->b + BOUNDED(i * 8, 4095));
	u32 z = zero_bytes(v);
	if (z < a->left) {
		a->left -= z;
		a->at += 8;
		return 0;
	}
	/* The last argument ends in this word. */
	for (u32 k = 0; k < 8 && a->left; k++) {
		if (!(v & 0xff))
			a->left--;
		v >>= 8;
		a->at++;
	}
	return 1;
}

static long args_count(u32 i, void *arg)
{
	struct args *a = arg;
	struct path_buf *b = path_buf();
	u64 va = a->p + a->total;
	u32 n = 4096 - (va & 4095);
	u64 from = guest_user(a->pgd, va);
	(void)i;
	if (!b || !a->left)
		return 1;
	BOUND(n, 8191);
	if (n > 4096)
		n = 4096;
	if (!from || bpf_probe_read_user(b->b, n, (void *)from)) {
		a->fault = 1;
		return 1;
	}
	/* What is behind it in its last word is no zero byte. */
	u64 ones = ~0ull;
	bpf_probe_read_kernel(b->b + n, 8, &ones);
	a->n = n;
	a->at = 0;
	bpf_loop(512, args_word, a, 0);
	a->total += a->at > n ? n : a->at;
	return a->left == 0;
}

static long args_send(u32 i, void *arg)
{
	struct args *a = arg;
	u64 va = a->p + a->sent;
	u32 n = 4096 - (va & 4095), left = a->total - a->sent;
	(void)i;
	if (a->sent >= a->total)
		return 1;
	struct rec *r = begin(a->task, HOOK_EXEC_MORE);
	u64 from = guest_user(a->pgd, va);
	if (!r)
		return 1;
	if (n > left)
		n = left;
	put32(r, 0, a->sent);
	put32(r, 4, 0);
	put_bytes(r, 8, from, n);
	a->sent += n;
	if (a->sent < a->total)
		r->h.flags |= HOOK_F_MORE;
	end(r, 8 + n, HOOK_SITE_EXEC);
	return a->sent >= a->total;
}

/* (bprm, fd, filename, flags) */
SEC("uprobe") int e_EXEC(struct regs *ctx)
{
	u64 task = guest_current(ctx), bprm = ctx->di;
	struct args a = { .task = task,
			  .pgd = MEMBER64(MEMBER64(bprm, BPRM_MM), MM_PGD),
			  .p = MEMBER64(bprm, BPRM_P),
			  .argc = MEMBER32(bprm, BPRM_ARGC) };
	a.left = a.argc;
	if (a.pgd && a.p)
		bpf_loop(ARG_PAGES, args_count, &a, 0);
	struct rec *r = begin(task, HOOK_EXEC_TRY);
	if (!r)
		return 0;
	if (a.fault || !a.pgd)
		r->h.flags |= HOOK_F_FAULT;
	if (a.left)
		r->h.flags |= HOOK_F_CUT;
	put32(r, 0, a.argc);
	put32(r, 4, a.total);
	u32 at = 8;
	at += put_text(r, at, MEMBER64(bprm, BPRM_FILENAME));
	at += put_struct_path(r, at, MEMBER64(task, TASK_FS) + (HAVE(FS_PWD) ? OFF(FS_PWD) : 0));
	u32 room = 4096 - (a.p & 4095), n = a.total < room ? a.total : room;
	if (n > 2048)
		n = 2048;
	put_bytes(r, at, guest_user(a.pgd, a.p), n);
	a.sent = n;
	if (a.sent < a.total)
		r->h.flags |= HOOK_F_MORE;
	end(r, at + n, HOOK_SITE_EXEC);
	if (a.sent < a.total)
		bpf_loop(ARG_PAGES + 2, args_send, &a, 0);
	return 0;
}
SEC("uprobe") int r_EXEC(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct rec *r = begin(task, HOOK_EXEC_DONE);
	u32 n = 0;
	if (!r)
		return 0;
	r->h.ret = ctx->ax;
	if (!r->h.ret) {
		u64 file = MEMBER64(MEMBER64(task, TASK_MM), MM_EXE_FILE);
		if (file && HAVE(FILE_PATH))
			n = put_struct_path(r, 0, file + OFF(FILE_PATH));
	}
	end(r, n, HOOK_SITE_EXEC);
	return 0;
}
