/* SPDX-License-Identifier: ISC */
#include "sandbox/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/landlock.h of Linux 6.12. */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define NET_TCP ((1ull << 0) | (1ull << 1))
#define SCOPE_ALL ((1ull << 0) | (1ull << 1))

#define CREATE_VERSION 1u
#define RULE_PATH_BENEATH 1

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct path_attr {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

static const struct {
	uint64_t fs, net, scoped;
} handled[] = {
	{ 0, 0, 0 },
	{ (1ull << 13) - 1, 0, 0 },
	{ (1ull << 14) - 1, 0, 0 },
	{ (1ull << 15) - 1, 0, 0 },
	{ (1ull << 15) - 1, NET_TCP, 0 },
	{ (1ull << 16) - 1, NET_TCP, 0 },
	{ (1ull << 16) - 1, NET_TCP, SCOPE_ALL },
};

int landlock_abi(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	return v < 0 ? 0 : (int)v;
}

static uint64_t rights(unsigned access, int is_dir)
{
	uint64_t r = 0;
	if (access & LANDLOCK_READ)
		r |= FS_READ_FILE | FS_READ_DIR;
	if (access & LANDLOCK_WRITE)
		r |= FS_WRITE_FILE | FS_TRUNCATE;
	if (access & LANDLOCK_EXEC)
		r |= FS_EXECUTE;
	if (access & LANDLOCK_MAKE)
		r |= FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_REFER;
	if (!is_dir)
		r &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_EXECUTE;
	return r;
}

int landlock_apply(const struct landlock_allow *allow, int n, struct err *e)
{
	int abi = landlock_abi(), known = (int)(sizeof(handled) / sizeof(handled[0])) - 1;
	if (!abi)
		return err_set(e, -ENOTSUP, "this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, lsm=landlock)");
	if (abi > known)
		abi = known;
	struct ruleset_attr attr = { handled[abi].fs, handled[abi].net, handled[abi].scoped };
	/* Older kernels refuse a longer struct only if the rest is not zero. */
	int set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (set < 0)
		return err_sys(e, -errno, "cannot make a Landlock rule set");
	int r = 0;
	for (int i = 0; i < n && !r; i++) {
		struct stat st;
		if (fstat(allow[i].fd, &st) < 0) {
			r = err_sys(e, -errno, "Landlock rule %d", i);
			break;
		}
		struct path_attr path = { rights(allow[i].access, S_ISDIR(st.st_mode)) & attr.fs, allow[i].fd };
		if (syscall(SYS_landlock_add_rule, set, RULE_PATH_BENEATH, &path, 0) < 0)
			r = err_sys(e, -errno, "Landlock rule %d", i);
	}
	if (!r && syscall(SYS_landlock_restrict_self, set, 0) < 0)
		r = err_sys(e, -errno, "cannot enter the Landlock domain");
	close(set);
	return r;
}
