/* SPDX-License-Identifier: ISC */
/*
 * How many records a second the evidence process takes: the real process, with
 * this program as super and as gateway. Usage:
 *   evidence_bench SKEP [DIR [SECONDS [RATE [BYTES]]]]
 * RATE records a second with BYTES of frame each, paced in milliseconds over two
 * ports with rings of 8 MiB; RATE 0: as fast as the rings take them. Prints what was
 * taken, what found no room, the process's CPU time for each record, and the
 * longest time until an EV_FILE was acknowledged (it waits for the disk).
 * Exit status 1 if RATE was given and anything found no room.
 *   evidence_bench --intro SKEP [SECONDS [RATE]]
 * The same for records of an introspect process: batches as it sends them, each of
 * 100 records of which 80 are pieces of terminals and 20 become events. A full
 * socket makes the sender wait, as the real one does; exit status 1 if less than
 * 99% of RATE was reached.
 */
#include "base/ev.h"
#include "proto/hook.h"
#include "proto/intro.h"
#include "evproc.h"
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 2, RING = 8 << 20 };

static struct evproc ev;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int put(struct ring_writer *w, uint16_t port, uint32_t len, uint64_t now)
{
	uint8_t *p = ring_reserve(w, RING_FRAME, port, now, sizeof(struct ring_frame) + len);
	if (!p)
		return 0;
	struct ring_frame f = { .caplen = len,
				.wirelen = len,
				.dir = FRAME_IN,
				.reason = REASON_OUTBOUND,
				.out_port = PORT_UPLINK(0),
				.rule = RULE_NONE,
				.flow = 7400000000000000ull };
	memcpy(p, &f, sizeof(f));
	memset(p + sizeof(f), 0x5a, len);
	memcpy(p + sizeof(f) + 12, "\x08\x00\x45", 3);
	ring_publish(w);
	return 1;
}

/* ---- records of an introspect process ------------------------------------- */

struct batch {
	struct ev_intro head;
	uint8_t b[30000];
};
enum { BATCH = 100, TTYS = 80 };

static size_t record(uint8_t *p, uint64_t seq, unsigned kind, const void *payload, size_t n)
{
	struct intro_rec r = { .len = (uint32_t)(sizeof(r) + n),
			       .kind = (uint16_t)kind,
			       .seq = seq,
			       .time = ev_realtime(),
			       .session = 0x123456789abc,
			       .pid = 400,
			       .comm = "bash" };
	memset(p, 0, (r.len + 7) & ~7u);
	memcpy(p, &r, sizeof(r));
	memcpy(p + sizeof(r), payload, n);
	return (r.len + 7) & ~7u;
}

static size_t fill(struct batch *x, uint64_t *seq)
{
	static const char line[] = "\1\0\0\0drwxr-xr-x 2 root root 4096 Nov 23 12:00 etc\r\n",
			  exec[] = "\0\0\0\0\2\0\0\0/usr/bin/uname\0/root\0uname\0-a",
			  file[] = "\0\0\0\0\1\0\0\0/tmp/a\0";
	struct hook_socket s = { .op = HOOK_CONNECT, .proto = 6, .family = 4, .local_port = 4000, .peer_port = 80 };
	size_t at = 0;
	x->head = (struct ev_intro){ .n = BATCH };
	for (int i = 0; i < TTYS; i++)
		at += record(x->b + at, ++*seq, INTRO_TTY, line, sizeof(line) - 1);
	for (int i = 0; i < (BATCH - TTYS) / 4; i++) {
		at += record(x->b + at, ++*seq, INTRO_EXEC, exec, sizeof(exec));
		at += record(x->b + at, ++*seq, INTRO_FILE, file, sizeof(file));
		at += record(x->b + at, ++*seq, INTRO_SOCKET, &s, sizeof(s));
		at += record(x->b + at, ++*seq, INTRO_EXIT, "\0\0\0\0", 4);
	}
	return sizeof(x->head) + at;
}

