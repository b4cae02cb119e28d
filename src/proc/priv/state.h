/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_PRIV_STATE_H
#define SKEP_PROC_PRIV_STATE_H

#include "base/dirs.h"
#include "base/err.h"
#include "base/ev.h"
#include "model/model.h"
#include "proto/msg.h"
#include "sandbox/cgroup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Everything that priv knows. Theory of operation: see priv.c.
 */

/* A root start owns the uids UID_FIRST + UID_BLOCK * slot ... + UID_BLOCK - 1
 * (and the gids of the same numbers). They are beyond what distributions hand
 * out to users, containers and systemd's DynamicUser. */
#define UID_FIRST 0x70000000u
#define UID_BLOCK 1024u
#define UID_SLOTS 1024u
enum uid_offset {
	UID_SUPER = 0,
	UID_GATEWAY = 1,
	UID_EVIDENCE = 2,
	UID_INSPECT = 3,
	UID_ENGINE = 4,
	UID_SINKHOLE = 16,    /* + the network's slot */
	UID_HANDLER = 256,    /* + the honeypot's slot */
	UID_VMM = 512,        /* + the honeypot's slot */
	UID_INTROSPECT = 768, /* + the honeypot's slot */
};
#define UID_SAME ((uid_t)-1)

/* Kinds of fds in the answer to PRIV_LAB_FDS, in this order. */
#define LAB_FD_USER 1u
#define LAB_FD_NET 2u

struct child {
	pid_t pid; /* 0 = none. Ours to reap, so that the number cannot be another's */
	enum role role;
	uint32_t slot;
	bool vmm; /* the VMM itself, not its handler */
};

/* What PRIV_DISK handed out for a slot: PRIV_VMM takes nothing else. */
struct disk_id {
	char honeypot[NAME_CAP];
	uint64_t overlay_dev, overlay_ino;
	uint64_t base_dev, base_ino;
};

struct lab_net {
	bool up;
	uint32_t nlab;
	struct addr lab[MODEL_LAB_ADDRS]; /* what it asked for */
};

struct lab_prefix {
	struct addr addr;
	unsigned users; /* networks that asked for it */
};

struct lab {
	bool made;
	int ns, hub;    /* network namespaces: the lab's, our own */
	int nl, hub_nl; /* rtnetlink sockets in them */
	int sk, hub_sk; /* for ioctls */
	unsigned lo;    /* index of the lab's loopback */
	struct lab_net nets[MODEL_NETS];
	struct lab_prefix prefixes[MODEL_LAB_ADDRS * MODEL_NETS]; /* routes that exist */
	unsigned nprefixes;
};

/* The place of a network's sinkhole. */
struct sink {
	bool up;
	int ns;
};

struct out_msg;
struct probe;

struct priv {
	char name[NAME_CAP];
	bool root; /* started by root: own uids; else own user namespace */
	uid_t operator;
	uid_t uid_base; /* root only */
	int slot_fd;    /* holds the uid slot; -1 = none */
	char slot_path[64];

	int status_fd; /* to the cli that waits for "ready"; -1 once told */
	int lock_fd;   /* whoever has it owns the honeynet */
	int log_fd;
	int run_fd, images_fd, evidence_fd, disks_fd; /* directories */
	char evidence_path[DIRS_PATH], log_path[DIRS_PATH];
	int ctl_fd;    /* listening; handed to super, then closed */
	bool ctl_made; /* run/NAME/ctl is ours to remove */

	struct ev ev;
	struct ev_source signals, commands;
	int signal_fd;
	struct ev_timer start_timer, grace_timer, end_timer, log_timer;

	struct chan super; /* state: STATE_INIT, then STATE_RUN, then STATE_DRAIN */
	struct out_msg *out_head, **out_tail;
	unsigned out_n;

	struct child super_child, evidence, gateway;
	struct child handlers[MODEL_HONEYPOTS], vmms[MODEL_HONEYPOTS], introspects[MODEL_HONEYPOTS];
	struct disk_id disks[MODEL_HONEYPOTS];
	struct probe *probes[MODEL_HONEYPOTS]; /* loaded for the next VMM of the slot, or attached to it; NULL */
	struct lab lab;
	struct sink sinks[MODEL_NETS];
	struct child sinkholes[MODEL_NETS];
	struct child inspect; /* the handler of the inline engine */
	struct child engine;  /* the inline engine itself */
	struct cgroup engine_group;
	int engine_ns;                        /* without a process of ours in it: where an appliance may run; -1 */
	struct cgroup groups;                 /* of the honeynet; none if have is 0 */
	struct cgroup group[MODEL_HONEYPOTS]; /* of each VMM */

