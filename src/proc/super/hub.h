/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_HUB_H
#define SKEP_PROC_SUPER_HUB_H

#include "base/ev.h"
#include "model/plan.h"
#include "proc/super/ask.h"
#include "proc/super/seq.h"
#include "proto/msg.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The state that super owns: one honeynet. Every other process only carries
 * out; whether a machine runs, and why not, is decided and remembered here.
 */

/* A network in the lab and at the gateway. The slot number stays the same as
 * long as the network exists. */
struct netslot {
	bool used;
	struct network net;
	struct seq seq;
	int ring_fd;            /* kept to stop and to drain it when evidence died; -1 */
	int port_fd, port_kind; /* from PRIV_LAB, on its way to the gateway; -1 */
	bool layer2;            /* the kernel's own layer is in force */
	bool lab, port, ring;   /* what exists: lab interface, gateway port, evidence ring */
	int wake_fd;
	struct err error; /* why it could not be added, while cleaning up */
};

/* What plays destinations of a network for its honeypots; sink.c. */
struct sinkhole {
	struct super *hub;
	bool place, ring, port; /* what exists */
	bool up, ending;
	int pid;         /* 0: none */
	unsigned starts; /* of the process */
	uint8_t mac[6];
	uint32_t port_kind;
	struct chan chan; /* fd -1: none */
	struct ev_source src;
	int port_fd, ring_fd, wake_fd, far_fd, record_fd; /* -1 */
	char why[160];                                    /* it does not work */
	struct seq seq;
	struct seq *end_waits; /* for its end */
	struct ev_timer again;
};

/* How a machine is seen from inside; introspect.c. */
struct watch {
	struct chan chan; /* to its introspect process; fd -1: none */
	struct ev_source src;
	int pid;     /* 0: none */
	bool asked;  /* priv was asked to start it, the answer is not there yet */
	bool wanted; /* in this run of the machine, and nothing has failed for good */
	bool quitting;
	bool told;                         /* what to wait for (INTRO_WATCH) */
	bool stale;                        /* the guest's kernel has started anew: its memory must be opened again */
	unsigned way;                      /* enum intro_way */
	int ring_fd, plan_fd;              /* kept for the next process, should this one die; -1 */
	int probe_ring_fd, probe_state_fd; /* where probes write, kept likewise; -1 */
	int memory_fd, pid_fd, far_fd, record_fd; /* on their way from one step to the next; -1 */
	enum seeing seeing;
	unsigned starts; /* of the process in this run of the machine */
	uint64_t records, lost, sessions;
	uint64_t lost_told, lost_at; /* the last event about losses: how many, when */
	uint64_t deadline;           /* for the first word of the hooks; 0 = none */
	char blind[160];
	struct seq seq; /* starts another one */
	struct ev_timer again;
};

/* When a trigger acted on a machine last: times, as far back as its limit asks. */
struct throttle {
	char name[RULE_NAME_CAP]; /* of the trigger; empty = free */
	uint64_t *at;             /* [cap], a ring */
	uint32_t cap;
	uint64_t n;       /* ever */
	uint32_t skipped; /* since it acted last */
};

/* What triggers have done to a machine; trigger.c. Times are those of the event
 * loop; 0: it does not end by itself. */
struct reaction {
	char tightened[NAME_CAP]; /* policy that is in force instead of its own; empty = none */
	bool tighten_new;         /* the gateway has not confirmed it */
	uint64_t tighten_until, freeze_until, pause_until;
	uint64_t pause_seconds; /* of the pause that is due */
	uint64_t pause_by;      /* a pause is due, and is tried until then; 0 = none */
	struct throttle throttle[MODEL_TRIGGERS];
};

