/* SPDX-License-Identifier: ISC */
#include "proc/vmm/cow.h"

#include "base/slice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COW_MAGIC 0x4f4f4f4du
#define COW_VERSION 3

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

void cow_format(const struct cow_header *h, uint8_t out[COW_HEADER])
{
	memset(out, 0, COW_HEADER);
	put32(out, COW_MAGIC);
	put32(out + 4, COW_VERSION);
	put32(out + 8, h->mtime);
	put32(out + 12, (uint32_t)(h->size >> 32));
	put32(out + 16, (uint32_t)h->size);
	put32(out + 20, COW_SECTOR);
	put32(out + 24, COW_ALIGN);
	memcpy(out + 32, h->path, COW_PATH);
}

int cow_parse(const void *p, size_t n, struct cow_header *out, struct err *e)
{
	struct slice s = slice_of(p, n);
	uint32_t magic, version, mtime, hi, lo, sector, align, format;
	struct slice path;
	if (!slice_be32(&s, &magic) || !slice_be32(&s, &version) || !slice_be32(&s, &mtime) || !slice_be32(&s, &hi) ||
	    !slice_be32(&s, &lo) || !slice_be32(&s, &sector) || !slice_be32(&s, &align) || !slice_be32(&s, &format) ||
	    !slice_take(&s, COW_PATH, &path))
		return err_set(e, -EINVAL, "the overlay is too short for its header");
	if (magic != COW_MAGIC || version != COW_VERSION)
		return err_set(e, -EINVAL, "the overlay is not a copy-on-write file of version 3");
	uint64_t size = (uint64_t)hi << 32 | lo;
	if (sector != COW_SECTOR || align != COW_ALIGN || format != 0 || !size || size > COW_SIZE_MAX ||
	    size % COW_SECTOR || path.p[0] != '/' || !memchr(path.p, 0, path.n))
		return err_set(e, -EINVAL, "the overlay's header is damaged");
	out->mtime = mtime;
	out->size = size;
	memcpy(out->path, path.p, COW_PATH);
	return 0;
}

size_t cow_bitmap_len(uint64_t size)
{
	uint64_t sectors = (size + COW_SECTOR - 1) / COW_SECTOR;
	return (size_t)((sectors + 7) / 8);
}

uint64_t cow_data_offset(uint64_t size)
{
	return (COW_HEADER + cow_bitmap_len(size) + COW_ALIGN - 1) / COW_ALIGN * COW_ALIGN;
}

