/* SPDX-License-Identifier: ISC */
#include "world.h"

#include "proc/super/super.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *world_mode = "rootless";

static void die(const char *what)
{
	perror(what);
	abort();
}

/*
 * Time runs FASTER than it does: super's limits and retries take seconds. Both
 * super, a child of this program, and the world around it see the same clock.
 */
#define FASTER 4

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (!r && id == CLOCK_MONOTONIC) {
		unsigned long long ns =
		    ((unsigned long long)t->tv_sec * 1000000000u + (unsigned long long)t->tv_nsec) * FASTER;
		t->tv_sec = (time_t)(ns / 1000000000u);
		t->tv_nsec = (long)(ns % 1000000000u);
	}
	return r;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	return (int)syscall(SYS_epoll_pwait, fd, events, n, timeout > 0 ? (timeout + FASTER - 1) / FASTER : timeout,
			    NULL, 8);
}

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int connect_ctl(struct world *w)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
	int c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (c < 0 || connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	return c;
}

static void connect_cli(struct world *w)
{
	int c = connect_ctl(w);
	w->cli = (struct chan){ .fd = c, .self = ROLE_CLI, .peer = ROLE_SUPER, .state = STATE_ANY };
}

static void send_up(struct world *w, const struct model *m)
{
	struct cmd_apply a = { 0 };
	struct err e;
	int fd = model_seal(m, &e);
	if (fd < 0)
		die(e.text);
	w->ended = false;
	w->progress = 0;
	if (msg_send(&w->cli, MSG_CMD_APPLY, ++w->last_req, &a, sizeof(a), &fd, 1) < 0)
		die("send");
	close(fd);
}

void world_start(struct world *w)
{
	world_start_early(w, NULL);
}

void world_start_early(struct world *w, const struct model *m)
{
	int pair[2];
	static struct policy_pool pool;
	memset(w, 0, sizeof(*w));
	w->pool = &pool;
	w->early = m;
	w->next_pid = 1000;
	snprintf(w->dir, sizeof(w->dir), "/tmp/skep-super-XXXXXX");
	if (!mkdtemp(w->dir))
		die("mkdtemp");
	snprintf(w->path, sizeof(w->path), "%s/ctl", w->dir);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
	int listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listen_fd, 8) < 0)
		die("listen");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
		die("socketpair");
	w->pid = fork();
	if (w->pid == 0) {
		char uid[16];
		char *argv[] = { "super", "shop", "/tmp/evidence", (char *)world_mode, uid, NULL };
		snprintf(uid, sizeof(uid), "%u", getuid());
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int l = fcntl(listen_fd, F_DUPFD, 10), p = fcntl(pair[1], F_DUPFD, 10);
		dup2(p, 3);
		dup2(l, 4);
		close_range(5, ~0u, 0);
		if (!getenv("SKEP_TEST_LOG")) {
			int null = open("/dev/null", O_WRONLY);
			dup2(null, 2);
			close(null);
		}
		_exit(super_main(5, argv));
	}
	close(pair[1]);
	close(listen_fd);
	w->priv = (struct chan){ .fd = pair[0], .self = ROLE_PRIV, .peer = ROLE_SUPER, .state = STATE_INIT };
	w->gateway.fd = w->evidence.fd = w->cli.fd = w->notify.fd = -1;
	for (int i = 0; i < SLOTS; i++)
		w->vmm[i].fd = w->intro[i].fd = w->sink[i].fd = -1;
	/* Its start: evidence, gateway, then PRIV_RUN. */
	for (long end = now_ms() + 5000; w->priv.state == STATE_INIT && !w->gone && now_ms() < end;)
		world_idle(w, 20);
	if (w->priv.state != STATE_RUN) {
		fprintf(stderr, "super did not start\n");
		abort();
	}
	if (!m)
		connect_cli(w);
}

