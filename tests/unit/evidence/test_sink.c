/* SPDX-License-Identifier: ISC */
/* What sinkholes and the gateway's DNS tell, through the real evidence process: the
 * events, the kept bodies, whose flow it was, and what a liar gets. */
#include "base/ev.h"
#include "proto/msg.h"
#include "proto/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static int dirfd_;
static pid_t pid;
static struct chan chan, sink;
static uint64_t req;
static struct msg m;

static int ask(uint32_t type, const void *body, size_t n, const int *fds, int nfds)
{
	struct err e = { 0 };
	assert_int_equal(msg_send_wait(&chan, type, ++req, body, n, fds, nfds, 1000), 0);
	while (msg_recv_wait(&chan, &m, 20000, &e) == 1)
		if (m.type == MSG_EV_DONE && m.req == req)
			return MSG_BODY_AS(&m, done)->status;
	fail_msg("no answer: %s", e.text);
	return -1;
}

static int set_up(void **state)
{
	int pair[2], rec[2];
	struct err e = { 0 };
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skep-ev-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(msg_pair(pair, &e), 0);
	pid = fork();
	if (!pid) {
		int a = fcntl(pair[1], F_DUPFD, 20), b = fcntl(dirfd_, F_DUPFD, 20);
		dup2(a, 3);
		dup2(b, 4);
		close_range(5, ~0u, 0);
		execl(getenv("SKEP"), getenv("SKEP"), "--role=evidence", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	chan = (struct chan){ .fd = pair[0], .self = ROLE_SUPER, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	struct ev_conf c = { .honeynet = "demo", .version = "0.1", .conf = { .rotate_bytes = 1 << 20 } };
	assert_int_equal(ask(MSG_EV_CONF, &c, sizeof(c), NULL, 0), 0);
	assert_int_equal(msg_pair(rec, &e), 0);
	struct ev_source_add a = { .slot = 0, .role = ROLE_SINKHOLE, .honeypot = "sink-dmz" };
	assert_int_equal(ask(MSG_EV_SOURCE, &a, sizeof(a), &rec[1], 1), 0);
	close(rec[1]);
	sink = (struct chan){ .fd = rec[0], .self = ROLE_SINKHOLE, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	return 0;
}

static int tear_down(void **state)
{
	char cmd[128];
	(void)state;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	chan_close(&chan);
	chan_close(&sink);
	close(dirfd_);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) ? -1 : 0;
}

static void quit(void)
{
	struct msg_empty none = { 0 };
	assert_int_equal(ask(MSG_EV_QUIT, &none, sizeof(none), NULL, 0), 0);
	waitpid(pid, NULL, 0);
	pid = 0;
}

/* The nth event of this type, from 0; NULL. */
static json_t *event(const char *type, unsigned n)
{
	char path[128];
	static char line[1 << 16];
	json_t *found = NULL;
	snprintf(path, sizeof(path), "%s/events/000001.json", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f)) {
		json_t *v = json_loads(line, 0, NULL);
		assert_non_null(v);
		if (!strcmp(json_string_value(json_object_get(v, "event_type")), type) && n-- == 0)
			found = v;
		else
			json_decref(v);
	}
	fclose(f);
	return found;
}

/* "a.b.0" */
static const json_t *at(const json_t *v, const char *path)
{
	char key[64];
	while (v && *path) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		v = json_is_array(v) ? json_array_get(v, (size_t)atoi(key)) : json_object_get(v, key);
		path += n + (path[n] == '.');
	}
	return v;
}

static void text_is(const json_t *v, const char *path, const char *want)
{
	const char *is = json_string_value(at(v, path));
	if (!is || strcmp(is, want) != 0)
		fail_msg("%s is %s, not %s", path, is ? is : "absent", want);
}

static void number_is(const json_t *v, const char *path, json_int_t want)
{
	if (json_integer_value(at(v, path)) != want)
		fail_msg("%s is %lld", path, (long long)json_integer_value(at(v, path)));
}

/* ---- rings ------------------------------------------------------------------- */

struct gateway {
	struct ring_writer w;
	int fd, wake;
	uint16_t port;
};

static struct gateway gateway(uint16_t port, const char *name)
{
	struct gateway g = { .port = port, .fd = ring_create(1 << 16, NULL) };
	g.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ring_writer_open(&g.w, g.fd, g.wake, NULL), 0);
	struct ev_ring r = { .port = port,
			     .uplink = port >= MODEL_HONEYPOTS ? 2 : 0,
			     .naddrs = port < MODEL_HONEYPOTS,
			     .addrs = { { .family = 4, .plen = 24, .b = { 192, 0, 2, 10 } } } };
	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.network, sizeof(r.network), "dmz");
	assert_int_equal(ask(MSG_EV_RING, &r, sizeof(r), (int[]){ g.fd, g.wake }, 2), 0);
	return g;
}

