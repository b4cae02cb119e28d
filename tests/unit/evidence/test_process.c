/* SPDX-License-Identifier: ISC */
/*
 * The real evidence process (`skep --role=evidence`), with this test as super
 * and as gateway.
 */
#include "base/ev.h"
#include "proto/msg.h"
#include "proto/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
	char dir[64];
	int dirfd;
	pid_t pid;
	struct chan chan;
	uint64_t req;
	int32_t state; /* of the last EV_STATE */
	char state_text[ERR_TEXT];
	struct msg m;
};

static void must(bool ok, const char *what)
{
	if (!ok)
		fail_msg("%s: %s", what, strerror(errno));
}

static void run_evidence(int chan, int dir)
{
	const char *skep = getenv("SKEP");
	/* 3 and 4 may be taken by the other: move both out of the way first. */
	chan = fcntl(chan, F_DUPFD, 10);
	dir = fcntl(dir, F_DUPFD, 10);
	dup2(chan, 3);
	dup2(dir, 4);
	close_range(5, ~0u, 0);
	execl(skep, skep, "--role=evidence", (char *)NULL);
	_exit(127);
}

static void start(struct world *w)
{
	int pair[2];
	struct err e = { 0 };
	assert_int_equal(msg_pair(pair, &e), 0);
	w->pid = fork();
	if (!w->pid)
		run_evidence(pair[1], w->dirfd);
	close(pair[1]);
	w->chan = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	w->state = 0;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *tmp = getenv("TMPDIR");
	snprintf(w->dir, sizeof(w->dir), "%s/skep-ev-XXXXXX", tmp && strlen(tmp) < 30 ? tmp : "/tmp");
	must(mkdtemp(w->dir) != NULL, "mkdtemp");
	w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(w->dirfd >= 0, w->dir);
	start(w);
	*state = w;
	return 0;
}

/* Runs a shell script in which $D is arg. */
static int run(const char *script, const char *arg, char *out, size_t cap)
{
	setenv("D", arg, 1);
	FILE *p = popen(script, "r");
	size_t n = fread(out, 1, cap - 1, p);
	out[n] = 0;
	return pclose(p);
}

static int teardown(void **state)
{
	struct world *w = *state;
	char out[64];
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	chan_close(&w->chan);
	close(w->dirfd);
	run("rm -rf $D", w->dir, out, sizeof(out));
	free(w);
	return 0;
}

/* Waits for the answer to req; EV_STATEs on the way are noted. */
static int answer(struct world *w, uint64_t req)
{
	struct err e = { 0 };
	for (;;) {
		int r = msg_recv_wait(&w->chan, &w->m, 20000, &e);
		if (r <= 0)
			fail_msg("no answer: %d %s", r, e.text);
		if (w->m.type == MSG_EV_STATE) {
			const struct ev_state *s = MSG_BODY_AS(&w->m, ev_state);
			w->state = s->status;
			snprintf(w->state_text, sizeof(w->state_text), "%s", s->text);
			continue;
		}
		assert_int_equal(w->m.type, MSG_EV_DONE);
		assert_int_equal(w->m.req, req);
		return MSG_BODY_AS(&w->m, done)->status;
	}
}

static int ask(struct world *w, uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	uint64_t req = ++w->req;
	int r = msg_send_wait(&w->chan, type, req, body, n, fds, nfds, 1000);
	if (r < 0)
		fail_msg("send: %s", strerror(-r));
	return answer(w, req);
}

static int configure(struct world *w, uint64_t rotate, uint64_t min_free)
{
	struct ev_conf c = { .honeynet = "demo",
			     .version = "0.1",
			     .conf = { .rotate_bytes = rotate, .min_free = min_free } };
	return ask(w, MSG_EV_CONF, &c, sizeof(c), NULL, 0);
}

struct gateway {
	struct ring_writer w;
	int fd, wake;
	uint16_t port;
};

