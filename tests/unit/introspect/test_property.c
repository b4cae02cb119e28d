/* SPDX-License-Identifier: ISC */
/*
 * Many sessions at once in random order with random bytes: what comes out for
 * each terminal is what went in, and never under another's name. And guests that lie
 * or do too much: nothing grows, nothing breaks.
 */
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
static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % n;
}

static int fresh(void **state)
{
	(void)state;
	rng = 4711;
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

/* ---- honest guests, in any order -------------------------------------------- */

enum stage { ACCEPTED, FORKED, KNOWN, SHELL, GONE };
struct one {
	enum stage stage;
	struct actor monitor, user, shell;
	uint32_t pty;
	uint16_t port;
	char *bytes[2]; /* what went through its terminal */
	size_t n[2];
	uint64_t id;
};
#define SESSIONS 24
#define BYTES_MAX 60000

static const struct actor sshd = { .pid = 10, .ppid = 1, .comm = "sshd" };
static const struct actor worker = { .pid = 20, .comm = "kworker" };
static const char *const args[] = { "x", NULL };
static struct one all[SESSIONS];
static bool pty_used[SESSIONS];
static uint32_t next_pid;

static void begin(struct one *o)
{
	static uint16_t port;
	uint32_t pid = next_pid += 10;
	o->monitor = (struct actor){ .pid = pid, .ppid = 10, .comm = "sshd", .task = rng | 1 };
	rnd(2);
	o->user = (struct actor){ .pid = pid + 1, .ppid = pid, .comm = "sshd" };
	o->shell = (struct actor){ .pid = pid + 2, .ppid = pid + 1, .comm = "bash" };
	o->port = ++port;
	o->n[0] = o->n[1] = 0;
	o->id = 0;
	guest_accept(&g, &sshd, 22, o->port);
	guest_fork(&g, &sshd, pid);
	o->stage = FORKED;
}

static void a_shell(struct one *o)
{
	for (o->pty = 0; pty_used[o->pty]; o->pty++)
		;
	pty_used[o->pty] = true;
	o->shell.tty = PTY(o->pty);
	guest_fork(&g, &o->monitor, o->user.pid);
	guest_fork(&g, &o->user, o->shell.pid);
	guest_exec(&g, &o->shell, "/bin/bash", args);
	o->stage = SHELL;
}

static void some_bytes(struct one *o)
{
	static uint8_t b[HOOK_DATA_MAX];
	uint32_t dir = rnd(2), n = 1 + (rnd(10) ? rnd(40) : rnd(HOOK_DATA_MAX - 1));
	if (o->n[dir] + n > BYTES_MAX)
		return;
	for (uint32_t i = 0; i < n; i++)
		b[i] = (uint8_t)(rnd(3) ? 32 + rnd(95) : rnd(256));
	const struct actor *who = dir == 0 ? &o->user : o->n[1] && rnd(2) ? &worker : &o->shell;
	guest_tty(&g, who, PTY(o->pty), dir, b, n);
	memcpy(o->bytes[dir] + o->n[dir], b, n);
	o->n[dir] += n;
}

static uint64_t id_of_port(uint16_t port)
{
	for (size_t i = 0; i < g.nrec; i++) {
		struct intro_session s;
		if (g.rec[i].head.kind != INTRO_SESSION)
			continue;
		memcpy(&s, g.rec[i].p, sizeof(s));
		if (s.peer_port == port)
			return g.rec[i].head.session;
	}
	return 0;
}

static unsigned ends_of(uint64_t id)
{
	unsigned n = 0;
	for (size_t i = 0; i < g.nrec; i++)
		n += g.rec[i].head.kind == INTRO_END && g.rec[i].head.session == id;
	return n;
}

static void leave(struct one *o)
{
	o->id = id_of_port(o->port);
	assert_true(o->id);
	assert_int_equal(ends_of(o->id), 0);
	if (o->stage == SHELL) {
		guest_exit(&g, &o->shell);
		guest_exit(&g, &o->user);
		pty_used[o->pty] = false;
	}
	guest_exit(&g, &o->monitor);
	assert_int_equal(ends_of(o->id), 1);
	for (uint32_t dir = 0; dir < 2; dir++) {
		size_t n;
		char *got = guest_bytes(&g, PTY(o->pty), dir, o->id, &n);
		if (o->stage == SHELL) {
			assert_int_equal(n, o->n[dir]);
			assert_memory_equal(got, o->bytes[dir], n);
		}
		free(got);
	}
	o->stage = GONE;
}

static void step(struct one *o)
{
	switch (o->stage) {
	case ACCEPTED:
	case GONE:
		begin(o);
		break;
	case FORKED:
		guest_monitor_text(&g, &o->monitor, LOGIN_PWNAM, "bob");
		o->stage = KNOWN;
		break;
	case KNOWN:
		if (rnd(8))
			a_shell(o);
		else
			leave(o);
		break;
	case SHELL:
		if (rnd(60))
			some_bytes(o);
		else
			leave(o);
		break;
	}
}

static void terminals_are_exact(void **state)
{
	(void)state;
	guest_fork(&g, &(struct actor){ .pid = 1, .comm = "init" }, 10);
	guest_exec(&g, &sshd, "/usr/sbin/sshd", args);
	next_pid = 1000;
	for (int i = 0; i < SESSIONS; i++) {
		all[i] = (struct one){ .stage = GONE, .bytes = { malloc(BYTES_MAX), malloc(BYTES_MAX) } };
		assert_true(all[i].bytes[0] && all[i].bytes[1]);
	}
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 4000; i++)
			step(&all[rnd(SESSIONS)]);
		for (int i = 0; i < SESSIONS; i++)
			if (all[i].stage == SHELL || all[i].stage == KNOWN)
				leave(&all[i]);
		/* not one byte is anybody else's, or nobody's */
		for (size_t i = 0; i < g.nrec; i++)
			if (g.rec[i].head.kind == INTRO_TTY)
				assert_int_not_equal(g.rec[i].head.session, 0);
		guest_forget(&g);
		for (int i = 0; i < SESSIONS; i++)
			if (all[i].stage == FORKED) {
				guest_exit(&g, &all[i].monitor);
				all[i].stage = GONE;
			}
	}
	assert_int_equal(g.track->sessions.live, 0);
	assert_int_equal(track_evictions(g.track), 0);
	for (int i = 0; i < SESSIONS; i++) {
		free(all[i].bytes[0]);
		free(all[i].bytes[1]);
	}
}

