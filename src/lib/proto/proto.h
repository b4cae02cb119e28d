/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_PROTO_H
#define SKEP_PROTO_PROTO_H

#include "model/addr.h"
#include "model/model.h"
#include "proto/role.h"
#include "proto/sink.h"
#include "proto/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Every message that processes exchange, as a table: who may send it to whom,
 * how large it is, how many fds travel with it, and in which states of the
 * receiver it is legal. proto/msg refuses whatever the table does not list, so
 * that a handler sees only messages of the right size from the right sender.
 *
 * A request carries a 64-bit id; every answer carries the same id. Nobody
 * blocks on an answer.
 */

/* Life of a process as seen by its commander, and the only order in which it
 * moves: the state machine is monotone. */
enum proto_state { STATE_INIT = 1, STATE_RUN = 2, STATE_DRAIN = 4 };
#define STATE_ANY (STATE_INIT | STATE_RUN | STATE_DRAIN)
#define STATE_UP (STATE_INIT | STATE_RUN)

/* X(name, payload struct or msg_empty, variable tail bytes allowed, max fds, from, to, states of the receiver) */
#define MESSAGES(X)                                                                                                    \
	/* cli -> super; every one is answered by any number of REP_* and one REP_END */                               \
	X(CMD_APPLY, cmd_apply, 0, 3, CLI, SUPER, STATE_UP) /* fds: model, YAML source, and rules for the engine */    \
	X(CMD_DOWN, cmd_down, 0, 0, CLI, SUPER, STATE_ANY)                                                             \
	X(CMD_PS, cmd_ps, 0, 0, CLI, SUPER, STATE_ANY)                                                                 \
	X(CMD_MACHINE, cmd_machine, 0, 0, CLI, SUPER, STATE_RUN)                                                       \
	X(CMD_CONSOLE, cmd_console, 0, 0, CLI, SUPER, STATE_RUN)                                                       \
	X(CMD_FREEZE, cmd_freeze, 0, 0, CLI, SUPER, STATE_ANY)                                                         \
	X(CMD_POLICY, cmd_policy, 0, 2, CLI, SUPER, STATE_RUN) /* fds: model, YAML source */                           \
	X(CMD_ENGINE, msg_empty, 0, 0, CLI, SUPER, STATE_RUN)  /* REP_ENGINE */                                        \
	X(CMD_LAB, cmd_lab, 0, 0, CLI, SUPER, STATE_RUN)                                                               \
	/* This connection is the notify process's from now on; no REP_END follows */                                  \
	X(CMD_NOTIFY, msg_empty, 0, 0, CLI, SUPER, STATE_RUN)                                                          \
	X(REP_PROGRESS, rep_progress, 0, 0, SUPER, CLI, STATE_ANY)                                                     \
	X(REP_NET, rep_net, 0, 0, SUPER, CLI, STATE_ANY)                                                               \
	X(REP_HONEYPOT, rep_honeypot, 0, 0, SUPER, CLI, STATE_ANY)                                                     \
	X(REP_THREAD, rep_thread, 0, 0, SUPER, CLI, STATE_ANY)                                                         \
	X(REP_ENGINE, rep_engine, 0, 0, SUPER, CLI, STATE_ANY)                                                         \
	X(REP_FDS, rep_fds, 0, 4, SUPER, CLI, STATE_ANY)                                                               \
	X(REP_END, rep_end, 0, 0, SUPER, CLI, STATE_ANY)                                                               \
	/* super -> notify, which answers only what failed */                                                          \
	X(NOTIFY_CONF, notify_conf, 0, 0, SUPER, NOTIFY, STATE_ANY)                                                    \
	X(NOTIFY_NOTICE, notify_notice, 0, 0, SUPER, NOTIFY, STATE_ANY)                                                \
	X(NOTIFY_FAILED, notify_failed, 0, 0, NOTIFY, SUPER, STATE_ANY)                                                \
	/* super -> priv: the verbs; each is answered by one PRIV_DONE */                                              \
	X(PRIV_SPAWN, priv_spawn, 0, 8, SUPER, PRIV, STATE_UP)                                                         \
	X(PRIV_LAB, priv_lab, 0, 0, SUPER, PRIV, STATE_UP) /* answer's fd: the port */                                 \
	X(PRIV_LAB_DEL, priv_lab, 0, 0, SUPER, PRIV, STATE_ANY)                                                        \
	/* The kernel's own layer at a network's uplink; fd: layer2_pot[n]. Replaces the one before */                 \
	X(PRIV_LAYER2, priv_layer2, 0, 1, SUPER, PRIV, STATE_UP)                                                       \
	X(PRIV_LAB_FDS, cmd_lab, 0, 0, SUPER, PRIV, STATE_RUN) /* answer's fds: user ns, net ns, mount ns */           \
	X(PRIV_DISK, priv_disk, 0, 0, SUPER, PRIV, STATE_ANY)  /* answer's fds: overlay, base */                       \
	/* fds: frames, console, control, overlay, base; and where hooks are wanted: ring, plan */                     \
	X(PRIV_VMM, priv_vmm, 0, 8, SUPER, PRIV, STATE_UP)                                                             \
	X(PRIV_MEMORY, priv_memory, 0, 0, SUPER, PRIV,                                                                 \
	  STATE_UP) /* answer's fds: a VMM's memory, read only; its pidfd */                                           \
	/* Before PRIV_VMM, which attaches what this loads. fd: the sealed plan; answer's fds: BPF ring, its state */  \
	X(PRIV_PROBE, priv_probe, 0, 1, SUPER, PRIV, STATE_UP)                                                         \
	/* A network namespace that holds nothing but the sinkhole's interfaces; answer's fds: port, namespace */      \
	X(PRIV_SINK, priv_sink, 0, 0, SUPER, PRIV, STATE_UP)                                                           \
	X(PRIV_SINK_DEL, priv_sink, 0, 0, SUPER, PRIV, STATE_ANY) /* ends its process too */                           \
	/* A network namespace with two interfaces and the inline engine between them, in a jail;                      \
	 * fds: its configuration, its rules, where it talks to (0, 1, 2); answer's fds: inside port, outside port,    \
	 * where it reports (datagrams). One that is there is replaced */                                              \
	X(PRIV_ENGINE, priv_engine, 0, 3, SUPER, PRIV, STATE_UP)                                                       \
	X(PRIV_ENGINE_DEL, msg_empty, 0, 0, SUPER, PRIV, STATE_ANY)                                                    \
	X(PRIV_KILL, priv_kill, 0, 0, SUPER, PRIV, STATE_ANY)                                                          \
	X(PRIV_INSPECT, priv_inspect, 0, 0, SUPER, PRIV, STATE_ANY) /* PRIV_THREAD..., then done */                    \
	X(PRIV_RUN, msg_empty, 0, 0, SUPER, PRIV, STATE_INIT)       /* start-up is over */                             \
	X(PRIV_QUIT, msg_empty, 0, 0, SUPER, PRIV, STATE_ANY)                                                          \
	X(PRIV_DONE, priv_done, 0, 4, PRIV, SUPER, STATE_ANY)                                                          \
	X(PRIV_THREAD, rep_thread, 0, 0, PRIV, SUPER, STATE_ANY)                                                       \
	X(PRIV_EXITED, priv_exited, 0, 0, PRIV, SUPER, STATE_ANY)                                                      \
	/* super -> gateway; each is answered by one GW_DONE */                                                        \
	X(GW_PORT, gw_port, 0, 3, SUPER, GATEWAY, STATE_UP) /* fds: port, ring, eventfd */                             \
	X(GW_PORT_DEL, gw_port_del, 0, 0, SUPER, GATEWAY, STATE_ANY)                                                   \
	X(GW_POLICY, gw_policy, 0, 1, SUPER, GATEWAY, STATE_UP) /* fd: pool, gw_policy_entry[n] */                     \
	X(GW_FREEZE, gw_freeze, 0, 0, SUPER, GATEWAY, STATE_ANY)                                                       \
	X(GW_HOLD, gw_hold, 0, 0, SUPER, GATEWAY, STATE_ANY)    /* a machine is paused, or runs again */               \
	X(GW_ALERT, gw_alert, 0, 0, SUPER, GATEWAY, STATE_ANY)  /* the engine alerted: rules that ask for it match */  \
	X(GW_STATS, msg_empty, 0, 0, SUPER, GATEWAY, STATE_ANY) /* GW_PORT_STATS..., then done */                      \
	X(GW_QUIT, msg_empty, 0, 0, SUPER, GATEWAY, STATE_ANY)  /* ends every flow, then exits */                      \
	X(GW_DONE, done, 0, 0, GATEWAY, SUPER, STATE_ANY)                                                              \
	X(GW_PORT_STATS, gw_port_stats, 0, 0, GATEWAY, SUPER, STATE_ANY)                                               \
	X(GW_SEEN, gw_seen, 0, 0, GATEWAY, SUPER, STATE_ANY)                                                           \
	X(GW_PORT_DOWN, gw_seen, 0, 0, GATEWAY, SUPER, STATE_ANY)                                                      \
	X(GW_HIT, gw_hit, 0, 0, GATEWAY, SUPER, STATE_ANY) /* what a trigger may wait for */                           \
	/* cli -> judge, which runs the gateway over captures; first all of these, then JUDGE_RUN */                   \
	X(JUDGE_PORT, gw_port, 0, 0, CLI, JUDGE, STATE_INIT)                                                           \
	X(JUDGE_POLICY, judge_policy, 0, 1, CLI, JUDGE, STATE_INIT) /* fd: as GW_POLICY's */                           \
	X(JUDGE_FILE, msg_empty, 0, 1, CLI, JUDGE, STATE_INIT)      /* fd: a capture, a regular file */                \
	X(JUDGE_RUN, judge_run, 0, 0, CLI, JUDGE, STATE_INIT)                                                          \
	X(JUDGE_PACKETS, judge_rows, 30720, 0, JUDGE, CLI, STATE_ANY)       /* struct judge_packet[n] */               \
	X(JUDGE_CONVERSATIONS, judge_rows, 30720, 0, JUDGE, CLI, STATE_ANY) /* struct judge_conversation[n] */         \
	X(JUDGE_RULES, judge_rows, 30720, 0, JUDGE, CLI, STATE_ANY)         /* struct judge_rule[n] */                 \
	X(JUDGE_PORTS, judge_rows, 30720, 0, JUDGE, CLI, STATE_ANY)         /* struct judge_port[n] */                 \
	X(JUDGE_END, judge_end, 0, 0, JUDGE, CLI, STATE_ANY)                                                           \
	/* super -> evidence; each is answered by one EV_DONE */                                                       \
	X(EV_CONF, ev_conf, 0, 0, SUPER, EVIDENCE, STATE_UP)                                                           \
	X(EV_RING, ev_ring, 0, 2, SUPER, EVIDENCE, STATE_UP)          /* fds: ring, eventfd */                         \
	X(EV_RING_DEL, ev_ring_del, 0, 0, SUPER, EVIDENCE, STATE_ANY) /* drains it first */                            \
	X(EV_SOURCE, ev_source_add, 0, 1, SUPER, EVIDENCE, STATE_UP)  /* fd: a vmm's socket */                         \
	X(EV_FILE, ev_file, 0, 1, SUPER, EVIDENCE, STATE_UP)          /* fd: keep this whole, e.g. the YAML */         \
	X(EV_QUIT, msg_empty, 0, 0, SUPER, EVIDENCE, STATE_ANY)       /* drains, closes, then done */                  \
	X(EV_DONE, done, 0, 0, EVIDENCE, SUPER, STATE_ANY)                                                             \
	X(EV_STATE, ev_state, 0, 0, EVIDENCE, SUPER, STATE_ANY)                                                        \
	/* records, no answer */                                                                                       \
	X(EV_EVENT, ev_event, 0, 0, SUPER, EVIDENCE, STATE_ANY)                                                        \
	X(EV_VMM_EVENT, ev_event, 0, 0, VMM, EVIDENCE, STATE_ANY)                                                      \
	X(EV_CONSOLE, ev_console, 16384, 0, VMM, EVIDENCE, STATE_ANY)                                                  \
	X(EV_INTRO, ev_intro, 30720, 0, INTROSPECT, EVIDENCE, STATE_ANY) /* whole intro_rec records, padded to 8 */    \
	X(EV_SINK, ev_sink, SINK_TEXTS_MAX, 1, SINKHOLE, EVIDENCE, STATE_ANY) /* fd: what it keeps, a memfd */         \
	/* super -> sinkhole */                                                                                        \
	X(SINK_QUIT, msg_empty, 0, 0, SUPER, SINKHOLE, STATE_ANY) /* ends and records every session, then done */      \
	X(SINK_DONE, done, 0, 0, SINKHOLE, SUPER, STATE_ANY)                                                           \
	/* super -> introspect; each is answered by one INTRO_DONE */                                                  \
	/* fds: none; or the plan of an earlier one; or that, and the ring to go on with after a death */              \
	X(INTRO_PREPARE, intro_prepare, 0, 2, SUPER, INTROSPECT, STATE_INIT)                                           \
	/* fds: guest memory, VMM's pidfd; and where probes watch it: BPF ring, its state */                           \
	X(INTRO_START, intro_start, 0, 4, SUPER, INTROSPECT, STATE_UP)                                                 \
	X(INTRO_QUIT, msg_empty, 0, 0, SUPER, INTROSPECT, STATE_ANY)   /* reads what is left, then done and exit */    \
	X(INTRO_DONE, done, 0, 3, INTROSPECT, SUPER, STATE_ANY)        /* of PREPARE, fds: ring, plan */               \
	X(INTRO_WATCH, intro_watch, 0, 0, SUPER, INTROSPECT, STATE_UP) /* replaces the one before */                   \
	X(INTRO_STATE, intro_state, 0, 0, INTROSPECT, SUPER, STATE_ANY)                                                \
	X(INTRO_HIT, intro_hit, 0, 0, INTROSPECT, SUPER, STATE_ANY) /* what a trigger waits for */                     \
	/* super -> inspect; each is answered by one INSPECT_DONE */                                                   \
	X(INSPECT_PREPARE, inspect_prepare, 0, 0, SUPER, INSPECT, STATE_INIT) /* answer's fd: configuration */         \
	X(INSPECT_START, msg_empty, 0, 2, SUPER, INSPECT, STATE_UP)           /* fds: reports, what it prints */       \
	X(INSPECT_QUIT, msg_empty, 0, 0, SUPER, INSPECT, STATE_ANY)                                                    \
	X(INSPECT_DONE, done, 0, 1, INSPECT, SUPER, STATE_ANY)                                                         \
	X(INSPECT_STATE, inspect_state, 0, 0, INSPECT, SUPER, STATE_ANY)                                               \
	X(INSPECT_ALERT, gw_alert, 0, 0, INSPECT, SUPER, STATE_ANY)                                                    \
	/* super -> vmm; each is answered by one VMM_DONE */                                                           \
	X(VMM_PREPARE, vmm_prepare, 0, 2, SUPER, VMM, STATE_INIT) /* fds: overlay, base */                             \
	X(VMM_START, vmm_start, 0, 3, SUPER, VMM, STATE_UP)       /* fds: console, control, pidfd */                   \
	X(VMM_OP, vmm_op, 0, 0, SUPER, VMM, STATE_RUN)                                                                 \
	X(VMM_CONSOLE, cmd_console, 0, 1, SUPER, VMM, STATE_RUN) /* fd: the operator's end */                          \
	X(VMM_QUIT, msg_empty, 0, 0, SUPER, VMM, STATE_ANY)                                                            \
	X(VMM_DONE, done, 0, 0, VMM, SUPER, STATE_ANY)                                                                 \
	X(VMM_STATE, vmm_state, 0, 0, VMM, SUPER, STATE_ANY)

