/* SPDX-License-Identifier: ISC */
/* Disks and machines: what PRIV_DISK and PRIV_VMM let through and what not. */
#include "driver.h"

#include "proc/priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void own(struct net *n, const char *path)
{
	if (geteuid() == 0)
		assert_int_equal(lchown(path, n->uid, n->uid), 0);
}

static void make_image(struct net *n, const char *name, const char *data)
{
	char below[64];
	mkdir(net_path(n, "images"), 0700);
	own(n, net_path(n, "images"));
	snprintf(below, sizeof(below), "images/%s", name);
	mkdir(net_path(n, below), 0700);
	own(n, net_path(n, below));
	snprintf(below, sizeof(below), "images/%s/disk.img", name);
	put_file(net_path(n, below), data);
	own(n, net_path(n, below));
}

static struct priv_disk disk(uint32_t op, uint32_t slot, const char *pot, const char *image)
{
	struct priv_disk d = { .op = op, .slot = slot };
	strncpy(d.honeypot, pot, NAME_CAP - 1);
	strncpy(d.image, image, NAME_CAP - 1);
	return d;
}

static int call_disk(struct net *n, struct priv_disk d, struct priv_done *done, int fds[4])
{
	CALL(n, PRIV_DISK, &d, NULL, 0, done, fds);
	if (done->status < 0) {
		assert_int_equal(fds[0], -1);
		assert_int_equal(fds[1], -1);
	}
	return done->status;
}

static void close_all(int fds[4])
{
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void test_disk(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		struct stat st;
		int fds[4];
		char b[8];
		net_prepare(&n, "disks", test_uids[i]);
		make_image(&n, "img", "base");
		net_start(&n);
		net_connect(&n);
		net_run(&n);
		assert_int_equal(call_disk(&n, disk(DISK_OPEN, 5, "pot", "img"), &done, fds), -ENOENT);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 5, "pot", "img"), &done, fds), 0);
		assert_int_equal(done.kind, 1); /* empty */
		assert_int_equal(fstat(fds[0], &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_uid, n.uid ? n.uid : (n.super.uid & ~1023u) + 512 + 5);
		assert_int_equal(write(fds[0], "over", 4), 4);
		assert_int_equal(read(fds[1], b, 8), 4);
		assert_int_equal(write(fds[1], "x", 1), -1);
		int old = dup(fds[0]);
		close_all(fds);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 5, "pot", "img"), &done, fds), 0);
		assert_int_equal(done.kind, 0); /* kept */
		assert_int_equal(read(fds[0], b, 8), 4);
		close_all(fds);
		/* The honeypot may get another slot: then another uid owns it. */
		assert_int_equal(call_disk(&n, disk(DISK_OPEN, 6, "pot", "img"), &done, fds), 0);
		assert_int_equal(fstat(fds[0], &st), 0);
		if (!n.uid)
			assert_int_equal(st.st_uid & 1023, 512 + 6);
		close_all(fds);
		/* Whoever holds the disk from before a reset has the old one only. */
		assert_int_equal(call_disk(&n, disk(DISK_RESET, 5, "pot", "img"), &done, fds), 0);
		assert_int_equal(done.kind, 1);
		assert_int_equal(write(old, "evil", 4), 4);
		assert_int_equal(read(fds[0], b, 8), 0);
		close(old);
		close_all(fds);
		assert_int_equal(call_disk(&n, disk(DISK_REMOVE, 5, "pot", ""), &done, fds), 0);
		assert_int_equal(fds[0], -1);
		assert_false(exists(net_path(&n, "nets/disks/disks/pot.cow")));
		assert_int_equal(call_disk(&n, disk(DISK_REMOVE, 5, "pot", ""), &done, fds), 0);
		net_quit(&n);
	}
}

