/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/*
 * Uprobes on a User Mode Linux kernel: what lib/probe attaches to the host
 * process of one honeypot, so that the guest's own kernel tells what its intruder does.
 *
 * Theory of operation. For each site of the plan there is a program at the
 * function's entry ("e_NAME"), one where it returns ("r_NAME"), or both. Those at the entry put what they
 * will need into a map (by the guest's task, since many tasks may sleep in the
 * same function); those at the return make the record. Returns are plain
 * probes at the plan's `ret` places, never uretprobes: the host keeps those on one
 * stack for a host thread, but this thread switches between the stacks of all guest tasks.
 *
 * All of a guest kernel runs on one host thread, so that the scratch maps have one user.
 * Records go through one scratch buffer into the ring without waking anybody: the reader polls.
 * `time` is CLOCK_MONOTONIC here; the reader makes it realtime (there is no helper for that).
 * gtime stays 0: a BPF program cannot call the guest's clock.
 */
#include "bpf/guest.bpf.h"

char probe_license[] SEC("license") = "Dual BSD/GPL";

const volatile struct hook_plan plan = { 0 };

/* proto/ring.h, struct ring_entry: that header needs a C library. */
struct entry {
	u32 len;
	u16 kind, port;
	u64 seq, time;
};
struct rec {
	struct entry e;
	struct hook_rec h;
	u8 data[HOOK_DATA_MAX * 2]; /* more than is ever sent: room for what the verifier cannot rule out */
};

/* What an entry leaves for its return. */
struct pending {
	u64 a, b, c;
	u32 n, m;
	u8 name[256];
};
struct pending_key {
	u64 task;
	u64 site;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PROBE_RING);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROBE_STATE_COUNT);
	__type(key, u32);
	__type(value, u64);
} state SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct rec);
} scratch SEC(".maps");
/* The oldest goes when it is full; its return then finds nothing, and counts it as lost. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct pending_key);
	__type(value, struct pending);
} pendings SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* task */
	__type(value, u64);
} mounts SEC(".maps");

static u64 seq;

#ifdef MUTANT_PROBE_LOSS_SILENT
#define LOST 0
#else
#define LOST 1
#endif

INLINE void lost(u32 site)
{
	u64 *v = bpf_map_lookup_elem(&state, &site);
	if (v)
		__sync_fetch_and_add(v, LOST);
}

/* ---- records ------------------------------------------------------------------ */

INLINE struct rec *scratch_rec(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&scratch, &zero);
}

/* Not static, here and below: such a function is verified once, not at each call. */
__attribute__((noinline)) int record_begin(u64 task, u32 type)
{
	struct rec *r = scratch_rec();
	if (!r || !task)
		return 0;
	u64 cred = MEMBER64(task, TASK_CRED);
	r->h.type = type;
	r->h.flags = 0;
	r->h.tgid = MEMBER32(task, TASK_TGID);
	r->h.tid = MEMBER32(task, TASK_PID);
	r->h.ppid = MEMBER32(MEMBER64(task, TASK_REAL_PARENT), TASK_TGID);
	r->h.uid = MEMBER32(cred, CRED_UID);
	r->h.euid = MEMBER32(cred, CRED_EUID);
	r->h.tty = guest_tty(MEMBER64(MEMBER64(task, TASK_SIGNAL), SIGNAL_TTY));
	r->h.ret = 0;
	r->h.gtime = 0;
	r->h.task = task;
	if (!HAVE(TASK_COMM) || bpf_probe_read_user(r->h.comm, sizeof(r->h.comm), (void *)(task + OFF(TASK_COMM))))
		__builtin_memset(r->h.comm, 0, sizeof(r->h.comm));
	return 1;
}

__attribute__((noinline)) int record_end(u32 n, u32 site)
{
	struct rec *r = scratch_rec();
	if (!r)
		return 0;
	if (n > HOOK_DATA_MAX) {
		n = HOOK_DATA_MAX;
		r->h.flags |= HOOK_F_CUT;
	}
	r->e.len = sizeof(r->e) + sizeof(r->h) + n;
	r->e.kind = RING_HOOK;
	r->e.port = 0;
	r->e.seq = seq + 1;
	r->e.time = bpf_ktime_get_ns();
	BOUND(n, 2 * HOOK_DATA_MAX - 1);
	if (bpf_ringbuf_output(&ring, r, sizeof(r->e) + sizeof(r->h) + n, BPF_RB_NO_WAKEUP) < 0)
		lost(site);
	else
		seq++;
	return 0;
}

