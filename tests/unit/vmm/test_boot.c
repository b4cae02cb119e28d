/* SPDX-License-Identifier: ISC */
/*
 * A real guest: linux.uml with the shim in the real jail, watched by the real
 * handler process. This program plays super, priv, evidence and the gateway.
 */
#include "scratch.h"

#include "base/ev.h"
#include "proto/msg.h"
#include "sandbox/jail.h"
#include "sandbox/uml_args.h"

#include <poll.h>
#include <sys/socket.h>

#define JAIL_UID 0x700003f0u

static struct {
	pid_t handler, vmm;
	struct chan super, evidence; /* our ends */
	int frames;
	struct msg m;
	uint64_t req;
	unsigned seen; /* bit n: VMM_STATE event n came */
	char text[VMM_EVENT_COUNT][160];
	int answered; /* status of the last VMM_DONE */
	char answer[ERR_TEXT];
	uint64_t answered_req;
	char console[1 << 20]; /* what evidence has of the guest's output */
	size_t console_len;
	char typed[4096]; /* and of the operator's input */
	size_t typed_len;
} h;

static const char init_script[] = "#!/bin/sh\n"
				  "mount -t proc proc /proc\nmount -t sysfs sys /sys\n"
				  "hostname -F /etc/hostname\n"
				  "rm -f /var/run/ifstate\nip link set vec0 name eth0\nifup -a\n"
				  "echo up-and-running\n";
static const char inittab[] = "::sysinit:/etc/rc\nttyS0::respawn:/bin/sh\n";

static void build_image(void)
{
	assert_int_equal(
	    RUN("sh", "-c",
		"mkdir -p root/bin root/sbin root/etc/network/if-pre-up.d root/etc/network/if-up.d root/dev "
		"root/proc root/sys root/tmp root/run root/var/run root/usr && cp \"$(command -v busybox)\" "
		"root/bin/bb && "
		"for a in sh init mount hostname ip ifup ifdown cat echo reboot poweroff ls sync dd sleep rm; do "
		"ln -s bb root/bin/$a; done && ln -s ../bin/bb root/sbin/init && touch "
		"root/etc/network/ifstate"),
	    0);
	scratch_write("root/etc/rc", init_script, sizeof(init_script) - 1, 0755);
	scratch_write("root/etc/inittab", inittab, sizeof(inittab) - 1, 0644);
	scratch_write("root/etc/passwd", "root::0:0::/:/bin/sh\n", 21, 0644);
	assert_int_equal(RUN("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", "root", "base", "24M"), 0);
	assert_int_equal(RUN("chmod", "0644", "base"), 0);
}

/* ---- what the other processes would do ---------------------------------- */

static void on_super_message(void)
{
	if (h.m.type == MSG_VMM_DONE) {
		h.answered = MSG_BODY_AS(&h.m, done)->status;
		memcpy(h.answer, MSG_BODY_AS(&h.m, done)->text, sizeof(h.answer));
		h.answered_req = h.m.req;
	} else if (h.m.type == MSG_VMM_STATE) {
		const struct vmm_state *s = MSG_BODY_AS(&h.m, vmm_state);
		assert_true(s->event < VMM_EVENT_COUNT && MSG_TEXT(s->text));
		h.seen |= 1u << s->event;
		memcpy(h.text[s->event], s->text, sizeof(s->text));
	}
}

static void on_record(void)
{
	if (h.m.type != MSG_EV_CONSOLE)
		return;
	const struct ev_console *c = MSG_BODY_AS(&h.m, ev_console);
	size_t n = h.m.len - sizeof(*c);
	char *to = c->dir ? h.typed : h.console;
	size_t *len = c->dir ? &h.typed_len : &h.console_len, cap = c->dir ? sizeof(h.typed) : sizeof(h.console);
	assert_true(*len + n < cap);
	memcpy(to + *len, c + 1, n);
	*len += n;
	to[*len] = 0;
}

static void listen_ms(int ms)
{
	struct pollfd p[2] = { { h.super.fd, POLLIN, 0 }, { h.evidence.fd, POLLIN, 0 } };
	poll(p, 2, ms);
	while (msg_recv(&h.super, &h.m, NULL) == 1)
		on_super_message();
	while (msg_recv(&h.evidence, &h.m, NULL) == 1)
		on_record();
}

static int request(uint32_t type, const void *body, size_t len, const int *fds, int nfds, int seconds)
{
	uint64_t req = ++h.req, end = ev_monotonic() + (uint64_t)seconds * EV_SEC;
	assert_int_equal(msg_send_wait(&h.super, type, req, body, len, fds, nfds, 1000), 0);
	while (h.answered_req != req) {
		listen_ms(20);
		if (ev_monotonic() > end)
			fail_msg("no answer to message %u", type);
	}
	return h.answered;
}

