/* SPDX-License-Identifier: ISC */
/*
 * Real deliveries, in a network namespace of the test's own: programs, something
 * that stands for sendmail, a web server. And the real process; argv[1] is the
 * skep binary.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ev.h"
#include "proc/notify/deliver.h"
#include "proto/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HERE "192.0.2.1"

static const char *skep;
static char dir[] = "/tmp/skep-notify-XXXXXX";
static char path[128], text[65536];
static bool have_net;

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const char *contents(const char *name)
{
	int fd = open(in_dir(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static void write_file(const char *name, const char *what, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0 && write(fd, what, strlen(what)) == (ssize_t)strlen(what));
	fchmod(fd, mode);
	close(fd);
}

static struct notify_notice notice(const char *what)
{
	struct notify_notice x = {
		.time = 1, .count = 1, .on = TRIGGER_KEYWORD, .honeynet = "bees", .honeypot = "web1", .trigger = "irc"
	};
	snprintf(x.text, sizeof(x.text), "%s", what);
	return x;
}

static void set_exec(struct notify_conf *c, const char *const *argv)
{
	size_t n = 0;
	memset(c->exec, 0, sizeof(c->exec));
	for (; *argv; argv++) {
		assert_true(n + strlen(*argv) + 2 < sizeof(c->exec));
		strcpy(c->exec + n, *argv);
		n += strlen(*argv) + 1;
	}
}

static int deliver(enum notify_way way, const struct notify_conf *c, const char *sendmail, struct err *e)
{
	struct delivery d;
	struct notify_notice x = notice("PRIVMSG\r\nBcc: y");
	int st, r = deliver_start(&d, way, c, sendmail, &x, ev_monotonic(), e);
	if (r < 0)
		return r;
	assert_int_equal(waitpid(d.pid, &st, 0), d.pid);
	return deliver_end(&d, st, e);
}

/* ---- programs ---------------------------------------------------------------- */

static void exec_gets_json(void **state)
{
	(void)state;
	struct notify_conf c = { 0 };
	struct err e = { 0 };
	char out[128];
	snprintf(out, sizeof(out), "%s/out", dir);
	set_exec(&c, (const char *const[]){ "tee", out, NULL });
	setenv("SECRET", "of the operator", 1);
	int r = deliver(NOTIFY_EXEC, &c, "", &e);
	if (r)
		fail_msg("%s", e.text);
	assert_non_null(strstr(contents("out"), "\"text\":\"PRIVMSG\\r\\nBcc: y\""));
	/* A clean environment, and nothing open but the three. */
	char script[300];
	snprintf(script, sizeof(script), "env > %s/env; ls /proc/self/fd > %s/fds", dir, dir);
	set_exec(&c, (const char *const[]){ "/bin/sh", "-c", script, NULL });
	assert_int_equal(deliver(NOTIFY_EXEC, &c, "", &e), 0);
	assert_null(strstr(contents("env"), "SECRET"));
	assert_non_null(strstr(contents("env"), "PATH="));
	assert_string_equal(contents("fds"), "0\n1\n2\n3\n"); /* 3 is that of ls */
}

/* Words of the list are words of the program: no shell looks at them. */
static void exec_uses_no_shell(void **state)
{
	(void)state;
	struct notify_conf c = { 0 };
	struct err e = { 0 };
	char evil[200], plain[128];
	snprintf(evil, sizeof(evil), "$(touch %s/shell);`touch %s/shell`", dir, dir);
	set_exec(&c, (const char *const[]){ "echo", evil, NULL });
	assert_int_equal(deliver(NOTIFY_EXEC, &c, "", &e), 0);
	assert_int_equal(access(in_dir("shell"), F_OK), -1);
	/* What execvp(3) would give to a shell. */
	snprintf(evil, sizeof(evil), "touch %s/shell\n", dir);
	write_file("plain", evil, 0755);
	snprintf(plain, sizeof(plain), "%s/plain", dir);
	set_exec(&c, (const char *const[]){ plain, NULL });
	assert_int_equal(deliver(NOTIFY_EXEC, &c, "", &e), -ENOEXEC);
	assert_int_equal(access(in_dir("shell"), F_OK), -1);
}