void world_end(struct world *w)
{
	if (!w->gone) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	chan_close(&w->priv);
	chan_close(&w->gateway);
	chan_close(&w->evidence);
	chan_close(&w->cli);
	chan_close(&w->notify);
	for (int i = 0; i < SLOTS; i++) {
		chan_close(&w->vmm[i]);
		chan_close(&w->intro[i]);
		chan_close(&w->sink[i]);
		if (w->frame_fd[i] > 0)
			close(w->frame_fd[i]);
	}
	unlink(w->path);
	rmdir(w->dir);
}

static bool fails(struct world *w, uint32_t type)
{
	if (type != w->fail_type)
		return false;
	return ++w->failed == w->fail_nth;
}

static void note(struct world *w, uint32_t type, int slot, uint32_t arg)
{
	if (w->n < TRACE_MAX)
		w->trace[w->n++] = (struct traced){ type, slot, arg };
}

static void done(struct world *w, struct chan *c, uint32_t type, const struct msg *m, int status)
{
	(void)w;
	struct done d = { .status = status };
	if (status)
		snprintf(d.text, sizeof(d.text), "%s was told to fail", proto_rule(m->type)->name);
	msg_send(c, type, m->req, &d, sizeof(d), NULL, 0);
}

void world_exited(struct world *w, enum role role, unsigned slot, bool vmm, int wait_status)
{
	struct priv_exited x = { .role = role, .slot = slot, .vmm = vmm, .wait_status = wait_status };
	if (role == ROLE_VMM) {
		x.pid = vmm ? w->vmm_pid[slot] : w->handler_pid[slot];
		if (vmm)
			w->vmm_alive[slot] = false;
		else
			chan_close(&w->vmm[slot]);
	}
	if (role == ROLE_INTROSPECT) {
		x.pid = w->intro_pid[slot];
		chan_close(&w->intro[slot]);
	}
	if (role == ROLE_SINKHOLE) {
		x.pid = w->sink_pid[slot];
		w->sink_pid[slot] = 0;
		chan_close(&w->sink[slot]);
	}
	if (role == ROLE_GATEWAY)
		chan_close(&w->gateway);
	if (role == ROLE_EVIDENCE)
		chan_close(&w->evidence);
	msg_send(&w->priv, MSG_PRIV_EXITED, 0, &x, sizeof(x), NULL, 0);
}

static void boot(struct world *w, unsigned slot)
{
	struct vmm_state up = { .event = VMM_CONTROL_UP };
	struct gw_seen seen = { .port = (uint16_t)slot };
	if (w->crash_boot) {
		w->crash_boot = false;
		world_exited(w, ROLE_VMM, slot, true, SIGABRT);
		return;
	}
	if (w->mute_boot)
		return;
	msg_send(&w->vmm[slot], MSG_VMM_STATE, 0, &up, sizeof(up), NULL, 0);
	msg_send(&w->gateway, MSG_GW_SEEN, 0, &seen, sizeof(seen), NULL, 0);
}