static bool wait_event(enum vmm_event e, int seconds)
{
	uint64_t end = ev_monotonic() + (uint64_t)seconds * EV_SEC;
	while (!(h.seen & 1u << e) && ev_monotonic() < end)
		listen_ms(20);
	bool got = h.seen & 1u << e;
	h.seen &= ~(1u << e);
	return got;
}

static void expect_console(const char *text, int seconds)
{
	uint64_t end = ev_monotonic() + (uint64_t)seconds * EV_SEC;
	while (!strstr(h.console, text) && ev_monotonic() < end)
		listen_ms(20);
	if (!strstr(h.console, text))
		fail_msg("\"%s\" is not on the console:\n%s", text, h.console);
}

/* Does 192.0.2.10 answer an ARP request within so many ms? */
static bool arp(int ms)
{
	static const uint8_t ask[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   1, 8, 6,
					 0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,   0, 0, 1,
					 192,  0,    2,    1,    0,    0,    0, 0, 0, 0, 192, 0, 2, 10 };
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	uint8_t f[2048];
	while (recv(h.frames, f, sizeof(f), MSG_DONTWAIT) > 0)
		; /* old news */
	uint64_t end = ev_monotonic() + (uint64_t)ms * EV_MS;
	while (ev_monotonic() < end) {
		send(h.frames, ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL);
		for (int i = 0; i < 5; i++) {
			ssize_t n = recv(h.frames, f, sizeof(f), MSG_DONTWAIT);
			if (n >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && !memcmp(f + 22, mac, 6))
				return true;
			listen_ms(10);
		}
	}
	return false;
}

static int operator_end(uint32_t flags)
{
	int p[2];
	struct cmd_console c = { .flags = flags };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	assert_int_equal(request(MSG_VMM_CONSOLE, &c, sizeof(c), &p[0], 1, 5), 0);
	close(p[0]);
	return p[1];
}

static void type_line(int fd, const char *line)
{
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
}

static int op(enum vmm_op_kind kind)
{
	struct vmm_op x = { .op = kind };
	return request(MSG_VMM_OP, &x, sizeof(x), NULL, 0, 15);
}

/* ---- start and end ------------------------------------------------------ */

static void start_handler(void)
{
	int s[2], r[2];
	assert_int_equal(msg_pair(s, NULL), 0);
	assert_int_equal(msg_pair(r, NULL), 0);
	h.handler = fork();
	assert_true(h.handler >= 0);
	if (h.handler == 0) {
		int a = fcntl(s[1], F_DUPFD, 50), b = fcntl(r[1], F_DUPFD, 50);
		dup2(a, 3);
		dup2(b, 4);
		for (int fd = 5; fd < 100; fd++)
			close(fd);
		execl(getenv("SKEP_PROGRAM"), "skep", "--role=vmm", (char *)NULL);
		_exit(127);
	}
	close(s[1]);
	close(r[1]);
	h.super = (struct chan){ s[0], ROLE_SUPER, ROLE_VMM, STATE_RUN };
	h.evidence = (struct chan){ r[0], ROLE_EVIDENCE, ROLE_VMM, STATE_RUN };
}

static void start_vmm(int overlay, int base, int pair_console[2], int pair_control[2], int *pidfd)
{
	int fr[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fr), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_console), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair_control), 0);
	h.frames = fr[0];
	struct priv_vmm v = { .memory = 64u << 20, .cpus = 1, .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
	struct uml_args args;
	struct err e = { 0 };
	assert_int_equal(uml_args(&v, &args, &e), 0);
	int fds[] = { fr[1], pair_console[1], pair_control[1] };
	struct jail_bind binds[] = { { .srcfd = overlay, .dst = UML_OVERLAY, .flags = JAIL_BIND_RW },
				     { .srcfd = base, .dst = UML_BASE } };
	struct jail_spec spec = { .profile = JAIL_PROFILE_UML,
				  .exe = UML_PROGRAM,
				  .preload = getenv("SKEP_SHIM"),
				  .argv = args.argv,
				  .envp = args.envp,
				  .binds = binds,
				  .nbinds = 2,
				  .uid = JAIL_UID,
				  .stdio = -1,
				  .fds = fds,
				  .nfds = 3,
				  .limits = { .shm_bytes = v.memory + (8u << 20) } };
	struct jail j;
	if (jail_start(&spec, &j, &e) < 0)
		fail_msg("%s", e.text);
	h.vmm = j.pid;
	*pidfd = j.pidfd;
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void handler_holds_no_disk(void)
{
	struct stat o, b, st;
	char path[64];
	assert_int_equal(stat("overlay", &o), 0);
	assert_int_equal(stat("base", &b), 0);
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", h.handler, fd);
		if (stat(path, &st) == 0)
			assert_true(st.st_dev != o.st_dev || (st.st_ino != o.st_ino && st.st_ino != b.st_ino));
	}
}

