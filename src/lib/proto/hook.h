/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_HOOK_H
#define SKEP_PROTO_HOOK_H

#include <stdint.h>

/*
 * What a guest kernel's hooks write and the introspect process reads: raw facts,
 * before anybody made sense of them. Two ways write the same records: the
 * preloaded library inside User Mode Linux (src/shim), and BPF programs on
 * uprobes (src/bpf). The reader believes none of it: a guest whose kernel is the
 * intruder's can write what it likes.
 *
 * This header is included by code that runs without a C library (the shim) and
 * by BPF programs: plain structures only.
 *
 * Transport of the shim: a ring of lib/proto/ring.h whose entries have kind
 * RING_HOOK, seq from 1 without gaps, time = the host's CLOCK_REALTIME in ns;
 * what did not fit is told by a RING_NOTE (lost_frames = records, lost_bytes) as
 * soon as there is room again, and takes no seq. Transport of BPF: a BPF ring
 * buffer whose samples are struct ring_entry + struct hook_rec + data as well.
 */
#define RING_HOOK 4

enum hook_type {
	HOOK_NONE,
	HOOK_HELLO,    /* u32 version, u32 zero, u64 bitmap of hooks in place, u64 of those that could not be placed */
	HOOK_TTY,      /* struct hook_tty, then the bytes that the tty took (not those it refused) */
	HOOK_WINSIZE,  /* struct hook_winsize */
	HOOK_EXEC_TRY, /* u32 argc, u32 bytes of the argument block in all, path\0, cwd\0, then the block: arg\0arg\0...
			*/
	HOOK_EXEC_MORE, /* u32 offset in the block, u32 zero, bytes: goes on from the same task's EXEC_TRY */
	HOOK_EXEC_DONE, /* ret: 0 or negative errno. comm, uid are those of the new program. If 0: path\0 of its file as
			 * the kernel names it ("/memfd:x (deleted)"; of a script its interpreter), or nothing */
	HOOK_FORK,      /* u32 tgid of the new task, u32 tid. tgid == the caller's: a thread */
	HOOK_EXIT,      /* u32 code as in wait(2), u32 1 = the whole process (last thread or group exit) */
	HOOK_OPEN,   /* u32 f_flags, u32 mode (i_mode, HOOK_OPEN_CREATED), path\0; only opened for writing, or created
		      */
	HOOK_RENAME, /* old\0 new\0 */
	HOOK_UNLINK, /* u32 1 = directory, u32 zero, path\0 */
	HOOK_CHMOD,  /* u32 mode, u32 zero, path\0 */
	HOOK_SOCKET, /* struct hook_socket */
	HOOK_MODULE, /* name\0 */
	HOOK_CRED,   /* u32 old uid, u32 new uid, u32 old euid, u32 new euid */
	HOOK_AUTH,   /* bytes of one read from a unix stream socket by a process whose comm is "sshd"; at most
		      * HOOK_AUTH_MAX: longer reads are not told */
	HOOK_TYPE_COUNT
};
#define HOOK_OPEN_CREATED 0x80000000u /* this open made the file */

/* Before the data of each record. All numbers in host byte order. */
struct hook_rec {
	uint16_t type;            /* enum hook_type */
	uint16_t flags;           /* HOOK_F_* */
	uint32_t tgid, tid, ppid; /* of the guest's current task; ppid = tgid of its real parent */
	uint32_t uid, euid;
	uint32_t tty;   /* of current's controlling terminal: HOOK_TTY_ID, 0 = none */
	int32_t ret;    /* what the hooked function returned, for those that record afterwards */
	uint64_t gtime; /* guest's realtime clock, ns; 0 = unknown */
	uint64_t task;  /* address of the task structure: tells tasks apart when a pid is used again */
	char comm[16];
};
#define HOOK_F_CUT 1u   /* the data was longer than what is here, and the rest is lost */
#define HOOK_F_MORE 2u  /* EXEC_TRY, EXEC_MORE: another EXEC_MORE follows */
#define HOOK_F_FAULT 4u /* some of it could not be read */

