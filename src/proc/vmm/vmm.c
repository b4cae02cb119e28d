/* SPDX-License-Identifier: ISC */
/*
 * The handler of one machine: prepares its disk, watches it boot, carries its
 * console, pauses and halts it. It talks to a VMM that may be the intruder's,
 * and holds nothing but the fds named here: 3 super, 4 evidence, the console,
 * the control socket and the pidfd, and the operators' ends. The disk fds are
 * closed before VMM_PREPARE is answered.
 *
 * One process serves one start of one machine: PREPARE, START, operations, QUIT.
 *
 * System calls after isolate_role(ROLE_VMM): read write close fstat(newfstatat
 * with AT_EMPTY_PATH) recvfrom sendto recvmsg sendmsg poll epoll_wait epoll_ctl
 * pread64 pwrite64 ftruncate fdatasync getrandom clock_gettime mmap munmap
 * mremap brk madvise futex rt_sigprocmask rt_sigreturn getpid exit_group. No
 * path, no new socket, no process.
 */
#include "proc/vmm/vmm.h"

#include "base/log.h"
#include "base/text.h"
#include "proc/vmm/backend.h"
#include "proc/vmm/console.h"
#include "proto/msg.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FINISH_MS 500

static struct vmm {
	struct ev ev;
	struct chan super, evidence;
	struct ev_source super_src;
	const struct backend *backend; /* set by VMM_PREPARE */
	char honeypot[NAME_CAP];
	bool started;
	int status;
} v;
static struct console con; /* large */
static struct msg in;

static void done(uint64_t req, int status, const char *text)
{
	struct done d = { .status = status };
	text_safe(d.text, sizeof(d.text), text, strlen(text), false);
	int r = msg_send_wait(&v.super, MSG_VMM_DONE, req, &d, sizeof(d), NULL, 0, 5000);
	if (r < 0)
		v.ev.quit = true;
}

static void on_answer(void *arg, uint64_t req, int status, const char *text)
{
	(void)arg;
	done(req, status, text);
}

static void event(const char *eventid, const char *text)
{
	struct ev_event x = { .time = ev_realtime() };
	snprintf(x.type, sizeof(x.type), "machine");
	snprintf(x.eventid, sizeof(x.eventid), "%s", eventid);
	snprintf(x.honeypot, sizeof(x.honeypot), "%s", v.honeypot);
	text_safe(x.message, sizeof(x.message), text, strlen(text), false);
	msg_send_wait(&v.evidence, MSG_EV_VMM_EVENT, 0, &x, sizeof(x), NULL, 0, 1000);
}

static void on_state(void *arg, enum vmm_event what, const char *text)
{
	(void)arg;
	struct vmm_state s = { .event = what };
	text_safe(s.text, sizeof(s.text), text, strlen(text), false);
	if (what == VMM_BOOTING && s.text[0])
		event("skep.machine.rebooted", s.text);
	/* Not waited for: super knows of a death from priv in any case. */
	msg_send(&v.super, MSG_VMM_STATE, 0, &s, sizeof(s), NULL, 0);
}

static void on_console_gone(void *arg, const struct err *e)
{
	(void)arg;
	if (e->code)
		log_error("%s", e->text);
	on_state(NULL, VMM_CONSOLE_GONE, e->code ? e->text : "");
}

static void prepare(struct msg *m)
{
	const struct vmm_prepare *p = MSG_BODY_AS(m, vmm_prepare);
	struct err e = { 0 };
	int overlay = msg_take_fd(m, 0), base = msg_take_fd(m, 1);
	int r = 0;
	if (overlay < 0 || base < 0 || !MSG_TEXT(p->honeypot) || !MSG_TEXT(p->hostname))
		r = err_set(&e, -EINVAL, "no disk, or a name without an end");
	const struct backend *b = r < 0 ? NULL : backend_find(p->backend, &e);
	if (!b)
		r = e.code;
	else
		r = b->prepare(p, overlay, base, &e);
#ifndef MUTANT_VMM_KEEPS_DISK
	if (overlay >= 0)
		close(overlay);
#endif
	if (base >= 0)
		close(base);
	if (r == 0) {
		v.backend = b;
		memcpy(v.honeypot, p->honeypot, sizeof(v.honeypot));
		con.slot = p->slot;
	}
	done(m->req, r, r < 0 ? e.text : "");
}

