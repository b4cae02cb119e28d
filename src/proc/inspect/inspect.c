/* SPDX-License-Identifier: ISC */
/*
 * The handler of the inline engine: writes its configuration, reads what it
 * reports. It holds no path and no frame; if it dies, super ends the engine with
 * it, and nothing passes until both are back.
 *
 * Alerts go to super one by one, at most ALERTS_SECOND a second; what is beyond is
 * counted and told in the figures. What the engine prints is passed on as
 * problems, at most PROBLEMS of them before it is up and one a second afterwards.
 */
#include "proc/inspect/inspect.h"

#include "base/ev.h"
#include "base/log.h"
#include "model/suricata.h"
#include "proc/inspect/report.h"
#include "proto/msg.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALERTS_SECOND 1000u
#define PROBLEMS 16u
#define BATCH 64
#define TICK EV_SEC

static struct process {
	struct ev ev;
	struct chan super;
	struct ev_source super_src, report_src, log_src;
	struct ev_timer tick;
	struct inspect_state state, told;
	unsigned alerts, problems; /* that may still be sent in this second */
	char line[1024];
	size_t nline;
	int status;
} x;

static char room[REPORT_MAX];

static bool tell(enum inspect_event event)
{
	x.state.event = event;
	return msg_send(&x.super, MSG_INSPECT_STATE, 0, &x.state, sizeof(x.state), NULL, 0) == 0;
}

/* ---- reports -------------------------------------------------------------------- */

static void on_report(void *arg, uint32_t events, uint64_t now)
{
	(void)arg, (void)events, (void)now;
	for (int i = 0; i < BATCH; i++) {
		struct gw_alert a;
		ssize_t n = recv(x.report_src.fd, room, sizeof(room), MSG_DONTWAIT);
		if (n < 0)
			return;
		switch (report_eve(room, (size_t)n, &a, &x.state.packets)) {
		case REPORT_BAD:
			x.state.bad++;
			break;
		case REPORT_ALERT:
			x.state.alerts++;
			if (!x.alerts || msg_send(&x.super, MSG_INSPECT_ALERT, 0, &a, sizeof(a), NULL, 0) < 0) {
				x.state.lost++;
				break;
			}
			x.alerts--;
			break;
		default:
			break;
		}
	}
}

/* ---- what it prints --------------------------------------------------------------- */

static void take_line(void)
{
	if (!x.nline)
		return;
	switch (report_log(x.line, x.nline, &x.state)) {
	case LOG_KIND_STARTED:
		tell(INSPECT_EV_UP);
		x.problems = 1;
		break;
	case LOG_KIND_PROBLEM:
		if (x.problems) {
			x.problems--;
			tell(INSPECT_EV_PROBLEM);
		}
		break;
	default:
		break;
	}
	x.nline = 0;
}

static void on_log(void *arg, uint32_t events, uint64_t now)
{
	(void)arg, (void)events, (void)now;
	ssize_t n = read(x.log_src.fd, room, sizeof(room));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		take_line();
		ev_del(&x.ev, &x.log_src);
		tell(INSPECT_EV_ENDED);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (room[i] == '\n') {
			take_line();
		} else if (x.nline < sizeof(x.line)) {
			x.line[x.nline++] = room[i];
		}
	}
}

static void on_tick(void *arg, uint64_t now)
{
	(void)arg;
	x.alerts = ALERTS_SECOND;
	if (!x.problems)
		x.problems = 1;
	if (x.state.alerts != x.told.alerts || x.state.packets != x.told.packets || x.state.bad != x.told.bad) {
		if (tell(INSPECT_EV_FIGURES))
			x.told = x.state;
	}
	ev_timer_set(&x.ev, &x.tick, now + TICK, on_tick, NULL);
}

/* ---- commands ----------------------------------------------------------------------- */