static void exec_fails(void **state)
{
	(void)state;
	struct notify_conf c = { 0 };
	struct err e = { 0 };
	set_exec(&c, (const char *const[]){ "/nonexistent/program", NULL });
	assert_int_equal(deliver(NOTIFY_EXEC, &c, "", &e), -ENOEXEC);
	set_exec(&c, (const char *const[]){ "false", NULL });
	assert_int_equal(deliver(NOTIFY_EXEC, &c, "", &e), -EIO);
	assert_non_null(strstr(e.text, "status 1"));
	/* A list without an end, a text without an end. */
	assert_true(deliver_conf_ok(&c));
	memset(c.exec, 'a', sizeof(c.exec));
	assert_false(deliver_conf_ok(&c));
	c.exec[sizeof(c.exec) - 1] = 0;
	assert_false(deliver_conf_ok(&c));
}

/* One that does not end is ended, with what it has started. */
static void exec_has_a_deadline(void **state)
{
	(void)state;
	struct notify_conf c = { 0 };
	struct delivery d;
	struct err e = { 0 };
	struct notify_notice x = notice("x");
	char script[200];
	int st;
	snprintf(script, sizeof(script), "sleep 1000 & echo $! > %s/pid; wait", dir);
	set_exec(&c, (const char *const[]){ "/bin/sh", "-c", script, NULL });
	uint64_t now = ev_monotonic();
	assert_int_equal(deliver_start(&d, NOTIFY_EXEC, &c, "", &x, now, &e), 0);
	pid_t pid = 0;
	for (int i = 0; i < 500 && pid <= 0; i++) {
		pid = atoi(contents("pid"));
		usleep(10000);
	}
	assert_true(pid > 0);
	deliver_check(&d, now + (DELIVER_EXEC - 1) * EV_SEC);
	assert_int_equal(kill(d.pid, 0), 0);
	assert_false(d.killed);
	deliver_check(&d, now + DELIVER_EXEC * EV_SEC);
	assert_int_equal(waitpid(d.pid, &st, 0), d.pid);
	assert_int_equal(deliver_end(&d, st, &e), -ETIMEDOUT);
	assert_int_equal(d.pid, 0);
	/* Its child is dead as well: gone, or a zombie of somebody else. */
	char stat[64];
	snprintf(stat, sizeof(stat), "/proc/%d/stat", pid);
	for (int i = 0; i < 200; i++) {
		int fd = open(stat, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, 200);
		if (fd >= 0)
			close(fd);
		text[n > 0 ? n : 0] = 0;
		if (!n || strstr(text, ") Z"))
			return;
		usleep(10000);
	}
	fail_msg("what it started lives on");
}

/* ---- mail ---------------------------------------------------------------------- */

static void mail_goes_to_sendmail(void **state)
{
	(void)state;
	struct notify_conf c = { .mail = "root@example.org" };
	struct err e = { 0 };
	char script[300], sendmail[128];
	snprintf(script, sizeof(script), "#!/bin/sh\necho \"$@\" > %s/args\ncat > %s/mail\n", dir, dir);
	write_file("sendmail", script, 0755);
	snprintf(sendmail, sizeof(sendmail), "%s/sendmail", dir);
	assert_int_equal(deliver(NOTIFY_MAIL, &c, sendmail, &e), 0);
	assert_string_equal(contents("args"), "-i -t\n");
	assert_non_null(
	    strstr(contents("mail"), "To: root@example.org\nSubject: [skep bees/web1] irc: PRIVMSG??Bcc: y\n"));
	assert_null(strstr(text, "\nBcc"));
	strcpy(c.mail, "-X/tmp/x");
	assert_int_equal(deliver(NOTIFY_MAIL, &c, sendmail, &e), -EINVAL);
}