static int boot(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	start_handler();
	unlink("overlay");
	int overlay = open("overlay", O_RDWR | O_CREAT | O_CLOEXEC, 0600), base = open("base", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fchown(overlay, JAIL_UID, JAIL_UID), 0);
	struct vmm_prepare p = { .slot = 3,
				 .memory = 64u << 20,
				 .fresh = 1,
				 .naddrs = 1,
				 .addrs = { { 4, 24, { 192, 0, 2, 10 } } },
				 .routers = { { 4, 24, { 192, 0, 2, 1 } } },
				 .honeypot = "web",
				 .hostname = "web01" };
	if (request(MSG_VMM_PREPARE, &p, sizeof(p), (int[]){ overlay, base }, 2, 20))
		fail_msg("%s", h.answer);
	handler_holds_no_disk();
	uint64_t begin = ev_monotonic();
	int console[2], control[2], pidfd;
	start_vmm(overlay, base, console, control, &pidfd);
	struct vmm_start s = { 0 };
	assert_int_equal(request(MSG_VMM_START, &s, sizeof(s), (int[]){ console[0], control[0], pidfd }, 3, 5), 0);
	close(console[0]), close(control[0]), close(pidfd), close(overlay), close(base);
	assert_true(wait_event(VMM_BOOTING, 1));
	assert_true(wait_event(VMM_CONTROL_UP, 30));
	uint64_t up = ev_monotonic() - begin;
	assert_non_null(strstr(h.text[VMM_CONTROL_UP], "Linux"));
	expect_console("up-and-running", 30);
	assert_true(arp(5000));
	printf("# kernel answers after %.2f s, network after %.2f s\n", (double)up / 1e9,
	       (double)(ev_monotonic() - begin) / 1e9);
	return 0;
}

static int end(void **state)
{
	(void)state;
	int status;
	struct msg_empty x = { 0 };
	if (h.vmm > 0) {
		kill(h.vmm, SIGKILL);
		waitpid(h.vmm, &status, 0);
	}
	assert_int_equal(request(MSG_VMM_QUIT, &x, sizeof(x), NULL, 0, 5), 0);
	assert_int_equal(waitpid(h.handler, &status, 0), h.handler);
	assert_int_equal(status, 0);
	chan_close(&h.super);
	chan_close(&h.evidence);
	if (h.frames >= 0)
		close(h.frames);
	return 0;
}

static int vmm_status(int seconds)
{
	int status;
	for (int i = 0; i < seconds * 50; i++) {
		if (waitpid(h.vmm, &status, WNOHANG) == h.vmm) {
			h.vmm = 0;
			return status;
		}
		listen_ms(20);
	}
	return -1;
}

/* ---- tests -------------------------------------------------------------- */

static void test_console(void **state)
{
	(void)state;
	int fd = operator_end(0);
	type_line(fd, "echo i-am-$(hostname)\n");
	expect_console("i-am-web01", 5);
	assert_non_null(strstr(h.typed, "echo i-am-"));
	char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = 0;
	assert_non_null(strstr(buf, "up-and-running")); /* the scroll-back */
	/* Leaving the shell hangs up the terminal; another one comes. */
	h.console_len = 0;
	h.console[0] = 0;
	type_line(fd, "exit\n");
	expect_console("built-in shell", 5);
	/* A terminal that is opened anew forgets what was typed before. */
	listen_ms(300);
	type_line(fd, "echo back-$((40+2))\n");
	expect_console("back-42", 5);
	close(fd);
}

static void test_hides(void **state)
{
	(void)state;
	int fd = operator_end(CONSOLE_TAKE);
	type_line(fd, "cat /proc/cmdline; echo h=$(cat /sys/kernel/uevent_helper)=; echo end-of-$((1+1))\n");
	expect_console("end-of-2", 5);
	assert_non_null(strstr(h.console, "h=="));
	assert_null(strstr(h.console, "skep"));
	assert_null(strstr(h.console, "honey"));
	assert_null(strstr(h.console, scratch_dir));
	close(fd);
}

