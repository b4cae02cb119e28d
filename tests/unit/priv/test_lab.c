/* SPDX-License-Identifier: ISC */
/* The lab as a honeypot sees it: frames through its port, addresses, silence. */
#include "driver.h"

#include "proc/priv/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const uint8_t pot_mac[6] = { 0x00, 0x16, 0x3e, 1, 2, 3 };

static struct addr address(const char *text)
{
	struct addr a;
	assert_true(addr_parse(text, -1, &a));
	return a;
}

static struct addr with_len(const char *text, uint8_t len)
{
	struct addr a = address(text);
	a.plen = len;
	return a;
}

static struct priv_lab both_families(uint32_t net)
{
	struct priv_lab v = { .net = net, .nrouters = 2, .nlab = 2 };
	v.routers[0] = with_len(net ? "203.0.113.1" : "192.0.2.1", 24);
	v.routers[1] = with_len(net ? "2001:db8:2::1" : "2001:db8:1::1", 64);
	v.lab[0] = address("198.51.100.0/24");
	v.lab[1] = address("2001:db8:f00::/48");
	return v;
}

/* Runs fn in the lab's namespaces, in a child; returns its exit status. */
static int in_lab(struct net *n, int (*fn)(void *arg), void *arg)
{
	struct cmd_lab place = { 0 };
	struct priv_done done;
	int fds[4], status;
	CALL(n, PRIV_LAB_FDS, &place, NULL, 0, &done, fds);
	assert_int_equal(done.status, 0);
	assert_int_equal(done.kind, n->uid ? 3 : 2);
	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && n->uid &&
		    (setresgid(n->uid, n->uid, n->uid) || setresuid(n->uid, n->uid, n->uid)))
			_exit(90);
		if (n->uid && setns(fds[0], CLONE_NEWUSER) < 0)
			_exit(91);
		if (setns(fds[n->uid ? 1 : 0], CLONE_NEWNET) < 0)
			_exit(92);
		_exit(fn(arg));
	}
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* Internet checksum (RFC 1071) of a buffer plus a start value. */
static uint16_t csum(const void *data, size_t n, uint32_t sum)
{
	const uint8_t *p = data;
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t udp4_csum(const uint8_t *ip, size_t n)
{
	/* pseudo header: both addresses, protocol, length */
	uint32_t sum = 17 + (uint32_t)n;
	for (int i = 12; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	return csum(ip + 20, n, sum);
}

static int next_frame(int port, uint8_t *buf, size_t cap, int ms)
{
	struct pollfd p = { .fd = port, .events = POLLIN };
	if (poll(&p, 1, ms) != 1)
		return 0;
	return (int)read(port, buf, cap);
}

/* The next frame of this EtherType within two seconds; others are passed over. */
static int frame_of(int port, uint16_t type, uint8_t *buf, size_t cap)
{
	for (int i = 0; i < 50; i++) {
		int n = next_frame(port, buf, cap, 2000);
		if (n <= 0)
			break;
		if (n >= 14 && (buf[12] << 8 | buf[13]) == type)
			return n;
	}
	fail_msg("no frame of type %04x came", type);
	return 0;
}

static void send_arp(int port, int op, const uint8_t to[6], const char *from_ip, const char *to_ip)
{
	uint8_t f[60] = { 0 };
	memcpy(f, to, 6);
	memcpy(f + 6, pot_mac, 6);
	memcpy(f + 12, (uint8_t[]){ 8, 6, 0, 1, 8, 0, 6, 4, 0, (uint8_t)op }, 10);
	memcpy(f + 22, pot_mac, 6);
	memcpy(f + 28, address(from_ip).b, 4);
	memcpy(f + 32, to, 6);
	memcpy(f + 38, address(to_ip).b, 4);
	assert_int_equal(write(port, f, sizeof(f)), sizeof(f));
}

static void lab_mac(int port, uint8_t mac[6])
{
	uint8_t f[2048];
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	send_arp(port, 1, all, "192.0.2.10", "192.0.2.1");
	frame_of(port, 0x0806, f, sizeof(f));
	assert_int_equal(f[21], 2); /* reply */
	assert_memory_equal(f + 28, address("192.0.2.1").b, 4);
	memcpy(mac, f + 6, 6);
	assert_memory_equal(f + 22, mac, 6);
}

/* The lab's side of a UDP conversation: any address of the prefix is its own. */
struct talk {
	const char *bind_to; /* NULL = any */
	const char *to;
	bool echo;
	size_t size;
	bool segments;
};

static int udp_talk(void *arg)
{
	struct talk *t = arg;
	static uint8_t buf[32768];
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(5353) }, peer;
	socklen_t len = sizeof(peer);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (t->bind_to)
		inet_pton(AF_INET, t->bind_to, &sa.sin_addr);
	if (bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return 1;
	if (t->echo) {
		struct pollfd p = { .fd = s, .events = POLLIN };
		if (poll(&p, 1, 1500) != 1)
			return 2;
		ssize_t n = recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len);
		return n == 5 && !memcmp(buf, "hello", 5) ? 0 : 3;
	}
	peer = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(7) };
	inet_pton(AF_INET, t->to, &peer.sin_addr);
	int gso = 1000;
	if (t->segments && setsockopt(s, IPPROTO_UDP, 103 /* UDP_SEGMENT */, &gso, sizeof(gso)) < 0)
		return 4;
	memset(buf, 'x', sizeof(buf));
	return sendto(s, buf, t->size, 0, (struct sockaddr *)&peer, sizeof(peer)) == (ssize_t)t->size ? 0 : 5;
}