static void test_disk_attacks(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct priv_done done;
		struct stat st;
		int fds[4];
		char to[200];
		net_prepare(&n, "disks", test_uids[i]);
		make_image(&n, "img", "base");
		make_image(&n, "empty", "");
		put_file(net_path(&n, "victim"), "secret");
		own(&n, net_path(&n, "victim"));
		snprintf(to, sizeof(to), "%s/victim", n.dir);
		net_start(&n);
		net_connect(&n);
		net_run(&n);
		/* Links in place of an overlay. */
		assert_int_equal(symlink(to, net_path(&n, "nets/disks/disks/sym.cow")), 0);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "sym", "img"), &done, fds), -ELOOP);
		assert_int_equal(call_disk(&n, disk(DISK_OPEN, 0, "sym", "img"), &done, fds), -ELOOP);
		assert_int_equal(link(to, net_path(&n, "nets/disks/disks/hard.cow")), 0);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "hard", "img"), &done, fds), -EPERM);
		assert_int_equal(mkfifo(net_path(&n, "nets/disks/disks/fifo.cow"), 0600), 0);
		own(&n, net_path(&n, "nets/disks/disks/fifo.cow"));
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "fifo", "img"), &done, fds), -EPERM);
		assert_int_equal(stat(to, &st), 0);
		assert_int_equal(st.st_uid, n.uid);
		assert_int_equal(st.st_size, 6);
		/* Reset and remove take the link, not what it points to. */
		assert_int_equal(call_disk(&n, disk(DISK_REMOVE, 0, "sym", ""), &done, fds), 0);
		assert_true(exists(to));
		/* Links in place of an image, or of its directory. */
		assert_int_equal(symlink("img", net_path(&n, "images/other")), 0);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "pot", "other"), &done, fds), -ENOTDIR);
		mkdir(net_path(&n, "images/third"), 0755);
		assert_int_equal(symlink(to, net_path(&n, "images/third/disk.img")), 0);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "pot", "third"), &done, fds), -ELOOP);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "pot", "empty"), &done, fds), -EINVAL);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "pot", "none"), &done, fds), -ENOENT);
		assert_string_equal(done.text, "image none is missing; run: skep image build none");
		assert_false(exists(net_path(&n, "nets/disks/disks/pot.cow")));
		/* Names that are none, numbers out of range. */
		static const char *const names[] = { "", "../x", "a/b", ".", "..", "A", "x.cow", "a b" };
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, names[k], "img"), &done, fds), -EINVAL);
			assert_int_equal(call_disk(&n, disk(DISK_CREATE, 0, "pot", names[k]), &done, fds), -EINVAL);
			assert_int_equal(call_disk(&n, disk(DISK_REMOVE, 0, names[k], "img"), &done, fds), -EINVAL);
		}
		struct priv_disk d = disk(DISK_CREATE, 0, "pot", "img");
		memset(d.honeypot, 'a', NAME_CAP);
		assert_int_equal(call_disk(&n, d, &done, fds), -EINVAL);
		d = disk(DISK_CREATE, 0, "pot", "img");
		memset(d.image, 'a', NAME_CAP);
		assert_int_equal(call_disk(&n, d, &done, fds), -EINVAL);
		assert_int_equal(call_disk(&n, disk(9, 0, "pot", "img"), &done, fds), -ERANGE);
		assert_int_equal(call_disk(&n, disk(DISK_CREATE, 256, "pot", "img"), &done, fds), -ERANGE);
		net_quit(&n);
	}
}

/* Everything that a machine needs; far ends in m[3..5]. */
struct machine {
	struct priv_vmm v;
	int fds[5], far[3], disk[4];
};

static void machine_make(struct net *n, struct machine *m, uint32_t slot, const char *pot)
{
	static const int kinds[3] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	struct priv_done done;
	*m = (struct machine){ .v = { .slot = slot, .memory = 64 << 20, .cpus = 1, .mac = { 0, 22, 62, 1, 2, 3 } } };
	strncpy(m->v.honeypot, pot, NAME_CAP - 1);
	assert_int_equal(call_disk(n, disk(DISK_CREATE, slot, pot, "img"), &done, m->disk), 0);
	for (int i = 0; i < 3; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, kinds[i] | SOCK_CLOEXEC, 0, pair), 0);
		m->fds[i] = pair[0];
		m->far[i] = pair[1];
	}
	m->fds[3] = m->disk[0];
	m->fds[4] = m->disk[1];
}

