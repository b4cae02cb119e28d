/* SPDX-License-Identifier: ISC */
/*
 * skep events, flows and pcap on an evidence directory made here: filters,
 * merging, cut and damaged files, hostile text, following over a rotation.
 */
#include "base/json.h"
#include "proc/evidence/eve.h"
#include "proc/evidence/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define T0 1767225600000000000ull /* 2026-01-01T00:00:00Z */
#define SECOND 1000000000ull

static char dir[64], text[1 << 16];

static void make(const char *name, const void *p, size_t n, int flags)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

/* Runs skep with "$S" and "$D" (the directory); both outputs in text. Returns
 * the exit status. */
static int run(const char *script)
{
	setenv("S", getenv("SKEP"), 1);
	setenv("D", dir, 1);
	FILE *p = popen(script, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = 0;
	int r = pclose(p);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static unsigned lines(const char *with)
{
	unsigned n = 0;
	for (char *l = text, *end; *l; l = end + 1) {
		end = strchr(l, '\n');
		if (!end)
			break;
		*end = 0;
		n += strstr(l, with) != NULL;
		*end = '\n';
	}
	return n;
}

static const uint8_t syn[] = { 2, 0,  0, 0, 0,  1, 2, 0, 0,   0, 0,    2,  8,   0,  0x45, 0, 0, 40,
			       0, 1,  0, 0, 64, 6, 0, 0, 192, 0, 2,    10, 198, 51, 100,  7, 4, 1,
			       0, 23, 0, 0, 0,  1, 0, 0, 0,   0, 0x50, 2,  0,   0,  0,    0, 0, 0 };

static size_t packet(uint8_t *b, uint32_t interface, uint64_t time, const char *comment)
{
	struct pcapng_packet p = { .interface = interface,
				   .time = time,
				   .caplen = sizeof(syn),
				   .wirelen = sizeof(syn),
				   .data = syn,
				   .dir = PCAPNG_INBOUND,
				   .id = 1,
				   .comment = comment };
	return pcapng_epb(b, 1024, &p);
}

static void make_packets(void)
{
	static uint8_t b[8192];
	struct pcapng_if web = { .name = "web" }, db = { .name = "db" };
	size_t n = pcapng_shb(b, 512, NULL, NULL, "test");
	n += pcapng_idb(b + n, 512, &web);
	n += packet(b + n, 0, T0, "verdict=forward reason=outbound flow=1 out=uplink-dmz seq=1");
	n += packet(b + n, 0, T0 + SECOND, "verdict=drop reason=limit-tcp flow=1 seq=2");
	make("packets/000001.pcapng", b, n, O_TRUNC);
	/* The same ports under other numbers, and a cut tail. */
	n = pcapng_shb(b, 512, NULL, NULL, "test");
	n += pcapng_idb(b + n, 512, &db);
	n += pcapng_idb(b + n, 512, &web);
	n += packet(b + n, 0, T0 + 2 * SECOND, "verdict=forward reason=lateral out=web seq=1");
	n += packet(b + n, 1, T0 + 3 * SECOND, "verdict=drop reason=spoofed-mac seq=3");
	size_t whole = n;
	n += packet(b + n, 1, T0 + 4 * SECOND, "verdict=drop reason=spoofed-mac seq=4");
	make("packets/000003.pcapng", b, whole + (n - whole) / 2, O_TRUNC);
}

static const char *port_name(void *arg, uint16_t port)
{
	(void)arg;
	return port == 0 ? "web" : port == 1 ? "db" : NULL;
}

static const char *port_network(void *arg, uint16_t port)
{
	(void)arg;
	(void)port;
	return "dmz";
}

static const struct eve eve = {
	.honeynet = "demo", .sensor = "host", .port_name = port_name, .port_network = port_network
};

static void add_flow(struct json *j, uint16_t slot, uint16_t dport, uint8_t verdict, uint8_t reason, uint64_t t)
{
	struct ring_flow f = { .id = 9,
			       .start = t,
			       .last = t,
			       .pkts_toserver = 2,
			       .bytes_toserver = 120,
			       .dropped_toserver = verdict ? 3 : 0,
			       .src_slot = slot,
			       .dst_slot = PORT_UPLINK(0),
			       .src_port = 1025,
			       .dst_port = dport,
			       .family = 4,
			       .proto = 6,
			       .state = FLOW_CLOSED,
			       .end = FLOW_END_CLOSED,
			       .verdict = verdict,
			       .reason = reason,
			       .player = RING_NO_PORT,
			       .src = { 192, 0, 2, 10 },
			       .dst = { 198, 51, 100, 7 } };
	eve_flow(&eve, j, &f, "", t);
}

static void make_events(void)
{
	static char b[16384];
	struct json j;
	json_init(&j, b, sizeof(b));
	add_flow(&j, 0, 80, VERDICT_FORWARD, REASON_OUTBOUND, T0);
	add_flow(&j, 0, 80, VERDICT_FORWARD, REASON_OUTBOUND, T0 + SECOND);
	add_flow(&j, 1, 23, VERDICT_DROP, REASON_LIMIT_TCP, T0 + 2 * SECOND);
	struct ev_event v = { .type = "machine",
			      .eventid = "skep.machine.panic",
			      .honeypot = "web",
			      .message = "a\x1b[2Jb\xe2\x80\xae" };
	eve_event(&eve, &j, &v, "vmm", T0 + 3 * SECOND);
	assert_false(j.full);
	make("events/000001.json", b, j.n, O_TRUNC);
	static const char bad[] = "{\"not\": json}\n{\"cut";
	make("events/000001.json", bad, sizeof(bad) - 1, O_APPEND);
	json_init(&j, b, sizeof(b));
	eve_begin(&eve, &j, "stats", T0 + 4 * SECOND);
	json_obj(&j, "stats");
	json_arr(&j, "ports");
	json_obj(&j, NULL);
	json_str(&j, "port", "web");
	json_u64(&j, "frames", 12);
	json_obj(&j, "forward");
	json_u64(&j, "outbound", 5);
	json_end(&j);
	json_obj(&j, "drop");
	json_u64(&j, "limit-tcp", 7);
	eve_end(&j);
	make("events/000002.json", b, j.n, O_TRUNC);
}

static int setup(void **state)
{
	char sub[96];
	struct err e;
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/skep-read-XXXXXX");
	if (!mkdtemp(dir) || sodium_init() < 0 || eve_init(&e) < 0)
		return -1;
	snprintf(sub, sizeof(sub), "%s/packets", dir);
	mkdir(sub, 0700);
	snprintf(sub, sizeof(sub), "%s/events", dir);
	mkdir(sub, 0700);
	make_packets();
	make_events();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run("rm -rf $D");
	return 0;
}

static void test_pcap_text(void **state)
{
	(void)state;
	assert_int_equal(run("$S pcap --dir $D 2>&1"), 0);
	assert_int_equal(lines("TCP 192.0.2.10:1025 > 198.51.100.7:23 [S] 54"), 4);
	/* The last file may just be written: only what has a successor is cut. */
	assert_int_equal(lines("cut frame"), 0);
	assert_int_equal(lines("2026-01-01T00:00:01.000000Z  web           in   drop      limit-tcp       -"), 1);
	assert_int_equal(run("$S pcap --dir $D --verdict drop 2>/dev/null"), 0);
	assert_int_equal(lines("TCP "), 2);
	assert_int_equal(run("$S pcap --dir $D --reason lateral 2>/dev/null"), 0);
	assert_int_equal(lines("TCP "), 1);
	/* A honeypot's frames, and those that were sent to it. */
	assert_int_equal(run("$S pcap --dir $D -H web 2>/dev/null"), 0);
	assert_int_equal(lines("TCP "), 4);
	assert_int_equal(run("$S pcap --dir $D -H db 2>/dev/null"), 0);
	assert_int_equal(lines("TCP "), 1);
	assert_int_equal(run("$S pcap --dir $D --since 2026-01-01T00:00:02Z --until 2026-01-01T00:00:03Z 2>/dev/null"),
			 0);
	assert_int_equal(lines("TCP "), 1);
	assert_int_equal(run("$S pcap --dir $D -n 1 --json 2>/dev/null"), 0);
	assert_int_equal(lines("\"seq\":3"), 1);
	assert_int_equal(run("$S pcap --dir $D --reason nonsense 2>&1"), 2);
	assert_int_equal(lines("there is no \"nonsense\"; there are none, inbound"), 1);
	uint8_t b[512];
	make("packets/000004.pcapng", b, pcapng_shb(b, sizeof(b), NULL, NULL, "test"), O_TRUNC);
	assert_int_equal(run("$S pcap --dir $D 2>&1"), 0);
	assert_int_equal(lines("TCP "), 4);
	assert_int_equal(lines("1 files end with a cut frame"), 1);
	assert_int_equal(run("$S pcap --dir $D/none 2>&1"), 1);
	assert_int_equal(lines("cannot open the evidence directory"), 1);
}

static void test_pcap_merge(void **state)
{
	(void)state;
	assert_int_equal(run("$S pcap --dir $D -w $D/out.pcapng 2>&1"), 0);
	assert_int_equal(lines("4 frames in"), 1);
	if (run("command -v tshark") != 0) {
		print_message("# tshark is not installed: skipped\n");
		return;
	}
	assert_int_equal(run("HOME=/tmp tshark -n -r $D/out.pcapng -T fields -e frame.interface_name -e frame.comment "
			     "2>&1 | grep -v '^Running as user'"),
			 0);
	assert_string_equal(text, "web\tverdict=forward reason=outbound flow=1 out=uplink-dmz seq=1\n"
				  "web\tverdict=drop reason=limit-tcp flow=1 seq=2\n"
				  "db\tverdict=forward reason=lateral out=web seq=1\n"
				  "web\tverdict=drop reason=spoofed-mac seq=3\n");
	assert_int_equal(run("capinfos -I $D/out.pcapng | grep -c 'Name ='"), 0);
	assert_string_equal(text, "2\n");
}

static void test_pcap_damaged(void **state)
{
	(void)state;
	uint8_t junk[64];
	memset(junk, 0xa5, sizeof(junk));
	make("packets/000002.pcapng", junk, sizeof(junk), O_TRUNC);
	assert_int_equal(run("$S pcap --dir $D 2>&1"), 1);
	/* The files before and after it are read. */
	assert_int_equal(lines("TCP "), 4);
	assert_int_equal(lines("1 files are damaged"), 1);
}

static void test_events(void **state)
{
	(void)state;
	assert_int_equal(run("$S events --dir $D 2>&1"), 0);
	assert_int_equal(lines("2026-01-01T00:00:0"), 5);
	assert_int_equal(lines("2 broken lines were left out"), 1);
	assert_int_equal(lines("machine.panic"), 1);
	assert_int_equal(lines("12 frames recorded, 7 of them stopped"), 1);
	assert_null(strchr(text, '\x1b'));
	assert_null(strstr(text, "\xe2\x80\xae"));
	assert_int_equal(run("$S events --dir $D --type machine 2>/dev/null"), 0);
	assert_int_equal(lines("2026-"), 1);
	assert_int_equal(run("$S events --dir $D -H db 2>/dev/null"), 0);
	assert_int_equal(lines("2026-"), 1);
	assert_int_equal(run("$S events --dir $D --json -n 2 2>/dev/null"), 0);
	assert_int_equal(lines("{\"timestamp\""), 2);
	assert_int_equal(lines("\"event_type\":\"stats\""), 1);
}

/* Who played, and which rule decided. */
static void test_flows_played(void **state)
{
	(void)state;
	char b[4096];
	struct json j;
	struct ring_flow f = { .id = 10,
			       .start = T0,
			       .last = T0,
			       .src_slot = 0,
			       .dst_slot = RING_NO_PORT,
			       .src_port = 1025,
			       .dst_port = 25,
			       .family = 4,
			       .proto = 6,
			       .verdict = VERDICT_REFLECT,
			       .reason = REASON_RULE,
			       .rule = 4,
			       .player = 1,
			       .player_sport = 1025,
			       .player_dport = 25,
			       .src = { 192, 0, 2, 10 },
			       .dst = { 198, 51, 100, 7 } };
	json_init(&j, b, sizeof(b));
	eve_flow(&eve, &j, &f, "spam", T0);
	make("events/000003.json", b, j.n, O_TRUNC);
	assert_int_equal(run("$S flows --dir $D --verdict reflect 2>/dev/null"), 0);
	assert_int_equal(lines("reflect:db"), 1);
	assert_int_equal(lines("rule:spam"), 1);
	assert_int_equal(lines("2026-"), 1);
	assert_int_equal(
	    run("$S flows --dir $D --summary 2>/dev/null | tr -s ' ' | grep -n 'web outbound\\|db outbound'"), 0);
	assert_int_equal(lines("reflect:db web outbound TCP 25 rule:spam 1"), 1);
	/* by strictness: forward, reflect, drop */
	assert_true(strstr(text, "forward web") < strstr(text, "reflect:db"));
	assert_true(strstr(text, "reflect:db") < strstr(text, "drop db"));
	assert_int_equal(run("$S flows --dir $D --summary --json 2>/dev/null"), 0);
	assert_non_null(strstr(text, "\"player\""));
	assert_int_equal(run("rm $D/events/000003.json"), 0);
}

static void test_flows(void **state)
{
	(void)state;
	assert_int_equal(run("$S flows --dir $D 2>/dev/null"), 0);
	assert_int_equal(lines("2026-"), 3);
	assert_int_equal(run("$S flows --dir $D --verdict drop 2>/dev/null"), 0);
	assert_int_equal(lines("198.51.100.7:23"), 1);
	assert_int_equal(lines("2026-"), 1);
	assert_int_equal(run("$S flows --dir $D --summary 2>/dev/null"), 0);
	assert_int_equal(lines("forward  outbound        5"), 1);
	assert_int_equal(lines("drop     limit-tcp       7"), 1);
	assert_int_equal(run("$S flows --dir $D --summary 2>/dev/null | tr -s ' '"), 0);
	assert_int_equal(lines("forward web outbound TCP 80 outbound 2 4 240 0"), 1);
	assert_int_equal(lines("drop db outbound TCP 23 limit-tcp 1 2 120 3"), 1);
}

/* Waits until the child has printed `want` more bytes than before. */
static bool wait_for(int fd, const char *want)
{
	static size_t n;
	n = 0;
	for (int i = 0; i < 100; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (poll(&p, 1, 100) <= 0)
			continue;
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);
		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = 0;
		if (strstr(text, want))
			return true;
	}
	return false;
}

static void test_follow(void **state)
{
	(void)state;
	int p[2];
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		close(p[0]);
		execl(getenv("SKEP"), "skep", "events", "--dir", dir, "--json", "--follow", "-q", (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	assert_true(wait_for(p[0], "\"stats\""));
	char b[512];
	struct json j;
	struct ev_event v = { .type = "operator", .eventid = "skep.one", .message = "half of a line first" };
	json_init(&j, b, sizeof(b));
	eve_event(&eve, &j, &v, "super", T0);
	make("events/000002.json", b, 40, O_APPEND);
	usleep(300000);
	make("events/000002.json", b + 40, j.n - 40, O_APPEND);
	assert_true(wait_for(p[0], "skep.one"));
	assert_int_equal(lines("{\"timestamp\""), 1);
	/* Over a rotation. */
	snprintf(v.eventid, sizeof(v.eventid), "skep.two");
	json_init(&j, b, sizeof(b));
	eve_event(&eve, &j, &v, "super", T0);
	make("events/000003.json", b, j.n, O_TRUNC);
	assert_true(wait_for(p[0], "skep.two"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(p[0]);
}

/* A pipe that is closed ends the command without a word. */
static void test_closed_pipe(void **state)
{
	(void)state;
	assert_int_equal(run("{ { sleep 0.3; $S pcap --dir $D 2>&3; } | :; } 3>&1 >/dev/null"), 0);
	assert_string_equal(text, "");
}

int main(void)
{
	if (!getenv("SKEP"))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pcap_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pcap_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows_played, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_pipe, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
