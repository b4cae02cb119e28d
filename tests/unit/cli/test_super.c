/* SPDX-License-Identifier: ISC */
/* Commands against a fake super: what they ask, what they print, how they end. */
#include "support.h"

#include "cli/nets.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define EVIL "\033]0;owned\a\xc2\x9b"

/* ---- the fake's behaviour, by request -------------------------------------- */

struct script {
	const char *honeypots[4];
	unsigned state;
	const char *detail;
	int machine_status;
	const char *machine_text;
	int ps_honeypots_only; /* then hang up without an end */
	int mute;              /* never answers */
	int dead_gateway;
	int unterminated;
	int many;
};

static void send_thread(struct fake *f, const struct msg *m, const char *comm)
{
	struct rep_thread t = { .pid = 7, .tid = 8, .seccomp = 2, .no_new_privs = 1, .nfds = 4, .uid = 0x70000001 };
	strcpy(t.honeypot, "web");
	strcpy(t.role, "vmm");
	memcpy(t.comm, comm, strnlen(comm, sizeof(t.comm)));
	strcpy(t.fds, "0:/dev/null 3:socket");
	msg_send(&f->chan, MSG_REP_THREAD, m->req, &t, sizeof(t), NULL, 0);
}

static bool ps(struct fake *f, const struct msg *m, const struct script *s)
{
	struct rep_net n = {
		.gateway_pid = s->dead_gateway ? 0 : 11, .evidence_pid = 12, .super_pid = 13, .priv_pid = 14
	};
	n.frames_in = 10;
	n.frames_forwarded = 7;
	n.frames_dropped = 3;
	n.frames_recorded = 10;
	n.started = 1;
	strcpy(n.mode, "rootless");
	strcpy(n.evidence, "/some/where/evidence" EVIL);
	if (s->dead_gateway)
		n.evidence_state = -ENOSPC;
	if (s->unterminated) {
		memset(n.mode, 'm', sizeof(n.mode));
		memset(n.evidence, 'e', sizeof(n.evidence));
	}
	msg_send(&f->chan, MSG_REP_NET, m->req, &n, sizeof(n), NULL, 0);
	for (int i = 0; s->honeypots[i]; i++)
		reply_honeypot(f, m, s->honeypots[i], s->state, s->detail ? s->detail : "");
	for (int i = 0; i < s->many; i++) {
		struct rep_honeypot h = { 0 };
		msg_send_wait(&f->chan, MSG_REP_HONEYPOT, m->req, &h, sizeof(h), NULL, 0, 2000);
	}
	if (s->unterminated) {
		struct rep_honeypot h;
		memset(&h, 'h', sizeof(h));
		msg_send(&f->chan, MSG_REP_HONEYPOT, m->req, &h, sizeof(h), NULL, 0);
		struct rep_thread t;
		memset(&t, 't', sizeof(t));
		msg_send(&f->chan, MSG_REP_THREAD, m->req, &t, sizeof(t), NULL, 0);
	}
	if (MSG_BODY_AS(m, cmd_ps)->verbose)
		send_thread(f, m, "linux" EVIL);
	if (s->ps_honeypots_only) {
		chan_close(&f->chan);
		return true;
	}
	reply_end(f, m, 0, "");
	return true;
}

/* The guest at the other end: says hello, then answers each line with "got". */
static void guest(int fd)
{
	char line[256];
	dprintf(fd, "hello " EVIL "\r\n");
	for (ssize_t n; (n = read(fd, line, sizeof(line))) > 0;)
		dprintf(fd, "got %.*s\r\n", (int)n, line);
}