static void play_priv(struct world *w, struct msg *m)
{
	struct priv_done d = { 0 };
	int fds[2] = { -1, -1 }, nfds = 0;
	int slot = -1;
	uint32_t arg = 0;
	if (m->type == MSG_PRIV_SPAWN) {
		const struct priv_spawn *x = MSG_BODY_AS(m, priv_spawn);
		arg = x->role;
		slot =
		    x->role == ROLE_VMM || x->role == ROLE_INTROSPECT || x->role == ROLE_SINKHOLE ? (int)x->slot : -1;
	} else if (m->type == MSG_PRIV_DISK) {
		slot = (int)MSG_BODY_AS(m, priv_disk)->slot;
		arg = MSG_BODY_AS(m, priv_disk)->op;
	} else if (m->type == MSG_PRIV_VMM) {
		slot = (int)MSG_BODY_AS(m, priv_vmm)->slot;
		arg = (uint32_t)m->nfds;
	} else if (m->type == MSG_PRIV_PROBE) {
		slot = (int)MSG_BODY_AS(m, priv_probe)->slot;
		arg = (uint32_t)m->nfds;
	} else if (m->type == MSG_PRIV_MEMORY) {
		slot = (int)MSG_BODY_AS(m, priv_memory)->slot;
	} else if (m->type == MSG_PRIV_KILL) {
		slot = (int)MSG_BODY_AS(m, priv_kill)->slot;
		arg = MSG_BODY_AS(m, priv_kill)->what * 2 + MSG_BODY_AS(m, priv_kill)->vmm;
	}
	note(w, m->type, slot, arg);
	if (w->mute_type_set && m->type == w->mute_type)
		return;
	if (fails(w, m->type)) {
		d.status = -EIO;
		snprintf(d.text, sizeof(d.text), "%s was told to fail", proto_rule(m->type)->name);
		msg_send(&w->priv, MSG_PRIV_DONE, m->req, &d, sizeof(d), NULL, 0);
		return;
	}
	switch (m->type) {
	case MSG_PRIV_SPAWN: {
		enum role role = (enum role)arg;
		struct chan *c = role == ROLE_VMM          ? &w->vmm[slot]
				 : role == ROLE_INTROSPECT ? &w->intro[slot]
				 : role == ROLE_GATEWAY    ? &w->gateway
				 : role == ROLE_SINKHOLE   ? &w->sink[slot]
							   : &w->evidence;
		*c = (struct chan){ .fd = msg_take_fd(m, 0), .self = role, .peer = ROLE_SUPER, .state = STATE_ANY };
		d.pid = w->next_pid++;
		if (role == ROLE_VMM)
			w->handler_pid[slot] = d.pid;
		if (role == ROLE_INTROSPECT)
			w->intro_pid[slot] = d.pid;
		if (role == ROLE_SINKHOLE)
			w->sink_pid[slot] = d.pid;
		break;
	}
	case MSG_PRIV_PROBE:
		fds[nfds++] = memfd_create("bpf-ring", MFD_CLOEXEC);
		fds[nfds++] = memfd_create("bpf-state", MFD_CLOEXEC);
		break;
	case MSG_PRIV_MEMORY:
		fds[nfds++] = memfd_create("memory", MFD_CLOEXEC);
		fds[nfds++] = memfd_create("pidfd", MFD_CLOEXEC);
		break;
	case MSG_PRIV_SINK:
		fds[nfds++] = memfd_create("fd", MFD_CLOEXEC);
		fds[nfds++] = memfd_create("ns", MFD_CLOEXEC);
		d.kind = PORT_TAP;
		break;
	case MSG_PRIV_LAB:
	case MSG_PRIV_VMM:
		fds[nfds++] = memfd_create("fd", MFD_CLOEXEC);
		d.kind = PORT_TAP;
		if (m->type == MSG_PRIV_VMM) {
			d.pid = w->next_pid++;
			w->vmm_pid[slot] = d.pid;
			w->vmm_alive[slot] = w->hello_due[slot] = true;
			if (w->frame_fd[slot] > 0)
				close(w->frame_fd[slot]);
			w->frame_fd[slot] = msg_take_fd(m, 0);
		}
		break;
	case MSG_PRIV_LAB_FDS:
		fds[nfds++] = memfd_create("fd", MFD_CLOEXEC);
		break;
	case MSG_PRIV_DISK:
		d.kind = 1;
		if (arg == DISK_CREATE) {
			fds[nfds++] = memfd_create("cow", MFD_CLOEXEC);
			fds[nfds++] = memfd_create("base", MFD_CLOEXEC);
		}
		break;
	case MSG_PRIV_RUN:
		w->priv.state = STATE_RUN;
		if (w->early) {
			/* priv says that it is ready, and the operator is quicker
			 * than super's answer. */
			connect_cli(w);
			send_up(w, w->early);
			usleep(100000);
		}
		break;
	case MSG_PRIV_INSPECT:
		if (MSG_BODY_AS(m, priv_inspect)->everything) {
			struct rep_thread t = { .role = "vmm" };
			msg_send(&w->priv, MSG_PRIV_THREAD, m->req, &t, sizeof(t), NULL, 0);
		}
		d.rss = d.pss = 7 << 20;
		break;
	default:
		break;
	}
	msg_send(&w->priv, MSG_PRIV_DONE, m->req, &d, sizeof(d), fds, nfds);
	for (int i = 0; i < nfds; i++)
		close(fds[i]);
	if (m->type == MSG_PRIV_SINK_DEL && w->sink_pid[MSG_BODY_AS(m, priv_sink)->net])
		world_exited(w, ROLE_SINKHOLE, MSG_BODY_AS(m, priv_sink)->net, false, SIGKILL);
	if (m->type == MSG_PRIV_KILL) {
		enum role what = (enum role)(arg / 2);
		world_exited(w, what, (unsigned)slot, arg & 1, SIGKILL);
	}
}