/* ---- guests that do too much ------------------------------------------------- */

static void fork_bomb(void **state)
{
	(void)state;
	struct actor mon = { .pid = 100, .ppid = 10, .comm = "sshd" };
	struct actor user = { .pid = 101, .ppid = 100, .comm = "sshd" };
	struct actor sh = { .pid = 102, .ppid = 101, .comm = "bash", .tty = PTY(0) };
	guest_fork(&g, &(struct actor){ .pid = 1, .comm = "init" }, 10);
	guest_exec(&g, &sshd, "/usr/sbin/sshd", args);
	guest_accept(&g, &sshd, 22, 7);
	guest_fork(&g, &sshd, 100);
	guest_monitor_text(&g, &mon, LOGIN_PWNAM, "bob");
	guest_fork(&g, &mon, 101);
	guest_fork(&g, &user, 102);
	guest_exec(&g, &sh, "/bin/bash", args);
	uint64_t id = id_of_port(7);
	assert_true(id);
	guest_forget(&g);
	g.keep = false;
	for (uint32_t i = 0; i < 100000; i++) {
		struct actor a = sh;
		a.pid = i ? 1000 + rnd(i) : 102;
		guest_fork(&g, &a, 1000 + i);
	}
	assert_true(g.track->procs.live < PROCS_MAX);
	assert_true(g.track->procs.evicted > 90000);
	g.keep = true;
	/* the connection is served still, and ends as it should */
	guest_keys(&g, &user, PTY(0), "exit\r");
	assert_int_equal(guest_record(&g, INTRO_TTY, 0)->head.session, id);
	guest_exit(&g, &user);
	guest_exit(&g, &mon);
	assert_int_equal(ends_of(id), 1);
}

