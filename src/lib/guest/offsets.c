/* SPDX-License-Identifier: ISC */
#include "guest/offsets.h"

#include "guest/trace.h"

#define OFFSET_MAX 0x4000
#define THREAD_MIN 0x1000u
#define THREAD_MAX 0x10000u
#define MIN_OFFSET 100 /* pick: the smallest offset of those that match */
#define NOT_STORED 101 /* the first one that the function does not store into as well */

enum { ARG0 = TRACE_ARG0, ARG1, ARG2, ARG3, CURRENT = TRACE_CURRENT };
enum { LOAD = TRACE_LOAD, STORE = TRACE_STORE, CHANGE = TRACE_CHANGE, ADDRESS = TRACE_ADDRESS };
#define O(x) HOOK_OFF_##x
#define DIRECT HOOK_OFF_COUNT /* the root itself */

/*
 * member, function, root of the base, through which member of it, kind and size of
 * the access (0 = any), which of the different offsets that match (0 = first), and
 * what to add. The sizes are those of the members: an access through a part of
 * one is told by its own size. Several rules for one member must agree.
 */
static const struct rule {
	uint8_t member;
	const char *fn;
	uint8_t root, via, kind, size, pick;
	int8_t add, align;
} rules[] = {
	{ O(TTY_DRIVER), "tty_devnum", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TTY_DRIVER), "n_tty_check_unthrottle", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TTY_INDEX), "tty_devnum", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(TTY_INDEX), "pty_common_install", ARG1, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(TTY_LINK), "pty_write", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TTY_LINK), "pty_unthrottle", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TTY_NAME), "tty_name", ARG0, DIRECT, ADDRESS, 0, 0, 0, 1 },
	{ O(DRIVER_TYPE), "n_tty_check_unthrottle", ARG0, O(TTY_DRIVER), LOAD, 2, 0, 0, 2 },
	{ O(DRIVER_TYPE), "tty_mode_ioctl", ARG0, O(TTY_DRIVER), LOAD, 4, 0, 0, 2 }, /* with the subtype */
	{ O(DRIVER_SUBTYPE), "pty_close", ARG0, O(TTY_DRIVER), LOAD, 2, 0, 0, 2 },
	{ O(DRIVER_MAJOR), "tty_devnum", ARG0, O(TTY_DRIVER), LOAD, 4, 0, 0, 4 },
	{ O(DRIVER_MINOR_START), "tty_devnum", ARG0, O(TTY_DRIVER), LOAD, 4, 1, 0, 4 },
	{ O(TASK_COMM), "__get_task_comm", ARG2, DIRECT, ADDRESS, 0, 0, 0, 1 },
	{ O(TASK_MM), "get_task_mm", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_MM), "get_task_exe_file", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_PID), "get_current_pid", CURRENT, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(TASK_TGID), "unhandled_signal", ARG0, DIRECT, LOAD, 4, 0, 0, 4 }, /* is_global_init() */
	{ O(TASK_REAL_PARENT), "sys_getppid", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_CRED), "sys_getuid", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_CRED), "sys_geteuid", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_SIGNAL), "get_current_tty", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_SIGNAL), "__tty_check_change", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_FS), "sys_getcwd", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(TASK_FS), "d_path", CURRENT, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(SIGNAL_TTY), "get_current_tty", CURRENT, O(TASK_SIGNAL), LOAD, 8, 0, 0, 8 },
	{ O(SIGNAL_TTY), "__tty_check_change", CURRENT, O(TASK_SIGNAL), LOAD, 8, 0, 0, 8 },
	{ O(SIGNAL_LIVE), "do_exit", CURRENT, O(TASK_SIGNAL), CHANGE, 4, MIN_OFFSET, 0, 4 },
	{ O(FS_PWD), "set_fs_pwd", ARG0, DIRECT, STORE, 16, 0, 0, 8 },
	{ O(FS_PWD), "sys_getcwd", CURRENT, O(TASK_FS), LOAD, 16, 1, 0, 8 }, /* after the root */
	{ O(MM_PGD), "virt_to_pte", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(MM_EXE_FILE), "get_mm_exe_file", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(CRED_UID), "sys_getuid", CURRENT, O(TASK_CRED), LOAD, 4, 0, 0, 4 },
	{ O(CRED_EUID), "sys_geteuid", CURRENT, O(TASK_CRED), LOAD, 4, 0, 0, 4 },
	{ O(BPRM_P), "copy_string_kernel", ARG1, DIRECT, STORE, 8, 0, 0, 8 },
	{ O(BPRM_P), "create_elf_tables", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(BPRM_MM), "get_arg_page", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(BPRM_MM), "free_bprm", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(BPRM_FILENAME), "bprm_change_interp", ARG1, DIRECT, LOAD, 8, NOT_STORED, 0, 8 },
	{ O(BPRM_ARGC), "remove_arg_zero", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(BPRM_ARGC), "create_elf_tables", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(BPRM_ENVC), "create_elf_tables", ARG0, DIRECT, LOAD, 4, 1, 0, 4 },
	{ O(FILE_PATH), "file_path", ARG0, DIRECT, ADDRESS, 0, 0, 0, 8 },
	{ O(FILE_FLAGS), "generic_file_open", ARG1, DIRECT, LOAD, 1, 0, -1, 4 }, /* O_LARGEFILE: its second byte */
	{ O(FILE_MODE), "nonseekable_open", ARG1, DIRECT, CHANGE, 4, 0, 0, 4 },
	{ O(FILE_INODE), "vfs_fallocate", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(INODE_MODE), "inode_init_owner", ARG1, DIRECT, STORE, 2, 0, 0, 2 },
	{ O(PATH_MNT), "path_get", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(PATH_DENTRY), "path_get", ARG0, DIRECT, LOAD, 8, 1, 0, 8 },
	{ O(PATH_DENTRY), "d_path", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(DENTRY_PARENT), "dget_parent", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(DENTRY_PARENT), "prepend_path", ARG0, O(PATH_DENTRY), LOAD, 8, 0, 0, 8 },
	{ O(DENTRY_NAME), "take_dentry_name_snapshot", ARG1, DIRECT, LOAD, 16, 0, 0, 8 },
	{ O(DENTRY_NAME), "d_same_name", ARG0, DIRECT, LOAD, 4, 0, -4, 8 }, /* its length */
	{ O(MNT_ROOT), "d_path", ARG0, O(PATH_MNT), LOAD, 8, 0, 0, 8 },
	{ O(MNT_ROOT), "prepend_path", ARG0, O(PATH_MNT), LOAD, 8, 0, 0, 8 },
	{ O(SOCKET_SK), "inet_getname", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(SOCKET_SK), "inet_dgram_connect", ARG0, DIRECT, LOAD, 8, 0, 0, 8 },
	{ O(SK_FAMILY), "inet_rcv_saddr_equal", ARG0, DIRECT, LOAD, 2, 0, 0, 2 },
	{ O(SK_DPORT), "inet_getname", ARG0, O(SOCKET_SK), LOAD, 4, 0, 0, 2 }, /* with the own port */
	{ O(SK_NUM), "inet_bind_hash", ARG0, DIRECT, STORE, 2, 0, 0, 2 },
	{ O(SK_NUM), "inet_autobind", ARG0, DIRECT, LOAD, 2, 0, 0, 2 },
	{ O(SK_DADDR), "inet_csk_rebuild_route", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(SK_RCV_SADDR), "inet_rcv_saddr_equal", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(SK_V6_DADDR), "inet_diag_msg_common_fill", ARG1, DIRECT, LOAD, 16, 1, 0, 4 },
	{ O(SK_V6_RCV_SADDR), "inet_rcv_saddr_equal", ARG0, DIRECT, ADDRESS, 0, 0, 0, 4 },
	{ O(SK_V6_RCV_SADDR), "inet_diag_msg_common_fill", ARG1, DIRECT, LOAD, 16, 0, 0, 4 },
	{ O(SK_PROTOCOL), "ip_build_and_send_pkt", ARG1, DIRECT, LOAD, 2, 0, 0, 2 },
	{ O(SK_PROTOCOL), "inet_csk_route_req", ARG0, DIRECT, LOAD, 4, 0, 0, 2 },
	{ O(MODULE_NAME), "do_init_module", ARG0, DIRECT, ADDRESS, 0, MIN_OFFSET, 0, 1 },
	{ O(MODULE_NAME), "free_module", ARG0, DIRECT, LOAD, 8, MIN_OFFSET, 16, 1 }, /* after its list */
	{ O(SKB_DATA), "skb_push", ARG0, DIRECT, STORE, 8, 0, 0, 8 },
	{ O(SKB_LEN), "skb_push", ARG0, DIRECT, CHANGE, 4, 0, 0, 4 },
	{ O(SKB_LEN), "skb_pull", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
	{ O(SKB_UNIX_CONSUMED), "unix_stream_read_actor", ARG0, DIRECT, LOAD, 4, 0, 0, 4 },
};

