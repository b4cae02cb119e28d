/* SPDX-License-Identifier: ISC */
/*
 * skep export: a honeynet's evidence, or a part of it, in the formats that other
 * programs read. What is written is there whole or not at all, nothing is
 * overwritten without --force, and what could not be read is said.
 */
#include "cli/export.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct format {
	const char *name;
	int (*fn)(struct export_run *x);
	bool binary, folder;
} formats[] = {
	{ "eve", export_eve },
	{ "timesketch", export_timesketch },
	{ "stix", export_stix },
	{ "pcapng", export_pcapng, .binary = true },
	{ "casts", export_casts, .folder = true },
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static const struct format *format_of(const struct cmd *c)
{
	char all[128] = "";
	size_t n = 0;
	const char *name = cmd_str(c, "format");
	for (size_t i = 0; i < FORMATS; i++) {
		if (name && !strcmp(formats[i].name, name))
			return &formats[i];
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "", formats[i].name);
	}
	if (!name)
		cmd_usage(c, "--format is missing: one of %s", all);
	else
		cmd_usage(c, "--format: there is no \"%s\"; there are %s", name, all);
	return NULL;
}

const char *export_folder(const struct export_run *x, char buf[DIRS_PATH])
{
	const char *slash = x->to ? strrchr(x->to, '/') : NULL;
	if (!x->to)
		return "";
	snprintf(buf, DIRS_PATH, "%.*s", slash ? (int)(slash - x->to) : 1, slash ? x->to : ".");
	return *buf ? buf : "/";
}

/* A session's name: twelve hex digits. */
static bool is_session(const char *s)
{
	return strlen(s) == 12 && strspn(s, "0123456789abcdef") == 12;
}

/* by_session: the format does not read events to know what a session is. */
static int select_what(struct export_run *x, bool by_session)
{
	const char *session = cmd_str(x->c, "session");
	int status = evidence_filter_span(&x->filter, x->c);
	if (status != CMD_OK)
		return status;
	if (session && !is_session(session))
		return cmd_usage(x->c, "--session: \"%s\" is no session: skep sessions shows their ids", session);
	if ((status = evidence_dir_open(x->c, &x->dir)) != CMD_OK)
		return status;
	x->scope.session = session;
	if (!session || by_session)
		return CMD_OK;
	if (scope_load(&x->scope, &x->dir, session, &x->e) < 0)
		return cmd_fail_err(x->c, &x->e, NULL);
	if (!x->scope.events)
		return cmd_fail(x->c, "there is no session %s in %s", session, x->dir.path);
	return CMD_OK;
}

/* To a file, or to standard output. */
static int write_out(struct export_run *x, const struct format *f)
{
	struct outfile file = { .dir = -1 };
	if (f->folder)
		return f->fn(x) < 0 ? cmd_fail_err(x->c, &x->e, NULL) : CMD_OK;
	if (x->to && outfile_open(&file, x->to, x->force, &x->e) < 0)
		return cmd_fail_err(x->c, &x->e, NULL);
	x->out = x->to ? file.f : x->c->out;
	int r = f->fn(x);
	if (r == 0 && x->to)
		r = outfile_commit(&file, &x->e);
	else if (r == 0 && (fflush(x->out) || ferror(x->out)))
		return CMD_FAILED;
	outfile_drop(&file);
	return r < 0 ? cmd_fail_err(x->c, &x->e, "nothing exported") : CMD_OK;
}

int cmd_export(struct cmd *c)
{
	static struct export_run x;
	const char *to = cmd_str(c, "output");
	const struct format *f = format_of(c);
	x = (struct export_run){ .c = c, .dir = { .fd = -1 }, .to = to && strcmp(to, "-") != 0 ? to : NULL };
	if (!f)
		return CMD_USAGE;
	if (f->binary && !x.to && isatty(fileno(c->out)))
		return cmd_usage(c, "%s is nothing for a terminal: name a file with --output", f->name);
	if (f->folder && !x.to)
		return cmd_usage(c, "%s needs a folder: name one with --output", f->name);
	x.force = cmd_flag(c, "force");
	int status = select_what(&x, f->folder);
	if (status == CMD_OK)
		status = write_out(&x, f);
	if (status == CMD_OK && f->folder && x.scope.session && !x.count)
		status = cmd_fail(c, "session %s has no terminal in %s, or is not there", x.scope.session, x.dir.path);
	if (status == CMD_OK)
		cmd_note(c, "%llu %s exported%s%s", (unsigned long long)x.count, x.what, x.to ? " to " : "",
			 x.to ? x.to : "");
	if (status == CMD_OK && x.cut)
		cmd_note(c, "%llu files end with a cut record, which was left out", (unsigned long long)x.cut);
	if (status == CMD_OK && x.broken)
		status =
		    cmd_fail(c, "%llu records are damaged and are missing in the export", (unsigned long long)x.broken);
	scope_free(&x.scope);
	evidence_dir_close(&x.dir);
	return status;
}
