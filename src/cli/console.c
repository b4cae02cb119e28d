/* SPDX-License-Identifier: ISC */
/*
 * `skep console`: this terminal <-> the honeypot's serial line. super hands out
 * one end of a stream whose other end the honeypot's handler holds; its bytes
 * are the guest's, so they go through cli/term. The terminal is put back on
 * every way out of here, signals too.
 */
#include "cli/cmd.h"
#include "cli/nets.h"
#include "cli/term.h"

#include "base/ev.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define DETACH 0x1d /* Ctrl-] */
#define CHUNK 4096

struct console {
	int in, out, sock;
	bool tty, readonly;
	bool in_open, detached, closed;
	struct term term;
	uint8_t typed[CHUNK]; /* on its way to the guest */
	size_t ntyped;
	uint64_t heard; /* when the guest last wrote, or we last typed */
};

static volatile sig_atomic_t told_to_end;

static void on_signal(int sig)
{
	told_to_end = sig;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR && !told_to_end)
			continue;
		if (w < 0 && errno == EAGAIN) {
			struct pollfd pf = { .fd = fd, .events = POLLOUT };
			poll(&pf, 1, 200);
			if (!told_to_end)
				continue;
		}
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* From the guest to the terminal. */
static int hear(struct console *c)
{
	uint8_t in[CHUNK], out[TERM_OUT(CHUNK)];
	ssize_t n = recv(c->sock, in, sizeof(in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		c->closed = true;
		return 0;
	}
	c->heard = ev_monotonic();
	size_t len = term_filter(&c->term, in, (size_t)n, out);
	return write_all(c->out, out, len);
}

/* From the keyboard; what stands behind Ctrl-] is not typed. */
static void listen_keys(struct console *c)
{
	ssize_t n = read(c->in, c->typed, sizeof(c->typed));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->in_open = false;
		c->heard = ev_monotonic();
		return;
	}
	uint8_t *key = c->tty ? memchr(c->typed, DETACH, (size_t)n) : NULL;
	c->ntyped = key ? (size_t)(key - c->typed) : (size_t)n;
	c->detached = key != NULL;
	if (c->readonly)
		c->ntyped = 0;
}

static void type(struct console *c)
{
	ssize_t n = send(c->sock, c->typed, c->ntyped, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		/* Its last words may still be there to read. */
		c->ntyped = 0;
		c->in_open = false;
		return;
	}
	memmove(c->typed, c->typed + n, c->ntyped - (size_t)n);
	c->ntyped -= (size_t)n;
	c->heard = ev_monotonic();
}

/* quiet_ns: without a terminal, end after that much silence once the input has
 * ended; 0 = never. */
static int run(struct console *c, uint64_t quiet_ns)
{
	c->heard = ev_monotonic();
	while (!told_to_end && !c->closed && !(c->detached && !c->ntyped)) {
		uint64_t now = ev_monotonic();
		if (!c->in_open && !c->ntyped && quiet_ns && now - c->heard >= quiet_ns)
			break;
		struct pollfd p[2] = {
			{ .fd = c->sock, .events = (short)(POLLIN | (c->ntyped ? POLLOUT : 0)) },
			{ .fd = c->in_open && !c->ntyped ? c->in : -1, .events = POLLIN },
		};
		if (poll(p, 2, 50) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			int r = hear(c);
			if (r < 0)
				return r;
		}
		if (c->ntyped && !c->closed)
			type(c);
		if (p[1].revents)
			listen_keys(c);
	}
	return 0;
}

static int attach(struct cmd *c, int sock, const char *net, const char *honeypot)
{
	struct console con = { .in = STDIN_FILENO, .out = STDOUT_FILENO, .sock = sock, .in_open = true };
	struct termios was, raw;
	struct sigaction sa = { .sa_handler = on_signal }, old[3];
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT };
	con.readonly = cmd_flag(c, "readonly");
	con.term.mode = cmd_flag(c, "raw") ? TERM_RAW : cmd_flag(c, "safe") ? TERM_PLAIN : TERM_LINES;
	con.tty = isatty(con.in) && tcgetattr(con.in, &was) == 0;
	if (!con.tty && con.readonly)
		con.in_open = false;
	told_to_end = 0;
	for (int i = 0; i < 3; i++)
		sigaction(signals[i], &sa, &old[i]);
	if (con.tty) {
		cmd_note(c, "attached to %s/%s: Ctrl-] detaches%s", net, honeypot,
			 con.term.mode == TERM_RAW ? "; the guest controls this terminal" : "");
		raw = was;
		cfmakeraw(&raw);
		tcsetattr(con.in, TCSANOW, &raw);
	}
	/* Watching without a terminal goes on until told otherwise. */
	uint64_t otherwise = con.readonly ? 0 : 1;
	int r = run(&con, con.tty ? 0 : cmd_num(c, "wait", otherwise) * EV_SEC);
	if (con.tty) {
		if (con.term.mode != TERM_PLAIN && isatty(con.out))
			write_all(con.out, (const uint8_t *)term_reset, strlen(term_reset));
		tcsetattr(con.in, TCSANOW, &was);
		fputc('\n', c->err);
		cmd_note(c, con.closed ? "the console of %s/%s was closed" : "detached from %s/%s", net, honeypot);
	}
	for (int i = 0; i < 3; i++)
		sigaction(signals[i], &old[i], NULL);
	if (r < 0)
		return cmd_fail(c, "console of %s/%s: %s", net, honeypot, strerror(-r));
	return CMD_OK;
}

int cmd_console(struct cmd *c)
{
	struct cli_ctl ctl;
	struct cmd_console req = { 0 };
	struct msg m;
	struct err e = { 0 };
	int sock = -1;
	int r = net_find_honeypot(c->args[0], &ctl, req.honeypot, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	req.flags = (cmd_flag(c, "readonly") ? CONSOLE_READONLY : 0) | (cmd_flag(c, "take") ? CONSOLE_TAKE : 0);
	r = cli_ctl_send(&ctl, MSG_CMD_CONSOLE, &req, sizeof(req), NULL, 0, &e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_QUICK, &e)) == 1) {
		if (m.type == MSG_REP_FDS && MSG_BODY_AS(&m, rep_fds)->kind == 0 && sock < 0)
			sock = msg_take_fd(&m, 0);
		msg_close_fds(&m);
	}
	cli_ctl_close(&ctl);
	if (r == 0 && sock >= 0) {
		r = attach(c, sock, ctl.net, req.honeypot);
	} else if (r < 0) {
		r = cmd_fail_err(c, &e, "console of %s/%s", ctl.net, req.honeypot);
	} else {
		r = cmd_fail(c, "console of %s/%s: super sent none", ctl.net, req.honeypot);
	}
	if (sock >= 0)
		close(sock);
	return r;
}