INLINE struct rec *begin(u64 task, u16 type)
{
	return record_begin(task, type) ? scratch_rec() : NULL;
}
/* n: bytes of data. */
INLINE void end(struct rec *r, u32 n, u32 site)
{
	(void)r;
	record_end(n, site);
}

INLINE void put32(struct rec *r, u32 at, u32 v)
{
	*(u32 *)(r->data + at) = v;
}

/* n bytes of the guest's kernel memory to `at`; both bounded here, for the verifier. */
INLINE void put_bytes(struct rec *r, u32 at, u64 from, u32 n)
{
	BOUND(at, HOOK_DATA_MAX - 1);
	if (n > 4096)
		n = 4096;
	BOUND(n, 8191);
	if (n && bpf_probe_read_user(r->data + at, n, (void *)from))
		r->h.flags |= HOOK_F_FAULT;
}

/* A text of at most 2047 bytes; returns its length with the zero byte. */
INLINE u32 put_text(struct rec *r, u32 at, u64 from)
{
	BOUND(at, HOOK_DATA_MAX - 1);
	long n = bpf_probe_read_user_str(r->data + at, 2048, (void *)from);
	if (n <= 0 || n > 2048) {
		r->data[at] = 0;
		r->h.flags |= HOOK_F_FAULT;
		return 1;
	}
	if (n == 2048)
		r->h.flags |= HOOK_F_CUT;
	return n;
}

INLINE void remember(u64 task, u32 site, const struct pending *p)
{
	struct pending_key k = { task, site };
	bpf_map_update_elem(&pendings, &k, p, BPF_ANY);
}
INLINE struct pending *recall(u64 task, u32 site)
{
	struct pending_key k = { task, site };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	if (!p)
		lost(site);
	return p;
}
INLINE void forget(u64 task, u32 site)
{
	struct pending_key k = { task, site };
	bpf_map_delete_elem(&pendings, &k);
}
/* Three values are enough for most. */
INLINE void remember3(u64 task, u32 site, u64 a, u64 b, u64 c)
{
	struct pending p;
	__builtin_memset(&p, 0, sizeof(p));
	p.a = a;
	p.b = b;
	p.c = c;
	remember(task, site, &p);
}

/* ---- paths ---------------------------------------------------------------------- */

struct walk {
	u64 dentry, mnt;
	u32 pos, zero;
};

/* One step towards the root: a component, or from a mount to where it is mounted. */
static long path_step(u32 i, void *arg)
{
	struct walk *w = arg;
	struct path_buf *p = path_buf();
	u64 parent = MEMBER64(w->dentry, DENTRY_PARENT);
	(void)i;
	if (!p || !parent)
		return 1;
	if (w->dentry == parent || (w->mnt && HAVE(MNT_ROOT) && w->dentry == MEMBER64(w->mnt, MNT_ROOT))) {
		/* struct mount holds the struct vfsmount (fs/mount.h). */
		if (!w->mnt || !HAVE(MOUNT_PARENT) || !HAVE(MOUNT_MOUNTPOINT) || !HAVE(MOUNT_MNT))
			return 1;
		u64 real = OFF(MOUNT_MNT), m = w->mnt - real, up = MEMBER64(m, MOUNT_PARENT);
		if (!up || up == m)
			return 1;
		w->dentry = MEMBER64(m, MOUNT_MOUNTPOINT);
		w->mnt = up + real;
		return 0;
	}
	/* struct qstr: u32 hash, u32 len, const unsigned char *name */
	u64 name = w->dentry + OFF(DENTRY_NAME);
	u32 len = get32(name + 4), pos = w->pos;
	if (!len || len > 255 || len + 1 > pos)
		return 1;
	pos -= len;
	bpf_probe_read_user(p->b + BOUNDED(pos, PATH_MASK), BOUNDED(len, 255), (void *)get64(name + 8));
	pos--;
	p->b[BOUNDED(pos, PATH_MASK)] = '/';
	w->pos = pos;
	w->dentry = parent;
	return 0;
}