static void end(struct gateway *g)
{
	ring_writer_close(&g->w);
	close(g->fd);
	close(g->wake);
}

/* A SYN from 192.0.2.10 to 198.51.100.7. */
static void syn(struct gateway *g, unsigned dir_, uint64_t flow, uint16_t sport, uint16_t dport)
{
	uint8_t b[54] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40 };
	b[23] = 6;
	memcpy(b + 26, "\300\0\2\12\306\63\144\7", 8);
	b[34] = (uint8_t)(sport >> 8);
	b[35] = (uint8_t)sport;
	b[36] = (uint8_t)(dport >> 8);
	b[37] = (uint8_t)dport;
	struct ring_frame f = { .caplen = sizeof(b),
				.wirelen = sizeof(b),
				.dir = (uint8_t)dir_,
				.verdict = VERDICT_SINKHOLE,
				.reason = REASON_RULE,
				.out_port = PORT_SINK(0),
				.rule = RULE_NONE,
				.flow = flow };
	uint8_t *p = ring_reserve(&g->w, RING_FRAME, g->port, ev_realtime(), sizeof(f) + sizeof(b));
	assert_non_null(p);
	memcpy(p, &f, sizeof(f));
	memcpy(p + sizeof(f), b, sizeof(b));
	ring_publish(&g->w);
}

/* ---- records ------------------------------------------------------------------- */

static struct {
	struct ev_sink h;
	uint8_t b[SINK_TEXTS_MAX];
	size_t n;
} r;

static void record(unsigned what, unsigned service)
{
	memset(&r, 0, sizeof(r));
	r.h = (struct ev_sink){ .time = ev_realtime(),
				.start = ev_realtime(),
				.session = 0xabcdef012345,
				.record = (uint16_t)what,
				.service = (uint8_t)service,
				.family = 4,
				.proto = 6,
				.src_port = 40000,
				.dst_port = 25,
				.status = 250,
				.recipients = 2,
				.bytes_in = 100 };
	memcpy(r.h.src, "\300\0\2\12", 4);
	memcpy(r.h.dst, "\306\63\144\7", 4);
}

static void add(unsigned field, const char *text)
{
	uint16_t n = (uint16_t)strlen(text);
	r.b[r.n++] = (uint8_t)field;
	r.b[r.n++] = 0;
	memcpy(r.b + r.n, &n, 2);
	memcpy(r.b + r.n + 2, text, n);
	r.n += 2u + n;
	r.h.ntexts++;
}

