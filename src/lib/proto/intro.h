/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_INTRO_H
#define SKEP_PROTO_INTRO_H

#include <stdint.h>

/*
 * What introspection says happened inside a honeypot: introspect -> evidence
 * (MSG_EV_INTRO) -> sessions/HONEYPOT.NNNNNN.skt, byte for byte the same records.
 * docs/formats.md describes the file. Little endian, as all machines that skep
 * runs on.
 *
 * Each record is a struct intro_rec and a payload; `len` counts both, without
 * the zero bytes that pad it to a multiple of 8. A text is bytes with a zero byte at
 * its end; it may hold anything else.
 */
#define INTRO_FORMAT 1u
#define INTRO_REC_MAX 16384u /* bytes of one record, header and payload */

struct intro_rec {
	uint32_t len;
	uint16_t kind;    /* enum intro_kind */
	uint16_t flags;   /* INTRO_F_* */
	uint64_t seq;     /* of this source of this honeypot, from 1, no gaps */
	uint64_t time;    /* host's realtime clock, ns */
	uint64_t gtime;   /* guest's realtime clock, ns; 0 = unknown */
	uint64_t session; /* 48 bits, shown as 12 hex digits; 0 = belongs to none */
	uint32_t pid, ppid;
	uint32_t uid, tty; /* tty: HOOK_TTY_ID of lib/proto/hook.h, 0 = none */
	char comm[16];
};
#define INTRO_F_CUT 1u   /* longer than what is here */
#define INTRO_F_MORE 2u  /* EXEC: the next record carries on (it follows at once) */
#define INTRO_F_FAULT 4u /* some of it could not be read */
#define INTRO_F_CONT                                                                                                   \
	8u /* EXEC: this one carries on: its payload is argument bytes only, from where the last one stopped */
#define INTRO_F_EDITED                                                                                                 \
	16u /* COMMAND: typed with keys whose effect (history, completion) only the screen shows; taken from there */
#define INTRO_F_NOECHO 32u /* COMMAND: what was typed did not appear on the screen */

enum intro_kind {
	INTRO_NONE,
	INTRO_SOURCE,  /* struct intro_source, text: a source began (first record of each series, seq 1), or the guest's
			* kernel started and said which hooks are in place */
	INTRO_LOSS,    /* struct intro_loss: facts that were lost, or made no sense, before this one */
	INTRO_TAMPER,  /* text: the guest attacks the hooks */
	INTRO_SESSION, /* struct intro_session, text user: a session begins, or more is known about it (last one wins)
			*/
	INTRO_END,     /* struct intro_end: a session is over: nobody serves its connection any more. What its processes
			* do after that still carries its id; another END with the final sums follows the last of them */
	INTRO_TTY,     /* u32 dir (0 input, 1 output), bytes */
	INTRO_WINSIZE, /* u16 rows, u16 cols */
	INTRO_LOGIN, /* u32 outcome (enum intro_outcome), u32 how (enum intro_auth), text user, text password (KEY: the
		      * key's algorithm) */
	INTRO_COMMAND, /* text: a line as it was typed and edited; may hold newlines (pasted). tty 0: the command of an
			* ssh exec request */
	INTRO_EXEC, /* i32 ret, u32 argc, text path, text cwd, arguments as texts (F_MORE: go on in the next). pid, comm
		     * and uid are those after it */
	INTRO_FORK, /* u32 pid of the child */
	INTRO_EXIT, /* u32 code as of wait(2) */
	INTRO_FILE, /* u32 op (enum intro_file_op), u32 flags as of open(2) or mode (CHMOD), text path, text other path
		     */
	INTRO_SOCKET, /* struct hook_socket of lib/proto/hook.h */
	INTRO_MODULE, /* text name */
	INTRO_CRED,   /* u32 old uid, u32 new uid, u32 old euid, u32 new euid */
	INTRO_KIND_COUNT
};

/*
 * First in each file sessions/HONEYPOT.skt: a struct intro_rec of kind INTRO_NONE
 * with seq 0, time = when the file was begun, everything else 0, and this. Written by
 * evidence; the records behind it are introspect's.
 */
#define INTRO_FILE_MAGIC "skepsess" /* eight bytes, no terminator */
struct intro_file {
	char magic[8];
	uint32_t format; /* INTRO_FORMAT */
	uint32_t zero;
	char honeynet[32], honeypot[32]; /* zero-filled */
};

enum intro_way { INTRO_WAY_HOOKS, INTRO_WAY_PROBES, INTRO_WAY_COUNT };
struct intro_source {
	uint32_t way;    /* enum intro_way */
	uint32_t format; /* INTRO_FORMAT */
	uint64_t sites;  /* bitmap of enum hook_site that are in place */
	uint64_t absent; /* of those that are not */
};
struct intro_loss {
	uint64_t records, bytes; /* bytes 0 = unknown */
};
/* Who: the conversation that carries it. Equal to the gateway's flow in addresses, ports and time, so that the two can
 * be joined (community_id is computed from it). */
struct intro_session {
	uint64_t start;                       /* ns */
	uint8_t proto, family, service, zero; /* proto 0: no network (serial console); service: enum intro_service */
	uint16_t local_port, peer_port;
	uint8_t local[16], peer[16];
	uint64_t parent; /* the session inside which this one began (su, screen), or 0 */
};
enum intro_service { INTRO_SVC_OTHER, INTRO_SVC_SSH, INTRO_SVC_TELNET, INTRO_SVC_CONSOLE };
struct intro_end {
	uint64_t start, end;
	uint64_t in_bytes, out_bytes; /* of its terminals */
	uint32_t commands, execs;
};
enum intro_outcome { INTRO_FAILED, INTRO_SUCCEEDED, INTRO_UNKNOWN };
enum intro_auth { INTRO_AUTH_PASSWORD, INTRO_AUTH_KEY, INTRO_AUTH_TTY };
enum intro_file_op { INTRO_WRITE, INTRO_CREATE, INTRO_RENAME, INTRO_UNLINK, INTRO_RMDIR, INTRO_CHMOD, INTRO_FILE_OPS };

#endif