static void machine_close(struct machine *m)
{
	for (int i = 0; i < 5; i++)
		close(m->fds[i]);
	for (int i = 0; i < 3; i++)
		close(m->far[i]);
}

static int call_vmm(struct net *n, struct machine *m, struct priv_done *done, int *pidfd)
{
	int fds[4];
	CALL(n, PRIV_VMM, &m->v, m->fds, 5, done, fds);
	assert_int_equal(fds[0] >= 0, done->status == 0);
	*pidfd = fds[0];
	return done->status;
}

static void up_with_image(struct net *n, uid_t uid)
{
	net_prepare(n, "machines", uid);
	n->copy = true;
	make_image(n, "img", "this is no file system");
	net_start(n);
	net_connect(n);
	net_run(n);
}

/* A real kernel in its jail. Its disk is none, so that it panics: but only
 * after it has found its console, and that it has no root file system. */
static void test_machine(void **state)
{
	(void)state;
	if (access("/usr/bin/linux.uml", X_OK) < 0)
		skip();
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct machine m, same;
		struct priv_done done;
		struct priv_exited x;
		static char text[65536];
		size_t at = 0;
		int pidfd, other;
		up_with_image(&n, test_uids[i]);
		machine_make(&n, &m, 9, "pot");
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), 0);
		pid_t pid = done.pid;
		unsigned want = JAIL_USERNS | JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS | JAIL_SECCOMP | JAIL_CAPS;
		assert_int_equal(done.jail & want, want);
		/* Once for each slot, and the disk is taken. */
		if (alive(pid)) {
			int fds[4];
			assert_int_equal(call_vmm(&n, &m, &done, &other), -EEXIST);
			assert_int_equal(call_disk(&n, disk(DISK_RESET, 9, "pot", "img"), &done, fds), -EBUSY);
			assert_int_equal(call_disk(&n, disk(DISK_REMOVE, 9, "pot", "img"), &done, fds), -EBUSY);
			assert_int_equal(call_disk(&n, disk(DISK_OPEN, 10, "pot", "img"), &done, fds), -EBUSY);
			assert_int_equal(call_disk(&n, disk(DISK_CREATE, 9, "pot2", "img"), &done, fds), -EBUSY);
		}
		struct pollfd p = { .fd = m.far[1], .events = POLLIN };
		close(m.fds[1]); /* ours of the console, so that its end shows */
		m.fds[1] = -1;
		while (at < sizeof(text) - 1 && poll(&p, 1, 10000) == 1) {
			ssize_t k = read(m.far[1], text + at, sizeof(text) - 1 - at);
			if (k <= 0)
				break;
			at += (size_t)k;
		}
		text[at] = 0;
		net_wait_exited(&n, &x);
		assert_int_equal(x.vmm, 1);
		assert_int_equal(x.slot, 9);
		assert_int_equal(x.pid, pid);
		/* As pid 1 it cannot abort: see the shim. */
		if (x.wait_status != (128 + SIGABRT) << 8 || !strstr(text, "Can't open"))
			fail_msg("status %x, console: %s", x.wait_status, text);
		p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
		assert_int_equal(poll(&p, 1, 0), 1);
		close(pidfd);
		machine_close(&m);
		/* Now the disk is free. */
		machine_make(&n, &same, 10, "pot");
		assert_int_equal(call_vmm(&n, &same, &done, &pidfd), 0);
		/* The end takes it with it. */
		close(pidfd);
		net_quit(&n);
		assert_false(alive(done.pid));
		machine_close(&same);
	}
}

/* A machine that allows no user namespaces: the limit is one of the user
 * namespace in which it is written, so that only what is below is concerned.
 * All uids are mapped to themselves, so that root is as good as before. */
