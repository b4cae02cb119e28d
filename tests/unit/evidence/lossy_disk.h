/* SPDX-License-Identifier: ISC */
/*
 * A disk that loses its power. The files are real; this remembers beside them
 * what is safe: a file's bytes since its last fdatasync, a directory's names
 * since its own. lossy_cut() then makes of every 512-byte sector that is not
 * safe, of every length and every name, either what was there before or what
 * was written since, by chance. Once power_at operations have been done, the
 * next one is done in part, and all others fail.
 */
#ifndef SKEP_TESTS_LOSSY_DISK_H
#define SKEP_TESTS_LOSSY_DISK_H

#include "proc/evidence/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOSSY_FILES = 256, LOSSY_SECTOR = 512 };

struct lossy_file {
	ino_t ino;
	char safe_name[160], name[160]; /* "" = none */
	uint8_t *safe;
	size_t n;
};
static struct {
	char dir[64];
	struct lossy_file f[LOSSY_FILES];
	unsigned nfiles;
	int power_at;
	bool off;
	uint64_t lost_sectors, lost_names, cuts;
} lossy;

static uint64_t lossy_seed = 20260502;
static uint32_t lossy_rnd(uint32_t below)
{
	lossy_seed ^= lossy_seed << 13;
	lossy_seed ^= lossy_seed >> 7;
	lossy_seed ^= lossy_seed << 17;
	return below ? (uint32_t)(lossy_seed >> 32) % below : 0;
}

static const char *const lossy_folders[] = { "packets",  "events",   "console", "config",
					     "sessions", "sinkhole", "journal", "key" };
#define LOSSY_FOLDERS (sizeof(lossy_folders) / sizeof(lossy_folders[0]))

static struct lossy_file *lossy_find(ino_t ino)
{
	for (unsigned i = 0; i < lossy.nfiles; i++)
		if (lossy.f[i].ino == ino)
			return &lossy.f[i];
	if (lossy.nfiles == LOSSY_FILES)
		abort();
	struct lossy_file *f = &lossy.f[lossy.nfiles++];
	*f = (struct lossy_file){ .ino = ino };
	return f;
}

/* All of a file; there is room for `more` zero bytes behind it. */
static uint8_t *lossy_read(const char *path, size_t *n, size_t more)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	uint8_t *p = calloc(1, (size_t)st.st_size + more + 1);
	if (read(fd, p, (size_t)st.st_size) != st.st_size)
		abort();
	close(fd);
	*n = (size_t)st.st_size;
	return p;
}

/* Calls fn for every file of a folder. */
static void lossy_each(const char *folder, void (*fn)(const char *name, ino_t ino))
{
	char path[256], name[160];
	snprintf(path, sizeof(path), "%s/%s", lossy.dir, folder);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%.120s", folder, e->d_name);
		fn(name, e->d_ino);
	}
	closedir(d);
}

static void lossy_safe_name(const char *name, ino_t ino)
{
	snprintf(lossy_find(ino)->safe_name, 160, "%s", name);
}

static void lossy_now_name(const char *name, ino_t ino)
{
	snprintf(lossy_find(ino)->name, 160, "%s", name);
}

static bool lossy_power(void)
{
	if (lossy.off || (lossy.power_at && !--lossy.power_at)) {
		lossy.off = true;
		errno = EIO;
		return false;
	}
	return true;
}

static ssize_t lossy_write(int fd, const void *p, size_t n)
{
	bool was = lossy.off;
	if (lossy_power())
		return write(fd, p, n);
	if (!was && write(fd, p, lossy_rnd((uint32_t)n + 1)) < 0)
		abort();
	errno = EIO;
	return -1;
}

static int lossy_sync(int fd)
{
	char link[64], path[256];
	struct stat st;
	if (!lossy_power())
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t k = readlink(link, path, sizeof(path) - 1);
	if (k < 0 || fstat(fd, &st) < 0)
		abort();
	path[k] = 0;
	if (S_ISDIR(st.st_mode)) {
		const char *folder = path + strlen(lossy.dir);
		folder += *folder == '/';
		for (unsigned i = 0; *folder && i < lossy.nfiles; i++)
			if (!strncmp(lossy.f[i].safe_name, folder, strlen(folder)))
				lossy.f[i].safe_name[0] = 0;
		if (*folder)
			lossy_each(folder, lossy_safe_name);
		return 0;
	}
	struct lossy_file *f = lossy_find(st.st_ino);
	free(f->safe);
	f->safe = lossy_read(link, &f->n, 0);
	return 0;
}