static int intro(int argc, char **argv)
{
	static struct batch x;
	char dir[] = "/tmp/skep-bench-XXXXXX", junk[64];
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	uint64_t rate = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000, seq = 0;
	int pair[2], dirfd = mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1, status;
	if (dirfd < 0 || msg_pair(pair, NULL) < 0)
		die(dir);
	evproc_start(&ev, argv[0], dirfd);
	struct ev_conf c = { .honeynet = "bench", .version = SKEP_VERSION, .conf = { .rotate_bytes = 256 << 20 } };
	evproc_ask(&ev, MSG_EV_CONF, &c, sizeof(c), NULL, 0);
	struct ev_source_add a = { .role = ROLE_INTROSPECT, .honeypot = "web" };
	evproc_ask(&ev, MSG_EV_SOURCE, &a, sizeof(a), &pair[0], 1);
	close(pair[0]);
	struct chan out = { .fd = pair[1], .self = ROLE_INTROSPECT, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	uint64_t begin = ev_monotonic(), end = begin + (uint64_t)(seconds * 1e9), waited = 0, bytes = 0;
	for (uint64_t now = begin; now < end; now = ev_monotonic()) {
		while (!rate || (double)seq < (double)(now - begin) * (double)rate / 1e9) {
			size_t n = fill(&x, &seq);
			int r = msg_send(&out, MSG_EV_INTRO, 0, &x, n, NULL, 0);
			waited += r == -EAGAIN;
			if (r == -EAGAIN)
				r = msg_send_wait(&out, MSG_EV_INTRO, 0, &x, n, NULL, 0, 10000);
			if (r < 0)
				die("send");
			bytes += n;
			if (!rate && ev_monotonic() > end)
				break;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	double wall = (double)(ev_monotonic() - begin) / 1e9;
	chan_close(&out);
	uint32_t zero = 0;
	evproc_ask(&ev, MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0);
	struct rusage ru;
	wait4(ev.pid, &status, 0, &ru);
	double cpu = (double)ru.ru_utime.tv_sec + (double)ru.ru_stime.tv_sec +
		     (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	printf("%llu records of introspection in %.2f s: %.0f/s (%.1f MB/s), the sender waited %llu times, %.0f CPU-ns "
	       "each, exit %d\n",
	       (unsigned long long)seq, wall, (double)seq / wall, (double)bytes / wall / 1e6,
	       (unsigned long long)waited, cpu * 1e9 / (double)seq, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	snprintf(junk, sizeof(junk), "rm -rf %s", dir);
	if (system(junk)) {
		/* It stays in /tmp. */
	}
	return (double)seq / wall < 0.99 * (double)rate || status ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--intro"))
		return intro(argc - 2, argv + 2);
	if (argc < 2) {
		fprintf(stderr, "usage: evidence_bench SKEP [DIR [SECONDS [RATE [BYTES]]]]\n");
		return 2;
	}
	char made[] = "/tmp/skep-bench-XXXXXX", junk[64];
	const char *dir = argc > 2 && *argv[2] ? argv[2] : mkdtemp(made);
	double seconds = argc > 3 ? atof(argv[3]) : 5;
	uint64_t rate = argc > 4 ? strtoull(argv[4], NULL, 10) : 100000;
	uint32_t bytes = argc > 5 ? (uint32_t)atoi(argv[5]) : 200;
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		die(dir);
	evproc_start(&ev, argv[1], dirfd);
	struct ev_conf c = { .honeynet = "bench", .version = SKEP_VERSION, .conf = { .rotate_bytes = 256 << 20 } };
	evproc_ask(&ev, MSG_EV_CONF, &c, sizeof(c), NULL, 0);
	struct ring_writer w[PORTS];
	for (uint16_t i = 0; i < PORTS; i++) {
		int fd = ring_create(RING, NULL), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0 || ring_writer_open(&w[i], fd, wake, NULL) < 0)
			die("ring");
		struct ev_ring r = { .port = i ? PORT_UPLINK(0) : 0, .uplink = i > 0 };
		snprintf(r.name, sizeof(r.name), i ? "uplink-dmz" : "web");
		snprintf(r.network, sizeof(r.network), "dmz");
		evproc_ask(&ev, MSG_EV_RING, &r, sizeof(r), (int[]){ fd, wake }, 2);
	}
	int file = memfd_create("f", MFD_CLOEXEC);
	if (write(file, "x", 1) != 1)
		die("memfd");
	struct ev_file f = { .name = "ping", .size = 1 };
	uint64_t begin = ev_monotonic(), end = begin + (uint64_t)(seconds * 1e9), sent = 0, refused = 0, worst = 0;
	uint64_t asked = 0, next_ask = begin + EV_SEC / 2;
	for (uint64_t now = begin; now < end; now = ev_monotonic()) {
		uint64_t due = rate ? (uint64_t)((double)(now - begin) * (double)rate / 1e9) : sent + refused + 512;
		uint64_t stamp = ev_realtime();
		while (sent + refused < due && !ring_stopped(&w[0])) {
			unsigned i = sent & 1;
			if (put(&w[i], i ? PORT_UPLINK(0) : 0, bytes, stamp))
				sent++;
			else if (rate)
				refused++;
			else
				break;
		}
		if (!asked && now > next_ask) {
			asked = now;
			msg_send(&ev.chan, MSG_EV_FILE, 2, &f, sizeof(f), &file, 1);
		}
		if (asked && msg_recv(&ev.chan, &ev.msg, NULL) > 0) {
			if (ev.msg.type == MSG_EV_STATE)
				fprintf(stderr, "%s\n", MSG_BODY_AS(&ev.msg, ev_state)->text);
			if (now - asked > worst)
				worst = now - asked;
			asked = 0;
			next_ask = now + EV_SEC / 2;
		}
		struct timespec t = { .tv_nsec = 1000000 };
		nanosleep(&t, NULL);
	}
	if (asked)
		msg_recv_wait(&ev.chan, &ev.msg, 10000, NULL);
	double wall = (double)(ev_monotonic() - begin) / 1e9;
	uint32_t zero = 0;
	evproc_ask(&ev, MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0);
	int status;
	struct rusage ru;
	wait4(ev.pid, &status, 0, &ru);
	double cpu = (double)ru.ru_utime.tv_sec + (double)ru.ru_stime.tv_sec +
		     (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	printf("%llu records of %u bytes in %.2f s: %.0f/s (%.1f MB/s), %llu found no room, %.0f CPU-ns each, "
	       "slowest acknowledgement %.1f ms, exit %d\n",
	       (unsigned long long)sent, bytes, wall, (double)sent / wall, (double)sent * bytes / wall / 1e6,
	       (unsigned long long)refused, cpu * 1e9 / (double)(sent ? sent : 1), (double)worst / 1e6,
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	if (dir == made) {
		snprintf(junk, sizeof(junk), "rm -rf %s", made);
		if (system(junk)) {
			/* It stays in /tmp. */
		}
	}
	return (rate && refused) || status ? 1 : 0;
}