/* A terminal: what kind, and its index. */
enum hook_tty_kind { HOOK_TTY_NONE, HOOK_TTY_PTY, HOOK_TTY_SERIAL, HOOK_TTY_CONSOLE };
#define HOOK_TTY_ID(kind, index) ((uint32_t)(kind) << 24 | ((uint32_t)(index)&0xffffff))
#define HOOK_TTY_KIND(id) ((id) >> 24)
#define HOOK_TTY_INDEX(id) ((id)&0xffffff)

struct hook_tty {
	uint32_t tty; /* HOOK_TTY_ID */
	uint32_t dir; /* 0: towards the program (keystrokes), 1: from it (what the screen shows) */
};
struct hook_winsize {
	uint32_t tty;
	uint16_t rows, cols;
};

enum hook_socket_op { HOOK_CONNECT, HOOK_ACCEPT, HOOK_LISTEN, HOOK_SOCKET_OP_COUNT };
struct hook_socket {
	uint8_t op;     /* enum hook_socket_op */
	uint8_t proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t family; /* 4 or 6; an IPv4-mapped IPv6 address is told as 4 */
	uint8_t zero;
	uint16_t local_port, peer_port; /* host byte order */
	uint8_t local[16], peer[16];    /* IPv4 in the first four bytes */
};

#define HOOK_DATA_MAX 8192u /* bytes after struct hook_rec; longer data is split (TTY, EXEC) or cut */
#define HOOK_PATH_MAX 4096u
#define HOOK_AUTH_MAX 1024u

/* ---- the plan: where to hook, and where in structures to look --------------- */

/*
 * Made from the guest kernel's own binary by lib/guest, once for each build of
 * it. Constant after it was made; passed as a sealed memfd that holds just this
 * structure.
 */
#define HOOK_PLAN_MAGIC 0x316c7073u /* "spl1" */

/* X(NAME, function in the guest kernel): each is hooked at its entry. */
#define HOOK_SITES(X)                                                                                                  \
	X(PTY_WRITE, "pty_write")                                                                                      \
	X(LINE_WRITE, "line_write")        /* arch/um: output of serial lines and consoles */                          \
	X(LINE_READ, "n_tty_receive_buf2") /* input of serial lines; of ptys as well, to be left out */                \
	X(PTY_RESIZE, "tty_do_resize")                                                                                 \
	X(EXEC, "bprm_execve")                                                                                         \
	X(FORK, "wake_up_new_task")                                                                                    \
	X(EXIT, "do_exit")                                                                                             \
	X(OPEN, "do_filp_open")                                                                                        \
	X(RENAME, "vfs_rename")                                                                                        \
	X(UNLINK, "vfs_unlink")                                                                                        \
	X(RMDIR, "vfs_rmdir")                                                                                          \
	X(CHMOD, "chmod_common")                                                                                       \
	X(TCP_CONNECT, "tcp_connect")        /* (sk): of IPv4, and of IPv6 even where that is a module */              \
	X(UDP_CONNECT, "inet_dgram_connect") /* (socket, address, length, flags): likewise */                          \
	X(ACCEPT, "inet_csk_accept")                                                                                   \
	X(LISTEN, "inet_csk_listen_start")                                                                             \
	X(MODULE, "do_init_module")                                                                                    \
	X(CRED, "commit_creds")                                                                                        \
	X(UNIX_READ, "unix_stream_read_actor")                                                                         \
	X(MNT_WRITE, "mnt_want_write") /* (mnt): before rename, unlink, rmdir, which are not told the mount */         \
	X(TTY_BATCH, "n_tty_write")    /* one write(2) of a program may be many of its terminal's: one record */       \
	X(SLEEP, "wait_woken")         /* whoever waits in there has said all */                                       \
	X(STACK, "dump_trace")         /* /proc/PID/stack: the shim shows stacks as they would be without it */        \
	X(UNMAP, "unmap") /* arch/um, of a new program's host process: the shim takes away what is above the guest */  \
	X(KERNEL_READ, "copy_from_kernel_nofault") /* /dev/mem, /proc/kcore: the shim shows them what it replaced */

enum hook_site {
#define X(name, fn) HOOK_SITE_##name,
	HOOK_SITES(X)
#undef X
	    HOOK_SITE_COUNT
};

