/* SPDX-License-Identifier: ISC */
#include "cli/parse.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *s, uint64_t *out)
{
	char *end;
	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (errno || *end)
		return false;
	*out = v;
	return true;
}

static int give(struct cmd *c, const struct command_opt *o, const char *value)
{
	uint64_t v;
	if (o->arg == OPT_NUMBER && !number(value, &v))
		return cmd_usage(c, "--%s needs a number, not \"%s\"", o->name, value);
	if (o->arg == OPT_SECONDS && !text_seconds(value, &v))
		return cmd_usage(c, "--%s needs a time as in 30s, 5m or 2h, not \"%s\"", o->name, value);
	if (c->ngiven == CMD_GIVEN)
		return cmd_usage(c, "more than %d options", CMD_GIVEN);
	c->given[c->ngiven++] = (struct cmd_given){ o, value };
	return CMD_OK;
}

static int unknown_option(struct cmd *c, const char *typed, size_t len)
{
	char word[32] = "";
	if (len < sizeof(word))
		memcpy(word, typed, len);
	const char *near = *word ? command_opt_near(c->command, word) : NULL;
	if (near)
		return cmd_usage(c, "no option --%.*s: did you mean --%s?", (int)len, typed, near);
	return cmd_usage(c, "no option --%.*s", (int)len, typed);
}

/* One word that begins with "--". *i moves on if the value is the next word. */
static int long_option(struct cmd *c, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct command_opt *o = command_opt(c->command, name, len, 0);
	if (!o)
		return unknown_option(c, name, len);
	if (o->arg == OPT_FLAG && value)
		return cmd_usage(c, "--%s takes no value", o->name);
	if (o->arg != OPT_FLAG && !value) {
		if (*i + 1 >= argc)
			return cmd_usage(c, "--%s needs a value: --%s=%s", o->name, o->name, o->metavar);
		value = argv[++*i];
	}
	return give(c, o, value);
}

/* One word of letters after "-". */
static int letters(struct cmd *c, int argc, char **argv, int *i)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct command_opt *o = command_opt(c->command, NULL, 0, *p);
		if (!o)
			return cmd_usage(c, "no option -%c", *p);
		const char *value = NULL;
		if (o->arg != OPT_FLAG) {
			value = p[1] ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
			if (!value)
				return cmd_usage(c, "-%c needs a value: -%c %s", *p, *p, o->metavar);
		}
		int r = give(c, o, value);
		if (r || value)
			return r;
	}
	return CMD_OK;
}

int parse_args(struct cmd *c, int argc, char **argv, char **args)
{
	c->args = args;
	c->nargs = 0;
	for (int i = 0; i < argc; i++) {
		int r = CMD_OK;
		if (!strcmp(argv[i], "--")) {
			while (++i < argc)
				args[c->nargs++] = argv[i];
			break;
		}
		if (!strncmp(argv[i], "--", 2))
			r = long_option(c, argc, argv, &i);
		else if (argv[i][0] == '-' && argv[i][1])
			r = letters(c, argc, argv, &i);
		else
			args[c->nargs++] = argv[i];
		if (r)
			return r;
	}
	args[c->nargs] = NULL;
	c->quiet = cmd_flag(c, "quiet");
	if (cmd_flag(c, "help"))
		return CMD_OK;
	const struct command *k = c->command;
	if (c->nargs < k->min_args)
		return cmd_usage(c, "needs %s", k->args);
	if (k->max_args >= 0 && c->nargs > k->max_args)
		return cmd_usage(c, "one argument too many: \"%s\"", args[k->max_args]);
	return CMD_OK;
}