static void take_policy(struct world *w, const struct msg *m)
{
	const struct gw_policy *p = MSG_BODY_AS(m, gw_policy);
	struct gw_policy_entry x;
	if (pread(m->fds[0], w->pool, sizeof(*w->pool), 0) != (ssize_t)sizeof(*w->pool))
		die("a policy without its pool");
	w->policy_generation = p->generation;
	w->npolicies = p->n;
	memset(w->policy, 0xff, sizeof(w->policy)); /* port 0xffff: none */
	for (uint32_t i = 0; i < p->n; i++) {
		if (pread(m->fds[0], &x, sizeof(x), (off_t)(sizeof(*w->pool) + i * sizeof(x))) != (ssize_t)sizeof(x))
			die("a policy is missing");
		if (x.port < SLOTS)
			w->policy[x.port] = x;
	}
}

static void play_gateway(struct world *w, struct msg *m)
{
	int slot = m->type == MSG_GW_PORT       ? MSG_BODY_AS(m, gw_port)->port
		   : m->type == MSG_GW_PORT_DEL ? MSG_BODY_AS(m, gw_port_del)->port
		   : m->type == MSG_GW_FREEZE   ? MSG_BODY_AS(m, gw_freeze)->port
		   : m->type == MSG_GW_HOLD     ? MSG_BODY_AS(m, gw_hold)->port
						: -1;
	note(w, m->type, slot,
	     m->type == MSG_GW_FREEZE ? MSG_BODY_AS(m, gw_freeze)->frozen
	     : m->type == MSG_GW_HOLD ? MSG_BODY_AS(m, gw_hold)->held
				      : 0);
	if (w->mute_type_set && m->type == w->mute_type)
		return;
	if (m->type == MSG_GW_STATS) {
		struct gw_port_stats g = { .frames_in = 10, .forwarded = 7, .dropped = 3, .lost = 1 };
		msg_send(&w->gateway, MSG_GW_PORT_STATS, m->req, &g, sizeof(g), NULL, 0);
	}
	int bad = fails(w, m->type) ? -EIO : 0;
	if (m->type == MSG_GW_POLICY && !bad)
		take_policy(w, m);
	done(w, &w->gateway, MSG_GW_DONE, m, bad);
}

static void play_evidence(struct world *w, struct msg *m)
{
	int slot = m->type == MSG_EV_RING       ? MSG_BODY_AS(m, ev_ring)->port
		   : m->type == MSG_EV_RING_DEL ? MSG_BODY_AS(m, ev_ring_del)->port
						: -1;
	if (m->type == MSG_EV_EVENT) {
		const struct ev_event *e = MSG_BODY_AS(m, ev_event);
		memcpy(w->last_event, e->eventid, sizeof(w->last_event));
		w->last_uid = e->uid;
		w->events[w->nevents++ % WORLD_EVENTS] = *e;
		if (!strncmp(e->eventid, "skep.introspection.", 19) && w->nseeing < 64)
			snprintf(w->seeing[w->nseeing++], sizeof(w->seeing[0]), "%s", e->eventid + 19);
		w->freezes += !strcmp(e->eventid, "skep.policy.frozen") || !strcmp(e->eventid, "skep.policy.thawed");
		return;
	}
	note(w, m->type, slot, m->type == MSG_EV_SOURCE ? MSG_BODY_AS(m, ev_source_add)->role : 0);
	if (w->mute_type_set && m->type == w->mute_type)
		return;
	done(w, &w->evidence, MSG_EV_DONE, m, fails(w, m->type) ? -EIO : 0);
}

