/* SPDX-License-Identifier: ISC */
/* Start-up, the roles' surroundings, and every way to end. */
#include "driver.h"

#include "proc/priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EACH_UID(n)                                                                                                    \
	struct net n;                                                                                                  \
	for (int u_ = 0; u_ < test_nuids; u_++)

static void must_have(const char *report, const char *line)
{
	if (!strstr(report, line))
		fail_msg("no \"%s\" in:\n%s", line, report);
}

static void test_handshake(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		char want[512];
		net_prepare(&n, "alpha", test_uids[u_]);
		net_start(&n);
		net_connect(&n);
		snprintf(want, sizeof(want), "--role=super\nalpha\n%s/nets/alpha/evidence\n%s\n%u\n", n.dir,
			 n.uid ? "rootless" : "root", n.uid);
		assert_string_equal(n.super.args, want);
		if (n.uid)
			assert_int_equal(n.super.uid, n.uid);
		else
			assert_int_equal(n.super.uid & 1023, 0);
		/* SYS_ADMIN and SETPCAP, for isolate_role to use and drop */
		assert_int_equal(n.super.capeff, 1u << 21 | 1u << 8);
		struct stat st;
		assert_int_equal(stat(net_path(&n, "run/alpha/ctl"), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_int_equal(st.st_uid, n.uid);
		net_run(&n);
		/* PRIV_RUN is legal once. */
		struct msg_empty none = { 0 };
		struct priv_done done;
		CALL(&n, PRIV_RUN, &none, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -EPROTO);
		net_quit(&n);
	}
}

static void check_report(const struct net *n, const char *report, const char *role, unsigned offset, const char *fds)
{
	char want[64];
	snprintf(want, sizeof(want), "role %s\n", role);
	must_have(report, want);
	unsigned uid = n->uid ? n->uid : (n->super.uid & ~1023u) + offset;
	snprintf(want, sizeof(want), "uid %u\ngid %u\nenv 0\ncwd /\n", uid, uid);
	must_have(report, want);
	snprintf(want, sizeof(want), "fds %s\n", fds);
	must_have(report, want);
	must_have(report, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
			  "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
	must_have(report, "SigBlk:\t0000000000000000\n");
	if (!n->uid)
		must_have(report, "Groups:\t \n");
}

static void test_roles(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		char report[4096];
		int ev, gw, vm, again;
		struct priv_exited x;
		struct priv_done done;
		net_up(&n, "beta", test_uids[u_]);
		int ev_pid = net_spawn(&n, ROLE_EVIDENCE, 0, &ev);
		role_report(ev, report, sizeof(report));
		check_report(&n, report, "evidence", 2, "0,1,2,3,4,");
		assert_true(exists(net_path(&n, "nets/beta/evidence/begun")));
		assert_int_equal(net_spawn(&n, ROLE_EVIDENCE, 0, &again), -EEXIST);
		net_spawn(&n, ROLE_GATEWAY, 0, &gw);
		role_report(gw, report, sizeof(report));
		check_report(&n, report, "gateway", 1, "0,1,2,3,");
		int vm_pid = net_spawn(&n, ROLE_VMM, 17, &vm);
		role_report(vm, report, sizeof(report));
		check_report(&n, report, "vmm", 256 + 17, "0,1,2,3,4,");
		assert_int_equal(net_spawn(&n, ROLE_VMM, 17, &again), -EEXIST);
		assert_int_equal(net_spawn(&n, ROLE_VMM, 256, &again), -ERANGE);
		if (access("/usr/bin/linux.uml", R_OK) == 0) {
			/* 5 is the guest kernel's file, and it goes when its commander does. */
			int in, in_pid = net_spawn(&n, ROLE_INTROSPECT, 17, &in);
			role_report(in, report, sizeof(report));
			check_report(&n, report, "introspect", 768 + 17, "0,1,2,3,4,5,");
			assert_int_equal(net_spawn(&n, ROLE_INTROSPECT, 17, &again), -EEXIST);
			struct priv_kill k = { .what = ROLE_INTROSPECT, .slot = 17 };
			CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
			assert_int_equal(done.pid, in_pid);
			net_wait_exited(&n, &x);
			assert_int_equal(x.role, ROLE_INTROSPECT);
			assert_int_equal(x.slot, 17);
			close(in);
		}
		assert_int_equal(net_spawn(&n, ROLE_INTROSPECT, 256, &again), -ERANGE);
		assert_int_equal(net_spawn(&n, ROLE_SUPER, 0, &again), -EINVAL);
		assert_int_equal(net_spawn(&n, ROLE_PRIV, 0, &again), -EINVAL);
		/* One ends by itself, one is killed; both are told. */
		close(vm);
		net_wait_exited(&n, &x);
		assert_int_equal(x.role, ROLE_VMM);
		assert_int_equal(x.slot, 17);
		assert_int_equal(x.vmm, 0);
		assert_int_equal(x.pid, vm_pid);
		assert_int_equal(x.wait_status, 0);
		struct priv_kill k = { .what = ROLE_GATEWAY };
		CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
		assert_int_equal(done.status, 0);
		net_wait_exited(&n, &x);
		assert_int_equal(x.role, ROLE_GATEWAY);
		assert_int_equal(x.wait_status, SIGKILL);
		CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -ESRCH);
		/* And may be started again. */
		close(gw);
		assert_true(net_spawn(&n, ROLE_GATEWAY, 0, &gw) > 0);
		close(gw);
		assert_true(alive(ev_pid));
		close(ev);
		net_quit(&n);
		assert_false(alive(ev_pid));
	}
}