static void flood_of_connections(void **state)
{
	(void)state;
	guest_fork(&g, &(struct actor){ .pid = 1, .comm = "init" }, 10);
	guest_exec(&g, &sshd, "/usr/sbin/sshd", args);
	g.keep = false;
	for (uint32_t i = 0; i < 20000; i++) {
		guest_accept(&g, &sshd, 22, (uint16_t)i);
		guest_fork(&g, &sshd, 1000 + i);
		struct actor m = { .pid = 1000 + i, .ppid = 10, .comm = "sshd" };
		guest_monitor_text(&g, &m, LOGIN_PWNAM, "x");
	}
	assert_true(g.track->sessions.live <= SESSIONS_MAX);
	assert_true(g.track->sessions.evicted >= 20000 - SESSIONS_MAX);
	assert_true(g.track->conns.live <= CONNS_MAX);
	track_end(g.track, g.time);
	assert_int_equal(g.track->sessions.live, 0);
}

/* Execs without end, of arguments without end, never done. */
static void unfinished_execs(void **state)
{
	static uint8_t arg[8000];
	(void)state;
	memset(arg, 'a', sizeof(arg));
	g.keep = false;
	for (uint32_t i = 0; i < 4000; i++) {
		struct actor a = { .pid = 100 + i % 500, .ppid = 1, .comm = "x", .task = 64 * (i + 1), .tid = 7 };
		struct fact f = guest_fact(&g, HOOK_EXEC_TRY, &a);
		f.exec.path = (struct fact_text){ "/x", 2 };
		f.exec.cwd = (struct fact_text){ "/", 1 };
		f.exec.args = slice_of(arg, sizeof(arg));
		guest_say(&g, &f);
		f.type = HOOK_EXEC_MORE;
		for (uint32_t k = 0; k < 70; k++) {
			f.exec.offset = (k + 1) * (uint32_t)sizeof(arg);
			guest_say(&g, &f);
		}
		assert_true(g.track->execs.total <= EXECS_TOTAL + EXEC_BYTES);
	}
	assert_true(g.track->execs.evicted > 3000);
}

/* ---- guests that lie ---------------------------------------------------------- */

static struct fact_text a_text(void)
{
	static const char *const texts[] = { "", "/", "/bin/sh", "/usr/sbin/sshd", "x (deleted)", "-c", "login", "su" };
	const char *s = texts[rnd(8)];
	return (struct fact_text){ s, (uint32_t)strlen(s) };
}

static struct slice some(uint32_t max)
{
	static const char words[] = "Password: \r\n\033[A\033[200~login: \0\0\0\5\14\0\0\0\1x\0-c\0\015\177\025\t";
	static uint8_t b[HOOK_DATA_MAX];
	uint32_t n = rnd(rnd(20) ? 32 : max);
	for (uint32_t i = 0; i < n; i++)
		b[i] = rnd(2) ? (uint8_t)words[(i + rnd(3)) % sizeof(words)] : (uint8_t)rnd(256);
	return slice_of(b, n);
}