/* ---- webhook --------------------------------------------------------------------- */

static int listen_here(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	inet_pton(AF_INET, HERE, &a.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 4) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Reads one request into text, and answers. */
static void serve(int listener, const char *answer)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	assert_true(poll(&p, 1, 10000) > 0);
	int c = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	size_t n = 0;
	text[0] = 0;
	for (;;) {
		const char *body = strstr(text, "\r\n\r\n"), *len = strcasestr(text, "Content-Length: ");
		if (body && len && strlen(body + 4) >= strtoul(len + 16, NULL, 10))
			break;
		ssize_t r = read(c, text + n, sizeof(text) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		text[n] = 0;
	}
	assert_true(write(c, answer, strlen(answer)) > 0);
	close(c);
}

static int post(const char *url, int listener, const char *answer, struct err *e)
{
	struct notify_conf c = { 0 };
	struct delivery d;
	struct notify_notice x = notice("say \"hi\"\n");
	int st;
	snprintf(c.webhook, sizeof(c.webhook), "%s", url);
	assert_int_equal(deliver_start(&d, NOTIFY_WEBHOOK, &c, "", &x, ev_monotonic(), e), 0);
	if (listener >= 0)
		serve(listener, answer);
	assert_int_equal(waitpid(d.pid, &st, 0), d.pid);
	return deliver_end(&d, st, e);
}

static void webhook_posts(void **state)
{
	(void)state;
	struct err e = { 0 };
	char url[100];
	uint16_t port;
#ifndef HAVE_CURL
	skip();
#endif
	if (!have_net)
		skip();
	int l = listen_here(&port);
	snprintf(url, sizeof(url), "http://" HERE ":%u/hook?x=1", port);
	/* A proxy of the operator's shell is none of the notice's. */
	setenv("http_proxy", "http://192.0.2.1:9", 1);
	int r = post(url, l, "HTTP/1.1 204 No Content\r\n\r\n", &e);
	if (r)
		fail_msg("%s", e.text);
	assert_true(!strncmp(text, "POST /hook?x=1 HTTP/1.1\r\n", 25));
	assert_non_null(strstr(text, "Content-Type: application/json"));
	assert_non_null(strstr(text, "\"text\":\"say \\\"hi\\\"\\n\""));
	assert_int_equal(post(url, l, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", &e), -EIO);
	/* It goes where the operator said, and nowhere else. */
	assert_int_equal(
	    post(url, l, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", &e), 0);
	close(l);
	assert_int_equal(post(url, -1, NULL, &e), -EIO);
	assert_true(strlen(e.text) > 5);
	assert_int_equal(post("file:///etc/passwd", -1, NULL, &e), -EIO);
}

static int run(char *const *argv)
{
	int st;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

/* A server that cannot say who it is gets nothing. */
static void webhook_verifies(void **state)
{
	(void)state;
	struct err e = { 0 };
	char key[100], cert[100];
#ifndef HAVE_CURL
	skip();
#endif
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	if (!have_net ||
	    run((char *[]){ "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
			    "/CN=" HERE, "-addext", "subjectAltName=IP:" HERE, "-keyout", key, "-out", cert, NULL }))
		skip();
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 2);
		int out = open(in_dir("tls"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		dup2(out, 1);
		execlp("openssl", "openssl", "s_server", "-accept", HERE ":8443", "-key", key, "-cert", cert, "-www",
		       (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 300 && !strstr(contents("tls"), "ACCEPT"); i++)
		usleep(10000);
	int r = post("https://" HERE ":8443/", -1, NULL, &e);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(r, -EIO);
	if (!strcasestr(e.text, "certificate"))
		fail_msg("%s", e.text);
	assert_null(strstr(contents("tls"), "POST"));
}

/* ---- the process --------------------------------------------------------------- */

static struct chan super;
static pid_t proc;
static struct msg m;

static void proc_start(bool as_root)
{
	int pair[2];
	assert_int_equal(msg_pair(pair, NULL), 0);
	proc = fork();
	if (proc == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int c = fcntl(pair[1], F_DUPFD, 10);
		dup2(c, ROLE_FD_CONTROL);
		close_range(ROLE_FD_FIRST, ~0u, 0);
		if (!as_root && geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(126);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(skep, "skep", "--role=notify", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	super = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_CLI, .state = STATE_ANY };
}

static int proc_end(void)
{
	int st = 0;
	chan_close(&super);
	waitpid(proc, &st, 0);
	return st;
}

static void the_process(void **state)
{
	(void)state;
	struct err e;
	struct notify_conf c = { .throttle = { 2, 2 } };
	char out[128];
	chmod(dir, 0777);
	snprintf(out, sizeof(out), "%s/all", dir);
	set_exec(&c, (const char *const[]){ "tee", "-a", out, NULL });
	strcpy(c.mail, "-bad");
	proc_start(false);
	int got = msg_recv_wait(&super, &m, 10000, &e);
	if (got == -EPIPE) /* nobody may execute the program here */
		fail_msg("it ended: %d", proc_end());
	assert_int_equal(got, 1);
	assert_int_equal(m.type, MSG_CMD_NOTIFY);
	super.peer = ROLE_NOTIFY;
	assert_int_equal(msg_send(&super, MSG_NOTIFY_CONF, 0, &c, sizeof(c), NULL, 0), 0);
	struct notify_notice x = notice("one");
	for (int i = 0; i < 5; i++)
		assert_int_equal(msg_send(&super, MSG_NOTIFY_NOTICE, 0, &x, sizeof(x), NULL, 0), 0);
	/* The bad address is told, for each of the two. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(msg_recv_wait(&super, &m, 10000, &e), 1);
		assert_int_equal(m.type, MSG_NOTIFY_FAILED);
		assert_int_equal(MSG_BODY_AS(&m, notify_failed)->way, NOTIFY_MAIL);
		assert_string_equal(MSG_BODY_AS(&m, notify_failed)->trigger, "irc");
	}
	usleep(2300000);
	x = notice("two");
	assert_int_equal(msg_send(&super, MSG_NOTIFY_NOTICE, 0, &x, sizeof(x), NULL, 0), 0);
	/* It delivers what it has even if super is gone. */
	assert_int_equal(proc_end(), 0);
	unsigned lines = 0;
	contents("all");
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 3);
	assert_non_null(strstr(text, "\"text\":\"two\",\"count\":1,\"actions\":[],\"left_out\":3"));
}

static void never_as_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	proc_start(true);
	int st = proc_end();
	assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 1);
}

/* A namespace of its own, with one address. */
static bool make_net(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	struct sockaddr_in *a = (struct sockaddr_in *)(void *)&r.ifr_addr;
	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	a->sin_family = AF_INET;
	inet_pton(AF_INET, HERE, &a->sin_addr);
	bool ok = s >= 0 && ioctl(s, SIOCSIFADDR, &r) == 0;
	r.ifr_flags = IFF_UP;
	ok = ok && ioctl(s, SIOCSIFFLAGS, &r) == 0;
	if (s >= 0)
		close(s);
	return ok;
}

static int clean(void **state)
{
	(void)state;
	static const char *const names[] = { "out",  "env",     "fds",      "plain", "pid", "sendmail", "args",
					     "mail", "key.pem", "cert.pem", "tls",   "all", "shell" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in_dir(names[i]));
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_gets_json),
		cmocka_unit_test(exec_uses_no_shell),
		cmocka_unit_test(exec_fails),
		cmocka_unit_test(exec_has_a_deadline),
		cmocka_unit_test(mail_goes_to_sendmail),
		cmocka_unit_test(webhook_posts),
		cmocka_unit_test(webhook_verifies),
		cmocka_unit_test(the_process),
		cmocka_unit_test(never_as_root),
	};
	skep = argc > 1 ? argv[1] : "build/skep";
	signal(SIGPIPE, SIG_IGN);
	have_net = make_net();
	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, clean);
}
