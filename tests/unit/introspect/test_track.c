/* SPDX-License-Identifier: ISC */
/* Facts of a guest become records: sessions, logins, commands, programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"
#include "proc/introspect/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct guest g;

static int fresh(void **state)
{
	(void)state;
	guest_new(&g);
	guest_hello(&g);
	return 0;
}

static int done(void **state)
{
	(void)state;
	guest_free(&g);
	return 0;
}

static const char *const sshd_args[] = { "sshd", "-D", NULL };
static const char *const bash_args[] = { "-bash", NULL };
static const struct actor init = { .pid = 1, .comm = "init" };
static const struct actor sshd = { .pid = 100, .ppid = 1, .comm = "sshd" };

static void daemon_up(void)
{
	guest_fork(&g, &init, 100);
	guest_exec(&g, &sshd, "/usr/sbin/sshd", sshd_args);
	struct fact f = guest_fact(&g, HOOK_SOCKET, &sshd);
	f.sock = (struct hook_socket){ .op = HOOK_LISTEN, .proto = 6, .family = 4, .local_port = 22 };
	guest_say(&g, &f);
}

/* As far as a shell with a terminal: monitor, its child, the user's child, shell. */
struct ssh {
	struct actor monitor, child, user, shell;
	uint32_t tty;
};

static void connects(struct ssh *s, uint32_t pid, uint16_t from)
{
	*s = (struct ssh){ .monitor = { .pid = pid, .ppid = 100, .comm = "sshd" },
			   .child = { .pid = pid + 1, .ppid = pid, .uid = 74, .comm = "sshd" },
			   .user = { .pid = pid + 2, .ppid = pid, .uid = 1000, .comm = "sshd" },
			   .shell = { .pid = pid + 3, .ppid = pid + 2, .uid = 1000, .comm = "bash" } };
	guest_accept(&g, &sshd, 22, from);
	guest_fork(&g, &sshd, pid);
	guest_exec(&g, &s->monitor, "/usr/sbin/sshd", sshd_args); /* sshd -R */
	guest_fork(&g, &s->monitor, pid + 1);
}

static void tries(struct ssh *s, const char *user, const char *password, bool right)
{
	guest_monitor_text(&g, &s->monitor, LOGIN_PWNAM, user);
	guest_monitor_text(&g, &s->monitor, LOGIN_PASSWORD, password);
	guest_monitor_u32(&g, &s->child, LOGIN_PASSWORD_OK, right);
}

static void shell(struct ssh *s, unsigned pty)
{
	s->tty = PTY(pty);
	s->shell.tty = s->tty;
	guest_exit(&g, &s->child);
	guest_fork(&g, &s->monitor, s->user.pid);
	guest_fork(&g, &s->user, s->shell.pid);
	guest_exec(&g, &s->shell, "/bin/bash", bash_args);
	guest_shows(&g, &s->shell, s->tty, "$ ");
}

static void run(struct ssh *s, const char *line)
{
	char out[512];
	static const struct actor worker = { .pid = 40, .comm = "kworker" };
	snprintf(out, sizeof(out), "%s\r", line);
	guest_keys(&g, &s->user, s->tty, out);
	snprintf(out, sizeof(out), "%s\r\n$ ", line);
	guest_shows(&g, &worker, s->tty, out);
}

static void leaves(struct ssh *s)
{
	guest_exit(&g, &s->shell);
	guest_exit(&g, &s->user);
	guest_exit(&g, &s->monitor);
}

static struct intro_session session(unsigned i)
{
	struct intro_session x = { 0 };
	const struct kept *k = guest_record(&g, INTRO_SESSION, i);
	assert_non_null(k);
	memcpy(&x, k->p, sizeof(x));
	return x;
}

static struct intro_end end(unsigned i)
{
	struct intro_end x = { 0 };
	const struct kept *k = guest_record(&g, INTRO_END, i);
	assert_non_null(k);
	memcpy(&x, k->p, sizeof(x));
	return x;
}

static uint64_t id_of(enum intro_kind kind, unsigned i)
{
	const struct kept *k = guest_record(&g, kind, i);
	assert_non_null(k);
	return k->head.session;
}

#define assert_login(i, outcome, auth, user, password)                                                                 \
	do {                                                                                                           \
		const struct kept *k_ = guest_record(&g, INTRO_LOGIN, i);                                              \
		assert_non_null(k_);                                                                                   \
		assert_int_equal(kept_u32(k_, 0), outcome);                                                            \
		assert_int_equal(kept_u32(k_, 4), auth);                                                               \
		assert_string_equal(kept_text(k_, 8, 0), user);                                                        \
		assert_string_equal(kept_text(k_, 8, 1), password);                                                    \
	} while (0)