static bool console(struct fake *f, const struct msg *m)
{
	int fds[2];
	struct rep_fds rep = { .kind = 0 };
	const struct cmd_console *req = MSG_BODY_AS(m, cmd_console);
	if (strcmp(req->honeypot, "web") != 0) {
		reply_end(f, m, -ENOENT, "no such honeypot");
		return true;
	}
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		guest(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	msg_send(&f->chan, MSG_REP_FDS, m->req, &rep, sizeof(rep), fds, 1);
	close(fds[0]);
	reply_end(f, m, 0, "attached to web");
	return true;
}

static bool answer(struct fake *f, struct msg *m)
{
	const struct script *s = f->arg;
	if (s->mute)
		return true;
	switch (m->type) {
	case MSG_CMD_PS:
		return ps(f, m, s);
	case MSG_CMD_CONSOLE:
		return console(f, m);
	case MSG_CMD_MACHINE:
		reply_progress(f, m, 1, 1, "step" EVIL);
		reply_end(f, m, s->machine_status, s->machine_text ? s->machine_text : "");
		return true;
	case MSG_CMD_FREEZE: {
		const struct cmd_freeze *x = MSG_BODY_AS(m, cmd_freeze);
		char text[64];
		snprintf(text, sizeof(text), "%s %s" EVIL, x->frozen ? "froze" : "thawed",
			 *x->honeypot ? x->honeypot : "all");
		reply_end(f, m, s->machine_status, text);
		return true;
	}
	case MSG_CMD_DOWN:
		reply_progress(f, m, 1, 2, "stop machine web");
		reply_end(f, m, 0, "");
		return false;
	default:
		reply_end(f, m, -ENOSYS, "not in this test");
		return true;
	}
}

static void is_safe(const char *s)
{
	assert_null(strchr(s, '\033'));
	assert_null(strchr(s, '\a'));
	assert_null(strstr(s, "\xc2\x9b"));
}

/* ---- ps --------------------------------------------------------------------- */

static void ps_text(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web", "mail" }, .state = MACHINE_FAILED, .detail = "died: " EVIL };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "ps", "-v", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->err, "");
	is_safe(r->out);
	assert_non_null(strstr(r->out, "HONEYPOT   STATE"));
	assert_non_null(strstr(r->out, "demo/web   failed  uml      192.0.2.10  40M/64M"));
	assert_non_null(strstr(r->out, "demo/mail  failed"));
	assert_non_null(strstr(r->out, "  absent, 7 lost  "));
	assert_non_null(strstr(r->out, "web: it is not seen from inside: no hooks\\x1b]0;owned"));
	assert_non_null(strstr(r->out, "demo: rootless, up "));
	assert_non_null(strstr(r->out, "10 in, 7 forwarded, 3 dropped, 10 recorded"));
	assert_non_null(strstr(r->out, "evidence in /some/where/evidence\\x1b]0;owned\\x07\\xc2\\x9b"));
	assert_non_null(strstr(r->out, "web: died: \\x1b]0;owned"));
	assert_non_null(strstr(r->out, "linux\\x1b]0;owned"));
	assert_null(strstr(r->out, "cut:"));
	r = run(NULL, "ps", "demo", NULL);
	assert_int_equal(r->status, 0);
	assert_null(strstr(r->out, "CAPBND"));
	fake_stop(pid);
}

static void ps_json(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" }, .state = MACHINE_RUNNING };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "ps", "--json", "-v", NULL);
	assert_int_equal(r->status, 0);
	is_safe(r->out);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_non_null(v);
	json_t *net = json_array_get(json_object_get(v, "honeynets"), 0);
	assert_string_equal(json_string_value(json_object_get(net, "name")), "demo");
	json_t *h = json_array_get(json_object_get(net, "honeypots"), 0);
	assert_string_equal(json_string_value(json_object_get(h, "state")), "running");
	assert_int_equal(json_array_size(json_object_get(h, "jail")), 9);
	assert_string_equal(json_string_value(json_array_get(json_object_get(h, "addresses"), 0)), "192.0.2.10/24");
	json_t *in = json_object_get(h, "introspection");
	assert_string_equal(json_string_value(json_object_get(in, "state")), "absent");
	assert_int_equal(json_integer_value(json_object_get(in, "lost")), 7);
	json_t *t = json_array_get(json_object_get(net, "threads"), 0);
	assert_int_equal(json_integer_value(json_object_get(t, "seccomp")), 2);
	assert_string_equal(json_string_value(json_object_get(t, "capbnd")), "0000000000000000");
	json_decref(v);
	fake_stop(pid);
}

static void ps_cut(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" }, .state = MACHINE_RUNNING, .dead_gateway = 1 };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "ps", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "cut: the gateway is dead"));
	assert_non_null(strstr(r->out, "cut: evidence is not written any more: No space left on device"));
	fake_stop(pid);
}

/* A super that was taken over sends fields without an end and numbers out of range. */
static void ps_hostile(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" }, .unterminated = 1 };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "ps", "-v", NULL);
	assert_int_equal(r->status, 0);
	is_safe(r->out);
	assert_int_equal(run(NULL, "ps", "-v", "--json", NULL)->status, 0);
	fake_stop(pid);
	struct script many = { .many = MODEL_HONEYPOTS + 1 };
	pid = fake_start("demo", answer, &many);
	r = run(NULL, "ps", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "more honeypots than there can be"));
	fake_stop(pid);
}

static void ps_nothing(void **arg)
{
	(void)arg;
	char path[300];
	const struct ran *r = run(NULL, "ps", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "no honeynet runs"));
	r = run(NULL, "ps", "--json", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->err, "");
	r = run(NULL, "ps", "nothing", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "no honeynet nothing"));
	assert_int_equal(run(NULL, "ps", "../..", NULL)->status, 1);
	/* What a crash leaves: a directory, a socket that nobody serves. */
	close(fake_listen("gone"));
	snprintf(path, sizeof(path), "%s/run/empty", state);
	mkdir(path, 0700);
	r = run(NULL, "ps", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "gone: left behind by a crash"));
	assert_null(strstr(r->out, "empty"));
	r = run(NULL, "ps", "gone", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "does not run"));
	/* down clears it away. */
	assert_int_equal(run(NULL, "down", "gone", NULL)->status, 0);
	snprintf(path, sizeof(path), "%s/run/gone/ctl", state);
	assert_int_equal(access(path, F_OK), -1);
}