struct machine {
	struct super *hub; /* for timers */
	bool used;
	struct honeypot hp;
	unsigned net; /* slot */
	enum machine_state state;
	struct seq seq;
	char detail[160];
	uint64_t up_since; /* realtime */
	unsigned restarts;
	bool frozen; /* by itself: every new port gets it before its policy, until an operator thaws it */
	bool held;   /* the gateway keeps its connections alive: it is paused */
	struct reaction react;
	/* what exists */
	struct chan handler; /* fd -1: none */
	struct ev_source handler_src;
	int handler_pid, vmm_pid;      /* 0: none */
	bool handler_asked, vmm_asked; /* priv was asked to start it, the answer is not there yet */
	unsigned jail;                 /* JAIL_* of the running VMM */
	bool port, ring, source;
	bool disk_created; /* by the running plan: its undo may remove it */
	int ring_fd, wake_fd;
	int frame_fd; /* the VMM's end of the frame socket until it starts; -1 */
	/* on their way from one step to the next; -1 */
	int overlay_fd, base_fd, pid_fd;
	int far_fd, record_fd;              /* handler's ends of its channel and of its record socket */
	int console_fd, control_fd;         /* ours, for the handler */
	int vmm_console_fd, vmm_control_fd; /* the VMM's */
	struct watch watch;
	/* boot */
	bool control_up, seen, halting;
	struct ev_timer watchdog;
	/* the running job */
	enum {
		JOB_NONE,
		JOB_START,
		JOB_STOP,
		JOB_RESET,
		JOB_PAUSE,
		JOB_RESUME,
		JOB_PORT,
		JOB_PORT_CLEAN,
		JOB_CLEAN
	} job;
	bool force, retry, awaiting_exit;
	struct err error; /* why it failed, while cleaning up after it */
	void (*done)(struct super *s, struct machine *m, int status, const struct err *e);
	struct reply_to to;     /* whose command the running job carries out, for events */
	struct reply_to cmd_to; /* whom cmd_machine answers */
};

/* The inline engine; engine.c. */
struct inline_engine {
	struct chan chan; /* to its handler; fd -1: none */
	struct ev_source src;
	int handler_pid, pid; /* 0: none */
	bool wanted, pid_asked, placed, waiting, up, ending;
	bool changed, restart; /* its configuration or its rules are others than those that it runs with */
	unsigned mode;         /* enum engine_mode, the strictest of all policies */
	unsigned state;        /* enum engine_state */
	unsigned starts, jail;
	struct engine_conf conf;
	uint32_t nhome;
	struct addr home[MODEL_NETS * 2];
	int rules_fd;                                        /* what it runs with, or shall; -1 */
	int yaml_fd, reports_fd, log_fd, out_fd, port_fd[2]; /* on their way from one step to the next; -1 */
	int port_kind;
	int ring_fd[2], wake_fd[2];
	bool ring[2], port[2]; /* what exists */
	struct inspect_state seen;
	uint64_t alerts, since, delay;
	char why[160], said[200];
	struct err error;
	struct seq seq, *stopping;
	struct ev_timer timer;
	void (*then)(struct super *s, int status, const struct err *e);
};

enum apply_state { APPLY_IDLE, APPLY_DOING, APPLY_UNDOING };
struct apply {
	enum apply_state state;
	struct plan plan;
	struct model wanted;
	struct reply_to to;
	uint8_t status[PLAN_STEPS]; /* 0 to do, 1 running, 2 done */
	unsigned phase, running, ndone, undo;
	struct err error;
	bool cancelled;
	bool teardown; /* everything goes, whatever fails; nothing is undone */
	void (*then)(struct super *s, int status, const struct err *e); /* at the end */
};

#define CLIENTS 32
struct client {
	struct super *hub;
	bool used;
	uint32_t id; /* never reused */
	struct chan chan;
	struct ev_source src;
	uid_t uid;
	uint64_t lab_req; /* the CMD_LAB that waits for priv */
};

