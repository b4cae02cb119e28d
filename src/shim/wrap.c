/* SPDX-License-Identifier: ISC */
#include "shim/wrap.h"

#include "shim/out.h"

#include <string.h>

#define NEEDS(...)                                                                                                     \
	(const uint16_t[])                                                                                             \
	{                                                                                                              \
		__VA_ARGS__ __VA_OPT__(, ) HOOK_OFF_NONE                                                               \
	}
#define O(name) HOOK_OFF_##name

const word hook_wrapper[HOOK_SITE_COUNT] = {
#define X(name, fn) [HOOK_SITE_##name] = (word)wrap_##name,
	HOOK_SITES(X)
#undef X
};

#define TTY_NEEDS O(TTY_DRIVER), O(TTY_INDEX), O(DRIVER_TYPE), O(DRIVER_SUBTYPE)
#define PATH_NEEDS O(PATH_MNT), O(PATH_DENTRY)
#define SK_NEEDS O(SK_FAMILY), O(SK_DPORT), O(SK_NUM), O(SK_DADDR), O(SK_RCV_SADDR)

const uint16_t *const hook_needs[HOOK_SITE_COUNT] = {
	[HOOK_SITE_PTY_WRITE] = NEEDS(TTY_NEEDS),
	[HOOK_SITE_LINE_WRITE] = NEEDS(TTY_NEEDS),
	[HOOK_SITE_LINE_READ] = NEEDS(TTY_NEEDS),
	[HOOK_SITE_PTY_RESIZE] = NEEDS(TTY_NEEDS),
	[HOOK_SITE_EXEC] = NEEDS(O(BPRM_P), O(BPRM_MM), O(BPRM_FILENAME), O(BPRM_ARGC), O(MM_PGD), PATH_NEEDS),
	[HOOK_SITE_FORK] = NEEDS(),
	[HOOK_SITE_EXIT] = NEEDS(O(TASK_SIGNAL), O(SIGNAL_LIVE)),
	[HOOK_SITE_OPEN] = NEEDS(O(FILE_PATH), O(FILE_MODE), O(FILE_INODE), O(INODE_MODE), PATH_NEEDS),
	[HOOK_SITE_RENAME] = NEEDS(PATH_NEEDS),
	[HOOK_SITE_UNLINK] = NEEDS(PATH_NEEDS),
	[HOOK_SITE_RMDIR] = NEEDS(PATH_NEEDS),
	[HOOK_SITE_CHMOD] = NEEDS(PATH_NEEDS),
	[HOOK_SITE_TCP_CONNECT] = NEEDS(SK_NEEDS),
	[HOOK_SITE_UDP_CONNECT] = NEEDS(SK_NEEDS, O(SOCKET_SK), O(SK_PROTOCOL)),
	[HOOK_SITE_ACCEPT] = NEEDS(SK_NEEDS),
	[HOOK_SITE_LISTEN] = NEEDS(SK_NEEDS),
	[HOOK_SITE_MODULE] = NEEDS(O(MODULE_NAME)),
	[HOOK_SITE_CRED] = NEEDS(),
	[HOOK_SITE_UNIX_READ] = NEEDS(O(SKB_DATA), O(SKB_LEN), O(SKB_UNIX_CONSUMED)),
	[HOOK_SITE_MNT_WRITE] = NEEDS(),
	[HOOK_SITE_TTY_BATCH] = NEEDS(),
	[HOOK_SITE_SLEEP] = NEEDS(),
	[HOOK_SITE_STACK] = NEEDS(),
	[HOOK_SITE_UNMAP] = NEEDS(),
	[HOOK_SITE_KERNEL_READ] = NEEDS(),
};

/* ---- what several of them need ------------------------------------------ */

uint32_t tty_id(word tty, bool *master)
{
	/* linux/tty_driver.h */
	enum { CONSOLE = 2, SERIAL = 3, PTY = 4, PTY_MASTER = 1 };
	word driver = load_word(FIELD(tty, TTY_DRIVER));
	uint32_t index = load_u32(FIELD(tty, TTY_INDEX));
	*master = false;
	if (!driver)
		return 0;
	switch (load_u16(FIELD(driver, DRIVER_TYPE))) {
	case PTY:
		*master = load_u16(FIELD(driver, DRIVER_SUBTYPE)) == PTY_MASTER;
		return HOOK_TTY_ID(HOOK_TTY_PTY, index);
	case SERIAL:
		return HOOK_TTY_ID(HOOK_TTY_SERIAL, index);
	case CONSOLE:
		return HOOK_TTY_ID(HOOK_TTY_CONSOLE, index);
	default:
		return 0;
	}
}

size_t path_text(word mnt, word dentry, char *buf, size_t room, uint16_t *flags)
{
	word path[2], r;
	path[hook_plan->off[O(PATH_MNT)] / sizeof(word) & 1] = mnt;
	path[hook_plan->off[O(PATH_DENTRY)] / sizeof(word) & 1] = dentry;
	word whole = hook_plan->call[HOOK_CALL_D_PATH], part = hook_plan->call[HOOK_CALL_DENTRY_PATH];
	if (mnt && whole)
		r = ((word(*)(const word *, char *, int))whole)(path, buf, (int)room);
	else if (part)
		r = ((word(*)(word, char *, int))part)(dentry, buf, (int)room);
	else
		r = (word)-1;
	if (is_error(r)) {
		*buf = 0;
		*flags |= HOOK_F_FAULT;
		return 1;
	}
	size_t n = strlen((const char *)r) + 1;
	memmove(buf, (const char *)r, n);
	return n;
}