static void test_interface_down_and_up(void **state)
{
	(void)state;
	int fd = operator_end(CONSOLE_TAKE);
	type_line(fd, "ifdown eth0; echo down-$((1+2))\n");
	expect_console("down-3", 5);
	assert_false(arp(300));
	type_line(fd, "ifup eth0; echo up-$((1+3))\n");
	expect_console("up-4", 5);
	assert_true(arp(3000));
	close(fd);
}

static void test_pause(void **state)
{
	(void)state;
	assert_int_equal(op(VMM_OP_PAUSE), 0);
	assert_false(arp(500));
	assert_int_equal(op(VMM_OP_RESUME), 0);
	assert_true(arp(3000));
}

static void test_guest_restarts(void **state)
{
	(void)state;
	int fd = operator_end(CONSOLE_TAKE);
	h.seen = 0;
	type_line(fd, "reboot -f\n");
	assert_true(wait_event(VMM_BOOTING, 10));
	assert_true(wait_event(VMM_CONTROL_UP, 30));
	assert_true(arp(10000));
	close(fd);
}

static void test_halt(void **state)
{
	(void)state;
	int fd = operator_end(CONSOLE_TAKE);
	type_line(fd, "dd if=/dev/zero of=/tmp/file bs=1024 count=500; echo wrote-$((2+3))\n");
	expect_console("wrote-5", 5);
	assert_int_equal(op(VMM_OP_HALT), 0);
	assert_true(wait_event(VMM_HALTED, 10));
	assert_int_equal(vmm_status(10), 0);
	close(fd);
	/* Its file system is clean, and what was written is there. */
	size_t no, nb;
	char *o = scratch_read("overlay", &no), *b = scratch_read("base", &nb);
	size_t data = (8192 + (nb / 512 + 7) / 8 + 4095) / 4096 * 4096;
	for (size_t s = 0; s < nb / 512; s++)
		if (o[8192 + s / 8] >> (s % 8) & 1)
			memcpy(b + s * 512, o + data + s * 512, 512);
	scratch_write("merged", b, nb, 0600);
	free(o);
	free(b);
	assert_int_equal(RUN("e2fsck", "-fn", "merged"), 0);
	assert_int_equal(RUN_TO("listing", "debugfs", "-R", "stat /tmp/file", "merged"), 0);
	char *l = scratch_read("listing", NULL);
	assert_non_null(strstr(l, "Size: 512000"));
	free(l);
}

/* CPU time of a process in ticks. */
static long cpu_of(pid_t pid)
{
	char path[64];
	long user = 0, sys = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &sys), 2);
	fclose(f);
	return user + sys;
}

/* Another machine. Its gateway goes: it is cut off, but neither dies nor spins. */
static void test_gateway_goes(void **state)
{
	end(state);
	boot(state);
	int fd = operator_end(CONSOLE_TAKE);
	assert_int_equal(shutdown(h.frames, SHUT_RDWR), 0);
	close(h.frames);
	h.frames = -1;
	type_line(fd, "echo c >/dev/null; ip link set eth0 down; ip link set eth0 up; echo alone-$((4+4))\n");
	expect_console("alone-8", 5);
	long before = cpu_of(h.vmm);
	for (int i = 0; i < 50; i++)
		listen_ms(20);
	long used = cpu_of(h.vmm) - before;
	printf("# %ld ticks of CPU in a second without a gateway\n", used);
	assert_true(used < 50);
	close(fd);
}

static void test_panic(void **state)
{
	(void)state;
	int fd = operator_end(CONSOLE_TAKE);
	type_line(fd, "echo c >/proc/sysrq-trigger\n");
	assert_true(wait_event(VMM_PANIC, 10));
	assert_non_null(strstr(h.text[VMM_PANIC], "sysrq"));
	int status = vmm_status(10);
	/* The first process of a pid namespace cannot abort(); see the shim. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 128 + SIGABRT)
		fail_msg("it ended with wait status %#x", (unsigned)status);
	close(fd);
}

static void test_refused(void **state)
{
	(void)state;
	struct vmm_op x = { .op = 99 };
	assert_int_equal(request(MSG_VMM_OP, &x, sizeof(x), NULL, 0, 5), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_hides),
		cmocka_unit_test(test_interface_down_and_up),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_guest_restarts),
		cmocka_unit_test(test_halt),
		cmocka_unit_test(test_gateway_goes),
		cmocka_unit_test(test_panic),
	};
	if (geteuid() != 0 || access(UML_PROGRAM, X_OK) || access("/usr/bin/busybox", X_OK)) {
		printf("1..0 # SKIP needs root, user-mode-linux and busybox-static\n");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(scratch_make(NULL), 0);
	build_image();
	int r = cmocka_run_group_tests_name("a machine", tests, boot, end);
	scratch_remove(NULL);
	return r;
}
