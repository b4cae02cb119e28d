/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/* Terminals. Part of probe.bpf.c. */

#define TTY_PART 4096u

/*
 * A program writes to a terminal in blocks, but the line discipline gives each
 * line of a block to pty_write in two pieces: probes there would cost more than
 * the rest of the write. What was written comes out on the other side in blocks
 * again: there (LINE_READ) it is recorded, and here only who wrote last.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* tty */
	__type(value, struct hook_rec);
} writers SEC(".maps");

/* writer: the side of a pty that wrote it, if that is not this task's doing. */
INLINE void tty_bytes(u64 task, u64 tty, u32 dir, u64 from, u32 left, u64 writer, u32 site)
{
	u32 id = guest_tty(tty);
	if (!id || left > 1u << 20)
		return;
	for (int i = 0; i < 16 && left; i++) {
		struct rec *r = begin(task, HOOK_TTY);
		if (!r)
			return;
		struct hook_rec *by = writer ? bpf_map_lookup_elem(&writers, &writer) : NULL;
		if (by)
			r->h = *by;
		u32 n = left > TTY_PART ? TTY_PART : left;
		put32(r, 0, id);
		put32(r, 4, dir);
		r->h.ret = n;
		put_bytes(r, 8, from, n);
		left -= n;
		from += n;
		if (i == 15 && left)
			r->h.flags |= HOOK_F_CUT;
		end(r, 8 + n, site);
	}
}

/* (tty, bytes, count); returns how many it took */
SEC("uprobe") int e_PTY_WRITE(struct regs *ctx)
{
	remember3(guest_current(ctx), HOOK_SITE_PTY_WRITE, ctx->di, ctx->si, 0);
	return 0;
}
SEC("uprobe") int r_PTY_WRITE(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending_key k = { task, HOOK_SITE_PTY_WRITE };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	s32 n = ctx->ax;
	/* Its place may be in a function that others call, too. */
	if (!p || !p->a)
		return 0;
	if (n > 0)
		tty_bytes(task, p->a, !guest_is_master(p->a), p->b, n, 0, HOOK_SITE_PTY_WRITE);
	p->a = 0;
	return 0;
}
SEC("uprobe") int e_LINE_WRITE(struct regs *ctx)
{
	remember3(guest_current(ctx), HOOK_SITE_LINE_WRITE, ctx->di, ctx->si, 0);
	return 0;
}
SEC("uprobe") int r_LINE_WRITE(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending *p = recall(task, HOOK_SITE_LINE_WRITE);
	s32 n = ctx->ax;
	if (p && n > 0)
		tty_bytes(task, p->a, 1, p->b, n, 0, HOOK_SITE_LINE_WRITE);
	if (p)
		forget(task, HOOK_SITE_LINE_WRITE);
	return 0;
}
/* n_tty_write (tty, ...) */
SEC("uprobe") int w_PTY_WRITE(struct regs *ctx)
{
	u64 tty = ctx->di;
	struct rec *r = begin(guest_current(ctx), HOOK_TTY);
	if (!r || HOOK_TTY_KIND(guest_tty(tty)) != HOOK_TTY_PTY)
		return 0;
	bpf_map_update_elem(&writers, &tty, &r->h, BPF_ANY);
	return 0;
}

/* (tty, bytes, flags, count): input of serial lines; of a pty what the other side wrote */
SEC("uprobe") int e_LINE_READ(struct regs *ctx)
{
	u32 kind = HOOK_TTY_KIND(guest_tty(ctx->di));
	if (kind == HOOK_TTY_NONE || (kind == HOOK_TTY_PTY && !plan.tty_write))
		return 0;
	struct pending p;
	__builtin_memset(&p, 0, sizeof(p));
	p.a = ctx->di;
	p.b = ctx->si;
	p.c = kind;
	p.n = ctx->cx;
	remember(guest_current(ctx), HOOK_SITE_LINE_READ, &p);
	return 0;
}
SEC("uprobe") int r_LINE_READ(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending_key k = { task, HOOK_SITE_LINE_READ };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	s32 n = ctx->ax;
#ifdef MUTANT_PROBE_TTY_ASKED
	n = p ? p->n : 0;
#endif
	if (!p)
		return 0;
	u64 other = p->c == HOOK_TTY_PTY ? MEMBER64(p->a, TTY_LINK) : 0;
	if (n > 0 && p->c == HOOK_TTY_PTY)
		tty_bytes(task, p->a, guest_is_master(p->a), p->b, n, other, HOOK_SITE_PTY_WRITE);
	else if (n > 0)
		tty_bytes(task, p->a, 0, p->b, n, 0, HOOK_SITE_LINE_READ);
	forget(task, HOOK_SITE_LINE_READ);
	return 0;
}
/* (tty, struct winsize: u16 rows, u16 columns) */
SEC("uprobe") int e_PTY_RESIZE(struct regs *ctx)
{
	struct rec *r = begin(guest_current(ctx), HOOK_WINSIZE);
	u32 id = guest_tty(ctx->di);
	if (!r || !id)
		return 0;
	put32(r, 0, id);
	put32(r, 4, get32(ctx->si));
	end(r, sizeof(struct hook_winsize), HOOK_SITE_PTY_RESIZE);
	return 0;
}