/* The notify process; notify.c. */
#define NOTICES 32
struct notify {
	struct chan chan; /* fd -1: none */
	struct ev_source src;
	struct notify_notice wait[NOTICES]; /* for one that is not there yet, or does not read just now */
	unsigned first, n;
	uint32_t left_out; /* notices that found no place */
	bool told;         /* that there is none */
};

enum life { LIFE_STARTING, LIFE_RUNNING, LIFE_REVIVING, LIFE_DOWN };

struct super {
	struct ev ev;
	enum life life;
	char name[NAME_CAP];
	char evidence_dir[256];
	char mode[16];
	uid_t operator_uid;
	uint64_t started; /* realtime */
	int status;       /* of the process */

	struct chan priv, gateway, evidence;
	struct ev_source priv_src, gateway_src, evidence_src, listen_src;
	int gateway_pid, evidence_pid;
	int priv_pid, own_pid;
	int evidence_state; /* 0 or why it stopped */
	char evidence_text[ERR_TEXT];
	uint32_t policy_generation;
	const struct model *policies; /* whose policies are sent, with its pool: model or apply.wanted; never NULL */
	bool pool_new;                /* the next generation is the first with this pool */
	uint32_t pool_generation;  /* that was the first with it: what the gateway says of older ones means another */
	uint32_t watch_generation; /* the same for what introspect processes wait for */
	struct policy_change {     /* policy.c */
		struct seq seq;
		struct reply_to to;
		bool busy, again;
	} policy_change, policy_refresh;
	struct notify notify;
	bool frozen;    /* the whole honeynet: every new gateway gets it before its first port */
	struct seq seq; /* start, revive, down */

	struct inline_engine engine;
	int plan_fd; /* of the guest kernel's hooks, made by the first introspect process; -1 */
	struct asks asks;
	struct model model; /* what runs; model.magic 0 = nothing */
	struct netslot nets[MODEL_NETS];
	struct sinkhole sinks[MODEL_NETS]; /* of the network in the same slot */
	struct seq *sinks_wait;            /* goes on when all of them are made, or failed */
	struct machine machines[MODEL_HONEYPOTS];
	struct apply apply;
	struct client clients[CLIENTS];
	uint32_t next_client;
	struct reply_to down_to;
	bool saving; /* evidence was started once more, for what a dead one left in the rings */
	bool down_force;
};

static inline int machine_slot(const struct super *s, const struct machine *m)
{
	return (int)(m - s->machines);
}
struct machine *machine_find(struct super *s, const char *name);
struct netslot *net_find(struct super *s, const char *name);

