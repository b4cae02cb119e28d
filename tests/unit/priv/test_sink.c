/* SPDX-License-Identifier: ISC */
/* The sinkhole's place as the gateway sees it: any destination answers, nothing is
 * said unasked, and the namespace leads nowhere. */
#include "driver.h"

#include "proc/priv/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t sink_mac[6] = { 0x02, 0, 0, 9, 9, 4 }, pot_mac[6] = { 0x00, 0x16, 0x3e, 1, 2, 3 };

static uint16_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A SYN from the honeypot's side. Returns the frame's length. */
static size_t syn(uint8_t *f, int family, const char *src, const char *dst, uint16_t port)
{
	size_t ip = family == 4 ? 20 : 40, alen = family == 4 ? 4 : 16;
	uint8_t *i = f + 14, *t = i + ip, *a = family == 4 ? i + 12 : i + 8;
	memset(f, 0, 128);
	memcpy(f, sink_mac, 6);
	memcpy(f + 6, pot_mac, 6);
	put16(f + 12, family == 4 ? 0x0800 : 0x86dd);
	inet_pton(family == 4 ? AF_INET : AF_INET6, src, a);
	inet_pton(family == 4 ? AF_INET : AF_INET6, dst, a + alen);
	put16(t, 40000);
	put16(t + 2, port);
	t[12] = 0x50;
	t[13] = 2;
	put16(t + 14, 64240);
	if (family == 4) {
		i[0] = 0x45;
		put16(i + 2, 40);
		i[8] = 64;
		i[9] = 6;
		put16(i + 10, sum(i, 20, 0));
	} else {
		i[0] = 0x60;
		put16(i + 4, 20);
		i[6] = 6;
		i[7] = 64;
	}
	uint32_t pseudo = 6 + 20;
	for (size_t k = 0; k < 2 * alen; k += 2)
		pseudo += (uint32_t)a[k] << 8 | a[k + 1];
	put16(t + 16, sum(t, 20, pseudo));
	return 14 + ip + 20;
}

static int next_frame(int port, uint8_t *buf, size_t cap, int ms)
{
	struct pollfd p = { .fd = port, .events = POLLIN };
	if (poll(&p, 1, ms) != 1)
		return 0;
	return (int)read(port, buf, cap);
}

static struct priv_sink sink(uint32_t net)
{
	struct priv_sink v = { .net = net };
	memcpy(v.mac, sink_mac, 6);
	return v;
}

/* Every destination answers, from its own address, as from some hops away. */
static void calls(int port, int family, const char *dst, uint16_t dport)
{
	const char *src = family == 4 ? "192.0.2.10" : "2001:db8:1::10";
	uint8_t f[2048], want[16];
	size_t ip = family == 4 ? 20 : 40, alen = family == 4 ? 4 : 16, n = syn(f, family, src, dst, dport);
	assert_int_equal(write(port, f, n), n);
	const uint8_t *i = f + 14, *t = i + ip, *a = family == 4 ? i + 12 : i + 8;
	/* Those that were called before send their SYN ACK again. */
	for (unsigned tries = 0;; tries++) {
		int got = next_frame(port, f, sizeof(f), 3000);
		if (got < (int)(14 + ip + 20) || tries > 20)
			fail_msg("%s does not answer at port %u", dst, dport);
		if ((f[12] == 8) == (family == 4) && (t[0] << 8 | t[1]) == dport)
			break;
	}
	inet_pton(family == 4 ? AF_INET : AF_INET6, dst, want);
	assert_memory_equal(a, want, alen);
	inet_pton(family == 4 ? AF_INET : AF_INET6, src, want);
	assert_memory_equal(a + alen, want, alen);
	assert_memory_equal(f + 6, sink_mac, 6);
	assert_int_equal(t[0] << 8 | t[1], dport);
	assert_int_equal(t[13] & 0x16, 0x12); /* SYN ACK */
	assert_in_range(family == 4 ? i[8] : i[7], 52, 60);
}

