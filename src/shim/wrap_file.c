/* SPDX-License-Identifier: ISC */
/*
 * Files: opened for writing, renamed, removed, made executable.
 *
 * vfs_rename, vfs_unlink and vfs_rmdir know directory entries, not mounts, so
 * the path would end at the file system's root. Their callers ask
 * mnt_want_write of the mount before, in the same task and system call: that is
 * remembered for each task until it is used. The mount cannot go away in between,
 * its caller holds it. A table of sixteen, not more: another task that uses the
 * same place costs a path its first part.
 *
 * Names change and go away during these calls: paths are made before, in a few
 * static buffers that are taken until the call returns, as it may sleep.
 */
#include "shim/out.h"
#include "shim/wrap.h"

#include <fcntl.h>
#include <string.h>

#define FMODE_CREATED 0x100000u /* linux/fs.h */

static struct {
	word task, mnt;
} asked[16];

static unsigned place_of(word task)
{
	return (unsigned)(task >> 7 ^ task >> 12) % (sizeof(asked) / sizeof(asked[0]));
}

WRAP(MNT_WRITE)
{
	word ret = CALL_ORIG(MNT_WRITE, a, b, c, d), task = current_task();
	asked[place_of(task)].task = task;
	asked[place_of(task)].mnt = (int32_t)ret ? 0 : a;
	return ret;
}

static word take_mount(void)
{
	word task = current_task();
	unsigned i = place_of(task);
	if (asked[i].task != task)
		return 0;
	asked[i].task = 0;
	return asked[i].mnt;
}

/* ---- names that must be kept across a call ---- */

static struct paths {
	bool busy;
	uint16_t flags;
	size_t n; /* bytes of both */
	char text[2 * HOOK_PATH_MAX - 16];
} pool[4];

static struct paths *take_paths(word mnt, word first, word second)
{
	for (unsigned i = 0; i < sizeof(pool) / sizeof(pool[0]); i++) {
		struct paths *p = &pool[i];
		if (p->busy)
			continue;
		p->busy = true;
		p->flags = 0;
		p->n = path_text(mnt, first, p->text, HOOK_PATH_MAX, &p->flags);
		if (second)
			p->n += path_text(mnt, second, p->text + p->n, sizeof(p->text) - p->n, &p->flags);
		return p;
	}
	return NULL;
}

/* num: the numbers in front of the texts, `nums` of them. */
static void tell_paths(enum hook_type type, struct paths *p, word ret, const uint32_t *num, unsigned nums)
{
	static const char nothing[2];
	size_t n = p ? p->n : sizeof(nothing), used = nums * sizeof(*num);
	struct out o;
	if (out_begin(&o, type, used + n, used + n)) {
		o.rec->ret = (int32_t)ret;
		o.rec->flags |= p ? p->flags : HOOK_F_CUT;
		memcpy(o.data, num, used);
		memcpy(o.data + used, p ? p->text : nothing, n);
		out_end(&o, used + n);
	}
	if (p)
		p->busy = false;
}

/* (struct renamedata): since Linux 5.12 three words for the old name (mapping,
 * directory, entry), three for the new one. */
WRAP(RENAME)
{
	word mnt = take_mount();
	struct paths *p = take_paths(mnt, load_word(a + 16), load_word(a + 40));
	word ret = CALL_ORIG(RENAME, a, b, c, d);
	tell_paths(HOOK_RENAME, p, ret, NULL, 0);
	return ret;
}

/* (mapping, directory, entry, ...) */
WRAP(UNLINK)
{
	static const uint32_t num[2] = { 0, 0 };
	struct paths *p = take_paths(take_mount(), c, 0);
	word ret = CALL_ORIG(UNLINK, a, b, c, d);
	tell_paths(HOOK_UNLINK, p, ret, num, 2);
	return ret;
}

WRAP(RMDIR)
{
	static const uint32_t num[2] = { 1, 0 };
	struct paths *p = take_paths(take_mount(), c, 0);
	word ret = CALL_ORIG(RMDIR, a, b, c, d);
	tell_paths(HOOK_UNLINK, p, ret, num, 2);
	return ret;
}

static void tell_path_at(enum hook_type type, word path, word ret, const uint32_t num[2])
{
	struct out o;
	if (!out_begin(&o, type, 8, 8 + HOOK_PATH_MAX))
		return;
	o.rec->ret = (int32_t)ret;
	memcpy(o.data, num, 8);
	size_t n = path_text(load_word(FIELD(path, PATH_MNT)), load_word(FIELD(path, PATH_DENTRY)), (char *)o.data + 8,
			     HOOK_PATH_MAX, &o.rec->flags);
	out_end(&o, 8 + n);
}

/* (struct path, mode) */
WRAP(CHMOD)
{
	word ret = CALL_ORIG(CHMOD, a, b, c, d);
	uint32_t num[2] = { (uint32_t)(b & 07777), 0 };
	tell_path_at(HOOK_CHMOD, a, ret, num);
	return ret;
}

/* (directory fd, name, struct open_flags: its first word is open(2)'s flags, of
 * which the file forgets some) */
WRAP(OPEN)
{
	enum { INTERNAL = 0x04000020 }; /* FMODE_NONOTIFY, FMODE_EXEC */
	uint32_t flags = load_u32(c);
	word ret = CALL_ORIG(OPEN, a, b, c, d);
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	if ((!writes && !(flags & O_CREAT)) || !ret || is_error(ret))
		return ret;
	bool created = load_u32(FIELD(ret, FILE_MODE)) & FMODE_CREATED;
	if (!writes && !created)
		return ret;
	word inode = load_word(FIELD(ret, FILE_INODE));
	uint32_t mode = load_u16(FIELD(inode, INODE_MODE));
	uint32_t num[2] = { flags & ~(uint32_t)INTERNAL, mode | (created ? HOOK_OPEN_CREATED : 0) };
	tell_path_at(HOOK_OPEN, FIELD(ret, FILE_PATH), 0, num);
	return ret;
}