enum msg_type {
	MSG_NONE,
#define X(name, type, tail, fds, from, to, states) MSG_##name,
	MESSAGES(X)
#undef X
	    MSG_COUNT
};

struct msg_empty {
	uint32_t zero;
};

/* Answer of gateway, evidence and vmm. */
struct done {
	int32_t status; /* 0 or negative errno */
	uint32_t pad;
	char text[ERR_TEXT];
};

/* ---- cli ---------------------------------------------------------------- */

struct cmd_apply {
	uint32_t flags;
	uint32_t pad;
};
struct cmd_down {
	uint32_t force; /* 1: kill machines at once instead of asking them to halt */
	uint32_t pad;
};
struct cmd_ps {
	uint32_t verbose; /* 1: REP_THREAD lines too */
	uint32_t pad;
};
enum machine_verb { MACHINE_START, MACHINE_STOP, MACHINE_PAUSE, MACHINE_RESUME, MACHINE_RESET, MACHINE_VERB_COUNT };
struct cmd_machine {
	uint32_t verb;
	uint32_t force;
	char honeypot[NAME_CAP];
};
#define CONSOLE_READONLY 1u
#define CONSOLE_TAKE 2u /* take the keyboard from whoever has it */
struct cmd_console {
	uint32_t flags;
	uint32_t pad;
	char honeypot[NAME_CAP];
};