/* super.c */
/* One event for evidence; type is EVE's event_type. honeypot NULL = none. */
void super_event(struct super *s, const struct reply_to *to, const char *type, const char *eventid,
		 const char *honeypot, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Asks all processes to end, in the order in which nothing is lost, then exits. */
void super_down(struct super *s, const struct reply_to *to, bool force);
/* Starts evidence and gateway again after one of them died; then calls apply_begin. */
void super_revive(struct super *s);
bool super_alive(const struct super *s); /* gateway and evidence both work */
/* Reads a role's channel and hands answers to asks; for ev_add. */
void super_watch_role(struct super *s, struct chan *c, struct ev_source *src);

/* A step: makes the channel of a process that also writes records - our end in
 * c->fd, watched - and tells evidence about the record source. *far_fd and
 * *record_fd go to the process when it is spawned. x: slot, role, honeypot. */
int super_record_source(struct super *s, struct seq *q, struct chan *c, struct ev_source *src,
			const struct ev_source_add *x, int *far_fd, int *record_fd, struct err *e);

/* machine.c: one job at a time per machine; done is called once */
typedef void (*machine_done)(struct super *s, struct machine *m, int status, const struct err *e);
void machine_init(struct super *s, struct machine *m);
int machine_start(struct super *s, struct machine *m, machine_done done);
int machine_stop(struct super *s, struct machine *m, bool force, machine_done done);
int machine_reset(struct super *s, struct machine *m, machine_done done);
int machine_pause(struct super *s, struct machine *m, bool pause, machine_done done);
int machine_port_open(struct super *s, struct machine *m, machine_done done);
int machine_port_close(struct super *s, struct machine *m, machine_done done);
/* What other processes report. */
void machine_introspect_exited(struct super *s, struct machine *m, int wait_status);
void machine_exited(struct super *s, struct machine *m, bool vmm, int wait_status);
void machine_seen(struct super *s, struct machine *m);
void machine_control_up(struct super *s, struct machine *m);
/* Drops the running job without a word; what exists stays for the next stop. */
void machine_abandon(struct super *s, struct machine *m);
void machine_forget(struct super *s, struct machine *m); /* closes all fds, drops the running job */

/* freeze.c */
void freeze_request(struct super *s, const struct reply_to *to, const char *honeypot, bool frozen);
/* Steps: tell the gateway, which may be a new one or have a new port. */
int freeze_machine_step(struct super *s, struct seq *q, struct machine *m, struct err *e);
int freeze_honeynet_step(struct super *s, struct seq *q, struct err *e);

/* hold.c: whether the gateway keeps the connections of a paused machine alive */
int hold_step(struct super *s, struct seq *q, struct machine *m, bool hold, struct err *e);
void hold_tell(struct super *s, struct machine *m, bool hold); /* without waiting */
void hold_failed(struct super *s, struct machine *m, const struct err *e);

/* policy.c */
void policy_request(struct super *s, const struct reply_to *to, struct msg *m); /* CMD_POLICY */
bool policy_busy(const struct super *s);
/* Sends what is in force now once more: a honeypot's policy was tightened or is its own again. */
void policy_refresh(struct super *s);
void policy_cancel(struct super *s);

/* notify.c */
struct client;
void notify_take(struct super *s, struct client *c); /* CMD_NOTIFY: its connection is the notify process's */
void notify_conf_send(struct super *s);
void notify_send(struct super *s, const struct notify_notice *n);
void notify_tick(struct super *s);

/* port.c: steps shared by machines and networks */
int port_make_ring(struct super *s, int *ring_fd, int *wake_fd, struct err *e);
/* From now on the policies of this model are sent, which lives at least until the next call. */
void policy_from(struct super *s, const struct model *m);
int policy_send(struct super *s, struct seq *q, struct err *e);
void rings_stop(struct super *s, int code);

/* network.c */
typedef void (*net_done)(struct super *s, struct netslot *n, int status, const struct err *e);
int network_add(struct super *s, const struct network *net, const struct model *m, struct netslot **out, struct err *e);
int network_del(struct super *s, struct netslot *n);
void network_forget(struct super *s, struct netslot *n);

/* apply.c */
/* rules: for the inline engine, a memfd that is taken over; or -1. */
void apply_request(struct super *s, const struct reply_to *to, const struct model *wanted, int rules);
void apply_begin(struct super *s); /* plan from s->model to s->apply.wanted and run it */
/* Stops all machines and removes all ports and networks; disks stay. */
void apply_teardown(struct super *s, bool force, void (*then)(struct super *s, int status, const struct err *e));
void apply_cancel(struct super *s, const char *why);
void apply_network_done(struct super *s, struct netslot *n, int status, const struct err *e);

/* ctl.c */
int ctl_listen(struct super *s, int fd);
/* Takes the connection out of a client's hands, without closing it. */
struct chan ctl_detach(struct super *s, struct client *c);
void ctl_progress(struct super *s, const struct reply_to *to, unsigned step, unsigned steps, const char *text);
void ctl_end(struct super *s, const struct reply_to *to, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int ctl_send(struct super *s, const struct reply_to *to, uint32_t type, const void *body, size_t len, const int *fds,
	     int nfds);

void machine_cmd_done(struct super *s, struct machine *m, int status, const struct err *e);

/* ps.c */
void ps_request(struct super *s, const struct reply_to *to, bool verbose);

#endif