static void start(struct msg *m)
{
	static const struct backend_host host = { .ev = &v.ev, .answer = on_answer, .state = on_state };
	struct err e = { 0 };
	int console = msg_take_fd(m, 0), control = msg_take_fd(m, 1), pidfd = msg_take_fd(m, 2);
	int r = 0;
	if (console < 0 || control < 0)
		r = err_set(&e, -EINVAL, "no console or control socket");
	else if (!v.backend)
		r = err_set(&e, -EPROTO, "the machine was not prepared");
	else if (v.started)
		r = err_set(&e, -EALREADY, "the machine was started already");
	if (r < 0) {
		int fds[] = { console, control, pidfd };
		for (int i = 0; i < 3; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		done(m->req, r, e.text);
		return;
	}
	v.started = true;
	v.super.state = STATE_RUN;
	r = console_start(&con, console, &e);
	if (!r) {
		r = v.backend->start(&host, control, pidfd, &e);
	} else {
		close(control);
		if (pidfd >= 0)
			close(pidfd);
	}
	done(m->req, r, r < 0 ? e.text : "");
}

static void operate(struct msg *m)
{
	static const enum backend_op names[VMM_OP_COUNT] = { BACKEND_PAUSE, BACKEND_RESUME, BACKEND_STOP,
							     BACKEND_KILL };
	uint32_t op = MSG_BODY_AS(m, vmm_op)->op;
	const struct backend *b = v.backend;
	struct err e = { 0 };
	int r = -EINVAL;
	if (op >= VMM_OP_COUNT)
		err_set(&e, r, "no such operation");
	else if (op == VMM_OP_PAUSE && b->pause)
		r = b->pause(m->req, &e);
	else if (op == VMM_OP_RESUME && b->resume)
		r = b->resume(m->req, &e);
	else if (op == VMM_OP_HALT && b->stop)
		r = b->stop(m->req, &e);
	else if (op == VMM_OP_KILLED && b->kill)
		r = b->kill(&e);
	else
		r = backend_refuse(b, names[op], &e);
	if (op == VMM_OP_KILLED && r == 0)
		console_finish(&con, FINISH_MS);
	if (r != BACKEND_LATER)
		done(m->req, r, r < 0 ? e.text : "");
}

static void attach(struct msg *m)
{
	struct err e = { 0 };
	int fd = msg_take_fd(m, 0);
	int r = fd < 0 ? err_set(&e, -EINVAL, "no terminal to attach")
		       : console_attach(&con, fd, MSG_BODY_AS(m, cmd_console)->flags, &e);
	done(m->req, r, r < 0 ? e.text : "");
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct err e = { 0 };
	(void)arg;
	(void)events;
	(void)now;
	int r = msg_recv(&v.super, &in, &e);
	if (r == 0)
		return;
	if (r < 0) {
		if (r != -EPIPE)
			log_error("%s", e.text);
		v.status = r != -EPIPE;
		v.ev.quit = true;
		return;
	}
	switch (in.type) {
	case MSG_VMM_PREPARE:
		prepare(&in);
		break;
	case MSG_VMM_START:
		start(&in);
		break;
	case MSG_VMM_OP:
		operate(&in);
		break;
	case MSG_VMM_CONSOLE:
		attach(&in);
		break;
	case MSG_VMM_QUIT:
		v.super.state = STATE_DRAIN;
		if (v.backend)
			v.backend->kill(NULL);
		console_finish(&con, FINISH_MS);
		done(in.req, 0, "");
		v.ev.quit = true;
		break;
	default:
		break;
	}
	msg_close_fds(&in);
}

/* What libcrypto wants to load, it loads before there are no paths any more. */
static int warm_up(struct err *e)
{
	unsigned char b;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS,
			    NULL);
	return RAND_bytes(&b, 1) == 1 ? 0 : err_set(e, -EIO, "no random numbers");
}

static int set_up(struct err *e)
{
	int r = ev_init(&v.ev, NULL);
	if (r < 0)
		return err_sys(e, r, "cannot make an event loop");
	for (int fd = ROLE_FD_CONTROL; fd <= ROLE_FD_FIRST; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return err_sys(e, -errno, "fd %d is not what it should be", fd);
	v.super = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_VMM, .peer = ROLE_SUPER, .state = STATE_INIT };
	v.evidence = (struct chan){ .fd = ROLE_FD_FIRST, .self = ROLE_VMM, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	console_init(&con, &v.ev, &v.evidence, 0, on_console_gone, NULL);
	r = ev_add(&v.ev, &v.super_src, v.super.fd, EPOLLIN, on_super, NULL);
	return r < 0 ? err_sys(e, r, "cannot watch super") : 0;
}

int vmm_main(int argc, char **argv)
{
	struct err e = { 0 };
	(void)argc;
	(void)argv;
	log_init("vmm", LOG_L_INFO);
	signal(SIGPIPE, SIG_IGN);
	int r = set_up(&e);
	if (!r)
		r = warm_up(&e);
	if (!r)
		r = isolate_role(ROLE_VMM, &(struct isolate_opts){ .dirfd = -1 }, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	r = ev_run(&v.ev);
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	return r < 0 ? 1 : v.status;
}