static int add_ring(struct world *w, struct gateway *g, uint16_t port, const char *name, uint32_t size)
{
	struct err e = { 0 };
	g->port = port;
	g->fd = ring_create(size, &e);
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(g->fd >= 0 && g->wake >= 0);
	assert_int_equal(ring_writer_open(&g->w, g->fd, g->wake, &e), 0);
	struct ev_ring r = { .port = port,
			     .uplink = port >= MODEL_HONEYPOTS,
			     .mac = { 2, 0, 0, 0, 0, (uint8_t)port },
			     .naddrs = 1,
			     .addrs = { { .family = 4, .plen = 24, .b = { 192, 0, 2, 10 } } } };
	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.network, sizeof(r.network), "dmz");
	return ask(w, MSG_EV_RING, &r, sizeof(r), (int[]){ g->fd, g->wake }, 2);
}

static void end_ring(struct gateway *g)
{
	ring_writer_close(&g->w);
	close(g->fd);
	close(g->wake);
}

/* false: no room, or stopped */
static bool frame(struct gateway *g, size_t len, unsigned verdict, unsigned reason)
{
	uint8_t *p;
	if (ring_stopped(&g->w) || len < 14 ||
	    !(p = ring_reserve(&g->w, RING_FRAME, g->port, ev_realtime(), sizeof(struct ring_frame) + len)))
		return false;
	struct ring_frame f = { .caplen = (uint32_t)len,
				.wirelen = (uint32_t)len,
				.dir = FRAME_IN,
				.verdict = (uint8_t)verdict,
				.reason = (uint8_t)reason,
				.out_port = PORT_UPLINK(0),
				.rule = RULE_NONE,
				.flow = 7 };
	memcpy(p, &f, sizeof(f));
	p += sizeof(f);
	memset(p, 0xee, len);
	memcpy(p, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\xb5", 14);
	ring_publish(&g->w);
	return !ring_stopped(&g->w); /* as the gateway does it: then it is not sent */
}

static void send_frames(struct gateway *g, unsigned n, size_t len)
{
	uint64_t deadline = ev_monotonic() + 20 * EV_SEC;
	for (unsigned i = 0; i < n;) {
		if (frame(g, len, i % 3 == 2 ? VERDICT_DROP : VERDICT_FORWARD,
			  i % 3 == 2 ? REASON_LIMIT_TCP : REASON_OUTBOUND)) {
			i++;
			continue;
		}
		if (ring_stopped(&g->w) || ev_monotonic() > deadline)
			fail_msg("stopped after %u frames: %d", i, ring_stopped(&g->w));
		usleep(200);
	}
}

static void flow(struct gateway *g)
{
	struct ring_flow f = { .id = 7,
			       .start = ev_realtime() - EV_SEC,
			       .last = ev_realtime(),
			       .pkts_toserver = 1,
			       .src_slot = g->port,
			       .dst_slot = PORT_UPLINK(0),
			       .src_port = 1025,
			       .dst_port = 80,
			       .family = 4,
			       .proto = 6,
			       .state = FLOW_CLOSED,
			       .end = FLOW_END_CLOSED,
			       .reason = REASON_OUTBOUND,
			       .rule = RULE_NONE,
			       .player = RING_NO_PORT,
			       .src = { 192, 0, 2, 10 },
			       .dst = { 198, 51, 100, 1 } };
	void *p = ring_reserve(&g->w, RING_FLOW, g->port, ev_realtime(), sizeof(f));
	assert_non_null(p);
	memcpy(p, &f, sizeof(f));
	ring_publish(&g->w);
}

static void quit(struct world *w, int want)
{
	uint32_t zero = 0;
	int status;
	assert_int_equal(ask(w, MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0), want);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want ? 1 : 0);
}

/* Frames in all packets files, counted here by walking the blocks; every block
 * must be whole. */
struct counted {
	unsigned files, frames, interfaces, drops;
	bool cut;
};

static void count_file(const char *path, struct counted *c)
{
	FILE *f = fopen(path, "rb");
	static uint8_t b[1 << 18];
	uint32_t h[2];
	assert_non_null(f);
	c->files++;
	for (;;) {
		size_t n = fread(h, 1, 8, f);
		if (n < 8) {
			c->cut |= n != 0;
			break;
		}
		assert_true(h[1] >= 12 && h[1] <= sizeof(b) && !(h[1] & 3));
		if (fread(b, 1, h[1] - 8, f) != h[1] - 8) {
			c->cut = true;
			break;
		}
		c->frames += h[0] == 6;
		c->interfaces += h[0] == 1;
		c->drops += h[0] == 6 && memmem(b, h[1] - 8, "verdict=drop reason=limit-tcp", 29) != NULL;
	}
	fclose(f);
}

