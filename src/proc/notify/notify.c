/* SPDX-License-Identifier: ISC */
/*
 * The process that tells operators: by a program of theirs, by mail, by a POST.
 *
 * Theory of operation. It runs as the operator (as nobody, or whoever called sudo,
 * if that is root), in the host's own network: the only one of skep's processes
 * that has one. It is started by the cli, comes in at super's control socket as
 * any command, and gets notices there. It gives nothing back but what failed.
 *
 * Notices carry an intruder's words. They are copied out of a checked message,
 * escaped in compose.c, and leave this process as one finished text. Each
 * delivery is a child with a deadline (deliver.c), JOBS at a time; more wait
 * (queue.c). When super is gone, what waits is still delivered, for some seconds.
 *
 * It has no filter of system calls, since it executes what the operator names; its
 * safety is that it parses nothing.
 */
#include "proc/notify/notify.h"

#include "base/ev.h"
#include "base/log.h"
#include "proc/notify/compose.h"
#include "proc/notify/deliver.h"
#include "proc/notify/queue.h"
#include "proto/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS 6u
#define LINGER (10 * EV_SEC)
#define TICK (500 * EV_MS)

static struct {
	struct ev ev;
	struct chan super;
	struct ev_source super_src, signal_src;
	struct ev_timer tick;
	int signal_fd;
	struct notify_conf conf;
	struct queue queue;
	struct delivery job[JOBS];
	const char *sendmail;
	uint64_t end; /* super is gone; 0 = it is there */
} x;
static struct msg in;

static void failed(enum notify_way way, const char *honeypot, const char *trigger, const char *why)
{
	struct notify_failed f = { .way = (uint32_t)way };
	snprintf(f.honeypot, sizeof(f.honeypot), "%s", honeypot);
	snprintf(f.trigger, sizeof(f.trigger), "%s", trigger);
	snprintf(f.text, sizeof(f.text), "%.159s", why);
	log_warn("notice of %s was not delivered: %s", trigger, why);
	if (x.super.fd >= 0)
		msg_send(&x.super, MSG_NOTIFY_FAILED, 0, &f, sizeof(f), NULL, 0);
}

static unsigned free_jobs(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < JOBS; i++)
		n += x.job[i].pid == 0;
	return n;
}

static void start(enum notify_way way, const struct notify_notice *n)
{
	struct err e;
	unsigned i = 0;
	while (i < JOBS && x.job[i].pid)
		i++;
	if (i < JOBS && deliver_start(&x.job[i], way, &x.conf, x.sendmail, n, x.ev.now, &e) < 0)
		failed(way, n->honeypot, n->trigger, e.text);
}

/* Starts what there is room for: a notice goes all its ways at once. */
static void go_on(void)
{
	struct notify_notice n;
	while (free_jobs() >= NOTIFY_WAY_COUNT && queue_take(&x.queue, &n))
		for (unsigned way = 0; way < NOTIFY_WAY_COUNT; way++)
			if (deliver_has(&x.conf, (enum notify_way)way))
				start((enum notify_way)way, &n);
	if (x.end && !x.queue.waiting && free_jobs() == JOBS)
		x.ev.quit = true;
}

static void on_signal(void *arg, uint32_t events, uint64_t now)
{
	struct signalfd_siginfo si;
	int st;
	pid_t pid;
	(void)arg, (void)events, (void)now;
	while (read(x.signal_fd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			x.ev.quit = true;
	while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
		for (unsigned i = 0; i < JOBS; i++) {
			struct delivery was = x.job[i];
			struct err e;
			if (was.pid != pid)
				continue;
			if (deliver_end(&x.job[i], st, &e) < 0)
				failed(was.way, was.honeypot, was.trigger, e.text);
		}
	go_on();
}

static void on_tick(void *arg, uint64_t now)
{
	(void)arg;
	for (unsigned i = 0; i < JOBS; i++)
		deliver_check(&x.job[i], x.end && now >= x.end ? UINT64_MAX : now);
	if (x.end && now >= x.end + EV_SEC)
		x.ev.quit = true;
	ev_timer_set(&x.ev, &x.tick, now + TICK, on_tick, NULL);
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct err e;
	(void)arg, (void)events;
	for (;;) {
		int r = msg_recv(&x.super, &in, &e);
		if (r == 0)
			break;
		if (r < 0) {
			if (r != -EPIPE)
				log_error("%s", e.text);
			ev_del(&x.ev, &x.super_src);
			chan_close(&x.super);
			x.end = now + LINGER;
			break;
		}
		const struct notify_conf *c = MSG_BODY_AS(&in, notify_conf);
		const struct notify_notice *n = MSG_BODY_AS(&in, notify_notice);
		if (in.type == MSG_NOTIFY_CONF && deliver_conf_ok(c) && queue_limit(&x.queue, &c->throttle) == 0)
			x.conf = *c;
		else if (in.type == MSG_NOTIFY_NOTICE && compose_check(n))
			queue_put(&x.queue, n, now);
		msg_close_fds(&in);
	}
	go_on();
}

static int set_up(struct err *e)
{
	static const struct rlimit none = { 0, 0 };
	struct msg_empty hello = { 0 };
	sigset_t set;
	x.super = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_CLI, .peer = ROLE_SUPER, .state = STATE_ANY };
	int flags = fcntl(x.super.fd, F_GETFL);
	if (flags < 0 || fcntl(x.super.fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(x.super.fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(e, -EBADF, "the notify process is started by `skep up`, not by hand");
	close_range(ROLE_FD_FIRST, ~0u, 0);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (chdir("/") < 0)
		return err_sys(e, -errno, "cannot change to /");
	int r = msg_send(&x.super, MSG_CMD_NOTIFY, 1, &hello, sizeof(hello), NULL, 0);
	if (r < 0)
		return err_sys(e, r, "super does not answer");
	x.super.self = ROLE_NOTIFY;
	for (unsigned i = 0; i < JOBS; i++)
		x.job[i].words_fd = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	x.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (x.signal_fd < 0 || (r = ev_init(&x.ev, NULL)) < 0 ||
	    (r = ev_add(&x.ev, &x.signal_src, x.signal_fd, EPOLLIN, on_signal, NULL)) < 0 ||
	    (r = ev_add(&x.ev, &x.super_src, x.super.fd, EPOLLIN, on_super, NULL)) < 0)
		return err_sys(e, r ? r : -errno, "cannot wait for notices");
	return 0;
}

int notify_main(int argc, char **argv)
{
	struct err e;
	(void)argc, (void)argv;
	log_init("notify", LOG_L_INFO);
	const char *sendmail = getenv("SKEP_SENDMAIL");
	x.sendmail = sendmail && sendmail[0] == '/' ? sendmail : "/usr/sbin/sendmail";
	if (geteuid() == 0) {
		log_error("the notify process does not run as root");
		return 1;
	}
	if (set_up(&e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	on_tick(NULL, ev_monotonic());
	int r = ev_run(&x.ev);
	queue_free(&x.queue);
	return r < 0;
}