static int read_all(int fd, void *dst, size_t n, uint64_t off)
{
	uint8_t *p = dst;
	while (n) {
		ssize_t r = pread(fd, p, n, (off_t)off);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0) { /* beyond the end: a hole */
			memset(p, 0, n);
			return 0;
		}
		p += r;
		off += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

static int write_all(int fd, const void *src, size_t n, uint64_t off)
{
	const uint8_t *p = src;
	while (n) {
		ssize_t r = pwrite(fd, p, n, (off_t)off);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EIO;
		p += r;
		off += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

static int base_header(int base, const char *path, struct cow_header *h, struct err *e)
{
	struct stat st;
	if (fstat(base, &st) < 0)
		return err_sys(e, -errno, "cannot look at the image's disk");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > COW_SIZE_MAX || st.st_size % COW_SECTOR)
		return err_set(e, -EINVAL, "the image's disk is not a disk: %jd bytes", (intmax_t)st.st_size);
	memset(h, 0, sizeof(*h));
	h->mtime = (uint32_t)st.st_mtime;
	h->size = (uint64_t)st.st_size;
	size_t n = strlen(path);
	if (n >= sizeof(h->path))
		return err_set(e, -ENAMETOOLONG, "path of the base too long");
	memcpy(h->path, path, n);
	return 0;
}

static int setup(struct cow *c, int overlay, int base, const struct cow_header *h)
{
	*c = (struct cow){ .overlay = overlay, .base = base, .size = h->size, .head = *h };
	c->data = cow_data_offset(h->size);
	c->bitmap_len = cow_bitmap_len(h->size);
	c->bitmap = calloc(1, c->bitmap_len);
	c->dirty_from = c->bitmap_len;
	return c->bitmap ? 0 : -ENOMEM;
}

int cow_look(int overlay, enum cow_state *state, struct err *e)
{
	uint8_t magic[4];
	struct stat st;
	if (fstat(overlay, &st) < 0)
		return err_sys(e, -errno, "cannot look at the overlay");
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the overlay is not a file");
	if (st.st_size == 0) {
		*state = COW_EMPTY;
		return 0;
	}
	int r = read_all(overlay, magic, 4, 0);
	if (r < 0)
		return err_sys(e, r, "cannot read the overlay");
	struct slice s = slice_of(magic, 4);
	uint32_t m = 0;
	slice_be32(&s, &m);
	if (m != 0 && m != COW_MAGIC)
		return err_set(e, -EINVAL, "the overlay is not a copy-on-write file: reset the honeypot");
	*state = m ? COW_READY : COW_UNFINISHED;
	return 0;
}

int cow_create(struct cow *c, int overlay, int base, const char *path, struct err *e)
{
	struct cow_header h;
	int r = base_header(base, path, &h, e);
	if (r < 0)
		return r;
	r = setup(c, overlay, base, &h);
	if (r < 0)
		return err_sys(e, r, "cannot hold the overlay's bitmap");
	if (ftruncate(overlay, 0) < 0 || ftruncate(overlay, (off_t)(c->data + c->size)) < 0) {
		r = -errno;
		cow_close(c);
		return err_sys(e, r, "cannot size the overlay");
	}
	return 0;
}

int cow_open(struct cow *c, int overlay, int base, struct err *e)
{
	uint8_t buf[32 + COW_PATH];
	struct cow_header h, want;
	int r = read_all(overlay, buf, sizeof(buf), 0);
	if (r < 0)
		return err_sys(e, r, "cannot read the overlay");
	r = cow_parse(buf, sizeof(buf), &h, e);
	if (r < 0)
		return r;
	r = base_header(base, h.path, &want, e);
	if (r < 0)
		return r;
	if (want.size != h.size || want.mtime != h.mtime)
		return err_set(e, -ESTALE,
			       "the image changed since the honeypot's disk was made from it: bring the old image "
			       "back, or give up the disk with `skep reset NET/HONEYPOT`");
	r = setup(c, overlay, base, &h);
	if (r < 0)
		return err_sys(e, r, "cannot hold the overlay's bitmap");
	r = read_all(overlay, c->bitmap, c->bitmap_len, COW_HEADER);
	if (r < 0) {
		cow_close(c);
		return err_sys(e, r, "cannot read the overlay's bitmap");
	}
	return 0;
}

static bool here(const struct cow *c, uint64_t sector)
{
	return c->bitmap[sector / 8] >> (sector % 8) & 1;
}

/* How many of the bytes at off come from the same file as the first. */
static size_t run(const struct cow *c, uint64_t off, size_t n, bool *in_overlay)
{
	uint64_t sector = off / COW_SECTOR;
	size_t have = COW_SECTOR - (size_t)(off % COW_SECTOR);
	*in_overlay = here(c, sector);
	while (have < n && here(c, sector + 1) == *in_overlay) {
		sector++;
		have += COW_SECTOR;
	}
	return have < n ? have : n;
}

int cow_read(struct cow *c, uint64_t off, void *dst, size_t n)
{
	if (off > c->size || n > c->size - off)
		return -EINVAL;
	uint8_t *p = dst;
	while (n) {
		bool in_overlay;
		size_t k = run(c, off, n, &in_overlay);
		int r = in_overlay ? read_all(c->overlay, p, k, c->data + off) : read_all(c->base, p, k, off);
		if (r < 0)
			return r;
		p += k;
		off += k;
		n -= k;
	}
	return 0;
}

static void mark(struct cow *c, uint64_t sector)
{
	size_t byte = (size_t)(sector / 8);
	c->bitmap[byte] |= (uint8_t)(1u << (sector % 8));
	if (byte < c->dirty_from)
		c->dirty_from = byte;
	if (byte + 1 > c->dirty_to)
		c->dirty_to = byte + 1;
}

int cow_write(struct cow *c, uint64_t off, const void *src, size_t n)
{
	if (off > c->size || n > c->size - off)
		return -EINVAL;
	const uint8_t *p = src;
	while (n) {
		uint8_t sector[COW_SECTOR];
		uint64_t start = off / COW_SECTOR * COW_SECTOR;
		size_t in = (size_t)(off - start);
		size_t k = COW_SECTOR - in;
		if (k > n)
			k = n;
		/* A part of a sector keeps the rest of it. */
		int r = k < COW_SECTOR ? cow_read(c, start, sector, COW_SECTOR) : 0;
		if (r < 0)
			return r;
		memcpy(sector + in, p, k);
#ifdef MUTANT_COW_WRITE_BASE
		r = write_all(c->base, sector, COW_SECTOR, start);
#else
		r = write_all(c->overlay, sector, COW_SECTOR, c->data + start);
#endif
		if (r < 0)
			return r;
		mark(c, off / COW_SECTOR);
		p += k;
		off += k;
		n -= k;
	}
	return 0;
}

int cow_commit(struct cow *c, struct err *e)
{
	int r = 0;
	if (c->dirty_from < c->dirty_to)
		r = write_all(c->overlay, c->bitmap + c->dirty_from, c->dirty_to - c->dirty_from,
			      COW_HEADER + c->dirty_from);
	if (r < 0)
		return err_sys(e, r, "cannot write the overlay's bitmap");
	c->dirty_from = c->bitmap_len;
	c->dirty_to = 0;
	uint8_t head[COW_HEADER];
	cow_format(&c->head, head);
	/* The magic makes it a disk: everything else must be in the file first. */
	if (fdatasync(c->overlay) < 0)
		return err_sys(e, -errno, "cannot write the overlay");
	r = write_all(c->overlay, head, sizeof(head), 0);
	if (r < 0)
		return err_sys(e, r, "cannot write the overlay's header");
	return 0;
}

void cow_close(struct cow *c)
{
	free(c->bitmap);
	c->bitmap = NULL;
}
