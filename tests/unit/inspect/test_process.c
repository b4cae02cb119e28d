/* SPDX-License-Identifier: ISC */
/* The inspect process itself: its configuration, what it passes on, its end. */
#include "base/err.h"
#include "proto/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;
static struct chan c;
static pid_t pid;
static struct msg m;

static int set_up(void **state)
{
	int pair[2];
	(void)state;
	assert_int_equal(msg_pair(pair, NULL), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pair[1], 10);
		dup2(10, ROLE_FD_CONTROL);
		close_range(4, ~0u, 0);
		execl(program, "skep", "--role=inspect", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	c = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_INSPECT, .state = STATE_ANY };
	return 0;
}

static int tear_down(void **state)
{
	int status;
	(void)state;
	chan_close(&c);
	/* Without its commander it ends by itself. */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static void next(uint32_t type)
{
	struct err e = { 0 };
	do {
		if (msg_recv_wait(&c, &m, 10000, &e) != 1)
			fail_msg("no message: %s", e.text);
	} while (m.type != type);
}

static int ask(uint32_t type, const void *body, size_t len, const int *fds, int nfds)
{
	assert_int_equal(msg_send(&c, type, 1, body, len, fds, nfds), 0);
	next(MSG_INSPECT_DONE);
	return MSG_BODY_AS(&m, done)->status;
}

static void begin(int reports[2], int log[2])
{
	struct inspect_prepare p = { .nhome = 1 };
	struct msg_empty none = { 0 };
	char text[16384];
	assert_true(addr_parse("192.0.2.0/24", 1, &p.home[0]));
	assert_int_equal(ask(MSG_INSPECT_PREPARE, &p, sizeof(p), NULL, 0), 0);
	int fd = msg_take_fd(&m, 0);
	assert_true(fd >= 0);
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = 0;
	assert_non_null(strstr(text, "HOME_NET: \"[192.0.2.0/24]\""));
	assert_non_null(strstr(text, "copy-mode: ips"));
	assert_int_equal(write(fd, "x", 1), -1); /* sealed */
	close(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, reports), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, log), 0);
	assert_int_equal(ask(MSG_INSPECT_START, &none, sizeof(none), (int[]){ reports[1], log[1] }, 2), 0);
	close(reports[1]);
	close(log[1]);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void test_passes_on(void **state)
{
	(void)state;
	int reports[2], log[2];
	begin(reports, log);
	say(log[0], "This is Suricata version 7.0.10 RELEASE\nrule files processed. 3 rules successfully loaded, ");
	say(log[0], "1 rules failed, 0\nThreads created ->   Engine started.\n");
	next(MSG_INSPECT_STATE);
	const struct inspect_state *s = MSG_BODY_AS(&m, inspect_state);
	assert_int_equal(s->event, INSPECT_EV_UP);
	assert_string_equal(s->version, "7.0.10");
	assert_int_equal(s->loaded, 3);
	assert_int_equal(s->failed, 1);
	say(reports[0], "nonsense");
	say(reports[0],
	    "{\"event_type\":\"alert\",\"src_ip\":\"198.51.100.1\",\"src_port\":1,\"dest_ip\":\"192.0.2.10\","
	    "\"dest_port\":2,\"proto\":\"TCP\",\"alert\":{\"signature_id\":5,\"action\":\"allowed\"}}");
	next(MSG_INSPECT_ALERT);
	assert_int_equal(MSG_BODY_AS(&m, gw_alert)->signature, 5);
	do
		next(MSG_INSPECT_STATE);
	while (MSG_BODY_AS(&m, inspect_state)->event != INSPECT_EV_FIGURES);
	assert_int_equal(MSG_BODY_AS(&m, inspect_state)->alerts, 1);
	assert_int_equal(MSG_BODY_AS(&m, inspect_state)->bad, 1);
	close(log[0]);
	do
		next(MSG_INSPECT_STATE);
	while (MSG_BODY_AS(&m, inspect_state)->event != INSPECT_EV_ENDED);
	close(reports[0]);
}

/* An owned engine that alerts without end: at most 1000 a second come through. */
static void test_flood(void **state)
{
	(void)state;
	int reports[2], log[2];
	char line[300];
	begin(reports, log);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(line, sizeof(line),
			 "{\"event_type\":\"alert\",\"src_ip\":\"198.51.100.1\",\"dest_ip\":\"192.0.2.10\",\"proto\":"
			 "\"TCP\","
			 "\"alert\":{\"signature_id\":%u}}",
			 i + 1);
		say(reports[0], line);
	}
	unsigned got = 0;
	for (;;) {
		assert_int_equal(msg_recv_wait(&c, &m, 10000, NULL), 1);
		if (m.type == MSG_INSPECT_ALERT)
			got++;
		else if (m.type == MSG_INSPECT_STATE && MSG_BODY_AS(&m, inspect_state)->alerts == 3000)
			break;
	}
	assert_int_equal(got + MSG_BODY_AS(&m, inspect_state)->lost, 3000);
	assert_true(MSG_BODY_AS(&m, inspect_state)->lost > 0);
	close(log[0]);
	close(reports[0]);
}

static void test_refuses(void **state)
{
	(void)state;
	struct inspect_prepare p = { .nhome = MODEL_NETS * 2 + 1 };
	struct msg_empty none = { 0 };
	assert_int_equal(ask(MSG_INSPECT_PREPARE, &p, sizeof(p), NULL, 0), -EPROTO);
	p.nhome = 0;
	p.nvars = 1;
	memcpy(p.vars[0].name, "A B", 4);
	memcpy(p.vars[0].value, "1", 2);
	assert_int_equal(ask(MSG_INSPECT_PREPARE, &p, sizeof(p), NULL, 0), -EINVAL);
	assert_int_equal(ask(MSG_INSPECT_START, &none, sizeof(none), NULL, 0), -EPROTO);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { T(test_passes_on), T(test_flood), T(test_refuses) };
	program = argc > 1 ? argv[1] : "skep";
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
