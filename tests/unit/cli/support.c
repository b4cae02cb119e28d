/* SPDX-License-Identifier: ISC */
#include "support.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

char state[128];

void state_make(void)
{
	snprintf(state, sizeof(state), "/tmp/skep-cli-XXXXXX");
	assert_non_null(mkdtemp(state));
	setenv("SKEP_STATE", state, 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void state_drop(void)
{
	nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int state_setup(void **arg)
{
	(void)arg;
	state_make();
	return 0;
}

int state_teardown(void **arg)
{
	(void)arg;
	state_drop();
	return 0;
}

void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	fclose(f);
}

void make_image(const char *name)
{
	char path[400];
	static const uint8_t magic[] = { 0x53, 0xef };
	snprintf(path, sizeof(path), "%s/images", state);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/images/%s", state, name);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/images/%s/disk.img", state, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, magic, 2, 1024 + 0x38), 2);
	close(fd);
}

const char *make_file(const char *name)
{
	static char path[400];
	char text[600];
	snprintf(path, sizeof(path), "%s/%s.yaml", state, name);
	snprintf(text, sizeof(text),
		 "honeynet: %s\nuplink:\n  lab: 203.0.113.0/24\nnetworks:\n  lan:\n    v4: 192.0.2.0/24\n"
		 "honeypots:\n  web:\n    image: busybox\n    address: 192.0.2.10\n",
		 name);
	write_file(path, text);
	return path;
}

/* ---- the command line ------------------------------------------------------ */

pid_t start(int in, int out, int err, const char *const *argv)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	int status = cli_run(argc, (char **)argv, stdout, stderr);
	fflush(NULL);
	_exit(status);
}

int finish(pid_t pid)
{
	int status;
	for (int i = 0; i < 3000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fail_msg("the command hangs");
	return -1;
}

static int temp(const char *text)
{
	char path[] = "/tmp/skep-cli-io-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(path);
	if (text) {
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		lseek(fd, 0, SEEK_SET);
	}
	return fd;
}

static void slurp(int fd, char *buf, size_t cap)
{
	ssize_t n = pread(fd, buf, cap - 1, 0);
	buf[n > 0 ? n : 0] = 0;
	close(fd);
}

const struct ran *run(const char *in, ...)
{
	static struct ran ran;
	const char *argv[32] = { "skep" };
	int argc = 1;
	va_list ap;
	va_start(ap, in);
	while (argc < 31 && (argv[argc] = va_arg(ap, const char *)))
		argc++;
	va_end(ap);
	int fds[3] = { temp(in), temp(NULL), temp(NULL) };
	ran.status = finish(start(fds[0], fds[1], fds[2], argv));
	close(fds[0]);
	slurp(fds[1], ran.out, sizeof(ran.out));
	slurp(fds[2], ran.err, sizeof(ran.err));
	return &ran;
}

/* ---- fake super ------------------------------------------------------------ */

int fake_listen(const char *net)
{
	char path[400];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	snprintf(path, sizeof(path), "%s/run", state);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/run/%s", state, net);
	mkdir(path, 0700);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.60s/run/%.30s/ctl", state, net);
	unlink(sa.sun_path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return fd;
}

void fake_serve(int listener, const char *net, fake_fn fn, void *arg)
{
	static struct msg m;
	bool more = true;
	while (more) {
		struct fake f = { .chan = { -1, ROLE_SUPER, ROLE_CLI, STATE_RUN }, .net = net, .arg = arg };
		f.chan.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (f.chan.fd < 0)
			continue;
		while (more && msg_recv_wait(&f.chan, &m, -1, NULL) == 1) {
			more = fn(&f, &m);
			msg_close_fds(&m);
		}
		chan_close(&f.chan);
	}
}

pid_t fake_start(const char *net, fake_fn fn, void *arg)
{
	char path[400];
	int listener = fake_listen(net), ready[2];
	assert_true(listener >= 0);
	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "%s/run/%s/lock", state, net);
		int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		flock(lock, LOCK_EX);
		close(ready[0]);
		close(ready[1]);
		fake_serve(listener, net, fn, arg);
		_exit(0);
	}
	close(listener);
	close(ready[1]);
	char c;
	assert_int_equal(read(ready[0], &c, 1), 0);
	close(ready[0]);
	return pid;
}

void fake_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void reply_end(struct fake *f, const struct msg *m, int status, const char *text)
{
	struct rep_end end = { .status = status };
	snprintf(end.text, sizeof(end.text), "%s", text);
	msg_send(&f->chan, MSG_REP_END, m->req, &end, sizeof(end), NULL, 0);
}

void reply_progress(struct fake *f, const struct msg *m, unsigned step, unsigned steps, const char *text)
{
	struct rep_progress p = { .step = step, .steps = steps };
	snprintf(p.text, sizeof(p.text), "%s", text);
	msg_send(&f->chan, MSG_REP_PROGRESS, m->req, &p, sizeof(p), NULL, 0);
}

void reply_honeypot(struct fake *f, const struct msg *m, const char *name, unsigned honeypot_state, const char *detail)
{
	struct rep_honeypot h = { .backend = BACKEND_UML, .state = honeypot_state, .naddrs = 1, .memory = 64 << 20 };
	h.pss = 40 << 20;
	h.jail = JAIL_OWN_UID * 2 - 1;
	h.addrs[0] = (struct addr){ 4, 24, { 192, 0, 2, 10 } };
	h.seeing = SEEING_ABSENT;
	h.lost = 7;
	snprintf(h.blind, sizeof(h.blind), "no hooks\x1b]0;owned\x07");
	memcpy(h.name, name, strnlen(name, sizeof(h.name)));
	memcpy(h.detail, detail, strnlen(detail, sizeof(h.detail)));
	msg_send(&f->chan, MSG_REP_HONEYPOT, m->req, &h, sizeof(h), NULL, 0);
}