static void super_dies(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" }, .ps_honeypots_only = 1 };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "ps", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "the super of honeynet demo ended"));
	r = run(NULL, "pause", "demo/web", NULL);
	assert_int_equal(r->status, 1);
	fake_stop(pid);
}

static void super_is_mute(void **arg)
{
	(void)arg;
	struct script s = { .mute = 1 };
	struct cli_ctl c;
	struct err e = { 0 };
	struct cmd_ps req = { 0 };
	struct msg m;
	pid_t pid = fake_start("demo", answer, &s);
	assert_int_equal(cli_ctl_open(&c, "demo", &e), 0);
	assert_int_equal(cli_ctl_send(&c, MSG_CMD_PS, &req, sizeof(req), NULL, 0, &e), 0);
	assert_int_equal(cli_ctl_next(&c, &m, 50, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "does not answer"));
	volatile sig_atomic_t stop = 1;
	c.stop = &stop;
	assert_int_equal(cli_ctl_next(&c, &m, 60000, &e), -EINTR);
	/* A request's replies are told by its id: what belongs to another is skipped. */
	cli_ctl_close(&c);
	fake_stop(pid);
}

static void freeze(void **arg)
{
	(void)arg;
	struct script a = { .honeypots = { "web", "beta" } }, b = { .honeypots = { "db" } };
	pid_t pa = fake_start("alpha", answer, &a), pb = fake_start("beta", answer, &b);
	const struct ran *r = run(NULL, "freeze", "web", "alpha", NULL);
	assert_int_equal(r->status, 0);
	is_safe(r->err);
	assert_non_null(strstr(r->err, "alpha: froze web\\x1b"));
	assert_non_null(strstr(r->err, "alpha: froze all"));
	/* A honeynet's name goes before a honeypot's. */
	r = run(NULL, "thaw", "beta", NULL);
	assert_non_null(strstr(r->err, "beta: thawed all"));
	r = run(NULL, "thaw", "alpha/beta", NULL);
	assert_non_null(strstr(r->err, "alpha: thawed beta"));
	/* One that fails does not keep the others from being done. */
	r = run(NULL, "freeze", "nothere", "db", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "beta: froze db"));
	assert_int_equal(run(NULL, "freeze", NULL)->status, 2);
	r = run(NULL, "--complete=target", NULL);
	assert_non_null(strstr(r->out, "alpha\n"));
	assert_non_null(strstr(r->out, "beta/db\n"));
	fake_stop(pa);
	fake_stop(pb);
	struct script no = { .honeypots = { "web" }, .machine_status = -EIO };
	pa = fake_start("alpha", answer, &no);
	r = run(NULL, "freeze", "web", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "freeze web: froze web"));
	fake_stop(pa);
}

/* ---- names ------------------------------------------------------------------- */

static void names(void **arg)
{
	(void)arg;
	struct script one = { .honeypots = { "web", "mail" } }, two = { .honeypots = { "web", "db" } };
	pid_t a = fake_start("alpha", answer, &one), b = fake_start("beta", answer, &two);
	const struct ran *r = run(NULL, "pause", "db", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "beta/db: paused"));
	r = run(NULL, "pause", "web", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "say alpha/web or beta/web"));
	assert_int_equal(run(NULL, "-q", "pause", NULL)->status, 2);
	r = run(NULL, "pause", "-q", "alpha/web", "beta/web", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->err, "");
	r = run(NULL, "stop", "mial", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "did you mean mail?"));
	r = run(NULL, "stop", "somethingelse", NULL);
	assert_non_null(strstr(r->err, "there are alpha/web, alpha/mail, beta/web, beta/db"));
	r = run(NULL, "stop", "gamma/web", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "honeynet gamma does not run"));
	assert_int_equal(run(NULL, "stop", "../x", NULL)->status, 1);
	assert_int_equal(run(NULL, "stop", "", NULL)->status, 1);
	/* One that fails does not keep the others from being done. */
	r = run(NULL, "start", "nothere", "db", NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "beta/db: started"));
	r = run(NULL, "--complete=honeypot", NULL);
	assert_string_equal(r->out, "web\nalpha/web\nmail\nalpha/mail\nweb\nbeta/web\ndb\nbeta/db\n");
	fake_stop(a);
	fake_stop(b);
}