struct cmd_freeze {
	uint32_t frozen; /* 1: freeze, 0: thaw */
	uint32_t pad;
	char honeypot[NAME_CAP]; /* empty: the whole honeynet */
};

/* The model may differ from the one that runs in policies, triggers and
 * notices only: anything else is for CMD_APPLY. */
struct cmd_policy {
	uint32_t flags; /* POLICY_DRY_RUN */
	uint32_t pad;
};
#define POLICY_DRY_RUN 1u

/* Into whose network namespace. */
enum lab_place { LAB_PLACE_LAB, LAB_PLACE_ENGINE };
struct cmd_lab {
	uint32_t place; /* enum lab_place */
	uint32_t pad;
};

struct rep_progress {
	uint32_t step, steps;
	char text[248];
};
struct rep_net {
	char name[NAME_CAP];               /* of the honeynet */
	char evidence[256];                /* path of the evidence directory */
	char mode[16];                     /* "root" or "rootless" */
	int32_t gateway_pid, evidence_pid; /* 0 = dead */
	int32_t super_pid, priv_pid;
	int32_t evidence_state;       /* 0 or the negative errno with which it stopped */
	uint32_t frozen;              /* 1: the whole honeynet is */
	uint32_t engine, engine_mode; /* enum engine_state, engine_mode */
	uint32_t uplinks, layer2;     /* networks with an uplink; those where the kernel's layer is in force */
	uint64_t started;             /* ns, realtime */
	uint64_t frames_in, frames_forwarded, frames_dropped;
	uint64_t frames_recorded;
	/* networks whose policies send to a sinkhole, and those that have one */
	uint32_t sinks_wanted, sinks;
	char sink_why[160]; /* why not, or empty */
};
enum machine_state {
	MACHINE_ABSENT,
	MACHINE_STOPPED,
	MACHINE_STARTING,
	MACHINE_RUNNING,
	MACHINE_PAUSED,
	MACHINE_STOPPING,
	MACHINE_FAILED,
	MACHINE_STATE_COUNT
};
const char *machine_state_name(unsigned s);
struct rep_honeypot {
	char name[NAME_CAP];
	char network[NAME_CAP];
	char image[NAME_CAP];
	uint32_t backend;
	uint32_t state;
	uint32_t naddrs;
	uint32_t frozen; /* FROZEN_*: why nothing passes from and to it; 0 = it is not frozen */
	struct addr addrs[MODEL_ADDRS];
	uint8_t mac[6];
	uint8_t pad2[2];
	int32_t vmm_pid; /* the VMM's main process on the host; 0 = none */
	int32_t handler_pid;
	uint64_t memory;   /* configured, bytes */
	uint64_t rss, pss; /* of the VMM and its children, bytes; 0 = unknown */
	uint64_t up_since; /* ns, realtime; 0 = not running */
	uint32_t restarts; /* early boot failures that were tried again */
	uint32_t jail;     /* JAIL_* bits that are in force */
	char detail[160];  /* why it failed, or empty */
	/* introspection */
	uint32_t seeing; /* enum seeing */
	int32_t introspect_pid;
	uint32_t introspect_starts; /* of the process for this run of the machine; more than 1: it died and came back */
	uint32_t pad3;
	uint64_t records, lost, sessions; /* until now, for this run of the machine */
	char blind[160];                  /* why not, or what the tampering was, or empty */
	/* what triggers and operators did */
	char tightened[NAME_CAP]; /* the named policy in force instead of its own; empty = none */
	uint32_t held;            /* 1: it is paused, and the gateway keeps its connections alive */
	uint32_t pad4;
	/* Seconds until these end by themselves; 0 = an operator ends them, or it is not so. */
	uint32_t freeze_left, tightened_left, pause_left, pad5;
};
/* How a honeypot is seen from outside. */
enum seeing {
	SEEING_NOT,    /* the machine does not run, or its process is not there yet */
	SEEING_OFF,    /* by configuration */
	SEEING_HOOKS,  /* the shim's hooks write into a ring */
	SEEING_PROBES, /* BPF programs do */
	SEEING_ABSENT, /* it was wanted, and does not work */
	SEEING_TAMPERED,
	SEEING_COUNT
};
const char *seeing_name(unsigned s);
#define FROZEN_ITSELF 1u
#define FROZEN_HONEYNET 2u
#define JAIL_USERNS 1u
#define JAIL_MOUNTS 2u
#define JAIL_PIDNS 4u
#define JAIL_NETNS 8u
#define JAIL_LANDLOCK 16u
#define JAIL_SECCOMP 32u
#define JAIL_CAPS 64u
#define JAIL_CGROUP 128u
#define JAIL_OWN_UID 256u
struct rep_thread {
	char honeypot[NAME_CAP]; /* or the role's name for skep's own processes */
	char role[16];           /* "vmm", "gateway", ... */
	char comm[16];
	int32_t pid, tid;
	uint32_t uid;
	int32_t seccomp; /* as in /proc/PID/status; -1 unknown */
	int32_t no_new_privs;
	uint32_t nfds;
	uint64_t capbnd, capeff;
	char fds[256]; /* "0:/dev/null 3:socket 4:/cow" , cut with "..." */
};
struct rep_engine {
	uint32_t state; /* enum engine_state */
	int32_t pid;
	uint32_t starts, mode;   /* enum engine_mode */
	uint32_t kind, jail;     /* enum engine_kind, JAIL_* */
	uint32_t loaded, failed; /* rules */
	uint64_t frames_in, frames_back, alerts, dropped;
	char version[64];
	char why[160]; /* why it does not run, or empty */
};
enum engine_state { ENGINE_STATE_NONE, ENGINE_STATE_STARTING, ENGINE_STATE_RUNNING, ENGINE_STATE_FAILED };
struct rep_fds {
	uint32_t kind; /* of what: 0 console, 1 lab */
	uint32_t pad;
};
struct rep_end {
	int32_t status; /* 0 or negative errno */
	uint32_t pad;
	char text[ERR_TEXT];
};