	bool ending;
	bool quit_asked; /* by PRIV_QUIT, which is not answered yet */
	uint64_t quit_req;
	int exit_status;
	struct err why; /* of a start that failed */
};

/* setup.c: directories, log, lock, control socket. */
int setup_dirs(struct priv *p, struct err *e);
int setup_log(struct priv *p, struct err *e);
int setup_lock(struct priv *p, struct err *e);
int setup_ctl(struct priv *p, struct err *e);
/* Gives the evidence directory and all below it to its writer. */
int setup_evidence_owner(struct priv *p, struct err *e);
/* Opens NAME below dir, making it if need be; it must be a directory of ours
 * and no symbolic link. Returns the fd or -errno. `what` is for the message. */
int setup_dir_at(int dir, const char *name, const char *what, struct err *e);

/* slot.c */
int slot_take(struct priv *p, const char *dir, struct err *e);
void slot_release(struct priv *p);

/* confine.c: what priv itself gives up. */
int confine_namespaces(struct priv *p, struct err *e);
int confine_caps(struct err *e);
/* In a child just before exec: takes the uid (UID_SAME: keeps it), and gives up
 * every capability; with `admin` all but those that isolate_role needs to make
 * namespaces without a user namespace. */
int confine_child(uid_t uid, bool admin, struct err *e);

/* spawn.c */
int spawn_role(struct priv *p, struct child *c, enum role role, uint32_t slot, const int *fds, int nfds, struct err *e);
int spawn_super(struct priv *p, struct err *e);
/* Collects every child that ended; tells super. */
void spawn_reap(struct priv *p);
void spawn_kill(struct child *c);
/* Calls fn for every living child. */
void spawn_each(struct priv *p, void (*fn)(struct priv *p, struct child *c));

/* out.c: answers wait here while super does not read. */
void out_send(struct priv *p, uint32_t type, uint64_t req, const void *body, size_t len, const int *fds, int nfds);
void out_done(struct priv *p, uint64_t req, const struct priv_done *d, const int *fds, int nfds);
/* Sends what waits. True if nothing is left. */
bool out_flush(struct priv *p);
void out_drop(struct priv *p);

/* verbs.c: reads and carries out what super asks. */
void verbs_ready(void *arg, uint32_t events, uint64_t now);

/* A verb: 0 with *d filled in and fds to pass (closed after sending), or a negative errno. */
struct verb_reply {
	struct priv_done done;
	int fds[4];
	int nfds;
};
typedef int (*verb_fn)(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_run(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e); /* priv.c */
int verb_spawn(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_lab(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_lab_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_lab_fds(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_disk(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_vmm(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_memory(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_probe(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_engine(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_engine_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_layer2(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_kill(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_inspect(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);

/* cleanup.c */
/* Begins the end: kills what runs, waits for it, then ev.quit. why NULL: as was asked. */
void end_begin(struct priv *p, int status, const struct err *why);
/* super died or hung up. */
void end_super_gone(struct priv *p);
/* All children are gone: the loop may stop. */
void end_check(struct priv *p);
void end_cleanup(struct priv *p);

/* vmm.c */
void vmm_gone(struct priv *p, uint32_t slot);
void vmm_groups_start(struct priv *p);
void vmm_groups_end(struct priv *p);

/* probe.c */
/* Attaches what PRIV_PROBE loaded for the slot to its VMM, which has just been
 * executed. False: it is not watched by probes. */
bool probe_begin(struct priv *p, uint32_t slot);
void probe_end(struct priv *p, uint32_t slot);

/* lab.c */
void lab_close(struct lab *l);
/* In the network namespace that this process is in: a new TAP (-1 with errno: there
 * is none to be had); a setting below /proc/sys/net. */
int lab_open_tap(const char *name);
void lab_sysctl(const char *path, const char *value);
/* A packet socket on the interface; sk: any socket of its namespace, which this
 * process is in. The fd, or a negative errno. */
int lab_open_packet(int sk, const char *name, struct err *e);

/* sink.c */
#define SINK_SERVICES 4
int verb_sink(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
int verb_sink_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e);
/* The listening sockets of a network's sinkhole, in its namespace: SMTP, HTTP, TCP
 * and UDP of the generic service. The caller closes them. */
int sink_sockets(struct priv *p, uint32_t net, int fds[SINK_SERVICES], struct err *e);
void sink_end(struct priv *p, uint32_t net);

/* engine.c */
void engine_end(struct priv *p);

#endif
