/* SPDX-License-Identifier: ISC */
#include "cli/load.h"

#include <errno.h>

static int diag_json(struct cmd *c, const char *path, const struct diag *d)
{
	json_t *all = json_array();
	for (unsigned i = 0; i < d->n; i++)
		json_array_append_new(all, json_pack("{si si so}", "line", (int)d->items[i].at.line, "column",
						     (int)d->items[i].at.col, "message", cmd_string(d->items[i].text)));
	return cmd_json(c, json_pack("{so sb so si}", "file", cmd_string(path), "ok", !d->n, "problems", all, "more",
				     (int)d->more));
}

int cmd_check(struct cmd *c)
{
	static struct loaded l;
	struct err e = { 0 };
	const char *path = c->args[0];
	int r = load_file(path, &l, &e);
	int status = r ? CMD_FAILED : CMD_OK;
	if (r && !l.diag.n) {
		cmd_fail_err(c, &e, NULL);
	} else if (cmd_flag(c, "json")) {
		int j = diag_json(c, path, &l.diag);
		status = status ? status : j;
	} else if (r) {
		load_print_diag(c->out, path, &l.diag);
	} else if (!c->quiet) {
		load_summary(c->out, l.model);
	}
	load_free(&l);
	return status;
}