/* ---- priv --------------------------------------------------------------- */

struct priv_spawn {
	uint32_t role; /* ROLE_GATEWAY, ROLE_EVIDENCE, ROLE_VMM, ROLE_INTROSPECT, ROLE_SINKHOLE */
	uint32_t slot; /* of the honeypot; of the network for a sinkhole */
};
struct priv_lab {
	uint32_t net; /* network slot */
	uint32_t nrouters, nlab, pad;
	struct addr routers[2];           /* with the network's prefix length: put on the interface */
	struct addr lab[MODEL_LAB_ADDRS]; /* prefixes that the lab plays */
};
/* Who may send to a network's uplink. */
struct layer2_pot {
	uint8_t mac[6];
	uint16_t naddrs;
	struct addr addrs[MODEL_ADDRS];
};
struct priv_layer2 {
	uint32_t net;      /* network slot */
	uint32_t n;        /* honeypots */
	uint32_t tcp_hour; /* new TCP connections, retransmissions counted; 0 = no ceiling */
	uint32_t pad;
};
enum disk_op { DISK_CREATE, DISK_OPEN, DISK_RESET, DISK_REMOVE };
struct priv_disk {
	uint32_t op; /* CREATE: keeps an overlay that is there; RESET: empties it */
	uint32_t slot;
	char honeypot[NAME_CAP];
	char image[NAME_CAP];
};
struct priv_vmm {
	uint32_t slot;
	uint32_t backend;
	uint64_t memory; /* bytes */
	uint32_t cpus, pad;
	uint8_t mac[6];
	uint8_t pad2[2];
	char honeypot[NAME_CAP];
};
struct priv_memory {
	uint32_t slot; /* its VMM runs */
	uint32_t pad;
};
struct priv_probe {
	uint32_t slot; /* its VMM does not run yet */
	uint32_t pad;
};
struct priv_kill {
	uint32_t what; /* ROLE_INTROSPECT; ROLE_VMM with vmm=0: the handler; vmm=1: the VMM; or ROLE_GATEWAY, ... */
	uint32_t slot;
	uint32_t vmm;
	uint32_t pad;
};
struct priv_inspect {
	uint32_t everything; /* threads too, not only memory */
	uint32_t slot;       /* PRIV_ALL = all and skep's own processes */
};
#define PRIV_ALL 0xffffffffu
struct priv_sink {
	uint32_t net; /* slot of the network whose sinkhole it is */
	uint8_t mac[6];
	uint8_t pad[2];
};
struct priv_engine {
	uint32_t kind; /* enum engine_kind */
	uint32_t pad;
	char interfaces[2][ENGINE_IF_CAP]; /* ENGINE_KIND_INTERFACES: what the two are called */
};
struct priv_done {
	int32_t status;
	int32_t pid;
	uint32_t jail;     /* JAIL_* in force, for PRIV_VMM */
	uint32_t kind;     /* for PRIV_LAB: enum port_kind of the fd; for PRIV_VMM: 1 = probes are attached to it */
	uint64_t rss, pss; /* for PRIV_INSPECT of one slot */
	char text[ERR_TEXT];
};
struct priv_exited {
	uint32_t role;
	uint32_t slot;
	uint32_t vmm;        /* 1: the VMM itself, not its handler */
	int32_t wait_status; /* as from waitpid(2) */
	int32_t pid, pad;
};

