/* SPDX-License-Identifier: ISC */
/* Ports of kind PACKET on real interfaces: two veth pairs in a network namespace
 * that this process makes for itself. */
#include "tests.h"

#include "gwproc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct gateway *g;
static struct ring_reader rings[2];
static int far[2]; /* the other ends' sockets: [0] the honeypot's, [1] the uplink's */
static const char *const near_name[2] = { "pot0", "up0" };
static const char *const far_name[2] = { "pot1", "up1" };
static const uint16_t ids[2] = { 0, WORLD_UPLINK };

static int ip(const char *args)
{
	char cmd[256];
	snprintf(cmd, sizeof(cmd), "PATH=/usr/sbin:/sbin:$PATH ip %s", args);
	return system(cmd);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		print_message("# %s: %s\n", path, strerror(errno));
	close(fd);
}

static bool own_network(void)
{
	char map[32];
	unsigned uid = getuid(), gid = getgid();
	if (uid && unshare(CLONE_NEWUSER) < 0)
		return false;
	if (uid) {
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put("/proc/self/gid_map", map);
	}
	return unshare(CLONE_NEWNET) == 0;
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void add_port(unsigned i)
{
	struct err e = { 0 };
	struct gw_port conf = gwproc_conf(ids[i], PORT_PACKET);
	int ring = ring_create(WORLD_RING, &e), wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(ring_reader_open(&rings[i], ring, &e), 0);
	int r = gateway_port_add(g, &conf, NULL, packet_socket(near_name[i]), ring, wake, &e);
	if (r)
		print_message("# %s\n", e.text);
	assert_int_equal(r, 0);
	close(ring);
	far[i] = packet_socket(far_name[i]);
}

static int set_up(void **state)
{
	(void)state;
	struct policy open_policy = { .outbound = { { LIMIT_UNLIMITED, 0 }, { LIMIT_UNLIMITED, 0 } } };
	struct gw_policy_entry entry = { .port = 0, .policy = open_policy };
	char cmd[160];
	for (unsigned i = 0; i < 2; i++) {
		snprintf(cmd, sizeof(cmd), "link add %s mtu 9000 type veth peer name %s mtu 9000", near_name[i],
			 far_name[i]);
		assert_int_equal(ip(cmd), 0);
		for (unsigned k = 0; k < 2; k++) {
			const char *name = k ? near_name[i] : far_name[i];
			snprintf(cmd, sizeof(cmd), "link set %s addrgenmode none up", name);
			assert_int_equal(ip(cmd), 0);
		}
	}
	usleep(100000); /* until the carrier is there */
	g = gateway_new(NULL, NULL);
	assert_non_null(g);
	add_port(0);
	add_port(1);
	assert_int_equal(policies_swap(&g->policies, NULL, &entry, 1, 1, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gateway_free(g);
	for (unsigned i = 0; i < 2; i++) {
		char cmd[64];
		ring_reader_close(&rings[i]);
		close(far[i]);
		snprintf(cmd, sizeof(cmd), "link del %s", near_name[i]);
		if (if_nametoindex(near_name[i]))
			ip(cmd);
	}
	return 0;
}

static void turn(unsigned i)
{
	struct port *p = gateway_port(g, ids[i]);
	struct pollfd w = { .fd = p->fd, .events = POLLIN };
	poll(&w, 1, 200);
	while (gateway_receive(g, p, EPOLLIN))
		;
}

/* number: of the frame, in its source port */
static size_t make(uint8_t *out, bool from_pot, unsigned payload, uint16_t vlan, unsigned number)
{
	struct craft in = {
		IN, .proto = 17, .sport = (uint16_t)(4000 + number), .dport = 5000, .payload = payload, .vlan = vlan
	};
	struct craft to = { OUT,           .proto = 17,        .sport = (uint16_t)(4000 + number),
			    .dport = 5000, .payload = payload, .vlan = vlan };
	return craft(from_pot ? &to : &in, out);
}

/* The next record of a frame, as it was captured. */
static size_t captured(unsigned i, struct ring_frame *f, const uint8_t **bytes)
{
	struct ring_entry h;
	const uint8_t *p;
	while (ring_next(&rings[i], &h, &p) == 1) {
		if (h.kind != RING_FRAME)
			continue;
		memcpy(f, p, sizeof(*f));
		*bytes = p + sizeof(*f);
		return f->caplen;
	}
	return 0;
}

/* Frames of every size go through as they are and in their order, many in one batch. */
static void frames_pass(void **state)
{
	static uint8_t out[CRAFT_MAX], in[CRAFT_MAX];
	enum { N = 60 };
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned from = 1; from < 2; from--) {
			for (unsigned k = 0; k < N; k++) {
				size_t n = make(out, from == 0, k * 24, 0, 0);
				assert_int_equal(send(far[from], out, n, 0), n);
			}
			turn(from);
			for (unsigned k = 0; k < N; k++) {
				size_t n = make(out, from == 0, k * 24, 0, 0);
				ssize_t got = recv(far[!from], in, sizeof(in), 0);
				assert_int_equal(got, n);
				assert_memory_equal(in, out, n);
			}
			assert_int_equal(recv(far[!from], in, sizeof(in), 0), -1);
		}
	}
	assert_int_equal(gateway_port(g, WORLD_UPLINK)->stats.frames_out, 2 * N);
	assert_int_equal(gateway_port(g, 0)->stats.frames_out, 2 * N);
}

/* What is longer than an entry of the kernel's ring arrives whole all the same. */
static void long_frames(void **state)
{
	static uint8_t out[CRAFT_MAX], in[CRAFT_MAX];
	(void)state;
	for (unsigned k = 0; k < 20; k++) {
		size_t n = make(out, false, k % 3 ? 8900 : 100, 0, k);
		assert_int_equal(send(far[1], out, n, 0), n);
	}
	turn(1);
	for (unsigned k = 0; k < 20; k++) {
		size_t n = make(out, false, k % 3 ? 8900 : 100, 0, k);
		assert_int_equal(recv(far[0], in, sizeof(in), 0), n);
		assert_memory_equal(in, out, n);
	}
}

/* The kernel keeps the tag beside the frame; here it must not look untagged. */
static void tags(void **state)
{
	static uint8_t out[CRAFT_MAX], in[CRAFT_MAX];
	const uint8_t *bytes;
	struct ring_frame f;
	(void)state;
	size_t n = make(out, true, 40, 7, 0);
	assert_int_equal(send(far[0], out, n, 0), n);
	turn(0);
	assert_int_equal(captured(0, &f, &bytes), n);
	assert_memory_equal(bytes, out, n);
	assert_int_equal(f.reason, REASON_VLAN);
	assert_int_equal(f.verdict, VERDICT_DROP);
	assert_int_equal(recv(far[1], in, sizeof(in), 0), -1);
	n = make(out, false, 8000, 0xfff, 0);
	assert_int_equal(send(far[1], out, n, 0), n);
	turn(1);
	assert_int_equal(captured(1, &f, &bytes), n);
	assert_memory_equal(bytes, out, n);
	assert_int_equal(f.reason, REASON_VLAN);
}

/* More than the kernel's ring holds: the ring goes round, nothing is doubled. */
static void round_and_round(void **state)
{
	static uint8_t out[CRAFT_MAX], in[CRAFT_MAX];
	unsigned got = 0;
	(void)state;
	for (unsigned k = 0; k < 10000; k++) {
		size_t n = make(out, false, 60, 0, k);
		assert_int_equal(send(far[1], out, n, 0), n);
		if (k % 50)
			continue;
		turn(1);
		for (ssize_t r; (r = recv(far[0], in, sizeof(in), 0)) > 0; got++) {
			assert_int_equal(in[34] << 8 | in[35], 4000 + got);
		}
		struct ring_frame f;
		const uint8_t *bytes;
		while (captured(1, &f, &bytes))
			;
		ring_release(&rings[1]);
	}
	assert_in_range(got, 9900, 10000);
}

static void interface_gone(void **state)
{
	(void)state;
	assert_int_equal(ip("link del up0"), 0);
	turn(1);
	turn(1);
	assert_true(gateway_port(g, WORLD_UPLINK)->down);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tags, set_up, tear_down),
		cmocka_unit_test_setup_teardown(round_and_round, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interface_gone, set_up, tear_down),
	};
	if (!own_network()) {
		puts("1..0 # SKIP no network namespaces here");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