static void play_vmm(struct world *w, unsigned slot, struct msg *m)
{
	uint32_t arg = m->type == MSG_VMM_OP ? MSG_BODY_AS(m, vmm_op)->op : 0;
	note(w, m->type, (int)slot, arg);
	if (w->mute_type_set && m->type == w->mute_type)
		return;
	bool bad = fails(w, m->type);
	done(w, &w->vmm[slot], MSG_VMM_DONE, m, bad ? -EIO : 0);
	if (bad)
		return;
	if (m->type == MSG_VMM_START)
		boot(w, slot);
	else if (m->type == MSG_VMM_OP && arg == VMM_OP_HALT)
		world_exited(w, ROLE_VMM, slot, true, 0);
	else if (m->type == MSG_VMM_QUIT)
		world_exited(w, ROLE_VMM, slot, false, 0);
}

void world_intro(struct world *w, unsigned slot, unsigned event, uint64_t lost, const char *text)
{
	struct intro_state x = { .event = event, .records = 1000, .lost = lost, .sessions = 2 };
	snprintf(x.text, sizeof(x.text), "%s", text);
	msg_send(&w->intro[slot], MSG_INTRO_STATE, 0, &x, sizeof(x), NULL, 0);
}

static void play_intro(struct world *w, unsigned slot, struct msg *m)
{
	struct done d = { 0 };
	int fds[2], nfds = 0;
	note(w, m->type, (int)slot, (uint32_t)m->nfds);
	if (w->mute_type_set && m->type == w->mute_type)
		return;
	if (fails(w, m->type)) {
		d.status = -EIO;
		snprintf(d.text, sizeof(d.text), "%s was told to fail", proto_rule(m->type)->name);
	} else if (m->type == MSG_INTRO_WATCH) {
		w->watch[slot] = *MSG_BODY_AS(m, intro_watch);
	} else if (m->type == MSG_INTRO_PREPARE) {
		fds[nfds++] = memfd_create("ring", MFD_CLOEXEC);
		fds[nfds++] = memfd_create("plan", MFD_CLOEXEC);
	}
	msg_send(&w->intro[slot], MSG_INTRO_DONE, m->req, &d, sizeof(d), fds, nfds);
	for (int i = 0; i < nfds; i++)
		close(fds[i]);
	if (m->type == MSG_INTRO_QUIT)
		world_exited(w, ROLE_INTROSPECT, slot, false, 0);
	else if (m->type == MSG_INTRO_START && d.status == 0 && w->hello_due[slot]) {
		w->hello_due[slot] = false;
		if (!w->mute_hello)
			world_intro(w, slot, INTRO_EV_UP, 0, "21 of 21 hooks");
	}
}

static void play_cli(struct world *w, struct msg *m)
{
	if (m->req != w->last_req)
		return;
	switch (m->type) {
	case MSG_REP_PROGRESS:
		w->progress++;
		break;
	case MSG_REP_HONEYPOT:
		if (w->honeypots < SLOTS)
			w->hp[w->honeypots++] = *MSG_BODY_AS(m, rep_honeypot);
		break;
	case MSG_REP_NET:
		w->net = *MSG_BODY_AS(m, rep_net);
		break;
	case MSG_REP_THREAD:
		w->threads++;
		break;
	case MSG_REP_FDS:
		w->fds += (unsigned)m->nfds;
		break;
	case MSG_REP_END: {
		const struct rep_end *e = MSG_BODY_AS(m, rep_end);
		w->ended = true;
		w->status = e->status;
		memcpy(w->text, e->text, sizeof(w->text));
		break;
	}
	default:
		break;
	}
}

static void play_notify(struct world *w, struct msg *m)
{
	if (m->type == MSG_NOTIFY_CONF)
		w->notify_conf = *MSG_BODY_AS(m, notify_conf);
	else if (w->nnotices < 64)
		w->notices[w->nnotices++] = *MSG_BODY_AS(m, notify_notice);
}

static void play_sink(struct world *w, unsigned slot, struct msg *m)
{
	struct done d = { 0 };
	note(w, m->type, (int)slot, 0);
	msg_send(&w->sink[slot], MSG_SINK_DONE, m->req, &d, sizeof(d), NULL, 0);
}

