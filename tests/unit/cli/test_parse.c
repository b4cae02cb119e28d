/* SPDX-License-Identifier: ISC */
/* The command table, and option parsing by it. */
#include "support.h"

#include "cli/cmd.h"
#include "cli/parse.h"

#include <string.h>

static void table_is_sound(void **arg)
{
	(void)arg;
	for (const struct command *c = command_table; c->name; c++) {
		assert_non_null(cmd_function(c));
		assert_non_null(c->args);
		assert_true(c->brief && *c->brief && c->brief[strlen(c->brief) - 1] != '.');
		assert_true(c->text && c->text[strlen(c->text) - 1] != '\n');
		assert_true(c->max_args < 0 || c->max_args >= c->min_args);
		assert_true(strlen(c->name) < 32);
		for (const struct command *d = c + 1; d->name; d++)
			assert_string_not_equal(c->name, d->name);
		for (const struct command_opt *o = c->opts; o && o->name; o++) {
			assert_true((o->arg == OPT_FLAG) == !o->metavar);
			assert_true(o->text[strlen(o->text) - 1] != '.');
			/* Found by itself: no other option, no common one, has its name or letter. */
			assert_ptr_equal(command_opt(c, o->name, strlen(o->name), 0), o);
			if (o->letter)
				assert_ptr_equal(command_opt(c, NULL, 0, o->letter), o);
			for (const struct command_opt *k = command_common; k->name; k++) {
				assert_string_not_equal(k->name, o->name);
				assert_int_not_equal(k->letter, o->letter);
			}
		}
	}
}

/* Parses one line of words for the command; returns the status. */
static int parse(struct cmd *c, const char *command, char *line)
{
	static char *argv[32], *args[33];
	static char name[32];
	int argc = 0, words;
	char *cmd_words[4], *save = NULL;
	static char messages[4096];
	int n = 0;
	snprintf(name, sizeof(name), "%s", command);
	for (char *w = strtok_r(name, " ", &save); w; w = strtok_r(NULL, " ", &save))
		cmd_words[n++] = w;
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	memset(c, 0, sizeof(*c));
	c->command = command_find(n, cmd_words, &words);
	assert_non_null(c->command);
	assert_int_equal(words, n);
	c->out = stdout;
	memset(messages, 0, sizeof(messages));
	c->err = fmemopen(messages, sizeof(messages) - 1, "w");
	int r = parse_args(c, argc, argv, args);
	fclose(c->err);
	c->err = stderr;
	return r;
}

