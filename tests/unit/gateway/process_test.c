/* SPDX-License-Identifier: ISC */
/* The real process over its real socket, with a hostile VMM at the other end of
 * the port. argv[1] is the skep binary. */
#include "tests.h"

#include "gwproc.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *skep;
static struct gwproc gw;
static struct ring_reader pot_ring, up_ring;
static int pot, up; /* the far ends */
static uint8_t frame[CRAFT_MAX], back[CRAFT_MAX];

static void pair(int *ours, int *theirs)
{
	int p[2], size = 1 << 20;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
	setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*ours = p[0];
	*theirs = p[1];
}

static int set_up(void **state)
{
	(void)state;
	int far;
	struct gw_policy_entry none = { .port = 0 };
	struct gw_port c = gwproc_conf(0, PORT_SEQPACKET), u = gwproc_conf(WORLD_UPLINK, PORT_SEQPACKET);
	gwproc_start(&gw, skep);
	pair(&pot, &far);
	assert_int_equal(gwproc_port(&gw, &c, far, 1 << 20, &pot_ring), 0);
	pair(&up, &far);
	assert_int_equal(gwproc_port(&gw, &u, far, 1 << 20, &up_ring), 0);
	assert_int_equal(gwproc_policy(&gw, &none, 1), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (gw.chan.fd >= 0) {
		chan_close(&gw.chan); /* super is gone: the gateway ends by itself */
		assert_int_equal(gwproc_wait(&gw), 0);
	}
	ring_reader_close(&pot_ring);
	ring_reader_close(&up_ring);
	close(pot);
	close(up);
	return 0;
}

static size_t receive(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	if (poll(&p, 1, ms) <= 0)
		return 0;
	ssize_t n = recv(fd, back, sizeof(back), MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

static size_t send_craft(int fd, const struct craft *c)
{
	size_t n = craft(c, frame);
	assert_int_equal(send(fd, frame, n, MSG_NOSIGNAL), n);
	return n;
}

static void frames_pass(void **state)
{
	(void)state;
	size_t n = send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53, .payload = 100 });
	assert_int_equal(receive(pot, 2000), n);
	assert_memory_equal(frame, back, n);
	n = send_craft(pot, &(struct craft){ OUT, .proto = 17, .sport = 53, .dport = 4000, .payload = 200 });
	assert_int_equal(receive(up, 2000), n);
	assert_memory_equal(frame, back, n);
	gwproc_events(&gw, 50);
	assert_int_equal(gw.seen, 1); /* once */
	assert_int_equal(gw.seen_port, 0);
	send_craft(pot, &(struct craft){ OUT, .proto = 17, .sport = 53, .dport = 4001, .payload = 200 });
	assert_int_equal(receive(up, 100), 0);
	struct msg_empty empty = { 0 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_STATS, &empty, sizeof(empty), NULL, 0), 0);
	assert_int_equal(gw.seen, 1);
}

static void frozen(void **state)
{
	(void)state;
	struct gw_freeze x = { .port = 0, .frozen = 1 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0), 0);
	send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_int_equal(receive(pot, 200), 0);
	x.frozen = 0;
	assert_int_equal(gwproc_command(&gw, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0), 0);
	size_t n = send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_int_equal(receive(pot, 2000), n);
	x.port = 9;
	assert_int_equal(gwproc_command(&gw, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0), -ENOENT);
}

static void largest_frames(void **state)
{
	(void)state;
	/* 65,535 bytes of IP; then one longer than any frame. */
	size_t n = send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 1, .dport = 2, .payload = 65507 });
	assert_int_equal(n, 65549);
	assert_int_equal(receive(pot, 2000), n);
	assert_memory_equal(frame, back, n);
	memset(frame, 0, sizeof(frame));
	assert_int_equal(send(up, frame, 69000, MSG_NOSIGNAL), 69000);
	n = send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 1, .dport = 2 });
	assert_int_equal(receive(pot, 2000), n);
	struct ring_entry h;
	const uint8_t *payload;
	struct ring_frame r = { 0 };
	assert_int_equal(ring_next(&up_ring, &h, &payload), 1);
	assert_int_equal(ring_next(&up_ring, &h, &payload), 1);
	memcpy(&r, payload, sizeof(r));
	assert_int_equal(r.wirelen, 69000);
	assert_int_equal(r.verdict, VERDICT_DROP);
}

static unsigned fds_of(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	if (!d)
		return 0; /* not ours to look at */
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* File descriptors that a VMM sends along with frames are thrown away. */
static void fd_flood(void **state)
{
	(void)state;
	unsigned before = fds_of(gw.pid);
	size_t n = craft(&(struct craft){ OUT, .proto = 17, .sport = 9, .dport = 9 }, frame);
	for (int i = 0; i < 500; i++) {
		union {
			struct cmsghdr h;
			char buf[CMSG_SPACE(sizeof(int) * 3)];
		} ctl;
		struct iovec iov = { frame, n };
		struct msghdr m = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf)
		};
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		int fds[3] = { 0, 1, 2 };
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(h), fds, sizeof(fds));
		if (sendmsg(pot, &m, MSG_NOSIGNAL) < 0)
			assert_int_equal(errno, EPERM); /* the kernel refuses it already: SO_PASSRIGHTS */
	}
	n = send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_int_equal(receive(pot, 2000), n);
	assert_int_equal(fds_of(gw.pid), before);
}

static void empty_is_not_the_end(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(send(pot, "", 0, MSG_NOSIGNAL), 0);
	send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_true(receive(pot, 2000) > 0);
	gwproc_events(&gw, 50);
	assert_int_equal(gw.down, 0);
}

