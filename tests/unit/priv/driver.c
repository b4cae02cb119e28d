/* SPDX-License-Identifier: ISC */
#include "driver.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uid_t const test_uids[2] = { TEST_UID, 0 };
int test_nuids;
static char mounts_before[65536];

static size_t read_text(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	ssize_t n;
	while (fd >= 0 && at < cap - 1 && (n = read(fd, buf + at, cap - 1 - at)) > 0)
		at += (size_t)n;
	if (fd >= 0)
		close(fd);
	buf[at] = 0;
	return at;
}

/* What a failed test leaves is ended and removed here: a run of mutants fails
 * tests on purpose. */
static struct {
	char dir[40], name[NAME_CAP];
	pid_t priv; /* 0 = reaped */
} begun[64];
static int nbegun;

static int remove_group(const char *path, const struct stat *st, int kind, struct FTW *w)
{
	(void)st;
	for (int i = 0; i < nbegun; i++) {
		char want[96];
		struct stat run = { 0 };
		snprintf(want, sizeof(want), "%.39s/run/%.31s", begun[i].dir, begun[i].name);
		if (kind != FTW_DP || stat(want, &run) < 0)
			continue;
		snprintf(want, sizeof(want), "/skep-%.31s-%llx", begun[i].name, (unsigned long long)run.st_ino);
		if (strstr(path, want))
			rmdir(path);
	}
	(void)w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *w)
{
	(void)st;
	(void)kind;
	(void)w;
	return remove(path);
}

static void set_priv(const char *dir, pid_t was, pid_t is)
{
	for (int i = 0; i < nbegun; i++)
		if (!strcmp(begun[i].dir, dir) && begun[i].priv == was)
			begun[i].priv = is;
}

