/* SPDX-License-Identifier: ISC */
#ifndef TESTS_SUPER_WORLD_H
#define TESTS_SUPER_WORLD_H

#include "model/model.h"
#include "proto/msg.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * Everything around super, played by the test: priv, gateway, evidence, the
 * handlers and an operator. super itself is the real process. Each request is
 * written to the trace and answered at once, unless the test says otherwise.
 */
#define TRACE_MAX 4096
#define SLOTS 8
#define WORLD_EVENTS 512

struct traced {
	uint32_t type;
	int slot;     /* of the honeypot or network port, -1 */
	uint32_t arg; /* disk op, role, vmm op, frozen; number of fds of PRIV_VMM and INTRO_* */
};

struct world {
	pid_t pid;
	const struct model *early;
	char dir[64], path[96];
	struct chan priv, gateway, evidence, vmm[SLOTS], intro[SLOTS], cli;
	bool vmm_alive[SLOTS];
	int frame_fd[SLOTS]; /* the VMM's end of its frame socket */
	struct chan sink[SLOTS];
	int sink_pid[SLOTS];
	int vmm_pid[SLOTS], handler_pid[SLOTS], intro_pid[SLOTS], next_pid;
	struct traced trace[TRACE_MAX];
	unsigned n;
	/* Answer the fail_nth-th (from 1) message of fail_type with -EIO. */
	uint32_t fail_type;
	unsigned fail_nth, failed;
	bool mute_boot;        /* handlers never say that the kernel is up */
	bool crash_boot;       /* the first VMM dies while it boots */
	bool hello_due[SLOTS]; /* its kernel says hello once, when it starts */
	bool mute_hello;       /* the hooks never say hello */
	bool mute_type_set;
	uint32_t mute_type; /* not answered at all */
	uint64_t last_req;
	/* what the operator got */
	bool ended;
	int32_t status;
	char text[ERR_TEXT];
	unsigned progress, honeypots, threads, fds;
	struct rep_honeypot hp[SLOTS];
	struct rep_net net;
	/* what the gateway was sent last, whole */
	uint32_t policy_generation, npolicies;
	struct gw_policy_entry policy[SLOTS];
	struct policy_pool *pool;
	/* all events, the last ones if there were many */
	struct ev_event events[WORLD_EVENTS];
	unsigned nevents;
	/* the connection of a notify process, if the test has one */
	struct chan notify;
	struct notify_conf notify_conf;
	struct notify_notice notices[64];
	unsigned nnotices;
	struct intro_watch watch[SLOTS]; /* what introspect was told to wait for */
	char last_event[48];
	uint32_t last_uid;
	char seeing[64][24]; /* events skep.introspection.*, without that */
	unsigned nseeing;
	unsigned freezes; /* events skep.policy.frozen and thawed */
	bool gone;        /* super's process ended */
	int exit_status;
};

void world_start(struct world *w);
/* The same, with the operator's first command sent before the start is over. */
void world_start_early(struct world *w, const struct model *m);
void world_end(struct world *w);
/* Plays on until the operator's request ended, or for ms milliseconds. */
bool world_run(struct world *w, int ms);
/* Plays for ms whatever happens. */
void world_idle(struct world *w, int ms);
void world_model(struct model *m, unsigned honeypots);
bool world_up(struct world *w, const struct model *m);
void world_ask(struct world *w, uint32_t type, const void *body, size_t len);
bool world_machine(struct world *w, unsigned verb, const char *name);
/* name NULL = the honeynet. */
bool world_freeze(struct world *w, const char *name, bool frozen);
bool world_ps(struct world *w, bool verbose);
bool world_down(struct world *w);
void world_exited(struct world *w, enum role role, unsigned slot, bool vmm, int wait_status);
/* What the introspect process of a slot says. */
void world_intro(struct world *w, unsigned slot, unsigned event, uint64_t lost, const char *text);
/* What the gateway says. */
void world_hit(struct world *w, unsigned slot, unsigned kind, unsigned what, uint32_t count);
void world_intro_hit(struct world *w, unsigned slot, unsigned watch, const char *text);
/* Sends CMD_POLICY and waits for its end. */
bool world_policy(struct world *w, const struct model *m, uint32_t flags);
/* Connects as the notify process does. */
void world_notify(struct world *w);
/* The policy that the gateway has for a slot; NULL. */
const struct policy *world_policy_of(const struct world *w, unsigned slot);
/* Events with that id, for that honeypot (NULL = any). */
unsigned world_events(const struct world *w, const char *id, const char *honeypot);
/* Position in the trace of the nth such message (slot -1 = any); -1 if none. */
int world_at(const struct world *w, uint32_t type, int slot, unsigned nth);
unsigned world_count(const struct world *w, uint32_t type);

extern const char *world_mode; /* "rootless"; or "root", before world_start */

#endif