static void send_udp(int port, const uint8_t mac[6], const char *src, const char *dst, bool good)
{
	uint8_t f[14 + 28 + 5] = { 0 }, *ip = f + 14;
	memcpy(f, mac, 6);
	memcpy(f + 6, pot_mac, 6);
	f[12] = 8;
	ip[0] = 0x45;
	ip[3] = 33;
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, address(src).b, 4);
	memcpy(ip + 16, address(dst).b, 4);
	uint16_t c = csum(ip, 20, 0);
	ip[10] = (uint8_t)(c >> 8);
	ip[11] = (uint8_t)c;
	memcpy(ip + 20, (uint8_t[]){ 0, 7, 5353 >> 8, 5353 & 255, 0, 13 }, 6);
	memcpy(ip + 28, "hello", 5);
	c = (uint16_t)(udp4_csum(ip, 13) + !good);
	ip[26] = (uint8_t)(c >> 8);
	ip[27] = (uint8_t)c;
	assert_int_equal(write(port, f, sizeof(f)), sizeof(f));
}

/* Child process for a talk while we are at the port. */
static pid_t talk_start(struct net *n, struct talk *t)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		_exit(in_lab(n, udp_talk, t));
	}
	return pid;
}

static int talk_end(pid_t pid)
{
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int lab_add(struct net *n, struct priv_lab *v, struct priv_done *done)
{
	int fds[4];
	CALL(n, PRIV_LAB, v, NULL, 0, done, fds);
	if (done->status < 0)
		assert_int_equal(fds[0], -1);
	return fds[0];
}

static int list(void *arg)
{
	/* Names only; what the kernel says about each is checked by frames. */
	const char *want = arg;
	char have[256] = "";
	struct if_nameindex *x = if_nameindex();
	for (int i = 0; x && x[i].if_name; i++)
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s ", x[i].if_name);
	return strcmp(have, want) ? 1 : 0;
}

static void quiet(int port)
{
	/* What the kernel says by itself when an interface comes up. Multicast
	 * reports (MLD) are allowed: routers send them too. */
	uint8_t f[2048];
	int n;
	while ((n = next_frame(port, f, sizeof(f), 700)) > 0) {
		unsigned type = (unsigned)f[12] << 8 | f[13];
		if (type != 0x86dd)
			fail_msg("unasked frame of type %04x", type);
		const uint8_t *p = f + 14;
		assert_int_equal(p[6], 0); /* hop-by-hop: router alert of MLD */
		assert_int_equal(p[48], 143);
	}
}

static void lab_frames(uid_t uid)
{
	struct net n;
	struct priv_done done;
	uint8_t f[4096], mac[6];
	net_up(&n, "lab", uid);
	struct priv_lab v = both_families(0);
	int port = lab_add(&n, &v, &done);
	assert_int_equal(done.status, 0);
	bool tap = access("/dev/net/tun", R_OK | W_OK) == 0 && uid == geteuid();
	assert_int_equal(done.kind, tap ? PORT_TAP : PORT_PACKET);
	assert_true(fcntl(port, F_GETFL) & O_NONBLOCK);
	assert_int_equal(in_lab(&n, list, (void *)(uintptr_t) "lo eth0 "), 0);
	quiet(port);
	/* The router answers, with a vendor's MAC. */
	lab_mac(port, mac);
	assert_int_equal(mac[0] & 3, 0);
	/* From a honeypot to any address of the lab. */
	struct talk hear = { .bind_to = "198.51.100.77", .echo = true };
	pid_t pid = talk_start(&n, &hear);
	for (int i = 0; i < 20; i++) {
		usleep(50000);
		send_udp(port, mac, "192.0.2.10", "198.51.100.77", true);
	}
	assert_int_equal(talk_end(pid), 0);
	/* From the lab to a honeypot: source is the lab's, ARP the router's. */
	struct talk say = { .to = "192.0.2.10", .size = 2 };
	assert_int_equal(in_lab(&n, udp_talk, &say), 0);
	bool asked = false;
	for (int i = 0; i < 20; i++) {
		int len = next_frame(port, f, sizeof(f), 2000);
		assert_true(len > 0);
		if (f[12] == 8 && f[13] == 6 && f[21] == 1) {
			assert_memory_equal(f + 28, address("192.0.2.1").b, 4);
			send_arp(port, 2, mac, "192.0.2.10", "192.0.2.1");
			asked = true;
		} else if (f[12] == 8 && f[13] == 0 && f[23] == 17) {
			assert_memory_equal(f + 26, address("198.51.100.1").b, 4);
			assert_memory_equal(f + 30, address("192.0.2.10").b, 4);
			assert_int_equal(udp4_csum(f + 14, 10), 0);
			break;
		}
		assert_true(i < 19);
	}
	(void)asked; /* the honeypot's frames before may have taught it */
	/* Larger than a frame, handed over whole: still frames, with checksums. */
	struct talk much = { .to = "192.0.2.10", .size = 9000, .segments = true };
	assert_int_equal(in_lab(&n, udp_talk, &much), 0);
	int segments = 0;
	for (int len; segments < 9 && (len = next_frame(port, f, sizeof(f), 2000)) > 0;) {
		if (f[12] != 8 || f[13] != 0 || f[23] != 17)
			continue;
		assert_int_equal(len, 14 + 28 + 1000);
		assert_int_equal(udp4_csum(f + 14, 1008), 0);
		segments++;
	}
	assert_int_equal(segments, 9);
	/* Gone with its interface. */
	CALL(&n, PRIV_LAB_DEL, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, 0);
	assert_int_equal(in_lab(&n, list, (void *)(uintptr_t) "lo "), 0);
	close(port);
	net_quit(&n);
}

static void test_frames(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++)
		lab_frames(geteuid() ? geteuid() : test_uids[i]);
}