static void forbid_namespaces(struct net *n)
{
	static const char map[] = "0 0 4294967294\n";
	int p[2], status;
	char path[64], c = 0;
	(void)n;
	if (pipe2(p, O_CLOEXEC) < 0)
		_exit(125);
	pid_t us = getpid(), helper = fork();
	if (helper == 0) {
		/* Only the parent namespace may map more than one uid. */
		static const char *const files[] = { "uid_map", "gid_map" };
		if (read(p[0], &c, 1) != 1)
			_exit(1);
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", us, files[i]);
			int fd = open(path, O_WRONLY);
			if (write(fd, map, sizeof(map) - 1) != sizeof(map) - 1)
				_exit(1);
		}
		_exit(0);
	}
	if (unshare(CLONE_NEWUSER) < 0 || write(p[1], "x", 1) != 1 || waitpid(helper, &status, 0) < 0 || status)
		_exit(124);
	int fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
	if (write(fd, "0", 1) != 1)
		_exit(123);
	close(fd);
}

static void test_no_namespaces(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	struct net n;
	struct machine m;
	struct priv_done done;
	char line[600];
	int pidfd;
	/* An ordinary user is told, once, and nothing is left. */
	net_prepare(&n, "bare", TEST_UID);
	n.before = forbid_namespaces;
	net_start(&n);
	net_status(&n, line, sizeof(line));
	if (strncmp(line, "error: cannot make a user namespace: ", 37) || !strstr(line, "max_user_namespaces"))
		fail_msg("%s", line);
	assert_true(net_wait(&n) == 1 << 8);
	net_gone(&n);
	net_remove(&n);
	/* root works without, in a jail that has all but that. */
	net_prepare(&n, "machines", 0);
	n.before = forbid_namespaces;
	n.copy = true;
	make_image(&n, "img", "this is no file system");
	net_start(&n);
	net_connect(&n);
	net_run(&n);
	machine_make(&n, &m, 3, "pot");
	assert_int_equal(call_vmm(&n, &m, &done, &pidfd), 0);
	assert_int_equal(done.jail & JAIL_USERNS, 0);
	unsigned want = JAIL_MOUNTS | JAIL_PIDNS | JAIL_NETNS | JAIL_SECCOMP | JAIL_CAPS | JAIL_OWN_UID;
	assert_int_equal(done.jail & want, want);
	close(pidfd);
	net_quit(&n);
	machine_close(&m);
}

static void inspect(struct net *n, uint32_t everything, uint32_t slot, struct priv_done *done)
{
	struct priv_inspect q = { .everything = everything, .slot = slot };
	n->nthreads = 0;
	CALL(n, PRIV_INSPECT, &q, NULL, 0, done, NULL);
}

static const struct rep_thread *thread_of(const struct net *n, const char *honeypot, const char *role, int pid)
{
	for (int i = 0; i < n->nthreads && i < 64; i++)
		if (!strcmp(n->threads[i].honeypot, honeypot) && !strcmp(n->threads[i].role, role) &&
		    n->threads[i].pid == pid)
			return &n->threads[i];
	fail_msg("no thread of %s/%s pid %d", honeypot, role, pid);
	return NULL;
}

static char group_dir[4096];

static int look_for_vm(const char *path, const struct stat *st, int kind, struct FTW *w)
{
	(void)st;
	if (kind == FTW_D && !strcmp(path + w->base, "vm-9") && strstr(path, "/skep-machines-") &&
	    strstr(path, "memory"))
		strcpy(group_dir, path);
	return 0;
}

/* The limit of its control group is there while it runs. */
static void check_group(unsigned jail)
{
	char path[4200], text[64] = "";
	group_dir[0] = 0;
	nftw("/sys/fs/cgroup", look_for_vm, 16, FTW_PHYS);
	if (!(jail & JAIL_CGROUP)) {
		assert_int_equal(group_dir[0], 0);
		return;
	}
	if (!group_dir[0])
		return; /* version 2 only: no "memory" in the path */
	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", group_dir);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_int_equal(strtoull(text, NULL, 10), (64ull << 20) * 5 / 4 + (96ull << 20));
}