/* What the headers of Linux 6.1 promise whatever the configuration: `a` stands
 * `far` bytes behind `b`. */
static const struct {
	uint8_t a, b, far;
} known[] = {
	{ O(DRIVER_SUBTYPE), O(DRIVER_TYPE), 2 },
	{ O(DRIVER_MINOR_START), O(DRIVER_MAJOR), 4 },
	{ O(TASK_TGID), O(TASK_PID), 4 },
	{ O(CRED_EUID), O(CRED_UID), 16 },
	{ O(BPRM_P), O(BPRM_MM), 8 },
	{ O(BPRM_ENVC), O(BPRM_ARGC), 4 },
	{ O(FILE_INODE), O(FILE_PATH), 16 },
	{ O(FILE_MODE), O(FILE_FLAGS), 4 },
	{ O(PATH_DENTRY), O(PATH_MNT), 8 },
	{ O(DENTRY_NAME), O(DENTRY_PARENT), 8 },
	{ O(MOUNT_MOUNTPOINT), O(MOUNT_PARENT), 8 },
	{ O(SK_NUM), O(SK_DPORT), 2 },
	{ O(SK_RCV_SADDR), O(SK_DADDR), 4 },
	{ O(SK_V6_RCV_SADDR), O(SK_V6_DADDR), 16 },
};