static void test_bad_checksum(void **state)
{
	(void)state;
	/* The lab itself verifies what comes through the port. */
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		uint8_t mac[6];
		net_up(&n, "lab", test_uids[i]);
		struct priv_lab v = both_families(0);
		int port = lab_add(&n, &v, &done);
		lab_mac(port, mac);
		struct talk hear = { .bind_to = "198.51.100.77", .echo = true };
		pid_t pid = talk_start(&n, &hear);
		for (int k = 0; k < 10; k++) {
			usleep(50000);
			send_udp(port, mac, "192.0.2.10", "198.51.100.77", false);
		}
		assert_int_equal(talk_end(pid), 2);
		close(port);
		net_quit(&n);
	}
}

static int v6_ready(void *arg)
{
	(void)arg;
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(99) };
	static const char *const own[] = { "2001:db8:1::1", "2001:db8:f00::1", "2001:db8:f00:1:2:3:4:5" };
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		int s = socket(AF_INET6, SOCK_DGRAM, 0);
		inet_pton(AF_INET6, own[i], &sa.sin6_addr);
		if (bind(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
			return 10 + (int)i;
		close(s);
	}
	/* What a connection to a honeypot comes from. */
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(7) }, me;
	socklen_t len = sizeof(me);
	int s = socket(AF_INET6, SOCK_DGRAM, 0);
	inet_pton(AF_INET6, "2001:db8:1::10", &to.sin6_addr);
	if (connect(s, (struct sockaddr *)&to, sizeof(to)) < 0 || getsockname(s, (struct sockaddr *)&me, &len) < 0)
		return 20;
	inet_pton(AF_INET6, "2001:db8:f00::1", &sa.sin6_addr);
	if (memcmp(&me.sin6_addr, &sa.sin6_addr, 16))
		return 21;
	return send(s, "x", 1, 0) == 1 ? 0 : 22;
}

static void test_six(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		uint8_t f[2048];
		net_up(&n, "lab", test_uids[i]);
		struct priv_lab v = both_families(0);
		int port = lab_add(&n, &v, &done);
		assert_int_equal(in_lab(&n, v6_ready, NULL), 0);
		/* It looks for the honeypot at once: a neighbour solicitation. */
		for (int k = 0;; k++) {
			assert_true(k < 20);
			frame_of(port, 0x86dd, f, sizeof(f));
			if (f[20] == 58 && f[54] == 135)
				break;
		}
		assert_memory_equal(f + 62, address("2001:db8:1::10").b, 16);
		close(port);
		net_quit(&n);
	}
}

