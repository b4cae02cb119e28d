/* SPDX-License-Identifier: ISC */
#include "scratch.h"

#include "proc/vmm/console.h"

#include <poll.h>
#include <sys/socket.h>

static struct ev ev;
static struct console con;
static struct chan rec, far; /* the hub's end, and evidence's */
static int guest;            /* the guest's end */
static int gone, gone_code;
static struct msg m;

static void on_gone(void *arg, const struct err *e)
{
	(void)arg;
	gone++;
	gone_code = e->code;
}

static int setup(void **state)
{
	(void)state;
	int r[2], g[2];
	gone = gone_code = 0;
	assert_int_equal(ev_init(&ev, NULL), 0);
	assert_int_equal(msg_pair(r, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, g), 0);
	rec = (struct chan){ r[0], ROLE_VMM, ROLE_EVIDENCE, STATE_RUN };
	far = (struct chan){ r[1], ROLE_EVIDENCE, ROLE_VMM, STATE_RUN };
	guest = g[1];
	console_init(&con, &ev, &rec, 7, on_gone, NULL);
	assert_int_equal(console_start(&con, g[0], NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	console_finish(&con, 10);
	chan_close(&rec);
	chan_close(&far);
	if (guest >= 0)
		close(guest);
	ev_close(&ev);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 200 && ev_turn(&ev, 0) > 0; i++)
		;
}

static int attach(uint32_t flags)
{
	int p[2];
	struct err e;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p), 0);
	if (console_attach(&con, p[0], flags, &e))
		fail_msg("%s", e.text);
	return p[1];
}

static size_t hear(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	ssize_t k;
	while (n < cap && (k = recv(fd, buf + n, cap - n, MSG_DONTWAIT)) > 0) {
		n += (size_t)k;
		turn();
	}
	if (n < cap)
		buf[n] = 0;
	return n;
}

static void hears(int fd, const char *want)
{
	char buf[4096];
	turn();
	hear(fd, buf, sizeof(buf));
	assert_string_equal(buf, want);
}

static void say(int fd, const char *s)
{
	assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
	turn();
}

/* The next record must be this; turns are taken by the caller. */
static void evidence_has(uint32_t dir, const char *want)
{
	assert_int_equal(msg_recv(&far, &m, NULL), 1);
	assert_int_equal(m.type, MSG_EV_CONSOLE);
	const struct ev_console *c = MSG_BODY_AS(&m, ev_console);
	assert_int_equal(c->slot, 7);
	assert_int_equal(c->dir, dir);
	assert_true(c->time > 1500000000ull * EV_SEC);
	assert_int_equal(m.len - sizeof(*c), strlen(want));
	assert_memory_equal(c + 1, want, strlen(want));
}

static void evidence_has_nothing(void)
{
	assert_int_equal(msg_recv(&far, &m, NULL), 0);
}

static void test_output(void **state)
{
	(void)state;
	int a = attach(0);
	say(guest, "login: ");
	evidence_has(0, "login: ");
	hears(a, "login: ");
	int b = attach(CONSOLE_READONLY); /* the scroll-back first */
	hears(b, "login: ");
	say(guest, "x");
	hears(a, "x");
	hears(b, "x");
	close(a);
	turn();
	say(guest, "y");
	hears(b, "y");
	close(b);
}

static void test_one_types(void **state)
{
	(void)state;
	int watcher = attach(CONSOLE_READONLY), a = attach(0), b = attach(0);
	say(a, "root\n");
	evidence_has(1, "root\n");
	hears(guest, "root\n");
	say(b, "intrude\n");
	say(watcher, "me too\n");
	evidence_has_nothing();
	hears(guest, "");
	hears(b, "\r\n[skep: another operator types, your keys go nowhere: attach with --take]\r\n");
	hears(watcher, "\r\n[skep: read only, your keys go nowhere]\r\n");
	say(b, "again");
	hears(b, ""); /* told once */
	int c = attach(CONSOLE_TAKE);
	say(c, "mine\n");
	hears(guest, "mine\n");
	say(a, "still?\n");
	hears(guest, "");
	hears(a, "\r\n[skep: another operator took the keyboard]\r\n");
	close(c);
	turn();
	int d = attach(0); /* the keyboard is free again */
	say(d, "ok");
	hears(guest, "ok");
	close(a), close(b), close(d), close(watcher);
}

/* Evidence does not read: nothing may be shown, and the guest is not read. */
static void test_capture_before_display(void **state)
{
	(void)state;
	int a = attach(CONSOLE_READONLY);
	static char chunk[8192], shown[1 << 20];
	memset(chunk, 'z', sizeof(chunk));
	size_t sent = 0;
	for (int i = 0; i < 400; i++) {
		ssize_t k = send(guest, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k > 0)
			sent += (size_t)k;
		turn();
	}
	assert_true(con.out_len > 0); /* stuck, as it should be */
	assert_true(sent < 200 * sizeof(chunk));
	size_t seen = hear(a, shown, sizeof(shown)), kept = 0;
	while (msg_recv(&far, &m, NULL) == 1)
		kept += m.len - sizeof(struct ev_console);
	if (seen > kept)
		fail_msg("%zu bytes shown, but only %zu recorded", seen, kept);
	/* It goes on when evidence does, and nothing is lost. */
	for (int i = 0; i < 2000 && kept < sent; i++) {
		turn();
		while (msg_recv(&far, &m, NULL) == 1)
			kept += m.len - sizeof(struct ev_console);
	}
	assert_int_equal(kept, sent);
	close(a);
}