static int memfd_of(const char *text, bool sealed)
{
	int fd = memfd_create("body", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (sealed)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return fd;
}

static void send_record(const char *body, bool sealed)
{
	static uint8_t all[sizeof(r.h) + SINK_TEXTS_MAX];
	int fd = body ? memfd_of(body, sealed) : -1;
	memcpy(all, &r.h, sizeof(r.h));
	memcpy(all + sizeof(r.h), r.b, r.n);
	assert_int_equal(msg_send_wait(&sink, MSG_EV_SINK, 0, all, sizeof(r.h) + r.n, &fd, fd >= 0, 1000), 0);
	if (fd >= 0)
		close(fd);
}

static void with_body(const char *text)
{
	r.h.body = r.h.kept = (uint32_t)strlen(text);
	crypto_hash_sha256(r.h.sha256, (const uint8_t *)text, strlen(text));
	crypto_generichash(r.h.blake2b, 32, (const uint8_t *)text, strlen(text), NULL, 0);
}

static const char mail[] = "Subject: hi\r\n\r\nyou\r\n";

static void a_mail(void **state)
{
	char path[200], text[64] = "";
	(void)state;
	struct gateway pot = gateway(0, "web"), hole = gateway(PORT_SINK(0), "sink-dmz");
	/* Asked for port 587 from 41000; the sinkhole saw 40000 -> 25. */
	syn(&pot, FRAME_IN, 77, 41000, 587);
	syn(&hole, FRAME_OUT, 77, 40000, 25);
	record(SINK_REC_MAIL, SINK_SVC_SMTP);
	add(SINK_F_MAIL_FROM, "a@example.org");
	add(SINK_F_RCPT_TO, "b@example.org");
	add(SINK_F_RCPT_TO, "c\x1b[2J@example.org");
	add(SINK_F_HELO, "bot");
	add(SINK_F_SUBJECT, "hi");
	with_body(mail);
	send_record(mail, true);
	quit();
	json_t *v = event("smtp", 0);
	assert_non_null(v);
	number_is(v, "flow_id", 77);
	text_is(v, "src_ip", "192.0.2.10");
	number_is(v, "src_port", 41000);
	text_is(v, "dest_ip", "198.51.100.7");
	number_is(v, "dest_port", 587);
	assert_int_equal(strncmp(json_string_value(at(v, "community_id")), "1:", 2), 0);
	text_is(v, "smtp.helo", "bot");
	text_is(v, "smtp.mail_from", "<a@example.org>");
	text_is(v, "smtp.rcpt_to.0", "<b@example.org>");
	text_is(v, "email.subject", "hi");
	text_is(v, "skep.honeypot", "web");
	text_is(v, "skep.network", "dmz");
	text_is(v, "skep.session", "abcdef012345");
	number_is(v, "skep.body.size", (json_int_t)strlen(mail));
	text_is(v, "skep.body.file", "sinkhole/000001.bin");
	json_decref(v);
	snprintf(path, sizeof(path), "%s/sinkhole/000001.bin", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof(text), f), strlen(mail));
	assert_string_equal(text, mail);
	fclose(f);
	end(&pot);
	end(&hole);
}

/* Without its frames it is told as the sinkhole saw it. */
static void requests(void **state)
{
	(void)state;
	struct gateway pot = gateway(0, "web");
	record(SINK_REC_REQUEST, SINK_SVC_HTTP);
	r.h.status = 404;
	r.h.recipients = 0;
	add(SINK_F_METHOD, "GET");
	add(SINK_F_HOST, "c2.example");
	add(SINK_F_URL, "/x\xff\"");
	add(SINK_F_USER_AGENT, "curl");
	send_record(NULL, false);
	record(SINK_REC_STREAM, SINK_SVC_TCP);
	add(SINK_F_SAMPLE, "NICK x");
	send_record(NULL, false);
	record(SINK_REC_LOGIN, SINK_SVC_SMTP);
	add(SINK_F_USER, "root");
	add(SINK_F_PASSWORD, "toor");
	send_record(NULL, false);
	quit();
	json_t *v = event("http", 0);
	assert_null(at(v, "flow_id"));
	text_is(v, "http.hostname", "c2.example");
	text_is(v, "http.http_method", "GET");
	number_is(v, "http.status", 404);
	text_is(v, "skep.honeypot", "web"); /* by its address */
	json_decref(v);
	v = event("sinkhole", 0);
	text_is(v, "skep.sample", "NICK x");
	json_decref(v);
	v = event("smtp", 0);
	text_is(v, "skep.user", "root");
	text_is(v, "skep.password", "toor");
	json_decref(v);
	end(&pot);
}

static unsigned lie; /* which */