static void one_ssh_session(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	assert_int_equal(guest_count(&g, INTRO_SESSION), 0); /* a scanner would be no session */
	tries(&s, "bob", "123456", false);
	tries(&s, "bob", "hunter2", true);
	shell(&s, 0);
	struct fact f = guest_fact(&g, HOOK_WINSIZE, &s.user);
	f.winsize = (struct hook_winsize){ s.tty, 24, 80 };
	guest_say(&g, &f);
	run(&s, "uname -a");
	run(&s, "id");
	leaves(&s);

	uint64_t id = id_of(INTRO_SESSION, 0);
	assert_true(id);
	struct intro_session x = session(0);
	assert_int_equal(x.service, INTRO_SVC_SSH);
	assert_int_equal(x.proto, 6);
	assert_int_equal(x.family, 4);
	assert_int_equal(x.local_port, 22);
	assert_int_equal(x.peer_port, 40000);
	assert_memory_equal(x.peer, ((uint8_t[]){ 198, 51, 100, 7 }), 4);
	assert_memory_equal(x.local, ((uint8_t[]){ 192, 0, 2, 10 }), 4);
	assert_int_equal(guest_count(&g, INTRO_SESSION), 2); /* without and with the user's name */
	assert_string_equal(kept_text(guest_record(&g, INTRO_SESSION, 1), sizeof(x), 0), "bob");
	assert_login(0, INTRO_FAILED, INTRO_AUTH_PASSWORD, "bob", "123456");
	assert_login(1, INTRO_SUCCEEDED, INTRO_AUTH_PASSWORD, "bob", "hunter2");
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 2);
	assert_string_equal(kept_text(guest_record(&g, INTRO_COMMAND, 0), 0, 0), "uname -a");
	assert_string_equal(kept_text(guest_record(&g, INTRO_COMMAND, 1), 0, 0), "id");
	assert_int_equal(guest_record(&g, INTRO_COMMAND, 1)->head.tty, s.tty);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
	struct intro_end e = end(0);
	assert_int_equal(e.commands, 2);
	assert_int_equal(e.in_bytes, strlen("uname -a\rid\r"));
	assert_int_equal(e.out_bytes, strlen("$ uname -a\r\n$ id\r\n$ "));
	assert_true(e.start == x.start && e.end > e.start);
	for (unsigned k = INTRO_SESSION; k <= INTRO_COMMAND; k++)
		for (unsigned i = 0; i < guest_count(&g, (enum intro_kind)k); i++)
			assert_int_equal(id_of((enum intro_kind)k, i), id);
	/* the last exit is in the session still, and comes before its end */
	assert_int_equal(g.rec[g.nrec - 1].head.kind, INTRO_END);
	assert_int_equal(g.rec[g.nrec - 2].head.kind, INTRO_EXIT);
	assert_int_equal(g.rec[g.nrec - 2].head.session, id);
	assert_int_equal(g.track->sessions.live, 0);
}

static void keys_and_requests(void **state)
{
	struct ssh s;
	(void)state;
	static const uint8_t key[] = "\0\0\0\2\0\0\0\17\0\0\0\13ssh-ed25519";
	static const char *const scp[] = { "bash", "-c", "scp -t /tmp", NULL };
	static const char *const motd[] = { "sh", "-c", "/usr/bin/env -i PATH=/bin run-parts /etc/update-motd.d",
					    NULL };
	daemon_up();
	connects(&s, 200, 40000);
	guest_monitor_text(&g, &s.monitor, LOGIN_PWNAM, "root");
	guest_monitor(&g, &s.monitor, LOGIN_KEY, key, sizeof(key) - 1);
	guest_monitor_u32(&g, &s.child, LOGIN_KEY_OK, 0);
	guest_monitor(&g, &s.monitor, LOGIN_KEY, key, sizeof(key) - 1);
	guest_monitor_u32(&g, &s.child, LOGIN_KEY_OK, 1);
	guest_monitor_u32(&g, &s.child, LOGIN_VERIFY_OK, 0);
	guest_exit(&g, &s.child);
	assert_login(0, INTRO_FAILED, INTRO_AUTH_KEY, "root", "ssh-ed25519");
	assert_login(1, INTRO_SUCCEEDED, INTRO_AUTH_KEY, "root", "ssh-ed25519");
	struct actor helper = { .pid = 220, .ppid = 200, .comm = "sshd" };
	guest_fork(&g, &s.monitor, 220);
	guest_exec(&g, &helper, "/bin/sh", motd);
	guest_exit(&g, &helper);
	guest_fork(&g, &s.monitor, s.user.pid);
	guest_fork(&g, &s.user, s.shell.pid);
	s.shell.uid = 0;
	guest_exec(&g, &s.shell, "/bin/bash", scp);
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 1);
	assert_string_equal(kept_text(guest_record(&g, INTRO_COMMAND, 0), 0, 0), "scp -t /tmp");
	leaves(&s);
	assert_int_equal(end(0).commands, 1);
}

