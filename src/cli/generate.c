/* SPDX-License-Identifier: ISC */
/* The man page, from the command table and man/skep.1.in. */
#include "cli/generate.h"

#include <errno.h>
#include <string.h>

/* Text in mdoc: a backslash is \e, a hyphen that is meant is \-, and a line may
 * not begin with a control character (mdoc(7)). */
static void mdoc_text(FILE *out, const char *p, size_t n, bool line_start)
{
	size_t col = 0;
	for (size_t i = 0; i < n; i++) {
		if (line_start && (p[i] == '.' || p[i] == '\''))
			fputs("\\&", out);
		line_start = false;
		/* A sentence ends its line, so that its space is right; long lines are
		 * cut, since mdoc is read by people too. */
		bool sentence = i >= 1 && p[i - 1] == '.' && i + 1 < n && p[i + 1] >= 'A' && p[i + 1] <= 'Z';
		if (p[i] == ' ' && (sentence || col > 60)) {
			fputc('\n', out);
			line_start = true;
			col = 0;
			continue;
		}
		col++;
		if (p[i] == '\\')
			fputs("\\e", out);
		else if (p[i] == '-')
			fputs("\\-", out);
		else
			fputc(p[i], out);
	}
}

static void paragraphs(FILE *out, const char *text)
{
	bool first = true;
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t n = end ? (size_t)(end - text) : strlen(text);
		if (!strncmp(text, "  ", 2)) {
			fputs(".Bd -literal -offset indent\n", out);
			fprintf(out, "%.*s\n.Ed\n", (int)n - 2, text + 2);
		} else {
			fputs(first ? "" : ".Pp\n", out);
			mdoc_text(out, text, n, true);
			fputc('\n', out);
		}
		first = false;
		text += n + (end ? 2 : 0);
	}
}

static void options(FILE *out, const struct command_opt *o)
{
	if (!o || !o->name)
		return;
	fputs(".Bl -tag -width Ds\n", out);
	for (; o->name; o++) {
		fputs(".It ", out);
		if (o->letter)
			fprintf(out, "Fl %c , ", o->letter);
		fprintf(out, "Fl -%s", o->name);
		if (o->metavar)
			fprintf(out, " Ns = Ns Ar %s", o->metavar);
		fputc('\n', out);
		mdoc_text(out, o->text, strlen(o->text), true);
		fputs(".\n", out);
	}
	fputs(".El\n", out);
}

static void man_commands(FILE *out)
{
	for (const struct command *c = command_table; c->name; c++) {
		fprintf(out, ".Ss skep %s", c->name);
		if (*c->args) {
			fputc(' ', out);
			mdoc_text(out, c->args, strlen(c->args), false);
		}
		fputc('\n', out);
		paragraphs(out, c->text);
		options(out, c->opts);
	}
	fputs(".Ss Options of every command\n", out);
	options(out, command_common);
}

static int man(struct cmd *c, const char *template)
{
	char line[1024];
	FILE *in = fopen(template, "re");
	if (!in)
		return cmd_fail(c, "cannot open %s: %s", template, strerror(errno));
	while (fgets(line, sizeof(line), in))
		if (!strcmp(line, "@COMMANDS@\n"))
			man_commands(c->out);
		else
			fputs(line, c->out);
	bool bad = ferror(in);
	fclose(in);
	return bad ? cmd_fail(c, "cannot read %s", template) : CMD_OK;
}

int generate_main(struct cmd *c, const char *what)
{
	if (!strncmp(what, "man:", 4))
		return man(c, what + 4);
	if (!strcmp(what, "bash"))
		return generate_bash(c->out);
	return cmd_usage(c, "--generate is for the build: man:TEMPLATE or bash");
}