/* ---- gateway ------------------------------------------------------------ */

enum port_kind {
	PORT_SEQPACKET, /* AF_UNIX socketpair, one frame per datagram (UML) */
	PORT_TAP,       /* IFF_TAP | IFF_NO_PI */
	PORT_PACKET,    /* AF_PACKET raw socket bound to an interface that we own */
	PORT_KIND_COUNT
};
/* Port ids: 0..MODEL_HONEYPOTS-1 honeypot slots, then for each network slot its
 * uplink and its sinkhole, then the two sides of the inline engine. */
#define PORT_UPLINK(net) (MODEL_HONEYPOTS + (net))
#define PORT_SINK(net) (MODEL_HONEYPOTS + MODEL_NETS + (net))
#define PORT_ENGINE(side) (MODEL_HONEYPOTS + 2 * MODEL_NETS + (side)) /* 0: towards honeypots, 1: towards uplinks */
#define PORTS_MAX (MODEL_HONEYPOTS + 2 * MODEL_NETS + 2)
enum port_role { PORT_ROLE_HONEYPOT, PORT_ROLE_UPLINK, PORT_ROLE_SINK, PORT_ROLE_ENGINE, PORT_ROLE_COUNT };
struct gw_port {
	uint16_t port;
	uint16_t net; /* network slot: ports of one network see each other */
	uint8_t kind;
	uint8_t role;   /* enum port_role; the uplink is the one towards the intruders */
	uint8_t mac[6]; /* of a honeypot port */
	uint32_t naddrs, pad;
	struct addr addrs[MODEL_ADDRS]; /* with the network's prefix length */
	struct addr routers[2];         /* for honeypots: their default routers; family 0 = none */
	char name[NAME_CAP];
};
struct gw_port_del {
	uint16_t port, pad[3];
};
/* The memfd holds a struct policy_pool, then n entries. */
struct gw_policy {
	uint32_t n;
	uint32_t generation;
};
struct gw_policy_entry {
	uint16_t port;     /* slot */
	uint16_t honeypot; /* index in the model, which rules name */
	uint16_t network;  /* the same */
	uint16_t pad;
	struct policy policy;
};
/* In a rule, target is an index of the model; the gateway finds its slot by the
 * entry with that index. */
