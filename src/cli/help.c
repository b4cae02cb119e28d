/* SPDX-License-Identifier: ISC */
#include "cli/help.h"

#include "cli/cmd.h"

#include <string.h>

#define WIDTH 78

/* Words of p[0..n), wrapped at WIDTH, each line indented. */
static void wrap(FILE *out, const char *p, size_t n, int indent)
{
	int col = 0;
	size_t i = 0;
	while (i < n) {
		while (i < n && p[i] == ' ')
			i++;
		size_t len = 0;
		while (i + len < n && p[i + len] != ' ')
			len++;
		if (!len)
			break;
		if (col && col + 1 + (int)len > WIDTH) {
			fputc('\n', out);
			col = 0;
		}
		if (!col)
			col = fprintf(out, "%*s", indent, "");
		else
			col += fprintf(out, " ");
		col += fprintf(out, "%.*s", (int)len, p + i);
		i += len;
	}
	fputc('\n', out);
}

static void paragraphs(FILE *out, const char *text)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t n = end ? (size_t)(end - text) : strlen(text);
		if (!strncmp(text, "  ", 2))
			fprintf(out, "  %.*s\n", (int)n, text);
		else
			wrap(out, text, n, 0);
		fputc('\n', out);
		text += n + (end ? 2 : 0);
	}
}

static void options(FILE *out, const struct command_opt *o)
{
	for (; o && o->name; o++) {
		char head[64], letter[8] = "    ";
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(head, sizeof(head), "  %s--%s%s%s", letter, o->name, o->metavar ? "=" : "",
			 o->metavar ? o->metavar : "");
		fprintf(out, "%s\n", head);
		wrap(out, o->text, strlen(o->text), 10);
	}
}

int help_command(FILE *out, const struct command *c)
{
	fprintf(out, "skep %s: %s\n\n  skep %s [OPTION]...%s%s\n\n", c->name, c->brief, c->name, *c->args ? " " : "",
		c->args);
	paragraphs(out, c->text);
	fputs("Options:\n", out);
	options(out, c->opts);
	options(out, command_common);
	return CMD_OK;
}

int help_all(FILE *out)
{
	fputs("skep: whole virtual honeynets on one computer\n\n  skep COMMAND [OPTION]... [ARGUMENT]...\n\n", out);
	for (const struct command *c = command_table; c->name; c++) {
		char head[64];
		snprintf(head, sizeof(head), "%s%s%s", c->name, *c->args ? " " : "", c->args);
		fprintf(out, "  %-24s %s\n", head, c->brief);
	}
	fputs("\nskep COMMAND --help says more; so does skep(1). skep --version prints the version.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
	      out);
	return CMD_OK;
}

int cmd_help(struct cmd *c)
{
	if (!c->nargs)
		return help_all(c->out);
	int words = 0;
	const struct command *k = command_find(c->nargs, c->args, &words);
	if (k && words == c->nargs)
		return help_command(c->out, k);
	/* "help image" lists the commands of two words. */
	int found = 0;
	size_t n = strlen(c->args[0]);
	for (k = command_table; k->name; k++)
		if (c->nargs == 1 && !strncmp(k->name, c->args[0], n) && k->name[n] == ' ') {
			if (found++)
				fputs("\n", c->out);
			help_command(c->out, k);
		}
	if (found)
		return CMD_OK;
	const char *near = command_near(c->args[0]);
	return near ? cmd_usage(c, "no command \"%s\": did you mean %s?", c->args[0], near)
		    : cmd_usage(c, "no command \"%s\"", c->args[0]);
}
