/* SPDX-License-Identifier: ISC */
/*
 * priv: the only process of a honeynet that may be root, and the parent of all
 * others.
 *
 * Theory of operation. The cli executes it with the lock of the honeynet; it
 * makes what needs privilege (directories, uids, namespaces), starts super and
 * then does nothing but carry out super's verbs (verbs.c), one at a time, from
 * fixed-size messages. super is not believed: every number, name and fd of a
 * message is checked against what priv itself handed out.
 *
 * State moves one way: STATE_INIT until super says PRIV_RUN, STATE_RUN, and
 * STATE_DRAIN from the moment that anything ends the honeynet: PRIV_QUIT,
 * SIGTERM, or super's death. From then on children are only killed and reaped;
 * when the last is gone priv removes what it made and exits (cleanup.c). If
 * priv itself is killed, PDEATHSIG kills its children, and what has a name in
 * the file system is removed by the next start.
 */
#include "proc/priv/priv.h"

#include "base/log.h"
#include "base/text.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_SECONDS 30
#define LOG_MAX (8 << 20)

static struct priv priv;

static void start_timeout(void *arg, uint64_t now)
{
	struct priv *p = arg;
	struct err e;
	(void)now;
	err_set(&e, -ETIMEDOUT, "super did not come up within %d s: see %.300s", START_SECONDS, p->log_path);
	end_begin(p, 1, &e);
}

static void on_signal(void *arg, uint32_t events, uint64_t now)
{
	struct priv *p = arg;
	struct signalfd_siginfo si;
	(void)events;
	(void)now;
	while (read(p->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		struct err e;
		if (si.ssi_signo == SIGCHLD) {
			spawn_reap(p);
			continue;
		}
		err_set(&e, -EINTR, "ended by signal %u", si.ssi_signo);
		end_begin(p, p->super.state == STATE_INIT ? 1 : 0, &e);
	}
}

static int setup_signals(struct priv *p, struct err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return err_sys(e, -errno, "cannot make a signalfd");
	int r = ev_add(&p->ev, &p->signals, p->signal_fd, EPOLLIN, on_signal, p);
	return r < 0 ? err_sys(e, r, "cannot watch signals") : 0;
}

/* The fds that the cli promised, and no others. */
static int take_fds(struct priv *p, struct err *e)
{
	p->status_fd = ROLE_FD_CONTROL;
	p->lock_fd = ROLE_FD_FIRST;
	if (fcntl(p->status_fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(p->lock_fd, F_SETFD, FD_CLOEXEC) < 0) {
		p->status_fd = -1;
		return err_set(e, -EBADF, "priv is started by `skep up`, not by hand");
	}
	close_range(ROLE_FD_FIRST + 1, ~0u, 0);
	return 0;
}

/* What intruders do makes lines in the log too: it must not fill the disk. The
 * writers append, so that they go on at the beginning. */
static void check_log(void *arg, uint64_t now)
{
	struct priv *p = arg;
	struct stat st;
	if (fstat(p->log_fd, &st) == 0 && st.st_size > LOG_MAX && ftruncate(p->log_fd, 0) == 0)
		log_warn("the log had grown beyond %d MiB and was emptied", LOG_MAX >> 20);
	ev_timer_set(&p->ev, &p->log_timer, now + 10 * EV_SEC, check_log, p);
}

static int start(struct priv *p, struct err *e)
{
	int r;
	/* First of all: what is opened from here on belongs to our own mounts,
	 * so that it can be taken into a jail. */
	if ((r = confine_namespaces(p, e)) < 0)
		return r;
	if ((r = setup_dirs(p, e)) < 0 || (r = setup_lock(p, e)) < 0 || (r = setup_log(p, e)) < 0)
		return r;
	if (p->root && (r = slot_take(p, "/run/skep/.slots", e)) < 0)
		return r;
	if ((r = setup_evidence_owner(p, e)) < 0)
		return r;
	vmm_groups_start(p);
	if ((r = confine_caps(e)) < 0)
		return r;
	r = ev_init(&p->ev, NULL);
	if (r < 0)
		return err_sys(e, r, "cannot make an event loop");
	if ((r = setup_signals(p, e)) < 0 || (r = setup_ctl(p, e)) < 0 || (r = spawn_super(p, e)) < 0)
		return r;
	r = ev_add(&p->ev, &p->commands, p->super.fd, EPOLLIN, verbs_ready, p);
	if (r < 0)
		return err_sys(e, r, "cannot watch super");
	ev_timer_set(&p->ev, &p->start_timer, p->ev.now + START_SECONDS * EV_SEC, start_timeout, p);
	check_log(p, p->ev.now);
	return 0;
}

static void tell_status(struct priv *p, const char *prefix, const char *text)
{
	char line[ERR_TEXT + 16];
	if (p->status_fd < 0)
		return;
	int n = snprintf(line, sizeof(line), "%s%s\n", prefix, text);
	/* The cli may have been interrupted: that is its own affair. */
	if (write(p->status_fd, line, (size_t)n) < 0)
		log_warn("nobody reads the result of the start");
	close(p->status_fd);
	p->status_fd = -1;
}

int verb_run(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	(void)m;
	(void)r;
	(void)e;
	p->super.state = STATE_RUN;
	ev_timer_cancel(&p->ev, &p->start_timer);
	tell_status(p, "", "ready");
	log_info("%s is up, %s", p->name, p->root ? "with own uids" : "in a user namespace");
	return 0;
}

static void init(struct priv *p)
{
	*p = (struct priv){ .slot_fd = -1,
			    .status_fd = -1,
			    .lock_fd = -1,
			    .log_fd = -1,
			    .run_fd = -1,
			    .images_fd = -1,
			    .evidence_fd = -1,
			    .disks_fd = -1,
			    .ctl_fd = -1,
			    .signal_fd = -1,
			    .engine_ns = -1,
			    .ev.epfd = -1,
			    .lab = { .ns = -1, .hub = -1, .nl = -1, .hub_nl = -1, .sk = -1, .hub_sk = -1 },
			    .super = { .fd = -1, .self = ROLE_PRIV, .peer = ROLE_SUPER, .state = STATE_INIT } };
	p->out_tail = &p->out_head;
	p->root = geteuid() == 0;
	p->operator= getuid();
}

int priv_main(int argc, char **argv)
{
	struct priv *p = &priv;
	struct err e = { 0 };
	log_init("priv", LOG_L_INFO);
	init(p);
	if (argc != 2 || !text_is_name(argv[1])) {
		fprintf(stderr, "skep: priv is started by `skep up`, not by hand\n");
		return 2;
	}
	text_copy(p->name, sizeof(p->name), argv[1]);
	umask(077);
	setsid(); /* fails if we lead a group already, which serves as well */
	if (take_fds(p, &e) < 0) {
		fprintf(stderr, "skep: %s\n", e.text);
		return 2;
	}
	int r = start(p, &e);
	if (r < 0) {
		p->why = e;
		p->exit_status = 1;
		end_begin(p, 1, &e);
	}
	if (!p->ev.quit)
		r = ev_run(&p->ev);
	end_cleanup(p);
	if (p->status_fd >= 0)
		tell_status(p, "error: ", p->why.text);
	return p->exit_status;
}