static void test_inspect(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct machine m;
		struct priv_done done;
		int gw, handler, pidfd;
		up_with_image(&n, test_uids[i]);
		int gw_pid = net_spawn(&n, ROLE_GATEWAY, 0, &gw);
		int handler_pid = net_spawn(&n, ROLE_VMM, 9, &handler);
		machine_make(&n, &m, 9, "pot");
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), 0);
		unsigned jail = done.jail;
		pid_t pid = done.pid;
		if (!n.uid)
			assert_true(jail & JAIL_OWN_UID);
		/* It speaks before it panics. */
		struct pollfd p = { .fd = m.far[1], .events = POLLIN };
		assert_int_equal(poll(&p, 1, 10000), 1);
		kill(pid, SIGSTOP);
		inspect(&n, 0, 9, &done);
		assert_int_equal(done.status, 0);
		if (done.rss < 100000 || done.rss > (200u << 20) || done.pss < 50000)
			fail_msg("rss %llu pss %llu", (unsigned long long)done.rss, (unsigned long long)done.pss);
		assert_int_equal(n.nthreads, 0);
		inspect(&n, 0, 8, &done);
		assert_int_equal(done.rss, 0);
		inspect(&n, 1, 9, &done);
		const struct rep_thread *t = thread_of(&n, "pot", "machine", pid);
		assert_int_equal(t->seccomp, 2);
		assert_int_equal(t->no_new_privs, 1);
		assert_int_equal(t->capbnd, 0);
		assert_int_equal(t->capeff, 0);
		assert_int_equal(t->uid, n.uid ? n.uid : (n.super.uid & ~1023u) + 512 + 9);
		thread_of(&n, "pot", "vmm", handler_pid);
		inspect(&n, 1, PRIV_ALL, &done);
		thread_of(&n, "pot", "machine", pid);
		thread_of(&n, "pot", "vmm", handler_pid);
		thread_of(&n, "gateway", "gateway", gw_pid);
		thread_of(&n, "super", "super", n.super.pid);
		thread_of(&n, "priv", "priv", n.priv);
		inspect(&n, 1, 256, &done);
		assert_int_equal(done.status, -ERANGE);
		check_group(jail);
		struct priv_kill k = { .what = ROLE_VMM, .slot = 9, .vmm = 1 };
		struct priv_exited x;
		CALL(&n, PRIV_KILL, &k, NULL, 0, &done, NULL);
		assert_int_equal(done.status, 0);
		net_wait_exited(&n, &x);
		assert_int_equal(x.pid, pid);
		assert_int_equal(x.wait_status, SIGKILL);
		inspect(&n, 1, 9, &done);
		assert_int_equal(done.rss, 0);
		assert_int_equal(n.nthreads, 1); /* the handler */
		close(pidfd);
		close(gw);
		close(handler);
		machine_close(&m);
		net_quit(&n);
	}
}

static int memory_fd(int seals)
{
	int fd = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Hooks' ring and plan go into the jail only as what they must be; and the
 * machine's memory comes out, to read. */
static void test_memory(void **state)
{
	(void)state;
	if (access("/usr/bin/linux.uml", X_OK) < 0)
		skip();
	enum { RING = F_SEAL_SHRINK | F_SEAL_GROW, PLAN = RING | F_SEAL_WRITE };
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct machine m;
		struct priv_done done;
		struct priv_memory q = { .slot = 9 };
		int fds[4], ring = memory_fd(RING), plan = memory_fd(PLAN), open_fd = memory_fd(0);
		up_with_image(&n, test_uids[i]);
		machine_make(&n, &m, 9, "pot");
		CALL(&n, PRIV_MEMORY, &q, NULL, 0, &done, fds);
		assert_int_equal(done.status, -ESRCH);
		const int wrong[][2] = { { open_fd, plan }, { ring, ring }, { ring, open_fd }, { m.fds[3], plan } };
		int list[7];
		memcpy(list, m.fds, sizeof(m.fds));
		for (unsigned k = 0; k < 4; k++) {
			list[5] = wrong[k][0];
			list[6] = wrong[k][1];
			CALL(&n, PRIV_VMM, &m.v, list, 7, &done, fds);
			assert_int_equal(done.status, -EINVAL);
		}
		CALL(&n, PRIV_VMM, &m.v, list, 6, &done, fds);
		assert_int_equal(done.status, -EINVAL);
		list[5] = ring;
		list[6] = plan;
		CALL(&n, PRIV_VMM, &m.v, list, 7, &done, fds);
		assert_int_equal(done.status, 0);
		pid_t pid = done.pid;
		int pidfd = fds[0];
		struct pollfd p = { .fd = m.far[1], .events = POLLIN };
		assert_int_equal(poll(&p, 1, 10000), 1);
		kill(pid, SIGSTOP);
		CALL(&n, PRIV_MEMORY, &q, NULL, 0, &done, fds);
		assert_int_equal(done.status, 0);
		assert_int_equal(done.pid, pid);
		char magic[4] = "";
		assert_int_equal(pread(fds[0], magic, 4, 0x60000000), 4);
		assert_memory_equal(magic, "\177ELF", 4);
		assert_int_equal(pwrite(fds[0], magic, 4, 0x60000000), -1);
		assert_int_equal(errno, EBADF);
		close(fds[0]);
		struct pollfd ends = { .fd = fds[1], .events = POLLIN };
		assert_int_equal(poll(&ends, 1, 0), 0); /* it has not ended */
		close(fds[1]);
		q.slot = 8;
		CALL(&n, PRIV_MEMORY, &q, NULL, 0, &done, fds);
		assert_int_equal(done.status, -ESRCH);
		q.slot = 256;
		CALL(&n, PRIV_MEMORY, &q, NULL, 0, &done, fds);
		assert_int_equal(done.status, -ERANGE);
		close(pidfd);
		net_quit(&n);
		machine_close(&m);
		close(ring);
		close(plan);
		close(open_fd);
	}
}