static void a_lie(void)
{
	static const char *const comms[] = { "sshd", "bash", "telnetd", "login", "", "su" };
	struct actor a = { .pid = rnd(40), .ppid = rnd(40), .uid = rnd(3), .comm = comms[rnd(6)] };
	a.tid = rnd(4) ? 0 : rnd(40);
	a.task = rnd(6) ? 0 : rnd(5);
	a.tty = rnd(3) ? HOOK_TTY_ID(rnd(4), rnd(5)) : 0;
	struct fact f = guest_fact(&g, 1 + rnd(FACT_TYPE_COUNT - 1), &a);
	f.flags = (uint16_t)rnd(8);
	f.ret = rnd(3) ? 0 : -2;
	if (!rnd(500))
		f.time = rnd(2) ? 0 : UINT64_MAX;
	switch (f.type) {
	case HOOK_HELLO:
		if (rnd(50))
			return;
		break;
	case HOOK_TTY:
		f.term =
		    (struct fact_tty){ HOOK_TTY_ID(1 + rnd(3), rnd(rnd(9) ? 4 : 1000)), rnd(2), some(HOOK_DATA_MAX) };
		break;
	case HOOK_WINSIZE:
		f.winsize = (struct hook_winsize){ HOOK_TTY_ID(1 + rnd(3), rnd(5)), (uint16_t)rnd(65536),
						   (uint16_t)rnd(65536) };
		break;
	case HOOK_EXEC_TRY:
	case HOOK_EXEC_MORE:
	case HOOK_EXEC_DONE:
		f.exec.argc = rnd(10);
		f.exec.path = a_text();
		f.exec.cwd = a_text();
		f.exec.args = some(HOOK_DATA_MAX);
		f.exec.offset = rnd(3) ? 0 : rnd(100000);
		break;
	case HOOK_FORK:
		f.fork.tgid = rnd(40);
		f.fork.tid = rnd(40);
		break;
	case HOOK_EXIT:
		f.exit.whole = rnd(2);
		break;
	case HOOK_OPEN:
	case HOOK_UNLINK:
	case HOOK_CHMOD:
	case HOOK_RENAME:
		f.file.num = rnd(2);
		f.file.path = a_text();
		f.file.to = a_text();
		break;
	case HOOK_SOCKET:
		f.sock = (struct hook_socket){ .op = (uint8_t)rnd(3),
					       .proto = 6,
					       .family = 4,
					       .local_port = (uint16_t)rnd(30),
					       .peer_port = (uint16_t)rnd(30) };
		break;
	case HOOK_MODULE:
		f.module = a_text();
		break;
	case HOOK_AUTH:
		f.auth = some(HOOK_DATA_MAX);
		break;
	default:
		break;
	}
	guest_say(&g, &f);
}

/* The tables agree with each other, whatever was said. */
static void consistent(void)
{
	const struct track *t = g.track;
	uint32_t procs = 0, conns = 0, sessions = 0;
	static uint32_t members[SESSIONS_MAX], servers[SESSIONS_MAX], holders[CONNS_MAX];
	memset(members, 0, sizeof(members));
	memset(servers, 0, sizeof(servers));
	memset(holders, 0, sizeof(holders));
	for (uint32_t i = 1; i < PROCS_MAX; i++) {
		const struct proc *p = &t->procs.at[i];
		if (!p->tgid)
			continue;
		procs++;
		if (sessions_get(&g.track->sessions, p->session)) {
			members[p->session.at]++;
			servers[p->session.at] += p->serving;
		}
		if (conns_get(&g.track->conns, p->conn))
			holders[p->conn.at]++;
		if (conns_get(&g.track->conns, p->accepted))
			holders[p->accepted.at]++;
	}
	for (uint32_t i = 0; i < CONNS_MAX; i++) {
		conns += t->conns.at[i].holders != 0;
		assert_int_equal(t->conns.at[i].holders, holders[i]);
	}
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		sessions += t->sessions.at[i].used;
		assert_int_equal(t->sessions.at[i].procs, members[i]);
		assert_int_equal(t->sessions.at[i].servers, servers[i]);
	}
	assert_int_equal(t->procs.live, procs);
	assert_int_equal(t->conns.live, conns);
	assert_int_equal(t->sessions.live, sessions);
}

static void lies(void **state)
{
	(void)state;
	g.keep = false;
	for (int i = 0; i < 300000; i++) {
		a_lie();
		if (i % 5000 == 0)
			consistent();
	}
	assert_true(g.seen > 100000);
	track_end(g.track, g.time);
	consistent();
	assert_int_equal(g.track->sessions.live, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		T(terminals_are_exact), T(fork_bomb), T(flood_of_connections), T(unfinished_execs), T(lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
