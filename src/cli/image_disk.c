/* SPDX-License-Identifier: ISC */
#include "cli/image_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SUPER 1024
#define EXT_MAGIC 0xef53
#define INCOMPAT_RECOVER 0x4
#define INCOMPAT_JOURNAL_DEV 0x8
#define INCOMPAT_64BIT 0x80

static const struct {
	size_t at, n;
	const char *magic, *what, *advice;
} formats[] = {
	{ 0, 4, "QFI\xfb", "a QCOW2 image", "convert it: qemu-img convert -O raw" },
	{ 0, 4, "KDMV", "a VMDK image", "convert it: qemu-img convert -O raw" },
	{ 0, 8, "vhdxfile", "a VHDX image", "convert it: qemu-img convert -O raw" },
	{ 64, 4, "\x7f\x10\xda\xbe", "a VirtualBox image", "convert it: qemu-img convert -O raw" },
	{ 0, 2, "\x1f\x8b", "compressed (gzip)", "unpack it first" },
	{ 0, 6, "\xfd\x37zXZ\0", "compressed (xz)", "unpack it first" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "compressed (zstd)", "unpack it first" },
	{ 257, 5, "ustar", "a tar archive", "make a file system of it: mke2fs -t ext4 -d DIRECTORY" },
	{ 0, 4,
	  "\x7f"
	  "ELF",
	  "a program", "give a raw disk" },
	{ 0, 4, "hsqs", "a squashfs file system", "give an ext4 file system" },
	{ 0, 4, "XFSB", "an XFS file system", "give an ext4 file system" },
	{ 512, 8, "EFI PART", "a whole disk with partitions (GPT)",
	  "copy its root partition out first (fdisk -l; dd skip= count=)" },
};

static int other(struct slice head, struct err *e)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct slice s;
		if (slice_sub(head, formats[i].at, formats[i].n, &s) && !memcmp(s.p, formats[i].magic, formats[i].n))
			return err_set(e, -EINVAL, "it is %s, not a raw ext4 file system: %s", formats[i].what,
				       formats[i].advice);
	}
	struct slice mbr, type;
	if (slice_sub(head, 510, 2, &mbr) && mbr.p[0] == 0x55 && mbr.p[1] == 0xaa &&
	    slice_sub(head, 446 + 4, 1, &type) && type.p[0])
		return err_set(e, -EINVAL,
			       "it is a whole disk with partitions (MBR), not a raw ext4 file system: copy its "
			       "root partition out first (fdisk -l; dd skip= count=)");
	return err_set(e, -EINVAL, "it is no disk that is known here: give a raw file with one ext4 file system");
}

int image_disk_check(struct slice head, uint64_t size, uint64_t *fs_bytes, struct err *e)
{
	struct slice super, s;
	uint16_t magic = 0, state = 0;
	uint32_t blocks = 0, blocks_hi = 0, log_block = 0, incompat = 0;
	if (!slice_sub(head, SUPER, 1024, &super))
		return err_set(e, -EINVAL, "it is too short for a disk");
	bool ok = slice_sub(super, 0x38, 4, &s) && slice_le16(&s, &magic) && slice_le16(&s, &state);
#ifndef MUTANT_IMPORT_ANYTHING
	if (!ok || magic != EXT_MAGIC)
		return other(head, e);
#endif
	ok = ok && slice_sub(super, 0x4, 4, &s) && slice_le32(&s, &blocks) && slice_sub(super, 0x18, 4, &s) &&
	     slice_le32(&s, &log_block) && slice_sub(super, 0x60, 4, &s) && slice_le32(&s, &incompat) &&
	     slice_sub(super, 0x150, 4, &s) && slice_le32(&s, &blocks_hi);
	uint64_t n = blocks | (incompat & INCOMPAT_64BIT ? (uint64_t)blocks_hi << 32 : 0);
	if (!ok || log_block > 6 || !n || n > UINT64_MAX >> (10 + log_block))
		return err_set(e, -EINVAL, "its ext4 superblock is damaged: try e2fsck -f on it");
	if (incompat & INCOMPAT_JOURNAL_DEV)
		return err_set(e, -EINVAL, "it is the external journal of an ext4 file system, not the file system");
	uint64_t bytes = n << (10 + log_block);
	if (bytes > size)
		return err_set(e, -EINVAL, "it is cut off: its file system has %llu bytes, the file %llu",
			       (unsigned long long)bytes, (unsigned long long)size);
	/* Honeypots' identities are written into it without replaying a journal. */
	if ((incompat & INCOMPAT_RECOVER) || !(state & 1))
		return err_set(e, -EINVAL, "it was not unmounted cleanly: run e2fsck -f on it first");
	*fs_bytes = bytes;
	return 0;
}

static int copy_data(int in, int out, off_t at, off_t end, uint8_t *buf, size_t cap)
{
	static const uint8_t zeros[4096];
	while (at < end) {
		size_t want = (uint64_t)(end - at) < cap ? (size_t)(end - at) : cap;
		ssize_t n = pread(in, buf, want, at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		for (ssize_t i = 0; i < n; i += 4096) {
			size_t part = (size_t)(n - i) < 4096 ? (size_t)(n - i) : 4096;
			if (!memcmp(buf + i, zeros, part))
				continue;
			ssize_t put = pwrite(out, buf + i, part, at + i);
			if (put != (ssize_t)part)
				return put < 0 ? -errno : -ENOSPC;
		}
		at += n;
	}
	return 0;
}

int image_disk_copy(int in, int out, uint64_t n, int (*stop)(void), void (*progress)(uint64_t done, void *arg),
		    void *arg)
{
	const size_t cap = 1 << 20;
	uint8_t *buf = malloc(cap);
	int r = buf ? 0 : -ENOMEM;
	if (!r && ftruncate(out, (off_t)n) < 0)
		r = -errno;
	for (off_t at = 0; !r && at < (off_t)n;) {
		off_t data = lseek(in, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* only a hole is left */
		if (data < 0)
			data = at; /* a file system without holes */
		off_t hole = lseek(in, data, SEEK_HOLE);
		off_t end = hole < 0 || hole > (off_t)n ? (off_t)n : hole;
		/* In pieces, so that an interrupt is heard. */
		if (end - data > 64 << 20)
			end = data + (64 << 20);
		if (data < end)
			r = copy_data(in, out, data, end, buf, cap);
		at = end > data ? end : (off_t)n;
		if (!r && stop())
			r = -EINTR;
		progress((uint64_t)at, arg);
	}
	free(buf);
	return r;
}