static struct counted count(struct world *w)
{
	struct counted c = { 0 };
	char path[128];
	for (unsigned i = 1; i < 1000; i++) {
		snprintf(path, sizeof(path), "%s/packets/%06u.pcapng", w->dir, i);
		if (access(path, R_OK) == 0)
			count_file(path, &c);
	}
	return c;
}

/* How many event lines have `type` (and `text` somewhere); every line must be JSON. */
static unsigned events(struct world *w, const char *type, const char *text)
{
	unsigned n = 0;
	char path[128];
	for (unsigned i = 1; i < 200; i++) {
		snprintf(path, sizeof(path), "%s/events/%06u.json", w->dir, i);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		char *line = NULL;
		size_t cap = 0;
		while (getline(&line, &cap, f) > 0) {
			json_t *j = json_loads(line, 0, NULL);
			assert_non_null(j);
			assert_string_equal(json_string_value(json_object_get(j, "honeynet")), "demo");
			assert_non_null(json_object_get(j, "sensor"));
			n += !strcmp(json_string_value(json_object_get(j, "event_type")), type) &&
			     (!text || strstr(line, text));
			json_decref(j);
		}
		free(line);
		fclose(f);
	}
	return n;
}

static void tshark_opens(struct world *w, unsigned frames)
{
	char out[4096];
	if (run("command -v $D", "tshark", out, sizeof(out)) || run("command -v $D", "capinfos", out, sizeof(out))) {
		print_message("# tshark is not installed: skipped\n");
		return;
	}
	assert_int_equal(run("for f in $D/packets/*.pcapng; do HOME=/tmp tshark -n -r $f -T fields -e frame.number "
			     "2>&1; done | grep -v '^Running as user' | wc -l",
			     w->dir, out, sizeof(out)),
			 0);
	assert_int_equal(atoi(out), frames);
	assert_int_equal(run("for f in $D/packets/*.pcapng; do capinfos -c $f 2>&1 >/dev/null || echo bad; done",
			     w->dir, out, sizeof(out)),
			 0);
	assert_string_equal(out, "");
}

static void test_records(void **state)
{
	struct world *w = *state;
	struct gateway a, b;
	assert_int_equal(configure(w, 100000, 0), 0);
	assert_int_equal(add_ring(w, &a, 0, "web", 1 << 18), 0);
	send_frames(&a, 3000, 100);
	assert_int_equal(add_ring(w, &b, PORT_UPLINK(0), "uplink-dmz", 1 << 18), 0);
	send_frames(&b, 600, 1514);
	/* What does not parse is evidence too. */
	for (unsigned i = 0; i < 10; i++)
		assert_true(frame(&b, 14 + i, VERDICT_DROP, REASON_MALFORMED));
	flow(&a);
	struct ev_event v = { .type = "operator",
			      .eventid = "skep.reset",
			      .honeypot = "web",
			      .message = "again",
			      .request = 5,
			      .uid = 1000 };
	assert_int_equal(msg_send(&w->chan, MSG_EV_EVENT, 0, &v, sizeof(v), NULL, 0), 0);
	struct ev_ring_del d = { .port = 0 };
	assert_int_equal(ask(w, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0), 0);
	assert_int_equal(ask(w, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0), -ENOENT);
	quit(w, 0);
	struct counted c = count(w);
	assert_int_equal(c.frames, 3610);
	assert_int_equal(c.drops, 1200);
	assert_false(c.cut);
	assert_true(c.files > 5);
	assert_true(c.interfaces >= c.files);
	assert_int_equal(events(w, "flow", "\"honeypot\":\"web\",\"network\":\"dmz\",\"direction\":\"outbound\""), 1);
	assert_int_equal(events(w, "operator", "\"request\":\"0000000000000005\",\"uid\":1000"), 1);
	assert_true(events(w, "stats", "\"limit-tcp\":1000") >= 1);
	tshark_opens(w, 3610);
	end_ring(&a);
	end_ring(&b);
}

/* The gateway is killed in the middle of a flood: what it published is written,
 * all of it, and nothing is invented. */