/* Monitor messages that come in other pieces, or after something else. */
static void monitor_streams(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	guest_auth(&g, &s.monitor, "l\2\1\1\20\0\0\0\1\0\0\0", 12); /* a system bus answers */
	guest_auth(&g, &s.monitor, "\0\0\0\10\10\0\0\0\3bob\0\0\0\7\14\0", 18);
	guest_auth(&g, &s.monitor, "\0\0\2p", 4);
	guest_auth(&g, &s.monitor, "w", 1);
	guest_auth(&g, &s.child, "\0\0\0\5\15\0\0\0\1", 9);
	assert_login(0, INTRO_SUCCEEDED, INTRO_AUTH_PASSWORD, "bob", "pw");
	/* a huge message is skipped, and what follows is read */
	static uint8_t huge[100000];
	memset(huge, 'x', sizeof(huge));
	memcpy(huge, "\0\1\206\234\14\0\1\206\227", 9);
	guest_auth(&g, &s.monitor, huge, sizeof(huge));
	guest_monitor_text(&g, &s.monitor, LOGIN_PASSWORD, "after");
	guest_monitor_u32(&g, &s.child, LOGIN_PASSWORD_OK, 0);
	assert_login(guest_count(&g, INTRO_LOGIN) - 1, INTRO_FAILED, INTRO_AUTH_PASSWORD, "bob", "after");
	/* what sshd's own start sends: a payload of 3364 bytes, which is not told */
	guest_auth(&g, &s.monitor, "\0\0\15\45", 4);
	guest_auth(&g, &s.monitor, "\0", 1);
	guest_auth(&g, &s.child, "\0\0\43\273\11", 5);
	guest_monitor_text(&g, &s.monitor, LOGIN_PASSWORD, "long");
	guest_monitor_u32(&g, &s.child, LOGIN_PASSWORD_OK, 1);
	assert_login(guest_count(&g, INTRO_LOGIN) - 1, INTRO_SUCCEEDED, INTRO_AUTH_PASSWORD, "bob", "long");
}

static void telnet(void **state)
{
	static const char *const none[] = { "x", NULL };
	struct actor inetd = { .pid = 50, .ppid = 1, .comm = "inetd" };
	struct actor telnetd = { .pid = 51, .ppid = 50, .comm = "inetd" };
	struct actor login = { .pid = 52, .ppid = 51, .comm = "login", .tty = PTY(0) };
	struct actor sh = { .pid = 53, .ppid = 52, .uid = 0, .comm = "sh", .tty = PTY(0) };
	(void)state;
	guest_fork(&g, &init, 50);
	guest_exec(&g, &inetd, "/usr/sbin/inetd", none);
	guest_accept(&g, &inetd, 23, 5000);
	guest_fork(&g, &inetd, 51);
	guest_exec(&g, &telnetd, "/usr/sbin/in.telnetd", none);
	assert_int_equal(session(0).service, INTRO_SVC_TELNET);
	telnetd.comm = "in.telnetd";
	guest_fork(&g, &telnetd, 52);
	guest_exec(&g, &login, "/bin/login", none);
	for (int i = 0; i < 2; i++) {
		guest_shows(&g, &login, PTY(0), "pot login: ");
		guest_keys(&g, &telnetd, PTY(0), "root\r");
		guest_shows(&g, &login, PTY(0), "root\r\nPassword: ");
		guest_keys(&g, &telnetd, PTY(0), i ? "right\r" : "wrong\r");
		guest_shows(&g, &login, PTY(0), "\r\n");
		if (!i)
			guest_shows(&g, &login, PTY(0), "\r\nLogin incorrect\r\n");
	}
	guest_fork(&g, &login, 53);
	guest_exec(&g, &sh, "/bin/sh", bash_args);
	assert_login(0, INTRO_FAILED, INTRO_AUTH_TTY, "root", "wrong");
	assert_login(1, INTRO_SUCCEEDED, INTRO_AUTH_TTY, "root", "right");
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 0);
	unsigned n = guest_count(&g, INTRO_SESSION);
	assert_string_equal(kept_text(guest_record(&g, INTRO_SESSION, n - 1), sizeof(struct intro_session), 0), "root");
	guest_exit(&g, &sh);
	guest_exit(&g, &login);
	assert_int_equal(guest_count(&g, INTRO_END), 0);
	guest_exit(&g, &telnetd);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
}

