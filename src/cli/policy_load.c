/* SPDX-License-Identifier: ISC */
#include "cli/policy_load.h"

#include "base/text.h"
#include "cli/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_preset(const char *what)
{
	const char *name;
	for (unsigned i = 0; (name = model_preset_name(i)); i++)
		if (!strcmp(name, what))
			return true;
	return false;
}

/* A word that is neither a preset nor a file. */
static int nothing(const char *what, struct err *e)
{
	char list[256] = "";
	const char *name;
	for (unsigned i = 0; (name = model_preset_name(i)); i++) {
		size_t n = strlen(list);
		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", name);
	}
	return err_set(e, -ENOENT, "%s is neither a file nor a preset: presets are %s", what, list);
}

int policy_load(const char *what, const struct model *net, struct model *out, struct diag *d, struct err *e)
{
	size_t n = 0;
	char *text = NULL;
	int r, source;
	d->n = d->more = 0;
	if (is_preset(what)) {
		/* A preset is never wrong (a test says so), so that out may be written to. */
		if (net && net != out)
			memcpy(out, net, sizeof(*out));
		if (!net)
			return (r = model_preset(what, out, d)) < 0 ? r : POLICY_SOURCE_PRESET;
		struct model *p = malloc(sizeof(*p));
		r = p ? model_preset(what, p, d) : err_set(e, -ENOMEM, "out of memory");
		if (!r)
			model_put_policy(out, p);
		free(p);
		return r < 0 ? r : POLICY_SOURCE_PRESET;
	}
	if (text_is_name(what) && access(what, F_OK) < 0)
		return nothing(what, e);
	r = load_text(what, &text, &n, e);
	if (r < 0)
		return r;
	if (!model_is_policy(text, n)) {
		source = POLICY_SOURCE_HONEYNET;
		r = model_parse(text, n, out, d);
	} else {
		source = POLICY_SOURCE_FILE;
		r = net ? model_parse_policy_for(text, n, net, out, d) : model_parse_policy(text, n, out, d);
	}
	free(text);
	return r < 0 ? r : source;
}

int policy_load_or_say(struct cmd *c, const char *what, const struct model *net, struct model *out)
{
	static struct diag d;
	struct err e = { 0 };
	int r = policy_load(what, net, out, &d, &e);
	if (r >= 0)
		return r;
	if (d.n)
		load_print_diag(c->err, what, &d);
	else
		cmd_fail_err(c, &e, NULL);
	return -1;
}