static void test_producer_killed(void **state)
{
	struct world *w = *state;
	struct gateway g;
	_Atomic uint64_t *published = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 20), 0);
	for (int round = 0; round < 10; round++) {
		uint64_t before = *published;
		pid_t pid = fork();
		if (!pid) {
			for (;;)
				if (frame(&g, 60 + (size_t)(*published % 1400), VERDICT_FORWARD, REASON_REPLY))
					++*published;
		}
		usleep(20000 + 3000 * (useconds_t)round);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_true(*published > before);
		/* It may have died between publishing and counting. */
		struct ev_ring_del d = { .port = 0 };
		assert_int_equal(ask(w, MSG_EV_RING_DEL, &d, sizeof(d), NULL, 0), 0);
		struct counted c = count(w);
		assert_true(c.frames == *published || c.frames == *published + 1);
		*published = c.frames;
		end_ring(&g);
		assert_int_equal(add_ring(w, &g, 0, "web", 1 << 20), 0);
	}
	quit(w, 0);
	assert_int_equal(count(w).frames, *published);
	assert_int_equal(events(w, "evidence", "tampered"), 0);
	assert_int_equal(events(w, "evidence", "gap"), 0);
	end_ring(&g);
	munmap(published, 4096);
}

/* Evidence is killed: all that it gave back of the ring is on the disk, and the
 * next one recovers and goes on. */
static void test_writer_killed(void **state)
{
	struct world *w = *state;
	for (int round = 0; round < 10; round++) {
		struct gateway g;
		unsigned before = count(w).frames;
		assert_int_equal(configure(w, 300000, 0), 0);
		assert_int_equal(add_ring(w, &g, 0, "web", 1 << 17), 0);
		send_frames(&g, 400 + 100 * (unsigned)round, 300);
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
		uint64_t tail = atomic_load(&g.w.shm->tail);
		/* One entry of this length after another, with the padding. */
		size_t entry = (sizeof(struct ring_entry) + sizeof(struct ring_frame) + 300 + 7) & ~(size_t)7;
		size_t per_lap = (1 << 17) / entry;
		uint64_t given_back = tail / (1 << 17) * per_lap + tail % (1 << 17) / entry;
		struct counted c = count(w);
		if (c.frames < before + given_back)
			fail_msg("%u frames on disk, %llu given back", c.frames - before,
				 (unsigned long long)given_back);
		chan_close(&w->chan);
		end_ring(&g);
		start(w);
	}
	assert_int_equal(configure(w, 300000, 0), 0);
	quit(w, 0);
	struct counted c = count(w);
	assert_false(c.cut);
	assert_int_equal(events(w, "evidence", "skep.evidence.alarm"), 0);
	tshark_opens(w, c.frames);
}

static void wait_state(struct world *w)
{
	struct err e = { 0 };
	while (!w->state && !w->state_text[0]) {
		int r = msg_recv_wait(&w->chan, &w->m, 10000, &e);
		if (r <= 0)
			fail_msg("no EV_STATE");
		if (w->m.type != MSG_EV_STATE)
			continue;
		const struct ev_state *s = MSG_BODY_AS(&w->m, ev_state);
		w->state = s->status;
		snprintf(w->state_text, sizeof(w->state_text), "%s", s->text);
	}
}

static void test_tampered_ring(void **state)
{
	struct world *w = *state;
	struct gateway g, ok;
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 16), 0);
	assert_int_equal(add_ring(w, &ok, 1, "db", 1 << 16), 0);
	assert_true(frame(&g, 60, 0, REASON_REPLY));
	atomic_store(&g.w.shm->head, 1ull << 40);
	uint64_t one = 1;
	assert_int_equal(write(g.wake, &one, sizeof(one)), sizeof(one));
	wait_state(w);
	assert_int_equal(w->state, 0);
	assert_non_null(strstr(w->state_text, "ring of port web is broken"));
	assert_int_equal(ring_stopped(&g.w), -EBADMSG);
	/* The other ports go on. */
	assert_int_equal(ring_stopped(&ok.w), 0);
	send_frames(&ok, 100, 100);
	quit(w, 0);
	assert_int_equal(count(w).frames >= 100, 1);
	assert_int_equal(events(w, "evidence", "skep.evidence.tampered"), 1);
	end_ring(&g);
	end_ring(&ok);
}

