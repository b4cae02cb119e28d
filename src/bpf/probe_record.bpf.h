/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/* What all programs share: maps, records, paths. Part of probe.bpf.c. */
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