/*
 * Builds the path of a dentry at the end of the path buffer, from its last
 * component back to the root of all mounts (mnt, a struct vfsmount; 0: only to
 * that of its file system). Returns where it begins; it ends with a zero byte at
 * HOOK_PATH_MAX - 1.
 */
__attribute__((noinline)) int path_build(u64 dentry, u64 mnt)
{
	struct walk w = { .dentry = dentry, .mnt = mnt, .pos = PATH_MASK };
	struct path_buf *p = path_buf();
	if (!p)
		return PATH_MASK;
	p->b[PATH_MASK] = 0;
	bpf_loop(PATH_DEPTH, path_step, &w, 0);
	if (w.pos == PATH_MASK)
		p->b[--w.pos & PATH_MASK] = '/';
	return w.pos;
}

/* The path to `at`; returns its length with the zero byte. */
INLINE u32 put_path(struct rec *r, u32 at, u64 dentry, u64 mnt)
{
	struct path_buf *p = path_buf();
	if (!p || !dentry || !HAVE(DENTRY_PARENT) || !HAVE(DENTRY_NAME)) {
		r->data[BOUNDED(at, HOOK_DATA_MAX - 1)] = 0;
		r->h.flags |= HOOK_F_FAULT;
		return 1;
	}
	u32 pos = path_build(dentry, mnt) & PATH_MASK, n = HOOK_PATH_MAX - pos;
	if (n > HOOK_PATH_MAX)
		n = HOOK_PATH_MAX;
	BOUND(n, 8191);
	bpf_probe_read_kernel(r->data + (BOUNDED(at, HOOK_DATA_MAX - 1)), n, p->b + BOUNDED(pos, PATH_MASK));
	return n;
}
/* Of a struct path, with what the kernel's d_path says of files that have no
 * name any more (fs/d_path.c). dentry->d_hash.pprev stands before d_parent. */
INLINE u32 put_struct_path(struct rec *r, u32 at, u64 path)
{
	static const char deleted[] = " (deleted)";
	u64 dentry = MEMBER64(path, PATH_DENTRY), mnt = MEMBER64(path, PATH_MNT);
	u64 parent = MEMBER64(dentry, DENTRY_PARENT);
	u32 n;
	if (!parent || !HAVE(DENTRY_NAME) || get64(dentry + OFF(DENTRY_PARENT) - 8) ||
	    dentry == MEMBER64(mnt, MNT_ROOT))
		return put_path(r, at, dentry, mnt);
	if (parent == dentry) { /* of no file system that is mounted: memfd */
		BOUND(at, HOOK_DATA_MAX - 1);
		r->data[at] = '/';
		long k = bpf_probe_read_user_str(r->data + at + 1, 256, (void *)get64(dentry + OFF(DENTRY_NAME) + 8));
		n = k > 0 && k <= 256 ? k + 1 : 2;
	} else {
		n = put_path(r, at, dentry, mnt);
	}
	/* In the place of the zero byte. */
	for (u32 i = 0; i < sizeof(deleted); i++)
		r->data[BOUNDED(at + n - 1 + i, 2 * HOOK_DATA_MAX - 1)] = deleted[i];
	return n + sizeof(deleted) - 1;
}

/* ---- terminals -------------------------------------------------------------------- */

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

/* ---- processes ---------------------------------------------------------------------- */

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

/* ---- files ------------------------------------------------------------------------------ */

#define IS_ERR(v) ((v) > (u64)-4096)
#define FMODE_CREATED 0x100000u /* include/linux/fs.h */

/* (directory fd, name, struct open_flags: its first word is open(2)'s flags, of
 * which the file forgets some); returns a struct file or an error */