static void test_bad_verbs(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		static const struct {
			uint32_t type, len;
			uint64_t req;
		} bad[] = { { MSG_NONE, 0, 901 },        { MSG_COUNT, 4, 902 },         { 0xffffffff, 4, 903 },
			    { MSG_PRIV_SPAWN, 1, 904 },  { MSG_PRIV_SPAWN, 4000, 905 }, { MSG_PRIV_DONE, 4, 906 },
			    { MSG_GW_QUIT, 4, 907 },     { MSG_PRIV_RUN, 4, 908 },      { MSG_CMD_DOWN, 8, 909 },
			    { MSG_PRIV_EXITED, 24, 910 } };
		static struct {
			uint32_t type, len;
			uint64_t req;
			uint8_t body[4096];
		} p;
		net_up(&n, "gamma", test_uids[u_]);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct msg m;
			struct err e;
			p.type = bad[i].type;
			p.len = bad[i].len;
			p.req = bad[i].req;
			assert_int_equal(send(n.ctl.fd, &p, 16 + p.len, 0), 16 + p.len);
			assert_int_equal(msg_recv_wait(&n.ctl, &m, 10000, &e), 1);
			assert_int_equal(m.type, MSG_PRIV_DONE);
			assert_int_equal(m.req, bad[i].req);
			assert_int_equal(MSG_BODY_AS(&m, priv_done)->status, -EPROTO);
		}
		/* Numbers and fds out of range. */
		struct priv_done done;
		struct priv_kill k = { .what = ROLE_SUPER };
		CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -EINVAL);
		k = (struct priv_kill){ .what = ROLE_VMM, .slot = 256, .vmm = 1 };
		CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -ERANGE);
		struct priv_spawn s = { .role = ROLE_GATEWAY };
		CALL(&n, PRIV_SPAWN, &s, NULL, 0, &done, NULL);
		assert_int_equal(done.status, -EINVAL);
		int file = open("/dev/null", O_RDWR | O_CLOEXEC);
		CALL(&n, PRIV_SPAWN, &s, &file, 1, &done, NULL);
		assert_int_equal(done.status, -EINVAL);
		close(file);
		net_quit(&n);
	}
}

/* However super ends, everything ends; evidence may finish. */
static void test_super_dies(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		char report[4096];
		int ev, gw, vm;
		net_up(&n, "delta", test_uids[u_]);
		int pids[3] = { net_spawn(&n, ROLE_EVIDENCE, 0, &ev), net_spawn(&n, ROLE_GATEWAY, 0, &gw),
				net_spawn(&n, ROLE_VMM, 3, &vm) };
		role_report(ev, report, sizeof(report));
		close(ev); /* the relay that held the other end of it is about to die too */
		net_watch(&n);
		assert_int_equal(kill(n.super.pid, SIGKILL), 0);
		int status = net_wait(&n);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		for (int i = 0; i < 3; i++)
			assert_false(alive(pids[i]));
		assert_true(exists(net_path(&n, "nets/delta/evidence/drained")));
		close(gw);
		close(vm);
		net_gone(&n);
		net_remove(&n);
	}
}

static void test_sigterm(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		int gw;
		net_up(&n, "epsilon", test_uids[u_]);
		int pid = net_spawn(&n, ROLE_GATEWAY, 0, &gw);
		net_watch(&n);
		assert_int_equal(kill(n.priv, SIGTERM), 0);
		int status = net_wait(&n);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		assert_false(alive(pid));
		close(gw);
		net_gone(&n);
		net_remove(&n);
	}
}

/* kill -9 of priv: all die; the next start clears what is left, and the slot is free. */
static void test_priv_killed(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		int ev, gw, vm;
		net_up(&n, "zeta", test_uids[u_]);
		int pids[4] = { net_spawn(&n, ROLE_EVIDENCE, 0, &ev), net_spawn(&n, ROLE_GATEWAY, 0, &gw),
				net_spawn(&n, ROLE_VMM, 3, &vm), n.super.pid };
		uint32_t uid = n.super.uid;
		net_watch(&n);
		assert_int_equal(kill(n.priv, SIGKILL), 0);
		net_wait(&n);
		for (int i = 0; i < 4; i++) {
			for (int k = 0; k < 300 && alive(pids[i]); k++)
				usleep(10000);
			assert_false(alive(pids[i]));
		}
		close(ev);
		close(gw);
		close(vm);
		assert_true(exists(net_path(&n, "run/zeta/ctl")));
		net_start(&n);
		/* The stale socket refuses; net_connect tries until the new one is there. */
		net_connect(&n);
		assert_int_equal(n.super.uid, uid);
		net_run(&n);
		net_quit(&n);
	}
}

