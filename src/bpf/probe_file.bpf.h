/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/* Files. Part of probe.bpf.c. */

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
