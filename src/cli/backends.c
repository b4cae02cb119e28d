/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"

#include "model/backend.h"
#include "model/model.h"

static int print_json(struct cmd *c)
{
	json_t *all = json_array();
	for (unsigned k = 0; k < BACKEND_COUNT; k++) {
		json_t *can = json_object();
		for (unsigned op = 0; op < BACKEND_OP_COUNT; op++) {
			const char *why = backend_lacks(k, op);
			json_object_set_new(can, backend_op_name(op),
					    json_pack("{sb ss?}", "can", !why, "reason", why));
		}
		json_array_append_new(all, json_pack("{ss ss sb so}", "name", backend_name(k), "text", backend_text(k),
						     "built", backend_built(k), "operations", can));
	}
	return cmd_json(c, all);
}

int cmd_backends(struct cmd *c)
{
	const char *heads[BACKEND_OP_COUNT + 2] = { "BACKEND" };
	struct table t;
	if (cmd_flag(c, "json"))
		return print_json(c);
	for (unsigned op = 0; op < BACKEND_OP_COUNT; op++)
		heads[op + 1] = backend_op_name(op);
	table_init(&t, heads);
	for (unsigned k = 0; k < BACKEND_COUNT; k++) {
		table_add(&t, "%s", backend_name(k));
		for (unsigned op = 0; op < BACKEND_OP_COUNT; op++)
			table_add(&t, "%s", backend_lacks(k, op) ? "-" : "yes");
	}
	int r = table_print(&t, c);
	fputc('\n', c->out);
	for (unsigned k = 0; k < BACKEND_COUNT; k++) {
		fprintf(c->out, "%s: %s%s\n", backend_name(k), backend_text(k),
			backend_built(k) ? "" : " (not part of this version)");
		for (unsigned op = 0; backend_built(k) && op < BACKEND_OP_COUNT; op++)
			if (backend_lacks(k, op))
				fprintf(c->out, "  no %s: %s\n", backend_op_name(op), backend_lacks(k, op));
	}
	return r;
}