#define ACCMODE 3u
#define CREAT 0100u
#define INTERNAL 0x04000020u /* FMODE_NONOTIFY, FMODE_EXEC */
SEC("uprobe") int e_OPEN(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	u32 flags = get32(ctx->dx);
	/* Many more are opened for reading than for writing. */
	if (flags & (ACCMODE | CREAT))
		remember3(task, HOOK_SITE_OPEN, flags, 0, 0);
	return 0;
}
SEC("uprobe") int r_OPEN(struct regs *ctx)
{
	u64 task = guest_current(ctx), file = ctx->ax;
	struct pending_key k = { task, HOOK_SITE_OPEN };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	if (!p)
		return 0;
	u32 flags = p->a;
	bpf_map_delete_elem(&pendings, &k);
	if (!file || IS_ERR(file))
		return 0;
	u32 created = MEMBER32(file, FILE_MODE) & FMODE_CREATED;
	if (!(flags & ACCMODE) && !created)
		return 0;
	struct rec *r = begin(task, HOOK_OPEN);
	if (!r)
		return 0;
	put32(r, 0, flags & ~INTERNAL);
	put32(r, 4, MEMBER16(MEMBER64(file, FILE_INODE), INODE_MODE) | (created ? HOOK_OPEN_CREATED : 0));
	u32 n = put_struct_path(r, 8, file + OFF(FILE_PATH));
	end(r, 8 + n, HOOK_SITE_OPEN);
	return 0;
}
/* (mnt): the calls below are not told where their file system is mounted */
SEC("uprobe") int e_MNT_WRITE(struct regs *ctx)
{
	u64 task = guest_current(ctx), mnt = ctx->di;
	bpf_map_update_elem(&mounts, &task, &mnt, BPF_ANY);
	return 0;
}
INLINE u64 mount_of(u64 task)
{
	u64 *m = bpf_map_lookup_elem(&mounts, &task);
	return m ? *m : 0;
}
/* (struct renamedata: mnt_userns, old_dir, old_dentry, new_mnt_userns, new_dir, new_dentry):
 * afterwards the old name is gone */
SEC("uprobe") int e_RENAME(struct regs *ctx)
{
	u64 task = guest_current(ctx), old = get64(ctx->di + 16);
	struct pending p;
	__builtin_memset(&p, 0, sizeof(p));
	p.a = MEMBER64(old, DENTRY_PARENT);
	p.b = get64(ctx->di + 40);
	if (!HAVE(DENTRY_NAME))
		return 0;
	p.n = get32(old + OFF(DENTRY_NAME) + 4);
	if (p.n > 255)
		return 0;
	bpf_probe_read_user(p.name, p.n & 255, (void *)get64(old + OFF(DENTRY_NAME) + 8));
	remember(task, HOOK_SITE_RENAME, &p);
	return 0;
}
SEC("uprobe") int r_RENAME(struct regs *ctx)
{
	u64 task = guest_current(ctx), mnt = mount_of(task);
	struct pending *p = recall(task, HOOK_SITE_RENAME);
	struct rec *r = p ? begin(task, HOOK_RENAME) : NULL;
	if (!r)
		return 0;
	r->h.ret = ctx->ax;
	u32 at = put_path(r, 0, p->a, mnt), n = p->n & 255;
	/* The directory, then the name that it had in it; "/" needs no second one. */
	if (at == 2)
		at = 1;
	r->data[(at - 1) & (HOOK_DATA_MAX - 1)] = '/';
	bpf_probe_read_kernel(r->data + (BOUNDED(at, HOOK_DATA_MAX - 1)), n, p->name);
	at += n;
	r->data[BOUNDED(at, HOOK_DATA_MAX - 1)] = 0;
	at++;
	at += put_path(r, at, p->b, mnt);
	end(r, at, HOOK_SITE_RENAME);
	forget(task, HOOK_SITE_RENAME);
	return 0;
}

