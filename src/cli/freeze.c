/* SPDX-License-Identifier: ISC */
/* `skep freeze` and `skep thaw`: the emergency switch. */
#include "cli/cmd.h"
#include "cli/nets.h"

#include "base/text.h"

#include <string.h>

/* A running honeynet of that name goes before honeypots: in doubt more is cut. */
static int find(const char *spec, struct cli_ctl *ctl, char honeypot[NAME_CAP], struct err *e)
{
	if (!text_is_name(spec) || net_life(spec) != NET_RUNNING)
		return net_find_honeypot(spec, ctl, honeypot, e);
	honeypot[0] = 0;
	return cli_ctl_open(ctl, spec, e);
}

static int one(struct cmd *c, const char *spec, bool frozen)
{
	struct cli_ctl ctl;
	struct cmd_freeze req = { .frozen = frozen };
	struct err e = { 0 };
	int r = find(spec, &ctl, req.honeypot, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	r = cli_ctl_call(&ctl, MSG_CMD_FREEZE, &req, sizeof(req), CLI_CTL_QUICK, &e);
	cli_ctl_close(&ctl);
	if (r < 0)
		return cmd_fail_err(c, &e, "%s %s", c->command->name, spec);
	cmd_note(c, "%s: %s", ctl.net, e.text);
	return CMD_OK;
}

int cmd_freeze(struct cmd *c)
{
	int worst = CMD_OK;
	for (int i = 0; i < c->nargs; i++) {
		int r = one(c, c->args[i], !strcmp(c->command->name, "freeze"));
		worst = r > worst ? r : worst;
	}
	return worst;
}
