/* SPDX-License-Identifier: ISC */
/* Disks: overlays of this honeynet, opened for writing, and images, opened for
 * reading. Names are plain names, checked; the last component is never
 * followed; what is opened must be a plain file of ours with one name. */
#include "base/text.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_FLAGS (O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)

/* Overlays belong to a uid of ours, or of an earlier start. */
static bool our_file(const struct priv *p, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (st->st_uid == geteuid() ||
		(p->root && st->st_uid >= UID_FIRST && st->st_uid < UID_FIRST + UID_BLOCK * UID_SLOTS));
}

static int open_overlay(struct priv *p, const struct priv_disk *d, const char *file, struct stat *st, struct err *e)
{
	int flags = O_RDWR | FILE_FLAGS | (d->op == DISK_OPEN ? 0 : O_CREAT);
	int fd = openat(p->disks_fd, file, flags, 0600);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT, "%s has no disk yet", d->honeypot);
#ifndef MUTANT_PRIV_DISK
	if (fd < 0)
		return err_sys(e, -errno, "cannot open the disk of %s (%s in the directory of disks)", d->honeypot,
			       file);
	if (fstat(fd, st) < 0 || !our_file(p, st)) {
		close(fd);
		return err_set(e, -EPERM, "%s in the directory of disks is no plain file of ours: remove it", file);
	}
#else
	fd = openat(p->disks_fd, file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fstat(fd, st);
#endif
	uid_t uid = p->uid_base + UID_VMM + d->slot;
	if (p->root && (st->st_uid != uid || st->st_gid != uid) && fchown(fd, uid, uid) < 0) {
		int r = err_sys(e, -errno, "cannot give the disk of %s to uid %u", d->honeypot, (unsigned)uid);
		close(fd);
		return r;
	}
	return fd;
}

static int open_base(struct priv *p, const char *image, struct stat *st, struct err *e)
{
	int dir = openat(p->images_fd, image, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, "disk.img", O_RDONLY | FILE_FLAGS);
	int r = fd < 0 ? -errno : 0;
	if (dir >= 0)
		close(dir);
	if (r == -ENOENT)
		return err_set(e, -ENOENT, "image %s is missing; run: skep image build %s", image, image);
	if (r < 0)
		return err_sys(e, r, "cannot open image %s", image);
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || st->st_size == 0) {
		close(fd);
		return err_set(e, -EINVAL, "image %s is no disk; run: skep image build %s", image, image);
	}
	/* Every VMM's own uid must be able to read it; the directories above it
	 * keep others away. */
	if (p->root && !(st->st_mode & 0004) && fchmod(fd, 0444) < 0) {
		r = err_sys(e, -errno, "cannot make image %s readable", image);
		close(fd);
		return r;
	}
	return fd;
}

/* A disk in use may be neither emptied nor given to another machine. */
static int check_busy(struct priv *p, const struct priv_disk *d, struct err *e)
{
	bool change = d->op == DISK_RESET || d->op == DISK_REMOVE;
	for (uint32_t i = 0; i < MODEL_HONEYPOTS; i++) {
		bool same = !strcmp(p->disks[i].honeypot, d->honeypot);
		if (!p->vmms[i].pid)
			continue;
		if ((same && (change || i != d->slot)) || (!same && i == d->slot))
			return err_set(e, -EBUSY, "the disk of %s is in use", p->disks[i].honeypot);
	}
	return 0;
}

int verb_disk(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_disk *d = MSG_BODY_AS(m, priv_disk);
	char file[NAME_CAP + 8];
	struct stat over, base;
	if (d->op > DISK_REMOVE || d->slot >= MODEL_HONEYPOTS)
		return err_set(e, -ERANGE, "disk: operation %u, slot %u", d->op, d->slot);
	if (!MSG_TEXT(d->honeypot) || !text_is_name(d->honeypot))
		return err_set(e, -EINVAL, "disk: the honeypot has no valid name");
	int x = check_busy(p, d, e);
	if (x < 0)
		return x;
	snprintf(file, sizeof(file), "%s.cow", d->honeypot);
	if (d->op == DISK_REMOVE) {
		if (unlinkat(p->disks_fd, file, 0) < 0 && errno != ENOENT)
			return err_sys(e, -errno, "cannot remove the disk of %s", d->honeypot);
		p->disks[d->slot] = (struct disk_id){ 0 };
		return 0;
	}
	if (!MSG_TEXT(d->image) || !text_is_name(d->image))
		return err_set(e, -EINVAL, "disk: the image has no valid name");
	int base_fd = open_base(p, d->image, &base, e);
	if (base_fd < 0)
		return base_fd;
	/* A new file: whoever still holds the old one does not see the new. */
	if (d->op == DISK_RESET && unlinkat(p->disks_fd, file, 0) < 0 && errno != ENOENT) {
		x = err_sys(e, -errno, "cannot empty the disk of %s", d->honeypot);
		close(base_fd);
		return x;
	}
	int over_fd = open_overlay(p, d, file, &over, e);
	if (over_fd < 0) {
		close(base_fd);
		return over_fd;
	}
	p->disks[d->slot] = (struct disk_id){
		.overlay_dev = over.st_dev, .overlay_ino = over.st_ino, .base_dev = base.st_dev, .base_ino = base.st_ino
	};
	text_copy(p->disks[d->slot].honeypot, NAME_CAP, d->honeypot);
	r->done.kind = over.st_size == 0;
	r->fds[0] = over_fd;
	r->fds[1] = base_fd;
	r->nfds = 2;
	return 0;
}