static void lines(void **arg)
{
	(void)arg;
	static const struct {
		const char *command, *line;
		int status, nargs;
	} cases[] = {
		{ "ps", "", 0, 0 },
		{ "ps", "demo", 0, 1 },
		{ "ps", "demo more", 2, 0 },
		{ "ps", "-v --json demo", 0, 1 },
		{ "ps", "demo -qv", 0, 1 },
		{ "ps", "--verbose=yes", 2, 0 },
		{ "ps", "-x", 2, 0 },
		{ "ps", "--nothing", 2, 0 },
		{ "ps", "--verbos", 2, 0 },
		{ "ps", "-- -v", 0, 1 },
		{ "ps", "-", 0, 1 },
		{ "up", "", 2, 0 },
		{ "up", "--help", 0, 0 },
		{ "up", "a b", 2, 0 },
		{ "stop", "a b c -f", 0, 3 },
		{ "lab", "demo", 2, 0 },
		{ "lab", "demo -- nmap -sS -p 1-9 192.0.2.1", 0, 6 },
		{ "lab", "demo nmap -sS", 2, 0 },
		{ "events", "--lines 5 demo", 0, 1 },
		{ "events", "--lines=5 demo", 0, 1 },
		{ "events", "-n5 demo", 0, 1 },
		{ "events", "-n 5 demo", 0, 1 },
		{ "events", "-fn5 demo", 0, 1 },
		{ "events", "-n", 2, 0 },
		{ "events", "--lines", 2, 0 },
		{ "events", "-nfive", 2, 0 },
		{ "events", "-n -5", 2, 0 },
		{ "events", "-n 99999999999999999999999", 2, 0 },
		{ "events", "-H a --honeypot b", 0, 0 },
		{ "console", "web --wait 5s", 0, 1 },
		{ "console", "web --wait 5", 2, 0 },
		{ "image build", "busybox --name x", 0, 1 },
		{ "image list", "x", 2, 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[128];
		struct cmd c;
		snprintf(line, sizeof(line), "%s", cases[i].line);
		int r = parse(&c, cases[i].command, line);
		if (r != cases[i].status)
			fail_msg("%s %s: %d", cases[i].command, cases[i].line, r);
		if (!r)
			assert_int_equal(c.nargs, cases[i].nargs);
	}
}

static void values(void **arg)
{
	(void)arg;
	struct cmd c;
	char line[] = "-H a demo --honeypot=b --lines 3 -n7 -q", wait[] = "web -w 2m", eq[] = "--since= --type=a=b";
	assert_int_equal(parse(&c, "events", line), 0);
	assert_string_equal(cmd_str(&c, "honeypot"), "b");
	assert_string_equal(cmd_str_at(&c, "honeypot", 0), "a");
	assert_string_equal(cmd_str_at(&c, "honeypot", 1), "b");
	assert_null(cmd_str_at(&c, "honeypot", 2));
	assert_int_equal(cmd_num(&c, "lines", 1), 7);
	assert_null(cmd_str(&c, "since"));
	assert_true(cmd_flag(&c, "quiet") && c.quiet);
	assert_false(cmd_flag(&c, "json"));
	assert_int_equal(parse(&c, "console", wait), 0);
	assert_int_equal(cmd_num(&c, "wait", 1), 120);
	assert_int_equal(parse(&c, "events", eq), 0);
	assert_string_equal(cmd_str(&c, "since"), "");
	assert_string_equal(cmd_str(&c, "type"), "a=b");
}

static void too_many_options(void **arg)
{
	(void)arg;
	struct cmd c;
	char line[256] = "";
	for (int i = 0; i < 30; i++)
		strcat(line, "-vvvv ");
	assert_int_equal(parse(&c, "ps", line), CMD_USAGE);
}

static void distance(void **arg)
{
	(void)arg;
	static const struct {
		const char *a, *b;
		unsigned d;
	} cases[] = { { "", "", 0 },          { "up", "up", 0 },
		      { "up", "pu", 1 },      { "evnts", "events", 1 },
		      { "flow", "flows", 1 }, { "kitten", "sitting", 3 },
		      { "ps", "doctor", 6 },  { "", "abc", 3 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(command_distance(cases[i].a, cases[i].b), cases[i].d);
	assert_int_equal(command_distance("a", "a word that is far too long to be near to anything"), 32);
}

static void did_you_mean(void **arg)
{
	(void)arg;
	assert_string_equal(command_near("dwon"), "down");
	assert_string_equal(command_near("consol"), "console");
	assert_string_equal(command_near("resart"), "reset");
	assert_string_equal(command_near("pss"), "ps");
	assert_null(command_near("frobnicate"));
	assert_null(command_near(""));
	struct cmd c;
	char line[] = "";
	assert_int_equal(parse(&c, "ps", line), 0);
	assert_string_equal(command_opt_near(c.command, "jsno"), "json");
	assert_string_equal(command_opt_near(c.command, "hlep"), "help");
	assert_null(command_opt_near(c.command, "bandwidth"));
	const struct ran *r = run(NULL, "dwon", "x", NULL);
	assert_int_equal(r->status, 2);
	assert_non_null(strstr(r->err, "did you mean down?"));
	r = run(NULL, "ps", "--jsn", NULL);
	assert_int_equal(r->status, 2);
	assert_non_null(strstr(r->err, "skep ps: no option --jsn: did you mean --json?"));
	r = run(NULL, "image", NULL);
	assert_int_equal(r->status, 2);
	assert_non_null(strstr(r->err, "image build, image list, image import"));
	r = run(NULL, "\033]0;x\a", NULL);
	assert_int_equal(r->status, 2);
	assert_null(strchr(r->err, '\033'));
}

static void help(void **arg)
{
	(void)arg;
	const struct ran *r = run(NULL, "--help", NULL);
	assert_int_equal(r->status, 0);
	for (const struct command *c = command_table; c->name; c++)
		assert_non_null(strstr(r->out, c->name));
	assert_int_equal(run(NULL, NULL)->status, 2);
	r = run(NULL, "--version", NULL);
	assert_int_equal(r->status, 0);
	assert_string_equal(r->out, "skep " SKEP_VERSION "\n");
	for (const struct command *c = command_table; c->name; c++) {
		char first[32];
		size_t n = strcspn(c->name, " ");
		snprintf(first, sizeof(first), "%.*s", (int)n, c->name);
		r = c->name[n] ? run(NULL, first, c->name + n + 1, "--help", NULL) : run(NULL, first, "-h", NULL);
		assert_int_equal(r->status, 0);
		assert_string_equal(r->err, "");
		for (const struct command_opt *o = c->opts; o && o->name; o++) {
			char want[64];
			snprintf(want, sizeof(want), "--%s", o->name);
			assert_non_null(strstr(r->out, want));
		}
		for (const char *l = r->out; l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL)
			assert_true(strcspn(l, "\n") <= 80);
		r = c->name[n] ? run(NULL, "help", first, c->name + n + 1, NULL) : run(NULL, "help", first, NULL);
		assert_int_equal(r->status, 0);
		assert_non_null(strstr(r->out, c->brief));
	}
	assert_int_equal(run(NULL, "help", "image", NULL)->status, 0);
	assert_int_equal(run(NULL, "help", "nothing", NULL)->status, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sound), cmocka_unit_test(lines),
		cmocka_unit_test(values),         cmocka_unit_test(too_many_options),
		cmocka_unit_test(distance),       cmocka_unit_test(did_you_mean),
		cmocka_unit_test(help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
