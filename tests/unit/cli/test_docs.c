/* SPDX-License-Identifier: ISC */
/* Manual and completion hold every command and option of the table, and are
 * accepted by the programs that read them. doctor and backends print. */
#include "support.h"

#include "cli/doctor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a program with one file; its exit status. */
static int program(const char *const *argv)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(2, 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	int status;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void man(void **arg)
{
	(void)arg;
	char what[512], path[200];
	const char *source = getenv("SKEP_SOURCE");
	assert_non_null(source);
	snprintf(what, sizeof(what), "--generate=man:%s/man/skep.1.in", source);
	const struct ran *r = run(NULL, what, NULL);
	assert_int_equal(r->status, 0);
	for (const struct command *c = command_table; c->name; c++) {
		char want[80];
		snprintf(want, sizeof(want), "\n.Ss skep %s", c->name);
		const char *at = strstr(r->out, want);
		/* "skep session" is not "skep sessions". */
		while (at && !strchr(" \n", at[strlen(want)]))
			at = strstr(at + 1, want);
		assert_non_null(at);
		const char *end = strstr(at + 1, "\n.Ss ");
		for (const struct command_opt *o = c->opts; o && o->name; o++) {
			snprintf(want, sizeof(want), "Fl -%s", o->name);
			const char *opt = strstr(at, want);
			assert_true(opt && end && opt < end);
		}
	}
	assert_null(strstr(r->out, "@COMMANDS@"));
	snprintf(path, sizeof(path), "%s/skep.1", state);
	write_file(path, r->out);
	const char *lint[] = { "mandoc", "-T", "lint", "-W", "warning", path, NULL };
	int status = program(lint);
	if (status != 127)
		assert_int_equal(status, 0);
	assert_int_equal(run(NULL, "--generate=man:/nonexistent", NULL)->status, 1);
	assert_int_equal(run(NULL, "--generate=poem", NULL)->status, 2);
}

/* What bash offers for the words so far. */
static const char *offers(const char *script, const char *words, int at)
{
	static char out[8192];
	char cmd[1024], path[200];
	snprintf(path, sizeof(path), "%s/offers", state);
	snprintf(cmd, sizeof(cmd),
		 ". %s; COMP_WORDS=(%s); COMP_CWORD=%d; _skep; printf ' %%s' \"${COMPREPLY[@]}\" ' ' >%s", script,
		 words, at, path);
	const char *argv[] = { "bash", "--norc", "-c", cmd, NULL };
	assert_int_equal(program(argv), 0);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	size_t n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = 0;
	fclose(f);
	return out;
}

static void completion(void **arg)
{
	(void)arg;
	char path[200], words[600];
	const struct ran *r = run(NULL, "--generate=bash", NULL);
	assert_int_equal(r->status, 0);
	snprintf(path, sizeof(path), "%s/completion", state);
	write_file(path, r->out);
	const char *first = offers(path, "skep ''", 1);
	for (const struct command *c = command_table; c->name; c++) {
		char want[40];
		snprintf(want, sizeof(want), " %.*s ", (int)strcspn(c->name, " "), c->name);
		assert_non_null(strstr(first, want));
	}
	assert_string_equal(offers(path, "skep image ''", 2), " build list import  ");
	for (const struct command *c = command_table; c->name; c++) {
		bool two = strchr(c->name, ' ');
		snprintf(words, sizeof(words), "skep %s --", c->name);
		const char *got = offers(path, words, two ? 3 : 2);
		for (const struct command_opt *o = c->opts; o && o->name; o++) {
			char want[40];
			snprintf(want, sizeof(want), " --%s ", o->name);
			assert_non_null(strstr(got, want));
		}
		assert_non_null(strstr(got, " --help "));
	}
	assert_string_equal(offers(path, "skep pcap --verdict d", 3), " drop  ");
	assert_string_equal(offers(path, "skep flows --reason limit-tc", 3), " limit-tcp  ");
	assert_string_equal(offers(path, "skep help doct", 2), " doctor  ");
	snprintf(words, sizeof(words), "skep check %s/compl", state);
	assert_non_null(strstr(offers(path, words, 2), "/completion "));
	assert_non_null(strstr(offers(path, "skep lab demo -- printen", 4), " printenv "));
	/* Names come from the program itself. */
	make_image("busybox");
	r = run(NULL, "--complete=image", NULL);
	assert_string_equal(r->out, "busybox\n");
	assert_string_equal(run(NULL, "--complete=honeypot", NULL)->out, "");
	assert_string_equal(run(NULL, "--complete=honeynet", NULL)->out, "");
	assert_int_equal(run(NULL, "--complete=x", NULL)->status, 2);
}

static void doctor(void **arg)
{
	(void)arg;
	static const char *const names[] = { "userns",     "seccomp", "landlock",  "cgroup",       "ptrace",
					     "probes",     "kvm",     "registers", "tun",          "memory",
					     "disk",       "uml",     "shim",      "suricata",     "nft",
					     "mmdebstrap", "mke2fs",  "images",    "introspection" };
	const struct ran *r = run(NULL, "doctor", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_non_null(v);
	assert_int_equal(r->status, json_is_true(json_object_get(v, "ok")) ? 0 : 1);
	json_t *all = json_object_get(v, "findings");
	assert_int_equal(json_array_size(all), sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < json_array_size(all); i++)
		assert_string_equal(json_string_value(json_object_get(json_array_get(all, i), "name")), names[i]);
	json_decref(v);
	/* The status goes by what is missing, not by warnings. */
	struct findings f = { 0 };
	struct cmd c = { .out = fopen("/dev/null", "we"), .err = fopen("/dev/null", "we") };
	int words;
	char *argv[] = { (char *)"doctor" };
	c.command = command_find(1, argv, &words);
	finding(&f, "a", FINDING_OK, NULL, "x");
	finding(&f, "b", FINDING_WARN, "mend", "x");
	assert_int_equal(doctor_print(&c, &f), CMD_OK);
	finding(&f, "c", FINDING_MISSING, "mend", "x");
	assert_int_equal(doctor_print(&c, &f), CMD_FAILED);
	for (int i = 0; i < 2 * FINDINGS_MAX; i++)
		finding(&f, "d", FINDING_OK, NULL, "x");
	assert_int_equal(f.n, FINDINGS_MAX);
	fclose(c.out);
	fclose(c.err);
}

static void kvm(void **arg)
{
	(void)arg;
	struct err e = { 0 };
	int r = kvm_probe(&e);
	/* Either way it comes to an end and says why. */
	assert_true(r == 0 || e.text[0]);
}

static void backends(void **arg)
{
	(void)arg;
	const struct ran *r = run(NULL, "backends", NULL);
	assert_int_equal(r->status, 0);
	assert_non_null(strstr(r->out, "uml"));
	assert_non_null(strstr(r->out, "no suspend: "));
	r = run(NULL, "backends", "--json", NULL);
	json_t *v = json_loads(r->out, 0, NULL);
	assert_int_equal(json_array_size(v), 6);
	json_decref(v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, state_setup, state_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(man), T(completion), T(doctor), T(kvm), T(backends) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