static void tests_end(void)
{
	bool killed = false;
	for (int i = 0; i < nbegun; i++)
		if (begun[i].priv && kill(begun[i].priv, SIGKILL) == 0) {
			waitpid(begun[i].priv, NULL, 0);
			killed = true;
		}
	if (killed)
		usleep(300000); /* its children die by their death signal */
	bool left = killed;
	for (int i = 0; i < nbegun; i++)
		left |= access(begun[i].dir, F_OK) == 0;
	if (left)
		nftw("/sys/fs/cgroup", remove_group, 16, FTW_PHYS | FTW_DEPTH);
	for (int i = 0; i < nbegun; i++)
		nftw(begun[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void tests_init(void)
{
	atexit(tests_end);
	test_nuids = geteuid() == 0 ? 2 : 1;
	signal(SIGPIPE, SIG_IGN);
	read_text("/proc/self/mountinfo", mounts_before, sizeof(mounts_before));
}

const char *net_path(struct net *n, const char *below)
{
	snprintf(n->path, sizeof(n->path), "%s/%s", n->dir, below);
	return n->path;
}

bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void make_dir(struct net *n, const char *below)
{
	if (below[0])
		assert_int_equal(mkdir(net_path(n, below), 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(net_path(n, below), n->uid, n->uid), 0);
}

void net_prepare(struct net *n, const char *name, uid_t uid)
{
	char below[64];
	*n = (struct net){ .uid = geteuid() ? geteuid() : uid, .status = -1, .lock = -1, .ctl.fd = -1 };
	strcpy(n->dir, "/tmp/skep-priv-XXXXXX");
	assert_non_null(mkdtemp(n->dir));
	strcpy(n->name, name);
	assert_true(nbegun < 64);
	strcpy(begun[nbegun].dir, n->dir);
	strcpy(begun[nbegun++].name, name);
	make_dir(n, "");
	make_dir(n, "run");
	snprintf(below, sizeof(below), "run/%s", name);
	make_dir(n, below);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
	struct stat st;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_int_equal(fstat(in, &st), 0);
	while (sendfile(out, in, NULL, 1 << 20) > 0) {
	}
	assert_int_equal(fchmod(out, mode), 0);
	close(in);
	close(out);
}

/* As in a build or an installation: priv finds the library beside its binary. */
static void copy_binary(struct net *n)
{
	const char *shim = getenv("SKEP_UML_SHIM");
	if (!shim)
		fail_msg("SKEP_UML_SHIM must say where skep-uml-shim.so is");
	copy_file("/proc/self/exe", net_path(n, "skep"), 0755);
	copy_file(shim, net_path(n, "skep-uml-shim.so"), 0644);
	assert_int_equal(chmod(n->dir, 0711), 0);
}

static void child(struct net *n, int status, int lock)
{
	char *const argv[] = { (char *)"skep", (char *)"--role=priv", n->name, NULL };
	char state[160];
	int null = open("/dev/null", O_RDWR);
	snprintf(state, sizeof(state), "SKEP_STATE=%s", n->dir);
	char *const env[] = { state, (char *)"SECRET=1", NULL };
	status = fcntl(status, F_DUPFD, 100);
	lock = fcntl(lock, F_DUPFD, 100);
	dup2(null, 0);
	dup2(null, 1);
	dup2(status, 3);
	dup2(lock, 4);
	dup2(null, 9); /* must not reach any role */
	if (n->before)
		n->before(n);
	if (geteuid() == 0 && n->uid &&
	    (setresgid(n->uid, n->uid, n->uid) < 0 || setresuid(n->uid, n->uid, n->uid) < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing running */
	execve(n->copy ? net_path(n, "skep") : "/proc/self/exe", argv, env);
	_exit(127);
}

void net_start(struct net *n)
{
	char below[64];
	int pipefd[2];
	if (n->copy)
		copy_binary(n);
	snprintf(below, sizeof(below), "run/%s/lock", n->name);
	n->lock = open(net_path(n, below), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(n->lock >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(n->lock, n->uid, n->uid), 0);
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	n->priv = fork();
	assert_true(n->priv >= 0);
	if (n->priv == 0)
		child(n, pipefd[1], n->lock);
	set_priv(n->dir, 0, n->priv);
	close(pipefd[1]);
	close(n->lock);
	n->lock = -1;
	n->status = pipefd[0];
}

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void net_connect(struct net *n)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	uint64_t until = now_ms() + 10000;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/%s/ctl", n->dir, n->name);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		assert_true(now_ms() < until);
		usleep(5000);
	}
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(recv(fd, &n->super, sizeof(n->super), 0), sizeof(n->super));
	n->ctl = (struct chan){ .fd = fd, .self = ROLE_SUPER, .peer = ROLE_PRIV, .state = STATE_RUN };
}

static bool take_note(struct net *n, const struct msg *m)
{
	if (m->type == MSG_PRIV_EXITED) {
		assert_true(n->nexited < 16);
		n->exited[n->nexited++] = *MSG_BODY_AS(m, priv_exited);
		return true;
	}
	if (m->type == MSG_PRIV_THREAD) {
		if (n->nthreads < 64)
			n->threads[n->nthreads] = *MSG_BODY_AS(m, rep_thread);
		n->nthreads++;
		return true;
	}
	return false;
}

static struct msg *next(struct net *n)
{
	static struct msg m;
	struct err e = { 0 };
	int r = msg_recv_wait(&n->ctl, &m, 20000, &e);
	if (r != 1)
		fail_msg("no answer from priv: %d %s", r, e.text);
	return &m;
}

void net_call(struct net *n, uint32_t type, const void *body, size_t len, const int *send_fds, int nsend,
	      struct priv_done *done, int fds[4])
{
	uint64_t req = ++n->req;
	assert_int_equal(msg_send_wait(&n->ctl, type, req, body, len, send_fds, nsend, 5000), 0);
	struct msg *m = next(n);
	while (take_note(n, m))
		m = next(n);
	assert_int_equal(m->type, MSG_PRIV_DONE);
	assert_int_equal(m->req, req);
	*done = *MSG_BODY_AS(m, priv_done);
	for (int i = 0; fds && i < 4; i++)
		fds[i] = msg_take_fd(m, i);
	msg_close_fds(m);
	assert_true(MSG_TEXT(done->text));
	if (done->status < 0)
		assert_true(done->text[0]);
}

void net_wait_exited(struct net *n, struct priv_exited *x)
{
	while (!n->nexited)
		assert_true(take_note(n, next(n)));
	*x = n->exited[0];
	memmove(n->exited, n->exited + 1, sizeof(*x) * (size_t)--n->nexited);
}

void net_status(struct net *n, char *buf, size_t cap)
{
	size_t at = 0;
	ssize_t k;
	struct pollfd p = { .fd = n->status, .events = POLLIN };
	for (;;) {
		assert_int_equal(poll(&p, 1, 25000), 1);
		k = read(n->status, buf + at, cap - 1 - at);
		if (k <= 0)
			break;
		at += (size_t)k;
	}
	buf[at] = 0;
	close(n->status);
	n->status = -1;
}

void net_run(struct net *n)
{
	struct msg_empty none = { 0 };
	struct priv_done done;
	char line[512];
	CALL(n, PRIV_RUN, &none, NULL, 0, &done, NULL);
	assert_int_equal(done.status, 0);
	net_status(n, line, sizeof(line));
	assert_string_equal(line, "ready\n");
}

void net_up(struct net *n, const char *name, uid_t uid)
{
	net_prepare(n, name, uid);
	net_start(n);
	net_connect(n);
	net_run(n);
}

int net_wait(struct net *n)
{
	int status = -1;
	uint64_t until = now_ms() + 25000;
	while (waitpid(n->priv, &status, WNOHANG) == 0) {
		if (now_ms() > until)
			fail_msg("priv (pid %d) does not end", n->priv);
		usleep(5000);
	}
	set_priv(n->dir, n->priv, 0);
	chan_close(&n->ctl);
	if (n->status >= 0)
		close(n->status);
	n->status = -1;
	return status;
}

bool alive(pid_t pid)
{
	char path[64], buf[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!read_text(path, buf, sizeof(buf)))
		return false;
	const char *p = strrchr(buf, ')');
	return p && p[2] != 'Z' && p[2] != 'X';
}

static pid_t parent_of(pid_t pid)
{
	char path[64], buf[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_text(path, buf, sizeof(buf));
	const char *p = strrchr(buf, ')');
	return p ? atoi(p + 4) : 0; /* ") S PPID" */
}

static bool in_family(const struct net *n, pid_t pid)
{
	for (int i = 0; i < n->nfamily; i++)
		if (n->family[i] == pid)
			return true;
	return false;
}

void net_watch(struct net *n)
{
	n->family[0] = n->priv;
	n->nfamily = 1;
	for (int before = 0; before != n->nfamily;) {
		DIR *d = opendir("/proc");
		before = n->nfamily;
		for (struct dirent *de; d && (de = readdir(d));) {
			pid_t pid = atoi(de->d_name);
			if (pid > 0 && !in_family(n, pid) && in_family(n, parent_of(pid)) && n->nfamily < 512)
				n->family[n->nfamily++] = pid;
		}
		closedir(d);
	}
}

static const char *group_name;
static bool group_found;

static int look_for_group(const char *path, const struct stat *st, int kind, struct FTW *w)
{
	(void)st;
	if (kind == FTW_D && !strcmp(path + w->base, group_name))
		group_found = true;
	return w->level > 6;
}

void net_gone(struct net *n)
{
	static char mounts[65536];
	char below[64], group[64];
	snprintf(below, sizeof(below), "run/%s/ctl", n->name);
	assert_false(exists(net_path(n, below)));
	for (int i = 0; i < 200 && alive(n->super.pid); i++)
		usleep(10000);
	assert_false(n->super.pid && alive(n->super.pid));
	for (int i = 0; i < n->nfamily; i++) {
		for (int k = 0; k < 200 && alive(n->family[i]); k++)
			usleep(10000);
		if (alive(n->family[i]))
			fail_msg("pid %d is left", n->family[i]);
	}
	read_text("/proc/self/mountinfo", mounts, sizeof(mounts));
	assert_string_equal(mounts, mounts_before);
	struct stat st = { 0 };
	snprintf(below, sizeof(below), "run/%s", n->name);
	assert_int_equal(stat(net_path(n, below), &st), 0);
	snprintf(group, sizeof(group), "skep-%s-%llx", n->name, (unsigned long long)st.st_ino);
	group_name = group;
	group_found = false;
	nftw("/sys/fs/cgroup", look_for_group, 16, FTW_PHYS);
	assert_false(group_found);
}

void net_remove(struct net *n)
{
	nftw(n->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void net_quit(struct net *n)
{
	struct msg_empty none = { 0 };
	struct priv_done done;
	net_watch(n);
	CALL(n, PRIV_QUIT, &none, NULL, 0, &done, NULL);
	assert_int_equal(done.status, 0);
	int status = net_wait(n);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	net_gone(n);
	net_remove(n);
}

int net_spawn(struct net *n, enum role role, uint32_t slot, int *fd)
{
	struct priv_spawn s = { .role = role, .slot = slot };
	struct priv_done done;
	int pair[2], more[2] = { -1, -1 };
	assert_int_equal(msg_pair(pair, NULL), 0);
	fcntl(pair[1], F_SETFL, 0);
	bool two = role == ROLE_VMM || role == ROLE_INTROSPECT || role == ROLE_SINKHOLE;
	if (two)
		assert_int_equal(msg_pair(more, NULL), 0);
	CALL(n, PRIV_SPAWN, &s, ((int[]){ pair[1], more[1] }), two ? 2 : 1, &done, NULL);
	close(pair[1]);
	close(more[0]);
	close(more[1]);
	if (done.status < 0) {
		close(pair[0]);
		*fd = -1;
		return done.status;
	}
	*fd = pair[0];
	return done.pid;
}

void role_report(int fd, char *buf, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	ssize_t n = recv(fd, buf, cap - 1, 0);
	assert_true(n > 0);
	buf[n] = 0;
}
