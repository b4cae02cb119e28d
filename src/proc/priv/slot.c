/* SPDX-License-Identifier: ISC */
/* Blocks of uids, one for each honeynet that root runs. A block is taken by
 * holding a lock on a file, so that it is free again however its holder died.
 * uids are the whole machine's: the directory does not follow SKEP_STATE, and its
 * name is none that a honeynet could have. */
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever releases a slot removes its file under the lock; so a lock counts
 * only if the file is still the one at that path. */
static int try_slot(const char *path)
{
	struct stat st, there;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
#ifndef MUTANT_PRIV_SLOT
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return -EWOULDBLOCK;
	}
#endif
	if (fstat(fd, &st) < 0 || lstat(path, &there) < 0 || st.st_ino != there.st_ino || st.st_dev != there.st_dev) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int slot_take(struct priv *p, const char *dir, struct err *e)
{
	int r = dirs_make(dir, e);
	if (r < 0)
		return r;
	for (unsigned n = 0; n < UID_SLOTS; n++) {
		char path[sizeof(p->slot_path)];
		int fd;
		if (snprintf(path, sizeof(path), "%s/%u", dir, n) >= (int)sizeof(path))
			return err_set(e, -ENAMETOOLONG, "path too long: %s", dir);
		do
			fd = try_slot(path);
		while (fd == -ESTALE);
		if (fd == -EWOULDBLOCK)
			continue;
		if (fd < 0)
			return err_sys(e, fd, "cannot open %s", path);
		p->slot_fd = fd;
		p->uid_base = UID_FIRST + UID_BLOCK * n;
		snprintf(p->slot_path, sizeof(p->slot_path), "%s", path);
		return 0;
	}
	return err_set(e, -EUSERS, "%u honeynets run already: take one down first", UID_SLOTS);
}

void slot_release(struct priv *p)
{
	if (p->slot_fd < 0)
		return;
	unlink(p->slot_path);
	close(p->slot_fd);
	p->slot_fd = -1;
}