struct gw_hold {
	uint16_t port;
	uint16_t held; /* 1: the gateway keeps its connections alive */
	uint32_t pad;
};
struct gw_alert {
	uint64_t flow; /* 0: by the tuple */
	uint64_t time; /* ns, realtime, by the engine */
	uint32_t gid, signature, rev, severity;
	uint8_t family, proto;
	uint8_t blocked; /* 1: it kept the packet */
	uint8_t pad;
	uint16_t sport, dport;
	uint8_t saddr[16], daddr[16];
	char text[160], category[64]; /* end with NUL */
};
/* At most one a second for the same port, kind and what. */
enum hit_kind { HIT_LIMIT, HIT_KEYWORD, HIT_KIND_COUNT };
struct gw_hit {
	uint16_t port;
	uint8_t kind;   /* enum hit_kind */
	uint8_t reason; /* HIT_LIMIT */
	uint16_t rule;  /* that decided, or RULE_NONE */
	uint16_t keyword;
	uint64_t flow;
	uint64_t time;       /* ns, realtime */
	uint32_t count;      /* since the last one */
	uint32_t generation; /* of the policy whose rule and keyword these are */
};
#define GW_FREEZE_ALL 0xffffu
struct gw_freeze {
	uint16_t port;   /* of a honeypot that has a port, or GW_FREEZE_ALL */
	uint16_t frozen; /* 1: nothing passes from and to it, 0: the policy decides */
	uint32_t pad;
};
struct gw_port_stats {
	uint16_t port, pad;
	uint32_t flows;
	uint64_t frames_in, bytes_in;   /* came in at this port */
	uint64_t frames_out, bytes_out; /* sent to this port */
	uint64_t forwarded, dropped;    /* verdicts on what came in */
	uint64_t lost;                  /* dropped because they could not be recorded */
	uint64_t by_reason[REASON_COUNT];
};
struct gw_seen { /* first frame ever from a honeypot's own MAC; or its socket hung up */
	uint16_t port, pad[3];
};

/* ---- judge --------------------------------------------------------------- */

/* Side 0 is the policy that is tested, side 1 the one that it is compared with. */
#define JUDGE_SIDES 2
#define JUDGE_FILES 64
struct judge_policy {
	uint32_t side;
	uint32_t n; /* entries */
};
#define JUDGE_RUN_PACKETS 1u     /* a struct judge_packet for each */
#define JUDGE_RUN_AS_CAPTURED 2u /* checksums that were left to a network card stay wrong */
#define JUDGE_RUN_LEARN 4u       /* MACs of honeypots are those that the capture shows */
struct judge_run {
	uint32_t flags;
	uint32_t pad;
};
/* So many rows follow. */
struct judge_rows {
	uint32_t n;
	uint32_t pad;
};
struct judge_packet {
	uint64_t number; /* in the capture, from 1 */
	uint64_t time;   /* ns, realtime */
	uint32_t wirelen;
	uint16_t port;     /* where it came in */
	uint16_t out_port; /* RING_NO_PORT, RING_MANY; of side 0 */
	uint8_t verdict[JUDGE_SIDES], reason[JUDGE_SIDES];
	uint16_t rule[JUDGE_SIDES];
	uint16_t ethertype;
	uint8_t family, proto; /* family 0: not IP */
	uint8_t tcp_flags, pad[3];
	uint16_t sport, dport; /* ICMP: type and code */
	uint8_t saddr[16], daddr[16];
};
/* What becomes of a conversation on one side: the mildest verdict that a frame of
 * it met, with the reason and the rule of the first that met it. */