/* Whoever lies is cut off, and nothing of it is told. */
static void liars(void **state)
{
	for (lie = 0; lie < 10; lie++) {
		if (lie) {
			tear_down(state);
			set_up(state);
		}
		record(SINK_REC_MAIL, SINK_SVC_SMTP);
		add(SINK_F_HELO, "bot");
		with_body(mail);
		bool sealed = true;
		switch (lie) {
		case 0:
			r.h.record = SINK_REC_COUNT;
			break;
		case 1:
			r.h.service = SINK_SVC_COUNT;
			break;
		case 2:
			r.h.family = 5;
			break;
		case 3:
			r.b[0] = SINK_F_COUNT;
			break;
		case 4:
			r.b[2] = 200; /* longer than there is */
			break;
		case 5:
			r.h.ntexts++;
			break;
		case 6:
			r.h.kept = r.h.body = SINK_BODY_MAX + 1;
			break;
		case 7:
			r.h.kept--; /* not what the memfd holds */
			break;
		case 8:
			sealed = false;
			break;
		default:
			r.n += 3; /* something behind the texts */
		}
		send_record(mail, sealed);
		quit();
		json_t *v = event("smtp", 0);
		if (v)
			fail_msg("lie %u was told", lie);
		v = event("evidence", 1);
		assert_non_null(v);
		text_is(v, "evidence.eventid", "skep.evidence.protocol");
		json_decref(v);
	}
}

/* ---- DNS -------------------------------------------------------------------------- */

static void dns(struct gateway *g, struct ring_dns *d, const char *name)
{
	d->name = (uint8_t)strlen(name);
	uint8_t *p = ring_reserve(&g->w, RING_DNS, g->port, ev_realtime(), sizeof(*d) + d->name);
	assert_non_null(p);
	memcpy(p, d, sizeof(*d));
	memcpy(p + sizeof(*d), name, d->name);
	ring_publish(&g->w);
}

static struct ring_dns a_question(void)
{
	struct ring_dns d = { .flow = 9,
			      .id = 4711,
			      .qtype = 1,
			      .family = 4,
			      .src_port = 40000,
			      .dst_port = 53,
			      .flags = 0x100,
			      .reason = REASON_OUTBOUND };
	memcpy(d.src, "\300\0\2\12", 4);
	memcpy(d.dst, "\306\63\144\7", 4);
	return d;
}

static void dns_events(void **state)
{
	(void)state;
	struct gateway g = gateway(0, "web");
	struct ring_dns d = a_question();
	dns(&g, &d, "www.example.org");
	memcpy(d.src, "\306\63\144\7", 4);
	memcpy(d.dst, "\300\0\2\12", 4);
	d.src_port = 53;
	d.dst_port = 40000;
	d.answer = 1;
	d.flags = 0x8180;
	d.nanswers = 2;
	d.answers[0].family = 4;
	d.answers[0].ttl = 60;
	memcpy(d.answers[0].addr, "\313\0\161\5", 4);
	d.answers[1].family = 6;
	d.answers[1].addr[15] = 1;
	dns(&g, &d, "www.example.org");
	quit();
	json_t *v = event("dns", 0);
	number_is(v, "flow_id", 9);
	text_is(v, "dns.type", "query");
	number_is(v, "dns.id", 4711);
	text_is(v, "dns.rrname", "www.example.org");
	text_is(v, "dns.rrtype", "A");
	text_is(v, "skep.honeypot", "web");
	json_t *w = event("dns", 1);
	text_is(w, "dns.type", "answer");
	text_is(w, "dns.rcode", "NOERROR");
	text_is(w, "dns.grouped.A.0", "203.0.113.5");
	text_is(w, "dns.answers.1.rrtype", "AAAA");
	/* Both in the asker's direction. */
	text_is(w, "src_ip", "192.0.2.10");
	number_is(w, "dest_port", 53);
	text_is(w, "community_id", json_string_value(at(v, "community_id")));
	json_decref(v);
	json_decref(w);
	end(&g);
}

static void dns_liars(void **state)
{
	for (lie = 0; lie < 5; lie++) {
		if (lie) {
			tear_down(state);
			set_up(state);
		}
		struct gateway g = gateway(0, "web");
		struct ring_dns d = a_question();
		const char *name = "www.example.org";
		if (lie == 0)
			d.family = 7;
		else if (lie == 1)
			d.nanswers = DNS_ANSWERS_MAX + 1;
		else if (lie == 2)
			name = "a\x1b[2J";
		else if (lie == 3)
			d.verdict = VERDICT_COUNT;
		else
			d.nanswers = 1; /* of no family */
		dns(&g, &d, name);
		quit();
		assert_null(event("dns", 0));
		assert_int_equal(ring_stopped(&g.w) != 0, 1);
		end(&g);
	}
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(a_mail), T(requests), T(liars), T(dns_events), T(dns_liars) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