/* One process that serves all connections itself, as busybox's telnetd. */
static void one_server_for_all(void **state)
{
	static const char *const none[] = { "x", NULL };
	struct actor d = { .pid = 60, .ppid = 1, .comm = "telnetd" };
	struct actor a = { .pid = 61, .ppid = 60, .comm = "login", .tty = PTY(0) };
	struct actor b = { .pid = 62, .ppid = 60, .comm = "login", .tty = PTY(1) };
	(void)state;
	guest_fork(&g, &init, 60);
	guest_exec(&g, &d, "/usr/sbin/telnetd", none);
	guest_accept(&g, &d, 23, 5000);
	guest_fork(&g, &d, 61);
	guest_exec(&g, &a, "/bin/login", none);
	guest_shows(&g, &a, PTY(0), "login: ");
	guest_accept(&g, &d, 23, 5001);
	guest_fork(&g, &d, 62);
	guest_exec(&g, &b, "/bin/login", none);
	guest_shows(&g, &b, PTY(1), "login: ");
	guest_keys(&g, &d, PTY(0), "a");
	guest_keys(&g, &d, PTY(1), "b");
	assert_int_equal(session(0).peer_port, 5000);
	assert_int_equal(session(1).peer_port, 5001);
	uint64_t one = id_of(INTRO_SESSION, 0), two = id_of(INTRO_SESSION, 1);
	assert_int_equal(id_of(INTRO_TTY, 0), one);
	assert_int_equal(id_of(INTRO_TTY, 1), two);
	assert_int_equal(id_of(INTRO_TTY, 2), one);
	assert_int_equal(id_of(INTRO_TTY, 3), two);
	guest_exit(&g, &a);
	assert_int_equal(id_of(INTRO_END, 0), one);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
}

static void su_and_sudo(void **state)
{
	static const char *const su[] = { "su", "-", "alice", NULL };
	static const char *const sudo[] = { "sudo", "id", NULL };
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	guest_forget(&g);
	struct actor p = { .pid = 210, .ppid = 203, .uid = 1000, .comm = "su", .tty = s.tty };
	guest_fork(&g, &s.shell, 210);
	guest_exec(&g, &p, "/bin/su", su);
	guest_shows(&g, &p, s.tty, "Password: ");
	guest_keys(&g, &s.user, s.tty, "nope\r");
	guest_shows(&g, &p, s.tty, "\r\nsu: Authentication failure\r\n$ ");
	assert_login(0, INTRO_FAILED, INTRO_AUTH_TTY, "alice", "nope");
	guest_exit(&g, &p);
	p.pid = 211;
	guest_fork(&g, &s.shell, 211);
	guest_exec(&g, &p, "/usr/bin/sudo", sudo);
	guest_shows(&g, &p, s.tty, "[sudo] password for bob: ");
	guest_keys(&g, &s.user, s.tty, "yes\r");
	guest_shows(&g, &p, s.tty, "\r\n");
	p.uid = 0;
	guest_exec(&g, &p, "/usr/bin/id", sudo);
	assert_login(1, INTRO_SUCCEEDED, INTRO_AUTH_TTY, "bob", "yes");
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 0);
	/* the session's user is who logged in */
	assert_int_equal(guest_count(&g, INTRO_SESSION), 0);
}

static void sessions_at_once(void **state)
{
	struct ssh a, b;
	(void)state;
	daemon_up();
	connects(&a, 200, 1111);
	connects(&b, 300, 2222); /* accepted before the first one logged in */
	tries(&b, "bob", "b", true);
	tries(&a, "ann", "a", true);
	shell(&a, 0);
	shell(&b, 1);
	uint64_t ib = id_of(INTRO_SESSION, 0), ia = id_of(INTRO_SESSION, 2);
	assert_int_equal(session(0).peer_port, 2222);
	assert_int_equal(session(2).peer_port, 1111);
	assert_int_not_equal(ia, ib);
	run(&a, "a1");
	run(&b, "b1");
	/* somebody writes on the other's terminal: his bytes, the other's screen */
	guest_shows(&g, &b.shell, a.tty, "boo");
	run(&a, "a2");
	leaves(&a);
	run(&b, "b2");
	/* the same pty at once, for another one */
	struct ssh c;
	connects(&c, 400, 3333);
	tries(&c, "carl", "c", true);
	shell(&c, 0);
	run(&c, "c1");
	static const char *const want[] = { "a1", "b1", "a2", "b2", "c1" };
	for (unsigned i = 0; i < 5; i++) {
		const struct kept *k = guest_record(&g, INTRO_COMMAND, i);
		assert_string_equal(kept_text(k, 0, 0), want[i]);
		if (want[i][0] == 'c')
			assert_true(k->head.session != ia && k->head.session != ib);
		else
			assert_int_equal(k->head.session, want[i][0] == 'a' ? ia : ib);
	}
}