struct judge_fate {
	uint8_t verdict, reason;
	uint16_t rule;
	uint16_t to_port;  /* of the rewritten destination */
	uint8_t to_family; /* 0: it went where the honeypot sent it */
	uint8_t pad;
	uint8_t to_addr[16];                 /* the rewritten destination */
	uint64_t left_packets, left_bytes;   /* sent to an uplink, of what the honeypot or the gateway says */
	uint64_t stays_packets, stays_bytes; /* sent to another honeypot, or to what plays a destination */
};
enum judge_kind {
	JUDGE_BEGAN,      /* by the honeypot */
	JUDGE_REPLY,      /* begun by the other side */
	JUDGE_RESOLUTION, /* ARP, neighbour discovery */
	JUDGE_KIND_COUNT
};
/* src is the side that began it. */
struct judge_conversation {
	uint64_t first;                /* number of its first packet */
	uint64_t start, last;          /* ns, realtime */
	uint64_t packets[2], bytes[2]; /* in the capture; [0] from src */
	uint16_t honeypot;             /* port; RING_NO_PORT: none takes part */
	uint8_t kind;                  /* enum judge_kind */
	uint8_t family, proto, pad[3];
	uint16_t ethertype, sport, dport, pad2; /* ICMP: type and code */
	uint8_t src[16], dst[16];
	struct judge_fate fate[JUDGE_SIDES];
};
struct judge_rule {
	uint32_t side;
	uint16_t rule, pad;
	uint64_t packets, conversations;
};
struct judge_port {
	uint16_t port;
	uint8_t mac[6];   /* in force */
	uint32_t learned; /* 1: from the capture */
	uint32_t pad;
	uint64_t frames; /* that came in there */
};
struct judge_count {
	uint64_t packets, bytes;
};
struct judge_end {
	int32_t status; /* 0, or why it stopped */
	uint32_t sides;
	uint64_t packets, bytes, first, last; /* of the captures; times in ns, realtime */
	uint64_t cut, cut_of_honeypots;       /* frames that the capture holds only in part */
	uint64_t reordered;                   /* older than the one before: judged at its time */
	uint64_t untimed;
	uint64_t foreign;  /* of link layers that are not read */
	uint64_t made;     /* got a link layer of ours */
	uint64_t mended;   /* got the checksum that a network card would have filled in */
	uint64_t made_out; /* of our own evidence: made by the gateway then, and not judged again */
	uint64_t cut_files;
	uint64_t overflow;                 /* packets of conversations for which there was no room */
	uint64_t tick_packets, tick_bytes; /* left between two frames and belong to no conversation */
	uint64_t unasked[JUDGE_SIDES];     /* answers to what never got through: counted as drop, no-flow */
	uint64_t differ;                   /* packets whose verdict differs between the sides */
	uint64_t by_verdict[VERDICT_COUNT][VERDICT_COUNT]; /* packets: [side 0][side 1] */
	struct judge_count count[JUDGE_SIDES][VERDICT_COUNT][REASON_COUNT];
	uint32_t file;     /* status: the capture that it is about, from 1; 0 = none */
	uint32_t relinked; /* 1: MACs did not tell the honeypots apart: all were made from addresses */
	char text[ERR_TEXT];
};

/* ---- evidence ----------------------------------------------------------- */

struct ev_conf {
	char honeynet[NAME_CAP];
	char version[32];
	struct evidence_conf conf;
};
struct ev_ring {
	uint16_t port, net;
	uint8_t uplink, kind, mac[6];
	uint32_t naddrs;
	struct addr addrs[MODEL_ADDRS];
	char name[NAME_CAP]; /* honeypot's, or "uplink-NET" */
	char network[NAME_CAP];
};
struct ev_ring_del {
	uint16_t port, pad[3];
};
struct ev_source_add {
	uint32_t slot;
	uint32_t role;           /* ROLE_VMM (0 means that too), ROLE_INTROSPECT or ROLE_SINKHOLE */
	char honeypot[NAME_CAP]; /* of a sinkhole: "sink-NET" */
};
struct ev_file {
	char name[NAME_CAP]; /* plain file name, e.g. "honeynet" */
	uint64_t size;
};
/* 0: writing. Else the negative errno with which writing stopped for good. */
struct ev_state {
	int32_t status;
	uint32_t pad;
	char text[ERR_TEXT];
};
struct ev_event {
	uint64_t time;    /* ns, realtime; 0 = when it arrives */
	uint64_t request; /* request id of the operator's command; 0 = none */
	uint32_t uid;     /* of the operator; only with request */
	uint32_t pad;
	char type[16];           /* EVE event_type: "machine", "policy", "evidence", "operator" */
	char eventid[48];        /* "skep.machine.running" */
	char honeypot[NAME_CAP]; /* or empty */
	char message[256];
};
/* The bytes follow it. */
struct ev_console {
	uint64_t time;
	uint32_t slot;
	uint32_t dir; /* 0 guest's output, 1 operator's input */
};

/* ---- vmm ---------------------------------------------------------------- */

