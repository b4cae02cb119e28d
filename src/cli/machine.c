/* SPDX-License-Identifier: ISC */
#include "cli/cmd.h"
#include "cli/nets.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name, *done;
	enum machine_verb verb;
} verbs[] = {
	{ "start", "started", MACHINE_START },
	{ "stop", "stopped", MACHINE_STOP },
	{ "pause", "paused", MACHINE_PAUSE },
	{ "resume", "runs on", MACHINE_RESUME },
	{ "reset", "reset to its clean image", MACHINE_RESET },
};

static int one(struct cmd *c, const char *spec, unsigned v, bool force)
{
	struct cli_ctl ctl;
	struct cmd_machine req = { .verb = verbs[v].verb, .force = force };
	struct msg m;
	struct err e = { 0 };
	int r = net_find_honeypot(spec, &ctl, req.honeypot, &e);
	if (r < 0)
		return cmd_fail_err(c, &e, NULL);
	r = cli_ctl_send(&ctl, MSG_CMD_MACHINE, &req, sizeof(req), NULL, 0, &e);
	while (r >= 0 && (r = cli_ctl_next(&ctl, &m, CLI_CTL_LONG, &e)) == 1) {
		const struct rep_progress *p = MSG_BODY_AS(&m, rep_progress);
		if (m.type == MSG_REP_PROGRESS)
			cmd_progress(c, "%s: %.*s", req.honeypot, (int)strnlen(p->text, sizeof(p->text)), p->text);
		msg_close_fds(&m);
	}
	cli_ctl_close(&ctl);
	if (r < 0)
		return cmd_fail_err(c, &e, "%s %s/%s", verbs[v].name, ctl.net, req.honeypot);
	if (e.text[0])
		cmd_note(c, "%s: %s", ctl.net, e.text);
	else
		cmd_note(c, "%s/%s: %s", ctl.net, req.honeypot, verbs[v].done);
	return CMD_OK;
}

int cmd_machine(struct cmd *c)
{
	unsigned v = 0;
	int worst = CMD_OK;
	while (strcmp(verbs[v].name, c->command->name) != 0)
		v++;
	bool force = verbs[v].verb == MACHINE_STOP && cmd_flag(c, "force");
	for (int i = 0; i < c->nargs; i++) {
		int r = one(c, c->args[i], v, force);
		worst = r > worst ? r : worst;
	}
	return worst;
}