/* What interfaces the namespace has, and whether it is priv's own. */
static void leads_nowhere(struct net *n, int ns)
{
	struct stat its, privs;
	char path[64], names[256] = "";
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(fstat(ns, &its), 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", n->priv);
	if (stat(path, &privs) == 0)
		assert_true(its.st_ino != privs.st_ino);
	assert_int_equal(stat("/proc/self/ns/net", &privs), 0);
	assert_true(its.st_ino != privs.st_ino);
	pid_t pid = fork();
	if (pid == 0) {
		struct if_nameindex *all;
		if (setns(ns, CLONE_NEWNET) < 0)
			_exit(9);
		all = if_nameindex();
		for (unsigned i = 0; all && all[i].if_index; i++)
			dprintf(pair[1], "%s ", all[i].if_name);
		_exit(0);
	}
	int status;
	close(pair[1]);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_true(read(pair[0], names, sizeof(names) - 1) > 0);
	close(pair[0]);
	/* sit0 and its like come by themselves where their modules are loaded, and are down. */
	assert_non_null(strstr(names, "lo "));
	assert_non_null(strstr(names, "eth0 "));
	assert_null(strstr(names, "eth1"));
	assert_null(strstr(names, "up0"));
	assert_null(strstr(names, "sink"));
}

static void one(uid_t uid)
{
	struct net n = { 0 };
	struct priv_sink v = sink(2);
	struct priv_done done;
	uint8_t f[2048];
	char text[4096];
	int fds[4], chan;
	net_up(&n, "sink", uid);
	assert_int_equal(net_spawn(&n, ROLE_SINKHOLE, 2, &chan), -ENOENT); /* no place yet */
	CALL(&n, PRIV_SINK, &v, NULL, 0, &done, fds);
	if (done.status < 0)
		fail_msg("%s", done.text);
	assert_true(done.kind == PORT_TAP || done.kind == PORT_PACKET);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	if (!uid)
		leads_nowhere(&n, fds[1]);
	int port = fds[0];
	CALL(&n, PRIV_SINK, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, -EEXIST);
	assert_true(net_spawn(&n, ROLE_SINKHOLE, 2, &chan) > 0);
	role_report(chan, text, sizeof(text));
	assert_non_null(strstr(text, "fds 0,1,2,3,4,5,6,7,8,\n"));
	/* Nothing is said unasked. */
	assert_int_equal(next_frame(port, f, sizeof(f), 300), 0);
	calls(port, 4, "198.51.100.77", 25);
	calls(port, 4, "203.0.113.8", 80);
	calls(port, 4, "192.0.2.11", 9); /* a neighbour of the honeypot's */
	calls(port, 6, "2001:db8:ffff::1", 25);
	calls(port, 6, "2001:db8:1::11", 80);
	/* No service, no answer. */
	size_t len = syn(f, 4, "192.0.2.10", "198.51.100.77", 22);
	assert_int_equal(write(port, f, len), len);
	/* The SYN ACKs are sent again, but nobody asks for a MAC or a router. */
	for (int i = 0; i < 20; i++) {
		int got = next_frame(port, f, sizeof(f), 100);
		if (got <= 0)
			continue;
		bool six = f[12] == 0x86;
		assert_true(six || (f[12] == 8 && f[13] == 0));
		assert_int_equal(six ? f[14 + 6] : f[14 + 9], 6);
		assert_true((six ? f[14 + 41] : f[14 + 21]) != 22);
	}
	CALL(&n, PRIV_SINK_DEL, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, 0);
	struct priv_exited x;
	net_wait_exited(&n, &x);
	assert_int_equal(x.role, ROLE_SINKHOLE);
	assert_int_equal(x.slot, 2);
	CALL(&n, PRIV_SINK_DEL, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, -ENOENT);
	close(fds[0]);
	close(fds[1]);
	/* Again, under the same number. */
	CALL(&n, PRIV_SINK, &v, NULL, 0, &done, fds);
	assert_int_equal(done.status, 0);
	close(fds[0]);
	close(fds[1]);
	close(chan);
	net_quit(&n);
}

static void test_sink(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++)
		one(test_uids[i]);
}

static void test_refused(void **state)
{
	struct net n = { 0 };
	struct priv_done done;
	struct priv_sink v = sink(MODEL_NETS);
	(void)state;
	net_up(&n, "sinkno", 0);
	CALL(&n, PRIV_SINK, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, -ERANGE);
	v = sink(0);
	v.mac[0] |= 1;
	CALL(&n, PRIV_SINK, &v, NULL, 0, &done, NULL);
	assert_int_equal(done.status, -ERANGE);
	net_quit(&n);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "--role=", 7))
		return strcmp(argv[1], "--role=priv") ? fake_main(argc, argv) : priv_main(argc - 1, argv + 1);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sink), cmocka_unit_test(test_refused) };
	tests_init();
	return cmocka_run_group_tests_name("priv-sink", tests, NULL, NULL);
}