/* A frame that claims more bytes than its entry has. */
static void test_lying_frame(void **state)
{
	struct world *w = *state;
	struct gateway g;
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 16), 0);
	struct ring_frame f = { .caplen = 4000000000u, .dir = FRAME_IN };
	memcpy(ring_reserve(&g.w, RING_FRAME, 0, 1, sizeof(f)), &f, sizeof(f));
	ring_publish(&g.w);
	wait_state(w);
	assert_int_equal(ring_stopped(&g.w), -EBADMSG);
	quit(w, 0);
	assert_int_equal(count(w).frames, 0);
	end_ring(&g);
}

static void put(struct gateway *g, uint16_t kind, const void *p, size_t n)
{
	void *to = ring_reserve(&g->w, kind, g->port, ev_realtime(), n);
	assert_non_null(to);
	memcpy(to, p, n);
	ring_publish(&g->w);
}

/* What the gateway made itself is a packet on its way out, under the name of the
 * rule, and no judgement. */
static void test_made_frames(void **state)
{
	struct world *w = *state;
	struct gateway g;
	char out[4096];
	struct {
		struct ring_frame f;
		uint8_t bytes[60];
	} x = { .f = { .caplen = 60,
		       .wirelen = 60,
		       .dir = FRAME_OUT,
		       .verdict = VERDICT_REFLECT,
		       .reason = REASON_RULE,
		       .out_port = 0,
		       .rule = 1023,
		       .flow = 7 } };
	struct ring_rule r = { .generation = 3, .rule = 1023, .name = "worm net\n" };
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 16), 0);
	put(&g, RING_FRAME, &x, sizeof(x)); /* without a name yet */
	put(&g, RING_RULE, &r, sizeof(r));
	put(&g, RING_FRAME, &x, sizeof(x));
	assert_true(frame(&g, 60, VERDICT_REFLECT, REASON_PLAYED));
	quit(w, 0);
	assert_int_equal(count(w).frames, 3);
	assert_int_equal(run("grep -a -c 'verdict=reflect reason=rule flow=7 rule=#1023 out=web seq=1' "
			     "$D/packets/000001.pcapng",
			     w->dir, out, sizeof(out)),
			 0);
	assert_int_equal(run("grep -a -c 'verdict=reflect reason=rule flow=7 rule=worm_net_ out=web seq=3' "
			     "$D/packets/000001.pcapng",
			     w->dir, out, sizeof(out)),
			 0);
	assert_int_equal(events(w, "stats", "\"made_frames\":2,\"made_bytes\":120"), 1);
	assert_int_equal(events(w, "stats", "\"reflect\":{\"played\":1}"), 1);
	if (!run("command -v $D >/dev/null", "tshark", out, sizeof(out))) {
		assert_int_equal(run("HOME=/tmp tshark -n -r $D/packets/000001.pcapng -T fields "
				     "-e frame.packet_flags_direction 2>/dev/null | tr '\\n' ' '",
				     w->dir, out, sizeof(out)),
				 0);
		print_message("# directions: %s\n", out);
		assert_non_null(strstr(out, "0x00000002 0x00000002 0x00000001"));
	}
	end_ring(&g);
}

/* Names and numbers of rules, and who played, are checked as everything else. */
static void test_lying_rules(void **state)
{
	struct world *w = *state;
	struct gateway g[6];
	struct ring_rule far = { .rule = POOL_RULES, .name = "x" }, none = { .rule = 1 }, open = { .rule = 1 };
	struct ring_frame f = { .dir = FRAME_OUT, .rule = POOL_RULES };
	struct ring_flow player = { .family = 4, .rule = RULE_NONE, .player = PORTS_MAX },
			 rule = { .family = 4, .rule = POOL_RULES, .player = RING_NO_PORT };
	memset(open.name, 'x', sizeof(open.name));
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	for (uint16_t i = 0; i < 6; i++) {
		char name[8];
		snprintf(name, sizeof(name), "pot%u", i);
		assert_int_equal(add_ring(w, &g[i], i, name, 1 << 16), 0);
	}
	put(&g[0], RING_RULE, &far, sizeof(far));
	put(&g[1], RING_RULE, &none, sizeof(none));
	put(&g[2], RING_RULE, &open, sizeof(open));
	put(&g[3], RING_FRAME, &f, sizeof(f));
	put(&g[4], RING_FLOW, &player, sizeof(player));
	put(&g[5], RING_FLOW, &rule, sizeof(rule));
	quit(w, 0);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(ring_stopped(&g[i].w), -EBADMSG);
		end_ring(&g[i]);
	}
	assert_int_equal(events(w, "evidence", "skep.evidence.tampered"), 6);
}