/* What stays behind after the connection (tmux) goes on under its session's id. */
static void left_behind(void **state)
{
	static const char *const tmux[] = { "tmux", NULL };
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	uint64_t id = id_of(INTRO_SESSION, 0);
	struct actor t = { .pid = 250, .ppid = 203, .uid = 1000, .comm = "tmux" };
	struct actor in = { .pid = 251, .ppid = 250, .uid = 1000, .comm = "sh", .tty = PTY(7) };
	guest_fork(&g, &s.shell, 250);
	guest_exec(&g, &t, "/usr/bin/tmux", tmux);
	guest_fork(&g, &t, 251);
	guest_exec(&g, &in, "/bin/sh", bash_args);
	leaves(&s);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
	guest_forget(&g);
	guest_shows(&g, &in, PTY(7), "$ ");
	guest_keys(&g, &t, PTY(7), "x");
	assert_int_equal(id_of(INTRO_TTY, 0), id);
	assert_int_equal(id_of(INTRO_TTY, 1), id);
	/* the next one gets the terminal that the first one had */
	struct ssh next;
	connects(&next, 300, 40001);
	tries(&next, "eve", "pw", true);
	shell(&next, 0);
	run(&next, "w");
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 1);
	assert_int_equal(id_of(INTRO_COMMAND, 0), id_of(INTRO_SESSION, 0));
	assert_int_not_equal(id_of(INTRO_COMMAND, 0), id);
	leaves(&next);
	guest_forget(&g);
	guest_exit(&g, &in);
	assert_int_equal(guest_count(&g, INTRO_END), 0);
	guest_exit(&g, &t);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
	assert_int_equal(end(0).in_bytes, 1);
	assert_int_equal(g.track->sessions.live, 0);
}

/* A shell that listens, started in a session; who comes to it is somebody else. */
static void backdoor(void **state)
{
	static const char *const nc[] = { "nc", "-l", NULL };
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	uint64_t id = id_of(INTRO_SESSION, 0);
	struct actor n = { .pid = 260, .ppid = 203, .uid = 1000, .comm = "nc" };
	guest_fork(&g, &s.shell, 260);
	guest_exec(&g, &n, "/bin/nc", nc);
	guest_forget(&g);
	guest_accept(&g, &n, 4444, 777);
	guest_exec(&g, &n, "/bin/sh", bash_args);
	assert_int_equal(session(0).peer_port, 777);
	assert_int_equal(session(0).local_port, 4444);
	assert_int_equal(session(0).parent, id);
	assert_int_not_equal(id_of(INTRO_SESSION, 0), id);
	assert_int_equal(id_of(INTRO_EXEC, 0), id_of(INTRO_SESSION, 0));
	guest_exit(&g, &n);
	assert_int_equal(id_of(INTRO_END, 0), id_of(INTRO_SESSION, 0));
}

/* ssh from the machine to itself. */
static void to_oneself(void **state)
{
	struct ssh s, t;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	uint64_t id = id_of(INTRO_SESSION, 0);
	struct actor c = { .pid = 270, .ppid = 203, .uid = 1000, .comm = "ssh", .tty = s.tty };
	guest_fork(&g, &s.shell, 270);
	struct fact f = guest_fact(&g, HOOK_SOCKET, &c);
	f.sock = (struct hook_socket){ .op = HOOK_CONNECT,
				       .proto = 6,
				       .family = 4,
				       .local_port = 50001,
				       .peer_port = 22,
				       .local = { 198, 51, 100, 7 },
				       .peer = { 192, 0, 2, 10 } };
	guest_say(&g, &f);
	guest_forget(&g);
	connects(&t, 300, 50001);
	tries(&t, "root", "pw2", true);
	assert_int_equal(session(0).parent, id);
}

