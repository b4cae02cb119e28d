/* SPDX-License-Identifier: ISC */
/* The inline engine's place: frames in at one side come out at the other, by
 * Suricata in its jail, and by nothing in an empty namespace. */
#include "driver.h"

#include "model/suricata.h"
#include "proc/priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int memory(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

/* An UDP datagram without checksum, from 198.51.100.1:1000 to 192.0.2.10:2000. */
static size_t datagram(uint8_t *b, const char *text)
{
	static const uint8_t head[] = { 0x52, 0x54, 0,   0, 0, 0x10, 2, 0,    0,  0,    0, 1, 8,   0,
					0x45, 0,    0,   0, 0, 1,    0, 0,    64, 17,   0, 0, 198, 51,
					100,  1,    192, 0, 2, 10,   3, 0xe8, 7,  0xd0, 0, 0, 0,   0 };
	size_t n = strlen(text);
	memcpy(b, head, sizeof(head));
	memcpy(b + sizeof(head), text, n);
	b[17] = (uint8_t)(28 + n);
	b[39] = (uint8_t)(8 + n);
	uint32_t sum = 0;
	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	b[24] = (uint8_t)(sum >> 8);
	b[25] = (uint8_t)sum;
	return sizeof(head) + n;
}

static ssize_t next(int fd, void *b, size_t cap, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, ms) == 1 ? read(fd, b, cap) : 0;
}

static bool passes(const int fds[4], int from, const char *text, int ms)
{
	uint8_t b[256], got[2048];
	size_t n = datagram(b, text);
	if (write(fds[from], b, n) != (ssize_t)n)
		return false; /* the interface is gone */
	for (ssize_t k; (k = next(fds[!from], got, sizeof(got), ms)) > 0;)
		if ((size_t)k == n && !memcmp(got, b, n))
			return true;
	return false;
}

