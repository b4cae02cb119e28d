/* SPDX-License-Identifier: ISC */
#include "proc/vmm/extfs.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct extfs {
	ext2_filsys fs;
};

/* ---- the io_manager ----------------------------------------------------- */

/* open() gets a name only; extfs_open leaves the disk here for it. */
static struct cow *opening;
static struct struct_io_manager manager;

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
	(void)flags;
	io_channel io;
	errcode_t r = ext2fs_get_mem(sizeof(struct struct_io_channel), &io);
	if (r)
		return r;
	memset(io, 0, sizeof(*io));
	r = ext2fs_get_mem(strlen(name) + 1, &io->name);
	if (r) {
		ext2fs_free_mem(&io);
		return r;
	}
	strcpy(io->name, name);
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = &manager;
	io->block_size = 1024;
	io->refcount = 1;
	io->private_data = opening;
	*out = io;
	return 0;
}

static errcode_t io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	ext2fs_free_mem(&io->name);
	ext2fs_free_mem(&io);
	return 0;
}

static errcode_t io_set_blksize(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

/* libext2fs: a negative count is a number of bytes, else of blocks. */
static size_t span(io_channel io, int count)
{
	return count < 0 ? (size_t) - (long)count : (size_t)count * (size_t)io->block_size;
}

static errcode_t io_read64(io_channel io, unsigned long long block, int count, void *data)
{
	uint64_t off;
	if (__builtin_mul_overflow(block, (uint64_t)io->block_size, &off))
		return EXT2_ET_SHORT_READ;
	int r = cow_read(io->private_data, off, data, span(io, count));
	return r < 0 ? (r == -EINVAL ? EXT2_ET_SHORT_READ : -r) : 0;
}

static errcode_t io_write64(io_channel io, unsigned long long block, int count, const void *data)
{
	uint64_t off;
	if (__builtin_mul_overflow(block, (uint64_t)io->block_size, &off))
		return EXT2_ET_SHORT_WRITE;
	int r = cow_write(io->private_data, off, data, span(io, count));
	return r < 0 ? (r == -EINVAL ? EXT2_ET_SHORT_WRITE : -r) : 0;
}

static errcode_t io_read(io_channel io, unsigned long block, int count, void *data)
{
	return io_read64(io, block, count, data);
}

static errcode_t io_write(io_channel io, unsigned long block, int count, const void *data)
{
	return io_write64(io, block, count, data);
}

static errcode_t io_write_byte(io_channel io, unsigned long off, int n, const void *data)
{
	int r = cow_write(io->private_data, off, data, (size_t)n);
	return r < 0 ? -r : 0;
}

static errcode_t io_flush(io_channel io)
{
	(void)io;
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "skep overlay",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.write_byte = io_write_byte,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
};

/* ---- files -------------------------------------------------------------- */

static int ext_err(struct err *e, errcode_t r, const char *what, const char *path)
{
	int code = r > 0 && r < 4096 ? -(int)r : -EIO;
	if (r == EXT2_ET_BLOCK_ALLOC_FAIL || r == EXT2_ET_INODE_ALLOC_FAIL)
		code = -ENOSPC;
	return err_set(e, code, "cannot %s %s on the honeypot's disk: %s", what, path, error_message(r));
}

int extfs_open(struct cow *c, struct extfs **out, struct err *e)
{
	static int once;
	if (!once++)
		initialize_ext2_error_table();
	struct extfs *x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(e, -ENOMEM, "out of memory");
	opening = c;
	errcode_t r = ext2fs_open2("disk", NULL, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, &manager, &x->fs);
	opening = NULL;
	if (r) {
		free(x);
		return err_set(e, -EINVAL,
			       "the image's disk holds no ext2, ext3 or ext4 file system (%s): build or import the "
			       "image again",
			       error_message(r));
	}
	if (!(x->fs->super->s_state & EXT2_VALID_FS) || ext2fs_has_feature_journal_needs_recovery(x->fs->super)) {
		extfs_abandon(x);
		return err_set(e, -EINVAL,
			       "the file system of the image was not unmounted cleanly: run e2fsck on it, or build the "
			       "image again");
	}
	r = ext2fs_read_bitmaps(x->fs);
	if (r) {
		extfs_abandon(x);
		return err_set(e, -EINVAL, "the file system of the image is damaged (%s): build or import it again",
			       error_message(r));
	}
	*out = x;
	return 0;
}

int extfs_close(struct extfs *x, struct err *e)
{
	errcode_t r = ext2fs_flush2(x->fs, 0);
	ext2fs_free(x->fs);
	free(x);
	return r ? ext_err(e, r, "write", "the file system") : 0;
}

void extfs_abandon(struct extfs *x)
{
	if (!x)
		return;
	ext2fs_free(x->fs);
	free(x);
}

static errcode_t find(struct extfs *x, const char *path, bool follow, ext2_ino_t *ino, struct ext2_inode *inode)
{
	errcode_t r = follow ? ext2fs_namei_follow(x->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino)
			     : ext2fs_namei(x->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino);
	return r ? r : ext2fs_read_inode(x->fs, *ino, inode);
}

bool extfs_is_dir(struct extfs *x, const char *path)
{
	ext2_ino_t ino;
	struct ext2_inode inode;
	return !find(x, path, true, &ino, &inode) && LINUX_S_ISDIR(inode.i_mode);
}

time_t extfs_mtime(struct extfs *x, const char *path)
{
	ext2_ino_t ino;
	struct ext2_inode inode;
	return find(x, path, true, &ino, &inode) ? 0 : (time_t)inode.i_mtime;
}

/* Splits into the parent's inode and the last name, which points into path. */
static errcode_t parent_of(struct extfs *x, const char *path, ext2_ino_t *dir, const char **name)
{
	const char *slash = strrchr(path, '/');
	char buf[256];
	struct ext2_inode inode;
	if (!slash || !slash[1] || (size_t)(slash - path) >= sizeof(buf))
		return EINVAL;
	memcpy(buf, path, (size_t)(slash - path));
	buf[slash - path] = 0;
	*name = slash + 1;
	errcode_t r = find(x, buf[0] ? buf : "/", true, dir, &inode);
	return r ? r : LINUX_S_ISDIR(inode.i_mode) ? 0 : EXT2_ET_NO_DIRECTORY;
}

static errcode_t link_name(struct extfs *x, ext2_ino_t dir, const char *name, ext2_ino_t ino, int type)
{
	errcode_t r = ext2fs_link(x->fs, dir, name, ino, type);
	if (r != EXT2_ET_DIR_NO_SPACE)
		return r;
	r = ext2fs_expand_dir(x->fs, dir);
	return r ? r : ext2fs_link(x->fs, dir, name, ino, type);
}

static errcode_t set_times(struct extfs *x, ext2_ino_t ino, struct ext2_inode *inode, time_t t)
{
	inode->i_atime = inode->i_ctime = inode->i_mtime = (uint32_t)t;
	return ext2fs_write_inode(x->fs, ino, inode);
}

int extfs_mkdir(struct extfs *x, const char *path, time_t mtime, struct err *e)
{
	ext2_ino_t dir, ino;
	struct ext2_inode inode;
	const char *name;
	if (extfs_is_dir(x, path))
		return 0;
	errcode_t r = parent_of(x, path, &dir, &name);
	x->fs->now = mtime;
	if (!r)
		r = ext2fs_mkdir(x->fs, dir, 0, name);
	if (r == EXT2_ET_DIR_NO_SPACE) {
		r = ext2fs_expand_dir(x->fs, dir);
		if (!r)
			r = ext2fs_mkdir(x->fs, dir, 0, name);
	}
	x->fs->now = 0;
	if (!r)
		r = find(x, path, false, &ino, &inode);
	if (!r) {
		inode.i_mode = LINUX_S_IFDIR | 0755;
		r = set_times(x, ino, &inode, mtime);
	}
	return r ? ext_err(e, r, "make directory", path) : 0;
}

static errcode_t make_file(struct extfs *x, const char *path, mode_t mode, time_t mtime, ext2_ino_t *ino,
			   struct ext2_inode *inode)
{
	ext2_ino_t dir;
	const char *name;
	errcode_t r = parent_of(x, path, &dir, &name);
	if (!r)
		r = ext2fs_new_inode(x->fs, dir, (int)(LINUX_S_IFREG | mode), NULL, ino);
	if (!r)
		r = link_name(x, dir, name, *ino, EXT2_FT_REG_FILE);
	if (r)
		return r;
	ext2fs_inode_alloc_stats2(x->fs, *ino, +1, 0);
	memset(inode, 0, sizeof(*inode));
	inode->i_mode = (uint16_t)(LINUX_S_IFREG | mode);
	inode->i_links_count = 1;
	if (ext2fs_has_feature_extents(x->fs->super)) {
		ext2_extent_handle_t h;
		r = ext2fs_extent_open2(x->fs, *ino, inode, &h);
		if (r)
			return r;
		ext2fs_extent_free(h);
	}
	/* Its time of birth, too. */
	x->fs->now = mtime;
	r = ext2fs_write_new_inode(x->fs, *ino, inode);
	x->fs->now = 0;
	return r;
}

/* Takes the name away, and what it named if that was its last name. */
static errcode_t remove_name(struct extfs *x, const char *path, ext2_ino_t ino, struct ext2_inode *inode)
{
	ext2_ino_t dir;
	const char *name;
	if (LINUX_S_ISDIR(inode->i_mode))
		return EXT2_ET_FILE_EXISTS;
	errcode_t r = parent_of(x, path, &dir, &name);
	if (!r)
		r = ext2fs_unlink(x->fs, dir, name, ino, 0);
	if (r || --inode->i_links_count)
		return r ? r : ext2fs_write_inode(x->fs, ino, inode);
	inode->i_dtime = 1;
	if (ext2fs_inode_has_valid_blocks2(x->fs, inode)) {
		r = ext2fs_punch(x->fs, ino, inode, NULL, 0, ~0ULL);
		if (r)
			return r;
	}
	ext2fs_inode_alloc_stats2(x->fs, ino, -1, 0);
	return ext2fs_write_inode(x->fs, ino, inode);
}

static errcode_t put_contents(struct extfs *x, ext2_ino_t ino, const void *p, size_t n)
{
	ext2_file_t f;
	errcode_t r = ext2fs_file_open(x->fs, ino, EXT2_FILE_WRITE, &f);
	if (r)
		return r;
	r = ext2fs_file_set_size2(f, 0);
	const char *at = p;
	while (!r && n) {
		unsigned int done = 0;
		r = ext2fs_file_write(f, at, (unsigned int)n, &done);
		at += done;
		n -= done;
	}
	errcode_t closed = ext2fs_file_close(f);
	return r ? r : closed;
}

int extfs_write(struct extfs *x, const char *path, mode_t mode, time_t mtime, const void *p, size_t n, struct err *e)
{
	ext2_ino_t ino;
	struct ext2_inode inode;
	errcode_t r = find(x, path, false, &ino, &inode);
	if (!r && (!LINUX_S_ISREG(inode.i_mode) || inode.i_links_count != 1)) {
		r = remove_name(x, path, ino, &inode);
		if (!r)
			r = EXT2_ET_FILE_NOT_FOUND;
	} else if (!r) {
		mtime = (time_t)inode.i_mtime;
	}
	if (r == EXT2_ET_FILE_NOT_FOUND)
		r = make_file(x, path, mode & 07777, mtime, &ino, &inode);
	if (!r)
		r = put_contents(x, ino, p, n);
	if (!r)
		r = ext2fs_read_inode(x->fs, ino, &inode);
	if (!r)
		r = set_times(x, ino, &inode, mtime);
	return r ? ext_err(e, r, "write", path) : 0;
}