static void console(void **state)
{
	static const char *const none[] = { "x", NULL };
	struct actor getty = { .pid = 70, .ppid = 1, .comm = "agetty" };
	struct actor sh = { .pid = 71, .ppid = 70, .comm = "bash", .tty = SERIAL(0) };
	static const struct actor somebody = { .pid = 40, .comm = "kworker" };
	(void)state;
	guest_fork(&g, &init, 69); /* a script of the boot */
	guest_exec(&g, &(struct actor){ .pid = 69, .ppid = 1, .comm = "rc", .tty = SERIAL(0) }, "/bin/mount", none);
	guest_shows(&g, &(struct actor){ .pid = 69, .ppid = 1, .comm = "rc", .tty = SERIAL(0) }, SERIAL(0),
		    "mounting\r\n");
	guest_fork(&g, &init, 70);
	guest_exec(&g, &getty, "/sbin/agetty", none);
	getty.tty = SERIAL(0);
	guest_shows(&g, &getty, SERIAL(0), "Debian\r\npot login: ");
	assert_int_equal(id_of(INTRO_TTY, 0), 0);
	assert_int_equal(id_of(INTRO_TTY, 1), 0);
	assert_int_equal(guest_count(&g, INTRO_SESSION), 0);
	guest_keys(&g, &somebody, SERIAL(0), "root\r");
	assert_int_equal(session(0).service, INTRO_SVC_CONSOLE);
	assert_int_equal(session(0).proto, 0);
	guest_shows(&g, &somebody, SERIAL(0), "root\r\n");
	guest_exec(&g, &getty, "/bin/login", none);
	getty.comm = "login";
	guest_shows(&g, &getty, SERIAL(0), "Password: ");
	guest_keys(&g, &somebody, SERIAL(0), "toor\r");
	guest_shows(&g, &getty, SERIAL(0), "\r\n");
	guest_fork(&g, &getty, 71);
	guest_exec(&g, &sh, "/bin/bash", bash_args);
	assert_login(0, INTRO_SUCCEEDED, INTRO_AUTH_TTY, "root", "toor");
	guest_shows(&g, &sh, SERIAL(0), "# ");
	guest_keys(&g, &somebody, SERIAL(0), "ps\r");
	guest_shows(&g, &sh, SERIAL(0), "ps\r\n");
	assert_string_equal(kept_text(guest_record(&g, INTRO_COMMAND, 0), 0, 0), "ps");
	guest_exit(&g, &sh);
	guest_exit(&g, &getty);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
	uint64_t first = id_of(INTRO_SESSION, 0);
	guest_keys(&g, &somebody, SERIAL(0), "x");
	assert_int_not_equal(id_of(INTRO_TTY, guest_count(&g, INTRO_TTY) - 1), first);
}

/* A pid that is used again, when the exit between is lost. */
static void pid_reuse(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	struct fact f = guest_fact(&g, HOOK_OPEN, &s.shell);
	f.file.path = (struct fact_text){ "/tmp/x", 6 };
	f.file.to = (struct fact_text){ "", 0 };
	guest_say(&g, &f);
	assert_int_equal(guest_record(&g, INTRO_FILE, 0)->head.session, id_of(INTRO_SESSION, 0));
	struct actor cron = { .pid = s.shell.pid, .ppid = 1, .comm = "cron", .task = 0xffff888800001000u };
	f = guest_fact(&g, HOOK_OPEN, &cron);
	f.file.path = (struct fact_text){ "/var/x", 6 };
	f.file.to = (struct fact_text){ "", 0 };
	guest_say(&g, &f);
	assert_int_equal(guest_record(&g, INTRO_FILE, 1)->head.session, 0);
	assert_int_equal(g.track->procs.reused, 1);
}

/* A thread that executes a program becomes the process's main thread. */
static void exec_by_a_thread(void **state)
{
	static const char *const none[] = { "x", NULL };
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	uint64_t id = id_of(INTRO_SESSION, 0);
	struct actor thread = s.shell;
	thread.tid = 999;
	thread.task = 0xffff777700000000u;
	struct fact f = guest_fact(&g, HOOK_EXEC_TRY, &thread);
	f.exec.path = (struct fact_text){ "/bin/x", 6 };
	f.exec.cwd = (struct fact_text){ "/", 1 };
	guest_say(&g, &f);
	thread.tid = s.shell.pid;
	f = guest_fact(&g, HOOK_CRED, &thread);
	guest_say(&g, &f);
	f = guest_fact(&g, HOOK_EXEC_DONE, &thread);
	f.exec.path = (struct fact_text){ "/bin/x", 6 };
	guest_say(&g, &f);
	assert_int_equal(g.track->procs.reused, 0);
	assert_int_equal(guest_record(&g, INTRO_CRED, 0)->head.session, id);
	const struct kept *k = guest_record(&g, INTRO_EXEC, guest_count(&g, INTRO_EXEC) - 1);
	assert_int_equal(k->head.session, id);
	assert_string_equal(kept_text(k, 8, 0), "/bin/x");
	guest_exec(&g, &thread, "/bin/y", none);
	assert_int_equal(g.track->procs.reused, 0);
}