INLINE void file_done(u64 task, u32 site, u16 type, u32 num, s32 ret)
{
	struct pending *p = recall(task, site);
	struct rec *r = p ? begin(task, type) : NULL;
	if (!r)
		return;
	r->h.ret = ret;
	put32(r, 0, num ? num : p->c);
	put32(r, 4, 0);
	u32 n = put_path(r, 8, p->a, p->b);
	end(r, 8 + n, site);
	forget(task, site);
}
/* (mnt_userns, dir, dentry, ...) */
SEC("uprobe") int e_UNLINK(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	remember3(task, HOOK_SITE_UNLINK, ctx->dx, mount_of(task), 0);
	return 0;
}
SEC("uprobe") int r_UNLINK(struct regs *ctx)
{
	file_done(guest_current(ctx), HOOK_SITE_UNLINK, HOOK_UNLINK, 0, ctx->ax);
	return 0;
}
SEC("uprobe") int e_RMDIR(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	remember3(task, HOOK_SITE_RMDIR, ctx->dx, mount_of(task), 0);
	return 0;
}
SEC("uprobe") int r_RMDIR(struct regs *ctx)
{
	file_done(guest_current(ctx), HOOK_SITE_RMDIR, HOOK_UNLINK, 1, ctx->ax);
	return 0;
}
/* (struct path, mode) */
SEC("uprobe") int e_CHMOD(struct regs *ctx)
{
	remember3(guest_current(ctx), HOOK_SITE_CHMOD, MEMBER64(ctx->di, PATH_DENTRY), MEMBER64(ctx->di, PATH_MNT),
		  ctx->si & 07777);
	return 0;
}
SEC("uprobe") int r_CHMOD(struct regs *ctx)
{
	file_done(guest_current(ctx), HOOK_SITE_CHMOD, HOOK_CHMOD, 0, ctx->ax);
	return 0;
}
/* (struct module) */
SEC("uprobe") int e_MODULE(struct regs *ctx)
{
	struct pending p;
	__builtin_memset(&p, 0, sizeof(p));
	if (!HAVE(MODULE_NAME) || bpf_probe_read_user_str(p.name, 56, (void *)(ctx->di + OFF(MODULE_NAME))) < 0)
		return 0;
	remember(guest_current(ctx), HOOK_SITE_MODULE, &p);
	return 0;
}
SEC("uprobe") int r_MODULE(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending *p = recall(task, HOOK_SITE_MODULE);
	struct rec *r = p ? begin(task, HOOK_MODULE) : NULL;
	if (!r)
		return 0;
	r->h.ret = ctx->ax;
	u32 n = 0;
	for (; n < 55 && p->name[n]; n++)
		r->data[n] = p->name[n];
	r->data[n] = 0;
	end(r, n + 1, HOOK_SITE_MODULE);
	forget(task, HOOK_SITE_MODULE);
	return 0;
}

/* ---- sockets ------------------------------------------------------------------------------ */

#define TCP 6
#define UDP 17

INLINE void put_addr(u8 *to, u64 sk, u16 v4, u16 v6, int is6)
{
	if (is6)
		bpf_probe_read_user(to, 16, (void *)(sk + v6));
	else
		bpf_probe_read_user(to, 4, (void *)(sk + v4));
}
INLINE int is_mapped(const u8 *a)
{
	const u32 *w = (const u32 *)a;
	return !w[0] && !w[1] && w[2] == 0xffff0000u;
}

