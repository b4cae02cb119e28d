/* SPDX-License-Identifier: ISC */
/* Completion: the bash script, from the command table, and the names that it
 * asks for while somebody types. */
#include "cli/generate.h"
#include "cli/nets.h"

#include "base/text.h"
#include "proto/verdict.h"

#include <dirent.h>
#include <string.h>

/* ---- names ---------------------------------------------------------------- */

static void each_dir(FILE *out, const char *dir)
{
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *de; (de = readdir(d));)
		if (text_is_name(de->d_name))
			fprintf(out, "%s\n", de->d_name);
	closedir(d);
}

static void honeypot(void *arg, const char *net, const struct rep_honeypot *h)
{
	if (text_is_name(h->name))
		fprintf(arg, "%s\n%s/%s\n", h->name, net, h->name);
}

int generate_complete(struct cmd *c, const char *what)
{
	static struct nets nets;
	char dir[DIRS_PATH], path[DIRS_PATH + 8];
	if (!strcmp(what, "honeynet") || !strcmp(what, "image")) {
		if (dirs_state(dir, NULL) < 0)
			return CMD_FAILED;
		snprintf(path, sizeof(path), "%s/%s", dir, *what == 'i' ? "images" : "nets");
		each_dir(c->out, path);
		return CMD_OK;
	}
	bool target = !strcmp(what, "target");
	if (!target && strcmp(what, "honeypot") != 0)
		return CMD_USAGE;
	if (nets_scan(&nets, NULL) < 0)
		return CMD_FAILED;
	for (unsigned i = 0; i < nets.n; i++) {
		struct cli_ctl ctl;
		if (nets.e[i].life != NET_RUNNING || cli_ctl_open(&ctl, nets.e[i].name, NULL) < 0)
			continue;
		if (target)
			fprintf(c->out, "%s\n", nets.e[i].name);
		net_honeypots(&ctl, honeypot, c->out, NULL);
		cli_ctl_close(&ctl);
	}
	return CMD_OK;
}

/* ---- script --------------------------------------------------------------- */

static const char *kind_name(enum arg_kind k)
{
	static const char *const names[] = {
		[ARG_NONE] = "none",         [ARG_FILE] = "file",     [ARG_HONEYNET] = "honeynet",
		[ARG_HONEYPOT] = "honeypot", [ARG_TARGET] = "target", [ARG_IMAGE] = "image",
		[ARG_COMMAND] = "command",   [ARG_WORD] = "none"
	};
	return names[k];
}

/* What the value of an option is, by its metavar. */
static const char *value_kind(const struct command_opt *o)
{
	if (!strcmp(o->metavar, "FILE"))
		return "file";
	if (!strcmp(o->metavar, "DIR"))
		return "dir";
	if (!strcmp(o->metavar, "VERDICT"))
		return "verdict";
	if (!strcmp(o->metavar, "REASON"))
		return "reason";
	return !strcmp(o->name, "honeypot") ? "honeypot" : "none";
}

static void option_words(FILE *out, const struct command_opt *o)
{
	for (; o && o->name; o++) {
		if (o->letter)
			fprintf(out, " -%c", o->letter);
		fprintf(out, " --%s", o->name);
	}
}

static void option_values(FILE *out, const struct command_opt *o)
{
	for (; o && o->name; o++) {
		if (o->arg == OPT_FLAG)
			continue;
		fputs("\t\t\t", out);
		if (o->letter)
			fprintf(out, "-%c | ", o->letter);
		fprintf(out, "--%s) kind=%s ;;\n", o->name, value_kind(o));
	}
}

/* The first words of commands, or (first != NULL) the second words after it. */
static void command_words(FILE *out, const char *first)
{
	const char *last = "";
	size_t nfirst = first ? strlen(first) : 0;
	for (const struct command *c = command_table; c->name; c++) {
		size_t n = strcspn(c->name, " ");
		if (first) {
			if (n == nfirst && c->name[n] && !strncmp(c->name, first, n))
				fprintf(out, " %s", c->name + n + 1);
		} else if (strncmp(last, c->name, n) != 0 || last[n] != c->name[n]) {
			fprintf(out, " %.*s", (int)n, c->name);
			last = c->name;
		}
	}
}

static void command_case(FILE *out, const struct command *c)
{
	fprintf(out, "\t\"%s\")\n\t\topts=\"", c->name);
	option_words(out, c->opts);
	option_words(out, command_common);
	fprintf(out, "\"\n\t\tkind=%s\n", kind_name(c->kind));
	bool values = false;
	for (const struct command_opt *o = c->opts; o && o->name; o++)
		values |= o->arg != OPT_FLAG;
	if (values) {
		fputs("\t\tcase $prev in\n", out);
		option_values(out, c->opts);
		fputs("\t\tesac\n", out);
	}
	fputs("\t\t;;\n", out);
}

static void reasons(FILE *out)
{
	for (unsigned i = 0; i < REASON_COUNT; i++)
		fprintf(out, " %s", reason_name(i));
}

int generate_bash(FILE *out)
{
	fputs("# bash completion for skep. Made from the command table: do not edit.\n"
	      "_skep()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tlocal cmd=${COMP_WORDS[1]-} at=1 opts= kind=none i\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"",
	      out);
	command_words(out, NULL);
	fputs(" --help --version\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $cmd in\n", out);
	const char *last = "";
	for (const struct command *c = command_table; c->name; c++) {
		char first[32];
		size_t n = strcspn(c->name, " ");
		if (!c->name[n] || n >= sizeof(first) || (!strncmp(last, c->name, n) && last[n] == ' '))
			continue;
		memcpy(first, c->name, n);
		first[n] = 0;
		fprintf(out, "\t%s)\n\t\tif [ \"$COMP_CWORD\" = 2 ]; then\n\t\t\tCOMPREPLY=($(compgen -W \"", first);
		command_words(out, first);
		fputs("\" -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\t\tcmd=\"$cmd ${COMP_WORDS[2]}\"\n\t\tat=2\n\t\t;;\n",
		      out);
		last = c->name;
	}
	fputs("\tesac\n"
	      "\t# What follows \"--\" is a command of its own.\n"
	      "\tfor ((i = at + 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tif [ \"${COMP_WORDS[i]}\" = -- ]; then\n"
	      "\t\t\tCOMPREPLY=($(compgen -c -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\tdone\n"
	      "\tcase $cmd in\n",
	      out);
	for (const struct command *c = command_table; c->name; c++)
		command_case(out, c);
	fputs("\tesac\n"
	      "\tcase $cur in\n\t-*)\n\t\tCOMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n\t\treturn\n\t\t;;\n\tesac\n"
	      "\tcase $kind in\n"
	      "\tfile) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	      "\tdir) COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
	      "\thoneynet | honeypot | target | image) COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" "
	      "\"--complete=$kind\" "
	      "2>/dev/null)\" -- \"$cur\")) ;;\n"
	      "\tcommand) COMPREPLY=($(compgen -W \"",
	      out);
	command_words(out, NULL);
	fputs("\" -- \"$cur\")) ;;\n\tverdict) COMPREPLY=($(compgen -W \"forward drop\" -- \"$cur\")) ;;\n"
	      "\treason) COMPREPLY=($(compgen -W \"",
	      out);
	reasons(out);
	fputs("\" -- \"$cur\")) ;;\n\tesac\n}\ncomplete -o filenames -F _skep skep\n", out);
	return CMD_OK;
}