static void long_arguments(void **state)
{
	static char big[3][60000];
	const char *args[] = { "prog", big[0], big[1], big[2], NULL };
	struct actor p = { .pid = 80, .ppid = 1, .comm = "sh" };
	(void)state;
	for (int i = 0; i < 3; i++)
		memset(big[i], 'a' + i, sizeof(big[i]) - 1);
	guest_fork(&g, &init, 80);
	guest_forget(&g);
	guest_exec(&g, &p, "/bin/prog", args);
	char *all = malloc(400000);
	size_t n = 0;
	for (size_t i = 0; i < g.nrec; i++) {
		const struct kept *k = &g.rec[i];
		size_t skip = i ? 0 : 8 + strlen("/bin/prog") + 1 + strlen("/root") + 1;
		assert_int_equal(k->head.kind, INTRO_EXEC);
		assert_int_equal(!!(k->head.flags & INTRO_F_CONT), i > 0);
		assert_int_equal(!!(k->head.flags & INTRO_F_MORE), i + 1 < g.nrec);
		assert_false(k->head.flags & INTRO_F_CUT);
		memcpy(all + n, k->p + skip, k->n - skip);
		n += k->n - skip;
	}
	assert_true(g.nrec > 10);
	assert_int_equal(kept_u32(&g.rec[0], 4), 4);
	size_t at = 0;
	for (int i = 0; i < 4; i++) {
		assert_string_equal(all + at, args[i]);
		at += strlen(args[i]) + 1;
	}
	assert_int_equal(at, n);
	free(all);
	/* more than is kept: cut, and said so */
	const char *many[16];
	for (int i = 0; i < 15; i++)
		many[i] = big[0];
	many[15] = NULL;
	guest_forget(&g);
	guest_exec(&g, &p, "/bin/prog", many);
	assert_true(g.rec[0].head.flags & INTRO_F_CUT);
	assert_int_equal(g.track->execs.total, 0);
}

static void nameless_programs(void **state)
{
	struct actor p = { .pid = 80, .ppid = 1, .comm = "sh" };
	(void)state;
	struct fact f = guest_fact(&g, HOOK_EXEC_TRY, &p);
	f.exec.path = (struct fact_text){ "/proc/self/fd/3", 15 };
	f.exec.cwd = (struct fact_text){ "/", 1 };
	f.exec.args = slice_of("x", 2);
	f.exec.argc = 1;
	guest_say(&g, &f);
	f = guest_fact(&g, HOOK_EXEC_DONE, &p);
	f.exec.path = (struct fact_text){ "/memfd:evil (deleted)", 21 };
	guest_say(&g, &f);
	const struct kept *k = guest_record(&g, INTRO_EXEC, 0);
	assert_string_equal(kept_text(k, 8, 0), "/memfd:evil (deleted)");
	assert_string_equal(kept_text(k, 8, 1), "/");
	assert_string_equal(kept_text(k, 8, 2), "x");
	f = guest_fact(&g, HOOK_EXEC_DONE, &p); /* without its beginning */
	f.exec.path = (struct fact_text){ "/bin/x", 6 };
	f.ret = -2;
	guest_say(&g, &f);
	k = guest_record(&g, INTRO_EXEC, 1);
	assert_true(k->head.flags & INTRO_F_CUT);
	assert_int_equal(kept_u32(k, 0), (uint32_t)-2);
}

static void losses(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	/* in the middle of a message */
	guest_auth(&g, &s.monitor, "\0\0\1\0\14", 5);
	struct fact f = guest_fact(&g, FACT_LOSS, NULL);
	f.loss.records = 17;
	f.loss.bytes = 4711;
	guest_say(&g, &f);
	f.type = FACT_MALFORMED;
	f.loss.records = 3;
	f.loss.bytes = 0;
	guest_say(&g, &f);
	const struct kept *k = guest_record(&g, INTRO_LOSS, 0);
	assert_non_null(k);
	struct intro_loss l;
	memcpy(&l, k->p, sizeof(l));
	assert_int_equal(l.records, 17);
	assert_int_equal(l.bytes, 4711);
	assert_int_equal(g.lost, 20);
	assert_int_equal(g.track->lost, 20);
	tries(&s, "bob", "pw", true);
	assert_login(0, INTRO_SUCCEEDED, INTRO_AUTH_PASSWORD, "bob", "pw");
}

/* Introspection that begins in the middle: the guest runs already. */
static void in_the_middle(void **state)
{
	(void)state;
	struct actor user = { .pid = 502, .ppid = 500, .uid = 1000, .comm = "sshd" };
	struct actor sh = { .pid = 503, .ppid = 502, .uid = 1000, .comm = "bash", .tty = PTY(3) };
	struct actor child = { .pid = 504, .ppid = 503, .uid = 1000, .comm = "bash", .tty = PTY(3) };
	guest_shows(&g, &sh, PTY(3), "out");
	guest_keys(&g, &user, PTY(3), "in");
	guest_fork(&g, &sh, 504);
	guest_exec(&g, &child, "/bin/ls", bash_args);
	uint64_t id = id_of(INTRO_SESSION, 0);
	assert_int_equal(guest_count(&g, INTRO_SESSION), 2); /* and its user, by number */
	assert_string_equal(kept_text(guest_record(&g, INTRO_SESSION, 1), sizeof(struct intro_session), 0), "uid 1000");
	assert_int_equal(id_of(INTRO_TTY, 0), id);
	assert_int_equal(id_of(INTRO_TTY, 1), id);
	assert_int_equal(id_of(INTRO_EXEC, 0), id);
	guest_exit(&g, &child);
	guest_exit(&g, &sh);
	assert_int_equal(id_of(INTRO_END, 0), id);
}

