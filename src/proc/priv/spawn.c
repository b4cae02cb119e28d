/* SPDX-License-Identifier: ISC */
/* Starting, reaping and killing skep's own processes. The VMMs are started by
 * vmm.c but reaped here. */
#include "base/log.h"
#include "proc/priv/state.h"
#include "sandbox/uml_args.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FDS (MSG_FDS + 1)
#define FD_ASIDE 128 /* above every number that a child is promised */

static uid_t role_uid(const struct priv *p, enum role role, uint32_t slot)
{
	if (!p->root)
		return UID_SAME;
	switch (role) {
	case ROLE_SUPER:
		return p->uid_base + UID_SUPER;
	case ROLE_GATEWAY:
		return p->uid_base + UID_GATEWAY;
	case ROLE_EVIDENCE:
		return p->uid_base + UID_EVIDENCE;
	case ROLE_INSPECT:
		return p->uid_base + UID_INSPECT;
	case ROLE_SINKHOLE:
		return p->uid_base + UID_SINKHOLE + slot;
	case ROLE_INTROSPECT:
		return p->uid_base + UID_INTROSPECT + slot;
	default:
		return p->uid_base + UID_HANDLER + slot;
	}
}

static int place_fds(const int *fds, int nfds)
{
	int aside[CHILD_FDS];
	for (int i = 0; i < nfds; i++)
		if ((aside[i] = fcntl(fds[i], F_DUPFD, FD_ASIDE)) < 0)
			return -errno;
	for (int i = 0; i < nfds; i++)
		if (dup2(aside[i], ROLE_FD_CONTROL + i) < 0)
			return -errno;
#ifndef MUTANT_PRIV_FDS
	if (close_range((unsigned)(ROLE_FD_CONTROL + nfds), ~0u, 0) < 0)
		return -errno;
#endif
	return 0;
}

static void child_main(pid_t parent, char *const *argv, uid_t uid, bool admin, const int *fds, int nfds)
{
	struct err e = { 0 };
	sigset_t none;
	char *const env[] = { NULL };
	int r = place_fds(fds, nfds);
	if (r == 0)
		r = confine_child(uid, admin, &e);
#ifndef MUTANT_PRIV_ORPHANS
	/* After the uid changed: that clears it. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		r = -errno;
#endif
	if (r == 0 && getppid() != parent)
		_exit(127);
	if (r == 0 && chdir("/") < 0)
		r = -errno;
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (r == 0) {
		execve("/proc/self/exe", argv, env);
		r = -errno;
	}
	log_error("cannot start %s: %s", argv[1], e.text[0] ? e.text : strerror(-r));
	_exit(127);
}

static int spawn(struct child *c, char *const *argv, uid_t uid, bool admin, const int *fds, int nfds, struct err *e)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return err_sys(e, -errno, "cannot fork");
	if (pid == 0)
		child_main(parent, argv, uid, admin, fds, nfds);
	c->pid = pid;
	return 0;
}

int spawn_role(struct priv *p, struct child *c, enum role role, uint32_t slot, const int *fds, int nfds, struct err *e)
{
	char flag[32];
	char *const argv[] = { (char *)"skep", flag, NULL };
	snprintf(flag, sizeof(flag), "--role=%s", role_name(role));
	*c = (struct child){ .role = role, .slot = slot };
	return spawn(c, argv, role_uid(p, role, slot), false, fds, nfds, e);
}

int spawn_super(struct priv *p, struct err *e)
{
	int pair[2];
	char flag[32], uid[16];
	char *const argv[] = {
		(char *)"skep", flag, p->name, p->evidence_path, (char *)(p->root ? "root" : "rootless"), uid, NULL
	};
	snprintf(flag, sizeof(flag), "--role=%s", role_name(ROLE_SUPER));
	snprintf(uid, sizeof(uid), "%u", (unsigned)p->operator);
	int r = msg_pair(pair, e);
	if (r < 0)
		return r;
	p->super_child = (struct child){ .role = ROLE_SUPER };
	/* super must stay in our user namespace, see sandbox/isolate.h. */
	r = spawn(&p->super_child, argv, role_uid(p, ROLE_SUPER, 0), true, (int[]){ pair[1], p->ctl_fd }, 2, e);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	p->super.fd = pair[0];
	/* Only super may accept operators. */
	close(p->ctl_fd);
	p->ctl_fd = -1;
	return 0;
}

void spawn_each(struct priv *p, void (*fn)(struct priv *p, struct child *c))
{
	struct child *own[] = { &p->engine, &p->inspect, &p->gateway, &p->super_child, &p->evidence };
	for (uint32_t i = 0; i < MODEL_HONEYPOTS; i++) {
		if (p->vmms[i].pid)
			fn(p, &p->vmms[i]);
		if (p->handlers[i].pid)
			fn(p, &p->handlers[i]);
		if (p->introspects[i].pid)
			fn(p, &p->introspects[i]);
	}
	for (uint32_t i = 0; i < MODEL_NETS; i++)
		if (p->sinkholes[i].pid)
			fn(p, &p->sinkholes[i]);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i]->pid)
			fn(p, own[i]);
}

void spawn_kill(struct child *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL);
}

static pid_t reaped;
static struct child *found;

static void match(struct priv *p, struct child *c)
{
	(void)p;
	if (c->pid == reaped)
		found = c;
}