INLINE void socket_done(u64 task, u64 sk, u8 op, u8 proto, s32 ret, u32 site)
{
	struct rec *r = begin(task, HOOK_SOCKET);
	u16 family = MEMBER16(sk, SK_FAMILY);
	if (!r || (family != 2 && family != 10))
		return;
	struct hook_socket s;
	__builtin_memset(&s, 0, sizeof(s));
	s.op = op;
	s.proto = proto;
	s.family = family == 2 ? 4 : 6;
	s.local_port = MEMBER16(sk, SK_NUM);
	s.peer_port = op == HOOK_LISTEN ? 0 : __builtin_bswap16(MEMBER16(sk, SK_DPORT));
	put_addr(s.local, sk, OFF(SK_RCV_SADDR), OFF(SK_V6_RCV_SADDR), family == 10);
	if (op != HOOK_LISTEN)
		put_addr(s.peer, sk, OFF(SK_DADDR), OFF(SK_V6_DADDR), family == 10);
	if (family == 10 && is_mapped(op == HOOK_LISTEN ? s.local : s.peer)) {
		s.family = 4;
		__builtin_memset(s.local, 0, 16);
		__builtin_memset(s.peer, 0, 16);
		put_addr(s.local, sk, OFF(SK_RCV_SADDR), 0, 0);
		if (op != HOOK_LISTEN)
			put_addr(s.peer, sk, OFF(SK_DADDR), 0, 0);
	}
	r->h.ret = ret;
	__builtin_memcpy(r->data, &s, sizeof(s));
	end(r, sizeof(s), site);
}
/* (sk) */
SEC("uprobe") int e_TCP_CONNECT(struct regs *ctx)
{
	remember3(guest_current(ctx), HOOK_SITE_TCP_CONNECT, ctx->di, 0, 0);
	return 0;
}
SEC("uprobe") int r_TCP_CONNECT(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending *p = recall(task, HOOK_SITE_TCP_CONNECT);
	if (p) {
		socket_done(task, p->a, HOOK_CONNECT, TCP, ctx->ax, HOOK_SITE_TCP_CONNECT);
		forget(task, HOOK_SITE_TCP_CONNECT);
	}
	return 0;
}
/* (struct socket, ...): raw and ping sockets too */
SEC("uprobe") int e_UDP_CONNECT(struct regs *ctx)
{
	/* An address of no family takes the connection back. */
	if ((u32)ctx->dx >= 2 && get16(ctx->si))
		remember3(guest_current(ctx), HOOK_SITE_UDP_CONNECT, MEMBER64(ctx->di, SOCKET_SK), 0, 0);
	return 0;
}
SEC("uprobe") int r_UDP_CONNECT(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending_key k = { task, HOOK_SITE_UDP_CONNECT };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	if (!p)
		return 0;
	if ((MEMBER16(p->a, SK_PROTOCOL) & 0xff) == UDP && !(u32)ctx->ax)
		socket_done(task, p->a, HOOK_CONNECT, UDP, 0, HOOK_SITE_UDP_CONNECT);
	forget(task, HOOK_SITE_UDP_CONNECT);
	return 0;
}
/* returns the new sk or NULL */
SEC("uprobe") int r_ACCEPT(struct regs *ctx)
{
	if (ctx->ax && !IS_ERR(ctx->ax))
		socket_done(guest_current(ctx), ctx->ax, HOOK_ACCEPT, TCP, 0, HOOK_SITE_ACCEPT);
	return 0;
}
/* (sk) */
SEC("uprobe") int e_LISTEN(struct regs *ctx)
{
	remember3(guest_current(ctx), HOOK_SITE_LISTEN, ctx->di, 0, 0);
	return 0;
}
SEC("uprobe") int r_LISTEN(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending *p = recall(task, HOOK_SITE_LISTEN);
	if (p) {
		socket_done(task, p->a, HOOK_LISTEN, TCP, ctx->ax, HOOK_SITE_LISTEN);
		forget(task, HOOK_SITE_LISTEN);
	}
	return 0;
}

#define AUTH_MAX 1024u
/* (skb, skip, bytes, state): what sshd's two halves tell each other */
SEC("uprobe") int e_UNIX_READ(struct regs *ctx)
{
	u64 task = guest_current(ctx), skb = ctx->di;
	u32 comm = HAVE(TASK_COMM) ? get32(task + OFF(TASK_COMM)) : 0, n = ctx->dx;
	if (comm != 0x64687373u || !n || n > AUTH_MAX) /* "sshd" */
		return 0;
	/* skb->data_len stands behind skb->len: none of it in other pages. */
	u32 len = MEMBER32(skb, SKB_LEN), elsewhere = get32(skb + OFF(SKB_LEN) + 4);
	u64 from = (u64)MEMBER32(skb, SKB_UNIX_CONSUMED) + (u32)ctx->si;
	struct rec *r = begin(task, HOOK_AUTH);
	if (!r || elsewhere || from + n > len)
		return 0;
	r->h.ret = n;
	put_bytes(r, 0, MEMBER64(skb, SKB_DATA) + from, n);
	end(r, n, HOOK_SITE_UNIX_READ);
	return 0;
}

/* ---- does it work here? --------------------------------------------------------------------- */

SEC("uprobe") int t_TRY(struct regs *ctx)
{
	struct rec *r = scratch_rec();
	if (r) {
		__builtin_memset(&r->h, 0, sizeof(r->h));
		put32(r, 0, ctx->di);
		end(r, 4, 0);
	}
	return 0;
}
