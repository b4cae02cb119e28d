/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_FACTS_H
#define SKEP_INTROSPECT_FACTS_H

#include "base/slice.h"
#include "proto/hook.h"

/*
 * One thing that a guest did, as a source (src_uml, src_bpf) tells it: the
 * record of lib/proto/hook.h, checked and copied. All sources yield the same.
 *
 * What is promised: lengths are within bounds, texts end with a zero byte that
 * is not counted, numbers are in the range that their enum allows. Nothing is
 * promised about what they say: the guest's kernel may be the intruder's. Pids
 * may be any number, texts any bytes.
 *
 * The pointers of a fact point into the source's private copy and are valid
 * only until the callback returns.
 */
enum {
	/* What a source says about itself; numbers that no record has. */
	FACT_LOSS = HOOK_TYPE_COUNT, /* records were lost before this fact */
	FACT_MALFORMED,              /* records that made no sense, since the last of these */
	FACT_TYPE_COUNT
};

/* A text of the guest: s[n] == 0. May hold any other byte, never 0 before n. */
struct fact_text {
	const char *s;
	uint32_t n;
};

struct fact_tty {
	uint32_t tty;      /* HOOK_TTY_ID; the kind is not HOOK_TTY_NONE */
	uint32_t dir;      /* 0 keystrokes, 1 screen */
	struct slice data; /* what the tty took; at most HOOK_DATA_MAX bytes */
};

struct fact_exec {
	uint32_t argc, total;       /* as the guest says: of the whole, not of `args`. TRY only */
	uint32_t offset;            /* of args in the whole block; TRY: 0 */
	struct fact_text path, cwd; /* TRY. DONE: path may be empty, else the file that runs now */
	struct slice args;          /* arg\0arg\0...; may end in the middle of an argument */
};

struct fact {
	uint16_t type;            /* enum hook_type (never HOOK_NONE), or FACT_* */
	uint16_t flags;           /* HOOK_F_* */
	uint32_t tgid, tid, ppid; /* in the guest's initial pid namespace */
	uint32_t uid, euid;
	uint32_t tty; /* controlling terminal: HOOK_TTY_ID, 0 none */
	int32_t ret;
	uint64_t seq;   /* of the record in its source; 0 for FACT_* */
	uint64_t time;  /* host's realtime clock, ns */
	uint64_t gtime; /* guest's realtime clock, ns; 0 unknown */
	uint64_t task;  /* tells tasks apart when a pid is used again */
	char comm[17];  /* ends with a zero byte */
	union {
		struct {
			uint32_t version;
			uint64_t placed, absent; /* bitmaps of enum hook_site */
		} hello;                         /* HOOK_HELLO */
		struct fact_tty term;            /* HOOK_TTY */
		struct hook_winsize winsize;     /* HOOK_WINSIZE */
		struct fact_exec exec;           /* HOOK_EXEC_TRY, HOOK_EXEC_MORE, HOOK_EXEC_DONE */
		struct {
			uint32_t tgid, tid; /* tgid == fact.tgid: a thread */
		} fork;                     /* HOOK_FORK */
		struct {
			uint32_t code;  /* as in wait(2) */
			uint32_t whole; /* 1 = the whole process */
		} exit;                 /* HOOK_EXIT */
		struct {
			uint32_t num;              /* OPEN: f_flags. UNLINK: 1 = directory. CHMOD: mode */
			uint32_t mode;             /* OPEN: of the file, and HOOK_OPEN_CREATED */
			struct fact_text path, to; /* to: RENAME only */
		} file;                            /* HOOK_OPEN, _RENAME, _UNLINK, _CHMOD */
		struct hook_socket sock;           /* HOOK_SOCKET; proto TCP or UDP, family 4 or 6 */
		struct fact_text module;           /* HOOK_MODULE */
		struct {
			uint32_t old_uid, new_uid, old_euid, new_euid;
		} cred;            /* HOOK_CRED */
		struct slice auth; /* HOOK_AUTH */
		struct {
			uint64_t records, bytes; /* bytes 0 = unknown */
		} loss;                          /* FACT_LOSS, FACT_MALFORMED (records) */
	};
};

/* Called for each fact, in the order of the source. */
typedef void (*fact_fn)(void *arg, const struct fact *f);

#endif