static int prepare(const struct msg *m, struct err *e)
{
	static char yaml[SURICATA_YAML_MAX];
	const struct inspect_prepare *b = MSG_BODY_AS(m, inspect_prepare);
	if (b->nhome > MODEL_NETS * 2 || b->nvars > ENGINE_VARS)
		return err_set(e, -EPROTO, "%u networks, %u variables", b->nhome, b->nvars);
	struct suricata_conf c = { .dir = SURICATA_DIR,
				   .reports = SURICATA_REPORTS,
				   .home = b->home,
				   .nhome = b->nhome,
				   .vars = b->vars,
				   .nvars = b->nvars };
	int n = suricata_yaml(yaml, sizeof(yaml), &c, e);
	if (n < 0)
		return n;
	int fd = memfd_create("suricata.yaml", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the engine's configuration");
	if (write(fd, yaml, (size_t)n) != n ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		close(fd);
		return err_set(e, -EIO, "cannot write the engine's configuration");
	}
	return fd;
}

static int start(struct msg *m, struct err *e)
{
	if (m->nfds != 2)
		return err_set(e, -EPROTO, "the engine's reports and output are 2 fds, got %d", m->nfds);
	if (x.report_src.live || x.log_src.live)
		return err_set(e, -EALREADY, "it reads an engine's reports already");
	int reports = msg_take_fd(m, 0), log = msg_take_fd(m, 1);
	fcntl(log, F_SETFL, O_NONBLOCK);
	int r = ev_add(&x.ev, &x.report_src, reports, EPOLLIN, on_report, NULL);
	if (!r)
		r = ev_add(&x.ev, &x.log_src, log, EPOLLIN, on_log, NULL);
	x.problems = PROBLEMS;
	x.super.state = STATE_RUN;
	return r < 0 ? err_sys(e, r, "cannot watch the engine") : 0;
}

static void command(struct msg *m)
{
	struct err e = { 0 };
	struct done d = { 0 };
	int r = 0, fd = -1;
	switch (m->type) {
	case MSG_INSPECT_PREPARE:
		fd = prepare(m, &e);
		r = fd < 0 ? fd : 0;
		break;
	case MSG_INSPECT_START:
		r = start(m, &e);
		break;
	default:
		x.ev.quit = true;
		break;
	}
	d.status = r;
	snprintf(d.text, sizeof(d.text), "%s", r < 0 ? e.text : "");
	msg_close_fds(m);
	r = msg_send_wait(&x.super, MSG_INSPECT_DONE, m->req, &d, sizeof(d), &fd, fd >= 0, 1000);
	if (r < 0)
		log_error("cannot answer super: %s", strerror(-r));
	if (fd >= 0)
		close(fd);
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	static struct msg m;
	struct err e = { 0 };
	(void)arg, (void)events, (void)now;
	int r = msg_recv(&x.super, &m, &e);
	if (r == 0)
		return;
	if (r > 0) {
		command(&m);
		return;
	}
	if (r != -EPIPE)
		log_error("%s", e.text);
	x.status = r != -EPIPE;
	x.ev.quit = true;
}

int inspect_main(int argc, char **argv)
{
	struct err e = { 0 };
	struct isolate_opts o = { .dirfd = -1 };
	(void)argc, (void)argv;
	log_init("inspect", LOG_L_INFO);
	signal(SIGPIPE, SIG_IGN);
	x.super = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_INSPECT, .peer = ROLE_SUPER, .state = STATE_INIT };
	int r = ev_init(&x.ev, NULL);
	if (!r)
		r = ev_add(&x.ev, &x.super_src, x.super.fd, EPOLLIN | EPOLLRDHUP, on_super, NULL);
	if (r < 0) {
		log_error("cannot watch fd %d: %s", x.super.fd, strerror(-r));
		return 1;
	}
	if (isolate_role(ROLE_INSPECT, &o, &e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	on_tick(NULL, x.ev.now);
	r = ev_run(&x.ev);
	return r < 0 ? 1 : x.status;
}
