/* SPDX-License-Identifier: ISC */
/* `skep up` against a priv that is this program itself, executed again: first
 * starts, changes, failures at each point, two at once, Ctrl-C. */
#include "support.h"

#include "cli/nets.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the next priv does, and what those before did: files, since priv is
 * started by the cli and not by us. */
static void set_mode(const char *mode)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/mode", state);
	write_file(path, mode);
}

static bool mode_is(const char *mode)
{
	char path[200], text[32] = "";
	snprintf(path, sizeof(path), "%s/mode", state);
	FILE *f = fopen(path, "re");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	return !strcmp(text, mode);
}

static void note(const char *word)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/notes", state);
	FILE *f = fopen(path, "ae");
	fprintf(f, "%s ", word);
	fclose(f);
}

static const char *notes(void)
{
	static char text[512];
	char path[200];
	memset(text, 0, sizeof(text));
	snprintf(path, sizeof(path), "%s/notes", state);
	FILE *f = fopen(path, "re");
	if (f) {
		size_t n = fread(text, 1, sizeof(text) - 1, f);
		text[n] = 0;
		fclose(f);
	}
	return text;
}

/* ---- the other program: priv and super in one -------------------------------- */

static const char *source_ok(int fd)
{
	char text[32] = "";
	struct stat st;
	if (fstat(fd, &st) < 0 || pread(fd, text, 15, 0) != 15 || strcmp(text, "honeynet: demo\n") != 0)
		return "bad-source";
	if (fcntl(fd, F_GET_SEALS) != (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		return "unsealed";
	return "source";
}

static bool serve(struct fake *f, struct msg *m)
{
	static struct model model;
	struct err e;
	if (mode_is("mute"))
		return true;
	if (m->type == MSG_CMD_DOWN) {
		note("down");
		reply_end(f, m, 0, "");
		return false;
	}
	if (m->type != MSG_CMD_APPLY) {
		reply_end(f, m, -ENOSYS, "not in this test");
		return true;
	}
	note("apply");
	if (m->nfds != 2 || model_open(m->fds[0], &model, &e) < 0 || strcmp(model.name, "demo") != 0)
		note("bad-model");
	else
		note(source_ok(m->fds[1]));
	reply_progress(f, m, 1, 2, "start machine web");
	if (mode_is("slow-refuse"))
		usleep(700000);
	reply_progress(f, m, 2, 2, "done");
	if (mode_is("die"))
		_exit(1);
	if (mode_is("refuse") || mode_is("slow-refuse")) {
		set_mode("ok");
		reply_end(f, m, -EIO, "web does not boot");
		return true;
	}
	reply_end(f, m, 0, "");
	return true;
}

static int fake_priv(const char *name)
{
	static const char ready[] = "ready\n", error[] = "error: no room for it\n";
	alarm(30);
	snprintf(state, sizeof(state), "%s", getenv("SKEP_STATE"));
	/* 0 and 1 are no terminal, 5 and up are closed, the lock is held. */
	if (fcntl(3, F_GETFD) < 0 || fcntl(4, F_GETFD) < 0 || fcntl(5, F_GETFD) >= 0)
		note("bad-fds");
	if (getsid(0) != getpid())
		note("no-session");
	if (net_lock(name, false, NULL) != -EWOULDBLOCK)
		note("no-lock");
	note("priv");
	if (mode_is("error"))
		return write(3, error, sizeof(error) - 1) < 0 ? 2 : 1;
	if (mode_is("silent"))
		return 1;
	if (mode_is("hang"))
		for (;;)
			pause();
	if (mode_is("slow"))
		usleep(600000);
	int listener = fake_listen(name);
	if (listener < 0 || write(3, ready, sizeof(ready) - 1) < 0)
		return 2;
	close(3);
	fake_serve(listener, name, serve, NULL);
	return 0;
}

/* ---- tests ---------------------------------------------------------------------- */

static void nothing_left(void)
{
	char path[200];
	assert_int_equal(net_life("demo"), NET_ENDED);
	snprintf(path, sizeof(path), "%s/run/demo/ctl", state);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/run/.up-demo", state);
	assert_int_equal(access(path, F_OK), -1);
}

static void starts_and_changes(void **arg)
{
	(void)arg;
	const char *file = make_file("demo");
	set_mode("ok");
	const struct ran *r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->out, "");
	assert_non_null(strstr(r->err, "starting honeynet demo\n[1/2] start machine web\n[2/2] done\n"));
	assert_non_null(strstr(r->err, "honeynet demo is up ("));
	assert_string_equal(notes(), "priv apply source ");
	/* Again: the same one gets the file, no second priv. */
	r = run(NULL, "up", "-q", file, NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->err, "");
	assert_string_equal(notes(), "priv apply source apply source ");
	/* A change that fails leaves what runs. */
	set_mode("refuse");
	r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "skep: up demo: web does not boot"));
	assert_int_equal(net_life("demo"), NET_RUNNING);
	assert_int_equal(run(NULL, "down", "demo", NULL)->status, 0);
	assert_int_equal(net_life("demo"), NET_ENDED);
}

static void failed_start_is_undone(void **arg)
{
	(void)arg;
	const char *file = make_file("demo");
	set_mode("refuse");
	const struct ran *r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "skep: up demo: web does not boot"));
	assert_non_null(strstr(r->err, "honeynet demo is gone"));
	assert_string_equal(notes(), "priv apply source down ");
	nothing_left();
	set_mode("error");
	r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "skep: up demo: no room for it"));
	nothing_left();
	set_mode("silent");
	r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "priv ended before it was ready: see "));
	nothing_left();
	set_mode("die");
	r = run(NULL, "up", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->err, "the super of honeynet demo ended"));
	nothing_left();
	assert_null(strstr(notes(), "bad-"));
	assert_null(strstr(notes(), "no-"));
}

