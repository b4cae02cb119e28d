/* SPDX-License-Identifier: ISC */
/*
 * Other policies while frames come without a pause: none passes unjudged, none is
 * lost from the record, and what was counted stays counted. The real process;
 * argv[1] is the skep binary.
 */
#include "tests.h"

#include "gwproc.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAMES 20000u
#define SWAPS 100u

static const char *skep;
static struct gwproc gw;
static struct ring_reader pot_ring, up_ring;
static int pot, up;
static uint8_t frame[CRAFT_MAX], back[CRAFT_MAX];
static uint32_t generation;
static unsigned answered, refused;

static void pair(int *ours, int *theirs)
{
	int p[2], size = 4 << 20;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
	setsockopt(p[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	*ours = p[0];
	*theirs = p[1];
}

static int set_up(void **state)
{
	(void)state;
	int far;
	struct gw_port c = gwproc_conf(0, PORT_SEQPACKET), u = gwproc_conf(WORLD_UPLINK, PORT_SEQPACKET);
	gwproc_start(&gw, skep);
	pair(&pot, &far);
	assert_int_equal(gwproc_port(&gw, &c, far, 8 << 20, &pot_ring), 0);
	pair(&up, &far);
	assert_int_equal(gwproc_port(&gw, &u, far, 1 << 20, &up_ring), 0);
	answered = refused = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	chan_close(&gw.chan);
	assert_int_equal(gwproc_wait(&gw), 0);
	ring_reader_close(&pot_ring);
	ring_reader_close(&up_ring);
	close(pot);
	close(up);
	return 0;
}

/* Without waiting for the answer. */
static void swap(const struct policy *p, bool broken)
{
	static const struct policy_pool pool;
	struct gw_policy_entry entry = { .port = broken ? MODEL_HONEYPOTS : 0, .policy = *p };
	struct gw_policy body = { .n = 1, .generation = ++generation };
	int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &pool, sizeof(pool)), sizeof(pool));
	assert_int_equal(write(fd, &entry, sizeof(entry)), sizeof(entry));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(msg_send_wait(&gw.chan, MSG_GW_POLICY, ++gw.req, &body, sizeof(body), &fd, 1, 5000), 0);
	close(fd);
}

/* Answers that are there, until so many have come or ms passed. */
static void answers(unsigned want, int ms)
{
	struct err e;
	while (answered < want && msg_recv_wait(&gw.chan, &gw.msg, ms, &e) == 1) {
		if (gw.msg.type != MSG_GW_DONE)
			continue;
		answered++;
		refused += MSG_BODY_AS(&gw.msg, done)->status < 0;
	}
}

static void send_syn(uint32_t number)
{
	/* One conversation each, so that each is decided by itself. */
	struct craft c = { OUT,          .proto = 6,       .sport = (uint16_t)(1024 + number % 60000),
			   .dport = 666, .flags = TCP_SYN, .seq = number + 1,
			   .payload = 0 };
	size_t n = craft(&c, frame);
	assert_int_equal(send(pot, frame, n, MSG_NOSIGNAL), n);
}

static unsigned arrived(int ms)
{
	unsigned n = 0;
	struct pollfd p = { .fd = up, .events = POLLIN };
	while (poll(&p, 1, ms) > 0 && recv(up, back, sizeof(back), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

static unsigned captured, dropped_frames;
static uint64_t last_seq;

/* Reads the honeypot's ring; every frame in it has a verdict. */
static void read_ring(void)
{
	struct ring_entry h;
	const uint8_t *p;
	while (ring_next(&pot_ring, &h, &p) == 1) {
		struct ring_frame f;
		assert_int_equal(h.seq, last_seq + 1);
		last_seq = h.seq;
		if (h.kind != RING_FRAME)
			continue;
		memcpy(&f, p, sizeof(f));
		captured++;
		assert_true(f.reason != REASON_NONE);
		dropped_frames += f.verdict == VERDICT_DROP;
	}
	ring_release(&pot_ring);
}

static void flood_during_reload(void **state)
{
	(void)state;
	/* Two that deny the same in different ways. */
	const struct policy one = { .outbound = { { 0, 0 }, { 5, 60 } } };
	const struct policy two = { .roach_motel = 1, .inbound_deny = 1, .outbound = { { LIMIT_UNLIMITED, 0 } } };
	unsigned sent = 0, leaked = 0;
	captured = dropped_frames = 0;
	last_seq = 0;
	swap(&one, false);
	answers(1, 5000);
	for (unsigned i = 0; i < SWAPS; i++) {
		for (unsigned k = 0; k < FRAMES / SWAPS / 2; k++)
			send_syn(sent++);
		swap(i % 2 ? &one : &two, i % 10 == 9); /* every tenth is refused: the one before stays */
		for (unsigned k = 0; k < FRAMES / SWAPS / 2; k++)
			send_syn(sent++);
		leaked += arrived(0);
		read_ring();
		answers(1 + i, 0);
	}
	answers(1 + SWAPS, 5000);
	assert_int_equal(answered, 1 + SWAPS);
	assert_int_equal(refused, SWAPS / 10);
	for (int i = 0; i < 100 && captured < FRAMES; i++) {
		leaked += arrived(20);
		read_ring();
	}
	assert_int_equal(sent, FRAMES);
	assert_int_equal(captured, FRAMES);
	assert_int_equal(dropped_frames, FRAMES);
	assert_int_equal(leaked + arrived(100), 0);
	print_message("# %u frames, %u policies: 0 passed, %u recorded as dropped\n", sent, SWAPS, dropped_frames);
}

/* New policies buy no new conversations. */
static void counts_stay(void **state)
{
	(void)state;
	const struct policy p = { .outbound = { { 3, 3600 } } };
	swap(&p, false);
	answers(1, 5000);
	send_syn(1);
	send_syn(2);
	assert_int_equal(arrived(300), 2);
	for (unsigned i = 0; i < 5; i++) {
		swap(&p, false);
		answers(2 + i, 5000);
		send_syn(10 + i);
	}
	assert_int_equal(arrived(300), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flood_during_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(counts_stay, set_up, tear_down),
	};
	skep = argc > 1 ? argv[1] : "build/skep";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