static void test_handler_source(void **state)
{
	struct world *w = *state;
	int pair[2];
	struct err e = { 0 };
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(msg_pair(pair, &e), 0);
	struct ev_source_add a = { .slot = 3, .honeypot = "web" };
	assert_int_equal(ask(w, MSG_EV_SOURCE, &a, sizeof(a), &pair[1], 1), 0);
	close(pair[1]);
	struct chan c = { .fd = pair[0], .self = ROLE_VMM, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	struct {
		struct ev_console c;
		char b[40];
	} out = { .c = { .time = 1, .slot = 3 }, .b = "login: \x1b[31m\xff" },
	  in = { .c = { .time = 2, .dir = 1 }, .b = "root\r" };
	assert_int_equal(msg_send(&c, MSG_EV_CONSOLE, 0, &out, sizeof(out.c) + 13, NULL, 0), 0);
	assert_int_equal(msg_send(&c, MSG_EV_CONSOLE, 0, &in, sizeof(in.c) + 5, NULL, 0), 0);
	/* It cannot speak for another honeypot, nor as an operator. */
	struct ev_event v = {
		.type = "machine", .eventid = "skep.machine.panic", .honeypot = "db", .request = 3, .uid = 0
	};
	assert_int_equal(msg_send(&c, MSG_EV_VMM_EVENT, 0, &v, sizeof(v), NULL, 0), 0);
	snprintf(v.type, sizeof(v.type), "operator");
	assert_int_equal(msg_send(&c, MSG_EV_VMM_EVENT, 0, &v, sizeof(v), NULL, 0), 0);
	quit(w, 0);
	assert_int_equal(events(w, "machine", "\"honeypot\":\"web\",\"message\":\"\",\"source\":\"vmm\"}"), 1);
	assert_int_equal(events(w, "operator", NULL), 0);
	char text[256];
	assert_int_equal(run("cat $D/console/web.000001.log", w->dir, text, sizeof(text)), 0);
	assert_memory_equal(text, "login: \x1b[31m\xff", 13);
	assert_int_equal(run("cat $D/console/web.000001.input.json", w->dir, text, sizeof(text)), 0);
	assert_string_equal(
	    text, "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"input\":\"root\\r\",\"hex\":\"726f6f740d\"}\n");
	assert_int_equal(run("cat $D/console/web.000001.times.json", w->dir, text, sizeof(text)), 0);
	assert_string_equal(text, "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"offset\":0,\"length\":13}\n");
	chan_close(&c);
}

static void test_file_kept(void **state)
{
	struct world *w = *state;
	char text[256];
	int fd = memfd_create("f", 0);
	assert_int_equal(write(fd, "honeynet: demo\n", 15), 15);
	struct ev_file f = { .name = "honeynet.yaml", .size = 15 };
	assert_int_equal(ask(w, MSG_EV_FILE, &f, sizeof(f), &fd, 1), -EPROTO); /* before EV_CONF */
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(ask(w, MSG_EV_FILE, &f, sizeof(f), &fd, 1), 0);
	assert_int_equal(ask(w, MSG_EV_FILE, &f, sizeof(f), &fd, 1), 0);
	f.size = 16;
	assert_int_equal(ask(w, MSG_EV_FILE, &f, sizeof(f), &fd, 1), -EINVAL);
	f = (struct ev_file){ .name = "../x", .size = 1 };
	assert_int_equal(ask(w, MSG_EV_FILE, &f, sizeof(f), &fd, 1), -EPROTO);
	quit(w, 0);
	assert_int_equal(run("cat $D/config/0002-honeynet.yaml", w->dir, text, sizeof(text)), 0);
	assert_string_equal(text, "honeynet: demo\n");
	/* Its hash stands in the journal. */
	run("b2sum -l 256 $D/config/0001-honeynet.yaml | cut -c1-64 | xxd -r -p | xxd -p -c 64", w->dir, text,
	    sizeof(text));
	char hash[80];
	snprintf(hash, sizeof(hash), "%.64s", text);
	char cmd[256], out[16];
	snprintf(cmd, sizeof(cmd), "xxd -p -c 1000000 $D/journal/000001.skj | grep -c %s", hash);
	run(cmd, w->dir, out, sizeof(out));
	assert_string_equal(out, "1\n");
	close(fd);
}

static void test_super_gone(void **state)
{
	struct world *w = *state;
	struct gateway g;
	int status;
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 18), 0);
	send_frames(&g, 500, 200);
	chan_close(&w->chan);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(count(w).frames, 500);
	end_ring(&g);
}