static void test_input_waits_for_evidence(void **state)
{
	(void)state;
	int a = attach(0);
	static char body[sizeof(struct ev_console) + 16384];
	while (msg_send(&rec, MSG_EV_CONSOLE, 0, body, sizeof(body), NULL, 0) == 0)
		;
	say(a, "secret\n");
	hears(guest, "");
	while (msg_recv(&far, &m, NULL) == 1 && m.len == sizeof(body))
		;
	turn();
	hears(guest, "secret\n");
	close(a);
}

static void test_slow_operator(void **state)
{
	(void)state;
	int slow = attach(CONSOLE_READONLY), quick = attach(CONSOLE_READONLY);
	static char chunk[4096], buf[1 << 20];
	size_t heard = 0, kept = 0, sent = 0;
	for (int i = 0; i < 300; i++) {
		memset(chunk, 'a' + i % 26, sizeof(chunk));
		assert_int_equal(send(guest, chunk, sizeof(chunk), MSG_NOSIGNAL), sizeof(chunk));
		sent += sizeof(chunk);
		turn();
		while (msg_recv(&far, &m, NULL) == 1)
			kept += m.len - sizeof(struct ev_console);
		heard += hear(quick, buf, sizeof(buf));
	}
	assert_int_equal(kept, sent);
	assert_int_equal(heard, sent);
	size_t n = hear(slow, buf, sizeof(buf) - 1);
	assert_true(n < sent);
	buf[n] = 0;
	assert_non_null(strstr(buf, "[skep: output left out, this terminal was too slow]"));
	/* The end is there. */
	assert_memory_equal(buf + n - sizeof(chunk), chunk, sizeof(chunk));
	close(slow), close(quick);
}

static void test_guest_goes(void **state)
{
	(void)state;
	int a = attach(0);
	assert_int_equal(send(guest, "bye", 3, 0), 3);
	close(guest);
	guest = -1;
	turn();
	evidence_has(0, "bye");
	hears(a, "bye");
	char c;
	assert_int_equal(recv(a, &c, 1, 0), 0);
	assert_int_equal(gone, 1);
	assert_int_equal(gone_code, 0);
	int p[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	assert_int_equal(console_attach(&con, p[0], 0, NULL), -ENOTCONN);
	assert_int_equal(recv(p[1], &c, 1, 0), 0);
	close(a), close(p[1]);
}

static void test_evidence_goes(void **state)
{
	(void)state;
	int a = attach(0);
	chan_close(&far);
	turn();
	assert_int_equal(gone, 1);
	assert_int_equal(gone_code, -EPIPE);
	say(guest, "unseen");
	hears(a, "");
	say(a, "unheard");
	hears(guest, "");
	close(a);
}

static void test_many(void **state)
{
	(void)state;
	int fds[CONSOLE_OPERATORS], p[2];
	for (int i = 0; i < CONSOLE_OPERATORS; i++)
		fds[i] = attach(0);
	struct err e;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	assert_int_equal(console_attach(&con, p[0], 0, &e), -EUSERS);
	char c;
	assert_int_equal(recv(p[1], &c, 1, 0), 0); /* it was closed */
	say(guest, "all");
	for (int i = 0; i < CONSOLE_OPERATORS; i++) {
		hears(fds[i], "all");
		close(fds[i]);
	}
	close(p[1]);
	turn();
	close(attach(0));
}

/* Hung-up ends must not make the loop spin while something else is waited for. */
static void test_no_spin(void **state)
{
	(void)state;
	static char body[sizeof(struct ev_console) + 16384];
	int a = attach(0);
	while (msg_send(&rec, MSG_EV_CONSOLE, 0, body, sizeof(body), NULL, 0) == 0)
		;
	say(a, "keys");
	close(a);
	assert_int_equal(send(guest, "words", 5, 0), 5);
	close(guest);
	guest = -1;
	turn();
	int busy = 0;
	for (int i = 0; i < 50; i++)
		busy += ev_turn(&ev, 0) > 0;
	assert_true(busy < 5);
	while (msg_recv(&far, &m, NULL) == 1 && m.len == sizeof(body))
		;
	turn();
	assert_int_equal(gone, 1);
}

static void test_finish(void **state)
{
	(void)state;
	assert_int_equal(send(guest, "last words", 10, 0), 10);
	console_finish(&con, 100);
	evidence_has(0, "last words");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_output),
		T(test_one_types),
		T(test_capture_before_display),
		T(test_input_waits_for_evidence),
		T(test_slow_operator),
		T(test_guest_goes),
		T(test_evidence_goes),
		T(test_many),
		T(test_no_spin),
		T(test_finish),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