static void test_limits(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		struct cmd_lab place = { 0 };
		net_up(&n, "lab", test_uids[i]);
		CALL(&n, PRIV_LAB_FDS, &place, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -ENOENT);
		struct priv_lab v = both_families(0), w;
		CALL(&n, PRIV_LAB_DEL, &v, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -ENOENT);
		w = v, w.net = MODEL_NETS;
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -ERANGE);
		w = v, w.nrouters = 3;
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -ERANGE);
		w = v, w.nlab = 0xffffffff;
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -ERANGE);
		w = v, w.routers[0].family = 5;
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -EINVAL);
		w = v, w.routers[1].plen = 129;
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -EINVAL);
		w = v, w.routers[0] = with_len("127.0.0.1", 8);
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -EINVAL);
		w = v, w.lab[0] = with_len("198.51.100.7", 24);
		lab_add(&n, &w, &done);
		assert_int_equal(done.status, -EINVAL);
		/* Two networks share the lab's prefixes; each may go alone. */
		int a = lab_add(&n, &v, &done);
		assert_int_equal(done.status, 0);
		lab_add(&n, &v, &done);
		assert_int_equal(done.status, -EEXIST);
		w = both_families(1);
		int b = lab_add(&n, &w, &done);
		assert_int_equal(done.status, 0);
		assert_int_equal(in_lab(&n, list, (void *)(uintptr_t) "lo eth0 eth1 "), 0);
		CALL(&n, PRIV_LAB_DEL, &w, NULL, 0, &done, NULL);
		assert_int_equal(done.status, 0);
		assert_int_equal(in_lab(&n, v6_ready, NULL), 0);
		CALL(&n, PRIV_LAB_DEL, &v, NULL, 0, &done, NULL);
		assert_int_equal(in_lab(&n, v6_ready, NULL), 20);
		close(a);
		close(b);
		a = lab_add(&n, &v, &done);
		assert_int_equal(done.status, 0);
		assert_int_equal(in_lab(&n, v6_ready, NULL), 0);
		close(a);
		net_quit(&n);
	}
}

/* The whole world as lab: honeypots are still found on their network. */
static int world(void *arg)
{
	(void)arg;
	struct talk t = { .bind_to = "203.0.113.200", .to = "192.0.2.10", .size = 2 };
	return udp_talk(&t);
}

static void test_world(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		uint8_t f[2048];
		net_up(&n, "lab", test_uids[i]);
		struct priv_lab v = { .nrouters = 1, .nlab = 1 };
		v.routers[0] = with_len("192.0.2.1", 24);
		v.lab[0] = with_len("0.0.0.0", 0);
		int port = lab_add(&n, &v, &done);
		assert_int_equal(done.status, 0);
		quiet(port); /* no IPv6 at all here */
		assert_int_equal(in_lab(&n, world, NULL), 0);
		frame_of(port, 0x0806, f, sizeof(f));
		assert_memory_equal(f + 38, address("192.0.2.10").b, 4);
		close(port);
		net_quit(&n);
	}
}

/* ---- the kernel's own layer ------------------------------------------------- */

static const uint8_t all_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* An UDP datagram as somebody would write it into the uplink who owns the gateway. */
static size_t forged(uint8_t *b, const uint8_t src[6], const char *from, const char *to, uint16_t sport, uint16_t dport)
{
	size_t at = 14;
	memcpy(b, all_mac, 6);
	memcpy(b + 6, src, 6);
	b[12] = 8;
	b[13] = 0;
	struct addr a = address(from), d = address(to);
	uint8_t ip[28] = { 0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17 };
	memcpy(ip + 12, a.b, 4);
	memcpy(ip + 16, d.b, 4);
	ip[20] = (uint8_t)(sport >> 8), ip[21] = (uint8_t)sport;
	ip[22] = (uint8_t)(dport >> 8), ip[23] = (uint8_t)dport;
	ip[25] = 9;
	uint16_t sum = csum(ip, 20, 0);
	ip[10] = (uint8_t)(sum >> 8), ip[11] = (uint8_t)sum;
	memcpy(b + at, ip, sizeof(ip));
	b[at + sizeof(ip)] = 'x';
	return at + sizeof(ip) + 1;
}

/* With a tag in front of the EtherType. */
static size_t tagged(uint8_t *b, size_t n)
{
	memmove(b + 16, b + 12, n - 12);
	b[12] = 0x81, b[13] = 0, b[14] = 0, b[15] = 5;
	return n + 4;
}