static void turn(struct world *w, int ms)
{
	static struct msg m;
	enum { N = 5 + 3 * SLOTS };
	struct chan *cs[N] = { &w->priv, &w->gateway, &w->evidence, &w->cli, [N - 1] = &w->notify };
	struct pollfd p[N];
	for (int i = 0; i < SLOTS; i++)
		cs[4 + i] = &w->vmm[i], cs[4 + SLOTS + i] = &w->intro[i], cs[4 + 2 * SLOTS + i] = &w->sink[i];
	for (int i = 0; i < N; i++)
		p[i] = (struct pollfd){ .fd = cs[i]->fd, .events = POLLIN };
	poll(p, N, ms);
	for (int i = 0; i < N; i++) {
		if (!(p[i].revents) || cs[i]->fd != p[i].fd || cs[i]->fd < 0)
			continue;
		struct err e;
		int r = msg_recv(cs[i], &m, &e);
		if (r < 0) {
			if (r == -EPROTO) {
				fprintf(stderr, "super broke the protocol: %s\n", e.text);
				abort();
			}
			chan_close(cs[i]);
			continue;
		}
		if (r == 0)
			continue;
		if (i == 0)
			play_priv(w, &m);
		else if (i == 1)
			play_gateway(w, &m);
		else if (i == 2)
			play_evidence(w, &m);
		else if (i == 3)
			play_cli(w, &m);
		else if (i == N - 1)
			play_notify(w, &m);
		else if (i < 4 + SLOTS)
			play_vmm(w, (unsigned)(i - 4), &m);
		else if (i >= 4 + 2 * SLOTS)
			play_sink(w, (unsigned)(i - 4 - 2 * SLOTS), &m);
		else
			play_intro(w, (unsigned)(i - 4 - SLOTS), &m);
		msg_close_fds(&m);
	}
	int st;
	if (!w->gone && waitpid(w->pid, &st, WNOHANG) == w->pid) {
		w->gone = true;
		w->exit_status = st;
	}
}

bool world_run(struct world *w, int ms)
{
	for (long end = now_ms() + ms; !w->ended && now_ms() < end;)
		turn(w, 20);
	return w->ended;
}

void world_idle(struct world *w, int ms)
{
	for (long end = now_ms() + ms; now_ms() < end;)
		turn(w, 10);
}

void world_model(struct model *m, unsigned honeypots)
{
	*m = (struct model){ .magic = MODEL_MAGIC,
			     .size = sizeof(*m),
			     .name = "shop",
			     .uplink = UPLINK_LAB,
			     .nlab = 1,
			     .nnets = 1,
			     .nhoneypots = honeypots };
	addr_parse("203.0.113.0/24", 1, &m->lab[0]);
	snprintf(m->nets[0].name, NAME_CAP, "dmz");
	addr_parse("198.51.100.0/24", 1, &m->nets[0].v4);
	addr_parse("198.51.100.1", 0, &m->nets[0].router4);
	m->nets[0].router4.plen = 24;
	for (unsigned i = 0; i < honeypots; i++) {
		struct honeypot *h = &m->honeypots[i];
		char ip[32];
		snprintf(h->name, sizeof(h->name), "web%u", i);
		snprintf(h->hostname, sizeof(h->hostname), "web%u", i);
		snprintf(h->image, sizeof(h->image), "busybox");
		snprintf(ip, sizeof(ip), "198.51.100.%u", 10 + i);
		addr_parse(ip, 0, &h->addrs[0]);
		h->addrs[0].plen = 24;
		h->naddrs = 1;
		h->memory = 64 << 20;
		h->cpus = 1;
		h->boot_seconds = 5;
		mac_auto("shop", h->name, h->mac);
	}
	m->evidence.ring_bytes = 1 << 16;
	m->evidence.rotate_bytes = 64 << 20;
}

void world_ask(struct world *w, uint32_t type, const void *body, size_t len)
{
	w->ended = false;
	w->progress = w->honeypots = w->threads = w->fds = 0;
	if (msg_send(&w->cli, type, ++w->last_req, body, len, NULL, 0) < 0)
		die("send");
}