static void hang_up(void **state)
{
	(void)state;
	send_craft(pot, &(struct craft){ OUT, .proto = 17 });
	shutdown(pot, SHUT_RDWR);
	for (int i = 0; i < 20 && !gw.down; i++)
		gwproc_events(&gw, 50);
	assert_int_equal(gw.down, 1);
	assert_int_equal(gw.down_port, 0);
	send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	usleep(50000);
	struct ring_entry h;
	const uint8_t *payload;
	struct ring_frame r;
	assert_int_equal(ring_next(&up_ring, &h, &payload), 1);
	memcpy(&r, payload, sizeof(r));
	assert_int_equal(r.reason, REASON_NO_PORT);
	struct gw_port_del del = { .port = 0 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT_DEL, &del, sizeof(del), NULL, 0), 0);
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT_DEL, &del, sizeof(del), NULL, 0), -ENOENT);
}

/* A VMM that does not read fills its own socket, and nothing else. */
static void one_that_does_not_read(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++)
		send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53, .payload = 1000 });
	size_t n = send_craft(up, &(struct craft){ .smac = ROUTER_MAC,
						   .dmac = "ff:ff:ff:ff:ff:ff",
						   .arp_op = 1,
						   .src = "192.0.2.1",
						   .dst = "192.0.2.10" });
	(void)n;
	struct msg_empty empty = { 0 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_STATS, &empty, sizeof(empty), NULL, 0), 0);
	unsigned got = 0;
	while (receive(pot, 100))
		got++;
	assert_in_range(got, 10, 19999);
}

static void bad_commands(void **state)
{
	(void)state;
	struct gw_port c = gwproc_conf(1, PORT_SEQPACKET);
	int fds[3] = { open("/dev/null", O_RDWR), ring_create(1 << 16, NULL), eventfd(0, EFD_CLOEXEC) };
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), NULL, 0), -EPROTO);
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EINVAL); /* not a socket */
	int swapped[3] = { fds[0], fds[0], fds[2] };
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), swapped, 3), -EBADMSG); /* not a ring */
	c.port = 0;
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EEXIST);
	c.port = 1;
	memcpy(c.mac, gwproc_conf(0, 0).mac, 6);
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EEXIST);
	c = gwproc_conf(1, PORT_SEQPACKET);
	c.addrs[0].b[3] = 10;
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EEXIST);
	c.port = 60000;
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EINVAL);
	c = gwproc_conf(1, 77);
	assert_int_equal(gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3), -EINVAL);
	struct gw_policy p = { .n = 1 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_POLICY, &p, sizeof(p), fds, 1), -EPERM);
	unsigned before = fds_of(gw.pid);
	for (int i = 0; i < 100; i++)
		gwproc_command(&gw, MSG_GW_PORT, &c, sizeof(c), fds, 3);
	assert_int_equal(fds_of(gw.pid), before); /* what was refused is closed */
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_true(receive(pot, 2000) > 0); /* and all is as before */
}

static unsigned flow_records(unsigned end)
{
	struct ring_entry h;
	const uint8_t *payload;
	struct ring_flow f;
	unsigned n = 0;
	while (ring_next(&pot_ring, &h, &payload) == 1) {
		if (h.kind != RING_FLOW)
			continue;
		memcpy(&f, payload, sizeof(f));
		n += f.end == end;
	}
	return n;
}

/* Its own timer sends what waits; in the real second no more than the bandwidth. */
static void bandwidth(void **state)
{
	(void)state;
	struct gw_policy_entry e = { .port = 0, .policy = { .bandwidth = 10000 } };
	e.policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ LIMIT_UNLIMITED, 0 };
	assert_int_equal(gwproc_policy(&gw, &e, 1), 0);
	for (uint8_t i = 0; i < 12; i++) {
		uint8_t data[1000] = { i };
		send_craft(pot,
			   &(struct craft){ OUT, .proto = 17, .sport = 1, .dport = 9, .payload = 1000, .data = data });
	}
	uint64_t first = 0, at[12];
	for (uint8_t i = 0; i < 12; i++) {
		assert_true(receive(up, 3000) > 0);
		at[i] = ev_monotonic();
		assert_int_equal(back[42], i);
		first = first ? first : at[i];
	}
	assert_true(at[8] - first < SEC / 2);
	/* ours of arrival is later than theirs of departure, by as much as the
	 * machine is busy: only a bound from below, and generous above */
	assert_true(at[9] - first > SEC * 9 / 10);
	assert_true(at[11] - first < 3 * SEC);
}

static void quit_ends_the_flows(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 10; i++)
		send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000 + i, .dport = 53 });
	for (int i = 0; i < 10; i++)
		assert_true(receive(pot, 2000) > 0);
	struct msg_empty empty = { 0 };
	assert_int_equal(gwproc_command(&gw, MSG_GW_QUIT, &empty, sizeof(empty), NULL, 0), 0);
	assert_int_equal(gwproc_wait(&gw), 0);
	assert_int_equal(flow_records(FLOW_END_SHUTDOWN), 10);
	assert_int_equal(send(up, "x", 1, MSG_NOSIGNAL), -1); /* no port is open any more */
}

static void ends_with_super(void **state)
{
	(void)state;
	send_craft(up, &(struct craft){ IN, .proto = 17, .sport = 4000, .dport = 53 });
	assert_true(receive(pot, 2000) > 0);
	chan_close(&gw.chan);
	assert_int_equal(gwproc_wait(&gw), 0);
	assert_int_equal(flow_records(FLOW_END_SHUTDOWN), 1);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(frames_pass),     T(largest_frames),
		T(fd_flood),        T(empty_is_not_the_end),
		T(hang_up),         T(one_that_does_not_read),
		T(bad_commands),    T(quit_ends_the_flows),
		T(ends_with_super), T(frozen),
		T(bandwidth),
	};
	if (argc != 2)
		return 2;
	skep = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
