/* SPDX-License-Identifier: ISC */
/*
 * The operator's command line: finds the command in the table, parses its
 * options by the table, and calls its function. Nothing here knows a command
 * or an option by itself but which function belongs to which name.
 */
#include "cli/cli.h"

#include "cli/cmd.h"
#include "cli/generate.h"
#include "cli/help.h"
#include "cli/parse.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	cmd_fn fn;
} functions[] = {
	{ "check", cmd_check },
	{ "up", cmd_up },
	{ "down", cmd_down },
	{ "ps", cmd_ps },
	{ "console", cmd_console },
	{ "start", cmd_machine },
	{ "stop", cmd_machine },
	{ "pause", cmd_machine },
	{ "resume", cmd_machine },
	{ "reset", cmd_machine },
	{ "freeze", cmd_freeze },
	{ "thaw", cmd_freeze },
	{ "policy apply", cmd_policy_apply },
	{ "policy test", cmd_policy_test },
	{ "policy explain", cmd_policy_explain },
	{ "policy import", cmd_policy_import },
	{ "policy list", cmd_policy_list },
	{ "lab", cmd_lab },
	{ "events", cmd_events },
	{ "flows", cmd_flows },
	{ "pcap", cmd_pcap },
	{ "verify", cmd_verify },
	{ "anchor", cmd_anchor },
	{ "export", cmd_export },
	{ "watch", cmd_watch },
	{ "sessions", cmd_sessions },
	{ "session", cmd_session },
	{ "replay", cmd_replay },
	{ "tree", cmd_tree },
	{ "search", cmd_search },
	{ "reindex", cmd_reindex },
	{ "image build", cmd_image_build },
	{ "rules", cmd_rules },
	{ "image list", cmd_image_list },
	{ "image import", cmd_image_import },
	{ "doctor", cmd_doctor },
	{ "backends", cmd_backends },
	{ "help", cmd_help },
};

cmd_fn cmd_function(const struct command *command)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(functions[i].name, command->name))
			return functions[i].fn;
	return NULL;
}

/* A word that is no command: "image" alone, or a slip. */
static int no_command(struct cmd *c, const char *typed)
{
	size_t n = strlen(typed);
	char list[256] = "";
	for (const struct command *k = command_table; k->name; k++)
		if (!strncmp(k->name, typed, n) && k->name[n] == ' ') {
			size_t at = strlen(list);
			snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", k->name);
		}
	if (n && *list)
		return cmd_usage(c, "%s needs one more word: %s", typed, list);
	const char *near = command_near(typed);
	if (near)
		return cmd_usage(c, "no command \"%s\": did you mean %s?", typed, near);
	return cmd_usage(c, "no command \"%s\"", typed);
}

static int run_command(struct cmd *c, int argc, char **argv)
{
	char **args = calloc((size_t)argc + 1, sizeof(*args));
	if (!args)
		return cmd_fail(c, "out of memory");
	int r = parse_args(c, argc, argv, args);
	if (r == CMD_OK && cmd_flag(c, "help"))
		r = help_command(c->out, c->command);
	else if (r == CMD_OK)
		r = cmd_function(c->command)(c);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(c->out) == EOF && r == CMD_OK)
		r = cmd_fail(c, "cannot write the output: is the disk full?");
	free(args);
	return r;
}

int cli_run(int argc, char **argv, FILE *out, FILE *err)
{
	struct cmd c = { .out = out, .err = err };
	static const char generate[] = "--generate=", complete[] = "--complete=";
	if (argc < 2) {
		help_all(err);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help_all(out);
	if (!strcmp(argv[1], "--version"))
		return fprintf(out, "skep %s\n", SKEP_VERSION) < 0 ? CMD_FAILED : CMD_OK;
	if (!strncmp(argv[1], generate, sizeof(generate) - 1))
		return generate_main(&c, argv[1] + sizeof(generate) - 1);
	if (!strncmp(argv[1], complete, sizeof(complete) - 1))
		return generate_complete(&c, argv[1] + sizeof(complete) - 1);
	if (argv[1][0] == '-')
		return cmd_usage(&c, "no option %s before the command", argv[1]);
	int words = 0;
	c.command = command_find(argc - 1, argv + 1, &words);
	if (!c.command)
		return no_command(&c, argv[1]);
	return run_command(&c, argc - 1 - words, argv + 1 + words);
}

int cli_main(int argc, char **argv)
{
	/* `skep events | head` ends by EPIPE, with a status, not by a signal. */
	signal(SIGPIPE, SIG_IGN);
	return cli_run(argc, argv, stdout, stderr);
}
