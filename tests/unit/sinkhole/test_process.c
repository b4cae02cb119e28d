/* SPDX-License-Identifier: ISC */
/* The real process, with sockets as priv gives it, in a network namespace that
 * this test makes; the test is super and evidence. */
#include "base/slice.h"
#include "proto/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;
static uint16_t ports[SINK_SVC_COUNT];
static pid_t pid;
static struct chan super, evidence;
static struct msg m;

static void own_network(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	if (unshare(CLONE_NEWNET) < 0)
		assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	r.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(sk, SIOCSIFFLAGS, &r), 0);
	close(sk);
}

static int listener(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(a);
	int on = 1, fd = socket(AF_INET, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 512), 0);
	else
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int set_up(void **state)
{
	int a[2], b[2], fds[6];
	struct err e = { 0 };
	(void)state;
	assert_int_equal(msg_pair(a, &e), 0);
	assert_int_equal(msg_pair(b, &e), 0);
	fds[0] = a[1];
	fds[1] = b[1];
	for (int i = 0; i < SINK_SVC_COUNT; i++)
		fds[2 + i] = listener(i == SINK_SVC_UDP ? SOCK_DGRAM : SOCK_STREAM, &ports[i]);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 6; i++)
			fds[i] = fcntl(fds[i], F_DUPFD, 40);
		for (int i = 0; i < 6; i++)
			dup2(fds[i], 3 + i);
		close_range(9, ~0u, 0);
		execl(program, program, "--role=sinkhole", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	super = (struct chan){ .fd = a[0], .self = ROLE_SUPER, .peer = ROLE_SINKHOLE, .state = STATE_RUN };
	evidence = (struct chan){ .fd = b[0], .self = ROLE_EVIDENCE, .peer = ROLE_SINKHOLE, .state = STATE_RUN };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	chan_close(&super);
	chan_close(&evidence);
	return 0;
}

static int call(unsigned service, int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr = { htonl(INADDR_LOOPBACK) },
				 .sin_port = htons(ports[service]) };
	int fd = socket(AF_INET, type, 0);
	struct timeval tv = { .tv_sec = 10 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void expect(int fd, const char *want)
{
	char buf[4096];
	size_t n = 0;
	buf[0] = 0;
	while (!strstr(buf, want)) {
		ssize_t r = recv(fd, buf + n, sizeof(buf) - 1 - n, 0);
		if (r <= 0)
			fail_msg("no \"%s\" came, but \"%s\"", want, buf);
		n += (size_t)r;
		buf[n] = 0;
	}
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static const struct ev_sink *told(unsigned record)
{
	struct err e = { 0 };
	for (;;) {
		int r = msg_recv_wait(&evidence, &m, 10000, &e);
		if (r != 1)
			fail_msg("no record came: %d %s", r, e.text);
		assert_int_equal(m.type, MSG_EV_SINK);
		if (MSG_BODY_AS(&m, ev_sink)->record == record)
			return MSG_BODY_AS(&m, ev_sink);
		msg_close_fds(&m);
	}
}

static void a_mail(void **state)
{
	char body[64] = "";
	(void)state;
	int fd = call(SINK_SVC_SMTP, SOCK_STREAM);
	expect(fd, "220 ");
	say(fd, "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
	expect(fd, "354 ");
	say(fd, "Subject: hi\r\n\r\nyou\r\n.\r\nQUIT\r\n");
	expect(fd, "221 2.0.0 Bye");
	const struct ev_sink *s = told(SINK_REC_MAIL);
	assert_int_equal(s->status, 250);
	assert_int_equal(s->family, 4);
	assert_memory_equal(s->dst, "\177\0\0\1", 4);
	assert_int_equal(s->dst_port, ports[SINK_SVC_SMTP]);
	assert_int_equal(m.nfds, 1);
	assert_int_equal(pread(m.fds[0], body, sizeof(body), 0), 20);
	assert_string_equal(body, "Subject: hi\r\n\r\nyou\r\n");
	assert_int_equal(fcntl(m.fds[0], F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	msg_close_fds(&m);
	s = told(SINK_REC_END);
	assert_int_equal(s->requests, 1);
	close(fd);
}

static void a_request_and_a_datagram(void **state)
{
	(void)state;
	int fd = call(SINK_SVC_HTTP, SOCK_STREAM);
	say(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
	expect(fd, "404");
	assert_int_equal(told(SINK_REC_REQUEST)->status, 404);
	close(fd);
	fd = call(SINK_SVC_UDP, SOCK_DGRAM);
	say(fd, "beacon");
	const struct ev_sink *s = told(SINK_REC_STREAM);
	assert_int_equal(s->service, SINK_SVC_UDP);
	assert_int_equal(s->proto, 17);
	assert_memory_equal(s->dst, "\177\0\0\1", 4);
	assert_int_equal(s->body, 6);
	msg_close_fds(&m);
	close(fd);
}

/* One honeypot gets 64 of the table's places; the rest is closed at once. */
static void many_connections(void **state)
{
	enum { N = 100 };
	int fds[N];
	unsigned open = 0;
	char c;
	(void)state;
	for (int i = 0; i < N; i++)
		fds[i] = call(SINK_SVC_SMTP, SOCK_STREAM);
	for (int i = 0; i < N; i++)
		open += recv(fds[i], &c, 1, 0) == 1;
	assert_int_equal(open, 64);
	for (int i = 0; i < N; i++)
		close(fds[i]);
	for (int i = 0; i < 64; i++)
		told(SINK_REC_END);
	int fd = call(SINK_SVC_SMTP, SOCK_STREAM); /* they are free again */
	expect(fd, "220 ");
	close(fd);
}

/* What is under way when it ends is recorded. */
static void the_end(void **state)
{
	struct msg_empty none = { 0 };
	struct err e = { 0 };
	int status;
	(void)state;
	int fd = call(SINK_SVC_SMTP, SOCK_STREAM);
	expect(fd, "220 ");
	say(fd, "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf");
	expect(fd, "354 ");
	usleep(100000);
	assert_int_equal(msg_send(&super, MSG_SINK_QUIT, 7, &none, sizeof(none), NULL, 0), 0);
	assert_int_equal(told(SINK_REC_MAIL)->flags, SINK_UNFINISHED);
	msg_close_fds(&m);
	assert_int_equal(msg_recv_wait(&super, &m, 5000, &e), 1);
	assert_int_equal(m.type, MSG_SINK_DONE);
	assert_int_equal(m.req, 7);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	pid = 0;
	close(fd);
}

/* It has no network but the sockets: its namespace holds nothing, and a filter is on. */
static void confined(void **state)
{
	char path[64], line[256], own[64] = "", its[64] = "";
	unsigned interfaces = 0;
	bool filtered = false;
	(void)state;
	int fd = call(SINK_SVC_SMTP, SOCK_STREAM);
	expect(fd, "220 "); /* it runs */
	close(fd);
	assert_true(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	if (readlink(path, its, sizeof(its) - 1) <= 0)
		skip(); /* not root: it does not let us look */
	assert_string_not_equal(own, its);
	snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		interfaces += strchr(line, ':') != NULL;
	fclose(f);
	assert_int_equal(interfaces, 1); /* lo, which is down */
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		filtered |= !strncmp(line, "Seccomp:\t2", 10);
	fclose(f);
	assert_true(filtered);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	program = argv[1];
	own_network();
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_mail), T(a_request_and_a_datagram), T(many_connections), T(the_end), T(confined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