/* Who the honeypot is: what goes into its overlay before the first boot. */
struct vmm_prepare {
	uint32_t slot;
	uint32_t backend;
	uint64_t memory;
	uint32_t cpus, boot_seconds;
	uint32_t naddrs, fresh; /* fresh 1: the overlay is empty, the identity must be written */
	struct addr addrs[MODEL_ADDRS];
	struct addr routers[2];
	uint8_t mac[6];
	uint8_t pad[2];
	char honeynet[NAME_CAP];
	char honeypot[NAME_CAP];
	char hostname[HOSTNAME_CAP];
};
struct vmm_start {
	uint32_t zero, pad;
};
enum vmm_op_kind { VMM_OP_PAUSE, VMM_OP_RESUME, VMM_OP_HALT, VMM_OP_KILLED, VMM_OP_COUNT };
struct vmm_op {
	uint32_t op, pad;
};
enum vmm_event { VMM_BOOTING, VMM_CONTROL_UP, VMM_PANIC, VMM_HALTED, VMM_CONSOLE_GONE, VMM_EVENT_COUNT };
struct vmm_state {
	uint32_t event, pad;
	char text[160];
};

/* ---- introspect ---------------------------------------------------------- */

/* One introspect process for each honeypot. Its further fds: 4 = evidence (its
 * record source), 5 = the guest kernel's file, read only. */
struct intro_prepare {
	uint32_t slot;
	uint32_t backend;
	uint32_t ring_bytes; /* 0: no ring is wanted (BPF brings its own) */
	uint32_t pad;
	char honeypot[NAME_CAP];
};
struct intro_start {
	uint32_t way; /* enum intro_way (proto/intro.h) */
	uint32_t pad;
};
enum intro_event { INTRO_EV_UP, INTRO_EV_LOSS, INTRO_EV_TAMPERED, INTRO_EV_COUNT };
struct intro_state {
	uint32_t event; /* enum intro_event */
	uint32_t pad;
	uint64_t records, lost, sessions; /* until now */
	char text[160];
};
/* What triggers wait for inside of this honeypot. match: a pattern of
 * fnmatch(3), empty = any; of the file's name of a program that was executed, of
 * the user who logged in, or of what stands anywhere in a line that was typed. */
struct intro_watch {
	uint32_t n;
	uint32_t generation; /* INTRO_HIT says it again */
	struct {
		uint32_t on; /* TRIGGER_PROCESS, TRIGGER_COMMAND or TRIGGER_LOGIN */
		uint32_t pad;
		char match[64];
	} at[MODEL_TRIGGERS];
};
/* At most one a second for the same watch; the rest is counted. */
struct intro_hit {
	uint32_t watch; /* index */
	uint32_t generation;
	uint32_t count; /* since the last one; the rest is about the last */
	uint32_t pid, uid, pad;
	uint64_t time, session;
	char text[160]; /* the program's path, the line, the user: cut, and the guest's */
};
/* Whole struct intro_rec records (proto/intro.h) follow it. */
struct ev_intro {
	uint32_t n; /* records */
	uint32_t pad;
};

/* ---- notify -------------------------------------------------------------- */

/* How a notice is delivered. */
enum notify_way { NOTIFY_EXEC, NOTIFY_MAIL, NOTIFY_WEBHOOK, NOTIFY_WAY_COUNT };
/* What operators are told of besides the event. text is what the intruder wrote,
 * or may be: only cut. */
struct notify_notice {
	uint64_t time;          /* ns, realtime */
	uint64_t flow, session; /* 0 = none */
	uint32_t count;         /* how often since the last one for the same */
	uint32_t left_out;      /* notices that super could not hand over before this one */
	uint32_t on;            /* enum trigger_on */
	uint32_t actions;       /* TRIGGER_DO_* that were done */
	char honeynet[NAME_CAP], honeypot[NAME_CAP], trigger[RULE_NAME_CAP];
	char text[256];
};
struct notify_failed {
	uint32_t way; /* enum notify_way */
	uint32_t pad;
	char honeypot[NAME_CAP], trigger[RULE_NAME_CAP]; /* of the notice */
	char text[160];
};

/* ---- inspect --------------------------------------------------------------- */

/* The handler of the inline engine. */
struct inspect_prepare {
	uint32_t nhome, nvars;
	struct addr home[MODEL_NETS * 2]; /* the networks' prefixes */
	struct engine_var vars[ENGINE_VARS];
};
enum inspect_event {
	INSPECT_EV_UP,      /* the engine has loaded its rules and looks at packets */
	INSPECT_EV_PROBLEM, /* text: what it says of itself, its rules, ... */
	INSPECT_EV_FIGURES,
	INSPECT_EV_ENDED, /* it closed its output */
	INSPECT_EV_COUNT
};
struct inspect_state {
	uint32_t event;          /* enum inspect_event */
	uint32_t loaded, failed; /* rules */
	uint32_t pad;
	uint64_t packets, alerts; /* until now */
	uint64_t bad, lost;       /* reports that could not be read; alerts that were too many */
	char version[64];
	char text[200];
};

/* ---- the table ---------------------------------------------------------- */

struct proto_rule {
	const char *name;
	uint32_t min, max; /* payload bytes */
	uint8_t fds;       /* at most */
	uint8_t from, to;  /* enum role */
	uint8_t states;    /* STATE_* of the receiver */
};

/* NULL if there is no such type. */
const struct proto_rule *proto_rule(uint32_t type);

/* 0, or -EPROTO with the reason: is a message of this type, size and number of
 * fds, from `from`, legal for `to` in `state`? */
int proto_check(uint32_t type, uint32_t len, int nfds, enum role from, enum role to, unsigned state, struct err *e);

#endif