/* Functions of the guest kernel that the shim may call (never sleep). */
#define HOOK_CALLS(X)                                                                                                  \
	X(D_PATH, "d_path")                                                                                            \
	X(DENTRY_PATH, "dentry_path_raw")                                                                              \
	X(KTIME_REAL, "ktime_get_real_ts64")                                                                           \
	X(SET_SIGNALS, "um_set_signals") /* int (int on): the guest's interrupts; returns what it was */

enum hook_call {
#define X(name, fn) HOOK_CALL_##name,
	HOOK_CALLS(X)
#undef X
	    HOOK_CALL_COUNT
};

/* Offsets of structure members, in bytes. MOUNT_*: of struct mount, whose member
 * MOUNT_MNT is the struct vfsmount that functions are given; TASK_COMM, TTY_NAME, MODULE_NAME,
 * DENTRY_NAME (struct qstr: u32 hash, u32 len, name), FILE_PATH, FS_PWD lie inside. */
/* clang-format off */
#define HOOK_OFFSETS(X) \
	X(TTY_DRIVER) X(TTY_INDEX) X(TTY_LINK) X(TTY_NAME) X(DRIVER_TYPE) X(DRIVER_SUBTYPE) X(DRIVER_MAJOR) \
	X(DRIVER_MINOR_START) X(TASK_COMM) X(TASK_MM) X(TASK_PID) X(TASK_TGID) X(TASK_REAL_PARENT) X(TASK_CRED) \
	X(TASK_SIGNAL) X(TASK_FS) X(SIGNAL_TTY) X(SIGNAL_LIVE) X(FS_PWD) X(MM_PGD) X(MM_EXE_FILE) X(CRED_UID) \
	X(CRED_EUID) X(BPRM_P) X(BPRM_MM) X(BPRM_FILENAME) X(BPRM_ARGC) X(BPRM_ENVC) X(FILE_PATH) X(FILE_FLAGS) \
	X(FILE_MODE) X(FILE_INODE) X(INODE_MODE) X(PATH_MNT) X(PATH_DENTRY) X(DENTRY_PARENT) X(DENTRY_NAME) \
	X(MNT_ROOT) X(MOUNT_MNT) X(MOUNT_PARENT) X(MOUNT_MOUNTPOINT) X(SOCKET_SK) X(SK_FAMILY) X(SK_DPORT) X(SK_NUM) X(SK_DADDR) \
	X(SK_RCV_SADDR) X(SK_V6_DADDR) X(SK_V6_RCV_SADDR) X(SK_PROTOCOL) X(MODULE_NAME) X(SKB_DATA) X(SKB_LEN) \
	X(SKB_UNIX_CONSUMED)
/* clang-format on */

enum hook_offset {
#define X(name) HOOK_OFF_##name,
	HOOK_OFFSETS(X)
#undef X
	    HOOK_OFF_COUNT
};
#define HOOK_RETS 2
#define HOOK_OFF_NONE 0xffffu /* not known for this kernel */

struct hook_place {
	uint64_t addr;    /* in the guest kernel's process; 0 = this kernel has no such function */
	uint8_t orig[24]; /* what must stand there */
	uint8_t keep;     /* whole instructions that the jump replaces: 5 or more bytes; all position-independent. 0 =
			   * cannot be hooked by a jump */
	uint8_t probe;    /* offset of an instruction that uprobes emulate (push, nop), for BPF */
	uint8_t pad[6];
};

struct hook_plan {
	uint32_t magic, size; /* of this structure */
	uint8_t build_id[32]; /* BLAKE2b of the kernel's file */
	uint64_t base;        /* address at which file offset 0 is loaded */
	uint64_t text, text_end;
	uint32_t thread_size; /* of a kernel stack, a power of two: current = *(u64 *)(stack pointer & -thread_size) */
	uint32_t zero;
	struct hook_place site[HOOK_SITE_COUNT];
	uint64_t call[HOOK_CALL_COUNT]; /* 0 = this kernel has none */
	uint16_t off[HOOK_OFF_COUNT];
	/* For BPF alone (lib/guest/returns.h): instructions at which rax holds what
	 * the site's function returns; 0 = none. */
	uint64_t ret[HOOK_SITE_COUNT][HOOK_RETS];
	uint64_t tty_write; /* likewise: where the line discipline is given (rdi) a terminal to write to; 0 = none */
};

#endif
