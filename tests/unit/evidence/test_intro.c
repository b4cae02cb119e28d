/* SPDX-License-Identifier: ISC */
/*
 * Records of introspect processes: what the real evidence process keeps, tells and
 * refuses. This test is super and the introspect process.
 */
#include "base/ev.h"
#include "proc/evidence/intro.h"
#include "proto/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SID 0x0123456789abull

struct world {
	char dir[64];
	int dirfd;
	pid_t pid;
	struct chan super, intro;
	uint64_t seq;
	struct msg m;
};

static struct world *start_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	int pair[2];
	snprintf(w->dir, sizeof(w->dir), "/tmp/skep-intro-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(msg_pair(pair, NULL), 0);
	w->pid = fork();
	if (!w->pid) {
		int c = fcntl(pair[1], F_DUPFD, 10), d = fcntl(w->dirfd, F_DUPFD, 10);
		dup2(c, 3);
		dup2(d, 4);
		close_range(5, ~0u, 0);
		execl(getenv("SKEP"), "skep", "--role=evidence", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	w->super = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	w->intro.fd = -1;
	return w;
}

static int ask(struct world *w, uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	assert_int_equal(msg_send_wait(&w->super, type, 1, body, n, fds, nfds, 1000), 0);
	do
		assert_int_equal(msg_recv_wait(&w->super, &w->m, 20000, NULL), 1);
	while (w->m.type != MSG_EV_DONE);
	return MSG_BODY_AS(&w->m, done)->status;
}

static void configure(struct world *w, uint64_t rotate)
{
	struct ev_conf c = { .honeynet = "demo", .version = "0.1", .conf = { .rotate_bytes = rotate } };
	assert_int_equal(ask(w, MSG_EV_CONF, &c, sizeof(c), NULL, 0), 0);
}

/* A new introspect process of honeypot web. */
static void attach(struct world *w)
{
	struct ev_source_add a = { .role = ROLE_INTROSPECT, .honeypot = "web" };
	int pair[2];
	chan_close(&w->intro);
	assert_int_equal(msg_pair(pair, NULL), 0);
	assert_int_equal(ask(w, MSG_EV_SOURCE, &a, sizeof(a), &pair[0], 1), 0);
	close(pair[0]);
	w->intro = (struct chan){ .fd = pair[1], .self = ROLE_INTROSPECT, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	w->seq = 0;
}

struct batch {
	struct ev_intro head;
	uint8_t b[30720];
	size_t n;
};

static struct intro_rec *add(struct world *w, struct batch *x, unsigned kind, const void *payload, size_t n)
{
	static const uint8_t zero[8];
	struct intro_rec r = { .len = (uint32_t)(sizeof(r) + n),
			       .kind = (uint16_t)kind,
			       .seq = ++w->seq,
			       .time = 1800000000000000000ull + w->seq * 1000000,
			       .session = SID,
			       .pid = 400,
			       .ppid = 1,
			       .uid = 1000,
			       .tty = HOOK_TTY_ID(HOOK_TTY_PTY, 3),
			       .comm = "bash" };
	size_t at = x->n;
	assert_true(x->n + sizeof(r) + n + 8 <= sizeof(x->b));
	memcpy(x->b + x->n, &r, sizeof(r));
	memcpy(x->b + x->n + sizeof(r), payload, n);
	x->n += sizeof(r) + n;
	memcpy(x->b + x->n, zero, -r.len & 7u);
	x->n += -r.len & 7u;
	x->head.n++;
	return (struct intro_rec *)(void *)(x->b + at);
}

static void send_batch(struct world *w, struct batch *x)
{
	static uint8_t b[sizeof(struct ev_intro) + sizeof(x->b)];
	memcpy(b, &x->head, sizeof(x->head));
	memcpy(b + sizeof(x->head), x->b, x->n);
	assert_int_equal(msg_send_wait(&w->intro, MSG_EV_INTRO, 0, b, sizeof(x->head) + x->n, NULL, 0, 5000), 0);
}

static void settle(void)
{
	usleep(200000);
}

static void quit(struct world *w)
{
	uint32_t zero = 0;
	int st;
	assert_int_equal(ask(w, MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0), 0);
	assert_int_equal(waitpid(w->pid, &st, 0), w->pid);
	w->pid = 0;
	assert_int_equal(st, 0);
}

static void end_world(struct world *w)
{
	char cmd[96];
	if (w->pid) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	chan_close(&w->super);
	chan_close(&w->intro);
	close(w->dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", w->dir);
	assert_int_equal(system(cmd), 0);
	free(w);
}

static uint8_t *slurp(struct world *w, const char *name, size_t *n)
{
	struct stat st;
	int fd = openat(w->dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	uint8_t *p = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	close(fd);
	*n = (size_t)st.st_size;
	return p;
}

/* The nth event with this eventid, or NULL. */
static json_t *event(struct world *w, const char *type, const char *id, unsigned nth)
{
	json_t *found = NULL;
	for (unsigned f = 1; f < 10 && !found; f++) {
		char name[40];
		size_t n;
		snprintf(name, sizeof(name), "events/%06u.json", f);
		uint8_t *p = slurp(w, name, &n), *at = p;
		while (p && at < p + n && !found) {
			uint8_t *end = memchr(at, '\n', (size_t)(p + n - at));
			if (!end)
				break;
			json_t *j = json_loadb((char *)at, (size_t)(end - at), 0, NULL);
			assert_non_null(j);
			const char *t = json_string_value(json_object_get(j, "event_type"));
			const char *i = json_string_value(json_object_get(json_object_get(j, t), "eventid"));
			if (i && !strcmp(t, type) && !strcmp(i, id) && --nth == 0)
				found = j;
			else
				json_decref(j);
			at = end + 1;
		}
		free(p);
	}
	return found;
}

/* Dotted paths are not needed: top level, or in the object of its type. */
static void field(json_t *j, const char *key, const char *want)
{
	const json_t *in = json_object_get(j, json_string_value(json_object_get(j, "event_type")));
	const json_t *v = json_object_get(in, key);
	char got[256] = "(none)";
	if (!v)
		v = json_object_get(j, key);
	if (json_is_integer(v))
		snprintf(got, sizeof(got), "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(got, sizeof(got), "%s", json_is_true(v) ? "true" : "false");
	else if (json_is_string(v))
		snprintf(got, sizeof(got), "%s", json_string_value(v));
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s, not %s", key, got, want);
}

#define EVENT(w, type, id, ...)                                                                                        \
	do {                                                                                                           \
		const char *const pairs_[][2] = { __VA_ARGS__ };                                                       \
		json_t *j_ = event(w, type, id, 1);                                                                    \
		if (!j_)                                                                                               \
			fail_msg("no event %s", id);                                                                   \
		for (size_t i_ = 0; i_ < sizeof(pairs_) / sizeof(pairs_[0]); i_++)                                     \
			field(j_, pairs_[i_][0], pairs_[i_][1]);                                                       \
		json_decref(j_);                                                                                       \
	} while (0)

static const struct intro_session conversation = { .start = 1800000000000000000ull,
						   .proto = 6,
						   .family = 4,
						   .service = INTRO_SVC_SSH,
						   .local_port = 22,
						   .peer_port = 45400,
						   .local = { 198, 51, 100, 10 },
						   .peer = { 203, 0, 113, 77 } };

static void add_session(struct world *w, struct batch *x)
{
	uint8_t b[sizeof(conversation) + 5];
	memcpy(b, &conversation, sizeof(conversation));
	memcpy(b + sizeof(conversation), "root", 5);
	add(w, x, INTRO_SESSION, b, sizeof(b));
}

/* One of each kind. */
static void fill(struct world *w, struct batch *x)
{
	struct {
		struct intro_source s;
		char text[24];
	} source = { { .way = INTRO_WAY_HOOKS, .format = INTRO_FORMAT, .sites = 7, .absent = 8 }, "linux 6.1" };
	add(w, x, INTRO_SOURCE, &source, sizeof(source.s) + 10)->session = 0;
	add_session(w, x);
	add_session(w, x);
	add(w, x, INTRO_LOGIN, "\1\0\0\0\0\0\0\0root\0p\033]0;x\0", 20);
	add(w, x, INTRO_TTY, "\0\0\0\0uname -a\r", 13);
	add(w, x, INTRO_WINSIZE, "\30\0\120\0", 4);
	struct intro_rec *r = add(w, x, INTRO_COMMAND, "uname -a", 9);
	r->flags = INTRO_F_EDITED;
	add(w, x, INTRO_EXEC, "\0\0\0\0\2\0\0\0/usr/bin/uname\0/root\0uname\0-a\0", 8 + 15 + 6 + 6 + 3);
	add(w, x, INTRO_EXEC, "\0\0\0\0\3\0\0\0/bin/x\0/\0x\0ab", 8 + 7 + 2 + 2 + 2)->flags = INTRO_F_MORE;
	add(w, x, INTRO_EXEC, "c\0d\0", 4)->flags = INTRO_F_CONT;
	add(w, x, INTRO_FORK, "\1\2\0\0", 4);
	add(w, x, INTRO_EXIT, "\0\3\0\0", 4);
	add(w, x, INTRO_FILE, "\2\0\0\0\0\0\0\0/tmp/a\0/tmp/b\0", 22);
	add(w, x, INTRO_FILE, "\5\0\0\0\355\1\0\0/tmp/b\0\0", 16);
	struct hook_socket s = { .op = HOOK_CONNECT,
				 .proto = 6,
				 .family = 6,
				 .local_port = 40000,
				 .peer_port = 80,
				 .local = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
				 .peer = { 0x20, 1, 0xd, 0xb8, [15] = 2 } };
	add(w, x, INTRO_SOCKET, &s, sizeof(s));
	s.op = HOOK_LISTEN;
	add(w, x, INTRO_SOCKET, &s, sizeof(s));
	add(w, x, INTRO_MODULE, "rootkit", 8);
	add(w, x, INTRO_CRED, "\350\3\0\0\0\0\0\0\350\3\0\0\0\0\0\0", 16);
	struct intro_loss loss = { .records = 5, .bytes = 500 };
	add(w, x, INTRO_LOSS, &loss, sizeof(loss));
	add(w, x, INTRO_TAMPER, "the jump is gone", 17);
	struct intro_end end = { .start = conversation.start,
				 .end = conversation.start + 1500000000ull,
				 .in_bytes = 9,
				 .out_bytes = 90,
				 .commands = 1,
				 .execs = 2 };
	add(w, x, INTRO_END, &end, sizeof(end));
}

static void check_head(const uint8_t *p, size_t n)
{
	struct intro_rec r;
	struct intro_file f;
	assert_true(n >= sizeof(r) + sizeof(f));
	memcpy(&r, p, sizeof(r));
	memcpy(&f, p + sizeof(r), sizeof(f));
	assert_int_equal(r.len, sizeof(r) + sizeof(f));
	assert_int_equal(r.kind, INTRO_NONE);
	assert_int_equal(r.seq, 0);
	assert_memory_equal(f.magic, INTRO_FILE_MAGIC, 8);
	assert_int_equal(f.format, INTRO_FORMAT);
	assert_string_equal(f.honeynet, "demo");
	assert_string_equal(f.honeypot, "web");
}

static void test_kept_and_told(void **state)
{
	(void)state;
	struct world *w = start_world();
	struct batch x = { .n = 0 };
	size_t n, head = sizeof(struct intro_rec) + sizeof(struct intro_file);
	configure(w, 0);
	attach(w);
	fill(w, &x);
	send_batch(w, &x);
	quit(w);
	uint8_t *p = slurp(w, "sessions/web.000001.skt", &n);
	assert_non_null(p);
	check_head(p, n);
	assert_int_equal(n, head + x.n);
	assert_memory_equal(p + head, x.b, x.n);
	assert_int_equal(intro_whole(p, n), n);
	assert_int_equal(intro_whole(p, n - 1), n - sizeof(struct intro_rec) - sizeof(struct intro_end));
	free(p);
	end_world(w);
}

static void test_events(void **state)
{
	(void)state;
	struct world *w = start_world();
	struct batch x = { .n = 0 };
	configure(w, 0);
	attach(w);
	fill(w, &x);
	send_batch(w, &x);
	quit(w);
	EVENT(w, "session", "skep.session.connect", { "session", "0123456789ab" }, { "src_ip", "203.0.113.77" },
	      { "src_port", "45400" }, { "dest_ip", "198.51.100.10" }, { "dest_port", "22" }, { "proto", "TCP" },
	      { "service", "ssh" }, { "username", "root" }, { "honeypot", "web" }, { "honeynet", "demo" },
	      { "community_id", "1:1BYfsQIXxvt8qOg1sRvgYlsmTow=" });
	EVENT(w, "session", "skep.session.update", { "session", "0123456789ab" });
	EVENT(w, "login", "skep.login.success", { "username", "root" }, { "password", "p\033]0;x" },
	      { "method", "password" }, { "src_ip", "203.0.113.77" }, { "session", "0123456789ab" });
	EVENT(w, "command", "skep.command.input", { "input", "uname -a" }, { "edited", "true" }, { "tty", "pts/3" },
	      { "src_port", "45400" });
	EVENT(w, "process", "skep.process.exec", { "path", "/usr/bin/uname" }, { "cwd", "/root" }, { "argc", "2" },
	      { "result", "0" }, { "pid", "400" }, { "ppid", "1" }, { "uid", "1000" }, { "comm", "bash" });
	json_t *j = event(w, "process", "skep.process.exec", 2);
	field(j, "more", "true");
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "process"), "argv")), 2);
	json_decref(j);
	assert_null(event(w, "process", "skep.process.exec", 3));
	EVENT(w, "process", "skep.process.exit", { "status", "3" });
	EVENT(w, "process", "skep.process.setuid", { "old_uid", "1000" }, { "new_uid", "0" });
	EVENT(w, "file", "skep.file.rename", { "path", "/tmp/a" }, { "to", "/tmp/b" });
	EVENT(w, "file", "skep.file.chmod", { "path", "/tmp/b" }, { "mode", "0755" });
	EVENT(w, "connection", "skep.connection.connect", { "src_ip", "2001:db8::1" }, { "dest_ip", "2001:db8::2" },
	      { "dest_port", "80" }, { "session", "0123456789ab" });
	EVENT(w, "connection", "skep.connection.listen", { "dest_port", "40000" }, { "src_ip", "(none)" });
	EVENT(w, "module", "skep.module.load", { "name", "rootkit" });
	EVENT(w, "introspection", "skep.introspection.source", { "way", "hooks" }, { "sites", "0000000000000007" });
	EVENT(w, "introspection", "skep.introspection.loss", { "records", "5" });
	EVENT(w, "introspection", "skep.introspection.tamper", { "message", "the jump is gone" });
	EVENT(w, "session", "skep.session.closed", { "duration_ms", "1500" }, { "in_bytes", "9" }, { "commands", "1" });
	end_world(w);
}

/* A file ends between two records, and each begins with its head. */
static void test_rotation(void **state)
{
	(void)state;
	struct world *w = start_world();
	size_t n, total = 0;
	unsigned files = 0, sent = 0;
	configure(w, 16384);
	attach(w);
	for (int i = 0; i < 20; i++) {
		struct batch x = { .n = 0 };
		for (int k = 0; k < 40; k++, sent++)
			add(w, &x, INTRO_TTY, "\1\0\0\0bytes of a screen", 22);
		send_batch(w, &x);
	}
	quit(w);
	for (;;) {
		char name[40];
		snprintf(name, sizeof(name), "sessions/web.%06u.skt", files + 1);
		uint8_t *p = slurp(w, name, &n);
		if (!p)
			break;
		check_head(p, n);
		assert_true(n <= 16384);
		assert_int_equal(intro_whole(p, n), n);
		struct slice s = slice_of(p, n);
		slice_skip(&s, sizeof(struct intro_rec) + sizeof(struct intro_file));
		struct intro_rec r;
		struct intro_body b;
		while (intro_take(&s, &r, &b) == 1)
			assert_int_equal(r.seq, ++total);
		assert_int_equal(s.n, 0);
		free(p);
		files++;
	}
	assert_true(files > 3);
	assert_int_equal(total, sent);
	end_world(w);
}

/* Each of these ends the source; what stood before the broken record is kept. */
static void test_broken(void **state)
{
	(void)state;
	for (int i = 0; i < 14; i++) {
		struct world *w = start_world();
		struct batch x = { .n = 0 };
		size_t n, good;
		configure(w, 0);
		attach(w);
		add(w, &x, INTRO_COMMAND, "id", 3);
		good = x.n;
		struct intro_rec *r = add(w, &x, INTRO_COMMAND, "ls -la /", 9);
		uint8_t *end = x.b + x.n;
		switch (i) {
		case 0:
			r->kind = INTRO_NONE;
			break;
		case 1:
			r->kind = INTRO_KIND_COUNT;
			break;
		case 2:
			r->len += 800;
			break;
		case 3:
			r->len = 10;
			break;
		case 4:
			r->session |= 1ull << 48;
			break;
		case 5:
			r->flags = 0x8000;
			break;
		case 6:
			r->seq = 1;
			break;
		case 7:
			end[-1] = 1;
			break; /* padding */
		case 8:
			memset(r + 1, 'a', 9);
			break; /* no terminator */
		case 9:
			r->kind = INTRO_EXEC;
			break;
		case 10:
			r->kind = INTRO_SOCKET;
			break;
		case 11:
			((uint8_t *)(r + 1))[3] = 0;
			break; /* bytes behind the text */
		case 12:
			x.head.n = 3;
			good = x.n;
			break;
		default:
			x.n -= 4;
			break; /* cut in the middle */
		}
		send_batch(w, &x);
		settle();
		/* Nobody listens any more. */
		x = (struct batch){ .n = 0 };
		add(w, &x, INTRO_COMMAND, "late", 5);
		uint8_t late[sizeof(x.head) + 128];
		memcpy(late, &x.head, sizeof(x.head));
		memcpy(late + sizeof(x.head), x.b, x.n);
		assert_true(msg_send(&w->intro, MSG_EV_INTRO, 0, late, sizeof(x.head) + x.n, NULL, 0) < 0);
		quit(w);
		uint8_t *p = slurp(w, "sessions/web.000001.skt", &n);
		size_t head = sizeof(struct intro_rec) + sizeof(struct intro_file);
		if (!p || n != head + good)
			fail_msg("case %d: %zu bytes are kept, not %zu", i, p ? n : 0, head + good);
		free(p);
		json_t *j = event(w, "evidence", "skep.evidence.protocol", 1);
		if (!j)
			fail_msg("case %d is not told", i);
		field(j, "honeypot", "web");
		json_decref(j);
		end_world(w);
	}
}

/* Missing numbers are told; a new process of the honeypot begins anew. */
static void test_gap_and_next(void **state)
{
	(void)state;
	struct world *w = start_world();
	struct batch x = { .n = 0 };
	size_t n;
	configure(w, 0);
	attach(w);
	add_session(w, &x);
	w->seq += 7;
	add(w, &x, INTRO_COMMAND, "id", 3);
	send_batch(w, &x);
	settle();
	attach(w);
	struct batch y = { .n = 0 };
	add(w, &y, INTRO_COMMAND, "ls", 3);
	send_batch(w, &y);
	quit(w);
	json_t *j = event(w, "evidence", "skep.evidence.gap", 1);
	assert_non_null(j);
	assert_int_equal(
	    strncmp(json_string_value(json_object_get(json_object_get(j, "evidence"), "message")), "7 ", 2), 0);
	json_decref(j);
	assert_null(event(w, "evidence", "skep.evidence.gap", 2));
	uint8_t *p = slurp(w, "sessions/web.000001.skt", &n);
	assert_int_equal(n, sizeof(struct intro_rec) + sizeof(struct intro_file) + x.n + y.n);
	free(p);
	/* The conversation is known to the next one, too. */
	j = event(w, "command", "skep.command.input", 2);
	assert_non_null(j);
	field(j, "input", "ls");
	field(j, "src_ip", "203.0.113.77");
	json_decref(j);
	end_world(w);
}

/* Killed in the middle of everything: what was read stays, and no half record. */
static void test_killed(void **state)
{
	(void)state;
	struct world *w = start_world();
	size_t n;
	configure(w, 0);
	attach(w);
	for (int i = 0; i < 50; i++) {
		struct batch x = { .n = 0 };
		for (int k = 0; k < 100; k++)
			add(w, &x, INTRO_TTY, "\1\0\0\0bytes of a screen", 22);
		send_batch(w, &x);
	}
	settle();
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	w->pid = 0;
	uint8_t *p = slurp(w, "sessions/web.skt", &n);
	assert_non_null(p);
	assert_int_equal(intro_whole(p, n), n);
	assert_int_equal(n, sizeof(struct intro_rec) + sizeof(struct intro_file) + 5000 * 96);
	free(p);
	end_world(w);
}

/* Any bytes: never a crash, and what is taken lies within them. */
static void test_any_bytes(void **state)
{
	(void)state;
	struct world w = { .seq = 0 };
	static struct batch x;
	fill(&w, &x);
	uint64_t seed = 42;
	for (int i = 0; i < 200000; i++) {
		static uint8_t b[sizeof(x.b)];
		memcpy(b, x.b, x.n);
		for (int k = 0; k < 3; k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			b[(seed >> 33) % x.n] = (uint8_t)(seed >> 24);
		}
		size_t cut = i % 4 ? x.n : (seed >> 40) % x.n;
		uint8_t *exact = malloc(cut ? cut : 1); /* for the address sanitizer */
		memcpy(exact, b, cut);
		struct slice s = slice_of(exact, cut);
		struct intro_rec r;
		struct intro_body body;
		while (intro_take(&s, &r, &body) > 0) {
			assert_true(r.kind > INTRO_NONE && r.kind < INTRO_KIND_COUNT);
			for (int t = 0; t < 2; t++)
				assert_true(!body.text[t].n ||
					    (body.text[t].p >= exact && body.text[t].p + body.text[t].n < exact + cut));
			assert_true(!body.rest.n || (body.rest.p >= exact && body.rest.p + body.rest.n <= exact + cut));
		}
		assert_true(intro_whole(exact, cut) <= cut);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_and_told), cmocka_unit_test(test_events),
		cmocka_unit_test(test_rotation),      cmocka_unit_test(test_broken),
		cmocka_unit_test(test_gap_and_next),  cmocka_unit_test(test_killed),
		cmocka_unit_test(test_any_bytes),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