static void test_machine_limits(void **state)
{
	(void)state;
	for (int i = 0; i < test_nuids; i++) {
		struct net n;
		struct machine m, good;
		struct priv_done done;
		int pidfd, save;
		up_with_image(&n, test_uids[i]);
		machine_make(&n, &good, 1, "pot");
		m = good, m.v.slot = 256;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -ERANGE);
		m = good, m.v.slot = 2; /* has no disk */
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		m = good, strcpy(m.v.honeypot, "other");
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		m = good, memset(m.v.honeypot, 'a', NAME_CAP);
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		m = good, m.v.backend = BACKEND_QEMU;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -ENOTSUP);
		m = good, m.v.backend = 77;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -ERANGE);
		m = good, m.v.memory = 1;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		m = good, m.v.memory = UINT64_MAX;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		m = good, m.v.mac[0] = 1;
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EINVAL);
		/* Each fd must be what its place says. */
		for (int k = 0; k < 5; k++) {
			m = good, m.fds[k] = good.fds[(k + 1) % 5];
			assert_true(call_vmm(&n, &m, &done, &pidfd) < 0);
		}
		CALL(&n, PRIV_VMM, &good.v, good.fds, 4, &done, NULL);
		assert_int_equal(done.status, -EINVAL);
		/* Another file, and even the right one otherwise opened, is no disk. */
		m = good, m.fds[3] = open("/etc/passwd", O_RDWR | O_CLOEXEC);
		if (m.fds[3] < 0)
			m.fds[3] = open("/dev/zero", O_RDWR | O_CLOEXEC);
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EPERM);
		close(m.fds[3]);
		m = good, m.fds[4] = save = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
		assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EPERM);
		close(save);
		if (geteuid() == 0) {
			m = good, m.fds[4] = save = open(net_path(&n, "images/img/disk.img"), O_RDWR | O_CLOEXEC);
			assert_int_equal(call_vmm(&n, &m, &done, &pidfd), -EPERM);
			close(save);
		}
		machine_close(&good);
		net_quit(&n);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strncmp(argv[1], "--role=", 7))
		return strcmp(argv[1], "--role=priv") ? fake_main(argc, argv) : priv_main(argc - 1, argv + 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk),          cmocka_unit_test(test_disk_attacks),
		cmocka_unit_test(test_machine),       cmocka_unit_test(test_machine_limits),
		cmocka_unit_test(test_memory),        cmocka_unit_test(test_inspect),
		cmocka_unit_test(test_no_namespaces),
	};
	tests_init();
	return cmocka_run_group_tests_name("priv-vmm", tests, NULL, NULL);
}