struct listener {
	int ready;
	uint16_t port;
};

#define SENTINEL 999 /* source port of a frame that always passes */

/* In the lab: how many datagrams to this port arrive before the sentinel does. */
static int listener(void *arg)
{
	const struct listener *l = arg;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(l->port) }, from;
	struct timeval wait = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 || write(l->ready, &byte, 1) != 1)
		return 95;
	for (int got = 0;; got++) {
		socklen_t n = sizeof(from);
		if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &n) < 0)
			return 96;
		if (ntohs(from.sin_port) == SENTINEL)
			return got;
	}
}

/* `good` is an address that may send with pot_mac. */
static int heard(struct net *n, int port, uint8_t *frame, size_t len, uint16_t dport, const char *good)
{
	int ready[2], got = -1;
	uint8_t last[64];
	char byte = 0;
	assert_int_equal(pipe(ready), 0);
	struct listener l = { ready[1], dport };
	pid_t pid = fork(); /* in_lab waits for its child */
	if (pid == 0)
		_exit(in_lab(n, listener, &l));
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(write(port, frame, len), len);
	len = forged(last, pot_mac, good, "192.0.2.1", SENTINEL, dport);
	assert_int_equal(write(port, last, len), len);
	waitpid(pid, &got, 0);
	close(ready[0]);
	close(ready[1]);
	return WEXITSTATUS(got);
}

static void test_layer2(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		struct layer2_pot pot = { .naddrs = 1, .addrs = { address("192.0.2.10") } };
		struct priv_layer2 v = { .n = 1 };
		static const uint8_t other[6] = { 0x00, 0x16, 0x3e, 9, 9, 9 };
		uint8_t f[256];
		int fds[4];
		net_up(&n, "lab", test_uids[i]);
		struct priv_lab lab = both_families(0);
		int port = lab_add(&n, &lab, &done);
		assert_int_equal(done.status, 0);
		/* What the kernel takes without it. */
		size_t len = forged(f, other, "192.0.2.99", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 1);
		memcpy(pot.mac, pot_mac, 6);
		int list = memfd_create("pots", MFD_CLOEXEC);
		assert_int_equal(write(list, &pot, sizeof(pot)), sizeof(pot));
		CALL(&n, PRIV_LAYER2, &v, &list, 1, &done, fds);
		if (done.status)
			print_message("%s\n", done.text);
		assert_int_equal(done.status, 0);
		/* Its own address from its own MAC, and nothing else. */
		len = forged(f, pot_mac, "192.0.2.10", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 1);
		len = forged(f, pot_mac, "192.0.2.11", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 0);
		len = forged(f, other, "192.0.2.10", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 0);
		len = forged(f, pot_mac, "203.0.113.5", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 0);
		len = forged(f, pot_mac, "192.0.2.10", "192.0.2.1", 67, 68);
		assert_int_equal(heard(&n, port, f, len, 68, "192.0.2.10"), 0);
		len = tagged(f, forged(f, pot_mac, "192.0.2.10", "192.0.2.1", 1000, 2000));
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.10"), 0);
		/* Loaded anew, in one go. */
		pot.addrs[0] = address("192.0.2.11");
		assert_int_equal(pwrite(list, &pot, sizeof(pot), 0), sizeof(pot));
		v.tcp_hour = 100;
		CALL(&n, PRIV_LAYER2, &v, &list, 1, &done, fds);
		assert_int_equal(done.status, 0);
		len = forged(f, pot_mac, "192.0.2.10", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.11"), 0);
		len = forged(f, pot_mac, "192.0.2.11", "192.0.2.1", 1000, 2000);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.11"), 1);
		/* Nonsense changes nothing. */
		v.n = 2;
		CALL(&n, PRIV_LAYER2, &v, &list, 1, &done, fds);
		assert_int_equal(done.status, -EINVAL);
		v.net = 3;
		CALL(&n, PRIV_LAYER2, &v, &list, 1, &done, fds);
		assert_int_equal(done.status, -ENOENT);
		assert_int_equal(heard(&n, port, f, len, 2000, "192.0.2.11"), 1);
		close(list);
		close(port);
		net_quit(&n);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "--role=", 7))
		return strcmp(argv[1], "--role=priv") ? fake_main(argc, argv) : priv_main(argc - 1, argv + 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames), cmocka_unit_test(test_bad_checksum), cmocka_unit_test(test_six),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_world),        cmocka_unit_test(test_layer2),
	};
	tests_init();
	return cmocka_run_group_tests_name("priv-lab", tests, NULL, NULL);
}