static void restart_of_the_guest(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	tries(&s, "bob", "pw", true);
	shell(&s, 0);
	assert_int_equal(guest_count(&g, INTRO_SOURCE), 1);
	assert_int_equal(guest_count(&g, INTRO_END), 0);
	guest_hello(&g);
	assert_int_equal(guest_count(&g, INTRO_END), 1);
	assert_int_equal(guest_count(&g, INTRO_SOURCE), 2);
	assert_int_equal(g.track->procs.live, 0);
	assert_int_equal(g.track->conns.live, 0);
	/* and with what is under way: everything ends */
	daemon_up();
	connects(&s, 200, 40000);
	guest_monitor_text(&g, &s.monitor, LOGIN_PWNAM, "eve");
	guest_monitor_text(&g, &s.monitor, LOGIN_PASSWORD, "never answered");
	guest_shows(&g, &s.user, PTY(0), "$ ");
	guest_keys(&g, &s.monitor, PTY(0), "half\r");
	track_end(g.track, g.time);
	assert_login(1, INTRO_UNKNOWN, INTRO_AUTH_PASSWORD, "eve", "never answered");
	assert_string_equal(kept_text(guest_record(&g, INTRO_COMMAND, 0), 0, 0), "half");
	assert_int_equal(guest_count(&g, INTRO_END), 2);
	assert_int_equal(g.rec[g.nrec - 1].head.kind, INTRO_END);
}

static void first_record(void **state)
{
	(void)state;
	struct intro_source x;
	memcpy(&x, g.rec[0].p, sizeof(x));
	assert_int_equal(x.format, INTRO_FORMAT);
	assert_int_equal(x.sites, 0xff);
	assert_int_equal(x.absent, 0x100);
	struct guest h;
	guest_new(&h);
	guest_exit(&h, &sshd); /* no hello: this process was started again */
	assert_int_equal(h.rec[0].head.kind, INTRO_SOURCE);
	guest_free(&h);
	guest_new(&h);
	track_tamper(h.track, 5, "they took the hook");
	assert_string_equal(kept_text(guest_record(&h, INTRO_TAMPER, 0), 0, 0), "they took the hook");
	guest_free(&h);
}

/* Zero bytes in what a hostile sshd says do not make more texts. */
static void zero_bytes(void **state)
{
	struct ssh s;
	(void)state;
	daemon_up();
	connects(&s, 200, 40000);
	guest_monitor(&g, &s.monitor, LOGIN_PWNAM, "\0\0\0\3a\0b", 7);
	guest_monitor(&g, &s.monitor, LOGIN_PASSWORD, "\0\0\0\4x\0yz", 8);
	guest_monitor_u32(&g, &s.child, LOGIN_PASSWORD_OK, 1);
	assert_login(0, INTRO_SUCCEEDED, INTRO_AUTH_PASSWORD, "a", "x");
	assert_true(guest_record(&g, INTRO_LOGIN, 0)->head.flags & INTRO_F_CUT);
}

/* A login that lasts a moment, and a thousand of them. */
static void many_short_ones(void **state)
{
	(void)state;
	daemon_up();
	for (uint32_t i = 0; i < 3000; i++) {
		struct ssh s;
		connects(&s, 1000 + i % 700 * 4, (uint16_t)(1024 + i));
		tries(&s, "root", "toor", true);
		shell(&s, i % 3);
		run(&s, "id");
		leaves(&s);
	}
	assert_int_equal(guest_count(&g, INTRO_END), 3000);
	assert_int_equal(guest_count(&g, INTRO_COMMAND), 3000);
	assert_int_equal(guest_count(&g, INTRO_LOGIN), 3000);
	assert_int_equal(g.track->sessions.live, 0);
	assert_int_equal(g.track->conns.live, 1); /* sshd's last one */
	assert_int_equal(g.track->procs.live, 3); /* init, sshd, the worker */
	assert_int_equal(track_evictions(g.track), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(one_ssh_session),    T(keys_and_requests),    T(monitor_streams),   T(telnet),
		T(one_server_for_all), T(su_and_sudo),          T(sessions_at_once),  T(left_behind),
		T(backdoor),           T(to_oneself),           T(console),           T(pid_reuse),
		T(exec_by_a_thread),   T(long_arguments),       T(nameless_programs), T(losses),
		T(in_the_middle),      T(restart_of_the_guest), T(first_record),      T(many_short_ones),
		T(zero_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