bool world_up(struct world *w, const struct model *m)
{
	send_up(w, m);
	return world_run(w, 20000);
}

bool world_machine(struct world *w, unsigned verb, const char *name)
{
	struct cmd_machine c = { .verb = verb };
	snprintf(c.honeypot, sizeof(c.honeypot), "%s", name);
	world_ask(w, MSG_CMD_MACHINE, &c, sizeof(c));
	return world_run(w, 20000);
}

bool world_freeze(struct world *w, const char *name, bool frozen)
{
	struct cmd_freeze c = { .frozen = frozen };
	snprintf(c.honeypot, sizeof(c.honeypot), "%s", name ? name : "");
	world_ask(w, MSG_CMD_FREEZE, &c, sizeof(c));
	return world_run(w, 20000);
}

bool world_ps(struct world *w, bool verbose)
{
	struct cmd_ps c = { .verbose = verbose };
	world_ask(w, MSG_CMD_PS, &c, sizeof(c));
	return world_run(w, 10000);
}

bool world_down(struct world *w)
{
	struct cmd_down c = { 0 };
	world_ask(w, MSG_CMD_DOWN, &c, sizeof(c));
	return world_run(w, 20000);
}

int world_at(const struct world *w, uint32_t type, int slot, unsigned nth)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->trace[i].type == type && (slot < 0 || w->trace[i].slot == slot) && --nth == 0)
			return (int)i;
	return -1;
}

unsigned world_count(const struct world *w, uint32_t type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < w->n; i++)
		n += w->trace[i].type == type;
	return n;
}

void world_hit(struct world *w, unsigned slot, unsigned kind, unsigned what, uint32_t count)
{
	struct gw_hit x = { .port = (uint16_t)slot,
			    .kind = (uint8_t)kind,
			    .rule = RULE_NONE,
			    .flow = 77,
			    .count = count,
			    .generation = w->policy_generation };
	if (kind == HIT_LIMIT)
		x.reason = (uint8_t)what;
	else
		x.keyword = (uint16_t)what;
	if (msg_send(&w->gateway, MSG_GW_HIT, 0, &x, sizeof(x), NULL, 0) < 0)
		die("send");
}

void world_intro_hit(struct world *w, unsigned slot, unsigned watch, const char *text)
{
	struct intro_hit x = {
		.watch = watch, .generation = w->watch[slot].generation, .count = 1, .pid = 300, .session = 0xabc
	};
	snprintf(x.text, sizeof(x.text), "%s", text);
	if (msg_send(&w->intro[slot], MSG_INTRO_HIT, 0, &x, sizeof(x), NULL, 0) < 0)
		die("send");
}

bool world_policy(struct world *w, const struct model *m, uint32_t flags)
{
	struct cmd_policy a = { .flags = flags };
	struct err e;
	int fd = model_seal(m, &e);
	if (fd < 0)
		die(e.text);
	w->ended = false;
	if (msg_send(&w->cli, MSG_CMD_POLICY, ++w->last_req, &a, sizeof(a), &fd, 1) < 0)
		die("send");
	close(fd);
	return world_run(w, 20000);
}

void world_notify(struct world *w)
{
	struct msg_empty x = { 0 };
	w->notify = (struct chan){ .fd = connect_ctl(w), .self = ROLE_CLI, .peer = ROLE_SUPER, .state = STATE_ANY };
	if (msg_send(&w->notify, MSG_CMD_NOTIFY, 1, &x, sizeof(x), NULL, 0) < 0)
		die("send");
	w->notify.self = ROLE_NOTIFY;
}

const struct policy *world_policy_of(const struct world *w, unsigned slot)
{
	return w->policy[slot].port == slot ? &w->policy[slot].policy : NULL;
}

unsigned world_events(const struct world *w, const char *id, const char *honeypot)
{
	unsigned n = 0;
	for (unsigned i = 0; i < w->nevents && i < WORLD_EVENTS; i++)
		n += !strcmp(w->events[i].eventid, id) && (!honeypot || !strcmp(w->events[i].honeypot, honeypot));
	return n;
}