static void machine_refused(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" }, .machine_status = -EBUSY, .machine_text = "it is starting" EVIL };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "reset", "web", NULL);
	assert_int_equal(r->status, 1);
	is_safe(r->err);
	assert_non_null(strstr(r->err, "skep: reset demo/web: it is starting\\x1b"));
	fake_stop(pid);
}

/* ---- down -------------------------------------------------------------------- */

static void down(void **arg)
{
	(void)arg;
	char path[300];
	struct script s = { .honeypots = { "web" } };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run(NULL, "down", "demo", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "stop machine web"));
	assert_non_null(strstr(r->err, "honeynet demo is down"));
	waitpid(pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/run/demo", state);
	assert_int_equal(access(path, F_OK), -1);
	/* Known by its evidence, but not running: no failure. Unknown: one. */
	snprintf(path, sizeof(path), "%s/nets", state);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/nets/demo", state);
	mkdir(path, 0700);
	r = run(NULL, "down", "demo", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "does not run"));
	r = run(NULL, "down", "dmeo", NULL);
	assert_int_equal(r->status, 1);
	assert_int_equal(run(NULL, "down", "../demo", NULL)->status, 1);
}

/* ---- console ------------------------------------------------------------------ */

static void console_by_pipe(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" } };
	pid_t pid = fake_start("demo", answer, &s);
	const struct ran *r = run("id\n", "console", "web", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->out, "hello \\x1b]0;owned\a\\xc2\\x9b\r\ngot id\n\r\n");
	r = run("id\n", "console", "--safe", "web", NULL);
	is_safe(r->out);
	r = run("id\n", "console", "--raw", "demo/web", NULL);
	assert_string_equal(r->out, "hello " EVIL "\r\ngot id\n\r\n");
	r = run("id\n", "console", "-r", "web", "--wait", "1s", NULL);
	assert_int_equal(r->status, 0);
	assert_null(strstr(r->out, "got"));
	fake_stop(pid);
}

static void console_on_tty(void **arg)
{
	(void)arg;
	struct script s = { .honeypots = { "web" } };
	static const char *const argv[] = { "skep", "console", "web", NULL };
	char path[64], got[8192] = "";
	pid_t pid = fake_start("demo", answer, &s);
	int pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(pty >= 0 && grantpt(pty) == 0 && unlockpt(pty) == 0 && ptsname_r(pty, path, sizeof(path)) == 0);
	int tty = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios was, now;
	assert_int_equal(tcgetattr(tty, &was), 0);
	pid_t cli = start(tty, tty, tty, argv);
	size_t n = 0;
	bool typed = false, left = false;
	for (int i = 0; i < 500 && !strstr(got, "detached from demo/web"); i++) {
		struct pollfd p = { .fd = pty, .events = POLLIN };
		if (poll(&p, 1, 20) > 0) {
			ssize_t r = read(pty, got + n, sizeof(got) - 1 - n);
			n += r > 0 ? (size_t)r : 0;
			got[n] = 0;
		}
		if (!typed && strstr(got, "hello")) {
			tcgetattr(tty, &now);
			assert_false(now.c_lflag & (ICANON | ECHO | ISIG));
			typed = write(pty, "\003ls", 3) == 3;
		}
		if (typed && !left && strstr(got, "got \\x03ls"))
			left = write(pty, "\035not typed", 10) == 10;
	}
	assert_int_equal(finish(cli), 0);
	assert_non_null(strstr(got, "attached to demo/web: Ctrl-] detaches"));
	assert_non_null(strstr(got, "hello \\x1b]0;owned\a"));
	assert_null(strstr(got, "\033]"));
	assert_null(strstr(got, "got not"));
	/* The terminal is what it was. */
	assert_int_equal(tcgetattr(tty, &now), 0);
	assert_int_equal(now.c_lflag, was.c_lflag);
	assert_int_equal(now.c_iflag, was.c_iflag);
	assert_int_equal(now.c_oflag, was.c_oflag);
	/* A signal puts it back, too. */
	cli = start(tty, tty, tty, argv);
	for (int i = 0; i < 500; i++) {
		tcgetattr(tty, &now);
		if (!(now.c_lflag & ICANON))
			break;
		usleep(10000);
	}
	assert_false(now.c_lflag & ICANON);
	kill(cli, SIGTERM);
	finish(cli);
	tcgetattr(tty, &now);
	assert_int_equal(now.c_lflag, was.c_lflag);
	close(tty);
	close(pty);
	fake_stop(pid);
}

#define T(f) cmocka_unit_test_setup_teardown(f, state_setup, state_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ps_text),    T(ps_json),         T(ps_cut),         T(ps_hostile), T(ps_nothing),
		T(super_dies), T(super_is_mute),   T(names),          T(freeze),     T(machine_refused),
		T(down),       T(console_by_pipe), T(console_on_tty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