static void log_end(const struct child *c, int status)
{
	const char *what = !c->vmm ? role_name(c->role) : c->role == ROLE_INSPECT ? "engine" : "machine";
	if (WIFSIGNALED(status))
		log_info("%s (pid %d, slot %u) was killed by signal %d", what, c->pid, c->slot, WTERMSIG(status));
	else
		log_info("%s (pid %d, slot %u) ended with status %d", what, c->pid, c->slot, WEXITSTATUS(status));
}

void spawn_reap(struct priv *p)
{
	int status;
	while ((reaped = waitpid(-1, &status, WNOHANG)) > 0) {
		found = NULL;
		spawn_each(p, match);
		if (!found)
			continue;
		struct child c = *found;
		found->pid = 0;
		log_end(&c, status);
		if (c.vmm && c.role == ROLE_INSPECT)
			engine_end(p);
		else if (c.vmm)
			vmm_gone(p, c.slot);
		if (c.role == ROLE_SUPER) {
			end_super_gone(p);
			continue;
		}
		if (p->ending)
			continue;
		struct priv_exited x = {
			.role = c.role, .slot = c.slot, .vmm = c.vmm, .wait_status = status, .pid = c.pid
		};
		out_send(p, MSG_PRIV_EXITED, 0, &x, sizeof(x), NULL, 0);
	}
	end_check(p);
}

/* A role's channel must be what it will take it for. */
static bool is_channel(int fd)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0)
		return false;
	n = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && domain == AF_UNIX && type == SOCK_SEQPACKET;
}

/* What the introspect process reads symbols and offsets from: nobody but us may
 * say which file that is. */
static int open_kernel(struct err *e)
{
	int fd = open(UML_PROGRAM, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? err_sys(e, -errno, "cannot open the guest kernel " UML_PROGRAM) : fd;
}

int verb_spawn(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_spawn *s = MSG_BODY_AS(m, priv_spawn);
	struct child *c;
	int want = 1;
	switch (s->role) {
	case ROLE_GATEWAY:
		c = &p->gateway;
		break;
	case ROLE_EVIDENCE:
		c = &p->evidence;
		break;
	case ROLE_INSPECT:
		c = &p->inspect;
		break;
	case ROLE_VMM:
	case ROLE_INTROSPECT:
		if (s->slot >= MODEL_HONEYPOTS)
			return err_set(e, -ERANGE, "no slot %u", s->slot);
		c = s->role == ROLE_VMM ? &p->handlers[s->slot] : &p->introspects[s->slot];
		want = 2;
		break;
	case ROLE_SINKHOLE:
		if (s->slot >= MODEL_NETS || !p->sinks[s->slot].up)
			return err_set(e, -ENOENT, "network %u has no place for a sinkhole", s->slot);
		c = &p->sinkholes[s->slot];
		want = 2;
		break;
	default:
		return err_set(e, -EINVAL, "super may not start role %u", s->role);
	}
	if (want == 1 && s->slot != 0)
		return err_set(e, -ERANGE, "%s has no slot", role_name(s->role));
	if (c->pid)
		return err_set(e, -EEXIST, "%s runs already (pid %d)", role_name(s->role), c->pid);
	if (m->nfds != want)
		return err_set(e, -EINVAL, "%s needs %d fds, got %d", role_name(s->role), want, m->nfds);
	int fds[CHILD_FDS], n = 0, own = 0;
	for (; n < m->nfds; n++) {
		if (!is_channel(m->fds[n]))
			return err_set(e, -EINVAL, "fd %d for %s is no channel", n, role_name(s->role));
		fds[n] = m->fds[n];
	}
	if (s->role == ROLE_EVIDENCE)
		fds[n++] = p->evidence_fd;
	int x = 0;
	if (s->role == ROLE_INTROSPECT) {
		x = fds[n] = open_kernel(e);
		own = 1;
	} else if (s->role == ROLE_SINKHOLE) {
		x = sink_sockets(p, s->slot, fds + n, e);
		own = SINK_SERVICES;
	}
	if (x < 0)
		return x;
	x = spawn_role(p, c, s->role, s->slot, fds, n + own, e);
	for (int i = 0; i < own; i++)
		close(fds[n + i]);
	if (x < 0)
		return x;
	r->done.pid = c->pid;
	return 0;
}

int verb_kill(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_kill *k = MSG_BODY_AS(m, priv_kill);
	struct child *c = NULL;
	if (k->slot >= MODEL_HONEYPOTS)
		return err_set(e, -ERANGE, "no slot %u", k->slot);
	if (k->what == ROLE_VMM)
		c = k->vmm ? &p->vmms[k->slot] : &p->handlers[k->slot];
	else if (k->what == ROLE_INTROSPECT)
		c = &p->introspects[k->slot];
	else if (k->what == ROLE_INSPECT)
		c = k->vmm ? &p->engine : &p->inspect;
	else if (k->what == ROLE_SINKHOLE && k->slot < MODEL_NETS)
		c = &p->sinkholes[k->slot];
	else if (k->what == ROLE_GATEWAY)
		c = &p->gateway;
	else if (k->what == ROLE_EVIDENCE)
		c = &p->evidence;
	else
		return err_set(e, -EINVAL, "super may not kill role %u", k->what);
	if (!c->pid)
		return err_set(e, -ESRCH, "%s of slot %u does not run", role_name(k->what), k->slot);
	r->done.pid = c->pid;
	spawn_kill(c);
	return 0;
}