/* Of struct mount, which surrounds the struct vfsmount that one is given. */
static const char mount_fn[] = "follow_up", mnt_fn[] = "mntget", stack_fn[] = "sys_getuid";

static bool listed(const char **names, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

unsigned guest_offset_functions(const char **names)
{
	unsigned n = 0;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (n < GUEST_OFFSET_FUNCTIONS && !listed(names, n, rules[i].fn))
			names[n++] = rules[i].fn;
	for (unsigned k = 0; k < 3 && n < GUEST_OFFSET_FUNCTIONS; k++) {
		const char *more[] = { mount_fn, mnt_fn, stack_fn };
		if (!listed(names, n, more[k]))
			names[n++] = more[k];
	}
	return n;
}

struct finder {
	const struct guest_elf *g;
	const struct guest_function *f;
	unsigned n;
	const char *traced; /* of t */
	struct trace t;
};

static const struct trace *trace_of(struct finder *x, const char *fn)
{
	if (x->traced && strcmp(x->traced, fn) == 0)
		return &x->t;
	x->traced = NULL;
	for (unsigned i = 0; i < x->n; i++)
		if (strcmp(x->f[i].name, fn) == 0 && x->f[i].addr &&
		    trace_function(x->g, x->f[i].addr, (size_t)x->f[i].size, &x->t)) {
			x->traced = fn;
			return &x->t;
		}
	return NULL;
}

static bool stored(const struct trace *t, int node, int32_t off)
{
	for (unsigned i = 0; i < t->accesses; i++)
		if (t->access[i].node == node && t->access[i].off == off && t->access[i].kind == STORE)
			return true;
	return false;
}

/* The offset that (kind, size, pick) mean among the accesses to node. */
static bool pick(const struct trace *t, int node, uint8_t kind, uint8_t size, unsigned which, int32_t *out)
{
	int32_t seen[16], best = 0;
	unsigned n = 0;
	for (unsigned i = 0; i < t->accesses; i++) {
		const struct trace_access *a = &t->access[i];
		bool again = false;
		if (a->node != node || a->kind != kind || (size && a->size != size))
			continue;
		if (which == NOT_STORED && stored(t, node, a->off))
			continue;
		for (unsigned k = 0; k < n; k++)
			again = again || seen[k] == a->off;
		if (again || n == sizeof(seen) / sizeof(seen[0]))
			continue;
		best = n == 0 || a->off < best ? a->off : best;
		seen[n++] = a->off;
	}
	if (which >= MIN_OFFSET ? n == 0 : which >= n)
		return false;
	*out = which == MIN_OFFSET ? best : which == NOT_STORED ? seen[0] : seen[which];
	return true;
}

/* -1: the rule finds nothing. */
static int32_t apply(struct finder *x, const struct rule *r, const uint16_t *off)
{
	const struct trace *t = trace_of(x, r->fn);
	int node = r->root;
	int32_t v;
	if (!t || (r->via != DIRECT && off[r->via] == HOOK_OFF_NONE))
		return -1;
	if (r->via != DIRECT)
		node = trace_member(t, node, off[r->via]);
	if (node < 0 || !pick(t, node, r->kind, r->size, r->pick, &v))
		return -1;
	v += r->add;
	return v < 0 || v >= OFFSET_MAX || v % r->align ? -1 : v;
}

static void mount_members(struct finder *x, uint16_t *off)
{
	int32_t mnt, parent, point;
	const struct trace *t = trace_of(x, mnt_fn);
	if (!t || !pick(t, ARG0, ADDRESS, 0, 0, &mnt) || mnt >= 0 || mnt < -OFFSET_MAX || off[O(PATH_MNT)])
		return;
	t = trace_of(x, mount_fn);
	int node = t ? trace_member(t, ARG0, off[O(PATH_MNT)]) : -1;
	if (node < 0 || !pick(t, node, LOAD, 8, 0, &parent) || !pick(t, node, LOAD, 8, 1, &point) || parent < mnt ||
	    parent >= 0 || point < mnt || point >= 0)
		return;
	off[O(MOUNT_MNT)] = (uint16_t)-mnt;
	off[O(MOUNT_PARENT)] = (uint16_t)(parent - mnt);
	off[O(MOUNT_MOUNTPOINT)] = (uint16_t)(point - mnt);
}

static void check_known(uint16_t *off)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint16_t *a = &off[known[i].a], *b = &off[known[i].b];
		if (*a == HOOK_OFF_NONE || *b == HOOK_OFF_NONE || *a == *b + known[i].far)
			continue;
#ifndef MUTANT_GUEST_OFFSET_GUESS
		*a = *b = HOOK_OFF_NONE;
#endif
	}
}

void guest_offsets(const struct guest_elf *g, const struct guest_function *f, unsigned n, uint16_t off[HOOK_OFF_COUNT],
		   uint32_t *thread_size)
{
	static struct finder x;
	bool contradicted[HOOK_OFF_COUNT] = { false };
	x = (struct finder){ .g = g, .f = f, .n = n };
	for (unsigned i = 0; i < HOOK_OFF_COUNT; i++)
		off[i] = HOOK_OFF_NONE;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *r = &rules[i];
		int32_t v = contradicted[r->member] ? -1 : apply(&x, r, off);
		if (v < 0)
			continue;
		if (off[r->member] != HOOK_OFF_NONE && off[r->member] != v) {
#ifndef MUTANT_GUEST_OFFSET_GUESS
			contradicted[r->member] = true;
			off[r->member] = HOOK_OFF_NONE;
#endif
			continue;
		}
		off[r->member] = (uint16_t)v;
	}
	mount_members(&x, off);
	check_known(off);
	const struct trace *t = trace_of(&x, stack_fn);
	uint64_t size = t ? -t->stack : 0;
	*thread_size = size >= THREAD_MIN && size <= THREAD_MAX ? (uint32_t)size : 0;
}