static void close_all(int fds[4])
{
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void start(struct net *n, const char *rules, struct priv_done *done, int fds[4], char *log, size_t cap)
{
	static char yaml[SURICATA_YAML_MAX];
	struct priv_engine v = { .kind = ENGINE_KIND_SURICATA };
	struct addr home;
	struct err e = { 0 };
	int out[2];
	assert_true(addr_parse("192.0.2.0/24", 1, &home));
	struct suricata_conf c = { .dir = SURICATA_DIR, .reports = SURICATA_REPORTS, .home = &home, .nhome = 1 };
	int k = suricata_yaml(yaml, sizeof(yaml), &c, &e);
	assert_true(k > 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	int send[3] = { memory(yaml, (size_t)k), memory(rules, strlen(rules)), out[1] };
	CALL(n, PRIV_ENGINE, &v, send, 3, done, fds);
	for (int i = 0; i < 3; i++)
		close(send[i]);
	log[0] = 0;
	for (size_t at = 0; done->status == 0 && at < cap - 1 && !strstr(log, "Engine started");) {
		ssize_t got = next(out[0], log + at, cap - 1 - at, 20000);
		if (got <= 0)
			break;
		at += (size_t)got;
		log[at] = 0;
	}
	close(out[0]);
}

static const char rules[] = "alert udp any any -> any any (msg:\"seen\"; content:\"look here\"; sid:1;)\n"
			    "drop udp any any -> any any (msg:\"no\"; content:\"drop this\"; sid:2;)\n";

static void test_suricata(void **state)
{
	(void)state;
	if (access(SURICATA_PROGRAM, X_OK) < 0)
		skip();
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		int fds[4];
		static char log[65536], report[65536];
		net_up(&n, "engine", test_uids[i]);
		start(&n, rules, &done, fds, log, sizeof(log));
		if (done.status || !strstr(log, "Engine started"))
			print_message("%d %s\n%s\n", done.status, done.text, log);
		assert_int_equal(done.status, 0);
		assert_non_null(strstr(log, "Engine started"));
		unsigned need = JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS | JAIL_SECCOMP | JAIL_CAPS;
		assert_int_equal(done.jail & need, need);
		assert_true(passes(fds, 0, "anything", 2000));
		assert_true(passes(fds, 1, "something else", 2000));
		assert_true(passes(fds, 1, "look here", 2000));
		assert_false(passes(fds, 1, "drop this", 300));
		unsigned alerts = 0;
		for (ssize_t k; alerts < 2 && (k = next(fds[2], report, sizeof(report) - 1, 2000)) > 0;) {
			report[k] = 0;
			alerts += strstr(report, "\"event_type\":\"alert\"") != NULL;
		}
		assert_int_equal(alerts, 2);
		/* Only its uid and one capability. */
		char path[64], status[4096];
		snprintf(path, sizeof(path), "/proc/%d/status", done.pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t k = read(fd, status, sizeof(status) - 1);
		close(fd);
		assert_true(k > 0);
		status[k] = 0;
		assert_non_null(strstr(status, "CapEff:\t0000000000002000"));
		assert_non_null(strstr(status, "CapBnd:\t0000000000002000"));
		assert_non_null(strstr(status, "Seccomp:\t2"));
		assert_non_null(strstr(status, "NoNewPrivs:\t1"));
		/* Nothing lies around. */
		char below[64];
		snprintf(below, sizeof(below), "run/%s/engine", n.name);
		assert_false(exists(net_path(&n, below)));
		/* Killed: nothing passes. Another one: everything does. */
		assert_int_equal(kill(done.pid, SIGKILL), 0);
		struct priv_exited x;
		net_wait_exited(&n, &x);
		assert_int_equal(x.role, ROLE_INSPECT);
		assert_int_equal(x.vmm, 1);
		assert_false(passes(fds, 0, "anything", 200));
		close_all(fds);
		start(&n, rules, &done, fds, log, sizeof(log));
		assert_int_equal(done.status, 0);
		assert_true(passes(fds, 0, "anything", 2000));
		close_all(fds);
		net_quit(&n);
	}
}

static void test_interfaces(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		struct priv_engine v = { .kind = ENGINE_KIND_INTERFACES, .interfaces = { "left", "right" } };
		struct msg_empty none = { 0 };
		uint8_t b[256];
		int fds[4];
		net_up(&n, "engine", test_uids[i]);
		CALL(&n, PRIV_ENGINE, &v, NULL, 0, &done, fds);
		assert_int_equal(done.status, 0);
		assert_int_equal(done.pid, 0);
		/* Silent, and nothing goes through by itself. */
		assert_int_equal(next(fds[0], b, sizeof(b), 300), 0);
		assert_int_equal(next(fds[1], b, sizeof(b), 300), 0);
		assert_false(passes(fds, 0, "anything", 200));
		close_all(fds);
		CALL(&n, PRIV_ENGINE_DEL, &none, NULL, 0, &done, fds);
		assert_int_equal(done.status, 0);
		v.interfaces[1][0] = 'l';
		memcpy(v.interfaces[1], "left", 5);
		CALL(&n, PRIV_ENGINE, &v, NULL, 0, &done, fds);
		assert_int_equal(done.status, -EINVAL);
		v.kind = 9;
		CALL(&n, PRIV_ENGINE, &v, NULL, 0, &done, fds);
		assert_int_equal(done.status, -ERANGE);
		v.kind = ENGINE_KIND_SURICATA;
		CALL(&n, PRIV_ENGINE, &v, NULL, 0, &done, fds);
		assert_int_equal(done.status, -EINVAL);
		net_quit(&n);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "--role=", 7))
		return strcmp(argv[1], "--role=priv") ? fake_main(argc, argv) : priv_main(argc - 1, argv + 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_suricata),
	};
	tests_init();
	return cmocka_run_group_tests_name("priv-engine", tests, NULL, NULL);
}
