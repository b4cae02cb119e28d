/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_PRIV_DRIVER_H
#define SKEP_TESTS_PRIV_DRIVER_H

#include "proto/msg.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/types.h>

/*
 * priv executes its own binary for the other roles, so the test binary plays
 * them: fake_main() is called with --role=X. The fake super is a relay: the
 * test connects to run/NAME/ctl and speaks with priv through it, as super.
 */
int fake_main(int argc, char **argv);

/* First packet that the relay sends to whoever connects. */
struct hello {
	int32_t pid;
	uint32_t uid;
	uint64_t capeff;
	char args[600]; /* its arguments, each followed by a newline */
};

struct net {
	char dir[40];   /* SKEP_STATE */
	char path[512]; /* scratch for net_path */
	char name[NAME_CAP];
	uid_t uid;                     /* who starts it: 0 or an ordinary user */
	bool copy;                     /* run a copy of this binary that has the preload library next to it */
	void (*before)(struct net *n); /* in the child that becomes priv, still as the test's uid */
	pid_t priv;
	int status; /* read end of the status pipe */
	int lock;
	struct chan ctl; /* as super, through the relay */
	struct hello super;
	uint64_t req;
	struct priv_exited exited[16]; /* seen while waiting for something else */
	int nexited;
	pid_t family[512]; /* net_watch: all that descend from priv */
	int nfamily;
	int nthreads; /* PRIV_THREAD seen */
	struct rep_thread threads[64];
};

#define TEST_UID 1000u

void net_prepare(struct net *n, const char *name, uid_t uid); /* directories only */
void net_start(struct net *n);                                /* executes priv */
void net_connect(struct net *n);                              /* to the relay */
void net_run(struct net *n);                                  /* PRIV_RUN and "ready" */
void net_up(struct net *n, const char *name, uid_t uid);      /* all four */
void net_status(struct net *n, char *buf, size_t cap);        /* all that comes before the pipe closes */
int net_wait(struct net *n);                                  /* priv's exit status, at most 25 s */
void net_quit(struct net *n);                                 /* PRIV_QUIT, wait, net_gone, net_remove */
void net_watch(struct net *n);                                /* notes who must be dead at net_gone */
void net_gone(struct net *n);                                 /* nothing of it may be left */
void net_remove(struct net *n);                               /* the directories */
const char *net_path(struct net *n, const char *below);

/* Sends a verb, waits for its answer; fds[4] are -1 or the caller's. */
void net_call(struct net *n, uint32_t type, const void *body, size_t len, const int *send, int nsend,
	      struct priv_done *done, int fds[4]);
#define CALL(n, type, body, send, nsend, done, fds)                                                                    \
	net_call(n, MSG_##type, body, sizeof(*(body)), send, nsend, done, fds)
void net_wait_exited(struct net *n, struct priv_exited *x);

/* Spawns a role; *fd is our end of its channel. */
int net_spawn(struct net *n, enum role role, uint32_t slot, int *fd);
/* What a fake role says about itself: lines KEY VALUE. */
void role_report(int fd, char *buf, size_t cap);
bool alive(pid_t pid);
void put_file(const char *path, const char *text);
bool exists(const char *path);

extern const uid_t test_uids[2];
extern int test_nuids; /* 2 as root, else 1 */
void tests_init(void);

#endif