/* The first fails slowly and undoes its start; the second must not be caught by that. */
static void two_at_once(void **arg)
{
	(void)arg;
	const char *argv[] = { "skep", "up", make_file("demo"), NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	set_mode("slow-refuse");
	pid_t first = start(null, null, null, argv);
	for (int i = 0; i < 500 && !strstr(notes(), "apply"); i++)
		usleep(10000);
	const struct ran *r = run(NULL, "up", argv[2], NULL);
	assert_int_equal(finish(first), 1);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "another `skep up` of demo goes on"));
	assert_string_equal(notes(), "priv apply source down priv apply source ");
	assert_int_equal(net_life("demo"), NET_RUNNING);
	assert_int_equal(run(NULL, "down", "demo", NULL)->status, 0);
	close(null);
}

static void interrupted(void **arg)
{
	(void)arg;
	const char *argv[] = { "skep", "up", make_file("demo"), NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	set_mode("hang");
	pid_t cli = start(null, null, null, argv);
	for (int i = 0; i < 500 && !strstr(notes(), "priv"); i++)
		usleep(10000);
	assert_int_equal(net_life("demo"), NET_BUSY);
	kill(cli, SIGINT);
	assert_int_equal(finish(cli), 1);
	nothing_left();
	/* During the machines' start: what was started ends. */
	set_mode("slow-refuse");
	cli = start(null, null, null, argv);
	for (int i = 0; i < 500 && !strstr(notes(), "apply"); i++)
		usleep(10000);
	kill(cli, SIGINT);
	assert_int_equal(finish(cli), 1);
	nothing_left();
	close(null);
}

static void down_during_up(void **arg)
{
	(void)arg;
	const char *argv[] = { "skep", "up", make_file("demo"), NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	set_mode("slow");
	pid_t cli = start(null, null, null, argv);
	for (int i = 0; i < 500 && !strstr(notes(), "priv"); i++)
		usleep(10000);
	const struct ran *r = run(NULL, "down", "demo", NULL);
	assert_int_equal(r->status, 0);
	finish(cli); /* up or not, by who came first */
	run(NULL, "down", "demo", NULL);
	nothing_left();
	close(null);
}

/* A super that hangs: only --force ends it, by the process that holds the socket. */
static void down_by_force(void **arg)
{
	(void)arg;
	set_mode("ok");
	assert_int_equal(run(NULL, "up", make_file("demo"), NULL)->status, 0);
	set_mode("mute");
	const struct ran *r = run(NULL, "down", "--force", "demo", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->err, "its processes are killed"));
	nothing_left();
}

static void bad_files(void **arg)
{
	(void)arg;
	char path[200], text[240];
	const struct ran *r = run(NULL, "up", "/nonexistent.yaml", NULL);
	assert_int_equal(r->status, 1);
	assert_string_equal(r->err, "skep: cannot open /nonexistent.yaml: No such file or directory\n");
	assert_int_equal(run(NULL, "check", "/", NULL)->status, 1);
	snprintf(path, sizeof(path), "%s/bad.yaml", state);
	write_file(path, "honeynet: Bad Name\nnonsense: 1\n\033: x\n");
	r = run(NULL, "check", path, NULL);
	assert_int_equal(r->status, 1);
	assert_string_equal(r->err, "");
	assert_null(strchr(r->out, '\033'));
	snprintf(text, sizeof(text), "%s:", path);
	assert_int_equal(strncmp(r->out, text, strlen(text)), 0);
	r = run(NULL, "up", path, NULL);
	assert_int_equal(r->status, 1);
	assert_int_equal(strncmp(r->err, text, strlen(text)), 0);
	assert_string_equal(notes(), "");
	nothing_left();
}

static void check_images(void **arg)
{
	(void)arg;
	const char *file = make_file("demo");
	char want[300], image[300];
	const struct ran *r = run(NULL, "check", file, NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "honeynet demo: 1 network, 1 honeypot, uplink lab"));
	assert_non_null(strstr(r->out, "out: nothing begins; replies only"));
	r = run(NULL, "check", "--json", file, NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "\"ok\": true"));
	assert_string_equal(run(NULL, "check", "-q", file, NULL)->out, "");
	snprintf(image, sizeof(image), "%s/images/busybox/disk.img", state);
	write_file(image, "this is not a disk\n");
	r = run(NULL, "check", file, NULL);
	assert_int_equal(r->status, 1);
	snprintf(want, sizeof(want), "%s:9:12: image \"busybox\" is not a disk with an ext4 file system", file);
	assert_int_equal(strncmp(r->out, want, strlen(want)), 0);
	unlink(image);
	r = run(NULL, "check", file, NULL);
	assert_int_equal(r->status, 1);
	snprintf(want, sizeof(want), "%s:9:12: no image \"busybox\": build it with `skep image build busybox`\n", file);
	assert_string_equal(r->out, want);
	r = run(NULL, "check", "--json", file, NULL);
	assert_int_equal(r->status, 1);
	assert_non_null(strstr(r->out, "\"line\": 9"));
}

static int setup(void **arg)
{
	(void)arg;
	state_make();
	make_image("busybox");
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	run(NULL, "down", "-f", "demo", NULL);
	state_drop();
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--role=priv"))
		return fake_priv(argv[2]);
	const struct CMUnitTest tests[] = {
		T(bad_files),   T(check_images), T(starts_and_changes), T(failed_start_is_undone),
		T(two_at_once), T(interrupted),  T(down_during_up),     T(down_by_force),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