static void test_start_fails(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		char line[600], want[600];
		/* super dies at once */
		net_prepare(&n, "dies", test_uids[u_]);
		net_start(&n);
		net_status(&n, line, sizeof(line));
		snprintf(want, sizeof(want), "error: super ended during the start: see %s/run/dies/log\n", n.dir);
		assert_string_equal(line, want);
		assert_true(net_wait(&n) == 1 << 8);
		net_gone(&n);
		net_remove(&n);
		/* a directory that is a link */
		net_prepare(&n, "eta", test_uids[u_]);
		assert_int_equal(symlink("/tmp", net_path(&n, "nets")), 0);
		net_start(&n);
		net_status(&n, line, sizeof(line));
		must_have(line, "error: nets in the state directory is not a directory: remove it\n");
		assert_true(net_wait(&n) == 1 << 8);
		net_gone(&n);
		net_remove(&n);
		/* a directory that others may write to */
		net_prepare(&n, "eta", test_uids[u_]);
		assert_int_equal(mkdir(net_path(&n, "nets"), 0700), 0);
		assert_int_equal(chown(net_path(&n, "nets"), n.uid, n.uid), 0);
		assert_int_equal(chmod(net_path(&n, "nets"), 0777), 0);
		net_start(&n);
		net_status(&n, line, sizeof(line));
		must_have(line, "writable by nobody else");
		assert_true(net_wait(&n) == 1 << 8);
		net_gone(&n);
		net_remove(&n);
	}
}

static void test_two_ups(void **state)
{
	(void)state;
	EACH_UID(n)
	{
		char line[600];
		net_up(&n, "theta", test_uids[u_]);
		struct net second = n;
		net_start(&second);
		net_status(&second, line, sizeof(line));
		assert_string_equal(line, "error: honeynet theta is already running\n");
		assert_true(net_wait(&second) == 1 << 8);
		n.ctl.fd = -1; /* closed with the copy */
		net_connect(&n);
		net_quit(&n);
	}
}

static void test_slots(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	struct net a, b, c;
	net_up(&a, "one", 0);
	net_up(&b, "two", 0);
	assert_int_not_equal(a.super.uid, b.super.uid);
	uint32_t first = a.super.uid;
	net_quit(&a);
	net_up(&c, "three", 0);
	assert_int_equal(c.super.uid, first);
	net_quit(&b);
	net_quit(&c);
}

/* Evidence of an earlier run belongs to the new writer, but links are left alone. */
static void test_evidence_owner(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	struct net n;
	struct stat st;
	net_prepare(&n, "iota", 0);
	mkdir(net_path(&n, "nets"), 0700);
	mkdir(net_path(&n, "nets/iota"), 0700);
	mkdir(net_path(&n, "nets/iota/evidence"), 0700);
	mkdir(net_path(&n, "nets/iota/evidence/sub"), 0700);
	put_file(net_path(&n, "victim"), "v");
	put_file(net_path(&n, "nets/iota/evidence/sub/old"), "x");
	char to[600];
	snprintf(to, sizeof(to), "%s/victim", n.dir);
	assert_int_equal(symlink(to, net_path(&n, "nets/iota/evidence/sym")), 0);
	assert_int_equal(link(to, net_path(&n, "nets/iota/evidence/hard")), 0);
	net_start(&n);
	net_connect(&n);
	net_run(&n);
	uid_t ev = (n.super.uid & ~1023u) + 2;
	assert_int_equal(lstat(net_path(&n, "nets/iota/evidence/sub/old"), &st), 0);
	assert_int_equal(st.st_uid, ev);
	assert_int_equal(lstat(net_path(&n, "victim"), &st), 0);
	assert_int_equal(st.st_uid, 0);
	net_quit(&n);
}

static int run_by_hand(char *const *argv)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		close_range(3, ~0u, 0);
		int null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		close(null);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_by_hand(void **state)
{
	(void)state;
	assert_int_equal(run_by_hand((char *[]){ (char *)"skep", (char *)"--role=priv", (char *)"x", NULL }), 2);
	assert_int_equal(run_by_hand((char *[]){ (char *)"skep", (char *)"--role=priv", (char *)"../x", NULL }), 2);
	assert_int_equal(run_by_hand((char *[]){ (char *)"skep", (char *)"--role=priv", NULL }), 2);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "--role=", 7))
		return strcmp(argv[1], "--role=priv") ? fake_main(argc, argv) : priv_main(argc - 1, argv + 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),   cmocka_unit_test(test_roles),
		cmocka_unit_test(test_bad_verbs),   cmocka_unit_test(test_super_dies),
		cmocka_unit_test(test_sigterm),     cmocka_unit_test(test_priv_killed),
		cmocka_unit_test(test_start_fails), cmocka_unit_test(test_two_ups),
		cmocka_unit_test(test_slots),       cmocka_unit_test(test_evidence_owner),
		cmocka_unit_test(test_by_hand),
	};
	tests_init();
	return cmocka_run_group_tests_name("priv-start", tests, NULL, NULL);
}