static void test_second_writer(void **state)
{
	struct world *w = *state;
	assert_int_equal(configure(w, 1 << 20, 0), 0);
	struct world other = *w;
	other.dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	start(&other);
	assert_int_equal(configure(&other, 1 << 20, 0), -EBUSY);
	quit(&other, 0);
	chan_close(&other.chan);
	close(other.dirfd);
	quit(w, 0);
}

/* The disk fills up: the rings are stopped, super is told in words, and what is
 * there stays readable. */
static void full(struct world *w, uint64_t min_free)
{
	struct gateway g;
	assert_int_equal(configure(w, 1 << 18, min_free), 0);
	assert_int_equal(add_ring(w, &g, 0, "web", 1 << 18), 0);
	uint64_t deadline = ev_monotonic() + 20 * EV_SEC;
	unsigned sent = 0;
	while (!ring_stopped(&g.w) && ev_monotonic() < deadline)
		sent += frame(&g, 1000, VERDICT_FORWARD, REASON_REPLY);
	assert_int_equal(ring_stopped(&g.w), -ENOSPC);
	wait_state(w);
	assert_int_equal(w->state, -ENOSPC);
	assert_non_null(strstr(w->state_text, "Every frame is dropped from now on. Free space on the disk"));
	struct ev_ring r = { .port = 1, .name = "db", .network = "dmz" };
	assert_int_equal(ask(w, MSG_EV_RING, &r, sizeof(r), (int[]){ g.fd, g.wake }, 2), -ENOSPC);
	quit(w, -ENOSPC);
	struct counted c = count(w);
	/* One may be recorded that was not sent any more. */
	assert_true(c.frames > 100 && c.frames <= sent + 1);
	assert_false(c.cut);
	/* While there is room left, nothing that was published is lost. */
	if (min_free)
		assert_in_range(c.frames, sent, sent + 1);
	if (min_free)
		assert_int_equal(events(w, "evidence", "skep.evidence.stopped"), 1);
	tshark_opens(w, c.frames);
	end_ring(&g);
}

static void in_small_disk(struct world *w, const char *size, uint64_t min_free)
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		kill(w->pid, SIGKILL);
		if (!small_disk(w->dir, size))
			_exit(77);
		w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		start(w);
		full(w, min_free);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		print_message("# no mount namespaces here: skipped\n");
	else
		assert_int_equal(status, 0);
}

static void test_disk_full(void **state)
{
	in_small_disk(*state, "4m", 0);
}

static void test_disk_nearly_full(void **state)
{
	/* Free space is looked at after each commit: the margin is more than a slow
	 * machine takes in between. */
	in_small_disk(*state, "16m", 12 << 20);
}

static void test_min_free(void **state)
{
	struct world *w = *state;
	/* More than any disk has: refused at the start, in words. */
	assert_int_equal(configure(w, 1 << 20, 1ull << 60), -ENOSPC);
	assert_non_null(strstr(MSG_BODY_AS(&w->m, done)->text, "evidence.min_free"));
	quit(w, 0);
}

int main(void)
{
	if (!getenv("SKEP")) {
		fprintf(stderr, "SKEP must name the binary\n");
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_producer_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tampered_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lying_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lying_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handler_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_super_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_min_free, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_nearly_full, setup, teardown),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