static int lossy_statvfs(int fd, struct statvfs *v)
{
	(void)fd;
	*v = (struct statvfs){ .f_bavail = 1ull << 40, .f_frsize = 1 };
	return 0;
}

static const struct store_io lossy_io = { lossy_write, lossy_sync, lossy_statvfs, NULL };

/* What the disk has of a file: of each sector the old or the new. */
static uint8_t *lossy_mix(const struct lossy_file *f, size_t *n)
{
	char path[256];
	size_t now = 0;
	uint8_t *p;
	snprintf(path, sizeof(path), "%s/%s", lossy.dir, f->name);
	if (!f->name[0]) {
		p = calloc(1, f->n + 1);
		memcpy(p, f->safe, f->n);
		*n = f->n;
		return p;
	}
	p = lossy_read(path, &now, f->n + LOSSY_SECTOR);
	size_t low = now < f->n ? now : f->n, high = now < f->n ? f->n : now;
	for (size_t at = 0; at < high; at += LOSSY_SECTOR) {
		uint8_t old[LOSSY_SECTOR] = { 0 };
		if (at < f->n)
			memcpy(old, f->safe + at, f->n - at < LOSSY_SECTOR ? f->n - at : LOSSY_SECTOR);
		if (!memcmp(old, p + at, LOSSY_SECTOR) || lossy_rnd(2))
			continue;
		memcpy(p + at, old, LOSSY_SECTOR);
		lossy.lost_sectors++;
	}
	switch (lossy_rnd(3)) {
	case 0:
		*n = now;
		break;
	case 1:
		*n = f->n;
		break;
	default:
		*n = low + lossy_rnd((uint32_t)(high - low) + 1);
	}
	return p;
}

/* The power goes, and comes back. Whoever had files open must have closed them. */
static void lossy_cut(void)
{
	static struct lossy_file old[LOSSY_FILES];
	static struct {
		char name[160];
		uint8_t *p;
		size_t n;
	} after[LOSSY_FILES];
	unsigned nafter = 0, nold = lossy.nfiles;
	char path[256];
	for (size_t i = 0; i < LOSSY_FOLDERS; i++)
		lossy_each(lossy_folders[i], lossy_now_name);
	nold = lossy.nfiles;
	memcpy(old, lossy.f, sizeof(old));
	/* Those whose name is safe come first: a new file may have their old one. */
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < nold; i++) {
			struct lossy_file *f = &old[i];
			if ((f->safe_name[0] != 0) != !pass)
				continue;
			bool differs = strcmp(f->safe_name, f->name) != 0;
			const char *name = differs && lossy_rnd(2) ? f->safe_name : f->name;
			bool taken = false;
			for (unsigned k = 0; k < nafter; k++)
				taken |= !strcmp(after[k].name, name);
			if (taken)
				name = strcmp(name, f->name) ? f->name : f->safe_name;
			lossy.lost_names += name != f->name && differs;
			if (!*name)
				continue;
			snprintf(after[nafter].name, 160, "%s", name);
			after[nafter].p = lossy_mix(f, &after[nafter].n);
			nafter++;
		}
	}
	for (unsigned i = 0; i < nold; i++) {
		snprintf(path, sizeof(path), "%s/%s", lossy.dir, old[i].name);
		if (old[i].name[0])
			unlink(path);
		free(old[i].safe);
	}
	lossy.nfiles = 0;
	for (unsigned i = 0; i < nafter; i++) {
		struct stat st;
		snprintf(path, sizeof(path), "%s/%.159s", lossy.dir, after[i].name);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, after[i].p, after[i].n) != (ssize_t)after[i].n || fstat(fd, &st) < 0)
			abort();
		close(fd);
		struct lossy_file *f = lossy_find(st.st_ino);
		snprintf(f->safe_name, 160, "%.159s", after[i].name);
		f->safe = after[i].p;
		f->n = after[i].n;
	}
	lossy.off = false;
	lossy.cuts++;
}

static void lossy_remove(const char *name, ino_t ino)
{
	char path[256];
	(void)ino;
	snprintf(path, sizeof(path), "%s/%.160s", lossy.dir, name);
	unlink(path);
}

/* An empty disk. */
static void lossy_clear(void)
{
	for (size_t i = 0; i < LOSSY_FOLDERS; i++)
		lossy_each(lossy_folders[i], lossy_remove);
	for (unsigned i = 0; i < lossy.nfiles; i++)
		free(lossy.f[i].safe);
	lossy.nfiles = 0;
	lossy.off = false;
	lossy.power_at = 0;
}

#endif
