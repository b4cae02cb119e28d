/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_EVIDENCE_SMALL_DISK_H
#define SKEP_TESTS_EVIDENCE_SMALL_DISK_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Mounts a tmpfs of that size ("256k") on dir, in a mount namespace of the
 * calling process alone (and a user namespace without root). Call it in a
 * child. false: not possible here. */
static inline bool small_disk(const char *dir, const char *size)
{
	char opts[32], map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();
	if (uid) {
		if (unshare(CLONE_NEWUSER) < 0)
			return false;
		put_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
		if (!put_text("/proc/self/uid_map", map))
			return false;
		snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
		if (!put_text("/proc/self/gid_map", map))
			return false;
	}
	snprintf(opts, sizeof(opts), "size=%s", size);
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", dir, "tmpfs", 0, opts) == 0;
}

#endif
